/*
 * The region loop: fetch, decode, what the attributes of a row say, body, until something ends the region. See translate.h.
 */
#include <string.h>

#include "target/i386/gen.h"

enum { PAGE = 4096, WINDOW = 128, MAX_INSN = 15, MAX_OPS = 700 /* of one instruction: ENTER with 31 levels */ };

/* Bytes of code from `at` on; refilled from one page at a time. */
typedef struct {
    vaddr at;
    unsigned len;
    uint8_t bytes[WINDOW + MAX_INSN];
} Window;

static unsigned to_page_end(vaddr pc)
{
    return PAGE - (unsigned)(pc & (PAGE - 1));
}

/* Makes w start at pc and hold an instruction, or all up to the end of the page. False: nothing can be read. */
static bool window_at(X86Gen *g, Window *w, vaddr pc)
{
    unsigned skip = (unsigned)(pc - w->at), rest = to_page_end(pc);

    if (pc >= w->at && skip < w->len && (w->len - skip >= MAX_INSN || w->len - skip == rest)) {
        memmove(w->bytes, w->bytes + skip, w->len - skip);
        w->len -= skip;
    } else {
        w->len = g->t->fetch(g->t->opaque, pc, w->bytes, rest < WINDOW ? rest : WINDOW);
    }
    w->at = pc;
    return w->len != 0;
}

/* The first instruction goes on in the next page. */
static bool window_extend(X86Gen *g, Window *w)
{
    vaddr pc = w->at + w->len;
    unsigned n;

    pc = g_code64(g) ? pc : (uint32_t)pc;
    n = g->t->fetch(g->t->opaque, pc, w->bytes + w->len, MAX_INSN);
    w->len += n;
    g->t->fault = pc;
    return n != 0;
}

/* SDM vol. 3, table 2-2 and 13.1: what x87, MMX and SSE instructions find in CR0 and CR4. */
static bool check_float(X86Gen *g, uint16_t attr)
{
    bool em = g->key & KEY_CR0_EM, ts = g->key & KEY_CR0_TS;

    if (((attr & X86_ATTR_MMX) && em) || ((attr & X86_ATTR_SSE) && (em || !(g->key & KEY_OSFXSR)))) {
        g_ud(g);
        return false;
    }
    if (ts || ((attr & X86_ATTR_FPU) && em)) {
        g_raise(g, EXC_NM, 0);
        return false;
    }
    return true;
}

/* In the order of SDM vol. 3, table 6-2: #UD before #NM and #GP. */
static bool check_attributes(X86Gen *g)
{
    const X86Row *row = g->in.row;
    uint16_t attr = row->attr;

    if (((attr & X86_ATTR_PE) && (!(g->key & KEY_PE) || (g->key & KEY_VM86))) || !g_has(g, row->feature)) {
        g_ud(g);
        return false;
    }
    if (((attr & X86_ATTR_CPL0) && g_cpl(g) != 0) || ((attr & X86_ATTR_UMIP) && (g->key & KEY_UMIP) && g_cpl(g) != 0)) {
        g_raise(g, EXC_GP, 0);
        return false;
    }
    if (attr & (X86_ATTR_FPU | X86_ATTR_MMX | X86_ATTR_SSE)) {
        return check_float(g, attr);
    }
    return true;
}

/* The CS limit holds for the bytes of the instruction too; regions compare it once with the highest IP (gen.c). */
static void check_fetch(X86Gen *g)
{
    vaddr last = g->next - 1;

    if (g->check_cs) {
        g_check_target(g, g_code64(g) ? last : (uint32_t)last);
    }
}

static void translate_one(X86Gen *g, X86Decode status)
{
    bool ss = status == X86_DECODE_OK && (g->in.row->modrm ? g->in.mem && g->in.seg == S_SS : true);

    ir_insn(g->r, g->pc, g->in.len | (ss ? WORD_STACK : 0));
    g->has_mem = false;
    g->sets_shadow = false;
    g->in_shadow = g->after_sti;
    g->after_sti = false;
    if (g->key & KEY_ICOUNT) {
        ir_icount(g->r, 1);
    }
    if (status == X86_DECODE_LONG) {
        g_raise(g, EXC_GP, 0);
        return;
    }
    check_fetch(g);
    if (status == X86_DECODE_UD) {
        g_ud(g);
    } else if (check_attributes(g)) {
        g->in.row->body(g);
    }
}

/* Room for one more instruction and its exits. */
static bool has_room(const X86Gen *g)
{
    const IrRegion *r = g->r;

    if (r->overflow || r->num_insns + MAX_OPS + IR_HEADROOM > r->max_insns || r->num_blocks + 16 > IR_MAX_BLOCKS) {
        return false;
    }
    return g->num_slots + 4 <= TCG_MAX_SLOTS && g->num_cold + 8 <= MAX_COLD && g->t->num_insns < g->t->max_insns && !g->single;
}

/* Without a flat CS: the limit against the highest IP, filled in at the end. Returns the number of that comparison. */
static uint32_t begin_cs_check(X86Gen *g)
{
    IrRef limit = ir_lds(g->r, W32, G_ST(seg[S_CS].limit));
    IrRef f = ir_cmp(g->r, W64, limit, g_imm(g, 0));

    ir_brcond(g->r, f, COND_C, g_cold_block(g, g->t->pc, LEAVE_ONE_INSN));
    return f >> 2;
}

static void end_cs_check(X86Gen *g, uint32_t cmp)
{
    g->r->insns[cmp].arg[1] = ir_inline(ir_fits_inline((int64_t)g->max_ip) ? (int64_t)g->max_ip : -1);
}

static void begin(X86Gen *g, X86Translate *t)
{
    uint64_t single = KEY_TF | KEY_SHADOW | KEY_ONE_INSN | KEY_DR7;

    *g = (X86Gen){ .t = t, .r = t->r, .key = t->key, .pc = t->pc };
    g->base = g_code64(g) ? 0 : t->key >> 32;
    g->single = t->key & single;
    g->check_cs = !g_code64(g) && !(t->key & KEY_FLAT_CS);
    g->mmu = g_cpl(g) == 3 ? MMU_USER : t->key & KEY_SMAP ? MMU_KERNEL_SMAP : MMU_KERNEL;
    t->num_insns = 0;
}

/* Decodes at g->pc; false: the region ends before it. */
static bool next_insn(X86Gen *g, Window *w, X86Decode *status)
{
    if (!window_at(g, w, g->pc)) {
        g->t->fault = g->pc;
        return false;
    }
    *status = x86_decode(&g->in, w->bytes, w->len, g->key);
    if (*status == X86_DECODE_SHORT) {
        if (g->t->num_insns || !window_extend(g, w)) {
            return false;
        }
        *status = x86_decode(&g->in, w->bytes, w->len, g->key);
    }
    g->next = g->pc + g->in.len;
    g->next = g_code64(g) ? g->next : (uint32_t)g->next;
    return true;
}

/* A REP polls in its first iteration. */
static bool has_rep(const X86Gen *g, X86Decode status)
{
    return status == X86_DECODE_OK && (g->in.prefixes & (X86_P_F2 | X86_P_F3));
}

/* The region is full. After STI the next one begins in its shadow. */
static void end_region(X86Gen *g)
{
    if (g->done) {
        return;
    }
    if (g->after_sti) {
        ir_sts(g->r, W8, G_ST(shadow), g_imm(g, 1));
        g_leave(g, LEAVE_STEP, g->pc);
    } else {
        g_jump(g, g->pc);
    }
}

void x86_translate(X86Translate *t)
{
    Window w = { .len = 0 };
    X86Gen g;
    X86Decode status;
    uint32_t cs_check = 0;

    begin(&g, t);
    if (g.check_cs && !g.single) {
        cs_check = begin_cs_check(&g);
    }
    do {
        if (!next_insn(&g, &w, &status) || (g.after_sti && has_rep(&g, status))) {
            break;
        }
        translate_one(&g, status);
        t->num_insns++;
        g.pc = g.next;
    } while (!g.done && has_room(&g) && ((g.pc ^ t->pc) & ~(vaddr)(PAGE - 1)) == 0);
    t->end = g.pc;
    end_region(&g);
    if (cs_check) {
        end_cs_check(&g, cs_check);
    }
    g_write_cold_blocks(&g);
}
