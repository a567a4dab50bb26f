/* The tables of a whole program: sorted lists, classes, commands that call their bodies. */
#include <glib.h>

#include "tests/schema/bodies.h"

extern const QSchema qschema_example;

#define SORTED(list, n)                                                                            \
    for (uint32_t i = 1; i < (n); i++) {                                                           \
        g_assert_cmpstr((list)[i - 1]->item.name, <, (list)[i]->item.name);                        \
    }

static const QClass *class_of(const char *name)
{
    for (uint32_t i = 0; i < qschema_example.num_classes; i++) {
        if (!strcmp(qschema_example.classes[i]->item.name, name)) {
            return qschema_example.classes[i];
        }
    }
    g_error("no class %s", name);
}

static void test_lists(void)
{
    const QSchema *s = &qschema_example;

    SORTED(s->types, s->num_types);
    SORTED(s->commands, s->num_commands);
    SORTED(s->events, s->num_events);
    SORTED(s->classes, s->num_classes);
    SORTED(s->options, s->num_options);
    g_assert_cmpuint(s->num_commands, ==, 4);
    g_assert_cmpuint(s->num_hmp, ==, 1);
    for (uint32_t i = 0; i < s->num_classes; i++) {
        g_assert_nonnull(s->classes[i]->conf);
        g_assert_cmpstr(s->classes[i]->item.doc, !=, "");
    }
}

static void test_classes(void)
{
    const QClass *old = class_of("pc-i440fx-9.2-machine"),
                 *now = class_of("pc-i440fx-10.0-machine");
    const QClass *cpu = class_of("486-x86_64-cpu");

    g_assert_true(class_of("isa-serial")->impl == &isa_serial_ops);
    g_assert_cmpstr(class_of("isa-serial")->bus, ==, "isa-bus");
    g_assert_true(class_of("isa-serial")->parent->parent == &qclass_device);
    g_assert_null(class_of("device")->impl);
    g_assert_true(class_of("object")->conf == &qtype_EmptyConf);
    g_assert_true(class_of("isa-device")->conf == &qtype_DeviceConf);
    g_assert_true(class_of("hotplug-handler")->is_interface);
    g_assert_cmpstr(class_of("pc-machine")->interfaces[0], ==, "hotplug-handler");
    g_assert_cmpuint(class_of("x86-cpu")->state_version, ==, 2);

    g_assert_true(class_of("cfi-flash")->impl == &flash_ops);
    g_assert_cmpuint(class_of("cfi-flash")->state_min_version, ==, 2);
    g_assert_cmpstr(now->alias, ==, "pc");
    g_assert_true(!now->impl && now->parent->impl == &pc_machine_ops && old->conf == now->conf);
    g_assert_cmpuint(now->num_compat, ==, 0);
    g_assert_cmpuint(old->num_compat, ==, 4);
    g_assert_cmpstr(old->compat[0].class_name, ==, "pc-i440fx-9.2-machine");
    g_assert_cmpstr(old->compat[0].value, ==, "false");
    g_assert_cmpstr(old->compat[1].property, ==, "period");
    g_assert_cmpstr(old->compat[3].value, ==, "\"slew\"");
    g_assert_true(!cpu->impl && cpu->parent->impl == &x86_cpu_ops);
    g_assert_cmpint(cpu->kind, ==, QCLASS_CPU);
    g_assert_cmpstr(cpu->compat[0].property, ==, "family");
    g_assert_cmpstr(cpu->compat[0].value, ==, "4");
}

static void test_calls(void)
{
    char cc[32] = "";
    QCallContext *ctx = (QCallContext *)cc;
    StatusInfo *info = NULL;
    StopArgs stop = { .after = 7, .has_fast = true, .fast = true };
    CountArgs count = { .value = 41 };
    int64_t n = 0;
    Error *err = NULL;

    g_assert_true(qcommand_query_status.call(ctx, NULL, &info, NULL));
    g_assert_cmpint(info->status, ==, RUN_STATE_PAUSED);
    qcommand_query_status.hmp_print(ctx, &info);
    g_assert_cmpstr(cc, ==, "VM status: 1");
    free(info);
    g_assert_true(qcommand_stop.call(ctx, &stop, NULL, NULL));
    g_assert_cmpstr(cc, ==, "stop 7 1");
    g_assert_true(qcommand_count.call(ctx, &count, &n, NULL));
    g_assert_cmpint(n, ==, 42);
    count.value = INT64_MAX;
    g_assert_false(qcommand_count.call(ctx, &count, &n, &err));
    g_assert_cmpint(n, ==, 42);
    error_free(err);
    g_assert_true(qhmp_info_mtree.call(ctx, &(InfoMtreeHmp){ .has_flat = true }, NULL));
    g_assert_cmpstr(cc, ==, "mtree 1");
}

static void test_items(void)
{
    g_assert_cmpuint(qcommand_query_status.phases, ==, PHASE_ALL);
    g_assert_cmpuint(qcommand_stop.phases, ==, PHASE_ALL & ~PHASE_CONFIG);
    g_assert_true(qcommand_stop.allow_oob && qcommand_backend_add.coroutine);
    g_assert_cmpstr(qcommand_stop.hmp_name, ==, "stop|s");
    g_assert_cmpstr(qcommand_stop.item.features[0], ==, "fast-stop");
    g_assert_null(qcommand_stop.item.features[1]);
    g_assert_cmpstr(qcommand_stop.example, ==,
                    "{\"execute\": \"stop\", \"arguments\": {\"after\": 10}}");
    g_assert_true(qcommand_backend_add.args == &qtype_Backend);
    g_assert_cmpstr(qcommand_query_status.item.since, ==, "0.14");
    g_assert_cmpstr(qcommand_count.item.instead, ==, "your fingers");
    g_assert_cmpuint(qevent_RTC_CHANGE.rate_limit_ns, ==, 1000000000);
    g_assert_cmpstr(qoption_backend.implied_key, ==, "kind");
    g_assert_cmpuint(qoption_backend.phase, ==, PHASE_CONFIG);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/schema/lists", test_lists);
    g_test_add_func("/schema/classes", test_classes);
    g_test_add_func("/schema/calls", test_calls);
    g_test_add_func("/schema/items", test_items);
    return g_test_run();
}
