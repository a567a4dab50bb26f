/* The command line: options.json, and the environment variables that say the same. */
#ifndef LINUX_USER_OPTIONS_H
#define LINUX_USER_OPTIONS_H

#include "linux-user/linux-user.h"

/*
 * Fills *c from the environment, then from argv. Returns -1 when the program is to be run, else the exit status: what was asked
 * for is printed, or *errp is set.
 */
int user_options(UserConfig *c, int argc, char **argv, char **envp, Error **errp);

#endif
