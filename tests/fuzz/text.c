/* Parsers of text that need nothing around them: JSON, key=value, command-line records, config files. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/json.h"
#include "qapi/keyval.h"
#include "qapi/schema.h"
#include "softmmu/system.h"
#include "tests/fuzz/fuzz.h"

/* ---- JSON: whole, in pieces, written and read again ---- */

/* Written, read, written: the same text. (Not so at first: 1e0 is written as 1, -0.0 as -0.) */
static struct json_object *again(struct json_object *v, bool pretty)
{
    char *text = qjson_text(v, pretty);
    struct json_object *read = NULL;
    bool ok = qjson_parse(text, strlen(text), &read, &error_abort);

    assert(ok);
    free(text);
    return read;
}

static void check_written(struct json_object *v)
{
    struct json_object *first = again(v, true), *second = again(first, false), *third = again(second, true);

    assert(qjson_equal(second, third));
    json_object_put(first);
    json_object_put(second);
    json_object_put(third);
}

static void collect(void *opaque, struct json_object *value, Error *err)
{
    json_object_put(value);
    error_free(err);
}

static void json_stream(FuzzBytes b)
{
    QJsonParser *p = qjson_parser_new(collect, NULL);

    while (fuzz_more(&b)) {
        FuzzBytes piece = fuzz_take(&b, 1 + *b.data % 32);
        qjson_parser_feed(p, (const char *)piece.data, piece.len);
    }
    qjson_parser_flush(p);
    qjson_parser_free(p);
}

static void json(const uint8_t *data, size_t len)
{
    struct json_object *v = NULL;
    Error *err = NULL;

    if (qjson_parse((const char *)data, len, &v, &err)) {
        check_written(v);
    } else {
        assert(error_message(err));
    }
    error_free(err);
    json_object_put(v);
    json_stream((FuzzBytes){ data, len });
}

static const char *const json_words[] = { "{", "}", "[", "]", ":", ",", "\"", "'", "\\u0000", "\\ud800", "\\udc00", "true", "false", "null",
    "{\"a\": 1}", "[[[[[[[[", "1e308", "-0", "18446744073709551615", "-9223372036854775808", "\xed\xa0\x80", "\xf0\x9f\x98\x80", "\xc0\x80", "\n", NULL };

const FuzzTarget fuzz_json = { .run = json, .words = json_words };

/* ---- key=value ---- */

static void read_as(const QKeyval *kv, const QType *t)
{
    void *out = q_calloc(1, t->size);
    Error *err = NULL;

    if (qkeyval_read(kv, t, out, NULL, &err)) {
        qvalue_finish(t, out, NULL);
    }
    error_free(err);
    free(out);
}

/* What was parsed, written and parsed again is the same JSON. */
static void check_round_trip(const QKeyval *kv)
{
    struct json_object *j = qkeyval_to_json(kv, NULL, NULL), *read;
    QKeyval copy = { 0 };
    QBuf text = { 0 };

    if (j) {
        qkeyval_write(kv, &text);
        if (text.len && qkeyval_parse(&copy, text.data, NULL, NULL, "again", NULL) && !copy.wants_help) {
            read = qkeyval_to_json(&copy, NULL, NULL);
            assert(read);
            json_object_put(read);
        }
    }
    json_object_put(j);
    qkeyval_finish(&copy);
    qbuf_finish(&text);
}

static void keyval(const uint8_t *data, size_t len)
{
    FuzzBytes b = { data, len };
    const QSchema *s = &qschema_system;
    uint16_t which = fuzz_u16(&b);
    const QOption *o = s->options[which % s->num_options];
    char *text = fuzz_text(b);
    QKeyval kv = { 0 };
    Error *err = NULL;

    if (qkeyval_parse(&kv, text, which & 0x8000 ? NULL : "implied", o->args, "fuzz", &err)) {
        struct json_object *j = o->args ? qkeyval_to_json(&kv, o->args, NULL) : NULL;

        json_object_put(j);
        check_round_trip(&kv);
        if (o->args) {
            read_as(&kv, o->args);
        }
    }
    error_free(err);
    qkeyval_finish(&kv);
    free(text);
}

static void option_words(void)
{
    const QSchema *s = &qschema_system;

    for (uint32_t i = 0; i < s->num_options; i++) {
        const QType *t = s->options[i]->args;

        for (uint32_t k = 0; t && k < t->num_members; k++) {
            fuzz_add_word(t->members[k].item.name);
        }
    }
}

static const char *const keyval_words[] = { "=", ",", ",,", ".", "=on", "=off", "no", "0", "1", ".0=", ".1=", ".18446744073709551615=", "help", "?", "{\"a\":",
    "}", "id=", "driver=", "a.b.c.d=", "[", "]", "1G", "0x", "1e3", "file", "implied", NULL };

const FuzzTarget fuzz_keyval = { .run = keyval, .words = keyval_words, .add_words = option_words, .max_len = 1024 };

/* ---- -readconfig, -set, -writeconfig ---- */

static void config(const uint8_t *data, size_t len)
{
    char *text = fuzz_text((FuzzBytes){ data, len }), *set = strchr(text, '\1');
    QOptions o;
    QBuf out = { 0 };

    if (set) {
        *set++ = 0;
    }
    qoptions_init(&o, &qschema_system);
    qoptions_read_config(&o, text, "fuzz", NULL);
    if (set) {
        qoptions_set(&o, set, "fuzz", NULL);
    }
    for (size_t i = 0; i < o.len; i++) {
        if (o.items[i]->option->args) {
            read_as(&o.items[i]->kv, o.items[i]->option->args);
        }
    }
    if (qoptions_write_config(&o, &out, NULL)) {
        QOptions copy;

        qoptions_init(&copy, &qschema_system);
        qoptions_read_config(&copy, out.data ? out.data : "", "again", NULL);
        qoptions_finish(&copy);
    }
    qbuf_finish(&out);
    qoptions_finish(&o);
    free(text);
}

static void config_words_too(void)
{
    const QSchema *s = &qschema_system;

    option_words();
    for (uint32_t i = 0; i < s->num_options; i++) {
        char line[128];

        snprintf(line, sizeof(line), "[%s \"a\"]\n", s->options[i]->item.name);
        fuzz_add_word(line);
        snprintf(line, sizeof(line), "[%s]\n", s->options[i]->item.name);
        fuzz_add_word(line);
    }
}

static const char *const config_words[] = { "[", "]", "\"", " = \"", "\"\n", "\n", "#", "\1", "device.a.", "chardev.a.", "=", "{\"machine\": {", "[{", "}", "on",
    "driver = \"e1000\"\n", NULL };

const FuzzTarget fuzz_config = { .run = config, .words = config_words, .add_words = config_words_too };
