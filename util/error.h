/*
 * Errors that are told to a user or a client.
 *
 * A function that can fail for a reason outside the program takes a last
 * parameter `Error **errp`, returns false (or NULL) iff it failed, and then has
 * set *errp; on success *errp is untouched, and so are all outputs on failure.
 * A caller that does not care passes NULL; one for which failure would be our
 * own bug passes &error_abort.
 *
 *     if (!chardev_open(cd, &conf, errp)) {
 *         return error_prepend(errp, "-serial %s: ", arg);
 *     }
 *
 * The text names the item, the value and what would be right; it starts with
 * the item and ends without a full stop or newline. Only softmmu/, monitor/,
 * linux-user/ and tools/ print errors. Needs libc only.
 */
#ifndef UTIL_ERROR_H
#define UTIL_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

typedef struct Error Error;

/* The error classes of QMP; clients tell errors apart by these names only. */
typedef enum {
    ERROR_GENERIC,           /* GenericError */
    ERROR_COMMAND_NOT_FOUND, /* CommandNotFound */
    ERROR_DEVICE_NOT_FOUND,  /* DeviceNotFound */
    ERROR_DEVICE_NOT_ACTIVE, /* DeviceNotActive */
    ERROR_KVM_MISSING_CAP,   /* KVMMissingCap */
} ErrorClass;

/* Passed as errp: an error set there prints itself with its origin and aborts. */
extern Error *error_abort;

#define ERROR_PRINTF(f, a) __attribute__((format(printf, f, a)))

/*
 * Sets *errp (unless errp is NULL) to a new error with this text. *errp must be
 * NULL before. Always returns false, so that it can be the return statement.
 */
#define error_set(errp, ...) error_set_at(errp, ERROR_GENERIC, __FILE__, __LINE__, __VA_ARGS__)
#define error_set_class(errp, cls, ...) error_set_at(errp, cls, __FILE__, __LINE__, __VA_ARGS__)
bool error_set_at(Error **errp, ErrorClass cls, const char *file, int line, const char *fmt, ...)
    ERROR_PRINTF(5, 6);

/* As error_set, with ": " and the description of errno value err appended. */
#define error_set_errno(errp, err, ...) error_set_errno_at(errp, err, __FILE__, __LINE__, __VA_ARGS__)
bool error_set_errno_at(Error **errp, int err, const char *file, int line, const char *fmt, ...)
    ERROR_PRINTF(5, 6);

/* Puts text before the message of *errp, if errp and *errp are set. Returns false. */
bool error_prepend(Error **errp, const char *fmt, ...) ERROR_PRINTF(2, 3);

/* Adds a hint line: shown to humans after the message; over QMP behind it in `desc`. Returns false. */
bool error_hint(Error **errp, const char *fmt, ...) ERROR_PRINTF(2, 3);

/* Hands local_err (owned, may be NULL) to *errp; frees it when errp is NULL or already set. */
void error_propagate(Error **errp, Error *local_err);

const char *error_message(const Error *err);
const char *error_hint_text(const Error *err); /* NULL when there is none */
ErrorClass error_class(const Error *err);
const char *error_class_name(ErrorClass cls);

/* Frees err; NULL is fine. */
void error_free(Error *err);

/* Prints "PROGRAM: MESSAGE" and hints to standard error, and frees err. */
void error_report_free(Error *err);

#endif
