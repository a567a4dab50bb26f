/*
 * Running a case on the host CPU. A signal frame is the one thing that sets every register at once, CS and SS too: the handler of
 * a first signal puts the case into its frame and returns into the code; the trap at its end, or a fault, gives a second
 * frame with the outcome, and the handler puts back the first one. Linux only; layout of the frame: asm/sigcontext.h.
 */
#include <asm/ldt.h>
#include <asm/prctl.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "tests/insn/hostop.h"
#include "tests/insn/emitted.h"
#include "tests/insn/insn.h"

enum {
    SEL_CODE64 = 0x33, SEL_CODE32 = 0x23, SEL_DATA32 = 0x2b, /* Linux's own */
    LDT_CODE16 = 1, LDT_DATA16 = 2,
    FXSAVE_SIZE = 512, XSTATE_MAGIC = 0x46505853,
    TRAP_PF = 14, TRAP_BP = 3,
};

typedef struct {
    const InsnCase *c;
    InsnState *out;
    ucontext_t saved;
    uint8_t saved_fp[FXSAVE_SIZE + 64]; /* with the XSAVE header */
    bool running;
    const char *no_16bit;
} Native;

static Native native;

/* Places of general registers in the frame, by number. */
static const uint8_t greg[16] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };

static const uint32_t copied[][2] = { { DATA_RW, 3 * PAGE }, { STACK, STACK_SIZE } };

void insn_memory_get(uint8_t *mem)
{
    for (unsigned n = 0; n < 2; n++) {
        memcpy(mem, (void *)(uintptr_t)(DATA + copied[n][0]), copied[n][1]);
        mem += copied[n][1];
    }
}

void insn_memory_put(const uint8_t *mem)
{
    for (unsigned n = 0; n < 2; n++) {
        unsigned size = n == 0 ? 2 * PAGE : copied[n][1]; /* the read-only page never changes */
        memcpy((void *)(uintptr_t)(DATA + copied[n][0]), mem, size);
        mem += copied[n][1];
    }
}

/* Offsets in the FXSAVE image: SDM vol. 1, table 10-2. */
static void fx_put(uint8_t *fx, const InsnState *s)
{
    memcpy(fx, &s->fcw, 2);
    memcpy(fx + 2, &s->fsw, 2);
    fx[4] = s->ftw;
    memcpy(fx + 6, &s->fop, 2);
    memcpy(fx + 8, &s->fip, 8);
    memcpy(fx + 16, &s->fdp, 8);
    memcpy(fx + 24, &s->mxcsr, 4);
    memcpy(fx + 32, s->st, 128);
    memcpy(fx + 160, s->xmm, 256);
}

static void fx_get(const uint8_t *fx, InsnState *s)
{
    memcpy(&s->fcw, fx, 2);
    memcpy(&s->fsw, fx + 2, 2);
    s->ftw = fx[4];
    memcpy(&s->fop, fx + 6, 2);
    memcpy(&s->fip, fx + 8, 8);
    memcpy(&s->fdp, fx + 16, 8);
    memcpy(&s->mxcsr, fx + 24, 4);
    memcpy(s->st, fx + 32, 128);
    memcpy(s->xmm, fx + 160, 256);
    for (unsigned n = 0; n < 8; n++) {
        s->st[n][1] &= 0xffff;
    }
}

/* The header after the image says which parts are not in their initial state: x87 and SSE are given. */
static void header_put(uint8_t *fx)
{
    uint32_t magic;

    memcpy(&magic, fx + 464, 4);
    if (magic == XSTATE_MAGIC) {
        fx[FXSAVE_SIZE] |= 3;
    }
}

/* The parts not saved because they were in their initial state. */
static void header_get(uint8_t *fx)
{
    uint32_t magic;

    memcpy(&magic, fx + 464, 4);
    if (magic == XSTATE_MAGIC && !(fx[FXSAVE_SIZE] & 1)) {
        memset(fx, 0, 24);
        memset(fx + 32, 0, 128);
        fx[0] = 0x7f;
        fx[1] = 3;
    }
    if (magic == XSTATE_MAGIC && !(fx[FXSAVE_SIZE] & 2)) {
        memset(fx + 160, 0, 256);
    }
}

static void frame_put(ucontext_t *uc, const InsnCase *c)
{
    greg_t *g = uc->uc_mcontext.gregs;
    uint8_t *fx = (uint8_t *)uc->uc_mcontext.fpregs;
    uint64_t cs = SEL_CODE64, ss = SEL_DATA32;

    for (unsigned n = 0; n < 16; n++) {
        g[greg[n]] = (greg_t)c->in.gpr[n];
    }
    g[REG_EFL] = (greg_t)c->in.flags;
    g[REG_RIP] = (greg_t)c->in.rip;
    if (c->mode == MODE_32) {
        cs = SEL_CODE32;
    } else if (c->mode == MODE_16) {
        cs = LDT_CODE16 << 3 | 7;
        ss = LDT_DATA16 << 3 | 7;
    }
    g[REG_CSGSFS] = (greg_t)((g[REG_CSGSFS] & 0x0000ffffffff0000) | cs | ss << 48);
    fx_put(fx, &c->in);
    header_put(fx);
}

static void frame_get(ucontext_t *uc, InsnMode mode, InsnState *s)
{
    greg_t *g = uc->uc_mcontext.gregs;
    uint8_t *fx = (uint8_t *)uc->uc_mcontext.fpregs;
    int trap = (int)g[REG_TRAPNO];
    uint64_t error = (uint64_t)g[REG_ERR], linear;

    header_get(fx);
    fx_get(fx, s);
    for (unsigned n = 0; n < 16; n++) {
        s->gpr[n] = (uint64_t)g[greg[n]];
    }
    s->flags = (uint64_t)g[REG_EFL];
    s->rip = (uint64_t)g[REG_RIP];
    s->vector = trap;
    s->error = (uint32_t)error;
    s->address = trap == TRAP_PF ? (uint64_t)g[REG_CR2] : 0;
    linear = s->rip + (mode == MODE_16 ? CODE : 0);
    if (trap == TRAP_BP) { /* the code's end */
        s->rip--;
        s->vector = -1;
        s->error = 0;
    } else if (trap == TRAP_PF && (error & 16) && s->address == linear) {
        s->vector = -1; /* a jump to where there is nothing */
        s->error = 0;
        s->address = 0;
    }
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    void *fp = uc->uc_mcontext.fpregs;

    if (emitted_signal(uc)) {
        return;
    }
    if (!native.running && sig == SIGFPE && hostop_fault()) {
        uc->uc_mcontext.gregs[REG_RIP] = (greg_t)hostop_fault();
        return;
    }
    if (!native.running) {
        if (sig != SIGUSR1) { /* not ours: die of it */
            signal(sig, SIG_DFL);
            return;
        }
        native.running = true;
        native.saved = *uc;
        memcpy(native.saved_fp, fp, sizeof(native.saved_fp));
        frame_put(uc, native.c);
        return;
    }
    native.running = false;
    frame_get(uc, native.c->mode, native.out);
    memcpy(uc->uc_mcontext.gregs, native.saved.uc_mcontext.gregs, sizeof(gregset_t));
    memcpy(fp, native.saved_fp, sizeof(native.saved_fp));
    uc->uc_flags = native.saved.uc_flags;
}

static const char *make_segments(void)
{
    struct user_desc code = { .entry_number = LDT_CODE16, .base_addr = CODE, .limit = 0xffff, .contents = 2 };
    struct user_desc data = { .entry_number = LDT_DATA16, .base_addr = DATA, .limit = 0xffff };

    if (syscall(SYS_modify_ldt, 1, &code, sizeof(code)) || syscall(SYS_modify_ldt, 1, &data, sizeof(data))) {
        return "modify_ldt is refused";
    }
    return NULL;
}

const char *native_init(void)
{
    static const int sigs[] = { SIGUSR1, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
    stack_t stack = { .ss_size = 1 << 18 };
    struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    uint8_t *data = mmap((void *)(uintptr_t)DATA, DATA_SIZE, PROT_NONE, flags, -1, 0);
    uint8_t *code = mmap((void *)(uintptr_t)CODE, CODE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1, 0);

    if (data != (void *)(uintptr_t)DATA || code != (void *)(uintptr_t)CODE) {
        return "the addresses are taken";
    }
    mprotect(data + DATA_RW, 3 * PAGE, PROT_READ | PROT_WRITE);
    mprotect(data + STACK, STACK_SIZE, PROT_READ | PROT_WRITE);
    for (unsigned n = 0; n < PAGE; n++) {
        data[DATA_RO + n] = (uint8_t)(n * 37 ^ n >> 3);
    }
    mprotect(data + DATA_RO, PAGE, PROT_READ);
    memset(code, 0xcc, CODE_SIZE);
    stack.ss_sp = malloc(stack.ss_size);
    sigaltstack(&stack, NULL);
    for (unsigned n = 0; n < sizeof(sigs) / sizeof(sigs[0]); n++) {
        sigaction(sigs[n], &sa, NULL);
    }
    native.no_16bit = make_segments();
    /* The base that gs: accesses see in 64-bit mode. */
    return syscall(SYS_arch_prctl, ARCH_SET_GS, DATA) ? "arch_prctl is refused" : NULL;
}

const char *native_has_mode(InsnMode mode)
{
    return mode == MODE_16 ? native.no_16bit : NULL;
}

/* DS and ES are not in the frame; 64-bit code never looks at them. */
static void set_segments(unsigned sel)
{
    __asm__ volatile("movl %0, %%ds\n\tmovl %0, %%es" : : "r"(sel));
}

void native_run(const InsnCase *c, InsnResult *out)
{
    uint8_t *code = (uint8_t *)(uintptr_t)CODE + CODE_START;

    out->refused = NULL;
    native.c = c;
    native.out = &out->st;
    memset((void *)(uintptr_t)CODE, 0xcc, CODE_SIZE);
    memcpy(code, c->code, c->len);
    insn_memory_put(c->mem);
    set_segments(c->mode == MODE_32 ? SEL_DATA32 : c->mode == MODE_16 ? LDT_DATA16 << 3 | 7 : 0);
    syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
    set_segments(0);
    insn_memory_get(out->mem);
}
