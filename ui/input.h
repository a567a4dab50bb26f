/*
 * Input from people (displays, VNC, the monitor's sendkey) to the devices of a machine.
 *
 * A tree has one InputHub. A device adds its handler at realize; of those that take a kind of event, the one
 * added last gets it.
 *
 *     InputHub *hub = input_hub(tree, errp);
 *     input_key(hub, Q_KEY_CODE_A, true);
 *     input_key(hub, Q_KEY_CODE_A, false);
 *     input_motion(hub, INPUT_AXIS_X, 12);
 *     input_button(hub, INPUT_BUTTON_LEFT, true);
 *     input_sync(hub);                    // what moved or was pressed since the last one belongs together
 *
 * Everything here is called under the machine's lock.
 */
#ifndef UI_INPUT_H
#define UI_INPUT_H

#include "qom/qom.h"
#include "ui/input.gen.h" /* QKeyCode, InputButton, InputAxis */

typedef struct InputHub InputHub;

typedef struct InputHandler {
    /* Those that are NULL: it does not take such events. */
    void (*key)(void *opaque, QKeyCode key, bool down);
    void (*motion)(void *opaque, InputAxis axis, int delta);
    void (*button)(void *opaque, InputButton button, bool down);
    void (*sync)(void *opaque); /* needs motion */
    void *opaque;
    struct InputHandler *next;  /* the hub's own */
} InputHandler;

/* The tree's hub, at /backend/input; made when it is missing. Borrowed. NULL: a name in the tree is taken. */
InputHub *input_hub(QomTree *tree, Error **errp);
/* h belongs to the caller, and stays until it is deleted. */
void input_handler_add(InputHub *hub, InputHandler *h);
void input_handler_del(InputHub *hub, InputHandler *h); /* one that was not added: nothing */

/* A key that is down and goes down again repeats. Nobody takes it: it is lost. */
void input_key(InputHub *hub, QKeyCode key, bool down);
bool input_key_is_down(const InputHub *hub, QKeyCode key);
void input_release_keys(InputHub *hub); /* all that are down: the window lost the focus */
void input_motion(InputHub *hub, InputAxis axis, int delta);
void input_button(InputHub *hub, InputButton button, bool down);
void input_sync(InputHub *hub);

#endif
