/*
 * A toy guest: four integer registers, two vectors, flags. Regions written as text are read, verified,
 * printed, and interpreted; regions made by the builder are printed and held against text.
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "tcg/build.h"
#include "tcg/interp.h"
#include "tcg/text.h"

typedef struct {
    uint64_t r[4];
    uint8_t x[2][64];
    uint64_t flags;
    uint32_t word;
    uint8_t memory[4096];
} Toy;

enum { R0, R1, R2, R3, X0, X1 };

static const TcgGlobal toy_globals[] = {
    { "r0", offsetof(Toy, r[0]), 'i', -1 }, { "r1", offsetof(Toy, r[1]), 'i', -1 },
    { "r2", offsetof(Toy, r[2]), 'i', -1 }, { "r3", offsetof(Toy, r[3]), 'i', -1 },
    { "x0", offsetof(Toy, x[0]), 'v', -1 }, { "x1", offsetof(Toy, x[1]), 'v', -1 },
};
static const TcgGuest toy = {
    .name = "toy", .globals = toy_globals, .num_globals = G_N_ELEMENTS(toy_globals),
    .state_size = sizeof(Toy), .flags_offset = offsetof(Toy, flags), .page_bits = 12,
};

static uint64_t help_sum(Toy *t, uint64_t a, uint64_t b)
{
    return t->r[3] + a + b;
}

static const TcgHelper sum = { "sum", (void (*)(void))help_sum, 2, TCG_CALL_READS };

static const TcgHelper *find_helper(const char *name, size_t len)
{
    return len == 3 && memcmp(name, "sum", 3) == 0 ? &sum : NULL;
}

static bool toy_load(IrInterp *it, uint64_t addr, void *buf, unsigned size, unsigned mmu)
{
    Toy *t = it->state;

    if (addr > sizeof(t->memory) - size) {
        return false;
    }
    memcpy(buf, t->memory + addr, size);
    return true;
}

static bool toy_store(IrInterp *it, uint64_t addr, const void *buf, unsigned size, unsigned mmu)
{
    Toy *t = it->state;

    if (addr > sizeof(t->memory) - size) {
        return false;
    }
    memcpy(t->memory + addr, buf, size);
    return true;
}

static IrStop run_text(Toy *t, const char *text)
{
    IrInterp it = { .state = t, .load = toy_load, .store = toy_store, .max_steps = 100000 };
    const char *error;
    unsigned line;
    uint32_t at;
    IrRegion r;
    IrStop stop;

    g_assert_true(ir_region_init(&r, &toy));
    if (!ir_parse(&r, text, find_helper, &line, &error)) {
        g_error("line %u: %s", line, error);
    }
    error = ir_verify(&r, &at);
    if (error) {
        g_error("op %u: %s", at, error);
    }
    stop = ir_interp(&it, &r);
    ir_interp_finish(&it);
    ir_region_finish(&r);
    return stop;
}

static void test_loop(void)
{
    Toy t = { .r = { 0, 10 } };
    IrStop stop = run_text(&t, "insn 0x100, word=0x7\n"
                               "block b1\n"
                               "v1 = get r0\n"
                               "v2 = get r1\n"
                               "v3, f3 = add.w64 v1, v2\n"
                               "set r0, v3\n"
                               "v5, f5 = sub.w64 v2, 1\n"
                               "set r1, v5\n"
                               "setf f5\n"
                               "poll\n"
                               "brcond.nz f5, b1   # values stay usable here\n"
                               "st.w32 [v1*2 + 0x10], v3, mmu=3, swap\n"
                               "exit 0x104, slot=0\n");

    g_assert_cmpint(stop.reason, ==, IR_STOP_EXIT);
    g_assert_cmphex(stop.pc, ==, 0x104);
    g_assert_cmphex(stop.word, ==, 7);
    g_assert_cmpuint(t.r[0], ==, 55);
    g_assert_cmpuint(t.r[1], ==, 0);
    g_assert_cmphex(t.flags, ==, IR_Z | IR_P);
    g_assert_cmphex(t.memory[0x10 + 2 * 54 + 3], ==, 55);
}

static void test_memory_and_calls(void)
{
    Toy t = { .r = { 0x100, 2, 3, 1000 } };
    IrStop stop;

    t.memory[0x10c] = 0x80;
    stop = run_text(&t, "insn 0x100\n"
                        "v1 = get r0\n"
                        "v2 = get r1\n"
                        "v3 = ld.w8 [v1 + v2*4 + 0x4], signed\n"
                        "v4 = call sum, v2, v3, -, -\n"
                        "set r2, v4\n"
                        "v5, f5 = rmw_add.w16 [0x10b], 0x102\n"
                        "set r1, v5\n"
                        "setf f5\n"
                        "x6 = ldv.w64 [v1 + 0x8]\n"
                        "setv.w128 x1, x6, aux=1\n"
                        "v7, h7, f7 = cmpxchg2.w32 [v1 + 0x8], 0x2000000, 0x81, 0x55, 0x66\n"
                        "insn 0x108, word=0x3\n"
                        "v8 = ld.w64 [0x1000]\n"
                        "exit 0, slot=0\n");
    g_assert_cmpint(stop.reason, ==, IR_STOP_FAULT);
    g_assert_cmphex(stop.pc, ==, 0x108);
    g_assert_cmphex(stop.word, ==, 3);
    g_assert_cmphex(t.r[2], ==, 1002 - 128);
    g_assert_cmphex(t.r[1], ==, 0x8000);
    g_assert_cmphex(t.flags, ==, IR_S);
    g_assert_cmphex(t.x[1][3], ==, 2);
    g_assert_cmphex(t.memory[0x108], ==, 0x55);
    g_assert_cmphex(t.memory[0x10c], ==, 0x66);
}

/* What is printed reads back as the same instructions. */
static void test_round_trip(void)
{
    static const char text[] =
        "block b0\n"
        "insn 0x401000, word=0x12\n"
        "v2 = get r0\n"
        "v3, f3 = add.w32 v2, -0x10\n"
        "v4 = const 0xffffffff80000000\n"
        "v5 = lea.w64 [v2 + v4*8 + -0x8]\n"
        "v6 = extract v5, pos=8, len=8\n"
        "v7 = deposit v6, v2, pos=4, len=12\n"
        "f8 = fmerge f3, 0x0, 0x1\n"
        "v9 = select.w16.be v2, v6, f8\n"
        "v10 = cond.gt f8\n"
        "v11 = ld.w16 [v2*2], mmu=3, a32, signed, swap\n"
        "v12, h12, f12 = umul2.w64 v9, v10\n"
        "v13, f13 = cmpxchg.w64 [v2], v9, v10\n"
        "sts.w8 v13, 0x44\n"
        "setf f13\n"
        "x16 = ldv.w512 [v2 + 0x40], aligned, nontemporal\n"
        "x17 = native.w128 x16, x16, -, 0x3000000000058\n"
        "x18 = native_m.w128 [v2 + -0x20], x17, -, 0x58\n"
        "setv.w256 x0, x18, aux=1\n"
        "native_x 0x99, word=0x10\n"
        "v21 = call sum, v2, 0x1, -, -\n"
        "brz.w32 v21, b1, aux=1\n"
        "fence aux=3\n"
        "icount 0x5\n"
        "push_ret v2, 0x401020, slot=3\n"
        "exit_cond.z f13, 0x401020, slot=1\n"
        "exit_ind v21, v2, kind=2\n"
        "block b1\n"
        "brcond.no 0x800, b1\n"
        "br b1\n";
    const char *error;
    unsigned line;
    uint32_t at;
    IrRegion r;
    char *out;
    size_t size;
    FILE *f = open_memstream(&out, &size);

    g_assert_true(ir_region_init(&r, &toy));
    if (!ir_parse(&r, text, find_helper, &line, &error)) {
        g_error("line %u: %s", line, error);
    }
    g_assert_null(ir_verify(&r, &at));
    ir_print(f, &r);
    fclose(f);
    g_assert_cmpstr(out, ==, text);
    free(out);
    ir_region_finish(&r);
}

static void check_built(IrRegion *r, const char *expected)
{
    uint32_t at;
    char *out;
    size_t size;
    FILE *f = open_memstream(&out, &size);

    ir_print(f, r);
    fclose(f);
    g_assert_cmpstr(out, ==, expected);
    g_assert_cmpstr(ir_verify(r, &at), ==, NULL);
    free(out);
}

static void test_builder(void)
{
    IrRegion r;
    IrRef v, f, w;

    g_assert_true(ir_region_init(&r, &toy));
    ir_insn(&r, 0x100, 0);
    v = ir_get(&r, R0);
    ir_set(&r, R1, v);
    g_assert_cmpuint(ir_get(&r, R1), ==, v);
    v = ir_add(&r, W64, v, ir_imm(&r, 4), NULL);            /* becomes lea */
    v = ir_add(&r, W64, ir_imm(&r, 4), v, &f);              /* constant second */
    ir_setf(&r, f);
    w = ir_add(&r, W32, ir_imm(&r, (uint64_t)-1), ir_imm(&r, 1), &f); /* folded with flags */
    g_assert_cmphex(w, ==, ir_inline(0));
    g_assert_cmphex(f, ==, ir_inline(IR_C | IR_Z | IR_A | IR_P));
    ir_setf(&r, f);
    w = ir_xor(&r, W32, v, v, &f);
    ir_set(&r, R2, w);
    w = ir_xor(&r, W8, v, v, &f);
    ir_set(&r, R3, ir_zext(&r, W32, ir_zext(&r, W8, w)));
    v = ir_ld(&r, W32, (IrAddr){ .base = v, .index = ir_imm(&r, 3), .scale = 2, .addr = IR_A32 });
    ir_set(&r, R0, ir_zext(&r, W32, v));
    ir_exit(&r, 0x110, 0);
    check_built(&r, "block b0\n"
                    "insn 0x100\n"
                    "v2 = get r0\n"
                    "set r1, v2\n"
                    "v4 = lea.w64 [v2 + 0x4]\n"
                    "v5, f5 = add.w64 v4, 0x4\n"
                    "setf f5\n"
                    "setf 0x55\n"
                    "set r2, 0x0\n"
                    "v9 = mov.w8 v5, 0x0\n"
                    "v10 = zext.w8 v9\n"
                    "set r3, v10\n"
                    "v12 = ld.w32 [v5 + 0xc], a32\n"
                    "set r0, v12\n"
                    "exit 0x110, slot=0\n");
    ir_region_finish(&r);
}

static void test_overflow(void)
{
    IrRegion r;
    uint32_t at;

    g_assert_true(ir_region_init(&r, &toy));
    for (unsigned n = 0; n < 3 * IR_MAX_INSNS; n++) {
        ir_insn(&r, n, 0);
    }
    g_assert_true(r.overflow);
    g_assert_cmpuint(r.num_insns, ==, IR_MAX_INSNS);
    g_assert_nonnull(ir_verify(&r, &at));
    ir_region_reset(&r);
    g_assert_false(r.overflow);
    ir_region_finish(&r);
}

static void test_verifier(void)
{
    static const struct {
        const char *text, *error;
    } t[] = {
        { "insn 1\n", "the region does not end" },
        { "leave 1\nleave 1\n", "code that nothing reaches" },
        { "v1 = get x0\nleave 0\n", "not an integer global" },
        { "v1, f1 = add.w128 1, 2\nleave 0\n", "the width is too large" },
        { "v1 = bswap.w16 1\nleave 0\n", "only W32 and W64 exist" },
        { "f1 = cmp.w8 1, 2\nset r0, f1\nleave 0\n", "an argument has the wrong type" },
        { "v1 = get r0\nblock b1\nset r0, v1\nleave 0\n", "an argument is from another block" },
        { "br b1\n", "a label is never placed" },
        { "br b1\nblock b1\nblock b1\nleave 0\n", "the label is placed twice" },
        { "exit_cond.z 0, 1, slot=0\nexit 2, slot=0\n", "the slot is used twice or too large" },
        { "setf 2\nleave 0\n", "a constant of flags has other bits" },
        { "set r0, -\nleave 0\n", "an argument is absent" },
        { "sts.w64 1, 0x100000\nleave 0\n", "not in the state" },
        { "v1 = extract 1, pos=60, len=8\nleave 0\n", "not a field of 64 bits" },
    };
    IrRegion r;

    g_assert_true(ir_region_init(&r, &toy));
    for (unsigned i = 0; i < G_N_ELEMENTS(t); i++) {
        const char *error;
        unsigned line;
        uint32_t at;
        if (!ir_parse(&r, t[i].text, NULL, &line, &error)) {
            g_error("%s: line %u: %s", t[i].text, line, error);
        }
        g_assert_cmpstr(ir_verify(&r, &at), ==, t[i].error);
    }
    ir_region_finish(&r);
}

static void test_parse_errors(void)
{
    static const struct {
        const char *text, *error;
        unsigned line;
    } t[] = {
        { "\n  # nothing\nfoo 1\n", "not an op", 3 },
        { "v1 = get r9\n", "not a global", 1 },
        { "v1 = call nope, -, -, -, -\n", "not a helper", 1 },
        { "set r0, v7\n", "not a value", 1 },
        { "v1 = get r0 junk\n", "more than an instruction on the line", 1 },
        { "v1 = ld.w9 [0]\n", "not a width or condition of this op", 1 },
        { "v1 = ld.w8 [v1*3]\n", "not a value", 1 },
        { "v1 = ld.w8 [0\n", "] is missing", 1 },
        { "get r0\n", "the op has another number of results", 1 },
        { "br b100\n", "not a label", 1 },
        { "exit 1, blot=2\n", "not a key of this op", 1 },
        { "set r0, 0x100000000\n", "the constant needs a const op", 1 },
    };
    IrRegion r;

    g_assert_true(ir_region_init(&r, &toy));
    for (unsigned i = 0; i < G_N_ELEMENTS(t); i++) {
        const char *error = NULL;
        unsigned line;
        g_assert_false(ir_parse(&r, t[i].text, NULL, &line, &error));
        g_assert_cmpstr(error, ==, t[i].error);
        g_assert_cmpuint(line, ==, t[i].line);
    }
    ir_region_finish(&r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tcg/toy/loop", test_loop);
    g_test_add_func("/tcg/toy/memory-and-calls", test_memory_and_calls);
    g_test_add_func("/tcg/toy/round-trip", test_round_trip);
    g_test_add_func("/tcg/toy/builder", test_builder);
    g_test_add_func("/tcg/toy/overflow", test_overflow);
    g_test_add_func("/tcg/toy/verifier", test_verifier);
    g_test_add_func("/tcg/toy/parse-errors", test_parse_errors);
    return g_test_run();
}
