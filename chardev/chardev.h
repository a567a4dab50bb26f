/*
 * Character devices: byte streams to the host (stdio, socket, pty, file, ...).
 *
 * A Chardev is an Object of a class of kind 'chardev' (chardev/*.json), in the tree under /chardevs. Its back end
 * moves bytes to the host; one front end (a serial port, a monitor, the qtest server) is attached at a time,
 * except for mux, which has up to four and switches between them by Ctrl-A c.
 *
 *     chardev_attach(chr, &handlers, s, errp);          // once, at realize
 *     ...
 *     n = chardev_write(chr, buf, len);                  // takes what fits now; 0..len, never blocks
 *     if (n < len) chardev_watch_writable(chr, true);    // handlers.writable is called once there is room
 *     chardev_accept_input(chr);                         // after can_receive was 0 and isn't any more
 *
 * All calls happen in the chardev's loop with no lock of chardev's held; handlers are called in that loop. A device's
 * front end takes its machine's lock domain in its handlers (the helper chardev_attach_locked does so).
 */
#ifndef CHARDEV_CHARDEV_H
#define CHARDEV_CHARDEV_H

#include "qom/qom.h"
#include "util/loop.h"

typedef struct Chardev Chardev;

typedef enum {
    CHARDEV_EVENT_BREAK,   /* serial break received */
    CHARDEV_EVENT_OPENED,  /* a peer connected (or the stream is always open) */
    CHARDEV_EVENT_CLOSED,
    CHARDEV_EVENT_MUX_IN,  /* focus came to this front end */
    CHARDEV_EVENT_MUX_OUT,
} ChardevEvent;

typedef struct {
    int (*can_receive)(void *opaque);                           /* bytes it can take now */
    void (*receive)(void *opaque, const uint8_t *buf, int len); /* at most what can_receive said */
    void (*event)(void *opaque, ChardevEvent);
    void (*writable)(void *opaque);
} ChardevHandlers;

/* Serial line parameters and modem lines, passed on by back ends that have a real line; others ignore. */
typedef struct {
    unsigned speed, data_bits, stop_bits;
    char parity; /* 'N' 'E' 'O' */
} ChardevSerialParams;
enum { CHARDEV_TIOCM_CTS = 0x20, CHARDEV_TIOCM_CAR = 0x40, CHARDEV_TIOCM_DSR = 0x100, CHARDEV_TIOCM_RI = 0x80,
       CHARDEV_TIOCM_DTR = 2, CHARDEV_TIOCM_RTS = 4 };

/* Attaches the (one) front end; error when busy. opened event follows if the stream is open. */
bool chardev_attach(Chardev *, const ChardevHandlers *, void *opaque, Error **errp);
void chardev_detach(Chardev *, void *opaque);
void chardev_set_open(Chardev *, void *opaque, bool open); /* front end's state: query-chardev frontend-open */

int chardev_write(Chardev *, void *opaque, const void *buf, int len);
/* Queues all of it (bounded buffer, see body) for clients that may not lose bytes; false when the bound is reached. */
bool chardev_write_all(Chardev *, void *opaque, const void *buf, int len);
void chardev_watch_writable(Chardev *, void *opaque, bool on);
void chardev_accept_input(Chardev *);
bool chardev_get_fd(Chardev *, int *fd);                   /* next descriptor passed by SCM_RIGHTS, owned by the caller */
void chardev_set_params(Chardev *, const ChardevSerialParams *);
void chardev_send_break(Chardev *);
bool chardev_is_open(Chardev *);
/* "pty:/dev/pts/3", "unix:/path,server=on": query-chardev's filename. Allocated. */
char *chardev_filename(Chardev *);

/* Every chardev of a tree, in order of creation. */
void chardev_foreach(QomTree *, void (*fn)(Chardev *, void *opaque), void *opaque);
/* From -chardev text or the legacy spellings of -serial/-monitor/-qmp ("stdio", "mon:stdio", "unix:p,server=on,wait=off",
 * "pty", "file:x", "null", "tcp:...", "none" -> NULL without error). */
Chardev *chardev_new_from_text(QomTree *, Loop *, const char *id, const char *text, bool *with_monitor, Error **errp);

#endif
