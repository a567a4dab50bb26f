/*
 * Reading JSON (RFC 8259): see qapi/json.h. Error texts are those QMP clients know.
 *
 * Two layers: the framer (end of file) finds where a value ends without understanding it, so that
 * bytes may come in any portions; the parser then reads a complete value.
 */
#include "qapi/json.h"

#include <ctype.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *p, *end;
    int depth;
} Text;

static bool parse_value(Text *t, struct json_object **out, Error **errp);

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_space(Text *t)
{
    while (t->p < t->end && is_space(*t->p)) {
        t->p++;
    }
}

static int peek(const Text *t)
{
    return t->p < t->end ? (unsigned char)*t->p : -1;
}

/* Shows at most 40 bytes, and nothing that would break a terminal. */
static bool stray(const char *p, const char *end, Error **errp)
{
    char shown[48];
    size_t n = 0;

    while (p < end && n < 40) {
        unsigned char c = *p++;
        shown[n++] = c >= 0x20 && c < 0x7f ? c : '?';
    }
    shown[n] = 0;
    return error_set(errp, "JSON parse error, stray '%s'", shown);
}

/* Bytes of the UTF-8 sequence at p (Unicode 15, table 3-7), 0 when there is none. */
static unsigned utf8_len(const unsigned char *p, const unsigned char *end)
{
    unsigned c = p[0];
    unsigned n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

    if (!n || (size_t)(end - p) < n) {
        return 0;
    }
    for (unsigned i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f) ||
        (c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return n;
}

static void add_utf8(QBuf *b, unsigned c)
{
    if (c < 0x80) {
        qbuf_char(b, c);
    } else if (c < 0x800) {
        qbuf_char(b, 0xc0 | c >> 6);
        qbuf_char(b, 0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        qbuf_char(b, 0xe0 | c >> 12);
        qbuf_char(b, 0x80 | (c >> 6 & 0x3f));
        qbuf_char(b, 0x80 | (c & 0x3f));
    } else {
        qbuf_char(b, 0xf0 | c >> 18);
        qbuf_char(b, 0x80 | (c >> 12 & 0x3f));
        qbuf_char(b, 0x80 | (c >> 6 & 0x3f));
        qbuf_char(b, 0x80 | (c & 0x3f));
    }
}

static int hex4(const Text *t)
{
    int v = 0;

    if (t->end - t->p < 4) {
        return -1;
    }
    for (int i = 0; i < 4; i++) {
        int c = (unsigned char)t->p[i];
        if (!isxdigit(c)) {
            return -1;
        }
        v = v << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

/* After "\u": RFC 8259, 7; a pair of surrogates is one character. */
static bool parse_unicode_escape(Text *t, QBuf *b, Error **errp)
{
    int c = hex4(t), low = -1;

    if (c < 0) {
        return error_set(errp, "JSON parse error, invalid hex escape in string");
    }
    t->p += 4;
    if (c >= 0xd800 && c < 0xdc00 && t->end - t->p >= 6 && t->p[0] == '\\' && t->p[1] == 'u') {
        Text second = { t->p + 2, t->end, 0 };
        low = hex4(&second);
    }
    if (low >= 0xdc00 && low < 0xe000) {
        t->p += 6;
        add_utf8(b, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
    } else if (c >= 0xd800 && c < 0xe000) {
        return error_set(errp, "JSON parse error, \\u%04x is not a valid Unicode character", c);
    } else {
        add_utf8(b, c);
    }
    return true;
}

static bool parse_escape(Text *t, QBuf *b, Error **errp)
{
    static const char from[] = "\"'\\/bfnrt", to[] = "\"'\\/\b\f\n\r\t";
    int c = peek(t);
    const char *at = c > 0 ? strchr(from, c) : NULL;

    t->p++;
    if (at) {
        qbuf_char(b, to[at - from]);
        return true;
    }
    if (c == 'u') {
        return parse_unicode_escape(t, b, errp);
    }
    return error_set(errp, "JSON parse error, invalid escape sequence in string");
}

/* A string in either quotes; b gets its bytes. */
static bool parse_string(Text *t, QBuf *b, Error **errp)
{
    const char *start = t->p;
    char quote = *t->p++;

    qbuf_add(b, "", 0);
    while (t->p < t->end) {
        unsigned char c = *t->p;
        unsigned n;

        if (c == (unsigned char)quote) {
            t->p++;
            return true;
        }
        if (c < 0x20) {
            break;
        }
        if (c == '\\') {
            t->p++;
            if (!parse_escape(t, b, errp)) {
                return false;
            }
            continue;
        }
        n = utf8_len((const unsigned char *)t->p, (const unsigned char *)t->end);
        if (!n) {
            return error_set(errp, "JSON parse error, invalid UTF-8 sequence in string");
        }
        qbuf_add(b, t->p, n);
        t->p += n;
    }
    return stray(start, t->end, errp);
}

static double c_strtod(const char *s)
{
    locale_t c = newlocale(LC_ALL_MASK, "C", (locale_t)0); /* glibc: no allocation for "C" */
    double d = strtod_l(s, NULL, c);

    freelocale(c);
    return d;
}

static bool number_value(const char *s, bool is_int, struct json_object **out, Error **errp)
{
    double d;

    if (is_int) {
        errno = 0;
        if (*s == '-') {
            long long i = strtoll(s, NULL, 10);
            if (!errno) {
                *out = json_object_new_int64(i);
                return true;
            }
        } else {
            unsigned long long u = strtoull(s, NULL, 10);
            if (!errno) {
                *out = u <= INT64_MAX ? json_object_new_int64(u) : json_object_new_uint64(u);
                return true;
            }
        }
    }
    d = c_strtod(s);
    if (!isfinite(d)) {
        return error_set(errp, "JSON parse error, number '%.40s' is out of range", s);
    }
    *out = json_object_new_double(d);
    return true;
}

static bool is_word(int c)
{
    return isalnum(c) || c == '_' || c == '-' || c == '+' || c == '.';
}

static const char *digits(const char *p)
{
    while (*p >= '0' && *p <= '9') {
        p++;
    }
    return p;
}

/* RFC 8259, 6. s is the word that ends the text or stands before a non-word byte. */
static bool number_syntax(const char *s, bool *is_int)
{
    const char *p = s + (*s == '-'), *q = digits(p);

    if (q == p || (*p == '0' && q > p + 1)) {
        return false;
    }
    *is_int = !*q;
    if (*q == '.') {
        p = q + 1;
        q = digits(p);
        if (q == p) {
            return false;
        }
    }
    if (*q == 'e' || *q == 'E') {
        p = q + 1;
        p += *p == '-' || *p == '+';
        q = digits(p);
        if (q == p) {
            return false;
        }
    }
    return !*q;
}

/* A number, true, false or null. */
static bool parse_word(Text *t, struct json_object **out, Error **errp)
{
    const char *start = t->p;
    bool is_int = false, ok = true;
    char *word;

    while (t->p < t->end && is_word((unsigned char)*t->p)) {
        t->p++;
    }
    word = q_strndup(start, t->p - start);
    if (!strcmp(word, "true") || !strcmp(word, "false")) {
        *out = json_object_new_boolean(*word == 't');
    } else if (!strcmp(word, "null")) {
        *out = NULL;
    } else if (isalpha((unsigned char)*word)) {
        ok = error_set(errp, "JSON parse error, invalid keyword '%.40s'", word);
    } else if (!number_syntax(word, &is_int)) {
        ok = stray(start, t->p, errp);
    } else {
        ok = number_value(word, is_int, out, errp);
    }
    free(word);
    return ok;
}

static bool parse_member(Text *t, struct json_object *obj, Error **errp)
{
    struct json_object *v = NULL;
    QBuf key = { 0 };
    bool ok = false;

    skip_space(t);
    if (peek(t) >= 0 && is_word(peek(t)) && !parse_word(t, &v, errp)) {
        return false; /* the word itself is wrong: say that */
    }
    json_object_put(v);
    v = NULL;
    if (peek(t) != '"' && peek(t) != '\'') {
        return error_set(errp, "JSON parse error, key is not a string in object");
    }
    if (!parse_string(t, &key, errp)) {
        goto out;
    }
    if (strlen(key.data) != key.len) {
        error_set(errp, "JSON parse error, \\u0000 in a member name");
        goto out;
    }
    if (json_object_object_get_ex(obj, key.data, NULL)) {
        error_set(errp, "JSON parse error, duplicate key");
        goto out;
    }
    skip_space(t);
    if (peek(t) != ':') {
        error_set(errp, "JSON parse error, missing : in object pair");
        goto out;
    }
    t->p++;
    ok = parse_value(t, &v, errp);
    if (ok) {
        json_object_object_add(obj, key.data, v);
    }
out:
    qbuf_finish(&key);
    return ok;
}

static bool parse_element(Text *t, struct json_object *list, Error **errp)
{
    struct json_object *v = NULL;

    if (!parse_value(t, &v, errp)) {
        return false;
    }
    json_object_array_add(list, v);
    return true;
}

/* An object or a list: they differ in their items and the words of an error only. */
static bool parse_items(Text *t, struct json_object *into, bool is_list, Error **errp)
{
    char close = is_list ? ']' : '}';

    t->p++;
    skip_space(t);
    if (peek(t) == close) {
        t->p++;
        return true;
    }
    while (is_list ? parse_element(t, into, errp) : parse_member(t, into, errp)) {
        skip_space(t);
        if (peek(t) == close) {
            t->p++;
            return true;
        }
        if (peek(t) != ',') {
            return error_set(errp, "JSON parse error, expected separator in %s",
                             is_list ? "list" : "dict");
        }
        t->p++;
        skip_space(t);
        if (peek(t) == close) {
            error_set(errp, "JSON parse error, expecting value");
            return error_hint(errp, "There is a comma too many before '%c'", close);
        }
    }
    return false;
}

static bool parse_nested(Text *t, struct json_object **out, Error **errp)
{
    bool is_list = *t->p == '[';
    struct json_object *v;

    if (++t->depth > QJSON_MAX_DEPTH) {
        return error_set(errp, "JSON nesting depth limit exceeded");
    }
    v = is_list ? json_object_new_array() : json_object_new_object();
    if (!parse_items(t, v, is_list, errp)) {
        json_object_put(v);
        return false;
    }
    t->depth--;
    *out = v;
    return true;
}

static bool parse_value(Text *t, struct json_object **out, Error **errp)
{
    int c;

    skip_space(t);
    c = peek(t);
    if (c == '{' || c == '[') {
        return parse_nested(t, out, errp);
    }
    if (c == '"' || c == '\'') {
        QBuf b = { 0 };
        bool ok = parse_string(t, &b, errp);
        if (ok) {
            *out = json_object_new_string_len(b.data, b.len);
        }
        qbuf_finish(&b);
        return ok;
    }
    if (c >= 0 && is_word(c)) {
        return parse_word(t, out, errp);
    }
    if (c < 0 || strchr("]},:", c)) {
        return error_set(errp, "JSON parse error, expecting value");
    }
    return stray(t->p, t->p + 1, errp);
}

bool qjson_parse(const char *text, size_t len, struct json_object **out, Error **errp)
{
    Text t = { text, text + len, 0 };
    struct json_object *v = NULL;

    if (len > QJSON_MAX_SIZE) {
        return error_set(errp, "JSON token size limit exceeded");
    }
    if (!parse_value(&t, &v, errp)) {
        return false;
    }
    skip_space(&t);
    if (t.p != t.end) {
        json_object_put(v);
        return stray(t.p, t.end, errp);
    }
    *out = v;
    return true;
}

/* ---- the framer ---- */

struct QJsonParser {
    QJsonEmit *emit;
    void *opaque;
    QBuf buf;           /* bytes of the value that is not complete yet */
    int depth;
    unsigned tokens;    /* brackets, separators and strings so far */
    char quote;         /* of the string we are in, or 0 */
    bool escaped;       /* the byte before was a backslash in a string */
    bool skip_line;     /* a limit was passed: ignore up to the newline */
};

QJsonParser *qjson_parser_new(QJsonEmit *emit, void *opaque)
{
    QJsonParser *p = q_calloc(1, sizeof(*p));

    p->emit = emit;
    p->opaque = opaque;
    return p;
}

void qjson_parser_free(QJsonParser *p)
{
    if (p) {
        qbuf_finish(&p->buf);
        free(p);
    }
}

/* Starts anew. A large buffer is given back: one big command must not cost memory for ever. */
static void restart(QJsonParser *p)
{
    if (p->buf.cap > 1 << 16) {
        qbuf_finish(&p->buf);
    }
    p->buf.len = 0;
    p->depth = 0;
    p->tokens = 0;
    p->quote = 0;
    p->escaped = false;
}

static void fail(QJsonParser *p, const char *limit)
{
    Error *err = NULL;

    if (limit) {
        error_set(&err, "JSON %s limit exceeded", limit);
        p->skip_line = true;
    } else {
        const char *from = p->buf.data + (p->buf.len > 40 ? p->buf.len - 40 : 0);
        stray(from, p->buf.data + p->buf.len, &err);
    }
    restart(p);
    p->emit(p->opaque, NULL, err);
}

static void complete(QJsonParser *p)
{
    struct json_object *v = NULL;
    Error *err = NULL;

    qjson_parse(p->buf.data, p->buf.len, &v, &err);
    restart(p);
    p->emit(p->opaque, v, err);
}

static void frame_string_byte(QJsonParser *p, unsigned char c)
{
    qbuf_char(&p->buf, c);
    if (c < 0x20) { /* so that a missing quote costs one line, not the rest of the session */
        fail(p, NULL);
    } else if (p->escaped) {
        p->escaped = false;
    } else if (c == '\\') {
        p->escaped = true;
    } else if (c == (unsigned char)p->quote) {
        p->quote = 0;
        if (!p->depth) {
            complete(p);
        }
    }
}

static void frame_byte(QJsonParser *p, unsigned char c)
{
    bool in_word = !p->depth && p->buf.len;

    if (in_word && !is_word(c)) {
        complete(p);
    }
    if (is_space(c) && !p->depth) {
        return;
    }
    qbuf_char(&p->buf, c);
    if (!is_word(c) && !is_space(c) && ++p->tokens > QJSON_MAX_TOKENS) {
        fail(p, "token count");
    } else if (c == '"' || c == '\'') {
        p->quote = c;
    } else if (c == '{' || c == '[') {
        if (++p->depth > QJSON_MAX_DEPTH) {
            fail(p, "nesting depth");
        }
    } else if (c == '}' || c == ']') {
        p->depth -= p->depth > 0;
        if (!p->depth) {
            complete(p);
        }
    } else if (!is_word(c) && !is_space(c) && (!p->depth || !strchr(":,", c) || !c)) {
        fail(p, NULL);
    }
}

void qjson_parser_feed(QJsonParser *p, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (p->skip_line) {
            p->skip_line = data[i] != '\n';
        } else if (p->buf.len >= QJSON_MAX_SIZE) {
            fail(p, "token size");
        } else if (p->quote) {
            frame_string_byte(p, data[i]);
        } else {
            frame_byte(p, data[i]);
        }
    }
}

void qjson_parser_flush(QJsonParser *p)
{
    if (p->buf.len) {
        complete(p);
    }
    p->skip_line = false;
}
