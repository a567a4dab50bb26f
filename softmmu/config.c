/*
 * query-config: what runs, as a document that -readconfig makes the same machine of, and where each value came from.
 *
 * "config" has the options that were given, with objects, devices and chardevs as they are now: what QMP added is there, what it
 * removed is not. Monitors and what else is only about this process are left out.
 */
#include <stdlib.h>
#include <string.h>

#include "qapi/json.h"
#include "softmmu/options.gen.h"
#include "softmmu/system.h"

/* ---- Where values came from ---- */

static const char *origin_name(QomOrigin o)
{
    static const char *const names[] = { [ORIGIN_CLASS] = "class", [ORIGIN_MACHINE] = "machine", [ORIGIN_GLOBAL] = "global",
                                         [ORIGIN_USER] = "user" };
    return names[o];
}

static void add_values(struct json_object *all, Object *o)
{
    struct json_object *conf = object_conf_json(o, ORIGIN_CLASS), *values = json_object_new_object();
    char *path = object_path(o);

    json_object_object_foreach(conf, key, v) {
        struct json_object *one = qjson_add(json_object_new_object(), "value", json_object_get(v));

        qjson_add(values, key, qjson_add(one, "origin", json_object_new_string(origin_name(object_origin(o, key)))));
    }
    qjson_add(all, path, values);
    free(path);
    json_object_put(conf);
}

/* ---- Records of what there is ---- */

/* {"KEY": class, "id": name} and what the user gave. */
static struct json_object *record(Object *o, const char *key, const char *class_name, bool named)
{
    struct json_object *r = qjson_add(json_object_new_object(), key, json_object_new_string(class_name));
    struct json_object *conf = object_conf_json(o, ORIGIN_USER);

    if (named) {
        qjson_add(r, "id", json_object_new_string(o->name));
    }
    json_object_object_foreach(conf, name, v) {
        if (v) {
            qjson_add(r, name, json_object_get(v));
        }
    }
    json_object_put(conf);
    return r;
}

typedef struct {
    struct json_object *config, *values;
} Document;

static void append(Document *d, const char *option, struct json_object *r)
{
    struct json_object *list;

    if (!json_object_object_get_ex(d->config, option, &list)) {
        list = json_object_new_array();
        qjson_add(d->config, option, list);
    }
    json_object_array_add(list, r);
}

static void add_objects(Document *d, System *s)
{
    for (Object *o = qom_objects(s->tree)->first_child; o; o = o->next_sibling) {
        append(d, "object", record(o, "qom-type", o->klass->item.name, true));
        add_values(d->values, o);
    }
}

static void add_device(Document *d, Object *o, bool named)
{
    struct json_object *r = record(o, "driver", o->klass->item.name, named);
    Bus *bus = ((Device *)o)->bus;

    if (bus) {
        qjson_add(r, "bus", json_object_new_string(((Object *)bus)->name));
    }
    append(d, "device", r);
    add_values(d->values, o);
}

static void add_machine(Document *d, System *s)
{
    static const char *const folders[] = { "peripheral", "peripheral-anon" };

    for (unsigned i = 0; s->machine && i < 2; i++) {
        Object *folder = object_child(&s->machine->obj, folders[i]);

        for (Object *o = folder ? folder->first_child : NULL; o; o = o->next_sibling) {
            add_device(d, o, i == 0);
        }
    }
    if (s->machine) {
        add_values(d->values, &s->machine->obj);
    }
}

static bool is_a_users(System *s, const char *id)
{
    static const char *const others[] = { "compat_monitor", "serial", "parallel", "qtest", "debugcon" };

    if (qoptions_find(&s->options, "chardev", id)) {
        return true;
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        size_t n = strlen(others[i]);

        if (!strncmp(id, others[i], n) && strspn(id + n, "0123456789") == strcspn(id + n, "-")) {
            return false; /* made by another option */
        }
    }
    return true;
}

static void add_chardevs(Document *d, System *s)
{
    for (Object *o = qom_chardevs(s->tree)->first_child; o; o = o->next_sibling) {
        const char *kind = o->klass->item.name + strlen("chardev-");

        add_values(d->values, o);
        if (is_a_users(s, o->name)) {
            append(d, "chardev", record(o, "backend", kind, true));
        }
    }
}

/* ---- The options that were given ---- */

static struct json_object *given_options(System *s)
{
    static const char *const dropped[] = { "device", "object", "chardev", "qmp", "qmp-pretty", "monitor", "mon", "daemonize", "pidfile",
                                           "readconfig", "preconfig", "S", "add-fd" };
    QBuf text = { 0 };
    struct json_object *all = NULL;

    qoptions_write_json(&s->options, &text);
    qjson_parse(text.data, text.len, &all, NULL); /* we wrote it */
    qbuf_finish(&text);
    for (size_t i = 0; i < sizeof(dropped) / sizeof(*dropped); i++) {
        json_object_object_del(all, dropped[i]);
    }
    return all;
}

bool qmp_query_config(QCallContext *cc, struct json_object **ret, Error **errp)
{
    System *s = cc->program;
    Document d = { .config = given_options(s), .values = json_object_new_object() };

    add_objects(&d, s);
    add_chardevs(&d, s);
    add_machine(&d, s);
    *ret = qjson_add(json_object_new_object(), "config", d.config);
    qjson_add(*ret, "values", d.values);
    return true;
}
