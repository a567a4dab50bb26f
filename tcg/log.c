/*
 * -d op, op_opt and out_asm: what a translation was made of and into. Host code is disassembled by
 * capstone when it was there at build time and can be loaded, else printed in hexadecimal.
 */
#include <inttypes.h>
#include <stdlib.h>
#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>
#include <dlfcn.h>
#endif

#include "tcg/internal.h"
#include "tcg/text.h"


#ifdef HAVE_CAPSTONE
/* Disassembles by capstone, loaded for the purpose; false when it cannot be. */
static bool print_asm(FILE *f, const uint8_t *code, uint32_t size)
{
    void *lib = dlopen("libcapstone.so.4", RTLD_NOW | RTLD_LOCAL);
    __typeof__(cs_open) *open_fn = NULL;
    __typeof__(cs_disasm) *disasm_fn = NULL;
    __typeof__(cs_free) *free_fn = NULL;
    __typeof__(cs_close) *close_fn = NULL;
    cs_insn *insns = NULL;
    size_t n = 0;
    csh handle;

    if (lib) {
        *(void **)&open_fn = dlsym(lib, "cs_open");
        *(void **)&disasm_fn = dlsym(lib, "cs_disasm");
        *(void **)&free_fn = dlsym(lib, "cs_free");
        *(void **)&close_fn = dlsym(lib, "cs_close");
    }
    if (open_fn && disasm_fn && free_fn && close_fn && open_fn(CS_ARCH_X86, CS_MODE_64, &handle) == CS_ERR_OK) {
        n = disasm_fn(handle, code, size, (uintptr_t)code, 0, &insns);
        for (size_t i = 0; i < n; i++) {
            fprintf(f, "0x%" PRIx64 ":  %-10s %s\n", insns[i].address, insns[i].mnemonic, insns[i].op_str);
        }
        if (n) {
            free_fn(insns, n);
        }
        close_fn(&handle);
    }
    if (lib) {
        dlclose(lib);
    }
    return n != 0;
}
#else
static bool print_asm(FILE *f, const uint8_t *code, uint32_t size)
{
    return false;
}
#endif

static void print_hex(FILE *f, const uint8_t *code, uint32_t size)
{
    for (uint32_t n = 0; n < size; n++) {
        fprintf(f, "%s%02x", n % 32 ? " " : n ? "\n    " : "    ", code[n]);
    }
    fputc('\n', f);
}

void tcg_check_region(const TcgContext *ctx)
{
    uint32_t at;
    const char *error = ir_verify(&ctx->ir, &at);

    if (error) {
        ir_print(stderr, &ctx->ir);
        fprintf(stderr, "op %u: %s\n", at, error);
        abort(); /* our own front end's mistake */
    }
}

void tcg_log(TcgCache *c, FILE *log, unsigned what)
{
    c->log = log;
    c->log_what = log ? what : 0;
}

void tcg_log_region(TcgContext *ctx, const TcgRegion *r)
{
    TcgCache *c = ctx->cache;
    FILE *f = c->log;

    flockfile(f);
    if (c->log_what & TCG_LOG_OP) {
        fprintf(f, "OP at 0x%" PRIx64 ":\n", r->key.pc);
        ir_print(f, &ctx->ir);
    }
    if (c->log_what & TCG_LOG_OP_OPT) {
        fprintf(f, "OP after optimization at 0x%" PRIx64 ":\n", r->key.pc);
        for (uint32_t n = 0; n < ctx->ir.num_insns; n++) {
            if (!x86_dropped(ctx->emit, n)) {
                ir_print_insn(f, &ctx->ir, n);
            }
        }
    }
    if (c->log_what & TCG_LOG_OUT_ASM) {
        fprintf(f, "OUT at 0x%" PRIx64 ": [size=%u]\n", r->key.pc, r->code_size);
        if (!print_asm(f, r->checked, r->code_size)) {
            print_hex(f, r->checked, r->code_size);
        }
    }
    funlockfile(f);
}
