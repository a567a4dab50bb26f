/* Shared by the introspection files of qapi/ only. */
#ifndef QAPI_INTROSPECT_ITEM_H
#define QAPI_INTROSPECT_ITEM_H

#include <json-c/json.h>

#include "qapi/tables.h"

/* Adds "features" if there are any; stability counts as one: "deprecated", "unstable". */
void qitem_add_features(struct json_object *o, const QItem *item);
/* The first sentence of an item's doc, without its full stop; owned. */
char *qitem_summary(const QItem *item);
/* The property's default as JSON; false when it has none or it depends on others. *out is owned. */
bool qmember_default(const QMember *m, struct json_object **out);

#endif
