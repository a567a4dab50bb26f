# Debug exceptions: SDM vol. 3, chapter 17 (17.2 registers, 17.3 exceptions); interrupt shadow of MOV SS and STI: 6.8.3.
.include "guest.inc"
.code16
    jmp start
.code32
    STUBS common32
    HANDLER32
user_flags: .long 2
.set VAR, 0x30000
.set SETTF, 0x100

.macro CLEAR6
    xor %eax,%eax
    mov %eax,%dr6
.endm
# #DB with DR6 & e00fh == dr6, at address
.macro DEBUG_AT dr6, at
    CHECK $EXC_DB,rec_vector
    mov %dr6,%eax
    and $0xe00f,%eax
    CHECK $\dr6,%eax
    CHECK $\at,rec_eip
.endm

start:
    ENTER32
    MAKE_IDT32
    mov $TSS,%eax
    ltr %ax

    CASE 0x100                   # single step: trap after the instruction that follows POPF
    CLEAR6
    movl $1f,resume
    pushl $SETTF+2
    popf
    inc %ebx
2:  jmp fail32
1:  DEBUG_AT 0x4000, 2b
    testl $SETTF,rec_eflags
    jz fail32
    CASE 0x101                   # MOV SS holds the trap off for one instruction (6.8.3)
    CLEAR6
    mov $DATA32,%ecx
    movl $1f,resume
    pushl $SETTF+2
    popf
    mov %ecx,%ss
    nop
2:  jmp fail32
1:  DEBUG_AT 0x4000, 2b
    CASE 0x102                   # INT n clears TF: no trap at the handler's first instruction
    CLEAR6
    movl $1f,resume
    pushl $SETTF+2
    popf
    int $0x80
2:  jmp fail32
1:  CHECK $0x80,rec_vector
    CHECK $2b,rec_eip
    CASE 0x103                   # each iteration of REP is a step
    CLEAR6
    mov $VAR,%edi
    mov $3,%ecx
    movl $1f,resume
    pushl $SETTF+2
    popf
2:  rep stosb
    jmp fail32
1:  DEBUG_AT 0x4000, 2b
    CHECK $2,%ecx

    CASE 0x200                   # instruction breakpoint: a fault, before the instruction
    CLEAR6
    mov $2f,%eax
    mov %eax,%dr0
    mov $0x402,%eax
    mov %eax,%dr7
    movl $1f,resume
    xor %ebx,%ebx
    inc %ebx
2:  inc %ebx
    cmpl $0,past
    jne 3f
    jmp fail32
1:  DEBUG_AT 1, 2b
    CHECK $1,%ebx
    movl $1,past
    pushl $0x10002               # with RF in the frame, IRET gets past it
    pushl $CODE32
    pushl $2b
    iret
3:  CHECK $2,%ebx
    CASE 0x201                   # data breakpoint on writes: a trap, behind the instruction
    CLEAR6
    mov $VAR,%eax
    mov %eax,%dr1
    mov $0x00d00408,%eax         # DR1: write, 4 bytes
    mov %eax,%dr7
    mov VAR,%eax                 # reads are not watched
    movl $1f,resume
    movl $7,VAR+3
2:  jmp fail32
1:  DEBUG_AT 2, 2b
    CHECK $7,VAR+3
    CASE 0x202                   # reads and writes
    CLEAR6
    mov $0x00f00408,%eax
    mov %eax,%dr7
    movl $1f,resume
    mov VAR,%ebx
2:  jmp fail32
1:  DEBUG_AT 2, 2b
    CASE 0x203                   # I/O breakpoint with CR4.DE
    CLEAR6
    mov %cr4,%eax
    or $8,%eax
    mov %eax,%cr4
    mov $0x10,%eax
    mov %eax,%dr2
    mov $0x02000420,%eax         # DR2: I/O, 1 byte
    mov %eax,%dr7
    movl $1f,resume
    in $0x10,%al
2:  jmp fail32
1:  DEBUG_AT 4, 2b
    FAULT EXC_UD, 0, mov %dr4,%eax
    CASE 0x204                   # general detect: a fault, and GD is clear in the handler
    CLEAR6
    mov $0x2400,%eax
    mov %eax,%dr7
    movl $1f,resume
2:  mov %dr0,%eax
    jmp fail32
1:  DEBUG_AT 0x2000, 2b
    mov %dr7,%eax
    CHECK $0x400,%eax
    CASE 0x205                   # INT1 (ICEBP): a trap that leaves DR6 alone
    CLEAR6
    movl $1f,resume
    .byte 0xf1
2:  jmp fail32
1:  DEBUG_AT 0, 2b
    UFAULT EXC_GP, 0, mov %eax,%dr0

    CASE 0x300                   # STI: interrupts wait for one instruction; MOV SS too, and for NMIs
    movl $1f,resume
    mov $PORT_VEC,%edx
    mov $0x55,%al
    out %al,%dx
    dec %edx
    xor %eax,%eax
    out %al,%dx
    sti
    mov %ss,%ecx                 # not after this one
2:  nop
    jmp fail32
1:  CHECK $0x55,rec_vector
    CHECK $2b,rec_eip
    CASE 0x301                   # STI; CLI: never
    mov $PORT_VEC,%edx
    mov $0x56,%al
    out %al,%dx
    dec %edx
    xor %eax,%eax
    out %al,%dx
    mov rec_count,%ebx
    sti
    cli
    nop
    CHECK %ebx,rec_count
    movl $1f,resume              # POPF: no shadow
    pushl $0x202
    popf
2:  jmp fail32
1:  CHECK $0x56,rec_vector
    CHECK $2b,rec_eip
    jmp pass32
past: .long 0

    TABLES32
