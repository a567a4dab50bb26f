/* qemu-img: commands, options, images. */
#include "tools/img.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "qapi/buf.h"
#include "qapi/json.h"
#include "qapi/keyval.h"
#include "util/rcu.h"
#include "util/version.h"

/* ---- Commands: the one list; help is made from it ---- */

const ImgCommand img_commands[] = {
    {"bench", "hc:d:f:no:qs:S:t:i:wU", "[-c count] [-d depth] [-f fmt] [--flush-interval=n] [-i aio] [-n] [--no-drain] [-o offset] "
     "[--pattern=byte] [-q] [-s size] [-S step] [-t cache] [-w] [-U] FILE", "measures requests", img_bench},
    {"check", "hf:r:T:qU", "[--image-opts] [-q] [-f fmt] [--output=human|json] [-r leaks|all] [-T cache] [-U] FILE",
     "looks for damage, and repairs it", img_check},
    {"commit", "hf:t:b:dpqr:", "[--image-opts] [-q] [-f fmt] [-t cache] [-b base] [-d] [-p] FILE", "writes an image into what lies below",
     img_commit},
    {"compare", "hf:F:T:pqsU", "[--image-opts] [-f fmt] [-F fmt] [-T cache] [-p] [-q] [-s] [-U] FILE1 FILE2", "compares contents", img_compare},
    {"convert", "hf:O:B:CcF:o:l:S:pt:T:qnm:WUr:", "[--image-opts] [--target-image-opts] [--target-is-zero] [-U] [-C] [-c] [-p] [-q] [-n] [-f fmt] "
     "[-t cache] [-T cache] [-O fmt] [-B backing [-F fmt]] [-o options] [-l snapshot] [-S size] [-m num] [-W] FILE... TARGET",
     "copies into a new image", img_convert},
    {"create", "hF:b:f:o:qu", "[-q] [-f fmt] [-b backing [-F fmt]] [-u] [-o options] FILE [SIZE]", "makes an image", img_create},
    {"dd", "hf:O:U", "[--image-opts] [-U] [-f fmt] [-O fmt] [bs=size] [count=blocks] [skip=blocks] if=input of=output", "copies a part",
     img_dd},
    {"info", "hf:U", "[--image-opts] [-f fmt] [--output=human|json] [--backing-chain] [-U] FILE", "tells about an image", img_info},
    {"map", "hf:s:l:U", "[--image-opts] [-f fmt] [--start-offset=n] [--max-length=n] [--output=human|json] [-U] FILE",
     "tells where data is", img_map},
    {"measure", "hf:l:o:O:U", "[--output=human|json] [-O fmt] [-o options] [--size n | [--image-opts] [-f fmt] [-l snapshot] FILE]",
     "tells how large an image would be", img_measure},
    {"rebase", "hf:F:b:upt:T:qUB:c", "[--image-opts] [-U] [-q] [-f fmt] [-t cache] [-T cache] [-p] [-u] -b backing [-F fmt] FILE",
     "changes what lies below", img_rebase},
    {"resize", "f:qh", "[--image-opts] [-f fmt] [--preallocation=off] [-q] [--shrink] FILE [+|-]SIZE", "changes the size", img_resize},
    {"snapshot", "la:c:d:hqUf:", "[--image-opts] [-U] [-q] [-l | -a snapshot | -c snapshot | -d snapshot] FILE", "snapshots in an image",
     img_snapshot},
};
const unsigned img_num_commands = ARRAY_SIZE(img_commands);

static const struct option longs[] = {
    {"help", no_argument, NULL, 'h'}, {"image-opts", no_argument, NULL, OPT_IMAGE_OPTS},
    {"target-image-opts", no_argument, NULL, OPT_TARGET_IMAGE_OPTS}, {"output", required_argument, NULL, OPT_OUTPUT},
    {"backing-chain", no_argument, NULL, OPT_BACKING_CHAIN}, {"force-share", no_argument, NULL, 'U'},
    {"shrink", no_argument, NULL, OPT_SHRINK}, {"preallocation", required_argument, NULL, OPT_PREALLOCATION},
    {"size", required_argument, NULL, OPT_SIZE}, {"target-is-zero", no_argument, NULL, OPT_TARGET_IS_ZERO},
    {"start-offset", required_argument, NULL, OPT_START_OFFSET}, {"max-length", required_argument, NULL, OPT_MAX_LENGTH},
    {"flush-interval", required_argument, NULL, OPT_FLUSH_INTERVAL}, {"no-drain", no_argument, NULL, OPT_NO_DRAIN},
    {"pattern", required_argument, NULL, OPT_PATTERN}, {"format", required_argument, NULL, 'f'},
    {"repair", required_argument, NULL, 'r'}, {"backing", required_argument, NULL, 'b'}, {"backing-format", required_argument, NULL, 'F'},
    {"quiet", no_argument, NULL, 'q'}, {"progress", no_argument, NULL, 'p'}, {0},
};

/* ---- Telling ---- */

int img_error(Error *err)
{
    fflush(stdout);
    fprintf(stderr, "qemu-img: %s\n", error_message(err));
    if (error_hint_text(err)) {
        fprintf(stderr, "%s\n", error_hint_text(err));
    }
    error_free(err);
    return 1;
}

int img_fail(const char *fmt, ...)
{
    va_list ap;

    fflush(stdout);
    fputs("qemu-img: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    return 1;
}

void img_print_json(struct json_object *j)
{
    char *text = qjson_text(j, true);

    puts(text);
    free(text);
    json_object_put(j);
}

void img_progress(Img *img, double percent)
{
    if (given(img, 'p') && !given(img, 'q')) {
        printf("    (%.2f/100%%)\r", percent);
        fflush(stdout);
    }
}

/* ---- Values ---- */

bool img_size(const char *what, const char *text, uint64_t *out, Error **errp)
{
    return parse_size(what, text, 'B', out, errp);
}

bool img_uint(const char *what, const char *text, uint64_t max, uint64_t *out, Error **errp)
{
    return parse_uint(what, text, max, out, errp);
}

bool img_wants_json(Img *img, bool *json, Error **errp)
{
    const char *v = img->value[OPT_OUTPUT];

    *json = v && !strcmp(v, "json");
    return !v || *json || !strcmp(v, "human") || error_set(errp, "--output must be used with human or json as argument.");
}

bool img_cache(Img *img, int option, const char *def, BlockOpen *how, Error **errp)
{
    const char *v = img->value[option] ? img->value[option] : def;
    bool writethrough;

    how->force_share = given(img, 'U');
    return block_cache_mode(v, how, &writethrough) || error_set(errp, "Invalid cache option: %s", v);
}

/* ---- Images ---- */

static bool CO_FN use_image(BlockNode *n, unsigned perm, Image *out, Error **errp)
{
    out->node = n;
    out->use = n ? node_use(n, NULL, "qemu-img", perm, PERM_ALL, errp) : NULL;
    if (n && !out->use) {
        node_unref(n);
        out->node = NULL;
    }
    return out->use;
}

bool CO_FN img_open_opts(Img *img, const char *text, const BlockOpen *how, unsigned perm, Image *out, Error **errp)
{
    QKeyval kv = {0};
    struct json_object *j = NULL;
    BlockNode *n = NULL;

    if (qkeyval_parse(&kv, text, NULL, &qtype_BlockdevOptions, text, errp)) {
        j = qkeyval_to_json(&kv, &qtype_BlockdevOptions, errp);
    }
    qkeyval_finish(&kv);
    n = j ? block_open_loose(img->ctx, j, true, how, errp) : NULL;
    json_object_put(j);
    return use_image(n, perm, out, errp) || error_prepend(errp, "Could not open '%s': ", text);
}

bool CO_FN img_open(Img *img, const char *name, const char *format, const BlockOpen *how, unsigned perm, Image *out, Error **errp)
{
    BlockNode *n;

    *out = (Image){0};
    if (given(img, OPT_IMAGE_OPTS)) {
        return format ? error_set(errp, "--image-opts and --format are mutually exclusive")
                      : img_open_opts(img, name, how, perm, out, errp);
    }
    n = block_open_file(img->ctx, name, format, how, errp);
    return use_image(n, perm, out, errp) || error_prepend(errp, "Could not open '%s': ", name);
}

void CO_FN img_close(Image *image)
{
    node_unuse(image->use);
    node_unref(image->node);
    *image = (Image){0};
}

/* ---- Main ---- */

static void print_version(void)
{
    printf(VERSION_LINE_TOOL_FMT "\n", "qemu-img");
}

static int help(void)
{
    print_version();
    puts("usage: qemu-img [standard options] command [command options]\nQEMU disk image utility\n\n"
         "    '-h', '--help'       display this help and exit\n    '-V', '--version'    output version information and exit\n\n"
         "Command syntax:");
    for (unsigned i = 0; i < img_num_commands; i++) {
        printf("  %s %s\n", img_commands[i].name, img_commands[i].synopsis);
    }
    fputs("\nSupported formats:", stdout);
    for (unsigned i = 0; i < block_num_drivers; i++) {
        printf(" %s", block_drivers[i]->name);
    }
    puts("");
    return 0;
}

static int bad_usage(const char *command)
{
    fprintf(stderr, "Try 'qemu-img %s%s--help' for more information\n", command, *command ? " " : "");
    return 1;
}

static int parse(Img *img, const ImgCommand *c, int argc, char **argv)
{
    g_autofree char *letters = g_strdup_printf(":%s", c->letters);
    int o;

    optind = 1;
    while ((o = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        if (o == ':' || o == '?') {
            fprintf(stderr, o == ':' ? "qemu-img: missing argument for option '%s'\n" : "qemu-img: unrecognized option '%s'\n",
                    argv[optind - 1]);
            return bad_usage(c->name);
        }
        if (o == 'h') {
            printf("Usage:\n  qemu-img %s %s\n\n%s\n", c->name, c->synopsis, c->help);
            return -1;
        }
        img->value[o] = optarg ? optarg : "";
        if (o == 'o') {
            g_ptr_array_add(img->o, optarg);
        }
    }
    img->args = argv + optind;
    img->num_args = argc - optind;
    return 0;
}

static const ImgCommand *command_named(const char *name)
{
    for (unsigned i = 0; i < img_num_commands; i++) {
        if (!strcmp(img_commands[i].name, name)) {
            return &img_commands[i];
        }
    }
    return NULL;
}

typedef struct {
    Img *img;
    const ImgCommand *command;
} Main;

static void CO_FN run_command(void *opaque)
{
    Main *m = opaque;

    m->img->result = m->command->run(m->img);
}

static int run(const ImgCommand *c, int argc, char **argv)
{
    Img img = {.command = c->name, .o = g_ptr_array_new()};
    Main m = {&img, c};
    Loop *loop;

    img.result = parse(&img, c, argc, argv);
    if (!img.result) {
        loop = loop_new("main", NULL);
        img.ctx = block_context_new_here(loop);
        setvbuf(stdout, NULL, _IOFBF, 65536);
        block_run(img.ctx, run_command, &m);
        block_context_free(img.ctx);
        loop_free(loop);
    }
    g_ptr_array_free(img.o, TRUE);
    return max_of(img.result, 0);
}

int main(int argc, char **argv)
{
    const ImgCommand *c;
    const char *name = argc > 1 ? argv[1] : "";

    rcu_thread_register();
    if (argc < 2) {
        img_fail("Not enough arguments");
        return bad_usage("");
    }
    if (!strcmp(name, "-h") || !strcmp(name, "--help")) {
        return help();
    }
    if (!strcmp(name, "-V") || !strcmp(name, "--version")) {
        print_version();
        return 0;
    }
    c = command_named(name);
    if (!c) {
        img_fail("Command not found: %s", name);
        return bad_usage("");
    }
    return run(c, argc - 1, argv + 1);
}
