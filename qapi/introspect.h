/*
 * What a program's schema tells about itself: the answers of QMP's introspection commands, the document of
 * -introspect, and help. All of it is read from the tables; no object is made.
 *
 * JSON is owned by the caller. Help is appended to a buffer.
 */
#ifndef QAPI_INTROSPECT_H
#define QAPI_INTROSPECT_H

#include <json-c/json.h>

#include "qapi/buf.h"
#include "qapi/tables.h"

/*
 * query-qmp-schema: SchemaInfo of every command, event and the types they reach. masked: types are named by
 * numbers, as clients expect; else by their names.
 */
struct json_object *qintrospect_qmp(const QSchema *s, bool masked);
/* query-commands: of those allowed in one of `phases`. */
struct json_object *qintrospect_commands(const QSchema *s, uint32_t phases);
/* qom-list-types: implements NULL: all. */
struct json_object *qintrospect_classes(const QSchema *s, const char *implements, bool abstract);
/* device-list-properties and qom-list-properties; NULL: *errp is set. */
struct json_object *qintrospect_device(const QSchema *s, const char *name, Error **errp);
struct json_object *qintrospect_object(const QSchema *s, const char *name, Error **errp);
/* query-command-line-options: option NULL: all. NULL: *errp is set. */
struct json_object *qintrospect_options(const QSchema *s, const char *option, Error **errp);
/*
 * The document of -introspect, appended as JSON: every item with everything told about it, sorted by name, one a line. Of a
 * class's config, members that it inherits unchanged are its parent's only.
 */
void qintrospect_all(const QSchema *s, QBuf *out);

/* Calls fn for each property of c: config, then control and info from the class up to its parents. */
typedef enum { QPROP_CONFIG, QPROP_CONTROL, QPROP_INFO } QPropKind;
void qclass_each_property(const QClass *c, void (*fn)(void *opaque, const QMember *m, QPropKind kind), void *opaque);
/* The property and where it lives; NULL when c has none of this name. */
const QMember *qclass_property(const QClass *c, const char *name, QPropKind *kind);
/* As QOM spells it: "uint32", "bool", "str" (devices) or "string", "link<iothread>". Appended to out. */
void qproperty_type(const QSchema *s, const QClass *c, const QMember *m, QBuf *out);

/* "-device x,help" */
void qhelp_class(const QSchema *s, const QClass *c, QBuf *out);
/* "-device help": creatable devices by category. */
void qhelp_devices(const QSchema *s, QBuf *out);
/* "-object help", "-machine help" ...: creatable classes of one kind, under a heading. */
void qhelp_list(const QSchema *s, QClassKind kind, const char *heading, QBuf *out);
/* "-help": options in their groups. */
void qhelp_options(const QSchema *s, QBuf *out);

#endif
