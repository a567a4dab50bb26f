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

#include "hw/smbios/smbios.gen.h" /* SmbiosOption */
#include "util/error.h"

#define SMBIOS_FILE_TABLES "etc/smbios/smbios-tables"
#define SMBIOS_FILE_ANCHOR "etc/smbios/smbios-anchor"

typedef struct {
    uint64_t base, size;
} SmbiosRange;

/* What a user said, by -smbios; NULL: nothing. */
typedef struct SmbiosUser {
    GPtrArray *options;            /* SmbiosOption, not owned; at most one of each type but 8 and 41, none of type file */
    GPtrArray *strings;            /* of type 11; owned */
    GByteArray *structures;        /* from files, one behind another; owned */
    unsigned num_structures, largest;
    bool replaced[256];            /* types of those: the machine's own are left out */
    uint8_t release[2];            /* of type 0 */
} SmbiosUser;

SmbiosUser *smbios_user_new(void);
void smbios_user_free(SmbiosUser *);
bool smbios_user_add_structure(SmbiosUser *, const uint8_t *data, size_t size, Error **errp);
bool smbios_user_add_string(SmbiosUser *, const char *text, Error **errp);
const SmbiosOption *smbios_user_option(const SmbiosUser *, SmbiosType type, unsigned n); /* the nth, NULL: no more */

typedef struct {
    bool entry64;                  /* 3.0 entry point (64-bit), else 2.8 */
    const SmbiosUser *user;
    const uint16_t *onboard;       /* bus << 8 | devfn of each type 41 of the user's */
    const char *manufacturer, *product, *version; /* where the user says nothing */
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
