/* From the command line to a machine. See softmmu/board.h. */
#include "softmmu/board.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accel/accel.h"
#include "accel/qtest/qtest.h"
#include "qapi/json.h"
#include "qapi/schema.h"
#include "softmmu/firmware.h"
#include "softmmu/options.gen.h"
#include "target/i386/models.h"

/* ---- What devices and boards ask for ---- */

static System *system_of(Machine *m)
{
    return m->opaque;
}

static void request_reset(Machine *m, ShutdownCause cause)
{
    run_request_reset(&system_of(m)->run, cause);
}

static void request_shutdown(Machine *m, ShutdownCause cause)
{
    run_request_shutdown(&system_of(m)->run, cause);
}

static void request_exit(Machine *m, int status)
{
    run_request_exit(&system_of(m)->run, status);
}

static void request_suspend(Machine *m)
{
    run_request_suspend(&system_of(m)->run);
}

static void request_wakeup(Machine *m, MachineWakeup reason)
{
    run_request_wakeup(&system_of(m)->run, reason);
}

static void guest_panicked(Machine *m, struct json_object *info)
{
    run_guest_panicked(&system_of(m)->run, info);
}

static void warn(Machine *m, const char *text)
{
    system_warn(system_of(m), text);
}

static Object *serial(Machine *m, unsigned n)
{
    System *s = system_of(m);

    return n < s->num_serial ? (Object *)s->serial[n] : NULL;
}

static void emit(Machine *m, const QEvent *event, const void *data)
{
    monitors_emit(system_of(m)->monitors, event, data);
}

/* ---- Files that come with the program or with the distribution ---- */

const char *const data_folders[] = { "/usr/share/kestrel", "/usr/share/qemu", "/usr/share/seabios", "/usr/lib/ipxe/qemu", NULL };

/* DIR/NAME when it can be read; owned. */
static char *in_folder(const char *dir, const char *name)
{
    QBuf b = { 0 };

    qbuf_printf(&b, "%s/%s", dir, name);
    if (access(b.data, R_OK) == 0) {
        return qbuf_steal(&b);
    }
    qbuf_finish(&b);
    return NULL;
}

/* Beside the program, where the build puts its own. */
static char *beside_program(const char *name)
{
    char path[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("/pc-bios"));
    char *slash;

    if (n <= 0) {
        return NULL;
    }
    path[n] = 0;
    slash = strrchr(path, '/');
    strcpy(slash, "/pc-bios");
    return in_folder(path, name);
}

static char *find_file(Machine *m, const char *name, Error **errp)
{
    const QOptions *o = &system_of(m)->options;
    char *found = NULL;

    if (strchr(name, '/') || access(name, R_OK) == 0) {
        if (access(name, R_OK) < 0) {
            error_set_errno(errp, errno, "Could not open '%s'", name);
            return NULL;
        }
        return q_strdup(name);
    }
    for (size_t i = 0; !found && i < o->len; i++) {
        if (!strcmp(o->items[i]->option->item.name, "L")) {
            found = in_folder(qkeyval_get(&o->items[i]->kv, "path"), name);
        }
    }
    found = found ? found : beside_program(name);
    for (size_t i = 0; !found && data_folders[i]; i++) {
        found = in_folder(data_folders[i], name);
    }
    if (!found) {
        error_set(errp, "could not find '%s'", name);
        error_hint(errp, "It is looked for in the folders of -L, /usr/share/qemu and /usr/share/seabios");
    }
    return found;
}

static const MachineHost machine_host = {
    .warn = warn,
    .request_reset = request_reset, .request_shutdown = request_shutdown, .request_exit = request_exit,
    .request_suspend = request_suspend, .request_wakeup = request_wakeup, .guest_panicked = guest_panicked,
    .find_file = find_file, .serial = serial, .emit = emit,
};

/* ---- Making it ---- */

static const char *machine_name(const void *opaque, size_t i)
{
    const QSchema *s = opaque;
    const QClass *k = s->classes[i / 2];

    return k->kind != QCLASS_MACHINE || k->abstract ? NULL : i % 2 ? k->alias : k->item.name;
}

static const QClass *machine_class(const System *s, const char *type, Error **errp)
{
    QBuf b = { 0 };
    const QClass *k;
    const char *near;

    qbuf_printf(&b, "%s-machine", type);
    k = qschema_class(s->schema, b.data);
    k = k ? k : qschema_class(s->schema, type);
    if (k && (k->kind != QCLASS_MACHINE || k->abstract)) {
        k = NULL;
    }
    if (!k) {
        error_set(errp, "unsupported machine type: \"%s\"", type);
        near = qsuggest(b.data, machine_name, s->schema, 2 * s->schema->num_classes);
        if (near) {
            size_t n = strlen(near), suffix = strlen("-machine");
            bool full = n > suffix && !strcmp(near + n - suffix, "-machine");
            error_hint(errp, "Did you mean '%.*s'?", (int)(full ? n - suffix : n), near);
        }
        error_hint(errp, "Use -machine help to list supported machines");
    }
    qbuf_finish(&b);
    return k;
}

static void set_uuid(System *s)
{
    unsigned byte, n = 0;

    for (const char *p = s->uuid; p && *p && n < 16; p += *p == '-' ? 1 : 2) {
        if (*p != '-' && sscanf(p, "%2x", &byte) == 1) {
            s->machine->uuid[n++] = (uint8_t)byte;
        }
    }
}

static bool make_machine(System *s, Error **errp)
{
    QOptionRecord *r = option_record(s, "machine");
    const char *given = r ? qkeyval_get(&r->kv, "type") : NULL;
    char *type = q_strdup(given ? given : "pc");
    const QClass *k = machine_class(s, type, errp);
    struct json_object *props = r ? qkeyval_to_json(&r->kv, NULL, errp) : json_object_new_object();
    QomConf conf = { 0 };
    bool ok = k && props;

    free(type);
    if (ok) {
        json_object_object_del(props, "type");
        if (option_given(s, "nographic") && !json_object_object_get_ex(props, "graphics", NULL)) {
            qjson_add(props, "graphics", json_object_new_string("off"));
        }
        qom_set_compat(s->tree, k->compat, k->num_compat);
        ok = qom_conf_build(s->tree, k, props, true, &conf, errp);
    }
    json_object_put(props);
    if (!ok) {
        return false;
    }
    s->machine = machine_new(s->tree, s->loop, k, &conf, errp);
    if (s->machine) {
        s->lock_depth = 1; /* machine_new took it */
        s->machine->host = &machine_host;
        s->machine->run = &s->run;
        s->machine->opaque = s;
        set_uuid(s);
    }
    return s->machine;
}

/* ---- The accelerator ---- */

/* -accel a,x=y -accel b: each is tried, with its own properties; the error names why each failed. */
static bool try_accels(System *s, Error **errp)
{
    Error *all = NULL;

    for (size_t i = 0; i < s->options.len && !s->machine->accel; i++) {
        QOptionRecord *r = s->options.items[i];
        struct json_object *props;
        const char *name;
        Error *err = NULL;

        if (strcmp(r->option->item.name, "accel")) {
            continue;
        }
        props = qkeyval_to_json(&r->kv, NULL, &err);
        name = qkeyval_get(&r->kv, "accel");
        if (props && !name) {
            error_set(&err, "Parameter 'accel' is missing");
        } else if (props) {
            json_object_object_del(props, "accel");
            accel_new(s->machine, name, json_object_object_length(props) ? props : NULL, &err);
        }
        json_object_put(props);
        if (err) {
            prefix_origin(r, &err);
        }
        if (err && all) {
            error_prepend(&err, "%s; ", error_message(all));
        }
        if (err) {
            error_free(all);
            all = err;
        }
    }
    if (s->machine->accel) {
        error_free(all);
        return true;
    }
    error_propagate(errp, all);
    return !all;
}

static bool make_accel(System *s, Error **errp)
{
    const char *names = machine_conf(s->machine)->accel;

    if (option_given(s, "accel")) {
        if (names) {
            return error_set(errp, "The -accel and \"-machine accel=\" options are incompatible");
        }
        return try_accels(s, errp);
    }
    return accel_new(s->machine, names ? names : "tcg", NULL, errp);
}

/* ---- The CPU model ---- */

static const char *cpu_name(const void *opaque, size_t i)
{
    return x86_models[i].name;
}

static const QClass *cpu_class(const System *s, const char *model, Error **errp)
{
    QBuf b = { 0 };
    const QClass *k;
    const char *near;

    qbuf_printf(&b, "%s-x86_64-cpu", model);
    k = qschema_class(s->schema, b.data);
    if (!k || k->kind != QCLASS_CPU || k->abstract) {
        k = NULL;
        error_set(errp, "unable to find CPU model '%s'", model);
        near = qsuggest(model, cpu_name, NULL, x86_num_models);
        if (near) {
            error_hint(errp, "Did you mean '%s'?", near);
        } else {
            error_hint(errp, "-cpu help lists them");
        }
    }
    qbuf_finish(&b);
    return k;
}

/* The property that a name means: dashes may be written as underscores, and some have other names. Changes word. */
static const char *feature_property(const QClass *k, char *word)
{
    static const char *const names[][2] = {
        { "sse4-1", "sse4.1" }, { "sse4-2", "sse4.2" }, { "xd", "nx" }, { "i64", "lm" }, { "ffxsr", "fxsr-opt" },
        { "pclmuldq", "pclmulqdq" },
    };

    for (char *p = word; !qtype_member(k->conf, word) && (p = strchr(p, '_'));) {
        *p = '-';
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
        if (!strcmp(names[i][0], word)) {
            return names[i][1];
        }
    }
    return word;
}

/* +x, -x, x=y: defaults of the class, for CPUs that are plugged later too. */
static bool add_feature(System *s, const QClass *k, char *word, Error **errp)
{
    char *eq = strchr(word, '='), sign = *word;

    if (sign == '+' || sign == '-') {
        qom_add_global(s->tree, k->item.name, feature_property(k, word + 1), json_object_new_boolean(sign == '+'));
        return true;
    }
    if (eq) {
        *eq = 0;
        qom_add_global(s->tree, k->item.name, feature_property(k, word), json_object_new_string(eq + 1));
        return true;
    }
    if (qtype_member(k->conf, feature_property(k, word))) { /* "enforce" */
        qom_add_global(s->tree, k->item.name, feature_property(k, word), json_object_new_string("on"));
        return true;
    }
    return error_set(errp, "'%s' is not +FEATURE, -FEATURE or PROPERTY=VALUE", word);
}

static bool choose_cpu(System *s, Error **errp)
{
    const char *text = option_text(s, "cpu");
    char *copy, *word, *rest;
    const QClass *k;
    bool ok = true;

    if (!text) {
        return true;
    }
    if (!machine_functions(s->machine)->default_cpu) {
        return error_set(errp, "-cpu: this type of machine has no CPUs of its own");
    }
    copy = rest = q_strdup(text);
    word = strsep(&rest, ",");
    k = cpu_class(s, word, errp);
    while (k && ok && (word = strsep(&rest, ","))) {
        ok = !*word || add_feature(s, k, word, errp);
    }
    free(copy);
    if (k) {
        s->machine->cpu_type = k->item.name;
    }
    return k && ok;
}

/* ---- Devices ---- */

static bool add_devices(System *s, Error **errp)
{
    for (size_t i = 0; i < s->options.len; i++) {
        QOptionRecord *r = s->options.items[i];
        struct json_object *record;
        bool ok;

        if (strcmp(r->option->item.name, "device")) {
            continue;
        }
        record = qkeyval_to_json(&r->kv, r->option->args, errp);
        ok = record && device_add(s->machine, record, qkeyval_is_text(&r->kv), errp);
        json_object_put(record);
        if (!ok) {
            return prefix_origin(r, errp);
        }
    }
    return true;
}

static void tell_unused(void *opaque, const char *text)
{
    system_warn(opaque, text);
}

bool board_create(System *s, Error **errp)
{
    bool ok = extras_globals(s, errp) && make_machine(s, errp) && make_accel(s, errp) && choose_cpu(s, errp) &&
              machine_create(s->machine, errp) && extras_apply(s, errp) && add_devices(s, errp) &&
              machine_finish_create(s->machine, errp) &&
              confine_memory(s, errp);

    if (ok) {
        qom_unused_globals(s->tree, tell_unused, s);
        machine_reset(s->machine, OBJECT_COLD_RESET);
        board_unlock(s);
    }
    return ok && extras_qtest(s, errp);
}

void board_destroy(System *s)
{
    if (s->machine) {
        qtest_server_free(s->qtest);
        board_lock(s);
        vcpus_pause(s->machine);
        machine_destroy(s->machine);
        firmware_finish(s);
        s->machine = NULL;
        s->lock_depth = 0;
    }
}

/* ---- Its lock ---- */

void board_lock(System *s)
{
    if (s->machine && s->lock_depth++ == 0) {
        machine_lock(s->machine);
    }
}

void board_unlock(System *s)
{
    if (s->machine && --s->lock_depth == 0) {
        machine_unlock(s->machine);
    }
}

/* ---- Running it ---- */

void board_pause(System *s)
{
    if (s->machine) {
        vcpus_pause(s->machine);
        clock_group_stop(&s->machine->clocks);
    }
}

void board_pause_cpus(System *s)
{
    if (s->machine) {
        vcpus_pause(s->machine);
    }
}

bool board_wakeup(System *s, MachineWakeup reason)
{
    const MachineOps *ops = s->machine ? machine_functions(s->machine) : NULL;

    if (!ops || !ops->wakeup) {
        return false;
    }
    ops->wakeup(s->machine, reason);
    return true;
}

void board_resume(System *s, bool cpus)
{
    if (s->machine) {
        clock_group_start(&s->machine->clocks);
    }
    if (s->machine && cpus) {
        vcpus_resume(s->machine);
    }
}

void board_reset(System *s, ShutdownCause cause)
{
    if (s->machine) {
        machine_reset(s->machine, cause == SHUTDOWN_CAUSE_SNAPSHOT_LOAD ? OBJECT_COLD_RESET : OBJECT_WARM_RESET);
    }
}

void board_powerdown(System *s)
{
    if (s->machine && machine_functions(s->machine)->powerdown) {
        machine_functions(s->machine)->powerdown(s->machine);
    }
}

void board_nmi(System *s)
{
    if (s->machine && machine_functions(s->machine)->nmi) {
        machine_functions(s->machine)->nmi(s->machine);
    }
}
