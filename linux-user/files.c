/* Calls with paths that tell of the process, and with descriptors that are ours. */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>

#include "linux-user/linux-user.h"

static bool is_ours(UserThread *t, uint64_t fd)
{
    return (int)fd == t->p->exe_fd;
}

/* A path of /proc that is ours to answer; other paths are not looked at further. */
static bool get_proc_path(uint64_t addr, char *path, size_t size)
{
    char head[6];

    return user_get(addr, head, 6) && !memcmp(head, "/proc/", 6) && user_get_string(addr, path, size) > 0;
}

/* nr with the path at argument n; flags: as open's. */
static int64_t open_path(UserThread *t, uint64_t nr, const uint64_t a[6], unsigned n, int flags)
{
    uint64_t b[6];
    char path[256];
    const char *exe;
    int fd;

    if (!get_proc_path(a[n], path, sizeof(path))) {
        return user_syscall(&t->attention, nr, a);
    }
    fd = user_proc_open(t, path, flags);
    if (fd != -1) {
        return fd;
    }
    exe = flags & O_NOFOLLOW ? NULL : user_proc_exe(t, path);
    memcpy(b, a, sizeof(b));
    b[n] = exe ? (uintptr_t)exe : b[n];
    return user_syscall(&t->attention, nr, b);
}

int64_t sys_open(UserThread *t, const uint64_t a[6])
{
    return open_path(t, SYS_open, a, 0, (int)a[1]);
}

int64_t sys_openat(UserThread *t, const uint64_t a[6])
{
    return open_path(t, SYS_openat, a, 1, (int)a[2]);
}

int64_t sys_openat2(UserThread *t, const uint64_t a[6])
{
    struct open_how how = { 0 };

    if (a[3] >= sizeof(how) && user_get(a[2], &how, sizeof(how)) && how.resolve == 0) {
        return open_path(t, SYS_openat2, a, 1, (int)how.flags);
    }
    return user_syscall(&t->attention, SYS_openat2, a);
}

static int64_t read_link(UserThread *t, uint64_t nr, const uint64_t a[6], unsigned n)
{
    char path[256];
    const char *exe;
    size_t len;

    if (!get_proc_path(a[n], path, sizeof(path)) || !(exe = user_proc_exe(t, path)) || (int64_t)a[n + 2] <= 0) {
        return user_syscall(&t->attention, nr, a);
    }
    len = strlen(exe);
    len = len < a[n + 2] ? len : a[n + 2];
    return user_put(a[n + 1], exe, len) ? (int64_t)len : -EFAULT;
}

int64_t sys_readlink(UserThread *t, const uint64_t a[6])
{
    return read_link(t, SYS_readlink, a, 0);
}

int64_t sys_readlinkat(UserThread *t, const uint64_t a[6])
{
    return read_link(t, SYS_readlinkat, a, 1);
}

int64_t sys_close(UserThread *t, const uint64_t a[6])
{
    return is_ours(t, a[0]) ? -EBADF : user_syscall(&t->attention, SYS_close, a);
}

/* Around the descriptor of ours. */
int64_t sys_close_range(UserThread *t, const uint64_t a[6])
{
    uint64_t ours = (uint32_t)t->p->exe_fd, first = (uint32_t)a[0], last = (uint32_t)a[1];
    int64_t r = 0;

    if (first > ours || last < ours || first > last) {
        return user_syscall(&t->attention, SYS_close_range, a);
    }
    if (first < ours) {
        r = user_raw_syscall(SYS_close_range, first, ours - 1, a[2], 0, 0, 0);
    }
    if (r == 0 && last > ours) {
        r = user_raw_syscall(SYS_close_range, ours + 1, last, a[2], 0, 0, 0);
    }
    return r;
}

/* Our own gives way to a descriptor that the guest puts in its place. */
static int64_t move_ours(UserThread *t)
{
    int64_t fd = user_raw_syscall(SYS_fcntl, (uint64_t)t->p->exe_fd, F_DUPFD_CLOEXEC, 100, 0, 0, 0);

    if (fd >= 0) {
        t->p->exe_fd = (int)fd;
    }
    return fd;
}

int64_t sys_dup2(UserThread *t, const uint64_t a[6])
{
    if (is_ours(t, a[0])) {
        return -EBADF;
    }
    if (is_ours(t, a[1]) && move_ours(t) < 0) {
        return -EBADF;
    }
    return user_syscall(&t->attention, SYS_dup2, a);
}

int64_t sys_dup3(UserThread *t, const uint64_t a[6])
{
    if (is_ours(t, a[0])) {
        return -EBADF;
    }
    if (is_ours(t, a[1]) && a[0] != a[1] && move_ours(t) < 0) {
        return -EBADF;
    }
    return user_syscall(&t->attention, SYS_dup3, a);
}
