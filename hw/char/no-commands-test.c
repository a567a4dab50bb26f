/*
 * The bodies of the chardev commands, which are the monitor's: a test that uses chardevs links their tables, and never
 * calls them.
 */
#include "chardev/chardev.gen.h"

#include <stdlib.h>

#define NEVER(name, ...)                                                                          \
    bool name(QCallContext *cc, __VA_ARGS__)                                                      \
    {                                                                                             \
        abort();                                                                                  \
    }

NEVER(qmp_query_chardev, ChardevInfoList *ret, Error **errp)
NEVER(qmp_query_chardev_backends, ChardevBackendInfoList *ret, Error **errp)
NEVER(qmp_ringbuf_write, const RingbufWriteArgs *args, Error **errp)
NEVER(qmp_ringbuf_read, const RingbufReadArgs *args, char **ret, Error **errp)
NEVER(qmp_chardev_remove, const ChardevRemoveArgs *args, Error **errp)
NEVER(qmp_chardev_send_break, const ChardevSendBreakArgs *args, Error **errp)

void hmp_print_chardev(QCallContext *cc, ChardevInfoList const *ret)
{
    abort();
}

void hmp_print_ringbuf(QCallContext *cc, char *const *ret)
{
    abort();
}
