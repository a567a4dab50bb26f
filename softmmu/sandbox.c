/*
 * -sandbox: a filter of system calls, as the kernel's Documentation/userspace-api/seccomp_filter.rst describes it: a program
 * of classic BPF over struct seccomp_data. The calls are in sandbox.def. A denied one ends the process; of set RESOURCE it fails.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "softmmu/sandbox.h"

enum { SET_ALWAYS, SET_OBSOLETE, SET_ELEVATE, SET_SPAWN, SET_RESOURCE };

static const struct {
    int set;
    uint32_t number;
} calls[] = {
#define DENY(set, name) { SET_##set, SYS_##name },
#include "softmmu/sandbox.def"
#undef DENY
};

enum { NUM_CALLS = sizeof(calls) / sizeof(*calls), X32_BIT = 0x40000000 };

typedef struct {
    struct sock_filter code[NUM_CALLS * 2 + 32];
    unsigned short len;
} Filter;

static void op(Filter *f, uint16_t code, uint32_t k)
{
    f->code[f->len++] = (struct sock_filter)BPF_STMT(code, k);
}

/* If the value loaded is k (or has a bit of k): what follows, else `skip` instructions further. */
static void unless_skip(Filter *f, uint16_t test, uint32_t k, uint8_t skip)
{
    f->code[f->len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, k, 0, skip);
}

static void load(Filter *f, size_t offset)
{
    op(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

/* Threads are made by clone with CLONE_THREAD. The flags of clone3 are in memory, where a filter cannot look: libraries try clone
 * when it is not there. */
static void deny_processes(Filter *f)
{
    unless_skip(f, BPF_JEQ, SYS_clone3, 1);
    op(f, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    unless_skip(f, BPF_JEQ, SYS_clone, 4);
    load(f, offsetof(struct seccomp_data, args[0]));
    unless_skip(f, BPF_JSET, CLONE_THREAD, 1);
    op(f, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    op(f, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
}

static void make_filter(Filter *f, const SandboxOption *o)
{
    const bool denied[] = {
        [SET_ALWAYS] = true, [SET_OBSOLETE] = o->obsolete == SANDBOX_RULE_DENY,
        [SET_ELEVATE] = o->elevateprivileges != SANDBOX_ELEVATE_ALLOW, [SET_SPAWN] = o->spawn == SANDBOX_RULE_DENY,
        [SET_RESOURCE] = o->resourcecontrol == SANDBOX_RULE_DENY,
    };

    load(f, offsetof(struct seccomp_data, arch));
    f->code[f->len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    op(f, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS); /* numbers mean other calls there */
    load(f, offsetof(struct seccomp_data, nr));
    unless_skip(f, BPF_JGE, X32_BIT, 1);
    op(f, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    for (int i = 0; i < NUM_CALLS; i++) {
        if (denied[calls[i].set]) {
            unless_skip(f, BPF_JEQ, calls[i].number, 1);
            op(f, BPF_RET | BPF_K, calls[i].set == SET_RESOURCE ? SECCOMP_RET_ERRNO | EPERM : SECCOMP_RET_KILL_PROCESS);
        }
    }
    if (denied[SET_SPAWN]) {
        deny_processes(f);
    }
    op(f, BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
}

bool sandbox_install(const SandboxOption *o, Error **errp)
{
    Filter f = { .len = 0 };
    struct sock_fprog program = { .filter = f.code };

    make_filter(&f, o);
    program.len = f.len;
    /* Without privileges a filter may only be set by who will not get any. TSYNC: threads that there are already get it too. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0) {
        return error_set_errno(errp, errno, "the host does not take the filter of system calls");
    }
    return true;
}
