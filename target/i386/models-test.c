/* CPUID: what QEMU 10.0's TCG shows to a guest (read out there), less what is not implemented here. */
#include <glib.h>
#include <string.h>

#include "target/i386/models.h"

/* A CPU of this model; 8 CPUs in 4 cores when smp. */
static X86Cpu *cpu(const char *model, bool smp)
{
    X86Cpu *c = g_aligned_alloc0(1, sizeof(*c), 64);
    const X86CpuModel *m = x86_model_find(model);

    g_assert_nonnull(m);
    if (smp) {
        c->topology_threads = 2;
        c->topology_cores = 4;
    }
    x86_cpu_set_model(c, m);
    x86_reset_state(c);
    return c;
}

static void expect(const X86Cpu *c, uint32_t leaf, uint32_t sub, uint32_t a, uint32_t b, uint32_t cx, uint32_t d)
{
    uint32_t r[4];

    x86_cpuid(c, leaf, sub, r);
    if (r[0] != a || r[1] != b || r[2] != cx || r[3] != d) {
        g_error("leaf %x.%u: %08x %08x %08x %08x", leaf, sub, r[0], r[1], r[2], r[3]);
    }
}

static void test_qemu64(void)
{
    X86Cpu *c = cpu("qemu64", false);

    expect(c, 0, 0, 0xd, 0x68747541, 0x444d4163, 0x69746e65);
    expect(c, 1, 0, 0x60fb1, 0x800, 0x80002001, 0x78bfbfd);
    expect(c, 4, 0, 0, 0, 0, 0);
    expect(c, 5, 0, 0, 0, 3, 0);
    expect(c, 0xb, 0, 0, 1, 0x100, 0);
    expect(c, 0xb, 1, 0, 1, 0x201, 0);
    expect(c, 0xb, 2, 0, 0, 2, 0);
    expect(c, 0x40000000, 0, 0x40000001, 0x54474354, 0x43544743, 0x47435447);
    expect(c, 0x80000000, 0, 0x8000000a, 0x68747541, 0x444d4163, 0x69746e65);
    expect(c, 0x80000001, 0, 0x60fb1, 0, 1 /* less SVM */, 0x2193fbfd);
    expect(c, 0x80000002, 0, 0x554d4551, 0x72695620, 0x6c617574, 0x55504320);
    expect(c, 0x80000003, 0, 0x72657620, 0x6e6f6973, 0x352e3220, 0x2b);
    expect(c, 0x80000005, 0, 0x01ff01ff, 0x01ff01ff, 0x40020140, 0x40020140);
    expect(c, 0x80000006, 0, 0, 0x42004200, 0x02008140, 0x00808140);
    expect(c, 0x80000008, 0, 0x3028, 0, 0, 0);
    g_aligned_free(c);
}

static void test_topology(void)
{
    X86Cpu *c = cpu("qemu64", true);

    expect(c, 1, 0, 0x60fb1, 0x80800, 0x80002001, 0x178bfbfd);
    expect(c, 0xb, 0, 1, 2, 0x100, 0);
    expect(c, 0xb, 1, 3, 8, 0x201, 0);
    expect(c, 0x80000001, 0, 0x60fb1, 0, 3, 0x2193fbfd);
    expect(c, 0x80000008, 0, 0x3028, 0, 0x3007, 0);
    g_aligned_free(c);
    c = cpu("Nehalem-v1", true); /* as QEMU, not only AMD's */
    expect(c, 0x80000008, 0, 0x3028, 0, 0x3007, 0);
    g_aligned_free(c);
}

static void test_nehalem(void)
{
    X86Cpu *c = cpu("Nehalem-v1", false);

    expect(c, 0, 0, 0xb, 0x756e6547, 0x6c65746e, 0x49656e69);
    expect(c, 1, 0, 0x106a3, 0x800, 0x80982201, 0x78bfbfd);
    expect(c, 2, 0, 1, 0, 0x4d, 0x2c307d);
    expect(c, 4, 0, 0x121, 0x1c0003f, 0x3f, 1);
    expect(c, 4, 3, 0x163, 0x3c0003f, 0x3fff, 6);
    expect(c, 0x80000001, 0, 0x106a3, 0, 1, 0x20100000); /* outside 64-bit mode: no SYSCALL */
    expect(c, 0xc, 1, 0, 1, 0x201, 0);                   /* above the last leaf: the last leaf */
    expect(c, 0x80000009, 0, 0, 1, 0x100, 0);
    c->st.efer = X86_EFER_LMA;
    c->st.seg[S_CS].attributes |= X86_SEG_L;
    x86_update_key(c);
    expect(c, 0x80000001, 0, 0x106a3, 0, 1, 0x20100800);
    g_aligned_free(c);
}

/* Every model has its numbers and only features that exist. */
static void test_all(void)
{
    for (unsigned n = 0; n < x86_num_models; n++) {
        X86Cpu *c = cpu(x86_models[n].name, false);

        g_assert_cmpuint(strlen(x86_models[n].vendor), ==, strcmp(x86_models[n].name, "base") ? 12 : 0);
        g_assert_cmphex(c->st.gpr[R_RDX], ==, c->signature);
        g_assert_true(c->phys_bits >= 32 && c->phys_bits <= 52);
        g_aligned_free(c);
    }
}

static void test_names(void)
{
    g_assert_cmpstr(x86_model_alias("Nehalem"), ==, "Nehalem-v1");
    g_assert_true(x86_model_is_unversioned("Nehalem"));
    g_assert_cmpstr(x86_model_alias("Broadwell-noTSX-IBRS"), ==, "Broadwell-v4");
    g_assert_false(x86_model_is_unversioned("Broadwell-noTSX-IBRS"));
    g_assert_null(x86_model_alias("Nehalem-v1"));
    g_assert_null(x86_model_alias("max"));
    g_assert_null(x86_model_alias("foo"));
    g_assert_cmpstr(x86_model_lacks("phenom")[0], ==, "fxsr-opt");
    g_assert_null(x86_model_lacks("qemu64")[0]);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/cpuid/qemu64", test_qemu64);
    g_test_add_func("/cpuid/topology", test_topology);
    g_test_add_func("/cpuid/nehalem", test_nehalem);
    g_test_add_func("/cpuid/all", test_all);
    g_test_add_func("/cpuid/names", test_names);
    return g_test_run();
}
