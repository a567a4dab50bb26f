/*
 * qcow2: random requests, snapshots, resizes against a copy in memory, for many shapes of images; and power cuts: the log of
 * what reached the host is replayed up to any point, with and without writes that no flush followed, and what had been flushed
 * must be there.
 */
#include <glib.h>
#include <glib/gstdio.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "block/internal.h"
#include "util/rcu.h"

enum { MAX_SIZE = 4 << 20 };

typedef struct {
    unsigned cluster_bits, refcount_bits;
    bool v2, extended, lazy, data_file, backing, zstd;
} Shape;

typedef struct {
    char op;
    uint64_t offset, len;
    void *data;
} LogEntry;

typedef struct {
    Loop *loop;
    BlockContext *ctx;
    char *dir, *path, *base_path, *data_path;
    Shape shape;
    uint64_t size;
    BlockNode *n;
    uint8_t *model, *base;      /* what the disk must hold */
    struct {
        uint8_t *data;
        uint64_t size;
    } snapshots[8];
    unsigned steps;
    /* power cuts */
    GArray *log;
    uint8_t *image;             /* the file when the log began */
    size_t image_len;
} Env;

/* ---- Images ---- */

/* Not g_file_set_contents, which waits for the disk. */
static void put_file(const char *path, const void *data, size_t len)
{
    FILE *f = fopen(path, "w");

    g_assert_true(f && fwrite(data, 1, len, f) == len && fclose(f) == 0);
}

static void env_init(Env *e, const Shape *s)
{
    *e = (Env){.shape = *s};
    e->dir = g_strdup("/dev/shm/kestrel-qcow2-XXXXXX"); /* where no disk is waited for, if there is such a place */
    if (!g_mkdtemp(e->dir)) {
        g_free(e->dir);
        e->dir = g_dir_make_tmp("kestrel-qcow2-XXXXXX", NULL);
    }
    e->path = g_build_filename(e->dir, "a.qcow2", NULL);
    e->base_path = g_build_filename(e->dir, "base", NULL);
    e->data_path = g_build_filename(e->dir, "data", NULL);
    e->loop = loop_new("test", NULL);
    e->ctx = block_context_new_here(e->loop);
    e->model = g_malloc0(MAX_SIZE);
    e->base = g_malloc0(MAX_SIZE);
    e->size = g_test_rand_int_range(1, MAX_SIZE / 512) * 512;
}

static void env_finish(Env *e)
{
    block_context_free(e->ctx);
    loop_free(e->loop);
    g_unlink(e->path);
    g_unlink(e->base_path);
    g_unlink(e->data_path);
    g_rmdir(e->dir);
    g_free(e->dir);
    g_free(e->path);
    g_free(e->base_path);
    g_free(e->data_path);
    g_free(e->model);
    g_free(e->base);
    for (unsigned i = 0; i < 8; i++) {
        g_free(e->snapshots[i].data);
    }
}

static void CO_FN create(Env *e)
{
    const Shape *s = &e->shape;
    BlockCreate c = {.size = e->size, .cluster_size = 1u << s->cluster_bits, .refcount_bits = s->refcount_bits,
                     .lazy_refcounts = s->lazy, .extended_l2 = s->extended, .data_file = s->data_file ? "data" : NULL,
                     .backing_file = s->backing ? "base" : NULL, .backing_fmt = s->backing ? "raw" : NULL,
                     .compression_type = s->zstd ? "zstd" : NULL};
    BlockNode *file;

    g_strlcpy(c.compat, s->v2 ? "0.10" : "1.1", sizeof(c.compat));
    if (s->backing) {
        uint64_t len = g_test_rand_int_range(0, MAX_SIZE / 512) * 512;

        for (uint64_t i = 0; i < len; i += 4096) {
            memset(e->base + i, g_test_rand_int_range(0, 3) ? g_test_rand_int() : 0, min_of(len - i, (uint64_t)4096));
        }
        put_file(e->base_path, e->base, len);
        memcpy(e->model, e->base, e->size);
    }
    put_file(e->data_path, "", 0);
    put_file(e->path, "", 0);
    file = block_open_file(e->ctx, e->path, "file", &(BlockOpen){.no_flush = true}, &error_abort);
    g_assert_true(block_driver("qcow2")->create(file, &c, &error_abort));
    node_unref(file);
}

static void CO_FN reopen(Env *e)
{
    node_unref(e->n);
    e->n = block_open_file(e->ctx, e->path, "qcow2", &(BlockOpen){.unmap = true, .no_flush = true}, &error_abort);
    g_assert_cmpuint(node_length(e->n), ==, e->size);
}

static void fail_line(void *opaque, const char *line)
{
    g_printerr("check: %s\n", line);
}

/* No damage, and no leaks unless they are allowed. */
static void CO_FN check(BlockNode *n, bool leaks)
{
    BlockCheck c = {.tell = leaks ? NULL : fail_line};

    g_assert_true(n->drv->check(n, &c, 0, &error_abort));
    g_assert_cmpuint(c.corruptions + c.check_errors, ==, 0);
    g_assert_true(leaks || !c.leaks);
}

static void CO_FN compare(Env *e)
{
    g_autofree uint8_t *buf = g_malloc(e->size);

    g_assert_cmpint(node_pread(e->n, 0, buf, e->size), ==, 0);
    g_assert_cmpmem(buf, e->size, e->model, e->size);
}

/* ---- Steps ---- */

static void fill(uint8_t *p, uint64_t len)
{
    bool simple = g_test_rand_int_range(0, 2);
    uint8_t byte = g_test_rand_int();

    for (uint64_t i = 0; i < len; i++) {
        p[i] = simple ? byte : g_test_rand_int();
    }
}

static uint64_t random_len(const Env *e, uint64_t at)
{
    uint64_t max = g_test_rand_int_range(0, 4) ? 3000 : 200000;

    return min_of((uint64_t)g_test_rand_int_range(1, max), e->size - at);
}

static void CO_FN step_write(Env *e)
{
    uint64_t at = g_test_rand_int_range(0, e->size), len = random_len(e, at);

    fill(e->model + at, len);
    g_assert_cmpint(node_write(e->n, at, len, IO_OF(e->model + at, len), 0), ==, 0);
}

static void CO_FN step_compressed(Env *e)
{
    uint64_t cluster = 1u << e->shape.cluster_bits, at = g_test_rand_int_range(0, e->size) & ~(cluster - 1);
    uint64_t len = min_of(cluster * g_test_rand_int_range(1, 4), e->size - at);

    if (e->shape.data_file) {
        return;
    }
    fill(e->model + at, len);
    g_assert_cmpint(node_write(e->n, at, len, IO_OF(e->model + at, len), IO_COMPRESSED), ==, 0);
}

static void CO_FN step_zero(Env *e)
{
    uint64_t at = g_test_rand_int_range(0, e->size), len = min_of((uint64_t)g_test_rand_int_range(1, 300000), e->size - at);

    memset(e->model + at, 0, len);
    g_assert_cmpint(node_write_zeroes(e->n, at, len, g_test_rand_int_range(0, 2) ? IO_UNMAP : 0), ==, 0);
}

/* Whole clusters become zeros; where they cannot (version 2 over a backing file), nothing happens. */
static void CO_FN step_discard(Env *e)
{
    uint64_t cluster = 1u << e->shape.cluster_bits, at = g_test_rand_int_range(0, e->size);
    uint64_t len = min_of((uint64_t)g_test_rand_int_range(1, 500000), e->size - at);
    uint64_t from = round_up(at, cluster), to = at + len == e->size ? e->size : round_down(at + len, cluster);

    g_assert_cmpint(node_discard(e->n, at, len), ==, 0);
    if (from < to && !(e->shape.v2 && e->shape.backing)) {
        memset(e->model + from, 0, to - from);
    }
}

static void CO_FN step_snapshot(Env *e)
{
    unsigned i = g_test_rand_int_range(0, 8);
    g_autofree char *name = g_strdup_printf("snap%u", i);
    const BlockDriver *d = e->n->drv;

    if (e->shape.data_file || e->shape.refcount_bits < 8) {
        return; /* counts of few bits run over: seen as an error elsewhere */
    }
    if (!e->snapshots[i].data) {
        g_assert_true(d->snapshot(e->n, SNAPSHOT_CREATE, name, &error_abort));
        e->snapshots[i].data = g_memdup2(e->model, e->size);
        e->snapshots[i].size = e->size;
    } else if (g_test_rand_int_range(0, 2)) {
        g_assert_true(d->snapshot(e->n, SNAPSHOT_APPLY, name, &error_abort));
        e->size = e->snapshots[i].size;
        memcpy(e->model, e->snapshots[i].data, e->size);
        g_assert_cmpuint(node_length(e->n), ==, e->size);
    } else {
        g_assert_true(d->snapshot(e->n, SNAPSHOT_DELETE, name, &error_abort));
        g_clear_pointer(&e->snapshots[i].data, g_free);
    }
}

static void CO_FN step_resize(Env *e)
{
    uint64_t size = g_test_rand_int_range(1, MAX_SIZE / 512) * 512;
    bool has_snapshots = false;

    for (unsigned i = 0; i < 8; i++) {
        has_snapshots |= e->snapshots[i].data != NULL;
    }
    if (e->shape.v2 && (has_snapshots || e->shape.backing)) {
        return;
    }
    g_assert_true(node_resize(e->n, size, true, &error_abort));
    if (size > e->size) {
        memset(e->model + e->size, 0, size - e->size);
    }
    e->size = size;
}

static void CO_FN step(Env *e)
{
    switch (g_test_rand_int_range(0, 40)) {
    case 0:
        step_resize(e);
        break;
    case 1:
        reopen(e);
        check(e->n, false);
        break;
    case 2:
    case 3:
        step_snapshot(e);
        break;
    case 4:
        g_assert_cmpint(node_flush(e->n), ==, 0);
        break;
    case 5 ... 8:
        step_discard(e);
        break;
    case 9 ... 12:
        step_zero(e);
        break;
    case 13 ... 17:
        step_compressed(e);
        break;
    case 18 ... 20:
        compare(e);
        break;
    default:
        step_write(e);
    }
}

/* ---- Random requests ---- */

static void CO_FN random_body(void *opaque)
{
    Env *e = opaque;

    create(e);
    reopen(e);
    for (unsigned i = 0; i < e->steps; i++) {
        step(e);
    }
    compare(e);
    reopen(e);
    compare(e);
    check(e->n, false);
    node_unref(e->n);
}

static const Shape shapes[] = {
    {16, 16}, {9, 16}, {12, 16, .backing = true}, {16, 16, .v2 = true}, {12, 16, .v2 = true, .backing = true}, {10, 1}, {12, 64}, {13, 8},
    {9, 2, .backing = true}, {14, 16, .extended = true}, {16, 32, .extended = true, .backing = true}, {12, 16, .lazy = true},
    {16, 16, .data_file = true}, {14, 16, .extended = true, .data_file = true}, {16, 16, .zstd = true}, {15, 4, .zstd = true, .backing = true},
};

static void test_random(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++) {
        Env e;

        env_init(&e, &shapes[i]);
        e.steps = g_test_slow() ? 5000 : 300;
        block_run(e.ctx, random_body, &e);
        env_finish(&e);
    }
}

/* The first refcount block is lost: nothing may be allocated, and the header stays. */
static void CO_FN lost_block_body(void *opaque)
{
    Env *e = opaque;
    uint8_t header[48], now[48];
    uint8_t offset[8], zeros[8] = {0};
    FILE *f;

    create(e);
    f = fopen(e->path, "r+");
    g_assert_true(f && fread(header, sizeof(header), 1, f) == 1 && fread(offset, 8, 1, f) == 1);
    g_assert_true(fseek(f, (long)GUINT64_FROM_BE(*(uint64_t *)offset), SEEK_SET) == 0 && fwrite(zeros, 8, 1, f) == 1 && fclose(f) == 0);
    reopen(e);
    g_assert_cmpint(node_pwrite(e->n, 0, header, 16), ==, -EIO);
    node_unref(e->n);
    f = fopen(e->path, "r");
    g_assert_true(f && fread(now, sizeof(now), 1, f) == 1 && fclose(f) == 0);
    g_assert_cmpmem(now, sizeof(now), header, sizeof(header));
}

static void test_lost_block(void)
{
    Env e;

    env_init(&e, &shapes[1]);
    block_run(e.ctx, lost_block_body, &e);
    env_finish(&e);
}

/* The last cluster may be given up to the end of a source whose size is no multiple of a sector. */
static void CO_FN short_end_body(void *opaque)
{
    Env *e = opaque;
    uint64_t start = round_down(e->size - 1, 1u << 16), len = e->size - start - 100;

    create(e);
    reopen(e);
    fill(e->model + start, len);
    g_assert_cmpint(node_write(e->n, start, len, IO_OF(e->model + start, len), IO_COMPRESSED), ==, 0);
    g_assert_cmpint(node_write(e->n, start, len - 512, IO_OF(e->model + start, len), IO_COMPRESSED), ==, -EINVAL);
    reopen(e);
    compare(e);
    check(e->n, false);
    node_unref(e->n);
}

static void test_short_end(void)
{
    Env e;

    env_init(&e, &shapes[0]);
    e.size = 100 * 512;
    block_run(e.ctx, short_end_body, &e);
    env_finish(&e);
}

/* Many at once: each has its own part of the disk, whose borders are within clusters. */
typedef struct {
    Env *e;
    unsigned i, num;
    unsigned *left;
} Part;

static void CO_FN part_body(void *opaque)
{
    Part *p = opaque;
    uint64_t len = p->e->size / p->num, from = p->i * len;

    for (unsigned k = 0; k < 150; k++) {
        uint64_t at = from + g_test_rand_int_range(0, len), n = min_of((uint64_t)g_test_rand_int_range(1, 30000), from + len - at);
        g_autofree uint8_t *buf = g_malloc(n);

        switch (g_test_rand_int_range(0, 5)) {
        case 0:
            memset(p->e->model + at, 0, n);
            g_assert_cmpint(node_write_zeroes(p->e->n, at, n, IO_UNMAP), ==, 0);
            break;
        case 1:
            g_assert_cmpint(node_pread(p->e->n, at, buf, n), ==, 0);
            g_assert_cmpmem(buf, n, p->e->model + at, n);
            break;
        case 2:
            g_assert_cmpint(node_flush(p->e->n), ==, 0);
            break;
        default:
            fill(p->e->model + at, n);
            g_assert_cmpint(node_write(p->e->n, at, n, IO_OF(p->e->model + at, n), 0), ==, 0);
        }
    }
    --*p->left;
}

static void CO_FN parallel_body(void *opaque)
{
    Env *e = opaque;
    unsigned left = 6;
    Part parts[6];

    create(e);
    reopen(e);
    for (unsigned i = 0; i < 6; i++) {
        parts[i] = (Part){e, i, 6, &left};
        co_enter(co_new(part_body, &parts[i]));
    }
    while (left) {
        co_pass();
    }
    compare(e);
    check(e->n, false);
    node_unref(e->n);
}

static void test_parallel(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++) {
        Env e;

        env_init(&e, &shapes[i]);
        e.size = max_of(e.size, (uint64_t)65536);
        block_context_free(e.ctx);
        e.ctx = block_context_new(NULL, e.loop); /* with threads, so that requests do wait */
        block_run(e.ctx, parallel_body, &e);
        env_finish(&e);
    }
}

/* ---- Power cuts ---- */

static void record(void *opaque, const char *filename, char op, uint64_t offset, uint64_t len, const void *data)
{
    Env *e = opaque;
    LogEntry l = {op, offset, len, data ? g_memdup2(data, len) : NULL};

    if (!strcmp(filename, e->path)) {
        g_array_append_val(e->log, l);
    }
}

static void apply(GByteArray *file, const LogEntry *l)
{
    uint64_t end = l->op == 't' ? l->offset : l->offset + l->len, before = file->len;

    if (l->op == 't' || end > before) {
        g_byte_array_set_size(file, end);
        if (end > before) {
            memset(file->data + before, 0, end - before);
        }
    }
    if (l->op == 'w') {
        memcpy(file->data + l->offset, l->data, l->len);
    } else if (l->op == 'z') {
        memset(file->data + l->offset, 0, l->len);
    }
}

/* The file as a cut behind entry `cut` may leave it: what was flushed, and of the rest some writes, some of them torn. */
static void write_cut(Env *e, unsigned cut, bool lose)
{
    GByteArray *file = g_byte_array_new();
    unsigned flushed = 0;

    for (unsigned i = 0; i < cut; i++) {
        flushed = g_array_index(e->log, LogEntry, i).op == 'f' ? i : flushed;
    }
    g_byte_array_append(file, e->image, e->image_len);
    for (unsigned i = 0; i < cut; i++) {
        LogEntry l = g_array_index(e->log, LogEntry, i);

        if (l.op == 'f' || (lose && i > flushed && g_test_rand_int_range(0, 2))) {
            continue;
        }
        if (lose && i > flushed && l.op == 'w' && l.len > 512 && g_test_rand_int_range(0, 4) == 0) { /* sectors are whole */
            uint64_t first = g_test_rand_int_range(0, l.len / 512) * 512;

            l.offset += first;
            l.data = (char *)l.data + first;
            l.len = (g_test_rand_int_range(0, (l.len - first) / 512) + 1) * 512;
            l.len = min_of(l.len, g_array_index(e->log, LogEntry, i).len - first);
        }
        apply(file, &l);
    }
    put_file(e->path, file->data, file->len);
    g_byte_array_free(file, TRUE);
}

/* What the guest knows to be on the disk when the log had `at` entries, and what it wrote since then. */
typedef struct {
    unsigned at;
    uint8_t *data, *touched; /* a byte each: written after the flush before `at`, so old or new */
} Point;

typedef struct {
    Env *e;
    GArray *points;
    uint8_t *touched;
} Cut;

static void add_point(Cut *c)
{
    Point p = {c->e->log->len, g_memdup2(c->e->model, c->e->size), NULL};

    if (c->points->len) { /* what is written from here on may be there or not */
        g_array_index(c->points, Point, c->points->len - 1).touched = g_memdup2(c->touched, c->e->size);
    }
    memset(c->touched, 0, c->e->size);
    g_array_append_val(c->points, p);
}

static void CO_FN cut_step(Cut *c)
{
    Env *e = c->e;
    uint64_t at = g_test_rand_int_range(0, e->size), len = random_len(e, at), cluster = 1u << e->shape.cluster_bits;

    switch (g_test_rand_int_range(0, 10)) {
    case 0:
        memset(e->model + at, 0, len);
        memset(c->touched + at, 1, len);
        g_assert_cmpint(node_write_zeroes(e->n, at, len, IO_UNMAP), ==, 0);
        break;
    case 1:
        len = min_of(len + 100000, e->size - at);
        memset(c->touched + at, 1, len);
        g_assert_cmpint(node_discard(e->n, at, len), ==, 0);
        g_assert_cmpint(node_pread(e->n, at, e->model + at, len), ==, 0);
        break;
    case 2:
        at &= ~(cluster - 1);
        len = min_of(cluster, e->size - at);
        fill(e->model + at, len);
        memset(c->touched + at, 1, len);
        g_assert_cmpint(node_write(e->n, at, len, IO_OF(e->model + at, len), IO_COMPRESSED), ==, 0);
        break;
    case 3:
        g_assert_cmpint(node_flush(e->n), ==, 0);
        add_point(c);
        break;
    case 4:
        if (g_test_rand_int_range(0, 4) == 0 && e->shape.refcount_bits >= 8) {
            unsigned i = g_test_rand_int_range(0, 3);
            g_autofree char *name = g_strdup_printf("s%u", i);
            bool there = e->snapshots[i].data;

            g_assert_true(e->n->drv->snapshot(e->n, there ? SNAPSHOT_DELETE : SNAPSHOT_CREATE, name, &error_abort));
            e->snapshots[i].data = there ? NULL : e->model; /* only says that it is there */
        }
        break;
    default:
        fill(e->model + at, len);
        memset(c->touched + at, 1, len);
        g_assert_cmpint(node_write(e->n, at, len, IO_OF(e->model + at, len), 0), ==, 0);
    }
}

static void CO_FN look_after_cut(Cut *c, const Point *p)
{
    Env *e = c->e;
    g_autofree uint8_t *buf = g_malloc(e->size);
    BlockNode *n = block_open_file(e->ctx, e->path, "qcow2", &(BlockOpen){.no_flush = true}, &error_abort);

    check(n, true);
    g_assert_cmpint(node_pread(n, 0, buf, e->size), ==, 0);
    for (uint64_t i = 0; i < e->size; i++) {
        if (buf[i] != p->data[i] && !p->touched[i]) {
            g_error("cluster_bits %u: byte %" PRIu64 " was flushed as %02x and is %02x", e->shape.cluster_bits, i, p->data[i], buf[i]);
        }
    }
    node_unref(n);
}

static void CO_FN cut_body(void *opaque)
{
    Cut *c = opaque;
    Env *e = c->e;
    gsize len;

    create(e);
    reopen(e);
    g_assert_true(g_file_get_contents(e->path, (char **)&e->image, &len, NULL));
    e->image_len = len;
    e->ctx->log = record;
    e->ctx->log_opaque = e;
    add_point(c);
    for (unsigned i = 0; i < e->steps; i++) {
        cut_step(c);
    }
    node_unref(e->n);
    add_point(c);
    e->ctx->log = NULL;
    for (unsigned cut = 0, p = 0; cut <= e->log->len; cut++) {
        while (p + 2 < c->points->len && g_array_index(c->points, Point, p + 1).at <= cut) {
            p++;
        }
        if (g_array_index(c->points, Point, p).touched) {
            write_cut(e, cut, cut % 2);
            look_after_cut(c, &g_array_index(c->points, Point, p));
        }
    }
}

static void free_cut(Cut *c)
{
    for (unsigned i = 0; i < c->points->len; i++) {
        g_free(g_array_index(c->points, Point, i).data);
        g_free(g_array_index(c->points, Point, i).touched);
    }
    for (unsigned i = 0; i < c->e->log->len; i++) {
        g_free(g_array_index(c->e->log, LogEntry, i).data);
    }
    g_array_free(c->points, TRUE);
    g_array_free(c->e->log, TRUE);
    g_free(c->touched);
    g_free(c->e->image);
    memset(c->e->snapshots, 0, sizeof(c->e->snapshots));
}

static void test_power_cut(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(shapes); i++) {
        Env e;
        Cut c = {.e = &e};

        if (shapes[i].data_file || shapes[i].v2) {
            continue; /* two files; and snapshots of version 2 have no bit that says they were cut */
        }
        env_init(&e, &shapes[i]);
        e.size = min_of(e.size, (uint64_t)400 << 10) & ~(uint64_t)511;
        e.steps = g_test_slow() ? 400 : 50;
        e.log = g_array_new(FALSE, FALSE, sizeof(LogEntry));
        c.points = g_array_new(FALSE, FALSE, sizeof(Point));
        c.touched = g_malloc0(MAX_SIZE);
        block_run(e.ctx, cut_body, &c);
        free_cut(&c);
        env_finish(&e);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    rcu_thread_register();
    g_test_add_func("/qcow2/random", test_random);
    g_test_add_func("/qcow2/lost-block", test_lost_block);
    g_test_add_func("/qcow2/short-end", test_short_end);
    g_test_add_func("/qcow2/parallel", test_parallel);
    g_test_add_func("/qcow2/power-cut", test_power_cut);
    return g_test_run();
}
