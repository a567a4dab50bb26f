/*
 * Unit tests of devices without a CPU: a bare machine, its ports and memory, buses whose interrupt lines are
 * recorded, a clock that moves when it is told to.
 *
 *     DevTest *t = devtest_new(&qclass_isa_serial);              // classes of this test, the last NULL is added
 *     Device *d = devtest_add(t, "isa-serial", "iobase=0x3f8,irq=4");
 *     devtest_outb(t, 0x3fb, 0x80);
 *     g_assert_cmpint(devtest_irq(t, 4), ==, 0);
 *     devtest_script(t, "outb 0x3f9 1;  inb 0x3fa = 0xc1;  irq 4 = 1;  step 1000000;  reset");
 *     devtest_fuzz(t, &(DevTestFuzz){.io_base = 0x3f8, .io_size = 8, .rounds = 20000});
 *     devtest_free(t);
 *
 * RAM is 16 MiB at address 0. The ISA bus is "isa.0", the PCI bus "pci.0" (BARs in memory and ports). The machine's lock is
 * held all the time but while the clock is stepped or the loop runs. Every failure ends the test with its place.
 */
#ifndef TESTS_DEVTEST_H
#define TESTS_DEVTEST_H

#include <glib.h>

#include "hw/core/machine.h"
#include "hw/isa/isa.h"
#include "hw/pci/pci.h"

typedef struct {
    unsigned level, rises; /* now; times it went from 0 to not 0 */
} DevTestLine;

typedef struct {
    QSchema schema;
    QomTree *tree;
    Loop *loop;            /* on the default context; runs no clock */
    Machine *m;
    MemoryRegion ram;
    IsaBus *isa;
    PciBus *pci;
    DevTestLine isa_lines[16], pci_lines[4];
    unsigned resets, shutdowns, suspends; /* that the guest asked for */
    int exit_status;       /* by request_exit; -1 */
    GPtrArray *classes;
} DevTest;

DevTest *devtest_new_classes(const QClass *const *classes); /* NULL-terminated; parents are added */
#define devtest_new(...) devtest_new_classes((const QClass *const[]){__VA_ARGS__, NULL})
void devtest_free(DevTest *);

/* As -device: "key=value,..." (may name bus= and id=); realized and reset. */
Device *devtest_add(DevTest *, const char *driver, const char *props);
/* Its error's text; g_free() it. Fails the test when it succeeds. */
char *devtest_add_error(DevTest *, const char *driver, const char *props);
void devtest_reset(DevTest *, ObjectResetKind);
/* Virtual time by ns; timers run at their time. */
void devtest_step(DevTest *, int64_t ns);
int64_t devtest_now(DevTest *);
/* Host events that are ready: file descriptors, posted work. Returns when there is nothing to do. */
void devtest_run_loop(DevTest *);
/* Saves the state of all devices and loads it into them again; what the guest sees must not change. */
void devtest_reload(DevTest *);

uint32_t devtest_in(DevTest *, uint16_t port, unsigned size);
void devtest_out(DevTest *, uint16_t port, unsigned size, uint32_t value);
uint64_t devtest_read(DevTest *, hwaddr, unsigned size);
void devtest_write(DevTest *, hwaddr, unsigned size, uint64_t value);
static inline uint8_t devtest_inb(DevTest *t, uint16_t port)
{
    return devtest_in(t, port, 1);
}
static inline void devtest_outb(DevTest *t, uint16_t port, uint8_t value)
{
    devtest_out(t, port, 1, value);
}
uint32_t devtest_pci_read(DevTest *, uint8_t devfn, unsigned reg, unsigned size);
void devtest_pci_write(DevTest *, uint8_t devfn, unsigned reg, unsigned size, uint32_t value);

static inline unsigned devtest_irq(DevTest *t, unsigned n)
{
    return t->isa_lines[n].level;
}

/*
 * Statements with ';' or newlines between, numbers in decimal or 0x, # begins a comment:
 *   outb|outw|outl PORT VALUE     inb|inw|inl PORT [= VALUE]
 *   writeb|w|l|q ADDR VALUE       readb|w|l|q ADDR [= VALUE]      = VALUE & MASK compares under a mask
 *   irq N = LEVEL                 rises N = COUNT (since the start)     intx N = LEVEL
 *   step NS                       reset
 * A wrong value ends the test and names the statement.
 */
void devtest_script(DevTest *, const char *text);

/* Random accesses of all sizes, steps of the clock, resets and reloads: it must live. */
typedef struct {
    uint16_t io_base;
    uint32_t io_size;      /* 0: no ports */
    hwaddr mem_base;
    uint64_t mem_size;     /* 0: no memory */
    unsigned rounds;       /* 0: 10000 */
    int64_t max_step;      /* ns; 0: 100 ms */
} DevTestFuzz;
void devtest_fuzz(DevTest *, const DevTestFuzz *);

#endif
