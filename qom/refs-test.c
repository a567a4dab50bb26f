/* The walk over references: each kind of type that can hold one, and values that are absent. */
#include <glib.h>

#include "qom/internal.h"

typedef struct {
    bool has_list;
    struct {
        size_t len;
        void **items;
    } list;
} Lists;

typedef struct {
    void *in_branch;
} Branch;

typedef struct {
    int tag;
    union {
        Branch a;
    } u;
} Union;

typedef struct {
    int kind;
    union {
        void *ref;
        Branch *strct;
    } u;
} Alternate;

typedef struct {
    uint32_t number;
    void *ref;
    Lists *lists;
    Union *un;
    Alternate *alt;
    struct {
        size_t len;
        Branch **items;
    } structs;
} Top;

#define M(n, t, s) {.item.name = #n, .type = &t, .offset = offsetof(s, n), .has_offset = -1}
#define COUNT(m) .members = m, .num_members = G_N_ELEMENTS(m)

static const QType t_int = {.kind = QK_INT, .width = 4, .size = 4};
static const QType t_enum = {.kind = QK_ENUM, .size = 4};
static const QType t_ref = {.kind = QK_REF, .size = sizeof(void *), .ref_class = "x"};
static const QType t_refs = {.kind = QK_LIST, .size = 16, .element = &t_ref};
static const QMember lists_members[] = {
    {.item.name = "list", .type = &t_refs, .offset = offsetof(Lists, list), .has_offset = offsetof(Lists, has_list)},
};
static const QType t_lists = {.kind = QK_STRUCT, .size = sizeof(Lists), COUNT(lists_members)};
static const QMember branch_members[] = {M(in_branch, t_ref, Branch)};
static const QType t_branch = {.kind = QK_STRUCT, .size = sizeof(Branch), COUNT(branch_members)};
static const QMember union_members[] = {M(tag, t_enum, Union)};
static const QBranch union_branches[] = {{"none", 0, NULL}, {"a", 1, &t_branch}};
static const QType t_union = {
    .kind = QK_UNION, .size = sizeof(Union), COUNT(union_members), .branches = union_branches, .num_branches = 2,
    .union_offset = offsetof(Union, u),
};
static const QBranch alternate_branches[] = {{"ref", 4, &t_ref}, {"strct", 5, &t_branch}};
static const QType t_alternate = {
    .kind = QK_ALTERNATE, .size = sizeof(Alternate), .branches = alternate_branches, .num_branches = 2,
    .union_offset = offsetof(Alternate, u),
};
static const QType t_structs = {.kind = QK_LIST, .size = 16, .element = &t_branch};
static const QMember top_members[] = {
    M(number, t_int, Top), M(ref, t_ref, Top),       M(lists, t_lists, Top),
    M(un, t_union, Top),   M(alt, t_alternate, Top), M(structs, t_structs, Top),
};
static const QType t_top = {.kind = QK_STRUCT, .size = sizeof(Top), COUNT(top_members)};

static void collect(void *opaque, Object *o)
{
    g_string_append_c(opaque, '0' + (int)(uintptr_t)o);
}

static void assert_refs(const Top *top, const char *expected)
{
    GString *s = g_string_new("");

    qvalue_each_ref(&t_top, top, collect, s);
    g_assert_cmpstr(s->str, ==, expected);
    g_string_free(s, TRUE);
}

/* Objects are not looked into: small numbers stand for them. */
#define OBJ(n) ((void *)(uintptr_t)(n))

static void test_walk(void)
{
    void *items[] = {OBJ(2), OBJ(3)};
    Lists lists = {.has_list = true, .list = {2, items}};
    Union un = {.tag = 1, .u.a.in_branch = OBJ(4)};
    Branch b5 = {OBJ(5)}, b6 = {OBJ(6)}, b7 = {OBJ(7)};
    Branch *structs[] = {&b6, &b7};
    Alternate alt = {.kind = 5, .u.strct = &b5};
    Top top = {.number = 9, .ref = OBJ(1), .lists = &lists, .un = &un, .alt = &alt, .structs = {2, structs}};

    assert_refs(&top, "1234567");
    alt = (Alternate){.kind = 4, .u.ref = OBJ(8)};
    un.tag = 0;
    lists.has_list = false;
    b6.in_branch = NULL;
    assert_refs(&top, "187");
    assert_refs(&(Top){0}, "");
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qom/refs/walk", test_walk);
    return g_test_run();
}
