/*
 * ACPI tables of the 82441FX/PIIX boards. ACPI 6.4: 5.2.9 (FADT, here revision 1 of 116 bytes as these boards always had), 5.2.12
 * (MADT); IA-PC HPET 1.0a, 3.2.4; WAET: Microsoft's specification 1.0. Values that the guest can tell boards apart by are those it sees on
 * this machine type elsewhere. Not there: processor, memory and PCI hot plug.
 */
#include "hw/acpi/pc-tables.h"

#include <string.h>

#include "util/version.h"

enum {
    SCI_IRQ = 9, SMI_PORT = 0xb2, ACPI_ENABLE = 0xf1, ACPI_DISABLE = 0xf0, CENTURY_INDEX = 0x32,
    LAPIC_BASE = 0xfee00000, IOAPIC_BASE = 0xfec00000, HPET_BASE = 0xfed00000,
    HPET_ID = 0x8086a201,
};

static uint64_t pm_port(const PcAcpiConfig *c, unsigned offset)
{
    return c->pm_base + offset;
}

static void build_fadt(AcpiBuild *b, const PcAcpiConfig *c, uint32_t facs, uint32_t dsdt)
{
    enum {
        WBINVD = 1 << 0, PROC_C1 = 1 << 2, SLP_BUTTON = 1 << 5, RTC_S4 = 1 << 7, USE_PLATFORM_CLOCK = 1 << 15,
        NO_C2_C3 = 0xfff,
    };

    acpi_table_begin(b, "FACP", 1);
    acpi_put_pointer(b, facs);
    acpi_put_pointer(b, dsdt);
    acpi_put(b, 1, 1);                  /* INT_MODEL: multiple APIC */
    acpi_put(b, 0, 1);
    acpi_put(b, SCI_IRQ, 2);
    acpi_put(b, SMI_PORT, 4);
    acpi_put(b, ACPI_ENABLE, 1);
    acpi_put(b, ACPI_DISABLE, 1);
    acpi_put(b, 0, 2);                  /* S4BIOS_REQ, PSTATE_CNT */
    acpi_put(b, pm_port(c, 0), 4);      /* PM1a_EVT_BLK */
    acpi_put(b, 0, 4);
    acpi_put(b, pm_port(c, 4), 4);      /* PM1a_CNT_BLK */
    acpi_put(b, 0, 4);
    acpi_put(b, 0, 4);
    acpi_put(b, pm_port(c, 8), 4);      /* PM_TMR_BLK */
    acpi_put(b, c->gpe0_base, 4);
    acpi_put(b, 0, 4);
    acpi_put(b, 4, 1);                  /* lengths: PM1_EVT, PM1_CNT, PM2_CNT, PM_TMR, GPE0, GPE1 */
    acpi_put(b, 2, 1);
    acpi_put(b, 0, 1);
    acpi_put(b, 4, 1);
    acpi_put(b, 4, 1);
    acpi_put(b, 0, 1);
    acpi_put(b, 0, 2);                  /* GPE1_BASE, CST_CNT */
    acpi_put(b, NO_C2_C3, 2);
    acpi_put(b, NO_C2_C3, 2);
    acpi_put(b, 0, 8);                  /* flush size and stride, duty offset and width, day and month alarm */
    acpi_put(b, CENTURY_INDEX, 1);
    acpi_put(b, 0, 3);                  /* IAPC_BOOT_ARCH: not in revision 1 */
    acpi_put(b, WBINVD | PROC_C1 | SLP_BUTTON | RTC_S4 | USE_PLATFORM_CLOCK, 4);
    acpi_table_end(b, true);
}

static void madt_override(AcpiBuild *b, uint8_t irq, uint32_t gsi, uint16_t flags)
{
    acpi_put(b, 2, 1);
    acpi_put(b, 10, 1);
    acpi_put(b, 0, 1);
    acpi_put(b, irq, 1);
    acpi_put(b, gsi, 4);
    acpi_put(b, flags, 2);
}

/* Ids above 254 need the x2APIC structures (5.2.12.12). */
static void madt_cpu(AcpiBuild *b, uint32_t uid, uint32_t apic_id)
{
    if (apic_id < 255) {
        acpi_put(b, 0, 1), acpi_put(b, 8, 1);
        acpi_put(b, uid, 1), acpi_put(b, apic_id, 1);
        acpi_put(b, 1, 4);
    } else {
        acpi_put(b, 9, 1), acpi_put(b, 16, 1), acpi_put(b, 0, 2);
        acpi_put(b, apic_id, 4), acpi_put(b, 1, 4), acpi_put(b, uid, 4);
    }
}

static void build_madt(AcpiBuild *b, const PcAcpiConfig *c)
{
    enum { LEVEL_HIGH = 3 << 2 | 1 };
    static const uint8_t level[] = { 5, 9, 10, 11 }; /* PCI's and SCI */
    bool x2apic = false;

    acpi_table_begin(b, "APIC", 3);
    acpi_put(b, LAPIC_BASE, 4);
    acpi_put(b, c->pcat_compat, 4);
    for (unsigned i = 0; i < c->num_cpus; i++) {
        madt_cpu(b, i, c->apic_ids[i]);
        x2apic |= c->apic_ids[i] > 254;
    }
    acpi_put(b, 1, 1), acpi_put(b, 12, 1), acpi_put(b, 0, 2); /* I/O APIC 0 */
    acpi_put(b, IOAPIC_BASE, 4), acpi_put(b, 0, 4);
    madt_override(b, 0, 2, 0); /* the 8254 is on pin 2 */
    for (unsigned i = 0; i < G_N_ELEMENTS(level); i++) {
        madt_override(b, level[i], level[i], LEVEL_HIGH);
    }
    acpi_put(b, 4, 1), acpi_put(b, 6, 1); /* NMI on LINT1 of all */
    acpi_put(b, 0xff, 1), acpi_put(b, 0, 2), acpi_put(b, 1, 1);
    if (x2apic) {
        acpi_put(b, 10, 1), acpi_put(b, 12, 1), acpi_put(b, 0, 2);
        acpi_put(b, 0xffffffff, 4), acpi_put(b, 1, 1), acpi_put(b, 0, 3);
    }
    acpi_table_end(b, true);
}

static void build_hpet(AcpiBuild *b)
{
    acpi_table_begin(b, "HPET", 1);
    acpi_put(b, HPET_ID, 4);
    acpi_put(b, 0, 4); /* generic address: memory */
    acpi_put(b, HPET_BASE, 8);
    acpi_put(b, 0, 4);
    acpi_table_end(b, true);
}

static void build_waet(AcpiBuild *b)
{
    acpi_table_begin(b, "WAET", 1);
    acpi_put(b, 1 << 1, 4); /* one read of the PM timer is enough */
    acpi_table_end(b, true);
}

/* Windows takes a SLIC for real only when FADT and RSDT have its ids (Microsoft's OEM activation 2.0): its header, or NULL. */
static const char *slic_header(const PcAcpiConfig *c)
{
    for (guint i = 0; c->user_tables && i < c->user_tables->len; i++) {
        const char *data = g_bytes_get_data(g_ptr_array_index(c->user_tables, i), NULL);

        if (!memcmp(data, "SLIC", 4)) {
            return data;
        }
    }
    return NULL;
}

static void set_ids(AcpiBuild *b, const char *header)
{
    enum { OEM_ID_AT = 10, OEM_TABLE_ID_AT = 16 };

    if (header) {
        acpi_set_ids(b, header + OEM_ID_AT, header + OEM_TABLE_ID_AT);
    }
}

static void put_user_tables(AcpiBuild *b, const PcAcpiConfig *c)
{
    for (guint i = 0; c->user_tables && i < c->user_tables->len; i++) {
        gsize len;
        const void *data = g_bytes_get_data(g_ptr_array_index(c->user_tables, i), &len);

        acpi_put_table(b, data, len);
    }
}

void pc_acpi_build(AcpiBuild *b, const PcAcpiConfig *c)
{
    const AcpiBuild usual = *b;
    const char *slic = slic_header(c);
    uint32_t facs = acpi_put_facs(b), dsdt;
    Aml *a = aml_new();
    GByteArray *body;

    pc_dsdt(a, c);
    body = aml_steal(a);
    dsdt = acpi_table_begin(b, "DSDT", 1);
    acpi_put_bytes(b, body->data, body->len);
    acpi_table_end(b, false);
    g_byte_array_unref(body);

    set_ids(b, slic);
    build_fadt(b, c, facs, dsdt);
    acpi_set_ids(b, usual.oem_id, usual.oem_table_id);
    build_madt(b, c);
    if (c->hpet) {
        build_hpet(b);
    }
    build_waet(b);
    put_user_tables(b, c);
    set_ids(b, slic);
    acpi_build_finish(b);
}
