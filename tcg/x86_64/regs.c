/*
 * Where values are. A value may be in a register, in a spill slot and in the state
 * slot of a global at once; reg_val, spill_val and slot_val say the same from the other side. What a
 * register held stays known after the value is dead, because a flags recipe may want it.
 */
#include "tcg/x86_64/internal.h"
#include "tcg/x86_64/native.h"

X86Mem x86_state(int64_t offset)
{
    return (X86Mem){ .base = NO_REG, .index = NO_REG, .gs = true, .disp = (int32_t)offset };
}

X86Mem x86_spill_mem(const X86Emit *e, unsigned slot)
{
    return x86_state(e->guest->spill_offset + 64 * slot);
}

void x86_lock(X86Emit *e, unsigned reg)
{
    e->locked |= 1u << reg;
}

bool x86_live_after(const X86Emit *e, IrRef ref)
{
    return ref != IR_NONE && !ir_is_inline(ref) && e->val[ref].last > e->n;
}

/* Used by this op or later. */
static bool live_now(const X86Emit *e, IrRef ref)
{
    return ref != IR_NONE && e->val[ref].last >= e->n;
}

bool x86_is_vec(const X86Emit *e, IrRef ref)
{
    return ir_ops[ir_def(e->ir, ref)->op].results[ref & 3] == 'v';
}

void x86_reset_values(X86Emit *e)
{
    memset(e->reg_val, 0, sizeof(e->reg_val));
    memset(e->slot_val, 0, sizeof(e->slot_val[0]) * e->guest->num_globals);
    memset(e->spill_val, 0, sizeof(e->spill_val));
    e->spills = 0;
    e->locked = 0;
}

static bool in_recipe(const X86Emit *e, IrRef ref)
{
    return e->recipe.flags && ref && (ref == e->recipe.a || ref == e->recipe.b);
}

/* Forgets that ref is in reg; another register that holds it too becomes its place. */
void x86_drop_reg(X86Emit *e, unsigned reg)
{
    IrRef ref = e->reg_val[reg];

    e->reg_val[reg] = IR_NONE;
    if (ref == IR_NONE || e->val[ref].reg != reg) {
        return;
    }
    e->val[ref].reg = NO_REG;
    for (unsigned r = 0; r < 32; r++) {
        if (e->reg_val[r] == ref) {
            e->val[ref].reg = (uint8_t)r;
            return;
        }
    }
}

static bool only_in(const X86Emit *e, IrRef ref, unsigned reg)
{
    const Val *v = &e->val[ref];

    if (v->reg != reg || v->spill != NO_SPILL || v->global != NO_GLOBAL) {
        return false;
    }
    for (unsigned r = 0; r < 32; r++) {
        if (r != reg && e->reg_val[r] == ref) {
            return false;
        }
    }
    return true;
}

static unsigned new_spill(X86Emit *e)
{
    /* Slots of dead values first: a region that needs more than 64 at once is refused. */
    for (unsigned s = 0; s < VALUE_SLOTS; s++) {
        IrRef ref = e->spill_val[s];
        if (ref == IR_NONE || (!live_now(e, ref) && !in_recipe(e, ref))) {
            if (ref != IR_NONE) {
                e->val[ref].spill = NO_SPILL;
            }
            e->spill_val[s] = IR_NONE;
            return s;
        }
    }
    x86_fail(e, TCG_EMIT_UNSUPPORTED, "more than 64 values in memory");
    return 0;
}

void x86_spill(X86Emit *e, IrRef ref, bool vec)
{
    Val *v = &e->val[ref];
    X86Mem m;

    if (v->spill != NO_SPILL || v->global != NO_GLOBAL) {
        return;
    }
    v->spill = (uint8_t)new_spill(e);
    e->spill_val[v->spill] = ref;
    m = x86_spill_mem(e, v->spill);
    if (vec) {
        if (!e->narrow && (x86_host_features() & HOST_AVX)) {
            x86_vex_rm(&e->a, 0x7f | X_0F | X_F3 | X_L, v->reg & 15, NO_REG, &m);
        } else {
            x86_rm(&e->a, 0x11 | X_0F, W32, v->reg & 15, &m);
        }
    } else {
        x86_rm(&e->a, 0x89, W64, v->reg, &m);
    }
}

static int free_scratch(X86Emit *e, bool vec)
{
    uint32_t set = e->scratch & ~e->locked & (vec ? 0xffff0000u : 0xffffu);
    int found = -1;

    for (unsigned r = vec ? 31 : 15; r < 32; r--) {
        if (set >> r & 1) {
            IrRef ref = e->reg_val[r];
            if (ref == IR_NONE || (!live_now(e, ref) && !in_recipe(e, ref))) {
                return (int)r;
            }
            if (!live_now(e, ref)) {
                found = (int)r;
            }
        }
    }
    return found;
}

/* The value in reg, wanted later, goes elsewhere; reg's content is then free to overwrite. */
void x86_lose_reg(X86Emit *e, unsigned reg)
{
    IrRef ref = e->reg_val[reg];

    if (ref == IR_NONE) {
        return;
    }
    if (only_in(e, ref, reg)) {
        if (e->val[ref].last > e->n) {
            bool vec = reg >= XMM0;
            int to;
            x86_lock(e, reg);
            to = free_scratch(e, vec);
            if (to >= 0 && !vec) {
                x86_lose_reg(e, (unsigned)to);
                x86_mov(&e->a, (unsigned)to, reg);
                e->reg_val[to] = ref;
                e->val[ref].reg = (uint8_t)to;
                e->reg_val[reg] = IR_NONE;
                return;
            }
            x86_spill(e, ref, vec);
        } else if (in_recipe(e, ref)) {
            x86_lose_value(e, ref);
        }
    }
    x86_drop_reg(e, reg);
}

unsigned x86_alloc(X86Emit *e, bool vec)
{
    int r = free_scratch(e, vec);

    if (r < 0) {
        uint32_t set = e->scratch & ~e->locked & (vec ? 0xffff0000u : 0xffffu);
        unsigned farthest = 0;
        if (set == 0) {
            x86_fail(e, TCG_EMIT_UNSUPPORTED, "an op wants more registers than there are");
            e->short_of_registers = true;
            return vec ? XMM15 : R10;
        }
        for (unsigned i = 0; i < 32; i++) {
            if ((set >> i & 1) && e->val[e->reg_val[i]].last >= farthest) {
                farthest = e->val[e->reg_val[i]].last;
                r = (int)i;
            }
        }
        x86_spill(e, e->reg_val[r], vec);
        x86_drop_reg(e, (unsigned)r);
    } else {
        x86_lose_reg(e, (unsigned)r);
    }
    x86_lock(e, (unsigned)r);
    return (unsigned)r;
}

unsigned x86_spare(X86Emit *e)
{
    uint32_t set = e->scratch & ~e->locked & 0xffff;

    for (unsigned r = 15; r < 16; r--) {
        IrRef ref = e->reg_val[r];
        if ((set >> r & 1) && (ref == IR_NONE || (!live_now(e, ref) && !in_recipe(e, ref)))) {
            x86_drop_reg(e, r);
            return r;
        }
    }
    return NO_REG;
}

bool x86_in_memory(const X86Emit *e, IrRef ref, X86Mem *m)
{
    const Val *v = &e->val[ref];

    if (v->global != NO_GLOBAL) {
        *m = x86_state(e->guest->globals[v->global].offset);
        return true;
    }
    if (v->spill != NO_SPILL) {
        *m = x86_spill_mem(e, v->spill);
        return true;
    }
    return false;
}

/* Copies a value into reg, which nothing else wants: no bookkeeping. Keeps flags. */
void x86_load_into(X86Emit *e, unsigned reg, IrRef ref, IrWidth w)
{
    uint64_t c;
    X86Mem m;

    if (ir_is_const(e->ir, ref, &c)) {
        x86_mov_imm(&e->a, reg, w == W32 ? (uint32_t)c : c);
    } else if (e->val[ref].reg != NO_REG) {
        unsigned src = e->val[ref].reg;
        if (w == W32) {
            if (src != reg) {
                x86_rr(&e->a, 0x8b, W32, reg, src);
            }
        } else {
            x86_mov(&e->a, reg, src);
        }
    } else if (x86_in_memory(e, ref, &m)) {
        x86_rm(&e->a, 0x8b, w == W32 ? W32 : W64, reg, &m);
    } else {
        x86_fail(e, TCG_EMIT_UNSUPPORTED, "a value is nowhere");
    }
}

void x86_bind(X86Emit *e, IrRef result, unsigned reg)
{
    if (e->reg_val[reg] != IR_NONE && e->reg_val[reg] != result) {
        x86_drop_reg(e, reg);
    }
    e->reg_val[reg] = result;
    e->val[result].reg = (uint8_t)reg;
}

unsigned x86_load(X86Emit *e, IrRef ref)
{
    unsigned reg;

    if (!ir_is_inline(ref) && e->val[ref].reg != NO_REG) {
        x86_lock(e, e->val[ref].reg);
        return e->val[ref].reg;
    }
    reg = x86_alloc(e, false);
    x86_load_into(e, reg, ref, W64);
    if (!ir_is_inline(ref)) {
        x86_bind(e, ref, reg);
    }
    return reg;
}

void x86_load_vec_into(X86Emit *e, unsigned reg, IrRef ref, bool whole)
{
    X86Mem m;

    if (!x86_in_memory(e, ref, &m)) {
        x86_fail(e, TCG_EMIT_UNSUPPORTED, "a value is nowhere");
        return;
    }
    if (whole && !e->narrow && (x86_host_features() & HOST_AVX)) {
        x86_vex_rm(&e->a, 0x6f | X_0F | X_F3 | X_L, reg & 15, NO_REG, &m);
    } else {
        x86_rm(&e->a, 0x10 | X_0F, W32, reg & 15, &m);
    }
}

unsigned x86_load_vec(X86Emit *e, IrRef ref)
{
    unsigned reg;

    if (e->val[ref].reg != NO_REG) {
        x86_lock(e, e->val[ref].reg);
        return e->val[ref].reg;
    }
    reg = x86_alloc(e, true);
    x86_load_vec_into(e, reg, ref, true);
    x86_bind(e, ref, reg);
    return reg;
}

X86Mem x86_temporary(X86Emit *e, unsigned n)
{
    return x86_spill_mem(e, TCG_SPILL_SLOTS - 1 - n);
}

Opnd x86_operand(X86Emit *e, IrRef ref, IrWidth w)
{
    uint64_t c;

    if (ir_is_const(e->ir, ref, &c) && (w < W64 || (int64_t)c == (int32_t)c)) {
        return (Opnd){ .kind = K_IMM, .imm = c };
    }
    return x86_operand_rm(e, ref);
}

Opnd x86_operand_rm(X86Emit *e, IrRef ref)
{
    Opnd o = { .kind = K_MEM };

    if (!ir_is_inline(ref) && e->val[ref].reg == NO_REG && !x86_live_after(e, ref) &&
        x86_in_memory(e, ref, &o.mem)) {
        return o;
    }
    o.kind = K_REG;
    o.reg = (uint8_t)x86_load(e, ref);
    return o;
}

bool x86_clears_rest(const X86Emit *e, IrRef ref, IrWidth w)
{
    const IrInsn *in = ir_def(e->ir, ref);

    if (in->op == IR_ldv) {
        return in->w == W256 && w == W256;
    }
    return in->op >= IR_native && in->op <= IR_native_vi && (in->imm & NATIVE_VEX) &&
           (w == W256 || !(in->imm & NATIVE_VEX_L));
}

/* The home that result may be computed in now, or NO_REG. */
static unsigned home_for(X86Emit *e, IrRef result, bool vec)
{
    const Val *v = &e->val[result];
    unsigned h;

    if (v->hint == NO_GLOBAL || e->home[v->hint] == NO_REG) {
        return NO_REG;
    }
    h = e->home[v->hint];
    if (vec) {
        /* What the instruction does to the bits above its width must be what the set asks. */
        const IrInsn *set = &e->ir->insns[v->hint_pos], *def = ir_def(e->ir, result);
        bool vex = (def->op == IR_ldv && def->w == W256) ||
                   (def->op >= IR_native && def->op <= IR_native_vi && (def->imm & NATIVE_VEX));
        if (set->aux ? !x86_clears_rest(e, result, set->w) : vex || set->w != W128) {
            return NO_REG;
        }
    }
    if (e->reg_val[h] != IR_NONE && e->val[e->reg_val[h]].last > e->n &&
        only_in(e, e->reg_val[h], h)) {
        return NO_REG;
    }
    return h;
}

/*
 * The register to compute result in: the home of the global it is for, that of
 * argument `reuse` when this is its last use, or a scratch. The old content may still be
 * an argument of this op; the caller sees to that.
 */
unsigned x86_dst(X86Emit *e, IrRef result, IrRef reuse, bool vec)
{
    unsigned h = home_for(e, result, vec);

    if (h == NO_REG && reuse != IR_NONE && !ir_is_inline(reuse)) {
        unsigned r = e->val[reuse].reg;
        if (r != NO_REG && (e->scratch >> r & 1) && !x86_live_after(e, reuse)) {
            h = r;
        }
    }
    if (h == NO_REG) {
        return x86_alloc(e, vec);
    }
    e->overwritten |= 1u << h;
    if (in_recipe(e, e->reg_val[h]) && only_in(e, e->reg_val[h], h)) {
        x86_lose_value(e, e->reg_val[h]);
    }
    x86_lock(e, h);
    return h;
}

/* The value known to be in g's state slot is about to be overwritten there. */
void x86_lose_slot(X86Emit *e, unsigned g)
{
    IrRef ref = e->slot_val[g];

    e->slot_val[g] = IR_NONE;
    if (ref == IR_NONE || e->val[ref].global != g) {
        return;
    }
    if (e->val[ref].reg == NO_REG && e->val[ref].spill == NO_SPILL) {
        if (x86_live_after(e, ref)) {
            if (e->guest->globals[g].type == 'v') {
                x86_load_vec(e, ref);
            } else {
                x86_load(e, ref);
            }
        } else if (in_recipe(e, ref)) {
            x86_lose_value(e, ref);
        }
    }
    e->val[ref].global = NO_GLOBAL;
}

static void set_slot_global(X86Emit *e, unsigned g, IrRef ref)
{
    X86Mem m = x86_state(e->guest->globals[g].offset);
    Opnd o;

    if (e->slot_val[g] == ref && !ir_is_inline(ref)) {
        return;
    }
    o = x86_operand(e, ref, W64);
    if (o.kind == K_MEM) {
        o = (Opnd){ .kind = K_REG, .reg = (uint8_t)x86_load(e, ref) };
    }
    x86_lose_slot(e, g);
    if (o.kind == K_IMM) {
        x86_rm(&e->a, 0xc7, W64, 0, &m);
        x86_i32(&e->a, (uint32_t)o.imm);
        return;
    }
    x86_rm(&e->a, 0x89, W64, o.reg, &m);
    e->slot_val[g] = ref;
    if (e->val[ref].global == NO_GLOBAL) {
        e->val[ref].global = (uint8_t)g;
    }
}

void x86_set_global(X86Emit *e, unsigned g, IrRef ref)
{
    unsigned h = e->home[g];
    uint64_t c;

    if (h == NO_REG) {
        set_slot_global(e, g, ref);
        return;
    }
    if (e->reg_val[h] == ref) {
        return;
    }
    x86_lose_reg(e, h);
    if (ir_is_const(e->ir, ref, &c) && c == 0 && !x86_flags_live(e, e->ef)) {
        x86_rr(&e->a, 0x31, W32, h, h);
        x86_made_flags(e, ir_inline(IR_Z | IR_P));
        return;
    }
    x86_load_into(e, h, ref, W64);
    if (!ir_is_inline(ref)) {
        unsigned old = e->val[ref].reg;
        e->reg_val[h] = ref;
        if (old == NO_REG || (e->scratch >> old & 1)) {
            e->val[ref].reg = (uint8_t)h;
            if (old != NO_REG && e->reg_val[old] == ref) {
                e->reg_val[old] = IR_NONE;
            }
        }
    }
}
