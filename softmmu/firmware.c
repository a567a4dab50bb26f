/* What users add to the tables that firmware hands on: -smbios, -acpitable. */
#include "softmmu/firmware.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hw/smbios/smbios.h"
#include "softmmu/options.gen.h"

/* At most this much is read of a file: tables and structures have 16 bits for their place. */
enum { FILE_MAX = 65535 };

/* Appends the file. */
static bool read_file(const char *path, GByteArray *to, Error **errp)
{
    FILE *f = fopen(path, "rb");
    uint8_t buf[4096];
    size_t n;
    bool ok;

    if (!f) {
        return error_set_errno(errp, errno, "can't open file %s", path);
    }
    while ((n = fread(buf, 1, sizeof(buf), f)) > 0 && to->len <= FILE_MAX) {
        g_byte_array_append(to, buf, (guint)n);
    }
    ok = !ferror(f) ? true : error_set_errno(errp, errno, "can't read file %s", path);
    fclose(f);
    return ok && to->len > FILE_MAX ? error_set(errp, "%s: there are at most %d bytes", path, FILE_MAX) : ok;
}

/* ---- -smbios ---- */

/* Fields of one type: all that was said of it. */
typedef struct {
    QOptionRecord *first;  /* for messages */
    const char *type;
    QKeyval kv;
} Fields;

/* The item, with its value as text. */
static void copy_items(QKeyval *to, const QKeyval *from)
{
    for (size_t i = 0; i < from->len; i++) {
        const QKeyvalItem *item = &from->items[i];

        qkeyval_add(to, item->key, item->value, item->origin);
        if (item->json) {
            to->items[to->len - 1].json = json_object_get(item->json);
        }
    }
}

static Fields *fields_of(GArray *all, QOptionRecord *r, const char *type)
{
    Fields new = { .first = r, .type = type };

    for (guint i = 0; i < all->len; i++) {
        Fields *f = &g_array_index(all, Fields, i);

        if (!strcmp(f->type, type) && strcmp(type, "8") && strcmp(type, "41")) {
            return f;
        }
    }
    g_array_append_val(all, new);
    return &g_array_index(all, Fields, all->len - 1);
}

static bool add_structure(SmbiosUser *u, QOptionRecord *r, const GArray *fields, Error **errp)
{
    GByteArray *a = g_byte_array_new();
    SmbiosOption o = { 0 };
    bool ok = qoption_read(r, &o, NULL, errp) && read_file(o.u.file.file, a, errp);

    for (guint i = 0; ok && a->len && i < fields->len; i++) {
        if (atoi(g_array_index(fields, Fields, i).type) == a->data[0]) {
            ok = error_set(errp, "can't load a structure of type %u, whose fields were given before", a->data[0]);
        }
    }
    ok = ok && smbios_user_add_structure(u, a->data, a->len, errp);
    if (o.u.file.file) {
        qvalue_finish(r->option->args, &o, NULL);
    }
    g_byte_array_unref(a);
    return ok ? true : prefix_origin(r, errp);
}

static bool add_strings(SmbiosUser *u, const SmbiosType11 *o, Error **errp)
{
    bool ok = true;

    for (size_t i = 0; ok && i < o->value.len; i++) {
        ok = smbios_user_add_string(u, o->value.items[i], errp);
    }
    for (size_t i = 0; ok && i < o->path.len; i++) {
        GByteArray *a = g_byte_array_new();

        ok = read_file(o->path.items[i], a, errp);
        if (ok && memchr(a->data ? a->data : (uint8_t *)"", 0, a->len)) {
            ok = error_set(errp, "%s: a string has no zeros in it", o->path.items[i]);
        }
        g_byte_array_append(a, (const uint8_t *)"", 1);
        ok = ok && smbios_user_add_string(u, (char *)a->data, errp);
        g_byte_array_unref(a);
    }
    return ok;
}

/* MAJOR.MINOR */
static bool read_release(const char *text, uint8_t out[2], Error **errp)
{
    unsigned major, minor;
    char rest;

    if (sscanf(text, "%3u.%3u%c", &major, &minor, &rest) != 2 || major > 255 || minor > 255) {
        return error_set(errp, "Invalid release '%s': it is MAJOR.MINOR, each at most 255", text);
    }
    out[0] = (uint8_t)major;
    out[1] = (uint8_t)minor;
    return true;
}

static bool add_fields(SmbiosUser *u, Fields *f, Error **errp)
{
    SmbiosOption *o = g_new0(SmbiosOption, 1);

    if (!qkeyval_read(&f->kv, &qtype_SmbiosOption, o, NULL, errp)) {
        g_free(o);
        return prefix_origin(f->first, errp);
    }
    g_ptr_array_add(u->options, o);
    if (o->type == SMBIOS_TYPE_0 && o->u._0.release && !read_release(o->u._0.release, u->release, errp)) {
        return prefix_origin(f->first, errp);
    }
    return o->type != SMBIOS_TYPE_11 || add_strings(u, &o->u._11, errp) ? true : prefix_origin(f->first, errp);
}

static void free_option(void *o)
{
    qvalue_finish(&qtype_SmbiosOption, o, NULL);
    g_free(o);
}

static bool collect(System *s, SmbiosUser *u, GArray *fields, Error **errp)
{
    for (size_t i = 0; i < s->options.len; i++) {
        QOptionRecord *r = s->options.items[i];
        const char *type = qkeyval_get(&r->kv, "type");

        if (strcmp(r->option->item.name, "smbios")) {
            continue;
        }
        if (!type || qkeyval_get(&r->kv, "file")) {
            if (!add_structure(u, r, fields, errp)) {
                return false;
            }
            continue;
        }
        if (u->replaced[atoi(type) & 0xff]) {
            error_set(errp, "can't add fields of type %s, a file with a structure of that type was loaded before", type);
            return prefix_origin(r, errp);
        }
        copy_items(&fields_of(fields, r, type)->kv, &r->kv);
    }
    for (guint i = 0; i < fields->len; i++) {
        if (!add_fields(u, &g_array_index(fields, Fields, i), errp)) {
            return false;
        }
    }
    return true;
}

static bool add_smbios(System *s, Error **errp)
{
    GArray *fields = g_array_new(false, false, sizeof(Fields));
    SmbiosUser *u = smbios_user_new();
    bool ok;

    g_ptr_array_set_free_func(u->options, free_option);
    s->machine->smbios = s->smbios = u;
    ok = collect(s, u, fields, errp);
    for (guint i = 0; i < fields->len; i++) {
        qkeyval_finish(&g_array_index(fields, Fields, i).kv);
    }
    g_array_unref(fields);
    return ok;
}

/* ---- -acpitable ---- */

enum { HEADER = 36 }; /* ACPI 6.4, 5.2.6 */

/* Copies text over a field, or leaves it when there is none. */
static bool set_text(uint8_t *table, unsigned at, unsigned size, const char *name, const char *text, Error **errp)
{
    if (text && strlen(text) > size) {
        return error_set(errp, "Parameter '%s' has at most %u characters", name, size);
    }
    if (text) {
        memset(table + at, 0, size);
        memcpy(table + at, text, strlen(text));
    }
    return true;
}

static void set_number(uint8_t *table, unsigned at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        table[at + i] = (uint8_t)(value >> (8 * i));
    }
}

static bool set_header(GByteArray *a, const AcpitableOption *o, Error **errp)
{
    enum { LENGTH = 4, REVISION = 8, CHECKSUM = 9, OEM_ID = 10, OEM_TABLE_ID = 16, OEM_REVISION = 24, CREATOR = 28,
           CREATOR_REVISION = 32 };
    uint8_t *t = a->data, sum = 0;

    if (!set_text(t, 0, 4, "sig", o->sig, errp) || !set_text(t, OEM_ID, 6, "oem_id", o->oem_id, errp) ||
        !set_text(t, OEM_TABLE_ID, 8, "oem_table_id", o->oem_table_id, errp) ||
        !set_text(t, CREATOR, 4, "asl_compiler_id", o->asl_compiler_id, errp)) {
        return false;
    }
    t[REVISION] = o->has_rev ? o->rev : t[REVISION];
    if (o->has_oem_rev) {
        set_number(t, OEM_REVISION, o->oem_rev);
    }
    if (o->has_asl_compiler_rev) {
        set_number(t, CREATOR_REVISION, o->asl_compiler_rev);
    }
    set_number(t, LENGTH, a->len);
    t[CHECKSUM] = 0;
    for (guint i = 0; i < a->len; i++) {
        sum += t[i];
    }
    t[CHECKSUM] = (uint8_t)-sum;
    return true;
}

static bool read_files(const char *names, GByteArray *to, Error **errp)
{
    g_auto(GStrv) all = g_strsplit(names, ":", -1);

    for (char **name = all; *name; name++) {
        if (!read_file(*name, to, errp)) {
            return false;
        }
    }
    return true;
}

static bool add_table(System *s, const AcpitableOption *o, Error **errp)
{
    static const uint8_t usual[HEADER + 1] = "QEMU\0\0\0\0\1\0QEMUQEQEMUQEMU\1\0\0\0QEMU\1\0\0\0";
    g_autoptr(GByteArray) a = g_byte_array_new();

    if (!o->data == !o->file) {
        return error_set(errp, "'-acpitable' requires one of 'data' or 'file'");
    }
    if (o->data) {
        g_byte_array_append(a, usual, HEADER);
    }
    if (!read_files(o->data ? o->data : o->file, a, errp)) {
        return false;
    }
    if (a->len < HEADER) {
        return error_set(errp, "ACPI table claiming to have header is too short, available: %u, expected: %d", a->len, HEADER);
    }
    if (!set_header(a, o, errp)) {
        return false;
    }
    g_ptr_array_add(s->acpi_tables, g_byte_array_free_to_bytes(g_steal_pointer(&a)));
    return true;
}

static bool add_tables(System *s, Error **errp)
{
    s->machine->acpi_tables = s->acpi_tables = g_ptr_array_new_with_free_func((GDestroyNotify)g_bytes_unref);
    for (size_t i = 0; i < s->options.len; i++) {
        QOptionRecord *r = s->options.items[i];
        AcpitableOption o;
        bool ok;

        if (strcmp(r->option->item.name, "acpitable")) {
            continue;
        }
        if (!qoption_read(r, &o, NULL, errp)) {
            return prefix_origin(r, errp);
        }
        ok = add_table(s, &o, errp);
        qvalue_finish(r->option->args, &o, NULL);
        if (!ok) {
            return prefix_origin(r, errp);
        }
    }
    return true;
}

bool firmware_apply(System *s, Error **errp)
{
    static const char *const names[] = { "smbios", "acpitable" };

    for (unsigned i = 0; i < 2; i++) {
        if (option_given(s, names[i]) && !object_child(&s->machine->obj, "fw_cfg")) {
            return error_set(errp, "-%s: this machine has no firmware that takes tables", names[i]);
        }
    }
    return (!option_given(s, "smbios") || add_smbios(s, errp)) && (!option_given(s, "acpitable") || add_tables(s, errp));
}

void firmware_finish(System *s)
{
    smbios_user_free(s->smbios);
    s->smbios = NULL;
    if (s->acpi_tables) {
        g_ptr_array_unref(s->acpi_tables);
        s->acpi_tables = NULL;
    }
}
