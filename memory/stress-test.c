/*
 * Readers of all kinds against a writer that changes the tree: for the thread and address sanitizers, and to see
 * that every answer is one that some state of the tree gives.
 */
#include <glib.h>
#include <string.h>

#include "memory/memory.h"

enum { READERS = 3, ROUNDS = 1500, PAGES = 8 };

typedef struct {
    FairMutex lock;
    MemoryMap *map;
    MemoryRegion root;
    AddressSpace *as;
    bool stop; /* atomic */
    unsigned next_reader; /* atomic */
} Stress;

/* A device that is freed and made again; its registers say what they are. */
typedef struct {
    MemoryRegion mr;
    uint64_t magic;
} Plugged;

static uint64_t plugged_read(void *dev, uint64_t offset, unsigned size)
{
    Plugged *p = dev;

    g_assert_cmpuint(p->magic, ==, 0xabcdef);
    return 0xd0;
}

static void plugged_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    g_assert_cmpuint(((Plugged *)dev)->magic, ==, 0xabcdef);
}

static const MemoryOps plugged_ops = {.read = plugged_read, .write = plugged_write};

static void reader(void *opaque)
{
    Stress *s = opaque;
    unsigned mine = __atomic_fetch_add(&s->next_reader, 1, __ATOMIC_RELAXED);
    uint64_t n = 0;

    while (!__atomic_load_n(&s->stop, __ATOMIC_RELAXED)) {
        hwaddr page = (n++ * 7 % PAGES) * 4096;
        uint64_t v, len = 64;
        uint8_t b, *here;
        void *p;

        address_space_ld(s->as, page, 1, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &v);
        g_assert_true(v == 0xd0 || v == 0x11 || v == 0xff);
        address_space_read(s->as, page, MEMTXATTRS_NONE, &b, 1);
        g_assert_true(b == 0xd0 || b == 0x11 || b == 0xff);
        p = address_space_map(s->as, page + 2048, &len, true);
        if (p) {
            address_space_unmap(s->as, p, len, true, 0);
        }
        rcu_enter();
        here = address_space_section(s->as, page).host; /* asked once: the next view may have nothing there */
        if (here) {
            v = *here == 0x11;
        }
        rcu_leave();
        address_space_st(s->as, page + 64 * (mine + 1), 4, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, n);
    }
}

static void plug_ram(Stress *s, hwaddr at, unsigned n)
{
    MemoryRegion *mr = g_new0(MemoryRegion, 1);
    g_autofree char *id = g_strdup_printf("ram%u", n);

    g_assert_true(memory_region_init_ram(mr, s->map, NULL, id, 4096, NULL));
    __atomic_store_n(memory_region_host(mr), 0x11, __ATOMIC_RELAXED);
    memory_region_add(&s->root, at, mr, 0);
    fair_mutex_unlock(&s->lock);
    fair_mutex_lock(&s->lock);
    memory_region_finish(mr);
    g_free(mr);
}

static void plug_io(Stress *s, hwaddr at)
{
    Plugged *p = g_new0(Plugged, 1);

    p->magic = 0xabcdef;
    memory_region_init_io(&p->mr, s->map, NULL, &plugged_ops, p, "plugged", 4096);
    memory_region_add(&s->root, at, &p->mr, 1);
    fair_mutex_unlock(&s->lock);
    fair_mutex_lock(&s->lock);
    memory_region_finish(&p->mr);
    p->magic = 0;
    g_free(p);
}

static void test_stress(void)
{
    Stress s = {0};
    Thread t[READERS];

    fair_mutex_init(&s.lock, LOCK_MACHINE);
    fair_mutex_lock(&s.lock);
    s.map = memory_map_new(&s.lock);
    memory_region_init(&s.root, s.map, NULL, "root", 0);
    s.as = address_space_new(s.map, &s.root, "memory");
    for (int i = 0; i < READERS; i++) {
        g_assert_true(thread_start(&t[i], "reader", reader, &s, NULL));
    }
    for (unsigned n = 0; n < ROUNDS; n++) {
        plug_ram(&s, n % PAGES * 4096, n);
        plug_io(&s, (n + 3) % PAGES * 4096);
    }
    fair_mutex_unlock(&s.lock);
    __atomic_store_n(&s.stop, true, __ATOMIC_RELAXED);
    for (int i = 0; i < READERS; i++) {
        thread_join(&t[i]);
    }
    fair_mutex_lock(&s.lock);
    address_space_free(s.as);
    memory_region_finish(&s.root);
    rcu_flush();
    memory_map_free(s.map);
    fair_mutex_unlock(&s.lock);
    fair_mutex_finish(&s.lock);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    rcu_thread_register();
    g_test_add_func("/memory/stress", test_stress);
    return g_test_run();
}
