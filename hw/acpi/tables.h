/*
 * ACPI tables for the guest's firmware: the tables, and the commands that tell the firmware how to place them.
 *
 * The firmware reads three fw_cfg files: etc/acpi/tables (all tables behind one another), etc/acpi/rsdp and
 * etc/table-loader, a list of commands of 128 bytes: allocate a file, add a file's address to a pointer in
 * another, set a checksum. Pointers inside the files are therefore offsets until the firmware has run the commands.
 *
 *     AcpiBuild *b = acpi_build_new("BOCHS ", "BXPC    ");
 *     acpi_table_begin(b, "WAET", 1);
 *     acpi_put(b, 2, 4);
 *     acpi_table_end(b);
 *     acpi_build_finish(b);      // RSDT, RSDP
 *
 * Used by pc-tables.c; knows no machine. All allocations are bounded by what the caller puts in.
 */
#ifndef HW_ACPI_TABLES_H
#define HW_ACPI_TABLES_H

#include <glib.h>
#include <stdbool.h>
#include <stdint.h>

#define ACPI_FILE_TABLES "etc/acpi/tables"
#define ACPI_FILE_RSDP "etc/acpi/rsdp"
#define ACPI_FILE_LOADER "etc/table-loader"

typedef struct {
    char oem_id[6], oem_table_id[8];
    GByteArray *tables, *rsdp, *loader;
    GArray *listed;        /* uint32_t offsets of the tables that RSDT has */
    uint32_t start;        /* of the table that is open */
} AcpiBuild;

/* Ids are cut or filled with blanks. */
AcpiBuild *acpi_build_new(const char *oem_id, const char *oem_table_id);
void acpi_build_free(AcpiBuild *b);

/* FACS has no standard header; must be first (64-byte alignment). Returns its offset. */
uint32_t acpi_put_facs(AcpiBuild *b);
/* Opens a table with the standard header; returns its offset. */
uint32_t acpi_table_begin(AcpiBuild *b, const char signature[5], uint8_t revision);
void acpi_put(AcpiBuild *b, uint64_t value, unsigned bytes);
void acpi_put_bytes(AcpiBuild *b, const void *data, size_t len);
/* A field of four bytes that will hold the address of what is at `offset` of the tables. */
void acpi_put_pointer(AcpiBuild *b, uint32_t offset);
/* Sets length and checksum command; listed in RSDT unless not (DSDT). */
void acpi_table_end(AcpiBuild *b, bool listed);
/* A complete table, checksum too, listed in RSDT. */
void acpi_put_table(AcpiBuild *b, const void *data, size_t len);
/* Ids of tables begun from now on, 6 and 8 bytes. */
void acpi_set_ids(AcpiBuild *b, const char *oem_id, const char *oem_table_id);
/* RSDT and RSDP; then the three files are complete. */
void acpi_build_finish(AcpiBuild *b);

#endif
