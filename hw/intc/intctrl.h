/*
 * Interrupt controllers as the monitor sees them: classes with the interface `intctrl` have an IntctrlOps for iface.
 *
 *     for (o = top; o; o = object_next(top, o)) {
 *         if (object_is_a(o, "intctrl")) ((const IntctrlOps *)object_iface(o))->print_state(DEVICE(o), print, opaque);
 *     }
 *
 * Texts are those people's scripts know. Called with the machine's lock held.
 */
#ifndef HW_INTC_INTCTRL_H
#define HW_INTC_INTCTRL_H

#include "hw/core/device.h"

typedef void PrintFn(void *opaque, const char *text);

typedef struct {
    DeviceOps dev;
    void (*print_state)(Device *, PrintFn *print, void *opaque); /* info pic: lines; NULL: says nothing */
    void (*print_counts)(Device *, PrintFn *print, void *opaque); /* info irq: " 4: 12" a line raised; NULL: nothing */
} IntctrlOps;

/* Helpers for bodies: formatted text, and the info irq table of count[n] when any isn't 0. */
void intctrl_printf(PrintFn *print, void *opaque, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void intctrl_print_counts(const char *class_name, const uint64_t *count, unsigned n, PrintFn *print, void *opaque);

#endif
