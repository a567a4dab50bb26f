/* CPU models: what CPUID shows of them (models.c; the classes of -cpu are in sys/cpu-device.json). */
#ifndef TARGET_I386_MODELS_H
#define TARGET_I386_MODELS_H

#include "target/i386/cpu.h"

typedef struct X86CpuModel {
    const char *name;
    const char *vendor;          /* 12 characters of CPUID(0) */
    uint8_t family, model, stepping;
    const char *model_id;        /* brand string; NULL: none */
    uint32_t level, xlevel;      /* highest leaf, highest extended leaf */
    uint32_t features[8];        /* words X86_WORD_* of decode.h */
} X86CpuModel;

const X86CpuModel *x86_model_find(const char *name); /* NULL: there is none */

/* MSR 8Bh, the number of the microcode. */
uint64_t x86_microcode(const X86Cpu *c);
extern const X86CpuModel x86_models[];
extern const unsigned x86_num_models;

/* The version of the model that `name` is another name of ("Nehalem" of "Nehalem-v1"); NULL: it is a model of its own. */
const char *x86_model_alias(const char *name);
bool x86_model_is_unversioned(const char *name); /* "Nehalem": NAME of NAME-v1, NAME-v2 ... */

/* Features (QEMU's names of them, NULL-terminated) that processors of this model have and its table here does not. */
const char *const *x86_model_lacks(const char *name);
/* Those features of the model that this program implements: what a guest sees. */
uint32_t x86_model_shown(const X86CpuModel *, unsigned word);

/* The features of the model that this program implements become the CPU's. APIC id and topology are set in X86Cpu by who makes it. */
void x86_cpu_set_model(X86Cpu *, const X86CpuModel *);

/* CPUID: regs is EAX EBX ECX EDX. */
void x86_cpuid(const X86Cpu *, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);

#endif
