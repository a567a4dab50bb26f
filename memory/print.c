/* "info mtree": the trees, or the flat views, as QEMU 10.0's monitor prints them. */
#include <glib.h>
#include <inttypes.h>
#include <string.h>

#include "memory/internal.h"

typedef struct {
    void (*print)(void *, const char *);
    void *opaque;
    bool owners, disabled;
    GPtrArray *targets; /* regions that aliases named, in the order found */
} Printer;

static void G_GNUC_PRINTF(2, 3) out(Printer *p, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = g_strdup_vprintf(fmt, ap);
    va_end(ap);
    p->print(p->opaque, text);
    g_free(text);
}

static const char *kind_text(const MemoryRegion *mr, bool readonly)
{
    while (mr->kind == MR_ALIAS) {
        readonly = readonly || mr->readonly;
        mr = mr->target;
    }
    switch (mr->kind) {
    case MR_ROMD:
        return mr->romd_mode ? "romd" : "i/o";
    case MR_RAM:
    case MR_ROM:
        return readonly || mr->readonly ? "rom" : "ram";
    default:
        return "i/o";
    }
}

static void print_owner(Printer *p, const MemoryRegion *mr)
{
    char *path;

    if (!p->owners || !mr->owner) {
        return;
    }
    path = object_path(mr->owner);
    out(p, " owner:{%s path=%s}", mr->owner->klass->kind == QCLASS_DEVICE ? "dev" : "obj", path ? path : "?");
    free(path);
}

/* By address, then higher priority; those equal in both stay in their order. */
static bool goes_before(const MemoryRegion *a, const MemoryRegion *b)
{
    return a->addr != b->addr ? a->addr < b->addr : a->priority > b->priority;
}

static void sort(MemoryRegion **list, unsigned num)
{
    for (unsigned i = 1; i < num; i++) {
        MemoryRegion *mr = list[i];
        unsigned at = i;

        for (; at > 0 && goes_before(mr, list[at - 1]); at--) {
            list[at] = list[at - 1];
        }
        list[at] = mr;
    }
}

static hwaddr last_of(hwaddr start, const MemoryRegion *mr)
{
    return start + (hwaddr)(region_size(mr) - 1);
}

static void print_line(Printer *p, const MemoryRegion *mr, unsigned level, hwaddr start)
{
    out(p, "%*s%016" PRIx64 "-%016" PRIx64 " (prio %d, %s): ", (int)level * 2, "", start, last_of(start, mr),
        mr->priority, kind_text(mr, false));
    if (mr->kind == MR_ALIAS) {
        out(p, "alias %s @%s %016" PRIx64 "-%016" PRIx64, mr->name, mr->target->name, mr->target_offset,
            last_of(mr->target_offset, mr));
        if (!g_ptr_array_find(p->targets, mr->target, NULL)) {
            g_ptr_array_add(p->targets, mr->target);
        }
    } else {
        out(p, "%s", mr->name);
    }
    out(p, "%s", mr->enabled ? "" : " [disabled]");
    print_owner(p, mr);
    out(p, "\n");
}

static void print_region(Printer *p, const MemoryRegion *mr, unsigned level, hwaddr start)
{
    MemoryRegion **children;

    if (mr->enabled || p->disabled) {
        print_line(p, mr, level, start);
    }
    if (!mr->num_children) {
        return;
    }
    children = g_memdup2(mr->children, mr->num_children * sizeof(*children));
    sort(children, mr->num_children);
    for (unsigned i = 0; i < mr->num_children; i++) {
        print_region(p, children[i], level + 1, start + children[i]->addr);
    }
    g_free(children);
}

/* True iff an earlier address space has the same root (or view) and so has been printed with it. */
static bool seen_before(MemoryMap *map, const AddressSpace *as, bool flat)
{
    for (const AddressSpace *o = map->spaces; o != as; o = o->next) {
        if (flat ? o->view == as->view : o->root == as->root) {
            return true;
        }
    }
    return false;
}

static void print_trees(Printer *p, MemoryMap *map)
{
    p->targets = g_ptr_array_new();
    for (AddressSpace *as = map->spaces; as; as = as->next) {
        if (seen_before(map, as, false)) {
            continue;
        }
        for (AddressSpace *o = as; o; o = o->next) {
            if (o->root == as->root) {
                out(p, "address-space: %s\n", o->name);
            }
        }
        print_region(p, as->root, 1, 0);
        out(p, "\n");
    }
    for (guint i = 0; i < p->targets->len; i++) { /* printing may add more */
        const MemoryRegion *mr = p->targets->pdata[i];

        out(p, "memory-region: %s\n", mr->name);
        print_region(p, mr, 1, mr->addr);
        out(p, "\n");
    }
    g_ptr_array_free(p->targets, TRUE);
}

static void print_view(Printer *p, const FlatView *v)
{
    out(p, " Root memory region: %s\n", v->root ? v->root->name : "(none)");
    if (!v->num) {
        out(p, "  No rendered FlatView\n");
    }
    for (unsigned i = 0; i < v->num; i++) {
        const FlatRange *r = &v->ranges[i];

        out(p, "  %016" PRIx64 "-%016" PRIx64 " (prio %d, %s): %s", r->start, r->last, r->mr->priority,
            kind_text(r->mr, r->readonly), r->mr->name);
        if (r->offset) {
            out(p, " @%016" PRIx64, r->offset);
        }
        print_owner(p, r->mr);
        out(p, "\n");
    }
    out(p, "\n");
}

static void print_views(Printer *p, MemoryMap *map)
{
    unsigned n = 0;

    for (AddressSpace *as = map->spaces; as; as = as->next) {
        if (seen_before(map, as, true)) {
            continue;
        }
        out(p, "FlatView #%u\n", n++);
        for (AddressSpace *o = as; o; o = o->next) {
            if (o->view == as->view) {
                out(p, " AS \"%s\", root: %s\n", o->name, o->root->name);
            }
        }
        print_view(p, as->view);
    }
}

void memory_print_tree(MemoryMap *map, bool flat, bool owners, bool disabled, void (*print)(void *, const char *),
                       void *opaque)
{
    Printer p = {.print = print, .opaque = opaque, .owners = owners, .disabled = disabled};

    memory_assert_locked(map);
    if (flat) {
        print_views(&p, map);
    } else {
        print_trees(&p, map);
    }
}
