/* See options.h. Names, arguments and help are options.json's; `bindings` says what each does and which variable stands for it. */
#include "linux-user/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qapi/introspect-item.h"
#include "qapi/introspect.h"
#include "qapi/schema.h"
#include "target/i386/models.h"
#include "util/log.h"
#include "util/units.h"
#include "util/version.h"


extern const QSchema qschema_user;

typedef bool OptionFn(UserConfig *c, const char *arg, Error **errp);

enum { DONE_HELP = 1, DONE_VERSION = 2, DONE_PRINTED = 4 };

static bool number(const char *what, const char *arg, uint64_t *out, Error **errp)
{
    char *end;

    errno = 0;
    *out = strtoull(arg, &end, 0);
    if (errno || end == arg || *end || *arg == '-') {
        return error_set(errp, "%s: '%s' is not a number", what, arg);
    }
    return true;
}

static bool opt_help(UserConfig *c, const char *arg, Error **errp)
{
    c->asked |= DONE_HELP;
    return true;
}

static bool opt_version(UserConfig *c, const char *arg, Error **errp)
{
    c->asked |= DONE_VERSION;
    return true;
}

static bool opt_gdb(UserConfig *c, const char *arg, Error **errp)
{
    c->gdb = arg;
    return true;
}

static bool opt_prefix(UserConfig *c, const char *arg, Error **errp)
{
    c->prefix = arg;
    return true;
}

static bool opt_stack(UserConfig *c, const char *arg, Error **errp)
{
    uint64_t size;
    char *end;

    errno = 0;
    size = strtoull(arg, &end, 0);
    size <<= *end == 'M' ? 20 : *end == 'k' || *end == 'K' ? 10 : 0;
    end += *end == 'M' || *end == 'k' || *end == 'K';
    if (errno || end == arg || *end || size < 65536 || size > 1ull << 40) {
        return error_set(errp, "-s: '%s' is not a size of 64k or more, in bytes or with k or M", arg);
    }
    c->stack_size = size;
    return true;
}

static bool opt_cpu(UserConfig *c, const char *arg, Error **errp)
{
    if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
        puts("Available CPUs:");
        for (unsigned n = 0; n < x86_num_models; n++) {
            printf("  %-22s  %s\n", x86_models[n].name, x86_models[n].model_id ? x86_models[n].model_id : "");
        }
        c->asked |= DONE_PRINTED;
    }
    c->cpu = arg;
    return true;
}

/* The environment is a list of our own. */
static void unset(UserConfig *c, const char *name, size_t len)
{
    char **to = c->envp;

    for (char **e = c->envp; *e; e++) {
        if (strncmp(*e, name, len) || (*e)[len] != '=') {
            *to++ = *e;
        }
    }
    *to = NULL;
}

static bool change_environment(UserConfig *c, const char *arg, bool set, Error **errp)
{
    while (*arg) {
        size_t len = strcspn(arg, ","), name = strcspn(arg, "=,");

        if (set && (name == len || !name)) {
            return error_set(errp, "-E: '%.*s' is not VARIABLE=VALUE", (int)len, arg);
        }
        if (!set && (name != len || !name)) {
            return error_set(errp, "-U: '%.*s' is not the name of a variable", (int)len, arg);
        }
        unset(c, arg, name);
        if (set) {
            size_t n = 0;
            char **list;

            while (c->envp[n]) {
                n++;
            }
            list = realloc(c->envp, (n + 2) * sizeof(*list));
            if (!list || !(list[n] = strndup(arg, len))) {
                return error_set(errp, "-E: no memory");
            }
            list[n + 1] = NULL;
            c->envp = list;
        }
        arg += len + (arg[len] == ',');
    }
    return true;
}

static bool opt_set_env(UserConfig *c, const char *arg, Error **errp)
{
    return change_environment(c, arg, true, errp);
}

static bool opt_unset_env(UserConfig *c, const char *arg, Error **errp)
{
    return change_environment(c, arg, false, errp);
}

static bool opt_argv0(UserConfig *c, const char *arg, Error **errp)
{
    c->argv0 = arg;
    return true;
}

static bool opt_uname(UserConfig *c, const char *arg, Error **errp)
{
    c->uname = arg;
    return true;
}

static bool opt_base(UserConfig *c, const char *arg, Error **errp)
{
    uint64_t v;

    return number("-B", arg, &v, errp) &&
           (v == 0 || error_set(errp, "-B: %s: guest addresses are the host's, only 0 can be asked for", arg));
}

static bool opt_reserve(UserConfig *c, const char *arg, Error **errp)
{
    uint64_t v = 0;
    size_t n = strlen(arg);
    char *copy = strndup(arg, n && strchr("MGkK", arg[n - 1]) ? n - 1 : n);
    bool ok = copy && number("-R", copy, &v, errp);

    free(copy);
    return ok && (v == 0 || error_set(errp, "-R: %s: guest addresses are the host's, only 0 can be asked for", arg));
}

static bool opt_log(UserConfig *c, const char *arg, Error **errp)
{
    if (!strcmp(arg, "help") || !strcmp(arg, "?")) {
        log_print_help(stdout);
        c->asked |= DONE_PRINTED;
        return true;
    }
    c->log_items = arg;
    return true;
}

static bool opt_log_file(UserConfig *c, const char *arg, Error **errp)
{
    c->log_file = arg;
    return true;
}

static bool opt_filter(UserConfig *c, const char *arg, Error **errp)
{
    return log_set_filter(arg, errp);
}

static bool opt_page(UserConfig *c, const char *arg, Error **errp)
{
    uint64_t v;

    return number("-p", arg, &v, errp) && (v == USER_PAGE || error_set(errp, "-p: %s: pages have %d bytes", arg, USER_PAGE));
}

static bool opt_one_insn(UserConfig *c, const char *arg, Error **errp)
{
    c->one_insn = true;
    return true;
}

static bool opt_code_size(UserConfig *c, const char *arg, Error **errp)
{
    uint64_t v;

    if (!number("-tb-size", arg, &v, errp)) {
        return false;
    }
    if (v > 1024) {
        return error_set(errp, "-tb-size: %s MiB: at most 1024", arg);
    }
    c->code_size = v << 20;
    return true;
}

static bool opt_strace(UserConfig *c, const char *arg, Error **errp)
{
    c->strace = true;
    return true;
}

static bool opt_seed(UserConfig *c, const char *arg, Error **errp)
{
    c->has_seed = true;
    return number("-seed", arg, &c->seed, errp);
}

static bool opt_exec_fd(UserConfig *c, const char *arg, Error **errp)
{
    int n = 0;

    if (sscanf(arg, "%d,%d%n", &c->exec_fd, &c->self_fd, &n) != 2 || arg[n] || c->exec_fd < 0 || c->self_fd < 0) {
        return error_set(errp, "-exec-fd: '%s' is not two descriptors", arg);
    }
    return true;
}

/* once: of one program only, not handed on to those it executes. */
static const struct {
    const char *name, *variable;
    OptionFn *fn;
    bool once;
} bindings[] = {
    { "0", "QEMU_ARGV0", opt_argv0, true },
    { "B", "QEMU_GUEST_BASE", opt_base, false },
    { "D", "QEMU_LOG_FILENAME", opt_log_file, false },
    { "E", "QEMU_SET_ENV", opt_set_env, true },
    { "L", "QEMU_LD_PREFIX", opt_prefix, false },
    { "R", "QEMU_RESERVED_VA", opt_reserve, false },
    { "U", "QEMU_UNSET_ENV", opt_unset_env, true },
    { "cpu", "QEMU_CPU", opt_cpu, false },
    { "d", "QEMU_LOG", opt_log, false },
    { "dfilter", "QEMU_DFILTER", opt_filter, false },
    { "exec-fd", NULL, opt_exec_fd, true },
    { "g", "QEMU_GDB", opt_gdb, true },
    { "h", NULL, opt_help, true },
    { "help", NULL, opt_help, true },
    { "one-insn-per-tb", "QEMU_ONE_INSN_PER_TB", opt_one_insn, false },
    { "p", "QEMU_PAGESIZE", opt_page, false },
    { "r", "QEMU_UNAME", opt_uname, false },
    { "s", "QEMU_STACK_SIZE", opt_stack, false },
    { "seed", "QEMU_RAND_SEED", opt_seed, false },
    { "strace", "QEMU_STRACE", opt_strace, false },
    { "tb-size", "QEMU_TB_SIZE", opt_code_size, false },
    { "version", "QEMU_VERSION", opt_version, true },
};
enum { NUM_BINDINGS = sizeof(bindings) / sizeof(bindings[0]) };

static void print_version(void)
{
    printf(VERSION_LINE_USER_FMT "\n", "x86_64");
}

static void print_help(void)
{
    QBuf b = { 0 };

    print_version();
    printf("usage: qemu-x86_64 [options] program [arguments...]\n"
           "Runs a Linux program for x86-64.\n\n"
           "Options and the environment variables that stand for them:\n\n");
    for (unsigned n = 0; n < NUM_BINDINGS; n++) {
        const QOption *o = qschema_option(&qschema_user, bindings[n].name);
        char *doc = qitem_summary(&o->item);

        if (o->item.stability == STABILITY_STABLE) {
            char left[64];

            snprintf(left, sizeof(left), "-%s %s", o->item.name, o->args ? o->args_text : "");
            printf("%-20s %-20s %s\n", left, bindings[n].variable ? bindings[n].variable : "", doc);
        }
        free(doc);
    }
    qbuf_finish(&b);
}

static int find(const char *name)
{
    for (int n = 0; n < NUM_BINDINGS; n++) {
        if (!strcmp(bindings[n].name, name)) {
            return n;
        }
    }
    return -1;
}

static bool from_environment(UserConfig *c, Error **errp)
{
    for (unsigned n = 0; n < NUM_BINDINGS; n++) {
        const char *v = bindings[n].variable ? getenv(bindings[n].variable) : NULL;

        if (v && !bindings[n].fn(c, v, errp)) {
            return error_prepend(errp, "%s: ", bindings[n].variable);
        }
    }
    return true;
}

static bool unknown(const char *name, Error **errp)
{
    const char *near = qsuggest_option(&qschema_user, name);

    error_set(errp, "-%s: unknown option", name);
    return near ? error_hint(errp, "Did you mean -%s?", near) : false;
}

/* Index of the program in argv, or -1 with *errp set. */
static int from_argv(UserConfig *c, int argc, char **argv, Error **errp)
{
    int at = 1;

    while (at < argc && argv[at][0] == '-') {
        const char *name = argv[at] + 1, *arg = NULL;
        int first = at++, n;

        name += *name == '-';
        if (!*name) {
            break; /* -- */
        }
        n = find(name);
        if (n < 0) {
            unknown(name, errp);
            return -1;
        }
        if (qschema_option(&qschema_user, name)->args) {
            arg = argv[at++];
            if (!arg) {
                error_set(errp, "-%s: requires an argument", name);
                return -1;
            }
        }
        if (!bindings[n].fn(c, arg, errp)) {
            return -1;
        }
        while (!bindings[n].once && first < at) {
            c->options[c->num_options++] = argv[first++];
        }
    }
    return at;
}

int user_options(UserConfig *c, int argc, char **argv, char **envp, Error **errp)
{
    size_t n = 0;
    int at;

    while (envp[n]) {
        n++;
    }
    *c = (UserConfig){ .program_name = argv[0], .exec_fd = -1, .self_fd = -1, .cpu = "max" };
    c->envp = malloc((n + 1) * sizeof(char *));
    c->options = calloc((size_t)argc + 1, sizeof(char *));
    if (!c->envp || !c->options) {
        error_set(errp, "no memory");
        return 1;
    }
    memcpy(c->envp, envp, (n + 1) * sizeof(char *));
    if (!from_environment(c, errp) || (at = from_argv(c, argc, argv, errp)) < 0) {
        return 1;
    }
    if (c->asked & DONE_HELP) {
        print_help();
    } else if (c->asked & DONE_VERSION) {
        print_version();
    }
    if (c->asked) {
        return 0;
    }
    if (at >= argc) {
        error_set(errp, "no program given; -help tells the options");
        return 1;
    }
    c->path = argv[at];
    c->argv = argv + at;
    return -1;
}
