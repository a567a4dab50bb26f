/*
 * mmap and its family, on the guest's pages only: docs/linux-user.md, Address space. Semantics: mmap(2), mremap(2), brk(2),
 * shmat(2). UserMap.lock is held over the host's call, so that map and memory are changed as one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include "linux-user/elf.h"
#include "util/log.h"

static uint64_t page_up(uint64_t v)
{
    return (v + USER_PAGE - 1) & USER_PAGE_MASK;
}

static bool in_range(uint64_t start, uint64_t size)
{
    return start <= USER_ADDRESS_END && size <= USER_ADDRESS_END - start;
}

static int64_t host_mmap(uint64_t addr, uint64_t size, uint64_t prot, uint64_t flags, uint64_t fd, uint64_t offset)
{
    return user_raw_syscall(SYS_mmap, addr, size, prot, flags, fd, offset);
}

/* The guest's rights as it asked for them; what else is in prot (PROT_GROWSDOWN ...) goes to the host. */
static uint64_t host_prot(uint64_t prot)
{
    return (prot & ~(uint64_t)7) | (uint64_t)user_host_rights((uint8_t)(prot & 7));
}

static void drop_code(UserProcess *p, uint64_t start, uint64_t end)
{
    if (p->cache && map_any(&p->map, start, end, MAP_EXEC)) {
        tcg_invalidate(p->cache, start, end);
    }
}

/* Places of the range that nobody has are taken; false when something of ours is there. Undone by release. */
static bool claim(UserProcess *p, uint64_t start, uint64_t end)
{
    for (uint64_t at = start, next; at < end; at = next) {
        uint8_t flags;

        next = map_run(&p->map, at, end, &flags);
        if (!(flags & MAP_VALID)) {
            int64_t r = host_mmap(at, next - at, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
                                  (uint64_t)-1, 0);
            if (r != (int64_t)at) {
                if (r >= 0) {
                    user_raw_syscall(SYS_munmap, (uint64_t)r, next - at, 0, 0, 0, 0);
                }
                for (uint64_t back = start; back < at; back = next) {
                    next = map_run(&p->map, back, at, &flags);
                    if (!(flags & MAP_VALID)) {
                        user_raw_syscall(SYS_munmap, back, next - back, 0, 0, 0, 0);
                    }
                }
                return false;
            }
        }
    }
    return true;
}

static void release(UserProcess *p, uint64_t start, uint64_t end)
{
    for (uint64_t next; start < end; start = next) {
        uint8_t flags;

        next = map_run(&p->map, start, end, &flags);
        if (!(flags & MAP_VALID)) {
            user_raw_syscall(SYS_munmap, start, next - start, 0, 0, 0, 0);
        }
    }
}

static void take(UserProcess *p, uint64_t start, uint64_t end, uint64_t prot)
{
    drop_code(p, start, end);
    map_change(&p->map, start, end, 0, (uint8_t)(MAP_VALID | (prot & MAP_RIGHTS)));
    log_item(LOG_PAGE, "page: 0x%" PRIx64 "-0x%" PRIx64 " %c%c%c\n", start, end, prot & 1 ? 'r' : '-', prot & 2 ? 'w' : '-',
             prot & 4 ? 'x' : '-');
}

int64_t user_mmap(UserProcess *p, const uint64_t a[6])
{
    uint64_t addr = a[0], size = page_up(a[1]), flags = a[3];
    bool fixed = (flags & MAP_FIXED) && (flags & MAP_FIXED_NOREPLACE) != MAP_FIXED_NOREPLACE;
    int64_t r;

    if (fixed && ((addr & ~USER_PAGE_MASK) || !a[1])) {
        return -EINVAL;
    }
    if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) && (!in_range(addr, size) || size < a[1])) {
        return -ENOMEM;
    }
    if (!in_range(addr, size)) {
        addr = 0; /* a wish; above 47 bits the host might grant it */
    }
    pthread_mutex_lock(&p->map.lock);
    if (fixed && !claim(p, addr, addr + size)) {
        r = -ENOMEM;
    } else {
        r = host_mmap(addr, a[1], host_prot(a[2]), flags, a[4], a[5]);
        if (r >= 0 || r < -4095) {
            take(p, (uint64_t)r, (uint64_t)r + size, a[2]);
        } else if (fixed) {
            release(p, addr, addr + size);
        }
    }
    pthread_mutex_unlock(&p->map.lock);
    return r;
}

int64_t sys_mmap(UserThread *t, const uint64_t a[6])
{
    return user_mmap(t->p, a);
}

int64_t user_munmap(UserProcess *p, uint64_t addr, uint64_t len)
{
    uint64_t end = addr + page_up(len);
    int64_t r = 0;

    if ((addr & ~USER_PAGE_MASK) || !len || !in_range(addr, page_up(len)) || page_up(len) < len) {
        return -EINVAL;
    }
    pthread_mutex_lock(&p->map.lock);
    drop_code(p, addr, end);
    while (addr < end && r == 0) {
        uint8_t flags;
        uint64_t next = map_run(&p->map, addr, end, &flags);

        if (flags & MAP_VALID) {
            r = user_raw_syscall(SYS_munmap, addr, next - addr, 0, 0, 0, 0);
            if (r == 0) {
                map_change(&p->map, addr, next, 0, 0);
            }
        }
        addr = next;
    }
    pthread_mutex_unlock(&p->map.lock);
    return r;
}

int64_t sys_munmap(UserThread *t, const uint64_t a[6])
{
    return user_munmap(t->p, a[0], a[1]);
}

/* The end of the guest's pages from addr on, at most end. */
static uint64_t valid_end(UserProcess *p, uint64_t addr, uint64_t end)
{
    uint8_t flags;

    while (addr < end) {
        uint64_t next = map_run(&p->map, addr, end, &flags);
        if (!(flags & MAP_VALID)) {
            break;
        }
        addr = next;
    }
    return addr;
}

/* nr: mprotect or pkey_mprotect. Up to the first page that is not the guest's, as the kernel does. */
static int64_t protect(UserThread *t, uint64_t nr, const uint64_t a[6])
{
    UserProcess *p = t->p;
    uint64_t end = a[0] + page_up(a[1]), stop;
    int64_t r = 0;

    if (a[0] & ~USER_PAGE_MASK) {
        return -EINVAL;
    }
    if (!a[1]) {
        return 0;
    }
    if (!in_range(a[0], page_up(a[1])) || page_up(a[1]) < a[1]) {
        return -ENOMEM;
    }
    pthread_mutex_lock(&p->map.lock);
    stop = valid_end(p, a[0], end);
    if (stop > a[0]) {
        drop_code(p, a[0], stop);
        r = user_raw_syscall(nr, a[0], stop - a[0], host_prot(a[2]), a[3], 0, 0);
        if (r == 0) {
            map_change(&p->map, a[0], stop, (uint8_t)~(MAP_RIGHTS | MAP_WATCHED), (uint8_t)(a[2] & MAP_RIGHTS));
        }
    }
    pthread_mutex_unlock(&p->map.lock);
    return r == 0 && stop < end ? -ENOMEM : r;
}

int64_t sys_mprotect(UserThread *t, const uint64_t a[6])
{
    return protect(t, SYS_mprotect, a);
}

int64_t sys_pkey_mprotect(UserThread *t, const uint64_t a[6])
{
    return protect(t, SYS_pkey_mprotect, a);
}

int64_t sys_mremap(UserThread *t, const uint64_t a[6])
{
    UserProcess *p = t->p;
    uint64_t old = a[0], old_size = page_up(a[1]), size = page_up(a[2]);
    uint8_t flags;
    int64_t r;

    if (!in_range(old, old_size ? old_size : USER_PAGE) || size < a[2] || ((a[3] & MREMAP_FIXED) && !in_range(a[4], size))) {
        return -EINVAL;
    }
    user_lift_range(p, old, old_size); /* the kernel moves what is of one kind */
    pthread_mutex_lock(&p->map.lock);
    flags = map_get(&p->map, old) & (uint8_t)~MAP_WATCHED;
    if (!map_all(&p->map, old, old + (old_size ? old_size : USER_PAGE), MAP_VALID)) {
        r = -EFAULT;
    } else if ((a[3] & MREMAP_FIXED) && !claim(p, a[4], a[4] + size)) {
        r = -ENOMEM;
    } else {
        r = user_raw_syscall(SYS_mremap, a[0], a[1], a[2], a[3], a[4], 0);
        if (r >= 0 || r < -4095) {
            drop_code(p, old, old + old_size);
            if (old_size && !(a[3] & 4 /* MREMAP_DONTUNMAP */)) {
                map_change(&p->map, old, old + old_size, 0, 0);
            }
            take(p, (uint64_t)r, (uint64_t)r + size, flags);
        } else if (a[3] & MREMAP_FIXED) {
            release(p, a[4], a[4] + size);
        }
    }
    pthread_mutex_unlock(&p->map.lock);
    return r;
}

/* Never over what is there already: the answer to that is the old end. */
int64_t sys_brk(UserThread *t, const uint64_t a[6])
{
    UserProcess *p = t->p;
    uint64_t now, wanted = a[0], from, to;

    pthread_mutex_lock(&p->map.lock);
    from = page_up(p->brk);
    to = page_up(wanted);
    if (wanted >= p->brk_start && wanted < USER_ADDRESS_END) {
        if (to > from) {
            int64_t r = host_mmap(from, to - from, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
                                  (uint64_t)-1, 0);
            if (r == (int64_t)from) {
                take(p, from, to, MAP_READ | MAP_WRITE);
                p->brk = wanted;
            } else if (r >= 0) {
                user_raw_syscall(SYS_munmap, (uint64_t)r, to - from, 0, 0, 0, 0);
            }
        } else {
            if (to < from) {
                drop_code(p, to, from);
                user_raw_syscall(SYS_munmap, to, from - to, 0, 0, 0, 0);
                map_change(&p->map, to, from, 0, 0);
            }
            p->brk = wanted;
        }
    }
    now = p->brk;
    pthread_mutex_unlock(&p->map.lock);
    return (int64_t)now;
}

/*
 * Advice for a range goes to what is the guest's of it; with a hole the answer is ENOMEM, as the kernel's, which goes on behind
 * it. Advice that changes what is in memory changes code.
 */
int64_t sys_madvise(UserThread *t, const uint64_t a[6])
{
    UserProcess *p = t->p;
    uint64_t size = page_up(a[1]), end = a[0] + size, at = a[0];
    bool changes = a[2] == MADV_DONTNEED || a[2] == MADV_REMOVE || a[2] == MADV_FREE || a[2] == 24 /* MADV_DONTNEED_LOCKED */;
    int64_t r = 0, hole = 0;

    if ((at & ~USER_PAGE_MASK) || size < a[1] || !in_range(at, size) || !size) {
        return user_syscall(&t->attention, SYS_madvise, a); /* wrong for the kernel as well */
    }
    while (at < end && r == 0) {
        uint64_t next = valid_end(p, at, end), b[6] = { at, next - at, a[2], 0, 0, 0 };
        uint8_t flags;

        if (next > at) {
            r = user_syscall(&t->attention, SYS_madvise, b);
        }
        at = map_run(&p->map, next, end, &flags);
        hole = next < end ? -ENOMEM : hole;
    }
    if (changes) {
        user_lift_range(p, a[0], size);
        drop_code(p, a[0], end);
    }
    return r ? r : hole;
}

int64_t sys_remap_file_pages(UserThread *t, const uint64_t a[6])
{
    UserProcess *p = t->p;
    int64_t r;

    if (!in_range(a[0], page_up(a[1])) || !map_all(&p->map, a[0], a[0] + page_up(a[1]), MAP_VALID)) {
        return -EINVAL;
    }
    r = user_syscall(&t->attention, SYS_remap_file_pages, a);
    user_lift_range(p, a[0], a[1]);
    drop_code(p, a[0], a[0] + page_up(a[1]));
    return r;
}

/* System V shared memory ---------------------------------------------------------------- */

int64_t sys_shmat(UserThread *t, const uint64_t a[6])
{
    UserProcess *p = t->p;
    uint64_t rights = MAP_READ | (a[2] & SHM_RDONLY ? 0 : MAP_WRITE) | (a[2] & SHM_EXEC ? MAP_EXEC : 0);
    uint64_t addr = a[2] & SHM_RND ? a[1] & USER_PAGE_MASK : a[1], size;
    struct shmid_ds ds;
    bool over = addr && (a[2] & SHM_REMAP);
    int64_t r;

    if (shmctl((int)a[0], IPC_STAT, &ds) < 0) {
        return -errno;
    }
    size = page_up(ds.shm_segsz);
    pthread_mutex_lock(&p->map.lock);
    if (over && (!in_range(addr, size) || !claim(p, addr, addr + size))) {
        r = -EINVAL;
    } else if (addr && !in_range(addr, size)) {
        r = -EINVAL;
    } else {
        r = user_raw_syscall(SYS_shmat, a[0], a[1], a[2] & ~(uint64_t)SHM_EXEC, 0, 0, 0);
        if (r >= 0 || r < -4095) {
            take(p, (uint64_t)r, (uint64_t)r + size, rights);
        } else if (over) {
            release(p, addr, addr + size);
        }
    }
    pthread_mutex_unlock(&p->map.lock);
    return r;
}

/* How far the host's mapping went is seen by what is not mapped any more. */
int64_t sys_shmdt(UserThread *t, const uint64_t a[6])
{
    UserProcess *p = t->p;
    uint8_t flags, page;
    uint64_t end, at = a[0];
    int64_t r;

    user_lift_range(p, a[0], USER_PAGE);
    pthread_mutex_lock(&p->map.lock);
    end = map_run(&p->map, a[0], USER_ADDRESS_END, &flags);
    r = flags & MAP_VALID ? user_raw_syscall(SYS_shmdt, a[0], 0, 0, 0, 0, 0) : -EINVAL;
    if (r == 0) {
        while (at < end && user_raw_syscall(SYS_mincore, at, USER_PAGE, (uintptr_t)&page, 0, 0, 0) == -ENOMEM) {
            at += USER_PAGE;
        }
        drop_code(p, a[0], at);
        map_change(&p->map, a[0], at, 0, 0);
    }
    pthread_mutex_unlock(&p->map.lock);
    return r;
}
