/* Consoles as objects of the tree. */
#include "ui/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ui/console.gen.h"

struct Console {
    Object obj;
    GraphicConsoleConf conf;
    Object *device;
    const ConsoleOps *ops;
    void *hw;
    Surface *surface;
};

static void console_finish(Object *o)
{
    surface_free(((Console *)o)->surface);
}

const ObjectOps graphic_console_ops = {
    .size = sizeof(Console),
    .conf_offset = offsetof(Console, conf),
    .finish = console_finish,
};

Console *console_new(QomTree *tree, Object *device, const ConsoleOps *ops, void *hw, Error **errp)
{
    Object *folder = object_container(qom_root(tree), "backend", errp);
    Object *o = folder ? object_new(tree, &qclass_qemu_graphic_console, NULL, errp) : NULL;
    Console *c = (Console *)o;
    bool ok;

    if (!o) {
        return NULL;
    }
    c->device = device;
    c->ops = ops;
    c->hw = hw;
    ok = object_add_child(folder, "console[*]", o, errp) && object_realize(o, errp);
    if (!ok) {
        object_unparent(o);
    }
    object_unref(o);
    return ok ? c : NULL;
}

void console_free(Console *c)
{
    if (c) {
        object_unparent(&c->obj);
    }
}

/* Calls for each console until one is told to be it. */
static Console *console_next(QomTree *tree, Console *after)
{
    Object *folder = object_child(qom_root(tree), "backend");
    Object *o = folder ? object_next(folder, after ? &after->obj : folder) : NULL;

    while (o && o->klass != &qclass_qemu_graphic_console) {
        o = object_next(folder, o);
    }
    return (Console *)o;
}

Console *console_find(QomTree *tree, unsigned n)
{
    Console *c = console_next(tree, NULL);

    while (c && n--) {
        c = console_next(tree, c);
    }
    return c;
}

Console *console_of(QomTree *tree, const Object *device)
{
    Console *c = console_next(tree, NULL);

    while (c && c->device != device) {
        c = console_next(tree, c);
    }
    return c;
}

Surface *console_update(Console *c)
{
    return c->ops->draw(c->hw, &c->surface) ? c->surface : NULL;
}

bool console_screendump(Console *c, const char *filename, bool png, Error **errp)
{
    Surface *s = console_update(c);
    int fd;
    bool ok;

    if (!s) {
        return error_set(errp, "no memory for the picture");
    }
    fd = open(filename, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        return error_set_errno(errp, errno, "failed to open file '%s'", filename);
    }
    ok = png ? surface_write_png(s, fd, errp) : surface_write_ppm(s, fd, errp);
    if (close(fd) != 0 && ok) {
        ok = error_set_errno(errp, errno, "cannot write '%s'", filename);
    }
    return ok;
}
