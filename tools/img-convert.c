/*
 * qemu-img convert. Copiers, coroutines, take pieces of the source one after the other; while one compresses in a thread, others
 * read and write, so that compression uses all processors.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tools/img.h"

enum { PIECE = 2 << 20, COMPRESSED_PIECE = 1 << 20, MAX_COPIERS = 16 };

typedef struct {
    Img *img;
    Image *from;         /* one behind the other */
    uint64_t *starts;    /* of each in the result; one more: the length */
    unsigned num;
    Image to;
    BlockNode *base;     /* what lies below the result: not copied */
    bool compressed, zero_already, in_order;
    uint64_t length, unit, piece, min_sparse; /* unit: cluster of the target; piece: what is compressed at once */
    /* ---- shared by the copiers ---- */
    uint64_t next, done, written; /* written: all before it, when in_order */
    unsigned running;
    int error;
    bool reading;        /* what failed */
    uint64_t error_at;
    CoQueue ended, turn;
    double told;
} Convert;

typedef struct {
    uint64_t at, len;
    unsigned source;
    bool skip, zero;     /* else data */
} Piece;

/* ---- What to copy ---- */

static unsigned source_of(const Convert *c, uint64_t at)
{
    unsigned i = 0;

    while (i + 1 < c->num && at >= c->starts[i + 1]) {
        i++;
    }
    return i;
}

/* The next piece, all of one kind. Compressed: whole clusters, which may be of more than one kind: data. */
static int CO_FN take_piece(Convert *c, Piece *p)
{
    BlockStatus st = {0};
    uint64_t end;
    int r = 0;

    p->at = c->next;
    p->source = source_of(c, p->at);
    end = min_of(c->starts[p->source + 1], p->at + (c->compressed ? c->piece : (uint64_t)PIECE));
    p->len = end - p->at;
    p->skip = p->zero = false;
    r = node_status_chain(c->from[p->source].node, c->base ? node_backing(c->from[p->source].node) : NULL, p->at - c->starts[p->source],
                          c->compressed ? p->len : c->starts[p->source + 1] - p->at, &st);
    if (r || (c->compressed && st.len < p->len)) {
        c->next = end;
        return r;
    }
    if (c->base && !(st.flags & ST_ALLOCATED)) {
        p->skip = true;
    } else if (st.flags & ST_ZERO) {
        p->zero = true;
    }
    if (!c->compressed) { /* holes of any size, data a piece at a time */
        p->len = p->skip || p->zero ? st.len : min_of(st.len, p->len);
    }
    if (c->num > 1 && p->at + p->len > c->starts[p->source + 1]) {
        p->len = c->starts[p->source + 1] - p->at;
    }
    c->next = p->at + p->len;
    return 0;
}

/* ---- Copying ---- */

static int CO_FN write_zeros(Convert *c, uint64_t at, uint64_t len)
{
    return c->zero_already ? 0 : node_write_zeroes(c->to.node, at, len, IO_UNMAP);
}

/* Length of what begins at p and is all zeros, or all not, in steps of min_sparse. */
static uint64_t same_kind(const Convert *c, const uint8_t *p, uint64_t at, uint64_t len, bool *zero)
{
    uint64_t step = c->min_sparse - (at & (c->min_sparse - 1)), n = min_of(step, len);

    *zero = buf_is_zero(p, n);
    while (n < len) {
        step = min_of(c->min_sparse, len - n);
        if (buf_is_zero(p + n, step) != *zero) {
            break;
        }
        n += step;
    }
    return n;
}

static int CO_FN write_compressed(Convert *c, const Piece *p, const uint8_t *buf)
{
    int r = 0;

    for (uint64_t i = 0, n; !r && i < p->len; i += n) {
        bool zero = buf_is_zero(buf + i, min_of(c->unit, p->len - i));

        for (n = c->unit; i + n < p->len && buf_is_zero(buf + i + n, min_of(c->unit, p->len - i - n)) == zero;) {
            n += c->unit;
        }
        n = min_of(n, p->len - i);
        r = zero ? write_zeros(c, p->at + i, n) : node_write(c->to.node, p->at + i, n, IO_OF(buf + i, n), IO_COMPRESSED);
    }
    return r;
}

static int CO_FN write_data(Convert *c, const Piece *p, const uint8_t *buf)
{
    int r = 0;

    if (c->compressed) {
        return write_compressed(c, p, buf);
    }
    if (!c->min_sparse) {
        return node_pwrite(c->to.node, p->at, buf, p->len);
    }
    for (uint64_t i = 0; !r && i < p->len;) {
        bool zero;
        uint64_t n = same_kind(c, buf + i, p->at + i, p->len - i, &zero);

        r = zero && !c->base ? write_zeros(c, p->at + i, n)
            : zero           ? node_write_zeroes(c->to.node, p->at + i, n, 0)
                             : node_pwrite(c->to.node, p->at + i, buf + i, n);
        i += n;
    }
    return r;
}

/* Pieces reach the target in its order, unless -W. Compressed ones need not: where they lie is the format's affair. */
static void CO_FN wait_for_turn(Convert *c, const Piece *p)
{
    while (c->in_order && c->written != p->at && !c->error) {
        co_queue_wait(&c->turn, NULL);
    }
}

static int CO_FN copy_piece(Convert *c, const Piece *p, uint8_t *buf)
{
    int r;

    if (p->skip || p->zero) {
        wait_for_turn(c, p);
    }
    if (p->skip) {
        return 0;
    }
    if (p->zero) {
        return c->base ? node_write_zeroes(c->to.node, p->at, p->len, 0) : write_zeros(c, p->at, p->len);
    }
    r = node_pread(c->from[p->source].node, p->at - c->starts[p->source], buf, p->len);
    if (r) {
        c->reading = true;
        return r;
    }
    wait_for_turn(c, p);
    return c->error ? 0 : write_data(c, p, buf);
}

static void CO_FN copier(void *opaque)
{
    Convert *c = opaque;
    uint8_t *buf = g_malloc(c->compressed ? c->piece : PIECE);
    Piece p;

    while (!c->error && c->next < c->length) {
        int r = take_piece(c, &p);

        r = r ? r : copy_piece(c, &p, buf);
        if (r && !c->error) {
            c->error = r;
            c->error_at = p.at;
        }
        c->done += p.len;
        c->written = p.at + p.len;
        co_queue_all(&c->turn);
        if (c->done >= c->told + c->length / 1000.0) {
            c->told = c->done;
            img_progress(c->img, 100.0 * c->done / c->length);
        }
    }
    g_free(buf);
    c->running--;
    co_queue_all(&c->ended);
}

static bool CO_FN copy(Convert *c, Error **errp)
{
    uint64_t threads = 8;

    if (given(c->img, 'm') && !img_uint("-m", c->img->value['m'], MAX_COPIERS, &threads, errp)) {
        return false;
    }
    if (!threads) {
        return error_set(errp, "Invalid number of coroutines. Allowed number of coroutines is between 1 and %d", MAX_COPIERS);
    }
    co_queue_init(&c->ended);
    co_queue_init(&c->turn);
    c->in_order = !given(c->img, 'W') && !c->compressed;
    c->running = threads; /* where nothing is (de)compressed nothing waits, and the first does all */
    img_progress(c->img, 0);
    for (unsigned i = c->running; i > 0; i--) {
        co_enter(co_new(copier, c));
    }
    while (c->running) {
        co_queue_wait(&c->ended, NULL);
    }
    co_queue_finish(&c->ended);
    co_queue_finish(&c->turn);
    if (c->error) {
        return error_set(errp, "error while %s at byte %" PRIu64 ": %s", c->reading ? "reading" : "writing", c->error_at,
                         strerror(-c->error));
    }
    img_progress(c->img, 100);
    if (given(c->img, 'p') && !given(c->img, 'q')) {
        puts("");
    }
    return true;
}

/* ---- Sources and target ---- */

static bool CO_FN open_sources(Convert *c, Error **errp)
{
    Img *img = c->img;
    BlockOpen how = {.read_only = true};
    const char *snapshot = img->value['l'];

    if (!img_cache(img, 'T', "writeback", &how, errp)) {
        return false;
    }
    for (c->num = 0; (int)c->num < img->num_args - 1; c->num++) {
        if (!img_open(img, img->args[c->num], img->value['f'], &how, PERM_READ, &c->from[c->num], errp)) {
            return false;
        }
        c->starts[c->num] = c->length;
        c->length += node_length(c->from[c->num].node);
        c->starts[c->num + 1] = c->length;
    }
    if (snapshot) {
        BlockNode *n = c->from[0].node;

        snapshot = !strncmp(snapshot, "snapshot.name=", 14) ? snapshot + 14 : !strncmp(snapshot, "snapshot.id=", 12) ? snapshot + 12 : snapshot;
        if (c->num > 1) {
            return error_set(errp, "No support for concatenating multiple snapshot");
        }
        if (!n->drv->snapshot) {
            return error_set(errp, "Failed to load snapshot: format '%s' has none", node_driver_name(n));
        }
        if (!n->drv->snapshot(n, SNAPSHOT_SHOW, snapshot, errp)) {
            return error_prepend(errp, "Failed to load snapshot: ");
        }
        c->length = c->starts[1] = node_length(n);
    }
    return true;
}

static bool make_target(Convert *c, const char *name, const char *format, ImgCreate *o, Error **errp)
{
    BlockCreate *b = &o->c;

    if (!o->has_size) {
        b->size = round_up(c->length, 512);
    }
    b->backing_file = given(c->img, 'B') ? c->img->value['B'] : b->backing_file;
    b->backing_fmt = given(c->img, 'F') ? c->img->value['F'] : b->backing_fmt;
    if (b->backing_file && !b->backing_fmt) {
        return error_set(errp, "backing format must be specified with -B: use -F");
    }
    return img_make(c->img, name, format, b, errp) || error_prepend(errp, "%s: error while converting %s: ", name, format);
}

static bool CO_FN open_target(Convert *c, const char *format, ImgCreate *o, Error **errp)
{
    const char *name = c->img->args[c->img->num_args - 1];
    unsigned perm = PERM_READ | PERM_WRITE | PERM_RESIZE;
    BlockOpen how = {0};
    bool fresh = !given(c->img, 'n'), opts = given(c->img, OPT_TARGET_IMAGE_OPTS);

    if (fresh && !make_target(c, name, format, o, errp)) {
        return false;
    }
    if (!img_cache(c->img, 't', "unsafe", &how, errp)) {
        return false;
    }
    how.force_share = false;
    how.unmap = true;
    if (opts ? !img_open_opts(c->img, name, &how, perm, &c->to, errp) : !({
            const char *saved = c->img->value[OPT_IMAGE_OPTS];
            bool ok;

            c->img->value[OPT_IMAGE_OPTS] = NULL; /* it speaks of the sources */
            ok = img_open(c->img, name, format, &how, perm, &c->to, errp);
            c->img->value[OPT_IMAGE_OPTS] = saved;
            ok;
        })) {
        return false;
    }
    c->base = node_backing(c->to.node);
    c->zero_already = !c->base && (fresh || given(c->img, OPT_TARGET_IS_ZERO)) && c->to.node->file &&
                      c->to.node->file->node->drv->id == BLOCKDEV_DRIVER_FILE;
    c->zero_already |= given(c->img, OPT_TARGET_IS_ZERO);
    if (node_length(c->to.node) < c->length && !fresh) {
        return error_set(errp, "output file is smaller than input file");
    }
    if (c->compressed && !c->to.node->drv->cluster_size) {
        return error_set(errp, "Compression not supported for this file format");
    }
    c->unit = c->to.node->drv->cluster_size ? c->to.node->drv->cluster_size(c->to.node) : 65536;
    c->piece = max_of(c->unit, (uint64_t)COMPRESSED_PIECE);
    return true;
}

static bool CO_FN convert(Convert *c, const char *format, ImgCreate *o, Error **errp)
{
    uint64_t sparse = 4096;
    int r;

    if (given(c->img, 'S') && !img_size("Invalid buffer size for sparse output specified", c->img->value['S'], &sparse, errp)) {
        return false;
    }
    if (sparse && (!is_pow2(sparse) || sparse < 512)) {
        return error_set(errp, "-S %" PRIu64 ": must be 0 or a power of two from 512 on", sparse);
    }
    c->min_sparse = sparse;
    if (!open_sources(c, errp) || !open_target(c, format, o, errp)) {
        return false;
    }
    c->zero_already = c->zero_already && sparse;
    if (c->zero_already && !sparse) {
        c->zero_already = false;
    }
    if (!copy(c, errp)) {
        return false;
    }
    r = node_flush(c->to.node);
    return !r || error_set_errno(errp, -r, "error while writing the image's tables");
}

static const char *refused(Img *img)
{
    static const struct {
        int option;
        const char *name;
    } missing[] = {{'C', "-C"}, {'r', "-r"}, {OPT_SALVAGE, "--salvage"}, {OPT_BITMAPS, "--bitmaps"}};

    for (unsigned i = 0; i < ARRAY_SIZE(missing); i++) {
        if (given(img, missing[i].option)) {
            return missing[i].name;
        }
    }
    return NULL;
}

int CO_FN img_convert(Img *img)
{
    const char *format = given(img, 'O') ? img->value['O'] : given(img, OPT_TARGET_IMAGE_OPTS) ? NULL : "raw";
    Convert c = {.img = img, .compressed = given(img, 'c')};
    Error *err = NULL;
    ImgCreate o = {0};

    if (refused(img)) {
        return img_fail("%s is not here yet", refused(img));
    }
    if (img->num_args < 2) {
        return img_fail("Must specify image file name");
    }
    if (given(img, OPT_TARGET_IMAGE_OPTS) && !given(img, 'n')) {
        return img_fail("--target-image-opts requires use of -n flag");
    }
    if (given(img, OPT_TARGET_IS_ZERO) && !given(img, 'n')) {
        return img_fail("--target-is-zero requires use of -n flag");
    }
    if (format && !block_driver(format)) {
        return img_fail("Unknown file format '%s'", format);
    }
    if (!img_create_options(img, format ? format : "raw", &o, &err)) {
        return img_error(err);
    }
    c.from = g_new0(Image, img->num_args);
    c.starts = g_new0(uint64_t, img->num_args + 1);
    convert(&c, format, &o, &err);
    img_close(&c.to);
    for (int i = 0; i < img->num_args; i++) {
        img_close(&c.from[i]);
    }
    g_free(c.from);
    g_free(c.starts);
    img_create_finish(&o);
    return err ? img_error(err) : 0;
}
