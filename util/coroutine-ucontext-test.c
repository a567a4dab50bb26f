/* The tests of coroutines, with the ucontext switch that other hosts use: it replaces the library's. */
#define CO_USE_UCONTEXT
#include "util/coroutine.c"
#include "util/coroutine-test.c"
