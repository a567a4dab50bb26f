/* The command line: words by NULs or newlines. What is accepted makes a machine (no processor runs), which is taken down again. */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/program.h"

enum { MAX_ARGS = 48 };

/* A server that waits for its client would wait for ever. */
static char *without_wait(const char *word)
{
    QBuf b = { 0 };

    qbuf_str(&b, word);
    if (strstr(word, "server") || strstr(word, "listen")) {
        qbuf_str(&b, *word == '{' ? "" : ",wait=off");
    }
    return qbuf_steal(&b);
}

static void argv(const uint8_t *data, size_t len)
{
    char *text = fuzz_text((FuzzBytes){ data, len }), *rest = text, *word;
    char *args[MAX_ARGS] = { q_strdup("fuzz"), q_strdup("-accel"), q_strdup("qtest"), q_strdup("-nodefaults") };
    int argc = 4;

    while (argc < MAX_ARGS && (word = strsep(&rest, "\n"))) {
        if (*word) {
            args[argc++] = without_wait(word);
        }
    }
    program_try(argc, args);
    while (argc) {
        free(args[--argc]);
    }
    free(text);
}

static void words(void)
{
    const QSchema *s = &qschema_system;

    for (uint32_t i = 0; i < s->num_options; i++) {
        const QOption *o = s->options[i];
        char line[512];

        snprintf(line, sizeof(line), "\n-%s\n", o->item.name);
        fuzz_add_word(line);
        snprintf(line, sizeof(line), "\n%s\n", o->example ? o->example : "");
        for (char *p = line; *p; p++) {
            *p = *p == ' ' ? '\n' : *p;
        }
        fuzz_add_word(line);
        for (uint32_t k = 0; o->args && k < o->args->num_members; k++) {
            snprintf(line, sizeof(line), ",%s=", o->args->members[k].item.name);
            fuzz_add_word(line);
        }
    }
    for (uint32_t i = 0; i < s->num_classes; i++) {
        const QClass *k = s->classes[i];
        char line[128];

        snprintf(line, sizeof(line), "\n%s\n%s", k->kind == QCLASS_DEVICE ? "-device" : k->kind == QCLASS_OBJECT ? "-object" :
                 k->kind == QCLASS_MACHINE ? "-M" : k->kind == QCLASS_CHARDEV ? "-chardev" : "-global", k->item.name);
        if (k->kind != QCLASS_CPU) {
            fuzz_add_word(line);
        }
    }
}

static const char *const argv_words[] = { "\n", ",", "=", "on", "off", "0", "4G", "64", "id=a", "help", "null", "none", "pc", ":", "/", "/dev/null",
    "a", "b", ",,", "\n-M\nnone\n", "file.raw", "socket", "unix:s,server=on,wait=off", NULL };

const FuzzTarget fuzz_argv = { .run = argv, .add_words = words, .words = argv_words, .max_len = 1024, .opens_files = true };
