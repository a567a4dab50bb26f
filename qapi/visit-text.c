/* Scalars in the command line's notation: see qapi/visit.h. */
#include <string.h>

#include "qapi/visit.h"

bool qbool_parse(const char *text, bool *out)
{
    static const char *const yes[] = { "on", "yes", "true", "y" };
    static const char *const no[] = { "off", "no", "false", "n" };

    for (unsigned i = 0; i < 4; i++) {
        if (!strcmp(text, yes[i]) || !strcmp(text, no[i])) {
            *out = !strcmp(text, yes[i]);
            return true;
        }
    }
    return false;
}

/* Digits of base at *p, which is moved on; false when there is none or the value passes 64 bits. */
static bool take_digits(const char **p, unsigned base, uint64_t *out)
{
    const char *start = *p;
    uint64_t v = 0;

    for (;; (*p)++) {
        unsigned c = (unsigned char)**p;
        unsigned d = c - '0' < 10 ? c - '0' : base == 16 && (c | 0x20) - 'a' < 6 ? (c | 0x20) - 'a' + 10 : 99;

        if (d == 99) {
            break;
        }
        if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v)) {
            return false;
        }
    }
    *out = v;
    return *p > start;
}

/* The shift of unit letter c; -1 when it is none. */
static int unit_shift(char c)
{
    static const char units[] = "bkmgtpe";
    const char *at = c ? strchr(units, c | 0x20) : NULL;

    return at ? 10 * (int)(at - units) : -1;
}

/* Eighteen digits after the point, as a numerator over 10^18; further ones only have to be digits. */
static bool take_fraction(const char **p, uint64_t *out)
{
    uint64_t v = 0;
    unsigned n = 0;

    for (; **p >= '0' && **p <= '9'; (*p)++) {
        if (n < 18) {
            v = v * 10 + (**p - '0');
            n++;
        }
    }
    for (unsigned i = n; i < 18; i++) {
        v *= 10;
    }
    *out = v;
    return n > 0;
}

bool qsize_parse(const char *text, unsigned default_shift, uint64_t *out)
{
    const char *p = text;
    uint64_t whole, fraction = 0;
    bool has_fraction;
    unsigned __int128 v;
    int shift = default_shift;

    if (p[0] == '0' && (p[1] | 0x20) == 'x') {
        p += 2;
        return take_digits(&p, 16, &whole) && !*p ? (*out = whole, true) : false;
    }
    if (!take_digits(&p, 10, &whole)) {
        return false;
    }
    has_fraction = *p == '.';
    if (has_fraction) {
        p++;
        if (!take_fraction(&p, &fraction)) {
            return false;
        }
    }
    if (*p) {
        shift = unit_shift(*p++);
    }
    if (*p || shift < 0 || (has_fraction && !shift)) {
        return false;
    }
    v = ((unsigned __int128)whole << shift) +
        (((unsigned __int128)fraction << shift) + 500000000000000000u) / 1000000000000000000u;
    if (v > UINT64_MAX) {
        return false;
    }
    *out = v;
    return true;
}
