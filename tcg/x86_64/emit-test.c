/*
 * Random regions run by the interpreter and as emitted code; the whole state and memory are
 * compared. Guests: one with the homes of an x86 one, one without any; user and system mode.
 * A region in which an undefined flag decides something is skipped and counted.
 */
#include <asm/prctl.h>
#include <glib.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "tcg/build.h"
#include "tcg/interp.h"
#include "tcg/text.h"
#include "tcg/x86_64/emit.h"
#include "tcg/x86_64/native.h"

enum { NUM_INT = 16, NUM_VEC = 16, MEM = 9, MEM_SIZE = 3 * 4096 };

typedef struct {
    uint64_t g[NUM_INT];
    uint64_t flags;
    uint8_t pad0[40];
    uint8_t x[NUM_VEC][64];
    uint8_t spill[TCG_SPILL_SLOTS][64] __attribute__((aligned(64)));
    uint64_t scratch[4];
    TcgRuntime rt;
} State;

#define INT(n, h) { "g" #n, offsetof(State, g[n]), 'i', h }
#define VEC(n, h) { "x" #n, offsetof(State, x[n]), 'v', h }
#define ALL_INT(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \
    INT(0, a), INT(1, b), INT(2, c), INT(3, d), INT(4, e), INT(5, f), INT(6, g), INT(7, h), INT(8, i), \
    INT(9, j), INT(10, k), INT(11, l), INT(12, m), INT(13, n), INT(14, o), INT(15, p)
#define ALL_VEC(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p) \
    VEC(0, a), VEC(1, b), VEC(2, c), VEC(3, d), VEC(4, e), VEC(5, f), VEC(6, g), VEC(7, h), VEC(8, i), \
    VEC(9, j), VEC(10, k), VEC(11, l), VEC(12, m), VEC(13, n), VEC(14, o), VEC(15, p)
/* Some homes, with the memory pointer in rdi; none; all that an x86 guest has. */
static const TcgGlobal with_homes[] = {
    ALL_INT(0, 1, 2, 3, 6, -1, 15, -1, 8, 7, -1, -1, -1, -1, -1, -1),
    ALL_VEC(0, 1, 13, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1),
};
static const TcgGlobal without_homes[] = {
    ALL_INT(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1),
    ALL_VEC(-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1),
};
static const TcgGlobal all_homes[] = {
    ALL_INT(0, 1, 2, 3, 6, -1, 15, -1, 8, 7, 5, 9, 12, 13, -1, -1),
    ALL_VEC(0, 1, 13, -1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, -1),
};
#define GUEST(n, gl) \
    { .name = n, .globals = gl, .num_globals = NUM_INT + NUM_VEC, .state_size = sizeof(State), \
      .flags_offset = offsetof(State, flags), .spill_offset = offsetof(State, spill), \
      .runtime_offset = offsetof(State, rt), .page_bits = 12 }
static const TcgGuest guests[] = {
    GUEST("homes", with_homes), GUEST("slots", without_homes), GUEST("x86", all_homes),
};

/* Changes what C may change, so that nobody relies on a register that happens to survive. */
static void trash_registers(void)
{
    __asm__ volatile("mov $0x1234567, %%rax; mov %%rax, %%rcx; mov %%rax, %%rdx; mov %%rax, %%rsi; mov %%rax, %%rdi; "
                     "mov %%rax, %%r8; mov %%rax, %%r9; mov %%rax, %%r10; mov %%rax, %%r11; "
                     "movq %%rax, %%xmm14; movq %%rax, %%xmm15; movq %%rax, %%xmm0; movq %%rax, %%xmm1; "
                     "movq %%rax, %%xmm13; cmp $0, %%rax"
                     : : : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0", "xmm1", "xmm13",
                           "xmm14", "xmm15", "cc");
}

static uint64_t help_pure(State *s, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    trash_registers();
    return a + 3 * b + 5 * c + 7 * d;
}

static uint64_t help_reads(State *s, uint64_t a)
{
    return a ^ s->g[0] ^ (s->g[1] << 1) ^ (s->g[5] << 2);
}

static uint64_t help_writes(State *s, uint64_t a, uint64_t b)
{
    trash_registers();
    s->g[2] += a;
    s->g[6] ^= b;
    s->g[7] = a - b;
    return s->g[3];
}

static uint64_t help_flags(State *s, uint64_t a)
{
    uint64_t old = s->flags;
    s->flags = a & IR_FLAGS;
    return old;
}

static uint64_t help_vectors(State *s, uint64_t a)
{
    s->x[0][3] ^= (uint8_t)a;
    s->x[3][9] += 1;
    return s->x[1][0];
}

static const TcgHelper helpers[] = {
    { "pure", (void (*)(void))help_pure, 4, TCG_CALL_PURE | TCG_CALL_VECTORS },
    { "reads", (void (*)(void))help_reads, 1, TCG_CALL_READS | TCG_CALL_VECTORS },
    { "writes", (void (*)(void))help_writes, 2, TCG_CALL_WRITES | TCG_CALL_FAULTS | TCG_CALL_VECTORS },
    { "flags", (void (*)(void))help_flags, 1, TCG_CALL_FLAGS | TCG_CALL_VECTORS },
    { "vectors", (void (*)(void))help_vectors, 1, TCG_CALL_VECTORS | TCG_CALL_READS },
};

/* One host with code, state and two copies of memory. */
typedef struct {
    const TcgGuest *guest;
    bool user;
    X86Emit *emit;
    TcgThunks thunks;
    uint8_t *code, *code_end;
    State *state, *model;
    uint8_t *mem, *model_mem;
    TcgTlbEntry tlb[16];
    TcgSlot slots[TCG_MAX_SLOTS];
    uint8_t map[65536];
    uint32_t map_size;
    const uint8_t *region;
    IrRegion r, built; /* as made, and made again by the builder */
    GRand *rand;
    unsigned slow, faults, seed;
    /* pools of the block being made */
    IrRef ints[512], flags[512], vecs[128], wide[128]; /* wide: of 32 bytes, also in vecs */
    unsigned num_ints, num_flags, num_vecs, num_wide, slot;
    unsigned labels[4], num_labels;
} Host;

static Host *the_host; /* for the slow paths and the signal handler, which get only the state */

static bool outside(const Host *h, uint64_t offset, unsigned size)
{
    return offset > MEM_SIZE - size;
}

/* What tcg_raise() does: looks up the instruction and leaves. */
static _Noreturn void raise_at(Host *h, uintptr_t host_pc)
{
    void (*leave)(void) __attribute__((noreturn));
    TcgMapEntry e;

    g_assert_true(x86_map_find(h->map, h->map_size, (uint32_t)(host_pc - (uintptr_t)h->region), &e));
    h->state->rt.exit_pc = e.pc;
    h->state->rt.exit_word = e.word;
    h->state->rt.exit_reason = TCG_EXIT_RAISE;
    memcpy(&leave, &h->thunks.raise, sizeof(leave));
    leave();
}

static void on_fault(int sig, siginfo_t *info, void *ucontext)
{
    greg_t *regs = ((ucontext_t *)ucontext)->uc_mcontext.gregs;
    Host *h = the_host;
    uintptr_t rip = (uintptr_t)regs[REG_RIP];
    TcgMapEntry e;

    if (rip < (uintptr_t)h->code || rip >= (uintptr_t)h->code_end ||
        !x86_map_find(h->map, h->map_size, (uint32_t)(rip - (uintptr_t)h->region), &e)) {
        signal(sig, SIG_DFL);
        return;
    }
    h->state->rt.exit_pc = e.pc;
    h->state->rt.exit_word = e.word;
    h->state->rt.exit_reason = TCG_EXIT_RAISE;
    regs[REG_RIP] = (greg_t)(uintptr_t)(e.flags_in_slot ? h->thunks.fault_in_slot : h->thunks.fault);
}

/* Guest addresses of system mode: memory begins here, 4 KiB pages, the second is MMIO. */
enum { SYS_BASE = 0x40000000 };

static void slow_load(void *state, uint64_t vaddr, uint32_t access, uintptr_t retaddr)
{
    State *s = state;
    trash_registers();
    if (outside(the_host, vaddr - SYS_BASE, 1u << (access & TCG_ACCESS_SIZE))) {
        raise_at(the_host, retaddr - 1);
    }
    memcpy(s->rt.bounce, the_host->mem + (vaddr - SYS_BASE), 1u << (access & TCG_ACCESS_SIZE));
    the_host->slow++;
}

static void slow_store(void *state, uint64_t vaddr, uint32_t access, uintptr_t retaddr)
{
    State *s = state;
    trash_registers();
    memcpy(the_host->mem + (vaddr - SYS_BASE), s->rt.bounce, 1u << (access & TCG_ACCESS_SIZE));
}

static void *map_pages(size_t size, int prot)
{
    void *p = mmap(NULL, size, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    g_assert_true(p != MAP_FAILED);
    return p;
}

static State *new_state(void)
{
    uint8_t *p = map_pages(4096 + sizeof(State) + 4096, PROT_READ | PROT_WRITE);
    return (State *)(p + 4096);
}

static void fill_tlb(Host *h)
{
    memset(h->tlb, 0, sizeof(h->tlb));
    for (unsigned n = 0; n < 16; n++) {
        h->tlb[n].tag[0] = h->tlb[n].tag[1] = h->tlb[n].tag[2] = TCG_TLB_EMPTY;
    }
    for (unsigned page = 0; page < 3; page++) {
        uint64_t va = SYS_BASE + 4096u * page;
        TcgTlbEntry *t = &h->tlb[va >> 12 & 15];
        t->tag[0] = t->tag[1] = va | (page == 1 ? TCG_TLB_MMIO : 0);
        t->addend = (uintptr_t)h->mem - SYS_BASE;
    }
    h->state->rt.tlb[0] = (TcgTlb){ .mask = 15 << 5, .table = h->tlb };
}

static void host_init(Host *h, const TcgGuest *guest, bool user, unsigned seed)
{
    size_t size = 1 << 20;

    memset(h, 0, sizeof(*h));
    h->guest = guest;
    h->user = user;
    h->code = map_pages(size, PROT_READ | PROT_WRITE | PROT_EXEC);
    h->code_end = h->code + size;
    h->state = new_state();
    h->model = new_state();
    h->mem = map_pages(MEM_SIZE + 4096, PROT_READ | PROT_WRITE);
    mprotect(h->mem + MEM_SIZE, 4096, PROT_NONE);
    h->model_mem = map_pages(MEM_SIZE, PROT_READ | PROT_WRITE);
    h->emit = x86_emit_new(guest);
    h->state->rt.self = h->state;
    h->state->rt.mxcsr = 0x1f80;
    h->state->rt.fpucw = 0x37f;
    h->state->rt.slow_load = slow_load;
    h->state->rt.slow_store = slow_store;
    fill_tlb(h);
    g_assert_true(x86_emit_thunks(h->emit, h->code, h->code_end, 0, user, &h->thunks));
    g_assert_true(ir_region_init(&h->r, guest));
    g_assert_true(ir_region_init(&h->built, guest));
    h->rand = g_rand_new_with_seed(seed);
    the_host = h;
}

static void host_finish(Host *h)
{
    x86_emit_free(h->emit);
    ir_region_finish(&h->r);
    ir_region_finish(&h->built);
    g_rand_free(h->rand);
    munmap(h->code, 1 << 20);
    munmap((uint8_t *)h->state - 4096, 4096 + sizeof(State) + 4096);
    munmap((uint8_t *)h->model - 4096, 4096 + sizeof(State) + 4096);
    munmap(h->mem, MEM_SIZE + 4096);
    munmap(h->model_mem, MEM_SIZE);
}

static uint64_t mem_base(const Host *h)
{
    return h->user ? (uintptr_t)h->mem : SYS_BASE;
}

static bool model_load(IrInterp *it, uint64_t addr, void *buf, unsigned size, unsigned mmu)
{
    Host *h = it->opaque;
    if (outside(h, addr - mem_base(h), size)) {
        return false;
    }
    memcpy(buf, h->model_mem + (addr - mem_base(h)), size);
    return true;
}

static bool model_store(IrInterp *it, uint64_t addr, const void *buf, unsigned size, unsigned mmu)
{
    Host *h = it->opaque;
    if (outside(h, addr - mem_base(h), size)) {
        return false;
    }
    memcpy(h->model_mem + (addr - mem_base(h)), buf, size);
    return true;
}

/* The natives that random regions use, computed in C. */
#define PADDD  NATIVE(NP_66, 1, 0xfe, NF_RM)
#define PXOR   NATIVE(NP_66, 1, 0xef, NF_RM)
#define PSHUFD (NATIVE(NP_66, 1, 0x70, NF_RM) | NATIVE_IMM8(0x1b))
#define PSRLDQ (NATIVE(NP_66, 1, 0x73, NF_M) | NATIVE_DIGIT(3) | NATIVE_IMM8(4))
#define VPADDD (NATIVE(NP_66, 1, 0xfe, NF_RVM) | NATIVE_VEX)
#define VPADDD_Y (VPADDD | NATIVE_VEX_L)
#define MOVQ_TO (NATIVE(NP_66, 1, 0x6e, NF_RM) | NATIVE_W)
#define MOVQ_FROM (NATIVE(NP_66, 1, 0x7e, NF_MR) | NATIVE_W)
#define PMOVMSKB NATIVE(NP_66, 1, 0xd7, NF_RM)
#define BLENDVPS NATIVE(NP_66, 2, 0x14, NF_RM0)
#define PTEST  NATIVE(NP_66, 2, 0x17, NF_FLAGS)

static void add_dwords(uint8_t *out, const uint8_t *a, const uint8_t *b)
{
    for (unsigned i = 0; i < 16; i += 4) {
        uint32_t x, y;
        memcpy(&x, a + i, 4);
        memcpy(&y, b + i, 4);
        x += y;
        memcpy(out + i, &x, 4);
    }
}

static bool model_native(IrInterp *it, const IrInsn *in, IrNativeIo *io)
{
    const uint8_t *a = io->vec[0], *b = in->op == IR_native_m ? io->mem : io->vec[1];

    memcpy(io->result, io->vec[0], 64);
    switch (in->imm) {
    case PADDD:
        add_dwords(io->result, a, b);
        break;
    case PXOR:
        for (unsigned i = 0; i < 16; i++) {
            io->result[i] = a[i] ^ b[i];
        }
        break;
    case PSHUFD:
        for (unsigned i = 0; i < 4; i++) {
            memcpy(io->result + 4 * i, b + 4 * (3 - i), 4);
        }
        break;
    case BLENDVPS: {
        const uint8_t *mask = in->op == IR_native_m ? io->vec[1] : io->vec[2];
        for (unsigned i = 0; i < 16; i++) {
            io->result[i] = mask[i | 3] & 0x80 ? b[i] : a[i];
        }
        break;
    }
    case PSRLDQ:
        memmove(io->result, a + 4, 12);
        memset(io->result + 12, 0, 4);
        break;
    case VPADDD:
        memset(io->result, 0, 64);
        add_dwords(io->result, io->vec[1], io->vec[2]);
        break;
    case VPADDD_Y:
        memset(io->result, 0, 64);
        for (unsigned i = 0; i < 32; i += 16) {
            add_dwords(io->result + i, io->vec[1] + i, (in->op == IR_native_m ? io->mem : io->vec[2]) + i);
        }
        break;
    case MOVQ_TO:
        memset(io->result, 0, 16);
        memcpy(io->result, &io->integer, 8);
        break;
    case MOVQ_FROM:
        memcpy(&io->int_result, a, 8);
        break;
    case PMOVMSKB:
        for (unsigned i = 0; i < 16; i++) {
            io->int_result |= (uint64_t)(a[i] >> 7) << i;
        }
        break;
    case PTEST: {
        bool z = true, c = true;
        for (unsigned i = 0; i < 16; i++) {
            z &= !(io->vec[0][i] & io->vec[1][i]);
            c &= !(~io->vec[0][i] & io->vec[1][i]);
        }
        io->flags_result = (z ? IR_Z : 0) | (c ? IR_C : 0);
        break;
    }
    default:
        g_assert_not_reached();
    }
    return true;
}

static uint32_t rnd(Host *h, uint32_t n)
{
    return g_rand_int(h->rand) % n;
}

/* A global, often one of few; never the memory pointer. */
static unsigned any_int(Host *h)
{
    unsigned g = rnd(h, rnd(h, 2) ? NUM_INT : 5);

    return g == MEM ? 0 : g;
}

static uint64_t rnd64(Host *h)
{
    static const uint64_t special[] = {
        0, 1, 0x7f, 0x80, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 63, UINT64_MAX, 31, 32, 64,
    };
    uint64_t v = (uint64_t)g_rand_int(h->rand) << 32 | g_rand_int(h->rand);

    switch (rnd(h, 4)) {
    case 0:
        return special[rnd(h, G_N_ELEMENTS(special))];
    case 1:
        return v >> rnd(h, 64);
    default:
        return v;
    }
}

static IrRef some_int(Host *h)
{
    if (rnd(h, 6) == 0 || h->num_ints == 0) {
        return ir_inline((int32_t)(rnd64(h) << 2) >> 2);
    }
    /* Mostly young values, so that old ones die. */
    return h->ints[rnd(h, 3) ? h->num_ints - 1 - rnd(h, MIN(h->num_ints, 6)) : rnd(h, h->num_ints)];
}

static IrRef some_flags(Host *h)
{
    if (rnd(h, 10) == 0 || h->num_flags == 0) {
        return ir_inline(rnd(h, 0x1000) & IR_FLAGS);
    }
    return h->flags[rnd(h, 2) ? h->num_flags - 1 : rnd(h, h->num_flags)];
}

static IrRef some_vec(Host *h)
{
    return h->vecs[rnd(h, 2) ? h->num_vecs - 1 : rnd(h, h->num_vecs)];
}

static void put(Host *h, IrInsn in)
{
    uint32_t n = h->r.num_insns++;
    const char *t = ir_ops[in.op].results;

    h->r.insns[n] = in;
    for (unsigned i = 0; t[i]; i++) {
        if (t[i] == 'i') {
            h->ints[h->num_ints++] = n << 2 | i;
        } else if (t[i] == 'f') {
            h->flags[h->num_flags++] = n << 2 | i;
        } else {
            h->vecs[h->num_vecs++] = n << 2 | i;
            if (in.w == W256) {
                h->wide[h->num_wide++] = n << 2 | i;
            }
        }
    }
}

/* A value in 0 to 255 and the memory pointer, for addresses that stay inside. */
static void random_address(Host *h, IrInsn *in, unsigned size)
{
    unsigned n = h->r.num_insns;

    put(h, (IrInsn){ .op = IR_get, .imm = MEM });
    in->arg[0] = n << 2;
    h->num_ints--;
    if (rnd(h, 2) && in->op != IR_cmpxchg2) {
        put(h, (IrInsn){ .op = IR_zext, .w = W8, .arg[0] = some_int(h) });
        in->arg[1] = (n + 1) << 2;
        in->aux |= rnd(h, 4);
    }
    /* One in ten may be outside, and faults. Half of the others are about the end of a page, where they share checks. */
    n = rnd(h, 10) == 0 ? MEM_SIZE - 64 + rnd(h, 100)
        : rnd(h, 2)     ? 4096 * (1 + rnd(h, 2)) - 96 + rnd(h, 128)
                        : rnd(h, MEM_SIZE - 2048 - size);
    if (rnd(h, 3) == 0) {
        IrInsn lea = { .op = IR_lea, .w = W64, .arg = { in->arg[0] }, .imm = 64 * rnd(h, 6) };
        in->arg[0] = h->r.num_insns << 2;
        put(h, lea);
        h->num_ints--;
        n -= (unsigned)lea.imm;
    }
    if (in->op >= IR_native_m && in->op <= IR_native_xm) {
        in->arg[4] = n;
    } else {
        in->imm = (uint64_t)(int32_t)n;
    }
}

/* What front ends make of `op reg, [mem]`, `cmp [mem], reg` and `op [mem], reg`. */
static void random_foldable(Host *h)
{
    static const uint8_t ops[] = { IR_add, IR_sub, IR_and, IR_or, IR_xor, IR_adc, IR_sbb, IR_inc, IR_dec, IR_neg,
                                   IR_not, IR_cmp, IR_test, IR_mov, IR_mul };
    IrInsn ld = { .op = IR_ld, .w = rnd(h, 4) }, in = { .op = ops[rnd(h, G_N_ELEMENTS(ops))] }, st;
    bool store = rnd(h, 2), swapped = rnd(h, 2);
    IrRef old = some_int(h);
    unsigned n;

    in.w = ld.w = in.op == IR_mul && ld.w == W8 ? W32 : ld.w;
    random_address(h, &ld, 8);
    n = h->r.num_insns;
    put(h, ld);
    h->num_ints--;
    for (unsigned i = 0; i < ir_ops[in.op].num_args; i++) {
        in.arg[i] = ir_ops[in.op].args[i] == 'f' ? (rnd(h, 2) ? some_flags(h) : h->flags[0]) : old;
    }
    in.arg[store || swapped || ir_ops[in.op].args[1] != 'i' ? 0 : 1] = n << 2;
    put(h, in);
    if (store && ir_ops[in.op].results[0] == 'i') {
        st = ld;
        st.op = IR_st;
        st.arg[2] = (n + 1) << 2;
        put(h, st);
        if (rnd(h, 2)) {
            h->num_ints--;
        }
    }
}

static void random_memory(Host *h)
{
    static const uint8_t rmws[] = { IR_rmw_add, IR_rmw_sub, IR_rmw_and, IR_rmw_or, IR_rmw_xor, IR_rmw_xchg,
                                    IR_rmw_neg, IR_rmw_not, IR_rmw_bts,
                                    IR_rmw_btc, IR_rmw_inc, IR_rmw_dec, IR_rmw_adc, IR_rmw_sbb };
    IrInsn in = { .w = rnd(h, 4) };

    switch (rnd(h, 6)) {
    case 0:
    case 1:
        in.op = IR_ld;
        random_address(h, &in, 8);
        in.aux |= (rnd(h, 2) ? IR_MEM_SIGNED : 0) | (rnd(h, 4) ? 0 : IR_MEM_SWAP);
        break;
    case 2:
    case 3:
        in.op = IR_st;
        random_address(h, &in, 8);
        in.aux |= rnd(h, 4) ? 0 : IR_MEM_SWAP;
        in.arg[2] = some_int(h);
        break;
    case 4:
        in.op = rmws[rnd(h, G_N_ELEMENTS(rmws))];
        random_address(h, &in, 8);
        for (unsigned n = 2; n < ir_ops[in.op].num_args; n++) {
            in.arg[n] = ir_ops[in.op].args[n] == 'f' ? some_flags(h) : some_int(h);
        }
        if (in.op >= IR_rmw_bts && in.op <= IR_rmw_btc && in.w == W8) {
            in.w = W16;
        }
        put(h, in);
        if (in.op != IR_rmw_xchg && in.op != IR_rmw_add) {
            /* The old value is not to be had. */
            h->num_ints--;
        }
        return;
    default:
        in.op = IR_cmpxchg;
        random_address(h, &in, 8);
        in.arg[2] = some_int(h);
        in.arg[3] = some_int(h);
        break;
    }
    put(h, in);
}

static IrRef some_wide(Host *h)
{
    return h->wide[rnd(h, h->num_wide)];
}

/* 32-byte values: only from ops of that width. */
static void random_wide(Host *h)
{
    IrInsn in = { .w = W256 };

    if (!x86_has_avx() || h->num_wide == 0 || rnd(h, 4) == 0) {
        put(h, (IrInsn){ .op = IR_getv, .w = x86_has_avx() ? W256 : W128, .imm = NUM_INT + rnd(h, NUM_VEC) });
        return;
    }
    switch (rnd(h, 5)) {
    case 0:
        in = (IrInsn){ .op = IR_setv, .w = W256, .imm = NUM_INT + rnd(h, NUM_VEC), .arg[0] = some_wide(h),
                       .aux = rnd(h, 2) };
        break;
    case 1:
        in.op = IR_ldv;
        random_address(h, &in, 32);
        break;
    case 2:
        in.op = IR_stv;
        random_address(h, &in, 32);
        in.arg[2] = some_wide(h);
        break;
    case 3:
        in.op = IR_native;
        in.imm = VPADDD_Y;
        in.arg[1] = some_wide(h);
        in.arg[2] = some_wide(h);
        break;
    default:
        in.op = IR_native_m;
        random_address(h, &in, 32);
        in.imm = VPADDD_Y;
        in.arg[3] = some_wide(h);
        break;
    }
    put(h, in);
}

static void random_vector(Host *h)
{
    static const uint64_t two[] = { PADDD, PXOR };
    IrInsn in = { .w = W128 };
    unsigned g = NUM_INT + rnd(h, NUM_VEC);

    switch (rnd(h, 11)) {
    case 0:
        put(h, (IrInsn){ .op = IR_getv, .w = W128, .imm = g });
        return;
    case 1:
    case 2: {
        static const IrWidth w[] = { W32, W64, W128 };
        unsigned i = rnd(h, 3);
        bool clear = i == 2 && rnd(h, 2);
        put(h, (IrInsn){ .op = IR_setv, .w = w[i], .imm = g, .arg[0] = some_vec(h), .aux = clear });
        return;
    }
    case 3:
        in = (IrInsn){ .op = IR_ldv, .w = W32 + rnd(h, 3) };
        random_address(h, &in, 16);
        break;
    case 4:
        in = (IrInsn){ .op = IR_stv, .w = W32 + rnd(h, 3) };
        random_address(h, &in, 16);
        in.arg[2] = some_vec(h);
        break;
    case 5:
        in.op = IR_native;
        in.imm = rnd(h, 3) ? two[rnd(h, 2)] : BLENDVPS;
        in.arg[0] = some_vec(h);
        in.arg[1] = some_vec(h);
        in.arg[2] = in.imm == BLENDVPS ? some_vec(h) : IR_NONE;
        break;
    case 6:
        in.op = IR_native;
        in.imm = rnd(h, 2) ? PSHUFD : VPADDD;
        in.arg[1] = some_vec(h);
        in.arg[2] = in.imm == VPADDD ? some_vec(h) : IR_NONE;
        break;
    case 7:
        in.op = IR_native;
        in.imm = PSRLDQ;
        in.arg[0] = some_vec(h);
        break;
    case 8:
        in.op = IR_native_vi;
        in.imm = MOVQ_TO;
        in.arg[1] = some_int(h);
        break;
    case 9:
        in.op = IR_native_iv;
        in.imm = rnd(h, 3) == 0 ? PTEST : rnd(h, 2) ? PMOVMSKB : MOVQ_FROM;
        in.arg[0] = some_vec(h);
        in.arg[1] = in.imm == PTEST ? some_vec(h) : IR_NONE;
        put(h, in);
        if (in.imm == PTEST) {
            h->num_ints--;
        } else {
            h->num_flags--;
        }
        return;
    default:
        in.op = IR_native_m;
        in.imm = PADDD;
        in.arg[2] = some_vec(h);
        random_address(h, &in, 16);
        in.imm = rnd(h, 3) ? PADDD : BLENDVPS;
        in.arg[3] = in.imm == BLENDVPS ? some_vec(h) : IR_NONE;
        /* Legacy memory operands are aligned to 16. */
        in.aux &= ~IR_MEM_SCALE;
        in.arg[1] = IR_NONE;
        in.arg[4] &= ~15u;
        in.aux |= IR_MEM_ALIGNED;
        break;
    }
    put(h, in);
}

static void random_pure(Host *h)
{
    IrInsn in = { 0 };
    const IrOpDef *def;

    do {
        in.op = rnd(h, IR_NUM_OPS);
    } while (!(ir_ops[in.op].flags & IR_T_PURE) || !x86_has(in.op));
    def = &ir_ops[in.op];
    do {
        in.w = def->flags & IR_T_WIDTH ? rnd(h, 4) : 0;
    } while (!ir_width_ok(&in));
    if (def->flags & IR_T_COND) {
        in.aux = rnd(h, 16);
    }
    if (in.op == IR_lea) {
        in.aux = rnd(h, 4);
        in.imm = (rnd(h, 4) ? (uint64_t)(int64_t)(int32_t)rnd64(h) : rnd64(h));
    } else if (in.op == IR_extract || in.op == IR_deposit) {
        unsigned len = 1 + rnd(h, 64), pos = rnd(h, 65 - len);
        in.imm = rnd(h, 3) ? pos | len << 8 : 8 | 8 << 8;
    } else if (in.op == IR_fmerge || in.op == IR_fnot) {
        in.imm = rnd(h, 3) ? rnd(h, 0x1000) & IR_FLAGS : IR_C;
    }
    for (unsigned n = 0; n < def->num_args; n++) {
        in.arg[n] = def->args[n] == 'f' ? some_flags(h) : some_int(h);
    }
    put(h, in);
}

static void random_op(Host *h)
{
    switch (rnd(h, 17)) { /* the weights */
    case 16:
        random_wide(h);
        break;
    case 0:
    case 1:
        put(h, (IrInsn){ .op = IR_get, .imm = any_int(h) });
        break;
    case 2:
    case 3:
    case 4:
        put(h, (IrInsn){ .op = IR_set, .imm = any_int(h), .arg[0] = some_int(h) });
        break;
    case 5:
        put(h, (IrInsn){ .op = IR_setf, .arg[0] = some_flags(h) });
        break;
    case 6:
        random_memory(h);
        break;
    case 7:
        random_foldable(h);
        break;
    case 8:
        random_vector(h);
        break;
    case 9:
        if (rnd(h, 3) == 0) {
            const TcgHelper *help = &helpers[rnd(h, G_N_ELEMENTS(helpers))];
            IrInsn in = { .op = IR_call, .imm = (uintptr_t)help };
            for (unsigned n = 0; n < help->num_args; n++) {
                in.arg[n] = some_int(h);
            }
            put(h, in);
        } else if (rnd(h, 2)) {
            unsigned off = offsetof(State, scratch) + 8 * rnd(h, 4);
            put(h, (IrInsn){ .op = IR_sts, .w = rnd(h, 4), .imm = off, .arg[0] = some_int(h) });
            put(h, (IrInsn){ .op = IR_lds, .w = rnd(h, 4), .imm = off });
        } else {
            put(h, (IrInsn){ .op = IR_const, .imm = rnd64(h) });
        }
        break;
    case 10:
        if (rnd(h, 3) == 0 && h->slot < 20) {
            put(h, (IrInsn){ .op = IR_exit_cond, .aux = rnd(h, 16), .arg[0] = some_flags(h),
                             .imm = 0x1000 + h->slot, .aux2 = h->slot });
            h->slot++;
        } else if (rnd(h, 4) == 0) {
            put(h, (IrInsn){ .op = IR_getf });
        } else if (rnd(h, 8) == 0) {
            put(h, (IrInsn){ .op = IR_icount, .imm = 1 + rnd(h, 3) });
        } else if (rnd(h, 4) == 0) {
            put(h, (IrInsn){ .op = IR_poll });
        } else {
            put(h, (IrInsn){ .op = IR_insn, .imm = 0x4000 + h->r.num_insns, .arg[0] = rnd(h, 1000) });
        }
        break;
    default:
        random_pure(h);
        break;
    }
}

static void start_block(Host *h, int label)
{
    h->num_ints = h->num_flags = h->num_vecs = h->num_wide = 0;
    if (label >= 0) {
        put(h, (IrInsn){ .op = IR_block, .imm = (unsigned)label });
    }
    put(h, (IrInsn){ .op = IR_insn, .imm = 0x4000 + h->r.num_insns, .arg[0] = rnd(h, 1000) });
    put(h, (IrInsn){ .op = IR_get, .imm = any_int(h) });
    put(h, (IrInsn){ .op = IR_getf });
    put(h, (IrInsn){ .op = IR_getv, .w = W128, .imm = NUM_INT + rnd(h, NUM_VEC) });
}

static void random_region(Host *h, unsigned size)
{
    ir_region_reset(&h->r);
    h->slot = 1;
    start_block(h, -1);
    for (unsigned b = 1; b <= 3; b++) {
        for (unsigned n = 0; n < size; n++) {
            random_op(h);
        }
        if (b == 3) {
            break;
        }
        h->r.num_blocks = b + 1;
        /* Forward only: regions end. */
        if (rnd(h, 2)) {
            IrInsn in = { .op = rnd(h, 2) ? IR_brcond : IR_brz, .imm = b };
            in.arg[0] = in.op == IR_brz ? some_int(h) : some_flags(h);
            in.w = in.op == IR_brz ? rnd(h, 4) : 0;
            in.aux = rnd(h, in.op == IR_brz ? 2 : 16);
            put(h, in);
            random_op(h);
            random_op(h);
        }
        if (rnd(h, 2)) {
            put(h, (IrInsn){ .op = IR_br, .imm = b });
        }
        start_block(h, (int)b);
    }
    if (rnd(h, 4) == 0) {
        put(h, (IrInsn){ .op = IR_exit_ind, .arg[0] = some_int(h), .aux = 0 });
    } else if (rnd(h, 4) == 0) {
        put(h, (IrInsn){ .op = IR_leave, .imm = 7 });
    } else {
        put(h, (IrInsn){ .op = IR_exit, .imm = 0x1000, .aux = 0 });
    }
}

static void random_state(Host *h)
{
    for (unsigned n = 0; n < NUM_INT; n++) {
        h->state->g[n] = rnd64(h);
    }
    h->state->g[MEM] = mem_base(h);
    h->state->flags = rnd(h, 0x1000) & IR_FLAGS;
    for (unsigned n = 0; n < NUM_VEC * 64; n++) {
        h->state->x[n / 64][n % 64] = n % 64 < 32 ? (uint8_t)g_rand_int(h->rand) : 0;
    }
    for (unsigned n = 0; n < MEM_SIZE; n += 4) {
        uint32_t v = g_rand_int(h->rand);
        memcpy(h->mem + n, &v, 4);
    }
    memset(h->state->scratch, 0, sizeof(h->state->scratch));
    memcpy(h->model, h->state, offsetof(State, rt));
    memcpy(h->model_mem, h->mem, MEM_SIZE);
}

/* h->r again by the builder, which folds and forwards; a flags result that nobody reads is not asked for. */
static void build_again(Host *h)
{
    static IrRef map[4 * IR_MAX_INSNS];
    static uint8_t used[4 * IR_MAX_INSNS];
    IrRegion *to = &h->built;

    ir_region_reset(to);
    memset(used, 0, 4 * h->r.num_insns);
    for (uint32_t n = 1; n < h->r.num_insns; n++) {
        const IrInsn *in = &h->r.insns[n];
        for (unsigned i = 0; i < ir_ops[in->op].num_args; i++) {
            if (!ir_is_inline(in->arg[i])) {
                used[in->arg[i]] = 1;
            }
        }
    }
    for (uint32_t n = 1; n < h->r.num_insns; n++) {
        IrInsn in = h->r.insns[n];
        const IrOpDef *def = &ir_ops[in.op];
        IrRef *out[2] = { &map[n << 2 | 1], &map[n << 2 | 2] };
        for (unsigned i = 0; i < def->num_args; i++) {
            if (!ir_is_inline(in.arg[i]) && in.arg[i] != IR_NONE) {
                in.arg[i] = map[in.arg[i]];
            }
        }
        for (unsigned i = 0; i < 2; i++) {
            out[i] = i + 1 < def->num_results && used[n << 2 | (i + 1)] ? out[i] : NULL;
        }
        map[n << 2] = def->flags & IR_T_PURE ? ir_emit_pure(to, &in, out) : ir_emit(to, &in, out);
    }
    to->num_blocks = h->r.num_blocks;
}

static void run_code(Host *h, const uint8_t *code)
{
    void (*enter)(void *, const void *);
    unsigned long gs = (uintptr_t)h->state;

    memcpy(&enter, &h->thunks.enter, sizeof(enter));
    syscall(SYS_arch_prctl, ARCH_SET_GS, gs);
    enter(h->state, code);
}

static TcgEmitResult emit(Host *h, TcgEmitted *out)
{
    TcgEmitJob job = {
        .ir = &h->r, .thunks = &h->thunks, .user = h->user, .pc = 0x4000,
        .code = (uint8_t *)(((uintptr_t)h->thunks.end + 63) & ~63ul), .code_end = h->code_end,
        .slots = h->slots, .map = h->map, .map_end = h->map + sizeof(h->map),
        .tight = h->seed % 4 == 3,
    };

    TcgEmitResult res = x86_emit(h->emit, &job, out);

    h->region = job.code;
    h->map_size = out->map_size;
    return res;
}

static uint8_t *code_at(Host *h)
{
    return (uint8_t *)(((uintptr_t)h->thunks.end + 63) & ~63ul);
}

static void explain(Host *h, const TcgEmitted *out, const char *what)
{
    FILE *f = fopen("/tmp/tcg-emit-fail.bin", "wb");

    ir_print(stderr, &h->built);
    fprintf(stderr, "emitted:\n");
    ir_print(stderr, &h->r);
    if (f) {
        fwrite(code_at(h), 1, out->size, f);
        fclose(f);
    }
    for (unsigned n = 0; n < NUM_INT; n++) {
        fprintf(stderr, "g%u: code %#lx model %#lx\n", n, h->state->g[n], h->model->g[n]);
    }
    fprintf(stderr, "flags: code %#lx model %#lx; entry at %#x\n", h->state->flags, h->model->flags,
            out->entry);
    g_error("%s differs, TCG_TEST_SEED=%u", what, h->seed);
}

static void compare(Host *h, const TcgEmitted *out, const IrInterp *it, const IrStop *stop)
{
    uint32_t keep = IR_FLAGS & ~it->flags_undefined;
    uint64_t pc = h->state->rt.exit_reason == TCG_EXIT_LINK ? h->state->rt.exit_slot->pc
                                                             : h->state->rt.exit_pc;

    if (pc != stop->pc) {
        fprintf(stderr, "pc: code %#lx model %#lx, reason %u\n", pc, stop->pc, h->state->rt.exit_reason);
        explain(h, out, "pc");
    }
    if (stop->reason == IR_STOP_FAULT) {
        h->faults++;
        if (h->state->rt.exit_reason != TCG_EXIT_RAISE || h->state->rt.exit_word != stop->word) {
            explain(h, out, "a fault");
        }
    }
    if (h->state->rt.icount != it->budget ||
        (stop->reason == IR_STOP_ICOUNT) != (h->state->rt.exit_reason == TCG_EXIT_ICOUNT)) {
        explain(h, out, "the budget");
    }
    if (memcmp(h->state->g, h->model->g, sizeof(h->state->g)) != 0) {
        explain(h, out, "an integer global");
    }
    if ((h->state->flags & keep) != (h->model->flags & keep)) {
        explain(h, out, "flags");
    }
    if (memcmp(h->state->scratch, h->model->scratch, sizeof(h->state->scratch)) != 0) {
        explain(h, out, "a state field");
    }
    for (unsigned n = 0; n < NUM_VEC; n++) {
        if (memcmp(h->state->x[n], h->model->x[n], 32) != 0) {
            fprintf(stderr, "x%u\n", n);
            explain(h, out, "a vector global");
        }
    }
    if (memcmp(h->mem, h->model_mem, MEM_SIZE) != 0) {
        for (unsigned n = 0; n < MEM_SIZE; n++) {
            if (h->mem[n] != h->model_mem[n]) {
                fprintf(stderr, "memory %#x: code %#x model %#x\n", n, h->mem[n], h->model_mem[n]);
            }
        }
        explain(h, out, "memory");
    }
}

/* Returns false when the region could not be compared. */
static bool one_region(Host *h, unsigned size)
{
    IrInterp it = { .state = h->model, .opaque = h, .load = model_load, .store = model_store,
                    .native = model_native };
    const char *error;
    TcgEmitResult res;
    TcgEmitted out;
    IrStop stop;
    uint32_t at;

    random_region(h, size);
    error = ir_verify(&h->r, &at);
    if (error) {
        ir_print(stderr, &h->r);
        g_error("op %u: %s", at, error);
    }
    random_state(h);
    it.budget = rnd(h, 6);
    h->state->rt.icount = it.budget;
    stop = ir_interp(&it, &h->r);
    ir_interp_finish(&it);
    if (it.undefined_used) {
        return false;
    }
    if (h->seed % 2) {
        IrRegion made = h->r;
        build_again(h);
        h->r = h->built;
        h->built = made;
        error = ir_verify(&h->r, &at);
        if (error) {
            ir_print(stderr, &h->built);
            ir_print(stderr, &h->r);
            g_error("built, TCG_TEST_SEED=%u: op %u: %s", h->seed, at, error);
        }
    }
    res = emit(h, &out);
    if (res != TCG_EMIT_OK) {
        ir_print(stderr, &h->r);
        g_error("TCG_TEST_SEED=%u emit: %d, %s, op %s", h->seed, res, out.why,
                out.unsupported_op < IR_NUM_OPS ? ir_ops[out.unsupported_op].name : "-");
    }
    if (g_getenv("TCG_TEST_DUMP")) {
        FILE *f = fopen("/tmp/tcg-emit-last.bin", "wb");
        fwrite(code_at(h), 1, out.size, f);
        fclose(f);
        f = fopen("/tmp/tcg-emit-last.ir", "w");
        ir_print(f, &h->r);
        fclose(f);
    }
    run_code(h, code_at(h) + out.entry);
    compare(h, &out, &it, &stop);
    return true;
}

static void test_random(gconstpointer data)
{
    unsigned kind = GPOINTER_TO_UINT(data), skipped = 0, ran = 0;
    unsigned rounds = g_getenv("TCG_TEST_ROUNDS") ? atoi(g_getenv("TCG_TEST_ROUNDS")) : 4000;
    unsigned total = g_getenv("TCG_TEST_TOTAL") ? atoi(g_getenv("TCG_TEST_TOTAL")) : rounds;
    unsigned first = g_getenv("TCG_TEST_SEED") ? atoi(g_getenv("TCG_TEST_SEED")) : 0;
    Host *h = g_new(Host, 1);

    host_init(h, &guests[kind >> 1], !(kind & 1), 1);
    for (unsigned n = first; n < first + rounds; n++) {
        h->seed = n;
        g_rand_set_seed(h->rand, n * 8 + kind);
        if (g_getenv("TCG_TEST_SEED")) {
            fprintf(stderr, "seed %u\n", n);
        }
        if (one_region(h, 1 + (unsigned)((uint64_t)n * 40 / total % 40))) {
            ran++;
        } else {
            skipped++;
        }
    }
    g_test_message("%u regions compared, %u skipped, %u faults, %u slow accesses", ran, skipped, h->faults, h->slow);
    g_assert_cmpuint(h->faults, >, rounds / 50);
    g_assert_cmpuint(ran, >, rounds / 4);
    g_assert_true((kind & 1) == 0 || h->slow > 0);
    host_finish(h);
    g_free(h);
}

int main(int argc, char **argv)
{
    struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

    g_test_init(&argc, &argv, NULL);
    sigaction(SIGSEGV, &sa, NULL);
    for (unsigned kind = 0; kind < 2 * G_N_ELEMENTS(guests); kind++) {
        g_autofree char *name = g_strdup_printf("/tcg/x86_64/random/%s-%s", kind & 1 ? "system" : "user",
                                                guests[kind >> 1].name);
        g_test_add_data_func(name, GUINT_TO_POINTER(kind), test_random);
    }
    return g_test_run();
}
