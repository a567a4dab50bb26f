/*
 * States, entering and leaving translated code, faults in it. See tcg/runtime.h.
 */
#include <asm/prctl.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "tcg/internal.h"

enum { POLL_PAGE = 4096 }; /* before the state: what poll reads */

static size_t state_bytes(const TcgCache *c)
{
    return POLL_PAGE + ((c->config.guest->state_size + 4095u) & ~4095u);
}

TcgRuntime *tcg_runtime(const TcgCache *c, void *state)
{
    return (TcgRuntime *)((uint8_t *)state + c->config.guest->runtime_offset);
}

/* memset's way with words, as often as the guest changes its mode; without vector registers, which may be the guest's. */
static void fill(uint64_t *p, uint64_t value, size_t n)
{
    __asm__ volatile("rep stosq" : "+D"(p), "+c"(n) : "a"(value) : "memory");
}

void tcg_forget_returns(TcgCache *c, void *state)
{
    fill(tcg_runtime(c, state)->returns, (uintptr_t)c->thunks.lookup, TCG_RETURNS);
}

/* Atomic for removers of regions on other threads. */
static void forget_entry(TcgRuntime *rt, uint32_t n)
{
    __atomic_store_n(&rt->jump_table[n], 0, __ATOMIC_RELAXED);
}

/* Entries 64 * block on, those whose bit is set. */
static void forget_entries(TcgRuntime *rt, uint32_t block, uint64_t bits)
{
    for (; bits; bits &= bits - 1) {
        forget_entry(rt, block * 64 + (uint32_t)__builtin_ctzll(bits));
    }
}

void tcg_forget_space(TcgCache *c, void *state)
{
    TcgRuntime *rt = tcg_runtime(c, state);

    if (rt->num_passing > TCG_PASSING) {
        for (uint32_t n = 0; n < TCG_JUMP_TABLE / 64; n++) {
            forget_entries(rt, n, rt->passing[n]);
            rt->passing[n] = 0;
        }
    } else {
        for (uint32_t n = 0; n < rt->num_passing; n++) {
            forget_entry(rt, rt->passing_list[n]);
            rt->passing[rt->passing_list[n] / 64] = 0; /* all its others are in the list too */
        }
    }
    rt->num_passing = 0;
    tcg_forget_returns(c, state);
}

void tcg_forget(TcgCache *c, void *state)
{
    TcgRuntime *rt = tcg_runtime(c, state);

    for (uint32_t n = 0; n < TCG_JUMP_TABLE / 64 / 64; n++) {
        for (; rt->in_use[n]; rt->in_use[n] &= rt->in_use[n] - 1) {
            forget_entries(rt, n * 64 + (uint32_t)__builtin_ctzll(rt->in_use[n]), UINT64_MAX);
        }
    }
    tcg_forget_space(c, state);
}

void *tcg_state_new(TcgCache *c, Error **errp)
{
    uint8_t *p = mmap(NULL, state_bytes(c), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                      -1, 0);
    TcgRuntime *rt;
    bool room;

    if (p == MAP_FAILED) {
        error_set_errno(errp, errno, "CPU state");
        return NULL;
    }
    p += POLL_PAGE;
    rt = tcg_runtime(c, p);
    rt->self = p;
    rt->cache = c;
    rt->mxcsr = 0x1f80;  /* SDM 10.2.3.1 and 8.1.5: as after reset of SSE and x87 with all masked */
    rt->fpucw = 0x37f;
    tcg_forget_returns(c, p);
    pthread_mutex_lock(&c->lock);
    room = c->num_states < MAX_STATES;
    if (room) {
        c->states[c->num_states++] = p;
    }
    pthread_mutex_unlock(&c->lock);
    if (!room) {
        munmap(p - POLL_PAGE, state_bytes(c));
        error_set(errp, "CPU state: more than %d at once", MAX_STATES);
        return NULL;
    }
    return p;
}

void tcg_state_free(TcgCache *c, void *state)
{
    if (!state) {
        return;
    }
    pthread_mutex_lock(&c->lock);
    for (unsigned n = 0; n < c->num_states; n++) {
        if (c->states[n] == state) {
            c->states[n] = c->states[--c->num_states];
            break;
        }
    }
    pthread_mutex_unlock(&c->lock);
    munmap((uint8_t *)state - POLL_PAGE, state_bytes(c));
}

void tcg_thread_attach(void *state)
{
    syscall(SYS_arch_prctl, ARCH_SET_GS, (unsigned long)state);
}

TcgExitReason tcg_enter(TcgCache *c, void *state, const TcgRegion *r)
{
    TcgRuntime *rt = tcg_runtime(c, state);
    void (*enter)(void *, const void *);

    memcpy(&enter, &c->thunks.enter, sizeof(enter));
    if (r->loops && !__atomic_load_n(&r->valid, __ATOMIC_SEQ_CST)) {
        tcg_kick(state); /* the bytes it was made of are gone: not a second round */
    }
    rt->region = r;
    rt->running = true;
    enter(state, r->entry);
    rt->running = false;
    if (rt->exit_reason == TCG_EXIT_LINK) {
        rt->exit_pc = rt->exit_slot->pc;
    }
    return rt->exit_reason;
}

bool tcg_unwind(const TcgCache *c, uintptr_t host_pc, uint64_t *pc, uint32_t *word, bool *flags_in_slot)
{
    const TcgRegion *r = tcg_region_at(c, host_pc);
    TcgMapEntry e;

    if (!r || !x86_map_find(r->map, r->map_size, (uint32_t)(host_pc - (uintptr_t)r->checked), &e)) {
        return false;
    }
    *pc = e.pc;
    *word = e.word;
    *flags_in_slot = e.flags_in_slot;
    return true;
}

bool tcg_current(TcgCache *c, void *state, uint64_t *pc, uint32_t *word)
{
    TcgRuntime *rt = tcg_runtime(c, state);
    bool in_slot;
    uintptr_t ret;

    if (!rt->running) {
        return false;
    }
    /* Helpers and slow paths are called with the stack as tcg_enter left it. */
    memcpy(&ret, (uint8_t *)(uintptr_t)rt->host_sp - 8, sizeof(ret));
    return tcg_unwind(c, ret - 1, pc, word, &in_slot);
}

const TcgRegion *tcg_running_region(TcgCache *c, void *state)
{
    TcgRuntime *rt = tcg_runtime(c, state);
    uintptr_t ret;

    if (!rt->running) {
        return NULL;
    }
    memcpy(&ret, (uint8_t *)(uintptr_t)rt->host_sp - 8, sizeof(ret));
    return tcg_region_at(c, ret - 1);
}

_Noreturn void tcg_raise(TcgCache *c, void *state)
{
    TcgRuntime *rt = tcg_runtime(c, state);
    void (*raise)(void) __attribute__((noreturn)); /* sanitizers are told of abandoned frames by this */

    memcpy(&raise, &c->thunks.raise, sizeof(raise));
    tcg_current(c, state, &rt->exit_pc, &rt->exit_word);
    rt->exit_reason = TCG_EXIT_RAISE;
    raise();
}

void tcg_kick(void *state)
{
    mprotect((uint8_t *)state - POLL_PAGE, POLL_PAGE, PROT_NONE);
}

static bool is_poll(void *state, const void *address)
{
    const uint8_t *page = (const uint8_t *)state - POLL_PAGE, *p = address;

    return p >= page && p < page + POLL_PAGE;
}

bool tcg_fault(TcgCache *c, void *state, void *ucontext, const void *fault_address)
{
    greg_t *regs = ((ucontext_t *)ucontext)->uc_mcontext.gregs;
    TcgRuntime *rt = tcg_runtime(c, state);
    bool in_slot = true;

    if (!rt->running) {
        return false;
    }
    rt->exit_reason = TCG_EXIT_RAISE;
    if (tcg_unwind(c, (uintptr_t)regs[REG_RIP], &rt->exit_pc, &rt->exit_word, &in_slot)) {
        if (is_poll(state, fault_address)) {
            rt->exit_reason = TCG_EXIT_POLL;
            mprotect((uint8_t *)state - POLL_PAGE, POLL_PAGE, PROT_READ | PROT_WRITE);
        }
        regs[REG_RIP] = (greg_t)(uintptr_t)(in_slot ? c->thunks.fault_in_slot : c->thunks.fault);
        return true;
    }
    if (tcg_current(c, state, &rt->exit_pc, &rt->exit_word)) {
        regs[REG_RIP] = (greg_t)(uintptr_t)c->thunks.raise;
        return true;
    }
    return false;
}
