/* See topology.h. */
#include "hw/i386/topology.h"

static unsigned width(unsigned count)
{
    unsigned bits = 0;

    while (1u << bits < count) {
        bits++;
    }
    return bits;
}

uint32_t x86_apic_id(const CpuTopology *t, unsigned index)
{
    unsigned counts[4] = { t->threads, t->cores, t->modules, t->dies }, shift = 0;
    uint32_t id = 0;

    for (unsigned i = 0; i < 4; i++) {
        unsigned count = counts[i] ? counts[i] : 1;

        id |= (uint32_t)(index % count) << shift;
        index /= count;
        shift += width(count);
    }
    return id | (uint32_t)index << shift;
}

uint32_t x86_apic_id_limit(const CpuTopology *t)
{
    unsigned n = t->maxcpus ? t->maxcpus : t->cpus;

    return x86_apic_id(t, n - 1) + 1;
}
