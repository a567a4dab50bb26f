/* Kind bytes of the state stream (qapi/state.h). Part of a file format: never renumber. */
#ifndef QAPI_STATE_FORMAT_H
#define QAPI_STATE_FORMAT_H

#include "qapi/tables.h"

enum {
    STATE_BOOL = 1,
    STATE_NUMBER = 2,
    STATE_ENUM = 3,
    STATE_STRUCT = 4,
    STATE_ARRAY = 5,
    STATE_BUFFER = 6,
    STATE_TIMER = 7,
    STATE_UNSIGNED = 0x10, /* + width in bytes */
    STATE_SIGNED = 0x20,
};

/* The kind byte of type t; 0 for one that is no state (RAM blocks, pointers). */
static inline uint8_t state_code(const QType *t)
{
    switch (t->kind) {
    case QK_BOOL:
        return STATE_BOOL;
    case QK_INT:
        return (t->is_signed ? STATE_SIGNED : STATE_UNSIGNED) + t->width;
    case QK_NUMBER:
        return STATE_NUMBER;
    case QK_ENUM:
        return STATE_ENUM;
    case QK_STRUCT:
        return STATE_STRUCT;
    case QK_ARRAY:
        return STATE_ARRAY;
    case QK_BUFFER:
        return STATE_BUFFER;
    case QK_TIMER:
        return STATE_TIMER;
    }
    return 0;
}

#endif
