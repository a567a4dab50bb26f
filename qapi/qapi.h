/*
 * qapi/: everything a user can see or set, as const tables, and the one interpreter that walks them.
 *
 * The generator (docs/schema.md) makes from a schema file the C structs, and a table for each type, command, event,
 * class and option. No code is generated per type: to read, check, print, copy or save a value, walk its QType.
 *
 *   tables.h      what the generator makes; the C form of each schema type
 *   schema.h      look-ups in a program's QSchema; "did you mean"
 *   visit.h       values: from and to JSON, from command-line text, defaults, copy, equal, free
 *   json.h        JSON text: streams in, compact or pretty text out
 *   keyval.h      key=value text, the command line's records, config files
 *   dispatch.h    a QMP request to a typed call to a reply; events
 *   state.h       what the guest can see: reset, save, load
 *   introspect.h  the schema telling about itself: QMP's queries, -introspect, help
 *   buf.h         growing buffers; allocation that cannot fail
 *
 * A worked example: -device isa-serial,index=1 becomes the struct its device receives, complete and checked.
 *
 *     const QClass *c = qschema_class(schema, "isa-serial");
 *     QKeyval kv = { 0 };
 *     IsaSerialConf conf;
 *
 *     ok = qkeyval_parse(&kv, "index=1", NULL, c->conf, "-device isa-serial,index=1", errp) &&
 *          qkeyval_read(&kv, c->conf, &conf, refs, errp);   // iobase and irq follow from index
 *     qkeyval_finish(&kv);
 *     ...
 *     qvalue_finish(c->conf, &conf, refs);
 *
 * Rules. Nothing here keeps state outside its arguments, takes locks or prints: errors and warnings go to the caller.
 * Input is hostile: depth and size are bounded where text or bytes come in, outputs are untouched on failure.
 * Needs libc and json-c; a json-c value belongs to one thread at a time, because its count is not atomic.
 */
#ifndef QAPI_QAPI_H
#define QAPI_QAPI_H

#include "qapi/dispatch.h"
#include "qapi/introspect.h"
#include "qapi/json.h"
#include "qapi/keyval.h"
#include "qapi/schema.h"
#include "qapi/state.h"
#include "qapi/tables.h"
#include "qapi/visit.h"

#endif
