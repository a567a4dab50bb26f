/* What the example schema's commands and classes need to link: functions that record how they were
 * called. */
#include "tests/schema/bodies.h"

#include <stdio.h>
#include <stdlib.h>

struct ObjectOps {
    int unused;
};
const ObjectOps isa_serial_ops, flash_ops, ide_channel_ops, x86_cpu_ops, virtio_device_ops,
    virtio_rng_device_ops, mc146818rtc_ops, pc_machine_ops, sink_ops;

bool qmp_query_status(QCallContext *cc, StatusInfo **ret, Error **errp)
{
    *ret = calloc(1, sizeof(**ret));
    (*ret)->status = RUN_STATE_PAUSED;
    return true;
}

void hmp_print_status(QCallContext *cc, StatusInfo *const *ret)
{
    snprintf((char *)cc, 32, "VM status: %d", (*ret)->status);
}

bool qmp_stop(QCallContext *cc, const StopArgs *args, Error **errp)
{
    snprintf((char *)cc, 32, "stop %u %d", args->after, args->has_fast ? args->fast : -1);
    return true;
}

bool qmp_count(QCallContext *cc, const CountArgs *args, int64_t *ret, Error **errp)
{
    if (args->value == INT64_MAX) {
        return error_set(errp, "value is the largest there is");
    }
    *ret = args->value + 1;
    return true;
}

bool qmp_backend_add(QCallContext *cc, const Backend *args, Error **errp)
{
    snprintf((char *)cc, 32, "%s", args->kind == BACKEND_KIND_FILE ? args->u.file.path : args->id);
    return true;
}

bool hmp_info_mtree(QCallContext *cc, const InfoMtreeHmp *args, Error **errp)
{
    snprintf((char *)cc, 32, "mtree %d", args->has_flat);
    return true;
}
