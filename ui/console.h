/*
 * Consoles: where display devices and user interfaces meet. A display device makes one at realize; screendump, VNC and
 * others ask it for the picture.
 *
 *     s->console = console_new(tree, OBJECT(s), &vga_console_ops, s, errp);   // /backend/console[n]
 *     ...
 *     Console *c = console_find(tree, 0);
 *     Surface *pic = c ? console_update(c) : NULL;         // drawn now
 *
 * Under the machine's lock. The device outlives its console: console_free in its unrealize.
 */
#ifndef UI_CONSOLE_H
#define UI_CONSOLE_H

#include "qom/qom.h"
#include "ui/surface.h"

typedef struct Console Console;

typedef struct {
    /* Brings *surface up to date; makes or replaces it when there is none or its size changed. False: no memory. */
    bool (*draw)(void *hw, Surface **surface);
} ConsoleOps;

/* device: whose picture it is; not counted. NULL on failure. */
Console *console_new(QomTree *tree, Object *device, const ConsoleOps *ops, void *hw, Error **errp);
void console_free(Console *c); /* NULL is fine */
/* The n-th console; NULL: there is none. */
Console *console_find(QomTree *tree, unsigned n);
/* The console of a device (screendump device=); NULL: it has none. */
Console *console_of(QomTree *tree, const Object *device);
/* The picture as it is now, the console's; NULL: no memory. */
Surface *console_update(Console *c);
/* File for `screendump`: format "png" or "ppm". */
bool console_screendump(Console *c, const char *filename, bool png, Error **errp);

#endif
