/* /proc tells of the guest: proc(5). docs/linux-user.md, /proc. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/prctl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "linux-user/linux-user.h"
#include "target/i386/models.h"

/* What follows /proc/self/, /proc/thread-self/ or the like with our process's number; NULL: another path. */
static const char *own_file(const char *path)
{
    char *end;

    if (strncmp(path, "/proc/", 6)) {
        return NULL;
    }
    path += 6;
    if (!strncmp(path, "self/", 5)) {
        return path + 5;
    }
    if (!strncmp(path, "thread-self/", 12)) {
        return path + 12;
    }
    if (*path >= '0' && *path <= '9' && strtoul(path, &end, 10) == (unsigned long)getpid() && *end == '/') {
        return end + 1;
    }
    return NULL;
}

const char *user_proc_exe(UserThread *t, const char *path)
{
    const char *file = own_file(path);

    return file && !strcmp(file, "exe") ? t->p->exe : NULL;
}

/* maps --------------------------------------------------------------------------------- */

typedef struct {
    uint64_t start, end, offset, inode;
    char rights[5], device[16];
    const char *name;
    char text[4200];
} Area;

static bool parse(const char *line, Area *a)
{
    int at = 0;

    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %15s %" SCNu64 " %n", &a->start, &a->end, a->rights, &a->offset,
               a->device, &a->inode, &at) < 6) {
        return false;
    }
    snprintf(a->text, sizeof(a->text), "%s", line + at);
    a->text[strcspn(a->text, "\n")] = 0;
    a->name = a->text;
    return true;
}

static const char *name_of(const UserProcess *p, const Area *a)
{
    if (a->start >= p->stack_low && a->start < p->stack_top) {
        return "[stack]";
    }
    if (a->start >= p->brk_start && a->start < p->brk) {
        return "[heap]";
    }
    return a->inode || !strcmp(a->text, "[vdso]") || !strncmp(a->text, "[anon", 5) ? a->text : "";
}

static void print(FILE *out, const Area *a)
{
    int n;

    if (!a->start) {
        return;
    }
    n = fprintf(out, "%08" PRIx64 "-%08" PRIx64 " %s %08" PRIx64 " %s %" PRIu64 " ", a->start, a->end, a->rights, a->offset, a->device,
                a->inode);
    if (*a->name) {
        fprintf(out, "%*s%s", n < 73 ? 73 - n : 0, "", a->name);
    }
    fputc('\n', out);
}

/* What we split, by watching pages, is one again. */
static bool joins(const Area *a, const Area *b)
{
    return a->end == b->start && !strcmp(a->rights, b->rights) && !strcmp(a->device, b->device) && a->inode == b->inode &&
           (!a->inode || a->offset + (a->end - a->start) == b->offset) && !strcmp(a->name, b->name);
}

static void print_maps(UserThread *t, FILE *out)
{
    UserProcess *p = t->p;
    FILE *in = fopen("/proc/self/maps", "re");
    static const char letters[] = "rwx";
    char *line = NULL;
    size_t size = 0;
    Area host, last = { 0 };

    while (in && getline(&line, &size, in) > 0) {
        uint64_t at, next;

        if (!parse(line, &host)) {
            continue;
        }
        for (at = host.start; at < host.end; at = next) {
            Area part = host;
            uint8_t flags;

            next = map_run(&p->map, at, host.end, &flags);
            if (!(flags & MAP_VALID)) {
                continue;
            }
            next = at < p->brk_start && next > p->brk_start ? p->brk_start : next; /* one area for the host */
            part.start = at;
            part.end = next;
            part.offset += host.inode ? at - host.start : 0;
            for (unsigned n = 0; n < 3; n++) {
                part.rights[n] = flags >> n & 1 ? letters[n] : '-';
            }
            part.name = name_of(p, &part);
            if (joins(&last, &part)) {
                last.end = part.end;
                continue;
            }
            print(out, &last);
            memcpy(&last, &part, sizeof(last));
            last.name = part.name == part.text ? last.text : part.name;
        }
    }
    print(out, &last);
    free(line);
    if (in) {
        fclose(in);
    }
}

/* cpuinfo ------------------------------------------------------------------------------ */

static const struct {
    uint8_t word, bit;
    const char *name;
} cpuinfo_flags[] = {
    { 0, 0, "fpu" }, { 0, 1, "vme" }, { 0, 2, "de" }, { 0, 3, "pse" }, { 0, 4, "tsc" }, { 0, 5, "msr" }, { 0, 6, "pae" },
    { 0, 7, "mce" }, { 0, 8, "cx8" }, { 0, 9, "apic" }, { 0, 11, "sep" }, { 0, 12, "mtrr" }, { 0, 13, "pge" }, { 0, 14, "mca" },
    { 0, 15, "cmov" }, { 0, 16, "pat" }, { 0, 17, "pse36" }, { 0, 19, "clflush" }, { 0, 23, "mmx" }, { 0, 24, "fxsr" },
    { 0, 25, "sse" }, { 0, 26, "sse2" }, { 5, 11, "syscall" }, { 5, 20, "nx" }, { 5, 22, "mmxext" }, { 5, 26, "pdpe1gb" },
    { 5, 27, "rdtscp" }, { 5, 29, "lm" }, { 1, 0, "pni" }, { 1, 1, "pclmulqdq" }, { 1, 3, "monitor" }, { 1, 9, "ssse3" },
    { 1, 12, "fma" }, { 1, 13, "cx16" }, { 1, 17, "pcid" }, { 1, 19, "sse4_1" }, { 1, 20, "sse4_2" }, { 1, 21, "x2apic" },
    { 1, 22, "movbe" }, { 1, 23, "popcnt" }, { 1, 24, "tsc_deadline_timer" }, { 1, 25, "aes" }, { 1, 26, "xsave" }, { 1, 28, "avx" },
    { 1, 29, "f16c" }, { 1, 30, "rdrand" }, { 1, 31, "hypervisor" }, { 6, 0, "lahf_lm" }, { 6, 1, "cmp_legacy" },
    { 6, 4, "cr8_legacy" }, { 6, 5, "abm" }, { 6, 6, "sse4a" }, { 6, 8, "3dnowprefetch" }, { 2, 0, "fsgsbase" }, { 2, 3, "bmi1" },
    { 2, 5, "avx2" }, { 2, 7, "smep" }, { 2, 8, "bmi2" }, { 2, 9, "erms" }, { 2, 10, "invpcid" }, { 2, 18, "rdseed" },
    { 2, 19, "adx" }, { 2, 20, "smap" }, { 2, 23, "clflushopt" }, { 2, 24, "clwb" }, { 2, 29, "sha_ni" }, { 3, 2, "umip" },
    { 3, 22, "rdpid" }, { 4, 4, "fsrm" }, { 7, 0, "xsaveopt" }, { 7, 1, "xsavec" },
};

static void print_cpuinfo(UserThread *t, FILE *out)
{
    const X86CpuModel *m = t->p->model;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    for (long n = 0; n < cpus; n++) {
        fprintf(out, "processor\t: %ld\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n", n,
                m->vendor, m->family, m->model, m->model_id ? m->model_id : "", m->stepping);
        fprintf(out, "physical id\t: 0\nsiblings\t: %ld\ncore id\t\t: %ld\ncpu cores\t: %ld\napicid\t\t: %ld\ninitial apicid\t: %ld\n",
                cpus, n, cpus, n, n);
        fprintf(out, "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\nflags\t\t:", m->level);
        for (size_t i = 0; i < sizeof(cpuinfo_flags) / sizeof(cpuinfo_flags[0]); i++) {
            if (t->p->features[cpuinfo_flags[i].word] >> cpuinfo_flags[i].bit & 1) {
                fprintf(out, " %s", cpuinfo_flags[i].name);
            }
        }
        fprintf(out, "\nclflush size\t: 64\ncache_alignment\t: 64\naddress sizes\t: %u bits physical, 48 bits virtual\n\n",
                t->cpu->phys_bits);
    }
}

/* Files that we make -------------------------------------------------------------------- */

int user_proc_open(UserThread *t, const char *path, int flags)
{
    const char *file = own_file(path);
    bool maps = file && !strcmp(file, "maps"), cpuinfo = !strcmp(path, "/proc/cpuinfo");
    char *text = NULL;
    size_t size = 0;
    FILE *out;
    int fd;

    if ((!maps && !cpuinfo) || (flags & O_ACCMODE) != O_RDONLY) {
        return -1;
    }
    out = open_memstream(&text, &size);
    if (!out) {
        return -ENOMEM;
    }
    if (maps) {
        print_maps(t, out);
    } else {
        print_cpuinfo(t, out);
    }
    fclose(out);
    fd = memfd_create(maps ? "maps" : "cpuinfo", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
    if (fd < 0) {
        fd = -errno;
    } else if (write(fd, text, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0) {
        close(fd);
        fd = -EIO;
    }
    free(text);
    return fd;
}

/* The kernel is told where the guest's arguments and the like are, so that ps and other programs see them. */
void user_proc_describe(UserProcess *p)
{
    const char *name = strrchr(p->config.path, '/');
    uint64_t brk = (uint64_t)user_raw_syscall(SYS_brk, 0, 0, 0, 0, 0, 0);
    struct prctl_mm_map map = {
        .start_code = p->start_code, .end_code = p->end_code, .start_data = p->start_data, .end_data = p->end_data,
        .start_brk = brk, .brk = brk, .start_stack = p->args_start, .arg_start = p->args_start, .arg_end = p->args_end,
        .env_start = p->args_end, .env_end = p->env_end, .auxv = (void *)(uintptr_t)p->auxv, .auxv_size = (uint32_t)p->auxv_size,
        .exe_fd = (uint32_t)-1,
    };

    prctl(PR_SET_NAME, name ? name + 1 : p->config.path);
    prctl(PR_SET_MM, PR_SET_MM_MAP, &map, sizeof(map), 0); /* a kernel without it shows our own command line */
}
