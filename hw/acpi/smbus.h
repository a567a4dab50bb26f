/*
 * Devices on the I2C bus of an SMBus host (System Management Bus Specification 2.0, section 5). What the host sends to an
 * address in one transfer and what it reads in one are calls; their meaning (command code, count) is the device's.
 *
 *     I2cBus *bus = i2c_bus_new(m, controller, errp);
 *     I2cSlave *s = i2c_find(bus, address);           // NULL: nobody acknowledges
 *     smbus_functions(s)->write(s, (uint8_t[]){ command }, 1);
 *     value = smbus_functions(s)->read(s);
 *
 * Under the machine's lock.
 */
#ifndef HW_ACPI_SMBUS_H
#define HW_ACPI_SMBUS_H

#include "hw/acpi/smbus.gen.h"
#include "hw/core/device.h"

typedef struct I2cBus {
    Bus bus;
} I2cBus;

typedef struct I2cSlave {
    Device dev;
    I2cSlaveConf conf;         /* where ObjectOps.conf_offset of every class of such devices points */
} I2cSlave;
#define I2C_BUS(p) ((I2cBus *)(p))
#define I2C_SLAVE(p) ((I2cSlave *)(p))

typedef struct SmbusOps {      /* ObjectOps.iface of classes derived from smbus-device */
    void (*write)(I2cSlave *, const uint8_t *bytes, unsigned n); /* n > 0 */
    uint8_t (*read)(I2cSlave *);                                 /* the next byte */
} SmbusOps;

I2cBus *i2c_bus_new(Machine *, Device *controller, Error **errp); /* "i2c" */
I2cSlave *i2c_find(I2cBus *, uint8_t address);
const SmbusOps *smbus_functions(const I2cSlave *);

#endif
