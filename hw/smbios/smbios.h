/*
 * SMBIOS tables (DMI): what the guest reads of its machine's make, processors and memory.
 *
 * smbios_build() turns a description into the two fw_cfg files: the structures, and the entry point whose address and checksums
 * the firmware fills in. Strings that are NULL are absent. Pure function; bounded by the counts in the description.
 */
#ifndef HW_SMBIOS_SMBIOS_H
#define HW_SMBIOS_SMBIOS_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define SMBIOS_FILE_TABLES "etc/smbios/smbios-tables"
#define SMBIOS_FILE_ANCHOR "etc/smbios/smbios-anchor"

typedef struct {
    uint64_t base, size;
} SmbiosRange;

typedef struct {
    bool entry64;                  /* 3.0 entry point (64-bit), else 2.8 */
    bool has_bios;                 /* type 0 */
    const char *bios_vendor, *bios_version, *bios_date;
    bool uefi;
    const char *manufacturer, *product, *version, *serial, *sku, *family; /* type 1 */
    uint8_t uuid[16];              /* as text shows it; all zero: none */
    unsigned sockets, cores_per_socket, threads_per_socket; /* type 4, one a socket */
    uint32_t cpu_eax, cpu_edx;     /* CPUID leaf 1 */
    uint64_t ram_size;             /* types 16 and 17 */
    const SmbiosRange *ranges;     /* type 19: RAM as mapped */
    unsigned num_ranges;
} SmbiosConfig;

/* Both arrays are owned by the caller. */
void smbios_build(const SmbiosConfig *c, GByteArray **tables, GByteArray **anchor);

#endif
