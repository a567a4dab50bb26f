/* What the filter of -sandbox lets through, tried in child processes. */
#include <errno.h>
#include <glib.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "softmmu/sandbox.h"

enum { DIED = 1000 };

static void *answer(void *opaque)
{
    return opaque;
}

static int make_thread(void)
{
    pthread_t t;
    void *got = NULL;
    int mark;

    return pthread_create(&t, NULL, answer, &mark) || pthread_join(t, &got) || got != &mark;
}

static int make_process(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        _exit(0);
    }
    return pid < 0 || waitpid(pid, NULL, 0) != pid;
}

static int run_program(void)
{
    execl("/bin/true", "true", NULL);
    return 1;
}

static int change_user(void)
{
    return setuid(getuid()) != 0;
}

static int change_priority(void)
{
    return setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0)) == 0 ? 0 : errno;
}

static int mount_something(void)
{
    mount("none", "/nosuch", "tmpfs", 0, NULL);
    return 0;
}

/* Exit status of fn in a child under the filter; DIED + signal. */
static int under(const SandboxOption *o, int (*fn)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
        _exit(sandbox_install(o, NULL) ? fn() : 99);
    }
    g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : DIED + WTERMSIG(status);
}

static void test_allowed(void)
{
    SandboxOption o = { .enable = true };

    g_assert_cmpint(under(&o, make_thread), ==, 0);
    g_assert_cmpint(under(&o, make_process), ==, 0);
    g_assert_cmpint(under(&o, run_program), ==, 0);
    g_assert_cmpint(under(&o, change_user), ==, 0);
    g_assert_cmpint(under(&o, change_priority), ==, 0);
    g_assert_cmpint(under(&o, mount_something), ==, DIED + SIGSYS);
}

static void test_denied(void)
{
    SandboxOption o = { .enable = true, .elevateprivileges = SANDBOX_ELEVATE_DENY, .spawn = SANDBOX_RULE_DENY,
                        .resourcecontrol = SANDBOX_RULE_DENY };

    g_assert_cmpint(under(&o, make_thread), ==, 0);
    g_assert_cmpint(under(&o, make_process), ==, DIED + SIGSYS);
    g_assert_cmpint(under(&o, run_program), ==, DIED + SIGSYS);
    g_assert_cmpint(under(&o, change_user), ==, DIED + SIGSYS);
    g_assert_cmpint(under(&o, change_priority), ==, EPERM);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/sandbox/allowed", test_allowed);
    g_test_add_func("/sandbox/denied", test_denied);
    return g_test_run();
}
