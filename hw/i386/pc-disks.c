/*
 * What the firmware is told of disks and boot devices: CMOS types and geometries of IDE disks (the AT's table, type 47), and the file
 * bootorder from the devices' bootindex, by Open Firmware paths (IEEE 1275) as SeaBIOS compares them.
 */
#include <json-c/json.h>
#include <string.h>

#include "hw/i386/pc.h"
#include "hw/ide/ide.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/rtc/mc146818rtc.h"

/* ---- CMOS ---- */

/* 0x19 or 0x1a: 47, user defined; from 0x1b or 0x24 on: cylinders, heads, no precompensation, control, landing zone, sectors. */
static void cmos_disk(PcMachine *pc, unsigned unit, unsigned cyls, unsigned heads, unsigned secs)
{
    uint8_t at = (uint8_t)(0x1b + 9 * unit), lo = (uint8_t)cyls, hi = (uint8_t)(cyls >> 8);
    uint8_t values[9] = { lo, hi, (uint8_t)heads, 0xff, 0xff, (uint8_t)(0xc0 | (heads > 8) << 3), lo, hi, (uint8_t)secs };

    mc146818rtc_set_cmos(pc->rtc, (uint8_t)(0x19 + unit), 47);
    for (unsigned i = 0; i < sizeof(values); i++) {
        mc146818rtc_set_cmos(pc->rtc, (uint8_t)(at + i), values[i]);
    }
}

/* How the firmware maps INT 13h's geometry: 0 as it is, 1 by block numbers. */
static unsigned translation(unsigned cyls)
{
    return cyls > 1024;
}

void pc_cmos_disks(PcMachine *pc)
{
    uint8_t types = 0, translations = 0;
    unsigned cyls, heads, secs;

    for (unsigned i = 0; i < 4; i++) {
        if (!ide_get_geometry(&pc->m, i / 2, i % 2, &cyls, &heads, &secs)) {
            continue;
        }
        if (i < 2) {
            types |= (uint8_t)(i ? 0x0f : 0xf0);
            cmos_disk(pc, i, cyls, heads, secs);
        }
        translations |= (uint8_t)(translation(cyls) << 2 * i);
    }
    mc146818rtc_set_cmos(pc->rtc, 0x12, types);
    mc146818rtc_set_cmos(pc->rtc, 0x39, translations);
}

/* ---- Boot order ---- */

typedef struct {
    int64_t index;
    char *path;
} BootEntry;

static gint by_index(gconstpointer a, gconstpointer b)
{
    const BootEntry *x = a, *y = b;

    return x->index < y->index ? -1 : x->index > y->index;
}

static void entry_clear(void *p)
{
    g_free(((BootEntry *)p)->path);
}

/* "@slot" or "@slot,function" of the PCI function. */
static void append_pci(GString *s, const char *name, const PciDevice *d)
{
    g_string_append_printf(s, "/pci@i0cf8/%s@%x", name, d->devfn >> 3);
    if (d->devfn & 7) {
        g_string_append_printf(s, ",%x", d->devfn & 7);
    }
}

static int64_t property(Device *d, const char *name, int64_t absent)
{
    struct json_object *v = NULL;
    int64_t value = absent;

    if (object_get(&d->obj, name, &v, NULL) && v) {
        value = json_object_get_int64(v);
    }
    json_object_put(v);
    return value;
}

/* NULL: the firmware has no name for such a device. */
static char *firmware_path(Device *d)
{
    GString *s = g_string_new(NULL);

    if (d->bus && object_is_a(&d->bus->obj, "IDE") && object_is_a(&d->bus->parent->obj, "pci-device")) {
        IdeBus *b = IDE_BUS(d->bus);

        append_pci(s, "ide", PCI_DEVICE(d->bus->parent));
        g_string_append_printf(s, "/drive@%u/disk@%u", b->index, b->drives[1] == (IdeDrive *)d);
    } else if (d->bus && object_is_a(&d->bus->obj, "PCI")) {
        unsigned class_code = PCI_DEVICE(d)->st.config[0x0b];

        append_pci(s, class_code == 1 ? "scsi" : class_code == 2 ? "ethernet" : "pci", PCI_DEVICE(d));
        g_string_append(s, class_code == 1 ? "/disk@0,0" : class_code == 2 ? "/ethernet-phy@0" : "");
    } else {
        return g_string_free(s, true);
    }
    return g_string_free(s, false);
}

static bool add_entry(GArray *list, Device *d, Error **errp)
{
    BootEntry e = { .index = property(d, "bootindex", -1) };

    if (e.index < 0) {
        return true;
    }
    for (guint i = 0; i < list->len; i++) {
        if (g_array_index(list, BootEntry, i).index == e.index) {
            return error_set(errp, "The bootindex %d has already been used", (int)e.index);
        }
    }
    e.path = firmware_path(d);
    if (!e.path) {
        return error_set(errp, "bootindex: %s is no device to boot from", d->obj.klass->item.name);
    }
    g_array_append_val(list, e);
    return true;
}

bool pc_bootorder_fill(PcMachine *pc, const char *first, bool strict, Error **errp)
{
    GArray *list = g_array_new(false, false, sizeof(BootEntry));
    GString *text = g_string_new(first);
    bool ok = true;

    g_array_set_clear_func(list, entry_clear);
    for (Device *d = pc->m.first_device; ok && d; d = d->next) {
        ok = add_entry(list, d, errp);
    }
    g_array_sort(list, by_index);
    for (guint i = 0; i < list->len; i++) {
        g_string_append_printf(text, "%s%s", text->len ? "\n" : "", g_array_index(list, BootEntry, i).path);
    }
    if (strict) {
        g_string_append(text, text->len ? "\nHALT" : "HALT");
    }
    /* With its final zero; an empty order is an empty file. */
    ok = ok && fw_cfg_set_file(pc->fw_cfg, "bootorder", g_bytes_new(text->str, text->len ? text->len + 1 : 0), errp);
    g_string_free(text, true);
    g_array_unref(list);
    return ok;
}
