/* vCPUs and their threads; see accel/accel.h. What runs in a thread is the accelerator's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accel/accel.h"

/* One piece of work for a vCPU's thread. Sync items live on the waiter's stack. */
typedef struct VcpuWork {
    void (*fn)(Vcpu *, void *);
    void *opaque;
    bool sync, done;
    struct VcpuWork *next;
} VcpuWork;

static const AccelOps *accel_ops(const Accel *a)
{
    return object_iface(&a->obj);
}

/* The machine's lock is released around a wait for another vCPU, which may be waiting for it. */
static bool unlock_machine(Accel *a)
{
    if (!a->lock || !fair_mutex_is_held(a->lock)) {
        return false;
    }
    fair_mutex_unlock(a->lock);
    return true;
}

static void relock_machine(Accel *a, bool was_held)
{
    if (was_held) {
        fair_mutex_lock(a->lock);
    }
}

bool vcpu_is_self(const Vcpu *v)
{
    return __atomic_load_n(&v->thread_id, __ATOMIC_RELAXED) == thread_id();
}

/*
 * Makes the vCPU's thread leave guest code and look around. Also for a request of its own thread, by an access that
 * its guest made: translated code may go on for long.
 */
static void kick(Vcpu *v)
{
    const AccelOps *ops = accel_ops(v->accel);

    if (ops->kick) {
        ops->kick(v);
    }
}

static void nudge(Vcpu *v)
{
    event_set(&v->wake);
    kick(v);
}

/*
 * A vCPU that runs has been kicked for what was requested before, and looks at all before it runs on. One that sleeps may have looked and
 * found nothing to do (an interrupt that it had taken already, whose sender was late): the bit stays, and it must look again.
 */
void vcpu_request(Vcpu *v, uint32_t bits)
{
    uint32_t old = atomic_fetch_or(&v->requests, bits);

    event_set(&v->wake);
    if ((old & bits) != bits) {
        kick(v);
    }
}

void vcpu_clear_request(Vcpu *v, uint32_t bits)
{
    atomic_fetch_and(&v->requests, ~bits);
}

/* Work ----------------------------------------------------------------- */

static void add_work(Vcpu *v, VcpuWork *w)
{
    VcpuWork **end = &v->work;

    while (*end) {
        end = &(*end)->next;
    }
    *end = w;
    atomic_fetch_or(&v->requests, VCPU_REQ_WORK);
}

/* lock held; runs items without it, in the order they came. */
static void run_work(Vcpu *v)
{
    VcpuWork *w;

    while ((w = v->work)) {
        bool sync = w->sync; /* the waiter may take a sync item away once it is done */

        v->work = w->next;
        mutex_unlock(&v->lock);
        w->fn(v, w->opaque);
        mutex_lock(&v->lock);
        if (sync) {
            w->done = true;
            cond_broadcast(&v->cond);
        } else {
            free(w);
        }
    }
    atomic_fetch_and(&v->requests, ~(uint32_t)VCPU_REQ_WORK);
}

void vcpu_run_async(Vcpu *v, void (*fn)(Vcpu *, void *), void *opaque)
{
    VcpuWork *w = calloc(1, sizeof(*w));

    if (!w) {
        abort(); /* out of memory for 40 bytes */
    }
    *w = (VcpuWork){ .fn = fn, .opaque = opaque };
    WITH_MUTEX (&v->lock) {
        add_work(v, w);
    }
    nudge(v);
}

void vcpu_run_on(Vcpu *v, void (*fn)(Vcpu *, void *), void *opaque)
{
    VcpuWork w = { .fn = fn, .opaque = opaque, .sync = true };
    bool held;

    if (vcpu_is_self(v) || !v->created) {
        fn(v, opaque); /* its own thread, or none that could run it meanwhile */
        return;
    }
    held = unlock_machine(v->accel);
    WITH_MUTEX (&v->lock) {
        add_work(v, &w);
    }
    nudge(v);
    WITH_MUTEX (&v->lock) {
        while (!w.done) {
            cond_wait(&v->cond, &v->lock);
        }
    }
    relock_machine(v->accel, held);
}

/* The thread ------------------------------------------------------------ */

static void set_stopped(Vcpu *v, bool stopped)
{
    if (v->stopped != stopped) {
        v->stopped = stopped;
        cond_broadcast(&v->cond);
    }
}

/* lock held. Whether guest code may run now; has_work is asked without the lock. */
static bool may_run(Vcpu *v)
{
    bool work;

    if (v->stop) {
        return false;
    }
    if (!atomic_load(&v->halted)) {
        return true;
    }
    mutex_unlock(&v->lock);
    work = v->arch->has_work(v);
    mutex_lock(&v->lock);
    return work && !v->stop;
}

/* Sleeps until there is guest code to run. False: the thread shall end. */
static bool wait_to_run(Vcpu *v)
{
    bool runs = accel_ops(v->accel)->run != NULL, go_on;

    mutex_lock(&v->lock);
    for (;;) {
        event_reset(&v->wake); /* before looking: what comes after is not lost */
        atomic_fetch_and(&v->requests, ~(uint32_t)VCPU_REQ_EXIT);
        run_work(v);
        set_stopped(v, v->stop);
        if (v->unplug || (runs && may_run(v))) {
            break;
        }
        mutex_unlock(&v->lock);
        event_wait(&v->wake);
        mutex_lock(&v->lock);
    }
    go_on = !v->unplug;
    mutex_unlock(&v->lock);
    return go_on;
}

/* Triple faults, breakpoints: the vCPU stops itself and tells. */
static void report_exit(Vcpu *v, VcpuExit e)
{
    WITH_MUTEX (&v->lock) {
        v->stop = true;
    }
    if (v->accel->on_exit) {
        v->accel->on_exit(v, e);
    }
}

static bool thread_begin(Vcpu *v)
{
    const AccelOps *ops = accel_ops(v->accel);
    Error *err = NULL;
    bool ok;

    __atomic_store_n(&v->thread_id, thread_id(), __ATOMIC_RELAXED);
    ok = !ops->vcpu_init || ops->vcpu_init(v, &err);
    mutex_lock(&v->lock);
    v->failed = !ok;
    v->error = err;
    v->stopped = true;
    v->created = true;
    cond_broadcast(&v->cond);
    mutex_unlock(&v->lock);
    return ok;
}

static void vcpu_thread(void *arg)
{
    Vcpu *v = arg;
    const AccelOps *ops = accel_ops(v->accel);

    if (!thread_begin(v)) {
        return;
    }
    while (wait_to_run(v)) {
        VcpuExit e = ops->run(v);

        if (e != VCPU_EXIT_KICK && e != VCPU_EXIT_HALT) {
            report_exit(v, e);
        }
    }
    if (ops->vcpu_finish) {
        ops->vcpu_finish(v);
    }
}

/* Life ------------------------------------------------------------------- */

static bool list_vcpu(Accel *a, Vcpu *v)
{
    Vcpu **all = realloc(a->vcpus, (a->num_vcpus + 1) * sizeof(*all));

    if (!all) {
        return false;
    }
    v->index = a->num_vcpus;
    a->vcpus = all;
    a->vcpus[a->num_vcpus++] = v;
    return true;
}

static void unlist_vcpu(Accel *a, const Vcpu *v)
{
    unsigned n = 0;

    while (n < a->num_vcpus && a->vcpus[n] != v) {
        n++;
    }
    if (n < a->num_vcpus) {
        a->num_vcpus--;
        memmove(&a->vcpus[n], &a->vcpus[n + 1], (a->num_vcpus - n) * sizeof(*a->vcpus));
    }
    if (a->num_vcpus == 0) {
        free(a->vcpus);
        a->vcpus = NULL;
    }
}

static void *state_new(Accel *a, const VcpuArch *arch, Error **errp)
{
    size_t size = (arch->state_size + 63u) & ~(size_t)63;
    void *state;

    if (accel_ops(a)->state_new) {
        return accel_ops(a)->state_new(a, arch, errp);
    }
    state = aligned_alloc(64, size);
    if (state) {
        memset(state, 0, size);
    } else {
        error_set(errp, "CPU: no memory for %zu bytes of state", size);
    }
    return state;
}

static void state_free(Accel *a, void *state)
{
    if (accel_ops(a)->state_free) {
        accel_ops(a)->state_free(a, state);
    } else {
        free(state);
    }
}

Vcpu *vcpu_new(Accel *a, const VcpuArch *arch, Error **errp)
{
    Vcpu *v = calloc(1, sizeof(*v));

    if (!v) {
        error_set(errp, "CPU: no memory");
        return NULL;
    }
    v->state = state_new(a, arch, errp);
    if (!v->state || !list_vcpu(a, v)) {
        if (v->state) {
            state_free(a, v->state);
            error_set(errp, "CPU: no memory");
        }
        free(v);
        return NULL;
    }
    v->machine = a->machine;
    v->accel = a;
    v->arch = arch;
    v->stop = true;
    mutex_init(&v->lock, LOCK_VCPU);
    cond_init(&v->cond);
    return v;
}

bool vcpu_start(Vcpu *v, Error **errp)
{
    char name[16];
    bool held;

    snprintf(name, sizeof(name), "CPU %u", v->index);
    if (!thread_start(&v->thread, name, vcpu_thread, v, errp)) {
        return false;
    }
    v->started = true;
    held = unlock_machine(v->accel);
    WITH_MUTEX (&v->lock) {
        while (!v->created) {
            cond_wait(&v->cond, &v->lock);
        }
    }
    relock_machine(v->accel, held);
    if (v->failed) {
        error_propagate(errp, v->error);
        v->error = NULL;
        return false;
    }
    return true;
}

void vcpu_free(Vcpu *v)
{
    bool held;

    if (!v) {
        return;
    }
    if (v->started) {
        held = unlock_machine(v->accel);
        WITH_MUTEX (&v->lock) {
            v->unplug = true;
        }
        vcpu_request(v, VCPU_REQ_EXIT);
        thread_join(&v->thread);
        relock_machine(v->accel, held);
    }
    unlist_vcpu(v->accel, v);
    cond_finish(&v->cond);
    mutex_finish(&v->lock);
    error_free(v->error);
    state_free(v->accel, v->state);
    free(v);
}

/* All vCPUs ---------------------------------------------------------------- */

static void set_stop(Vcpu *v, bool stop)
{
    WITH_MUTEX (&v->lock) {
        v->stop = stop;
    }
    vcpu_request(v, VCPU_REQ_EXIT);
}

void accel_pause(Accel *a)
{
    bool held;

    for (unsigned n = 0; n < a->num_vcpus; n++) {
        set_stop(a->vcpus[n], true);
    }
    held = unlock_machine(a);
    for (unsigned n = 0; n < a->num_vcpus; n++) {
        Vcpu *v = a->vcpus[n];

        if (!v->started || vcpu_is_self(v)) {
            continue;
        }
        WITH_MUTEX (&v->lock) {
            while (!v->stopped && !v->failed) {
                cond_wait(&v->cond, &v->lock);
            }
        }
    }
    relock_machine(a, held);
}

void accel_resume(Accel *a)
{
    for (unsigned n = 0; n < a->num_vcpus; n++) {
        set_stop(a->vcpus[n], false);
    }
}
