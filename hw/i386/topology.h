/*
 * APIC ids from the topology: each level has a field of bits wide enough for its count, so that software can take an id apart
 * with shifts (SDM vol. 3, 9.9.3.1; AMD APM vol. 2, 16.12).
 */
#ifndef HW_I386_TOPOLOGY_H
#define HW_I386_TOPOLOGY_H

#include "hw/core/machine.h"

/* Id of the vCPU with this index: threads are counted fastest, then cores, modules, dies, sockets. */
uint32_t x86_apic_id(const CpuTopology *t, unsigned index);
/* One more than the largest id of maxcpus vCPUs. */
uint32_t x86_apic_id_limit(const CpuTopology *t);

#endif
