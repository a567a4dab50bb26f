/* Addresses of sockets: listening, connecting, and how they are told to people. */
#ifndef CHARDEV_ADDRESS_H
#define CHARDEV_ADDRESS_H

#include "chardev/chardev.gen.h"

/* A listening socket for conf (path or port), close-on-exec and not blocking; -1 with errp set. */
int address_listen(const ChardevSocketConf *conf, Error **errp);
/* A connected socket, the same. Blocks. */
int address_connect(const ChardevSocketConf *conf, Error **errp);
/* "tcp:127.0.0.1:5551,server=on" for the socket fd (its own name when fd >= 0), else for what conf says; and, when
 * connected, " <-> HOST:PORT". free() it. */
char *address_text(const ChardevSocketConf *conf, int fd, bool connected);

#endif
