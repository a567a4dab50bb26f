/* "info qtree": buses and devices with their configuration, as QEMU 10.0's monitor prints them. */
#include <glib.h>
#include <inttypes.h>
#include <json-c/json.h>

#include "hw/core/internal.h"
#include "qom/values.h"

typedef struct {
    Machine *m;
    void (*print)(void *, const char *);
    void *opaque;
} Printer;

static void print_bus(const Printer *p, Bus *b, int indent);

static void G_GNUC_PRINTF(3, 4) line(const Printer *p, int indent, const char *fmt, ...)
{
    g_autofree char *text = NULL;
    g_autofree char *whole = NULL;
    va_list ap;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    whole = g_strdup_printf("%*s%s\n", indent, "", text);
    p->print(p->opaque, whole);
}

/* "2 GiB": the largest unit that leaves three digits before the point at most. */
static char *human_size(uint64_t v)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double d = v;
    unsigned i = 0;

    while (d >= 1000 && i < G_N_ELEMENTS(units) - 1) {
        d /= 1024;
        i++;
    }
    return g_strdup_printf("%0.3g %s", d, units[i]);
}

static char *value_text(const QMember *mem, struct json_object *v)
{
    if (!v) {
        return g_strdup(mem->type->kind == QK_STR || mem->type->kind == QK_REF ? "\"\"" : "<null>");
    }
    if (mem->type->kind == QK_INT && mem->type->is_size) {
        g_autofree char *human = human_size(json_object_get_uint64(v));

        return g_strdup_printf("%" PRIu64 " (%s)", json_object_get_uint64(v), human);
    }
    if (mem->type->kind == QK_INT && mem->type->is_signed) {
        return g_strdup_printf("%" PRId64 " (0x%" PRIx64 ")", json_object_get_int64(v), json_object_get_int64(v));
    }
    if (mem->type->kind == QK_INT) {
        return g_strdup_printf("%" PRIu64 " (0x%" PRIx64 ")", json_object_get_uint64(v), json_object_get_uint64(v));
    }
    return g_strdup(json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void print_props(const Printer *p, Device *d, int indent)
{
    const QType *t = d->obj.klass->conf;
    struct json_object *all = object_conf_json(OBJECT(d), ORIGIN_CLASS);

    for (uint32_t i = 0; i < t->num_members; i++) {
        const QMember *mem = &t->members[i];
        struct json_object *v = NULL;
        g_autofree char *text = NULL;

        json_object_object_get_ex(all, mem->item.name, &v);
        text = value_text(mem, v);
        line(p, indent, "%s = %s", mem->item.name, text);
    }
    json_object_put(all);
}

static void print_device(const Printer *p, Device *d, int indent)
{
    bool named = d->obj.parent == machine_folder(p->m, "peripheral");

    line(p, indent, "dev: %s, id \"%s\"", d->obj.klass->item.name, named ? d->obj.name : "");
    indent += 2;
    for (const IrqGroup *g = device_irq_groups(d); g; g = g->next) {
        line(p, indent, "gpio-%s \"%s\" %d", g->out ? "out" : "in", g->name ? g->name : "", g->num);
    }
    print_props(p, d, indent);
    if (d->bus && bus_functions(d->bus)->print_dev) {
        bus_functions(d->bus)->print_dev(d->bus, d, p->print, p->opaque, indent);
    }
    for (unsigned i = d->num_buses; i-- > 0;) {
        print_bus(p, d->buses[i], indent);
    }
}

static void print_bus(const Printer *p, Bus *b, int indent)
{
    line(p, indent, "bus: %s", b->name);
    line(p, indent + 2, "type %s", b->obj.klass->item.name);
    for (Device *d = b->devices; d; d = d->bus_next) {
        print_device(p, d, indent + 2);
    }
}

void device_print_tree(Machine *m, void (*print)(void *, const char *), void *opaque)
{
    Printer p = {m, print, opaque};

    line(&p, 0, "bus: main-system-bus");
    line(&p, 2, "type System");
    for (Device *d = m->last_device; d; d = d->prev) {
        if (!d->bus) {
            print_device(&p, d, 2);
        }
    }
    for (Object *o = OBJECT(m); o; o = object_next(OBJECT(m), o)) {
        if (o->klass->kind == QCLASS_BUS && !BUS(o)->parent) {
            print_bus(&p, BUS(o), 2);
        }
    }
}
