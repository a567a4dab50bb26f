/* Shared by the files of qom/ only. */
#ifndef QOM_INTERNAL_H
#define QOM_INTERNAL_H

#include "qom/qom.h"
#include "qom/values.h"

enum { TREE_DEPTH_MAX = 200 }; /* users reach about ten; bounds recursion and paths */

typedef struct {
    char *class_name, *property;
    struct json_object *value;
    bool used;
} QomGlobal;

struct QomTree {
    const QSchema *schema;
    const QomValues *values;
    Object *root, *objects, *chardevs, *machine;
    Object **buckets; /* look-up of (parent, name); a power of 2 of them */
    size_t num_buckets, num_named;
    size_t num_objects; /* alive, in the tree or not */
    Object *dead;       /* atomic stack: last reference dropped */
    bool reaping;
    uint64_t last_mark; /* of a search for circles */
    const QCompat *compat;
    uint32_t num_compat;
    QomGlobal *globals;
    size_t num_globals;
};

/* Never NULL: out of memory ends the program, as it does everywhere outside of what a guest can reach. */
void *qom_alloc(size_t n, size_t size) __attribute__((returns_nonnull));
char *qom_strdup(const char *s) __attribute__((returns_nonnull));
char *qom_printf(const char *fmt, ...) ERROR_PRINTF(1, 2) __attribute__((returns_nonnull));

/* Class levels, base first; a class that shares its parent's ops is no level of its own for functions. */
enum { CLASS_DEPTH_MAX = QOM_PARTS_MAX - 1 };
typedef struct {
    const QClass *klass[CLASS_DEPTH_MAX];
    const ObjectOps *ops[CLASS_DEPTH_MAX]; /* NULL: this level does nothing */
    unsigned num;
} ClassLevels;
void qclass_levels(const QClass *klass, ClassLevels *out);
/* What a user can give: see QomConf. offset: of the part in the instance. */
typedef struct {
    const QType *type[QOM_PARTS_MAX];
    const QClass *klass[QOM_PARTS_MAX];
    size_t offset[QOM_PARTS_MAX];
    size_t first_origin[QOM_PARTS_MAX + 1]; /* index in origins */
    unsigned num;
} ClassParts;
void qclass_parts(const QClass *klass, ClassParts *out);
/* A member of a part. in: the part's type, or of a union the branch that has it. */
typedef struct {
    const QMember *m;
    const QType *in;
    unsigned part;
} PartMember;
/* Member `name`, of any branch of a union. False: there is none. */
bool parts_member(const ClassParts *parts, const char *name, PartMember *out);
/* The branch that is selected in the union value; NULL: t is no union, or the branch has no members. */
const QType *qunion_branch(const QType *t, const void *value);
/* Member `name` of o's conf or control, and where its struct lies; NULL: there is none. */
void *object_member(Object *o, const ClassParts *parts, const char *name, PartMember *out);
/* Member `name` of the info of klass or a class above; *level is that class. NULL: there is none. */
const QMember *qclass_info_member(const QClass *klass, const char *name, const QClass **level);

/* Links o to what member m of its conf or control at base refers to. */
void link_member(Object *o, const QMember *m, const void *base);
/* Calls fn with each object that the value at base refers to. */
void qvalue_each_ref(const QType *t, const void *base, void (*fn)(void *opaque, Object *o), void *opaque);

void tree_hash_add(Object *o);
void tree_hash_remove(Object *o);

const QMember *member_named(const QType *t, const char *name); /* NULL: none; t may be NULL */
bool property_not_found(const Object *o, const char *property, Error **errp);
/* Hint "did you mean" among classes for which ok() holds. Returns false. */
bool hint_class(QomTree *tree, const char *name, bool (*ok)(const QClass *), Error **errp);
bool hint_property(QomTree *tree, const QClass *klass, const char *name, Error **errp);

#endif
