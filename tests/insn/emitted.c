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

static struct {
    TcgCache *cache;
    TcgContext *context;
    X86Cpu *cpu;
    uint32_t number;
    bool running;
} em;

EmittedFault emitted_fault;

X86Cpu *emitted_new_cpu(void)
{
    TcgConfig config = { .guest = &x86_tcg_guest, .user = true, .code_size = 16 << 20 };

    em.cache = tcg_cache_new(&config, NULL);
    em.context = em.cache ? tcg_context_new(em.cache, NULL) : NULL;
    em.cpu = em.context ? tcg_state_new(em.cache, NULL) : NULL;
    if (!em.cpu) {
        abort();
    }
    return em.cpu;
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
    if (!em.running || !tcg_fault(em.cache, em.cpu, uc, (void *)(uintptr_t)g[REG_CR2])) {
        return false;
    }
    emitted_fault = f;
    return true;
}

void emitted_raise(void)
{
    tcg_raise(em.cache, em.cpu);
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

    do {
        done = tcg_translate(em.context, &key, copy_region, (void *)r, &region);
        if (done == TCG_FULL) {
            tcg_flush(em.cache);
        }
    } while (done == TCG_FULL);
    if (done != TCG_TRANSLATED) {
        *why = done == TCG_REFUSED ? tcg_refused_op(em.context) : "too long";
        return false;
    }
    emitted_fault = (EmittedFault){ .vector = -1 };
    cpu->rt.mxcsr = cpu->st.mxcsr;
    tcg_thread_attach(cpu);
    em.running = true;
    reason = tcg_enter(em.cache, cpu, region);
    em.running = false;
    syscall(SYS_arch_prctl, ARCH_SET_GS, DATA); /* what native code sees */
    cpu->st.mxcsr = cpu->rt.mxcsr;
    stop_of(cpu, reason, stop);
    return true;
}
