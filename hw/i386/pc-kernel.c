/*
 * -kernel, -initrd, -append: what the option ROMs of pc-bios/optionrom find in fw_cfg. Linux by its x86 boot protocol
 * (Documentation/arch/x86/boot.rst; offsets are of the setup header), ELF with a PVH note by elf.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <stdlib.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "hw/i386/pc.h"
#include "hw/nvram/fw_cfg.h"
#include "pc-bios/optionrom/roms.h"
#include "util/bits.h"

enum {                             /* Setup header */
    SETUP_SECTS = 0x1f1, VID_MODE = 0x1fa, HEADER_MAGIC = 0x202, VERSION = 0x206, TYPE_OF_LOADER = 0x210, LOADFLAGS = 0x211,
    RAMDISK_IMAGE = 0x218, RAMDISK_SIZE = 0x21c, HEAP_END_PTR = 0x224, CMD_LINE_PTR = 0x228, INITRD_ADDR_MAX = 0x22c,
    XLOADFLAGS = 0x236, CMDLINE_SIZE = 0x238, HEADER_END = 0x268,
    LOADED_HIGH = 1 << 0, CAN_USE_HEAP = 1 << 7, XLF_CAN_BE_LOADED_ABOVE_4G = 1 << 1,
    LOADER_ID = 0xb0,              /* assigned to this kind of machine */
    PROTOCOL_CMDLINE = 0x202,      /* first with cmd_line_ptr */
};
enum {                             /* Where things go */
    SETUP_AT = 0x10000, CMDLINE_AT = 0x20000, KERNEL_AT = 0x100000,
    SETUP_MAX = CMDLINE_AT - SETUP_AT, CMDLINE_MAX = 0x10000,
    INITRD_MAX_OLD = 0x37ffffff,   /* before protocol 2.03 */
    TABLES_ROOM = 0x20000,         /* end of RAM: the firmware's tables */
};

#define LINUX_ROM "genroms/linuxboot_dma.bin"
#define PVH_ROM "genroms/pvh.bin"

static uint32_t get(const uint8_t *p, unsigned offset, unsigned size)
{
    uint32_t v = 0;

    for (unsigned i = 0; i < size; i++) {
        v |= (uint32_t)p[offset + i] << (8 * i);
    }
    return v;
}

static void put(uint8_t *p, unsigned offset, uint32_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++) {
        p[offset + i] = (uint8_t)(value >> (8 * i));
    }
}

uint64_t pc_initrd_end(const PcMachine *pc)
{
    return pc->below_4g > TABLES_ROOM ? pc->below_4g - TABLES_ROOM - 1 : 0;
}

/* The file mapped, so that what the guest never reads is never in memory. */
static GBytes *map_file(const char *what, const char *path, Error **errp)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    GMappedFile *file = fd < 0 ? NULL : g_mapped_file_new_from_fd(fd, false, NULL);
    int err = errno;
    GBytes *bytes;

    if (fd >= 0) {
        close(fd);
    }
    if (!file) {
        error_set_errno(errp, err, "could not open %s '%s'", what, path);
        return NULL;
    }
    bytes = g_mapped_file_get_bytes(file);
    g_mapped_file_unref(file);
    if (g_bytes_get_size(bytes) > UINT32_MAX) {
        error_set(errp, "%s '%s' is larger than 4 GiB", what, path);
        g_bytes_unref(bytes);
        return NULL;
    }
    return bytes;
}

/* Puts the initrd as high as allowed, page aligned. image_end: what must stay free below it. */
static bool load_initrd(PcMachine *pc, uint64_t limit, uint64_t image_end, uint32_t *at, uint32_t *len, Error **errp)
{
    const char *path = machine_conf(&pc->m)->initrd;
    GBytes *bytes;
    uint64_t size, end = MIN(limit, pc_initrd_end(pc));

    *at = *len = 0;
    if (!path) {
        return true;
    }
    bytes = map_file("initrd", path, errp);
    if (!bytes) {
        return false;
    }
    size = g_bytes_get_size(bytes);
    if (size > end || ((end - size) & ~0xfffull) < image_end) {
        g_bytes_unref(bytes);
        return error_set(errp, "initrd '%s' (%" PRIu64 " KiB) does not fit into memory with the kernel: give more with -m", path,
                         size >> 10);
    }
    *at = (uint32_t)((end - size) & ~0xfffull);
    *len = (uint32_t)size;
    fw_cfg_set_u32(pc->fw_cfg, FW_CFG_INITRD_ADDR, *at);
    fw_cfg_set_u32(pc->fw_cfg, FW_CFG_INITRD_SIZE, *len);
    fw_cfg_set(pc->fw_cfg, FW_CFG_INITRD_DATA, bytes);
    return true;
}

static bool set_cmdline(PcMachine *pc, uint32_t max, Error **errp)
{
    const char *text = machine_conf(&pc->m)->append ? machine_conf(&pc->m)->append : "";
    size_t len = strlen(text);

    max = MIN(max, (uint32_t)CMDLINE_MAX - 1);
    if (len > max) {
        return error_set(errp, "-append: the kernel takes at most %u characters, not %zu", max, len);
    }
    fw_cfg_set_u32(pc->fw_cfg, FW_CFG_CMDLINE_ADDR, CMDLINE_AT);
    fw_cfg_set_u32(pc->fw_cfg, FW_CFG_CMDLINE_SIZE, (uint32_t)len + 1);
    fw_cfg_set(pc->fw_cfg, FW_CFG_CMDLINE_DATA, g_bytes_new(text, len + 1));
    return true;
}

/* "Special command line options": vga=MODE is the loader's to put into the header. */
static uint16_t video_mode(const char *cmdline)
{
    const char *p = cmdline ? strstr(cmdline, "vga=") : NULL;

    if (!p || (p != cmdline && p[-1] != ' ')) {
        return 0xffff;
    }
    p += 4;
    if (g_str_has_prefix(p, "normal")) {
        return 0xffff;
    } else if (g_str_has_prefix(p, "ext")) {
        return 0xfffe;
    } else if (g_str_has_prefix(p, "ask")) {
        return 0xfffd;
    }
    return (uint16_t)strtoul(p, NULL, 0);
}

static bool set_rom(PcMachine *pc, const char *file, const uint8_t *rom, unsigned size, Error **errp)
{
    return fw_cfg_set_file(pc->fw_cfg, file, g_bytes_new_static(rom, size), errp);
}

/* Sizes that the header says, against the file. */
static bool check_linux(const char *path, const uint8_t *data, size_t size, uint32_t *setup_size, Error **errp)
{
    uint32_t version = get(data, VERSION, 2), sectors = data[SETUP_SECTS] ? data[SETUP_SECTS] : 4;

    *setup_size = (sectors + 1) * 512;
    if (version < PROTOCOL_CMDLINE || !(data[LOADFLAGS] & LOADED_HIGH)) {
        return error_set(errp, "kernel '%s': boot protocol %u.%02u and images for low memory are not loaded (2.02 is needed)", path,
                         version >> 8, version & 0xff);
    }
    if (*setup_size > size || *setup_size > SETUP_MAX) {
        return error_set(errp, "kernel '%s': its header says that the set-up code has %u bytes", path, *setup_size);
    }
    return true;
}

static bool load_linux(PcMachine *pc, const char *path, GBytes *file, Error **errp)
{
    gsize size;
    const uint8_t *data = g_bytes_get_data(file, &size);
    uint32_t setup_size, version, at, len, initrd_max, kernel_size;
    uint8_t *setup;

    if (!check_linux(path, data, size, &setup_size, errp)) {
        return false;
    }
    version = get(data, VERSION, 2);
    kernel_size = (uint32_t)size - setup_size;
    initrd_max = version >= 0x203 ? get(data, INITRD_ADDR_MAX, 4) : INITRD_MAX_OLD;
    if (version >= 0x20c && get(data, XLOADFLAGS, 2) & XLF_CAN_BE_LOADED_ABOVE_4G) {
        initrd_max = UINT32_MAX;
    }
    if ((uint64_t)KERNEL_AT + kernel_size > pc->below_4g) {
        return error_set(errp, "kernel '%s' does not fit into memory: give more with -m", path);
    }
    if (!set_cmdline(pc, version >= 0x206 ? get(data, CMDLINE_SIZE, 4) : 255, errp) ||
        !load_initrd(pc, initrd_max, KERNEL_AT + kernel_size, &at, &len, errp)) {
        return false;
    }
    setup = g_memdup2(data, MAX(setup_size, (uint32_t)HEADER_END));
    put(setup, TYPE_OF_LOADER, LOADER_ID, 1);
    setup[LOADFLAGS] |= CAN_USE_HEAP;
    put(setup, HEAP_END_PTR, CMDLINE_AT - SETUP_AT - 0x200, 2);
    put(setup, CMD_LINE_PTR, CMDLINE_AT, 4);
    put(setup, RAMDISK_IMAGE, at, 4);
    put(setup, RAMDISK_SIZE, len, 4);
    put(setup, VID_MODE, video_mode(machine_conf(&pc->m)->append), 2);
    fw_cfg_set_u32(pc->fw_cfg, FW_CFG_SETUP_ADDR, SETUP_AT);
    fw_cfg_set_u32(pc->fw_cfg, FW_CFG_SETUP_SIZE, setup_size);
    fw_cfg_set(pc->fw_cfg, FW_CFG_SETUP_DATA, g_bytes_new_take(setup, setup_size));
    fw_cfg_set_u32(pc->fw_cfg, FW_CFG_KERNEL_ADDR, KERNEL_AT);
    fw_cfg_set_u32(pc->fw_cfg, FW_CFG_KERNEL_SIZE, kernel_size);
    fw_cfg_set(pc->fw_cfg, FW_CFG_KERNEL_DATA, g_bytes_new_from_bytes(file, setup_size, kernel_size));
    return fw_cfg_set_file(pc->fw_cfg, "etc/boot/kernel", g_bytes_ref(file), errp) &&
           set_rom(pc, LINUX_ROM, rom_linuxboot, rom_linuxboot_size, errp);
}

static bool load_elf(PcMachine *pc, const char *path, GBytes *file, Error **errp)
{
    gsize size;
    const uint8_t *data = g_bytes_get_data(file, &size);
    ElfKernel k;
    uint32_t at, len;

    if (!elf_pvh_load(data, size, pc->below_4g, &k, errp)) {
        return error_prepend(errp, "kernel '%s': ", path);
    }
    fw_cfg_set_u32(pc->fw_cfg, FW_CFG_KERNEL_ADDR, k.address);
    fw_cfg_set_u32(pc->fw_cfg, FW_CFG_KERNEL_SIZE, (uint32_t)g_bytes_get_size(k.image));
    fw_cfg_set_u32(pc->fw_cfg, FW_CFG_KERNEL_ENTRY, k.entry);
    at = k.address + (uint32_t)g_bytes_get_size(k.image);
    fw_cfg_set(pc->fw_cfg, FW_CFG_KERNEL_DATA, k.image);
    return set_cmdline(pc, CMDLINE_MAX - 1, errp) && load_initrd(pc, UINT32_MAX, at, &at, &len, errp) &&
           set_rom(pc, PVH_ROM, rom_pvh, rom_pvh_size, errp);
}

bool pc_kernel_load(PcMachine *pc, const char **rom, Error **errp)
{
    const MachineConf *conf = machine_conf(&pc->m);
    GBytes *file;
    gsize size;
    const uint8_t *data;
    bool ok;

    *rom = NULL;
    if (!conf->kernel) {
        if (conf->initrd) {
            return error_set(errp, "-initrd only allowed with -kernel option");
        }
        return !conf->append || error_set(errp, "-append only allowed with -kernel option");
    }
    file = map_file("kernel file", conf->kernel, errp);
    if (!file) {
        return false;
    }
    data = g_bytes_get_data(file, &size);
    if (size >= HEADER_END && !memcmp(data + HEADER_MAGIC, "HdrS", 4)) {
        ok = load_linux(pc, conf->kernel, file, errp);
        *rom = LINUX_ROM;
    } else if (elf_is(data, size)) {
        ok = load_elf(pc, conf->kernel, file, errp);
        *rom = PVH_ROM;
    } else {
        ok = error_set(errp, "kernel '%s': invalid kernel header: neither a Linux image nor ELF", conf->kernel);
    }
    g_bytes_unref(file);
    return ok;
}
