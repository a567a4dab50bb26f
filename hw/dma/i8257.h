/*
 * ISA DMA, class `i8257`, as devices use it: one that has data for its channel, or wants some, says so and the transfer is
 * made at once, as far as the guest has programmed it.
 *
 *     n = dma_transfer(isa->dma[channel / 4], channel % 4, buf, len, true, &tc);
 *
 * Under the machine's lock.
 */
#ifndef HW_DMA_I8257_H
#define HW_DMA_I8257_H

#include "hw/core/device.h"

/*
 * Moves up to len bytes of buf to memory, or from memory to buf; verify transfers move nothing and count. Returns the
 * number of bytes, 0 when the channel is masked or set to the other direction. *tc: the count was reached (it may be,
 * again and again, with auto-initialization). len: of 16-bit channels even.
 */
unsigned dma_transfer(Object *dma, unsigned channel, void *buf, unsigned len, bool to_memory, bool *tc);

#endif
