/*
 * The PC boards, from inside: what the files of this folder share. Nobody outside includes it.
 *
 *   pc.json       machine types
 *   pc.c          which devices there are, interrupt lines, A20, order of construction
 *   pc-memory.c   RAM, ROM and firmware in the memory map
 *   pc-fwcfg.c    what the firmware is told: fw_cfg items, CMOS, SMBIOS, boot order
 *   pc-disks.c    disks in the CMOS, bootorder
 *   pc-acpi.c     description of the board for hw/acpi/pc-tables.h
 *   pc-kernel.c   -kernel, -initrd, -append
 *   elf.c         kernels in ELF with a PVH note
 */
#ifndef HW_I386_PC_H
#define HW_I386_PC_H

#include <glib.h>

#include "hw/core/machine.h"
#include "hw/i386/pc.gen.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci.h"

enum { PC_GSIS = 24 };

typedef struct PcMachine {
    Machine m;
    PcI440fxMachineConf conf;
    /* devices; NULL: not there */
    Device *host, *piix3, *pm, *rtc, *pic[2], *ioapic, *fw_cfg, *hpet, *pit, *keyboard;
    PciBus *pci;
    IsaBus *isa;
    /* memory */
    uint64_t below_4g, above_4g;   /* RAM on both sides of the window under 4 GiB */
    MemoryRegion pci_memory;       /* under all else */
    MemoryRegion ram_low, ram_high, bios, isa_bios, option_roms;
    MemoryRegion port_80, port_f0;
    /* interrupts: each line is the or of its sources */
    Irq *gsi_pic[16], *gsi_ioapic[PC_GSIS];
    uint8_t gsi_sources[PC_GSIS];
    GPtrArray *wires;              /* Irq: inputs that belong to no device */
    bool a20_keyboard, a20_port92;
    uint32_t *apic_ids;            /* of m.vcpus */
} PcMachine;

static inline PcMachine *pc_machine(Machine *m)
{
    return (PcMachine *)m;
}
bool pc_has_acpi(const PcMachine *pc);
bool pc_has_smm(const PcMachine *pc);

/* pc-memory.c: before the host bridge. */
bool pc_memory_split(PcMachine *pc, Error **errp);
bool pc_memory_create(PcMachine *pc, Error **errp);
void pc_memory_finish(PcMachine *pc);

/* pc-fwcfg.c: once all devices are there. */
bool pc_fwcfg_fill(PcMachine *pc, Error **errp);
void pc_cmos_fill(PcMachine *pc);
void pc_cmos_boot_order(PcMachine *pc, bool once);
bool pc_boot_order_valid(const char *order, Error **errp);

/* pc-disks.c. first: what boots before all that has a bootindex, NULL: nothing; strict: nothing else boots. */
void pc_cmos_disks(PcMachine *pc);
bool pc_bootorder_fill(PcMachine *pc, const char *first, bool strict, Error **errp);

/* pc-acpi.c: files of tables, remade when the guest asks for them, for they depend on what the firmware has set up. */
bool pc_acpi_fill(PcMachine *pc, Error **errp);

/* pc-kernel.c. *rom: the fw_cfg file that starts it, static; NULL: there is no kernel. */
bool pc_kernel_load(PcMachine *pc, const char **rom, Error **errp);
/* Below the tables that the firmware puts at the end of RAM under 4 GiB: last address for an initrd. */
uint64_t pc_initrd_end(const PcMachine *pc);

/* elf.c: a kernel whose segments are put together as one image. */
typedef struct {
    GBytes *image;
    uint32_t address, entry;
} ElfKernel;
bool elf_is(const uint8_t *file, size_t size);
/* Takes nothing of file. Segments must be within [1 MiB, limit). */
bool elf_pvh_load(const uint8_t *file, size_t size, uint64_t limit, ElfKernel *out, Error **errp);

#endif
