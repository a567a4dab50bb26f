/* PS/2 keyboard and mouse: what they send for keys, movement and commands. */
#include "hw/input/ps2.h"

#include <glib.h>
#include <string.h>

static Ps2Keyboard new_keyboard(void)
{
    return (Ps2Keyboard){.scanning = true, .set = 2};
}

static char *taken_keyboard(Ps2Keyboard *k)
{
    GString *s = g_string_new(NULL);
    uint8_t v;

    while (ps2_keyboard_take(k, &v)) {
        g_string_append_printf(s, "%02x ", v);
    }
    return g_string_free(s, FALSE);
}

static char *taken_mouse(Ps2Mouse *m)
{
    GString *s = g_string_new(NULL);
    uint8_t v;

    while (ps2_mouse_take(m, &v)) {
        g_string_append_printf(s, "%02x ", v);
    }
    return g_string_free(s, FALSE);
}

#define assert_sends(what, object, text)                                                          \
    do {                                                                                          \
        g_autofree char *got = taken_##what(object);                                              \
        g_assert_cmpstr(got, ==, text);                                                           \
    } while (0)

static void press(Ps2Keyboard *k, QKeyCode key, const char *make, const char *brk)
{
    ps2_keyboard_key(k, key, true);
    assert_sends(keyboard, k, make);
    ps2_keyboard_key(k, key, false);
    assert_sends(keyboard, k, brk);
}

static void test_keys(void)
{
    Ps2Keyboard k = new_keyboard();

    press(&k, Q_KEY_CODE_A, "1c ", "f0 1c ");
    press(&k, Q_KEY_CODE_LEFT, "e0 6b ", "e0 f0 6b ");
    press(&k, Q_KEY_CODE_PRINT, "e0 12 e0 7c ", "e0 f0 7c e0 f0 12 ");
    press(&k, Q_KEY_CODE_PAUSE, "e1 14 77 e1 f0 14 f0 77 ", "");
    ps2_keyboard_key(&k, Q_KEY_CODE_CTRL, true);
    assert_sends(keyboard, &k, "14 ");
    press(&k, Q_KEY_CODE_PAUSE, "e0 7e e0 f0 7e ", "");
    ps2_keyboard_key(&k, Q_KEY_CODE_CTRL, false);
    assert_sends(keyboard, &k, "f0 14 ");
    ps2_keyboard_key(&k, Q_KEY_CODE_ALT, true);
    assert_sends(keyboard, &k, "11 ");
    press(&k, Q_KEY_CODE_PRINT, "84 ", "f0 84 ");
    k.set = 1;
    press(&k, Q_KEY_CODE_A, "1e ", "9e ");
    press(&k, Q_KEY_CODE_LEFT, "e0 4b ", "e0 cb ");
    k.set = 3;
    press(&k, Q_KEY_CODE_A, "1c ", "f0 1c ");
    press(&k, Q_KEY_CODE_LEFT, "61 ", "f0 61 ");
    press(&k, Q_KEY_CODE_UNMAPPED, "", "");
}

/* Set 1 by translation is what every PC's software knows: spot checks all over the keyboard. */
static void test_translation(void)
{
    static const struct {
        QKeyCode key;
        uint8_t set1;
    } known[] = {
        {Q_KEY_CODE_ESC, 0x01}, {Q_KEY_CODE_1, 0x02}, {Q_KEY_CODE_0, 0x0b}, {Q_KEY_CODE_BACKSPACE, 0x0e},
        {Q_KEY_CODE_TAB, 0x0f}, {Q_KEY_CODE_Q, 0x10}, {Q_KEY_CODE_P, 0x19}, {Q_KEY_CODE_RET, 0x1c},
        {Q_KEY_CODE_CTRL, 0x1d}, {Q_KEY_CODE_A, 0x1e}, {Q_KEY_CODE_L, 0x26}, {Q_KEY_CODE_GRAVE_ACCENT, 0x29},
        {Q_KEY_CODE_SHIFT, 0x2a}, {Q_KEY_CODE_BACKSLASH, 0x2b}, {Q_KEY_CODE_Z, 0x2c}, {Q_KEY_CODE_SLASH, 0x35},
        {Q_KEY_CODE_SHIFT_R, 0x36}, {Q_KEY_CODE_ALT, 0x38}, {Q_KEY_CODE_SPC, 0x39}, {Q_KEY_CODE_CAPS_LOCK, 0x3a},
        {Q_KEY_CODE_F1, 0x3b}, {Q_KEY_CODE_F7, 0x41}, {Q_KEY_CODE_F10, 0x44}, {Q_KEY_CODE_NUM_LOCK, 0x45},
        {Q_KEY_CODE_SCROLL_LOCK, 0x46}, {Q_KEY_CODE_KP_7, 0x47}, {Q_KEY_CODE_KP_SUBTRACT, 0x4a},
        {Q_KEY_CODE_KP_ADD, 0x4e}, {Q_KEY_CODE_KP_DECIMAL, 0x53}, {Q_KEY_CODE_LESS, 0x56}, {Q_KEY_CODE_F11, 0x57},
        {Q_KEY_CODE_F12, 0x58}, {Q_KEY_CODE_SYSRQ, 0x54},
    };
    bool seen[256] = {false};

    for (unsigned i = 0; i < G_N_ELEMENTS(known); i++) {
        Ps2Keyboard k = new_keyboard();
        uint8_t v;

        ps2_keyboard_key(&k, known[i].key, true);
        g_assert_true(ps2_keyboard_take(&k, &v));
        g_assert_cmphex(ps2_set1_of_set2[v], ==, known[i].set1);
    }
    for (unsigned i = 0; i < 256; i++) { /* nothing is lost, but for the two codes that set 2 has above 0x7f */
        uint8_t v = ps2_set1_of_set2[i];

        g_assert_true(!seen[v] || i == 0x83 || i == 0x84 || i == 0xff);
        seen[v] = true;
    }
}

static void test_keyboard_commands(void)
{
    Ps2Keyboard k = new_keyboard();

#define SEND(value, answer)                                                                       \
    ps2_keyboard_write(&k, value);                                                                \
    assert_sends(keyboard, &k, answer)
    SEND(0xff, "fa aa ");
    SEND(0xf2, "fa ab 83 ");
    SEND(0xee, "ee ");
    SEND(0xed, "fa ");
    SEND(0x05, "fa ");
    g_assert_cmpint(k.leds, ==, 5);
    SEND(0xf0, "fa ");
    SEND(0x00, "fa 02 ");
    SEND(0xf0, "fa ");
    SEND(0x03, "fa ");
    g_assert_cmpint(k.set, ==, 3);
    SEND(0xf0, "fa ");
    SEND(0x09, "fe ");
    SEND(0xfb, "fa ");
    SEND(0x1c, "fa ");
    SEND(0x1b, "fa ");
    SEND(0xf4, "fa ");
    SEND(0xf5, "fa ");
    press(&k, Q_KEY_CODE_A, "", "");
    SEND(0xf4, "fa ");
    press(&k, Q_KEY_CODE_A, "1c ", "f0 1c ");
    SEND(0x12, "fe ");
    SEND(0xfe, "fe "); /* again what came last */
    SEND(0xed, "fa ");
    SEND(0xf4, "fa "); /* a command instead of the argument */
#undef SEND
}

static void test_keyboard_full(void)
{
    Ps2Keyboard k = new_keyboard();
    unsigned n = 0;
    uint8_t v, last = 0;

    for (int i = 0; i < 1000; i++) {
        ps2_keyboard_key(&k, Q_KEY_CODE_LEFT, i & 1);
    }
    ps2_keyboard_write(&k, 0xee);
    while (ps2_keyboard_take(&k, &v)) {
        last = v;
        n++;
    }
    g_assert_cmpint(n, <=, 65);
    g_assert_cmphex(last, ==, 0x6b); /* no half codes */
}

static void set_rates(Ps2Mouse *m, const uint8_t *rates)
{
    for (int i = 0; i < 3; i++) {
        ps2_mouse_write(m, 0xf3);
        assert_sends(mouse, m, "fa ");
        ps2_mouse_write(m, rates[i]);
        assert_sends(mouse, m, "fa ");
    }
}

static void test_mouse(void)
{
    Ps2Mouse m = {.rate = 100, .resolution = 2};

#define SEND(value, answer)                                                                       \
    ps2_mouse_write(&m, value);                                                                   \
    assert_sends(mouse, &m, answer)
    SEND(0xff, "fa aa 00 ");
    SEND(0xf2, "fa 00 ");
    ps2_mouse_motion(&m, 5, 5, 0);
    assert_sends(mouse, &m, ""); /* not enabled */
    SEND(0xf4, "fa ");
    ps2_mouse_motion(&m, 5, 3, 0); /* 3 down */
    assert_sends(mouse, &m, "28 05 fd ");
    ps2_mouse_button(&m, INPUT_BUTTON_LEFT, true);
    assert_sends(mouse, &m, "09 00 00 ");
    ps2_mouse_motion(&m, 300, 0, 0); /* in parts */
    assert_sends(mouse, &m, "09 7f 00 09 7f 00 09 2e 00 ");
    ps2_mouse_button(&m, INPUT_BUTTON_LEFT, false);
    assert_sends(mouse, &m, "08 00 00 ");
    SEND(0xe9, "fa 20 02 64 ");
    set_rates(&m, (const uint8_t[]){200, 100, 80});
    SEND(0xf2, "fa 03 ");
    ps2_mouse_button(&m, INPUT_BUTTON_WHEEL_UP, true);
    assert_sends(mouse, &m, "08 00 00 ff ");
    set_rates(&m, (const uint8_t[]){200, 200, 80});
    SEND(0xf2, "fa 04 ");
    ps2_mouse_button(&m, INPUT_BUTTON_SIDE, true);
    assert_sends(mouse, &m, "08 00 00 10 ");
    SEND(0xee, "fa ");
    SEND(0x55, "55 ");
    SEND(0xec, "fa ");
    SEND(0xf0, "fa ");
    ps2_mouse_motion(&m, 1, 0, 0);
    assert_sends(mouse, &m, "");
    SEND(0xeb, "fa 08 01 00 10 ");
    SEND(0x00, "fe ");
    SEND(0xe8, "fa ");
    SEND(7, "fe ");
#undef SEND
}

static void test_random(void)
{
    Ps2Mouse m = {.rate = 100, .resolution = 2};
    Ps2Keyboard k = new_keyboard();
    uint8_t v;

    for (int i = 0; i < 200000; i++) {
        switch (g_test_rand_int_range(0, 6)) {
        case 0:
            ps2_mouse_write(&m, g_test_rand_int());
            break;
        case 1:
            ps2_mouse_motion(&m, g_test_rand_int(), g_test_rand_int(), g_test_rand_int());
            break;
        case 2:
            ps2_mouse_button(&m, g_test_rand_int_range(0, INPUT_BUTTON__COUNT), g_test_rand_bit());
            break;
        case 3:
            ps2_keyboard_write(&k, g_test_rand_int());
            break;
        case 4:
            ps2_keyboard_key(&k, g_test_rand_int_range(0, Q_KEY_CODE__COUNT), g_test_rand_bit());
            break;
        default:
            ps2_mouse_take(&m, &v);
            ps2_keyboard_take(&k, &v);
        }
        g_assert_cmpint(ABS(m.x), <=, 65536);
        g_assert_true(k.set >= 1 && k.set <= 3 && m.resolution <= 3);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/ps2/keys", test_keys);
    g_test_add_func("/ps2/translation", test_translation);
    g_test_add_func("/ps2/keyboard-commands", test_keyboard_commands);
    g_test_add_func("/ps2/keyboard-full", test_keyboard_full);
    g_test_add_func("/ps2/mouse", test_mouse);
    g_test_add_func("/ps2/random", test_random);
    return g_test_run();
}
