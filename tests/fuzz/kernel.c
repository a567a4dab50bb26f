/* -kernel: ELF with a PVH note, and bzImage by its setup header, with a machine made of each. */
#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hw/i386/pc.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/program.h"

static void elf(const uint8_t *data, size_t len)
{
    ElfKernel k = { 0 };

    if (elf_is(data, len) && elf_pvh_load(data, len, 64 << 20, &k, NULL)) {
        g_bytes_unref(k.image);
    }
}

const FuzzTarget fuzz_elf = { .run = elf };

static void kernel(const uint8_t *data, size_t len)
{
    static const char *const args[] = { "-M", "pc", "-m", "16", "-accel", "qtest", "-nodefaults", "-kernel", "k", "-initrd", "k", "-append", "a b", NULL };
    FILE *f = fopen("k", "w");

    if (f) {
        System *s;

        fwrite(data, 1, len, f);
        fclose(f);
        s = program_new(args, NULL);
        if (s) {
            program_free(s);
        }
    }
}

const FuzzTarget fuzz_kernel = { .run = kernel, .max_len = 8192 };
