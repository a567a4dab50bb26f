/* A function for gdb to call by hand. */
#include <stdio.h>

__attribute__((noinline)) int fib(int n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

int main(int argc, char **argv)
{
    printf("%d\n", fib(argc + 9));
    return 0;
}
