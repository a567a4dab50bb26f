/*
 * What a client may use of what is deprecated or unstable, and whether it is told of it: -compat. For those who write clients: by it
 * they find what their program should not rely on.
 */
#ifndef QAPI_COMPAT_H
#define QAPI_COMPAT_H

#include "qapi/tables.h"

typedef enum {
    QCOMPAT_ACCEPT,
    QCOMPAT_REJECT, /* an error */
    QCOMPAT_CRASH,  /* abort(): a core dump of the moment */
} QCompatInput;

/* All zero allows everything. By QStability; the one of STABILITY_STABLE is not looked at. */
typedef struct {
    QCompatInput input[3];
    bool hide[3];
} QCompatPolicy;

/* May what item stands for be used? what: "command", "parameter", "value". policy NULL: it may. */
bool qcompat_check(const QCompatPolicy *policy, const QItem *item, const char *what, Error **errp);
/* The same for all members of a value of type t, and those below. */
bool qcompat_check_value(const QCompatPolicy *policy, const QType *t, struct json_object *value, Error **errp);
/* True iff the policy hides it. */
bool qcompat_hides(const QCompatPolicy *policy, const QItem *item);
/* Takes what it hides out of a value of type t. */
void qcompat_hide_members(const QCompatPolicy *policy, const QType *t, struct json_object *value);

#endif
