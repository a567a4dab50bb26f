/* See devtest.h. */
#include "tests/devtest.h"

#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "hw/core/machine.gen.h"
#include "hw/isa/isa.gen.h"
#include "qapi/keyval.h"
#include "qapi/schema.h"
#include "qapi/state.h"
#include "qom/values.h"
#include "util/bits.h"

enum { RAM_SIZE = 16 * 1024 * 1024 };

/* ---- Schema: the classes named and those they stand on ---- */

static void add_class(GPtrArray *list, const QClass *k)
{
    for (; k; k = k->parent) {
        if (!g_ptr_array_find(list, k, NULL)) {
            g_ptr_array_add(list, (void *)k);
        }
    }
}

static gint by_name(gconstpointer a, gconstpointer b)
{
    return strcmp((*(const QClass *const *)a)->item.name, (*(const QClass *const *)b)->item.name);
}

static void make_schema(DevTest *t, const QClass *const *classes)
{
    static const QClass *const base[] = {&qclass_container, &qclass_none_machine, &qclass_ISA, &qclass_PCI};

    t->classes = g_ptr_array_new();
    for (unsigned i = 0; i < G_N_ELEMENTS(base); i++) {
        add_class(t->classes, base[i]);
    }
    for (; *classes; classes++) {
        add_class(t->classes, *classes);
    }
    g_ptr_array_sort(t->classes, by_name);
    t->schema = (QSchema){.classes = (const QClass *const *)t->classes->pdata, .num_classes = t->classes->len};
}

/* ---- The machine ---- */

static void request_reset(Machine *m, ShutdownCause cause)
{
    ((DevTest *)m->opaque)->resets++;
}

static void request_shutdown(Machine *m, ShutdownCause cause)
{
    ((DevTest *)m->opaque)->shutdowns++;
}

static void request_suspend(Machine *m)
{
    ((DevTest *)m->opaque)->suspends++;
}

static void request_exit(Machine *m, int status)
{
    ((DevTest *)m->opaque)->exit_status = status;
}

static const MachineHost host = {
    .request_reset = request_reset,
    .request_shutdown = request_shutdown,
    .request_suspend = request_suspend,
    .request_exit = request_exit,
};

static void set_line(void *opaque, int n, int level)
{
    DevTestLine *l = (DevTestLine *)opaque + n;

    l->rises += level && !l->level;
    l->level = level;
}

static int map_pin(void *opaque, PciDevice *d, int pin)
{
    return ((d->devfn >> 3) + pin) & 3;
}

static void make_buses(DevTest *t)
{
    Machine *m = t->m;

    t->isa = isa_bus_new(m, NULL, m->memory, m->io, &error_abort);
    for (int i = 0; i < 16; i++) {
        t->isa->irqs[i] = irq_new(set_line, t->isa_lines, i);
    }
    t->pci = pci_root_bus_new(m, NULL, "pci.0", m->memory, m->io, &error_abort);
    pci_bus_irqs(t->pci, set_line, map_pin, t->pci_lines, 4);
}

DevTest *devtest_new_classes(const QClass *const *classes)
{
    static gsize registered;
    DevTest *t = g_new0(DevTest, 1);

    if (g_once_init_enter(&registered)) {
        rcu_thread_register();
        g_once_init_leave(&registered, 1);
    }
    t->exit_status = -1;
    make_schema(t, classes);
    t->tree = qom_tree_new(&t->schema, &qom_values);
    t->loop = loop_new("devtest", g_main_context_default());
    t->m = machine_new(t->tree, NULL, &qclass_none_machine, NULL, &error_abort);
    t->m->loop = NULL;
    t->m->host = &host;
    t->m->opaque = t;
    machine_create(t->m, &error_abort);
    memory_region_init_ram(&t->ram, t->m->map, NULL, "devtest.ram", RAM_SIZE, &error_abort);
    memory_region_add(t->m->memory, 0, &t->ram, -1);
    make_buses(t);
    clock_group_set_manual(&t->m->clocks);
    clock_group_start(&t->m->clocks);
    return t;
}

void devtest_free(DevTest *t)
{
    Irq *irqs[16];

    memcpy(irqs, t->isa->irqs, sizeof(irqs));
    while (t->m->last_device) {
        object_unparent(OBJECT(t->m->last_device));
    }
    memory_region_finish(&t->ram);
    machine_destroy(t->m);
    for (int i = 0; i < 16; i++) {
        irq_free(irqs[i]);
    }
    qom_tree_free(t->tree);
    loop_free(t->loop);
    g_ptr_array_free(t->classes, TRUE);
    g_free(t);
}

static Device *add(DevTest *t, const char *driver, const char *props, Error **errp)
{
    QKeyval kv = {0};
    struct json_object *record;
    Device *d;

    if (props && !qkeyval_parse(&kv, props, NULL, NULL, "devtest", errp)) {
        return NULL;
    }
    record = qkeyval_to_json(&kv, NULL, &error_abort);
    json_object_object_add(record, "driver", json_object_new_string(driver));
    d = device_add(t->m, record, true, errp);
    json_object_put(record);
    qkeyval_finish(&kv);
    return d;
}

/* device_add refuses classes that only boards make; a test is a board. */
static Device *create(DevTest *t, const char *driver, const char *props, Error **errp)
{
    const QClass *k = qschema_class(&t->schema, driver);
    QKeyval kv = {0};
    struct json_object *record;
    Device *d;
    Bus *bus = NULL;

    if (!k || k->abstract || device_is_user_creatable(k)) {
        return add(t, driver, props, errp);
    }
    if (props && !qkeyval_parse(&kv, props, NULL, NULL, "devtest", errp)) {
        return NULL;
    }
    bus = k->bus ? bus_find(t->m, NULL, k->bus, &error_abort) : NULL;
    record = qkeyval_to_json(&kv, NULL, &error_abort);
    d = device_create_json(t->m, k, bus, NULL, NULL, record, true, errp);
    json_object_put(record);
    qkeyval_finish(&kv);
    return d && device_realize(d, errp) ? d : NULL;
}

Device *devtest_add(DevTest *t, const char *driver, const char *props)
{
    Device *d = create(t, driver, props, &error_abort);

    object_reset(OBJECT(d), OBJECT_COLD_RESET);
    return d;
}

char *devtest_add_error(DevTest *t, const char *driver, const char *props)
{
    Error *err = NULL;
    char *text;

    if (create(t, driver, props, &err)) {
        g_error("device %s with %s should have failed", driver, props ? props : "no properties");
    }
    text = g_strdup(error_message(err));
    error_free(err);
    return text;
}

void devtest_reset(DevTest *t, ObjectResetKind kind)
{
    machine_reset(t->m, kind);
}

void devtest_step(DevTest *t, int64_t ns)
{
    machine_unlock(t->m);
    clock_group_step(&t->m->clocks, devtest_now(t) + ns);
    machine_lock(t->m);
}

int64_t devtest_now(DevTest *t)
{
    return clock_ns(&t->m->clocks.clocks[CLOCK_VIRTUAL_NS]);
}

void devtest_run_loop(DevTest *t)
{
    machine_unlock(t->m);
    while (loop_run_once(t->loop, false)) {
    }
    machine_lock(t->m);
}

static void save_or_load(DevTest *t, QBuf *out, QStateInput *in)
{
    for (Device *d = t->m->first_device; d; d = d->next) {
        const QClass *k = NULL;
        void *st;

        while ((st = object_next_state(OBJECT(d), &k))) {
            if (out) {
                qstate_save(out, k, st, object_conf(OBJECT(d)));
            } else {
                qstate_load(in, k, st, object_conf(OBJECT(d)), &error_abort);
            }
        }
    }
}

void devtest_reload(DevTest *t)
{
    QBuf buf = {0}, again = {0};
    QStateInput in;

    save_or_load(t, &buf, NULL);
    in = (QStateInput){(const uint8_t *)buf.data, (const uint8_t *)buf.data + buf.len};
    save_or_load(t, NULL, &in);
    for (Device *d = t->m->first_device; d; d = d->next) {
        object_check(OBJECT(d), &error_abort);
    }
    for (Device *d = t->m->first_device; d; d = d->next) {
        object_rebuild(OBJECT(d));
    }
    save_or_load(t, &again, NULL);
    g_assert_cmpmem(buf.data, buf.len, again.data, again.len);
    qbuf_finish(&buf);
    qbuf_finish(&again);
}

/* ---- Accesses ---- */

uint32_t devtest_in(DevTest *t, uint16_t port, unsigned size)
{
    uint64_t v;

    address_space_ld(t->m->as_io, port, size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &v);
    return v;
}

void devtest_out(DevTest *t, uint16_t port, unsigned size, uint32_t value)
{
    address_space_st(t->m->as_io, port, size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, value);
}

uint64_t devtest_read(DevTest *t, hwaddr addr, unsigned size)
{
    uint64_t v;

    address_space_ld(t->m->as_memory, addr, size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, &v);
    return v;
}

void devtest_write(DevTest *t, hwaddr addr, unsigned size, uint64_t value)
{
    address_space_st(t->m->as_memory, addr, size, DEVICE_LITTLE_ENDIAN, MEMTXATTRS_NONE, value);
}

uint32_t devtest_pci_read(DevTest *t, uint8_t devfn, unsigned reg, unsigned size)
{
    return pci_config_access_read(t->pci, devfn << 12 | reg, size);
}

void devtest_pci_write(DevTest *t, uint8_t devfn, unsigned reg, unsigned size, uint32_t value)
{
    pci_config_access_write(t->pci, devfn << 12 | reg, value, size);
}

/* ---- Scripts ---- */

typedef struct {
    char *words[6]; /* "=" and "&" are words */
    unsigned num;
    const char *statement;
} Words;

static uint64_t number(const Words *w, unsigned i)
{
    char *end;
    uint64_t v;

    if (i >= w->num) {
        g_error("'%s': too few words", w->statement);
    }
    v = g_ascii_strtoull(w->words[i], &end, 0);
    if (*end || end == w->words[i]) {
        g_error("'%s': '%s' is no number", w->statement, w->words[i]);
    }
    return v;
}

/* "= VALUE [& MASK]" from word i on, if it is there. */
static void expect(const Words *w, unsigned i, uint64_t got)
{
    uint64_t want, mask = UINT64_MAX;

    if (i >= w->num) {
        return;
    }
    if (strcmp(w->words[i], "=")) {
        g_error("'%s': '=' expected", w->statement);
    }
    want = number(w, i + 1);
    if (i + 2 < w->num) {
        mask = number(w, i + 3);
    }
    if ((got ^ want) & mask) {
        g_error("'%s': got 0x%" PRIx64, w->statement, got);
    }
}

static unsigned size_of(char c)
{
    return c == 'b' ? 1 : c == 'w' ? 2 : c == 'l' ? 4 : c == 'q' ? 8 : 0;
}

static bool run_access(DevTest *t, const Words *w)
{
    const char *op = w->words[0];
    unsigned size = size_of(op[strlen(op) - 1]);
    g_autofree char *verb = g_strndup(op, strlen(op) - 1);

    if (!size) {
        return false;
    }
    if (!strcmp(verb, "out") && size <= 4) {
        devtest_out(t, number(w, 1), size, number(w, 2));
    } else if (!strcmp(verb, "in") && size <= 4) {
        expect(w, 2, devtest_in(t, number(w, 1), size));
    } else if (!strcmp(verb, "write")) {
        devtest_write(t, number(w, 1), size, number(w, 2));
    } else if (!strcmp(verb, "read")) {
        expect(w, 2, devtest_read(t, number(w, 1), size));
    } else {
        return false;
    }
    return true;
}

static unsigned line_number(const Words *w, unsigned limit)
{
    uint64_t n = number(w, 1);

    if (n >= limit) {
        g_error("'%s': there is no line %" PRIu64, w->statement, n);
    }
    return n;
}

static void run_statement(DevTest *t, const Words *w)
{
    const char *op = w->words[0];

    if (!strcmp(op, "irq")) {
        expect(w, 2, t->isa_lines[line_number(w, 16)].level);
    } else if (!strcmp(op, "rises")) {
        expect(w, 2, t->isa_lines[line_number(w, 16)].rises);
    } else if (!strcmp(op, "intx")) {
        expect(w, 2, t->pci_lines[line_number(w, 4)].level);
    } else if (!strcmp(op, "step")) {
        devtest_step(t, number(w, 1));
    } else if (!strcmp(op, "reset")) {
        devtest_reset(t, OBJECT_WARM_RESET);
    } else if (!run_access(t, w)) {
        g_error("'%s': unknown statement", w->statement);
    }
}

void devtest_script(DevTest *t, const char *text)
{
    g_auto(GStrv) lines = g_strsplit_set(text, ";\n", -1);

    for (char **l = lines; *l; l++) {
        Words w = {.statement = g_strstrip(*l)};
        g_autofree char *copy = NULL;
        char *save = NULL;

        (*l)[strcspn(*l, "#")] = '\0';
        copy = g_strdup(*l);
        for (char *p = strtok_r(copy, " \t", &save); p && w.num < G_N_ELEMENTS(w.words); p = strtok_r(NULL, " \t", &save)) {
            w.words[w.num++] = p;
        }
        if (w.num) {
            run_statement(t, &w);
        }
    }
}

/* ---- Fuzz ---- */

static void fuzz_access(DevTest *t, const DevTestFuzz *f)
{
    unsigned size = 1u << g_test_rand_int_range(0, 3);
    uint64_t v = (uint32_t)g_test_rand_int();
    bool port = f->io_size && (!f->mem_size || g_test_rand_bit());
    hwaddr at = port ? f->io_base + (uint32_t)g_test_rand_int() % f->io_size
                     : f->mem_base + ((uint64_t)(uint32_t)g_test_rand_int() << 8 ^ (uint32_t)g_test_rand_int()) % MAX(f->mem_size, 1);

    v = g_test_rand_bit() ? v & 0xff : v;
    if (!port && g_test_rand_int_range(0, 8) == 0) {
        size = 8;
    }
    if (g_test_rand_bit()) {
        port ? (void)devtest_in(t, at, size) : (void)devtest_read(t, at, size);
    } else if (port) {
        devtest_out(t, at, size, v);
    } else {
        devtest_write(t, at, size, v);
    }
}

void devtest_fuzz(DevTest *t, const DevTestFuzz *f)
{
    unsigned rounds = f->rounds ? f->rounds : 10000;
    int64_t max_step = f->max_step ? f->max_step : 100000000;

    for (unsigned i = 0; i < rounds; i++) {
        unsigned what = (uint32_t)g_test_rand_int() % 1000;

        if (what < 40) {
            devtest_step(t, (int64_t)(g_test_rand_double() * g_test_rand_double() * max_step));
        } else if (what == 40) {
            devtest_reset(t, g_test_rand_bit() ? OBJECT_COLD_RESET : OBJECT_WARM_RESET);
        } else if (what < 46) {
            devtest_reload(t);
        } else if (what < 50) {
            devtest_run_loop(t);
        } else {
            fuzz_access(t, f);
        }
    }
}
