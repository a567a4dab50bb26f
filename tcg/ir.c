/*
 * Tables of the IR, the region's arena, and the verifier. Manual: docs/translator.md.
 */
#include <stdlib.h>
#include <string.h>

#include "tcg/ir.h"

#define NUM(s) (sizeof(s) - 1)

/* Letter c among the traits s, before the undefined flags: done by the compiler. */
#define HAS1(s, i, c) (NUM(s) > (i) && (s)[(i) < NUM(s) ? (i) : 0] == (c))
#define DASH(s) (HAS1(s, 0, '-') ? 0 : HAS1(s, 1, '-') ? 1 : HAS1(s, 2, '-') ? 2 : \
                 HAS1(s, 3, '-') ? 3 : HAS1(s, 4, '-') ? 4 : HAS1(s, 5, '-') ? 5 : \
                 HAS1(s, 6, '-') ? 6 : 7)
#define AT(s, i, c, bit) ((i) < DASH(s) && HAS1(s, i, c) ? (uint32_t)(bit) : 0)
#define LETTER(s, c, bit) (AT(s, 0, c, bit) | AT(s, 1, c, bit) | AT(s, 2, c, bit) | \
                           AT(s, 3, c, bit) | AT(s, 4, c, bit) | AT(s, 5, c, bit) | \
                           AT(s, 6, c, bit))
#define TRAITS(s) (LETTER(s, 'W', IR_T_WIDTH) | LETTER(s, 'R', IR_T_READ) | \
                   LETTER(s, 'M', IR_T_WRITE) | LETTER(s, 'T', IR_T_FAULT) | \
                   LETTER(s, 'G', IR_T_GLOBALS) | LETTER(s, 'E', IR_T_EXIT) | \
                   LETTER(s, 'B', IR_T_END) | LETTER(s, 'P', IR_T_PINNED) | \
                   LETTER(s, 'C', IR_T_COND) | LETTER(s, 'J', IR_T_JUMP) | \
                   LETTER(s, 'N', IR_T_IMM) | LETTER(s, 'X', IR_T_AUX) | \
                   LETTER(s, 'Y', IR_T_AUX2) | LETTER(s, 'A', IR_T_ADDR) | \
                   LETTER(s, 'F', IR_T_PURE) | LETTER(s, 'O', IR_T_OPTIONAL) | \
                   LETTER(s, 'D', IR_T_RAW))

const IrOpDef ir_ops[IR_NUM_OPS] = {
#define OP(name, res, args, traits, doc) \
    [IR_##name] = { #name, res, args, traits, doc, NUM(res), NUM(args), TRAITS(traits) },
#include "tcg/ops.def"
#undef OP
};

const char *const ir_cond_names[16] = {
    "o", "no", "c", "nc", "z", "nz", "be", "a", "s", "ns", "p", "np", "lt", "ge", "le", "gt",
};

bool ir_region_init(IrRegion *r, const TcgGuest *guest)
{
    memset(r, 0, sizeof(*r));
    r->insns = malloc(IR_MAX_INSNS * sizeof(r->insns[0]));
    if (!r->insns) {
        return false;
    }
    r->guest = guest;
    r->max_insns = IR_MAX_INSNS;
    ir_region_reset(r);
    return true;
}

void ir_region_finish(IrRegion *r)
{
    free(r->insns);
    r->insns = NULL;
}

void ir_region_reset(IrRegion *r)
{
    r->insns[0] = (IrInsn){ .op = IR_block };
    r->num_insns = 1;
    r->num_blocks = 1;
    r->overflow = false;
    memset(r->cur, 0, r->guest->num_globals * sizeof(r->cur[0]));
    r->cur_flags = IR_NONE;
}

/* What the verifier knows while it walks. */
typedef struct {
    const IrRegion *r;
    uint32_t block_start;      /* first instruction of this block */
    uint64_t labels, jumps;    /* bits of blocks seen and jumped to */
    uint64_t slots;
    bool ended;                /* the last op does not go on */
} Verify;

static const char *check_arg(const Verify *v, uint32_t n, IrRef ref, char type, bool optional)
{
    const IrOpDef *def;

    if (ref == IR_NONE) {
        return optional || type == 'B' || type == 'I' ? NULL : "an argument is absent";
    }
    if (ir_is_inline(ref)) {
        if (type == 'v') {
            return "a vector argument is a constant";
        }
        return type == 'f' && ((uint64_t)ir_inline_value(ref) & ~(uint64_t)IR_FLAGS)
                   ? "a constant of flags has other bits" : NULL;
    }
    if (ref >> 2 >= n) {
        return "an argument is used before it is made";
    }
    if (ref >> 2 < v->block_start) {
        return "an argument is from another block";
    }
    def = &ir_ops[ir_def(v->r, ref)->op];
    if ((ref & 3) >= def->num_results) {
        return "an argument is a result that its op has not";
    }
    if (type == 'B' || type == 'I') {
        type = 'i';
    }
    return def->results[ref & 3] == type ? NULL : "an argument has the wrong type";
}

static const char *check_width(const IrInsn *in)
{
    bool vec = strchr(ir_ops[in->op].results, 'v') || strchr(ir_ops[in->op].args, 'v');

    if (!(ir_ops[in->op].flags & IR_T_WIDTH)) {
        return in->w == 0 ? NULL : "a width where none belongs";
    }
    if (in->w > (vec || in->op == IR_native_xm ? W512 : W64)) {
        return "the width is too large";
    }
    switch (in->op) {
    case IR_bswap:
    case IR_andn:
    case IR_shlx:
    case IR_shrx:
    case IR_sarx:
    case IR_bextr:
    case IR_blsi:
    case IR_blsr:
    case IR_blsmsk:
    case IR_bzhi:
    case IR_pdep:
    case IR_pext:
    case IR_cmpxchg2:
        return in->w == W32 || in->w == W64 ? NULL : "only W32 and W64 exist";
    case IR_mul:
    case IR_shld:
    case IR_shrd:
    case IR_bt:
    case IR_bts:
    case IR_btr:
    case IR_btc:
    case IR_bsf:
    case IR_bsr:
    case IR_tzcnt:
    case IR_lzcnt:
    case IR_popcnt:
    case IR_lea:
        return in->w >= W16 ? NULL : "only W16 to W64 exist";
    case IR_getv:
    case IR_setv:
        return in->w >= W32 ? NULL : "a vector is at least 4 bytes";
    }
    return NULL;
}

bool ir_width_ok(const IrInsn *in)
{
    return check_width(in) == NULL;
}

static const char *check_operands(Verify *v, const IrInsn *in)
{
    const TcgGuest *g = v->r->guest;

    switch (in->op) {
    case IR_get:
    case IR_set:
        return in->imm < g->num_globals && g->globals[in->imm].type == 'i'
                   ? NULL : "not an integer global";
    case IR_getv:
    case IR_setv:
        return in->imm < g->num_globals && g->globals[in->imm].type == 'v'
                   ? NULL : "not a vector global";
    case IR_lds:
    case IR_sts:
        return in->imm + ir_width_bytes(in->w) <= g->state_size ? NULL : "not in the state";
    case IR_native_x:
        return in->arg[0] < g->state_size ? NULL : "not in the state";
    case IR_extract:
    case IR_deposit:
        return (in->imm >> 8) >= 1 && (in->imm & 0xff) + (in->imm >> 8) <= 64
                   ? NULL : "not a field of 64 bits";
    case IR_lea:
        return in->aux <= 3 ? NULL : "the scale is too large";
    case IR_exit:
    case IR_exit_cond:
    case IR_push_ret: {
        unsigned slot = in->op == IR_exit_cond ? in->aux2 : in->aux;
        if (slot >= TCG_MAX_SLOTS || (v->slots >> slot & 1)) {
            return "the slot is used twice or too large";
        }
        v->slots |= 1ull << slot;
        return NULL;
    }
    }
    if ((ir_ops[in->op].flags & IR_T_COND) && in->aux > 15) {
        return "not a condition";
    }
    if ((ir_ops[in->op].flags & IR_T_ADDR) && in->aux2 >> IR_ADDR_SHIFT > IR_A16) {
        return "not an address width";
    }
    return NULL;
}

static const char *check_control(Verify *v, uint32_t n, const IrInsn *in)
{
    uint32_t t = ir_ops[in->op].flags;

    if (in->op == IR_block) {
        if (in->imm >= v->r->num_blocks || in->imm >= IR_MAX_BLOCKS) {
            return "not a label";
        }
        if (v->labels >> in->imm & 1) {
            return "the label is placed twice";
        }
        v->labels |= 1ull << in->imm;
        v->block_start = n;
        v->ended = false;
        return NULL;
    }
    if (v->ended) {
        return "code that nothing reaches";
    }
    if (t & IR_T_JUMP) {
        if (in->imm >= v->r->num_blocks || in->imm >= IR_MAX_BLOCKS) {
            return "not a label";
        }
        v->jumps |= 1ull << in->imm;
    }
    v->ended = t & IR_T_END;
    return NULL;
}

const char *ir_verify(const IrRegion *r, uint32_t *at)
{
    Verify v = { .r = r };

    for (uint32_t n = 0; n < r->num_insns; n++) {
        const IrInsn *in = &r->insns[n];
        const char *err;

        *at = n;
        if (in->op >= IR_NUM_OPS) {
            return "not an op";
        }
        err = check_control(&v, n, in);
        err = err ? err : check_width(in);
        err = err ? err : check_operands(&v, in);
        for (unsigned a = 0; !err && a < ir_ops[in->op].num_args; a++) {
            err = check_arg(&v, n, in->arg[a], ir_ops[in->op].args[a],
                            ir_ops[in->op].flags & IR_T_OPTIONAL);
        }
        if (err) {
            return err;
        }
    }
    if (!v.ended) {
        return "the region does not end";
    }
    return v.jumps & ~v.labels ? "a label is never placed" : NULL;
}
