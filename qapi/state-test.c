/* Tests of qapi/state.h: reset rules, random state there and back, versions, and any bytes at all. */
#include "qapi/state.h"
#include "qapi/test-schema.h"

typedef struct {
    uint32_t base;
    uint8_t flags;
} Segment;
static const QMember segment_members[] = {
    { MEMBER(Segment, "base", base, t_u32), .reset_value.u = 0xffff0000, .state_since = 1 },
    { MEMBER(Segment, "flags", flags, t_u8), .has_max = true, .max.u = 0x9f, .reset_value.u = 0x93, .state_since = 1 },
};
static const QType t_Segment = { STRUCT_TYPE(Segment, segment_members), .embedded = true };
static const QType t_segments = { ITEM("Segment[6]"), .kind = QK_ARRAY, .len = 6, .element = &t_Segment,
                                  .size = 6 * sizeof(Segment) };
static const QType t_words = { ITEM("uint16[4]"), .kind = QK_ARRAY, .len = 4, .element = &t_u16, .size = 8 };
typedef struct {
    uint32_t len;
    uint8_t data[16];
} Buffer16;
static const QType t_buffer = { ITEM("buffer<16>"), .kind = QK_BUFFER, .len = 16, .size = sizeof(Buffer16) };
static const QType t_timer = { ITEM("timer<virtual>"), .kind = QK_TIMER, .size = 8, .clock = "virtual" };
static const QType t_ram = { ITEM("ramblock"), .kind = QK_RAMBLOCK, .size = sizeof(void *) };

typedef struct {
    uint32_t divisor;
} Conf;

typedef struct {
    bool armed;
    uint8_t lcr;
    int16_t delta;
    uint32_t divisor, kept, cold;
    double ratio;
    Color color;
    Segment seg[6];
    uint16_t words[4];
    Buffer16 fifo;
    int64_t timer, extra;
    void *ram;
} State;

static bool if_armed(const void *st, const void *conf)
{
    return ((const State *)st)->armed;
}

#define FIELD(n, f, t) MEMBER(State, n, f, t), .state_since = 1
static const QMember state_members[] = {
    { FIELD("armed", armed, t_bool) },
    { FIELD("lcr", lcr, t_u8), .reset_value.u = 3 },
    { FIELD("delta", delta, t_i16), .has_min = true, .min.i = -100, .has_max = true, .max.i = 100, .reset_value.i = -1 },
    { FIELD("divisor", divisor, t_u32), .reset = RESET_FROM_CONF, .reset_from = offsetof(Conf, divisor) },
    { FIELD("kept", kept, t_u32), .reset = RESET_KEEP },
    { FIELD("cold", cold, t_u32), .reset = RESET_COLD_ONLY, .reset_value.u = 7 },
    { FIELD("ratio", ratio, t_number), .reset_value.d = 0.5 },
    { FIELD("color", color, t_color), .reset_value.i = COLOR_GREEN },
    { FIELD("seg", seg, t_segments) },
    { FIELD("words", words, t_words), .reset_value.u = 0xaaaa },
    { FIELD("fifo", fifo, t_buffer) },
    { FIELD("timer", timer, t_timer), .reset_value.i = -1, .present_if = if_armed },
    { MEMBER(State, "extra", extra, t_int), .state_since = 2, .reset_value.i = 99 },
    { FIELD("ram", ram, t_ram), .reset = RESET_KEEP },
};
static const QType t_State = { STRUCT_TYPE(State, state_members), .embedded = true };
static const QClass c_v2 = { ITEM("tinyuart"), .state = &t_State, .state_version = 2, .state_min_version = 1 };
static const QClass c_v3 = { ITEM("tinyuart"), .state = &t_State, .state_version = 3, .state_min_version = 3 };
static const QClass c_other = { ITEM("other"), .state = &t_State, .state_version = 2, .state_min_version = 1 };
/* Version 1 is a table of its own: all but "extra" and RAM. */
static const QType t_State1 = { ITEM("State"), .kind = QK_STRUCT, .size = sizeof(State), .members = state_members,
                                .num_members = 12, .embedded = true };
static const QClass c_v1 = { ITEM("tinyuart"), .state = &t_State1, .state_version = 1, .state_min_version = 1 };
static const Conf conf = { .divisor = 12 };

static void test_reset(void)
{
    State st = { .kept = 5, .cold = 6, .lcr = 9, .fifo = { 3, "abc" }, .ram = &st };

    qstate_reset(&t_State, &st, &conf, false);
    g_assert_true(st.lcr == 3 && st.delta == -1 && st.divisor == 12 && st.kept == 5 && st.cold == 6);
    g_assert_true(st.ratio == 0.5 && st.color == COLOR_GREEN && st.seg[5].base == 0xffff0000 && st.seg[0].flags == 0x93);
    g_assert_true(st.words[3] == 0xaaaa && st.fifo.len == 0 && st.fifo.data[0] == 0 && st.timer == -1 && st.extra == 99);
    g_assert_true(st.ram == &st);
    qstate_reset(&t_State, &st, &conf, true);
    g_assert_true(st.kept == 5 && st.cold == 7);
}

static void rand_state(GRand *r, State *st)
{
    memset(st, 0, sizeof(*st));
    qstate_reset(&t_State, st, &conf, true);
    st->armed = g_rand_boolean(r);
    st->lcr = rand64(r);
    st->delta = g_rand_int_range(r, -100, 101);
    st->divisor = rand64(r);
    st->kept = rand64(r);
    st->cold = rand64(r);
    st->ratio = g_rand_double(r);
    st->color = g_rand_int_range(r, 0, 3);
    for (int i = 0; i < 6; i++) {
        st->seg[i] = (Segment){ rand64(r), g_rand_int_range(r, 0, 0xa0) };
    }
    for (int i = 0; i < 4; i++) {
        st->words[i] = rand64(r);
    }
    st->fifo.len = g_rand_int_range(r, 0, 17);
    for (uint32_t i = 0; i < st->fifo.len; i++) {
        st->fifo.data[i] = rand64(r);
    }
    st->timer = st->armed ? (int64_t)(rand64(r) >> 1) : -1;
    st->extra = rand64(r);
}

static void test_round_trip(void)
{
    GRand *r = g_rand_new_with_seed(7);

    for (int i = 0; i < 3000; i++) {
        State a, b;
        QBuf bytes = { 0 };
        QStateInput in;
        struct json_object *j;
        size_t len;

        rand_state(r, &a);
        memset(&b, 0, sizeof(b));
        qstate_save(&bytes, &c_v2, &a, &conf);
        in = (QStateInput){ (uint8_t *)bytes.data, (uint8_t *)bytes.data + bytes.len };
        g_assert_cmpint(strncmp(qstate_peek(&in, &len), "tinyuart", 8), ==, 0);
        g_assert_cmpuint(len, ==, 8);
        g_assert_true(qstate_load(&in, &c_v2, &b, &conf, &error_abort));
        g_assert_true(in.p == in.end);
        g_assert_true(qvalue_equal(&t_State, &a, &b));
        /* and as JSON, which is how a person reads a stream */
        j = qvalue_to_json(&t_State, &a, NULL);
        json_object_object_del(j, "ram");
        g_assert_true(json_object_object_get_ex(j, "seg", NULL));
        json_object_put(j);
        qbuf_finish(&bytes);
    }
    g_rand_free(r);
}

static void check_error(const QBuf *bytes, const QClass *c, const char *text)
{
    State st, before;
    QStateInput in = { (uint8_t *)bytes->data, (uint8_t *)bytes->data + bytes->len };
    Error *err = NULL;

    memset(&st, 0x11, sizeof(st));
    memcpy(&before, &st, sizeof(st));
    g_assert_false(qstate_load(&in, c, &st, &conf, &err));
    g_assert_cmpstr(error_message(err), ==, text);
    g_assert_cmpmem(&st, sizeof(st), &before, sizeof(st));
    g_assert_true(in.p == (uint8_t *)bytes->data);
    error_free(err);
}

static void test_versions(void)
{
    GRand *r = g_rand_new_with_seed(8);
    State a, b = { .extra = 5, .ram = &b };
    QBuf v1 = { 0 }, v2 = { 0 };
    QStateInput in;

    rand_state(r, &a);
    qstate_save(&v1, &c_v1, &a, &conf);
    qstate_save(&v2, &c_v2, &a, &conf);
    in = (QStateInput){ (uint8_t *)v1.data, (uint8_t *)v1.data + v1.len };
    g_assert_true(qstate_load(&in, &c_v2, &b, &conf, &error_abort));
    g_assert_true(b.extra == 99 && b.lcr == a.lcr && b.ram == &b); /* newer field: its reset value */
    check_error(&v2, &c_v1, "state of 'tinyuart': version 2 is not supported (1 to 1)");
    check_error(&v2, &c_v3, "state of 'tinyuart': version 2 is not supported (3 to 3)");
    check_error(&v2, &c_other, "state of 'other': the stream has 'tinyuart' here");
    qbuf_finish(&v1);
    qbuf_finish(&v2);
    g_rand_free(r);
}

/* The place of field `name`'s kind byte in bytes. */
static uint8_t *field(const QBuf *bytes, const char *name)
{
    char key[64];
    int n = g_snprintf(key, sizeof(key), "%c%s", (int)strlen(name), name);
    uint8_t *at = memmem(bytes->data, bytes->len, key, n);

    g_assert_nonnull(at);
    return at + n;
}

static void test_bad_fields(void)
{
    static const struct {
        const char *field;
        int at;         /* from the kind byte */
        uint8_t value;
        const char *error;
    } bad[] = {
        { "delta", 1, 0x70, "state of 'tinyuart': field 'delta': the value is out of range" },
        { "delta", 0, 0x12, "state of 'tinyuart': field 'delta': kind 0x12 where int16 is expected" },
        { "delta", 0, 0, "state of 'tinyuart': field 'delta': kind 0x00 where int16 is expected" },
        { "delta", -1, 'b', "state of 'tinyuart': unknown field 'deltb' for version 2" },
        { "armed", 1, 2, "state of 'tinyuart': field 'armed': neither 0 nor 1" },
        { "armed", 1, 1, "state of 'tinyuart': field 'timer': missing" },
        { "color", 2, 'x', "state of 'tinyuart': field 'color': 'xed' is no Color" },
        { "fifo", 4, 17, "state of 'tinyuart': field 'fifo': 17 bytes where at most 16 fit" },
        { "fifo", 1, 255, "state of 'tinyuart': field 'fifo': 4278190080 bytes where at most 16 fit" },
        { "words", 4, 3, "state of 'tinyuart': field 'words': 3 elements where 4 are expected" },
        { "flags", 1, 0xa0, "state of 'tinyuart': field 'flags': the value is out of range" },
    };

    for (size_t i = 0; i < COUNT(bad); i++) {
        State st = { 0 };
        QBuf b = { 0 };
        qstate_reset(&t_State, &st, &conf, true);
        st.color = COLOR_RED;
        qstate_save(&b, &c_v2, &st, &conf);
        field(&b, bad[i].field)[bad[i].at] = bad[i].value;
        check_error(&b, &c_v2, bad[i].error);
        qbuf_finish(&b);
    }
}

static void test_twice(void)
{
    State st = { 0 };
    QBuf b = { 0 };

    qstate_save(&b, &c_v2, &st, &conf);
    memcpy(field(&b, "kept") - 4, "cold", 4);
    check_error(&b, &c_v2, "state of 'tinyuart': field 'cold': given twice");
    qbuf_finish(&b);
}

/* Cut anywhere: an error. Changed anywhere: an error or a state within its ranges. */
static void test_mutations(void)
{
    GRand *r = g_rand_new_with_seed(9);

    for (int i = 0; i < 20000; i++) {
        State a, b = { 0 };
        QBuf bytes = { 0 };
        QStateInput in;
        Error *err = NULL;
        size_t len;
        uint8_t *copy;

        rand_state(r, &a);
        qstate_save(&bytes, &c_v2, &a, &conf);
        len = i & 1 ? bytes.len : (size_t)g_rand_int_range(r, 0, bytes.len);
        copy = g_memdup2(bytes.data, len); /* so that ASan sees a read behind the end */
        for (int n = i & 1 ? g_rand_int_range(r, 1, 4) : 0; n > 0; n--) {
            copy[g_rand_int_range(r, 0, len)] ^= 1 << g_rand_int_range(r, 0, 8);
        }
        in = (QStateInput){ copy, copy + len };
        if (qstate_load(&in, &c_v2, &b, &conf, &err)) {
            g_assert_true(i & 1);
            g_assert_true(b.delta >= -100 && b.delta <= 100 && b.fifo.len <= 16 && b.color <= 2 && b.timer >= -1);
        } else {
            error_free(err);
        }
        g_free(copy);
        qbuf_finish(&bytes);
    }
    g_rand_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/state/reset", test_reset);
    g_test_add_func("/state/round-trip", test_round_trip);
    g_test_add_func("/state/versions", test_versions);
    g_test_add_func("/state/bad-fields", test_bad_fields);
    g_test_add_func("/state/twice", test_twice);
    g_test_add_func("/state/mutations", test_mutations);
    return g_test_run();
}
