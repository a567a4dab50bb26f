/*
 * What a board does with its PIIX4_PM. Outputs: the unnamed one is the SCI (level), "smi-irq" the system management interrupt
 * (pulses). Input "rtc-alarm" (pulses): the clock's alarm, which wakes a guest that sleeps and has enabled that.
 */
#ifndef HW_ACPI_PIIX4_H
#define HW_ACPI_PIIX4_H

#include "hw/core/machine.h"

enum { PIIX4_GPE0_BASE = 0xafe0 };

/* The power button was pressed. */
void piix4_pm_power_button(Device *pm);
/* The machine wakes up from suspend to RAM. */
void piix4_pm_wakeup(Device *pm, MachineWakeup reason);
/* Where the firmware put the ACPI registers; 0 while it has not. */
uint16_t piix4_pm_base(Device *pm);
/* Which legacy ports the board has: read only bits of configuration space. Once, after realize. */
void piix4_pm_set_ports(Device *pm, bool com1, bool com2, bool lpt);
/* What the guest's tables are made from. */
bool piix4_pm_has_s3(Device *pm);
bool piix4_pm_has_s4(Device *pm);
uint8_t piix4_pm_s4_type(Device *pm);
/* The bus of its SMBus host. */
Bus *piix4_pm_i2c_bus(Device *pm);

#endif
