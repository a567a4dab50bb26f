/* See testing.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

#include "qom/internal.h"
#include "qom/testing.h"

static char log_text[4096], log_copy[4096];

const char *test_log(void)
{
    strcpy(log_copy, log_text);
    log_text[0] = '\0';
    return log_copy;
}

static void note(const char *what, Object *o)
{
    size_t n = strlen(log_text);

    snprintf(log_text + n, sizeof(log_text) - n, "%s%s %s", n ? "; " : "", what, o->name ? o->name : "-");
}

/* ---- Classes ---- */

/* Level Thing reads conf at the derived class's place: a GadgetConf begins with a ThingConf. */
static ThingConf *conf_of(Object *o)
{
    return object_conf(o);
}

static bool thing_init(Object *o, Error **errp)
{
    Thing *t = (Thing *)o;

    t->memory = malloc(16);
    return !(conf_of(o)->fail & FAIL_INIT) || error_set(errp, "init failed as told");
}

static bool thing_realize(Object *o, Error **errp)
{
    Thing *t = (Thing *)o;

    if (conf_of(o)->fail & FAIL_REALIZE) {
        return error_set(errp, "realize failed as told");
    }
    assert(!t->running);
    t->running = malloc(16);
    note("realize", o);
    return true;
}

static void thing_unrealize(Object *o)
{
    Thing *t = (Thing *)o;

    assert(t->running);
    free(t->running);
    t->running = NULL;
    note("unrealize", o);
}

static void thing_finish(Object *o)
{
    Thing *t = (Thing *)o;

    assert(!t->running);
    free(t->memory);
    note("finish", o);
}

static bool thing_check(Object *o, Error **errp)
{
    return ((Thing *)o)->st.reg != 99 || error_set(errp, "reg may not be 99");
}

static void thing_rebuild(Object *o)
{
    ((Thing *)o)->derived = ((Thing *)o)->st.reg * 2;
}

static void thing_reset(Object *o, ObjectResetKind kind)
{
    note(kind == OBJECT_COLD_RESET ? "cold" : "warm", o);
}

static bool thing_get_info(Object *o, void *info, Error **errp)
{
    ThingInfo *i = info;

    i->count = 42;
    i->label = conf_of(o)->label ? strdup(conf_of(o)->label) : NULL;
    return true;
}

static bool thing_apply(Object *o, const QMember *m, const void *new_control, Error **errp)
{
    const ThingControl *c = new_control;

    note("apply", o);
    return c->level != 13 || error_set(errp, "13 is no good level");
}

const ObjectOps thing_ops = {
    .size = sizeof(Thing),
    .conf_offset = offsetof(Thing, conf),
    .control_offset = offsetof(Thing, control),
    .state_offset = offsetof(Thing, st),
    .init = thing_init,
    .realize = thing_realize,
    .unrealize = thing_unrealize,
    .finish = thing_finish,
    .check = thing_check,
    .rebuild = thing_rebuild,
    .reset = thing_reset,
    .get_info = thing_get_info,
    .apply_control = thing_apply,
    .iface = "things",
};

static bool gadget_init(Object *o, Error **errp)
{
    Gadget *g = (Gadget *)o;

    for (uint32_t i = 0; i < g->conf.parts; i++) {
        Object *c = object_new(o->tree, &test_thing, NULL, errp);
        bool ok = c && object_add_child(o, "part[*]", c, errp);

        object_unref(c);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool gadget_realize(Object *o, Error **errp)
{
    Gadget *g = (Gadget *)o;

    if (g->conf.base.fail & FAIL_LATE) {
        return error_set(errp, "late failure as told");
    }
    g->running = malloc(16);
    return true;
}

static void gadget_unrealize(Object *o)
{
    free(((Gadget *)o)->running);
    note("gadget-unrealize", o);
}

const ObjectOps gadget_ops = {
    .size = sizeof(Gadget),
    .conf_offset = offsetof(Gadget, conf),
    .state_offset = offsetof(Gadget, st),
    .init = gadget_init,
    .realize = gadget_realize,
    .unrealize = gadget_unrealize,
};

static const QType t_u8 = {.item.name = "uint8", .kind = QK_INT, .width = 1, .size = 1};
static const QType t_u32 = {.item.name = "uint32", .kind = QK_INT, .width = 4, .size = 4};
static const QType t_str = {.item.name = "str", .kind = QK_STR, .size = 8};
static const QType t_ref = {.item.name = "ref<thing>", .kind = QK_REF, .size = 8, .ref_class = "thing"};

static void default_size(void *conf)
{
    ((ThingConf *)conf)->size = 7;
}

static void default_twice(void *conf)
{
    ((ThingConf *)conf)->twice = 2 * ((ThingConf *)conf)->size;
}

static void default_level(void *control)
{
    ((ThingControl *)control)->level = 1;
}

#define M(n, t, s, f) .item.name = n, .type = &t, .offset = offsetof(s, f), .has_offset = -1
#define THING_MEMBERS \
    {M("size", t_u32, ThingConf, size), .default_text = "7", .set_default = default_size}, \
    {M("twice", t_u32, ThingConf, twice), .default_text = "2 * size", .set_default = default_twice}, \
    {M("fail", t_u8, ThingConf, fail)}, \
    {M("label", t_str, ThingConf, label)}, \
    {M("peer", t_ref, ThingConf, peer)}

static const QMember thing_conf[] = {THING_MEMBERS};
static const QMember gadget_conf[] = {THING_MEMBERS, {M("parts", t_u32, GadgetConf, parts)}};
static const QMember thing_control[] = {
    {M("level", t_u8, ThingControl, level), .settable = true, .has_max = true, .max.u = 100,
     .default_text = "1", .set_default = default_level},
    {M("helper", t_ref, ThingControl, helper), .settable = true},
};
static const QMember thing_info[] = {
    {M("count", t_u32, ThingInfo, count)},
    {M("note", t_str, ThingInfo, label)},
};
static const QMember thing_state[] = {{M("reg", t_u8, ThingState, reg), .reset_value.u = 5}};

#define STRUCT(n, c, m) \
    static const QType n = {.item.name = #n, .kind = QK_STRUCT, .size = sizeof(c), .members = m, \
                            .num_members = sizeof(m) / sizeof(m[0])}
STRUCT(t_thing_conf, ThingConf, thing_conf);
STRUCT(t_gadget_conf, GadgetConf, gadget_conf);
STRUCT(t_thing_control, ThingControl, thing_control);
STRUCT(t_thing_info, ThingInfo, thing_info);
STRUCT(t_thing_state, ThingState, thing_state);
static const QType t_none = {.item.name = "none", .kind = QK_STRUCT};

const QClass test_abstract = {
    .item.name = "thing-base", .parent = &qclass_object, .abstract = true, .conf = &t_none, .kind = QCLASS_OBJECT,
};
const QClass test_thing = {
    .item.name = "thing", .parent = &test_abstract, .kind = QCLASS_OBJECT, .user_creatable = true,
    .conf = &t_thing_conf, .control = &t_thing_control, .info = &t_thing_info, .state = &t_thing_state,
    .impl = &thing_ops,
};
const QClass test_gadget = {
    .item.name = "gadget", .alias = "gizmo", .parent = &test_thing, .kind = QCLASS_OBJECT, .user_creatable = true,
    .conf = &t_gadget_conf, .state = &t_thing_state, .impl = &gadget_ops,
};
const QClass test_device = {
    .item.name = "toy-device", .parent = &test_thing, .kind = QCLASS_DEVICE, .user_creatable = true,
    .conf = &t_thing_conf, .impl = &thing_ops,
};
static const ObjectOps machine_ops = {.size = sizeof(Object)};
const QClass test_machine = {
    .item.name = "toy-machine", .parent = &qclass_object, .kind = QCLASS_MACHINE, .conf = &t_none,
    .impl = &machine_ops,
};

static const QClass *const classes[] = {
    &qclass_container, &test_gadget, &qclass_object, &test_pick, &test_thing, &test_abstract, &test_device, &test_machine,
};
const QSchema test_schema = {.classes = classes, .num_classes = sizeof(classes) / sizeof(classes[0])};

/* A class whose conf is a union: kind 0 has no more members, kind 1 has target and more. */
typedef struct {
    Object obj;
    PickConf conf;
} Pick;

static const QMember far_members[] = {
    {.item.name = "target", .type = &t_ref, .offset = 0, .has_offset = -1},
    {.item.name = "more", .type = &t_u32, .offset = 8, .has_offset = -1},
};
static const QType t_far = {.kind = QK_STRUCT, .size = 16, .members = far_members, .num_members = 2};
static const QMember pick_members[] = {{M("kind", t_u32, PickConf, kind)}};
static const QBranch pick_branches[] = {{"near", 0, NULL}, {"far", 1, &t_far}};
static const QType t_pick = {
    .kind = QK_UNION, .size = sizeof(PickConf), .members = pick_members, .num_members = 1,
    .branches = pick_branches, .num_branches = 2, .union_offset = offsetof(PickConf, u),
};
static const ObjectOps pick_ops = {.size = sizeof(Pick), .conf_offset = offsetof(Pick, conf)};
static const QCompat pick_rows[] = {{"pick", "kind", "1"}};
const QClass test_pick = {
    .item.name = "pick", .parent = &test_abstract, .kind = QCLASS_OBJECT, .user_creatable = true, .conf = &t_pick,
    .compat = pick_rows, .num_compat = 1, .impl = &pick_ops,
};

/* ---- Values ---- */

static uint64_t load(const QMember *m, const char *p)
{
    uint32_t v = 0;

    memcpy(&v, p, m->type->width);
    return v;
}

static bool read_member(QomTree *tree, const QMember *m, struct json_object *j, bool text, char *p, Error **errp)
{
    const char *name = m->item.name;
    bool number = json_object_is_type(j, json_type_int) || (text && json_object_is_type(j, json_type_string));
    int64_t v = json_object_get_int64(j);
    Object *o;

    if (m->type->kind == QK_INT) {
        if (!number) {
            return error_set(errp, "Invalid parameter type for '%s', expected: integer", name);
        }
        if (v < 0 || (m->has_max && (uint64_t)v > m->max.u) || v > (m->type->width == 1 ? 255 : UINT32_MAX)) {
            return error_set(errp, "Parameter '%s' out of range", name);
        }
        memcpy(p, &v, m->type->width);
        return true;
    }
    if (!json_object_is_type(j, json_type_string)) {
        return error_set(errp, "Invalid parameter type for '%s', expected: string", name);
    }
    if (m->type->kind == QK_STR) {
        *(char **)p = strdup(json_object_get_string(j));
        return true;
    }
    o = qom_resolve_ref(tree, json_object_get_string(j), m->type->ref_class, errp);
    *(Object **)p = o ? object_ref(o) : NULL;
    return o;
}

static void test_finish(QomTree *tree, const QType *t, void *value)
{
    for (uint32_t i = 0; i < t->num_members; i++) {
        char *p = (char *)value + t->members[i].offset;

        if (t->members[i].type->kind == QK_STR) {
            free(*(char **)p);
        } else if (t->members[i].type->kind == QK_REF) {
            object_unref(*(Object **)p);
        }
    }
    if (qunion_branch(t, value)) {
        test_finish(tree, qunion_branch(t, value), (char *)value + t->union_offset);
    }
    memset(value, 0, t->size);
}

static bool test_from_json(QomTree *tree, const QType *t, struct json_object *json, bool text, void *out,
                           Error **errp)
{
    char *tmp = calloc(1, t->size ? t->size : 1);
    bool ok = true;

    for (uint32_t i = 0; ok && i < t->num_members; i++) {
        const QMember *m = &t->members[i];
        struct json_object *j = NULL;

        if (json_object_object_get_ex(json, m->item.name, &j)) {
            ok = read_member(tree, m, j, text, tmp + m->offset, errp);
        } else if (m->set_default) {
            m->set_default(tmp);
        }
    }
    if (ok && qunion_branch(t, tmp)) {
        ok = test_from_json(tree, qunion_branch(t, tmp), json, text, tmp + t->union_offset, errp);
    }
    if (ok) {
        memcpy(out, tmp, t->size);
    } else {
        test_finish(tree, t, tmp);
    }
    free(tmp);
    return ok;
}

static void write_members(struct json_object *json, const QType *t, const void *value)
{
    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *m = &t->members[i];
        const char *p = (const char *)value + m->offset;

        if (m->type->kind == QK_INT) {
            json_object_object_add(json, m->item.name, json_object_new_uint64(load(m, p)));
        } else if (m->type->kind == QK_STR && *(char *const *)p) {
            json_object_object_add(json, m->item.name, json_object_new_string(*(char *const *)p));
        } else if (m->type->kind == QK_REF && *(Object *const *)p) {
            char *id = object_id(*(Object *const *)p);

            json_object_object_add(json, m->item.name, json_object_new_string(id ? id : ""));
            free(id);
        }
    }
    if (qunion_branch(t, value)) {
        write_members(json, qunion_branch(t, value), (const char *)value + t->union_offset);
    }
}

static struct json_object *test_to_json(QomTree *tree, const QType *t, const void *value)
{
    struct json_object *json = json_object_new_object();

    write_members(json, t, value);
    return json;
}

static void test_reset(const QType *state, void *st, const void *conf, bool cold)
{
    for (uint32_t i = 0; i < state->num_members; i++) {
        memcpy((char *)st + state->members[i].offset, &state->members[i].reset_value, state->members[i].type->width);
    }
}

/* Near: the same first letter. */
static const char *test_suggest(const char *word, const char *(*get)(const void *, size_t), const void *opaque, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (get(opaque, i)[0] == word[0]) {
            return get(opaque, i);
        }
    }
    return NULL;
}

const QomValues test_values = {
    .from_json = test_from_json,
    .to_json = test_to_json,
    .finish = test_finish,
    .reset = test_reset,
    .suggest = test_suggest,
};
