/*
 * System management mode: SDM vol. 3, chapter 30 (31 in newer revisions); the layouts of the state save map are AMD's APM vol. 2, tables
 * 10-1 (64-bit processors) and 10-2, which is what QEMU's processors show. Not modelled: I/O instruction restart, auto-halt
 * restart (an SMI ends HLT, as QEMU has it: SeaBIOS returns with a map in which that field was never written).
 */
#include "target/i386/sys-helpers.h"
#include "target/i386/sys/sys.h"

enum { SAVE_MAP = 0x8000, SMM_REVISION64 = 0x20064, SMM_REVISION32 = 0x20000 }; /* bit 17: SMBASE relocation */

static uint64_t ld(X86Cpu *c, unsigned offset, unsigned size)
{
    return x86_phys_ld(c, (hwaddr)c->st.smbase + SAVE_MAP + offset, size);
}

static void st(X86Cpu *c, unsigned offset, uint64_t v, unsigned size)
{
    x86_phys_st(c, (hwaddr)c->st.smbase + SAVE_MAP + offset, v, size);
}

/* Access rights in the form of the map: descriptor bits 55:52 and 47:40 in one word. */
static uint16_t pack_rights(uint32_t a)
{
    return (a & 0xff) | (a >> 4 & 0xf00);
}

static uint32_t unpack_rights(uint16_t a)
{
    uint32_t v = (a & 0xff) | (a & 0xf00u) << 4;

    return a & 0x80 ? v : v | X86_SEG_UNUSABLE;
}

/* 64-bit map (table 10-1) ------------------------------------------------------- */

static void save_seg64(X86Cpu *c, unsigned offset, const X86Segment *s)
{
    st(c, offset, s->selector, 2);
    st(c, offset + 2, pack_rights(s->attributes & X86_SEG_UNUSABLE ? s->attributes & ~(uint32_t)X86_SEG_P : s->attributes), 2);
    st(c, offset + 4, s->limit, 4);
    st(c, offset + 8, s->base, 8);
}

static void load_seg64(X86Cpu *c, unsigned offset, X86Segment *s)
{
    *s = (X86Segment){ .selector = ld(c, offset, 2), .attributes = unpack_rights(ld(c, offset + 2, 2)),
                       .limit = ld(c, offset + 4, 4), .base = ld(c, offset + 8, 8) };
}

static void save64(X86Cpu *c)
{
    for (unsigned n = 0; n < 6; n++) {
        save_seg64(c, 0x7e00 + 16 * n, &c->st.seg[n]);
    }
    st(c, 0x7e64, c->st.gdtr.limit, 4);
    st(c, 0x7e68, c->st.gdtr.base, 8);
    save_seg64(c, 0x7e70, &c->st.ldtr);
    st(c, 0x7e84, c->st.idtr.limit, 4);
    st(c, 0x7e88, c->st.idtr.base, 8);
    save_seg64(c, 0x7e90, &c->st.tr);
    st(c, 0x7ed0, c->st.efer, 8);
    for (unsigned n = 0; n < 16; n++) {
        st(c, 0x7ff8 - 8 * n, c->st.gpr[n], 8);
    }
    st(c, 0x7f78, c->st.rip, 8);
    st(c, 0x7f70, x86_get_rflags(c), 8);
    st(c, 0x7f68, c->st.dr6, 8);
    st(c, 0x7f60, c->st.dr7, 8);
    st(c, 0x7f58, c->st.cr0, 8);
    st(c, 0x7f50, c->st.cr3, 8);
    st(c, 0x7f48, c->st.cr4, 8);
    st(c, 0x7f00, c->st.smbase, 4);
    st(c, 0x7efc, SMM_REVISION64, 4);
}

static void load64(X86Cpu *c)
{
    for (unsigned n = 0; n < 6; n++) {
        load_seg64(c, 0x7e00 + 16 * n, &c->st.seg[n]);
    }
    c->st.gdtr = (X86Table){ .limit = ld(c, 0x7e64, 4) & 0xffff, .base = ld(c, 0x7e68, 8) };
    load_seg64(c, 0x7e70, &c->st.ldtr);
    c->st.idtr = (X86Table){ .limit = ld(c, 0x7e84, 4) & 0xffff, .base = ld(c, 0x7e88, 8) };
    load_seg64(c, 0x7e90, &c->st.tr);
    c->st.efer = ld(c, 0x7ed0, 8) & (X86_EFER_SCE | X86_EFER_LME | X86_EFER_LMA | X86_EFER_NXE);
    for (unsigned n = 0; n < 16; n++) {
        c->st.gpr[n] = ld(c, 0x7ff8 - 8 * n, 8);
    }
    c->st.rip = ld(c, 0x7f78, 8);
    x86_set_rflags(c, ld(c, 0x7f70, 8), 0x3f7fd5);
    c->st.dr6 = (ld(c, 0x7f68, 8) & 0xe00f) | 0xffff0ff0;
    c->st.dr7 = (ld(c, 0x7f60, 8) & 0xffff2bff) | 0x400;
    c->st.cr4 = ld(c, 0x7f48, 8) & 0x3fffff;
    c->st.cr3 = ld(c, 0x7f50, 8);
    c->st.cr0 = (ld(c, 0x7f58, 8) & 0xe005003f) | X86_CR0_ET;
    if (ld(c, 0x7efc, 4) & 0x20000) {
        c->st.smbase = ld(c, 0x7f00, 4);
    }
}

/* 32-bit map (table 10-2) -------------------------------------------------------- */

/* Offsets of selector, and of base, limit and rights. */
static const struct { uint16_t selector, hidden; } seg32[6] = {
    { 0x7fa8, 0x7f84 }, { 0x7fac, 0x7f90 }, { 0x7fb0, 0x7f9c }, { 0x7fb4, 0x7f2c }, { 0x7fb8, 0x7f38 }, { 0x7fbc, 0x7f44 },
};

static void save_hidden32(X86Cpu *c, unsigned offset, const X86Segment *s)
{
    bool off = s->attributes & X86_SEG_UNUSABLE;

    st(c, offset, (pack_rights(off ? s->attributes & ~(uint32_t)X86_SEG_P : s->attributes) & 0xfffu) << 8, 4);
    st(c, offset + 4, s->limit, 4);
    st(c, offset + 8, s->base, 4);
}

static void load_hidden32(X86Cpu *c, unsigned offset, X86Segment *s, uint16_t selector)
{
    *s = (X86Segment){ .selector = selector, .attributes = unpack_rights(ld(c, offset, 4) >> 8 & 0xfff),
                       .limit = ld(c, offset + 4, 4), .base = ld(c, offset + 8, 4) };
}

static void save32(X86Cpu *c)
{
    st(c, 0x7ffc, c->st.cr0, 4);
    st(c, 0x7ff8, c->st.cr3, 4);
    st(c, 0x7ff4, x86_get_rflags(c), 4);
    st(c, 0x7ff0, c->st.rip, 4);
    for (unsigned n = 0; n < 8; n++) {
        st(c, 0x7fd0 + 4 * n, c->st.gpr[n], 4);
    }
    st(c, 0x7fcc, c->st.dr6, 4);
    st(c, 0x7fc8, c->st.dr7, 4);
    st(c, 0x7fc4, c->st.tr.selector, 4);
    save_hidden32(c, 0x7f5c, &c->st.tr);
    st(c, 0x7fc0, c->st.ldtr.selector, 4);
    save_hidden32(c, 0x7f78, &c->st.ldtr);
    st(c, 0x7f74, c->st.gdtr.base, 4);
    st(c, 0x7f70, c->st.gdtr.limit, 4);
    st(c, 0x7f58, c->st.idtr.base, 4);
    st(c, 0x7f54, c->st.idtr.limit, 4);
    for (unsigned n = 0; n < 6; n++) {
        st(c, seg32[n].selector, c->st.seg[n].selector, 4);
        save_hidden32(c, seg32[n].hidden, &c->st.seg[n]);
    }
    st(c, 0x7f14, c->st.cr4, 4);
    st(c, 0x7ef8, c->st.smbase, 4);
    st(c, 0x7efc, SMM_REVISION32, 4);
}

static void load32(X86Cpu *c)
{
    c->st.cr0 = (ld(c, 0x7ffc, 4) & 0xe005003f) | X86_CR0_ET;
    c->st.cr3 = ld(c, 0x7ff8, 4);
    x86_set_rflags(c, ld(c, 0x7ff4, 4), 0x3f7fd5);
    c->st.rip = ld(c, 0x7ff0, 4);
    for (unsigned n = 0; n < 8; n++) {
        c->st.gpr[n] = ld(c, 0x7fd0 + 4 * n, 4);
    }
    c->st.dr6 = (ld(c, 0x7fcc, 4) & 0xe00f) | 0xffff0ff0;
    c->st.dr7 = (ld(c, 0x7fc8, 4) & 0xffff2bff) | 0x400;
    load_hidden32(c, 0x7f5c, &c->st.tr, ld(c, 0x7fc4, 2));
    load_hidden32(c, 0x7f78, &c->st.ldtr, ld(c, 0x7fc0, 2));
    c->st.gdtr = (X86Table){ .base = ld(c, 0x7f74, 4), .limit = ld(c, 0x7f70, 4) & 0xffff };
    c->st.idtr = (X86Table){ .base = ld(c, 0x7f58, 4), .limit = ld(c, 0x7f54, 4) & 0xffff };
    for (unsigned n = 0; n < 6; n++) {
        load_hidden32(c, seg32[n].hidden, &c->st.seg[n], ld(c, seg32[n].selector, 2));
    }
    c->st.cr4 = ld(c, 0x7f14, 4) & 0x3fffff;
    if (ld(c, 0x7efc, 4) & 0x20000) {
        c->st.smbase = ld(c, 0x7ef8, 4);
    }
}

/* Entry and RSM (30.3 to 30.4) ------------------------------------------------------- */

static bool has_map64(const X86Cpu *c)
{
    return x86_has(c, X86_F_lm);
}

void x86_smm_enter(X86Cpu *c)
{
    c->st.smm = true; /* the map is written to SMM's own memory */
    c->st.smm_nmi_blocked = c->st.nmi_blocked;
    c->st.nmi_blocked = true;
    if (has_map64(c)) {
        save64(c);
    } else {
        save32(c);
    }
    c->st.halted = false;
    atomic_store(&c->vcpu->halted, false);
    c->st.efer = 0;
    x86_set_rflags(c, 0, UINT32_MAX); /* table 30-4 */
    c->st.shadow = 0;
    c->st.cr0 &= ~(uint64_t)(X86_CR0_PE | X86_CR0_EM | X86_CR0_TS | X86_CR0_PG);
    c->st.cr4 = 0;
    c->st.dr7 = 0x400;
    for (unsigned n = 0; n < 6; n++) {
        c->st.seg[n] = (X86Segment){ .limit = UINT32_MAX, .attributes = 0x8093 };
    }
    c->st.seg[S_CS].selector = c->st.smbase >> 4 & 0xffff;
    c->st.seg[S_CS].base = c->st.smbase;
    tcg_tlb_flush(c->vcpu);
    x86_go(c, 0x8000);
}

uint64_t x86_sys_rsm(X86Cpu *c)
{
    if (!c->st.smm) {
        x86_raise(c, EXC_UD, 0);
    }
    if (has_map64(c)) {
        load64(c);
    } else {
        load32(c);
    }
    tcg_moved(c->vcpu);
    c->st.smm = false;
    c->st.nmi_blocked = c->st.smm_nmi_blocked;
    if ((c->st.cr0 & X86_CR0_PG) && (c->st.cr4 & X86_CR4_PAE) && !x86_lma(c)) {
        x86_load_pdptes(c, c->st.cr3, c->st.pdpte);
    }
    tcg_tlb_flush(c->vcpu);
    x86_go(c, c->st.rip);
    vcpu_request(c->vcpu, (c->st.nmi_latched ? VCPU_REQ_NMI : 0) | (c->st.smi_latched ? VCPU_REQ_SMI : 0) |
                              (c->st.init_latched ? VCPU_REQ_INIT : 0));
    return 0;
}
