/*
 * Host signals: faults of guest code, of C that touches guest memory, and signals sent to the process. docs/linux-user.md,
 * Signals. Everything called here is async-signal-safe, but for what a fault in guest code may call: that holds no lock.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "linux-user/linux-user.h"

enum { PF_WRITE = 2 };

const uint64_t user_sync_signals =
    1ull << (SIGSEGV - 1) | 1ull << (SIGBUS - 1) | 1ull << (SIGFPE - 1) | 1ull << (SIGILL - 1) | 1ull << (SIGTRAP - 1);

static void note_fault(UserThread *t, const siginfo_t *info, const greg_t *regs)
{
    t->fault_seen = true;
    t->fault_info = *info;
    t->fault_trap = (uint64_t)regs[REG_TRAPNO];
    t->fault_err = (uint64_t)regs[REG_ERR];
    t->fault_cr2 = (uint64_t)regs[REG_CR2];
}

/*
 * A store to a page that is the guest's to write but not the host's. True: it is writable now. Another thread may have lifted it
 * meanwhile, so one such fault without effect is tried again; a second at the same place is the guest's.
 */
static bool lift(UserThread *t, int sig, uint64_t addr, uint64_t err)
{
    if (sig != SIGSEGV || !(err & PF_WRITE) || !(map_get(&t->p->map, addr) & MAP_WRITE)) {
        return false;
    }
    if (user_lift(t->p, addr)) {
        t->last_lift = 0;
        return true;
    }
    if (t->last_lift == addr) {
        t->last_lift = 0;
        return false;
    }
    t->last_lift = addr;
    return true;
}

/* False: not a fault of the guest's. */
static bool on_fault(UserThread *t, int sig, siginfo_t *info, ucontext_t *uc)
{
    greg_t *regs = uc->uc_mcontext.gregs;
    uint64_t addr = (uint64_t)(uintptr_t)info->si_addr, fixup = user_fixup_fault((uint64_t)regs[REG_RIP]);
    bool lifted = lift(t, sig, addr, (uint64_t)regs[REG_ERR]);

    if (fixup) {
        if (!lifted) {
            note_fault(t, info, regs);
            t->fault_in_copy = true;
            regs[REG_RIP] = (greg_t)fixup;
        }
        return true;
    }
    if (!tcg_fault(t->p->cache, t->cpu, uc, info->si_addr)) {
        return false;
    }
    if (lifted) {
        t->one_insn = true; /* what runs may be what was written */
    } else if (t->cpu->rt.exit_reason != TCG_EXIT_POLL) {
        note_fault(t, info, regs);
    }
    return true;
}

/* Our own fault: the kernel's default, with the address of it for the one who has to find it. */
static void own_fault(int sig, const siginfo_t *info, const ucontext_t *uc)
{
    char text[128];
    int n = snprintf(text, sizeof(text), "qemu-x86_64: internal error: signal %d at 0x%llx, address %p\n", sig,
                     (unsigned long long)uc->uc_mcontext.gregs[REG_RIP], info->si_addr);

    if (write(2, text, (size_t)n) < 0) {
        errno = 0;
    }
    signal(sig, SIG_DFL); /* the instruction is run again */
}

void user_on_signal(int sig, siginfo_t *info, void *ucontext)
{
    UserThread *t = user_current;
    ucontext_t *uc = ucontext;
    int saved = errno;
    uint64_t fixup;

    if ((user_sync_signals & user_sigbit(sig)) && info->si_code > 0) {
        if (!t || !on_fault(t, sig, info, uc)) {
            own_fault(sig, info, uc);
        }
        errno = saved;
        return;
    }
    t->info[sig] = *info;
    t->pending |= user_sigbit(sig);
    atomic_store(&t->attention, 1);
    fixup = user_fixup_interrupt((uint64_t)uc->uc_mcontext.gregs[REG_RIP]);
    if (fixup) {
        uc->uc_mcontext.gregs[REG_RIP] = (greg_t)fixup;
    }
    if (atomic_load(&t->inside)) {
        tcg_kick(t->cpu);
    }
    /* Until this one is delivered there shall be no other. */
    t->host_all_blocked = true;
    *(uint64_t *)(void *)&uc->uc_sigmask = ~user_sync_signals;
    errno = saved;
}

/* Exceptions of guest code ---------------------------------------------------------------- */

/* What Linux makes of exceptions: arch/x86 UAPI and signal(7); the codes are in asm-generic/siginfo.h. */
static void exception_info(UserThread *t, siginfo_t *info)
{
    uint64_t rip = t->cpu->st.rip;

    memset(info, 0, sizeof(*info));
    info->si_signo = SIGSEGV;
    info->si_code = SI_KERNEL;
    switch (t->exc_vector) {
    case EXC_DE:
        *info = (siginfo_t){ .si_signo = SIGFPE, .si_code = FPE_INTDIV };
        info->si_addr = (void *)(uintptr_t)rip;
        break;
    case EXC_DB:
        *info = (siginfo_t){ .si_signo = SIGTRAP, .si_code = t->exc_error ? TRAP_TRACE : TRAP_BRKPT };
        info->si_addr = (void *)(uintptr_t)rip;
        break;
    case EXC_BP:
        info->si_signo = SIGTRAP;
        break;
    case EXC_UD:
        *info = (siginfo_t){ .si_signo = SIGILL, .si_code = ILL_ILLOPN };
        info->si_addr = (void *)(uintptr_t)rip;
        break;
    case EXC_NP:
    case EXC_SS:
        info->si_signo = SIGBUS;
        break;
    case EXC_AC:
        *info = (siginfo_t){ .si_signo = SIGBUS, .si_code = BUS_ADRALN };
        break;
    case EXC_MF:
    case EXC_XM:
        *info = (siginfo_t){ .si_signo = SIGFPE };
        info->si_addr = (void *)(uintptr_t)rip;
        break;
    }
}

/* The first exception that is not masked, in the kernel's order: SDM vol. 1, 8.5 and 11.5.2. */
static int float_code(const UserThread *t)
{
    const X86State *st = &t->cpu->st;
    unsigned x = t->exc_vector == EXC_MF ? st->fsw & ~st->fcw : st->mxcsr & ~(st->mxcsr >> 7);

    return x & 1 ? FPE_FLTINV : x & 4 ? FPE_FLTDIV : x & 8 ? FPE_FLTOVF : x & 0x12 ? FPE_FLTUND : x & 0x20 ? FPE_FLTRES : 0;
}

static bool has_error_code(unsigned vector)
{
    return vector == EXC_DF || (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC;
}

void user_exception(UserThread *t)
{
    siginfo_t info;

    if (t->trap && t->exc_vector == EXC_BP && atomic_load(&t->p->gdb_active) &&
        user_gdb_is_breakpoint(t->p, t->cpu->st.rip - 1)) {
        user_cpu_go(t->cpu, t->cpu->st.rip - 1);
        t->trap = false;
        t->exc_vector = EXC_NONE;
        user_gdb_stop(t, SIGTRAP, true);
        return;
    }

    if (t->fault_seen) {
        info = t->fault_info;
        t->trap_no = t->fault_trap;
        t->trap_err = t->fault_err;
        t->trap_cr2 = t->fault_trap == EXC_PF ? t->fault_cr2 : t->trap_cr2;
        if (info.si_signo == SIGFPE || info.si_signo == SIGILL) {
            info.si_addr = (void *)(uintptr_t)t->cpu->st.rip;
        }
    } else {
        exception_info(t, &info);
        t->trap_no = t->exc_vector;
        t->trap_err = has_error_code(t->exc_vector) ? t->exc_error : 0;
        if (t->exc_vector == EXC_MF || t->exc_vector == EXC_XM) {
            user_save_fpu(t);
            info.si_code = float_code(t);
        }
    }
    t->frame_rf = !t->trap;
    t->fault_seen = t->fault_in_copy = t->trap = false;
    t->exc_vector = EXC_NONE;
    user_force_signal(t, &info);
}
