/* Shared by the back ends in chardev/ only. */
#ifndef CHARDEV_INTERNAL_H
#define CHARDEV_INTERNAL_H

#include "chardev/chardev.gen.h"
#include "chardev/chardev.h"
#include "qapi/buf.h"
#include "util/thread.h"

enum { CHARDEV_FRONTS = 4 }; /* of a mux; others have one */

/* One front end. */
typedef struct {
    const ChardevHandlers *handlers; /* NULL: free */
    void *opaque;
    FairMutex *domain;
    bool told_open;     /* loop's thread */
    bool open;
    bool want_writable; /* GUARDED_BY(Chardev.lock), this and the next two */
    QBuf queue;
    size_t sent;        /* bytes of queue that were written */
} ChardevFront;

/*
 * What a back end does: ObjectOps.iface of its class. All but write may be NULL. It opens in its class's realize, where
 * ctx and conf are set, and calls chardev_opened(), then or when somebody is there; and closes in unrealize.
 */
typedef struct {
    /* lock held. Bytes taken, without blocking; 0: call again after chardev_writable. */
    int (*write)(Chardev *, const void *buf, int len);
    /* Loop's thread: chardev_room() or chardev_wants_writable() may have changed. */
    void (*update)(Chardev *);
    char *(*filename)(Chardev *);
    bool (*get_fd)(Chardev *, int *fd);
    void (*set_params)(Chardev *, const ChardevSerialParams *);
    void (*set_modem)(Chardev *, unsigned tiocm);
    bool (*get_modem)(Chardev *, unsigned *tiocm);
    void (*send_break)(Chardev *);
    void (*disconnect)(Chardev *);
    int (*poll_fd)(Chardev *); /* to wait for room in chardev_flush; -1: none */
    bool is_mux;               /* CHARDEV_FRONTS front ends; all output goes through `focus` or not by its own rules */
} ChardevOps;

struct Chardev {
    Object obj;
    ChardevConf base;   /* of classes without config of their own: object_conf() is the one to read */
    const ChardevContext *ctx;
    const ChardevOps *ops;
    LoopWork work;      /* runs ops->update in the loop's thread */
    unsigned focus;     /* front end that gets input; loop's thread */
    int told_focus;     /* the one that knows it has the focus; -1: none */
    Mutex lock;         /* LOCK_UNORDERED: of a mux before that of what it is on; no handler is called with it held */
    bool is_open;       /* GUARDED_BY(lock), this and the next */
    int log_fd;
    ChardevFront fronts[CHARDEV_FRONTS];
};
#define CHARDEV(p) ((Chardev *)(p))

/* ---- For back ends; all in the loop's thread ---- */

void chardev_opened(Chardev *);
void chardev_closed(Chardev *);
/* Bytes that the front end with the focus takes now. */
int chardev_room(Chardev *);
void chardev_received(Chardev *, const void *buf, int len);
void chardev_event(Chardev *, ChardevEvent); /* to the front end with the focus */
void chardev_front_event(Chardev *, unsigned front, ChardevEvent);
/* A mux: tells who lost the focus and who has it now. */
void chardev_tell_focus(Chardev *);
/* Somebody waits for room, or has a queue. Any thread, lock not held. */
bool chardev_wants_writable(Chardev *);
/* There is room: writes what is queued, then tells who waits. */
void chardev_writable(Chardev *);
void chardev_update_later(Chardev *); /* any thread */

/* A pair of descriptors as a stream, or one twice. Zeroed and chardev_fd_stop()ped is closed. */
typedef struct {
    Chardev *chr;
    int in, out;          /* -1: none; owned */
    LoopFd *win, *wout;   /* win serves both when they are the same */
    unsigned in_events, out_events;
    bool hung;            /* the other end is gone; what it sent may still be read */
    bool active;
    void (*ended)(Chardev *);                                  /* end of input or an error */
    void (*hung_up)(Chardev *);                                /* hung was set; NULL: nobody cares */
    int (*read)(Chardev *, void *buf, int len);                /* NULL: read(2) */
    void (*received)(Chardev *, uint8_t *buf, int len);        /* NULL: chardev_received */
} ChardevFd;

void chardev_fd_start(ChardevFd *f, Chardev *chr, int in, int out, void (*ended)(Chardev *));
void chardev_fd_stop(ChardevFd *f);   /* closes them */
void chardev_fd_update(ChardevFd *f);
int chardev_fd_write(ChardevFd *f, const void *buf, int len); /* as ChardevOps.write; errors drop the bytes */
bool chardev_fd_nonblock(int fd, Error **errp);

/* open() with O_CLOEXEC; /dev/fdset/N is a descriptor that a client passed. -1 with errp set. */
int chardev_open_file(const ChardevContext *, const char *path, int flags, Error **errp);

#endif
