/*
 * qemu-img: what its subcommands share. Each is a coroutine of one context without threads for I/O; its options are looked up
 * by their letter (long-only ones have codes of their own). What a command prints is QEMU 10.0's.
 */
#ifndef TOOLS_IMG_H
#define TOOLS_IMG_H

#include <glib.h>
#include <json-c/json.h>

#include "block/driver.h"

enum { /* options without a letter */
    OPT_IMAGE_OPTS = 128, OPT_TARGET_IMAGE_OPTS, OPT_OUTPUT, OPT_BACKING_CHAIN, OPT_OBJECT, OPT_SHRINK, OPT_PREALLOCATION,
    OPT_SIZE, OPT_TARGET_IS_ZERO, OPT_START_OFFSET, OPT_MAX_LENGTH, OPT_FLUSH_INTERVAL, OPT_NO_DRAIN, OPT_PATTERN, OPT_SALVAGE,
    OPT_BITMAPS, OPT_SKIP_BROKEN, OPT_HELP, OPT_NUM,
};

typedef struct Img {
    BlockContext *ctx;
    const char *command;
    const char *value[OPT_NUM];  /* last given; "" for those without argument; NULL: not given */
    GPtrArray *o;                /* all -o, in order */
    char **args;                 /* what is no option */
    int num_args;
    int result;                  /* exit status */
} Img;

typedef struct {
    const char *name, *letters;  /* getopt's */
    const char *synopsis, *help; /* of --help */
    int (*run)(Img *img);        /* exit status */
} ImgCommand;

extern const ImgCommand img_commands[];
extern const unsigned img_num_commands;

static inline bool given(const Img *img, int option)
{
    return img->value[option];
}

/* "qemu-img: TEXT", and a hint. Frees err. Returns 1, the exit status. */
int img_error(Error *err);
int img_fail(const char *fmt, ...) ERROR_PRINTF(1, 2);
/* An open image and that it is in use. */
typedef struct {
    BlockNode *node;
    BlockChild *use;
} Image;
/* By name, or by options with --image-opts. perm: PERM_*. */
bool CO_FN img_open(Img *img, const char *name, const char *format, const BlockOpen *how, unsigned perm, Image *out, Error **errp);
bool CO_FN img_open_opts(Img *img, const char *text, const BlockOpen *how, unsigned perm, Image *out, Error **errp);
void CO_FN img_close(Image *image);
/* What -t, -T, -U of this command say. */
bool img_cache(Img *img, int option, const char *def, BlockOpen *how, Error **errp);
/* Bytes: with suffix. */
bool img_size(const char *what, const char *text, uint64_t *out, Error **errp);
bool img_uint(const char *what, const char *text, uint64_t max, uint64_t *out, Error **errp);
bool img_wants_json(Img *img, bool *json, Error **errp);
void img_print_json(struct json_object *j); /* owned */
void img_progress(Img *img, double percent);

/* -o of create and convert, read as schema type ImgCreateOptions. Free by img_create_finish. */
typedef struct {
    BlockCreate c;
    bool has_size, has_encryption;
    GPtrArray *owned;
} ImgCreate;
bool img_create_options(Img *img, const char *format, ImgCreate *out, Error **errp);
void img_create_finish(ImgCreate *c);
/* Makes the file and formats it. */
bool CO_FN img_make(Img *img, const char *name, const char *format, const BlockCreate *c, Error **errp);
void img_print_formatting(const char *name, const char *format, const BlockCreate *c);

int CO_FN img_create(Img *img);
int CO_FN img_info(Img *img);
int CO_FN img_check(Img *img);
int CO_FN img_convert(Img *img);
int CO_FN img_compare(Img *img);
int CO_FN img_map(Img *img);
int CO_FN img_resize(Img *img);
int CO_FN img_commit(Img *img);
int CO_FN img_rebase(Img *img);
int CO_FN img_snapshot(Img *img);
int CO_FN img_dd(Img *img);
int CO_FN img_measure(Img *img);
int CO_FN img_bench(Img *img);
void img_print_snapshots(const BlockSnapshot *all, unsigned num, unsigned indent);

#endif
