/*
 * Loading a program: ELF (System V gABI, chapter 5; AMD64 psABI) and scripts (execve(2), Interpreter scripts). What the kernel
 * takes is taken, what it refuses is refused with its errno and one line.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "linux-user/elf.h"

enum { MAX_PHDRS = 0x10000 / sizeof(Elf64_Phdr) };
#define PIE_BASE 0x555555554000ull

typedef struct {
    const char *name;
    int fd;
    Elf64_Ehdr eh;
    Elf64_Phdr *ph;
    uint64_t low, high;  /* of all PT_LOADs, page-aligned */
    bool present;
} Elf;

static bool read_at(int fd, void *buf, size_t n, uint64_t offset)
{
    return pread(fd, buf, n, (off_t)offset) == (ssize_t)n;
}

const char *user_elf_check(const void *header, size_t n)
{
    const Elf64_Ehdr *eh = header;

    if (n < sizeof(*eh) || memcmp(eh->e_ident, ELFMAG, SELFMAG) != 0) {
        return "is not an ELF program";
    }
    if (eh->e_ident[EI_CLASS] != ELFCLASS64 || eh->e_ident[EI_DATA] != ELFDATA2LSB || eh->e_machine != EM_X86_64) {
        return "is for another machine than x86-64";
    }
    if (eh->e_type != ET_EXEC && eh->e_type != ET_DYN) {
        return "is an ELF file but no program";
    }
    if (eh->e_phentsize != sizeof(Elf64_Phdr) || !eh->e_phnum || eh->e_phnum > MAX_PHDRS) {
        return "has wrong ELF program headers";
    }
    return NULL;
}

static bool bad(const Elf *e, Error **errp)
{
    return error_set(errp, "%s: has wrong ELF program headers", e->name);
}

static bool check_loads(Elf *e, Error **errp)
{
    e->low = UINT64_MAX;
    for (unsigned n = 0; n < e->eh.e_phnum; n++) {
        const Elf64_Phdr *p = &e->ph[n];
        uint64_t end;

        if (p->p_type != PT_LOAD) {
            continue;
        }
        if (p->p_filesz > p->p_memsz || __builtin_add_overflow(p->p_vaddr, p->p_memsz, &end) || end > USER_ADDRESS_END ||
            ((p->p_vaddr ^ p->p_offset) & (USER_PAGE - 1)) || (p->p_vaddr & USER_PAGE_MASK) + USER_PAGE < e->high) {
            return bad(e, errp);
        }
        e->low = (p->p_vaddr & USER_PAGE_MASK) < e->low ? p->p_vaddr & USER_PAGE_MASK : e->low;
        e->high = (end + USER_PAGE - 1) & USER_PAGE_MASK;
    }
    return e->low < e->high || bad(e, errp);
}

static bool open_elf(Elf *e, Error **errp)
{
    const char *wrong;
    size_t size;

    if (!read_at(e->fd, &e->eh, sizeof(e->eh), 0)) {
        return error_set(errp, "%s: is not an ELF program", e->name);
    }
    wrong = user_elf_check(&e->eh, sizeof(e->eh));
    if (wrong) {
        return error_set(errp, "%s: %s", e->name, wrong);
    }
    size = e->eh.e_phnum * sizeof(Elf64_Phdr);
    e->ph = malloc(size);
    if (!e->ph || !read_at(e->fd, e->ph, size, e->eh.e_phoff)) {
        return bad(e, errp);
    }
    return check_loads(e, errp);
}

/* Where a position-independent program goes: randomised as the kernel's, 28 bits of pages (personality permitting). */
static uint64_t pie_base(void)
{
    uint64_t r = 0;

    if (((unsigned)personality(0xffffffff) & ADDR_NO_RANDOMIZE) || getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r)) {
        r = 0;
    }
    return PIE_BASE + ((r & ((1ull << 28) - 1)) << 12);
}

static bool map_fixed(UserProcess *p, uint64_t addr, uint64_t size, uint64_t prot, int fd, uint64_t offset)
{
    uint64_t a[6] = { addr, size, prot, MAP_PRIVATE | MAP_FIXED | (fd < 0 ? MAP_ANONYMOUS : 0), (uint64_t)(int64_t)fd, offset };

    return user_mmap(p, a) == (int64_t)addr;
}

/* The rest of the last page of file is cleared, then pages of zeros. */
static bool map_bss(UserProcess *p, const Elf64_Phdr *h, uint64_t bias, uint64_t prot)
{
    uint64_t file_end = bias + h->p_vaddr + h->p_filesz, end = bias + h->p_vaddr + h->p_memsz;
    uint64_t page = (file_end + USER_PAGE - 1) & USER_PAGE_MASK, last = (end + USER_PAGE - 1) & USER_PAGE_MASK;
    static const uint8_t zeros[USER_PAGE];

    if (h->p_filesz && (prot & PROT_WRITE) && page > file_end && !user_put(file_end, zeros, page - file_end)) {
        return false;
    }
    if (!h->p_filesz) {
        page = (bias + h->p_vaddr) & USER_PAGE_MASK;
    }
    return last <= page || map_fixed(p, page, last - page, prot, -1, 0);
}

static bool map_segment(UserProcess *p, const Elf *e, const Elf64_Phdr *h, uint64_t bias)
{
    uint64_t skip = h->p_vaddr & (USER_PAGE - 1), start = bias + h->p_vaddr - skip;
    uint64_t prot = (h->p_flags & PF_R ? PROT_READ : 0) | (h->p_flags & PF_W ? PROT_WRITE : 0) | (h->p_flags & PF_X ? PROT_EXEC : 0);

    if (h->p_filesz && !map_fixed(p, start, h->p_filesz + skip, prot, e->fd, h->p_offset - skip)) {
        return false;
    }
    return h->p_memsz == h->p_filesz || map_bss(p, h, bias, prot);
}

/* Where everything goes: for a fixed program the place must be free, for others one is found. */
static bool reserve(UserProcess *p, const Elf *e, bool interp, uint64_t *bias)
{
    bool fixed = e->eh.e_type == ET_EXEC;
    uint64_t hint = fixed ? e->low : interp ? 0 : pie_base(), size = e->high - e->low;
    uint64_t a[6] = { hint, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, (uint64_t)-1, 0 };
    int64_t r;

    a[3] |= fixed ? MAP_FIXED_NOREPLACE : 0;
    r = user_mmap(p, a);
    if (r < 0 && r > -4096) {
        return false;
    }
    if (fixed && (uint64_t)r != hint) {
        user_munmap(p, (uint64_t)r, size);
        return false;
    }
    *bias = (uint64_t)r - e->low;
    return true;
}

static void note_places(UserImage *im, const Elf64_Phdr *h, uint64_t bias)
{
    uint64_t start = bias + h->p_vaddr, file_end = start + h->p_filesz, end = start + h->p_memsz;

    if (h->p_flags & PF_X) {
        im->start_code = im->start_code && im->start_code < start ? im->start_code : start;
        im->end_code = file_end > im->end_code ? file_end : im->end_code;
    }
    im->start_data = start > im->start_data ? start : im->start_data;
    im->end_data = file_end > im->end_data ? file_end : im->end_data;
    im->brk = end > im->brk ? end : im->brk;
}

static bool map_elf(UserProcess *p, const Elf *e, bool interp, UserImage *im, Error **errp)
{
    uint64_t bias;

    if (!reserve(p, e, interp, &bias)) {
        return error_set(errp, "%s: no room for it at 0x%llx", e->name, (unsigned long long)e->low);
    }
    for (unsigned n = 0; n < e->eh.e_phnum; n++) {
        const Elf64_Phdr *h = &e->ph[n];

        if (h->p_type == PT_LOAD) {
            if (!map_segment(p, e, h, bias)) {
                return error_set(errp, "%s: cannot be mapped at 0x%llx", e->name, (unsigned long long)(bias + h->p_vaddr));
            }
            note_places(im, h, bias);
            if (e->eh.e_phoff >= h->p_offset && e->eh.e_phoff < h->p_offset + h->p_filesz) {
                im->phdr = bias + h->p_vaddr + e->eh.e_phoff - h->p_offset;
            }
        } else if (h->p_type == PT_GNU_STACK) {
            im->exec_stack = h->p_flags & PF_X;
        }
    }
    im->base = bias;
    im->entry = bias + e->eh.e_entry;
    im->phnum = e->eh.e_phnum;
    im->phent = e->eh.e_phentsize;
    return true;
}

static bool find_interp(const Elf *e, UserImage *im, Error **errp)
{
    for (unsigned n = 0; n < e->eh.e_phnum; n++) {
        const Elf64_Phdr *h = &e->ph[n];

        if (h->p_type == PT_INTERP) {
            if (h->p_filesz < 2 || h->p_filesz > sizeof(im->interp) || !read_at(e->fd, im->interp, h->p_filesz, h->p_offset) ||
                im->interp[h->p_filesz - 1]) {
                return bad(e, errp);
            }
            break;
        }
    }
    return true;
}

static void elf_finish(Elf *e)
{
    free(e->ph);
    if (e->fd >= 0) {
        close(e->fd);
    }
}

/* In the sysroot of -L when it is there. */
static int open_interp(UserProcess *p, const char *path)
{
    char full[8192];
    int fd = -1;

    if (p->config.prefix && snprintf(full, sizeof(full), "%s/%s", p->config.prefix, path) < (int)sizeof(full)) {
        fd = open(full, O_RDONLY | O_CLOEXEC);
    }
    return fd >= 0 ? fd : open(path, O_RDONLY | O_CLOEXEC);
}

static bool load_interp(UserProcess *p, UserImage *exe, UserImage *interp, Error **errp)
{
    Elf e = { .name = exe->interp, .fd = open_interp(p, exe->interp) };
    bool ok;

    if (e.fd < 0) {
        return error_set_errno(errp, errno, "%s: interpreter %s", p->exe, exe->interp);
    }
    ok = open_elf(&e, errp) && map_elf(p, &e, true, interp, errp);
    elf_finish(&e);
    return ok;
}

bool user_elf_load(UserProcess *p, int fd, const char *name, UserImage *exe, UserImage *interp, Error **errp)
{
    Elf e = { .name = name, .fd = fd };
    bool ok = open_elf(&e, errp) && find_interp(&e, exe, errp) && map_elf(p, &e, false, exe, errp);

    elf_finish(&e);
    return ok && (!exe->interp[0] || load_interp(p, exe, interp, errp));
}
