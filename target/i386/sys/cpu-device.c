/*
 * The classes of -cpu: a device that wraps a vCPU, so that it has properties, a place in the tree and a reset.
 * Its model is in its class's name: NAME-x86_64-cpu.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/core/device.h"
#include "hw/core/machine.h"
#include "qapi/buf.h"
#include "qapi/qapi.h"
#include "target/i386/models.h"
#include "target/i386/sys/cpu-device.h"
#include "target/i386/sys/sys.h"

static const char suffix[] = "-x86_64-cpu";

/* The class's name without the suffix, at most `size` bytes with the end. */
static const char *model_name(const QClass *k, char *out, size_t size)
{
    snprintf(out, size, "%.*s", (int)(strlen(k->item.name) - strlen(suffix)), k->item.name);
    return out;
}

/* What the user said differently from the model. */
static const struct {
    uint16_t has, value;   /* in the conf */
    uint8_t word, bit;
} feature_bits[] = {
#define FEATURE_BIT(member, word, bit) \
    { offsetof(X86CpuDeviceConf, has_##member), offsetof(X86CpuDeviceConf, member), X86_WORD_##word, bit },
#include "target/i386/sys/feature-bits.def"
#undef FEATURE_BIT
};

static void apply_bits(const X86CpuDeviceConf *conf, X86CpuModel *m)
{
    for (unsigned n = 0; n < sizeof(feature_bits) / sizeof(feature_bits[0]); n++) {
        const char *base = (const char *)conf;
        uint32_t bit = 1u << feature_bits[n].bit, *word = &m->features[feature_bits[n].word];

        if (*(const bool *)(base + feature_bits[n].has)) {
            *word = *(const bool *)(base + feature_bits[n].value) ? *word | bit : *word & ~bit;
        }
    }
}

bool x86_cpu_class_model(const QClass *k, const X86CpuDeviceConf *conf, X86CpuModel *out, Error **errp)
{
    char name[64];
    const X86CpuModel *base = x86_model_find(model_name(k, name, sizeof(name)));

    if (!base) {
        error_set(errp, "CPU model '%s' requires KVM or HVF", name);
        return error_hint(errp, "-cpu max has all features that there are without");
    }
    if (conf->vendor && strlen(conf->vendor) != 12) {
        return error_set(errp, "vendor: '%s' does not have 12 characters", conf->vendor);
    }
    *out = *base;
    out->vendor = conf->vendor ? conf->vendor : base->vendor;
    out->model_id = conf->model_id ? conf->model_id : base->model_id;
    out->family = conf->has_family ? conf->family : base->family;
    out->model = conf->has_model ? conf->model : base->model;
    out->stepping = conf->has_stepping ? conf->stepping : base->stepping;
    out->level = conf->has_level ? conf->level : base->level;
    out->xlevel = conf->has_xlevel ? conf->xlevel : base->xlevel;
    apply_bits(conf, out);
    return true;
}

/* ---- What there is and what is missing ---- */

enum { NUM_FEATURE_BITS = sizeof(feature_bits) / sizeof(feature_bits[0]), NUM_WORDS = sizeof(((X86CpuModel *)0)->features) / sizeof(uint32_t) };

/* The property whose value lies at this offset. from: where to begin, then where it was; in order it is the next each time. */
static const char *feature_name(unsigned n, uint32_t *from)
{
    const QType *t = &qtype_X86CpuDeviceConf;

    for (uint32_t left = t->num_members; left; left--) {
        const QMember *m = &t->members[*from = (*from + 1) % t->num_members];

        if (m->offset == feature_bits[n].value) {
            return m->item.name;
        }
    }
    return "";
}

void x86_cpu_each_feature(const X86CpuModel *m, const X86CpuDeviceConf *conf, X86FeatureFn *fn, void *opaque)
{
    uint16_t told[NUM_WORDS][32] = { 0 }; /* of several names of a bit the last is the one that is told */
    const char *base = (const char *)conf;
    uint32_t at = 0;

    for (unsigned n = 0; n < NUM_FEATURE_BITS; n++) {
        told[feature_bits[n].word][feature_bits[n].bit] = (uint16_t)n;
    }
    for (unsigned n = 0; n < NUM_FEATURE_BITS; n++) {
        unsigned word = feature_bits[n].word, bit = feature_bits[n].bit;

        if (told[word][bit] == n) {
            fn(opaque, feature_name(n, &at), m->features[word] >> bit & 1, x86_model_shown(m, word) >> bit & 1,
               *(const bool *)(base + feature_bits[n].has) && *(const bool *)(base + feature_bits[n].value));
        }
    }
}

static void append(StrList *l, const char *name)
{
    for (size_t i = 0; i < l->len; i++) {
        if (!strcmp(l->items[i], name)) {
            return;
        }
    }
    l->items = q_realloc(l->items, l->len + 1, sizeof(*l->items));
    l->items[l->len++] = q_strdup(name);
}

static void take_missing(void *opaque, const char *name, bool has, bool shown, bool asked)
{
    if (has && !shown) {
        append(opaque, name);
    }
}

StrList x86_cpu_unavailable(const QClass *k, const X86CpuModel *m, const X86CpuDeviceConf *conf)
{
    StrList l = { 0 };
    char name[64];

    x86_cpu_each_feature(m, conf, take_missing, &l);
    for (const char *const *f = x86_model_lacks(model_name(k, name, sizeof(name))); *f; f++) {
        append(&l, *f);
    }
    return l;
}

typedef struct {
    bool enforce;
    char *missing; /* "a, b"; NULL: none */
} Asked;

static void take_asked(void *opaque, const char *name, bool has, bool shown, bool asked)
{
    Asked *a = opaque;

    if (has && !shown && (asked || a->enforce)) {
        QBuf b = { 0 };

        qbuf_printf(&b, "%s%s%s", a->missing ? a->missing : "", a->missing ? ", " : "", name);
        free(a->missing);
        a->missing = qbuf_steal(&b);
    }
}

/* Features that were asked for and that this program does not have: an error with enforce, else a line unless check=off. */
static bool check_features(X86CpuDevice *d, Error **errp)
{
    Asked a = { .enforce = d->conf.enforce };
    Machine *m = DEVICE(d)->machine;
    bool ok = true;

    x86_cpu_each_feature(&d->model, &d->conf, take_asked, &a);
    if (a.missing && d->conf.enforce) {
        ok = error_set(errp, "%s: this program does not have the features %s, which enforce=on demands", OBJECT(d)->klass->item.name,
                       a.missing);
    } else if (a.missing && d->conf.check && m->num_vcpus == 0 && m->host && m->host->warn) { /* once for all CPUs */
        QBuf b = { 0 };

        qbuf_printf(&b, "this program does not have the CPU features %s", a.missing);
        m->host->warn(m, b.data);
        qbuf_finish(&b);
    }
    free(a.missing);
    return ok;
}

/* threads and cores of the machine's topology; ids of APICs leave room for powers of two of each (SDM vol. 3, 8.9). */
static void set_topology(X86CpuDevice *d, X86Cpu *c)
{
    Machine *m = DEVICE(d)->machine;
    unsigned cores = m->smp.cores * (m->smp.modules ? m->smp.modules : 1) * (m->smp.dies ? m->smp.dies : 1);

    c->apic_id = d->conf.has_apic_id ? d->conf.apic_id : d->vcpu->index;
    c->topology_threads = m->smp.threads ? m->smp.threads : 1;
    c->topology_cores = cores ? cores : 1;
}

static bool apic_id_free(X86CpuDevice *d, Error **errp)
{
    Machine *m = DEVICE(d)->machine;

    for (unsigned n = 0; n < m->accel->num_vcpus; n++) {
        Vcpu *v = m->accel->vcpus[n];

        if (v != d->vcpu && x86_cpu(v)->apic_id == x86_cpu(d->vcpu)->apic_id) {
            return error_set(errp, "apic-id: %u is used by CPU %u", x86_cpu(v)->apic_id, n);
        }
    }
    return true;
}

static bool cpu_realize(Object *o, Error **errp)
{
    X86CpuDevice *d = (X86CpuDevice *)o;
    Machine *m = DEVICE(d)->machine;
    Vcpu *v;

    if (!m->accel) {
        return error_set(errp, "%s: the machine has no accelerator", o->klass->item.name);
    }
    if (!x86_cpu_class_model(o->klass, &d->conf, &d->model, errp) || !check_features(d, errp)) {
        return false;
    }
    v = d->vcpu = vcpu_new(m->accel, &x86_vcpu_arch, errp);
    if (!v) {
        return false;
    }
    v->device = o;
    v->as[0] = m->as_memory;
    v->as_io = m->as_io;
    v->start_halted = v->index > 0;
    set_topology(d, v->state);
    x86_cpu_set_model(v->state, &d->model);
    if (d->conf.phys_bits) {
        x86_cpu(v)->phys_bits = d->conf.phys_bits;
    }
    v->arch->reset(v);
    if (!apic_id_free(d, errp) || !vcpu_start(v, errp)) {
        vcpu_free(v);
        d->vcpu = NULL;
        return false;
    }
    m->vcpus = m->accel->vcpus;
    m->num_vcpus = m->accel->num_vcpus;
    return true;
}

static void cpu_unrealize(Object *o)
{
    X86CpuDevice *d = (X86CpuDevice *)o;
    Machine *m = DEVICE(d)->machine;

    vcpu_free(d->vcpu);
    d->vcpu = NULL;
    m->vcpus = m->accel ? m->accel->vcpus : NULL;
    m->num_vcpus = m->accel ? m->accel->num_vcpus : 0;
}

/* The machine is paused: the state is ours. */
static void cpu_reset(Object *o, ObjectResetKind kind)
{
    X86CpuDevice *d = (X86CpuDevice *)o;

    if (d->vcpu) {
        d->vcpu->arch->reset(d->vcpu);
        if (d->vcpu->intc) {
            d->vcpu->intc->reset(d->vcpu->intc_opaque, false);
        }
    }
}

static bool cpu_get_info(Object *o, void *out, Error **errp)
{
    X86CpuDeviceInfo *info = out;
    X86CpuDevice *d = (X86CpuDevice *)o;
    X86CpuModel m;

    if (!x86_cpu_class_model(o->klass, &d->conf, &m, errp)) {
        return false;
    }
    info->unavailable_features = x86_cpu_unavailable(o->klass, &m, &d->conf);
    return true;
}

Vcpu *x86_cpu_device_vcpu(Device *dev)
{
    return ((X86CpuDevice *)dev)->vcpu;
}

const ObjectOps x86_cpu_device_ops = {
    .size = sizeof(X86CpuDevice),
    .conf_offset = offsetof(X86CpuDevice, conf),
    .realize = cpu_realize,
    .unrealize = cpu_unrealize,
    .reset = cpu_reset,
    .get_info = cpu_get_info,
};
