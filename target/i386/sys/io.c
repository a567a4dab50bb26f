/* I/O ports: SDM vol. 1, 18.5. */
#include "memory/memory.h"
#include "target/i386/sys-helpers.h"
#include "target/i386/sys/sys.h"

/* 18.5.2: the I/O permission bit map of the TSS. */
static void check_bitmap(X86Cpu *c, uint32_t port, unsigned bytes)
{
    const X86Segment *tr = &c->st.tr;
    uint32_t map, bits;

    if ((tr->attributes & 15) < SYS_TSS || !(tr->attributes & X86_SEG_P) || tr->limit < 0x67) {
        x86_raise(c, EXC_GP, 0);
    }
    map = x86_sys_ld(c, tr->base + 0x66, 2) + port / 8;
    if (map + 1 > tr->limit) {
        x86_raise(c, EXC_GP, 0); /* two bytes are always read */
    }
    bits = x86_sys_ld(c, tr->base + map, 2) >> (port & 7);
    if (bits & ((1u << bytes) - 1)) {
        x86_raise(c, EXC_GP, 0);
    }
}

static void check_port(X86Cpu *c, uint32_t port, unsigned bytes)
{
    bool vm86 = c->st.eflags & FL_VM;

    if ((c->st.cr0 & X86_CR0_PE) && (vm86 || x86_cpl(c) > x86_iopl(c))) {
        check_bitmap(c, port, bytes);
    }
}

/* I/O breakpoints (17.2.4, CR4.DE) trap after the instruction. */
static void watch_port(X86Cpu *c, uint32_t port, unsigned bytes)
{
    if (!(c->st.dr7 & 0xff) || !(c->st.cr4 & X86_CR4_DE)) {
        return;
    }
    for (unsigned n = 0; n < 4; n++) {
        unsigned len = c->st.dr7 >> (18 + 4 * n) & 3, size = len == 3 ? 4 : len + 1;
        uint64_t at = c->st.dr[n] & ~(uint64_t)(size - 1);

        if ((c->st.dr7 >> (16 + 4 * n) & 3) == 2 && port < at + size && at < port + bytes) {
            c->st.pending_db |= 1u << n;
        }
    }
}

uint64_t x86_sys_in(X86Cpu *c, uint64_t port, uint64_t bytes)
{
    uint64_t v = UINT64_MAX;

    port &= 0xffff;
    check_port(c, port, bytes);
    watch_port(c, port, bytes);
    if (c->vcpu->as_io) {
        address_space_ld(c->vcpu->as_io, port, bytes, DEVICE_LITTLE_ENDIAN, (MemTxAttrs){ .from_cpu = true }, &v);
    }
    return v & (UINT64_MAX >> (64 - 8 * bytes));
}

uint64_t x86_sys_out(X86Cpu *c, uint64_t port, uint64_t bytes, uint64_t value)
{
    port &= 0xffff;
    check_port(c, port, bytes);
    watch_port(c, port, bytes);
    if (c->vcpu->as_io) {
        address_space_st(c->vcpu->as_io, port, bytes, DEVICE_LITTLE_ENDIAN, (MemTxAttrs){ .from_cpu = true }, value);
    }
    return 0;
}
