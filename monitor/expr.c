/* Integer expressions and formats of HMP: see monitor/hmp.h. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "accel/accel.h"
#include "monitor/hmp.h"

enum { DEPTH_MAX = 100 };

typedef struct {
    QCallContext *cc;
    const char *p;
    unsigned depth;
    Error **errp;
} Expr;

static bool sum(Expr *e, int64_t *out);

static void blanks(Expr *e)
{
    while (isspace((unsigned char)*e->p)) {
        e->p++;
    }
}

static bool number(Expr *e, int64_t *out)
{
    char *end;

    errno = 0;
    *out = (int64_t)strtoull(e->p, &end, 0);
    if (errno == ERANGE) {
        return error_set(e->errp, "number too large");
    }
    if (end == e->p) {
        return *e->p ? error_set(e->errp, "invalid char '%c' in expression", *e->p)
                     : error_set(e->errp, "unexpected end of expression");
    }
    e->p = end;
    return true;
}

static bool character(Expr *e, int64_t *out)
{
    static const char letters[] = "ntr\\'", values[] = "\n\t\r\\'";
    char c = e->p[1];
    size_t n = 2;

    if (c == '\\') {
        const char *l = e->p[2] ? strchr(letters, e->p[2]) : NULL;
        c = l ? values[l - letters] : e->p[2];
        n = 3;
    }
    if (!c) {
        return error_set(e->errp, "character constant expected");
    }
    if (e->p[n] != '\'') {
        return error_set(e->errp, "missing terminating ' character");
    }
    *out = (unsigned char)c;
    e->p += n + 1;
    return true;
}

static bool reg(Expr *e, int64_t *out)
{
    size_t n = strspn(++e->p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._");
    char name[64];
    uint64_t value;
    Vcpu *cpu = monitor_cpu(e->cc, e->errp);

    if (!cpu) {
        return false;
    }
    if (!n || n >= sizeof(name)) {
        return error_set(e->errp, "unknown register");
    }
    memcpy(name, e->p, n);
    name[n] = 0;
    if (!cpu->arch->get_register || !cpu->arch->get_register(cpu, name, &value)) {
        return error_set(e->errp, "unknown register");
    }
    *out = (int64_t)value;
    e->p += n;
    return true;
}

static bool unary(Expr *e, int64_t *out)
{
    char c;
    bool ok;

    blanks(e);
    c = *e->p;
    if (c == '\'') {
        return character(e, out);
    }
    if (c == '$') {
        return reg(e, out);
    }
    if (!c || !strchr("+-~(", c)) {
        return number(e, out);
    }
    if (++e->depth > DEPTH_MAX) {
        return error_set(e->errp, "expression is nested too deeply");
    }
    e->p++;
    ok = c == '(' ? sum(e, out) : unary(e, out);
    if (!ok) {
        return false;
    }
    blanks(e);
    if (c == '(' && *e->p != ')') {
        return error_set(e->errp, "')' expected");
    }
    e->p += c == '(';
    *out = c == '-' ? (int64_t)-(uint64_t)*out : c == '~' ? ~*out : *out;
    e->depth--;
    return true;
}

static bool product(Expr *e, int64_t *out)
{
    int64_t right;

    if (!unary(e, out)) {
        return false;
    }
    for (blanks(e); *e->p && strchr("*/%", *e->p); blanks(e)) {
        char op = *e->p++;

        if (!unary(e, &right)) {
            return false;
        }
        if (op == '*') {
            *out = (int64_t)((uint64_t)*out * (uint64_t)right);
        } else if (!right) {
            return error_set(e->errp, "division by zero");
        } else if (right == -1) {
            *out = op == '/' ? (int64_t)-(uint64_t)*out : 0;
        } else {
            *out = op == '/' ? *out / right : *out % right;
        }
    }
    return true;
}

static bool logic(Expr *e, int64_t *out)
{
    int64_t right;

    if (!product(e, out)) {
        return false;
    }
    for (blanks(e); *e->p && strchr("&|^", *e->p); blanks(e)) {
        char op = *e->p++;

        if (!product(e, &right)) {
            return false;
        }
        *out = op == '&' ? *out & right : op == '|' ? *out | right : *out ^ right;
    }
    return true;
}

static bool sum(Expr *e, int64_t *out)
{
    int64_t right;

    if (!logic(e, out)) {
        return false;
    }
    for (blanks(e); *e->p == '+' || *e->p == '-'; blanks(e)) {
        char op = *e->p++;

        if (!logic(e, &right)) {
            return false;
        }
        *out = (int64_t)(op == '+' ? (uint64_t)*out + (uint64_t)right : (uint64_t)*out - (uint64_t)right);
    }
    return true;
}

bool hmp_expr(QCallContext *cc, const char **p, int64_t *out, Error **errp)
{
    Expr e = { .cc = cc, .p = *p, .errp = errp };
    int64_t value;

    if (!sum(&e, &value)) {
        return false;
    }
    *p = e.p;
    *out = value;
    return true;
}

/* ---- Formats ---- */

bool hmp_format(const char *text, HmpFormat *f, Error **errp)
{
    static const char sizes[] = "bhw?g"; /* 1 2 4 - 8, by log2 but for g */
    HmpFormat got = *f;
    bool sized = false;

    got.count = 1;
    text += *text == '/';
    if (isdigit((unsigned char)*text)) {
        got.count = 0;
        for (; isdigit((unsigned char)*text); text++) {
            if (got.count > 1000000) {
                return error_set(errp, "the count is too large");
            }
            got.count = got.count * 10 + *text - '0';
        }
    }
    for (; *text; text++) {
        const char *size = strchr(sizes, *text);

        if (strchr("xducoi", *text)) {
            got.format = *text;
        } else if (size && *text != '?') {
            got.size = *text == 'g' ? 8 : 1 << (size - sizes);
            sized = true;
        } else {
            return error_set(errp, "invalid char in format: '%c'", *text);
        }
    }
    if (got.format == 'c' && !sized) {
        got.size = 1;
    }
    *f = got;
    return true;
}

static void add_char(QBuf *out, uint64_t v)
{
    switch (v) {
    case '\n':
        qbuf_str(out, "'\\n'");
        break;
    case '\r':
        qbuf_str(out, "'\\r'");
        break;
    case '\'':
        qbuf_str(out, "'\\''");
        break;
    case '\\':
        qbuf_str(out, "'\\\\'");
        break;
    default:
        qbuf_printf(out, v >= 32 && v < 127 ? "'%c'" : "'\\x%02x'", (unsigned)v);
    }
}

void hmp_format_value(QBuf *out, char format, int size, uint64_t v, bool columns)
{
    static const struct {
        char format;
        uint8_t width[4]; /* of values of 1, 2, 4, 8 bytes */
    } widths[] = { { 'o', { 3, 6, 11, 22 } }, { 'x', { 2, 4, 8, 16 } }, { 'u', { 3, 5, 10, 20 } }, { 'd', { 3, 5, 10, 20 } } };
    int index = size == 8 ? 3 : size / 2, width = 0;

    for (size_t i = 0; columns && i < sizeof(widths) / sizeof(*widths); i++) {
        width = widths[i].format == format ? widths[i].width[index] : width;
    }
    switch (format) {
    case 'o':
        qbuf_printf(out, "%#*llo", width, (unsigned long long)v);
        break;
    case 'x':
        qbuf_printf(out, "0x%0*llx", width, (unsigned long long)v);
        break;
    case 'u':
        qbuf_printf(out, "%*llu", width, (unsigned long long)v);
        break;
    case 'd': /* of less than 8 bytes: as they are, without a sign */
        qbuf_printf(out, "%*lld", width, (long long)v);
        break;
    default:
        add_char(out, v);
    }
}
