/* Tests of qapi/json.h: tables of texts, random round trips, streams cut anywhere, mutated bytes. */
#include "qapi/test-schema.h"

typedef struct {
    const char *in, *out; /* out NULL: error */
    const char *error;
} Case;

static const Case cases[] = {
    { "{}", "{}" }, { " [ ] ", "[]" }, { "null", "null" }, { "true", "true" }, { "-0", "0" },
    { "{'a':1,\"b\":[true,false,null]}", "{\"a\": 1, \"b\": [true, false, null]}" },
    { "9223372036854775807", "9223372036854775807" }, { "-9223372036854775808", "-9223372036854775808" },
    { "18446744073709551615", "18446744073709551615" }, { "18446744073709551616", "1.8446744073709552e+19" },
    { "-9223372036854775809", "-9.2233720368547758e+18" }, { "0.1", "0.10000000000000001" }, { "1e3", "1000" },
    { "1.5E-7", "1.4999999999999999e-07" }, { "\"\\u00e9\\u0001/\\/\"", "\"\\u00E9\\u0001//\"" },
    { "\"\xc3\xa9\x7f\"", "\"\\u00E9\\u007F\"" }, { "\"\\ud83d\\ude00\"", "\"\\uD83D\\uDE00\"" },
    { "\"\xf0\x9f\x98\x80\"", "\"\\uD83D\\uDE00\"" }, { "'it\\'s \"x\"'", "\"it's \\\"x\\\"\"" },
    { "\"\\b\\f\\n\\r\\t\\\\\"", "\"\\b\\f\\n\\r\\t\\\\\"" }, { "\"\\u0000\"", "\"\\u0000\"" },
    { "\"\xef\xbf\xbf\"", "\"\\uFFFF\"" },
    { "", NULL, "JSON parse error, expecting value" }, { "[1,]", NULL, "JSON parse error, expecting value" },
    { "{'a':1,}", NULL, "JSON parse error, expecting value" },
    { "{'a' 1}", NULL, "JSON parse error, missing : in object pair" },
    { "{5:1}", NULL, "JSON parse error, key is not a string in object" },
    { "{'a':1 'b':2}", NULL, "JSON parse error, expected separator in dict" },
    { "[1 2]", NULL, "JSON parse error, expected separator in list" },
    { "[1}", NULL, "JSON parse error, expected separator in list" },
    { "{'a':1,'a':2}", NULL, "JSON parse error, duplicate key" },
    { "nonsense", NULL, "JSON parse error, invalid keyword 'nonsense'" }, { "01", NULL, "JSON parse error, stray '01'" },
    { "1.", NULL, "JSON parse error, stray '1.'" }, { "-", NULL, "JSON parse error, stray '-'" },
    { "0x10", NULL, "JSON parse error, stray '0x10'" }, { "1e400", NULL, "JSON parse error, number '1e400' is out of range" },
    { "\"\\ud800\"", NULL, "JSON parse error, \\ud800 is not a valid Unicode character" },
    { "\"\\ud800\\u0041\"", NULL, "JSON parse error, \\ud800 is not a valid Unicode character" },
    { "\"\\q\"", NULL, "JSON parse error, invalid escape sequence in string" },
    { "\"\\u12g4\"", NULL, "JSON parse error, invalid hex escape in string" },
    { "\"\xc0\x80\"", NULL, "JSON parse error, invalid UTF-8 sequence in string" },
    { "\"\xed\xa0\x80\"", NULL, "JSON parse error, invalid UTF-8 sequence in string" },
    { "\"\xf4\x90\x80\x80\"", NULL, "JSON parse error, invalid UTF-8 sequence in string" },
    { "\"a\tb\"", NULL, "JSON parse error, stray '\"a?b\"'" }, { "\"ab", NULL, "JSON parse error, stray '\"ab'" },
    { "1 2", NULL, "JSON parse error, stray '2'" }, { "%d", NULL, "JSON parse error, stray '%'" },
    { "{'\\u0000':1}", NULL, "JSON parse error, \\u0000 in a member name" },
};

static void test_cases(void)
{
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_object *v = NULL;
        Error *err = NULL;

        if (qjson_parse(cases[i].in, strlen(cases[i].in), &v, &err)) {
            g_autofree char *text = qjson_text(v, false);
            g_assert_cmpstr(text, ==, cases[i].out);
            json_object_put(v);
        } else {
            g_assert_null(cases[i].out);
            g_assert_cmpstr(error_message(err), ==, cases[i].error);
            error_free(err);
        }
    }
}

static void test_pretty(void)
{
    struct json_object *v = parse_json("{'a':[],'b':{},'c':[1,{'d':2}]}");
    QBuf b = { 0 };

    qjson_write(&b, v, true, true);
    g_assert_cmpstr(b.data, ==,
                    "{\r\n    \"a\": [\r\n    ],\r\n    \"b\": {\r\n    },\r\n    \"c\": [\r\n        1,\r\n"
                    "        {\r\n            \"d\": 2\r\n        }\r\n    ]\r\n}");
    qbuf_finish(&b);
    json_object_put(v);
}

static void test_round_trip(void)
{
    GRand *r = g_rand_new_with_seed(1);

    for (int i = 0; i < 5000; i++) {
        struct json_object *v = rand_any(r, 0), *back = NULL;
        char *text = qjson_text(v, i & 1);
        g_assert_true(qjson_parse(text, strlen(text), &back, &error_abort));
        /* 3.0 is written "3": compare as texts when the values' kinds differ */
        g_autofree char *again = qjson_text(back, i & 1);
        g_assert_cmpstr(again, ==, text);
        json_object_put(v);
        json_object_put(back);
        free(text);
    }
    g_rand_free(r);
}

typedef struct {
    QBuf log;
    int values, errors;
} Log;

static void on_value(void *opaque, struct json_object *v, Error *err)
{
    Log *log = opaque;

    if (err) {
        log->errors++;
        qbuf_printf(&log->log, "!%s\n", error_message(err));
        error_free(err);
    } else {
        log->values++;
        qjson_write(&log->log, v, false, false);
        qbuf_char(&log->log, '\n');
        json_object_put(v);
    }
}

static char *stream(const char *text, size_t len, GRand *r, Log *log)
{
    QJsonParser *p = qjson_parser_new(on_value, log);

    while (len) {
        size_t n = r ? (size_t)g_rand_int_range(r, 1, 8) : 1;
        n = MIN(n, len);
        qjson_parser_feed(p, text, n);
        text += n;
        len -= n;
    }
    qjson_parser_flush(p);
    qjson_parser_free(p);
    return qbuf_steal(&log->log);
}

static void test_stream(void)
{
    static const char text[] = "{'a':1}{\"b\":[\"}\",'\\'']} 5 true\n[1]x]7\n{\"open\n{'c':2}\xff{'d':3} \"s\"{";
    Log log = { 0 };
    g_autofree char *got = stream(text, strlen(text), NULL, &log);

    g_assert_cmpstr(got, ==,
                    "{\"a\": 1}\n{\"b\": [\"}\", \"'\"]}\n5\ntrue\n[1]\n"
                    "!JSON parse error, invalid keyword 'x'\n!JSON parse error, expecting value\n7\n"
                    "!JSON parse error, stray '{\"open?'\n{\"c\": 2}\n!JSON parse error, stray '?'\n"
                    "{\"d\": 3}\n\"s\"\n!JSON parse error, key is not a string in object\n");
}

static void test_limits(void)
{
    Log log = { 0 };
    QJsonParser *p = qjson_parser_new(on_value, &log);
    char *big = g_malloc(1 << 20);

    memset(big, '[', 2000);
    qjson_parser_feed(p, big, 2000);
    g_assert_cmpint(log.errors, ==, 1);
    qjson_parser_feed(p, "\n[1]", 4);
    g_assert_cmpint(log.values, ==, 1);
    memset(big, ' ', 1 << 20);
    qjson_parser_feed(p, "[", 1);
    for (int i = 0; i < 65; i++) {
        qjson_parser_feed(p, big, 1 << 20);
    }
    g_assert_cmpint(log.errors, ==, 2);
    qjson_parser_feed(p, "]\n[2]", 5);
    g_assert_cmpint(log.errors, ==, 2);
    g_assert_cmpint(log.values, ==, 2);
    g_assert_nonnull(strstr(log.log.data, "nesting depth limit"));
    g_assert_nonnull(strstr(log.log.data, "token size limit"));
    memset(big, ',', 1 << 20);
    qjson_parser_feed(p, "[", 1);
    qjson_parser_feed(p, big, 1 << 20);
    g_assert_cmpint(log.errors, ==, 2);
    qjson_parser_feed(p, big, 1 << 20);
    g_assert_cmpint(log.errors, ==, 3);
    qjson_parser_feed(p, "\n[3]", 4);
    g_assert_cmpint(log.values, ==, 3);
    g_assert_nonnull(strstr(log.log.data, "token count limit"));
    qjson_parser_free(p);
    qbuf_finish(&log.log);
    g_free(big);
}

/* Any bytes: no crash, and the pieces they come in make no difference. */
static void test_mutations(void)
{
    GRand *r = g_rand_new_with_seed(2);
    static const char bits[] = "{}[]\",:'\\u0123456789eE+-. \ntrufalsn\xff\xc3\x80";

    for (int i = 0; i < 4000; i++) {
        struct json_object *v = rand_any(r, 0);
        char *text = qjson_text(v, false);
        size_t len = strlen(text);
        Log a = { 0 }, b = { 0 };

        for (int n = g_rand_int_range(r, 1, 5); n > 0; n--) {
            text[g_rand_int_range(r, 0, len)] = bits[g_rand_int_range(r, 0, sizeof(bits))];
        }
        g_autofree char *one = stream(text, len, NULL, &a);
        g_autofree char *two = stream(text, len, r, &b);
        g_assert_cmpstr(one, ==, two);
        json_object_put(v);
        free(text);
    }
    g_rand_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/json/cases", test_cases);
    g_test_add_func("/json/pretty", test_pretty);
    g_test_add_func("/json/round-trip", test_round_trip);
    g_test_add_func("/json/stream", test_stream);
    g_test_add_func("/json/limits", test_limits);
    g_test_add_func("/json/mutations", test_mutations);
    return g_test_run();
}
