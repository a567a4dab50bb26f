/* From the words of a line to the arguments of a command: see monitor/hmp.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/hmp.h"
#include "qapi/buf.h"
#include "qapi/json.h"
#include "qapi/keyval.h"

/* One NAME:KIND of a command. */
typedef struct {
    const char *name;
    int name_len;
    char kind, flag; /* kind '-': flag is its letter */
    bool optional;
    bool takes_word; /* a flag: -x WORD */
} Arg;

/* The Arg at *spec, which is moved behind it; false: the end. */
static bool next_arg(const char **spec, Arg *out)
{
    const char *p = *spec, *colon;

    while (p && *p == ' ') {
        p++;
    }
    if (!p || !*p) {
        return false;
    }
    colon = strchr(p, ':');
    *out = (Arg){ .name = p, .name_len = (int)(colon - p), .kind = colon[1] };
    p = colon + 2;
    if (out->kind == '-') {
        out->flag = *p++;
        out->optional = true;
        out->takes_word = *p == 's';
        p += out->takes_word;
    }
    if (*p == '?') {
        out->optional = true;
        p++;
    }
    *spec = p;
    return true;
}

static void blanks(const char **p)
{
    while (isspace((unsigned char)**p)) {
        (*p)++;
    }
}

/* A word or a quoted string; false with errp set. */
static bool word(const char **p, QBuf *out, Error **errp)
{
    static const char letters[] = "nrt\"'\\", values[] = "\n\r\t\"'\\";

    if (**p != '"') {
        while (**p && !isspace((unsigned char)**p)) {
            qbuf_char(out, *(*p)++);
        }
        return true;
    }
    for ((*p)++; **p && **p != '"'; (*p)++) {
        const char *l;

        if (**p != '\\') {
            qbuf_char(out, **p);
            continue;
        }
        l = (*p)[1] ? strchr(letters, (*p)[1]) : NULL;
        if (!l) {
            return error_set(errp, "unsupported escape code: '\\%c'", (*p)[1]);
        }
        qbuf_char(out, values[l - letters]);
        (*p)++;
    }
    if (**p != '"') {
        return error_set(errp, "unterminated string");
    }
    (*p)++;
    return true;
}

static void add(struct json_object *args, const Arg *a, struct json_object *value)
{
    char *name = q_strndup(a->name, a->name_len);

    qjson_add(args, name, value);
    free(name);
}

static bool take_word(struct json_object *args, const Arg *a, const char **p, Error **errp)
{
    QBuf b = { 0 };
    bool ok;

    if (a->kind == 'S') {
        qbuf_str(&b, *p);
        *p += strlen(*p);
        ok = true;
    } else {
        ok = word(p, &b, errp);
    }
    if (ok) {
        add(args, a, json_object_new_string(b.data ? b.data : ""));
    }
    qbuf_finish(&b);
    return ok;
}

static bool take_size(struct json_object *args, const Arg *a, const char **p, Error **errp)
{
    QBuf b = { 0 };
    uint64_t n;
    bool ok = word(p, &b, errp);

    if (ok && !qsize_parse(b.data, a->kind == 'M' ? 20 : 0, &n)) {
        ok = error_set(errp, "invalid size");
    }
    if (ok) {
        add(args, a, json_object_new_uint64(n));
    }
    qbuf_finish(&b);
    return ok;
}

static bool take_bool(struct json_object *args, const Arg *a, const char **p, Error **errp)
{
    QBuf b = { 0 };
    bool ok = word(p, &b, errp), value = false;

    if (ok && (!b.data || (strcmp(b.data, "on") && strcmp(b.data, "off")))) {
        ok = error_set(errp, "Expected 'on' or 'off'");
    }
    if (ok) {
        value = b.data[1] == 'n';
        add(args, a, json_object_new_boolean(value));
    }
    qbuf_finish(&b);
    return ok;
}

/* The members themselves: {"driver": ..., ...}. */
static bool take_keyval(struct json_object *args, const HmpEntry *e, const char **p, Error **errp)
{
    const QType *t = e->command ? e->command->args : e->hmp->args_type;
    QKeyval kv = { 0 };
    struct json_object *given = NULL;
    const char *implied = t && t->num_members ? t->members[0].item.name : NULL;

    if (qkeyval_parse(&kv, *p, implied, t, *p, errp)) {
        given = qkeyval_to_json(&kv, t, errp);
    }
    *p += strlen(*p);
    qkeyval_finish(&kv);
    if (!given) {
        return false;
    }
    json_object_object_foreach(given, key, value) {
        qjson_add(args, key, json_object_get(value));
    }
    json_object_put(given);
    return true;
}

static bool take_expr(QCallContext *cc, struct json_object *args, const Arg *a, const char **p, Error **errp)
{
    int64_t value;

    if (!hmp_expr(cc, p, &value, errp)) {
        return false;
    }
    add(args, a, json_object_new_int64(value));
    return true;
}

static bool missing(const Arg *a, Error **errp)
{
    error_set(errp, a->kind == 'F' ? "filename expected" : a->kind == 'i' || a->kind == 'l' ? "unexpected end of expression"
                                                                                            : "string expected");
    return error_hint(errp, "'%.*s' is missing", a->name_len, a->name);
}

static bool take(QCallContext *cc, struct json_object *args, const HmpEntry *e, const Arg *a, const char **p, Error **errp)
{
    switch (a->kind) {
    case 's':
    case 'S':
    case 'F':
        return take_word(args, a, p, errp);
    case 'M':
    case 'o':
        return take_size(args, a, p, errp);
    case 'b':
        return take_bool(args, a, p, errp);
    case 'O':
        return take_keyval(args, e, p, errp);
    }
    return take_expr(cc, args, a, p, errp);
}

/* -x: any of the flags that start at spec; spec ends behind them. */
static bool take_flags(struct json_object *args, const char **spec, const char **p, Error **errp)
{
    Arg flags[16];
    size_t n = 0;
    const char *before = *spec;

    while (n < 16 && next_arg(spec, &flags[n]) && flags[n].kind == '-') {
        before = *spec;
        n++;
    }
    *spec = before;
    for (blanks(p); (*p)[0] == '-' && isalpha((unsigned char)(*p)[1]) && (!(*p)[2] || isspace((unsigned char)(*p)[2]));
         blanks(p)) {
        size_t i = 0;

        while (i < n && flags[i].flag != (*p)[1]) {
            i++;
        }
        if (i == n) {
            return error_set(errp, "unsupported option -%c", (*p)[1]);
        }
        *p += 2;
        blanks(p);
        if (!flags[i].takes_word) {
            add(args, &flags[i], json_object_new_boolean(true));
        } else if (!take_word(args, &flags[i], p, errp)) {
            return false;
        }
    }
    return true;
}

static bool take_format(struct json_object *args, const Arg *a, const char **p, Error **errp)
{
    HmpFormat f = { .count = 1 };
    char *text;
    size_t n;
    bool ok;

    if (**p != '/') {
        return true;
    }
    n = strcspn(*p, " \t");
    text = q_strndup(*p, n);
    ok = hmp_format(text, &f, errp);
    free(text);
    if (!ok) {
        return false;
    }
    add(args, a, json_object_new_string_len(*p, (int)n));
    *p += n;
    return true;
}

static bool parse(QCallContext *cc, const HmpEntry *e, const char *p, struct json_object *args, Error **errp)
{
    const char *spec = e->args, *before = spec;
    Arg a;
    bool ok = true;

    for (; ok && next_arg(&spec, &a); before = spec) {
        blanks(&p);
        if (a.kind == '-') {
            spec = before;
            ok = take_flags(args, &spec, &p, errp);
        } else if (a.kind == '/') {
            ok = take_format(args, &a, &p, errp);
        } else if (!*p) {
            ok = a.optional ? true : missing(&a, errp);
        } else {
            ok = take(cc, args, e, &a, &p, errp);
        }
    }
    blanks(&p);
    return ok && *p ? error_set(errp, "extraneous characters at the end of line") : ok;
}

struct json_object *hmp_parse_args(QCallContext *cc, const HmpEntry *e, const char *p, Error **errp)
{
    struct json_object *args = json_object_new_object();

    if (!parse(cc, e, p, args, errp)) {
        json_object_put(args);
        return NULL;
    }
    return args;
}

void hmp_args_text(const HmpEntry *e, QBuf *out)
{
    const char *spec = e->args;
    Arg a;

    while (next_arg(&spec, &a)) {
        if (a.kind == '-') {
            qbuf_printf(out, a.takes_word ? " [-%c %.*s]" : " [-%c]", a.flag, a.name_len, a.name);
        } else {
            qbuf_printf(out, a.optional && a.kind != '/' ? " [%s%.*s]" : " %s%.*s", a.kind == '/' ? "/" : "", a.name_len, a.name);
        }
    }
}
