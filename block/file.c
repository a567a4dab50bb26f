/*
 * Raw images: files and block devices of the host, by pread and pwrite.
 *
 * Locks are open file description locks on bytes that QEMU uses too (public since its version 2.10): byte 100 + n is locked
 * shared by who uses permission n, byte 200 + n by who does not share it: 0 consistent read, 1 write, 3 resize.
 */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "block/internal.h"

typedef struct {
    BlockDev dev;
    BlockdevFileConf conf;
    int fd;
} BlockDevFile;

enum {
    NOW_MAX = 131072, /* bytes that are copied while the guest waits */
    LOCK_USED = 100, LOCK_UNSHARED = 200, PERM_NUM = 4,
    PERM_READ = 1 << 0, PERM_WRITE = 1 << 1, PERM_RESIZE = 1 << 3,
};

/* ---- Locks ---- */

static int lock_byte(int fd, off_t at)
{
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    return fcntl(fd, F_OFD_SETLK, &l) ? -errno : 0;
}

/* Does somebody else hold it? */
static bool is_locked(int fd, off_t at)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};

    return fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;
}

static const char *perm_name(unsigned n)
{
    static const char *const names[PERM_NUM] = {"consistent read", "write", "write unchanged", "resize"};

    return names[n];
}

static bool lock_file(BlockDevFile *f, Error **errp)
{
    unsigned used = f->dev.read_only ? PERM_READ : PERM_READ | PERM_WRITE;
    unsigned unshared = f->dev.read_only ? PERM_WRITE | PERM_RESIZE : PERM_WRITE;

    if (f->conf.locking == BLOCKDEV_LOCKING_OFF) {
        return true;
    }
    for (unsigned n = 0; n < PERM_NUM; n++) {
        int err = used >> n & 1 ? lock_byte(f->fd, LOCK_USED + n) : 0;

        err = !err && unshared >> n & 1 ? lock_byte(f->fd, LOCK_UNSHARED + n) : err;
        if (err && (err != -EINVAL && err != -ENOLCK && err != -EOPNOTSUPP)) {
            return error_set_errno(errp, -err, "Failed to lock byte of '%s'", f->conf.filename);
        }
        if (err) { /* the file system has no such locks */
            return f->conf.locking == BLOCKDEV_LOCKING_AUTO ||
                   error_set_errno(errp, -err, "locking=on: '%s' cannot be locked", f->conf.filename);
        }
    }
    for (unsigned n = 0; n < PERM_NUM; n++) {
        if (used >> n & 1 && is_locked(f->fd, LOCK_UNSHARED + n)) {
            error_set(errp, "Failed to get \"%s\" lock", perm_name(n));
            return error_hint(errp, "Is another process using the image [%s]?", f->conf.filename);
        }
        if (unshared >> n & 1 && is_locked(f->fd, LOCK_USED + n)) {
            error_set(errp, "Failed to get shared \"%s\" lock", perm_name(n));
            return error_hint(errp, "Is another process using the image [%s]?", f->conf.filename);
        }
    }
    return true;
}

/* ---- Opening ---- */

static bool get_size(BlockDevFile *f, Error **errp)
{
    struct stat sb;

    if (fstat(f->fd, &sb)) {
        return error_set_errno(errp, errno, "Could not open '%s'", f->conf.filename);
    }
    if (S_ISBLK(sb.st_mode)) {
        return ioctl(f->fd, BLKGETSIZE64, &f->dev.size) == 0 ||
               error_set_errno(errp, errno, "Could not get the size of '%s'", f->conf.filename);
    }
    if (!S_ISREG(sb.st_mode)) {
        return error_set(errp, "'file' driver requires '%s' to be a regular file", f->conf.filename);
    }
    f->dev.size = sb.st_size;
    return true;
}

static bool file_realize(Object *o, Error **errp)
{
    BlockDevFile *f = (BlockDevFile *)o;
    int flags = (f->dev.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK; /* no waiting for a FIFO's writer */

    f->fd = open(f->conf.filename, flags);
    if (f->fd < 0 && errno == EISDIR) {
        return error_set(errp, "'file' driver requires '%s' to be a regular file", f->conf.filename);
    }
    if (f->fd < 0) {
        return error_set_errno(errp, errno, "Could not open '%s'", f->conf.filename);
    }
    if (!get_size(f, errp) || !lock_file(f, errp)) {
        close(f->fd);
        return false;
    }
    return true;
}

static void file_unrealize(Object *o)
{
    blockdev_drain(BLOCKDEV(o));
    close(((BlockDevFile *)o)->fd);
}

/* ---- Requests, in a thread of the pool ---- */

/* Moves iov past n bytes. */
static void advance(struct iovec **iov, int *num, size_t n)
{
    while (*num > 0 && n >= (*iov)->iov_len) {
        n -= (*iov)->iov_len;
        (*iov)++;
        (*num)--;
    }
    if (*num > 0) {
        (*iov)->iov_base = (char *)(*iov)->iov_base + n;
        (*iov)->iov_len -= n;
    }
}

static void zero_rest(const struct iovec *iov, int num)
{
    for (int i = 0; i < num; i++) {
        memset(iov[i].iov_base, 0, iov[i].iov_len);
    }
}

static int transfer(BlockDevFile *f, const BlockRequest *r)
{
    struct iovec small[8];
    g_autofree struct iovec *large = r->num_iov > 8 ? g_new(struct iovec, r->num_iov) : NULL;
    struct iovec *iov = large ? large : small;
    off_t at = r->offset;
    int num = r->num_iov;

    memcpy(iov, r->iov, num * sizeof(*iov));
    advance(&iov, &num, 0);
    while (num > 0) {
        int now = MIN(num, 1024); /* IOV_MAX */
        ssize_t n = r->op == BLOCK_READ ? preadv(f->fd, iov, now, at) : pwritev(f->fd, iov, now, at);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        if (n == 0 && r->op == BLOCK_READ) {
            zero_rest(iov, num);
            return 0;
        }
        if (n == 0) {
            return -EIO;
        }
        at += n;
        advance(&iov, &num, n);
    }
    return 0;
}

static int flush(BlockDevFile *f)
{
    return f->conf.no_flush || f->dev.read_only || fdatasync(f->fd) == 0 ? 0 : -errno;
}

static uint64_t iov_len(const BlockRequest *r)
{
    uint64_t n = 0;

    for (int i = 0; i < r->num_iov; i++) {
        n += r->iov[i].iov_len;
    }
    return n;
}

static int discard(BlockDevFile *f, const BlockRequest *r)
{
    int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

    if (fallocate(f->fd, mode, r->offset, r->len) && errno != EOPNOTSUPP) {
        return -errno;
    }
    return 0; /* where it is not supported nothing is promised */
}

static int file_run(BlockDev *b, BlockRequest *r)
{
    BlockDevFile *f = (BlockDevFile *)b;
    uint64_t len = r->op == BLOCK_DISCARD ? r->len : iov_len(r);
    int result;

    if (r->op == BLOCK_FLUSH) {
        return flush(f);
    }
    if (len > b->size || r->offset > b->size - len) {
        return -EINVAL;
    }
    if (r->op == BLOCK_READ) {
        return transfer(f, r);
    }
    if (b->read_only) {
        return -EROFS;
    }
    if (r->op == BLOCK_DISCARD) {
        return discard(f, r);
    }
    result = transfer(f, r);
    return result || !f->conf.writethrough ? result : flush(f);
}

/* Reads of what the host has in its cache: saves two changes of thread. */
static int file_run_now(BlockDev *b, BlockRequest *r)
{
    BlockDevFile *f = (BlockDevFile *)b;
    uint64_t len = iov_len(r);

    if (r->op != BLOCK_READ || len > NOW_MAX || r->num_iov > 16 || len > b->size || r->offset > b->size - len) {
        return -EAGAIN;
    }
    return preadv2(f->fd, r->iov, r->num_iov, r->offset, RWF_NOWAIT) == (ssize_t)len ? 0 : -EAGAIN;
}

static const BlockDevOps file_block_ops = {.run = file_run, .run_now = file_run_now};

const ObjectOps blockdev_file_ops = {
    .size = sizeof(BlockDevFile),
    .conf_offset = offsetof(BlockDevFile, conf),
    .realize = file_realize,
    .unrealize = file_unrealize,
    .iface = &file_block_ops,
};
