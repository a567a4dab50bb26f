/* qemu-img info, check, map, measure. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "qapi/json.h"
#include "tools/img.h"

/* ---- info ---- */

static struct json_object *json_u64(uint64_t v)
{
    return json_object_new_uint64(v);
}

static struct json_object *snapshots_json(BlockNode *n)
{
    unsigned num;
    g_autofree BlockSnapshot *all = n->drv->snapshots(n, &num);
    struct json_object *list = num ? json_object_new_array() : NULL;

    for (unsigned i = 0; i < num; i++) {
        struct json_object *j = json_object_new_object();

        if (all[i].icount != UINT64_MAX) {
            qjson_add(j, "icount", json_u64(all[i].icount));
        }
        qjson_add(j, "vm-clock-nsec", json_u64(all[i].vm_clock_ns % 1000000000));
        qjson_add(j, "name", json_object_new_string(all[i].name));
        qjson_add(j, "date-sec", json_u64(all[i].date_sec));
        qjson_add(j, "date-nsec", json_u64(all[i].date_nsec));
        qjson_add(j, "vm-clock-sec", json_u64(all[i].vm_clock_ns / 1000000000));
        qjson_add(j, "id", json_object_new_string(all[i].id));
        qjson_add(j, "vm-state-size", json_u64(all[i].vm_state_size));
        json_object_array_add(list, j);
    }
    return list;
}

static void add_backing(struct json_object *j, BlockNode *n)
{
    char *file = NULL, *format = NULL;

    if (n->drv->backing_name) {
        n->drv->backing_name(n, &file, &format);
    }
    if (file) {
        g_autofree char *full = block_path_beside(node_filename(n), file);

        qjson_add(j, "full-backing-filename", json_object_new_string(full));
        qjson_add(j, "backing-filename", json_object_new_string(file));
    }
    if (format) {
        qjson_add(j, "backing-filename-format", json_object_new_string(format));
    }
    g_free(file);
    g_free(format);
}

static struct json_object *CO_FN info_json(BlockNode *n);

static struct json_object *CO_FN children_json(BlockNode *n)
{
    struct json_object *list = json_object_new_array();

    list_foreach (BlockChild, c, &n->children, of_parent) {
        if (c != n->backing) {
            struct json_object *j = json_object_new_object();

            qjson_add(j, "name", json_object_new_string(c->name));
            json_object_array_add(list, qjson_add(j, "info", info_json(c->node)));
        }
    }
    return list;
}

static struct json_object *CO_FN info_json(BlockNode *n)
{
    struct json_object *j = json_object_new_object(), *snapshots = n->drv->snapshots ? snapshots_json(n) : NULL;
    uint64_t size = node_allocated_size(n);
    bool dirty = false, corrupt, compressed;

    qjson_add(j, "children", children_json(n));
    if (snapshots) {
        qjson_add(j, "snapshots", snapshots);
    }
    qjson_add(j, "virtual-size", json_u64(node_length(n)));
    qjson_add(j, "filename", json_object_new_string(node_filename(n)));
    if (n->drv->cluster_size) {
        qjson_add(j, "cluster-size", json_u64(n->drv->cluster_size(n)));
    }
    qjson_add(j, "format", json_object_new_string(node_driver_name(n)));
    if (size != UINT64_MAX) {
        qjson_add(j, "actual-size", json_u64(size));
    }
    if (n->drv->format_info || n->drv->id == BLOCKDEV_DRIVER_FILE) {
        struct json_object *f = json_object_new_object();

        qjson_add(f, "type", json_object_new_string(node_driver_name(n)));
        qjson_add(f, "data", n->drv->format_info ? n->drv->format_info(n) : json_object_new_object());
        qjson_add(j, "format-specific", f);
    }
    add_backing(j, n);
    if (n->drv->flags) {
        n->drv->flags(n, &dirty, &corrupt, &compressed);
    }
    return qjson_add(j, "dirty-flag", json_object_new_boolean(dirty));
}

static const char *member(struct json_object *j, const char *key)
{
    struct json_object *v;

    return json_object_object_get_ex(j, key, &v) ? json_object_get_string(v) : NULL;
}

static uint64_t number(struct json_object *j, const char *key)
{
    return json_object_get_uint64(json_object_object_get(j, key));
}

static void print_size(unsigned indent, const char *what, uint64_t v, bool bytes)
{
    char text[SIZE_TEXT_MAX];

    printf("%*s%s: %s", indent, "", what, size_to_text(v, text));
    printf(bytes ? " (%" PRIu64 " bytes)\n" : "\n", v);
}

static void print_specific(struct json_object *j)
{
    struct json_object *f = json_object_object_get(j, "format-specific"), *data = f ? json_object_object_get(f, "data") : NULL;

    if (!data || !json_object_object_length(data)) {
        return;
    }
    puts("Format specific information:");
    json_object_object_foreach (data, key, v) {
        g_autofree char *name = g_strdelimit(g_strdup(key), "-", ' ');

        printf("    %s: %s\n", name, json_object_get_string(v));
    }
}

static void print_children(struct json_object *j, const char *path, unsigned indent)
{
    struct json_object *list = json_object_object_get(j, "children");

    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *c = json_object_array_get_idx(list, i), *info = json_object_object_get(c, "info");
        g_autofree char *at = g_strdup_printf("%s/%s", path, member(c, "name"));

        printf("%*sChild node '%s':\n%*sfilename: %s\n%*sprotocol type: %s\n", indent, "", at, indent + 4, "", member(info, "filename"),
               indent + 4, "", member(info, "format"));
        print_size(indent + 4, "file length", number(info, "virtual-size"), true);
        if (member(info, "actual-size")) {
            print_size(indent + 4, "disk size", number(info, "actual-size"), false);
        }
        print_children(info, at, indent + 4);
    }
}

static void print_info(struct json_object *j, BlockNode *n)
{
    const char *backing = member(j, "backing-filename"), *full = member(j, "full-backing-filename");

    printf("image: %s\nfile format: %s\n", member(j, "filename"), member(j, "format"));
    print_size(0, "virtual size", number(j, "virtual-size"), true);
    if (member(j, "actual-size")) {
        print_size(0, "disk size", number(j, "actual-size"), false);
    } else {
        puts("disk size: unavailable");
    }
    if (member(j, "cluster-size")) {
        printf("cluster_size: %s\n", member(j, "cluster-size"));
    }
    if (!strcmp(member(j, "dirty-flag"), "true")) {
        puts("cleanly shut down: no");
    }
    if (backing) {
        printf("backing file: %s", backing);
        printf(strcmp(backing, full) ? " (actual path: %s)\n" : "\n", full);
    }
    if (member(j, "backing-filename-format")) {
        printf("backing file format: %s\n", member(j, "backing-filename-format"));
    }
    if (json_object_object_get(j, "snapshots")) {
        unsigned num;
        g_autofree BlockSnapshot *all = n->drv->snapshots(n, &num);

        img_print_snapshots(all, num, 0);
    }
    print_specific(j);
    print_children(j, "", 0);
}

/* Prints node n, or adds it to list. */
static void CO_FN tell_node(BlockNode *n, bool json, struct json_object *list, bool is_first)
{
    struct json_object *j = info_json(n);

    if (json) {
        json_object_array_add(list, j);
        return;
    }
    if (!is_first) {
        puts("");
    }
    print_info(j, n);
    json_object_put(j);
}

int CO_FN img_info(Img *img)
{
    bool chain = given(img, OPT_BACKING_CHAIN), json;
    BlockOpen how = {.read_only = true, .no_backing = !chain, .no_io = !chain, .force_share = given(img, 'U')};
    struct json_object *list;
    Error *err = NULL;
    Image image;

    if (img->num_args != 1) {
        return img_fail("Expecting one image file name");
    }
    if (!img_wants_json(img, &json, &err) || !img_open(img, img->args[0], img->value['f'], &how, PERM_READ, &image, &err)) {
        return img_error(err);
    }
    list = json_object_new_array();
    for (BlockNode *n = image.node; n; n = chain ? node_backing(n) : NULL) {
        tell_node(n, json, list, n == image.node);
    }
    if (json) {
        img_print_json(json_object_get(chain ? list : json_object_array_get_idx(list, 0)));
    }
    json_object_put(list);
    img_close(&image);
    return 0;
}

/* ---- check ---- */

static void print_line(void *opaque, const char *line)
{
    fprintf(stderr, "%s\n", line);
}

static void print_result(const BlockCheck *c)
{
    if (!c->corruptions && !c->leaks && !c->check_errors) {
        puts("No errors were found on the image.");
    }
    if (c->corruptions) {
        printf("\n%" PRIu64 " errors were found on the image.\nData may be corrupted, or further writes to the image may corrupt it.\n",
               c->corruptions);
    }
    if (c->leaks) {
        printf("\n%" PRIu64 " leaked clusters were found on the image.\nThis means waste of disk space, but no harm to data.\n", c->leaks);
    }
    if (c->check_errors) {
        printf("\n%" PRIu64 " internal errors have occurred during the check.\n", c->check_errors);
    }
    if (c->total_clusters && c->allocated_clusters) {
        printf("%" PRIu64 "/%" PRIu64 " = %0.2f%% allocated, %0.2f%% fragmented, %0.2f%% compressed clusters\n", c->allocated_clusters,
               c->total_clusters, c->allocated_clusters * 100.0 / c->total_clusters,
               c->fragmented_clusters * 100.0 / c->allocated_clusters, c->compressed_clusters * 100.0 / c->allocated_clusters);
    }
    if (c->image_end) {
        printf("Image end offset: %" PRIu64 "\n", c->image_end);
    }
}

static void print_result_json(const BlockCheck *c, const char *name, const char *format)
{
    struct json_object *j = json_object_new_object();
    const struct {
        const char *name;
        uint64_t v;
        bool always;
    } fields[] = {
        {"image-end-offset", c->image_end, false}, {"total-clusters", c->total_clusters, false}, {"check-errors", c->check_errors, true},
        {"corruptions", c->corruptions, false}, {"corruptions-fixed", c->corruptions_fixed, false}, {"leaks", c->leaks, false},
        {"leaks-fixed", c->leaks_fixed, false}, {"allocated-clusters", c->allocated_clusters, false},
        {"fragmented-clusters", c->fragmented_clusters, false}, {"compressed-clusters", c->compressed_clusters, false},
    };

    for (unsigned i = 0; i < ARRAY_SIZE(fields); i++) {
        if (fields[i].always || fields[i].v) {
            qjson_add(j, fields[i].name, json_u64(fields[i].v));
        }
    }
    qjson_add(j, "filename", json_object_new_string(name));
    img_print_json(qjson_add(j, "format", json_object_new_string(format)));
}

static int CO_FN check_image(Img *img, BlockNode *n, bool json, unsigned fix)
{
    bool quiet = given(img, 'q');
    BlockCheck c = {.tell = json || quiet ? NULL : print_line}, again;
    Error *err = NULL;

    if (!n->drv->check) {
        img_fail("This image format does not support checks");
        return 63;
    }
    if (!n->drv->check(n, &c, fix, &err)) {
        return img_error(err);
    }
    if (c.corruptions_fixed || c.leaks_fixed) {
        if (!json && !quiet) {
            printf("The following inconsistencies were found and repaired:\n\n    %" PRIu64 " leaked clusters\n    %" PRIu64
                   " corruptions\n\nDouble checking the fixed image now...\n", c.leaks_fixed, c.corruptions_fixed);
        }
        again = (BlockCheck){.tell = c.tell};
        if (!n->drv->check(n, &again, 0, &err)) {
            return img_error(err);
        }
        again.leaks_fixed = c.leaks_fixed;
        again.corruptions_fixed = c.corruptions_fixed;
        c = again;
    }
    fflush(stderr);
    if (json) {
        print_result_json(&c, img->args[0], node_driver_name(n));
    } else if (!quiet) {
        print_result(&c);
    }
    return c.check_errors ? 1 : c.corruptions ? 2 : c.leaks ? 3 : 0;
}

int CO_FN img_check(Img *img)
{
    const char *r = img->value['r'];
    unsigned fix = !r ? 0 : !strcmp(r, "leaks") ? CHECK_FIX_LEAKS : !strcmp(r, "all") ? CHECK_FIX_LEAKS | CHECK_FIX_ERRORS : 4;
    BlockOpen how = {.read_only = !r, .to_repair = true, .no_backing = true};
    Error *err = NULL;
    Image image;
    bool json;
    int result;

    if (img->num_args != 1) {
        return img_fail("Expecting one image file name");
    }
    if (fix == 4) {
        return img_fail("--repair (-r) expects 'leaks' or 'all' not '%s'", r);
    }
    if (!img_wants_json(img, &json, &err) || !img_cache(img, 'T', "writeback", &how, &err) ||
        !img_open(img, img->args[0], img->value['f'], &how, PERM_READ | (r ? PERM_WRITE : 0), &image, &err)) {
        return img_error(err);
    }
    result = check_image(img, image.node, json, fix);
    img_close(&image);
    return result;
}

/* ---- map ---- */

typedef struct {
    uint64_t start, len, map;
    unsigned depth, flags;
    BlockNode *file;
} Entry;

static int print_entry(const Entry *e, bool json, bool is_last)
{
    if (!json) {
        if (e->flags & ST_DATA && !(e->flags & ST_OFFSET)) {
            return img_fail("File contains external, encrypted or compressed clusters.");
        }
        if ((e->flags & (ST_DATA | ST_ZERO)) == ST_DATA) {
            printf("%#-16" PRIx64 "%#-16" PRIx64 "%#-16" PRIx64 "%s\n", e->start, e->len, e->flags & ST_OFFSET ? e->map : 0,
                   e->file ? node_filename(e->file) : "");
        }
        return 0;
    }
    printf("%s{ \"start\": %" PRIu64 ", \"length\": %" PRIu64 ", \"depth\": %u, \"present\": %s, \"zero\": %s, \"data\": %s, "
           "\"compressed\": %s", e->start ? "" : "", e->start, e->len, e->depth, e->flags & ST_ALLOCATED ? "true" : "false",
           e->flags & ST_ZERO ? "true" : "false", e->flags & ST_DATA ? "true" : "false", e->flags & ST_COMPRESSED ? "true" : "false");
    if (e->flags & ST_OFFSET) {
        printf(", \"offset\": %" PRIu64, e->map);
    }
    puts(is_last ? "}]" : "},");
    return 0;
}

static bool is_continued(const Entry *e, const Entry *n)
{
    return e->len && e->flags == n->flags && e->depth == n->depth && e->file == n->file &&
           (!(e->flags & ST_OFFSET) || e->map + e->len == n->map);
}

static int CO_FN map_image(BlockNode *n, uint64_t at, uint64_t end, bool json)
{
    Entry cur = {0};

    puts(json ? "" : "Offset          Length          Mapped to       File");
    while (at < end) {
        BlockStatus st;
        Entry next;
        int r = node_status_chain(n, NULL, at, end - at, &st);

        if (r < 0) {
            return img_fail("Failed to read image metadata: %s", strerror(-r));
        }
        next = (Entry){at, st.len, st.map, st.depth, st.flags & ~ST_RECURSE, st.flags & ST_OFFSET ? st.file : NULL};
        at += st.len;
        if (is_continued(&cur, &next)) {
            cur.len += next.len;
            continue;
        }
        if (cur.len && print_entry(&cur, json, false)) {
            return 1;
        }
        cur = next;
    }
    return cur.len ? print_entry(&cur, json, true) : 0;
}

int CO_FN img_map(Img *img)
{
    const char *start = given(img, 's') ? img->value['s'] : img->value[OPT_START_OFFSET];
    const char *max = given(img, 'l') ? img->value['l'] : img->value[OPT_MAX_LENGTH];
    BlockOpen how = {.read_only = true, .force_share = given(img, 'U')};
    uint64_t from = 0, len = UINT64_MAX, end;
    Error *err = NULL;
    Image image;
    bool json;
    int result;

    if (img->num_args != 1) {
        return img_fail("Expecting one image file name");
    }
    if (!img_wants_json(img, &json, &err) || (start && !img_size("start offset", start, &from, &err)) ||
        (max && !img_size("max length", max, &len, &err)) ||
        !img_open(img, img->args[0], img->value['f'], &how, PERM_READ, &image, &err)) {
        return img_error(err);
    }
    end = node_length(image.node);
    end = from < end && len < end - from ? from + len : end;
    if (json) {
        putchar('[');
    }
    result = map_image(image.node, from, end, json);
    img_close(&image);
    return result;
}

/* ---- measure ---- */

typedef struct {
    uint64_t required, full;
} Measured;

/* Bytes of a qcow2 image with `data` bytes of guest data in whole clusters. */
static uint64_t qcow2_bytes(const BlockCreate *c, uint64_t data)
{
    uint64_t cluster = c->cluster_size ? c->cluster_size : 65536, entry = c->extended_l2 ? 16 : 8;
    uint64_t l2 = div_round_up(c->size, cluster) * entry, l1 = div_round_up(l2, cluster) * 8, blocks = 0, table = 0, before;
    uint64_t bits = c->refcount_bits ? c->refcount_bits : 16, clusters;

    clusters = 1 + div_round_up(l2, cluster) + div_round_up(l1, cluster) + div_round_up(data, cluster);
    do { /* the counts are counted too */
        before = blocks + table;
        blocks = div_round_up((clusters + before) * bits, cluster * 8);
        table = div_round_up(blocks * 8, cluster);
    } while (blocks + table != before);
    return (clusters + before) * cluster;
}

static int CO_FN count_data(BlockNode *n, uint64_t cluster, uint64_t *data)
{
    uint64_t counted = 0, length = node_length(n);
    int r = 0;

    *data = 0;
    for (uint64_t at = 0; !r && at < length;) {
        BlockStatus st;

        r = node_status_chain(n, NULL, at, length - at, &st);
        if (!r && st.flags & ST_DATA && !(st.flags & ST_ZERO)) {
            uint64_t from = max_of(counted, round_down(at, cluster)), to = round_up(at + st.len, cluster);

            *data += to > from ? to - from : 0;
            counted = max_of(counted, to);
        }
        at += st.len;
    }
    return r;
}

static bool CO_FN measure(Img *img, const char *format, ImgCreate *c, Measured *m, Error **errp)
{
    BlockOpen how = {.read_only = true, .force_share = given(img, 'U')};
    uint64_t cluster = c->c.cluster_size ? c->c.cluster_size : 65536, data = 0;
    bool raw = !strcmp(format, "raw");
    Image image;
    int r;

    if (given(img, OPT_SIZE)) {
        if (!img_size("--size", img->value[OPT_SIZE], &c->c.size, errp)) {
            return false;
        }
    } else {
        if (!img_open(img, img->args[0], img->value['f'], &how, PERM_READ, &image, errp)) {
            return false;
        }
        c->c.size = node_length(image.node);
        r = count_data(image.node, cluster, &data);
        img_close(&image);
        if (r) {
            return error_set_errno(errp, -r, "Failed to read image metadata");
        }
    }
    c->c.size = round_up(c->c.size, 512);
    m->full = raw ? c->c.size : qcow2_bytes(&c->c, round_up(c->c.size, cluster));
    m->required = raw ? c->c.size : m->full - round_up(c->c.size, cluster) + data; /* the tables are those of a full image */
    return true;
}

int CO_FN img_measure(Img *img)
{
    const char *format = given(img, 'O') ? img->value['O'] : "raw";
    bool json, is_qcow2 = !strcmp(format, "qcow2");
    Error *err = NULL;
    Measured m = {0};
    ImgCreate c;

    if (img->num_args != !given(img, OPT_SIZE)) {
        return img_fail(given(img, OPT_SIZE) ? "--size N cannot be used together with a filename"
                                             : "Either --size N or one filename must be specified");
    }
    if (given(img, 'l')) {
        return img_fail("-l is not here yet");
    }
    if (!is_qcow2 && strcmp(format, "raw")) {
        return img_fail("Format driver '%s' does not support measuring", format);
    }
    if (!img_wants_json(img, &json, &err) || !img_create_options(img, format, &c, &err)) {
        return img_error(err);
    }
    if (measure(img, format, &c, &m, &err)) {
        if (json) {
            struct json_object *j = json_object_new_object();

            qjson_add(j, "required", json_u64(m.required));
            img_print_json(qjson_add(j, "fully-allocated", json_u64(m.full)));
        } else {
            printf("required size: %" PRIu64 "\nfully allocated size: %" PRIu64 "\n", m.required, m.full);
        }
    }
    img_create_finish(&c);
    return err ? img_error(err) : 0;
}
