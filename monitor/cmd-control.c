/* Commands about the protocol, the program and its schema. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accel/accel.h"
#include "monitor/internal.h"
#include "qapi/control.gen.h"
#include "qapi/introspect.h"
#include "util/version.h"

/* ---- Negotiation and versions ---- */

bool qmp_qmp_capabilities(QCallContext *cc, const QmpCapabilitiesArgs *args, Error **errp)
{
    Monitor *m = monitor_of(cc);

    for (size_t i = 0; args->has_enable && i < args->enable.len; i++) {
        cc->oob_enabled |= args->enable.items[i] == QMP_CAPABILITY_OOB;
    }
    m->negotiated = true;
    return true;
}

bool qmp_query_version(QCallContext *cc, VersionInfo **ret, Error **errp)
{
    VersionInfo *v = q_calloc(1, sizeof(*v));

    v->qemu = q_calloc(1, sizeof(*v->qemu));
    *v->qemu = (VersionTriple){ .major = VERSION_MAJOR, .minor = VERSION_MINOR, .micro = VERSION_MICRO };
    v->package = q_strdup(VERSION_PACKAGE);
    *ret = v;
    return true;
}

void hmp_print_version(QCallContext *cc, VersionInfo *const *ret)
{
    monitor_printf(cc, "%d.%d.%d %s\n", (int)(*ret)->qemu->major, (int)(*ret)->qemu->minor, (int)(*ret)->qemu->micro,
                   (*ret)->package);
}

bool qmp_query_target(QCallContext *cc, TargetInfo **ret, Error **errp)
{
    *ret = q_calloc(1, sizeof(**ret));
    (*ret)->arch = SYS_EMU_TARGET_X86_64;
    return true;
}

bool qmp_query_kvm(QCallContext *cc, KvmInfo **ret, Error **errp)
{
    Machine *m = monitor_machine(cc, NULL);

    *ret = q_calloc(1, sizeof(**ret));
    (*ret)->present = qschema_class(cc->schema, "kvm-accel");
    (*ret)->enabled = m && m->accel && object_is_a(&m->accel->obj, "kvm-accel");
    return true;
}

void hmp_print_kvm(QCallContext *cc, KvmInfo *const *ret)
{
    monitor_printf(cc, "kvm support: %s\n",
                   (*ret)->enabled ? "enabled" : (*ret)->present ? "disabled" : "not compiled");
}

void hmp_print_name(QCallContext *cc, NameInfo *const *ret)
{
    if ((*ret)->name) {
        monitor_printf(cc, "%s\n", (*ret)->name);
    }
}

void hmp_print_uuid(QCallContext *cc, UuidInfo *const *ret)
{
    monitor_printf(cc, "%s\n", (*ret)->UUID);
}

/* ---- The schema ---- */

/* The answer of cmd out of json (owned), which the tables make. */
static bool answer(const QCommand *cmd, struct json_object *json, void *ret, Error **errp)
{
    bool ok = json && qvalue_from_json(cmd->ret, json, ret, NULL, errp);

    json_object_put(json);
    return ok;
}

bool qmp_query_commands(QCallContext *cc, CommandInfoList *ret, Error **errp)
{
    return answer(&qcommand_query_commands, qintrospect_commands(cc->schema, PHASE_ALL), ret, errp);
}

bool qmp_query_qmp_schema(QCallContext *cc, SchemaInfoList *ret, Error **errp)
{
    return answer(&qcommand_query_qmp_schema, qintrospect_qmp(cc->schema, true), ret, errp);
}

/* ---- HMP ---- */

bool qmp_human_monitor_command(QCallContext *cc, const HumanMonitorCommandArgs *args, char **ret, Error **errp)
{
    char *text = monitor_run_hmp(cc, args->command_line, args->has_cpu_index, args->cpu_index, errp);

    if (!text) {
        return false;
    }
    *ret = text;
    return true;
}

/* ---- Descriptors ---- */

bool qmp_getfd(QCallContext *cc, const GetfdArgs *args, Error **errp)
{
    Monitor *m = monitor_of(cc);
    NamedFd *f;
    int fd;

    if (!m->chr || !chardev_get_fd(m->chr, &fd)) {
        return error_set(errp, "No file descriptor supplied via SCM_RIGHTS");
    }
    if (args->fdname[0] >= '0' && args->fdname[0] <= '9') {
        close(fd);
        return error_set(errp, "Parameter 'fdname' expects a name not starting with a digit");
    }
    list_foreach (NamedFd, old, &m->set->fds, link) {
        if (!strcmp(old->name, args->fdname)) {
            close(old->fd);
            old->fd = fd;
            return true;
        }
    }
    f = q_calloc(1, sizeof(*f));
    f->name = q_strdup(args->fdname);
    f->fd = fd;
    list_append(&m->set->fds, &f->link);
    return true;
}

bool qmp_closefd(QCallContext *cc, const ClosefdArgs *args, Error **errp)
{
    int fd = monitors_take_fd(monitor_set(cc), args->fdname, NULL);

    if (fd < 0) {
        return error_set(errp, "File descriptor named '%s' not found", args->fdname);
    }
    close(fd);
    return true;
}
