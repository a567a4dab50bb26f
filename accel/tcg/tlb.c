/*
 * The software TLB: filling, resizing, flushing. Layout and the inline compare: tcg/tlb.h. A flush empties what was filled
 * since the last. Tables shrink with little use and grow there and, when entries push each other out, between regions.
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

/* Makes it the present one; its tables are made when they are first needed. False: no memory, and nothing changed. tlb_lock held. */
static bool enter_space(TcgVcpu *t, TlbSpace *s)
{
    TlbSpace *old = t->space;

    if (s == old) {
        return true;
    }
    if (old) {
        memcpy(old->tlb, t->rt->tlb, sizeof(old->tlb));
    }
    t->space = s;
    t->side = s->side;
    memcpy(t->rt->tlb, s->tlb, sizeof(s->tlb));
    for (unsigned mmu = 0; mmu < t->arch->num_mmu; mmu++) {
        if (!t->rt->tlb[mmu].table && !resize(t, mmu, 1u << TLB_MIN_BITS)) {
            memcpy(s->tlb, t->rt->tlb, sizeof(s->tlb));
            t->space = old;
            t->side = old ? old->side : NULL;
            if (old) {
                memcpy(t->rt->tlb, old->tlb, sizeof(old->tlb));
            }
            return false;
        }
    }
    return true;
}

static TcgTlb *tables_of(TcgVcpu *t, TlbSpace *s)
{
    return s == t->space ? t->rt->tlb : s->tlb;
}

void tlb_init(TcgVcpu *t)
{
    mutex_init(&t->tlb_lock, LOCK_LEAF);
    for (unsigned n = 0; n < TLB_SPACES; n++) {
        t->spaces[n].id = UINT64_MAX;
    }
    if (!enter_space(t, &t->spaces[0])) {
        abort(); /* out of memory for a few KiB at the start */
    }
}

void tlb_finish(TcgVcpu *t)
{
    for (unsigned n = 0; n < TLB_SPACES; n++) {
        for (unsigned mmu = 0; mmu < t->arch->num_mmu; mmu++) {
            TcgTlb *tlb = &tables_of(t, &t->spaces[n])[mmu];

            free(tlb->table);
            free(t->spaces[n].side[mmu].info);
            tlb->table = NULL;
            t->spaces[n].side[mmu].info = NULL;
        }
    }
    mutex_finish(&t->tlb_lock);
}

static bool is_empty(const TcgTlbEntry *e)
{
    return e->tag[TCG_READ] == UINT64_MAX && e->tag[TCG_WRITE] == UINT64_MAX && e->tag[TCG_EXEC] == UINT64_MAX;
}

/* Empties what was not to be kept. */
static void empty_passing(TcgVcpu *t, unsigned mmu)
{
    TlbSide *s = &t->side[mmu];
    TcgTlb *tlb = &t->rt->tlb[mmu];
    uint32_t n = entries(tlb);

    for (uint32_t i = 0; s->num_passing <= TLB_LOG && i < s->num_passing; i++) {
        if (s->info[s->passing[i]].passing) {
            memset(&tlb->table[s->passing[i]], 0xff, sizeof(TcgTlbEntry));
        }
    }
    for (uint32_t i = 0; s->num_passing > TLB_LOG && i < n; i++) {
        if (s->info[i].passing) {
            memset(&tlb->table[i], 0xff, sizeof(TcgTlbEntry));
        }
    }
    s->num_passing = 0;
}

/* Empties the entries of the log, but global ones when those are kept: they begin the new log. */
static void empty_logged(TcgVcpu *t, unsigned mmu, bool keep_global)
{
    TlbSide *s = &t->side[mmu];
    TcgTlb *tlb = &t->rt->tlb[mmu];
    uint32_t kept = 0;

    for (uint32_t n = 0; n < s->used; n++) {
        uint32_t i = s->log[n];

        if (keep_global && s->info[i].global && !is_empty(&tlb->table[i])) {
            s->log[kept++] = i;
        } else {
            memset(&tlb->table[i], 0xff, sizeof(TcgTlbEntry));
        }
    }
    s->used = kept;
    empty_passing(t, mmu);
}

/* More entries are filled than the log holds: all are looked at, and the log begins anew with those that stay. */
static void empty_all(TcgVcpu *t, unsigned mmu, bool keep_global)
{
    TlbSide *s = &t->side[mmu];
    TcgTlb *tlb = &t->rt->tlb[mmu];
    uint32_t n = entries(tlb), kept = 0;

    for (uint32_t i = 0; keep_global && i < n; i++) {
        TcgTlbEntry *e = &tlb->table[i];

        if (is_empty(e)) {
            continue;
        }
        if (!s->info[i].global) {
            memset(e, 0xff, sizeof(*e));
        } else if (kept++ < TLB_LOG) {
            s->log[kept - 1] = i;
        }
    }
    if (!keep_global) {
        empty(tlb);
    }
    s->used = kept;
    s->num_passing = 0;
}

/* A table that filled up since the last flush doubles; one mostly empty for long halves. */
static uint32_t wanted_size(TlbSide *s, uint32_t n)
{
    uint32_t used = s->used + s->num_passing;

    if (used > n / 2 && n < 1u << TLB_MAX_BITS) {
        return n * 2;
    }
    if (used < n / 8 && n > 1u << TLB_MIN_BITS) {
        return ++s->quiet >= TLB_QUIET_FLUSHES ? n / 2 : n;
    }
    s->quiet = 0;
    return n;
}

static void flush_one(TcgVcpu *t, unsigned mmu, bool keep_global)
{
    TlbSide *s = &t->side[mmu];
    uint32_t n = entries(&t->rt->tlb[mmu]), want;

    s->evicted /= 2; /* what a short stretch pushes out counts less */
    if (s->used + s->num_passing == 0) {
        return;
    }
    want = wanted_size(s, n);
    if (want != n && resize(t, mmu, want)) {
        s->used = s->num_passing = s->quiet = 0;
    } else if (s->used <= TLB_LOG) {
        empty_logged(t, mmu, keep_global);
    } else {
        empty_all(t, mmu, keep_global);
    }
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
            s->used = s->num_passing = s->evicted = s->quiet = 0;
        }
    }
    mutex_unlock(&t->tlb_lock);
}

static void flush_present(TcgVcpu *t, bool keep_global)
{
    uint32_t left = 0;

    for (unsigned mmu = 0; mmu < t->arch->num_mmu; mmu++) {
        flush_one(t, mmu, keep_global);
        left += t->side[mmu].used;
    }
    if (!left) {
        memset(t->space->plain, 0, sizeof(t->space->plain));
    }
}

/* Also what the memory map's changes ask for. */
void tcg_tlb_flush(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);

    mutex_lock(&t->tlb_lock);
    for (unsigned n = 0; n < TLB_SPACES; n++) {
        t->spaces[n].stale = true;
    }
    flush_present(t, false);
    t->space->stale = false;
    mutex_unlock(&t->tlb_lock);
    regions_forget(t);
    t->accel->flushes++;
    memset(t->window, 0, sizeof(t->window));
    if (t->any_large) {
        memset(t->large, 0, sizeof(t->large));
        t->any_large = false;
    }
}

/* The one with this id; else the one that was not used for longest. */
static TlbSpace *find_space(TcgVcpu *t, uint64_t id)
{
    TlbSpace *oldest = &t->spaces[0];

    for (unsigned n = 0; n < TLB_SPACES; n++) {
        TlbSpace *s = &t->spaces[n];

        if (s->id == id) {
            return s;
        }
        if (t->num_loads - s->last > t->num_loads - oldest->last) {
            oldest = s;
        }
    }
    return oldest;
}

/*
 * SDM vol. 3, 4.10.2.2 lets a processor hold any translation that the present tables give. So what was found in tables that nobody has
 * written since need not be found anew. table_changes is read before anything is emptied: what is written meanwhile counts later.
 */
void tcg_tlb_space(Vcpu *v, uint64_t id)
{
    TcgVcpu *t = tcg_vcpu(v);
    uint32_t changes = atomic_load(&t->accel->table_changes);
    TlbSpace *s = find_space(t, id);

    mutex_lock(&t->tlb_lock);
    if (!enter_space(t, s)) {
        s = t->space;
        s->id = UINT64_MAX;
    }
    if (s->stale || s->id != id || s->seen != changes) {
        flush_present(t, !s->stale);
        t->accel->flushes++;
    } else {
        for (unsigned mmu = 0; mmu < t->arch->num_mmu; mmu++) {
            empty_passing(t, mmu);
        }
        t->accel->kept_spaces++;
    }
    s->id = id;
    s->seen = changes;
    s->stale = false;
    s->last = ++t->num_loads;
    mutex_unlock(&t->tlb_lock);
    regions_forget_space(t);
}

static uint32_t index_of(const TcgVcpu *t, const TcgTlb *tlb, vaddr addr)
{
    return (addr >> t->arch->guest->page_bits) & (entries(tlb) - 1);
}

/*
 * Pages of more than 4 KiB are in the TLB by pieces. Whether an address may be in one is known for its 2 MiB by two bits, which it
 * shares with others, but seldom both with the same.
 */
static void large_bits(vaddr addr, uint32_t bit[2])
{
    uint64_t h = (addr >> 21) * 0x9e3779b97f4a7c15ull;

    bit[0] = h >> 32 & (LARGE_PAGES - 1);
    bit[1] = h >> 48 & (LARGE_PAGES - 1);
}

static bool may_be_large(const TcgVcpu *t, vaddr addr)
{
    uint32_t bit[2];

    large_bits(addr, bit);
    return (t->large[bit[0] / 64] >> bit[0] % 64 & 1) && (t->large[bit[1] / 64] >> bit[1] % 64 & 1);
}

static void note_large(TcgVcpu *t, vaddr addr)
{
    uint32_t bit[2];

    large_bits(addr, bit);
    t->large[bit[0] / 64] |= 1ull << bit[0] % 64;
    t->large[bit[1] / 64] |= 1ull << bit[1] % 64;
    t->any_large = true;
}

void tcg_tlb_flush_page(Vcpu *v, vaddr addr)
{
    TcgVcpu *t = tcg_vcpu(v);

    if (may_be_large(t, addr)) {
        tcg_tlb_flush(v);
        return;
    }
    mutex_lock(&t->tlb_lock);
    for (unsigned n = 0; n < TLB_SPACES; n++) {
        for (unsigned mmu = 0; mmu < t->arch->num_mmu; mmu++) {
            TcgTlb *tlb = &tables_of(t, &t->spaces[n])[mmu];

            if (tlb->table) {
                memset(&tlb->table[index_of(t, tlb, addr)], 0xff, sizeof(TcgTlbEntry));
            }
        }
    }
    mutex_unlock(&t->tlb_lock);
    regions_forget(t);
    t->accel->page_flushes++;
}

/* Filling ----------------------------------------------------------------- */

static AddressSpace *space(const TcgVcpu *t, unsigned asidx)
{
    return t->v->as[asidx] ? t->v->as[asidx] : t->v->as[0];
}

/* The window with the page at phys, or NULL: there is no RAM, or not all of it that may be written. */
static const RamWindow *window(TcgVcpu *t, AddressSpace *as, hwaddr phys, MemorySection *s)
{
    RamWindow *w;

    for (unsigned n = 0; n < 4; n++) {
        w = &t->window[n];
        if (phys - w->start < w->len && w->as == as) {
            return w;
        }
    }
    *s = address_space_section(as, phys);
    if (!s->host || s->readonly || s->ram == RAM_ADDR_INVALID || s->len < ~t->page_mask + 1) {
        return NULL;
    }
    w = &t->window[t->next_window++ % 4];
    *w = (RamWindow){ .as = as, .start = phys, .len = s->len & t->page_mask, .host = s->host, .ram = s->ram,
                      .map = s->mr->block->map };
    return w;
}

const uint8_t *tcg_ram(Vcpu *v, unsigned asidx, hwaddr addr)
{
    TcgVcpu *t = tcg_vcpu(v);
    hwaddr page = addr & t->page_mask;
    MemorySection s;
    const RamWindow *w = window(t, space(t, asidx), page, &s);

    return w ? w->host + (addr - w->start) : NULL;
}

/* The record of a page with page tables. */
static CodePage *table_page(TcgVcpu *t, ram_addr ram)
{
    unsigned n = (ram >> 12) % TABLE_PAGES;

    if (!t->table_pages[n].page || t->table_pages[n].ram != ram) {
        t->table_pages[n].page = code_page(t->accel, ram);
        t->table_pages[n].ram = ram;
    }
    return t->table_pages[n].page;
}

const uint8_t *tcg_table(Vcpu *v, unsigned asidx, hwaddr addr, bool *keep)
{
    TcgVcpu *t = tcg_vcpu(v);
    hwaddr page = addr & t->page_mask;
    MemorySection s;
    const RamWindow *w = window(t, space(t, asidx), page, &s);

    if (!w) {
        *keep = false;
        return NULL;
    }
    if (*keep) {
        *keep = code_page_tables(table_page(t, w->ram + (page - w->start)), w->map);
    }
    return w->host + (addr - w->start);
}

void tcg_table_marked(Vcpu *v, MemoryMap *map, ram_addr ram, unsigned size)
{
    memory_dirty_mark(map, DIRTY_VGA, ram, size);
    memory_dirty_mark(map, DIRTY_MIGRATION, ram, size);
    code_after_mark(tcg_vcpu(v)->accel, ram, size);
}

static unsigned plain_bit(ram_addr page)
{
    return (page >> DIRTY_PAGE_BITS) * 0x9e3779b97f4a7c15ull >> 40 & (PLAIN_PAGES - 1);
}

static void note_plain(TcgVcpu *t, ram_addr page)
{
    unsigned bit = plain_bit(page);
    uint64_t *w = &t->space->plain[bit / 64];

    __atomic_store_n(w, *w | 1ull << bit % 64, __ATOMIC_RELEASE);
}

/* Whether a space may have plain write entries of RAM [start, start + len). */
static bool may_be_plain(const TlbSpace *s, ram_addr start, uint64_t len)
{
    if (len > 16u << DIRTY_PAGE_BITS) {
        return true;
    }
    for (ram_addr page = start & ~(ram_addr)0xfff; page < start + len; page += 1u << DIRTY_PAGE_BITS) {
        unsigned bit = plain_bit(page);

        if (__atomic_load_n(&s->plain[bit / 64], __ATOMIC_ACQUIRE) >> bit % 64 & 1) {
            return true;
        }
    }
    return false;
}

/* What lies behind a page, as flags of its three tags. */
typedef struct {
    uint8_t *host;
    ram_addr ram;
    uint64_t flags[3];
} Backing;

static void find_backing(TcgVcpu *t, const TcgPage *page, Backing *b)
{
    MemorySection s;
    const RamWindow *w = window(t, space(t, page->asidx), page->phys, &s);

    *b = (Backing){ .ram = RAM_ADDR_INVALID };
    if (w) {
        b->host = w->host + (page->phys - w->start);
        b->ram = w->ram + (page->phys - w->start);
        b->flags[TCG_WRITE] = memory_dirty_any_clean(w->map, b->ram) ? TCG_TLB_DIRTY : 0;
    } else if (!s.host || s.len < ~t->page_mask + 1) {
        for (unsigned n = 0; n < 3; n++) {
            b->flags[n] = TCG_TLB_MMIO;
        }
    } else {
        b->host = s.host;
        b->ram = s.ram;
        b->flags[TCG_WRITE] = s.readonly ? TCG_TLB_MMIO : 0;
    }
}

/* Each entry filled is in the list that empties it: log, or passing. */
static void count_fill(TcgVcpu *t, unsigned mmu, uint32_t i, bool passing)
{
    TlbSide *s = &t->side[mmu];
    uint32_t n = entries(&t->rt->tlb[mmu]);
    bool was_empty = is_empty(&t->rt->tlb[mmu].table[i]), was_passing = !was_empty && s->info[i].passing;

    if (passing && !was_passing) {
        if (s->num_passing < TLB_LOG) {
            s->passing[s->num_passing] = i;
        }
        s->num_passing++;
    } else if (!passing && (was_empty || was_passing)) {
        if (s->used < TLB_LOG) {
            s->log[s->used] = i;
        }
        s->used++;
    }
    if (!was_empty && ++s->evicted > n && n < 1u << TLB_MAX_BITS) {
        t->tlb_grow = true;
    }
}

/*
 * Without tlb_lock, against a tlb_protect that comes between looking at the dirty bits and the tag: it counted protects before it
 * looked at tags, and the exchange is a barrier; so either it finds the tag, or protects is another one here.
 */
static void insert(TcgVcpu *t, vaddr addr, unsigned mmu, const TcgPage *page)
{
    TcgTlb *tlb = &t->rt->tlb[mmu];
    uint32_t i = index_of(t, tlb, addr), seen = atomic_load(&t->protects);
    TcgTlbEntry *e = &tlb->table[i];
    uint64_t base = addr & t->page_mask, tag[3];
    bool passing = !page->keep && !page->global;
    Backing b;

    find_backing(t, page, &b);
    count_fill(t, mmu, i, passing);
    for (unsigned n = 0; n < 3; n++) {
        uint64_t flags = b.flags[n] | (page->watch && n != TCG_EXEC ? TCG_TLB_WATCH : 0);

        tag[n] = page->prot & (1u << n) ? base | flags : UINT64_MAX;
    }
    __atomic_store_n(&e->tag[TCG_WRITE], UINT64_MAX, __ATOMIC_RELAXED);
    e->tag[TCG_READ] = tag[TCG_READ];
    e->tag[TCG_EXEC] = tag[TCG_EXEC];
    e->addend = (uintptr_t)b.host - base;
    t->side[mmu].info[i] = (TlbInfo){ .phys = page->phys, .ram = b.ram, .asidx = page->asidx, .global = page->global,
                                      .passing = passing };
    if (page->prot & TCG_PROT_WRITE) {
        if (tag[TCG_WRITE] == base) {
            note_plain(t, b.ram);
        }
        __atomic_exchange_n(&e->tag[TCG_WRITE], tag[TCG_WRITE], __ATOMIC_SEQ_CST);
        if (atomic_load(&t->protects) != seen) {
            __atomic_fetch_or(&e->tag[TCG_WRITE], TCG_TLB_DIRTY, __ATOMIC_RELAXED);
        }
    }
    if (page->shift > t->arch->guest->page_bits) {
        note_large(t, addr);
    }
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

static bool protect_table(TcgTlb *tlb, const TlbInfo *info, ram_addr start, uint64_t len)
{
    uint32_t n = entries(tlb);
    bool plain = false;

    for (uint32_t i = 0; i < n; i++) {
        uint64_t *tag = &tlb->table[i].tag[TCG_WRITE];

        if (!(__atomic_load_n(tag, __ATOMIC_ACQUIRE) & TCG_TLB_EMPTY) && info[i].ram - start < len) {
            plain |= !(__atomic_fetch_or(tag, TCG_TLB_DIRTY, __ATOMIC_RELAXED) & (TCG_TLB_DIRTY | TCG_TLB_MMIO));
        }
    }
    return plain;
}

bool tlb_protect(TcgVcpu *t, ram_addr start, uint64_t len)
{
    bool plain = false;

    mutex_lock(&t->tlb_lock);
    atomic_fetch_add(&t->protects, 1);
    for (unsigned k = 0; k < TLB_SPACES; k++) {
        for (unsigned mmu = 0; mmu < t->arch->num_mmu && may_be_plain(&t->spaces[k], start, len); mmu++) {
            TlbSide *s = &t->spaces[k].side[mmu];

            plain |= s->used + s->num_passing != 0 && protect_table(&tables_of(t, &t->spaces[k])[mmu], s->info, start, len);
        }
    }
    mutex_unlock(&t->tlb_lock);
    return plain;
}

void tlb_unprotect(TcgVcpu *t, TcgTlbEntry *e, MemoryMap *map, ram_addr ram)
{
    mutex_lock(&t->tlb_lock);
    if (!memory_dirty_any_clean(map, ram)) {
        note_plain(t, ram & ~(ram_addr)0xfff);
        __atomic_fetch_and(&e->tag[TCG_WRITE], ~(uint64_t)TCG_TLB_DIRTY, __ATOMIC_RELAXED);
    }
    mutex_unlock(&t->tlb_lock);
}
