/* qemu-x86_64: the order of a run, from top to bottom. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "linux-user/options.h"
#include "util/log.h"

/*
 * Ourselves, for execve: also where /proc is not mounted, after a chroot, where it is who executed us that hands it on. Out of the
 * way of the guest's descriptors.
 */
static int open_self(const UserConfig *c)
{
    struct rlimit lim = { 0 };
    int fd = c->self_fd >= 0 ? c->self_fd : open("/proc/self/exe", O_PATH | O_CLOEXEC), high = -1;

    getrlimit(RLIMIT_NOFILE, &lim);
    for (rlim_t at = lim.rlim_cur < 4096 ? lim.rlim_cur : 4096; fd >= 0 && high < 0 && at > 8; at /= 2) {
        high = fcntl(fd, F_DUPFD_CLOEXEC, (int)at - 2);
    }
    if (high >= 0) {
        close(fd);
    }
    return high >= 0 ? high : fd;
}

static bool start_log(const UserConfig *c, Error **errp)
{
    if (c->log_items && !log_set_items(c->log_items, errp)) {
        return false;
    }
    if (c->log_file && !log_set_file(c->log_file, errp)) {
        return false;
    }
    if (c->strace) {
        log_set_mask(log_mask | LOG_STRACE);
    }
    return true;
}

static bool start(UserProcess *p, UserThread **t, int *status, Error **errp)
{
    *status = 1;
    if (!start_log(&p->config, errp) || !user_cpu_model(p, p->config.cpu, errp)) {
        return false;
    }
    map_init(&p->map);
    pthread_mutex_init(&p->threads_lock, NULL);
    p->exe_fd = open_self(&p->config);
    if (!user_code_init(p, errp)) {
        return false;
    }
    *t = user_thread_new(p, errp);
    if (!*t) {
        return false;
    }
    (*t)->first = true;
    (*t)->tid = getpid();
    user_current = *t;
    user_faults_init(p);
    user_signals_init(*t);
    if (!user_load(p, (*t)->cpu, status, errp)) {
        return false;
    }
    *status = 1;
    return true;
}

int main(int argc, char **argv, char **envp)
{
    static UserProcess process; /* too large for the stack */
    UserProcess *p = &process;
    UserThread *t = NULL;
    Error *err = NULL;
    int status = user_options(&p->config, argc, argv, envp, &err);

    if (status < 0 && start(p, &t, &status, &err)) {
        user_proc_describe(p);
        if (!p->config.gdb || user_gdb_start(t, p->config.gdb, &err)) {
            user_loop(t);
        }
    }
    if (err) {
        error_report_free(err);
    }
    return status;
}
