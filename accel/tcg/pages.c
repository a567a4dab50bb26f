/*
 * Pages of RAM that translated code was made from, and stores to them: how a store reaches all of that code, whichever vCPU or device
 * makes it and whichever vCPU translates or runs meanwhile. docs/translator.md section 8 says the protocol and why it is enough.
 *
 * Such a page is "clean" for DIRTY_CODE, so that stores to it come to the slow path and those of devices to the memory listener; both
 * end in code_after_store. What part of a page holds code is kept in pieces of 64 bytes, so that stores to data beside code cost little.
 */
#include <stdlib.h>

#include "accel/tcg/internal.h"

enum { GRANULE_BITS = 6 };

static unsigned bucket(ram_addr page)
{
    return (page >> 12) & (CODE_PAGE_BUCKETS - 1);
}

/* The page's record if there is one. Records are only added, and complete when seen. */
static CodePage *find(TcgAccel *a, ram_addr page)
{
    CodePage *p = __atomic_load_n(&a->code_pages[bucket(page)], __ATOMIC_ACQUIRE);

    while (p && p->ram != page) {
        p = p->next;
    }
    return p;
}

static CodePage *find_of(TcgAccel *a, ram_addr ram)
{
    return find(a, ram & ~(ram_addr)0xfff);
}

CodePage *code_page(TcgAccel *a, ram_addr page)
{
    CodePage *p = find(a, page);

    if (p) {
        return p;
    }
    mutex_lock(&a->lock);
    p = find(a, page);
    if (!p) {
        p = calloc(1, sizeof(*p));
        if (!p) {
            abort(); /* out of memory for a few bytes */
        }
        p->ram = page;
        mutex_init(&p->lock, LOCK_TRANSLATE);
        p->next = a->code_pages[bucket(page)];
        __atomic_store_n(&a->code_pages[bucket(page)], p, __ATOMIC_RELEASE);
    }
    mutex_unlock(&a->lock);
    return p;
}

void code_pages_free(TcgAccel *a)
{
    for (unsigned n = 0; n < CODE_PAGE_BUCKETS; n++) {
        CodePage *p, *next;

        for (p = a->code_pages[n]; p; p = next) {
            next = p->next;
            mutex_finish(&p->lock);
            free(p);
        }
        a->code_pages[n] = NULL;
    }
}

void code_pages_flushed(TcgAccel *a)
{
    for (unsigned n = 0; n < CODE_PAGE_BUCKETS; n++) {
        for (CodePage *p = a->code_pages[n]; p; p = p->next) {
            WITH_MUTEX (&p->lock) {
                if (!atomic_load(&p->readers)) {
                    atomic_store(&p->used, 0);
                }
            }
        }
    }
}

static uint64_t granules(ram_addr ram, uint64_t len)
{
    unsigned first = (ram & 0xfff) >> GRANULE_BITS, last = ((ram + len - 1) & 0xfff) >> GRANULE_BITS;

    return (UINT64_MAX >> (63 - (last - first))) << first;
}

/* Translating ------------------------------------------------------------- */

void code_page_read(CodePage *p, MemoryMap *map)
{
    WITH_MUTEX (&p->lock) {
        atomic_fetch_add(&p->readers, 1);
        memory_dirty_clear(map, DIRTY_CODE, p->ram, 0x1000); /* where it was dirty, code_page_protected is told */
    }
}

enum { TABLE_WRITES = 8, TABLE_RESTS = 1 << 12 };

bool code_page_tables(CodePage *p, MemoryMap *map)
{
    if (!atomic_load(&p->tables)) {
        /* A table that is written all the time is not worth listening to: it is tried again after a while. */
        if (atomic_load(&p->table_writes) >= TABLE_WRITES && atomic_fetch_add(&p->table_writes, 1) < TABLE_RESTS) {
            return false;
        }
        if (atomic_load(&p->table_writes) >= TABLE_WRITES) {
            atomic_store(&p->table_writes, 0);
        }
        WITH_MUTEX (&p->lock) {
            atomic_store(&p->tables, true);
            memory_dirty_clear(map, DIRTY_CODE, p->ram, 0x1000);
        }
    }
    return code_page_settled(p);
}

void code_page_unread(CodePage *p)
{
    atomic_fetch_sub(&p->readers, 1);
}

void code_page_use(CodePage *p, ram_addr from, uint64_t len)
{
    atomic_fetch_or(&p->used, granules(from, len));
}

bool code_page_settled(const CodePage *p)
{
    return atomic_load(&p->unsettled) == 0;
}

/*
 * The page lost a plain write entry in t's TLB. A store of t's that has passed its comparison may still be on its way: t says
 * when that is over.
 */
static void await(TcgVcpu *t, CodePage *p)
{
    SettleItem *item = malloc(sizeof(*item));

    if (!item) {
        abort(); /* out of memory for a few bytes */
    }
    mutex_lock(&t->tlb_lock);
    if (t->inside) {
        atomic_fetch_add(&p->unsettled, 1);
        *item = (SettleItem){ p, t->settle };
        t->settle = item;
        atomic_store(&t->must_settle, true);
        item = NULL;
    }
    mutex_unlock(&t->tlb_lock);
    if (item) {
        free(item);
        return;
    }
    t->accel->settles++;
    tcg_kick_vcpu(t->v);
}

void code_page_protected(TcgAccel *a, ram_addr ram, TcgVcpu *t)
{
    if (t != tcg_current_vcpu()) {
        await(t, find_of(a, ram)); /* its record is there: the caller is code_page_read */
    }
}

void code_settle(TcgVcpu *t, bool inside)
{
    SettleItem *item, *next;

    mutex_lock(&t->tlb_lock);
    t->inside = inside;
    item = t->settle;
    t->settle = NULL;
    atomic_store(&t->must_settle, false);
    mutex_unlock(&t->tlb_lock);
    for (; item; item = next) {
        next = item->next;
        atomic_fetch_sub(&item->page->unsettled, 1);
        free(item);
    }
}

/* Storing ----------------------------------------------------------------- */

/* Whether what t runs was made of these bytes. */
static bool is_own_code(TcgVcpu *t, ram_addr ram, uint64_t len)
{
    const TcgRegion *r = tcg_running_region(t->accel->cache, t->v->state);

    if (r) {
        return tcg_region_overlaps(t->accel->cache, r, ram, ram + len);
    }
    for (unsigned n = 0; n < 2 && t->interpreting; n++) {
        if (t->code[n].ram < ram + len && ram < t->code[n].ram + t->code[n].len) {
            return true;
        }
    }
    return false;
}

void code_before_store(TcgVcpu *t, ram_addr ram, uint64_t len)
{
    CodePage *p = find_of(t->accel, ram);

    if (!p || t->in_one || !(atomic_load(&p->used) & granules(ram, len)) || !is_own_code(t, ram, len)) {
        return;
    }
    t->force_one = true;
    tcg_leave_how(t, LEAVE_ONE_INSN);
}

/* lock held. Nothing is made of the page, and nobody is about to. */
static bool is_unused(TcgAccel *a, CodePage *p)
{
    if (atomic_load(&p->readers)) {
        return false;
    }
    if (atomic_load(&p->used) && !tcg_page_has_code(a->cache, p->ram)) {
        atomic_store(&p->used, 0);
    }
    return !atomic_load(&p->used) && !atomic_load(&p->tables);
}

/* After a full barrier: the store comes before what is looked at here. */
static void invalidate_stored(TcgAccel *a, CodePage *p, ram_addr ram, uint64_t len)
{
    uint32_t readers;

    readers = atomic_fetch_add(&p->readers, 0); /* a write, so that it is before or after a translator's own */
    if (readers || (atomic_load(&p->used) & granules(ram, len))) {
        a->invalidations += tcg_invalidate(a->cache, ram, ram + len);
        WITH_MUTEX (&p->lock) {
            is_unused(a, p);
        }
    }
}

void code_after_mark(TcgAccel *a, ram_addr ram, uint64_t len)
{
    CodePage *p = find_of(a, ram);

    atomic_thread_fence(memory_order_seq_cst);
    if (p) {
        invalidate_stored(a, p, ram, len);
    }
}

bool code_after_store(TcgAccel *a, ram_addr ram, uint64_t len)
{
    CodePage *p;

    a->code_writes++;
    p = find_of(a, ram);
    if (!p) {
        return false;
    }
    invalidate_stored(a, p, ram, len);
    /* Cleared before it is counted: who sees it set has not yet seen the count, and will. */
    if (atomic_load(&p->tables) && atomic_exchange(&p->tables, false)) {
        atomic_fetch_add(&p->table_writes, 1);
        atomic_fetch_add(&a->table_changes, 1);
    }
    return !atomic_load(&p->used) && !atomic_load(&p->tables);
}

void code_page_release(TcgAccel *a, MemoryMap *map, ram_addr ram)
{
    CodePage *p = find_of(a, ram);

    if (!p) {
        return;
    }
    WITH_MUTEX (&p->lock) {
        if (is_unused(a, p)) {
            memory_dirty_mark(map, DIRTY_CODE, p->ram, 0x1000);
        }
    }
}
