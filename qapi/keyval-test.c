/* Tests of qapi/keyval.h: texts, merging, config files, random values through text, mutated bytes. */
#include "qapi/keyval.h"
#include "qapi/test-schema.h"

typedef struct {
    const char *text, *json, *error;
} Case;

static const Case cases[] = {
    { "a=1,b=2", "{\"a\": \"1\", \"b\": \"2\"}", NULL },
    { "x,,y,b=", "{\"imp\": \"x,y\", \"b\": \"\"}", NULL },
    { "a=x,,,b=,,", "{\"a\": \"x,\", \"b\": \",\"}", NULL },
    { "a=x==y", "{\"a\": \"x==y\"}", NULL },
    { "v,flag,nothat", "{\"imp\": \"v\", \"flag\": \"on\", \"that\": \"off\"}", NULL },
    { "a.b.c=1,a.d=2", "{\"a\": {\"b\": {\"c\": \"1\"}, \"d\": \"2\"}}", NULL },
    { "l.1=y,l.0=x", "{\"l\": [\"x\", \"y\"]}", NULL },
    { "l.0.a=1,l.0.b=2,l.1.a.0=3", "{\"l\": [{\"a\": \"1\", \"b\": \"2\"}, {\"a\": [\"3\"]}]}", NULL },
    { "a=1,a=2", "{\"a\": \"2\"}", NULL }, { "", "{}", NULL }, { "a=1,", "{\"a\": \"1\"}", NULL },
    { "{'a':{'b':[1]}}", "{\"a\": {\"b\": [1]}}", NULL },
    { "l.0=x,l.2=y", NULL, "Parameter 'l.1' missing" },
    { "l.0=x,l.a=y", NULL, "Parameters 'l.*' used inconsistently" },
    { "f.d=x,f=y", NULL, "Parameters 'f.*' used inconsistently" },
    { "f=y,f.d=x", NULL, "Parameters 'f.*' used inconsistently" },
    { "a..b=1", NULL, "Invalid parameter 'a..b'" }, { "=1", NULL, "Invalid parameter ''" },
    { "a=1,=1", NULL, "Invalid parameter ''" }, { "a.=1", NULL, "Invalid parameter 'a.'" },
    { ".=1", NULL, "Invalid parameter '.'" }, { "{x", NULL, "JSON parse error, invalid keyword 'x'" },
};

static void test_cases(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        QKeyval kv = { 0 };
        Error *err = NULL;
        struct json_object *j = NULL;

        if (qkeyval_parse(&kv, cases[i].text, "imp", NULL, "test", &err)) {
            j = qkeyval_to_json(&kv, NULL, &err);
        }
        if (j) {
            g_autofree char *text = qjson_text(j, false);
            g_assert_cmpstr(text, ==, cases[i].json);
            json_object_put(j);
        } else {
            g_assert_cmpstr(error_message(err), ==, cases[i].error);
            error_free(err);
        }
        qkeyval_finish(&kv);
    }
}

static void test_typed(void)
{
    QKeyval kv = { 0 };
    Everything e;

    g_assert_true(qkeyval_parse(&kv,
                                "hello,,world,b,size=1.5k,shape.kind=green,shape.w=0x10,u16s=2-4,strings=x,strings=y,"
                                "points.0.x=1,points.1.x=-2,pref=17,color=dark-blue",
                                "text", &t_Everything, "test", &error_abort));
    g_assert_nonnull(strstr(kv.warnings.data, "short-form boolean option 'b' deprecated\nPlease use b=on instead\n"));
    g_assert_true(qkeyval_read(&kv, &t_Everything, &e, NULL, &error_abort));
    g_assert_cmpstr(e.text, ==, "hello,world");
    g_assert_true(e.has_b && e.b && e.size == 1536 && e.shape->u.green.w == 16 && e.shape->u.green.h == 32);
    g_assert_true(e.u16s.len == 3 && ((uint16_t *)e.u16s.items)[2] == 4);
    g_assert_cmpuint(e.strings.len, ==, 2);
    g_assert_cmpstr(((String **)e.strings.items)[1]->str, ==, "y");
    g_assert_cmpint(((Point **)e.points.items)[1]->x, ==, -2);
    g_assert_true(e.pref->kind == QK_INT && e.pref->u.number == 17 && e.color == COLOR_DARK_BLUE);
    qvalue_finish(&t_Everything, &e, NULL);
    qkeyval_finish(&kv);
}

/* A member called "nothing" is no "thing=off". */
static void test_no_prefix(void)
{
    static const QRest rest = { 0 };
    QType open = t_Everything;
    QKeyval kv = { 0 };

    g_assert_true(qkeyval_parse(&kv, "nothing,nob", NULL, &t_Everything, "test", &error_abort));
    g_assert_cmpstr(qkeyval_get(&kv, "nothing"), ==, "on");
    g_assert_cmpstr(qkeyval_get(&kv, "b"), ==, "off");
    qkeyval_finish(&kv);
    open.rest = &rest; /* members of a class that is not known yet */
    g_assert_true(qkeyval_parse(&kv, "nothing,noindex", NULL, &open, "test", &error_abort));
    g_assert_cmpstr(qkeyval_get(&kv, "nothing"), ==, "on");
    g_assert_cmpstr(qkeyval_get(&kv, "index"), ==, "off");
    qkeyval_finish(&kv);
}

static void test_help(void)
{
    static const char *const yes[] = { "help", "?", "x,help", "x,a=b,?", "help,a=b" };
    static const char *const no[] = { "x", "a=help", "x,help=on", "helpme", "nohelp" };

    for (size_t i = 0; i < COUNT(yes) + COUNT(no); i++) {
        QKeyval kv = { 0 };
        bool want = i < COUNT(yes);

        g_assert_true(qkeyval_parse(&kv, want ? yes[i] : no[i - COUNT(yes)], "imp", NULL, "test", &error_abort));
        g_assert_cmpint(kv.wants_help, ==, want);
        g_assert_cmpuint(kv.warnings.len, ==, 0);
        qkeyval_finish(&kv);
    }
}

/* Takes out what text has no way to say: empty lists, null, members with odd names, and any values. */
static struct json_object *sayable(struct json_object *v)
{
    struct json_object *out;

    if (json_object_is_type(v, json_type_array)) {
        out = json_object_new_array();
        for (size_t i = 0; i < json_object_array_length(v); i++) {
            struct json_object *e = sayable(json_object_array_get_idx(v, i));
            if (e) {
                json_object_array_add(out, e);
            }
        }
        if (!json_object_array_length(out)) {
            json_object_put(out);
            return NULL;
        }
        return out;
    }
    if (!json_object_is_type(v, json_type_object)) {
        return json_object_get(v);
    }
    out = json_object_new_object();
    json_object_object_foreach(v, key, member) {
        struct json_object *m = strcmp(key, "any") && strcmp(key, "nothing") && strcmp(key, "pref") &&
                                strcmp(key, "refs") ? sayable(member) : NULL;
        if (m) {
            json_object_object_add(out, key, m);
        }
    }
    return out;
}

/* JSON -> value, and the same JSON as key=value text -> value: equal. */
static void test_round_trip(void)
{
    GRand *r = g_rand_new_with_seed(5);
    Things things;
    QRefResolver refs = things_init(&things);

    for (int i = 0; i < 2000; i++) {
        struct json_object *any = rand_value(r, &t_Everything, NULL, 0), *j = sayable(any);
        QKeyval a = { 0 }, b = { 0 };
        QBuf text = { 0 };
        Everything x, y;

        json_object_object_foreach(j, key, member) {
            qkeyval_add(&a, key, "", "x");
            free(a.items[a.len - 1].value);
            a.items[a.len - 1].value = NULL;
            a.items[a.len - 1].json = json_object_get(member);
        }
        qkeyval_write(&a, &text);
        g_assert_true(qvalue_from_json(&t_Everything, j, &x, &refs, &error_abort));
        g_assert_true(qkeyval_parse(&b, text.data, NULL, &t_Everything, "x", &error_abort));
        g_assert_true(qkeyval_read(&b, &t_Everything, &y, &refs, &error_abort));
        g_assert_true(qvalue_equal(&t_Everything, &x, &y));
        qvalue_finish(&t_Everything, &x, &refs);
        qvalue_finish(&t_Everything, &y, &refs);
        qkeyval_finish(&a);
        qkeyval_finish(&b);
        qbuf_finish(&text);
        json_object_put(any);
        json_object_put(j);
    }
    g_assert_cmpint(things_total(&things), ==, 0);
    g_rand_free(r);
}

static const QOption opt_device = { ITEM("device"), .args = &t_Everything, .implied_key = "text", .repeatable = true,
                                    .takes_id = true };
static const QOption opt_machine = { ITEM("machine"), .args = &t_Everything, .implied_key = "text" };
static const QOption opt_s = { ITEM("s") };
static const QOption *const options[] = { &opt_device, &opt_machine, &opt_s };
static const QSchema schema = { .options = options, .num_options = COUNT(options) };

static void test_records(void)
{
    QOptions o, again;
    Error *err = NULL;
    Everything e;
    QBuf text = { 0 }, text2 = { 0 };

    qoptions_init(&o, &schema);
    g_assert_true(qoptions_add(&o, &opt_machine, "pc,u8=1", "-M", &error_abort));
    g_assert_true(qoptions_add(&o, &opt_machine, "u8=2,b=on", "-M", &error_abort));
    g_assert_true(qoptions_add(&o, &opt_device, "a\"b\\c,,d,id=d0", "-device", &error_abort));
    g_assert_true(qoptions_add(&o, &opt_device, "{'text':'j','point':{'x':5},'u16s':[1,2]}", "-device", &error_abort));
    g_assert_true(qoptions_add(&o, &opt_s, NULL, "-s", &error_abort));
    g_assert_cmpuint(o.len, ==, 4);
    g_assert_false(qoptions_add(&o, &opt_device, "x,id=d0", "-device", &err));
    g_assert_cmpstr(error_message(err), ==, "Duplicate ID 'd0' for device");
    error_free(err);
    err = NULL;
    g_assert_false(qoptions_add(&o, &opt_device, "x,id=0d", "-device", &err));
    g_assert_cmpstr(error_message(err), ==, "Parameter 'id' expects an identifier");
    error_free(err);
    err = NULL;
    g_assert_true(qoptions_set(&o, "device.d0.u8=9", "-set", &error_abort));
    g_assert_false(qoptions_set(&o, "device.d1.u8=9", "-set", &err));
    g_assert_cmpstr(error_message(err), ==, "there is no device \"d1\" defined");
    error_free(err);
    g_assert_true(qoption_read(qoptions_find(&o, "machine", NULL), &e, NULL, &error_abort));
    g_assert_true(e.u8 == 2 && e.b && !strcmp(e.text, "pc"));
    qvalue_finish(&t_Everything, &e, NULL);

    g_assert_true(qoptions_write_config(&o, &text, &error_abort));
    g_assert_nonnull(strstr(text.data, "[device \"d0\"]\n  text = \"a\"b\\c,d\"\n  u8 = \"9\"\n"));
    g_assert_nonnull(strstr(text.data, "  point.x = \"5\"\n  u16s.0 = \"1\"\n  u16s.1 = \"2\"\n"));
    qoptions_init(&again, &schema);
    g_assert_true(qoptions_read_config(&again, text.data, "f.cfg", &error_abort));
    g_assert_true(qoptions_write_config(&again, &text2, &error_abort));
    g_assert_cmpstr(text.data, ==, text2.data);
    qoptions_finish(&o);
    qoptions_finish(&again);
    qbuf_finish(&text);
    qbuf_finish(&text2);
}

static void test_bad_configs(void)
{
    static const char *const bad[][2] = {
        { "x = \"1\"\n", "f:1: no group defined" },
        { "# c\n\n[foo]\n", "f:3: There is no option group 'foo'" },
        { "[machine\n", "f:1: a section is [group] or [group \"id\"]" },
        { "[device \"x]\n", "f:1: a section is [group] or [group \"id\"]" },
        { "[machine]\n a = b\n", "f:2: an item is key = \"value\"" },
        { "[machine]\n a = \"\n", "f:2: an item is key = \"value\"" },
        { "[device \"1\"]\n", "f: Parameter 'id' expects an identifier" },
    };

    for (size_t i = 0; i < COUNT(bad); i++) {
        QOptions o;
        Error *err = NULL;
        qoptions_init(&o, &schema);
        g_assert_false(qoptions_read_config(&o, bad[i][0], "f", &err));
        g_assert_cmpstr(error_message(err), ==, bad[i][1]);
        error_free(err);
        qoptions_finish(&o);
    }
}

static void test_mutations(void)
{
    static const char *const parts[] = { "a", "u8", "points", "0", "1", "x", "=", ",", ",,", ".", "no", "shape", "kind", "red",
                                         "strings", "u16s", "-", "{", "}", "'", "\"", "[", "\n", " ", "size", "M", "device" };
    GRand *r = g_rand_new_with_seed(6);

    for (int i = 0; i < 20000; i++) {
        char text[256] = "";
        QKeyval kv = { 0 };
        QOptions o;
        Error *err = NULL;
        Everything e;

        for (int n = g_rand_int_range(r, 0, 24); n > 0; n--) {
            strcat(text, parts[g_rand_int_range(r, 0, COUNT(parts))]);
        }
        if (qkeyval_parse(&kv, text, i & 1 ? "text" : NULL, &t_Everything, "x", &err) &&
            qkeyval_read(&kv, &t_Everything, &e, NULL, &err)) {
            qvalue_finish(&t_Everything, &e, NULL);
        }
        error_free(err);
        err = NULL;
        qkeyval_finish(&kv);
        qoptions_init(&o, &schema);
        qoptions_read_config(&o, text, "f", &err);
        error_free(err);
        qoptions_finish(&o);
    }
    g_rand_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/keyval/cases", test_cases);
    g_test_add_func("/keyval/typed", test_typed);
    g_test_add_func("/keyval/help", test_help);
    g_test_add_func("/keyval/no-prefix", test_no_prefix);
    g_test_add_func("/keyval/round-trip", test_round_trip);
    g_test_add_func("/keyval/mutations", test_mutations);
    g_test_add_func("/options/records", test_records);
    g_test_add_func("/options/bad-configs", test_bad_configs);
    return g_test_run();
}
