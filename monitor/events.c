/*
 * Events on their way to QMP clients. Those of other threads are posted to the loop. An event with a rate limit is sent at
 * once if none of its kind was in that time; else the latest one is sent when the time is over.
 */
#include <stdlib.h>
#include <string.h>

#include "monitor/internal.h"
#include "util/clock.h"

enum { POSTED_MAX = 8192 }; /* a guest must not fill the host's memory */

typedef struct {
    ListLink link;
    const QEvent *event;
    struct json_object *json; /* owned */
} Posted;

/* An event that was sent less than its rate limit ago. */
typedef struct {
    ListLink link;
    MonitorSet *set;
    const QEvent *event;
    char *key;                 /* events of different objects do not replace each other */
    struct json_object *later; /* to be sent when the time is over; NULL: none */
    Timer timer;
    int64_t deadline;
} Throttle;

static void send(MonitorSet *set, struct json_object *json)
{
    list_foreach (Monitor, m, &set->monitors, link) {
        if (m->mode == MONITOR_QMP && m->negotiated) {
            qmp_send(m, json);
        }
    }
}

static void throttle_free(Throttle *t)
{
    timer_finish(&t->timer);
    list_remove(&t->link);
    json_object_put(t->later);
    free(t->key);
    free(t);
}

static void on_timer(void *opaque)
{
    Throttle *t = opaque;

    if (!t->later) {
        throttle_free(t);
        return;
    }
    send(t->set, t->later);
    json_object_put(t->later);
    t->later = NULL;
    timer_arm(&t->timer, clock_ns(t->set->clock) + t->event->rate_limit_ns);
}

/* What tells apart the objects that an event is about; owned. */
static char *key_of(struct json_object *json)
{
    static const char *const names[] = { "qom-path", "id", "node-name", "device" };
    struct json_object *data, *v;

    if (json_object_object_get_ex(json, "data", &data)) {
        for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
            if (json_object_object_get_ex(data, names[i], &v)) {
                return q_strdup(json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "");
            }
        }
    }
    return q_strdup("");
}

/* Takes json. */
static void deliver(MonitorSet *set, const QEvent *event, struct json_object *json)
{
    Throttle *t;
    char *key;

    if (!event->rate_limit_ns) {
        send(set, json);
        json_object_put(json);
        return;
    }
    key = key_of(json);
    list_foreach (Throttle, old, &set->throttled, link) {
        if (old->event == event && !strcmp(old->key, key)) {
            json_object_put(old->later);
            old->later = json;
            free(key);
            return;
        }
    }
    t = q_calloc(1, sizeof(*t));
    *t = (Throttle){ .set = set, .event = event, .key = key, .deadline = TIMER_OFF };
    timer_init(&t->timer, set->clock, &t->deadline, on_timer, t);
    list_append(&set->throttled, &t->link);
    send(set, json);
    json_object_put(json);
    timer_arm(&t->timer, clock_ns(set->clock) + event->rate_limit_ns);
}

static void deliver_posted(void *opaque)
{
    MonitorSet *set = opaque;
    List posted;

    list_init(&posted);
    WITH_MUTEX (&set->lock) {
        list_splice(&posted, &set->posted);
        set->num_posted = 0;
    }
    for (ListLink *l; (l = list_pop(&posted));) {
        Posted *p = container_of(l, Posted, link);
        deliver(set, p->event, p->json);
        free(p);
    }
}

void monitors_emit(MonitorSet *set, const QEvent *event, const void *data)
{
    struct json_object *json, *copy = NULL, *members;
    bool full;
    Posted *p;

    if (qcompat_hides(set->policy, &event->item)) {
        return;
    }
    json = qevent_json(event, data, &set->refs);
    if (json_object_object_get_ex(json, "data", &members)) {
        qcompat_hide_members(set->policy, event->args, members);
    }
    if (loop_current() == set->loop) {
        deliver_posted(set);
        deliver(set, event, json);
        return;
    }
    json_object_deep_copy(json, &copy, NULL); /* a member "any" is shared with the caller, and its count is not atomic */
    json_object_put(json);
    p = q_calloc(1, sizeof(*p));
    p->event = event;
    p->json = json = copy;
    mutex_lock(&set->lock);
    full = set->num_posted == POSTED_MAX;
    if (!full) {
        list_append(&set->posted, &p->link);
        set->num_posted++;
    }
    mutex_unlock(&set->lock);
    if (full) {
        json_object_put(json);
        free(p);
    }
    loop_work_schedule(&set->deliver);
}

void events_init(MonitorSet *set)
{
    list_init(&set->throttled);
    list_init(&set->posted);
    loop_work_init(&set->deliver, set->loop, deliver_posted, set);
}

void events_finish(MonitorSet *set)
{
    deliver_posted(set);
    loop_work_cancel(&set->deliver);
    list_foreach_safe (Throttle, t, &set->throttled, link) {
        throttle_free(t);
    }
}
