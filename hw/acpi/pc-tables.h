/* The ACPI tables of PC boards (82441FX and PIIX): FACS, DSDT, FADT, MADT, HPET, WAET. Pure function of a description. */
#ifndef HW_ACPI_PC_TABLES_H
#define HW_ACPI_PC_TABLES_H

#include "hw/acpi/aml.h"
#include "hw/acpi/tables.h"

/* What the guest is told; filled by the board from what exists. */
typedef struct {
    const char *oem_id, *oem_table_id; /* NULL: the usual ones */
    const uint32_t *apic_ids;          /* of the CPUs that are there */
    unsigned num_cpus;
    uint64_t below_4g;                 /* end of RAM below 4 GiB: start of the window for PCI memory */
    uint64_t hole64_first, hole64_last; /* 64-bit window; last 0: none */
    bool pcat_compat;                  /* has 8259s */
    bool hpet, i8042, fw_cfg;
    bool com[4], lpt[3];               /* at the usual places */
    bool s3, s4;
    uint8_t s4_type;                   /* SLP_TYP of S4 */
    uint16_t pm_base;                  /* 0: not set by the firmware yet */
    uint16_t gpe0_base;                /* 4 bytes */
    GPtrArray *user_tables;            /* GBytes: complete tables to add; NULL: none */
    uint32_t pci_functions[8];         /* bitmap by devfn: what is plugged in */
} PcAcpiConfig;

void pc_acpi_build(AcpiBuild *b, const PcAcpiConfig *c);
/* The definition block's body, for tests too. */
void pc_dsdt(Aml *a, const PcAcpiConfig *c);

#endif
