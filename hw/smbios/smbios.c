/*
 * SMBIOS tables. DMTF DSP0134 3.0; sections cited are its own. Types 1, 3, 4, 16, 17, 19, 32, 127, and what users ask for of 0, 2, 8, 11
 * and 41; version 2.8 structures with the 32-bit entry point, 3.0 with the 64-bit one. Not there: type 9.
 */
#include "hw/smbios/smbios.h"

#include <string.h>

#include "util/version.h"

enum {
    UNKNOWN = 2, DIMM_MAX = 16, /* GiB */
    KIB_32BIT_MAX = 0x7fffffff, HANDLE_ARRAY = 0x1000, HANDLE_NONE = 0xfffe,
};

typedef struct {
    GByteArray *out;
    unsigned count, largest;
    size_t start;            /* of the open structure */
    const char *strings[8];
    unsigned num_strings;
} Smbios;

static void put(Smbios *s, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        uint8_t b = (uint8_t)(value >> (8 * i));
        g_byte_array_append(s->out, &b, 1);
    }
}

static void begin(Smbios *s, uint8_t type, uint16_t handle)
{
    s->start = s->out->len;
    s->num_strings = 0;
    put(s, type, 1);
    put(s, 0, 1);      /* length: end() */
    put(s, handle, 2);
}

/* 6.1.3: strings follow the formatted part; a field has the number of its string, 0 for none. */
static void put_string(Smbios *s, const char *text)
{
    if (!text || !*text) {
        put(s, 0, 1);
        return;
    }
    g_assert(s->num_strings < G_N_ELEMENTS(s->strings));
    s->strings[s->num_strings++] = text;
    put(s, s->num_strings, 1);
}

static void end(Smbios *s)
{
    s->out->data[s->start + 1] = (uint8_t)(s->out->len - s->start);
    for (unsigned i = 0; i < s->num_strings; i++) {
        g_byte_array_append(s->out, (const uint8_t *)s->strings[i], (guint)strlen(s->strings[i]) + 1);
    }
    put(s, 0, s->num_strings ? 1 : 2);
    s->count++;
    s->largest = MAX(s->largest, (unsigned)(s->out->len - s->start));
}

/* A file of the user's stands for the machine's structures of its type. */
static bool replaced(const SmbiosConfig *c, uint8_t type)
{
    return c->user && c->user->replaced[type];
}

static const char *either(const char *said, const char *otherwise)
{
    return said ? said : otherwise;
}

/* 7.1 */
static void put_bios(Smbios *s, const SmbiosConfig *c)
{
    const SmbiosOption *said = smbios_user_option(c->user, SMBIOS_TYPE_0, 0);
    const SmbiosType0 *o = said ? &said->u._0 : NULL;
    enum { NOT_SUPPORTED = 1 << 3, TARGETED = 1 << 2, UEFI = 1 << 3, VIRTUAL = 1 << 4 };

    if (!o) {
        return;
    }
    begin(s, 0, 0);
    put_string(s, o->vendor);
    put_string(s, o->version);
    put(s, 0xe800, 2);             /* where it runs */
    put_string(s, o->date);
    put(s, 0, 1);                  /* 64 KiB */
    put(s, NOT_SUPPORTED, 8);
    put(s, 0, 1);
    put(s, TARGETED | VIRTUAL | (o->uefi ? UEFI : 0), 1);
    put(s, c->user->release[0], 1);
    put(s, c->user->release[1], 1);
    put(s, 0xffff, 2);             /* embedded controller: none */
    end(s);
}

/* 7.2: the first three fields of a UUID are little endian here (7.2.1). */
static void put_system(Smbios *s, const SmbiosConfig *c)
{
    static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };
    const SmbiosOption *said = smbios_user_option(c->user, SMBIOS_TYPE_1, 0);
    SmbiosType1 o = said ? said->u._1 : (SmbiosType1){ 0 };

    begin(s, 1, 0x100);
    put_string(s, either(o.manufacturer, c->manufacturer));
    put_string(s, either(o.product, c->product));
    put_string(s, either(o.version, c->version));
    put_string(s, o.serial);
    for (unsigned i = 0; i < 16; i++) {
        put(s, c->uuid[order[i]], 1);
    }
    put(s, 6, 1);                  /* woken by the power switch */
    put_string(s, o.sku);
    put_string(s, o.family);
    end(s);
}

/* 7.3 */
static void put_board(Smbios *s, const SmbiosConfig *c)
{
    enum { HOSTING = 1, MOTHERBOARD = 10, CHASSIS = 0x300 };
    const SmbiosOption *said = smbios_user_option(c->user, SMBIOS_TYPE_2, 0);
    const SmbiosType2 *o = said ? &said->u._2 : NULL;

    if (!o) {
        return;
    }
    begin(s, 2, 0x200);
    put_string(s, either(o->manufacturer, c->manufacturer));
    put_string(s, either(o->product, c->product));
    put_string(s, either(o->version, c->version));
    put_string(s, o->serial);
    put_string(s, o->asset);
    put(s, HOSTING, 1);
    put_string(s, o->location);
    put(s, CHASSIS, 2);
    put(s, MOTHERBOARD, 1);
    put(s, 0, 1);                  /* contained objects */
    end(s);
}

/* 7.4 */
static void put_chassis(Smbios *s, const SmbiosConfig *c)
{
    enum { TYPE_OTHER = 1, SAFE = 3 };
    const SmbiosOption *said = smbios_user_option(c->user, SMBIOS_TYPE_3, 0);
    SmbiosType3 o = said ? said->u._3 : (SmbiosType3){ 0 };

    begin(s, 3, 0x300);
    put_string(s, either(o.manufacturer, c->manufacturer));
    put(s, TYPE_OTHER, 1);
    put_string(s, either(o.version, c->version));
    put_string(s, o.serial);
    put_string(s, o.asset);
    put(s, SAFE, 1);               /* boot-up, power supply, thermal */
    put(s, SAFE, 1);
    put(s, SAFE, 1);
    put(s, UNKNOWN, 1);            /* security */
    put(s, 0, 4);
    put(s, 0, 1);                  /* height */
    put(s, 0, 1);                  /* power cords */
    put(s, 0, 2);                  /* contained elements */
    put_string(s, o.sku);
    end(s);
}

/* 7.5 */
static void put_processor(Smbios *s, const SmbiosConfig *c, unsigned n)
{
    enum { CENTRAL = 3, FAMILY_IN_FAMILY2 = 0xfe, ENABLED_POPULATED = 0x41, FAMILY_OTHER = 1, MHZ = 2000, NO_CACHE = 0xffff };
    const SmbiosOption *said = smbios_user_option(c->user, SMBIOS_TYPE_4, 0);
    SmbiosType4 o = said ? said->u._4
                         : (SmbiosType4){ .max_speed = MHZ, .current_speed = MHZ, .processor_family = FAMILY_OTHER };
    g_autofree char *socket = g_strdup_printf("%s %u", either(o.sock_pfx, "CPU"), n);
    unsigned cores = c->cores_per_socket, threads = c->threads_per_socket;

    begin(s, 4, (uint16_t)(0x400 + n));
    put_string(s, socket);
    put(s, CENTRAL, 1);
    put(s, FAMILY_IN_FAMILY2, 1);
    put_string(s, either(o.manufacturer, c->manufacturer));
    put(s, o.processor_id ? o.processor_id : (uint64_t)c->cpu_edx << 32 | c->cpu_eax, 8);
    put_string(s, either(o.version, c->version));
    put(s, 0, 1);                  /* voltage */
    put(s, 0, 2);                  /* external clock */
    put(s, o.max_speed, 2);
    put(s, o.current_speed, 2);
    put(s, ENABLED_POPULATED, 1);
    put(s, 1, 1);                  /* upgrade: other */
    put(s, NO_CACHE, 2);
    put(s, NO_CACHE, 2);
    put(s, NO_CACHE, 2);
    put_string(s, o.serial);
    put_string(s, o.asset);
    put_string(s, o.part);
    put(s, MIN(cores, 255u), 1);
    put(s, MIN(cores, 255u), 1);
    put(s, MIN(threads, 255u), 1);
    put(s, UNKNOWN, 2);
    put(s, o.processor_family, 2);
    if (c->entry64) {              /* counts above 255: 3.0 */
        put(s, cores, 2);
        put(s, cores, 2);
        put(s, threads, 2);
    }
    end(s);
}

static void put_processors(Smbios *s, const SmbiosConfig *c)
{
    for (unsigned i = 0; i < c->sockets; i++) {
        put_processor(s, c, i);
    }
}

/* 7.9. The handle is the plain number, as guests of this machine type see it elsewhere. */
static void put_connectors(Smbios *s, const SmbiosConfig *c)
{
    const SmbiosOption *said;

    for (unsigned i = 0; (said = smbios_user_option(c->user, SMBIOS_TYPE_8, i)); i++) {
        const SmbiosType8 *o = &said->u._8;

        begin(s, 8, (uint16_t)i);
        put_string(s, o->internal_reference);
        put(s, 0, 1);              /* inside: none */
        put_string(s, o->external_reference);
        put(s, o->connector_type, 1);
        put(s, o->port_type, 1);
        end(s);
    }
}

/* 7.12 */
static void put_oem_strings(Smbios *s, const SmbiosConfig *c)
{
    const GPtrArray *all = c->user ? c->user->strings : NULL;

    if (!all || !all->len) {
        return;
    }
    begin(s, 11, 0xe00);
    put(s, all->len, 1);
    s->out->data[s->start + 1] = (uint8_t)(s->out->len - s->start);
    for (guint i = 0; i < all->len; i++) {
        const char *text = g_ptr_array_index(all, i);
        g_byte_array_append(s->out, (const uint8_t *)text, (guint)strlen(text) + 1);
    }
    put(s, 0, 1);
    s->count++;
    s->largest = MAX(s->largest, (unsigned)(s->out->len - s->start));
}

/* 7.42 */
static void put_onboard(Smbios *s, const SmbiosConfig *c)
{
    enum { ENABLED = 0x80 };
    const SmbiosOption *said;

    for (unsigned i = 0; (said = smbios_user_option(c->user, SMBIOS_TYPE_41, i)); i++) {
        const SmbiosType41 *o = &said->u._41;

        begin(s, 41, (uint16_t)(0x2900 + i));
        put_string(s, o->designation);
        put(s, ENABLED | ((unsigned)o->kind + 1), 1);
        put(s, o->instance, 1);
        put(s, 0, 2);              /* segment */
        put(s, c->onboard[i] >> 8, 1);
        put(s, c->onboard[i] & 0xff, 1);
        end(s);
    }
}

/* 7.17 */
static void put_memory_array(Smbios *s, const SmbiosConfig *c, unsigned dimms)
{
    enum { OTHER = 1, SYSTEM_MEMORY = 3, MULTI_BIT_ECC = 6 };
    uint64_t kib = c->ram_size >> 10;

    begin(s, 16, HANDLE_ARRAY);
    put(s, OTHER, 1);
    put(s, SYSTEM_MEMORY, 1);
    put(s, MULTI_BIT_ECC, 1);
    put(s, kib <= KIB_32BIT_MAX ? kib : 0x80000000u, 4);
    put(s, HANDLE_NONE, 2);
    put(s, dimms, 2);
    put(s, kib <= KIB_32BIT_MAX ? 0 : c->ram_size, 8);
    end(s);
}

/* 7.18: sizes in MiB, from 32 GiB - 1 MiB in the extended field. */
static void put_dimm(Smbios *s, const SmbiosConfig *c, unsigned n, uint64_t size)
{
    enum { FORM_DIMM = 9, TYPE_RAM = 7, DETAIL_OTHER = 1 << 1, EXTENDED = 0x7fff };
    const SmbiosOption *said = smbios_user_option(c->user, SMBIOS_TYPE_17, 0);
    SmbiosType17 o = said ? said->u._17 : (SmbiosType17){ 0 };
    g_autofree char *slot = g_strdup_printf("%s %u", either(o.loc_pfx, "DIMM"), n);
    uint64_t mib = size >> 20;

    begin(s, 17, (uint16_t)(0x1100 + n));
    put(s, HANDLE_ARRAY, 2);
    put(s, HANDLE_NONE, 2);
    put(s, 0xffff, 2);             /* widths: unknown */
    put(s, 0xffff, 2);
    put(s, mib < EXTENDED ? mib : EXTENDED, 2);
    put(s, FORM_DIMM, 1);
    put(s, 0, 1);                  /* set: none */
    put_string(s, slot);
    put_string(s, o.bank);
    put(s, TYPE_RAM, 1);
    put(s, DETAIL_OTHER, 2);
    put(s, o.speed, 2);
    put_string(s, either(o.manufacturer, c->manufacturer));
    put_string(s, o.serial);
    put_string(s, o.asset);
    put_string(s, o.part);
    put(s, 0, 1);                  /* rank */
    put(s, mib < EXTENDED ? 0 : mib, 4);
    put(s, o.speed, 2);            /* as configured */
    put(s, 0, 6);                  /* voltages */
    end(s);
}

/* 7.20: addresses in KiB, or extended in bytes. */
static void put_mapped(Smbios *s, unsigned n, const SmbiosRange *r)
{
    uint64_t first = r->base >> 10, last = (r->base + r->size - 1) >> 10;
    bool extended = last >= UINT32_MAX;

    begin(s, 19, (uint16_t)(0x1300 + n));
    put(s, extended ? UINT32_MAX : first, 4);
    put(s, extended ? UINT32_MAX : last, 4);
    put(s, HANDLE_ARRAY, 2);
    put(s, 1, 1);
    put(s, extended ? r->base : 0, 8);
    put(s, extended ? r->base + r->size - 1 : 0, 8);
    end(s);
}

/* 5.2.1: anchor of 31 bytes, with the older anchor inside; 5.2.2: of 24 bytes. Address and checksums: the firmware. */
static GByteArray *entry_point(const Smbios *s, bool entry64)
{
    Smbios e = { .out = g_byte_array_new() };

    if (entry64) {
        g_byte_array_append(e.out, (const uint8_t *)"_SM3_", 5);
        put(&e, 0, 1);
        put(&e, 0x18, 1);
        put(&e, 3, 1), put(&e, 0, 1), put(&e, 0, 1);
        put(&e, 1, 1);             /* revision of the entry point */
        put(&e, 0, 1);
        put(&e, s->out->len, 4);
        put(&e, 0, 8);
        return e.out;
    }
    g_byte_array_append(e.out, (const uint8_t *)"_SM_", 4);
    put(&e, 0, 1);
    put(&e, 0x1f, 1);
    put(&e, 2, 1), put(&e, 8, 1);
    put(&e, s->largest, 2);
    put(&e, 0, 6);
    g_byte_array_append(e.out, (const uint8_t *)"_DMI_", 5);
    put(&e, 0, 1);
    put(&e, s->out->len, 2);
    put(&e, 0, 4);
    put(&e, s->count, 2);
    put(&e, 0x28, 1);              /* 2.8 in BCD */
    return e.out;
}

static void put_memory(Smbios *s, const SmbiosConfig *c)
{
    const uint64_t dimm_max = (uint64_t)DIMM_MAX << 30;
    unsigned dimms = (unsigned)((c->ram_size + dimm_max - 1) / dimm_max);

    if (!replaced(c, 16)) {
        put_memory_array(s, c, dimms);
    }
    for (unsigned i = 0; !replaced(c, 17) && i < dimms; i++) {
        put_dimm(s, c, i, MIN(dimm_max, c->ram_size - i * dimm_max));
    }
    for (unsigned i = 0; !replaced(c, 19) && i < c->num_ranges; i++) {
        put_mapped(s, i, &c->ranges[i]);
    }
}

/* Structures without a field that anybody chooses. */
static void put_fixed(Smbios *s, const SmbiosConfig *c, uint8_t type, uint16_t handle, unsigned zeros)
{
    if (!replaced(c, type)) {
        begin(s, type, handle);
        put(s, 0, zeros);
        end(s);
    }
}

void smbios_build(const SmbiosConfig *c, GByteArray **tables, GByteArray **anchor)
{
    static const struct {
        uint8_t type;
        void (*put)(Smbios *, const SmbiosConfig *);
    } parts[] = { { 0, put_bios }, { 1, put_system }, { 2, put_board }, { 3, put_chassis }, { 4, put_processors },
                  { 8, put_connectors }, { 11, put_oem_strings } };
    Smbios s = { .out = g_byte_array_new() };

    if (c->user) {
        g_byte_array_append(s.out, c->user->structures->data, c->user->structures->len);
        s.count = c->user->num_structures;
        s.largest = c->user->largest;
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(parts); i++) {
        if (!replaced(c, parts[i].type)) {
            parts[i].put(&s, c);
        }
    }
    put_memory(&s, c);
    put_fixed(&s, c, 32, 0x2000, 7); /* 7.33: no error */
    if (!replaced(c, 41)) {
        put_onboard(&s, c);
    }
    put_fixed(&s, c, 127, 0x7f00, 0);
    *anchor = entry_point(&s, c->entry64);
    *tables = s.out;
}
