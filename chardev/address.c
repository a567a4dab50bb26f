/* Addresses of sockets: see chardev/address.h; unix(7), ip(7), getaddrinfo(3). */
#include "chardev/address.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "qapi/buf.h"
#include "util/units.h"

/* ---- Unix ---- */

static bool unix_address(const ChardevSocketConf *conf, struct sockaddr_un *un, socklen_t *len, Error **errp)
{
    size_t n = strlen(conf->path), max = sizeof(un->sun_path);

    memset(un, 0, sizeof(*un));
    un->sun_family = AF_UNIX;
    if (n + conf->abstract > max) {
        error_set(errp, "UNIX socket path '%s' is too long", conf->path);
        return error_hint(errp, "Path must be less than %zu bytes", max);
    }
    memcpy(un->sun_path + conf->abstract, conf->path, n);
    *len = conf->abstract && conf->tight ? offsetof(struct sockaddr_un, sun_path) + 1 + n : sizeof(*un);
    return true;
}

static int unix_listen(const ChardevSocketConf *conf, Error **errp)
{
    struct sockaddr_un un;
    socklen_t len;
    int fd;

    if (!unix_address(conf, &un, &len, errp)) {
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error_set_errno(errp, errno, "Failed to create Unix socket");
        return -1;
    }
    if (!conf->abstract && unlink(conf->path) < 0 && errno != ENOENT) {
        error_set_errno(errp, errno, "Failed to unlink socket %s", conf->path);
    } else if (bind(fd, (struct sockaddr *)&un, len) < 0) {
        error_set_errno(errp, errno, "Failed to bind socket to %s", conf->path);
    } else if (listen(fd, 1) < 0) {
        error_set_errno(errp, errno, "Failed to listen on socket");
    } else {
        return fd;
    }
    close(fd);
    return -1;
}

static int unix_connect(const ChardevSocketConf *conf, Error **errp)
{
    struct sockaddr_un un;
    socklen_t len;
    int fd;

    if (!unix_address(conf, &un, &len, errp)) {
        return -1;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&un, len) < 0) {
        error_set_errno(errp, errno, "Failed to connect to '%s'", conf->path);
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

/* ---- Internet ---- */

/* Which families: both, unless one is switched on alone or off. */
static bool family_of(const ChardevSocketConf *conf, int *family, Error **errp)
{
    bool v4 = conf->has_ipv4 ? conf->ipv4 : !(conf->has_ipv6 && conf->ipv6);
    bool v6 = conf->has_ipv6 ? conf->ipv6 : !(conf->has_ipv4 && conf->ipv4);

    if (!v4 && !v6) {
        return error_set(errp, "Cannot disable IPv4 and IPv6 at same time");
    }
    *family = v4 && v6 ? AF_UNSPEC : v4 ? AF_INET : AF_INET6;
    return true;
}

static struct addrinfo *look_up(const ChardevSocketConf *conf, const char *port, Error **errp)
{
    struct addrinfo hints = { .ai_flags = conf->server ? AI_PASSIVE : 0, .ai_socktype = SOCK_STREAM }, *list = NULL;
    const char *host = conf->host && *conf->host ? conf->host : NULL;
    int rc;

    if (!family_of(conf, &hints.ai_family, errp)) {
        return NULL;
    }
    rc = getaddrinfo(host, port, &hints, &list);
    if (rc) {
        error_set(errp, "address resolution failed for %s:%s: %s", host ? host : "", port, gai_strerror(rc));
        return NULL;
    }
    return list;
}

static int listen_on(const struct addrinfo *a, Error **errp)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (fd < 0) {
        error_set_errno(errp, errno, "Failed to create a socket");
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, 1) < 0) {
        error_set_errno(errp, errno, "Failed to listen");
        close(fd);
        return -1;
    }
    return fd;
}

/* All of one port's addresses, then those of the next. */
static int inet_listen(const ChardevSocketConf *conf, Error **errp)
{
    uint64_t first, last;
    Error *err = NULL;
    int fd = -1;

    if (!parse_uint("port", conf->port, 65535, &first, conf->has_to ? errp : NULL)) {
        if (conf->has_to) {
            return -1;
        }
        first = 0; /* the name of a service */
    }
    last = conf->has_to ? conf->to : first;
    for (uint64_t p = first; p <= last && fd < 0; p++) {
        char port[32];
        struct addrinfo *list;

        snprintf(port, sizeof(port), "%u", (unsigned)p);
        list = look_up(conf, conf->has_to ? port : conf->port, errp);
        if (!list) {
            error_free(err);
            return -1;
        }
        for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
            error_free(err);
            err = NULL;
            fd = listen_on(a, &err);
        }
        freeaddrinfo(list);
    }
    if (fd < 0) {
        error_propagate(errp, err);
        error_prepend(errp, "address %s:%s: ", conf->host ? conf->host : "", conf->port);
    } else {
        error_free(err);
    }
    return fd;
}

static int inet_connect(const ChardevSocketConf *conf, Error **errp)
{
    struct addrinfo *list = look_up(conf, conf->port, errp);
    int fd = -1, err = 0, on = 1;

    if (!list) {
        return -1;
    }
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
            err = errno;
            close(fd);
            fd = -1;
        } else if (fd < 0) {
            err = errno;
        }
    }
    freeaddrinfo(list);
    if (fd < 0) {
        error_set_errno(errp, err, "Failed to connect to '%s:%s'", conf->host, conf->port);
    } else if (conf->nodelay) {
        setsockopt(fd, 6 /* IPPROTO_TCP */, 1 /* TCP_NODELAY */, &on, sizeof(on));
    }
    return fd;
}

int address_listen(const ChardevSocketConf *conf, Error **errp)
{
    return conf->path ? unix_listen(conf, errp) : inet_listen(conf, errp);
}

int address_connect(const ChardevSocketConf *conf, Error **errp)
{
    return conf->path ? unix_connect(conf, errp) : inet_connect(conf, errp);
}

/* ---- For people ---- */

/* HOST:PORT, numbers, IPv6 in brackets. */
static void add_name(QBuf *b, const struct sockaddr_storage *a, socklen_t len)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    bool v6 = a->ss_family == AF_INET6;

    if (!getnameinfo((const struct sockaddr *)a, len, host, sizeof(host), port, sizeof(port),
                     NI_NUMERICHOST | NI_NUMERICSERV)) {
        qbuf_printf(b, "%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port);
    }
}

char *address_text(const ChardevSocketConf *conf, int fd, bool connected)
{
    struct sockaddr_storage own = { 0 }, peer = { 0 };
    socklen_t own_len = sizeof(own), peer_len = sizeof(peer);
    bool known = fd >= 0 && getsockname(fd, (struct sockaddr *)&own, &own_len) == 0, is_unix = conf->path;
    QBuf b = { 0 };

    if (known) {
        is_unix = own.ss_family == AF_UNIX;
    }
    if (!connected) {
        qbuf_str(&b, "disconnected:");
    }
    if (is_unix) {
        const char *own_path = known ? ((struct sockaddr_un *)&own)->sun_path : "";
        qbuf_printf(&b, "unix:%s%s%s", conf->path ? conf->path : own_path, conf->abstract ? ",abstract=on" : "",
                    conf->abstract && conf->tight ? ",tight=on" : "");
    } else {
        qbuf_str(&b, conf->telnet ? "telnet:" : "tcp:");
        if (known) {
            add_name(&b, &own, own_len);
        } else {
            qbuf_printf(&b, "%s:%s", conf->host ? conf->host : "", conf->port ? conf->port : "");
        }
    }
    qbuf_str(&b, conf->server ? ",server=on" : "");
    if (connected && !is_unix && getpeername(fd, (struct sockaddr *)&peer, &peer_len) == 0) {
        qbuf_str(&b, " <-> ");
        add_name(&b, &peer, peer_len);
    }
    return qbuf_steal(&b);
}
