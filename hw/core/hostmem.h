/* Objects memory-backend-*: what a machine needs of them. Under the machine's lock. */
#ifndef HW_CORE_HOSTMEM_H
#define HW_CORE_HOSTMEM_H

#include "qom/qom.h"
#include "util/ram.h"

/* How its memory is mapped; the spec borrows from o. Fails when it cannot be a machine's RAM. */
bool hostmem_spec(Object *o, HostRamSpec *spec, Error **errp);
uint64_t hostmem_size(Object *o);

#endif
