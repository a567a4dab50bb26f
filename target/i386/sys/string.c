/* REP MOVS and REP STOS, as much as lies in one page of plain RAM at once (SDM vol. 1, 7.3.9.1). */
#include <string.h>

#include "accel/tcg/tcg.h"
#include "target/i386/sys-helpers.h"
#include "target/i386/sys/sys.h"

/* Elements that fit into len bytes, and are wanted. */
static uint64_t fitting(uint64_t elements, unsigned len, IrWidth w)
{
    uint64_t fit = len >> w;

    return fit < elements ? fit : elements;
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
    unsigned mmu = how >> 8 & 15, from_len, to_len;
    const uint8_t *src;
    uint8_t *dst;

    if (c->st.eflags & FL_DF) {
        return 0;
    }
    src = tcg_host(c->vcpu, from, TCG_READ, mmu, &from_len); /* the source faults first */
    dst = src ? tcg_host(c->vcpu, to, TCG_WRITE, mmu, &to_len) : NULL;
    if (!dst) {
        return 0;
    }
    elements = fitting(fitting(elements, from_len, w), to_len, w);
    copy(dst, src, elements, w);
    return elements;
}

uint64_t x86_sys_rep_stos(X86Cpu *c, uint64_t to, uint64_t value, uint64_t elements, uint64_t how)
{
    IrWidth w = how & 3;
    unsigned len;
    uint8_t *dst;

    if (c->st.eflags & FL_DF) {
        return 0;
    }
    dst = tcg_host(c->vcpu, to, TCG_WRITE, how >> 8 & 15, &len);
    if (!dst) {
        return 0;
    }
    elements = fitting(elements, len, w);
    if (w == W8) {
        memset(dst, (int)value, elements);
    } else {
        fill(dst, value, elements, w);
    }
    return elements;
}
