/*
 * Numbers and sizes as people write them, read strictly: the whole text, in range, or an error that names the item.
 *
 *     uint64_t port;
 *     if (!parse_uint("port", text, 65535, &port, errp)) { return false; }    // "port: '70000' is not in 0..65535"
 *     if (!parse_size("size", "1.5G", 'M', &bytes, errp)) { return false; }
 *
 * Outputs are untouched on failure. `what` names the item in the error.
 */
#ifndef UTIL_UNITS_H
#define UTIL_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)
#define GIB ((uint64_t)1 << 30)
#define TIB ((uint64_t)1 << 40)

/* Decimal, or hexadecimal after 0x; no sign, blanks or leading-zero octal ("010" is ten). 0..max. */
bool parse_uint(const char *what, const char *text, uint64_t max, uint64_t *out, Error **errp);
/* As parse_uint, after an optional '-'. min..max. */
bool parse_int(const char *what, const char *text, int64_t min, int64_t max, int64_t *out, Error **errp);
/*
 * Bytes: a number, then B K M G T P E (powers of 1024, either case) or, without one, `unit` of the same letters. A decimal
 * number with a unit above B may have a fraction ("1.5G"), rounded down to whole bytes. Hexadecimal takes
 * no fraction, and no unit letter that is a hexadecimal digit.
 */
bool parse_size(const char *what, const char *text, char unit, uint64_t *out, Error **errp);
/* on yes true y, off no false n. */
bool parse_bool(const char *what, const char *text, bool *out, Error **errp);
/* A finite number in min..max, by C's rules and always with '.'. */
bool parse_double(const char *what, const char *text, double min, double max, double *out, Error **errp);

/* For people, three significant digits: "512 B", "1.5 GiB". Returns buf. */
enum { SIZE_TEXT_MAX = 32 };
char *size_to_text(uint64_t bytes, char buf[SIZE_TEXT_MAX]);

#endif
