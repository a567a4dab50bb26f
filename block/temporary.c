/* A disk whose changes are forgotten: a temporary qcow2 image above it. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <unistd.h>

#include "block/driver.h"
#include "qapi/json.h"

/* A file of its own; NULL: *errp is set. g_free it. */
static char *new_file(Error **errp)
{
    const char *dir = getenv("TMPDIR");
    char *path = g_build_filename(dir && *dir ? dir : "/var/tmp", "vl.XXXXXX", NULL);
    int fd = mkostemp(path, O_CLOEXEC);

    if (fd < 0) {
        error_set_errno(errp, errno, "Could not create temporary file '%s'", path);
        g_free(path);
        return NULL;
    }
    close(fd);
    return path;
}

static BlockNode *CO_FN open_above(BlockNode *base, BlockNode *file, const BlockOpen *how, Error **errp)
{
    struct json_object *j = json_object_new_object();
    BlockNode *n;

    qjson_add(j, "driver", json_object_new_string("qcow2"));
    qjson_add(j, "file", json_object_new_string(node_name(file)));
    qjson_add(j, "backing", json_object_new_string(node_name(base)));
    n = block_open_json(base->ctx, j, false, how, errp);
    json_object_put(j);
    return n;
}

static bool CO_FN format(BlockNode *file, uint64_t length, Error **errp)
{
    BlockCreate c = {.size = round_up(length, 512)};
    BlockChild *use = node_use(file, NULL, "snapshot", PERM_ALL & ~PERM_WRITE_UNCHANGED, PERM_READ, errp);
    bool ok = use && block_driver("qcow2")->create(file, &c, errp);

    node_unuse(use);
    return ok;
}

BlockNode *CO_FN block_open_temporary(BlockContext *ctx, const char *filename, const char *driver, const BlockOpen *how, Error **errp)
{
    BlockOpen below = *how, above = {.unmap = true, .no_flush = true};
    BlockNode *base, *file = NULL, *n = NULL;
    g_autofree char *path = NULL;

    below.read_only = true;
    base = block_open_file(ctx, filename, driver, &below, errp);
    path = base ? new_file(errp) : NULL;
    if (path) {
        file = block_open_file(ctx, path, "file", &above, errp);
        unlink(path); /* whatever happens, it goes with us */
    }
    if (file && format(file, node_length(base), errp)) {
        n = open_above(base, file, &above, errp);
    }
    node_unref(file);
    node_unref(base);
    return n;
}
