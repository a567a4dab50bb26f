/*
 * Which pages are the guest's, and with which rights: what the kernel would know of an address space that has nothing of ours.
 *
 * A radix tree over page numbers of 47-bit addresses. A whole span that is alike is one entry, so that reservations of
 * terabytes cost nothing. Readers take no lock (signal handlers are among them); writers hold lock.
 */
#ifndef LINUX_USER_MAP_H
#define LINUX_USER_MAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    MAP_READ = 1, MAP_WRITE = 2, MAP_EXEC = 4,  /* PROT_READ and so on */
    MAP_RIGHTS = 7,
    MAP_VALID = 8,       /* the guest's */
    MAP_WATCHED = 16,    /* code was translated from it: the host may not write */
};
#define USER_ADDRESS_END 0x7ffffffff000ull

enum { MAP_TOP = 2048 };

typedef struct {
    pthread_mutex_t lock;
    _Atomic uintptr_t top[MAP_TOP];   /* of 64 GiB each: a table | 0, or flags << 1 | 1 */
    _Atomic uint32_t num_watched;     /* pages, about: 0 means none */
} UserMap;

void map_init(UserMap *m);
uint8_t map_get(const UserMap *m, uint64_t addr);
/* The end of the run of equal flags that begins at addr, at most limit. */
uint64_t map_run(const UserMap *m, uint64_t addr, uint64_t limit, uint8_t *flags);
/* flags = (flags & keep) | set in all pages of start to end - 1. Under lock. False: no memory for tables. */
bool map_change(UserMap *m, uint64_t start, uint64_t end, uint8_t keep, uint8_t set);
/* Whether all pages of the range have all these flags. */
bool map_all(const UserMap *m, uint64_t start, uint64_t end, uint8_t flags);
/* Whether some page has all of these flags. */
bool map_any(const UserMap *m, uint64_t start, uint64_t end, uint8_t flags);

#endif
