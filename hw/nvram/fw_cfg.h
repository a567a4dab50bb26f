/*
 * Firmware configuration device: a board gives it items before the first reset, the firmware reads them.
 *
 *     Device *f = device_new(m, "fw_cfg_io", NULL, OBJECT(m), "fw_cfg", errp, NULL);
 *     fw_cfg_set_u16(f, FW_CFG_NB_CPUS, 2);
 *     fw_cfg_set_file(f, "etc/e820", g_bytes_new(e820, sizeof(e820)), errp);
 *     fw_cfg_on_select(f, "etc/acpi/tables", build_tables, board);
 *
 * Files are sorted by name and get the numbers from FW_CFG_FILE_FIRST in that order, so all of them are set before the
 * guest runs; later only contents may change. Under the machine's lock.
 */
#ifndef HW_NVRAM_FW_CFG_H
#define HW_NVRAM_FW_CFG_H

#include <glib.h>

#include "hw/core/device.h"

/* Items by number: a public interface of this kind of machine. */
enum {
    FW_CFG_KEY_SIGNATURE = 0x00, FW_CFG_ID = 0x01, FW_CFG_UUID = 0x02, FW_CFG_RAM_SIZE = 0x03, FW_CFG_NOGRAPHIC = 0x04,
    FW_CFG_NB_CPUS = 0x05, FW_CFG_MACHINE_ID = 0x06, FW_CFG_KERNEL_ADDR = 0x07, FW_CFG_KERNEL_SIZE = 0x08,
    FW_CFG_INITRD_ADDR = 0x0a, FW_CFG_INITRD_SIZE = 0x0b, FW_CFG_BOOT_DEVICE = 0x0c, FW_CFG_NUMA = 0x0d,
    FW_CFG_BOOT_MENU = 0x0e, FW_CFG_MAX_CPUS = 0x0f, FW_CFG_KERNEL_ENTRY = 0x10, FW_CFG_KERNEL_DATA = 0x11,
    FW_CFG_INITRD_DATA = 0x12, FW_CFG_CMDLINE_ADDR = 0x13, FW_CFG_CMDLINE_SIZE = 0x14, FW_CFG_CMDLINE_DATA = 0x15,
    FW_CFG_SETUP_ADDR = 0x16, FW_CFG_SETUP_SIZE = 0x17, FW_CFG_SETUP_DATA = 0x18, FW_CFG_FILE_DIR = 0x19,
    FW_CFG_FILE_FIRST = 0x20,
    FW_CFG_ARCH_LOCAL = 0x8000,
    FW_CFG_IRQ0_OVERRIDE = 0x8002, FW_CFG_HPET = 0x8004,
};

/* Each takes the reference to the bytes it is given. Keys below FW_CFG_FILE_FIRST, with or without FW_CFG_ARCH_LOCAL. */
void fw_cfg_set(Device *fw_cfg, uint16_t key, GBytes *take);
void fw_cfg_set_u16(Device *fw_cfg, uint16_t key, uint16_t value);
void fw_cfg_set_u32(Device *fw_cfg, uint16_t key, uint32_t value);
void fw_cfg_set_u64(Device *fw_cfg, uint16_t key, uint64_t value);
/* Makes the file or replaces its contents. Fails when the name is too long or there are too many files. */
bool fw_cfg_set_file(Device *fw_cfg, const char *name, GBytes *take, Error **errp);
/* fn(opaque) is called when the guest selects the file, and may replace its contents (not change the set of files). */
void fw_cfg_on_select(Device *fw_cfg, const char *name, void (*fn)(void *opaque), void *opaque);
/* Contents, borrowed; NULL: there is none. For tests and loaders. */
GBytes *fw_cfg_file(Device *fw_cfg, const char *name);

#endif
