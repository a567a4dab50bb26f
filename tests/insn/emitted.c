/* See emitted.h. Regions are never found again: each gets a key of its own. */
#include <asm/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target/i386/gen.h"
#include "tcg/runtime.h"
#include "tests/insn/emitted.h"
#include "tests/insn/insn.h"

/* What raises runs between emitted code and its way out: the vector registers are the guest's. */
#pragma GCC target("general-regs-only")

enum { TLB_ENTRIES = 16 };

typedef struct {
    TcgCache *cache;
    TcgContext *context;
    X86Cpu *cpu;
} Engine;

static struct {
    Engine engine[2];        /* user, system */
    Engine *now;             /* the one that runs */
    uint32_t number;
    bool running;
    TcgTlbEntry tlb[TLB_ENTRIES];
} em;

EmittedFault emitted_fault;

static void tlb_fill(uint64_t addr)
{
    TcgTlbEntry *e = &em.tlb[addr / PAGE % TLB_ENTRIES];
    uint64_t page = addr & ~(uint64_t)(PAGE - 1);
    bool read = guest_allowed(addr, false), write = guest_allowed(addr, true);

    if (read || write) {
        *e = (TcgTlbEntry){ .tag = { read ? page : TCG_TLB_EMPTY, write ? page : TCG_TLB_EMPTY, TCG_TLB_EMPTY } };
    }
}

void emitted_reset_tlb(bool full)
{
    for (unsigned n = 0; n < TLB_ENTRIES; n++) {
        em.tlb[n] = (TcgTlbEntry){ .tag = { TCG_TLB_EMPTY, TCG_TLB_EMPTY, TCG_TLB_EMPTY } };
    }
    for (uint64_t at = DATA; full && at < DATA + DATA_SIZE; at += PAGE) {
        tlb_fill(at);
    }
}

/* The slow paths: raise as the interpreter's accesses do. */
static void check(uint64_t addr, uint32_t access, bool write)
{
    unsigned size = 1u << (access & TCG_ACCESS_SIZE);
    bool aligned = !(access & TCG_ACCESS_ALIGNED) || !(addr & (size - 1));

    if (!aligned || !guest_access(addr, size, write)) {
        emitted_fault.vector = -1; /* what it was is recorded already, or it is the alignment */
        emitted_raise();
    }
}

static void slow_load(void *state, uint64_t addr, uint32_t access, uintptr_t retaddr)
{
    X86Cpu *cpu = state;
    bool write = access & (TCG_ACCESS_WRITE | TCG_ACCESS_RMW);
    const uint8_t *from = (const uint8_t *)(uintptr_t)addr;

    check(addr, access, write);
    for (unsigned n = 0; n < 1u << (access & TCG_ACCESS_SIZE) && !(access & TCG_ACCESS_WRITE); n++) {
        cpu->rt.bounce[n] = from[n];
    }
    tlb_fill(addr);
}

static void slow_store(void *state, uint64_t addr, uint32_t access, uintptr_t retaddr)
{
    X86Cpu *cpu = state;
    uint8_t *to = (uint8_t *)(uintptr_t)addr;

    check(addr, access, true);
    for (unsigned n = 0; n < 1u << (access & TCG_ACCESS_SIZE); n++) {
        to[n] = cpu->rt.bounce[n];
    }
}

X86Cpu *emitted_new_cpu(bool system)
{
    TcgConfig config = { .guest = &x86_tcg_guest, .user = !system, .code_size = 16 << 20 };
    Engine *e = &em.engine[system];

    e->cache = tcg_cache_new(&config, NULL);
    e->context = e->cache ? tcg_context_new(e->cache, NULL) : NULL;
    e->cpu = e->context ? tcg_state_new(e->cache, NULL) : NULL;
    if (!e->cpu) {
        abort();
    }
    e->cpu->rt.slow_load = slow_load;
    e->cpu->rt.slow_store = slow_store;
    for (unsigned n = 0; n < TCG_MMU_INDEXES; n++) {
        e->cpu->rt.tlb[n] = (TcgTlb){ .mask = (TLB_ENTRIES - 1) * sizeof(TcgTlbEntry), .table = em.tlb };
    }
    return e->cpu;
}

bool emitted_running(void)
{
    return em.running;
}

bool emitted_signal(ucontext_t *uc)
{
    greg_t *g = uc->uc_mcontext.gregs;
    EmittedFault f = { .vector = (int)g[REG_TRAPNO], .error = (uint32_t)g[REG_ERR] };

    f.address = f.vector == EXC_PF ? (uint64_t)g[REG_CR2] : 0;
    if (!em.running || !tcg_fault(em.now->cache, em.now->cpu, uc, (void *)(uintptr_t)g[REG_CR2])) {
        return false;
    }
    emitted_fault = f;
    return true;
}

void emitted_raise(void)
{
    tcg_raise(em.now->cache, em.now->cpu);
}

/* A region that is made already, as a front end. */
static bool copy_region(IrRegion *r, const TcgKey *key, TcgBuilt *built, void *opaque)
{
    const IrRegion *from = opaque;

    if (from->num_insns > r->max_insns) {
        return false;
    }
    memcpy(r->insns, from->insns, from->num_insns * sizeof(r->insns[0]));
    r->num_insns = from->num_insns;
    r->num_blocks = from->num_blocks;
    *built = (TcgBuilt){ .guest_size = 1, .page2 = TCG_NO_PAGE };
    return true;
}

static void stop_of(const X86Cpu *cpu, TcgExitReason reason, IrStop *stop)
{
    static const IrStopReason reasons[] = {
        [TCG_EXIT_LINK] = IR_STOP_EXIT, [TCG_EXIT_LOOKUP] = IR_STOP_EXIT_IND, [TCG_EXIT_LEAVE] = IR_STOP_LEAVE,
        [TCG_EXIT_POLL] = IR_STOP_POLL, [TCG_EXIT_ICOUNT] = IR_STOP_ICOUNT, [TCG_EXIT_RAISE] = IR_STOP_FAULT,
    };

    *stop = (IrStop){ .reason = reasons[reason], .pc = cpu->rt.exit_pc, .word = cpu->rt.exit_word, .slot = cpu->rt.exit_code };
}

bool emitted_run(X86Cpu *cpu, const IrRegion *r, uint64_t pc, IrStop *stop, const char **why)
{
    TcgKey key = { .pc = pc, .phys = pc, .mode = em.number++ };
    TcgTranslated done;
    TcgExitReason reason;
    TcgRegion *region;

    em.now = &em.engine[cpu == em.engine[1].cpu];
    do {
        done = tcg_translate(em.now->context, &key, copy_region, (void *)r, &region);
        if (done == TCG_FULL) {
            tcg_flush(em.now->cache);
        }
    } while (done == TCG_FULL);
    if (done != TCG_TRANSLATED) {
        *why = done == TCG_REFUSED ? tcg_refused_op(em.now->context) : "too long";
        return false;
    }
    emitted_fault = (EmittedFault){ .vector = -1 };
    cpu->rt.mxcsr = cpu->st.mxcsr;
    tcg_thread_attach(cpu);
    em.running = true;
    reason = tcg_enter(em.now->cache, cpu, region);
    em.running = false;
    syscall(SYS_arch_prctl, ARCH_SET_GS, DATA); /* what native code sees */
    cpu->st.mxcsr = cpu->rt.mxcsr;
    stop_of(cpu, reason, stop);
    return true;
}
