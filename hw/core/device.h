/*
 * Devices, buses, interrupt lines: what every device model stands on.
 *
 * A Device is an Object (qom/qom.h) of a class of kind 'device', declared in a schema file beside its source:
 * configuration arrives complete in its Conf, guest-visible state lives in its State and is reset, saved
 * and loaded by the tables. What is left to write is the guest side (memory/memory.h callbacks), the host side, and wiring.
 *
 *     typedef struct {
 *         Device dev;
 *         TinyUartConf conf;
 *         TinyUartState st;
 *         MemoryRegion mr;
 *         Irq *irq;
 *     } TinyUart;
 *
 *     static bool tinyuart_realize(Object *obj, Error **errp) ...
 *     const ObjectOps tinyuart_ops = { .size = sizeof(TinyUart), .conf_offset = offsetof(TinyUart, conf),
 *         .state_offset = offsetof(TinyUart, st), .realize = tinyuart_realize, ... };
 *
 * Locks: all of a device runs under its machine's lock domain, taken by whoever calls in
 * (memory dispatcher, timers, chardev handlers). Nothing here takes it.
 */
#ifndef HW_CORE_DEVICE_H
#define HW_CORE_DEVICE_H

#include "memory/memory.h"
#include "qom/qom.h"
#include "util/clock.h"

typedef struct Machine Machine;
typedef struct Device Device;
typedef struct Bus Bus;
typedef struct Irq Irq;

/* Interrupt lines ------------------------------------------------------- */

/* Input: level is 0 or 1 (some lines carry values). n: number of the input at its device. */
typedef void (*IrqHandler)(void *opaque, int n, int level);

/* The wire's receiving end. irq_set on NULL does nothing: an unconnected output. */
void irq_set(Irq *, int level);
static inline void irq_raise(Irq *irq)
{
    irq_set(irq, 1);
}
static inline void irq_lower(Irq *irq)
{
    irq_set(irq, 0);
}
static inline void irq_pulse(Irq *irq)
{
    irq_set(irq, 1);
    irq_set(irq, 0);
}

struct Irq {
    IrqHandler handler;
    void *opaque;
    int n;
    int level;              /* last one set: for qtest, info irq */
    /* qtest's interception (accel/qtest): called instead of or before the handler */
    void (*intercept)(void *opaque, Irq *, int level);
    void *intercept_opaque;
    bool intercept_only;
};
/* Heap Irq for wiring that belongs to no device's inputs (splitters, or-gates of boards). */
Irq *irq_new(IrqHandler, void *opaque, int n);
void irq_free(Irq *);

/* Named inputs and outputs of a device; name NULL is the unnamed group. Made in init or realize. */
void device_init_irq_in(Device *, const char *name, IrqHandler, int count);
void device_init_irq_out(Device *, const char *name, Irq **pins, int count); /* pins: array in the device, may be NULL entries */
Irq *device_irq_in(Device *, const char *name, int n);       /* the input to connect others to; asserts it exists */
void device_connect_irq_out(Device *, const char *name, int n, Irq *to);

/* Device ------------------------------------------------------------------ */

typedef struct DeviceOps {     /* ObjectOps.iface of device classes; all optional */
    void (*unplug_request)(Device *, Error **);
    const char *(*bus_path)(Device *);   /* "addr" text for info qtree and saved state names: allocated */
} DeviceOps;

struct Device {
    Object obj;
    Machine *machine;          /* set before init */
    Bus *bus;                  /* it is plugged into; NULL: none (system) */
    struct Bus **buses;        /* it provides; owned children */
    unsigned num_buses;
    void *irqs;                /* named groups: hw/core's own */
    bool hotplugged, pending_unplug;
    Device *bus_next;
};

#define OBJECT(p) ((Object *)(p))
#define DEVICE(p) ((Device *)(p))

/*
 * Boards: makes a device of class `name` with properties given as NULL-terminated pairs of (name, JSON-ish text value as
 * -device takes it, e.g. "0x3f8" "on"), realizes it as child `child_name` of parent (NULL: /machine/unattached/device[n]).
 * compat and -global apply. bus: NULL when it has none.
 */
Device *device_new(Machine *, const char *name, Bus *bus, Object *parent, const char *child_name, Error **errp, ...)
    __attribute__((sentinel));
/* As device_new without realize: the board sets C wiring (link fields), then device_realize. */
Device *device_create(Machine *, const char *name, Bus *bus, Object *parent, const char *child_name, Error **errp, ...)
    __attribute__((sentinel));
bool device_realize(Device *, Error **errp);
/* -device and device_add: one JSON/keyval record {"driver":..., "id":..., "bus":..., props}. */
Device *device_add(Machine *, struct json_object *record, Error **errp);
/* device_del: asks (ACPI hotplug etc.) or removes at once when the bus allows. */
bool device_del(Machine *, const char *id_or_path, Error **errp);

/* Buses --------------------------------------------------------------------- */

typedef struct BusOps {        /* ObjectOps.iface of bus classes */
    /* Checks and completes the address of dev (conf), before its realize. */
    bool (*plug)(Bus *, Device *, Error **);
    void (*unplug)(Bus *, Device *);
    void (*print_dev)(Bus *, Device *, void (*print)(void *, const char *), void *opaque, int indent);
    bool (*accepts_default)(Bus *);   /* may -device without bus= choose it (not full)? */
    bool hotpluggable;
} BusOps;

struct Bus {
    Object obj;
    char *name;                /* "pci.0": what bus= names */
    Device *parent;            /* NULL: main system bus */
    Device *devices;           /* bus_next, in the order plugged */
    unsigned max_devices;      /* 0: no limit */
};

/* Makes a bus of class `name`, child of parent under bus_name. */
Bus *bus_new(Machine *, const char *name, Device *parent, const char *bus_name, size_t size_check, Error **errp);
Bus *bus_find(Machine *, const char *name_or_path, const char *bus_class, Error **errp);

/* Guest errors are logged with the device's canonical path (util/log.h, bounded). */
void device_guest_error(Device *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void device_unimp(Device *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
