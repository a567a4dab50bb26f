/*
 * What the guest can see of a device: reset, and to and from bytes.
 *
 * State belongs to one level of a class's inheritance; the owner (qom/) walks the levels, parents first. For
 * each level the stream holds its class name, version and fields, each with name, kind and value, so that a
 * stream can be read without the tables and nothing is ever taken by position:
 *
 *   level   text name · u32 version · fields
 *   fields  u16 count · (text name · value)*
 *   value   u8 kind · by kind: integers and numbers of their width · text (enum) · fields (struct) ·
 *           u32 count · value* (array) · u32 count · bytes (buffer) · i64 (timer)
 *   text    u8 length · bytes          all numbers big-endian
 *
 * RAM blocks travel by their own stream and are skipped here. No lock: the caller owns the device.
 */
#ifndef QAPI_STATE_H
#define QAPI_STATE_H

#include "qapi/buf.h"
#include "qapi/tables.h"

/*
 * Resets st, a value of the embedded or top struct `state`, field by field as the schema says. cold: power on;
 * else a warm reset, which leaves cold-only fields alone. `keep` fields are never touched.
 */
void qstate_reset(const QType *state, void *st, const void *conf, bool cold);

/* Appends one level. c->state is not NULL. */
void qstate_save(QBuf *out, const QClass *c, const void *st, const void *conf);

typedef struct {
    const uint8_t *p, *end;
} QStateInput;

/*
 * Reads one level, which must be of class c. Everything is checked (names, kinds, versions, ranges, counts,
 * enums, presence) on a copy before st changes; on failure st is untouched and the error names the field. Fields newer than
 * the stream's version get their reset value, as do those whose condition is false. `in` moves past the
 * level on success.
 */
bool qstate_load(QStateInput *in, const QClass *c, void *st, const void *conf, Error **errp);

/* Length and name of the level at in, without reading it; NULL when there is none. Points into in. */
const char *qstate_peek(const QStateInput *in, size_t *len);

#endif
