/*
 * Native ops of the IR for the interpreter. Layout of the instruction's arguments: tcg/x86_64/native.h. Here the result (and
 * the old destination) is xmm1, the second source xmm2, the implicit one xmm0, integers rax, memory [rsi].
 */
#include <string.h>
#include <sys/mman.h>

#include "tcg/x86_64/native.h"
#include "tests/insn/hostop.h"

enum { SLOTS = 4096, STUB = 96, RAX = 0, RSI = 6 };

/* What a stub works on; its address is in rdi. */
typedef struct {
    uint8_t v0[16], v1[16], v2[16]; /* xmm0 to xmm2 */
    uint64_t integer;
    uint64_t flags;
    uint32_t mxcsr, host_mxcsr;
    void *mem;
} Frame;

typedef struct {
    uint64_t key;
    uint8_t op;
    uint8_t tail;           /* offset of what follows the instruction */
} Slot;

static Slot slots[SLOTS];
static uint8_t *stubs;
static uint8_t *tail;       /* where to go on after a fault; NULL: no stub is running */
static bool faulted;
static uint64_t flags = 2;  /* of the last instruction */

typedef struct {
    uint8_t *p;
} Out;

static void put(Out *o, const char *bytes, unsigned n)
{
    memcpy(o->p, bytes, n);
    o->p += n;
}
#define PUT(o, s) put(o, s, sizeof(s) - 1)

/* The instruction with these register numbers; mem: rm is memory at [rsi]. */
static void put_insn(Out *o, TcgNative t, unsigned reg, unsigned rm, bool mem)
{
    static const uint8_t pp[4] = { 0, 0x66, 0xf3, 0xf2 };

    if (native_pp(t)) {
        *o->p++ = pp[native_pp(t)];
    }
    if (t & NATIVE_W) {
        *o->p++ = 0x48;
    }
    if (native_map(t)) {
        *o->p++ = 0x0f;
        if (native_map(t) > 1) {
            *o->p++ = native_map(t) == 2 ? 0x38 : 0x3a;
        }
    }
    *o->p++ = native_opcode(t);
    if (native_form(t) == NF_FIXED) {
        *o->p++ = native_imm8(t);
        return;
    }
    *o->p++ = (uint8_t)((mem ? RSI : 0xc0 | rm) | reg << 3);
    if (t & NATIVE_HAS_IMM8) {
        *o->p++ = native_imm8(t);
    }
}

static void put_op(Out *o, const IrInsn *in)
{
    TcgNative t = in->imm;
    NativeForm form = native_form(t);
    unsigned digit = native_digit(t);

    switch (in->op) {
    case IR_native:
        put_insn(o, t, form == NF_M ? digit : 1, form == NF_M ? 1 : 2, false);
        break;
    case IR_native_m:
    case IR_native_st:
        put_insn(o, t, 1, 0, true);
        break;
    case IR_native_vi:
        put_insn(o, t, 1, RAX, false);
        break;
    case IR_native_iv:
        put_insn(o, t, form == NF_RM ? RAX : 1, form == NF_RM ? 1 : form == NF_MR ? RAX : 2, false);
        break;
    default: /* native_x, native_xm */
        put_insn(o, t, digit, 0, true);
        break;
    }
}

/* offsets in Frame: v0 0, v1 16, v2 32, integer 48, flags 56, mxcsr 64, host 68, mem 72 */
static void make(Slot *s, uint8_t *code, const IrInsn *in)
{
    Out o = { code };

    PUT(&o, "\x0f\xae\x5f\x44");     /* stmxcsr [rdi+68] */
    PUT(&o, "\x0f\xae\x57\x40");     /* ldmxcsr [rdi+64] */
    PUT(&o, "\x0f\x28\x07");         /* movaps xmm0, [rdi] */
    PUT(&o, "\x0f\x28\x4f\x10");     /* movaps xmm1, [rdi+16] */
    PUT(&o, "\x0f\x28\x57\x20");     /* movaps xmm2, [rdi+32] */
    PUT(&o, "\x48\x8b\x47\x30");     /* mov rax, [rdi+48] */
    PUT(&o, "\x48\x8b\x77\x48");     /* mov rsi, [rdi+72] */
    PUT(&o, "\xff\x77\x38\x9d");     /* push [rdi+56]; popf */
    put_op(&o, in);
    s->tail = (uint8_t)(o.p - code);
    PUT(&o, "\x48\x89\x47\x30");     /* mov [rdi+48], rax */
    PUT(&o, "\x9c\x8f\x47\x38");     /* pushf; pop [rdi+56] */
    PUT(&o, "\x0f\x29\x4f\x10");     /* movaps [rdi+16], xmm1 */
    PUT(&o, "\x0f\xae\x5f\x40");     /* stmxcsr [rdi+64] */
    PUT(&o, "\x0f\xae\x57\x44");     /* ldmxcsr [rdi+68] */
    PUT(&o, "\xc3");
}

static Slot *find(const IrInsn *in)
{
    uint64_t key = in->imm & ~TCG_NATIVE_FAULTS;
    unsigned n = (unsigned)((key ^ (uint64_t)in->op << 40) * 0x9e3779b97f4a7c15 >> 52);
    Slot *s;

    if (!stubs) {
        stubs = mmap(NULL, SLOTS * STUB, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (stubs == MAP_FAILED) {
            stubs = NULL;
            return NULL;
        }
    }
    s = &slots[n];
    if (s->key != key || s->op != in->op) { /* a collision is made again */
        *s = (Slot){ .key = key, .op = in->op };
        make(s, stubs + n * STUB, in);
    }
    return s;
}

/* ldmxcsr and stmxcsr of the state: the guest's MXCSR is not live here. */
static bool mxcsr_op(X86Cpu *cpu, const IrInsn *in)
{
    uint32_t *at = (uint32_t *)((uint8_t *)cpu + in->arg[0]);

    if (in->op != IR_native_x || native_opcode(in->imm) != 0xae) {
        return false;
    }
    if (native_digit(in->imm) == 2) {
        cpu->st.mxcsr = *at;
    } else {
        *at = cpu->st.mxcsr;
    }
    return true;
}

static void arguments(const IrInsn *in, const IrNativeIo *io, Frame *f)
{
    const uint8_t *v1 = io->vec[0], *v2 = io->vec[1], *v0 = io->vec[2];

    if (in->op == IR_native_m) {
        v0 = io->vec[1];
    }
    memcpy(f->v0, v0, 16);
    memcpy(f->v1, v1, 16);
    memcpy(f->v2, v2, 16);
    f->integer = io->integer;
}

bool hostop_run(X86Cpu *cpu, const IrInsn *in, IrNativeIo *io)
{
    Frame f __attribute__((aligned(16)));
    uint8_t mem[64] __attribute__((aligned(64)));
    Slot *s;

    if (mxcsr_op(cpu, in)) {
        return true;
    }
    s = find(in);
    if (!s) {
        return false;
    }
    arguments(in, io, &f);
    memcpy(mem, io->mem, 64);
    f.mxcsr = cpu->st.mxcsr;
    f.flags = flags; /* a setcc follows the comparison it is of */
    f.mem = in->op == IR_native_x ? (uint8_t *)cpu + in->arg[0] : mem;
    faulted = false;
    uint8_t *code = stubs + (s - slots) * STUB;
    tail = code + s->tail;
    ((void (*)(Frame *))code)(&f);
    tail = NULL;
    cpu->st.mxcsr = f.mxcsr;
    memcpy(io->result, f.v1, 16);
    memcpy(io->mem, mem, 64);
    io->int_result = f.integer;
    flags = f.flags;
    io->flags_result = (uint32_t)f.flags & IR_FLAGS;
    return !faulted;
}

uint64_t hostop_fault(void)
{
    faulted = true;
    return (uint64_t)(uintptr_t)tail;
}
