/*
 * The code shared by all regions: entering from C and leaving to it, saving and loading the
 * homes, the slow paths of memory. System V ABI of C on the one side, the register contract of
 * docs/translator.md section 2 on the other.
 */
#include "tcg/x86_64/internal.h"

typedef struct {
    X86Emit *e;
    Asm *a;
    ptrdiff_t rx;
    TcgThunks *t;
} Thunk;

#define RT(e, field) \
    x86_state((int64_t)(e)->guest->runtime_offset + (int64_t)offsetof(TcgRuntime, field))

/* Registers that a C function may change. */
static const uint32_t caller_saved = 1u << RAX | 1u << RCX | 1u << RDX | 1u << RSI | 1u << RDI |
                                     1u << R8 | 1u << R9 | 1u << R10 | 1u << R11;
static const uint8_t callee_saved[] = { RBX, RBP, R12, R13, R14, R15 };

static uint8_t *here(Thunk *k)
{
    return k->a->p + k->rx;
}

static void homes(Thunk *k, bool store, uint32_t which)
{
    for (unsigned r = 0; r < 16; r++) {
        uint8_t g = k->e->global_of[r];
        if (g != NO_GLOBAL && (which >> r & 1)) {
            X86Mem m = x86_state(k->e->guest->globals[g].offset);
            x86_rm(k->a, store ? 0x89 : 0x8b, W64, r, &m);
        }
    }
}

/*
 * A load or store of a whole register. Of a guest without wide vectors 16 bytes, and what is above is cleared:
 * after a load of 32 the CPU (Zen) no longer knows that they are 0, and each legacy move waits for the old value of its destination.
 */
static void whole_vector(Thunk *k, bool store, unsigned reg, const X86Mem *m)
{
    uint32_t op = (store ? 0x11 : 0x10) | X_0F;

    if (x86_host_features() & HOST_AVX) {
        x86_vex_rm(k->a, op | (k->e->guest->narrow_vectors ? 0 : X_L), reg & 15, NO_REG, m);
    } else {
        x86_rm(k->a, op, W32, reg & 15, m);
    }
}

static void vectors(Thunk *k, bool store)
{
    X86Mem saved = RT(k->e, vectors_saved);

    for (unsigned r = XMM0; r < 32; r++) {
        uint8_t g = k->e->global_of[r];
        if (g != NO_GLOBAL) {
            X86Mem m = x86_state(k->e->guest->globals[g].offset);
            whole_vector(k, store, r, &m);
        }
    }
    x86_rm(k->a, 0xc6, W8, 0, &saved);
    x86_byte(k->a, store);
}

static void ret(Thunk *k)
{
    x86_byte(k->a, 0xc3);
}

static void mxcsr(Thunk *k, bool store, bool host)
{
    X86Mem m = RT(k->e, mxcsr), h = RT(k->e, host_mxcsr);

    x86_rm(k->a, 0xae | X_0F, W32, store ? 3 : 2, host ? &h : &m);
}

static void fpucw(Thunk *k, bool store, bool host)
{
    X86Mem m = RT(k->e, fpucw), h = RT(k->e, host_fpucw);

    x86_rm(k->a, 0xd9, W32, store ? 7 : 5, host ? &h : &m); /* fnstcw, fldcw */
}

static void state_flags(Thunk *k, bool store)
{
    X86Mem m = x86_state(k->e->guest->flags_offset);

    if (store) {
        x86_byte(k->a, 0x9c);
        x86_rm(k->a, 0x8f, W32, 0, &m);
        return;
    }
    x86_byte(k->a, 0x50);
    x86_rm(k->a, 0x8b, W32, RAX, &m);
    x86_rr(k->a, 0xc1, W16, 0, RAX);
    x86_byte(k->a, 8);
    x86_rr(k->a, 0x80, W8, 4, RAX);
    x86_byte(k->a, 8);
    x86_byte(k->a, 0x04);
    x86_byte(k->a, 0x78);
    x86_byte(k->a, 0x9e);
    x86_byte(k->a, 0x58);
}

static void push_pop(Thunk *k, bool push, unsigned reg)
{
    if (reg >= 8) {
        x86_byte(k->a, 0x41);
    }
    x86_byte(k->a, (push ? 0x50 : 0x58) | (reg & 7));
}

static void add_rsp(Thunk *k, int n)
{
    X86Mem m = { .base = RSP, .index = NO_REG, .disp = n };

    x86_rm(k->a, 0x8d, W64, RSP, &m);
}

static void make_enter(Thunk *k)
{
    X86Mem sp = RT(k->e, host_sp);

    k->t->enter = here(k);
    for (unsigned i = 0; i < sizeof(callee_saved); i++) {
        push_pop(k, true, callee_saved[i]);
    }
    add_rsp(k, -8); /* six pushes and the return address: aligned again */
    x86_rm(k->a, 0x89, W64, RSP, &sp);
    x86_mov(k->a, R10, RSI);
    mxcsr(k, true, true);
    fpucw(k, true, true);
    mxcsr(k, false, false);
    fpucw(k, false, false);
    homes(k, false, ~0u);
    vectors(k, false);
    state_flags(k, false);
    x86_rr(k->a, 0xff, W32, 4, R10);
}

/* The way out: all integer globals and flags are in their slots. */
static void leave_to_c(Thunk *k)
{
    X86Mem flags = x86_state(k->e->guest->flags_offset), sp = RT(k->e, host_sp);

    x86_rm(k->a, 0x81, W64, 4, &flags);
    x86_i32(k->a, IR_FLAGS);
    mxcsr(k, true, false);
    fpucw(k, true, false);
    mxcsr(k, false, true);
    fpucw(k, false, true);
    if (x86_host_features() & HOST_AVX) {
        x86_byte(k->a, 0xc5); /* vzeroupper */
        x86_byte(k->a, 0xf8);
        x86_byte(k->a, 0x77);
    }
    x86_rm(k->a, 0x8b, W64, RSP, &sp);
    add_rsp(k, 8);
    for (unsigned i = sizeof(callee_saved); i-- > 0;) {
        push_pop(k, false, callee_saved[i]);
    }
    ret(k);
}

static void set_reason(Thunk *k, uint32_t reason)
{
    X86Mem m = RT(k->e, exit_reason);

    x86_rm(k->a, 0xc7, W32, 0, &m);
    x86_i32(k->a, reason);
}

static void make_exits(Thunk *k)
{
    X86Mem pc = RT(k->e, exit_pc), slot = RT(k->e, exit_slot), reason = RT(k->e, exit_reason);
    X86Mem saved = RT(k->e, vectors_saved);
    uint8_t *skip;

    k->t->exit_link = here(k);
    state_flags(k, true);
    x86_rm(k->a, 0x89, W64, R10, &slot);
    set_reason(k, TCG_EXIT_LINK);
    homes(k, true, ~0u);
    vectors(k, true);
    leave_to_c(k);

    k->t->exit_state = here(k);
    x86_rm(k->a, 0x89, W32, R10, &reason);
    x86_rm(k->a, 0x89, W64, R11, &pc);
    homes(k, true, ~0u);
    vectors(k, true);
    leave_to_c(k);

    k->t->fault = here(k);
    state_flags(k, true);
    k->t->fault_in_slot = here(k);
    homes(k, true, ~0u);
    vectors(k, true);
    leave_to_c(k);

    k->t->raise = here(k);
    x86_rm(k->a, 0x80, W8, 7, &saved);
    x86_byte(k->a, 0);
    skip = x86_jcc(k->a, COND_NZ, NULL);
    vectors(k, true);
    x86_patch(skip, k->a->p);
    leave_to_c(k);
}

static void test_reg(Thunk *k, unsigned reg)
{
    x86_rr(k->a, 0x85, W64, reg, reg);
}

/* Asks TcgRuntime.lookup, everything being in its slot; goes on where it says. */
static void ask_lookup(Thunk *k)
{
    X86Mem lookup = RT(k->e, lookup), self = RT(k->e, self);
    uint8_t *none, *unknown;

    x86_rm(k->a, 0x8b, W64, RAX, &lookup);
    test_reg(k, RAX);
    none = x86_jcc(k->a, COND_Z, NULL);
    x86_rm(k->a, 0x8b, W64, RDI, &self);
    x86_mov(k->a, RSI, R10);
    x86_rr(k->a, 0xff, W32, 2, RAX);
    test_reg(k, RAX);
    unknown = x86_jcc(k->a, COND_Z, NULL);
    x86_mov(k->a, R11, RAX);
    homes(k, false, caller_saved);
    vectors(k, false);
    state_flags(k, false);
    x86_rr(k->a, 0xff, W32, 4, R11);
    x86_patch(none, k->a->p);
    x86_patch(unknown, k->a->p);
}

/* Offset 0 of the jump table leads to the buffer's start: the pc in r10 is not known inline. */
static void make_lookups(Thunk *k, bool user)
{
    X86Mem pc = RT(k->e, exit_pc);

    k->t->base = k->t->miss = here(k);
    state_flags(k, true);
    x86_rm(k->a, 0x89, W64, R10, &pc);
    homes(k, true, ~0u);
    vectors(k, true);
    if (!user) {
        ask_lookup(k);
    }
    set_reason(k, TCG_EXIT_LOOKUP);
    leave_to_c(k);
}

static void make_lookup(Thunk *k)
{
    X86Mem table = RT(k->e, jump_table), sum = { .base = R11, .index = R14 };

    k->t->lookup = here(k);
    table.index = R11;
    table.scale = 2;
    x86_rr(k->a, 0xb7 | X_0F, W32, R11, R10);
    x86_rm(k->a, 0x8b, W32, R11, &table);
    /* lea r14, [rip + base] */
    x86_byte(k->a, 0x4c);
    x86_byte(k->a, 0x8d);
    x86_byte(k->a, 0x35);
    x86_i32(k->a, 0);
    x86_patch(k->a->p - 4, k->t->base - k->rx);
    x86_rm(k->a, 0x8d, W64, R11, &sum);
    x86_rr(k->a, 0xff, W32, 4, R11);
}

static void make_saves(Thunk *k)
{
    X86Mem flags = x86_state(k->e->guest->flags_offset);

    k->t->save_homes = here(k);
    homes(k, true, ~0u);
    ret(k);
    k->t->save_caller = here(k);
    homes(k, true, caller_saved);
    ret(k);
    k->t->load_homes = here(k);
    homes(k, false, ~0u);
    ret(k);
    k->t->load_caller = here(k);
    homes(k, false, caller_saved);
    ret(k);
    k->t->save_vectors = here(k);
    vectors(k, true);
    ret(k);
    k->t->load_vectors = here(k);
    vectors(k, false);
    ret(k);
    k->t->save_flags = here(k);
    /* The lower half alone: an image of other flags may be in the upper. */
    x86_byte(k->a, 0x50); /* push rax; pushfq; pop rax */
    x86_byte(k->a, 0x9c);
    x86_byte(k->a, 0x58);
    x86_rm(k->a, 0x89, W32, RAX, &flags);
    x86_byte(k->a, 0x58);
    ret(k);
}

/*
 * Registers that are nobody's home may hold values of the region across a slow access: kept on
 * the stack, but for those in `results`. Returns the size of the frame, a multiple of 16.
 */
static int scratch_frame(Thunk *k, bool store, bool size_only, uint32_t results)
{
    uint32_t set = k->e->scratch & (caller_saved | 0xffff0000u) & ~results;
    X86Mem m = { .base = RSP, .index = NO_REG };

    for (unsigned r = 0; r < 32; r++) {
        if (!(set >> r & 1)) {
            continue;
        }
        if (r < XMM0 && !size_only) {
            x86_rm(k->a, store ? 0x89 : 0x8b, W64, r, &m);
        } else if (!size_only) {
            whole_vector(k, store, r, &m);
        }
        m.disp += r < XMM0 ? 8 : 32;
    }
    return (m.disp + 15) & ~15;
}

static void call_slow(Thunk *k, bool store, unsigned stack)
{
    uint32_t results = store ? 0 : 1u << R11;
    int frame = scratch_frame(k, true, true, results);
    X86Mem fn = store ? RT(k->e, slow_store) : RT(k->e, slow_load);
    X86Mem vaddr = RT(k->e, access_vaddr), access = RT(k->e, access), self = RT(k->e, self);
    X86Mem retaddr = { .base = RSP, .index = NO_REG, .disp = frame + (int32_t)stack };

    add_rsp(k, -frame);
    scratch_frame(k, true, false, results);
    homes(k, true, ~0u);
    vectors(k, true);
    x86_rm(k->a, 0x8b, W64, RDI, &self);
    x86_rm(k->a, 0x8b, W64, RSI, &vaddr);
    x86_rm(k->a, 0x8b, W32, RDX, &access);
    x86_rm(k->a, 0x8b, W64, RCX, &retaddr);
    x86_rm(k->a, 0xff, W32, 2, &fn);
    vectors(k, false);
    homes(k, false, caller_saved);
    scratch_frame(k, false, false, results);
    add_rsp(k, frame);
}

static void make_slow(Thunk *k)
{
    X86Mem vaddr = RT(k->e, access_vaddr), access = RT(k->e, access), self = RT(k->e, self);
    X86Mem bounce = { .base = R11, .index = NO_REG,
                      .disp = (int32_t)(k->e->guest->runtime_offset + offsetof(TcgRuntime, bounce)) };

    k->t->slow_load = here(k);
    x86_rm(k->a, 0x89, W64, R10, &vaddr);
    x86_rm(k->a, 0x89, W32, R11, &access);
    add_rsp(k, -8);
    call_slow(k, false, 8);
    add_rsp(k, 8);
    /* r10 + r11 is where the bytes are. */
    x86_rm(k->a, 0x8b, W64, R11, &self);
    x86_rm(k->a, 0x8d, W64, R11, &bounce);
    x86_rr(k->a, 0x2b, W64, R11, R10);
    ret(k);

    k->t->slow_store = here(k);
    x86_byte(k->a, 0x9c);
    call_slow(k, true, 8);
    x86_byte(k->a, 0x9d);
    ret(k);
}

bool x86_emit_thunks(X86Emit *e, uint8_t *code, uint8_t *end, ptrdiff_t rx, bool user, TcgThunks *t)
{
    Thunk k = { .e = e, .a = &e->a, .rx = rx, .t = t };

    if (end - code < 8192) {
        return false;
    }
    e->a = (Asm){ .start = code, .p = code, .end = end };
    make_lookups(&k, user);
    make_enter(&k);
    make_exits(&k);
    make_lookup(&k);
    make_saves(&k);
    if (!user) {
        make_slow(&k);
    }
    t->end = here(&k);
    return true;
}
