/* QMP requests, replies and events: see qapi/dispatch.h. Texts of errors are those QMP clients know. */
#include "qapi/dispatch.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "qapi/json.h"
#include "qapi/schema.h"
#include "qapi/value.h"

/* A request taken apart; the strings and values are the request's. */
typedef struct {
    const char *command;
    struct json_object *args;
    bool oob;
} Request;

static bool take_command(const char *key, struct json_object *v, Request *r, Error **errp)
{
    if (r->command) {
        return error_set(errp, "QMP input member 'execute' clashes with 'exec-oob'"); /* in either order */
    }
    if (!json_object_is_type(v, json_type_string)) {
        return error_set(errp, "QMP input member '%s' must be a string", key);
    }
    r->command = json_object_get_string(v);
    r->oob = !strcmp(key, "exec-oob");
    return true;
}

static bool take_request(QCallContext *cc, struct json_object *request, Request *r, Error **errp)
{
    if (!json_object_is_type(request, json_type_object)) {
        return error_set(errp, "QMP input must be a JSON object");
    }
    json_object_object_foreach(request, key, v) {
        bool ok = true;

        if (!strcmp(key, "execute") || (!strcmp(key, "exec-oob") && cc->oob_enabled)) {
            ok = take_command(key, v, r, errp);
        } else if (!strcmp(key, "arguments")) {
            r->args = v;
            ok = json_object_is_type(v, json_type_object)
                     ? true : error_set(errp, "QMP input member 'arguments' must be an object");
        } else if (strcmp(key, "id")) {
            ok = error_set(errp, "QMP input member '%s' is unexpected", key);
        }
        if (!ok) {
            return false;
        }
    }
    return r->command ? true : error_set(errp, "QMP input lacks member 'execute'");
}

bool qcommand_is_allowed(QCallContext *cc, const QCommand *cmd, Error **errp)
{
    uint32_t now = cc->phase(cc);

    if (cmd->phases & now) {
        return true;
    }
    if (now == PHASE_CONFIG) {
        return error_set(errp, "The command '%s' is permitted only after machine initialization has completed",
                         cmd->item.name);
    }
    if (cmd->phases == PHASE_CONFIG) {
        return error_set(errp, "The command is permitted only before machine initialization");
    }
    return error_set(errp, "The command '%s' is not permitted while the machine %s", cmd->item.name,
                     now == PHASE_RUNNING ? "runs" : now == PHASE_PAUSED ? "is paused" : "has not run yet");
}

static bool read_args(QCallContext *cc, const QCommand *cmd, struct json_object *args, bool text, void **out,
                      Error **errp)
{
    static const QType no_args = { .item = { .name = "arguments", .doc = "None." }, .kind = QK_STRUCT };
    const QType *t = cmd->args ? cmd->args : &no_args;
    struct json_object *given = args ? json_object_get(args) : json_object_new_object();
    void *value = q_calloc(1, t->size);
    bool ok = (text ? qvalue_from_text : qvalue_from_json)(t, given, value, cc->refs, errp);

    json_object_put(given);
    if (!ok) {
        free(value);
        return false;
    }
    *out = value;
    return true;
}

void qcommand_ret_free(QCallContext *cc, const QCommand *cmd, void *ret)
{
    if (ret) {
        qvalue_finish(cmd->ret, ret, cc->refs);
        free(ret);
    }
}

/* Calls the body. A pointer it was to return and did not would be our own bug. */
static bool call_body(QCallContext *cc, const QCommand *cmd, void *args, void **ret, Error **errp)
{
    void *value = NULL, *pointer = NULL;
    bool indirect = cmd->ret && q_is_indirect(cmd->ret), ok;

    if (cmd->ret && !indirect) {
        value = q_calloc(1, cmd->ret->size);
    }
    ok = cmd->call(cc, args, indirect ? &pointer : value, errp);
    value = indirect ? pointer : value;
    if (!ok) {
        qcommand_ret_free(cc, cmd, value);
        return false;
    }
    if (cmd->ret && !value) {
        return error_set(errp, "internal error: '%s' returned nothing", cmd->item.name);
    }
    *ret = value;
    return true;
}

bool qcommand_call(QCallContext *cc, const QCommand *cmd, struct json_object *args, bool text, void **ret,
                   Error **errp)
{
    void *value = NULL;
    bool ok;

    if (!qcommand_is_allowed(cc, cmd, errp) || !read_args(cc, cmd, args, text, &value, errp)) {
        return false;
    }
    *ret = NULL;
    ok = call_body(cc, cmd, cmd->args ? value : NULL, ret, errp);
    if (cmd->args) {
        qvalue_finish(cmd->args, value, cc->refs);
    }
    free(value);
    return ok;
}

struct json_object *qcommand_ret_to_json(QCallContext *cc, const QCommand *cmd, const void *ret)
{
    return ret ? qvalue_to_json(cmd->ret, ret, cc->refs) : json_object_new_object();
}

/* The command of a request, if this client may name it. */
static const QCommand *find_command(QCallContext *cc, const Request *r, Error **errp)
{
    const QCommand *cmd;

    if (cc->admit && !cc->admit(cc, r->command, errp)) {
        return NULL;
    }
    cmd = qschema_command(cc->schema, r->command);
    if (!cmd) {
        const char *near = qsuggest_command(cc->schema, r->command);
        error_set_class(errp, ERROR_COMMAND_NOT_FOUND, "The command %s has not been found", r->command);
        if (near) {
            error_hint(errp, "Did you mean '%s'?", near);
        }
        return NULL;
    }
    if (r->oob && !cmd->allow_oob) {
        error_set(errp, "The command %s does not support OOB", r->command);
        return NULL;
    }
    return cmd;
}

static bool run(QCallContext *cc, struct json_object *request, struct json_object **reply, Error **errp)
{
    Request r = { 0 };
    const QCommand *cmd;
    void *ret = NULL;

    if (!take_request(cc, request, &r, errp)) {
        return false;
    }
    cmd = find_command(cc, &r, errp);
    if (!cmd || !qcompat_check(cc->policy, &cmd->item, "command", errp) ||
        (r.args && !qcompat_check_value(cc->policy, cmd->args, r.args, errp)) ||
        !qcommand_call(cc, cmd, r.args, false, &ret, errp)) {
        return false;
    }
    if (!cmd->no_reply) {
        struct json_object *value = qcommand_ret_to_json(cc, cmd, ret);

        qcompat_hide_members(cc->policy, cmd->ret, value);
        *reply = qjson_add(json_object_new_object(), "return", value);
    }
    qcommand_ret_free(cc, cmd, ret);
    return true;
}

/* Message and hints as one line: "Parameter 'x' is unexpected. Did you mean 'y'?" People read it in the client's message. */
static struct json_object *description(const Error *err)
{
    QBuf b = { 0 };
    const char *hint = error_hint_text(err);
    struct json_object *text;

    qbuf_str(&b, error_message(err));
    while (hint && *hint) {
        size_t n = strcspn(hint, "\n");

        if (n) {
            qbuf_str(&b, ispunct((unsigned char)b.data[b.len - 1]) && !strchr("'\")", b.data[b.len - 1]) ? " " : ". ");
            qbuf_add(&b, hint, n);
        }
        hint += n + (hint[n] == '\n');
    }
    text = json_object_new_string_len(b.data, (int)b.len);
    qbuf_finish(&b);
    return text;
}

struct json_object *qmp_error_reply(Error *err, bool has_id, struct json_object *id)
{
    struct json_object *reply = json_object_new_object(), *e = json_object_new_object();

    if (has_id) {
        qjson_add(reply, "id", json_object_get(id));
    }
    qjson_add(e, "class", json_object_new_string(error_class_name(error_class(err))));
    qjson_add(e, "desc", description(err));
    error_free(err);
    return qjson_add(reply, "error", e);
}

struct json_object *qmp_dispatch(QCallContext *cc, struct json_object *request)
{
    struct json_object *reply = NULL, *id = NULL;
    bool has_id = json_object_is_type(request, json_type_object) && json_object_object_get_ex(request, "id", &id);
    Error *err = NULL;

    if (!run(cc, request, &reply, &err)) {
        return qmp_error_reply(err, has_id, id);
    }
    if (reply && has_id) {
        qjson_add(reply, "id", json_object_get(id));
    }
    return reply;
}

bool qmp_is_oob(struct json_object *request)
{
    return json_object_is_type(request, json_type_object) &&
           json_object_object_get_ex(request, "exec-oob", NULL) &&
           !json_object_object_get_ex(request, "execute", NULL);
}

struct json_object *qevent_json(const QEvent *e, const void *data, const QRefResolver *refs)
{
    struct json_object *event = json_object_new_object(), *stamp = json_object_new_object();
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    qjson_add(stamp, "seconds", json_object_new_int64(now.tv_sec));
    qjson_add(stamp, "microseconds", json_object_new_int64(now.tv_nsec / 1000));
    qjson_add(event, "timestamp", stamp);
    qjson_add(event, "event", json_object_new_string(e->item.name));
    if (e->args) {
        qjson_add(event, "data", qvalue_to_json(e->args, data, refs));
    }
    return event;
}
