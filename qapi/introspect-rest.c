/* Structs that take the configuration of a class, written out as unions: see introspect-rest.h. */
#include "qapi/introspect-rest.h"

#include <stdlib.h>
#include <string.h>

#include "qapi/buf.h"
#include "qapi/introspect.h"

static void *own(RestTypes *p, void *memory)
{
    p->owned = q_realloc(p->owned, p->num_owned + 1, sizeof(*p->owned));
    return p->owned[p->num_owned++] = memory;
}

static void *alloc(RestTypes *p, size_t n, size_t size)
{
    return own(p, q_calloc(n ? n : 1, size));
}

static char *text(RestTypes *p, const char *a, const char *b)
{
    QBuf out = { 0 };

    qbuf_printf(&out, "%s%s", a, b);
    return own(p, qbuf_steal(&out));
}

void rest_types_finish(RestTypes *p)
{
    for (size_t i = 0; i < p->num_owned; i++) {
        free(p->owned[i]);
    }
    free(p->owned);
    free(p->from);
    free(p->made);
    *p = (RestTypes){ 0 };
}

const char *rest_class_name(const QType *t, const QClass *k)
{
    size_t prefix = t->rest->class_kind == QCLASS_CHARDEV ? strlen("chardev-") : 0;
    bool creatable = k->kind == QCLASS_DEVICE || k->kind == QCLASS_OBJECT ? k->user_creatable : true;

    return k->kind == t->rest->class_kind && !k->abstract && creatable ? k->item.name + prefix : NULL;
}

/* ---- The members of a class that a user can give ---- */

typedef struct {
    const QType *base; /* which has some of them already */
    QMember *members;
    uint32_t len;
} Given;

static bool has_member(const QType *t, const char *name)
{
    for (uint32_t i = 0; i < t->num_members; i++) {
        if (!strcmp(t->members[i].item.name, name)) {
            return true;
        }
    }
    return false;
}

static void take_given(void *opaque, const QMember *m, QPropKind kind)
{
    Given *g = opaque;

    if (kind != QPROP_INFO && !has_member(g->base, m->item.name)) {
        g->members = q_realloc(g->members, g->len + 1, sizeof(*g->members));
        g->members[g->len++] = *m;
    }
}

/* NULL: nothing can be given. */
static const QType *class_members(RestTypes *p, const QType *base, const QClass *k)
{
    Given g = { .base = base };
    QType *t;

    qclass_each_property(k, take_given, &g);
    if (!g.len) {
        return NULL;
    }
    t = alloc(p, 1, sizeof(*t));
    t->item = (QItem){ .name = text(p, k->item.name, "-properties"), .doc = k->item.doc, .since = k->item.since };
    t->kind = QK_STRUCT;
    t->members = own(p, g.members);
    t->num_members = g.len;
    return t;
}

/* ---- The union ---- */

static const QType *make_union(RestTypes *p, const QSchema *s, const QType *t)
{
    QMember *members = alloc(p, t->num_members, sizeof(*members));
    QBranch *branches = alloc(p, s->num_classes, sizeof(*branches));
    QEnumValue *values = alloc(p, s->num_classes, sizeof(*values));
    QType *tag = alloc(p, 1, sizeof(*tag)), *u = alloc(p, 1, sizeof(*u));
    uint32_t n = 0, tagged = 0;

    for (uint32_t i = 0; i < s->num_classes; i++) {
        const char *name = rest_class_name(t, s->classes[i]);
        const QType *more = name ? class_members(p, t, s->classes[i]) : NULL;

        if (name) {
            values[n] = (QEnumValue){ .item = s->classes[i]->item, .value = (int)n };
            values[n].item.name = name;
            n++;
        }
        if (more) {
            branches[tagged++] = (QBranch){ .name = name, .tag = (int)n - 1, .type = more };
        }
    }
    *tag = (QType){ .item = { .name = text(p, t->item.name, "-class"), .doc = "Classes.", .since = t->item.since },
                    .kind = QK_ENUM, .values = values, .num_values = n };
    memcpy(members, t->members, t->num_members * sizeof(*members));
    members[t->rest->tag_member].type = tag;
    *u = (QType){ .item = t->item, .kind = QK_UNION, .members = members, .num_members = t->num_members,
                  .branches = branches, .num_branches = tagged, .tag_member = t->rest->tag_member };
    return u;
}

const QType *rest_union(RestTypes *p, const QSchema *s, const QType *t)
{
    for (size_t i = 0; i < p->len; i++) {
        if (p->from[i] == t) {
            return p->made[i];
        }
    }
    p->from = q_realloc(p->from, p->len + 1, sizeof(*p->from));
    p->made = q_realloc(p->made, p->len + 1, sizeof(*p->made));
    p->from[p->len] = t;
    p->made[p->len] = make_union(p, s, t);
    return p->made[p->len++];
}
