/* From a path and arguments to a program ready to run: scripts, ELF, stack, registers. execve(2). */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux-user/load.h"
#include "target/i386/decode.h"

enum { HEAD = 256, MAX_SCRIPTS = 5 };

void user_program_finish(UserProgram *g)
{
    if (g->fd >= 0) {
        close(g->fd);
    }
    free(g->argv);
    for (unsigned n = 0; n < g->num_owned; n++) {
        free(g->owned[n]);
    }
    *g = (UserProgram){ .fd = -1 };
}

/* argv with `front` in place of argv[0]. */
static bool put_front(UserProgram *g, char *const front[], unsigned num)
{
    size_t n = 0;
    char **argv;

    while (g->argv[n]) {
        n++;
    }
    argv = malloc((n + num + 1) * sizeof(*argv));
    if (!argv) {
        return false;
    }
    memcpy(argv, front, num * sizeof(*argv));
    memcpy(argv + num, g->argv + (n ? 1 : 0), (n ? n : 1) * sizeof(*argv));
    free(g->argv);
    g->argv = argv;
    return true;
}

/* "#! interpreter [argument]": argv becomes interpreter, argument, path, the rest. */
static int script(UserProgram *g, char *head, size_t n)
{
    char *end = memchr(head, '\n', n), *interp, *arg = NULL, *front[3];
    unsigned num = 0;

    if (!end) {
        end = head + n;
    }
    while (end > head && (end[-1] == ' ' || end[-1] == '\t')) {
        end--;
    }
    *end = 0;
    interp = head + 2 + strspn(head + 2, " \t");
    if (!*interp) {
        return ENOEXEC;
    }
    if (interp[strcspn(interp, " \t")]) {
        arg = interp + strcspn(interp, " \t");
        *arg++ = 0;
        arg += strspn(arg, " \t");
    }
    if (g->num_owned + 3 > sizeof(g->owned) / sizeof(g->owned[0])) {
        return ELOOP;
    }
    front[num++] = g->owned[g->num_owned++] = strdup(interp);
    if (arg) {
        front[num++] = g->owned[g->num_owned++] = strdup(arg);
    }
    front[num++] = g->owned[g->num_owned++] = strdup(g->path);
    for (unsigned i = 0; i < num; i++) {
        if (!front[i]) {
            return ENOMEM;
        }
    }
    g->path = front[0];
    return put_front(g, front, num) ? 0 : ENOMEM;
}

/* Opens g->path as execve would; the first bytes to head. */
static int open_program(UserProgram *g, char *head, size_t *n)
{
    struct stat st;
    ssize_t got;

    if (g->fd < 0) {
        if (faccessat(AT_FDCWD, g->path, X_OK, AT_EACCESS) < 0) {
            return errno;
        }
        g->fd = open(g->path, O_RDONLY | O_CLOEXEC);
        if (g->fd < 0) {
            return errno;
        }
    }
    if (fstat(g->fd, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 0111)) {
        return EACCES;
    }
    got = pread(g->fd, head, HEAD, 0);
    if (got < 0) {
        return errno;
    }
    *n = (size_t)got;
    head[got] = 0;
    return 0;
}

int user_program_open(UserProgram *g, int fd, const char *path, char *const argv[])
{
    char head[HEAD + 1];
    size_t n = 0, num = 0;
    int err;

    while (argv[num]) {
        num++;
    }
    *g = (UserProgram){ .fd = fd, .path = path, .argv = malloc((num + 1) * sizeof(char *)) };
    if (!g->argv) {
        return ENOMEM;
    }
    memcpy(g->argv, argv, (num + 1) * sizeof(char *));
    for (unsigned depth = 0; depth <= MAX_SCRIPTS; depth++) {
        err = open_program(g, head, &n);
        if (err) {
            return err;
        }
        if (n < 2 || head[0] != '#' || head[1] != '!') {
            g->why = user_elf_check(head, n);
            return g->why ? ENOEXEC : 0;
        }
        close(g->fd);
        g->fd = -1;
        g->is_script = true;
        err = script(g, head, n);
        if (err) {
            return err;
        }
    }
    return ELOOP;
}

/* The registers of a new process (psABI 3.4.1): everything zero but the stack pointer. */
static void set_registers(UserProcess *p, X86Cpu *cpu, uint64_t entry, uint64_t sp)
{
    user_cpu_init(cpu, p);
    cpu->st.gpr[R_RSP] = sp;
    user_cpu_go(cpu, entry);
}

/* The host's vDSO counts time with instructions that the model must have. */
static void find_vdso(UserProcess *p)
{
    const Elf64_Ehdr *eh = (const Elf64_Ehdr *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);
    bool rdtscp = p->features[X86_WORD_8_EDX] >> 27 & 1, rdpid = p->features[X86_WORD_7_ECX] >> 22 & 1;
    const Elf64_Phdr *ph;

    if (!eh || !rdtscp || !rdpid) {
        return;
    }
    ph = (const Elf64_Phdr *)((const char *)eh + eh->e_phoff);
    for (unsigned n = 0; n < eh->e_phnum; n++) {
        if (ph[n].p_type == PT_LOAD) {
            uint64_t start = (uintptr_t)eh, end = (start + ph[n].p_offset + ph[n].p_memsz + USER_PAGE - 1) & USER_PAGE_MASK;

            map_change(&p->map, start, end, 0, MAP_VALID | MAP_READ | MAP_EXEC);
            p->vdso = start;
        }
    }
}

static char *absolute_path(int fd)
{
    char link[64], path[4096];
    ssize_t n;

    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof(path) - 1);
    return n > 0 ? strndup(path, (size_t)n) : NULL;
}

bool user_load(UserProcess *p, X86Cpu *cpu, int *status, Error **errp)
{
    UserImage exe = { 0 }, interp = { 0 };
    UserProgram g;
    uint64_t sp;
    int err = user_program_open(&g, p->config.exec_fd, p->config.path, p->config.argv);

    *status = err == ENOENT || err == ENOTDIR ? 127 : 126;
    if (err) {
        const char *path = g.path;

        if (g.why) {
            error_set(errp, "%s: %s", path, g.why);
        } else {
            error_set_errno(errp, err, "%s", path);
        }
        user_program_finish(&g);
        return false;
    }
    if (p->config.argv0 && !g.is_script) {
        g.argv[0] = (char *)p->config.argv0;
    }
    p->config.argv = g.argv; /* from here on with the interpreters of scripts; lives as long as the process */
    p->config.path = g.path;
    p->exe = absolute_path(g.fd);
    if (!p->exe) {
        p->exe = strdup(g.path);
    }
    find_vdso(p);
    if (!user_elf_load(p, g.fd, g.path, &exe, &interp, errp)) {
        return false;
    }
    p->start_code = exe.start_code;
    p->end_code = exe.end_code;
    p->start_data = exe.start_data;
    p->end_data = exe.end_data;
    p->brk_start = p->brk = (exe.brk + USER_PAGE - 1) & USER_PAGE_MASK;
    if (!user_stack_make(p, &exe, &interp, &sp, errp)) {
        return false;
    }
    set_registers(p, cpu, interp.entry ? interp.entry : exe.entry, sp);
    return true;
}
