/*
 * What a guest sees of its machine, as lines "SECTION KEY VALUE": CPUID leaves, and the bytes of what the kernel shows of PCI
 * configuration space and of the tables of firmware. tests/system/compare.py runs it here and under QEMU.
 */
#define _GNU_SOURCE /* sched_setaffinity */
#include <cpuid.h>
#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

static void cpuid_leaf(unsigned leaf, unsigned sub)
{
    unsigned a, b, c, d;

    __cpuid_count(leaf, sub, a, b, c, d);
    printf("cpuid %08x.%x %08x %08x %08x %08x\n", leaf, sub, a, b, c, d);
}

/* Leaves whose answer depends on ECX: how many sub-leaves are of interest. */
static unsigned subleaves(unsigned leaf)
{
    switch (leaf) {
    case 4:
    case 0xb:
        return 4;
    case 7:
        return 2;
    case 0xd:
        return 10;
    default:
        return 1;
    }
}

static void cpuid_range(unsigned first)
{
    unsigned max, b, c, d;

    __cpuid(first, max, b, c, d);
    if (max < first || max > first + 0xff) {
        return;
    }
    for (unsigned leaf = first; leaf <= max; leaf++) {
        for (unsigned sub = 0; sub < subleaves(leaf); sub++) {
            cpuid_leaf(leaf, sub);
        }
    }
}

/* The file's bytes, 16 a line. */
static void dump(const char *section, const char *name, const char *path)
{
    unsigned char line[16];
    FILE *f = fopen(path, "rb");
    size_t n;

    if (!f) {
        return;
    }
    for (unsigned at = 0; (n = fread(line, 1, sizeof(line), f)) > 0; at += n) {
        printf("%s %s %05x", section, name, at);
        for (size_t i = 0; i < n; i++) {
            printf(" %02x", line[i]);
        }
        putchar('\n');
    }
    fclose(f);
}

/* dump() of FILE in every folder of DIR (or of every file of DIR when FILE is NULL). */
static void dump_all(const char *section, const char *dir, const char *file)
{
    struct dirent **names;
    int n = scandir(dir, &names, NULL, alphasort);

    for (int i = 0; i < n; i++) {
        char path[512];

        if (names[i]->d_name[0] == '.') {
            continue;
        }
        snprintf(path, sizeof(path), file ? "%s/%s/%s" : "%s/%s", dir, names[i]->d_name, file);
        dump(section, names[i]->d_name, path);
    }
}

int main(void)
{
    cpu_set_t first;

    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof(first), &first);
    cpuid_range(0);
    cpuid_range(0x40000000);
    cpuid_range(0x80000000);
    dump_all("pci", "/sys/bus/pci/devices", "config");
    dump_all("acpi", "/sys/firmware/acpi/tables", NULL);
    dump_all("dmi", "/sys/firmware/dmi/tables", NULL);
    return 0;
}
