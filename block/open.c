/* Opening nodes: options, names, probing. The contract is in block/node.h; texts of errors are QEMU 10.0's. */
#include <assert.h>
#include <errno.h>
#include <glib.h>
#include <string.h>
#include <sys/stat.h>

#include "block/internal.h"
#include "qapi/json.h"
#include "qapi/keyval.h"
#include "qapi/visit.h"

const BlockDriver *block_driver(const char *name)
{
    for (unsigned i = 0; i < block_num_drivers; i++) {
        if (!strcmp(block_drivers[i]->name, name)) {
            return block_drivers[i];
        }
    }
    return NULL;
}

static const BlockDriver *driver_of_id(BlockdevDriver id)
{
    for (unsigned i = 0; i < block_num_drivers; i++) {
        if (block_drivers[i]->id == id) {
            return block_drivers[i];
        }
    }
    return NULL; /* not reached: a test compares the lists */
}

/* ---- One node ---- */

static bool choose_name(BlockNode *n, Error **errp)
{
    const char *want = n->opts.node_name;

    if (want) {
        if (!qid_is_valid(want)) {
            return error_set(errp, "Invalid node-name: '%s'", want);
        }
        if (strlen(want) > 31) {
            return error_set(errp, "Node name too long: '%s' has more than 31 characters", want);
        }
        if (block_find_node(n->ctx, want)) {
            return error_set(errp, "Duplicate nodes with node-name='%s'", want);
        }
        n->name = g_strdup(want);
        return true;
    }
    n->name = g_strdup_printf("#block%03u", n->ctx->next_name++);
    return true;
}

static void inherit(BlockNode *n, const BlockOpen *how)
{
    BlockdevOptions *o = &n->opts;

    if (!o->cache) {
        o->cache = calloc(1, sizeof(*o->cache));
    }
    if (!o->cache->has_direct) {
        o->cache->direct = how->direct;
    }
    if (!o->cache->has_no_flush) {
        o->cache->no_flush = how->no_flush;
    }
    if (!o->has_read_only) {
        o->read_only = how->read_only;
    }
    if (!o->has_force_share) {
        o->force_share = how->force_share;
    }
    if (!o->has_discard) {
        o->discard = how->unmap ? BLOCKDEV_DISCARD_OPTIONS_UNMAP : BLOCKDEV_DISCARD_OPTIONS_IGNORE;
    }
    o->cache->has_direct = o->cache->has_no_flush = o->has_read_only = o->has_force_share = o->has_discard = true;
    n->no_flush = o->cache->no_flush;
    n->read_only = o->read_only;
    n->unmap = o->discard == BLOCKDEV_DISCARD_OPTIONS_UNMAP;
}

BlockOpen node_child_open(const BlockNode *n, const BlockOpen *how, bool backing)
{
    BlockOpen o = *how;

    o.read_only = backing || n->read_only;
    o.direct = n->opts.cache->direct;
    o.no_flush = n->opts.cache->no_flush;
    o.force_share = n->opts.force_share;
    o.unmap = !backing;
    o.depth = how->depth + backing;
    return o;
}

static BlockNode *node_alloc(BlockContext *ctx, const BlockDriver *drv)
{
    BlockNode *n = g_new0(BlockNode, 1);

    n->ctx = ctx;
    n->drv = drv;
    n->refs = 1;
    n->align = 1;
    list_init(&n->children);
    list_init(&n->users);
    io_ranges_init(&n->ranges);
    co_queue_init(&n->flush_done);
    list_append(&ctx->nodes, &n->link);
    ctx->num_nodes++;
    return n;
}

BlockNode *CO_FN block_open(BlockContext *ctx, const BlockdevOptions *opts, const BlockOpen *how, Error **errp)
{
    BlockNode *n;

    if (ctx->num_nodes >= BLOCK_MAX_NODES || how->depth > BLOCK_MAX_DEPTH) {
        error_set(errp, how->depth > BLOCK_MAX_DEPTH ? "the chain of backing files is longer than %d"
                                                     : "there are more than %d block nodes",
                  how->depth > BLOCK_MAX_DEPTH ? BLOCK_MAX_DEPTH : BLOCK_MAX_NODES);
        return NULL;
    }
    n = node_alloc(ctx, driver_of_id(opts->driver));
    qvalue_copy(&qtype_BlockdevOptions, &n->opts, opts, NULL);
    inherit(n, how);
    if (n->opts.force_share && !n->read_only) {
        error_set(errp, "force-share=on can only be used with read-only images");
        goto fail;
    }
    if (n->opts.has_detect_zeroes && n->opts.detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP && !n->unmap) {
        error_set(errp, "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap");
        goto fail;
    }
    if (!choose_name(n, errp)) {
        goto fail;
    }
    n->state = g_malloc0(n->drv->state_size + 1);
    if (!n->drv->open(n, how, errp)) {
        g_free(n->state);
        n->state = NULL; /* nothing to close */
        goto fail;
    }
    return n;
fail:
    node_unref(n);
    return NULL;
}

BlockChild *CO_FN node_open_child(BlockNode *n, const BlockdevRef *ref, const char *name, const BlockOpen *how,
                                  Error **errp)
{
    bool backing = !strcmp(name, "backing");
    BlockNode *node;
    BlockChild *c;

    if (ref->kind == QK_STR) {
        node = block_find_node(n->ctx, ref->u.reference);
        if (!node || node == n) {
            error_set(errp, "Cannot find device='%s' nor node-name='%s'", ref->u.reference, ref->u.reference);
            return NULL;
        }
        node_ref(node);
    } else {
        BlockOpen o = node_child_open(n, how, backing);

        node = block_open(n->ctx, ref->u.definition, &o, errp);
    }
    if (!node) {
        return NULL;
    }
    c = node_use(node, n, name, 0, PERM_ALL, errp);
    node_unref(node); /* c has it, or it is gone */
    if (!c) {
        return NULL;
    }
    if (backing) {
        n->backing = c;
    } else if (!strcmp(name, "file")) {
        n->file = c;
        n->filename = n->filename ? n->filename : g_strdup(node->filename);
    }
    if (!node_refresh_perms(n, errp)) {
        node_unuse(c);
        return NULL;
    }
    return c;
}

BlockNode *CO_FN block_open_json(BlockContext *ctx, struct json_object *options, bool text, const BlockOpen *how,
                                 Error **errp)
{
    BlockdevOptions o = {0};
    BlockNode *n;

    if (!(text ? qvalue_from_text : qvalue_from_json)(&qtype_BlockdevOptions, options, &o, NULL, errp)) {
        return NULL;
    }
    n = block_open(ctx, &o, how, errp);
    qvalue_finish(&qtype_BlockdevOptions, &o, NULL);
    return n;
}

/* ---- By name ---- */

/* Formats that this program must not take for raw when nobody said what the image is: -> their first bytes. */
static const struct {
    const char *name;
    unsigned len;
    const char *magic;
} foreign[] = {
    {"qed", 4, "QED\0"},  {"vmdk", 4, "KDMV"}, {"vmdk", 4, "COWD"}, {"vhdx", 8, "vhdxfile"}, {"vpc", 8, "conectix"},
    {"luks", 6, "LUKS\xba\xbe"}, {"parallels", 16, "WithoutFreeSpace"}, {"parallels", 16, "WithouFreSpacExt"}, {"vdi", 4, "<<< "},
};

static const char *foreign_format(const char *head)
{
    for (unsigned i = 0; i < ARRAY_SIZE(foreign); i++) {
        if (!memcmp(head, foreign[i].magic, foreign[i].len)) {
            return foreign[i].name;
        }
    }
    return NULL;
}

bool block_looks_formatted(const char head[BLOCK_HEAD])
{
    for (unsigned i = 0; i < block_num_drivers; i++) {
        if (block_drivers[i]->magic && !memcmp(head, block_drivers[i]->magic, block_drivers[i]->magic_len)) {
            return true;
        }
    }
    return foreign_format(head);
}

static bool CO_FN check_foreign(BlockNode *file, Error **errp)
{
    char head[BLOCK_HEAD] = {0};
    const char *name = node_pread(file, 0, head, sizeof(head)) < 0 ? NULL : foreign_format(head);

    if (name) {
        error_set(errp, "'%s' is an image of format %s, which is not supported yet", node_what(file), name);
        return error_hint(errp, "format=raw takes its bytes as they are");
    }
    return true;
}

const char *CO_FN block_probe(BlockNode *file, const char *filename)
{
    char head[64] = {0};

    if (node_pread(file, 0, head, sizeof(head)) < 0) {
        return "raw";
    }
    for (unsigned i = 0; i < block_num_drivers; i++) {
        const BlockDriver *d = block_drivers[i];

        if (d->magic && !memcmp(head, d->magic, d->magic_len)) {
            return d->name;
        }
    }
    return "raw";
}

/* Length of "PROTOCOL:" that name begins with; 0: it is a path. */
static size_t protocol_len(const char *name)
{
    size_t n = strcspn(name, ":/");

    return name[n] == ':' ? n + 1 : 0;
}

char *block_path_beside(const char *base, const char *name)
{
    const char *slash = strrchr(base, '/');

    if (*name == '/' || protocol_len(name) || !slash) {
        return g_strdup(name);
    }
    return g_strdup_printf("%.*s%s", (int)(slash + 1 - base), base, name);
}

static BlockNode *CO_FN open_protocol(BlockContext *ctx, const char *filename, const BlockOpen *how, Error **errp)
{
    size_t n = protocol_len(filename);
    const char *path = filename;
    struct json_object *j;
    struct stat sb;
    BlockNode *node;

    if (n == 5 && !strncmp(filename, "file:", 5)) {
        path = filename + 5;
    } else if (n == 12 && !strncmp(filename, "host_device:", 12)) {
        path = filename + 12;
    } else if (n) {
        error_set(errp, "Could not open '%s': Unknown protocol '%.*s'", filename, (int)n - 1, filename);
        return NULL;
    }
    j = json_object_new_object();
    qjson_add(j, "driver", json_object_new_string(stat(path, &sb) == 0 && S_ISBLK(sb.st_mode) ? "host_device" : "file"));
    qjson_add(j, "filename", json_object_new_string(path));
    node = block_open_json(ctx, j, false, how, errp);
    json_object_put(j);
    return node;
}

/* A file with a name needs no driver, where people write options (json: names, --image-opts, -drive). */
static void name_file_driver(struct json_object *options, const char *role)
{
    struct json_object *file, *name;
    struct stat sb;

    if (json_object_object_get_ex(options, role, &file) && json_object_is_type(file, json_type_object) &&
        !json_object_object_get_ex(file, "driver", NULL) && json_object_object_get_ex(file, "filename", &name)) {
        bool is_block = stat(json_object_get_string(name), &sb) == 0 && S_ISBLK(sb.st_mode);

        qjson_add(file, "driver", json_object_new_string(is_block ? "host_device" : "file"));
    }
}

/* The format by the file's first bytes; NULL: *errp is set. */
static const char *CO_FN guess_driver(BlockContext *ctx, struct json_object *options, bool text, const BlockOpen *how, Error **errp)
{
    BlockOpen look = {.read_only = true, .force_share = how->force_share};
    const char *found = NULL;
    struct json_object *file;
    BlockNode *n;

    if (!json_object_object_get_ex(options, "file", &file) || !json_object_is_type(file, json_type_object)) {
        error_set(errp, "Parameter 'driver' is missing");
        return NULL;
    }
    n = block_open_json(ctx, file, text, &look, errp);
    if (n && check_foreign(n, errp)) {
        found = block_probe(n, node_filename(n));
    }
    node_unref(n);
    return found;
}

BlockNode *CO_FN block_open_loose(BlockContext *ctx, struct json_object *options, bool text, const BlockOpen *how, Error **errp)
{
    const char *guess = NULL;
    BlockNode *n;

    name_file_driver(options, "file");
    name_file_driver(options, "data-file");
    if (!json_object_object_get_ex(options, "driver", NULL)) {
        guess = guess_driver(ctx, options, text, how, errp);
        if (!guess) {
            return NULL;
        }
        qjson_add(options, "driver", json_object_new_string(guess));
    }
    n = block_open_json(ctx, options, text, how, errp);
    if (n && guess && n->drv->id == BLOCKDEV_DRIVER_RAW) {
        raw_set_probed(n);
    }
    return n;
}

static BlockNode *CO_FN open_json_name(BlockContext *ctx, const char *name, const char *driver, const BlockOpen *how,
                                       Error **errp)
{
    struct json_object *j;
    BlockNode *n = NULL;

    if (!qjson_parse(name + 5, strlen(name + 5), &j, errp)) {
        error_prepend(errp, "Could not parse the JSON options: ");
        return NULL;
    }
    if (!json_object_is_type(j, json_type_object)) {
        error_set(errp, "Invalid JSON object given");
    } else {
        if (driver && !json_object_object_get_ex(j, "driver", NULL)) {
            qjson_add(j, "driver", json_object_new_string(driver));
        }
        n = block_open_loose(ctx, j, false, how, errp);
    }
    json_object_put(j);
    return n;
}

/* {"driver": driver, "file": NODE} */
static BlockNode *CO_FN open_over(BlockNode *file, const char *driver, const BlockOpen *how, Error **errp)
{
    BlockdevRef ref = {.kind = QK_STR, .u.reference = file->name};
    BlockdevOptions o = {.driver = block_driver(driver)->id};

    if (o.driver == BLOCKDEV_DRIVER_RAW) {
        o.u.raw.file = &ref;
    } else {
        o.u.qcow2.file = &ref;
    }
    return block_open(file->ctx, &o, how, errp);
}

BlockNode *CO_FN block_open_file(BlockContext *ctx, const char *filename, const char *driver, const BlockOpen *how,
                                 Error **errp)
{
    const BlockDriver *d = driver ? block_driver(driver) : NULL;
    BlockOpen below = *how;
    BlockNode *file, *n;

    if (driver && !d) {
        error_set(errp, "Unknown driver '%s'", driver);
        return NULL;
    }
    if (!strncmp(filename, "json:", 5)) {
        return open_json_name(ctx, filename, driver, how, errp);
    }
    below.unmap = true;
    file = open_protocol(ctx, filename, d && d->is_protocol ? how : &below, errp);
    if (!file || (d && d->is_protocol)) {
        return file;
    }
    n = d || check_foreign(file, errp) ? open_over(file, d ? d->name : block_probe(file, filename), how, errp) : NULL;
    if (n && !d && n->drv->id == BLOCKDEV_DRIVER_RAW) {
        raw_set_probed(n);
    }
    node_unref(file);
    return n;
}
