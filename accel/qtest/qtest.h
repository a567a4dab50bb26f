/*
 * Accelerator qtest: a program outside takes the place of the guest's processors. It sends lines over a chardev:
 * accesses to ports and memory, steps of the clock, and is told of interrupt lines that it asked for.
 *
 *     outb ADDR VALUE  (outw outl)         OK
 *     inb ADDR  (inw inl)                  OK 0xVALUE
 *     writeb ADDR VALUE  (w l q)           OK
 *     readb ADDR  (w l q)                  OK 0xVALUE
 *     read ADDR SIZE                       OK 0xBYTES          b64read: base64
 *     write ADDR SIZE 0xBYTES              OK                  b64write: base64; memset ADDR SIZE BYTE
 *     endianness                           OK little
 *     clock_step [NS]                      OK NOW              without NS: to the next timer
 *     clock_set NS                         OK NOW
 *     irq_intercept_in PATH [NAME]         OK                  then lines "IRQ raise N", "IRQ lower N"
 *     irq_intercept_out PATH [NAME]        OK
 *     set_irq_in PATH NAME N LEVEL         OK                  NAME unnamed-gpio-in: the group without name
 *
 * What is wrong is answered by "FAIL reason". These are the words and forms of QEMU's qtest protocol, as it is documented.
 *
 * Threads: everything runs in the loop's thread and takes the machine's lock where it is needed; callers do not hold it.
 */
#ifndef ACCEL_QTEST_QTEST_H
#define ACCEL_QTEST_QTEST_H

#include "chardev/chardev.h"
#include "hw/core/machine.h"

typedef struct QtestServer QtestServer;

/*
 * Serves the chardev until qtest_server_free. log: file for the dialogue, "" or NULL: none, "/dev/fd/2" for
 * standard error.
 */
QtestServer *qtest_server_new(Machine *, Chardev *, const char *log, Error **errp);
/* Before the machine goes. NULL is fine. */
void qtest_server_free(QtestServer *);

/* For tests: without chardev; answers go to send, one line (with newline) each. */
QtestServer *qtest_server_new_raw(Machine *, void (*send)(void *opaque, const char *line), void *opaque);
void qtest_server_feed(QtestServer *, const void *data, size_t len);

#endif
