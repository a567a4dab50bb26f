/* qemu-img create, resize, rebase, snapshot. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "qapi/keyval.h"
#include "tools/img.gen.h"
#include "tools/img.h"

/* ---- -o ---- */

/* Options of qcow2 that raw has too. */
static bool raw_has(const char *name)
{
    return !strcmp(name, "size") || !strcmp(name, "preallocation") || !strcmp(name, "nocow");
}

static bool check_names(const QKeyval *kv, const char *format, Error **errp)
{
    for (size_t i = 0; i < kv->len; i++) {
        const char *key = kv->items[i].key;

        if (!qtype_member(&qtype_ImgCreateOptions, key) || (!strcmp(format, "raw") && !raw_has(key))) {
            return error_set(errp, "Invalid parameter '%s'", key);
        }
    }
    return true;
}

static char *own(ImgCreate *c, const char *text)
{
    char *s = text ? g_strdup(text) : NULL;

    if (s) {
        g_ptr_array_add(c->owned, s);
    }
    return s;
}

static bool take(const ImgCreateOptions *o, ImgCreate *out, Error **errp)
{
    BlockCreate *c = &out->c;

    out->has_size = o->has_size;
    c->size = round_up(o->size, 512);
    c->cluster_size = o->cluster_size;
    c->backing_file = own(out, o->backing_file);
    c->backing_fmt = own(out, o->backing_fmt);
    c->data_file = own(out, o->data_file);
    c->compression_type = own(out, o->compression_type);
    c->lazy_refcounts = o->lazy_refcounts;
    c->extended_l2 = o->extended_l2;
    c->data_file_raw = o->data_file_raw;
    c->refcount_bits = o->refcount_bits;
    if (o->has_cluster_size && !o->cluster_size) {
        return error_set(errp, "Cluster size must be a power of two between 512 and 2048k");
    }
    if (o->compat && strlen(o->compat) >= sizeof(c->compat)) {
        return error_set(errp, "Invalid parameter '%s'", o->compat);
    }
    g_strlcpy(c->compat, o->compat ? o->compat : "", sizeof(c->compat));
    if ((o->preallocation && strcmp(o->preallocation, "off")) || o->nocow) {
        return error_set(errp, o->nocow ? "nocow=on is not here yet; there is off" : "preallocation=%s is not here yet; there is off",
                         o->preallocation);
    }
    return true;
}

bool img_create_options(Img *img, const char *format, ImgCreate *out, Error **errp)
{
    ImgCreateOptions o = {0};
    QKeyval kv = {0};
    bool ok = true;

    *out = (ImgCreate){.owned = g_ptr_array_new_with_free_func(g_free)};
    for (unsigned i = 0; ok && i < img->o->len; i++) {
        ok = qkeyval_parse(&kv, g_ptr_array_index(img->o, i), NULL, &qtype_ImgCreateOptions, "-o", errp);
    }
    ok = ok && check_names(&kv, format, errp) && qkeyval_read(&kv, &qtype_ImgCreateOptions, &o, NULL, errp);
    if (ok) {
        ok = take(&o, out, errp);
        qvalue_finish(&qtype_ImgCreateOptions, &o, NULL);
    }
    qkeyval_finish(&kv);
    if (!ok) {
        img_create_finish(out);
    }
    return ok;
}

void img_create_finish(ImgCreate *c)
{
    if (c->owned) {
        g_ptr_array_free(c->owned, TRUE);
        c->owned = NULL;
    }
}

/* ---- create ---- */

void img_print_formatting(const char *name, const char *format, const BlockCreate *c)
{
    bool qcow2 = !strcmp(format, "qcow2");

    printf("Formatting '%s', fmt=%s", name, format);
    if (qcow2) {
        printf(" cluster_size=%" PRIu64 " extended_l2=%s compression_type=%s", c->cluster_size ? c->cluster_size : 65536,
               c->extended_l2 ? "on" : "off", c->compression_type ? c->compression_type : "zlib");
    }
    printf(" size=%" PRIu64, c->size);
    if (qcow2 && *c->compat) {
        printf(" compat=%s", c->compat);
    }
    if (c->backing_file) {
        printf(" backing_file=%s", c->backing_file);
    }
    if (c->backing_fmt) {
        printf(" backing_fmt=%s", c->backing_fmt);
    }
    if (c->data_file) {
        printf(" data_file=%s", c->data_file);
    }
    if (qcow2) {
        printf(" lazy_refcounts=%s refcount_bits=%u", c->lazy_refcounts ? "on" : "off", c->refcount_bits ? c->refcount_bits : 16);
    }
    printf("\n");
}

static bool make_file(const char *name, Error **errp)
{
    const char *path = !strncmp(name, "file:", 5) ? name + 5 : name;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

    if (fd < 0) {
        return error_set_errno(errp, errno, "Could not create '%s'", path);
    }
    close(fd);
    return true;
}

/* The file for data has the disk's size. */
static bool CO_FN size_data_file(Img *img, const char *name, const BlockCreate *c, Error **errp)
{
    g_autofree char *path = c->data_file ? block_path_beside(name, c->data_file) : NULL;
    Image file;
    bool ok;

    if (!path) {
        return true;
    }
    if (!make_file(path, errp)) {
        return false;
    }
    file = (Image){.node = block_open_file(img->ctx, path, "file", &(BlockOpen){0}, errp)};
    ok = file.node && node_resize(file.node, c->size, false, errp);
    img_close(&file);
    return ok;
}

bool CO_FN img_make(Img *img, const char *name, const char *format, const BlockCreate *c, Error **errp)
{
    const BlockDriver *drv = block_driver(format);
    struct stat sb;
    Image file;
    bool ok;

    if (!drv || !drv->create) {
        return error_set(errp, drv ? "Format driver '%s' does not support image creation" : "Unknown file format '%s'", format);
    }
    if (!size_data_file(img, name, c, errp)) {
        return false;
    }
    if (!make_file(name, errp)) {
        return false;
    }
    if (stat(name, &sb) == 0 && S_ISBLK(sb.st_mode) && !strcmp(format, "raw")) {
        return true; /* a device is as large as it is */
    }
    file = (Image){.node = block_open_file(img->ctx, name, stat(name, &sb) == 0 && S_ISBLK(sb.st_mode) ? "host_device" : "file",
                                           &(BlockOpen){.unmap = true}, errp)};
    file.use = file.node ? node_use(file.node, NULL, "qemu-img", PERM_ALL & ~PERM_WRITE_UNCHANGED, PERM_READ, errp) : NULL;
    ok = file.use && drv->create(file.node, c, errp);
    img_close(&file);
    return ok;
}

/* The size of what lies below, which a new image has when none is given. */
static bool CO_FN look_below(Img *img, const char *name, BlockCreate *c, bool need_size, Error **errp)
{
    g_autofree char *path = block_path_beside(name, c->backing_file);
    BlockNode *n;

    n = block_open_file(img->ctx, path, c->backing_fmt, &(BlockOpen){.read_only = true}, errp);
    if (!n) {
        return false;
    }
    if (need_size) {
        c->size = round_up(node_length(n), 512);
    }
    node_unref(n);
    return true;
}

static bool CO_FN create(Img *img, const char *format, ImgCreate *c, Error **errp)
{
    const char *name = img->args[0];

    if (img->num_args > 1) {
        if (!img_size("Invalid image size", img->args[1], &c->c.size, errp)) {
            return error_set(errp, "Invalid image size specified! You may use k, M, G, T, P or E suffixes for kilobytes, megabytes, "
                                   "gigabytes, terabytes, petabytes and exabytes.");
        }
        c->c.size = round_up(c->c.size, 512);
        c->has_size = true;
    }
    c->c.backing_file = given(img, 'b') ? img->value['b'] : c->c.backing_file;
    c->c.backing_fmt = given(img, 'F') ? img->value['F'] : c->c.backing_fmt;
    if (c->c.backing_fmt && !block_driver(c->c.backing_fmt)) {
        return error_set(errp, "%s: Unknown backing file format '%s'", name, c->c.backing_fmt);
    }
    if (c->c.backing_file && !c->c.backing_fmt) {
        error_set(errp, "%s: Backing file specified without backing format", name);
        return error_hint(errp, "Detected format could not be relied on: give it by -F");
    }
    if (c->c.backing_file && !strcmp(format, "raw")) {
        return error_set(errp, "%s: Backing file not supported for file format 'raw'", name);
    }
    if (c->c.backing_file && !given(img, 'u') && !look_below(img, name, &c->c, !c->has_size, errp)) {
        return error_prepend(errp, "%s: ", name);
    }
    if (!c->has_size && (!c->c.backing_file || given(img, 'u'))) {
        return error_set(errp, "%s: Image creation needs a size parameter", name);
    }
    if (c->c.size > BLOCK_MAX_LENGTH) {
        return error_set(errp, "%s: Image size must be less than 8 EiB!", name);
    }
    if (!given(img, 'q')) {
        img_print_formatting(name, format, &c->c);
    }
    return img_make(img, name, format, &c->c, errp) || error_prepend(errp, "%s: ", name);
}

int CO_FN img_create(Img *img)
{
    const char *format = given(img, 'f') ? img->value['f'] : "raw";
    Error *err = NULL;
    ImgCreate c;

    if (img->num_args < 1 || img->num_args > 2) {
        return img_fail(img->num_args ? "Unexpected argument: %s" : "Expecting image file name", img->num_args ? img->args[2] : "");
    }
    if (!block_driver(format)) {
        return img_fail("%s: Unknown file format '%s'", img->args[0], format);
    }
    if (!img_create_options(img, format, &c, &err)) {
        error_prepend(&err, "%s: ", img->args[0]);
        return img_error(err);
    }
    create(img, format, &c, &err);
    img_create_finish(&c);
    return err ? img_error(err) : 0;
}

/* ---- resize ---- */

static bool CO_FN resize(Img *img, BlockNode *n, const char *text, Error **errp)
{
    char sign = *text == '+' || *text == '-' ? *text++ : 0;
    uint64_t size, before = node_length(n);

    if (!img_size("image size", text, &size, errp)) {
        return false;
    }
    if (sign == '+' ? size > BLOCK_MAX_LENGTH - before : sign == '-' && size >= before) {
        return error_set(errp, "New image size must be positive");
    }
    size = round_up(sign == '+' ? before + size : sign == '-' ? before - size : size, 512);
    if (!size) {
        return error_set(errp, "New image size must be positive");
    }
    if (size < before && !given(img, OPT_SHRINK)) {
        error_set(errp, "Use the --shrink option to perform a shrink operation.");
        fprintf(stderr, "qemu-img: warning: Shrinking an image will delete all data beyond the shrunken image's end. Before performing "
                        "such an operation, make sure there is no important data there.\n");
        return false;
    }
    if (!node_resize(n, size, true, errp)) {
        return false;
    }
    if (!given(img, 'q')) {
        puts("Image resized.");
    }
    return true;
}

int CO_FN img_resize(Img *img)
{
    const char *pre = img->value[OPT_PREALLOCATION];
    BlockOpen how = {.unmap = true};
    Error *err = NULL;
    Image image;

    if (img->num_args != 2) {
        return img_fail("Expecting image file name and size");
    }
    if (pre && strcmp(pre, "off")) {
        return img_fail("--preallocation=%s is not here yet; there is off", pre);
    }
    if (!img_open(img, img->args[0], img->value['f'], &how, PERM_READ | PERM_WRITE | PERM_RESIZE, &image, &err)) {
        return img_error(err);
    }
    resize(img, image.node, img->args[1], &err);
    img_close(&image);
    return err ? img_error(err) : 0;
}

/* ---- rebase ---- */

/* What the image shows of its old backing file where the new one differs becomes its own. */
static bool CO_FN keep_contents(Img *img, BlockNode *n, BlockNode *old, BlockNode *new, Error **errp)
{
    enum { STEP = 1 << 20 };
    uint64_t length = node_length(n);
    g_autofree uint8_t *a = g_malloc(STEP), *b = g_malloc(STEP);
    int r = 0;

    for (uint64_t at = 0; !r && at < length;) {
        BlockStatus st;

        r = node_status(n, at, min_of(length - at, (uint64_t)STEP), &st);
        if (r || st.flags & ST_ALLOCATED) {
            at += st.len;
            continue;
        }
        r = node_read(n, at, st.len, IO_OF(a, st.len));
        if (!r && new) {
            r = node_read(new, at, st.len, IO_OF(b, st.len));
        } else {
            memset(b, 0, st.len);
        }
        if (!r && memcmp(a, b, st.len)) {
            r = buf_is_zero(a, st.len) ? node_write_zeroes(n, at, st.len, 0) : node_pwrite(n, at, a, st.len);
        }
        at += st.len;
        img_progress(img, 100.0 * at / length);
    }
    return !r || error_set_errno(errp, -r, "error while writing to the image");
}

static bool CO_FN rebase(Img *img, Image *image, Error **errp)
{
    const char *name = *img->value['b'] ? img->value['b'] : NULL, *fmt = img->value['F'];
    g_autofree char *path = name ? block_path_beside(node_filename(image->node), name) : NULL;
    BlockNode *new = NULL;
    bool ok = true;

    if (!image->node->drv->change_backing) {
        return error_set(errp, "Could not change the backing file to '%s': format '%s' has none", name ? name : "",
                         node_driver_name(image->node));
    }
    if (fmt && !block_driver(fmt)) {
        return error_set(errp, "Invalid format name: '%s'", fmt);
    }
    if (!given(img, 'u')) {
        new = path ? block_open_file(img->ctx, path, fmt, &(BlockOpen){.read_only = true}, errp) : NULL;
        if (path && !new) {
            return error_prepend(errp, "Could not open new backing file '%s': ", name);
        }
        ok = keep_contents(img, image->node, node_backing(image->node), new, errp);
        ok = ok && (node_flush(image->node) == 0 || error_set(errp, "Could not flush the image"));
    }
    ok = ok && image->node->drv->change_backing(image->node, name, fmt, errp);
    node_unref(new);
    return ok;
}

int CO_FN img_rebase(Img *img)
{
    BlockOpen how = {.no_backing = given(img, 'u')};
    Error *err = NULL;
    Image image;

    if (img->num_args != 1) {
        return img_fail("Expecting image file name");
    }
    if (!given(img, 'b')) {
        return img_fail("Use -b to specify the backing file");
    }
    if (given(img, 'c')) {
        return img_fail("-c is not here yet");
    }
    if (!img_cache(img, 't', "unsafe", &how, &err) ||
        !img_open(img, img->args[0], img->value['f'], &how, PERM_READ | PERM_WRITE | PERM_RESIZE, &image, &err)) {
        return img_error(err);
    }
    rebase(img, &image, &err);
    img_close(&image);
    return err ? img_error(err) : 0;
}

/* ---- snapshot ---- */

void img_print_snapshots(const BlockSnapshot *all, unsigned num, unsigned indent)
{
    printf("%*sSnapshot list:\n%*s%-7s %-16s %8s %19s %15s %10s\n", indent, "", indent, "", "ID", "TAG", "VM_SIZE", "DATE", "VM_CLOCK",
           "ICOUNT");
    for (unsigned i = 0; i < num; i++) {
        const BlockSnapshot *s = &all[i];
        time_t t = s->date_sec;
        uint64_t ms = s->vm_clock_ns / 1000000;
        char date[64], clock[64], size[SIZE_TEXT_MAX], icount[32] = "";
        struct tm tm;

        localtime_r(&t, &tm);
        strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
        g_snprintf(clock, sizeof(clock), "%04d:%02d:%02d.%03d", (int)(ms / 3600000), (int)(ms / 60000 % 60), (int)(ms / 1000 % 60),
                   (int)(ms % 1000));
        if (s->icount != UINT64_MAX) {
            g_snprintf(icount, sizeof(icount), "%" PRIu64, s->icount);
        }
        printf("%*s%-7s %-16s %8s %19s %15s %10s\n", indent, "", s->id, s->name, size_to_text(s->vm_state_size, size), date, clock, icount);
    }
}

int CO_FN img_snapshot(Img *img)
{
    static const struct {
        char letter;
        SnapshotOp op;
    } ops[] = {{'c', SNAPSHOT_CREATE}, {'a', SNAPSHOT_APPLY}, {'d', SNAPSHOT_DELETE}};
    int op = -1, num = given(img, 'l');
    BlockOpen how = {.unmap = true, .force_share = given(img, 'U')};
    Error *err = NULL;
    Image image;

    for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
        op = given(img, ops[i].letter) ? (int)i : op;
        num += given(img, ops[i].letter);
    }
    if (num > 1) {
        return img_fail("Cannot mix '-l', '-a', '-c', '-d'");
    }
    if (img->num_args != 1) {
        return img_fail("Expecting one image file name");
    }
    how.read_only = op < 0;
    if (!img_open(img, img->args[0], img->value['f'], &how, op < 0 ? PERM_READ : PERM_READ | PERM_WRITE | PERM_RESIZE, &image, &err)) {
        return img_error(err);
    }
    if (op < 0) {
        unsigned count = 0;
        g_autofree BlockSnapshot *all = image.node->drv->snapshots ? image.node->drv->snapshots(image.node, &count) : NULL;

        if (count) {
            img_print_snapshots(all, count, 0);
        }
    } else if (!image.node->drv->snapshot) {
        error_set_errno(&err, ENOTSUP, "Could not %s snapshot '%s'", op == 0 ? "create" : op == 1 ? "apply" : "delete",
                        img->value[(int)ops[op].letter]);
    } else {
        image.node->drv->snapshot(image.node, ops[op].op, img->value[(int)ops[op].letter], &err);
    }
    img_close(&image);
    return err ? img_error(err) : 0;
}
