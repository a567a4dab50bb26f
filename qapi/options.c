/* Records of the command line and of config files: see qapi/keyval.h. */
#include <stdlib.h>
#include <string.h>

#include "qapi/keyval.h"
#include "qapi/options.h"
#include "qapi/schema.h"

void qoptions_init(QOptions *o, const QSchema *schema)
{
    *o = (QOptions){ .schema = schema };
}

void qoption_record_free(QOptionRecord *r)
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
        qoption_record_free(o->items[i]);
    }
    free(o->items);
    qbuf_finish(&o->warnings);
    *o = (QOptions){ 0 };
}

void qoptions_remove(QOptions *o, const char *name)
{
    size_t kept = 0;

    for (size_t i = 0; i < o->len; i++) {
        if (!strcmp(o->items[i]->option->item.name, name)) {
            qoption_record_free(o->items[i]);
        } else {
            o->items[kept++] = o->items[i];
        }
    }
    o->len = kept;
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

bool qoptions_append(QOptions *o, QOptionRecord *r, Error **errp)
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
        (is_new && !qoptions_append(o, r, errp))) {
        if (is_new) {
            qoption_record_free(r);
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

bool qoption_read(const QOptionRecord *r, void *out, const QRefResolver *refs, Error **errp)
{
    return qkeyval_read(&r->kv, r->option->args, out, refs, errp);
}

bool qoption_is_plain(const QOption *opt)
{
    return opt->args && opt->args->kind == QK_STRUCT && !opt->implied_key && !opt->args->rest && opt->args->num_members == 1;
}
