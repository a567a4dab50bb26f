/* vCPU threads without guest code: start, pause, work, requests, halting; an accelerator that counts. */
#include <glib.h>
#include <stdlib.h>

#include "accel/accel.h"
#include "qom/values.h"

typedef struct {
    _Atomic uint64_t runs;
    _Atomic bool work;
    _Atomic bool fail;
} Core;

static bool has_work(Vcpu *v)
{
    return atomic_load(&((Core *)v->state)->work);
}

static const VcpuArch arch = { .name = "none", .state_size = sizeof(Core), .has_work = has_work };
static const VcpuArch bad_arch = { .name = "bad", .state_size = sizeof(Core), .has_work = has_work };

static bool core_init(Vcpu *v, Error **errp)
{
    return v->arch != &bad_arch || error_set(errp, "core %u: no", v->index);
}

/* Runs until something wants the thread's attention. */
static VcpuExit core_run(Vcpu *v)
{
    Core *c = v->state;

    g_assert_true(vcpu_is_self(v));
    do {
        c->runs++;
        if (atomic_exchange(&c->fail, false)) {
            return VCPU_EXIT_SHUTDOWN;
        }
    } while (!atomic_load(&v->requests) && !atomic_load(&v->halted));
    if (atomic_load(&c->work)) {
        atomic_store(&v->halted, false);
        atomic_store(&c->work, false);
        vcpu_clear_request(v, VCPU_REQ_HARD);
    }
    return atomic_load(&v->halted) ? VCPU_EXIT_HALT : VCPU_EXIT_KICK;
}

static const AccelOps core_ops = { .vcpu_init = core_init, .run = core_run };
static const ObjectOps test_ops = { .size = sizeof(Accel), .iface = &core_ops };
static const QClass test_class = { .item = { .name = "test-accel" }, .parent = &qclass_object, .kind = QCLASS_ACCEL,
                                   .impl = &test_ops };
static const QClass *const classes[] = { &test_class };
static const QSchema schema = { .classes = classes, .num_classes = 1 };

typedef struct {
    QomTree *tree;
    Accel *a;
    FairMutex lock;
    _Atomic unsigned exits;
    _Atomic VcpuExit last;
} Rig;

static void exited(Vcpu *v, VcpuExit e)
{
    Rig *r = v->accel->opaque;

    r->last = e;
    r->exits++;
}

static void rig_init(Rig *r)
{
    memset(r, 0, sizeof(*r));
    fair_mutex_init(&r->lock, LOCK_MACHINE);
    r->tree = qom_tree_new(&schema, &qom_values);
    r->a = ACCEL(object_new(r->tree, &test_class, NULL, &error_abort));
    r->a->lock = &r->lock;
    r->a->on_exit = exited;
    r->a->opaque = r;
}

static void rig_finish(Rig *r)
{
    while (r->a->num_vcpus) {
        vcpu_free(r->a->vcpus[r->a->num_vcpus - 1]);
    }
    object_unref(&r->a->obj);
    qom_tree_free(r->tree);
    fair_mutex_finish(&r->lock);
}

static Vcpu *rig_cpu(Rig *r)
{
    Vcpu *v = vcpu_new(r->a, &arch, &error_abort);

    g_assert_true(vcpu_start(v, &error_abort));
    return v;
}

static uint64_t runs(Vcpu *v)
{
    return atomic_load(&((Core *)v->state)->runs);
}

static void wait_for(_Atomic unsigned *what)
{
    for (unsigned n = 0; n < 5000 && !atomic_load(what); n++) {
        g_usleep(1000);
    }
    g_assert_cmpuint(atomic_load(what), !=, 0);
}

static void test_pause(void)
{
    Rig r;
    Vcpu *v[3];
    uint64_t n;

    rig_init(&r);
    for (unsigned i = 0; i < 3; i++) {
        v[i] = rig_cpu(&r);
        g_assert_cmpuint(v[i]->index, ==, i);
    }
    g_usleep(2000);
    g_assert_cmpuint(runs(v[0]), ==, 0); /* parked */
    for (unsigned round = 0; round < 50; round++) {
        fair_mutex_lock(&r.lock);
        accel_resume(r.a);
        fair_mutex_unlock(&r.lock);
        g_usleep(200);
        fair_mutex_lock(&r.lock);
        accel_pause(r.a);
        n = runs(v[1]);
        g_assert_true(v[0]->stopped && v[1]->stopped && v[2]->stopped);
        g_usleep(100);
        g_assert_cmpuint(runs(v[1]), ==, n);
        fair_mutex_unlock(&r.lock);
    }
    rig_finish(&r);
}

static void count(Vcpu *v, void *opaque)
{
    g_assert_true(vcpu_is_self(v));
    ++*(unsigned *)opaque;
}

static void set_event(Vcpu *v, void *opaque)
{
    event_set(opaque);
}

static void test_work(void)
{
    unsigned n = 0;
    Event done = { 0 };
    Rig r;
    Vcpu *v;

    rig_init(&r);
    v = rig_cpu(&r);
    for (unsigned round = 0; round < 200; round++) {
        if (round == 100) {
            accel_resume(r.a); /* the same while it runs */
        }
        vcpu_run_on(v, count, &n);
        g_assert_cmpuint(n, ==, round + 1);
    }
    vcpu_run_async(v, set_event, &done);
    g_assert_true(event_wait_timeout(&done, 5000000000));
    rig_finish(&r);
}

/* A rig with one vCPU that sleeps, after *n runs. */
static Vcpu *rig_halted(Rig *r, uint64_t *n)
{
    Vcpu *v;

    rig_init(r);
    v = rig_cpu(r);
    atomic_store(&v->halted, true);
    accel_resume(r->a);
    g_usleep(2000);
    *n = runs(v);
    return v;
}

static void assert_work_wakes(Vcpu *v, uint64_t n)
{
    atomic_store(&((Core *)v->state)->work, true);
    vcpu_request(v, VCPU_REQ_HARD);
    for (unsigned i = 0; i < 5000 && runs(v) == n; i++) {
        g_usleep(1000);
    }
    g_assert_cmpuint(runs(v), >, n);
}

static void test_halt(void)
{
    Rig r;
    Vcpu *v;
    uint64_t n;

    v = rig_halted(&r, &n);
    g_usleep(2000);
    g_assert_cmpuint(runs(v), ==, n);
    assert_work_wakes(v, n);
    rig_finish(&r);
}

/*
 * A request for an interrupt that the vCPU has taken already (its sender was late) wakes it for nothing and stays set. The
 * next one of its kind must wake it all the same.
 */
static void test_late_request(void)
{
    Rig r;
    Vcpu *v;
    uint64_t n;

    v = rig_halted(&r, &n);
    vcpu_request(v, VCPU_REQ_HARD);
    g_usleep(5000); /* it looks, has no work, sleeps again */
    g_assert_cmpuint(runs(v), ==, n);
    g_assert_true(atomic_load(&v->requests) & VCPU_REQ_HARD);
    assert_work_wakes(v, n);
    rig_finish(&r);
}

static void test_exit(void)
{
    Rig r;
    Vcpu *v;

    rig_init(&r);
    v = rig_cpu(&r);
    atomic_store(&((Core *)v->state)->fail, true);
    accel_resume(r.a);
    wait_for(&r.exits);
    g_assert_cmpint(r.last, ==, VCPU_EXIT_SHUTDOWN);
    accel_pause(r.a);
    rig_finish(&r);
}

static void test_refused(void)
{
    Error *err = NULL;
    Rig r;
    Vcpu *v;

    rig_init(&r);
    v = vcpu_new(r.a, &bad_arch, &error_abort);
    g_assert_false(vcpu_start(v, &err));
    g_assert_cmpstr(error_message(err), ==, "core 0: no");
    error_free(err);
    rig_finish(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/accel/pause", test_pause);
    g_test_add_func("/accel/work", test_work);
    g_test_add_func("/accel/halt", test_halt);
    g_test_add_func("/accel/late_request", test_late_request);
    g_test_add_func("/accel/exit", test_exit);
    g_test_add_func("/accel/refused", test_refused);
    return g_test_run();
}
