/*
 * Control: instruction starts, blocks, exits, returns, calls to helpers, the pc map.
 * docs/translator.md sections 2, 5 and 6.
 */
#include "tcg/x86_64/internal.h"

void x86_unsupported(X86Emit *e, const IrInsn *in)
{
    x86_fail(e, TCG_EMIT_UNSUPPORTED, "the host has no such form");
    e->unsupported_op = in->op;
}

/* LEB128. */
static void map_number(X86Emit *e, uint64_t v)
{
    do {
        *e->map++ = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
}

static uint64_t zigzag(uint64_t v)
{
    return v << 1 ^ (uint64_t)((int64_t)v >> 63);
}

static bool map_room(X86Emit *e)
{
    if (e->job->map_end - e->map < 32) {
        x86_fail(e, TCG_EMIT_FULL, "no room");
        return false;
    }
    return true;
}

/*
 * A record: host offset from the last << 2 | flags in slot << 1 | new instruction; for a new instruction
 * the pc from the last one's and the front end's word.
 */
static void map_record(X86Emit *e, const IrInsn *insn, bool in_slot)
{
    uint32_t off = (uint32_t)(e->a.p - e->a.start);

    if (!map_room(e)) {
        return;
    }
    map_number(e, (uint64_t)(off - e->map_off) << 2 | (unsigned)in_slot << 1 | (insn != NULL));
    e->map_off = off;
    e->map_slot = in_slot;
    if (insn) {
        map_number(e, zigzag(insn->imm - e->map_pc));
        map_number(e, insn->arg[0]);
        e->map_pc = insn->imm;
    }
}

bool x86_map_find(const uint8_t *map, uint32_t size, uint32_t off, TcgMapEntry *out)
{
    const uint8_t *p = map, *end = map + size;
    uint64_t at = 0, pc = 0;
    bool found = false;

    while (p < end) {
        uint64_t v[3] = { 0 };
        unsigned n = 0, count = 1;
        for (; n < count; n++) {
            unsigned shift = 0;
            do {
                v[n] |= (uint64_t)(*p & 0x7f) << shift;
                shift += 7;
            } while (*p++ & 0x80);
            count = n == 0 && (v[0] & 1) ? 3 : count;
        }
        at += v[0] >> 2;
        if (at > off) {
            break;
        }
        found = true;
        out->flags_in_slot = v[0] >> 1 & 1;
        if (v[0] & 1) {
            pc += v[1] >> 1 ^ -(v[1] & 1);
            out->pc = pc;
            out->word = (uint32_t)v[2];
        }
    }
    return found;
}

static const IrInsn *current_insn(const X86Emit *e)
{
    uint32_t n = e->n;

    while (n > 0 && e->ir->insns[n].op != IR_insn) {
        n--;
    }
    return e->ir->insns[n].op == IR_insn ? &e->ir->insns[n] : NULL;
}

/* The next host instruction may fault: where the guest's flags are then. */
void x86_map_fault(X86Emit *e)
{
    bool in_slot = e->ef != e->guest_flags; /* also of system mode: polls, divisions and vectors fault by signal */
    const IrInsn *insn = current_insn(e);
    bool fresh = insn && insn->imm != e->map_pc;

    if (in_slot != e->map_slot || fresh) {
        map_record(e, fresh ? insn : NULL, in_slot);
    }
}

void x86_op_insn(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    map_record(e, in, e->map_slot);
}

static void jump_to_block(X86Emit *e, uint8_t *rel32, uint64_t block)
{
    if (e->block_at[block]) {
        x86_patch(rel32, e->block_at[block]);
    } else if (e->num_fixups == MAX_FIXUPS) {
        x86_fail(e, TCG_EMIT_FULL, "no room");
    } else {
        e->fixups[e->num_fixups++] = (Fixup){ rel32, (uint32_t)block };
    }
}

void x86_op_block(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    if (e->n > 0) {
        if (!(ir_ops[e->ir->insns[e->n - 1].op].flags & IR_T_END)) {
            x86_need_flags(e, e->guest_flags);
        }
        x86_reset_values(e);
        x86_forget_flags(e);
        x86_forget_windows(e);
    }
    e->block_at[in->imm] = e->a.p;
}

void x86_op_br(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    const IrInsn *next = &e->ir->insns[e->n + 1];

    x86_need_flags(e, e->guest_flags);
    if (e->n + 1 < e->ir->num_insns && next->op == IR_block && next->imm == in->imm) {
        return;
    }
    jump_to_block(e, x86_jmp(&e->a, NULL), in->imm);
}

/* The guest's flags into EFLAGS on a path that is left: what is known stays as it is. */
static void flags_on_side_path(X86Emit *e)
{
    IrRef had = e->ef;

    e->ef = IR_NONE;
    x86_need_flags(e, e->guest_flags);
    e->ef = had;
}

void x86_op_brcond(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    uint8_t *over;

    x86_need_flags(e, in->arg[0]);
    if (e->ef == e->guest_flags) {
        jump_to_block(e, x86_jcc(&e->a, in->aux, NULL), in->imm);
        return;
    }
    over = x86_jcc(&e->a, in->aux ^ 1, NULL);
    flags_on_side_path(e);
    jump_to_block(e, x86_jmp(&e->a, NULL), in->imm);
    x86_patch(over, e->a.p);
}

void x86_op_brz(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    uint32_t wide = in->w == W8 ? 0 : 1;
    unsigned r = x86_load(e, in->arg[0]);
    uint8_t *over;

    x86_clobber_flags(e);
    x86_rr(&e->a, 0x84 | wide | (wide ? 0 : X_REG8 | X_RM8), in->w, r, r);
    over = x86_jcc(&e->a, in->aux ? COND_Z : COND_NZ, NULL);
    flags_on_side_path(e);
    jump_to_block(e, x86_jmp(&e->a, NULL), in->imm);
    x86_patch(over, e->a.p);
}

void x86_op_poll(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    X86Mem m = x86_state(TCG_POLL_PAGE);
    unsigned t = x86_alloc(e, false);

    x86_flags_for_fault(e);
    x86_map_fault(e);
    x86_rm(&e->a, 0x8b, W32, t, &m);
}

static void leave_with(X86Emit *e, TcgExitReason reason)
{
    const IrInsn *insn = current_insn(e);

    x86_mov_imm(&e->a, R10, reason);
    x86_mov_imm(&e->a, R11, insn ? insn->imm : e->job->pc);
    x86_jmp(&e->a, e->job->thunks->exit_state - e->job->rx);
}

void x86_op_icount(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    X86Mem m = x86_state((int64_t)e->guest->runtime_offset + (int64_t)offsetof(TcgRuntime, icount));
    uint8_t *over;

    x86_flags_to_slot(e);
    x86_clobber_flags(e);
    x86_rm(&e->a, 0x81, W64, 5, &m);
    x86_i32(&e->a, (uint32_t)in->imm);
    over = x86_jcc(&e->a, COND_NS, NULL);
    x86_rm(&e->a, 0x81, W64, 0, &m);
    x86_i32(&e->a, (uint32_t)in->imm);
    leave_with(e, TCG_EXIT_ICOUNT);
    x86_patch(over, e->a.p);
}

void x86_op_leave(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    X86Mem m = x86_state((int64_t)e->guest->runtime_offset + (int64_t)offsetof(TcgRuntime, exit_code));

    x86_flags_to_slot(e);
    x86_rm(&e->a, 0xc7, W32, 0, &m);
    x86_i32(&e->a, (uint32_t)in->imm);
    leave_with(e, TCG_EXIT_LEAVE);
}

static TcgSlot *use_slot(X86Emit *e, unsigned n, unsigned kind, uint64_t pc)
{
    TcgSlot *s = &e->job->slots[n];

    memset(s, 0, sizeof(*s));
    s->pc = pc;
    s->kind = (uint8_t)kind;
    s->used = true;
    if (n >= e->slots_used) {
        e->slots_used = n + 1;
    }
    return s;
}

/*
 * Pads so that a rel32 after `opcode` bytes does not cross 8 bytes: it is changed by one store. Before a
 * jcc by a prefix without meaning there, since a nop would part it from the compare it fuses with.
 */
static void align_rel32(X86Emit *e, unsigned opcode)
{
    unsigned at = ((uintptr_t)e->a.p + opcode) & 7;

    if (at > 4 && opcode == 2) {
        for (; at < 8; at++) {
            x86_byte(&e->a, 0x2e);
        }
    } else if (at > 4) {
        x86_nop(&e->a, 8 - at);
    }
}

static void slot_jump(X86Emit *e, TcgSlot *s, int cond)
{
    uint8_t *rel32;

    align_rel32(e, cond < 0 ? 1 : 2);
    rel32 = cond < 0 ? x86_jmp(&e->a, NULL) : x86_jcc(&e->a, (IrCond)cond, NULL);
    s->patch = (uint32_t)(rel32 - e->a.start);
}

void x86_op_exit(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    x86_need_flags(e, e->guest_flags);
    slot_jump(e, use_slot(e, in->aux, TCG_SLOT_JUMP, in->imm), -1);
}

void x86_op_exit_cond(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    TcgSlot *s = use_slot(e, in->aux2, TCG_SLOT_COND, in->imm);
    uint8_t *over;

    x86_need_flags(e, in->arg[0]);
    if (e->ef == e->guest_flags) {
        slot_jump(e, s, in->aux);
        return;
    }
    over = x86_jcc(&e->a, in->aux ^ 1, NULL);
    flags_on_side_path(e);
    slot_jump(e, s, -1);
    x86_patch(over, e->a.p);
}

/* Out of line: what an unlinked slot jumps to; a return's stub checks where it returns to. */
static void compare_r10(X86Emit *e, uint64_t pc)
{
    X86Mem m = { .base = R10, .index = NO_REG, .disp = (int32_t)-pc };

    /* r10 - pc into rcx without flags; r14 keeps rcx. */
    x86_mov(&e->a, R14, RCX);
    if ((int64_t)-pc != (int32_t)-pc) {
        x86_mov_imm(&e->a, RCX, -pc);
        m.index = RCX;
        m.disp = 0;
    }
    x86_rm(&e->a, 0x8d, W64, RCX, &m);
}

static void unless_zero(X86Emit *e, const uint8_t *target)
{
    uint8_t *rel8;

    x86_byte(&e->a, 0xe3); /* jrcxz */
    rel8 = e->a.p++;
    x86_mov(&e->a, RCX, R14);
    x86_jmp(&e->a, target - e->job->rx);
    *rel8 = (uint8_t)(e->a.p - (rel8 + 1));
    x86_mov(&e->a, RCX, R14);
}

void x86_emit_checked_entry(X86Emit *e)
{
    X86Mem key = x86_state((int64_t)e->guest->runtime_offset + (int64_t)offsetof(TcgRuntime, key));
    X86Mem diff = { .base = RCX, .index = NO_REG, .disp = (int32_t)-e->job->key };

    compare_r10(e, e->job->pc);
    unless_zero(e, e->job->thunks->miss);
    if (e->job->check_key) {
        x86_rm(&e->a, 0x8b, W32, RCX, &key);
        x86_rm(&e->a, 0x8d, W32, RCX, &diff);
        unless_zero(e, e->job->thunks->miss);
    }
}

void x86_emit_slots(X86Emit *e)
{
    for (unsigned n = 0; n < e->slots_used && !e->failed; n++) {
        TcgSlot *s = &e->job->slots[n];
        if (!s->used) {
            continue;
        }
        if (!x86_room(&e->a, 128)) {
            x86_fail(e, TCG_EMIT_FULL, "no room");
            return;
        }
        if (s->kind == TCG_SLOT_RETURN) {
            x86_patch(e->a.start + s->patch, e->a.p);
            compare_r10(e, s->pc);
            unless_zero(e, e->job->thunks->lookup);
            slot_jump(e, s, -1);
        }
        x86_patch(e->a.start + s->patch, e->a.p);
        s->unlinked = (uint32_t)(e->a.p - e->a.start);
        x86_mov_imm(&e->a, R10, (uintptr_t)s);
        x86_jmp(&e->a, e->job->thunks->exit_link - e->job->rx);
        if (!e->job->user) {
            s->through = (uint32_t)(e->a.p - e->a.start);
            x86_mov_imm(&e->a, R10, s->pc);
            x86_jmp(&e->a, e->job->thunks->lookup - e->job->rx);
        }
    }
}

static X86Mem runtime_at(const X86Emit *e, size_t offset, unsigned index)
{
    X86Mem m = x86_state((int64_t)e->guest->runtime_offset + (int64_t)offset);

    m.index = (uint8_t)index;
    return m;
}

/* (stack >> 3) & 255 in reg without flags; false when the host cannot. */
static bool return_index(X86Emit *e, unsigned reg, unsigned stack)
{
    if (!(x86_host_features() & HOST_BMI2)) {
        return false;
    }
    x86_vex_rr(&e->a, 0xf0 | X_0F3A | X_F2 | X_W, reg, NO_REG, stack); /* rorx */
    x86_byte(&e->a, 3);
    x86_rr(&e->a, 0xb6 | X_0F | X_RM8, W32, reg, reg);
    return true;
}

/*
 * The prediction is kept by the stack address of the return, not on a stack of our own: nothing to
 * count up and down, and longjmp or another stack do not put it out of step.
 */
void x86_op_push_ret(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    unsigned stack = x86_load(e, in->arg[0]), t = x86_alloc(e, false), u = x86_alloc(e, false);
    X86Mem entry = runtime_at(e, offsetof(TcgRuntime, returns), t);
    TcgSlot *s;

    if (!return_index(e, t, stack)) {
        return; /* the return goes by the table */
    }
    s = use_slot(e, in->aux, TCG_SLOT_RETURN, in->imm);
    entry.scale = 3;
    /* lea u, [rip + stub] */
    x86_byte(&e->a, 0x48 | (u >> 3) << 2);
    x86_byte(&e->a, 0x8d);
    x86_byte(&e->a, (u & 7) << 3 | 5);
    s->patch = (uint32_t)(e->a.p - e->a.start);
    x86_i32(&e->a, 0);
    x86_rm(&e->a, 0x89, W64, u, &entry);
}

/* r10 := the target, the result: a register with the index of the return's prediction. */
static unsigned return_registers(X86Emit *e, const IrInsn *in, unsigned target, unsigned stack)
{
    unsigned t = e->scratch >> stack & 1 ? stack : x86_alloc(e, false);

    return_index(e, t, stack);
    if (t != R10) {
        x86_mov(&e->a, R10, target);
    } else if (e->scratch >> target & 1) {
        x86_rr(&e->a, 0x87, W64, R10, target);
        t = target;
    } else {
        x86_mov(&e->a, R11, R10);
        x86_mov(&e->a, R10, target);
        t = R11;
    }
    return t;
}

/* A jump through the table: r10 holds the pc. */
static void jump_by_table(X86Emit *e)
{
    X86Mem table = runtime_at(e, offsetof(TcgRuntime, jump_table), R11);
    X86Mem sum = { .base = R11, .index = R14 };

    table.scale = 2;
    x86_rr(&e->a, 0xb7 | X_0F, W32, R11, R10);
    x86_rm(&e->a, 0x8b, W32, R11, &table);
    x86_byte(&e->a, 0x4c); /* lea r14, [rip + base] */
    x86_byte(&e->a, 0x8d);
    x86_byte(&e->a, 0x35);
    x86_i32(&e->a, 0);
    x86_patch(e->a.p - 4, e->job->thunks->base - e->job->rx);
    x86_rm(&e->a, 0x8d, W64, R11, &sum);
    x86_rr(&e->a, 0xff, W32, 4, R11);
}

void x86_op_exit_ind(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    bool predicted = in->aux == 2 && in->arg[1] != IR_NONE && (x86_host_features() & HOST_BMI2);
    unsigned target = x86_load(e, in->arg[0]), stack = predicted ? x86_load(e, in->arg[1]) : NO_REG;

    x86_need_flags(e, e->guest_flags);
    if (predicted) {
        X86Mem entry = runtime_at(e, offsetof(TcgRuntime, returns), return_registers(e, in, target, stack));
        entry.scale = 3;
        x86_rm(&e->a, 0xff, W32, 4, &entry);
    } else {
        x86_mov(&e->a, R10, target);
        jump_by_table(e);
    }
}

void x86_literal(X86Emit *e, uint64_t value)
{
    if (e->num_literals == MAX_LITERALS) {
        x86_fail(e, TCG_EMIT_FULL, "no room");
        return;
    }
    e->literals[e->num_literals].rel32 = e->a.p;
    e->literals[e->num_literals++].value = value;
    x86_i32(&e->a, 0);
}

/* What a call would lose: values in registers that C changes, and old contents of globals. */
static void save_for_call(X86Emit *e, const TcgHelper *h)
{
    static const uint32_t kept = 1u << RBX | 1u << RBP | 1u << R12 | 1u << R13 | 1u << R14 | 1u << R15;
    bool writes = h->flags & TCG_CALL_WRITES, vecs = h->flags & TCG_CALL_VECTORS;

    for (unsigned r = 0; r < 32; r++) {
        IrRef ref = e->reg_val[r];
        bool vec = r >= XMM0, home = e->global_of[r] != NO_GLOBAL;
        bool lost = vec ? vecs : home ? writes : !(kept >> r & 1);
        if (ref == IR_NONE || !lost) {
            continue;
        }
        if (x86_live_after(e, ref) && e->val[ref].reg == r && e->val[ref].spill == NO_SPILL) {
            uint8_t global = e->val[ref].global;
            e->val[ref].global = writes || vecs ? NO_GLOBAL : global;
            x86_spill(e, ref, vec);
            e->val[ref].global = global;
        }
    }
    for (unsigned g = 0; (writes || vecs) && g < e->guest->num_globals; g++) {
        IrRef ref = e->slot_val[g];
        bool vec = e->guest->globals[g].type == 'v';
        if ((vec ? vecs : writes) && x86_live_after(e, ref) && e->val[ref].spill == NO_SPILL) {
            unsigned r = vec ? x86_load_vec(e, ref) : x86_load(e, ref);
            uint8_t global = e->val[ref].global;
            e->val[ref].global = NO_GLOBAL;
            x86_spill(e, ref, vec);
            e->val[ref].global = global;
            e->locked &= ~(1u << r);
        }
    }
}

static void forget_after_call(X86Emit *e, const TcgHelper *h)
{
    static const uint32_t kept = 1u << RBX | 1u << RBP | 1u << R12 | 1u << R13 | 1u << R14 | 1u << R15;
    bool writes = h->flags & TCG_CALL_WRITES, vecs = h->flags & TCG_CALL_VECTORS;

    for (unsigned r = 0; r < 32; r++) {
        bool vec = r >= XMM0, home = e->global_of[r] != NO_GLOBAL;
        if (e->reg_val[r] != IR_NONE && (vec ? vecs : home ? writes : !(kept >> r & 1))) {
            IrRef ref = e->reg_val[r];
            e->reg_val[r] = IR_NONE;
            if (e->val[ref].reg == r) {
                e->val[ref].reg = NO_REG;
            }
        }
    }
    for (unsigned g = 0; (writes || vecs) && g < e->guest->num_globals; g++) {
        IrRef ref = e->slot_val[g];
        if (ref != IR_NONE && (e->guest->globals[g].type == 'v' ? vecs : writes)) {
            e->val[ref].global = e->val[ref].global == g ? NO_GLOBAL : e->val[ref].global;
            e->slot_val[g] = IR_NONE;
        }
    }
}

/* Homes are in their slots: an argument's register may have been overwritten by an earlier one. */
static void move_args(X86Emit *e, const IrInsn *in)
{
    static const uint8_t regs[4] = { RSI, RDX, RCX, R8 };
    uint32_t written = 0;

    for (unsigned i = 0; i < 4 && in->arg[i] != IR_NONE; i++) {
        IrRef ref = in->arg[i];
        uint8_t src = ir_is_inline(ref) ? NO_REG : e->val[ref].reg;
        if (src != NO_REG && (written >> src & 1)) {
            X86Mem m;
            if (e->global_of[src] != NO_GLOBAL) {
                m = x86_state(e->guest->globals[e->global_of[src]].offset);
            } else {
                m = x86_spill_mem(e, e->val[ref].spill);
            }
            x86_rm(&e->a, 0x8b, W64, regs[i], &m);
        } else {
            x86_load_into(e, regs[i], ref, W64);
        }
        written |= 1u << regs[i];
    }
}

/* Arguments in scratch registers that are argument registers too (guests with few homes). */
static void spill_args(X86Emit *e, const IrInsn *in)
{
    for (unsigned i = 0; i < 4 && in->arg[i] != IR_NONE; i++) {
        IrRef ref = in->arg[i];
        if (!ir_is_inline(ref) && e->val[ref].reg != NO_REG && e->global_of[e->val[ref].reg] == NO_GLOBAL &&
            e->val[ref].reg != R10 && e->val[ref].reg != R11 && e->val[ref].reg != R14) {
            uint8_t global = e->val[ref].global;
            e->val[ref].global = NO_GLOBAL;
            x86_spill(e, ref, false);
            e->val[ref].global = global;
        }
    }
}

void x86_op_call(X86Emit *e, const IrInsn *in, const X86Row *row)
{
    const TcgHelper *h = (const TcgHelper *)(uintptr_t)in->imm;
    const TcgThunks *t = e->job->thunks;
    ptrdiff_t rx = e->job->rx;
    X86Mem self = runtime_at(e, offsetof(TcgRuntime, self), NO_REG);
    X86Mem flags = x86_state(e->guest->flags_offset);
    bool used = e->val[e->n << 2].uses != 0;
    bool touches = h->flags & (TCG_CALL_READS | TCG_CALL_WRITES | TCG_CALL_FAULTS);
    unsigned dst;

    if (h->flags & (TCG_CALL_FAULTS | TCG_CALL_FLAGS)) {
        x86_flags_to_slot(e);
    }
    x86_save_flags(e);
    if (h->flags & TCG_CALL_FLAGS) {
        x86_slot_changes(e);
    }
    save_for_call(e, h);
    spill_args(e, in);
    x86_call(&e->a, (touches ? t->save_homes : t->save_caller) - rx);
    if (h->flags & TCG_CALL_VECTORS) {
        x86_call(&e->a, t->save_vectors - rx);
    }
    move_args(e, in);
    if (h->flags & TCG_CALL_FLAGS) {
        x86_rm(&e->a, 0x81, W64, 4, &flags);
        x86_i32(&e->a, IR_FLAGS);
    }
    x86_rm(&e->a, 0x8b, W64, RDI, &self);
    x86_map_fault(e);
    x86_byte(&e->a, 0xff); /* call [rip + literal] */
    x86_byte(&e->a, 0x15);
    x86_literal(e, (uintptr_t)h->fn);
    forget_after_call(e, h);
    if (h->flags != TCG_CALL_PURE) {
        x86_forget_windows(e);
    }
    e->locked = 0;
    dst = used ? x86_alloc(e, false) : R10;
    if (used) {
        x86_mov(&e->a, dst, RAX);
    }
    x86_call(&e->a, (h->flags & TCG_CALL_WRITES ? t->load_homes : t->load_caller) - rx);
    if (h->flags & TCG_CALL_VECTORS) {
        x86_call(&e->a, t->load_vectors - rx);
    }
    if (used) {
        x86_bind(e, e->n << 2, dst);
    }
    e->ef = IR_NONE;
    if (h->flags & TCG_CALL_FLAGS) {
        e->guest_flags = FLAGS_ENTRY; /* whatever the helper left in the slot */
        e->in_slot = true;
    }
}
