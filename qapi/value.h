/* Shared by the walkers in qapi/ only: where a value lies. See qapi/tables.h for the C forms. */
#ifndef QAPI_VALUE_H
#define QAPI_VALUE_H

#include "qapi/tables.h"

/* True iff a member or element of type t is a pointer to the value. */
static inline bool q_is_indirect(const QType *t)
{
    return (t->kind == QK_STRUCT || t->kind == QK_UNION || t->kind == QK_ALTERNATE) && !t->embedded;
}

/* True iff NULL in the member itself says that it is absent. */
static inline bool q_is_pointer(const QType *t)
{
    return q_is_indirect(t) || t->kind == QK_STR || t->kind == QK_ANY || t->kind == QK_REF;
}

static inline size_t q_slot_size(const QType *t)
{
    return q_is_indirect(t) ? sizeof(void *) : t->size;
}

/* The C form of every list. */
typedef struct {
    size_t len;
    void *items;
} QAnyList;

/* The C form of every buffer. */
typedef struct {
    uint32_t len;
    uint8_t data[];
} QAnyBuffer;

static inline void *q_at(const void *base, size_t offset)
{
    return (char *)base + offset;
}

static inline int64_t q_get_int(const QType *t, const void *v)
{
    switch (t->width) {
    case 1:
        return t->is_signed ? *(const int8_t *)v : *(const uint8_t *)v;
    case 2:
        return t->is_signed ? *(const int16_t *)v : *(const uint16_t *)v;
    case 4:
        return t->is_signed ? *(const int32_t *)v : (int64_t)*(const uint32_t *)v;
    }
    return *(const int64_t *)v;
}

static inline void q_set_int(const QType *t, void *v, int64_t i)
{
    switch (t->width) {
    case 1:
        *(uint8_t *)v = i;
        break;
    case 2:
        *(uint16_t *)v = i;
        break;
    case 4:
        *(uint32_t *)v = i;
        break;
    default:
        *(int64_t *)v = i;
    }
}

/* Why i is not allowed for an integer of type t under m's range, or 0. As bits, for unsigned types too. */
bool q_int_in_range(const QType *t, const QMember *m, int64_t i);
bool q_number_in_range(const QMember *m, double d);

#endif
