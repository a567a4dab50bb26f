/*
 * Every row of the decode table, natively and translated: see insn.h. TAP, one line for each mode and group of rows.
 */
#include <capstone/capstone.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "target/i386/gen.h"
#include "tests/insn/insn.h"

typedef struct {
    uint64_t seed, one;
    unsigned cases, sequences, show;
    const char *only;
    int mode;               /* -1: all */
    bool repeat_one;
    bool strict;            /* known differences fail too */
} Options;

typedef struct {
    unsigned rows, cases, failed, known, faults, skipped_flags, skipped_write_bits, skipped_jumps, refused, not_made;
} Count;

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = true };
#else
enum { SANITIZED = false };
#endif

static const char *const mode_names[] = { "64-bit", "32-bit", "16-bit" };
static const unsigned mode_bits[] = { 64, 32, 16 };

/* Showing */

static void disassemble(const InsnCase *c)
{
    csh h;
    cs_insn *insn;
    cs_mode mode = c->mode == MODE_64 ? CS_MODE_64 : c->mode == MODE_32 ? CS_MODE_32 : CS_MODE_16;
    size_t n;

    printf("#   ");
    for (unsigned i = 0; i < c->len; i++) {
        printf("%02x ", c->code[i]);
    }
    if (cs_open(CS_ARCH_X86, mode, &h) == CS_ERR_OK) {
        n = cs_disasm(h, c->code, c->len, c->in.rip, 0, &insn);
        for (size_t i = 0; i < n; i++) {
            printf("%s %s %s", i ? ";" : " ", insn[i].mnemonic, insn[i].op_str);
        }
        if (n) {
            cs_free(insn, n);
        }
        cs_close(&h);
    }
    printf("\n");
}

/* Fields of the state: one list for comparing and printing. */
typedef struct {
    const char *name;
    uint16_t offset, size, count, stride;
} Field;

#define FIELD(name, member) { name, offsetof(InsnState, member), sizeof(((InsnState *)0)->member), 1, 0 }
static const Field fields[] = {
    { "gpr", offsetof(InsnState, gpr), 8, 16, 8 },
    FIELD("rip", rip), FIELD("flags", flags),
    { "xmm", offsetof(InsnState, xmm), 16, 16, 16 },
    { "st", offsetof(InsnState, st), 16, 8, 16 },
    FIELD("fcw", fcw), FIELD("fsw", fsw), FIELD("ftw", ftw), FIELD("fop", fop), FIELD("fip", fip), FIELD("fdp", fdp),
    FIELD("mxcsr", mxcsr), FIELD("vector", vector), FIELD("error", error), FIELD("address", address),
};

static void show_value(const uint8_t *p, unsigned size)
{
    for (unsigned n = size; n-- > 0;) {
        printf("%02x", p[n]);
    }
}

static void show_line(const char *name, unsigned k, unsigned count, const uint8_t *in, const uint8_t *a, const uint8_t *b,
                      unsigned size)
{
    if (count > 1) {
        printf("#   %s%u: ", name, k);
    } else {
        printf("#   %s: ", name);
    }
    show_value(in, size);
    printf(" -> host ");
    show_value(a, size);
    printf(", ours ");
    show_value(b, size);
    printf("%s\n", memcmp(a, b, size) ? "   <--" : "");
}

static void show(const InsnCase *c, const InsnResult *a, const InsnResult *b, bool all)
{
    unsigned lines = 0;

    disassemble(c);
    for (unsigned f = 0; f < sizeof(fields) / sizeof(fields[0]); f++) {
        for (unsigned k = 0; k < fields[f].count; k++) {
            unsigned at = fields[f].offset + k * fields[f].stride;
            const uint8_t *i = (const uint8_t *)&c->in + at, *x = (const uint8_t *)&a->st + at, *y = (const uint8_t *)&b->st + at;
            if (all || memcmp(x, y, fields[f].size)) {
                show_line(fields[f].name, k, fields[f].count, i, x, y, fields[f].size);
            }
        }
    }
    for (unsigned n = 0; n < DATA_COPY; n++) {
        if (a->mem[n] != b->mem[n] || (all && a->mem[n] != c->mem[n])) {
            unsigned addr = n < 3 * PAGE ? DATA + DATA_RW + n : DATA + STACK + n - 3 * PAGE;
            if (lines++ < 24) {
                printf("#   [%08x]: %02x -> host %02x, ours %02x\n", addr, c->mem[n], a->mem[n], b->mem[n]);
            }
        }
    }
}

/* Comparing */

/* Takes out what is not the instruction's: upper halves of registers that the mode does not have. */
static void normalize(const InsnCase *c, InsnState *s)
{
    for (unsigned n = 0; n < 16 && c->mode != MODE_64; n++) {
        s->gpr[n] = n < 8 ? (uint32_t)s->gpr[n] : 0;
    }
    s->flags &= FL_STATUS | FL_DF;
    for (unsigned n = 0; n < 8; n++) {
        s->st[n][1] &= 0xffff;
    }
    s->fop = 0; /* the kernel does not keep them across a signal */
    s->fip = s->fdp = 0;
    if (s->vector != EXC_PF && s->vector != EXC_GP && s->vector != EXC_SS) {
        s->error = 0;
    }
}

/* Jumps to addresses that are not canonical: the fault comes at the jump on the host, at its target here. */
static bool jumped_nowhere(const InsnCase *c, const InsnResult *a, const InsnResult *b)
{
    int64_t to = (int64_t)b->st.rip;

    return c->mode == MODE_64 && a->st.vector == EXC_GP && b->st.vector < 0 && to << 16 >> 16 != to;
}

static void skip_memory(const InsnResult *a, InsnResult *b, uint64_t linear, unsigned bytes)
{
    uint64_t at = linear - DATA - DATA_RW;

    at = at >= 4 * PAGE ? at - PAGE : at;
    if (at + bytes <= DATA_COPY) {
        memcpy(b->mem + at, a->mem + at, bytes);
    }
}

static bool same(const InsnCase *c, InsnResult *a, InsnResult *b, Count *count)
{
    const X86Row *at = insn_row_at(c, a->st.rip - c->in.rip);
    uint64_t flags;

    normalize(c, &a->st);
    normalize(c, &b->st);
    flags = (a->st.flags ^ b->st.flags) & c->undefined;
    if (a->st.vector == EXC_PF && b->st.vector == EXC_PF && ((a->st.error ^ b->st.error) & 2)) {
        /* The read of what will be written is a plain read in the IR. */
        count->skipped_write_bits++;
        b->st.error = a->st.error;
        if (b->st.address / PAGE != a->st.address / PAGE && b->st.address - a->st.address < 32) {
            b->st.address = a->st.address; /* of an access across pages, the read-only one faults first */
        }
    }
    if (a->st.vector == EXC_PF && a->st.address - DATA >= DATA_SIZE) {
        a->st.error &= ~1u; /* whether the kernel has something there is not ours */
        b->st.error &= ~1u;
    }
    if (at && (at->attr & X86_ATTR_FPU) && a->st.vector == EXC_PF && b->st.vector == EXC_PF &&
        a->st.address - b->st.address + 512 < 1024) {
        b->st.address = a->st.address; /* which part of a large operand is touched first is the processor's business */
        b->st.error = a->st.error;
    }
    for (unsigned n = 0; n < c->num_masks; n++) {
        skip_memory(a, b, c->masks[n] + 6, 18);
        skip_memory(a, b, c->masks[n] + 28, 4);
    }
    if (flags) {
        count->skipped_flags += (unsigned)__builtin_popcountll(flags);
        b->st.flags ^= flags;
    }
    return !memcmp(&a->st, &b->st, sizeof(a->st)) && !memcmp(a->mem, b->mem, DATA_COPY);
}

/*
 * Differences that are the processor's business: which registers a faulting POPA has changed; whether a near call outside the
 * limit faults for that or, as on AMD's, for its push first (SDM vol. 2, CALL, has the target first); whether an access that
 * wraps at 4 GiB faults by a limit of 4 GiB (vol. 3, 5.3).
 */
static const char *known_difference(const InsnCase *c, const InsnResult *host, const InsnResult *ours)
{
    if (!strcmp(c->row->mnemonic, "popa") && host->st.vector >= 0) {
        return "popa";
    }
    if (!strcmp(c->row->mnemonic, "call") && c->mode == MODE_16 && host->st.vector >= 0 && ours->st.vector == EXC_GP) {
        return "16-bit call";
    }
    if (ours->st.vector == EXC_PF && ours->st.address - DATA >= DATA_SIZE && (host->st.vector < 0 || SANITIZED)) {
        return "the host program has memory there"; /* wild addresses; a sanitizer's shadow is wide */
    }
    if ((host->st.mxcsr & 0x20000) && ours->st.vector == EXC_GP) {
        return "MXCSR.MM of AMD's";
    }
    if (c->mode == MODE_32 && (host->st.vector == EXC_SS || host->st.vector == EXC_GP) && ours->st.vector == EXC_PF &&
        ours->st.address >= 0xfffffff0) {
        return "wraps at 4 GiB";
    }
    return NULL;
}

/* What the emitter leaves to the interpreter: CMPXCHG8B with flags besides Z read later; too many vectors alive. */
static bool emitter_refuses(const char *why)
{
    return !strcmp(why, "cmpxchg2") || !strcmp(why, "an op wants more registers than there are");
}

/* Holds ours, of the interpreter or the emitter, against host's. */
static bool check(const InsnCase *c, InsnResult host, InsnResult *ours, const char *engine, const Options *o, Count *count)
{
    if (ours->refused && emitter_refuses(ours->refused) && !o->strict) {
        count->known++;
        return true;
    }
    if (ours->refused) {
        count->refused++;
        if (o->repeat_one || count->refused <= o->show) {
            printf("# %s: refused: %s\n", engine, ours->refused);
            disassemble(c);
        }
        return false;
    }
    if (jumped_nowhere(c, &host, ours)) {
        count->skipped_jumps++;
        return true;
    }
    if (c->mode == MODE_64 && (host.st.vector == EXC_SS || host.st.vector == EXC_GP) &&
        (ours->st.vector == EXC_SS || ours->st.vector == EXC_GP)) {
        ours->st.vector = host.st.vector; /* not canonical: the harness's memory does not know the segment, nor the host ours */
    }
    if (same(c, &host, ours, count)) {
        if (o->repeat_one) {
            printf("# %s:\n", engine);
            show(c, &host, ours, true);
        }
        return true;
    }
    if (known_difference(c, &host, ours) && !o->repeat_one && !o->strict) {
        count->known++;
        return true;
    }
    count->failed++;
    if (o->repeat_one || count->failed <= o->show) {
        printf("# %s:\n", engine);
        show(c, &host, ours, o->repeat_one);
    }
    return false;
}

static bool run_case(const InsnCase *c, const Options *o, Count *count)
{
    static const char *const engines[] = { "interpreted", "emitted, user", "emitted, system" };
    static InsnResult host, ours;
    bool ok = true;

    memset(&host, 0, sizeof(host));
    native_run(c, &host);
    count->cases++;
    count->faults += host.st.vector >= 0;
    for (GuestEngine e = 0; e < GUEST_ENGINES; e++) {
        memset(&ours, 0, sizeof(ours));
        guest_run(c, &ours, e);
        ok &= check(c, host, &ours, engines[e], o, count);
    }
    return ok;
}

/* Groups of rows: what TAP lines are about. */
static const char *group_of(const X86Row *row)
{
    return row->attr & X86_ATTR_FPU ? "x87" : row->attr & X86_ATTR_MMX ? "mmx" : row->attr & X86_ATTR_SSE ? "sse" : "integer";
}

static bool wanted(const X86Row *row, const Options *o)
{
    return !o->only || !strncasecmp(row->mnemonic, o->only, strlen(o->only)) || !strcasecmp(group_of(row), o->only);
}

/* False, having said so: --only names nothing that is tested. */
static bool any_wanted(const Options *o)
{
    const X86Row *left_out = NULL;

    for (unsigned n = 0; n < X86_NUM_ROWS; n++) {
        if (wanted(&x86_insn_rows[n], o)) {
            if (!insn_left_out(&x86_insn_rows[n])) {
                return true;
            }
            left_out = &x86_insn_rows[n];
        }
    }
    fprintf(stderr, "insn-test: --only %s: %s%s\n", o->only, left_out ? "not tested here: " : "no row or group of this name",
            left_out ? insn_left_out(left_out) : "");
    return false;
}

static bool not_yet(const X86Row *row)
{
    return row->body == gen_todo;
}

static void run_row(const X86Row *row, InsnMode mode, const Options *o, Count *count)
{
    static InsnCase c;
    unsigned from = o->repeat_one ? (unsigned)o->one : 0, to = o->repeat_one ? from + 1 : o->cases, bad = 0, made = 0;

    for (unsigned n = from; n < to; n++) {
        if (!insn_make(&c, row, mode, o->seed, n)) {
            count->not_made++;
            continue;
        }
        if (not_yet(c.row) || host_lacks(c.row)) {
            continue;
        }
        made++;
        if (!run_case(&c, o, count) && bad++ < o->show) {
            printf("#   above: --only %s --mode %u --one %u, row %zu, seed %" PRIu64 "\n", row->mnemonic, mode_bits[mode], n,
                   (size_t)(row - x86_insn_rows), o->seed);
        }
    }
    count->rows += made > 0;
    if (bad) {
        printf("# %s %02x %s: %u of %u differ\n", mode_names[mode], row->opcode, row->mnemonic, bad, made);
    }
}

static bool run_group(const char *group, InsnMode mode, const Options *o, unsigned number)
{
    Count count = { 0 };
    unsigned todo = 0, lacked = 0;

    for (unsigned n = 0; n < X86_NUM_ROWS; n++) {
        const X86Row *row = &x86_insn_rows[n];
        if (strcmp(group_of(row), group) || !wanted(row, o) || insn_left_out(row)) {
            continue;
        }
        if (not_yet(row)) {
            todo++;
            continue;
        }
        if (host_lacks(row)) {
            lacked++;
            continue;
        }
        run_row(row, mode, o, &count);
    }
    printf("# %u rows, %u cases, %u with faults, %u undefined flag bits, %u write bits of errors, %u wild jumps skipped, %u known to differ, %u differ, %u refused, %u rows to do\n",
           count.rows, count.cases, count.faults, count.skipped_flags, count.skipped_write_bits, count.skipped_jumps, count.known, count.failed, count.refused, todo);
    if (lacked) {
        printf("# %u rows skipped: the host's CPUID lacks their feature\n", lacked);
    }
    printf("%s %u - %s %s\n", count.failed || count.refused ? "not ok" : "ok", number, group, mode_names[mode]);
    return !count.failed && !count.refused;
}

static bool fails_quietly(const InsnCase *c, void *opaque)
{
    Options quiet = { .show = 0 };
    Count count = { 0 };

    return !run_case(c, &quiet, &count);
}

static bool run_sequences(InsnMode mode, const Options *o, unsigned number)
{
    static InsnCase c;
    Count count = { 0 };
    unsigned from = o->repeat_one ? (unsigned)o->one : 0, to = o->repeat_one ? from + 1 : o->sequences, bad = 0;

    for (unsigned n = from; n < to; n++) {
        insn_make_sequence(&c, mode, o->seed, n);
        if (run_case(&c, &(Options){ .show = 0 }, &count)) {
            continue;
        }
        if (bad++ < o->show) {
            insn_shrink(&c, fails_quietly, NULL);
            run_case(&c, &(Options){ .show = 1, .repeat_one = o->repeat_one }, &(Count){ 0 });
            printf("#   above: --sequences 1 --mode %u --one %u, seed %" PRIu64 "\n", mode_bits[mode], n, o->seed);
        }
    }
    printf("# %u sequences, %u end with a fault, %u known to differ, %u differ, %u refused\n", count.cases, count.faults,
           count.known, count.failed, count.refused);
    printf("%s %u - sequences %s\n", bad ? "not ok" : "ok", number, mode_names[mode]);
    return !bad;
}

static bool parse(int argc, char **argv, Options *o)
{
    for (int n = 1; n < argc; n++) {
        const char *v = n + 1 < argc ? argv[n + 1] : NULL;
        if (!v) {
            return false;
        } else if (!strcmp(argv[n], "--cases")) {
            o->cases = (unsigned)strtoul(v, NULL, 0);
        } else if (!strcmp(argv[n], "--sequences")) {
            o->sequences = (unsigned)strtoul(v, NULL, 0);
            o->cases = 0;
        } else if (!strcmp(argv[n], "--seed")) {
            o->seed = strtoull(v, NULL, 0);
        } else if (!strcmp(argv[n], "--only")) {
            o->only = v;
        } else if (!strcmp(argv[n], "--without")) {
            if (!host_forget(v)) {
                fprintf(stderr, "insn-test: --without %s: not a feature of target/i386/features.def\n", v);
                return false;
            }
        } else if (!strcmp(argv[n], "--show")) {
            o->show = (unsigned)strtoul(v, NULL, 0);
        } else if (!strcmp(argv[n], "--strict")) {
            o->strict = strtoul(v, NULL, 0);
        } else if (!strcmp(argv[n], "--mode")) {
            o->mode = !strcmp(v, "64") ? MODE_64 : !strcmp(v, "32") ? MODE_32 : MODE_16;
        } else if (!strcmp(argv[n], "--one")) {
            o->one = strtoull(v, NULL, 0);
            o->repeat_one = true;
        } else {
            return false;
        }
        n++;
    }
    return true;
}

static bool run_mode(InsnMode mode, const Options *o, unsigned *number)
{
    static const char *const groups[] = { "integer", "x87", "mmx", "sse", "sequences" };
    const char *why = native_has_mode(mode);
    bool ok = true;

    for (unsigned n = 0; n < 5; n++) {
        ++*number;
        if (why) {
            printf("ok %u - %s %s # SKIP %s\n", *number, groups[n], mode_names[mode], why);
        } else if (n < 4) {
            ok &= run_group(groups[n], mode, o, *number);
        } else {
            ok &= run_sequences(mode, o, *number);
        }
    }
    return ok;
}

int main(int argc, char **argv)
{
    Options o = { .seed = 1, .cases = 40, .sequences = 500, .show = 2, .mode = -1 };
    unsigned number = 0;
    bool ok = true;
    const char *why;

    setvbuf(stdout, NULL, _IOLBF, 0);
    host_init();
    if (!parse(argc, argv, &o)) {
        fprintf(stderr, "usage: insn-test [--cases N] [--sequences N] [--seed S] [--only NAME|GROUP] [--mode 64|32|16] [--show N] [--one N] [--strict 1] [--without FEATURE]\n");
        return 2;
    }
    if (!any_wanted(&o)) {
        return 1;
    }
    why = native_init();
    if (why) {
        printf("1..0 # SKIP %s\n", why);
        return 0;
    }
    guest_init();
    printf("1..%u\n", (unsigned)(5 * (o.mode < 0 ? NUM_MODES : 1)));
    for (InsnMode mode = 0; mode < NUM_MODES; mode++) {
        if (o.mode < 0 || (int)mode == o.mode) {
            ok &= run_mode(mode, &o, &number);
        }
    }
    return ok ? 0 : 1;
}
