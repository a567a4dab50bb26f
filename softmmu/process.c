/* The process: signals, running in the background, the file with its id. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "softmmu/system.h"
#include "util/thread.h"

/* ---- Messages ---- */

/* "2026-11-23T18:20:00.123456Z guest-name qemu-system-x86_64: " */
void system_print_head(const System *s)
{
    struct timespec now;
    struct tm tm;
    char stamp[32];

    if (s->stamp_messages) {
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &tm);
        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
        fprintf(stderr, "%s.%06ldZ ", stamp, now.tv_nsec / 1000);
    }
    if (s->name_messages && s->name) {
        fprintf(stderr, "%s ", s->name);
    }
    fprintf(stderr, "%s: ", program_invocation_short_name);
}

void system_warn(const System *s, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");

        system_print_head(s);
        fprintf(stderr, "warning: %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

void system_error_free(const System *s, Error *err)
{
    const char *hint = error_hint_text(err);

    system_print_head(s);
    fprintf(stderr, "%s\n", error_message(err));
    if (hint) {
        fprintf(stderr, "%s%s", hint, *hint && hint[strlen(hint) - 1] == '\n' ? "" : "\n");
    }
    error_free(err);
}

/* ---- Signals ---- */

static RunControl *signalled; /* the handler has no other way to know; set once */

static void on_signal(int n, siginfo_t *info, void *context)
{
    int saved_errno = errno;

    run_signalled(signalled, n, info->si_code == SI_USER ? info->si_pid : 0);
    errno = saved_errno;
}

void process_catch_signals(System *s)
{
    static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
    struct sigaction act = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

    signalled = &s->run;
    for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++) {
        sigaction(signals[i], &act, NULL);
    }
    signal(SIGPIPE, SIG_IGN);
}

/* ---- The file with our id ---- */

bool process_write_pid(System *s, const char *path, Error **errp)
{
    struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    char text[32];
    int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

    if (fd < 0) {
        error_set_errno(errp, errno, "Could not create '%s'", path);
        return error_prepend(errp, "cannot create PID file: ");
    }
    if (fcntl(fd, F_SETLK, &lock) < 0 || ftruncate(fd, 0) < 0 || write(fd, text, n) != n) {
        error_set_errno(errp, errno, "cannot create PID file: '%s'", path);
        close(fd);
        return false;
    }
    /* fd stays open: the lock says that we live */
    s->pidfile = realpath(path, NULL);
    return true;
}

/* ---- In the background ---- */

/* What the parent does: waits for the word of the child, and ends with it. */
static void parent(int fd)
{
    uint8_t status = 1;
    ssize_t n;

    do {
        n = read(fd, &status, 1);
    } while (n < 0 && errno == EINTR);
    _exit(n == 1 ? status : 1);
}

bool process_daemonize(System *s, Error **errp)
{
    int fds[2];
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0) {
        return error_set_errno(errp, errno, "cannot run in the background");
    }
    pid = fork();
    if (pid > 0) {
        close(fds[1]);
        parent(fds[0]);
    }
    if (pid < 0) {
        return error_set_errno(errp, errno, "cannot run in the background");
    }
    close(fds[0]);
    thread_after_fork_child();
    setsid();
    pid = fork(); /* no leader of a session, so that no terminal becomes ours */
    if (pid > 0) {
        _exit(0);
    }
    if (pid < 0) {
        return error_set_errno(errp, errno, "cannot run in the background");
    }
    thread_after_fork_child();
    s->daemon_fd = fds[1];
    signal(SIGTSTP, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGTTIN, SIG_IGN);
    return true;
}

bool process_ready(System *s, Error **errp)
{
    uint8_t status = 0;
    int fd;

    if (s->daemon_fd < 0) {
        return true;
    }
    fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || chdir("/") < 0) {
        return error_set_errno(errp, errno, "cannot run in the background");
    }
    dup2(fd, 0);
    dup2(fd, 1);
    if (!option_given(s, "D")) { /* a log would be lost */
        dup2(fd, 2);
    }
    close(fd);
    if (write(s->daemon_fd, &status, 1) != 1) {
        return error_set_errno(errp, errno, "cannot tell the parent process");
    }
    close(s->daemon_fd);
    s->daemon_fd = -1;
    return true;
}

void process_finish(System *s)
{
    if (s->pidfile) {
        unlink(s->pidfile);
        free(s->pidfile);
        s->pidfile = NULL;
    }
}
