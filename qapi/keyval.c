/* key=value text to a tree of JSON: see qapi/keyval.h. */
#include "qapi/keyval.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/json.h"

enum {
    MAX_SEGMENTS = 128,     /* of one dotted key */
    MAX_ITEMS = 1 << 20,
};

bool qid_is_valid(const char *id)
{
    if (!isalpha((unsigned char)*id)) {
        return false;
    }
    while (*id && (isalnum((unsigned char)*id) || strchr("-._", *id))) {
        id++;
    }
    return !*id;
}

/* ---- text to items ---- */

static QKeyvalItem *append(QKeyval *kv, char *key, const char *origin)
{
    QKeyvalItem *it;

    if ((kv->len & (kv->len - 1)) == 0) { /* grow at powers of two */
        kv->items = q_realloc(kv->items, kv->len ? kv->len * 2 : 1, sizeof(*kv->items));
    }
    it = &kv->items[kv->len++];
    *it = (QKeyvalItem){ .key = key, .origin = q_strdup(origin ? origin : "") };
    return it;
}

void qkeyval_add(QKeyval *kv, const char *key, const char *value, const char *origin)
{
    append(kv, q_strdup(key), origin)->value = q_strdup(value);
}

const char *qkeyval_get(const QKeyval *kv, const char *key)
{
    for (size_t i = kv->len; i-- > 0;) {
        if (!strcmp(kv->items[i].key, key)) {
            struct json_object *j = kv->items[i].json;
            return kv->items[i].value ? kv->items[i].value
                   : json_object_is_type(j, json_type_string) ? json_object_get_string(j) : NULL;
        }
    }
    return NULL;
}

static void truncate_to(QKeyval *kv, size_t len)
{
    while (kv->len > len) {
        QKeyvalItem *it = &kv->items[--kv->len];
        free(it->key);
        free(it->value);
        free(it->origin);
        json_object_put(it->json);
    }
}

void qkeyval_finish(QKeyval *kv)
{
    truncate_to(kv, 0);
    free(kv->items);
    qbuf_finish(&kv->warnings);
    *kv = (QKeyval){ 0 };
}

/* The value at *p up to a single comma, which is passed; owned. */
static char *take_value(const char **p)
{
    QBuf b = { 0 };

    while (**p && (**p != ',' || (*p)[1] == ',')) {
        qbuf_char(&b, **p);
        *p += **p == ',' ? 2 : 1;
    }
    *p += **p == ',';
    return qbuf_steal(&b);
}

static const QType *member_type(const QType *t, const char *name);

static bool is_help(const char *word)
{
    return !strcmp(word, "help") || !strcmp(word, "?");
}

/* A bare "foo" or "nofoo". Takes key. */
static void add_flag(QKeyval *kv, char *key, const QType *t, const char *origin)
{
    bool known = t && !t->rest; /* else it may be a member of a class not named yet */
    bool off = !strncmp(key, "no", 2) && key[2] && !member_type(t, key) && (!known || member_type(t, key + 2));
    QKeyvalItem *it;

    if (is_help(key)) {
        kv->wants_help = true;
        free(key);
        return;
    }
    it = append(kv, q_strdup(off ? key + 2 : key), origin);
    it->value = q_strdup(off ? "off" : "on");
    qbuf_printf(&kv->warnings, "short-form boolean option '%s' deprecated\nPlease use %s=%s instead\n", key, it->key,
                it->value);
    free(key);
}

static bool parse_text(QKeyval *kv, const char *p, const char *implied, const QType *t, const char *origin,
                       Error **errp)
{
    size_t first = strcspn(p, "=,");

    if (implied && p[0] && p[first] != '=') {
        char *value = take_value(&p);
        if (is_help(value)) {
            kv->wants_help = true;
            free(value);
        } else {
            append(kv, q_strdup(implied), origin)->value = value;
        }
    }
    while (*p) {
        size_t n = strcspn(p, "=,");
        char *key = q_strndup(p, n);

        p += n;
        if (!n || kv->len >= MAX_ITEMS) {
            free(key);
            return error_set(errp, "Invalid parameter ''");
        }
        if (*p == '=') {
            p++;
            append(kv, key, origin)->value = take_value(&p);
        } else {
            p += *p == ',';
            add_flag(kv, key, t, origin);
        }
    }
    return true;
}

static bool parse_json(QKeyval *kv, const char *text, const char *origin, Error **errp)
{
    struct json_object *v;

    if (!qjson_parse(text, strlen(text), &v, errp)) {
        return false;
    }
    json_object_object_foreach(v, key, member) {
        append(kv, q_strdup(key), origin)->json = json_object_get(member);
    }
    json_object_put(v);
    return true;
}

bool qkeyval_parse(QKeyval *kv, const char *text, const char *implied_key, const QType *t, const char *origin,
                   Error **errp)
{
    size_t len = kv->len;
    bool ok = *text == '{' ? parse_json(kv, text, origin, errp)
                           : parse_text(kv, text, implied_key, t, origin, errp);

    if (!ok) {
        truncate_to(kv, len);
    }
    return ok;
}

/* ---- items to a tree ---- */

static bool is_index(const char *s)
{
    size_t n = strlen(s);

    return n && n < 8 && strspn(s, "0123456789") == n && (s[0] != '0' || n == 1);
}

/* The type that key segment `name` of a t has, in any branch; NULL when unknown. */
static const QType *member_type(const QType *t, const char *name)
{
    const QMember *m = t ? qtype_member(t, name) : NULL;
    const QType *found = m ? m->type : NULL;

    if (!t || t->kind == QK_ANY) {
        return NULL;
    }
    if (t->kind == QK_LIST || t->kind == QK_ARRAY) {
        return is_index(name) ? t->element : NULL;
    }
    for (uint32_t i = 0; !found && i < t->num_branches; i++) {
        const QType *b = t->branches[i].type;
        if (b && (b->kind == QK_STRUCT || b->kind == QK_UNION || b->kind == QK_LIST)) {
            found = member_type(b, name);
        }
    }
    return found;
}

static bool is_list(const QType *t)
{
    return t && (t->kind == QK_LIST || t->kind == QK_ARRAY);
}

static bool fail_inconsistent(const char *key, size_t len, Error **errp)
{
    return error_set(errp, "Parameters '%.*s.*' used inconsistently", (int)len, key);
}

/* A copy: the tree is changed as more items come. */
static struct json_object *item_json(const QKeyvalItem *it)
{
    struct json_object *copy = NULL;

    if (it->value) {
        return json_object_new_string(it->value);
    }
    if (it->json && json_object_deep_copy(it->json, &copy, NULL) < 0) {
        abort();
    }
    return copy;
}

/* Puts the item at obj[name]. Repeated texts for a list collect. */
static bool put_leaf(struct json_object *obj, const char *name, const QType *t, const QKeyvalItem *it, Error **errp)
{
    struct json_object *old;
    bool had = json_object_object_get_ex(obj, name, &old);

    if (had && it->value && json_object_is_type(old, json_type_object)) {
        return fail_inconsistent(it->key, strlen(it->key), errp);
    }
    if (had && it->value && is_list(t)) {
        if (!json_object_is_type(old, json_type_array)) {
            struct json_object *list = json_object_new_array();
            json_object_array_add(list, json_object_get(old));
            qjson_add(obj, name, list);
            old = list;
        }
        json_object_array_add(old, item_json(it));
        return true;
    }
    qjson_add(obj, name, item_json(it));
    return true;
}

/* One item into the tree. Lists by index are objects with numbers for names until make_lists(). */
static bool put_item(struct json_object *obj, const QType *t, const QKeyvalItem *it, Error **errp)
{
    const char *p = it->key;

    for (int depth = 0;; depth++) {
        const char *dot = strchr(p, '.');
        struct json_object *next;
        char *name;

        if (!dot || member_type(t, p)) {
            return *p ? put_leaf(obj, p, member_type(t, p), it, errp)
                      : error_set(errp, "Invalid parameter '%s'", it->key);
        }
        if (dot == p || depth == MAX_SEGMENTS) {
            return error_set(errp, "Invalid parameter '%.256s'", it->key);
        }
        name = q_strndup(p, dot - p);
        if (!json_object_object_get_ex(obj, name, &next)) {
            next = json_object_new_object();
            qjson_add(obj, name, next);
        }
        t = member_type(t, name);
        free(name);
        if (!json_object_is_type(next, json_type_object)) {
            return fail_inconsistent(it->key, dot - it->key, errp);
        }
        obj = next;
        p = dot + 1;
    }
}

static struct json_object *make_lists(struct json_object *v, const char *path, Error **errp);

/* The list that obj with n index names means; takes nothing. */
static struct json_object *list_of(struct json_object *obj, int n, const char *path, Error **errp)
{
    struct json_object *list = json_object_new_array();

    for (int i = 0; i < n; i++) {
        struct json_object *e;
        char key[16];

        snprintf(key, sizeof(key), "%d", i);
        if (!json_object_object_get_ex(obj, key, &e)) {
            json_object_put(list);
            error_set(errp, "Parameter '%s.%d' missing", path, i);
            return NULL;
        }
        json_object_array_add(list, json_object_get(e));
    }
    return list;
}

static bool make_member_lists(struct json_object *obj, const char *path, Error **errp)
{
    json_object_object_foreach(obj, key, member) {
        QBuf b = { 0 };
        struct json_object *made;

        if (!json_object_is_type(member, json_type_object)) {
            continue;
        }
        qbuf_printf(&b, "%s%s%s", path, *path ? "." : "", key);
        made = make_lists(member, b.data, errp);
        qbuf_finish(&b);
        if (!made) {
            return false;
        }
        if (made != member) {
            qjson_add(obj, key, made); /* replaces a value, keeps the place */
        } else {
            json_object_put(made);
        }
    }
    return true;
}

/* v with objects of indices turned into lists, counted for the caller; NULL: *errp is set. */
static struct json_object *make_lists(struct json_object *v, const char *path, Error **errp)
{
    int n = 0, indices = 0;

    if (!make_member_lists(v, path, errp)) {
        return NULL;
    }
    json_object_object_foreach(v, key, member) {
        n++;
        indices += is_index(key);
        (void)member;
    }
    if (!indices || !*path) {
        return json_object_get(v);
    }
    if (indices != n) {
        fail_inconsistent(path, strlen(path), errp);
        return NULL;
    }
    return list_of(v, n, path, errp);
}

struct json_object *qkeyval_to_json(const QKeyval *kv, const QType *t, Error **errp)
{
    struct json_object *obj = json_object_new_object(), *made;
    bool any_dot = false;

    for (size_t i = 0; i < kv->len; i++) {
        any_dot |= kv->items[i].value && strchr(kv->items[i].key, '.');
        if (!put_item(obj, t, &kv->items[i], errp)) {
            json_object_put(obj);
            return NULL;
        }
    }
    if (!any_dot) {
        return obj;
    }
    made = make_lists(obj, "", errp);
    json_object_put(obj);
    return made;
}

bool qkeyval_is_text(const QKeyval *kv)
{
    bool text = kv->len == 0;

    for (size_t i = 0; i < kv->len; i++) {
        text |= kv->items[i].value != NULL;
    }
    return text;
}

bool qkeyval_read(const QKeyval *kv, const QType *t, void *out, const QRefResolver *refs, Error **errp)
{
    struct json_object *j = qkeyval_to_json(kv, t, errp);
    bool ok;

    if (!j) {
        return false;
    }
    ok = (qkeyval_is_text(kv) ? qvalue_from_text : qvalue_from_json)(t, j, out, refs, errp);
    json_object_put(j);
    return ok;
}

/* ---- back to text ---- */

static void write_text(QBuf *out, const char *key, const char *value)
{
    qbuf_printf(out, "%s%s=", out->len ? "," : "", key);
    for (; *value; value++) {
        qbuf_str(out, *value == ',' ? ",," : (char[]){ *value, 0 });
    }
}

static void write_json(QBuf *out, const char *key, struct json_object *v);

static void write_nested(QBuf *out, const char *key, const char *name, struct json_object *v)
{
    QBuf b = { 0 };

    qbuf_printf(&b, "%s.%s", key, name);
    write_json(out, b.data, v);
    qbuf_finish(&b);
}

static void write_json(QBuf *out, const char *key, struct json_object *v)
{
    size_t n = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : 0;
    char index[24], *text;

    switch (json_object_get_type(v)) {
    case json_type_object: {
        json_object_object_foreach(v, name, member) {
            write_nested(out, key, name, member);
        }
        break;
    }
    case json_type_array:
        for (size_t i = 0; i < n; i++) {
            snprintf(index, sizeof(index), "%zu", i);
            write_nested(out, key, index, json_object_array_get_idx(v, i));
        }
        break;
    case json_type_string:
        write_text(out, key, json_object_get_string(v));
        break;
    case json_type_boolean:
        write_text(out, key, json_object_get_boolean(v) ? "on" : "off");
        break;
    default:
        text = v ? qjson_text(v, false) : q_strdup("");
        write_text(out, key, text);
        free(text);
    }
}

void qkeyval_write(const QKeyval *kv, QBuf *out)
{
    QBuf b = { 0 };

    for (size_t i = 0; i < kv->len; i++) {
        if (kv->items[i].value) {
            write_text(&b, kv->items[i].key, kv->items[i].value);
        } else {
            write_json(&b, kv->items[i].key, kv->items[i].json);
        }
    }
    qbuf_add(out, b.data, b.len);
    qbuf_finish(&b);
}
