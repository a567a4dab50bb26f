/*
 * ACPI table container. ACPI 6.4: 5.2.3 (RSDP, here revision 0), 5.2.6 (header), 5.2.7 (RSDT), 5.2.10 (FACS). Placement commands:
 * the public description of the interface between emulator and firmware, as firmware is seen to use it.
 */
#include "hw/acpi/tables.h"

#include <string.h>

#include "util/version.h"

enum {
    CMD_ALLOCATE = 1, CMD_POINTER = 2, CMD_CHECKSUM = 3, CMD_SIZE = 128, FILE_NAME = 56,
    ZONE_HIGH = 1, ZONE_FSEG = 2, /* where: anywhere, or where the RSDP is looked for (5.2.5.1) */
    HEADER = 36, CHECKSUM_AT = 9, LENGTH_AT = 4,
};

static void put_padded(char *out, size_t len, const char *text)
{
    size_t n = strlen(text);

    memset(out, ' ', len);
    memcpy(out, text, n < len ? n : len);
}

static void put_le(GByteArray *to, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        uint8_t b = (uint8_t)(value >> (8 * i));
        g_byte_array_append(to, &b, 1);
    }
}

static void put_file(GByteArray *to, const char *name)
{
    char field[FILE_NAME] = { 0 };

    g_strlcpy(field, name, sizeof(field));
    g_byte_array_append(to, (const uint8_t *)field, sizeof(field));
}

static void command_end(GByteArray *l)
{
    static const uint8_t zero[CMD_SIZE];

    g_byte_array_append(l, zero, (CMD_SIZE - l->len % CMD_SIZE) % CMD_SIZE);
}

static void command_allocate(AcpiBuild *b, const char *file, uint32_t align, uint8_t zone)
{
    put_le(b->loader, CMD_ALLOCATE, 4);
    put_file(b->loader, file);
    put_le(b->loader, align, 4);
    put_le(b->loader, zone, 1);
    command_end(b->loader);
}

static void command_pointer(AcpiBuild *b, const char *in, uint32_t at, uint8_t size, const char *to)
{
    put_le(b->loader, CMD_POINTER, 4);
    put_file(b->loader, in);
    put_file(b->loader, to);
    put_le(b->loader, at, 4);
    put_le(b->loader, size, 1);
    command_end(b->loader);
}

static void command_checksum(AcpiBuild *b, const char *file, uint32_t at, uint32_t start, uint32_t len)
{
    put_le(b->loader, CMD_CHECKSUM, 4);
    put_file(b->loader, file);
    put_le(b->loader, at, 4);
    put_le(b->loader, start, 4);
    put_le(b->loader, len, 4);
    command_end(b->loader);
}

AcpiBuild *acpi_build_new(const char *oem_id, const char *oem_table_id)
{
    AcpiBuild *b = g_new0(AcpiBuild, 1);

    put_padded(b->oem_id, sizeof(b->oem_id), oem_id);
    put_padded(b->oem_table_id, sizeof(b->oem_table_id), oem_table_id);
    b->tables = g_byte_array_new();
    b->rsdp = g_byte_array_new();
    b->loader = g_byte_array_new();
    b->listed = g_array_new(false, false, sizeof(uint32_t));
    command_allocate(b, ACPI_FILE_RSDP, 16, ZONE_FSEG);
    command_allocate(b, ACPI_FILE_TABLES, 64, ZONE_HIGH);
    return b;
}

void acpi_build_free(AcpiBuild *b)
{
    if (b) {
        g_byte_array_unref(b->tables);
        g_byte_array_unref(b->rsdp);
        g_byte_array_unref(b->loader);
        g_array_unref(b->listed);
        g_free(b);
    }
}

uint32_t acpi_put_facs(AcpiBuild *b)
{
    uint32_t at = b->tables->len;
    uint8_t facs[64] = "FACS";

    g_assert(at % 64 == 0);
    facs[LENGTH_AT] = sizeof(facs);
    acpi_put_bytes(b, facs, sizeof(facs));
    return at;
}

void acpi_put(AcpiBuild *b, uint64_t value, unsigned bytes)
{
    put_le(b->tables, value, bytes);
}

void acpi_put_bytes(AcpiBuild *b, const void *data, size_t len)
{
    g_byte_array_append(b->tables, data, (guint)len);
}

void acpi_put_pointer(AcpiBuild *b, uint32_t offset)
{
    command_pointer(b, ACPI_FILE_TABLES, b->tables->len, 4, ACPI_FILE_TABLES);
    acpi_put(b, offset, 4);
}

uint32_t acpi_table_begin(AcpiBuild *b, const char signature[5], uint8_t revision)
{
    b->start = b->tables->len;
    acpi_put_bytes(b, signature, 4);
    acpi_put(b, 0, 4); /* length: acpi_table_end */
    acpi_put(b, revision, 1);
    acpi_put(b, 0, 1); /* checksum: the firmware */
    acpi_put_bytes(b, b->oem_id, sizeof(b->oem_id));
    acpi_put_bytes(b, b->oem_table_id, sizeof(b->oem_table_id));
    acpi_put(b, ACPI_OEM_REVISION, 4);
    acpi_put_bytes(b, ACPI_CREATOR_ID, 4);
    acpi_put(b, ACPI_CREATOR_REVISION, 4);
    g_assert(b->tables->len == b->start + HEADER);
    return b->start;
}

void acpi_table_end(AcpiBuild *b, bool listed)
{
    uint32_t len = b->tables->len - b->start;

    for (unsigned i = 0; i < 4; i++) {
        b->tables->data[b->start + LENGTH_AT + i] = (uint8_t)(len >> (8 * i));
    }
    command_checksum(b, ACPI_FILE_TABLES, b->start + CHECKSUM_AT, b->start, len);
    if (listed) {
        g_array_append_val(b->listed, b->start);
    }
}

void acpi_put_table(AcpiBuild *b, const void *data, size_t len)
{
    uint32_t at = b->tables->len;

    acpi_put_bytes(b, data, len);
    g_array_append_val(b->listed, at);
}

void acpi_set_ids(AcpiBuild *b, const char *oem_id, const char *oem_table_id)
{
    memcpy(b->oem_id, oem_id, sizeof(b->oem_id));
    memcpy(b->oem_table_id, oem_table_id, sizeof(b->oem_table_id));
}

void acpi_build_finish(AcpiBuild *b)
{
    uint32_t rsdt = acpi_table_begin(b, "RSDT", 1);

    for (guint i = 0; i < b->listed->len; i++) {
        acpi_put_pointer(b, g_array_index(b->listed, uint32_t, i));
    }
    acpi_table_end(b, false);

    g_byte_array_append(b->rsdp, (const uint8_t *)"RSD PTR ", 8);
    put_le(b->rsdp, 0, 1); /* checksum */
    g_byte_array_append(b->rsdp, (const uint8_t *)b->oem_id, sizeof(b->oem_id));
    put_le(b->rsdp, 0, 1); /* revision: ACPI 1.0, no XSDT */
    put_le(b->rsdp, rsdt, 4);
    command_pointer(b, ACPI_FILE_RSDP, 16, 4, ACPI_FILE_TABLES);
    command_checksum(b, ACPI_FILE_RSDP, 8, 0, b->rsdp->len);
}
