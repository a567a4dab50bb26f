/*
 * The instructions that signal handlers know by address: guest memory touched by C, and entering the kernel. See linux-user.h.
 *
 * user_copy and its like stop where a fault is: the count in rcx is what is left. user_syscall: between `start` and the
 * instruction `syscall` itself the call has not begun, or (SA_RESTART) the kernel wants it begun again.
 */
#include <errno.h>

#include "linux-user/linux-user.h"

__asm__(".pushsection .text\n"
        ".macro rep_fn name, insn\n"
        ".globl \\name\n"
        ".hidden \\name\n"
        "\\name:\n"
        "mov %rdx, %rcx\n"
        "mov %r8, %rax\n"
        "rep \\insn\n"
        ".endm\n"
        "user_rep_start:\n"
        "rep_fn rep_movs0, movsb\n"
        "mov %rcx, %rax\nret\n"
        "rep_fn rep_movs1, movsw\n"
        "mov %rcx, %rax\nret\n"
        "rep_fn rep_movs2, movsl\n"
        "mov %rcx, %rax\nret\n"
        "rep_fn rep_movs3, movsq\n"
        "mov %rcx, %rax\nret\n"
        "rep_fn rep_stos0, stosb\n"
        "mov %rcx, %rax\nret\n"
        "rep_fn rep_stos1, stosw\n"
        "mov %rcx, %rax\nret\n"
        "rep_fn rep_stos2, stosl\n"
        "mov %rcx, %rax\nret\n"
        "rep_fn rep_stos3, stosq\n"
        "mov %rcx, %rax\nret\n"
        "user_rep_end:\n"
        "user_rep_fault:\n"
        "mov %rcx, %rax\nret\n"
        ".globl user_syscall\n"
        ".hidden user_syscall\n"
        ".type user_syscall, @function\n"
        "user_syscall:\n"
        "mov %rdi, %rcx\n"
        "mov %rsi, %rax\n"
        "mov %rdx, %r11\n"
        "mov 0(%r11), %rdi\n"
        "mov 8(%r11), %rsi\n"
        "mov 16(%r11), %rdx\n"
        "mov 24(%r11), %r10\n"
        "mov 32(%r11), %r8\n"
        "mov 40(%r11), %r9\n"
        "user_syscall_start:\n"
        "cmpl $0, (%rcx)\n"
        "jne user_syscall_not\n"
        "user_syscall_insn:\n"
        "syscall\n"
        "ret\n"
        "user_syscall_not:\n"
        "mov $-512, %rax\n"
        "ret\n"
        ".globl user_raw_syscall\n"
        ".hidden user_raw_syscall\n"
        ".type user_raw_syscall, @function\n"
        "user_raw_syscall:\n"
        "mov %rdi, %rax\n"
        "mov %rsi, %rdi\n"
        "mov %rdx, %rsi\n"
        "mov %rcx, %rdx\n"
        "mov %r8, %r10\n"
        "mov %r9, %r8\n"
        "mov 8(%rsp), %r9\n"
        "syscall\n"
        "ret\n"
        ".popsection\n");

typedef uint64_t RepFn(void *to, const void *from, uint64_t n, uint64_t unused, uint64_t value);
extern RepFn rep_movs0 __attribute__((visibility("hidden"))), rep_movs1 __attribute__((visibility("hidden")));
extern RepFn rep_movs2 __attribute__((visibility("hidden"))), rep_movs3 __attribute__((visibility("hidden")));
extern RepFn rep_stos0 __attribute__((visibility("hidden"))), rep_stos1 __attribute__((visibility("hidden")));
extern RepFn rep_stos2 __attribute__((visibility("hidden"))), rep_stos3 __attribute__((visibility("hidden")));
extern const char user_rep_start[] __attribute__((visibility("hidden"))), user_rep_end[] __attribute__((visibility("hidden")));
extern const char user_rep_fault[] __attribute__((visibility("hidden"))), user_syscall_start[] __attribute__((visibility("hidden")));
extern const char user_syscall_insn[] __attribute__((visibility("hidden"))), user_syscall_not[] __attribute__((visibility("hidden")));

uint64_t user_rep_movs(void *to, const void *from, uint64_t n, unsigned log2)
{
    static RepFn *const fn[4] = { rep_movs0, rep_movs1, rep_movs2, rep_movs3 };

    return fn[log2](to, from, n, 0, 0);
}

uint64_t user_rep_stos(void *to, uint64_t value, uint64_t n, unsigned log2)
{
    static RepFn *const fn[4] = { rep_stos0, rep_stos1, rep_stos2, rep_stos3 };

    return fn[log2](to, NULL, n, 0, value);
}

size_t user_copy(void *to, const void *from, size_t n)
{
    return rep_movs0(to, from, n, 0, 0);
}

int64_t user_get_string(uint64_t addr, char *to, size_t max)
{
    size_t done = 0;

    while (done < max) {
        uint64_t room = USER_PAGE - ((addr + done) & (USER_PAGE - 1));
        size_t n = room < max - done ? room : max - done, left = user_copy(to + done, (void *)(uintptr_t)(addr + done), n);

        for (size_t end = done + n - left; done < end; done++) {
            if (!to[done]) {
                return (int64_t)done;
            }
        }
        if (left) {
            return -EFAULT;
        }
    }
    return -ENAMETOOLONG;
}

uint64_t user_fixup_fault(uint64_t rip)
{
    uintptr_t start = (uintptr_t)user_rep_start, end = (uintptr_t)user_rep_end;

    return rip >= start && rip < end ? (uintptr_t)user_rep_fault : 0;
}

uint64_t user_fixup_interrupt(uint64_t rip)
{
    uintptr_t start = (uintptr_t)user_syscall_start, insn = (uintptr_t)user_syscall_insn;

    return rip >= start && rip <= insn ? (uintptr_t)user_syscall_not : 0;
}
