/*
 * HMP: commands typed by people. They are the QMP commands that say 'hmp' in the schema and the schema's 'hmp' items.
 *
 * What a command takes is written as words NAME:KIND, in order; the NAME is that of the member of its arguments:
 *
 *     s   a word, or a string in double quotes with the escapes \n \r \t \" \' \\
 *     S   the rest of the line
 *     F   a file name (a word)
 *     i   an integer expression, see below
 *     l   the same, for addresses
 *     M   a size, in MiB when it has no suffix
 *     o   a size, in bytes when it has no suffix
 *     b   on or off
 *     -x  a flag: the member is true when -x is given; several may follow each other anywhere before other words
 *     -xs the same with a word after it, which is the member: -x WORD
 *     /   a format: / COUNT LETTERS, as in x/4xb, written right after the command or apart
 *     O   key=value,... or JSON: the members of the arguments themselves
 *
 * and a ? after the KIND says that it may be missing.
 *
 * Expressions: decimal, 0x, octal with 0, 'c', $register, ( ), - + ~ before; then * / %, then & | ^, then + - (so that
 * 1 + 3 & 2 is 3), 64 bits wide.
 */
#ifndef MONITOR_HMP_H
#define MONITOR_HMP_H

#include "monitor/monitor.h"
#include "qapi/buf.h"

/* One command as HMP sees it: a QMP command or an HMP command. */
typedef struct {
    const char *name; /* "stop|s", "info status" */
    const char *args; /* NULL: none */
    const QItem *item;
    uint32_t phases;
    const QCommand *command; /* exactly one of them */
    const QHmp *hmp;
} HmpEntry;

/* The i-th command, in no order; false: there are no more. */
bool hmp_entry(const QSchema *s, size_t i, HmpEntry *out);
/* That of the words at *line, which is moved behind them. False: none; *line is moved behind the word or words looked up. */
bool hmp_find(const QSchema *s, const char **line, HmpEntry *out);
/* True iff name[0..len) is one of the spellings "a|b" has. */
bool hmp_name_is(const char *names, const char *name, size_t len);

/* Reads the arguments of e at p; owned JSON object; NULL with errp set. */
struct json_object *hmp_parse_args(QCallContext *cc, const HmpEntry *e, const char *p, Error **errp);
/* "[-f] /fmt addr" */
void hmp_args_text(const HmpEntry *e, QBuf *out);

/* Evaluates the expression at *p, which is moved behind it and blanks. */
bool hmp_expr(QCallContext *cc, const char **p, int64_t *out, Error **errp);

/* /COUNT LETTERS taken apart; what is missing is as *f says. */
typedef struct {
    int count;
    char format; /* x d u o c i */
    int size;    /* 1, 2, 4, 8 bytes */
} HmpFormat;
bool hmp_format(const char *text, HmpFormat *f, Error **errp);
/* A value in a format, its width for columns of values of `size` bytes; 0: as short as it is. */
void hmp_format_value(QBuf *out, char format, int size, uint64_t value, bool columns);

#endif
