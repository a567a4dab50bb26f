/* The short spellings of -serial, -monitor and the like: see chardev_new_from_text() in chardev/chardev.h. */
#include <stdlib.h>
#include <string.h>

#include "chardev/internal.h"
#include "qapi/json.h"
#include "qapi/keyval.h"

static struct json_object *record(const char *backend)
{
    return qjson_add(json_object_new_object(), "backend", json_object_new_string(backend));
}

static struct json_object *with(struct json_object *r, const char *key, const char *value, int len)
{
    return qjson_add(r, key, json_object_new_string_len(value, len));
}

/* The options after an address: "server=on,wait=off", or short as they once were. */
static bool add_options(const ChardevContext *ctx, struct json_object *r, const char *text, Error **errp)
{
    QKeyval kv = { 0 };
    struct json_object *given = NULL;

    if (qkeyval_parse(&kv, text, NULL, &qtype_ChardevSocketConf, text, errp)) {
        given = qkeyval_to_json(&kv, &qtype_ChardevSocketConf, errp);
    }
    if (given && kv.warnings.data && ctx->warn) {
        ctx->warn(ctx->opaque, kv.warnings.data);
    }
    if (given) {
        json_object_object_foreach(given, key, value) {
            qjson_add(r, key, json_object_get(value));
        }
        json_object_put(given);
    }
    qkeyval_finish(&kv);
    return given;
}

/* HOST:PORT[,options], the host being empty or in brackets maybe. */
static bool inet(const ChardevContext *ctx, struct json_object *r, const char *text, Error **errp)
{
    size_t n = strcspn(text, ",");
    const char *colon = memrchr(text, ':', n), *host = text;
    int host_len;

    if (!colon || colon + 1 == text + n) {
        return error_set(errp, "'%.*s' is not HOST:PORT", (int)n, text);
    }
    host_len = (int)(colon - text);
    if (host_len >= 2 && host[0] == '[' && host[host_len - 1] == ']') {
        host++;
        host_len -= 2;
    }
    with(with(r, "host", host, host_len), "port", colon + 1, (int)(text + n - colon - 1));
    return text[n] ? add_options(ctx, r, text + n + 1, errp) : true;
}

static bool unix_path(const ChardevContext *ctx, struct json_object *r, const char *text, Error **errp)
{
    size_t n = 0;

    while (text[n] && (text[n] != ',' || text[n + 1] == ',')) { /* a comma in the name is doubled */
        n += text[n] == ',' ? 2 : 1;
    }
    if (!n) {
        return error_set(errp, "the name of the socket is missing");
    }
    QBuf name = { 0 };
    for (size_t i = 0; i < n; i += text[i] == ',' ? 2 : 1) {
        qbuf_char(&name, text[i]);
    }
    with(r, "path", name.data, (int)name.len);
    qbuf_finish(&name);
    return text[n] ? add_options(ctx, r, text + n + 1, errp) : true;
}

static const char *after(const char *text, const char *prefix)
{
    size_t n = strlen(prefix);

    return strncmp(text, prefix, n) ? NULL : text + n;
}

static bool one_word(const char *text)
{
    static const char *const words[] = { "null", "vc", "stdio", "pty", "ringbuf" };

    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
        if (!strcmp(text, words[i])) {
            return true;
        }
    }
    return false;
}

struct json_object *chardev_parse_text(const ChardevContext *ctx, const char *text, Error **errp)
{
    static const struct {
        const char *prefix, *backend;
    } files[] = { { "file:", "file" }, { "pipe:", "pipe" }, { "pty:", "pty" }, { "/dev/", "serial" } };
    struct json_object *r;
    const char *rest;
    bool ok = true;

    if (one_word(text)) {
        return record(text);
    }
    for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
        rest = after(text, files[i].prefix);
        if (rest && *rest) {
            rest = i == 3 ? text : rest;
            return with(record(files[i].backend), "path", rest, (int)strlen(rest));
        }
    }
    r = record("socket");
    if ((rest = after(text, "unix:"))) {
        ok = unix_path(ctx, r, rest, errp);
    } else if ((rest = after(text, "tcp:"))) {
        ok = inet(ctx, r, rest, errp);
    } else if ((rest = after(text, "telnet:"))) {
        ok = inet(ctx, qjson_add(r, "telnet", json_object_new_boolean(true)), rest, errp);
    } else {
        ok = error_set(errp, "'%s' is not a valid char driver", text);
        error_hint(errp, "There are null, vc, stdio, pty, file:PATH, pipe:PATH, unix:PATH[,server=on], "
                   "tcp:HOST:PORT[,server=on], telnet:HOST:PORT, /dev/TTY, chardev:ID and none");
    }
    if (!ok) {
        json_object_put(r);
        return NULL;
    }
    return r;
}

Chardev *chardev_new_from_text(const ChardevContext *ctx, const char *id, const char *text, bool *with_monitor,
                               Error **errp)
{
    const char *rest = after(text, "mon:");
    struct json_object *r;
    Chardev *c;

    if (rest && !with_monitor) {
        error_set(errp, "'mon:' makes no sense here");
        return NULL;
    }
    if (with_monitor) {
        *with_monitor = rest;
    }
    text = rest ? rest : text;
    if (!strcmp(text, "none") && !rest) {
        return NULL;
    }
    rest = after(text, "chardev:");
    if (rest) {
        c = chardev_find(ctx->tree, rest);
        return c ? c : (error_set_class(errp, ERROR_DEVICE_NOT_FOUND, "Chardev '%s' not found", rest), NULL);
    }
    r = chardev_parse_text(ctx, text, errp);
    if (!r) {
        return NULL;
    }
    with(r, "id", id, (int)strlen(id));
    if (with_monitor && *with_monitor) {
        qjson_add(r, "mux", json_object_new_boolean(true));
        if (!strcmp(text, "stdio")) { /* Ctrl-C is for the guest: Ctrl-A x ends */
            qjson_add(r, "signal", json_object_new_boolean(false));
        }
    }
    c = chardev_new_from_record(ctx, r, errp);
    json_object_put(r);
    return c;
}
