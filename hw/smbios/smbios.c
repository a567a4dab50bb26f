/*
 * SMBIOS tables. DMTF DSP0134 3.0; sections cited are its own. Types 0, 1, 3, 4, 16, 17, 19, 32, 127; version 2.8 structures with the
 * 32-bit entry point, 3.0 with the 64-bit one. Not there: type 2, 8, 9, 11, 41.
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

/* 7.1 */
static void put_bios(Smbios *s, const SmbiosConfig *c)
{
    enum { NOT_SUPPORTED = 1 << 3, TARGETED = 1 << 2, UEFI = 1 << 3, VIRTUAL = 1 << 4 };

    begin(s, 0, 0);
    put_string(s, c->bios_vendor);
    put_string(s, c->bios_version);
    put(s, 0xe800, 2);             /* where it runs */
    put_string(s, c->bios_date);
    put(s, 0, 1);                  /* 64 KiB */
    put(s, NOT_SUPPORTED, 8);
    put(s, 0, 1);
    put(s, TARGETED | VIRTUAL | (c->uefi ? UEFI : 0), 1);
    put(s, 0, 2);                  /* its release */
    put(s, 0xffff, 2);             /* embedded controller: none */
    end(s);
}

/* 7.2: the first three fields of a UUID are little endian here (7.2.1). */
static void put_system(Smbios *s, const SmbiosConfig *c)
{
    static const uint8_t order[16] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

    begin(s, 1, 0x100);
    put_string(s, c->manufacturer);
    put_string(s, c->product);
    put_string(s, c->version);
    put_string(s, c->serial);
    for (unsigned i = 0; i < 16; i++) {
        put(s, c->uuid[order[i]], 1);
    }
    put(s, 6, 1);                  /* woken by the power switch */
    put_string(s, c->sku);
    put_string(s, c->family);
    end(s);
}

/* 7.4 */
static void put_chassis(Smbios *s, const SmbiosConfig *c)
{
    enum { TYPE_OTHER = 1, SAFE = 3 };

    begin(s, 3, 0x300);
    put_string(s, c->manufacturer);
    put(s, TYPE_OTHER, 1);
    put_string(s, c->version);
    put_string(s, NULL);
    put_string(s, NULL);
    put(s, SAFE, 1);               /* boot-up, power supply, thermal */
    put(s, SAFE, 1);
    put(s, SAFE, 1);
    put(s, UNKNOWN, 1);            /* security */
    put(s, 0, 4);
    put(s, 0, 1);                  /* height */
    put(s, 0, 1);                  /* power cords */
    put(s, 0, 2);                  /* contained elements */
    put_string(s, c->sku);
    end(s);
}

/* 7.5 */
static void put_processor(Smbios *s, const SmbiosConfig *c, unsigned n)
{
    enum { CENTRAL = 3, FAMILY_IN_FAMILY2 = 0xfe, ENABLED_POPULATED = 0x41, FAMILY_OTHER = 1, MHZ = 2000, NO_CACHE = 0xffff };
    g_autofree char *socket = g_strdup_printf("CPU %u", n);
    unsigned cores = c->cores_per_socket, threads = c->threads_per_socket;

    begin(s, 4, (uint16_t)(0x400 + n));
    put_string(s, socket);
    put(s, CENTRAL, 1);
    put(s, FAMILY_IN_FAMILY2, 1);
    put_string(s, c->manufacturer);
    put(s, c->cpu_eax, 4);
    put(s, c->cpu_edx, 4);
    put_string(s, c->version);
    put(s, 0, 1);                  /* voltage */
    put(s, 0, 2);                  /* external clock */
    put(s, MHZ, 2);
    put(s, MHZ, 2);
    put(s, ENABLED_POPULATED, 1);
    put(s, 1, 1);                  /* upgrade: other */
    put(s, NO_CACHE, 2);
    put(s, NO_CACHE, 2);
    put(s, NO_CACHE, 2);
    put_string(s, NULL);           /* serial, asset, part */
    put_string(s, NULL);
    put_string(s, NULL);
    put(s, MIN(cores, 255u), 1);
    put(s, MIN(cores, 255u), 1);
    put(s, MIN(threads, 255u), 1);
    put(s, UNKNOWN, 2);
    put(s, FAMILY_OTHER, 2);
    if (c->entry64) {              /* counts above 255: 3.0 */
        put(s, cores, 2);
        put(s, cores, 2);
        put(s, threads, 2);
    }
    end(s);
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
    g_autofree char *slot = g_strdup_printf("DIMM %u", n);
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
    put_string(s, NULL);
    put(s, TYPE_RAM, 1);
    put(s, DETAIL_OTHER, 2);
    put(s, 0, 2);                  /* speed */
    put_string(s, c->manufacturer);
    put_string(s, NULL);
    put_string(s, NULL);
    put_string(s, NULL);
    put(s, 0, 1);                  /* rank */
    put(s, mib < EXTENDED ? 0 : mib, 4);
    put(s, 0, 2);                  /* configured speed */
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

void smbios_build(const SmbiosConfig *c, GByteArray **tables, GByteArray **anchor)
{
    const uint64_t dimm_max = (uint64_t)DIMM_MAX << 30;
    unsigned dimms = (unsigned)((c->ram_size + dimm_max - 1) / dimm_max);
    Smbios s = { .out = g_byte_array_new() };

    if (c->has_bios) {
        put_bios(&s, c);
    }
    put_system(&s, c);
    put_chassis(&s, c);
    for (unsigned i = 0; i < c->sockets; i++) {
        put_processor(&s, c, i);
    }
    put_memory_array(&s, c, dimms);
    for (unsigned i = 0; i < dimms; i++) {
        put_dimm(&s, c, i, MIN(dimm_max, c->ram_size - i * dimm_max));
    }
    for (unsigned i = 0; i < c->num_ranges; i++) {
        put_mapped(&s, i, &c->ranges[i]);
    }
    begin(&s, 32, 0x2000);         /* 7.33: no error */
    put(&s, 0, 7);
    end(&s);
    begin(&s, 127, 0x7f00);
    end(&s);
    *anchor = entry_point(&s, c->entry64);
    *tables = s.out;
}
