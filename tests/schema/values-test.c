/*
 * Generated types through the interpreter of qapi/visit.h: JSON to the C structs and back, with
 * defaults in the order of members, unions, alternates and inherited config.
 */
#include <glib.h>

#include "qapi/json.h"
#include "qapi/visit.h"
#include "tests/schema/items.gen.h"
#include "tests/schema/machine.gen.h"

static struct json_object *parse(const char *text)
{
    struct json_object *j = NULL;

    g_assert_true(qjson_parse(text, strlen(text), &j, &error_abort));
    return j;
}

/* Reads text into *out and expects the value to print as `want`. */
static void round_trip(const QType *t, void *out, const char *text, const char *want)
{
    struct json_object *j = parse(text), *back;
    char *printed;

    g_assert_true(qvalue_from_json(t, j, out, NULL, &error_abort));
    back = qvalue_to_json(t, out, NULL);
    printed = qjson_text(back, false);
    g_assert_cmpstr(printed, ==, want);
    free(printed);
    json_object_put(back);
    json_object_put(j);
}

static void refused(const QType *t, const char *text, const char *message)
{
    g_autofree void *out = g_malloc0(t->size);
    struct json_object *j = parse(text);
    Error *err = NULL;

    g_assert_false(qvalue_from_json(t, j, out, NULL, &err));
    g_assert_nonnull(strstr(error_message(err), message));
    error_free(err);
    json_object_put(j);
}

static void test_conf(void)
{
    IsaSerialConf c = { 0 };

    round_trip(&qtype_IsaSerialConf, &c, "{'index': 3}",
               "{\"index\": 3, \"iobase\": 744, \"irq\": 3, \"wakeup\": false}");
    g_assert_null(c.id);
    qvalue_finish(&qtype_IsaSerialConf, &c, NULL);
    round_trip(&qtype_IsaSerialConf, &c, "{'index': 1, 'iobase': 1, 'id': 'com'}",
               "{\"id\": \"com\", \"index\": 1, \"iobase\": 1, \"irq\": 3, \"wakeup\": false}");
    g_assert_cmpstr(((DeviceConf *)&c)->id, ==, "com");
    qvalue_finish(&qtype_IsaSerialConf, &c, NULL);
    refused(&qtype_IsaSerialConf, "{'index': 4}", "index");
    refused(&qtype_IsaSerialConf, "{'indx': 1}", "indx");
    refused(&qtype_IsaSerialConf, "{'irq': 16}", "irq");
}

static void test_union_conf(void)
{
    SinkConf c = { 0 };

    round_trip(&qtype_SinkConf, &c,
               "{'kind': 'file', 'path': '/x', 'spare': {'id': 'b', 'kind': 'socket', "
               "'host': 'h', 'port': 65535}}",
               "{\"kind\": \"file\", \"limit\": 1073741824, \"spare\": {\"id\": \"b\", \"kind\": "
               "\"socket\", "
               "\"host\": \"h\", \"port\": 65535}, \"path\": \"/x\", \"append\": true}");
    g_assert_cmpint(c.spare->kind, ==, QK_UNION);
    g_assert_cmpuint(c.spare->u.definition->u.socket.port, ==, 65535);
    g_assert_cmpstr(c.u.file.path, ==, "/x");
    qvalue_finish(&qtype_SinkConf, &c, NULL);

    round_trip(&qtype_SinkConf, &c, "{'spare': null}",
               "{\"kind\": \"null\", \"limit\": 0, \"spare\": null}");
    g_assert_cmpint(c.spare->kind, ==, QK_NULL);
    qvalue_finish(&qtype_SinkConf, &c, NULL);
    refused(&qtype_SinkConf, "{'path': '/x'}", "path");
    refused(&qtype_SinkConf, "{'kind': 'file'}", "path");
    refused(&qtype_SinkConf, "{'spare': 3}", "spare");
}

static void test_nested(void)
{
    StatusMore m = { 0 }, copy;

    round_trip(&qtype_StatusMore, &m,
               "{'status': 'x-colo', 'tags': ['a', 'b'], 'note': 'n', 'next': {'status': 'paused', "
               "'note': 'o', 'since-ns': 5}}",
               "{\"status\": \"x-colo\", \"tags\": [\"a\", \"b\"], \"note\": \"n\", "
               "\"next\": {\"status\": \"paused\", \"since-ns\": 5, \"note\": \"o\"}}");
    g_assert_cmpint(m.status, ==, RUN_STATE_X_COLO);
    g_assert_cmpuint(m.tags.len, ==, 2);
    g_assert_true(!m.has_since_ns && m.next->has_since_ns && !m.next->has_tags);
    qvalue_copy(&qtype_StatusMore, &copy, &m, NULL);
    g_assert_true(qvalue_equal(&qtype_StatusMore, &copy, &m));
    copy.next->since_ns++;
    g_assert_false(qvalue_equal(&qtype_StatusMore, &copy, &m));
    qvalue_finish(&qtype_StatusMore, &copy, NULL);
    qvalue_finish(&qtype_StatusMore, &m, NULL);
}

/* All state of every shape can be printed from zero: arrays in arrays, buffers, timers, structs by
 * value. */
static void test_state(void)
{
    VirtioDeviceState *v = g_new0(VirtioDeviceState, 1);
    VirtioDeviceState *other = g_new0(VirtioDeviceState, 1);

    v->vq[63].num = 1024;
    struct json_object *j = qvalue_to_json(&qtype_VirtioDeviceState, v, NULL);
    g_assert_true(qvalue_from_json(&qtype_VirtioDeviceState, j, other, NULL, &error_abort));
    g_assert_cmpuint(other->vq[63].num, ==, 1024);
    g_assert_true(qvalue_equal(&qtype_VirtioDeviceState, v, other));
    json_object_put(j);
    g_free(v);
    g_free(other);
}

static void test_rest(void)
{
    DeviceRecord r = { 0 }, copy;

    round_trip(&qtype_DeviceRecord, &r, "{'driver': 'isa-serial', 'index': 3, 'deep': {'a': [1]}}",
               "{\"driver\": \"isa-serial\", \"index\": 3, \"deep\": {\"a\": [1]}}");
    qvalue_copy(&qtype_DeviceRecord, &copy, &r, NULL);
    g_assert_true(qvalue_equal(&qtype_DeviceRecord, &copy, &r));
    json_object_object_del(copy.rest, "deep");
    g_assert_false(qvalue_equal(&qtype_DeviceRecord, &copy, &r));
    qvalue_finish(&qtype_DeviceRecord, &copy, NULL);
    qvalue_finish(&qtype_DeviceRecord, &r, NULL);
    round_trip(&qtype_DeviceRecord, &r, "{'driver': 'x', 'id': 'y'}", "{\"driver\": \"x\", \"id\": \"y\"}");
    g_assert_null(r.rest);
    qvalue_finish(&qtype_DeviceRecord, &r, NULL);
    refused(&qtype_DeviceRecord, "{'index': 3}", "'driver' is missing");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/schema/conf", test_conf);
    g_test_add_func("/schema/union-conf", test_union_conf);
    g_test_add_func("/schema/nested", test_nested);
    g_test_add_func("/schema/state", test_state);
    g_test_add_func("/values/rest", test_rest);
    return g_test_run();
}
