/* Finding and making translations; pages that hold code; being alone. */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "linux-user/linux-user.h"
#include "target/i386/translate.h"
#include "util/disas.h"
#include "util/log.h"

enum { MAX_INSNS = 64 };

bool user_code_init(UserProcess *p, Error **errp)
{
    TcgConfig config = { .guest = &x86_tcg_guest, .user = true, .code_size = p->config.code_size };

    p->cache = tcg_cache_new(&config, errp);
    return p->cache != NULL;
}

/* Watching pages ------------------------------------------------------------------------ */

/* The host's rights for the guest's: what is executable must be readable for the translator, and never is executable. */
int user_host_rights(uint8_t flags)
{
    int prot = flags & (MAP_READ | MAP_WRITE) ? flags & (PROT_READ | PROT_WRITE) : 0;

    return flags & MAP_EXEC ? prot | PROT_READ : prot;
}

static void watch(UserProcess *p, uint64_t page)
{
    pthread_mutex_lock(&p->map.lock);
    if ((map_get(&p->map, page) & (MAP_WRITE | MAP_WATCHED)) == MAP_WRITE) {
        mprotect((void *)(uintptr_t)page, USER_PAGE, user_host_rights(map_get(&p->map, page)) & ~PROT_WRITE);
        map_change(&p->map, page, page + USER_PAGE, 0xff, MAP_WATCHED);
    }
    pthread_mutex_unlock(&p->map.lock);
}

bool user_lift(UserProcess *p, uint64_t addr)
{
    uint64_t page = addr & USER_PAGE_MASK;
    bool was;

    pthread_mutex_lock(&p->map.lock);
    was = map_get(&p->map, page) & MAP_WATCHED;
    if (was) {
        map_change(&p->map, page, page + USER_PAGE, (uint8_t)~MAP_WATCHED, 0);
        mprotect((void *)(uintptr_t)page, USER_PAGE, user_host_rights(map_get(&p->map, page)));
    }
    pthread_mutex_unlock(&p->map.lock);
    if (was) {
        tcg_invalidate(p->cache, page, page + USER_PAGE);
    }
    return was;
}

void user_lift_range(UserProcess *p, uint64_t addr, uint64_t size)
{
    uint64_t end = addr + size < addr ? UINT64_MAX : addr + size;
    uint8_t flags;

    while (atomic_load(&p->map.num_watched) && addr < end) {
        uint64_t next = map_run(&p->map, addr, end, &flags);

        for (; (flags & MAP_WATCHED) && addr < next; addr = (addr & USER_PAGE_MASK) + USER_PAGE) {
            user_lift(p, addr);
        }
        addr = next;
    }
}

/* The front end ---------------------------------------------------------------------------- */

typedef struct {
    UserThread *t;
    uint64_t key;
} Job;

/* A region of one instruction is for one passage: nobody watches its page, which the instruction may be about to write to. */
static unsigned fetch(void *opaque, vaddr pc, uint8_t *buf, unsigned len)
{
    UserThread *t = ((Job *)opaque)->t;
    UserProcess *p = t->p;
    uint64_t page = pc & USER_PAGE_MASK;
    uint8_t flags = map_get(&p->map, pc);

    if ((flags & (MAP_VALID | MAP_EXEC)) != (MAP_VALID | MAP_EXEC)) {
        return 0;
    }
    if (len > page + USER_PAGE - pc) {
        len = (unsigned)(page + USER_PAGE - pc);
    }
    if ((flags & MAP_WRITE) && !(((Job *)opaque)->key & KEY_ONE_INSN)) {
        watch(p, page);
    }
    len -= (unsigned)user_copy(buf, (void *)(uintptr_t)pc, len);
    if (atomic_load(&p->gdb_active) && !(((Job *)opaque)->key & KEY_ONE_INSN)) {
        user_gdb_patch(p, pc, buf, len);
    }
    if (len) {
        t->fault_seen = t->fault_in_copy = false;
    }
    return len;
}

/* -d in_asm; without a disassembler, bytes. */
static void log_code(UserThread *t, uint64_t pc, uint64_t end)
{
    FILE *f = log_begin();
    char text[DISAS_TEXT_MAX];

    if (!t->disas) {
        t->disas = disas_new(64, NULL);
    }
    fprintf(f, "----------------\nIN: \n");
    while (pc < end) {
        unsigned n = t->disas ? disas_one(t->disas, (const uint8_t *)(uintptr_t)pc, end - pc, pc, text) : 0;

        if (n) {
            fputs(text, f);
        } else {
            fprintf(f, "0x%08" PRIx64 ":  %02x\n", pc, *(const uint8_t *)(uintptr_t)pc);
        }
        pc += n ? n : 1;
    }
    fputc('\n', f);
    log_end(f);
}

static bool front_end(IrRegion *r, const TcgKey *key, TcgBuilt *built, void *opaque)
{
    Job *j = opaque;
    X86Translate x = { .r = r, .cpu = j->t->cpu, .pc = key->pc, .key = j->key, .fetch = fetch, .opaque = j,
                       .max_insns = j->t->p->config.one_insn ? 1 : MAX_INSNS };

    x86_translate(&x);
    if (!x.num_insns) {
        j->t->fault_cr2 = x.fault;
        return false;
    }
    built->guest_size = (uint32_t)(x.end - x.pc);
    if (((x.end - 1) ^ x.pc) & USER_PAGE_MASK) {
        built->page2 = (x.end - 1) & USER_PAGE_MASK;
    }
    if (log_enabled(LOG_IN_ASM) && log_in_filter(x.pc)) {
        log_code(j->t, x.pc, x.end);
    }
    return true;
}

/* SDM vol. 3, 6.15: a page fault of a fetch, from user mode; bit 4. The kernel's siginfo says whether something is mapped. */
static void fetch_fault(UserThread *t, uint64_t addr)
{
    bool mapped = map_get(&t->p->map, addr) & MAP_VALID;

    if (t->fault_seen) {
        return; /* the page is there but cannot be read: SIGBUS, noted by the handler */
    }
    t->fault_seen = true;
    memset(&t->fault_info, 0, sizeof(t->fault_info));
    t->fault_info.si_signo = SIGSEGV;
    t->fault_info.si_code = mapped ? SEGV_ACCERR : SEGV_MAPERR;
    t->fault_info.si_addr = (void *)(uintptr_t)addr;
    t->fault_trap = EXC_PF;
    t->fault_err = 0x14 | mapped;
    t->fault_cr2 = addr;
}

static void flush(UserThread *t)
{
    user_stop_others(t);
    tcg_flush(t->p->cache);
    user_start_others(t);
    t->slot = NULL;
}

TcgRegion *user_region(UserThread *t, uint64_t pc, uint64_t key)
{
    TcgKey k = { .pc = pc, .phys = pc, .mode = (uint32_t)key };
    Job job = { t, key };
    TcgRegion *r = tcg_find(t->p->cache, &k);
    TcgTranslated got;

    if (r) {
        return r;
    }
    while ((got = tcg_translate(t->ctx, &k, front_end, &job, &r)) == TCG_FULL) {
        flush(t);
    }
    if (got == TCG_TRANSLATED) {
        return r;
    }
    if (got == TCG_NOTHING) {
        fetch_fault(t, t->fault_cr2);
    } else if (!(key & KEY_ONE_INSN)) {
        log_item(LOG_UNIMP, "translator: 0x%" PRIx64 " one by one: %s\n", pc, tcg_refused_op(t->ctx));
        t->one_insn = true;
    } else {
        log_item(LOG_UNIMP, "translator: 0x%" PRIx64 " cannot be translated: %s\n", pc, tcg_refused_op(t->ctx));
        t->exc_vector = EXC_UD;
    }
    return NULL;
}

/* Being alone ---------------------------------------------------------------------------------- */

void user_stop_others(UserThread *t)
{
    UserProcess *p = t->p;

    atomic_store(&t->inside, 0); /* others that want to be alone need not wait for us */
    pthread_mutex_lock(&p->threads_lock);
    atomic_store(&p->stop, 1);
    for (UserThread *o = p->threads; o; o = o->next) {
        for (unsigned tries = 0; o != t && atomic_load(&o->inside); tries++) {
            if (tries % 256 == 0) {
                tcg_kick(o->cpu);
            }
            sched_yield();
        }
    }
    atomic_store(&t->inside, 1);
}

void user_start_others(UserThread *t)
{
    UserProcess *p = t->p;

    atomic_store(&p->stop, 0);
    user_raw_syscall(SYS_futex, (uintptr_t)&p->stop, FUTEX_WAKE, INT_MAX, 0, 0, 0);
    pthread_mutex_unlock(&p->threads_lock);
}
