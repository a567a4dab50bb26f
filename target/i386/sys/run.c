/* The x86 CPU as accel/tcg runs it, and how requests reach it: SDM vol. 3, 6.9 (priorities), 8.4 (INIT, SIPI), 17.3 (debug). */
#include <inttypes.h>

#include "accel/tcg/tcg.h"
#include "target/i386/fp-helpers.h"
#include "target/i386/sys/sys.h"
#include "target/i386/translate.h"
#include "util/log.h"

enum { DR6_BS = 1 << 14 };

/* Where execution is ---------------------------------------------------------- */

static void set_pc(Vcpu *v, vaddr pc)
{
    X86Cpu *c = x86_cpu(v);

    c->pc = pc;
    c->st.rip = x86_code64(c) ? pc : (uint32_t)(pc - c->st.seg[S_CS].base);
}

/*
 * RF holds off instruction breakpoints until the next instruction is done (17.3.1.1), which takes a region of its own. Where none is
 * set, it is dropped at once.
 */
uint64_t x86_settle(X86Cpu *c)
{
    bool changed;

    if (!(c->st.dr7 & 0xff)) {
        c->st.eflags &= ~(uint32_t)FL_RF;
    }
    if (tcg_wanted(c->vcpu) || (c->key & (KEY_TF | KEY_SHADOW | KEY_DR7)) || (c->st.eflags & FL_RF)) {
        tcg_stop_at_exit(c->vcpu);
        changed = true;
    } else {
        changed = tcg_set_mode(c->vcpu, c->key, x86_cpl(c) == 3 ? MMU_USER : MMU_KERNEL) || c->refetch;
    }
    c->refetch = false;
    return changed;
}

static void restore(Vcpu *v, vaddr pc, uint32_t word)
{
    set_pc(v, pc);
}

/* 17.2.4: instruction breakpoints fault before the instruction, unless RF says that they did. */
static void check_breakpoints(X86Cpu *c)
{
    uint64_t pc = x86_linear_pc(c);
    uint32_t hit = 0;

    for (unsigned n = 0; n < 4; n++) {
        if ((c->st.dr7 >> 2 * n & 3) && !(c->st.dr7 >> (16 + 4 * n) & 3) && c->st.dr[n] == pc) {
            hit |= 1u << n;
        }
    }
    if (hit) {
        x86_raise_debug(c, hit);
    }
}

static void point(Vcpu *v, TcgPoint *at)
{
    X86Cpu *c = x86_cpu(v);
    bool rf = c->st.eflags & FL_RF;

    if ((c->key & KEY_DR7) && !rf) {
        check_breakpoints(c);
    }
    *at = (TcgPoint){ .pc = x86_linear_pc(c), .key = c->key, .fetch_mmu = x86_cpl(c) == 3 ? MMU_USER : MMU_KERNEL };
    if (rf || c->one_insn || (c->key & KEY_DR7)) {
        at->key |= KEY_ONE_INSN;
        c->one_insn = false;
    }
    at->one_insn = at->key & (KEY_TF | KEY_SHADOW | KEY_ONE_INSN);
    if (at->one_insn) {
        c->st.single_step = c->key & KEY_TF;
        c->rf_before = rf;
    }
}

/* After one instruction: RF goes, and what it has earned of debug traps is raised. */
static void after_insn(Vcpu *v, const TcgPoint *before)
{
    X86Cpu *c = x86_cpu(v);
    uint32_t dr6 = c->st.pending_db;

    if (c->rf_before) {
        c->st.eflags &= ~(uint32_t)FL_RF;
        c->rf_before = false;
    }
    if (c->st.shadow == 2) {
        c->st.single_step = false; /* 6.8.3: MOV SS and POP SS hold it off until the next instruction is done */
        return;
    }
    if (c->st.single_step) {
        dr6 |= DR6_BS;
    }
    c->st.single_step = false;
    c->st.pending_db = 0;
    if (dr6) {
        x86_raise_debug(c, dr6);
    }
}

static void watch(Vcpu *v, vaddr addr, unsigned size, TcgAccess access)
{
    X86Cpu *c = x86_cpu(v);

    for (unsigned n = 0; n < 4; n++) {
        unsigned kind = c->st.dr7 >> (16 + 4 * n) & 3, len = c->st.dr7 >> (18 + 4 * n) & 3;
        unsigned bytes = len == 2 ? 8 : len + 1;
        uint64_t at = c->st.dr[n] & ~(uint64_t)(bytes - 1);

        if ((c->st.dr7 >> 2 * n & 3) && (kind == 3 || (kind == 1 && access == TCG_WRITE)) && addr < at + bytes &&
            at < addr + size) {
            c->st.pending_db |= 1u << n;
        }
    }
}

static void leave(Vcpu *v, uint32_t reason)
{
    X86Cpu *c = x86_cpu(v);

    set_pc(v, c->pc);
    if (reason == LEAVE_ONE_INSN) {
        c->one_insn = true;
    } else if (reason == LEAVE_STEP) {
        x86_update_key(c); /* st.shadow may have ended */
    } else if (reason == LEAVE_PAUSE) {
        tcg_yield(v);
    }
}

static VcpuExit stuck(Vcpu *v)
{
    X86Cpu *c = x86_cpu(v);

    if (c->st.shutdown) {
        return VCPU_EXIT_SHUTDOWN;
    }
    return c->st.halted || c->st.wait_for_sipi ? VCPU_EXIT_HALT : VCPU_EXIT_KICK;
}

static _Noreturn void raise_divide(Vcpu *v)
{
    x86_raise(x86_cpu(v), EXC_DE, 0);
}

/* Operands of SSE must be aligned, others only under alignment checking (6.15, vector 17). */
static _Noreturn void raise_unaligned(Vcpu *v, unsigned size)
{
    x86_raise(x86_cpu(v), size >= 16 ? EXC_GP : EXC_AC, 0);
}

/* 6.15, vector 19; without CR4.OSXMMEXCPT it is an invalid opcode. */
static _Noreturn void raise_float(Vcpu *v)
{
    x86_raise(x86_cpu(v), x86_cpu(v)->st.cr4 & X86_CR4_OSXMMEXCPT ? EXC_XM : EXC_UD, 0);
}

static void deliver(Vcpu *v)
{
    x86_deliver(x86_cpu(v));
}

static void translate(Vcpu *v, TcgTranslation *t)
{
    X86Translate x = { .r = t->region, .cpu = x86_cpu(v), .pc = t->pc, .key = t->key, .max_insns = t->max_insns,
                       .fetch = t->fetch, .opaque = t->opaque };

    x86_translate(&x);
    t->end = x.end;
    t->num_insns = x.num_insns;
}

/* Requests ------------------------------------------------------------------------ */

static void wake(X86Cpu *c)
{
    c->st.halted = false;
    atomic_store(&c->vcpu->halted, c->st.wait_for_sipi);
}

static void external(X86Cpu *c, unsigned vector)
{
    wake(c);
    log_item(LOG_INT, "interrupt 0x%02x at %04x:%016" PRIx64 "\n", vector, c->st.seg[S_CS].selector, c->st.rip);
    c->delivering = true;
    c->first_vector = 255; /* benign: what goes wrong stands for itself */
    x86_event(c, vector, EVENT_EXTERNAL, false, 0, c->st.rip);
    c->delivering = false;
}

static void take_smi(X86Cpu *c)
{
    vcpu_clear_request(c->vcpu, VCPU_REQ_SMI);
    c->st.smi_latched = c->st.smm;
    if (!c->st.smm) {
        x86_smm_enter(c);
    }
}

/* 8.4.1, 10.4.7.3: the bootstrap processor starts at the reset vector, the others wait for a SIPI. */
static void take_init(X86Cpu *c)
{
    Vcpu *v = c->vcpu;
    uint64_t base;

    vcpu_clear_request(v, VCPU_REQ_INIT);
    c->st.init_latched = c->st.smm;
    if (c->st.smm) {
        return;
    }
    base = v->intc ? v->intc->get_base(v->intc_opaque) : c->st.apic_base;
    x86_init_state(c);
    if (v->intc) {
        v->intc->reset(v->intc_opaque, true);
    }
    c->st.wait_for_sipi = !(base & 1 << 8);
    vcpu_clear_request(v, VCPU_REQ_NMI | VCPU_REQ_HARD); /* a SIPI may have come already, right behind the INIT */
    atomic_store(&v->halted, c->st.wait_for_sipi);
    tcg_tlb_flush(v);
}

static void take_sipi(X86Cpu *c)
{
    uint8_t vector;

    vcpu_clear_request(c->vcpu, VCPU_REQ_SIPI);
    if (!c->st.wait_for_sipi) {
        return;
    }
    vector = __atomic_load_n(&c->st.sipi_vector, __ATOMIC_ACQUIRE); /* a second one may be on its way */
    c->st.wait_for_sipi = false;
    c->st.seg[S_CS].selector = vector << 8;
    c->st.seg[S_CS].base = (uint32_t)vector << 12;
    wake(c);
    x86_go(c, 0);
}

static void take_nmi(X86Cpu *c)
{
    vcpu_clear_request(c->vcpu, VCPU_REQ_NMI);
    c->st.nmi_latched = c->st.nmi_blocked;
    if (!c->st.nmi_blocked) {
        c->st.nmi_blocked = true;
        external(c, EXC_NMI);
    }
}

static bool hard_pending(Vcpu *v)
{
    return v->intc && v->intc->pending(v->intc_opaque);
}

static void take_hard(X86Cpu *c)
{
    Vcpu *v = c->vcpu;
    int vector;

    vcpu_clear_request(v, VCPU_REQ_HARD | VCPU_REQ_POLL);
    if (!hard_pending(v)) {
        return;
    }
    vector = v->intc->accept(v->intc_opaque);
    if (hard_pending(v)) {
        atomic_fetch_or(&v->requests, VCPU_REQ_HARD); /* no kick: the loop looks again by itself */
    }
    if (vector >= 0) {
        external(c, vector);
    }
}

/* Table 6-2: one event at a time, the most urgent first; the loop comes again for the next. */
static void interrupts(Vcpu *v)
{
    X86Cpu *c = x86_cpu(v);
    uint32_t requests = atomic_load(&v->requests);

    if (requests & VCPU_REQ_A20) {
        vcpu_clear_request(v, VCPU_REQ_A20);
        c->st.a20 = !atomic_load(&c->a20_masked);
        tcg_tlb_flush(v);
    }
    if ((requests & VCPU_REQ_SMI) && !c->st.wait_for_sipi) {
        take_smi(c);
    } else if (requests & VCPU_REQ_INIT) {
        take_init(c);
    } else if (requests & VCPU_REQ_SIPI) {
        take_sipi(c);
    } else if (c->st.wait_for_sipi || c->st.shadow) {
        return;
    } else if (requests & VCPU_REQ_NMI) {
        take_nmi(c);
    } else if ((requests & (VCPU_REQ_HARD | VCPU_REQ_POLL)) && (c->st.eflags & FL_IF)) {
        take_hard(c);
    }
}

/* Any thread may be stopped in between: only what wakes a halted CPU counts. */
static bool has_work(Vcpu *v)
{
    X86Cpu *c = x86_cpu(v);
    uint32_t requests = atomic_load(&v->requests);

    if (requests & (VCPU_REQ_INIT | VCPU_REQ_A20 | VCPU_REQ_FLUSH)) {
        return true;
    }
    if (c->st.wait_for_sipi) {
        return requests & VCPU_REQ_SIPI;
    }
    return (requests & (VCPU_REQ_SMI | VCPU_REQ_MCE)) || ((requests & VCPU_REQ_NMI) && !c->st.nmi_blocked) ||
           ((requests & (VCPU_REQ_HARD | VCPU_REQ_POLL)) && (c->st.eflags & FL_IF) && hard_pending(v));
}

void x86_cpu_set_a20(Vcpu *v, bool on)
{
    X86Cpu *c = x86_cpu(v);

    atomic_store(&c->a20_masked, !on);
    vcpu_request(v, VCPU_REQ_A20);
}

void x86_cpu_sipi(Vcpu *v, uint8_t vector)
{
    X86Cpu *c = x86_cpu(v);

    __atomic_store_n(&c->st.sipi_vector, vector, __ATOMIC_RELEASE);
    vcpu_request(v, VCPU_REQ_SIPI);
}

/* The architecture --------------------------------------------------------------------- */

static uint64_t get_pc(Vcpu *v)
{
    return x86_linear_pc(x86_cpu(v));
}

static void reset(Vcpu *v)
{
    X86Cpu *c = x86_cpu(v);

    c->vcpu = v;
    x86_reset_state(c);
    c->st.a20 = !atomic_load(&c->a20_masked);
    c->st.wait_for_sipi = v->start_halted;
    atomic_store(&v->halted, v->start_halted);
    vcpu_clear_request(v, VCPU_REQ_HARD | VCPU_REQ_NMI | VCPU_REQ_SMI | VCPU_REQ_INIT | VCPU_REQ_SIPI);
    vcpu_request(v, VCPU_REQ_FLUSH);
}

static void begin_run(Vcpu *v)
{
    x86_fpu_load(x86_cpu(v));
}

static void end_run(Vcpu *v)
{
    x86_fpu_save(x86_cpu(v));
}

static _Noreturn void raise_illegal(Vcpu *v)
{
    x86_raise(x86_cpu(v), EXC_UD, 0);
}

static const TcgArch tcg_arch = {
    .guest = &x86_tcg_guest,
    .begin_run = begin_run,
    .end_run = end_run,
    .raise_illegal = raise_illegal,
    .num_mmu = MMU_NUM,
    .point = point,
    .set_pc = set_pc,
    .restore = restore,
    .translate = translate,
    .walk = x86_walk,
    .raise_fault = x86_raise_fault,
    .raise_divide = raise_divide,
    .raise_unaligned = raise_unaligned,
    .raise_float = raise_float,
    .deliver = deliver,
    .interrupts = interrupts,
    .leave = leave,
    .after_insn = after_insn,
    .watch = watch,
    .stuck = stuck,
};

static unsigned code_bits(Vcpu *v)
{
    uint64_t key = x86_cpu(v)->key;

    return key & KEY_CODE64 ? 64 : key & KEY_CODE32 ? 32 : 16;
}

/* The counter is virtual time and an offset: x86_tsc(). */
static int64_t time_of_stamp(Vcpu *v, uint64_t stamp)
{
    int64_t left = (int64_t)(stamp - x86_cpu(v)->st.tsc_offset);

    return left < 0 ? 0 : left;
}

const VcpuArch x86_vcpu_arch = {
    .name = "x86_64",
    .tcg = &tcg_arch,
    .state_size = sizeof(X86Cpu),
    .reset = reset,
    .has_work = has_work,
    .print_registers = x86_print_registers,
    .get_pc = get_pc,
    .translate_debug = x86_translate_debug,
    .print_mmu = x86_print_mmu,
    .get_register = x86_get_register, .code_bits = code_bits,
    .start_up = x86_cpu_sipi,
    .time_of_stamp = time_of_stamp,
};
