/* -drive's words about an image. The contract is in block/block.h; words and texts are QEMU 10.0's. */
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <json-c/json.h>
#include <string.h>
#include <unistd.h>

#include "block/block.h"

static const char *text_of(struct json_object *drive, const char *key)
{
    struct json_object *v;

    return json_object_object_get_ex(drive, key, &v) && v ? json_object_get_string(v) : NULL;
}

/* Formats that this program must not take for raw when nobody said what the image is: -> their first bytes. */
static const struct {
    const char *name;
    unsigned len;
    const char *magic;
} formats[] = {
    {"qcow2", 4, "QFI\xfb"}, {"qed", 4, "QED\0"}, {"vmdk", 4, "KDMV"}, {"vhdx", 8, "vhdxfile"}, {"vpc", 8, "conectix"},
    {"luks", 6, "LUKS\xba\xbe"}, {"parallels", 16, "WithoutFreeSpace"}, {"vdi", 4, "<<< "},
};

static bool check_format(const char *file, const char *format, Error **errp)
{
    char head[16] = {0};
    int fd;

    if (format) {
        return !strcmp(format, "raw") || error_set(errp, "Unknown driver '%s'", format);
    }
    fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return true; /* opening it says why */
    }
    for (ssize_t n = read(fd, head, sizeof(head)); n < 0 && errno == EINTR; n = read(fd, head, sizeof(head))) {
    }
    close(fd);
    for (unsigned i = 0; i < G_N_ELEMENTS(formats); i++) {
        if (!memcmp(head, formats[i].magic, formats[i].len)) {
            error_set(errp, "'%s' is an image of format %s, which is not supported yet", file, formats[i].name);
            return error_hint(errp, "format=raw takes its bytes as they are");
        }
    }
    return true;
}

static void set_bool(struct json_object *props, const char *key, bool v)
{
    json_object_object_add(props, key, json_object_new_boolean(v));
}

static bool apply_cache(struct json_object *props, const char *cache, Error **errp)
{
    if (!cache || !strcmp(cache, "writeback")) {
        return true;
    }
    if (!strcmp(cache, "writethrough")) {
        set_bool(props, "writethrough", true);
        return true;
    }
    if (!strcmp(cache, "unsafe")) {
        set_bool(props, "no-flush", true);
        return true;
    }
    if (!strcmp(cache, "none") || !strcmp(cache, "directsync")) {
        return error_set(errp, "cache=%s is not supported yet", cache);
    }
    return error_set(errp, "invalid cache option");
}

BlockDev *blockdev_new_from_drive(BlockContext *ctx, const char *id, struct json_object *drive, Error **errp)
{
    const char *file = text_of(drive, "file"), *media = text_of(drive, "media"), *readonly = text_of(drive, "readonly");
    bool cdrom = media && !strcmp(media, "cdrom");
    struct json_object *props;
    BlockDev *b = NULL;

    if (media && !cdrom && strcmp(media, "disk")) {
        error_set(errp, "'%s' invalid media", media);
        return NULL;
    }
    if (!file || !*file || !check_format(file, text_of(drive, "format"), errp)) {
        return NULL;
    }
    props = json_object_new_object();
    json_object_object_add(props, "filename", json_object_new_string(file));
    if (readonly) {
        json_object_object_add(props, "read-only", json_object_new_string(readonly));
    } else if (cdrom) {
        set_bool(props, "read-only", true);
    }
    if (apply_cache(props, text_of(drive, "cache"), errp)) {
        b = blockdev_new(ctx, id, "file", props, true, errp);
    }
    json_object_put(props);
    return b;
}
