/* The document of -introspect: everything the tables tell, written as text at once. See qapi/introspect.h. */
#include <inttypes.h>
#include <string.h>

#include "qapi/introspect-item.h"
#include "qapi/introspect.h"
#include "qapi/json.h"
#include "qapi/visit.h"

static const char *const class_kinds[] = { "object", "device", "bus", "machine", "accel", "cpu", "chardev", "other" }; /* QClassKind */

/* ---- JSON by hand: what was written last says whether a comma is due ---- */

static void comma(QBuf *b)
{
    char last = b->len ? b->data[b->len - 1] : '[';

    if (last != '[' && last != '{' && last != '\n' && last != ' ') {
        qbuf_str(b, ", ");
    }
}

static void key(QBuf *b, const char *name)
{
    comma(b);
    qjson_write_string(b, name);
    qbuf_str(b, ": ");
}

static void open_list(QBuf *b, const char *name)
{
    key(b, name);
    qbuf_char(b, '[');
}

static void add_str(QBuf *b, const char *name, const char *s)
{
    if (s) {
        key(b, name);
        qjson_write_string(b, s);
    }
}

static void add_element(QBuf *b, const char *s)
{
    comma(b);
    qjson_write_string(b, s);
}

static void add_flag(QBuf *b, const char *name, bool set)
{
    if (set) {
        key(b, name);
        qbuf_str(b, "true");
    }
}

static void add_number(QBuf *b, const char *name, uint64_t n)
{
    key(b, name);
    qbuf_printf(b, "%" PRIu64, n);
}

/* ---- Items ---- */

static const char *const stabilities[] = { "stable", "unstable", "deprecated" };

static void add_features(QBuf *b, const QItem *i)
{
    const char *stability = i->stability == STABILITY_STABLE ? NULL : stabilities[i->stability];

    if (!stability && (!i->features || !*i->features)) {
        return;
    }
    open_list(b, "features");
    for (const char *const *f = i->features; f && *f; f++) {
        if (!stability || strcmp(*f, stability)) {
            add_element(b, *f);
        }
    }
    if (stability) {
        add_element(b, stability);
    }
    qbuf_char(b, ']');
}

/* Opens the object of an item. */
static void item(QBuf *b, const QItem *i)
{
    comma(b);
    qbuf_char(b, '{');
    add_str(b, "name", i->name);
    add_str(b, "doc", i->doc);
    add_str(b, "since", i->since);
    add_str(b, "stability", stabilities[i->stability <= STABILITY_DEPRECATED ? i->stability : STABILITY_UNSTABLE]);
    add_str(b, "instead", i->instead);
    add_features(b, i);
}

static void scalar(QBuf *b, const char *name, const QType *t, QScalar v)
{
    t = t->kind == QK_ARRAY || t->kind == QK_LIST ? t->element : t;
    key(b, name);
    if (t->kind == QK_NUMBER) {
        struct json_object *j = json_object_new_double(v.d);

        qjson_write(b, j, false, false);
        json_object_put(j);
    } else if (t->kind == QK_BOOL) {
        qbuf_str(b, v.i ? "true" : "false");
    } else if (t->kind == QK_ENUM) {
        const char *value = qtype_enum_name(t, v.i);

        value ? qjson_write_string(b, value) : qbuf_str(b, "null");
    } else if (t->kind == QK_INT && !t->is_signed) {
        qbuf_printf(b, "%" PRIu64, v.u);
    } else {
        qbuf_printf(b, "%" PRId64, v.i);
    }
}

/* Opens the object of a member. */
static void member(QBuf *b, const QMember *m)
{
    item(b, &m->item);
    add_str(b, "type", m->type->item.name);
    add_flag(b, "required", m->required);
    if (m->default_text && !m->default_is_expr) { /* which is JSON */
        key(b, "default");
        qbuf_str(b, m->default_text);
    } else {
        add_str(b, "default-expression", m->default_text);
    }
    if (m->has_min) {
        scalar(b, "min", m->type, m->min);
    }
    if (m->has_max) {
        scalar(b, "max", m->type, m->max);
    }
    add_str(b, "unit", m->unit);
    add_str(b, "alias", m->alias);
    add_flag(b, "settable", m->settable);
    add_flag(b, "inherited", m->inherited);
}

/* parent: members that are its are left out; NULL: none are. */
static void members(QBuf *b, const char *name, const QType *t, const QType *parent)
{
    open_list(b, name);
    for (uint32_t i = 0; t && i < t->num_members; i++) {
        const QMember *m = &t->members[i], *up = parent && m->inherited ? qtype_member(parent, m->item.name) : NULL;
        const char *mine = m->default_text ? m->default_text : "";

        if (!up || up->required != m->required || strcmp(up->default_text ? up->default_text : "", mine)) {
            member(b, m);
            qbuf_char(b, '}');
        }
    }
    qbuf_char(b, ']');
}

static void state_members(QBuf *b, const QType *t)
{
    static const char *const resets[] = { "value", "keep", "cold-only", "from-conf" };

    open_list(b, "state");
    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *m = &t->members[i];
        bool has_value = m->reset == RESET_VALUE || m->reset == RESET_COLD_ONLY;
        bool scalar_kind = m->type->kind <= QK_NUMBER || m->type->kind == QK_ENUM || m->type->kind == QK_TIMER;

        member(b, m);
        add_str(b, "reset", m->reset <= RESET_FROM_CONF ? resets[m->reset] : NULL);
        if (has_value && scalar_kind) {
            scalar(b, "reset-value", m->type, m->reset_value);
        }
        add_number(b, "state-since", m->state_since);
        add_flag(b, "conditional", m->present_if);
        qbuf_char(b, '}');
    }
    qbuf_char(b, ']');
}

static void branches(QBuf *b, const QType *t)
{
    open_list(b, "branches");
    for (uint32_t i = 0; i < t->num_branches; i++) {
        comma(b);
        qbuf_char(b, '{');
        add_str(b, "name", t->branches[i].name);
        add_str(b, "type", t->branches[i].type ? t->branches[i].type->item.name : NULL);
        qbuf_char(b, '}');
    }
    qbuf_char(b, ']');
}

static void type_entry(QBuf *b, const QType *t)
{
    static const char *const kinds[] = { "bool", "int", "number", "str", "any", "null", "enum", "struct", "union",
                                         "alternate", "list", "ref", "array", "buffer", "timer", "ramblock" };

    item(b, &t->item);
    add_str(b, "kind", kinds[t->kind]);
    if (t->kind == QK_STRUCT || t->kind == QK_UNION) {
        members(b, "members", t, NULL);
    }
    if (t->num_values) {
        open_list(b, "values");
        for (uint32_t i = 0; i < t->num_values; i++) {
            item(b, &t->values[i].item);
            qbuf_char(b, '}');
        }
        qbuf_char(b, ']');
    } else if (t->num_branches) {
        branches(b, t);
    }
    if (t->kind == QK_UNION) {
        add_str(b, "tag", t->members[t->tag_member].item.name);
    }
    add_str(b, "element", t->element ? t->element->item.name : NULL);
    if (t->rest) {
        key(b, "rest");
        qbuf_char(b, '{');
        add_str(b, "class-named-by", t->members[t->rest->tag_member].item.name);
        add_str(b, "kind", class_kinds[t->rest->class_kind]);
        qbuf_char(b, '}');
    }
}

static void phases(QBuf *b, uint32_t set)
{
    static const char *const names[] = { "config", "machine", "running", "paused" };

    open_list(b, "phases");
    for (unsigned i = 0; i < 4; i++) {
        if (set >> i & 1) {
            add_element(b, names[i]);
        }
    }
    qbuf_char(b, ']');
}

static void command_entry(QBuf *b, const QCommand *c)
{
    item(b, &c->item);
    add_str(b, "arguments", c->args ? c->args->item.name : NULL);
    if (c->args) {
        members(b, "members", c->args, NULL);
    }
    add_str(b, "returns", c->ret ? c->ret->item.name : NULL);
    phases(b, c->phases);
    add_flag(b, "allow-oob", c->allow_oob);
    add_flag(b, "no-reply", c->no_reply);
    add_str(b, "hmp", c->hmp_name);
    add_str(b, "hmp-usage", c->hmp_args);
    add_str(b, "example", c->example);
}

static void event_entry(QBuf *b, const QEvent *e)
{
    item(b, &e->item);
    members(b, "members", e->args, NULL);
    if (e->rate_limit_ns) {
        add_number(b, "rate-limit-ns", e->rate_limit_ns);
    }
}

static void add_compat(QBuf *b, const QClass *c)
{
    open_list(b, "compat");
    for (uint32_t i = 0; i < c->num_compat; i++) {
        comma(b);
        qbuf_char(b, '{');
        add_str(b, "class", c->compat[i].class_name);
        add_str(b, "property", c->compat[i].property);
        add_str(b, "value", c->compat[i].value);
        qbuf_char(b, '}');
    }
    qbuf_char(b, ']');
}

static void class_entry(QBuf *b, const QClass *c)
{
    item(b, &c->item);
    add_str(b, "parent", c->parent ? c->parent->item.name : NULL);
    add_str(b, "kind", class_kinds[c->kind <= QCLASS_OTHER ? c->kind : QCLASS_OTHER]);
    add_flag(b, "abstract", c->abstract);
    add_flag(b, "user-creatable", c->user_creatable);
    add_flag(b, "hotpluggable", c->hotpluggable);
    open_list(b, "interfaces");
    for (const char *const *i = c->interfaces; i && *i; i++) {
        add_element(b, *i);
    }
    qbuf_char(b, ']');
    add_str(b, "category", c->category);
    add_str(b, "bus", c->bus);
    add_str(b, "alias", c->alias);
    members(b, "config", c->parent && c->conf == c->parent->conf ? NULL : c->conf, c->parent ? c->parent->conf : NULL);
    members(b, "control", c->control, NULL);
    members(b, "info", c->info, NULL);
    if (c->state) {
        state_members(b, c->state);
        add_number(b, "state-version", c->state_version);
    }
    if (c->num_compat) {
        add_compat(b, c);
    }
}

static void option_entry(QBuf *b, const QOption *q)
{
    item(b, &q->item);
    add_str(b, "group", q->group);
    add_str(b, "usage", q->args_text);
    add_str(b, "arguments", q->args ? q->args->item.name : NULL);
    add_str(b, "implied-key", q->implied_key);
    add_str(b, "example", q->example);
    add_flag(b, "repeatable", q->repeatable);
    add_str(b, "config-group", q->config_group);
    add_str(b, "sugar", q->sugar);
}

static void hmp_entry(QBuf *b, const QHmp *h)
{
    item(b, &h->item);
    add_str(b, "usage", h->args);
    add_str(b, "arguments", h->args_type ? h->args_type->item.name : NULL);
    if (h->args_type) {
        members(b, "members", h->args_type, NULL);
    }
    phases(b, h->phases);
}

/* "NAME": [ENTRY(s->FIELD[i]), ...], each on a line */
#define ADD_LIST(b, s, name, field, entry) do {                             \
        open_list(b, name);                                                 \
        for (uint32_t i_ = 0; i_ < (s)->num_##field; i_++) {                \
            qbuf_str(b, i_ ? ",\n" : "\n");                                 \
            entry(b, (s)->field[i_]);                                       \
            qbuf_char(b, '}');                                              \
        }                                                                   \
        qbuf_str(b, "\n]");                                                 \
    } while (0)

void qintrospect_all(const QSchema *s, QBuf *out)
{
    QBuf b = { 0 };

    qbuf_char(&b, '{');
    ADD_LIST(&b, s, "types", types, type_entry);
    ADD_LIST(&b, s, "commands", commands, command_entry);
    ADD_LIST(&b, s, "events", events, event_entry);
    ADD_LIST(&b, s, "classes", classes, class_entry);
    ADD_LIST(&b, s, "options", options, option_entry);
    ADD_LIST(&b, s, "hmp", hmp, hmp_entry);
    qbuf_str(&b, "}\n");
    qbuf_add(out, b.data, b.len);
    qbuf_finish(&b);
}
