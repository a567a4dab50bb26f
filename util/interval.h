/*
 * Closed address ranges [start, last] that may overlap, in a tree: insert, remove and "which overlap this range" in
 * O(log n). Intrusive, owns nothing, takes no lock. Closed, so that a range can end at 2^64 - 1.
 *
 *     typedef struct { Interval range; int prot; } Mapping;
 *     IntervalTree maps = { 0 };
 *     m->range.start = addr; m->range.last = addr + len - 1;
 *     interval_insert(&maps, &m->range);
 *     interval_foreach (i, &maps, fault, fault) { Mapping *m = container_of(i, Mapping, range); ... }
 *
 * Order: by start, then last, then of insertion.
 */
#ifndef UTIL_INTERVAL_H
#define UTIL_INTERVAL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Interval Interval;

struct Interval {
    uint64_t start, last;                 /* start <= last; constant while in a tree */
    uint64_t max_last;                    /* greatest last of the subtree */
    Interval *left, *right, *parent;
    uint32_t priority;                    /* of the treap: no child's is greater */
};

typedef struct {
    Interval *root;
    uint32_t random; /* state of the priorities' generator; 0 is fine at the start */
} IntervalTree;

void interval_insert(IntervalTree *t, Interval *i);
void interval_remove(IntervalTree *t, Interval *i);
/* The first in order that overlaps [start, last], or NULL. */
Interval *interval_first(const IntervalTree *t, uint64_t start, uint64_t last);
/* The next after i that overlaps, or NULL. */
Interval *interval_next(const Interval *i, uint64_t start, uint64_t last);
/* Lowest addr >= from, a multiple of align (a power of two), with [addr, addr + len) free and within last; false: none. */
bool interval_find_gap(const IntervalTree *t, uint64_t from, uint64_t last, uint64_t len, uint64_t align,
                       uint64_t *addr);

#define interval_foreach(var, tree, start_, last_)                                                \
    for (Interval *var = interval_first(tree, start_, last_); var;                                \
         var = interval_next(var, start_, last_))

#endif
