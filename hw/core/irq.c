/* Interrupt lines and the named inputs and outputs of devices. The contract is in hw/core/device.h. */
#include <assert.h>
#include <glib.h>
#include <string.h>

#include "hw/core/internal.h"

void irq_set(Irq *irq, int level)
{
    if (!irq) {
        return;
    }
    irq->level = level;
    if (irq->intercept) {
        irq->intercept(irq->intercept_opaque, irq, level);
        if (irq->intercept_only) {
            return;
        }
    }
    irq->handler(irq->opaque, irq->n, level);
}

Irq *irq_new(IrqHandler handler, void *opaque, int n)
{
    Irq *irq = g_new0(Irq, 1);

    *irq = (Irq){.handler = handler, .opaque = opaque, .n = n};
    return irq;
}

void irq_free(Irq *irq)
{
    g_free(irq);
}

static IrqGroup *find(Device *d, const char *name, bool inputs)
{
    for (IrqGroup *g = d->irqs; g; g = g->next) {
        if ((inputs ? !g->out : !!g->out) && !g_strcmp0(g->name, name)) {
            return g;
        }
    }
    return NULL;
}

static IrqGroup *add(Device *d, const char *name, int count)
{
    IrqGroup *g = g_new0(IrqGroup, 1);
    IrqGroup **p;

    assert(count >= 0);
    g->name = g_strdup(name);
    g->num = count;
    for (p = &d->irqs; *p; p = &(*p)->next) {
    }
    *p = g;
    return g;
}

void device_init_irq_in(Device *d, const char *name, IrqHandler handler, int count)
{
    IrqGroup *g;

    assert(!find(d, name, true));
    g = add(d, name, count);
    g->in = g_new0(Irq, count);
    for (int i = 0; i < count; i++) {
        g->in[i] = (Irq){.handler = handler, .opaque = d, .n = i};
    }
}

void device_init_irq_out(Device *d, const char *name, Irq **pins, int count)
{
    assert(!find(d, name, false));
    add(d, name, count)->out = pins;
}

Irq *device_irq_in(Device *d, const char *name, int n)
{
    IrqGroup *g = find(d, name, true);

    assert(g && n >= 0 && n < g->num);
    return &g->in[n];
}

void device_connect_irq_out(Device *d, const char *name, int n, Irq *to)
{
    IrqGroup *g = find(d, name, false);

    assert(g && n >= 0 && n < g->num);
    g->out[n] = to;
}

const IrqGroup *device_irq_groups(Device *d)
{
    return d->irqs;
}

void device_finish_irqs(Device *d)
{
    while (d->irqs) {
        IrqGroup *g = d->irqs;

        d->irqs = g->next;
        g_free(g->in);
        g_free(g->name);
        g_free(g);
    }
}
