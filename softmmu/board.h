/* The machine of a System: made from the command line, and what the run state does to it. */
#ifndef SOFTMMU_BOARD_H
#define SOFTMMU_BOARD_H

#include "softmmu/system.h"

/* Makes the machine with its devices, and resets it. */
bool board_create(System *s, Error **errp);
void board_destroy(System *s);

/* extras.c: what options other than -device add to the machine: before it is made, and after. */
bool extras_globals(System *s, Error **errp);
bool extras_apply(System *s, Error **errp);
bool extras_qtest(System *s, Error **errp);
/* drives.c */
bool drives_apply(System *s, Error **errp);
bool blockdevs_apply(System *s, Error **errp);
/* Of all disks; made when first asked for. */
struct BlockContext *system_blocks(System *s);

/* The machine's lock domain; nothing without a machine. Nests in the same thread. */
void board_lock(System *s);
void board_unlock(System *s);
void board_pause(System *s);      /* processors and virtual time */
void board_pause_cpus(System *s); /* processors only */
/* The reset that ends suspend to RAM; false: this machine cannot sleep. */
bool board_wakeup(System *s, MachineWakeup reason);
void board_resume(System *s, bool cpus); /* virtual time, and the processors */
void board_reset(System *s, ShutdownCause cause);
void board_powerdown(System *s);
void board_nmi(System *s); /* nothing where the machine has none */

#endif
