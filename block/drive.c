/* -drive's words about an image. The contract is in block/block.h; words and texts are QEMU 10.0's. */
#include <glib.h>
#include <json-c/json.h>
#include <string.h>

#include "block/internal.h"
#include "qapi/json.h"
#include "qapi/visit.h"

static const char *text_of(struct json_object *drive, const char *key)
{
    struct json_object *v;

    return json_object_object_get_ex(drive, key, &v) && v ? json_object_get_string(v) : NULL;
}

/* Words of cache= -> what they say. */
static const struct {
    const char *name;
    bool writethrough, direct, no_flush;
} caches[] = {
    {"writeback", false, false, false}, {"writethrough", true, false, false}, {"none", false, true, false},
    {"directsync", true, true, false},  {"unsafe", false, false, true},
};

static bool apply_cache(const char *cache, BlockOpen *how, bool *writethrough, Error **errp)
{
    for (unsigned i = 0; cache && i < G_N_ELEMENTS(caches); i++) {
        if (!strcmp(cache, caches[i].name)) {
            how->direct = caches[i].direct;
            how->no_flush = caches[i].no_flush;
            *writethrough = caches[i].writethrough;
            return true;
        }
    }
    return !cache || error_set(errp, "invalid cache option");
}

bool block_cache_mode(const char *cache, BlockOpen *how, bool *writethrough)
{
    return apply_cache(cache, how, writethrough, NULL);
}

static bool apply_discard(const char *discard, BlockOpen *how, Error **errp)
{
    bool on = discard && (!strcmp(discard, "unmap") || !strcmp(discard, "on"));

    how->unmap = on;
    return !discard || on || !strcmp(discard, "ignore") || !strcmp(discard, "off") || error_set(errp, "Invalid discard option");
}

static bool apply_readonly(const char *readonly, bool cdrom, BlockOpen *how, Error **errp)
{
    how->read_only = cdrom;
    return !readonly || qbool_parse(readonly, &how->read_only) ||
           error_set(errp, "Parameter 'read-only' expects 'on' or 'off'");
}

static bool apply_snapshot(const char *text, bool *snapshot, Error **errp)
{
    return !text || qbool_parse(text, snapshot) || error_set(errp, "Parameter 'snapshot' expects 'on' or 'off'");
}

BlockDev *blockdev_new_from_drive(BlockContext *ctx, const char *id, struct json_object *drive, Error **errp)
{
    const char *file = text_of(drive, "file"), *media = text_of(drive, "media"), *format = text_of(drive, "format");
    bool cdrom = media && !strcmp(media, "cdrom"), writethrough = false;
    BlockOpen how = {0};
    bool snapshot = false;

    if (media && !cdrom && strcmp(media, "disk")) {
        error_set(errp, "'%s' invalid media", media);
        return NULL;
    }
    if (!apply_readonly(text_of(drive, "readonly"), cdrom, &how, errp) ||
        !apply_cache(text_of(drive, "cache"), &how, &writethrough, errp) ||
        !apply_discard(text_of(drive, "discard"), &how, errp) || !apply_snapshot(text_of(drive, "snapshot"), &snapshot, errp) ||
        !file || !*file) {
        return NULL;
    }
    return blockdev_new(ctx, id, &(BlockdevNew){.filename = file, .format = format, .how = &how, .writethrough = writethrough,
                                                .drive = true, .snapshot = snapshot && !how.read_only}, errp);
}
