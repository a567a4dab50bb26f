/* Growing buffers and allocation: see qapi/buf.h. */
#include "qapi/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *q_calloc(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size ? size : 1);

    if (!p) {
        abort();
    }
    return p;
}

void *q_realloc(void *p, size_t n, size_t size)
{
    p = reallocarray(p, n ? n : 1, size ? size : 1);
    if (!p) {
        abort();
    }
    return p;
}

char *q_strndup(const char *s, size_t n)
{
    char *copy = q_calloc(n + 1, 1);

    memcpy(copy, s, n);
    return copy;
}

char *q_strdup(const char *s)
{
    return q_strndup(s, strlen(s));
}

static void reserve(QBuf *b, size_t more)
{
    if (b->cap - b->len <= more) {
        b->cap = (b->len + more + 1) * 3 / 2 + 32;
        b->data = q_realloc(b->data, b->cap, 1);
    }
}

void qbuf_add(QBuf *b, const void *bytes, size_t n)
{
    reserve(b, n);
    if (n) {
        memcpy(b->data + b->len, bytes, n);
    }
    b->len += n;
    b->data[b->len] = 0;
}

void qbuf_str(QBuf *b, const char *s)
{
    qbuf_add(b, s, strlen(s));
}

void qbuf_char(QBuf *b, char c)
{
    qbuf_add(b, &c, 1);
}

void qbuf_printf(QBuf *b, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) {
        abort();
    }
    reserve(b, n);
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, n + 1, fmt, ap);
    va_end(ap);
    b->len += n;
}

char *qbuf_steal(QBuf *b)
{
    char *s = b->data ? b->data : q_strdup("");

    *b = (QBuf){ 0 };
    return s;
}

void qbuf_finish(QBuf *b)
{
    free(b->data);
    *b = (QBuf){ 0 };
}
