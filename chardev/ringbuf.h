/* What ringbuf-read and ringbuf-write do. */
#ifndef CHARDEV_RINGBUF_H
#define CHARDEV_RINGBUF_H

#include "chardev/chardev.h"
#include "qapi/buf.h"

/* False when id is no chardev of class chardev-ringbuf. */
bool chardev_ringbuf_write(QomTree *, const char *id, const void *buf, size_t len, Error **errp);
/* Takes at most max bytes, the oldest first, and appends them to out. */
bool chardev_ringbuf_read(QomTree *, const char *id, size_t max, QBuf *out, Error **errp);

#endif
