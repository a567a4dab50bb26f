/* Disassembly: see util/disas.h. */
#include "util/disas.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef HAVE_CAPSTONE
#include <capstone/capstone.h>
#include <dlfcn.h>

struct Disas {
    void *library;
    csh handle;
    unsigned bits;
    __typeof__(cs_open) *open;
    __typeof__(cs_close) *close;
    __typeof__(cs_option) *option;
    __typeof__(cs_disasm) *disasm;
    __typeof__(cs_free) *free;
};

static bool load(Disas *d, Error **errp)
{
    d->library = dlopen("libcapstone.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!d->library) {
        error_set(errp, "there is no disassembler: %s", dlerror());
        return error_hint(errp, "It is in Debian's package libcapstone4");
    }
    d->open = (__typeof__(d->open))dlsym(d->library, "cs_open");
    d->close = (__typeof__(d->close))dlsym(d->library, "cs_close");
    d->option = (__typeof__(d->option))dlsym(d->library, "cs_option");
    d->disasm = (__typeof__(d->disasm))dlsym(d->library, "cs_disasm");
    d->free = (__typeof__(d->free))dlsym(d->library, "cs_free");
    return d->open && d->close && d->option && d->disasm && d->free
               ? true : error_set(errp, "there is no disassembler: libcapstone lacks a function");
}

Disas *disas_new(unsigned bits, Error **errp)
{
    Disas *d = calloc(1, sizeof(*d));
    cs_mode mode = bits == 16 ? CS_MODE_16 : bits == 32 ? CS_MODE_32 : CS_MODE_64;

    if (!d) {
        error_set(errp, "no memory for a disassembler");
        return NULL;
    }
    d->bits = bits;
    if (!load(d, errp)) {
        disas_free(d);
        return NULL;
    }
    if (d->open(CS_ARCH_X86, mode, &d->handle) != CS_ERR_OK) {
        d->handle = 0;
        disas_free(d);
        error_set(errp, "there is no disassembler for x86 in libcapstone");
        return NULL;
    }
    d->option(d->handle, CS_OPT_SYNTAX, CS_OPT_SYNTAX_ATT);
    return d;
}

void disas_free(Disas *d)
{
    if (d) {
        if (d->handle) {
            d->close(&d->handle);
        }
        if (d->library) {
            dlclose(d->library);
        }
        free(d);
    }
}

unsigned disas_bits(const Disas *d)
{
    return d->bits;
}

typedef struct {
    char *at, *end;
} Out;

__attribute__((format(printf, 2, 3))) static void out(Out *o, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(o->at, (size_t)(o->end - o->at), fmt, ap);
    va_end(ap);
    o->at += n < o->end - o->at ? n : o->end - o->at - 1;
}

/* Eight bytes a line; the text is on the first. */
static void add_lines(Out *o, const uint8_t *bytes, unsigned n, uint64_t addr, unsigned bits, const cs_insn *insn)
{
    for (unsigned i = 0; i < n; i += 8) {
        unsigned here = n - i < 8 ? n - i : 8;

        out(o, "0x%0*llx: ", bits == 64 ? 16 : 8, (unsigned long long)(addr + i));
        for (unsigned k = 0; k < here; k++) {
            out(o, " %02x", bytes[i + k]);
        }
        if (i == 0) {
            out(o, "%*s  ", 3 * (8 - (int)here), "");
            out(o, *insn->op_str ? "%-8s %s" : "%s", insn->mnemonic, insn->op_str);
        }
        out(o, "\n");
    }
}

unsigned disas_one(Disas *d, const uint8_t *bytes, size_t n, uint64_t addr, char text[DISAS_TEXT_MAX])
{
    Out o = { text, text + DISAS_TEXT_MAX };
    cs_insn *insn = NULL;
    unsigned len;

    if (d->disasm(d->handle, bytes, n, addr, 1, &insn) != 1) {
        return 0;
    }
    len = insn->size;
    add_lines(&o, bytes, len, addr, d->bits, insn);
    d->free(insn, 1);
    return len;
}
#else
Disas *disas_new(unsigned bits, Error **errp)
{
    error_set(errp, "there is no disassembler: this program was built without capstone");
    return NULL;
}

void disas_free(Disas *d)
{
}

unsigned disas_bits(const Disas *d)
{
    return 0;
}

unsigned disas_one(Disas *d, const uint8_t *bytes, size_t n, uint64_t addr, char text[DISAS_TEXT_MAX])
{
    return 0;
}
#endif
