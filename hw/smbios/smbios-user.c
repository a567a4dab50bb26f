/* What users say about SMBIOS structures, collected for smbios_build(). DMTF DSP0134 3.0; sections cited are its own. */
#include <string.h>

#include "hw/smbios/smbios.h"

enum { HEADER = 4, STRUCTURE_MAX = 65535, STRINGS_MAX = 255 };

SmbiosUser *smbios_user_new(void)
{
    SmbiosUser *u = g_new0(SmbiosUser, 1);

    u->options = g_ptr_array_new();
    u->strings = g_ptr_array_new_with_free_func(g_free);
    u->structures = g_byte_array_new();
    return u;
}

void smbios_user_free(SmbiosUser *u)
{
    if (u) {
        g_ptr_array_unref(u->options);
        g_ptr_array_unref(u->strings);
        g_byte_array_unref(u->structures);
        g_free(u);
    }
}

/* 6.1.2, 6.1.3: the formatted part has its own length; strings follow, and a zero more than theirs ends them. */
static bool is_one_structure(const uint8_t *data, size_t size)
{
    size_t at = data[1];

    if (at < HEADER || size < at + 2) {
        return false;
    }
    while (at + 2 < size && (data[at] || data[at + 1])) {
        at++;
    }
    return at + 2 == size && !data[at] && !data[at + 1];
}

bool smbios_user_add_structure(SmbiosUser *u, const uint8_t *data, size_t size, Error **errp)
{
    if (size < HEADER || size > STRUCTURE_MAX || !is_one_structure(data, size)) {
        return error_set(errp, "this is no SMBIOS structure: its length, fields and strings, ending in two zeros");
    }
    g_byte_array_append(u->structures, data, (guint)size);
    u->num_structures++;
    u->largest = MAX(u->largest, (unsigned)size);
    u->replaced[data[0]] = true;
    return true;
}

/* 7.12: their number is a byte. An empty one would end the structure. */
bool smbios_user_add_string(SmbiosUser *u, const char *text, Error **errp)
{
    if (!*text) {
        return error_set(errp, "a string of type 11 cannot be empty");
    }
    if (u->strings->len == STRINGS_MAX) {
        return error_set(errp, "there are at most %d strings of type 11", STRINGS_MAX);
    }
    g_ptr_array_add(u->strings, g_strdup(text));
    return true;
}

const SmbiosOption *smbios_user_option(const SmbiosUser *u, SmbiosType type, unsigned n)
{
    for (guint i = 0; u && i < u->options->len; i++) {
        const SmbiosOption *o = g_ptr_array_index(u->options, i);

        if (o->type == type && n-- == 0) {
            return o;
        }
    }
    return NULL;
}
