/* Packets: "Debugging with GDB", E.1 Overview, E.6 Packet Acknowledgment. $data#checksum, } escapes. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gdbstub/internal.h"

int gdb_next_byte(GdbStub *g)
{
    while (g->in_at == g->in_len && !g->gone) {
        ssize_t n = read(g->fd, g->in, sizeof(g->in));

        if (n <= 0 && errno != EINTR) {
            g->gone = true;
        }
        g->in_at = 0;
        g->in_len = n > 0 ? (size_t)n : 0;
    }
    return g->gone ? -1 : g->in[g->in_at++];
}

static void put(GdbStub *g, const void *data, size_t n)
{
    const char *p = data;

    while (n && !g->gone) {
        ssize_t done = send(g->fd, p, n, MSG_NOSIGNAL);

        if (done < 0 && errno != EINTR) {
            g->gone = true;
        } else if (done > 0) {
            p += done;
            n -= (size_t)done;
        }
    }
}

static int digit(int c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The data up to '#'. False: too long, or the checksum is wrong. */
static bool take_data(GdbStub *g, size_t *len)
{
    uint8_t sum = 0;
    bool fits = true;
    int c, high, low;

    *len = 0;
    while ((c = gdb_next_byte(g)) >= 0 && c != '#') {
        sum = (uint8_t)(sum + c);
        if (c == '}') {
            c = gdb_next_byte(g);
            sum = (uint8_t)(sum + c);
            c ^= 0x20;
        }
        if (*len < GDB_PACKET) {
            g->packet[(*len)++] = (char)c;
        } else {
            fits = false;
        }
    }
    g->packet[*len] = 0;
    high = digit(gdb_next_byte(g));
    low = digit(gdb_next_byte(g));
    return fits && (g->no_ack || (high << 4 | low) == sum);
}

bool gdb_receive(GdbStub *g, size_t *len)
{
    for (;;) {
        int c = gdb_next_byte(g);

        if (c < 0) {
            return false;
        }
        if (c == 3) { /* Ctrl-C while stopped: it is */
            continue;
        }
        if (c == '$') {
            bool ok = take_data(g, len);

            if (!g->no_ack) {
                put(g, ok ? "+" : "-", 1);
            }
            if (ok) {
                return !g->gone;
            }
        }
    }
}

void gdb_send(GdbStub *g)
{
    char end[4];
    uint8_t sum = 0;

    for (size_t n = 0; n < g->reply_len; n++) {
        sum = (uint8_t)(sum + (uint8_t)g->reply[n]);
    }
    put(g, "$", 1);
    put(g, g->reply, g->reply_len);
    snprintf(end, sizeof(end), "#%02x", sum);
    put(g, end, 3);
    g->reply_len = 0;
    while (!g->no_ack) {
        int c = gdb_next_byte(g);

        if (c < 0 || c == '+') {
            break;
        }
        if (c == '$') { /* it did not acknowledge and goes on */
            g->in_at--;
            break;
        }
    }
}

void gdb_add(GdbStub *g, const char *text)
{
    size_t n = strlen(text);

    if (g->reply_len + n < sizeof(g->reply)) {
        memcpy(g->reply + g->reply_len, text, n);
        g->reply_len += n;
    }
}

void gdb_addf(GdbStub *g, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    gdb_add(g, text);
}

void gdb_add_hex(GdbStub *g, const void *data, size_t n)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < n; i++) {
        gdb_addf(g, "%02x", p[i]);
    }
}

void gdb_add_binary(GdbStub *g, const void *data, size_t n)
{
    const uint8_t *p = data;

    for (size_t i = 0; i < n && g->reply_len + 2 < sizeof(g->reply); i++) {
        bool escape = p[i] == '$' || p[i] == '#' || p[i] == '}' || p[i] == '*';

        if (escape) {
            g->reply[g->reply_len++] = '}';
        }
        g->reply[g->reply_len++] = (char)(escape ? p[i] ^ 0x20 : p[i]);
    }
}

size_t gdb_unhex(const char *text, uint8_t *out, size_t max)
{
    size_t n = 0;

    while (n < max && digit(text[0]) >= 0 && digit(text[1]) >= 0) {
        out[n++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
        text += 2;
    }
    return n;
}
