/* -strace: each call as its arguments are described in syscalls.def, in the form people know: pid name(arguments) = result. */
#include <errno.h>
#include <inttypes.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "linux-user/linux-user.h"
#include "util/log.h"

static void print_string(FILE *f, uint64_t addr)
{
    char text[256];
    int64_t n = user_get_string(addr, text, sizeof(text));

    if (n == -EFAULT) {
        fprintf(f, "0x%" PRIx64, addr);
        return;
    }
    fputc('"', f);
    for (size_t i = 0; i < (n < 0 ? sizeof(text) - 1 : (size_t)n); i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= ' ' && c < 127 && c != '"' && c != '\\') {
            fputc(c, f);
        } else {
            fprintf(f, "\\x%02x", c);
        }
    }
    fputs(n < 0 ? "\"..." : "\"", f);
}

static void print_signal(FILE *f, int sig)
{
    const char *name = sigabbrev_np(sig);

    if (name) {
        fprintf(f, "SIG%s", name);
    } else {
        fprintf(f, "%d", sig);
    }
}

static void print_argument(FILE *f, char kind, uint64_t v)
{
    switch (kind) {
    case 'd':
    case 'f':
        fprintf(f, "%d", (int)v);
        break;
    case 'D':
        if ((int)v == AT_FDCWD) {
            fputs("AT_FDCWD", f);
        } else {
            fprintf(f, "%d", (int)v);
        }
        break;
    case 'u':
        fprintf(f, "%" PRIu64, v);
        break;
    case 'o':
        fprintf(f, "0%o", (unsigned)v);
        break;
    case 's':
        print_string(f, v);
        break;
    case 'g':
        print_signal(f, (int)v);
        break;
    case 'x':
        fprintf(f, "0x%" PRIx64, v);
        break;
    default:
        if (v) {
            fprintf(f, "0x%" PRIx64, v);
        } else {
            fputs("NULL", f);
        }
        break;
    }
}

void user_strace_before(UserThread *t, const char *name, const char *args, const uint64_t a[6])
{
    FILE *f = log_begin();

    fprintf(f, "%d %s(", (int)t->tid, name);
    for (unsigned n = 0; args[n]; n++) {
        fputs(n ? "," : "", f);
        print_argument(f, args[n], a[n]);
    }
    fputc(')', f);
    log_end(f);
}

void user_strace_after(UserThread *t, const char *args, const uint64_t a[6], int64_t r)
{
    FILE *f = log_begin();

    if (r == -USER_RESTART) {
        fputs(" = ? (to be restarted)\n", f);
    } else if (r == -USER_NO_RESULT) {
        fputs("\n", f);
    } else if (r < 0 && r > -4096) {
        fprintf(f, " = -1 errno=%d (%s)\n", (int)-r, strerror((int)-r));
    } else if (r > 1 << 20) {
        fprintf(f, " = 0x%" PRIx64 "\n", (uint64_t)r);
    } else {
        fprintf(f, " = %" PRId64 "\n", r);
    }
    log_end(f);
}
