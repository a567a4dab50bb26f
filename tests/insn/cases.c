/*
 * Making cases: all encodings of a row (prefixes, ModRM and SIB forms, registers, immediates), registers and memory full of the
 * values where instructions differ, memory operands in every position to page edges. See insn.h.
 */
#include <string.h>

#include "tests/insn/insn.h"

typedef struct {
    InsnCase *c;
    const X86Row *row;
    uint64_t rng;
    uint8_t *code;          /* where the instruction begins */
    unsigned pos;           /* of the next byte */
    uint64_t rip;           /* of the instruction, offset in CS */
    uint64_t *g;            /* general registers when it runs */
    bool fixed;             /* they and the memory cannot be chosen any more: in a sequence */
    uint8_t rex;
    uint8_t asize;          /* IrAddrWidth */
    int rip_disp;           /* where a RIP-relative displacement is, or -1 */
    uint64_t target;        /* linear address of the memory operand; 0: none */
} Maker;

static uint64_t rnd(Maker *m)
{
    uint64_t z = m->rng += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static unsigned below(Maker *m, unsigned n)
{
    return (unsigned)(rnd(m) >> 33) % n;
}

static bool percent(Maker *m, unsigned n)
{
    return below(m, 100) < n;
}

static void byte(Maker *m, unsigned v)
{
    m->code[m->pos++] = (uint8_t)v;
}

static void bytes(Maker *m, uint64_t v, unsigned n)
{
    memcpy(m->code + m->pos, &v, n);
    m->pos += n;
}

/* Values */

static uint64_t integer(Maker *m)
{
    static const uint64_t special[] = {
        0, 1, 2, ~0ull, ~1ull, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
        0x7fffffffffffffff, 0x8000000000000000, 0x5555555555555555, 0x0f0f0f0f0f0f0f0f, 0x100, 0x10000, 0x100000000,
    };
    uint64_t v = rnd(m);

    switch (below(m, 8)) {
    case 0: case 1:
        return special[below(m, sizeof(special) / sizeof(special[0]))];
    case 2:
        return v & 0xff;
    case 3:
        return special[below(m, sizeof(special) / sizeof(special[0]))] + (v & 7) - 3;
    case 4:
        return v >> (v & 63);
    default:
        return v;
    }
}

static uint32_t single(Maker *m)
{
    static const uint32_t special[] = {
        0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001, 0x7fbfffff,
        0xffa12345, 0x00000001, 0x807fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x4f000000, 0xcf000000, 0x4effffff, 0x5f000000,
        0x3f000000, 0x3fc00000, 0x40200000, 0x7fd55555,
    };
    uint32_t v = (uint32_t)rnd(m);

    switch (below(m, 4)) {
    case 0:
        return special[below(m, sizeof(special) / sizeof(special[0]))];
    case 1:
        return v;
    default: /* of similar sizes, so that they add up */
        return (v & 0x80ffffff) + 0x3e000000 + (v >> 30 << 23);
    }
}

static uint64_t dual(Maker *m)
{
    static const uint64_t special[] = {
        0, 0x8000000000000000, 0x3ff0000000000000, 0xbff0000000000000, 0x7ff0000000000000, 0xfff0000000000000,
        0x7ff8000000000000, 0xfff8000000000000, 0x7ff0000000000001, 0x7ff7ffffffffffff, 0xfff4123456789abc, 1,
        0x800fffffffffffff, 0x0010000000000000, 0x7fefffffffffffff, 0x41e0000000000000, 0xc1e0000000000000,
        0x43e0000000000000, 0xc3e0000000000000, 0x41dfffffffc00000, 0x3fe0000000000000, 0x380fffffffffffff, 0x47efffffffffffff,
        0x36a0000000000000, 0x369fffffffffffff,
    };
    uint64_t v = rnd(m);

    switch (below(m, 4)) {
    case 0:
        return special[below(m, sizeof(special) / sizeof(special[0]))];
    case 1:
        return v;
    default:
        return (v & 0x803fffffffffffff) + 0x3fd0000000000000;
    }
}

/* 80-bit images, the forms that mean nothing on new processors too (SDM vol. 1, 8.2.2). */
static void extended(Maker *m, uint64_t *out)
{
    static const uint64_t special[][2] = {
        { 0, 0 }, { 0, 0x8000 }, { 0x8000000000000000, 0x3fff }, { 0x8000000000000000, 0xbfff },
        { 0x8000000000000000, 0x7fff }, { 0x8000000000000000, 0xffff }, { 0xc000000000000000, 0xffff },
        { 0x8000000000000001, 0x7fff }, { 0xa000000000000000, 0xffff }, { 0xc123456789abcdef, 0x7fff },
        { 1, 0 }, { 0x7fffffffffffffff, 0x8000 }, { 0x8000000000000000, 0 }, { 0x8000000000000001, 1 },
        { 0x4000000000000000, 0x3fff }, { 0, 0x7fff }, { 0x4000000000000000, 0x7fff }, { 0, 0x3fff },
        { 0xffffffffffffffff, 0x7ffe }, { 0xc90fdaa22168c235, 0x4000 }, { 0x8000000000000000, 0x403e },
        { 0x8000000000000000, 0x401e }, { 0xffffffffffffffff, 0x403d }, { 0xb504f333f9de6484, 0x3ffe },
        { 0xde0b6b3a763fff60, 0x403a }, { 0x8000000000000000, 0x4040 },
    };
    const uint64_t *s = special[below(m, sizeof(special) / sizeof(special[0]))];
    uint64_t v = rnd(m), e = rnd(m);

    switch (below(m, 8)) {
    case 0: case 1:
        out[0] = s[0];
        out[1] = s[1];
        break;
    case 2:
        out[0] = v;
        out[1] = e & 0xffff;
        break;
    case 3: /* a small integer */
        out[0] = (v | 1ull << 63) & ~0ull << 48;
        out[1] = (e & 0x8000) | (0x3fff + (e & 15));
        break;
    case 4: /* from a double */
        out[0] = (v | 1ull << 63) & ~0ull << 11;
        out[1] = (e & 0x8000) | (0x3ff0 + (e & 31));
        break;
    case 5: /* tiny or huge */
        out[0] = v | 1ull << 63;
        out[1] = (e & 0x8000) | (e & 0x10 ? e & 15 : 0x7ffe - (e & 15));
        break;
    default:
        out[0] = v | 1ull << 63;
        out[1] = (e & 0x8000) | (0x3fe0 + (e & 63));
        break;
    }
}

static void vector(Maker *m, uint64_t *out)
{
    unsigned kind = below(m, 5);

    for (unsigned n = 0; n < 2; n++) {
        switch (kind) {
        case 0:
            out[n] = rnd(m);
            break;
        case 1: case 2:
            out[n] = single(m) | (uint64_t)single(m) << 32;
            break;
        case 3:
            out[n] = dual(m);
            break;
        default:
            out[n] = integer(m);
            break;
        }
    }
}

/* Bytes that an instruction will read as anything. */
static void fill_memory(Maker *m, uint64_t linear)
{
    int64_t off = (int64_t)(linear - DATA - DATA_RW) - 16;
    uint64_t v[8];

    vector(m, v);
    vector(m, v + 2);
    vector(m, v + 4);
    vector(m, v + 6);
    if (percent(m, 30)) {
        extended(m, v + 2);
    } else if (percent(m, 30)) {
        v[2] = integer(m);
    }
    for (unsigned n = 0; n < sizeof(v); n++) {
        uint64_t at = (uint64_t)(off + n);
        at = at >= 4 * PAGE && at < 6 * PAGE ? at - PAGE : at < 2 * PAGE ? at : DATA_COPY;
        if (at < DATA_COPY) {
            m->c->mem[at] = ((uint8_t *)v)[n];
        }
    }
}

/* Registers */

static void control_words(Maker *m, InsnState *s)
{
    unsigned pending;

    s->fcw = 0x037f;
    s->mxcsr = 0x1f80;
    if (percent(m, 70)) {
        s->fcw = (uint16_t)(0x7f | (below(m, 4) << 8) | (below(m, 4) << 10));
        s->mxcsr = 0x1f80 | (uint32_t)(rnd(m) & 0xe07f);
    }
    if (percent(m, 20)) {
        s->fcw = (uint16_t)((rnd(m) & 0x1f3f) | 0x40);
        s->mxcsr = (uint32_t)rnd(m) & 0xffff;
    }
    s->fsw = (uint16_t)(rnd(m) & 0x7f7f);
    if (percent(m, 70)) {
        s->fsw &= 0x7f00;
    }
    pending = s->fsw & ~s->fcw & 0x3f;
    if (pending && percent(m, 80)) {
        s->fsw &= (uint16_t)~pending;
        pending = 0;
    }
    s->fsw |= pending ? 0x8080 : 0;
    s->ftw = percent(m, 70) ? 0xff : (uint8_t)rnd(m);
}

static void registers(Maker *m, InsnMode mode)
{
    InsnState *s = &m->c->in;

    for (unsigned n = 0; n < 16; n++) {
        s->gpr[n] = integer(m);
        vector(m, s->xmm[n]);
    }
    s->gpr[R_RSP] = STACK + STACK_SIZE / 2 + (rnd(m) & 0x3f0);
    if (percent(m, 10)) {
        s->gpr[R_RSP] = STACK + (percent(m, 50) ? STACK_SIZE : 0) + below(m, 32) - 16;
    } else if (percent(m, 10)) {
        s->gpr[R_RSP] += below(m, 16);
    }
    s->gpr[R_RSP] += mode == MODE_16 ? 0 : DATA;
    if (percent(m, 50)) {
        s->gpr[R_RBP] = s->gpr[R_RSP] + below(m, 256);
    }
    for (unsigned n = 0; n < 8; n++) {
        extended(m, s->st[n]);
    }
    control_words(m, s);
    s->flags = 0x202 | (rnd(m) & (FL_STATUS | FL_DF));
    s->fop = (uint16_t)(rnd(m) & 0x7ff);
    s->fip = rnd(m) & 0x7fffffff;
    s->fdp = rnd(m) & 0x7fffffff;
    s->vector = -1;
    s->rip = CODE_START + (mode == MODE_16 ? 0 : CODE);
}

static void narrow_registers(InsnCase *c)
{
    if (c->mode == MODE_64) {
        return;
    }
    for (unsigned n = 0; n < 16; n++) {
        c->in.gpr[n] = n < 8 ? (uint32_t)c->in.gpr[n] : 0;
        if (n >= 8) {
            c->in.xmm[n][0] = c->in.xmm[n][1] = 0;
        }
    }
}

/* Memory operands */

static uint64_t pick_target(Maker *m)
{
    uint64_t off;

    switch (below(m, 20)) {
    case 0:
        off = DATA_RW + PAGE - below(m, 32);
        break;
    case 1:
        off = DATA_RO - below(m, 20);
        break;
    case 2:
        off = DATA_RO + (rnd(m) & 0xff0);
        break;
    case 3:
        off = DATA_RO + PAGE - below(m, 40);
        break;
    case 4:
        off = DATA_RW - below(m, 20);
        break;
    case 5: case 6: case 7:
        off = DATA_RW + 64 + below(m, PAGE);
        break;
    default:
        off = DATA_RW + 64 + (rnd(m) & 0x1ff0 & ~0x1000ull) + (percent(m, 10) ? 8 : 0);
        break;
    }
    return DATA + off;
}

/* The number that the address computation must give for the target. */
static uint64_t target_offset(const Maker *m, bool gs)
{
    return m->target - (m->c->mode == MODE_16 || gs ? DATA : 0);
}

static void memory16(Maker *m, unsigned reg)
{
    static const uint8_t base[8] = { R_RBX, R_RBX, R_RBP, R_RBP, R_RSI, R_RDI, R_RBP, R_RBX };
    static const int8_t index[8] = { R_RSI, R_RDI, R_RSI, R_RDI, -1, -1, -1, -1 };
    unsigned mod = below(m, 3), rm = below(m, 8);
    uint64_t off = target_offset(m, false), disp = mod == 1 ? (uint64_t)(int8_t)rnd(m) : mod == 2 ? rnd(m) & 0xffff : 0;
    uint64_t *g = m->g, rest;

    byte(m, mod << 6 | reg << 3 | rm);
    if (mod == 0 && rm == 6) {
        bytes(m, off, 2);
        return;
    }
    rest = off - disp;
    if (index[rm] >= 0) {
        rest -= g[index[rm]];
    }
    g[base[rm]] = (g[base[rm]] & ~0xffffull) | (rest & 0xffff);
    bytes(m, disp, mod);
}

/* 32- and 64-bit forms with a base register that is set so that the address comes out right. */
static void memory_base(Maker *m, unsigned reg, bool gs)
{
    unsigned mod = below(m, 3), base = below(m, 8) | (m->rex & X86_REX_B ? 8 : 0);
    unsigned index = below(m, 8) | (m->rex & X86_REX_X ? 8 : 0), scale = below(m, 4);
    bool sib = (base & 7) == 4 || percent(m, 40), has_index = sib && index != 4;
    uint64_t *g = m->g, disp, rest;

    if ((base & 7) == 5 && mod == 0) {
        mod = 1;
    }
    disp = mod == 1 ? (uint64_t)(int8_t)rnd(m) : mod == 2 ? (uint64_t)(int32_t)rnd(m) : 0;
    rest = target_offset(m, gs) - disp;
    if (has_index && index == base) { /* g + (g << scale) cannot be any number: the displacement makes up for it */
        mod = 2;
        g[base] &= 0xffffff;
        disp = target_offset(m, gs) - g[base] - (g[index] << scale);
    } else {
        rest -= has_index ? g[index] << scale : 0;
        g[base] = m->asize == IR_A64 ? rest : (g[base] & ~0xffffffffull) | (uint32_t)rest;
    }
    byte(m, mod << 6 | reg << 3 | (sib ? 4 : base & 7));
    if (sib) {
        byte(m, scale << 6 | (index & 7) << 3 | (base & 7));
    }
    bytes(m, disp, mod == 2 ? 4 : mod);
}

/* No base: a displacement alone, with an index, or relative to RIP. */
static void memory_no_base(Maker *m, unsigned reg, bool gs)
{
    unsigned index = below(m, 8) | (m->rex & X86_REX_X ? 8 : 0), scale = below(m, 4);
    uint64_t *g = m->g, disp = target_offset(m, gs);

    if (percent(m, 50)) {
        byte(m, reg << 3 | 5);
        if (m->c->mode == MODE_64) {
            m->rip_disp = (int)m->pos;
            disp = target_offset(m, gs);
        }
    } else {
        if (index != 4) {
            g[index] &= 0xffffff;
            disp -= g[index] << scale;
        }
        byte(m, reg << 3 | 4);
        byte(m, scale << 6 | (index & 7) << 3 | 5);
    }
    bytes(m, disp, 4);
}

/* The same with registers as they are: only the displacement can be chosen. */
static void memory_fixed(Maker *m, unsigned reg, bool gs)
{
    unsigned base = below(m, 8) | (m->rex & X86_REX_B ? 8 : 0), index = below(m, 8) | (m->rex & X86_REX_X ? 8 : 0);
    unsigned scale = below(m, 4);
    bool sib = (base & 7) == 4 || percent(m, 40), has_index = sib && index != 4;
    int64_t disp = (int64_t)(target_offset(m, gs) - m->g[base] - (has_index ? m->g[index] << scale : 0));

    if (m->asize == IR_A64 && disp != (int32_t)disp) {
        byte(m, reg << 3 | 5);
        m->rip_disp = (int)m->pos;
        bytes(m, target_offset(m, gs), 4);
        return;
    }
    byte(m, 0x80 | reg << 3 | (sib ? 4 : base & 7));
    if (sib) {
        byte(m, scale << 6 | (index & 7) << 3 | (base & 7));
    }
    bytes(m, (uint64_t)disp, 4);
}

static void memory_fixed16(Maker *m, unsigned reg)
{
    static const uint8_t base[8] = { R_RBX, R_RBX, R_RBP, R_RBP, R_RSI, R_RDI, R_RBP, R_RBX };
    static const int8_t index[8] = { R_RSI, R_RDI, R_RSI, R_RDI, -1, -1, -1, -1 };
    unsigned rm = below(m, 8);

    byte(m, 0x80 | reg << 3 | rm);
    bytes(m, target_offset(m, false) - m->g[base[rm]] - (index[rm] >= 0 ? m->g[index[rm]] : 0), 2);
}

static void modrm(Maker *m, bool gs)
{
    const X86Row *row = m->row;
    unsigned reg = row->reg >= 0 ? (unsigned)row->reg : below(m, 8), rm = row->rm >= 0 ? (unsigned)row->rm : below(m, 8);
    bool mem = row->mod == X86_MOD_MEM || (row->mod == X86_MOD_ANY && percent(m, 50));

    if (!mem || (row->attr & X86_ATTR_ANYMOD)) {
        byte(m, 0xc0 | reg << 3 | rm);
        return;
    }
    m->target = pick_target(m);
    if (m->fixed) {
        if (m->asize == IR_A16) {
            memory_fixed16(m, reg);
        } else {
            memory_fixed(m, reg, gs);
        }
    } else if (m->asize == IR_A16) {
        memory16(m, reg);
    } else if (percent(m, 85)) {
        memory_base(m, reg, gs);
    } else {
        memory_no_base(m, reg, gs);
    }
}

/* Prefixes */

static bool has_place(const X86Row *row, X86Place place)
{
    for (unsigned n = 0; n < row->num_ops; n++) {
        if (row->op[n].place == place) {
            return true;
        }
    }
    return false;
}

static bool is_string(const X86Row *row)
{
    return has_place(row, X86_AT_X) || has_place(row, X86_AT_Y);
}

static void group_prefix(Maker *m)
{
    const X86Row *row = m->row;
    bool branch64 = m->c->mode == MODE_64 && (row->attr & X86_ATTR_F64); /* processors disagree about 66 */
    bool free66 = row->prefix == X86_PREFIX_ANY || row->prefix == X86_PREFIX_NONE_66;

    if (free66 && !branch64 && percent(m, 25)) {
        byte(m, 0x66);
    }
    if (row->prefix >= X86_PREFIX_66) {
        if (row->prefix > X86_PREFIX_66 && percent(m, 5)) {
            byte(m, 0x66);
        }
        byte(m, row->prefix == X86_PREFIX_66 ? 0x66 : row->prefix == X86_PREFIX_F3 ? 0xf3 : 0xf2);
    } else if (row->prefix == X86_PREFIX_ANY && percent(m, is_string(row) ? 60 : 3)) {
        byte(m, percent(m, 50) ? 0xf3 : 0xf2);
    }
}

/* C5 can only say map 0F; R, X, B and vvvv are inverted (SDM vol. 2, 2.3.5). A vvvv that means nothing must be 1111. */
static void vex_prefix(Maker *m)
{
    static const uint8_t pp[] = { [X86_PREFIX_66] = 1, [X86_PREFIX_F3] = 2, [X86_PREFIX_F2] = 3, [X86_PREFIX_ANY] = 0 };
    const X86Row *row = m->row;
    bool wide = m->c->mode == MODE_64;
    unsigned vvvv = has_place(row, X86_AT_B) || percent(m, 3) ? below(m, 16) : 15, l = percent(m, 2);
    unsigned last = (vvvv | (wide ? 0 : 8)) << 3 | l << 2 | pp[row->prefix];

    m->rex = 0x40 | (wide ? below(m, 8) : 0);
    if (row->map == X86_MAP_VEX + 1 && !(m->rex & (X86_REX_X | X86_REX_B)) && percent(m, 50)) {
        byte(m, 0xc5);
        byte(m, (~m->rex & X86_REX_R) << 5 | last);
        return;
    }
    byte(m, 0xc4);
    byte(m, (~m->rex & 7) << 5 | (row->map - X86_MAP_VEX));
    byte(m, (percent(m, 50) ? 0x80 : 0) | last);
}

/* Returns whether GS is the segment. */
static bool prefixes(Maker *m)
{
    static const uint8_t segs[] = { 0x26, 0x2e, 0x36, 0x3e };
    const X86Row *row = m->row;
    InsnMode mode = m->c->mode;
    bool gs = mode == MODE_64 && percent(m, 5), p67 = percent(m, m->fixed && mode == MODE_64 ? 40 : 8);

    if ((row->attr & X86_ATTR_LOCK) ? percent(m, 25) : percent(m, 1)) {
        byte(m, 0xf0);
    }
    m->asize = mode == MODE_64 ? IR_A64 : mode == MODE_32 ? IR_A32 : IR_A16;
    if (p67) {
        byte(m, 0x67);
        m->asize = mode == MODE_32 ? IR_A16 : IR_A32;
    }
    if (gs) {
        byte(m, 0x65);
    } else if (percent(m, 6)) {
        byte(m, segs[below(m, 4)]);
    }
    if (row->map > X86_MAP_VEX) {
        vex_prefix(m);
        return gs;
    }
    group_prefix(m);
    if (mode == MODE_64 && percent(m, 60)) {
        m->rex = (uint8_t)(0x40 | below(m, 16));
        byte(m, m->rex);
    }
    return gs;
}

/* Implicit operands */

static void set_pointer(Maker *m, unsigned reg)
{
    uint64_t *g = m->g;

    if (!m->target || percent(m, 80)) {
        m->target = pick_target(m);
    }
    g[reg] = target_offset(m, false);
    fill_memory(m, m->target);
}

static void plant(Maker *m, uint64_t linear, uint64_t v)
{
    uint64_t at = linear - DATA - DATA_RW;

    at = at >= 4 * PAGE ? at - PAGE : at;
    if (at + 8 <= DATA_COPY) {
        memcpy(m->c->mem + at, &v, 8);
    }
}

/* Somewhere between the INT3s. */
static uint64_t jump_target(Maker *m)
{
    return CODE + CODE_START + 64 + below(m, 512);
}

static void plant_jump(Maker *m, const X86Insn *in)
{
    if (in->mem) {
        plant(m, m->target, jump_target(m));
    } else {
        m->g[in->rm] = jump_target(m);
    }
}

static void implicit(Maker *m, const X86Insn *in)
{
    const X86Row *row = in->row;
    uint64_t *g = m->g;

    if (is_string(row)) {
        set_pointer(m, R_RSI);
        set_pointer(m, R_RDI);
        if (in->prefixes & (X86_P_F3 | X86_P_F2)) {
            g[R_RCX] = percent(m, 95) ? below(m, 40) : integer(m);
        }
    }
    if (!strncmp(row->mnemonic, "fns", 3)) { /* lost on the way in, see native.c */
        m->c->in.fop = 0;
        m->c->in.fip = m->c->in.fdp = 0;
    }
    if (!strcmp(row->mnemonic, "xlat")) {
        g[R_RBX] = target_offset(m, false) ? target_offset(m, false) - (uint8_t)g[R_RAX] : DATA + DATA_RW;
    }
    if (!strncmp(row->mnemonic, "maskmov", 7)) {
        set_pointer(m, R_RDI);
    }
    if (row->mnemonic[0] == 'b' && row->mnemonic[1] == 't' && in->mem && row->op[1].place == X86_AT_G && percent(m, 90) &&
        in->reg != in->base && in->reg != in->index) {
        g[in->reg] = (uint64_t)(int64_t)(int16_t)rnd(m) >> 4;
    }
    if (!strcmp(row->mnemonic, "leave") || (!strcmp(row->mnemonic, "enter") && percent(m, 80))) {
        g[R_RBP] = g[R_RSP];
    }
    if (row->num_ops && row->op[0].place == X86_AT_E && (!strcmp(row->mnemonic, "call") || !strcmp(row->mnemonic, "jmp"))) {
        plant_jump(m, in);
    } else if (!strcmp(row->mnemonic, "ret") && in->osize == W64) {
        plant(m, g[R_RSP], jump_target(m));
    }
}

/* What processors do differently and the manual leaves open. */
static bool undefined_result(Maker *m, const X86Insn *in)
{
    bool shift2 = !strcmp(in->row->mnemonic, "shld") || !strcmp(in->row->mnemonic, "shrd");

    if (shift2 && in->osize == W16) { /* counts over 16 */
        if (m->fixed && in->row->op[2].place != X86_AT_I) {
            return true;
        }
        m->code[in->len - 1] &= in->row->op[2].place == X86_AT_I ? 15 : 0xff;
        m->g[R_RCX] &= in->row->op[2].place == X86_AT_I ? ~0ull : ~0x10ull;
    }
    /* A register that CMPXCHG does not change: whether its upper half is cleared. Prefetch of a register. */
    return !in->mem && ((!strcmp(in->row->mnemonic, "cmpxchg") && in->osize == W32) || !strcmp(in->row->mnemonic, "prefetchw"));
}

/* Immediates that are displacements of code or data; RIP-relative displacements. */
static void patch(Maker *m, const X86Insn *in)
{
    uint8_t *end = m->code + in->len;

    for (unsigned n = 0; n < in->row->num_ops; n++) {
        unsigned size = in->row->op[n].size == X86_SZ_b ? 1 : in->osize == W16 ? 2 : 4;
        int32_t jump = m->fixed ? 0 : (int32_t)below(m, 200) - 100;
        if (in->row->op[n].place == X86_AT_J) {
            jump += jump < 0 && jump >= -(int32_t)in->len ? 50 : 0; /* not back into itself */
            memcpy(end - size, &jump, size);
        } else if (in->row->op[n].place == X86_AT_O) {
            uint64_t off;
            size = in->asize == IR_A64 ? 8 : in->asize == IR_A32 ? 4 : 2;
            m->target = pick_target(m);
            off = target_offset(m, in->seg == S_GS);
            memcpy(end - size, &off, size);
        }
    }
    if (m->rip_disp >= 0) {
        int32_t disp;
        memcpy(&disp, m->code + m->rip_disp, 4);
        disp -= (int32_t)(m->rip + in->len);
        memcpy(m->code + m->rip_disp, &disp, 4);
    }
}

static uint64_t mode_key(InsnMode mode)
{
    return KEY_PE | (mode == MODE_64 ? KEY_CODE64 : mode == MODE_32 ? KEY_CODE32 : 0);
}

/* What this harness cannot run: the system's instructions, and what would change the harness's own segments. */
const char *insn_left_out(const X86Row *row)
{
    static const char *const names[] = {
        "syscall", "sysenter", "sysexit", "sysret", "int", "int1", "int3", "into", "iret", "hlt", "in", "out", "ins", "outs",
        "cli", "sti", "callf", "jmpf", "retf", "les", "lds", "lss", "lfs", "lgs", "rdtsc", "rdtscp", "rdpmc", "cpuid",
        "rdrand", "rdseed", "rdpid", "rdpkru", "wrpkru", "xgetbv", "rsm", "lar", "lsl", "verr", "verw", "sldt", "str",
        "sgdt", "sidt", "smsw", "rdfsbase", "wrfsbase", "rdgsbase", "wrgsbase", "monitor", "mwait", "clac", "stac", "popf",
        "xsave", "xrstor", "xsaveopt", "xsavec", "xsaves", "xrstors", "mov to cr", "arpl",
    };

    if (row->attr & X86_ATTR_CPL0) {
        return "needs privilege";
    }
    for (unsigned n = 0; n < sizeof(names) / sizeof(names[0]); n++) {
        if (!strcmp(row->mnemonic, names[n])) {
            return "the system's";
        }
    }
    if (row->num_ops && (row->op[0].place == X86_AT_S || (row->op[0].place >= X86_AT_ES && strcmp(row->mnemonic, "push")))) {
        return "loads a segment";
    }
    return NULL;
}

static void begin(Maker *m, InsnCase *c, const X86Row *row, InsnMode mode, uint64_t seed)
{
    static uint8_t master[DATA_COPY];

    *m = (Maker){ .c = c, .row = row, .rng = seed, .rip_disp = -1, .code = c->code, .g = c->in.gpr };
    if (!master[1]) {
        Maker fixed = { .rng = 1 };
        for (unsigned n = 0; n < DATA_COPY; n++) {
            master[n] = (uint8_t)rnd(&fixed) | 1;
        }
        memcpy(master + 2 * PAGE, (void *)(uintptr_t)(DATA + DATA_RO), PAGE);
    }
    memcpy(c->mem, master, sizeof(master));
    c->mode = mode;
    c->len = 0;
    c->undefined = 0;
    c->row = NULL;
    c->num_masks = 0;
    registers(m, mode);
    m->rip = c->in.rip;
}

/*
 * What the makers do differently. Near branches in 64-bit mode: Intel's ignore 66, AMD's do not. MOVSXD with 66 reads 2
 * bytes, or 4. REP before LOOPE and LOOPNE is reserved: AMD's take the condition from it.
 */
static bool processors_disagree(const X86Insn *in)
{
    bool p66 = in->prefixes & X86_P_66, rep = in->prefixes & (X86_P_F2 | X86_P_F3);

    return (in->code64 && (in->row->attr & X86_ATTR_F64) && p66) || (!strcmp(in->row->mnemonic, "movsxd") && p66 && in->mem) ||
           (!strncmp(in->row->mnemonic, "loop", 4) && rep);
}

/* Appends an instruction of the row at m->pos == 0. False: not possible in this mode. */
static bool one_instruction(Maker *m, X86Insn *in)
{
    const X86Row *row = m->row;
    InsnCase *c = m->c;
    bool gs = prefixes(m);
    unsigned opcode = row->opcode + (row->count > 1 ? below(m, row->count) : 0);

    if (row->map && row->map <= X86_MAP_VEX) {
        byte(m, 0x0f);
        if (row->map > 1) {
            byte(m, row->map == 2 ? 0x38 : 0x3a);
        }
    }
    byte(m, opcode);
    if (row->modrm) {
        modrm(m, gs);
    }
    bytes(m, rnd(m), 8);
    bytes(m, rnd(m), 8);
    if (x86_decode(in, m->code, m->pos, mode_key(c->mode)) != X86_DECODE_OK) {
        if (!in->row || !(in->prefixes & X86_P_LOCK) || in->len == 0) {
            return false; /* not in this mode, or prefixes that make it another, invalid one */
        }
    }
    if (insn_left_out(in->row) || in->row->body == gen_todo || (in->seg_prefix && in->seg >= S_FS && !gs) || in->len > 15 ||
        undefined_result(m, in) || processors_disagree(in)) {
        return false;
    }
    patch(m, in);
    if (!m->fixed) {
        if (m->target) {
            fill_memory(m, m->target);
        }
        implicit(m, in);
    }
    return true;
}

/* MXCSR_MASK in an image of FXSAVE is the model's; AMD's leave out the pointers of the last x87 instruction. */
static void note_mask(InsnCase *c, const X86Insn *in, uint64_t target)
{
    if (!strcmp(in->row->mnemonic, "fxsave") && c->num_masks < MAX_MASKS) {
        c->masks[c->num_masks++] = target;
    }
}

/* The row of the instruction at an offset of the code: of one that faulted. */
const X86Row *insn_row_at(const InsnCase *c, uint64_t at)
{
    X86Insn in;

    return at < c->len && x86_decode(&in, c->code + at, (unsigned)(c->len - at), mode_key(c->mode)) == X86_DECODE_OK ? in.row
                                                                                                                   : NULL;
}

bool insn_make(InsnCase *c, const X86Row *row, InsnMode mode, uint64_t seed, uint64_t n)
{
    Maker m;
    X86Insn in;

    begin(&m, c, row, mode, seed * 0x2545f4914f6cdd1d + (uint64_t)(row - x86_insn_rows) * 1000003 + n * 0xda942042e4dd58b5);
    if (!one_instruction(&m, &in)) {
        return false;
    }
    c->len = in.len;
    c->row = in.row;
    note_mask(c, &in, m.target);
    c->undefined = in.row->undefined;
    narrow_registers(c);
    return true;
}

/* Sequences */

enum { MAX_STEPS = 24 };

typedef struct {
    unsigned at[MAX_STEPS];     /* offset of each instruction */
    unsigned jump[MAX_STEPS];   /* bytes of a conditional jump's displacement, or 0 */
    unsigned num;
    bool pointers;              /* x87 pointers are known: see native.c */
} Steps;

static bool fits_sequence(const X86Row *row, const Steps *s)
{
    bool image = !strncmp(row->mnemonic, "fns", 3), fxsave = !strcmp(row->mnemonic, "fxsave");

    if (insn_left_out(row) || host_lacks(row) || row->body == gen_todo || (image && !s->pointers) || fxsave ||
        !strcmp(row->mnemonic, "popa")) { /* images of FXSAVE are read by others: parts of them differ (note_mask) */
        return false;
    }
    if (has_place(row, X86_AT_J)) {
        return !strcmp(row->mnemonic, "j");
    }
    return strcmp(row->mnemonic, "ret") && strcmp(row->mnemonic, "call") && strcmp(row->mnemonic, "jmp");
}

static void put_bytes(InsnCase *c, Steps *s, const uint8_t *code, unsigned n)
{
    memcpy(c->code + c->len, code, n);
    s->jump[s->num] = 0;
    s->at[s->num++] = c->len;
    c->len += n;
}

/* All six flags defined again: cmp of two registers. */
static void define_flags(Maker *m, Steps *s)
{
    put_bytes(m->c, s, (uint8_t[]){ 0x39, (uint8_t)(0xc0 | below(m, 64)) }, 2);
}

/* Any row; mostly one with the theme's attribute, so that floating point instructions meet each other. */
static const X86Row *any_row(Maker *m, uint16_t theme)
{
    const X86Row *row;

    do {
        row = &x86_insn_rows[below(m, X86_NUM_ROWS)];
    } while (theme && !(row->attr & theme) && percent(m, 90));
    return row;
}

/* One more instruction at the end, tried on the host. False: it did not fit. */
static bool append(Maker *m, Steps *s, InsnState *now, uint16_t theme)
{
    static InsnResult r;
    InsnCase *c = m->c;
    unsigned len = c->len;
    const X86Row *row = any_row(m, theme);
    X86Insn in;

    if (!fits_sequence(row, s)) {
        return false;
    }
    *m = (Maker){ .c = c, .row = row, .rng = m->rng, .rip_disp = -1, .code = c->code + len, .g = now->gpr, .fixed = true,
                  .rip = c->in.rip + len };
    if (!one_instruction(m, &in) || !fits_sequence(in.row, s)) {
        return false;
    }
    c->len = len + in.len;
    native_run(c, &r);
    if (r.st.vector >= 0 && percent(m, 95)) {
        c->len = len;
        return false;
    }
    *now = r.st;
    s->at[s->num] = len;
    s->jump[s->num++] = has_place(in.row, X86_AT_J) ? (in.opcode == 0x0f || in.row->map ? in.osize == W16 ? 2 : 4 : 1) : 0;
    note_mask(c, &in, m->target);
    c->row = in.row;
    if ((in.row->undefined & ~IR_A) || (in.row->undefined && !in.row->map && in.row->opcode >= 0xc0)) {
        define_flags(m, s); /* A is 0 everywhere after logic, but not after shifts */
    }
    return true;
}

/* Conditional jumps go to some later instruction. */
static void aim_jumps(Maker *m, const Steps *s)
{
    for (unsigned n = 0; n < s->num; n++) {
        unsigned next = n + 1 < s->num ? s->at[n + 1] : m->c->len, to = n + 1 + below(m, s->num - n);
        unsigned target = to < s->num ? s->at[to] : m->c->len;
        if (s->jump[n] && target - next < 128) {
            m->c->code[next - s->jump[n]] = (uint8_t)(target - next);
        }
    }
}

void insn_make_sequence(InsnCase *c, InsnMode mode, uint64_t seed, uint64_t n)
{
    Maker m;
    static const uint16_t themes[] = { 0, 0, X86_ATTR_FPU, X86_ATTR_SSE, X86_ATTR_FPU | X86_ATTR_MMX };
    Steps s = { .num = 0 };
    InsnState now;
    unsigned want;
    uint16_t theme;

    begin(&m, c, x86_insn_rows, mode, seed * 0x2545f4914f6cdd1d + n * 0xda942042e4dd58b5 + 99);
    set_pointer(&m, R_RSI);
    set_pointer(&m, R_RDI);
    c->in.gpr[R_RCX] = below(&m, 40);
    narrow_registers(c);
    now = c->in;
    want = 4 + below(&m, 14);
    theme = themes[below(&m, 5)];
    if (percent(&m, 30)) {
        s.pointers = true;
        put_bytes(c, &s, (uint8_t[]){ 0xdb, 0xe3 }, 2); /* fninit */
    }
    for (unsigned tries = 0; tries < 10 * want && s.num < want && c->len < sizeof(c->code) - 40; tries++) {
        append(&m, &s, &now, theme);
    }
    aim_jumps(&m, &s);
    c->undefined = IR_A;
    c->row = c->row ? c->row : x86_insn_rows;
}

void insn_shrink(InsnCase *c, bool (*fails)(const InsnCase *c, void *opaque), void *opaque)
{
    X86Insn in;

    for (unsigned at = 0; at < c->len; at += in.len) {
        uint8_t old[16];
        if (x86_decode(&in, c->code + at, c->len - at, mode_key(c->mode)) != X86_DECODE_OK) {
            return;
        }
        if (!strcmp(in.row->mnemonic, "fninit")) {
            continue; /* makes the pointers known */
        }
        memcpy(old, c->code + at, in.len);
        memset(c->code + at, 0x90, in.len);
        if (!fails(c, opaque)) {
            memcpy(c->code + at, old, in.len);
        }
    }
}
