/*
 * Kernels in ELF that are entered by the PVH ABI: System V ABI (ELF header, program headers, notes) and Xen's public
 * elfnote.h: note 18, XEN_ELFNOTE_PHYS32_ENTRY, says where to enter in 32-bit protected mode.
 */
#include <elf.h>
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "hw/i386/pc.h"

enum { NOTE_PHYS32_ENTRY = 18, MIN_ADDRESS = 0x100000, MAX_SEGMENTS = 64 };

/* A program header of either class. */
typedef struct {
    uint32_t type;
    uint64_t offset, address, file_size, memory_size, align;
} Segment;

typedef struct {
    const uint8_t *file;
    size_t size;
    bool is64;
    unsigned num;
    Segment segments[MAX_SEGMENTS];
} Elf;

bool elf_is(const uint8_t *file, size_t size)
{
    return size >= sizeof(Elf32_Ehdr) && !memcmp(file, ELFMAG, SELFMAG);
}

static bool in_file(const Elf *e, uint64_t offset, uint64_t len)
{
    return offset <= e->size && len <= e->size - offset;
}

static Segment segment_at(const Elf *e, uint64_t offset)
{
    if (e->is64) {
        Elf64_Phdr p;
        memcpy(&p, e->file + offset, sizeof(p));
        return (Segment){ p.p_type, p.p_offset, p.p_paddr, p.p_filesz, p.p_memsz, p.p_align };
    } else {
        Elf32_Phdr p;
        memcpy(&p, e->file + offset, sizeof(p));
        return (Segment){ p.p_type, p.p_offset, p.p_paddr, p.p_filesz, p.p_memsz, p.p_align };
    }
}

static bool elf_parse(Elf *e, Error **errp)
{
    uint64_t offset;
    unsigned entry_size, machine, need;

    e->is64 = e->file[EI_CLASS] == ELFCLASS64;
    if (e->is64 && e->size >= sizeof(Elf64_Ehdr)) {
        Elf64_Ehdr h;
        memcpy(&h, e->file, sizeof(h));
        offset = h.e_phoff, entry_size = h.e_phentsize, e->num = h.e_phnum, machine = h.e_machine;
    } else {
        Elf32_Ehdr h;
        memcpy(&h, e->file, sizeof(h));
        offset = h.e_phoff, entry_size = h.e_phentsize, e->num = h.e_phnum, machine = h.e_machine;
    }
    need = e->is64 ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
    if (e->file[EI_DATA] != ELFDATA2LSB || (machine != EM_386 && machine != EM_X86_64)) {
        return error_set(errp, "ELF file for another machine (%u), not for x86", machine);
    }
    if (entry_size < need || e->num > MAX_SEGMENTS || !in_file(e, offset, (uint64_t)entry_size * e->num)) {
        return error_set(errp, "ELF file whose program headers are not in it");
    }
    for (unsigned i = 0; i < e->num; i++) {
        e->segments[i] = segment_at(e, offset + (uint64_t)i * entry_size);
        if (!in_file(e, e->segments[i].offset, e->segments[i].file_size)) {
            return error_set(errp, "ELF segment %u is not in the file", i);
        }
    }
    return true;
}

static uint64_t align_up(uint64_t v, uint64_t align)
{
    return (v + align - 1) / align * align;
}

/* The entry that a note segment has; 0: none. */
static uint64_t note_entry(const Elf *e, const Segment *s)
{
    const uint8_t *p = e->file + s->offset;
    uint64_t align = s->align == 8 ? 8 : 4, at = 0;

    while (s->file_size - at >= sizeof(Elf32_Nhdr)) {
        Elf32_Nhdr n;
        uint64_t name = at + sizeof(n), desc;

        memcpy(&n, p + at, sizeof(n));
        desc = align_up(name + n.n_namesz, align);
        if (desc > s->file_size || n.n_descsz > s->file_size - desc) {
            return 0;
        }
        if (n.n_type == NOTE_PHYS32_ENTRY && n.n_namesz == 4 && !memcmp(p + name, "Xen", 4) &&
            (n.n_descsz == 4 || n.n_descsz == 8)) {
            uint64_t entry = 0;
            memcpy(&entry, p + desc, n.n_descsz);
            return entry;
        }
        at = align_up(desc + n.n_descsz, align);
        if (at > s->file_size) {
            return 0;
        }
    }
    return 0;
}

/* All segments in one piece from the lowest address to the highest, memory that the file has nothing for as zeros. */
static bool put_together(const Elf *e, uint64_t limit, ElfKernel *out, Error **errp)
{
    uint64_t first = UINT64_MAX, last = 0;
    uint8_t *image;

    for (unsigned i = 0; i < e->num; i++) {
        const Segment *s = &e->segments[i];

        if (s->type != PT_LOAD || !s->memory_size) {
            continue;
        }
        if (s->address < MIN_ADDRESS || s->address >= limit || s->memory_size > limit - s->address ||
            s->file_size > s->memory_size) {
            return error_set(errp, "ELF segment at 0x%" PRIx64 " (%" PRIu64 " bytes) does not fit into memory: it has 0x%x to 0x%" PRIx64,
                             s->address, s->memory_size, MIN_ADDRESS, limit);
        }
        first = MIN(first, s->address);
        last = MAX(last, s->address + s->memory_size);
    }
    if (first >= last) {
        return error_set(errp, "ELF file without anything to load");
    }
    image = g_try_malloc0(last - first);
    if (!image) {
        return error_set(errp, "no memory for an image of %" PRIu64 " bytes", last - first);
    }
    for (unsigned i = 0; i < e->num; i++) {
        const Segment *s = &e->segments[i];
        if (s->type == PT_LOAD && s->memory_size) {
            memcpy(image + (s->address - first), e->file + s->offset, s->file_size);
        }
    }
    out->address = (uint32_t)first;
    out->image = g_bytes_new_take(image, last - first);
    return true;
}

bool elf_pvh_load(const uint8_t *file, size_t size, uint64_t limit, ElfKernel *out, Error **errp)
{
    Elf e = { .file = file, .size = size };
    uint64_t entry = 0;

    if (!elf_parse(&e, errp)) {
        return false;
    }
    for (unsigned i = 0; i < e.num && !entry; i++) {
        entry = e.segments[i].type == PT_NOTE ? note_entry(&e, &e.segments[i]) : 0;
    }
    if (!entry || entry > UINT32_MAX) {
        return error_set(errp, "ELF kernel without a PVH entry note (Xen, type 18): nothing says how to start it");
    }
    if (!put_together(&e, MIN(limit, 1ull << 32), out, errp)) {
        return false;
    }
    out->entry = (uint32_t)entry;
    return true;
}
