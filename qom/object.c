/*
 * Objects: class levels, life cycle, references, links. The contract is in qom/qom.h.
 *
 * The last reference does not free at once but puts the object on its tree's list of the dead, so that
 * a long chain of references is freed in a loop and not in a recursion.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qom/internal.h"
#include "qom/qom.gen.h"

static void out_of_memory(void)
{
    fputs("out of memory\n", stderr);
    abort();
}

void *qom_alloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p) {
        out_of_memory();
    }
    return p;
}

char *qom_strdup(const char *s)
{
    char *p = strdup(s);

    if (!p) {
        out_of_memory();
    }
    return p;
}

char *qom_printf(const char *fmt, ...)
{
    char *p = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&p, fmt, ap) < 0) {
        out_of_memory();
    }
    va_end(ap);
    return p;
}

/* ---- Classes ---- */

const ObjectOps container_ops = {.size = sizeof(Object)};

const ObjectOps *qclass_ops(const QClass *klass)
{
    while (klass && !klass->impl) {
        klass = klass->parent;
    }
    return klass ? klass->impl : NULL;
}

void qclass_levels(const QClass *klass, ClassLevels *out)
{
    const QClass *chain[CLASS_DEPTH_MAX];
    unsigned n = 0;

    for (; klass; klass = klass->parent) {
        assert(n < CLASS_DEPTH_MAX);
        chain[n++] = klass;
    }
    out->num = n;
    for (unsigned i = 0; i < n; i++) {
        const QClass *k = chain[n - 1 - i];
        bool shared = false;

        for (unsigned j = 0; j < i; j++) {
            shared |= out->ops[j] == k->impl;
        }

        out->klass[i] = k;
        out->ops[i] = shared ? NULL : k->impl;
    }
}

/* The nearest non-zero value of a size_t field of the ops, from klass upwards. */
static size_t inherited_offset(const QClass *klass, size_t field)
{
    for (; klass; klass = klass->parent) {
        const char *ops = klass->impl;
        size_t v = 0;

        if (ops) {
            memcpy(&v, ops + field, sizeof(v));
        }
        if (v) {
            return v;
        }
    }
    return 0;
}

void qclass_parts(const QClass *klass, ClassParts *out)
{
    ClassLevels levels;
    unsigned n = 0;

    *out = (ClassParts){0};
    if (klass->conf) {
        out->type[n] = klass->conf;
        out->klass[n] = klass;
        out->offset[n++] = inherited_offset(klass, offsetof(ObjectOps, conf_offset));
    }
    qclass_levels(klass, &levels);
    for (unsigned i = 0; i < levels.num; i++) {
        if (levels.klass[i]->control) {
            out->type[n] = levels.klass[i]->control;
            out->klass[n] = levels.klass[i];
            out->offset[n++] = levels.ops[i] ? levels.ops[i]->control_offset : 0;
        }
    }
    out->num = n;
    for (unsigned i = 0; i < n; i++) {
        out->first_origin[i + 1] = out->first_origin[i] + out->type[i]->num_members;
    }
}

bool parts_member(const ClassParts *parts, const char *name, PartMember *out)
{
    for (unsigned i = 0; i < parts->num; i++) {
        const QType *t = parts->type[i];
        const QMember *m = member_named(t, name);
        const QType *in = t;

        for (uint32_t j = 0; !m && t->kind == QK_UNION && j < t->num_branches; j++) {
            in = t->branches[j].type;
            m = member_named(in, name);
        }
        if (m) {
            *out = (PartMember){m, in, i};
            return true;
        }
    }
    return false;
}

void *object_member(Object *o, const ClassParts *parts, const char *name, PartMember *out)
{
    for (unsigned i = 0; i < parts->num; i++) {
        const QType *t = parts->type[i];
        char *base = (char *)o + parts->offset[i];
        const QType *branch = qunion_branch(t, base);
        const QMember *m = member_named(t, name);

        if (m) {
            *out = (PartMember){m, t, i};
            return base;
        }
        m = member_named(branch, name);
        if (m) {
            *out = (PartMember){m, branch, i};
            return base + t->union_offset;
        }
    }
    return NULL;
}

const QMember *qclass_info_member(const QClass *klass, const char *name, const QClass **level)
{
    for (; klass; klass = klass->parent) {
        const QMember *m = member_named(klass->info, name);

        if (m) {
            *level = klass;
            return m;
        }
    }
    return NULL;
}

static void *at_offset(Object *o, size_t offset)
{
    return offset ? (char *)o + offset : NULL;
}

void *object_conf(Object *o)
{
    return at_offset(o, inherited_offset(o->klass, offsetof(ObjectOps, conf_offset)));
}

void *object_control(Object *o, const QClass *klass)
{
    const ObjectOps *ops = klass->impl;

    return klass->control && ops ? at_offset(o, ops->control_offset) : NULL;
}

void *object_state(Object *o, const QClass *klass)
{
    const ObjectOps *ops = klass->impl;

    return klass->state && ops ? at_offset(o, ops->state_offset) : NULL;
}

bool object_is_a(const Object *o, const char *class_or_interface)
{
    return qclass_is_a(o->klass, class_or_interface);
}

const void *object_iface(const Object *o)
{
    for (const QClass *k = o->klass; k; k = k->parent) {
        const ObjectOps *ops = k->impl;

        if (ops && ops->iface) {
            return ops->iface;
        }
    }
    return NULL;
}

/* ---- Making ---- */

static void link_conf_member(void *opaque, Object *target)
{
    void **user_and_name = opaque;

    object_link(user_and_name[0], user_and_name[1], target, false)->conf = true;
}

void link_member(Object *o, const QMember *m, const void *base)
{
    QType one = {.kind = QK_STRUCT, .members = m, .num_members = 1};
    void *arg[2] = {o, (void *)m->item.name};

    qvalue_each_ref(&one, base, link_conf_member, arg);
}

static void link_members(Object *o, const QType *t, const char *base)
{
    for (uint32_t i = 0; i < t->num_members; i++) {
        link_member(o, &t->members[i], base);
    }
}

static bool check_instantiable(const QClass *klass, Error **errp)
{
    const char *name = klass->item.name;

    if (klass->abstract) {
        return error_set(errp, "class '%s' is abstract: choose one derived from it", name);
    }
    if (inherited_offset(klass, offsetof(ObjectOps, size)) < sizeof(Object)) {
        return error_set(errp, "class '%s' is not implemented", name);
    }
    return true;
}

/* Moves what c holds into o and links what it refers to. */
static void take_conf(Object *o, QomConf *c)
{
    ClassParts parts;

    qclass_parts(o->klass, &parts);
    for (unsigned i = 0; i < parts.num; i++) {
        char *at = (char *)o + parts.offset[i];

        if (parts.type[i]->num_members) {
            assert(parts.offset[i]); /* a class with conf or control has a place for it */
            memcpy(at, c->parts[i], parts.type[i]->size);
            link_members(o, parts.type[i], at);
            if (qunion_branch(parts.type[i], at)) {
                link_members(o, qunion_branch(parts.type[i], at), at + parts.type[i]->union_offset);
            }
        }
        free(c->parts[i]);
    }
    o->origins = c->origins;
    *c = (QomConf){0};
}

Object *object_new(QomTree *tree, const QClass *klass, QomConf *conf, Error **errp)
{
    QomConf own = {0};
    ClassLevels levels;
    Object *o;

    if (!check_instantiable(klass, errp)) {
        qom_conf_finish(tree, conf);
        return NULL;
    }
    if (!conf) {
        if (!qom_conf_build(tree, klass, NULL, false, &own, errp)) {
            return NULL;
        }
        conf = &own;
    }
    assert(conf->klass == klass);
    o = qom_alloc(1, inherited_offset(klass, offsetof(ObjectOps, size)));
    o->klass = klass;
    o->tree = tree;
    o->refcount = 1;
    tree->num_objects++;
    take_conf(o, conf);
    qclass_levels(klass, &levels);
    for (unsigned i = 0; i < levels.num; i++) {
        if (levels.ops[i] && levels.ops[i]->init && !levels.ops[i]->init(o, errp)) {
            object_unref(o);
            return NULL;
        }
    }
    return o;
}

/* ---- References ---- */

static void free_object(Object *o)
{
    QomTree *tree = o->tree;
    ClassLevels levels;
    ClassParts parts;

    assert(!o->parent && !o->users && o->life != OBJECT_REALIZED);
    while (o->last_child) {
        object_unparent(o->last_child);
    }
    qclass_levels(o->klass, &levels);
    for (unsigned i = levels.num; i-- > 0;) {
        if (levels.ops[i] && levels.ops[i]->finish) {
            levels.ops[i]->finish(o);
        }
    }
    while (o->links) {
        object_unlink(o->links);
    }
    qclass_parts(o->klass, &parts);
    for (unsigned i = 0; i < parts.num; i++) {
        if (parts.offset[i]) {
            tree->values->finish(tree, parts.type[i], (char *)o + parts.offset[i]);
        }
    }
    free(o->origins);
    free(o->id_text);
    free(o);
    tree->num_objects--;
}

void qom_tree_reap(QomTree *tree)
{
    Object *o;

    if (tree->reaping) {
        return; /* the loop below sees what was added */
    }
    tree->reaping = true;
    while ((o = __atomic_exchange_n(&tree->dead, NULL, __ATOMIC_ACQUIRE))) {
        while (o) {
            Object *next = o->dead_next;

            object_unrealize(o);
            free_object(o);
            o = next;
        }
    }
    tree->reaping = false;
}

Object *object_ref(Object *o)
{
    uint32_t old = __atomic_fetch_add(&o->refcount, 1, __ATOMIC_RELAXED);

    assert(old > 0 && old < UINT32_MAX);
    return o;
}

/* Drops a reference unless it is the last. */
static bool drop_not_last(Object *o)
{
    uint32_t c = __atomic_load_n(&o->refcount, __ATOMIC_RELAXED);

    assert(c > 0);
    while (c > 1) {
        if (__atomic_compare_exchange_n(&o->refcount, &c, c - 1, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
            return true;
        }
    }
    return false;
}

void object_unref_later(Object *o)
{
    QomTree *tree;

    if (!o || drop_not_last(o)) {
        return;
    }
    /* Ours is the only reference left, so nobody else can get here with o; the fence orders others' use before. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    tree = o->tree;
    o->dead_next = __atomic_load_n(&tree->dead, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&tree->dead, &o->dead_next, o, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
    }
}

void object_unref(Object *o)
{
    if (o) {
        QomTree *tree = o->tree;

        if (!drop_not_last(o)) {
            object_unref_later(o);
            qom_tree_reap(tree);
        }
    }
}

/* ---- Links ---- */

ObjectLink *object_link(Object *user, const char *name, Object *target, bool visible)
{
    ObjectLink *l = qom_alloc(1, sizeof(*l));

    assert(user->tree == target->tree);
    l->user = user;
    l->target = object_ref(target);
    l->name = qom_strdup(name);
    l->visible = visible;
    l->next_link = user->links;
    user->links = l;
    l->next_user = target->users;
    if (l->next_user) {
        l->next_user->prev_user = l;
    }
    target->users = l;
    return l;
}

void object_unlink(ObjectLink *link)
{
    ObjectLink **p;

    if (!link) {
        return;
    }
    for (p = &link->user->links; *p != link; p = &(*p)->next_link) {
    }
    *p = link->next_link;
    if (link->next_user) {
        link->next_user->prev_user = link->prev_user;
    }
    if (link->prev_user) {
        link->prev_user->next_user = link->next_user;
    } else {
        link->target->users = link->next_user;
    }
    object_unref(link->target);
    free(link->name);
    free(link);
}

/* ---- Life ---- */

ObjectLife object_life(const Object *o)
{
    return o->life;
}

/* A realized user of o that is neither above nor below it: those go after and before it anyway. */
static Object *realized_user(const Object *o)
{
    for (ObjectLink *l = o->users; l; l = l->next_user) {
        if (l->user->life == OBJECT_REALIZED && !object_is_below(o, l->user) && !object_is_below(l->user, o)) {
            return l->user;
        }
    }
    return NULL;
}

static Object *last_realized_child(const Object *o)
{
    for (Object *c = o->last_child; c; c = c->prev_sibling) {
        if (c->life == OBJECT_REALIZED) {
            return c;
        }
    }
    return NULL;
}

/* Takes down what stands on o and then o; they are `after` then. Callbacks may change both lists: start over. */
static void take_down(Object *o, ObjectLife after)
{
    ClassLevels levels;
    Object *other;

    object_ref(o); /* callbacks may drop all others */
    o->life = OBJECT_UNREALIZING;
    while ((other = realized_user(o))) {
        object_unrealize(other);
    }
    while ((other = last_realized_child(o))) {
        take_down(other, after);
    }
    qclass_levels(o->klass, &levels);
    while (o->realized_levels > 0) {
        const ObjectOps *ops = levels.ops[--o->realized_levels];

        if (ops && ops->unrealize) {
            ops->unrealize(o);
        }
    }
    o->life = after;
    object_unref(o);
}

void object_unrealize(Object *o)
{
    if (o->life == OBJECT_REALIZED) {
        take_down(o, OBJECT_GONE);
    }
}

static bool realize_levels(Object *o, Error **errp)
{
    ClassLevels levels;

    qclass_levels(o->klass, &levels);
    for (unsigned i = 0; i < levels.num; i++) {
        if (levels.ops[i] && levels.ops[i]->realize && !levels.ops[i]->realize(o, errp)) {
            return false;
        }
        o->realized_levels = i + 1;
    }
    return true;
}

static bool realize_children(Object *o, Error **errp)
{
    Object *c = o->first_child;

    while (c) {
        if (c->life == OBJECT_CONFIGURED) {
            if (!object_realize(c, errp)) {
                return false;
            }
            c = o->first_child; /* realize may have changed the list */
        } else {
            c = c->next_sibling;
        }
    }
    return true;
}

bool object_realize(Object *o, Error **errp)
{
    assert(o->life == OBJECT_CONFIGURED);
    o->life = OBJECT_REALIZING;
    if (realize_levels(o, errp) && realize_children(o, errp)) {
        o->life = OBJECT_REALIZED;
        return true;
    }
    take_down(o, OBJECT_CONFIGURED);
    return false;
}
