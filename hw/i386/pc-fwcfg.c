/*
 * What the firmware is told: fw_cfg items and files, CMOS, SMBIOS. Which ones there are is the interface of this kind of
 * machine's firmware (SeaBIOS, OVMF), as both are seen to use it.
 */
#include <string.h>

#include "accel/accel.h"
#include "hw/acpi/piix4.h"
#include "hw/i386/pc.h"
#include "hw/i386/topology.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/rtc/mc146818rtc.h"
#include "hw/smbios/smbios.h"
#include "target/i386/models.h"
#include "target/i386/sys/sys.h"
#include "util/version.h"

enum { E820_RAM = 1, E820_RESERVED = 2, MAX_RANGES = 2, HPET_ID = 0x8086a201 };
#define GIB_4 (4ull << 30)
#define HYPERTRANSPORT_BASE 0xfd00000000ull /* where AMD's processors decode themselves: never for RAM or PCI */
#define HYPERTRANSPORT_SIZE 0x300000000ull
#define HPET_BASE 0xfed00000ull
#define PRODUCT "Standard PC (i440FX + PIIX, 1996)"

static void append_le(GByteArray *a, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        uint8_t b = (uint8_t)(value >> (8 * i));
        g_byte_array_append(a, &b, 1);
    }
}

static bool set_file(PcMachine *pc, const char *name, GByteArray *take, Error **errp)
{
    return fw_cfg_set_file(pc->fw_cfg, name, g_byte_array_free_to_bytes(take), errp);
}

/* ---- Memory ---- */

static unsigned ram_ranges(const PcMachine *pc, SmbiosRange out[MAX_RANGES])
{
    out[0] = (SmbiosRange){ 0, pc->below_4g };
    out[1] = (SmbiosRange){ GIB_4, pc->above_4g };
    return pc->above_4g ? 2 : 1;
}

/* AMD's processors whose addresses reach there: CPUID leaf 0 is EBX EDX ECX "AuthenticAMD", 80000008h EAX[7:0] the address bits. */
static bool has_hypertransport(PcMachine *pc)
{
    enum { AUTH = 0x68747541, ENTI = 0x69746e65, CAMD = 0x444d4163, BITS = 40 };
    uint32_t name[4], size[4];

    x86_cpuid(x86_cpu(pc->m.vcpus[0]), 0, 0, name);
    x86_cpuid(x86_cpu(pc->m.vcpus[0]), 0x80000008, 0, size);
    return name[1] == AUTH && name[3] == ENTI && name[2] == CAMD && (size[0] & 0xff) >= BITS;
}

/* etc/e820: address, length, type. */
static bool set_e820(PcMachine *pc, Error **errp)
{
    SmbiosRange r[MAX_RANGES];
    unsigned n = ram_ranges(pc, r);
    GByteArray *a = g_byte_array_new();

    if (has_hypertransport(pc)) {
        append_le(a, HYPERTRANSPORT_BASE, 8);
        append_le(a, HYPERTRANSPORT_SIZE, 8);
        append_le(a, E820_RESERVED, 4);
    }
    for (unsigned i = 0; i < n; i++) {
        append_le(a, r[i].base, 8);
        append_le(a, r[i].size, 8);
        append_le(a, E820_RAM, 4);
    }
    return set_file(pc, "etc/e820", a, errp);
}

/* ---- SMBIOS ---- */

typedef struct {
    Object *wanted;
    int address; /* bus << 8 | devfn; -1: not found */
} FindPci;

static void find_pci(PciBus *bus, PciDevice *dev, void *opaque)
{
    FindPci *f = opaque;

    if (OBJECT(dev) == f->wanted) {
        f->address = dev->devfn; /* buses behind bridges have no number before the firmware gives them one */
    }
}

/* Addresses of the devices that -smbios type=41 names; owned. */
static bool find_onboard(PcMachine *pc, uint16_t **out, Error **errp)
{
    Object *folder = object_child(OBJECT(pc), "peripheral");
    const SmbiosUser *u = pc->m.smbios;
    g_autofree uint16_t *found = g_new0(uint16_t, u ? u->options->len + 1 : 1);
    const SmbiosOption *o;

    for (unsigned i = 0; (o = smbios_user_option(u, SMBIOS_TYPE_41, i)); i++) {
        const char *id = o->u._41.pcidev;
        FindPci f = { id && folder ? object_child(folder, id) : NULL, -1 };

        if (!id) {
            continue;
        }
        if (f.wanted) {
            pci_foreach(pc->pci, find_pci, &f);
        }
        if (f.address < 0) {
            return error_set(errp, "-smbios type=41,pcidev=%s: there is no PCI device with this id", id);
        }
        found[i] = (uint16_t)f.address;
    }
    *out = g_steal_pointer(&found);
    return true;
}

/* The 32-bit entry point counts in 16 bits; where nobody chose, larger tables get the other. */
static bool build_smbios(PcMachine *pc, SmbiosConfig *c, GByteArray **tables, GByteArray **anchor, Error **errp)
{
    smbios_build(c, tables, anchor);
    if (c->entry64 || (*tables)->len <= UINT16_MAX) {
        return true;
    }
    g_byte_array_unref(*tables);
    g_byte_array_unref(*anchor);
    if (pc->conf.smbios_entry_point_type == SMBIOS_ENTRY_POINT_TYPE_32) {
        error_set(errp, "the SMBIOS tables have more than the %u bytes of a 32-bit entry point", (unsigned)UINT16_MAX);
        return error_hint(errp, "Leave out -machine smbios-entry-point-type=32");
    }
    c->entry64 = true;
    smbios_build(c, tables, anchor);
    return true;
}

static bool set_smbios(PcMachine *pc, Error **errp)
{
    g_autofree uint16_t *onboard = NULL;
    const CpuTopology *t = &pc->m.smp;
    g_autofree char *version = g_strdup(OBJECT(pc)->klass->item.name);
    SmbiosRange ranges[MAX_RANGES];
    SmbiosConfig c = {
        .entry64 = pc->conf.smbios_entry_point_type == SMBIOS_ENTRY_POINT_TYPE_64, .manufacturer = DMI_MANUFACTURER,
        .product = PRODUCT, .version = version, .sockets = t->sockets,
        .cores_per_socket = t->cores * MAX(t->dies, 1u) * MAX(t->modules, 1u), .ram_size = pc->m.ram_size, .ranges = ranges,
        .num_ranges = ram_ranges(pc, ranges),
    };
    GByteArray *tables, *anchor;
    uint32_t signature[4];

    *g_strrstr(version, "-machine") = 0;
    c.threads_per_socket = c.cores_per_socket * t->threads;
    x86_cpuid(x86_cpu(pc->m.vcpus[0]), 1, 0, signature);
    c.cpu_eax = signature[0];
    c.cpu_edx = signature[3];
    memcpy(c.uuid, pc->m.uuid, sizeof(c.uuid));
    c.user = pc->m.smbios;
    if (!find_onboard(pc, &onboard, errp)) {
        return false;
    }
    c.onboard = onboard;
    if (!build_smbios(pc, &c, &tables, &anchor, errp)) {
        return false;
    }
    return set_file(pc, SMBIOS_FILE_TABLES, tables, errp) && set_file(pc, SMBIOS_FILE_ANCHOR, anchor, errp);
}

/* ---- Items ---- */

/* Number of timer blocks, then eight: id, address, shortest period, protection; 255 says that there is no HPET. */
static void set_hpet(PcMachine *pc)
{
    GByteArray *a = g_byte_array_new();

    append_le(a, pc->hpet ? 1 : 0xff, 1);
    append_le(a, pc->hpet ? HPET_ID : 0, 4);
    append_le(a, pc->hpet ? HPET_BASE : 0, 8);
    append_le(a, 0, 2);
    append_le(a, 0, 1);
    g_byte_array_set_size(a, 1 + 8 * 15);
    memset(a->data + 16, 0, a->len - 16);
    fw_cfg_set(pc->fw_cfg, FW_CFG_HPET, g_byte_array_free_to_bytes(a));
}

static void set_numbers(PcMachine *pc)
{
    const MachineConf *conf = machine_conf(&pc->m);
    uint32_t limit = x86_apic_id_limit(&pc->m.smp);
    gsize numa = (1 + limit) * sizeof(uint64_t);

    fw_cfg_set_u64(pc->fw_cfg, FW_CFG_RAM_SIZE, pc->m.ram_size);
    fw_cfg_set_u16(pc->fw_cfg, FW_CFG_NOGRAPHIC, !conf->graphics);
    fw_cfg_set_u16(pc->fw_cfg, FW_CFG_NB_CPUS, (uint16_t)pc->m.smp.cpus);
    fw_cfg_set_u16(pc->fw_cfg, FW_CFG_MAX_CPUS, (uint16_t)limit);
    fw_cfg_set_u16(pc->fw_cfg, FW_CFG_BOOT_MENU, conf->boot && conf->boot->has_menu && conf->boot->menu);
    fw_cfg_set_u32(pc->fw_cfg, FW_CFG_IRQ0_OVERRIDE, 1);
    fw_cfg_set(pc->fw_cfg, FW_CFG_NUMA, g_bytes_new_take(g_malloc0(numa), numa)); /* no nodes */
    set_hpet(pc);
}

/* etc/system-states: a byte for S0 to S5: bit 7 it is there, the rest its SLP_TYP. */
static bool set_sleep_states(PcMachine *pc, Error **errp)
{
    uint8_t s[6] = { 0x80, 0, 0, 1, 0, 0x80 };

    if (!pc->pm) {
        return true;
    }
    s[3] |= piix4_pm_has_s3(pc->pm) ? 0x80 : 0;
    s[4] = piix4_pm_s4_type(pc->pm) | (piix4_pm_has_s4(pc->pm) ? 0x80 : 0);
    return fw_cfg_set_file(pc->fw_cfg, "etc/system-states", g_bytes_new(s, sizeof(s)), errp);
}

/* ---- Booting ---- */

static bool set_boot(PcMachine *pc, Error **errp)
{
    const BootConfiguration *boot = machine_conf(&pc->m)->boot;
    int64_t retry = boot && boot->has_reboot_timeout ? boot->reboot_timeout : -1;
    uint32_t fail = GUINT32_TO_LE((uint32_t)retry);
    uint16_t wait = boot && boot->has_splash_time ? GUINT16_TO_LE((uint16_t)boot->splash_time) : 0;

    if (boot && boot->splash) {
        return error_set(errp, "-boot splash=: pictures are not supported");
    }
    if (boot && boot->has_splash_time &&
        !fw_cfg_set_file(pc->fw_cfg, "etc/boot-menu-wait", g_bytes_new(&wait, 2), errp)) {
        return false;
    }
    return fw_cfg_set_file(pc->fw_cfg, "etc/boot-fail-wait", g_bytes_new(&fail, 4), errp);
}

/* Files of the user's are there already; one of ours would replace it without a word. */
static bool names_are_free(PcMachine *pc, Error **errp)
{
    static const char *const ours[] = {
        "bootorder", "etc/acpi/rsdp", "etc/acpi/tables", "etc/table-loader", "etc/boot-fail-wait", "etc/boot-menu-wait",
        "etc/boot/kernel", "etc/e820", "etc/system-states", SMBIOS_FILE_TABLES, SMBIOS_FILE_ANCHOR, "genroms/linuxboot_dma.bin",
        "genroms/pvh.bin",
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(ours); i++) {
        if (fw_cfg_file(pc->fw_cfg, ours[i])) {
            return error_set(errp, "-fw_cfg: '%s' is a file of the machine's own", ours[i]);
        }
    }
    return true;
}

bool pc_fwcfg_fill(PcMachine *pc, Error **errp)
{
    if (!names_are_free(pc, errp)) {
        return false;
    }
    set_numbers(pc);
    return set_e820(pc, errp) && set_smbios(pc, errp) && set_sleep_states(pc, errp) && set_boot(pc, errp);
}

/* ---- CMOS: where firmware of the AT looks ---- */

/* Letters of -boot order= to the firmware's device numbers; false: not known, or twice. */
static bool boot_nibbles(const char *order, uint8_t out[3], Error **errp)
{
    unsigned n = 0;

    for (const char *p = order; *p; p++) {
        if (*p < 'a' || *p > 'p' || strchr(p + 1, *p)) {
            return error_set(errp, "-boot: %s boot device '%c'", *p < 'a' || *p > 'p' ? "Invalid" : "duplicate", *p);
        }
        if (n == 3) {
            return error_set(errp, "-boot: order '%s' has more than three devices", order);
        }
        switch (*p) {
        case 'a':
        case 'b':
            out[n++] = 1;
            break;
        case 'c':
            out[n++] = 2;
            break;
        case 'd':
            out[n++] = 3;
            break;
        case 'n':
            out[n++] = 4;
            break;
        default:
            return error_set(errp, "-boot: Invalid boot device for PC: '%c'", *p);
        }
    }
    return true;
}

bool pc_boot_order_valid(const char *order, Error **errp)
{
    uint8_t n[3] = { 0 };

    return boot_nibbles(order, n, errp);
}

static void cmos16(PcMachine *pc, uint8_t index, uint64_t value)
{
    value = MIN(value, 0xffffu);
    mc146818rtc_set_cmos(pc->rtc, index, (uint8_t)value);
    mc146818rtc_set_cmos(pc->rtc, index + 1, (uint8_t)(value >> 8));
}

static void cmos_memory(PcMachine *pc)
{
    uint64_t low = pc->below_4g;

    cmos16(pc, 0x15, MIN(low >> 10, 640u));
    cmos16(pc, 0x17, (low >> 10) - 1024);
    cmos16(pc, 0x30, (low >> 10) - 1024);
    cmos16(pc, 0x34, low > 16 << 20 ? (low >> 16) - 256 : 0);
    for (unsigned i = 0; i < 3; i++) {
        mc146818rtc_set_cmos(pc->rtc, (uint8_t)(0x5b + i), (uint8_t)(pc->above_4g >> 16 >> 8 * i));
    }
}

void pc_cmos_boot_order(PcMachine *pc, bool once)
{
    enum { NO_FLOPPY_CHECK = 1 };
    const BootConfiguration *boot = machine_conf(&pc->m)->boot;
    const char *order = boot && boot->once && once ? boot->once : boot && boot->order ? boot->order : "cad";
    uint8_t n[3] = { 0 };

    boot_nibbles(order, n, &error_abort); /* pc_create has looked */
    mc146818rtc_set_cmos(pc->rtc, 0x3d, (uint8_t)(n[1] << 4 | n[0]));
    mc146818rtc_set_cmos(pc->rtc, 0x38, (uint8_t)(n[2] << 4 | (pc->conf.fd_bootchk ? 0 : NO_FLOPPY_CHECK)));
}

void pc_cmos_fill(PcMachine *pc)
{
    enum { EQUIPMENT_FPU = 1 << 1, EQUIPMENT_MOUSE = 1 << 2 };

    cmos_memory(pc);
    mc146818rtc_set_cmos(pc->rtc, 0x5f, (uint8_t)(pc->m.smp.cpus - 1));
    mc146818rtc_set_cmos(pc->rtc, 0x14, EQUIPMENT_FPU | EQUIPMENT_MOUSE);
    pc_cmos_boot_order(pc, true);
    pc_cmos_disks(pc);
}
