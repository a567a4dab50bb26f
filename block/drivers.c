/* See block/drivers.h. */
#include "block/drivers.h"

#include "block/driver.h"

#define X(name) extern const BlockDriver block_driver_##name;
BLOCK_DRIVERS(X)
#undef X

const BlockDriver *const block_drivers[] = {
#define X(name) &block_driver_##name,
    BLOCK_DRIVERS(X)
#undef X
};
const unsigned block_num_drivers = ARRAY_SIZE(block_drivers);
