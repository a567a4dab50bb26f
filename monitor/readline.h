/*
 * Editing of a line over any byte stream: Emacs keys and arrows, history, completion. It draws with the few
 * escape sequences of ECMA-48 that every terminal has.
 *
 *     Readline *r = readline_new(write, run_line, complete, opaque);
 *     readline_prompt(r, "(qemu) ");
 *     readline_feed(r, bytes, n);       // calls run_line at each Return
 */
#ifndef MONITOR_READLINE_H
#define MONITOR_READLINE_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Readline Readline;

enum { READLINE_MAX = 4095, READLINE_HISTORY = 64 };

/*
 * write: text to the terminal. run: a finished line; the prompt is shown again after it. complete (or NULL): called at Tab with
 * the line up to the cursor; offers words with readline_offer.
 */
Readline *readline_new(void (*write)(void *opaque, const char *text, size_t len), void (*run)(void *opaque, const char *line),
                       void (*complete)(void *opaque, const char *line, Readline *r), void *opaque);
void readline_free(Readline *r);
/* Shows the prompt and what is typed so far. */
void readline_show(Readline *r);
void readline_prompt(Readline *r, const char *prompt);
void readline_feed(Readline *r, const char *bytes, size_t n);
/* Text that replaces the last `typed` bytes before the cursor. */
void readline_offer(Readline *r, const char *word, size_t typed);
/* Forgets what is typed; history stays. */
void readline_restart(Readline *r);
const char *readline_history(const Readline *r, unsigned back); /* 1: the last line; NULL: no more */

#endif
