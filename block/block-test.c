/* Raw images: random requests against a copy in memory, locks, errors. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"
#include "qom/values.h"
#include "util/rcu.h"

extern const QSchema qschema_block_test;

enum { SIZE = 1 << 20, SLOTS = 6 };

typedef struct {
    QomTree *tree;
    Loop *loop;
    BlockContext *ctx;
    char *path;
} Env;

static void env_init(Env *e)
{
    int fd = g_file_open_tmp("kestrel-block-XXXXXX", &e->path, NULL);

    g_assert_cmpint(ftruncate(fd, SIZE), ==, 0);
    close(fd);
    e->tree = qom_tree_new(&qschema_block_test, &qom_values);
    e->loop = loop_new("test", NULL);
    e->ctx = block_context_new(e->tree, e->loop);
}

static void env_finish(Env *e)
{
    qom_tree_free(e->tree);
    block_context_free(e->ctx);
    loop_free(e->loop);
    unlink(e->path);
    g_free(e->path);
}

static BlockDev *open_file(Env *e, const char *id, const char *drive, Error **errp)
{
    struct json_object *j = json_tokener_parse(drive);
    BlockDev *b;

    g_assert_nonnull(j);
    if (!json_object_object_get_ex(j, "file", NULL)) {
        json_object_object_add(j, "file", json_object_new_string(e->path));
    }
    b = blockdev_new_from_drive(e->ctx, id, j, errp);
    json_object_put(j);
    return b;
}

/* ---- Random requests ---- */

typedef struct {
    BlockRequest r;
    struct iovec iov[3];
    uint8_t buf[3 * 4096];
    uint8_t want[3 * 4096];
    unsigned len;
    bool busy;
    unsigned *pending;
    FairMutex *lock;
} Slot;

static void slot_done(void *opaque, int result)
{
    Slot *s = opaque;

    g_assert_true(fair_mutex_is_held(s->lock));
    g_assert_cmpint(result, ==, 0);
    if (s->r.op == BLOCK_READ) {
        g_assert_cmpmem(s->buf, s->len, s->want, s->len);
    }
    s->busy = false;
    --*s->pending;
}

/* Each slot has its part of the disk, so that the order of slots does not matter. */
static void slot_start(Slot *s, unsigned n, BlockDev *b, uint8_t *model)
{
    unsigned part = SIZE / SLOTS / 512 * 512, at = n * part, num = 0;

    s->r = (BlockRequest){.op = g_test_rand_int_range(0, 4), .iov = s->iov, .done = slot_done, .opaque = s};
    s->len = 0;
    for (unsigned i = g_test_rand_int_range(1, 4); i > 0; i--) {
        unsigned len = g_test_rand_int_range(0, 9) * 512;

        s->iov[num++] = (struct iovec){s->buf + s->len, len};
        s->len += len;
    }
    s->r.num_iov = num;
    s->r.offset = at + g_test_rand_int_range(0, (part - s->len) / 512) * 512;
    for (unsigned i = 0; i < s->len; i++) {
        s->buf[i] = g_test_rand_int();
    }
    if (s->r.op == BLOCK_READ) {
        memcpy(s->want, model + s->r.offset, s->len);
    } else if (s->r.op == BLOCK_WRITE) {
        memcpy(model + s->r.offset, s->buf, s->len);
    } else if (s->r.op == BLOCK_DISCARD) {
        s->r.len = s->len ? s->len : 512;
        memset(model + s->r.offset, 0, s->r.len);
    }
    s->busy = true;
    ++*s->pending;
    blockdev_submit(b, &s->r);
}

static void test_random(void)
{
    Env e;
    FairMutex lock;
    BlockDev *b;
    Slot *slots = g_new0(Slot, SLOTS);
    uint8_t *model = g_malloc0(SIZE);
    g_autofree char *file = NULL;
    gsize len;
    unsigned pending = 0;

    env_init(&e);
    fair_mutex_init(&lock, LOCK_MACHINE);
    b = open_file(&e, "d", "{\"format\": \"raw\", \"media\": \"disk\", \"discard\": \"unmap\"}", &error_abort);
    g_assert_cmpuint(blockdev_size(b), ==, SIZE);
    blockdev_attach(b, &lock, &error_abort);
    for (int i = 0; i < 4000; i++) {
        Slot *s = &slots[i % SLOTS];

        s->pending = &pending;
        s->lock = &lock;
        while (__atomic_load_n(&s->busy, __ATOMIC_RELAXED)) {
            loop_run_once(e.loop, true);
        }
        fair_mutex_lock(&lock);
        slot_start(s, i % SLOTS, b, model);
        if (g_test_rand_int_range(0, 50) == 0) {
            blockdev_drain(b);
            g_assert_cmpuint(pending, ==, 0);
        }
        fair_mutex_unlock(&lock);
    }
    fair_mutex_lock(&lock);
    block_drain_all(e.ctx);
    blockdev_detach(b);
    fair_mutex_unlock(&lock);
    g_assert_true(g_file_get_contents(e.path, &file, &len, NULL));
    g_assert_cmpmem(file, len, model, SIZE);
    env_finish(&e);
    fair_mutex_finish(&lock);
    g_free(slots);
    g_free(model);
}

/* ---- Errors ---- */

static void set_result(void *opaque, int result)
{
    *(int *)opaque = result;
}

static int request(BlockDev *b, BlockOp op, uint64_t offset, size_t len)
{
    g_autofree uint8_t *buf = g_malloc0(len + 1);
    struct iovec iov = {buf, len};
    int result = 1;
    BlockRequest r = {.op = op, .offset = offset, .len = len, .iov = &iov, .num_iov = 1, .done = set_result, .opaque = &result};

    blockdev_submit(b, &r);
    blockdev_drain(b);
    return result;
}

static void check_error(Env *e, const char *drive, const char *want)
{
    Error *err = NULL;

    g_assert_null(open_file(e, "bad", drive, &err));
    g_assert_cmpstr(error_message(err), ==, want);
    error_free(err);
    g_assert_null(blockdev_find(e->tree, "bad"));
}

static void test_errors(void)
{
    g_autofree char *locked = NULL;
    Error *err = NULL;
    BlockDev *b, *ro;
    Env e;

    env_init(&e);
    check_error(&e, "{\"file\": \"/nonexistent/x\"}", "Could not open '/nonexistent/x': No such file or directory");
    check_error(&e, "{\"file\": \"/tmp\", \"format\": \"raw\"}", "'file' driver requires '/tmp' to be a regular file");
    check_error(&e, "{\"file\": \"/dev/null\", \"format\": \"raw\"}", "'file' driver requires '/dev/null' to be a regular file");
    check_error(&e, "{\"format\": \"qcow1\"}", "Unknown driver 'qcow1'");
    check_error(&e, "{\"media\": \"tape\"}", "'tape' invalid media");
    check_error(&e, "{\"cache\": \"warm\"}", "invalid cache option");
    check_error(&e, "{\"readonly\": \"maybe\"}", "Parameter 'read-only' expects 'on' or 'off'");
    g_assert_null(open_file(&e, "empty", "{\"file\": \"\"}", &error_abort));
    b = open_file(&e, "a", "{}", &error_abort);
    check_error(&e, "{}", "Failed to get \"write\" lock");
    check_error(&e, "{\"media\": \"cdrom\"}", "Failed to get shared \"write\" lock");
    blockdev_attach(b, NULL, &error_abort);
    g_assert_false(blockdev_attach(b, NULL, &err));
    g_assert_cmpstr(error_message(err), ==, "Drive 'a' is already in use by another device");
    error_free(err);
    g_assert_cmpint(request(b, BLOCK_READ, SIZE - 512, 512), ==, 0);
    g_assert_cmpint(request(b, BLOCK_READ, SIZE - 512, 513), ==, -EINVAL);
    g_assert_cmpint(request(b, BLOCK_READ, UINT64_MAX - 100, 512), ==, -EINVAL);
    g_assert_cmpint(request(b, BLOCK_WRITE, SIZE, 1), ==, -EINVAL);
    g_assert_cmpint(request(b, BLOCK_FLUSH, 0, 0), ==, 0);
    err = NULL;
    g_assert_false(blockdev_delete(e.tree, "a", &err));
    g_assert_cmpstr(error_message(err), ==, "Node a is in use");
    error_free(err);
    blockdev_detach(b);
    g_assert_true(blockdev_delete(e.tree, "a", &error_abort));
    ro = open_file(&e, "ro", "{\"readonly\": \"on\"}", &error_abort);
    g_assert_true(blockdev_is_read_only(ro));
    open_file(&e, "ro2", "{\"media\": \"cdrom\"}", &error_abort); /* readers share */
    check_error(&e, "{}", "Failed to get \"write\" lock");
    blockdev_attach(ro, NULL, &error_abort);
    g_assert_cmpint(request(ro, BLOCK_WRITE, 0, 512), ==, -EROFS);
    blockdev_detach(ro);
    env_finish(&e);
}

static void test_probe(void)
{
    static uint8_t sector[512] = "QFI\xfb";
    struct iovec iov = {sector, sizeof(sector)};
    int result = 1;
    BlockRequest r = {.op = BLOCK_WRITE, .iov = &iov, .num_iov = 1, .done = set_result, .opaque = &result};
    g_autofree char *want = NULL;
    BlockDev *b;
    Env e;

    env_init(&e);
    /* A guest cannot make its raw disk another format, unless somebody has said that it is raw. */
    b = open_file(&e, "guess", "{}", &error_abort);
    blockdev_attach(b, NULL, &error_abort);
    blockdev_submit(b, &r);
    blockdev_drain(b);
    g_assert_cmpint(result, ==, -EPERM);
    g_assert_cmpint(request(b, BLOCK_WRITE, 0, 512), ==, 0);
    blockdev_detach(b);
    blockdev_delete(e.tree, "guess", &error_abort);

    g_assert_true(g_file_set_contents(e.path, "QFI\xfb and more", -1, NULL));
    check_error(&e, "{}", "Unsupported qcow2 version 543256164");
    g_assert_nonnull(open_file(&e, "raw", "{\"format\": \"raw\"}", &error_abort));
    blockdev_delete(e.tree, "raw", &error_abort);
    g_assert_true(g_file_set_contents(e.path, "KDMV and more", -1, NULL));
    want = g_strdup_printf("'%s' is an image of format vmdk, which is not supported yet", e.path);
    check_error(&e, "{}", want);
    env_finish(&e);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    rcu_thread_register();
    g_test_add_func("/block/random", test_random);
    g_test_add_func("/block/errors", test_errors);
    g_test_add_func("/block/probe", test_probe);
    return g_test_run();
}
