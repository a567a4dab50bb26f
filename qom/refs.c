/* Walks a value by its type to find the objects it refers to. Depth is that of the schema's types but for
 * types that contain themselves; values come from a parser that bounds nesting. */
#include "qom/internal.h"

typedef struct {
    void (*fn)(void *opaque, Object *o);
    void *opaque;
} RefWalk;

static void walk(const RefWalk *w, const QType *t, const void *p);

static bool is_pointer_kind(const QType *t)
{
    return t->kind == QK_STRUCT || t->kind == QK_UNION || t->kind == QK_ALTERNATE;
}

/* A member or element: structs, unions and alternates by pointer, absent ones NULL. */
static void walk_slot(const RefWalk *w, const QType *t, const char *slot)
{
    const void *p = is_pointer_kind(t) ? *(void *const *)slot : slot;

    if (p) {
        walk(w, t, p);
    }
}

static void walk_members(const RefWalk *w, const QType *t, const char *base)
{
    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *m = &t->members[i];

        if (m->has_offset < 0 || *(const bool *)(base + m->has_offset)) {
            walk_slot(w, m->type, base + m->offset);
        }
    }
}

/* The branch of a union lies in it by value; that of an alternate is a slot. */
static const QType *branch_type(const QType *t, int tag)
{
    for (uint32_t i = 0; i < t->num_branches; i++) {
        if (t->branches[i].tag == tag) {
            return t->branches[i].type;
        }
    }
    return NULL;
}

const QType *qunion_branch(const QType *t, const void *value)
{
    if (t->kind != QK_UNION) {
        return NULL;
    }
    return branch_type(t, *(const int *)((const char *)value + t->members[t->tag_member].offset));
}

static void walk_union(const RefWalk *w, const QType *t, const char *base)
{
    const QType *branch = qunion_branch(t, base);

    walk_members(w, t, base);
    if (branch) {
        walk(w, branch, base + t->union_offset);
    }
}

static void walk_alternate(const RefWalk *w, const QType *t, const char *base)
{
    const QType *branch = branch_type(t, *(const int *)base);

    if (branch) {
        walk_slot(w, branch, base + t->union_offset);
    }
}

static void walk_list(const RefWalk *w, const QType *t, const void *p)
{
    const struct {
        size_t len;
        const char *items;
    } *list = p;
    size_t step = is_pointer_kind(t->element) ? sizeof(void *) : t->element->size;

    for (size_t i = 0; i < list->len; i++) {
        walk_slot(w, t->element, list->items + i * step);
    }
}

static void walk(const RefWalk *w, const QType *t, const void *p)
{
    switch (t->kind) {
    case QK_REF:
        if (*(Object *const *)p) {
            w->fn(w->opaque, *(Object *const *)p);
        }
        break;
    case QK_STRUCT:
        walk_members(w, t, p);
        break;
    case QK_UNION:
        walk_union(w, t, p);
        break;
    case QK_ALTERNATE:
        walk_alternate(w, t, p);
        break;
    case QK_LIST:
        walk_list(w, t, p);
        break;
    default:
        break; /* owns or refers to no object */
    }
}

void qvalue_each_ref(const QType *t, const void *base, void (*fn)(void *opaque, Object *o), void *opaque)
{
    RefWalk w = {fn, opaque};

    walk(&w, t, base);
}
