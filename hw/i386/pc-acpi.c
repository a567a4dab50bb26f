/* The board as its ACPI tables tell it. */
#include <json-c/json.h>
#include <string.h>

#include "hw/acpi/pc-tables.h"
#include "hw/acpi/piix4.h"
#include "hw/i386/pc.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/pci-host/i440fx.h"

enum { TABLES_UNIT = 128 << 10, LOADER_UNIT = 4 << 10 }; /* files keep their size when contents change */
#define GIB_1 (1ull << 30)
#define GIB_4 (4ull << 30)

static void note_function(PciBus *bus, PciDevice *dev, void *opaque)
{
    PcAcpiConfig *c = opaque;

    if (!bus->parent_bridge) {
        c->pci_functions[dev->devfn / 32] |= 1u << dev->devfn % 32;
    }
}

/* COM1..COM4 and LPT1..LPT3 that have a device at their usual place. */
static void note_isa_devices(PcMachine *pc, PcAcpiConfig *c)
{
    static const uint16_t com[4] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 }, lpt[3] = { 0x378, 0x278, 0x3bc };

    for (Device *d = pc->isa->bus.devices; d; d = d->bus_next) {
        struct json_object *value = NULL;
        int64_t port;

        if (!object_get(&d->obj, "iobase", &value, NULL)) {
            continue;
        }
        port = json_object_get_int64(value);
        json_object_put(value);
        for (unsigned i = 0; i < 4; i++) {
            c->com[i] |= port == com[i] && object_is_a(&d->obj, "isa-serial");
        }
        for (unsigned i = 0; i < 3; i++) {
            c->lpt[i] |= port == lpt[i] && object_is_a(&d->obj, "isa-parallel");
        }
    }
}

static PcAcpiConfig describe(PcMachine *pc)
{
    uint64_t end = pc->above_4g ? GIB_4 + pc->above_4g : GIB_4;
    uint64_t hole64 = i440fx_hole64_size(pc->host);
    PcAcpiConfig c = {
        .oem_id = pc->conf.x_oem_id, .oem_table_id = pc->conf.x_oem_table_id, .apic_ids = pc->apic_ids,
        .num_cpus = pc->m.num_vcpus, .user_tables = pc->m.acpi_tables, .below_4g = pc->below_4g, .pcat_compat = true, .hpet = pc->hpet,
        .i8042 = pc->keyboard, .fw_cfg = true, .gpe0_base = PIIX4_GPE0_BASE, .pm_base = piix4_pm_base(pc->pm),
        .s3 = piix4_pm_has_s3(pc->pm), .s4 = piix4_pm_has_s4(pc->pm), .s4_type = piix4_pm_s4_type(pc->pm),
    };

    if (hole64) {
        c.hole64_first = (end + GIB_1 - 1) & ~(GIB_1 - 1);
        c.hole64_last = c.hole64_first + hole64 - 1;
    }
    pci_foreach(pc->pci, note_function, &c);
    note_isa_devices(pc, &c);
    return c;
}

static GBytes *padded(const GByteArray *a, size_t unit)
{
    size_t size = (a->len + unit - 1) / unit * unit;
    uint8_t *data = g_malloc0(size);

    memcpy(data, a->data, a->len);
    return g_bytes_new_take(data, size);
}

static bool set_files(PcMachine *pc, Error **errp)
{
    PcAcpiConfig c = describe(pc);
    AcpiBuild *b = acpi_build_new(c.oem_id, c.oem_table_id);
    bool ok;

    pc_acpi_build(b, &c);
    ok = fw_cfg_set_file(pc->fw_cfg, ACPI_FILE_TABLES, padded(b->tables, TABLES_UNIT), errp) &&
         fw_cfg_set_file(pc->fw_cfg, ACPI_FILE_RSDP, g_bytes_new(b->rsdp->data, b->rsdp->len), errp) &&
         fw_cfg_set_file(pc->fw_cfg, ACPI_FILE_LOADER, padded(b->loader, LOADER_UNIT), errp);
    acpi_build_free(b);
    return ok;
}

/* The firmware reads the commands first, then what they name; replacing a file never fails. */
static void loader_selected(void *opaque)
{
    set_files(opaque, &error_abort);
}

bool pc_acpi_fill(PcMachine *pc, Error **errp)
{
    PcAcpiConfig c = { 0 };

    if (strlen(pc->conf.x_oem_id) > 6 || strlen(pc->conf.x_oem_table_id) > 8) {
        return error_set(errp, "x-oem-id has at most 6 characters and x-oem-table-id 8");
    }
    if (!set_files(pc, errp)) {
        return false;
    }
    fw_cfg_on_select(pc->fw_cfg, ACPI_FILE_LOADER, loader_selected, pc);
    note_isa_devices(pc, &c);
    piix4_pm_set_ports(pc->pm, c.com[0], c.com[1], c.lpt[0]);
    return true;
}
