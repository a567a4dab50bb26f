/*
 * The i440FX PC: which devices there are, where, on which lines. Interrupt lines are by GSI: 0 to 15 reach both the 8259s and the
 * I/O APIC (0 on its pin 2), each the or of its sources.
 */
#include "hw/i386/pc.h"

#include <json-c/json.h>
#include <string.h>

#include "accel/accel.h"
#include "hw/acpi/piix4.h"
#include "hw/i386/topology.h"
#include "hw/intc/apic.h"
#include "hw/intc/i8259.h"
#include "hw/nvram/fw_cfg.h"
#include "hw/pci-host/i440fx.h"
#include "hw/pci-host/piix3.h"
#include "hw/rtc/mc146818rtc.h"
#include "hw/timer/hpet.h"
#include "hw/timer/i8254.h"
#include "qapi/schema.h"
#include "target/i386/sys/cpu-device.h"
#include "target/i386/sys/sys.h"

enum {
    MAX_CPUS = 255, MAX_DIES = 16, RAM_DEFAULT = 128 << 20,
    /* Who drives a line; bits of gsi_sources. */
    FROM_ISA = 0, FROM_PCI = 1, FROM_SCI = 2, FROM_HPET = 3,
    SCI_GSI = 9, PIT_GSI = 0, RTC_GSI = 8, IOAPIC_PIT_PIN = 2, CASCADE = 2,
};

bool pc_has_acpi(const PcMachine *pc)
{
    return pc->conf.acpi != ON_OFF_AUTO_OFF;
}

bool pc_has_smm(const PcMachine *pc)
{
    return pc->conf.smm != ON_OFF_AUTO_OFF;
}

/* ---- Interrupt lines ---- */

static void pc_gsi(void *opaque, int n, int level)
{
    PcMachine *pc = opaque;
    unsigned gsi = n & 0xff, source = (unsigned)n >> 8;
    uint8_t *sources = &pc->gsi_sources[gsi];

    *sources = (uint8_t)(level ? *sources | 1u << source : *sources & ~(1u << source));
    if (gsi < G_N_ELEMENTS(pc->gsi_pic)) {
        irq_set(pc->gsi_pic[gsi], *sources != 0);
    }
    irq_set(pc->gsi_ioapic[gsi], *sources != 0);
}

static Irq *wire(PcMachine *pc, IrqHandler handler, int n)
{
    Irq *irq = irq_new(handler, pc, n);

    g_ptr_array_add(pc->wires, irq);
    return irq;
}

static Irq *gsi_wire(PcMachine *pc, unsigned gsi, unsigned source)
{
    return wire(pc, pc_gsi, (int)(gsi | source << 8));
}

static void wire_free(void *irq)
{
    irq_free(irq);
}

/* ---- A20, SMI ---- */

static void pc_a20(void *opaque, int n, int level)
{
    PcMachine *pc = opaque;

    *(n ? &pc->a20_port92 : &pc->a20_keyboard) = level;
    for (unsigned i = 0; i < pc->m.num_vcpus; i++) {
        x86_cpu_set_a20(pc->m.vcpus[i], pc->a20_keyboard || pc->a20_port92);
    }
}

static void pc_smi(void *opaque, int n, int level)
{
    PcMachine *pc = opaque;

    if (level && pc->m.num_vcpus) {
        vcpu_request(pc->m.vcpus[0], VCPU_REQ_SMI);
    }
}

/* ---- Processors ---- */

static const QClass *cpu_class(PcMachine *pc, Error **errp)
{
    const char *name = pc->m.cpu_type ? pc->m.cpu_type : machine_functions(&pc->m)->default_cpu;
    const QClass *k = qschema_class(qom_schema(pc->m.tree), name);

    if (!k || k->abstract || !qclass_is_a(k, "x86_64-cpu")) {
        error_set(errp, "-cpu: '%s' is not a processor of this machine", name);
        return NULL;
    }
    return k;
}

static bool add_apic(PcMachine *pc, Device *cpu, uint32_t id, Error **errp)
{
    g_autofree char *text = g_strdup_printf("%u", id);
    Device *apic = device_create(&pc->m, "apic", NULL, OBJECT(cpu), "lapic", errp, "id", text, NULL);

    if (!apic) {
        return false;
    }
    apic_connect(apic, x86_cpu_device_vcpu(cpu));
    return device_realize(apic, errp);
}

/* Its place, counted as x86_apic_id does. Levels that the machine has one of are left out. */
static void set_place(const CpuTopology *t, unsigned index, struct json_object *props)
{
    const struct {
        const char *name;
        unsigned count;
        bool always;
    } levels[] = { { "thread-id", t->threads, true }, { "core-id", t->cores, true }, { "module-id", t->modules, false },
                   { "die-id", t->dies, false } };

    for (unsigned i = 0; i < G_N_ELEMENTS(levels); i++) {
        unsigned count = levels[i].count ? levels[i].count : 1;

        if (levels[i].always || count > 1) {
            json_object_object_add(props, levels[i].name, json_object_new_int64(index % count));
        }
        index /= count;
    }
    json_object_object_add(props, "socket-id", json_object_new_int64(index));
}

static bool add_cpu(PcMachine *pc, const QClass *k, unsigned index, Error **errp)
{
    uint32_t id = x86_apic_id(&pc->m.smp, index);
    struct json_object *props = json_object_new_object();
    Device *cpu;

    json_object_object_add(props, "apic-id", json_object_new_int64(id));
    set_place(&pc->m.smp, index, props);
    cpu = device_create_json(&pc->m, k, NULL, NULL, NULL, props, false, errp);
    json_object_put(props);
    if (!cpu || !device_realize(cpu, errp)) {
        return false;
    }
    pc->apic_ids[index] = id;
    return add_apic(pc, cpu, id, errp);
}

static bool pc_create_cpus(PcMachine *pc, Error **errp)
{
    const QClass *k = cpu_class(pc, errp);

    if (!k) {
        return false;
    }
    pc->apic_ids = g_new0(uint32_t, pc->m.smp.cpus);
    for (unsigned i = 0; i < pc->m.smp.cpus; i++) {
        if (!add_cpu(pc, k, i, errp)) {
            return false;
        }
    }
    return true;
}

/* ---- Chip set ---- */

static bool pc_create_bridges(PcMachine *pc, Error **errp)
{
    Machine *m = &pc->m;

    pc->host = device_create(m, "i440FX-pcihost", NULL, OBJECT(m), "i440fx", errp, NULL);
    if (!pc->host) {
        return false;
    }
    i440fx_set_pci_memory(pc->host, &pc->pci_memory);
    if (!device_realize(pc->host, errp)) {
        pc->host = NULL;
        return false;
    }
    pc->pci = i440fx_bus(pc->host);
    for (unsigned i = 0; i < m->num_vcpus && pc_has_smm(pc); i++) {
        m->vcpus[i]->as[1] = i440fx_smm_space(pc->host);
    }
    pc->piix3 = device_new(m, "PIIX3", &pc->pci->bus, NULL, NULL, errp, "addr", "1.0", "multifunction", "on", NULL);
    if (!pc->piix3) {
        return false;
    }
    i440fx_set_reset_port(pc->host, piix3_reset_port(pc->piix3));
    pc->isa = piix3_isa_bus(pc->piix3);
    for (int i = 0; i < 16; i++) {
        device_connect_irq_out(pc->piix3, "isa-irqs", i, gsi_wire(pc, (unsigned)i, FROM_PCI));
        pc->isa->irqs[i] = gsi_wire(pc, (unsigned)i, FROM_ISA);
    }
    return true;
}

static bool pc_create_pics(PcMachine *pc, Error **errp)
{
    Machine *m = &pc->m;
    Bus *isa = &pc->isa->bus;

    pc->pic[0] = device_new(m, "isa-i8259", isa, NULL, NULL, errp, "master", "on", NULL);
    pc->pic[1] = pc->pic[0] ? device_new(m, "isa-i8259", isa, NULL, NULL, errp, NULL) : NULL;
    if (!pc->pic[1]) {
        return false;
    }
    i8259_cascade(pc->pic[0], pc->pic[1]);
    for (int i = 0; i < 16; i++) {
        pc->gsi_pic[i] = i == CASCADE ? NULL : device_irq_in(pc->pic[i / 8], NULL, i % 8);
    }
    if (m->num_vcpus) {
        Device *lapic = DEVICE(object_child(m->vcpus[0]->device, "lapic"));

        apic_set_pic(m, i8259_acknowledge, pc->pic[0]);
        device_connect_irq_out(pc->pic[0], NULL, 0, device_irq_in(lapic, "lint", 0));
    }
    return true;
}

static bool pc_create_ioapic(PcMachine *pc, Error **errp)
{
    Machine *m = &pc->m;

    pc->ioapic = device_new(m, "ioapic", NULL, OBJECT(pc->host), "ioapic", errp, NULL);
    if (!pc->ioapic) {
        return false;
    }
    memory_region_add(m->memory, IOAPIC_BASE_DEFAULT, ioapic_mmio(pc->ioapic), 0);
    for (int i = 0; i < PC_GSIS; i++) {
        int pin = i == PIT_GSI ? IOAPIC_PIT_PIN : i;
        pc->gsi_ioapic[i] = i == IOAPIC_PIT_PIN ? NULL : device_irq_in(pc->ioapic, NULL, pin);
    }
    return true;
}

/* ---- Timers: the HPET, when it is there, sits between the interval timer and clock and their lines ---- */

static bool pc_create_hpet(PcMachine *pc, Error **errp)
{
    Machine *m = &pc->m;

    if (!pc->conf.hpet) {
        return true;
    }
    pc->hpet = device_new(m, "hpet", NULL, NULL, NULL, errp, "hpet-intcap", "4", NULL);
    if (!pc->hpet) {
        return false;
    }
    memory_region_add(m->memory, HPET_BASE_DEFAULT, hpet_mmio(pc->hpet), 0);
    for (unsigned i = 0; i < PC_GSIS; i++) {
        device_connect_irq_out(pc->hpet, "sysbus-irq", (int)i, gsi_wire(pc, i, FROM_HPET));
    }
    pc->isa->irqs[RTC_GSI] = device_irq_in(pc->hpet, NULL, 1);
    return true;
}

static bool pc_create_timers(PcMachine *pc, Error **errp)
{
    Machine *m = &pc->m;
    Bus *isa = &pc->isa->bus;
    Device *speaker;

    if (!pc_create_hpet(pc, errp)) {
        return false;
    }
    pc->rtc = device_new(m, "mc146818rtc", isa, OBJECT(pc->piix3), "rtc", errp, "base_year", "0", NULL);
    pc->pit = pc->rtc ? device_new(m, "isa-pit", isa, NULL, NULL, errp, NULL) : NULL;
    if (!pc->pit) {
        return false;
    }
    if (pc->hpet) {
        device_connect_irq_out(pc->pit, NULL, 0, device_irq_in(pc->hpet, NULL, 0));
        device_connect_irq_out(pc->hpet, NULL, 0, device_irq_in(pc->pit, NULL, 0));
    } else {
        device_connect_irq_out(pc->pit, NULL, 0, gsi_wire(pc, PIT_GSI, FROM_ISA));
    }
    speaker = device_create(m, "isa-pcspk", isa, NULL, NULL, errp, NULL);
    if (!speaker) {
        return false;
    }
    pcspk_connect(speaker, pc->pit);
    return device_realize(speaker, errp);
}

/* ---- Small devices ---- */

static bool pc_create_input(PcMachine *pc, Error **errp)
{
    Bus *isa = &pc->isa->bus;
    Device *port92;

    if (pc->conf.i8042) {
        pc->keyboard = device_new(&pc->m, "i8042", isa, NULL, NULL, errp, NULL);
        if (!pc->keyboard) {
            return false;
        }
        device_connect_irq_out(pc->keyboard, "a20", 0, wire(pc, pc_a20, 0));
    }
    port92 = device_new(&pc->m, "port92", isa, NULL, NULL, errp, NULL);
    if (!port92) {
        return false;
    }
    device_connect_irq_out(port92, "a20", 0, wire(pc, pc_a20, 1));
    return true;
}

static bool pc_create_dma(PcMachine *pc, Error **errp)
{
    Machine *m = &pc->m;
    Bus *isa = &pc->isa->bus;
    Device *first = device_new(m, "i8257", isa, OBJECT(pc->piix3), "dma[0]", errp, "pageh-base", "-1", NULL);
    Device *second = !first ? NULL : device_new(m, "i8257", isa, OBJECT(pc->piix3), "dma[1]", errp, "base", "0xc0",
                                                "page-base", "0x88", "pageh-base", "-1", "dshift", "1", NULL);

    pc->isa->dma[0] = OBJECT(first);
    pc->isa->dma[1] = OBJECT(second);
    return second;
}

static bool pc_create_serial(PcMachine *pc, Error **errp)
{
    for (unsigned i = 0; i < 4; i++) {
        Object *chardev = pc->m.host && pc->m.host->serial ? pc->m.host->serial(&pc->m, i) : NULL;
        g_autofree char *index = g_strdup_printf("%u", i);
        char *id = chardev ? object_id(chardev) : NULL;
        bool ok;

        if (!chardev) {
            continue;
        }
        ok = device_new(&pc->m, "isa-serial", &pc->isa->bus, NULL, NULL, errp, "index", index, "chardev", id, NULL);
        free(id);
        if (!ok) {
            return false;
        }
    }
    return true;
}

/* ---- PCI functions ---- */

/* Places of memory modules, which say nothing about themselves: all zeros. */
static bool pc_create_eeproms(PcMachine *pc, Error **errp)
{
    enum { FIRST = 0x50, MODULES = 8 };

    for (unsigned i = 0; i < MODULES; i++) {
        g_autofree char *address = g_strdup_printf("%u", FIRST + i);

        if (!device_new(&pc->m, "smbus-eeprom", piix4_pm_i2c_bus(pc->pm), NULL, NULL, errp, "address", address, NULL)) {
            return false;
        }
    }
    return true;
}

static bool pc_create_pm(PcMachine *pc, Error **errp)
{
    if (!pc_has_acpi(pc)) {
        return true;
    }
    pc->pm = device_new(&pc->m, "PIIX4_PM", &pc->pci->bus, OBJECT(pc->piix3), "pm", errp, "addr", "1.3", "smb_io_base",
                        "0xb100", "smm-enabled", pc_has_smm(pc) ? "on" : "off", NULL);
    if (!pc->pm) {
        return false;
    }
    device_connect_irq_out(pc->pm, NULL, 0, gsi_wire(pc, SCI_GSI, FROM_SCI));
    device_connect_irq_out(pc->pm, "smi-irq", 0, wire(pc, pc_smi, 0));
    device_connect_irq_out(pc->rtc, "alarm", 0, device_irq_in(pc->pm, "rtc-alarm", 0));
    return pc_create_eeproms(pc, errp);
}

/* The channels' own lines are 14 and 15 of the ISA bus. */
static bool pc_create_ide(PcMachine *pc, Error **errp)
{
    Device *ide = device_new(&pc->m, "piix3-ide", &pc->pci->bus, OBJECT(pc->piix3), "ide", errp, "addr", "1.1",
                             NULL);

    if (!ide) {
        return false;
    }
    for (int i = 0; i < 2; i++) {
        device_connect_irq_out(ide, "isa-irq", i, pc->isa->irqs[14 + i]);
    }
    return true;
}

/* ---- Ports that only take writes: POST codes at 0x80, FERR# latch at 0xf0 ---- */

static uint64_t sink_read(void *opaque, uint64_t offset, unsigned size)
{
    return ~0ull;
}

static void sink_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
}

static const MemoryOps sink_ops = { .read = sink_read, .write = sink_write, .valid_min = 1, .valid_max = 8 };

static void pc_create_sinks(PcMachine *pc)
{
    Machine *m = &pc->m;

    memory_region_init_io(&pc->port_80, m->map, NULL, &sink_ops, pc, "ioport80", 1);
    memory_region_init_io(&pc->port_f0, m->map, NULL, &sink_ops, pc, "ioportF0", 1);
    memory_region_add(m->io, 0x80, &pc->port_80, 0);
    memory_region_add(m->io, 0xf0, &pc->port_f0, 0);
}

/* ---- The machine ---- */

static bool pc_create(Machine *m, Error **errp)
{
    PcMachine *pc = pc_machine(m);

    const BootConfiguration *boot = machine_conf(m)->boot;

    pc->wires = g_ptr_array_new_with_free_func(wire_free);
    if (boot && ((boot->order && !pc_boot_order_valid(boot->order, errp)) ||
                 (boot->once && !pc_boot_order_valid(boot->once, errp)))) {
        return false;
    }
    if (pc->conf.vmport == ON_OFF_AUTO_ON) {
        return error_set(errp, "vmport=on: this machine has no VMware port yet; vmport=off is what there is");
    }
    if (!pc_memory_split(pc, errp) || !pc_create_cpus(pc, errp) || !pc_memory_create(pc, errp) ||
        !pc_create_bridges(pc, errp) ||
        !pc_create_pics(pc, errp) || !pc_create_ioapic(pc, errp) || !pc_create_timers(pc, errp) ||
        !pc_create_dma(pc, errp) || !pc_create_serial(pc, errp) || !pc_create_input(pc, errp) ||
        !pc_create_ide(pc, errp) || !pc_create_pm(pc, errp)) {
        return false;
    }
    pc_create_sinks(pc);
    pc->fw_cfg = device_new(m, "fw_cfg_io", NULL, OBJECT(m), "fw_cfg", errp, NULL);
    return pc->fw_cfg;
}

static bool pc_finish_create(Machine *m, Error **errp)
{
    PcMachine *pc = pc_machine(m);
    const BootConfiguration *boot = machine_conf(m)->boot;
    g_autofree char *first = NULL;
    const char *rom;

    if (!pc_fwcfg_fill(pc, errp) || (pc_has_acpi(pc) && !pc_acpi_fill(pc, errp)) || !pc_kernel_load(pc, &rom, errp)) {
        return false;
    }
    first = rom ? g_strdup_printf("/rom@%s", rom) : NULL;
    if (!pc_bootorder_fill(pc, first, boot && boot->has_strict && boot->strict, errp)) {
        return false;
    }
    pc_cmos_fill(pc);
    return true;
}

/* -boot once= is for the first boot only. */
static void pc_reset(Machine *m, ObjectResetKind kind)
{
    if (kind == OBJECT_WARM_RESET) {
        pc_cmos_boot_order(pc_machine(m), false);
    }
}

static void pc_wakeup(Machine *m, MachineWakeup reason)
{
    enum { CMOS_SHUTDOWN_STATUS = 0x0f, FROM_S3 = 0xfe }; /* by which the firmware knows that it must not start anew */
    PcMachine *pc = pc_machine(m);
    uint8_t shadow[I440FX_SHADOW_BYTES];

    i440fx_get_shadow(pc->host, shadow); /* the firmware goes on where it is, in its copy in RAM */
    machine_reset(m, OBJECT_WARM_RESET);
    i440fx_set_shadow(pc->host, shadow);
    mc146818rtc_set_cmos(pc->rtc, CMOS_SHUTDOWN_STATUS, FROM_S3);
    if (pc->pm) {
        piix4_pm_wakeup(pc->pm, reason);
    }
}

static void pc_powerdown(Machine *m)
{
    PcMachine *pc = pc_machine(m);

    if (pc->pm) {
        piix4_pm_power_button(pc->pm);
    }
}

static void pc_nmi(Machine *m)
{
    for (unsigned i = 0; i < m->num_vcpus; i++) {
        vcpu_request(m->vcpus[i], VCPU_REQ_NMI);
    }
}

/* Devices are gone, the memory map is not. Also after a create that failed half-way. */
static void pc_unrealize(Object *obj)
{
    PcMachine *pc = (PcMachine *)obj;

    pc_memory_finish(pc);
    memory_region_finish(&pc->port_80);
    memory_region_finish(&pc->port_f0);
}

static void pc_finish(Object *obj)
{
    PcMachine *pc = (PcMachine *)obj;

    if (pc->wires) {
        g_ptr_array_unref(pc->wires);
    }
    g_free(pc->apic_ids);
}

static const MachineOps pc_ops = {
    .create = pc_create,
    .finish_create = pc_finish_create,
    .reset = pc_reset,
    .powerdown = pc_powerdown,
    .wakeup = pc_wakeup,
    .nmi = pc_nmi,
    .max_cpus = MAX_CPUS,
    .max_dies = MAX_DIES,
    .default_ram_size = RAM_DEFAULT,
    .ram_id = "pc.ram",
    .default_cpu = "qemu64-x86_64-cpu",
};

const ObjectOps pc_i440fx_machine_ops = {
    .size = sizeof(PcMachine),
    .conf_offset = offsetof(PcMachine, conf),
    .unrealize = pc_unrealize,
    .finish = pc_finish,
    .iface = &pc_ops,
};
