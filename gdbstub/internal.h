/* Shared by the files of gdbstub/. */
#ifndef GDBSTUB_INTERNAL_H
#define GDBSTUB_INTERNAL_H

#include "gdbstub/gdbstub.h"

enum { GDB_PACKET = 16384 }; /* bytes of a packet, at most */

struct GdbStub {
    const GdbTarget *target;
    void *opaque;
    int fd;
    bool no_ack, gone;
    uint64_t thread;        /* of g, G, p, P, m: Hg */
    uint64_t stopped;       /* the one that stopped */
    uint64_t pass[2];       /* by signal of Linux */
    uint8_t in[4096];
    size_t in_at, in_len;
    char packet[GDB_PACKET + 8];
    char reply[2 * GDB_PACKET];
    size_t reply_len;
};

/* packet.c: the transport. */
bool gdb_receive(GdbStub *g, size_t *len);     /* a packet without frame, unescaped, to g->packet; false: gdb is gone */
void gdb_send(GdbStub *g);                     /* g->reply, and empties it */
void gdb_add(GdbStub *g, const char *text);
void gdb_addf(GdbStub *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void gdb_add_hex(GdbStub *g, const void *data, size_t n);
void gdb_add_binary(GdbStub *g, const void *data, size_t n);
size_t gdb_unhex(const char *text, uint8_t *out, size_t max);
int gdb_next_byte(GdbStub *g);                 /* -1: gdb is gone */

/* file.c: vFile packets; text is what follows "vFile:". */
void gdb_file(GdbStub *g, const char *text, size_t len);

#endif
