/*
 * The loader of saved state: each class's level from bytes that may be anything. What it takes must be what it saves again, and
 * on failure the state is untouched.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/state.h"
#include "qapi/visit.h"
#include "softmmu/system.h"
#include "tests/fuzz/fuzz.h"

static const QClass *with_state(uint32_t n)
{
    const QSchema *s = &qschema_system;

    for (uint32_t i = 0; i < s->num_classes; i++) {
        const QClass *k = s->classes[(n + i) % s->num_classes];
        if (k->state) {
            return k;
        }
    }
    return NULL;
}

/* One stream in three is what the state saves, with bytes changed as the input says: such come far. */
static void change(QBuf *stream, FuzzBytes *b)
{
    while (fuzz_more(b) && stream->len) {
        uint16_t at = fuzz_u16(b);
        stream->data[at % stream->len] = (char)fuzz_u8(b);
    }
}

static void load(const QClass *k, QStateInput in, void *st, const void *conf)
{
    void *before = malloc(k->state->size);
    QBuf first = { 0 }, second = { 0 };
    Error *err = NULL;

    memcpy(before, st, k->state->size);
    if (qstate_load(&in, k, st, conf, &err)) {
        QStateInput again;

        qstate_save(&first, k, st, conf);
        again = (QStateInput){ (const uint8_t *)first.data, (const uint8_t *)first.data + first.len };
        if (qstate_load(&again, k, st, conf, &error_abort)) {
            qstate_save(&second, k, st, conf);
        }
        assert(first.len == second.len && !memcmp(first.data, second.data, first.len));
    } else {
        assert(err && !memcmp(before, st, k->state->size));
    }
    error_free(err);
    qbuf_finish(&first);
    qbuf_finish(&second);
    free(before);
}

static void state(const uint8_t *data, size_t len)
{
    FuzzBytes b = { data, len };
    const QClass *k = with_state(fuzz_u8(&b));
    uint8_t how = fuzz_u8(&b);
    void *st = calloc(1, k->state->size), *conf = calloc(1, k->conf->size);
    QBuf stream = { 0 };

    qstate_reset(k->state, st, conf, true);
    if (how % 3) {
        qstate_save(&stream, k, st, conf);
        change(&stream, &b);
        b = (FuzzBytes){ (const uint8_t *)stream.data, stream.len - (how > 250 ? stream.len / 2 : 0) };
    }
    load(k, (QStateInput){ b.data, b.data + b.len }, st, conf);
    qbuf_finish(&stream);
    free(st);
    free(conf);
}

const FuzzTarget fuzz_state = { .run = state, .max_len = 8192 };
