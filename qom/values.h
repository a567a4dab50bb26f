/*
 * What qom/ needs of the interpreter of values (qapi/visit.h, qapi/state.h), in one struct, so that object
 * code is tested without it.
 */
#ifndef QOM_VALUES_H
#define QOM_VALUES_H

#include "qapi/visit.h"
#include "qom/qom.h"

struct QomValues {
    /*
     * Reads a complete value of struct type t, defaults filled in, into zeroed memory at out. References resolve by
     * qom_resolve_ref() and are counted by object_ref(). text: leaves may be strings in the command line's notation. On
     * failure out is untouched.
     */
    bool (*from_json)(QomTree *tree, const QType *t, struct json_object *json, bool text, void *out, Error **errp);
    struct json_object *(*to_json)(QomTree *tree, const QType *t, const void *value); /* owned */
    /* Frees what value owns, drops its references and zeroes it. */
    void (*finish)(QomTree *tree, const QType *t, void *value);
    void (*reset)(const QType *state, void *st, const void *conf, bool cold);
    /* The name nearest to word of n names got by get(opaque, i); NULL when none is near. */
    const char *(*suggest)(const char *word, const char *(*get)(const void *opaque, size_t i), const void *opaque,
                           size_t n);
};

/* The program's values. */
extern const QomValues qom_values;
/* How values outside of objects (arguments of commands) find objects of the tree. */
QRefResolver qom_refs(QomTree *tree);

#endif
