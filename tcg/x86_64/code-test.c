/*
 * The code emitted for common shapes, byte for byte: a change here is reviewed as a change of
 * generated code. The guest has the homes of an x86 one. With TCG_CODE_PRINT=1 the test
 * prints what it finds instead (objdump -D -b binary -mi386:x86-64).
 */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "tcg/text.h"
#include "tcg/x86_64/emit.h"

typedef struct {
    uint64_t g[16], flags;
    uint8_t x[16][64];
    uint8_t spill[TCG_SPILL_SLOTS][64];
    TcgRuntime rt;
} State;

#define INT(name, n, h) { name, offsetof(State, g[n]), 'i', h }
#define VEC(name, n, h) { name, offsetof(State, x[n]), 'v', h }
static const TcgGlobal globals[] = {
    INT("rax", 0, 0), INT("rcx", 1, 1), INT("rdx", 2, 2), INT("rbx", 3, 3), INT("rsp", 4, 15),
    INT("rbp", 5, 5), INT("rsi", 6, 6), INT("rdi", 7, 7), INT("r8", 8, 8), INT("r9", 9, 9),
    INT("r10", 10, -1), INT("r14", 14, -1), VEC("xmm0", 0, 0), VEC("xmm1", 1, 1),
};
static const TcgGuest guest = {
    .name = "x", .globals = globals, .num_globals = G_N_ELEMENTS(globals), .state_size = sizeof(State),
    .flags_offset = offsetof(State, flags), .spill_offset = offsetof(State, spill),
    .runtime_offset = offsetof(State, rt), .page_bits = 12,
};

typedef struct {
    const char *name, *ir, *code;
} Shape;

/* clang-format off */
static const Shape shapes[] = {
#include "tcg/x86_64/code-test.inc"
};
/* clang-format on */

static void test_shape(gconstpointer data)
{
    static uint8_t buffer[65536] __attribute__((aligned(64)));
    static TcgSlot slots[TCG_MAX_SLOTS];
    static uint8_t map[4096];
    const Shape *s = data;
    X86Emit *e = x86_emit_new(&guest);
    g_autoptr(GString) hex = g_string_new(NULL);
    TcgEmitted out;
    TcgThunks t;
    TcgEmitJob job = { .thunks = &t, .user = true, .pc = 0x1000, .slots = slots, .map = map,
                       .map_end = map + sizeof(map), .code_end = buffer + sizeof(buffer) };
    const char *error;
    unsigned line, end;
    uint32_t at;
    IrRegion r;

    g_assert_true(ir_region_init(&r, &guest));
    if (!ir_parse(&r, s->ir, NULL, &line, &error)) {
        g_error("%s: line %u: %s", s->name, line, error);
    }
    g_assert_cmpstr(ir_verify(&r, &at), ==, NULL);
    g_assert_true(x86_emit_thunks(e, buffer, buffer + sizeof(buffer), 0, true, &t));
    job.ir = &r;
    job.code = (uint8_t *)(((uintptr_t)t.end + 63) & ~63ul);
    g_assert_cmpint(x86_emit(e, &job, &out), ==, TCG_EMIT_OK);
    /* The code up to the first exit's displacement; what follows depends on where it is. */
    end = slots[0].patch;
    for (uint32_t n = out.entry; n < end; n++) {
        g_string_append_printf(hex, "%02x", job.code[n]);
    }
    if (g_getenv("TCG_CODE_PRINT")) {
        g_print("%s\n%s", s->name, hex->str);
        g_print("\n");
    } else {
        g_assert_cmpstr(hex->str, ==, s->code);
    }
    ir_region_finish(&r);
    x86_emit_free(e);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned n = 0; n < G_N_ELEMENTS(shapes); n++) {
        g_autofree char *name = g_strdup_printf("/tcg/x86_64/code/%s", shapes[n].name);
        g_test_add_data_func(name, &shapes[n], test_shape);
    }
    return g_test_run();
}
