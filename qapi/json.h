/*
 * JSON text to and from json-c values. RFC 8259, plus what QMP clients may send since ever:
 * strings in single quotes with \' as an escape.
 *
 * A json-c value of NULL is JSON's null. Integers keep the full range of int64 and uint64 (what fits
 * neither becomes a double); a number beyond double is refused, so that no "inf" is ever printed.
 * Text is UTF-8: overlong forms, surrogates and lone \uD800 are refused; member names hold no NUL.
 */
#ifndef QAPI_JSON_H
#define QAPI_JSON_H

#include <json-c/json.h>

#include "qapi/buf.h"
#include "util/error.h"

enum {
    QJSON_MAX_DEPTH = 1024,     /* of brackets */
    QJSON_MAX_SIZE = 64 << 20,  /* bytes of one value */
    QJSON_MAX_TOKENS = 2 << 20, /* of one value in a stream: each costs far more memory than its byte */
};

/* Parses the whole of text as one value. On success *out is owned (NULL is JSON's null). */
bool qjson_parse(const char *text, size_t len, struct json_object **out, Error **errp);

/*
 * A stream of values, cut anywhere. Each value is given to emit as it completes; a value that
 * is wrong is given as an error, and reading goes on after it (after the next newline when a limit
 * was passed). Exactly one of them is given: err NULL says value (owned, may be NULL for null).
 * emit must not feed or free its parser.
 */
typedef void QJsonEmit(void *opaque, struct json_object *value, Error *err);

typedef struct QJsonParser QJsonParser;

QJsonParser *qjson_parser_new(QJsonEmit *emit, void *opaque);
void qjson_parser_feed(QJsonParser *p, const char *data, size_t len);
/* The stream has ended: a number or word at its end is complete, anything half is an error. */
void qjson_parser_flush(QJsonParser *p);
void qjson_parser_free(QJsonParser *p);

/*
 * Appends v as text: on one line, with ", " and ": "; or pretty: indented by four spaces, with
 * empty lists and objects broken like others, as QMP's pretty mode has it. Only ASCII is written.
 * No newline at the end. crlf ends the lines of pretty text with \r\n.
 */
void qjson_write(QBuf *b, struct json_object *v, bool pretty, bool crlf);
char *qjson_text(struct json_object *v, bool pretty);
void qjson_write_string(QBuf *b, const char *s); /* one string, with its quotes */

/* The integer v, by whether it is negative: exactly one of them says its value. v is an int. */
bool qjson_is_negative(struct json_object *v);

/* Adds v (owned) under key and returns obj, so that building reads like the text. */
struct json_object *qjson_add(struct json_object *obj, const char *key, struct json_object *v);

/* Deep equality; numbers by value and kind (1 and 1.0 differ), members in any order. */
bool qjson_equal(struct json_object *a, struct json_object *b);

#endif
