/*
 * Coroutines: see util/coroutine.h.
 *
 * x86-64 switches stacks by the functions below, by the System V ABI (AMD64 supplement 1.0, 3.2.1 and 3.2.3: rbx,
 * rbp, rsp, r12 to r15, the x87 control word and MXCSR's control bits survive a call). Other hosts, and builds for
 * shadow stacks (whose return addresses this would not switch), use ucontext. The file is not marked as fit for shadow
 * stacks when it is not compiled for them, so the system does not turn them on for the program.
 */
#include "util/coroutine.h"

#include <stdlib.h>
#include <string.h>

#include "util/ram.h"
#include "util/sanitize.h"

#if !defined(CO_USE_UCONTEXT) && (!defined(__x86_64__) || (defined(__CET__) && (__CET__ & 2)))
#define CO_USE_UCONTEXT
#endif
#ifdef CO_USE_UCONTEXT
#include <ucontext.h>
#endif
#ifdef BUILT_WITH_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef BUILT_WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#define CO_VALGRIND
#endif

enum { POOL_MAX = 64 }; /* idle stacks a thread keeps */

struct Coroutine {
    void (*fn)(void *opaque);
    void *opaque;
    Coroutine *caller;    /* who entered it; NULL: does not run */
    Coroutine *next;      /* in the pool */
    Loop *move_to;        /* what it yields for: to be entered by this loop */
    bool ended;
    LoopWork wake;        /* on the loop it belongs to */
    void *stack;          /* lowest usable byte; NULL: the thread's own */
    size_t stack_size;
#ifdef CO_USE_UCONTEXT
    ucontext_t context;
#else
    void *sp;
#endif
#ifdef BUILT_WITH_ASAN
    void *fake_stack;
#endif
#ifdef BUILT_WITH_TSAN
    void *fiber;
#endif
#ifdef CO_VALGRIND
    unsigned valgrind_id;
#endif
};

typedef struct {
    Coroutine thread;     /* stands for the thread's own stack */
    Coroutine *current;
    Coroutine *pool;
    unsigned pool_size;
} ThreadState;

static pthread_once_t key_once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* frees a thread's pool when the thread ends */
static _Thread_local ThreadState thread_state;

/* ---- Switching ---- */

static void co_main(void);

#ifdef CO_USE_UCONTEXT
static void raw_switch(Coroutine *from, Coroutine *to)
{
    if (swapcontext(&from->context, &to->context)) {
        abort();
    }
}

static void raw_prepare(Coroutine *co)
{
    if (getcontext(&co->context)) {
        abort();
    }
    co->context.uc_stack.ss_sp = co->stack;
    co->context.uc_stack.ss_size = co->stack_size;
    co->context.uc_link = NULL;
    makecontext(&co->context, co_main, 0);
}
#else
/* Saves the ABI's registers on this stack and its pointer in *save_sp; goes on where sp was saved. */
void co_switch_stack(void **save_sp, void *sp) __attribute__((visibility("hidden")));

__asm__(
    "    .pushsection .text.co_switch_stack, \"ax\", @progbits\n"
    "    .p2align 4\n"
    "    .globl co_switch_stack\n"
    "    .hidden co_switch_stack\n"
    "    .type co_switch_stack, @function\n"
    "co_switch_stack:\n"
    "    pushq %rbp\n"
    "    pushq %rbx\n"
    "    pushq %r12\n"
    "    pushq %r13\n"
    "    pushq %r14\n"
    "    pushq %r15\n"
    "    subq $8, %rsp\n"
    "    stmxcsr (%rsp)\n"
    "    fnstcw 4(%rsp)\n"
    "    movq %rsp, (%rdi)\n"
    "    movq %rsi, %rsp\n"
    "    ldmxcsr (%rsp)\n"
    "    fldcw 4(%rsp)\n"
    "    addq $8, %rsp\n"
    "    popq %r15\n"
    "    popq %r14\n"
    "    popq %r13\n"
    "    popq %r12\n"
    "    popq %rbx\n"
    "    popq %rbp\n"
    "    ret\n"
    "    .size co_switch_stack, . - co_switch_stack\n"
    "    .popsection\n");

static void raw_switch(Coroutine *from, Coroutine *to)
{
    co_switch_stack(&from->sp, to->sp);
}

/* What co_switch_stack pops, lowest address first. */
typedef struct {
    uint32_t mxcsr;
    uint16_t fpu_control, pad;
    uint64_t r15, r14, r13, r12, rbx, rbp;
    uint64_t rip;
    uint64_t end_of_stack[3]; /* a return address of 0 ends back traces */
} FirstFrame;

static void raw_prepare(Coroutine *co)
{
    char *top = (char *)co->stack + co->stack_size;
    FirstFrame *f;

    /* At a function's entry rsp + 8 is a multiple of 16 (3.2.2). */
    f = (FirstFrame *)(top - sizeof(*f));
    _Static_assert(offsetof(FirstFrame, end_of_stack) % 16 == 0, "misaligned");
    f = (FirstFrame *)((char *)f - ((uintptr_t)&f->end_of_stack[1] & 15));
    memset(f, 0, sizeof(*f));
    f->rip = (uintptr_t)co_main;
    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(f->mxcsr), "=m"(f->fpu_control));
    co->sp = f;
}
#endif

/* Tells the tools and switches. Returns when `from` is switched to again, perhaps in another thread. */
static void switch_to(Coroutine *from, Coroutine *to)
{
#ifdef BUILT_WITH_ASAN
    __sanitizer_start_switch_fiber(&from->fake_stack, to->stack, to->stack_size);
#endif
#ifdef BUILT_WITH_TSAN
    __tsan_switch_to_fiber(to->fiber, 0);
#endif
    raw_switch(from, to);
#ifdef BUILT_WITH_ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

/* ---- Threads ---- */

static void co_destroy(Coroutine *co);

static void free_pool(void *opaque)
{
    ThreadState *t = opaque;

    while (t->pool) {
        Coroutine *co = t->pool;

        t->pool = co->next;
        co_destroy(co);
    }
    t->pool_size = 0;
}

static void make_key(void)
{
    if (pthread_key_create(&key, free_pool)) {
        abort();
    }
}

static void thread_state_init(ThreadState *t)
{
    t->current = &t->thread;
    pthread_once(&key_once, make_key);
    pthread_setspecific(key, t);
#ifdef BUILT_WITH_ASAN
    pthread_attr_t attr;

    pthread_getattr_np(pthread_self(), &attr);
    pthread_attr_getstack(&attr, &t->thread.stack, &t->thread.stack_size);
    pthread_attr_destroy(&attr);
#endif
#ifdef BUILT_WITH_TSAN
    t->thread.fiber = __tsan_get_current_fiber();
#endif
}

/* Not inlined, so that no address of thread-local data is kept across a switch. */
static __attribute__((noinline)) ThreadState *state(void)
{
    __asm__ volatile("");
    if (__builtin_expect(!thread_state.current, 0)) {
        thread_state_init(&thread_state);
    }
    return &thread_state;
}

/* ---- Life ---- */

/* What every coroutine runs; one that has ended goes on here when it is used again. */
static void co_main(void)
{
    Coroutine *co = state()->current;

#ifdef BUILT_WITH_ASAN
    __sanitizer_finish_switch_fiber(NULL, NULL, NULL);
#endif
    for (;;) {
        co->fn(co->opaque);
        co->ended = true;
        co_yield();
    }
}

static Coroutine *co_create(void)
{
    Coroutine *co = calloc(1, sizeof(*co));

    if (!co || !(co->stack = guarded_alloc(CO_STACK_SIZE))) {
        abort();
    }
    co->stack_size = CO_STACK_SIZE;
    raw_prepare(co);
#ifdef BUILT_WITH_TSAN
    co->fiber = __tsan_create_fiber(0);
#endif
#ifdef CO_VALGRIND
    co->valgrind_id = VALGRIND_STACK_REGISTER(co->stack, (char *)co->stack + co->stack_size);
#endif
    return co;
}

static void co_destroy(Coroutine *co)
{
#ifdef CO_VALGRIND
    VALGRIND_STACK_DEREGISTER(co->valgrind_id);
#endif
#ifdef BUILT_WITH_TSAN
    __tsan_destroy_fiber(co->fiber);
#endif
#ifdef BUILT_WITH_ASAN
    __asan_unpoison_memory_region(co->stack, co->stack_size);
#endif
    guarded_free(co->stack, co->stack_size);
    free(co);
}

Coroutine *co_new(void (*fn)(void *opaque), void *opaque)
{
    ThreadState *t = state();
    Coroutine *co = t->pool;

    if (co) {
        t->pool = co->next;
        t->pool_size--;
    } else {
        co = co_create();
    }
    co->fn = fn;
    co->opaque = opaque;
    co->ended = false;
    return co;
}

static void co_release(Coroutine *co)
{
    ThreadState *t = state();

    if (t->pool_size < POOL_MAX) {
        co->next = t->pool;
        t->pool = co;
        t->pool_size++;
    } else {
        co_destroy(co);
    }
}

/* ---- Running ---- */

Coroutine *co_self(void)
{
    ThreadState *t = state();

    return t->current == &t->thread ? NULL : t->current;
}

static void enter_by_loop(void *opaque)
{
    co_enter(opaque);
}

static void belong_to(Coroutine *co, Loop *loop)
{
    if (co->wake.loop != loop) {
        assert(!list_is_linked(&co->wake.link));
        loop_work_init(&co->wake, loop, enter_by_loop, co);
    }
}

void co_enter(Coroutine *co)
{
    ThreadState *t = state();
    Coroutine *self = t->current;

    assert(!co->caller && !co->ended);
    co->caller = self;
    belong_to(co, loop_current());
    t->current = co;
    switch_to(self, co);
    if (co->ended) {
        co_release(co);
    } else if (co->move_to) {
        /* Only now is its stack free to be used by another thread. */
        Loop *loop = co->move_to;

        co->move_to = NULL;
        belong_to(co, loop);
        loop_work_schedule(&co->wake);
    }
}

void CO_FN co_yield(void)
{
    ThreadState *t = state();
    Coroutine *self = t->current, *to = self->caller;

    assert(to); /* not in a coroutine */
    self->caller = NULL;
    t->current = to;
    switch_to(self, to);
}

void co_wake(Coroutine *co)
{
    assert(co->wake.loop);
    loop_work_schedule(&co->wake);
}

void CO_FN co_move(Loop *loop)
{
    Coroutine *self = co_self();

    if (loop != loop_current()) {
        self->move_to = loop;
        co_yield();
    }
}

void CO_FN co_pass(void)
{
    co_wake(co_self());
    co_yield();
}
