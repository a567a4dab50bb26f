/* Data of requests: slices of iovecs, and ranges that requests work on. The contracts are in block/node.h and driver.h. */
#include <string.h>

#include "block/driver.h"

/* ---- Slices ---- */

/* Calls fn for each piece of the first len bytes. */
#define FOR_PIECES(s, len, p, n)                                                                                       \
    for (struct {                                                                                                      \
             const struct iovec *v;                                                                                    \
             size_t skip, left;                                                                                        \
         } w_ = {(s).iov, (s).skip, (len)};                                                                            \
         w_.left > 0; w_.v++)                                                                                          \
        if (w_.skip >= w_.v->iov_len) {                                                                                \
            w_.skip -= w_.v->iov_len;                                                                                  \
        } else                                                                                                         \
            for (size_t n = min_of(w_.left, w_.v->iov_len - w_.skip), once_ = 1; once_;                                \
                 w_.left -= n, w_.skip = 0, once_ = 0)                                                                 \
                for (char *p = (char *)w_.v->iov_base + w_.skip; p; p = NULL)

void io_read(IoSlice from, void *to, size_t len)
{
    char *out = to;

    FOR_PIECES (from, len, p, n) {
        memcpy(out, p, n);
        out += n;
    }
}

void io_write(IoSlice to, const void *from, size_t len)
{
    const char *in = from;

    FOR_PIECES (to, len, p, n) {
        memcpy(p, in, n);
        in += n;
    }
}

void io_fill(IoSlice to, int byte, size_t len)
{
    FOR_PIECES (to, len, p, n) {
        memset(p, byte, n);
    }
}

bool buf_is_zero(const void *buf, size_t len)
{
    const char *p = buf;
    size_t head = min_of(len, (size_t)64);

    for (size_t i = 0; i < head; i++) {
        if (p[i]) {
            return false;
        }
    }
    return len <= 64 || !memcmp(p, p + 64, len - 64); /* each byte equals the one 64 before it */
}

bool io_is_zero(IoSlice s, size_t len)
{
    bool zero = true;

    FOR_PIECES (s, len, p, n) {
        zero = zero && buf_is_zero(p, n);
    }
    return zero;
}

int io_iovec(IoSlice s, size_t len, struct iovec *out, int max, size_t *bytes)
{
    int num = 0;

    *bytes = 0;
    FOR_PIECES (s, len, p, n) {
        if (num < max) {
            out[num++] = (struct iovec){p, n};
            *bytes += n;
        } else {
            w_.left = n; /* ends the walk */
        }
    }
    return num;
}

/* ---- Ranges ---- */

void io_ranges_init(IoRanges *r)
{
    list_init(&r->held);
    co_queue_init(&r->changed);
}

void io_ranges_finish(IoRanges *r)
{
    if (r->held.head.next) {
        co_queue_finish(&r->changed);
    }
}

static bool conflicts(const IoRanges *all, const IoRange *r)
{
    list_foreach (IoRange, o, &all->held, link) {
        if (o->start < r->end && r->start < o->end && !(o->shared && r->shared)) {
            return true;
        }
    }
    return false;
}

void CO_FN io_range_lock(IoRanges *all, IoRange *r, uint64_t start, uint64_t end, bool shared)
{
    *r = (IoRange){.start = start, .end = end, .shared = shared};
    while (conflicts(all, r)) {
        co_queue_wait(&all->changed, NULL);
    }
    list_append(&all->held, &r->link);
}

void io_range_unlock(IoRanges *all, IoRange *r)
{
    list_remove(&r->link);
    co_queue_all(&all->changed);
}
