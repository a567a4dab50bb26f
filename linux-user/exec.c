/* execve stays emulated: we execute ourselves with the same options and the guest's program. execve(2), execveat(2). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux-user/load.h"

enum { MAX_STRING = 32 * USER_PAGE, MAX_POINTERS = 1 << 18 };

static void free_list(char **list)
{
    for (size_t n = 0; list && list[n]; n++) {
        free(list[n]);
    }
    free(list);
}

/* A list of strings of the guest's. NULL with *err set. */
static char **get_list(uint64_t addr, int64_t *err)
{
    size_t room = 64, n = 0;
    char **list = calloc(room, sizeof(*list)), *buf = malloc(MAX_STRING);

    *err = list && buf ? 0 : -ENOMEM;
    while (*err == 0 && addr) {
        uint64_t s;
        int64_t len;

        if (!user_get(addr + 8 * n, &s, 8)) {
            *err = -EFAULT;
            break;
        }
        if (!s) {
            break;
        }
        len = user_get_string(s, buf, MAX_STRING);
        if (n + 2 > room) {
            char **more = n < MAX_POINTERS ? realloc(list, 2 * room * sizeof(*list)) : NULL;
            *err = more ? 0 : -E2BIG;
            list = more ? more : list;
            room *= 2;
        }
        if (len < 0 || *err) {
            *err = *err ? *err : len == -ENAMETOOLONG ? -E2BIG : len;
            break;
        }
        list[n] = strdup(buf);
        list[++n] = NULL;
    }
    free(buf);
    if (*err) {
        free_list(list);
        return NULL;
    }
    return list;
}

/* Descriptors that execve would close are needed once more, by their number. */
static int keep_open(int fd)
{
    return fcntl(fd, F_DUPFD, 512);
}

static int64_t run(UserThread *t, UserProgram *g, char *const argv0, char **envp)
{
    UserProcess *p = t->p;
    char number[32], **argv;
    size_t n = 0, num = 0;
    int fd = keep_open(g->fd), self = keep_open(p->exe_fd);
    int64_t r;

    while (g->argv[n]) {
        n++;
    }
    argv = calloc(n + p->config.num_options + 10, sizeof(*argv));
    if (!argv || fd < 0 || self < 0) {
        free(argv);
        close(fd);
        close(self);
        return argv ? -EMFILE : -ENOMEM;
    }
    argv[num++] = (char *)p->config.program_name;
    for (unsigned i = 0; i < p->config.num_options; i++) {
        argv[num++] = p->config.options[i];
    }
    snprintf(number, sizeof(number), "%d,%d", fd, self);
    argv[num++] = (char *)"-exec-fd";
    argv[num++] = number;
    argv[num++] = (char *)"-0";
    argv[num++] = argv0;
    argv[num++] = (char *)"--";
    argv[num++] = (char *)g->path;
    memcpy(argv + num, g->argv + (n ? 1 : 0), (n ? n - 1 : 0) * sizeof(*argv));
    user_signals_exec(t, false);
    r = user_raw_syscall(SYS_execveat, (uint64_t)(int64_t)p->exe_fd, (uintptr_t)"", (uintptr_t)argv, (uintptr_t)envp, AT_EMPTY_PATH, 0);
    user_signals_exec(t, true);
    close(fd);
    close(self);
    free(argv);
    return r;
}

static int64_t exec(UserThread *t, int fd, const char *path, const uint64_t lists[2])
{
    char *none[] = { (char *)"", NULL }, **argv, **envp = NULL;
    UserProgram g = { .fd = -1 };
    int64_t r;

    argv = get_list(lists[0], &r);
    if (argv) {
        envp = get_list(lists[1], &r);
    }
    if (envp) {
        const char *exe = user_proc_exe(t, path);

        r = -user_program_open(&g, fd, exe ? exe : path, argv[0] ? argv : none);
        fd = -1;
        if (r == 0) {
            r = run(t, &g, g.argv[0], envp);
        }
        user_program_finish(&g);
    }
    if (fd >= 0) {
        close(fd);
    }
    free_list(argv);
    free_list(envp);
    return r;
}

int64_t sys_execve(UserThread *t, const uint64_t a[6])
{
    char path[4096];
    int64_t r = user_get_string(a[0], path, sizeof(path));

    return r < 0 ? r : r == 0 ? -ENOENT : exec(t, -1, path, a + 1);
}

int64_t sys_execveat(UserThread *t, const uint64_t a[6])
{
    char path[4096];
    int64_t r = user_get_string(a[1], path, sizeof(path));
    int dir = (int)a[0], fd = -1;

    if (r < 0) {
        return r;
    }
    if (a[4] & ~(uint64_t)(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW)) {
        return -EINVAL;
    }
    if (r == 0 && !(a[4] & AT_EMPTY_PATH)) {
        return -ENOENT;
    }
    if (path[0] != '/' && (dir != AT_FDCWD || r == 0)) {
        char link[64];

        if (r == 0) {
            snprintf(link, sizeof(link), "/proc/self/fd/%d", dir);
            fd = open(link, O_RDONLY | O_CLOEXEC);
        } else {
            fd = openat(dir, path, O_RDONLY | O_CLOEXEC | (a[4] & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0));
        }
        if (fd < 0) {
            return -errno;
        }
        snprintf(path, sizeof(path), "/dev/fd/%d", r == 0 ? dir : fd); /* as the kernel names it */
    }
    return exec(t, fd, path, a + 2);
}
