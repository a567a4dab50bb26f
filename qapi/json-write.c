/* Writing JSON: see qapi/json.h. */
#include "qapi/json.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    QBuf *b;
    const char *newline; /* NULL: all on one line */
    int indent;
} Writer;

static void write_value(Writer *w, struct json_object *v);

/* The character at *p, which is moved on; U+FFFD for bytes that are no UTF-8. */
static unsigned next_char(const unsigned char **p, const unsigned char *end)
{
    unsigned c = *(*p)++;
    unsigned more = c < 0x80 ? 0 : c < 0xc2 ? 9 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : c < 0xf5 ? 3 : 9;
    unsigned v = c & (0x3f >> more);

    if (!more) {
        return c;
    }
    if (more == 9 || (size_t)(end - *p) < more) {
        return 0xfffd;
    }
    for (unsigned i = 0; i < more; i++) {
        if (((*p)[i] & 0xc0) != 0x80) {
            return 0xfffd;
        }
        v = v << 6 | ((*p)[i] & 0x3f);
    }
    if (v < (more == 2 ? 0x800 : more == 3 ? 0x10000 : 0x80) || v > 0x10ffff || v >> 11 == 0x1b) {
        return 0xfffd;
    }
    *p += more;
    return v;
}

/* Characters that are written as they are. */
static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void write_string(QBuf *b, const char *s, size_t len)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const unsigned char *p = (const unsigned char *)s, *end = p + len;

    qbuf_char(b, '"');
    while (p < end) {
        const unsigned char *run = p;
        const char *at;
        unsigned c;

        while (p < end && is_plain(*p)) {
            p++;
        }
        qbuf_add(b, run, p - run);
        if (p == end) {
            break;
        }
        c = next_char(&p, end);
        at = c && c < 0x80 ? strchr(from, c) : NULL;
        if (at) {
            qbuf_char(b, '\\');
            qbuf_char(b, to[at - from]);
        } else if (c < 0x10000) {
            qbuf_printf(b, "\\u%04X", c);
        } else {
            qbuf_printf(b, "\\u%04X\\u%04X", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + (c & 0x3ff));
        }
    }
    qbuf_char(b, '"');
}

void qjson_write_string(QBuf *b, const char *s)
{
    write_string(b, s, strlen(s));
}

/* Seventeen digits give every double back; the user interface may have set a decimal comma. */
static void write_double(QBuf *b, double d)
{
    locale_t c, old;

    if (!isfinite(d)) { /* JSON has no way to write it */
        qbuf_str(b, "null");
        return;
    }
    c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    old = uselocale(c);
    qbuf_printf(b, "%.17g", d);
    uselocale(old);
    freelocale(c);
}

static void write_break(Writer *w)
{
    if (w->newline) {
        qbuf_str(w->b, w->newline);
        for (int i = 0; i < w->indent; i++) {
            qbuf_str(w->b, "    ");
        }
    }
}

static void write_separator(Writer *w, bool first)
{
    if (!first) {
        qbuf_str(w->b, w->newline ? "," : ", ");
    }
    write_break(w);
}

static void write_object(Writer *w, struct json_object *v)
{
    bool first = true;

    qbuf_char(w->b, '{');
    w->indent++;
    json_object_object_foreach(v, key, member) {
        write_separator(w, first);
        write_string(w->b, key, strlen(key));
        qbuf_str(w->b, ": ");
        write_value(w, member);
        first = false;
    }
    w->indent--;
    write_break(w);
    qbuf_char(w->b, '}');
}

static void write_list(Writer *w, struct json_object *v)
{
    size_t n = json_object_array_length(v);

    qbuf_char(w->b, '[');
    w->indent++;
    for (size_t i = 0; i < n; i++) {
        write_separator(w, i == 0);
        write_value(w, json_object_array_get_idx(v, i));
    }
    w->indent--;
    write_break(w);
    qbuf_char(w->b, ']');
}

static void write_value(Writer *w, struct json_object *v)
{
    switch (json_object_get_type(v)) {
    case json_type_null:
        qbuf_str(w->b, "null");
        break;
    case json_type_boolean:
        qbuf_str(w->b, json_object_get_boolean(v) ? "true" : "false");
        break;
    case json_type_int:
        if (qjson_is_negative(v)) {
            qbuf_printf(w->b, "%lld", (long long)json_object_get_int64(v));
        } else {
            qbuf_printf(w->b, "%llu", (unsigned long long)json_object_get_uint64(v));
        }
        break;
    case json_type_double:
        write_double(w->b, json_object_get_double(v));
        break;
    case json_type_string:
        write_string(w->b, json_object_get_string(v), json_object_get_string_len(v));
        break;
    case json_type_object:
        write_object(w, v);
        break;
    case json_type_array:
        write_list(w, v);
        break;
    }
}

void qjson_write(QBuf *b, struct json_object *v, bool pretty, bool crlf)
{
    Writer w = { b, pretty ? crlf ? "\r\n" : "\n" : NULL, 0 };

    write_value(&w, v);
}

char *qjson_text(struct json_object *v, bool pretty)
{
    QBuf b = { 0 };

    qjson_write(&b, v, pretty, false);
    return qbuf_steal(&b);
}

bool qjson_is_negative(struct json_object *v)
{
    return json_object_get_int64(v) < 0;
}

struct json_object *qjson_add(struct json_object *obj, const char *key, struct json_object *v)
{
    if (json_object_object_add(obj, key, v) < 0) {
        abort();
    }
    return obj;
}

static bool equal_objects(struct json_object *a, struct json_object *b)
{
    if (json_object_object_length(a) != json_object_object_length(b)) {
        return false;
    }
    json_object_object_foreach(a, key, mine) {
        struct json_object *theirs;
        if (!json_object_object_get_ex(b, key, &theirs) || !qjson_equal(mine, theirs)) {
            return false;
        }
    }
    return true;
}

static bool equal_lists(struct json_object *a, struct json_object *b)
{
    size_t n = json_object_array_length(a);

    if (n != json_object_array_length(b)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (!qjson_equal(json_object_array_get_idx(a, i), json_object_array_get_idx(b, i))) {
            return false;
        }
    }
    return true;
}

bool qjson_equal(struct json_object *a, struct json_object *b)
{
    enum json_type type = json_object_get_type(a);

    if (type != json_object_get_type(b)) {
        return false;
    }
    switch (type) {
    case json_type_object:
        return equal_objects(a, b);
    case json_type_array:
        return equal_lists(a, b);
    case json_type_int:
        return qjson_is_negative(a) == qjson_is_negative(b) &&
               (qjson_is_negative(a) ? json_object_get_int64(a) == json_object_get_int64(b)
                                     : json_object_get_uint64(a) == json_object_get_uint64(b));
    case json_type_double:
        return json_object_get_double(a) == json_object_get_double(b);
    case json_type_string:
        return json_object_get_string_len(a) == json_object_get_string_len(b) &&
               !memcmp(json_object_get_string(a), json_object_get_string(b),
                       json_object_get_string_len(a));
    case json_type_boolean:
        return json_object_get_boolean(a) == json_object_get_boolean(b);
    case json_type_null:
        return true;
    }
    return false;
}
