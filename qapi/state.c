/* Reset and writing of state: see qapi/state.h. */
#include "qapi/state.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/state-format.h"
#include "qapi/value.h"
#include "qapi/visit.h"

/* ---- reset ---- */

static void reset_value(const QType *t, const QMember *m, void *v, const void *conf, bool cold)
{
    switch (t->kind) {
    case QK_BOOL:
        *(bool *)v = m->reset_value.i;
        break;
    case QK_INT:
        q_set_int(t, v, m->reset_value.i);
        break;
    case QK_NUMBER:
        *(double *)v = m->reset_value.d;
        break;
    case QK_ENUM:
        *(int *)v = m->reset_value.i;
        break;
    case QK_TIMER:
        *(int64_t *)v = m->reset_value.i;
        break;
    case QK_STRUCT:
        qstate_reset(t, v, conf, cold);
        break;
    case QK_BUFFER:
        memset(v, 0, t->size);
        break;
    case QK_ARRAY:
        for (uint32_t i = 0; i < t->len; i++) {
            reset_value(t->element, m, q_at(v, (size_t)i * t->element->size), conf, cold);
        }
        break;
    default: /* RAM keeps what it holds */
        break;
    }
}

void qstate_reset(const QType *state, void *st, const void *conf, bool cold)
{
    for (uint32_t i = 0; i < state->num_members; i++) {
        const QMember *m = &state->members[i];

        if (m->reset == RESET_FROM_CONF) {
            memcpy(q_at(st, m->offset), q_at(conf, m->reset_from), m->type->size);
        } else if (m->reset == RESET_VALUE || (m->reset == RESET_COLD_ONLY && cold)) {
            reset_value(m->type, m, q_at(st, m->offset), conf, cold);
        }
    }
}

/* ---- writing ---- */

static void put_u16(QBuf *b, uint16_t v)
{
    v = htobe16(v);
    qbuf_add(b, &v, 2);
}

static void put_u32(QBuf *b, uint32_t v)
{
    v = htobe32(v);
    qbuf_add(b, &v, 4);
}

static void put_wide(QBuf *b, uint64_t v, unsigned width)
{
    v = htobe64(v);
    qbuf_add(b, (char *)&v + 8 - width, width);
}

static void put_text(QBuf *b, const char *s)
{
    size_t n = strlen(s);

    assert(n < 256); /* names of the schema */
    qbuf_char(b, n);
    qbuf_add(b, s, n);
}

static void put_value(QBuf *b, const QType *t, const void *v, const void *conf);

static bool is_saved(const QMember *m, const void *st, const void *conf)
{
    return m->type->kind != QK_RAMBLOCK && (!m->present_if || m->present_if(st, conf));
}

static void put_fields(QBuf *b, const QType *t, const void *st, const void *conf)
{
    uint16_t n = 0;

    for (uint32_t i = 0; i < t->num_members; i++) {
        n += is_saved(&t->members[i], st, conf);
    }
    put_u16(b, n);
    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *m = &t->members[i];
        if (is_saved(m, st, conf)) {
            put_text(b, m->item.name);
            put_value(b, m->type, q_at(st, m->offset), conf);
        }
    }
}

static void put_items(QBuf *b, const QType *t, const void *v, const void *conf)
{
    put_u32(b, t->len);
    for (uint32_t i = 0; i < t->len; i++) {
        put_value(b, t->element, q_at(v, (size_t)i * t->element->size), conf);
    }
}

static void put_number(QBuf *b, double d)
{
    uint64_t bits;

    memcpy(&bits, &d, 8);
    put_wide(b, bits, 8);
}

static void put_value(QBuf *b, const QType *t, const void *v, const void *conf)
{
    const QAnyBuffer *bytes = v;

    qbuf_char(b, state_code(t));
    switch (t->kind) {
    case QK_BOOL:
        qbuf_char(b, *(const bool *)v);
        break;
    case QK_INT:
        put_wide(b, q_get_int(t, v), t->width);
        break;
    case QK_NUMBER:
        put_number(b, *(const double *)v);
        break;
    case QK_ENUM:
        put_text(b, qtype_enum_name(t, *(const int *)v));
        break;
    case QK_STRUCT:
        put_fields(b, t, v, conf);
        break;
    case QK_ARRAY:
        put_items(b, t, v, conf);
        break;
    case QK_BUFFER:
        put_u32(b, bytes->len);
        qbuf_add(b, bytes->data, bytes->len);
        break;
    case QK_TIMER:
        put_wide(b, *(const int64_t *)v, 8);
        break;
    }
}

void qstate_save(QBuf *out, const QClass *c, const void *st, const void *conf)
{
    put_text(out, c->item.name);
    put_u32(out, c->state_version);
    put_fields(out, c->state, st, conf);
}
