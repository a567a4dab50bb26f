/* The class tcg-accel, and a vCPU's part of it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "accel/tcg/internal.h"

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

static bool tcg_vcpu_init(Vcpu *v, Error **errp)
{
    const TcgArch *arch = v->arch->tcg;
    TcgVcpu *t;

    if (!arch) {
        return error_set(errp, "accelerator tcg: does not run %s processors", v->arch->name);
    }
    t = calloc(1, sizeof(*t));
    if (!t || !(t->regions = calloc(REGION_SLOTS, sizeof(*t->regions))) || !ir_region_init(&t->ir, arch->guest)) {
        free(t ? t->regions : NULL);
        free(t);
        return error_set(errp, "accelerator tcg: no memory for CPU %u", v->index);
    }
    t->v = v;
    t->accel = (TcgAccel *)v->accel;
    t->arch = arch;
    t->rt = (TcgRuntime *)((char *)v->state + arch->guest->runtime_offset);
    t->rt->self = v->state;
    t->page_mask = -1ull << arch->guest->page_bits;
    t->it = (IrInterp){ .state = v->state, .opaque = t, .load = interp_load, .store = interp_store };
    tlb_init(t);
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
    tlb_finish(t);
    regions_free(t);
    ir_region_finish(&t->ir);
    ir_interp_finish(&t->it);
    free(t);
}

static void print_jit(Accel *accel, void (*print)(void *, const char *), void *opaque)
{
    TcgAccel *a = (TcgAccel *)accel;
    char text[600];

    snprintf(text, sizeof(text),
             "Translation buffer state:\n"
             "TB count            %" PRIu64 "\n"
             "guest instructions  %" PRIu64 "\n"
             "IR operations       %" PRIu64 "\n"
             "\nStatistics:\n"
             "TB invalidate count %" PRIu64 "\n"
             "stores to code      %" PRIu64 "\n"
             "TLB full flushes    %" PRIu64 "\n"
             "TLB page flushes    %" PRIu64 "\n",
             atomic_load(&a->regions), atomic_load(&a->guest_insns), atomic_load(&a->ir_ops),
             atomic_load(&a->invalidations), atomic_load(&a->code_writes), atomic_load(&a->flushes),
             atomic_load(&a->page_flushes));
    print(opaque, text);
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
        code_written(a, NULL, ram, n);
        ram += n;
        len -= n;
    }
}

static void dirty_cleared(MemoryListener *l, DirtyClient client, ram_addr ram, uint64_t len)
{
    TcgAccel *a = (TcgAccel *)((char *)l - offsetof(TcgAccel, listener));

    for (unsigned n = 0; n < a->accel.num_vcpus; n++) {
        TcgVcpu *t = __atomic_load_n(&a->accel.vcpus[n]->accel_data, __ATOMIC_ACQUIRE);

        if (t) {
            tlb_protect(t, ram, len);
        }
    }
}

static bool tcg_realize(Object *o, Error **errp)
{
    TcgAccel *a = (TcgAccel *)o;

    mutex_init(&a->lock, LOCK_TRANSLATE);
    fair_mutex_init(&a->turn, LOCK_UNORDERED);
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
    for (unsigned n = 0; n < CODE_PAGE_BUCKETS; n++) {
        CodePage *p, *next;

        for (p = a->code_pages[n]; p; p = next) {
            next = p->next;
            free(p);
        }
        a->code_pages[n] = NULL;
    }
    fair_mutex_finish(&a->turn);
    mutex_finish(&a->lock);
}

static const AccelOps tcg_iface = {
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
