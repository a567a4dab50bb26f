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
 * once, as a new flat view, by readers that take no lock (util/rcu.h). Who changes a tree holds the map's lock. Who
 * reads is a thread registered for RCU and is not inside a read section of its own, unless said.
 *
 * Devices: a callback gets an offset inside its region and a size of 1, 2, 4 or 8. Accesses of
 * other shapes are split or widened by the dispatcher as MemoryOps says. The dispatcher takes the region's lock
 * domain and refuses to re-enter an owner that is busy with MMIO or DMA of its own (the access reads all ones and is logged as a
 * guest error), so a device need not defend itself. DMA counts when it goes through an address space that has the device for
 * owner (address_space_set_owner; a PCI device's as_dma is one). Devices reach guest memory only by
 * address_space_read/write and friends, or by address_space_map, which is bounded and checked.
 *
 * A callback's value has the bytes of the access in the order of MemoryOps.endian. When the guest's access has a size
 * or alignment that the callbacks do not take (impl_*), it is cut into pieces, lowest address first; a piece
 * smaller than impl_min reads the aligned unit around it, and a write of one reads it first and writes it whole.
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
#include "util/ram.h"
#include "util/rcu.h"
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
    uint16_t requester_id; /* PCI bus:dev.fn, or 0; from_cpu: index of the vCPU */
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
    uint8_t valid_min, valid_max; /* sizes the guest may use; 0: 1 and 8. Others: reads all ones, MEMTX_ACCESS_ERROR */
    bool valid_unaligned;
    uint8_t impl_min, impl_max;   /* sizes the callbacks see; 0: as valid. The dispatcher splits or widens */
    bool impl_unaligned;
    DeviceEndian endian;
} MemoryOps;

typedef enum { MR_CONTAINER, MR_IO, MR_RAM, MR_ROM, MR_ROMD, MR_ALIAS } MemoryRegionKind;

/* Embedded in its owner; fields belong to memory/. All sizes in bytes; size 0 means 2^64. */
struct MemoryRegion {
    MemoryRegionKind kind;
    char *name;            /* copied */
    MemoryMap *map;        /* NULL: not initialized */
    Object *owner;         /* not counted: the region dies with it; NULL for a board's own */
    const MemoryOps *ops;  /* IO, ROMD */
    void *dev;
    uint64_t size;
    RamBlock *block;       /* RAM, ROM, ROMD */
    MemoryRegion *target;  /* ALIAS */
    hwaddr target_offset;
    FairMutex *lock;       /* the lock domain taken around ops; NULL: the map's */
    bool enabled, readonly, romd_mode, owns_block;
    unsigned num_aliases;  /* that have it for target */
    /* place in the container */
    MemoryRegion *container;
    hwaddr addr;
    int priority;
    struct MemoryRegion **children;
    unsigned num_children;
    uint32_t dirty_clients; /* bits of DirtyClient: memory_dirty_log */
};

/* Guest RAM of a MemoryMap: host memory with dirty bitmaps. */
struct RamBlock {
    char *id;              /* "pc.ram": names it in saved state, unique in the map */
    uint8_t *host;
    uint64_t size;
    ram_addr start;
    int fd;                /* of a memfd or the file given; -1: anonymous */
    MemoryMap *map;
    /* below: memory/ only */
    HostRam ram;
    RamBlock *next;        /* in order of start; read under RCU */
    uint32_t refs;         /* atomic: the owner's and one for each address_space_map */
    bool gone;             /* freed by its owner, still mapped by somebody */
    RcuHead rcu;
};

/* Who wants to know of writes to RAM; each has a bitmap by page of ram_addr. */
typedef enum { DIRTY_CODE, DIRTY_VGA, DIRTY_MIGRATION, DIRTY_NUM } DirtyClient;

/* Life cycle ---------------------------------------------------------- */

/* One per machine; rcu, flat views, ram blocks, dirty bitmaps hang off it. lock: the default lock domain. */
MemoryMap *memory_map_new(FairMutex *lock);
/* No address space or RAM block may be left. NULL is fine. */
void memory_map_free(MemoryMap *);
FairMutex *memory_map_lock(MemoryMap *); /* may be NULL: a test that has one thread */

void memory_region_init(MemoryRegion *, MemoryMap *, Object *owner, const char *name, uint64_t size);
void memory_region_init_io(MemoryRegion *, MemoryMap *, Object *owner, const MemoryOps *, void *dev,
                           const char *name, uint64_t size);
/* RAM of its own, zeroed, lazily populated by the host. id: RamBlock.id; what follows its last '/' is the region's name. */
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
/*
 * Takes it out of its container and all views at once, transaction or not; frees what init made. Its children and the aliases of
 * it are gone before. A zeroed region is fine.
 */
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

/* fd -1: anonymous memory; else the file (not taken over) mapped shared from its start. */
RamBlock *ram_block_new(MemoryMap *, const char *id, uint64_t size, int fd, Error **errp);
/* As spec says (memory-backend-*). */
RamBlock *ram_block_new_spec(MemoryMap *, const char *id, const HostRamSpec *spec, Error **errp);
/* Gone from the map now; the memory is unmapped when no reader and no mapping is left. NULL is fine. */
void ram_block_free(RamBlock *);
RamBlock *ram_block_find(MemoryMap *, const char *id); /* NULL: none. Under the map's lock */
RamBlock *ram_block_next(MemoryMap *, RamBlock *);     /* NULL starts, NULL at the end. Under the map's lock */
/* Block and offset of an address; NULL: none. Inside an rcu read section, or under the map's lock. */
RamBlock *ram_block_at(MemoryMap *, ram_addr, uint64_t *offset);

AddressSpace *address_space_new(MemoryMap *, MemoryRegion *root, const char *name);
void address_space_free(AddressSpace *); /* NULL is fine */
/* Accesses through it are DMA of this device: see above. Before its first use. */
void address_space_set_owner(AddressSpace *, Object *owner);
const char *address_space_name(const AddressSpace *);

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

/*
 * What answers at an address, for TLB fills and accelerators. mr may be freed by who holds the map's lock: use it
 * only as an identity, or with that lock held. A TLB entry for I/O keeps the address and calls address_space_ld/st with
 * it, which looks it up again under the lock; one for RAM keeps host and is dropped by MemoryListener.commit.
 */
typedef struct {
    MemoryRegion *mr;   /* after aliases; NULL: nothing */
    hwaddr offset;      /* in mr */
    uint64_t len;       /* bytes from the address to the end of this range (at most UINT64_MAX) */
    uint8_t *host;      /* RAM, ROM, ROMD in romd mode: host address of the byte; else NULL */
    ram_addr ram;       /* of the byte; RAM_ADDR_INVALID when no RAM */
    bool readonly;      /* writes must not go to host */
} MemorySection;
MemorySection address_space_section(AddressSpace *, hwaddr);
/* Calls fn for each range of the flat view, by address, until it returns false. fn must not change the tree. */
void address_space_foreach(AddressSpace *, bool (*fn)(void *opaque, hwaddr start, const MemorySection *), void *opaque);
/* An access to an I/O region that cannot go away meanwhile (locks, splits, re-entry checks included). */
MemTxResult memory_region_ld(MemoryRegion *, hwaddr offset, unsigned size, DeviceEndian, MemTxAttrs, uint64_t *value);
MemTxResult memory_region_st(MemoryRegion *, hwaddr offset, unsigned size, DeviceEndian, MemTxAttrs, uint64_t value);

/*
 * Dirty tracking. Each client has a bit for each page of RAM, which starts dirty. A client that cleans a page (test_clear,
 * clear) is shown the next write to it; pages that nobody cleaned cost nothing. address_space_write, unmap and the like mark
 * pages by themselves; accelerators call memory_dirty_set for their writes to pages that memory_dirty_any_clean tells of.
 * Any thread, lock-free. A page is 4096 bytes.
 */
enum { DIRTY_PAGE_BITS = 12 };
/* Written: dirty for all clients; first told to code_written where DIRTY_CODE was clean. */
void memory_dirty_set(MemoryMap *, ram_addr, uint64_t len);
/* Dirty for one client, without telling. DIRTY_CODE: no translated code is left there. */
void memory_dirty_mark(MemoryMap *, DirtyClient, ram_addr, uint64_t len);
/* Was any page dirty? They are clean now. */
bool memory_dirty_test_clear(MemoryMap *, DirtyClient, ram_addr, uint64_t len);
bool memory_dirty_test(MemoryMap *, DirtyClient, ram_addr);
void memory_dirty_clear(MemoryMap *, DirtyClient, ram_addr, uint64_t len);
/* Is the page of this address clean for some client? Then a write to it must end in memory_dirty_set. */
bool memory_dirty_any_clean(MemoryMap *, ram_addr);
/* Says that client uses mr's bits; off marks all of mr dirty, so that its writes cost nothing any more. */
void memory_dirty_log(MemoryMap *, DirtyClient, MemoryRegion *, bool on);

/* Functions may be NULL. */
typedef struct MemoryListener {
    /* A new flat view of this address space is in force (TLB flush, KVM slots). Under the map's lock. */
    void (*commit)(struct MemoryListener *, AddressSpace *);
    /* A page with DIRTY_CODE clean is about to be marked written; not by the translator itself. Any thread. */
    void (*code_written)(struct MemoryListener *, ram_addr, uint64_t len);
    /* Pages became clean: writes that bypass memory_dirty_set (TLBs) must stop. Any thread. */
    void (*dirty_cleared)(struct MemoryListener *, DirtyClient, ram_addr, uint64_t len);
    AddressSpace *only;    /* of commit; NULL: all */
    struct MemoryListener *next;
} MemoryListener;
/* Under the map's lock. del returns when nobody can call it any more. */
void memory_listener_add(MemoryMap *, MemoryListener *);
void memory_listener_del(MemoryMap *, MemoryListener *);

/* "info mtree": text as QEMU's. */
void memory_print_tree(MemoryMap *, bool flat, bool owners, bool disabled, void (*print)(void *, const char *),
                       void *opaque);

#endif
