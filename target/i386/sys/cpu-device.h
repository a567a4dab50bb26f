/*
 * The CPU device: made by boards as class NAME-x86_64-cpu (NAME of -cpu) with property apic-id, in the order of the vCPUs' indexes. After its
 * realize, x86_cpu_device_vcpu() is its vCPU, stopped; the board sets vcpu->intc, vcpu->as[1] (SMM) before the machine runs.
 */
#ifndef TARGET_I386_SYS_CPU_DEVICE_H
#define TARGET_I386_SYS_CPU_DEVICE_H

#include "hw/core/device.h"
#include "target/i386/models.h"
#include "target/i386/sys/cpu-device.gen.h"

typedef struct Vcpu Vcpu;

typedef struct {
    Device dev;
    X86CpuDeviceConf conf;
    X86CpuModel model;     /* of the class, with what the user changed */
    Vcpu *vcpu;
} X86CpuDevice;

Vcpu *x86_cpu_device_vcpu(Device *);

/* The model of a class with what a configuration changes in it, which points into both. Fails for "host". */
bool x86_cpu_class_model(const QClass *, const X86CpuDeviceConf *, X86CpuModel *out, Error **errp);
/*
 * Calls fn for each feature that has a property: whether the model has it, whether the guest sees it, and whether the user asked
 * for it. Features that have several names come once, with the one that QEMU tells.
 */
typedef void X86FeatureFn(void *opaque, const char *name, bool has, bool shown, bool asked);
void x86_cpu_each_feature(const X86CpuModel *, const X86CpuDeviceConf *, X86FeatureFn *fn, void *opaque);
/* Those of the model that the guest does not see; owned by the caller, also in the list. */
StrList x86_cpu_unavailable(const QClass *, const X86CpuModel *, const X86CpuDeviceConf *);

#endif
