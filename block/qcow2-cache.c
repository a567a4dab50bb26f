/* qcow2: slices of L2 tables and refcount blocks in memory, and the order in which they reach the disk. See block/qcow2.h. */
#include <glib.h>
#include <stdlib.h>

#include "block/qcow2.h"

void cache_init(Cache *c, unsigned slice_size, uint64_t bytes)
{
    c->slice_size = slice_size;
    c->max = CLAMP(bytes / slice_size, 4, 1 << 20);
    c->map = g_hash_table_new(g_int64_hash, g_int64_equal);
    list_init(&c->lru);
}

static void free_slice(Cache *c, Slice *s)
{
    g_hash_table_remove(c->map, &s->offset);
    list_remove(&s->lru);
    c->num--;
    c->num_dirty -= s->dirty;
    g_free(s->data);
    g_free(s);
}

void cache_forget(Cache *c)
{
    while (!list_is_empty(&c->lru)) {
        free_slice(c, container_of(list_first(&c->lru), Slice, lru));
    }
}

void cache_finish(Cache *c)
{
    if (!c->map) {
        return;
    }
    cache_forget(c);
    g_hash_table_destroy(c->map);
    c->map = NULL;
}

void cache_dirty(Cache *c, Slice *s)
{
    c->num_dirty += !s->dirty;
    s->dirty = true;
}

void cache_drop(Cache *c, uint64_t offset, uint64_t len)
{
    for (uint64_t at = offset; at < offset + len; at += c->slice_size) {
        Slice *s = g_hash_table_lookup(c->map, &at);

        if (s) {
            free_slice(c, s);
        }
    }
}

/* Makes room for one more. */
static int CO_FN evict(Qcow2 *q, Cache *c)
{
    Slice *s = container_of(list_first(&c->lru), Slice, lru);
    int r = 0;

    if (s->dirty) {
        r = c == &q->rc ? cache_write(q, c) : qcow2_write_tables(q);
    }
    if (!r) {
        free_slice(c, s);
    }
    return r;
}

int CO_FN cache_get(Qcow2 *q, Cache *c, uint64_t offset, Slice **out)
{
    Slice *s = g_hash_table_lookup(c->map, &offset);
    int r = 0;

    if (s) {
        c->hits++;
        list_remove(&s->lru);
        list_append(&c->lru, &s->lru);
        *out = s;
        return 0;
    }
    c->misses++;
    while (!r && c->num >= c->max) {
        r = evict(q, c);
    }
    if (r) {
        return r;
    }
    s = g_new0(Slice, 1);
    s->offset = offset;
    s->data = g_malloc(c->slice_size);
    r = node_pread(meta_node(q), offset, s->data, c->slice_size);
    if (r) {
        g_free(s->data);
        g_free(s);
        return r;
    }
    g_hash_table_insert(c->map, &s->offset, s);
    list_append(&c->lru, &s->lru);
    c->num++;
    *out = s;
    return 0;
}

static int by_offset(const void *a, const void *b)
{
    const Slice *x = *(Slice *const *)a, *y = *(Slice *const *)b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* All dirty slices, in the order of the disk, neighbours in one write. */
int CO_FN cache_write(Qcow2 *q, Cache *c)
{
    g_autofree Slice **dirty = g_new(Slice *, c->num_dirty + 1);
    unsigned num = 0, run;
    int r = 0;

    list_foreach (Slice, s, &c->lru, lru) {
        if (s->dirty) {
            dirty[num++] = s;
        }
    }
    qsort(dirty, num, sizeof(*dirty), by_offset);
    for (unsigned i = 0; !r && i < num; i += run) {
        struct iovec iov[64];

        for (run = 0; run < 64 && i + run < num; run++) {
            Slice *s = dirty[i + run];

            if (s->offset != dirty[i]->offset + (uint64_t)run * c->slice_size) {
                break;
            }
            iov[run] = (struct iovec){s->data, c->slice_size};
        }
        r = node_write(meta_node(q), dirty[i]->offset, (uint64_t)run * c->slice_size, (IoSlice){.iov = iov}, 0);
        for (unsigned j = i; !r && j < i + run; j++) {
            dirty[j]->dirty = false;
            c->num_dirty--;
        }
    }
    return r;
}

/* ---- L1 ---- */

void qcow2_l1_changed(Qcow2 *q, uint32_t index)
{
    if (!q->l1_dirty) {
        q->l1_dirty_from = q->l1_dirty_to = index;
    }
    q->l1_dirty = true;
    q->l1_dirty_from = min_of(q->l1_dirty_from, index);
    q->l1_dirty_to = max_of(q->l1_dirty_to, index);
}

static int CO_FN write_l1(Qcow2 *q)
{
    uint32_t from = q->l1_dirty_from, num = q->l1_dirty_to - from + 1;
    g_autofree uint8_t *buf = g_malloc((size_t)num * 8);
    int r;

    for (uint32_t i = 0; i < num; i++) {
        st64_be(buf + (size_t)i * 8, q->l1[from + i]);
    }
    r = node_pwrite(meta_node(q), q->l1_offset + (uint64_t)from * 8, buf, (size_t)num * 8);
    q->l1_dirty = r != 0;
    return r;
}

/* ---- The order ---- */

static int CO_FN barrier(Qcow2 *q)
{
    int r = node_flush(meta_node(q));

    return r || !q->data ? r : node_flush(q->data->node);
}

int CO_FN qcow2_write_tables(Qcow2 *q)
{
    int r = apply_frees(q);

    if (!r && q->rc.num_dirty && !(q->incompatible & INCOMPAT_DIRTY && q->lazy)) {
        r = cache_write(q, &q->rc);
    }
    if (r || (!q->l2.num_dirty && !q->l1_dirty)) {
        return r;
    }
    r = barrier(q);
    if (!r) {
        r = cache_write(q, &q->l2);
    }
    if (!r && q->l1_dirty) {
        r = write_l1(q);
    }
    if (!r && q->freeing->len) { /* free behind the next flush */
        g_array_append_vals(q->freed, q->freeing->data, q->freeing->len);
        g_array_set_size(q->freeing, 0);
        q->freed_gen = meta_node(q)->write_gen;
    }
    return r;
}

int CO_FN qcow2_sync(Qcow2 *q)
{
    int r = 0;

    for (int i = 0; i < 2 && !r; i++) { /* what the first round frees, the second writes */
        r = qcow2_write_tables(q);
        if (!r && q->rc.num_dirty) {
            r = cache_write(q, &q->rc);
        }
        if (!r) {
            r = barrier(q);
        }
    }
    return r;
}
