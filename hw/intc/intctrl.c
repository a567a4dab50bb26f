/* Text helpers of the interrupt controllers. */
#include "hw/intc/intctrl.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void intctrl_printf(PrintFn *print, void *opaque, const char *fmt, ...)
{
    char text[256];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    print(opaque, text);
}

void intctrl_print_counts(const char *class_name, const uint64_t *count, unsigned n, PrintFn *print, void *opaque)
{
    intctrl_printf(print, opaque, "IRQ statistics for %s:\n", class_name);
    for (unsigned i = 0; i < n; i++) {
        if (count[i]) {
            intctrl_printf(print, opaque, "%2u: %" PRIu64 "\n", i, count[i]);
        }
    }
}
