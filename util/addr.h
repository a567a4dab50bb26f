/*
 * Kinds of guest address. hwaddr: guest-physical or bus address. vaddr: guest-virtual (linear). ram_addr: index into all
 * RAM of a machine (memory/memory.h). Host addresses are pointers.
 */
#ifndef UTIL_ADDR_H
#define UTIL_ADDR_H

#include <stdint.h>

typedef uint64_t hwaddr;
typedef uint64_t vaddr;
typedef uint64_t ram_addr;
#define RAM_ADDR_INVALID UINT64_MAX

#endif
