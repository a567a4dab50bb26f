/*
 * Paging: SDM vol. 3, chapter 4. Not modelled: 5-level paging, protection keys, caches of paging structures (each walk
 * reads memory).
 */
#include <stdio.h>

#include "memory/memory.h"
#include "target/i386/sys/sys.h"
#include "util/bits.h"

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 1 << 5, PTE_D = 1 << 6, PTE_PS = 1 << 7, PTE_G = 1 << 8 };
#define PTE_NX (1ull << 63)

enum { ERR_P = 1, ERR_W = 2, ERR_U = 4, ERR_RSVD = 8, ERR_I = 16 }; /* error code, 4.7 */

typedef enum { PAGING_NONE, PAGING_32, PAGING_PAE, PAGING_4LEVEL } Paging;

static Paging paging(const X86Cpu *c)
{
    if (!(c->st.cr0 & X86_CR0_PG)) {
        return PAGING_NONE;
    }
    return x86_lma(c) ? PAGING_4LEVEL : c->st.cr4 & X86_CR4_PAE ? PAGING_PAE : PAGING_32;
}

/* Physical memory ---------------------------------------------------------- */

static AddressSpace *space(const X86Cpu *c)
{
    return c->st.smm && c->vcpu->as[1] ? c->vcpu->as[1] : c->vcpu->as[0];
}

static hwaddr a20(const X86Cpu *c, hwaddr addr)
{
    return c->st.a20 ? addr : addr & ~(hwaddr)(1 << 20);
}

uint64_t x86_phys_ld(X86Cpu *c, hwaddr addr, unsigned size)
{
    uint64_t v = UINT64_MAX;

    address_space_ld(space(c), a20(c, addr), size, DEVICE_LITTLE_ENDIAN, (MemTxAttrs){ .from_cpu = true }, &v);
    return v;
}

void x86_phys_st(X86Cpu *c, hwaddr addr, uint64_t value, unsigned size)
{
    address_space_st(space(c), a20(c, addr), size, DEVICE_LITTLE_ENDIAN, (MemTxAttrs){ .from_cpu = true }, value);
}

/*
 * Sets bits in an entry as a locked operation (8.1.2.2). False: it is no longer `old`, walk again. Entries in devices or ROM
 * are left alone.
 */
static bool set_entry_bits(X86Cpu *c, hwaddr addr, unsigned size, uint64_t old, uint64_t bits)
{
    MemorySection s;

    if ((old & bits) == bits) {
        return true;
    }
    s = address_space_section(space(c), a20(c, addr));
    if (!s.host || s.readonly || s.len < size) {
        return true;
    }
    if (size == 8) {
        if (!__atomic_compare_exchange_n((uint64_t *)s.host, &old, old | bits, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {
            return false;
        }
    } else {
        uint32_t old32 = old;

        if (!__atomic_compare_exchange_n((uint32_t *)s.host, &old32, old32 | (uint32_t)bits, false, __ATOMIC_SEQ_CST,
                                         __ATOMIC_SEQ_CST)) {
            return false;
        }
    }
    if (s.mr && s.mr->block) {
        tcg_table_marked(c->vcpu, s.mr->block->map, s.ram, size);
    }
    return true;
}

/* The walk --------------------------------------------------------------------- */

typedef struct {
    hwaddr at[4];        /* of each entry read, top level first */
    uint64_t entry[4];
    unsigned levels;     /* entries read */
    unsigned size;       /* of an entry */
    unsigned shift;      /* log2 of the page size */
    hwaddr phys;         /* of the page */
    bool user, write, nx; /* all levels together */
    uint32_t error;      /* of the fault when there is one: ERR_P, ERR_RSVD */
    bool keep;           /* writes to all these tables are noticed */
    bool debug;          /* not in the vCPU's thread */
} Walk;

static uint64_t reserved_high(const X86Cpu *c)
{
    uint64_t r = ~0ull << x86_phys_bits(c) & ~(~0ull << 52);

    return c->st.efer & X86_EFER_NXE ? r : r | PTE_NX;
}

static bool fail(Walk *w, uint32_t error)
{
    w->error = error;
    return false;
}

static uint64_t read_entry(X86Cpu *c, Walk *w, hwaddr at)
{
    unsigned asidx = c->st.smm && c->vcpu->as[1];
    const uint8_t *ram = w->debug ? NULL : tcg_table(c->vcpu, asidx, a20(c, at), &w->keep);
    uint64_t e;

    if (!ram) {
        e = x86_phys_ld(c, at, w->size);
    } else if (w->size == 8) {
        e = __atomic_load_n((const uint64_t *)ram, __ATOMIC_RELAXED);
    } else {
        e = __atomic_load_n((const uint32_t *)ram, __ATOMIC_RELAXED);
    }
    w->at[w->levels] = at;
    w->entry[w->levels++] = e;
    return e;
}

static void combine(Walk *w, uint64_t e)
{
    w->user &= (e & PTE_U) != 0;
    w->write &= (e & PTE_W) != 0;
    w->nx |= (e & PTE_NX) != 0;
}

/* 4.3: two levels of 32-bit entries, 4 MiB pages with PSE-36. */
static bool walk32(X86Cpu *c, vaddr addr, Walk *w)
{
    uint64_t e;

    w->size = 4;
    e = read_entry(c, w, (c->st.cr3 & 0xfffff000) | (addr >> 22 & 0x3ff) << 2);
    if (!(e & PTE_P)) {
        return fail(w, 0);
    }
    combine(w, e);
    if ((e & PTE_PS) && (c->st.cr4 & X86_CR4_PSE)) {
        unsigned high = x86_phys_bits(c) > 40 ? 8 : x86_phys_bits(c) - 32; /* bits 13 and up: address bits 32 and up */

        if (e & (1u << 21 | (0x1fe000u & ~(0x2000u * ((1u << high) - 1))))) {
            return fail(w, ERR_P | ERR_RSVD);
        }
        w->phys = (e & 0xffc00000) | (e >> 13 & 0xff) << 32;
        w->shift = 22;
        return true;
    }
    e = read_entry(c, w, (e & 0xfffff000) | (addr >> 12 & 0x3ff) << 2);
    if (!(e & PTE_P)) {
        return fail(w, 0);
    }
    combine(w, e);
    w->phys = e & 0xfffff000;
    w->shift = 12;
    return true;
}

/* Reserved bits of an entry that maps a page of 2^shift bytes, or (shift 0) leads to a table (tables 4-8 to 4-19). */
static uint64_t reserved_bits(const X86Cpu *c, unsigned shift, unsigned level_shift, bool pae)
{
    uint64_t r = reserved_high(c);

    if (pae) {
        r |= 0x7ffull << 52; /* bits 62:52 are ignored in 4-level paging only */
    }
    if (shift > 12) {
        r |= (1ull << shift) - (1ull << 13); /* bit 12 is PAT */
    }
    return level_shift == 39 ? r | PTE_PS : r;
}

/* 4.4 and 4.5: 64-bit entries from the table at `table`, whose entries cover 2^shift bytes. */
static bool walk64(X86Cpu *c, vaddr addr, Walk *w, hwaddr table, unsigned shift)
{
    bool pae = paging(c) == PAGING_PAE;

    w->size = 8;
    for (;; shift -= 9) {
        uint64_t e = read_entry(c, w, table | (addr >> shift & 0x1ff) << 3);
        bool leaf = shift == 12 || ((e & PTE_PS) && (shift == 21 || (shift == 30 && c->gbpages)));
        uint64_t rsvd = reserved_bits(c, leaf ? shift : 0, shift, pae);

        if (shift == 30 && !c->gbpages) {
            rsvd |= PTE_PS;
        }
        if (!(e & PTE_P)) {
            return fail(w, 0);
        }
        if (e & rsvd) {
            return fail(w, ERR_P | ERR_RSVD);
        }
        combine(w, e);
        table = e & 0x000ffffffffff000;
        if (leaf) {
            w->phys = table & (~0ull << shift);
            w->shift = shift;
            return true;
        }
    }
}

static bool walk_tables(X86Cpu *c, vaddr addr, Walk *w, bool debug)
{
    *w = (Walk){ .user = true, .write = true, .keep = x86_lma(c) && !debug, .debug = debug }; /* PDPTEs are registers */
    switch (paging(c)) {
    case PAGING_32:
        return walk32(c, (uint32_t)addr, w);
    case PAGING_PAE: {
        uint64_t e = c->st.pdpte[addr >> 30 & 3];

        /* 4.4.1: the PDPTEs are registers; their reserved bits were checked when they were loaded */
        return e & PTE_P ? walk64(c, (uint32_t)addr, w, e & 0x000ffffffffff000, 21) : fail(w, 0);
    }
    default:
        return walk64(c, addr, w, c->st.cr3 & 0x000ffffffffff000, 39);
    }
}

/* 4.6.1: what the MMU index may do with the page. */
static uint8_t rights(const X86Cpu *c, const Walk *w, unsigned mmu)
{
    uint8_t prot = TCG_PROT_READ | TCG_PROT_WRITE | TCG_PROT_EXEC;

    if (w->nx) {
        prot &= ~TCG_PROT_EXEC;
    }
    if (mmu == MMU_USER) {
        return !w->user ? 0 : w->write ? prot : prot & ~TCG_PROT_WRITE;
    }
    if (w->user && (c->st.cr4 & X86_CR4_SMEP)) {
        prot &= ~TCG_PROT_EXEC;
    }
    if (w->user && mmu == MMU_KERNEL_SMAP) {
        prot &= ~(TCG_PROT_READ | TCG_PROT_WRITE);
    }
    return w->write || !(c->st.cr0 & X86_CR0_WP) ? prot : prot & ~TCG_PROT_WRITE;
}

/* Accessed flags of all entries, dirty of the last when it is written (4.8). False: an entry changed meanwhile. */
static bool mark_used(X86Cpu *c, const Walk *w, bool write)
{
    for (unsigned n = 0; n < w->levels; n++) {
        uint64_t bits = n == w->levels - 1 && write ? PTE_A | PTE_D : PTE_A;

        if (!set_entry_bits(c, w->at[n], w->size, w->entry[n], bits)) {
            return false;
        }
    }
    return true;
}

static bool note_fault(X86Cpu *c, vaddr addr, uint8_t vector, uint32_t error)
{
    c->fault.address = addr;
    c->fault.vector = vector;
    c->fault.error = error;
    return false;
}

static bool page_fault(X86Cpu *c, vaddr addr, TcgAccess access, unsigned mmu, uint32_t error)
{
    bool tells_fetch = (c->st.cr4 & X86_CR4_SMEP) || ((c->st.efer & X86_EFER_NXE) && paging(c) >= PAGING_PAE);

    error |= access == TCG_WRITE ? ERR_W : 0;
    error |= mmu == MMU_USER ? ERR_U : 0;
    error |= access == TCG_EXEC && tells_fetch ? ERR_I : 0;
    return note_fault(c, addr, EXC_PF, error);
}

/* A data breakpoint in this page: accesses to it are looked at one by one (17.2.4). */
static bool has_watch(const X86Cpu *c, vaddr addr)
{
    if (!(c->st.dr7 & 0xff)) {
        return false;
    }
    for (unsigned n = 0; n < 4; n++) {
        unsigned kind = c->st.dr7 >> (16 + 4 * n) & 3;

        if ((c->st.dr7 >> 2 * n & 3) && (kind & 1) &&
            (c->st.dr[n] >> 12 == addr >> 12 || (c->st.dr[n] + 7) >> 12 == addr >> 12)) {
            return true;
        }
    }
    return false;
}

bool x86_walk(Vcpu *v, vaddr addr, TcgAccess access, unsigned mmu, TcgPage *out)
{
    X86Cpu *c = x86_cpu(v);
    Walk w;
    uint8_t prot = TCG_PROT_READ | TCG_PROT_WRITE | TCG_PROT_EXEC;

    *out = (TcgPage){ .asidx = c->st.smm && v->as[1], .watch = has_watch(c, addr) };
    if (paging(c) == PAGING_NONE || mmu == MMU_PHYS) {
        out->phys = a20(c, addr & ~(vaddr)0xfff);
        out->prot = prot;
        return true;
    }
    if (x86_lma(c) && !x86_canonical(addr)) {
        return note_fault(c, addr, EXC_GP, 0);
    }
    do {
        if (!walk_tables(c, addr, &w, false)) {
            return page_fault(c, addr, access, mmu, w.error);
        }
        prot = rights(c, &w, mmu);
        if (!(prot & 1u << access)) {
            return page_fault(c, addr, access, mmu, ERR_P);
        }
    } while (!mark_used(c, &w, access == TCG_WRITE));
    if (access != TCG_WRITE && !(w.entry[w.levels - 1] & PTE_D)) {
        prot &= ~TCG_PROT_WRITE; /* the first write comes here to set D */
    }
    out->global = (c->st.cr4 & X86_CR4_PGE) && (w.entry[w.levels - 1] & PTE_G);
    out->keep = w.keep;
    out->shift = w.shift;
    out->phys = a20(c, w.phys | (addr & ((1ull << w.shift) - 1) & ~0xfffull));
    out->prot = prot;
    return true;
}

_Noreturn void x86_raise_fault(Vcpu *v)
{
    X86Cpu *c = x86_cpu(v);

    if (c->fault.vector == EXC_PF) {
        c->st.cr2 = c->fault.address;
    }
    x86_raise(c, c->fault.vector, c->fault.error);
}

bool x86_load_pdptes(X86Cpu *c, uint64_t cr3, uint64_t pdpte[4])
{
    uint64_t e[4];

    /* 4.4.1: bits 2:1, 8:5 and above the physical address are reserved */
    for (unsigned n = 0; n < 4; n++) {
        e[n] = x86_phys_ld(c, (cr3 & 0xffffffe0) + 8 * n, 8);
        if ((e[n] & PTE_P) && (e[n] & (0x1e6 | ~0ull << x86_phys_bits(c)))) {
            return false;
        }
    }
    for (unsigned n = 0; n < 4; n++) {
        pdpte[n] = e[n];
    }
    return true;
}

/* For the debugger and the monitor: no faults, no accessed bits. */
bool x86_translate_debug(Vcpu *v, vaddr addr, hwaddr *phys, int *asidx)
{
    X86Cpu *c = x86_cpu(v);
    Walk w;

    *asidx = c->st.smm && v->as[1];
    if (paging(c) == PAGING_NONE) {
        *phys = a20(c, addr);
        return true;
    }
    if ((x86_lma(c) && !x86_canonical(addr)) || !walk_tables(c, addr, &w, true)) {
        return false;
    }
    *phys = a20(c, w.phys | (addr & ((1ull << w.shift) - 1)));
    return true;
}
