/*
 * The software TLB: filling, resizing, flushing. Layout and the inline compare: tcg/tlb.h. A flush empties the tables, which shrink
 * with little use so that this stays cheap, and grow there and, when entries push each other out, between regions.
 */
#include <stdlib.h>
#include <string.h>

#include "accel/tcg/internal.h"

enum { TLB_MIN_BITS = 9, TLB_MAX_BITS = 16, TLB_QUIET_FLUSHES = 64 };

static void empty(TcgTlb *tlb)
{
    memset(tlb->table, 0xff, tlb->mask + sizeof(TcgTlbEntry)); /* all ones has TCG_TLB_EMPTY set */
}

static uint32_t entries(const TcgTlb *tlb)
{
    return tlb->mask / sizeof(TcgTlbEntry) + 1;
}

/* Gives it this many entries, all empty; keeps the old table when there is no memory. tlb_lock held (or not yet shared). */
static bool resize(TcgVcpu *t, unsigned mmu, uint32_t n)
{
    TcgTlb *tlb = &t->rt->tlb[mmu];
    TcgTlbEntry *table = malloc(n * sizeof(*table));
    TlbInfo *info = malloc(n * sizeof(*info));

    if (!table || !info) {
        free(table);
        free(info);
        return false;
    }
    free(tlb->table);
    free(t->side[mmu].info);
    tlb->table = table;
    t->side[mmu].info = info;
    tlb->mask = (n - 1) * sizeof(*table);
    empty(tlb);
    return true;
}

void tlb_init(TcgVcpu *t)
{
    mutex_init(&t->tlb_lock, LOCK_LEAF);
    for (unsigned mmu = 0; mmu < t->arch->num_mmu; mmu++) {
        if (!resize(t, mmu, 1u << TLB_MIN_BITS)) {
            abort(); /* out of memory for a few KiB at the start */
        }
    }
}

void tlb_finish(TcgVcpu *t)
{
    for (unsigned mmu = 0; mmu < t->arch->num_mmu; mmu++) {
        free(t->rt->tlb[mmu].table);
        free(t->side[mmu].info);
        t->rt->tlb[mmu].table = NULL;
        t->side[mmu].info = NULL;
    }
    mutex_finish(&t->tlb_lock);
}

/* A table that filled up since the last flush doubles; one mostly empty for long halves. */
static void flush_one(TcgVcpu *t, unsigned mmu)
{
    TlbSide *s = &t->side[mmu];
    TcgTlb *tlb = &t->rt->tlb[mmu];
    uint32_t n = entries(tlb), want = n;

    s->evicted /= 2; /* what a short stretch pushes out counts less */
    if (s->used == 0) {
        return;
    }
    if (s->used > n / 2 && n < 1u << TLB_MAX_BITS) {
        want = n * 2;
    } else if (s->used < n / 8 && n > 1u << TLB_MIN_BITS) {
        want = ++s->quiet >= TLB_QUIET_FLUSHES ? n / 2 : n;
    } else {
        s->quiet = 0;
    }
    if (want == n || !resize(t, mmu, want)) {
        empty(tlb);
    } else {
        s->quiet = 0;
    }
    s->used = 0;
}

/* Between regions, where nobody holds an entry: tables doubled whose entries keep pushing each other out. */
void tlb_grow(TcgVcpu *t)
{
    t->tlb_grow = false;
    mutex_lock(&t->tlb_lock);
    for (unsigned mmu = 0; mmu < t->arch->num_mmu; mmu++) {
        TlbSide *s = &t->side[mmu];
        uint32_t n = entries(&t->rt->tlb[mmu]);

        if (s->evicted > n && n < 1u << TLB_MAX_BITS && resize(t, mmu, n * 2)) {
            s->used = s->evicted = s->quiet = 0;
        }
    }
    mutex_unlock(&t->tlb_lock);
}

void tcg_tlb_flush(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);

    mutex_lock(&t->tlb_lock);
    for (unsigned mmu = 0; mmu < t->arch->num_mmu; mmu++) {
        flush_one(t, mmu);
    }
    mutex_unlock(&t->tlb_lock);
    regions_forget(t);
    t->accel->flushes++;
}

static uint32_t index_of(const TcgVcpu *t, const TcgTlb *tlb, vaddr addr)
{
    return (addr >> t->arch->guest->page_bits) & (entries(tlb) - 1);
}

void tcg_tlb_flush_page(Vcpu *v, vaddr addr)
{
    TcgVcpu *t = tcg_vcpu(v);

    mutex_lock(&t->tlb_lock);
    for (unsigned mmu = 0; mmu < t->arch->num_mmu; mmu++) {
        TcgTlb *tlb = &t->rt->tlb[mmu];

        memset(&tlb->table[index_of(t, tlb, addr)], 0xff, sizeof(TcgTlbEntry));
    }
    mutex_unlock(&t->tlb_lock);
    regions_forget(t);
    t->accel->page_flushes++;
}

/* Filling ----------------------------------------------------------------- */

/* What lies behind a page, as flags of its three tags. */
typedef struct {
    uint8_t *host;
    ram_addr ram;
    uint64_t flags[3];
} Backing;

static void find_backing(TcgVcpu *t, const TcgPage *page, Backing *b)
{
    AddressSpace *as = t->v->as[page->asidx] ? t->v->as[page->asidx] : t->v->as[0];
    MemorySection s = address_space_section(as, page->phys);
    uint64_t page_size = 1ull << t->arch->guest->page_bits;

    *b = (Backing){ .ram = RAM_ADDR_INVALID };
    if (!s.host || s.len < page_size) {
        for (unsigned n = 0; n < 3; n++) {
            b->flags[n] = TCG_TLB_MMIO;
        }
        return;
    }
    b->host = s.host;
    b->ram = s.ram;
    if (s.readonly) {
        b->flags[TCG_WRITE] = TCG_TLB_MMIO;
    } else if (s.ram != RAM_ADDR_INVALID && memory_dirty_any_clean(s.mr->block->map, s.ram)) {
        b->flags[TCG_WRITE] = TCG_TLB_DIRTY;
    }
}

static void insert(TcgVcpu *t, vaddr addr, unsigned mmu, const TcgPage *page)
{
    TcgTlb *tlb = &t->rt->tlb[mmu];
    uint32_t i = index_of(t, tlb, addr);
    TcgTlbEntry *e = &tlb->table[i];
    vaddr base = addr & t->page_mask;
    Backing b;

    mutex_lock(&t->tlb_lock); /* from looking at the dirty bits to the tag: tlb_protect comes before or after */
    find_backing(t, page, &b);
    if (e->tag[TCG_READ] == UINT64_MAX && e->tag[TCG_WRITE] == UINT64_MAX && e->tag[TCG_EXEC] == UINT64_MAX) {
        t->side[mmu].used++;
    } else if (++t->side[mmu].evicted > entries(tlb) && entries(tlb) < 1u << TLB_MAX_BITS) {
        t->tlb_grow = true;
    }
    for (unsigned n = 0; n < 3; n++) {
        uint64_t flags = b.flags[n] | (page->watch && n != TCG_EXEC ? TCG_TLB_WATCH : 0);

        e->tag[n] = page->prot & (1u << n) ? base | flags : UINT64_MAX;
    }
    e->addend = (uintptr_t)b.host - base;
    t->side[mmu].info[i] = (TlbInfo){ .phys = page->phys, .ram = b.ram, .asidx = page->asidx };
    mutex_unlock(&t->tlb_lock);
}

TcgTlbEntry *tlb_lookup(TcgVcpu *t, vaddr addr, TcgAccess access, unsigned mmu, TlbInfo **info)
{
    TcgTlb *tlb = &t->rt->tlb[mmu];
    uint32_t i = index_of(t, tlb, addr);
    const uint64_t flags = TCG_TLB_MMIO | TCG_TLB_DIRTY | TCG_TLB_WATCH;
    TcgPage page = { 0 };

    if ((tlb->table[i].tag[access] & ~flags) != (addr & t->page_mask)) {
        if (!t->arch->walk(t->v, addr, access, mmu, &page)) {
            tcg_count(&t->counts.faults);
            return NULL;
        }
        tcg_count(&t->counts.fills);
        insert(t, addr, mmu, &page);
        tlb = &t->rt->tlb[mmu];
        i = index_of(t, tlb, addr);
    }
    *info = &t->side[mmu].info[i];
    return &tlb->table[i];
}

bool tlb_protect(TcgVcpu *t, ram_addr start, uint64_t len)
{
    bool plain = false;

    mutex_lock(&t->tlb_lock);
    for (unsigned mmu = 0; mmu < t->arch->num_mmu; mmu++) {
        TcgTlb *tlb = &t->rt->tlb[mmu];
        uint32_t n = t->side[mmu].used ? entries(tlb) : 0;

        for (uint32_t i = 0; i < n; i++) {
            uint64_t *tag = &tlb->table[i].tag[TCG_WRITE];

            if (!(*tag & TCG_TLB_EMPTY) && t->side[mmu].info[i].ram - start < len) {
                plain |= !(__atomic_fetch_or(tag, TCG_TLB_DIRTY, __ATOMIC_RELAXED) & (TCG_TLB_DIRTY | TCG_TLB_MMIO));
            }
        }
    }
    mutex_unlock(&t->tlb_lock);
    return plain;
}

void tlb_unprotect(TcgVcpu *t, TcgTlbEntry *e, MemoryMap *map, ram_addr ram)
{
    mutex_lock(&t->tlb_lock);
    if (!memory_dirty_any_clean(map, ram)) {
        __atomic_fetch_and(&e->tag[TCG_WRITE], ~(uint64_t)TCG_TLB_DIRTY, __ATOMIC_RELAXED);
    }
    mutex_unlock(&t->tlb_lock);
}
