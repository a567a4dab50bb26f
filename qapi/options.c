/* Records of the command line and of config files: see qapi/keyval.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/keyval.h"
#include "qapi/schema.h"

void qoptions_init(QOptions *o, const QSchema *schema)
{
    *o = (QOptions){ .schema = schema };
}

static void record_free(QOptionRecord *r)
{
    if (r) {
        free(r->id);
        qkeyval_finish(&r->kv);
        free(r);
    }
}

void qoptions_finish(QOptions *o)
{
    for (size_t i = 0; i < o->len; i++) {
        record_free(o->items[i]);
    }
    free(o->items);
    qbuf_finish(&o->warnings);
    *o = (QOptions){ 0 };
}

QOptionRecord *qoptions_find(const QOptions *o, const char *name, const char *id)
{
    for (size_t i = 0; i < o->len; i++) {
        QOptionRecord *r = o->items[i];
        if (!strcmp(r->option->item.name, name) && (!id || (r->id && !strcmp(r->id, id)))) {
            return r;
        }
    }
    return NULL;
}

/* Takes r on success. */
static bool append_record(QOptions *o, QOptionRecord *r, Error **errp)
{
    const char *id = r->option->takes_id ? qkeyval_get(&r->kv, "id") : NULL;

    if (id && !qid_is_valid(id)) {
        error_set(errp, "Parameter 'id' expects an identifier");
        return error_hint(errp, "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.");
    }
    if (id && qoptions_find(o, r->option->item.name, id)) {
        return error_set(errp, "Duplicate ID '%s' for %s", id, r->option->item.name);
    }
    r->id = id ? q_strdup(id) : NULL;
    o->items = q_realloc(o->items, o->len + 1, sizeof(*o->items));
    o->items[o->len++] = r;
    return true;
}

static void take_warnings(QOptions *o, QKeyval *kv)
{
    qbuf_add(&o->warnings, kv->warnings.data, kv->warnings.len);
    qbuf_finish(&kv->warnings);
}

bool qoptions_add(QOptions *o, const QOption *option, const char *arg, const char *origin, Error **errp)
{
    QOptionRecord *r = option->repeatable ? NULL : qoptions_find(o, option->item.name, NULL);
    bool is_new = !r;

    if (arg && !option->args) {
        return error_set(errp, "option '%s' takes no argument", option->item.name);
    }
    if (!arg && option->args) {
        return error_set(errp, "requires an argument");
    }
    if (is_new) {
        r = q_calloc(1, sizeof(*r));
        r->option = option;
    }
    if ((arg && !qkeyval_parse(&r->kv, arg, option->implied_key, option->args, origin, errp)) ||
        (is_new && !append_record(o, r, errp))) {
        if (is_new) {
            record_free(r);
        }
        return false;
    }
    take_warnings(o, &r->kv);
    return true;
}

bool qoptions_set(QOptions *o, const char *text, const char *origin, Error **errp)
{
    const char *eq = strchr(text, '='), *dot = strchr(text, '.'), *dot2 = dot ? strchr(dot + 1, '.') : NULL;
    char *group, *id, *key;
    QOptionRecord *r;

    if (!eq || !dot2 || dot2 > eq || dot == text || dot2 == dot + 1 || dot2 + 1 == eq) {
        error_set(errp, "can't parse: \"%s\"", text);
        return error_hint(errp, "The form is GROUP.ID.KEY=VALUE");
    }
    group = q_strndup(text, dot - text);
    id = q_strndup(dot + 1, dot2 - dot - 1);
    key = q_strndup(dot2 + 1, eq - dot2 - 1);
    r = qoptions_find(o, group, id);
    if (r) {
        qkeyval_add(&r->kv, key, eq + 1, origin);
    } else {
        error_set(errp, "there is no %s \"%s\" defined", group, id);
    }
    free(group);
    free(id);
    free(key);
    return r;
}

/* ---- config files ---- */

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

static bool end_section(Config *c, Error **errp)
{
    QOptionRecord *r = c->record;
    bool ok = true;

    if (r && c->is_new) {
        ok = append_record(c->o, r, errp);
        if (!ok) {
            error_prepend(errp, "%s: ", c->name);
            record_free(r);
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
    option = qschema_option(c->o->schema, group);
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
    c->record = option->repeatable ? NULL : qoptions_find(c->o, option->item.name, NULL);
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

bool qoptions_read_config(QOptions *o, const char *text, const char *name, Error **errp)
{
    Config c = { .o = o, .name = name };
    bool ok = true;

    while (ok && *text) {
        size_t n = strcspn(text, "\n");
        char *line = q_strndup(text, n);

        c.line++;
        ok = config_line(&c, line, errp);
        free(line);
        text += n + (text[n] == '\n');
    }
    if (!ok && c.record && c.is_new) {
        record_free(c.record);
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
    qbuf_printf(out, r->id ? "[%s \"%s\"]\n" : "[%s]\n", r->option->item.name, r->id);
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

bool qoption_read(const QOptionRecord *r, void *out, const QRefResolver *refs, Error **errp)
{
    return qkeyval_read(&r->kv, r->option->args, out, refs, errp);
}
