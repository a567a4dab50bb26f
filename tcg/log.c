/* -d op, op_opt and out_asm: what a translation was made of and into; without a disassembler, host code in hexadecimal. */
#include <inttypes.h>
#include <stdlib.h>

#include "tcg/internal.h"
#include "tcg/text.h"
#include "util/disas.h"
#include "util/log.h"

static void print_hex(FILE *f, const uint8_t *code, uint32_t size)
{
    for (uint32_t n = 0; n < size; n++) {
        fprintf(f, "%s%02x", n % 32 ? " " : n ? "\n    " : "    ", code[n]);
    }
    fputc('\n', f);
}

static void print_asm(TcgContext *ctx, FILE *f, const uint8_t *code, uint32_t size)
{
    char text[DISAS_TEXT_MAX];

    if (!ctx->disas) {
        ctx->disas = disas_new(64, NULL);
    }
    for (uint32_t at = 0, n = 0; at < size; at += n) {
        n = ctx->disas ? disas_one(ctx->disas, code + at, size - at, (uintptr_t)(code + at), text) : 0;
        if (!n) {
            print_hex(f, code + at, size - at); /* also what is data behind the code */
            return;
        }
        fputs(text, f);
    }
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

void tcg_log_region(TcgContext *ctx, const TcgRegion *r)
{
    FILE *f;

    if (!log_in_filter(r->key.pc)) {
        return;
    }
    f = log_begin();
    if (log_enabled(LOG_OP)) {
        fprintf(f, "OP:\n");
        ir_print(f, &ctx->ir);
        fputc('\n', f);
    }
    if (log_enabled(LOG_OP_OPT)) {
        fprintf(f, "OP after optimization and liveness analysis:\n");
        for (uint32_t n = 0; n < ctx->ir.num_insns; n++) {
            if (!x86_dropped(ctx->emit, n)) {
                ir_print_insn(f, &ctx->ir, n);
            }
        }
        fputc('\n', f);
    }
    if (log_enabled(LOG_OUT_ASM)) {
        fprintf(f, "OUT: [size=%u]\n", r->code_size);
        print_asm(ctx, f, r->checked, r->code_size);
        fputc('\n', f);
    }
    log_end(f);
}
