/*
 * Holds tcg/eval.c against the host CPU: every op that the host has as an instruction, all widths,
 * random operands. Flags that ops.def leaves undefined are counted and skipped.
 */
#include <glib.h>
#include <string.h>

#include "tcg/build.h"
#include "tcg/eval.h"

#ifdef __x86_64__
/* The registers that a host instruction under test works on. */
typedef struct {
    uint64_t a, b, c, d, f;
} Host;

#define RUN(insn) \
    __asm__ volatile("lea -128(%%rsp), %%rsp; push %4; popfq; " insn \
                     "; pushfq; pop %4; lea 128(%%rsp), %%rsp" \
                     : "+a"(h->a), "+b"(h->b), "+c"(h->c), "+d"(h->d), "+r"(h->f) : : "cc", "memory")

/* As RUN, by width: the operand sizes as text. */
#define BY_WIDTH(w8, w16, w32, w64) \
    switch (w) { \
    case W8: RUN(w8); break; \
    case W16: RUN(w16); break; \
    case W32: RUN(w32); break; \
    default: RUN(w64); break; \
    } \
    break
#define BINARY(op) \
    BY_WIDTH(op " %%bl, %%al", op " %%bx, %%ax", op " %%ebx, %%eax", op " %%rbx, %%rax")
#define UNARY(op) BY_WIDTH(op " %%al", op " %%ax", op " %%eax", op " %%rax")
#define SHIFT(op) \
    BY_WIDTH(op " %%cl, %%al", op " %%cl, %%ax", op " %%cl, %%eax", op " %%cl, %%rax")
#define BINARY16(op) BY_WIDTH("", op " %%bx, %%ax", op " %%ebx, %%eax", op " %%rbx, %%rax")
#define DOUBLE(op) \
    BY_WIDTH("", op " %%cl, %%bx, %%ax", op " %%cl, %%ebx, %%eax", op " %%cl, %%rbx, %%rax")
#define VEX(op) BY_WIDTH("", "", op " %%ebx, %%eax, %%eax", op " %%rbx, %%rax, %%rax")
#define VEX1(op) BY_WIDTH("", "", op " %%eax, %%eax", op " %%rax, %%rax")
#define WIDE(op) BY_WIDTH(op " %%bl", op " %%bx", op " %%ebx", op " %%rbx")

static void host_arith(IrOp op, IrWidth w, Host *h)
{
    switch (op) {
    case IR_add: BINARY("add");
    case IR_adc: BINARY("adc");
    case IR_sub: BINARY("sub");
    case IR_sbb: BINARY("sbb");
    case IR_and: BINARY("and");
    case IR_or: BINARY("or");
    case IR_xor: BINARY("xor");
    case IR_cmp: BINARY("cmp");
    case IR_test: BINARY("test");
    case IR_inc: UNARY("inc");
    case IR_dec: UNARY("dec");
    case IR_neg: UNARY("neg");
    case IR_not: UNARY("not");
    case IR_mov: BINARY("mov");
    case IR_andn: VEX("andn");
    default: g_assert_not_reached();
    }
}

static void host_shift(IrOp op, IrWidth w, Host *h)
{
    switch (op) {
    case IR_shl: SHIFT("shl");
    case IR_shr: SHIFT("shr");
    case IR_sar: SHIFT("sar");
    case IR_rol: SHIFT("rol");
    case IR_ror: SHIFT("ror");
    case IR_rcl: SHIFT("rcl");
    case IR_rcr: SHIFT("rcr");
    case IR_shld: DOUBLE("shld");
    case IR_shrd: DOUBLE("shrd");
    case IR_shlx: VEX("shlx");
    case IR_shrx: VEX("shrx");
    case IR_sarx: VEX("sarx");
    default: g_assert_not_reached();
    }
}

static void host_bits(IrOp op, IrWidth w, Host *h)
{
    switch (op) {
    case IR_mul: BINARY16("imul");
    case IR_umul2: WIDE("mul");
    case IR_smul2: WIDE("imul");
    case IR_bt: BINARY16("bt");
    case IR_bts: BINARY16("bts");
    case IR_btr: BINARY16("btr");
    case IR_btc: BINARY16("btc");
    case IR_bsf: BINARY16("bsf");
    case IR_bsr: BINARY16("bsr");
    case IR_tzcnt: BINARY16("tzcnt");
    case IR_lzcnt: BINARY16("lzcnt");
    case IR_popcnt: BINARY16("popcnt");
    case IR_bextr: VEX("bextr");
    case IR_bzhi: VEX("bzhi");
    case IR_pdep: VEX("pdep");
    case IR_pext: VEX("pext");
    case IR_blsi: VEX1("blsi");
    case IR_blsr: VEX1("blsr");
    case IR_blsmsk: VEX1("blsmsk");
    case IR_crc32:
        BY_WIDTH("crc32b %%bl, %%eax", "crc32w %%bx, %%eax", "crc32l %%ebx, %%eax",
                 "crc32q %%rbx, %%rax");
    case IR_bswap: BY_WIDTH("", "", "bswap %%eax", "bswap %%rax");
    default: g_assert_not_reached();
    }
}

static bool has_host(IrOp op)
{
    return (op >= IR_add && op <= IR_smul2) || (op >= IR_bt && op <= IR_crc32) || op == IR_mov ||
           op == IR_bswap;
}

static IrWidth least_width(IrOp op)
{
    IrRegion r;
    uint32_t at;
    static const TcgGuest guest = { .name = "none", .state_size = 4096 };
    IrWidth w;

    /* Asks the verifier, which knows. */
    g_assert_true(ir_region_init(&r, &guest));
    for (w = W8; w < W64; w++) {
        const char *err;
        ir_region_reset(&r);
        r.insns[1] = (IrInsn){ .op = op, .w = w };
        for (unsigned n = 0; n < ir_ops[op].num_args; n++) {
            r.insns[1].arg[n] = ir_inline(1);
        }
        r.insns[2] = (IrInsn){ .op = IR_leave };
        r.num_insns = 3;
        err = ir_verify(&r, &at);
        if (!err || at != 1) {
            break;
        }
    }
    ir_region_finish(&r);
    return w;
}

static uint64_t random64(GRand *rand)
{
    static const uint64_t special[] = {
        0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
        INT64_MAX, 1ull << 63, UINT64_MAX, 31, 32, 63, 64, 0x0808,
    };
    uint64_t v = (uint64_t)g_rand_int(rand) << 32 | g_rand_int(rand);

    switch (g_rand_int(rand) & 3) {
    case 0:
        return special[g_rand_int(rand) % G_N_ELEMENTS(special)];
    case 1:
        return v >> (g_rand_int(rand) & 63);
    default:
        return v;
    }
}

/* Runs op on the host with arguments arg; returns its results as ops.def orders them. */
static void host_run(const IrInsn *in, const uint64_t *arg, uint64_t *res)
{
    const IrOpDef *def = &ir_ops[in->op];
    Host host = { .a = arg[0], .b = arg[1], .c = arg[1], .d = 0 }, *h = &host;
    unsigned n = 0;

    for (unsigned i = 0; i < def->num_args; i++) {
        h->f = def->args[i] == 'f' ? arg[i] : h->f;
    }
    if (in->op == IR_shld || in->op == IR_shrd) {
        h->c = arg[2];
    }
    if (in->op >= IR_mul || in->op == IR_bswap) {
        host_bits(in->op, in->w, h);
    } else if (in->op >= IR_shl) {
        host_shift(in->op, in->w, h);
    } else {
        host_arith(in->op, in->w, h);
    }
    for (const char *t = def->results; *t; t++, n++) {
        res[n] = *t == 'f' ? h->f & IR_FLAGS : n == 0 ? h->a : in->w == W8 ? h->a >> 8 & 0xff : h->d;
    }
}

static void test_op(gconstpointer data)
{
    IrOp op = GPOINTER_TO_UINT(data);
    const IrOpDef *def = &ir_ops[op];
    GRand *rand = g_rand_new_with_seed(op);
    uint64_t skipped = 0, compared = 0;
    IrWidth lo = least_width(op);

    for (unsigned i = 0; i < 20000; i++) {
        IrWidth w = lo + g_rand_int(rand) % (W64 - lo + 1);
        IrInsn in = { .op = op, .w = w };
        uint64_t arg[4] = { 0 }, res[3];
        uint32_t undef;
        IrEval e;

        for (unsigned n = 0; n < def->num_args; n++) {
            arg[n] = def->args[n] == 'f' ? g_rand_int(rand) & IR_FLAGS : random64(rand);
        }
        if ((op == IR_shld || op == IR_shrd) && w == W16 && (arg[2] & 31) > 16) {
            continue;
        }
        ir_eval(&in, arg, &e);
        host_run(&in, arg, res);
        for (unsigned n = 0; n < def->num_results; n++) {
            undef = def->results[n] == 'f' ? e.res[n] >> IR_UNDEF_SHIFT : 0;
            skipped += __builtin_popcount(undef);
            compared++;
            if ((e.res[n] & (def->results[n] == 'f' ? IR_FLAGS & ~undef : UINT64_MAX)) !=
                (res[n] & ~(uint64_t)undef)) {
                g_error("%s w%u result %u: %#lx %#lx %#lx %#lx: host %#lx, eval %#lx", def->name,
                        8u << w, n, arg[0], arg[1], arg[2], arg[3], res[n], e.res[n]);
            }
        }
    }
    g_test_message("%s: %lu results compared, %lu undefined flags skipped", def->name, compared,
                   skipped);
    g_rand_free(rand);
}

#define SETCC(n, cc) \
    case n: __asm__("push %1; popfq; set" cc " %0" : "=r"(v) : "r"(f) : "cc", "memory"); break

static bool __attribute__((noinline)) host_condition(IrCond cond, uint64_t f)
{
    bool v = false;

    __asm__ volatile("lea -128(%%rsp), %%rsp" : : : "memory");
    switch ((int)cond) {
    SETCC(0, "o"); SETCC(1, "no"); SETCC(2, "c"); SETCC(3, "nc");
    SETCC(4, "z"); SETCC(5, "nz"); SETCC(6, "be"); SETCC(7, "a");
    SETCC(8, "s"); SETCC(9, "ns"); SETCC(10, "p"); SETCC(11, "np");
    SETCC(12, "l"); SETCC(13, "ge"); SETCC(14, "le"); SETCC(15, "g");
    }
    __asm__ volatile("lea 128(%%rsp), %%rsp" : : : "memory");
    return v;
}

static void test_conditions(void)
{
    for (unsigned cond = 0; cond < 16; cond++) {
        for (unsigned f = 0; f < 0x1000; f++) {
            if ((f & ~IR_FLAGS) == 0) {
                g_assert_cmpint(ir_cond_holds(cond, f), ==, host_condition(cond, f));
                /* The flags it does not read do not matter. */
                g_assert_cmpint(ir_cond_holds(cond, f), ==,
                                ir_cond_holds(cond, f & ir_cond_reads(cond)));
            }
        }
    }
}

/* Division: the host traps, so the expected values are those of 128-bit arithmetic by construction. */
static void test_divide(void)
{
    GRand *rand = g_rand_new_with_seed(1);

    for (unsigned i = 0; i < 20000; i++) {
        IrInsn in = { .op = g_rand_int(rand) & 1 ? IR_udiv2 : IR_sdiv2, .w = g_rand_int(rand) & 3 };
        uint64_t d = random64(rand), arg[3] = { random64(rand), random64(rand), d };
        unsigned bits = 8u << in.w;
        IrEval e = { 0 };
        Host host = { .a = arg[0], .d = arg[1], .b = arg[2] }, *h = &host;
        IrWidth w = in.w;
        uint64_t m = w == W64 ? UINT64_MAX : (1ull << bits) - 1;

        if (!ir_eval_divide(&in, arg, &e)) {
            continue;
        }
        if (in.op == IR_udiv2) {
            do { WIDE("div"); } while (0);
        } else {
            do { WIDE("idiv"); } while (0);
        }
        if (w == W8) {
            g_assert_cmphex(e.res[0], ==, (arg[0] & ~0xffull) | (h->a & 0xff));
            g_assert_cmphex(e.res[1], ==, h->a >> 8 & 0xff);
        } else {
            g_assert_cmphex(e.res[0], ==, h->a);
            g_assert_cmphex(e.res[1], ==, h->d & m);
        }
    }
    g_rand_free(rand);
}

static void test_divide_errors(void)
{
    static const struct {
        IrOp op;
        IrWidth w;
        uint64_t lo, hi, d;
        bool ok;
    } t[] = { /* SDM volume 2, DIV and IDIV: ranges of the quotient */
        { IR_udiv2, W8, 0xffff, 0, 0xff, false }, { IR_udiv2, W8, 0xfeff, 0, 0xff, true },
        { IR_udiv2, W64, 1, 1, 1, false }, { IR_udiv2, W64, UINT64_MAX, 0, 1, true },
        { IR_udiv2, W32, 5, 0, 0, false }, { IR_sdiv2, W32, 0x80000000, 0xffffffff, 0xffffffff, false },
        { IR_sdiv2, W32, 0x80000000, 0xffffffff, 1, true }, { IR_sdiv2, W8, 0x80, 0, 1, false },
        { IR_sdiv2, W8, 0xff80, 0, 1, true }, { IR_sdiv2, W64, 0, 1ull << 63, UINT64_MAX, false },
        { IR_sdiv2, W64, 1ull << 63, UINT64_MAX, UINT64_MAX, false },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(t); i++) {
        IrInsn in = { .op = t[i].op, .w = t[i].w };
        uint64_t arg[3] = { t[i].lo, t[i].hi, t[i].d };
        IrEval e = { 0 };
        g_assert_cmpint(ir_eval_divide(&in, arg, &e), ==, t[i].ok);
    }
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#ifdef __x86_64__
    for (unsigned op = 0; op < IR_NUM_OPS; op++) {
        if (has_host(op)) {
            char name[64];
            g_snprintf(name, sizeof(name), "/tcg/eval/%s", ir_ops[op].name);
            g_test_add_data_func(name, GUINT_TO_POINTER(op), test_op);
        }
    }
    g_test_add_func("/tcg/eval/conditions", test_conditions);
    g_test_add_func("/tcg/eval/divide", test_divide);
    g_test_add_func("/tcg/eval/divide-errors", test_divide_errors);
#endif
    return g_test_run();
}
