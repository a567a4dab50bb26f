/*
 * ACPI tables and AML: encodings by the specification's numbers, the PC's tables by Debian's iasl, which disassembles them and
 * compiles what it got; the placement commands by running them as firmware does.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <string.h>

#include "hw/acpi/pc-tables.h"
#include "util/version.h"

static void check_bytes(Aml *a, const char *hex)
{
    GByteArray *b = aml_steal(a);
    GString *s = g_string_new(NULL);

    for (guint i = 0; i < b->len; i++) {
        g_string_append_printf(s, "%02x", b->data[i]);
    }
    g_assert_cmpstr(s->str, ==, hex);
    g_string_free(s, true);
    g_byte_array_unref(b);
}

static void test_integers(void)
{
    Aml *a = aml_new();

    aml_int(a, 0), aml_int(a, 1), aml_int(a, 2), aml_int(a, 0xff), aml_int(a, 0x100);
    aml_int(a, 0x12345678), aml_int(a, 0x123456789abcull);
    check_bytes(a, "00" "01" "0a02" "0aff" "0b0001" "0c78563412" "0ebc9a785634120000");
}

static void test_paths(void)
{
    Aml *a = aml_new();

    aml_path(a, "A"), aml_path(a, "\\_SB.PCI0"), aml_path(a, "^^B.C.D"), aml_path(a, "\\");
    check_bytes(a, "415f5f5f" "5c2e5f53425f50434930" "5e5e2f03425f5f5f435f5f5f445f5f5f" "5c00");
}

/* 19.3.4's own example: PNP0A03 is 0x030ad041. */
static void test_eisaid(void)
{
    Aml *a = aml_new();

    aml_eisaid(a, "PNP0A03");
    check_bytes(a, "0c41d00a03");
}

/* 20.2.4: the length grows by a byte at 64, 4096 (counting itself), and nests. */
static void test_pkg_length(void)
{
    static const struct {
        unsigned content;
        uint8_t head[4];
        unsigned len;
    } cases[] = {
        { 62, { 0x3f }, 1 }, { 63, { 0x41, 0x04 }, 2 }, { 4093, { 0x4f, 0xff }, 2 }, { 4094, { 0x81, 0x00, 0x01 }, 3 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autofree uint8_t *zeros = g_malloc0(cases[i].content);
        Aml *a = aml_new();
        GByteArray *b;

        aml_while(a);
        aml_bytes(a, zeros, cases[i].content);
        aml_end(a);
        b = aml_steal(a);
        g_assert_cmpuint(b->len, ==, 1 + cases[i].len + cases[i].content);
        g_assert_cmpmem(b->data + 1, cases[i].len, cases[i].head, cases[i].len);
        g_byte_array_unref(b);
    }
}

static const uint32_t apic_ids[] = { 0, 1, 2, 254, 255, 300 };

static PcAcpiConfig full_config(void)
{
    return (PcAcpiConfig){
        .oem_id = ACPI_OEM_ID, .oem_table_id = ACPI_OEM_TABLE_ID, .apic_ids = apic_ids, .num_cpus = G_N_ELEMENTS(apic_ids),
        .below_4g = 0xc0000000, .hole64_first = 0x140000000, .hole64_last = 0x1bfffffff, .pcat_compat = true,
        .hpet = true, .i8042 = true, .fw_cfg = true, .com = { true, true, true, true }, .lpt = { true }, .s3 = true, .s4 = true,
        .s4_type = 2, .pm_base = 0x600, .gpe0_base = 0xafe0, .pci_functions = { 0x40b01, 0, 0, 0, 0, 0, 0, 0x80000000 },
    };
}

/* As the firmware: a table's address is base + offset; pointers get the base added. */
static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

enum { PLACED_AT = 0x7fe0000 };

static void run_loader(AcpiBuild *b)
{
    for (guint at = 0; at < b->loader->len; at += 128) {
        const uint8_t *c = b->loader->data + at;
        GByteArray *file = !strcmp((const char *)c + 4, ACPI_FILE_RSDP) ? b->rsdp : b->tables;

        if (get32(c) == 2) {
            uint32_t where = get32(c + 116), v;

            g_assert_cmpstr((const char *)c + 60, ==, ACPI_FILE_TABLES);
            g_assert_cmpuint(c[120], ==, 4);
            g_assert_cmpuint(where + 4, <=, file->len);
            v = get32(file->data + where);
            g_assert_cmpuint(v, <, b->tables->len);
            v += PLACED_AT;
            memcpy(file->data + where, &v, 4);
        } else if (get32(c) == 3) {
            uint32_t where = get32(c + 60), start = get32(c + 64), len = get32(c + 68);
            uint8_t sum = 0;

            g_assert_cmpuint(start + len, <=, file->len);
            for (uint32_t i = 0; i < len; i++) {
                sum += file->data[start + i];
            }
            file->data[where] = (uint8_t)(file->data[where] - sum);
        } else {
            g_assert_cmpuint(get32(c), ==, 1);
        }
    }
}

static const uint8_t *placed(AcpiBuild *b, uint32_t address, const char *signature)
{
    const uint8_t *p = b->tables->data + (address - PLACED_AT);

    g_assert_cmpuint(address - PLACED_AT, <, b->tables->len);
    g_assert_cmpmem(p, 4, signature, 4);
    return p;
}

static void iasl(const char *dir, const char *args, const char *file)
{
    g_autofree char *command = g_strdup_printf("sh -c 'cd %s && iasl %s %s >out.txt 2>&1'", dir, args, file);
    g_autofree char *out_path = g_build_filename(dir, "out.txt", NULL);
    g_autofree char *text = NULL;
    int status = -1;

    g_assert_true(g_spawn_command_line_sync(command, NULL, NULL, &status, NULL));
    if (status || !g_file_get_contents(out_path, &text, NULL, NULL) || strstr(text, "Error ") || strstr(text, "Could not")) {
        g_test_message("%s", text);
        g_test_fail();
    }
}

/* Disassembles a table; a DSDT is also compiled again: its names resolve and its types are right. */
static void check_by_iasl(const char *dir, const uint8_t *table, bool compile)
{
    g_autofree char *aml = g_strdup_printf("%.4s.aml", (const char *)table), *dsl = g_strdup_printf("%.4s.dsl", (const char *)table);
    g_autofree char *path = g_build_filename(dir, aml, NULL), *dsl_path = g_build_filename(dir, dsl, NULL);
    g_autofree char *text = NULL;

    g_assert_true(g_file_set_contents(path, (const char *)table, get32(table + 4), NULL));
    iasl(dir, "-d", aml);
    g_assert_true(g_file_get_contents(dsl_path, &text, NULL, NULL));
    g_assert_null(strstr(text, "Incorrect checksum"));
    g_assert_null(strstr(text, "UnknownObj"));
    if (compile) {
        g_assert_nonnull(strstr(text, "Device (COM4)"));
        g_assert_nonnull(strstr(text, "Processor (C003, 0x03"));
        iasl(dir, "-p again", dsl);
    }
}

static void remove_dir(const char *dir)
{
    g_autofree char *command = g_strdup_printf("rm -rf %s", dir);

    g_spawn_command_line_sync(command, NULL, NULL, NULL, NULL);
}

static void test_pc_tables(void)
{
    g_autofree char *dir = g_dir_make_tmp("acpi-test-XXXXXX", NULL);
    PcAcpiConfig c = full_config();
    AcpiBuild *b = acpi_build_new(c.oem_id, c.oem_table_id);
    const uint8_t *rsdt, *fadt = NULL;
    uint8_t sum = 0;

    pc_acpi_build(b, &c);
    g_assert_cmpuint(b->loader->len % 128, ==, 0);
    run_loader(b);
    for (guint i = 0; i < b->rsdp->len; i++) {
        sum += b->rsdp->data[i];
    }
    g_assert_cmpuint(b->rsdp->len, ==, 20);
    g_assert_cmpuint(sum, ==, 0);
    rsdt = placed(b, get32(b->rsdp->data + 16), "RSDT");
    g_assert_cmpuint(get32(rsdt + 4), ==, 36 + 4 * 4);
    for (unsigned i = 0; i < 4; i++) {
        static const char *const order[] = { "FACP", "APIC", "HPET", "WAET" };
        const uint8_t *t = placed(b, get32(rsdt + 36 + 4 * i), order[i]);

        g_assert_cmpmem(t + 10, 14, ACPI_OEM_ID ACPI_OEM_TABLE_ID, 14);
        fadt = i == 0 ? t : fadt;
        check_by_iasl(dir, t, false);
    }
    g_assert_cmpuint(get32(fadt + 4), ==, 116);
    g_assert_cmpuint(get32(fadt + 36) % 64, ==, 0);
    placed(b, get32(fadt + 36), "FACS");
    g_assert_cmpuint(get32(fadt + 56), ==, 0x600);
    check_by_iasl(dir, placed(b, get32(fadt + 40), "DSDT"), true);
    acpi_build_free(b);
    remove_dir(dir);
}

/* The least machine: nothing optional is told. */
static void test_pc_tables_least(void)
{
    PcAcpiConfig c = { .apic_ids = apic_ids, .num_cpus = 1, .below_4g = 1 << 20, .gpe0_base = 0xafe0 };
    AcpiBuild *b = acpi_build_new("A", "B");

    pc_acpi_build(b, &c);
    g_assert_null(g_strstr_len((const char *)b->tables->data, b->tables->len, "HPET"));
    g_assert_cmpmem(b->tables->data + 64 + 10, 14, "A     B       ", 14);
    acpi_build_free(b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/acpi/aml/integers", test_integers);
    g_test_add_func("/acpi/aml/paths", test_paths);
    g_test_add_func("/acpi/aml/eisaid", test_eisaid);
    g_test_add_func("/acpi/aml/pkg-length", test_pkg_length);
    g_test_add_func("/acpi/pc-tables/full", test_pc_tables);
    g_test_add_func("/acpi/pc-tables/least", test_pc_tables_least);
    return g_test_run();
}
