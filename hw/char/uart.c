/*
 * 16550A UART. PC16550D data sheet (National Semiconductor, June 1995), section 8 by its numbers.
 *
 * Characters are sent as fast as the chardev takes them: the divisor only times the character time-out and is told to
 * the chardev. The OUT2 pin does not gate the interrupt.
 */
#include "hw/char/uart.h"

#include <string.h>

enum { R_DATA, R_IER, R_IIR_FCR, R_LCR, R_MCR, R_LSR, R_MSR, R_SCR };

enum {
    IER_RDA = 1, IER_THRE = 2, IER_LINE = 4, IER_MODEM = 8,               /* 8.7 */
    IIR_NONE = 1, IIR_MODEM = 0, IIR_THRE = 2, IIR_RDA = 4, IIR_LINE = 6, /* 8.6, table III */
    IIR_TIMEOUT = 12, IIR_FIFOS = 0xc0,
    FCR_ENABLE = 1, FCR_CLEAR_RX = 2, FCR_CLEAR_TX = 4, FCR_TRIGGER_SHIFT = 6, /* 8.5 */
    LCR_WORD = 3, LCR_STOP = 4, LCR_PARITY = 8, LCR_EVEN = 0x10, LCR_BREAK = 0x40, LCR_DLAB = 0x80, /* 8.1 */
    MCR_DTR = 1, MCR_RTS = 2, MCR_OUT1 = 4, MCR_OUT2 = 8, MCR_LOOP = 0x10, /* 8.8 */
    LSR_DR = 1, LSR_OE = 2, LSR_PE = 4, LSR_FE = 8, LSR_BI = 0x10, LSR_THRE = 0x20, LSR_TEMT = 0x40, /* 8.4 */
    LSR_FIFO_ERROR = 0x80, LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI,
    MSR_TERI = 4, MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RI = 0x40, MSR_DCD = 0x80, MSR_DELTAS = 15, /* 8.9 */
    MSR_CONNECTED = MSR_CTS | MSR_DSR | MSR_DCD,
    FIFO = 16,
    TIMEOUT_CHARS = 4,
};

static bool fifos_on(const Uart *u)
{
    return u->st->fcr & FCR_ENABLE;
}

static unsigned trigger_level(const Uart *u)
{
    static const uint8_t levels[4] = {1, 4, 8, 14};

    return fifos_on(u) ? levels[u->st->fcr >> FCR_TRIGGER_SHIFT] : 1;
}

static uint8_t line_status(const Uart *u)
{
    const IsaSerialState *st = u->st;

    return st->lsr | (st->rx.len ? LSR_DR : 0) | (st->tx.len <= 1 ? LSR_THRE : 0) | (st->tx.len == 0 ? LSR_TEMT : 0) |
           (fifos_on(u) && st->rx_breaks ? LSR_FIFO_ERROR : 0);
}

/* Interrupt with the highest priority: table III. */
static uint8_t interrupt_id(const Uart *u)
{
    const IsaSerialState *st = u->st;

    if (st->ier & IER_LINE && st->lsr & LSR_ERRORS) {
        return IIR_LINE;
    }
    if (st->ier & IER_RDA && st->rx.len >= trigger_level(u)) {
        return IIR_RDA;
    }
    if (st->ier & IER_RDA && st->timed_out) {
        return IIR_TIMEOUT;
    }
    if (st->ier & IER_THRE && st->thr_interrupt) {
        return IIR_THRE;
    }
    if (st->ier & IER_MODEM && st->msr & MSR_DELTAS) {
        return IIR_MODEM;
    }
    return IIR_NONE;
}

static void uart_update_irq(Uart *u)
{
    irq_set(u->irq, interrupt_id(u) != IIR_NONE);
}

/* Receiver --------------------------------------------------------------------- */

static unsigned char_bits(const Uart *u)
{
    uint8_t lcr = u->st->lcr;

    return 1 + 5 + (lcr & LCR_WORD) + (lcr & LCR_PARITY ? 1 : 0) + (lcr & LCR_STOP ? 2 : 1);
}

/* 8.4, "FIFO interrupt mode operation": four character times without anything moving. */
static void restart_timeout(Uart *u)
{
    unsigned divisor = u->st->divisor ? u->st->divisor : 1;

    u->st->timed_out = false;
    if (fifos_on(u) && u->st->rx.len) {
        timer_arm(&u->timeout, clock_ns(u->clock) +
                                   muldiv64((uint64_t)TIMEOUT_CHARS * char_bits(u) * divisor, 1000000000, u->baudbase));
    } else {
        timer_cancel(&u->timeout);
    }
}

static void uart_timed_out(void *opaque)
{
    Uart *u = opaque;

    u->st->timed_out = u->st->rx.len > 0;
    uart_update_irq(u);
}

/* The line status shows the errors of the character that is read next: 8.4. */
static void reveal_errors(Uart *u)
{
    if (u->st->rx.len && u->st->rx_breaks & 1) {
        u->st->lsr |= LSR_BI;
    }
}

static void receive_char(Uart *u, uint8_t c, bool is_break)
{
    IsaSerialState *st = u->st;
    unsigned room = fifos_on(u) ? FIFO : 1;

    if (st->rx.len == room) {
        st->lsr |= LSR_OE;
        if (fifos_on(u)) {
            return; /* the shift register is overwritten, the FIFO is not */
        }
        st->rx.len = 0;
        st->rx_breaks = 0;
    }
    st->rx_breaks |= is_break << st->rx.len;
    st->rx.data[st->rx.len++] = c;
    if (st->rx.len == 1) {
        reveal_errors(u);
    }
}

static int uart_can_receive(void *opaque)
{
    Uart *u = opaque;

    if (u->st->mcr & MCR_LOOP) {
        return 0;
    }
    return (fifos_on(u) ? FIFO : 1) - (int)u->st->rx.len;
}

static void uart_receive(void *opaque, const uint8_t *buf, int len)
{
    Uart *u = opaque;

    for (int i = 0; i < len; i++) {
        receive_char(u, buf[i], false);
    }
    restart_timeout(u);
    uart_update_irq(u);
}

static void uart_chr_event(void *opaque, ChardevEvent event)
{
    Uart *u = opaque;

    if (event == CHARDEV_EVENT_BREAK && !(u->st->mcr & MCR_LOOP)) {
        receive_char(u, 0, true);
        restart_timeout(u);
        uart_update_irq(u);
    }
}

static uint8_t read_data(Uart *u)
{
    IsaSerialState *st = u->st;
    uint8_t c = st->rx.data[0];

    if (st->rx.len == 0) {
        return c; /* the last one stays */
    }
    memmove(st->rx.data, st->rx.data + 1, --st->rx.len);
    st->rx_breaks >>= 1;
    if (st->rx.len == 0) {
        st->rx.data[0] = c;
    }
    reveal_errors(u);
    restart_timeout(u);
    uart_update_irq(u);
    if (u->chr && !(st->mcr & MCR_LOOP)) {
        chardev_accept_input(u->chr);
    }
    return c;
}

static void clear_rx(Uart *u)
{
    u->st->rx.len = 0;
    u->st->rx_breaks = 0;
    restart_timeout(u);
    if (u->chr) {
        chardev_accept_input(u->chr);
    }
}

/* Transmitter ------------------------------------------------------------------ */

/* Bytes went out: the holding register may have become empty, which interrupts once (8.7). */
static void transmitted(Uart *u, unsigned n, bool was_empty)
{
    IsaSerialState *st = u->st;

    memmove(st->tx.data, st->tx.data + n, st->tx.len - n);
    st->tx.len -= n;
    if (st->tx.len <= 1 && !was_empty) {
        st->thr_interrupt = true;
    }
}

static void transmit(Uart *u, bool was_empty)
{
    IsaSerialState *st = u->st;
    int n = st->tx.len;

    if (st->mcr & MCR_LOOP) {
        for (int i = 0; i < n; i++) {
            receive_char(u, st->tx.data[i], false);
        }
        restart_timeout(u);
    } else if (u->chr && n) {
        n = chardev_write(u->chr, u, st->tx.data, n);
    }
    transmitted(u, n, was_empty);
    if (st->tx.len) {
        chardev_watch_writable(u->chr, u, true);
    }
    uart_update_irq(u);
}

static void uart_writable(void *opaque)
{
    Uart *u = opaque;

    if (u->st->tx.len) {
        transmit(u, u->st->tx.len <= 1);
    }
    if (u->st->tx.len == 0) {
        chardev_watch_writable(u->chr, u, false);
    }
}

static void write_data(Uart *u, uint8_t c)
{
    IsaSerialState *st = u->st;
    unsigned room = 1 + (fifos_on(u) ? FIFO : 1);

    if (st->tx.len == room) {
        st->tx.len--; /* 8.2 gives no overrun here: the last one written is lost */
    }
    st->tx.data[st->tx.len++] = c;
    st->thr_interrupt = false;
    uart_update_irq(u);
    if (st->tx.len > 1 && !(st->mcr & MCR_LOOP)) {
        /* The chardev was full before: it says when there is room. */
        return;
    }
    transmit(u, false);
}

/* Registers ---------------------------------------------------------------------- */

/* The real line is to be told something, or asked. */
static void schedule_line_work(Uart *u)
{
    if (u->chr && u->loop) {
        loop_work_schedule(&u->line_work);
    } else if (u->chr) {
        u->line_work.fn(u);
    }
}

static void write_ier(Uart *u, uint8_t value)
{
    uint8_t before = u->st->ier;

    u->st->ier = value & 15;
    if (!(before & IER_THRE) && value & IER_THRE && line_status(u) & LSR_THRE) {
        u->st->thr_interrupt = true; /* enabling it with an empty register interrupts */
    }
    uart_update_irq(u);
}

static void write_fcr(Uart *u, uint8_t value)
{
    if ((value ^ u->st->fcr) & FCR_ENABLE) {
        value |= FCR_CLEAR_RX | FCR_CLEAR_TX; /* 8.5: a change of mode clears both */
        u->st->fcr = value & FCR_ENABLE;
    }
    if (value & FCR_ENABLE) {
        /* other bits are programmed only while FCR0 is 1 */
        u->st->fcr = value & ~(FCR_CLEAR_RX | FCR_CLEAR_TX);
    }
    if (value & FCR_CLEAR_RX) {
        clear_rx(u);
    }
    if (value & FCR_CLEAR_TX && u->st->tx.len > 1) {
        u->st->tx.len = 1; /* the shift register is not cleared */
        u->st->thr_interrupt = true;
    }
    uart_update_irq(u);
}

static void write_lcr(Uart *u, uint8_t value)
{
    uint8_t before = u->st->lcr;

    u->st->lcr = value;
    u->send_break |= value & ~before & LCR_BREAK && !(u->st->mcr & MCR_LOOP);
    if (before != value) {
        schedule_line_work(u);
    }
}

/* New levels of the modem inputs, and which changed: 8.9. */
static void set_modem_inputs(Uart *u, uint8_t levels)
{
    uint8_t before = u->st->msr & 0xf0, changed = before ^ levels;
    uint8_t deltas = (changed & ~MSR_RI) >> 4;

    if (before & MSR_RI && !(levels & MSR_RI)) {
        deltas |= MSR_TERI; /* trailing edge only */
    }
    u->st->msr = levels | (u->st->msr & MSR_DELTAS) | deltas;
}

static void tell_line(Uart *u)
{
    static const char parities[4] = {'N', 'O', 'N', 'E'};
    uint8_t lcr = u->st->lcr, mcr = u->st->mcr;
    ChardevSerialParams p = {
        .speed = u->baudbase / (u->st->divisor ? u->st->divisor : 1),
        .data_bits = 5 + (lcr & LCR_WORD),
        .stop_bits = lcr & LCR_STOP ? 2 : 1,
        .parity = parities[lcr >> 3 & 3],
    };

    chardev_set_params(u->chr, &p);
    if (!(mcr & MCR_LOOP)) { /* 8.8: in loop mode the pins are inactive, which no line needs to see */
        chardev_set_modem(u->chr, (mcr & MCR_DTR ? CHARDEV_TIOCM_DTR : 0) | (mcr & MCR_RTS ? CHARDEV_TIOCM_RTS : 0));
    }
    if (u->send_break) {
        chardev_send_break(u->chr);
        u->send_break = false;
    }
}

static uint8_t ask_line(Uart *u)
{
    unsigned tiocm;

    if (!chardev_get_modem(u->chr, &tiocm)) {
        return MSR_CONNECTED;
    }
    return (tiocm & CHARDEV_TIOCM_CTS ? MSR_CTS : 0) | (tiocm & CHARDEV_TIOCM_DSR ? MSR_DSR : 0) |
           (tiocm & CHARDEV_TIOCM_RI ? MSR_RI : 0) | (tiocm & CHARDEV_TIOCM_CAR ? MSR_DCD : 0);
}

static void uart_line_work(void *opaque)
{
    Uart *u = opaque;
    bool locked = !fair_mutex_is_held(u->domain);

    if (locked) {
        fair_mutex_lock(u->domain);
    }
    tell_line(u);
    u->inputs = ask_line(u);
    if (!(u->st->mcr & MCR_LOOP)) {
        set_modem_inputs(u, u->inputs);
        uart_update_irq(u);
    }
    if (locked) {
        fair_mutex_unlock(u->domain);
    }
}

static void write_mcr(Uart *u, uint8_t value)
{
    uint8_t before = u->st->mcr;

    u->st->mcr = value & 31;
    if (value & MCR_LOOP) { /* 8.8 */
        set_modem_inputs(u, (value & MCR_RTS ? MSR_CTS : 0) | (value & MCR_DTR ? MSR_DSR : 0) |
                                (value & MCR_OUT1 ? MSR_RI : 0) | (value & MCR_OUT2 ? MSR_DCD : 0));
    } else {
        if (before & MCR_LOOP) {
            set_modem_inputs(u, u->inputs);
        }
        if (u->chr && before & MCR_LOOP) {
            chardev_accept_input(u->chr);
        }
    }
    if (before != u->st->mcr) {
        schedule_line_work(u);
    }
    uart_update_irq(u);
}

static void write_divisor(Uart *u, unsigned reg, uint8_t value)
{
    unsigned shift = reg * 8;

    u->st->divisor = (u->st->divisor & ~(0xff << shift)) | value << shift;
    schedule_line_work(u);
}

void uart_write(Uart *u, unsigned reg, uint8_t value)
{
    if (reg <= R_IER && u->st->lcr & LCR_DLAB) {
        write_divisor(u, reg, value);
        return;
    }
    switch (reg) {
    case R_DATA:
        write_data(u, value);
        break;
    case R_IER:
        write_ier(u, value);
        break;
    case R_IIR_FCR:
        write_fcr(u, value);
        break;
    case R_LCR:
        write_lcr(u, value);
        break;
    case R_MCR:
        write_mcr(u, value);
        break;
    case R_SCR:
        u->st->scr = value;
        break;
    }
    /* 8.4: LSR is for reading; MSR's bits are inputs */
}

static uint8_t read_iir(Uart *u)
{
    uint8_t id = interrupt_id(u);

    if (id == IIR_THRE) { /* table III: reading IIR resets it, if it is the source */
        u->st->thr_interrupt = false;
        uart_update_irq(u);
    }
    return id | (fifos_on(u) ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(Uart *u)
{
    uint8_t v = line_status(u);

    u->st->lsr &= ~LSR_ERRORS;
    if (v & LSR_BI) {
        u->st->rx_breaks &= ~1;
    }
    uart_update_irq(u);
    return v;
}

static uint8_t read_msr(Uart *u)
{
    uint8_t v;

    v = u->st->msr;
    u->st->msr &= ~MSR_DELTAS;
    uart_update_irq(u);
    if (!(u->st->mcr & MCR_LOOP)) {
        schedule_line_work(u); /* for the next time: a guest that waits for a line reads again and again */
    }
    return v;
}

uint8_t uart_read(Uart *u, unsigned reg)
{
    if (reg <= R_IER && u->st->lcr & LCR_DLAB) {
        return u->st->divisor >> reg * 8;
    }
    switch (reg) {
    case R_DATA:
        return read_data(u);
    case R_IER:
        return u->st->ier;
    case R_IIR_FCR:
        return read_iir(u);
    case R_LCR:
        return u->st->lcr;
    case R_MCR:
        return u->st->mcr;
    case R_LSR:
        return read_lsr(u);
    case R_MSR:
        return read_msr(u);
    default:
        return u->st->scr;
    }
}

/* Life cycle ----------------------------------------------------------------------- */

static const ChardevHandlers uart_handlers = {
    .can_receive = uart_can_receive,
    .receive = uart_receive,
    .event = uart_chr_event,
    .writable = uart_writable,
};

bool uart_attach(Uart *u, Error **errp)
{
    if (u->chr && !chardev_attach_locked(u->chr, &uart_handlers, u, u->domain, errp)) {
        return false;
    }
    timer_init(&u->timeout, u->clock, &u->st->timeout, uart_timed_out, u);
    u->inputs = MSR_CONNECTED;
    u->line_work.fn = uart_line_work;
    if (u->loop) {
        loop_work_init(&u->line_work, u->loop, uart_line_work, u);
    }
    if (u->chr) {
        chardev_set_open(u->chr, u, true);
    }
    return true;
}

void uart_detach(Uart *u)
{
    timer_finish(&u->timeout);
    if (u->loop) {
        loop_work_cancel(&u->line_work);
    }
    if (u->chr) {
        chardev_detach(u->chr, u);
    }
}

void uart_reset(Uart *u)
{
    if (u->chr) {
        chardev_watch_writable(u->chr, u, false);
        chardev_accept_input(u->chr);
    }
    schedule_line_work(u);
    irq_set(u->irq, 0);
}

bool uart_check(const Uart *u, Error **errp)
{
    if (!fifos_on(u) && (u->st->rx.len > 1 || u->st->tx.len > 2)) {
        return error_set(errp, "serial: the state has %u and %u bytes in FIFOs that are off", u->st->rx.len,
                         u->st->tx.len);
    }
    if (u->st->tx.len && !u->chr) {
        return error_set(errp, "serial: the state has bytes to send, and there is no chardev");
    }
    return true;
}

void uart_rebuild(Uart *u)
{
    timer_rearm_from_field(&u->timeout);
    if (u->chr && u->st->tx.len) {
        chardev_watch_writable(u->chr, u, true);
    }
}
