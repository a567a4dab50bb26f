/* Values of objects by qapi/visit.h: references resolve in the tree and count. */
#include <stdlib.h>

#include "qapi/schema.h"
#include "qapi/state.h"
#include "qapi/visit.h"
#include "qom/internal.h"

static void *ref_get(void *opaque, const char *ref_class, const char *id, Error **errp)
{
    Object *o = qom_resolve_ref(opaque, id, ref_class, errp);

    return o ? object_ref(o) : NULL;
}

static void ref_ref(void *opaque, void *object)
{
    object_ref(object);
}

static void ref_unref(void *opaque, void *object)
{
    object_unref(object);
}

static const char *ref_id(void *opaque, void *object)
{
    Object *o = object;

    free(o->id_text); /* it may have moved */
    o->id_text = object_id(o);
    return o->id_text ? o->id_text : "";
}

QRefResolver qom_refs(QomTree *tree)
{
    return (QRefResolver){.opaque = tree, .get = ref_get, .ref = ref_ref, .unref = ref_unref, .id = ref_id};
}

static bool from_json(QomTree *tree, const QType *t, struct json_object *json, bool text, void *out, Error **errp)
{
    QRefResolver refs = qom_refs(tree);

    return text ? qvalue_from_text(t, json, out, &refs, errp) : qvalue_from_json(t, json, out, &refs, errp);
}

static struct json_object *to_json(QomTree *tree, const QType *t, const void *value)
{
    QRefResolver refs = qom_refs(tree);

    return qvalue_to_json(t, value, &refs);
}

static void finish(QomTree *tree, const QType *t, void *value)
{
    QRefResolver refs = qom_refs(tree);

    qvalue_finish(t, value, &refs);
}

const QomValues qom_values = {
    .from_json = from_json,
    .to_json = to_json,
    .finish = finish,
    .reset = qstate_reset,
    .suggest = qsuggest,
};
