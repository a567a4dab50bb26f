/*
 * Guest memory: what answers at which address.
 *
 * A MemoryRegion is a piece of address space: RAM, ROM, device registers (I/O),
 * an alias of a part of another region, or a container of others. Regions
 * form trees; where they overlap the higher priority wins, then the one added later. An AddressSpace is a
 * tree seen from its root: the CPU's memory, the port space, a PCI device's view for DMA.
 *
 *     memory_region_init_io(&s->mr, OBJECT(s), &tinyuart_ops, s, "tinyuart", 8);
 *     memory_region_add(machine->io, 0x3f8, &s->mr, 0);
 *     ...
 *     MemTxResult r = address_space_read(as, addr, MEMTXATTRS_NONE, buf, len);
 *
 * Changes of the tree are collected between memory_transaction_begin/commit (nesting) and seen at
 * once, as a new flat view, by readers that take no lock (util/rcu.h).
 *
 * Devices: a callback gets an offset inside its region and a size of 1, 2, 4 or 8. Accesses of
 * other shapes are split or widened by the dispatcher as MemoryOps says. The dispatcher takes the region's lock
 * domain and refuses to re-enter an owner that is busy with MMIO or DMA of its own (the access reads all ones and is logged as a
 * guest error), so a device need not defend itself. Devices reach guest memory only by
 * address_space_read/write and friends, or by address_space_map, which is bounded and checked.
 *
 * Guest addresses: hwaddr is guest-physical (or a bus address), vaddr guest-virtual, ram_addr an index into
 * all RAM of a machine (MemoryMap): dirty bitmaps and translated code are kept by ram_addr.
 */
#ifndef MEMORY_MEMORY_H
#define MEMORY_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "qom/qom.h"
#include "util/addr.h"
#include "util/thread.h"

typedef struct MemoryMap MemoryMap;
typedef struct MemoryRegion MemoryRegion;
typedef struct AddressSpace AddressSpace;
typedef struct RamBlock RamBlock;

/* Bits; several may be set when an access was split. */
typedef uint32_t MemTxResult;
enum {
    MEMTX_OK = 0,
    MEMTX_ERROR = 1,        /* the device refused */
    MEMTX_DECODE_ERROR = 2, /* nothing answers there: reads give all ones */
    MEMTX_ACCESS_ERROR = 4, /* shape or direction not allowed there */
    MEMTX_BUSY = 8,         /* re-entry refused */
};

typedef struct {
    uint16_t requester_id; /* PCI bus:dev.fn, or 0 */
    bool from_cpu : 1, secure : 1, unspecified : 1;
} MemTxAttrs;
#define MEMTXATTRS_NONE ((MemTxAttrs){ .unspecified = true })

typedef enum { DEVICE_LITTLE_ENDIAN, DEVICE_BIG_ENDIAN } DeviceEndian;

/* Registers of a device. Exactly one of read/read_attrs and of write/write_attrs. */
typedef struct {
    uint64_t (*read)(void *dev, uint64_t offset, unsigned size);
    void (*write)(void *dev, uint64_t offset, uint64_t value, unsigned size);
    MemTxResult (*read_attrs)(void *dev, uint64_t offset, uint64_t *value, unsigned size, MemTxAttrs);
    MemTxResult (*write_attrs)(void *dev, uint64_t offset, uint64_t value, unsigned size, MemTxAttrs);
    uint8_t valid_min, valid_max; /* sizes the guest may use; 0: 1 and 8 (others fail: decode error) */
    bool valid_unaligned;
    uint8_t impl_min, impl_max;   /* sizes the callbacks see; 0: as valid. The dispatcher splits or widens */
    bool impl_unaligned;
    DeviceEndian endian;
} MemoryOps;

typedef enum { MR_CONTAINER, MR_IO, MR_RAM, MR_ROM, MR_ROMD, MR_ALIAS } MemoryRegionKind;

/* Embedded in its owner; fields belong to memory/. All sizes in bytes; size 0 means 2^64. */
struct MemoryRegion {
    MemoryRegionKind kind;
    const char *name;      /* copied */
    Object *owner;         /* not counted: the region dies with it; NULL for a board's own */
    const MemoryOps *ops;  /* IO, ROMD */
    void *dev;
    uint64_t size;
    RamBlock *block;       /* RAM, ROM, ROMD */
    MemoryRegion *target;  /* ALIAS */
    hwaddr target_offset;
    FairMutex *lock;       /* the lock domain taken around ops; NULL: the map's */
    bool enabled, readonly, romd_mode, mapped, global_dirty;
    /* place in the container */
    MemoryRegion *container;
    hwaddr addr;
    int priority;
    struct MemoryRegion **children;
    unsigned num_children;
    uint32_t dirty_clients;
};

/* Guest RAM of a MemoryMap: host memory with dirty bitmaps. */
struct RamBlock {
    char *id;              /* "pc.ram": names it in saved state, unique in the map */
    uint8_t *host;
    uint64_t size, max_size;
    ram_addr start;
    int fd;                /* -1: anonymous */
    MemoryMap *map;
    RamBlock *next;
};

/* Who wants to know of writes to RAM; each has a bitmap by page of ram_addr. */
typedef enum { DIRTY_CODE, DIRTY_VGA, DIRTY_MIGRATION, DIRTY_NUM } DirtyClient;

/* Life cycle ---------------------------------------------------------- */

/* One per machine; rcu, flat views, ram blocks, dirty bitmaps hang off it. lock: the default lock domain. */
MemoryMap *memory_map_new(FairMutex *lock);
void memory_map_free(MemoryMap *);

void memory_region_init(MemoryRegion *, MemoryMap *, Object *owner, const char *name, uint64_t size);
void memory_region_init_io(MemoryRegion *, MemoryMap *, Object *owner, const MemoryOps *, void *dev,
                           const char *name, uint64_t size);
/* RAM of its own, zeroed, lazily populated by the host. id: RamBlock.id. */
bool memory_region_init_ram(MemoryRegion *, MemoryMap *, Object *owner, const char *id, uint64_t size,
                            Error **errp);
/* Writes of the guest are dropped (logged as guest errors); the host may write by memory_region_host. */
bool memory_region_init_rom(MemoryRegion *, MemoryMap *, Object *owner, const char *id, uint64_t size,
                            Error **errp);
/* As RAM for reads while romd_mode, else all goes to ops; writes always go to ops. */
bool memory_region_init_romd(MemoryRegion *, MemoryMap *, Object *owner, const MemoryOps *, void *dev,
                             const char *id, uint64_t size, Error **errp);
/* RAM around an existing block (memory-backend-*), which stays the caller's. */
void memory_region_init_ram_block(MemoryRegion *, Object *owner, RamBlock *);
void memory_region_init_alias(MemoryRegion *, MemoryMap *, Object *owner, const char *name,
                              MemoryRegion *target, hwaddr offset, uint64_t size);
/* Takes it out of its container; frees what init made. NULL-safe on a zeroed region. */
void memory_region_finish(MemoryRegion *);

void memory_region_add(MemoryRegion *container, hwaddr addr, MemoryRegion *, int priority);
void memory_region_del(MemoryRegion *); /* from its container; nothing when in none */
void memory_region_set_enabled(MemoryRegion *, bool);
void memory_region_set_address(MemoryRegion *, hwaddr);
void memory_region_set_size(MemoryRegion *, uint64_t);
void memory_region_set_alias_offset(MemoryRegion *, hwaddr);
void memory_region_set_readonly(MemoryRegion *, bool);  /* RAM and aliases of it */
void memory_region_set_romd(MemoryRegion *, bool romd_mode);
uint8_t *memory_region_host(MemoryRegion *);            /* RAM/ROM contents, size bytes */

void memory_transaction_begin(MemoryMap *);
void memory_transaction_commit(MemoryMap *);

RamBlock *ram_block_new(MemoryMap *, const char *id, uint64_t size, int fd, Error **errp);
void ram_block_free(RamBlock *);

AddressSpace *address_space_new(MemoryMap *, MemoryRegion *root, const char *name);
void address_space_free(AddressSpace *);

/* Access --------------------------------------------------------------- */

MemTxResult address_space_read(AddressSpace *, hwaddr, MemTxAttrs, void *buf, uint64_t len);
MemTxResult address_space_write(AddressSpace *, hwaddr, MemTxAttrs, const void *buf, uint64_t len);
MemTxResult address_space_fill(AddressSpace *, hwaddr, MemTxAttrs, uint8_t byte, uint64_t len);
/* One access of size 1, 2, 4, 8 as a CPU makes it: a device sees it whole. Value in host order, guest little or big endian. */
MemTxResult address_space_ld(AddressSpace *, hwaddr, unsigned size, DeviceEndian, MemTxAttrs, uint64_t *value);
MemTxResult address_space_st(AddressSpace *, hwaddr, unsigned size, DeviceEndian, MemTxAttrs, uint64_t value);
/* Host's own write into ROM too (loaders, gdb); never reaches a device. */
MemTxResult address_space_write_rom(AddressSpace *, hwaddr, const void *buf, uint64_t len);

/*
 * A checked window into RAM for bulk DMA: *len is cut to what is contiguous (never more than asked).
 * NULL when that is not RAM (then use read/write). Pages are marked dirty at unmap for is_write. Bounded by the caller's len.
 */
void *address_space_map(AddressSpace *, hwaddr, uint64_t *len, bool is_write);
void address_space_unmap(AddressSpace *, void *host, uint64_t len, bool is_write, uint64_t access_len);

/* What answers at an address, for TLB fills and accelerators: valid inside an rcu read section. */
typedef struct {
    MemoryRegion *mr;   /* after aliases; NULL: nothing */
    hwaddr offset;      /* in mr */
    uint64_t len;       /* bytes from the address to the end of this range (at most UINT64_MAX) */
    uint8_t *host;      /* RAM, ROM, ROMD in romd mode: host address of the byte; else NULL */
    ram_addr ram;       /* of the byte; RAM_ADDR_INVALID when no RAM */
    bool readonly;      /* writes must not go to host */
} MemorySection;
MemorySection address_space_section(AddressSpace *, hwaddr);
/* An access to an I/O region found by address_space_section (locks, splits, re-entry checks included). */
MemTxResult memory_region_ld(MemoryRegion *, hwaddr offset, unsigned size, DeviceEndian, MemTxAttrs, uint64_t *value);
MemTxResult memory_region_st(MemoryRegion *, hwaddr offset, unsigned size, DeviceEndian, MemTxAttrs, uint64_t value);

/* Dirty tracking: bits are set by address_space_write, unmap and by accelerators. */
void memory_dirty_set(MemoryMap *, ram_addr, uint64_t len);
bool memory_dirty_test_clear(MemoryMap *, DirtyClient, ram_addr, uint64_t len);
bool memory_dirty_test(MemoryMap *, DirtyClient, ram_addr);
void memory_dirty_clear(MemoryMap *, DirtyClient, ram_addr, uint64_t len);
/* While off (the start for VGA, MIGRATION) writes cost nothing. DIRTY_CODE pages are "clean" when they hold translated code. */
void memory_dirty_log(MemoryMap *, DirtyClient, MemoryRegion *, bool on);

/* Told of each new flat view (TLB flush, KVM slots) and of writes by devices to pages that hold code. */
typedef struct MemoryListener {
    void (*commit)(struct MemoryListener *, AddressSpace *);
    void (*code_written)(struct MemoryListener *, ram_addr, uint64_t len);
    AddressSpace *only;    /* NULL: all */
    struct MemoryListener *next;
} MemoryListener;
void memory_listener_add(MemoryMap *, MemoryListener *);
void memory_listener_del(MemoryMap *, MemoryListener *);

/* "info mtree": text as QEMU's. */
void memory_print_tree(MemoryMap *, bool flat, bool owners, void (*print)(void *, const char *), void *opaque);

#endif
