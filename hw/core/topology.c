/* -smp and -m: what is absent is computed, the rest checked. Rules and texts are QEMU 10.0's. */
#include <glib.h>
#include <inttypes.h>

#include "hw/core/hostmem.h"
#include "hw/core/internal.h"
#include "util/bits.h"

typedef struct {
    const char *name;
    unsigned *value;  /* in the result */
    bool given;
    unsigned max;     /* on this machine */
} Level;

static bool check_levels(const Level *levels, unsigned num, Error **errp)
{
    for (unsigned i = 0; i < num; i++) {
        if (levels[i].given && *levels[i].value == 0) {
            return error_set(errp, "Invalid CPU topology: CPU topology parameters must be greater than zero");
        }
        if (*levels[i].value > MAX(levels[i].max, 1)) {
            return error_set(errp, "%s > %u not supported by this machine's CPU topology", levels[i].name,
                             MAX(levels[i].max, 1));
        }
    }
    return true;
}

static bool out_of_product(const CpuTopology *t, Error **errp)
{
    return error_set(errp,
                     "Invalid CPU topology: product of the hierarchy must match maxcpus: sockets (%u) * dies (%u) * "
                     "modules (%u) * cores (%u) * threads (%u) != maxcpus (%u)",
                     t->sockets, t->dies, t->modules, t->cores, t->threads, t->maxcpus);
}

/* Fills the absent ones among sockets, cores and threads; cores before sockets. */
static void complete(const SMPConfiguration *c, CpuTopology *t)
{
    uint64_t outer = (uint64_t)t->drawers * t->books, inner = (uint64_t)t->dies * t->clusters * t->modules;
    uint64_t known;

    t->maxcpus = c->has_maxcpus ? c->maxcpus : t->cpus;
    if (!t->maxcpus) { /* neither: what the levels give */
        t->sockets = t->sockets ? t->sockets : 1;
        t->cores = t->cores ? t->cores : 1;
        t->threads = t->threads ? t->threads : 1;
        return;
    }
    if (!t->cores) {
        t->sockets = t->sockets ? t->sockets : 1;
        t->threads = t->threads ? t->threads : 1;
        known = outer * t->sockets * inner * t->threads;
        t->cores = known ? t->maxcpus / known : 0;
    } else if (!t->sockets) {
        t->threads = t->threads ? t->threads : 1;
        known = outer * inner * t->cores * t->threads;
        t->sockets = known ? t->maxcpus / known : 0;
    }
    if (!t->threads) {
        known = outer * t->sockets * inner * t->cores;
        t->threads = known ? t->maxcpus / known : 0;
    }
}

static bool check_product(const MachineOps *ops, CpuTopology *t, Error **errp)
{
    const unsigned factors[] = {t->drawers, t->books, t->sockets, t->dies, t->clusters, t->modules, t->cores, t->threads};
    uint64_t total = 1;

    for (unsigned i = 0; i < G_N_ELEMENTS(factors); i++) {
        if (__builtin_mul_overflow(total, factors[i], &total)) {
            return error_set(errp, "Invalid CPU topology: too many CPUs");
        }
    }
    t->maxcpus = t->maxcpus ? t->maxcpus : (unsigned)MIN(total, UINT32_MAX);
    t->cpus = t->cpus ? t->cpus : t->maxcpus;
    if (total != t->maxcpus) {
        return out_of_product(t, errp);
    }
    if (t->maxcpus < t->cpus) {
        return error_set(errp,
                         "Invalid CPU topology: maxcpus must be equal to or greater than smp: sockets (%u) * dies (%u) * "
                         "modules (%u) * cores (%u) * threads (%u) == maxcpus (%u) < smp_cpus (%u)",
                         t->sockets, t->dies, t->modules, t->cores, t->threads, t->maxcpus, t->cpus);
    }
    if (t->maxcpus > MAX(ops->max_cpus, 1)) {
        return error_set(errp, "Invalid SMP CPUs %u. The max CPUs supported by this machine type is %u", t->maxcpus,
                         MAX(ops->max_cpus, 1));
    }
    return true;
}

bool cpu_topology_parse(const SMPConfiguration *c, const MachineOps *ops, CpuTopology *out, Error **errp)
{
    static const SMPConfiguration none = {0};
    CpuTopology t;

    c = c ? c : &none;
    t = (CpuTopology){
        .cpus = c->has_cpus ? c->cpus : 0,
        .drawers = c->has_drawers ? c->drawers : 1,
        .books = c->has_books ? c->books : 1,
        .sockets = c->has_sockets ? c->sockets : 0,
        .dies = c->has_dies ? c->dies : 1,
        .clusters = c->has_clusters ? c->clusters : 1,
        .modules = c->has_modules ? c->modules : 1,
        .cores = c->has_cores ? c->cores : 0,
        .threads = c->has_threads ? c->threads : 0,
    };
    const Level levels[] = {
        {"cpus", &t.cpus, c->has_cpus, UINT32_MAX},
        {"drawers", &t.drawers, c->has_drawers, 1},
        {"books", &t.books, c->has_books, 1},
        {"sockets", &t.sockets, c->has_sockets, UINT32_MAX},
        {"dies", &t.dies, c->has_dies, ops->max_dies},
        {"clusters", &t.clusters, c->has_clusters, ops->max_clusters},
        {"modules", &t.modules, c->has_modules, ops->max_modules},
        {"cores", &t.cores, c->has_cores, UINT32_MAX},
        {"threads", &t.threads, c->has_threads, UINT32_MAX},
        {"maxcpus", &(unsigned){c->has_maxcpus ? c->maxcpus : 1}, c->has_maxcpus, UINT32_MAX},
    };

    if (!check_levels(levels, G_N_ELEMENTS(levels), errp)) {
        return false;
    }
    complete(c, &t);
    if (!check_product(ops, &t, errp)) {
        return false;
    }
    *out = t;
    return true;
}

bool machine_configure(Machine *m, Error **errp)
{
    const MachineConf *conf = machine_conf(m);
    const MemorySizeConfiguration *mem = conf->memory;
    const MachineOps *ops = machine_functions(m);

    if (!cpu_topology_parse(conf->smp, ops, &m->smp, errp)) {
        return false;
    }
    if (conf->usb) {
        return error_set(errp, "usb=on: this machine has no USB controller yet; usb=off is what there is");
    }
    m->ram_size = mem && mem->has_size ? round_up(mem->size, 8192) : ops->default_ram_size;
    if (mem && mem->has_size && !mem->size) {
        m->ram_size = ops->default_ram_size;
    }
    if (conf->memory_backend && !(mem && mem->has_size)) {
        m->ram_size = hostmem_size(conf->memory_backend);
    }
    if (conf->memory_backend && m->ram_size != hostmem_size(conf->memory_backend)) {
        return error_set(errp, "Machine memory size does not match the size of the memory backend");
    }
    m->max_ram_size = mem && mem->has_max_size ? mem->max_size : m->ram_size;
    m->ram_slots = mem && mem->has_slots ? mem->slots : 0;
    if (m->max_ram_size < m->ram_size) {
        return error_set(errp,
                         "invalid value of maxmem: maximum memory size (0x%" PRIx64
                         ") must be at least the initial memory size (0x%" PRIx64 ")",
                         m->max_ram_size, m->ram_size);
    }
    if (m->max_ram_size > m->ram_size && !m->ram_slots) {
        return error_set(errp, "invalid value of maxmem: memory slots were not specified, but maxmem (0x%" PRIx64
                               ") is more than the initial memory size (0x%" PRIx64 ")",
                         m->max_ram_size, m->ram_size);
    }
    return true;
}

bool machine_configure_memory(Machine *m, Error **errp)
{
    const MachineConf *conf = machine_conf(m);
    const char *id = machine_functions(m)->ram_id;
    HostRamSpec spec = {
        .size = m->ram_size,
        .align = m->ram_size >= 2 * 1024 * 1024 ? 2 * 1024 * 1024 : 0,
        .thp = true,
        .noreserve = true,
        .mergeable = conf->mem_merge,
        .no_dump = !conf->dump_guest_core,
        .fd = -1,
    };
    RamBlock *block;

    if (!m->ram_size) {
        return true;
    }
    if (conf->memory_backend && !hostmem_spec(conf->memory_backend, &spec, errp)) {
        return false;
    }
    block = ram_block_new_spec(m->map, id ? id : "ram", &spec, errp);
    if (!block) {
        return false;
    }
    memory_region_init_ram_block(&m->root_ram, OBJECT(m), block);
    m->ram = &m->root_ram;
    return true;
}
