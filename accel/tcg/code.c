/*
 * Pages that hold translated code, and the regions a vCPU has.
 *
 * A region is good while the pages its bytes came from are still where they were (compared at each look-up) and unwritten (the
 * page's generation). A page that code was read from is "clean" for DIRTY_CODE, so that stores to it come to access_store
 * and those of devices to the memory listener; both end in code_written. What part of a page holds code is kept in pieces of 64
 * bytes, so that data beside code does not throw the code away.
 */
#include <stdlib.h>
#include <string.h>

#include "accel/tcg/internal.h"

enum { GRANULE_BITS = 6 };

static unsigned bucket(ram_addr page)
{
    return (page >> 12) & (CODE_PAGE_BUCKETS - 1);
}

/* The page's record if there is one. Records are only added, and complete when seen. */
CodePage *code_page_find(TcgAccel *a, ram_addr page)
{
    CodePage *p = __atomic_load_n(&a->code_pages[bucket(page)], __ATOMIC_ACQUIRE);

    while (p && p->ram != page) {
        p = p->next;
    }
    return p;
}

static CodePage *code_page(TcgAccel *a, ram_addr page)
{
    CodePage *p = code_page_find(a, page);

    if (p) {
        return p;
    }
    mutex_lock(&a->lock);
    p = code_page_find(a, page);
    if (!p) {
        p = calloc(1, sizeof(*p));
        if (!p) {
            abort(); /* out of memory for a few bytes */
        }
        p->ram = page;
        p->next = a->code_pages[bucket(page)];
        __atomic_store_n(&a->code_pages[bucket(page)], p, __ATOMIC_RELEASE);
    }
    mutex_unlock(&a->lock);
    return p;
}

static uint64_t granules(ram_addr ram, uint64_t len)
{
    unsigned first = (ram & 0xfff) >> GRANULE_BITS, last = ((ram + len - 1) & 0xfff) >> GRANULE_BITS;

    return (UINT64_MAX >> (63 - (last - first))) << first;
}

static bool in_running(const TcgVcpu *t, const CodePage *p)
{
    return t && t->in_code && t->running && (t->running->page[0] == p || t->running->page[1] == p);
}

/*
 * The store that is under way must be seen by the very next instruction (SDM vol. 3, 8.1.3 for the processor that stores): when
 * it hits the region that runs, the instruction is done again alone, in a region that ends after it.
 */
static void leave_running(TcgVcpu *t)
{
    t->force_one = true;
    longjmp(t->env, LEAVE_ONE_INSN);
}

void code_written(TcgAccel *a, TcgVcpu *t, ram_addr ram, uint64_t len)
{
    CodePage *p = code_page_find(a, ram & ~(ram_addr)0xfff);

    a->code_writes++;
    if (!p || !atomic_load(&p->watched)) {
        return;
    }
    /* After a device's write nobody watches the page any more: all of its code goes. */
    if (t && !(atomic_load(&p->used) & granules(ram, len)) && !atomic_load(&p->readers)) {
        return;
    }
    if (in_running(t, p) && t->running->num_insns > 1) {
        leave_running(t);
    }
    atomic_store(&p->watched, false); /* a translator that sets it again reads the bytes after that */
    atomic_store(&p->used, 0);
    atomic_fetch_add(&p->gen, 1);
    a->invalidations++;
}

/* Translation ------------------------------------------------------------- */

/* Makes writes to the page come to code_written before its bytes are read. */
static void watch_page(MemoryMap *map, CodePage *p)
{
    if (atomic_exchange(&p->watched, true)) {
        return;
    }
    memory_dirty_clear(map, DIRTY_CODE, p->ram, 0x1000); /* which tells the TLBs */
}

static void drop_page(TcgVcpu *t, unsigned slot)
{
    if (t->fetched[slot]) {
        atomic_fetch_sub(&t->fetched[slot]->readers, 1);
        t->fetched[slot] = NULL;
    }
}

/* Notes page `slot` of the region under way, whose bytes are about to be read. */
static void note_page(TcgVcpu *t, unsigned slot, const TlbInfo *info)
{
    AddressSpace *as = t->v->as[info->asidx] ? t->v->as[info->asidx] : t->v->as[0];
    MemorySection s;

    t->fetched_phys[slot] = info->phys;
    if (info->ram == RAM_ADDR_INVALID) {
        t->uncached = true;
        return;
    }
    if (t->fetched[slot] && t->fetched[slot]->ram == info->ram) {
        return;
    }
    drop_page(t, slot);
    t->fetched[slot] = code_page(t->accel, info->ram);
    atomic_fetch_add(&t->fetched[slot]->readers, 1);
    t->fetched_gen[slot] = atomic_load(&t->fetched[slot]->gen);
    s = address_space_section(as, info->phys);
    if (s.mr && s.mr->block) {
        watch_page(s.mr->block->map, t->fetched[slot]);
    }
}

static unsigned fetch(void *opaque, vaddr pc, uint8_t *buf, unsigned len)
{
    TcgVcpu *t = opaque;
    unsigned done = 0;

    while (done < len) {
        vaddr a = pc + done, page = a & t->page_mask;
        unsigned room = (unsigned)(page - t->page_mask - a), n = len - done < room ? len - done : room;
        TlbInfo *info;
        TcgTlbEntry *e = tlb_lookup(t, a, TCG_EXEC, t->fetch_mmu, &info);
        TcgTlbEntry copy;

        if (!e) {
            break;
        }
        note_page(t, page != t->fetch_page, info);
        copy = *e;
        if (copy.tag[TCG_EXEC] & TCG_TLB_MMIO) {
            AddressSpace *as = t->v->as[info->asidx] ? t->v->as[info->asidx] : t->v->as[0];

            address_space_read(as, info->phys + (a & ~t->page_mask), (MemTxAttrs){ .from_cpu = true }, buf + done, n);
        } else {
            memcpy(buf + done, (uint8_t *)(uintptr_t)(a + copy.addend), n);
        }
        done += n;
    }
    return done;
}

static void region_free(InterpRegion *r)
{
    if (r) {
        free(r->ir.insns);
        free(r);
    }
}

static InterpRegion *region_new(TcgVcpu *t, const TcgTranslation *tr)
{
    InterpRegion *r = calloc(1, sizeof(*r));
    size_t size = t->ir.num_insns * sizeof(IrInsn);

    if (!r || !(r->ir.insns = malloc(size))) {
        abort(); /* out of memory for one region */
    }
    memcpy(r->ir.insns, t->ir.insns, size);
    r->ir.num_insns = r->ir.max_insns = t->ir.num_insns;
    r->ir.num_blocks = t->ir.num_blocks;
    r->ir.guest = t->ir.guest;
    r->pc = tr->pc;
    r->end = tr->end;
    r->key = tr->key;
    r->num_insns = tr->num_insns;
    return r;
}

/* Which pages r's bytes are from, and that they are code now. */
static void region_pages(TcgVcpu *t, InterpRegion *r)
{
    unsigned pages = ((r->end - 1) & t->page_mask) != (r->pc & t->page_mask) ? 2 : 1;

    for (unsigned n = 0; n < pages && !t->uncached; n++) {
        vaddr page = (r->pc & t->page_mask) + (n ? ~t->page_mask + 1 : 0);
        vaddr from = n ? page : r->pc, to = pages == 2 && n == 0 ? page - t->page_mask : r->end;
        CodePage *p = t->fetched[n];

        r->phys[n] = t->fetched_phys[n];
        r->page[n] = p;
        r->gen[n] = t->fetched_gen[n];
        atomic_fetch_or(&p->used, granules(p->ram + (from & ~t->page_mask), to - from));
    }
}

static void drop_pages(TcgVcpu *t)
{
    drop_page(t, 0);
    drop_page(t, 1);
}

static InterpRegion *translate(TcgVcpu *t, const TcgPoint *at, bool one)
{
    TcgTranslation tr = { .region = &t->ir, .pc = at->pc, .key = at->key, .fetch = fetch, .opaque = t };
    InterpRegion *r;

    tr.max_insns = one || at->one_insn || t->accel->conf.one_insn_per_tb ? 1 : 64;
    t->fetch_mmu = at->fetch_mmu;
    t->fetch_page = at->pc & t->page_mask;
    t->uncached = false;
    ir_region_reset(&t->ir);
    t->arch->translate(t->v, &tr);
    if (tr.num_insns == 0) {
        drop_pages(t);
        t->arch->raise_fault(t->v);
    }
    r = region_new(t, &tr);
    region_pages(t, r);
    drop_pages(t);
    t->accel->regions++;
    t->accel->guest_insns += r->num_insns;
    t->accel->ir_ops += r->ir.num_insns;
    return r;
}

/* Look-up -------------------------------------------------------------------- */

static bool page_still(TcgVcpu *t, const InterpRegion *r, unsigned n, vaddr addr, const TcgPoint *at)
{
    TlbInfo *info;

    if (!r->page[n]) {
        return n == 1;
    }
    if (!tlb_lookup(t, addr, TCG_EXEC, at->fetch_mmu, &info)) {
        t->arch->raise_fault(t->v);
    }
    return info->phys == r->phys[n] && info->ram == r->page[n]->ram && atomic_load(&r->page[n]->gen) == r->gen[n];
}

static bool region_is(TcgVcpu *t, const InterpRegion *r, const TcgPoint *at)
{
    return r && r->pc == at->pc && r->key == at->key && page_still(t, r, 0, at->pc, at) &&
           page_still(t, r, 1, (at->pc & t->page_mask) + (~t->page_mask + 1), at);
}

InterpRegion *region_find(TcgVcpu *t, const TcgPoint *at)
{
    uint64_t h = (at->pc ^ at->key ^ at->key >> 17) * 0x9e3779b97f4a7c15ull;
    InterpRegion **slot = &t->regions[h >> 49 & (REGION_SLOTS - 1)], *r;
    bool one = t->force_one;

    t->force_one = false;
    if (!one && region_is(t, *slot, at)) {
        return *slot;
    }
    r = translate(t, at, one);
    if (t->uncached || one) {
        region_free(t->temporary);
        t->temporary = r;
    } else {
        region_free(*slot);
        *slot = r;
    }
    return r;
}

void regions_free(TcgVcpu *t)
{
    for (unsigned n = 0; n < REGION_SLOTS; n++) {
        region_free(t->regions[n]);
    }
    free(t->regions);
    region_free(t->temporary);
}
