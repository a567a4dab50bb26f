/*
 * The encoder: see asm.h.
 */
#include "tcg/x86_64/asm.h"

static void legacy_prefixes(Asm *a, uint32_t op, IrWidth size, const X86Mem *m)
{
    static const uint8_t mandatory[] = { 0, 0x66, 0xf3, 0xf2 };

    if (m && m->gs) {
        x86_byte(a, 0x65);
    }
    if (m && m->a32) {
        x86_byte(a, 0x67);
    }
    if (op & X_LOCK) {
        x86_byte(a, 0xf0);
    }
    if (size == W16 && (op >> 12 & 3) != 1) {
        x86_byte(a, 0x66);
    }
    if (op >> 12 & 3) {
        x86_byte(a, mandatory[op >> 12 & 3]);
    }
}

static void rex_and_opcode(Asm *a, uint32_t op, IrWidth size, unsigned reg, unsigned x, unsigned b,
                           bool rm_is_reg)
{
    unsigned rex = (size == W64) << 3 | (reg >> 3 & 1) << 2 | (x >> 3 & 1) << 1 | (b >> 3 & 1);
    bool byte_reg = ((op & X_REG8) && (reg & 15) >= 4) || ((op & X_RM8) && rm_is_reg && (b & 15) >= 4);

    if (rex || byte_reg) {
        x86_byte(a, 0x40 | rex);
    }
    switch (op >> 8 & 3) {
    case 1:
        x86_byte(a, 0x0f);
        break;
    case 2:
        x86_byte(a, 0x0f);
        x86_byte(a, 0x38);
        break;
    case 3:
        x86_byte(a, 0x0f);
        x86_byte(a, 0x3a);
        break;
    }
    x86_byte(a, op);
}

/* SDM 2.1.5: ModRM, SIB, displacement. */
static void modrm_mem(Asm *a, unsigned reg, const X86Mem *m)
{
    unsigned r = (reg & 7) << 3, mod;

    if (m->base == NO_REG) {
        /* Absolute 32 bits: SIB without base; plain disp32 would be relative to rip. */
        unsigned index = m->index == NO_REG ? 4 : m->index & 7;
        x86_byte(a, r | 4);
        x86_byte(a, m->scale << 6 | index << 3 | 5);
        x86_i32(a, (uint32_t)m->disp);
        return;
    }
    mod = m->disp == 0 && (m->base & 7) != RBP ? 0 : m->disp == (int8_t)m->disp ? 1 : 2;
    if (m->index != NO_REG || (m->base & 7) == RSP) {
        unsigned index = m->index == NO_REG ? 4 : m->index & 7;
        x86_byte(a, mod << 6 | r | 4);
        x86_byte(a, m->scale << 6 | index << 3 | (m->base & 7));
    } else {
        x86_byte(a, mod << 6 | r | (m->base & 7));
    }
    if (mod == 1) {
        x86_byte(a, (uint8_t)m->disp);
    } else if (mod == 2) {
        x86_i32(a, (uint32_t)m->disp);
    }
}

static unsigned or_zero(unsigned reg)
{
    return reg == NO_REG ? 0 : reg;
}

void x86_rr(Asm *a, uint32_t op, IrWidth size, unsigned reg, unsigned rm)
{
    legacy_prefixes(a, op, size, NULL);
    rex_and_opcode(a, op, size, reg, 0, rm, true);
    x86_byte(a, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

void x86_rm(Asm *a, uint32_t op, IrWidth size, unsigned reg, const X86Mem *m)
{
    legacy_prefixes(a, op, size, m);
    rex_and_opcode(a, op, size, reg, or_zero(m->index), or_zero(m->base), false);
    modrm_mem(a, reg, m);
}

/* SDM 2.3.5; always the three-byte form unless the two-byte one can say it. */
static void vex_prefix(Asm *a, uint32_t op, unsigned reg, unsigned vvvv, unsigned x, unsigned b)
{
    static const uint8_t pp_of[] = { 0, 1, 2, 3 };
    unsigned pp = pp_of[op >> 12 & 3], map = op >> 8 & 3;
    unsigned v = ~(vvvv == NO_REG ? 0 : vvvv) & 15, l = op & X_L ? 1 : 0;
    unsigned nr = ~reg >> 3 & 1, nx = ~x >> 3 & 1, nb = ~b >> 3 & 1;

    if (nx && nb && map == 1 && !(op & X_W)) {
        x86_byte(a, 0xc5);
        x86_byte(a, nr << 7 | v << 3 | l << 2 | pp);
    } else {
        x86_byte(a, 0xc4);
        x86_byte(a, nr << 7 | nx << 6 | nb << 5 | map);
        x86_byte(a, (op & X_W ? 0x80 : 0) | v << 3 | l << 2 | pp);
    }
    x86_byte(a, op);
}

void x86_vex_rr(Asm *a, uint32_t op, unsigned reg, unsigned vvvv, unsigned rm)
{
    vex_prefix(a, op, reg, vvvv, 0, rm);
    x86_byte(a, 0xc0 | (reg & 7) << 3 | (rm & 7));
}

void x86_vex_rm(Asm *a, uint32_t op, unsigned reg, unsigned vvvv, const X86Mem *m)
{
    if (m->gs) {
        x86_byte(a, 0x65);
    }
    if (m->a32) {
        x86_byte(a, 0x67);
    }
    vex_prefix(a, op, reg, vvvv, or_zero(m->index), or_zero(m->base));
    modrm_mem(a, reg, m);
}

void x86_mov_imm(Asm *a, unsigned reg, uint64_t v)
{
    if (v <= UINT32_MAX) {
        if (reg >= 8) {
            x86_byte(a, 0x41);
        }
        x86_byte(a, 0xb8 | (reg & 7));
        x86_i32(a, (uint32_t)v);
    } else if ((int64_t)v == (int32_t)v) {
        x86_rr(a, 0xc7, W64, 0, reg);
        x86_i32(a, (uint32_t)v);
    } else {
        x86_byte(a, 0x48 | reg >> 3);
        x86_byte(a, 0xb8 | (reg & 7));
        x86_i64(a, v);
    }
}

void x86_nop(Asm *a, unsigned bytes)
{
    static const uint8_t nops[][8] = {
        { 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0x00 }, { 0x0f, 0x1f, 0x40, 0x00 },
        { 0x0f, 0x1f, 0x44, 0x00, 0x00 }, { 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 },
        { 0x0f, 0x1f, 0x80, 0, 0, 0, 0 }, { 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 },
    };

    while (bytes) {
        unsigned n = bytes > 8 ? 8 : bytes;
        memcpy(a->p, nops[n - 1], n);
        a->p += n;
        bytes -= n;
    }
}

static uint8_t *rel32(Asm *a, const uint8_t *target)
{
    uint8_t *at = a->p;

    a->p += 4;
    x86_patch(at, target ? target : a->p);
    return at;
}

uint8_t *x86_jmp(Asm *a, const uint8_t *target)
{
    x86_byte(a, 0xe9);
    return rel32(a, target);
}

uint8_t *x86_call(Asm *a, const uint8_t *target)
{
    x86_byte(a, 0xe8);
    return rel32(a, target);
}

uint8_t *x86_jcc(Asm *a, IrCond cond, const uint8_t *target)
{
    x86_byte(a, 0x0f);
    x86_byte(a, 0x80 | cond);
    return rel32(a, target);
}
