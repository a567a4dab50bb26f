/*
 * The command line's key=value,key=value and the records made from it.
 *
 *     driver=qcow2,file.driver=file,file.filename=a,,b.img      a comma in a value is doubled
 *     virtio-blk-pci,drive=d0                                   the first value may leave its key implied
 *     server=on,wait=off   or short: server,nowait              short ones earn a warning
 *     children.0=a,children.1=b                                 lists by index
 *     hostfwd=X,hostfwd=Y                                       lists by repetition
 *     {"driver": "qcow2", "file": {...}}                        JSON instead
 *
 * The text of a value gets its type from the schema only when the record is read (qkeyval_read), by the
 * same walker as JSON. A size whose member has the unit "MiB" counts in MiB when no suffix is given.
 * A member whose name has a dot of its own wins over the dotted meaning.
 */
#ifndef QAPI_KEYVAL_H
#define QAPI_KEYVAL_H

#include "qapi/buf.h"
#include "qapi/visit.h"

/* One key=value. Exactly one of value and json holds it (json may be NULL for null: then value is NULL too). */
typedef struct {
    char *key;                 /* dotted */
    char *value;
    struct json_object *json;  /* of an argument that was JSON */
    char *origin;              /* where it was said: "-device e1000,mac=x", "FILE:12" */
} QKeyvalItem;

/* All zero is empty. Later items win over earlier ones of the same key. */
typedef struct {
    size_t len;
    QKeyvalItem *items;
    bool wants_help;           /* a bare "help" or "?" was there; it is no item */
    QBuf warnings;             /* lines for whoever prints; not ours to print */
} QKeyval;

/*
 * Appends the items of text. implied_key: of a first value without '=', or NULL. t, when not NULL, tells
 * whether a short "nofoo" is foo=off or nofoo=on. On failure kv is as it was.
 */
bool qkeyval_parse(QKeyval *kv, const char *text, const char *implied_key, const QType *t, const char *origin,
                   Error **errp);
void qkeyval_add(QKeyval *kv, const char *key, const char *value, const char *origin);
/* The last text given for key, or NULL. */
const char *qkeyval_get(const QKeyval *kv, const char *key);
void qkeyval_finish(QKeyval *kv);

/* Nested JSON with text for leaves; t (or NULL) says what is a list. Owned; NULL: *errp is set. */
struct json_object *qkeyval_to_json(const QKeyval *kv, const QType *t, Error **errp);

/* False: every item was JSON, whose types are to be right as they are. */
bool qkeyval_is_text(const QKeyval *kv);

/* The value of struct type t. As qvalue_from_text, strict as JSON when every item was JSON. */
bool qkeyval_read(const QKeyval *kv, const QType *t, void *out, const QRefResolver *refs, Error **errp);

/* The item as text that qkeyval_parse reads back: values with doubled commas, nested JSON as dotted keys. */
void qkeyval_write(const QKeyval *kv, QBuf *out);

/* Letters, digits, '-', '.', '_', and a letter first. */
bool qid_is_valid(const char *id);

/* ---- records ---- */

/* One use of an option, or all uses of one that merges. */
typedef struct {
    const QOption *option;
    char *id;          /* NULL when it has none */
    QKeyval kv;
} QOptionRecord;

/* The command line, in order. */
typedef struct QOptions {
    const QSchema *schema;
    size_t len;
    QOptionRecord **items;
    QBuf warnings;
    /* Adds an option of a config file, with its argument as on the command line. NULL: qoptions_add. */
    bool (*add)(struct QOptions *o, const QOption *option, const char *arg, const char *origin, Error **errp);
} QOptions;

void qoptions_init(QOptions *o, const QSchema *schema);
void qoptions_finish(QOptions *o);
/* -NAME ARG; arg NULL for an option without argument. */
bool qoptions_add(QOptions *o, const QOption *option, const char *arg, const char *origin, Error **errp);
/* Forgets all records of an option. */
void qoptions_remove(QOptions *o, const char *name);
QOptionRecord *qoptions_find(const QOptions *o, const char *name, const char *id); /* id NULL: the first */
/* -set GROUP.ID.KEY=VALUE */
bool qoptions_set(QOptions *o, const char *text, const char *origin, Error **errp);
/*
 * -readconfig: text of a file; name for messages. Sections [group "id"] with key = "value", or, when it begins with {, JSON: a member
 * for each option, its value an object (or a list of them), a text as it stands on the command line, or true.
 * -writeconfig: the same back, as sections or as JSON.
 */
bool qoptions_read_config(QOptions *o, const char *text, const char *name, Error **errp);
bool qoptions_write_config(const QOptions *o, QBuf *out, Error **errp);
void qoptions_write_json(const QOptions *o, QBuf *out);
/* The typed argument of r; the option has args. */
bool qoption_read(const QOptionRecord *r, void *out, const QRefResolver *refs, Error **errp);

/* Whether the option's argument is text that is its one member's value as it stands: no keys, commas mean nothing. */
bool qoption_is_plain(const QOption *option);

#endif
