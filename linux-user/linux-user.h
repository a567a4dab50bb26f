/*
 * linux-user/: one Linux program on the translator. Design: docs/linux-user.md. Never links the system parts.
 *
 *   main.c       options, start-up, top to bottom          elf.c      loads a program and its interpreter
 *   stack.c      the first stack: argv, environment, auxv  map.c      which page is the guest's, with which rights
 *   memory.c     mmap and its family                       code.c     finding and making translations
 *   loop.c       the run loop                              cpu.c      what translated code asks of the system part
 *   fault.c      host signals: faults of guest code        signal.c   dispositions, masks, delivery; frame.c: frames
 *   thread.c     clone, fork, vfork, exit                  exec.c     execve
 *   gdb.c        -g
 *   files.c      descriptors, paths; proc.c: /proc         syscall.c  dispatch by syscalls.def; strace.c
 *   host.c       the few instructions whose faults and interruptions are known by address
 *
 * A UserProcess has UserThreads; each has an X86Cpu. A system call is
 *
 *     int64_t sys_NAME(UserThread *t, const uint64_t a[6])      // result or -errno, as the kernel's
 *
 * Locks, in this order: UserProcess.threads_lock, UserMap.lock, then the translator's own.
 */
#ifndef LINUX_USER_LINUX_USER_H
#define LINUX_USER_LINUX_USER_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "linux-user/map.h"
#include "target/i386/cpu.h"
#include "tcg/runtime.h"
#include "util/error.h"

enum { USER_PAGE = 4096, USER_NSIG = 64 };
#define USER_PAGE_MASK (~(uint64_t)(USER_PAGE - 1))

/* The kernel's struct sigaction (asm/signal.h). */
typedef struct {
    uint64_t handler, flags, restorer, mask;
} UserSigaction;

/* Shared by threads (CLONE_SIGHAND). */
typedef struct {
    pthread_mutex_t lock;
    UserSigaction action[USER_NSIG + 1];
} UserSignals;

typedef struct {
    uint64_t sp;
    int32_t flags, pad;
    uint64_t size;
} UserStack; /* stack_t */

typedef struct {
    const char *program_name, *path;   /* as given; the file found, absolute */
    const char *prefix;                /* -L; NULL */
    const char *argv0, *cpu, *uname, *log_items, *log_file, *gdb;
    uint64_t stack_size;
    uint64_t code_size, seed;          /* bytes; of -seed */
    bool strace, one_insn, has_seed;
    unsigned asked;                    /* what an option printed: nothing is run */
    char **argv;                       /* of the guest */
    char **envp;
    char **options;                    /* to hand to ourselves in execve; NULL-terminated */
    unsigned num_options;
    int exec_fd, self_fd;              /* the program, ourselves; -1: to be opened */
} UserConfig;

typedef struct UserProcess {
    UserConfig config;
    TcgCache *cache;
    UserMap map;
    const struct X86CpuModel *model;
    uint32_t features[X86_FEATURE_WORDS];
    UserSignals signals;
    int exe_fd;                        /* ourselves, O_PATH */
    char *exe;                         /* of the guest: absolute path */
    uint64_t stack_low, stack_top;     /* of the first thread */
    uint64_t args_start, args_end, env_end;
    uint64_t auxv, auxv_size;
    uint64_t vdso;                     /* the host's, shown to the guest; 0: not */
    uint64_t start_code, end_code, start_data, end_data;
    uint64_t brk_start, brk;           /* UserMap.lock */
    pthread_mutex_t threads_lock;      /* guards threads and num_threads */
    struct UserThread *threads;
    unsigned num_threads;
    _Atomic uint32_t stop;             /* someone wants to be alone: nobody enters translated code */
    bool seccomp_strict;
    struct UserGdb *gdb;               /* -g; NULL: none. gdb.c */
    _Atomic uint32_t gdb_active, gdb_break; /* it is connected; it wants to stop */
} UserProcess;

typedef struct UserThread {
    UserProcess *p;
    X86Cpu *cpu;
    TcgContext *ctx;
    struct Disas *disas;               /* of -d in_asm, made when needed */
    UserSignals *signals;
    struct UserThread *next;           /* UserProcess.threads_lock */
    pid_t tid;
    _Atomic uint32_t inside;           /* in translated code, or about to be */
    TcgSlot *slot;                     /* exit to link */
    uint64_t clear_tid;                /* address cleared at the end; 0: none */
    bool one_insn;                     /* the next region has one instruction */
    bool in_syscall;                   /* SYSCALL was executed */
    bool restart;                      /* its call wants to be begun again, by what a handler says */
    bool ended;                        /* exit was called: user_loop returns */
    bool vfork_child;                  /* runs in the memory of its parent, which waits */
    bool first;                        /* the thread that the process began with */

    /* An exception of guest code */
    uint32_t exc_vector, exc_error;    /* x86_raise; EXC_NONE: none */
    bool trap;                         /* INT3 and the like: rip is after it */
    bool fault_seen;                   /* the rest is of a host fault */
    bool fault_in_copy;                /* it was in user_copy: an error of the caller's */
    siginfo_t fault_info;
    uint64_t fault_trap, fault_err, fault_cr2;
    uint64_t last_lift;                /* page of the last lift without effect: see fault.c */

    /* Signals */
    uint64_t mask;                     /* blocked, as the guest sees it; bit 0 is signal 1 */
    uint64_t saved_mask;               /* what sigsuspend and its like replaced */
    bool has_saved_mask;
    _Atomic uint32_t attention;        /* something is pending: look before the next call or region */
    bool host_all_blocked;             /* by our handler, until the signal is delivered */
    uint64_t pending;
    siginfo_t info[USER_NSIG + 1];
    UserStack altstack;
    bool frame_rf;                     /* the next frame shows RF, as a fault's does */
    uint64_t trap_no, trap_err, trap_cr2; /* of the last exception, for frames */

    /* The syscall under way */
    uint64_t syscall_nr;
    const char *strace_extra;
} UserThread;

enum { EXC_NONE = 0xff };
/* Results between syscalls and the loop, never seen by a guest. */
enum { USER_RESTART = 512, USER_NO_RESULT = 513 };

extern _Thread_local UserThread *user_current;

/* host.c: guest memory from C. Returns the bytes that could not be copied. */
size_t user_copy(void *to, const void *from, size_t n);
/* As REP MOVS / STOS with elements of 1 << log2 bytes: elements not done. */
uint64_t user_rep_movs(void *to, const void *from, uint64_t n, unsigned log2);
uint64_t user_rep_stos(void *to, uint64_t value, uint64_t n, unsigned log2);
/* Makes the call unless *attention; -USER_RESTART when it was not begun or wants to be begun again. */
int64_t user_syscall(_Atomic uint32_t *attention, uint64_t nr, const uint64_t a[6]);
/* A call of ours: not interruptible. */
int64_t user_raw_syscall(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);
/* If rip is in one of these: where to go on. 0: no. fault or interruption. */
uint64_t user_fixup_fault(uint64_t rip);
uint64_t user_fixup_interrupt(uint64_t rip);

static inline bool user_get(uint64_t addr, void *to, size_t n)
{
    return user_copy(to, (const void *)(uintptr_t)addr, n) == 0;
}
static inline bool user_put(uint64_t addr, const void *from, size_t n)
{
    return user_copy((void *)(uintptr_t)addr, from, n) == 0;
}
/* A string of the guest's, at most max - 1 bytes; length or -errno. */
int64_t user_get_string(uint64_t addr, char *to, size_t max);

/* elf.c, stack.c */
typedef struct {
    uint64_t entry, base, phdr, brk, start_code, end_code, start_data, end_data;
    uint16_t phnum, phent;
    char interp[4096];
    bool exec_stack;
} UserImage;
/* Exit status in *status when false: 126, 127. */
bool user_load(UserProcess *p, X86Cpu *cpu, int *status, Error **errp);
bool user_stack_make(UserProcess *p, const UserImage *exe, const UserImage *interp, uint64_t *sp, Error **errp);

/* cpu.c */
void user_cpu_init(X86Cpu *cpu, UserProcess *p);
bool user_cpu_model(UserProcess *p, const char *text, Error **errp);
void user_cpu_go(X86Cpu *cpu, uint64_t rip);

/* code.c */
bool user_code_init(UserProcess *p, Error **errp);
TcgRegion *user_region(UserThread *t, uint64_t pc, uint64_t key);
/* Alone: no other thread is in translated code. */
void user_stop_others(UserThread *t);
void user_start_others(UserThread *t);
/* The host's rights (PROT_*) of a page with these flags that nobody watches. */
int user_host_rights(uint8_t flags);
/* Makes a watched page writable again and drops its code; false: it was not watched. */
bool user_lift(UserProcess *p, uint64_t addr);
/* Before a system call writes to these: lifts all watched pages in them. */
void user_lift_range(UserProcess *p, uint64_t addr, uint64_t size);

/* loop.c */
/* Until the thread ends; the process may end in it. */
void user_loop(UserThread *t);
/* The system call instruction is executed again. */
void user_restart(UserThread *t);

/* fault.c, signal.c, frame.c */
void user_faults_init(UserProcess *p);
void user_signals_init(UserThread *t);
/* Delivers what is pending and not blocked. */
void user_deliver(UserThread *t);
/* A synchronous signal of guest code: delivered even when blocked or ignored (then it kills). */
void user_force_signal(UserThread *t, const siginfo_t *info);
void user_exception(UserThread *t);
bool user_frame_push(UserThread *t, int sig, const UserSigaction *sa, uint64_t old_mask);
int64_t user_frame_pop(UserThread *t);
/* x87 and MXCSR of the guest into its state; they may be changed there. */
void user_save_fpu(UserThread *t);
void user_signals_exec(UserThread *t, bool undo);
_Noreturn void user_die(UserThread *t, int sig);
/* The host's mask follows the guest's. */
void user_sync_mask(UserThread *t);
void user_block_all(UserThread *t);
void user_on_signal(int sig, siginfo_t *info, void *ucontext);
extern const uint64_t user_sync_signals;
static inline uint64_t user_sigbit(int sig)
{
    return 1ull << (sig - 1);
}

/* thread.c */
UserThread *user_thread_new(UserProcess *p, Error **errp);
void user_thread_free(UserThread *t);

/* gdb.c. Those below user_gdb_start() only while gdb_active. */
bool user_gdb_start(UserThread *t, const char *where, Error **errp);
/* Stops all; returns the signal to deliver, 0: none. */
int user_gdb_stop(UserThread *t, int sig, bool announce);
bool user_gdb_is_breakpoint(const UserProcess *p, uint64_t addr);
void user_gdb_patch(const UserProcess *p, uint64_t pc, uint8_t *buf, unsigned len);
bool user_gdb_stepping(const UserThread *t);
bool user_gdb_wants(const UserThread *t, int sig);
void user_gdb_exit(UserThread *t, int status, int sig);
void user_gdb_fork_child(UserProcess *p);

/* syscall.c, strace.c */
typedef int64_t UserSyscallFn(UserThread *t, const uint64_t a[6]);
#define PASS(nr, name, args)
#define OURS(nr, name, args) UserSyscallFn sys_##name;
#define NO(nr, name, args, err)
#include "linux-user/syscalls.def"
#undef PASS
#undef OURS
#undef NO
int64_t user_do_syscall(UserThread *t, uint64_t nr, const uint64_t a[6]);
void user_strace_before(UserThread *t, const char *name, const char *args, const uint64_t a[6]);
void user_strace_after(UserThread *t, const char *args, const uint64_t a[6], int64_t result);

/* proc.c: a file under /proc that we make: a descriptor, or -1 when it is the host's to open. */
int user_proc_open(UserThread *t, const char *path, int flags);
/* Where a path under /proc that names the program leads; NULL: nowhere special. */
const char *user_proc_exe(UserThread *t, const char *path);
void user_proc_describe(UserProcess *p);

#endif
