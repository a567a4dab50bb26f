/* The qtest protocol on a whole PC. */
#include <stdlib.h>
#include <string.h>

#include "accel/qtest/qtest.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/program.h"

static struct {
    System *s;
    QtestServer *q;
} p;

static void nowhere(void *opaque, const char *line)
{
}

static void start(void)
{
    static const char *const args[] = { "-M", "pc", "-m", "16", "-accel", "qtest", "-nodefaults", NULL };

    p.s = program_new(args, &error_abort);
}

/* A client that moves the clock by years waits for each tick of each timer: that is what it asked for. */
static bool is_patient(FuzzBytes b)
{
    for (const char *at = memmem(b.data, b.len, "clock_s", 7), *end = (const char *)b.data + b.len; at;
         at = memmem(at + 1, (size_t)(end - at - 1), "clock_s", 7)) {
        size_t digits = 0;

        for (const char *q = at + 7; q < end && *q != '\n'; q++) {
            digits += *q != ' ';
        }
        if (digits > 4 + 8) {
            return false;
        }
    }
    return true;
}

static void qtest(const uint8_t *data, size_t len)
{
    FuzzBytes b = { data, len };

    if (!is_patient(b)) {
        return;
    }

    p.q = qtest_server_new_raw(p.s->machine, nowhere, NULL);
    while (fuzz_more(&b)) {
        FuzzBytes piece = fuzz_take(&b, 64);
        qtest_server_feed(p.q, piece.data, piece.len);
    }
    qtest_server_feed(p.q, "\n", 1);
    qtest_server_free(p.q);
    program_reset(p.s);
}

static const char *const words[] = { "\n", " ", "outb", "outw", "outl", "inb", "inw", "inl", "writeb", "writew", "writel", "writeq", "readb", "readw", "readl",
    "readq", "read", "write", "memset", "b64read", "b64write", "endianness", "clock_step", "clock_set", "irq_intercept_in", "irq_intercept_out", "set_irq_in",
    "ioapic", "/machine", "unnamed-gpio-in", "0x1000 4 0x01020304", "0x1000 3 QUFB", "0xcf8", "0xffffffffffffffff", "16777216", "-1", "1", "0x0x", NULL };

const FuzzTarget fuzz_qtest = { .init = start, .run = qtest, .words = words };
