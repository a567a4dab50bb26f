/*
 * What translated code asks of the system part (target/i386/sys-helpers.def), for a Linux process: exceptions are noted for the
 * run loop, segments are those Linux gives a 64-bit process, everything privileged is #GP(0) (cpu-refuse.c). SDM vol. 3, 6.15;
 * the values of control registers are those under which Linux runs processes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "linux-user/linux-user.h"
#include "target/i386/decode.h"
#include "target/i386/fp-helpers.h"
#include "target/i386/models.h"

enum { SEL_CODE = 0x33, SEL_DATA = 0x2b, SEL_CODE32 = 0x23 };

void user_cpu_go(X86Cpu *cpu, uint64_t rip)
{
    cpu->st.rip = rip;
    cpu->pc = rip;
}

static bool has(const X86Cpu *cpu, unsigned word, unsigned bit)
{
    return cpu->features[word] >> bit & 1;
}

static void init_segments(X86Cpu *cpu)
{
    X86Segment null = { .limit = 0, .attributes = X86_SEG_UNUSABLE };

    for (unsigned n = 0; n < 6; n++) {
        cpu->st.seg[n] = null;
    }
    cpu->st.seg[S_CS] = (X86Segment){ .selector = SEL_CODE, .limit = UINT32_MAX, .attributes = 0xa0fb };
    cpu->st.seg[S_SS] = (X86Segment){ .selector = SEL_DATA, .limit = UINT32_MAX, .attributes = 0xc0f3 };
}

void user_cpu_init(X86Cpu *cpu, UserProcess *p)
{
    X86State *st = &cpu->st;
    bool xsave;

    cpu->topology_threads = cpu->topology_cores = 1;
    x86_cpu_set_model(cpu, p->model);
    memcpy(cpu->features, p->features, sizeof(cpu->features));
    x86_reset_state(cpu);
    memset(st->gpr, 0, sizeof(st->gpr));
    init_segments(cpu);
    xsave = has(cpu, X86_WORD_1_ECX, 26);
    st->eflags = FL_IF | 2;
    st->cr0 = 0x80050033;
    st->cr4 = X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT | X86_CR4_PAE | X86_CR4_PGE | X86_CR4_MCE | X86_CR4_DE | X86_CR4_PSE;
    st->cr4 |= has(cpu, X86_WORD_7_EBX, 0) ? X86_CR4_FSGSBASE : 0;
    st->cr4 |= has(cpu, X86_WORD_7_ECX, 2) ? X86_CR4_UMIP : 0;
    st->cr4 |= xsave ? X86_CR4_OSXSAVE : 0;
    st->xcr0 = xsave ? (has(cpu, X86_WORD_1_ECX, 28) ? 7 : 3) : 1;
    st->efer = X86_EFER_SCE | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE;
    st->fcw = 0x37f;
    st->ftw = 0;
    st->mxcsr = 0x1f80;
    x86_go(cpu, 0);
    x86_fpu_load(cpu);
}

/* Exceptions ------------------------------------------------------------------------- */

#pragma GCC push_options
#pragma GCC target("general-regs-only") /* vector registers are the guest's between a helper and the way out */

void x86_raise(X86Cpu *cpu, unsigned vector, uint32_t error)
{
    UserThread *t = user_current;

    t->exc_vector = vector;
    t->exc_error = error;
    tcg_raise(t->p->cache, cpu);
}

uint64_t x86_sys_raise(X86Cpu *cpu, uint64_t vector, uint64_t error)
{
    x86_raise(cpu, (unsigned)vector, (uint32_t)error);
}

#pragma GCC pop_options

/* Gates of Linux: INT3 and INTO are open to processes; others are #GP with the selector of the gate (6.12.1.2). */
uint64_t x86_sys_interrupt(X86Cpu *cpu, uint64_t vector, uint64_t ip, uint64_t kind)
{
    if (kind == INT_N && vector != EXC_BP && vector != EXC_OF) {
        x86_raise(cpu, EXC_GP, (uint32_t)(vector << 3 | 2));
    }
    user_current->exc_vector = kind == INT_1 ? EXC_DB : (unsigned)vector;
    user_current->exc_error = 0;
    user_current->trap = true;
    user_cpu_go(cpu, ip);
    return 0;
}

uint64_t x86_sys_syscall(X86Cpu *cpu, uint64_t ip)
{
    cpu->st.gpr[R_RCX] = ip;
    cpu->st.gpr[R_R11] = x86_get_rflags(cpu);
    user_current->in_syscall = true;
    user_cpu_go(cpu, ip);
    return 0;
}

/* Segments --------------------------------------------------------------------------- */

/* In 64-bit mode nothing of a data segment but the base of FS and GS matters, and a loaded selector makes that 0. */
uint64_t x86_sys_load_seg(X86Cpu *cpu, uint64_t seg, uint64_t selector)
{
    X86Segment *s = &cpu->st.seg[seg];
    bool null = selector < 4, data = (selector | 3) == SEL_DATA;

    if ((seg == S_SS && (null || !data)) || (!null && !data && (selector | 3) != SEL_CODE && (selector | 3) != SEL_CODE32)) {
        x86_raise(cpu, EXC_GP, selector & 0xfffc);
    }
    *s = (X86Segment){ .selector = (uint16_t)selector, .limit = null ? 0 : UINT32_MAX,
                       .attributes = null ? X86_SEG_UNUSABLE : data ? 0xc0f3 : 0xa0fb };
    x86_update_key(cpu);
    return 0;
}

uint64_t x86_sys_check_segment(X86Cpu *cpu, uint64_t seg, uint64_t offset, uint64_t bytes, uint64_t write)
{
    return 0; /* 64-bit mode: nothing to check */
}

static bool canonical(uint64_t addr)
{
    return (int64_t)(addr << 16) >> 16 == (int64_t)addr;
}

uint64_t x86_sys_write_base(X86Cpu *cpu, uint64_t seg, uint64_t value)
{
    if (!canonical(value)) {
        x86_raise(cpu, EXC_GP, 0);
    }
    cpu->st.seg[seg].base = value;
    return 0;
}

/* The descriptors a process sees are the host's; the host answers. */
uint64_t x86_sys_lar(X86Cpu *cpu, uint64_t selector)
{
    uint32_t v = 0;
    bool ok;

    __asm__("lar %2, %0" : "+r"(v), "=@ccz"(ok) : "r"((uint32_t)selector));
    return ok ? v | 1ull << 32 : 0;
}

uint64_t x86_sys_lsl(X86Cpu *cpu, uint64_t selector)
{
    uint32_t v = 0;
    bool ok;

    __asm__ volatile("lsl %2, %0" : "+r"(v), "=@ccz"(ok) : "r"((uint32_t)selector));
    return ok ? v | 1ull << 32 : 0;
}

uint64_t x86_sys_verify(X86Cpu *cpu, uint64_t selector, uint64_t write)
{
    bool r, w;

    __asm__("verr %w1" : "=@ccz"(r) : "r"((uint32_t)selector));
    __asm__("verw %w1" : "=@ccz"(w) : "r"((uint32_t)selector));
    return write ? w : r;
}

/* Flags, time, memory ------------------------------------------------------------------ */

/* SDM vol. 2, POPF at CPL 3: IF and IOPL stay, as do VM, VIF, VIP, RF. */
uint64_t x86_sys_popf(X86Cpu *cpu, uint64_t value, uint64_t osize)
{
    uint64_t mask = FL_STATUS | FL_TF | FL_DF | FL_NT | (osize == W16 ? 0 : FL_AC | FL_ID);

    x86_set_rflags(cpu, value, mask);
    x86_update_key(cpu);
    return 0;
}

/* The host's counter, so that the clock pages of the kernel and it agree. */
uint64_t x86_sys_rdtsc(X86Cpu *cpu)
{
    uint32_t low, high, aux;

    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(aux));
    cpu->st.tsc_aux = aux;
    return low | (uint64_t)high << 32;
}

uint64_t x86_sys_xgetbv(X86Cpu *cpu, uint64_t index)
{
    if (!(cpu->st.cr4 & X86_CR4_OSXSAVE)) {
        x86_raise(cpu, EXC_UD, 0);
    }
    if (index) {
        x86_raise(cpu, EXC_GP, 0);
    }
    return cpu->st.xcr0;
}

/* Large pieces, but not so large that a signal has to wait. */
enum { MAX_BULK = 1 << 20 };

static bool bulk_is_ok(const X86Cpu *cpu)
{
    return !(cpu->st.eflags & FL_DF);
}

/* A fault is not one yet: the instruction goes on one by one and meets it with all registers right. */
static uint64_t done(uint64_t n, uint64_t left)
{
    user_current->fault_seen = user_current->fault_in_copy = false;
    return n - left;
}

uint64_t x86_sys_rep_movs(X86Cpu *cpu, uint64_t to, uint64_t from, uint64_t elements, uint64_t how)
{
    unsigned log2 = how & 3;
    uint64_t n = elements < MAX_BULK >> log2 ? elements : MAX_BULK >> log2;

    return bulk_is_ok(cpu) ? done(n, user_rep_movs((void *)(uintptr_t)to, (void *)(uintptr_t)from, n, log2)) : 0;
}

uint64_t x86_sys_rep_stos(X86Cpu *cpu, uint64_t to, uint64_t value, uint64_t elements, uint64_t how)
{
    unsigned log2 = how & 3;
    uint64_t n = elements < MAX_BULK >> log2 ? elements : MAX_BULK >> log2;

    return bulk_is_ok(cpu) ? done(n, user_rep_stos((void *)(uintptr_t)to, value, n, log2)) : 0;
}

/* A write that changes nothing: the fault it makes is the one the instruction would have made. */
uint64_t x86_sys_probe_write(X86Cpu *cpu, uint64_t addr, uint64_t bytes)
{
    volatile uint8_t *first = (volatile uint8_t *)(uintptr_t)addr, *last = first + bytes - 1;

    __atomic_fetch_or(first, 0, __ATOMIC_RELAXED);
    __atomic_fetch_or(last, 0, __ATOMIC_RELAXED);
    return 0;
}

/* Models --------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint8_t word, bit;
} feature_bits[] = {
#define FEATURE_BIT(member, word, bit) { #member, X86_WORD_##word, bit },
#include "target/i386/sys/feature-bits.def"
#undef FEATURE_BIT
};

/* Names of features are written with - or _ or . for each other. */
static bool same_feature(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char c = b[i] == '-' || b[i] == '.' ? '_' : b[i];

        if (a[i] != c) {
            return false;
        }
    }
    return !a[n];
}

static bool set_feature(X86Cpu *cpu, X86CpuModel *m, const char *name, size_t n, bool on, Error **errp)
{
    for (size_t i = 0; i < sizeof(feature_bits) / sizeof(feature_bits[0]); i++) {
        uint32_t bit = 1u << feature_bits[i].bit, *word = &m->features[feature_bits[i].word];

        if (same_feature(feature_bits[i].name, name, n)) {
            *word = on ? *word | bit : *word & ~bit;
            return true;
        }
    }
    return error_set(errp, "-cpu: no feature '%.*s'", (int)n, name);
}

/*
 * Signal frames are FXSAVE's (frame.c) and nobody defines x86_sys_xsave here: XSAVE and what needs its state, AVX and after, is not
 * shown even when the translator has it. XSAVE FMA AVX F16C; AVX2 AVX512*; VAES VPCLMULQDQ.
 */
static void hide_extended_state(uint32_t *features)
{
    features[X86_WORD_1_ECX] &= ~(1u << 12 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 29);
    features[X86_WORD_7_EBX] &= ~(1u << 5 | 1u << 16 | 1u << 17 | 1u << 21 | 1u << 28 | 1u << 30 | 1u << 31);
    features[X86_WORD_7_ECX] &= ~(1u << 1 | 1u << 6 | 1u << 9 | 1u << 10 | 1u << 11 | 1u << 12 | 1u << 14);
    features[X86_WORD_D_EAX] = 0;
}

/* model[,+feature][,-feature][,feature=on|off] */
bool user_cpu_model(UserProcess *p, const char *text, Error **errp)
{
    size_t n = strcspn(text, ",");
    char *name = strndup(text, n);
    const X86CpuModel *base = name ? x86_model_find(name) : NULL;
    static X86Cpu probe; /* its feature words only */
    X86CpuModel *m;

    free(name);
    if (!base) {
        return error_set(errp, "unable to find CPU model '%.*s'", (int)n, text);
    }
    m = malloc(sizeof(*m));
    if (!m) {
        return error_set(errp, "-cpu: no memory");
    }
    *m = *base;
    for (text += n; *text == ','; text += n) {
        bool minus = *++text == '-', sign = minus || *text == '+';
        const char *eq;

        n = strcspn(text, ",");
        eq = memchr(text, '=', n);
        if (!sign && eq && strncmp(eq, "=on", (size_t)(text + n - eq)) && strncmp(eq, "=off", (size_t)(text + n - eq))) {
            free(m);
            return error_set(errp, "-cpu: '%.*s' is not on or off", (int)n, text);
        }
        if (!set_feature(&probe, m, text + sign, (size_t)(eq ? eq - text : (ptrdiff_t)n) - sign,
                         sign ? !minus : !eq || eq[2] == 'n', errp)) {
            free(m);
            return false;
        }
    }
    p->model = m;
    probe.topology_threads = probe.topology_cores = 1;
    x86_cpu_set_model(&probe, m);
    memcpy(p->features, probe.features, sizeof(p->features));
    hide_extended_state(p->features);
    return true;
}
