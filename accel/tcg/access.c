/* Accesses that do not go straight to RAM: TLB misses, devices, pages with code or watched, accesses across two pages. */
#include <string.h>

#include "accel/tcg/internal.h"

/* One piece of an access, inside a page. */
typedef struct {
    TcgTlbEntry *e;
    TlbInfo info;
    vaddr addr;
    unsigned len;
} Piece;

static void find_piece(TcgVcpu *t, Piece *p, TcgAccess access, unsigned mmu)
{
    TlbInfo *info;

    p->e = tlb_lookup(t, p->addr, access, mmu, &info);
    if (!p->e) {
        t->arch->raise_fault(t->v);
    }
    p->info = *info;
}

/* Cuts an access into the pages it touches and finds all before any is touched: a fault leaves nothing half done. */
static unsigned find_pieces(TcgVcpu *t, vaddr addr, unsigned size, TcgAccess access, unsigned mmu, Piece p[2])
{
    unsigned room = (unsigned)(~t->page_mask - (addr & ~t->page_mask)) + 1;

    p[0] = (Piece){ .addr = addr, .len = size < room ? size : room };
    find_piece(t, &p[0], access, mmu);
    if (size <= room) {
        return 1;
    }
    p[1] = (Piece){ .addr = addr + room, .len = size - room };
    find_piece(t, &p[1], access, mmu);
    find_piece(t, &p[0], access, mmu); /* the second may have moved the table */
    return 2;
}

static AddressSpace *piece_as(const TcgVcpu *t, const Piece *p)
{
    return t->v->as[p->info.asidx] ? t->v->as[p->info.asidx] : t->v->as[0];
}

static hwaddr piece_phys(const TcgVcpu *t, const Piece *p)
{
    return p->info.phys + (p->addr & ~t->page_mask);
}

/* The next unit of a device access: the largest power of two that is left, naturally aligned unless it is the whole. */
static unsigned unit(const Piece *p, unsigned done)
{
    unsigned left = p->len - done, n = 8;

    if (done == 0 && (left == 1 || left == 2 || left == 4 || left == 8)) {
        return left;
    }
    while (n > left || ((p->addr + done) & (n - 1))) {
        n /= 2;
    }
    return n;
}

static void device_load(TcgVcpu *t, const Piece *p, uint8_t *buf)
{
    for (unsigned done = 0, n; done < p->len; done += n) {
        uint64_t value = UINT64_MAX;

        n = unit(p, done);
        address_space_ld(piece_as(t, p), piece_phys(t, p) + done, n, DEVICE_LITTLE_ENDIAN,
                         (MemTxAttrs){ .from_cpu = true, .requester_id = t->v->index }, &value);
        memcpy(buf + done, &value, n);
    }
}

static void device_store(TcgVcpu *t, const Piece *p, const uint8_t *buf)
{
    for (unsigned done = 0, n; done < p->len; done += n) {
        uint64_t value = 0;

        n = unit(p, done);
        memcpy(&value, buf + done, n);
        address_space_st(piece_as(t, p), piece_phys(t, p) + done, n, DEVICE_LITTLE_ENDIAN,
                         (MemTxAttrs){ .from_cpu = true, .requester_id = t->v->index }, value);
    }
}

/* A guest's address need not be aligned. */
typedef uint16_t __attribute__((aligned(1), may_alias)) Any16;
typedef uint32_t __attribute__((aligned(1), may_alias)) Any32;
typedef uint64_t __attribute__((aligned(1), may_alias)) Any64;

/* memcpy of the common sizes as one access of the host's: others see it whole, as the guest's CPU would make it. */
static void copy_once(uint8_t *dst, const uint8_t *src, unsigned n)
{
    switch (n) {
    case 1:
        *dst = *src;
        break;
    case 2:
        *(Any16 *)dst = *(const Any16 *)src;
        break;
    case 4:
        *(Any32 *)dst = *(const Any32 *)src;
        break;
    case 8:
        *(Any64 *)dst = *(const Any64 *)src;
        break;
    default:
        memcpy(dst, src, n);
    }
}

/* Tells who follows writes to this page; the slow path is needed no longer when nobody does. */
static void dirty(TcgVcpu *t, const Piece *p)
{
    MemorySection s = address_space_section(piece_as(t, p), piece_phys(t, p));
    MemoryMap *map;

    if (!s.mr || !s.mr->block) {
        return;
    }
    map = s.mr->block->map;
    memory_dirty_mark(map, DIRTY_VGA, s.ram, p->len);
    memory_dirty_mark(map, DIRTY_MIGRATION, s.ram, p->len);
    if (code_after_store(t->accel, s.ram, p->len)) {
        code_page_release(t->accel, map, s.ram);
    }
    tlb_unprotect(t, p->e, map, s.ram);
}

static void ram_store(TcgVcpu *t, const Piece *p, const uint8_t *buf, uint64_t flags)
{
    copy_once((uint8_t *)(uintptr_t)(p->addr + p->e->addend), buf, p->len);
    if (flags & TCG_TLB_DIRTY) {
        dirty(t, p);
    }
}

static void watch(TcgVcpu *t, const Piece *p, TcgAccess access)
{
    if (p->e->tag[access] & TCG_TLB_WATCH) {
        t->arch->watch(t->v, p->addr, p->len, access);
    }
}

void access_load(TcgVcpu *t, vaddr addr, void *buf, unsigned size, unsigned mmu)
{
    uint8_t *out = buf;
    Piece p[2];
    unsigned n = find_pieces(t, addr, size, TCG_READ, mmu, p);

    for (unsigned i = 0; i < n; i++) {
        if (p[i].e->tag[TCG_READ] & TCG_TLB_MMIO) {
            device_load(t, &p[i], out);
        } else {
            copy_once(out, (uint8_t *)(uintptr_t)(p[i].addr + p[i].e->addend), p[i].len);
        }
        watch(t, &p[i], TCG_READ);
        out += p[i].len;
    }
}

/* The checks of a store, and its effect on translated code, before a read-modify-write reads. */
static void access_prepare_store(TcgVcpu *t, vaddr addr, unsigned size, unsigned mmu)
{
    Piece p[2];
    unsigned n = find_pieces(t, addr, size, TCG_WRITE, mmu, p);

    for (unsigned i = 0; i < n; i++) {
        if ((p[i].e->tag[TCG_WRITE] & TCG_TLB_DIRTY) && p[i].info.ram != RAM_ADDR_INVALID) {
            code_before_store(t, p[i].info.ram + (p[i].addr & ~t->page_mask), p[i].len);
        }
    }
}

void access_store(TcgVcpu *t, vaddr addr, const void *buf, unsigned size, unsigned mmu)
{
    const uint8_t *in = buf;
    Piece p[2];
    unsigned n = find_pieces(t, addr, size, TCG_WRITE, mmu, p);

    for (unsigned i = 0; i < n; i++) {
        if ((p[i].e->tag[TCG_WRITE] & TCG_TLB_DIRTY) && p[i].info.ram != RAM_ADDR_INVALID) {
            code_before_store(t, p[i].info.ram + (p[i].addr & ~t->page_mask), p[i].len);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        uint64_t flags = p[i].e->tag[TCG_WRITE];

        if (flags & TCG_TLB_MMIO) {
            device_store(t, &p[i], in);
        } else if (flags & (TCG_TLB_DIRTY | TCG_TLB_WATCH)) {
            ram_store(t, &p[i], in, flags);
        } else {
            copy_once((uint8_t *)(uintptr_t)(p[i].addr + p[i].e->addend), in, p[i].len);
        }
        watch(t, &p[i], TCG_WRITE);
        in += p[i].len;
    }
}

uint64_t tcg_ld(Vcpu *v, vaddr addr, unsigned size, unsigned mmu)
{
    uint64_t value = 0;

    access_load(tcg_vcpu(v), addr, &value, size, mmu);
    return value;
}

void tcg_st(Vcpu *v, vaddr addr, uint64_t value, unsigned size, unsigned mmu)
{
    access_store(tcg_vcpu(v), addr, &value, size, mmu);
}

void tcg_probe(Vcpu *v, vaddr addr, unsigned size, TcgAccess access, unsigned mmu)
{
    Piece p[2];

    find_pieces(tcg_vcpu(v), addr, size, access, mmu, p);
}

static uint8_t *plain_host(TcgVcpu *t, vaddr addr, TcgAccess access, unsigned mmu, unsigned *len, Piece *p)
{
    unsigned room = (unsigned)(~t->page_mask - (addr & ~t->page_mask)) + 1;

    find_pieces(t, addr, 1, access, mmu, p);
    if (p->e->tag[access] & (TCG_TLB_MMIO | TCG_TLB_WATCH)) {
        return NULL;
    }
    *len = *len < room ? *len : room;
    return (uint8_t *)(uintptr_t)(addr + p->e->addend);
}

const uint8_t *tcg_host_read(Vcpu *v, vaddr addr, unsigned mmu, unsigned *len)
{
    Piece p[2];

    return plain_host(tcg_vcpu(v), addr, TCG_READ, mmu, len, p);
}

uint8_t *tcg_host_write(Vcpu *v, vaddr addr, unsigned mmu, unsigned *len, bool *follow)
{
    TcgVcpu *t = tcg_vcpu(v);
    Piece p[2];
    uint8_t *host = plain_host(t, addr, TCG_WRITE, mmu, len, p);

    *follow = host && (p[0].e->tag[TCG_WRITE] & TCG_TLB_DIRTY);
    if (*follow) {
        code_before_store(t, p[0].info.ram + (addr & ~t->page_mask), *len);
    }
    return host;
}

void tcg_host_written(Vcpu *v, vaddr addr, unsigned mmu, unsigned len)
{
    TcgVcpu *t = tcg_vcpu(v);
    Piece p[2];

    find_pieces(t, addr, len, TCG_WRITE, mmu, p);
    dirty(t, &p[0]);
}

/* From translated code, after a miss of the inline compare ---------------------------- */

static void check_alignment(TcgVcpu *t, uint64_t addr, uint32_t access)
{
    unsigned size = 1u << (access & TCG_ACCESS_SIZE);

    if ((access & TCG_ACCESS_ALIGNED) && (addr & (size - 1))) {
        t->arch->raise_unaligned(t->v, size);
    }
}

void access_slow_load(void *state, uint64_t addr, uint32_t access, uintptr_t retaddr)
{
    TcgVcpu *t = tcg_current_vcpu();
    unsigned size = 1u << (access & TCG_ACCESS_SIZE), mmu = access >> TCG_ACCESS_MMU_SHIFT;

    tcg_count(&t->counts.slow_loads);
    check_alignment(t, addr, access);
    if (access & (TCG_ACCESS_RMW | TCG_ACCESS_WRITE)) {
        access_prepare_store(t, addr, size, mmu);
    }
    if (access & TCG_ACCESS_WRITE) {
        return; /* nothing is read: the store follows, after the instruction's own work */
    }
    access_load(t, addr, t->rt->bounce, size, mmu);
    if (access & TCG_ACCESS_ATOMIC) {
        memcpy(t->atomic_old, t->rt->bounce, sizeof(t->atomic_old));
    }
}

static bool exchange16(uint8_t *host, const void *expected, const void *value)
{
    uint64_t e[2], v[2];
    bool same;

    memcpy(e, expected, 16);
    memcpy(v, value, 16);
    __asm__ volatile("lock cmpxchg16b %1" : "=@ccz"(same), "+m"(*(uint8_t(*)[16])host), "+a"(e[0]), "+d"(e[1])
                     : "b"(v[0]), "c"(v[1]) : "memory");
    return same;
}

/* Stores value if what the load saw is still there. The host's locked operations take any alignment. */
__attribute__((no_sanitize("alignment"))) static bool exchange(uint8_t *host, const uint8_t *expected, const uint8_t *value, unsigned size)
{
    uint64_t e = 0, v = 0;

    if (size == 16) {
        return exchange16(host, expected, value);
    }
    memcpy(&e, expected, size);
    memcpy(&v, value, size);
    switch (size) {
    case 1: {
        uint8_t e8 = (uint8_t)e;
        return __atomic_compare_exchange_n(host, &e8, (uint8_t)v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    case 2: {
        uint16_t e16 = (uint16_t)e;
        return __atomic_compare_exchange_n((uint16_t *)host, &e16, (uint16_t)v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    case 4: {
        uint32_t e32 = (uint32_t)e;
        return __atomic_compare_exchange_n((uint32_t *)host, &e32, (uint32_t)v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    default:
        return __atomic_compare_exchange_n((uint64_t *)host, &e, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
}

/*
 * The store of an atomic operation that was done on a copy: it must still find what was loaded. Else the instruction is done
 * again. Not atomic: devices, and operands in two pages.
 */
static void atomic_store_back(TcgVcpu *t, vaddr addr, unsigned size, unsigned mmu)
{
    Piece p[2];
    unsigned n = find_pieces(t, addr, size, TCG_WRITE, mmu, p);

    if (n > 1 || (p[0].e->tag[TCG_WRITE] & TCG_TLB_MMIO)) {
        access_store(t, addr, t->rt->bounce, size, mmu);
        return;
    }
    if (!exchange((uint8_t *)(uintptr_t)(addr + p[0].e->addend), t->atomic_old, t->rt->bounce, size)) {
        tcg_leave_how(t, LEAVE_AGAIN);
    }
    if (p[0].e->tag[TCG_WRITE] & TCG_TLB_DIRTY) {
        dirty(t, &p[0]);
    }
    watch(t, &p[0], TCG_WRITE);
}

void access_slow_store(void *state, uint64_t addr, uint32_t access, uintptr_t retaddr)
{
    TcgVcpu *t = tcg_current_vcpu();
    unsigned size = 1u << (access & TCG_ACCESS_SIZE), mmu = access >> TCG_ACCESS_MMU_SHIFT;

    tcg_count(&t->counts.slow_stores);
    check_alignment(t, addr, access);
    if ((access & TCG_ACCESS_ATOMIC) && size <= 16) {
        atomic_store_back(t, addr, size, mmu);
    } else {
        access_store(t, addr, t->rt->bounce, size, mmu);
    }
}
