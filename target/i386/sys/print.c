/* info registers, info tlb, info mem, and registers by name: the texts are QEMU's. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "target/i386/sys/sys.h"

typedef struct {
    X86Cpu *c;
    void (*print)(void *, const char *);
    void *opaque;
} Out;

__attribute__((format(printf, 2, 3))) static void out(Out *o, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    o->print(o->opaque, text);
}

/* info registers --------------------------------------------------------------- */

static const char *const gpr_names[16] = { "AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI",
                                           "R8", "R9", "R10", "R11", "R12", "R13", "R14", "R15" };

static void print_gprs(Out *o, bool wide)
{
    static const uint8_t order[16] = { 0, 3, 1, 2, 6, 7, 5, 4, 8, 9, 10, 11, 12, 13, 14, 15 };

    for (unsigned n = 0; n < (wide ? 16 : 8); n++) {
        unsigned r = order[n];
        const char *end = n % 4 == 3 ? "\n" : " ";

        if (!wide) {
            out(o, "E%s=%08x%s", gpr_names[r], (uint32_t)o->c->st.gpr[r], end);
        } else if (r < 8) {
            out(o, "R%s=%016" PRIx64 "%s", gpr_names[r], o->c->st.gpr[r], end);
        } else {
            out(o, "%-3s=%016" PRIx64 "%s", gpr_names[r], o->c->st.gpr[r], end);
        }
    }
}

static void print_flags(Out *o, bool wide)
{
    static const char letters[] = "DOSZAPC";
    static const uint16_t bits[] = { FL_DF, FL_OF, FL_SF, FL_ZF, FL_AF, FL_PF, FL_CF };
    uint32_t flags = x86_get_rflags(o->c);
    char text[8] = "-------";

    for (unsigned n = 0; n < 7; n++) {
        if (flags & bits[n]) {
            text[n] = letters[n];
        }
    }
    if (wide) {
        out(o, "RIP=%016" PRIx64 " RFL=%08x", o->c->st.rip, flags);
    } else {
        out(o, "EIP=%08x EFL=%08x", (uint32_t)o->c->st.rip, flags);
    }
    out(o, " [%s] CPL=%u II=%d A20=%d SMM=%d HLT=%d\n", text, x86_cpl(o->c), o->c->st.shadow != 0, o->c->st.a20,
        o->c->st.smm, o->c->st.halted);
}

static const char *system_type(const X86Cpu *c, unsigned type)
{
    static const char *const legacy[16] = { "Reserved", "TSS16-avl", "LDT", "TSS16-busy", "CallGate16", "TaskGate",
                                            "IntGate16", "TrapGate16", "Reserved", "TSS32-avl", "Reserved", "TSS32-busy",
                                            "CallGate32", "Reserved", "IntGate32", "TrapGate32" };
    static const char *const ia32e[16] = { "<hiword>", "Reserved", "LDT", "Reserved", "Reserved", "Reserved", "Reserved",
                                           "Reserved", "Reserved", "TSS64-avl", "Reserved", "TSS64-busy", "CallGate64",
                                           "Reserved", "IntGate64", "TrapGate64" };

    return x86_lma(c) ? ia32e[type] : legacy[type];
}

static void print_segment(Out *o, const char *name, const X86Segment *s, bool wide)
{
    uint32_t a = s->attributes & X86_SEG_UNUSABLE ? 0 : s->attributes;
    /* As in the descriptor's upper half: rights in 15:8 and 23:20, limit 19:16 */
    uint32_t hi = (a & 0xff) << 8 | (a & 0xf000) << 8 | (a & X86_SEG_G ? s->limit >> 12 & 0xf0000 : s->limit & 0xf0000);

    if (s->attributes & X86_SEG_UNUSABLE) {
        hi = 0;
    }
    if (wide) {
        out(o, "%-3s=%04x %016" PRIx64 " %08x %08x", name, s->selector, s->base, s->limit, hi);
    } else {
        out(o, "%-3s=%04x %08x %08x %08x", name, s->selector, (uint32_t)s->base, s->limit, hi);
    }
    if (!(o->c->st.cr0 & X86_CR0_PE) || !(a & X86_SEG_P)) {
        out(o, "\n");
        return;
    }
    out(o, " DPL=%u ", a >> X86_SEG_DPL_SHIFT & 3);
    if (!(a & X86_SEG_S)) {
        out(o, "%s\n", system_type(o->c, a & 15));
    } else if (a & SEG_CODE) {
        out(o, "%s [%c%c%c]\n", a & X86_SEG_L ? "CS64" : a & X86_SEG_DB ? "CS32" : "CS16", a & SEG_CE ? 'C' : '-',
            a & SEG_RW ? 'R' : '-', a & SEG_A ? 'A' : '-');
    } else {
        out(o, "%s [%c%c%c]\n", (a & X86_SEG_DB) || x86_lma(o->c) ? "DS  " : "DS16", a & SEG_CE ? 'E' : '-',
            a & SEG_RW ? 'W' : '-', a & SEG_A ? 'A' : '-');
    }
}

static void print_system(Out *o, bool wide)
{
    static const char *const names[6] = { "ES", "CS", "SS", "DS", "FS", "GS" };
    X86State *st = &o->c->st;

    for (unsigned n = 0; n < 6; n++) {
        print_segment(o, names[n], &st->seg[n], wide);
    }
    print_segment(o, "LDT", &st->ldtr, wide);
    print_segment(o, "TR", &st->tr, wide);
    if (wide) {
        out(o, "GDT=     %016" PRIx64 " %08x\n", st->gdtr.base, st->gdtr.limit);
        out(o, "IDT=     %016" PRIx64 " %08x\n", st->idtr.base, st->idtr.limit);
        out(o, "CR0=%08x CR2=%016" PRIx64 " CR3=%016" PRIx64 " CR4=%08x\n", (uint32_t)st->cr0, st->cr2, st->cr3,
            (uint32_t)st->cr4);
    } else {
        out(o, "GDT=     %08x %08x\n", (uint32_t)st->gdtr.base, st->gdtr.limit);
        out(o, "IDT=     %08x %08x\n", (uint32_t)st->idtr.base, st->idtr.limit);
        out(o, "CR0=%08x CR2=%08x CR3=%08x CR4=%08x\n", (uint32_t)st->cr0, (uint32_t)st->cr2, (uint32_t)st->cr3,
            (uint32_t)st->cr4);
    }
    for (unsigned n = 0; n < 4; n++) {
        out(o, "DR%u=%016" PRIx64 " ", n, st->dr[n]);
    }
    out(o, "\nDR6=%016" PRIx64 " DR7=%016" PRIx64 "\nEFER=%016" PRIx64 "\n", st->dr6, st->dr7, st->efer);
}

static void print_fpu(Out *o, bool wide)
{
    X86State *st = &o->c->st;

    out(o, "FCW=%04x FSW=%04x [ST=%d] FTW=%02x MXCSR=%08x\n", st->fcw, st->fsw, st->fsw >> 11 & 7, st->ftw, st->mxcsr);
    for (unsigned n = 0; n < 8; n++) {
        out(o, "FPR%u=%016" PRIx64 " %04x%s", n, st->fpr[n][0], (uint16_t)st->fpr[n][1], n % 2 ? "\n" : " ");
    }
    for (unsigned n = 0; n < (wide ? 16 : 8); n++) {
        out(o, "XMM%02u=%016" PRIx64 " %016" PRIx64 "%s", n, st->vec[n][1], st->vec[n][0], n % 2 ? "\n" : " ");
    }
}

void x86_print_registers(Vcpu *v, void (*print)(void *, const char *), void *opaque)
{
    Out o = { x86_cpu(v), print, opaque };
    bool wide = x86_code64(o.c);

    print_gprs(&o, wide);
    print_flags(&o, wide);
    print_system(&o, wide);
    print_fpu(&o, wide);
}

/* Registers by name: expressions of the monitor ---------------------------------- */

static bool gpr_by_name(X86Cpu *c, const char *name, uint64_t *value)
{
    for (unsigned n = 0; n < 16; n++) {
        const char *base = gpr_names[n];

        if (n >= 8 ? !strcasecmp(name, base) : (name[0] == 'r' || name[0] == 'e') && !strcasecmp(name + 1, base)) {
            *value = name[0] == 'e' ? (uint32_t)c->st.gpr[n] : c->st.gpr[n];
            return true;
        }
    }
    return false;
}

bool x86_get_register(Vcpu *v, const char *name, uint64_t *value)
{
    static const char *const segs[6] = { "es", "cs", "ss", "ds", "fs", "gs" };
    X86Cpu *c = x86_cpu(v);

    for (unsigned n = 0; n < 6; n++) {
        if (!strcmp(name, segs[n])) {
            *value = c->st.seg[n].selector;
            return true;
        }
    }
    if (!strcmp(name, "rip") || !strcmp(name, "eip") || !strcmp(name, "pc")) {
        *value = name[0] == 'p' ? x86_linear_pc(c) : c->st.rip;
        return true;
    }
    if (!strcmp(name, "rflags") || !strcmp(name, "eflags")) {
        *value = x86_get_rflags(c);
        return true;
    }
    return gpr_by_name(c, name, value);
}

/* Page tables ------------------------------------------------------------------------ */

/* A guest can map the same table a million times over: what is printed is bounded. */
enum { MAX_LINES = 1 << 17 };

enum { P_W = 2, P_U = 4, P_A = 1 << 5, P_D = 1 << 6, P_PS = 1 << 7, P_G = 1 << 8, P_T = 1 << 3, P_C = 1 << 4 };
#define P_NX (1ull << 63)

typedef struct {
    Out out;
    bool summary;
    unsigned lines;
    /* info mem: the range being collected */
    uint64_t start, end;
    int rights;
} Tables;

static uint64_t sign_extend(const X86Cpu *c, uint64_t addr)
{
    return x86_lma(c) ? (uint64_t)((int64_t)(addr << 16) >> 16) : addr;
}

static void print_range(Tables *t, uint64_t end, int rights)
{
    const X86Cpu *c = t->out.c;
    int w = x86_lma(c) ? 16 : c->st.cr4 & X86_CR4_PAE ? 16 : 8;

    if (rights == t->rights && end != UINT64_MAX && t->end == end) {
        return;
    }
    if (t->rights && t->lines++ < MAX_LINES) {
        out(&t->out, "%0*" PRIx64 "-%0*" PRIx64 " %0*" PRIx64 " %c%c%c\n", w, sign_extend(c, t->start), w, sign_extend(c, t->end),
            w, t->end - t->start, t->rights & P_U ? 'u' : '-', 'r', t->rights & P_W ? 'w' : '-');
    }
}

static void leaf(Tables *t, uint64_t addr, uint64_t e, uint64_t size, uint64_t all)
{
    const X86Cpu *c = t->out.c;
    int rights = 1 | (all & (P_U | P_W)), w = x86_lma(c) || (c->st.cr4 & X86_CR4_PAE) ? 16 : 8;
    uint64_t phys = e & 0x000ffffffffff000 & ~(size - 1);

    if (t->summary) {
        if (rights != t->rights || addr != t->end) {
            print_range(t, UINT64_MAX, 0);
            t->start = addr;
            t->rights = rights;
        }
        t->end = addr + size;
    } else if (t->lines++ < MAX_LINES) {
        out(&t->out, "%0*" PRIx64 ": %0*" PRIx64 " %c%c%c%c%c%c%c%c%c\n", w, sign_extend(c, addr), w, phys,
            e & P_NX ? 'X' : '-', e & P_G ? 'G' : '-', e & P_PS && size > 4096 ? 'P' : '-', e & P_D ? 'D' : '-',
            e & P_A ? 'A' : '-', e & P_C ? 'C' : '-', e & P_T ? 'T' : '-', e & P_U ? 'U' : '-', e & P_W ? 'W' : '-');
    }
}

static void table(Tables *t, hwaddr at, unsigned shift, unsigned bits, uint64_t addr, uint64_t all)
{
    X86Cpu *c = t->out.c;
    unsigned size = bits == 10 ? 4 : 8;

    for (uint64_t n = 0; n < 1ull << bits && t->lines < MAX_LINES; n++) {
        uint64_t e = x86_phys_ld(c, at + n * size, size), a = addr | n << shift;
        bool large = (e & P_PS) && (shift == 21 || shift == 30 || (shift == 22 && (c->st.cr4 & X86_CR4_PSE)));

        if (!(e & 1)) {
            continue;
        }
        if (shift == 12 || large) {
            leaf(t, a, e, 1ull << shift, all & e);
        } else {
            table(t, e & 0x000ffffffffff000, shift - bits, bits, a, all & e);
        }
    }
}

void x86_print_mmu(Vcpu *v, bool summary, void (*print)(void *, const char *), void *opaque)
{
    X86Cpu *c = x86_cpu(v);
    Tables t = { .out = { c, print, opaque }, .summary = summary };

    if (!(c->st.cr0 & X86_CR0_PG)) {
        out(&t.out, "PG disabled\n");
        return;
    }
    if (x86_lma(c)) {
        table(&t, c->st.cr3 & 0x000ffffffffff000, 39, 9, 0, ~0ull);
    } else if (c->st.cr4 & X86_CR4_PAE) {
        for (unsigned n = 0; n < 4; n++) {
            if (c->st.pdpte[n] & 1) {
                table(&t, c->st.pdpte[n] & 0x000ffffffffff000, 21, 9, (uint64_t)n << 30, ~0ull);
            }
        }
    } else {
        table(&t, c->st.cr3 & 0xfffff000, 22, 10, 0, ~0ull);
    }
    if (summary) {
        print_range(&t, UINT64_MAX, 0);
    }
    if (t.lines >= MAX_LINES) {
        out(&t.out, "(more is not shown)\n");
    }
}
