/*
 * Disk images: a good one with bytes changed as the input says, or the input itself, is opened, read, written, checked, repaired. What
 * an image claims may cost no more than FUZZ_MEMORY and FUZZ_TIMEOUT allow.
 */
#include <glib.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "block/driver.h"
#include "tests/fuzz/fuzz.h"
#include "util/rcu.h"

enum { TEMPLATES = 3, DISK = 256 << 10, MAX_OPS = 40 };

static struct {
    Loop *loop;
    BlockContext *ctx;
    struct {
        uint8_t *data;
        size_t len;
    } templates[TEMPLATES];
} env;

static const BlockCreate shapes[TEMPLATES] = {
    {.size = DISK, .cluster_size = 512, .compat = "1.1"},
    {.size = DISK, .cluster_size = 4096, .compat = "0.10"},
    {.size = DISK, .cluster_size = 16384, .compat = "1.1", .extended_l2 = true, .compression_type = "zstd"},
};

typedef struct {
    int fd;
    char name[64];
    const BlockCreate *shape;
    FuzzBytes in;
} Run;

static void run_init(Run *r)
{
    r->fd = memfd_create("image", MFD_CLOEXEC);
    g_snprintf(r->name, sizeof(r->name), "/proc/self/fd/%d", r->fd);
}

static void CO_FN make_template(void *opaque)
{
    uint8_t buf[20000];
    Run *r = opaque;
    const BlockDriver *d = block_driver("qcow2");
    BlockNode *n = block_open_file(env.ctx, r->name, "file", &(BlockOpen){.no_flush = true}, &error_abort);

    d->create(n, r->shape, &error_abort);
    node_unref(n);
    memset(buf, 0x5a, sizeof(buf));
    n = block_open_file(env.ctx, r->name, "qcow2", &(BlockOpen){.no_flush = true}, &error_abort);
    node_pwrite(n, 1000, buf, sizeof(buf));
    node_write(n, 65536, 16384, IO_OF(buf, 16384), IO_COMPRESSED);
    d->snapshot(n, SNAPSHOT_CREATE, "one", &error_abort);
    node_write_zeroes(n, 4096, 8192, 0);
    node_pwrite(n, 100000, buf, sizeof(buf));
    node_unref(n);
}

static void image_init(void)
{
    rcu_thread_register();
    signal(SIGXFSZ, SIG_IGN); /* a table claimed to be far out is an error of the write */
    env.loop = loop_new("fuzz", NULL);
    env.ctx = block_context_new_here(env.loop);
    for (unsigned i = 0; i < TEMPLATES; i++) {
        Run r = {.shape = &shapes[i]};

        run_init(&r);
        block_run(env.ctx, make_template, &r);
        env.templates[i].len = lseek(r.fd, 0, SEEK_END);
        env.templates[i].data = g_malloc(env.templates[i].len);
        if (pread(r.fd, env.templates[i].data, env.templates[i].len, 0) < 0) {
            g_error("pread");
        }
        close(r.fd);
    }
}

static void CO_FN one_op(BlockNode *n, FuzzBytes *in)
{
    static uint8_t buf[70000];
    uint8_t op = fuzz_u8(in);
    uint64_t at = fuzz_u32(in) % (DISK + 4096), len = fuzz_u16(in);
    BlockStatus st;

    switch (op % 10) {
    case 0:
        node_pread(n, at, buf, len);
        break;
    case 1:
        node_pwrite(n, at, buf, len);
        break;
    case 2:
        node_write_zeroes(n, at, len, op & 16 ? IO_UNMAP : 0);
        break;
    case 3:
        node_discard(n, at, len);
        break;
    case 4:
        node_status_chain(n, NULL, at, len, &st);
        break;
    case 5:
        node_flush(n);
        break;
    case 6:
        node_write(n, at & ~(uint64_t)16383, 16384, IO_OF(buf, 16384), IO_COMPRESSED);
        break;
    case 7:
        n->drv->snapshot(n, op & 16 ? SNAPSHOT_CREATE : op & 32 ? SNAPSHOT_APPLY : SNAPSHOT_DELETE, "one", NULL);
        break;
    case 8:
        node_resize(n, at & ~(uint64_t)511, true, NULL);
        break;
    case 9:
        n->drv->check(n, &(BlockCheck){0}, op & 16 ? CHECK_FIX_ERRORS | CHECK_FIX_LEAKS : 0, NULL);
        break;
    }
}

static void CO_FN use(void *opaque)
{
    Run *r = opaque;
    uint8_t flags = fuzz_u8(&r->in);
    BlockOpen how = {.no_flush = true, .unmap = true, .to_repair = flags & 1, .read_only = flags & 2, .no_backing = true};
    BlockNode *n = block_open_file(env.ctx, r->name, "qcow2", &how, NULL);

    for (unsigned i = 0; n && i < MAX_OPS && fuzz_more(&r->in); i++) {
        one_op(n, &r->in);
    }
    node_unref(n);
}

static void image_run(const uint8_t *data, size_t len)
{
    Run r = {.in = {data, len}};
    uint8_t kind = fuzz_u8(&r.in), patches = fuzz_u8(&r.in) % 32;
    ssize_t written;

    run_init(&r);
    if (kind % 4 < TEMPLATES) {
        size_t size = env.templates[kind % 4].len;
        g_autofree uint8_t *image = g_memdup2(env.templates[kind % 4].data, size);

        while (patches-- > 0 && fuzz_more(&r.in)) { /* most in the header and the tables behind it */
            uint32_t at = fuzz_u32(&r.in);

            at = at & 1 ? at % 112 : at % size;
            image[at] = fuzz_u8(&r.in);
        }
        written = pwrite(r.fd, image, size, 0);
    } else {
        written = pwrite(r.fd, r.in.data, r.in.len, 0);
    }
    if (written >= 0) {
        block_run(env.ctx, use, &r);
    }
    close(r.fd);
}

extern const FuzzTarget fuzz_qcow2;
const FuzzTarget fuzz_qcow2 = {.init = image_init, .run = image_run, .opens_files = true};
