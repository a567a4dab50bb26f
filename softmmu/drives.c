/*
 * -drive and the options it stands for: the image becomes a block device (block/), and unless if=none a device of the guest.
 * index counts the places of the IDE buses: two drives a bus.
 */
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "qapi/json.h"
#include "qapi/schema.h"
#include "softmmu/board.h"
#include "softmmu/options.gen.h"

enum { IDE_PLACES = 4 };

typedef struct {
    bool used[IDE_PLACES];
    unsigned unnamed; /* of if=none, so far */
} Places;

static bool refused(const char *key, const char *value, const char *only, Error **errp)
{
    if (!value || !strcmp(value, only)) {
        return true;
    }
    return error_set(errp, "%s=%s is not here yet; there is %s", key, value, only);
}

/* What has no effect here. */
static bool check(const DriveOption *d, Error **errp)
{
    return refused("aio", d->aio, "threads", errp) &&
           refused("werror", d->werror, "report", errp) && refused("rerror", d->rerror, "report", errp);
}

static bool choose_place(const DriveOption *d, Places *p, unsigned *place, Error **errp)
{
    if (d->has_index && (d->has_bus || d->has_unit)) {
        return error_set(errp, "index cannot be used with bus and unit");
    }
    if (d->has_unit && d->unit > 1) {
        return error_set(errp, "unit %u too big (max is 1)", d->unit);
    }
    if (d->has_index || d->has_bus || d->has_unit) {
        uint64_t n = d->has_index ? d->index : 2 * (uint64_t)(d->has_bus ? d->bus : 0) + (d->has_unit ? d->unit : 0);

        if (n >= IDE_PLACES) {
            return error_set(errp, "there is no place %u on the IDE buses", (unsigned)n);
        }
        *place = (unsigned)n;
    } else {
        for (*place = 0; *place < IDE_PLACES && p->used[*place]; ++*place) {
        }
        if (*place == IDE_PLACES) {
            return error_set(errp, "there is no free place on the IDE buses");
        }
    }
    if (p->used[*place]) {
        return error_set(errp, "drive with bus=%u, unit=%u (index=%u) exists", *place / 2, *place % 2, *place);
    }
    p->used[*place] = true;
    return true;
}

static void add_text(struct json_object *record, const char *key, const char *value)
{
    qjson_add(record, key, json_object_new_string(value));
}

/* The guest's side: a disk or CD-ROM drive. b NULL: without a medium. */
static bool add_ide(System *s, unsigned place, bool cdrom, BlockDev *b, const char *serial, Error **errp)
{
    struct json_object *record = json_object_new_object();
    char bus[16];
    bool ok;

    snprintf(bus, sizeof(bus), "ide.%u", place / 2);
    add_text(record, "driver", cdrom ? "ide-cd" : "ide-hd");
    add_text(record, "bus", bus);
    add_text(record, "unit", place % 2 ? "1" : "0");
    if (b) {
        add_text(record, "drive", blockdev_id(b));
    }
    if (serial) {
        add_text(record, "serial", serial);
    }
    ok = device_add(s->machine, record, true, errp);
    json_object_put(record);
    return ok;
}

static BlockDev *open_image(System *s, QOptionRecord *r, const DriveOption *d, const char *id, Error **errp)
{
    struct json_object *json = qkeyval_to_json(&r->kv, r->option->args, errp);
    BlockDev *b = NULL;

    if (json) {
        b = blockdev_new_from_drive(system_blocks(s), id, json, errp);
    }
    json_object_put(json);
    return b;
}

static bool add_drive(System *s, QOptionRecord *r, const DriveOption *d, Places *p, Error **errp)
{
    bool none = d->if_ && !strcmp(d->if_, "none"), cdrom = d->media && !strcmp(d->media, "cdrom");
    unsigned place = 0;
    char id[32];
    Error *err = NULL;
    BlockDev *b;

    if (d->if_ && !none && strcmp(d->if_, "ide")) {
        return error_set(errp, "if=%s is not here yet; there are ide and none", d->if_);
    }
    if (!check(d, errp) || (!none && !choose_place(d, p, &place, errp))) {
        return false;
    }
    if (none) {
        snprintf(id, sizeof(id), "none%u", p->unnamed++);
    } else {
        snprintf(id, sizeof(id), "ide%u-%s%u", place / 2, cdrom ? "cd" : "hd", place % 2);
    }
    b = open_image(s, r, d, d->id ? d->id : id, &err);
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    if (!b && !cdrom) {
        return error_set(errp, "Device needs media, but drive is empty");
    }
    return none ? true : add_ide(s, place, cdrom, b, d->serial, errp);
}

/* A CD-ROM drive is there unless -nodefaults says otherwise, where there is a bus for it. */
static bool default_cdrom(System *s, const Places *p, Error **errp)
{
    if (option_given(s, "nodefaults") || p->used[2] || !qschema_class(s->schema, "ide-cd")) {
        return true;
    }
    return bus_find(s->machine, "ide.1", NULL, NULL) ? add_ide(s, 2, true, NULL, NULL, errp) : true;
}

bool drives_apply(System *s, Error **errp)
{
    Places places = { 0 };

    for (size_t i = 0; i < s->options.len; i++) {
        QOptionRecord *r = s->options.items[i];
        DriveOption d;
        bool ok;

        if (strcmp(r->option->item.name, "drive")) {
            continue;
        }
        if (!qoption_read(r, &d, NULL, errp)) {
            return prefix_origin(r, errp);
        }
        ok = add_drive(s, r, &d, &places, errp);
        qvalue_finish(r->option->args, &d, NULL);
        if (!ok) {
            return prefix_origin(r, errp);
        }
    }
    return default_cdrom(s, &places, errp);
}
