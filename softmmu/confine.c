/* What the process may do on the host and what it holds of it: -overcommit. */
#include <errno.h>
#include <sys/mman.h>

#include "softmmu/options.gen.h"
#include "softmmu/system.h"

/* ---- -overcommit ---- */

/* mlockall(2): guest memory is mapped by now, and MCL_FUTURE takes what is mapped later. */
static bool lock_memory(const OvercommitOption *o, Error **errp)
{
    int flags = MCL_CURRENT | MCL_FUTURE | (o->mem_lock == MEM_LOCK_ON_FAULT ? MCL_ONFAULT : 0);

    if (!o->has_mem_lock || o->mem_lock == MEM_LOCK_OFF) {
        return true;
    }
    if (mlockall(flags) < 0) {
        error_set_errno(errp, errno, "mem-lock=%s: the host does not lock the memory", qtype_enum_name(&qtype_MemLock, o->mem_lock));
        return error_hint(errp, "ulimit -l says how much it may be, CAP_IPC_LOCK has no limit");
    }
    return true;
}

bool confine_memory(System *s, Error **errp)
{
    QOptionRecord *r = option_record(s, "overcommit");
    OvercommitOption o;

    if (!r) {
        return true;
    }
    if (!qoption_read(r, &o, NULL, errp)) {
        return prefix_origin(r, errp);
    }
    if (o.has_cpu_pm && o.cpu_pm) {
        error_set(errp, "cpu-pm=on needs an accelerator that runs the guest on the host's processors; cpu-pm=off is what there is");
        return prefix_origin(r, errp);
    }
    return lock_memory(&o, errp) ? true : prefix_origin(r, errp);
}
