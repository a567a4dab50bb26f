/* Commands about models of processors. Answered from the tables: there need be no machine. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/internal.h"
#include "qapi/cpu.gen.h"
#include "qapi/schema.h"
#include "qom/qom.h"
#include "target/i386/sys/cpu-device.h"

static const char suffix[] = "-x86_64-cpu";

/* The class of a model; NULL: there is none. */
static const QClass *model_class(const QSchema *s, const char *name)
{
    QBuf b = { 0 };
    const QClass *k;

    qbuf_printf(&b, "%s%s", name, suffix);
    k = qschema_class(s, b.data);
    qbuf_finish(&b);
    return k && k->kind == QCLASS_CPU && !k->abstract ? k : NULL;
}

static bool is_named(const QClass *k, const char *model)
{
    size_t n = strlen(model);

    return !strncmp(k->item.name, model, n) && !strcmp(k->item.name + n, suffix);
}

/* "host" stands for what there is where there is no hypervisor. */
static const QClass *shown_class(const QSchema *s, const QClass *k)
{
    return is_named(k, "host") ? model_class(s, "max") : k;
}

/* ---- query-cpu-definitions ---- */

static StrList unavailable(const QSchema *s, const QClass *k)
{
    StrList l = { 0 };
    X86CpuDeviceConf plain = { 0 };
    X86CpuModel m;
    Error *err = NULL;

    if (x86_cpu_class_model(k, &plain, &m, &err)) {
        return x86_cpu_unavailable(k, &m, &plain);
    }
    error_free(err); /* "host" */
    l.items = q_calloc(1, sizeof(*l.items));
    l.items[l.len++] = q_strdup("kvm");
    return l;
}

static CpuDefinitionInfo *definition(const QSchema *s, const QClass *k)
{
    CpuDefinitionInfo *i = q_calloc(1, sizeof(*i));
    const char *alias;

    i->name = q_strndup(k->item.name, strlen(k->item.name) - strlen(suffix));
    i->typename = q_strdup(k->item.name);
    alias = x86_model_alias(i->name);
    i->alias_of = alias ? q_strdup(alias) : NULL;
    i->deprecated = k->item.stability == STABILITY_DEPRECATED;
    i->static_ = is_named(k, "base");
    i->has_migration_safe = true;
    i->migration_safe = !is_named(k, "host") && !is_named(k, "max");
    i->has_unavailable_features = true;
    i->unavailable_features = is_named(k, "max") ? (StrList){ 0 } : unavailable(s, k);
    return i;
}

bool qmp_query_cpu_definitions(QCallContext *cc, CpuDefinitionInfoList *ret, Error **errp)
{
    for (uint32_t n = 0; n < cc->schema->num_classes; n++) {
        const QClass *k = cc->schema->classes[n];

        if (k->kind == QCLASS_CPU && !k->abstract && qclass_is_a(k, "x86_64-cpu")) {
            ret->items = q_realloc(ret->items, ret->len + 1, sizeof(*ret->items));
            ret->items[ret->len++] = definition(cc->schema, k);
        }
    }
    return true;
}

/* ---- query-cpu-model-expansion ---- */

static void add_feature(void *opaque, const char *name, bool has, bool shown, bool asked)
{
    qjson_add(opaque, name, json_object_new_boolean(shown));
}

static void add_text(struct json_object *o, const char *key, const char *text)
{
    qjson_add(o, key, json_object_new_string(text));
}

static void add_number(struct json_object *o, const char *key, int64_t n)
{
    qjson_add(o, key, json_object_new_int64(n));
}

static void add_identity(struct json_object *o, const X86CpuModel *m)
{
    add_text(o, "vendor", m->vendor);
    add_number(o, "family", m->family);
    add_number(o, "model", m->model);
    add_number(o, "stepping", m->stepping);
    add_text(o, "model-id", m->model_id);
    add_number(o, "min-level", m->level);
    add_number(o, "min-xlevel", m->xlevel);
}

/* What -cpu MODEL,PROPS would show; out: conf's JSON with the features. False with errp set. */
static bool expand(QCallContext *cc, const QClass *k, struct json_object *props, bool full, struct json_object **out, Error **errp)
{
    QomConf conf = { 0 };
    X86CpuModel m;
    bool ok = qom_conf_build(monitor_tree(cc), k, props, false, &conf, errp) &&
              x86_cpu_class_model(k, conf.parts[0], &m, errp);

    if (ok) {
        *out = full ? qvalue_to_json(k->conf, conf.parts[0], cc->refs) : json_object_new_object();
        x86_cpu_each_feature(&m, conf.parts[0], add_feature, *out);
        add_identity(*out, &m);
        if (full) {
            add_number(*out, "level", m.level);
            add_number(*out, "xlevel", m.xlevel);
        }
    }
    qom_conf_finish(monitor_tree(cc), &conf);
    return ok;
}

/* Switches that libvirt gives the model "host": they are a hypervisor's, and there is none. */
static struct json_object *without_hypervisor(struct json_object *props)
{
    struct json_object *copy = json_object_new_object();

    json_object_object_foreach(props, key, v) {
        if (strncmp(key, "hv-", 3) && strncmp(key, "kvm", 3)) {
            qjson_add(copy, key, json_object_get(v));
        }
    }
    return copy;
}

bool qmp_query_cpu_model_expansion(QCallContext *cc, const QueryCpuModelExpansionArgs *args, CpuModelExpansionInfo **ret,
                                   Error **errp)
{
    const QClass *k = model_class(cc->schema, args->model->name);
    struct json_object *given = args->model->props, *props, *out = NULL;
    bool full = args->type == CPU_MODEL_EXPANSION_TYPE_FULL, ok;

    if (!k) {
        return error_set(errp, "CPU model '%s' not found", args->model->name);
    }
    if (given && !json_object_is_type(given, json_type_object)) {
        return error_set(errp, "Invalid parameter type for 'model.props', expected: object");
    }
    props = given ? without_hypervisor(given) : json_object_new_object();
    ok = expand(cc, shown_class(cc->schema, k), props, full, &out, errp);
    json_object_put(props);
    if (!ok) {
        return false;
    }
    *ret = q_calloc(1, sizeof(**ret));
    (*ret)->model = q_calloc(1, sizeof(*(*ret)->model));
    (*ret)->model->name = q_strdup(full ? args->model->name : "base");
    (*ret)->model->props = out;
    return true;
}
