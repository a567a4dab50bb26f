/*
 * Instructions of the system: which helper of sys-helpers.def they call with what, which exceptions privilege and mode make of
 * them, how the region ends. One line each: mode, code, what is expected. SDM vol. 2, "Exceptions" of each instruction.
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "target/i386/gen.h"
#include "target/i386/test-stubs.h"
#include "tcg/interp.h"

#define PC 0x401000ull
#define DATA 0x5000ull

/* Modes: real, virtual-8086 (IOPL 3, IOPL 0), 16- and 32-bit protected, 64-bit, each kernel (k) or user (u). */
#define PM (KEY_PE | KEY_FLAT_DS | KEY_FLAT_CS | KEY_OSFXSR)
#define REAL KEY_FLAT_CS
#define VM3 (KEY_PE | KEY_VM86 | KEY_CPL | KEY_IOPL | KEY_FLAT_CS)
#define VM0 (KEY_PE | KEY_VM86 | KEY_CPL | KEY_FLAT_CS)
#define K32 (PM | KEY_CODE32 | KEY_SS32)
#define U32 (K32 | KEY_CPL)
#define K64 (PM | KEY_LMA | KEY_CODE64)
#define U64 (K64 | KEY_CPL)

typedef struct {
    uint64_t key;
    const char *code;      /* hex */
    /* Calls "name(a, b, c)" in order, then "go", "next" (in this region), "again" (indirectly to what follows), "leave", "step" */
    const char *expect;
    uint64_t result;       /* of the helpers */
} Case;

#define RAX 0x1111222233334444
#define RCX 0x00000000c0000080
#define RDX 0x5555666677770001

static const Case cases[] = {
    /* Exceptions that privilege and mode make */
    { U32, "f4", "raise(13, 0, 0) fault" },
    { U64, "0f20c0", "raise(13, 0, 0) fault" },
    { U64, "0f06", "raise(13, 0, 0) fault" },
    { VM3, "f4", "raise(13, 0, 0) fault" },
    { REAL, "0f00d0", "raise(6, 0, 0) fault" },
    { VM3, "0f02c0", "raise(6, 0, 0) fault" },
    { K64, "06", "raise(6, 0, 0) fault" },
    { K64, "f00f20c0", "raise(6, 0, 0) fault" },
    { K32, "8ec8", "raise(6, 0, 0) fault" },
    { K32, "8ef0", "raise(6, 0, 0) fault" },
    { K32, "0f0b", "raise(6, 0, 0) fault" },
    { REAL, "0f34", "raise(13, 0, 0) fault" },
    { U64, "0f35", "raise(13, 0, 0) fault" },
    { U64 | KEY_TSD, "0f31", "raise(13, 0, 0) fault" },
    { U64, "0f33", "raise(13, 0, 0) fault" },
    { U64 | KEY_UMIP, "0f0108", "raise(13, 0, 0) fault" },
    { U64, "0f01ca", "raise(6, 0, 0) fault" },
    { K64, "f3480faec0", "raise(6, 0, 0) fault" },
    { K64, "0faa", "raise(6, 0, 0) fault" },
    { K32, "d400", "raise(0, 0, 0) fault" },
    { K64, "666666666666666666666666666666666690", "raise(13, 0, 0) fault" },
    /* Control, debug, model-specific registers */
    { K64, "0f20c0", "mov_from_cr(0, 0, 0) next" },
    { K64, "440f20c0", "mov_from_cr(8, 0, 0) next" },
    { K64, "0f22d8", "mov_to_cr(3, 0x1111222233334444, 0) again" },
    { K32, "0f22d8", "mov_to_cr(3, 0x33334444, 0) again" },
    { REAL, "0f22c0", "mov_to_cr(0, 0x33334444, 0) next" },
    { REAL, "0f22c0", "mov_to_cr(0, 0x33334444, 0) leave", 1 },
    { K64, "0f21f0", "mov_from_dr(6, 0, 0) next" },
    { K64, "0f23f8", "mov_to_dr(7, 0x1111222233334444, 0) next" },
    { K64, "0f23f8", "mov_to_dr(7, 0x1111222233334444, 0) leave", 1 },
    { K64, "0f32", "rdmsr(0xc0000080, 0, 0) next" },
    { K64, "0f30", "wrmsr(0xc0000080, 0x7777000133334444, 0) next" },
    { K64, "0f30", "wrmsr(0xc0000080, 0x7777000133334444, 0) leave", 1 },
    { K64, "0f06", "clts(0, 0, 0) next" },
    { K64, "0f06", "clts(0, 0, 0) leave", 1 },
    { K64, "0f01f0", "lmsw(0x4444, 0, 0) next" },
    { K64, "0f01f0", "lmsw(0x4444, 0, 0) leave", 1 },
    { K64, "0f01d0", "xgetbv(0xc0000080, 0, 0) next" },
    { K64, "0f01d1", "xsetbv(0xc0000080, 0x7777000133334444, 0) next" },
    { K64, "0f01d1", "xsetbv(0xc0000080, 0x7777000133334444, 0) leave", 1 },
    { U64, "0f31", "rdtsc(0, 0, 0) next" },
    { U64, "0fa2", "cpuid(0, 0, 0) next" },
    { U64 | KEY_PCE, "0f33", "rdpmc(0xc0000080, 0, 0) next" },
    { K64, "f30fc7f8", "next" },
    { K64 | KEY_FSGSBASE, "f3480faed0", "write_base(4, 0x1111222233334444, 0) next" },
    { K64 | KEY_FSGSBASE, "f30faed8", "write_base(5, 0x33334444, 0) next" },
    /* Descriptors */
    { K32, "0f00d0", "lldt(0x4444, 0, 0) next" },
    { K32, "0f00d8", "ltr(0x4444, 0, 0) next" },
    { K32, "0f02c2", "lar(1, 0, 0) next" },
    { K32, "0f03c2", "lsl(1, 0, 0) next" },
    { U32, "0f00e0", "verify(0x4444, 0, 0) next" },
    { U32, "0f00e8", "verify(0x4444, 1, 0) next" },
    { K32, "8ed8", "load_seg(3, 0x4444, 0) next" },
    { K32, "8ed8", "load_seg(3, 0x4444, 0) leave", 1 },
    { K32, "8ee0", "load_seg(4, 0x4444, 0) next" },
    { K32, "8ed0", "load_seg(2, 0x4444, 0) leave" },
    { K64, "8ed8", "load_seg(3, 0x4444, 0) next" },
    { K64, "8ed0", "load_seg(2, 0x4444, 0) leave" },
    { K64, "0f0117", "load_table(0, 0x6261, 0x6a69686766656463) next" },
    { K32, "0f011f", "load_table(1, 0x6261, 0x66656463) next" },
    { K32, "660f0117", "load_table(0, 0x6261, 0x656463) next" },
    { K64, "0f013f", "invlpg(0x5000, 0, 0) again" },
    { K64, "660f388207", "invpcid(0x1111222233334444, 0x6867666564636261, 0x706f6e6d6c6b6a69) again" },
    /* Far transfers and interrupts: the helper goes */
    { K32, "ea785634122301", "jmp_far(0x123, 0x12345678, 2) go" },
    { K32, "66ea34122301", "jmp_far(0x123, 0x1234, 1) go" },
    { K32, "9a785634122301", "call_far(0x123, 0x12345678, 2) go" },
    { K32, "ff2f", "jmp_far(0x6665, 0x64636261, 2) go" },
    { K64, "48ff1f", "call_far(0x6a69, 0x6867666564636261, 3) go" },
    { K32, "cb", "ret_far(2, 0, 0x401001) go" },
    { K32, "ca0800", "ret_far(2, 8, 0x401003) go" },
    { K64, "48cf", "iret(3, 0x401002, 0) go" },
    { K32, "66cf", "iret(1, 0x401002, 0) go" },
    { U64, "cd80", "interrupt(128, 0x401002, 0) go" },
    { U64, "cc", "interrupt(3, 0x401001, 1) go" },
    { U64, "f1", "interrupt(1, 0x401001, 3) go" },
    { U32, "ce", "interrupt(4, 0x401001, 2) go" },
    { U64, "0f05", "syscall(0x401002, 0, 0) go" },
    { K64, "480f07", "sysret(3, 0, 0) go" },
    { U32, "0f34", "sysenter(0x401002, 0, 0) go" },
    { K64, "480f35", "sysexit(3, 0, 0) go" },
    { K64 | KEY_SMM, "0faa", "rsm(0, 0, 0) go" },
    { K64, "f4", "hlt(0x401001, 0, 0) go" },
    { K64, "0f01c9", "mwait(0x401003, 0, 0) go" },
    /* IF: plain, by helper */
    { K64, "fa", "next" },
    { K64, "fb", "next" },
    { U64, "fb", "sti(0, 0, 0) leave" },
    { K64 | KEY_ONE_INSN, "fb", "sti(0, 0, 0) step" },
    { U64, "fa", "cli(0, 0, 0) next" },
    { U64 | KEY_IOPL, "fa", "next" },
    { VM3, "fa", "next" },
    { VM0, "fa", "cli(0, 0, 0) next" },
    { REAL, "fa", "next" },
    { K64, "9d", "popf(0x6867666564636261, 3, 0) next" },
    { K64, "9d", "popf(0x6867666564636261, 3, 0) leave", 1 },
    { VM0, "9c", "pushf(1, 0, 0)" },
    { K64, "0f01cb", "alignment_check(1, 0, 0) again" },
    /* Ports */
    { U64, "e460", "in(0x60, 1, 0) next" },
    { K64, "ed", "in(1, 4, 0) next" },
    { K32, "66ed", "in(1, 2, 0) next" },
    { K64, "ef", "out(1, 4, 0x33334444) next" },
    { K64, "e680", "out(128, 1, 0x44) next" },
    { K64, "6c", "probe_write(0x5000, 1, 0) in(1, 1, 0) next" },
    { K64, "6e", "out(1, 1, 0x61) next" },
    /* One instruction a region */
    { K64 | KEY_TF, "90", "step" },
    { K64 | KEY_TF, "eb05", "step" },
    { K64 | KEY_TF, "f3a4", "step" },
    { K64 | KEY_ONE_INSN, "0f22d8", "mov_to_cr(3, 0x1111222233334444, 0) step" },
    { K64 | KEY_DR7, "c3", "step" },
    /* #NM and #UD by CR0 and CR4 */
    { K64 | KEY_CR0_TS, "0f58c0", "raise(7, 0, 0) fault" },
    { K64 | KEY_CR0_EM, "0f58c0", "raise(6, 0, 0) fault" },
    { K64 & ~(uint64_t)KEY_OSFXSR, "0f58c0", "raise(6, 0, 0) fault" },
    { K64 | KEY_CR0_EM, "d8c0", "raise(7, 0, 0) fault" },
    { K64 | KEY_CR0_EM, "0ffcc0", "raise(6, 0, 0) fault" },
};

typedef struct {
    uint8_t code[4096];
    uint8_t data[65536];
    GString *log;
    uint64_t result;
    IrInterp it;
} Guest;

static Guest *guest;

static unsigned fetch(void *opaque, vaddr pc, uint8_t *buf, unsigned len)
{
    memcpy(buf, guest->code + (pc & 4095), len);
    return len;
}

static bool load(IrInterp *it, uint64_t addr, void *buf, unsigned size, unsigned mmu)
{
    memcpy(buf, guest->data + (addr & 0xfff), size);
    return true;
}

static bool store(IrInterp *it, uint64_t addr, const void *buf, unsigned size, unsigned mmu)
{
    memcpy(guest->data + (addr & 0xfff), buf, size);
    return true;
}

static void put_number(GString *s, uint64_t v)
{
    g_string_append_printf(s, v < 10 || v == 13 || v == 128 ? "%lu" : "0x%lx", (unsigned long)v);
}

static uint64_t on_helper(const char *name, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    if (!strcmp(name, "check_segment")) {
        return 0;
    }
    g_string_append_printf(guest->log, "%s%s(", guest->log->len ? " " : "", name);
    put_number(guest->log, a);
    g_string_append(guest->log, ", ");
    put_number(guest->log, b);
    g_string_append(guest->log, ", ");
    put_number(guest->log, c);
    g_string_append(guest->log, ")");
    guest->it.raised = !strcmp(name, "raise");
    return guest->result;
}

static unsigned put_code(const char *hex)
{
    unsigned n = 0;

    memset(guest->code, 0x90, sizeof(guest->code));
    for (; hex[0]; hex += 2) {
        char digits[3] = { hex[0], hex[1] };
        guest->code[n++] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return n;
}

static const char *how_it_ended(const IrStop *stop, const X86Cpu *cpu, unsigned len)
{
    switch (stop->reason) {
    case IR_STOP_FAULT:
        return "fault";
    case IR_STOP_LEAVE:
        if (stop->slot == LEAVE_STEP) {
            return "step";
        }
        g_assert_cmpuint(stop->slot, ==, LEAVE_LOOKUP);
        return cpu->pc == PC + len ? "leave" : "go";
    case IR_STOP_EXIT:
        return "next";
    case IR_STOP_EXIT_IND:
        return stop->pc == PC + len ? "again" : "go";
    default:
        return "?";
    }
}

static X86Cpu *new_cpu(const Case *c)
{
    X86Cpu *cpu = aligned_alloc(64, (sizeof(X86Cpu) + 63) & ~(size_t)63);

    memset(cpu, 0, sizeof(*cpu));
    memset(cpu->features, 0xff, sizeof(cpu->features));
    memset(cpu->seg_top, 0x7f, sizeof(cpu->seg_top));
    cpu->st.gpr[R_RAX] = RAX;
    cpu->st.gpr[R_RCX] = RCX;
    cpu->st.gpr[R_RDX] = RDX;
    cpu->st.gpr[R_RSP] = cpu->st.gpr[R_RSI] = cpu->st.gpr[R_RDI] = DATA;
    cpu->st.gpr[R_RBX] = DATA;
    cpu->st.cc = strcmp(c->code, "ce") ? 0 : FL_OF;
    return cpu;
}

static void run_case(const Case *c)
{
    X86Cpu *cpu = new_cpu(c);
    unsigned len = put_code(c->code);
    X86Translate t = { .cpu = cpu, .pc = PC, .key = c->key, .max_insns = 2, .fetch = fetch };
    IrRegion r;
    const char *wrong;
    uint32_t at;
    IrStop stop;

    for (unsigned n = 0; n < sizeof(guest->data); n++) {
        guest->data[n] = (uint8_t)('a' + n % 26);
    }
    g_string_truncate(guest->log, 0);
    guest->result = c->result;
    g_assert_true(ir_region_init(&r, &x86_tcg_guest));
    ir_region_reset(&r);
    t.r = &r;
    x86_translate(&t);
    wrong = ir_verify(&r, &at);
    g_assert_cmpstr(wrong, ==, NULL);
    guest->it = (IrInterp){ .state = cpu, .load = load, .store = store };
    stop = ir_interp(&guest->it, &r);
    if (strcmp(c->expect, "pushf(1, 0, 0)")) {
        g_string_append_printf(guest->log, "%s%s", guest->log->len ? " " : "", how_it_ended(&stop, cpu, len));
    }
    if (strcmp(guest->log->str, c->expect)) {
        g_test_message("key %lx, %s: %s; expected %s", (unsigned long)c->key, c->code, guest->log->str, c->expect);
        g_test_fail();
    }
    ir_interp_finish(&guest->it);
    ir_region_finish(&r);
    free(cpu);
}

static void test_cases(void)
{
    guest = g_new0(Guest, 1);
    guest->log = g_string_new(NULL);
    x86_stub_hook = on_helper;
    for (unsigned n = 0; n < sizeof(cases) / sizeof(cases[0]); n++) {
        run_case(&cases[n]);
    }
    g_string_free(guest->log, TRUE);
    g_free(guest);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i386/system/calls", test_cases);
    return g_test_run();
}
