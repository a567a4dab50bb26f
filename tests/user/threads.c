/* Threads and processes as they see themselves. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 100, ROUNDS = 2000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static long counter, turn;
static __thread long mine = 5;
static pthread_key_t key;
static int destroyed;

static void destroy(void *p)
{
    __atomic_fetch_add(&destroyed, 1, __ATOMIC_SEQ_CST);
}

static void *add(void *arg)
{
    pthread_setspecific(key, arg);
    mine += (long)arg;
    for (int n = 0; n < ROUNDS; n++) {
        pthread_mutex_lock(&lock);
        counter++;
        pthread_mutex_unlock(&lock);
    }
    return (void *)mine;
}

static void many(void)
{
    pthread_t t[THREADS];
    long sum = 0;
    void *r;

    pthread_key_create(&key, destroy);
    for (long n = 0; n < THREADS; n++) {
        pthread_create(&t[n], NULL, add, (void *)(n + 1));
    }
    for (int n = 0; n < THREADS; n++) {
        pthread_join(t[n], &r);
        sum += (long)r;
    }
    printf("counter %ld sum %ld own %ld destroyed %d\n", counter, sum, mine, destroyed);
}

static void *ping(void *arg)
{
    for (long n = 0; n < 2000; n++) {
        pthread_mutex_lock(&lock);
        while (turn % 2 != (long)arg) {
            pthread_cond_wait(&cond, &lock);
        }
        turn++;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

static void conditions(void)
{
    pthread_t a, b;

    pthread_create(&a, NULL, ping, (void *)0);
    pthread_create(&b, NULL, ping, (void *)1);
    pthread_join(a, NULL);
    pthread_join(b, NULL);
    printf("turns %ld\n", turn);
}

static int cleaned;

static void cleanup(void *arg)
{
    cleaned++;
}

static void *wait_forever(void *arg)
{
    pthread_cleanup_push(cleanup, NULL);
    pthread_barrier_wait(&barrier);
    for (;;) {
        if (arg) {
            pause();
        } else {
            pthread_testcancel();
        }
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancel(void)
{
    for (long n = 0; n < 20; n++) {
        pthread_t t;
        void *r;

        pthread_barrier_init(&barrier, NULL, 2);
        pthread_create(&t, NULL, wait_forever, (void *)(n & 1));
        pthread_barrier_wait(&barrier);
        pthread_cancel(t);
        pthread_join(t, &r);
        if (r != PTHREAD_CANCELED) {
            printf("not cancelled\n");
        }
    }
    printf("cleaned %d\n", cleaned);
}

static pthread_mutex_t robust;

static void *die_with_it(void *arg)
{
    pthread_mutex_lock(&robust);
    return NULL;
}

static void robust_mutex(void)
{
    pthread_mutexattr_t a;
    pthread_t t;
    int r;

    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &a);
    pthread_create(&t, NULL, die_with_it, NULL);
    pthread_join(t, NULL);
    r = pthread_mutex_lock(&robust);
    printf("robust: %d %d\n", r, pthread_mutex_consistent(&robust));
    pthread_mutex_unlock(&robust);
}

static sem_t ready, go;
static int sent;

static void got(int sig)
{
    __atomic_fetch_add(&sent, 1, __ATOMIC_SEQ_CST);
}

static void *spin(void *arg)
{
    volatile long n = 0;

    sem_post(&ready);
    while (__atomic_load_n(&sent, __ATOMIC_SEQ_CST) < 100 && n < 4000000000) {
        n++;
    }
    return NULL;
}

static void thread_signals(void)
{
    pthread_t t;

    signal(SIGUSR1, got);
    sem_init(&ready, 0, 0);
    pthread_create(&t, NULL, spin, NULL);
    sem_wait(&ready);
    for (int n = 0; n < 100; n++) {
        int before = __atomic_load_n(&sent, __ATOMIC_SEQ_CST);
        pthread_kill(t, SIGUSR1);
        while (__atomic_load_n(&sent, __ATOMIC_SEQ_CST) == before) {
            sched_yield();
        }
    }
    pthread_join(t, NULL);
    printf("signals to a thread: %d\n", sent);
}

static void *busy(void *arg)
{
    while (!__atomic_load_n((int *)arg, __ATOMIC_SEQ_CST)) {
        free(malloc(100));
    }
    return NULL;
}

static void fork_with_threads(void)
{
    pthread_t t[4];
    int stop = 0, ok = 0;

    for (int n = 0; n < 4; n++) {
        pthread_create(&t[n], NULL, busy, &stop);
    }
    for (int n = 0; n < 30; n++) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
            char *p = malloc(1000);
            pthread_t u;
            void *r;

            memset(p, 1, 1000);
            pthread_create(&u, NULL, add, (void *)1);
            pthread_join(u, &r);
            _exit(r == (void *)6 && gettid() == getpid() ? 7 : 8);
        }
        waitpid(pid, &status, 0);
        ok += WIFEXITED(status) && WEXITSTATUS(status) == 7;
    }
    stop = 1;
    for (int n = 0; n < 4; n++) {
        pthread_join(t[n], NULL);
    }
    printf("forks with threads: %d\n", ok);
}

extern char **environ;

static void spawn(void)
{
    pid_t pid;
    int status, r;
    char *const good[] = { "sh", "-c", "exit 5", NULL }, *const bad[] = { "none", NULL };
    posix_spawnattr_t a;
    sigset_t s;

    r = posix_spawn(&pid, "/no/such/program", NULL, NULL, bad, environ);
    printf("spawn of nothing: %d\n", r);
    r = posix_spawn(&pid, "/etc/passwd", NULL, NULL, bad, environ);
    printf("spawn of a file: %d\n", r);
    posix_spawnattr_init(&a);
    posix_spawnattr_setflags(&a, POSIX_SPAWN_SETSIGDEF);
    sigfillset(&s);
    posix_spawnattr_setsigdefault(&a, &s);
    for (int n = 0; n < 10; n++) {
        r = posix_spawn(&pid, "/bin/sh", NULL, &a, good, environ);
        waitpid(pid, &status, 0);
    }
    printf("spawn: %d %x, handler is still there: %d\n", r, status, signal(SIGUSR1, got) == got);
    pid = vfork();
    if (pid == 0) {
        sent = 1234;
        _exit(9);
    }
    waitpid(pid, &status, 0);
    printf("vfork: %x shared %d\n", status, sent);
    printf("system: %x\n", system("exit 6"));
    FILE *f = popen("echo from a pipe", "r");
    char line[100] = "";
    if (!fgets(line, sizeof(line), f)) {
        printf("no line\n");
    }
    printf("popen: %s%x\n", line, pclose(f));
}

static void clones(void)
{
    int status, tid = 0;
    long pid;

    fflush(stdout);
    pid = syscall(SYS_clone, CLONE_CHILD_SETTID | CLONE_PARENT_SETTID | SIGCHLD, NULL, &tid, &tid, 0);
    if (pid == 0) {
        _exit(tid == getpid() ? 3 : 4);
    }
    waitpid((pid_t)pid, &status, 0);
    printf("clone as fork: %x %d\n", status, tid == pid);
    pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);
    if (pid == 0) {
        _exit(open("/dev/null", O_RDONLY));
    }
    waitpid((pid_t)pid, &status, 0);
    printf("clone with files: descriptor is here: %d\n", fcntl(WEXITSTATUS(status), F_GETFD) >= 0);
    close(WEXITSTATUS(status));
    pid = syscall(SYS_clone, CLONE_VM | CLONE_THREAD | SIGCHLD, NULL, NULL, NULL, 0);
    printf("wrong flags: %ld %d\n", pid, errno);
    pid = syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &tid, NULL, 0);
    if (pid == 0) {
        _exit(2);
    }
    siginfo_t info;
    printf("pidfd: %d\n", waitid(P_PIDFD, (id_t)tid, &info, WEXITED));
    printf("  %d\n", info.si_status);
    close(tid);
}

static void *leave_process(void *arg)
{
    pthread_join(*(pthread_t *)arg, NULL);
    exit(11);
}

static void first_ends_first(void)
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        static pthread_t self;
        pthread_t t;

        self = pthread_self();
        pthread_create(&t, NULL, leave_process, &self);
        pthread_exit(NULL);
    }
    waitpid(pid, &status, 0);
    printf("the first thread ends first: %x\n", status);
}

static void *execute(void *arg)
{
    execl("/bin/sh", "sh", "-c", "exit 12", NULL);
    return NULL;
}

static void exec_in_thread(void)
{
    int status;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        pthread_t t;

        pthread_create(&t, NULL, execute, NULL);
        for (;;) {
            pause();
        }
    }
    waitpid(pid, &status, 0);
    printf("a thread executes: %x\n", status);
}

int main(void)
{
    many();
    conditions();
    cancel();
    robust_mutex();
    thread_signals();
    fork_with_threads();
    spawn();
    clones();
    first_ends_first();
    exec_in_thread();
    return 0;
}
