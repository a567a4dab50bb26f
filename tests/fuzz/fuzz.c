/* What all targets and both drivers use: see fuzz.h. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define TARGET(name, target) extern const FuzzTarget fuzz_##target;
#include "tests/fuzz/targets.gen.h"
#undef TARGET

const FuzzEntry fuzz_entries[] = {
#define TARGET(name, target) { name, &fuzz_##target },
#include "tests/fuzz/targets.gen.h"
#undef TARGET
    { NULL, NULL },
};

const FuzzTarget *fuzz_current;

static struct {
    char folder[128];
    FuzzBytes *words;
    uint32_t num, room;
} f;

/* ---- Words ---- */

void fuzz_add_bytes(const void *data, size_t len)
{
    uint8_t *copy = malloc(len);

    if (f.num == f.room) {
        f.room = f.room * 2 + 64;
        f.words = realloc(f.words, f.room * sizeof(*f.words));
    }
    memcpy(copy, data, len);
    f.words[f.num++] = (FuzzBytes){ copy, len };
}

void fuzz_add_word(const char *text)
{
    fuzz_add_bytes(text, strlen(text));
}

FuzzBytes fuzz_word(uint32_t n)
{
    return f.num ? f.words[n % f.num] : (FuzzBytes){ NULL, 0 };
}

/* ---- Start ---- */

const FuzzTarget *fuzz_find(const char *name)
{
    for (const FuzzEntry *e = fuzz_entries; e->name; e++) {
        if (!strcmp(e->name, name)) {
            return e->target;
        }
    }
    return NULL;
}

void fuzz_end(void)
{
    DIR *dir = *f.folder ? opendir(f.folder) : NULL;

    for (struct dirent *e; dir && (e = readdir(dir));) {
        unlinkat(dirfd(dir), e->d_name, 0);
    }
    if (dir) {
        closedir(dir);
        rmdir(f.folder);
    }
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Standard input is empty, what is printed goes nowhere; messages of sanitizers and drivers go to standard error. */
static void prepare_process(void)
{
    const char *base = getenv("FUZZ_FOLDER"); /* of scripts/fuzz, which removes it: libFuzzer ends without a word */
    int null = open("/dev/null", O_RDWR);

    snprintf(f.folder, sizeof(f.folder), "%s/kestrel-fuzz-XXXXXX", base ? base : access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0) {
        fail("/dev/null");
    }
    close(null);
    if (!mkdtemp(f.folder) || chmod(f.folder, 0777) < 0 || chdir(f.folder) < 0) {
        fail(f.folder);
    }
    atexit(fuzz_end);
}

/* An input may name any file: nothing that matters may be written. */
static void drop_rights(void)
{
    const struct rlimit files = { 16 << 20, 16 << 20 };

    /* The folder goes along, so that it may be removed from a place where only owners may. */
    if (geteuid() == 0 && (chown(f.folder, 65534, 65534) < 0 || setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)) {
        fail("nobody's rights");
    }
    setrlimit(RLIMIT_FSIZE, &files);
    signal(SIGXFSZ, SIG_IGN); /* EFBIG will do */
    prctl(PR_SET_DUMPABLE, 1); /* LeakSanitizer looks into its own process */
}

void fuzz_start(const FuzzTarget *t)
{
    prepare_process();
    if (t->opens_files) {
        drop_rights();
    }
    fuzz_current = t;
    for (const char *const *w = t->words; w && *w; w++) {
        fuzz_add_word(*w);
    }
    if (t->add_words) {
        t->add_words();
    }
    if (t->init) {
        t->init();
    }
}

/* LeakSanitizer asks. */
int __lsan_is_turned_off(void);
__attribute__((visibility("default"))) int __lsan_is_turned_off(void)
{
    return fuzz_current && fuzz_current->hides_memory;
}

void fuzz_run(const uint8_t *data, size_t len)
{
    fuzz_current->run(data, len);
}

/* ---- Mutations ---- */

uint32_t fuzz_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)(*seed >> 32) ^ (uint32_t)(*seed >> 59);
}

static size_t below(uint64_t *seed, size_t limit)
{
    return limit ? fuzz_random(seed) % limit : 0;
}

/* Puts n bytes in at `at`, moving or overwriting the rest. */
static size_t put(uint8_t *data, size_t len, size_t max, size_t at, FuzzBytes what, bool insert)
{
    size_t n = what.len < max - at ? what.len : max - at, rest = len - at;

    if (insert) {
        rest = rest < max - at - n ? rest : max - at - n;
        memmove(data + at + n, data + at, rest);
        len = at + n + rest;
    }
    if (n) {
        memmove(data + at, what.data, n);
    }
    return len > at + n ? len : at + n;
}

static size_t put_number(uint8_t *data, size_t len, size_t max, uint64_t *seed)
{
    static const uint64_t numbers[] = { 0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
                                        0xffffffff, 0x100000000, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX };
    uint64_t v = numbers[below(seed, sizeof(numbers) / sizeof(*numbers))];
    char text[32];

    if (fuzz_current->words) {
        FuzzBytes b = { (uint8_t *)text, (size_t)snprintf(text, sizeof(text), fuzz_random(seed) & 1 ? "%lu" : "0x%lx", v) };
        return put(data, len, max, below(seed, len + 1), b, true);
    }
    return put(data, len, max, below(seed, len + 1), (FuzzBytes){ (uint8_t *)&v, (size_t)1 << below(seed, 4) },
               fuzz_random(seed) & 1);
}

static size_t mutate_once(uint8_t *data, size_t len, size_t max, FuzzBytes other, uint64_t *seed)
{
    size_t at = below(seed, len), n = 1 + below(seed, below(seed, 3) ? 8 : 64), from;
    FuzzBytes word = fuzz_word(fuzz_random(seed));
    uint8_t copy[64];

    switch (below(seed, word.len ? 12 : 8)) {
    case 0: /* a bit */
        if (len) {
            data[at] ^= 1 << below(seed, 8);
        }
        return len;
    case 1: /* a byte */
        if (len) {
            data[at] = (uint8_t)fuzz_random(seed);
        }
        return len;
    case 2: /* bytes go */
        n = n < len - at ? n : len - at;
        memmove(data + at, data + at + n, len - at - n);
        return len - n;
    case 3: /* bytes come again elsewhere */
        n = n < len - at ? n : len - at;
        memcpy(copy, data + at, n);
        return put(data, len, max, below(seed, len + 1), (FuzzBytes){ copy, n }, fuzz_random(seed) & 1);
    case 4: /* new bytes */
        for (size_t i = 0; i < n; i++) {
            copy[i] = (uint8_t)fuzz_random(seed);
        }
        return put(data, len, max, below(seed, len + 1), (FuzzBytes){ copy, n }, true);
    case 5: /* a part of another input */
        from = below(seed, other.len);
        n = n * 4 < other.len - from ? n * 4 : other.len - from;
        return put(data, len, max, below(seed, len + 1), (FuzzBytes){ other.data + from, n }, true);
    case 6:
        return put_number(data, len, max, seed);
    case 7: /* the end goes */
        return fuzz_random(seed) % 8 ? len : at;
    default:
        return put(data, len, max, below(seed, len + 1), word, true);
    }
}

size_t fuzz_mutate(uint8_t *data, size_t len, size_t max, FuzzBytes other, uint64_t *seed)
{
    for (size_t n = 1 + below(seed, 1 << below(seed, 6)); n; n--) {
        len = mutate_once(data, len, max, other, seed);
    }
    return len;
}

/* ---- Taking values off an input ---- */

FuzzBytes fuzz_take(FuzzBytes *b, size_t n)
{
    FuzzBytes r = { b->data, n < b->len ? n : b->len };

    b->data += r.len;
    b->len -= r.len;
    return r;
}

static uint64_t take_number(FuzzBytes *b, size_t n)
{
    FuzzBytes r = fuzz_take(b, n);
    uint64_t v = 0;

    if (r.len) {
        memcpy(&v, r.data, r.len);
    }
    return v;
}

uint8_t fuzz_u8(FuzzBytes *b)
{
    return (uint8_t)take_number(b, 1);
}

uint16_t fuzz_u16(FuzzBytes *b)
{
    return (uint16_t)take_number(b, 2);
}

uint32_t fuzz_u32(FuzzBytes *b)
{
    return (uint32_t)take_number(b, 4);
}

uint64_t fuzz_u64(FuzzBytes *b)
{
    return take_number(b, 8);
}

char *fuzz_text(FuzzBytes b)
{
    char *text = malloc(b.len + 1);

    for (size_t i = 0; i < b.len; i++) {
        text[i] = b.data[i] ? (char)b.data[i] : ' ';
    }
    text[b.len] = 0;
    return text;
}
