/*
 * PS/2 keyboard. Not modelled: repeating (who sends us keys repeats them), per-key types of set 3 (all keys are typematic and
 * make/break), the lamps.
 */
#include <string.h>

#include "hw/input/ps2.h"

enum {
    CMD_LEDS = 0xed, CMD_ECHO = 0xee, CMD_SET = 0xf0, CMD_ID = 0xf2, CMD_RATE = 0xf3, CMD_ENABLE = 0xf4,
    CMD_DISABLE = 0xf5, CMD_DEFAULT = 0xf6, CMD_ALL_FIRST = 0xf7, CMD_ALL_LAST = 0xfa, CMD_KEY_FIRST = 0xfb,
    CMD_KEY_LAST = 0xfd, CMD_RESEND = 0xfe, CMD_RESET = 0xff,
    REPLY_OK = 0xaa, REPLY_ACK = 0xfa, REPLY_RESEND = 0xfe, REPLY_ECHO = 0xee,
    ID_FIRST = 0xab, ID_SECOND = 0x83,
    PREFIX_BREAK = 0xf0, PREFIX_EXTENDED = 0xe0,
    EXTENDED = 0xe000,
    DEFAULT_RATE = 0x2b,
};

const uint8_t ps2_set1_of_set2[256] = {
    0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
    0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
    0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
    0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
    0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
    0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
    0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
    0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
    0x80, 0x81, 0x82, 0x41, 0x54, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f,
    0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f,
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf,
    0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf,
    0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce, 0xcf,
    0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf,
    0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee, 0xef,
    0xf0, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff,
};

static const struct {
    uint16_t set2;
    uint8_t set3;
} key_codes[Q_KEY_CODE__COUNT] = {
#define K(name, two, three) [Q_KEY_CODE_##name] = {two, three},
#include "hw/input/ps2-keys.def"
#undef K
};

static void reply(Ps2Keyboard *k, uint8_t value)
{
    if (k->replies.len < sizeof(k->replies.data)) {
        k->replies.data[k->replies.len++] = value;
    }
}

static void set_defaults(Ps2Keyboard *k)
{
    k->keys.len = 0;
    k->rate = DEFAULT_RATE;
    k->set = 2;
}

/* The argument of the command before; false when the value is a command itself. */
static bool take_argument(Ps2Keyboard *k, uint8_t value)
{
    uint8_t command = k->pending;

    if (command == 0 || (value >= CMD_LEDS && command < CMD_KEY_FIRST)) {
        k->pending = 0;
        return false;
    }
    k->pending = 0;
    switch (command) {
    case CMD_LEDS:
        k->leds = value & 7;
        break;
    case CMD_RATE:
        k->rate = value;
        break;
    case CMD_SET:
        if (value > 3) {
            reply(k, REPLY_RESEND);
            return true;
        }
        if (value == 0) {
            reply(k, REPLY_ACK);
            reply(k, k->set);
            return true;
        }
        k->set = value;
        k->keys.len = 0;
        break;
    default: /* a list of keys, which a command ends */
        if (value >= CMD_LEDS) {
            return false;
        }
        k->pending = command;
    }
    reply(k, REPLY_ACK);
    return true;
}

void ps2_keyboard_write(Ps2Keyboard *k, uint8_t value)
{
    if (value == CMD_RESEND) {
        reply(k, k->last);
        return;
    }
    k->replies.len = 0; /* a command ends what was being sent */
    if (take_argument(k, value)) {
        return;
    }
    if (value == CMD_ECHO) {
        reply(k, REPLY_ECHO);
        return;
    }
    if (value < CMD_LEDS || value == 0xef || value == 0xf1) {
        reply(k, REPLY_RESEND);
        return;
    }
    reply(k, REPLY_ACK);
    switch (value) {
    case CMD_LEDS:
    case CMD_SET:
    case CMD_RATE:
    case CMD_KEY_FIRST ... CMD_KEY_LAST:
        k->pending = value;
        break;
    case CMD_ID:
        reply(k, ID_FIRST);
        reply(k, ID_SECOND);
        break;
    case CMD_ENABLE:
        k->keys.len = 0;
        k->scanning = true;
        break;
    case CMD_DISABLE:
        set_defaults(k);
        k->scanning = false;
        break;
    case CMD_DEFAULT:
        set_defaults(k);
        break;
    case CMD_ALL_FIRST ... CMD_ALL_LAST:
        k->keys.len = 0;
        break;
    case CMD_RESET:
        set_defaults(k);
        k->scanning = true;
        k->leds = 0;
        reply(k, REPLY_OK);
        break;
    }
}

bool ps2_keyboard_take(Ps2Keyboard *k, uint8_t *value)
{
    if (k->replies.len) {
        *value = k->replies.data[0];
        memmove(k->replies.data, k->replies.data + 1, --k->replies.len);
    } else if (k->keys.len) {
        *value = k->keys.data[0];
        memmove(k->keys.data, k->keys.data + 1, --k->keys.len);
    } else {
        return false;
    }
    k->last = *value;
    return true;
}

/* All of it or nothing: half a code would be another key. */
static void send(Ps2Keyboard *k, const uint8_t *codes, unsigned n)
{
    if (k->keys.len + n <= sizeof(k->keys.data)) {
        memcpy(k->keys.data + k->keys.len, codes, n);
        k->keys.len += n;
    }
}

/* Adds the code of set 2, or of set 1, to out; returns the bytes. */
static unsigned put_code(const Ps2Keyboard *k, uint8_t *out, uint16_t code, bool down)
{
    unsigned n = 0;

    if (code & EXTENDED) {
        out[n++] = PREFIX_EXTENDED;
    }
    if (k->set == 1) {
        out[n++] = ps2_set1_of_set2[code & 0xff] | (down ? 0 : 0x80);
        return n;
    }
    if (!down) {
        out[n++] = PREFIX_BREAK;
    }
    out[n++] = code;
    return n;
}

static void send_print_screen(Ps2Keyboard *k, bool down)
{
    uint8_t codes[6];
    unsigned n;

    if (k->modifiers & 12) { /* with Alt it is another key: SysRq */
        n = put_code(k, codes, 0x84, down);
    } else if (k->modifiers & 3) {
        n = put_code(k, codes, 0xe07c, down);
    } else if (down) {
        n = put_code(k, codes, 0xe012, true);
        n += put_code(k, codes + n, 0xe07c, true);
    } else {
        n = put_code(k, codes, 0xe07c, false);
        n += put_code(k, codes + n, 0xe012, false);
    }
    send(k, codes, n);
}

/* Sends make and break at once when it goes down, and nothing when it goes up. */
static void send_pause(Ps2Keyboard *k)
{
    static const uint8_t set1[] = {0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5};
    static const uint8_t set2[] = {0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77};
    static const uint8_t break1[] = {0xe0, 0x46, 0xe0, 0xc6}, break2[] = {0xe0, 0x7e, 0xe0, 0xf0, 0x7e};

    if (k->modifiers & 3) { /* with Ctrl: Break */
        send(k, k->set == 1 ? break1 : break2, k->set == 1 ? sizeof(break1) : sizeof(break2));
    } else {
        send(k, k->set == 1 ? set1 : set2, k->set == 1 ? sizeof(set1) : sizeof(set2));
    }
}

static void send_set3(Ps2Keyboard *k, QKeyCode key, bool down)
{
    uint8_t code = key == Q_KEY_CODE_PRINT ? 0x57 : key == Q_KEY_CODE_PAUSE ? 0x62 : key_codes[key].set3;
    uint8_t codes[2] = {PREFIX_BREAK, code};

    if (code) {
        send(k, codes + (down ? 1 : 0), down ? 1 : 2);
    }
}

static void track_modifiers(Ps2Keyboard *k, QKeyCode key, bool down)
{
    uint8_t bit = key == Q_KEY_CODE_CTRL ? 1 : key == Q_KEY_CODE_CTRL_R ? 2 : key == Q_KEY_CODE_ALT ? 4
                  : key == Q_KEY_CODE_ALT_R ? 8 : 0;

    k->modifiers = down ? k->modifiers | bit : k->modifiers & ~bit;
}

void ps2_keyboard_key(Ps2Keyboard *k, QKeyCode key, bool down)
{
    uint8_t codes[3];

    track_modifiers(k, key, down);
    if (!k->scanning) {
        return;
    }
    if (k->set == 3) {
        send_set3(k, key, down);
    } else if (key == Q_KEY_CODE_PRINT) {
        send_print_screen(k, down);
    } else if (key == Q_KEY_CODE_PAUSE) {
        if (down) {
            send_pause(k);
        }
    } else if (key_codes[key].set2) {
        send(k, codes, put_code(k, codes, key_codes[key].set2, down));
    }
}
