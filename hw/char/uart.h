/*
 * The 16550A itself, which isa-serial puts at its ports: registers, FIFOs and the interrupt. Whoever has one gives it a
 * state, a clock and the line; it calls irq_set, and the chardev's functions if it has a chardev.
 * Under the machine's lock.
 */
#ifndef HW_CHAR_UART_H
#define HW_CHAR_UART_H

#include "chardev/chardev.h"
#include "hw/char/serial.gen.h"
#include "hw/core/device.h"
#include "util/loop.h"

typedef struct {
    IsaSerialState *st;
    Clock *clock;
    FairMutex *domain;
    Loop *loop;        /* the chardev's; NULL: who calls is in it */
    Chardev *chr;      /* NULL: output is dropped */
    Irq *irq;
    uint32_t baudbase;
    Timer timeout;
    /*
     * What a real line is told and asked (speed, modem lines, break) is the business of the loop's thread: it is
     * done there soon after.
     */
    LoopWork line_work;
    bool send_break;   /* the guest began one */
    uint8_t inputs;    /* modem inputs as the line has them: bits of MSR */
} Uart;

/* st, clock, domain, loop, chr and baudbase are set. */
bool uart_attach(Uart *u, Error **errp);
void uart_detach(Uart *u);
uint8_t uart_read(Uart *u, unsigned reg);
void uart_write(Uart *u, unsigned reg, uint8_t value);
void uart_reset(Uart *u);
bool uart_check(const Uart *u, Error **errp);
void uart_rebuild(Uart *u);

#endif
