/* System calls by syscalls.def, and those that need little: docs/linux-user.md, System calls. */
#include <asm/prctl.h>
#include <errno.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>

#include "linux-user/linux-user.h"
#include "util/log.h"

typedef struct {
    const char *name, *args;
    UserSyscallFn *fn;     /* NULL: passed, or refused with err */
    int err;
} Syscall;

static const Syscall syscalls[] = {
#define PASS(nr, name, args) [nr] = { #name, args, NULL, 0 },
#define OURS(nr, name, args) [nr] = { #name, args, sys_##name, 0 },
#define NO(nr, name, args, err) [nr] = { #name, args, NULL, err },
#include "linux-user/syscalls.def"
#undef PASS
#undef OURS
#undef NO
};

/* Pages with code -------------------------------------------------------------------- */

static void lift_iovec(UserThread *t, uint64_t at, uint64_t n)
{
    struct iovec v;

    for (uint64_t i = 0; i < n && i < 1024 && user_get(at + i * sizeof(v), &v, sizeof(v)); i++) {
        user_lift_range(t->p, (uintptr_t)v.iov_base, v.iov_len);
    }
}

/* What the kernel will write: pages of it that hold code are made writable first. */
static void lift(UserThread *t, const Syscall *s, const uint64_t a[6])
{
    struct msghdr m;

    for (unsigned n = 0; s->args[n]; n++) {
        if (s->args[n] == 'B') {
            user_lift_range(t->p, a[n], a[n + 1]);
        } else if (s->args[n] == 'V') {
            lift_iovec(t, a[n], a[n + 1]);
        } else if (s->args[n] == 'M' && user_get(a[n], &m, sizeof(m))) {
            user_lift_range(t->p, a[n], sizeof(m));
            user_lift_range(t->p, (uintptr_t)m.msg_name, m.msg_namelen);
            user_lift_range(t->p, (uintptr_t)m.msg_control, m.msg_controllen);
            lift_iovec(t, (uintptr_t)m.msg_iov, m.msg_iovlen);
        } else if (s->args[n] == 'p') {
            user_lift_range(t->p, a[n], 256); /* structures; larger ones are found by EFAULT */
        }
    }
}

static int64_t pass(UserThread *t, uint64_t nr, const uint64_t a[6])
{
    int64_t r = user_syscall(&t->attention, nr, a);

    if (r == -EFAULT && atomic_load(&t->p->map.num_watched)) {
        user_lift_range(t->p, 0, USER_ADDRESS_END);
        r = user_syscall(&t->attention, nr, a);
    }
    return r;
}

/* Dispatch ----------------------------------------------------------------------------- */

static int64_t dispatch(UserThread *t, const Syscall *s, uint64_t nr, const uint64_t a[6])
{
    if (t->p->seccomp_strict && nr != SYS_read && nr != SYS_write && nr != SYS_exit && nr != SYS_rt_sigreturn) {
        user_die(t, SIGKILL);
    }
    if (atomic_load(&t->p->map.num_watched)) {
        lift(t, s, a);
    }
    if (s->fn) {
        return s->fn(t, a);
    }
    if (s->err) {
        log_unimp("system call", "%s", s->name);
        return -s->err;
    }
    return pass(t, nr, a);
}

int64_t user_do_syscall(UserThread *t, uint64_t nr, const uint64_t a[6])
{
    static const Syscall none = { "", "xxxxxx", NULL, ENOSYS };
    const Syscall *s = nr < sizeof(syscalls) / sizeof(syscalls[0]) && syscalls[nr].name ? &syscalls[nr] : &none;
    bool strace = log_enabled(LOG_STRACE) && s != &none;
    int64_t r;

    if (strace) {
        user_strace_before(t, s->name, s->args, a);
    }
    r = dispatch(t, s, nr, a);
    if (strace) {
        user_strace_after(t, s->args, a, r);
    }
    return r;
}

/* Small ones ------------------------------------------------------------------------------- */

int64_t sys_arch_prctl(UserThread *t, const uint64_t a[6])
{
    X86State *st = &t->cpu->st;

    switch (a[0]) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (a[1] >= USER_ADDRESS_END) {
            return -EPERM;
        }
        st->seg[a[0] == ARCH_SET_FS ? S_FS : S_GS].base = a[1];
        st->seg[a[0] == ARCH_SET_FS ? S_FS : S_GS].selector = 0;
        return 0;
    case ARCH_GET_FS:
        return user_put(a[1], &st->seg[S_FS].base, 8) ? 0 : -EFAULT;
    case ARCH_GET_GS:
        return user_put(a[1], &st->seg[S_GS].base, 8) ? 0 : -EFAULT;
    case ARCH_GET_CPUID:
        return 1;
    case ARCH_SET_CPUID:
        return -ENODEV;
    default:
        log_unimp("arch_prctl", "0x%llx", (unsigned long long)a[0]);
        return -EINVAL;
    }
}

/* Those that would change the process under the emulator are refused; what a filter would be is not translated. */
int64_t sys_prctl(UserThread *t, const uint64_t a[6])
{
    switch ((int)a[0]) {
    case PR_SET_SECCOMP:
        if (a[1] == SECCOMP_MODE_STRICT) {
            t->p->seccomp_strict = true;
            return 0;
        }
        log_unimp("prctl", "seccomp filters");
        return -EINVAL;
    case PR_GET_SECCOMP:
        return 0;
    case PR_SET_MM:
        log_unimp("prctl", "PR_SET_MM");
        return -EPERM;
    case PR_SET_SYSCALL_USER_DISPATCH:
    case PR_SET_TSC:
        log_unimp("prctl", "%d", (int)a[0]);
        return -EINVAL;
    default:
        return pass(t, SYS_prctl, a);
    }
}

int64_t sys_seccomp(UserThread *t, const uint64_t a[6])
{
    if (a[0] == SECCOMP_SET_MODE_STRICT && !a[1] && !a[2]) {
        t->p->seccomp_strict = true;
        return 0;
    }
    if (a[0] == SECCOMP_SET_MODE_FILTER) {
        log_unimp("seccomp", "filters");
        return -EINVAL;
    }
    return pass(t, SYS_seccomp, a);
}

int64_t sys_uname(UserThread *t, const uint64_t a[6])
{
    struct utsname u;

    if (!t->p->config.uname) {
        return pass(t, SYS_uname, a);
    }
    if (uname(&u) < 0) {
        return -errno;
    }
    snprintf(u.release, sizeof(u.release), "%s", t->p->config.uname);
    return user_put(a[0], &u, sizeof(u)) ? 0 : -EFAULT;
}

/* What the emulator itself takes of address space is not the guest's: the host's limit is higher by this. */
#define OWN_SPACE (1ull << 30)

static bool is_space(uint64_t resource)
{
    return (uint32_t)resource == RLIMIT_AS || (uint32_t)resource == RLIMIT_DATA;
}

static uint64_t to_host(uint64_t v)
{
    return v < RLIM_INFINITY - OWN_SPACE ? v + OWN_SPACE : RLIM_INFINITY;
}

static uint64_t to_guest(uint64_t v)
{
    return v == RLIM_INFINITY ? v : v > OWN_SPACE ? v - OWN_SPACE : v;
}

static int64_t limits(UserThread *t, uint64_t pid, uint64_t resource, uint64_t new_at, uint64_t old_at)
{
    uint64_t new[2] = { 0 }, old[2];
    int64_t r;

    if (new_at && !user_get(new_at, new, 16)) {
        return -EFAULT;
    }
    new[0] = to_host(new[0]);
    new[1] = to_host(new[1]);
    r = user_raw_syscall(SYS_prlimit64, pid, resource, new_at ? (uintptr_t)new : 0, (uintptr_t)old, 0, 0);
    if (r < 0 || !old_at) {
        return r;
    }
    old[0] = to_guest(old[0]);
    old[1] = to_guest(old[1]);
    return user_put(old_at, old, 16) ? 0 : -EFAULT;
}

int64_t sys_prlimit64(UserThread *t, const uint64_t a[6])
{
    return is_space(a[1]) ? limits(t, a[0], a[1], a[2], a[3]) : pass(t, SYS_prlimit64, a);
}

int64_t sys_setrlimit(UserThread *t, const uint64_t a[6])
{
    return !is_space(a[0]) ? pass(t, SYS_setrlimit, a) : a[1] ? limits(t, 0, a[0], a[1], 0) : -EFAULT;
}

int64_t sys_getrlimit(UserThread *t, const uint64_t a[6])
{
    return !is_space(a[0]) ? pass(t, SYS_getrlimit, a) : a[1] ? limits(t, 0, a[0], 0, a[1]) : -EFAULT;
}

/* Signals of faults that wait are with us. */
int64_t sys_rt_sigtimedwait(UserThread *t, const uint64_t a[6])
{
    uint64_t set;

    if (a[3] == 8 && user_get(a[0], &set, 8) && (t->pending & t->mask & set)) {
        int sig = __builtin_ctzll(t->pending & t->mask & set) + 1;

        t->pending &= ~user_sigbit(sig);
        return a[1] && !user_put(a[1], &t->info[sig], sizeof(siginfo_t)) ? -EFAULT : sig;
    }
    return pass(t, SYS_rt_sigtimedwait, a);
}

/* There is no descriptor table but the flat one: reading finds none. */
int64_t sys_modify_ldt(UserThread *t, const uint64_t a[6])
{
    if ((int)a[0] == 0) {
        return 0;
    }
    log_unimp("modify_ldt", "segments of a 64-bit process");
    return -EINVAL;
}
