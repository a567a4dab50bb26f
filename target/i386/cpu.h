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

#include <stdatomic.h>
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

/* Access rights in X86Segment.attributes. */
enum { X86_SEG_S = 1 << 4, X86_SEG_DPL_SHIFT = 5, X86_SEG_P = 1 << 7, X86_SEG_L = 1 << 13, X86_SEG_DB = 1 << 14,
       X86_SEG_G = 1 << 15, X86_SEG_UNUSABLE = 1 << 16 };

/* Control registers (SDM vol. 3, 2.5) and EFER (2.2.1). */
enum {
    X86_CR0_PE = 1 << 0, X86_CR0_MP = 1 << 1, X86_CR0_EM = 1 << 2, X86_CR0_TS = 1 << 3, X86_CR0_ET = 1 << 4,
    X86_CR0_NE = 1 << 5, X86_CR0_WP = 1 << 16, X86_CR0_AM = 1 << 18, X86_CR0_NW = 1 << 29, X86_CR0_CD = 1 << 30,
    X86_CR4_VME = 1 << 0, X86_CR4_PVI = 1 << 1, X86_CR4_TSD = 1 << 2, X86_CR4_DE = 1 << 3, X86_CR4_PSE = 1 << 4,
    X86_CR4_PAE = 1 << 5, X86_CR4_MCE = 1 << 6, X86_CR4_PGE = 1 << 7, X86_CR4_PCE = 1 << 8, X86_CR4_OSFXSR = 1 << 9,
    X86_CR4_OSXMMEXCPT = 1 << 10, X86_CR4_UMIP = 1 << 11, X86_CR4_LA57 = 1 << 12, X86_CR4_FSGSBASE = 1 << 16,
    X86_CR4_PCIDE = 1 << 17, X86_CR4_OSXSAVE = 1 << 18, X86_CR4_SMEP = 1 << 20, X86_CR4_SMAP = 1 << 21,
    X86_CR4_PKE = 1 << 22,
    X86_EFER_SCE = 1 << 0, X86_EFER_LME = 1 << 8, X86_EFER_LMA = 1 << 10, X86_EFER_NXE = 1 << 11,
};
#define X86_CR0_PG (1u << 31)

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
    LEAVE_PAUSE,     /* PAUSE was executed; go on as LEAVE_LOOKUP */
    LEAVE_ONE_INSN,  /* run the instruction at pc once in a region with KEY_ONE_INSN: its fast path did not do */
};

typedef struct X86Cpu {
    TcgRuntime rt;          /* the translator's own: first */
    _Alignas(64) X86State st; /* what the guest sees */
    uint64_t pc;            /* linear pc while translated code runs: st.rip + CS base (rt's pc slot) */
    uint64_t key;           /* current mode key: x86_update_key() after what changes it */
    bool refetch;           /* a helper changed what addresses of code mean: the region may not go on */
    /*
     * Derived by x86_update_key() when a segment changes: highest offset in each segment register that may be read [0] or
     * written [1] without a further look; -1 when each access needs one (null, expand-down, not readable or writable).
     */
    int64_t seg_top[2][6];
    uint64_t fp_scratch[64] __attribute__((aligned(16))); /* operands of x86_fp_* (fp-helpers.def), inside one instruction */
    /*
     * The x87 registers, status and tags are in the host's FPU, those in st are old: see fp-helpers.h. Only while all x87
     * exceptions are masked; st.fcw and the pointers of the last instruction are always right.
     */
    bool x87_live;
    bool x87_ready;         /* live, and not in the middle of a store of ten bytes (x87.c) */
    uint64_t x87_undo[2] __attribute__((aligned(16))); /* of such a store: its register, the status before it */
    uint16_t x87_undo_sw;
    uint32_t features[X86_FEATURE_WORDS];
    uint64_t temp[2];       /* of translated code, within an instruction */
    const struct X86CpuModel *model;
    struct Vcpu *vcpu;
    /* sys/: a fault that a page walk found, for the exception it becomes; what is being delivered. Nothing of it is saved. */
    struct {
        uint64_t address;
        uint32_t error;
        uint8_t vector;
    } fault;
    bool delivering;        /* an event is: a fault now is a second one */
    uint8_t first_vector;   /* of that event when it is an exception, else 255 */
    uint64_t monitor_address;
    bool one_insn;          /* the next region has one instruction: LEAVE_ONE_INSN */
    bool rf_before;         /* RF was set before the instruction of a one-instruction region */
    _Atomic bool a20_masked; /* what st.a20 becomes at VCPU_REQ_A20; any thread */
    uint32_t apic_id, topology_threads, topology_cores; /* threads in a core, cores in a package */
    bool gbpages;           /* 1 GiB pages */
    uint8_t phys_bits;      /* width of physical addresses */
    uint32_t signature;     /* CPUID(1).EAX, which is in EDX after reset */
    uint8_t spill[TCG_SPILL_SLOTS][64] __attribute__((aligned(64))); /* the translator's */
} X86Cpu;

/* Registers as the translator knows them: general registers by number, then vector registers. */
extern const TcgGuest x86_tcg_guest;

/* Current privilege level: DPL of SS, which all loads keep equal to it (also in real mode: 0, virtual-8086 mode: 3). */
static inline unsigned x86_cpl(const X86Cpu *c)
{
    return c->st.seg[S_SS].attributes >> X86_SEG_DPL_SHIFT & 3;
}

static inline bool x86_code64(const X86Cpu *c)
{
    return (c->st.efer & X86_EFER_LMA) && (c->st.seg[S_CS].attributes & X86_SEG_L);
}

/* Linear address of st.rip. */
static inline uint64_t x86_linear_pc(const X86Cpu *c)
{
    return x86_code64(c) ? c->st.rip : (uint32_t)(c->st.rip + c->st.seg[S_CS].base);
}

/* Execution goes on at rip in the present CS: sets st.rip, pc and key. */
void x86_go(X86Cpu *, uint64_t rip);
/* RESET# and INIT (SDM vol. 3, table 9-1); nothing outside st changes but what is derived of it. */
void x86_reset_state(X86Cpu *);
void x86_init_state(X86Cpu *);

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
