/*
 * Objects: what a class's table becomes when it is used, and the tree they
 * live in.
 *
 * A class is a const QClass (qapi/tables.h) whose `impl` points to its
 * ObjectOps. An instance is one allocation that begins with the parent class's
 * struct, in the end with Object, and holds conf, control and state structs of its own:
 *
 *     typedef struct {
 *         Object obj;
 *         ClockConf conf;            // set once, complete before init
 *         ClockState st;             // what the guest sees
 *     } Clock;
 *
 *     const ObjectOps clock_ops = {
 *         .size = sizeof(Clock),
 *         .conf_offset = offsetof(Clock, conf),
 *         .state_offset = offsetof(Clock, st),
 *         .realize = clock_realize,
 *         .unrealize = clock_unrealize,
 *     };
 *
 *     Object *o = object_new(tree, &qclass_clock, NULL, errp);      // one reference, ours
 *     if (o && object_add_child(qom_objects(tree), "clk0", o, errp) // the tree takes its own
 *         && object_realize(o, errp)) { ... }
 *     object_unref(o);
 *
 * Life: configured -> realized -> unrealizing -> gone. Realize is a transaction: on failure the object is
 * configured as before, and nothing it did remains.
 *
 * Nothing is registered: the properties of an object are "type", the members of its class's conf,
 * control and info, its children and its visible links. There are no globals: a QomTree is the root of one machine.
 *
 * Threads: a tree and everything in it (children, names, links, life) belongs to the lock domain of its machine: every
 * function here is called with that lock held, except object_ref() and object_unref_later(), which any
 * thread may call. Needs libc and json-c only.
 */
#ifndef QOM_QOM_H
#define QOM_QOM_H

#include "qapi/tables.h"

typedef struct Object Object;
typedef struct ObjectLink ObjectLink;
typedef struct QomTree QomTree;
typedef struct QomConf QomConf;
typedef struct QomValues QomValues; /* qom/values.h */

typedef enum {
    OBJECT_COLD_RESET, /* power on */
    OBJECT_WARM_RESET, /* reset line: members marked cold-only keep their value */
} ObjectResetKind;

/*
 * What a class does. One per class that can be instantiated and per abstract class with state or behaviour; a class
 * that adds
 * nothing may point to its parent's. Functions run on every level: base class first on the way up (init, realize,
 * reset, rebuild, check, get_info), derived first on the way down (unrealize, finish). All may be NULL.
 */
typedef struct ObjectOps {
    size_t size;           /* of the instance; 0: the parent's */
    size_t conf_offset;    /* of this class's complete conf, inherited members first; 0: the parent's */
    size_t control_offset; /* of this level's own control */
    size_t state_offset;   /* of this level's own state */

    bool (*init)(Object *o, Error **errp);    /* makes what must exist before realize: children */
    bool (*realize)(Object *o, Error **errp); /* on false has undone what it did itself */
    void (*unrealize)(Object *o);
    void (*finish)(Object *o);                /* frees memory; also after an init that failed or never ran */

    bool (*check)(Object *o, Error **errp); /* is the state just loaded consistent? */
    void (*rebuild)(Object *o);             /* makes derived values from conf and state: after load, reset */
    void (*reset)(Object *o, ObjectResetKind kind); /* after the tables have reset the state */

    bool (*get_info)(Object *o, void *info, Error **errp); /* fills this level's info, zeroed before */
    /* Member m of control is about to change; control still has the old values. On false nothing has changed. */
    bool (*apply_control)(Object *o, const QMember *m, const void *new_control, Error **errp);

    const void *iface; /* the class family's own const struct: DeviceOps, ChardevOps, ... */
} ObjectOps;

typedef enum {
    OBJECT_CONFIGURED,
    OBJECT_REALIZING,
    OBJECT_REALIZED,
    OBJECT_UNREALIZING,
    OBJECT_GONE,
} ObjectLife;

/* The fields are private to qom/ but for klass, tree, parent and name, which anybody may read. */
struct Object {
    const QClass *klass;
    QomTree *tree;
    Object *parent; /* NULL: root, or not in the tree; the parent holds a reference */
    char *name;     /* NULL iff parent is */

    uint32_t refcount; /* atomic */
    uint8_t life;      /* ObjectLife */
    uint16_t levels;   /* class levels initialized, from the base */
    uint16_t realized_levels;
    uint16_t depth;                     /* of the tree above */
    Object *first_child, *last_child;   /* in order of addition */
    Object *next_sibling, *prev_sibling;
    Object *hash_next;                  /* tree's look-up of (parent, name) */
    Object *dead_next;                  /* tree's list of objects to free */
    ObjectLink *links;                  /* what we use, counted */
    ObjectLink *users;                  /* who uses us */
    uint64_t mark;                      /* last search for circles that was here */
    char *id_text;                      /* last answer of the resolver's id */
    uint8_t *origins;                   /* QomOrigin of each member of each part: see QomConf */
};

/* ---- Classes ---- */

/* Made from qom/qom.json: */
extern const QClass qclass_object;    /* the root of all classes */
extern const QClass qclass_container; /* a folder of the tree */

bool object_is_a(const Object *o, const char *class_or_interface);
/* The class's ops, its parent's when it has none of its own; NULL: cannot be instantiated. */
const ObjectOps *qclass_ops(const QClass *klass);
/* The family's functions: `iface` of the nearest class that has one. */
const void *object_iface(const Object *o);

/* Complete conf; a parent class reads it as its own conf. NULL when the class has none. */
void *object_conf(Object *o);
/* The control and state that class level `klass` keeps in o; NULL when it has none. */
void *object_control(Object *o, const QClass *klass);
void *object_state(Object *o, const QClass *klass);

/* ---- Life ---- */

/*
 * A configured object with one reference, the caller's; NULL on failure. Takes what conf holds (also on failure) and
 * leaves it empty; NULL builds it from defaults, compat values and globals.
 */
Object *object_new(QomTree *tree, const QClass *klass, QomConf *conf, Error **errp);
bool object_realize(Object *o, Error **errp);
/* Unrealizes, before it, what uses it, and its children; does nothing unless realized. */
void object_unrealize(Object *o);
ObjectLife object_life(const Object *o);

Object *object_ref(Object *o);      /* any thread that has a reference; returns o */
void object_unref(Object *o);       /* NULL is fine */
void object_unref_later(Object *o); /* any thread; the last reference is freed by the next qom_tree_reap() */

/*
 * Puts o below parent, which takes a reference. A name ending in "[*]" gets the lowest free index. Fails when the
 * name is taken or
 * no name for a path, or the tree gets too deep. o must not be in the tree.
 */
bool object_add_child(Object *parent, const char *name, Object *o, Error **errp);
/* Unrealizes o and takes it and all below it out of the tree. Does nothing to an object not in the tree. */
void object_unparent(Object *o);
/* object_unparent(), refused when something outside uses o or what is below it; the error names the user. */
bool object_delete(Object *o, Error **errp);

/* ---- Links ---- */

/*
 * user uses target, and holds a reference to it, until object_unlink() or the end of user. References in conf are
 * linked by object_new(), which cannot make a circle of them; nor does object_set(). Whoever links by hand in a
 * circle must unlink,
 * in unrealize at the latest. A visible link is a property link<...> named `name`.
 */
struct ObjectLink {
    Object *user, *target;
    char *name;
    bool visible;
    bool conf;                         /* made for the member `name` of conf or control */
    ObjectLink *next_link;             /* of user */
    ObjectLink *next_user, *prev_user; /* of target */
};
ObjectLink *object_link(Object *user, const char *name, Object *target, bool visible);
void object_unlink(ObjectLink *link); /* NULL is fine */

/* ---- The tree ---- */

/* schema: all classes of the program. values: how values are read and written. Both outlive the tree. */
QomTree *qom_tree_new(const QSchema *schema, const QomValues *values);
/* Takes everything down, users before what they use. No references may be left elsewhere. NULL is fine. */
void qom_tree_free(QomTree *tree);
/* Frees what object_unref_later() left; the main loop calls it. */
void qom_tree_reap(QomTree *tree);

const QSchema *qom_schema(const QomTree *tree);
const QomValues *qom_values_of(const QomTree *tree);
Object *qom_root(QomTree *tree);     /* "/" */
Object *qom_objects(QomTree *tree);  /* "/objects" */
Object *qom_chardevs(QomTree *tree); /* "/chardevs" */
/* "/machine" or NULL; set once. Makes its peripheral, peripheral-anon and unattached. */
Object *qom_machine(QomTree *tree);
bool qom_set_machine(QomTree *tree, Object *machine, Error **errp);
/* The container `name` below parent, made when missing; NULL when the name is taken by something else. */
Object *object_container(Object *parent, const char *name, Error **errp);

Object *object_child(const Object *parent, const char *name); /* borrowed; NULL: none */
/* What property `name` leads to: a child or the target of a link; borrowed. */
Object *object_step(Object *o, const char *name);
/* Next object of the tree below top, parents before children; NULL after the last. Start with top itself. */
Object *object_next(const Object *top, Object *o);
bool object_is_below(const Object *o, const Object *top); /* o == top too */
char *object_path(const Object *o);     /* canonical; free() it. NULL when not in the tree */
/* As a reference to it is written: its id in /objects, /chardevs and peripheral, else its path. free() it. */
char *object_id(const Object *o);
/*
 * "/..." is absolute, else any object that has this as end of a path; both also lead through links. Borrowed; NULL:
 * DeviceNotFound, or
 * ambiguous.
 */
Object *qom_resolve(QomTree *tree, const char *path, Error **errp);
/* The object of a ref<class_name>: an id, or an absolute path. Borrowed. */
Object *qom_resolve_ref(QomTree *tree, const char *id, const char *class_name, Error **errp);
/* Text of `info qom-tree` with "\n" line ends, children sorted by name; free() it. */
char *qom_tree_text(Object *top);

/* ---- Configuration before an object exists ---- */

typedef enum { ORIGIN_CLASS, ORIGIN_MACHINE, ORIGIN_GLOBAL, ORIGIN_USER } QomOrigin;

/*
 * What a user can give, complete, and where each member is from. The parts are conf, then the control of each class
 * level that has one, base class first. Zero it before.
 */
enum { QOM_PARTS_MAX = 17 };
struct QomConf {
    const QClass *klass;
    void *parts[QOM_PARTS_MAX]; /* owned */
    uint64_t mark;                      /* last search for circles that was here */
    char *id_text;                      /* last answer of the resolver's id */
    uint8_t *origins;           /* owned: QomOrigin of each member of the first part, then of the next */
};
/*
 * Class default < compat values of the machine type < globals < user (JSON object or NULL: conf and control members
 * together; text: its
 * leaves may be strings as the command line has them). Expressions over other config see the final values.
 */
bool qom_conf_build(QomTree *tree, const QClass *klass, struct json_object *user, bool text, QomConf *out,
                    Error **errp);
void qom_conf_finish(QomTree *tree, QomConf *c);
/* Conf and control members of o with an origin of at least `least`, as JSON; owned. For query-config. */
struct json_object *object_conf_json(Object *o, QomOrigin least);
/* Where member `property` of conf or control came from; ORIGIN_CLASS when there is none of that name. */
QomOrigin object_origin(Object *o, const char *property);

/* Values of the machine type's compat list for objects made from now on; compat outlives the tree. */
void qom_set_compat(QomTree *tree, const QCompat *compat, uint32_t num);
/* -global: value is what the option has, text or JSON, and becomes the tree's. Errors come when a class uses it. */
void qom_add_global(QomTree *tree, const char *class_name, const char *property, struct json_object *value);
/* Calls warn with one line for each global that nothing has used. */
void qom_unused_globals(QomTree *tree, void (*warn)(void *opaque, const char *text), void *opaque);

/* object-add: makes, adds to /objects and realizes. Class must be a user-creatable object class. */
Object *qom_object_add(QomTree *tree, const char *class_name, const char *id, struct json_object *props, bool text,
                       Error **errp); /* borrowed */
bool qom_object_del(QomTree *tree, const char *id, Error **errp);
bool qom_id_valid(const char *id); /* letter, then letters, digits, '-', '.', '_' */

/* ---- Properties ---- */

typedef struct {
    char *name, *type;
} QomProperty;
/* qom-list: owned array of *num, qom_properties_free() it. */
QomProperty *object_properties(Object *o, size_t *num);
void qom_properties_free(QomProperty *p, size_t num);

/* *out: owned; NULL is JSON's null. */
bool object_get(Object *o, const char *property, struct json_object **out, Error **errp);
/* Control only. A change of a realized object goes through the class's apply_control, and happens whole or not. */
bool object_set(Object *o, const char *property, struct json_object *value, Error **errp);

/* The same by path: what qom-list, qom-get and qom-set answer. */
struct json_object *qom_list(QomTree *tree, const char *path, Error **errp);
bool qom_get(QomTree *tree, const char *path, const char *property, struct json_object **out, Error **errp);
bool qom_set(QomTree *tree, const char *path, const char *property, struct json_object *value, Error **errp);

/* ---- State ---- */

/* Resets the state of every class level by the tables, then calls reset and rebuild of every level. */
void object_reset(Object *o, ObjectResetKind kind);
/* Is the loaded state consistent? Then rebuild what is derived. Two steps: check all objects before any rebuilds. */
bool object_check(Object *o, Error **errp);
void object_rebuild(Object *o);
/* Next level with state, base class first: *klass NULL at start; returns the state, NULL at the end. */
void *object_next_state(Object *o, const QClass **klass);

#endif
