/*
 * The decoder against capstone: lengths of random instructions in 16-, 32- and 64-bit code, and which there are.
 */
#include <capstone/capstone.h>
#include <glib.h>
#include <string.h>

#include "target/i386/cpu.h"
#include "target/i386/decode.h"

/* Which capstone does not know, and processors do: hints and fences with any ModRM; MOV of what is no segment is the body's. */
static bool known_only_here(const X86Insn *in, unsigned bits)
{
    static const uint8_t map1[] = { 0x01, 0x0d, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0xae, 0xb8, 0xb9, 0xc7, 0xff };

    if (bits == 16 && (in->row->attr & X86_ATTR_SSE)) {
        return true; /* it takes 66 for the operand size only */
    }
    if (in->row->map == 0) {
        return in->opcode == 0x8c || in->opcode == 0x8e;
    }
    return in->row->map == 1 && memchr(map1, in->opcode, sizeof(map1));
}

/* UD0 and UD1 have ModRM (vol. 2, UD); 66 is ignored by near branches in 64-bit mode, on Intel's processors. */
static bool known_other_length(const X86Insn *in)
{
    return !strncmp(in->row->mnemonic, "ud", 2) ||
           (in->code64 && (in->row->attr & X86_ATTR_F64) && (in->prefixes & X86_P_66));
}

/* What has no rows yet: most of VEX, EVEX, XOP, transactions, and two-byte opcodes and x87 without rows yet. LOCK is checked here only. */
static bool known_only_there(const uint8_t *buf, const X86Insn *in)
{
    unsigned n = 0;

    while (memchr("\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3", buf[n], 11) || (in->code64 && buf[n] >> 4 == 4)) {
        n++;
    }
    return memchr("\x0f\xc4\xc5\x62\x8f", buf[n], 5) || (buf[n] & 0xf8) == 0xd8 || (in->prefixes & X86_P_LOCK) || buf[n] == 0x9b ||
           ((buf[n] & 0xfe) == 0xc6 && buf[n + 1] == 0xf8);
}

static void compare(const uint8_t *buf, const X86Insn *in, bool ours, const cs_insn *theirs, unsigned bits)
{
    if (ours && !theirs && !known_only_here(in, bits)) {
        g_test_message("only here: %s", in->row->mnemonic);
    } else if (ours && theirs && in->len != theirs->size && !known_other_length(in)) {
        g_test_message("%s of %u bytes, %s of %u", in->row->mnemonic, in->len, theirs->mnemonic, theirs->size);
    } else if (!ours && theirs && !known_only_there(buf, in)) {
        g_test_message("only there: %s %s", theirs->mnemonic, theirs->op_str);
    } else {
        return;
    }
    g_test_message("%02x %02x %02x %02x %02x %02x %02x %02x", buf[0], buf[1], buf[2], buf[3], buf[4], buf[5], buf[6], buf[7]);
    g_test_fail();
}

static void test_lengths(gconstpointer data)
{
    unsigned bits = GPOINTER_TO_UINT(data), both = 0;
    uint64_t key = KEY_PE | (bits == 64 ? KEY_CODE64 : bits == 32 ? KEY_CODE32 : 0);
    GRand *rng = g_rand_new_with_seed(bits);
    cs_insn *ci;
    csh cs;

    g_assert_true(cs_open(CS_ARCH_X86, bits == 64 ? CS_MODE_64 : bits == 32 ? CS_MODE_32 : CS_MODE_16, &cs) == CS_ERR_OK);
    ci = cs_malloc(cs);
    for (unsigned n = 0; n < 200000; n++) {
        uint8_t buf[16];
        const uint8_t *p = buf;
        size_t left = 15;
        uint64_t addr = 0;
        X86Insn in;
        bool ours, theirs;
        for (unsigned k = 0; k < 16; k++) {
            buf[k] = (uint8_t)(g_rand_int(rng) >> 13);
        }
        if (n & 1) {
            buf[n >> 1 & 1] = 0x0f;
        } else if (n % 32 == 0) { /* VEX of the maps that have rows, W and L by chance */
            buf[0] = 0xc4;
            buf[1] = (uint8_t)((buf[1] & 0xe0) | (n & 64 ? 2 : 3));
            buf[3] = n & 64 ? (uint8_t)(0xf2 + (n >> 7) % 6) : 0xf0;
        }
        ours = x86_decode(&in, buf, 15, key) == X86_DECODE_OK;
        theirs = cs_disasm_iter(cs, &p, &left, &addr, ci);
        both += ours && theirs;
        compare(buf, &in, ours, theirs ? ci : NULL, bits);
    }
    g_test_message("%u instructions that both know", both);
    g_assert_cmpuint(both, >, 100000);
    cs_free(ci, 1);
    cs_close(&cs);
    g_rand_free(rng);
}

/* However few bytes there are, and however many prefixes. */
static void test_limits(void)
{
    static const uint8_t insn[] = { 0x66, 0x65, 0x48, 0x81, 0x84, 0x88, 1, 2, 3, 4, 5, 6, 7, 8 };
    uint8_t buf[32];
    X86Insn in;

    for (unsigned n = 0; n < sizeof(insn); n++) {
        g_assert_cmpint(x86_decode(&in, insn, n, KEY_CODE64), ==, X86_DECODE_SHORT);
    }
    g_assert_cmpint(x86_decode(&in, insn, sizeof(insn), KEY_CODE64), ==, X86_DECODE_OK);
    g_assert_cmpuint(in.len, ==, sizeof(insn));
    memset(buf, 0x66, sizeof(buf));
    for (unsigned prefixes = 0; prefixes < 20; prefixes++) {
        X86Decode want = prefixes < 15 ? X86_DECODE_OK : X86_DECODE_LONG;
        buf[prefixes] = 0x90;
        g_assert_cmpint(x86_decode(&in, buf, sizeof(buf), KEY_CODE32), ==, want);
        buf[prefixes] = 0x66;
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_data_func("/i386/decode/16", GUINT_TO_POINTER(16), test_lengths);
    g_test_add_data_func("/i386/decode/32", GUINT_TO_POINTER(32), test_lengths);
    g_test_add_data_func("/i386/decode/64", GUINT_TO_POINTER(64), test_lengths);
    g_test_add_func("/i386/decode/limits", test_limits);
    return g_test_run();
}
