/*
 * Intel 82371AB (PIIX4), function 3: power management (order number 290562-001; sections 7.x are its own) with the ACPI 6.4
 * fixed hardware registers (4.8.3), APM ports and the SMBus host.
 *
 * Not modelled: device monitors, clock control, throttling, resume events other than the power button and the clock's alarm,
 * interrupts of the SMBus host (7.3.1: drivers poll), its slave side.
 */
#include "hw/acpi/piix4.h"

#include <string.h>

#include "hw/acpi/piix4.gen.h"
#include "hw/acpi/smbus.h"
#include "hw/pci/pci.h"

enum {                         /* Configuration space (7.1) */
    R_PMBA = 0x40,             /* base of the ACPI registers */
    R_DEVACTB = 0x58,          /* bit 25: writes to APMC raise SMI */
    APMC_EN = 1 << 25,
    R_DEVRESB = 0x5c,          /* bit 31: parallel port decoded */
    R_DEVRESC = 0x60,
    R_DEVRESD = 0x64,          /* bits 27, and 31 and 28: serial ports */
    R_PMREGMISC = 0x80,        /* bit 0: ACPI registers decoded */
    R_SMBBA = 0x90,
    R_SMBHSTCFG = 0xd2,        /* bit 0: SMBus host enabled */
};
enum {                         /* ACPI registers, offsets from PMBA (7.2; ACPI 4.8.3) */
    PM1_STS = 0x0, PM1_EN = 0x2, PM1_CNT = 0x4, PM_TMR = 0x8, PM_SIZE = 0x40,
    STS_TMR = 1 << 0, STS_GBL = 1 << 5, STS_PWRBTN = 1 << 8, STS_RTC = 1 << 10, STS_WAK = 1 << 15,
    PM1_EVENTS = STS_TMR | STS_GBL | STS_PWRBTN | STS_RTC,
    CNT_SCI_EN = 1 << 0, CNT_SLP_EN = 1 << 13, CNT_SLP_TYP = 7 << 10,
    CNT_KEPT = 0x1c07,         /* SCI_EN, BM_RLD, GBL_RLS, SLP_TYP */
};
enum {
    TMR_HZ = 3579545, TMR_MASK = 0xffffff, TMR_HALF = 1 << 23, /* TMR_STS: when bit 23 changes */
    SLP_SOFT_OFF = 0, SLP_S3 = 1,
    GPE_STS = 0, GPE_EN = 2,
    ACPI_ENABLE = 0xf1, ACPI_DISABLE = 0xf0,
};
enum {                         /* SMBus host (7.3) */
    SMB_STS = 0, SMB_SLVSTS = 1, SMB_CNT = 2, SMB_CMD = 3, SMB_ADD = 4, SMB_DAT0 = 5, SMB_DAT1 = 6, SMB_BLKDAT = 7,
    SMB_CNT_START = 1 << 6, SMB_STS_DEV_ERR = 1 << 2, SMB_STS_INTR = 1 << 1, SMB_STS_W1C = 0x1e,
    SMB_READ = 1,              /* of the address */
    SMB_QUICK = 0, SMB_BYTE = 1, SMB_BYTE_DATA = 2, SMB_WORD_DATA = 3, SMB_BLOCK = 5,
    SMB_BLOCK_MAX = 32,
};

typedef struct {
    PciDevice pci;
    Piix4PmConf conf;
    Piix4PmState st;
    MemoryRegion pm, gpe, apm, smb;
    Irq *sci, *smi;
    I2cBus *i2c;
    Timer timer;
} Piix4Pm;

/* ---- Events ---- */

static Clock *pm_clock(Piix4Pm *d)
{
    return &d->pci.dev.machine->clocks.clocks[CLOCK_VIRTUAL_NS];
}

static uint64_t pm_ticks(Piix4Pm *d)
{
    return muldiv64((uint64_t)clock_ns(pm_clock(d)), TMR_HZ, 1000000000);
}

/* The first nanosecond at which the timer shows `ticks`. */
static int64_t ticks_to_ns(uint64_t ticks)
{
    return (int64_t)muldiv64(ticks, 1000000000, TMR_HZ) + 1;
}

static void pm_arm_timer(Piix4Pm *d)
{
    timer_arm(&d->timer, ticks_to_ns((pm_ticks(d) / TMR_HALF + 1) * TMR_HALF));
}

/* The SCI is a level: any enabled event, once the system has taken over from the firmware (4.8.2.5). */
static void pm_update_sci(Piix4Pm *d)
{
    bool event = (d->st.pm1_status & d->st.pm1_enable & PM1_EVENTS) || (d->st.gpe_status & d->st.gpe_enable);

    irq_set(d->sci, event && (d->st.pm1_control & CNT_SCI_EN));
}

/* Every 2.34 s. */
static void pm_timer_half(void *opaque)
{
    Piix4Pm *d = opaque;

    d->st.pm1_status |= STS_TMR;
    pm_arm_timer(d);
    pm_update_sci(d);
}

void piix4_pm_power_button(Device *dev)
{
    Piix4Pm *d = (Piix4Pm *)dev;

    d->st.pm1_status |= STS_PWRBTN;
    pm_update_sci(d);
}

void piix4_pm_wakeup(Device *dev, MachineWakeup reason)
{
    Piix4Pm *d = (Piix4Pm *)dev;

    d->st.pm1_status |= STS_WAK | (reason == WAKEUP_POWER_BUTTON ? STS_PWRBTN : reason == WAKEUP_RTC ? STS_RTC : 0);
    pm_update_sci(d);
}

/* ---- Sleep states (7.2.3) ---- */

static void pm_rtc_alarm(void *opaque, int n, int level)
{
    Piix4Pm *d = opaque;
    Machine *m = d->pci.dev.machine;

    if (level && (d->st.pm1_enable & STS_RTC) && m->host && m->host->request_wakeup) {
        m->host->request_wakeup(m, WAKEUP_RTC);
    }
}

static void pm_sleep(Piix4Pm *d, unsigned type)
{
    Machine *m = d->pci.dev.machine;

    if (!m->host) {
        return;
    }
    if (type == SLP_SOFT_OFF || (type == d->conf.s4_val && !d->conf.disable_s4)) {
        m->host->request_shutdown(m, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
    } else if (type == SLP_S3 && !d->conf.disable_s3 && m->host->request_suspend) {
        m->host->request_suspend(m);
    } else {
        device_guest_error(&d->pci.dev, "sleep type %u is not there", type);
    }
}

/* ---- ACPI registers ---- */

static uint64_t pm_read(void *opaque, uint64_t offset, unsigned size)
{
    Piix4Pm *d = opaque;

    switch (offset) {
    case PM1_STS:
        return d->st.pm1_status;
    case PM1_EN:
        return d->st.pm1_enable;
    case PM1_CNT:
        return d->st.pm1_control;
    case PM_TMR:
        return pm_ticks(d) & 0xffff;
    case PM_TMR + 2:
        return (pm_ticks(d) & TMR_MASK) >> 16;
    }
    return 0;
}

static void pm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Piix4Pm *d = opaque;

    switch (offset) {
    case PM1_STS:
        d->st.pm1_status &= (uint16_t)~value;
        break;
    case PM1_EN:
        d->st.pm1_enable = (uint16_t)value;
        break;
    case PM1_CNT:
        d->st.pm1_control = (uint16_t)value & CNT_KEPT;
        if (value & CNT_SLP_EN) {
            pm_sleep(d, (value & CNT_SLP_TYP) >> 10);
        }
        break;
    default:
        return;
    }
    pm_update_sci(d);
}

/* The timer is read as one doubleword, or the halves would not belong together. */
static uint64_t tmr_or_pm_read(void *opaque, uint64_t offset, unsigned size)
{
    Piix4Pm *d = opaque;

    if (size == 4) {
        return offset == PM_TMR ? pm_ticks(d) & TMR_MASK : pm_read(d, offset, 2) | pm_read(d, offset + 2, 2) << 16;
    }
    if (size == 1) {
        return pm_read(d, offset & ~1ull, 2) >> (offset & 1) * 8 & 0xff;
    }
    return pm_read(d, offset, 2);
}

static void pm_any_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Piix4Pm *d = opaque;

    if (size == 4) {
        pm_write(d, offset, value & 0xffff, 2);
        pm_write(d, offset + 2, value >> 16, 2);
    } else if (size == 2) {
        pm_write(d, offset, value, 2);
    } else if (offset / 2 == PM1_STS / 2) {
        pm_write(d, PM1_STS, value << (offset & 1) * 8, 2); /* write 1 to clear: the other byte has no ones */
    } else {
        uint64_t old = pm_read(d, offset & ~1ull, 2);
        unsigned shift = (offset & 1) * 8;
        pm_write(d, offset & ~1ull, (old & ~(0xffull << shift)) | value << shift, 2);
    }
}

static const MemoryOps pm_ops = { .read = tmr_or_pm_read, .write = pm_any_write, .valid_min = 1, .valid_max = 4 };

/* ---- General purpose events: status and enable, a word each (ACPI 4.8.4.1) ---- */

static uint64_t gpe_read(void *opaque, uint64_t offset, unsigned size)
{
    Piix4Pm *d = opaque;
    uint16_t word = offset < GPE_EN ? d->st.gpe_status : d->st.gpe_enable;

    return word >> (offset & 1) * 8 & 0xff;
}

static void gpe_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Piix4Pm *d = opaque;
    unsigned shift = (offset & 1) * 8;

    if (offset < GPE_EN) {
        d->st.gpe_status &= (uint16_t)~(value << shift);
    } else {
        d->st.gpe_enable = (uint16_t)((d->st.gpe_enable & ~(0xffu << shift)) | value << shift);
    }
    pm_update_sci(d);
}

static const MemoryOps gpe_ops = {
    .read = gpe_read, .write = gpe_write, .valid_min = 1, .valid_max = 4, .impl_min = 1, .impl_max = 1,
};

/* ---- APM ports 0xb2, 0xb3 (7.4) ---- */

static uint64_t apm_read(void *opaque, uint64_t offset, unsigned size)
{
    Piix4Pm *d = opaque;

    return offset ? d->st.apm_status : d->st.apm_command;
}

static void apm_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Piix4Pm *d = opaque;
    const uint8_t *c = d->pci.st.config + R_DEVACTB;

    if (offset) {
        d->st.apm_status = (uint8_t)value;
        return;
    }
    d->st.apm_command = (uint8_t)value;
    /* What FADT's SMI_CMD promises, whether or not the firmware has a handler for it. */
    if (value == ACPI_ENABLE) {
        d->st.pm1_control |= CNT_SCI_EN;
    } else if (value == ACPI_DISABLE) {
        d->st.pm1_control &= (uint16_t)~CNT_SCI_EN;
    }
    pm_update_sci(d);
    if (d->conf.smm_enabled && (c[3] & APMC_EN >> 24)) {
        irq_pulse(d->smi);
    }
}

static const MemoryOps apm_ops = {
    .read = apm_read, .write = apm_write, .valid_min = 1, .valid_max = 2, .impl_min = 1, .impl_max = 1,
};

/* ---- SMBus host (7.3): a transfer is done when the write that starts it returns ---- */

static void smb_read_data(Piix4Pm *d, I2cSlave *s, unsigned n)
{
    smbus_functions(s)->write(s, &d->st.smb[SMB_CMD], 1);
    for (unsigned i = 0; i < n; i++) {
        d->st.smb[SMB_DAT0 + i] = smbus_functions(s)->read(s);
    }
}

static void smb_write_data(Piix4Pm *d, I2cSlave *s, unsigned n)
{
    uint8_t bytes[3] = { d->st.smb[SMB_CMD], d->st.smb[SMB_DAT0], d->st.smb[SMB_DAT1] };

    smbus_functions(s)->write(s, bytes, 1 + n);
}

/* SMBus 2.0, 5.5.7: the count goes before the bytes. */
static bool smb_block(Piix4Pm *d, I2cSlave *s, bool read)
{
    uint8_t bytes[2 + SMB_BLOCK_MAX] = { d->st.smb[SMB_CMD], d->st.smb[SMB_DAT0] };
    unsigned n = bytes[1];

    if (read) {
        smb_read_data(d, s, 1);
        n = d->st.smb[SMB_DAT0];
    }
    if (n > SMB_BLOCK_MAX) {
        return false;
    }
    if (read) {
        for (unsigned i = 0; i < n; i++) {
            d->st.smb_block[i] = smbus_functions(s)->read(s);
        }
    } else {
        memcpy(bytes + 2, d->st.smb_block, n);
        smbus_functions(s)->write(s, bytes, 2 + n);
    }
    return true;
}

/* False: nobody acknowledges, or it is not a transfer. */
static bool smb_transfer(Piix4Pm *d, unsigned protocol)
{
    I2cSlave *s = i2c_find(d->i2c, d->st.smb[SMB_ADD] >> 1);
    bool read = d->st.smb[SMB_ADD] & SMB_READ;

    d->st.smb_index = 0;
    if (!s) {
        return false;
    }
    switch (protocol) {
    case SMB_QUICK:
        return true;
    case SMB_BYTE:
        if (read) {
            d->st.smb[SMB_DAT0] = smbus_functions(s)->read(s);
        } else {
            smb_write_data(d, s, 0);
        }
        return true;
    case SMB_BYTE_DATA:
    case SMB_WORD_DATA:
        (read ? smb_read_data : smb_write_data)(d, s, protocol == SMB_WORD_DATA ? 2 : 1);
        return true;
    case SMB_BLOCK:
        return smb_block(d, s, read);
    }
    return false;
}

/* 7.3.8: the block's bytes one after the other; reading the control register goes back to the first. */
static uint8_t *smb_next_byte(Piix4Pm *d)
{
    uint8_t *byte = &d->st.smb_block[d->st.smb_index];

    d->st.smb_index = (d->st.smb_index + 1) % SMB_BLOCK_MAX;
    return byte;
}

static uint64_t smb_read(void *opaque, uint64_t offset, unsigned size)
{
    Piix4Pm *d = opaque;

    if (offset == SMB_BLKDAT) {
        return *smb_next_byte(d);
    }
    if (offset == SMB_CNT) {
        d->st.smb_index = 0;
    }
    return offset < sizeof(d->st.smb) ? d->st.smb[offset] : 0;
}

static void smb_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Piix4Pm *d = opaque;

    if (offset == SMB_STS) {
        d->st.smb[SMB_STS] &= (uint8_t)~(value & SMB_STS_W1C);
    } else if (offset == SMB_CNT) {
        d->st.smb[SMB_CNT] = (uint8_t)value & (uint8_t)~SMB_CNT_START;
        if (value & SMB_CNT_START) {
            d->st.smb[SMB_STS] |= smb_transfer(d, value >> 2 & 7) ? SMB_STS_INTR : SMB_STS_DEV_ERR;
        }
    } else if (offset == SMB_BLKDAT) {
        *smb_next_byte(d) = (uint8_t)value;
    } else if (offset != SMB_SLVSTS && offset < sizeof(d->st.smb)) {
        d->st.smb[offset] = (uint8_t)value;
    }
}

static const MemoryOps smb_ops = {
    .read = smb_read, .write = smb_write, .valid_min = 1, .valid_max = 4, .impl_min = 1, .impl_max = 1,
};

/* ---- Configuration space ---- */

static uint16_t config_word(const Piix4Pm *d, unsigned reg)
{
    return (uint16_t)(d->pci.st.config[reg] | d->pci.st.config[reg + 1] << 8);
}

static void pm_update_map(Piix4Pm *d)
{
    const uint8_t *config = d->pci.st.config;

    memory_transaction_begin(d->pci.dev.machine->map);
    memory_region_set_address(&d->pm, config_word(d, R_PMBA) & 0xffc0);
    memory_region_set_enabled(&d->pm, config[R_PMREGMISC] & 1);
    memory_region_set_address(&d->smb, config_word(d, R_SMBBA) & 0xffc0);
    memory_region_set_enabled(&d->smb, config[R_SMBHSTCFG] & 1);
    memory_transaction_commit(d->pci.dev.machine->map);
}

static void pm_config_write(PciDevice *pci, uint32_t offset, uint32_t value, unsigned size)
{
    pci_config_write_default(pci, offset, value, size);
    if (offset >= R_PMBA) {
        pm_update_map((Piix4Pm *)pci);
    }
}

uint16_t piix4_pm_base(Device *pm)
{
    Piix4Pm *d = (Piix4Pm *)pm;

    return d->pci.st.config[R_PMREGMISC] & 1 ? config_word(d, R_PMBA) & 0xffc0 : 0;
}

bool piix4_pm_has_s3(Device *pm)
{
    return !((Piix4Pm *)pm)->conf.disable_s3;
}

bool piix4_pm_has_s4(Device *pm)
{
    return !((Piix4Pm *)pm)->conf.disable_s4;
}

Bus *piix4_pm_i2c_bus(Device *pm)
{
    return &((Piix4Pm *)pm)->i2c->bus;
}

uint8_t piix4_pm_s4_type(Device *pm)
{
    return ((Piix4Pm *)pm)->conf.s4_val;
}

static void set_initial(Piix4Pm *d, unsigned reg, uint8_t bits)
{
    d->pci.st.config[reg] |= bits;
    d->pci.initial[reg] |= bits;
}

void piix4_pm_set_ports(Device *pm, bool com1, bool com2, bool lpt)
{
    Piix4Pm *d = (Piix4Pm *)pm;

    set_initial(d, R_DEVRESB + 3, lpt ? 0x80 : 0);
    set_initial(d, R_DEVRESD + 3, (uint8_t)((com1 ? 0x08 : 0) | (com2 ? 0x90 : 0)));
}

/* ---- Life ---- */

static void pm_reset(Object *obj, ObjectResetKind kind)
{
    pm_arm_timer((Piix4Pm *)obj);
}

static void pm_rebuild(Object *obj)
{
    Piix4Pm *d = (Piix4Pm *)obj;

    timer_rearm_from_field(&d->timer);
    pm_update_map(d);
    pm_update_sci(d);
}

/* 7.1: reset values. SMBus address and enable as the configuration says. */
static void pm_init_config(Piix4Pm *d)
{
    uint8_t *config = d->pci.st.config;

    config[0x06] = 0x80;       /* status: fast back-to-back, DEVSEL# medium */
    config[0x07] = 0x02;
    config[R_PMBA] = 1;
    config[R_SMBBA] = (uint8_t)(d->conf.smb_io_base & 0xc0) | 1;
    config[R_SMBBA + 1] = (uint8_t)(d->conf.smb_io_base >> 8);
    config[R_SMBHSTCFG] = d->conf.smb_io_base ? 0x09 : 0x08;
    config[R_DEVRESB + 3] = 0x10;
    config[R_DEVRESC + 3] = 0x60;
    if (!d->conf.smm_enabled) {
        config[R_DEVACTB + 3] = APMC_EN >> 24; /* the firmware takes SMM for set up, and does not wait for an interrupt */
    }
}

static bool pm_realize(PciDevice *pci, Error **errp)
{
    Piix4Pm *d = (Piix4Pm *)pci;
    Machine *m = pci->dev.machine;
    Object *o = OBJECT(d);

    d->i2c = i2c_bus_new(m, &pci->dev, errp);
    if (!d->i2c) {
        return false;
    }
    memset(pci->wmask + 0x40, 0xff, 0x100 - 0x40);
    pci->wmask[R_PMBA] = 0xc0; /* bit 0 is the type: I/O */
    pci->wmask[R_SMBBA] = 0xc0;
    pm_init_config(d);
    device_init_irq_out(&pci->dev, NULL, &d->sci, 1);
    device_init_irq_out(&pci->dev, "smi-irq", &d->smi, 1);
    device_init_irq_in(&pci->dev, "rtc-alarm", pm_rtc_alarm, 1);
    timer_init(&d->timer, pm_clock(d), &d->st.timer_overflow, pm_timer_half, d);
    memory_region_init_io(&d->pm, m->map, o, &pm_ops, d, "piix4-pm", PM_SIZE);
    memory_region_init_io(&d->gpe, m->map, o, &gpe_ops, d, "acpi-gpe0", 4);
    memory_region_init_io(&d->apm, m->map, o, &apm_ops, d, "apm-io", 2);
    memory_region_init_io(&d->smb, m->map, o, &smb_ops, d, "pm-smbus", 0x40);
    memory_region_set_enabled(&d->pm, false);
    memory_region_set_enabled(&d->smb, false);
    memory_region_add(m->io, 0, &d->pm, 0);
    memory_region_add(m->io, 0, &d->smb, 0);
    memory_region_add(m->io, PIIX4_GPE0_BASE, &d->gpe, 0);
    memory_region_add(m->io, 0xb2, &d->apm, 0);
    return true;
}

static void pm_unrealize(PciDevice *pci)
{
    Piix4Pm *d = (Piix4Pm *)pci;

    timer_finish(&d->timer);
    memory_region_finish(&d->pm);
    memory_region_finish(&d->gpe);
    memory_region_finish(&d->apm);
    memory_region_finish(&d->smb);
}

static const PciDeviceOps pm_pci_ops = {
    .info = { .vendor = 0x8086, .device = 0x7113, .revision = 3, .class_code = 0x068000, .interrupt_pin = 1,
              .not_hotpluggable = true },
    .realize = pm_realize,
    .unrealize = pm_unrealize,
    .config_write = pm_config_write,
};

const ObjectOps piix4_pm_ops = {
    .size = sizeof(Piix4Pm),
    .conf_offset = offsetof(Piix4Pm, conf),
    .state_offset = offsetof(Piix4Pm, st),
    .reset = pm_reset,
    .rebuild = pm_rebuild,
    .iface = &pm_pci_ops,
};
