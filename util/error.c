/* Errors told to users: see util/error.h. */
#include "util/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Error {
    char *message;
    char *hint;
    ErrorClass cls;
    const char *file;
    int line;
};

Error *error_abort;

/* vasprintf that cannot fail: an error about memory has no memory to be told with. */
static char *format(const char *fmt, va_list ap)
{
    char *s;

    if (vasprintf(&s, fmt, ap) < 0) {
        abort();
    }
    return s;
}

static void set(Error **errp, ErrorClass cls, const char *file, int line, char *message)
{
    Error *err;

    if (errp == &error_abort) {
        fprintf(stderr, "unexpected error at %s:%d: %s\n", file, line, message);
        abort();
    }
    if (!errp || *errp) {
        free(message);
        return;
    }
    err = calloc(1, sizeof(*err));
    if (!err) {
        abort();
    }
    err->message = message;
    err->cls = cls;
    err->file = file;
    err->line = line;
    *errp = err;
}

bool error_set_at(Error **errp, ErrorClass cls, const char *file, int line, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    set(errp, cls, file, line, format(fmt, ap));
    va_end(ap);
    return false;
}

/* A printf of its own, so that the text can be joined to others. */
static char *ERROR_PRINTF(1, 2) join(const char *fmt, ...)
{
    va_list ap;
    char *s;

    va_start(ap, fmt);
    s = format(fmt, ap);
    va_end(ap);
    return s;
}

bool error_set_errno_at(Error **errp, int err, const char *file, int line, const char *fmt, ...)
{
    va_list ap;
    char *text;

    va_start(ap, fmt);
    text = format(fmt, ap);
    va_end(ap);
    set(errp, ERROR_GENERIC, file, line, join("%s: %s", text, strerrordesc_np(err) ?: "unknown error"));
    free(text);
    return false;
}

bool error_prepend(Error **errp, const char *fmt, ...)
{
    va_list ap;
    char *text, *joined;

    if (errp && *errp) {
        va_start(ap, fmt);
        text = format(fmt, ap);
        va_end(ap);
        joined = join("%s%s", text, (*errp)->message);
        free(text);
        free((*errp)->message);
        (*errp)->message = joined;
    }
    return false;
}

bool error_hint(Error **errp, const char *fmt, ...)
{
    va_list ap;
    char *text, *joined;

    if (errp && *errp) {
        va_start(ap, fmt);
        text = format(fmt, ap);
        va_end(ap);
        joined = (*errp)->hint ? join("%s\n%s", (*errp)->hint, text) : join("%s", text);
        free(text);
        free((*errp)->hint);
        (*errp)->hint = joined;
    }
    return false;
}

void error_propagate(Error **errp, Error *local_err)
{
    if (!local_err) {
        return;
    }
    if (errp == &error_abort) {
        fprintf(stderr, "unexpected error at %s:%d: %s\n", local_err->file, local_err->line,
                local_err->message);
        abort();
    }
    if (errp && !*errp) {
        *errp = local_err;
    } else {
        error_free(local_err);
    }
}

const char *error_message(const Error *err)
{
    return err->message;
}

const char *error_hint_text(const Error *err)
{
    return err->hint;
}

ErrorClass error_class(const Error *err)
{
    return err->cls;
}

const char *error_class_name(ErrorClass cls)
{
    static const char *const names[] = {
        [ERROR_GENERIC] = "GenericError",
        [ERROR_COMMAND_NOT_FOUND] = "CommandNotFound",
        [ERROR_DEVICE_NOT_FOUND] = "DeviceNotFound",
        [ERROR_DEVICE_NOT_ACTIVE] = "DeviceNotActive",
        [ERROR_KVM_MISSING_CAP] = "KVMMissingCap",
    };

    return names[cls];
}

void error_free(Error *err)
{
    if (err) {
        free(err->message);
        free(err->hint);
        free(err);
    }
}

void error_report_free(Error *err)
{
    fprintf(stderr, "%s: %s\n", program_invocation_short_name, err->message);
    if (err->hint) {
        fprintf(stderr, "%s\n", err->hint);
    }
    error_free(err);
}
