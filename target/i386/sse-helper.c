/*
 * Helpers of SSE: string comparisons (SDM vol. 2, 4.1), MXCSR, FXSAVE images (vol. 1, 10.5). In C so that they touch no
 * vector register.
 */
#include <string.h>

#include "target/i386/fp-helpers.h"
#include "target/i386/gen.h"

#define HELPER(name, args, flags, doc) \
    const TcgHelper x86_h_##name = { #name, (void (*)(void))x86_fp_##name, args, flags };
#define FA TCG_CALL_FAULTS
#include "target/i386/fp-helpers.def"
#undef HELPER

enum { MXCSR_MASK = 0xffff, FX_XMM = 160, FX_ST = 32 };

/* imm8 of PCMPxSTRx: 4.1.2 */
enum { STR_WORDS = 1, STR_SIGNED = 2, STR_OP = 3 << 2, STR_NEGATE = 1 << 4, STR_MASKED = 1 << 5, STR_LAST = 1 << 6 };
enum { OP_ANY, OP_RANGES, OP_EACH, OP_ORDERED };

typedef struct {
    const uint8_t *a, *b;
    unsigned count;         /* elements in a register */
    unsigned len_a, len_b;  /* valid ones */
    uint8_t imm;
} Compare;

static int element(const Compare *c, const uint8_t *p, unsigned n)
{
    int v;

    if (c->imm & STR_WORDS) {
        v = p[2 * n] | p[2 * n + 1] << 8;
        return c->imm & STR_SIGNED ? (int16_t)v : v;
    }
    v = p[n];
    return c->imm & STR_SIGNED ? (int8_t)v : v;
}

/* 4.1.6: what element i of a and j of b say when one or both are not valid; -1: both are. */
static int forced(const Compare *c, unsigned i, unsigned j)
{
    bool a = i < c->len_a, b = j < c->len_b;

    if (a && b) {
        return -1;
    }
    switch ((c->imm & STR_OP) >> 2) {
    case OP_EACH:
        return !a && !b;
    case OP_ORDERED:
        return !a;
    default:
        return 0;
    }
}

static bool equal_each(const Compare *c, unsigned i, unsigned j)
{
    int f = forced(c, i, j);

    return f >= 0 ? f : element(c, c->a, i) == element(c, c->b, j);
}

static bool in_range(const Compare *c, unsigned i, unsigned j)
{
    int v = element(c, c->b, j);

    return i + 1 < c->len_a && j < c->len_b && v >= element(c, c->a, i) && v <= element(c, c->a, i + 1);
}

/* Bit j of IntRes1 (4.1.3). */
static bool result_bit(const Compare *c, unsigned j)
{
    bool r = false;

    switch ((c->imm & STR_OP) >> 2) {
    case OP_ANY:
        for (unsigned i = 0; i < c->count; i++) {
            r |= equal_each(c, i, j);
        }
        return r;
    case OP_RANGES:
        for (unsigned i = 0; i < c->count; i += 2) {
            r |= in_range(c, i, j);
        }
        return r;
    case OP_EACH:
        return equal_each(c, j, j);
    default:
        r = true;
        for (unsigned i = 0; i + j < c->count; i++) {
            r &= equal_each(c, i, j + i);
        }
        return r;
    }
}

/* Index in the low half, flags in the high one; the mask goes to scratch. */
static uint64_t finish(X86Cpu *cpu, const Compare *c, uint32_t bits)
{
    uint32_t flags, index = c->count;
    uint8_t mask[16] = { 0 };

    flags = (bits ? IR_C : 0) | (bits & 1 ? IR_O : 0) | (c->len_b < c->count ? IR_Z : 0) | (c->len_a < c->count ? IR_S : 0);
    if (bits) {
        index = (uint32_t)(c->imm & STR_LAST ? 31 - __builtin_clz(bits) : __builtin_ctz(bits));
    }
    if (c->imm & STR_LAST) {
        unsigned size = 16 / c->count;
        for (unsigned n = 0; n < 16; n++) {
            mask[n] = bits >> n / size & 1 ? 0xff : 0;
        }
    } else {
        memcpy(mask, &bits, 4);
    }
    memcpy(cpu->fp_scratch, mask, 16);
    return index | (uint64_t)flags << 32;
}

static uint64_t compare(X86Cpu *cpu, Compare *c)
{
    uint32_t bits = 0;

    for (unsigned j = 0; j < c->count; j++) {
        bool r = result_bit(c, j);
        if ((c->imm & STR_NEGATE) && (!(c->imm & STR_MASKED) || j < c->len_b)) {
            r = !r;
        }
        bits |= (uint32_t)r << j;
    }
    return finish(cpu, c, bits);
}

static Compare operands(X86Cpu *cpu, uint64_t imm)
{
    return (Compare){ .a = (const uint8_t *)&cpu->fp_scratch[0], .b = (const uint8_t *)&cpu->fp_scratch[2],
                      .count = imm & STR_WORDS ? 8 : 16, .imm = (uint8_t)imm };
}

/* 4.1.1: the absolute value, at most the number of elements. */
static unsigned length(uint64_t v, unsigned max)
{
    uint64_t n = (int64_t)v < 0 ? -v : v;

    return n < max ? (unsigned)n : max;
}

uint64_t x86_fp_pcmpestr(X86Cpu *cpu, uint64_t imm, uint64_t len_a, uint64_t len_b)
{
    Compare c = operands(cpu, imm);

    c.len_a = length(len_a, c.count);
    c.len_b = length(len_b, c.count);
    return compare(cpu, &c);
}

static unsigned zero_at(const Compare *c, const uint8_t *p)
{
    unsigned n = 0;

    while (n < c->count && element(c, p, n) != 0) {
        n++;
    }
    return n;
}

uint64_t x86_fp_pcmpistr(X86Cpu *cpu, uint64_t imm)
{
    Compare c = operands(cpu, imm);

    c.len_a = zero_at(&c, c.a);
    c.len_b = zero_at(&c, c.b);
    return compare(cpu, &c);
}

uint64_t x86_fp_set_mxcsr(X86Cpu *cpu, uint64_t value)
{
    if ((uint32_t)value & ~MXCSR_MASK) {
        x86_raise(cpu, EXC_GP, 0);
    }
    cpu->st.mxcsr = (uint32_t)value;
    return 0;
}

/* Table 10-2. */
uint64_t x86_fp_fxsave(X86Cpu *cpu, uint64_t rex_w)
{
    const X86State *st = &cpu->st;
    uint8_t *fx = (uint8_t *)cpu->fp_scratch;
    unsigned top;
    uint32_t mask = MXCSR_MASK;

    x86_fpu_flush(cpu);
    top = st->fsw >> 11 & 7;
    memset(fx, 0, 416);
    memcpy(fx, &st->fcw, 2);
    memcpy(fx + 2, &st->fsw, 2);
    fx[4] = st->ftw;
    memcpy(fx + 6, &st->fop, 2);
    memcpy(fx + 8, &st->fip, rex_w ? 8 : 4);
    memcpy(fx + 16, &st->fdp, rex_w ? 8 : 4);
    if (!rex_w) {
        memcpy(fx + 12, &st->fcs, 2);
        memcpy(fx + 20, &st->fds, 2);
    }
    memcpy(fx + 24, &st->mxcsr, 4);
    memcpy(fx + 28, &mask, 4);
    for (unsigned n = 0; n < 8; n++) {
        memcpy(fx + FX_ST + 16 * n, st->fpr[(top + n) & 7], 10);
    }
    for (unsigned n = 0; n < 16; n++) {
        memcpy(fx + FX_XMM + 16 * n, st->vec[n], 16);
    }
    return 0;
}

uint64_t x86_fp_fxrstor(X86Cpu *cpu, uint64_t rex_w, uint64_t code64)
{
    X86State *st = &cpu->st;
    const uint8_t *fx = (const uint8_t *)cpu->fp_scratch;
    uint32_t mxcsr;
    uint16_t fcw;
    unsigned top;

    memcpy(&mxcsr, fx + 24, 4);
    if (mxcsr & ~MXCSR_MASK) {
        x86_raise(cpu, EXC_GP, 0);
    }
    x86_fpu_flush(cpu);
    memcpy(&fcw, fx, 2);
    memcpy(&st->fsw, fx + 2, 2);
    x86_fp_fix_control(st, fcw);
    st->ftw = fx[4];
    memcpy(&st->fop, fx + 6, 2);
    st->fop &= 0x7ff;
    st->fip = st->fdp = 0;
    memcpy(&st->fip, fx + 8, rex_w ? 8 : 4);
    memcpy(&st->fdp, fx + 16, rex_w ? 8 : 4);
    if (!rex_w) {
        memcpy(&st->fcs, fx + 12, 2);
        memcpy(&st->fds, fx + 20, 2);
    }
    st->mxcsr = mxcsr;
    top = st->fsw >> 11 & 7;
    for (unsigned n = 0; n < 8; n++) {
        memcpy(st->fpr[(top + n) & 7], fx + FX_ST + 16 * n, 10);
    }
    for (unsigned n = 0; n < (code64 ? 16 : 8); n++) {
        memcpy(st->vec[n], fx + FX_XMM + 16 * n, 16);
    }
    return 0;
}
