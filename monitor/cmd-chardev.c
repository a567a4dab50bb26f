/* Commands about chardevs. */
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "chardev/backend.gen.h"
#include "chardev/chardev.gen.h"
#include "chardev/ringbuf.h"
#include "monitor/internal.h"
#include "qapi/hmp.gen.h"
#include "qapi/keyval.h"

static void add_info(Chardev *c, void *opaque)
{
    ChardevInfoList *list = opaque;
    ChardevInfo *info = q_calloc(1, sizeof(*info));

    info->label = q_strdup(chardev_label(c));
    info->filename = chardev_filename(c);
    info->frontend_open = chardev_front_open(c);
    list->items = q_realloc(list->items, list->len + 1, sizeof(*list->items));
    list->items[list->len++] = info;
}

bool qmp_query_chardev(QCallContext *cc, ChardevInfoList *ret, Error **errp)
{
    chardev_foreach(monitor_tree(cc), add_info, ret);
    return true;
}

void hmp_print_chardev(QCallContext *cc, const ChardevInfoList *ret)
{
    for (size_t i = 0; i < ret->len; i++) {
        monitor_printf(cc, "%s: filename=%s\n", ret->items[i]->label, ret->items[i]->filename);
    }
}

bool qmp_query_chardev_backends(QCallContext *cc, ChardevBackendInfoList *ret, Error **errp)
{
    for (uint32_t i = 0; i < cc->schema->num_classes; i++) {
        const QClass *k = cc->schema->classes[i];
        const char *names[] = { k->item.name, k->alias };

        for (size_t n = 0; n < 2 && k->kind == QCLASS_CHARDEV && !k->abstract; n++) {
            if (names[n]) {
                ret->items = q_realloc(ret->items, ret->len + 1, sizeof(*ret->items));
                ret->items[ret->len] = q_calloc(1, sizeof(**ret->items));
                ret->items[ret->len++]->name = q_strdup(names[n] + strlen("chardev-"));
            }
        }
    }
    return true;
}

bool qmp_ringbuf_write(QCallContext *cc, const RingbufWriteArgs *args, Error **errp)
{
    gsize len = strlen(args->data);
    guchar *bytes = NULL;
    bool ok;

    if (args->format == DATA_FORMAT_BASE64) {
        bytes = g_base64_decode(args->data, &len);
    }
    ok = chardev_ringbuf_write(monitor_tree(cc), args->device, bytes ? (void *)bytes : args->data, len, errp);
    g_free(bytes);
    return ok;
}

bool qmp_ringbuf_read(QCallContext *cc, const RingbufReadArgs *args, char **ret, Error **errp)
{
    QBuf b = { 0 };
    char *text;

    if (!chardev_ringbuf_read(monitor_tree(cc), args->device, args->size, &b, errp)) {
        return false;
    }
    if (args->format == DATA_FORMAT_BASE64) {
        text = g_base64_encode((const guchar *)(b.data ? b.data : ""), b.len);
    } else {
        text = g_utf8_make_valid(b.data ? b.data : "", b.len);
    }
    *ret = q_strdup(text);
    g_free(text);
    qbuf_finish(&b);
    return true;
}

/* Control characters as a terminal would show them, so that the guest's output does not move this one's cursor. */
void hmp_print_ringbuf(QCallContext *cc, char *const *ret)
{
    for (const char *p = *ret; *p; p++) {
        unsigned char c = *p;

        if (c == '\\') {
            monitor_print(cc, "\\\\");
        } else if ((c < 32 && c != '\n' && c != '\t') || c == 127) {
            monitor_printf(cc, "\\u%04X", c);
        } else {
            monitor_printf(cc, "%c", c);
        }
    }
    monitor_print(cc, "\n");
}

bool qmp_chardev_remove(QCallContext *cc, const ChardevRemoveArgs *args, Error **errp)
{
    return chardev_delete(monitor_tree(cc), args->id, errp);
}

bool qmp_chardev_send_break(QCallContext *cc, const ChardevSendBreakArgs *args, Error **errp)
{
    Chardev *c = chardev_find(monitor_tree(cc), args->id);

    if (!c) {
        return error_set(errp, "Chardev '%s' not found", args->id);
    }
    chardev_receive_break(c);
    return true;
}

/* Moves the members of `from` into `to`, those in `renames` (old, new, old, new..., NULL) under their new names. */
static void move_members(struct json_object *to, struct json_object *from, const char *const *renames)
{
    json_object_object_foreach(from, key, value) {
        const char *name = key;

        for (const char *const *r = renames; *r; r += 2) {
            name = strcmp(*r, key) ? name : r[1];
        }
        qjson_add(to, name, json_object_get(value));
    }
}

/* {"type": "socket", "data": {"addr": {"type": "inet", "data": {...}}, ...}} to the config of class chardev-socket. Owned. */
static struct json_object *backend_props(QCallContext *cc, const ChardevBackend *backend)
{
    static const char *const renames[] = { "out", "path", "in", "input-path", "device", "path", "str", "fd", NULL };
    struct json_object *whole = qvalue_to_json(&qtype_ChardevBackend, backend, cc->refs), *data, *addr, *where;
    struct json_object *props = json_object_new_object();

    if (json_object_object_get_ex(whole, "data", &data)) {
        move_members(props, data, renames);
    }
    if (json_object_object_get_ex(props, "addr", &addr)) {
        json_object_object_get_ex(addr, "data", &where);
        json_object_get(where);
        json_object_object_del(props, "addr");
        move_members(props, where, renames);
        json_object_put(where);
    }
    json_object_put(whole);
    return props;
}

bool qmp_chardev_add(QCallContext *cc, const ChardevAddArgs *args, ChardevReturn **ret, Error **errp)
{
    const char *kind = qtype_enum_name(&qtype_ChardevBackendKind, args->backend->type);
    bool exists = chardev_find(monitor_tree(cc), args->id);
    struct json_object *props = backend_props(cc, args->backend);
    Chardev *c = chardev_new(monitor_set(cc)->chardevs, args->id, kind, props, false, false, errp);
    char *name;

    json_object_put(props);
    if (!c) {
        return exists ? false : error_prepend(errp, "Failed to add chardev '%s': ", args->id);
    }
    *ret = q_calloc(1, sizeof(**ret));
    name = chardev_filename(c);
    if (!strncmp(name, "pty:", 4)) {
        (*ret)->pty = q_strdup(name + 4);
    }
    free(name);
    return true;
}

bool hmp_chardev_add(QCallContext *cc, const ChardevAddHmp *args, Error **errp)
{
    MonitorSet *set = monitor_set(cc);
    QKeyval kv = { 0 };
    struct json_object *record = NULL;
    bool ok = false;

    if (qkeyval_parse(&kv, args->args, "backend", NULL, args->args, errp)) {
        record = qkeyval_to_json(&kv, NULL, errp);
    }
    if (record) {
        ok = chardev_new_from_record(set->chardevs, record, errp);
    }
    json_object_put(record);
    qkeyval_finish(&kv);
    return ok;
}
