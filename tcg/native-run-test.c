/*
 * Native ops through the interpreter, against values from the manual's description of each.
 */
#include <glib.h>
#include <string.h>

#include "tcg/interp.h"
#include "tcg/native-run.h"
#include "tcg/text.h"
#include "tcg/x86_64/native.h"

typedef struct {
    uint64_t r[2], flags;
    uint8_t x[3][64];
    uint8_t st[2][16];
    uint8_t memory[64];
    uint8_t pad[128];
} Toy;

static const TcgGlobal toy_globals[] = {
    { "r0", offsetof(Toy, r[0]), 'i', -1 }, { "r1", offsetof(Toy, r[1]), 'i', -1 },
    { "x0", offsetof(Toy, x[0]), 'v', -1 }, { "x1", offsetof(Toy, x[1]), 'v', -1 },
    { "x2", offsetof(Toy, x[2]), 'v', -1 },
};
static const TcgGuest toy = {
    .name = "toy", .globals = toy_globals, .num_globals = 5, .state_size = sizeof(Toy),
    .flags_offset = offsetof(Toy, flags), .page_bits = 12,
};

static bool load(IrInterp *it, uint64_t addr, void *buf, unsigned size, unsigned mmu)
{
    memcpy(buf, ((Toy *)it->state)->memory + addr, size);
    return true;
}

static bool store(IrInterp *it, uint64_t addr, const void *buf, unsigned size, unsigned mmu)
{
    memcpy(((Toy *)it->state)->memory + addr, buf, size);
    return true;
}

static void run_text(NativeRun *nr, Toy *t, const char *format, TcgNative template)
{
    IrInterp it = { .state = t, .load = load, .store = store, .native = native_run, .native_opaque = nr };
    g_autofree char *text = g_strdup_printf(format, (unsigned long)template);
    const char *error;
    unsigned line;
    uint32_t at;
    IrRegion r;

    g_assert_true(ir_region_init(&r, &toy));
    if (!ir_parse(&r, text, NULL, &line, &error)) {
        g_error("line %u: %s", line, error);
    }
    g_assert_cmpstr(ir_verify(&r, &at), ==, NULL);
    g_assert_cmpint(ir_interp(&it, &r).reason, ==, IR_STOP_LEAVE);
    ir_interp_finish(&it);
    ir_region_finish(&r);
}

static void doubles(uint8_t *x, double a, double b)
{
    memcpy(x, &a, 8);
    memcpy(x + 8, &b, 8);
}

static double as_double(const uint8_t *x, unsigned n)
{
    double v;

    memcpy(&v, x + 8 * n, 8);
    return v;
}

#define TWO "x1 = getv.w128 x0\nx2 = getv.w128 x1\n"
#define END "setv.w128 x2, x3\nleave 0\n"

static void test_vectors(void)
{
    NativeRun *nr = native_run_new(&error_abort);
    Toy t = { .r = { 7, 0 } };

    doubles(t.x[0], 1.5, 2);
    doubles(t.x[1], 4, 8);
    run_text(nr, &t, TWO "x3 = native.w128 x1, x2, -, 0x%lx\n" END, NATIVE(NP_66, 1, 0x58, NF_RM)); /* addpd */
    g_assert_cmpfloat(as_double(t.x[2], 0), ==, 5.5);
    g_assert_cmpfloat(as_double(t.x[2], 1), ==, 10);
    run_text(nr, &t, TWO "x3 = native.w128 x1, x2, -, 0x%lx\n" END, NATIVE(NP_F2, 1, 0x51, NF_RM)); /* sqrtsd */
    g_assert_cmpfloat(as_double(t.x[2], 0), ==, 2);
    g_assert_cmpfloat(as_double(t.x[2], 1), ==, 2);
    run_text(nr, &t, TWO "v9 = get r0\nx3 = native_vi.w128 x1, v9, -, 0x%lx\n" END,
             NATIVE(NP_F2, 1, 0x2a, NF_RM) | NATIVE_W); /* cvtsi2sd */
    g_assert_cmpfloat(as_double(t.x[2], 0), ==, 7);
    run_text(nr, &t, TWO "v3, f3 = native_iv.w128 x2, -, 0x%lx\nset r1, v3\nleave 0\n",
             NATIVE(NP_F2, 1, 0x2c, NF_RM) | NATIVE_W); /* cvttsd2si */
    g_assert_cmpuint(t.r[1], ==, 4);
    run_text(nr, &t, TWO "v3, f3 = native_iv.w128 x1, x2, 0x%lx\nsetf f3\nleave 0\n",
             NATIVE(NP_66, 1, 0x2e, NF_FLAGS)); /* ucomisd: less */
    g_assert_cmphex(t.flags, ==, IR_C);
    if (__builtin_cpu_supports("avx")) {
        run_text(nr, &t, TWO "x3 = native.w128 -, x1, x2, 0x%lx\n" END,
                 NATIVE(NP_66, 1, 0x5c, NF_RVM) | NATIVE_VEX); /* vsubpd */
        g_assert_cmpfloat(as_double(t.x[2], 0), ==, -2.5);
    }
    native_run_free(nr);
}

static void test_memory(void)
{
    NativeRun *nr = native_run_new(&error_abort);
    Toy t = { .r = { 7, 0 } };

    doubles(t.x[0], 1.5, 2);
    doubles(t.memory + 16, 3, 5);
    run_text(nr, &t, TWO "x3 = native_m.w128 [0x10], x1, -, 0x%lx\n" END, NATIVE(NP_66, 1, 0x59, NF_RM)); /* mulpd */
    g_assert_cmpfloat(as_double(t.x[2], 0), ==, 4.5);
    g_assert_cmpfloat(as_double(t.x[2], 1), ==, 10);
    run_text(nr, &t, TWO "native_st.w64 [0x0], x1, 0x%lx\nleave 0\n", NATIVE(NP_66, 1, 0x17, NF_RM)); /* movhpd */
    g_assert_cmpfloat(as_double(t.memory, 0), ==, 2);
    native_run_free(nr);
}

static void test_x87(void)
{
    NativeRun *nr = native_run_new(&error_abort);
    long double v = 2.25L;
    Toy t = { .r = { 7, 0 } };

    memcpy(t.st[0], &v, 10);
    doubles(t.memory, 16, 0);
    run_text(nr, &t, "native_x 0x%lx, word=0xd8\nleave 0\n", NATIVE(NP_NONE, 0, 0xdb, NF_M) | NATIVE_DIGIT(5)); /* fld m80 */
    run_text(nr, &t, "native_xm.w64 [0x0], 0x%lx\nleave 0\n", NATIVE(NP_NONE, 0, 0xdc, NF_M)); /* fadd m64 */
    run_text(nr, &t, "native_x 0x%lx\nleave 0\n", NATIVE(NP_NONE, 0, 0xd9, NF_FIXED) | NATIVE_IMM8(0xe0)); /* fchs */
    run_text(nr, &t, "native_xm.w32 [0x10], 0x%lx\nleave 0\n",
             NATIVE(NP_NONE, 0, 0xd9, NF_M) | NATIVE_DIGIT(2) | TCG_NATIVE_WRITES); /* fst m32 */
    g_assert_cmpfloat(*(float *)(t.memory + 16), ==, -18.25f);
    run_text(nr, &t, "native_x 0x%lx, word=0xe8\nleave 0\n", NATIVE(NP_NONE, 0, 0xdb, NF_M) | NATIVE_DIGIT(7)); /* fstp m80 */
    memcpy(&v, t.st[1], 10);
    g_assert_cmpfloat((double)v, ==, -18.25);
    native_run_free(nr);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_assert_cmpuint(offsetof(Toy, st[0]), ==, 0xd8);
    g_test_add_func("/tcg/native-run/vectors", test_vectors);
    g_test_add_func("/tcg/native-run/memory", test_memory);
    g_test_add_func("/tcg/native-run/x87", test_x87);
    return g_test_run();
}
