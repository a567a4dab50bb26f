/*
 * Finding regions, and translating what is not there: see accel/tcg/tcg.h.
 *
 * A region is found by the RAM it was made from, its address and its mode. Stores to that RAM: pages.c.
 *
 * What is found by address alone (links across exits, indirect exits, returns) is right as long as the address space and the mode
 * stay: links are made inside a page and a mode only, the rest is forgotten when the TLB is flushed or the mode changes.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "accel/tcg/internal.h"
#include "util/log.h"

static void drop_page(TcgVcpu *t, unsigned slot)
{
    if (t->fetched[slot]) {
        code_page_unread(t->fetched[slot]);
        t->fetched[slot] = NULL;
    }
}

static void drop_pages(TcgVcpu *t)
{
    drop_page(t, 0);
    drop_page(t, 1);
}

/* Another thread must do something first, and may need this host CPU for it. */
static _Noreturn void try_again(TcgVcpu *t)
{
    drop_pages(t);
    sched_yield();
    tcg_leave_how(t, LEAVE_AGAIN);
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
    s = address_space_section(as, info->phys);
    if (!s.mr || !s.mr->block) {
        try_again(t); /* the map has changed since the TLB was filled: a flush is on its way */
    }
    t->fetched[slot] = code_page(t->accel, info->ram);
    code_page_read(t->fetched[slot], s.mr->block->map);
    if (!code_page_settled(t->fetched[slot])) {
        try_again(t);
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

/* Says which bytes of their pages are code. */
static void mark_used(TcgVcpu *t, vaddr pc, vaddr end)
{
    unsigned pages = ((end - 1) & t->page_mask) != (pc & t->page_mask) ? 2 : 1;

    for (unsigned n = 0; n < pages && !t->uncached; n++) {
        vaddr page = (pc & t->page_mask) + (n ? ~t->page_mask + 1 : 0);
        vaddr from = n ? page : pc, to = pages == 2 && n == 0 ? page - t->page_mask : end;
        CodePage *p = t->fetched[n];

        t->code[n].ram = p->ram + (from & ~t->page_mask);
        t->code[n].len = to - from;
        code_page_use(p, t->code[n].ram, to - from);
    }
}

static bool front_end(IrRegion *r, const TcgKey *key, TcgBuilt *built, void *opaque)
{
    TcgVcpu *t = opaque;

    drop_pages(t);
    memset(t->code, 0, sizeof(t->code));
    t->uncached = false;
    t->tr.region = r;
    t->arch->translate(t->v, &t->tr);
    if (t->tr.num_insns == 0) {
        return false;
    }
    /* 32-bit code may end at 4 GiB, which is 0 there: its size is right all the same. */
    built->guest_size = (uint32_t)(t->tr.end - t->tr.pc);
    t->tr.end = t->tr.pc + built->guest_size;
    mark_used(t, t->tr.pc, t->tr.end);
    if (!t->uncached && ((t->tr.end - 1) & t->page_mask) != (t->tr.pc & t->page_mask)) {
        built->page2 = t->fetched[1]->ram;
    }
    t->accel->guest_insns += t->tr.num_insns;
    if (log_enabled(LOG_IN_ASM) && r != &t->ir) { /* the second time it is for the interpreter */
        log_guest_code(t);
    }
    return true;
}

/* Throws all translations, and the numbers of modes, away while no vCPU runs any. The loop begins anew: modes have other numbers. */
static _Noreturn void flush_all(TcgVcpu *t)
{
    TcgAccel *a = t->accel;
    uint32_t seen = atomic_load(&a->generation);

    drop_pages(t);
    atomic_fetch_add(&a->flush_wanted, 1);
    for (unsigned n = 0; n < a->accel.num_vcpus; n++) {
        tcg_kick_vcpu(a->accel.vcpus[n]);
    }
    pthread_rwlock_unlock(&a->running);
    pthread_rwlock_wrlock(&a->running);
    if (atomic_load(&a->generation) == seen) { /* else another vCPU has just done it */
        memset(a->modes, 0, sizeof(a->modes));
        a->num_modes = 0;
        tcg_flush(a->cache);
        code_pages_flushed(a);
        atomic_store(&a->generation, seen + 1);
    }
    atomic_fetch_sub(&a->flush_wanted, 1);
    pthread_rwlock_unlock(&a->running);
    pthread_rwlock_rdlock(&a->running);
    t->slot = NULL;
    tcg_leave_how(t, LEAVE_AGAIN);
}

/* NULL: refused by the emitter; t->ir has the region then. */
static TcgRegion *translate(TcgVcpu *t, const TcgKey *key)
{
    TcgRegion *r = NULL;
    TcgTranslated got = tcg_translate(t->ctx, key, front_end, t, &r);
    TcgBuilt built;

    if (got == TCG_FULL) {
        flush_all(t);
    }
    if (got == TCG_REFUSED) {
        ir_region_reset(&t->ir);
        got = front_end(&t->ir, key, &built, t) ? TCG_REFUSED : TCG_NOTHING;
        r = NULL;
    }
    drop_pages(t);
    if (got == TCG_NOTHING) {
        t->arch->raise_fault(t->v);
    }
    return r;
}

/* Look-up -------------------------------------------------------------------- */

static uint32_t mode_slot(uint64_t key, bool one)
{
    return ((key ^ key >> 29 ^ one) * 0x9e3779b97f4a7c15ull >> 40) & (MODES - 1);
}

/* The number of a mode. There is always room: when half is used, all translations and numbers go. */
static uint32_t mode_id(TcgVcpu *t, uint64_t key, bool one)
{
    TcgAccel *a = t->accel;
    uint32_t n = mode_slot(key, one), id;

    while ((id = atomic_load(&a->modes[n].id))) {
        if (a->modes[n].key == key && a->modes[n].one == one) {
            return id;
        }
        n = (n + 1) & (MODES - 1);
    }
    mutex_lock(&a->lock);
    for (n = mode_slot(key, one); (id = atomic_load(&a->modes[n].id)); n = (n + 1) & (MODES - 1)) {
        if (a->modes[n].key == key && a->modes[n].one == one) {
            break;
        }
    }
    if (!id) {
        a->modes[n].key = key;
        a->modes[n].one = one;
        id = atomic_fetch_add(&a->num_modes, 1) + 1;
        atomic_store(&a->modes[n].id, id);
    }
    mutex_unlock(&a->lock);
    return id;
}

enum { NO_MODE = 0 }; /* no region has it */

bool tcg_set_mode(Vcpu *v, uint64_t key, uint8_t fetch_mmu)
{
    TcgVcpu *t = tcg_vcpu(v);
    uint32_t before = t->rt->key;

    if (key != t->last_key) {
        tcg_forget_returns(t->accel->cache, v->state);
        t->last_key = key;
    }
    t->run_mmu = fetch_mmu;
    t->in_one = false; /* the instruction that was to run alone is done */
    t->rt->key = mode_id(t, key, t->accel->conf.one_insn_per_tb);
    return t->rt->key != before;
}

void tcg_stop_at_exit(Vcpu *v)
{
    tcg_vcpu(v)->rt->key = NO_MODE;
}

/* Whether the second page that r was made from is still the one behind its address. */
static bool second_page_same(TcgVcpu *t, const TcgRegion *r, const TcgPoint *at)
{
    TlbInfo *info;

    if (r->page[1] == TCG_NO_PAGE) {
        return true;
    }
    if (!tlb_lookup(t, (at->pc & t->page_mask) + (~t->page_mask + 1), TCG_EXEC, at->fetch_mmu, &info)) {
        t->arch->raise_fault(t->v);
    }
    return info->ram >> t->arch->guest->page_bits == r->page[1];
}

TcgRegion *region_find(TcgVcpu *t, const TcgPoint *at)
{
    bool one = t->force_one || at->one_insn || t->accel->conf.one_insn_per_tb;
    TcgKey key = { .pc = at->pc };
    TcgRegion *r;
    TlbInfo *info;

    t->in_one = t->force_one;
    t->force_one = false;
    if (atomic_load(&t->accel->num_modes) >= MODES / 2) {
        flush_all(t);
    }
    key.mode = mode_id(t, at->key, one);
    if (!tlb_lookup(t, at->pc, TCG_EXEC, at->fetch_mmu, &info)) {
        t->arch->raise_fault(t->v);
    }
    t->found_global = info->global;
    if (info->ram == RAM_ADDR_INVALID) {
        key.phys = (1ull << 62) + ((uint64_t)atomic_fetch_add(&t->accel->uncached, 1) << 12); /* never found again */
    } else {
        key.phys = info->ram | (at->pc & ~t->page_mask);
        r = tcg_find(t->accel->cache, &key);
        if (r && second_page_same(t, r, at)) {
            return r;
        }
        if (r) {
            tcg_invalidate(t->accel->cache, key.phys, key.phys + 1);
        }
    }
    t->tr = (TcgTranslation){ .pc = at->pc, .key = at->key, .max_insns = one ? 1 : 64, .fetch = fetch, .opaque = t };
    t->fetch_mmu = at->fetch_mmu;
    t->fetch_page = at->pc & t->page_mask;
    return translate(t, &key);
}

/* The page of RAM behind an address of code, and whether it is global; RAM_ADDR_INVALID: none, or it faults. */
static ram_addr code_ram(TcgVcpu *t, vaddr pc, bool *global)
{
    TlbInfo *info;

    if (!tlb_lookup(t, pc, TCG_EXEC, t->run_mmu, &info)) {
        return RAM_ADDR_INVALID;
    }
    *global = info->global;
    return info->ram;
}

/*
 * Indirect exits come here after the table was emptied (another address space, most of which is the same as before) or when two
 * regions share an entry of it. What cannot be answered in a few steps is the loop's.
 */
const uint8_t *region_lookup(void *state, uint64_t pc)
{
    TcgVcpu *t = tcg_current_vcpu();
    TcgCache *cache = t->accel->cache;
    TcgRegion *r = tcg_kept(state, cache, pc);
    TcgKey key = { .pc = pc, .mode = t->rt->key };
    ram_addr page;
    bool global;

    if (t->in_one || key.mode == NO_MODE || log_enabled(LOG_NOCHAIN) || (page = code_ram(t, pc, &global)) == RAM_ADDR_INVALID) {
        return NULL;
    }
    key.phys = page | (pc & ~t->page_mask);
    if (!r || r->key.pc != pc || r->key.mode != key.mode || r->key.phys != key.phys) {
        r = tcg_find(cache, &key);
    }
    if (!r || r->page[1] != TCG_NO_PAGE) {
        return NULL;
    }
    tcg_count(&t->counts.found_again);
    tcg_remember(state, cache, r, global);
    return r->entry;
}

void region_connect(TcgVcpu *t, TcgRegion *r, const TcgPoint *at)
{
    TcgSlot *slot = t->slot;

    t->slot = NULL;
    if (at->one_insn || t->in_one || r->page[1] != TCG_NO_PAGE || r->key.phys >> 62 || log_enabled(LOG_NOCHAIN)) {
        return;
    }
    /* Inside a page the address of the target is the source's: a link holds as long as the source is entered rightly. */
    if (slot) {
        const TcgRegion *from = tcg_slot_region(slot);

        if (((from->key.pc ^ r->key.pc) & t->page_mask) == 0 && from->key.mode == r->key.mode) {
            tcg_link(t->accel->cache, slot, r);
        } else {
            tcg_link_through(t->accel->cache, slot);
        }
    }
    tcg_remember(t->v->state, t->accel->cache, r, t->found_global);
}

void regions_forget(TcgVcpu *t)
{
    tcg_forget(t->accel->cache, t->v->state);
    t->slot = NULL;
}

void regions_forget_space(TcgVcpu *t)
{
    tcg_forget_space(t->accel->cache, t->v->state);
    t->slot = NULL;
}
