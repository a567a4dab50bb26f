/* Shared by the files of hw/core/ only. */
#ifndef HW_CORE_INTERNAL_H
#define HW_CORE_INTERNAL_H

#include "hw/core/machine.h"

void device_finish_irqs(Device *d);
/* The child of /machine of this name ("unattached", "peripheral", "peripheral-anon"). */
Object *machine_folder(Machine *m, const char *name);
/* Sizes and CPUs from the conf. */
bool machine_configure(Machine *m, Error **errp);
bool machine_configure_memory(Machine *m, Error **errp);

#endif
