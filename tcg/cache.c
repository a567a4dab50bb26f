/*
 * The cache of regions: code buffer, look-up, links, invalidation. See tcg/runtime.h.
 *
 * The buffer is cut into chunks; a context fills one after the other, so that threads
 * translate at once and meet only to insert. Never writable and executable through one mapping.
 */
#include <errno.h>
#include <linux/mman.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tcg/internal.h"
#include "util/disas.h"
#include "util/log.h"

static uint64_t now_ns(const TcgCache *c)
{
    struct timespec t;

    if (!c->config.timing) {
        return 0;
    }
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *map_anonymous(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return p == MAP_FAILED ? NULL : p;
}

/* A view of fd at a multiple of HUGE_PAGE, or MAP_FAILED. */
static uint8_t *map_view(int fd, size_t size, int prot)
{
    size_t with_room = size + HUGE_PAGE;
    uint8_t *p = mmap(NULL, with_room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *at;
    size_t before;

    if (p == MAP_FAILED) {
        return MAP_FAILED;
    }
    before = -(uintptr_t)p & (HUGE_PAGE - 1);
    at = mmap(p + before, size, prot, MAP_SHARED | MAP_FIXED, fd, 0);
    if (at == MAP_FAILED) {
        munmap(p, with_room);
        return MAP_FAILED;
    }
    if (before) {
        munmap(p, before);
    }
    munmap(at + size, HUGE_PAGE - before);
    return at;
}

/* Memory for code, twice: written through *rw, run through *rx. Without a descriptor: a program would see it among its own. */
static bool map_code(TcgCache *c, Error **errp)
{
    int fd = memfd_create("translated-code", MFD_CLOEXEC);

    if (fd >= 0 && ftruncate(fd, (off_t)c->code_size) == 0) {
        c->rw = map_view(fd, c->code_size, PROT_READ | PROT_WRITE);
        c->rx = map_view(fd, c->code_size, PROT_READ | PROT_EXEC);
    }
    if (!c->rw || c->rw == MAP_FAILED || c->rx == MAP_FAILED) {
        error_set_errno(errp, errno, "code buffer of %zu bytes", c->code_size);
    }
    if (fd >= 0) {
        close(fd);
    }
    return c->rw && c->rw != MAP_FAILED && c->rx != MAP_FAILED;
}

TcgCache *tcg_cache_new(const TcgConfig *config, Error **errp)
{
    size_t code = config->code_size ? config->code_size : 64u << 20;
    uint32_t chunks = (uint32_t)((code + CHUNK_CODE - 1) / CHUNK_CODE);
    TcgCache *c = calloc(1, sizeof(*c) + chunks * sizeof(c->chunks[0]));

    if (!c) {
        error_set(errp, "translator: no memory");
        return NULL;
    }
    c->config = *config;
    c->num_chunks = chunks;
    c->code_size = (size_t)chunks * CHUNK_CODE;
    c->meta_size = (size_t)chunks * CHUNK_META;
    pthread_mutex_init(&c->lock, NULL);
    if (!map_code(c, errp)) {
        tcg_cache_free(c);
        return NULL;
    }
    c->meta = map_anonymous(c->meta_size);
    c->hash = map_anonymous(HASH_SIZE * sizeof(c->hash[0]));
    c->pages = map_anonymous(PAGE_HASH_SIZE * sizeof(c->pages[0]));
    c->thunk_emit = x86_emit_new(config->guest);
    if (!c->meta || !c->hash || !c->pages || !c->thunk_emit ||
        !x86_emit_thunks(c->thunk_emit, c->rw, c->rw + CHUNK_CODE, c->rx - c->rw, config->user, &c->thunks)) {
        error_set(errp, "translator: no memory");
        tcg_cache_free(c);
        return NULL;
    }
    c->first_chunk = c->next_chunk = 1;
    return c;
}

static void unmap(void *p, size_t size)
{
    if (p && p != MAP_FAILED) {
        munmap(p, size);
    }
}

void tcg_cache_free(TcgCache *c)
{
    if (!c) {
        return;
    }
    x86_emit_free(c->thunk_emit);
    unmap(c->rw, c->code_size);
    unmap(c->rx, c->code_size);
    unmap(c->meta, c->meta_size);
    unmap(c->hash, HASH_SIZE * sizeof(c->hash[0]));
    unmap(c->pages, PAGE_HASH_SIZE * sizeof(c->pages[0]));
    pthread_mutex_destroy(&c->lock);
    free(c);
}

TcgContext *tcg_context_new(TcgCache *c, Error **errp)
{
    TcgContext *ctx = calloc(1, sizeof(*ctx));

    if (!ctx || !ir_region_init(&ctx->ir, c->config.guest) || !(ctx->emit = x86_emit_new(c->config.guest))) {
        error_set(errp, "translator: no memory");
        tcg_context_free(ctx);
        return NULL;
    }
    ctx->cache = c;
    return ctx;
}

void tcg_context_free(TcgContext *ctx)
{
    if (ctx) {
        disas_free(ctx->disas);
        x86_emit_free(ctx->emit);
        ir_region_finish(&ctx->ir);
        free(ctx);
    }
}

static uint32_t hash_key(const TcgKey *k)
{
    uint64_t h = (k->phys ^ k->pc << 1 ^ (uint64_t)k->mode << 40) * 0x9e3779b97f4a7c15;

    return (uint32_t)(h >> 48) & (HASH_SIZE - 1);
}

static uint64_t page_of(const TcgCache *c, uint64_t phys)
{
    return phys >> c->config.guest->page_bits;
}

static uint32_t hash_page(uint64_t page)
{
    return (uint32_t)(page * 0x9e3779b97f4a7c15 >> 50) & (PAGE_HASH_SIZE - 1);
}

static bool same_key(const TcgKey *a, const TcgKey *b)
{
    return a->pc == b->pc && a->phys == b->phys && a->mode == b->mode;
}

TcgRegion *tcg_find(TcgCache *c, const TcgKey *key)
{
    TcgRegion *r = __atomic_load_n(&c->hash[hash_key(key)], __ATOMIC_ACQUIRE);

    while (r && !same_key(&r->key, key)) {
        r = __atomic_load_n(&r->next_in_hash, __ATOMIC_ACQUIRE);
    }
    return r;
}

static void insert(TcgCache *c, TcgRegion *r)
{
    TcgRegion **bucket = &c->hash[hash_key(&r->key)];

    for (unsigned i = 0; i < 2; i++) {
        bool twice = i == 1 && hash_page(r->page[1]) == hash_page(r->page[0]);
        if (r->page[i] != TCG_NO_PAGE && !twice) {
            TcgRegion **p = &c->pages[hash_page(r->page[i])];
            r->next_in_page[i] = *p;
            *p = r;
        }
    }
    r->next_in_hash = *bucket;
    __atomic_store_n(bucket, r, __ATOMIC_RELEASE);
}

/*
 * A machine's kernel fills tens of MiB of code: by pages of 4 KiB each would fault twice, in either view. Not for the first pages: many
 * machines never get further. Only speed: hosts that do not know the request (Linux before 6.1) or have no such page go on with small ones.
 */
static void use_huge_page(TcgCache *c, uint32_t chunk)
{
    size_t at = (size_t)chunk * CHUNK_CODE;

    if (c->config.user || at == 0 || at % HUGE_PAGE || at + HUGE_PAGE > c->code_size) {
        return;
    }
    *(volatile uint8_t *)(c->rw + at) = 0; /* where no page is yet there is nothing to collapse */
    if (madvise(c->rw + at, HUGE_PAGE, MADV_COLLAPSE) == 0) {
        madvise(c->rx + at, HUGE_PAGE, MADV_COLLAPSE);
    }
}

/* A fresh chunk for ctx; false when the buffer is full. */
static bool take_chunk(TcgContext *ctx)
{
    TcgCache *c = ctx->cache;
    uint32_t n = __atomic_fetch_add(&c->next_chunk, 1, __ATOMIC_RELAXED);

    if (n >= c->num_chunks) {
        __atomic_store_n(&c->next_chunk, c->num_chunks, __ATOMIC_RELAXED);
        ctx->chunk = NULL;
        return false;
    }
    use_huge_page(c, n);
    ctx->chunk = &c->chunks[n];
    return true;
}

/* Room a region's own memory may take at most; the pointer to it is at the other end. */
static bool meta_room(const TcgChunk *k, uint32_t map_size)
{
    return k->meta_used + sizeof(TcgRegion) + TCG_MAX_SLOTS * sizeof(TcgSlot) + map_size + 64 +
               (k->count + 1) * sizeof(TcgRegion *) < CHUNK_META;
}

static TcgRegion *region_struct(const TcgContext *ctx)
{
    return (TcgRegion *)(chunk_meta(ctx->cache, ctx->chunk) + ctx->chunk->meta_used);
}

static TcgEmitResult emit_into_chunk(TcgContext *ctx, const TcgKey *key, TcgEmitted *out)
{
    TcgCache *c = ctx->cache;
    TcgChunk *k = ctx->chunk;
    TcgRegion *r = region_struct(ctx);
    uint8_t *code = chunk_code(c, k) + k->code_used;
    TcgEmitJob job = {
        .ir = &ctx->ir, .thunks = &c->thunks, .user = c->config.user, .check_key = c->config.check_key,
        .pc = key->pc, .key = key->mode, .code = code, .code_end = chunk_code(c, k) + CHUNK_CODE,
        .rx = c->rx - c->rw, .slots = (TcgSlot *)(r + 1),
        .map = ctx->map, .map_end = ctx->map + sizeof(ctx->map),
    };

    if (!meta_room(k, sizeof(ctx->map))) {
        return TCG_EMIT_FULL;
    }
    return x86_emit(ctx->emit, &job, out);
}

/* Emits the region; on success it is in ctx->chunk, not yet inserted. */
static TcgTranslated emit_region(TcgContext *ctx, const TcgKey *key, TcgEmitted *out)
{
    TcgCache *c = ctx->cache;
    TcgEmitResult res = TCG_EMIT_FULL;

    if (ctx->generation != __atomic_load_n(&c->generation, __ATOMIC_ACQUIRE)) {
        ctx->generation = c->generation;
        ctx->chunk = NULL;
    }
    if (ctx->chunk) {
        res = emit_into_chunk(ctx, key, out);
    }
    if (res == TCG_EMIT_FULL) {
        if (!take_chunk(ctx)) {
            return TCG_FULL;
        }
        res = emit_into_chunk(ctx, key, out);
    }
    if (res == TCG_EMIT_FULL) {
        ctx->refused = "the region is too long";
    } else if (res == TCG_EMIT_UNSUPPORTED) {
        ctx->refused = out->unsupported_op < IR_NUM_OPS ? ir_ops[out->unsupported_op].name : out->why;
    }
    return res == TCG_EMIT_OK ? TCG_TRANSLATED : TCG_REFUSED;
}

/* Whether a loop closes inside the region: whoever runs it may stay for long after it was removed. */
static bool has_loop(const IrRegion *ir)
{
    uint64_t seen = 0;

    if (ir->num_blocks <= 1) {
        return false;
    }
    for (uint32_t n = 0; n < ir->num_insns; n++) {
        const IrInsn *in = &ir->insns[n];
        if (in->op == IR_block) {
            seen |= 1ull << in->imm;
        } else if ((ir_ops[in->op].flags & IR_T_JUMP) && (seen >> in->imm & 1)) {
            return true;
        }
    }
    return false;
}

/* Makes the TcgRegion of what was emitted; its memory is the chunk's. */
static TcgRegion *make_region(TcgContext *ctx, const TcgKey *key, const TcgBuilt *built, const TcgEmitted *out)
{
    TcgCache *c = ctx->cache;
    TcgChunk *k = ctx->chunk;
    TcgRegion *r = region_struct(ctx);
    TcgRegion **index = (TcgRegion **)(chunk_meta(c, k) + CHUNK_META);
    uint8_t *map;

    memset(r, 0, sizeof(*r));
    r->key = *key;
    r->checked = chunk_code(c, k) + k->code_used + (c->rx - c->rw);
    r->entry = r->checked + out->entry;
    r->code_size = out->size;
    r->map_size = out->map_size;
    r->num_slots = out->num_slots;
    r->guest_size = built->guest_size;
    r->page[0] = page_of(c, key->phys);
    r->page[1] = built->page2 == TCG_NO_PAGE ? TCG_NO_PAGE : page_of(c, built->page2);
    r->slots = (TcgSlot *)(r + 1);
    for (unsigned n = 0; n < r->num_slots; n++) {
        r->slots[n].region = r;
    }
    map = (uint8_t *)(r->slots + r->num_slots);
    memcpy(map, ctx->map, out->map_size);
    r->map = map;
    r->loops = has_loop(&ctx->ir);
    k->code_used = (k->code_used + out->size + 15) & ~15u;
    k->meta_used = (uint32_t)((map + out->map_size - chunk_meta(c, k) + 63) & ~63);
    index[-1 - (int)k->count] = r;
    __atomic_store_n(&k->count, k->count + 1, __ATOMIC_RELEASE);
    return r;
}

static void count(TcgContext *ctx, const TcgRegion *r, uint64_t front_ns, uint64_t emit_ns)
{
    TcgStats *s = &ctx->cache->stats;

    s->regions++;
    s->code_bytes += r->code_size;
    s->guest_bytes += r->guest_size;
    s->ir_ops += ctx->ir.num_insns;
    s->front_ns += front_ns;
    s->emit_ns += emit_ns;
}

/* Whether the bytes of r on this page overlap start to end - 1. */
static bool overlaps(const TcgCache *c, const TcgRegion *r, uint64_t page, uint64_t start, uint64_t end)
{
    unsigned bits = c->config.guest->page_bits;
    uint64_t page_size = 1ull << bits, in_first = page_size - (r->key.phys & (page_size - 1));
    uint64_t from, to;

    if (page == r->page[0]) {
        from = r->key.phys;
        to = from + (r->guest_size < in_first ? r->guest_size : in_first);
        if (from < end && start < to) {
            return true;
        }
    }
    if (page == r->page[1] && r->guest_size > in_first) {
        from = r->page[1] << bits;
        to = from + (r->guest_size - in_first);
        return from < end && start < to;
    }
    return false;
}

bool tcg_region_overlaps(const TcgCache *c, const TcgRegion *r, uint64_t start, uint64_t end)
{
    return overlaps(c, r, r->page[0], start, end) || overlaps(c, r, r->page[1], start, end);
}

/* lock held. Whether r's bytes may have changed since invalidation number `seen`. */
static bool changed_since(const TcgCache *c, const TcgRegion *r, uint32_t seen)
{
    if (c->invalidations - seen > RECENT) {
        return true;
    }
    for (; seen != c->invalidations; seen++) {
        if (tcg_region_overlaps(c, r, c->recent[seen % RECENT].start, c->recent[seen % RECENT].end)) {
            return true;
        }
    }
    return false;
}

/* lock held. */
static void note_invalidation(TcgCache *c, uint64_t start, uint64_t end)
{
    uint32_t n = c->invalidations;

    c->recent[n % RECENT].start = start;
    c->recent[n % RECENT].end = end;
    __atomic_store_n(&c->invalidations, n + 1, __ATOMIC_RELEASE);
}

/*
 * Inserts r, unless another thread has been here: then that one's. What was made of bytes that have changed meanwhile is not inserted:
 * it runs once, as if it had done so before the change, so that a vCPU gets on however fast another one writes.
 */
static TcgRegion *insert_unless_changed(TcgContext *ctx, TcgRegion *r, uint32_t seen, uint64_t front_ns, uint64_t emit_ns)
{
    TcgCache *c = ctx->cache;
    TcgRegion *there;

    pthread_mutex_lock(&c->lock);
    there = tcg_find(c, &r->key);
    if (!there) {
        r->valid = !changed_since(c, r, seen);
        if (r->valid) {
            insert(c, r);
        }
        count(ctx, r, front_ns, emit_ns);
    }
    pthread_mutex_unlock(&c->lock);
    return there ? there : r;
}

TcgTranslated tcg_translate(TcgContext *ctx, const TcgKey *key, TcgFrontEnd *fe, void *opaque, TcgRegion **out)
{
    TcgCache *c = ctx->cache;
    uint32_t seen = __atomic_load_n(&c->invalidations, __ATOMIC_ACQUIRE);
    TcgBuilt built = { .page2 = TCG_NO_PAGE };
    TcgEmitted emitted;
    TcgTranslated res;
    TcgRegion *r;
    uint64_t t0 = now_ns(c), t1;

    ir_region_reset(&ctx->ir);
    if (!fe(&ctx->ir, key, &built, opaque)) {
        return TCG_NOTHING;
    }
    t1 = now_ns(c);
    if (c->config.verify) {
        tcg_check_region(ctx);
    }
    res = emit_region(ctx, key, &emitted);
    if (res != TCG_TRANSLATED) {
        return res;
    }
    r = make_region(ctx, key, &built, &emitted);
    *out = insert_unless_changed(ctx, r, seen, t1 - t0, now_ns(c) - t1);
    if (log_enabled(LOG_OP | LOG_OP_OPT | LOG_OUT_ASM) && *out == r) {
        tcg_log_region(ctx, r);
    }
    return TCG_TRANSLATED;
}

const char *tcg_refused_op(const TcgContext *ctx)
{
    return ctx->refused;
}

/* Points the slot's jump at host address target: one aligned store that running code sees whole. */
static void set_jump(TcgCache *c, const TcgSlot *s, const uint8_t *target)
{
    const TcgRegion *r = s->region;
    const uint8_t *at = r->checked + s->patch;
    int32_t d = (int32_t)(target - (at + 4));

    __atomic_store_n((int32_t *)(c->rw + (at - c->rx)), d, __ATOMIC_RELEASE);
}

void tcg_link(TcgCache *c, TcgSlot *slot, TcgRegion *r)
{
    pthread_mutex_lock(&c->lock);
    if (r->valid && ((TcgRegion *)slot->region)->valid && slot->target == NULL && slot->pc == r->key.pc) {
        slot->target = r;
        slot->next = r->incoming;
        r->incoming = slot;
        set_jump(c, slot, r->entry);
        c->stats.links++;
    }
    pthread_mutex_unlock(&c->lock);
}

const TcgRegion *tcg_slot_region(const TcgSlot *slot)
{
    return slot->region;
}

void tcg_link_through(TcgCache *c, TcgSlot *slot)
{
    const TcgRegion *r = slot->region;

    pthread_mutex_lock(&c->lock);
    if (slot->through && slot->target == NULL) {
        set_jump(c, slot, r->checked + slot->through);
    }
    pthread_mutex_unlock(&c->lock);
}

static void unlink_incoming(TcgCache *c, TcgRegion *r)
{
    TcgSlot *s = r->incoming;

    r->incoming = NULL;
    while (s) {
        TcgSlot *next = s->next;
        const TcgRegion *from = s->region;
        set_jump(c, s, from->checked + s->unlinked);
        s->target = NULL;
        s->next = NULL;
        s = next;
    }
}

/* Entry n of the jump table is about to be filled. */
static void note_entry(TcgRuntime *rt, uint32_t n, bool global)
{
    uint64_t bit = 1ull << n % 64;

    rt->in_use[n / 64 / 64] |= 1ull << n / 64 % 64;
    if (!global && !(rt->passing[n / 64] & bit)) {
        rt->passing[n / 64] |= bit;
        if (rt->num_passing < TCG_PASSING) {
            rt->passing_list[rt->num_passing] = (uint16_t)n;
        }
        rt->num_passing++;
    }
}

void tcg_remember(void *state, TcgCache *c, const TcgRegion *r, bool global)
{
    TcgRuntime *rt = tcg_runtime(c, state);
    uint32_t n = r->key.pc & (TCG_JUMP_TABLE - 1), *e = &rt->jump_table[n];

    note_entry(rt, n, global);
    __atomic_store_n(&rt->kept[n], (TcgRegion *)r, __ATOMIC_RELAXED);
    __atomic_store_n(e, (uint32_t)(r->checked - c->rx), __ATOMIC_SEQ_CST);
    if (!__atomic_load_n(&r->valid, __ATOMIC_SEQ_CST)) {
        __atomic_store_n(e, 0, __ATOMIC_RELAXED); /* removed meanwhile: its remover may have missed this */
    }
}

TcgRegion *tcg_kept(void *state, TcgCache *c, uint64_t pc)
{
    TcgRegion *r = __atomic_load_n(&tcg_runtime(c, state)->kept[pc & (TCG_JUMP_TABLE - 1)], __ATOMIC_RELAXED);

    return r && __atomic_load_n(&r->valid, __ATOMIC_SEQ_CST) ? r : NULL;
}

static void forget_region(TcgCache *c, const TcgRegion *r)
{
    uint32_t off = (uint32_t)(r->checked - c->rx);

    for (unsigned n = 0; n < c->num_states; n++) {
        uint32_t *e = &tcg_runtime(c, c->states[n])->jump_table[r->key.pc & (TCG_JUMP_TABLE - 1)];
        __atomic_compare_exchange_n(e, &off, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
        off = (uint32_t)(r->checked - c->rx);
    }
}

static void take_from_page(TcgCache *c, TcgRegion *r, unsigned which)
{
    TcgRegion **p = &c->pages[hash_page(r->page[which])];

    while (*p) {
        /* A region is in a bucket by its first page, its second, or both: the link is that page's. */
        TcgRegion *at = *p;
        unsigned i = hash_page(at->page[0]) == hash_page(r->page[which]) && at->page[0] != TCG_NO_PAGE ? 0 : 1;
        if (at == r) {
            *p = at->next_in_page[i];
            return;
        }
        p = &at->next_in_page[i];
    }
}

/* Also who is not running: he may have found the region just now and be on his way into it. */
static void kick_all(TcgCache *c)
{
    for (unsigned n = 0; n < c->num_states; n++) {
        tcg_kick(c->states[n]);
    }
}

/* Under the lock. The region's memory stays until the next flush: code in it may be running. */
static void remove_region(TcgCache *c, TcgRegion *r)
{
    TcgRegion **p = &c->hash[hash_key(&r->key)];

    while (*p != r) {
        p = &(*p)->next_in_hash;
    }
    __atomic_store_n(p, r->next_in_hash, __ATOMIC_RELEASE);
    take_from_page(c, r, 0);
    if (r->page[1] != TCG_NO_PAGE && hash_page(r->page[1]) != hash_page(r->page[0])) {
        take_from_page(c, r, 1);
    }
    __atomic_store_n(&r->valid, false, __ATOMIC_SEQ_CST);
    unlink_incoming(c, r);
    forget_region(c, r);
    if (r->loops) {
        kick_all(c);
    }
}

static TcgRegion *next_on(const TcgRegion *r, uint32_t bucket)
{
    bool first = r->page[0] != TCG_NO_PAGE && hash_page(r->page[0]) == bucket;

    return r->next_in_page[first ? 0 : 1];
}

static unsigned invalidate_page(TcgCache *c, uint64_t page, uint64_t start, uint64_t end)
{
    uint32_t bucket = hash_page(page);
    TcgRegion *r = c->pages[bucket];
    unsigned n = 0;

    while (r) {
        TcgRegion *next = next_on(r, bucket);
        if (overlaps(c, r, page, start, end)) {
            remove_region(c, r);
            n++;
        }
        r = next;
    }
    return n;
}

unsigned tcg_invalidate(TcgCache *c, uint64_t start, uint64_t end)
{
    uint64_t first = page_of(c, start), last = page_of(c, end - 1);
    unsigned n = 0;

    if (end <= start) {
        return 0;
    }
    pthread_mutex_lock(&c->lock);
    note_invalidation(c, start, end);
    if (last - first >= PAGE_HASH_SIZE) {
        /* A large range: each bucket once. */
        for (uint32_t b = 0; b < PAGE_HASH_SIZE; b++) {
            for (TcgRegion *r = c->pages[b], *next; r; r = next) {
                next = next_on(r, b);
                if (tcg_region_overlaps(c, r, start, end)) {
                    remove_region(c, r);
                    n++;
                }
            }
        }
    } else {
        for (uint64_t page = first; page <= last; page++) {
            n += invalidate_page(c, page, start, end);
        }
    }
    c->stats.invalidated += n;
    pthread_mutex_unlock(&c->lock);
    return n;
}

bool tcg_page_has_code(TcgCache *c, uint64_t phys)
{
    uint64_t page = page_of(c, phys);
    uint32_t bucket = hash_page(page);
    bool found = false;

    pthread_mutex_lock(&c->lock);
    for (TcgRegion *r = c->pages[bucket]; r && !found; r = next_on(r, bucket)) {
        found = r->page[0] == page || r->page[1] == page;
    }
    pthread_mutex_unlock(&c->lock);
    return found;
}

void tcg_flush(TcgCache *c)
{
    pthread_mutex_lock(&c->lock);
    memset(c->hash, 0, HASH_SIZE * sizeof(c->hash[0]));
    memset(c->pages, 0, PAGE_HASH_SIZE * sizeof(c->pages[0]));
    memset(c->chunks, 0, c->num_chunks * sizeof(c->chunks[0]));
    for (unsigned n = 0; n < c->num_states; n++) {
        tcg_forget(c, c->states[n]);
        memset(tcg_runtime(c, c->states[n])->kept, 0, sizeof(tcg_runtime(c, c->states[n])->kept));
    }
    c->stats.flushes++;
    note_invalidation(c, 0, UINT64_MAX);
    __atomic_store_n(&c->next_chunk, c->first_chunk, __ATOMIC_RELEASE);
    __atomic_store_n(&c->generation, c->generation + 1, __ATOMIC_RELEASE);
    pthread_mutex_unlock(&c->lock);
}

/* A copy of all code, in shared memory of its own; NULL: no memory. */
static uint8_t *copy_code(const TcgCache *c)
{
    uint32_t used = c->next_chunk < c->num_chunks ? c->next_chunk : c->num_chunks;
    uint8_t *copy = NULL;
    int fd = memfd_create("translated-code", MFD_CLOEXEC);

    if (fd < 0 || ftruncate(fd, (off_t)c->code_size) < 0) {
        used = 0;
    }
    for (uint32_t n = 0; n < used; n++) {
        size_t size = n < c->first_chunk ? CHUNK_CODE : (c->chunks[n].code_used + 4095u) & ~4095u, at = (size_t)n * CHUNK_CODE;

        if (pwrite(fd, c->rw + at, size, (off_t)at) != (ssize_t)size) { /* cheaper than as many page faults */
            used = 0;
        }
    }
    if (used) {
        copy = mmap(NULL, c->code_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    }
    if (fd >= 0) {
        close(fd);
    }
    return copy == MAP_FAILED ? NULL : copy;
}

/*
 * Nobody is half-way through the lists that the child gets, and its code is as it was then: what the parent does to its own
 * afterwards (links to new regions among it) is not for the child.
 */
void tcg_fork_prepare(TcgCache *c)
{
    pthread_mutex_lock(&c->lock);
    c->fork_copy = copy_code(c);
}

void tcg_fork_parent(TcgCache *c)
{
    unmap(c->fork_copy, c->code_size);
    c->fork_copy = NULL;
    pthread_mutex_unlock(&c->lock);
}

bool tcg_fork_child(TcgCache *c, Error **errp)
{
    uint8_t *copy = c->fork_copy;
    size_t size = c->code_size;

    c->fork_copy = NULL;
    /* Held by the thread that forked, which is this one; no other is here. */
    pthread_mutex_init(&c->lock, NULL);
    if (!copy) {
        return error_set(errp, "code buffer of %zu bytes: no memory for the child's", size);
    }
    /* mremap(2): of a shared mapping, an old size of 0 makes a second one */
    if (mremap(copy, 0, size, MREMAP_MAYMOVE | MREMAP_FIXED, c->rw) == MAP_FAILED || mprotect(copy, size, PROT_READ | PROT_EXEC) < 0 ||
        mremap(copy, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, c->rx) == MAP_FAILED) {
        return error_set_errno(errp, errno, "code buffer of %zu bytes", size);
    }
    return true;
}

const TcgRegion *tcg_region_at(const TcgCache *c, uintptr_t p)
{
    uintptr_t off = p - (uintptr_t)c->rx;
    const TcgChunk *k;
    TcgRegion *const *index;
    uint32_t lo = 0, hi;

    if (off >= c->code_size) {
        return NULL;
    }
    k = &c->chunks[off / CHUNK_CODE];
    hi = __atomic_load_n(&k->count, __ATOMIC_ACQUIRE);
    index = (TcgRegion *const *)(chunk_meta(c, k) + CHUNK_META);
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if ((uintptr_t)index[-1 - (int)mid]->checked <= p) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (lo == 0 || p - (uintptr_t)index[-(int)lo]->checked >= index[-(int)lo]->code_size) {
        return NULL;
    }
    return index[-(int)lo];
}

void tcg_stats(TcgCache *c, TcgStats *out)
{
    pthread_mutex_lock(&c->lock);
    *out = c->stats;
    pthread_mutex_unlock(&c->lock);
}
