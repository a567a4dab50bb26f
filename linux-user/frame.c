/*
 * Signal frames as the kernel lays them out: Linux UAPI asm/sigcontext.h, asm/ucontext.h; the ABI's red zone (System V ABI for
 * AMD64, 3.2.2). The floating-point part is FXSAVE's image (SDM vol. 1, 10.5.1) while the CPU model has no XSAVE.
 */
#include <errno.h>
#include <string.h>

#include "linux-user/linux-user.h"
#include "target/i386/fp-helpers.h"

enum { RED_ZONE = 128, FX_SIZE = 512, UC_SIGCONTEXT_SS_ = 2, UC_STRICT_RESTORE_SS_ = 4, AUTODISARM = (int)0x80000000 };

typedef struct {
    uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, flags;
    uint16_t cs, gs, fs, ss;
    uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
} SigContext;

typedef struct {
    uint64_t restorer;
    uint64_t uc_flags, uc_link;
    UserStack stack;
    SigContext regs;
    uint64_t mask;
    siginfo_t info;
} Frame;
_Static_assert(sizeof(SigContext) == 256 && sizeof(Frame) == 440, "the kernel's struct rt_sigframe");

/* In the order of SigContext. */
static const uint8_t order[16] = { 8, 9, 10, 11, 12, 13, 14, 15, R_RDI, R_RSI, R_RBP, R_RBX, R_RDX, R_RAX, R_RCX, R_RSP };

void user_save_fpu(UserThread *t)
{
    x86_fpu_save(t->cpu);
    x86_fpu_load(t->cpu);
}

static bool on_altstack(const UserThread *t, uint64_t sp)
{
    return !(t->altstack.flags & (SS_DISABLE | AUTODISARM)) && sp > t->altstack.sp && sp - t->altstack.sp <= t->altstack.size;
}

static void fill(UserThread *t, Frame *f, uint64_t fpstate, uint64_t old_mask)
{
    const X86State *st = &t->cpu->st;

    f->uc_flags = UC_SIGCONTEXT_SS_ | UC_STRICT_RESTORE_SS_;
    f->stack = t->altstack;
    for (unsigned n = 0; n < 16; n++) {
        memcpy((uint64_t *)&f->regs + n, &st->gpr[order[n]], 8);
    }
    f->regs.rip = st->rip;
    f->regs.flags = x86_get_rflags(t->cpu) | (t->frame_rf ? FL_RF : 0);
    t->frame_rf = false;
    f->regs.cs = st->seg[S_CS].selector;
    f->regs.gs = st->seg[S_GS].selector;
    f->regs.fs = st->seg[S_FS].selector;
    f->regs.ss = st->seg[S_SS].selector;
    f->regs.err = t->trap_err;
    f->regs.trapno = t->trap_no;
    f->regs.oldmask = old_mask;
    f->regs.cr2 = t->trap_cr2;
    f->regs.fpstate = fpstate;
    f->mask = old_mask;
}

bool user_frame_push(UserThread *t, int sig, const UserSigaction *sa, uint64_t old_mask)
{
    X86State *st = &t->cpu->st;
    uint64_t sp = st->gpr[R_RSP] - RED_ZONE, fpstate, at;
    bool nested = on_altstack(t, st->gpr[R_RSP]), switched = false;
    Frame f = { .restorer = sa->restorer };

    if ((sa->flags & SA_ONSTACK) && !(t->altstack.flags & SS_DISABLE) && !nested) {
        sp = t->altstack.sp + t->altstack.size;
        switched = true;
    }
    fpstate = (sp - FX_SIZE) & ~63ull;
    at = ((fpstate - sizeof(f)) & ~15ull) - 8;
    if ((nested || switched) && at < t->altstack.sp) {
        return false; /* the alternate stack is too small */
    }
    fill(t, &f, fpstate, old_mask);
    f.info = t->info[sig];
    user_save_fpu(t);
    x86_fp_fxsave(t->cpu, true);
    if (!(sa->flags & 0x04000000) || !user_put(fpstate, t->cpu->fp_scratch, FX_SIZE) || !user_put(at, &f, sizeof(f))) {
        t->fault_seen = t->fault_in_copy = false;
        return false;
    }
    if (switched && (t->altstack.flags & AUTODISARM)) {
        t->altstack = (UserStack){ .flags = SS_DISABLE };
    }
    st->gpr[R_RDI] = (uint64_t)sig;
    st->gpr[R_RSI] = at + offsetof(Frame, info);
    st->gpr[R_RDX] = at + offsetof(Frame, uc_flags);
    st->gpr[R_RAX] = 0;
    st->gpr[R_RSP] = at;
    x86_set_rflags(t->cpu, 0, FL_DF | FL_RF | FL_TF);
    st->seg[S_SS].selector = 0x2b;
    user_cpu_go(t->cpu, sa->handler);
    x86_update_key(t->cpu);
    return true;
}

static bool load_fpu(UserThread *t, uint64_t fpstate)
{
    uint32_t mxcsr;

    user_save_fpu(t);
    if (!fpstate) {
        memset(t->cpu->fp_scratch, 0, FX_SIZE);
        ((uint16_t *)t->cpu->fp_scratch)[0] = 0x37f;
        ((uint32_t *)t->cpu->fp_scratch)[6] = 0x1f80;
    } else if (!user_get(fpstate, t->cpu->fp_scratch, FX_SIZE)) {
        return false;
    }
    mxcsr = ((uint32_t *)t->cpu->fp_scratch)[6];
    if (mxcsr & ~0xffffu) {
        return false;
    }
    x86_fp_fxrstor(t->cpu, true, true);
    x86_fpu_load(t->cpu);
    return true;
}

int64_t user_frame_pop(UserThread *t)
{
    X86State *st = &t->cpu->st;
    siginfo_t bad = { .si_signo = SIGSEGV, .si_code = SI_KERNEL };
    Frame f;

    if (!user_get(st->gpr[R_RSP] - 8, &f, offsetof(Frame, info)) || !load_fpu(t, f.regs.fpstate)) {
        t->fault_seen = t->fault_in_copy = false;
        user_force_signal(t, &bad);
        return -USER_NO_RESULT;
    }
    for (unsigned n = 0; n < 16; n++) {
        memcpy(&st->gpr[order[n]], (uint64_t *)&f.regs + n, 8);
    }
    user_cpu_go(t->cpu, f.regs.rip);
    x86_set_rflags(t->cpu, f.regs.flags, FL_STATUS | FL_TF | FL_DF | FL_AC);
    x86_update_key(t->cpu);
    t->mask = f.mask & ~(user_sigbit(SIGKILL) | user_sigbit(SIGSTOP));
    if (!on_altstack(t, st->gpr[R_RSP])) {
        t->altstack = f.stack;
        t->altstack.flags &= ~SS_ONSTACK;
    }
    t->restart = false;
    if (t->pending & ~t->mask) {
        atomic_store(&t->attention, 1);
    }
    user_sync_mask(t);
    return -USER_NO_RESULT;
}
