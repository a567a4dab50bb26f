/*
 * Configuration before an object exists: class default < machine's compat < globals < user, and where each value
 * came from. The layers are merged as JSON and read once, so that a default that is an expression over other
 * members sees their final values. The contract is in qom/qom.h.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "qom/internal.h"

const QMember *member_named(const QType *t, const char *name)
{
    for (uint32_t i = 0; t && i < t->num_members; i++) {
        if (strcmp(t->members[i].item.name, name) == 0) {
            return &t->members[i];
        }
    }
    return NULL;
}

/* ---- Did you mean ---- */

bool property_not_found(const Object *o, const char *property, Error **errp)
{
    error_set(errp, "Property '%s.%s' not found", o->klass->item.name, property);
    return hint_property(o->tree, o->klass, property, errp);
}

static const char *string_at(const void *opaque, size_t i)
{
    return ((const char *const *)opaque)[i];
}

static bool hint(QomTree *tree, const char *word, const char **names, size_t n, Error **errp)
{
    const char *near = tree->values->suggest(word, string_at, names, n);

    if (near) {
        error_hint(errp, "Did you mean '%s'?", near);
    }
    free(names);
    return false;
}

bool hint_class(QomTree *tree, const char *name, bool (*ok)(const QClass *), Error **errp)
{
    const char **names = qom_alloc(tree->schema->num_classes, sizeof(*names));
    size_t n = 0;

    for (uint32_t i = 0; i < tree->schema->num_classes; i++) {
        if (ok(tree->schema->classes[i])) {
            names[n++] = tree->schema->classes[i]->item.name;
        }
    }
    return hint(tree, name, names, n, errp);
}

static size_t add_names(const QType *t, const char **names, size_t n)
{
    for (uint32_t i = 0; t && i < t->num_members; i++) {
        names[n++] = t->members[i].item.name;
    }
    return n;
}

bool hint_property(QomTree *tree, const QClass *klass, const char *name, Error **errp)
{
    ClassParts parts;
    size_t n = 0, total;
    const char **names;

    qclass_parts(klass, &parts);
    total = parts.first_origin[parts.num];
    for (const QClass *k = klass; k; k = k->parent) {
        total += k->info ? k->info->num_members : 0;
    }
    names = qom_alloc(total, sizeof(*names));
    for (unsigned i = 0; i < parts.num; i++) {
        n = add_names(parts.type[i], names, n);
    }
    for (const QClass *k = klass; k; k = k->parent) {
        n = add_names(k->info, names, n);
    }
    return hint(tree, name, names, n, errp);
}

/* ---- Layers ---- */

typedef struct {
    QomTree *tree;
    const QClass *klass;
    ClassParts parts;
    struct json_object *json[QOM_PARTS_MAX]; /* what is given for each part */
    uint8_t *origins;
} Build;

/* Lays `value` (borrowed) over member `name`. False: there is no such member. */
static bool lay(Build *b, const char *name, struct json_object *value, QomOrigin origin)
{
    PartMember pm;

    if (!parts_member(&b->parts, name, &pm)) {
        return false;
    }
    json_object_object_add(b->json[pm.part], name, json_object_get(value));
    if (pm.in == b->parts.type[pm.part]) { /* members of branches are always the user's */
        b->origins[b->parts.first_origin[pm.part] + (pm.m - pm.in->members)] = origin;
    }
    return true;
}

static void lay_rows(Build *b, const QCompat *rows, uint32_t num, QomOrigin origin)
{
    for (uint32_t i = 0; i < num; i++) {
        const QCompat *c = &rows[i];

        if (qclass_is_a(b->klass, c->class_name)) {
            struct json_object *v = json_tokener_parse(c->value);
            bool known = lay(b, c->property, v, origin);

            assert(known); /* the generator has checked its lists */
            json_object_put(v);
        }
    }
}

/* The rows of machines and CPU models change defaults of classes above them; then those of the machine type chosen. */
static void lay_compat(Build *b)
{
    ClassLevels levels;

    qclass_levels(b->klass, &levels);
    for (unsigned i = 0; i < levels.num; i++) {
        lay_rows(b, levels.klass[i]->compat, levels.klass[i]->num_compat, ORIGIN_CLASS);
    }
    lay_rows(b, b->tree->compat, b->tree->num_compat, ORIGIN_MACHINE);
}

/* What the text of a global says, as JSON of the member's type: later layers may be JSON proper. */
static struct json_object *read_global(Build *b, const QMember *m, const QType *of, struct json_object *text,
                                       Error **errp)
{
    const QType one = {.item = of->item, .kind = QK_STRUCT, .size = of->size, .members = m, .num_members = 1};
    struct json_object *in = json_object_new_object();
    struct json_object *out = NULL;
    struct json_object *value = NULL;
    void *scratch = qom_alloc(1, of->size);

    json_object_object_add(in, m->item.name, json_object_get(text));
    if (b->tree->values->from_json(b->tree, &one, in, true, scratch, errp)) {
        out = b->tree->values->to_json(b->tree, &one, scratch);
        json_object_object_get_ex(out, m->item.name, &value);
        value = json_object_get(value);
        b->tree->values->finish(b->tree, &one, scratch);
        json_object_put(out);
    }
    json_object_put(in);
    free(scratch);
    return value;
}

static bool lay_global(Build *b, QomGlobal *g, Error **errp)
{
    Error *err = NULL;
    struct json_object *value = NULL;
    PartMember pm;

    if (parts_member(&b->parts, g->property, &pm)) {
        value = read_global(b, pm.m, pm.in, g->value, &err);
    } else {
        error_set(&err, "Property '%s.%s' not found", b->klass->item.name, g->property);
        hint_property(b->tree, b->klass, g->property, &err);
    }
    if (err) {
        const char *text = json_object_is_type(g->value, json_type_string) ? json_object_get_string(g->value)
                                                                           : json_object_to_json_string(g->value);

        error_prepend(&err, "can't apply global %s.%s=%s: ", g->class_name, g->property, text);
        error_propagate(errp, err);
        return false;
    }
    lay(b, g->property, value, ORIGIN_GLOBAL);
    json_object_put(value);
    g->used = true;
    return true;
}

static bool lay_globals(Build *b, Error **errp)
{
    for (size_t i = 0; i < b->tree->num_globals; i++) {
        QomGlobal *g = &b->tree->globals[i];

        const QClass *named = qschema_class(b->tree->schema, g->class_name); /* may be an alias */

        if (qclass_is_a(b->klass, named ? named->item.name : g->class_name) && !lay_global(b, g, errp)) {
            return false;
        }
    }
    return true;
}

/* Clients know one text for what is typed by the schema of a command, and another for what is a device's or machine's. */
static bool unknown_property(const Build *b, const char *name, bool text, Error **errp)
{
    if (b->klass->kind != QCLASS_OBJECT && b->klass->kind != QCLASS_CHARDEV) {
        error_set(errp, "Property '%s.%s' not found", b->klass->item.name, name);
    } else {
        error_set(errp, text ? "Invalid parameter '%s'" : "Parameter '%s' is unexpected", name);
    }
    return hint_property(b->tree, b->klass, name, errp);
}

static bool lay_user(Build *b, struct json_object *user, bool text, Error **errp)
{
    struct json_object_iter it;

    if (!user) {
        return true;
    }
    json_object_object_foreachC(user, it)
    {
        if (!lay(b, it.key, it.val, ORIGIN_USER)) {
            return unknown_property(b, it.key, text, errp);
        }
    }
    return true;
}

static bool read_parts(Build *b, bool text, QomConf *c, Error **errp)
{
    for (unsigned i = 0; i < b->parts.num; i++) {
        const QType *t = b->parts.type[i];
        void *value = qom_alloc(1, t->size);

        if (!b->tree->values->from_json(b->tree, t, b->json[i], text, value, errp)) {
            free(value);
            return false;
        }
        c->parts[i] = value;
    }
    return true;
}

bool qom_conf_build(QomTree *tree, const QClass *klass, struct json_object *user, bool text, QomConf *out,
                    Error **errp)
{
    Build b = {.tree = tree, .klass = klass};
    QomConf c = {.klass = klass};
    bool ok;

    qclass_parts(klass, &b.parts);
    for (unsigned i = 0; i < b.parts.num; i++) {
        b.json[i] = json_object_new_object();
    }
    b.origins = c.origins = qom_alloc(b.parts.first_origin[b.parts.num], 1);
    lay_compat(&b);
    ok = lay_globals(&b, errp) && lay_user(&b, user, text, errp) && read_parts(&b, text, &c, errp);
    for (unsigned i = 0; i < b.parts.num; i++) {
        json_object_put(b.json[i]);
    }
    if (ok) {
        *out = c;
    } else {
        qom_conf_finish(tree, &c);
    }
    return ok;
}

void qom_conf_finish(QomTree *tree, QomConf *c)
{
    ClassParts parts;

    if (!c || !c->klass) {
        return;
    }
    qclass_parts(c->klass, &parts);
    for (unsigned i = 0; i < parts.num; i++) {
        if (c->parts[i]) {
            tree->values->finish(tree, parts.type[i], c->parts[i]);
            free(c->parts[i]);
        }
    }
    free(c->origins);
    *c = (QomConf){0};
}

/* ---- Where values are from ---- */

static void add_members(Object *o, const QType *t, const void *base, const uint8_t *origins, QomOrigin least,
                        struct json_object *into)
{
    struct json_object *all = o->tree->values->to_json(o->tree, t, base);
    struct json_object_iter it;

    json_object_object_foreachC(all, it)
    {
        const QMember *m = member_named(t, it.key);

        if (!m || origins[m - t->members] >= least) {
            json_object_object_add(into, it.key, json_object_get(it.val));
        }
    }
    json_object_put(all);
}

struct json_object *object_conf_json(Object *o, QomOrigin least)
{
    struct json_object *into = json_object_new_object();
    ClassParts parts;

    qclass_parts(o->klass, &parts);
    for (unsigned i = 0; i < parts.num; i++) {
        if (parts.offset[i]) {
            add_members(o, parts.type[i], (char *)o + parts.offset[i], o->origins + parts.first_origin[i], least, into);
        }
    }
    return into;
}

QomOrigin object_origin(Object *o, const char *property)
{
    ClassParts parts;
    PartMember pm;

    qclass_parts(o->klass, &parts);
    if (!object_member(o, &parts, property, &pm)) {
        return ORIGIN_CLASS;
    }
    return pm.in == parts.type[pm.part] ? o->origins[parts.first_origin[pm.part] + (pm.m - pm.in->members)]
                                        : ORIGIN_USER;
}

/* ---- Compat and globals ---- */

void qom_set_compat(QomTree *tree, const QCompat *compat, uint32_t num)
{
    tree->compat = compat;
    tree->num_compat = num;
}

void qom_add_global(QomTree *tree, const char *class_name, const char *property, struct json_object *value)
{
    void *p = realloc(tree->globals, (tree->num_globals + 1) * sizeof(*tree->globals));

    if (!p) {
        free(qom_alloc(SIZE_MAX, 1)); /* ends the program */
    }
    tree->globals = p;
    tree->globals[tree->num_globals++] = (QomGlobal){
        .class_name = qom_strdup(class_name),
        .property = qom_strdup(property),
        .value = value,
    };
}

void qom_unused_globals(QomTree *tree, void (*warn)(void *opaque, const char *text), void *opaque)
{
    for (size_t i = 0; i < tree->num_globals; i++) {
        const QomGlobal *g = &tree->globals[i];
        char *text;

        if (g->used) {
            continue;
        }
        if (!qschema_class(tree->schema, g->class_name)) {
            text = qom_printf("global %s.%s has invalid class name", g->class_name, g->property);
        } else {
            text = qom_printf("global %s.%s=%s not used", g->class_name, g->property,
                              json_object_get_string(g->value));
        }
        warn(opaque, text);
        free(text);
    }
}

/* ---- object-add, object-del ---- */

bool qom_id_valid(const char *id)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

    return id[0] && strchr(letters, id[0]) && id[strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                                            "0123456789-._")] == '\0';
}

static bool can_object_add(const QClass *klass)
{
    return klass->kind == QCLASS_OBJECT && klass->user_creatable && !klass->abstract;
}

Object *qom_object_add(QomTree *tree, const char *class_name, const char *id, struct json_object *props, bool text,
                       Error **errp)
{
    const QClass *klass = qschema_class(tree->schema, class_name);
    QomConf conf = {0};
    Object *o;
    bool ok;

    if (!klass || !can_object_add(klass)) {
        error_set(errp, "Parameter 'qom-type' does not accept value '%s'", class_name);
        hint_class(tree, class_name, can_object_add, errp);
        return NULL;
    }
    if (!qom_id_valid(id)) {
        error_set(errp, "Parameter 'id' expects an identifier");
        error_hint(errp, "a letter, then letters, digits, '-', '.' or '_'");
        return NULL;
    }
    if (!qom_conf_build(tree, klass, props, text, &conf, errp)) {
        return NULL;
    }
    o = object_new(tree, klass, &conf, errp);
    ok = o && object_add_child(tree->objects, id, o, errp);
    if (ok && !object_realize(o, errp)) {
        object_unparent(o);
        ok = false;
    }
    object_unref(o);
    return ok ? o : NULL;
}

bool qom_object_del(QomTree *tree, const char *id, Error **errp)
{
    Object *o = object_child(tree->objects, id);

    if (!o) {
        return error_set(errp, "object '%s' not found", id);
    }
    return object_delete(o, errp);
}
