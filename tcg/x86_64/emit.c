/*
 * The emitter's driver: set up by guest, then by region one scan and one pass.
 */
#include <stdlib.h>

#include "tcg/x86_64/internal.h"

/* Most code one IR op takes: a call with four arguments and saved values. */
enum { MOST_PER_OP = 1024 };

void x86_fail(X86Emit *e, TcgEmitResult result, const char *why)
{
    if (!e->failed) {
        e->failed = true;
        e->result = result;
        e->why = why;
    }
}

static void place_homes(X86Emit *e)
{
    const TcgGuest *g = e->guest;

    memset(e->home, NO_REG, sizeof(e->home));
    memset(e->global_of, NO_GLOBAL, sizeof(e->global_of));
    for (unsigned n = 0; n < g->num_globals; n++) {
        int h = g->globals[n].home;
        unsigned reg = (unsigned)h + (g->globals[n].type == 'v' ? XMM0 : 0);
        bool scratch = reg == RSP || reg == R10 || reg == R11 || reg == R14 || reg >= XMM14;
        if (h >= 0 && h < 16 && !scratch && e->global_of[reg] == NO_GLOBAL) {
            e->home[n] = (uint8_t)reg;
            e->global_of[reg] = (uint8_t)n;
        }
    }
    e->scratch = 0;
    for (unsigned r = 0; r < 32; r++) {
        e->scratch |= e->global_of[r] == NO_GLOBAL && r != RSP ? 1u << r : 0;
    }
}

X86Emit *x86_emit_new(const TcgGuest *guest)
{
    X86Emit *e = calloc(1, sizeof(*e));

    if (!e) {
        return NULL;
    }
    e->guest = guest;
    e->val = malloc(4 * IR_MAX_INSNS * sizeof(e->val[0]));
    e->skip = malloc(IR_MAX_INSNS);
    e->observed = malloc(IR_MAX_INSNS * sizeof(e->observed[0]));
    e->next_access = malloc(IR_MAX_INSNS * sizeof(e->next_access[0]));
    if (!e->val || !e->skip || !e->observed || !e->next_access) {
        x86_emit_free(e);
        return NULL;
    }
    place_homes(e);
    return e;
}

void x86_emit_free(X86Emit *e)
{
    if (e) {
        free(e->val);
        free(e->skip);
        free(e->observed);
        free(e->next_access);
        free(e);
    }
}

/* Ops that only move knowledge. Returns false when there is a row to call. */
static bool emit_silent(X86Emit *e, const IrInsn *in)
{
    IrRef ref = e->n << 2;
    unsigned g = (unsigned)in->imm;

    switch (in->op) {
    case IR_const:
        return true;
    case IR_get:
    case IR_getv:
        /* Another name of the same content: the old one moves if it is still wanted. */
        if (e->home[g] != NO_REG) {
            x86_lose_reg(e, e->home[g]);
            x86_bind(e, ref, e->home[g]);
        } else {
            x86_lose_slot(e, g);
            e->slot_val[g] = ref;
            e->val[ref].global = (uint8_t)g;
        }
        return true;
    case IR_set:
        x86_set_global(e, g, in->arg[0]);
        return true;
    case IR_setv:
        x86_set_vector(e, in);
        return true;
    case IR_getf:
    case IR_setf:
        x86_set_flags(e, in);
        return true;
    }
    return false;
}

static void emit_op(X86Emit *e, const IrInsn *in)
{
    const X86Row *row = &x86_rows[in->op];

    if (emit_silent(e, in)) {
        return;
    }
    if (!row->emit || !x86_has(in->op)) {
        x86_unsupported(e, in);
        return;
    }
    row->emit(e, in, row);
}

static void emit_literals(X86Emit *e)
{
    if (!x86_room(&e->a, 16 + 8u * e->num_literals)) {
        x86_fail(e, TCG_EMIT_FULL, "no room");
        return;
    }
    while ((uintptr_t)e->a.p & 7) {
        x86_byte(&e->a, 0xcc);
    }
    for (unsigned n = 0; n < e->num_literals; n++) {
        x86_patch(e->literals[n].rel32, e->a.p);
        x86_i64(&e->a, e->literals[n].value);
    }
}

static void resolve_fixups(X86Emit *e)
{
    for (unsigned n = 0; n < e->num_fixups; n++) {
        x86_patch(e->fixups[n].rel32, e->block_at[e->fixups[n].block]);
    }
}

static void begin(X86Emit *e, const TcgEmitJob *job)
{
    e->job = job;
    e->ir = job->ir;
    e->a = (Asm){ .start = job->code, .p = job->code, .end = job->code_end };
    e->failed = e->short_of_registers = false;
    e->result = TCG_EMIT_OK;
    e->unsupported_op = IR_NUM_OPS;
    e->why = NULL;
    e->num_fixups = e->num_cold = e->num_literals = 0;
    e->slots_used = 0;
    e->folded_load = e->folded_alu = e->folded_cond = 0;
    e->map = job->map;
    e->map_off = 0;
    e->map_pc = 0;
    e->map_slot = false;
    e->n = 0;
    memset(e->block_at, 0, sizeof(e->block_at));
    for (unsigned n = 0; n < TCG_MAX_SLOTS; n++) {
        job->slots[n].used = false;
    }
    x86_reset_values(e);
    x86_forget_windows(e);
}

/* Everything that is in a scratch register goes to memory. */
static void empty_scratch(X86Emit *e)
{
    for (unsigned r = 0; r < 32; r++) {
        IrRef ref = e->reg_val[r];
        if (ref == IR_NONE || !(e->scratch >> r & 1)) {
            continue;
        }
        if (e->val[ref].reg == r && (e->val[ref].last >= e->n)) {
            x86_spill(e, ref, r >= XMM0);
        }
        x86_lose_reg(e, r);
    }
}

bool x86_dropped(const X86Emit *e, uint32_t n)
{
    return e->skip[n];
}

static TcgEmitResult emit_ops(X86Emit *e, bool tight, TcgEmitted *out)
{
    x86_scan(e);
    x86_forget_flags(e);
    if (!x86_room(&e->a, MOST_PER_OP)) {
        return TCG_EMIT_FULL;
    }
    x86_emit_checked_entry(e);
    out->entry = (uint32_t)(e->a.p - e->a.start);
    for (e->n = 0; e->n < e->ir->num_insns && !e->failed; e->n++) {
        if (e->skip[e->n]) {
            continue;
        }
        if (!x86_room(&e->a, MOST_PER_OP)) {
            return TCG_EMIT_FULL;
        }
        if (tight) {
            empty_scratch(e);
        }
        e->locked = 0;
        e->overwritten = 0;
        e->past_fault = false;
        emit_op(e, &e->ir->insns[e->n]);
    }
    return e->failed ? e->result : TCG_EMIT_OK;
}

/*
 * An op may want more scratch registers than the values it works on leave it. That is rare, and the
 * whole region is then emitted again, tight: each op finds all scratch registers empty.
 */
TcgEmitResult x86_emit(X86Emit *e, const TcgEmitJob *job, TcgEmitted *out)
{
    TcgEmitResult res;

    begin(e, job);
    res = emit_ops(e, job->tight, out);
    if (e->short_of_registers && !job->tight) {
        begin(e, job);
        res = emit_ops(e, true, out);
    }
    if (res == TCG_EMIT_OK) {
        resolve_fixups(e);
        x86_emit_cold(e);
        x86_emit_slots(e);
    }
    if (res == TCG_EMIT_OK && !e->failed) {
        emit_literals(e);
    }
    out->size = (uint32_t)(e->a.p - e->a.start);
    out->map_size = (uint32_t)(e->map - job->map);
    out->num_slots = e->slots_used;
    out->unsupported_op = e->unsupported_op;
    out->why = e->why;
    return e->failed ? e->result : res;
}
