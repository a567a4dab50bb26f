/* Numbers and sizes: see util/units.h. */
#include "util/units.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char unit_letters[] = "BKMGTPE";

static int digit_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* Digits of the base at *p, at least one; moves *p past them. False also on overflow, with *overflow set. */
static bool scan_digits(const char **p, unsigned base, uint64_t *out, bool *overflow)
{
    const char *start = *p;
    uint64_t v = 0;

    *overflow = false;
    for (; digit_value(**p) < (int)base; (*p)++) {
        if (__builtin_mul_overflow(v, (uint64_t)base, &v) ||
            __builtin_add_overflow(v, (uint64_t)digit_value(**p), &v)) {
            *overflow = true;
        }
    }
    *out = v;
    return *p > start && !*overflow;
}

/* "0x" and the base it means. */
static unsigned scan_base(const char **p)
{
    if ((*p)[0] == '0' && ((*p)[1] | 0x20) == 'x') {
        *p += 2;
        return 16;
    }
    return 10;
}

bool parse_uint(const char *what, const char *text, uint64_t max, uint64_t *out, Error **errp)
{
    const char *p = text;
    unsigned base = scan_base(&p);
    bool overflow;
    uint64_t v;
    bool ok = scan_digits(&p, base, &v, &overflow);

    if (*p || (!ok && !overflow)) {
        return error_set(errp, "%s: '%s' is not a number", what, text);
    }
    if (overflow || v > max) {
        return error_set(errp, "%s: '%s' is not in 0..%llu", what, text, (unsigned long long)max);
    }
    *out = v;
    return true;
}

bool parse_int(const char *what, const char *text, int64_t min, int64_t max, int64_t *out, Error **errp)
{
    bool negative = *text == '-';
    const char *p = text + negative;
    unsigned base = scan_base(&p);
    bool overflow;
    uint64_t v;
    bool ok = scan_digits(&p, base, &v, &overflow);
    int64_t value = (int64_t)(negative ? -v : v);

    if (*p || (!ok && !overflow)) {
        return error_set(errp, "%s: '%s' is not a number", what, text);
    }
    overflow |= v > (uint64_t)INT64_MAX + negative;
    if (overflow || value < min || value > max) {
        return error_set(errp, "%s: '%s' is not in %lld..%lld", what, text, (long long)min, (long long)max);
    }
    *out = value;
    return true;
}

/* log2 of the unit named by letter, or -1. */
static int unit_shift(char letter)
{
    const char *at = letter ? strchr(unit_letters, toupper((unsigned char)letter)) : NULL;

    return at ? (int)(at - unit_letters) * 10 : -1;
}

/* The fraction's digits at *p as a number in 64-bit fixed point: floor(fraction * 2^64), digits past the 18th count only as there. */
static bool scan_fraction(const char **p, uint64_t *fixed)
{
    uint64_t num = 0, den = 1;
    const char *start = *p;

    for (; isdigit((unsigned char)**p); (*p)++) {
        if (den < 1000000000000000000ull) {
            num = num * 10 + (uint64_t)(**p - '0');
            den *= 10;
        }
    }
    *fixed = (uint64_t)(((unsigned __int128)num << 64) / den);
    return *p > start;
}

static bool bad_size(const char *what, const char *text, Error **errp)
{
    error_set(errp, "%s: '%s' is not a size", what, text);
    return error_hint(errp, "a size is a number and B, K, M, G, T, P or E, as 1.5G");
}

bool parse_size(const char *what, const char *text, char unit, uint64_t *out, Error **errp)
{
    const char *p = text;
    unsigned base = scan_base(&p);
    uint64_t whole = 0, fraction = 0;
    bool overflow = false, has_fraction = false;
    unsigned __int128 v;
    int shift;

    if (!scan_digits(&p, base, &whole, &overflow) && !overflow) {
        return bad_size(what, text, errp);
    }
    if (base == 10 && *p == '.') {
        p++;
        has_fraction = true;
        if (!scan_fraction(&p, &fraction)) {
            return bad_size(what, text, errp);
        }
    }
    shift = unit_shift(*p ? *p++ : unit);
    if (shift < 0 || *p || (has_fraction && shift == 0)) {
        return bad_size(what, text, errp);
    }
    v = ((unsigned __int128)whole << shift) + (((unsigned __int128)fraction << shift) >> 64);
    if (overflow || v > UINT64_MAX) {
        return error_set(errp, "%s: '%s' is larger than 2^64 - 1 bytes", what, text);
    }
    *out = (uint64_t)v;
    return true;
}

bool parse_bool(const char *what, const char *text, bool *out, Error **errp)
{
    static const char *const words[][2] = { { "off", "on" }, { "no", "yes" }, { "false", "true" }, { "n", "y" } };

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        for (unsigned v = 0; v < 2; v++) {
            if (!strcmp(text, words[i][v])) {
                *out = v;
                return true;
            }
        }
    }
    return error_set(errp, "%s: '%s' is not 'on' or 'off'", what, text);
}

bool parse_double(const char *what, const char *text, double min, double max, double *out, Error **errp)
{
    char *end;
    double v;

    /* strtod would skip blanks; a program that calls setlocale keeps LC_NUMERIC at "C". */
    v = isspace((unsigned char)*text) ? NAN : strtod(text, &end);
    if (isnan(v) || end == text || *end) {
        return error_set(errp, "%s: '%s' is not a number", what, text);
    }
    if (isinf(v) || v < min || v > max) {
        return error_set(errp, "%s: '%s' is not in %g..%g", what, text, min, max);
    }
    *out = v;
    return true;
}

char *size_to_text(uint64_t bytes, char buf[SIZE_TEXT_MAX])
{
    double v = (double)bytes;
    unsigned unit = 0;

    /* 999.5 would print as 1e+03. */
    while (v >= 999.5 && unit < sizeof(unit_letters) - 2) {
        v /= 1024;
        unit++;
    }
    if (unit == 0) {
        snprintf(buf, SIZE_TEXT_MAX, "%.3g B", v);
    } else {
        snprintf(buf, SIZE_TEXT_MAX, "%.3g %ciB", v, unit_letters[unit]);
    }
    return buf;
}
