/* Chardevs that swallow what is written. */
#include "chardev/internal.h"

static int null_write(Chardev *c, const void *buf, int len)
{
    return len;
}

static bool null_realize(Object *o, Error **errp)
{
    chardev_opened(CHARDEV(o));
    return true;
}

static const ChardevOps null_ops = { .write = null_write };

const ObjectOps chardev_null_ops = { .realize = null_realize, .iface = &null_ops };

/* Without a display: when ui/ has one, it draws what is written. */
const ObjectOps chardev_vc_ops = { .realize = null_realize, .iface = &null_ops };
