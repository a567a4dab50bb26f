/*
 * x87 on the host's x87: the guest's whole state is loaded, the instruction run, the state taken back, so that stack faults, tags,
 * condition codes and masked and unmasked responses are the host's. SDM vol. 1, chapter 8. What must never be the host's are the
 * pointers of the last instruction: they are kept here. With all exceptions masked the state then stays in the host (x87_live)
 * and translated code goes on with it; with one unmasked every instruction comes here.
 *
 * Not modelled: CR0.NE = 0 (FERR# and IRQ 13): #MF is raised instead.
 */
#include <string.h>

#include "target/i386/fp-helpers.h"
#include "target/i386/gen.h"

enum { FSW_ES = 0x80, FSW_B = 0x8000, FSW_TOP_SHIFT = 11, FSW_EXCEPTIONS = 0x3f, IMAGE_REGS = 28, IMAGE_SIZE = 108 };

/* FSAVE's 32-bit protected mode image, as FRSTOR and FNSAVE of the host use it. */
typedef struct {
    uint8_t b[IMAGE_SIZE];
} Image;

/* Where x87_store leaves the state for x87_commit. */
typedef struct {
    Image image;
    uint32_t insn;
    uint64_t ip, data;
} Pending;
_Static_assert(sizeof(Pending) <= 24 * 8, "room in fp_scratch from word 8");

static Pending *pending(X86Cpu *cpu)
{
    return (Pending *)&cpu->fp_scratch[8];
}

#if defined(__x86_64__)
/* One stub of four bytes for each instruction: registers D8 C0 to DF FF; memory at [rdi] D8 to DF by /digit. */
__asm__(".pushsection .text\n"
        ".p2align 4\n"
        "x87_reg_stubs:\n"
        ".set op, 0xd8\n"
        ".rept 8\n"
        ".set rm, 0xc0\n"
        ".rept 64\n"
        ".byte op, rm, 0xc3, 0x90\n"
        ".set rm, rm + 1\n"
        ".endr\n"
        ".set op, op + 1\n"
        ".endr\n"
        "x87_mem_stubs:\n"
        ".set op, 0xd8\n"
        ".rept 8\n"
        ".set rm, 7\n"
        ".rept 8\n"
        ".byte op, rm, 0xc3, 0x90\n"
        ".set rm, rm + 8\n"
        ".endr\n"
        ".set op, op + 1\n"
        ".endr\n"
        ".popsection\n");
extern const uint8_t x87_reg_stubs[] __attribute__((visibility("hidden")));
extern const uint8_t x87_mem_stubs[] __attribute__((visibility("hidden")));

static const uint8_t *stub_of(uint32_t insn)
{
    unsigned op = insn & 7, modrm = insn >> 8 & 0xff;

    return modrm >= 0xc0 ? x87_reg_stubs + 4 * (op * 64 + modrm - 0xc0) : x87_mem_stubs + 4 * (op * 8 + (modrm >> 3 & 7));
}

/* Runs the instruction on the state in img; mem: its operand; flags in and out. The stub's call needs room below the red zone. */
static uint64_t run(Image *img, uint32_t insn, void *mem, uint64_t flags)
{
    __asm__ volatile("leaq -128(%%rsp), %%rsp\n\t"
                     "frstor (%[img])\n\t"
                     "pushq %[flags]\n\t"
                     "popfq\n\t"
                     "callq *%[stub]\n\t"
                     "pushfq\n\t"
                     "popq %[flags]\n\t"
                     "fnsave (%[img])\n\t"
                     "leaq 128(%%rsp), %%rsp"
                     : [flags] "+r"(flags), "+D"(mem)
                     : [img] "r"(img), [stub] "r"(stub_of(insn))
                     : "memory", "cc", "rax");
    return flags & IR_FLAGS;
}
#else
#error "x87 needs a host that has it"
#endif

/* The state and the image */

static void image_put(Image *img, const X86State *st)
{
    unsigned top = st->fsw >> FSW_TOP_SHIFT & 7;
    uint16_t tags = 0;

    memset(img, 0, IMAGE_REGS);
    for (unsigned n = 0; n < 8; n++) {
        tags |= (uint16_t)(st->ftw >> n & 1 ? 0 : 3u << 2 * n);
        memcpy(img->b + IMAGE_REGS + 10 * n, st->fpr[(top + n) & 7], 10);
    }
    memcpy(img->b, &st->fcw, 2);
    memcpy(img->b + 4, &st->fsw, 2);
    memcpy(img->b + 8, &tags, 2);
}

static void image_get(const Image *img, X86State *st)
{
    unsigned top;
    uint16_t tags;

    memcpy(&st->fsw, img->b + 4, 2);
    memcpy(&tags, img->b + 8, 2);
    top = st->fsw >> FSW_TOP_SHIFT & 7;
    st->ftw = 0;
    for (unsigned n = 0; n < 8; n++) {
        st->ftw |= (uint8_t)((tags >> 2 * n & 3) != 3) << n;
        memcpy(st->fpr[(top + n) & 7], img->b + IMAGE_REGS + 10 * n, 10);
    }
}

void x86_fpu_flush(X86Cpu *cpu)
{
    bool undo = !cpu->x87_ready; /* a store of ten bytes faulted after it had popped the register */
    Image img;

    if (cpu->x87_live) {
        cpu->x87_live = cpu->x87_ready = false;
        if (undo) {
            __asm__ volatile("fldt %0" : : "m"(cpu->x87_undo));
        }
        __asm__ volatile("fnsave %0" : "=m"(img));
        if (undo) {
            memcpy(img.b + 4, &cpu->x87_undo_sw, 2);
        }
        image_get(&img, &cpu->st);
    }
}

void x86_fpu_load(X86Cpu *cpu)
{
    cpu->rt.mxcsr = cpu->st.mxcsr;
}

void x86_fpu_save(X86Cpu *cpu)
{
    x86_fpu_flush(cpu);
    cpu->st.mxcsr = cpu->rt.mxcsr;
}

uint64_t x86_fp_x87_flush(X86Cpu *cpu)
{
    x86_fpu_flush(cpu);
    return 0;
}

/* After an instruction done here: the next ones can be done in the host. */
static void go_live(X86Cpu *cpu)
{
    Image img;

    if ((cpu->st.fcw & FSW_EXCEPTIONS) == FSW_EXCEPTIONS) {
        image_put(&img, &cpu->st);
        __asm__ volatile("frstor %0" : : "m"(img));
        cpu->x87_live = cpu->x87_ready = true;
    }
}

/* 8.1.8 and 8.1.9: of the last instruction that is not a control instruction. */
static void set_pointers(X86Cpu *cpu, uint32_t insn, uint64_t ip)
{
    X86State *st = &cpu->st;

    st->fop = (uint16_t)((insn & 7) << 8 | (insn >> 8 & 0xff));
    st->fip = ip;
    st->fcs = st->seg[S_CS].selector;
}

static void set_data_pointer(X86Cpu *cpu, uint32_t insn, uint64_t offset)
{
    cpu->st.fdp = offset;
    cpu->st.fds = cpu->st.seg[insn >> 16 & 7].selector;
}

/* FSW.ES and B follow the flags and masks (8.1.3.3). */
static void update_es(X86State *st)
{
    st->fsw &= (uint16_t)~(FSW_ES | FSW_B);
    if (st->fsw & ~st->fcw & FSW_EXCEPTIONS) {
        st->fsw |= FSW_ES | FSW_B;
    }
}

/* Every helper begins with it: the state is in st, and no exception waits. */
static void check_pending(X86Cpu *cpu)
{
    x86_fpu_flush(cpu);
    if (cpu->st.fsw & FSW_ES) {
        x86_raise(cpu, EXC_MF, 0);
    }
}

uint64_t x86_fp_x87_wait(X86Cpu *cpu)
{
    check_pending(cpu);
    return 0;
}

uint64_t x86_fp_x87_reg(X86Cpu *cpu, uint64_t insn, uint64_t ip, uint64_t flags)
{
    Image img;

    check_pending(cpu);
    image_put(&img, &cpu->st);
    flags = run(&img, (uint32_t)insn, NULL, flags);
    image_get(&img, &cpu->st);
    set_pointers(cpu, (uint32_t)insn, ip);
    go_live(cpu);
    return flags;
}

uint64_t x86_fp_x87_load(X86Cpu *cpu, uint64_t insn, uint64_t ip, uint64_t offset)
{
    Image img;

    check_pending(cpu);
    image_put(&img, &cpu->st);
    run(&img, (uint32_t)insn, cpu->fp_scratch, 0);
    image_get(&img, &cpu->st);
    set_pointers(cpu, (uint32_t)insn, ip);
    set_data_pointer(cpu, (uint32_t)insn, offset);
    go_live(cpu);
    return 0;
}

/* Whether the instruction wrote its operand: an unmasked exception keeps it from that (8.5). */
static bool run_store(X86Cpu *cpu, uint32_t insn, uint8_t fill)
{
    uint64_t blank = fill * 0x0101010101010101;

    image_put(&pending(cpu)->image, &cpu->st);
    cpu->fp_scratch[0] = cpu->fp_scratch[1] = blank;
    run(&pending(cpu)->image, insn, cpu->fp_scratch, 0);
    return cpu->fp_scratch[0] != blank || cpu->fp_scratch[1] != blank;
}

uint64_t x86_fp_x87_store(X86Cpu *cpu, uint64_t insn, uint64_t ip, uint64_t offset)
{
    Pending *p = pending(cpu);

    check_pending(cpu);
    p->insn = (uint32_t)insn;
    p->ip = ip;
    p->data = offset;
    /* A result that looks like the fill does not look like the other one. */
    return run_store(cpu, (uint32_t)insn, 0x55) || run_store(cpu, (uint32_t)insn, 0xaa);
}

uint64_t x86_fp_x87_commit(X86Cpu *cpu)
{
    Pending *p = pending(cpu);

    image_get(&p->image, &cpu->st);
    set_pointers(cpu, p->insn, p->ip);
    set_data_pointer(cpu, p->insn, p->data);
    go_live(cpu);
    return 0;
}

/* Control */

static void init(X86State *st)
{
    st->fcw = 0x37f;
    st->fsw = 0;
    st->ftw = 0;
    st->fop = st->fcs = st->fds = 0;
    st->fip = st->fdp = 0;
}

/* FNCLEX, FNINIT; and what FNSTENV and FNSAVE do after storing. */
uint64_t x86_fp_x87_control(X86Cpu *cpu, uint64_t insn)
{
    X86State *st = &cpu->st;

    x86_fpu_flush(cpu);
    switch (insn & 0xff) {
    case 0xd9: /* fnstenv masks all exceptions */
        st->fcw |= FSW_EXCEPTIONS;
        update_es(st);
        break;
    case 0xdb:
        if ((insn >> 8 & 0xff) == 0xe2) {
            st->fsw &= 0x7f00;
        } else {
            init(st);
        }
        break;
    default:
        init(st);
        break;
    }
    return 0;
}

/* Bits that are always 0 or 1: 8.1.5. */
void x86_fp_fix_control(X86State *st, uint16_t v)
{
    st->fcw = (v & 0x1f3f) | 0x40;
    update_es(st);
}

uint64_t x86_fp_x87_set_fcw(X86Cpu *cpu, uint64_t value)
{
    check_pending(cpu);
    x86_fp_fix_control(&cpu->st, (uint16_t)value);
    return 0;
}

/* Environments: figures 8-9 to 8-12 */

static unsigned tag_of(const X86State *st, unsigned n)
{
    uint64_t m = st->fpr[n][0];
    unsigned e = st->fpr[n][1] & 0x7fff;

    if (!(st->ftw >> n & 1)) {
        return 3;
    }
    return e == 0 && m == 0 ? 1 : e == 0 || e == 0x7fff || !(m >> 63) ? 2 : 0;
}

static uint16_t full_tags(const X86State *st)
{
    unsigned tags = 0;

    for (unsigned n = 0; n < 8; n++) {
        tags |= tag_of(st, n) << 2 * n;
    }
    return (uint16_t)tags;
}

static void put_words(uint8_t *out, unsigned layout, const uint32_t *w)
{
    for (unsigned n = 0; n < 7; n++) {
        if (layout & X87_ENV_16) {
            memcpy(out + 2 * n, &w[n], 2);
        } else {
            memcpy(out + 4 * n, &w[n], 4);
        }
    }
}

uint64_t x86_fp_x87_get_env(X86Cpu *cpu, uint64_t layout)
{
    const X86State *st = &cpu->st;
    uint8_t *out = (uint8_t *)cpu->fp_scratch;
    unsigned top, at = layout & X87_ENV_16 ? 14 : 28;
    uint32_t w[7];

    x86_fpu_flush(cpu);
    top = st->fsw >> FSW_TOP_SHIFT & 7;
    w[0] = st->fcw | 0xffff0000;
    w[1] = st->fsw | 0xffff0000;
    w[2] = full_tags(st) | 0xffff0000;
    w[3] = (uint32_t)st->fip;
    w[4] = st->fcs | (uint32_t)st->fop << 16;
    w[5] = (uint32_t)st->fdp;
    w[6] = st->fds | 0xffff0000;
    if (layout & X87_ENV_REAL) { /* linear addresses */
        uint32_t ip = (uint32_t)st->fip + st->fcs * 16, dp = (uint32_t)st->fdp + st->fds * 16;
        w[3] = ip & 0xffff;
        w[5] = dp & 0xffff;
        w[4] = layout & X87_ENV_16 ? (ip >> 16 & 15) << 12 | st->fop : ip >> 16 << 12 | st->fop;
        w[6] = dp >> 16 << 12;
    }
    put_words(out, (unsigned)layout, w);
    for (unsigned n = 0; n < 8 && (layout & X87_ENV_REGS); n++) {
        memcpy(out + at + 10 * n, st->fpr[(top + n) & 7], 10);
    }
    return 0;
}

static void get_words(const uint8_t *in, unsigned layout, uint32_t *w)
{
    for (unsigned n = 0; n < 7; n++) {
        w[n] = 0;
        memcpy(&w[n], in + (layout & X87_ENV_16 ? 2 : 4) * n, layout & X87_ENV_16 ? 2 : 4);
    }
}

uint64_t x86_fp_x87_set_env(X86Cpu *cpu, uint64_t layout)
{
    X86State *st = &cpu->st;
    const uint8_t *in = (const uint8_t *)cpu->fp_scratch;
    unsigned top, at = layout & X87_ENV_16 ? 14 : 28;
    uint32_t w[7];

    x86_fpu_flush(cpu);
    get_words(in, (unsigned)layout, w);
    st->fsw = (uint16_t)w[1];
    x86_fp_fix_control(st, (uint16_t)w[0]);
    top = st->fsw >> FSW_TOP_SHIFT & 7;
    st->ftw = 0;
    for (unsigned n = 0; n < 8; n++) {
        st->ftw |= (uint8_t)((w[2] >> 2 * n & 3) != 3) << n;
    }
    if (layout & X87_ENV_REAL) {
        st->fip = (w[3] & 0xffff) | (w[4] >> 12 << 16);
        st->fdp = (w[5] & 0xffff) | (w[6] >> 12 << 16);
        st->fcs = st->fds = 0;
        st->fop = w[4] & 0x7ff;
    } else {
        st->fip = w[3];
        st->fdp = w[5];
        st->fcs = (uint16_t)w[4];
        st->fds = (uint16_t)w[6];
        st->fop = layout & X87_ENV_16 ? 0 : w[4] >> 16 & 0x7ff;
    }
    for (unsigned n = 0; n < 8 && (layout & X87_ENV_REGS); n++) {
        memcpy(st->fpr[(top + n) & 7], in + at + 10 * n, 10);
    }
    return 0;
}
