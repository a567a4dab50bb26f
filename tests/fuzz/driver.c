/*
 * The driver that needs no libFuzzer: runs a target over its corpus, then over random mutations of it.
 *
 *     fuzz TARGET [--seconds N] [--seed N] [--save DIR] [FILE|DIR...]
 *     fuzz --list
 *
 * Prints TAP. What an input does wrong ends the process: the input is then in DIR/crash-TARGET (default: ./found), and the
 * message says how to run it again. A seed of 0 (the default) is a new one each time.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

typedef struct {
    uint8_t *data;
    size_t len;
} Input;

static struct {
    const char *name;
    double seconds;
    uint64_t seed, count;
    char saved[PATH_MAX];
    Input *corpus;
    size_t num;
    uint8_t *now;       /* the input that runs */
    size_t len, max;
    FILE *tap;
    int save_fd;
} d = { .save_fd = -1 };

static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add_file(const char *path, size_t max)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(max);
    size_t len = f ? fread(data, 1, max, f) : 0;

    if (!f) {
        perror(path);
        exit(1);
    }
    fclose(f);
    d.corpus = realloc(d.corpus, (d.num + 1) * sizeof(*d.corpus));
    d.corpus[d.num++] = (Input){ data, len };
}

static void add_path(const char *path, size_t max)
{
    struct dirent **list;
    int n = scandir(path, &list, NULL, alphasort);

    if (n < 0) {
        add_file(path, max);
        return;
    }
    for (int i = 0; i < n; i++) {
        char full[PATH_MAX];

        snprintf(full, sizeof(full), "%s/%s", path, list[i]->d_name);
        if (list[i]->d_name[0] != '.') {
            add_file(full, max);
        }
        free(list[i]);
    }
    free(list);
}

/* Async-signal-safe but for what is the process's last word anyway. */
static void tell(const char *why)
{
    if (d.save_fd >= 0 && (write(d.save_fd, d.now, d.len) != (ssize_t)d.len || ftruncate(d.save_fd, (off_t)d.len) < 0)) {
        perror(d.saved);
    }
    fprintf(stderr, "fuzz: %s: %s: input %lu of seed %lu, %zu bytes, is in %s\nfuzz: run it again: tests/fuzz/fuzz %s --seconds 0 %s\n",
            d.name, why, d.count, d.seed, d.len, d.saved, d.name, d.saved);
    d.save_fd = -1;
}

static void on_signal(int n)
{
    tell(n == SIGALRM ? "takes too long" : strsignal(n));
    signal(n, SIG_DFL);
    signal(SIGALRM, SIG_DFL);
    raise(n == SIGALRM ? SIGABRT : n);
}

/* Sanitizers call it before they end the process. */
void __sanitizer_set_death_callback(void (*)(void)) __attribute__((weak));
static void on_death(void)
{
    if (d.save_fd >= 0) {
        tell("found");
    }
}

static void catch_ends(void)
{
    static const int signals[] = { SIGABRT, SIGALRM, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };

    for (unsigned i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        if (!__sanitizer_set_death_callback || signals[i] == SIGALRM || signals[i] == SIGABRT) {
            signal(signals[i], on_signal);
        }
    }
    if (__sanitizer_set_death_callback) {
        __sanitizer_set_death_callback(on_death);
    }
}

/* What nothing points to any more; what targets keep is none. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));
static bool leaks(void)
{
    return __lsan_do_recoverable_leak_check && __lsan_do_recoverable_leak_check();
}

static void check_memory(void)
{
    struct rusage u;

    getrusage(RUSAGE_SELF, &u);
    if (u.ru_maxrss / 1024 > FUZZ_MEMORY) {
        tell("takes too much memory");
        abort();
    }
}

static void run(const uint8_t *data, size_t len)
{
    uint8_t *exact = malloc(len ? len : 1); /* what is read past the end is seen */

    memcpy(exact, data, len);
    d.now = exact;
    d.len = len;
    d.count++;
    alarm(FUZZ_TIMEOUT);
    fuzz_run(exact, len);
    alarm(0);
    d.now = NULL;
    free(exact);
    check_memory();
}

static void run_random(void)
{
    double end = now() + d.seconds;
    uint8_t *data = malloc(d.max);
    uint64_t seed = d.seed;

    while (now() < end) {
        Input from = d.num ? d.corpus[fuzz_random(&seed) % d.num] : (Input){ NULL, 0 };
        Input other = d.num ? d.corpus[fuzz_random(&seed) % d.num] : (Input){ NULL, 0 };
        size_t len = from.len;

        if (fuzz_random(&seed) % 8 == 0 && !fuzz_word(0).len) { /* all new */
            len = fuzz_random(&seed) % (d.max + 1);
            for (size_t i = 0; i < len; i++) {
                data[i] = (uint8_t)fuzz_random(&seed);
            }
        } else if (len) {
            memcpy(data, from.data, len);
        }
        run(data, fuzz_mutate(data, len, d.max, (FuzzBytes){ other.data, other.len }, &seed));
    }
    free(data);
}

static int usage(void)
{
    fprintf(stderr, "usage: fuzz TARGET [--seconds N] [--seed N] [--save DIR] [FILE|DIR...]\n       fuzz --list\n");
    return 2;
}

static int list(void)
{
    for (const FuzzEntry *e = fuzz_entries; e->name; e++) {
        puts(e->name);
    }
    return 0;
}

static bool arguments(int argc, char **argv, const char **save)
{
    for (int i = 2; i < argc; i++) {
        if (strncmp(argv[i], "--", 2)) {
            add_path(argv[i], d.max);
        } else if (i + 1 < argc && !strcmp(argv[i], "--seconds")) {
            d.seconds = strtod(argv[++i], NULL);
        } else if (i + 1 < argc && !strcmp(argv[i], "--seed")) {
            d.seed = strtoull(argv[++i], NULL, 0);
        } else if (i + 1 < argc && !strcmp(argv[i], "--save")) {
            *save = argv[++i];
        } else {
            return false;
        }
    }
    return true;
}

int main(int argc, char **argv)
{
    const FuzzTarget *t = argc > 1 ? fuzz_find(argv[1]) : NULL;
    const char *save = "found";
    bool leaked;

    if (argc > 1 && !strcmp(argv[1], "--list")) {
        return list();
    }
    if (!t) {
        return usage();
    }
    d.name = argv[1];
    d.max = t->max_len ? t->max_len : 4096;
    d.seconds = 1;
    if (!arguments(argc, argv, &save)) {
        return usage();
    }
    d.seed = d.seed ? d.seed : (uint64_t)time(NULL) * 1000003 ^ (uint64_t)getpid();
    d.tap = fdopen(dup(STDOUT_FILENO), "w");
    if ((mkdir(save, 0777) == 0 && chmod(save, 0777) < 0) || !realpath(save, d.saved)) { /* for targets that give up their rights */
        perror(save);
        return 1;
    }
    snprintf(d.saved + strlen(d.saved), sizeof(d.saved) - strlen(d.saved), "/crash-%s", d.name);
    d.save_fd = open(d.saved, O_WRONLY | O_CREAT | O_CLOEXEC, 0666); /* now: later there may be no right to */
    catch_ends();
    fuzz_start(t);
    fprintf(d.tap, "1..1\n# %s: seed %lu, %zu inputs of the corpus\n", d.name, d.seed, d.num);
    fflush(d.tap);
    for (size_t i = 0; i < d.num; i++) {
        run(d.corpus[i].data, d.corpus[i].len);
    }
    run_random();
    leaked = leaks();
    fprintf(d.tap, "%s 1 - %s, %lu inputs\n", leaked ? "not ok" : "ok", d.name, d.count);
    fclose(d.tap);
    fuzz_end();
    unlink(d.saved);
    fflush(NULL);
    _exit(leaked); /* what targets keep is not taken down */
}
