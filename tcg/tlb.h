/*
 * The software TLB of system mode: what translated code compares inline. Filled, resized
 * and flushed by accel/tcg; read by translated code of the same vCPU only.
 *
 * An access of n bytes at vaddr hits when
 *     ((vaddr + n - 1) & page mask) == entry.tag[access]
 * so an access that crosses a page misses, and so does every entry with a low bit set in its
 * tag. An access that must be aligned (IR_MEM_ALIGNED) keeps the bits of n - 1 of vaddr in the comparison.
 * On a hit the host address is vaddr + addend.
 *
 * An empty entry has all tags TCG_TLB_EMPTY. Size: mask is (entries - 1) * 32, set with table together
 * by the vCPU's own thread outside translated code.
 */
#ifndef TCG_TLB_H
#define TCG_TLB_H

#include <stdint.h>

enum { TCG_TLB_READ, TCG_TLB_WRITE, TCG_TLB_EXEC };

/*
 * Low bits of a tag: any of them forces the slow path. Above all bits that an aligned access compares (n - 1), or an unaligned
 * address would equal them. Their meaning is accel/tcg's.
 */
#define TCG_TLB_EMPTY   0x100u  /* no translation here */
#define TCG_TLB_MMIO    0x200u
#define TCG_TLB_DIRTY   0x400u  /* first write to a clean page; code page */
#define TCG_TLB_WATCH   0x800u

typedef struct {
    uint64_t tag[3];
    uint64_t addend;
} TcgTlbEntry;
_Static_assert(sizeof(TcgTlbEntry) == 32, "the emitter shifts by 5");

typedef struct {
    uint64_t mask;
    TcgTlbEntry *table;
} TcgTlb;

enum { TCG_MMU_INDEXES = 16 };

#endif
