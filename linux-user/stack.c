/*
 * The first stack, as the kernel lays it out (psABI 3.4.1, getauxval(3)), from the top down: 8 zero bytes, path, environment,
 * arguments, platform, 16 random bytes; then, rising to them: argc, argv, envp, auxiliary vector.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include "linux-user/elf.h"
#include "target/i386/decode.h"

enum { MAX_AUXV = 32, MIN_FRAME = 1152 /* of a signal with FXSAVE's image */ };
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

typedef struct {
    uint64_t sp;
    bool ok;
} Stack;

static uint64_t push(Stack *s, const void *data, size_t n)
{
    s->sp -= n;
    s->ok = s->ok && user_put(s->sp, data, n);
    return s->sp;
}

static size_t count(char *const *list)
{
    size_t n = 0;

    while (list[n]) {
        n++;
    }
    return n;
}

/* Strings in order, the first lowest; their addresses to `at`. */
static void push_strings(Stack *s, char *const *list, size_t n, uint64_t *at)
{
    while (n-- > 0) {
        at[n] = push(s, list[n], strlen(list[n]) + 1);
    }
}

static bool allocate(UserProcess *p, bool exec, Error **errp)
{
    uint64_t size = (p->config.stack_size + USER_PAGE - 1) & USER_PAGE_MASK;
    uint64_t a[6] = { 0, size + USER_PAGE, PROT_READ | PROT_WRITE | (exec ? PROT_EXEC : 0),
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, (uint64_t)-1, 0 };
    int64_t r = user_mmap(p, a);

    if (r < 0 && r > -4096) {
        return error_set_errno(errp, (int)-r, "stack of %llu bytes", (unsigned long long)size);
    }
    mprotect((void *)(uintptr_t)r, USER_PAGE, PROT_NONE); /* ours: what grows out of it faults */
    pthread_mutex_lock(&p->map.lock);
    map_change(&p->map, (uint64_t)r, (uint64_t)r + USER_PAGE, 0, 0);
    pthread_mutex_unlock(&p->map.lock);
    p->stack_low = (uint64_t)r + USER_PAGE;
    p->stack_top = (uint64_t)r + USER_PAGE + size;
    return true;
}

static size_t make_auxv(UserProcess *p, const UserImage *exe, const UserImage *interp, uint64_t (*v)[2])
{
    size_t n = 0;

#define AUX(type, value) v[n][0] = (type), v[n++][1] = (value)
    if (p->vdso) {
        AUX(AT_SYSINFO_EHDR, p->vdso);
    }
    AUX(AT_MINSIGSTKSZ, MIN_FRAME);
    AUX(AT_HWCAP, p->features[X86_WORD_1_EDX]);
    AUX(AT_PAGESZ, USER_PAGE);
    AUX(AT_CLKTCK, (uint64_t)sysconf(_SC_CLK_TCK));
    AUX(AT_PHDR, exe->phdr);
    AUX(AT_PHENT, exe->phent);
    AUX(AT_PHNUM, exe->phnum);
    AUX(AT_BASE, interp->base);
    AUX(AT_FLAGS, 0);
    AUX(AT_ENTRY, exe->entry);
    AUX(AT_UID, getuid());
    AUX(AT_EUID, geteuid());
    AUX(AT_GID, getgid());
    AUX(AT_EGID, getegid());
    AUX(AT_SECURE, getauxval(AT_SECURE));
    AUX(AT_HWCAP2, p->features[X86_WORD_7_EBX] & 1 ? 2 : 0); /* FSGSBASE may be used */
#undef AUX
    return n;
}

/* xorshift64*: any number does for -seed. */
static void random_bytes(const UserProcess *p, uint8_t *to, size_t n)
{
    uint64_t x = p->config.seed * 2 + 1;

    if (!p->config.has_seed && getrandom(to, n, GRND_NONBLOCK) == (ssize_t)n) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        x ^= x >> 12;
        x ^= x << 25;
        x ^= x >> 27;
        to[i] = (uint8_t)(x * 0x2545f4914f6cdd1d >> 56);
    }
}

bool user_stack_make(UserProcess *p, const UserImage *exe, const UserImage *interp, uint64_t *sp, Error **errp)
{
    size_t argc = count(p->config.argv), envc = count(p->config.envp), n;
    uint64_t *at = malloc((argc + envc + 3) * sizeof(*at)), auxv[MAX_AUXV][2], path, platform, random, zero = 0;
    uint8_t bytes[16];
    Stack s = { .ok = true };

    if (!at || !allocate(p, exe->exec_stack, errp)) {
        free(at);
        return at ? false : error_set(errp, "stack: no memory");
    }
    s.sp = p->stack_top;
    random_bytes(p, bytes, sizeof(bytes));
    push(&s, &zero, 8);
    path = push(&s, p->config.path, strlen(p->config.path) + 1);
    p->env_end = s.sp;
    push_strings(&s, p->config.envp, envc, at + argc + 1);
    p->args_end = s.sp;
    push_strings(&s, p->config.argv, argc, at);
    p->args_start = s.sp;
    at[argc] = at[argc + 1 + envc] = 0;
    platform = push(&s, "x86_64", 7);
    random = push(&s, bytes, sizeof(bytes));
    n = make_auxv(p, exe, interp, auxv);
    auxv[n][0] = AT_RANDOM, auxv[n++][1] = random;
    auxv[n][0] = AT_EXECFN, auxv[n++][1] = path;
    auxv[n][0] = AT_PLATFORM, auxv[n++][1] = platform;
    auxv[n][0] = AT_NULL, auxv[n++][1] = 0;
    s.sp = (s.sp & ~15ull) - ((argc + envc + 3) & 1) * 8;
    p->auxv_size = n * 16;
    p->auxv = push(&s, auxv, n * 16);
    push(&s, at, (argc + envc + 2) * sizeof(*at));
    push(&s, &(uint64_t){ argc }, 8);
    *sp = s.sp;
    free(at);
    return s.ok || error_set(errp, "stack of %llu bytes: too small for arguments and environment",
                             (unsigned long long)p->config.stack_size);
}
