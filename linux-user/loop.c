/* The run loop of a thread: translated code, system calls, exceptions, signals in turn. */
#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "linux-user/linux-user.h"
#include "target/i386/fp-helpers.h"
#include "util/log.h"

_Thread_local UserThread *user_current;

/* Says that this thread is inside, unless somebody wants to be alone or something is pending. */
static bool begin(UserThread *t)
{
    UserProcess *p = t->p;

    atomic_store(&t->inside, 1);
    if (!atomic_load(&p->stop)) {
        if (!atomic_load(&t->attention)) {
            return true;
        }
        atomic_store(&t->inside, 0);
        return false;
    }
    atomic_store(&t->inside, 0);
    user_raw_syscall(SYS_futex, (uintptr_t)&p->stop, FUTEX_WAIT, 1, 0, 0, 0);
    return false;
}

static void log_region(UserThread *t)
{
    if (log_in_filter(t->cpu->st.rip)) {
        const uint64_t *g = t->cpu->st.gpr;

        log_item(LOG_EXEC, "exec: 0x%016" PRIx64 "\n", t->cpu->st.rip);
        log_item(LOG_CPU,
                 "RAX=%016" PRIx64 " RBX=%016" PRIx64 " RCX=%016" PRIx64 " RDX=%016" PRIx64 "\n"
                 "RSI=%016" PRIx64 " RDI=%016" PRIx64 " RBP=%016" PRIx64 " RSP=%016" PRIx64 "\n"
                 "R8 =%016" PRIx64 " R9 =%016" PRIx64 " R10=%016" PRIx64 " R11=%016" PRIx64 "\n"
                 "R12=%016" PRIx64 " R13=%016" PRIx64 " R14=%016" PRIx64 " R15=%016" PRIx64 "\n"
                 "RIP=%016" PRIx64 " RFL=%08" PRIx64 "\n",
                 g[R_RAX], g[R_RBX], g[R_RCX], g[R_RDX], g[R_RSI], g[R_RDI], g[R_RBP], g[R_RSP], g[8], g[9], g[10], g[11],
                 g[12], g[13], g[14], g[15], t->cpu->st.rip, x86_get_rflags(t->cpu));
    }
}

/* Regions of one instruction are for one passage only: nothing leads to them. */
static void connect(UserThread *t, TcgRegion *r, uint64_t key)
{
    if ((key & (KEY_ONE_INSN | KEY_TF)) || log_enabled(LOG_NOCHAIN)) {
        return;
    }
    if (t->slot && tcg_slot_region(t->slot)->key.mode == r->key.mode) {
        tcg_link(t->p->cache, t->slot, r);
    }
    tcg_remember(t->cpu, t->p->cache, r, false);
}

/* Runs one region and what is linked to it. */
static void run(UserThread *t, uint64_t key)
{
    X86Cpu *cpu = t->cpu;
    uint64_t pc = cpu->st.rip;
    TcgExitReason reason;
    TcgRegion *r;

    if (log_enabled(LOG_EXEC | LOG_CPU)) {
        log_region(t);
    }
    t->one_insn = false;
    r = user_region(t, pc, key);
    if (!r) {
        return;
    }
    connect(t, r, key);
    t->slot = NULL;
    reason = tcg_enter(t->p->cache, cpu, r);
    if ((key & KEY_ONE_INSN) && ((map_get(&t->p->map, pc) | map_get(&t->p->map, pc + 14)) & MAP_WRITE)) {
        tcg_invalidate(t->p->cache, pc, pc + 1); /* made without watching the page */
    }
    switch (reason) {
    case TCG_EXIT_LINK:
        t->slot = cpu->rt.exit_slot;
        user_cpu_go(cpu, cpu->rt.exit_pc);
        break;
    case TCG_EXIT_LEAVE:
        user_cpu_go(cpu, cpu->pc);
        t->one_insn = cpu->rt.exit_code == LEAVE_ONE_INSN;
        if (cpu->rt.exit_code == LEAVE_STEP && (key & KEY_TF)) {
            t->exc_vector = EXC_DB;
            t->exc_error = 1; /* a single step */
            t->trap = true;
        }
        x86_update_key(cpu);
        break;
    default:
        user_cpu_go(cpu, cpu->rt.exit_pc);
        break;
    }
}

/* The kernel's way of doing a call again: the instruction is repeated with the number in rax. */
static void do_syscall(UserThread *t)
{
    uint64_t *g = t->cpu->st.gpr;
    uint64_t a[6] = { g[R_RDI], g[R_RSI], g[R_RDX], g[R_R10], g[R_R8], g[R_R9] };
    int64_t result;

    t->in_syscall = false;
    t->syscall_nr = g[R_RAX];
    result = user_do_syscall(t, g[R_RAX], a);
    t->fault_seen = t->fault_in_copy = false; /* what it met was answered with EFAULT */
    if (result == -USER_RESTART) {
        t->restart = true;
    } else if (result != -USER_NO_RESULT) {
        g[R_RAX] = (uint64_t)result;
    }
    if (t->restart && !atomic_load(&t->attention)) {
        user_restart(t);
    }
}

void user_restart(UserThread *t)
{
    t->restart = false;
    t->cpu->st.gpr[R_RAX] = t->syscall_nr;
    user_cpu_go(t->cpu, t->cpu->st.rip - 2);
}

void user_loop(UserThread *t)
{
    X86Cpu *cpu = t->cpu;
    uint64_t last_key = 0, key;
    bool step = false;

    tcg_thread_attach(cpu);
    while (!t->ended) {
        if (atomic_load(&t->attention)) {
            user_deliver(t);
        }
        if (!begin(t)) {
            continue;
        }
        t->one_insn |= atomic_load(&t->p->gdb_active) && user_gdb_stepping(t);
        key = (cpu->key & ~(uint64_t)KEY_AC_CHECK) | KEY_USER | (t->one_insn ? KEY_ONE_INSN : 0);
        if ((key & ~(uint64_t)KEY_ONE_INSN) != last_key) {
            tcg_forget(t->p->cache, cpu); /* what is found by address alone is of one mode */
            last_key = key & ~(uint64_t)KEY_ONE_INSN;
            t->slot = NULL;
        }
        run(t, key);
        if (atomic_load(&t->p->gdb_active)) {
            user_save_fpu(t); /* for whoever stops us and looks */
            step = user_gdb_stepping(t);
        }
        atomic_store(&t->inside, 0);
        if (t->in_syscall && atomic_load(&t->attention)) {
            t->in_syscall = false; /* the signal was first */
            user_cpu_go(cpu, cpu->st.rip - 2);
        } else if (t->in_syscall) {
            do_syscall(t);
        } else if (t->exc_vector != EXC_NONE || t->fault_seen) {
            user_exception(t);
        }
        if (step && !t->ended) {
            step = false;
            user_gdb_stop(t, SIGTRAP, true);
        }
    }
}
