/*
 * The pure ops in C. Flags by the x86 manual (Intel SDM volume 2, the "Flags Affected" of the
 * instruction of that name); where it says undefined, the bit is put in the undefined mask
 * by the letters of ops.def, and for shifts by the count.
 */
#include <string.h>

#include "tcg/eval.h"

static unsigned bits_of(IrWidth w)
{
    return 8u << w;
}

static uint64_t mask_of(IrWidth w)
{
    return w >= W64 ? UINT64_MAX : (1ull << bits_of(w)) - 1;
}

static uint64_t sign_extend(IrWidth w, uint64_t v)
{
    unsigned sh = 64 - bits_of(w);

    return (uint64_t)((int64_t)(v << sh) >> sh);
}

/* Result v of width w as ops.def says: into old, or zero-extended. */
static uint64_t put(IrWidth w, uint64_t old, uint64_t v)
{
    if (w >= W32) {
        return v & mask_of(w);
    }
    return (old & ~mask_of(w)) | (v & mask_of(w));
}

static uint32_t flags_szp(IrWidth w, uint64_t v)
{
    v &= mask_of(w);
    return (v == 0 ? IR_Z : 0) | (v >> (bits_of(w) - 1) ? IR_S : 0) |
           (__builtin_parityll(v & 0xff) ? 0 : IR_P);
}

static bool top(IrWidth w, uint64_t v)
{
    return v >> (bits_of(w) - 1) & 1;
}

static uint64_t do_add(IrWidth w, uint64_t a, uint64_t b, bool c, uint32_t *f)
{
    uint64_t v = a + b + c;
    uint64_t carries = (a & b) | ((a | b) & ~v);

    *f = flags_szp(w, v) | (top(w, carries) ? IR_C : 0) |
         (top(w, (a ^ v) & (b ^ v)) ? IR_O : 0) | ((a ^ b ^ v) & IR_A);
    return v;
}

static uint64_t do_sub(IrWidth w, uint64_t a, uint64_t b, bool c, uint32_t *f)
{
    uint64_t v = a - b - c;
    uint64_t borrows = (~a & b) | ((~a | b) & v);

    *f = flags_szp(w, v) | (top(w, borrows) ? IR_C : 0) |
         (top(w, (a ^ b) & (a ^ v)) ? IR_O : 0) | ((a ^ b ^ v) & IR_A);
    return v;
}

/* Flag that an op needs: notes when it is an undefined one. */
static bool flag(IrEval *e, uint64_t flags, uint32_t bit)
{
    e->undefined_used |= (flags >> IR_UNDEF_SHIFT & bit) != 0;
    return flags & bit;
}

/* f with the flags in mask (and their being undefined) as in old. */
static uint32_t keep(uint32_t f, uint64_t old, uint32_t mask)
{
    mask |= mask << IR_UNDEF_SHIFT;
    return (f & ~mask) | (old & mask);
}

static uint32_t undefined(uint32_t mask)
{
    return mask << IR_UNDEF_SHIFT;
}

static void eval_arith(const IrInsn *in, const uint64_t *arg, IrEval *e)
{
    IrWidth w = in->w;
    uint64_t a = arg[0], b = arg[1], v;
    uint32_t f = 0;

    switch (in->op) {
    case IR_add:
        v = do_add(w, a, b, false, &f);
        break;
    case IR_adc:
        v = do_add(w, a, b, flag(e, arg[2], IR_C), &f);
        break;
    case IR_cmp:
    case IR_sub:
        v = do_sub(w, a, b, false, &f);
        break;
    case IR_sbb:
        v = do_sub(w, a, b, flag(e, arg[2], IR_C), &f);
        break;
    case IR_inc:
        v = do_add(w, a, 1, false, &f);
        f = keep(f, b, IR_C);
        break;
    case IR_dec:
        v = do_sub(w, a, 1, false, &f);
        f = keep(f, b, IR_C);
        break;
    case IR_neg:
        v = do_sub(w, 0, a, false, &f);
        break;
    case IR_or:
        v = a | b;
        f = flags_szp(w, v);
        break;
    case IR_xor:
        v = a ^ b;
        f = flags_szp(w, v);
        break;
    case IR_andn:
        v = ~a & b;
        f = keep(flags_szp(w, v), undefined(IR_A | IR_P), IR_A | IR_P);
        break;
    default: /* and, test */
        v = a & b;
        f = flags_szp(w, v);
        break;
    }
    if (in->op == IR_cmp || in->op == IR_test) {
        e->res[0] = f;
    } else {
        e->res[0] = put(w, a, v);
        e->res[1] = f;
    }
}

/* shl, shr, sar: SDM "SAL/SAR/SHL/SHR". n is 1 to 63. */
static uint64_t shift(IrOp op, IrWidth w, uint64_t a, unsigned n, uint32_t *f)
{
    unsigned bits = bits_of(w);
    uint64_t v;
    bool c, o = false;

    a &= mask_of(w);
    if (op == IR_shl) {
        v = n < 64 ? a << n : 0;
        c = n <= bits && (a >> (bits - n) & 1);
        o = top(w, v) != c;
    } else if (op == IR_shr) {
        v = a >> n;
        c = a >> (n - 1) & 1;
        o = top(w, a);
    } else {
        int64_t s = (int64_t)sign_extend(w, a);
        v = (uint64_t)(s >> n);
        c = s >> (n - 1) & 1;
    }
    *f = flags_szp(w, v) | (c ? IR_C : 0) | (o ? IR_O : 0) | undefined(IR_A) |
         (n != 1 ? undefined(IR_O) : 0) |
         (op != IR_sar && n > bits ? undefined(IR_C) : 0);
    return v;
}

static uint64_t rotate(IrOp op, IrWidth w, uint64_t a, unsigned n, uint32_t *f)
{
    unsigned bits = bits_of(w), m = n % bits;
    uint64_t v;
    bool c, o;

    a &= mask_of(w);
    if (op == IR_rol) {
        v = m ? a << m | a >> (bits - m) : a;
        c = v & 1;
        o = top(w, v) != c;
    } else {
        v = m ? a >> m | a << (bits - m) : a;
        c = top(w, v);
        o = c != (v >> (bits - 2) & 1);
    }
    *f = (c ? IR_C : 0) | (o ? IR_O : 0) | (n != 1 ? undefined(IR_O) : 0);
    return v;
}

/* rcl, rcr one step at a time: SDM's own description. */
static uint64_t rotate_carry(IrOp op, IrWidth w, uint64_t a, unsigned n, bool c, uint32_t *f)
{
    unsigned bits = bits_of(w);
    bool o = false;

    n %= w <= W16 ? bits + 1 : 64;
    a &= mask_of(w);
    for (unsigned i = 0; i < n; i++) {
        bool out = op == IR_rcl ? top(w, a) : a & 1;
        if (op == IR_rcr) {
            o = top(w, a) != c;
            a = a >> 1 | (uint64_t)c << (bits - 1);
        } else {
            a = (a << 1 | c) & mask_of(w);
        }
        c = out;
    }
    if (op == IR_rcl) {
        o = top(w, a) != c;
    }
    *f = (c ? IR_C : 0) | (o ? IR_O : 0) | (n != 1 ? undefined(IR_O) : 0);
    return a;
}

static uint64_t shift_double(IrOp op, IrWidth w, uint64_t a, uint64_t b, unsigned n, uint32_t *f)
{
    unsigned bits = bits_of(w);
    uint64_t v;
    bool c;

    a &= mask_of(w);
    b &= mask_of(w);
    if (n > bits) { /* W16: what 48-bit shifters give; all of it undefined */
        n %= bits;
        n = n ? n : bits;
    }
    if (op == IR_shld) {
        v = (n < bits ? a << n : 0) | b >> (bits - n);
        c = a >> (bits - n) & 1;
    } else {
        v = (n < bits ? a >> n : 0) | b << (bits - n);
        c = a >> (n - 1) & 1;
    }
    *f = flags_szp(w, v) | (c ? IR_C : 0) | (top(w, v ^ a) ? IR_O : 0) | undefined(IR_A) |
         (n != 1 ? undefined(IR_O) : 0);
    return v;
}

static void eval_shift(const IrInsn *in, const uint64_t *arg, IrEval *e)
{
    IrWidth w = in->w;
    bool dbl = in->op == IR_shld || in->op == IR_shrd;
    unsigned n = arg[dbl ? 2 : 1] & (w == W64 ? 63 : 31);
    uint64_t old = arg[dbl ? 3 : 2], v = arg[0];
    uint32_t f = (uint32_t)old;

    if (n == 0) {
        e->res[0] = put(w, arg[0], arg[0]);
        e->res[1] = old;
        return;
    }
    switch (in->op) {
    case IR_shl:
    case IR_shr:
    case IR_sar:
        v = shift(in->op, w, arg[0], n, &f);
        break;
    case IR_rol:
    case IR_ror:
        v = rotate(in->op, w, arg[0], n, &f);
        f = keep(f, old, IR_FLAGS & ~(IR_C | IR_O));
        break;
    case IR_rcl:
    case IR_rcr:
        v = rotate_carry(in->op, w, arg[0], n, flag(e, old, IR_C), &f);
        f = keep(f, old, IR_FLAGS & ~(IR_C | IR_O));
        break;
    case IR_shld:
    case IR_shrd:
        v = shift_double(in->op, w, arg[0], arg[1], n, &f);
        if (n > bits_of(w)) {
            e->undefined_used = true;
            f |= undefined(IR_FLAGS);
        }
        break;
    }
    e->res[0] = put(w, arg[0], v);
    e->res[1] = f;
}

static void eval_multiply(const IrInsn *in, const uint64_t *arg, IrEval *e)
{
    IrWidth w = in->w;
    unsigned bits = bits_of(w);
    uint64_t lo, hi;
    bool over;

    if (in->op == IR_umul2) {
        unsigned __int128 p = (unsigned __int128)(arg[0] & mask_of(w)) * (arg[1] & mask_of(w));
        lo = (uint64_t)p;
        hi = (uint64_t)(p >> bits) & mask_of(w);
        over = hi != 0;
    } else {
        __int128 p = (__int128)(int64_t)sign_extend(w, arg[0]) * (int64_t)sign_extend(w, arg[1]);
        lo = (uint64_t)p;
        hi = (uint64_t)(p >> bits) & mask_of(w);
        over = p != (__int128)(int64_t)sign_extend(w, lo);
    }
    e->res[0] = put(in->op != IR_mul && w == W8 ? W16 : w, arg[0], lo);
    e->res[1] = hi;
    e->res[in->op == IR_mul ? 1 : 2] =
        (over ? IR_C | IR_O : 0) | undefined(IR_S | IR_Z | IR_A | IR_P);
}

bool ir_eval_divide(const IrInsn *in, const uint64_t *arg, IrEval *e)
{
    IrWidth w = in->w;
    unsigned bits = bits_of(w);
    uint64_t lo = arg[0] & mask_of(w), hi = arg[1] & mask_of(w), d = arg[2] & mask_of(w);
    unsigned __int128 n;

    if (w == W8) {
        hi = arg[0] >> 8 & 0xff;
    }
    n = (unsigned __int128)hi << bits | lo;
    if (d == 0) {
        return false;
    }
    if (in->op == IR_udiv2) {
        unsigned __int128 q = n / d;
        if (q > mask_of(w)) {
            return false;
        }
        e->res[0] = put(w, arg[0], (uint64_t)q);
        e->res[1] = (uint64_t)(n % d);
    } else {
        __int128 sn = (__int128)(n << (128 - 2 * bits)) >> (128 - 2 * bits);
        __int128 sd = (int64_t)sign_extend(w, d), q;
        if (sd == -1 && sn == (__int128)((unsigned __int128)1 << 127)) {
            return false;
        }
        q = sn / sd;
        if (q != (__int128)(int64_t)sign_extend(w, (uint64_t)q)) {
            return false;
        }
        e->res[0] = put(w, arg[0], (uint64_t)q);
        e->res[1] = (uint64_t)(sn % sd) & mask_of(w);
    }
    return true;
}

static void eval_bit_test(const IrInsn *in, const uint64_t *arg, IrEval *e)
{
    uint64_t bit = 1ull << (arg[1] & (bits_of(in->w) - 1)), v = arg[0];
    uint32_t f = arg[0] & bit ? IR_C : 0;

    f = keep(f | undefined(IR_O | IR_S | IR_A | IR_P), arg[2], IR_Z);
    switch (in->op) {
    case IR_bt:
        e->res[0] = f;
        return;
    case IR_bts:
        v |= bit;
        break;
    case IR_btr:
        v &= ~bit;
        break;
    default:
        v ^= bit;
        break;
    }
    e->res[0] = put(in->w, arg[0], v);
    e->res[1] = f;
}

static void eval_count(const IrInsn *in, const uint64_t *arg, IrEval *e)
{
    IrWidth w = in->w;
    uint64_t a = arg[1] & mask_of(w), v;
    uint32_t z = a ? 0 : IR_Z;

    switch (in->op) {
    case IR_bsf:
    case IR_bsr:
        v = !a ? 0 : in->op == IR_bsf ? __builtin_ctzll(a) : 63 - __builtin_clzll(a);
        e->res[0] = a ? put(w, arg[0], v) : arg[0];
        e->res[1] = z | undefined(IR_C | IR_O | IR_S | IR_A | IR_P);
        return;
    case IR_tzcnt:
        v = a ? __builtin_ctzll(a) : bits_of(w);
        break;
    case IR_lzcnt:
        v = a ? __builtin_clzll(a) - (64 - bits_of(w)) : bits_of(w);
        break;
    default:
        e->res[0] = put(w, arg[0], __builtin_popcountll(a));
        e->res[1] = z;
        return;
    }
    e->res[0] = put(w, arg[0], v);
    e->res[1] = (v == 0 ? IR_Z : 0) | (z ? IR_C : 0) | undefined(IR_O | IR_S | IR_A | IR_P);
}

static void eval_bmi(const IrInsn *in, const uint64_t *arg, IrEval *e)
{
    IrWidth w = in->w;
    unsigned bits = bits_of(w), start, len;
    uint64_t a = arg[0] & mask_of(w), b = arg[1] & mask_of(w), v;
    uint32_t f = 0, u = IR_A | IR_P;

    switch (in->op) {
    case IR_bextr:
        start = b & 0xff;
        len = b >> 8 & 0xff;
        v = start < bits ? a >> start : 0;
        v &= len < 64 ? (1ull << len) - 1 : UINT64_MAX;
        u |= IR_S;
        break;
    case IR_blsi:
        v = a & -a;
        f = a ? IR_C : 0;
        break;
    case IR_blsr:
        v = a & (a - 1);
        f = a ? 0 : IR_C;
        break;
    case IR_blsmsk:
        v = a ^ (a - 1);
        f = a ? 0 : IR_C;
        break;
    default: /* bzhi */
        len = b & 0xff;
        v = len < bits ? a & ((1ull << len) - 1) : a;
        f = len >= bits ? IR_C : 0;
        break;
    }
    e->res[0] = put(w, arg[0], v);
    e->res[1] = f | (flags_szp(w, v) & (IR_S | IR_Z) & ~u) | undefined(u);
}

static uint64_t deposit_bits(uint64_t a, uint64_t mask)
{
    uint64_t v = 0;

    for (; mask; mask &= mask - 1, a >>= 1) {
        v |= a & 1 ? mask & -mask : 0;
    }
    return v;
}

static uint64_t extract_bits(uint64_t a, uint64_t mask)
{
    uint64_t v = 0;

    for (unsigned n = 0; mask; mask &= mask - 1, n++) {
        v |= a & mask & -mask ? 1ull << n : 0;
    }
    return v;
}

/* SDM "CRC32": polynomial 11EDC6F41H, bit-reflected. */
static uint32_t crc32c(uint32_t crc, uint64_t data, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++, data >>= 8) {
        crc ^= data & 0xff;
        for (unsigned k = 0; k < 8; k++) {
            crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
        }
    }
    return crc;
}

static uint64_t eval_field(const IrInsn *in, const uint64_t *arg)
{
    unsigned pos = in->imm & 0xff, len = in->imm >> 8 & 0xff;
    uint64_t m = len < 64 ? (1ull << len) - 1 : UINT64_MAX;

    if (in->op == IR_extract) {
        return arg[0] >> pos & m;
    }
    return (arg[0] & ~(m << pos)) | (arg[1] & m) << pos;
}

/* Ops of one integer result without flags. */
static uint64_t eval_plain(const IrInsn *in, const uint64_t *arg)
{
    IrWidth w = in->w;
    unsigned n = arg[1] & (w == W64 ? 63 : 31);

    switch (in->op) {
    case IR_mov:
        return put(w, arg[0], arg[1]);
    case IR_zext:
        return arg[0] & mask_of(w);
    case IR_sext:
        return sign_extend(w, arg[0]);
    case IR_lea:
        return (arg[0] + (arg[1] << in->aux) + in->imm) & mask_of(w);
    case IR_bswap:
        return w == W64 ? __builtin_bswap64(arg[0]) : __builtin_bswap32((uint32_t)arg[0]);
    case IR_not:
        return put(w, arg[0], ~arg[0]);
    case IR_shlx:
        return put(w, 0, arg[0] << n);
    case IR_shrx:
        return (arg[0] & mask_of(w)) >> n;
    case IR_sarx:
        return put(w, 0, (uint64_t)((int64_t)sign_extend(w, arg[0]) >> n));
    case IR_pdep:
        return deposit_bits(arg[0], arg[1] & mask_of(w));
    case IR_pext:
        return extract_bits(arg[0], arg[1] & mask_of(w));
    case IR_crc32:
        return crc32c((uint32_t)arg[0], arg[1], ir_width_bytes(w));
    default:
        return eval_field(in, arg);
    }
}

uint32_t ir_cond_reads(IrCond cond)
{
    static const uint16_t reads[8] = {
        IR_O, IR_C, IR_Z, IR_C | IR_Z, IR_S, IR_P, IR_S | IR_O, IR_Z | IR_S | IR_O,
    };

    return reads[cond >> 1];
}

bool ir_cond_holds(IrCond cond, uint32_t flags)
{
    bool less = !(flags & IR_S) != !(flags & IR_O), v;

    switch (cond & ~1) {
    case COND_LT:
        v = less;
        break;
    case COND_LE:
        v = less || (flags & IR_Z);
        break;
    default:
        v = flags & ir_cond_reads(cond);
        break;
    }
    return v != (cond & 1);
}

static void eval_flags(const IrInsn *in, const uint64_t *arg, IrEval *e)
{
    uint64_t f = arg[in->op == IR_select ? 2 : 0];

    switch (in->op) {
    case IR_fmerge:
        e->res[0] = keep((uint32_t)arg[1], f, IR_FLAGS & ~(uint32_t)in->imm);
        break;
    case IR_fnot:
        e->res[0] = f ^ (in->imm & IR_FLAGS);
        break;
    case IR_fput:
        e->res[0] = f & IR_FLAGS;
        break;
    case IR_fint:
        e->res[0] = f & IR_FLAGS;
        e->undefined_used |= f >> IR_UNDEF_SHIFT != 0;
        break;
    default: {
        bool v = ir_cond_holds(in->aux, (uint32_t)f & IR_FLAGS);
        flag(e, f, ir_cond_reads(in->aux));
        e->res[0] = in->op == IR_cond ? v : put(in->w, arg[0], arg[v ? 1 : 0]);
        break;
    }
    }
}

void ir_eval(const IrInsn *in, const uint64_t *arg, IrEval *e)
{
    memset(e, 0, sizeof(*e));
    if (in->op >= IR_fmerge) {
        eval_flags(in, arg, e);
    } else if (in->op >= IR_add && in->op <= IR_test && in->op != IR_not) {
        eval_arith(in, arg, e);
    } else if (in->op >= IR_shl && in->op <= IR_shrd) {
        eval_shift(in, arg, e);
    } else if (in->op >= IR_mul && in->op <= IR_smul2) {
        eval_multiply(in, arg, e);
    } else if (in->op >= IR_bt && in->op <= IR_btc) {
        eval_bit_test(in, arg, e);
    } else if (in->op >= IR_bsf && in->op <= IR_popcnt) {
        eval_count(in, arg, e);
    } else if (in->op >= IR_bextr && in->op <= IR_bzhi) {
        eval_bmi(in, arg, e);
    } else {
        e->res[0] = eval_plain(in, arg);
    }
}
