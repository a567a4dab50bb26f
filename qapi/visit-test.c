/* Tests of qapi/visit.h and qapi/schema.h. */
#include "qapi/schema.h"
#include "qapi/test-schema.h"

typedef struct {
    const QType *type;
    const char *json;
    const char *error; /* NULL: fine */
} Case;

static const Case json_cases[] = {
    { &t_Point, "{'x':1}", NULL },
    { &t_Point, "{}", "Parameter 'x' is missing" },
    { &t_Point, "{'x':1,'z':2}", "Parameter 'z' is unexpected" },
    { &t_Point, "5", "Invalid parameter type for 'value', expected: object" },
    { &t_Point, "{'x':'1'}", "Invalid parameter type for 'x', expected: integer" },
    { &t_Point, "{'x':1.0}", NULL /* replaced below: 1.0 is no integer */ },
    { &t_Point, "{'x':9223372036854775808}",
      "Parameter 'x' expects int64 (-9223372036854775808 to 9223372036854775807)" },
    { &t_Point, "{'x':1,'y':11}", "Parameter 'y' expects a value in the range -10 to 10" },
    { &t_Point, "{'x':1,'label':null}", "Invalid parameter type for 'label', expected: string" },
    { &t_Point, "{'x':1,'label':'a\\u0000b'}", "Parameter 'label' expects text without \\u0000" },
    { &t_Everything, "{'b':1}", "Invalid parameter type for 'b', expected: boolean" },
    { &t_Everything, "{'u8':256}", "Parameter 'u8' expects uint8_t (0 to 255)" },
    { &t_Everything, "{'u8':-1}", "Parameter 'u8' expects uint8_t (0 to 255)" },
    { &t_Everything, "{'i8':-129}", "Parameter 'i8' expects int8_t (-128 to 127)" },
    { &t_Everything, "{'u64':-1}", "Parameter 'u64' expects uint64 (0 to 18446744073709551615)" },
    { &t_Everything, "{'number':'x'}", "Invalid parameter type for 'number', expected: number" },
    { &t_Everything, "{'nothing':0}", "Invalid parameter type for 'nothing', expected: null" },
    { &t_Everything, "{'color':'blue'}", "Parameter 'color' does not accept value 'blue'" },
    { &t_Everything, "{'color':3}", "Invalid parameter type for 'color', expected: string" },
    { &t_Everything, "{'points':[{'x':1},{'x':2,'y':99}]}",
      "Parameter 'points[1].y' expects a value in the range -10 to 10" },
    { &t_Everything, "{'u16ss':[[1],[2,70000]]}", "Parameter 'u16ss[1][1]' expects uint16_t (0 to 65535)" },
    { &t_Everything, "{'strs':'x'}", "Invalid parameter type for 'strs', expected: array" },
    { &t_Everything, "{'pref':true}", "Invalid parameter type for 'pref', expected: PointRef" },
    { &t_Everything, "{'pref':{'x':1,'q':2}}", "Parameter 'pref.q' is unexpected" },
    { &t_Everything, "{'next':{'next':{'shape':{'kind':'red'}}}}", "Parameter 'next.next.shape.r' is missing" },
    { &t_Everything, "{'shape':{'kind':'red','r':-1}}", "Parameter 'shape.r' expects a value in the range 0 to inf" },
    { &t_Everything, "{'shape':{'kind':'dark-blue','r':1}}", "Parameter 'shape.r' is unexpected" },
    { &t_Everything, "{'shape':{'r':1}}", "Parameter 'shape.kind' is missing" },
    { &t_Everything, "{'ref':'q'}", "Parameter 'ref': no thing 'q'" },
};

static const Case text_cases[] = {
    { &t_Point, "{'x':'0x1F'}", NULL }, { &t_Point, "{'x':'-5'}", NULL }, { &t_Point, "{'x':7}", NULL },
    { &t_Point, "{'x':'5x'}", "Parameter 'x' expects integer" },
    { &t_Point, "{'x':''}", "Parameter 'x' expects integer" },
    { &t_Point, "{'x':' 5'}", "Parameter 'x' expects integer" },
    { &t_Point, "{'x':'-'}", "Parameter 'x' expects integer" },
    { &t_Point, "{'x':'1','foo':'2'}", "Invalid parameter 'foo'" },
    { &t_Point, "{'x':'1','label':{'a':'b'}}", "Parameters 'label.*' are unexpected" },
    { &t_Everything, "{'b':'maybe'}", "Parameter 'b' expects 'on' or 'off'" },
    { &t_Everything, "{'b':'yes'}", NULL }, { &t_Everything, "{'size':'1.5G'}", NULL },
    { &t_Everything, "{'size':'16E'}", "Parameter 'size' expects a size value" },
    { &t_Everything, "{'size':'-1'}", "Parameter 'size' expects a size value" },
    { &t_Everything, "{'u8':'256'}", "Parameter 'u8' expects uint8_t (0 to 255)" },
    { &t_Everything, "{'u8':'-1'}", "Parameter 'u8' expects uint8_t (0 to 255)" },
    { &t_Everything, "{'number':'1.5'}", NULL },
    { &t_Everything, "{'number':'x'}", "Parameter 'number' expects a number" },
    { &t_Everything, "{'u16s':'3-5'}", NULL },
    { &t_Everything, "{'u16s':'5-3'}", "Parameter 'u16s' expects an integer or a range of them, as 0-7" },
    { &t_Everything, "{'u16s':['x']}", "Parameter 'u16s.0' expects integer" },
    { &t_Everything, "{'strings':['x','y']}", NULL }, { &t_Everything, "{'strs':'x'}", NULL },
    { &t_Everything, "{'pref':'5'}", NULL }, { &t_Everything, "{'nothing':''}", NULL },
};

static void check_cases(const Case *cases, size_t n,
                        bool (*read)(const QType *, struct json_object *, void *, const QRefResolver *, Error **))
{
    Things things;
    QRefResolver refs = things_init(&things);

    for (size_t i = 0; i < n; i++) {
        struct json_object *j = parse_json(cases[i].json);
        uint8_t out[sizeof(Everything)], before[sizeof(out)];
        Error *err = NULL;

        memset(out, 0x5a, sizeof(out));
        memset(before, 0x5a, sizeof(out));
        if (read(cases[i].type, j, out, &refs, &err)) {
            g_assert_cmpstr(NULL, ==, cases[i].error);
            qvalue_finish(cases[i].type, out, &refs);
        } else {
            g_assert_cmpstr(error_message(err), ==, cases[i].error);
            g_assert_cmpmem(out, sizeof(out), before, sizeof(out)); /* untouched */
            error_free(err);
        }
        json_object_put(j);
        g_assert_cmpint(things_total(&things), ==, 0);
    }
}

static void test_json_errors(void)
{
    Case cases[COUNT(json_cases)];

    memcpy(cases, json_cases, sizeof(cases));
    cases[5].error = "Invalid parameter type for 'x', expected: integer";
    check_cases(cases, COUNT(cases), qvalue_from_json);
}

static void test_text_errors(void)
{
    check_cases(text_cases, COUNT(text_cases), qvalue_from_text);
}

static void test_hints(void)
{
    struct json_object *j = parse_json("{'color':'gren'}");
    Everything e;
    Error *err = NULL;

    g_assert_false(qvalue_from_json(&t_Everything, j, &e, NULL, &err));
    g_assert_cmpstr(error_hint_text(err), ==, "Did you mean 'green'?\nValues: red, green, dark-blue");
    error_free(err);
    err = NULL;
    json_object_put(j);
    j = parse_json("{'shape':{'kind':'green','w':1,'nmae':'x'}}");
    g_assert_false(qvalue_from_json(&t_Everything, j, &e, NULL, &err));
    g_assert_cmpstr(error_message(err), ==, "Parameter 'shape.nmae' is unexpected");
    g_assert_cmpstr(error_hint_text(err), ==, "Did you mean 'name'?");
    error_free(err);
    err = NULL;
    json_object_put(j);
    j = parse_json("{'shape':{'kidn':'green','w':1}}"); /* 'w' is near no other, and of a branch */
    g_assert_false(qvalue_from_json(&t_Everything, j, &e, NULL, &err));
    g_assert_cmpstr(error_message(err), ==, "Parameter 'shape.kind' is missing");
    g_assert_cmpstr(error_hint_text(err), ==, "Did you mean 'kind' where 'kidn' stands?");
    error_free(err);
    json_object_put(j);
}

static void test_defaults(void)
{
    struct json_object *j = parse_json("{'shape':{'kind':'green','w':21}}");
    Everything e, zero = { 0 };

    g_assert_true(qvalue_from_json(&t_Everything, j, &e, NULL, &error_abort));
    g_assert_cmpuint(e.shape->u.green.h, ==, 42);
    g_assert_cmpuint(e.preset, ==, 42);
    g_assert_false(e.has_b);
    qvalue_finish(&t_Everything, &e, NULL);
    g_assert_cmpmem(&e, sizeof(e), &zero, sizeof(e));
    qvalue_defaults(&t_Everything, &e);
    g_assert_cmpuint(e.preset, ==, 42);
    json_object_put(j);
}

static void test_member(void)
{
    const QMember *label = qtype_member(&t_Point, "label"), *y = qtype_member(&t_Point, "y");
    struct json_object *j = parse_json("['one','two',3,99]");
    Point p = { .x = 1 };
    Error *err = NULL;

    g_assert_true(qmember_from_json(label, json_object_array_get_idx(j, 0), &p, NULL, &error_abort));
    g_assert_true(qmember_from_json(label, json_object_array_get_idx(j, 1), &p, NULL, &error_abort));
    g_assert_cmpstr(p.label, ==, "two");
    g_assert_false(qmember_is_present(y, &p));
    g_assert_true(qmember_from_json(y, json_object_array_get_idx(j, 2), &p, NULL, &error_abort));
    g_assert_true(p.has_y && p.y == 3);
    g_assert_false(qmember_from_json(y, json_object_array_get_idx(j, 3), &p, NULL, &err));
    g_assert_cmpstr(error_message(err), ==, "Parameter 'y' expects a value in the range -10 to 10");
    g_assert_cmpint(p.y, ==, 3);
    error_free(err);
    qvalue_finish(&t_Point, &p, NULL);
    json_object_put(j);
}

static void test_round_trip(void)
{
    GRand *r = g_rand_new_with_seed(3);
    Things things;
    QRefResolver refs = things_init(&things);

    for (int i = 0; i < 3000; i++) {
        struct json_object *j = rand_value(r, &t_Everything, NULL, 0), *back;
        Everything e, copy;

        g_assert_true(qvalue_from_json(&t_Everything, j, &e, &refs, &error_abort));
        back = qvalue_to_json(&t_Everything, &e, &refs);
        g_assert_true(qjson_equal(j, back));
        qvalue_copy(&t_Everything, &copy, &e, &refs);
        g_assert_true(qvalue_equal(&t_Everything, &e, &copy));
        qvalue_finish(&t_Everything, &e, &refs);
        copy.preset++;
        g_assert_false(qvalue_equal(&t_Everything, &e, &copy));
        json_object_put(back);
        back = qvalue_to_json(&t_Everything, &copy, &refs);
        g_assert_false(qjson_equal(j, back));
        qvalue_finish(&t_Everything, &copy, &refs);
        json_object_put(back);
        json_object_put(j);
        g_assert_cmpint(things_total(&things), ==, 0);
    }
    g_rand_free(r);
}

/* Replaces one random item anywhere in v. */
static void spoil(GRand *r, struct json_object *v)
{
    struct json_object *into = v;

    for (;;) {
        struct json_object *next = NULL;
        int n = json_object_is_type(into, json_type_object) ? json_object_object_length(into) : 0;
        int pick = n ? g_rand_int_range(r, 0, n) : 0;

        if (!n) {
            return;
        }
        json_object_object_foreach(into, key, member) {
            if (pick-- == 0) {
                if (json_object_is_type(member, json_type_object) && g_rand_boolean(r)) {
                    next = member;
                    break;
                }
                json_object_object_add(into, key, g_rand_boolean(r) ? rand_any(r, 0) : NULL);
                return;
            }
        }
        into = next;
    }
}

static void test_mutations(void)
{
    GRand *r = g_rand_new_with_seed(4);
    Things things;
    QRefResolver refs = things_init(&things);
    int failed = 0;

    for (int i = 0; i < 4000; i++) {
        struct json_object *j = rand_value(r, &t_Everything, NULL, 0);
        Everything e;
        Error *err = NULL;

        spoil(r, j);
        if ((i & 1 ? qvalue_from_json : qvalue_from_text)(&t_Everything, j, &e, &refs, &err)) {
            qvalue_finish(&t_Everything, &e, &refs);
        } else {
            failed++;
            error_free(err);
        }
        json_object_put(j);
        g_assert_cmpint(things_total(&things), ==, 0);
    }
    g_assert_cmpint(failed, >, 1000);
    g_rand_free(r);
}

static void test_depth(void)
{
    struct json_object *j = json_object_new_object();
    Everything e;
    Error *err = NULL;

    for (int i = 0; i < 3000; i++) {
        j = qjson_add(json_object_new_object(), "next", j);
    }
    g_assert_false(qvalue_from_json(&t_Everything, j, &e, NULL, &err));
    g_assert_cmpstr(error_message(err), ==, "Parameters are nested deeper than 1024 levels");
    error_free(err);
    json_object_put(j);
}

static void test_size(void)
{
    static const struct {
        const char *text;
        unsigned shift;
        uint64_t value;
        bool ok;
    } t[] = {
        { "0", 0, 0, true }, { "512", 20, 512ull << 20, true }, { "512b", 20, 512, true }, { "1k", 0, 1024, true },
        { "1.5K", 0, 1536, true }, { "0.1k", 0, 102, true }, { "1.1k", 0, 1126, true }, { "12.345M", 0, 12944671, true },
        { "15.999999999999999999E", 0, UINT64_MAX, true }, { "15.5E", 0, 0xf800000000000000, true },
        { "16E", 0, 0, false }, { "18446744073709551615", 0, UINT64_MAX, true }, { "18446744073709551616", 0, 0, false },
        { "0x10", 0, 16, true }, { "0x10", 20, 16, true }, { "0xffffffffffffffff", 0, UINT64_MAX, true },
        { "0x10000000000000000", 0, 0, false }, { "0x", 0, 0, false }, { "0x1k", 0, 0, false }, { "", 0, 0, false },
        { "k", 0, 0, false }, { "1.k", 0, 0, false }, { ".5k", 0, 0, false }, { "1.5", 0, 0, false },
        { "1.5", 20, 3 << 19, true }, { "1kk", 0, 0, false }, { "1kB", 0, 0, false }, { "1x", 0, 0, false },
        { "-1", 0, 0, false }, { "+1", 0, 0, false }, { " 1", 0, 0, false }, { "1e3", 0, 0, false }, { "010", 0, 10, true },
    };

    for (size_t i = 0; i < COUNT(t); i++) {
        uint64_t v = 77;
        bool ok = qsize_parse(t[i].text, t[i].shift, &v);
        g_assert_cmpint(ok, ==, t[i].ok);
        g_assert_cmpuint(v, ==, ok ? t[i].value : 77);
    }
}

static const char *word_at(const void *opaque, size_t i)
{
    return ((const char *const *)opaque)[i];
}

static void test_suggest(void)
{
    static const char *const words[] = { "isa-serial", "virtio-net-pci", "e1000", NULL, "on", "filename" };

    g_assert_cmpstr(qsuggest("isa-seriel", word_at, words, COUNT(words)), ==, "isa-serial");
    g_assert_cmpstr(qsuggest("virtio-ent-pci", word_at, words, COUNT(words)), ==, "virtio-net-pci");
    g_assert_cmpstr(qsuggest("file-name", word_at, words, COUNT(words)), ==, "filename");
    g_assert_cmpstr(qsuggest("zzz", word_at, words, COUNT(words)), ==, NULL);
    g_assert_cmpstr(qsuggest("", word_at, words, COUNT(words)), ==, NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/visit/json-errors", test_json_errors);
    g_test_add_func("/visit/text-errors", test_text_errors);
    g_test_add_func("/visit/hints", test_hints);
    g_test_add_func("/visit/defaults", test_defaults);
    g_test_add_func("/visit/member", test_member);
    g_test_add_func("/visit/round-trip", test_round_trip);
    g_test_add_func("/visit/mutations", test_mutations);
    g_test_add_func("/visit/depth", test_depth);
    g_test_add_func("/visit/size", test_size);
    g_test_add_func("/schema/suggest", test_suggest);
    return g_test_run();
}
