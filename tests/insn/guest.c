/*
 * Running a case through translation: x86_translate, then the IR's interpreter, with the system's part replaced by what a flat
 * user program needs: exceptions are recorded, segments are the three of native.c, everything else refuses.
 */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "target/i386/fp-helpers.h"
#include "target/i386/gen.h"
#include "target/i386/sys-helpers.h"
#include "tcg/interp.h"
#include "tests/insn/emitted.h"
#include "tests/insn/hostop.h"
#include "tests/insn/insn.h"

/* What raises is called by emitted code, whose vector registers are the guest's. */
#pragma GCC target("general-regs-only")

enum { MAX_REGIONS = 200, MAX_WRAPPED = 32 };

typedef struct {
    X86Cpu *cpu;
    IrRegion region;
    IrInterp it;
    const InsnCase *c;
    InsnResult *out;
    X86Cpu *cpus[2];         /* cpu is one of them */
    GuestEngine engine;
    uint8_t fpu[108];        /* the host's x87 state before a store by it, for when the store faults */
    bool fpu_kept;
    jmp_buf jump;            /* out of the helper that raises */
    TcgHelper wrapped[MAX_WRAPPED];
    const TcgHelper *real[MAX_WRAPPED];
    unsigned num_wrapped;
} Guest;

static Guest guest;

/* Exceptions and the system's part */

void x86_raise(X86Cpu *cpu, unsigned vector, uint32_t error)
{
    guest.out->st.vector = (int)vector;
    guest.out->st.error = error;
    longjmp(guest.jump, 1);
}

_Noreturn void guest_refuse(const char *name)
{
    guest.out->refused = name;
    longjmp(guest.jump, 1);
}

uint64_t x86_sys_raise(X86Cpu *cpu, uint64_t vector, uint64_t error)
{
    x86_raise(cpu, (unsigned)vector, (uint32_t)error);
}

/* SDM vol. 3, 5.3: the segments of this harness are expand-up and writable, but for CS. */
uint64_t x86_sys_check_segment(X86Cpu *cpu, uint64_t seg, uint64_t offset, uint64_t bytes, uint64_t write)
{
    const X86Segment *s = &cpu->st.seg[seg];

    if ((s->attributes & 0x10000) || (write && seg == S_CS) || offset + bytes - 1 > s->limit || offset + bytes - 1 < offset) {
        x86_raise(cpu, seg == S_SS ? EXC_SS : EXC_GP, 0);
    }
    return 0;
}

/* REP in bulk: up to 5 elements, as far as they are all allowed. */
static uint64_t bulk(X86Cpu *cpu, uint64_t to, const uint64_t *from, uint64_t value, uint64_t elements, unsigned size)
{
    uint64_t n = 0;

    if (cpu->st.eflags & FL_DF) {
        return 0;
    }
    for (; n < elements && n < 5; n++) {
        uint64_t dst = to + n * size, src = from ? *from + n * size : dst;
        if (!guest_allowed(dst, true) || !guest_allowed(dst + size - 1, true) || !guest_allowed(src, false) || !guest_allowed(src + size - 1, false)) {
            break;
        }
        if (from) {
            memcpy(&value, (void *)(uintptr_t)src, size); /* all of it first: it may overlap */
        }
        memcpy((void *)(uintptr_t)dst, &value, size);
    }
    return n;
}

uint64_t x86_sys_rep_movs(X86Cpu *cpu, uint64_t to, uint64_t from, uint64_t elements, uint64_t how)
{
    return bulk(cpu, to, &from, 0, elements, 1u << (how & 3));
}

uint64_t x86_sys_rep_stos(X86Cpu *cpu, uint64_t to, uint64_t value, uint64_t elements, uint64_t how)
{
    return bulk(cpu, to, NULL, value, elements, 1u << (how & 3));
}

/* Helpers that raise leave by longjmp; each is called through one of these, so that the interpreter sees it return. */
typedef uint64_t Fn(void *, uint64_t, uint64_t, uint64_t, uint64_t);

static uint64_t call_real(unsigned n, void *state, const uint64_t *a)
{
    if (setjmp(guest.jump)) {
        guest.it.raised = true;
        return 0;
    }
    return ((Fn *)guest.real[n]->fn)(state, a[0], a[1], a[2], a[3]);
}

#define WRAP(n) \
    static uint64_t wrap_##n(void *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d) \
    { \
        uint64_t v; \
        guest.it.raised = false; \
        v = call_real(n, s, (uint64_t[]){ a, b, c, d }); \
        if (guest.it.raised && emitted_running()) { \
            emitted_raise(); \
        } \
        return v; \
    }
#define EACH(M) M(0) M(1) M(2) M(3) M(4) M(5) M(6) M(7) M(8) M(9) M(10) M(11) M(12) M(13) M(14) M(15) \
    M(16) M(17) M(18) M(19) M(20) M(21) M(22) M(23) M(24) M(25) M(26) M(27) M(28) M(29) M(30) M(31)
EACH(WRAP)
#define NAME(n) wrap_##n,
static Fn *const wraps[MAX_WRAPPED] = { EACH(NAME) };

static void wrap_calls(IrRegion *r)
{
    guest.num_wrapped = 0;
    for (uint32_t i = 0; i < r->num_insns; i++) {
        IrInsn *in = &r->insns[i];
        const TcgHelper *h = (const TcgHelper *)(uintptr_t)in->imm;
        unsigned n = 0;
        if (in->op != IR_call) {
            continue;
        }
        while (n < guest.num_wrapped && guest.real[n] != h) {
            n++;
        }
        if (n == MAX_WRAPPED) {
            guest.out->refused = "too many helpers";
            return;
        }
        guest.num_wrapped += n == guest.num_wrapped;
        guest.real[n] = h;
        guest.wrapped[n] = *h;
        guest.wrapped[n].fn = (void (*)(void))wraps[n];
        in->imm = (uintptr_t)&guest.wrapped[n];
    }
}

/* Guest memory */

bool guest_allowed(uint64_t addr, bool write)
{
    if (addr >= CODE && addr < CODE + CODE_SIZE) {
        return true;
    }
    addr -= DATA;
    return (addr >= DATA_RW && addr < (write ? DATA_RO : DATA_RO + PAGE)) || (addr >= STACK && addr < STACK + STACK_SIZE);
}

bool guest_access(uint64_t addr, unsigned size, bool write)
{
    uint64_t last = addr + size - 1, bad = addr;
    InsnState *s = &guest.out->st;

    if (guest_allowed(addr, write)) {
        bad = last & ~(uint64_t)(PAGE - 1);
        if (last / PAGE == addr / PAGE || guest_allowed(last, write)) {
            return true;
        }
    }
    if ((int64_t)(addr << 16) >> 16 != (int64_t)addr || (int64_t)(last << 16) >> 16 != (int64_t)last) {
        s->vector = EXC_GP;
        s->error = 0;
        return false;
    }
    s->vector = EXC_PF;
    s->error = 4 | (write ? 2 : 0) | (guest_allowed(bad, false) ? 1 : 0);
    s->address = bad;
    return false;
}

uint64_t x86_sys_probe_write(X86Cpu *cpu, uint64_t addr, uint64_t bytes)
{
    if (!guest_access(addr, (unsigned)bytes, true)) {
        longjmp(guest.jump, 1);
    }
    return 0;
}

static bool load(IrInterp *it, uint64_t addr, void *buf, unsigned size, unsigned mmu)
{
    if (guest_access(addr, size, false)) {
        memcpy(buf, (void *)(uintptr_t)addr, size);
        return true;
    }
    return false;
}

static bool store(IrInterp *it, uint64_t addr, const void *buf, unsigned size, unsigned mmu)
{
    bool kept = guest.fpu_kept;

    guest.fpu_kept = false;
    if (guest_access(addr, size, true)) {
        memcpy((void *)(uintptr_t)addr, buf, size);
        return true;
    }
    if (kept) {
        __asm__ volatile("frstor %0" : : "m"(guest.fpu));
    }
    return false;
}

static bool native(IrInterp *it, const IrInsn *in, IrNativeIo *io)
{
    guest.fpu_kept = in->op == IR_native_xm && (in->imm & TCG_NATIVE_WRITES);
    if (guest.fpu_kept) { /* the interpreter stores only afterwards */
        __asm__ volatile("fnsave %0\n\tfrstor %0" : "+m"(guest.fpu));
    }
    if (hostop_run(guest.cpu, in, io)) {
        return true;
    }
    if (in->imm & TCG_NATIVE_FAULTS) {
        guest.out->st.vector = EXC_XM;
    } else {
        guest.out->refused = "native op";
    }
    return false;
}

/* State */

static void set_segment(X86Segment *s, uint16_t selector, uint64_t base, uint32_t limit, uint32_t attributes)
{
    *s = (X86Segment){ .selector = selector, .base = base, .limit = limit, .attributes = attributes };
}

static void set_segments(X86Cpu *cpu, InsnMode mode)
{
    X86State *st = &cpu->st;
    uint32_t big = mode == MODE_32 ? 0xc000 : 0, limit = mode == MODE_16 ? 0xffff : 0xffffffff;
    uint64_t base = mode == MODE_16 ? DATA : 0;
    uint16_t data = mode == MODE_16 ? 2 << 3 | 7 : 0x2b;

    set_segment(&st->seg[S_CS], mode == MODE_16 ? 1 << 3 | 7 : mode == MODE_32 ? 0x23 : 0x33, mode == MODE_16 ? CODE : 0, limit,
                0xfb | big | (mode == MODE_64 ? 0xa000 : 0));
    set_segment(&st->seg[S_SS], data, base, limit, 0xf3 | big | (mode == MODE_64 ? 0xc000 : 0));
    set_segment(&st->seg[S_DS], mode == MODE_64 ? 0 : data, base, limit, 0xf3 | big);
    set_segment(&st->seg[S_ES], mode == MODE_64 ? 0 : data, base, limit, 0xf3 | big);
    set_segment(&st->seg[S_FS], 0, 0, 0, 0x10000);
    set_segment(&st->seg[S_GS], 0, mode == MODE_64 ? DATA : 0, 0, 0x10000);
    for (unsigned n = 0; n < 6; n++) {
        bool usable = !(st->seg[n].attributes & 0x10000);
        cpu->seg_top[0][n] = usable ? (int64_t)st->seg[n].limit : -1;
        cpu->seg_top[1][n] = usable && n != S_CS ? (int64_t)st->seg[n].limit : -1;
    }
}

static uint64_t mode_key(InsnMode mode)
{
    uint64_t key = KEY_PE | KEY_LMA | KEY_CPL | KEY_CR0_MP | KEY_CR0_NE | KEY_OSFXSR | KEY_OSXMMEXCPT;

    switch (mode) {
    case MODE_64:
        return key | KEY_CODE64 | KEY_FLAT_DS | KEY_FLAT_CS | KEY_SS32;
    case MODE_32:
        return key | KEY_CODE32 | KEY_FLAT_DS | KEY_FLAT_CS | KEY_SS32;
    default:
        return key | (uint64_t)CODE << 32;
    }
}

static void state_put(X86Cpu *cpu, const InsnCase *c)
{
    X86State *st = &cpu->st;
    const InsnState *in = &c->in;
    unsigned top = in->fsw >> 11 & 7;

    memset(st, 0, sizeof(*st));
    memcpy(st->gpr, in->gpr, sizeof(st->gpr));
    st->rip = in->rip;
    cpu->pc = in->rip + (c->mode == MODE_16 ? CODE : 0);
    st->cc = in->flags & FL_STATUS;
    st->eflags = (uint32_t)in->flags & ~FL_STATUS;
    for (unsigned n = 0; n < 16; n++) {
        memcpy(st->vec[n], in->xmm[n], 16);
    }
    for (unsigned n = 0; n < 8; n++) {
        memcpy(st->fpr[(top + n) & 7], in->st[n], 16);
    }
    st->fcw = in->fcw;
    st->fsw = in->fsw;
    st->ftw = in->ftw;
    st->fop = in->fop;
    st->fip = in->fip;
    st->fdp = in->fdp;
    st->mxcsr = in->mxcsr;
    st->cr0 = 0x80050033;
    st->cr4 = 0x620;
    st->efer = 0xd01;
    set_segments(cpu, c->mode);
    cpu->key = mode_key(c->mode);
}

static void state_get(const X86Cpu *cpu, InsnState *out)
{
    const X86State *st = &cpu->st;
    unsigned top = st->fsw >> 11 & 7;

    memcpy(out->gpr, st->gpr, sizeof(out->gpr));
    out->flags = st->cc | st->eflags;
    for (unsigned n = 0; n < 16; n++) {
        memcpy(out->xmm[n], st->vec[n], 16);
    }
    for (unsigned n = 0; n < 8; n++) {
        memcpy(out->st[n], st->fpr[(top + n) & 7], 16);
    }
    out->fcw = st->fcw;
    out->fsw = st->fsw;
    out->ftw = st->ftw;
    out->fop = st->fop;
    out->fip = st->fip;
    out->fdp = st->fdp;
    out->mxcsr = st->mxcsr;
}

/* Running */

static unsigned fetch(void *opaque, vaddr pc, uint8_t *buf, unsigned len)
{
    vaddr from = CODE + CODE_START, end = from + guest.c->len;

    if (pc < from || pc >= end) {
        return 0;
    }
    len = pc + len > end ? (unsigned)(end - pc) : len;
    memcpy(buf, (void *)(uintptr_t)pc, len);
    return len;
}

/* As the interpreter does, through the emitter. False: refused. */
static bool run_emitted(uint64_t pc, IrStop *stop)
{
    if (!emitted_run(guest.cpu, &guest.region, pc, stop, &guest.out->refused)) {
        return false;
    }
    if (stop->reason == IR_STOP_FAULT && emitted_fault.vector >= 0) {
        guest.out->st.vector = emitted_fault.vector;
        guest.out->st.error = emitted_fault.error;
        guest.out->st.address = emitted_fault.address;
    }
    return true;
}

/* One region from cpu->pc. False: the case is over. */
static bool step(uint64_t *key)
{
    X86Cpu *cpu = guest.cpu;
    X86Translate t = { .r = &guest.region, .cpu = cpu, .pc = cpu->pc, .key = *key, .max_insns = 64, .fetch = fetch };
    const char *wrong;
    uint32_t at = 0;
    IrStop stop;

    ir_region_reset(&guest.region);
    x86_translate(&t);
    if (t.num_insns == 0) {
        guest.out->refused = "fetch";
        return false;
    }
    wrong = ir_verify(&guest.region, &at);
    if (wrong) {
        guest.out->refused = wrong;
        return false;
    }
    wrap_calls(&guest.region);
    if (guest.out->refused) {
        return false;
    }
    if (guest.engine == GUEST_INTERPRETED) {
        stop = ir_interp(&guest.it, &guest.region);
    } else if (!run_emitted(t.pc, &stop)) {
        return false;
    }
    *key &= ~(uint64_t)KEY_ONE_INSN;
    switch (stop.reason) {
    case IR_STOP_EXIT:
    case IR_STOP_EXIT_IND:
        cpu->pc = stop.pc;
        return true;
    case IR_STOP_LEAVE:
        *key |= stop.slot == LEAVE_ONE_INSN ? KEY_ONE_INSN : 0;
        return true;
    case IR_STOP_DIVIDE:
        guest.out->st.vector = EXC_DE;
        break;
    case IR_STOP_FAULT:
        if (guest.out->st.vector < 0 && !guest.out->refused) {
            guest.out->st.vector = EXC_GP; /* alignment */
        }
        break;
    default:
        guest.out->refused = "stopped";
        break;
    }
    cpu->pc = stop.pc;
    return false;
}

void guest_init(void)
{
    guest.cpus[0] = emitted_new_cpu(false);
    guest.cpus[1] = emitted_new_cpu(true);
    guest.cpu = guest.cpus[0];
    memset(guest.cpus[0]->features, 0xff, sizeof(guest.cpu->features));
    memset(guest.cpus[1]->features, 0xff, sizeof(guest.cpu->features));
    ir_region_init(&guest.region, &x86_tcg_guest);
}

void guest_run(const InsnCase *c, InsnResult *out, GuestEngine engine)
{
    uint8_t *code = (uint8_t *)(uintptr_t)CODE + CODE_START;
    uint64_t key = mode_key(c->mode), base = c->mode == MODE_16 ? CODE : 0;
    X86Cpu *cpu = guest.cpus[engine == GUEST_SYSTEM];

    guest.cpu = cpu;
    memset(&out->st, 0, sizeof(out->st));
    out->st.vector = -1;
    out->refused = NULL;
    guest.c = c;
    guest.out = out;
    guest.engine = engine;
    emitted_reset_tlb(c->in.gpr[R_RAX] & 4);
    guest.it = (IrInterp){ .state = cpu, .load = load, .store = store, .native = native, .max_steps = 5000000,
                           .memory = guest.it.memory, .memory_size = guest.it.memory_size };
    insn_memory_put(c->mem);
    memset((void *)(uintptr_t)CODE, 0xcc, CODE_SIZE);
    memcpy(code, c->code, c->len);
    state_put(cpu, c);
    for (unsigned n = 0; n < MAX_REGIONS && !out->refused; n++) {
        uint64_t from = (uint64_t)(uintptr_t)code;
        if ((n && (cpu->pc < from || cpu->pc >= from + c->len)) || !step(&key)) {
            break;
        }
    }
    x86_fpu_flush(cpu);
    state_get(cpu, &out->st);
    out->st.rip = cpu->pc - base;
    insn_memory_get(out->mem);
}
