/* Line editing: see monitor/readline.h. Control sequences: ECMA-48, section 8.3 (CUB, CUF, EL, and what keys send). */
#include "monitor/readline.h"

#include <stdlib.h>
#include <string.h>

#include "qapi/buf.h"

enum { OFFERS_MAX = 256 };

struct Readline {
    void (*write)(void *opaque, const char *text, size_t len);
    void (*run)(void *opaque, const char *line);
    void (*complete)(void *opaque, const char *line, Readline *r);
    void *opaque;
    char *prompt;
    char line[READLINE_MAX + 1];
    size_t len, cursor;
    enum { KEY, ESCAPE, CSI, SS3 } state; /* what the next byte belongs to */
    int param;
    bool was_cr;           /* a line feed after it belongs to it */
    QBuf killed;           /* Ctrl-Y gives it back */
    char *history[READLINE_HISTORY]; /* [0] the newest */
    unsigned history_len, history_pos;
    char *draft;           /* the line being typed while older ones are looked at */
    char *offers[OFFERS_MAX];
    size_t num_offers, typed;
};

Readline *readline_new(void (*write)(void *opaque, const char *text, size_t len), void (*run)(void *opaque, const char *line),
                       void (*complete)(void *opaque, const char *line, Readline *r), void *opaque)
{
    Readline *r = q_calloc(1, sizeof(*r));

    r->write = write;
    r->run = run;
    r->complete = complete;
    r->opaque = opaque;
    r->prompt = q_strdup("");
    return r;
}

static void drop_offers(Readline *r)
{
    while (r->num_offers) {
        free(r->offers[--r->num_offers]);
    }
}

void readline_free(Readline *r)
{
    if (!r) {
        return;
    }
    drop_offers(r);
    for (unsigned i = 0; i < r->history_len; i++) {
        free(r->history[i]);
    }
    qbuf_finish(&r->killed);
    free(r->draft);
    free(r->prompt);
    free(r);
}

static void put(Readline *r, const char *text)
{
    r->write(r->opaque, text, strlen(text));
}

static void move_cursor(Readline *r, size_t to)
{
    QBuf b = { 0 };

    if (to < r->cursor) {
        qbuf_printf(&b, "\033[%zuD", r->cursor - to);
    } else if (to > r->cursor) {
        qbuf_printf(&b, "\033[%zuC", to - r->cursor);
    }
    if (b.len) {
        r->write(r->opaque, b.data, b.len);
    }
    qbuf_finish(&b);
    r->cursor = to;
}

/* Draws the line from `from`, where the terminal's cursor is, on, and puts the cursor at r->cursor. */
static void draw_rest(Readline *r, size_t from)
{
    size_t cursor = r->cursor;

    r->write(r->opaque, r->line + from, r->len - from);
    put(r, "\033[K");
    r->cursor = r->len;
    move_cursor(r, cursor);
}

void readline_show(Readline *r)
{
    put(r, r->prompt);
    if (r->len) {
        draw_rest(r, 0);
    }
}

void readline_prompt(Readline *r, const char *prompt)
{
    free(r->prompt);
    r->prompt = q_strdup(prompt);
    readline_show(r);
}

void readline_restart(Readline *r)
{
    r->len = r->cursor = 0;
    r->line[0] = 0;
    r->history_pos = 0;
    r->state = KEY;
    r->was_cr = false;
}

/* ---- Editing ---- */

static void insert(Readline *r, const char *text, size_t n)
{
    size_t from = r->cursor;

    if (r->len + n > READLINE_MAX) {
        return;
    }
    memmove(r->line + from + n, r->line + from, r->len - from + 1);
    memcpy(r->line + from, text, n);
    r->len += n;
    r->cursor += n;
    if (r->cursor == r->len) {
        r->write(r->opaque, text, n);
    } else {
        draw_rest(r, from);
    }
}

/* Removes [from, to). */
static void cut(Readline *r, size_t from, size_t to, bool keep)
{
    if (from >= to) {
        return;
    }
    if (keep) {
        qbuf_finish(&r->killed);
        qbuf_add(&r->killed, r->line + from, to - from);
    }
    move_cursor(r, from);
    memmove(r->line + from, r->line + to, r->len - to + 1);
    r->len -= to - from;
    draw_rest(r, from);
}

static size_t word_start(const Readline *r)
{
    size_t i = r->cursor;

    while (i && r->line[i - 1] == ' ') {
        i--;
    }
    while (i && r->line[i - 1] != ' ') {
        i--;
    }
    return i;
}

static size_t word_end(const Readline *r)
{
    size_t i = r->cursor;

    while (i < r->len && r->line[i] == ' ') {
        i++;
    }
    while (i < r->len && r->line[i] != ' ') {
        i++;
    }
    return i;
}

static void replace_line(Readline *r, const char *text)
{
    size_t n = strlen(text);

    move_cursor(r, 0);
    memcpy(r->line, text, n + 1);
    r->len = n;
    r->cursor = n;
    draw_rest(r, 0);
}

/* ---- History ---- */

const char *readline_history(const Readline *r, unsigned back)
{
    return back && back <= r->history_len ? r->history[back - 1] : NULL;
}

static void remember(Readline *r)
{
    unsigned at = r->history_len;

    if (!r->len) {
        return;
    }
    for (unsigned i = 0; i < r->history_len; i++) {
        if (!strcmp(r->history[i], r->line)) {
            at = i;
        }
    }
    if (at == READLINE_HISTORY) {
        at--;
    }
    if (at < r->history_len) {
        free(r->history[at]);
    } else {
        r->history_len++;
    }
    memmove(r->history + 1, r->history, at * sizeof(char *));
    r->history[0] = q_strdup(r->line);
}

static void look_back(Readline *r, int step)
{
    int pos = (int)r->history_pos + step;

    if (pos < 0 || pos > (int)r->history_len) {
        return;
    }
    if (r->history_pos == 0) {
        free(r->draft);
        r->draft = q_strdup(r->line);
    }
    r->history_pos = pos;
    replace_line(r, pos ? r->history[pos - 1] : r->draft ? r->draft : "");
}

/* ---- Completion ---- */

void readline_offer(Readline *r, const char *word, size_t typed)
{
    for (size_t i = 0; i < r->num_offers; i++) {
        if (!strcmp(r->offers[i], word)) {
            return;
        }
    }
    if (r->num_offers < OFFERS_MAX && typed <= r->cursor) {
        r->offers[r->num_offers++] = q_strdup(word);
        r->typed = typed;
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* In columns of 80 characters. */
static void list_offers(Readline *r)
{
    size_t width = 0, columns;
    QBuf b = { 0 };

    for (size_t i = 0; i < r->num_offers; i++) {
        size_t n = strlen(r->offers[i]);
        width = n > width ? n : width;
    }
    width = width + 2 < 10 ? 10 : width + 2;
    columns = width > 80 ? 1 : 80 / width;
    for (size_t i = 0; i < r->num_offers; i++) {
        bool last = (i + 1) % columns == 0 || i + 1 == r->num_offers;
        qbuf_printf(&b, "%s%-*s%s", i == 0 ? "\r\n" : "", last ? 0 : (int)width, r->offers[i], last ? "\r\n" : "");
    }
    r->write(r->opaque, b.data, b.len);
    qbuf_finish(&b);
    readline_show(r);
}

static void complete(Readline *r)
{
    size_t common;
    char *before;

    if (!r->complete) {
        return;
    }
    before = q_strndup(r->line, r->cursor);
    drop_offers(r);
    r->complete(r->opaque, before, r);
    free(before);
    if (!r->num_offers) {
        return;
    }
    qsort(r->offers, r->num_offers, sizeof(char *), by_name);
    common = strlen(r->offers[0]);
    for (size_t i = 1; i < r->num_offers; i++) {
        for (size_t k = 0; k < common; k++) {
            common = r->offers[i][k] == r->offers[0][k] ? common : k;
        }
    }
    if (common > r->typed) {
        insert(r, r->offers[0] + r->typed, common - r->typed);
    }
    if (r->num_offers == 1) {
        size_t n = strlen(r->offers[0]);
        if (n && !strchr("/,=.", r->offers[0][n - 1])) {
            insert(r, " ", 1);
        }
    } else {
        list_offers(r);
    }
}

/* ---- Keys ---- */

static void enter(Readline *r)
{
    char *line;

    put(r, "\r\n");
    remember(r);
    line = q_strdup(r->line);
    readline_restart(r);
    r->run(r->opaque, line);
    free(line);
}

static void control_key(Readline *r, char c)
{
    switch (c) {
    case 'A' - '@':
        move_cursor(r, 0);
        break;
    case 'B' - '@':
        move_cursor(r, r->cursor ? r->cursor - 1 : 0);
        break;
    case 'D' - '@':
        cut(r, r->cursor, r->cursor < r->len ? r->cursor + 1 : r->len, false);
        break;
    case 'E' - '@':
        move_cursor(r, r->len);
        break;
    case 'F' - '@':
        move_cursor(r, r->cursor < r->len ? r->cursor + 1 : r->len);
        break;
    case 'H' - '@':
    case 127:
        cut(r, r->cursor ? r->cursor - 1 : 0, r->cursor, false);
        break;
    case '\t':
        complete(r);
        break;
    case 'K' - '@':
        cut(r, r->cursor, r->len, true);
        break;
    case 'L' - '@':
        put(r, "\033[H\033[2J");
        readline_show(r);
        break;
    case 'N' - '@':
        look_back(r, -1);
        break;
    case 'P' - '@':
        look_back(r, 1);
        break;
    case 'U' - '@':
        cut(r, 0, r->cursor, true);
        break;
    case 'W' - '@':
        cut(r, word_start(r), r->cursor, true);
        break;
    case 'Y' - '@':
        if (r->killed.len) {
            insert(r, r->killed.data, r->killed.len);
        }
        break;
    case 27:
        r->state = ESCAPE;
        break;
    }
}

/* Alt and a key. */
static void escape_key(Readline *r, char c)
{
    r->state = KEY;
    switch (c) {
    case '[':
        r->state = CSI;
        r->param = 0;
        break;
    case 'O':
        r->state = SS3;
        break;
    case 'b':
        move_cursor(r, word_start(r));
        break;
    case 'f':
        move_cursor(r, word_end(r));
        break;
    case 'd':
        cut(r, r->cursor, word_end(r), true);
        break;
    case 127:
        cut(r, word_start(r), r->cursor, true);
        break;
    }
}

static void sequence_key(Readline *r, char c)
{
    static const char letters[] = "ABCDHF", keys[] = { 'P' - '@', 'N' - '@', 'F' - '@', 'B' - '@', 'A' - '@', 'E' - '@' };
    const char *p;

    if (c >= '0' && c <= '9') {
        r->param = r->param < 1000 ? r->param * 10 + c - '0' : r->param;
        return;
    }
    if (c == ';') {
        r->param = 0;
        return;
    }
    r->state = KEY;
    p = c ? strchr(letters, c) : NULL;
    if (p) {
        control_key(r, keys[p - letters]);
    } else if (c == '~') {
        control_key(r, r->param == 1 || r->param == 7 ? 'A' - '@' : r->param == 4 || r->param == 8 ? 'E' - '@'
                       : r->param == 3 ? 'D' - '@' : 0);
    }
}

static void feed_byte(Readline *r, char c)
{
    bool was_cr = r->was_cr;

    r->was_cr = false;
    if (r->state == ESCAPE) {
        escape_key(r, c);
    } else if (r->state == CSI || r->state == SS3) {
        sequence_key(r, c);
    } else if (c == '\r' || c == '\n') {
        if (c == '\n' && was_cr) {
            return;
        }
        r->was_cr = c == '\r';
        enter(r);
        r->was_cr = c == '\r';
    } else if ((unsigned char)c < 32 || c == 127) {
        control_key(r, c);
    } else {
        insert(r, &c, 1);
    }
}

void readline_feed(Readline *r, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        feed_byte(r, bytes[i]);
    }
}
