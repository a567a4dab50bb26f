/*
 * Host memory that a guest sees as its own: page aligned, zeroed when first touched, with inaccessible guard pages on both
 * sides so that a wrong index faults instead of reading the neighbour.
 *
 *     HostRam ram;
 *     HostRamSpec spec = { .size = 4 * GIB, .align = 2 * MIB, .thp = true };
 *     if (!host_ram_init(&ram, &spec, errp)) { return false; }
 *     memcpy(ram.ptr, rom, rom_size);
 *     host_ram_finish(&ram);
 */
#ifndef UTIL_RAM_H
#define UTIL_RAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

typedef struct {
    uint64_t size;        /* bytes, not 0; rounded up to pages */
    uint64_t align;       /* power of two, or 0: the page size */
    uint64_t offset;      /* in fd; multiple of the page size */
    uint64_t hugetlb;     /* page size of hugetlbfs memory made by memfd; 0: normal pages */
    const char *name;     /* of the memfd, in /proc; NULL: "guest-ram" */
    int fd;               /* used when has_fd: a file to map, not owned */
    bool has_fd;
    bool memfd;           /* back it with a memfd of its own (vhost-user, sharing with other processes) */
    bool shared;          /* MAP_SHARED: writes reach the file; implied by memfd */
    bool readonly;
    bool thp;             /* advise transparent huge pages */
    bool mergeable;       /* allow same-page merging */
    bool no_dump;         /* leave out of core dumps */
    bool noreserve;       /* do not count against overcommit */
    bool prealloc;        /* allocate all pages now, and fail now */
    unsigned seals;       /* F_SEAL_* for the memfd */
} HostRamSpec;

typedef struct {
    void *ptr;
    uint64_t size;        /* as mapped: a multiple of page_size */
    uint64_t page_size;   /* of the backing */
    int fd;               /* owned memfd, else -1 */
    void *reserved;       /* with guards */
    uint64_t reserved_size;
} HostRam;

/* On failure *ram is empty (safe to finish). */
bool host_ram_init(HostRam *ram, const HostRamSpec *spec, Error **errp);
/* Unmaps and closes. Empty or zeroed with fd -1: nothing. */
void host_ram_finish(HostRam *ram);
/* Gives the pages of [offset, offset + len) back to the host; they read as zero after (anonymous and memfd memory). 0 or -errno. */
int host_ram_discard(HostRam *ram, uint64_t offset, uint64_t len);

/* Anonymous memory of `size` between guard pages, readable and writable; NULL on failure with errno. Freed by guarded_free. */
void *guarded_alloc(size_t size);
void guarded_free(void *ptr, size_t size);

size_t host_page_size(void);

#endif
