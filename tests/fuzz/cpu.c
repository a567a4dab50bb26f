/*
 * Any code, run by accel/tcg on a bare machine in any mode, over descriptor and page tables that an input may corrupt: what the most hostile
 * kernel can do. It must live, and the processor must stop when it is told to.
 *
 *     mode and privilege · CR0/CR4/EFER bits · RFLAGS · number of corruptions · (offset, byte)* · code
 */
#include <assert.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target/i386/sys/sys.h"
#include "tests/fuzz/fuzz.h"
#include "tests/priv/machine.h"
#include "util/bits.h"

enum { /* Memory; everything below 1 MiB may be corrupted */
    PML4 = 0x1000, PDPT = 0x2000, PD = 0x3000, PT = 0x4000, PD32 = 0x5000, GDT = 0x6000, IDT = 0x7000, CODE = 0x8000, TSS = 0xa000,
    STACK = 0xc000, LDT = 0xd000, HANDLER = 0xe000, MAX_CODE = 0x1000, SLICE_US = 100, SLICES = 15,
};

static struct {
    BareMachine *m;
    Vcpu *v;
    X86Cpu *c;
    uint8_t *ram;
} p;

/* accel/tcg hands a signal that is not its own back to the default: drivers want it to be an abort. */
static struct sigaction handlers[2];

static void on_signal(int sig, siginfo_t *info, void *context)
{
    struct sigaction now;

    handlers[sig == SIGFPE].sa_sigaction(sig, info, context);
    if (sigaction(sig, NULL, &now) == 0 && now.sa_handler == SIG_DFL) {
        abort();
    }
}

static void chain(int sig)
{
    struct sigaction sa;

    sigaction(sig, NULL, &handlers[sig == SIGFPE]);
    sa = handlers[sig == SIGFPE];
    sa.sa_sigaction = on_signal;
    sigaction(sig, &sa, NULL);
}

static void start(void)
{
    rcu_thread_register();
    p.m = bare_new(1);
    p.v = bare_accel(p.m)->vcpus[0];
    p.c = bare_cpu(p.m, 0);
    p.ram = bare_ram(p.m);
    accel_pause(bare_accel(p.m));
    chain(SIGSEGV);
    chain(SIGFPE);
}

/* ---- Tables ---- */

static void descriptor(unsigned at, uint32_t base, uint32_t limit, uint32_t access)
{
    st32_le(p.ram + at, (base & 0xffff) << 16 | (limit & 0xffff));
    st32_le(p.ram + at + 4, (base & 0xff000000) | (limit & 0xf0000) | (base >> 16 & 0xff) | access << 8);
}

static void gate(unsigned at, uint16_t selector, uint32_t offset, uint8_t access)
{
    st32_le(p.ram + at, (uint32_t)selector << 16 | (offset & 0xffff));
    st32_le(p.ram + at + 4, (offset & 0xffff0000) | (uint32_t)access << 8);
}

/* Selectors: 08 code, 10 data, 18 code64, 23 code of CPL 3, 2b data of CPL 3, 30 code16, 38 TSS, 48 call gate, 50 task gate, 58 LDT, 60 data16, 68 TSS16. */
static void make_gdt(bool wide)
{
    descriptor(GDT + 0x08, 0, 0xfffff, 0xc09b);
    descriptor(GDT + 0x10, 0, 0xfffff, 0xc093);
    descriptor(GDT + 0x18, 0, 0xfffff, 0xa09b);
    descriptor(GDT + 0x20, 0, 0xfffff, wide ? 0xa0fb : 0xc0fb);
    descriptor(GDT + 0x28, 0, 0xfffff, 0xc0f3);
    descriptor(GDT + 0x30, 0, 0xffff, 0x009b);
    descriptor(GDT + 0x38, TSS, 0x67, 0x89);
    gate(GDT + 0x48, 0x08, HANDLER, 0xec);
    gate(GDT + 0x50, 0x68, 0, 0xe5);
    descriptor(GDT + 0x58, LDT, 0xff, 0x82);
    descriptor(GDT + 0x60, 0x100, 0xfff, 0x0093);
    descriptor(GDT + 0x68, TSS + 0x100, 0x2b, 0x81);
    descriptor(GDT + 0x70, 0, 0xfff, 0x4097); /* expand-down */
    memcpy(p.ram + LDT, p.ram + GDT, 0x80);
}

static void make_idt(bool real, bool wide)
{
    for (unsigned n = 0; n < 256; n++) {
        if (real) {
            st32_le(p.ram + n * 4, HANDLER);
        } else if (wide) {
            gate(IDT + n * 16, 0x18, HANDLER, n < 32 ? 0x8e : 0xef);
        } else {
            gate(IDT + n * 8, n % 7 == 6 ? 0x68 : 0x08, HANDLER, n % 7 == 6 ? 0xe5 : n % 5 == 4 ? 0xe6 : n < 32 ? 0x8e : 0xef);
        }
    }
    p.ram[HANDLER] = 0xcf; /* IRET, to where it happened or to what an input made of it */
}

/* Identity: 4 KiB pages for the first 2 MiB, then large ones. */
static void make_pages(void)
{
    st64_le(p.ram + PML4, PDPT | 7);
    st64_le(p.ram + PML4 + 511 * 8, PML4 | 3); /* itself */
    st64_le(p.ram + PDPT, PD | 7);
    st64_le(p.ram + PD, PT | 7);
    st64_le(p.ram + PD + 8, 0x200000 | 0x87);
    for (unsigned n = 0; n < 512; n++) {
        st64_le(p.ram + PT + n * 8, n << 12 | 7);
    }
    for (unsigned n = 0; n < 1024; n++) {
        st32_le(p.ram + PD32 + n * 4, n << 22 | 0x87);
    }
}

static void make_tss(void)
{
    st32_le(p.ram + TSS + 4, STACK);        /* ESP0; RSP0 is there too */
    st32_le(p.ram + TSS + 8, 0x10);
    st32_le(p.ram + TSS + 0x24, STACK);     /* IST1 */
    st32_le(p.ram + TSS + 0x100 + 0x0e, HANDLER);
}

/* ---- The processor ---- */

static X86Segment segment(uint16_t selector, uint64_t base, uint32_t limit, uint32_t attributes)
{
    return (X86Segment){ .selector = selector, .base = base, .limit = limit, .attributes = attributes };
}

enum { REAL, VM86, PROTECTED16, PROTECTED32, PAGED32, PAE32, LONG64, COMPATIBLE };

static void set_segments(unsigned mode, unsigned cpl)
{
    X86State *s = &p.c->st;
    uint32_t dpl = cpl << 5;

    if (mode <= VM86) {
        for (unsigned n = 0; n < 6; n++) {
            s->seg[n] = segment(0, 0, 0xffff, 0x93 | (mode == VM86 ? 0x60 : 0));
        }
        return;
    }
    for (unsigned n = 0; n < 6; n++) {
        s->seg[n] = segment(cpl ? 0x2b : 0x10, 0, UINT32_MAX, 0xc093 | dpl);
    }
    s->seg[S_CS] = mode == PROTECTED16 ? segment(0x30 | cpl, 0, 0xffff, 0x9b | dpl)
                   : segment(cpl ? 0x23 : mode == LONG64 ? 0x18 : 0x08, 0, UINT32_MAX, (mode == LONG64 ? 0xa09b : 0xc09b) | dpl);
}

static void set_control(unsigned mode, uint32_t cr4, uint8_t cr0)
{
    X86State *s = &p.c->st;
    bool paged = mode >= PAGED32, pae = mode >= PAE32, lma = mode >= LONG64;

    s->cr0 = 0x10 | (mode == REAL ? 0 : X86_CR0_PE) | (paged ? X86_CR0_PG : 0) | (cr0 & (X86_CR0_MP | X86_CR0_EM | X86_CR0_TS | X86_CR0_NE)) |
             (cr0 & 0x40 ? X86_CR0_WP : 0) | (cr0 & 0x80 ? X86_CR0_AM : 0);
    s->cr4 = (cr4 & (X86_CR4_VME | X86_CR4_PVI | X86_CR4_TSD | X86_CR4_DE | X86_CR4_PGE | X86_CR4_PCE | X86_CR4_UMIP | X86_CR4_FSGSBASE | X86_CR4_SMEP |
                     X86_CR4_SMAP)) | X86_CR4_PSE | X86_CR4_OSFXSR | (pae ? X86_CR4_PAE : 0);
    s->cr3 = lma ? PML4 : pae ? PDPT : PD32;
    s->efer = lma ? X86_EFER_LME | X86_EFER_LMA | X86_EFER_SCE | X86_EFER_NXE : X86_EFER_SCE;
    s->pdpte[0] = PD | 1;
    s->star = 0x0018000800000000;
    s->lstar = s->cstar = HANDLER;
    s->sysenter_cs = 0x08;
    s->sysenter_eip = HANDLER;
    s->sysenter_esp = STACK;
}

static void set_state(unsigned mode, unsigned cpl, uint32_t flags, uint32_t cr4, uint8_t cr0)
{
    X86State *s = &p.c->st;

    cpl = mode == REAL ? 0 : mode == VM86 ? 3 : cpl;
    set_control(mode, cr4, cr0);
    set_segments(mode, cpl);
    s->gdtr = (X86Table){ GDT, 0x7f };
    s->idtr = mode == REAL ? (X86Table){ 0, 0x3ff } : (X86Table){ IDT, 0xfff };
    s->tr = segment(0x38, TSS, 0x67, 0x8b);
    s->ldtr = segment(0x58, LDT, 0xff, 0x82);
    for (unsigned n = 0; n < 16; n++) {
        s->gpr[n] = n % 3 ? 0x10 * n : 0x100000 + n * 0xff8;
    }
    s->gpr[R_RSP] = STACK - 0x100;
    x86_set_rflags(p.c, (flags & 0x3f7ed5) | 2, UINT32_MAX & ~(uint64_t)FL_VM);
    s->eflags |= mode == VM86 ? FL_VM : 0;
    s->eflags &= mode == REAL || mode == VM86 || mode == LONG64 ? ~0u : ~(uint32_t)FL_VM;
    x86_go(p.c, CODE);
    x86_update_key(p.c);
}

/* ---- An input ---- */

static void corrupt(FuzzBytes *b)
{
    for (unsigned n = fuzz_u8(b) % 32; n; n--) {
        uint16_t at = fuzz_u16(b);
        p.ram[at] = fuzz_u8(b);
    }
}

static void cpu(const uint8_t *data, size_t len)
{
    FuzzBytes b = { data, len }, code;
    uint8_t how = fuzz_u8(&b), cr0 = fuzz_u8(&b);
    uint32_t cr4 = fuzz_u32(&b), flags = fuzz_u32(&b);
    unsigned mode = how & 7;

    memset(p.ram, 0, 2 << 20);
    make_gdt(mode == LONG64);
    make_idt(mode == REAL, mode >= LONG64);
    make_pages();
    make_tss();
    corrupt(&b);
    code = fuzz_take(&b, MAX_CODE);
    if (code.len) {
        memcpy(p.ram + CODE, code.data, code.len);
    }
    memory_dirty_set(bare_accel(p.m)->map, 0, BARE_RAM);
    atomic_store(&p.v->requests, 0);
    p.v->arch->reset(p.v);
    set_state(mode, how >> 3 & 3, flags, cr4, cr0);
    p.v->stop = false;
    accel_resume(bare_accel(p.m));
    for (unsigned n = 0; n < SLICES && !atomic_load(&p.v->halted); n++) {
        usleep(SLICE_US);
    }
    vcpu_request(p.v, how & 0x20 ? VCPU_REQ_NMI : how & 0x40 ? VCPU_REQ_SMI : VCPU_REQ_EXIT);
    accel_pause(bare_accel(p.m));
}

/* Instructions in 32-bit encoding, which mean something in the other modes too: control, tables, far transfers, strings, FPU. */
static const char *const instructions[] = {
    "0f22c0", "0f20c0", "0f22d8", "0f20d8", "0f22e0", "0f20e0", "0f23f8", "0f21f0", "0f0113", "0f011b", "0f0103", "0f01f0",
    "660f01e0", "0f06", "0f0138", "0f09", "0f00d8", "660f00c8", "0f00d0", "660f00c0", "0f02c0", "0f03c0", "0f00e0", "0f00e8",
    "63c3", "0f32", "0f30", "0f31", "0f33", "0fa2", "cd80", "cc", "ce", "cf", "66cf", "cb", "ca0800", "9a000000004800",
    "ea008000000800", "ea008000003000", "ea000000003800", "ea000000006800", "9a000000005000", "ea000000005000", "8ed0", "8ed8",
    "8ee0", "17", "1f", "0e", "9c", "9d", "fb", "fa", "f4", "0f34", "0f35", "0faa", "e460", "e6e9", "6c", "6f", "f3a4", "f3a5",
    "f3ab", "f3a6", "f2ae", "fd", "fc", "f00fc103", "f00fc70b", "870424", "c810001f", "c9", "6203", "f7f1", "f73b", "50", "58",
    "60", "61", "ff3424", "8f0424", "e800000000", "ebf4", "7501", "e2fa", "d9e8", "db2b", "db3b", "9bdd33", "dd23", "0fae03",
    "0fae0b", "d92b", "dbe3", "9b", "d9fa", "0fae13", "0f2803", "0f114b03", "0f5ec1", "660f5bc8", "660f3800c1", "660ff7c8",
    "0f77", "0f7f03", "c60510800000f4", "c7052080000090909090", "66b81000", "66b82800", "b974010000", "b9800000c0",
    "b811000080", "bbfe7f0000", "bbffffffff", "bbfeff1f00", "bf00600000", "bf00400000", "bf10800000", "b900100000", "0f01c8",
    "0f01c9", "f390", "0fae23", "0f01d0", "0f01d1", "0fae3b", "660f38dcc1", "660f3a44c101", "0f01cb", "0f01ca", "0fc7f0",
    "0f180b", "d7", "0fb223", "0fb11f", "0fab03", "0fa503", "d313", "d400", "48", "66", "67", "f0", "f3", "41", "0f05", "0f07",
    "480f07", "48cf", "48cb", "0f01f8", "0f0b", "f1", "64", "48b80000000000800000",
};

static void words(void)
{
    for (unsigned i = 0; i < sizeof(instructions) / sizeof(*instructions); i++) {
        uint8_t bytes[16];
        size_t n = strlen(instructions[i]) / 2;

        for (size_t k = 0; k < n; k++) {
            char digits[3] = { instructions[i][2 * k], instructions[i][2 * k + 1], 0 };
            bytes[k] = (uint8_t)strtoul(digits, NULL, 16);
        }
        fuzz_add_bytes(bytes, n);
    }
}

const FuzzTarget fuzz_cpu = { .init = start, .run = cpu, .add_words = words, .max_len = 512, .hides_memory = true /* TLBs, in memory that is mapped */ };
