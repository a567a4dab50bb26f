/*
 * From a QMP request to a reply: one dispatcher for every transport.
 *
 * The monitor keeps a QCallContext per client and fills in who calls; a command's body gets it first.
 * What a client may do before it has negotiated is the monitor's business: its `admit` hook.
 *
 *     struct json_object *reply = qmp_dispatch(cc, request);
 *     if (reply) { write it; json_object_put(reply); }
 */
#ifndef QAPI_DISPATCH_H
#define QAPI_DISPATCH_H

#include "qapi/compat.h"
#include "qapi/visit.h"

struct QCallContext {
    const QSchema *schema;
    void *program;               /* the whole program's context: softmmu/ knows its type */
    void *monitor;               /* the client's monitor, NULL when the program itself calls */
    const QRefResolver *refs;    /* NULL: no objects yet */
    /* The current PHASE_*; exactly one bit. */
    uint32_t (*phase)(const QCallContext *cc);
    /*
     * Called before a command of a request is looked up: false with *errp set refuses it, as before
     * negotiation. NULL: everything is admitted.
     */
    bool (*admit)(QCallContext *cc, const char *command, Error **errp);
    const QCompatPolicy *policy; /* of what is deprecated or unstable; NULL: all of it is allowed and told */
    bool oob_enabled;            /* the client negotiated "oob": exec-oob is a known member */
};

/*
 * Runs the request, any JSON. Returns the reply, owned, with the request's id: {"return": ..., "id": ...} or
 * {"id": ..., "error": {"class", "desc"}}; NULL when the command has no reply (and did not fail).
 */
struct json_object *qmp_dispatch(QCallContext *cc, struct json_object *request);

/* True iff the request asks for out-of-band execution; for the monitor's queueing. */
bool qmp_is_oob(struct json_object *request);

/* {"error": ...} for err (owned), with id (may be NULL with has_id for null). For what never became a request. */
struct json_object *qmp_error_reply(Error *err, bool has_id, struct json_object *id);

/* May the command run now? Sets the error QMP clients know if not. */
bool qcommand_is_allowed(QCallContext *cc, const QCommand *cmd, Error **errp);

/*
 * Checks the phase, reads args (NULL: none; text: leaves may be command-line text) and calls the command.
 * *ret, when the command returns something, gets the value, to be freed by qcommand_ret_free(); else NULL.
 * QCommand.hmp_print takes the address of this *ret when the type is a pointer (structs, str), else *ret itself.
 */
bool qcommand_call(QCallContext *cc, const QCommand *cmd, struct json_object *args, bool text, void **ret,
                   Error **errp);
struct json_object *qcommand_ret_to_json(QCallContext *cc, const QCommand *cmd, const void *ret);
void qcommand_ret_free(QCallContext *cc, const QCommand *cmd, void *ret);

/* {"timestamp": ..., "event": ..., "data": ...}; data: a value of e->args, or NULL iff it has none. Owned. */
struct json_object *qevent_json(const QEvent *e, const void *data, const QRefResolver *refs);

#endif
