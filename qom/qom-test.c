/* Life cycle, references, paths, configuration layers and properties of objects, on classes of testing.h. */
#include <glib.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "qom/testing.h"

static QomTree *new_tree(void)
{
    test_log();
    return qom_tree_new(&test_schema, &test_values);
}

#define assert_error(err, text) \
    do { \
        g_assert_nonnull(err); \
        g_assert_cmpstr(error_message(err), ==, text); \
        error_free(err); \
        err = NULL; \
    } while (0)

static Object *add(QomTree *tree, const char *class_name, const char *id, const char *json, Error **errp)
{
    struct json_object *props = json ? json_tokener_parse(json) : NULL;
    Object *o = qom_object_add(tree, class_name, id, props, false, errp);

    g_assert(!json || props);
    json_object_put(props);
    return o;
}

static void assert_path(Object *o, const char *path)
{
    char *p = object_path(o);

    g_assert_cmpstr(p, ==, path);
    free(p);
}

static void test_life(void)
{
    QomTree *tree = new_tree();
    Object *o = add(tree, "thing", "a", NULL, &error_abort);

    g_assert_cmpint(object_life(o), ==, OBJECT_REALIZED);
    g_assert_cmpstr(object_iface(o), ==, "things");
    g_assert_true(object_is_a(o, "thing-base"));
    g_assert_cmpstr(test_log(), ==, "realize a");
    object_ref(o);
    g_assert_true(qom_object_del(tree, "a", &error_abort));
    g_assert_cmpint(object_life(o), ==, OBJECT_GONE);
    g_assert_null(o->parent);
    g_assert_null(object_path(o));
    g_assert_cmpstr(test_log(), ==, "unrealize a");
    object_unref_later(o);
    g_assert_cmpstr(test_log(), ==, "");
    qom_tree_reap(tree);
    g_assert_cmpstr(test_log(), ==, "finish -");
    qom_tree_free(tree);
}

static void test_composite(void)
{
    QomTree *tree = new_tree();
    Object *g = add(tree, "gadget", "g", "{'parts': 2}", &error_abort);

    g_assert_cmpstr(test_log(), ==, "realize g; realize part[0]; realize part[1]");
    assert_path(object_child(g, "part[1]"), "/objects/g/part[1]");
    g_assert_true(qom_object_del(tree, "g", &error_abort));
    g_assert_cmpstr(test_log(), ==,
                    "unrealize part[1]; unrealize part[0]; gadget-unrealize g; unrealize g; finish -; finish -; finish -");
    qom_tree_free(tree);
}

/* A failure at each step leaves nothing: the sanitizer and qom_tree_free() check the rest. */
static void test_failures(void)
{
    static const struct {
        const char *class_name, *props, *error, *log;
    } cases[] = {
        {"thing", "{'fail': 1}", "init failed as told", "finish -"},
        {"thing", "{'fail': 2}", "realize failed as told", "finish -"},
        {"gadget", "{'fail': 1, 'parts': 3}", "init failed as told", "finish -"},
        {"gadget", "{'fail': 4, 'parts': 2}", "late failure as told",
         "realize x; unrealize x; finish -; finish -; finish -"},
        {"thing", "{'size': 'x'}", "Invalid parameter type for 'size', expected: integer", ""},
        {"thing", "{'level': 101}", "Parameter 'level' out of range", ""},
        {"thing", "{'sise': 1}", "Parameter 'sise' is unexpected", ""},
        {"thing", "{'peer': 'nobody', 'label': 'x'}", "Device 'nobody' not found", ""},
        {"thing-base", NULL, "Parameter 'qom-type' does not accept value 'thing-base'", ""},
        {"toy-device", NULL, "Parameter 'qom-type' does not accept value 'toy-device'", ""},
        {"thong", NULL, "Parameter 'qom-type' does not accept value 'thong'", ""},
    };
    QomTree *tree = new_tree();

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Error *err = NULL;

        g_assert_null(add(tree, cases[i].class_name, "x", cases[i].props, &err));
        assert_error(err, cases[i].error);
        g_assert_cmpstr(test_log(), ==, cases[i].log);
        g_assert_null(object_child(qom_objects(tree), "x"));
    }
    qom_tree_free(tree);
}

/* A child's failure undoes its parent and the children before it, and the parent can be realized later. */
static void test_child_fails(void)
{
    QomTree *tree = new_tree();
    Object *g, *bad;
    QomConf conf = {0};
    struct json_object *props = json_tokener_parse("{'fail': 2}");
    Error *err = NULL;

    g_assert_true(qom_conf_build(tree, &test_thing, props, false, &conf, &error_abort));
    json_object_put(props);
    g = object_new(tree, &test_gadget, NULL, &error_abort);
    for (int i = 0; i < 2; i++) {
        Object *c = object_new(tree, &test_thing, i ? &conf : NULL, &error_abort);

        object_add_child(g, "c[*]", c, &error_abort);
        object_unref(c);
    }
    object_add_child(qom_objects(tree), "g", g, &error_abort);
    g_assert_false(object_realize(g, &err));
    assert_error(err, "realize failed as told");
    g_assert_cmpstr(test_log(), ==, "realize g; realize c[0]; unrealize c[0]; gadget-unrealize g; unrealize g");
    g_assert_cmpint(object_life(g), ==, OBJECT_CONFIGURED);
    bad = object_child(g, "c[1]");
    g_assert_cmpint(object_life(bad), ==, OBJECT_CONFIGURED);
    object_unparent(bad);
    g_assert_true(object_realize(g, &error_abort));
    object_unref(g);
    qom_tree_free(tree);
}

static void test_links(void)
{
    QomTree *tree = new_tree();
    Error *err = NULL;
    Object *a = add(tree, "thing", "a", NULL, &error_abort);
    Object *b = add(tree, "thing", "b", "{'peer': 'a'}", &error_abort);
    ObjectLink *l;

    g_assert_false(qom_object_del(tree, "a", &err));
    g_assert_cmpstr(error_hint_text(err), ==, "it is 'peer' of /objects/b (thing)");
    assert_error(err, "object 'a' is in use, can not be deleted");
    g_assert_false(qom_object_del(tree, "zz", &err));
    assert_error(err, "object 'zz' not found");
    g_assert_true(qom_resolve(tree, "/objects/b/peer", &error_abort) == a);
    l = object_link(a, "bus", b, true);
    g_assert_false(qom_object_del(tree, "b", &err));
    assert_error(err, "object 'b' is in use, can not be deleted");
    g_assert_true(qom_resolve(tree, "/objects/a/bus/peer/bus", &error_abort) == b);
    object_unlink(l);
    g_assert_true(qom_object_del(tree, "b", &error_abort));
    g_assert_true(qom_object_del(tree, "a", &error_abort));

    /* The whole tree goes down users first, whatever the order of creation. */
    add(tree, "thing", "low", NULL, &error_abort);
    add(tree, "thing", "mid", "{'peer': 'low'}", &error_abort);
    a = add(tree, "thing", "last", NULL, &error_abort);
    object_link(a, "x", qom_resolve(tree, "mid", &error_abort), false);
    object_link(qom_resolve(tree, "low", &error_abort), "y", add(tree, "thing", "deep", NULL, &error_abort), false);
    test_log();
    object_unrealize(qom_objects(tree));
    g_assert_cmpstr(test_log(), ==, "unrealize last; unrealize mid; unrealize low; unrealize deep");
    qom_tree_free(tree);
}

/* A chain of references as long as a user likes is freed without recursion. */
static void test_long_chain(void)
{
    enum { N = 50000 };
    QomTree *tree = new_tree();
    Object *prev = object_new(tree, &test_thing, NULL, &error_abort);

    for (int i = 0; i < N; i++) {
        Object *o = object_new(tree, &test_thing, NULL, &error_abort);

        object_link(o, "prev", prev, false);
        object_unref(prev);
        prev = o;
    }
    object_unref(prev);
    qom_tree_free(tree);
}

static void test_paths(void)
{
    static const struct {
        const char *path, *found, *error;
    } cases[] = {
        {"/", "/", NULL},
        {"//objects/", "/objects", NULL},
        {"/objects/g/part[0]", "/objects/g/part[0]", NULL},
        {"g/part[1]", "/objects/g/part[1]", NULL},
        {"part[2]", "/objects/g/part[2]", NULL},
        {"peripheral", "/machine/peripheral", NULL},
        {"h", "/objects/h", NULL},
        {"part[0]", NULL, "Path 'part[0]' is ambiguous"},
        {"", NULL, "Path '' is ambiguous"},
        {"/foo", NULL, "Device '/foo' not found"},
        {"foo", NULL, "Device 'foo' not found"},
        {"/objects/g/size", NULL, "Device '/objects/g/size' not found"},
    };
    QomTree *tree = new_tree();
    Object *m = object_new(tree, &test_machine, NULL, &error_abort);
    Error *err = NULL;

    g_assert_null(qom_machine(tree));
    g_assert_true(qom_set_machine(tree, m, &error_abort));
    object_unref(m);
    add(tree, "gadget", "g", "{'parts': 3}", &error_abort);
    add(tree, "gadget", "h", "{'parts': 1}", &error_abort);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        Object *o = qom_resolve(tree, cases[i].path, &err);

        if (cases[i].found) {
            g_assert_null(err);
            assert_path(o, cases[i].found);
        } else {
            g_assert_null(o);
            g_assert_cmpint(error_class(err), ==,
                            strstr(cases[i].error, "not found") ? ERROR_DEVICE_NOT_FOUND : ERROR_GENERIC);
            assert_error(err, cases[i].error);
        }
    }
    g_assert_null(add(tree, "thing", "g", NULL, &err));
    assert_error(err, "attempt to add duplicate property 'g' to object (type 'container')");
    g_assert_null(add(tree, "thing", "9x", NULL, &err));
    assert_error(err, "Parameter 'id' expects an identifier");
    qom_tree_free(tree);
}

static void test_indices(void)
{
    QomTree *tree = new_tree();
    Object *parent = qom_objects(tree);
    Object *o;

    for (int i = 0; i < 4; i++) {
        o = object_new(tree, &test_thing, NULL, &error_abort);
        g_assert_true(object_add_child(parent, "device[*]", o, &error_abort));
        object_unref(o);
    }
    object_unparent(object_child(parent, "device[1]"));
    o = object_new(tree, &test_thing, NULL, &error_abort);
    g_assert_true(object_add_child(parent, "device[*]", o, &error_abort));
    g_assert_cmpstr(o->name, ==, "device[1]");
    object_unref(o);
    qom_tree_free(tree);
}

static void test_depth(void)
{
    QomTree *tree = new_tree();
    Object *o = qom_root(tree);
    Error *err = NULL;
    char *path;
    int n = 0;

    for (Object *c = o; c; c = object_container(o, "d", &err)) {
        o = c;
        g_assert_cmpint(n++, <, 1000);
    }
    assert_error(err, "object 'd' would be more than 200 levels deep in the tree");
    path = object_path(o);
    g_assert_true(qom_resolve(tree, path, &error_abort) == o);
    free(path);
    qom_tree_free(tree);
}

static void test_two_trees(void)
{
    QomTree *one = new_tree(), *two = new_tree();
    Error *err = NULL;

    add(one, "thing", "a", NULL, &error_abort);
    add(two, "thing", "b", NULL, &error_abort);
    g_assert_null(qom_resolve(two, "/objects/a", &err));
    error_free(err);
    qom_tree_free(one);
    g_assert_nonnull(qom_resolve(two, "/objects/b", &error_abort));
    qom_tree_free(two);
}

static void count_warning(void *opaque, const char *text)
{
    g_string_append_printf(opaque, "%s; ", text);
}

static void test_layers(void)
{
    static const QCompat compat[] = {
        {"thing-base", "size", "10"}, {"thing", "label", "\"old\""}, {"toy-device", "size", "1"}, {"thing", "level", "3"},
    };
    static const char *const globals[][3] = {
        {"thing", "label", "global"}, {"thing", "level", "4"}, {"nope", "x", "1"}, {"toy-device", "size", "5"},
    };
    QomTree *tree = new_tree();
    GString *warnings = g_string_new("");
    struct json_object *j;
    Object *o;

    qom_set_compat(tree, compat, G_N_ELEMENTS(compat));
    for (size_t i = 0; i < G_N_ELEMENTS(globals); i++) {
        j = json_object_new_string(globals[i][2]);
        qom_add_global(tree, globals[i][0], globals[i][1], j);
    }
    o = add(tree, "thing", "a", "{'label': 'user', 'fail': 0}", &error_abort);
    j = object_conf_json(o, ORIGIN_CLASS);
    g_assert_cmpstr(json_object_to_json_string_ext(j, 0), ==,
                    "{\"size\":10,\"twice\":20,\"fail\":0,\"label\":\"user\",\"level\":4}");
    json_object_put(j);
    j = object_conf_json(o, ORIGIN_GLOBAL);
    g_assert_cmpstr(json_object_to_json_string_ext(j, 0), ==, "{\"fail\":0,\"label\":\"user\",\"level\":4}");
    json_object_put(j);
    g_assert_cmpint(object_origin(o, "size"), ==, ORIGIN_MACHINE);
    g_assert_cmpint(object_origin(o, "twice"), ==, ORIGIN_CLASS);
    g_assert_cmpint(object_origin(o, "level"), ==, ORIGIN_GLOBAL);
    g_assert_cmpint(object_origin(o, "label"), ==, ORIGIN_USER);
    qom_unused_globals(tree, count_warning, warnings);
    g_assert_cmpstr(warnings->str, ==, "global nope.x has invalid class name; global toy-device.size=5 not used; ");
    g_string_free(warnings, TRUE);
    qom_tree_free(tree);
}

static void test_bad_globals(void)
{
    static const char *const cases[][3] = {
        {"foo", "2", "can't apply global thing.foo=2: Property 'thing.foo' not found"},
        {"level", "200", "can't apply global thing.level=200: Parameter 'level' out of range"},
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        QomTree *tree = new_tree();
        struct json_object *j = json_object_new_string(cases[i][1]);
        Error *err = NULL;

        qom_add_global(tree, "thing", cases[i][0], j);
        g_assert_null(add(tree, "thing", "a", NULL, &err));
        assert_error(err, cases[i][2]);
        qom_tree_free(tree);
    }
}

static void test_alias_global(void)
{
    QomTree *tree = new_tree();
    struct json_object *j = json_object_new_string("2");

    qom_add_global(tree, "gizmo", "parts", j);
    g_assert_nonnull(object_child(add(tree, "gadget", "g", NULL, &error_abort), "part[1]"));
    qom_tree_free(tree);
}

/* References from many threads; the last of each object is dropped anywhere and reaped here. */
static void *ref_thread(void *opaque)
{
    Object **objects = opaque;

    for (int i = 0; i < 2000; i++) {
        object_ref(objects[i % 8]);
        object_unref_later(objects[i % 8]);
    }
    for (int i = 0; i < 8; i++) {
        object_unref_later(objects[i]);
    }
    return NULL;
}

static void test_threads(void)
{
    QomTree *tree = new_tree();
    Object *objects[8];
    GThread *threads[4];

    for (int i = 0; i < 8; i++) {
        objects[i] = object_new(tree, &test_thing, NULL, &error_abort);
        for (int t = 0; t < 3; t++) {
            object_ref(objects[i]);
        }
    }
    for (int t = 0; t < 4; t++) {
        threads[t] = g_thread_new("ref", ref_thread, objects);
    }
    for (int t = 0; t < 4; t++) {
        g_thread_join(threads[t]);
    }
    g_assert_cmpstr(test_log(), ==, "");
    qom_tree_reap(tree);
    g_assert_cmpint(strlen(test_log()), ==, 8 * strlen("finish -; ") - 2);
    qom_tree_free(tree);
}

static void assert_get(QomTree *tree, const char *path, const char *property, const char *expected)
{
    struct json_object *j = NULL;

    g_assert_true(qom_get(tree, path, property, &j, &error_abort));
    g_assert_cmpstr(json_object_to_json_string_ext(j, JSON_C_TO_STRING_NOSLASHESCAPE), ==, expected);
    json_object_put(j);
}

static void assert_no_get(QomTree *tree, const char *path, const char *property, const char *expected)
{
    struct json_object *j = NULL;
    Error *err = NULL;

    g_assert_false(qom_get(tree, path, property, &j, &err));
    g_assert_null(j);
    assert_error(err, expected);
}

static void test_get(void)
{
    QomTree *tree = new_tree();
    struct json_object *j;

    add(tree, "thing", "a", "{'label': 'x'}", &error_abort);
    add(tree, "gadget", "b", "{'peer': 'a', 'parts': 1}", &error_abort);
    assert_get(tree, "a", "type", "\"thing\"");
    assert_get(tree, "a", "twice", "14");
    assert_get(tree, "a", "peer", "\"\"");
    assert_get(tree, "b", "peer", "\"/objects/a\"");
    assert_get(tree, "b", "label", "\"\"");
    assert_get(tree, "b", "level", "1");
    assert_get(tree, "b", "parts", "1");
    assert_get(tree, "b", "part[0]", "\"/objects/b/part[0]\"");
    assert_get(tree, "a", "count", "42");
    assert_get(tree, "a", "note", "\"x\"");
    assert_get(tree, "b", "note", "\"\"");
    assert_no_get(tree, "/nope", "x", "Device '/nope' not found");
    assert_no_get(tree, "a", "nope", "Property 'thing.nope' not found");
    j = qom_list(tree, "b", &error_abort);
    g_assert_cmpstr(
        json_object_to_json_string_ext(j, JSON_C_TO_STRING_NOSLASHESCAPE), ==,
        "[{\"name\":\"type\",\"type\":\"string\"},{\"name\":\"size\",\"type\":\"uint32\"},"
        "{\"name\":\"twice\",\"type\":\"uint32\"},{\"name\":\"fail\",\"type\":\"uint8\"},"
        "{\"name\":\"label\",\"type\":\"string\"},{\"name\":\"peer\",\"type\":\"link<thing>\"},"
        "{\"name\":\"parts\",\"type\":\"uint32\"},{\"name\":\"level\",\"type\":\"uint8\"},"
        "{\"name\":\"helper\",\"type\":\"link<thing>\"},{\"name\":\"count\",\"type\":\"uint32\"},"
        "{\"name\":\"note\",\"type\":\"string\"},{\"name\":\"part[0]\",\"type\":\"child<thing>\"}]");
    json_object_put(j);
    qom_tree_free(tree);
}

static void test_set(void)
{
    static const struct {
        const char *property, *value, *error, *log;
    } cases[] = {
        {"level", "8", NULL, "apply b"},
        {"level", "101", "Parameter 'level' out of range", ""},
        {"level", "\"9\"", "Invalid parameter type for 'level', expected: integer", ""},
        {"level", "13", "13 is no good level", "apply b"},
        {"helper", "\"a\"", NULL, "apply b"},
        {"helper", "\"nobody\"", "Device 'nobody' not found", ""},
        {"size", "1", "cannot change property size of gadget", ""},
        {"type", "\"x\"", "Property 'gadget.type' is not writable", ""},
        {"count", "1", "Property 'gadget.count' is not writable", ""},
        {"part[0]", "1", "Property 'gadget.part[0]' is not writable", ""},
        {"lavel", "1", "Property 'gadget.lavel' not found", ""},
    };
    QomTree *tree = new_tree();
    Error *err = NULL;
    Object *b;

    add(tree, "thing", "a", NULL, &error_abort);
    b = add(tree, "gadget", "b", "{'parts': 1}", &error_abort);
    test_log();
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        struct json_object *v = json_tokener_parse(cases[i].value);
        bool ok = qom_set(tree, "b", cases[i].property, v, &err);

        g_assert_cmpint(ok, ==, !cases[i].error);
        if (cases[i].error) {
            assert_error(err, cases[i].error);
        }
        g_assert_cmpstr(test_log(), ==, cases[i].log);
        json_object_put(v);
    }
    assert_get(tree, "b", "level", "8");
    g_assert_false(qom_object_del(tree, "a", &err)); /* b's helper now */
    error_free(err);
    g_assert_true(((Thing *)b)->control.helper == qom_resolve(tree, "a", &error_abort));
    qom_tree_free(tree);
}

/* Members of the branch that a union selects are properties like others, and their references count. */
static void test_union(void)
{
    QomTree *tree = new_tree();
    struct json_object *j;
    Error *err = NULL;

    add(tree, "thing", "a", NULL, &error_abort);
    add(tree, "pick", "p", "{'target': 'a', 'more': 5}", &error_abort); /* kind is 1 by the class's row */
    add(tree, "pick", "q", "{'kind': 0}", &error_abort);
    assert_get(tree, "p", "kind", "1");
    assert_get(tree, "p", "more", "5");
    assert_get(tree, "p", "target", "\"/objects/a\"");
    assert_no_get(tree, "q", "more", "Property 'pick.more' not found");
    g_assert_true(qom_resolve(tree, "p/target", &error_abort) == object_child(qom_objects(tree), "a"));
    g_assert_false(qom_object_del(tree, "a", &err));
    assert_error(err, "object 'a' is in use, can not be deleted");
    j = object_conf_json(object_child(qom_objects(tree), "p"), ORIGIN_USER);
    g_assert_cmpstr(json_object_to_json_string_ext(j, 0), ==, "{\"target\":\"a\",\"more\":5}");
    json_object_put(j);
    j = qom_list(tree, "p", &error_abort);
    g_assert_cmpint(json_object_array_length(j), ==, 4);
    json_object_put(j);
    qom_tree_free(tree);
}

static void test_state(void)
{
    QomTree *tree = new_tree();
    Object *o = add(tree, "gadget", "g", NULL, &error_abort);
    const QClass *level = NULL;
    Error *err = NULL;

    test_log();
    object_reset(o, OBJECT_WARM_RESET);
    g_assert_cmpstr(test_log(), ==, "warm g");
    g_assert_true(object_next_state(o, &level) == &((Thing *)o)->st && level == &test_thing);
    g_assert_true(object_next_state(o, &level) == &((Gadget *)o)->st && level == &test_gadget);
    g_assert_null(object_next_state(o, &level));
    g_assert_cmpint(((Thing *)o)->derived, ==, 10);
    g_assert_cmpint(((Gadget *)o)->st.reg, ==, 5);
    ((Thing *)o)->st.reg = 99;
    g_assert_false(object_check(o, &err));
    assert_error(err, "reg may not be 99");
    qom_tree_free(tree);
}

/* The program's own values: strict reading, text of the command line, nearest spelling, references by id. */
static void test_values_of_program(void)
{
    QomTree *tree = qom_tree_new(&test_schema, &qom_values);
    struct json_object *j = json_object_new_string("0x10");
    Error *err = NULL;
    Object *o;

    qom_add_global(tree, "thing", "size", j);
    add(tree, "thing", "a", "{'label': 'x'}", &error_abort);
    o = add(tree, "gadget", "b", "{'peer': 'a', 'parts': 1}", &error_abort);
    assert_get(tree, "b", "size", "16");
    assert_get(tree, "b", "twice", "32");
    assert_get(tree, "b", "peer", "\"/objects/a\"");
    assert_get(tree, "a", "note", "\"x\"");
    j = object_conf_json(o, ORIGIN_USER);
    g_assert_cmpstr(json_object_to_json_string_ext(j, 0), ==, "{\"peer\":\"a\",\"parts\":1}");
    json_object_put(j);
    j = json_object_new_int(101);
    g_assert_false(qom_set(tree, "b", "level", j, &err));
    g_assert_nonnull(strstr(error_message(err), "level"));
    error_free(err);
    err = NULL;
    json_object_put(j);
    j = json_object_new_string("a");
    g_assert_true(qom_set(tree, "b", "helper", j, &error_abort));
    g_assert_true(((Thing *)o)->control.helper == object_child(qom_objects(tree), "a"));
    json_object_put(j);
    g_assert_null(add(tree, "gadgte", "c", NULL, &err));
    g_assert_cmpstr(error_hint_text(err), ==, "Did you mean 'gadget'?");
    assert_error(err, "Parameter 'qom-type' does not accept value 'gadgte'");
    g_assert_null(add(tree, "thing", "c", "{'lable': 'x'}", &err));
    g_assert_cmpstr(error_hint_text(err), ==, "Did you mean 'label'?");
    assert_error(err, "Parameter 'lable' is unexpected");
    g_assert_null(add(tree, "thing", "c", "{'peer': 'b', 'label': 5}", &err));
    assert_error(err, "Invalid parameter type for 'label', expected: string");
    qom_tree_free(tree);
}

static void test_text(void)
{
    QomTree *tree = new_tree();
    char *text;

    add(tree, "thing", "z", NULL, &error_abort);
    add(tree, "gadget", "b", "{'parts': 2}", &error_abort);
    text = qom_tree_text(qom_objects(tree));
    g_assert_cmpstr(text, ==,
                    "/objects (container)\n  /b (gadget)\n    /part[0] (thing)\n    /part[1] (thing)\n  /z (thing)\n");
    free(text);
    qom_tree_free(tree);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qom/life", test_life);
    g_test_add_func("/qom/composite", test_composite);
    g_test_add_func("/qom/failures", test_failures);
    g_test_add_func("/qom/child-fails", test_child_fails);
    g_test_add_func("/qom/links", test_links);
    g_test_add_func("/qom/long-chain", test_long_chain);
    g_test_add_func("/qom/paths", test_paths);
    g_test_add_func("/qom/indices", test_indices);
    g_test_add_func("/qom/depth", test_depth);
    g_test_add_func("/qom/two-trees", test_two_trees);
    g_test_add_func("/qom/layers", test_layers);
    g_test_add_func("/qom/alias-global", test_alias_global);
    g_test_add_func("/qom/threads", test_threads);
    g_test_add_func("/qom/bad-globals", test_bad_globals);
    g_test_add_func("/qom/get", test_get);
    g_test_add_func("/qom/set", test_set);
    g_test_add_func("/qom/union", test_union);
    g_test_add_func("/qom/state", test_state);
    g_test_add_func("/qom/values", test_values_of_program);
    g_test_add_func("/qom/text", test_text);
    return g_test_run();
}
