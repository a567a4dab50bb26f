/*
 * The QMP server: one client of one chardev. Greeting, negotiation of capabilities, requests in order, "exec-oob" ahead of them.
 * Protocol: the QEMU Machine Protocol Specification (docs/interop/qmp-spec) and what version 10.0.2 answers.
 */
#include <stdlib.h>
#include <string.h>

#include "monitor/internal.h"
#include "util/version.h"

enum {
    REQUESTS_MAX = 8,       /* waiting; then the client's bytes wait */
    OUTPUT_MAX = 1 << 20,   /* unread replies; then its requests wait */
};

void qmp_send(Monitor *m, struct json_object *j)
{
    QBuf b = { 0 };

    qjson_write(&b, j, m->pretty, true);
    qbuf_str(&b, "\r\n");
    monitor_write(m, b.data, b.len);
    qbuf_finish(&b);
}

static struct json_object *version_json(void)
{
    struct json_object *numbers = json_object_new_object();

    qjson_add(numbers, "micro", json_object_new_int(VERSION_MICRO));
    qjson_add(numbers, "minor", json_object_new_int(VERSION_MINOR));
    qjson_add(numbers, "major", json_object_new_int(VERSION_MAJOR));
    return qjson_add(qjson_add(json_object_new_object(), "qemu", numbers), "package",
                     json_object_new_string(VERSION_PACKAGE));
}

static void greet(Monitor *m)
{
    struct json_object *caps = json_object_new_array(), *hello;

    json_object_array_add(caps, json_object_new_string("oob"));
    hello = qjson_add(json_object_new_object(), "version", version_json());
    hello = qjson_add(json_object_new_object(), "QMP", qjson_add(hello, "capabilities", caps));
    qmp_send(m, hello);
    json_object_put(hello);
}

/* Before negotiation there is one command, and after it that one is gone. */
static bool admit(QCallContext *cc, const char *command, Error **errp)
{
    bool negotiating = !strcmp(command, "qmp_capabilities");

    if (monitor_of(cc)->negotiated) {
        return negotiating ? error_set_class(errp, ERROR_COMMAND_NOT_FOUND, "Capabilities negotiation is already complete, "
                                             "command ignored")
                           : true;
    }
    return negotiating ? true : error_set_class(errp, ERROR_COMMAND_NOT_FOUND,
                                                "Expecting capabilities negotiation with 'qmp_capabilities'");
}

/* ---- Requests ---- */

static void request_free(QmpRequest *q)
{
    json_object_put(q->json);
    error_free(q->err);
    free(q);
}

static void answer(Monitor *m, QmpRequest *q)
{
    MonitorSet *set = m->set;
    struct json_object *reply;

    if (q->err) {
        reply = qmp_error_reply(q->err, false, NULL);
        q->err = NULL;
    } else {
        set->host->lock(set->program);
        reply = qmp_dispatch(&m->cc, q->json);
        set->host->unlock(set->program);
    }
    if (reply) {
        qmp_send(m, reply);
        json_object_put(reply);
    }
    request_free(q);
}

static bool output_full(Monitor *m)
{
    return m->chr && chardev_queued(m->chr, m) > OUTPUT_MAX;
}

/* One at a time, so that the rest of the program has its turn. */
static void run_next(void *opaque)
{
    Monitor *m = opaque;
    QmpRequest *q;

    if (list_is_empty(&m->requests)) {
        return;
    }
    if (output_full(m)) {
        chardev_watch_writable(m->chr, m, true);
        return;
    }
    q = container_of(list_pop(&m->requests), QmpRequest, link);
    m->num_requests--;
    answer(m, q);
    if (!list_is_empty(&m->requests)) {
        loop_work_schedule(&m->run);
    } else {
        chardev_accept_input(m->chr);
    }
}

static void on_value(void *opaque, struct json_object *value, Error *err)
{
    Monitor *m = opaque;
    QmpRequest *q = q_calloc(1, sizeof(*q));

    q->json = value;
    q->err = err;
    if (!err && m->cc.oob_enabled && qmp_is_oob(value)) {
        answer(m, q);
        return;
    }
    list_append(&m->requests, &q->link);
    m->num_requests++;
    loop_work_schedule(&m->run);
}

/* ---- The stream ---- */

static int can_receive(void *opaque)
{
    Monitor *m = opaque;

    if (m->num_requests >= REQUESTS_MAX) {
        return 0;
    }
    if (output_full(m)) {
        chardev_watch_writable(m->chr, m, true);
        return 0;
    }
    return 4096;
}

static void receive(void *opaque, const uint8_t *buf, int len)
{
    Monitor *m = opaque;

    qjson_parser_feed(m->parser, (const char *)buf, len);
}

static void writable(void *opaque)
{
    Monitor *m = opaque;

    loop_work_schedule(&m->run);
    chardev_accept_input(m->chr);
}

static void forget_requests(Monitor *m)
{
    for (ListLink *l; (l = list_pop(&m->requests));) {
        request_free(container_of(l, QmpRequest, link));
    }
    m->num_requests = 0;
}

static void event(void *opaque, ChardevEvent e)
{
    Monitor *m = opaque;

    if (e == CHARDEV_EVENT_OPENED) {
        m->negotiated = m->cc.oob_enabled = false;
        m->cpu_index = 0;
        greet(m);
    } else if (e == CHARDEV_EVENT_CLOSED) {
        m->negotiated = false;
        forget_requests(m);
        qjson_parser_free(m->parser);
        m->parser = qjson_parser_new(on_value, m);
    }
}

const ChardevHandlers qmp_handlers = {
    .can_receive = can_receive, .receive = receive, .event = event, .writable = writable,
};

void qmp_start(Monitor *m)
{
    m->cc.admit = admit;
    m->parser = qjson_parser_new(on_value, m);
    loop_work_init(&m->run, m->set->loop, run_next, m);
}

void qmp_stop_client(Monitor *m)
{
    if (m->parser) {
        loop_work_cancel(&m->run);
        forget_requests(m);
        qjson_parser_free(m->parser);
        m->parser = NULL;
    }
}
