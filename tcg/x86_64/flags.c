/*
 * Flags: at most one value is in EFLAGS, which is also the home of the guest's flags at
 * region and block boundaries. A value that is still wanted when EFLAGS is about to be destroyed is
 * remembered as a recipe when the operands that made it are at hand, else saved.
 *
 * Saved as LAHF and SETO AL leave them in AX: pushfq and popfq cost ten times as much. The image is
 * in a spill slot, or of the guest's flags in the upper half of their slot; the lower half then is old.
 * Only where C code or a signal looks for the flags in the slot they are put there in its own form.
 */
#include "tcg/x86_64/internal.h"

static bool guest_wants(const X86Emit *e, IrRef f)
{
    return f == e->guest_flags && e->guest_flags_last >= e->n + e->past_fault;
}

/* Whether f is wanted by a later op, or as the guest's flags from this op on. */
bool x86_flags_live(const X86Emit *e, IrRef f)
{
    if (f == IR_NONE) {
        return false;
    }
    return guest_wants(e, f) || (!ir_is_inline(f) && f != FLAGS_ENTRY && e->val[f].last > e->n);
}

static bool is_argument(const X86Emit *e, IrRef f)
{
    const IrInsn *in = &e->ir->insns[e->n];

    for (unsigned i = 0; i < ir_ops[in->op].num_args; i++) {
        if (ir_ops[in->op].args[i] == 'f' && in->arg[i] == f) {
            return true;
        }
    }
    return false;
}

/* The same, or by this op, which may not have used it yet. */
static bool wanted_now(const X86Emit *e, IrRef f)
{
    return x86_flags_live(e, f) || (!ir_is_inline(f) && f != FLAGS_ENTRY && e->val[f].last == e->n &&
                                    (!e->past_fault || is_argument(e, f)));
}

static X86Mem slot_mem(const X86Emit *e)
{
    return x86_state(e->guest->flags_offset);
}

static bool in_memory(const X86Emit *e, IrRef f)
{
    return (f == e->guest_flags && e->in_slot) || f == e->image_of ||
           (f != FLAGS_ENTRY && e->val[f].spill != NO_SPILL);
}

static bool is_saved(const X86Emit *e, IrRef f)
{
    return ir_is_inline(f) || in_memory(e, f) || e->recipe.flags == f;
}

static X86Mem image_mem(const X86Emit *e)
{
    return x86_state(e->guest->flags_offset + 4);
}

bool x86_flags_image(const X86Emit *e, IrRef f, X86Mem *m, bool *slot_form)
{
    *slot_form = false;
    if (f == e->image_of) {
        *m = image_mem(e);
        return true;
    }
    if (f == FLAGS_ENTRY || ir_is_inline(f) || e->val[f].spill == NO_SPILL) {
        return false;
    }
    *m = x86_spill_mem(e, e->val[f].spill);
    *slot_form = e->slot_images >> e->val[f].spill & 1;
    return true;
}

/* rax to another register or the stack, to have it free for a moment; keeps flags. Returns where it is. */
static unsigned take_rax(X86Emit *e)
{
    unsigned t = x86_spare(e);

    if (t == NO_REG) {
        x86_byte(&e->a, 0x50);
    } else {
        x86_mov(&e->a, t, RAX);
    }
    return t;
}

static void give_rax(X86Emit *e, unsigned t)
{
    if (t == NO_REG) {
        x86_byte(&e->a, 0x58);
    } else {
        x86_mov(&e->a, RAX, t);
    }
}

/* EFLAGS to m as AH and AL. */
static void store_image(X86Emit *e, const X86Mem *m)
{
    unsigned t = take_rax(e);

    x86_byte(&e->a, 0x9f);                        /* lahf */
    x86_rr(&e->a, 0x90 | X_0F | X_RM8, W32, 0, RAX); /* seto al */
    x86_rm(&e->a, 0x89, W32, RAX, m);
    give_rax(e, t);
}

/* EFLAGS to m: SDM PUSHFQ; POP changes no flags. */
static void store_flags(Asm *a, const X86Mem *m)
{
    x86_byte(a, 0x9c);
    x86_rm(a, 0x8f, W32, 0, m);
}

/* A spill slot for f. */
static X86Mem new_place(X86Emit *e, IrRef f, bool slot_form)
{
    Val *v = &e->val[f];

    for (v->spill = 0; e->spill_val[v->spill] != IR_NONE; v->spill++) {
        IrRef held = e->spill_val[v->spill];
        if (e->val[held].last < e->n && held != e->recipe.a && held != e->recipe.b) {
            e->val[held].spill = NO_SPILL;
            break;
        }
        if (v->spill == VALUE_SLOTS - 1) {
            x86_fail(e, TCG_EMIT_UNSUPPORTED, "more than 64 values in memory");
            break;
        }
    }
    e->spill_val[v->spill] = f;
    e->slot_images &= ~(1ull << v->spill);
    e->slot_images |= (uint64_t)slot_form << v->spill;
    return x86_spill_mem(e, v->spill);
}

/* 8 bytes, by the stack: no register, no flags. */
static void copy_memory(X86Emit *e, const X86Mem *to, const X86Mem *from)
{
    x86_rm(&e->a, 0xff, W32, 6, from);
    x86_rm(&e->a, 0x8f, W32, 0, to);
}

/* The upper half of the slot is about to be overwritten. */
static void leave_image(X86Emit *e)
{
    IrRef f = e->image_of;
    X86Mem from = image_mem(e), to;

    e->image_of = IR_NONE;
    if (f != IR_NONE && f != FLAGS_ENTRY && f != e->guest_flags && e->val[f].last >= e->n &&
        e->val[f].spill == NO_SPILL) {
        to = new_place(e, f, false);
        copy_memory(e, &to, &from);
    }
}

static void save(X86Emit *e, IrRef f)
{
    IrRef held = e->image_of;
    X86Mem m;

    if (f == e->guest_flags && (held == IR_NONE || held == FLAGS_ENTRY || e->val[held].last < e->n)) {
        m = image_mem(e);
        e->image_of = f;
    } else if (f == FLAGS_ENTRY) {
        leave_image(e);
        m = image_mem(e);
        e->image_of = f;
    } else {
        m = new_place(e, f, false);
    }
    store_image(e, &m);
}

static bool located(const X86Emit *e, IrRef ref)
{
    const Val *v;

    if (ir_is_inline(ref)) {
        return true;
    }
    v = &e->val[ref];
    return (v->reg != NO_REG && !(e->overwritten >> v->reg & 1)) || v->spill != NO_SPILL || v->global != NO_GLOBAL;
}

Opnd x86_whereabouts(X86Emit *e, IrRef ref)
{
    const Val *v;

    if (ref == IR_NONE || ir_is_inline(ref)) {
        return (Opnd){ .kind = K_IMM, .imm = ref ? (uint64_t)ir_inline_value(ref) : 0 };
    }
    v = &e->val[ref];
    if (v->reg != NO_REG) {
        return (Opnd){ .kind = K_REG, .reg = v->reg };
    }
    if (!located(e, ref)) {
        x86_fail(e, TCG_EMIT_UNSUPPORTED, "an operand of flags is nowhere");
        return (Opnd){ .kind = K_IMM };
    }
    return (Opnd){ .kind = K_MEM, .mem = v->spill != NO_SPILL
                                             ? x86_spill_mem(e, v->spill)
                                             : x86_state(e->guest->globals[v->global].offset) };
}

/* Both are somewhere, and an instruction can take them. */
static bool usable(const X86Emit *e, const Recipe *r)
{
    return r->a != IR_NONE && !ir_is_inline(r->a) && located(e, r->a) && located(e, r->b);
}

/* Finds how f can be made again from what is at hand. */
static bool find_recipe(const X86Emit *e, IrRef f, Recipe *r)
{
    const IrInsn *d = ir_def(e->ir, f);
    IrRef result = f & ~3u;

    *r = (Recipe){ .flags = f, .w = d->w, .a = d->arg[0], .b = d->arg[1] };
    switch (d->op) {
    case IR_cmp:
    case IR_sub:
        if (usable(e, r)) {
            return true;
        }
        r->a = result;
        r->how = RE_SUB;
        return d->op == IR_sub && usable(e, r);
    case IR_add:
        r->a = result;
        r->how = RE_ADD;
        return usable(e, r);
    case IR_neg:
        r->a = r->b = result;
        r->how = RE_NEG;
        return usable(e, r);
    case IR_test:
        r->how = RE_TEST;
        return usable(e, r);
    case IR_and:
    case IR_or:
    case IR_xor:
        r->a = r->b = result;
        r->how = RE_TEST;
        return usable(e, r);
    default:
        return false;
    }
}

static void alu_rr_or_imm(Asm *a, bool test, IrWidth w, const Opnd *oa, const Opnd *ob)
{
    uint32_t wide = w == W8 ? 0 : 1;

    if (ob->kind == K_IMM) {
        uint32_t op = test ? 0xf6 | wide : 0x80 | wide;
        unsigned digit = test ? 0 : 7;
        bool small = !test && w != W8 && (int64_t)ob->imm == (int8_t)ob->imm;
        op = (small ? 0x83 : op) | X_RM8 * !wide;
        if (oa->kind == K_REG) {
            x86_rr(a, op, w, digit, oa->reg);
        } else {
            x86_rm(a, op, w, digit, &oa->mem);
        }
        x86_imm(a, small ? W8 : w, ob->imm);
    } else if (ob->kind == K_REG) {
        uint32_t op = (test ? 0x84 : 0x38) | wide | (wide ? 0 : X_REG8 | X_RM8);
        if (oa->kind == K_REG) {
            x86_rr(a, op, w, ob->reg, oa->reg);
        } else {
            x86_rm(a, op, w, ob->reg, &oa->mem);
        }
    } else {
        x86_rm(a, (test ? 0x84 : 0x3a) | wide | (wide ? 0 : X_REG8), w, oa->reg, &ob->mem);
    }
}

static void alu_on(Asm *a, unsigned digit, IrWidth w, unsigned reg, const Opnd *o)
{
    uint32_t wide = w == W8 ? 0 : 1;

    if (o->kind == K_IMM) {
        x86_rr(a, 0x80 | wide | X_RM8 * !wide, w, digit, reg);
        x86_imm(a, w, o->imm);
    } else if (o->kind == K_REG) {
        x86_rr(a, digit << 3 | 2 | wide | (wide ? 0 : X_REG8 | X_RM8), w, reg, o->reg);
    } else {
        x86_rm(a, digit << 3 | 2 | wide | (wide ? 0 : X_REG8), w, reg, &o->mem);
    }
}

void x86_remake(Asm *a, const Recipe *r, Opnd oa, Opnd ob)
{
    static const uint8_t temporaries[] = { RAX, RCX, RDX };
    unsigned n = 0, t;

    if (r->how == RE_TEST && r->a == r->b && oa.kind == K_MEM) {
        ob = (Opnd){ .kind = K_IMM };
        alu_rr_or_imm(a, false, r->w, &oa, &ob); /* cmp with 0 */
        return;
    }
    if (r->how <= RE_TEST && (oa.kind == K_REG || ob.kind != K_MEM)) {
        alu_rr_or_imm(a, r->how == RE_TEST, r->w, &oa, &ob);
        return;
    }
    /* In a register of its own that is neither operand; push, pop and mov keep flags. */
    while ((oa.kind == K_REG && oa.reg == temporaries[n]) || (ob.kind == K_REG && ob.reg == temporaries[n])) {
        n++;
    }
    t = temporaries[n];
    x86_byte(a, 0x50 | t);
    if (oa.kind == K_REG) {
        x86_mov(a, t, oa.reg);
    } else {
        x86_rm(a, 0x8b, W64, t, &oa.mem);
    }
    switch (r->how) {
    case RE_SUB:
        alu_on(a, 0, r->w, t, &ob);
        alu_on(a, 7, r->w, t, &ob);
        break;
    case RE_ADD:
        alu_on(a, 5, r->w, t, &ob);
        alu_on(a, 0, r->w, t, &ob);
        break;
    case RE_NEG:
        x86_rr(a, r->w == W8 ? 0xf6 | X_RM8 : 0xf7, r->w, 3, t);
        x86_rr(a, r->w == W8 ? 0xf6 | X_RM8 : 0xf7, r->w, 3, t);
        break;
    default: {
        Opnd o = { .kind = K_REG, .reg = (uint8_t)t };
        alu_rr_or_imm(a, r->how == RE_TEST, r->w, &o, &ob);
        break;
    }
    }
    x86_byte(a, 0x58 | t);
}

/* The recipe's flags into EFLAGS, whose value nobody wants any more. */
static void remake(X86Emit *e)
{
    x86_remake(&e->a, &e->recipe, x86_whereabouts(e, e->recipe.a), x86_whereabouts(e, e->recipe.b));
    e->ef = e->recipe.flags;
}

static void clobber(X86Emit *e, bool live)
{
    IrRef f = e->ef;
    Recipe r;

    if (f != IR_NONE && live && !is_saved(e, f)) {
        if (f != FLAGS_ENTRY && (e->recipe.flags == IR_NONE || !wanted_now(e, e->recipe.flags)) &&
            find_recipe(e, f, &r)) {
            e->recipe = r;
        } else {
            save(e, f);
        }
    }
    e->ef = IR_NONE;
}

void x86_clobber_flags(X86Emit *e)
{
    clobber(e, x86_flags_live(e, e->ef));
}

void x86_replace_flags(X86Emit *e)
{
    IrRef f = e->ef;
    bool strong = f != IR_NONE && !ir_is_inline(f) && f != FLAGS_ENTRY && e->val[f].last > e->n;

    clobber(e, strong || (f != IR_NONE && f == e->guest_flags && e->guest_flags_last > e->n));
}

/* Saves f, now in EFLAGS, for good. */
static void save_for_good(X86Emit *e, IrRef f)
{
    if (!in_memory(e, f)) {
        save(e, f);
    }
    if (e->recipe.flags == f) {
        e->recipe.flags = IR_NONE;
    }
}

static void lose_value(X86Emit *e, IrRef ref, bool for_good)
{
    IrRef f = e->recipe.flags, had = e->ef;

    if (f == IR_NONE || (ref != e->recipe.a && ref != e->recipe.b)) {
        return;
    }
    if (!wanted_now(e, f) || f == had) {
        e->recipe.flags = IR_NONE;
        return;
    }
    if (e->val[ref].reg != NO_REG && !for_good) {
        x86_spill(e, ref, false); /* one store: cheaper than the flags */
        return;
    }
    if (had != IR_NONE && !is_saved(e, had) && wanted_now(e, had)) {
        save(e, had);
    }
    remake(e);
    save_for_good(e, f);
}

void x86_lose_value(X86Emit *e, IrRef ref)
{
    lose_value(e, ref, false);
}

/* A constant in EFLAGS, or an image of AH and AL, or (slot_form) of the flags' slot: O by an addition that overflows. */
static void load_image(X86Emit *e, IrRef f, const X86Mem *m, bool slot_form)
{
    Asm *a = &e->a;
    unsigned t;

    if (!m && ((uint32_t)ir_inline_value(f) & IR_FLAGS) == (IR_Z | IR_P)) {
        x86_rr(a, 0x39, W32, RSP, RSP);
        return;
    }
    t = take_rax(e);
    if (m) {
        x86_rm(a, 0x8b, W32, RAX, m);
    } else {
        uint32_t bits = (uint32_t)ir_inline_value(f);
        x86_mov_imm(a, RAX, (bits & 0xff) << 8 | (bits >> 11 & 1));
    }
    if (slot_form) {
        x86_rr(a, 0xc1, W16, 0, RAX); /* rol ax, 8 */
        x86_byte(a, 8);
        x86_rr(a, 0x80, W8, 4, RAX);  /* and al, 8: O alone */
        x86_byte(a, 8);
    }
    x86_byte(a, 0x04); /* add al, 0x7f, or 0x78 to 8 */
    x86_byte(a, slot_form ? 0x78 : 0x7f);
    x86_byte(a, 0x9e); /* sahf */
    give_rax(e, t);
}

void x86_preserve_flags(X86Emit *e, IrRef f)
{
    /* A recipe will not do: the op may overwrite its operands. */
    if (!ir_is_inline(f) && !in_memory(e, f)) {
        x86_need_flags(e, f);
        save_for_good(e, f);
    }
}

/* For a call: nothing stays in EFLAGS, and no recipe, whose operands may move. */
void x86_save_flags(X86Emit *e)
{
    lose_value(e, e->recipe.a, true);
    if (e->ef != IR_NONE && x86_flags_live(e, e->ef) && !is_saved(e, e->ef)) {
        save(e, e->ef);
    }
    e->ef = IR_NONE;
    e->recipe.flags = IR_NONE;
}

void x86_need_flags(X86Emit *e, IrRef f)
{
    X86Mem m;
    bool slot_form;

    if (e->ef == f || f == IR_NONE) {
        return;
    }
    x86_clobber_flags(e);
    if (ir_is_inline(f)) {
        load_image(e, f, NULL, false);
    } else if (e->recipe.flags == f) {
        remake(e);
    } else if (x86_flags_image(e, f, &m, &slot_form)) {
        load_image(e, f, &m, slot_form);
    } else if (f == e->guest_flags && e->in_slot) {
        m = slot_mem(e);
        load_image(e, f, &m, true);
    } else {
        x86_fail(e, TCG_EMIT_UNSUPPORTED, "flags are nowhere"); /* lost: a mistake of ours */
    }
    e->ef = f;
}

void x86_flags_to_slot(X86Emit *e)
{
    IrRef f = e->guest_flags;
    X86Mem m = slot_mem(e);

    if (e->in_slot) {
        return;
    }
    if (ir_is_inline(f)) {
        leave_image(e);
        x86_rm(&e->a, 0xc7, W64, 0, &m);
        x86_i32(&e->a, (uint32_t)ir_inline_value(f));
    } else {
        if (e->ef != f) {
            x86_need_flags(e, f);
        }
        leave_image(e);
        store_flags(&e->a, &m);
    }
    e->in_slot = true;
}

void x86_flags_for_fault(X86Emit *e)
{
    if (e->ef != e->guest_flags && !e->in_slot) {
        if (ir_is_inline(e->guest_flags) || x86_flags_live(e, e->ef)) {
            x86_flags_to_slot(e);
        } else {
            x86_need_flags(e, e->guest_flags);
        }
    }
}

/* The old guest flags are about to lose their slot: a later use needs a place of its own. */
void x86_keep_old_flags(X86Emit *e)
{
    IrRef f = e->guest_flags;
    X86Mem from = slot_mem(e), to;

    if (f == FLAGS_ENTRY || ir_is_inline(f) || e->val[f].last <= e->n || e->ef == f ||
        e->recipe.flags == f || e->val[f].spill != NO_SPILL || f == e->image_of) {
        return;
    }
    to = new_place(e, f, true);
    copy_memory(e, &to, &from);
}

void x86_slot_changes(X86Emit *e)
{
    leave_image(e);
    x86_keep_old_flags(e);
}

void x86_set_flags(X86Emit *e, const IrInsn *in)
{
    IrRef f = in->arg[0];

    if (in->op == IR_getf) {
        f = e->n << 2;
        if (e->guest_flags != FLAGS_ENTRY && !ir_is_inline(e->guest_flags) &&
            e->val[e->guest_flags].last > e->n) {
            /* The old name goes on: it gets a place of its own. */
            IrRef had;
            x86_flags_to_slot(e);
            had = e->ef;
            e->ef = IR_NONE;
            e->recipe.flags = e->recipe.flags == e->guest_flags ? IR_NONE : e->recipe.flags;
            x86_keep_old_flags(e);
            e->ef = had;
        }
        if (e->image_of == e->guest_flags) {
            e->image_of = f;
        } else if (e->ef != e->guest_flags && e->recipe.flags != e->guest_flags) {
            x86_flags_to_slot(e); /* a constant's or a spill slot's name changes too */
        }
        e->ef = e->ef == e->guest_flags ? f : e->ef;
        if (e->recipe.flags == e->guest_flags) {
            e->recipe.flags = f;
        }
        e->guest_flags = f;
        return;
    }
    e->guest_flags_last = e->observed[e->n];
    if (e->guest_flags == f) {
        return;
    }
    x86_keep_old_flags(e);
    e->guest_flags = f;
    e->in_slot = false;
}

void x86_made_flags(X86Emit *e, IrRef f)
{
    e->ef = f;
}

void x86_forget_flags(X86Emit *e)
{
    e->ef = FLAGS_ENTRY;
    e->guest_flags = FLAGS_ENTRY;
    e->guest_flags_last = e->observed[e->n];
    e->in_slot = false;
    e->image_of = IR_NONE;
    e->recipe.flags = IR_NONE;
}
