/* qemu-img compare, dd, commit, bench. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tools/img.h"

enum { STEP = 2 << 20 };

/* ---- compare ---- */

/* The first byte that differs, or len. */
static size_t first_difference(const uint8_t *a, const uint8_t *b, size_t len)
{
    size_t i = 0;

    while (len - i >= 4096 && !memcmp(a + i, b + i, 4096)) {
        i += 4096;
    }
    while (i < len && a[i] == b[i]) {
        i++;
    }
    return i;
}

static int CO_FN read_error(uint64_t at, const char *name, int r)
{
    img_fail("Error while reading offset %" PRIu64 " of %s: %s", at, name, strerror(-r));
    return 4;
}

typedef struct {
    Img *img;
    BlockNode *n[2];
    uint8_t *buf[2];
} Compare;

/* -1: the same so far. */
static int CO_FN compare_run(Compare *c, uint64_t at, uint64_t len, const bool zero[2])
{
    size_t i;

    if (zero[0] && zero[1]) {
        return -1;
    }
    for (int k = 0; k < 2; k++) {
        int r = node_pread(c->n[k], at, c->buf[k], len);

        if (r) {
            return read_error(at, c->img->args[k], r);
        }
    }
    i = first_difference(c->buf[0], c->buf[1], len);
    if (i < len) {
        printf("Content mismatch at offset %" PRIu64 "!\n", at + round_down(i, 512));
        return 1;
    }
    return -1;
}

static int CO_FN compare(Compare *c, uint64_t from, uint64_t to)
{
    bool strict = given(c->img, 's');
    int result = -1;

    for (uint64_t at = from; result < 0 && at < to;) {
        uint64_t len = to - at;
        BlockStatus st[2];
        bool zero[2];

        for (int k = 0; k < 2; k++) {
            int r = node_status_chain(c->n[k], NULL, at, len, &st[k]);

            if (r) {
                img_fail("Sector allocation test failed for %s", c->img->args[k]);
                return 3;
            }
            zero[k] = !st[k].len || st[k].flags & ST_ZERO;
            len = st[k].len ? min_of(len, st[k].len) : len;
        }
        if (strict && !(st[0].flags & ST_ALLOCATED) != !(st[1].flags & ST_ALLOCATED)) {
            puts("Strict mode: Offset block status mismatch!");
            return 1;
        }
        len = zero[0] && zero[1] ? len : min_of(len, (uint64_t)STEP);
        result = compare_run(c, at, len, zero);
        at += len;
        img_progress(c->img, 100.0 * at / to);
    }
    return result;
}

static int CO_FN compare_images(Compare *c)
{
    uint64_t a = node_length(c->n[0]), b = node_length(c->n[1]);
    int result;

    if (given(c->img, 's') && a != b) {
        puts("Strict mode: Image size mismatch!");
        return 1;
    }
    result = compare(c, 0, min_of(a, b));
    if (result < 0 && a != b) { /* the rest of the longer one is zero */
        printf("Warning: Image size mismatch!\n");
        result = compare(c, min_of(a, b), max_of(a, b));
    }
    if (result < 0) {
        puts("Images are identical.");
        return 0;
    }
    return result;
}

int CO_FN img_compare(Img *img)
{
    BlockOpen how = {.read_only = true};
    Compare c = {.img = img};
    Error *err = NULL;
    Image a, b;
    int result;

    if (img->num_args != 2) {
        return img_fail("Expecting two image file names");
    }
    if (!img_cache(img, 'T', "writeback", &how, &err) || !img_open(img, img->args[0], img->value['f'], &how, PERM_READ, &a, &err)) {
        img_error(err);
        return 2;
    }
    if (!img_open(img, img->args[1], img->value['F'], &how, PERM_READ, &b, &err)) {
        img_close(&a);
        img_error(err);
        return 2;
    }
    for (int k = 0; k < 2; k++) {
        c.n[k] = k ? b.node : a.node;
        c.buf[k] = g_malloc(STEP);
    }
    result = compare_images(&c);
    g_free(c.buf[0]);
    g_free(c.buf[1]);
    img_close(&a);
    img_close(&b);
    return result;
}

/* ---- dd ---- */

typedef struct {
    const char *in, *out;
    uint64_t bs, count, skip;
    bool has_count;
} Dd;

static bool parse_dd(Img *img, Dd *d, Error **errp)
{
    d->bs = 512;
    for (int i = 0; i < img->num_args; i++) {
        const char *eq = strchr(img->args[i], '='), *v = eq ? eq + 1 : "";
        size_t n = eq ? (size_t)(eq - img->args[i]) : 0;
        g_autofree char *key = g_strndup(img->args[i], n);
        bool ok = true;

        if (!strcmp(key, "if")) {
            d->in = v;
        } else if (!strcmp(key, "of")) {
            d->out = v;
        } else if (!strcmp(key, "bs")) {
            ok = img_size("bs", v, &d->bs, errp) && ((d->bs && d->bs <= INT32_MAX) || error_set(errp, "Invalid number: '%s'", v));
        } else if (!strcmp(key, "skip")) {
            ok = img_size("skip", v, &d->skip, errp);
        } else if (!strcmp(key, "count")) {
            ok = img_size("count", v, &d->count, errp);
            d->has_count = true;
        } else {
            return error_set(errp, eq ? "Unrecognized operand %s" : "Unrecognized operand %s", img->args[i]);
        }
        if (!ok) {
            return false;
        }
    }
    return (d->in && d->out) || error_set(errp, "Must specify both input and output file names");
}

static int CO_FN copy_bytes(BlockNode *from, uint64_t at, BlockNode *to, uint64_t len)
{
    g_autofree uint8_t *buf = g_malloc(STEP);
    int r = 0;

    for (uint64_t i = 0; !r && i < len; i += STEP) {
        uint64_t n = min_of(len - i, (uint64_t)STEP);

        r = node_pread(from, at + i, buf, n);
        if (!r && !buf_is_zero(buf, n)) { /* the target is new */
            r = node_pwrite(to, i, buf, n);
        }
    }
    return r;
}

static bool CO_FN dd(Img *img, const Dd *d, Image *in, Error **errp)
{
    const char *format = given(img, 'O') ? img->value['O'] : "raw";
    uint64_t length = node_length(in->node), skip, size;
    BlockCreate c = {0};
    Image out;
    int r;

    skip = d->skip > length / d->bs ? length : d->skip * d->bs;
    size = length - skip;
    if (d->has_count && d->count <= size / d->bs) {
        size = d->count * d->bs;
    }
    c.size = round_up(size, 512);
    if (!img_make(img, d->out, format, &c, errp)) {
        return error_prepend(errp, "%s: error while creating output image of type %s: ", d->out, format);
    }
    if (!img_open(img, d->out, format, &(BlockOpen){.no_flush = true}, PERM_READ | PERM_WRITE | PERM_RESIZE, &out, errp)) {
        return false;
    }
    r = copy_bytes(in->node, skip, out.node, size);
    r = r ? r : node_flush(out.node);
    img_close(&out);
    return !r || error_set_errno(errp, -r, "error while copying");
}

int CO_FN img_dd(Img *img)
{
    BlockOpen how = {.read_only = true, .force_share = given(img, 'U')};
    Error *err = NULL;
    Dd d = {0};
    Image in;

    if (given(img, 'O') && !block_driver(img->value['O'])) {
        return img_fail("Unknown file format '%s'", img->value['O']);
    }
    if (!parse_dd(img, &d, &err) || !img_open(img, d.in, img->value['f'], &how, PERM_READ, &in, &err)) {
        return img_error(err);
    }
    dd(img, &d, &in, &err);
    img_close(&in);
    return err ? img_error(err) : 0;
}

/* ---- commit ---- */

static int CO_FN commit_data(Img *img, BlockNode *top, BlockNode *base, BlockNode *into)
{
    g_autofree uint8_t *buf = g_malloc(STEP);
    uint64_t length = node_length(top);
    int r = 0;

    for (uint64_t at = 0; !r && at < length;) {
        BlockStatus st;

        r = node_status_chain(top, base, at, length - at, &st);
        if (!r && st.flags & ST_ALLOCATED && st.flags & ST_ZERO) {
            r = node_write_zeroes(into, at, st.len, IO_UNMAP);
        } else if (!r && st.flags & ST_ALLOCATED) {
            st.len = min_of(st.len, (uint64_t)STEP);
            r = node_pread(top, at, buf, st.len);
            r = r ? r : node_pwrite(into, at, buf, st.len);
        }
        at += st.len;
        img_progress(img, 100.0 * at / length);
    }
    return r ? r : node_flush(into);
}

static BlockNode *find_base(BlockNode *top, const char *name, Error **errp)
{
    BlockNode *b = node_backing(top);

    while (b && name && strcmp(node_filename(b), name)) {
        g_autofree char *path = block_path_beside(node_filename(top), name);

        if (!strcmp(node_filename(b), path)) {
            break;
        }
        b = node_backing(b);
    }
    if (!b) {
        error_set(errp, name ? "Did not find '%s' in the backing chain of '%s'" : "Image does not have a backing file", name,
                  node_filename(top));
    }
    return b;
}

/*
 * The base is opened for reading below `top`, which keeps everybody from writing it: it is detached, and so closed, and opened
 * again. Meanwhile what its parent does not have reads as zeros; only what the chain above has is copied.
 */
static bool CO_FN commit(Img *img, Image *top, Error **errp)
{
    BlockNode *base = find_base(top->node, img->value['b'], errp), *parent = top->node;
    bool drop = given(img, 'd') || given(img, 'b'), ok;
    g_autofree char *name = base ? g_strdup(node_filename(base)) : NULL;
    const char *format = base ? node_driver_name(base) : NULL;
    Image into;
    int r;

    if (!base) {
        return false;
    }
    while (node_backing(parent) != base) {
        parent = node_backing(parent);
    }
    if (!node_set_backing(parent, NULL, errp) ||
        !img_open(img, name, format, &(BlockOpen){.unmap = true}, PERM_READ | PERM_WRITE | PERM_RESIZE, &into, errp)) {
        return false;
    }
    ok = node_length(into.node) >= node_length(top->node) || node_resize(into.node, node_length(top->node), false, errp);
    r = ok ? commit_data(img, top->node, NULL, into.node) : 0;
    img_close(&into);
    if (!ok || r) {
        return !ok ? false : error_set_errno(errp, -r, "error while committing");
    }
    return drop || !top->node->drv->make_empty || top->node->drv->make_empty(top->node, errp);
}

int CO_FN img_commit(Img *img)
{
    BlockOpen how = {.unmap = true};
    Error *err = NULL;
    Image image;

    if (img->num_args != 1) {
        return img_fail("Expecting one image file name");
    }
    if (given(img, 'r')) {
        return img_fail("-r is not here yet");
    }
    if (!img_cache(img, 't', "writeback", &how, &err) ||
        !img_open(img, img->args[0], img->value['f'], &how, PERM_READ | PERM_WRITE, &image, &err)) {
        return img_error(err);
    }
    commit(img, &image, &err);
    img_close(&image);
    if (!err && !given(img, 'q')) {
        puts("Image committed.");
    }
    return err ? img_error(err) : 0;
}

/* ---- bench ---- */

typedef struct {
    BlockNode *n;
    uint64_t left, at, size, step, length, flush_every, until_flush;
    bool write, drain;
    uint8_t *buf;
    unsigned running, in_flight;
    bool flushing;          /* nobody begins a request until it is done */
    int error;
    CoQueue ended, moved;   /* moved: in_flight or flushing */
} Bench;

/* Behind all requests that are under way, unless --no-drain. */
static int CO_FN bench_flush(Bench *b)
{
    int r;

    b->flushing = b->drain;
    while (b->flushing && b->in_flight) {
        co_queue_wait(&b->moved, NULL);
    }
    r = node_flush(b->n);
    b->flushing = false;
    co_queue_all(&b->moved);
    return r;
}

static void CO_FN bench_worker(void *opaque)
{
    Bench *b = opaque;

    for (;;) {
        uint64_t at;
        int r;

        while (b->flushing) {
            co_queue_wait(&b->moved, NULL);
        }
        if (b->error || !b->left) {
            break;
        }
        at = b->at;
        b->in_flight++;
        b->left--;
        b->at += b->step;
        if (b->at + b->size > b->length) {
            b->at = 0;
        }
        r = b->write ? node_pwrite(b->n, at, b->buf, b->size) : node_pread(b->n, at, b->buf, b->size);
        b->in_flight--;
        co_queue_all(&b->moved);
        if (!r && b->flush_every && --b->until_flush == 0) {
            b->until_flush = b->flush_every;
            r = bench_flush(b);
        }
        b->error = r ? r : b->error;
    }
    b->running--;
    co_queue_all(&b->ended);
}

static double CO_FN run_bench(Bench *b, unsigned depth)
{
    struct timespec from, to;

    co_queue_init(&b->ended);
    co_queue_init(&b->moved);
    clock_gettime(CLOCK_MONOTONIC, &from);
    b->running = depth;
    for (unsigned i = 0; i < depth; i++) {
        co_enter(co_new(bench_worker, b));
    }
    while (b->running) {
        co_queue_wait(&b->ended, NULL);
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    co_queue_finish(&b->ended);
    co_queue_finish(&b->moved);
    return to.tv_sec - from.tv_sec + (to.tv_nsec - from.tv_nsec) / 1e9;
}

static bool parse_bench(Img *img, Bench *b, uint64_t *depth, uint64_t *pattern, Error **errp)
{
    const struct {
        int option;
        const char *name;
        uint64_t *to, max;
    } numbers[] = {{'c', "request count", &b->left, INT32_MAX}, {'d', "queue depth", depth, 1024},
                   {OPT_FLUSH_INTERVAL, "flush interval", &b->flush_every, INT32_MAX}, {OPT_PATTERN, "pattern byte", pattern, 255},
                   {'s', "buffer size", &b->size, INT32_MAX}, {'S', "step size", &b->step, INT32_MAX}, {'o', "offset", &b->at, INT64_MAX}};

    for (unsigned i = 0; i < ARRAY_SIZE(numbers); i++) {
        const char *v = img->value[numbers[i].option];

        if (v && (!img_size(numbers[i].name, v, numbers[i].to, errp) || *numbers[i].to > numbers[i].max)) {
            return errp && *errp ? false : error_set(errp, "Invalid %s specified: %s, at most %" PRIu64, numbers[i].name, v, numbers[i].max);
        }
    }
    b->step = b->step ? b->step : b->size;
    b->until_flush = b->flush_every;
    b->write = given(img, 'w');
    b->drain = !given(img, OPT_NO_DRAIN);
    if (b->flush_every && !b->write) {
        return error_set(errp, "--flush-interval is only available in write tests");
    }
    if (b->flush_every && b->flush_every < *depth) {
        return error_set(errp, "Flush interval can't be smaller than depth");
    }
    return (b->size && *depth) || error_set(errp, "Invalid buffer size or queue depth: 0");
}

int CO_FN img_bench(Img *img)
{
    uint64_t depth = 64, pattern = 0;
    Bench b = {.left = 75000, .size = 4096};
    BlockOpen how = {0};
    Error *err = NULL;
    Image image;
    double seconds;

    if (img->num_args != 1) {
        return img_fail("Expecting one image file name");
    }
    if (given(img, 'i') && strcmp(img->value['i'], "threads")) {
        return img_fail("-i %s is not here yet; there is threads", img->value['i']);
    }
    how.read_only = !given(img, 'w');
    if (!parse_bench(img, &b, &depth, &pattern, &err) || !img_cache(img, 't', "writeback", &how, &err) ||
        !img_open(img, img->args[0], img->value['f'], &how, PERM_READ | (b.write ? PERM_WRITE | PERM_RESIZE : 0), &image, &err)) {
        return img_error(err);
    }
    b.n = image.node;
    b.length = node_length(b.n);
    b.buf = g_malloc(b.size);
    memset(b.buf, pattern, b.size);
    if (!given(img, 'q')) {
        printf("Sending %" PRIu64 " %s requests, %" PRIu64 " bytes each, %" PRIu64 " in parallel (starting at offset %" PRIu64
               ", step size %" PRIu64 ")\n", b.left, b.write ? "write" : "read", b.size, depth, b.at, b.step);
        if (b.flush_every) {
            printf("Sending flush every %" PRIu64 " requests\n", b.flush_every);
        }
        fflush(stdout);
    }
    seconds = run_bench(&b, depth);
    if (!b.error) {
        printf("Run completed in %.3f seconds.\n", seconds);
    }
    g_free(b.buf);
    img_close(&image);
    return b.error ? img_fail("Failed request: %s", strerror(-b.error)) : 0;
}
