/* Commands that are input to the guest. Scan codes: IBM PS/2 Technical Reference, set 1. */
#include <stdlib.h>
#include <string.h>

#include "monitor/input.gen.h"
#include "monitor/internal.h"
#include "ui/input.h"
#include "util/clock.h"

enum { KEYS_MAX = 32, JOBS_MAX = 256 };

/* ---- Names of keys ---- */

#define NONE Q_KEY_CODE_UNMAPPED
static const uint8_t xt_keys[] = {
    NONE, Q_KEY_CODE_ESC, Q_KEY_CODE_1, Q_KEY_CODE_2, Q_KEY_CODE_3, Q_KEY_CODE_4, Q_KEY_CODE_5, Q_KEY_CODE_6,
    Q_KEY_CODE_7, Q_KEY_CODE_8, Q_KEY_CODE_9, Q_KEY_CODE_0, Q_KEY_CODE_MINUS, Q_KEY_CODE_EQUAL, Q_KEY_CODE_BACKSPACE,
    Q_KEY_CODE_TAB, /* 0x10 */ Q_KEY_CODE_Q, Q_KEY_CODE_W, Q_KEY_CODE_E, Q_KEY_CODE_R, Q_KEY_CODE_T, Q_KEY_CODE_Y,
    Q_KEY_CODE_U, Q_KEY_CODE_I, Q_KEY_CODE_O, Q_KEY_CODE_P, Q_KEY_CODE_BRACKET_LEFT, Q_KEY_CODE_BRACKET_RIGHT,
    Q_KEY_CODE_RET, Q_KEY_CODE_CTRL, Q_KEY_CODE_A, Q_KEY_CODE_S, /* 0x20 */ Q_KEY_CODE_D, Q_KEY_CODE_F, Q_KEY_CODE_G,
    Q_KEY_CODE_H, Q_KEY_CODE_J, Q_KEY_CODE_K, Q_KEY_CODE_L, Q_KEY_CODE_SEMICOLON, Q_KEY_CODE_APOSTROPHE,
    Q_KEY_CODE_GRAVE_ACCENT, Q_KEY_CODE_SHIFT, Q_KEY_CODE_BACKSLASH, Q_KEY_CODE_Z, Q_KEY_CODE_X, Q_KEY_CODE_C,
    Q_KEY_CODE_V, /* 0x30 */ Q_KEY_CODE_B, Q_KEY_CODE_N, Q_KEY_CODE_M, Q_KEY_CODE_COMMA, Q_KEY_CODE_DOT,
    Q_KEY_CODE_SLASH, Q_KEY_CODE_SHIFT_R, Q_KEY_CODE_KP_MULTIPLY, Q_KEY_CODE_ALT, Q_KEY_CODE_SPC, Q_KEY_CODE_CAPS_LOCK,
    Q_KEY_CODE_F1, Q_KEY_CODE_F2, Q_KEY_CODE_F3, Q_KEY_CODE_F4, Q_KEY_CODE_F5, /* 0x40 */ Q_KEY_CODE_F6, Q_KEY_CODE_F7,
    Q_KEY_CODE_F8, Q_KEY_CODE_F9, Q_KEY_CODE_F10, Q_KEY_CODE_NUM_LOCK, Q_KEY_CODE_SCROLL_LOCK, Q_KEY_CODE_KP_7,
    Q_KEY_CODE_KP_8, Q_KEY_CODE_KP_9, Q_KEY_CODE_KP_SUBTRACT, Q_KEY_CODE_KP_4, Q_KEY_CODE_KP_5, Q_KEY_CODE_KP_6,
    Q_KEY_CODE_KP_ADD, Q_KEY_CODE_KP_1, /* 0x50 */ Q_KEY_CODE_KP_2, Q_KEY_CODE_KP_3, Q_KEY_CODE_KP_0,
    Q_KEY_CODE_KP_DECIMAL, Q_KEY_CODE_SYSRQ, NONE, Q_KEY_CODE_LESS, Q_KEY_CODE_F11, Q_KEY_CODE_F12,
};

static const struct {
    uint8_t code;
    uint8_t key;
} xt_extended[] = { /* after E0 */
    { 0x1c, Q_KEY_CODE_KP_ENTER }, { 0x1d, Q_KEY_CODE_CTRL_R }, { 0x35, Q_KEY_CODE_KP_DIVIDE }, { 0x37, Q_KEY_CODE_PRINT },
    { 0x38, Q_KEY_CODE_ALT_R }, { 0x46, Q_KEY_CODE_PAUSE }, { 0x47, Q_KEY_CODE_HOME }, { 0x48, Q_KEY_CODE_UP },
    { 0x49, Q_KEY_CODE_PGUP }, { 0x4b, Q_KEY_CODE_LEFT }, { 0x4d, Q_KEY_CODE_RIGHT }, { 0x4f, Q_KEY_CODE_END },
    { 0x50, Q_KEY_CODE_DOWN }, { 0x51, Q_KEY_CODE_PGDN }, { 0x52, Q_KEY_CODE_INSERT }, { 0x53, Q_KEY_CODE_DELETE },
    { 0x5b, Q_KEY_CODE_META_L }, { 0x5c, Q_KEY_CODE_META_R }, { 0x5d, Q_KEY_CODE_COMPOSE }, { 0x5e, Q_KEY_CODE_POWER },
    { 0x5f, Q_KEY_CODE_SLEEP }, { 0x63, Q_KEY_CODE_WAKE },
};

static QKeyCode xt_key(int64_t code)
{
    bool extended = (code & ~0x7f) == 0x80 || (code & ~0xff) == 0xe000;

    if (code >= 0 && code < (int64_t)sizeof(xt_keys)) {
        return xt_keys[code];
    }
    for (size_t i = 0; extended && i < sizeof(xt_extended) / sizeof(*xt_extended); i++) {
        if (xt_extended[i].code == (code & 0x7f)) {
            return xt_extended[i].key;
        }
    }
    return NONE;
}

static bool key_of(const KeyValue *v, QKeyCode *out, Error **errp)
{
    *out = v->type == KEY_VALUE_KIND_QCODE ? v->u.qcode.data : xt_key(v->u.number.data);
    if (v->type == KEY_VALUE_KIND_NUMBER && *out == NONE) {
        return error_set(errp, "there is no key with the scan code %lld", (long long)v->u.number.data);
    }
    return true;
}

/* ---- Keys that are held for a while ---- */

typedef struct {
    ListLink link;
    MonitorSet *set;
    QKeyCode keys[KEYS_MAX];
    size_t num_keys;
    bool pressed, released;
    int64_t hold_ns, deadline;
    Timer timer;
} KeyJob;

static InputHub *hub_of(MonitorSet *set)
{
    return input_hub(set->tree, NULL);
}

static void job_free(KeyJob *j)
{
    timer_finish(&j->timer);
    list_remove(&j->link);
    free(j);
}

static void press(KeyJob *j)
{
    InputHub *hub = hub_of(j->set);

    for (size_t i = 0; hub && i < j->num_keys; i++) {
        input_key(hub, j->keys[i], true);
    }
    j->pressed = true;
    timer_arm(&j->timer, clock_ns(j->set->clock) + j->hold_ns);
}

static void release(KeyJob *j)
{
    InputHub *hub = hub_of(j->set);

    for (size_t i = j->num_keys; hub && i-- > 0;) {
        input_key(hub, j->keys[i], false);
    }
    j->released = true;
    timer_arm(&j->timer, clock_ns(j->set->clock) + j->hold_ns);
}

static KeyJob *first_job(MonitorSet *set)
{
    list_foreach (KeyJob, j, &set->keys, link) {
        return j;
    }
    return NULL;
}

static void on_timer(void *opaque)
{
    KeyJob *j = opaque, *next;
    MonitorSet *set = j->set;

    set->host->lock(set->program);
    if (!j->released) {
        release(j);
    } else {
        job_free(j);
        if ((next = first_job(set))) {
            press(next);
        }
    }
    set->host->unlock(set->program);
}

void keys_finish(MonitorSet *set)
{
    for (KeyJob *j; (j = first_job(set));) {
        job_free(j);
    }
}

static bool queue_keys(QCallContext *cc, const QKeyCode *keys, size_t n, int64_t hold_ms, Error **errp)
{
    MonitorSet *set = monitor_set(cc);
    bool idle = !first_job(set);
    size_t jobs = 0; /* that wait */
    KeyJob *j;

    list_foreach (KeyJob, other, &set->keys, link) {
        jobs += !other->pressed;
    }
    if (n > KEYS_MAX || jobs >= JOBS_MAX) {
        return n > KEYS_MAX ? error_set(errp, "too many keys; at most %d are pressed together", KEYS_MAX)
                            : error_set(errp, "too many keys are waiting to be pressed");
    }
    j = q_calloc(1, sizeof(*j));
    j->set = set;
    memcpy(j->keys, keys, n * sizeof(*keys));
    j->num_keys = n;
    j->hold_ns = hold_ms * 1000000;
    timer_init(&j->timer, set->clock, &j->deadline, on_timer, j);
    list_append(&set->keys, &j->link);
    if (idle) {
        press(j);
    }
    return true;
}

bool qmp_send_key(QCallContext *cc, const SendKeyArgs *args, Error **errp)
{
    QKeyCode keys[KEYS_MAX];

    if (args->keys.len > KEYS_MAX) {
        return error_set(errp, "too many keys; at most %d are pressed together", KEYS_MAX);
    }
    for (size_t i = 0; i < args->keys.len; i++) {
        if (!key_of(args->keys.items[i], &keys[i], errp)) {
            return false;
        }
    }
    return queue_keys(cc, keys, args->keys.len, args->hold_time, errp);
}

/* One name of "ctrl-alt-f1". */
static bool parse_key(const char *name, QKeyCode *out, Error **errp)
{
    const QEnumValue *v = qtype_enum_value(&qtype_QKeyCode, !strcmp(name, "<") ? "less" : name);
    char *end = NULL;
    long code = !strncmp(name, "0x", 2) ? strtol(name, &end, 16) : -1;

    *out = v ? (QKeyCode)v->value : end && !*end ? xt_key(code) : NONE;
    return *out != NONE ? true : error_set(errp, "invalid parameter: %s", name);
}

bool hmp_sendkey(QCallContext *cc, const SendkeyHmp *args, Error **errp)
{
    QKeyCode keys[KEYS_MAX];
    char *copy = q_strdup(args->keys), *rest = copy, *name;
    size_t n = 0;
    Error *err = NULL;
    bool ok = true;

    while (ok && (name = strsep(&rest, "-"))) {
        ok = n < KEYS_MAX ? parse_key(name, &keys[n], &err)
                          : error_set(&err, "too many keys; at most %d are pressed together", KEYS_MAX);
        n++;
    }
    free(copy);
    if (err) { /* without "Error:", as scripts know it */
        monitor_printf(cc, "%s\n", error_message(err));
        error_free(err);
        return true;
    }
    if (ok && args->has_hold_time && (args->hold_time < 0 || args->hold_time > 60000)) {
        ok = error_set(errp, "hold-time is 0 to 60000 ms, not %lld", (long long)args->hold_time);
    }
    return ok && queue_keys(cc, keys, n, args->has_hold_time ? args->hold_time : 100, errp);
}

/* ---- Events ---- */

static bool send_event(InputHub *hub, const InputEvent *e, Error **errp)
{
    QKeyCode key;

    switch (e->type) {
    case INPUT_EVENT_KIND_KEY:
        if (!key_of(e->u.key.data->key, &key, errp)) {
            return false;
        }
        input_key(hub, key, e->u.key.data->down);
        break;
    case INPUT_EVENT_KIND_BTN:
        input_button(hub, e->u.btn.data->button, e->u.btn.data->down);
        break;
    case INPUT_EVENT_KIND_REL:
        input_motion(hub, e->u.rel.data->axis, (int)e->u.rel.data->value);
        break;
    }
    return true;
}

bool qmp_input_send_event(QCallContext *cc, const InputSendEventArgs *args, Error **errp)
{
    InputHub *hub = input_hub(monitor_tree(cc), errp);
    bool ok = hub;

    if (ok && args->device && !qom_resolve_ref(monitor_tree(cc), args->device, "device", errp)) {
        return false;
    }
    for (size_t i = 0; ok && i < args->events.len; i++) {
        ok = send_event(hub, args->events.items[i], errp);
    }
    if (hub) {
        input_sync(hub);
    }
    return ok;
}

bool hmp_mouse_move(QCallContext *cc, const MouseMoveHmp *args, Error **errp)
{
    InputHub *hub = input_hub(monitor_tree(cc), errp);
    InputButton wheel = args->has_dz && args->dz > 0 ? INPUT_BUTTON_WHEEL_UP : INPUT_BUTTON_WHEEL_DOWN;

    if (!hub) {
        return false;
    }
    input_motion(hub, INPUT_AXIS_X, (int)args->dx);
    input_motion(hub, INPUT_AXIS_Y, (int)args->dy);
    if (args->has_dz && args->dz) {
        input_button(hub, wheel, true);
        input_sync(hub);
        input_button(hub, wheel, false);
    }
    input_sync(hub);
    return true;
}

bool hmp_mouse_button(QCallContext *cc, const MouseButtonHmp *args, Error **errp)
{
    static const InputButton buttons[] = { INPUT_BUTTON_LEFT, INPUT_BUTTON_MIDDLE, INPUT_BUTTON_RIGHT };
    InputHub *hub = input_hub(monitor_tree(cc), errp);

    for (unsigned i = 0; hub && i < 3; i++) {
        input_button(hub, buttons[i], args->state >> i & 1);
    }
    if (hub) {
        input_sync(hub);
    }
    return hub;
}
