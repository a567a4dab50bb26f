/* Making, finding and removing chardevs. See chardev/chardev.h. */
#include <stdlib.h>
#include <string.h>

#include "chardev/internal.h"
#include "qapi/json.h"
#include "qapi/keyval.h"
#include "qapi/schema.h"

Chardev *chardev_find(QomTree *tree, const char *id)
{
    return (Chardev *)object_child(qom_chardevs(tree), id);
}

void chardev_foreach(QomTree *tree, void (*fn)(Chardev *, void *opaque), void *opaque)
{
    Object *folder = qom_chardevs(tree), *next;

    for (Object *o = folder->first_child; o; o = next) {
        next = o->next_sibling;
        fn(CHARDEV(o), opaque);
    }
}

typedef struct {
    const QSchema *schema;
} Names;

static const char *backend_name(const void *opaque, size_t i)
{
    const QClass *k = ((const Names *)opaque)->schema->classes[i];

    return k->kind == QCLASS_CHARDEV && !k->abstract ? k->item.name + strlen("chardev-") : NULL;
}

static const QClass *find_class(QomTree *tree, const char *backend, Error **errp)
{
    Names names = { qom_schema(tree) };
    QBuf name = { 0 };
    const QClass *k;
    const char *near;

    qbuf_printf(&name, "chardev-%s", backend);
    k = qschema_class(names.schema, name.data);
    qbuf_finish(&name);
    if (k && k->kind == QCLASS_CHARDEV && !k->abstract) {
        return k;
    }
    error_set(errp, "'%s' is not a valid char driver name", backend);
    near = qsuggest(backend, backend_name, &names, names.schema->num_classes);
    if (near) {
        error_hint(errp, "Did you mean '%s'?", near);
    } else {
        error_hint(errp, "-chardev help lists them");
    }
    return NULL;
}

static Chardev *make(const ChardevContext *ctx, const char *id, const QClass *k, struct json_object *props, bool text,
                     Error **errp)
{
    QomConf conf = { 0 };
    Object *o;
    bool ok;

    if (!qom_conf_build(ctx->tree, k, props, text, &conf, errp)) {
        return NULL;
    }
    o = object_new(ctx->tree, k, &conf, errp);
    if (!o) {
        return NULL;
    }
    CHARDEV(o)->ctx = ctx;
    ok = object_add_child(qom_chardevs(ctx->tree), id, o, errp);
    if (ok && !object_realize(o, errp)) {
        object_unparent(o);
        ok = false;
    }
    object_unref(o);
    return ok ? CHARDEV(o) : NULL;
}

static Chardev *make_mux(const ChardevContext *ctx, const char *id, const char *base_id, Error **errp)
{
    struct json_object *props = qjson_add(json_object_new_object(), "chardev", json_object_new_string(base_id));
    Chardev *c = make(ctx, id, &qclass_chardev_mux, props, false, errp);

    json_object_put(props);
    return c;
}

Chardev *chardev_new(const ChardevContext *ctx, const char *id, const char *backend, struct json_object *props, bool text,
                     bool mux, Error **errp)
{
    const QClass *k = find_class(ctx->tree, backend, errp);
    QBuf base_id = { 0 };
    Chardev *c;

    if (!k) {
        return NULL;
    }
    if (!qid_is_valid(id)) {
        error_set(errp, "Parameter 'id' expects an identifier");
        error_hint(errp, "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.");
        return NULL;
    }
    if (chardev_find(ctx->tree, id)) {
        error_set(errp, "Chardev with id '%s' already exists", id);
        return NULL;
    }
    if (!mux) {
        return make(ctx, id, k, props, text, errp);
    }
    qbuf_printf(&base_id, "%s-base", id);
    c = make(ctx, base_id.data, k, props, text, errp);
    if (c) {
        Chardev *top = make_mux(ctx, id, base_id.data, errp);
        if (!top) {
            object_unparent(&c->obj);
        }
        c = top;
    }
    qbuf_finish(&base_id);
    return c;
}

/* Takes key, a string, out of r; owned. */
static char *take_string(struct json_object *r, const char *key, Error **errp)
{
    struct json_object *v;
    char *s = NULL;

    if (!json_object_object_get_ex(r, key, &v) || !json_object_is_type(v, json_type_string)) {
        error_set(errp, !strcmp(key, "id") ? "chardev: no %s specified" : "chardev: \"%s\" missing",
                  !strcmp(key, "id") ? "id" : key);
        return NULL;
    }
    s = q_strdup(json_object_get_string(v));
    json_object_object_del(r, key);
    return s;
}

static bool take_mux(struct json_object *r, bool *mux, Error **errp)
{
    struct json_object *v;

    *mux = false;
    if (!json_object_object_get_ex(r, "mux", &v)) {
        return true;
    }
    if (json_object_is_type(v, json_type_boolean)) {
        *mux = json_object_get_boolean(v);
    } else if (!json_object_is_type(v, json_type_string) || !qbool_parse(json_object_get_string(v), mux)) {
        return error_set(errp, "Parameter 'mux' expects 'on' or 'off'");
    }
    json_object_object_del(r, "mux");
    return true;
}

Chardev *chardev_new_from_record(const ChardevContext *ctx, struct json_object *record, Error **errp)
{
    struct json_object *r = NULL;
    char *backend = NULL, *id = NULL;
    Chardev *c = NULL;
    bool mux = false;

    json_object_deep_copy(record, &r, NULL);
    id = take_string(r, "id", errp);
    backend = id ? take_string(r, "backend", errp) : NULL;
    if (backend && take_mux(r, &mux, errp)) {
        c = chardev_new(ctx, id, backend, r, true, mux, errp);
    }
    free(backend);
    free(id);
    json_object_put(r);
    return c;
}

bool chardev_delete(QomTree *tree, const char *id, Error **errp)
{
    Chardev *c = chardev_find(tree, id);

    if (!c) {
        return error_set(errp, "Chardev '%s' not found", id);
    }
    for (unsigned i = 0; i < CHARDEV_FRONTS; i++) {
        if (c->fronts[i].handlers) {
            return error_set(errp, "Chardev '%s' is busy", id);
        }
    }
    return object_delete(&c->obj, errp);
}
