/*
 * The system side of the x86 CPU, for machines run by accel/tcg. SDM vol. 3 unless another is named.
 *
 *   mmu.c        paging: page walks, faults, page tables as text          (chapter 4)
 *   seg.c        descriptors, segment registers, LAR and friends          (chapter 3, 5)
 *   far.c        far transfers, call gates                                (5.8)
 *   task.c       task switches                                            (chapter 7)
 *   event.c      exceptions, interrupts, gates                            (chapter 6)
 *   iret.c       IRET, SYSCALL, SYSENTER and their returns
 *   control.c    control and debug registers, flags, HLT, MWAIT           (chapter 2, 17)
 *   msr.c        model-specific registers
 *   io.c         ports                                                    (vol. 1, 18.5)
 *   smm.c        system management mode                                   (chapter 30)
 *   run.c        what accel/tcg calls (TcgArch); requests; order of interrupts
 *   cpu-device.c the classes of -cpu; HMP's texts are in print.c
 *
 * Helpers of sys-helpers.def are x86_sys_*; they check what the decode table has not. A helper changes nothing before
 * its last possible fault.
 */
#ifndef TARGET_I386_SYS_SYS_H
#define TARGET_I386_SYS_SYS_H

#include "accel/accel.h"
#include "accel/tcg/tcg.h"
#include "target/i386/cpu.h"
#include "target/i386/decode.h"

static inline X86Cpu *x86_cpu(Vcpu *v)
{
    return v->state;
}

static inline bool x86_has(const X86Cpu *c, unsigned feature)
{
    return c->features[(feature - 1) / 32] >> ((feature - 1) % 32) & 1;
}

/* Modes */
static inline bool x86_protected(const X86Cpu *c) /* not real, not virtual-8086 */
{
    return (c->st.cr0 & X86_CR0_PE) && !(c->st.eflags & FL_VM);
}

static inline bool x86_lma(const X86Cpu *c)
{
    return c->st.efer & X86_EFER_LMA;
}

static inline unsigned x86_iopl(const X86Cpu *c)
{
    return c->st.eflags >> 12 & 3;
}

/* Guest memory. MMU index of explicit accesses at the CPL, and of implicit supervisor accesses (4.6.1). */
static inline unsigned x86_mmu(const X86Cpu *c)
{
    if (x86_cpl(c) == 3) {
        return MMU_USER;
    }
    return c->key & KEY_SMAP ? MMU_KERNEL_SMAP : MMU_KERNEL;
}

static inline unsigned x86_mmu_system(const X86Cpu *c)
{
    return c->st.cr4 & X86_CR4_SMAP ? MMU_KERNEL_SMAP : MMU_KERNEL;
}

/* An access by the system: descriptor tables, TSS. Linear addresses wrap at 4 GiB outside IA-32e mode. */
static inline uint64_t x86_sys_ld(X86Cpu *c, uint64_t addr, unsigned size)
{
    return tcg_ld(c->vcpu, x86_lma(c) ? addr : (uint32_t)addr, size, x86_mmu_system(c));
}

static inline void x86_sys_st(X86Cpu *c, uint64_t addr, uint64_t value, unsigned size)
{
    tcg_st(c->vcpu, x86_lma(c) ? addr : (uint32_t)addr, value, size, x86_mmu_system(c));
}

static inline bool x86_canonical(uint64_t addr)
{
    return (int64_t)(addr << 16) >> 16 == (int64_t)addr;
}

/* Descriptors (seg.c) -------------------------------------------------------- */

enum {
    SEG_TYPE = 15, SEG_A = 1, SEG_RW = 2, SEG_CE = 4 /* conforming; expand-down */, SEG_CODE = 8,
    SYS_TSS16 = 1, SYS_LDT = 2, SYS_TSS16_BUSY = 3, SYS_CALL16 = 4, SYS_TASK = 5, SYS_INT16 = 6, SYS_TRAP16 = 7,
    SYS_TSS = 9, SYS_TSS_BUSY = 11, SYS_CALL = 12, SYS_INT = 14, SYS_TRAP = 15,
};

typedef struct {
    uint16_t selector;
    uint64_t at;              /* linear address of the descriptor */
    uint32_t lo, hi;
    X86Segment seg;           /* as it would be loaded; of segments, LDT and TSS */
} X86Desc;

static inline unsigned desc_type(const X86Desc *d)
{
    return d->hi >> 8 & 15;
}

static inline bool desc_is_segment(const X86Desc *d) /* code or data */
{
    return d->hi >> 12 & 1;
}

static inline bool desc_is_code(const X86Desc *d)
{
    return (d->hi >> 11 & 3) == 3;
}

static inline bool desc_is_conforming(const X86Desc *d) /* of code */
{
    return d->hi >> 10 & 1;
}

static inline bool desc_is_writable_data(const X86Desc *d)
{
    return (d->hi >> 9 & 0xd) == 9;
}

static inline unsigned desc_dpl(const X86Desc *d)
{
    return d->hi >> 13 & 3;
}

static inline bool desc_present(const X86Desc *d)
{
    return d->hi >> 15 & 1;
}

/* False: null selector's table entry does not exist or lies outside its table. Raises page faults only. */
bool x86_find_desc(X86Cpu *, uint16_t selector, X86Desc *);
/* As find_desc, with `vector`(selector | ext) when it is outside. */
void x86_need_desc(X86Cpu *, uint16_t selector, X86Desc *, unsigned vector, unsigned ext);
void x86_set_accessed(X86Cpu *, X86Desc *);
/* Loads from a descriptor that was checked. CS: with this CPL in its selector. */
void x86_load_cs(X86Cpu *, const X86Desc *, unsigned cpl);
void x86_load_ss(X86Cpu *, const X86Desc *, unsigned cpl);
void x86_load_null_ss(X86Cpu *, uint16_t selector, unsigned cpl);  /* IA-32e mode */
void x86_load_vm86_segment(X86Cpu *, unsigned s, uint16_t selector);
/* Data segment registers that the new, less privileged CPL may not keep become null (IRET, RET). */
void x86_drop_segments(X86Cpu *, unsigned cpl);
/* The checks of a new SS for privilege level cpl: `vector`(selector | ext), #SS when not present. */
void x86_check_ss(X86Cpu *, const X86Desc *, unsigned cpl, unsigned vector, unsigned ext);
void x86_load_ldtr(X86Cpu *, uint16_t selector, unsigned vector);

/* Stacks of pushes and pops, which change nothing but `sp` until they are put in place. */
typedef struct {
    X86Cpu *c;
    uint64_t base, sp, mask;
    uint32_t limit, attributes;
    bool flat;                 /* 64-bit: no segment */
    unsigned mmu;
    uint32_t error;            /* of #SS */
} X86Stack;

void x86_stack_init(X86Cpu *, X86Stack *);                      /* the present one */
void x86_stack_init_new(X86Cpu *, X86Stack *, const X86Desc *ss, uint64_t sp, unsigned cpl, uint32_t error);
void x86_push(X86Stack *, uint64_t value, unsigned size);
uint64_t x86_pop(X86Stack *, unsigned size);
void x86_stack_commit(X86Stack *);                              /* rSP := sp, by the mask */

/* RET and IRET in protected mode (far.c): ip and cs were popped, r->stack is after them. */
typedef struct {
    X86Stack stack;
    uint64_t ip, sp;
    uint16_t cs, ss;
    unsigned size;             /* of a stack slot */
    uint64_t release;          /* parameters */
    bool always_stack;         /* IRET in 64-bit mode */
} X86Return;
/* Checks and loads CS, and SS:rSP when the stack changes; the caller goes to r->ip. */
void x86_return_to(X86Cpu *, X86Return *);

/* Tasks (task.c) -------------------------------------------------------------- */
typedef enum { TASK_JMP, TASK_CALL, TASK_IRET, TASK_EVENT } X86TaskKind;
/* To the TSS that `d` describes, of which type, DPL and presence were checked. next_ip: saved EIP. */
void x86_task_switch(X86Cpu *, X86Desc *d, X86TaskKind, uint64_t next_ip, bool has_error, uint32_t error);
/* Inner stack of level cpl in the TSS: #TS(TR) when it is outside. */
void x86_tss_stack(X86Cpu *, unsigned cpl, uint16_t *ss, uint32_t *sp, unsigned ext);
uint64_t x86_tss_stack64(X86Cpu *, unsigned slot /* 0-2 RSPn, 4-10 ISTn + 3 */, unsigned ext);

/* Events (event.c) --------------------------------------------------------------- */
typedef enum { EVENT_EXCEPTION, EVENT_EXTERNAL, EVENT_INT_N, EVENT_INT3, EVENT_INTO, EVENT_INT1 } X86EventKind;
void x86_event(X86Cpu *, unsigned vector, X86EventKind, bool has_error, uint32_t error, uint64_t ip);
void x86_deliver(X86Cpu *);                                      /* st.exception */
/* A #DB with these bits of DR6: raised as a fault, or noted as pending for the end of the instruction. */
_Noreturn void x86_raise_debug(X86Cpu *, uint32_t dr6);

/* Paging (mmu.c) ------------------------------------------------------------------- */
bool x86_walk(Vcpu *, vaddr, TcgAccess, unsigned mmu, TcgPage *);
_Noreturn void x86_raise_fault(Vcpu *);
bool x86_translate_debug(Vcpu *, vaddr, hwaddr *, int *asidx);
void x86_print_mmu(Vcpu *, bool summary, void (*print)(void *, const char *), void *opaque);
/* PDPTEs at cr3 (PAE): false when one has reserved bits; pdpte set when not. */
bool x86_load_pdptes(X86Cpu *, uint64_t cr3, uint64_t pdpte[4]);
uint64_t x86_phys_ld(X86Cpu *, hwaddr, unsigned size);
void x86_phys_st(X86Cpu *, hwaddr, uint64_t value, unsigned size);
static inline unsigned x86_phys_bits(const X86Cpu *c)
{
    return c->phys_bits;
}

/*
 * Last thing of a helper after which translated code goes on by itself (g_go_on, g_leave_if): look-ups are by the present mode,
 * or go to the run loop when that is wanted (requests, single step, a breakpoint's RF). Returns whether the region has to end.
 */
uint64_t x86_settle(X86Cpu *);

/* The rest ---------------------------------------------------------------------------- */
void x86_set_cr0(X86Cpu *, uint64_t);        /* checked already; modes change, TLB is flushed */
void x86_set_cr3(X86Cpu *, uint64_t);
void x86_set_cr4(X86Cpu *, uint64_t);
void x86_update_watch(X86Cpu *);             /* DR7 or DR0-3 changed */
uint64_t x86_tsc(X86Cpu *);
void x86_smm_enter(X86Cpu *);
uint8_t x86_get_tpr(X86Cpu *);
void x86_set_tpr(X86Cpu *, uint8_t);
void x86_print_registers(Vcpu *, void (*print)(void *, const char *), void *opaque);
bool x86_get_register(Vcpu *, const char *name, uint64_t *value);

/* For boards and interrupt controllers, any thread: the A20 gate; a start-up interrupt for page `vector`. */
void x86_cpu_set_a20(Vcpu *, bool on);
void x86_cpu_sipi(Vcpu *, uint8_t vector);

extern const VcpuArch x86_vcpu_arch;

#endif
