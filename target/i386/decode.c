/*
 * The x86 decoder: prefixes, opcode, ModRM, SIB, displacement, immediates. SDM vol. 2, chapter 2. Not modelled: EVEX (62
 * where it is a prefix is #UD).
 */
#include <string.h>

#include "target/i386/cpu.h"
#include "target/i386/decode.h"

typedef struct {
    X86Insn *in;
    const uint8_t *buf;
    unsigned pos, avail;
    bool code64;
    uint8_t default_size; /* W16 or W32 */
} Reader;

enum { MAX_LENGTH = 15 };

/* Little-endian number of n bytes; past the end the bytes are 0 and pos tells. */
static uint64_t take(Reader *rd, unsigned n)
{
    uint64_t v = 0;

    if (rd->pos + n <= rd->avail) {
        memcpy(&v, rd->buf + rd->pos, n);
    }
    rd->pos += n;
    return v;
}

static int64_t take_signed(Reader *rd, unsigned n)
{
    unsigned sh = 64 - 8 * n;

    return (int64_t)(take(rd, n) << sh) >> sh;
}

/* Legacy prefixes in any order; the last of a group counts; REX only right before the opcode (2.1.1, 2.2.1). */
static uint8_t read_prefixes(Reader *rd)
{
    X86Insn *in = rd->in;

    for (;;) {
        uint8_t b = (uint8_t)take(rd, 1);
        switch (b) {
        case 0x26: case 0x2e: case 0x36: case 0x3e:
            if (!rd->code64) { /* ignored in 64-bit mode, they do not even undo FS and GS */
                in->seg = (b >> 3) & 3;
                in->seg_prefix = true;
            }
            break;
        case 0x64: case 0x65:
            in->seg = S_FS + (b & 1);
            in->seg_prefix = true;
            break;
        case 0x66:
            in->prefixes |= X86_P_66;
            break;
        case 0x67:
            in->prefixes |= X86_P_67;
            break;
        case 0xf0:
            in->prefixes |= X86_P_LOCK;
            break;
        case 0xf2: case 0xf3:
            in->prefixes = (in->prefixes & ~(X86_P_F2 | X86_P_F3)) | (b == 0xf2 ? X86_P_F2 : X86_P_F3);
            break;
        default:
            if (!rd->code64 || (b & 0xf0) != 0x40) {
                return b;
            }
            in->rex = b;
            continue;
        }
        in->rex = 0;
        if (rd->pos > MAX_LENGTH) {
            return 0;
        }
    }
}

/* 16-bit forms (table 2-1). */
static void read_memory16(Reader *rd, unsigned mod, unsigned rm)
{
    static const int8_t base[8] = { R_RBX, R_RBX, R_RBP, R_RBP, R_RSI, R_RDI, R_RBP, R_RBX };
    static const int8_t index[8] = { R_RSI, R_RDI, R_RSI, R_RDI, -1, -1, -1, -1 };
    X86Insn *in = rd->in;

    in->base = base[rm];
    in->index = index[rm];
    if (mod == 0 && rm == 6) {
        in->base = -1;
        in->disp = (int64_t)take(rd, 2);
    } else if (mod) {
        in->disp = take_signed(rd, mod);
    }
    if (in->base == R_RBP && !in->seg_prefix) {
        in->seg = S_SS;
    }
}

/* 32- and 64-bit forms (tables 2-2 and 2-3; 2.2.1.6 for RIP-relative). */
static void read_memory(Reader *rd, unsigned mod, unsigned rm)
{
    X86Insn *in = rd->in;
    unsigned base = rm;

    if (rm == 4) {
        uint8_t sib = (uint8_t)take(rd, 1);
        unsigned index = (sib >> 3 & 7) | (in->rex & X86_REX_X ? 8 : 0);
        base = sib & 7;
        in->scale = sib >> 6;
        in->index = index == 4 ? -1 : (int8_t)index;
    }
    if (base == 5 && mod == 0) {
        in->base = rm == 5 && rd->code64 ? X86_BASE_RIP : -1;
        in->disp = take_signed(rd, 4);
    } else {
        in->base = (int8_t)(base | (in->rex & X86_REX_B ? 8 : 0));
        if (mod) {
            in->disp = take_signed(rd, mod == 1 ? 1 : 4);
        }
    }
    if ((in->base == R_RSP || in->base == R_RBP) && !in->seg_prefix) {
        in->seg = S_SS;
    }
}

static void read_modrm(Reader *rd, const X86Row *row)
{
    X86Insn *in = rd->in;
    unsigned mod = in->modrm >> 6, rm = in->modrm & 7;

    in->reg = (in->modrm >> 3 & 7) | (in->rex & X86_REX_R ? 8 : 0);
    in->rm = rm | (in->rex & X86_REX_B ? 8 : 0);
    in->mem = mod != 3 && !(row->attr & X86_ATTR_ANYMOD);
    if (!in->mem) {
        return;
    }
    if (in->asize == IR_A16) {
        read_memory16(rd, mod, rm);
    } else {
        read_memory(rd, mod, rm);
    }
}

/* Operand and address size (SDM vol. 1, 3.6). */
static void set_sizes(Reader *rd, const X86Row *row)
{
    X86Insn *in = rd->in;
    bool p66 = (in->prefixes & X86_P_66) && !in->vex;

    if (in->vex) {
        in->osize = in->rex & X86_REX_W ? W64 : W32;
        return;
    }
    if (!rd->code64) {
        in->osize = p66 ? (rd->default_size == W16 ? W32 : W16) : rd->default_size;
    } else if ((in->rex & X86_REX_W) || (row->attr & X86_ATTR_F64)) {
        in->osize = W64;
    } else if (p66) {
        in->osize = W16;
    } else {
        in->osize = row->attr & X86_ATTR_D64 ? W64 : W32;
    }
}

/*
 * C4 and C5 are VEX in 64-bit mode, and elsewhere in protected mode when what would be ModRM of LES and LDS says a register
 * (2.3.5). Returns the map, or -1 for #UD: a map that does not exist, a prefix that VEX contains (2.3.2).
 */
static int read_vex(Reader *rd)
{
    X86Insn *in = rd->in;
    bool three = in->opcode == 0xc4;
    unsigned map = 1, wrong = in->prefixes & (X86_P_66 | X86_P_F2 | X86_P_F3 | X86_P_LOCK);
    static const uint8_t pp[4] = { 0, X86_P_66, X86_P_F3, X86_P_F2 };
    uint8_t b = (uint8_t)take(rd, 1), rxb = (uint8_t)(~b >> 5 & 4);

    wrong |= in->rex;
    if (three) {
        rxb = ~b >> 5 & 7;
        map = b & 31;
        b = (uint8_t)take(rd, 1);
    }
    in->rex = rd->code64 ? X86_REX | rxb | (three && b >> 7 ? X86_REX_W : 0) : 0;
    in->vvvv = ~b >> 3 & (rd->code64 ? 15 : 7);
    in->vex_l = b >> 2 & 1;
    in->prefixes |= pp[b & 3];
    in->vex = true;
    in->opcode = (uint8_t)take(rd, 1);
    return wrong || map < 1 || map > 3 ? -1 : (int)map + X86_MAP_VEX;
}

static bool is_vex(const Reader *rd, uint64_t key)
{
    bool reg = rd->pos < rd->avail && rd->buf[rd->pos] >= 0xc0;

    return (rd->in->opcode & 0xfe) == 0xc4 && (rd->code64 || (reg && (key & KEY_PE) && !(key & KEY_VM86)));
}

/* The row of opcode in->opcode in map; NULL: there is none. Reads ModRM where there is one. */
static const X86Row *find_row(Reader *rd, unsigned map)
{
    X86Insn *in = rd->in;
    X86Slot slot = x86_slots[map][in->opcode];
    unsigned at = 0;

    if (slot.split & X86_SLOT_MODRM) {
        in->modrm = (uint8_t)take(rd, 1);
    }
    if (slot.split & X86_SPLIT_MODE) {
        at = rd->code64;
    }
    if (slot.split & X86_SPLIT_PREFIX) {
        unsigned p = in->prefixes & X86_P_F3 ? 2 : in->prefixes & X86_P_F2 ? 3 : in->prefixes & X86_P_66 ? 1 : 0;
        at = at * 4 + p;
    }
    if (slot.split & X86_SPLIT_MOD) {
        at = at * 2 + (in->modrm >= 0xc0);
    }
    if (slot.split & X86_SPLIT_REG) {
        at = at * 8 + (in->modrm >> 3 & 7);
    }
    if (slot.split & X86_SPLIT_RM) {
        at = at * 8 + (in->modrm & 7);
    }
    at = x86_leaves[slot.base + at];
    return at ? &x86_insn_rows[at - 1] : NULL;
}

static unsigned read_opcode(Reader *rd)
{
    X86Insn *in = rd->in;

    in->opcode = read_prefixes(rd);
    if (in->opcode != 0x0f) {
        return 0;
    }
    in->opcode = (uint8_t)take(rd, 1);
    if (in->opcode == 0x38 || in->opcode == 0x3a) {
        unsigned map = in->opcode == 0x38 ? 2 : 3;
        in->opcode = (uint8_t)take(rd, 1);
        return map;
    }
    return 1;
}

static void read_immediate(Reader *rd, X86Operand op, bool first)
{
    X86Insn *in = rd->in;
    unsigned bytes = 1;

    switch (op.size) {
    case X86_SZ_w:
        bytes = 2;
        break;
    case X86_SZ_z:
        bytes = in->osize == W16 ? 2 : 4;
        break;
    case X86_SZ_v:
        bytes = ir_width_bytes(in->osize);
        break;
    }
    if (!first) {
        in->imm2 = (uint16_t)take(rd, bytes);
    } else if (op.size == X86_SZ_b || op.size == X86_SZ_w) {
        in->imm = op.place == X86_AT_J ? (uint64_t)take_signed(rd, bytes) : take(rd, bytes);
    } else {
        in->imm = (uint64_t)take_signed(rd, bytes);
    }
}

static void read_tail(Reader *rd, const X86Row *row)
{
    X86Insn *in = rd->in;
    bool first = true;

    for (unsigned n = 0; n < row->num_ops; n++) {
        switch (row->op[n].place) {
        case X86_AT_I:
        case X86_AT_J:
            read_immediate(rd, row->op[n], first);
            first = false;
            break;
        case X86_AT_A:
            in->imm = take(rd, in->osize == W16 ? 2 : 4);
            in->imm2 = (uint16_t)take(rd, 2);
            break;
        case X86_AT_O:
            in->disp = (int64_t)take(rd, in->asize == IR_A64 ? 8 : in->asize == IR_A32 ? 4 : 2);
            break;
        }
    }
}

/* LOCK: only with a row that allows it and a memory destination (vol. 2, LOCK). */
static bool lock_is_wrong(const X86Insn *in)
{
    return (in->prefixes & X86_P_LOCK) && !((in->row->attr & X86_ATTR_LOCK) && in->mem);
}

/* VEX: length and the register in vvvv where the row has none (2.3.5.6, 2.3.6.2). */
static bool vex_is_wrong(const X86Insn *in)
{
    bool used = false;

    for (unsigned n = 0; n < in->row->num_ops; n++) {
        used |= in->row->op[n].place == X86_AT_B;
    }
    return (!used && in->vvvv) || ((in->row->attr & X86_ATTR_L0) && in->vex_l);
}

X86Decode x86_decode(X86Insn *in, const uint8_t *buf, unsigned avail, uint64_t key)
{
    Reader rd = { .in = in, .buf = buf, .avail = avail, .code64 = key & KEY_CODE64,
                  .default_size = key & KEY_CODE32 ? W32 : W16 };
    const X86Row *row;
    int map;

    *in = (X86Insn){ .seg = S_DS, .base = -1, .index = -1, .code64 = rd.code64 };
    map = (int)read_opcode(&rd);
    if (map == 0 && is_vex(&rd, key)) {
        map = read_vex(&rd);
    }
    row = map < 0 ? NULL : find_row(&rd, (unsigned)map);
    if (rd.pos <= MAX_LENGTH && rd.pos > avail) {
        return X86_DECODE_SHORT;
    }
    if (row) {
        if (rd.code64) {
            in->asize = in->prefixes & X86_P_67 ? IR_A32 : IR_A64;
        } else {
            in->asize = (rd.default_size == W32) != !!(in->prefixes & X86_P_67) ? IR_A32 : IR_A16;
        }
        in->row = row;
        set_sizes(&rd, row);
        if (row->modrm) {
            read_modrm(&rd, row);
        }
        read_tail(&rd, row);
    }
    if (rd.pos > MAX_LENGTH) {
        return X86_DECODE_LONG;
    }
    if (rd.pos > avail) {
        return X86_DECODE_SHORT;
    }
    in->len = (uint8_t)rd.pos;
    return !row || lock_is_wrong(in) || (in->vex && vex_is_wrong(in)) ? X86_DECODE_UD : X86_DECODE_OK;
}

unsigned x86_operand_bytes(const X86Insn *in, unsigned n)
{
    switch ((X86Size)in->row->op[n].size) {
    case X86_SZ_b: case X86_SZ_bs:
        return 1;
    case X86_SZ_w:
        return 2;
    case X86_SZ_d: case X86_SZ_ss:
        return 4;
    case X86_SZ_q: case X86_SZ_sd:
        return 8;
    case X86_SZ_dq: case X86_SZ_ps: case X86_SZ_pd:
        return 16;
    case X86_SZ_t:
        return 10;
    case X86_SZ_v:
        return ir_width_bytes(in->osize);
    case X86_SZ_z:
        return in->osize == W16 ? 2 : 4;
    case X86_SZ_y:
        return in->osize == W64 ? 8 : 4;
    case X86_SZ_a:
        return in->osize == W16 ? 4 : 8;
    case X86_SZ_p:
        return ir_width_bytes(in->osize) + 2;
    case X86_SZ_env:
        return in->osize == W16 ? 14 : 28;
    case X86_SZ_fst:
        return in->osize == W16 ? 94 : 108;
    case X86_SZ_fx:
        return 512;
    case X86_SZ_m:
        return in->code64 ? 8 : 4;
    default:
        return 0;
    }
}
