/* Shared by the introspection files of qapi/ only: structs that take the configuration of a class, written out as unions. */
#ifndef QAPI_INTROSPECT_REST_H
#define QAPI_INTROSPECT_REST_H

#include "qapi/tables.h"

/* Types made for one answer. All zero is empty. */
typedef struct {
    void **owned;
    size_t num_owned;
    const QType **from, **made;
    size_t len;
} RestTypes;

/* t, which has a `rest`: a union with a branch for each class that its member may name. Lives as long as p. */
const QType *rest_union(RestTypes *p, const QSchema *s, const QType *t);
void rest_types_finish(RestTypes *p);

/* The i-th class that t's member may name, as it is written there; NULL: that class is none of them. */
const char *rest_class_name(const QType *t, const QClass *k);

#endif
