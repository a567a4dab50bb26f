/* Memory: mmap's family, code that changes, /proc's view of it. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void maps_line(const void *addr, const char *what)
{
    FILE *f = fopen("/proc/self/maps", "r");
    char line[500], rights[8] = "none", name[400] = "";
    unsigned long start, end, offset;
    int found = 0;

    while (fgets(line, sizeof(line), f)) {
        name[0] = 0;
        sscanf(line, "%lx-%lx %4s %lx %*s %*s %399s", &start, &end, rights, &offset, name);
        if ((unsigned long)addr >= start && (unsigned long)addr < end) {
            found = 1;
            break;
        }
    }
    fclose(f);
    printf("maps %s: %s %s\n", what, found ? rights : "none", found && (strchr(name, '[') || strstr(name, "lib")) ? name : "");
}

static void mappings(void)
{
    uint8_t *p = mmap(NULL, 5 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *q;

    memset(p, 7, 5 * 4096);
    maps_line(p, "rw");
    mprotect(p + 4096, 4096, PROT_READ);
    maps_line(p + 4096, "r");
    munmap(p + 2 * 4096, 4096);
    maps_line(p + 2 * 4096, "hole");
    printf("mprotect over a hole: %d %d\n", mprotect(p, 5 * 4096, PROT_READ | PROT_WRITE), errno);
    printf("madvise over a hole: %d %d\n", madvise(p, 5 * 4096, MADV_DONTNEED), errno);
    q = mmap(p + 2 * 4096, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    printf("in the hole: %d\n", q == p + 2 * 4096);
    maps_line(q, "rx");
    printf("occupied: %d %d\n", mmap(p, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED, errno);
    q = mremap(p + 3 * 4096, 8192, 65536, MREMAP_MAYMOVE);
    printf("moved: %d %d\n", q != MAP_FAILED, q[100]);
    q = mremap(q, 65536, 4096, 0);
    maps_line(q, "shrunk");
    maps_line(q + 4096, "gone");
    p = mmap(NULL, 1ul << 42, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    printf("large: %d\n", p != MAP_FAILED);
    mprotect(p + (1ul << 40), 4096, PROT_READ | PROT_WRITE);
    p[1ul << 40] = 1;
    maps_line(p + (1ul << 40), "inside");
    printf("gone: %d\n", munmap(p, 1ul << 42));
    p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    printf("low: %d\n", (uintptr_t)p < 1ul << 32);
    errno = 0;
    printf("errors: %d %d", munmap((void *)1, 4096), errno);
    printf(" %d %d", mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED, errno);
    printf(" %d %d\n", mmap((void *)4097, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED, errno);
    int x;
    maps_line(&x, "stack");
    void *now = sbrk(100000);
    memset(now, 1, 100000);
    maps_line(now, "heap");
    maps_line((void *)&printf, "libc");
    maps_line((void *)getauxval(AT_SYSINFO_EHDR), "vdso");
    printf("back: %d\n", sbrk(-100000) == (char *)now + 100000);
    printf("brk is kept: %d\n", sbrk(0) == now);
}

static void shared_memory(void)
{
    int id = shmget(IPC_PRIVATE, 10000, 0600);
    uint8_t *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);

    a[9000] = 44;
    printf("shm: %d\n", b[9000]);
    maps_line(b, "shm read only");
    printf("%d", shmdt(a));
    printf(" %d\n", shmdt(b));
    maps_line(b, "shm gone");
    shmctl(id, IPC_RMID, NULL);
}

/* Code ----------------------------------------------------------------------------- */

static uint8_t *code;
typedef int Fn(void);

static void put(uint8_t *at, int value)
{
    uint8_t insns[] = { 0xb8, 0, 0, 0, 0, 0xc3 };

    memcpy(insns + 1, &value, 4);
    memcpy(at, insns, 6);
}

static void code_changes(void)
{
    int sum = 0;
    uint8_t self[] = {
        0x31, 0xc0,                                           /* xor eax, eax */
        0xc6, 0x05, 0x01, 0, 0, 0, 0x05,                      /* movb $5, 1(%rip): the immediate of the next */
        0xb8, 1, 0, 0, 0,                                     /* mov eax, 1 */
        0xc3,
    };

    code = mmap(NULL, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int n = 0; n < 1000; n++) {
        put(code, n);
        sum += ((Fn *)code)();
    }
    printf("code written 1000 times: %d\n", sum);
    memcpy(code + 64, self, sizeof(self));
    printf("the next instruction: %d\n", ((Fn *)(code + 64))());
    maps_line(code, "rwx");
    for (int n = 0; n < 100; n++) {
        put(code + 4093, n); /* over two pages */
        sum += ((Fn *)(code + 4093))();
        code[4096 + 1] = 0x12; /* the last byte but one of the immediate, on the second page */
        sum += ((Fn *)(code + 4093))() >> 16;
    }
    printf("over two pages: %d\n", sum);
    mprotect(code, 8192, PROT_READ | PROT_WRITE);
    put(code, 77);
    mprotect(code, 8192, PROT_READ | PROT_EXEC);
    printf("by mprotect: %d", ((Fn *)code)());
    uint8_t *other = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    put(other, 78);
    mprotect(other, 8192, PROT_READ | PROT_EXEC);
    mremap(other, 8192, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, code);
    printf(" by mremap: %d", ((Fn *)code)());
    mmap(code, 8192, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    put(code, 79);
    printf(" by mmap: %d\n", ((Fn *)code)());
}

static void calls_write_code(void)
{
    int p[2], sum = 0;
    uint8_t buf[6];
    struct iovec v;
    struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

    if (pipe(p) || socketpair(AF_UNIX, SOCK_DGRAM, 0, p)) {
        abort();
    }
    put(code, 0);
    sum += ((Fn *)code)();
    for (int n = 1; n < 20; n++) {
        put(buf, n);
        if (write(p[0], buf, 6) != 6) {
            abort();
        }
        v = (struct iovec){ code, 6 };
        if ((n % 3 == 0 ? read(p[1], code, 6) : n % 3 == 1 ? readv(p[1], &v, 1) : recvmsg(p[1], &m, 0)) != 6) {
            printf("failed: %d %d\n", n, errno);
        }
        sum += ((Fn *)code)();
    }
    printf("calls write code: %d\n", sum);
}

static volatile int stop;
static volatile int seen[2];

static void *run_code(void *arg)
{
    int last = 0;

    while (!stop) {
        int v = ((Fn *)(code + 512))();
        if (v < last) {
            printf("backwards: %d after %d\n", v, last);
        }
        last = v;
        seen[(long)arg] = v;
    }
    return NULL;
}

static void code_of_others(void)
{
    pthread_t t[2];

    put(code + 512, 0);
    for (long n = 0; n < 2; n++) {
        pthread_create(&t[n], NULL, run_code, (void *)n);
    }
    for (int n = 1; n < 300; n++) {
        *(volatile int *)(code + 513) = n;
        while (seen[0] != n || seen[1] != n) {
            if (stop) {
                break;
            }
            usleep(1);
        }
    }
    stop = 1;
    pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
    printf("code of other threads: %d %d\n", seen[0], seen[1]);
}

static void no_code(int sig, siginfo_t *info, void *uc)
{
    printf("no code: %d %d at itself %d\n", sig, info->si_code, info->si_addr == (void *)((ucontext_t *)uc)->uc_mcontext.gregs[REG_RIP]);
    fflush(stdout);
    _exit(sig);
}

static void not_executable(void)
{
    uint8_t *data = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction sa = { .sa_sigaction = no_code, .sa_flags = SA_SIGINFO };
    int status;

    put(data, 1);
    for (int n = 0; n < 2; n++) {
        fflush(stdout);
        if (fork() == 0) {
            sigaction(SIGSEGV, &sa, NULL);
            if (n) {
                munmap(data, 4096);
            }
            _exit(((Fn *)data)());
        }
        wait(&status);
        printf("status %x\n", status);
    }
}

static void auxiliary(void)
{
    char link[1000];
    ssize_t n = readlink("/proc/self/exe", link, sizeof(link) - 1);

    link[n < 0 ? 0 : n] = 0;
    printf("exe %s\n", strrchr(link, '/'));
    printf("auxv: page %lu phent %lu uid %lu secure %lu clktck %lu platform %s execfn %s random %d\n", getauxval(AT_PAGESZ),
           getauxval(AT_PHENT), getauxval(AT_UID), getauxval(AT_SECURE), getauxval(AT_CLKTCK), (char *)getauxval(AT_PLATFORM),
           strrchr((char *)getauxval(AT_EXECFN), '/'), getauxval(AT_RANDOM) != 0);
    int fd = open("/proc/self/auxv", O_RDONLY);
    Elf64_auxv_t v[64];
    n = read(fd, v, sizeof(v));
    for (unsigned i = 0; i < n / sizeof(v[0]); i++) {
        if (v[i].a_type == AT_ENTRY) {
            printf("auxv file: %d\n", v[i].a_un.a_val == getauxval(AT_ENTRY));
        }
    }
    close(fd);
    char text[4096] = "";
    fd = open("/proc/self/cmdline", O_RDONLY);
    n = read(fd, text, sizeof(text));
    printf("cmdline: %s length %zd\n", strrchr(text, '/'), n - (ssize_t)strlen(text));
    close(fd);
    fd = open("/proc/self/comm", O_RDONLY);
    n = read(fd, text, sizeof(text));
    printf("comm: %.*s", (int)n, text);
    printf("descriptor: %d\n", fd);
    close(fd);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    auxiliary();
    mappings();
    shared_memory();
    code_changes();
    calls_write_code();
    code_of_others();
    not_executable();
    return 0;
}
