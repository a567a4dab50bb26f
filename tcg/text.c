/*
 * The text form of a region: see tcg/text.h.
 */
#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tcg/text.h"

static const char *const width_names[] = { "w8", "w16", "w32", "w64", "w128", "w256", "w512" };
static const struct {
    const char *name;
    uint8_t flag;
} mem_flags[] = {
    { "signed", IR_MEM_SIGNED },
    { "aligned", IR_MEM_ALIGNED },
    { "nontemporal", IR_MEM_NONTEMPORAL },
    { "swap", IR_MEM_SWAP },
    { "rmw", IR_MEM_RMW },
};

/* The letter of result n of op: v f x, and h for a second integer. */
static char letter_of(IrOp op, unsigned n)
{
    char type = ir_ops[op].results[n];

    return type == 'i' ? (n ? 'h' : 'v') : type == 'v' ? 'x' : type;
}

static bool names_global(IrOp op)
{
    return op == IR_get || op == IR_set || op == IR_getv || op == IR_setv;
}

static bool is_field(IrOp op)
{
    return op == IR_extract || op == IR_deposit;
}

static bool is_native_mem(IrOp op)
{
    return op == IR_native_m || op == IR_native_st || op == IR_native_xm;
}

static const char *slot_key(IrOp op)
{
    switch (op) {
    case IR_exit:
    case IR_exit_cond:
    case IR_push_ret:
        return "slot";
    case IR_exit_ind:
        return "kind";
    default:
        return "aux";
    }
}

static void print_number(FILE *f, int64_t v)
{
    if (v < 0 && v > -0x10000) {
        fprintf(f, "-0x%" PRIx64, (uint64_t)-v);
    } else {
        fprintf(f, "0x%" PRIx64, (uint64_t)v);
    }
}

static void print_ref(FILE *f, const IrRegion *r, IrRef ref)
{
    if (ref == IR_NONE) {
        fputc('-', f);
    } else if (ir_is_inline(ref)) {
        print_number(f, ir_inline_value(ref));
    } else {
        fprintf(f, "%c%u", letter_of(ir_def(r, ref)->op, ref & 3), ref >> 2);
    }
}

/* Where the next operand goes: a space before the first, commas after. */
static void separate(FILE *f, unsigned *count)
{
    fputs((*count)++ ? ", " : " ", f);
}

static void print_address(FILE *f, const IrRegion *r, const IrInsn *in)
{
    int64_t disp = is_native_mem(in->op) ? (int32_t)in->arg[4] : (int64_t)in->imm;
    bool some = in->arg[0] != IR_NONE;

    fputc('[', f);
    if (some) {
        print_ref(f, r, in->arg[0]);
    }
    if (in->op != IR_cmpxchg2 && in->arg[1] != IR_NONE) {
        fputs(some ? " + " : "", f);
        print_ref(f, r, in->arg[1]);
        fprintf(f, "*%u", 1u << (in->aux & IR_MEM_SCALE));
        some = true;
    }
    if (disp || !some) {
        fputs(some ? " + " : "", f);
        print_number(f, disp);
    }
    fputc(']', f);
}

static void print_memory_keys(FILE *f, const IrInsn *in)
{
    if (in->aux2 & IR_MMU_MASK) {
        fprintf(f, ", mmu=%u", in->aux2 & IR_MMU_MASK);
    }
    if (in->aux2 >> IR_ADDR_SHIFT) {
        fprintf(f, ", a%u", in->aux2 >> IR_ADDR_SHIFT == IR_A32 ? 32 : 16);
    }
    for (unsigned n = 0; n < sizeof(mem_flags) / sizeof(mem_flags[0]); n++) {
        if (in->aux & mem_flags[n].flag) {
            fprintf(f, ", %s", mem_flags[n].name);
        }
    }
}

static void print_tail(FILE *f, const IrInsn *in, unsigned count)
{
    uint32_t t = ir_ops[in->op].flags;

    if (t & IR_T_RAW) {
        if (in->arg[0]) {
            fprintf(f, ", word=0x%x", in->arg[0]);
        }
    }
    if ((t & IR_T_AUX) && in->op != IR_lea) {
        if (in->aux || slot_key(in->op)[0] != 'a') {
            separate(f, &count);
            fprintf(f, "%s=%u", slot_key(in->op), in->aux);
        }
    }
    if (t & IR_T_AUX2) {
        fprintf(f, ", %s=%u", slot_key(in->op), in->aux2);
    }
    if (t & IR_T_ADDR) {
        print_memory_keys(f, in);
    }
}

static void print_operands(FILE *f, const IrRegion *r, const IrInsn *in)
{
    const IrOpDef *def = &ir_ops[in->op];
    unsigned count = 0, first = 0;

    if (names_global(in->op)) {
        separate(f, &count);
        fputs(r->guest->globals[in->imm].name, f);
    } else if (in->op == IR_call) {
        separate(f, &count);
        fputs(((const TcgHelper *)(uintptr_t)in->imm)->name, f);
    } else if ((def->flags & IR_T_ADDR) || in->op == IR_lea) {
        separate(f, &count);
        print_address(f, r, in);
        first = in->op == IR_cmpxchg2 ? 1 : 2;
    }
    for (unsigned n = first; n < def->num_args; n++) {
        separate(f, &count);
        print_ref(f, r, in->arg[n]);
    }
    if ((def->flags & IR_T_JUMP) || in->op == IR_block) {
        separate(f, &count);
        fprintf(f, "b%" PRIu64, in->imm);
    } else if (is_field(in->op)) {
        fprintf(f, ", pos=%u, len=%u", (unsigned)(in->imm & 0xff), (unsigned)(in->imm >> 8));
    } else if (((def->flags & IR_T_IMM) || is_native_mem(in->op)) && in->op != IR_call &&
               in->op != IR_lea && !names_global(in->op)) {
        separate(f, &count);
        print_number(f, (int64_t)in->imm);
    }
    print_tail(f, in, count);
}

void ir_print_insn(FILE *f, const IrRegion *r, uint32_t n)
{
    const IrInsn *in = &r->insns[n];
    const IrOpDef *def = &ir_ops[in->op];

    for (unsigned i = 0; i < def->num_results; i++) {
        fprintf(f, "%s%c%u", i ? ", " : "", letter_of(in->op, i), n);
    }
    fprintf(f, "%s%s", def->num_results ? " = " : "", def->name);
    if (def->flags & IR_T_WIDTH) {
        fprintf(f, ".%s", width_names[in->w]);
    }
    if (def->flags & IR_T_COND) {
        fprintf(f, ".%s", ir_cond_names[in->aux & 15]);
    }
    print_operands(f, r, in);
    fputc('\n', f);
}

void ir_print(FILE *f, const IrRegion *r)
{
    for (uint32_t n = 0; n < r->num_insns; n++) {
        ir_print_insn(f, r, n);
    }
}

/* Reading. Each parse_ function advances p->at, and returns false with p->error set. */
typedef struct {
    IrRegion *r;
    const char *at;
    IrFindHelper find;
    const char *error;
    unsigned next_arg;
    IrRef names[4][IR_MAX_INSNS]; /* v h f x and a number to value */
} Parse;

static bool fail(Parse *p, const char *error)
{
    p->error = error;
    return false;
}

static void skip_blank(Parse *p)
{
    while (*p->at == ' ' || *p->at == '\t') {
        p->at++;
    }
}

static bool accept(Parse *p, char c)
{
    skip_blank(p);
    if (*p->at != c) {
        return false;
    }
    p->at++;
    return true;
}

static size_t word_length(const char *s)
{
    size_t n = 0;

    while (isalnum((unsigned char)s[n]) || s[n] == '_') {
        n++;
    }
    return n;
}

static bool is_word(const char *s, size_t len, const char *word)
{
    return strlen(word) == len && memcmp(s, word, len) == 0;
}

static bool parse_number(Parse *p, uint64_t *v)
{
    bool negative;
    char *end;

    skip_blank(p);
    negative = *p->at == '-' && isdigit((unsigned char)p->at[1]);
    if (!negative && !isdigit((unsigned char)*p->at)) {
        return fail(p, "a number is missing");
    }
    *v = strtoull(p->at + negative, &end, 0);
    p->at = end;
    *v = negative ? -*v : *v;
    return true;
}

/* The name cell of a value as v12, or NULL when s is none. */
static IrRef *name_cell(Parse *p, const char *s, size_t len)
{
    static const char letters[] = "vhfx";
    const char *l = len > 1 ? strchr(letters, s[0]) : NULL;
    unsigned long n = 0;

    if (!l || !*l) {
        return NULL;
    }
    for (size_t i = 1; i < len; i++) {
        if (!isdigit((unsigned char)s[i]) || n >= IR_MAX_INSNS) {
            return NULL;
        }
        n = n * 10 + (s[i] - '0');
    }
    return n < IR_MAX_INSNS ? &p->names[l - letters][n] : NULL;
}

static bool parse_ref(Parse *p, IrRef *ref)
{
    size_t len;
    IrRef *cell;
    uint64_t v;

    skip_blank(p);
    if (*p->at == '-' && !isdigit((unsigned char)p->at[1])) {
        p->at++;
        *ref = IR_NONE;
        return true;
    }
    if (*p->at == '-' || isdigit((unsigned char)*p->at)) {
        if (!parse_number(p, &v)) {
            return false;
        }
        if (!ir_fits_inline((int64_t)v)) {
            return fail(p, "the constant needs a const op");
        }
        *ref = ir_inline((int64_t)v);
        return true;
    }
    len = word_length(p->at);
    cell = name_cell(p, p->at, len);
    if (!cell || *cell == IR_NONE) {
        return fail(p, "not a value");
    }
    p->at += len;
    *ref = *cell;
    return true;
}

static bool parse_address(Parse *p, IrInsn *in)
{
    uint64_t disp = 0, v;

    do {
        IrRef ref;
        skip_blank(p);
        if (isdigit((unsigned char)*p->at) || *p->at == '-') {
            if (!parse_number(p, &v)) {
                return false;
            }
            disp += v;
            continue;
        }
        if (!parse_ref(p, &ref)) {
            return false;
        }
        if (accept(p, '*')) {
            if (!parse_number(p, &v) || v == 0 || v > 8 || (v & (v - 1))) {
                return fail(p, "not a scale");
            }
            in->arg[1] = ref;
            in->aux |= (uint8_t)__builtin_ctz((unsigned)v);
        } else {
            in->arg[0] = ref;
        }
    } while (accept(p, '+'));
    if (is_native_mem(in->op)) {
        in->arg[4] = (uint32_t)disp;
    } else {
        in->imm = disp;
    }
    p->next_arg = in->op == IR_cmpxchg2 ? 1 : 2;
    return accept(p, ']') || fail(p, "] is missing");
}

static bool set_key(Parse *p, IrInsn *in, const char *key, size_t len, uint64_t v)
{
    if (is_word(key, len, "word")) {
        in->arg[0] = (uint32_t)v;
    } else if (is_word(key, len, "pos")) {
        in->imm |= v & 0xff;
    } else if (is_word(key, len, "len")) {
        in->imm |= (v & 0xff) << 8;
    } else if (is_word(key, len, "mmu")) {
        in->aux2 |= v & IR_MMU_MASK;
    } else if (is_word(key, len, slot_key(in->op))) {
        *(ir_ops[in->op].flags & IR_T_AUX2 ? &in->aux2 : &in->aux) = (uint8_t)v;
    } else {
        return fail(p, "not a key of this op");
    }
    return true;
}

static bool parse_flag_word(IrInsn *in, const char *s, size_t len)
{
    if (!(ir_ops[in->op].flags & IR_T_ADDR)) {
        return false;
    }
    if (is_word(s, len, "a32") || is_word(s, len, "a16")) {
        in->aux2 |= (s[1] == '3' ? IR_A32 : IR_A16) << IR_ADDR_SHIFT;
        return true;
    }
    for (unsigned n = 0; n < sizeof(mem_flags) / sizeof(mem_flags[0]); n++) {
        if (is_word(s, len, mem_flags[n].name)) {
            in->aux |= mem_flags[n].flag;
            return true;
        }
    }
    return false;
}

static bool parse_global_or_helper(Parse *p, IrInsn *in, size_t len)
{
    const TcgGuest *g = p->r->guest;

    if (in->op == IR_call) {
        const TcgHelper *h = p->find ? p->find(p->at, len) : NULL;
        in->imm = (uintptr_t)h;
        p->at += len;
        return h || fail(p, "not a helper");
    }
    for (unsigned n = 0; n < g->num_globals; n++) {
        if (is_word(p->at, len, g->globals[n].name)) {
            in->imm = n;
            p->at += len;
            return true;
        }
    }
    return fail(p, "not a global");
}

static bool parse_word(Parse *p, IrInsn *in, unsigned count)
{
    const char *s = p->at;
    size_t len = word_length(s);
    uint64_t v;

    if (len == 0) {
        return fail(p, "an operand is missing");
    }
    if (count == 0 && (names_global(in->op) || in->op == IR_call)) {
        return parse_global_or_helper(p, in, len);
    }
    p->at += len;
    if (accept(p, '=')) {
        return parse_number(p, &v) && set_key(p, in, s, len, v);
    }
    if (parse_flag_word(in, s, len)) {
        return true;
    }
    if (*s == 'b' && ((ir_ops[in->op].flags & IR_T_JUMP) || in->op == IR_block)) {
        in->imm = strtoul(s + 1, NULL, 10);
        if (in->imm >= IR_MAX_BLOCKS) {
            return fail(p, "not a label");
        }
        if (in->imm >= p->r->num_blocks) {
            p->r->num_blocks = (uint32_t)in->imm + 1;
        }
        return true;
    }
    p->at = s;
    if (p->next_arg >= ir_ops[in->op].num_args) {
        return fail(p, "too many operands");
    }
    return parse_ref(p, &in->arg[p->next_arg++]);
}

static bool parse_operand(Parse *p, IrInsn *in, unsigned count)
{
    skip_blank(p);
    if (*p->at == '[') {
        p->at++;
        return parse_address(p, in);
    }
    if (*p->at == '-' || isdigit((unsigned char)*p->at)) {
        if (p->next_arg < ir_ops[in->op].num_args) {
            return parse_ref(p, &in->arg[p->next_arg++]);
        }
        return parse_number(p, &in->imm);
    }
    return parse_word(p, in, count);
}

static bool parse_op(Parse *p, IrInsn *in)
{
    size_t len = word_length(p->at);

    for (in->op = 0; in->op < IR_NUM_OPS; in->op++) {
        if (is_word(p->at, len, ir_ops[in->op].name)) {
            break;
        }
    }
    if (in->op == IR_NUM_OPS) {
        return fail(p, "not an op");
    }
    p->at += len;
    while (*p->at == '.') {
        bool found = false;
        len = word_length(++p->at);
        for (unsigned n = 0; n < 7 && (ir_ops[in->op].flags & IR_T_WIDTH); n++) {
            if (is_word(p->at, len, width_names[n])) {
                in->w = (uint8_t)n;
                found = true;
            }
        }
        for (unsigned n = 0; n < 16 && (ir_ops[in->op].flags & IR_T_COND); n++) {
            if (is_word(p->at, len, ir_cond_names[n])) {
                in->aux = (uint8_t)n;
                found = true;
            }
        }
        if (!found) {
            return fail(p, "not a width or condition of this op");
        }
        p->at += len;
    }
    return true;
}

/* Results before `=`: leaves their cells in cell, their number in *count. */
static bool parse_results(Parse *p, IrRef *cell[3], unsigned *count)
{
    const char *eq = p->at;

    *count = 0;
    while (*eq && *eq != '\n' && *eq != '=' && *eq != '.' && *eq != '[' && *eq != '#') {
        eq++;
    }
    /* `key=value` comes after an operand; results come before the first word without a comma. */
    if (*eq != '=' || eq[-1] != ' ' || eq[1] != ' ') {
        return true;
    }
    do {
        size_t len;
        skip_blank(p);
        len = word_length(p->at);
        if (*count == 3 || !(cell[*count] = name_cell(p, p->at, len))) {
            return fail(p, "not a value's name");
        }
        (*count)++;
        p->at += len;
    } while (accept(p, ','));
    return accept(p, '=') || fail(p, "= is missing");
}

static bool parse_line(Parse *p)
{
    IrInsn in = { 0 };
    IrRef *cell[3];
    unsigned results, count = 0;
    uint32_t n = p->r->num_insns;

    if (!parse_results(p, cell, &results)) {
        return false;
    }
    skip_blank(p);
    if (!parse_op(p, &in)) {
        return false;
    }
    if (results != ir_ops[in.op].num_results) {
        return fail(p, "the op has another number of results");
    }
    p->next_arg = 0;
    skip_blank(p);
    if (*p->at && *p->at != '\n' && *p->at != '#') {
        do {
            if (!parse_operand(p, &in, count++)) {
                return false;
            }
        } while (accept(p, ','));
    }
    if (in.op == IR_block && in.imm == 0 && n == 1) {
        return true; /* the reset has made it */
    }
    if (n == p->r->max_insns) {
        return fail(p, "the region is too long");
    }
    p->r->insns[n] = in;
    p->r->num_insns++;
    for (unsigned i = 0; i < results; i++) {
        *cell[i] = ir_result(n << 2, i);
    }
    return true;
}

bool ir_parse(IrRegion *r, const char *text, IrFindHelper find, unsigned *line, const char **error)
{
    Parse *p = calloc(1, sizeof(*p));
    bool ok = true;

    *line = 0;
    *error = "no memory";
    if (!p) {
        return false;
    }
    p->r = r;
    p->at = text;
    p->find = find;
    ir_region_reset(r);
    while (ok && *p->at) {
        ++*line;
        skip_blank(p);
        if (*p->at && *p->at != '\n' && *p->at != '#') {
            ok = parse_line(p);
        }
        skip_blank(p);
        if (ok && *p->at == '#') {
            p->at += strcspn(p->at, "\n");
        }
        if (ok && *p->at && *p->at != '\n') {
            ok = fail(p, "more than an instruction on the line");
        }
        p->at += *p->at == '\n';
    }
    *error = p->error;
    free(p);
    return ok;
}
