/* Class qtest-accel. The contract is in accel/qtest/qtest.h. */
#include "accel/accel.h"
#include "accel/qtest/qtest.gen.h"
#include "hw/core/machine.h"

typedef struct {
    Accel accel;
} QtestAccel;

/* Virtual time moves by clock_step and clock_set only. */
static bool qtest_realize(Object *o, Error **errp)
{
    clock_group_set_manual(ACCEL(o)->clocks);
    return true;
}

static const AccelOps qtest_iface = {0}; /* no run: vCPUs exist and stand still */

const ObjectOps qtest_accel_ops = {
    .size = sizeof(QtestAccel),
    .realize = qtest_realize,
    .iface = &qtest_iface,
};
