/* What the command line asks for besides the machine: logs, chardevs, monitors, objects. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "qapi/qom-commands.gen.h"
#include "softmmu/options.gen.h"
#include "softmmu/system.h"
#include "util/log.h"
#include "util/trace.h"
#include "util/units.h"

/* Calls fn for each record of the option, or of any; an error gets the words that were said before it. */
static bool each(System *s, const char *option, bool (*fn)(System *s, QOptionRecord *r, Error **errp), Error **errp)
{
    for (size_t i = 0; i < s->options.len; i++) {
        QOptionRecord *r = s->options.items[i];

        if ((!option || !strcmp(r->option->item.name, option)) && !fn(s, r, errp)) {
            return prefix_origin(r, errp);
        }
    }
    return true;
}

static const char *plain_text(const QOptionRecord *r)
{
    return qkeyval_get(&r->kv, r->option->args->members[0].item.name);
}

/* ---- Logs ---- */

static bool set_items(System *s, QOptionRecord *r, Error **errp)
{
    return log_set_items(plain_text(r), errp);
}

static bool set_file(System *s, QOptionRecord *r, Error **errp)
{
    return log_set_file(plain_text(r), errp);
}

static bool set_filter(System *s, QOptionRecord *r, Error **errp)
{
    return log_set_filter(plain_text(r), errp);
}

static bool set_trace(System *s, QOptionRecord *r, Error **errp)
{
    const char *glob = plain_text(r);

    glob += strncmp(glob, "enable=", 7) ? 0 : 7;
    if (!trace_enable(glob, true)) {
        error_set(errp, "there is no trace point '%s'", glob);
        return error_hint(errp, "-trace help lists them");
    }
    return true;
}

bool setup_logs(System *s, Error **errp)
{
    return each(s, "D", set_file, errp) && each(s, "dfilter", set_filter, errp) && each(s, "d", set_items, errp) &&
           each(s, "trace", set_trace, errp);
}

/* ---- Who we are ---- */

static bool set_name(System *s, QOptionRecord *r, Error **errp)
{
    NameOption o;

    if (!qoption_read(r, &o, NULL, errp)) {
        return false;
    }
    s->name = o.guest ? q_strdup(o.guest) : NULL;
    if (o.process) {
        prctl(PR_SET_NAME, o.process);
    }
    qvalue_finish(r->option->args, &o, NULL);
    return true;
}

/* -uuid or -smbios type=1,uuid=, the later one. RFC 4122, 3: 8-4-4-4-12 hexadecimal digits. */
static bool set_uuid(System *s, QOptionRecord *r, Error **errp)
{
    const char *name = r->option->item.name;
    const char *text = !strcmp(name, "uuid") ? plain_text(r) : !strcmp(name, "smbios") ? qkeyval_get(&r->kv, "uuid") : NULL;
    bool ok = text && strlen(text) == 36;

    if (!text) {
        return true;
    }
    for (size_t i = 0; ok && i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        ok = dash ? text[i] == '-' : strchr("0123456789abcdefABCDEF", text[i]) != NULL;
    }
    if (!ok) {
        return error_set(errp, "failed to parse UUID string: wrong format");
    }
    free(s->uuid);
    s->uuid = q_strdup(text);
    for (char *p = s->uuid; *p; p++) {
        *p = *p >= 'A' && *p <= 'F' ? *p - 'A' + 'a' : *p;
    }
    return true;
}

static bool set_actions(System *s, QOptionRecord *r, Error **errp)
{
    ActionOption o;

    if (!qoption_read(r, &o, NULL, errp)) {
        return false;
    }
    s->run.on_reboot = o.has_reboot ? o.reboot : REBOOT_ACTION_RESET;
    s->run.on_shutdown = o.has_shutdown ? o.shutdown : SHUTDOWN_ACTION_POWEROFF;
    s->run.on_panic = o.has_panic ? o.panic : PANIC_ACTION_SHUTDOWN;
    s->run.on_watchdog = o.has_watchdog ? o.watchdog : WATCHDOG_ACTION_RESET;
    return true;
}

static bool set_escape(System *s, QOptionRecord *r, Error **errp)
{
    uint64_t code;

    if (!parse_uint("the code of the character", plain_text(r), 255, &code, errp)) {
        return false;
    }
    s->chardevs.escape = (int)code;
    return true;
}

static bool add_global(System *s, QOptionRecord *r, Error **errp)
{
    const char *driver = qkeyval_get(&r->kv, "driver"), *property = qkeyval_get(&r->kv, "property"),
               *value = qkeyval_get(&r->kv, "value");

    if (driver && property && value && r->kv.len == 3) {
        qom_add_global(s->tree, driver, property, json_object_new_string(value));
        return true;
    }
    if (r->kv.len == 1 && r->kv.items[0].value && strchr(r->kv.items[0].key, '.')) { /* driver.property=value */
        char *key = q_strdup(r->kv.items[0].key), *dot = strchr(key, '.');

        *dot = 0;
        qom_add_global(s->tree, key, dot + 1, json_object_new_string(r->kv.items[0].value));
        free(key);
        return true;
    }
    return error_set(errp, "the form is DRIVER.PROPERTY=VALUE");
}

static bool set_messages(System *s, QOptionRecord *r, Error **errp)
{
    MsgOption o;

    if (!qoption_read(r, &o, NULL, errp)) {
        return false;
    }
    s->stamp_messages = o.has_timestamp && o.timestamp;
    s->name_messages = o.has_guest_name && o.guest_name;
    return true;
}

/* Options whose types take only what this program does anyway: reading them is all there is to do. */
static bool check_option(System *s, QOptionRecord *r, Error **errp)
{
    static const char *const names[] = { "audio", "audiodev", "display", "net", "nic" };
    bool ok = true;

    for (size_t i = 0; ok && i < sizeof(names) / sizeof(*names); i++) {
        if (!strcmp(names[i], r->option->item.name)) {
            void *value = q_calloc(1, r->option->args->size);

            ok = qoption_read(r, value, NULL, errp);
            if (ok) {
                qvalue_finish(r->option->args, value, NULL);
            }
            free(value);
        }
    }
    return ok;
}

static bool set_policy(System *s, QOptionRecord *r, Error **errp)
{
    CompatPolicy o;

    if (!qoption_read(r, &o, NULL, errp)) {
        return false;
    }
    s->policy = (QCompatPolicy){
        .input = { [STABILITY_DEPRECATED] = o.has_deprecated_input ? (QCompatInput)o.deprecated_input : QCOMPAT_ACCEPT,
                   [STABILITY_UNSTABLE] = o.has_unstable_input ? (QCompatInput)o.unstable_input : QCOMPAT_ACCEPT },
        .hide = { [STABILITY_DEPRECATED] = o.has_deprecated_output && o.deprecated_output == COMPAT_POLICY_OUTPUT_HIDE,
                  [STABILITY_UNSTABLE] = o.has_unstable_output && o.unstable_output == COMPAT_POLICY_OUTPUT_HIDE },
    };
    monitors_set_policy(s->monitors, &s->policy);
    return true;
}

_Static_assert((int)COMPAT_POLICY_INPUT_REJECT == QCOMPAT_REJECT && (int)COMPAT_POLICY_INPUT_CRASH == QCOMPAT_CRASH, "one order");

/* A copy is ours: the one we were given may be named twice. */
static bool add_fd(System *s, QOptionRecord *r, Error **errp)
{
    AddFdOption o;
    int fd;

    if (!qoption_read(r, &o, NULL, errp)) {
        return false;
    }
    fd = o.fd > 2 ? fcntl(o.fd, F_DUPFD_CLOEXEC, 3) : -1;
    if (o.fd <= 2) {
        error_set(errp, "fd cannot be a standard I/O stream");
    } else if (fd < 0) {
        error_set_errno(errp, errno, "fd=%d", (int)o.fd);
    } else {
        monitors_add_fd(s->monitors, fd, o.set, o.opaque);
    }
    qvalue_finish(r->option->args, &o, NULL);
    return fd >= 0;
}

bool setup_identity(System *s, Error **errp)
{
    s->run.on_panic = PANIC_ACTION_SHUTDOWN;
    return each(s, "msg", set_messages, errp) && each(s, "name", set_name, errp) && each(s, NULL, set_uuid, errp) &&
           each(s, "action", set_actions, errp) &&
           each(s, "echr", set_escape, errp) && each(s, "global", add_global, errp) && each(s, NULL, check_option, errp) &&
           each(s, "add-fd", add_fd, errp) && each(s, "compat", set_policy, errp);
}

/* ---- Chardevs and monitors ---- */

/* Whoever started us reads which pseudo-terminal it is. c: a new chardev, or NULL. */
static void tell_pty(System *s, Chardev *c)
{
    QBuf base = { 0 };
    char *name;

    if (c && object_is_a((Object *)c, "chardev-mux")) {
        qbuf_printf(&base, "%s-base", chardev_label(c));
        c = chardev_find(s->tree, base.data);
        qbuf_finish(&base);
    }
    if (c && object_is_a((Object *)c, "chardev-pty")) {
        name = chardev_filename(c);
        printf("char device redirected to %s (label %s)\n", name + strlen("pty:"), chardev_label(c));
        fflush(stdout);
        free(name);
    }
}

static bool add_chardev(System *s, QOptionRecord *r, Error **errp)
{
    struct json_object *record = qkeyval_to_json(&r->kv, NULL, errp);
    Chardev *c = record ? chardev_new_from_record(&s->chardevs, record, errp) : NULL;
    bool ok = c;

    tell_pty(s, c);

    json_object_put(record);
    return ok;
}

bool setup_chardevs(System *s, Error **errp)
{
    return each(s, "chardev", add_chardev, errp);
}

static bool add_monitor(System *s, Chardev *c, MonitorKind mode, bool pretty, Error **errp)
{
    return monitor_new(s->monitors, c, mode, pretty, errp);
}

static Chardev *chardev_from(System *s, const char *label, unsigned n, const char *text, bool *mon, Error **errp)
{
    QBuf id = { 0 };
    Chardev *c;

    qbuf_printf(&id, "%s%u", label, n);
    c = chardev_new_from_text(&s->chardevs, id.data, text, mon, errp);
    qbuf_finish(&id);
    if (strncmp(text, "chardev:", 8)) {
        tell_pty(s, c);
    }
    return c;
}

static bool add_text_monitor(System *s, const char *text, MonitorKind mode, bool pretty, Error **errp)
{
    bool mon;
    Error *err = NULL;
    Chardev *c = chardev_from(s, "compat_monitor", s->num_monitors, text, mode == MONITOR_HMP ? &mon : NULL, &err);

    if (!c) {
        error_propagate(errp, err);
        return !err;
    }
    s->num_monitors++;
    return add_monitor(s, c, mode, pretty, errp);
}

static bool monitor_option(System *s, QOptionRecord *r, Error **errp)
{
    return add_text_monitor(s, plain_text(r), MONITOR_HMP, false, errp);
}

static bool qmp_option(System *s, QOptionRecord *r, Error **errp)
{
    return add_text_monitor(s, plain_text(r), MONITOR_QMP, !strcmp(r->option->item.name, "qmp-pretty"), errp);
}

static bool mon_option(System *s, QOptionRecord *r, Error **errp)
{
    MonOption o;
    Chardev *c;
    bool ok;

    if (!qoption_read(r, &o, NULL, errp)) {
        return false;
    }
    c = chardev_find(s->tree, o.chardev);
    if (!c) {
        ok = error_set(errp, "chardev \"%s\" not found", o.chardev);
    } else {
        ok = add_monitor(s, c, o.has_mode && o.mode == MON_MODE_CONTROL ? MONITOR_QMP : MONITOR_HMP,
                         o.has_pretty && o.pretty, errp);
    }
    qvalue_finish(r->option->args, &o, NULL);
    return ok;
}

/* In the order of the command line: their names are numbered by it. */
static bool any_monitor(System *s, QOptionRecord *r, Error **errp)
{
    const char *name = r->option->item.name;

    return !strcmp(name, "monitor") ? monitor_option(s, r, errp) : !strncmp(name, "qmp", 3) ? qmp_option(s, r, errp)
           : !strcmp(name, "mon") ? mon_option(s, r, errp) : true;
}

bool setup_monitors(System *s, Error **errp)
{
    return each(s, NULL, any_monitor, errp);
}

static bool add_serial(System *s, const char *text, Error **errp)
{
    bool mon = false;
    Error *err = NULL;
    Chardev *c;

    if (s->num_serial == SERIAL_MAX) {
        return error_set(errp, "too many serial ports; there are at most %d", SERIAL_MAX);
    }
    c = chardev_from(s, "serial", s->num_serial, text, &mon, &err);
    if (err) {
        error_propagate(errp, err);
        return false;
    }
    s->serial[s->num_serial++] = c; /* NULL for "none": the port has nobody at its other end */
    return mon ? add_monitor(s, c, MONITOR_HMP, false, errp) : true;
}

static bool serial_option(System *s, QOptionRecord *r, Error **errp)
{
    return add_serial(s, plain_text(r), errp);
}

static bool has_serial(const System *s)
{
    const QOptionRecord *r = option_record(s, "machine");
    const char *type = r ? qkeyval_get(&r->kv, "type") : NULL;

    return !type || strcmp(type, "none");
}

static bool asked_for_monitor(const System *s)
{
    for (size_t i = 0; i < s->options.len; i++) {
        const QOptionRecord *r = s->options.items[i];

        if (!strcmp(r->option->item.name, "serial") && !strncmp(plain_text(r), "mon:", 4)) {
            return true;
        }
    }
    return option_given(s, "monitor") || option_given(s, "qmp") || option_given(s, "qmp-pretty") || option_given(s, "mon");
}

/* With -nographic both share standard input and output; else they are on the display, where there is one. */
bool setup_defaults(System *s, Error **errp)
{
    bool none = option_given(s, "nodefaults"), nographic = option_given(s, "nographic");
    bool serial = !none && !option_given(s, "serial") && has_serial(s), monitor = !none && !asked_for_monitor(s);

    if (serial && monitor && nographic) {
        return add_serial(s, "mon:stdio", errp);
    }
    return each(s, "serial", serial_option, errp) && (!monitor || add_text_monitor(s, nographic ? "stdio" : "vc",
           MONITOR_HMP, false, errp)) && (!serial || add_serial(s, nographic ? "stdio" : "vc", errp));
}

/* ---- Objects ---- */

static bool add_object(System *s, QOptionRecord *r, Error **errp)
{
    ObjectOptions o;
    bool ok;

    if (!qoption_read(r, &o, NULL, errp)) {
        return false;
    }
    ok = qom_object_add(s->tree, o.qom_type, o.id, o.rest, qkeyval_is_text(&r->kv), errp);
    qvalue_finish(r->option->args, &o, NULL);
    return ok;
}

bool setup_objects(System *s, Error **errp)
{
    return each(s, "object", add_object, errp);
}
