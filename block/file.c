/*
 * Drivers 'file' and 'host_device': files and block devices of the host, by pread and pwrite.
 *
 * Locks are open file description locks on bytes that QEMU uses too (public since its version 2.10): byte 100 + n is locked
 * shared by who uses permission n, byte 200 + n by who does not share it: 0 consistent read, 1 write, 2 write unchanged,
 * 3 resize.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/internal.h"

typedef struct {
    int fd;
    bool is_block, direct, no_locks;
    bool no_punch, no_zero;       /* the host has said that it cannot */
    unsigned locked, unshared;    /* PERM_*: what is locked now */
} File;

enum {
    NOW_MAX = 131072,             /* bytes that are copied while the guest waits */
    LOCK_USED = 100, LOCK_UNSHARED = 200, PERM_NUM = 4,
};

static const BlockdevOptionsFile *file_opts(const BlockNode *n)
{
    return &n->opts.u.file; /* host_device has the same */
}

/* ---- Locks ---- */

static int lock_byte(int fd, off_t at, short type)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    return fcntl(fd, F_OFD_SETLK, &l) ? -errno : 0;
}

/* Does somebody else hold it? */
static bool is_locked(int fd, off_t at)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

static const char *perm_name(unsigned i)
{
    static const char *const names[PERM_NUM] = {"consistent read", "write", "write unchanged", "resize"};

    return names[i];
}

/* Locks or unlocks so that exactly used and unshared are held. */
static int set_locks(File *f, unsigned used, unsigned unshared)
{
    for (unsigned i = 0; i < PERM_NUM; i++) {
        int r = 0;

        if ((used ^ f->locked) >> i & 1) {
            r = lock_byte(f->fd, LOCK_USED + i, used >> i & 1 ? F_RDLCK : F_UNLCK);
        }
        if (!r && (unshared ^ f->unshared) >> i & 1) {
            r = lock_byte(f->fd, LOCK_UNSHARED + i, unshared >> i & 1 ? F_RDLCK : F_UNLCK);
        }
        if (r) {
            return r;
        }
        f->locked = (f->locked & ~(1u << i)) | (used & 1u << i);
        f->unshared = (f->unshared & ~(1u << i)) | (unshared & 1u << i);
    }
    return 0;
}

static bool check_others(BlockNode *n, unsigned used, unsigned unshared, Error **errp)
{
    File *f = n->state;

    for (unsigned i = 0; i < PERM_NUM; i++) {
        if (used >> i & 1 && is_locked(f->fd, LOCK_UNSHARED + i)) {
            error_set(errp, "Failed to get \"%s\" lock", perm_name(i));
            return error_hint(errp, "Is another process using the image [%s]?", file_opts(n)->filename);
        }
        if (unshared >> i & 1 && is_locked(f->fd, LOCK_USED + i)) {
            error_set(errp, "Failed to get shared \"%s\" lock", perm_name(i));
            return error_hint(errp, "Is another process using the image [%s]?", file_opts(n)->filename);
        }
    }
    return true;
}

static bool file_set_perm(BlockNode *n, unsigned perm, unsigned shared, Error **errp)
{
    BlockdevLocking locking = file_opts(n)->has_locking ? file_opts(n)->locking : BLOCKDEV_LOCKING_AUTO;
    unsigned unshared = ~shared & PERM_ALL, old_used, old_unshared;
    File *f = n->state;
    int r;

    if (locking == BLOCKDEV_LOCKING_OFF || f->no_locks || n->opts.force_share) {
        return true;
    }
    old_used = f->locked;
    old_unshared = f->unshared;
    r = set_locks(f, f->locked | perm, f->unshared | unshared); /* the new ones before old ones go */
    if (r == -EINVAL || r == -ENOLCK || r == -EOPNOTSUPP) { /* the file system has no such locks */
        f->no_locks = true;
        return locking == BLOCKDEV_LOCKING_AUTO ||
               error_set_errno(errp, -r, "locking=on: '%s' cannot be locked", file_opts(n)->filename);
    }
    if (r) {
        set_locks(f, old_used, old_unshared);
        return error_set_errno(errp, -r, "Failed to lock byte of '%s'", file_opts(n)->filename);
    }
    if (!check_others(n, perm, unshared, errp)) {
        set_locks(f, old_used, old_unshared);
        return false;
    }
    set_locks(f, perm, unshared);
    return true;
}

/* ---- Opening ---- */

static bool get_size(BlockNode *n, Error **errp)
{
    const char *name = file_opts(n)->filename;
    File *f = n->state;
    struct stat sb;

    if (fstat(f->fd, &sb)) {
        return error_set_errno(errp, errno, "Could not open '%s'", name);
    }
    f->is_block = S_ISBLK(sb.st_mode);
    if (f->is_block) {
        return ioctl(f->fd, BLKGETSIZE64, &n->length) == 0 ||
               error_set_errno(errp, errno, "Could not get the size of '%s'", name);
    }
    if (!S_ISREG(sb.st_mode) || n->drv->id == BLOCKDEV_DRIVER_HOST_DEVICE) {
        return error_set(errp, "'%s' driver requires '%s' to be a %s", n->drv->name, name,
                         n->drv->id == BLOCKDEV_DRIVER_FILE ? "regular file" : "block device");
    }
    n->length = round_up((uint64_t)sb.st_size, 512); /* what follows the end of the file reads as zeros */
    return true;
}

/* What O_DIRECT needs of offsets: the device's logical block; the largest in use when nobody says. */
static unsigned direct_align(const File *f)
{
    char *buf = aligned_alloc(4096, 4096);
    unsigned size = 0, align = 4096;

    if (f->is_block && ioctl(f->fd, BLKSSZGET, &size) == 0 && is_pow2(size) && size <= 65536) {
        align = size;
    } else if (buf && pread(f->fd, buf, 512, 512) >= 0) {
        align = 512;
    }
    free(buf);
    return align;
}

static int open_fd(BlockNode *n)
{
    int flags = O_CLOEXEC | O_NONBLOCK | (n->opts.cache->direct ? O_DIRECT : 0); /* no waiting for a FIFO's writer */
    int fd = open(file_opts(n)->filename, flags | (n->read_only ? O_RDONLY : O_RDWR));

    if (fd < 0 && (errno == EACCES || errno == EROFS || errno == EPERM) && n->opts.has_auto_read_only &&
        n->opts.auto_read_only) {
        n->read_only = true;
        fd = open(file_opts(n)->filename, flags | O_RDONLY);
    }
    return fd;
}

static bool file_open(BlockNode *n, const BlockOpen *how, Error **errp)
{
    const BlockdevOptionsFile *o = file_opts(n);
    File *f = n->state;

    if (o->has_aio && o->aio != BLOCKDEV_AIO_OPTIONS_THREADS) {
        return error_set(errp, "aio=%s is not here yet; there is threads",
                         o->aio == BLOCKDEV_AIO_OPTIONS_NATIVE ? "native" : "io_uring");
    }
    f->fd = open_fd(n);
    if (f->fd < 0 && errno == EISDIR) {
        return error_set(errp, "'file' driver requires '%s' to be a regular file", o->filename);
    }
    if (f->fd < 0) {
        return error_set_errno(errp, errno, "Could not open '%s'", o->filename);
    }
    if (!get_size(n, errp)) {
        close(f->fd);
        return false;
    }
    f->direct = n->opts.cache->direct;
    n->align = f->direct ? direct_align(f) : 1;
    n->filename = g_strdup(o->filename);
    return true;
}

static void file_close(BlockNode *n)
{
    close(((File *)n->state)->fd);
}

/* ---- Requests: each may run in a thread ---- */

typedef struct {
    BlockNode *n;
    File *f;
    char op;
    uint64_t offset, len;
    IoSlice data;
    int mode;
} Request;

static int transfer(Request *r, IoSlice s, uint64_t at, uint64_t len)
{
    struct iovec iov[64];

    while (len > 0) {
        size_t bytes;
        int num = io_iovec(s, min_of(len, (uint64_t)1 << 30), iov, 64, &bytes);
        ssize_t n = r->op == 'r' ? preadv(r->f->fd, iov, num, at) : pwritev(r->f->fd, iov, num, at);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        if (n == 0 && r->op == 'r') { /* past the end */
            io_fill(s, 0, len);
            return 0;
        }
        if (n == 0) {
            return -EIO;
        }
        s = io_at(s, n);
        at += n;
        len -= n;
    }
    return 0;
}

/* O_DIRECT wants aligned memory too. */
static int transfer_bounced(Request *r)
{
    char *buf = aligned_alloc(4096, round_up(r->len, 4096));
    int ret;

    if (!buf) {
        return -ENOMEM;
    }
    if (r->op == 'w') {
        io_read(r->data, buf, r->len);
    }
    ret = transfer(r, IO_OF(buf, r->len), r->offset, r->len);
    if (!ret && r->op == 'r') {
        io_write(r->data, buf, r->len);
    }
    free(buf);
    return ret;
}

static bool is_memory_aligned(const Request *r)
{
    struct iovec iov[64];
    size_t bytes;
    int num = io_iovec(r->data, r->len, iov, 64, &bytes);

    for (int i = 0; i < num; i++) {
        if (((uintptr_t)iov[i].iov_base | iov[i].iov_len) & (max_of(r->n->align, 512u) - 1)) {
            return false;
        }
    }
    return bytes == r->len;
}

static int change_space(Request *r)
{
    while (fallocate(r->f->fd, r->mode, r->offset, r->len)) {
        if (errno != EINTR) {
            return errno == EOPNOTSUPP || errno == ENODEV || errno == ENOSYS || errno == EINVAL ? -ENOTSUP : -errno;
        }
    }
    return 0;
}

static int do_request(void *opaque)
{
    Request *r = opaque;

    switch (r->op) {
    case 'f':
        return fdatasync(r->f->fd) ? -errno : 0;
    case 'a':
        return change_space(r);
    }
    return r->f->direct && !is_memory_aligned(r) ? transfer_bounced(r) : transfer(r, r->data, r->offset, r->len);
}

static int CO_FN submit(Request *r)
{
    BlockContext *ctx = r->n->ctx;

    r->f = r->n->state;
    return ctx->has_thread ? block_in_thread(ctx, do_request, r) : do_request(r);
}

static void CO_FN tell_log(BlockNode *n, char op, uint64_t offset, uint64_t len, const IoSlice *data)
{
    BlockContext *ctx = n->ctx;
    char *copy = NULL;

    if (!ctx->log) {
        return;
    }
    if (data) {
        copy = g_malloc(len);
        io_read(*data, copy, len);
    }
    ctx->log(ctx->log_opaque, n->filename, op, offset, len, copy);
    g_free(copy);
}

/* What the host has in its cache needs no thread. */
static int try_now(const File *f, IoSlice to, uint64_t offset, uint64_t len)
{
    struct iovec iov[16];
    size_t bytes;
    int num;

    if (len > NOW_MAX || f->direct) {
        return -EAGAIN;
    }
    num = io_iovec(to, len, iov, 16, &bytes);
    return bytes == len && preadv2(f->fd, iov, num, offset, RWF_NOWAIT) == (ssize_t)len ? 0 : -EAGAIN;
}

int file_read_now(const BlockNode *n, uint64_t offset, const struct iovec *iov, int num, uint64_t len)
{
    return num ? try_now(n->state, (IoSlice){.iov = iov}, offset, len) : -EAGAIN;
}

static int CO_FN file_read(BlockNode *n, uint64_t offset, uint64_t len, IoSlice to)
{
    Request r = {.n = n, .op = 'r', .offset = offset, .len = len, .data = to};

    if (n->ctx->has_thread && try_now(n->state, to, offset, len) == 0) {
        return 0;
    }
    return submit(&r);
}

static int CO_FN file_write(BlockNode *n, uint64_t offset, uint64_t len, IoSlice from, IoFlags flags)
{
    Request r = {.n = n, .op = 'w', .offset = offset, .len = len, .data = from};

    tell_log(n, 'w', offset, len, &from);
    return submit(&r);
}

static int CO_FN file_flush(BlockNode *n)
{
    Request r = {.n = n, .op = 'f'};
    int ret = n->no_flush ? 0 : submit(&r);

    if (!ret) {
        tell_log(n, 'f', 0, 0, NULL);
    }
    return ret;
}

static int CO_FN file_write_zeroes(BlockNode *n, uint64_t offset, uint64_t len, IoFlags flags)
{
    File *f = n->state;
    Request r = {.n = n, .op = 'a', .offset = offset, .len = len, .mode = FALLOC_FL_ZERO_RANGE};
    int ret = -ENOTSUP;

    tell_log(n, 'z', offset, len, NULL);
    if (flags & IO_UNMAP && !f->no_punch) {
        r.mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
        if (offset + len > n->length) { /* a hole at the end needs the length to be there */
            if (f->is_block || ftruncate(f->fd, offset + len)) {
                return -ENOTSUP;
            }
        }
        ret = submit(&r);
        f->no_punch = ret == -ENOTSUP;
    }
    if (ret == -ENOTSUP && !f->no_zero) {
        r.mode = FALLOC_FL_ZERO_RANGE;
        ret = submit(&r);
        f->no_zero = ret == -ENOTSUP;
    }
    return ret;
}

static int CO_FN file_discard(BlockNode *n, uint64_t offset, uint64_t len)
{
    File *f = n->state;
    Request r = {.n = n, .op = 'a', .offset = offset, .len = len, .mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE};
    int ret;

    if (f->no_punch) {
        return -ENOTSUP;
    }
    tell_log(n, 'z', offset, len, NULL);
    ret = submit(&r);
    f->no_punch = ret == -ENOTSUP;
    return ret; /* where it is not supported nothing is promised */
}

static int CO_FN file_status(BlockNode *n, uint64_t offset, uint64_t len, BlockStatus *out)
{
    File *f = n->state;
    off_t data = f->is_block ? -1 : lseek(f->fd, offset, SEEK_DATA), hole;
    bool no_data = data < 0 && errno == ENXIO && !f->is_block;

    *out = (BlockStatus){.len = len, .flags = ST_DATA | ST_OFFSET | ST_ALLOCATED, .map = offset, .file = n};
    if (no_data || data > (off_t)offset) {
        out->flags = ST_ZERO | ST_OFFSET | ST_ALLOCATED;
        out->len = no_data ? len : min_of(len, (uint64_t)data - offset);
    } else if (data == (off_t)offset) {
        hole = lseek(f->fd, offset, SEEK_HOLE);
        out->len = hole > (off_t)offset ? min_of(len, (uint64_t)hole - offset) : len;
    }
    return 0;
}

static bool CO_FN file_resize(BlockNode *n, uint64_t length, Error **errp)
{
    File *f = n->state;

    if (f->is_block) {
        return length <= n->length || error_set(errp, "Cannot grow device files");
    }
    tell_log(n, 't', length, 0, NULL);
    while (ftruncate(f->fd, length)) {
        if (errno != EINTR) {
            return error_set_errno(errp, errno, "Failed to resize the file");
        }
    }
    return true;
}

static uint64_t file_allocated_size(BlockNode *n)
{
    struct stat sb;

    return fstat(((File *)n->state)->fd, &sb) ? UINT64_MAX : (uint64_t)sb.st_blocks * 512;
}

#define FILE_OPS                                                                                                       \
    .is_protocol = true, .state_size = sizeof(File), .open = file_open, .close = file_close,                           \
    .set_perm = file_set_perm, .read = file_read, .write = file_write, .write_zeroes = file_write_zeroes,              \
    .discard = file_discard, .flush = file_flush, .status = file_status, .resize = file_resize,                        \
    .allocated_size = file_allocated_size

const BlockDriver block_driver_file = {.name = "file", .id = BLOCKDEV_DRIVER_FILE, FILE_OPS};
const BlockDriver block_driver_host_device = {.name = "host_device", .id = BLOCKDEV_DRIVER_HOST_DEVICE, FILE_OPS};
