/* Loading programs: elf.c; the first stack: stack.c; both together: load.c. */
#ifndef LINUX_USER_ELF_H
#define LINUX_USER_ELF_H

#include "linux-user/linux-user.h"

/* NULL when the first bytes of a file are those of a program for us; else what it is, as the end of a sentence. */
const char *user_elf_check(const void *header, size_t n);
/* Maps the program in fd (which is closed) and its interpreter (interp->entry 0: none). */
bool user_elf_load(UserProcess *p, int fd, const char *name, UserImage *exe, UserImage *interp, Error **errp);
int64_t user_mmap(UserProcess *p, const uint64_t a[6]);
int64_t user_munmap(UserProcess *p, uint64_t addr, uint64_t len);

#endif
