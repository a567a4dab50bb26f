/*
 * Disk images that may be anything, as qcow2, or as what they look like: opened, described, checked, repaired, read, written, their
 * snapshots used; and opened again.
 *
 *     flags · number of operations · operations of 8 bytes · image
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block/driver.h"
#include "qom/values.h"
#include "softmmu/system.h"
#include "tests/fuzz/fuzz.h"

enum { MAX_IO = 65536, AS_QCOW2 = 1, READ_ONLY = 2, CHECK = 4, REPAIR = 8, TO_REPAIR = 16 };

static struct {
    QomTree *tree;
    Loop *loop;
    BlockContext *ctx;
    uint8_t *buf;
} p;

typedef struct {
    FuzzBytes ops;
    uint8_t flags;
} Job;

static void start(void)
{
    p.tree = qom_tree_new(&qschema_system, &qom_values);
    p.loop = loop_new("image", g_main_context_default());
    p.ctx = block_context_new_here(p.loop);
    p.buf = malloc(MAX_IO);
}

static void CO_FN snapshots(BlockNode *n, uint8_t what)
{
    unsigned num = 0;
    g_autofree BlockSnapshot *all = n->drv->snapshots ? n->drv->snapshots(n, &num) : NULL;

    if (n->drv->snapshot) {
        n->drv->snapshot(n, what >> 2 & 3, num && what & 1 ? all[0].name : "x", NULL);
    }
}

static void CO_FN look(BlockNode *n, uint8_t flags)
{
    BlockCheck c = { 0 };
    BlockStatus st;
    uint64_t at = 0;

    if (n->drv->format_info) {
        json_object_put(n->drv->format_info(n));
    }
    if (n->drv->check && flags & CHECK) {
        n->drv->check(n, &c, flags & REPAIR ? 3 : 0, NULL);
    }
    for (int i = 0; i < 100 && at < node_length(n) && !node_status_chain(n, NULL, at, node_length(n) - at, &st); i++) {
        assert(st.len && st.len <= node_length(n) - at);
        at += st.len;
    }
}

static void CO_FN operation(BlockNode *n, FuzzBytes *ops, bool read_only)
{
    uint8_t what = fuzz_u8(ops), where = fuzz_u8(ops);
    uint32_t offset = fuzz_u32(ops);
    uint16_t len = fuzz_u16(ops);
    uint64_t length = node_length(n), at = where & 1 ? offset % (length + 1) : where & 2 ? length - length / (offset | 1) : (uint64_t)offset << 9;

    at = at > length ? length : at;
    len = len > length - at ? (uint16_t)(length - at) : len;
    memset(p.buf, what, len);
    switch (read_only ? 0 : what % 8) {
    case 1: case 2:
        node_pwrite(n, at, p.buf, len);
        break;
    case 3:
        node_write_zeroes(n, at, len, what & 8 ? IO_UNMAP : 0);
        break;
    case 4:
        node_discard(n, at, len);
        break;
    case 5:
        node_flush(n);
        break;
    case 6:
        snapshots(n, what >> 3);
        break;
    case 7:
        node_resize(n, what & 8 ? length + len : at, true, NULL);
        break;
    default:
        node_pread(n, at, p.buf, len);
    }
}

static void CO_FN use(void *opaque)
{
    Job *j = opaque;
    bool read_only = j->flags & READ_ONLY;
    BlockOpen how = { .read_only = read_only, .no_backing = true, .unmap = true, .to_repair = j->flags & TO_REPAIR };
    Error *err = NULL;
    BlockNode *n = block_open_file(p.ctx, "image", j->flags & AS_QCOW2 ? "qcow2" : NULL, &how, &err);
    BlockChild *use = n ? node_use(n, NULL, "fuzz", read_only ? PERM_READ : PERM_ALL, PERM_ALL, &err) : NULL;

    assert(!use == (err != NULL));
    if (use) {
        look(n, j->flags);
        while (fuzz_more(&j->ops)) {
            operation(n, &j->ops, read_only);
        }
    }
    node_unuse(use);
    node_unref(n);
    error_free(err);
}

static void image(const uint8_t *data, size_t len)
{
    FuzzBytes b = { data, len };
    Job j = { .flags = fuzz_u8(&b) };
    FILE *f = fopen("image", "w");

    j.ops = fuzz_take(&b, (fuzz_u8(&b) & 31) * 8);
    if (!f || fwrite(b.data, 1, b.len, f) != b.len || fclose(f)) {
        abort();
    }
    block_run(p.ctx, use, &j);
    j.flags &= (uint8_t)~REPAIR; /* once more, as it is now */
    block_run(p.ctx, use, &j);
}

const FuzzTarget fuzz_image = { .init = start, .run = image, .max_len = 16384, .opens_files = true };
