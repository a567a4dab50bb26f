/*
 * -d op and -d out_asm: what a translation was made of and into, the host code in hexadecimal.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "tcg/internal.h"
#include "tcg/text.h"


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
    if (c->log_what & TCG_LOG_OUT_ASM) {
        fprintf(f, "OUT at 0x%" PRIx64 ": [size=%u]\n", r->key.pc, r->code_size);
        print_hex(f, r->checked, r->code_size);
    }
    funlockfile(f);
}
