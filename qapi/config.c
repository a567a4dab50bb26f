/* Config files: sections or JSON to records and back. See qapi/keyval.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/json.h"
#include "qapi/options.h"
#include "qapi/schema.h"

static const char *group_name(const QOption *o)
{
    return o->config_group ? o->config_group : o->item.name;
}

static const QOption *group_option(const QSchema *s, const char *name)
{
    for (uint32_t i = 0; i < s->num_options; i++) {
        if (s->options[i]->config_group && !strcmp(s->options[i]->config_group, name)) {
            return s->options[i];
        }
    }
    return qschema_option(s, name);
}

/* ---- Sections ---- */

typedef struct {
    QOptions *o;
    const char *name;       /* of the file */
    int line;
    QOptionRecord *record;  /* of the section we are in, not in o yet when is_new */
    bool is_new;
} Config;

static bool config_error(const Config *c, const char *what, Error **errp)
{
    return error_set(errp, "%s:%d: %s", c->name, c->line, what);
}

/* A section of an option that stands for others: as if it had been on the command line. Frees r. */
static bool expand(Config *c, QOptionRecord *r, Error **errp)
{
    QBuf arg = { 0 }, origin = { 0 };
    const char *plain = qoption_is_plain(r->option) ? qkeyval_get(&r->kv, r->option->args->members[0].item.name) : NULL;
    bool ok;

    if (plain) {
        qbuf_str(&arg, plain);
    } else {
        qkeyval_write(&r->kv, &arg);
    }
    qbuf_printf(&origin, "%s: [%s]", c->name, group_name(r->option));
    ok = c->o->add(c->o, r->option, arg.data ? arg.data : "", origin.data, errp);
    if (!ok) {
        error_prepend(errp, "%s: ", origin.data);
    }
    qbuf_finish(&arg);
    qbuf_finish(&origin);
    qoption_record_free(r);
    return ok;
}

static bool end_section(Config *c, Error **errp)
{
    QOptionRecord *r = c->record;
    bool ok = true;

    if (r && r->option->sugar && c->o->add) {
        c->record = NULL;
        return expand(c, r, errp);
    }
    if (r && c->is_new) {
        ok = qoptions_append(c->o, r, errp);
        if (!ok) {
            error_prepend(errp, "%s: ", c->name);
            qoption_record_free(r);
        }
    }
    c->record = NULL;
    return ok;
}

/* group "id"] or group]; s is the line after its [, without blanks around it. */
static bool begin_section(Config *c, const char *s, const char *origin, Error **errp)
{
    size_t len = strlen(s), n = strcspn(s, " \t]\"");
    const char *quote = strchr(s, '"'), *end = strrchr(s, '"');
    const QOption *option;
    char *group;

    if (!n || s[len - 1] != ']' || (quote && (end == quote || end != s + len - 2))) {
        return config_error(c, "a section is [group] or [group \"id\"]", errp);
    }
    group = q_strndup(s, n);
    option = group_option(c->o->schema, group);
    if (!option || !option->args) {
        const char *near = qsuggest_option(c->o->schema, group);

        error_set(errp, "%s:%d: There is no option group '%s'", c->name, c->line, group);
        if (near) {
            error_hint(errp, "Did you mean '%s'?", near);
        }
        free(group);
        return false;
    }
    free(group);
    c->record = option->repeatable || option->sugar ? NULL : qoptions_find(c->o, option->item.name, NULL);
    c->is_new = !c->record;
    if (c->is_new) {
        c->record = q_calloc(1, sizeof(*c->record));
        c->record->option = option;
    }
    if (quote) {
        char *id = q_strndup(quote + 1, end - quote - 1);
        qkeyval_add(&c->record->kv, "id", id, origin);
        free(id);
    }
    return true;
}

/* key = "value": the value ends at the line's last quote, so that nothing in it needs an escape. */
static bool config_item(Config *c, const char *s, const char *origin, Error **errp)
{
    size_t n = strcspn(s, " \t=");
    const char *p = s + n + strspn(s + n, " \t"), *end = strrchr(s, '"');
    char *key, *value;

    if (!c->record) {
        return config_error(c, "no group defined", errp);
    }
    p += *p == '=' ? 1 + strspn(p + 1, " \t") : 0;
    if (!n || *p != '"' || end == p || end[1]) {
        return config_error(c, "an item is key = \"value\"", errp);
    }
    key = q_strndup(s, n);
    value = q_strndup(p + 1, end - p - 1);
    qkeyval_add(&c->record->kv, key, value, origin);
    free(key);
    free(value);
    return true;
}

static bool config_line(Config *c, char *s, Error **errp)
{
    QBuf origin = { 0 };
    bool ok = true;

    s += strspn(s, " \t");
    for (size_t n = strlen(s); n && isspace((unsigned char)s[n - 1]); n--) {
        s[n - 1] = 0;
    }
    qbuf_printf(&origin, "%s:%d", c->name, c->line);
    if (*s == '[') {
        ok = end_section(c, errp) && begin_section(c, s + 1, origin.data, errp);
    } else if (*s && *s != '#') {
        ok = config_item(c, s, origin.data, errp);
    }
    qbuf_finish(&origin);
    return ok;
}

/* ---- JSON ---- */

/* The members of an object as key=value text: leaves may be text, numbers and so on, as people write them. */
static bool object_text(struct json_object *v, QBuf *out, Error **errp)
{
    char *json = qjson_text(v, false);
    QKeyval kv = { 0 };
    bool ok = qkeyval_parse(&kv, json, NULL, NULL, NULL, errp);

    if (ok) {
        qkeyval_write(&kv, out);
    }
    qkeyval_finish(&kv);
    free(json);
    return ok;
}

static bool add_option(QOptions *o, const QOption *option, struct json_object *v, const char *origin, Error **errp)
{
    QBuf arg = { 0 };
    bool flag = json_object_is_type(v, json_type_boolean) && !option->args, ok = true;

    if (flag && !json_object_get_boolean(v)) {
        return true; /* false: not given */
    }
    if (json_object_is_type(v, json_type_object)) {
        ok = object_text(v, &arg, errp);
    } else if (!flag) {
        qbuf_str(&arg, json_object_get_string(v));
    }
    ok = ok && (o->add ? o->add : qoptions_add)(o, option, flag ? NULL : arg.data ? arg.data : "", origin, errp);
    qbuf_finish(&arg);
    return ok;
}

static bool add_member(QOptions *o, const char *key, struct json_object *v, const char *file, Error **errp)
{
    const QOption *option = group_option(o->schema, key);
    bool list = json_object_is_type(v, json_type_array), ok = true;
    const char *near;
    QBuf origin = { 0 };

    qbuf_printf(&origin, "%s: \"%s\"", file, key);
    if (!option) {
        ok = error_set(errp, "there is no such option");
        near = qsuggest_option(o->schema, key);
        if (near) {
            error_hint(errp, "Did you mean '%s'?", near);
        }
    } else if (!list) {
        ok = add_option(o, option, v, origin.data, errp);
    }
    for (size_t i = 0; ok && list && i < json_object_array_length(v); i++) {
        ok = add_option(o, option, json_object_array_get_idx(v, i), origin.data, errp);
    }
    if (!ok) {
        error_prepend(errp, "%s: ", origin.data);
    }
    qbuf_finish(&origin);
    return ok;
}

static bool read_json(QOptions *o, const char *text, const char *name, Error **errp)
{
    struct json_object *v, *config = NULL;
    bool ok = true;

    if (!qjson_parse(text, strlen(text), &v, errp)) {
        return error_prepend(errp, "%s: ", name);
    }
    json_object_object_get_ex(v, "config", &config); /* the answer of query-config has more beside it */
    json_object_object_foreach(json_object_is_type(config, json_type_object) ? config : v, key, member) {
        ok = ok && add_member(o, key, member, name, errp);
    }
    json_object_put(v);
    return ok;
}

bool qoptions_read_config(QOptions *o, const char *text, const char *name, Error **errp)
{
    Config c = { .o = o, .name = name };
    bool ok = true;

    if (text[strspn(text, " \t\r\n")] == '{') {
        return read_json(o, text, name, errp);
    }
    while (ok && *text) {
        size_t n = strcspn(text, "\n");
        char *line = q_strndup(text, n);

        c.line++;
        ok = config_line(&c, line, errp);
        free(line);
        text += n + (text[n] == '\n');
    }
    if (!ok && c.record && c.is_new) {
        qoption_record_free(c.record);
    }
    return ok && end_section(&c, errp);
}

static bool write_record(const QOptionRecord *r, QBuf *out, Error **errp)
{
    QKeyval flat = { 0 };
    QBuf text = { 0 };
    bool ok;

    qkeyval_write(&r->kv, &text); /* JSON becomes dotted keys */
    ok = qkeyval_parse(&flat, text.data ? text.data : "", NULL, NULL, NULL, errp);
    qbuf_finish(&text);
    qbuf_printf(out, r->id ? "[%s \"%s\"]\n" : "[%s]\n", group_name(r->option), r->id);
    for (size_t i = 0; ok && i < flat.len; i++) {
        const QKeyvalItem *it = &flat.items[i];
        if (strchr(it->value, '\n')) {
            ok = error_set(errp, "'%s' of %s has a line break, which a config file can't hold", it->key,
                           r->option->item.name);
        } else if (!r->id || strcmp(it->key, "id")) {
            qbuf_printf(out, "  %s = \"%s\"\n", it->key, it->value);
        }
    }
    qbuf_char(out, '\n');
    qkeyval_finish(&flat);
    return ok;
}

bool qoptions_write_config(const QOptions *o, QBuf *out, Error **errp)
{
    QBuf b = { 0 };

    qbuf_str(&b, "# qemu config file\n\n");
    for (size_t i = 0; i < o->len; i++) {
        if (o->items[i]->option->args && !write_record(o->items[i], &b, errp)) {
            qbuf_finish(&b);
            return false;
        }
    }
    qbuf_add(out, b.data, b.len);
    qbuf_finish(&b);
    return true;
}

/* What a record was said as: true, text, or an object with text for leaves. */
static struct json_object *record_json(const QOptionRecord *r)
{
    const QType *t = r->option->args;
    const char *plain = t && qoption_is_plain(r->option) ? qkeyval_get(&r->kv, t->members[0].item.name) : NULL;
    struct json_object *v;

    if (!t) {
        return json_object_new_boolean(true);
    }
    if (plain) {
        return json_object_new_string(plain);
    }
    v = qkeyval_to_json(&r->kv, t, NULL);
    return v ? v : json_object_new_object(); /* such a record was refused when it was read */
}

void qoptions_write_json(const QOptions *o, QBuf *out)
{
    struct json_object *all = json_object_new_object();

    for (size_t i = 0; i < o->len; i++) {
        const QOptionRecord *r = o->items[i];
        const char *name = group_name(r->option);
        struct json_object *list;

        if (!r->option->repeatable) {
            qjson_add(all, name, record_json(r));
            continue;
        }
        if (!json_object_object_get_ex(all, name, &list)) {
            list = json_object_new_array();
            qjson_add(all, name, list);
        }
        json_object_array_add(list, record_json(r));
    }
    qjson_write(out, all, true, false);
    qbuf_char(out, '\n');
    json_object_put(all);
}
