#include "tests/priv/machine.h"

#include <glib.h>
#include <string.h>

#include "qom/values.h"
#include "target/i386/models.h"
#include "target/i386/sys/sys.h"
#include "util/clock.h"

extern const QSchema qschema_priv;
extern const QClass qclass_tcg_accel;

struct BareMachine {
    FairMutex lock;
    ClockGroup clocks;
    MemoryMap *map;
    MemoryRegion memory, ram, high, io, ports;
    AddressSpace *as, *as_io;
    QomTree *tree;
    Accel *accel;
    GString *text;
    struct Intc {
        uint8_t vector;        /* pending hard interrupt, 0: none; first: it is what opaque points to */
        bool bsp;
    } intc[64];                /* of each CPU */
    uint8_t request_vector;
    Event done;
    int result;
};

/* A local interrupt controller of one vector. */
static bool intc_pending(void *opaque)
{
    return __atomic_load_n((uint8_t *)opaque, __ATOMIC_ACQUIRE) != 0;
}

static int intc_accept(void *opaque)
{
    uint8_t v = __atomic_exchange_n((uint8_t *)opaque, 0, __ATOMIC_ACQ_REL);

    return v ? v : -1;
}

static uint64_t intc_get_base(void *opaque)
{
    return ((struct Intc *)opaque)->bsp ? 0xfee00900 : 0xfee00800;
}

static bool intc_set_base(void *opaque, uint64_t v)
{
    return v == intc_get_base(opaque);
}

static uint8_t intc_get_tpr(void *opaque)
{
    return 0;
}

static void intc_set_tpr(void *opaque, uint8_t v)
{
}

static bool intc_msr_read(void *opaque, uint32_t index, uint64_t *v)
{
    return false;
}

static bool intc_msr_write(void *opaque, uint32_t index, uint64_t v)
{
    return false;
}

static void intc_reset(void *opaque, bool init)
{
}

static const LocalIntc intc = { intc_accept, intc_pending, intc_get_base, intc_set_base, intc_get_tpr, intc_set_tpr,
                                intc_msr_read, intc_msr_write, intc_reset };

void bare_interrupt(BareMachine *m, unsigned cpu, uint8_t vector)
{
    __atomic_store_n(&m->intc[cpu].vector, vector, __ATOMIC_RELEASE);
    vcpu_request(m->accel->vcpus[cpu], VCPU_REQ_HARD);
}

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    return 0;
}

static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    BareMachine *m = opaque;

    switch (offset) {
    case 0:
        g_string_append_c(m->text, (char)value);
        break;
    case 0xb:
        m->result = (int)value;
        vcpu_request(m->accel->vcpus[0], VCPU_REQ_EXIT);
        m->accel->vcpus[0]->stop = true;
        event_set(&m->done);
        break;
    case 0xc:
        if (value == 0) {
            bare_interrupt(m, 0, m->request_vector);
        } else {
            vcpu_request(m->accel->vcpus[0], 1u << (value & 7));
        }
        break;
    case 0xd:
        m->request_vector = value;
        break;
    case 0xe:
        if (m->accel->num_vcpus > 1) {
            vcpu_request(m->accel->vcpus[1], VCPU_REQ_INIT);
            x86_cpu_sipi(m->accel->vcpus[1], value);
        }
        break;
    case 0xf:
        if (m->accel->num_vcpus > 1) {
            bare_interrupt(m, 1, value);
        }
        break;
    }
}

static const MemoryOps ports_ops = { .read = ports_read, .write = ports_write, .valid_max = 4, .impl_max = 4,
                                     .valid_unaligned = true, .impl_unaligned = true };

static void cpu_exit(Vcpu *v, VcpuExit e)
{
    BareMachine *m = v->accel->opaque;

    m->result = -1;
    event_set(&m->done);
}

static void make_memory(BareMachine *m)
{
    m->map = memory_map_new(&m->lock);
    memory_region_init(&m->memory, m->map, NULL, "memory", UINT64_MAX);
    g_assert_true(memory_region_init_ram(&m->ram, m->map, NULL, "ram", BARE_RAM, &error_abort));
    g_assert_true(memory_region_init_ram(&m->high, m->map, NULL, "high", 0x10000, &error_abort));
    memory_region_init(&m->io, m->map, NULL, "io", 0x10000);
    memory_region_init_io(&m->ports, m->map, NULL, &ports_ops, m, "ports", 0x10);
    memory_transaction_begin(m->map);
    memory_region_add(&m->memory, 0, &m->ram, 0);
    memory_region_add(&m->memory, 0xffff0000, &m->high, 0);
    memory_region_add(&m->io, 0xe9, &m->ports, 0);
    memory_transaction_commit(m->map);
    m->as = address_space_new(m->map, &m->memory, "memory");
    m->as_io = address_space_new(m->map, &m->io, "io");
}

BareMachine *bare_new(unsigned cpus)
{
    BareMachine *m = g_new0(BareMachine, 1);
    Object *o;

    m->text = g_string_new(NULL);
    fair_mutex_init(&m->lock, LOCK_MACHINE);
    clock_group_init(&m->clocks);
    clock_group_start(&m->clocks);
    fair_mutex_lock(&m->lock);
    make_memory(m);
    m->tree = qom_tree_new(&qschema_priv, &qom_values);
    o = object_new(m->tree, &qclass_tcg_accel, NULL, &error_abort);
    m->accel = ACCEL(o);
    m->accel->lock = &m->lock;
    m->accel->map = m->map;
    m->accel->clocks = &m->clocks;
    m->accel->on_exit = cpu_exit;
    m->accel->opaque = m;
    g_assert_true(object_add_child(qom_objects(m->tree), "accel", o, &error_abort));
    g_assert_true(object_realize(o, &error_abort));
    for (unsigned n = 0; n < cpus; n++) {
        Vcpu *v = vcpu_new(m->accel, &x86_vcpu_arch, &error_abort);

        v->as[0] = m->as;
        v->as_io = m->as_io;
        v->intc = &intc;
        m->intc[n].bsp = n == 0;
        v->intc_opaque = &m->intc[n];
        v->start_halted = n > 0;
        x86_cpu_set_model(v->state, x86_model_find("max"));
        v->arch->reset(v);
        g_assert_true(vcpu_start(v, &error_abort));
    }
    fair_mutex_unlock(&m->lock);
    return m;
}

void bare_free(BareMachine *m)
{
    fair_mutex_lock(&m->lock);
    while (m->accel->num_vcpus) {
        vcpu_free(m->accel->vcpus[m->accel->num_vcpus - 1]);
    }
    object_unparent(&m->accel->obj);
    object_unref(&m->accel->obj);
    qom_tree_free(m->tree);
    address_space_free(m->as);
    address_space_free(m->as_io);
    memory_region_finish(&m->ports);
    memory_region_finish(&m->high);
    memory_region_finish(&m->ram);
    memory_region_finish(&m->io);
    memory_region_finish(&m->memory);
    memory_map_free(m->map);
    fair_mutex_unlock(&m->lock);
    clock_group_stop(&m->clocks);
    clock_group_finish(&m->clocks);
    fair_mutex_finish(&m->lock);
    g_string_free(m->text, true);
    g_free(m);
}

uint8_t *bare_ram(BareMachine *m)
{
    return memory_region_host(&m->ram);
}

X86Cpu *bare_cpu(BareMachine *m, unsigned n)
{
    return m->accel->vcpus[n]->state;
}

Accel *bare_accel(BareMachine *m)
{
    return m->accel;
}

const char *bare_text(BareMachine *m)
{
    return m->text->str;
}

int bare_run(BareMachine *m, const uint8_t *code, size_t size, int timeout_ms)
{
    static const uint8_t jump[] = { 0xea, BARE_START & 0xff, BARE_START >> 8, 0, 0 }; /* ljmp 0:8000h */
    bool ended;

    g_string_truncate(m->text, 0);
    accel_pause(m->accel);
    memset(memory_region_host(&m->ram), 0, BARE_RAM);
    memory_dirty_set(m->map, 0, BARE_RAM);
    address_space_write_rom(m->as, 0xfffffff0, jump, sizeof(jump));
    address_space_write_rom(m->as, BARE_START, code, size);
    for (unsigned n = 0; n < m->accel->num_vcpus; n++) {
        m->intc[n].vector = 0;
    }
    for (unsigned n = 0; n < m->accel->num_vcpus; n++) {
        m->accel->vcpus[n]->arch->reset(m->accel->vcpus[n]);
    }
    event_reset(&m->done);
    m->result = -2;
    accel_resume(m->accel);
    ended = event_wait_timeout(&m->done, (int64_t)timeout_ms * 1000000);
    accel_pause(m->accel);
    return ended ? m->result : -2;
}
