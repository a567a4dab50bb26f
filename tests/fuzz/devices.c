/*
 * Devices of the PC, by a stream of operations as a guest's processor could do them: accesses to ports, memory and PCI configuration
 * space, descriptors for bus masters put into RAM, steps of the clock; and resets, state saved and loaded, bytes from
 * the host. Each target reaches one device's registers; "pc" reaches everything, at random addresses too, with BARs moved over
 * each other.
 */
#include <assert.h>
#include <glib.h>
#include <stdlib.h>
#include <string.h>

#include "block/block.h"
#include "hw/pci/pci.h"
#include "qapi/state.h"
#include "softmmu/board.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/program.h"
#include "ui/console.h"

enum {
    LIFE = 300,                          /* inputs that one machine serves */
    RAM = 16 << 20,
    MAX_STEPS_NS = 100000000,            /* of one input: a PIT ticks 1.2 million times a second */
    IDE = 1 << 3 | 1, PM = 1 << 3 | 3, VGA = 2 << 3,
    AT_BMDMA = 0xc000, AT_PM = 0x600, AT_SMBUS = 0x700, AT_FB = 0xe0000000, AT_VGA = 0xe2000000,
};

typedef struct {
    uint64_t base, len;
} Range;

typedef struct {
    const char *args[16];
    Range ports[8], mem[4];              /* length 0: no more */
    uint8_t devfns[6], num_devfns;
    bool wild;                           /* any address, any device */
} DeviceFuzz;

static struct {
    System *s;
    Machine *m;
    const DeviceFuzz *d;
    unsigned served;
    int64_t stepped;
} p;

/* ---- Accesses ---- */

static void out(uint16_t port, unsigned size, uint32_t v)
{
    address_space_st(p.m->as_io, port, size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, v);
}

static void config_write(uint8_t devfn, uint8_t reg, unsigned size, uint32_t v)
{
    out(0xcf8, 4, 0x80000000 | (uint32_t)devfn << 8 | (reg & 0xfc));
    out(0xcfc + (reg & 3 & ~(size - 1)), size, v);
}

static void config_read(uint8_t devfn, uint8_t reg, unsigned size)
{
    uint64_t v;

    out(0xcf8, 4, 0x80000000 | (uint32_t)devfn << 8 | (reg & 0xfc));
    address_space_ld(p.m->as_io, 0xcfc + (reg & 3 & ~(size - 1)), size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &v);
}

/* What firmware would have done, so that an input need not find its way to it. */
static void set_up_pci(void)
{
    config_write(IDE, 0x20, 4, AT_BMDMA);
    config_write(IDE, 0x04, 2, 5);
    config_write(IDE, 0x40, 4, 0x80008000); /* both channels decode (PIIX3, 2.3.8) */
    config_write(PM, 0x40, 4, AT_PM | 1);
    config_write(PM, 0x80, 1, 1);
    config_write(PM, 0x90, 4, AT_SMBUS | 1);
    config_write(PM, 0xd2, 1, 1);
    config_write(PM, 0x04, 2, 1);
    config_write(VGA, 0x10, 4, AT_FB);
    config_write(VGA, 0x18, 4, AT_VGA);
    config_write(VGA, 0x04, 2, 3);
}

/* ---- State ---- */

static void each_state(QBuf *save, QStateInput *in)
{
    for (Device *d = p.m->first_device; d; d = d->next) {
        const QClass *k = NULL;
        void *st;

        while ((st = object_next_state(OBJECT(d), &k))) {
            if (save) {
                qstate_save(save, k, st, object_conf(OBJECT(d)));
            } else {
                qstate_load(in, k, st, object_conf(OBJECT(d)), &error_abort);
            }
        }
    }
}

/* What a guest can bring a device to, can be saved and loaded. */
static void reload(void)
{
    QBuf first = { 0 }, second = { 0 };
    QStateInput in;

    if (p.s->blocks) {
        block_drain_all(p.s->blocks);
    }
    each_state(&first, NULL);
    in = (QStateInput){ (const uint8_t *)first.data, (const uint8_t *)first.data + first.len };
    each_state(NULL, &in);
    for (Device *d = p.m->first_device; d; d = d->next) {
        object_check(OBJECT(d), &error_abort);
    }
    for (Device *d = p.m->first_device; d; d = d->next) {
        object_rebuild(OBJECT(d));
    }
    each_state(&second, NULL);
    g_assert_cmpmem(first.data, first.len, second.data, second.len);
    qbuf_finish(&first);
    qbuf_finish(&second);
}

/* ---- Operations ---- */

static unsigned take_size(uint8_t how, unsigned max)
{
    unsigned size = 1u << (how >> 4 & 3);

    return size > max ? max : size;
}

static uint64_t take_address(FuzzBytes *b, const Range *ranges, unsigned num, uint64_t mask)
{
    uint8_t which = fuzz_u8(b);
    uint16_t offset = fuzz_u16(b);
    unsigned n = 0;

    while (n < num && ranges[n].len) {
        n++;
    }
    if (!n || (p.d->wild && which % 4 == 0)) {
        return (fuzz_u32(b) + (uint64_t)(which >> 6 & 1) * 0xffffff00) & mask;
    }
    return ranges[which % n].base + (ranges[which % n].len > 65536 ? (uint64_t)offset << 8 | which : offset) % ranges[which % n].len;
}

/* Descriptors want addresses of other descriptors. */
static uint32_t take_value(FuzzBytes *b, uint8_t how)
{
    switch (how >> 6) {
    case 0:
        return fuzz_u8(b);
    case 1:
        return fuzz_u16(b);
    case 2:
        return (uint32_t)fuzz_u8(b) << 12;
    default:
        return fuzz_u32(b);
    }
}

static void port(FuzzBytes *b, uint8_t how, unsigned times)
{
    uint16_t at = (uint16_t)take_address(b, p.d->ports, G_N_ELEMENTS(p.d->ports), 0xffff);
    unsigned size = take_size(how, 4);
    uint32_t v = how & 8 ? 0 : take_value(b, how);

    while (times--) {
        uint64_t got;
        if (how & 8) {
            address_space_ld(p.m->as_io, at, size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &got);
        } else {
            out(at, size, v++);
        }
    }
}

static void memory(FuzzBytes *b, uint8_t how)
{
    uint64_t at = take_address(b, p.d->mem, G_N_ELEMENTS(p.d->mem), UINT32_MAX), v;
    unsigned size = take_size(how, 8);

    if (how & 8) {
        address_space_ld(p.m->as_memory, at, size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &v);
    } else {
        address_space_st(p.m->as_memory, at, size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, take_value(b, how) * 0x100000001ull);
    }
}

static void config(FuzzBytes *b, uint8_t how)
{
    uint8_t which = fuzz_u8(b), reg = fuzz_u8(b), devfn = p.d->num_devfns ? p.d->devfns[which % p.d->num_devfns] : which;

    if (how & 8) {
        config_read(p.d->wild ? which % 32 : devfn, reg, take_size(how, 4));
    } else {
        config_write(p.d->wild ? which % 32 : devfn, reg, take_size(how, 4), take_value(b, how));
    }
}

static void dma_buffer(FuzzBytes *b)
{
    uint32_t at = (uint32_t)fuzz_u8(b) << 12;
    FuzzBytes bytes = fuzz_take(b, fuzz_u8(b) & 63);

    address_space_write(p.m->as_memory, at + (fuzz_u8(b) & 0xfc) * 16, MEMTXATTRS_NONE, bytes.data, bytes.len);
}

static void unlocked(void (*fn)(FuzzBytes *), FuzzBytes *b)
{
    board_unlock(p.s);
    fn(b);
    board_lock(p.s);
}

static void step(FuzzBytes *b)
{
    int64_t ns = (int64_t)1 << (fuzz_u8(b) % 27);
    Clock *c = &p.m->clocks.clocks[CLOCK_VIRTUAL_NS];

    if ((p.stepped += ns) < MAX_STEPS_NS) {
        clock_group_step(&p.m->clocks, clock_ns(c) + ns);
    }
}

static void settle(FuzzBytes *b)
{
    program_settle(p.s);
}

static void reset(uint8_t how)
{
    machine_reset(p.m, how & 8 ? OBJECT_COLD_RESET : OBJECT_WARM_RESET);
    set_up_pci();
}

/* What the screen shows, as a screenshot or VNC would ask for. */
static void draw(void)
{
    Console *c = console_find(p.s->tree, 0);

    if (c) {
        console_update(c);
    }
}

static void operation(FuzzBytes *b)
{
    uint8_t how = fuzz_u8(b);

    switch (how & 7) {
    case 0: case 1:
        port(b, how, 1);
        break;
    case 2:
        port(b, how, 1 + (fuzz_u8(b) & 63));
        break;
    case 3:
        p.d->mem[0].len || p.d->wild ? memory(b, how) : port(b, how, 1);
        break;
    case 4:
        p.d->num_devfns || p.d->wild ? config(b, how) : port(b, how, 1);
        break;
    case 5:
        dma_buffer(b);
        break;
    case 6:
        unlocked(how & 8 ? step : settle, b);
        break;
    case 7:
        how < 0x20 ? reload() : how < 0x30 ? reset(how) : how < 0x40 ? draw() : port(b, how, 1);
        break;
    }
}

/* ---- The machine ---- */

static void make_image(const char *name)
{
    FILE *f = fopen(name, "w");

    if (!f || ftruncate(fileno(f), 1 << 20) < 0) {
        abort();
    }
    fclose(f);
}

static void begin(void)
{
    static const char *const common[] = { "-M", "pc", "-m", "16", "-accel", "qtest", "-nodefaults", "-no-shutdown", "-action", "panic=none" };
    const char *args[64];
    unsigned n = 0;

    make_image("disk");
    make_image("disc");
    for (unsigned i = 0; i < G_N_ELEMENTS(common); i++) {
        args[n++] = common[i];
    }
    for (unsigned i = 0; i < G_N_ELEMENTS(p.d->args) && p.d->args[i]; i++) {
        args[n++] = p.d->args[i];
    }
    args[n] = NULL;
    p.s = program_new(args, &error_abort);
    p.m = p.s->machine;
    p.served = 0;
}

static void start(void)
{
    p.d = fuzz_current->detail;
    begin();
}

static void device(const uint8_t *data, size_t len)
{
    FuzzBytes b = { data, len };

    board_lock(p.s);
    set_up_pci();
    p.stepped = 0;
    while (fuzz_more(&b)) {
        operation(&b);
    }
    draw();
    if (len && data[len - 1] % 8 == 0) { /* it costs more than the rest */
        reload();
    }
    board_unlock(p.s);
    if (++p.served == LIFE) {
        program_free(p.s);
        begin();
    } else {
        program_reset(p.s);
    }
}

#define FUZZ_DEVICE(name, ...) \
    const FuzzTarget fuzz_##name = { .init = start, .run = device, .max_len = 1024, .detail = &(const DeviceFuzz){ __VA_ARGS__ } };

FUZZ_DEVICE(dma8257, .ports = { { 0x00, 16 }, { 0x80, 16 }, { 0xc0, 32 } })
FUZZ_DEVICE(pic, .ports = { { 0x20, 2 }, { 0xa0, 2 }, { 0x4d0, 2 } })
FUZZ_DEVICE(pit, .ports = { { 0x40, 4 }, { 0x61, 1 } })
FUZZ_DEVICE(i8042, .ports = { { 0x60, 1 }, { 0x64, 1 }, { 0x92, 1 } })
FUZZ_DEVICE(rtc, .ports = { { 0x70, 2 } })
FUZZ_DEVICE(ioapic, .mem = { { 0xfec00000, 0x100 } }, .ports = { { 0x20, 2 } })
FUZZ_DEVICE(apic, .mem = { { 0xfee00000, 0x1000 } }, .ports = { { 0x20, 2 } }, .args = { "-smp", "3" })
FUZZ_DEVICE(hpet, .mem = { { 0xfed00000, 0x400 } }, .ports = { { 0x40, 4 } })
FUZZ_DEVICE(serial, .ports = { { 0x3f8, 8 }, { 0x2f8, 8 } }, .args = { "-chardev", "ringbuf,id=r", "-serial", "chardev:r", "-serial", "null" })
FUZZ_DEVICE(parallel, .ports = { { 0x378, 8 } }, .args = { "-chardev", "ringbuf,id=r", "-device", "isa-parallel,chardev=r" })
FUZZ_DEVICE(ide, .ports = { { 0x1f0, 8 }, { 0x3f6, 1 }, { 0x170, 8 }, { 0x376, 1 }, { AT_BMDMA, 16 } }, .devfns = { IDE }, .num_devfns = 1,
       .args = { "-drive", "file=disk,format=raw,if=ide,index=0", "-drive", "file=disc,format=raw,if=ide,media=cdrom,index=1",
                 "-device", "ide-cd,bus=ide.1,unit=0" })
FUZZ_DEVICE(atapi, .ports = { { 0x170, 8 }, { 0x376, 1 }, { AT_BMDMA + 8, 8 } },
       .args = { "-drive", "file=disc,format=raw,media=cdrom,index=2" })
FUZZ_DEVICE(pm, .ports = { { AT_PM, 64 }, { AT_SMBUS, 16 }, { 0xb2, 2 }, { 0xcf9, 1 } }, .devfns = { PM }, .num_devfns = 1)
FUZZ_DEVICE(vga, .ports = { { 0x3b0, 0x30 }, { 0x1ce, 4 } }, .mem = { { 0xa0000, 0x20000 }, { AT_FB, 1 << 24 }, { AT_VGA, 0x1000 } },
       .devfns = { VGA }, .num_devfns = 1, .args = { "-device", "VGA,addr=02.0" })
FUZZ_DEVICE(pci, .ports = { { 0xcf8, 8 } }, .mem = { { 0xa0000, 0x60000 } }, .devfns = { 0, 1 << 3, IDE, PM, VGA }, .num_devfns = 5,
       .args = { "-device", "VGA,addr=02.0", "-drive", "file=disk,format=raw,index=0" })
FUZZ_DEVICE(fw_cfg, .ports = { { 0x510, 12 } })
FUZZ_DEVICE(debug, .ports = { { 0xe9, 1 }, { 0x505, 2 }, { 0x501, 4 } },
       .args = { "-chardev", "ringbuf,id=r", "-device", "isa-debugcon,chardev=r", "-device", "pvpanic", "-device", "isa-debug-exit" })
FUZZ_DEVICE(pc, .wild = true, .ports = { { 0, 0x100 }, { 0x100, 0x400 }, { 0x500, 0x300 }, { AT_BMDMA, 16 }, { 0xcf8, 8 } },
       .mem = { { 0, RAM }, { 0xa0000, 0x60000 }, { AT_FB, 1 << 24 }, { 0xfec00000, 0x300000 } },
       .args = { "-device", "VGA,addr=02.0", "-drive", "file=disk,format=raw,index=0", "-drive", "file=disc,format=raw,media=cdrom,index=2",
                 "-serial", "null", "-device", "pvpanic", "-device", "isa-parallel", "-chardev", "null,id=n", "-device", "isa-debugcon,chardev=n" })
