/* What the host's processor has, by its CPUID: rows it lacks cannot be held against it. SDM vol. 2, CPUID; APM vol. 3, appendix E. */
#include <cpuid.h>
#include <string.h>
#include <strings.h>

#include "tests/insn/insn.h"

static const struct {
    const char *name;
    unsigned feature;
} features[] = {
#define FEATURE(name, word, bit) { #name, X86_F_##name },
#include "target/i386/features.def"
#undef FEATURE
};

static uint32_t words[X86_NUM_WORDS];

static bool has(unsigned feature)
{
    return words[(feature - 1) / 32] >> ((feature - 1) % 32) & 1;
}

void host_init(void)
{
    uint32_t a, b, c, d;

    if (__get_cpuid(1, &a, &b, &c, &d)) {
        words[X86_WORD_1_EDX] = d;
        words[X86_WORD_1_ECX] = c;
    }
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        words[X86_WORD_7_EBX] = b;
        words[X86_WORD_7_ECX] = c;
        words[X86_WORD_7_EDX] = d;
    }
    if (__get_cpuid_count(0xd, 1, &a, &b, &c, &d)) {
        words[X86_WORD_D_EAX] = a;
    }
    if (__get_cpuid(0x80000001, &a, &b, &c, &d)) {
        words[X86_WORD_8_EDX] = d;
        words[X86_WORD_8_ECX] = c;
    }
    if (has(X86_F_sse1)) { /* SSE brings them too, and Intel's do not set AMD's bit */
        words[X86_WORD_8_EDX] |= 1u << (X86_F_mmxext - 1) % 32;
    }
}

bool host_forget(const char *name)
{
    for (size_t n = 0; n < sizeof(features) / sizeof(features[0]); n++) {
        unsigned bit = features[n].feature - 1;
        if (!strcasecmp(name, features[n].name)) {
            words[bit / 32] &= ~(1u << bit % 32);
            return true;
        }
    }
    return false;
}

const char *host_lacks(const X86Row *row)
{
    if (row->feature == X86_F_none || has(row->feature)) {
        return NULL;
    }
    for (size_t n = 0; n < sizeof(features) / sizeof(features[0]); n++) {
        if (features[n].feature == row->feature) {
            return features[n].name;
        }
    }
    return "an unknown feature";
}
