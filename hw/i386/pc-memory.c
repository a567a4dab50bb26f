/*
 * Memory map of the PC: RAM from 0, with a window for PCI below 4 GiB; firmware at the end of the 4 GiB, its last 128 KiB also
 * below 1 MiB; room for option ROMs at 0xc0000. Shadow RAM over all of that is the host bridge's.
 */
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "hw/i386/pc.h"

enum {
    RAM_MIN = 1 << 20,
    BIOS_UNIT = 64 << 10, ISA_BIOS_MAX = 128 << 10, OPTION_ROM_BASE = 0xc0000, OPTION_ROM_SIZE = 0x20000,
};
#define GIB_4 0x100000000ull
#define WINDOW_FULL 0xe0000000ull  /* RAM below it leaves enough of a window as it is */
#define WINDOW_SPLIT 0xc0000000ull /* where more RAM than that is cut */
#define BIOS_DEFAULT "bios-256k.bin"

bool pc_memory_split(PcMachine *pc, Error **errp)
{
    uint64_t size = pc->m.ram_size, limit = pc->conf.max_ram_below_4g;

    if (size < RAM_MIN) {
        return error_set(errp, "-m: a PC has at least 1 MiB of memory, not %" PRIu64 " KiB", size >> 10);
    }
    if (limit && limit < RAM_MIN) {
        return error_set(errp, "max-ram-below-4g must be at least 1 MiB");
    }
    pc->below_4g = size >= WINDOW_FULL ? WINDOW_SPLIT : size;
    if (limit && pc->below_4g > limit) {
        pc->below_4g = limit;
    } else if (limit > WINDOW_SPLIT && size > pc->below_4g) {
        pc->below_4g = MIN(MIN(limit, WINDOW_FULL), size);
    }
    pc->above_4g = size - pc->below_4g;
    return true;
}

static void map_ram(PcMachine *pc)
{
    Machine *m = &pc->m;

    memory_region_init_alias(&pc->ram_low, m->map, NULL, "ram-below-4g", m->ram, 0, pc->below_4g);
    memory_region_add(m->memory, 0, &pc->ram_low, 0);
    if (pc->above_4g) {
        memory_region_init_alias(&pc->ram_high, m->map, NULL, "ram-above-4g", m->ram, pc->below_4g, pc->above_4g);
        memory_region_add(m->memory, GIB_4, &pc->ram_high, 0);
    }
}

/* Whole contents of the firmware file, owned; NULL with errp. */
static char *read_firmware(PcMachine *pc, const char *name, gsize *size, Error **errp)
{
    g_autofree char *path = NULL;
    GError *gerr = NULL;
    char *data;

    if (!pc->m.host || !pc->m.host->find_file) {
        error_set(errp, "firmware '%s': nothing to look for it with", name);
        return NULL;
    }
    path = pc->m.host->find_file(&pc->m, name, errp);
    if (!path) {
        return NULL;
    }
    if (!g_file_get_contents(path, &data, size, &gerr)) {
        error_set(errp, "firmware '%s': %s", path, gerr->message);
        g_error_free(gerr);
        return NULL;
    }
    if (*size == 0 || *size % BIOS_UNIT || *size > pc->conf.max_fw_size) {
        error_set(errp, "firmware '%s' has %zu bytes: it must be a multiple of 64 KiB and at most %" PRIu64 " KiB", path,
                  (size_t)*size, pc->conf.max_fw_size >> 10);
        g_free(data);
        return NULL;
    }
    return data;
}

static bool map_firmware(PcMachine *pc, Error **errp)
{
    Machine *m = &pc->m;
    const char *name = machine_conf(m)->firmware ? machine_conf(m)->firmware : BIOS_DEFAULT;
    gsize size;
    g_autofree char *data = read_firmware(pc, name, &size, errp);
    uint64_t isa_size;

    if (!data || !memory_region_init_rom(&pc->bios, m->map, NULL, "pc.bios", size, errp)) {
        return false;
    }
    memcpy(memory_region_host(&pc->bios), data, size);
    memory_region_add(&pc->pci_memory, GIB_4 - size, &pc->bios, 0);
    isa_size = MIN(size, (gsize)ISA_BIOS_MAX);
    memory_region_init_alias(&pc->isa_bios, m->map, NULL, "isa-bios", &pc->bios, size - isa_size, isa_size);
    memory_region_set_readonly(&pc->isa_bios, true);
    memory_region_add(&pc->pci_memory, 0x100000 - isa_size, &pc->isa_bios, 1);
    return true;
}

static bool map_option_roms(PcMachine *pc, Error **errp)
{
    Machine *m = &pc->m;

    if (!memory_region_init_rom(&pc->option_roms, m->map, NULL, "pc.rom", OPTION_ROM_SIZE, errp)) {
        return false;
    }
    memory_region_add(&pc->pci_memory, OPTION_ROM_BASE, &pc->option_roms, 1);
    return true;
}

bool pc_memory_create(PcMachine *pc, Error **errp)
{
    bool ok;

    memory_transaction_begin(pc->m.map);
    memory_region_init(&pc->pci_memory, pc->m.map, NULL, "pci", 0);
    memory_region_add(pc->m.memory, 0, &pc->pci_memory, -1);
    map_ram(pc);
    ok = map_option_roms(pc, errp) && map_firmware(pc, errp);
    memory_transaction_commit(pc->m.map);
    return ok;
}

void pc_memory_finish(PcMachine *pc)
{
    memory_region_finish(&pc->isa_bios);
    memory_region_finish(&pc->bios);
    memory_region_finish(&pc->option_roms);
    memory_region_finish(&pc->pci_memory);
    memory_region_finish(&pc->ram_high);
    memory_region_finish(&pc->ram_low);
}
