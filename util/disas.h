/*
 * Instructions as text, by libcapstone, which is loaded when it is first asked for: it is large, and most runs never
 * need it. One Disas per thread.
 */
#ifndef UTIL_DISAS_H
#define UTIL_DISAS_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

typedef struct Disas Disas;

enum {
    DISAS_INSN_MAX = 16,  /* bytes of one instruction, at most */
    DISAS_TEXT_MAX = 320, /* of one instruction's lines */
};

/* For x86 code of 16, 32 or 64 bits, in AT&T syntax. NULL with errp set: the library is not installed. */
Disas *disas_new(unsigned bits, Error **errp);
void disas_free(Disas *d); /* NULL is fine */
unsigned disas_bits(const Disas *d);
/* Writes the instruction at bytes as lines "0xADDRESS:  bytes  text"; returns its length, 0 when n bytes are none. */
unsigned disas_one(Disas *d, const uint8_t *bytes, size_t n, uint64_t addr, char text[DISAS_TEXT_MAX]);

#endif
