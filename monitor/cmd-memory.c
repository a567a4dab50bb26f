/* Commands that look at memory and I/O ports. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "accel/accel.h"
#include "monitor/hmp.h"
#include "monitor/internal.h"
#include "qapi/machine.gen.h"
#include "util/disas.h"
#include "util/rcu.h"

enum { PAGE = 4096 };

/* ---- Reading memory, physical or as a CPU sees it ---- */

typedef struct {
    Machine *m;
    Vcpu *cpu;        /* NULL: physical */
} View;

typedef struct {
    uint64_t addr;
    hwaddr phys;
    int as;
    bool ok;
} Translation;

static void translate(Vcpu *v, void *opaque)
{
    Translation *t = opaque;

    t->ok = v->arch->translate_debug && v->arch->translate_debug(v, t->addr, &t->phys, &t->as);
}

/* The address space and the address in it; NULL: nothing is mapped there. */
static AddressSpace *locate(const View *view, uint64_t addr, hwaddr *phys)
{
    Translation t = { .addr = addr };

    if (!view->cpu) {
        *phys = addr;
        return view->m->as_memory;
    }
    vcpu_run_on(view->cpu, translate, &t);
    *phys = t.phys;
    return !t.ok ? NULL : view->cpu->as[t.as] ? view->cpu->as[t.as] : view->m->as_memory;
}

static bool read_memory(const View *view, uint64_t addr, void *buf, size_t len)
{
    uint8_t *p = buf;

    while (len) {
        size_t n = PAGE - addr % PAGE;
        hwaddr phys;
        AddressSpace *as = locate(view, addr, &phys);

        n = n < len ? n : len;
        if (!as || address_space_read(as, phys, MEMTXATTRS_NONE, p, n) != MEMTX_OK) {
            return false;
        }
        p += n;
        addr += n;
        len -= n;
    }
    return true;
}

static bool view_of(QCallContext *cc, bool physical, View *out, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);

    if (!m) {
        return false;
    }
    *out = (View){ .m = m };
    if (!physical) {
        out->cpu = monitor_cpu(cc, errp);
    }
    return physical || out->cpu;
}

/* ---- x, xp ---- */

static uint64_t little_endian(const uint8_t *p, int size)
{
    uint64_t v = 0;

    for (int i = 0; i < size; i++) {
        v |= (uint64_t)p[i] << (8 * i);
    }
    return v;
}

static void dump(QCallContext *cc, const View *view, uint64_t addr, const HmpFormat *f)
{
    int line = f->size == 1 && f->format != 'c' ? 8 : 16;
    int64_t left = (int64_t)f->count * f->size;

    while (left > 0) {
        int n = left < line ? (int)left : line;
        uint8_t bytes[16];
        QBuf b = { 0 };

        qbuf_printf(&b, "%016llx:", (unsigned long long)addr);
        if (!read_memory(view, addr, bytes, n)) {
            monitor_printf(cc, "%s Cannot access memory\n", b.data);
            qbuf_finish(&b);
            return;
        }
        for (int i = 0; i < n; i += f->size) {
            qbuf_char(&b, ' ');
            hmp_format_value(&b, f->format, f->size, little_endian(bytes + i, f->size), true);
        }
        monitor_printf(cc, "%s\n", b.data);
        qbuf_finish(&b);
        addr += n;
        left -= n;
    }
}

static void get_code_bits(Vcpu *v, void *opaque)
{
    *(unsigned *)opaque = v->arch->code_bits ? v->arch->code_bits(v) : 0;
}

/* As many bytes from addr on as can be read, DISAS_INSN_MAX at most. */
static size_t read_insn(const View *view, uint64_t addr, uint8_t *buf)
{
    size_t n = 0;

    while (n < DISAS_INSN_MAX && read_memory(view, addr + n, buf + n, 1)) {
        n++;
    }
    return n;
}

static bool instructions(QCallContext *cc, const View *view, uint64_t addr, int count, Error **errp)
{
    Vcpu *cpu = monitor_cpu(cc, errp);
    unsigned bits = 0;
    Disas *d;

    if (!cpu) {
        return false;
    }
    vcpu_run_on(cpu, get_code_bits, &bits);
    d = bits ? disas_new(bits, errp) : NULL;
    if (!d) {
        return bits ? false : error_set(errp, "there is no disassembler for this processor");
    }
    for (unsigned len = 1; count > 0 && len; count--, addr += len) {
        uint8_t buf[DISAS_INSN_MAX];
        size_t n = read_insn(view, addr, buf);
        char text[DISAS_TEXT_MAX];

        len = n ? disas_one(d, buf, n, addr, text) : 0;
        if (len) {
            monitor_print(cc, text);
        } else {
            monitor_printf(cc, n ? "0x%0*llx: .byte 0x%02x\n" : "0x%0*llx: unable to read memory\n", bits == 64 ? 16 : 8,
                           (unsigned long long)addr, buf[0]);
            len = n ? 1 : 0;
        }
    }
    disas_free(d);
    return true;
}

static bool examine(QCallContext *cc, const char *fmt, uint64_t addr, bool physical, Error **errp)
{
    HmpFormat *f = &monitor_set(cc)->format;
    View view;

    f->count = 1;
    if (fmt && !hmp_format(fmt, f, errp)) {
        return false;
    }
    if (!view_of(cc, physical, &view, errp)) {
        return false;
    }
    if (f->format == 'i') {
        return instructions(cc, &view, addr, f->count, errp);
    }
    dump(cc, &view, addr, f);
    return true;
}

bool hmp_x(QCallContext *cc, const XHmp *args, Error **errp)
{
    return examine(cc, args->fmt, (uint64_t)args->addr, false, errp);
}

bool hmp_xp(QCallContext *cc, const XpHmp *args, Error **errp)
{
    return examine(cc, args->fmt, (uint64_t)args->addr, true, errp);
}

/* ---- I/O ports ---- */

static bool port_size(const char *fmt, int *size, Error **errp)
{
    HmpFormat f = { .count = 1, .format = 'x', .size = 4 };

    if (fmt && !hmp_format(fmt, &f, errp)) {
        return false;
    }
    *size = f.size > 4 ? 4 : f.size;
    return true;
}

bool hmp_i(QCallContext *cc, const IHmp *args, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);
    uint64_t value = 0, port = args->addr & 0xffff;
    int size;

    if (!m || !port_size(args->fmt, &size, errp)) {
        return false;
    }
    if (args->has_index) {
        address_space_st(m->as_io, port, 1, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, args->index & 0xff);
        port = (port + 1) & 0xffff;
    }
    address_space_ld(m->as_io, port, size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &value);
    monitor_printf(cc, "port%c[0x%04x] = 0x%0*llx\n", "?bw?l"[size], (unsigned)port, size * 2, (unsigned long long)value);
    return true;
}

bool hmp_o(QCallContext *cc, const OHmp *args, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);
    int size;

    if (!m || !port_size(args->fmt, &size, errp)) {
        return false;
    }
    address_space_st(m->as_io, args->addr & 0xffff, size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, (uint64_t)args->val);
    return true;
}

/* ---- Addresses ---- */

/* BSD sum(1): each byte is added after the 16 bits were rotated to the right. Of what can be read; bounded. */
bool hmp_sum(QCallContext *cc, const SumHmp *args, Error **errp)
{
    uint64_t addr = (uint64_t)args->start, left = (uint64_t)args->size;
    uint16_t sum = 0;
    uint8_t buf[PAGE];
    View view;

    if (!view_of(cc, true, &view, errp)) {
        return false;
    }
    if (args->size < 0 || args->size > INT64_C(1) << 36) {
        return error_set(errp, "the size is not in 0..64 GiB");
    }
    while (left) {
        size_t n = left < PAGE ? left : PAGE;

        if (!read_memory(&view, addr, buf, n)) {
            memset(buf, 0, n);
        }
        for (size_t i = 0; i < n; i++) {
            sum = (uint16_t)((sum >> 1 | sum << 15) + buf[i]);
        }
        addr += n;
        left -= n;
    }
    monitor_printf(cc, "%05d\n", sum);
    return true;
}

bool hmp_gva2gpa(QCallContext *cc, const Gva2gpaHmp *args, Error **errp)
{
    uint64_t addr = (uint64_t)args->addr;
    hwaddr phys;
    View view;

    if (!view_of(cc, false, &view, errp)) {
        return false;
    }
    if (locate(&view, addr, &phys)) {
        monitor_printf(cc, "gpa: 0x%llx\n", (unsigned long long)phys);
    } else {
        monitor_print(cc, "Unmapped\n");
    }
    return true;
}

bool hmp_gpa2hva(QCallContext *cc, const Gpa2hvaHmp *args, Error **errp)
{
    Machine *m = monitor_machine(cc, errp);
    uint64_t addr = (uint64_t)args->addr;
    MemorySection s;
    bool ok;

    if (!m) {
        return false;
    }
    rcu_enter();
    s = address_space_section(m->as_memory, addr);
    ok = s.host;
    if (ok) {
        monitor_printf(cc, "Host virtual address for 0x%llx (%s) is %p\n", (unsigned long long)addr, s.mr->name, (void *)s.host);
    }
    rcu_leave();
    return ok ? true : s.mr ? error_set(errp, "Memory at address 0x%llx is not RAM", (unsigned long long)addr)
                            : error_set(errp, "No memory is mapped at address 0x%llx", (unsigned long long)addr);
}

/* ---- Memory to files ---- */

static bool write_all(int fd, const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t done = write(fd, p, n);

        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return false;
        }
        p += done;
        n -= done;
    }
    return true;
}

static bool save(const View *view, uint64_t addr, uint64_t size, const char *filename, Error **errp)
{
    int fd = open(filename, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    uint8_t buf[PAGE];
    bool ok = true;

    if (fd < 0) {
        return error_set_errno(errp, errno, "Could not open '%s'", filename);
    }
    while (ok && size) {
        size_t n = PAGE - addr % PAGE;

        n = n < size ? n : size;
        if (!read_memory(view, addr, buf, n)) {
            ok = error_set(errp, "Invalid addr 0x%016llx/size %llu specified", (unsigned long long)addr, (unsigned long long)size);
        } else if (!write_all(fd, buf, n)) {
            ok = error_set_errno(errp, errno, "writing to '%s' failed", filename);
        }
        addr += n;
        size -= n;
    }
    close(fd);
    return ok;
}

bool qmp_memsave(QCallContext *cc, const MemsaveArgs *args, Error **errp)
{
    View view;

    if (args->has_cpu_index && !monitor_set_cpu(cc, args->cpu_index, NULL)) {
        return error_set(errp, "Parameter 'cpu-index' expects a CPU number");
    }
    return view_of(cc, false, &view, errp) && save(&view, args->val, args->size, args->filename, errp);
}

bool qmp_pmemsave(QCallContext *cc, const PmemsaveArgs *args, Error **errp)
{
    View view;

    return view_of(cc, true, &view, errp) && save(&view, args->val, args->size, args->filename, errp);
}
