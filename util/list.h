/*
 * Intrusive doubly linked list. A List is a head; a ListLink is embedded in the elements. The list
 * owns nothing and takes no lock.
 *
 *     typedef struct { ListLink link; int id; } Job;
 *     List jobs;
 *     list_init(&jobs);
 *     list_append(&jobs, &job->link);
 *     list_foreach (Job, j, &jobs, link) { ... }           // do not remove inside
 *     list_foreach_safe (Job, j, &jobs, link) { ... }      // may remove j (only)
 *
 * A link that is zeroed or was removed is on no list, and list_is_linked says so.
 */
#ifndef UTIL_LIST_H
#define UTIL_LIST_H

#include "util/bits.h"

typedef struct ListLink {
    struct ListLink *next, *prev; /* both NULL: on no list */
} ListLink;

typedef struct {
    ListLink head; /* circular through the head */
} List;

#define LIST_INIT(name) { { &(name).head, &(name).head } }

static inline void list_init(List *l)
{
    l->head.next = l->head.prev = &l->head;
}

static inline bool list_is_empty(const List *l)
{
    return l->head.next == &l->head;
}

static inline bool list_is_linked(const ListLink *n)
{
    return n->next != NULL;
}

/* Puts n, on no list, before `where` (a link or the head). */
static inline void list_insert_before(ListLink *where, ListLink *n)
{
    assert(!list_is_linked(n));
    n->next = where;
    n->prev = where->prev;
    where->prev->next = n;
    where->prev = n;
}

static inline void list_append(List *l, ListLink *n)
{
    list_insert_before(&l->head, n);
}

static inline void list_prepend(List *l, ListLink *n)
{
    list_insert_before(l->head.next, n);
}

/* Takes n off its list; nothing when it is on none. */
static inline void list_remove(ListLink *n)
{
    if (list_is_linked(n)) {
        n->prev->next = n->next;
        n->next->prev = n->prev;
        n->next = n->prev = NULL;
    }
}

/* The first link, or NULL. */
static inline ListLink *list_first(const List *l)
{
    return list_is_empty(l) ? NULL : l->head.next;
}

static inline ListLink *list_last(const List *l)
{
    return list_is_empty(l) ? NULL : l->head.prev;
}

/* Takes the first link off and returns it, or NULL. */
static inline ListLink *list_pop(List *l)
{
    ListLink *n = list_first(l);

    if (n) {
        list_remove(n);
    }
    return n;
}

/* Moves all of src to the end of dst. src is empty after. */
static inline void list_splice(List *dst, List *src)
{
    if (!list_is_empty(src)) {
        src->head.next->prev = dst->head.prev;
        dst->head.prev->next = src->head.next;
        src->head.prev->next = &dst->head;
        dst->head.prev = src->head.prev;
        list_init(src);
    }
}

#define list_foreach(type, var, list, member)                                                     \
    for (type *var = container_of((list)->head.next, type, member); &var->member != &(list)->head; \
         var = container_of(var->member.next, type, member))

#define list_foreach_safe(type, var, list, member)                                                \
    for (type *var = container_of((list)->head.next, type, member),                               \
              *var##_next = container_of(var->member.next, type, member);                         \
         &var->member != &(list)->head;                                                           \
         var = var##_next, var##_next = container_of(var->member.next, type, member))

#endif
