/* -d in_asm, exec and cpu. What the translator makes of the code is printed by tcg/log.c. */
#include <inttypes.h>
#include <stdlib.h>

#include "accel/tcg/internal.h"
#include "util/disas.h"
#include "util/log.h"

enum { CODE_MAX = 64 * DISAS_INSN_MAX }; /* of a region */

static void print_code(TcgVcpu *t, FILE *f, const uint8_t *code, unsigned len)
{
    char text[DISAS_TEXT_MAX];

    for (unsigned at = 0, n; at < len; at += n) {
        n = t->disas ? disas_one(t->disas, code + at, len - at, t->tr.pc + at, text) : 0;
        if (n) {
            fputs(text, f);
        } else {
            n = 1;
            fprintf(f, "0x%08" PRIx64 ":  .byte 0x%02x\n", t->tr.pc + at, code[at]);
        }
    }
}

void log_guest_code(TcgVcpu *t)
{
    unsigned bits = t->v->arch->code_bits ? t->v->arch->code_bits(t->v) : 0;
    uint64_t size = t->tr.end - t->tr.pc;
    uint8_t code[CODE_MAX];
    unsigned len;
    FILE *f;

    if (!log_in_filter(t->tr.pc)) {
        return;
    }
    len = t->tr.fetch(t->tr.opaque, t->tr.pc, code, size < CODE_MAX ? (unsigned)size : CODE_MAX); /* may leave */
    if (bits && (!t->disas || disas_bits(t->disas) != bits)) {
        disas_free(t->disas);
        t->disas = disas_new(bits, NULL);
    }
    f = log_begin();
    fputs("----------------\nIN: \n", f);
    print_code(t, f, code, len);
    fputc('\n', f);
    log_end(f);
}

static void print_to_file(void *file, const char *text)
{
    fputs(text, file);
}

/* Printing registers may ask the local interrupt controller, and no lock is taken while a record is open. */
static char *registers(TcgVcpu *t)
{
    char *text = NULL;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    if (f) {
        t->v->arch->print_registers(t->v, print_to_file, f);
        fclose(f);
    }
    return text;
}

void log_region(TcgVcpu *t, const TcgPoint *at, const TcgRegion *r)
{
    char *regs;
    FILE *f;

    if (!log_in_filter(at->pc)) {
        return;
    }
    regs = log_enabled(LOG_CPU) && t->v->arch->print_registers ? registers(t) : NULL;
    f = log_begin();
    if (log_enabled(LOG_EXEC)) {
        fprintf(f, "Trace %u: %p [%016" PRIx64 "/%016" PRIx64 "/%08x]%s\n", t->v->index, r ? (const void *)r->entry : NULL,
                at->key, at->pc, r ? r->key.mode : 0, r ? "" : " interpreted");
    }
    if (regs) {
        fputs(regs, f);
    }
    log_end(f);
    free(regs);
}
