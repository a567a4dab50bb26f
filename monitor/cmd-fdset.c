/* Sets of descriptors that clients pass (add-fd, -add-fd) and that file names /dev/fdset/N stand for. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/fdset.gen.h"
#include "monitor/internal.h"

typedef struct {
    ListLink link;
    int fd;
    char *opaque;
} SetFd;

typedef struct {
    ListLink link; /* of MonitorSet.fdsets, in order of id */
    int64_t id;
    List fds;
} FdSet;

static FdSet *find_set(MonitorSet *set, int64_t id)
{
    list_foreach (FdSet, s, &set->fdsets, link) {
        if (s->id == id) {
            return s;
        }
    }
    return NULL;
}

static FdSet *make_set(MonitorSet *set, int64_t id)
{
    FdSet *s = q_calloc(1, sizeof(*s));

    s->id = id;
    list_init(&s->fds);
    list_foreach (FdSet, other, &set->fdsets, link) {
        if (other->id > id) {
            list_insert_before(&other->link, &s->link);
            return s;
        }
    }
    list_append(&set->fdsets, &s->link);
    return s;
}

static int64_t free_id(MonitorSet *set)
{
    int64_t id = 0;

    while (find_set(set, id)) {
        id++;
    }
    return id;
}

static void remove_fd(SetFd *f)
{
    list_remove(&f->link);
    close(f->fd);
    free(f->opaque);
    free(f);
}

static void remove_if_empty(FdSet *s)
{
    if (list_is_empty(&s->fds)) {
        list_remove(&s->link);
        free(s);
    }
}

void fdsets_finish(MonitorSet *set)
{
    list_foreach_safe (FdSet, s, &set->fdsets, link) {
        list_foreach_safe (SetFd, f, &s->fds, link) {
            remove_fd(f);
        }
        remove_if_empty(s);
    }
}

int64_t monitors_add_fd(MonitorSet *set, int fd, int64_t id, const char *opaque)
{
    SetFd *f = q_calloc(1, sizeof(*f));
    FdSet *s;

    id = id < 0 ? free_id(set) : id;
    s = find_set(set, id);
    s = s ? s : make_set(set, id);
    f->fd = fd;
    f->opaque = opaque ? q_strdup(opaque) : NULL;
    list_append(&s->fds, &f->link);
    return id;
}

int monitors_open_fdset(MonitorSet *set, int64_t id, int flags, Error **errp)
{
    FdSet *s = find_set(set, id);
    int fd;

    if (!s) {
        error_set(errp, "there is no descriptor set %lld; add-fd or -add-fd makes it", (long long)id);
        return -1;
    }
    list_foreach (SetFd, f, &s->fds, link) {
        int have = fcntl(f->fd, F_GETFL);

        if (have >= 0 && (have & O_ACCMODE) == (flags & O_ACCMODE)) {
            fd = fcntl(f->fd, F_DUPFD_CLOEXEC, 0);
            if (fd < 0) {
                error_set_errno(errp, errno, "descriptor set %lld", (long long)id);
            } else if (flags & O_TRUNC && ftruncate(fd, 0) < 0 && errno != EINVAL) { /* EINVAL: no regular file */
                error_set_errno(errp, errno, "descriptor set %lld", (long long)id);
                close(fd);
                fd = -1;
            }
            return fd;
        }
    }
    error_set(errp, "descriptor set %lld has none that was opened %s", (long long)id,
              (flags & O_ACCMODE) == O_RDONLY ? "for reading" : (flags & O_ACCMODE) == O_WRONLY ? "for writing"
                                                                                             : "for reading and writing");
    return -1;
}

/* ---- Commands ---- */

bool qmp_add_fd(QCallContext *cc, const AddFdArgs *args, AddfdInfo **ret, Error **errp)
{
    Monitor *m = monitor_of(cc);
    int fd;

    if (!m->chr || !chardev_get_fd(m->chr, &fd)) {
        return error_set(errp, "No file descriptor supplied via SCM_RIGHTS");
    }
    *ret = q_calloc(1, sizeof(**ret));
    (*ret)->fdset_id = monitors_add_fd(m->set, fd, args->has_fdset_id ? args->fdset_id : -1, args->opaque);
    (*ret)->fd = fd;
    return true;
}

bool qmp_remove_fd(QCallContext *cc, const RemoveFdArgs *args, Error **errp)
{
    FdSet *s = find_set(monitor_set(cc), args->fdset_id);
    bool found = false;

    if (s) {
        list_foreach_safe (SetFd, f, &s->fds, link) {
            if (!args->has_fd || f->fd == args->fd) {
                remove_fd(f);
                found = true;
            }
        }
        remove_if_empty(s);
    }
    if (!found) {
        return args->has_fd ? error_set(errp, "File descriptor named 'fdset-id:%lld, fd:%lld' not found", (long long)args->fdset_id,
                                        (long long)args->fd)
                            : error_set(errp, "File descriptor named 'fdset-id:%lld' not found", (long long)args->fdset_id);
    }
    return true;
}

static FdsetInfo *set_info(const FdSet *s)
{
    FdsetInfo *i = q_calloc(1, sizeof(*i));

    i->fdset_id = s->id;
    list_foreach (SetFd, f, &s->fds, link) {
        FdsetFdInfo *fi = q_calloc(1, sizeof(*fi));

        fi->fd = f->fd;
        fi->opaque = f->opaque ? q_strdup(f->opaque) : NULL;
        i->fds.items = q_realloc(i->fds.items, i->fds.len + 1, sizeof(*i->fds.items));
        i->fds.items[i->fds.len++] = fi;
    }
    return i;
}

bool qmp_query_fdsets(QCallContext *cc, FdsetInfoList *ret, Error **errp)
{
    list_foreach (FdSet, s, &monitor_set(cc)->fdsets, link) {
        ret->items = q_realloc(ret->items, ret->len + 1, sizeof(*ret->items));
        ret->items[ret->len++] = set_info(s);
    }
    return true;
}
