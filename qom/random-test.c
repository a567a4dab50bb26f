/*
 * Random operations on a tree against a simple model: which ids exist, who uses whom. After each the answers agree;
 * at the end the tree comes down with nothing left (qom_tree_free() asserts it).
 */
#include <glib.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qom/testing.h"

enum { SLOTS = 24, STEPS = 20000 };

typedef struct {
    QomTree *tree;
    GRand *rand;
    bool exists[SLOTS];
    int uses[SLOTS][2]; /* peer, helper; -1: none */
    Object *held[SLOTS]; /* a reference kept for later */
} Model;

static int pick(Model *m)
{
    return g_rand_int_range(m->rand, 0, SLOTS);
}

static bool in_use(const Model *m, int slot)
{
    for (int i = 0; i < SLOTS; i++) {
        if (i != slot && m->exists[i] && (m->uses[i][0] == slot || m->uses[i][1] == slot)) {
            return true;
        }
    }
    return false;
}

static void op_add(Model *m)
{
    int slot = pick(m), peer = pick(m), parts = g_rand_int_range(m->rand, 0, 4);
    bool with_peer = g_rand_boolean(m->rand), fails = pick(m) == 0;
    bool ok = !m->exists[slot] && !fails && (!with_peer || m->exists[peer]);
    g_autofree char *peer_text = g_strdup_printf(", 'peer': 's%d'", peer);
    g_autofree char *text = g_strdup_printf("{'parts': %d, 'fail': %d%s}", parts, fails ? 1 << pick(m) % 3 : 0,
                                            with_peer ? peer_text : "");
    g_autofree char *id = g_strdup_printf("s%d", slot);
    struct json_object *props = json_tokener_parse(text);
    Error *err = NULL;
    Object *o = qom_object_add(m->tree, "gadget", id, props, false, &err);

    json_object_put(props);
    g_assert_cmpint(ok, ==, o != NULL);
    g_assert_cmpint(ok, ==, err == NULL);
    error_free(err);
    if (ok) {
        m->exists[slot] = true;
        m->uses[slot][0] = with_peer ? peer : -1;
        m->uses[slot][1] = -1;
    }
}

static void op_del(Model *m)
{
    int slot = pick(m);
    g_autofree char *id = g_strdup_printf("s%d", slot);
    bool ok = m->exists[slot] && !in_use(m, slot);
    Error *err = NULL;

    g_assert_cmpint(ok, ==, qom_object_del(m->tree, id, &err));
    g_assert_cmpint(ok, ==, err == NULL);
    error_free(err);
    if (ok) {
        m->exists[slot] = false;
    }
}

static bool uses(const Model *m, int from, int to)
{
    return from == to || (m->uses[from][0] >= 0 && uses(m, m->uses[from][0], to)) ||
           (m->uses[from][1] >= 0 && uses(m, m->uses[from][1], to));
}

/* A circle is refused. */
static void op_set(Model *m)
{
    int slot = pick(m), helper = pick(m);
    g_autofree char *path = g_strdup_printf("/objects/s%d", slot);
    g_autofree char *id = g_strdup_printf("s%d", helper);
    struct json_object *v = json_object_new_string(id);
    Error *err = NULL;
    bool ok = m->exists[slot] && m->exists[helper] && !uses(m, helper, slot);

    g_assert_cmpint(ok, ==, qom_set(m->tree, path, "helper", v, &err));
    error_free(err);
    if (ok) {
        m->uses[slot][1] = helper;
    }
    json_object_put(v);
}

static void op_hold(Model *m)
{
    int slot = pick(m);
    g_autofree char *path = g_strdup_printf("s%d", slot);
    Error *err = NULL;
    Object *o = qom_resolve(m->tree, path, &err);

    g_assert_cmpint(m->exists[slot], ==, o != NULL);
    error_free(err);
    if (g_rand_boolean(m->rand)) {
        object_unref_later(m->held[slot]);
    } else {
        object_unref(m->held[slot]);
    }
    m->held[slot] = o ? object_ref(o) : NULL;
}

static void check(Model *m)
{
    Object *c = qom_objects(m->tree)->first_child;
    int n = 0;

    for (; c; c = c->next_sibling) {
        int slot = atoi(c->name + 1);

        g_assert_true(m->exists[slot]);
        g_assert_cmpint(object_life(c), ==, OBJECT_REALIZED);
        g_assert_true(object_child(c->parent, c->name) == c);
        n++;
    }
    for (int i = 0; i < SLOTS; i++) {
        n -= m->exists[i];
        g_assert_cmpint(m->held[i] ? object_life(m->held[i]) : OBJECT_GONE, !=, OBJECT_UNREALIZING);
    }
    g_assert_cmpint(n, ==, 0);
}

static void test_random(void)
{
    static void (*const ops[])(Model *) = {op_add, op_add, op_del, op_set, op_hold};
    Model m = {.tree = qom_tree_new(&test_schema, &test_values)};

    m.rand = g_rand_new_with_seed(g_test_rand_int());
    for (int i = 0; i < STEPS; i++) {
        ops[g_rand_int_range(m.rand, 0, G_N_ELEMENTS(ops))](&m);
        check(&m);
        test_log();
        if (i % 64 == 0) {
            qom_tree_reap(m.tree);
        }
    }
    for (int i = 0; i < SLOTS; i++) {
        object_unref(m.held[i]);
    }
    qom_tree_free(m.tree);
    g_rand_free(m.rand);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qom/random/operations", test_random);
    return g_test_run();
}
