/*
 * Any bytes in any mode through the decoder, the translation to IR (verified) and the emitter. Nothing runs: what
 * the code does is tests/insn's business.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "target/i386/translate.h"
#include "tcg/runtime.h"
#include "tests/fuzz/fuzz.h"

static struct {
    TcgCache *cache[2];      /* system, user */
    TcgContext *context[2];
    X86Cpu *cpu;
} e;

typedef struct {
    FuzzBytes code;
    vaddr pc;
    uint64_t key;
    unsigned max_insns;
} Job;

static void start(void)
{
    for (int user = 0; user < 2; user++) {
        TcgConfig c = { .guest = &x86_tcg_guest, .user = user, .code_size = 8 << 20, .verify = true, .check_key = !user };

        e.cache[user] = tcg_cache_new(&c, NULL);
        e.context[user] = tcg_context_new(e.cache[user], NULL);
    }
    e.cpu = tcg_state_new(e.cache[0], NULL);
}

static unsigned fetch(void *opaque, vaddr pc, uint8_t *buf, unsigned len)
{
    Job *j = opaque;
    uint64_t at = pc - j->pc, left;

    assert((pc & 4095) + len <= 4096);
    if (at >= j->code.len && at >= 4096 - (j->pc & 4095)) {
        return 0; /* as a page that is not there; a page that the input begins ends with zeros */
    }
    left = at < j->code.len ? j->code.len - at : 0;
    memset(buf, 0, len);
    if (left) {
        memcpy(buf, j->code.data + at, len < left ? len : left);
    }
    return len;
}

static bool front_end(IrRegion *r, const TcgKey *key, TcgBuilt *built, void *opaque)
{
    Job *j = opaque;
    X86Translate t = { .r = r, .cpu = e.cpu, .pc = j->pc, .key = j->key, .max_insns = j->max_insns, .fetch = fetch, .opaque = j };

    x86_translate(&t);
    *built = (TcgBuilt){ .guest_size = (uint32_t)(t.end - j->pc), .page2 = TCG_NO_PAGE };
    assert(t.num_insns <= j->max_insns && t.end - j->pc <= 8192);
    return t.num_insns;
}

/* Bits that go together: no mode that a CPU cannot be in. */
static uint64_t sane_key(uint64_t key)
{
    key &= ~(uint64_t)KEY_USER;
    if (!(key & KEY_PE)) {
        key &= ~(uint64_t)(KEY_VM86 | KEY_LMA | KEY_CPL | KEY_FLAT_DS | KEY_AC_CHECK);
    }
    if (key & KEY_LMA) {
        key &= ~(uint64_t)KEY_VM86;
    } else {
        key &= ~(uint64_t)KEY_CODE64;
    }
    if (key & KEY_VM86) {
        key = (key | KEY_CPL) & ~(uint64_t)(KEY_CODE32 | KEY_SS32 | KEY_FLAT_DS);
    }
    if (key & KEY_CODE64) {
        key = (uint32_t)(key & ~(uint64_t)KEY_CODE32) | KEY_FLAT_DS | KEY_FLAT_CS;
    }
    return key;
}

static void translate(const uint8_t *data, size_t len)
{
    FuzzBytes b = { data, len };
    uint8_t how = fuzz_u8(&b);
    Job j = { .key = fuzz_u64(&b), .pc = fuzz_u16(&b), .max_insns = 1 + fuzz_u8(&b) % 64, .code = b };
    bool user = how & 1;
    TcgTranslated done;
    TcgRegion *region;

    j.key = user ? (j.key & (KEY_CR0_TS | KEY_SHADOW)) | KEY_USER | KEY_PE | KEY_LMA | KEY_CODE64 | KEY_CPL | KEY_FLAT_DS | KEY_FLAT_CS | KEY_OSFXSR
                 : sane_key(j.key);
    j.pc += j.key & KEY_CODE64 ? 0x7ffffffff000ull * (how >> 1 & 1) : (uint32_t)(j.key >> 32);
    j.pc = j.key & KEY_CODE64 ? j.pc : (uint32_t)j.pc;
    memset(e.cpu->features, how & 4 ? 0x55 : how & 8 ? 0 : 0xff, sizeof(e.cpu->features));
    done = tcg_translate(e.context[user], &(TcgKey){ .pc = j.pc, .phys = j.pc, .mode = (uint32_t)j.key }, front_end, &j, &region);
    assert(done != TCG_FULL);
    tcg_flush(e.cache[user]);
}

const FuzzTarget fuzz_translate = { .init = start, .run = translate, .max_len = 512 };
