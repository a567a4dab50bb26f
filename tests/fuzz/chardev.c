/*
 * Bytes from the host's side: a peer of a socket chardev (plain, telnet, and behind a mux with its escapes), and the spellings of -serial and
 * -chardev. The front ends are a serial port and HMP.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/program.h"

enum { LIFE = 100 };

static struct {
    System *s;
    unsigned served;
} p;

static void begin(void)
{
    static const char *const args[] = { "-M", "pc", "-m", "16", "-accel", "qtest", "-nodefaults", "-no-shutdown",
        "-chardev", "socket,id=a,path=a,server=on,wait=off", "-serial", "chardev:a",
        "-chardev", "socket,id=b,path=b,server=on,wait=off,telnet=on", "-serial", "chardev:b",
        "-chardev", "socket,id=c,path=c,server=on,wait=off,mux=on", "-serial", "chardev:c", "-mon", "chardev=c",
        "-chardev", "socket,id=d,path=d,server=on,wait=off", "-mon", "chardev=d,mode=control", NULL };

    unlink("a"), unlink("b"), unlink("c"), unlink("d");
    p.s = program_new(args, &error_abort);
    p.served = 0;
}

static void restart(void)
{
    program_free(p.s);
    begin();
}

static void drain(int fd)
{
    char buf[4096];

    while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) > 0) {
    }
}

static void chardev(const uint8_t *data, size_t len)
{
    FuzzBytes b = { data, len };
    uint8_t how = fuzz_u8(&b);
    struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = { "abcd"[how & 3] } };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0) {
        abort();
    }
    if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) { /* the one before has gone, what it sent may wait for the guest */
        abort();
    }
    program_settle(p.s);
    while (fuzz_more(&b)) {
        FuzzBytes piece = fuzz_take(&b, how & 4 ? 3 : 100);

        if (send(fd, piece.data, piece.len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
            break;
        }
        program_settle(p.s);
        drain(fd);
    }
    close(fd);
    program_settle(p.s);
    if (p.s->run.ending || ++p.served == LIFE) {
        restart();
    } else {
        program_reset(p.s);
    }
}

static const char *const words[] = { "\xff\xfb\x01", "\xff\xfd\x03", "\xff\xfa", "\xff\xf0", "\xff\xff", "\xff\xf3", "\xff\xf6", "\x01" "c", "\x01" "h", "\x01" "b",
    "\x01" "t", "\x01" "s", "\x01\x01", "\x01" "?", "info chardev\r", "\x1b[A", "help\n", "{'execute':'qmp_capabilities'}", "{'execute':'query-chardev'}\n", NULL };

const FuzzTarget fuzz_chardev = { .init = begin, .run = chardev, .words = words, .max_len = 1024, .opens_files = true };

/* ---- Spellings ---- */

static System *spelling_program;

static void start_spelling(void)
{
    static const char *const args[] = { "-M", "none", "-nodefaults", NULL };

    spelling_program = program_new(args, &error_abort);
}

static void spelling(const uint8_t *data, size_t len)
{
    char *text = fuzz_text((FuzzBytes){ data, len });

    json_object_put(chardev_parse_text(&spelling_program->chardevs, text, NULL));
    free(text);
}

static const char *const spelling_words[] = { "tcp:", "telnet:", "unix:", "udp:", "file:", "pipe:", "pty", "stdio", "null", "mon:", "vc:80Cx24C", "fdset:", "chardev:",
    "server=on", ",wait=off", "nowait", "[::1]:", "localhost:1", ":65536", "@1:2", ",to=1", "websocket:", "/dev/parport0", "braille", NULL };

const FuzzTarget fuzz_chardev_text = { .init = start_spelling, .run = spelling, .words = spelling_words, .max_len = 256 };
