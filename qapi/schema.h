/* Look-ups in the tables of a program (qapi/tables.h) and the nearest right spelling of a wrong word. */
#ifndef QAPI_SCHEMA_H
#define QAPI_SCHEMA_H

#include "qapi/tables.h"

/*
 * Did you mean: the one of n names (got by get(opaque, i), NULL to skip one) nearest to word, by
 * insertions, deletions, changes and swaps of neighbours; NULL when none is near enough to be told.
 */
const char *qsuggest(const char *word, const char *(*get)(const void *opaque, size_t i), const void *opaque, size_t n);

/* The same for members of a struct (NULL t: none) and values of an enum. */
const char *qsuggest_member(const QType *t, const char *word);
const char *qsuggest_enum(const QType *t, const char *word);
const char *qsuggest_command(const QSchema *s, const char *word);
/* Among classes that are a `base` (NULL: any) and not abstract. */
const char *qsuggest_class(const QSchema *s, const char *base, const char *word);
const char *qsuggest_option(const QSchema *s, const char *word);

#endif
