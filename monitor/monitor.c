/* What QMP and HMP share. See monitor/monitor.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "monitor/internal.h"
#include "qom/values.h"

Monitor *monitor_of(QCallContext *cc)
{
    return cc->monitor;
}

MonitorSet *monitor_set(QCallContext *cc)
{
    return monitor_of(cc)->set;
}

QomTree *monitor_tree(QCallContext *cc)
{
    return monitor_set(cc)->tree;
}

Machine *monitor_machine(QCallContext *cc, Error **errp)
{
    MonitorSet *set = monitor_set(cc);
    Machine *m = set->host->machine(set->program);

    if (!m) {
        error_set(errp, "there is no machine yet");
    }
    return m;
}

int64_t monitor_cpu_index(QCallContext *cc)
{
    return monitor_of(cc)->cpu_index;
}

bool monitor_set_cpu(QCallContext *cc, int64_t index, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);

    if (!m) {
        return false;
    }
    if (index < 0 || index >= m->num_vcpus || !m->vcpus[index]) {
        return error_set(errp, "Parameter 'index' expects a CPU number");
    }
    monitor_of(cc)->cpu_index = index;
    return true;
}

Vcpu *monitor_cpu(QCallContext *cc, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);
    int64_t i = monitor_cpu_index(cc);

    if (!m) {
        return NULL;
    }
    if (i >= m->num_vcpus || !m->vcpus[i]) {
        error_set(errp, "No CPU available");
        return NULL;
    }
    return m->vcpus[i];
}

/* ---- Output ---- */

void monitor_write(Monitor *m, const char *text, size_t len)
{
    if (!m->chr) {
        qbuf_add(&m->out, text, len);
    } else if (!chardev_write_all(m->chr, m, text, len)) {
        loop_work_schedule(&m->give_up);
    }
}

/* A terminal in raw mode needs both; and human-monitor-command gives what a terminal gets. */
void monitor_print(void *opaque, const char *text)
{
    Monitor *m = monitor_of(opaque);

    while (*text) {
        size_t n = strcspn(text, "\n");

        monitor_write(m, text, n);
        text += n;
        if (*text) {
            monitor_write(m, "\r\n", 2);
            text++;
        }
    }
}

void monitor_printf(QCallContext *cc, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0) {
        abort();
    }
    va_end(ap);
    monitor_print(cc, text);
    free(text);
}

char *monitor_run_hmp(QCallContext *cc, const char *line, bool has_cpu, int64_t cpu, Error **errp)
{
    Monitor m;

    monitor_init(&m, monitor_set(cc), MONITOR_HMP);
    if (has_cpu && !monitor_set_cpu(&m.cc, cpu, NULL)) {
        error_set(errp, "Parameter 'cpu-index' expects a CPU number");
        return NULL;
    }
    hmp_run_line(&m, line);
    return qbuf_steal(&m.out);
}

static void give_up(void *opaque)
{
    chardev_disconnect(((Monitor *)opaque)->chr);
}

/* ---- Descriptors with names ---- */

int monitors_take_fd(MonitorSet *set, const char *name, Error **errp)
{
    list_foreach_safe (NamedFd, f, &set->fds, link) {
        if (!strcmp(f->name, name)) {
            int fd = f->fd;
            list_remove(&f->link);
            free(f->name);
            free(f);
            return fd;
        }
    }
    error_set(errp, "File descriptor named '%s' has not been found", name);
    return -1;
}

/* ---- Life ---- */

static uint32_t phase(const QCallContext *cc)
{
    MonitorSet *set = ((Monitor *)cc->monitor)->set;

    return set->host->phase(set->program);
}

void monitor_init(Monitor *m, MonitorSet *set, MonitorKind mode)
{
    *m = (Monitor){ .set = set, .mode = mode };
    m->cc = (QCallContext){
        .schema = set->schema, .policy = mode == MONITOR_QMP ? set->policy : NULL, .program = set->program, .monitor = m, .refs = &set->refs, .phase = phase,
    };
    list_init(&m->requests);
}

MonitorSet *monitors_new(const MonitorHost *host, void *program, const QSchema *schema, const ChardevContext *chardevs)
{
    MonitorSet *set = q_calloc(1, sizeof(*set));

    set->host = host;
    set->format = (HmpFormat){ .count = 1, .format = 'x', .size = 4 };
    set->program = program;
    set->schema = schema;
    set->chardevs = chardevs;
    set->tree = chardevs->tree;
    set->refs = qom_refs(set->tree);
    set->loop = chardevs->loop;
    set->clock = chardevs->clock;
    list_init(&set->monitors);
    list_init(&set->fds);
    list_init(&set->fdsets);
    list_init(&set->keys);
    mutex_init(&set->lock, LOCK_LEAF);
    events_init(set);
    return set;
}

void monitors_set_policy(MonitorSet *set, const QCompatPolicy *policy)
{
    set->policy = policy;
}

Monitor *monitor_new(MonitorSet *set, Chardev *chr, MonitorKind mode, bool pretty, Error **errp)
{
    Monitor *m = q_calloc(1, sizeof(*m));

    monitor_init(m, set, mode);
    m->chr = chr;
    m->pretty = pretty;
    loop_work_init(&m->give_up, set->loop, give_up, m);
    list_append(&set->monitors, &m->link);
    if (mode == MONITOR_QMP) {
        qmp_start(m);
    } else {
        hmp_start(m);
    }
    if (!chardev_attach(chr, mode == MONITOR_QMP ? &qmp_handlers : &hmp_handlers, m, errp)) {
        m->chr = NULL;
        list_remove(&m->link);
        qmp_stop_client(m);
        readline_free(m->line);
        free(m);
        return NULL;
    }
    return m;
}

static void monitor_free(Monitor *m)
{
    list_remove(&m->link);
    loop_work_cancel(&m->give_up);
    if (m->chr) {
        chardev_flush(m->chr);
        chardev_detach(m->chr, m);
    }
    qmp_stop_client(m);
    readline_free(m->line);
    qbuf_finish(&m->out);
    free(m);
}

void monitors_free(MonitorSet *set)
{
    if (!set) {
        return;
    }
    list_foreach_safe (Monitor, m, &set->monitors, link) {
        monitor_free(m);
    }
    list_foreach_safe (NamedFd, f, &set->fds, link) {
        list_remove(&f->link);
        close(f->fd);
        free(f->name);
        free(f);
    }
    fdsets_finish(set);
    keys_finish(set);
    events_finish(set);
    mutex_finish(&set->lock);
    free(set);
}

bool monitors_has_hmp(const MonitorSet *set)
{
    list_foreach (Monitor, m, &set->monitors, link) {
        if (m->mode == MONITOR_HMP) {
            return true;
        }
    }
    return false;
}
