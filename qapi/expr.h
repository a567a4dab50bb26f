/*
 * What generated default and present-if functions call: arithmetic that no
 * value can make undefined, and the copy of a default string. Included by generated code only.
 */
#ifndef QAPI_EXPR_H
#define QAPI_EXPR_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static inline int64_t qexpr_div(int64_t a, int64_t b)
{
    return b == 0 ? 0 : b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

static inline int64_t qexpr_mod(int64_t a, int64_t b)
{
    return b == 0 || b == -1 ? 0 : a % b;
}

static inline int64_t qexpr_shl(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a << (b & 63));
}

static inline int64_t qexpr_shr(int64_t a, int64_t b)
{
    return a >> (b & 63);
}

/* The generator has proved i in range for valid members; a value not yet checked gets 0. */
static inline int64_t qexpr_at(const int64_t *list, int64_t len, int64_t i)
{
    return i >= 0 && i < len ? list[i] : 0;
}

/* Owned by the value it is stored in. Out of memory ends the program, as everywhere. */
static inline char *qexpr_str(const char *s)
{
    char *copy = strdup(s);

    if (!copy) {
        abort();
    }
    return copy;
}

#endif
