/*
 * The classes of -cpu: a device that wraps a vCPU, so that it has properties, a place in the tree and a reset.
 * Its model is in its class's name: NAME-x86_64-cpu.
 */
#include <stdlib.h>
#include <string.h>

#include "hw/core/device.h"
#include "hw/core/machine.h"
#include "target/i386/models.h"
#include "target/i386/sys/cpu-device.h"
#include "target/i386/sys/sys.h"

static const char suffix[] = "-x86_64-cpu";

static const X86CpuModel *model_of(const Object *o)
{
    const char *name = o->klass->item.name;
    size_t len = strlen(name) - strlen(suffix);
    char model[64];

    if (len >= sizeof(model)) {
        return NULL;
    }
    memcpy(model, name, len);
    model[len] = 0;
    return x86_model_find(model);
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

static bool make_model(X86CpuDevice *d, Error **errp)
{
    const X86CpuDeviceConf *conf = &d->conf;
    const X86CpuModel *base = model_of(OBJECT(d));

    if (!base) {
        return error_set(errp, "%s: has no model", OBJECT(d)->klass->item.name);
    }
    d->model = *base;
    if (conf->vendor && strlen(conf->vendor) != 12) {
        return error_set(errp, "vendor: '%s' does not have 12 characters", conf->vendor);
    }
    d->model.vendor = conf->vendor ? conf->vendor : base->vendor;
    d->model.model_id = conf->model_id ? conf->model_id : base->model_id;
    d->model.family = conf->has_family ? conf->family : base->family;
    d->model.model = conf->has_model ? conf->model : base->model;
    d->model.stepping = conf->has_stepping ? conf->stepping : base->stepping;
    d->model.level = conf->has_level ? conf->level : base->level;
    d->model.xlevel = conf->has_xlevel ? conf->xlevel : base->xlevel;
    apply_bits(conf, &d->model);
    return true;
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
    if (!make_model(d, errp)) {
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
};
