/* Signals as a process sees them: what it prints natively is what is expected. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t count;
static siginfo_t last;
static ucontext_t context;
static uint64_t mask_inside;
static sigjmp_buf env;
static void *fault_at;

static void set(int sig, void (*fn)(int, siginfo_t *, void *), int flags, int also)
{
    struct sigaction sa = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags };

    sigemptyset(&sa.sa_mask);
    if (also) {
        sigaddset(&sa.sa_mask, also);
    }
    sigaction(sig, &sa, NULL);
}

static uint64_t blocked(void)
{
    sigset_t s;
    uint64_t v;

    sigprocmask(SIG_BLOCK, NULL, &s);
    memcpy(&v, &s, 8);
    return v;
}

static void note(int sig, siginfo_t *info, void *uc)
{
    count++;
    last = *info;
    context = *(ucontext_t *)uc;
    mask_inside = blocked();
}

static void basic(void)
{
    union sigval v = { .sival_int = 4711 };

    set(SIGUSR1, note, 0, SIGUSR2);
    raise(SIGUSR1);
    printf("raise: %d code %d pid %d mask %lx frame mask %lx\n", last.si_signo, last.si_code, last.si_pid == getpid(),
           mask_inside, *(uint64_t *)&context.uc_sigmask);
    kill(getpid(), SIGUSR1);
    printf("kill: %d code %d count %d, after %lx\n", last.si_signo, last.si_code, count, blocked());
    sigqueue(getpid(), SIGUSR1, v);
    printf("queue: code %d value %d\n", last.si_code, last.si_value.sival_int);
    set(SIGUSR1, note, SA_NODEFER, 0);
    raise(SIGUSR1);
    printf("nodefer: mask %lx\n", mask_inside);
    set(SIGUSR1, note, SA_RESETHAND, 0);
    raise(SIGUSR1);
    struct sigaction sa;
    sigaction(SIGUSR1, NULL, &sa);
    printf("resethand: %d\n", sa.sa_handler == SIG_DFL);
    printf("errors: %d %d %d\n", sigaction(SIGKILL, &sa, NULL), errno, sigaction(65, &sa, NULL));
}

static int order[64], num_order;

static void in_order(int sig, siginfo_t *info, void *uc)
{
    order[num_order++] = sig * 100 + info->si_value.sival_int;
}

static void queued(void)
{
    sigset_t all, old;
    union sigval v;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &old);
    for (int n = 0; n < 3; n++) {
        v.sival_int = n;
        set(SIGRTMIN + 2, in_order, 0, 0);
        set(SIGRTMIN + 1, in_order, 0, 0);
        set(SIGUSR2, in_order, 0, 0);
        sigqueue(getpid(), SIGRTMIN + 2, v);
        sigqueue(getpid(), SIGRTMIN + 1, v);
        sigqueue(getpid(), SIGUSR2, v);
    }
    sigset_t pending;
    sigpending(&pending);
    printf("pending %d %d %d\n", sigismember(&pending, SIGUSR2), sigismember(&pending, SIGRTMIN + 1), sigismember(&pending, SIGUSR1));
    struct timespec now = { 0 };
    siginfo_t info;
    sigset_t one;
    sigemptyset(&one);
    sigaddset(&one, SIGRTMIN + 2);
    printf("timedwait %d value %d\n", sigtimedwait(&one, &info, &now) - SIGRTMIN, info.si_value.sival_int);
    sigprocmask(SIG_SETMASK, &old, NULL);
    printf("number %d\n", num_order);
    qsort(order, num_order, sizeof(int), (int (*)(const void *, const void *))strcmp);
    int sum = 0;
    for (int n = 0; n < num_order; n++) {
        sum += order[n] - (order[n] / 100 == SIGUSR2 ? 0 : SIGRTMIN * 100);
    }
    printf("sum %d\n", sum);
}

/* Faults ------------------------------------------------------------------------ */

static void skip(int sig, siginfo_t *info, void *ucontext)
{
    ucontext_t *uc = ucontext;

    count++;
    last = *info;
    context = *uc;
    fault_at = info->si_addr;
    uc->uc_mcontext.gregs[REG_RIP] += uc->uc_mcontext.gregs[REG_R9];
    uc->uc_mcontext.gregs[REG_R8] = 0x1234;
}

#define TRY(name, len, insns, ...)                                                                                   \
    do {                                                                                                             \
        uint64_t r8 = 5, here;                                                                                       \
        count = 0;                                                                                                   \
        memset(&last, 0, sizeof(last));                                                                              \
        __asm__ volatile("mov %2, %%r9\n\tlea 1f(%%rip), %1\n\tmov %0, %%r8\n\tstc\n1:\t" insns "\n\tmov %%r8, %0"   \
                         : "+r"(r8), "=&r"(here) : "i"(len), ##__VA_ARGS__ : "r8", "r9", "rax", "rdx", "memory", "cc");\
        printf("%s: signal %d code %d count %d r8 %lx rip %ld trap %lld err %llx flags %llx\n", name, last.si_signo,   \
               last.si_code, count, r8, (long)(context.uc_mcontext.gregs[REG_RIP] - here),                           \
               context.uc_mcontext.gregs[REG_TRAPNO], context.uc_mcontext.gregs[REG_ERR],                            \
               context.uc_mcontext.gregs[REG_EFL] & 0x10000);                                                        \
        printf("  addr is %s\n", last.si_addr == (void *)here ? "rip" : !last.si_addr ? "0" : "another");             \
    } while (0)

static void faults(void)
{
    uint8_t *none = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *ro = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    set(SIGSEGV, skip, 0, 0);
    set(SIGFPE, skip, 0, 0);
    set(SIGILL, skip, 0, 0);
    set(SIGTRAP, skip, 0, 0);
    set(SIGBUS, skip, 0, 0);
    TRY("read", 3, "mov (%3), %%eax\n\tnop", "r"(none));
    printf("  %d\n", fault_at == none);
    TRY("write", 3, "movl %%eax, (%3)\n\tnop", "r"(ro + 17));
    printf("  %d\n", fault_at == ro + 17);
    TRY("null", 3, "mov (%3), %%eax\n\tnop", "r"((void *)0));
    TRY("not canonical", 3, "mov (%3), %%eax\n\tnop", "r"(0x8000000000000000));
    TRY("ud2", 2, "ud2");
    TRY("hlt", 1, "hlt");
    TRY("in", 1, "in %%dx, %%al");
    TRY("cli", 1, "cli");
    TRY("int3", 0, "int3");
    TRY("int 0x81", 2, "int $0x81");
    TRY("div", 2, "div %3", "r"(0));
    TRY("idiv", 3, "mov $1<<31, %%edx\n\tmov $0, %%eax\n\tidiv %3", "r"(-1));
    TRY("unaligned", 4, "movaps 1(%3), %%xmm0", "r"(ro));
    int fd = memfd_create("x", 0);
    uint8_t *file = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
    TRY("bus", 3, "mov (%3), %%eax\n\tnop", "r"(file + 4096));
    printf("  %d\n", fault_at == file + 4096);
    uint32_t csr = 0x1f80 & ~0x200, old;
    __asm__("stmxcsr %0" : "=m"(old));
    TRY("sse divide", 4, "ldmxcsr %3\n\tpxor %%xmm0, %%xmm0\n\tmovss %4, %%xmm1\n\tdivss %%xmm0, %%xmm1", "m"(csr), "m"(*(float[]){ 1 }));
    __asm__("ldmxcsr %0" : : "m"(old));
    uint16_t cw = 0x37f & ~4;
    TRY("x87 divide", 1, "fninit\n\tfldcw %3\n\tfld1\n\tfldz\n\tfdivrp\n\tfwait\n\tnop", "m"(cw));
    __asm__("fninit");
    TRY("jump to data", 0, "mov $7, %%eax");
}

static void jump_out(int sig, siginfo_t *info, void *uc)
{
    count++;
    siglongjmp(env, 1);
}

static void jumps(void)
{
    set(SIGSEGV, jump_out, 0, 0);
    count = 0;
    for (volatile int n = 0; n < 20000; n++) {
        if (!sigsetjmp(env, 1)) {
            *(volatile int *)8 = n;
        }
    }
    printf("jumps out of handlers: %d\n", count);
}

static uint8_t page[8192] __attribute__((aligned(4096)));

static void unprotect(int sig, siginfo_t *info, void *uc)
{
    count++;
    mprotect(page, 8192, PROT_READ | PROT_WRITE);
}

static void returns(void)
{
    set(SIGSEGV, unprotect, 0, 0);
    count = 0;
    mprotect(page, 8192, PROT_READ);
    page[100] = 7;
    mprotect(page + 4096, 4096, PROT_READ);
    memset(page + 1, 3, 8000);
    mprotect(page + 4096, 4096, PROT_NONE);
    memcpy(page + 4000, page + 1, 200);
    __asm__ volatile("fldt %0\n\tfstpt %1" : : "m"(page[0]), "m"(page[4090]));
    printf("stores done again: %d %d %d %d\n", count, page[100], page[8000], page[8001]);
}

/* Contexts ------------------------------------------------------------------------------- */

static void change_registers(int sig, siginfo_t *info, void *ucontext)
{
    ucontext_t *uc = ucontext;
    struct _libc_fpstate *fp = uc->uc_mcontext.fpregs;

    uc->uc_mcontext.gregs[REG_RBX] = 0xabcdef;
    fp->_xmm[7].element[0] += 1;
    fp->_xmm[15].element[3] = 0x99;
    fp->mxcsr |= 0x8000;
    printf("frame: xmm7 %x st0 %x %x cwd %x mxcsr %x on signal stack %d aligned %d\n", fp->_xmm[7].element[0],
           fp->_st[0].exponent, fp->_st[0].significand[3], fp->cwd, fp->mxcsr, 0, (int)((uintptr_t)fp & 15));
    __asm__ volatile("pxor %%xmm7, %%xmm7\n\tfninit" : : : "xmm7");
}

static void contexts(void)
{
    uint64_t rbx;
    uint32_t xmm7[4] = { 41, 2, 3, 4 }, xmm15[4] = { 0 }, csr = 0;
    long double st = 0;

    set(SIGUSR1, change_registers, 0, 0);
    __asm__ volatile("mov $5, %%rbx\n\tmovups %4, %%xmm7\n\tpxor %%xmm15, %%xmm15\n\tfldpi\n\tmov $39, %%eax\n\tsyscall\n\t"
                     "mov %%eax, %%edi\n\tmov $10, %%esi\n\tmov $62, %%eax\n\tsyscall\n\tmov %%rbx, %0\n\tmovups %%xmm7, %1\n\t"
                     "movups %%xmm15, %2\n\tfstpt %3\n\tstmxcsr %5"
                     : "=&r"(rbx), "=m"(xmm7), "=m"(xmm15), "=m"(st), "+m"(xmm7), "=m"(csr)
                     : : "rax", "rbx", "rcx", "rdi", "rsi", "r11", "xmm7", "xmm15", "memory");
    printf("after: rbx %lx xmm7 %u %u xmm15 %x pi %.17Lg mxcsr %x\n", rbx, xmm7[0], xmm7[3], xmm15[3], st, csr & 0xff80);
    csr = 0x1f80;
    __asm__("ldmxcsr %0" : : "m"(csr));
}

static char alt[65536];
static int depth;

static void on_alt(int sig, siginfo_t *info, void *uc)
{
    char here;
    stack_t now;

    sigaltstack(NULL, &now);
    printf("on alternate stack: %d flags %d saved %d\n", &here >= alt && &here < alt + sizeof(alt), now.ss_flags,
           ((ucontext_t *)uc)->uc_stack.ss_size == sizeof(alt));
    if (depth++ == 0) {
        raise(SIGUSR2);
        now.ss_flags = 0;
        printf("change on it: %d %d\n", sigaltstack(&now, NULL), errno);
    }
}

static int overflow(int n)
{
    volatile char big[65536];

    big[0] = (char)n;
    return overflow(n + 1) + big[0];
}

static void altstack(void)
{
    stack_t s = { .ss_sp = alt, .ss_size = sizeof(alt) }, small = { .ss_sp = alt, .ss_size = 100 };

    printf("too small: %d %d\n", sigaltstack(&small, NULL), errno);
    sigaltstack(&s, NULL);
    set(SIGUSR1, on_alt, SA_ONSTACK, 0);
    set(SIGUSR2, on_alt, SA_ONSTACK, 0);
    raise(SIGUSR1);
    set(SIGSEGV, jump_out, SA_ONSTACK, 0);
    count = 0;
    if (!sigsetjmp(env, 1)) {
        overflow(1);
    }
    printf("stack overflow caught: %d\n", count);
    s.ss_flags = SS_DISABLE;
    sigaltstack(&s, NULL);
}

/* Interrupted calls ---------------------------------------------------------------------- */

static void timer(int ms)
{
    struct itimerval it = { .it_value = { ms / 1000, ms % 1000 * 1000 } };

    setitimer(ITIMER_REAL, &it, NULL);
}

static int pipes[2];

static void write_pipe(int sig, siginfo_t *info, void *uc)
{
    count++;
    if (write(pipes[1], "x", 1) != 1) {
        abort();
    }
}

static void interrupted(void)
{
    struct pollfd p;
    sigset_t none, block, old;
    char c;
    ssize_t n;

    if (pipe(pipes)) {
        abort();
    }
    set(SIGALRM, note, 0, 0);
    timer(20);
    n = read(pipes[0], &c, 1);
    printf("read without restart: %zd %d\n", n, errno);
    set(SIGALRM, write_pipe, SA_RESTART, 0);
    timer(20);
    n = read(pipes[0], &c, 1);
    printf("read with restart: %zd %c\n", n, c);
    p = (struct pollfd){ .fd = pipes[0], .events = POLLIN };
    set(SIGALRM, note, SA_RESTART, 0);
    timer(20);
    n = poll(&p, 1, 2000);
    printf("poll: %zd %d\n", n, errno);
    timer(20);
    struct timespec t = { 2, 0 }, rest;
    n = nanosleep(&t, &rest);
    printf("nanosleep: %zd %d %ld\n", n, errno, rest.tv_sec);
    timer(20);
    n = pause();
    printf("pause: %zd %d\n", n, errno);
    sigemptyset(&none);
    sigemptyset(&block);
    sigaddset(&block, SIGALRM);
    sigprocmask(SIG_BLOCK, &block, &old);
    raise(SIGALRM);
    count = 0;
    n = sigsuspend(&none);
    printf("sigsuspend: %zd %d count %d inside %lx frame %lx after %lx\n", n, errno, count, mask_inside,
           *(uint64_t *)&context.uc_sigmask, blocked());
    raise(SIGALRM);
    n = ppoll(&p, 1, &t, &none);
    printf("ppoll: %zd %d count %d after %lx\n", n, errno, count, blocked());
    n = ppoll(&p, 1, &(struct timespec){ 0, 1000 }, &none);
    printf("ppoll: %zd after %lx\n", n, blocked());
    int fd = signalfd(-1, &block, 0);
    struct signalfd_siginfo si;
    raise(SIGALRM);
    n = read(fd, &si, sizeof(si));
    printf("signalfd: %zd %d\n", n, si.ssi_signo);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

static void loops(void)
{
    struct itimerval it = { .it_interval = { 0, 1000 }, .it_value = { 0, 1000 } };

    set(SIGALRM, note, 0, 0);
    count = 0;
    setitimer(ITIMER_REAL, &it, NULL);
    __asm__ volatile("1:\tcmpl $50, %0\n\tjl 1b" : : "m"(count) : "cc");
    timer(0);
    printf("tight loop left: %d\n", count >= 50);
}

/* Ends --------------------------------------------------------------------------------------- */

static int child(void (*fn)(void))
{
    int status;

    fflush(stdout);
    if (fork() == 0) {
        if (!freopen("/dev/null", "w", stderr)) {
            abort();
        }
        signal(SIGSEGV, SIG_DFL);
        signal(SIGFPE, SIG_DFL);
        signal(SIGILL, SIG_DFL);
        signal(SIGTRAP, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        fn();
        _exit(0);
    }
    wait(&status);
    return status & ~0x80;
}

static void die_segv(void) { *(volatile int *)8 = 1; }
static void die_ignored(void) { signal(SIGSEGV, SIG_IGN); *(volatile int *)8 = 1; }
static void die_blocked(void)
{
    sigset_t s;

    sigfillset(&s);
    sigprocmask(SIG_BLOCK, &s, NULL);
    set(SIGSEGV, note, 0, 0);
    *(volatile int *)8 = 1;
}
static void die_abort(void) { abort(); }
static void die_term(void) { kill(getpid(), SIGTERM); }
static void die_kill(void) { kill(getpid(), SIGKILL); }
static void die_sent_segv(void) { kill(getpid(), SIGSEGV); }
static void live_ignored(void) { signal(SIGFPE, SIG_IGN); kill(getpid(), SIGFPE); }
static void die_stack(void)
{
    stack_t s = { .ss_sp = (void *)8, .ss_size = 65536 };

    sigaltstack(&s, NULL);
    set(SIGUSR1, note, SA_ONSTACK, 0);
    raise(SIGUSR1);
}
static void held_segv(void)
{
    sigset_t s, pending;

    sigemptyset(&s);
    sigaddset(&s, SIGSEGV);
    sigprocmask(SIG_BLOCK, &s, NULL);
    set(SIGSEGV, note, 0, 0);
    count = 0;
    kill(getpid(), SIGSEGV);
    sigpending(&pending);
    if (count || !sigismember(&pending, SIGSEGV)) {
        _exit(1);
    }
    sigprocmask(SIG_UNBLOCK, &s, NULL);
    _exit(count == 1 ? 0 : 2);
}

static void ends(void)
{
    printf("ends: %x %x %x %x %x %x %x %x %x %x\n", child(die_segv), child(die_ignored), child(die_blocked), child(die_abort),
           child(die_term), child(die_kill), child(die_sent_segv), child(live_ignored), child(die_stack), child(held_segv));
}

static int steps;

static void step(int sig, siginfo_t *info, void *uc)
{
    steps++;
    last = *info;
}

static void single_step(void)
{
    set(SIGTRAP, step, 0, 0);
    __asm__ volatile("pushfq\n\torl $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tmov $1, %%eax\n\tadd $2, %%eax\n\tpushfq\n\t"
                     "andl $~0x100, (%%rsp)\n\tpopfq\n\tnop" : : : "rax", "memory", "cc");
    printf("steps: %d code %d\n", steps, last.si_code);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    basic();
    queued();
    faults();
    jumps();
    returns();
    contexts();
    altstack();
    interrupted();
    loops();
    single_step();
    ends();
    return 0;
}
