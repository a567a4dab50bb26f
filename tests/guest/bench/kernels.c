/* Small kernels timed inside the guest; each prints "bench NAME SECONDS". Static, no arguments. */
#define _GNU_SOURCE
#include <emmintrin.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

/* Integer: a generator and data-dependent branches. */
static uint64_t integer(void)
{
    uint64_t x = 88172645463325252u, sum = 0;

    for (int i = 0; i < 60000000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        sum += x & 8 ? x >> 3 : i;
    }
    return sum;
}

/* Calls: recursion. */
static __attribute__((noinline)) unsigned fib(unsigned n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static uint64_t calls(void)
{
    return fib(34);
}

/* Double precision, scalar: the n-body step on four bodies. */
static uint64_t doubles(void)
{
    double x[4] = { 0, 1, 2, 4 }, v[4] = { 0, 0.1, -0.1, 0.05 };

    for (int step = 0; step < 1500000; step++) {
        for (int i = 0; i < 4; i++) {
            for (int j = 0; j < 4; j++) {
                double d = x[j] - x[i], r = d * d + 0.01;
                v[i] += i == j ? 0 : 1e-6 * d / (r * __builtin_sqrt(r));
            }
        }
        for (int i = 0; i < 4; i++) {
            x[i] += v[i] * 1e-6;
        }
    }
    return (uint64_t)(x[0] * 1e6) + (uint64_t)(x[3] * 1e6);
}

/* Vector: SSE2 multiply-add over an array in the cache. */
static uint64_t vector(void)
{
    static float a[4096], b[4096];
    float out[4];
    __m128 s = _mm_setzero_ps();

    for (int i = 0; i < 4096; i++) {
        a[i] = i * 0.5f;
        b[i] = 1.0f / (i + 1);
    }
    for (int r = 0; r < 10000; r++) {
        for (int i = 0; i < 4096; i += 4) {
            s = _mm_add_ps(s, _mm_mul_ps(_mm_load_ps(a + i), _mm_load_ps(b + i)));
        }
    }
    _mm_storeu_ps(out, s);
    return (uint64_t)out[0];
}

static uint64_t copies(void)
{
    char *a = malloc(4 << 20), *b = malloc(4 << 20);

    memset(a, 1, 4 << 20);
    for (int i = 0; i < 400; i++) {
        memcpy(b, a, 4 << 20);
        a[i] = b[i + 1];
    }
    return a[3];
}

static uint64_t faults(void)
{
    for (int r = 0; r < 20; r++) {
        size_t len = 4096 * 4000;
        char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (size_t i = 0; i < len; i += 4096) {
            p[i] = 1;
        }
        munmap(p, len);
    }
    return 0;
}

static uint64_t switches(void)
{
    int a[2], b[2];
    char c = 0;

    if (pipe(a) || pipe(b)) {
        return 1;
    }
    if (fork() == 0) {
        while (read(a[0], &c, 1) == 1 && write(b[1], &c, 1) == 1 && c < 1) {
        }
        _exit(0);
    }
    for (int i = 0; i < 30000; i++) {
        c = i == 29999;
        if (write(a[1], &c, 1) != 1 || read(b[0], &c, 1) != 1) {
            return 1;
        }
    }
    wait(NULL);
    return 0;
}

static uint64_t forks(void)
{
    for (int i = 0; i < 300; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            execl("/bin/busybox", "true", (char *)NULL);
            _exit(1);
        }
        waitpid(pid, NULL, 0);
    }
    return 0;
}

static const struct {
    const char *name;
    uint64_t (*run)(void);
} kernels[] = {
    { "integer", integer }, { "calls", calls },   { "double", doubles },    { "vector", vector },
    { "memcpy", copies },   { "faults", faults }, { "switches", switches }, { "fork-exec", forks },
};

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], name)) {
            return true;
        }
    }
    return argc == 1;
}

/* Those named, or all. */
int main(int argc, char **argv)
{
    volatile uint64_t sink = 0;

    for (size_t i = 0; i < sizeof(kernels) / sizeof(*kernels); i++) {
        double t0 = now();

        if (!wanted(kernels[i].name, argc, argv)) {
            continue;
        }
        sink += kernels[i].run();
        printf("bench %s %.3f\n", kernels[i].name, now() - t0);
        fflush(stdout);
    }
    return 0;
}
