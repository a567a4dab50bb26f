/* Expansion ROMs (PCI Local Bus Specification 3.0, 6.2.5.2): from a file, behind base address register 6. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hw/pci/internal.h"

enum { ROM_MIN = 2048, ROM_MAX = 16 * 1024 * 1024 };

static char *find(PciDevice *d, const char *name, Error **errp)
{
    Machine *m = d->dev.machine;

    if (m->host && m->host->find_file) {
        return m->host->find_file(m, name, errp);
    }
    return g_strdup(name);
}

static bool read_all(int fd, uint8_t *buf, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        ssize_t n = read(fd, buf + done, size - done);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n ? errno : EIO;
            return false;
        }
        done += n;
    }
    return true;
}

static bool rom_size(PciDevice *d, const char *name, const struct stat *sb, uint64_t *size, Error **errp)
{
    uint32_t want = pci_conf(d)->romsize;

    if (!S_ISREG(sb->st_mode) || !sb->st_size || sb->st_size > ROM_MAX) {
        return error_set(errp, "romfile \"%s\" has %jd bytes; it must be a file of 1 to %d", name, (intmax_t)sb->st_size,
                         ROM_MAX);
    }
    *size = MAX(pow2_ceil(sb->st_size), ROM_MIN);
    if (want != UINT32_MAX) {
        if (!is_pow2(want) || want < ROM_MIN || want > ROM_MAX) {
            return error_set(errp, "romsize=%u must be a power of two from %d to %d", want, ROM_MIN, ROM_MAX);
        }
        if (want < sb->st_size) {
            return error_set(errp, "romfile \"%s\" (%jd bytes) is too large for romsize=%u", name, (intmax_t)sb->st_size,
                             want);
        }
        *size = want;
    }
    return true;
}

static bool load(PciDevice *d, const char *name, int fd, Error **errp)
{
    g_autofree char *lower = g_ascii_strdown(d->dev.obj.klass->item.name, -1);
    g_autofree char *id = g_strdup_printf("0000:%02x:%02x.%u/%s.rom", pci_bus_of(d)->number, d->devfn >> 3,
                                          d->devfn & 7, lower);
    struct stat sb;
    uint64_t size = 0;

    if (fstat(fd, &sb)) {
        return error_set_errno(errp, errno, "romfile \"%s\"", name);
    }
    if (!rom_size(d, name, &sb, &size, errp) ||
        !memory_region_init_rom(&d->mr_rom, d->dev.machine->map, OBJECT(d), id, size, errp)) {
        return false;
    }
    if (!read_all(fd, memory_region_host(&d->mr_rom), sb.st_size)) {
        return error_set_errno(errp, errno, "romfile \"%s\"", name);
    }
    return true;
}

static void map_rom(PciDevice *d)
{
    PciBar *b = &d->bars[PCI_ROM_BAR];

    *b = (PciBar){.mr = &d->mr_rom, .size = d->mr_rom.size, .addr = PCI_UNMAPPED};
    st32_le(d->wmask + PCI_ROM_ADDRESS, ~(b->size - 1) | PCI_ROM_ADDRESS_ENABLE);
    memset(d->cmask + PCI_ROM_ADDRESS, 0xff, 4);
}

bool pci_add_rom(PciDevice *d, Error **errp)
{
    const PciDeviceConf *conf = pci_conf(d);
    const char *name = conf->romfile ? conf->romfile : pci_functions(d)->info.romfile;
    g_autofree char *path = NULL;
    bool ok;
    int fd;

    if (!name || !*name || !conf->rombar) {
        return true;
    }
    path = find(d, name, errp);
    if (!path) {
        return error_prepend(errp, "failed to find romfile \"%s\": ", name);
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return error_set_errno(errp, errno, "romfile \"%s\"", path);
    }
    ok = load(d, name, fd, errp);
    close(fd);
    if (ok) {
        map_rom(d);
    }
    return ok;
}
