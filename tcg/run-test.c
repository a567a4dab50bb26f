/*
 * The cache and the run loop with a toy guest of 8-byte instructions: links, returns,
 * faults, invalidation, kicks, threads, forks. User mode: guest memory is the test's own.
 */
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tcg/build.h"
#include "tcg/runtime.h"
#include "util/log.h"

enum { SP = 4, NUM_REGS = 8 };

typedef struct {
    uint64_t r[NUM_REGS];
    uint64_t pc, flags;
    uint8_t spill[TCG_SPILL_SLOTS][64] __attribute__((aligned(64)));
    TcgRuntime rt;
} Cpu;

#define REG(n, h) { "r" #n, offsetof(Cpu, r[n]), 'i', h }
static const TcgGlobal cpu_globals[] = {
    REG(0, 0), REG(1, 1), REG(2, 2), REG(3, 3), REG(4, 15), REG(5, 6), REG(6, 7), REG(7, -1),
};
static const TcgGuest guest = {
    .name = "toy", .globals = cpu_globals, .num_globals = NUM_REGS, .state_size = sizeof(Cpu),
    .flags_offset = offsetof(Cpu, flags), .spill_offset = offsetof(Cpu, spill),
    .runtime_offset = offsetof(Cpu, rt), .page_bits = 12,
};

typedef enum { MOVI, MOV, ADD, ADDI, SUB, CMPI, JCC, JMP, CALL, RET, JR, LD, ST, DIV, RAISE, HALT, SUM, NOP } ToyOp;

typedef struct {
    uint8_t op, rd, rs, cond;
    int32_t imm;      /* jumps: in instructions from this one */
} ToyInsn;

static uint64_t help_raise(Cpu *cpu, uint64_t a)
{
    cpu->r[7] = a;
    tcg_raise(cpu->rt.cache, cpu);
}

static const TcgHelper raise_helper = {
    "raise", (void (*)(void))help_raise, 1, TCG_CALL_FAULTS | TCG_CALL_READS | TCG_CALL_WRITES,
};

static void jump(IrRegion *r, uint64_t pc, unsigned slot)
{
    ir_exit(r, pc, slot);
}

/* One instruction; returns true when it ends the region. */
static bool translate_insn(IrRegion *r, const ToyInsn *in, uint64_t pc, unsigned *slot)
{
    uint64_t next = pc + sizeof(*in), target = pc + (int64_t)in->imm * (int64_t)sizeof(*in);
    IrRef v, f;

    switch (in->op) {
    case MOVI:
        ir_set(r, in->rd, ir_imm(r, (uint64_t)(int64_t)in->imm));
        return false;
    case MOV:
        ir_set(r, in->rd, ir_get(r, in->rs));
        return false;
    case ADD:
    case SUB:
        v = in->op == ADD ? ir_add(r, W64, ir_get(r, in->rd), ir_get(r, in->rs), &f)
                          : ir_sub(r, W64, ir_get(r, in->rd), ir_get(r, in->rs), &f);
        ir_set(r, in->rd, v);
        ir_setf(r, f);
        return false;
    case ADDI:
        v = ir_add(r, W64, ir_get(r, in->rd), ir_imm(r, (uint64_t)(int64_t)in->imm), &f);
        ir_set(r, in->rd, v);
        ir_setf(r, f);
        return false;
    case CMPI:
        ir_setf(r, ir_cmp(r, W64, ir_get(r, in->rd), ir_imm(r, (uint64_t)(int64_t)in->imm)));
        return false;
    case JCC:
        if (in->imm <= 0) {
            ir_poll(r);
        }
        ir_exit_cond(r, ir_getf(r), in->cond, target, (*slot)++);
        jump(r, next, (*slot)++);
        return true;
    case JMP:
        if (in->imm <= 0) {
            ir_poll(r);
        }
        jump(r, target, (*slot)++);
        return true;
    case CALL:
        v = ir_lea(r, W64, ir_get(r, SP), IR_NONE, (uint64_t)-8, 0);
        ir_st(r, W64, (IrAddr){ .base = v }, ir_imm(r, next));
        ir_set(r, SP, v);
        ir_push_ret(r, v, next, (*slot)++);
        jump(r, target, (*slot)++);
        return true;
    case RET:
        f = ir_get(r, SP);
        v = ir_ld(r, W64, (IrAddr){ .base = f });
        ir_set(r, SP, ir_lea(r, W64, ir_get(r, SP), IR_NONE, 8, 0));
        ir_exit_ind(r, v, f, 2);
        return true;
    case JR:
        ir_exit_ind(r, ir_get(r, in->rd), IR_NONE, 0);
        return true;
    case LD:
        ir_set(r, in->rd, ir_ld(r, W64, (IrAddr){ .base = ir_get(r, in->rs), .disp = in->imm }));
        return false;
    case ST:
        ir_st(r, W64, (IrAddr){ .base = ir_get(r, in->rs), .disp = in->imm }, ir_get(r, in->rd));
        return false;
    case DIV:
        v = ir_udiv2(r, W64, ir_get(r, 0), ir_get(r, 2), ir_get(r, in->rs), &f);
        ir_set(r, 0, v);
        ir_set(r, 2, f);
        return false;
    case RAISE:
        ir_call(r, ir_imm(r, 77), IR_NONE, IR_NONE, IR_NONE, (uintptr_t)&raise_helper);
        return false;
    case SUM: { /* rd := sum of 1 to rs; rs := 0: a loop inside the region */
        unsigned head = ir_new_block(r);
        ir_set(r, in->rd, ir_imm(r, 0));
        ir_br(r, head);
        ir_block(r, head);
        ir_poll(r);
        ir_set(r, in->rd, ir_add(r, W64, ir_get(r, in->rd), ir_get(r, in->rs), NULL));
        v = ir_sub(r, W64, ir_get(r, in->rs), ir_imm(r, 1), &f);
        ir_set(r, in->rs, v);
        ir_setf(r, f);
        ir_brcond(r, f, COND_NZ, head);
        return false;
    }
    case HALT:
        ir_leave(r, (uint64_t)in->imm);
        return true;
    default:
        return false;
    }
}

static bool front_end(IrRegion *r, const TcgKey *key, TcgBuilt *built, void *opaque)
{
    uint64_t pc = key->pc;
    unsigned slot = 0, n = 0;
    bool end = false;

    while (!end) {
        const ToyInsn *in = (const ToyInsn *)(uintptr_t)pc;
        ir_insn(r, pc, 0x100 + n);
        end = translate_insn(r, in, pc, &slot);
        pc += sizeof(*in);
        if (!end && (++n == 50 || r->overflow)) {
            jump(r, pc, slot++);
            end = true;
        }
    }
    built->guest_size = (uint32_t)(pc - key->pc);
    built->page2 = (key->pc ^ (pc - 1)) >> 12 ? ((pc - 1) & ~4095ull) : TCG_NO_PAGE;
    return true;
}

typedef struct {
    TcgCache *cache;
    TcgContext *ctx;
    Cpu *cpu;
    uint64_t stack[4096];
    unsigned translated, flushes, entered;
    bool global;           /* what run_system() remembers is */
    bool stop; /* atomic */
} Machine;

static __thread Machine *running; /* for the signal handler */

static void machine_init(Machine *m, TcgCache *share, size_t code_size)
{
    TcgConfig config = { .guest = &guest, .user = true, .code_size = code_size, .verify = true };

    memset(m, 0, sizeof(*m));
    m->cache = share ? share : tcg_cache_new(&config, &error_abort);
    m->ctx = tcg_context_new(m->cache, &error_abort);
    m->cpu = tcg_state_new(m->cache, &error_abort);
}

static void machine_finish(Machine *m, bool shared)
{
    tcg_state_free(m->cache, m->cpu);
    tcg_context_free(m->ctx);
    if (!shared) {
        tcg_cache_free(m->cache);
    }
}

/* Runs from pc until something other than control flow comes back. */
static TcgExitReason run(Machine *m, const void *start)
{
    Cpu *cpu = m->cpu;
    TcgSlot *slot = NULL;
    uint64_t pc = (uintptr_t)start;

    running = m;
    tcg_thread_attach(cpu);
    cpu->r[SP] = (uintptr_t)(m->stack + G_N_ELEMENTS(m->stack));
    for (;;) {
        TcgKey key = { .pc = pc, .phys = pc };
        TcgRegion *r = tcg_find(m->cache, &key);
        TcgExitReason why;
        if (!r) {
            TcgTranslated t = tcg_translate(m->ctx, &key, front_end, NULL, &r);
            if (t == TCG_FULL) {
                tcg_flush(m->cache);
                m->flushes++;
                slot = NULL;
                continue;
            }
            if (t != TCG_TRANSLATED) {
                g_error("translate: %d %s", t, tcg_refused_op(m->ctx));
            }
            m->translated++;
        }
        if (slot) {
            tcg_link(m->cache, slot, r);
        }
        tcg_remember(cpu, m->cache, r, false);
        why = tcg_enter(m->cache, cpu, r);
        slot = why == TCG_EXIT_LINK ? cpu->rt.exit_slot : NULL;
        pc = cpu->rt.exit_pc;
        if ((why != TCG_EXIT_LINK && why != TCG_EXIT_LOOKUP) || __atomic_load_n(&m->stop, __ATOMIC_RELAXED)) {
            cpu->pc = pc;
            return why;
        }
    }
}

static void on_signal(int sig, siginfo_t *info, void *uc)
{
    if (!running || !tcg_fault(running->cache, running->cpu, uc, info->si_addr)) {
        signal(sig, SIG_DFL);
    }
}

static void install_handlers(void)
{
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGFPE, &sa, NULL);
}

/* fib by recursion: r0 := fib(r1). */
static const ToyInsn fib[] = {
    { CALL, .imm = 2 }, { HALT, .imm = 5 },
    { CMPI, .rd = 1, .imm = 2 }, { JCC, .cond = COND_GE, .imm = 3 },
    { MOV, .rd = 0, .rs = 1 }, { RET },
    { ADDI, .rd = SP, .imm = -16 }, { ST, .rd = 1, .rs = SP, .imm = 0 },
    { ADDI, .rd = 1, .imm = -1 }, { CALL, .imm = -7 },
    { ST, .rd = 0, .rs = SP, .imm = 8 }, { LD, .rd = 1, .rs = SP, .imm = 0 },
    { ADDI, .rd = 1, .imm = -2 }, { CALL, .imm = -11 },
    { LD, .rd = 3, .rs = SP, .imm = 8 }, { ADD, .rd = 0, .rs = 3 },
    { ADDI, .rd = SP, .imm = 16 }, { RET },
};

static void test_calls(void)
{
    Machine *m = g_new(Machine, 1);
    TcgStats s;

    machine_init(m, NULL, 0);
    m->cpu->r[1] = 20;
    g_assert_cmpint(run(m, fib), ==, TCG_EXIT_LEAVE);
    g_assert_cmpuint(m->cpu->rt.exit_code, ==, 5);
    g_assert_cmphex(m->cpu->pc, ==, (uintptr_t)&fib[1]);
    g_assert_cmpuint(m->cpu->r[0], ==, 6765);
    tcg_stats(m->cache, &s);
    g_assert_cmpuint(s.regions, ==, m->translated);
    g_assert_cmpuint(s.regions, <, 12);
    machine_finish(m, false);
    g_free(m);
}

/* A fault finds every register and the flags as they are before the instruction. */
static void test_fault(void)
{
    static const ToyInsn code[] = {
        { MOVI, .rd = 0, .imm = 5 }, { MOVI, .rd = 1, .imm = 7 }, { MOVI, .rd = 7, .imm = 9 },
        { SUB, .rd = 0, .rs = 1 }, { MOVI, .rd = 1, .imm = 0x10 },
        { LD, .rd = 0, .rs = 1, .imm = 8 }, { MOVI, .rd = 7, .imm = 1 }, { HALT },
    };
    Machine *m = g_new(Machine, 1);

    machine_init(m, NULL, 0);
    g_assert_cmpint(run(m, code), ==, TCG_EXIT_RAISE);
    g_assert_cmphex(m->cpu->pc, ==, (uintptr_t)&code[5]);
    g_assert_cmphex(m->cpu->rt.exit_word, ==, 0x105);
    g_assert_cmphex(m->cpu->r[0], ==, (uint64_t)-2);
    g_assert_cmphex(m->cpu->r[1], ==, 0x10);
    g_assert_cmphex(m->cpu->r[7], ==, 9);
    g_assert_cmphex(m->cpu->flags, ==, IR_C | IR_S | IR_A);
    machine_finish(m, false);
    g_free(m);
}

static void test_divide(void)
{
    static const ToyInsn code[] = {
        { MOVI, .rd = 0, .imm = 100 }, { MOVI, .rd = 2, .imm = 0 }, { MOVI, .rd = 1, .imm = 7 },
        { DIV, .rs = 1 }, { MOVI, .rd = 1, .imm = 0 }, { CMPI, .rd = 1, .imm = 0 }, { DIV, .rs = 1 }, { HALT },
    };
    Machine *m = g_new(Machine, 1);

    machine_init(m, NULL, 0);
    g_assert_cmpint(run(m, code), ==, TCG_EXIT_RAISE);
    g_assert_cmphex(m->cpu->pc, ==, (uintptr_t)&code[6]);
    g_assert_cmpuint(m->cpu->r[0], ==, 14);
    g_assert_cmpuint(m->cpu->r[2], ==, 2);
    g_assert_cmphex(m->cpu->flags, ==, IR_Z | IR_P);
    machine_finish(m, false);
    g_free(m);
}

static void test_raise(void)
{
    static const ToyInsn code[] = {
        { MOVI, .rd = 0, .imm = 5 }, { CMPI, .rd = 0, .imm = 6 }, { RAISE }, { HALT },
    };
    Machine *m = g_new(Machine, 1);

    machine_init(m, NULL, 0);
    g_assert_cmpint(run(m, code), ==, TCG_EXIT_RAISE);
    g_assert_cmphex(m->cpu->pc, ==, (uintptr_t)&code[2]);
    g_assert_cmpuint(m->cpu->r[0], ==, 5);
    g_assert_cmpuint(m->cpu->r[7], ==, 77);
    g_assert_cmphex(m->cpu->flags, ==, IR_C | IR_S | IR_A | IR_P);
    machine_finish(m, false);
    g_free(m);
}

/* Code is changed under links and table entries; the old is never run again. */
static void test_invalidate(void)
{
    ToyInsn *code = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ToyInsn *sub = code + 4096 / sizeof(ToyInsn) - 1; /* across the page boundary */
    int distance = (int)(sub - code);
    Machine *m = g_new(Machine, 1);
    unsigned removed;

    code[0] = (ToyInsn){ MOVI, .rd = 3, .imm = 100 };
    code[1] = (ToyInsn){ CALL, .imm = distance - 1 };
    code[2] = (ToyInsn){ ADDI, .rd = 3, .imm = -1 };
    code[3] = (ToyInsn){ JCC, .cond = COND_NZ, .imm = -2 };
    code[4] = (ToyInsn){ HALT };
    sub[0] = (ToyInsn){ ADDI, .rd = 0, .imm = 1 };
    sub[1] = (ToyInsn){ ADDI, .rd = 0, .imm = 1 };
    sub[2] = (ToyInsn){ RET };
    machine_init(m, NULL, 0);
    g_assert_cmpint(run(m, code), ==, TCG_EXIT_LEAVE);
    g_assert_cmpuint(m->cpu->r[0], ==, 200);
    g_assert_true(tcg_page_has_code(m->cache, (uintptr_t)code));
    for (int n = 2; n < 10; n++) {
        sub[1].imm = n;
        removed = tcg_invalidate(m->cache, (uintptr_t)&sub[1], (uintptr_t)&sub[2]);
        g_assert_cmpuint(removed, ==, 1);
        g_assert_cmpuint(tcg_invalidate(m->cache, (uintptr_t)&sub[1], (uintptr_t)&sub[2]), ==, 0);
        m->cpu->r[0] = 0;
        g_assert_cmpint(run(m, code), ==, TCG_EXIT_LEAVE);
        g_assert_cmpuint(m->cpu->r[0], ==, 100u * (1 + (unsigned)n));
    }
    /* Bytes of the page that no region was made from. */
    g_assert_cmpuint(tcg_invalidate(m->cache, (uintptr_t)&code[100], (uintptr_t)&code[200]), ==, 0);
    g_assert_cmpuint(tcg_invalidate(m->cache, (uintptr_t)code, (uintptr_t)code + 8192), >, 3);
    g_assert_false(tcg_page_has_code(m->cache, (uintptr_t)code));
    machine_finish(m, false);
    munmap(code, 8192);
    g_free(m);
}

static void test_inner_loop(void)
{
    static const ToyInsn code[] = {
        { MOVI, .rd = 1, .imm = 1000 }, { MOVI, .rd = 7, .imm = 10 }, { SUM, .rd = 0, .rs = 1 },
        { SUM, .rd = 5, .rs = 7 }, { HALT },
    };
    Machine *m = g_new(Machine, 1);

    machine_init(m, NULL, 0);
    g_assert_cmpint(run(m, code), ==, TCG_EXIT_LEAVE);
    g_assert_cmpuint(m->cpu->r[0], ==, 500500);
    g_assert_cmpuint(m->cpu->r[1], ==, 0);
    g_assert_cmpuint(m->cpu->r[5], ==, 55);
    g_assert_cmphex(m->cpu->flags, ==, IR_Z | IR_P);
    machine_finish(m, false);
    g_free(m);
}

/* The code changes under the front end, as by another vCPU: what was read before runs once at most, and is not found again. */
typedef struct {
    TcgCache *cache;
    ToyInsn *change;
    uint64_t start, end;
} Meddler;

static bool meddled_front_end(IrRegion *r, const TcgKey *key, TcgBuilt *built, void *opaque)
{
    Meddler *by = opaque;
    bool ok = front_end(r, key, built, NULL);

    by->change->imm++;
    tcg_invalidate(by->cache, by->start, by->end);
    return ok;
}

static void test_changed_meanwhile(void)
{
    ToyInsn code[] = { { MOVI, .rd = 0, .imm = 1 }, { HALT }, { HALT } };
    Machine *m = g_new(Machine, 1);
    TcgKey key = { .pc = (uintptr_t)code, .phys = (uintptr_t)code };
    TcgRegion *r;

    machine_init(m, NULL, 0);
    for (int n = 1; n < 100; n++) { /* more often than the ranges that are kept */
        Meddler by = { m->cache, &code[0], (uintptr_t)&code[0] + 1, (uintptr_t)&code[0] + 2 };

        g_assert_cmpint(tcg_translate(m->ctx, &key, meddled_front_end, &by, &r), ==, TCG_TRANSLATED);
        g_assert_false(r->valid);
        g_assert_null(tcg_find(m->cache, &key));
        tcg_thread_attach(m->cpu);
        g_assert_cmpint(tcg_enter(m->cache, m->cpu, r), ==, TCG_EXIT_LEAVE);
        g_assert_cmpuint(m->cpu->r[0], ==, (unsigned)n);
    }
    /* Bytes of nothing that is in it: it stays. */
    Meddler beside = { m->cache, &code[2], (uintptr_t)&code[2], (uintptr_t)&code[3] };
    g_assert_cmpint(tcg_translate(m->ctx, &key, meddled_front_end, &beside, &r), ==, TCG_TRANSLATED);
    g_assert_true(r->valid);
    g_assert_true(tcg_find(m->cache, &key) == r);
    machine_finish(m, false);
    g_free(m);
}

/* An exit is linked to where it goes only: what runs next may be something else, when an interrupt or a signal has come between. */
static void test_link_elsewhere(void)
{
    static const ToyInsn code[] = { { JMP, .imm = 2 }, { HALT, .imm = 1 }, { HALT, .imm = 2 } };
    Machine *m = g_new(Machine, 1);
    TcgKey from = { .pc = (uintptr_t)code, .phys = (uintptr_t)code };
    TcgKey elsewhere = { .pc = (uintptr_t)&code[1], .phys = (uintptr_t)&code[1] };
    TcgRegion *r, *other;

    machine_init(m, NULL, 0);
    g_assert_cmpint(tcg_translate(m->ctx, &from, front_end, NULL, &r), ==, TCG_TRANSLATED);
    g_assert_cmpint(tcg_translate(m->ctx, &elsewhere, front_end, NULL, &other), ==, TCG_TRANSLATED);
    tcg_thread_attach(m->cpu);
    g_assert_cmpint(tcg_enter(m->cache, m->cpu, r), ==, TCG_EXIT_LINK);
    tcg_link(m->cache, m->cpu->rt.exit_slot, other);
    g_assert_cmpint(tcg_enter(m->cache, m->cpu, r), ==, TCG_EXIT_LINK);
    g_assert_cmphex(m->cpu->rt.exit_pc, ==, (uintptr_t)&code[2]);
    machine_finish(m, false);
    g_free(m);
}

/* A region with a loop inside is left when another thread removes it, and not only when the loop ends by itself. */
static void *remove_soon(void *opaque)
{
    Meddler *by = opaque;

    g_usleep(20000);
    g_assert_cmpuint(tcg_invalidate(by->cache, by->start, by->end), ==, 1);
    return NULL;
}

static void test_loop_removed(void)
{
    static const ToyInsn code[] = { { MOVI, .rd = 1, .imm = INT32_MAX }, { SUM, .rd = 0, .rs = 1 }, { HALT } };
    Machine *m = g_new(Machine, 1);
    Meddler by = { .start = (uintptr_t)code, .end = (uintptr_t)code + sizeof(code) };
    GThread *t;

    machine_init(m, NULL, 0);
    by.cache = m->cache;
    t = g_thread_new("remove", remove_soon, &by);
    g_assert_cmpint(run(m, code), ==, TCG_EXIT_POLL);
    g_assert_cmpuint(m->cpu->r[1], >, 0);
    g_thread_join(t);
    machine_finish(m, false);
    g_free(m);
}

/* System mode: data through the TLB and the slow path, code keyed by mode, exits through the table. */
enum { SYS_MEMORY = 0x5000 };
static uint64_t sys_memory[16];
static unsigned sys_slow;

static void sys_load(void *state, uint64_t vaddr, uint32_t access, uintptr_t retaddr)
{
    Cpu *cpu = state;

    sys_slow++;
    if (vaddr >= SYS_MEMORY + sizeof(sys_memory)) {
        tcg_raise(cpu->rt.cache, cpu);
    }
    memcpy(cpu->rt.bounce, (uint8_t *)sys_memory + (vaddr - SYS_MEMORY), 1u << (access & TCG_ACCESS_SIZE));
}

static void sys_store(void *state, uint64_t vaddr, uint32_t access, uintptr_t retaddr)
{
    Cpu *cpu = state;

    memcpy((uint8_t *)sys_memory + (vaddr - SYS_MEMORY), cpu->rt.bounce, 1u << (access & TCG_ACCESS_SIZE));
}

/* As run(), but exits are never linked, only sent through the table. */
static TcgExitReason run_system(Machine *m, const void *start, uint32_t mode)
{
    Cpu *cpu = m->cpu;
    uint64_t pc = (uintptr_t)start;

    running = m;
    tcg_thread_attach(cpu);
    cpu->rt.key = mode;
    for (;;) {
        TcgKey key = { .pc = pc, .phys = pc, .mode = mode };
        TcgRegion *r = tcg_find(m->cache, &key);
        TcgExitReason why;
        if (!r) {
            g_assert_cmpint(tcg_translate(m->ctx, &key, front_end, NULL, &r), ==, TCG_TRANSLATED);
            m->translated++;
        }
        tcg_remember(cpu, m->cache, r, m->global);
        m->entered++;
        why = tcg_enter(m->cache, cpu, r);
        pc = cpu->rt.exit_pc;
        if (why == TCG_EXIT_LINK) {
            tcg_link_through(m->cache, cpu->rt.exit_slot);
        } else if (why != TCG_EXIT_LOOKUP) {
            cpu->pc = pc;
            return why;
        }
    }
}

/* How often the loop entered a region, in mode 8. */
static unsigned entered_by(Machine *m, const ToyInsn *code)
{
    m->entered = 0;
    g_assert_cmpint(run_system(m, code, 8), ==, TCG_EXIT_RAISE);
    return m->entered;
}

static void test_system(void)
{
    static const ToyInsn code[] = {
        { MOVI, .rd = 0, .imm = 1000 }, { MOVI, .rd = 1, .imm = SYS_MEMORY },
        { LD, .rd = 2, .rs = 1, .imm = 8 }, { ADDI, .rd = 2, .imm = 3 }, { ST, .rd = 2, .rs = 1, .imm = 8 },
        { ADDI, .rd = 0, .imm = -1 }, { JCC, .cond = COND_NZ, .imm = -4 },
        { CMPI, .rd = 0, .imm = 1 }, { LD, .rd = 3, .rs = 1, .imm = 4096 }, { HALT },
    };
    TcgConfig config = { .guest = &guest, .check_key = true, .verify = true };
    TcgTlbEntry tlb[16];
    unsigned all;
    Machine *m = g_new0(Machine, 1);

    m->cache = tcg_cache_new(&config, &error_abort);
    m->ctx = tcg_context_new(m->cache, &error_abort);
    m->cpu = tcg_state_new(m->cache, &error_abort);
    for (unsigned n = 0; n < 16; n++) {
        tlb[n] = (TcgTlbEntry){ .tag = { TCG_TLB_EMPTY, TCG_TLB_EMPTY, TCG_TLB_EMPTY } };
    }
    m->cpu->rt.tlb[0] = (TcgTlb){ .mask = 15 << 5, .table = tlb };
    m->cpu->rt.slow_load = sys_load;
    m->cpu->rt.slow_store = sys_store;
    for (unsigned hit = 0; hit < 2; hit++) {
        sys_slow = 0;
        memset(sys_memory, 0, sizeof(sys_memory));
        m->entered = 0;
        if (hit) {
            tlb[SYS_MEMORY >> 12 & 15] = (TcgTlbEntry){ .tag = { SYS_MEMORY, SYS_MEMORY, SYS_MEMORY },
                                                        .addend = (uintptr_t)sys_memory - SYS_MEMORY };
        }
        g_assert_cmpint(run_system(m, code, 7), ==, TCG_EXIT_RAISE);
        g_assert_cmphex(m->cpu->pc, ==, (uintptr_t)&code[8]);
        g_assert_cmphex(m->cpu->flags, ==, IR_C | IR_S | IR_A | IR_P);
        g_assert_cmpuint(sys_memory[1], ==, 3000);
        g_assert_cmpuint(m->cpu->r[2], ==, 3000);
        g_assert_cmpuint(sys_slow, ==, hit ? 1 : 2001);
        g_assert_cmpuint(m->entered, <, 10); /* the loop stays inside */
    }
    /* The same addresses in another mode are other regions, also by the table. */
    m->translated = 0;
    g_assert_cmpint(run_system(m, code, 8), ==, TCG_EXIT_RAISE);
    g_assert_cmpuint(m->translated, >, 1);
    tcg_forget(m->cache, m->cpu);
    g_assert_cmpuint(entered_by(m, code), >, 2);
    /* An address space takes what was remembered in it, not what is global; all is all. */
    all = entered_by(m, code);
    g_assert_cmpuint(all, ==, 1);
    tcg_forget_space(m->cache, m->cpu);
    all = entered_by(m, code);
    g_assert_cmpuint(all, >, 2);
    tcg_forget(m->cache, m->cpu);
    m->global = true;
    g_assert_cmpuint(entered_by(m, code), ==, all);
    tcg_forget_space(m->cache, m->cpu);
    g_assert_cmpuint(entered_by(m, code), ==, 1);
    m->global = false;
    g_assert_cmpuint(entered_by(m, code), ==, 1); /* the first now goes again */
    tcg_forget(m->cache, m->cpu);
    g_assert_cmpuint(entered_by(m, code), ==, all);
    machine_finish(m, false);
    g_free(m);
}

static void *kick_later(void *opaque)
{
    Machine *m = opaque;

    g_usleep(20000);
    __atomic_store_n(&m->stop, true, __ATOMIC_RELAXED);
    tcg_kick(m->cpu);
    return NULL;
}

static void test_kick(void)
{
    static const ToyInsn code[] = { { ADDI, .rd = 0, .imm = 1 }, { JMP, .imm = -1 } };
    Machine *m = g_new(Machine, 1);
    pthread_t t;

    machine_init(m, NULL, 0);
    pthread_create(&t, NULL, kick_later, m);
    g_assert_cmpint(run(m, code), ==, TCG_EXIT_POLL);
    pthread_join(t, NULL);
    g_assert_cmphex(m->cpu->pc, ==, (uintptr_t)&code[1]);
    g_assert_cmpuint(m->cpu->r[0], >, 1000);
    m->stop = false;
    machine_finish(m, false);
    g_free(m);
}

/* A buffer of two chunks and code for many. */
static void test_full(void)
{
    enum { N = 30000 };
    ToyInsn *code = g_new0(ToyInsn, N + 2);
    Machine *m = g_new(Machine, 1);

    for (unsigned n = 0; n < N; n++) {
        code[n] = n % 10 == 9 ? (ToyInsn){ JMP, .imm = 1 } : (ToyInsn){ ADDI, .rd = n & 3, .imm = 1 };
    }
    code[N] = (ToyInsn){ HALT };
    machine_init(m, NULL, 256 << 10);
    for (unsigned round = 0; round < 3; round++) {
        memset(m->cpu->r, 0, sizeof(m->cpu->r));
        g_assert_cmpint(run(m, code), ==, TCG_EXIT_LEAVE);
        g_assert_cmpuint(m->cpu->r[0] + m->cpu->r[1] + m->cpu->r[2] + m->cpu->r[3], ==, N / 10 * 9);
    }
    g_assert_cmpuint(m->flushes, >, 2);
    machine_finish(m, false);
    g_free(m);
    g_free(code);
}

static void *fib_thread(void *opaque)
{
    Machine *m = opaque;

    for (unsigned n = 0; n < 200; n++) {
        m->cpu->r[1] = 12;
        g_assert_cmpint(run(m, fib), ==, TCG_EXIT_LEAVE);
        g_assert_cmpuint(m->cpu->r[0], ==, 144);
    }
    return NULL;
}

/* Several threads run and translate the same code while it is invalidated under them. */
static void test_threads(void)
{
    enum { N = 3 };
    TcgConfig config = { .guest = &guest, .user = true };
    TcgCache *c = tcg_cache_new(&config, &error_abort);
    Machine *m = g_new(Machine, N);
    pthread_t t[N];

    for (unsigned n = 0; n < N; n++) {
        machine_init(&m[n], c, 0);
        pthread_create(&t[n], NULL, fib_thread, &m[n]);
    }
    for (unsigned n = 0; n < 200; n++) {
        unsigned i = n % G_N_ELEMENTS(fib);
        tcg_invalidate(c, (uintptr_t)&fib[i], (uintptr_t)&fib[i + 1]);
        g_usleep(50);
    }
    for (unsigned n = 0; n < N; n++) {
        pthread_join(t[n], NULL);
        machine_finish(&m[n], true);
    }
    tcg_cache_free(c);
    g_free(m);
}

static void test_fork(void)
{
    static const ToyInsn other[] = { { MOVI, .rd = 0, .imm = 3 }, { HALT } };
    Machine *m = g_new(Machine, 1);
    TcgStats before, after;
    int status;
    pid_t pid;

    machine_init(m, NULL, 0);
    m->cpu->r[1] = 10;
    g_assert_cmpint(run(m, fib), ==, TCG_EXIT_LEAVE);
    tcg_stats(m->cache, &before);
    tcg_fork_prepare(m->cache);
    pid = fork();
    if (pid == 0) {
        bool ok = tcg_fork_child(m->cache, NULL);
        /* Its own links and translations must not show in the parent's code. */
        ok = ok && run(m, other) == TCG_EXIT_LEAVE && m->cpu->r[0] == 3;
        tcg_invalidate(m->cache, (uintptr_t)fib, (uintptr_t)(fib + G_N_ELEMENTS(fib)));
        m->cpu->r[1] = 11;
        ok = ok && run(m, fib) == TCG_EXIT_LEAVE && m->cpu->r[0] == 89;
        _exit(ok ? 0 : 1);
    }
    tcg_fork_parent(m->cache);
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    g_assert_cmpint(status, ==, 0);
    m->cpu->r[1] = 12;
    g_assert_cmpint(run(m, fib), ==, TCG_EXIT_LEAVE);
    g_assert_cmpuint(m->cpu->r[0], ==, 144);
    tcg_stats(m->cache, &after);
    g_assert_cmpuint(before.regions, ==, after.regions);
    machine_finish(m, false);
    g_free(m);
}

static void test_log(void)
{
    static const ToyInsn code[] = { { MOVI, .rd = 0, .imm = 3 }, { HALT } };
    Machine *m = g_new(Machine, 1);
    char *text, *path = g_strdup_printf("%s/run-test-%d.log", g_get_tmp_dir(), (int)getpid());

    machine_init(m, NULL, 0);
    g_assert_true(log_set_file(path, &error_abort));
    g_assert_true(log_set_items("op,op_opt,out_asm", &error_abort));
    g_assert_cmpint(run(m, code), ==, TCG_EXIT_LEAVE);
    g_assert_true(log_set_filter("0x10..0x20", &error_abort)); /* elsewhere */
    tcg_flush(m->cache);
    g_assert_cmpint(run(m, code), ==, TCG_EXIT_LEAVE);
    log_set_mask(0);
    g_assert_true(log_set_filter(NULL, &error_abort));
    g_assert_true(log_set_file(NULL, &error_abort));
    g_assert_true(g_file_get_contents(path, &text, NULL, NULL));
    g_assert_nonnull(strstr(text, "set r0, 0x3\n"));
    g_assert_nonnull(strstr(text, "OP after optimization"));
    g_assert_nonnull(strstr(text, "OUT: [size="));
    g_assert_null(strstr(strstr(text, "OP:\n") + 1, "OP:\n"));
    g_test_message("%s", text);
    unlink(path);
    g_free(path);
    g_free(text);
    machine_finish(m, false);
    g_free(m);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    install_handlers();
    g_test_add_func("/tcg/run/calls", test_calls);
    g_test_add_func("/tcg/run/fault", test_fault);
    g_test_add_func("/tcg/run/divide", test_divide);
    g_test_add_func("/tcg/run/raise", test_raise);
    g_test_add_func("/tcg/run/invalidate", test_invalidate);
    g_test_add_func("/tcg/run/inner-loop", test_inner_loop);
    g_test_add_func("/tcg/run/changed-meanwhile", test_changed_meanwhile);
    g_test_add_func("/tcg/run/link-elsewhere", test_link_elsewhere);
    g_test_add_func("/tcg/run/loop-removed", test_loop_removed);
    g_test_add_func("/tcg/run/system", test_system);
    g_test_add_func("/tcg/run/kick", test_kick);
    g_test_add_func("/tcg/run/full", test_full);
    g_test_add_func("/tcg/run/threads", test_threads);
    g_test_add_func("/tcg/run/fork", test_fork);
    g_test_add_func("/tcg/run/log", test_log);
    return g_test_run();
}
