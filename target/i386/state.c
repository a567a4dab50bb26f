/* The x86 state as a whole: reset, RFLAGS, the mode key. For machines and programs alike. */
#include <string.h>

#include "qapi/state.h"
#include "target/i386/cpu.h"

enum { SEG_CODE = 8, SEG_CONFORMING_OR_DOWN = 4, SEG_READ_OR_WRITE = 2 }; /* in the type, SDM vol. 3, 3.4.5.1 */

uint64_t x86_get_rflags(const X86Cpu *c)
{
    return c->st.cc | c->st.eflags | 2;
}

void x86_set_rflags(X86Cpu *c, uint64_t value, uint64_t mask)
{
    c->st.cc = (c->st.cc & ~mask) | (value & mask & FL_STATUS);
    c->st.eflags = (c->st.eflags & ~mask) | (value & mask & ~(uint64_t)FL_STATUS) | 2;
}

/* Mode key ---------------------------------------------------------------- */

static bool flat_data(const X86Segment *s)
{
    return s->base == 0 && s->limit == UINT32_MAX && (s->attributes & (X86_SEG_UNUSABLE | X86_SEG_P)) == X86_SEG_P &&
           (s->attributes & (SEG_CODE | SEG_CONFORMING_OR_DOWN | SEG_READ_OR_WRITE)) == SEG_READ_OR_WRITE;
}

static uint64_t segment_key(const X86Cpu *c)
{
    const X86Segment *seg = c->st.seg;
    uint64_t key = 0;

    if ((c->st.efer & X86_EFER_LMA) && (seg[S_CS].attributes & X86_SEG_L)) {
        return KEY_LMA | KEY_CODE64 | KEY_FLAT_DS | KEY_FLAT_CS | KEY_SS32;
    }
    key |= seg[S_CS].attributes & X86_SEG_DB ? KEY_CODE32 : 0;
    key |= seg[S_SS].attributes & X86_SEG_DB ? KEY_SS32 : 0;
    key |= c->st.efer & X86_EFER_LMA ? KEY_LMA : 0;
    key |= seg[S_CS].limit == UINT32_MAX ? KEY_FLAT_CS : 0;
    key |= flat_data(&seg[S_DS]) && flat_data(&seg[S_ES]) && flat_data(&seg[S_SS]) ? KEY_FLAT_DS : 0;
    return key | seg[S_CS].base << 32;
}

static uint64_t control_key(const X86Cpu *c)
{
    uint64_t cr0 = c->st.cr0, cr4 = c->st.cr4, key = 0;
    unsigned cpl = x86_cpl(c);

    key |= cr0 & X86_CR0_PE ? KEY_PE : 0;
    key |= cr0 & X86_CR0_TS ? KEY_CR0_TS : 0;
    key |= cr0 & X86_CR0_EM ? KEY_CR0_EM : 0;
    key |= cr0 & X86_CR0_MP ? KEY_CR0_MP : 0;
    key |= cr0 & X86_CR0_NE ? KEY_CR0_NE : 0;
    key |= cr4 & X86_CR4_OSFXSR ? KEY_OSFXSR : 0;
    key |= cr4 & X86_CR4_OSXMMEXCPT ? KEY_OSXMMEXCPT : 0;
    key |= (cr4 & X86_CR4_OSXSAVE) && (c->st.xcr0 & 6) == 6 ? KEY_OSXSAVE_AVX : 0;
    key |= cr4 & X86_CR4_UMIP ? KEY_UMIP : 0;
    key |= cr4 & X86_CR4_FSGSBASE ? KEY_FSGSBASE : 0;
    key |= cr4 & X86_CR4_TSD ? KEY_TSD : 0;
    key |= cr4 & X86_CR4_PCE ? KEY_PCE : 0;
    key |= (cr4 & X86_CR4_SMAP) && !(c->st.eflags & FL_AC) ? KEY_SMAP : 0;
    key |= (cr0 & X86_CR0_AM) && (c->st.eflags & FL_AC) && cpl == 3 ? KEY_AC_CHECK : 0;
    return key | cpl << KEY_CPL_SHIFT;
}

static uint64_t other_key(const X86Cpu *c)
{
    uint64_t key = ((c->st.eflags & FL_IOPL) >> 12) << KEY_IOPL_SHIFT;

    key |= c->st.eflags & FL_VM ? KEY_VM86 : 0;
    key |= c->st.eflags & FL_TF ? KEY_TF : 0;
    key |= c->st.shadow ? KEY_SHADOW : 0;
    key |= c->st.smm ? KEY_SMM : 0;
    key |= c->st.dr7 & 0xff ? KEY_DR7 : 0;
    return key;
}

/* Highest offset of s that an access of this kind reaches without a further look (cpu.h). Types count with PE only: SDM vol. 3, 5.1. */
static int64_t top(const X86Cpu *c, const X86Segment *s, bool write)
{
    bool typed = c->st.cr0 & X86_CR0_PE;
    uint32_t a = s->attributes;

    if ((a & X86_SEG_UNUSABLE) || !(a & X86_SEG_P)) {
        return -1;
    }
    if (a & SEG_CODE) {
        return !typed || (!write && (a & SEG_READ_OR_WRITE)) ? (int64_t)s->limit : -1;
    }
    return (a & SEG_CONFORMING_OR_DOWN) || (typed && write && !(a & SEG_READ_OR_WRITE)) ? -1 : (int64_t)s->limit;
}

void x86_update_key(X86Cpu *c)
{
    for (unsigned n = 0; n < 6; n++) {
        c->seg_top[0][n] = top(c, &c->st.seg[n], false);
        c->seg_top[1][n] = top(c, &c->st.seg[n], true);
    }
    c->key = segment_key(c) | control_key(c) | other_key(c);
}

void x86_go(X86Cpu *c, uint64_t rip)
{
    c->st.rip = rip;
    x86_update_key(c);
    c->pc = x86_linear_pc(c);
}

/* Reset ----------------------------------------------------------------------- */

/* What differs by register of one type: SDM vol. 3, table 9-1. */
static void reset_segments(X86State *st)
{
    st->seg[S_CS] = (X86Segment){ .selector = 0xf000, .base = 0xffff0000, .limit = 0xffff, .attributes = 0x9b };
    st->ldtr.attributes = 0x82;
    st->tr.attributes = 0x8b;
}

void x86_reset_state(X86Cpu *c)
{
    qstate_reset(&qtype_X86State, &c->st, NULL, true);
    reset_segments(&c->st);
    c->delivering = false;
    c->st.gpr[R_RDX] = c->signature;
    c->st.cr0 = 0x60000010;
    x86_go(c, 0xfff0);
}

/* Table 9-1, column INIT: x87, SSE, TSC, MTRRs, machine check, most MSRs and CD, NW of CR0 stay. */
void x86_init_state(X86Cpu *c)
{
    X86State fresh;
    X86State *st = &c->st;
    uint64_t cr0 = st->cr0 & 0x60000000;

    qstate_reset(&qtype_X86State, &fresh, NULL, true);
    memcpy(st->gpr, fresh.gpr, sizeof(st->gpr));
    memcpy(st->seg, fresh.seg, sizeof(st->seg));
    st->ldtr = fresh.ldtr;
    st->tr = fresh.tr;
    st->gdtr = fresh.gdtr;
    st->idtr = fresh.idtr;
    reset_segments(st);
    st->cc = 0;
    st->eflags = 2;
    st->cr0 = cr0 | 0x10;
    st->cr2 = st->cr3 = st->cr4 = 0;
    st->efer = 0;
    memset(st->dr, 0, sizeof(st->dr));
    st->dr6 = fresh.dr6;
    st->dr7 = fresh.dr7;
    st->shadow = 0;
    st->nmi_blocked = st->nmi_latched = st->halted = st->shutdown = st->init_latched = false;
    st->single_step = false;
    st->pending_db = 0;
    st->exception = 255;
    st->gpr[R_RDX] = c->signature;
    c->delivering = false;
    x86_go(c, 0xfff0);
}
