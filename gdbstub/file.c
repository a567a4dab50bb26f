/* Host I/O: "Debugging with GDB", E.7, so that gdb finds the program and its libraries. Reading only. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gdbstub/internal.h"

static void answer(GdbStub *g, int64_t result)
{
    int err = errno;

    if (result < 0) { /* E.7.7: the numbers used are those of Linux up to ENAMETOOLONG, which is 91; others are 9999 */
        gdb_addf(g, "F-1,%x", err == ENAMETOOLONG ? 91 : err < 34 ? err : 9999);
    } else {
        gdb_addf(g, "F%" PRIx64, (uint64_t)result);
    }
}

/* E.7.6: struct stat with big-endian fields. */
static void add_stat(GdbStub *g, const struct stat *st)
{
    struct {
        uint64_t value;
        uint8_t bytes;
    } f[] = {
        { st->st_dev, 4 }, { st->st_ino, 4 }, { st->st_mode, 4 }, { st->st_nlink, 4 }, { st->st_uid, 4 }, { st->st_gid, 4 },
        { st->st_rdev, 4 }, { (uint64_t)st->st_size, 8 }, { (uint64_t)st->st_blksize, 8 }, { (uint64_t)st->st_blocks, 8 },
        { (uint64_t)st->st_atime, 4 }, { (uint64_t)st->st_mtime, 4 }, { (uint64_t)st->st_ctime, 4 },
    };
    uint8_t out[64];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(f) / sizeof(f[0]); i++) {
        for (unsigned b = f[i].bytes; b-- > 0;) {
            out[n++] = (uint8_t)(f[i].value >> 8 * b);
        }
    }
    gdb_addf(g, "F%zx;", n);
    gdb_add_binary(g, out, n);
}

static void read_file(GdbStub *g, const char *args)
{
    int fd = (int)strtol(args, (char **)&args, 16);
    size_t n = *args ? strtoul(args + 1, (char **)&args, 16) : 0;
    uint64_t at = *args ? strtoull(args + 1, NULL, 16) : 0;
    uint8_t *buf;
    ssize_t got;

    n = n < GDB_PACKET / 2 ? n : GDB_PACKET / 2;
    buf = malloc(n + 1);
    got = buf ? pread(fd, buf, n, (off_t)at) : -1;
    answer(g, got);
    if (got >= 0) {
        gdb_add(g, ";");
        gdb_add_binary(g, buf, (size_t)got);
    }
    free(buf);
}

void gdb_file(GdbStub *g, const char *text, size_t len)
{
    char path[4096];
    struct stat st;

    if (!strncmp(text, "setfs:", 6)) {
        gdb_add(g, "F0");
    } else if (!strncmp(text, "open:", 5)) {
        path[gdb_unhex(text + 5, (uint8_t *)path, sizeof(path) - 1)] = 0;
        answer(g, open(path, O_RDONLY | O_CLOEXEC));
    } else if (!strncmp(text, "close:", 6)) {
        answer(g, close((int)strtol(text + 6, NULL, 16)));
    } else if (!strncmp(text, "pread:", 6)) {
        read_file(g, text + 6);
    } else if (!strncmp(text, "fstat:", 6)) {
        if (fstat((int)strtol(text + 6, NULL, 16), &st) < 0) {
            answer(g, -1);
        } else {
            add_stat(g, &st);
        }
    } else if (!strncmp(text, "readlink:", 9)) {
        char to[4096];
        ssize_t n;

        path[gdb_unhex(text + 9, (uint8_t *)path, sizeof(path) - 1)] = 0;
        n = readlink(path, to, sizeof(to));
        answer(g, n);
        if (n >= 0) {
            gdb_add(g, ";");
            gdb_add_binary(g, to, (size_t)n);
        }
    }
}
