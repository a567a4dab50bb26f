/*
 * The x86 CPU: its state, the mode key, and what the parts of target/i386/ are.
 *
 *   cpu.json       X86State: everything the guest can see of a CPU, with reset values (SDM vol. 3, table 9-1)
 *   decode.*       one table of all instructions in the manual's operand letters (SDM vol. 2, appendix A); decoder
 *   translate.*    region loop; integer instructions to IR
 *   x87.c sse.c    floating point and vectors: mostly same-ISA ops
 *   helper*.c      what is not worth IR
 *   cpuid.*        CPUID by model
 *   sys/           MMU, segments, gates, exceptions, interrupts, MSRs, SMM; the CPU device (never linked by user mode)
 *
 * Manuals: Intel SDM (order 325462), AMD APM where named.
 */
#ifndef TARGET_I386_CPU_H
#define TARGET_I386_CPU_H

#include <stdint.h>

#include "target/i386/cpu.gen.h" /* X86State, X86Segment */
#if __has_include("tcg/runtime.h")
#include "tcg/runtime.h"
#else
#include "tcg/ir.h"
typedef struct { uint32_t key; } TcgRuntime;
#endif

enum { R_RAX, R_RCX, R_RDX, R_RBX, R_RSP, R_RBP, R_RSI, R_RDI, R_R8, R_R9, R_R10, R_R11, R_R12, R_R13, R_R14, R_R15 };
enum { S_ES, S_CS, S_SS, S_DS, S_FS, S_GS };

/* RFLAGS (SDM vol. 1, 3.4.3). The six status flags are in st.cc, all others in st.eflags. */
enum {
    FL_CF = 1 << 0, FL_PF = 1 << 2, FL_AF = 1 << 4, FL_ZF = 1 << 6, FL_SF = 1 << 7, FL_TF = 1 << 8, FL_IF = 1 << 9,
    FL_DF = 1 << 10, FL_OF = 1 << 11, FL_IOPL = 3 << 12, FL_NT = 1 << 14, FL_RF = 1 << 16, FL_VM = 1 << 17,
    FL_AC = 1 << 18, FL_VIF = 1 << 19, FL_VIP = 1 << 20, FL_ID = 1 << 21,
    FL_STATUS = FL_CF | FL_PF | FL_AF | FL_ZF | FL_SF | FL_OF,
};

/*
 * Mode key: what the translation of an instruction depends on besides its bytes. Bits 63:32 are the CS base outside
 * 64-bit mode (there 0), so that IP = linear pc - base is a constant in translated code.
 */
enum {
    KEY_CODE64 = 1 << 0,     /* CS.L and EFER.LMA */
    KEY_CODE32 = 1 << 1,     /* CS.D: default operand and address size 32 */
    KEY_SS32 = 1 << 2,       /* SS.B: stack pointer is ESP */
    KEY_PE = 1 << 3, KEY_VM86 = 1 << 4,
    KEY_LMA = 1 << 5,
    KEY_CPL_SHIFT = 6, KEY_CPL = 3 << 6,
    KEY_IOPL_SHIFT = 8, KEY_IOPL = 3 << 8,  /* CLI, STI, POPF, and I/O without a look at the bitmap */
    KEY_FLAT_DS = 1 << 10,   /* DS, ES, SS: base 0, limit 4 GiB, expand up, writable: no segment check; not in real mode
                                with other limits; always in 64-bit mode */
    KEY_FLAT_CS = 1 << 11,   /* CS limit 4 GiB */
    KEY_TF = 1 << 12,        /* single step: one instruction a region */
    KEY_SHADOW = 1 << 13,    /* interrupt shadow holds for the first instruction */
    KEY_SMAP = 1 << 14,      /* supervisor accesses use MMU_KERNEL_SMAP: CR4.SMAP and not RFLAGS.AC */
    KEY_CR0_TS = 1 << 15, KEY_CR0_EM = 1 << 16, KEY_CR0_MP = 1 << 17, KEY_CR0_NE = 1 << 18,
    KEY_OSFXSR = 1 << 19, KEY_OSXMMEXCPT = 1 << 20, KEY_OSXSAVE_AVX = 1 << 21, /* CR4.OSXSAVE and XCR0.AVX */
    KEY_UMIP = 1 << 22, KEY_FSGSBASE = 1 << 23, KEY_TSD = 1 << 24, KEY_PCE = 1 << 25,
    KEY_AC_CHECK = 1 << 26,  /* CR0.AM, RFLAGS.AC and CPL 3 */
    KEY_SMM = 1 << 27,
    KEY_DR7 = 1 << 28,       /* enabled breakpoints: accesses and fetches are checked */
    KEY_ICOUNT = 1 << 29, KEY_ONE_INSN = 1 << 30,
    KEY_USER = 1u << 31,     /* user mode emulation: int and syscall go to the run loop */
};

/* MMU indexes: what an access may do differs by privilege and SMAP (SDM vol. 3, 4.6). */
enum { MMU_USER, MMU_KERNEL, MMU_KERNEL_SMAP /* CR4.SMAP and not RFLAGS.AC */, MMU_PHYS, MMU_NUM };

/* Feature words of a CPU model: X86_WORD_* of decode.h, then what only CPUID shows. */
enum { X86_FEATURE_WORDS = 32 };

/*
 * Reasons of `leave`; X86Cpu.pc says where to go on, registers and flags are complete.
 *
 * Regions with KEY_TF, KEY_SHADOW or KEY_ONE_INSN hold one instruction and end with LEAVE_STEP. st.shadow is 0 then, unless the
 * instruction made a new shadow. The run loop then takes the single-step trap (KEY_TF was in the region's key), looks for
 * interrupts when st.shadow is 0, and recomputes the key. Iterations of REP count as instructions.
 *
 * STI, MOV SS and POP SS set st.shadow and the key through x86_sys_sti() and x86_sys_load_seg(): the next region has
 * KEY_SHADOW. Exceptions and interrupts clear st.shadow.
 */
enum {
    LEAVE_LOOKUP,    /* go on, with the present key */
    LEAVE_STEP,      /* the instruction of a one-instruction region is done */
    LEAVE_ONE_INSN,  /* run the instruction at pc once in a region with KEY_ONE_INSN: its fast path did not do */
};

typedef struct X86Cpu {
    TcgRuntime rt;          /* the translator's own: first */
    _Alignas(64) X86State st; /* what the guest sees */
    uint64_t pc;            /* linear pc while translated code runs: st.rip + CS base (rt's pc slot) */
    uint64_t key;           /* current mode key: x86_update_key() after what changes it */
    /*
     * Derived by x86_update_key() when a segment changes: highest offset in each segment register that may be read [0] or
     * written [1] without a further look; -1 when each access needs one (null, expand-down, not readable or writable).
     */
    int64_t seg_top[2][6];
    uint32_t features[X86_FEATURE_WORDS];
    uint64_t temp[2];       /* of translated code, within an instruction */
    const struct X86CpuModel *model;
    struct Vcpu *vcpu;
    uint8_t spill[TCG_SPILL_SLOTS][64] __attribute__((aligned(64))); /* the translator's */
} X86Cpu;

/* Registers as the translator knows them: general registers by number, then vector registers. */
extern const TcgGuest x86_tcg_guest;

/* Recomputes key from st. Called after anything that a KEY_ bit depends on changed. */
void x86_update_key(X86Cpu *);
/* Whole RFLAGS from st.cc and st.eflags, and back (mask: bits that change). */
uint64_t x86_get_rflags(const X86Cpu *);
void x86_set_rflags(X86Cpu *, uint64_t value, uint64_t mask);

/*
 * Exceptions. Raised from a helper called with TCG_CALL_FAULTS: does not return; the state is as at the start of the
 * instruction. error: ignored for vectors without one (SDM vol. 3, 6.13).
 */
enum { EXC_DE, EXC_DB, EXC_NMI, EXC_BP, EXC_OF, EXC_BR, EXC_UD, EXC_NM, EXC_DF, EXC_CSO, EXC_TS, EXC_NP, EXC_SS, EXC_GP,
       EXC_PF, EXC_MF = 16, EXC_AC, EXC_MC, EXC_XM, EXC_VE, EXC_CP };
_Noreturn void x86_raise(X86Cpu *, unsigned vector, uint32_t error);

#endif
