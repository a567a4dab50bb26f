/*
 * The tables that the generator makes from the schema: every type, command,
 * event, class and option a user can see, as const data.
 *
 * Nothing is generated per type but a C struct and a table; one interpreter
 * (qapi/visit.h) reads, checks, writes, copies, compares and frees every
 * value by walking the tables. The same tables answer introspection, print help
 * and manuals, and move configuration and state. There is no registration at
 * start-up: a table is complete when the program is linked.
 *
 * C representation of a schema type ("value of QType t" below means t->size bytes of it):
 *
 *   bool, int8..int64, uint8..uint64, int (int64_t), size (uint64_t), number (double)
 *   str              char *, owned, never NULL unless optional
 *   any              struct json_object *, owned
 *   null             uint8_t, always 0
 *   enum             the C enum, as int
 *   struct, union    Foo *, owned, when a member or list element; by value at the top
 *                    (its branch lies by value in `union { ... } u`); a state-struct always by value
 *   alternate        struct { int kind; union { ... } u; }, by Foo * as a member; kind is the QK_* of the
 *                    branch, which lies in u as a member would
 *   [T]              struct { size_t len; T *items; }, by value
 *   ref<class>       void * to an object, counted by the resolver (qapi/visit.h)
 *   T[n]             T x[n] (state only);  buffer<max>: struct { uint32_t len; uint8_t data[max]; }
 *   timer<clock>     int64_t: deadline in ns on that clock, -1 when unarmed;  ramblock: void *, the RAM block
 *
 * An optional member of a non-pointer type has a `bool has_x` before it; of a
 * pointer type NULL says it is absent; of a list type, `bool has_x` too. A config
 * member with a default is never absent: the default is filled in.
 */
#ifndef QAPI_TABLES_H
#define QAPI_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

struct json_object;

typedef struct QType QType;
typedef struct QMember QMember;
typedef struct QClass QClass;

typedef enum {
    QK_BOOL,
    QK_INT,       /* width and is_signed say which; "size" is uint64 with is_size */
    QK_NUMBER,    /* double */
    QK_STR,
    QK_ANY,       /* any JSON value */
    QK_NULL,
    QK_ENUM,
    QK_STRUCT,
    QK_UNION,     /* struct whose member `tag` selects one of `branches` */
    QK_ALTERNATE, /* the JSON type of the value selects one of `branches` */
    QK_LIST,
    QK_REF,       /* id of an object of class ref_class, resolved on input */
    QK_ARRAY,     /* state: fixed array of `len` elements */
    QK_BUFFER,    /* state: byte count and bytes, at most `len` */
    QK_TIMER,     /* state: deadline of a timer on the clock `clock` */
    QK_RAMBLOCK,  /* state: guest memory, saved by its own stream */
} QKind;

typedef enum { STABILITY_STABLE, STABILITY_UNSTABLE, STABILITY_DEPRECATED } QStability;

/* What is told about every item a user can see. All strings are UTF-8 and non-NULL unless said. */
typedef struct {
    const char *name;
    const char *doc;    /* one or more sentences: effect and unit; plain text, paragraphs by "\n\n" */
    const char *since;  /* version in which it appeared, "10.0" */
    const char *instead; /* deprecated: what to use; else NULL */
    uint8_t stability;  /* QStability */
    const char *const *features; /* names, NULL-terminated; NULL when none */
} QItem;

typedef struct {
    QItem item;
    int value;
} QEnumValue;

/* Reset of a state member (DESIGN: every state field says it). */
typedef enum { RESET_VALUE, RESET_KEEP, RESET_COLD_ONLY, RESET_FROM_CONF } QReset;

/* A value of the range or default that is too wide for one type. */
typedef union {
    int64_t i;
    uint64_t u;
    double d;
} QScalar;

/* One member of a struct, a class's config, control, info or state, or a command's arguments. */
struct QMember {
    QItem item;
    const QType *type;
    uint32_t offset;
    int32_t has_offset;       /* of `bool has_x`; -1 when there is none */
    bool required : 1;        /* must be given; when false: default, or absent when there is none */
    bool has_min : 1, has_max : 1;
    bool settable : 1;        /* control: qom-set may change it at run time */
    bool inherited : 1;       /* repeated from a parent class or base struct */
    QScalar min, max;         /* by the signedness of the type */
    const char *unit;         /* "bytes", "ns", ... or NULL */
    const char *default_text; /* the default as JSON text, or the expression as written; NULL: none */
    bool default_is_expr;     /* default_text is an expression over members before this one */
    /*
     * Fills the default into the struct at base (whole conf), for constant and expression alike. Call in
     * the order of members, and check the range after: an expression may leave it.
     */
    void (*set_default)(void *base);
    const char *alias;        /* "child.property": where it really goes; else NULL */

    /* state members only */
    uint8_t reset;            /* QReset; RESET_VALUE of a state-struct: its members say it */
    QScalar reset_value;      /* of each element for arrays; by the type as min; bool, enum, timer: i; buffer: empty */
    uint32_t reset_from;      /* RESET_FROM_CONF: offset in conf, same type */
    uint32_t state_since;     /* first state-version of the class that has it */
    /* state: the struct that has this member; conf: of the class. NULL: always present. */
    bool (*present_if)(const void *state, const void *conf);
};

typedef struct {
    const char *name;    /* enum value name (union) or member name (alternate) */
    int tag;             /* enum value; alternate: QKind of type */
    const QType *type;   /* NULL: no more members */
} QBranch;

/*
 * A struct whose other members are the configuration of a class that one of its members names, as device_add's. They are
 * kept as a JSON object (NULL when there are none) that qom_conf_build types when the class is known.
 */
typedef struct {
    uint32_t offset;     /* of `struct json_object *rest` */
    uint32_t tag_member; /* index of the str member that names the class */
    uint8_t class_kind;  /* QClassKind of the classes meant */
} QRest;

struct QType {
    QItem item;          /* builtins too: name "int", doc */
    uint8_t kind;        /* QKind */
    uint8_t width;       /* QK_INT: bytes */
    bool is_signed, is_size;
    bool embedded;       /* QK_STRUCT: part of a state, lies by value in what contains it */
    uint32_t size;       /* bytes of the C value */
    uint32_t len;        /* QK_ARRAY: elements; QK_BUFFER: largest count */
    const QType *element;       /* QK_LIST, QK_ARRAY */
    const char *ref_class;      /* QK_REF: class or interface that the object must be */
    const char *clock;          /* QK_TIMER: "virtual", "realtime", "host", "virtual-rt" */
    const QEnumValue *values;   /* QK_ENUM */
    uint32_t num_values;
    const QMember *members;     /* QK_STRUCT, QK_UNION: base members first */
    uint32_t num_members;
    const QBranch *branches;    /* QK_UNION, QK_ALTERNATE */
    uint32_t num_branches;
    const QRest *rest;          /* QK_STRUCT: takes other members too; NULL: does not */
    uint32_t tag_member;        /* QK_UNION: index in members */
    uint32_t union_offset;      /* QK_UNION, QK_ALTERNATE: of `u` */
};

/* Phases of a run (docs/architecture.md) in which a command may be used. */
enum {
    PHASE_CONFIG = 1,  /* before the machine exists: --preconfig */
    PHASE_MACHINE = 2, /* built, has not run yet */
    PHASE_RUNNING = 4,
    PHASE_PAUSED = 8,
    PHASE_ALL = 15,
};

typedef struct QCallContext QCallContext; /* who calls, from where: qapi/dispatch.h */

typedef struct {
    QItem item;
    const QType *args;    /* struct; NULL: takes nothing */
    const QType *ret;     /* NULL: returns {} */
    uint32_t phases;
    bool allow_oob, coroutine, no_reply;
    /*
     * Unmarshalled call: args points to a complete value of `args`, ret to a zeroed value of `ret`
     * (a pointer for struct kinds). Returns false iff *errp is set.
     */
    bool (*call)(QCallContext *cc, void *args, void *ret, Error **errp);
    /* HMP spelling, or NULL: "info status", "stop|s"; arguments as `name:type` letters. */
    const char *hmp_name;
    const char *hmp_args;
    /* Prints what `call` put at `ret`, by its address (Foo *const *, char *const *, const FooList *); NULL: prints nothing. */
    void (*hmp_print)(QCallContext *cc, const void *ret);
    const char *example;  /* JSON of a call that the tests run; NULL only for quit-like commands */
} QCommand;

typedef struct {
    QItem item;
    const QType *args;   /* NULL: no data */
    uint32_t rate_limit_ns; /* 0: never throttled */
} QEvent;

typedef enum {
    QCLASS_OBJECT,  /* -object */
    QCLASS_DEVICE,  /* -device */
    QCLASS_BUS,
    QCLASS_MACHINE, /* -M */
    QCLASS_ACCEL,   /* -accel */
    QCLASS_CPU,     /* -cpu */
    QCLASS_CHARDEV, /* -chardev */
    QCLASS_OTHER,   /* internal structure visible in the tree, never creatable */
} QClassKind;

/* A (class, property, value) that an older machine type or a CPU model sets. Value is JSON text. */
typedef struct {
    const char *class_name;
    const char *property;
    const char *value;
} QCompat;

/* A class: conf, control, info and st are structs of their own inside the instance. */
struct QClass {
    QItem item;
    const QClass *parent;        /* NULL for "object" */
    uint8_t kind;                /* QClassKind */
    bool abstract, user_creatable, hotpluggable;
    bool is_interface;           /* only a name that classes list in `interfaces` */
    const char *const *interfaces; /* names, NULL-terminated; NULL when none */
    const char *category;        /* -device help group; NULL when no device */
    const char *bus;             /* class of the bus it plugs into; NULL when none */
    const char *alias;           /* other name users know ("pc", "VGA"); NULL when none */
    const QType *conf;           /* struct with all config, inherited first; never NULL */
    const QType *control;        /* this and the next two: of this class alone, without what parents have; NULL: none */
    const QType *info;
    const QType *state;
    uint32_t state_version, state_min_version;
    const QCompat *compat;       /* later rows win; machine: older versions' values; cpu model: its features */
    uint32_t num_compat;
    const void *impl;            /* const ObjectOps * (qom/qom.h) of this level; NULL: no more than its ancestors' */
};

typedef struct {
    QItem item;                  /* name without dashes: "device" */
    const char *group;           /* -help heading */
    const char *args_text;       /* "driver[,prop=value...]" as shown by -help; NULL: takes no argument */
    const QType *args;           /* struct/union of the argument; NULL: none */
    const char *implied_key;     /* key of a first value without '='; NULL when none */
    const char *example;
    bool repeatable;             /* each use is a record of its own; else later ones merge */
    bool takes_id;
    const char *config_group;    /* of it in config files and query-command-line-options; NULL: its name */
    const char *sugar;           /* expansion text: "-chardev stdio,..."; NULL when not sugar */
    uint32_t phase;              /* PHASE_*: when the record is applied */
} QOption;

/* HMP-only commands (x, print, info mtree): typed like the rest, but with text for an answer. */
typedef struct {
    QItem item;                  /* "info mtree" */
    const char *args;            /* "-f? expr:i" letters: see monitor/ */
    uint32_t phases;
    bool (*call)(QCallContext *cc, void *args, Error **errp);
    const QType *args_type;      /* NULL: none */
} QHmp;

/* Everything of one program, in lists sorted by name (strcmp order) so that look-up is a binary search. */
typedef struct {
    const QType *const *types;
    uint32_t num_types;
    const QCommand *const *commands;
    uint32_t num_commands;
    const QEvent *const *events;
    uint32_t num_events;
    const QClass *const *classes;
    uint32_t num_classes;
    const QOption *const *options;
    uint32_t num_options;
    const QHmp *const *hmp;
    uint32_t num_hmp;
} QSchema;

const QType *qschema_type(const QSchema *s, const char *name);
const QCommand *qschema_command(const QSchema *s, const char *name);
const QEvent *qschema_event(const QSchema *s, const char *name);
const QClass *qschema_class(const QSchema *s, const char *name); /* aliases too */
const QOption *qschema_option(const QSchema *s, const char *name);
/* True iff c is or derives from (or implements the interface) `name`. */
bool qclass_is_a(const QClass *c, const char *name);

#endif
