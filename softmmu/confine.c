/* What the process is on the host and what it holds of it: -overcommit, -run-with, -sandbox. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "softmmu/sandbox.h"
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

/* ---- -run-with ---- */

typedef struct {
    uid_t uid;
    gid_t gid;
    const char *name; /* for its further groups; NULL: none */
} User;

/* A name, or UID:GID. */
static bool find_user(const char *text, User *out, Error **errp)
{
    unsigned long uid, gid;
    char rest;
    const struct passwd *pw = getpwnam(text);

    if (pw) {
        *out = (User){ pw->pw_uid, pw->pw_gid, text };
        return true;
    }
    if (sscanf(text, "%lu:%lu%c", &uid, &gid, &rest) == 2 && uid < UINT32_MAX && gid < UINT32_MAX) {
        *out = (User){ (uid_t)uid, (gid_t)gid, NULL };
        return true;
    }
    return error_set(errp, "User \"%s\" doesn't exist (and is not <uid>:<gid>)", text);
}

static bool become(const User *u, Error **errp)
{
    if (setgid(u->gid) < 0) {
        return error_set_errno(errp, errno, "Failed to setgid(%u)", (unsigned)u->gid);
    }
    if ((u->name ? initgroups(u->name, u->gid) : setgroups(1, &u->gid)) < 0) {
        return error_set_errno(errp, errno, "Failed to set the groups of user %u", (unsigned)u->uid);
    }
    if (setuid(u->uid) < 0) {
        return error_set_errno(errp, errno, "Failed to setuid(%u)", (unsigned)u->uid);
    }
    if (u->uid && setuid(0) != -1) {
        return error_set(errp, "Dropping privileges failed");
    }
    return true;
}

static bool apply_run_with(const RunWithOption *o, Error **errp)
{
    User user = { 0 };

    if (o->has_async_teardown && o->async_teardown) {
        return error_set(errp, "async-teardown=on is not here; the host takes the memory back when the process ends");
    }
    if (o->user && !find_user(o->user, &user, errp)) { /* while there is the host's list of users */
        return false;
    }
    if (o->chroot && (chroot(o->chroot) < 0 || chdir("/") < 0)) {
        return error_set_errno(errp, errno, "chroot failed: '%s'", o->chroot);
    }
    return !o->user || become(&user, errp);
}

bool confine_process(System *s, Error **errp)
{
    QOptionRecord *r = option_record(s, "run-with");
    RunWithOption o;
    bool ok;

    if (!r) {
        return true;
    }
    if (!qoption_read(r, &o, NULL, errp)) {
        return prefix_origin(r, errp);
    }
    ok = apply_run_with(&o, errp);
    qvalue_finish(r->option->args, &o, NULL);
    return ok ? true : prefix_origin(r, errp);
}

/* ---- -sandbox ---- */

bool confine_calls(System *s, bool before_machine, Error **errp)
{
    QOptionRecord *r = option_record(s, "sandbox"), *run_with = option_record(s, "run-with");
    SandboxOption o;

    if (!r || (!before_machine && !run_with)) {
        return true;
    }
    if (!qoption_read(r, &o, NULL, errp)) {
        return prefix_origin(r, errp);
    }
    if (before_machine && run_with) {
        o.elevateprivileges = SANDBOX_ELEVATE_ALLOW; /* until -run-with has changed the user */
    }
    return !o.enable || sandbox_install(&o, errp) ? true : prefix_origin(r, errp);
}
