/* The class tcg-accel, and a vCPU's part of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accel/tcg/internal.h"
#include "util/disas.h"

/* Interpreted regions ------------------------------------------------------ */

static bool hit(TcgVcpu *t, vaddr addr, unsigned size, TcgAccess access, unsigned mmu, uint8_t **host)
{
    TcgTlb *tlb = &t->rt->tlb[mmu];
    TcgTlbEntry *e = &tlb->table[(addr >> t->arch->guest->page_bits) & (tlb->mask / sizeof(*e))];

    if (e->tag[access] != ((addr + size - 1) & t->page_mask) || e->tag[access] != (addr & t->page_mask)) {
        return false;
    }
    *host = (uint8_t *)(uintptr_t)(addr + e->addend);
    return true;
}

static bool interp_load(IrInterp *it, uint64_t addr, void *buf, unsigned size, unsigned mmu)
{
    TcgVcpu *t = it->opaque;
    uint8_t *host;

    if (hit(t, addr, size, TCG_READ, mmu, &host)) {
        memcpy(buf, host, size);
    } else {
        access_load(t, addr, buf, size, mmu);
    }
    return true;
}

static bool interp_store(IrInterp *it, uint64_t addr, const void *buf, unsigned size, unsigned mmu)
{
    TcgVcpu *t = it->opaque;
    uint8_t *host;

    if (hit(t, addr, size, TCG_WRITE, mmu, &host)) {
        memcpy(host, buf, size);
    } else {
        access_store(t, addr, buf, size, mmu);
    }
    return true;
}

/* vCPUs ------------------------------------------------------------------------ */

static bool make_cache(TcgAccel *a, const TcgGuest *guest, Error **errp)
{
    TcgConfig config = { .guest = guest, .check_key = true, .code_size = (size_t)a->conf.tb_size << 20 };

    if (!a->cache) {
        a->cache = tcg_cache_new(&config, errp);
    }
    return a->cache != NULL;
}

/* The state lies where translated code wants it, with its poll page. */
static void *tcg_state(Accel *accel, const VcpuArch *arch, Error **errp)
{
    TcgAccel *a = (TcgAccel *)accel;

    if (!arch->tcg) {
        error_set(errp, "accelerator tcg: does not run %s processors", arch->name);
        return NULL;
    }
    return make_cache(a, arch->tcg->guest, errp) ? tcg_state_new(a->cache, errp) : NULL;
}

static void tcg_state_end(Accel *accel, void *state)
{
    tcg_state_free(((TcgAccel *)accel)->cache, state);
}

static bool tcg_vcpu_init(Vcpu *v, Error **errp)
{
    const TcgArch *arch = v->arch->tcg;
    TcgVcpu *t = calloc(1, sizeof(*t));

    if (!t || !ir_region_init(&t->ir, arch->guest)) {
        free(t);
        return error_set(errp, "accelerator tcg: no memory for CPU %u", v->index);
    }
    t->v = v;
    t->accel = (TcgAccel *)v->accel;
    t->arch = arch;
    t->ctx = tcg_context_new(t->accel->cache, errp);
    if (!t->ctx) {
        ir_region_finish(&t->ir);
        free(t);
        return false;
    }
    t->accel->overcommitted = v->accel->num_vcpus > (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
    t->rt = tcg_runtime(t->accel->cache, v->state);
    t->rt->slow_load = access_slow_load;
    t->rt->slow_store = access_slow_store;
    t->rt->lookup = region_lookup;
    t->page_mask = -1ull << arch->guest->page_bits;
    t->it = (IrInterp){ .state = v->state, .opaque = t, .load = interp_load, .store = interp_store };
    tlb_init(t);
    tcg_thread_attach(v->state);
    tcg_set_current(t);
    if (arch->init) {
        arch->init(v);
    }
    __atomic_store_n(&v->accel_data, t, __ATOMIC_RELEASE);
    return true;
}

/* Others may still look at it from tlb_protect: the list of vCPUs is the caller's to shorten first. */
static void tcg_vcpu_finish(Vcpu *v)
{
    TcgVcpu *t = tcg_vcpu(v);

    if (!t) {
        return;
    }
    __atomic_store_n(&v->accel_data, NULL, __ATOMIC_RELEASE);
    tcg_set_current(NULL);
    tlb_finish(t);
    tcg_context_free(t->ctx);
    disas_free(t->disas);
    ir_region_finish(&t->ir);
    ir_interp_finish(&t->it);
    free(t);
}

/* Of all vCPUs. */
static TcgCounts sum_counts(TcgAccel *a)
{
    TcgCounts sum = { 0 };
    uint64_t *to = (uint64_t *)&sum;

    for (unsigned n = 0; n < a->accel.num_vcpus; n++) {
        TcgVcpu *t = __atomic_load_n(&a->accel.vcpus[n]->accel_data, __ATOMIC_ACQUIRE);

        for (size_t i = 0; t && i < sizeof(sum) / sizeof(*to); i++) {
            to[i] += __atomic_load_n((uint64_t *)&t->counts + i, __ATOMIC_RELAXED);
        }
    }
    return sum;
}

static void print_counts(TcgAccel *a, const TcgCounts *s, void (*print)(void *, const char *), void *opaque)
{
    char text[700];

    snprintf(text, sizeof(text),
             "address spaces kept %" PRIu64 "\n"
             "page table changes  %" PRIu32 "\n"
             "TLB fills           %" PRIu64 "\n"
             "page faults         %" PRIu64 "\n"
             "slow loads          %" PRIu64 "\n"
             "slow stores         %" PRIu64 "\n"
             "exceptions          %" PRIu64 "\n"
             "exits not linked    %" PRIu64 "\n"
             "exits not found     %" PRIu64 "\n"
             "exits found again   %" PRIu64 "\n"
             "exits by request    %" PRIu64 "\n"
             "exits for attention %" PRIu64 "\n"
             "exits by faults     %" PRIu64 "\n",
             atomic_load(&a->kept_spaces), atomic_load(&a->table_changes), s->fills, s->faults, s->slow_loads, s->slow_stores, s->delivered, s->exits[TCG_EXIT_LINK],
             s->exits[TCG_EXIT_LOOKUP], s->found_again, s->exits[TCG_EXIT_LEAVE], s->exits[TCG_EXIT_POLL] + s->exits[TCG_EXIT_ICOUNT],
             s->exits[TCG_EXIT_RAISE]);
    print(opaque, text);
}

static void print_jit(Accel *accel, void (*print)(void *, const char *), void *opaque)
{
    TcgAccel *a = (TcgAccel *)accel;
    TcgStats s = { 0 };
    TcgCounts sum;
    char text[900];

    if (a->cache) {
        tcg_stats(a->cache, &s);
    }
    snprintf(text, sizeof(text),
             "Translation buffer state:\n"
             "gen code size       %" PRIu64 "\n"
             "TB count            %" PRIu64 "\n"
             "TB guest bytes      %" PRIu64 "\n"
             "guest instructions  %" PRIu64 "\n"
             "IR operations       %" PRIu64 "\n"
             "links               %" PRIu64 "\n"
             "interpreted runs    %" PRIu64 "\n"
             "front end           %" PRIu64 " us\n"
             "back end            %" PRIu64 " us\n"
             "\nStatistics:\n"
             "TB flush count      %" PRIu64 "\n"
             "TB invalidate count %" PRIu64 "\n"
             "stores to code      %" PRIu64 "\n"
             "TLB full flushes    %" PRIu64 "\n"
             "TLB page flushes    %" PRIu64 "\n",
             s.code_bytes, s.regions, s.guest_bytes, atomic_load(&a->guest_insns), s.ir_ops, s.links,
             atomic_load(&a->interpreted), s.front_ns / 1000, s.emit_ns / 1000, s.flushes, s.invalidated,
             atomic_load(&a->code_writes), atomic_load(&a->flushes), atomic_load(&a->page_flushes));
    print(opaque, text);
    sum = sum_counts(a);
    print_counts(a, &sum, print, opaque);
}

/* The accelerator ------------------------------------------------------------ */

static void map_changed(MemoryListener *l, AddressSpace *as)
{
    TcgAccel *a = (TcgAccel *)((char *)l - offsetof(TcgAccel, listener));

    for (unsigned n = 0; n < a->accel.num_vcpus; n++) {
        vcpu_request(a->accel.vcpus[n], VCPU_REQ_FLUSH);
    }
}

static void device_wrote_code(MemoryListener *l, ram_addr ram, uint64_t len)
{
    TcgAccel *a = (TcgAccel *)((char *)l - offsetof(TcgAccel, listener));

    while (len) {
        uint64_t n = 0x1000 - (ram & 0xfff);

        n = n < len ? n : len;
        if (code_after_store(a, ram, n)) {
            code_page_release(a, a->accel.map, ram);
        }
        ram += n;
        len -= n;
    }
}

static void dirty_cleared(MemoryListener *l, DirtyClient client, ram_addr ram, uint64_t len)
{
    TcgAccel *a = (TcgAccel *)((char *)l - offsetof(TcgAccel, listener));

    for (unsigned n = 0; n < a->accel.num_vcpus; n++) {
        TcgVcpu *t = __atomic_load_n(&a->accel.vcpus[n]->accel_data, __ATOMIC_ACQUIRE);

        if (t && tlb_protect(t, ram, len) && client == DIRTY_CODE) {
            code_page_protected(a, ram, t);
        }
    }
}

static bool tcg_realize(Object *o, Error **errp)
{
    TcgAccel *a = (TcgAccel *)o;
    pthread_rwlockattr_t attr;

    pthread_rwlockattr_init(&attr);
    pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(&a->running, &attr);
    pthread_rwlockattr_destroy(&attr);
    tcg_install_signals();
    mutex_init(&a->lock, LOCK_TRANSLATE);
    mutex_init(&a->turn_lock, LOCK_LEAF);
    cond_init(&a->turn);
    a->listener = (MemoryListener){ .commit = map_changed, .code_written = device_wrote_code,
                                    .dirty_cleared = dirty_cleared };
    if (a->accel.map) {
        memory_listener_add(a->accel.map, &a->listener);
        a->listening = true;
    }
    return true;
}

static void tcg_unrealize(Object *o)
{
    TcgAccel *a = (TcgAccel *)o;

    if (a->listening) {
        memory_listener_del(a->accel.map, &a->listener);
    }
    code_pages_free(a);
    tcg_cache_free(a->cache);
    a->cache = NULL;
    pthread_rwlock_destroy(&a->running);
    cond_finish(&a->turn);
    mutex_finish(&a->turn_lock);
    mutex_finish(&a->lock);
}

static const AccelOps tcg_iface = {
    .state_new = tcg_state,
    .state_free = tcg_state_end,
    .vcpu_init = tcg_vcpu_init,
    .vcpu_finish = tcg_vcpu_finish,
    .run = tcg_run,
    .kick = tcg_kick_vcpu,
    .flush_tlb = tcg_tlb_flush,
    .print_jit = print_jit,
};

const ObjectOps tcg_accel_ops = {
    .size = sizeof(TcgAccel),
    .conf_offset = offsetof(TcgAccel, conf),
    .realize = tcg_realize,
    .unrealize = tcg_unrealize,
    .iface = &tcg_iface,
};
