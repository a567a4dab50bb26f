/*
 * The definition block of the 82441FX/PIIX boards: PCI root and its windows, interrupt links, legacy devices, processors, sleep
 * states. ACPI 6.4 by section; PIIX (82371SB) data sheet for PIRQ routing. Names and paths are those guests know from this machine.
 */
#include "hw/acpi/pc-tables.h"

#include <stdio.h>

#include "util/version.h"

/* 6.2.13: interrupt pin of each slot; slot 1 pin A is the power management function, hard-wired to the SCI. */
static void dsdt_prt(Aml *a)
{
    static const char *const links[] = { "LNKA", "LNKB", "LNKC", "LNKD" };

    /* A method, so that the names in it are looked up when all are there. */
    aml_method(a, "_PRT", 0, false);
    aml_op(a, AML_RETURN);
    aml_package(a, 32 * 4);
    for (unsigned slot = 0; slot < 32; slot++) {
        for (unsigned pin = 0; pin < 4; pin++) {
            aml_package(a, 4);
            aml_int(a, slot << 16 | 0xffff);
            aml_int(a, pin);
            aml_path(a, slot == 1 && pin == 0 ? "LNKS" : links[(slot + pin + 3) & 3]);
            aml_int(a, 0);
            aml_end(a);
        }
    }
    aml_end(a);
    aml_end(a);
}

/* Helpers of the links: route register to _STA, and to a resource template. */
static void dsdt_link_helpers(Aml *a)
{
    static const uint32_t none[1] = { 0 };

    aml_method(a, "IQST", 1, false);
    aml_if(a);
    aml_op(a, AML_AND), aml_int(a, 0x80), aml_arg(a, 0), aml_op(a, AML_NULL_NAME);
    aml_op(a, AML_RETURN), aml_int(a, 0x09); /* 6.3.7: present, disabled */
    aml_end(a);
    aml_op(a, AML_RETURN), aml_int(a, 0x0b);
    aml_end(a);

    aml_method(a, "IQCR", 1, true);
    aml_name(a, "PRR0");
    aml_resources(a), aml_res_interrupts(a, none, 1), aml_end(a);
    aml_op(a, AML_CREATE_DWORD_FIELD), aml_path(a, "PRR0"), aml_int(a, 5), aml_path(a, "PRRI");
    aml_if(a);
    aml_op(a, AML_LLESS), aml_arg(a, 0), aml_int(a, 0x80);
    aml_op(a, AML_STORE), aml_arg(a, 0), aml_path(a, "PRRI");
    aml_end(a);
    aml_op(a, AML_RETURN), aml_path(a, "PRR0");
    aml_end(a);
}

/* One interrupt link over a PIRQRC register (82371SB, 2.2.9): bit 7 disables, bits 3:0 are the interrupt. */
static void dsdt_link(Aml *a, unsigned n)
{
    static const uint32_t choice[] = { 5, 10, 11 };
    char link[5] = { 'L', 'N', 'K', (char)('A' + n), 0 };
    char reg[5] = { 'P', 'R', 'Q', (char)('0' + n), 0 };

    aml_device(a, link);
    aml_name_eisaid(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", n);
    aml_name(a, "_PRS");
    aml_resources(a), aml_res_interrupts(a, choice, G_N_ELEMENTS(choice)), aml_end(a);
    aml_method(a, "_STA", 0, false);
    aml_op(a, AML_RETURN), aml_path(a, "IQST"), aml_path(a, reg);
    aml_end(a);
    aml_method(a, "_DIS", 0, false);
    aml_op(a, AML_OR), aml_path(a, reg), aml_int(a, 0x80), aml_path(a, reg);
    aml_end(a);
    aml_method(a, "_CRS", 0, false);
    aml_op(a, AML_RETURN), aml_path(a, "IQCR"), aml_path(a, reg);
    aml_end(a);
    aml_method(a, "_SRS", 1, false);
    aml_op(a, AML_CREATE_DWORD_FIELD), aml_arg(a, 0), aml_int(a, 5), aml_path(a, "PRRI");
    aml_op(a, AML_STORE), aml_path(a, "PRRI"), aml_path(a, reg);
    aml_end(a);
    aml_end(a);
}

static void dsdt_sci_link(Aml *a)
{
    static const uint32_t sci = 9;

    aml_device(a, "LNKS");
    aml_name_eisaid(a, "_HID", "PNP0C0F");
    aml_name_int(a, "_UID", 4);
    aml_name(a, "_PRS");
    aml_resources(a), aml_res_interrupts(a, &sci, 1), aml_end(a);
    aml_method(a, "_STA", 0, false);
    aml_op(a, AML_RETURN), aml_int(a, 0x0b);
    aml_end(a);
    aml_method(a, "_DIS", 0, false), aml_end(a);
    aml_method(a, "_CRS", 0, false);
    aml_op(a, AML_RETURN), aml_path(a, "_PRS");
    aml_end(a);
    aml_method(a, "_SRS", 1, false), aml_end(a);
    aml_end(a);
}

static void dsdt_root_windows(Aml *a, const PcAcpiConfig *c)
{
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_res_window(a, AML_WINDOW_BUS, 16, 0, 0xff, false);
    aml_res_io(a, 0xcf8, 1, 8);
    aml_res_window(a, AML_WINDOW_IO, 16, 0, 0xcf7, false);
    aml_res_window(a, AML_WINDOW_IO, 16, 0xd00, 0xffff, false);
    aml_res_window(a, AML_WINDOW_MEMORY, 32, 0xa0000, 0xbffff, true);
    aml_res_window(a, AML_WINDOW_MEMORY, 32, c->below_4g, 0xfebfffff, false);
    if (c->hole64_last) {
        aml_res_window(a, AML_WINDOW_MEMORY, 64, c->hole64_first, c->hole64_last, true);
    }
    aml_end(a);
}

/* A device on the ISA bus with ports and an interrupt; len 0 or irq 0: none. */
static void isa_device(Aml *a, const char *name, const char *hid, int uid, uint16_t port, uint8_t len, unsigned irq)
{
    aml_device(a, name);
    aml_name_eisaid(a, "_HID", hid);
    if (uid) {
        aml_name_int(a, "_UID", (unsigned)uid);
    }
    aml_name_int(a, "_STA", 0x0f);
    aml_name(a, "_CRS");
    aml_resources(a);
    if (len) {
        aml_res_io(a, port, len == 8 ? 8 : 1, len);
    }
    if (irq) {
        aml_res_irq(a, irq);
    }
    aml_end(a);
    aml_end(a);
}

static void dsdt_keyboard(Aml *a)
{
    aml_device(a, "KBD");
    aml_name_eisaid(a, "_HID", "PNP0303");
    aml_name_int(a, "_STA", 0x0f);
    aml_name(a, "_CRS");
    aml_resources(a);
    aml_res_io(a, 0x60, 1, 1);
    aml_res_io(a, 0x64, 1, 1);
    aml_res_irq(a, 1);
    aml_end(a);
    aml_end(a);
    isa_device(a, "MOU", "PNP0F13", 0, 0, 0, 12);
}

/* The PIIX ISA bridge, slot 1 function 0: PIRQ registers (named in \_SB for the links) and what is behind it. */
static void dsdt_isa(Aml *a, const PcAcpiConfig *c)
{
    static const uint16_t com_port[4] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 }, lpt_port[3] = { 0x378, 0x278, 0x3bc };
    static const uint8_t com_irq[4] = { 4, 3, 4, 3 };

    aml_device(a, "S08");
    aml_name_int(a, "_ADR", 1 << 16);
    aml_region(a, "P40C", AML_PCI_CONFIG, 0x60, 4);
    aml_scope(a, "\\_SB");
    aml_field(a, "PCI0.S08.P40C", AML_BYTE_ACC | AML_PRESERVE);
    for (unsigned i = 0; i < 4; i++) {
        char reg[5] = { 'P', 'R', 'Q', (char)('0' + i), 0 };
        aml_field_named(a, reg, 8);
    }
    aml_end(a);
    aml_end(a);
    if (c->i8042) {
        dsdt_keyboard(a);
    }
    for (int i = 0; i < 3; i++) {
        char name[5] = { 'L', 'P', 'T', (char)('1' + i), 0 };
        if (c->lpt[i]) {
            isa_device(a, name, "PNP0400", i + 1, lpt_port[i], 8, 7);
        }
    }
    for (int i = 0; i < 4; i++) {
        char name[5] = { 'C', 'O', 'M', (char)('1' + i), 0 };
        if (c->com[i]) {
            isa_device(a, name, "PNP0501", i + 1, com_port[i], 8, com_irq[i]);
        }
    }
    isa_device(a, "RTC", "PNP0B00", 0, 0x70, 8, 8);
    aml_end(a);
}

/* The other functions on bus 0, so that the system can name them (6.1.1); slot 1 function 0 is dsdt_isa's. */
static void dsdt_functions(Aml *a, const PcAcpiConfig *c)
{
    for (unsigned devfn = 0; devfn < 256; devfn++) {
        char name[5];

        if (devfn == 0x08 || !(c->pci_functions[devfn / 32] >> devfn % 32 & 1)) {
            continue;
        }
        snprintf(name, sizeof(name), "S%02X", devfn);
        aml_device(a, name);
        aml_name_int(a, "_ADR", (devfn >> 3) << 16 | (devfn & 7));
        aml_end(a);
    }
}

static void dsdt_claimed(Aml *a, const char *name, const char *uid, uint16_t port, uint8_t len)
{
    aml_device(a, name);
    aml_name_string(a, "_HID", "PNP0A06");
    aml_name_string(a, "_UID", uid);
    aml_name_int(a, "_STA", 0x0b);
    aml_name(a, "_CRS");
    aml_resources(a), aml_res_io(a, port, 1, len), aml_end(a);
    aml_end(a);
}

static void dsdt_fw_cfg(Aml *a)
{
    aml_device(a, "FWCF");
    aml_name_string(a, "_HID", FW_CFG_ACPI_HID);
    aml_name_int(a, "_STA", 0x0b);
    aml_name(a, "_CRS");
    aml_resources(a), aml_res_io(a, 0x510, 1, 12), aml_end(a);
    aml_end(a);
}

static void dsdt_pci(Aml *a, const PcAcpiConfig *c)
{
    aml_device(a, "PCI0");
    aml_name_eisaid(a, "_HID", "PNP0A03");
    aml_name_int(a, "_UID", 0);
    dsdt_root_windows(a, c);
    dsdt_prt(a);
    dsdt_isa(a, c);
    dsdt_functions(a, c);
    dsdt_claimed(a, "GPE0", "GPE0 resources", c->gpe0_base, 4);
    if (c->fw_cfg) {
        dsdt_fw_cfg(a);
    }
    aml_end(a);
}

static void dsdt_hpet(Aml *a)
{
    aml_device(a, "HPET");
    aml_name_eisaid(a, "_HID", "PNP0103");
    aml_name_int(a, "_UID", 0);
    aml_name_int(a, "_STA", 0x0f);
    aml_name(a, "_CRS");
    aml_resources(a), aml_res_memory32(a, 0xfed00000, 0x400, false), aml_end(a);
    aml_end(a);
}

/* 8.4: Processor objects for ids of one byte, processor devices (ACPI0007) for more. */
static void dsdt_cpu(Aml *a, unsigned n, uint32_t apic_id)
{
    char name[5];
    uint8_t lapic[8] = { 0, 8, (uint8_t)n, (uint8_t)apic_id, 1, 0, 0, 0 };
    uint8_t x2apic[16] = { 9, 16, 0, 0, (uint8_t)apic_id, (uint8_t)(apic_id >> 8), (uint8_t)(apic_id >> 16),
                           (uint8_t)(apic_id >> 24), 1, 0, 0, 0, (uint8_t)n, (uint8_t)(n >> 8), 0, 0 };

    snprintf(name, sizeof(name), "C%03X", n & 0xfff);
    if (apic_id < 255) {
        aml_processor(a, name, (uint8_t)n, 0, 0);
    } else {
        aml_device(a, name);
        aml_name_string(a, "_HID", "ACPI0007");
        aml_name_int(a, "_UID", n);
    }
    aml_name_int(a, "_STA", 0x0f);
    aml_name(a, "_MAT");
    if (apic_id < 255) {
        aml_buffer(a, lapic, sizeof(lapic));
    } else {
        aml_buffer(a, x2apic, sizeof(x2apic));
    }
    aml_end(a);
}

static void dsdt_cpus(Aml *a, const PcAcpiConfig *c)
{
    aml_device(a, "CPUS");
    aml_name_string(a, "_HID", "ACPI0010");
    aml_name_eisaid(a, "_CID", "PNP0A05");
    for (unsigned i = 0; i < c->num_cpus; i++) {
        dsdt_cpu(a, i, c->apic_ids[i]);
    }
    aml_end(a);
}

/* 7.4.2: SLP_TYP values of the PIIX4: 0 soft off, 1 suspend to RAM, s4_type suspend to disk. */
static void dsdt_sleep(Aml *a, const char *state, unsigned type)
{
    aml_name(a, state);
    aml_package(a, 4);
    aml_int(a, type), aml_int(a, type), aml_int(a, 0), aml_int(a, 0);
    aml_end(a);
}

void pc_dsdt(Aml *a, const PcAcpiConfig *c)
{
    aml_scope(a, "\\_SB");
    dsdt_pci(a, c);
    dsdt_link_helpers(a);
    for (unsigned i = 0; i < 4; i++) {
        dsdt_link(a, i);
    }
    dsdt_sci_link(a);
    if (c->hpet) {
        dsdt_hpet(a);
    }
    dsdt_cpus(a, c);
    aml_end(a);
    aml_scope(a, "\\_GPE");
    aml_name_string(a, "_HID", "ACPI0006");
    aml_end(a);
    if (c->s3) {
        dsdt_sleep(a, "_S3", 1);
    }
    if (c->s4) {
        dsdt_sleep(a, "_S4", c->s4_type);
    }
    dsdt_sleep(a, "_S5", 0);
}
