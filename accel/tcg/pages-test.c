/* Pages of code: when stores to them must be heard, and who is waited for. What all of it is for: tests/priv/smp32.S. */
#include <glib.h>

#include "accel/tcg/internal.h"

typedef struct {
    uint64_t reg, flags;
    uint8_t spill[TCG_SPILL_SLOTS][64] __attribute__((aligned(64)));
    TcgRuntime rt;
} Cpu;

static const TcgGlobal globals[] = { { "r", offsetof(Cpu, reg), 'i', 0 } };
static const TcgGuest guest = { .name = "none", .globals = globals, .num_globals = 1, .state_size = sizeof(Cpu), .page_bits = 12,
                                .flags_offset = offsetof(Cpu, flags), .spill_offset = offsetof(Cpu, spill),
                                .runtime_offset = offsetof(Cpu, rt) };

enum { SIZE = 0x4000, PAGE = 0x2000 };

typedef struct {
    FairMutex lock;
    MemoryMap *map;
    MemoryRegion ram;
    TcgAccel accel;
    Vcpu v;
    TcgVcpu vcpu;
    ram_addr page;
} Rig;

static Rig *rig_new(void)
{
    TcgConfig config = { .guest = &guest, .check_key = true, .code_size = 1 << 20 };
    Rig *r = g_new0(Rig, 1);

    fair_mutex_init(&r->lock, LOCK_MACHINE);
    fair_mutex_lock(&r->lock);
    r->map = memory_map_new(&r->lock);
    g_assert_true(memory_region_init_ram(&r->ram, r->map, NULL, "ram", SIZE, &error_abort));
    r->page = r->ram.block->start + PAGE;
    mutex_init(&r->accel.lock, LOCK_TRANSLATE);
    r->accel.cache = tcg_cache_new(&config, &error_abort);
    mutex_init(&r->vcpu.tlb_lock, LOCK_LEAF);
    r->vcpu.v = &r->v; /* its accel_data is NULL: a kick does nothing */
    r->vcpu.accel = &r->accel;
    return r;
}

static void rig_free(Rig *r)
{
    code_pages_free(&r->accel);
    tcg_cache_free(r->accel.cache);
    mutex_finish(&r->vcpu.tlb_lock);
    mutex_finish(&r->accel.lock);
    memory_region_finish(&r->ram);
    memory_map_free(r->map);
    fair_mutex_unlock(&r->lock);
    fair_mutex_finish(&r->lock);
    g_free(r);
}

static bool heard(Rig *r)
{
    return memory_dirty_any_clean(r->map, r->page);
}

/* One that makes a region of the bytes at the page's start. */
static bool front_end(IrRegion *ir, const TcgKey *key, TcgBuilt *built, void *opaque)
{
    built->guest_size = 4;
    ir_insn(ir, key->pc, 0);
    ir_leave(ir, 0);
    return true;
}

static void test_heard(void)
{
    Rig *r = rig_new();
    CodePage *p = code_page(&r->accel, r->page);
    TcgContext *ctx = tcg_context_new(r->accel.cache, &error_abort);
    TcgKey key = { .pc = 0x1000, .phys = r->page, .mode = 1 };
    TcgRegion *region;

    g_assert_true(p == code_page(&r->accel, r->page));
    g_assert_false(heard(r));
    code_page_read(p, r->map);
    g_assert_true(heard(r));
    code_page_release(&r->accel, r->map, r->page + 8);
    g_assert_true(heard(r)); /* being read */
    code_page_use(p, r->page, 4);
    g_assert_cmpint(tcg_translate(ctx, &key, front_end, NULL, &region), ==, TCG_TRANSLATED);
    code_page_unread(p);
    g_assert_false(code_after_store(&r->accel, r->page + 64, 8)); /* beside the code */
    code_page_release(&r->accel, r->map, r->page + 64);
    g_assert_true(heard(r));
    g_assert_true(region->valid);
    g_assert_true(code_after_store(&r->accel, r->page + 3, 1));
    g_assert_false(region->valid);
    g_assert_true(heard(r));
    code_page_release(&r->accel, r->map, r->page + 3);
    g_assert_false(heard(r));
    tcg_context_free(ctx);
    rig_free(r);
}

/* A store while the page is read: what is made of it is not kept, whichever of its bytes are code in the end. */
static bool stored_under_way(IrRegion *ir, const TcgKey *key, TcgBuilt *built, void *opaque)
{
    Rig *r = opaque;

    front_end(ir, key, built, NULL);
    g_assert_true(code_after_store(&r->accel, r->page + 2, 1));
    return true;
}

static void test_stored_under_way(void)
{
    Rig *r = rig_new();
    CodePage *p = code_page(&r->accel, r->page);
    TcgContext *ctx = tcg_context_new(r->accel.cache, &error_abort);
    TcgKey key = { .pc = 0x1000, .phys = r->page, .mode = 1 };
    TcgRegion *region;

    code_page_read(p, r->map);
    g_assert_cmpint(tcg_translate(ctx, &key, stored_under_way, r, &region), ==, TCG_TRANSLATED);
    code_page_unread(p);
    g_assert_false(region->valid);
    g_assert_null(tcg_find(r->accel.cache, &key));
    tcg_context_free(ctx);
    rig_free(r);
}

/* Another vCPU's stores may be on their way only while it runs, and only until it is between two instructions. */
static void test_settled(void)
{
    Rig *r = rig_new();
    CodePage *p = code_page(&r->accel, r->page), *q = code_page(&r->accel, r->page + 0x1000);

    code_page_protected(&r->accel, r->page, &r->vcpu);
    g_assert_true(code_page_settled(p)); /* it does not run */
    code_settle(&r->vcpu, true);
    code_page_protected(&r->accel, r->page, &r->vcpu);
    code_page_protected(&r->accel, r->page, &r->vcpu);
    code_page_protected(&r->accel, r->page + 0x1000, &r->vcpu);
    g_assert_true(atomic_load(&r->vcpu.must_settle));
    g_assert_false(code_page_settled(p) || code_page_settled(q));
    code_settle(&r->vcpu, true);
    g_assert_true(code_page_settled(p) && code_page_settled(q));
    g_assert_false(atomic_load(&r->vcpu.must_settle));
    code_page_protected(&r->accel, r->page, &r->vcpu);
    g_assert_false(code_page_settled(p));
    code_settle(&r->vcpu, false); /* it stops */
    g_assert_true(code_page_settled(p));
    code_page_protected(&r->accel, r->page, &r->vcpu);
    g_assert_true(code_page_settled(p));
    rig_free(r);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/accel/tcg/pages/heard", test_heard);
    g_test_add_func("/accel/tcg/pages/stored_under_way", test_stored_under_way);
    g_test_add_func("/accel/tcg/pages/settled", test_settled);
    return g_test_run();
}
