/* Ranges in a tree: see util/interval.h. A treap whose nodes know the greatest end below them. */
#include "util/interval.h"

#include <assert.h>
#include <stddef.h>

#include "util/bits.h"

static uint64_t max_of_subtree(const Interval *i)
{
    uint64_t m = i->last;

    if (i->left && i->left->max_last > m) {
        m = i->left->max_last;
    }
    if (i->right && i->right->max_last > m) {
        m = i->right->max_last;
    }
    return m;
}

static void update_upwards(Interval *i)
{
    for (; i; i = i->parent) {
        i->max_last = max_of_subtree(i);
    }
}

static Interval **link_to(IntervalTree *t, Interval *i)
{
    return !i->parent ? &t->root : i->parent->left == i ? &i->parent->left : &i->parent->right;
}

/* Exchanges i and its parent, keeping the order. */
static void rotate_up(IntervalTree *t, Interval *i)
{
    Interval *p = i->parent, *moved;

    *link_to(t, p) = i;
    i->parent = p->parent;
    if (p->left == i) {
        moved = i->right;
        i->right = p;
        p->left = moved;
    } else {
        moved = i->left;
        i->left = p;
        p->right = moved;
    }
    if (moved) {
        moved->parent = p;
    }
    p->parent = i;
    p->max_last = max_of_subtree(p);
    i->max_last = max_of_subtree(i);
}

/* xorshift32 (Marsaglia, Xorshift RNGs, 2003). The tree's shape does not depend on the keys. */
static uint32_t next_priority(IntervalTree *t)
{
    uint32_t x = t->random ? t->random : 2463534242u;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return t->random = x;
}

static bool ordered_before(const Interval *a, const Interval *b)
{
    return a->start != b->start ? a->start < b->start : a->last < b->last;
}

void interval_insert(IntervalTree *t, Interval *i)
{
    Interval **link = &t->root, *parent = NULL;

    assert(i->start <= i->last);
    while (*link) {
        parent = *link;
        link = ordered_before(i, parent) ? &parent->left : &parent->right;
    }
    *link = i;
    i->parent = parent;
    i->left = i->right = NULL;
    i->priority = next_priority(t);
    update_upwards(i);
    while (i->parent && i->parent->priority < i->priority) {
        rotate_up(t, i);
    }
}

void interval_remove(IntervalTree *t, Interval *i)
{
    Interval *child;

    /* Down, until one side is empty. */
    while (i->left && i->right) {
        rotate_up(t, i->left->priority > i->right->priority ? i->left : i->right);
    }
    child = i->left ? i->left : i->right;
    *link_to(t, i) = child;
    if (child) {
        child->parent = i->parent;
    }
    update_upwards(i->parent);
    i->left = i->right = i->parent = NULL;
}

/* First in order of the subtree i that overlaps; something in it ends at or after start. */
static Interval *first_below(Interval *i, uint64_t start, uint64_t last)
{
    while (i) {
        if (i->left && i->left->max_last >= start) {
            /* The answer is on the left or, if all that end late enough begin too late there, nowhere. */
            i = i->left;
        } else if (i->start > last) {
            return NULL;
        } else if (i->last >= start) {
            return i;
        } else {
            i = i->right && i->right->max_last >= start ? i->right : NULL;
        }
    }
    return NULL;
}

Interval *interval_first(const IntervalTree *t, uint64_t start, uint64_t last)
{
    return t->root && t->root->max_last >= start ? first_below(t->root, start, last) : NULL;
}

Interval *interval_next(const Interval *i, uint64_t start, uint64_t last)
{
    for (;;) {
        const Interval *child;

        if (i->right && i->right->max_last >= start) {
            return first_below(i->right, start, last);
        }
        do {
            child = i;
            i = i->parent;
            if (!i) {
                return NULL;
            }
        } while (i->right == child);
        if (i->start > last) {
            return NULL;
        }
        if (i->last >= start) {
            return (Interval *)i;
        }
    }
}

bool interval_find_gap(const IntervalTree *t, uint64_t from, uint64_t last, uint64_t len, uint64_t align,
                       uint64_t *addr)
{
    assert(len && is_pow2(align));
    for (;;) {
        uint64_t at = round_up(from, align);
        const Interval *i;
        uint64_t end = 0;

        if (at < from || at > last || len - 1 > last - at) {
            return false;
        }
        /* All that overlap the candidate must be passed. */
        i = interval_first(t, at, at + (len - 1));
        if (!i) {
            *addr = at;
            return true;
        }
        for (; i; i = interval_next(i, at, at + (len - 1))) {
            end = max_of(end, i->last);
        }
        if (end >= last) {
            return false;
        }
        from = end + 1;
    }
}
