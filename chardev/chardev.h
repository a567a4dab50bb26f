/*
 * Character devices: byte streams to the host (stdio, socket, pty, file, ...).
 *
 * A Chardev is an Object of a class of kind 'chardev' (chardev/chardev.json), in the tree under /chardevs. Its back end
 * moves bytes to the host; one front end (a serial port, a monitor, the qtest server) is attached at a time,
 * except for mux, which has up to four and switches between them by Ctrl-A c.
 *
 *     chardev_attach(chr, &handlers, s, errp);           // once, at realize; chardev_attach_locked for devices
 *     ...
 *     n = chardev_write(chr, s, buf, len);               // takes what fits now; 0..len, never blocks
 *     if (n < len) chardev_watch_writable(chr, s, true); // handlers.writable is called once there is room
 *     chardev_accept_input(chr);                         // after can_receive was 0 and isn't any more
 *
 * `opaque` says which front end calls: what chardev_attach was given. While nobody is at the other end, what is
 * written is dropped and counts as taken.
 *
 * Threads: handlers are called in the loop's thread, those of chardev_attach_locked with the lock domain of
 * their device held. chardev_write, _write_all, _watch_writable and _accept_input may be called by any thread,
 * with or without that lock, also from within handlers; all else in the loop's thread.
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

/* can_receive and receive NULL: takes no input, which waits. event and writable may be NULL. */
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

/* What chardevs need of the program around them. One per tree; outlives its chardevs. */
typedef struct {
    QomTree *tree;
    Loop *loop;
    Clock *clock;                  /* real time, run by loop: for reconnecting */
    void *opaque;
    void (*quit)(void *opaque);    /* Ctrl-A x */
    void (*commit)(void *opaque);  /* Ctrl-A s: snapshots to their disks; NULL: nothing to save */
    void (*warn)(void *opaque, const char *text); /* of deprecated spellings; NULL: nobody wants to know */
    int escape;                    /* character that escapes in a mux; 0: 1, which is Ctrl-A */
    /* The descriptor that a name stands for (getfd), given away; NULL or -1 with errp set. */
    int (*take_fd)(void *opaque, const char *name, Error **errp);
    /* What /dev/fdset/ID stands for, opened with flags; NULL or -1 with errp set. */
    int (*open_fdset)(void *opaque, int64_t id, int flags, Error **errp);
} ChardevContext;

/* ---- Front ends ---- */

/* Attaches the (one) front end; error when busy. The event opened follows if the stream is open. */
bool chardev_attach(Chardev *, const ChardevHandlers *, void *opaque, Error **errp);
/* As chardev_attach; domain is held around the handlers. The caller holds it. */
bool chardev_attach_locked(Chardev *, const ChardevHandlers *, void *opaque, FairMutex *domain, Error **errp);
/* What is still queued is written if that can be done at once. */
void chardev_detach(Chardev *, void *opaque);
void chardev_set_open(Chardev *, void *opaque, bool open); /* front end's state: query-chardev frontend-open */
bool chardev_front_open(Chardev *);

int chardev_write(Chardev *, void *opaque, const void *buf, int len);
/* Queues all of it, for clients that may not lose bytes; false when that would make the queue longer than this. */
enum { CHARDEV_QUEUE_MAX = 64 << 20 };
bool chardev_write_all(Chardev *, void *opaque, const void *buf, size_t len);
size_t chardev_queued(Chardev *, void *opaque);
void chardev_watch_writable(Chardev *, void *opaque, bool on);
void chardev_accept_input(Chardev *);
/* Waits until all that is queued is written; bounded by a second. For last words before the end. */
void chardev_flush(Chardev *);
bool chardev_get_fd(Chardev *, int *fd);                   /* next descriptor passed by SCM_RIGHTS, owned by the caller */
void chardev_set_params(Chardev *, const ChardevSerialParams *);
void chardev_set_modem(Chardev *, unsigned tiocm);
bool chardev_get_modem(Chardev *, unsigned *tiocm);        /* false: the back end has no modem lines */
/* Told to the front end as if the line had received it: Ctrl-A b, chardev-send-break. */
void chardev_receive_break(Chardev *);
void chardev_send_break(Chardev *);                        /* the guest sends one */
bool chardev_is_open(Chardev *);
bool chardev_is_busy(Chardev *);                           /* as many front ends as it can have */
/* Ends the connection of a socket; others stay. */
void chardev_disconnect(Chardev *);
/* "pty:/dev/pts/3", "unix:/path,server=on": query-chardev's filename. free() it. */
char *chardev_filename(Chardev *);
const char *chardev_label(const Chardev *);

/* Every chardev of a tree, in order of creation. */
void chardev_foreach(QomTree *, void (*fn)(Chardev *, void *opaque), void *opaque);
Chardev *chardev_find(QomTree *, const char *id); /* borrowed; NULL: none */

/* ---- Making them ---- */

/*
 * A chardev of class "chardev-BACKEND" in the tree, open; borrowed. props: JSON object of its config or NULL; text: its leaves
 * may be as on the command line. mux: it gets the name "ID-base" and a mux ID on top.
 */
Chardev *chardev_new(const ChardevContext *, const char *id, const char *backend, struct json_object *props, bool text,
                     bool mux, Error **errp);
/* A -chardev record: {"backend":, "id":, "mux":, properties}. */
Chardev *chardev_new_from_record(const ChardevContext *, struct json_object *record, Error **errp);
/*
 * From the spellings of -serial, -monitor, -qmp and so on: "stdio", "mon:stdio", "unix:p,server=on,wait=off", "pty",
 * "file:x", "null", "tcp:...", "chardev:ID". "none": NULL without error. *with_monitor is set for "mon:" (which makes it a
 * mux); NULL refuses it.
 */
Chardev *chardev_new_from_text(const ChardevContext *, const char *id, const char *text, bool *with_monitor, Error **errp);
/* Takes it out of the tree; refused while it has a front end. */
bool chardev_delete(QomTree *, const char *id, Error **errp);

/* "telnet:host:port,server" and the like, taken apart: a record as above without id. Owned. "none" and "chardev:" are not. */
struct json_object *chardev_parse_text(const ChardevContext *, const char *text, Error **errp);

#endif
