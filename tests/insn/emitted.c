/* See emitted.h. */
#include <asm/prctl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target/i386/gen.h"
#include "tcg/x86_64/emit.h"
#include "tests/insn/emitted.h"
#include "tests/insn/insn.h"

enum { BUFFER = 1 << 20, MAP = 1 << 16 };

static struct {
    X86Emit *emit;
    TcgThunks thunks;
    uint8_t *code, *end;     /* where regions go: one at a time */
    uint8_t map[MAP];
    TcgSlot slots[TCG_MAX_SLOTS];
    TcgEmitted out;
    bool running, faulted;
    TcgMapEntry at;          /* where it faulted */
} em;

EmittedFault emitted_fault;

X86Cpu *emitted_new_cpu(void)
{
    size_t size = (sizeof(X86Cpu) + 2 * PAGE) & ~(size_t)(PAGE - 1);
    uint8_t *page = mmap(NULL, size + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint8_t *buf = mmap(NULL, BUFFER, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    X86Cpu *cpu = (X86Cpu *)(page + PAGE);

    em.emit = x86_emit_new(&x86_tcg_guest);
    if (page == MAP_FAILED || buf == MAP_FAILED || !em.emit ||
        !x86_emit_thunks(em.emit, buf, buf + BUFFER, 0, true, &em.thunks)) {
        abort();
    }
    em.code = (uint8_t *)(((uintptr_t)em.thunks.end + 63) & ~(uintptr_t)63);
    em.end = buf + BUFFER;
    cpu->rt.self = cpu;
    cpu->rt.mxcsr = 0x1f80;
    cpu->rt.fpucw = 0x37f;
    return cpu;
}

bool emitted_running(void)
{
    return em.running;
}

static bool find(uint64_t host_pc)
{
    uint64_t off = host_pc - (uintptr_t)em.code;

    return em.running && off < em.out.size && x86_map_find(em.map, em.out.map_size, (uint32_t)off, &em.at);
}

bool emitted_signal(ucontext_t *uc)
{
    greg_t *g = uc->uc_mcontext.gregs;

    if (!find((uint64_t)g[REG_RIP])) {
        return false;
    }
    em.faulted = true;
    emitted_fault = (EmittedFault){ .vector = (int)g[REG_TRAPNO], .error = (uint32_t)g[REG_ERR] };
    if (emitted_fault.vector == EXC_PF) {
        emitted_fault.address = (uint64_t)g[REG_CR2];
    }
    g[REG_RIP] = (greg_t)(uintptr_t)(em.at.flags_in_slot ? em.thunks.fault_in_slot : em.thunks.fault);
    return true;
}

void emitted_raise(void *return_address)
{
    void (*raise_it)(void);

    if (!find((uintptr_t)return_address - 1)) {
        abort();
    }
    em.faulted = true;
    emitted_fault.vector = -1;
    memcpy(&raise_it, &em.thunks.raise, sizeof(raise_it));
    raise_it();
    abort();
}

static void stop_of(const X86Cpu *cpu, IrStop *stop)
{
    *stop = (IrStop){ .pc = cpu->rt.exit_pc };
    switch (cpu->rt.exit_reason) {
    case TCG_EXIT_LINK:
        stop->reason = IR_STOP_EXIT;
        stop->pc = cpu->rt.exit_slot->pc;
        break;
    case TCG_EXIT_LOOKUP:
        stop->reason = IR_STOP_EXIT_IND;
        break;
    case TCG_EXIT_LEAVE:
        stop->reason = IR_STOP_LEAVE;
        stop->slot = cpu->rt.exit_code;
        break;
    case TCG_EXIT_RAISE:
        stop->reason = em.faulted ? IR_STOP_FAULT : IR_STOP_BUDGET;
        stop->pc = em.at.pc;
        stop->word = em.at.word;
        break;
    default:
        stop->reason = IR_STOP_BUDGET;
        break;
    }
}

bool emitted_run(X86Cpu *cpu, const IrRegion *r, uint64_t pc, IrStop *stop, const char **why)
{
    TcgEmitJob job = { .ir = r, .thunks = &em.thunks, .user = true, .pc = pc, .code = em.code, .code_end = em.end,
                       .slots = em.slots, .map = em.map, .map_end = em.map + MAP };
    void (*enter)(void *, const void *);

    memset(em.slots, 0, sizeof(em.slots));
    if (x86_emit(em.emit, &job, &em.out) != TCG_EMIT_OK) {
        *why = em.out.unsupported_op < IR_NUM_OPS ? ir_ops[em.out.unsupported_op].name : em.out.why;
        return false;
    }
    memcpy(&enter, &em.thunks.enter, sizeof(enter));
    for (unsigned n = 0; n < TCG_RETURN_RING; n++) { /* the region before is no more */
        cpu->rt.ret_ring[n] = (uintptr_t)em.thunks.lookup;
    }
    cpu->rt.mxcsr = cpu->st.mxcsr;
    syscall(SYS_arch_prctl, ARCH_SET_GS, cpu);
    em.faulted = false;
    em.running = true;
    enter(cpu, em.code + em.out.entry);
    em.running = false;
    syscall(SYS_arch_prctl, ARCH_SET_GS, DATA); /* what native code sees */
    cpu->st.mxcsr = cpu->rt.mxcsr;
    stop_of(cpu, stop);
    return true;
}
