/* The run loop of a vCPU: see accel/tcg/tcg.h. */
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "accel/tcg/internal.h"
#include "tcg/text.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/rcu.h"

enum { TURN_NS = 1000000 };

/* Leaving ------------------------------------------------------------------ */

_Noreturn void tcg_leave_how(TcgVcpu *t, TcgLeave how)
{
    t->leave = how;
    if (t->rt->running) {
        tcg_raise(t->accel->cache, t->v->state);
    }
    longjmp(t->env, 1);
}

_Noreturn void tcg_leave(Vcpu *v)
{
    tcg_leave_how(tcg_vcpu(v), LEAVE_EXCEPTION);
}

_Noreturn void tcg_leave_to_loop(Vcpu *v)
{
    tcg_vcpu(v)->moved = true;
    tcg_leave_how(tcg_vcpu(v), LEAVE_LOOP);
}

void tcg_moved(Vcpu *v)
{
    tcg_vcpu(v)->moved = true;
}

/* The instruction at pc was left before its end. */
static void left(TcgVcpu *t, vaddr pc, uint32_t word)
{
    if (!t->moved) {
        t->arch->restore(t->v, pc, word);
    }
    t->deliver = t->leave == LEAVE_EXCEPTION;
}

/*
 * Signals of translated code: the poll page that a kick closed, and floating-point and divide errors. They arrive in the thread that
 * caused them; which vCPU that is, only a variable of the thread can tell a signal handler.
 */
static _Thread_local TcgVcpu *current;

void tcg_set_current(TcgVcpu *t)
{
    current = t;
}

TcgVcpu *tcg_current_vcpu(void)
{
    return current;
}

static void on_signal(int sig, siginfo_t *info, void *ucontext)
{
    TcgVcpu *t = current;

    if (t && tcg_fault(t->accel->cache, t->v->state, ucontext, info->si_addr)) {
        if (t->rt->exit_reason != TCG_EXIT_POLL) {
            t->fault_code = sig == SIGFPE ? info->si_code : -1;
        }
        return;
    }
    signal(sig, SIG_DFL); /* not ours: the instruction is run again and ends the process */
}

void tcg_install_signals(void)
{
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_NODEFER };

    sigemptyset(&sa.sa_mask);
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGFPE, &sa, NULL);
}

void tcg_yield(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);

    t->polled = true; /* thread=single: gives its turn away */
    if (t->accel->overcommitted) {
        sched_yield();
    }
}

/* Running -------------------------------------------------------------------- */

/* The emitter refused the region in t->ir. */
static void interpret(TcgVcpu *t)
{
    IrStop stop;

    t->accel->interpreted++;
    log_item(LOG_UNIMP, "translator: interprets 0x%" PRIx64 ": %s\n", t->tr.pc, tcg_refused_op(t->ctx));
    t->it.guest_pc = t->tr.pc;
    t->interpreting = true;
    stop = ir_interp(&t->it, &t->ir);
    switch (stop.reason) {
    case IR_STOP_EXIT:
    case IR_STOP_EXIT_IND:
        t->arch->set_pc(t->v, stop.pc);
        break;
    case IR_STOP_LEAVE:
        t->arch->leave(t->v, stop.slot);
        break;
    case IR_STOP_DIVIDE:
        t->arch->raise_divide(t->v);
    case IR_STOP_NO_NATIVE: /* the host's own instructions only run translated: alone it is no more than the emitter can do */
        t->arch->restore(t->v, stop.pc, stop.word);
        t->interpreting = false;
        if (t->tr.num_insns == 1) {
            t->moved = true;
            t->arch->raise_illegal(t->v);
        }
        t->force_one = true;
        return;
    case IR_STOP_FAULT: /* accesses leave by themselves: this is their alignment */
        t->arch->raise_unaligned(t->v, ir_width_bytes(t->ir.insns[stop.insn].w));
    default: /* poll, budget: the instruction has not begun */
        t->arch->restore(t->v, stop.pc, stop.word);
        break;
    }
    t->interpreting = false;
}

/* A host fault in translated code. */
static void host_fault(TcgVcpu *t)
{
    int code = t->fault_code;

    t->fault_code = 0;
    t->arch->restore(t->v, t->rt->exit_pc, t->rt->exit_word);
    t->moved = true; /* where it is is said already */
    if (code == FPE_INTDIV || code == FPE_INTOVF) {
        t->arch->raise_divide(t->v);
    }
    if (code < 0) {
        abort(); /* translated code touched what it must not: our own bug */
    }
    t->arch->raise_float(t->v);
}

/* Runs a region and what is linked to it. */
static void run_region(TcgVcpu *t, const TcgPoint *at)
{
    TcgExitReason why;
    TcgRegion *r;

    if (at->key != t->last_key) {
        tcg_forget_returns(t->accel->cache, t->v->state); /* they go by address alone */
        t->last_key = at->key;
    }
    r = region_find(t, at);
    if (log_enabled(LOG_EXEC | LOG_CPU)) {
        log_region(t, at, r);
    }
    t->moved = false;
    if (!r) {
        interpret(t);
        return;
    }
    region_connect(t, r, at);
    t->rt->key = r->key.mode;
    t->run_mmu = at->fetch_mmu;
    why = tcg_enter(t->accel->cache, t->v->state, r);
    tcg_count(&t->counts.exits[why]);
    switch (why) {
    case TCG_EXIT_LINK:
        t->slot = t->rt->exit_slot;
        t->arch->set_pc(t->v, t->rt->exit_pc);
        break;
    case TCG_EXIT_LOOKUP:
        t->arch->set_pc(t->v, t->rt->exit_pc);
        break;
    case TCG_EXIT_LEAVE:
        t->arch->leave(t->v, t->rt->exit_code);
        break;
    case TCG_EXIT_POLL:
        t->polled = true;
        t->arch->set_pc(t->v, t->rt->exit_pc);
        break;
    case TCG_EXIT_ICOUNT:
        t->arch->set_pc(t->v, t->rt->exit_pc);
        break;
    case TCG_EXIT_RAISE:
        if (t->fault_code) {
            host_fault(t);
        }
        left(t, t->rt->exit_pc, t->rt->exit_word);
        break;
    }
}

/* The loop ------------------------------------------------------------------------ */

/* Lets another vCPU throw all translations away. */
static void yield_cache(TcgVcpu *t)
{
    pthread_rwlock_unlock(&t->accel->running);
    pthread_rwlock_rdlock(&t->accel->running);
    t->slot = NULL;
}

/* A kick sets attention after the request: either the request is seen here, or attention stays. */
bool tcg_wanted(Vcpu *v)
{
    TcgRuntime *rt = tcg_vcpu(v)->rt;

    if (!atomic_load_explicit(&rt->attention, memory_order_relaxed)) {
        return false;
    }
    atomic_store(&rt->attention, false);
    if (atomic_load(&v->requests)) {
        atomic_store(&rt->attention, true);
        return true;
    }
    return false;
}

/* True when the loop must be left. */
static bool look_around(TcgVcpu *t)
{
    uint32_t requests = atomic_load(&t->v->requests);

    if (atomic_load(&t->accel->flush_wanted)) {
        yield_cache(t);
    }
    if (t->polled && t->accel->waiting) {
        return true;
    }
    if (requests == 0) {
        tcg_wanted(t->v);
        return false;
    }
    if (requests & VCPU_REQ_FLUSH) {
        vcpu_clear_request(t->v, VCPU_REQ_FLUSH);
        tcg_tlb_flush(t->v);
        rcu_leave(); /* maps of before may go now */
        rcu_enter();
    }
    if (requests & (VCPU_REQ_EXIT | VCPU_REQ_WORK)) {
        return true;
    }
    if (requests & ~(uint32_t)VCPU_REQ_FLUSH) {
        t->arch->interrupts(t->v);
        /* What could not be taken now, or was asked for again without a kick */
        atomic_store(&t->rt->attention, atomic_load(&t->v->requests) != 0);
    }
    return false;
}

static VcpuExit loop(TcgVcpu *t)
{
    const TcgArch *arch = t->arch;

    for (;;) {
        TcgPoint at;
        VcpuExit stuck;
        bool one;

        t->moved = true; /* outside of instructions the state says where it is */
        if (atomic_load_explicit(&t->must_settle, memory_order_relaxed)) {
            code_settle(t, true);
        }
        if (t->deliver) {
            t->deliver = false;
            tcg_count(&t->counts.delivered);
            arch->deliver(t->v);
        }
        if (t->tlb_grow) {
            tlb_grow(t);
        }
        if (look_around(t)) {
            return VCPU_EXIT_KICK;
        }
        stuck = arch->stuck(t->v);
        if (stuck != VCPU_EXIT_KICK) {
            return stuck;
        }
        arch->point(t->v, &at);
        t->leave = LEAVE_NONE;
        one = at.one_insn;
        run_region(t, &at);
        if (one && t->leave == LEAVE_NONE) {
            t->moved = true;
            arch->after_insn(t->v, &at);
        }
    }
}

/* thread=single: turns in order; who waits longer than TURN_NS kicks who runs. */
static void take_turn(TcgAccel *a)
{
    uint64_t mine;

    a->waiting++;
    mutex_lock(&a->turn_lock);
    mine = a->next_turn++;
    while (a->serving != mine) {
        if (!cond_wait_until(&a->turn, &a->turn_lock, clock_host_monotonic_ns() + TURN_NS)) {
            for (unsigned n = 0; n < a->accel.num_vcpus; n++) {
                tcg_kick_vcpu(a->accel.vcpus[n]);
            }
        }
    }
    mutex_unlock(&a->turn_lock);
    a->waiting--;
}

static void give_turn(TcgAccel *a)
{
    mutex_lock(&a->turn_lock);
    a->serving++;
    cond_broadcast(&a->turn);
    mutex_unlock(&a->turn_lock);
}

VcpuExit tcg_run(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    VcpuExit e;

    if (t->accel->conf.thread == TCG_THREADS_SINGLE) {
        take_turn(t->accel);
    }
    rcu_enter();
    pthread_rwlock_rdlock(&t->accel->running);
    code_settle(t, true);
    t->slot = NULL;
    t->polled = false;
    t->arch->begin_run(v);
    if (setjmp(t->env)) {
        left(t, t->it.guest_pc, t->it.guest_word); /* from the interpreter, or outside of regions: moved */
        t->interpreting = false;
    }
    e = loop(t);
    t->arch->end_run(v);
    code_settle(t, false);
    pthread_rwlock_unlock(&t->accel->running);
    rcu_leave();
    if (t->accel->conf.thread == TCG_THREADS_SINGLE) {
        give_turn(t->accel);
    }
    return e;
}

/* The state outlives the vCPU's thread, what is in accel_data does not: only that it is there is looked at. */
void tcg_kick_vcpu(Vcpu *v)
{
    if (__atomic_load_n(&v->accel_data, __ATOMIC_ACQUIRE)) {
        atomic_store(&tcg_runtime(((TcgAccel *)v->accel)->cache, v->state)->attention, true);
        tcg_kick(v->state);
    }
}
