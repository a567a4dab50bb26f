/* Routing of input: see the header. */
#include "ui/input.h"

#include <stddef.h>

struct InputHub {
    Object obj;
    InputHandler *handlers; /* the one added last first */
    bool down[Q_KEY_CODE__COUNT];
};

const ObjectOps input_hub_ops = {
    .size = sizeof(InputHub),
};

InputHub *input_hub(QomTree *tree, Error **errp)
{
    Object *backend = object_container(qom_root(tree), "backend", errp), *o;

    if (!backend) {
        return NULL;
    }
    o = object_child(backend, "input");
    if (o) {
        return object_is_a(o, "input-hub") ? (InputHub *)o
                                           : (error_set(errp, "/backend/input is taken by something else"), NULL);
    }
    o = object_new(tree, &qclass_input_hub, NULL, errp);
    if (!o || !object_add_child(backend, "input", o, errp) || !object_realize(o, errp)) {
        object_unref(o);
        return NULL;
    }
    object_unref(o); /* the tree's own reference stays */
    return (InputHub *)o;
}

void input_handler_add(InputHub *hub, InputHandler *h)
{
    h->next = hub->handlers;
    hub->handlers = h;
}

void input_handler_del(InputHub *hub, InputHandler *h)
{
    for (InputHandler **p = &hub->handlers; *p; p = &(*p)->next) {
        if (*p == h) {
            *p = h->next;
            return;
        }
    }
}

void input_key(InputHub *hub, QKeyCode key, bool down)
{
    InputHandler *h = hub->handlers;

    if (!down && !hub->down[key]) {
        return;
    }
    hub->down[key] = down;
    while (h && !h->key) {
        h = h->next;
    }
    if (h) {
        h->key(h->opaque, key, down);
    }
}

bool input_key_is_down(const InputHub *hub, QKeyCode key)
{
    return hub->down[key];
}

void input_release_keys(InputHub *hub)
{
    for (unsigned i = 0; i < Q_KEY_CODE__COUNT; i++) {
        if (hub->down[i]) {
            input_key(hub, i, false);
        }
    }
}

static InputHandler *pointer(InputHub *hub)
{
    InputHandler *h = hub->handlers;

    while (h && !h->motion) {
        h = h->next;
    }
    return h;
}

void input_motion(InputHub *hub, InputAxis axis, int delta)
{
    InputHandler *h = pointer(hub);

    if (h) {
        h->motion(h->opaque, axis, delta);
    }
}

void input_button(InputHub *hub, InputButton button, bool down)
{
    InputHandler *h = pointer(hub);

    if (h && h->button) {
        h->button(h->opaque, button, down);
    }
}

void input_sync(InputHub *hub)
{
    InputHandler *h = pointer(hub);

    if (h && h->sync) {
        h->sync(h->opaque);
    }
}
