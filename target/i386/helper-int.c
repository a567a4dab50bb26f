/*
 * Helpers of integer instructions that are not worth IR. They look at nothing but their arguments.
 */
#include <sys/random.h>

#include "target/i386/gen.h"

/* Called without the guest's vector registers being saved. */
#ifdef __x86_64__
#define INTEGER_ONLY __attribute__((target("general-regs-only")))
#else
#define INTEGER_ONLY
#endif

/* DAA, DAS (vol. 2): AL, flags in, AL | flags << 16 out; AH as it was. */
static INTEGER_ONLY uint32_t adjust_packed(bool subtract, uint32_t ax, uint32_t flags)
{
    uint8_t al = (uint8_t)ax, old = al;
    uint32_t f = flags & (FL_CF | FL_AF);
    bool carry = false;

    if ((al & 15) > 9 || (f & FL_AF)) {
        carry = (f & FL_CF) || (subtract ? al < 6 : al > 0xff - 6);
        al = (uint8_t)(subtract ? al - 6 : al + 6);
        f |= FL_AF;
    }
    if (old > 0x99 || (f & FL_CF)) {
        al = (uint8_t)(subtract ? al - 0x60 : al + 0x60);
        carry = true;
    }
    f = (f & FL_AF) | (carry ? FL_CF : 0) | (al == 0 ? FL_ZF : 0) | (al & FL_SF);
    f |= __builtin_parity(al) ? 0 : FL_PF;
    return (ax & 0xff00) | al | f << 16;
}

/* AAA, AAS */
static INTEGER_ONLY uint32_t adjust_unpacked(bool subtract, uint32_t ax, uint32_t flags)
{
    uint32_t f = 0;

    if ((ax & 15) > 9 || (flags & FL_AF)) {
        ax = subtract ? ax - 0x106 : ax + 0x106;
        f = FL_AF | FL_CF;
    }
    return (ax & 0xff0f) | f << 16;
}

static INTEGER_ONLY uint64_t decimal(void *cpu, uint64_t kind, uint64_t ax, uint64_t flags)
{
    bool subtract = kind == DECIMAL_DAS || kind == DECIMAL_AAS;

    if (kind == DECIMAL_DAA || kind == DECIMAL_DAS) {
        return adjust_packed(subtract, (uint32_t)ax, (uint32_t)flags);
    }
    return adjust_unpacked(subtract, (uint32_t)ax, (uint32_t)flags);
}

const TcgHelper x86_h_decimal = { "decimal", (void (*)(void))decimal, 3, TCG_CALL_PURE };

static uint64_t random_number(void *cpu)
{
    uint64_t v = 0;

    while (getrandom(&v, sizeof(v), 0) != sizeof(v)) {
        continue; /* EINTR; once the host's pool is ready there is no other failure */
    }
    return v;
}

const TcgHelper x86_h_random = { "random", (void (*)(void))random_number, 0, TCG_CALL_VECTORS };
