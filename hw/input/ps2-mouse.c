/* PS/2 mouse. Packets go out as fast as the guest takes them: the sample rate is kept and told, but paces nothing. */
#include <string.h>

#include "hw/input/ps2.h"

enum {
    CMD_SCALE_1 = 0xe6, CMD_SCALE_2 = 0xe7, CMD_RESOLUTION = 0xe8, CMD_STATUS = 0xe9, CMD_STREAM = 0xea, CMD_READ = 0xeb,
    CMD_UNWRAP = 0xec, CMD_WRAP = 0xee, CMD_REMOTE = 0xf0, CMD_ID = 0xf2, CMD_RATE = 0xf3, CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5, CMD_DEFAULT = 0xf6, CMD_RESEND = 0xfe, CMD_RESET = 0xff,
    REPLY_OK = 0xaa, REPLY_ACK = 0xfa, REPLY_ERROR = 0xfe,
    ID_PLAIN = 0, ID_WHEEL = 3, ID_FIVE_BUTTONS = 4,
    MOTION_MAX = 65536,
};

static void reply(Ps2Mouse *m, uint8_t value)
{
    if (m->replies.len < sizeof(m->replies.data)) {
        m->replies.data[m->replies.len++] = value;
    }
}

static int clamp(int v, int min, int max)
{
    return v < min ? min : v > max ? max : v;
}

static bool has_news(const Ps2Mouse *m)
{
    return m->x || m->y || (m->z && m->id) || m->buttons != m->buttons_sent;
}

/* "Scaling 2:1": small movements as they are, others doubled. */
static int scaled(const Ps2Mouse *m, int v)
{
    static const uint8_t table[6] = {0, 1, 1, 3, 6, 9};
    int a = v < 0 ? -v : v;

    if (!m->scaling || m->remote) {
        return v;
    }
    a = a < 6 ? table[a] : 2 * a;
    return v < 0 ? -a : a;
}

/* Takes from *v what one packet can carry. */
static int take_motion(int32_t *v, int min, int max)
{
    int part = clamp(*v, min, max);

    *v -= part;
    return part;
}

static void put_packet(Ps2Mouse *m)
{
    int x = take_motion(&m->x, -127, 127), y = take_motion(&m->y, -127, 127), z;

    x = clamp(scaled(m, x), -255, 255);
    y = clamp(scaled(m, y), -255, 255);
    reply(m, 8 | (m->buttons & 7) | (x < 0 ? 0x10 : 0) | (y < 0 ? 0x20 : 0));
    reply(m, x);
    reply(m, y);
    if (m->id == ID_WHEEL) {
        reply(m, take_motion(&m->z, -127, 127));
    } else if (m->id == ID_FIVE_BUTTONS) {
        z = take_motion(&m->z, -7, 7);
        reply(m, (z & 15) | (m->buttons & 0x18) << 1);
    } else {
        m->z = 0;
    }
    m->buttons_sent = m->buttons;
}

static void set_defaults(Ps2Mouse *m)
{
    m->rate = 100;
    m->resolution = 2;
    m->scaling = false;
    m->reporting = false;
    m->remote = false;
    m->x = m->y = m->z = 0;
}

/* IntelliMouse: rates 200, 100, 80 switch the wheel on, then 200, 200, 80 the further buttons. */
static void set_rate(Ps2Mouse *m, uint8_t rate)
{
    uint8_t *h = m->rate_history;

    m->rate = rate;
    h[0] = h[1];
    h[1] = h[2];
    h[2] = rate;
    if (h[0] == 200 && h[1] == 100 && h[2] == 80 && m->id == ID_PLAIN) {
        m->id = ID_WHEEL;
    } else if (h[0] == 200 && h[1] == 200 && h[2] == 80 && m->id == ID_WHEEL) {
        m->id = ID_FIVE_BUTTONS;
    }
}

static void send_status(Ps2Mouse *m)
{
    reply(m, (m->remote ? 0x40 : 0) | (m->reporting ? 0x20 : 0) | (m->scaling ? 0x10 : 0) | (m->buttons & 1 ? 4 : 0) |
                 (m->buttons & 4 ? 2 : 0) | (m->buttons & 2 ? 1 : 0));
    reply(m, m->resolution);
    reply(m, m->rate);
}

static void take_argument(Ps2Mouse *m, uint8_t value)
{
    uint8_t command = m->pending;

    m->pending = 0;
    if (command == CMD_RESOLUTION && value > 3) {
        reply(m, REPLY_ERROR);
        return;
    }
    if (command == CMD_RESOLUTION) {
        m->resolution = value;
    } else {
        set_rate(m, value);
    }
    reply(m, REPLY_ACK);
}

static void do_command(Ps2Mouse *m, uint8_t value)
{
    switch (value) {
    case CMD_SCALE_1:
    case CMD_SCALE_2:
        m->scaling = value == CMD_SCALE_2;
        break;
    case CMD_RESOLUTION:
    case CMD_RATE:
        m->pending = value;
        break;
    case CMD_STATUS:
        send_status(m);
        break;
    case CMD_STREAM:
        m->remote = false;
        break;
    case CMD_REMOTE:
        m->remote = true;
        break;
    case CMD_READ:
        put_packet(m);
        break;
    case CMD_UNWRAP:
    case CMD_WRAP:
        m->wrap = value == CMD_WRAP;
        break;
    case CMD_ID:
        reply(m, m->id);
        break;
    case CMD_ENABLE:
    case CMD_DISABLE:
        m->reporting = value == CMD_ENABLE;
        break;
    case CMD_RESET:
        m->id = ID_PLAIN;
        m->wrap = false;
        set_defaults(m);
        reply(m, REPLY_OK);
        reply(m, m->id);
        break;
    case CMD_DEFAULT:
        set_defaults(m);
        break;
    }
}

static bool is_command(uint8_t value)
{
    return (value >= CMD_SCALE_1 && value <= CMD_UNWRAP) || value == CMD_WRAP || value == CMD_REMOTE ||
           (value >= CMD_ID && value <= CMD_DEFAULT) || value == CMD_RESET;
}

void ps2_mouse_write(Ps2Mouse *m, uint8_t value)
{
    if (value == CMD_RESEND) {
        reply(m, m->last);
        return;
    }
    m->replies.len = 0;
    if (m->wrap && value != CMD_UNWRAP && value != CMD_RESET) {
        reply(m, value);
    } else if (m->pending && value < CMD_SCALE_1) {
        take_argument(m, value);
    } else if (!is_command(value)) {
        m->pending = 0;
        reply(m, REPLY_ERROR);
    } else {
        m->pending = 0;
        reply(m, REPLY_ACK);
        do_command(m, value);
    }
}

bool ps2_mouse_take(Ps2Mouse *m, uint8_t *value)
{
    if (m->replies.len == 0 && m->reporting && !m->remote && !m->wrap && has_news(m)) {
        put_packet(m);
    }
    if (m->replies.len == 0) {
        return false;
    }
    *value = m->last = m->replies.data[0];
    memmove(m->replies.data, m->replies.data + 1, --m->replies.len);
    return true;
}

static void add_motion(int32_t *v, int delta)
{
    *v = clamp(*v + clamp(delta, -MOTION_MAX, MOTION_MAX), -MOTION_MAX, MOTION_MAX);
}

void ps2_mouse_motion(Ps2Mouse *m, int dx, int dy, int dz)
{
    if (m->reporting || m->remote) {
        add_motion(&m->x, dx);
        add_motion(&m->y, -clamp(dy, -MOTION_MAX, MOTION_MAX)); /* the packet counts upwards */
        add_motion(&m->z, dz);
    }
}

void ps2_mouse_button(Ps2Mouse *m, InputButton button, bool down)
{
    static const uint8_t bits[INPUT_BUTTON__COUNT] = {
        [INPUT_BUTTON_LEFT] = 1, [INPUT_BUTTON_RIGHT] = 2, [INPUT_BUTTON_MIDDLE] = 4, [INPUT_BUTTON_SIDE] = 8,
        [INPUT_BUTTON_EXTRA] = 16,
    };

    if (button == INPUT_BUTTON_WHEEL_UP || button == INPUT_BUTTON_WHEEL_DOWN) {
        if (down) {
            ps2_mouse_motion(m, 0, 0, button == INPUT_BUTTON_WHEEL_UP ? -1 : 1);
        }
        return;
    }
    m->buttons = down ? m->buttons | bits[button] : m->buttons & ~bits[button];
}
