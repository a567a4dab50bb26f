/* Dispositions, masks and delivery of signals: docs/linux-user.md, Signals. Numbers and structures: Linux UAPI asm/signal.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux-user/linux-user.h"
#include "util/log.h"

enum { SA_RESTORER_ = 0x04000000 };
#define UNBLOCKABLE (user_sigbit(SIGKILL) | user_sigbit(SIGSTOP))
#define HANDLER_DFL 0
#define HANDLER_IGN 1

static void set_host_mask(uint64_t mask)
{
    user_raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, (uintptr_t)&mask, 0, 8, 0, 0);
}

void user_block_all(UserThread *t)
{
    set_host_mask(~user_sync_signals);
    t->host_all_blocked = true;
}

void user_sync_mask(UserThread *t)
{
    t->host_all_blocked = false; /* before: from the next instruction on a handler may set it again */
    set_host_mask(t->mask & ~user_sync_signals);
}

extern void user_restorer(void) __attribute__((visibility("hidden")));
__asm__(".pushsection .text\n.globl user_restorer\n.hidden user_restorer\nuser_restorer:\nmov $15, %eax\nsyscall\n.popsection\n");

/* Raw: libc keeps two of the signals to itself. */
static int64_t host_action(int sig, uint64_t handler, uint64_t flags, uint64_t mask)
{
    UserSigaction sa = { handler, flags | SA_RESTORER_, (uintptr_t)user_restorer, mask };

    return user_raw_syscall(SYS_rt_sigaction, (uint64_t)sig, (uintptr_t)&sa, 0, 8, 0, 0);
}

static void host_handler(int sig, uint64_t guest_flags)
{
    uint64_t flags = SA_SIGINFO | SA_RESTART | (guest_flags & (SA_NOCLDSTOP | SA_NOCLDWAIT));
    bool sync = user_sync_signals & user_sigbit(sig);

    host_action(sig, (uintptr_t)user_on_signal, sync ? flags | SA_NODEFER : flags, ~user_sync_signals);
}

/* The host's disposition for the guest's. */
static void set_host(int sig, const UserSigaction *sa)
{
    if (user_sync_signals & user_sigbit(sig)) {
        return;
    }
    if (sa->handler == HANDLER_DFL || sa->handler == HANDLER_IGN) {
        host_action(sig, sa->handler, sa->flags & (SA_NOCLDSTOP | SA_NOCLDWAIT), 0);
    } else {
        host_handler(sig, sa->flags);
    }
}

/* At the start: ignored signals and the mask are inherited. */
void user_faults_init(UserProcess *p)
{
    pthread_mutex_init(&p->signals.lock, NULL);
    for (int sig = 1; sig <= USER_NSIG; sig++) {
        UserSigaction sa = { 0 };

        user_raw_syscall(SYS_rt_sigaction, (uint64_t)sig, 0, (uintptr_t)&sa, 8, 0, 0);
        p->signals.action[sig].handler = sa.handler == HANDLER_IGN ? HANDLER_IGN : HANDLER_DFL;
        if (user_sync_signals & user_sigbit(sig)) {
            host_handler(sig, 0);
        }
    }
}

void user_signals_init(UserThread *t)
{
    user_raw_syscall(SYS_rt_sigprocmask, SIG_BLOCK, 0, (uintptr_t)&t->mask, 8, 0, 0);
    t->altstack.flags = SS_DISABLE;
    user_sync_mask(t);
}

/* Before execve: what it keeps is the mask and what is ignored. undo: it failed. */
void user_signals_exec(UserThread *t, bool undo)
{
    if (undo) {
        user_sync_mask(t);
    } else {
        user_block_all(t);
    }
    for (int sig = 1; sig <= USER_NSIG; sig++) {
        if (user_sync_signals & user_sigbit(sig)) {
            if (undo) {
                host_handler(sig, 0);
            } else if (t->signals->action[sig].handler == HANDLER_IGN) {
                host_action(sig, HANDLER_IGN, 0, 0);
            }
        }
    }
    if (!undo) {
        set_host_mask(t->mask);
    }
}

/* The end by a signal ---------------------------------------------------------------- */

void user_die(UserThread *t, int sig)
{
    uint64_t mask = ~user_sigbit(sig);
    const char *name = strsignal(sig);

    user_gdb_exit(t, 0, sig);
    if (user_sync_signals & user_sigbit(sig)) {
        struct rlimit none = { 0, 0 };

        fprintf(stderr, "qemu: uncaught target signal %d (%s) - core dumped\n", sig, name ? name : "?");
        setrlimit(RLIMIT_CORE, &none); /* the core would be the emulator's */
    }
    for (;;) {
        host_action(sig, HANDLER_DFL, 0, 0);
        user_raw_syscall(SYS_tgkill, (uint64_t)getpid(), (uint64_t)user_raw_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0), (uint64_t)sig, 0,
                         0, 0);
        set_host_mask(mask);
    }
}

void user_force_signal(UserThread *t, const siginfo_t *info)
{
    int sig = info->si_signo;
    uint64_t bit = user_sigbit(sig), handler = t->signals->action[sig].handler;

    log_item(LOG_INT, "exception: signal %d code %d address %p at 0x%" PRIx64 ", trap %" PRIu64 " error 0x%" PRIx64 "\n", sig,
             info->si_code, info->si_addr, t->cpu->st.rip, t->trap_no, t->trap_err);
    if (user_gdb_wants(t, sig) && user_gdb_stop(t, sig, true) == 0) {
        return; /* gdb keeps it */
    }
    if ((t->mask & bit) || handler == HANDLER_IGN || handler == HANDLER_DFL) {
        user_die(t, sig);
    }
    if (!t->host_all_blocked) {
        user_block_all(t);
    }
    t->info[sig] = *info;
    t->pending |= bit;
    atomic_store(&t->attention, 1);
}

/* Delivery ------------------------------------------------------------------------------ */

static int next_signal(uint64_t pending)
{
    uint64_t sync = pending & user_sync_signals;

    return __builtin_ctzll(sync ? sync : pending) + 1;
}

static UserSigaction take_action(UserThread *t, int sig)
{
    UserSigaction sa;

    pthread_mutex_lock(&t->signals->lock);
    sa = t->signals->action[sig];
    if ((sa.flags & SA_RESETHAND) && sa.handler > HANDLER_IGN) {
        t->signals->action[sig].handler = HANDLER_DFL;
        set_host(sig, &t->signals->action[sig]);
    }
    pthread_mutex_unlock(&t->signals->lock);
    return sa;
}

/* The host decides, or keeps it while it is blocked. */
static void hand_back(UserThread *t, int sig)
{
    user_raw_syscall(SYS_rt_tgsigqueueinfo, (uint64_t)getpid(), (uint64_t)t->tid, (uint64_t)sig, (uintptr_t)&t->info[sig], 0, 0);
}

/* 13 of signal(7): what a system call answers that a handler interrupts. */
static void interrupted(UserThread *t, const UserSigaction *sa)
{
    if (t->restart && (sa->flags & SA_RESTART)) {
        user_restart(t);
    } else if (t->restart) {
        t->restart = false;
        t->cpu->st.gpr[R_RAX] = (uint64_t)-EINTR;
    }
}

static void deliver_one(UserThread *t, int sig)
{
    UserSigaction sa;
    uint64_t old = t->has_saved_mask ? t->saved_mask : t->mask;

    if (sig == SIGTRAP && atomic_exchange(&t->p->gdb_break, 0)) {
        user_gdb_stop(t, SIGINT, true);
        return;
    }
    if (!(user_sync_signals & user_sigbit(sig)) && user_gdb_wants(t, sig)) {
        sig = user_gdb_stop(t, sig, true);
        if (!sig) {
            return;
        }
    }
    sa = take_action(t, sig);
    if (sa.handler == HANDLER_IGN) {
        return;
    }
    if (sa.handler == HANDLER_DFL) {
        if (user_sync_signals & user_sigbit(sig)) {
            user_die(t, sig);
        }
        hand_back(t, sig);
        return;
    }
    interrupted(t, &sa);
    t->has_saved_mask = false;
    if (!user_frame_push(t, sig, &sa, old)) {
        user_die(t, SIGSEGV);
    }
    t->mask |= sa.mask | (sa.flags & SA_NODEFER ? 0 : user_sigbit(sig));
    t->mask &= ~UNBLOCKABLE;
    if (!(user_sync_signals & user_sigbit(sig))) {
        t->trap_no = t->trap_err = 0;
    }
}

void user_deliver(UserThread *t)
{
    uint64_t blocked;

    if (!t->host_all_blocked) {
        user_block_all(t);
    }
    atomic_store(&t->attention, 0);
    while (t->pending & ~t->mask) {
        int sig = next_signal(t->pending & ~t->mask);

        t->pending &= ~user_sigbit(sig);
        deliver_one(t, sig);
    }
    blocked = t->pending & ~user_sync_signals;
    while (blocked) {
        int sig = next_signal(blocked);

        blocked &= ~user_sigbit(sig);
        t->pending &= ~user_sigbit(sig);
        hand_back(t, sig);
    }
    if (t->has_saved_mask) {
        t->mask = t->saved_mask;
        t->has_saved_mask = false;
    }
    if (t->restart) {
        user_restart(t);
    }
    user_sync_mask(t);
}

/* System calls ------------------------------------------------------------------------------ */

/* Signals of faults that wait for being unblocked are with us, not with the kernel. */
static void changed_mask(UserThread *t)
{
    if (t->pending & ~t->mask) {
        atomic_store(&t->attention, 1);
    }
    user_sync_mask(t);
}

int64_t sys_rt_sigprocmask(UserThread *t, const uint64_t a[6])
{
    uint64_t set, old = t->mask;

    if (a[3] != 8) {
        return -EINVAL;
    }
    if (a[1]) {
        if (!user_get(a[1], &set, 8)) {
            return -EFAULT;
        }
        if ((int)a[0] != SIG_BLOCK && (int)a[0] != SIG_UNBLOCK && (int)a[0] != SIG_SETMASK) {
            return -EINVAL;
        }
        t->mask = (int)a[0] == SIG_BLOCK ? old | set : (int)a[0] == SIG_UNBLOCK ? old & ~set : set;
        t->mask &= ~UNBLOCKABLE;
        changed_mask(t);
    }
    return a[2] && !user_put(a[2], &old, 8) ? -EFAULT : 0;
}

int64_t sys_rt_sigaction(UserThread *t, const uint64_t a[6])
{
    int sig = (int)a[0];
    UserSigaction new, old;

    if (a[3] != 8 || sig < 1 || sig > USER_NSIG || (a[1] && (sig == SIGKILL || sig == SIGSTOP))) {
        return -EINVAL;
    }
    if (a[1] && !user_get(a[1], &new, sizeof(new))) {
        return -EFAULT;
    }
    pthread_mutex_lock(&t->signals->lock);
    old = t->signals->action[sig];
    if (a[1]) {
        new.mask &= ~UNBLOCKABLE;
        t->signals->action[sig] = new;
        set_host(sig, &new);
    }
    pthread_mutex_unlock(&t->signals->lock);
    return a[2] && !user_put(a[2], &old, sizeof(old)) ? -EFAULT : 0;
}

int64_t sys_rt_sigpending(UserThread *t, const uint64_t a[6])
{
    uint64_t set = 0;
    int64_t r;

    if (a[1] > 8) {
        return -EINVAL;
    }
    r = user_raw_syscall(SYS_rt_sigpending, (uintptr_t)&set, 8, 0, 0, 0, 0);
    set |= t->pending & t->mask;
    return r < 0 ? r : user_put(a[0], &set, a[1]) ? 0 : -EFAULT;
}

static bool on_stack(const UserThread *t, const UserStack *s)
{
    uint64_t sp = t->cpu->st.gpr[R_RSP];

    return !(s->flags & SS_DISABLE) && sp > s->sp && sp - s->sp <= s->size;
}

int64_t sys_sigaltstack(UserThread *t, const uint64_t a[6])
{
    enum { AUTODISARM = (int)0x80000000, MIN = 2048 };
    UserStack new, old = t->altstack;

    if (!(old.flags & SS_DISABLE)) {
        old.flags |= !(old.flags & AUTODISARM) && on_stack(t, &t->altstack) ? SS_ONSTACK : 0;
    }
    if (a[0]) {
        int mode;

        if (!user_get(a[0], &new, sizeof(new))) {
            return -EFAULT;
        }
        if (!(t->altstack.flags & AUTODISARM) && on_stack(t, &t->altstack)) {
            return -EPERM;
        }
        mode = new.flags & ~AUTODISARM;
        if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0) {
            return -EINVAL;
        }
        if (mode == SS_DISABLE) {
            new.sp = new.size = 0;
        } else if (new.size < MIN) {
            return -ENOMEM;
        }
        new.flags &= ~SS_ONSTACK;
        new.pad = 0;
        t->altstack = new;
    }
    return a[1] && !user_put(a[1], &old, sizeof(old)) ? -EFAULT : 0;
}

/* Calls that wait with another mask: the frame of a handler that ends them has the mask of before. */
static int64_t wait_with_mask(UserThread *t, uint64_t nr, const uint64_t a[6], uint64_t mask_addr)
{
    uint64_t mask;
    int64_t r;

    if (!mask_addr) {
        return user_syscall(&t->attention, nr, a);
    }
    if (!user_get(mask_addr, &mask, 8)) {
        return -EFAULT;
    }
    t->saved_mask = t->mask;
    t->has_saved_mask = true;
    t->mask = mask & ~UNBLOCKABLE;
    if (t->pending & ~t->mask) {
        atomic_store(&t->attention, 1);
    }
    r = user_syscall(&t->attention, nr, a);
    if (!atomic_load(&t->attention)) {
        t->mask = t->saved_mask;
        t->has_saved_mask = false;
    }
    return r;
}

int64_t sys_rt_sigsuspend(UserThread *t, const uint64_t a[6])
{
    int64_t r = a[1] == 8 ? wait_with_mask(t, SYS_rt_sigsuspend, a, a[0]) : -EINVAL;

    return r == -USER_RESTART ? -EINTR : r; /* it was not begun because its signal is here */
}

int64_t sys_ppoll(UserThread *t, const uint64_t a[6])
{
    return a[3] && a[4] != 8 ? -EINVAL : wait_with_mask(t, SYS_ppoll, a, a[3]);
}

int64_t sys_epoll_pwait(UserThread *t, const uint64_t a[6])
{
    return a[4] && a[5] != 8 ? -EINVAL : wait_with_mask(t, SYS_epoll_pwait, a, a[4]);
}

int64_t sys_epoll_pwait2(UserThread *t, const uint64_t a[6])
{
    return a[4] && a[5] != 8 ? -EINVAL : wait_with_mask(t, SYS_epoll_pwait2, a, a[4]);
}

int64_t sys_pselect6(UserThread *t, const uint64_t a[6])
{
    uint64_t with[2] = { 0, 8 };

    if (a[5] && !user_get(a[5], with, 16)) {
        return -EFAULT;
    }
    return with[0] && with[1] != 8 ? -EINVAL : wait_with_mask(t, SYS_pselect6, a, with[0]);
}

int64_t sys_rt_sigreturn(UserThread *t, const uint64_t a[6])
{
    return user_frame_pop(t);
}
