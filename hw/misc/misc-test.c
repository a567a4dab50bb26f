/* pvpanic and isa-debug-exit. */
#include "hw/misc/pvpanic.gen.h"
#include "tests/devtest.h"

/* In place of the event's table, which stands among those of commands that are the monitor's. */
const QEvent qevent_GUEST_CRASHLOADED = {.item.name = "GUEST_CRASHLOADED"};

static unsigned panics, crashloads;

static void guest_panicked(Machine *m, struct json_object *info)
{
    panics++;
}

static void emit(Machine *m, const QEvent *event, const void *data)
{
    g_assert_true(event == &qevent_GUEST_CRASHLOADED);
    g_assert_cmpint(((const GuestCrashloadedEvent *)data)->action, ==, GUEST_PANIC_ACTION_RUN);
    crashloads++;
}

static void test_pvpanic(void)
{
    DevTest *t = devtest_new(&qclass_pvpanic);
    MachineHost host = *t->m->host;

    host.guest_panicked = guest_panicked;
    host.emit = emit;
    t->m->host = &host;
    devtest_add(t, "pvpanic", NULL);
    devtest_script(t, "inb 0x505 = 7; outb 0x505 0; outb 0x505 0x80");
    g_assert_cmpint(panics + crashloads + t->shutdowns, ==, 0);
    devtest_script(t, "outb 0x505 1");
    g_assert_cmpint(panics, ==, 1);
    devtest_script(t, "outb 0x505 2");
    g_assert_cmpint(crashloads, ==, 1);
    devtest_script(t, "outb 0x505 4");
    g_assert_cmpint(t->shutdowns, ==, 1);
    devtest_add(t, "pvpanic", "ioport=0x600,events=1");
    devtest_script(t, "inb 0x600 = 1; outb 0x600 2; outb 0x600 4");
    g_assert_cmpint(panics + crashloads + t->shutdowns, ==, 3);
    devtest_free(t);
}

static void test_debug_exit(void)
{
    DevTest *t = devtest_new(&qclass_isa_debug_exit);
    g_autofree char *error = NULL;

    devtest_add(t, "isa-debug-exit", "iobase=0xf4,iosize=4");
    devtest_script(t, "inl 0xf4 = 0");
    g_assert_cmpint(t->exit_status, ==, -1);
    devtest_script(t, "outl 0xf4 0x10");
    g_assert_cmpint(t->exit_status, ==, 0x21);
    devtest_script(t, "outb 0xf7 0");
    g_assert_cmpint(t->exit_status, ==, 1);
    devtest_add(t, "isa-debug-exit", NULL);
    devtest_script(t, "outw 0x501 0x101");
    g_assert_cmpint(t->exit_status, ==, 0x203);
    error = devtest_add_error(t, "isa-debug-exit", "iobase=0xffff");
    g_assert_nonnull(strstr(error, "iosize"));
    devtest_free(t);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/misc/pvpanic", test_pvpanic);
    g_test_add_func("/misc/debug-exit", test_debug_exit);
    return g_test_run();
}
