/*
 * Compiled C functions run natively and through translation (x86_translate, then the IR's interpreter) with the same memory:
 * results must be the same. What single instructions do is tests/insn's business; here it is what holds them
 * together: regions, jumps, calls, returns, loops of REP, and that a region never reaches past its page.
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "target/i386/gen.h"
#include "target/i386/test-stubs.h"
#include "tcg/interp.h"

#if defined(__x86_64__)

#define GUEST __attribute__((noinline, noclone, target("general-regs-only"), no_sanitize("address", "undefined"), \
                             optimize("no-stack-protector", "no-tree-loop-distribute-patterns")))

enum { MAGIC_RETURN = 0x10, STACK = 1 << 20 };

static IrInterp interp;

/* Of the system part only what strings do in bulk is expected: some elements at a time, now and then none. */
static uint64_t on_helper(const char *name, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    static unsigned calls;
    unsigned size = 1u << (d & 3);
    bool movs = !strcmp(name, "rep_movs");

    g_assert_true(movs || !strcmp(name, "rep_stos"));
    c = c < 7 ? c : calls++ % 7;
    for (uint64_t n = 0; n < c; n++) {
        memcpy((void *)(uintptr_t)(a + n * size), movs ? (void *)(uintptr_t)(b + n * size) : &b, size);
    }
    return c;
}

/* The programs */

static GUEST uint64_t g_mix(uint64_t n, uint64_t seed)
{
    uint64_t h = seed;

    for (uint64_t i = 0; i < n; i++) {
        h ^= i * 0x9e3779b97f4a7c15;
        h = (h << 13 | h >> 51) * 5;
        h += (uint32_t)h / ((i & 7) + 1);
        h ^= (uint64_t)(int8_t)h << 8;
        h -= (int64_t)h % 1000003;
    }
    return h;
}

static GUEST uint64_t g_fib(uint64_t n, uint64_t unused)
{
    return n < 2 ? n : g_fib(n - 1, 0) + g_fib(n - 2, 0);
}

static GUEST uint64_t g_sort(uint64_t n, uint64_t seed)
{
    int32_t v[64];
    uint64_t sum = 0;

    for (unsigned i = 0; i < 64; i++) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        v[i] = (int32_t)(seed >> 33) * (seed & 1 ? -1 : 1);
    }
    for (unsigned i = 1; i < n; i++) {
        int32_t x = v[i];
        unsigned j = i;
        for (; j && v[j - 1] > x; j--) {
            v[j] = v[j - 1];
        }
        v[j] = x;
    }
    for (unsigned i = 0; i < 64; i++) {
        sum = sum * 31 + (uint32_t)v[i];
    }
    return sum;
}

static GUEST uint64_t g_strings(uint64_t n, uint64_t seed)
{
    uint8_t a[300], b[300];
    void *from = a, *to = b;
    uint64_t count = n, equal;

    for (unsigned i = 0; i < 300; i++) {
        a[i] = (uint8_t)(seed >> (i & 31));
    }
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(seed) : "memory");
    to = b;
    count = n / 4;
    __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
    from = a;
    to = b;
    count = n;
    __asm__ volatile("repe cmpsb; setz %%al; movzbl %%al, %%eax" : "=a"(equal), "+D"(to), "+S"(from), "+c"(count) : :
                     "cc", "memory");
    return equal + count * 3 + b[n / 2] * 7 + (uint64_t)((uint8_t *)from - a) * 11;
}

/* One dense switch makes a jump table, and a pointer an indirect call. */
static GUEST uint64_t g_interpret(uint64_t n, uint64_t seed)
{
    uint64_t (*volatile f)(uint64_t, uint64_t) = g_fib;
    uint64_t acc = seed;

    for (uint64_t i = 0; i < n; i++) {
        switch ((acc ^ i) & 7) {
        case 0: acc += 3; break;
        case 1: acc *= 7; break;
        case 2: acc ^= acc >> 9; break;
        case 3: acc = __builtin_bswap64(acc); break;
        case 4: acc -= i; break;
        case 5: acc = acc << 3 | acc >> 61; break;
        case 6: acc += f(i & 7, 0); break;
        case 7: acc = ~acc; break;
        }
    }
    return acc;
}

typedef uint64_t Program(uint64_t, uint64_t);

/* The run loop */

static unsigned fetch(void *opaque, vaddr pc, uint8_t *buf, unsigned len)
{
    vaddr *page = opaque;

    g_assert_cmpuint((pc & 4095) + len, <=, 4096);
    if (*page == 0) {
        *page = pc >> 12;
    }
    /* Only what a first instruction needs may come of another page. */
    g_assert_true(pc >> 12 == *page || (pc >> 12 == *page + 1 && (pc & 4095) == 0));
    memcpy(buf, (void *)(uintptr_t)pc, len);
    return len;
}

static bool load(IrInterp *it, uint64_t addr, void *buf, unsigned size, unsigned mmu)
{
    memcpy(buf, (void *)(uintptr_t)addr, size);
    return true;
}

static bool store(IrInterp *it, uint64_t addr, const void *buf, unsigned size, unsigned mmu)
{
    memcpy((void *)(uintptr_t)addr, buf, size);
    return true;
}

static X86Cpu *new_cpu(void)
{
    X86Cpu *cpu = aligned_alloc(64, (sizeof(X86Cpu) + 63) & ~(size_t)63);

    memset(cpu, 0, sizeof(*cpu));
    memset(cpu->features, 0xff, sizeof(cpu->features));
    cpu->st.eflags = 2;
    return cpu;
}

static const uint64_t key64 = KEY_CODE64 | KEY_PE | KEY_LMA | KEY_CPL | KEY_FLAT_DS | KEY_FLAT_CS | KEY_SS32 | KEY_OSFXSR;

static uint64_t run(Program *f, uint64_t a, uint64_t b, unsigned max_insns, uint64_t key)
{
    X86Cpu *cpu = new_cpu();
    uint8_t *stack = aligned_alloc(16, STACK);
    uint64_t *sp = (uint64_t *)(stack + STACK - 64), result;
    IrRegion r;

    g_assert_true(ir_region_init(&r, &x86_tcg_guest));
    *--sp = MAGIC_RETURN;
    cpu->st.gpr[R_RSP] = (uintptr_t)sp;
    cpu->st.gpr[R_RDI] = a;
    cpu->st.gpr[R_RSI] = b;
    cpu->pc = (uintptr_t)f;
    x86_stub_hook = on_helper;
    interp = (IrInterp){ .state = cpu, .load = load, .store = store };
    while (cpu->pc != MAGIC_RETURN) {
        vaddr page = 0;
        X86Translate t = { .r = &r, .cpu = cpu, .pc = cpu->pc, .key = key, .max_insns = max_insns, .fetch = fetch,
                           .opaque = &page };
        const char *wrong;
        uint32_t at;
        IrStop stop;

        ir_region_reset(&r);
        x86_translate(&t);
        wrong = ir_verify(&r, &at);
        if (wrong) {
            g_error("region at 0x%lx: %s (op %u)", (unsigned long)t.pc, wrong, at);
        }
        stop = ir_interp(&interp, &r);
        if (stop.reason == IR_STOP_LEAVE) {
            g_assert_cmpuint(stop.slot, ==, LEAVE_STEP);
        } else {
            g_assert_true(stop.reason == IR_STOP_EXIT || stop.reason == IR_STOP_EXIT_IND);
            cpu->pc = stop.pc;
        }
    }
    g_assert_false(interp.undefined_used);
    g_assert_cmpuint(cpu->st.gpr[R_RSP], ==, (uintptr_t)(sp + 1));
    result = cpu->st.gpr[R_RAX];
    ir_interp_finish(&interp);
    ir_region_finish(&r);
    free(stack);
    free(cpu);
    return result;
}

static void check(Program *f, uint64_t a, uint64_t b)
{
    uint64_t want = f(a, b);

    g_assert_cmphex(run(f, a, b, 64, key64), ==, want);
    g_assert_cmphex(run(f, a, b, 3, key64), ==, want);
    g_assert_cmphex(run(f, a, b, 64, key64 | KEY_ONE_INSN), ==, want);
}

static void test_programs(void)
{
    for (uint64_t seed = 1; seed < 4; seed++) {
        check(g_mix, 50, seed * 0x123456789);
        check(g_fib, 7 + seed, 0);
        check(g_sort, 40 + seed, seed);
        check(g_strings, 100 * seed - 3, seed * 0x01010101);
        check(g_interpret, 100, seed * 77);
    }
}

/* Any bytes in any mode make a region that the translator's other parts take. */

static unsigned fetch_buffer(void *opaque, vaddr pc, uint8_t *buf, unsigned len)
{
    const uint8_t *code = opaque;

    g_assert_cmpuint((pc & 4095) + len, <=, 4096);
    memcpy(buf, code + (pc & 8191), len);
    return len;
}

static void put_random_code(GRand *rng, uint8_t *code)
{
    static const uint8_t common[] = { 0x0f, 0x66, 0x48, 0x8b, 0x89, 0x01, 0xf3, 0xc8, 0xff, 0x26, 0x2e, 0x67 };

    for (unsigned n = 0; n < 8192; n++) {
        code[n] = g_rand_boolean(rng) ? (uint8_t)(g_rand_int(rng) >> 9) : common[(g_rand_int(rng) >> 9) % sizeof(common)];
    }
    if (g_rand_boolean(rng)) { /* the longest there is, over and over: ENTER with 31 levels */
        for (unsigned n = 0; n < 8192; n++) {
            code[n] = "\xc8\x10\x00\x1f"[n & 3];
        }
    }
}

static void test_any_bytes(void)
{
    GRand *rng = g_rand_new_with_seed(1);
    X86Cpu *cpu = new_cpu();
    uint8_t *code = g_malloc(8192);
    uint64_t insns = 0, most = 0;
    IrRegion r;

    g_assert_true(ir_region_init(&r, &x86_tcg_guest));
    for (unsigned n = 0; n < 20000; n++) {
        vaddr pc = 0x100000 + ((g_rand_int(rng) >> 8) & 4095);
        X86Translate t = { .r = &r, .cpu = cpu, .pc = pc, .max_insns = 1 + n % 200, .fetch = fetch_buffer, .opaque = code };
        const char *wrong;
        uint32_t at;

        t.key = g_rand_int(rng) | (n & 1 ? 0 : (uint64_t)(g_rand_int(rng) & 0xfffff0) << 32);
        t.key &= n & 2 ? ~(uint64_t)(KEY_TF | KEY_SHADOW | KEY_ONE_INSN | KEY_DR7) : ~0ull;
        if (n % 64 == 0) {
            put_random_code(rng, code);
        }
        memset(cpu->features, n & 4 ? 0xff : 0, sizeof(cpu->features));
        ir_region_reset(&r);
        x86_translate(&t);
        wrong = ir_verify(&r, &at);
        if (wrong) {
            g_error("region %u, key %#lx: %s (op %u)", n, (unsigned long)t.key, wrong, at);
        }
        g_assert_cmpuint(t.num_insns, >, 0);
        insns += t.num_insns;
        most = r.num_insns > most ? r.num_insns : most;
    }
    g_test_message("%lu instructions; the largest region has %lu ops", (unsigned long)insns, (unsigned long)most);
    g_free(code);
    g_rand_free(rng);
    ir_region_finish(&r);
    free(cpu);
}

/* Time to translate, without running: the aim is under 150 ns per instruction. */
static void test_speed(void)
{
    X86Cpu *cpu = new_cpu();
    struct timespec a, b;
    uint64_t insns = 0, ops = 0;
    IrRegion r;
    double ns;

    g_assert_true(ir_region_init(&r, &x86_tcg_guest));
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (unsigned n = 0; n < 2000; n++) {
        static Program *const all[] = { g_mix, g_fib, g_sort, g_interpret };
        vaddr page = 0, pc = (uintptr_t)all[n % 4] + 0;
        X86Translate t = { .r = &r, .cpu = cpu, .pc = pc, .key = key64, .max_insns = 64, .fetch = fetch, .opaque = &page };
        ir_region_reset(&r);
        x86_translate(&t);
        insns += t.num_insns;
        ops += r.num_insns;
    }
    clock_gettime(CLOCK_MONOTONIC, &b);
    ns = (double)(b.tv_sec - a.tv_sec) * 1e9 + (double)(b.tv_nsec - a.tv_nsec);
    g_test_message("%.1f ns and %.1f ops per guest instruction, %.1f instructions per region", ns / (double)insns,
                   (double)ops / (double)insns, (double)insns / 2000);
    g_assert_cmpuint(insns, >, 2000);
    ir_region_finish(&r);
    free(cpu);
}
#endif

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#if defined(__x86_64__)
    g_test_add_func("/i386/translate/programs", test_programs);
    g_test_add_func("/i386/translate/any-bytes", test_any_bytes);
    g_test_add_func("/i386/translate/speed", test_speed);
#endif
    return g_test_run();
}
