/*
 * The command line to records (qapi/keyval.h). Both -option and --option are fine. An option with one parameter and no implied
 * key takes its argument as it is. Sugar stands for another option, by its text in the schema:
 *
 *     "-help"                         that option
 *     "-machine $"                    the argument is that option's
 *     "-machine kernel=$"             the argument is a value of that option
 *     "-machine memory.* a=b"         each key of the argument gets a prefix; key a becomes b
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/schema.h"
#include "softmmu/options.gen.h"
#include "softmmu/system.h"

/* Text with commas doubled, as the value of a key. */
static void add_value(QBuf *b, const char *text)
{
    for (; *text; text++) {
        qbuf_char(b, *text);
        if (*text == ',') {
            qbuf_char(b, ',');
        }
    }
}

static bool add(QOptions *o, const QOption *opt, const char *arg, const char *origin, Error **errp);

/* ---- Sugar ---- */

static char *renamed(const char *prefix, int prefix_len, const char *key, const char *renames)
{
    QBuf b = { 0 };
    size_t n = strlen(key);

    qbuf_add(&b, prefix, prefix_len);
    for (const char *p = renames; *p == ' '; p += 1 + strcspn(p + 1, " ")) {
        if (!strncmp(p + 1, key, n) && p[1 + n] == '=') {
            qbuf_add(&b, p + n + 2, strcspn(p + n + 2, " "));
            return qbuf_steal(&b);
        }
    }
    qbuf_str(&b, key);
    return qbuf_steal(&b);
}

/* The argument, checked by its own type, as members of a member of target. */
static bool add_prefixed(QOptions *o, const QOption *opt, const QOption *target, const char *arg, const char *origin,
                         Error **errp)
{
    const char *prefix = strchr(opt->sugar, ' ') + 1, *star = strchr(prefix, '*');
    void *value = q_calloc(1, opt->args->size);
    QKeyval kv = { 0 };
    bool ok = qkeyval_parse(&kv, arg, opt->implied_key, opt->args, origin, errp) &&
              (kv.wants_help || qkeyval_read(&kv, opt->args, value, NULL, errp));

    if (ok) {
        qvalue_finish(opt->args, value, NULL);
        ok = qoptions_add(o, target, "", origin, errp);
    }
    for (size_t i = 0; ok && i < kv.len; i++) {
        QKeyval *to = &qoptions_find(o, target->item.name, NULL)->kv;
        char *key = renamed(prefix, (int)(star - prefix), kv.items[i].key, star + 1);

        qkeyval_add(to, key, kv.items[i].value, origin);
        if (kv.items[i].json) {
            to->items[to->len - 1].json = json_object_get(kv.items[i].json);
        }
        free(key);
    }
    free(value);
    qkeyval_finish(&kv);
    return ok;
}

static bool add_sugar(QOptions *o, const QOption *opt, const char *arg, const char *origin, Error **errp)
{
    const char *text = strchr(opt->sugar, ' '), *dollar = text ? strchr(text, '$') : NULL;
    char *name = q_strndup(opt->sugar + 1, strcspn(opt->sugar + 1, " "));
    const QOption *target = qschema_option(o->schema, name);
    QBuf b = { 0 };
    bool ok;

    free(name);
    if (!text) {
        return add(o, target, NULL, origin, errp);
    }
    if (strchr(text, '*')) {
        return add_prefixed(o, opt, target, arg, origin, errp);
    }
    qbuf_add(&b, text + 1, (dollar ? dollar : text + strlen(text)) - text - 1);
    if (dollar && dollar[-1] == '=') {
        add_value(&b, arg);
    } else if (dollar) {
        qbuf_str(&b, arg);
    }
    ok = add(o, target, b.data, origin, errp);
    qbuf_finish(&b);
    return ok;
}

/* ---- Options ---- */

static bool read_config(QOptions *o, const char *path, Error **errp)
{
    FILE *f = fopen(path, "r");
    QBuf text = { 0 };
    char buf[4096];
    size_t n;
    bool ok;

    if (!f) {
        return error_set_errno(errp, errno, "Cannot read config file %s", path);
    }
    while ((n = fread(buf, 1, sizeof(buf), f)) > 0 && text.len < 16 << 20) {
        qbuf_add(&text, buf, n);
    }
    fclose(f);
    ok = qoptions_read_config(o, text.data ? text.data : "", path, errp);
    qbuf_finish(&text);
    return ok;
}

static bool add(QOptions *o, const QOption *opt, const char *arg, const char *origin, Error **errp)
{
    QBuf b = { 0 };
    bool ok;

    if (opt->sugar) {
        return add_sugar(o, opt, arg, origin, errp);
    }
    if (!strcmp(opt->item.name, "set")) {
        return qoptions_set(o, arg, origin, errp);
    }
    if (!strcmp(opt->item.name, "readconfig")) {
        return read_config(o, arg, errp);
    }
    if (!qoption_is_plain(opt)) {
        return qoptions_add(o, opt, arg, origin, errp);
    }
    qbuf_printf(&b, "%s=", opt->args->members[0].item.name);
    add_value(&b, arg);
    ok = qoptions_add(o, opt, b.data, origin, errp);
    qbuf_finish(&b);
    return ok;
}

static bool unknown(const QSchema *s, const char *name, const char *arg, Error **errp)
{
    const QEnumValue *missing = qtype_enum_value(&qtype_MissingOption, name);
    const char *near;

    if (missing) {
        error_set(errp, "%s: this option of QEMU is not here yet", arg);
        return error_hint(errp, "%s", missing->item.doc);
    }
    near = qsuggest_option(s, name);
    error_set(errp, "%s: invalid option", arg);
    if (near) {
        error_hint(errp, "Did you mean '-%s'?", near);
    }
    return false;
}

/* "isa-serial,,id=x" names a driver that has a comma: not what was meant. */
static void explain_commas(const char *text, Error **errp)
{
    if (errp && *errp && strstr(text, ",,")) {
        error_hint(errp, "Two commas are one comma inside a value; one alone separates");
    }
}

static bool add_argument(QOptions *o, int argc, char **argv, int *i, Error **errp)
{
    const char *arg = argv[*i], *name = arg + 1 + (arg[1] == '-'), *value = NULL;
    const QOption *opt = qschema_option(o->schema, !strcmp(name, "?") ? "help" : name);
    QBuf origin = { 0 };
    bool ok;

    if (!opt) {
        return unknown(o->schema, name, arg, errp);
    }
    qbuf_str(&origin, arg);
    if (opt->args) {
        if (*i + 1 == argc) {
            qbuf_finish(&origin);
            return error_set(errp, "%s: requires an argument", arg);
        }
        value = argv[++*i];
        qbuf_printf(&origin, " %s", value);
    }
    ok = add(o, opt, value, origin.data, errp);
    if (!ok) {
        explain_commas(origin.data, errp);
        error_prepend(errp, "%s: ", origin.data);
    }
    qbuf_finish(&origin);
    return ok;
}

bool argv_parse(QOptions *o, int argc, char **argv, Error **errp)
{
    o->add = add;
    for (int i = 1; i < argc; i++) {
        bool is_option = argv[i][0] == '-' && argv[i][1];

        if (is_option ? !add_argument(o, argc, argv, &i, errp)
                      : !add(o, qschema_option(o->schema, "hda"), argv[i], argv[i], errp)) {
            return false;
        }
    }
    return true;
}

/* ---- Looking at records ---- */

QOptionRecord *option_record(const System *s, const char *name)
{
    return qoptions_find(&s->options, name, NULL);
}

bool option_given(const System *s, const char *name)
{
    return option_record(s, name);
}

const char *option_text(const System *s, const char *name)
{
    const QOptionRecord *r = option_record(s, name);

    return r ? qkeyval_get(&r->kv, r->option->args->members[0].item.name) : NULL;
}

const char *record_origin(const QOptionRecord *r)
{
    return r->kv.len && r->kv.items[r->kv.len - 1].origin ? r->kv.items[r->kv.len - 1].origin : r->option->item.name;
}

bool prefix_origin(const QOptionRecord *r, Error **errp)
{
    explain_commas(record_origin(r), errp);
    return error_prepend(errp, "%s: ", record_origin(r));
}
