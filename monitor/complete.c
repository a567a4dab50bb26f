/*
 * What Tab offers in the monitor: commands, and for the argument that is typed, by its kind (monitor/hmp.h) and its type in the
 * schema, files, values of enumerations, on and off, ids, paths, properties, classes with their properties.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "monitor/internal.h"
#include "qapi/introspect.h"
#include "qapi/schema.h"

typedef struct {
    MonitorSet *set;
    Readline *rl;
    const char *typed; /* the end of the line that words are offered for */
    size_t len;
} Completion;

static void offer(Completion *c, const char *word)
{
    if (!strncmp(word, c->typed, c->len)) {
        readline_offer(c->rl, word, c->len);
    }
}

static void offer_with(Completion *c, const char *word, const char *end)
{
    QBuf b = { 0 };

    qbuf_printf(&b, "%s%s", word, end);
    offer(c, b.data);
    qbuf_finish(&b);
}

static void offer_names(Completion *c, bool info)
{
    HmpEntry e;

    for (size_t i = 0; hmp_entry(c->set->schema, i, &e); i++) {
        bool is_info = e.name && !strncmp(e.name, "info ", 5);

        if (!e.name || is_info != info) {
            continue;
        }
        for (const char *p = e.name + 5 * info; *p; p += *p == '|') {
            size_t len = strcspn(p, "|");
            char *name = q_strndup(p, len);

            offer(c, name);
            free(name);
            p += len;
        }
    }
}

/* ---- Objects ---- */

static void offer_children(Completion *c, Object *folder)
{
    for (Object *o = folder ? folder->first_child : NULL; o; o = o->next_sibling) {
        offer(c, o->name);
    }
}

/* Up to the last slash it is a path, what follows is begun. */
static void offer_paths(Completion *c)
{
    const char *slash = memrchr(c->typed, '/', c->len);
    char *head = q_strndup(c->typed, slash ? slash - c->typed : 0);
    Object *o = !slash ? NULL : *head ? qom_resolve(c->set->tree, head, NULL) : qom_root(c->set->tree);
    Completion last = *c;

    if (slash) {
        last.typed = slash + 1;
        last.len = c->len - (last.typed - c->typed);
        offer_children(&last, o);
    } else if (!c->len) {
        offer(c, "/");
    }
    free(head);
}

static void offer_properties(Completion *c, const char *path)
{
    Object *o = qom_resolve(c->set->tree, path, NULL);
    size_t n = 0;
    QomProperty *p = o ? object_properties(o, &n) : NULL;

    for (size_t i = 0; i < n; i++) {
        offer(c, p[i].name);
    }
    qom_properties_free(p, n);
}

static void offer_ids(Completion *c, const char *command)
{
    Object *machine = qom_machine(c->set->tree);

    if (!strncmp(command, "object", 6)) {
        offer_children(c, qom_objects(c->set->tree));
    } else if (!strncmp(command, "device", 6)) {
        offer_children(c, machine ? object_child(machine, "peripheral") : NULL);
    } else if (!strncmp(command, "chardev", 7) || !strncmp(command, "ringbuf", 7)) {
        offer_children(c, qom_chardevs(c->set->tree));
    }
}

/* ---- Classes and what is given to them ---- */

static void offer_values(Completion *c, const QType *t)
{
    for (uint32_t i = 0; t->kind == QK_ENUM && i < t->num_values; i++) {
        offer(c, t->values[i].item.name);
    }
    if (t->kind == QK_BOOL) {
        offer(c, "on");
        offer(c, "off");
    }
    if (t->kind == QK_REF) {
        offer_children(c, qom_objects(c->set->tree));
        offer_children(c, qom_chardevs(c->set->tree));
    }
}

static void offer_property(void *opaque, const QMember *m, QPropKind kind)
{
    if (kind != QPROP_INFO) {
        offer_with(opaque, m->item.name, "=");
    }
}

/* CLASS,property=value,... */
static void offer_record(Completion *c, const QType *t)
{
    const char *comma = memrchr(c->typed, ',', c->len), *eq;
    size_t n = strcspn(c->typed, ",");
    char *name = q_strndup(c->typed, n), *key;
    const QClass *k = qschema_class(c->set->schema, name);
    Completion last = *c;
    const QMember *m;

    free(name);
    if (!comma) {
        for (uint32_t i = 0; t->rest && i < c->set->schema->num_classes; i++) {
            const QClass *each = c->set->schema->classes[i];
            if (each->kind == t->rest->class_kind && !each->abstract && each->user_creatable) {
                offer(c, each->item.name);
            }
        }
        return;
    }
    last.typed = comma + 1;
    last.len = c->len - (last.typed - c->typed);
    eq = memchr(last.typed, '=', last.len);
    if (!k || !eq) {
        for (uint32_t i = 0; i < t->num_members; i++) {
            offer_with(&last, t->members[i].item.name, "=");
        }
        if (k) {
            qclass_each_property(k, offer_property, &last);
        }
        return;
    }
    key = q_strndup(last.typed, eq - last.typed);
    m = qclass_property(k, key, NULL);
    free(key);
    last.typed = eq + 1;
    last.len = c->len - (last.typed - c->typed);
    if (m) {
        offer_values(&last, m->type);
    }
}

/* ---- Files ---- */

static void offer_files(Completion *c)
{
    const char *slash = memrchr(c->typed, '/', c->len);
    char *dir = slash ? q_strndup(c->typed, slash + 1 - c->typed) : q_strdup("./");
    Completion last = *c;
    DIR *d = opendir(dir);

    if (slash) {
        last.typed = slash + 1;
        last.len = c->len - (last.typed - c->typed);
    }
    for (struct dirent *e; d && (e = readdir(d));) {
        QBuf path = { 0 };
        struct stat st;

        if (e->d_name[0] == '.' && *last.typed != '.') {
            continue;
        }
        qbuf_printf(&path, "%s%s", dir, e->d_name);
        offer_with(&last, e->d_name, stat(path.data, &st) == 0 && S_ISDIR(st.st_mode) ? "/" : "");
        qbuf_finish(&path);
    }
    if (d) {
        closedir(d);
    }
    free(dir);
}

/* ---- The argument that is typed ---- */

/* The n-th NAME:KIND of args that is no flag or format; false: there is none. */
static bool argument(const char *args, unsigned n, char *name, size_t size, char *kind)
{
    for (const char *p = args; p && *p; p += strspn(p, " ")) {
        size_t len = strcspn(p, " "), colon = strcspn(p, ":");

        *kind = p[colon] == ':' ? p[colon + 1] : 0;
        if (*kind != '-' && *kind != '/' && n-- == 0) {
            snprintf(name, size, "%.*s", (int)colon, p);
            return true;
        }
        p += len;
    }
    return false;
}

/* rest: what stands behind the command's name. */
static void offer_argument(Completion *c, const HmpEntry *e, const char *rest)
{
    const QType *t = e->command ? e->command->args : e->hmp->args_type;
    bool flags = e->args && strstr(e->args, ":-"), format = e->args && strstr(e->args, ":/");
    char name[64], kind = 0, *before = NULL;
    unsigned n = 0;
    const QMember *m;

    for (const char *p = rest + strspn(rest, " "); p < c->typed; p += strspn(p, " ")) { /* words that are complete */
        size_t len = strcspn(p, " ");

        if (!(*p == '-' && flags) && !(*p == '/' && format)) {
            free(before);
            before = q_strndup(p, len);
            n++;
        }
        p += len;
    }
    m = argument(e->args, n, name, sizeof(name), &kind) && t ? qtype_member(t, name) : NULL;
    if (kind == 'F') {
        offer_files(c);
    } else if (kind == 'O') {
        offer_record(c, t);
    } else if (m && !strcmp(name, "path")) {
        offer_paths(c);
    } else if (m && !strcmp(name, "property") && before) {
        offer_properties(c, before);
    } else if (m && (!strcmp(name, "id") || !strcmp(name, "device"))) {
        offer_ids(c, e->item->name);
    } else if (m) {
        offer_values(c, m->type);
    }
    free(before);
}

void hmp_complete(void *opaque, const char *line, Readline *rl)
{
    Monitor *m = opaque;
    const char *p = line + strspn(line, " \t"), *last = strrchr(p, ' '), *typed = last ? last + 1 : p;
    Completion c = { m->set, rl, typed, strlen(typed) };
    HmpEntry e;

    if (!last) {
        offer_names(&c, false);
    } else if (!strncmp(p, "info ", 5) && last < p + 5) {
        offer_names(&c, true);
    } else if (!strncmp(p, "help ", 5)) {
        offer_names(&c, !strncmp(p, "help info ", 10));
    } else if (hmp_find(m->set->schema, &p, &e) && p <= typed) {
        offer_argument(&c, &e, p);
    }
}
