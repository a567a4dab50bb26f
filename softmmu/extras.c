/*
 * Options that stand for devices, or set something in one: -rtc, -vga, -debugcon, -qtest. Those whose
 * part of the program is not there are refused.
 */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "accel/qtest/qtest.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/rtc/mc146818rtc.h"
#include "qapi/json.h"
#include "softmmu/board.h"
#include "softmmu/firmware.h"
#include "softmmu/options.gen.h"

static QOptionRecord *next(const System *s, const char *option, size_t *i)
{
    while (*i < s->options.len) {
        QOptionRecord *r = s->options.items[(*i)++];

        if (!strcmp(r->option->item.name, option)) {
            return r;
        }
    }
    return NULL;
}

/* ---- -rtc ---- */

/* Seconds since 1970 as the guest's calendar shows them: YYYY-MM-DD[THH:MM:SS], utc, localtime. */
static bool rtc_base(const char *text, int64_t *seconds, Error **errp)
{
    time_t now = time(NULL);
    struct tm tm = { 0 };
    const char *end;

    if (!strcmp(text, "utc")) {
        *seconds = now;
        return true;
    }
    if (!strcmp(text, "localtime")) {
        localtime_r(&now, &tm);
        *seconds = timegm(&tm);
        return true;
    }
    end = strptime(text, "%Y-%m-%d", &tm);
    if (end && *end == 'T') {
        end = strptime(end + 1, "%H:%M:%S", &tm);
    }
    if (!end || *end) {
        error_set(errp, "invalid datetime format '%s'", text);
        return error_hint(errp, "valid formats: '2006-06-17T16:01:21' or '2006-06-17', utc, localtime");
    }
    *seconds = timegm(&tm);
    return true;
}

static Object *find_rtc(Machine *m)
{
    for (Object *o = &m->obj; o; o = object_next(&m->obj, o)) {
        if (object_is_a(o, "mc146818rtc")) {
            return o;
        }
    }
    return NULL;
}

static bool set_rtc(System *s, const RtcOption *o, Error **errp)
{
    static const ClockKind kinds[] = { [RTC_CLOCK_HOST] = CLOCK_HOST_NS, [RTC_CLOCK_RT] = CLOCK_REALTIME_NS,
                                       [RTC_CLOCK_VM] = CLOCK_VIRTUAL_NS };
    Object *rtc = find_rtc(s->machine);
    int64_t seconds = 0;

    if (!rtc) {
        return true; /* a machine without that chip has nothing to set */
    }
    if (o->has_clock) {
        mc146818rtc_set_clock(DEVICE(rtc), kinds[o->clock]);
    }
    if (o->base) {
        if (!rtc_base(o->base, &seconds, errp)) {
            return false;
        }
        mc146818rtc_set_time(DEVICE(rtc), seconds);
    }
    return true;
}

static bool apply_rtc(System *s, Error **errp)
{
    QOptionRecord *r = option_record(s, "rtc");
    RtcOption o;
    bool ok;

    if (!r) {
        return true;
    }
    if (!qoption_read(r, &o, NULL, errp)) {
        return prefix_origin(r, errp);
    }
    ok = set_rtc(s, &o, errp) ? true : prefix_origin(r, errp);
    qvalue_finish(r->option->args, &o, NULL);
    return ok;
}

/* Before the machine is made. */
bool extras_globals(System *s, Error **errp)
{
    QOptionRecord *r = option_record(s, "rtc");
    const char *fix = r ? qkeyval_get(&r->kv, "driftfix") : NULL;

    if (fix && !strcmp(fix, "slew")) {
        qom_add_global(s->tree, "mc146818rtc", "lost_tick_policy", json_object_new_string("slew"));
    }
    return true;
}

/* ---- Devices that have an option of their own ---- */

/* Takes record. */
static bool add_device(System *s, struct json_object *record, Error **errp)
{
    bool ok = device_add(s->machine, record, true, errp);

    json_object_put(record);
    return ok;
}

static bool apply_debugcon(System *s, Error **errp)
{
    QOptionRecord *r = option_record(s, "debugcon");
    const char *text = option_text(s, "debugcon");
    struct json_object *record;

    if (!text || !strcmp(text, "none")) {
        return true;
    }
    if (!chardev_new_from_text(&s->chardevs, "debugcon", text, NULL, errp)) {
        return prefix_origin(r, errp);
    }
    record = qjson_add(json_object_new_object(), "driver", json_object_new_string("isa-debugcon"));
    qjson_add(record, "iobase", json_object_new_string("0xe9"));
    qjson_add(record, "chardev", json_object_new_string("debugcon"));
    return add_device(s, record, errp) ? true : prefix_origin(r, errp);
}

static bool has_bus(Machine *m, const char *class_name)
{
    for (Object *o = &m->obj; o; o = object_next(&m->obj, o)) {
        if (object_is_a(o, class_name)) {
            return true;
        }
    }
    return false;
}

static bool asked_for_device(const System *s, const char *driver)
{
    QOptionRecord *r;

    for (size_t i = 0; (r = next(s, "device", &i));) {
        const char *name = qkeyval_get(&r->kv, "driver");
        if (name && !strcmp(name, driver)) {
            return true;
        }
    }
    return false;
}

static bool apply_vga(System *s, Error **errp)
{
    const char *kind = option_text(s, "vga");

    if (kind && !qtype_enum_value(&qtype_VgaType, kind)) {
        error_set(errp, "unknown vga type: %s", kind);
        return error_hint(errp, "There are none and std");
    }
    if (kind ? !strcmp(kind, "none") : option_given(s, "nodefaults") || asked_for_device(s, "VGA")) {
        return true;
    }
    if (!has_bus(s->machine, "PCI")) {
        return !kind ? true : error_set(errp, "-vga %s: this machine has no bus for it", kind);
    }
    return add_device(s, qjson_add(json_object_new_object(), "driver", json_object_new_string("VGA")), errp);
}

/* ---- -fw_cfg ---- */

/* NULL with errp set: neither or both are given, or the file cannot be read. */
static GBytes *fw_cfg_contents(const FwCfgOption *o, Error **errp)
{
    GError *gerr = NULL;
    char *data;
    gsize size;

    if (!o->file == !o->string) {
        error_set(errp, "needs either file= or string=");
        return NULL;
    }
    if (o->string) {
        return g_bytes_new(o->string, strlen(o->string));
    }
    if (!g_file_get_contents(o->file, &data, &size, &gerr)) {
        error_set(errp, "cannot read '%s': %s", o->file, g_strerror(errno));
        g_error_free(gerr);
        return NULL;
    }
    return g_bytes_new_take(data, size);
}

static bool add_fw_cfg_file(System *s, const FwCfgOption *o, Error **errp)
{
    Object *f = object_child(&s->machine->obj, "fw_cfg");
    GBytes *data;

    if (!f) {
        return error_set(errp, "this machine has no firmware configuration device");
    }
    if (strncmp(o->name, "opt/", 4)) {
        fprintf(stderr, "%s: warning: -fw_cfg %s: names for users begin with opt/\n", program_invocation_short_name, o->name);
    }
    if (fw_cfg_file(DEVICE(f), o->name)) {
        return error_set(errp, "there is a file '%s' already", o->name);
    }
    data = fw_cfg_contents(o, errp);
    return data && fw_cfg_set_file(DEVICE(f), o->name, data, errp);
}

static bool apply_fw_cfg(System *s, Error **errp)
{
    QOptionRecord *r;

    for (size_t i = 0; (r = next(s, "fw_cfg", &i));) {
        FwCfgOption o;
        bool ok;

        if (!qoption_read(r, &o, NULL, errp)) {
            return prefix_origin(r, errp);
        }
        ok = add_fw_cfg_file(s, &o, errp);
        qvalue_finish(r->option->args, &o, NULL);
        if (!ok) {
            return prefix_origin(r, errp);
        }
    }
    return true;
}

/* ---- -qtest ---- */

/* After the machine is made, without its lock. Without -qtest-log the dialogue goes to standard error. */
bool extras_qtest(System *s, Error **errp)
{
    const char *text = option_text(s, "qtest"), *log = option_text(s, "qtest-log");
    Chardev *c;

    if (!text) {
        return true;
    }
    c = chardev_new_from_text(&s->chardevs, "qtest", text, NULL, errp);
    if (c) {
        s->qtest = qtest_server_new(s->machine, c, !log ? "/dev/fd/2" : strcmp(log, "none") ? log : NULL, errp);
    }
    return s->qtest ? true : prefix_origin(option_record(s, "qtest"), errp);
}

/* ---- What is not there ---- */

static bool refuse(System *s, Error **errp)
{
    for (size_t i = 0; i < s->options.len; i++) {
        QOptionRecord *r = s->options.items[i];
        const char *dev = !strcmp(r->option->item.name, "parallel") ? qkeyval_get(&r->kv, "dev") : NULL;

        if (dev && strcmp(dev, "none")) {
            error_set(errp, "there are no parallel ports in this program yet");
            return prefix_origin(r, errp);
        }
    }
    return true;
}

bool extras_apply(System *s, Error **errp)
{
    return refuse(s, errp) && apply_vga(s, errp) && blockdevs_apply(s, errp) && drives_apply(s, errp) && apply_debugcon(s, errp) && apply_rtc(s, errp) &&
           apply_fw_cfg(s, errp) && firmware_apply(s, errp);
}
