/* The run loop of a vCPU: see accel/tcg/tcg.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "accel/tcg/internal.h"
#include "tcg/text.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/rcu.h"

enum { TURN_NS = 1000000 };

_Noreturn void tcg_leave(Vcpu *v)
{
    longjmp(tcg_vcpu(v)->env, LEAVE_EXCEPTION);
}

_Noreturn void tcg_leave_to_loop(Vcpu *v)
{
    longjmp(tcg_vcpu(v)->env, LEAVE_LOOP);
}

void tcg_moved(Vcpu *v)
{
    tcg_vcpu(v)->in_code = false;
}

/* After a longjmp: where the guest is. */
static void left(TcgVcpu *t, TcgLeave how)
{
    if (t->in_code && how != LEAVE_LOOP) {
        t->arch->restore(t->v, t->it.guest_pc, t->it.guest_word);
    }
    t->in_code = false;
    t->running = NULL;
    t->deliver = how == LEAVE_EXCEPTION;
}

static void print_to_file(void *file, const char *text)
{
    fputs(text, file);
}

static void log_region(TcgVcpu *t, const TcgPoint *at)
{
    if (!log_in_filter(at->pc)) {
        return;
    }
    log_item(LOG_EXEC, "exec %u: 0x%016" PRIx64 " key 0x%" PRIx64 "\n", t->v->index, at->pc, at->key);
    if (log_enabled(LOG_CPU)) {
        FILE *f = log_begin();

        t->v->arch->print_registers(t->v, print_to_file, f);
        log_end(f);
    }
}

/* Runs one region; returns normally unless it faults. */
static void run_region(TcgVcpu *t, const TcgPoint *at)
{
    InterpRegion *r = region_find(t, at);
    IrStop stop;

    if (log_enabled(LOG_EXEC | LOG_CPU)) {
        log_region(t, at);
    }
    t->running = r;
    t->it.guest_pc = at->pc;
    t->in_code = true;
    stop = ir_interp(&t->it, &r->ir);
    t->in_code = false;
    t->running = NULL;
    switch (stop.reason) {
    case IR_STOP_EXIT:
    case IR_STOP_EXIT_IND:
        t->arch->set_pc(t->v, stop.pc);
        break;
    case IR_STOP_LEAVE:
        t->arch->leave(t->v, stop.slot);
        break;
    case IR_STOP_DIVIDE:
        t->in_code = true; /* its pc is known */
        t->arch->raise_divide(t->v);
    case IR_STOP_FAULT: /* accesses leave by themselves: this is their alignment */
        t->in_code = true;
        t->arch->raise_unaligned(t->v, ir_width_bytes(r->ir.insns[stop.insn].w));
    default: /* poll, budget: the instruction has not begun */
        t->arch->restore(t->v, stop.pc, stop.word);
        break;
    }
}

/* True when the loop must be left. */
static bool look_around(TcgVcpu *t)
{
    uint32_t requests = atomic_load(&t->v->requests);

    __atomic_store_n(&t->it.attention, false, __ATOMIC_RELAXED);
    if (t->accel->waiting && clock_host_monotonic_ns() >= t->slice_end) {
        return true;
    }
    if (requests == 0) {
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
    }
    return false;
}

static VcpuExit loop(TcgVcpu *t)
{
    const TcgArch *arch = t->arch;

    for (;;) {
        TcgPoint at;
        VcpuExit stuck;

        if (t->deliver) {
            t->deliver = false;
            arch->deliver(t->v);
        }
        if (look_around(t)) {
            return VCPU_EXIT_KICK;
        }
        stuck = arch->stuck(t->v);
        if (stuck != VCPU_EXIT_KICK) {
            return stuck;
        }
        arch->point(t->v, &at);
        run_region(t, &at);
        if (at.one_insn) {
            arch->after_insn(t->v, &at);
        }
    }
}

/* thread=single: FIFO turns of TURN_NS when others wait. */
static void take_turn(TcgVcpu *t)
{
    TcgAccel *a = t->accel;

    a->waiting++;
    for (unsigned n = 0; n < a->accel.num_vcpus; n++) {
        tcg_kick_vcpu(a->accel.vcpus[n]);
    }
    fair_mutex_lock(&a->turn);
    a->waiting--;
    t->slice_end = clock_host_monotonic_ns() + TURN_NS;
}

VcpuExit tcg_run(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);
    VcpuExit e;
    int how;

    if (t->accel->conf.thread == TCG_THREADS_SINGLE) {
        take_turn(t);
    }
    rcu_enter();
    how = setjmp(t->env);
    if (how) {
        left(t, how);
    }
    e = loop(t);
    rcu_leave();
    if (t->accel->conf.thread == TCG_THREADS_SINGLE) {
        fair_mutex_unlock(&t->accel->turn);
    }
    return e;
}

void tcg_kick_vcpu(Vcpu *v)
{
    TcgVcpu *t = __atomic_load_n(&v->accel_data, __ATOMIC_ACQUIRE);

    if (t) {
        __atomic_store_n(&t->it.attention, true, __ATOMIC_RELAXED);
    }
}
