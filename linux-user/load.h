/* Finding out what a path leads to, for the first program and for execve. */
#ifndef LINUX_USER_LOAD_H
#define LINUX_USER_LOAD_H

#include "linux-user/elf.h"

typedef struct {
    int fd;              /* of the program, after all scripts; owned, -1: none */
    const char *path;    /* of it */
    char **argv;         /* array owned; the strings are the caller's, or in owned */
    char *owned[20];
    unsigned num_owned;
    bool is_script;
    const char *why;     /* with ENOEXEC: what the file is; NULL: nothing to say */
} UserProgram;

/* fd: opened already, or -1. Returns an errno, or 0; g is to be finished in any case. */
int user_program_open(UserProgram *g, int fd, const char *path, char *const argv[]);
void user_program_finish(UserProgram *g);

#endif
