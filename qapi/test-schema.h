/*
 * For the tests of qapi/ only: tables written by hand with every kind of type, and random values of any type.
 */
#ifndef QAPI_TEST_SCHEMA_H
#define QAPI_TEST_SCHEMA_H

#include <glib.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/json.h"
#include "qapi/value.h"
#include "qapi/visit.h"

#define ITEM(n) .item = { .name = n, .doc = "What " n " is.", .since = "10.0" }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define INT_TYPE(n, w, s) { ITEM(n), .kind = QK_INT, .width = w, .is_signed = s, .size = w }
static const QType t_bool = { ITEM("bool"), .kind = QK_BOOL, .size = sizeof(bool) };
static const QType t_u8 = INT_TYPE("uint8", 1, false), t_i16 = INT_TYPE("int16", 2, true);
static const QType t_u16 = INT_TYPE("uint16", 2, false), t_i32 = INT_TYPE("int32", 4, true);
static const QType t_u32 = INT_TYPE("uint32", 4, false), t_int = INT_TYPE("int", 8, true);
static const QType t_u64 = INT_TYPE("uint64", 8, false), t_i8 = INT_TYPE("int8", 1, true);
static const QType t_size = { ITEM("size"), .kind = QK_INT, .width = 8, .is_size = true, .size = 8 };
static const QType t_number = { ITEM("number"), .kind = QK_NUMBER, .size = sizeof(double) };
static const QType t_str = { ITEM("str"), .kind = QK_STR, .size = sizeof(char *) };
static const QType t_any = { ITEM("any"), .kind = QK_ANY, .size = sizeof(void *) };
static const QType t_null = { ITEM("null"), .kind = QK_NULL, .size = 1 };

typedef enum { COLOR_RED, COLOR_GREEN, COLOR_DARK_BLUE } Color;
static const QEnumValue color_values[] = {
    { ITEM("red"), COLOR_RED }, { ITEM("green"), COLOR_GREEN }, { ITEM("dark-blue"), COLOR_DARK_BLUE },
};
static const QType t_color = { ITEM("Color"), .kind = QK_ENUM, .size = sizeof(Color), .values = color_values,
                               .num_values = 3 };

#define MEMBER(S, n, f, t) ITEM(n), .type = &t, .offset = offsetof(S, f), .has_offset = -1
#define MEMBER_OPT(S, n, f, t) ITEM(n), .type = &t, .offset = offsetof(S, f), .has_offset = offsetof(S, has_##f)
#define STRUCT_TYPE(S, ms) ITEM(#S), .kind = QK_STRUCT, .size = sizeof(S), .members = ms, .num_members = COUNT(ms)

typedef struct {
    int64_t x;
    bool has_y;
    int32_t y;
    char *label;
} Point;
static const QMember point_members[] = {
    { MEMBER(Point, "x", x, t_int), .required = true },
    { MEMBER_OPT(Point, "y", y, t_i32), .has_min = true, .has_max = true, .min.i = -10, .max.i = 10 },
    { MEMBER(Point, "label", label, t_str) },
};
static const QType t_Point = { STRUCT_TYPE(Point, point_members) };

typedef struct {
    char *str;
} String;
static const QMember string_members[] = { { MEMBER(String, "str", str, t_str), .required = true } };
static const QType t_String = { STRUCT_TYPE(String, string_members) };

typedef struct {
    double r;
} Circle;
static const QMember circle_members[] = {
    { MEMBER(Circle, "r", r, t_number), .required = true, .has_min = true, .min.d = 0.0 },
};
static const QType t_Circle = { STRUCT_TYPE(Circle, circle_members) };
typedef struct {
    uint16_t w;
    uint32_t h;
    char *name;
} Rect;
static void rect_h_default(void *base)
{
    ((Rect *)base)->h = 2 * ((Rect *)base)->w; /* an expression over another member */
}
static const QMember rect_members[] = {
    { MEMBER(Rect, "w", w, t_u16), .required = true },
    { MEMBER(Rect, "h", h, t_u32), .default_text = "2 * w", .set_default = rect_h_default },
    { MEMBER(Rect, "name", name, t_str) },
};
static const QType t_Rect = { STRUCT_TYPE(Rect, rect_members) };
typedef struct {
    Color kind;
    char *id;
    union {
        Circle red;
        Rect green;
    } u;
} Shape;
static const QMember shape_members[] = {
    { MEMBER(Shape, "kind", kind, t_color), .required = true },
    { MEMBER(Shape, "id", id, t_str) },
};
static const QBranch shape_branches[] = {
    { "red", COLOR_RED, &t_Circle }, { "green", COLOR_GREEN, &t_Rect }, { "dark-blue", COLOR_DARK_BLUE, NULL },
};
static const QType t_Shape = { ITEM("Shape"), .kind = QK_UNION, .size = sizeof(Shape), .members = shape_members,
                               .num_members = 2, .branches = shape_branches, .num_branches = 3, .tag_member = 0,
                               .union_offset = offsetof(Shape, u) };

typedef struct {
    int kind;
    union {
        Point *point;
        char *name;
        int64_t number;
    } u;
} PointRef;
static const QBranch pointref_branches[] = {
    { "point", QK_STRUCT, &t_Point }, { "name", QK_STR, &t_str }, { "number", QK_INT, &t_int },
};
static const QType t_PointRef = { ITEM("PointRef"), .kind = QK_ALTERNATE, .size = sizeof(PointRef),
                                  .branches = pointref_branches, .num_branches = 3,
                                  .union_offset = offsetof(PointRef, u) };

#define LIST_TYPE(n, e) { ITEM(n), .kind = QK_LIST, .size = sizeof(QAnyList), .element = &e }
static const QType t_points = LIST_TYPE("[Point]", t_Point), t_strs = LIST_TYPE("[str]", t_str);
static const QType t_strings = LIST_TYPE("[String]", t_String), t_u16s = LIST_TYPE("[uint16]", t_u16);
static const QType t_u16ss = LIST_TYPE("[[uint16]]", t_u16s), t_refs = LIST_TYPE("[PointRef]", t_PointRef);
static const QType t_ref = { ITEM("ref<thing>"), .kind = QK_REF, .size = sizeof(void *), .ref_class = "thing" };

typedef struct Everything Everything;
struct Everything {
    bool has_b, has_u8, has_i16, has_u32, has_u64, has_size, has_number, has_color;
    bool has_points, has_strs, has_strings, has_u16s, has_u16ss, has_refs, has_nothing, has_i8;
    bool b;
    uint8_t u8;
    int8_t i8;
    int16_t i16;
    uint32_t u32;
    uint64_t u64, size;
    double number;
    uint8_t nothing;
    char *text;
    struct json_object *any;
    Color color;
    Point *point;
    Shape *shape;
    PointRef *pref;
    QAnyList points, strs, strings, u16s, u16ss, refs;
    void *ref;
    Everything *next;
    uint32_t preset;
};
static void preset_default(void *base)
{
    ((Everything *)base)->preset = 42;
}
static const QType t_Everything;
static const QMember everything_members[] = {
#define OPT(n, f, t) { MEMBER_OPT(Everything, n, f, t) }
#define PTR(n, f, t) { MEMBER(Everything, n, f, t) }
    OPT("b", b, t_bool), OPT("u8", u8, t_u8), OPT("i8", i8, t_i8), OPT("i16", i16, t_i16), OPT("u32", u32, t_u32),
    OPT("u64", u64, t_u64), OPT("size", size, t_size), OPT("number", number, t_number),
    OPT("nothing", nothing, t_null), PTR("text", text, t_str), PTR("any", any, t_any), OPT("color", color, t_color),
    PTR("point", point, t_Point), PTR("shape", shape, t_Shape), PTR("pref", pref, t_PointRef),
    OPT("points", points, t_points), OPT("strs", strs, t_strs), OPT("strings", strings, t_strings),
    OPT("u16s", u16s, t_u16s), OPT("u16ss", u16ss, t_u16ss), OPT("refs", refs, t_refs), PTR("ref", ref, t_ref),
    PTR("next", next, t_Everything),
    { MEMBER(Everything, "preset", preset, t_u32), .default_text = "42", .set_default = preset_default },
#undef OPT
#undef PTR
};
static const QType t_Everything = { STRUCT_TYPE(Everything, everything_members) };

/* Objects "a".."e" that count their references. */
typedef struct {
    char id[2];
    int refs;
} Thing;
typedef struct {
    Thing things[5];
} Things;

static inline void *things_get(void *opaque, const char *cls, const char *id, Error **errp)
{
    Things *all = opaque;

    g_assert_cmpstr(cls, ==, "thing");
    if (strlen(id) != 1 || id[0] < 'a' || id[0] > 'e') {
        error_set(errp, "no thing '%s'", id);
        return NULL;
    }
    all->things[id[0] - 'a'].refs++;
    return &all->things[id[0] - 'a'];
}
static inline void things_ref(void *opaque, void *object)
{
    ((Thing *)object)->refs++;
}
static inline void things_unref(void *opaque, void *object)
{
    g_assert_cmpint(((Thing *)object)->refs, >, 0);
    ((Thing *)object)->refs--;
}
static inline const char *things_id(void *opaque, void *object)
{
    return ((Thing *)object)->id;
}
static inline QRefResolver things_init(Things *all)
{
    for (int i = 0; i < 5; i++) {
        all->things[i] = (Thing){ .id = { 'a' + i, 0 } };
    }
    return (QRefResolver){ all, things_get, things_ref, things_unref, things_id };
}
static inline int things_total(const Things *all)
{
    int n = 0;
    for (int i = 0; i < 5; i++) {
        n += all->things[i].refs;
    }
    return n;
}

/* ---- random values ---- */

static inline uint64_t rand64(GRand *r)
{
    uint64_t v = (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
    switch (g_rand_int_range(r, 0, 4)) {
    case 0:
        return v;
    case 1:
        return v >> (v & 63);
    case 2:
        return -(v >> (v & 63));
    default:
        return g_rand_int_range(r, -3, 4);
    }
}

static inline struct json_object *rand_string(GRand *r)
{
    static const char *const parts[] = { "a", "on", "7", ",", "=", ".", "\"", "\\", " ", "é", "😀", "\x01", "\n", "'" };
    char s[64] = "";
    for (int n = g_rand_int_range(r, 0, 6); n > 0; n--) {
        strcat(s, parts[g_rand_int_range(r, 0, COUNT(parts))]);
    }
    return json_object_new_string(s);
}

static inline struct json_object *rand_any(GRand *r, int depth)
{
    struct json_object *v;

    switch (g_rand_int_range(r, 0, depth > 3 ? 5 : 7)) {
    case 0:
        return json_object_new_boolean(g_rand_boolean(r));
    case 1:
        return json_object_new_int64(rand64(r));
    case 2: {
        uint64_t u = rand64(r);
        return u <= INT64_MAX ? json_object_new_int64(u) : json_object_new_uint64(u);
    }
    case 3:
        return json_object_new_double(g_rand_double_range(r, -1e6, 1e6) + 0.1);
    case 4:
        return rand_string(r);
    case 5:
        v = json_object_new_array();
        for (int n = g_rand_int_range(r, 0, 4); n > 0; n--) {
            json_object_array_add(v, g_rand_int_range(r, 0, 9) ? rand_any(r, depth + 1) : NULL);
        }
        return v;
    default:
        v = json_object_new_object();
        for (int n = g_rand_int_range(r, 0, 4); n > 0; n--) {
            char key[3] = { 'a' + g_rand_int_range(r, 0, 26), g_rand_boolean(r) ? '"' : 'x', 0 };
            json_object_object_add(v, key, rand_any(r, depth + 1));
        }
        return v;
    }
}

static inline struct json_object *rand_int_of(GRand *r, const QType *t, const QMember *m)
{
    for (;;) {
        uint64_t v = rand64(r);
        char buf[8];
        q_set_int(t, buf, v);
        v = q_get_int(t, buf);
        if (q_int_in_range(t, m, v)) {
            return t->is_signed || v <= INT64_MAX ? json_object_new_int64(v) : json_object_new_uint64(v);
        }
    }
}

static inline struct json_object *rand_value(GRand *r, const QType *t, const QMember *m, int depth);

/* A valid struct; members with a default are always given, so that writing it gives the same. */
static inline void rand_members(GRand *r, struct json_object *obj, const QType *t, int depth)
{
    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *m = &t->members[i];
        if (m->required || m->set_default || (depth < 4 && g_rand_int_range(r, 0, 3) == 0)) {
            struct json_object *v = rand_value(r, m->type, m, depth + 1);
            json_object_object_add(obj, m->item.name, v);
        }
    }
    if (t->kind == QK_UNION) {
        struct json_object *tag;
        json_object_object_get_ex(obj, t->members[t->tag_member].item.name, &tag);
        for (uint32_t i = 0; i < t->num_branches; i++) {
            if (!strcmp(t->branches[i].name, json_object_get_string(tag)) && t->branches[i].type) {
                rand_members(r, obj, t->branches[i].type, depth);
            }
        }
    }
}

static inline struct json_object *rand_list(GRand *r, const QType *e, const QMember *m, int n, int depth)
{
    struct json_object *v = json_object_new_array();
    while (n-- > 0) {
        json_object_array_add(v, rand_value(r, e, m, depth + 1));
    }
    return v;
}

static inline struct json_object *rand_value(GRand *r, const QType *t, const QMember *m, int depth)
{
    char id[2] = { 'a' + g_rand_int_range(r, 0, 5), 0 };
    struct json_object *v;
    double lo;

    switch (t->kind) {
    case QK_BOOL:
        return json_object_new_boolean(g_rand_boolean(r));
    case QK_INT:
        return rand_int_of(r, t, m);
    case QK_NUMBER:
        lo = m && m->has_min ? m->min.d : -1e9;
        return json_object_new_double(g_rand_double_range(r, lo, m && m->has_max ? m->max.d : lo + 2e9));
    case QK_STR:
        return rand_string(r);
    case QK_ANY:
        return rand_any(r, 0);
    case QK_ENUM:
        return json_object_new_string(t->values[g_rand_int_range(r, 0, t->num_values)].item.name);
    case QK_STRUCT:
    case QK_UNION:
        v = json_object_new_object();
        rand_members(r, v, t, depth);
        return v;
    case QK_ALTERNATE:
        return rand_value(r, t->branches[g_rand_int_range(r, 0, t->num_branches)].type, NULL, depth + 1);
    case QK_LIST:
        return rand_list(r, t->element, m, g_rand_int_range(r, 0, 4), depth);
    case QK_ARRAY:
        return rand_list(r, t->element, m, t->len, depth);
    case QK_REF:
        return json_object_new_string(id);
    case QK_TIMER:
        return json_object_new_int64((rand64(r) >> 1) - g_rand_boolean(r) > 0 ? rand64(r) >> 1 : -1);
    }
    return NULL;
}

static inline struct json_object *parse_json(const char *text)
{
    struct json_object *v = NULL;
    g_assert_true(qjson_parse(text, strlen(text), &v, &error_abort));
    return v;
}

#endif
