/*
 * Bytes that grow, and allocation that cannot fail.
 *
 * Running out of memory ends the program: what a client or a file can make us allocate is
 * bounded where it is read (qapi/json.h, qapi/state.h), not here. Memory comes from malloc
 * and is freed with free().
 */
#ifndef QAPI_BUF_H
#define QAPI_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

/* All zero is the empty buffer. data[len] is 0 whenever data is not NULL. */
typedef struct {
    char *data;
    size_t len, cap;
} QBuf;

void qbuf_add(QBuf *b, const void *bytes, size_t n);
void qbuf_str(QBuf *b, const char *s);
void qbuf_char(QBuf *b, char c);
void qbuf_printf(QBuf *b, const char *fmt, ...) ERROR_PRINTF(2, 3);
/* Gives the text away (never NULL) and empties b. */
char *qbuf_steal(QBuf *b);
void qbuf_finish(QBuf *b);

void *q_calloc(size_t n, size_t size); /* never NULL, also for 0 bytes */
void *q_realloc(void *p, size_t n, size_t size);
char *q_strdup(const char *s);
char *q_strndup(const char *s, size_t n);

#endif
