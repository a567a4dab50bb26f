/*
 * AML writer. ACPI 6.4: chapter 20 (encoding), 6.4 (resource descriptors). Not written: what the boards do not need
 * (events, data regions, dependent functions).
 */
#include "hw/acpi/aml.h"

#include <string.h>

enum { AML_DEPTH_MAX = 32, EXT = 0x5b };

typedef enum { BLOCK_PLAIN, BLOCK_RESOURCES } BlockKind;

struct Aml {
    GByteArray *out;
    unsigned depth;
    struct {
        size_t at;      /* where the PkgLength goes */
        BlockKind kind;
    } open[AML_DEPTH_MAX];
};

Aml *aml_new(void)
{
    Aml *a = g_new0(Aml, 1);

    a->out = g_byte_array_new();
    return a;
}

void aml_free(Aml *a)
{
    if (a) {
        g_byte_array_unref(a->out);
        g_free(a);
    }
}

GByteArray *aml_steal(Aml *a)
{
    GByteArray *out = g_byte_array_ref(a->out);

    g_assert(a->depth == 0);
    aml_free(a);
    return out;
}

/* ---- Pieces ---- */

void aml_bytes(Aml *a, const void *data, size_t len)
{
    g_byte_array_append(a->out, data, (guint)len);
}

static void put_le(Aml *a, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        uint8_t b = (uint8_t)(value >> (8 * i));
        aml_bytes(a, &b, 1);
    }
}

void aml_op(Aml *a, unsigned op)
{
    if (op > 0xff) {
        put_le(a, op >> 8, 1);
    }
    put_le(a, op & 0xff, 1);
}

void aml_local(Aml *a, unsigned n)
{
    g_assert(n < 8);
    put_le(a, AML_LOCAL0 + n, 1);
}

void aml_arg(Aml *a, unsigned n)
{
    g_assert(n < 7);
    put_le(a, AML_ARG0 + n, 1);
}

/* 20.2.3 */
void aml_int(Aml *a, uint64_t value)
{
    if (value <= 1) {
        put_le(a, value, 1); /* ZeroOp, OneOp */
    } else if (value <= UINT8_MAX) {
        put_le(a, 0x0a, 1), put_le(a, value, 1);
    } else if (value <= UINT16_MAX) {
        put_le(a, 0x0b, 1), put_le(a, value, 2);
    } else if (value <= UINT32_MAX) {
        put_le(a, 0x0c, 1), put_le(a, value, 4);
    } else {
        put_le(a, 0x0e, 1), put_le(a, value, 8);
    }
}

void aml_string(Aml *a, const char *text)
{
    put_le(a, 0x0d, 1);
    aml_bytes(a, text, strlen(text) + 1);
}

/* One name segment of s: four bytes, filled with '_'. Returns what follows it. */
static const char *put_segment(Aml *a, const char *s)
{
    char seg[5] = "____";
    unsigned n = 0;

    g_assert(g_ascii_isupper(*s) || *s == '_');
    while (*s && *s != '.') {
        g_assert(n < 4 && (g_ascii_isupper(*s) || g_ascii_isdigit(*s) || *s == '_'));
        seg[n++] = *s++;
    }
    aml_bytes(a, seg, 4);
    return s;
}

/* 20.2.2: root or parent prefixes, then one segment, or DualNamePrefix/MultiNamePrefix and more. */
void aml_path(Aml *a, const char *path)
{
    unsigned segments = 1;

    while (*path == '\\' || *path == '^') {
        put_le(a, (uint8_t)*path++, 1);
    }
    if (!*path) {
        put_le(a, AML_NULL_NAME, 1);
        return;
    }
    for (const char *p = path; *p; p++) {
        segments += *p == '.';
    }
    if (segments == 2) {
        put_le(a, 0x2e, 1);
    } else if (segments > 2) {
        put_le(a, 0x2f, 1), put_le(a, segments, 1);
    }
    for (;;) {
        path = put_segment(a, path);
        if (!*path) {
            return;
        }
        path++;
    }
}

/* 19.3.4: three letters of five bits, four hexadecimal digits; stored with the first byte in front. */
void aml_eisaid(Aml *a, const char *id)
{
    uint32_t v = 0;

    g_assert(strlen(id) == 7);
    for (int i = 0; i < 3; i++) {
        v = v << 5 | (uint32_t)(id[i] - 0x40);
    }
    for (int i = 3; i < 7; i++) {
        v = v << 4 | (uint32_t)g_ascii_xdigit_value(id[i]);
    }
    put_le(a, 0x0c, 1);
    put_le(a, GUINT32_SWAP_LE_BE(v), 4);
}

/* ---- Blocks ---- */

/* Begins what has a PkgLength after what was just written. */
static void block_open(Aml *a, BlockKind kind)
{
    g_assert(a->depth < AML_DEPTH_MAX);
    a->open[a->depth].at = a->out->len;
    a->open[a->depth].kind = kind;
    a->depth++;
}

static void insert(Aml *a, size_t at, const uint8_t *data, unsigned len)
{
    g_byte_array_set_size(a->out, a->out->len + len);
    memmove(a->out->data + at + len, a->out->data + at, a->out->len - len - at);
    memcpy(a->out->data + at, data, len);
}

/* 20.2.4: the length counts its own bytes; six bits in one, or 4 + 8 n bits. */
static unsigned encode_pkg_length(uint8_t out[4], size_t content)
{
    unsigned extra = content + 1 < 1u << 6 ? 0 : content + 2 < 1u << 12 ? 1 : content + 3 < 1u << 20 ? 2 : 3;
    size_t len = content + 1 + extra;

    g_assert(len < 1u << 28);
    if (extra == 0) {
        out[0] = (uint8_t)len;
        return 1;
    }
    out[0] = (uint8_t)(extra << 6 | (len & 0xf));
    for (unsigned i = 1; i <= extra; i++) {
        out[i] = (uint8_t)(len >> (8 * i - 4));
    }
    return extra + 1;
}

/* Resource templates are buffers: end tag with a checksum of 0 (not checked, 6.4.2.9), size in front. */
static void resources_close(Aml *a, size_t at)
{
    static const uint8_t end_tag[2] = { 0x79, 0 };
    uint8_t size[3] = { 0x0b };
    size_t len;

    aml_bytes(a, end_tag, sizeof(end_tag));
    len = a->out->len - at;
    g_assert(len <= UINT16_MAX);
    size[1] = (uint8_t)len;
    size[2] = (uint8_t)(len >> 8);
    insert(a, at, size, sizeof(size));
}

void aml_end(Aml *a)
{
    uint8_t len[4];
    size_t at;

    g_assert(a->depth > 0);
    a->depth--;
    at = a->open[a->depth].at;
    if (a->open[a->depth].kind == BLOCK_RESOURCES) {
        resources_close(a, at);
    }
    insert(a, at, len, encode_pkg_length(len, a->out->len - at));
}

void aml_scope(Aml *a, const char *path)
{
    aml_op(a, 0x10);
    block_open(a, BLOCK_PLAIN);
    aml_path(a, path);
}

void aml_device(Aml *a, const char *path)
{
    aml_op(a, EXT << 8 | 0x82);
    block_open(a, BLOCK_PLAIN);
    aml_path(a, path);
}

void aml_processor(Aml *a, const char *path, uint8_t id, uint32_t block, uint8_t block_len)
{
    aml_op(a, EXT << 8 | 0x83);
    block_open(a, BLOCK_PLAIN);
    aml_path(a, path);
    put_le(a, id, 1);
    put_le(a, block, 4);
    put_le(a, block_len, 1);
}

void aml_method(Aml *a, const char *path, unsigned args, bool serialized)
{
    g_assert(args < 8);
    aml_op(a, 0x14);
    block_open(a, BLOCK_PLAIN);
    aml_path(a, path);
    put_le(a, args | (unsigned)serialized << 3, 1);
}

static void plain_block(Aml *a, unsigned op)
{
    aml_op(a, op);
    block_open(a, BLOCK_PLAIN);
}

void aml_if(Aml *a)
{
    plain_block(a, 0xa0);
}

void aml_else(Aml *a)
{
    plain_block(a, 0xa1);
}

void aml_while(Aml *a)
{
    plain_block(a, 0xa2);
}

void aml_package(Aml *a, unsigned count)
{
    g_assert(count <= UINT8_MAX);
    plain_block(a, 0x12);
    put_le(a, count, 1);
}

void aml_buffer(Aml *a, const void *data, size_t len)
{
    plain_block(a, 0x11);
    aml_int(a, len);
    aml_bytes(a, data, len);
    aml_end(a);
}

/* ---- Named objects ---- */

void aml_field(Aml *a, const char *region, uint8_t access_lock_update)
{
    aml_op(a, EXT << 8 | 0x81);
    block_open(a, BLOCK_PLAIN);
    aml_path(a, region);
    put_le(a, access_lock_update, 1);
}

/* Lengths of fields are bits in the form of a PkgLength that does not count itself. */
static void put_field_length(Aml *a, unsigned bits)
{
    g_assert(bits < 1u << 12);
    if (bits < 1u << 6) {
        put_le(a, bits, 1);
    } else {
        put_le(a, 1u << 6 | (bits & 0xf), 1);
        put_le(a, bits >> 4, 1);
    }
}

void aml_field_named(Aml *a, const char *name, unsigned bits)
{
    put_segment(a, name);
    put_field_length(a, bits);
}

void aml_field_skip(Aml *a, unsigned bits)
{
    put_le(a, 0, 1);
    put_field_length(a, bits);
}

void aml_region(Aml *a, const char *path, unsigned space, uint64_t offset, uint64_t len)
{
    aml_op(a, EXT << 8 | 0x80);
    aml_path(a, path);
    put_le(a, space, 1);
    aml_int(a, offset);
    aml_int(a, len);
}

void aml_mutex(Aml *a, const char *path, uint8_t level)
{
    aml_op(a, EXT << 8 | 0x01);
    aml_path(a, path);
    put_le(a, level, 1);
}

void aml_name(Aml *a, const char *path)
{
    aml_op(a, 0x08);
    aml_path(a, path);
}

void aml_name_int(Aml *a, const char *path, uint64_t value)
{
    aml_name(a, path);
    aml_int(a, value);
}

void aml_name_string(Aml *a, const char *path, const char *value)
{
    aml_name(a, path);
    aml_string(a, value);
}

void aml_name_eisaid(Aml *a, const char *path, const char *id)
{
    aml_name(a, path);
    aml_eisaid(a, id);
}

/* ---- Resource descriptors ---- */

void aml_resources(Aml *a)
{
    aml_op(a, 0x11);
    block_open(a, BLOCK_RESOURCES);
}

void aml_res_io(Aml *a, uint16_t base, uint8_t align, uint8_t len)
{
    put_le(a, 0x47, 1);
    put_le(a, 1, 1); /* decodes 16 bits */
    put_le(a, base, 2);
    put_le(a, base, 2);
    put_le(a, align, 1);
    put_le(a, len, 1);
}

void aml_res_irq(Aml *a, unsigned n)
{
    g_assert(n < 16);
    put_le(a, 0x22, 1);
    put_le(a, 1u << n, 2);
}

void aml_res_memory32(Aml *a, uint32_t base, uint32_t len, bool writable)
{
    put_le(a, 0x86, 1);
    put_le(a, 9, 2);
    put_le(a, writable, 1);
    put_le(a, base, 4);
    put_le(a, len, 4);
}

void aml_res_interrupts(Aml *a, const uint32_t *list, unsigned n)
{
    enum { CONSUMER = 1 << 0, SHARED = 1 << 3 }; /* level and active high are zeros */

    g_assert(n > 0 && n < 64);
    put_le(a, 0x89, 1);
    put_le(a, 2 + 4 * n, 2);
    put_le(a, CONSUMER | SHARED, 1);
    put_le(a, n, 1);
    for (unsigned i = 0; i < n; i++) {
        put_le(a, list[i], 4);
    }
}

void aml_res_window(Aml *a, unsigned kind, unsigned bits, uint64_t first, uint64_t last, bool cacheable)
{
    enum { MIN_FIXED = 1 << 2, MAX_FIXED = 1 << 3, READ_WRITE = 1, CACHEABLE = 1 << 1, ENTIRE = 3 };
    unsigned bytes = bits / 8, specific = 0;
    unsigned tag = bits == 16 ? 0x88 : bits == 32 ? 0x87 : 0x8a;

    if (kind == AML_WINDOW_MEMORY) {
        specific = READ_WRITE | (cacheable ? CACHEABLE : 0);
    } else if (kind == AML_WINDOW_IO) {
        specific = ENTIRE;
    }
    put_le(a, tag, 1);
    put_le(a, 3 + 5 * bytes, 2);
    put_le(a, kind, 1);
    put_le(a, MIN_FIXED | MAX_FIXED, 1);
    put_le(a, specific, 1);
    put_le(a, 0, bytes);                /* granularity */
    put_le(a, first, bytes);
    put_le(a, last, bytes);
    put_le(a, 0, bytes);                /* translation */
    put_le(a, last - first + 1, bytes);
}
