/*
 * -g: the process as gdb sees it. Registers are those of gdb's features org.gnu.gdb.i386.core, sse, linux and segments ("Debugging
 * with GDB", G.5.5), in that order.
 *
 * A breakpoint is INT3 in what the translator reads, never in memory. Stopping: the thread that stops makes itself alone and talks;
 * others wait where they would enter translated code, or stay in the kernel. Ctrl-C: a thread of ours waits for it.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gdbstub/gdbstub.h"
#include "linux-user/linux-user.h"

enum {
    N_RIP = 16, N_FLAGS, N_CS, N_SS, N_DS, N_ES, N_FS, N_GS, N_ST, N_FCTRL = N_ST + 8, N_FSTAT, N_FTAG, N_FISEG, N_FIOFF, N_FOSEG,
    N_FOOFF, N_FOP, N_XMM, N_MXCSR = N_XMM + 16, N_ORIG_RAX, N_FS_BASE, N_GS_BASE, NUM_REGISTERS,
};

typedef struct UserGdb {
    GdbStub *stub;
    GdbTarget target;
    char *xml;
    uint64_t *breakpoints;
    size_t num_breakpoints;
    uint64_t step;            /* thread to stop after an instruction; 0: none */
} UserGdb;

/* gdb's order of the general registers. */
static const uint8_t gprs[16] = { R_RAX, R_RBX, R_RCX, R_RDX, R_RSI, R_RDI, R_RBP, R_RSP, 8, 9, 10, 11, 12, 13, 14, 15 };

/* Description --------------------------------------------------------------------- */

static void reg(FILE *f, const char *name, unsigned bits, const char *type)
{
    fprintf(f, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\"/>\n", name, bits, type);
}

static void core_registers(FILE *f)
{
    static const char *const names[] = { "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp" };
    static const char *const segs[] = { "cs", "ss", "ds", "es", "fs", "gs" };
    static const char *const fpu[] = { "fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop" };
    char name[8];

    for (unsigned n = 0; n < 16; n++) {
        snprintf(name, sizeof(name), "r%u", n);
        reg(f, n < 8 ? names[n] : name, 64, n == 6 || n == 7 ? "data_ptr" : "int64");
    }
    reg(f, "rip", 64, "code_ptr");
    reg(f, "eflags", 32, "int32");
    for (unsigned n = 0; n < 6; n++) {
        reg(f, segs[n], 32, "int32");
    }
    for (unsigned n = 0; n < 8; n++) {
        snprintf(name, sizeof(name), "st%u", n);
        reg(f, name, 80, "i387_ext");
    }
    for (unsigned n = 0; n < 8; n++) {
        reg(f, fpu[n], 32, "int");
    }
}

static char *make_xml(void)
{
    char *text = NULL, name[8];
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);

    if (!f) {
        return NULL;
    }
    fputs("<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target>\n<architecture>i386:x86-64</architecture>\n"
          "<osabi>GNU/Linux</osabi>\n<feature name=\"org.gnu.gdb.i386.core\">\n", f);
    core_registers(f);
    fputs("</feature>\n<feature name=\"org.gnu.gdb.i386.sse\">\n"
          "<vector id=\"v4f\" type=\"ieee_single\" count=\"4\"/>\n<vector id=\"v2d\" type=\"ieee_double\" count=\"2\"/>\n"
          "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>\n<vector id=\"v8i16\" type=\"int16\" count=\"8\"/>\n"
          "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>\n<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>\n"
          "<union id=\"vec128\">\n<field name=\"v4_float\" type=\"v4f\"/>\n<field name=\"v2_double\" type=\"v2d\"/>\n"
          "<field name=\"v16_int8\" type=\"v16i8\"/>\n<field name=\"v8_int16\" type=\"v8i16\"/>\n"
          "<field name=\"v4_int32\" type=\"v4i32\"/>\n<field name=\"v2_int64\" type=\"v2i64\"/>\n"
          "<field name=\"uint128\" type=\"uint128\"/>\n</union>\n", f);
    for (unsigned n = 0; n < 16; n++) {
        snprintf(name, sizeof(name), "xmm%u", n);
        reg(f, name, 128, "vec128");
    }
    reg(f, "mxcsr", 32, "int");
    fputs("</feature>\n<feature name=\"org.gnu.gdb.i386.linux\">\n", f);
    reg(f, "orig_rax", 64, "int");
    fputs("</feature>\n<feature name=\"org.gnu.gdb.i386.segments\">\n", f);
    reg(f, "fs_base", 64, "int");
    reg(f, "gs_base", 64, "int");
    fputs("</feature>\n</target>\n", f);
    fclose(f);
    return text;
}

static const char *description(void *opaque)
{
    return ((UserThread *)opaque)->p->gdb->xml;
}

/* Threads and registers -------------------------------------------------------------- */

/* Under threads_lock: who talks to gdb is alone. */
static UserThread *find(UserProcess *p, uint64_t tid)
{
    UserThread *t = p->threads;

    while (t && (uint64_t)t->tid != tid) {
        t = t->next;
    }
    return t;
}

static uint64_t next_thread(void *opaque, uint64_t tid)
{
    UserProcess *p = ((UserThread *)opaque)->p;
    uint64_t next = 0;

    for (UserThread *t = p->threads; t; t = t->next) {
        uint64_t v = (uint64_t)t->tid;
        next = v > tid && (!next || v < next) ? v : next;
    }
    return next;
}

/* Where register n is in the state, and how many bytes; 0: it is made or taken apart by the caller. */
static void *place(X86Cpu *c, unsigned n, unsigned *size)
{
    X86State *st = &c->st;
    static const uint8_t segs[6] = { S_CS, S_SS, S_DS, S_ES, S_FS, S_GS };

    *size = 8;
    if (n < N_RIP) {
        return &st->gpr[gprs[n]];
    }
    if (n == N_RIP) {
        return &st->rip;
    }
    if (n == N_FS_BASE || n == N_GS_BASE) {
        return &st->seg[n == N_FS_BASE ? S_FS : S_GS].base;
    }
    if (n >= N_ST && n < N_FCTRL) {
        *size = 10;
        return st->fpr[((st->fsw >> 11 & 7) + n - N_ST) & 7];
    }
    if (n >= N_XMM && n < N_MXCSR) {
        *size = 16;
        return st->vec[n - N_XMM];
    }
    *size = 2;
    if (n >= N_CS && n < N_ST) {
        return &st->seg[segs[n - N_CS]].selector;
    }
    return n == N_FCTRL ? &st->fcw : n == N_FSTAT ? &st->fsw : n == N_FISEG ? &st->fcs : n == N_FOSEG ? &st->fds : n == N_FOP ? &st->fop
                                                                                                                      : NULL;
}

/* The full tag word: two bits a register, 3 for empty. */
static uint32_t tags(const X86State *st)
{
    uint32_t v = 0;

    for (unsigned n = 0; n < 8; n++) {
        v |= (st->ftw >> n & 1 ? 0u : 3u) << 2 * n;
    }
    return v;
}

static unsigned get_register(void *opaque, uint64_t thread, unsigned n, uint8_t *buf)
{
    UserThread *t = find(((UserThread *)opaque)->p, thread);
    unsigned size;
    uint32_t v = 0;
    void *at;

    if (!t) {
        return 0;
    }
    at = place(t->cpu, n, &size);
    if (at && size > 2) {
        memcpy(buf, at, size);
        return size;
    }
    if (n == N_ORIG_RAX) {
        memset(buf, 0xff, 8);
        return 8;
    }
    if (at) {
        memcpy(&v, at, size);
    } else {
        v = n == N_FLAGS ? (uint32_t)x86_get_rflags(t->cpu) : n == N_FTAG ? tags(&t->cpu->st) : n == N_FIOFF ? (uint32_t)t->cpu->st.fip :
            n == N_FOOFF ? (uint32_t)t->cpu->st.fdp : n == N_MXCSR ? t->cpu->st.mxcsr : 0;
    }
    memcpy(buf, &v, 4);
    return 4;
}

static unsigned set_register(void *opaque, uint64_t thread, unsigned n, const uint8_t *buf)
{
    UserThread *t = find(((UserThread *)opaque)->p, thread);
    unsigned size;
    uint32_t v;
    void *at;

    if (!t) {
        return 0;
    }
    at = place(t->cpu, n, &size);
    memcpy(&v, buf, 4);
    if (n >= N_CS && n < N_FS) {
        return 4; /* they cannot be changed */
    }
    if (at) {
        memcpy(at, buf, size);
    } else if (n == N_FLAGS) {
        x86_set_rflags(t->cpu, v, FL_STATUS | FL_TF | FL_DF | FL_AC);
    } else if (n == N_MXCSR) {
        t->cpu->st.mxcsr = v & 0xffff;
    } else if (n == N_ORIG_RAX) {
        t->restart = t->restart && (int32_t)v != -1; /* gdb calls a function in the middle of a call: not begun again */
        return 8;
    }
    t->cpu->rt.mxcsr = t->cpu->st.mxcsr;
    t->slot = NULL;
    user_cpu_go(t->cpu, t->cpu->st.rip);
    x86_update_key(t->cpu);
    return size == 2 ? 4 : size;
}

/* Memory and breakpoints ------------------------------------------------------------------- */

static bool read_memory(void *opaque, uint64_t addr, void *buf, size_t n)
{
    UserThread *t = opaque;
    bool ok = user_get(addr, buf, n);

    t->fault_seen = t->fault_in_copy = false;
    return ok;
}

/* Also what the guest may not write. */
static bool write_memory(void *opaque, uint64_t addr, const void *buf, size_t n)
{
    UserThread *t = opaque;
    UserProcess *p = t->p;
    uint64_t first = addr & USER_PAGE_MASK, last = (addr + n - 1) & USER_PAGE_MASK;
    bool ok;

    if (!map_all(&p->map, first, last + USER_PAGE, MAP_VALID)) {
        return false;
    }
    user_lift_range(p, addr, n);
    mprotect((void *)(uintptr_t)first, last - first + USER_PAGE, PROT_READ | PROT_WRITE);
    ok = user_put(addr, buf, n);
    for (uint64_t at = first; at <= last; at += USER_PAGE) {
        mprotect((void *)(uintptr_t)at, USER_PAGE, user_host_rights(map_get(&p->map, at)));
    }
    tcg_invalidate(p->cache, addr, addr + n);
    t->fault_seen = t->fault_in_copy = false;
    return ok;
}

static bool breakpoint(void *opaque, uint64_t addr, bool on)
{
    UserProcess *p = ((UserThread *)opaque)->p;
    UserGdb *g = p->gdb;
    size_t n = 0;

    while (n < g->num_breakpoints && g->breakpoints[n] != addr) {
        n++;
    }
    if (on && n == g->num_breakpoints) {
        uint64_t *more = map_get(&p->map, addr) & MAP_VALID ? realloc(g->breakpoints, (n + 1) * sizeof(*more)) : NULL;

        if (!more) {
            return false;
        }
        g->breakpoints = more;
        g->breakpoints[g->num_breakpoints++] = addr;
    } else if (!on && n < g->num_breakpoints) {
        g->breakpoints[n] = g->breakpoints[--g->num_breakpoints];
    }
    tcg_invalidate(p->cache, addr, addr + 1);
    return true;
}

bool user_gdb_is_breakpoint(const UserProcess *p, uint64_t addr)
{
    for (size_t n = 0; n < p->gdb->num_breakpoints; n++) {
        if (p->gdb->breakpoints[n] == addr) {
            return true;
        }
    }
    return false;
}

/*
 * What the translator reads. Who runs one instruction alone steps over the breakpoint. Going on does not: gdb takes away a
 * breakpoint that it goes on from, and expects to meet one where it has put rip (a call by hand of a function with one).
 */
void user_gdb_patch(const UserProcess *p, uint64_t pc, uint8_t *buf, unsigned len)
{
    for (size_t n = 0; n < p->gdb->num_breakpoints; n++) {
        uint64_t at = p->gdb->breakpoints[n] - pc;

        if (at < len) {
            buf[at] = 0xcc;
        }
    }
}

/* Stopping ----------------------------------------------------------------------------------- */

static void detach(UserProcess *p)
{
    UserGdb *g = p->gdb;

    for (size_t n = 0; n < g->num_breakpoints; n++) {
        tcg_invalidate(p->cache, g->breakpoints[n], g->breakpoints[n] + 1);
    }
    g->num_breakpoints = 0;
    g->step = 0;
    atomic_store(&p->gdb_active, 0);
}

int user_gdb_stop(UserThread *t, int sig, bool announce)
{
    UserProcess *p = t->p;
    UserGdb *g = p->gdb;
    GdbResume r;

    if (t->vfork_child) { /* another process, in our memory: it steps over its parent's breakpoints */
        t->one_insn = true;
        return sig;
    }
    user_save_fpu(t);
    user_stop_others(t);
    atomic_store(&t->inside, 0);
    if (!atomic_load(&p->gdb_active)) {
        user_start_others(t);
        return sig;
    }
    g->target.pid = (uint64_t)getpid();
    r = gdb_stop(g->stub, (uint64_t)t->tid, sig, announce);
    g->step = r.action == GDB_STEP ? r.thread : 0;
    t->slot = NULL; /* gdb may have changed rip: not where the last region goes */
    if (r.action == GDB_DETACH) {
        detach(p);
    }
    user_start_others(t);
    if (r.action == GDB_KILL) {
        user_die(t, SIGKILL);
    }
    return r.signal;
}

bool user_gdb_stepping(const UserThread *t)
{
    return t->p->gdb->step == (uint64_t)t->tid;
}

bool user_gdb_wants(const UserThread *t, int sig)
{
    return atomic_load(&t->p->gdb_active) && !gdb_passes(t->p->gdb->stub, sig);
}

void user_gdb_exit(UserThread *t, int status, int sig)
{
    if (atomic_exchange(&t->p->gdb_active, 0)) {
        if (sig) {
            gdb_killed(t->p->gdb->stub, sig);
        } else {
            gdb_exited(t->p->gdb->stub, status);
        }
    }
}

/* A child is nobody's. */
void user_gdb_fork_child(UserProcess *p)
{
    if (p->gdb) {
        close(gdb_fd(p->gdb->stub));
        detach(p);
    }
}

/* Waits for Ctrl-C while the guest runs: data that comes while it is stopped belongs to who talks to gdb. */
static void *wait_for_interrupt(void *opaque)
{
    UserProcess *p = opaque;
    struct pollfd fd = { .fd = gdb_fd(p->gdb->stub), .events = POLLIN };

    while (atomic_load(&p->gdb_active)) {
        poll(&fd, 1, 1000);
        pthread_mutex_lock(&p->threads_lock); /* nobody is talking */
        if (p->threads && atomic_load(&p->gdb_active) && gdb_interrupted(p->gdb->stub)) {
            atomic_store(&p->gdb_break, 1);
            user_raw_syscall(SYS_tgkill, (uint64_t)getpid(), (uint64_t)p->threads->tid, SIGTRAP, 0, 0, 0);
        }
        pthread_mutex_unlock(&p->threads_lock);
    }
    return NULL;
}

bool user_gdb_start(UserThread *t, const char *where, Error **errp)
{
    UserProcess *p = t->p;
    UserGdb *g = calloc(1, sizeof(*g));
    pthread_attr_t attr;
    pthread_t thread;

    if (!g || !(g->xml = make_xml())) {
        return error_set(errp, "-g: no memory");
    }
    g->target = (GdbTarget){
        .description = description, .num_registers = NUM_REGISTERS, .get_register = get_register, .set_register = set_register,
        .read = read_memory, .write = write_memory, .breakpoint = breakpoint, .next_thread = next_thread, .exec_file = p->exe,
        .auxv = (void *)(uintptr_t)p->auxv, .auxv_size = p->auxv_size,
    };
    p->gdb = g;
    g->stub = gdb_listen(where, &g->target, t, errp);
    if (!g->stub) {
        return false;
    }
    atomic_store(&p->gdb_active, 1);
    user_block_all(t); /* for the thread, which inherits it */
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 << 10);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &attr, wait_for_interrupt, p)) {
        return error_set(errp, "-g: no memory for a thread");
    }
    user_sync_mask(t);
    user_gdb_stop(t, SIGTRAP, false);
    return true;
}
