/*
 * The generated types alone: C structs, offsets, defaults, ranges, reset rules and conditions of
 * the hard examples. Links no body of any command and no class.
 */
#include <glib.h>

#include "tests/schema/flash.gen.h"
#include "tests/schema/ide.gen.h"
#include "tests/schema/items.gen.h"
#include "tests/schema/machine.gen.h"
#include "tests/schema/x86cpu.gen.h"

static const QMember *find(const QType *t, const char *name)
{
    for (uint32_t i = 0; i < t->num_members; i++) {
        if (!strcmp(t->members[i].item.name, name)) {
            return &t->members[i];
        }
    }
    g_error("%s has no member %s", t->item.name, name);
}

static void fill_defaults(const QType *t, void *base)
{
    for (uint32_t i = 0; i < t->num_members; i++) {
        if (t->members[i].set_default) {
            t->members[i].set_default(base);
        }
    }
}

/* Every default of isa-serial depends on index as a board's four ports want. */
static void test_serial_defaults(void)
{
    static const uint32_t iobase[] = { 0x3f8, 0x2f8, 0x3e8, 0x2e8 }, irq[] = { 4, 3, 4, 3 };

    for (uint32_t i = 0; i < 4; i++) {
        IsaSerialConf c = { .index = i };

        find(&qtype_IsaSerialConf, "iobase")->set_default(&c);
        find(&qtype_IsaSerialConf, "irq")->set_default(&c);
        g_assert_cmpuint(c.iobase, ==, iobase[i]);
        g_assert_cmpuint(c.irq, ==, irq[i]);
    }
    /* A value out of the range, which no walker lets through, stays in memory that is ours. */
    IsaSerialConf bad = { .index = 77 };
    find(&qtype_IsaSerialConf, "iobase")->set_default(&bad);
    g_assert_cmpuint(bad.iobase, ==, 0);
    g_assert_true(find(&qtype_IsaSerialConf, "iobase")->default_is_expr);
    g_assert_cmpstr(find(&qtype_IsaSerialConf, "irq")->default_text, ==, "index % 2 == 0 ? 4 : 3");
    g_assert_cmpuint(find(&qtype_IsaSerialConf, "index")->max.u, ==, 3);
    g_assert_cmpint(find(&qtype_IsaSerialConf, "wakeup")->item.stability, ==, STABILITY_UNSTABLE);
    g_assert_true(find(&qtype_IsaSerialConf, "id")->inherited);
    g_assert_false(find(&qtype_IsaSerialConf, "index")->inherited);
    g_assert_cmpstr(find(&qtype_IsaSerialConf, "chardev")->type->ref_class, ==, "chardev");
}

/* A subclass's Conf begins with its parent's, and 'defaults' changes what the parent says. */
static void test_inherited(void)
{
    VirtioDeviceConf parent = { 0 };
    VirtioRngDeviceConf rng = { 0 };

    fill_defaults(&qtype_VirtioDeviceConf, &parent);
    fill_defaults(&qtype_VirtioRngDeviceConf, &rng);
    g_assert_cmpuint(parent.queue_size, ==, 256);
    g_assert_cmpuint(((VirtioDeviceConf *)&rng)->queue_size, ==, 8);
    g_assert_cmpuint(((VirtioDeviceConf *)&rng)->queues, ==, 1);
    g_assert_cmpuint(rng.max_bytes, ==, INT64_MAX);
    parent.queues = 9;
    find(&qtype_VirtioDeviceConf, "queue-size")->set_default(&parent);
    g_assert_cmpuint(parent.queue_size, ==, 128);
    g_assert_true(find(&qtype_VirtioRngDeviceControl, "rate")->settable);
    g_assert_cmpstr(find(&qtype_VirtioRngDeviceConf, "period")->unit, ==, "ms");
}

static void test_ide_state(void)
{
    const QType *drive = &qtype_IdeDriveState;
    const QMember *drives = find(&qtype_IdeChannelState, "drives"), *data = find(drive, "data");
    const QMember *dma = find(&qtype_IdeChannelState, "bmdma");
    IdeDriveState d = { .phase = IDE_PHASE_IDLE };
    IdeChannelConf conf = { .dma = true };
    BmDmaState bm = { .command = 8 };

    g_assert_cmpint(drives->type->kind, ==, QK_ARRAY);
    g_assert_cmpuint(drives->type->len, ==, 2);
    g_assert_true(drives->type->element == drive && drive->embedded);
    g_assert_cmpuint(drives->type->size, ==, 2 * sizeof(IdeDriveState));
    g_assert_cmpuint(find(drive, "tf")->offset, ==, offsetof(IdeDriveState, tf));
    g_assert_cmpuint(find(&qtype_IdeTaskFile, "status")->reset_value.u, ==, 0x50);
    g_assert_cmpint(find(drive, "multiple")->reset, ==, RESET_KEEP);
    g_assert_cmpuint(data->type->len, ==, 131072);
    g_assert_cmpuint(data->type->size, ==, sizeof(d.data));
    g_assert_cmpuint(find(drive, "sector")->max.u, ==, 0xffffffffffff);

    g_assert_false(data->present_if(&d, NULL));
    d.phase = IDE_PHASE_PIO_OUT;
    g_assert_true(data->present_if(&d, NULL));
    g_assert_true(dma->present_if(NULL, &conf));
    conf.dma = false;
    g_assert_false(dma->present_if(NULL, &conf));
    g_assert_false(find(&qtype_BmDmaState, "table-position")->present_if(&bm, NULL));
    bm.command |= 1;
    g_assert_true(find(&qtype_BmDmaState, "table-position")->present_if(&bm, NULL));
}

static void test_cpu_state(void)
{
    const QType *t = &qtype_X86CpuState, *xmm = find(t, "xmm")->type;
    X86CpuConf conf = { 0 };
    X86CpuState st = { .efer = 0x500 };
    const QMember *perf = find(t, "msr-perf-global");

    g_assert_cmpuint(sizeof(st.xmm), ==, 32 * 16);
    g_assert_cmpuint(sizeof(st.zmm_high[0]), ==, 48);
    g_assert_cmpuint(xmm->len, ==, 32);
    g_assert_cmpuint(xmm->element->len, ==, 2);
    g_assert_cmpuint(xmm->element->size, ==, 16);
    g_assert_true(xmm->element->element == &qtype_uint64);
    g_assert_cmpstr(xmm->item.name, ==, "uint64[32][2]");
    g_assert_true(find(t, "segs")->type->element == &qtype_SegmentState);
    g_assert_cmpuint(find(t, "mxcsr")->reset_value.u, ==, 0x1f80);
    g_assert_cmpint(find(t, "boot-id")->reset, ==, RESET_FROM_CONF);
    g_assert_cmpuint(find(t, "boot-id")->reset_from, ==, offsetof(X86CpuConf, apic_id));
    g_assert_cmpuint(perf->state_since, ==, 2);
    g_assert_false(perf->present_if(&st, &conf));
    conf.pmu = true;
    g_assert_true(perf->present_if(&st, &conf));
    g_assert_cmpint(find(t, "tsc-deadline")->reset_value.i, ==, -1);
    g_assert_cmpstr(find(t, "tsc-deadline")->type->clock, ==, "virtual");
    g_assert_cmpuint(find(&qtype_X86CpuConf, "3dnow")->offset, ==, offsetof(X86CpuConf, _3dnow));
    g_assert_true(find(&qtype_X86CpuConf, "apic-id")->required);
}

static void test_virtq_and_rtc(void)
{
    VirtqState q = { .num = 0 };
    Mc146818rtcState rtc = { .policy = LOST_TICK_POLICY_DISCARD };
    Mc146818rtcConf conf = { 0 };

    g_assert_true(find(&qtype_VirtioDeviceState, "vq")->type->element == &qtype_VirtqState);
    g_assert_cmpuint(find(&qtype_VirtqState, "num")->max.u, ==, 1024);
    g_assert_false(find(&qtype_VirtqState, "desc")->present_if(&q, NULL));
    q.num = 1;
    g_assert_true(find(&qtype_VirtqState, "desc")->present_if(&q, NULL));
    g_assert_cmpint(find(&qtype_VirtqState, "used-wrap")->reset_value.i, ==, 1);
    g_assert_cmpint(find(&qtype_VirtioDeviceState, "generation")->reset, ==, RESET_COLD_ONLY);

    g_assert_cmpuint(find(&qtype_Mc146818rtcState, "cmos")->type->size, ==, 128);
    g_assert_false(find(&qtype_Mc146818rtcState, "lost")->present_if(&rtc, &conf));
    rtc.policy = LOST_TICK_POLICY_SLEW;
    g_assert_true(find(&qtype_Mc146818rtcState, "lost")->present_if(&rtc, &conf));
    fill_defaults(&qtype_Mc146818rtcConf, &conf);
    g_assert_cmpint(conf.base_year, ==, 1980);
}

/* Numbers, lists, RAM blocks, C names of its own. */
static void test_flash(void)
{
    FlashConf c = { .sectors = 16 };
    const QMember *speed = find(&qtype_FlashConf, "speed"),
                  *locked = find(&qtype_FlashState, "locked");

    c.ids.len = 3;
    fill_defaults(&qtype_FlashConf, &c);
    g_assert_cmpuint(c.sector_size, ==, 65536);
    g_assert_cmpuint(c.ids.len, ==, 0);
    g_assert_null(c.ids.items);
    g_assert_cmpfloat(c.speed, ==, 1.0);
    g_assert_cmpfloat(speed->min.d, ==, 0.5);
    g_assert_cmpfloat(speed->max.d, ==, 100.0);
    g_assert_cmpstr(speed->default_text, ==, "1.0");
    g_assert_cmpint(find(&qtype_FlashConf, "ids")->has_offset, ==, -1);
    g_assert_true(find(&qtype_FlashConf, "ids")->type->element == &qtype_uint16);
    g_assert_cmpint(find(&qtype_FlashState, "contents")->type->kind, ==, QK_RAMBLOCK);
    g_assert_cmpint(find(&qtype_FlashState, "mode")->reset_value.i, ==, FLASH_MODE_STATUS);
    g_assert_cmpuint(locked->reset_value.u, ==, 255);
}

static void test_unions(void)
{
    SinkConf sink = { .kind = BACKEND_KIND_FILE };

    g_assert_cmpint(qtype_Backend.kind, ==, QK_UNION);
    g_assert_cmpstr(qtype_Backend.members[qtype_Backend.tag_member].item.name, ==, "kind");
    g_assert_cmpuint(qtype_Backend.union_offset, ==, offsetof(Backend, u));
    g_assert_cmpuint(qtype_Backend.num_branches, ==, 2);
    g_assert_true(qtype_Backend.branches[1].type == &qtype_BackendSocket);
    g_assert_cmpint(qtype_BackendRef.branches[1].tag, ==, QK_UNION);
    g_assert_cmpint(qtype_SinkConf.kind, ==, QK_UNION);
    find(&qtype_SinkConf, "limit")->set_default(&sink);
    g_assert_cmpuint(sink.limit, ==, 1 << 30);
    sink.kind = BACKEND_KIND_NULL;
    find(&qtype_SinkConf, "limit")->set_default(&sink);
    g_assert_cmpuint(sink.limit, ==, 0);
    g_assert_cmpint(find(&qtype_StatusInfo, "since-ns")->has_offset, ==,
                    offsetof(StatusInfo, has_since_ns));
    g_assert_cmpint(find(&qtype_StopArgs, "after")->has_offset, ==, -1);
    g_assert_cmpint(qtype_RunState.values[2].item.stability, ==, STABILITY_UNSTABLE);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/schema/serial-defaults", test_serial_defaults);
    g_test_add_func("/schema/inherited", test_inherited);
    g_test_add_func("/schema/ide-state", test_ide_state);
    g_test_add_func("/schema/cpu-state", test_cpu_state);
    g_test_add_func("/schema/virtq-and-rtc", test_virtq_and_rtc);
    g_test_add_func("/schema/flash", test_flash);
    g_test_add_func("/schema/unions", test_unions);
    return g_test_run();
}
