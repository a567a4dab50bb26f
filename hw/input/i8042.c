/*
 * 8042 keyboard controller of the PC/AT and PS/2: IBM PS/2 Hardware Interface Technical Reference, "Keyboard and Auxiliary
 * Device Controller". And port 92h, system control port A (same book, "System Control Port A").
 *
 * Bytes reach the output buffer at once when it is free: nothing takes the time of the serial lines. Not modelled: the
 * input port's switches, passwords (commands A4 to A6), parity and time-out errors.
 */
#include <string.h>

#include "hw/core/machine.h"
#include "hw/input/ps2.h"
#include "hw/isa/isa.h"
#include "util/log.h"

enum {
    STATUS_OUT_FULL = 0x01, STATUS_SYSTEM = 0x04, STATUS_COMMAND = 0x08, STATUS_UNLOCKED = 0x10, STATUS_AUX = 0x20,
    /* Command byte: RAM 0 */
    CB_KBD_INT = 0x01, CB_AUX_INT = 0x02, CB_SYSTEM = 0x04, CB_KBD_OFF = 0x10, CB_AUX_OFF = 0x20, CB_TRANSLATE = 0x40,
    OUT_NOT_RESET = 0x01, OUT_A20 = 0x02, OUT_KBD_FULL = 0x10, OUT_AUX_FULL = 0x20, OUT_CLOCKS = 0xcc,
    INPUT_PORT = 0x80, /* keyboard not locked */
    RAM_SIZE = 32,
    PREFIX_BREAK = 0xf0,
};

enum {
    C_READ_RAM = 0x20, C_WRITE_RAM = 0x60, C_AUX_OFF = 0xa7, C_AUX_ON = 0xa8, C_AUX_TEST = 0xa9, C_SELF_TEST = 0xaa,
    C_KBD_TEST = 0xab, C_KBD_OFF = 0xad, C_KBD_ON = 0xae, C_READ_INPUT = 0xc0, C_READ_OUTPUT = 0xd0, C_WRITE_OUTPUT = 0xd1,
    C_KBD_BUFFER = 0xd2, C_AUX_BUFFER = 0xd3, C_WRITE_AUX = 0xd4, C_A20_OFF = 0xdd, C_A20_ON = 0xdf, C_PULSE = 0xf0,
};

typedef struct {
    IsaDevice parent;
    I8042Conf conf;
    I8042State st;
    MemoryRegion mr_data, mr_command;
    Irq *irq_kbd, *irq_aux, *a20;
    InputHub *hub;
    InputHandler handler;
} I8042;

static void request_reset(Machine *m)
{
    if (m->host && m->host->request_reset) {
        m->host->request_reset(m, SHUTDOWN_CAUSE_GUEST_RESET);
    }
}

/* Output buffer ------------------------------------------------------------------ */

static void i8042_update_irq(I8042 *s)
{
    bool kbd = s->st.full && !s->st.full_aux, aux = s->st.full && s->st.full_aux;

    irq_set(s->irq_kbd, kbd && s->st.ram[0] & CB_KBD_INT ? 1 : 0);
    irq_set(s->irq_aux, aux && s->st.ram[0] & CB_AUX_INT ? 1 : 0);
}

/* Next byte of the keyboard, translated to set 1 if the command byte says so. */
static bool take_keyboard(I8042 *s, uint8_t *value)
{
    while (ps2_keyboard_take(&s->st.keyboard, value)) {
        if (!(s->st.ram[0] & CB_TRANSLATE)) {
            s->st.break_next = false;
            return true;
        }
        if (*value == PREFIX_BREAK) {
            s->st.break_next = true;
            continue;
        }
        *value = ps2_set1_of_set2[*value] | (s->st.break_next ? 0x80 : 0);
        s->st.break_next = false;
        return true;
    }
    return false;
}

static void fill(I8042 *s, uint8_t value, bool aux)
{
    s->st.output = value;
    s->st.full = true;
    s->st.full_aux = aux;
}

/* Moves the next byte into the output buffer if that is free. */
static void i8042_load(I8042 *s)
{
    uint8_t v;

    if (!s->st.full) {
        if (s->st.queue.len) {
            v = s->st.queue.data[0];
            memmove(s->st.queue.data, s->st.queue.data + 1, --s->st.queue.len);
            fill(s, v, s->st.queue_aux & 1);
            s->st.queue_aux >>= 1;
        } else if (!(s->st.ram[0] & CB_KBD_OFF) && take_keyboard(s, &v)) {
            fill(s, v, false);
        } else if (!(s->st.ram[0] & CB_AUX_OFF) && ps2_mouse_take(&s->st.mouse, &v)) {
            fill(s, v, true);
        }
    }
    i8042_update_irq(s);
}

/* An answer of the controller's own. */
static void answer(I8042 *s, uint8_t value, bool aux)
{
    if (s->st.queue.len < sizeof(s->st.queue.data)) {
        s->st.queue_aux = (s->st.queue_aux & ~(1 << s->st.queue.len)) | aux << s->st.queue.len;
        s->st.queue.data[s->st.queue.len++] = value;
    }
}

/* Commands ----------------------------------------------------------------------- */

static void set_a20(I8042 *s, bool on)
{
    s->st.output_port = on ? s->st.output_port | OUT_A20 : s->st.output_port & ~OUT_A20;
    irq_set(s->a20, on);
}

static void write_output_port(I8042 *s, uint8_t value)
{
    s->st.output_port = value;
    irq_set(s->a20, value & OUT_A20 ? 1 : 0);
    if (!(value & OUT_NOT_RESET)) {
        request_reset(DEVICE(s)->machine);
    }
}

static uint8_t read_output_port(const I8042 *s)
{
    return OUT_CLOCKS | (s->st.output_port & (OUT_NOT_RESET | OUT_A20)) |
           (s->st.full ? s->st.full_aux ? OUT_AUX_FULL : OUT_KBD_FULL : 0);
}

/* F0 to FF: pulses the bits of the output port that are 0 in the command. */
static void pulse(I8042 *s, uint8_t value)
{
    if (!(value & OUT_NOT_RESET)) {
        request_reset(DEVICE(s)->machine);
    }
}

static void set_command_byte_bit(I8042 *s, uint8_t bit, bool on)
{
    s->st.ram[0] = on ? s->st.ram[0] | bit : s->st.ram[0] & ~bit;
}

static void self_test(I8042 *s)
{
    s->st.ram[0] |= CB_SYSTEM;
    answer(s, 0x55, false);
}

static void do_command(I8042 *s, uint8_t value)
{
    switch (value) {
    case C_READ_RAM ... C_READ_RAM + RAM_SIZE - 1:
        answer(s, s->st.ram[value - C_READ_RAM], false);
        break;
    case C_WRITE_RAM ... C_WRITE_RAM + RAM_SIZE - 1:
    case C_WRITE_OUTPUT ... C_WRITE_AUX:
        s->st.command = value;
        break;
    case C_AUX_OFF:
    case C_AUX_ON:
        set_command_byte_bit(s, CB_AUX_OFF, value == C_AUX_OFF);
        break;
    case C_KBD_OFF:
    case C_KBD_ON:
        set_command_byte_bit(s, CB_KBD_OFF, value == C_KBD_OFF);
        break;
    case C_AUX_TEST:
    case C_KBD_TEST:
        answer(s, 0, false);
        break;
    case C_SELF_TEST:
        self_test(s);
        break;
    case C_READ_INPUT:
        answer(s, INPUT_PORT, false);
        break;
    case C_READ_OUTPUT:
        answer(s, read_output_port(s), false);
        break;
    case C_A20_OFF:
    case C_A20_ON:
        set_a20(s, value == C_A20_ON);
        break;
    case C_PULSE ... 0xff:
        pulse(s, value);
        break;
    default:
        log_guest_error("i8042", "unknown command 0x%02x", value);
    }
}

static void take_argument(I8042 *s, uint8_t command, uint8_t value)
{
    switch (command) {
    case C_WRITE_RAM ... C_WRITE_RAM + RAM_SIZE - 1:
        s->st.ram[command - C_WRITE_RAM] = value;
        break;
    case C_WRITE_OUTPUT:
        write_output_port(s, value);
        break;
    case C_KBD_BUFFER:
        answer(s, value, false);
        break;
    case C_AUX_BUFFER:
        answer(s, value, true);
        break;
    case C_WRITE_AUX:
        set_command_byte_bit(s, CB_AUX_OFF, false); /* to send is to release the clock line */
        ps2_mouse_write(&s->st.mouse, value);
        break;
    }
}

/* Ports ---------------------------------------------------------------------------- */

static uint64_t i8042_read_data(void *dev, uint64_t offset, unsigned size)
{
    I8042 *s = dev;
    uint8_t v = s->st.output;

    if (s->st.full) {
        s->st.full = false;
        i8042_update_irq(s); /* falls before the next byte raises it */
        i8042_load(s);
    }
    return v;
}

static void i8042_write_data(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    I8042 *s = dev;
    uint8_t command = s->st.command;

    s->st.last_was_command = false;
    s->st.command = 0;
    if (command) {
        take_argument(s, command, value);
    } else {
        set_command_byte_bit(s, CB_KBD_OFF, false);
        ps2_keyboard_write(&s->st.keyboard, value);
    }
    i8042_load(s);
}

static uint64_t i8042_read_status(void *dev, uint64_t offset, unsigned size)
{
    I8042 *s = dev;

    return STATUS_UNLOCKED | (s->st.full ? STATUS_OUT_FULL : 0) | (s->st.full && s->st.full_aux ? STATUS_AUX : 0) |
           (s->st.ram[0] & CB_SYSTEM ? STATUS_SYSTEM : 0) | (s->st.last_was_command ? STATUS_COMMAND : 0);
}

static void i8042_write_command(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    I8042 *s = dev;

    s->st.last_was_command = true;
    s->st.command = 0;
    do_command(s, value);
    i8042_load(s);
}

static const MemoryOps data_ops = {
    .read = i8042_read_data,
    .write = i8042_write_data,
    .impl_min = 1,
    .impl_max = 1,
};

static const MemoryOps command_ops = {
    .read = i8042_read_status,
    .write = i8042_write_command,
    .impl_min = 1,
    .impl_max = 1,
};

/* Input ------------------------------------------------------------------------------ */

/* Who touches them wakes a guest that sleeps. */
static void request_wakeup(Machine *m)
{
    if (m->host && m->host->request_wakeup) {
        m->host->request_wakeup(m, WAKEUP_OTHER);
    }
}

static void i8042_key(void *opaque, QKeyCode key, bool down)
{
    I8042 *s = opaque;

    request_wakeup(DEVICE(s)->machine);
    ps2_keyboard_key(&s->st.keyboard, key, down);
    i8042_load(s);
}

static void i8042_motion(void *opaque, InputAxis axis, int delta)
{
    I8042 *s = opaque;

    ps2_mouse_motion(&s->st.mouse, axis == INPUT_AXIS_X ? delta : 0, axis == INPUT_AXIS_Y ? delta : 0, 0);
}

static void i8042_button(void *opaque, InputButton button, bool down)
{
    ps2_mouse_button(&((I8042 *)opaque)->st.mouse, button, down);
}

static void i8042_sync(void *opaque)
{
    request_wakeup(DEVICE(opaque)->machine);
    i8042_load(opaque);
}

/* Life cycle ---------------------------------------------------------------------------- */

static bool i8042_init(Object *o, Error **errp)
{
    device_init_irq_out(DEVICE(o), "a20", &((I8042 *)o)->a20, 1);
    return true;
}

static void i8042_unrealize(Object *o)
{
    I8042 *s = (I8042 *)o;

    if (s->hub) {
        input_handler_del(s->hub, &s->handler);
    }
    memory_region_finish(&s->mr_data);
    memory_region_finish(&s->mr_command);
}

static bool i8042_realize(Object *o, Error **errp)
{
    I8042 *s = (I8042 *)o;
    MemoryMap *map = DEVICE(o)->machine->map;

    s->hub = input_hub(o->tree, errp);
    if (!s->hub) {
        return false;
    }
    s->handler = (InputHandler){
        .key = i8042_key, .motion = i8042_motion, .button = i8042_button, .sync = i8042_sync, .opaque = s,
    };
    memory_region_init_io(&s->mr_data, map, o, &data_ops, s, "i8042-data", 1);
    memory_region_init_io(&s->mr_command, map, o, &command_ops, s, "i8042-cmd", 1);
    if (!isa_irq(&s->parent, s->conf.kbd_irq, &s->irq_kbd, errp) ||
        !isa_irq(&s->parent, s->conf.mouse_irq, &s->irq_aux, errp) ||
        !isa_map_io(&s->parent, &s->mr_data, 0x60, errp) || !isa_map_io(&s->parent, &s->mr_command, 0x64, errp)) {
        i8042_unrealize(o);
        return false;
    }
    input_handler_add(s->hub, &s->handler);
    return true;
}

static void i8042_reset(Object *o, ObjectResetKind kind)
{
    I8042 *s = (I8042 *)o;

    s->st.ram[0] = CB_KBD_INT | CB_AUX_INT;
    irq_lower(s->irq_kbd);
    irq_lower(s->irq_aux);
    irq_raise(s->a20);
}

static bool i8042_check(Object *o, Error **errp)
{
    I8042 *s = (I8042 *)o;

    if (s->st.mouse.id == 1 || s->st.mouse.id == 2) {
        return error_set(errp, "i8042: the state has a mouse of id %u; there is 0, 3 and 4", s->st.mouse.id);
    }
    return true;
}

const ObjectOps i8042_ops = {
    .size = sizeof(I8042),
    .conf_offset = offsetof(I8042, conf),
    .state_offset = offsetof(I8042, st),
    .init = i8042_init,
    .realize = i8042_realize,
    .unrealize = i8042_unrealize,
    .reset = i8042_reset,
    .check = i8042_check,
};

/* Port 92h ---------------------------------------------------------------------------------- */

enum { P92_RESET = 1, P92_A20 = 2, P92_ADDRESS = 0x92 };

typedef struct {
    IsaDevice parent;
    Port92Conf conf;
    Port92State st;
    MemoryRegion mr;
    Irq *a20;
} Port92;

static uint64_t port92_read(void *dev, uint64_t offset, unsigned size)
{
    return ((Port92 *)dev)->st.outport;
}

static void port92_write(void *dev, uint64_t offset, uint64_t value, unsigned size)
{
    Port92 *s = dev;
    uint8_t before = s->st.outport;

    s->st.outport = value;
    irq_set(s->a20, value & P92_A20 ? 1 : 0);
    if (value & ~before & P92_RESET) { /* the edge resets */
        request_reset(DEVICE(s)->machine);
    }
}

static const MemoryOps port92_mem_ops = {
    .read = port92_read,
    .write = port92_write,
    .impl_min = 1,
    .impl_max = 1,
};

static bool port92_init(Object *o, Error **errp)
{
    device_init_irq_out(DEVICE(o), "a20", &((Port92 *)o)->a20, 1);
    return true;
}

static void port92_unrealize(Object *o)
{
    memory_region_finish(&((Port92 *)o)->mr);
}

static bool port92_realize(Object *o, Error **errp)
{
    Port92 *s = (Port92 *)o;

    memory_region_init_io(&s->mr, DEVICE(o)->machine->map, o, &port92_mem_ops, s, "port92", 1);
    if (!isa_map_io(&s->parent, &s->mr, P92_ADDRESS, errp)) {
        port92_unrealize(o);
        return false;
    }
    return true;
}

const ObjectOps port92_ops = {
    .size = sizeof(Port92),
    .conf_offset = offsetof(Port92, conf),
    .state_offset = offsetof(Port92, st),
    .init = port92_init,
    .realize = port92_realize,
    .unrealize = port92_unrealize,
};
