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
void irq_free(Irq *); /* NULL is fine */

/* Named inputs and outputs of a device; name NULL is the unnamed group. Made in init or realize. */
void device_init_irq_in(Device *, const char *name, IrqHandler, int count);
void device_init_irq_out(Device *, const char *name, Irq **pins, int count); /* pins: array in the device, may be NULL entries */
Irq *device_irq_in(Device *, const char *name, int n);       /* the input to connect others to; asserts it exists */
void device_connect_irq_out(Device *, const char *name, int n, Irq *to);
/* Groups one after the other: NULL starts, NULL at the end. For printing and for qtest. */
typedef struct IrqGroup {
    char *name;             /* NULL: the unnamed */
    Irq *in;                /* array of num; NULL: outputs */
    Irq **out;              /* the device's own array; NULL: inputs */
    int num;
    struct IrqGroup *next;
} IrqGroup;
const IrqGroup *device_irq_groups(Device *);

/* Device ------------------------------------------------------------------ */

typedef struct DeviceOps {     /* ObjectOps.iface of device classes (or its first member); all optional */
    bool (*unplug_request)(Device *, Error **); /* asks the guest; NULL: gone at once */
} DeviceOps;

struct Device {
    Object obj;
    Machine *machine;          /* set before init */
    Bus *bus;                  /* it is plugged into; NULL: none (system). Set after init, before realize */
    struct Bus **buses;        /* it provides; children of it */
    unsigned num_buses;
    IrqGroup *irqs;
    bool hotplugged, pending_unplug;
    bool plugged;              /* BusOps.plug succeeded; in bus->devices */
    Device *bus_next;
    Device *next, *prev;       /* all realized devices of the machine, in that order: reset goes along it */
};

#define OBJECT(p) ((Object *)(p))
#define DEVICE(p) ((Device *)(p))

/*
 * Boards: makes a device of class `name` with properties given as NULL-terminated pairs of (name, JSON-ish text value as
 * -device takes it, e.g. "0x3f8" "on"; a NULL value is passed over), realizes it as child `child_name` of parent (NULL:
 * /machine/unattached/device[n]). compat and -global apply. bus: NULL when it has none. The tree owns it; on failure nothing
 * is left of it. Of all functions here the caller holds the machine's lock.
 */
Device *device_new(Machine *, const char *name, Bus *bus, Object *parent, const char *child_name, Error **errp, ...)
    __attribute__((sentinel));
/* As device_new without realize: the board sets C wiring (link fields), then device_realize. */
Device *device_create(Machine *, const char *name, Bus *bus, Object *parent, const char *child_name, Error **errp, ...)
    __attribute__((sentinel));
bool device_realize(Device *, Error **errp); /* on failure the device is gone */
/* As device_create, with the properties as a JSON object (borrowed, may be NULL); text: its leaves may be text. */
Device *device_create_json(Machine *, const QClass *, Bus *, Object *parent, const char *child_name,
                           struct json_object *props, bool text, Error **errp);
/*
 * -device and device_add: one record {"driver":..., "id":..., "bus":..., props}, borrowed. text: leaves may be
 * strings in the command line's notation. Once the machine has been finished this is hot plug.
 */
Device *device_add(Machine *, struct json_object *record, bool text, Error **errp);
/* device_del: asks (ACPI hotplug etc.) or removes at once when the bus allows. */
bool device_del(Machine *, const char *id_or_path, Error **errp);
/* What is plugged in as NAME of -device, for -device help and did-you-mean. */
bool device_is_user_creatable(const QClass *);
/* "info qtree": all buses and devices, as QEMU 10.0 prints them. */
void device_print_tree(Machine *, void (*print)(void *, const char *), void *opaque);

/* Buses --------------------------------------------------------------------- */

typedef struct BusOps {        /* ObjectOps.iface of bus classes; functions may be NULL */
    /* Checks the address of dev and writes what was left open into its conf; in dev's realize, before that of its own class. */
    bool (*plug)(Bus *, Device *, Error **);
    void (*unplug)(Bus *, Device *);
    /* Lines of "info qtree" after the device's properties, each indented by `indent`. */
    void (*print_dev)(Bus *, Device *, void (*print)(void *, const char *), void *opaque, int indent);
    unsigned max_devices;      /* 0: no limit. A full bus is not chosen by -device without bus= */
    bool hotpluggable;
} BusOps;

struct Bus {
    Object obj;
    char *name;                /* "pci.0": what bus= names */
    Machine *machine;
    Device *parent;            /* NULL: no device's */
    Device *devices;           /* bus_next, the one plugged last first */
    unsigned num_devices;
};
#define BUS(p) ((Bus *)(p))
const BusOps *bus_functions(const Bus *);

/*
 * Makes a bus of class `name`, realized: child bus_name of parent (NULL: of /machine/unattached). In the parent's init or realize;
 * it goes with its parent. bus_name NULL: "ID.n" for a parent with id, else "CLASS.n".
 */
Bus *bus_new(Machine *, const char *name, Device *parent, const char *bus_name, Error **errp);
/* By name, path, or (NULL) the first of class bus_class with room. bus_class NULL: any. */
Bus *bus_find(Machine *, const char *name_or_path, const char *bus_class, Error **errp);

/* Guest errors are logged with the device's canonical path (util/log.h, bounded). */
void device_guest_error(Device *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void device_unimp(Device *, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
