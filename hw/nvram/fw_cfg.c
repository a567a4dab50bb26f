/*
 * Firmware configuration device on I/O ports, by the public description of the interface ("fw_cfg", revision with DMA) and
 * firmware's use of it. Sections: Selector, Data, DMA.
 *
 * Not modelled: items that the guest may write (every write transfer fails).
 */
#include "hw/nvram/fw_cfg.h"

#include <inttypes.h>
#include <string.h>

#include "hw/core/machine.h"
#include "hw/nvram/fw_cfg.gen.h"
#include "util/version.h"

enum {
    PORT_SELECTOR = 0x510, PORT_DMA = 0x514,
    KEY_ARCH = 0x8000, KEY_NUMBER = 0x3fff, /* bit 14 asks for write access */
    NO_KEY = 0xffff,
    DMA_ERROR = 1 << 0, DMA_READ = 1 << 1, DMA_SKIP = 1 << 2, DMA_SELECT = 1 << 3, DMA_WRITE = 1 << 4,
    FILE_NAME = 56,
    DMA_CHUNK = 1 << 20,
    ID_TRADITIONAL = 1 << 0, ID_DMA = 1 << 1,
};

typedef struct {
    char *name;
    GBytes *data;
    void (*select)(void *opaque);
    void *opaque;
} FwCfgFile;

typedef struct {
    Device dev;
    FwCfgIoConf conf;
    FwCfgIoState st;
    MemoryRegion ports, dma;
    GBytes *items[2][FW_CFG_FILE_FIRST]; /* common, of this architecture */
    GArray *files;                       /* FwCfgFile, by name */
    GBytes *directory;                   /* made when it is asked for; NULL: files changed */
} FwCfg;

/* ---- Items ---- */

static FwCfgFile *file_at(FwCfg *f, guint i)
{
    return &g_array_index(f->files, FwCfgFile, i);
}

/* Where `name` is or belongs. */
static guint file_place(FwCfg *f, const char *name, bool *found)
{
    guint i = 0;
    int order = 1;

    while (i < f->files->len && (order = strcmp(name, file_at(f, i)->name)) > 0) {
        i++;
    }
    *found = i < f->files->len && order == 0;
    return i;
}

static void replace(GBytes **place, GBytes *take)
{
    if (*place) {
        g_bytes_unref(*place);
    }
    *place = take;
}

void fw_cfg_set(Device *dev, uint16_t key, GBytes *take)
{
    FwCfg *f = (FwCfg *)dev;

    g_assert((key & KEY_NUMBER) < FW_CFG_FILE_FIRST);
    replace(&f->items[!!(key & KEY_ARCH)][key & KEY_NUMBER], take);
}

static void set_integer(Device *dev, uint16_t key, uint64_t value, unsigned size)
{
    value = GUINT64_TO_LE(value);
    fw_cfg_set(dev, key, g_bytes_new(&value, size));
}

void fw_cfg_set_u16(Device *dev, uint16_t key, uint16_t value)
{
    set_integer(dev, key, value, 2);
}

void fw_cfg_set_u32(Device *dev, uint16_t key, uint32_t value)
{
    set_integer(dev, key, value, 4);
}

void fw_cfg_set_u64(Device *dev, uint16_t key, uint64_t value)
{
    set_integer(dev, key, value, 8);
}

bool fw_cfg_set_file(Device *dev, const char *name, GBytes *take, Error **errp)
{
    FwCfg *f = (FwCfg *)dev;
    FwCfgFile file = { .data = take };
    bool found;
    guint i = file_place(f, name, &found);

    if (found) {
        replace(&file_at(f, i)->data, take);
    } else if (!*name || strlen(name) >= FILE_NAME) {
        g_bytes_unref(take);
        return error_set(errp, "fw_cfg: file name '%s' has %zu characters, 1 to %d are allowed", name, strlen(name),
                         FILE_NAME - 1);
    } else if (f->files->len >= f->conf.x_file_slots) {
        g_bytes_unref(take);
        return error_set(errp, "fw_cfg: no room for file '%s': there are %u (x-file-slots)", name, f->files->len);
    } else {
        file.name = g_strdup(name);
        g_array_insert_val(f->files, i, file);
    }
    g_clear_pointer(&f->directory, g_bytes_unref);
    return true;
}

void fw_cfg_on_select(Device *dev, const char *name, void (*fn)(void *opaque), void *opaque)
{
    FwCfg *f = (FwCfg *)dev;
    bool found;
    guint i = file_place(f, name, &found);

    g_assert(found);
    file_at(f, i)->select = fn;
    file_at(f, i)->opaque = opaque;
}

GBytes *fw_cfg_file(Device *dev, const char *name)
{
    FwCfg *f = (FwCfg *)dev;
    bool found;
    guint i = file_place(f, name, &found);

    return found ? file_at(f, i)->data : NULL;
}

/* Directory: a count, then size, number and name of each file, big endian. */
static GBytes *fw_cfg_directory(FwCfg *f)
{
    GByteArray *d;
    uint32_t count = GUINT32_TO_BE(f->files->len);

    if (f->directory) {
        return f->directory;
    }
    d = g_byte_array_new();
    g_byte_array_append(d, (uint8_t *)&count, 4);
    for (guint i = 0; i < f->files->len; i++) {
        FwCfgFile *file = file_at(f, i);
        uint32_t size = GUINT32_TO_BE((uint32_t)g_bytes_get_size(file->data));
        uint16_t key[2] = { GUINT16_TO_BE((uint16_t)(FW_CFG_FILE_FIRST + i)), 0 };
        char name[FILE_NAME] = { 0 };

        g_strlcpy(name, file->name, sizeof(name));
        g_byte_array_append(d, (uint8_t *)&size, 4);
        g_byte_array_append(d, (uint8_t *)key, 4);
        g_byte_array_append(d, (uint8_t *)name, sizeof(name));
    }
    f->directory = g_byte_array_free_to_bytes(d);
    return f->directory;
}

/* What the guest has selected; NULL: no such item, which reads as zeros. */
static GBytes *selected_item(FwCfg *f)
{
    uint16_t key = f->st.selected, n = key & KEY_NUMBER;

    if (key == NO_KEY) {
        return NULL;
    }
    if (n < FW_CFG_FILE_FIRST) {
        return key == FW_CFG_FILE_DIR ? fw_cfg_directory(f) : f->items[!!(key & KEY_ARCH)][n];
    }
    n -= FW_CFG_FILE_FIRST;
    return !(key & KEY_ARCH) && n < f->files->len ? file_at(f, n)->data : NULL;
}

static void fw_cfg_select(FwCfg *f, uint16_t key)
{
    unsigned n = key & KEY_NUMBER;

    f->st.selected = key & (KEY_ARCH | KEY_NUMBER);
    f->st.offset = 0;
    if (!(key & KEY_ARCH) && n >= FW_CFG_FILE_FIRST && n - FW_CFG_FILE_FIRST < f->files->len) {
        FwCfgFile *file = file_at(f, n - FW_CFG_FILE_FIRST);
        if (file->select) {
            file->select(file->opaque);
        }
    }
}

/* ---- Selector and data ports ---- */

static uint64_t ports_read(void *opaque, uint64_t offset, unsigned size)
{
    FwCfg *f = opaque;
    GBytes *item = selected_item(f);
    gsize len = 0;
    const uint8_t *data = item ? g_bytes_get_data(item, &len) : NULL;

    return f->st.offset < len ? data[f->st.offset++] : 0;
}

/* A word to the selector selects; bytes to the data port would be writes of items. */
static void ports_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    FwCfg *f = opaque;

    if (size == 2 && offset == 0) {
        fw_cfg_select(f, (uint16_t)value);
    } else {
        device_guest_error(&f->dev, "write of an item");
    }
}

static const MemoryOps ports_ops = { .read = ports_read, .write = ports_write, .valid_min = 1, .valid_max = 2 };

/* ---- DMA ---- */

/* Copies len bytes of the item from its offset on, then zeros, to guest memory. False: memory does not take them. */
static bool dma_to_guest(FwCfg *f, uint64_t address, uint32_t len)
{
    AddressSpace *as = f->dev.machine->as_memory;
    GBytes *item = selected_item(f);
    gsize size = 0;
    const uint8_t *data = item ? g_bytes_get_data(item, &size) : NULL;
    uint32_t have = f->st.offset < size ? (uint32_t)MIN(len, size - f->st.offset) : 0;

    if (have && address_space_write(as, address, MEMTXATTRS_NONE, data + f->st.offset, have) != MEMTX_OK) {
        return false;
    }
    f->st.offset += have;
    /* In pieces, so that a length beyond the end of memory stops there. */
    for (uint32_t done = have; done < len;) {
        uint32_t n = MIN(len - done, (uint32_t)DMA_CHUNK);

        if (address_space_fill(as, address + done, MEMTXATTRS_NONE, 0, n) != MEMTX_OK) {
            return false;
        }
        done += n;
    }
    return true;
}

static void dma_skip(FwCfg *f, uint32_t len)
{
    GBytes *item = selected_item(f);
    gsize size = item ? g_bytes_get_size(item) : 0;

    if (f->st.offset < size) {
        f->st.offset += (uint32_t)MIN(len, size - f->st.offset);
    }
}

/* The description in guest memory: control, length, address; big endian. Its control is set to 0, or to DMA_ERROR. */
static void dma_run(FwCfg *f)
{
    AddressSpace *as = f->dev.machine->as_memory;
    uint64_t at = f->st.dma_address;
    struct {
        uint32_t control, length;
        uint64_t address;
    } d;
    uint32_t control, length, result = 0;

    f->st.dma_address = 0;
    if (address_space_read(as, at, MEMTXATTRS_NONE, &d, sizeof(d)) != MEMTX_OK) {
        device_guest_error(&f->dev, "transfer description at 0x%" PRIx64 " is not in memory", at);
        return;
    }
    control = GUINT32_FROM_BE(d.control);
    length = GUINT32_FROM_BE(d.length);
    if (control & DMA_SELECT) {
        fw_cfg_select(f, (uint16_t)(control >> 16));
    }
    if (control & DMA_READ) {
        result = dma_to_guest(f, GUINT64_FROM_BE(d.address), length) ? 0 : DMA_ERROR;
    } else if (control & DMA_WRITE) {
        result = DMA_ERROR;
    } else if (control & DMA_SKIP) {
        dma_skip(f, length);
    }
    result = GUINT32_TO_BE(result);
    address_space_write(as, at, MEMTXATTRS_NONE, &result, sizeof(result));
}

static uint64_t dma_read(void *opaque, uint64_t offset, unsigned size)
{
    return FW_CFG_DMA_SIGNATURE >> (8 - offset - size) * 8 & (size == 8 ? ~0ull : (1ull << size * 8) - 1);
}

/* Writing the lower half starts the transfer. */
static void dma_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    FwCfg *f = opaque;

    if (size == 8 && offset == 0) {
        f->st.dma_address = value;
        dma_run(f);
    } else if (size == 4 && offset == 0) {
        f->st.dma_address = value << 32;
    } else if (size == 4 && offset == 4) {
        f->st.dma_address |= (uint32_t)value;
        dma_run(f);
    } else {
        device_guest_error(&f->dev, "write of %u bytes to DMA address + %u", size, (unsigned)offset);
    }
}

static const MemoryOps dma_ops = {
    .read = dma_read, .write = dma_write, .valid_min = 1, .valid_max = 8, .endian = DEVICE_BIG_ENDIAN,
};

/* ---- Life ---- */

static void file_clear(void *p)
{
    FwCfgFile *file = p;

    g_free(file->name);
    g_bytes_unref(file->data);
}

static bool fw_cfg_init(Object *obj, Error **errp)
{
    FwCfg *f = (FwCfg *)obj;

    f->files = g_array_new(false, false, sizeof(FwCfgFile));
    g_array_set_clear_func(f->files, file_clear);
    return true;
}

static bool fw_cfg_realize(Object *obj, Error **errp)
{
    FwCfg *f = (FwCfg *)obj;
    Machine *m = f->dev.machine;

    fw_cfg_set(&f->dev, FW_CFG_KEY_SIGNATURE, g_bytes_new_static(FW_CFG_SIGNATURE, 4));
    fw_cfg_set_u32(&f->dev, FW_CFG_ID, ID_TRADITIONAL | (f->conf.dma_enabled ? ID_DMA : 0));
    memory_region_init_io(&f->ports, m->map, obj, &ports_ops, f, "fwcfg", 2);
    memory_region_add(m->io, PORT_SELECTOR, &f->ports, 0);
    if (f->conf.dma_enabled) {
        memory_region_init_io(&f->dma, m->map, obj, &dma_ops, f, "fwcfg.dma", 8);
        memory_region_add(m->io, PORT_DMA, &f->dma, 0);
    }
    return true;
}

static void fw_cfg_unrealize(Object *obj)
{
    FwCfg *f = (FwCfg *)obj;

    memory_region_finish(&f->ports);
    memory_region_finish(&f->dma);
}

static void fw_cfg_finish(Object *obj)
{
    FwCfg *f = (FwCfg *)obj;

    for (unsigned i = 0; i < 2 * FW_CFG_FILE_FIRST; i++) {
        g_clear_pointer(&f->items[i / FW_CFG_FILE_FIRST][i % FW_CFG_FILE_FIRST], g_bytes_unref);
    }
    if (f->files) {
        g_array_unref(f->files);
    }
    g_clear_pointer(&f->directory, g_bytes_unref);
}

const ObjectOps fw_cfg_io_ops = {
    .size = sizeof(FwCfg),
    .conf_offset = offsetof(FwCfg, conf),
    .state_offset = offsetof(FwCfg, st),
    .init = fw_cfg_init,
    .realize = fw_cfg_realize,
    .unrealize = fw_cfg_unrealize,
    .finish = fw_cfg_finish,
};
