/* -smbios and -acpitable: what the machine is given before its firmware's tables are made, and given back when it has gone. */
#ifndef SOFTMMU_FIRMWARE_H
#define SOFTMMU_FIRMWARE_H

#include <glib.h>

#include "softmmu/system.h"

bool firmware_apply(System *s, Error **errp);
void firmware_finish(System *s);

#endif
