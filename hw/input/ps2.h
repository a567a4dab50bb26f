/*
 * A PS/2 keyboard and a PS/2 mouse, as their host's controller sees them: bytes that it sends to them and takes
 * from them. IBM PS/2 Hardware Interface Technical Reference, "Keyboards" and "Mouse"; the wheel and five buttons
 * as Microsoft's IntelliMouse protocol.
 *
 * Bytes that nobody takes are bounded: codes of keys that find no room are lost whole, movement adds up.
 */
#ifndef HW_INPUT_PS2_H
#define HW_INPUT_PS2_H

#include "hw/input/i8042.gen.h" /* Ps2Keyboard, Ps2Mouse */
#include "ui/input.h"

void ps2_keyboard_write(Ps2Keyboard *k, uint8_t value);
bool ps2_keyboard_take(Ps2Keyboard *k, uint8_t *value); /* next byte to the controller; false: none */
void ps2_keyboard_key(Ps2Keyboard *k, QKeyCode key, bool down);

void ps2_mouse_write(Ps2Mouse *m, uint8_t value);
bool ps2_mouse_take(Ps2Mouse *m, uint8_t *value);
void ps2_mouse_motion(Ps2Mouse *m, int dx, int dy, int dz); /* dy: downwards; dz: towards the hand */
void ps2_mouse_button(Ps2Mouse *m, InputButton button, bool down);

/* Set 1 code of a set 2 byte: the controller's translation. */
extern const uint8_t ps2_set1_of_set2[256];

#endif
