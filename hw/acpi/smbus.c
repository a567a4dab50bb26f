/* The I2C bus, and the EEPROM: a 24C02 (256 bytes, one byte of address; pages of 16 bytes are not modelled). */
#include "hw/acpi/smbus.h"

#include "hw/core/machine.h"

/* ---- The bus ---- */

I2cSlave *i2c_find(I2cBus *bus, uint8_t address)
{
    for (Device *d = bus->bus.devices; d; d = d->bus_next) {
        if (I2C_SLAVE(d)->conf.address == address) {
            return I2C_SLAVE(d);
        }
    }
    return NULL;
}

static bool i2c_plug(Bus *bus, Device *dev, Error **errp)
{
    uint8_t address = I2C_SLAVE(dev)->conf.address;

    if (i2c_find(I2C_BUS(bus), address)) {
        return error_set(errp, "%s: address %u is in use on bus %s", OBJECT(dev)->klass->item.name, address, bus->name);
    }
    return true;
}

static const BusOps i2c_bus_functions = { .plug = i2c_plug };

const ObjectOps i2c_bus_ops = { .size = sizeof(I2cBus), .iface = &i2c_bus_functions };

I2cBus *i2c_bus_new(Machine *m, Device *controller, Error **errp)
{
    return I2C_BUS(bus_new(m, "i2c-bus", controller, "i2c", errp));
}

const SmbusOps *smbus_functions(const I2cSlave *s)
{
    return object_iface(&s->dev.obj);
}

/* ---- The EEPROM ---- */

typedef struct {
    I2cSlave slave;
    SmbusEepromState st;
} SmbusEeprom;

/* The first byte is the address, what follows is stored from there on. */
static void eeprom_write(I2cSlave *s, const uint8_t *bytes, unsigned n)
{
    SmbusEepromState *st = &((SmbusEeprom *)s)->st;

    st->position = bytes[0];
    for (unsigned i = 1; i < n; i++) {
        st->data[st->position++] = bytes[i];
    }
}

static uint8_t eeprom_read(I2cSlave *s)
{
    SmbusEepromState *st = &((SmbusEeprom *)s)->st;

    return st->data[st->position++];
}

static const SmbusOps eeprom_functions = { .write = eeprom_write, .read = eeprom_read };

const ObjectOps smbus_eeprom_ops = {
    .size = sizeof(SmbusEeprom),
    .conf_offset = offsetof(SmbusEeprom, slave.conf),
    .state_offset = offsetof(SmbusEeprom, st),
    .iface = &eeprom_functions,
};
