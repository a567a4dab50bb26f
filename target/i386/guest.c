/* The x86 registers as the translator knows them, and the descriptions of the helpers. */
#include "target/i386/gen.h"

/*
 * Homes are x86-64 host registers by number (docs/translator.md, 2): a guest register lives in the host register of its name
 * where that is free, rSP in r15.
 */
#define GPR(name, n, home) { name, G_ST(gpr[n]), 'i', home }
#define XMM(n, home) { "xmm" #n, G_ST(vec[n]), 'v', home }

static const TcgGlobal globals[] = {
    GPR("rax", 0, 0), GPR("rcx", 1, 1), GPR("rdx", 2, 2), GPR("rbx", 3, 3),
    GPR("rsp", 4, 15), GPR("rbp", 5, 5), GPR("rsi", 6, 6), GPR("rdi", 7, 7),
    GPR("r8", 8, 8), GPR("r9", 9, 9), GPR("r10", 10, -1), GPR("r11", 11, -1),
    GPR("r12", 12, 12), GPR("r13", 13, 13), GPR("r14", 14, -1), GPR("r15", 15, -1),
    XMM(0, 0), XMM(1, 1), XMM(2, 2), XMM(3, 3), XMM(4, 4), XMM(5, 5), XMM(6, 6), XMM(7, 7),
    XMM(8, 8), XMM(9, 9), XMM(10, 10), XMM(11, 11), XMM(12, 12), XMM(13, 13), XMM(14, 14), XMM(15, -1),
};

const TcgGuest x86_tcg_guest = {
    .name = "x86_64",
    .globals = globals,
    .num_globals = sizeof(globals) / sizeof(globals[0]),
    .state_size = sizeof(X86Cpu),
    .flags_offset = G_ST(cc),
    .spill_offset = G_CPU(spill),
    .runtime_offset = G_CPU(rt),
    .page_bits = 12,
    .narrow_vectors = true, /* until there is AVX */
};

/* Bodies are C that may do anything: vector registers are saved around all of them, so that they may raise anywhere too. */
#define HELPER(name, args, flags, doc) \
    const TcgHelper x86_h_##name = { #name, (void (*)(void))x86_sys_##name, args, (flags) | TCG_CALL_VECTORS };
#include "target/i386/sys-helpers.def"
#undef HELPER
