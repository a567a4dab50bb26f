/* REP MOVS and REP STOS, as much as lies in one page of plain RAM at once (SDM vol. 1, 7.3.9.1). */
#include <string.h>

#include "accel/tcg/tcg.h"
#include "target/i386/sys-helpers.h"
#include "target/i386/sys/sys.h"

enum { MOST = 1 << 16 }; /* bytes asked for at once: more than a page */

static unsigned wanted(uint64_t elements, IrWidth w)
{
    return elements < MOST >> w ? (unsigned)elements << w : MOST;
}

/* The host's own instruction does what the guest's does with every overlap. DF is clear while C runs. */
static void copy(uint8_t *to, const uint8_t *from, uint64_t n, IrWidth w)
{
#ifdef __x86_64__
    switch (w) {
    case W8:
        __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
        break;
    case W16:
        __asm__ volatile("rep movsw" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
        break;
    case W32:
        __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
        break;
    default:
        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n) : : "memory");
        break;
    }
#else
    for (unsigned bytes = 1u << w; n; n--, to += bytes, from += bytes) {
        uint64_t v;
        memcpy(&v, from, bytes);
        memcpy(to, &v, bytes);
    }
#endif
}

static void fill(uint8_t *to, uint64_t value, uint64_t n, IrWidth w)
{
    for (unsigned bytes = 1u << w; n; n--, to += bytes) {
        memcpy(to, &value, bytes);
    }
}

uint64_t x86_sys_rep_movs(X86Cpu *c, uint64_t to, uint64_t from, uint64_t elements, uint64_t how)
{
    IrWidth w = how & 3;
    unsigned mmu = how >> 8 & 15, from_len = wanted(elements, w), to_len;
    const uint8_t *src;
    uint8_t *dst;
    bool follow;

    if (c->st.eflags & FL_DF) {
        return 0;
    }
    src = tcg_host_read(c->vcpu, from, mmu, &from_len); /* the source faults first */
    to_len = from_len;
    dst = src ? tcg_host_write(c->vcpu, to, mmu, &to_len, &follow) : NULL;
    if (!dst) {
        return 0;
    }
    elements = to_len >> w;
    copy(dst, src, elements, w);
    if (follow && elements) {
        tcg_host_written(c->vcpu, to, mmu, elements << w);
    }
    return elements;
}

uint64_t x86_sys_rep_stos(X86Cpu *c, uint64_t to, uint64_t value, uint64_t elements, uint64_t how)
{
    IrWidth w = how & 3;
    unsigned mmu = how >> 8 & 15, len = wanted(elements, w);
    uint8_t *dst;
    bool follow;

    if (c->st.eflags & FL_DF) {
        return 0;
    }
    dst = tcg_host_write(c->vcpu, to, mmu, &len, &follow);
    if (!dst) {
        return 0;
    }
    elements = len >> w;
    if (w == W8) {
        memset(dst, (int)value, elements);
    } else {
        fill(dst, value, elements, w);
    }
    if (follow && elements) {
        tcg_host_written(c->vcpu, to, mmu, elements << w);
    }
    return elements;
}
