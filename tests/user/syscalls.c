/*
 * Every system call with arguments that are wrong in several ways: which error the kernel gives. Each in a child of its own. Left out are
 * those that end, wait, hang up, or change the machine for everybody, and those that are known to differ (docs/linux-user.md).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int left_out[] = {
    SYS_fork, SYS_vfork, SYS_clone, SYS_clone3, SYS_exit, SYS_exit_group, SYS_pause, SYS_rt_sigreturn, SYS_rt_sigsuspend, SYS_kill, SYS_tkill,
    SYS_tgkill, SYS_reboot, SYS_vhangup, SYS_sync, SYS_syncfs, SYS_swapoff, SYS_swapon, SYS_sethostname, SYS_setdomainname,
    SYS_settimeofday, SYS_clock_settime, SYS_acct, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load,
    SYS_kexec_file_load, SYS_iopl, SYS_ioperm, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_syslog, SYS_quotactl, SYS_bpf,
    SYS_perf_event_open, SYS_alarm, SYS_restart_syscall, 335 /* uretprobe */,
    /* differ */
    SYS_rseq, SYS_seccomp, SYS_prctl, SYS_modify_ldt, SYS_set_thread_area, SYS_get_thread_area, SYS_get_robust_list, 453 /* map_shadow_stack */,
    /* their results are addresses or numbers of the moment */
    SYS_brk, SYS_mmap, SYS_mremap, SYS_getpid, SYS_gettid, SYS_getppid, SYS_getpgid, SYS_getpgrp, SYS_getsid, SYS_set_tid_address,
    SYS_time, SYS_times, SYS_shmat, SYS_setsid, SYS_getrandom, SYS_shmget, SYS_semget, SYS_msgget, SYS_add_key, SYS_keyctl, SYS_gettimeofday,
    SYS_sched_yield, SYS_getpriority, SYS_membarrier, SYS_landlock_create_ruleset, SYS_io_setup, SYS_select, SYS_poll,
    SYS_pselect6, SYS_ppoll, SYS_epoll_wait, SYS_wait4, SYS_waitid, SYS_futex, SYS_rt_sigtimedwait, SYS_nanosleep, SYS_munmap,
};

static int is_left_out(int nr)
{
    for (unsigned n = 0; n < sizeof(left_out) / sizeof(left_out[0]); n++) {
        if (left_out[n] == nr) {
            return 1;
        }
    }
    return 0;
}

static long call(int nr, long v)
{
    long r = syscall(nr, v, v, v, v, v, v);

    return r < 0 ? -errno : r;
}

int main(void)
{
    static const long values[] = { 0, -1, 0x10 };
    long *result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status;

    for (int nr = 0; nr < 475; nr++) {
        if (is_left_out(nr)) {
            continue;
        }
        printf("%d:", nr);
        for (unsigned n = 0; n < 3; n++) {
            fflush(stdout);
            *result = 4711;
            if (fork() == 0) {
                long r;

                close(0);
                alarm(5);
                r = call(nr, values[n]);
                *result = r; /* before what the call has done to us matters */
                _exit(0);
            }
            wait(&status);
            if (status) {
                printf(" ended %x", status);
            } else if (*result > 0) {
                printf(" positive");
            } else {
                printf(" %ld", *result);
            }
        }
        printf("\n");
    }
    return 0;
}
