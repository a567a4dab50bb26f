/* The one list of block drivers: name of the const struct block_driver_X. The schema's BlockdevDriver names them too. */
#define BLOCK_DRIVERS(X) X(file) X(host_device) X(null_aio) X(null_co) X(raw) X(qcow2)
