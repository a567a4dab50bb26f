/*
 * Guest memory in system mode. The TLB is compared inline and leaves the addend in r11, so that the
 * access is [address + r11]. A miss goes out of line to the slow path, which reads into the bounce buffer and
 * comes back with an r11 that makes the same operand address it; what writes is repeated on the buffer
 * and stored from there.
 *
 * Windows. Accesses of a block that are at constant distances are checked together by the first of them: it
 * compares the TLB for all their bytes, as one access of that size, and puts the addend in memory. The others find it there. When the
 * bytes are not in one page of RAM, or not in the TLB, the window is 0 and each access looks for itself, out of line.
 * What ends a window: the block's end, and calls, which may change what is mapped.
 */
#include "tcg/x86_64/internal.h"

enum { MOST_SPAN = 512, LOOK_AHEAD = 12 };

static bool is_scratch(const X86Emit *e, unsigned reg)
{
    return reg != NO_REG && (e->scratch >> reg & 1);
}

/* Whether a sum may have a register without pushing anything out: r11 and the compare want one each. */
static bool room_for_sum(const X86Emit *e)
{
    unsigned idle = 0;

    for (unsigned r = 0; r < 16; r++) {
        IrRef ref = e->reg_val[r];
        idle += (e->scratch & ~e->locked) >> r & 1 &&
                (ref == IR_NONE || (e->val[ref].last < e->n && ref != e->recipe.a && ref != e->recipe.b));
    }
    return idle > 2;
}

/*
 * The address without r11, and with at most one scratch register. One that wraps, or of two scratch registers, is summed; else
 * one of two registers only if that costs nothing: it comes a cycle earlier than when the base is added to the addend.
 */
static X86Mem linear_address(X86Emit *e, const IrInsn *in)
{
    bool a64 = in->aux2 >> IR_ADDR_SHIFT == IR_A64;
    uint32_t used = 0;
    unsigned t;
    X86Mem m;

    x86_fold_address(e, in, &m);
    if (a64 && m.base != R11 && m.index != R11 && !(is_scratch(e, m.base) && is_scratch(e, m.index)) &&
        (m.index == NO_REG || !room_for_sum(e))) {
        return m;
    }
    used |= m.base != NO_REG ? 1u << m.base : 0;
    used |= m.index != NO_REG ? 1u << m.index : 0;
    x86_lock(e, R11);
    t = x86_sum_register(e, &m, 1u << R11);
    x86_rm(&e->a, 0x8d, a64 ? W64 : W32, t, &m);
    if (in->aux2 >> IR_ADDR_SHIFT == IR_A16) {
        x86_rr(&e->a, 0xb7 | X_0F, W32, t, t);
    }
    e->locked &= ~(used & e->scratch);
    x86_lock(e, t);
    return (X86Mem){ .base = (uint8_t)t, .index = NO_REG };
}

static Cold *new_cold(X86Emit *e)
{
    Cold *c;

    if (e->num_cold == MAX_COLD) {
        x86_fail(e, TCG_EMIT_FULL, "no room");
        return &e->cold[0];
    }
    c = &e->cold[e->num_cold++];
    memset(c, 0, sizeof(*c));
    c->flags_const = -1;
    c->insn = (uint16_t)e->n;
    return c;
}

/* The slow path must find the guest's flags in the slot: notes how it can put them there. */
static void cold_flags(X86Emit *e, Cold *c)
{
    if (e->in_slot) {
        return;
    }
    if (ir_is_inline(e->guest_flags)) {
        c->flags_const = (int32_t)ir_inline_value(e->guest_flags) & IR_FLAGS;
    } else if (e->recipe.flags == e->guest_flags) {
        c->recipe = e->recipe;
        c->ra = x86_whereabouts(e, e->recipe.a);
        c->rb = x86_whereabouts(e, e->recipe.b);
    } else if (x86_flags_image(e, e->guest_flags, &c->image_mem, &c->slot_form)) {
        c->image = true;
    } else {
        x86_fail(e, TCG_EMIT_UNSUPPORTED, "flags are nowhere"); /* lost: a mistake of ours */
    }
}

/* lea, or what is shorter. */
static void address_to(Asm *a, unsigned reg, const X86Mem *m, int32_t more)
{
    X86Mem at = *m;

    at.disp += more;
    if (at.disp == 0 && at.base != NO_REG && at.index == NO_REG) {
        x86_mov(a, reg, at.base);
    } else {
        x86_rm(a, 0x8d, W64, reg, &at);
    }
}

/* The entry of the page of m + low into r11, and its tag compared with the page of m + high - 1 (keep: and those bits of m). */
static void compare_tag(X86Emit *e, const X86Mem *m, const TlbCheck *c, unsigned temp)
{
    int64_t tlb = (int64_t)e->guest->runtime_offset +
                  (int64_t)(offsetof(TcgRuntime, tlb) + c->mmu * sizeof(TcgTlb));
    X86Mem mask = x86_state(tlb + (int64_t)offsetof(TcgTlb, mask));
    X86Mem table = x86_state(tlb + (int64_t)offsetof(TcgTlb, table));
    X86Mem tag = { .base = R11, .index = NO_REG, .disp = c->write ? 8 : 0 };
    X86Mem addend = { .base = R11, .index = NO_REG, .disp = offsetof(TcgTlbEntry, addend) };
    unsigned shift = e->guest->page_bits - 5u;
    Asm *a = &e->a;

    if (m->base != NO_REG && m->index == NO_REG && m->disp + c->low == 0 && (x86_host_features() & HOST_BMI2)) {
        x86_vex_rr(a, 0xf0 | X_0F3A | X_F2 | X_W, R11, NO_REG, m->base); /* rorx; what comes in on top is masked */
        x86_byte(a, shift);
    } else {
        address_to(a, R11, m, c->low);
        x86_rr(a, 0xc1, W64, 5, R11);
        x86_byte(a, shift);
    }
    x86_rm(a, 0x23, W64, R11, &mask);
    x86_rm(a, 0x03, W64, R11, &table);
    address_to(a, temp, m, c->keep ? 0 : c->high - 1);
    x86_rr(a, 0x81, W64, 4, temp);
    x86_i32(a, -(1u << e->guest->page_bits) | c->keep);
    x86_rm(a, 0x3b, W64, temp, &tag);
    /* The addend is read on the way: the miss reads it for nothing. */
    x86_rm(a, 0x8b, W64, R11, &addend);
}

/* Windows ------------------------------------------------------------------ */

static X86Mem window_mem(const X86Emit *e, unsigned n)
{
    X86Mem m = x86_spill_mem(e, TCG_SPILL_SLOTS - 3);

    m.disp += 8 * (int32_t)n;
    return m;
}

/* The value that ref is a constant away from, and how far. */
static IrRef root_of(const X86Emit *e, IrRef ref, int64_t *off)
{
    for (unsigned steps = 0; steps < 16 && ref != IR_NONE && !ir_is_inline(ref); steps++) {
        const IrInsn *in = ir_def(e->ir, ref);
        uint64_t c;

        if (in->w != W64 || (ref & 3)) {
            break;
        }
        if (in->op == IR_lea && in->arg[1] == IR_NONE && in->arg[0] != IR_NONE) {
            *off += (int64_t)in->imm;
        } else if ((in->op == IR_add || in->op == IR_sub) && ir_is_const(e->ir, in->arg[1], &c)) {
            *off += in->op == IR_add ? (int64_t)c : -(int64_t)c;
        } else if (in->op == IR_inc || in->op == IR_dec) {
            *off += in->op == IR_inc ? 1 : -1;
        } else {
            break;
        }
        ref = in->arg[0];
    }
    return ref;
}

/* Where the access of op n is; false when it takes no part in windows. */
static bool place_of(const X86Emit *e, uint32_t n, TlbPlace *p)
{
    const IrInsn *in = &e->ir->insns[n];
    bool native = in->op >= IR_native_m && in->op <= IR_native_xm;
    uint32_t t = ir_ops[in->op].flags;

    if (!(t & IR_T_ADDR) || in->op == IR_cmpxchg2 || in->aux2 >> IR_ADDR_SHIFT != IR_A64 || (in->aux & IR_MEM_ALIGNED)) {
        return false;
    }
    *p = (TlbPlace){ .off = native ? (int32_t)in->arg[4] : (int64_t)in->imm, .index = in->arg[1],
                     .scale = in->arg[1] != IR_NONE ? in->aux & IR_MEM_SCALE : 0, .mmu = in->aux2 & IR_MMU_MASK,
                     .bytes = (uint8_t)ir_width_bytes(in->w) };
    p->write = (t & IR_T_WRITE) && !(in->op == IR_native_xm && !(in->imm & TCG_NATIVE_WRITES));
    p->write |= in->op == IR_ld && (in->aux & IR_MEM_RMW);
    p->root = root_of(e, in->arg[0], &p->off);
    return true;
}

static bool same_root(const TlbPlace *a, const TlbPlace *b)
{
    return a->root == b->root && a->index == b->index && a->scale == b->scale && a->mmu == b->mmu;
}

void x86_forget_windows(X86Emit *e)
{
    memset(e->windows, 0, sizeof(e->windows));
}

static int find_window(const X86Emit *e, const TlbPlace *p)
{
    for (unsigned n = 0; n < TLB_WINDOWS; n++) {
        const TlbWindow *w = &e->windows[n];
        if (w->used && same_root(&w->place, p) && p->off >= w->low && p->off + p->bytes <= w->high &&
            (w->place.write || !p->write)) {
            return (int)n;
        }
    }
    return -1;
}

/* Looks ahead for accesses that may share a check with p, of op n. Returns whether there are any. */
static bool plan_window(const X86Emit *e, uint32_t n, const TlbPlace *p, TlbWindow *w)
{
    unsigned others = 0;
    uint32_t next = e->next_access[n];

    *w = (TlbWindow){ .used = true, .place = *p, .low = p->off, .high = p->off + p->bytes };
    for (unsigned left = LOOK_AHEAD; next && left; left--, next = e->next_access[next]) {
        TlbPlace q;
        int64_t low, high;

        if (e->skip[next] || !place_of(e, next, &q) || !same_root(p, &q)) {
            continue;
        }
        low = q.off < w->low ? q.off : w->low;
        high = q.off + q.bytes > w->high ? q.off + q.bytes : w->high;
        if (high - low > MOST_SPAN) {
            continue;
        }
        w->low = low;
        w->high = high;
        w->place.write |= q.write;
        others++;
    }
    return others > 0;
}

/* The access finds its addend in window n. */
static Access use_window(X86Emit *e, Access acc, unsigned n)
{
    X86Mem w = window_mem(e, n);

    x86_rm(&e->a, 0x8b, W64, R11, &w);
    x86_rr(&e->a, 0x85, W64, R11, R11);
    acc.cold->jump = x86_jcc(&e->a, COND_Z, NULL);
    return acc;
}

static Access open_window(X86Emit *e, Access acc, const TlbWindow *w, int64_t off, unsigned temp)
{
    unsigned n = e->next_window++ % TLB_WINDOWS;
    X86Mem m = window_mem(e, n);
    TlbCheck c = { .low = (int32_t)(w->low - off), .high = (int32_t)(w->high - off), .mmu = w->place.mmu,
                   .write = w->place.write };

    e->windows[n] = *w;
    compare_tag(e, &acc.m, &c, temp);
    acc.cold->jump = x86_jcc(&e->a, COND_NZ, NULL);
    x86_rm(&e->a, 0x89, W64, R11, &m);
    acc.cold->window = (uint8_t)(n + 1);
    return acc;
}

/* The operand of the access: with r11, to which a base is added when there is an index too. */
static void add_addend(Asm *a, X86Mem *m)
{
    if (m->index == NO_REG) {
        m->index = R11;
        m->scale = 0;
        return;
    }
    if (m->base != NO_REG) {
        X86Mem sum = { .base = R11, .index = m->base };
        x86_rm(a, 0x8d, W64, R11, &sum);
    }
    m->base = R11;
}

Access x86_tlb_access(X86Emit *e, const IrInsn *in, uint32_t access)
{
    bool aligned = in->aux & IR_MEM_ALIGNED;
    int32_t bytes = 1 << (access & TCG_ACCESS_SIZE);
    Access acc = { .m = linear_address(e, in) };
    TlbPlace p;
    TlbWindow w;
    Cold *c;
    int window = -1;
    bool planned = false;
    unsigned temp = R11;

    x86_take_scratch(e, R11);
    access |= in->op == IR_ld && (in->aux & IR_MEM_RMW) ? TCG_ACCESS_RMW : 0;
    if (place_of(e, (uint32_t)(in - e->ir->insns), &p)) {
        p.write = access & (TCG_ACCESS_WRITE | TCG_ACCESS_RMW);
        window = find_window(e, &p);
        planned = window < 0 && plan_window(e, (uint32_t)(in - e->ir->insns), &p, &w) &&
                  acc.m.disp + (w.low - p.off) >= INT32_MIN && acc.m.disp + (w.high - p.off) <= INT32_MAX;
    }
    if (window < 0) {
        temp = x86_alloc(e, false);
    }
    e->locked &= ~(1u << R11); /* idle until the compare: saving flags wants such a register */
    x86_clobber_flags(e);
    x86_lock(e, R11);
    access |= (in->aux2 & IR_MMU_MASK) << TCG_ACCESS_MMU_SHIFT;
    access |= aligned ? TCG_ACCESS_ALIGNED : 0;
    acc.cold = c = new_cold(e);
    c->access = access;
    c->stores = (access & (TCG_ACCESS_WRITE | TCG_ACCESS_RMW)) && in->op != IR_ld;
    c->m = acc.m;
    c->check = (TlbCheck){ .high = bytes, .keep = aligned ? (uint32_t)bytes - 1 : 0, .mmu = in->aux2 & IR_MMU_MASK,
                           .write = access & (TCG_ACCESS_WRITE | TCG_ACCESS_RMW) };
    cold_flags(e, c);
    c->looks = window >= 0 || planned;
    if (window >= 0) {
        acc = use_window(e, acc, (unsigned)window);
    } else if (planned) {
        acc = open_window(e, acc, &w, p.off, temp);
    } else {
        compare_tag(e, &acc.m, &c->check, temp);
        c->jump = x86_jcc(&e->a, COND_NZ, NULL);
    }
    e->locked &= ~(temp != R11 ? 1u << temp : 0);
    c->copy = e->a.p;
    e->locked &= ~(is_scratch(e, acc.m.base) && acc.m.index != NO_REG ? 1u << acc.m.base : 0);
    add_addend(&e->a, &acc.m);
    e->past_fault = !(in->op >= IR_native && in->op <= IR_native_xm && (in->imm & TCG_NATIVE_FAULTS));
    return acc;
}

/* Out of line --------------------------------------------------------------- */

static void store_const_flags(X86Emit *e, uint32_t v)
{
    X86Mem m = x86_state(e->guest->flags_offset);

    x86_rm(&e->a, 0xc7, W32, 0, &m);
    x86_i32(&e->a, v);
}

/* From an image as flags.c makes it. What is in the upper half of the slot stays there. */
static void store_image_flags(X86Emit *e, const X86Mem *image, bool slot_form)
{
    X86Mem m = x86_state(e->guest->flags_offset);
    Asm *a = &e->a;

    x86_byte(a, 0x50); /* push rax */
    x86_rm(a, 0xb7 | X_0F, W32, RAX, image);
    if (!slot_form) {
        x86_rr(a, 0xc0 | X_RM8, W8, 4, RAX); /* shl al, 3 */
        x86_byte(a, 3);
        x86_rr(a, 0xc1, W16, 0, RAX); /* rol ax, 8 */
        x86_byte(a, 8);
    }
    x86_rm(a, 0x89, W32, RAX, &m);
    x86_byte(a, 0x58);
}

static void flags_for_slow_path(X86Emit *e, const Cold *c)
{
    if (c->flags_const >= 0) {
        store_const_flags(e, (uint32_t)c->flags_const);
    } else if (c->image) {
        store_image_flags(e, &c->image_mem, c->slot_form);
    } else if (c->recipe.flags) {
        x86_remake(&e->a, &c->recipe, c->ra, c->rb);
        x86_call(&e->a, e->job->thunks->save_flags - e->job->rx);
    }
}

/* Not on the stack: a raise finds the call's return address at a fixed place there. */
static void save_scratch(X86Emit *e, bool store)
{
    X86Mem m10 = window_mem(e, TLB_WINDOWS), m14 = window_mem(e, TLB_WINDOWS + 1);

    x86_rm(&e->a, store ? 0x89 : 0x8b, W64, R10, &m10);
    x86_rm(&e->a, store ? 0x89 : 0x8b, W64, R14, &m14);
}

/* The access of its own after all: goes back when the TLB has it, else on. */
static void look_alone(X86Emit *e, const Cold *c)
{
    X86Mem at = { .base = R10, .index = NO_REG };
    TlbCheck check = c->check;
    uint8_t *miss;

    compare_tag(e, &at, &check, R14);
    miss = x86_jcc(&e->a, COND_NZ, NULL);
    save_scratch(e, false);
    x86_jmp(&e->a, c->copy);
    x86_patch(miss, e->a.p);
}

static void emit_cold(X86Emit *e, Cold *c)
{
    const TcgThunks *t = e->job->thunks;

    x86_patch(c->jump, e->a.p);
    flags_for_slow_path(e, c);
    save_scratch(e, true);
    address_to(&e->a, R10, &c->m, 0);
    if (c->window) {
        X86Mem w = window_mem(e, c->window - 1u);
        x86_rm(&e->a, 0xc7, W64, 0, &w);
        x86_i32(&e->a, 0);
    }
    if (c->looks) {
        look_alone(e, c);
    }
    /* Each call is followed by what it is for: thunks read it by their return address. */
    e->n = c->insn;
    x86_map_fault(e);
    x86_mov_imm(&e->a, R11, c->access);
    x86_call(&e->a, t->slow_load - e->job->rx);
    save_scratch(e, false);
    if (!c->stores) {
        x86_jmp(&e->a, c->copy);
        return;
    }
    memcpy(e->a.p, c->copy, (size_t)(c->copy_end - c->copy));
    e->a.p += c->copy_end - c->copy;
    x86_call(&e->a, t->slow_store - e->job->rx);
    x86_jmp(&e->a, c->back);
}

void x86_emit_cold(X86Emit *e)
{
    for (unsigned n = 0; n < e->num_cold && !e->failed; n++) {
        if (!x86_room(&e->a, 512)) {
            x86_fail(e, TCG_EMIT_FULL, "no room");
            return;
        }
        emit_cold(e, &e->cold[n]);
    }
}
