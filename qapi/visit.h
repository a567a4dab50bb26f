/*
 * Values of schema types: reading, writing, copying, comparing, freeing by walking the tables.
 *
 * The C form of each type is written in qapi/tables.h. Here a value of struct, union or alternate is
 * given by the address of its struct; `out`, `value` and the like have t->size bytes.
 *
 *     BlockdevOptions *o = q_calloc(1, sizeof(*o));
 *     if (!qvalue_from_json(&qtype_BlockdevOptions, json, o, refs, errp)) {
 *         return false;        // o is as it was
 *     }
 *     ...
 *     qvalue_finish(&qtype_BlockdevOptions, o, refs);  // what it owns; not o itself
 *     free(o);
 *
 * Nothing here keeps state or takes locks; two threads may walk different values. The depth of a value
 * is bounded when it is read (QVALUE_MAX_DEPTH), so that the walkers may recurse.
 */
#ifndef QAPI_VISIT_H
#define QAPI_VISIT_H

#include <json-c/json.h>

#include "qapi/tables.h"
#include "util/error.h"

enum { QVALUE_MAX_DEPTH = 1024 };

/* How ref<class> finds and counts objects. Users without objects pass NULL: then a ref is an error. */
typedef struct {
    void *opaque;
    /* The object `id` (or path), of class or interface ref_class, with a reference for the caller. */
    void *(*get)(void *opaque, const char *ref_class, const char *id, Error **errp);
    void (*ref)(void *opaque, void *object);
    void (*unref)(void *opaque, void *object);
    const char *(*id)(void *opaque, void *object); /* what get takes; lives as long as the object */
} QRefResolver;

/*
 * Reads a complete value: unknown and missing members, wrong types, values out of range are errors
 * that name the item by its path; absent members get their defaults. On failure *out is untouched and
 * nothing is left allocated. What out held before is not freed: it is overwritten.
 */
bool qvalue_from_json(const QType *t, struct json_object *json, void *out,
                      const QRefResolver *refs, Error **errp);

/*
 * As qvalue_from_json, for values out of key=value text (qapi/keyval.h): each leaf may be a string in
 * the command line's notation (on/off, 0x10, 4G), and errors are worded as the command line's.
 */
bool qvalue_from_text(const QType *t, struct json_object *json, void *out,
                      const QRefResolver *refs, Error **errp);

/* As above, for one member of the complete struct at base: its old value is freed on success. */
bool qmember_from_json(const QMember *m, struct json_object *json, void *base,
                       const QRefResolver *refs, Error **errp);
bool qmember_from_text(const QMember *m, struct json_object *json, void *base,
                       const QRefResolver *refs, Error **errp);

/* The value as JSON, owned. Absent members are left out. Buffers become hex digits. */
struct json_object *qvalue_to_json(const QType *t, const void *value, const QRefResolver *refs);
/* One member of the struct at base; NULL also when it is absent (or null). */
struct json_object *qmember_to_json(const QMember *m, const void *base, const QRefResolver *refs);
bool qmember_is_present(const QMember *m, const void *base);

/* Fills the defaults into a struct that is all zero. */
void qvalue_defaults(const QType *t, void *value);

/* A deep copy; dst is overwritten. */
void qvalue_copy(const QType *t, void *dst, const void *src, const QRefResolver *refs);

/* Deep equality; numbers that are both NaN are equal, objects if they are the same. */
bool qvalue_equal(const QType *t, const void *a, const void *b);

/* Frees what value owns, drops its references and zeroes it. Half-read values are fine. */
void qvalue_finish(const QType *t, void *value, const QRefResolver *refs);
void qmember_finish(const QMember *m, void *base, const QRefResolver *refs);

/* The member `name` of struct or union t (not of its branches); NULL when there is none. */
const QMember *qtype_member(const QType *t, const char *name);
/* The value named `name` of enum t; NULL when there is none. */
const QEnumValue *qtype_enum_value(const QType *t, const char *name);
const char *qtype_enum_name(const QType *t, int value); /* NULL when no name has this value */
/* The branch that a union's tag or an alternate's kind selects in value; NULL when none does. */
const QBranch *qtype_branch(const QType *t, const void *value);

/*
 * A number of bytes in the command line's notation: digits, then a fraction, then one of b k M G T P E in either
 * case; or 0x and hex digits alone. Without a suffix the number is in units of 1 << default_shift; a fraction
 * needs a unit above bytes, and is rounded to the nearest byte. False when text is not that or beyond 64 bits.
 */
bool qsize_parse(const char *text, unsigned default_shift, uint64_t *out);
/* on yes true y, off no false n. */
bool qbool_parse(const char *text, bool *out);

#endif
