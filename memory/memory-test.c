/* Guest memory against a naive model: random trees, random changes, random accesses; then each promise of memory.h. */
#include <glib.h>
#include <string.h>

#include "memory/memory.h"
#include "util/bits.h"

/* ---- A device whose registers behave like memory ---- */

enum { BYTES = 4096, REGIONS = 18, SPACE = 0x6000 };

typedef struct {
    MemoryOps ops;
    uint8_t bytes[BYTES];
    MemoryRegion *mr;
    unsigned calls;
    unsigned last_size;
    uint64_t last_offset;
} Regs;

static void check_shape(Regs *d, uint64_t offset, unsigned size)
{
    unsigned min = d->ops.impl_min ? d->ops.impl_min : 1, max = d->ops.impl_max ? d->ops.impl_max : 8;

    g_assert_true(size >= min && size <= max && is_pow2(size));
    g_assert_true(d->ops.impl_unaligned || offset % size == 0);
    g_assert_cmpuint(offset + size, <=, BYTES);
    d->calls++;
    d->last_size = size;
    d->last_offset = offset;
}

static uint64_t regs_read(void *dev, uint64_t offset, unsigned size)
{
    Regs *d = dev;
    uint64_t v = 0;

    check_shape(d, offset, size);
    for (unsigned i = 0; i < size; i++) {
        unsigned shift = d->ops.endian == DEVICE_LITTLE_ENDIAN ? i * 8 : (size - 1 - i) * 8;

        v |= (uint64_t)d->bytes[offset + i] << shift;
    }
    return v;
}

static void regs_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    Regs *d = dev;

    check_shape(d, offset, size);
    g_assert_true(size == 8 || value >> size * 8 == 0);
    for (unsigned i = 0; i < size; i++) {
        unsigned shift = d->ops.endian == DEVICE_LITTLE_ENDIAN ? i * 8 : (size - 1 - i) * 8;

        d->bytes[offset + i] = value >> shift;
    }
}

/* ---- The model ---- */

typedef struct {
    MemoryRegion mr;
    MemoryRegionKind kind;
    int container; /* -1: none */
    uint64_t addr, size, target_offset;
    int target, priority;
    unsigned seq; /* of its addition */
    bool enabled, readonly, romd;
    Regs regs;
    uint8_t *model; /* contents that it should have */
} Node;

typedef struct {
    MemoryMap *map;
    AddressSpace *as, *inner_as;
    Node n[REGIONS];
    unsigned seq;
} Tree;

typedef struct {
    int node; /* -1: nothing */
    uint64_t offset;
    bool readonly;
} Hit;

static Hit find(Tree *t, int i, __int128 at, bool readonly)
{
    Node *n = &t->n[i];
    Hit none = {-1}, h;
    bool tried[REGIONS] = {0};

    if (!n->enabled || at < 0 || at >= n->size) {
        return none;
    }
    readonly |= n->readonly;
    if (n->kind == MR_ALIAS) {
        return find(t, n->target, at + n->target_offset, readonly);
    }
    for (;;) { /* children by priority, then the one added last */
        int best = -1;

        for (int c = 0; c < REGIONS; c++) {
            if (t->n[c].container == i && !tried[c] &&
                (best < 0 || t->n[c].priority > t->n[best].priority ||
                 (t->n[c].priority == t->n[best].priority && t->n[c].seq > t->n[best].seq))) {
                best = c;
            }
        }
        if (best < 0) {
            break;
        }
        tried[best] = true;
        h = find(t, best, at - t->n[best].addr, readonly);
        if (h.node >= 0) {
            return h;
        }
    }
    return n->kind == MR_CONTAINER ? none : (Hit){i, (uint64_t)at, readonly};
}

static bool model_direct(const Node *n, bool write, bool readonly)
{
    switch (n->kind) {
    case MR_RAM:
        return !write || !readonly;
    case MR_ROM:
        return !write;
    case MR_ROMD:
        return !write && n->romd;
    default:
        return false;
    }
}

/* Where a byte is kept: romd has two places. NULL: dropped. */
static uint8_t *model_byte(Tree *t, Hit h, bool write)
{
    Node *n = h.node >= 0 ? &t->n[h.node] : NULL;

    if (!n) {
        return NULL;
    }
    if (model_direct(n, write, h.readonly)) {
        return &n->model[h.offset];
    }
    if (n->kind == MR_IO || n->kind == MR_ROMD) {
        return &n->model[h.offset + (n->kind == MR_ROMD ? BYTES : 0)];
    }
    return NULL;
}

static const uint8_t sizes[] = {1, 2, 4, 8};

static MemoryOps random_ops(GRand *r)
{
    unsigned lo = g_rand_int_range(r, 0, 4), hi = g_rand_int_range(r, lo, 4);

    return (MemoryOps){
        .read = regs_read,
        .write = regs_write,
        .valid_unaligned = true,
        .impl_min = sizes[lo],
        .impl_max = sizes[hi],
        .impl_unaligned = g_rand_boolean(r),
        .endian = g_rand_boolean(r) ? DEVICE_BIG_ENDIAN : DEVICE_LITTLE_ENDIAN,
    };
}

static void make_node(Tree *t, GRand *r, int i)
{
    static const MemoryRegionKind kinds[] = {MR_CONTAINER, MR_CONTAINER, MR_IO, MR_IO, MR_RAM, MR_RAM, MR_ROM, MR_ROMD,
                                             MR_ALIAS, MR_ALIAS, MR_ALIAS};
    Node *n = &t->n[i];
    g_autofree char *name = g_strdup_printf("r%d", i);

    n->kind = i == REGIONS - 1 ? MR_CONTAINER : kinds[g_rand_int_range(r, 0, i ? G_N_ELEMENTS(kinds) : 8)];
    n->container = -1;
    n->enabled = true;
    n->romd = true;
    n->regs.ops = random_ops(r);
    n->size = n->kind == MR_CONTAINER ? g_rand_int_range(r, 1, SPACE) : BYTES;
    switch (n->kind) {
    case MR_CONTAINER:
        n->size = i == REGIONS - 1 ? SPACE : n->size;
        memory_region_init(&n->mr, t->map, NULL, name, n->size);
        return;
    case MR_ALIAS:
        n->target = g_rand_int_range(r, 0, i);
        n->target_offset = g_rand_int_range(r, 0, 3) ? g_rand_int_range(r, 0, BYTES) : -g_rand_int_range(r, 0, BYTES);
        n->size = g_rand_int_range(r, 1, SPACE);
        n->target_offset = (int64_t)n->target_offset < 0 ? 0 : n->target_offset;
        memory_region_init_alias(&n->mr, t->map, NULL, name, &t->n[n->target].mr, n->target_offset, n->size);
        return;
    case MR_IO:
        memory_region_init_io(&n->mr, t->map, NULL, &n->regs.ops, &n->regs, name, BYTES);
        break;
    case MR_RAM:
        g_assert_true(memory_region_init_ram(&n->mr, t->map, NULL, name, BYTES, NULL));
        break;
    case MR_ROM:
        n->readonly = true;
        g_assert_true(memory_region_init_rom(&n->mr, t->map, NULL, name, BYTES, NULL));
        break;
    case MR_ROMD:
        g_assert_true(memory_region_init_romd(&n->mr, t->map, NULL, &n->regs.ops, &n->regs, name, BYTES, NULL));
        break;
    }
    n->model = g_malloc0(2 * BYTES);
    for (int b = 0; b < BYTES; b++) {
        if (n->mr.block) {
            memory_region_host(&n->mr)[b] = n->model[b] = g_rand_int(r);
        }
        n->regs.bytes[b] = n->model[b + (n->kind == MR_ROMD ? BYTES : 0)] = n->kind == MR_IO || n->kind == MR_ROMD ? g_rand_int(r) : n->model[b];
    }
}

static void add(Tree *t, GRand *r, int i)
{
    Node *n = &t->n[i];
    int c = g_rand_int_range(r, i + 1, REGIONS);

    if (t->n[c].kind == MR_ALIAS) {
        return;
    }
    n->container = c;
    n->addr = g_rand_int_range(r, 0, SPACE - 1);
    n->priority = g_rand_int_range(r, -2, 3);
    n->seq = ++t->seq;
    memory_region_add(&t->n[c].mr, n->addr, &n->mr, n->priority);
}

static void change(Tree *t, GRand *r)
{
    int i = g_rand_int_range(r, 0, REGIONS - 1);
    Node *n = &t->n[i];

    switch (g_rand_int_range(r, 0, 8)) {
    case 0:
    case 1:
        if (n->container >= 0) {
            memory_region_del(&n->mr);
            n->container = -1;
        }
        add(t, r, i);
        break;
    case 2:
        memory_region_del(&n->mr);
        n->container = -1;
        break;
    case 3:
        n->enabled = !n->enabled;
        memory_region_set_enabled(&n->mr, n->enabled);
        break;
    case 4:
        n->addr = g_rand_int_range(r, 0, SPACE - 1);
        memory_region_set_address(&n->mr, n->addr);
        break;
    case 5:
        if (n->kind == MR_CONTAINER || n->kind == MR_ALIAS) {
            n->size = g_rand_int_range(r, 1, SPACE);
            memory_region_set_size(&n->mr, n->size);
        }
        break;
    case 6:
        if (n->kind == MR_ALIAS) {
            n->target_offset = g_rand_int_range(r, 0, BYTES);
            memory_region_set_alias_offset(&n->mr, n->target_offset);
        }
        break;
    case 7:
        if (n->kind == MR_RAM || n->kind == MR_ALIAS) {
            n->readonly = !n->readonly;
            memory_region_set_readonly(&n->mr, n->readonly);
        } else if (n->kind == MR_ROMD) {
            n->romd = !n->romd;
            memory_region_set_romd(&n->mr, n->romd);
        }
        break;
    }
}

/* What answers is found by walking the tree, in the test as in the flat view. */
static void check_sections(Tree *t, GRand *r)
{
    for (int k = 0; k < 24; k++) {
        uint64_t at = g_rand_int_range(r, 0, SPACE + 64);
        Hit h = find(t, REGIONS - 1, at, false);
        MemorySection s = address_space_section(t->as, at);

        if (h.node < 0) {
            g_assert_null(s.mr);
        } else {
            g_assert_true(s.mr == &t->n[h.node].mr);
            g_assert_cmpuint(s.offset, ==, h.offset);
            g_assert_cmpint(s.host != NULL, ==, model_direct(&t->n[h.node], false, h.readonly));
            g_assert_cmpint(s.readonly, ==, !model_direct(&t->n[h.node], true, h.readonly));
        }
        /* The range ends where something else begins, or where the view has it continue otherwise. */
        for (uint64_t j = 0; j < MIN(s.len, 32); j++) {
            Hit h2 = find(t, REGIONS - 1, at + j, false);

            g_assert_cmpint(h2.node, ==, h.node);
            g_assert_true(h.node < 0 || (h2.offset == h.offset + j && h2.readonly == h.readonly));
        }
    }
}

static void check_write(Tree *t, GRand *r)
{
    uint8_t buf[600];
    uint64_t at = g_rand_int_range(r, 0, SPACE);
    unsigned len = g_rand_int_range(r, 0, 4) ? g_rand_int_range(r, 1, 17) : g_rand_int_range(r, 1, sizeof(buf));
    unsigned size = sizes[g_rand_int_range(r, 0, 4)];
    bool whole = g_rand_boolean(r), big = g_rand_boolean(r);
    uint64_t v = (uint64_t)g_rand_int(r) << 32 | g_rand_int(r);
    uint8_t *p;

    if (whole) {
        len = size;
        for (unsigned i = 0; i < size; i++) {
            buf[i] = v >> (big ? (size - 1 - i) * 8 : i * 8);
        }
        address_space_st(t->as, at, size, big ? DEVICE_BIG_ENDIAN : DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, v);
    } else {
        for (unsigned i = 0; i < len; i++) {
            buf[i] = g_rand_int(r);
        }
        address_space_write(t->as, at, MEMTXATTRS_NONE, buf, len);
    }
    for (unsigned i = 0; i < len; i++) {
        if ((p = model_byte(t, find(t, REGIONS - 1, at + i, false), true))) {
            *p = buf[i];
        }
    }
}

static void check_read(Tree *t, GRand *r)
{
    uint8_t buf[600], want[600];
    uint64_t at = g_rand_int_range(r, 0, SPACE + 16), v;
    unsigned len = g_rand_int_range(r, 0, 4) ? g_rand_int_range(r, 1, 17) : g_rand_int_range(r, 1, sizeof(buf));
    unsigned size = sizes[g_rand_int_range(r, 0, 4)];
    bool whole = g_rand_boolean(r), big = g_rand_boolean(r), holes = false;
    MemTxResult res;

    len = whole ? size : len;
    for (unsigned i = 0; i < len; i++) {
        uint8_t *p = model_byte(t, find(t, REGIONS - 1, at + i, false), false);

        want[i] = p ? *p : 0xff;
        holes |= !p;
    }
    if (whole) {
        res = address_space_ld(t->as, at, size, big ? DEVICE_BIG_ENDIAN : DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &v);
        for (unsigned i = 0; i < size; i++) {
            buf[i] = v >> (big ? (size - 1 - i) * 8 : i * 8);
        }
    } else {
        res = address_space_read(t->as, at, MEMTXATTRS_NONE, buf, len);
    }
    g_assert_cmpmem(buf, len, want, len);
    g_assert_cmpint(res, ==, holes ? MEMTX_DECODE_ERROR : MEMTX_OK);
}

static void check_map(Tree *t, GRand *r)
{
    uint64_t at = g_rand_int_range(r, 0, SPACE), len = g_rand_int_range(r, 1, 700), got = len;
    bool write = g_rand_boolean(r);
    uint8_t *p = address_space_map(t->as, at, &got, write);
    Hit h = find(t, REGIONS - 1, at, false);

    if (h.node < 0 || !model_direct(&t->n[h.node], write, h.readonly)) {
        g_assert_null(p);
        return;
    }
    g_assert_nonnull(p);
    g_assert_cmpuint(got, >, 0);
    g_assert_cmpuint(got, <=, len);
    for (unsigned i = 0; i < got; i++) {
        uint8_t *m = model_byte(t, find(t, REGIONS - 1, at + i, false), write);

        g_assert_cmpuint(p[i], ==, *m);
        if (write) {
            p[i] = *m = p[i] + 1;
        }
    }
    address_space_unmap(t->as, p, got, write, got);
}

static void tree_free(Tree *t)
{
    address_space_free(t->as);
    address_space_free(t->inner_as);
    for (int i = REGIONS - 1; i >= 0; i--) {
        for (int c = 0; c < REGIONS; c++) {
            if (t->n[c].container == i) {
                memory_region_del(&t->n[c].mr);
                t->n[c].container = -1;
            }
        }
        memory_region_finish(&t->n[i].mr);
        g_free(t->n[i].model);
    }
    memory_map_free(t->map);
    g_free(t);
}

static void random_tree(GRand *r)
{
    Tree *t = g_new0(Tree, 1);

    t->map = memory_map_new(NULL);
    for (int i = 0; i < REGIONS; i++) {
        make_node(t, r, i);
    }
    for (int i = 0; i < REGIONS - 1; i++) {
        add(t, r, i);
    }
    t->as = address_space_new(t->map, &t->n[REGIONS - 1].mr, "all");
    t->inner_as = address_space_new(t->map, &t->n[g_rand_int_range(r, 0, REGIONS)].mr, "inner");
    for (int round = 0; round < 12; round++) {
        memory_transaction_begin(t->map);
        for (int k = g_rand_int_range(r, 0, 6); k > 0; k--) {
            change(t, r);
        }
        memory_transaction_commit(t->map);
        check_sections(t, r);
        for (int k = 0; k < 12; k++) {
            check_write(t, r);
            check_read(t, r);
            check_map(t, r);
        }
    }
    tree_free(t);
}

static void test_random(void)
{
    GRand *r = g_rand_new_with_seed(g_test_rand_int());

    for (int i = 0; i < 600; i++) {
        random_tree(r);
    }
    g_rand_free(r);
}

/* ---- Each promise by itself ---- */

typedef struct {
    MemoryMap *map;
    MemoryRegion root;
    AddressSpace *as;
} Env;

static void env_init(Env *e, FairMutex *lock)
{
    e->map = memory_map_new(lock);
    memory_region_init(&e->root, e->map, NULL, "root", 0);
    e->as = address_space_new(e->map, &e->root, "memory");
}

static void env_finish(Env *e)
{
    address_space_free(e->as);
    memory_region_finish(&e->root);
    memory_map_free(e->map);
}

static uint64_t ld(AddressSpace *as, hwaddr at, unsigned size, MemTxResult want)
{
    uint64_t v = 0x1122334455667788;

    g_assert_cmpint(address_space_ld(as, at, size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &v), ==, want);
    return v;
}

/* The last bytes of the address space, and what lies past them. */
static void test_edges(void)
{
    Env e;
    MemoryRegion ram;
    uint8_t buf[8];

    env_init(&e, NULL);
    g_assert_true(memory_region_init_ram(&ram, e.map, NULL, "ram", 4096, NULL));
    memory_region_add(&e.root, 0xfffffffffffff000, &ram, 0);
    memory_region_host(&ram)[4095] = 0x5a;
    g_assert_cmpuint(ld(e.as, UINT64_MAX, 1, MEMTX_OK), ==, 0x5a);
    g_assert_cmpuint(ld(e.as, UINT64_MAX, 4, MEMTX_DECODE_ERROR), ==, 0xffffff5a);
    g_assert_cmpint(address_space_read(e.as, UINT64_MAX - 1, MEMTXATTRS_NONE, buf, 8), ==, MEMTX_DECODE_ERROR);
    g_assert_cmpuint(ld_le(buf, 8), ==, 0xffffffffffff5a00);
    g_assert_cmpint(address_space_fill(e.as, UINT64_MAX - 1, MEMTXATTRS_NONE, 7, 99), ==, MEMTX_DECODE_ERROR);
    g_assert_cmpuint(ld(e.as, UINT64_MAX - 1, 2, MEMTX_OK), ==, 0x0707);
    g_assert_cmpuint(address_space_section(e.as, 0).len, ==, 0xfffffffffffff000);
    memory_region_finish(&ram);
    g_assert_cmpuint(address_space_section(e.as, 0).len, ==, UINT64_MAX);
    g_assert_cmpuint(ld(e.as, 0x1000, 4, MEMTX_DECODE_ERROR), ==, 0xffffffff);
    env_finish(&e);
}

static void test_shapes(void)
{
    Env e;
    MemoryRegion mr;
    Regs d = {.ops = {.read = regs_read, .write = regs_write, .valid_min = 2, .valid_max = 4}};

    env_init(&e, NULL);
    st_le(d.bytes, 8, 0x8877665544332211);
    memory_region_init_io(&mr, e.map, NULL, &d.ops, &d, "d", 16);
    memory_region_add(&e.root, 0x100, &mr, 0);
    g_assert_cmpuint(ld(e.as, 0x100, 1, MEMTX_ACCESS_ERROR), ==, 0xff);
    g_assert_cmpuint(ld(e.as, 0x102, 2, MEMTX_OK), ==, 0x4433);
    g_assert_cmpuint(ld(e.as, 0x101, 2, MEMTX_ACCESS_ERROR), ==, 0xffff);
    g_assert_cmpuint(ld(e.as, 0x102, 4, MEMTX_ACCESS_ERROR), ==, 0xffffffff);
    g_assert_cmpuint(ld(e.as, 0x100, 8, MEMTX_ACCESS_ERROR), ==, UINT64_MAX);
    g_assert_cmpuint(d.calls, ==, 1);
    d.ops.valid_max = 8; /* callbacks of at most 4: an access of 8 becomes two */
    d.ops.impl_max = 4;
    g_assert_cmpuint(ld(e.as, 0x100, 8, MEMTX_OK), ==, 0x8877665544332211);
    g_assert_cmpuint(d.calls, ==, 3);
    d.ops = (MemoryOps){.read = regs_read, .write = regs_write, .valid_max = 4, .impl_min = 4};
    d.calls = 0;
    g_assert_cmpuint(ld(e.as, 0x102, 1, MEMTX_OK), ==, 0x33); /* reads the unit at 0x100 */
    g_assert_cmpuint(d.last_size, ==, 4);
    g_assert_cmpuint(d.last_offset, ==, 0);
    address_space_st(e.as, 0x106, 1, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, 0xee);
    g_assert_cmpuint(ld_le(d.bytes, 8), ==, 0x88ee665544332211);
    g_assert_cmpuint(d.calls, ==, 3);
    memory_region_finish(&mr);
    env_finish(&e);
}

static uint64_t reenter_read(void *dev, uint64_t offset, unsigned size)
{
    uint64_t v = 0;
    MemTxResult r = address_space_ld(dev, 0x200, 4, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &v);

    return r == MEMTX_BUSY && v == 0xffffffff ? 1 : 2;
}

static void no_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
}

static uint64_t busy_read(void *dev, uint64_t offset, unsigned size)
{
    return 42;
}

/* Two regions of one owner: inside one, the other is refused; DMA of the owner reaches neither. */
static void test_reentry(void)
{
    static const MemoryOps outer = {.read = reenter_read, .write = no_write}, inner = {.read = busy_read, .write = no_write};
    Object owner = {0}, other = {0};
    AddressSpace *dma;
    MemoryRegion a, b;
    Env e;

    env_init(&e, NULL);
    memory_region_init_io(&a, e.map, &owner, &outer, e.as, "a", 4);
    memory_region_init_io(&b, e.map, &owner, &inner, NULL, "b", 4);
    memory_region_add(&e.root, 0x100, &a, 0);
    memory_region_add(&e.root, 0x200, &b, 0);
    g_assert_cmpuint(ld(e.as, 0x100, 4, MEMTX_OK), ==, 1);
    g_assert_cmpuint(ld(e.as, 0x200, 4, MEMTX_OK), ==, 42);
    dma = address_space_new(e.map, &e.root, "dma");
    address_space_set_owner(dma, &owner);
    g_assert_cmpuint(ld(dma, 0x200, 4, MEMTX_BUSY), ==, 0xffffffff);
    b.owner = &other; /* another device may be reached from inside the first */
    g_assert_cmpuint(ld(dma, 0x200, 4, MEMTX_OK), ==, 42);
    g_assert_cmpuint(ld(e.as, 0x100, 4, MEMTX_OK), ==, 2);
    address_space_free(dma);
    memory_region_finish(&a);
    memory_region_finish(&b);
    env_finish(&e);
}

static FairMutex test_lock;

static uint64_t locked_read(void *dev, uint64_t offset, unsigned size)
{
    return fair_mutex_is_held(&test_lock);
}

static void test_locks(void)
{
    static const MemoryOps ops = {.read = locked_read, .write = no_write};
    MemoryRegion mr;
    Env e;

    fair_mutex_init(&test_lock, LOCK_MACHINE);
    fair_mutex_lock(&test_lock);
    env_init(&e, &test_lock);
    memory_region_init_io(&mr, e.map, NULL, &ops, NULL, "mr", 4);
    memory_region_add(&e.root, 0, &mr, 0);
    g_assert_cmpuint(ld(e.as, 0, 4, MEMTX_OK), ==, 1); /* held already */
    fair_mutex_unlock(&test_lock);
    g_assert_cmpuint(ld(e.as, 0, 4, MEMTX_OK), ==, 1);
    g_assert_false(fair_mutex_is_held(&test_lock));
    fair_mutex_lock(&test_lock);
    memory_region_finish(&mr);
    env_finish(&e);
    fair_mutex_unlock(&test_lock);
    fair_mutex_finish(&test_lock);
}

typedef struct {
    MemoryListener l;
    MemoryMap *map;
    unsigned commits, cleared;
    ram_addr code;
    uint64_t code_len;
} Ear;

static void ear_commit(MemoryListener *l, AddressSpace *as)
{
    ((Ear *)l)->commits++;
}

static void ear_code(MemoryListener *l, ram_addr ram, uint64_t len)
{
    Ear *e = (Ear *)l;

    e->code = ram;
    e->code_len = len;
    memory_dirty_mark(e->map, DIRTY_CODE, ram, len);
}

static void ear_cleared(MemoryListener *l, DirtyClient c, ram_addr ram, uint64_t len)
{
    ((Ear *)l)->cleared++;
}

static void test_dirty(void)
{
    Ear ear = {.l = {ear_commit, ear_code, ear_cleared}};
    MemoryRegion ram;
    ram_addr base;
    uint64_t len = 8192;
    uint8_t *p;
    Env e;

    env_init(&e, NULL);
    ear.map = e.map;
    memory_listener_add(e.map, &ear.l);
    g_assert_true(memory_region_init_ram(&ram, e.map, NULL, "ram", 1 << 20, NULL));
    memory_region_add(&e.root, 0, &ram, 0);
    g_assert_cmpuint(ear.commits, ==, 1);
    memory_region_set_enabled(&ram, true); /* no change, no word */
    g_assert_cmpuint(ear.commits, ==, 1);
    base = ram.block->start;
    g_assert_true(memory_dirty_test(e.map, DIRTY_VGA, base));
    memory_dirty_log(e.map, DIRTY_VGA, &ram, true);
    g_assert_true(memory_dirty_test_clear(e.map, DIRTY_VGA, base, 1 << 20));
    g_assert_false(memory_dirty_test_clear(e.map, DIRTY_VGA, base, 1 << 20));
    g_assert_cmpuint(ear.cleared, ==, 1);
    g_assert_true(memory_dirty_any_clean(e.map, base + 0x5000));
    address_space_fill(e.as, 0x4fff, MEMTXATTRS_NONE, 1, 2); /* two pages */
    g_assert_false(memory_dirty_test(e.map, DIRTY_VGA, base + 0x3000));
    g_assert_true(memory_dirty_test(e.map, DIRTY_VGA, base + 0x4000));
    g_assert_true(memory_dirty_test(e.map, DIRTY_VGA, base + 0x5abc));
    g_assert_false(memory_dirty_test(e.map, DIRTY_VGA, base + 0x6000));
    memory_dirty_clear(e.map, DIRTY_CODE, base + 0x9000, 1);
    p = address_space_map(e.as, 0x8000, &len, true);
    address_space_unmap(e.as, p, len, true, 0x1000);
    g_assert_cmpuint(ear.code_len, ==, 0); /* only the first page was written */
    g_assert_true(memory_dirty_test(e.map, DIRTY_VGA, base + 0x8000));
    g_assert_false(memory_dirty_test(e.map, DIRTY_VGA, base + 0x9000));
    address_space_st(e.as, 0x9ff8, 8, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, 3);
    g_assert_cmpuint(ear.code, ==, base + 0x9ff8);
    g_assert_cmpuint(ear.code_len, ==, 8);
    memory_dirty_log(e.map, DIRTY_VGA, &ram, false);
    g_assert_false(memory_dirty_any_clean(e.map, base + 0x20000));
    memory_listener_del(e.map, &ear.l);
    memory_region_finish(&ram);
    env_finish(&e);
}

static void test_blocks(void)
{
    Env e;
    MemoryRegion a, b, c;
    Error *err = NULL;
    uint64_t len = 16, offset;
    uint8_t *p;

    env_init(&e, NULL);
    g_assert_true(memory_region_init_ram(&a, e.map, NULL, "a", 3 << 20, NULL));
    g_assert_true(memory_region_init_ram(&b, e.map, NULL, "b", 4096, NULL));
    g_assert_false(memory_region_init_ram(&c, e.map, NULL, "a", 4096, &err));
    g_assert_cmpstr(error_message(err), ==, "RAM block 'a' exists already");
    error_free(err);
    g_assert_true(ram_block_at(e.map, b.block->start + 5, &offset) == b.block && offset == 5);
    memory_region_add(&e.root, 0, &a, 0);
    p = address_space_map(e.as, 100, &len, true);
    memory_region_finish(&a); /* the mapping holds the memory, not the name */
    g_assert_null(ram_block_find(e.map, "a"));
    rcu_flush();
    memset(p, 1, len);
    g_assert_true(memory_region_init_ram(&a, e.map, NULL, "a", 1 << 20, NULL));
    g_assert_cmpuint(a.block->start, >=, b.block->start + b.block->size);
    address_space_unmap(e.as, p, len, true, len);
    memory_region_finish(&a);
    memory_region_finish(&b);
    env_finish(&e);
}

static void test_rom(void)
{
    Env e;
    MemoryRegion rom;

    env_init(&e, NULL);
    g_assert_true(memory_region_init_rom(&rom, e.map, NULL, "rom", 4096, NULL));
    memory_region_add(&e.root, 0, &rom, 0);
    g_assert_cmpint(address_space_st(e.as, 0, 4, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, 5), ==, MEMTX_ACCESS_ERROR);
    g_assert_cmpuint(ld(e.as, 0, 4, MEMTX_OK), ==, 0);
    g_assert_cmpint(address_space_write_rom(e.as, 4094, "abcd", 4), ==, MEMTX_DECODE_ERROR);
    g_assert_cmpint(address_space_write_rom(e.as, 0, "abcd", 4), ==, MEMTX_OK);
    g_assert_cmpuint(ld(e.as, 0, 4, MEMTX_OK), ==, 0x64636261);
    g_assert_cmpuint(ld(e.as, 4094, 2, MEMTX_OK), ==, 0x6261);
    memory_region_finish(&rom);
    env_finish(&e);
}

static void collect(void *opaque, const char *text)
{
    g_string_append(opaque, text);
}

/* As QEMU 10.0.2's monitor prints such trees. */
static void test_print(void)
{
    Env e;
    MemoryRegion ram, low, pci, rom;
    AddressSpace *other;
    g_autoptr(GString) text = g_string_new("");

    env_init(&e, NULL);
    other = address_space_new(e.map, &e.root, "cpu-memory-0");
    g_assert_true(memory_region_init_ram(&ram, e.map, NULL, "pc.ram", 0x8000000, NULL));
    g_assert_true(memory_region_init_rom(&rom, e.map, NULL, "pc.bios", 0x40000, NULL));
    memory_region_init_alias(&low, e.map, NULL, "ram-below-4g", &ram, 0, 0x8000000);
    memory_region_init(&pci, e.map, NULL, "pci", 0);
    memory_region_add(&e.root, 0, &low, 0);
    memory_region_add(&e.root, 0, &pci, -1);
    memory_region_add(&pci, 0xfffc0000, &rom, 0);
    memory_print_tree(e.map, false, false, false, collect, text);
    g_assert_cmpstr(text->str, ==,
                    "address-space: memory\n"
                    "address-space: cpu-memory-0\n"
                    "  0000000000000000-ffffffffffffffff (prio 0, i/o): root\n"
                    "    0000000000000000-0000000007ffffff (prio 0, ram): alias ram-below-4g @pc.ram "
                    "0000000000000000-0000000007ffffff\n"
                    "    0000000000000000-ffffffffffffffff (prio -1, i/o): pci\n"
                    "      00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\n"
                    "\n"
                    "memory-region: pc.ram\n"
                    "  0000000000000000-0000000007ffffff (prio 0, ram): pc.ram\n"
                    "\n");
    g_string_truncate(text, 0);
    memory_print_tree(e.map, true, false, false, collect, text);
    g_assert_cmpstr(text->str, ==,
                    "FlatView #0\n"
                    " AS \"memory\", root: root\n"
                    " AS \"cpu-memory-0\", root: root\n"
                    " Root memory region: root\n"
                    "  0000000000000000-0000000007ffffff (prio 0, ram): pc.ram\n"
                    "  00000000fffc0000-00000000ffffffff (prio 0, rom): pc.bios\n"
                    "\n");
    address_space_free(other);
    memory_region_finish(&low);
    memory_region_finish(&rom);
    memory_region_finish(&pci);
    memory_region_finish(&ram);
    env_finish(&e);
}

/* Freed in the middle of a transaction, a region is in no view any more. */
static void test_finish_in_transaction(void)
{
    Env e;
    MemoryRegion ram;

    env_init(&e, NULL);
    memory_transaction_begin(e.map);
    g_assert_true(memory_region_init_ram(&ram, e.map, NULL, "ram", 4096, NULL));
    memory_region_add(&e.root, 0, &ram, 0);
    g_assert_null(address_space_section(e.as, 0).mr);
    memory_transaction_commit(e.map);
    g_assert_true(address_space_section(e.as, 0).mr == &ram);
    memory_transaction_begin(e.map);
    memory_region_finish(&ram);
    g_assert_null(address_space_section(e.as, 0).mr);
    memory_transaction_commit(e.map);
    env_finish(&e);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    rcu_thread_register();
    g_test_add_func("/memory/random", test_random);
    g_test_add_func("/memory/edges", test_edges);
    g_test_add_func("/memory/shapes", test_shapes);
    g_test_add_func("/memory/reentry", test_reentry);
    g_test_add_func("/memory/locks", test_locks);
    g_test_add_func("/memory/dirty", test_dirty);
    g_test_add_func("/memory/blocks", test_blocks);
    g_test_add_func("/memory/rom", test_rom);
    g_test_add_func("/memory/print", test_print);
    g_test_add_func("/memory/finish-in-transaction", test_finish_in_transaction);
    return g_test_run();
}
