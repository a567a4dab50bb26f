/*
 * The interpreter over what the generator makes: every class of the examples in tests/schema (an IDE channel, a
 * CPU, virtio queues, the RTC ...) has its config and its state walked with random values. Built from there.
 */
#include "qapi/qapi.h"
#include "qapi/test-schema.h"

extern const QSchema qschema_example;
static const QSchema *const s = &qschema_example;

static uint64_t rand_in(GRand *r, const QType *t, const QMember *m)
{
    uint8_t buf[8];
    uint64_t lo = m->min.u, span = m->max.u - m->min.u;

    for (int i = 0; i < 100; i++) {
        q_set_int(t, buf, rand64(r));
        if (q_int_in_range(t, m, q_get_int(t, buf))) {
            return q_get_int(t, buf);
        }
    }
    g_assert_true(m->has_min || m->has_max); /* a narrow range: within it */
    if (m->has_min && m->has_max) {
        return lo + (span ? rand64(r) % (span + 1) : 0);
    }
    return m->has_min ? lo : m->max.u;
}

static void rand_state(GRand *r, const QType *t, void *st);

static void rand_field(GRand *r, const QType *t, const QMember *m, void *v)
{
    QAnyBuffer *b = v;

    switch (t->kind) {
    case QK_BOOL:
        *(bool *)v = g_rand_boolean(r);
        break;
    case QK_INT:
        q_set_int(t, v, rand_in(r, t, m));
        break;
    case QK_NUMBER:
        *(double *)v = m->has_min ? m->min.d : g_rand_double(r);
        break;
    case QK_ENUM:
        *(int *)v = t->values[g_rand_int_range(r, 0, t->num_values)].value;
        break;
    case QK_STRUCT:
        rand_state(r, t, v);
        break;
    case QK_ARRAY:
        for (uint32_t i = 0; i < t->len; i++) {
            rand_field(r, t->element, m, q_at(v, (size_t)i * t->element->size));
        }
        break;
    case QK_BUFFER:
        b->len = g_rand_int_range(r, 0, MIN(t->len, 64) + 1);
        for (uint32_t i = 0; i < b->len; i++) {
            b->data[i] = g_rand_int(r);
        }
        break;
    case QK_TIMER:
        *(int64_t *)v = g_rand_boolean(r) ? -1 : (int64_t)(rand64(r) >> 1);
        break;
    }
}

static void rand_state(GRand *r, const QType *t, void *st)
{
    for (uint32_t i = 0; i < t->num_members; i++) {
        rand_field(r, t->members[i].type, &t->members[i], q_at(st, t->members[i].offset));
    }
}

/* Members that the stream leaves out by their condition don't come back, so compare what is written. */
static void check_state(GRand *r, const QClass *c)
{
    const void *conf = NULL;
    g_autofree void *owned = g_malloc0(c->conf->size), *a = g_malloc0(c->state->size), *b = g_malloc0(c->state->size);
    QBuf first = { 0 }, second = { 0 };
    QStateInput in;
    Error *err = NULL;

    conf = owned;
    qstate_reset(c->state, a, conf, true);
    qstate_save(&first, c, a, conf); /* reset values are valid */
    in = (QStateInput){ (uint8_t *)first.data, (uint8_t *)first.data + first.len };
    g_assert_true(qstate_load(&in, c, b, conf, &error_abort));
    qbuf_finish(&first);

    rand_state(r, c->state, a);
    qstate_save(&first, c, a, conf);
    in = (QStateInput){ (uint8_t *)first.data, (uint8_t *)first.data + first.len };
    g_assert_true(qstate_load(&in, c, b, conf, &error_abort));
    g_assert_true(in.p == in.end);
    qstate_save(&second, c, b, conf);
    g_assert_cmpmem(first.data, first.len, second.data, second.len);

    first.data[g_rand_int_range(r, 0, first.len)] ^= 1 << g_rand_int_range(r, 0, 8);
    in = (QStateInput){ (uint8_t *)first.data, (uint8_t *)first.data + g_rand_int_range(r, 0, first.len + 1) };
    qstate_load(&in, c, b, conf, &err);
    error_free(err);
    qbuf_finish(&first);
    qbuf_finish(&second);
}

static void test_state(void)
{
    GRand *r = g_rand_new_with_seed(11);
    int classes = 0;

    for (uint32_t i = 0; i < s->num_classes; i++) {
        for (int n = 0; s->classes[i]->state && n < 200; n++) {
            check_state(r, s->classes[i]);
            classes += n == 0;
        }
    }
    g_assert_cmpint(classes, >=, 4);
    g_rand_free(r);
}

/* Finds any object: which classes an id may name is qom's matter. */
static void *any_get(void *opaque, const char *cls, const char *id, Error **errp)
{
    return things_get(opaque, "thing", id, errp);
}

static void test_conf(void)
{
    GRand *r = g_rand_new_with_seed(12);
    Things things;
    QRefResolver refs = things_init(&things);
    int walked = 0;

    refs.get = any_get;
    for (uint32_t i = 0; i < s->num_classes * 100; i++) {
        const QType *t = s->classes[i % s->num_classes]->conf;
        struct json_object *j = rand_value(r, t, NULL, 0), *back;
        g_autofree void *conf = g_malloc0(t->size);

        g_assert_true(qvalue_from_json(t, j, conf, &refs, &error_abort));
        back = qvalue_to_json(t, conf, &refs);
        g_assert_true(qjson_equal(j, back));
        walked += json_object_object_length(j);
        qvalue_finish(t, conf, &refs);
        json_object_put(j);
        json_object_put(back);
    }
    g_assert_cmpint(walked, >, 1000);
    g_assert_cmpint(things_total(&things), ==, 0);
    g_rand_free(r);
}

static void test_introspection(void)
{
    struct json_object *qmp = qintrospect_qmp(s, true), *back = NULL;
    QBuf all = { 0 };

    qintrospect_all(s, &all);
    g_assert_true(qjson_parse(all.data, all.len, &back, &error_abort));
    g_assert_cmpuint(json_object_array_length(qmp), >=, s->num_commands + s->num_events);
    for (uint32_t i = 0; i < s->num_classes; i++) {
        QBuf help = { 0 };
        qhelp_class(s, s->classes[i], &help);
        g_assert_nonnull(strstr(help.data, s->classes[i]->item.name));
        for (uint32_t k = 0; k < s->classes[i]->conf->num_members; k++) {
            g_autofree char *line = g_strdup_printf("\n  %s=<", s->classes[i]->conf->members[k].item.name);
            g_assert_nonnull(strstr(help.data, line));
        }
        qbuf_finish(&help);
    }
    qbuf_finish(&all);
    json_object_put(qmp);
    json_object_put(back);
}

static uint32_t phase(const QCallContext *cc)
{
    return PHASE_PAUSED;
}

static void test_call(void)
{
    QCallContext cc = { .schema = s, .phase = phase };
    struct json_object *request = parse_json(qschema_command(s, "count")->example), *reply = qmp_dispatch(&cc, request);
    g_autofree char *text = qjson_text(reply, false);

    g_assert_cmpstr(text, ==, "{\"return\": 2}");
    json_object_put(request);
    json_object_put(reply);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/interpreter/state", test_state);
    g_test_add_func("/interpreter/conf", test_conf);
    g_test_add_func("/interpreter/introspection", test_introspection);
    g_test_add_func("/interpreter/call", test_call);
    return g_test_run();
}
