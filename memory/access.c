/*
 * Accesses: RAM by copying, I/O by calling the device. The contract is in memory/memory.h.
 *
 * RAM is found and copied inside one RCU read section. I/O is looked up again under its lock: the tree changes only
 * under that lock, so the region cannot go away while its device is called.
 */
#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <string.h>
#include <sys/param.h>

#include "memory/internal.h"
#include "util/bits.h"
#include "util/log.h"

/* ---- Re-entry ---- */

/* Devices that this thread is inside of, innermost first. Lives on the stack of the accesses. */
typedef struct Busy {
    const void *who; /* owner, or the region of a board */
    struct Busy *up;
    unsigned depth;
} Busy;

static _Thread_local Busy *busy_now;

enum { BUSY_DEPTH_MAX = 16 };

static bool is_busy(const void *who)
{
    for (const Busy *b = busy_now; b; b = b->up) {
        if (b->who == who) {
            return true;
        }
    }
    return false;
}

static void busy_enter(Busy *b, const void *who)
{
    *b = (Busy){who, busy_now, busy_now ? busy_now->depth + 1 : 1};
    busy_now = b;
}

static void busy_leave(Busy *b)
{
    busy_now = b->up;
}

/* ---- One access to an I/O region, its lock held ---- */

static uint64_t get_bytes(const uint8_t *p, unsigned size, DeviceEndian endian)
{
    uint64_t v = ld_le(p, size);

    return endian == DEVICE_LITTLE_ENDIAN ? v : bswap64(v) >> (64 - 8 * size);
}

static void put_bytes(uint8_t *p, unsigned size, DeviceEndian endian, uint64_t v)
{
    st_le(p, size, endian == DEVICE_LITTLE_ENDIAN ? v : bswap64(v) >> (64 - 8 * size));
}

static MemTxResult call_read(MemoryRegion *mr, hwaddr offset, unsigned size, MemTxAttrs attrs, uint8_t *bytes)
{
    const MemoryOps *ops = mr->ops;
    MemTxResult result = MEMTX_OK;
    uint64_t v = UINT64_MAX;

    if (ops->read) {
        v = ops->read(mr->dev, offset, size);
    } else {
        result = ops->read_attrs(mr->dev, offset, &v, size, attrs);
    }
    put_bytes(bytes, size, ops->endian, v);
    return result;
}

static MemTxResult call_write(MemoryRegion *mr, hwaddr offset, unsigned size, MemTxAttrs attrs, const uint8_t *bytes)
{
    uint64_t v = get_bytes(bytes, size, mr->ops->endian);

    if (mr->ops->write) {
        mr->ops->write(mr->dev, offset, v, size);
        return MEMTX_OK;
    }
    return mr->ops->write_attrs(mr->dev, offset, v, size, attrs);
}

/* Shapes that a region takes, with the defaults filled in. */
typedef struct {
    unsigned valid_min, valid_max, impl_min, impl_max;
} Shapes;

static Shapes shapes_of(const MemoryOps *ops)
{
    Shapes s;

    s.valid_min = ops->valid_min ? ops->valid_min : 1;
    s.valid_max = ops->valid_max ? ops->valid_max : 8;
    s.impl_min = ops->impl_min ? ops->impl_min : s.valid_min;
    s.impl_max = ops->impl_max ? ops->impl_max : s.valid_max;
    return s;
}

/* A piece smaller than impl_min: `size` bytes at offset, all in one aligned unit. */
static MemTxResult widened(MemoryRegion *mr, hwaddr offset, unsigned size, unsigned unit, bool write, MemTxAttrs attrs,
                           uint8_t *bytes)
{
    hwaddr base = round_down(offset, unit);
    uint8_t whole[8];
    MemTxResult result;

    if (mr->size && base + unit > mr->size) {
        if (!write) {
            memset(bytes, 0xff, size);
        }
        return MEMTX_ACCESS_ERROR;
    }
    result = call_read(mr, base, unit, attrs, whole);
    if (!write) {
        memcpy(bytes, whole + (offset - base), size);
        return result;
    }
    memcpy(whole + (offset - base), bytes, size);
    return result | call_write(mr, base, unit, attrs, whole);
}

/* Cuts an access of a valid shape into what the callbacks take. */
static MemTxResult in_pieces(MemoryRegion *mr, hwaddr offset, unsigned size, bool write, MemTxAttrs attrs,
                             uint8_t *bytes)
{
    Shapes s = shapes_of(mr->ops);
    MemTxResult result = MEMTX_OK;
    unsigned n;

    for (unsigned done = 0; done < size; done += n) {
        hwaddr at = offset + done;

        n = pow2_floor(MIN(size - done, s.impl_max));
        if (!mr->ops->impl_unaligned) {
            while (!is_aligned(at, n)) {
                n /= 2;
            }
        }
        if (n < s.impl_min) {
            n = MIN(size - done, s.impl_min - (at & (s.impl_min - 1)));
            result |= widened(mr, at, n, s.impl_min, write, attrs, bytes + done);
        } else if (write) {
            result |= call_write(mr, at, n, attrs, bytes + done);
        } else {
            result |= call_read(mr, at, n, attrs, bytes + done);
        }
    }
    return result;
}

static bool is_valid(const MemoryRegion *mr, hwaddr offset, unsigned size)
{
    Shapes s = shapes_of(mr->ops);

    return size >= s.valid_min && size <= s.valid_max && (mr->ops->valid_unaligned || is_aligned(offset, size)) &&
           (!mr->size || (offset < mr->size && size <= mr->size - offset));
}

static MemTxResult refuse(const MemoryRegion *mr, hwaddr offset, unsigned size, bool write, uint8_t *bytes,
                          const char *why, MemTxResult result)
{
    if (!write) {
        memset(bytes, 0xff, size);
    }
    log_guest_error(mr->name, "%s of %u bytes at offset 0x%" PRIx64 " %s", write ? "write" : "read", size, offset, why);
    return result;
}

/* The whole access, as bytes in address order. The region's lock is held. */
static MemTxResult region_access(MemoryRegion *mr, hwaddr offset, unsigned size, bool write, MemTxAttrs attrs,
                                 uint8_t *bytes)
{
    const void *who = mr->owner ? (const void *)mr->owner : mr;
    MemTxResult result;
    Busy busy;

    if (!is_valid(mr, offset, size)) {
        return refuse(mr, offset, size, write, bytes, "has a size or alignment that is not allowed", MEMTX_ACCESS_ERROR);
    }
    if (is_busy(who) || (busy_now && busy_now->depth >= BUSY_DEPTH_MAX)) {
        return refuse(mr, offset, size, write, bytes, "re-enters the device, which is busy", MEMTX_BUSY);
    }
    busy_enter(&busy, who);
    result = in_pieces(mr, offset, size, write, attrs, bytes);
    busy_leave(&busy);
    return result;
}

/* True iff this call took the lock. */
static bool take(FairMutex *lock)
{
    if (!lock || fair_mutex_is_held(lock)) {
        return false;
    }
    fair_mutex_lock(lock);
    return true;
}

static MemTxResult region_access_locking(MemoryRegion *mr, hwaddr offset, unsigned size, bool write, MemTxAttrs attrs,
                                         uint8_t *bytes)
{
    FairMutex *lock = mr->lock ? mr->lock : mr->map->lock;
    bool taken = take(lock);
    MemTxResult result = region_access(mr, offset, size, write, attrs, bytes);

    if (taken) {
        fair_mutex_unlock(lock);
    }
    return result;
}

MemTxResult memory_region_ld(MemoryRegion *mr, hwaddr offset, unsigned size, DeviceEndian endian, MemTxAttrs attrs,
                             uint64_t *value)
{
    uint8_t bytes[8];
    MemTxResult result = region_access_locking(mr, offset, size, false, attrs, bytes);

    *value = get_bytes(bytes, size, endian);
    return result;
}

MemTxResult memory_region_st(MemoryRegion *mr, hwaddr offset, unsigned size, DeviceEndian endian, MemTxAttrs attrs,
                             uint64_t value)
{
    uint8_t bytes[8];

    put_bytes(bytes, size, endian, value);
    return region_access_locking(mr, offset, size, true, attrs, bytes);
}

/* ---- Accesses to an address space ---- */

/* What is at an address now: a copy that stays good. */
typedef struct {
    FlatRange r;
    bool found;
    uint64_t len; /* of the range or hole from the address on, UINT64_MAX at most */
} Spot;

/* Inside an RCU read section. */
static Spot spot_at(AddressSpace *as, hwaddr addr)
{
    Spot s;
    hwaddr last;
    const FlatRange *r = flat_find(rcu_load(&as->view), addr, &last);

    s.found = r;
    if (r) {
        s.r = *r;
        last = r->last;
    }
    s.len = last - addr == UINT64_MAX ? UINT64_MAX : last - addr + 1;
    return s;
}

static bool is_direct(const Spot *s, bool write)
{
    return s->found && (write ? s->r.direct_write : s->r.direct_read);
}

/* The shape of the next access of a copy to or from I/O. */
static unsigned copy_step(const MemoryRegion *mr, hwaddr offset, uint64_t len)
{
    unsigned n = pow2_floor(MIN(len, shapes_of(mr->ops).valid_max));

    if (!mr->ops->valid_unaligned) {
        while (!is_aligned(offset, n)) {
            n /= 2;
        }
    }
    return n;
}

/* One access to I/O at addr; size 0: as large as fits in len. *done: its size; 0: there is no I/O any more. */
static MemTxResult io_access(AddressSpace *as, hwaddr addr, FairMutex *lock, uint64_t len, bool whole, bool write,
                             MemTxAttrs attrs, uint8_t *bytes, uint64_t *done)
{
    MemTxResult result = MEMTX_OK;
    bool taken = take(lock);
    bool as_owner = as->owner && !is_busy(as->owner);
    Busy busy;
    Spot s;

    rcu_enter();
    s = spot_at(as, addr);
    rcu_leave();
    *done = 0;
    if (s.found && s.r.io && !is_direct(&s, write) && s.r.lock == lock && (!whole || s.len >= len)) {
        hwaddr offset = s.r.offset + (addr - s.r.start);

        *done = whole ? len : copy_step(s.r.mr, offset, MIN(len, s.len));
        if (as_owner) {
            busy_enter(&busy, as->owner);
        }
        result = region_access(s.r.mr, offset, *done, write, attrs, bytes);
        if (as_owner) {
            busy_leave(&busy);
        }
    }
    if (taken) {
        fair_mutex_unlock(lock);
    }
    return result;
}

/* Nothing there, or ROM that is written. */
static MemTxResult access_nothing(const Spot *s, AddressSpace *as, hwaddr addr, uint64_t len, bool write, uint8_t *buf)
{
    if (!write) {
        memset(buf, 0xff, len);
    }
    if (s->found) {
        log_guest_error(as->name, "write to read-only memory at 0x%" PRIx64, addr);
        return MEMTX_ACCESS_ERROR;
    }
    log_item(LOG_INVALID_MEM, "%s: %s of %" PRIu64 " bytes at 0x%" PRIx64 ", where nothing is\n", as->name,
             write ? "write" : "read", len, addr);
    return MEMTX_DECODE_ERROR;
}

/* One step of a copy: as much as one range takes; *done of the len bytes. buf is read for write, else written. */
static MemTxResult copy_some(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, uint8_t *buf, uint64_t len, bool write,
                             uint64_t *done)
{
    Spot s;

    for (;;) {
        MemTxResult result;

        rcu_enter();
        s = spot_at(as, addr);
        *done = MIN(len, s.len);
        if (is_direct(&s, write)) {
            uint8_t *host = s.r.host + (addr - s.r.start);

            if (write) {
                memcpy(host, buf, *done);
                memory_dirty_set(as->map, s.r.ram + (addr - s.r.start), *done);
            } else {
                memcpy(buf, host, *done);
            }
            rcu_leave();
            return MEMTX_OK;
        }
        rcu_leave();
        if (!s.found || !s.r.io) {
            return access_nothing(&s, as, addr, *done, write, buf);
        }
        result = io_access(as, addr, s.r.lock, len, false, write, attrs, buf, done);
        if (*done) {
            return result;
        }
    }
}

static MemTxResult copy(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, uint8_t *buf, uint64_t len, bool write)
{
    MemTxResult result = MEMTX_OK;
    uint64_t done;

    while (len > 0) {
        result |= copy_some(as, addr, attrs, buf, len, write, &done);
        addr += done;
        buf += done;
        len -= done;
        if (addr == 0 && len > 0) { /* past the end of the address space */
            if (!write) {
                memset(buf, 0xff, len);
            }
            return result | MEMTX_DECODE_ERROR;
        }
    }
    return result;
}

MemTxResult address_space_read(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, void *buf, uint64_t len)
{
    return copy(as, addr, attrs, buf, len, false);
}

MemTxResult address_space_write(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, const void *buf, uint64_t len)
{
    return copy(as, addr, attrs, (uint8_t *)buf, len, true);
}

MemTxResult address_space_fill(AddressSpace *as, hwaddr addr, MemTxAttrs attrs, uint8_t byte, uint64_t len)
{
    uint8_t buf[4096];
    MemTxResult result = MEMTX_OK;

    memset(buf, byte, MIN(len, sizeof(buf)));
    while (len > 0) {
        uint64_t n = MIN(len, sizeof(buf));

        result |= copy(as, addr, attrs, buf, n, true);
        len -= n;
        if (addr + n < addr && len > 0) {
            return result | MEMTX_DECODE_ERROR;
        }
        addr += n;
    }
    return result;
}

/* Aligned RAM is read and written whole: a guest may use it to talk between its CPUs. */
static uint64_t load_ram(const uint8_t *p, unsigned size)
{
    if (!is_aligned((uintptr_t)p, size)) {
        return ld_le(p, size);
    }
    switch (size) {
    case 1:
        return __atomic_load_n(p, __ATOMIC_RELAXED);
    case 2:
        return le16toh(__atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED));
    case 4:
        return le32toh(__atomic_load_n((const uint32_t *)p, __ATOMIC_RELAXED));
    default:
        return le64toh(__atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED));
    }
}

static void store_ram(uint8_t *p, unsigned size, uint64_t v)
{
    if (!is_aligned((uintptr_t)p, size)) {
        st_le(p, size, v);
        return;
    }
    switch (size) {
    case 1:
        __atomic_store_n(p, v, __ATOMIC_RELAXED);
        break;
    case 2:
        __atomic_store_n((uint16_t *)p, htole16(v), __ATOMIC_RELAXED);
        break;
    case 4:
        __atomic_store_n((uint32_t *)p, htole32(v), __ATOMIC_RELAXED);
        break;
    default:
        __atomic_store_n((uint64_t *)p, htole64(v), __ATOMIC_RELAXED);
        break;
    }
}

/* The value whose little-endian bytes are those of v in the order `endian`; and back. */
static uint64_t in_order(uint64_t v, unsigned size, DeviceEndian endian)
{
    return endian == DEVICE_LITTLE_ENDIAN ? v : bswap64(v) >> (64 - 8 * size);
}

/* An access that is not all RAM: whole if one I/O region answers, else range by range. */
static MemTxResult access_slow(AddressSpace *as, hwaddr addr, unsigned size, const Spot *s, bool write,
                               MemTxAttrs attrs, uint8_t *bytes)
{
    if (s->found && s->r.io && s->len >= size) {
        uint64_t done;
        MemTxResult result = io_access(as, addr, s->r.lock, size, true, write, attrs, bytes, &done);

        if (done) {
            return result;
        }
    }
    return copy(as, addr, attrs, bytes, size, write);
}

MemTxResult address_space_ld(AddressSpace *as, hwaddr addr, unsigned size, DeviceEndian endian, MemTxAttrs attrs,
                             uint64_t *value)
{
    uint8_t bytes[8];
    MemTxResult result;
    Spot s;

    rcu_enter();
    s = spot_at(as, addr);
    if (is_direct(&s, false) && s.len >= size) {
        *value = in_order(load_ram(s.r.host + (addr - s.r.start), size), size, endian);
        rcu_leave();
        return MEMTX_OK;
    }
    rcu_leave();
    result = access_slow(as, addr, size, &s, false, attrs, bytes);
    *value = get_bytes(bytes, size, endian);
    return result;
}

MemTxResult address_space_st(AddressSpace *as, hwaddr addr, unsigned size, DeviceEndian endian, MemTxAttrs attrs,
                             uint64_t value)
{
    uint8_t bytes[8];
    Spot s;

    rcu_enter();
    s = spot_at(as, addr);
    if (is_direct(&s, true) && s.len >= size) {
        store_ram(s.r.host + (addr - s.r.start), size, in_order(value, size, endian));
        memory_dirty_set(as->map, s.r.ram + (addr - s.r.start), size);
        rcu_leave();
        return MEMTX_OK;
    }
    rcu_leave();
    put_bytes(bytes, size, endian, value);
    return access_slow(as, addr, size, &s, true, attrs, bytes);
}

MemTxResult address_space_write_rom(AddressSpace *as, hwaddr addr, const void *buf, uint64_t len)
{
    const uint8_t *p = buf;
    MemTxResult result = MEMTX_OK;

    while (len > 0) {
        uint64_t n;
        Spot s;

        rcu_enter();
        s = spot_at(as, addr);
        n = MIN(len, s.len);
        if (s.found && s.r.host) {
            memcpy(s.r.host + (addr - s.r.start), p, n);
            memory_dirty_set(as->map, s.r.ram + (addr - s.r.start), n);
        } else {
            result |= s.found ? MEMTX_ACCESS_ERROR : MEMTX_DECODE_ERROR;
        }
        rcu_leave();
        p += n;
        len -= n;
        if (addr + n < addr && len > 0) {
            return result | MEMTX_DECODE_ERROR;
        }
        addr += n;
    }
    return result;
}

/* ---- Mapping ---- */

void *address_space_map(AddressSpace *as, hwaddr addr, uint64_t *len, bool is_write)
{
    uint8_t *host = NULL;
    uint64_t got = 0;
    Spot s;

    rcu_enter();
    s = spot_at(as, addr);
    if (*len > 0 && is_direct(&s, is_write) && ram_block_ref(s.r.block)) {
        const RamBlock *block = s.r.block;

        host = s.r.host + (addr - s.r.start);
        while (is_direct(&s, is_write) && s.r.block == block &&
               s.r.host + (addr + got - s.r.start) == host + got) {
            got += MIN(*len - got, s.len);
            if (got == *len || addr + got < addr) {
                break;
            }
            s = spot_at(as, addr + got);
        }
        *len = got;
    }
    rcu_leave();
    return host;
}

void address_space_unmap(AddressSpace *as, void *host, uint64_t len, bool is_write, uint64_t access_len)
{
    RamBlock *b;

    assert(access_len <= len);
    rcu_enter();
    for (b = rcu_load(&as->map->blocks); b; b = rcu_load(&b->next)) {
        if ((uint64_t)((uint8_t *)host - b->host) < b->size) {
            break;
        }
    }
    rcu_leave();
    assert(b); /* the mapping has kept it */
    if (is_write) {
        memory_dirty_set(as->map, b->start + ((uint8_t *)host - b->host), access_len);
    }
    ram_block_unref(b);
}
