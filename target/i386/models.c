/*
 * CPU models and CPUID: SDM vol. 2, CPUID; AMD APM vol. 3, appendix E. What the leaves hold for each model is what QEMU 10.0's
 * TCG shows its guests, less what this program does not implement: `implemented` below is the one list of that.
 */
#include "target/i386/models.h"

#include <string.h>

#include "target/i386/decode.h"
#include "target/i386/sys-helpers.h"

const X86CpuModel x86_models[] = {
#define MODEL(name, vendor, family, model, stepping, id, level, xlevel, ...) \
    { name, vendor, family, model, stepping, id, level, xlevel, { __VA_ARGS__ } },
#include "target/i386/models.def"
#undef MODEL
};
const unsigned x86_num_models = sizeof(x86_models) / sizeof(x86_models[0]);

const X86CpuModel *x86_model_find(const char *name)
{
    for (unsigned n = 0; n < x86_num_models; n++) {
        if (strcmp(x86_models[n].name, name) == 0) {
            return &x86_models[n];
        }
    }
    return NULL;
}

/* By word and bit. What is missing of QEMU's: AVX, XSAVE, 3DNow!, SVM, MPX, LA57, PKU. */
static const uint32_t implemented[X86_NUM_WORDS] = {
    /* fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 ss */
    [X86_WORD_1_EDX] = 0x0f8bfbff & ~(1u << 22),
    /* sse3 pclmulqdq monitor ssse3 cx16 pcid sse4.1 sse4.2 x2apic movbe popcnt tsc-deadline aes rdrand hypervisor */
    [X86_WORD_1_ECX] = 1u << 0 | 1u << 1 | 1u << 3 | 1u << 9 | 1u << 13 | 1u << 17 | 1u << 19 | 1u << 20 | 1u << 21 | 1u << 22 |
                       1u << 23 | 1u << 24 | 1u << 25 | 1u << 30 | 1u << 31,
    /* fsgsbase bmi1 smep bmi2 erms invpcid rdseed adx smap clflushopt clwb */
    [X86_WORD_7_EBX] = 1u << 0 | 1u << 3 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 10 | 1u << 18 | 1u << 19 | 1u << 20 | 1u << 23 |
                       1u << 24,
    /* umip rdpid */
    [X86_WORD_7_ECX] = 1u << 2 | 1u << 22,
    /* fsrm */
    [X86_WORD_7_EDX] = 1u << 4,
    /* those of 1_EDX that AMD repeats; syscall nx mmxext pdpe1gb rdtscp lm */
    [X86_WORD_8_EDX] = 0x0183f3ff | 1u << 11 | 1u << 20 | 1u << 22 | 1u << 26 | 1u << 27 | 1u << 29,
    /* lahf_lm cmp-legacy cr8legacy abm sse4a 3dnowprefetch */
    [X86_WORD_8_ECX] = 1u << 0 | 1u << 1 | 1u << 4 | 1u << 5 | 1u << 6 | 1u << 8,
};

uint32_t x86_model_shown(const X86CpuModel *m, unsigned word)
{
    return m->features[word] & implemented[word];
}

/* ---- Names ---- */

static const struct {
    const char *model;
    const char *const *features;
} lacks[] = {
#define LACKS(name, ...) { name, (const char *const[]){ __VA_ARGS__, NULL } },
#include "target/i386/model-lacks.def"
#undef LACKS
};

const char *const *x86_model_lacks(const char *name)
{
    static const char *const none[] = { NULL };
    const char *alias = x86_model_alias(name);

    for (size_t n = 0; n < sizeof(lacks) / sizeof(lacks[0]); n++) {
        if (strcmp(lacks[n].model, alias ? alias : name) == 0) {
            return lacks[n].features;
        }
    }
    return none;
}

/* Length of NAME in NAME-vN; 0: it has another form. */
static size_t stem_length(const char *name)
{
    const char *dash = strrchr(name, '-');

    return dash && dash[1] == 'v' && dash[2] && strspn(dash + 2, "0123456789") == strlen(dash + 2) ? (size_t)(dash - name) : 0;
}

/* The first version of the model; NULL: it has none. */
static const char *first_version(const char *name)
{
    size_t len = strlen(name);

    for (unsigned n = 0; n < x86_num_models; n++) {
        const char *other = x86_models[n].name;

        if (stem_length(other) == len && memcmp(other, name, len) == 0) {
            return other;
        }
    }
    return NULL;
}

bool x86_model_is_unversioned(const char *name)
{
    return first_version(name) != NULL;
}

static bool same_processor(const X86CpuModel *a, const X86CpuModel *b)
{
    return a->family == b->family && a->model == b->model && a->stepping == b->stepping &&
           strcmp(a->model_id, b->model_id) == 0 && memcmp(a->features, b->features, sizeof(a->features)) == 0;
}

const char *x86_model_alias(const char *name)
{
    const X86CpuModel *m = x86_model_find(name);
    const char *first = first_version(name);

    if (first || !m || stem_length(name)) {
        return first;
    }
    for (unsigned n = 0; n < x86_num_models; n++) { /* "Broadwell-noTSX" is the version of Broadwell that equals it */
        size_t stem = stem_length(x86_models[n].name);

        if (stem && memcmp(name, x86_models[n].name, stem < strlen(name) ? stem : strlen(name)) == 0 && name[stem] == '-' &&
            same_processor(m, &x86_models[n])) {
            return x86_models[n].name;
        }
    }
    return NULL;
}

static uint32_t signature(const X86CpuModel *m)
{
    uint32_t f = m->family > 15 ? 15 : m->family;

    return (m->family - f) << 20 | (m->model >> 4) << 16 | f << 8 | (m->model & 15) << 4 | m->stepping;
}

void x86_cpu_set_model(X86Cpu *c, const X86CpuModel *m)
{
    c->model = m;
    for (unsigned n = 0; n < X86_NUM_WORDS; n++) {
        c->features[n] = x86_model_shown(m, n);
    }
    c->signature = signature(m);
    c->phys_bits = m->features[X86_WORD_8_EDX] & 1u << 29 ? 40 : m->features[X86_WORD_1_EDX] & 1u << 17 ? 36 : 32;
    c->gbpages = c->features[X86_WORD_8_EDX] >> 26 & 1;
    c->topology_threads = c->topology_threads ? c->topology_threads : 1;
    c->topology_cores = c->topology_cores ? c->topology_cores : 1;
}

static bool is_amd(const X86Cpu *c)
{
    return memcmp(c->model->vendor, "AuthenticAMD", 12) == 0 || memcmp(c->model->vendor, "HygonGenuine", 12) == 0;
}

/* MSR 8Bh as QEMU's processors have it: SDM vol. 3, 9.11.7.1 (the upper half); APM vol. 2, patch level (the lower). */
uint64_t x86_microcode(const X86Cpu *c)
{
    return memcmp(c->model->vendor, "AuthenticAMD", 12) == 0 ? 0x1000065 : 1ull << 32;
}

static uint32_t package(const X86Cpu *c)
{
    return c->topology_threads * c->topology_cores;
}

/* Bits that number n things. */
static unsigned id_bits(uint32_t n)
{
    return n <= 1 ? 0 : 32 - __builtin_clz(n - 1);
}

static void put_text(uint32_t *regs, const char *text, unsigned n)
{
    char buf[48] = { 0 };

    strncpy(buf, text ? text : "", sizeof(buf) - 1);
    memcpy(regs, buf + n, 16);
}

static void vendor(const X86Cpu *c, uint32_t regs[4])
{
    memcpy(&regs[1], c->model->vendor, 4);
    memcpy(&regs[3], c->model->vendor + 4, 4);
    memcpy(&regs[2], c->model->vendor + 8, 4);
}

static void leaf_1(const X86Cpu *c, uint32_t regs[4])
{
    regs[0] = c->signature;
    regs[1] = c->apic_id << 24 | 8 << 8;
    regs[2] = c->features[X86_WORD_1_ECX];
    regs[3] = c->features[X86_WORD_1_EDX];
    if (package(c) > 1) {
        regs[1] |= package(c) << 16;
        regs[3] |= 1u << 28;
    }
    if (c->st.cr4 & X86_CR4_OSXSAVE) {
        regs[2] |= 1u << 27;
    }
}

/* Deterministic cache parameters: L1D, L1I, L2 of a core, L3 of the package. */
static void leaf_4(const X86Cpu *c, uint32_t sub, uint32_t regs[4])
{
    static const uint32_t caches[4][4] = {
        { 0x121, 0x01c0003f, 0x3f, 1 }, { 0x122, 0x01c0003f, 0x3f, 1 }, { 0x143, 0x03c0003f, 0xfff, 1 },
        { 0x163, 0x03c0003f, 0x3fff, 6 },
    };

    if (sub > 3) {
        return;
    }
    memcpy(regs, caches[sub], 16);
    regs[0] |= ((1u << id_bits(c->topology_cores)) - 1) << 26;
    regs[0] |= ((sub == 3 ? 1u << (id_bits(c->topology_threads) + id_bits(c->topology_cores))
                          : 1u << id_bits(c->topology_threads)) - 1) << 14;
}

static void leaf_b(const X86Cpu *c, uint32_t sub, uint32_t regs[4])
{
    unsigned threads = id_bits(c->topology_threads);

    regs[2] = sub & 0xff;
    regs[3] = c->apic_id;
    if (sub == 0) {
        regs[0] = threads;
        regs[1] = c->topology_threads;
        regs[2] |= 1 << 8;
    } else if (sub == 1) {
        regs[0] = threads + id_bits(c->topology_cores);
        regs[1] = package(c);
        regs[2] |= 2 << 8;
    }
}

static void basic(const X86Cpu *c, uint32_t leaf, uint32_t sub, uint32_t regs[4])
{
    switch (leaf) {
    case 0:
        regs[0] = c->model->level;
        vendor(c, regs);
        break;
    case 1:
        leaf_1(c, regs);
        break;
    case 2:
        if (!is_amd(c)) {
            memcpy(regs, (uint32_t[]){ 1, 0, 0x4d, 0x2c307d }, 16);
        }
        break;
    case 4:
        if (!is_amd(c)) {
            leaf_4(c, sub, regs);
        }
        break;
    case 5:
        regs[2] = 3; /* MWAIT: enumerated, interrupts break */
        break;
    case 6:
        regs[0] = c->features[X86_WORD_1_ECX] >> 24 & 1 ? 4 : 0; /* ARAT, with the deadline timer */
        break;
    case 7:
        if (sub == 0) {
            regs[1] = c->features[X86_WORD_7_EBX];
            regs[2] = c->features[X86_WORD_7_ECX];
            regs[3] = c->features[X86_WORD_7_EDX];
        }
        break;
    case 0xb:
        leaf_b(c, sub, regs);
        break;
    }
}

static void extended(const X86Cpu *c, uint32_t leaf, uint32_t regs[4])
{
    switch (leaf & 0xffff) {
    case 0:
        regs[0] = c->model->xlevel;
        vendor(c, regs);
        break;
    case 1:
        regs[0] = c->signature;
        regs[2] = c->features[X86_WORD_8_ECX] & ~2u;
        regs[3] = c->features[X86_WORD_8_EDX];
        if (!is_amd(c) && !x86_code64(c)) {
            regs[3] &= ~(1u << 11); /* Intel: SYSCALL is told of in 64-bit mode only */
        }
        regs[2] |= package(c) > 1 && is_amd(c) ? 2 : 0; /* cmp-legacy */
        break;
    case 2:
    case 3:
    case 4:
        put_text(regs, c->model->model_id, ((leaf & 0xffff) - 2) * 16);
        break;
    case 5:
        memcpy(regs, (uint32_t[]){ 0x01ff01ff, 0x01ff01ff, 0x40020140, 0x40020140 }, 16);
        break;
    case 6:
        memcpy(regs, (uint32_t[]){ 0, 0x42004200, 0x02008140, 0x00808140 }, 16);
        break;
    case 8:
        regs[0] = c->phys_bits | (c->features[X86_WORD_8_EDX] & 1u << 29 ? 48 << 8 : 0);
        if (package(c) > 1) {
            regs[2] = (package(c) - 1) | (id_bits(c->topology_threads) + id_bits(c->topology_cores)) << 12;
        }
        break;
    }
}

void x86_cpuid(const X86Cpu *c, uint32_t leaf, uint32_t sub, uint32_t regs[4])
{
    memset(regs, 0, 16);
    if (leaf == 0x40000000) {
        regs[0] = 0x40000001;
        memcpy(&regs[1], "TCGTCGTCGTCG", 12); /* as QEMU's accelerator of this name says */
        return;
    }
    if (leaf == 0x40000001) {
        return;
    }
    if (leaf & 0x80000000 ? leaf > c->model->xlevel : leaf > c->model->level) {
        leaf = c->model->level; /* above what there is: the highest basic leaf */
    }
    if (leaf & 0x80000000) {
        extended(c, leaf, regs);
    } else {
        basic(c, leaf, sub, regs);
    }
}

uint64_t x86_sys_cpuid(X86Cpu *c)
{
    uint32_t regs[4];

    x86_cpuid(c, c->st.gpr[R_RAX], c->st.gpr[R_RCX], regs);
    c->st.gpr[R_RAX] = regs[0];
    c->st.gpr[R_RBX] = regs[1];
    c->st.gpr[R_RCX] = regs[2];
    c->st.gpr[R_RDX] = regs[3];
    return 0;
}
