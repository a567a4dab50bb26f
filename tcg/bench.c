/*
 * What translated code costs: chains, returns, indirect jumps, calls, memory, and translating
 * itself. Prints one line per figure; docs/performance.md keeps the results. Not a test.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tcg/build.h"
#include "tcg/runtime.h"

typedef struct {
    uint64_t r[16], flags;
    uint8_t spill[TCG_SPILL_SLOTS][64] __attribute__((aligned(64)));
    TcgRuntime rt;
} Cpu;

#define REG(n, h) { "r" #n, offsetof(Cpu, r[n]), 'i', h }
static const TcgGlobal cpu_globals[] = {
    REG(0, 0), REG(1, 1), REG(2, 2), REG(3, 3), REG(4, 15), REG(5, 5), REG(6, 6), REG(7, 7), REG(8, 8),
    REG(9, 9), REG(10, -1), REG(11, -1), REG(12, 12), REG(13, 13), REG(14, -1), REG(15, -1),
};
static const TcgGuest guest = {
    .name = "bench", .globals = cpu_globals, .num_globals = 16, .state_size = sizeof(Cpu),
    .flags_offset = offsetof(Cpu, flags), .spill_offset = offsetof(Cpu, spill),
    .runtime_offset = offsetof(Cpu, rt), .page_bits = 12,
};

static uint64_t nothing(void *state, uint64_t a)
{
    return a;
}

static const TcgHelper pure = { "nothing", (void (*)(void))nothing, 1, TCG_CALL_PURE };
static const TcgHelper full = {
    "full", (void (*)(void))nothing, 1, TCG_CALL_READS | TCG_CALL_WRITES | TCG_CALL_FAULTS | TCG_CALL_FLAGS,
};

typedef enum { EMPTY, CHAIN, RETURNS, INDIRECT, PURE_CALL, FULL_CALL, LOADS, STORES, TRANSLATION } Kind;

static const char *const names[] = {
    "loop", "chain", "call and return", "indirect jump", "pure helper", "full helper", "load", "store",
};

/* A compiled-looking block of 10 instructions: what translation is measured by. */
static void typical_block(IrRegion *r, uint64_t pc)
{
    IrRef f, v;

    for (unsigned n = 0; n < 10; n++) {
        ir_insn(r, pc + 4 * n, 0);
        switch (n % 5) {
        case 0:
            ir_set(r, 1, ir_ld(r, W64, (IrAddr){ .base = ir_get(r, 5), .disp = -24 - (int)n }));
            break;
        case 1:
            v = ir_add(r, W64, ir_get(r, 1), ir_get(r, 2), &f);
            ir_set(r, 1, v);
            ir_setf(r, f);
            break;
        case 2:
            ir_st(r, W32, (IrAddr){ .base = ir_get(r, 5), .index = ir_get(r, 3), .scale = 2 }, ir_get(r, 1));
            break;
        case 3:
            ir_set(r, 6, ir_lea(r, W64, ir_get(r, 6), ir_get(r, 7), 16, 3));
            break;
        default:
            ir_setf(r, ir_cmp(r, W32, ir_get(r, 1), ir_imm(r, 100 + n)));
            break;
        }
    }
    ir_exit_cond(r, ir_getf(r), COND_NZ, pc + 400, 0);
    ir_exit(r, pc + 40, 1);
}

/* pc 0: the loop's head; 1: its other half; 2: the end. r0 counts down. */
static void loop_end(IrRegion *r)
{
    IrRef f, v = ir_sub(r, W64, ir_get(r, 0), ir_imm(r, 1), &f);

    ir_set(r, 0, v);
    ir_setf(r, f);
    ir_exit_cond(r, f, COND_NZ, 0, 0);
    ir_exit(r, 2, 1);
}

static void head(IrRegion *r, Kind kind)
{
    switch (kind) {
    case CHAIN:
        ir_exit(r, 1, 0);
        return;
    case RETURNS:
        ir_push_ret(r, ir_get(r, 4), 1, 1);
        ir_exit(r, 3, 0);
        return;
    case INDIRECT:
        ir_exit_ind(r, ir_get(r, 3), IR_NONE, 0);
        return;
    case PURE_CALL:
        ir_set(r, 1, ir_call(r, ir_get(r, 0), IR_NONE, IR_NONE, IR_NONE, (uintptr_t)&pure));
        break;
    case FULL_CALL:
        ir_set(r, 1, ir_call(r, ir_get(r, 0), IR_NONE, IR_NONE, IR_NONE, (uintptr_t)&full));
        break;
    case LOADS:
        for (unsigned n = 0; n < 8; n++) {
            ir_set(r, 1 + n % 2, ir_ld(r, W64, (IrAddr){ .base = ir_get(r, 5), .disp = 8 * n }));
        }
        break;
    case STORES:
        for (unsigned n = 0; n < 8; n++) {
            ir_st(r, W64, (IrAddr){ .base = ir_get(r, 5), .disp = 8 * n }, ir_get(r, 1));
        }
        break;
    default:
        break;
    }
    loop_end(r);
}

static bool front_end(IrRegion *r, const TcgKey *key, TcgBuilt *built, void *opaque)
{
    Kind kind = *(Kind *)opaque;

    built->guest_size = 1;
    if (kind == TRANSLATION) {
        typical_block(r, key->pc);
        built->guest_size = 40;
        return true;
    }
    ir_insn(r, key->pc, 0);
    switch (key->pc) {
    case 0:
        head(r, kind);
        break;
    case 1:
        loop_end(r);
        break;
    case 3:
        ir_exit_ind(r, ir_imm(r, 1), ir_get(r, 4), 2);
        break;
    default:
        ir_leave(r, 0);
        break;
    }
    return true;
}

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void run(TcgCache *c, TcgContext *ctx, Cpu *cpu, Kind kind)
{
    TcgSlot *slot = NULL;
    uint64_t pc = 0;

    for (;;) {
        TcgKey key = { .pc = pc, .phys = pc };
        TcgRegion *r = tcg_find(c, &key);
        TcgExitReason why;
        if (!r && tcg_translate(ctx, &key, front_end, &kind, &r) != TCG_TRANSLATED) {
            fprintf(stderr, "refused: %s\n", tcg_refused_op(ctx));
            exit(1);
        }
        if (slot) {
            tcg_link(c, slot, r);
        }
        tcg_remember(cpu, c, r, false);
        why = tcg_enter(c, cpu, r);
        if (why == TCG_EXIT_LEAVE) {
            return;
        }
        slot = why == TCG_EXIT_LINK ? cpu->rt.exit_slot : NULL;
        pc = cpu->rt.exit_pc;
    }
}

static uint64_t data[64];

static void slow(void *state, uint64_t vaddr, uint32_t access, uintptr_t retaddr)
{
    abort(); /* the one page is in the TLB */
}

static double measure(bool user, Kind kind)
{
    TcgConfig config = { .guest = &guest, .user = user, .check_key = !user };
    TcgCache *c = tcg_cache_new(&config, &error_abort);
    TcgContext *ctx = tcg_context_new(c, &error_abort);
    Cpu *cpu = tcg_state_new(c, &error_abort);
    static TcgTlbEntry tlb[256];
    const uint64_t rounds = 20000000;
    uint64_t va = (uintptr_t)data;
    double best = 1e18;

    cpu->rt.slow_load = cpu->rt.slow_store = slow;
    cpu->rt.tlb[0] = (TcgTlb){ .mask = 255 << 5, .table = tlb };
    tlb[va >> 12 & 255] = (TcgTlbEntry){ .tag = { va & ~4095ull, va & ~4095ull, va & ~4095ull }, .addend = 0 };
    tlb[(va + 512) >> 12 & 255].tag[0] = tlb[(va + 512) >> 12 & 255].tag[1] = (va + 512) & ~4095ull;
    tcg_thread_attach(cpu);
    for (unsigned n = 0; n < 3; n++) {
        double t;
        cpu->r[0] = rounds;
        cpu->r[3] = 1;
        cpu->r[5] = va;
        t = now();
        run(c, ctx, cpu, kind);
        t = (now() - t) / (double)rounds;
        best = t < best ? t : best;
    }
    tcg_state_free(c, cpu);
    tcg_context_free(ctx);
    tcg_cache_free(c);
    return best;
}

static void translation(bool user)
{
    TcgConfig config = { .guest = &guest, .user = user, .timing = true };
    TcgCache *c = tcg_cache_new(&config, &error_abort);
    TcgContext *ctx = tcg_context_new(c, &error_abort);
    const unsigned n = 50000;
    Kind kind = TRANSLATION;
    TcgStats s;
    double t = now();

    for (unsigned i = 0; i < n; i++) {
        TcgKey key = { .pc = 4000ull * i, .phys = 4000ull * i };
        TcgRegion *r;
        if (tcg_translate(ctx, &key, front_end, &kind, &r) != TCG_TRANSLATED) {
            exit(1);
        }
    }
    t = (now() - t) / n;
    tcg_stats(c, &s);
    printf("%s translation: %.1f ns per guest instruction (builder %.1f, emitter %.1f), %.1f ns per op, "
           "%.1f bytes per guest instruction\n",
           user ? "user" : "system", t / 10, (double)s.front_ns / n / 10, (double)s.emit_ns / n / 10,
           t * n / (double)s.ir_ops, (double)s.code_bytes / n / 10);
    tcg_context_free(ctx);
    tcg_cache_free(c);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "translation") == 0) {
        translation(false);
        translation(true);
        return 0;
    }
    for (unsigned user = 0; user < 2; user++) {
        double loop = measure(user, EMPTY);
        printf("%s loop: %.2f ns a round\n", user ? "user" : "system", loop);
        for (Kind k = CHAIN; k <= STORES; k++) {
            unsigned per = k == LOADS || k == STORES ? 8 : 1;
            printf("%s %s: %.2f ns\n", user ? "user" : "system", names[k], (measure(user, k) - loop) / per);
        }
        translation(user);
    }
    return 0;
}
