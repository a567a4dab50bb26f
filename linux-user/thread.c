/*
 * clone, fork, vfork, the ends of threads and processes: what each mix of flags becomes is in docs/linux-user.md. clone(2).
 */
#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux-user/linux-user.h"
#include "target/i386/fp-helpers.h"
#include "util/disas.h"
#include "util/log.h"
#include "util/sanitize.h"
#include "util/thread.h"

enum { HOST_STACK = 256 << 10 };
#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

UserThread *user_thread_new(UserProcess *p, Error **errp)
{
    UserThread *t = calloc(1, sizeof(*t));

    if (!t) {
        error_set(errp, "thread: no memory");
        return NULL;
    }
    t->p = p;
    t->signals = &p->signals;
    t->exc_vector = EXC_NONE;
    t->altstack.flags = SS_DISABLE;
    t->ctx = tcg_context_new(p->cache, errp);
    t->cpu = t->ctx ? tcg_state_new(p->cache, errp) : NULL;
    if (!t->cpu) {
        tcg_context_free(t->ctx);
        free(t);
        return NULL;
    }
    pthread_mutex_lock(&p->threads_lock);
    t->next = p->threads;
    p->threads = t;
    p->num_threads++;
    pthread_mutex_unlock(&p->threads_lock);
    return t;
}

void user_thread_free(UserThread *t)
{
    UserProcess *p = t->p;

    pthread_mutex_lock(&p->threads_lock);
    for (UserThread **o = &p->threads; *o; o = &(*o)->next) {
        if (*o == t) {
            *o = t->next;
            break;
        }
    }
    p->num_threads--;
    pthread_mutex_unlock(&p->threads_lock);
    tcg_state_free(p->cache, t->cpu);
    tcg_context_free(t->ctx);
    disas_free(t->disas);
    free(t);
}

/* The ends ---------------------------------------------------------------------------- */

static void clear_tid(UserThread *t)
{
    uint32_t zero = 0;

    if (t->clear_tid && user_put(t->clear_tid, &zero, 4)) {
        user_raw_syscall(SYS_futex, t->clear_tid, FUTEX_WAKE, 1, 0, 0, 0);
    }
}

static _Noreturn void exit_process(uint64_t nr, uint64_t status)
{
    for (;;) {
        user_raw_syscall(nr, status, 0, 0, 0, 0, 0);
    }
}

int64_t sys_exit_group(UserThread *t, const uint64_t a[6])
{
    if (!t->vfork_child) {
        user_gdb_exit(t, (int)a[0], 0);
    }
    exit_process(SYS_exit_group, a[0]);
}

/* The first thread's host thread may end before others; libc's thread ends where it began. */
int64_t sys_exit(UserThread *t, const uint64_t a[6])
{
    bool alone;

    pthread_mutex_lock(&t->p->threads_lock);
    alone = t->p->num_threads == 1;
    pthread_mutex_unlock(&t->p->threads_lock);
    if (alone || t->vfork_child) {
        if (alone) {
            user_gdb_exit(t, (int)a[0], 0);
        }
        exit_process(SYS_exit_group, a[0]);
    }
    user_block_all(t);
    clear_tid(t);
    if (t->first) {
        user_thread_free(t);
        exit_process(SYS_exit, a[0]);
    }
    t->ended = true;
    return -USER_NO_RESULT;
}

/* Threads ------------------------------------------------------------------------------- */

typedef struct {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
} CloneArgs; /* struct clone_args */

typedef struct {
    UserThread *t;
    const CloneArgs *args;
    Event ready;
    pid_t tid;             /* t may be gone when the parent goes on */
} Start;

/* What a child of either kind finds in its registers. */
static void child_registers(UserThread *t, const CloneArgs *c)
{
    t->cpu->st.gpr[R_RAX] = 0;
    if (c->stack) {
        t->cpu->st.gpr[R_RSP] = c->stack + c->stack_size;
    }
    if (c->flags & CLONE_SETTLS) {
        t->cpu->st.seg[S_FS].base = c->tls;
    }
}

static void *thread_main(void *arg)
{
    Start *s = arg;
    UserThread *t = s->t;
    const CloneArgs *c = s->args;
    uint32_t tid = (uint32_t)user_raw_syscall(SYS_gettid, 0, 0, 0, 0, 0, 0);

    t->tid = s->tid = (pid_t)tid;
    user_current = t;
    if (c->flags & CLONE_PARENT_SETTID) {
        user_put(c->parent_tid, &tid, 4);
    }
    if (c->flags & CLONE_CHILD_SETTID) {
        user_put(c->child_tid, &tid, 4);
    }
    t->clear_tid = c->flags & CLONE_CHILD_CLEARTID ? c->child_tid : 0;
    x86_fpu_load(t->cpu);
    event_set(&s->ready);
    user_sync_mask(t);
    user_loop(t);
    user_current = NULL;
    user_thread_free(t);
    return NULL;
}

static int64_t new_thread(UserThread *t, const CloneArgs *c)
{
    UserThread *n = user_thread_new(t->p, NULL);
    Start s = { .t = n, .args = c };
    pthread_attr_t attr;
    pthread_t id;
    int err;

    if (!n) {
        return -EAGAIN;
    }
    user_save_fpu(t);
    user_cpu_init(n->cpu, t->p);
    n->cpu->st = t->cpu->st;
    x86_update_key(n->cpu);
    user_cpu_go(n->cpu, t->cpu->st.rip);
    child_registers(n, c);
    n->mask = t->mask;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, HOST_STACK);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    user_block_all(t);
    err = pthread_create(&id, &attr, thread_main, &s);
    pthread_attr_destroy(&attr);
    if (err) {
        user_thread_free(n);
    } else {
        event_wait(&s.ready);
    }
    user_sync_mask(t);
    return err ? -EAGAIN : s.tid;
}

/* Processes ---------------------------------------------------------------------------------- */

static void forget_others(UserThread *t)
{
    UserProcess *p = t->p;

    for (UserThread *o = p->threads, *next; o; o = next) {
        next = o->next;
        if (o != t) {
            tcg_state_free(p->cache, o->cpu);
            tcg_context_free(o->ctx);
            free(o);
        }
    }
    p->threads = t;
    t->next = NULL;
    p->num_threads = 1;
    t->first = true;
}

static void child_of_fork(UserThread *t, const CloneArgs *c)
{
    Error *err = NULL;

    thread_after_fork_child();
    t->tid = getpid();
    t->p->stop = 0;
    if (!tcg_fork_child(t->p->cache, &err)) {
        error_report_free(err);
        exit_process(SYS_exit_group, 127);
    }
    pthread_mutex_init(&t->p->map.lock, NULL);
    pthread_mutex_init(&t->p->threads_lock, NULL);
    pthread_mutex_init(&t->signals->lock, NULL);
    forget_others(t);
    user_gdb_fork_child(t->p);
    t->slot = NULL;
    t->pending = 0;
    t->clear_tid = c->flags & CLONE_CHILD_CLEARTID ? c->child_tid : 0;
    child_registers(t, c);
    if (c->flags & CLONE_CHILD_SETTID) {
        uint32_t tid = (uint32_t)t->tid;
        user_put(c->child_tid, &tid, 4);
    }
}

/* Flags that libc's fork cannot say. */
static int64_t raw_clone(const CloneArgs *c)
{
    CloneArgs mine = *c;
    int64_t r;

    mine.flags &= ~(uint64_t)(CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_SETTLS | CLONE_VFORK);
    mine.stack = mine.stack_size = mine.tls = mine.child_tid = 0;
    r = user_raw_syscall(SYS_clone3, (uintptr_t)&mine, sizeof(mine), 0, 0, 0, 0);
    return r;
}

static int64_t new_process(UserThread *t, const CloneArgs *c)
{
    uint64_t plain = CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_PARENT_SETTID | CLONE_SETTLS;
    uint32_t tid;
    int64_t r;

    user_save_fpu(t);
    user_block_all(t);
    pthread_mutex_lock(&t->p->threads_lock);
    pthread_mutex_lock(&t->signals->lock);
    pthread_mutex_lock(&t->p->map.lock);
    tcg_fork_prepare(t->p->cache);
    if ((c->flags & ~plain) == 0 && c->exit_signal == SIGCHLD && !c->set_tid_size) {
        r = fork();
        r = r < 0 ? -errno : r;
        tid = (uint32_t)r;
        if (r > 0 && (c->flags & CLONE_PARENT_SETTID)) {
            user_put(c->parent_tid, &tid, 4);
        }
    } else {
        r = raw_clone(c);
    }
    if (r == 0) {
        child_of_fork(t, c);
    } else {
        tcg_fork_parent(t->p->cache);
        pthread_mutex_unlock(&t->p->map.lock);
        pthread_mutex_unlock(&t->signals->lock);
        pthread_mutex_unlock(&t->p->threads_lock);
    }
    user_sync_mask(t);
    return r;
}

/* vfork: the child runs here, on another host stack, while the parent waits in the kernel. */

#ifdef BUILT_WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else /* the sanitizer must know of stacks */
#define ASAN_UNPOISON_MEMORY_REGION(addr, size) ((void)(addr))
#define __sanitizer_start_switch_fiber(save, stack, size) ((void)(save))
#define __sanitizer_finish_switch_fiber(save, stack, size) ((void)(stack))
#endif

typedef struct {
    UserThread *t;
    const CloneArgs *args;
    const void *own_stack;     /* of the parent, for the sanitizer */
    size_t own_size;
    UserSignals signals;       /* of the child */
    UserThread saved;          /* the parent's; the list it is in is not to be touched */
    X86State st;
} Vfork;

static int vfork_main(void *arg)
{
    Vfork *v = arg;
    UserThread *t = v->t;

    __sanitizer_finish_switch_fiber(NULL, &v->own_stack, &v->own_size);
    t->tid = getpid();
    t->signals = &v->signals;
    t->vfork_child = true;
    t->pending = 0;
    child_registers(t, v->args);
    t->clear_tid = v->args->flags & CLONE_CHILD_CLEARTID ? v->args->child_tid : 0;
    if (v->args->flags & CLONE_CHILD_SETTID) {
        uint32_t tid = (uint32_t)t->tid;
        user_put(v->args->child_tid, &tid, 4);
    }
    user_sync_mask(t);
    user_loop(t);
    return 0; /* not reached: such a child ends with the process */
}

static void copy_back(UserThread *t, const Vfork *v)
{
    UserThread *next = t->next;

    *t = v->saved;
    t->next = next;
    t->cpu->st = v->st;
    x86_update_key(t->cpu);
    user_cpu_go(t->cpu, v->st.rip);
    x86_fpu_load(t->cpu);
}

static int64_t new_vfork(UserThread *t, const CloneArgs *c)
{
    uint64_t size = HOST_STACK + sizeof(Vfork), flags = c->flags & ~(uint64_t)(CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | CLONE_SETTLS);
    uint8_t *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    Vfork *v = (Vfork *)(void *)(stack + HOST_STACK);
    void *save = NULL;
    int64_t r;

    if (stack == MAP_FAILED) {
        return -ENOMEM;
    }
    user_save_fpu(t);
    user_block_all(t);
    v->t = t;
    v->args = c;
    v->saved = *t;
    v->st = t->cpu->st;
    pthread_mutex_lock(&t->signals->lock);
    memcpy(v->signals.action, t->signals->action, sizeof(v->signals.action));
    pthread_mutex_unlock(&t->signals->lock);
    pthread_mutex_init(&v->signals.lock, NULL);
    ASAN_UNPOISON_MEMORY_REGION(stack, size); /* another child may have ended there */
    __sanitizer_start_switch_fiber(&save, stack, HOST_STACK);
    r = clone(vfork_main, v, (int)(flags | c->exit_signal), v, c->flags & CLONE_PIDFD ? (void *)(uintptr_t)c->pidfd : (void *)(uintptr_t)c->parent_tid,
              NULL, NULL);
    r = r < 0 ? -errno : r;
    __sanitizer_start_switch_fiber(NULL, v->own_stack, v->own_size);
    __sanitizer_finish_switch_fiber(save, NULL, NULL);
    copy_back(t, v);
    if (r > 0 && (c->flags & CLONE_PARENT_SETTID) && (c->flags & CLONE_PIDFD)) {
        uint32_t pid = (uint32_t)r;
        user_put(c->parent_tid, &pid, 4);
    }
    munmap(stack, size);
    user_sync_mask(t);
    return r;
}

/* The calls ----------------------------------------------------------------------------------- */

static int64_t do_clone(UserThread *t, const CloneArgs *c)
{
    if (!(c->flags & CLONE_VM)) {
        if (c->flags & (CLONE_SIGHAND | CLONE_THREAD)) {
            return -EINVAL;
        }
        return new_process(t, c);
    }
    if (c->flags & CLONE_THREAD) {
        if ((c->flags & THREAD_FLAGS & ~(uint64_t)CLONE_SYSVSEM) != (THREAD_FLAGS & ~(uint64_t)CLONE_SYSVSEM)) {
            log_unimp("clone", "flags 0x%llx of a thread", (unsigned long long)c->flags);
            return -EINVAL;
        }
        return new_thread(t, c);
    }
    if ((c->flags & CLONE_VFORK) && !(c->flags & CLONE_SIGHAND)) {
        return new_vfork(t, c);
    }
    log_unimp("clone", "flags 0x%llx: memory shared by processes that both run", (unsigned long long)c->flags);
    return -EINVAL;
}

int64_t sys_clone(UserThread *t, const uint64_t a[6])
{
    CloneArgs c = { .flags = a[0] & 0xffffff00, .exit_signal = a[0] & 0xff, .stack = a[1], .parent_tid = a[2], .pidfd = a[2],
                    .child_tid = a[3], .tls = a[4] };

    if ((c.flags & CLONE_PIDFD) && (c.flags & CLONE_PARENT_SETTID)) {
        return -EINVAL;
    }
    return do_clone(t, &c);
}

int64_t sys_clone3(UserThread *t, const uint64_t a[6])
{
    enum { SIZE_0 = 64 };
    CloneArgs c = { 0 };

    if (a[1] > USER_PAGE) {
        return -E2BIG;
    }
    if (a[1] < SIZE_0) {
        return -EINVAL;
    }
    if (a[1] > sizeof(c)) {
        return -E2BIG;
    }
    if (!user_get(a[0], &c, a[1])) {
        return -EFAULT;
    }
    if ((c.stack != 0) != (c.stack_size != 0) || c.exit_signal > USER_NSIG ||
        ((c.flags & (CLONE_THREAD | CLONE_PARENT)) && c.exit_signal)) {
        return -EINVAL;
    }
    return do_clone(t, &c);
}

int64_t sys_fork(UserThread *t, const uint64_t a[6])
{
    return new_process(t, &(CloneArgs){ .exit_signal = SIGCHLD });
}

int64_t sys_vfork(UserThread *t, const uint64_t a[6])
{
    return new_vfork(t, &(CloneArgs){ .flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIGCHLD });
}

int64_t sys_set_tid_address(UserThread *t, const uint64_t a[6])
{
    t->clear_tid = a[0];
    return t->tid;
}
