/* Tests of qapi/introspect.h: the answers' form, their completeness, and help compared as text. */
#include "qapi/introspect.h"
#include "qapi/schema.h"
#include "qapi/test-schema.h"

typedef struct {
    char *id;
    uint32_t index, iobase;
    void *chardev, *iothread;
} SerialConf;
static const QMember serial_conf[] = {
    { MEMBER(SerialConf, "id", id, t_str), .inherited = true },
    { MEMBER(SerialConf, "index", index, t_u32), .has_max = true, .max.u = 3, .default_text = "0" },
    { MEMBER(SerialConf, "iobase", iobase, t_u32), .default_text = "index ? 1 : 2", .default_is_expr = true },
    { MEMBER(SerialConf, "chardev", chardev, t_ref), .required = true },
};
static const QType t_conf = { STRUCT_TYPE(SerialConf, serial_conf) };
static const QType t_empty = { ITEM("Empty"), .kind = QK_STRUCT };
static const QMember info_members[] = { { MEMBER(Point, "level", y, t_i32), .required = true } };
static const QType t_info = { STRUCT_TYPE(Point, info_members) };
static const QClass k_object = { ITEM("object"), .kind = QCLASS_OTHER, .abstract = true, .conf = &t_empty };
static const QClass k_device = { ITEM("device"), .kind = QCLASS_DEVICE, .parent = &k_object, .abstract = true,
                                 .conf = &t_empty, .info = &t_info };
static const char *const hotpluggable[] = { "vmstate-if", NULL };
static const QClass k_serial = { ITEM("isa-serial"), .kind = QCLASS_DEVICE, .parent = &k_device, .user_creatable = true,
                                 .conf = &t_conf, .category = "Input", .bus = "isa-bus", .alias = "serial",
                                 .interfaces = hotpluggable };
static const QClass k_thing = { ITEM("thing"), .kind = QCLASS_OBJECT, .parent = &k_object, .user_creatable = true,
                                .conf = &t_empty };
static const QClass *const classes[] = { &k_device, &k_serial, &k_object, &k_thing };

static const char *const features[] = { "fast", NULL };
static const QCommand c_get = { .item = { .name = "get", .doc = "Gets.", .since = "1.0", .features = features,
                                          .stability = STABILITY_DEPRECATED, .instead = "take" },
                                .args = &t_Everything, .ret = &t_points, .phases = PHASE_ALL, .allow_oob = true };
static const QCommand c_stop = { ITEM("stop"), .phases = PHASE_RUNNING };
static const QCommand *const commands[] = { &c_get, &c_stop };
static const QEvent e_stop = { ITEM("STOP") };
static const QEvent *const events[] = { &e_stop };
static const QOption o_device = { ITEM("device"), .group = "Standard", .args_text = "driver[,prop=value]", .args = &t_Shape };
static const QOption o_s = { ITEM("s"), .group = "Debug/Expert" };
static const QOption *const options[] = { &o_device, &o_s };
static const QType *const types[] = { &t_Everything, &t_Point, &t_Shape };
static const QSchema schema = {
    .classes = classes, .num_classes = 4, .commands = commands, .num_commands = 2, .events = events, .num_events = 1,
    .options = options, .num_options = 2, .types = types, .num_types = 3,
};

static char *take_text(struct json_object *j)
{
    char *text = qjson_text(j, false);

    json_object_put(j);
    return text;
}

static const char *member_text(struct json_object *o, const char *key)
{
    struct json_object *v;

    return json_object_object_get_ex(o, key, &v) ? json_object_get_string(v) : NULL;
}

/* Every type that is named anywhere is told exactly once. */
static void check_closed(struct json_object *all)
{
    g_autoptr(GHashTable) told = g_hash_table_new(g_str_hash, g_str_equal);
    size_t n = json_object_array_length(all);

    for (size_t i = 0; i < n; i++) {
        struct json_object *e = json_object_array_get_idx(all, i);
        g_assert_true(g_hash_table_add(told, (char *)member_text(e, "name")));
    }
    for (size_t i = 0; i < n; i++) {
        struct json_object *e = json_object_array_get_idx(all, i), *list;
        static const char *const refs[] = { "arg-type", "ret-type", "element-type" };
        static const char *const lists[] = { "members", "variants" };

        for (size_t k = 0; k < COUNT(refs); k++) {
            const char *name = member_text(e, refs[k]);
            g_assert_true(!name || g_hash_table_contains(told, name));
        }
        for (size_t k = 0; k < COUNT(lists); k++) {
            if (!json_object_object_get_ex(e, lists[k], &list)) {
                continue;
            }
            for (size_t m = 0; m < json_object_array_length(list); m++) {
                const char *name = member_text(json_object_array_get_idx(list, m), "type");
                g_assert_true(!name || g_hash_table_contains(told, name));
            }
        }
    }
}

static void test_qmp(void)
{
    struct json_object *masked = qintrospect_qmp(&schema, true), *plain = qintrospect_qmp(&schema, false);
    g_autofree char *first = NULL, *text = NULL;

    check_closed(masked);
    check_closed(plain);
    g_assert_cmpuint(json_object_array_length(masked), ==, json_object_array_length(plain));
    first = qjson_text(json_object_array_get_idx(masked, 0), false);
    g_assert_cmpstr(first, ==, "{\"name\": \"get\", \"meta-type\": \"command\", \"arg-type\": \"1\", \"ret-type\": \"[3]\", "
                               "\"allow-oob\": true, \"features\": [\"fast\", \"deprecated\"]}");
    text = qjson_text(plain, false);
    g_assert_nonnull(strstr(text, "{\"name\": \"uint64\"") ? NULL : text); /* integers are all "int" */
    g_assert_nonnull(strstr(text, "{\"name\": \"int\", \"meta-type\": \"builtin\", \"json-type\": \"int\"}"));
    g_assert_nonnull(strstr(text, "\"tag\": \"kind\", \"variants\": [{\"case\": \"red\", \"type\": \"Circle\"}, "
                                  "{\"case\": \"green\", \"type\": \"Rect\"}, {\"case\": \"dark-blue\", \"type\": \"q_empty\"}]"));
    g_assert_nonnull(strstr(text, "{\"name\": \"PointRef\", \"meta-type\": \"alternate\", \"members\": "
                                  "[{\"type\": \"Point\"}, {\"type\": \"str\"}, {\"type\": \"int\"}]}"));
    g_assert_nonnull(strstr(text, "{\"name\": \"y\", \"type\": \"int\", \"default\": null}"));
    json_object_put(masked);
    json_object_put(plain);
}

static void test_classes(void)
{
    g_autofree char *all = take_text(qintrospect_classes(&schema, "device", true));
    g_autofree char *iface = take_text(qintrospect_classes(&schema, "vmstate-if", false));
    g_autofree char *none = take_text(qintrospect_classes(&schema, "nosuch", true));
    g_autofree char *dev = take_text(qintrospect_device(&schema, "isa-serial", &error_abort));
    g_autofree char *obj = take_text(qintrospect_object(&schema, "thing", &error_abort));
    g_autofree char *cmds = take_text(qintrospect_commands(&schema, PHASE_PAUSED));
    Error *err = NULL;
    QPropKind kind;

    g_assert_cmpstr(all, ==, "[{\"name\": \"device\", \"abstract\": true, \"parent\": \"object\"}, "
                             "{\"name\": \"isa-serial\", \"parent\": \"device\"}]");
    g_assert_cmpstr(iface, ==, "[{\"name\": \"isa-serial\", \"parent\": \"device\"}]");
    g_assert_cmpstr(none, ==, "[]");
    g_assert_cmpstr(dev, ==, "[{\"name\": \"id\", \"type\": \"str\", \"description\": \"What id is\"}, "
                    "{\"name\": \"index\", \"type\": \"uint32\", \"description\": \"What index is\", \"default-value\": 0}, "
                    "{\"name\": \"iobase\", \"type\": \"uint32\", \"description\": \"What iobase is\"}, "
                    "{\"name\": \"chardev\", \"type\": \"link<thing>\", \"description\": \"What chardev is\"}, "
                    "{\"name\": \"level\", \"type\": \"int32\", \"description\": \"What level is\"}]");
    g_assert_cmpstr(obj, ==, "[{\"name\": \"type\", \"type\": \"string\"}]");
    g_assert_cmpstr(cmds, ==, "[{\"name\": \"get\"}]");
    g_assert_null(qintrospect_device(&schema, "isa-seriel", &err));
    g_assert_cmpstr(error_message(err), ==, "Device 'isa-seriel' not found");
    g_assert_cmpstr(error_hint_text(err), ==, "Did you mean 'isa-serial'?");
    error_free(err);
    err = NULL;
    g_assert_null(qintrospect_device(&schema, "device", &err));
    g_assert_cmpstr(error_message(err), ==, "Parameter 'typename' expects a non-abstract device type");
    error_free(err);
    err = NULL;
    g_assert_null(qintrospect_object(&schema, "foo", &err));
    g_assert_cmpstr(error_message(err), ==, "Class 'foo' not found");
    error_free(err);
    g_assert_true(qclass_property(&k_serial, "level", &kind) == &info_members[0] && kind == QPROP_INFO);
    g_assert_null(qclass_property(&k_serial, "nosuch", NULL));
    g_assert_true(qschema_class(&schema, "serial") == &k_serial); /* by alias */
    g_assert_true(qclass_is_a(&k_serial, "object") && !qclass_is_a(&k_serial, "thing"));
}

static void test_options(void)
{
    g_autofree char *all = take_text(qintrospect_options(&schema, NULL, &error_abort));
    g_autofree char *s = take_text(qintrospect_options(&schema, "s", &error_abort));
    Error *err = NULL;

    g_assert_nonnull(strstr(all, "{\"name\": \"kind\", \"type\": \"string\", \"help\": \"What kind is\"}"));
    g_assert_nonnull(strstr(all, "{\"name\": \"w\", \"type\": \"number\", \"help\": \"What w is\"}")); /* of a branch */
    g_assert_nonnull(strstr(all, "\"option\": \"device\""));
    g_assert_cmpstr(s, ==, "[{\"parameters\": [], \"option\": \"s\"}]");
    g_assert_null(qintrospect_options(&schema, "foo", &err));
    g_assert_cmpstr(error_message(err), ==, "invalid option name: foo");
    error_free(err);
}

static void test_all(void)
{
    QBuf b = { 0 };
    struct json_object *whole;
    g_autofree char *text = NULL;

    qintrospect_all(&schema, &b);
    text = g_strdup(b.data);
    qbuf_finish(&b);
    g_assert_true(qjson_parse(text, strlen(text), &whole, NULL));
    json_object_put(whole);
    g_assert_nonnull(strstr(text, "\"default-expression\": \"index ? 1 : 2\""));
    g_assert_nonnull(strstr(text, "\"name\": \"get\", \"doc\": \"Gets.\", \"since\": \"1.0\", \"stability\": \"deprecated\", "
                                  "\"instead\": \"take\""));
    g_assert_nonnull(strstr(text, "\"phases\": [\"running\"]"));
    for (const char *const *k = (const char *const[]){ "types", "commands", "events", "classes", "options", "hmp", NULL }; *k; k++) {
        g_autofree char *key = g_strdup_printf("\"%s\": [", *k);
        g_assert_nonnull(strstr(text, key));
    }
}

static void test_help(void)
{
    QBuf b = { 0 };

    qhelp_class(&schema, &k_serial, &b);
    g_assert_cmpstr(b.data, ==,
                    "isa-serial options:\n"
                    "  chardev=<link<thing>>  - What chardev is (required)\n"
                    "  id=<str>               - What id is\n"
                    "  index=<uint32>         - What index is, range ..3 (default: 0)\n"
                    "  iobase=<uint32>        - What iobase is (default: index ? 1 : 2)\n");
    qbuf_finish(&b);
    qhelp_class(&schema, &k_thing, &b);
    g_assert_cmpstr(b.data, ==, "There are no options for thing.\n");
    qbuf_finish(&b);
    qhelp_devices(&schema, &b);
    g_assert_cmpstr(b.data, ==, "Input devices:\nname \"isa-serial\", bus isa-bus, alias \"serial\", desc \"What isa-serial is\"\n");
    qbuf_finish(&b);
    qhelp_list(&schema, QCLASS_OBJECT, "List of user creatable objects:", &b);
    g_assert_cmpstr(b.data, ==, "List of user creatable objects:\nthing                What thing is\n");
    qbuf_finish(&b);
    qhelp_options(&schema, &b);
    g_assert_cmpstr(b.data, ==, "Standard options:\n-device driver[,prop=value]\n                What device is.\n\n"
                                "Debug/Expert options:\n-s\n                What s is.\n\n");
    qbuf_finish(&b);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/introspect/qmp", test_qmp);
    g_test_add_func("/introspect/classes", test_classes);
    g_test_add_func("/introspect/options", test_options);
    g_test_add_func("/introspect/all", test_all);
    g_test_add_func("/help", test_help);
    return g_test_run();
}
