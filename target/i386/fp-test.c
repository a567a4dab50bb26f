/*
 * When x87, MMX and SSE instructions are refused: CR0.EM, TS and MP, CR4.OSFXSR and CPUID decide (SDM vol. 3, tables 2-2, 13-1 and
 * vol. 2 for each group). What they compute is tests/insn's business. Every row is translated with each setting and the
 * region is run up to its exception.
 */
#include <glib.h>
#include <setjmp.h>
#include <string.h>

#include "target/i386/gen.h"
#include "target/i386/test-stubs.h"
#include "tcg/interp.h"

enum { NOTHING = -1 };

typedef struct {
    uint8_t code[16];
    unsigned len;
} Code;

static X86Cpu *cpu;
static IrRegion region;
static jmp_buf raised;
static int vector;

static uint64_t on_call(const char *name, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    if (!strcmp(name, "raise")) {
        vector = (int)a;
        longjmp(raised, 1);
    }
    return 0;
}

static unsigned fetch(void *opaque, vaddr pc, uint8_t *buf, unsigned len)
{
    const Code *c = opaque;

    len = MIN(len, c->len - (unsigned)(pc - 0x1000));
    memcpy(buf, c->code + (pc - 0x1000), len);
    return len;
}

static bool no_memory(IrInterp *it, uint64_t addr, void *buf, unsigned size, unsigned mmu)
{
    return false;
}

static bool no_store(IrInterp *it, uint64_t addr, const void *buf, unsigned size, unsigned mmu)
{
    return false;
}

/* The first exception the row's instruction comes to with this key, or NOTHING if it got as far as doing something. */
static int exception_of(const X86Row *row, uint64_t key)
{
    static const uint8_t prefix[] = { [X86_PREFIX_66] = 0x66, [X86_PREFIX_F3] = 0xf3, [X86_PREFIX_F2] = 0xf2 };
    Code c = { .len = 0 };
    X86Translate t = { .r = &region, .cpu = cpu, .pc = 0x1000, .key = key, .max_insns = 1, .fetch = fetch, .opaque = &c };
    IrInterp it = { .state = cpu, .load = no_memory, .store = no_store, .max_steps = 500 };

    if (row->prefix >= X86_PREFIX_66) {
        c.code[c.len++] = prefix[row->prefix];
    }
    if (row->map) {
        c.code[c.len++] = 0x0f;
    }
    if (row->map > 1) {
        c.code[c.len++] = row->map == 2 ? 0x38 : 0x3a;
    }
    c.code[c.len++] = row->opcode;
    c.code[c.len++] = (uint8_t)((row->mod == X86_MOD_MEM ? 0 : 0xc0) | (row->reg < 0 ? 0 : row->reg) << 3 | (row->rm < 0 ? 0 : row->rm));
    c.len = sizeof(c.code);
    ir_region_reset(&region);
    x86_translate(&t);
    g_assert_cmpuint(t.num_insns, ==, 1);
    cpu->st.fcw = 0x37f; /* nothing pends, nothing will */
    cpu->st.fsw = 0;
    vector = NOTHING;
    if (!setjmp(raised)) {
        ir_interp(&it, &region);
    }
    ir_interp_finish(&it);
    return vector;
}

static int expected(const X86Row *row, uint64_t key)
{
    bool em = key & KEY_CR0_EM, ts = key & KEY_CR0_TS, mp = key & KEY_CR0_MP;

    if (row->opcode == 0x9b && row->map == 0) {
        return mp && ts ? EXC_NM : NOTHING;
    }
    if ((row->attr & (X86_ATTR_MMX | X86_ATTR_SSE)) && em) {
        return EXC_UD;
    }
    if ((row->attr & X86_ATTR_SSE) && !(key & KEY_OSFXSR)) {
        return EXC_UD;
    }
    return ts || em ? EXC_NM : NOTHING;
}

static bool is_float(const X86Row *row)
{
    return (row->attr & (X86_ATTR_FPU | X86_ATTR_MMX | X86_ATTR_SSE)) || !strcmp(row->mnemonic, "fwait");
}

static void test_keys(void)
{
    const uint64_t base = KEY_PE | KEY_LMA | KEY_CPL | KEY_CODE64 | KEY_FLAT_DS | KEY_FLAT_CS | KEY_SS32;
    const uint64_t bits[] = { KEY_CR0_EM, KEY_CR0_TS, KEY_CR0_MP, KEY_OSFXSR };
    unsigned checked = 0;

    memset(cpu->features, 0xff, sizeof(cpu->features));
    for (unsigned n = 0; n < X86_NUM_ROWS; n++) {
        const X86Row *row = &x86_insn_rows[n];
        for (unsigned set = 0; set < 16 && is_float(row) && !(row->attr & X86_ATTR_I64); set++) {
            uint64_t key = base;
            for (unsigned b = 0; b < 4; b++) {
                key |= set >> b & 1 ? bits[b] : 0;
            }
            if (expected(row, key) != exception_of(row, key)) {
                g_test_message("%s with key %" G_GINT64_MODIFIER "x", row->mnemonic, key);
                g_test_fail();
            }
            checked++;
        }
    }
    g_test_message("%u rows and keys", checked);
    g_assert_cmpuint(checked, >, 8000);
}

/* Without the features of CPUID all are #UD, x87's own and FWAIT apart. */
static void test_features(void)
{
    const uint64_t key = KEY_PE | KEY_LMA | KEY_CPL | KEY_CODE64 | KEY_FLAT_DS | KEY_FLAT_CS | KEY_SS32 | KEY_OSFXSR;

    memset(cpu->features, 0, sizeof(cpu->features));
    for (unsigned n = 0; n < X86_NUM_ROWS; n++) {
        const X86Row *row = &x86_insn_rows[n];
        if (is_float(row) && strcmp(row->mnemonic, "fwait") && !(row->attr & X86_ATTR_I64)) {
            bool x87 = (row->attr & X86_ATTR_FPU) && row->feature == X86_F_none;
            int want = x87 ? NOTHING : EXC_UD;
            if (exception_of(row, key) != want) {
                g_test_message("%s", row->mnemonic);
                g_test_fail();
            }
        }
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    cpu = g_aligned_alloc0(1, sizeof(X86Cpu), 64);
    g_assert_true(ir_region_init(&region, &x86_tcg_guest));
    x86_stub_hook = on_call;
    g_test_add_func("/i386/fp/keys", test_keys);
    g_test_add_func("/i386/fp/features", test_features);
    return g_test_run();
}
