/*
 * SMBIOS: structure by structure as the specification lays them out, and as Debian's dmidecode reads them.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "hw/smbios/smbios.h"

static const SmbiosRange ranges[] = { { 0, 0xc0000000 }, { 0x100000000, 0x40000000 } };

static SmbiosConfig config(void)
{
    return (SmbiosConfig){
        .manufacturer = "QEMU", .product = "Standard PC", .version = "pc-1", .sockets = 2, .cores_per_socket = 3,
        .threads_per_socket = 6, .cpu_eax = 0x60fb1, .cpu_edx = 0x178bfbfd, .ram_size = 4ull << 30, .ranges = ranges,
        .num_ranges = 2, .uuid = { 0x12, 0x34, 0x56, 0x78, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0, 0x12, 0x34, 0x56, 0x78 },
    };
}

/* What dmidecode prints for a dump made of the two files, with address and checksums as firmware fills them in. */
static char *dmidecode(GByteArray *tables, GByteArray *anchor, unsigned checksum_at, unsigned address_at)
{
    g_autofree char *path = NULL, *command = NULL;
    GByteArray *dump = g_byte_array_new();
    uint8_t zeros[32] = { 0 }, sum = 0;
    char *out = NULL;
    int fd = g_file_open_tmp("dmi-XXXXXX", &path, NULL), status = -1;

    g_assert_cmpint(fd, >=, 0);
    g_close(fd, NULL);
    g_byte_array_append(dump, anchor->data, anchor->len);
    g_byte_array_append(dump, zeros, 32 - anchor->len % 32);
    dump->data[address_at] = 32;
    g_byte_array_append(dump, tables->data, tables->len);
    if (checksum_at == 4) { /* the inner part has its own, first */
        for (unsigned i = 0x10; i < 0x1f; i++) {
            sum += dump->data[i];
        }
        dump->data[0x15] = (uint8_t)-sum;
    }
    sum = 0;
    for (unsigned i = 0; i < anchor->len; i++) {
        sum += dump->data[i];
    }
    dump->data[checksum_at] = (uint8_t)-sum;
    g_assert_true(g_file_set_contents(path, (char *)dump->data, dump->len, NULL));
    command = g_strdup_printf("/usr/sbin/dmidecode --from-dump %s", path);
    g_assert_true(g_spawn_command_line_sync(command, &out, NULL, &status, NULL));
    g_assert_cmpint(status, ==, 0);
    g_unlink(path);
    g_byte_array_unref(dump);
    return out;
}

static void has(const char *text, const char *what)
{
    if (!strstr(text, what)) {
        g_test_message("'%s' is not in:\n%s", what, text);
        g_test_fail();
    }
}

static void test_dmidecode(void)
{
    static const char *const expected[] = {
        "SMBIOS 2.8 present", "Manufacturer: QEMU", "Product Name: Standard PC", "UUID: 12345678-1234-5678-9abc-def012345678",
        "Wake-up Type: Power Switch", "Socket Designation: CPU 1", "ID: B1 0F 06 00 FD FB 8B 17", "Core Count: 3",
        "Thread Count: 6", "Maximum Capacity: 4 GB", "Number Of Devices: 1", "Size: 4 GB", "Locator: DIMM 0",
        "Range Size: 3 GB", "Range Size: 1 GB", "Status: No errors detected", "End Of Table",
    };
    SmbiosConfig c = config();
    GByteArray *tables, *anchor;
    g_autofree char *text = NULL;

    smbios_build(&c, &tables, &anchor);
    text = dmidecode(tables, anchor, 4, 0x18);
    for (unsigned i = 0; i < G_N_ELEMENTS(expected); i++) {
        has(text, expected[i]);
    }
    g_assert_null(strstr(text, "Wrong"));
    g_assert_null(strstr(text, "Invalid"));
    g_byte_array_unref(tables);
    g_byte_array_unref(anchor);
}

/* Sizes that do not fit the first fields, and the 64-bit entry point. */
static void test_large(void)
{
    SmbiosOption bios = { SMBIOS_TYPE_0, .u._0 = { .vendor = (char *)"V", .uefi = true } };
    SmbiosUser *u = smbios_user_new();
    SmbiosRange big[] = { { 0, 0xc0000000 }, { 0x100000000, 5ull << 40 } };
    SmbiosConfig c = config();
    GByteArray *tables, *anchor;
    g_autofree char *text = NULL;

    c.entry64 = true;
    c.user = u;
    g_ptr_array_add(u->options, &bios);
    c.ram_size = 5ull << 40;
    c.ranges = big;
    c.cores_per_socket = 300;
    c.threads_per_socket = 600;
    smbios_build(&c, &tables, &anchor);
    text = dmidecode(tables, anchor, 5, 0x10);
    has(text, "SMBIOS 3.0.0 present");
    has(text, "Maximum Capacity: 5 TB");
    has(text, "Number Of Devices: 320");
    has(text, "Core Count: 300");
    has(text, "UEFI is supported");
    has(text, "Range Size: 5 TB");
    smbios_user_free(u);
    g_byte_array_unref(tables);
    g_byte_array_unref(anchor);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/smbios/dmidecode", test_dmidecode);
    g_test_add_func("/smbios/large", test_large);
    return g_test_run();
}
