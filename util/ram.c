/* Host memory for guests: see util/ram.h. */
#include "util/ram.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util/bits.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#define HUGETLBFS_SUPER_MAGIC 0x958458f6

size_t host_page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- Guarded anonymous memory ---- */

void *guarded_alloc(size_t size)
{
    size_t page = host_page_size(), inner = round_up(size, page);
    char *p;

    if (inner < size || inner > SIZE_MAX - 2 * page) {
        errno = ENOMEM;
        return NULL;
    }
    p = mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        return NULL;
    }
    if (mprotect(p + page, inner, PROT_READ | PROT_WRITE)) {
        int err = errno;

        munmap(p, inner + 2 * page);
        errno = err;
        return NULL;
    }
    return p + page;
}

void guarded_free(void *ptr, size_t size)
{
    size_t page = host_page_size();

    if (ptr) {
        munmap((char *)ptr - page, round_up(size, page) + 2 * page);
    }
}

/* ---- Guest memory ---- */

/* Makes the memfd of the spec, of ram->size bytes, into ram->fd. */
static bool make_memfd(HostRam *ram, const HostRamSpec *spec, Error **errp)
{
    unsigned flags = MFD_CLOEXEC | (spec->seals ? MFD_ALLOW_SEALING : 0);

    if (spec->hugetlb) {
        flags |= MFD_HUGETLB | ctz64(spec->hugetlb) << MFD_HUGE_SHIFT;
    }
    ram->fd = memfd_create(spec->name ? spec->name : "guest-ram", flags);
    if (ram->fd < 0) {
        return error_set_errno(errp, errno, "cannot create a memory file");
    }
    if (ftruncate(ram->fd, (off_t)ram->size)) {
        return error_set_errno(errp, errno, "cannot size the memory file to %llu bytes",
                               (unsigned long long)ram->size);
    }
    if (spec->seals && fcntl(ram->fd, F_ADD_SEALS, spec->seals)) {
        return error_set_errno(errp, errno, "cannot seal the memory file");
    }
    return true;
}

/* Page size that a mapping of the spec gets. */
static uint64_t backing_page_size(const HostRamSpec *spec)
{
    struct statfs fs;

    if (spec->hugetlb) {
        return spec->hugetlb;
    }
    if (spec->has_fd && !fstatfs(spec->fd, &fs) && (unsigned long)fs.f_type == HUGETLBFS_SUPER_MAGIC) {
        return (uint64_t)fs.f_bsize;
    }
    return host_page_size();
}

/* Reserves room for size, alignment and guards; ram->ptr is where the memory goes. */
static bool reserve(HostRam *ram, uint64_t align, Error **errp)
{
    uint64_t guard = host_page_size(), room;
    char *p;

    if (__builtin_add_overflow(ram->size, align + 2 * guard, &room)) {
        return error_set(errp, "memory of %llu bytes does not fit in the address space",
                         (unsigned long long)ram->size);
    }
    p = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) {
        return error_set_errno(errp, errno, "cannot reserve %llu bytes of addresses",
                               (unsigned long long)room);
    }
    ram->reserved = p;
    ram->reserved_size = room;
    ram->ptr = (void *)round_up((uintptr_t)p + guard, align);
    return true;
}

static bool map_pages(HostRam *ram, const HostRamSpec *spec, Error **errp)
{
    int prot = PROT_READ | (spec->readonly ? 0 : PROT_WRITE);
    int fd = spec->has_fd ? spec->fd : ram->fd;
    int flags = MAP_FIXED | (spec->shared || spec->memfd || spec->hugetlb ? MAP_SHARED : MAP_PRIVATE);

    if (!spec->has_fd && fd < 0) {
        flags |= MAP_ANONYMOUS;
    }
    if (spec->noreserve) {
        flags |= MAP_NORESERVE;
    }
    if (mmap(ram->ptr, ram->size, prot, flags, fd, (off_t)spec->offset) == MAP_FAILED) {
        return error_set_errno(errp, errno, "cannot map %llu bytes of memory", (unsigned long long)ram->size);
    }
    /* Advice that the host's kernel was built without is not worth an error. */
    if (spec->thp) {
        madvise(ram->ptr, ram->size, MADV_HUGEPAGE);
    }
    if (spec->mergeable) {
        madvise(ram->ptr, ram->size, MADV_MERGEABLE);
    }
    if (spec->no_dump) {
        madvise(ram->ptr, ram->size, MADV_DONTDUMP);
    }
    if (spec->prealloc && madvise(ram->ptr, ram->size, MADV_POPULATE_WRITE)) {
        return error_set_errno(errp, errno, "cannot allocate %llu bytes of memory now",
                               (unsigned long long)ram->size);
    }
    return true;
}

static bool check_spec(const HostRamSpec *spec, uint64_t page, Error **errp)
{
    if (!spec->size || round_up(spec->size, page) < spec->size) {
        return error_set(errp, "memory size %llu is not possible", (unsigned long long)spec->size);
    }
    if (spec->align && !is_pow2(spec->align)) {
        return error_set(errp, "alignment %llu is not a power of two", (unsigned long long)spec->align);
    }
    if (!is_pow2(page) || !is_aligned(spec->offset, page)) {
        return error_set(errp, "offset %llu is not a multiple of the page size %llu",
                         (unsigned long long)spec->offset, (unsigned long long)page);
    }
    return true;
}

bool host_ram_init(HostRam *ram, const HostRamSpec *spec, Error **errp)
{
    uint64_t page = backing_page_size(spec);

    *ram = (HostRam){ .fd = -1 };
    if (!check_spec(spec, page, errp)) {
        return false;
    }
    ram->page_size = page;
    ram->size = round_up(spec->size, page);
    if ((!spec->has_fd && (spec->memfd || spec->hugetlb) && !make_memfd(ram, spec, errp)) ||
        !reserve(ram, max_of(spec->align, page), errp) || !map_pages(ram, spec, errp)) {
        host_ram_finish(ram);
        return false;
    }
    return true;
}

void host_ram_finish(HostRam *ram)
{
    if (ram->reserved) {
        munmap(ram->reserved, ram->reserved_size);
    }
    if (ram->fd >= 0) {
        close(ram->fd);
    }
    *ram = (HostRam){ .fd = -1 };
}

int host_ram_discard(HostRam *ram, uint64_t offset, uint64_t len)
{
    if (!range_within(offset, len, ram->size) || !is_aligned(offset | len, ram->page_size)) {
        return -EINVAL;
    }
    if (ram->fd >= 0) {
        return fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len)
                   ? -errno : 0;
    }
    return madvise((char *)ram->ptr + offset, len, MADV_DONTNEED) ? -errno : 0;
}
