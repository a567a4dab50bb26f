/* The last bytes written, kept in memory for ringbuf-read. */
#include "chardev/ringbuf.h"

#include <stdlib.h>

#include "chardev/internal.h"

typedef struct {
    Chardev chr;
    ChardevRingbufConf conf;
    uint8_t *data;      /* GUARDED_BY(chr.lock), all */
    uint64_t put, got;  /* bytes ever written and read; put - got <= size */
} ChardevRingbuf;

static int ringbuf_write_op(Chardev *c, const void *buf, int len)
{
    ChardevRingbuf *r = (ChardevRingbuf *)c;
    const uint8_t *bytes = buf;

    for (int i = 0; i < len; i++) {
        r->data[r->put++ & (r->conf.size - 1)] = bytes[i];
    }
    if (r->put - r->got > r->conf.size) {
        r->got = r->put - r->conf.size;
    }
    return len;
}

static ChardevRingbuf *find(QomTree *tree, const char *id, Error **errp)
{
    Chardev *c = chardev_find(tree, id);

    if (!c) {
        error_set(errp, "Device '%s' not found", id);
        return NULL;
    }
    if (!object_is_a(&c->obj, "chardev-ringbuf")) {
        error_set(errp, "%s is not a ringbuf device", id);
        return NULL;
    }
    return (ChardevRingbuf *)c;
}

bool chardev_ringbuf_write(QomTree *tree, const char *id, const void *buf, size_t len, Error **errp)
{
    ChardevRingbuf *r = find(tree, id, errp);

    if (!r) {
        return false;
    }
    mutex_lock(&r->chr.lock);
    for (const char *p = buf; len;) {
        int n = len > 65536 ? 65536 : (int)len;
        ringbuf_write_op(&r->chr, p, n);
        p += n;
        len -= n;
    }
    mutex_unlock(&r->chr.lock);
    return true;
}

bool chardev_ringbuf_read(QomTree *tree, const char *id, size_t max, QBuf *out, Error **errp)
{
    ChardevRingbuf *r = find(tree, id, errp);

    if (!r) {
        return false;
    }
    mutex_lock(&r->chr.lock);
    for (; max && r->got < r->put; max--) {
        qbuf_char(out, (char)r->data[r->got++ & (r->conf.size - 1)]);
    }
    mutex_unlock(&r->chr.lock);
    return true;
}

static bool ringbuf_realize(Object *o, Error **errp)
{
    ChardevRingbuf *r = (ChardevRingbuf *)o;

    if (r->conf.size & (r->conf.size - 1)) {
        return error_set(errp, "size of ringbuf chardev must be power of two");
    }
    r->data = q_calloc(1, r->conf.size);
    chardev_opened(&r->chr);
    return true;
}

static void ringbuf_finish(Object *o)
{
    free(((ChardevRingbuf *)o)->data);
}

static const ChardevOps ringbuf_ops = { .write = ringbuf_write_op };
const ObjectOps chardev_ringbuf_ops = {
    .size = sizeof(ChardevRingbuf),
    .conf_offset = offsetof(ChardevRingbuf, conf),
    .realize = ringbuf_realize,
    .finish = ringbuf_finish,
    .iface = &ringbuf_ops,
};
