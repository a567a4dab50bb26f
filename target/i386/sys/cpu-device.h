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

#endif
