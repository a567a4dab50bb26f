# IA-32e mode: SDM vol. 3, 4.5, 5.8.5.1, 6.14; vol. 2, SYSCALL, SYSRET, IRET, SWAPGS.
.include "guest.inc"
.code16
    jmp start
.code32
.set PML4, 0x20000
.set PDPT, 0x21000
.set PD, 0x22000
.set PT, 0x23000
.set V, 0x400000
.set PAGE, 0x30000
.set IST1, 0x5000
.code64
    STUBS common64
common64:
    cli
    cld
    popq rec_vector
    popq rec_error
    popq rec_rip
    popq rec_cs
    popq rec_rflags
    popq rec_rsp
    popq rec_ss
    mov %rax,rec_rax
    mov %cr2,%rax
    mov %rax,rec_cr2
    mov %ss,rec_new_ss
    mov %rsp,rec_new_rsp
    mov $DATA32,%eax
    mov %eax,%ss
    mov $STACK0,%esp
    mov resume,%rax
    test %rax,%rax
    jz 1f
    movq $0,resume
    mov %rax,go_on
    mov rec_rax,%rax
    jmp *go_on
1:  mov $msg_unexpected,%esi
    call print64
    jmp fail64
print64:
    mov $PORT_TEXT,%edx
1:  lodsb
    test %al,%al
    jz 2f
    out %al,%dx
    jmp 1b
2:  ret
hex64:
    mov $16,%ecx
    mov $PORT_TEXT,%edx
1:  rol $4,%rax
    push %rax
    and $15,%al
    add $'0',%al
    cmp $'9',%al
    jbe 2f
    add $39,%al
2:  out %al,%dx
    pop %rax
    loop 1b
    mov $' ',%al
    out %al,%dx
    ret
.macro SHOW v
    mov \v,%rax
    call hex64
.endm
fail64:
    mov $msg_fail,%esi
    call print64
    SHOW test_number
    SHOW rec_vector
    SHOW rec_error
    SHOW rec_rip
    SHOW rec_cs
    SHOW rec_cr2
    SHOW rec_rsp
    mov $1,%al
    mov $PORT_END,%edx
    out %al,%dx
1:  hlt
    jmp 1b
msg_unexpected: .asciz "unexpected: "
msg_fail: .asciz "FAILED: test vector error rip cs cr2 rsp: "
    .balign 8
rec_vector: .quad 0
rec_error: .quad 0
rec_rip: .quad 0
rec_cs: .quad 0
rec_rflags: .quad 0
rec_rsp: .quad 0
rec_ss: .quad 0
rec_rax: .quad 0
rec_cr2: .quad 0
rec_new_ss: .quad 0
rec_new_rsp: .quad 0
resume: .quad 0
go_on: .quad 0
test_number: .quad 0

.macro CASE64 n
    movq $\n,test_number
.endm
.macro CHECK64 a, b
    cmpq \a,\b
    jne fail64
.endm
.macro FAULT64 vec, err, insn:vararg
    movq $99f,resume
98: \insn
    jmp fail64
99: CHECK64 $\vec,rec_vector
    CHECK64 $\err,rec_error
    CHECK64 $98b,rec_rip
.endm
.macro USER64
    movq $99f,resume
    pushq $UDATA32
    pushq $STACK3
    pushq $0x202
    pushq $UCODE64
    pushq $98f
    iretq
98:
.endm
.macro UFAULT64 vec, err, insn:vararg
    USER64
    \insn
    int $0x80
99: CHECK64 $\vec,rec_vector
    CHECK64 $\err,rec_error
    CHECK64 $98b,rec_rip
.endm
.macro PTE64 n, value
    mov $\value,%rax
    mov %rax,PT+8*\n
    mov %cr3,%rax
    mov %rax,%cr3
.endm
.macro SETMSR index, value
    mov $\index,%ecx
    mov $(\value) & 0xffffffff,%eax
    mov $(\value) >> 32,%edx
    wrmsr
.endm

.code32
start:
    ENTER32
    movl $PDPT+7,PML4
    movl $PDPT+7,PML4+8*511      # the same at the top
    movl $PD+7,PDPT
    movl $PD+7,PDPT+8*511
    movl $0xe7,PD
    movl $0x2000e7,PD+8
    movl $PT+7,PD+16
    mov $stubs,%eax              # IDT of 64-bit interrupt gates
    mov $idt,%edi
    mov $256,%ecx
1:  mov %ax,(%edi)
    movw $CODE64,2(%edi)
    movw $0x8e00,4(%edi)
    add $16,%eax
    add $16,%edi
    loop 1b
    movb $0xee,idt+3*16+5
    movb $0xee,idt+0x80*16+5
    mov %cr4,%eax
    or $0x20,%eax
    mov %eax,%cr4
    mov $PML4,%eax
    mov %eax,%cr3
    mov $0xc0000080,%ecx
    rdmsr
    or $0x900,%eax               # LME, NXE
    wrmsr
    mov %cr0,%eax
    or $0x80000000,%eax
    mov %eax,%cr0
    rdmsr
    test $0x400,%eax             # LMA
    jz 9f
    ljmp $CODE64,$1f
9:  hlt
.code64
1:  lidt idtr
    mov $TSS,%eax
    ltr %ax
    xor %eax,%eax
    mov %eax,%fs
    mov %eax,%gs

    CASE64 0x100                 # canonical addresses: #GP(0); through the stack: #SS(0)
    mov $0x800000000000,%rbx
    FAULT64 EXC_GP, 0, mov (%rbx),%rax
    FAULT64 EXC_GP, 0, mov %rax,(%rbx)
    mov $0xffff7fffffffffff,%rbx
    FAULT64 EXC_GP, 0, mov (%rbx),%al
    mov $-0x80000000+0x8000,%rbx # the image again, at the top
    mov $0xffffff8000000000,%rbx
    add $0x8000,%rbx
    mov (%rbx),%eax
    cmp 0x8000,%eax
    jne fail64
    CASE64 0x101                 # the frame: aligned to 16, SS:RSP always
    mov $STACK0-8,%rsp
    FAULT64 EXC_UD, 0, ud2
    CHECK64 $STACK0-8,rec_rsp
    CHECK64 $DATA32,rec_ss
    CHECK64 $STACK0-16,rec_new_rsp
    mov $STACK0,%rsp
    CASE64 0x102                 # page faults, NX
    FAULT64 EXC_PF, 0, mov V,%eax
    PTE64 0, PAGE+7
    movb $0xc3,V
    call V+0
    PTE64 0, 0x8000000000000007+PAGE
    mov V,%eax
    movq $1f,resume
    call V+0
1:  CHECK64 $EXC_PF,rec_vector
    CHECK64 $0x11,rec_error
    CHECK64 $V,rec_rip
    mov $STACK0,%rsp
    PTE64 0, 0x0008000000000007+PAGE   # bit 51 is above the physical address: reserved
    FAULT64 EXC_PF, 9, mov V,%eax
    PTE64 0, 0x0010000000000007+PAGE   # bits 62:52 are ignored
    mov V,%eax

    CASE64 0x200                 # ring 3 and back; stack of the TSS, SS null
    USER64
    int $0x80
99: CHECK64 $0x80,rec_vector
    CHECK64 $UCODE64,rec_cs
    CHECK64 $UDATA32,rec_ss
    CHECK64 $STACK3,rec_rsp
    CHECK64 $0,rec_new_ss
    CHECK64 $STACK0,rec_new_rsp
    UFAULT64 EXC_GP, 0, cli
    UFAULT64 EXC_GP, 0, hlt
    UFAULT64 EXC_GP, 0, rdpmc    # CR4.PCE = 0
    UFAULT64 EXC_GP, 0x42*8+2, int $0x42
    PTE64 0, PAGE+3
    UFAULT64 EXC_PF, 5, mov V,%eax
    CASE64 0x201                 # IST
    movb $1,idt+14*16+4
    mov $STACK0-0x100,%rsp
    FAULT64 EXC_PF, 2, movl $1,V+0x1000
    CHECK64 $IST1,rec_new_rsp
    CHECK64 $STACK0-0x100,rec_rsp
    CHECK64 $DATA32,rec_new_ss   # no change of level: SS stays
    movb $0,idt+14*16+4
    mov $STACK0,%rsp
    CASE64 0x202                 # gates of IA-32e mode: 16-bit and task gates are gone
    movb $0x86,idt+0x40*16+5
    FAULT64 EXC_GP, 0x40*8+2, int $0x40
    movb $0x85,idt+0x40*16+5
    FAULT64 EXC_GP, 0x40*8+2, int $0x40
    movb $0x8e,idt+0x40*16+5
    movw $CODE32,idt+0x40*16+2   # a handler that is not 64-bit code
    FAULT64 EXC_GP, CODE32, int $0x40
    movw $CODE64,idt+0x40*16+2
    movl $0x8000,idt+0x40*16+8   # a target that is not canonical
    FAULT64 EXC_GP, 0, int $0x40

    CASE64 0x300                 # SYSCALL, SYSRET
    FAULT64 EXC_UD, 0, syscall   # EFER.SCE
    mov $0xc0000080,%ecx
    rdmsr
    or $1,%eax
    wrmsr
    SETMSR 0xc0000081, (0x18<<48)+(CODE64<<32)
    SETMSR 0xc0000082, 0x8000
    mov $0xc0000082,%ecx
    mov $sys_entry,%eax
    xor %edx,%edx
    wrmsr
    SETMSR 0xc0000084, 0x600      # IF and DF
    USER64
    std
    syscall
97: int $0x80
99: CHECK64 $0x80,rec_vector
    CHECK64 $0x2b,rec_cs         # SYSRETQ: STAR[63:48] + 16, RPL 3: 18h + 10h
    CHECK64 $0x23,rec_ss
    cmpl $0x77,rec_rax
    jne fail64
    CASE64 0x301                 # SYSRET to an address that is not canonical: #GP in ring 0
    mov $0x800000000000,%rcx
    FAULT64 EXC_GP, 0, sysretq
    CASE64 0x302                 # SWAPGS, bases
    SETMSR 0xc0000101, 0x30100
    SETMSR 0xc0000102, 0x30200
    movl $0x1111,0x30108
    movl $0x2222,0x30208
    mov %gs:8,%eax
    cmp $0x1111,%eax
    jne fail64
    swapgs
    mov %gs:8,%eax
    cmp $0x2222,%eax
    jne fail64
    swapgs
    mov $0xc0000101,%ecx
    xor %eax,%eax
    mov $0x8000,%edx
    FAULT64 EXC_GP, 0, wrmsr     # not canonical
    CASE64 0x303                 # reserved bits of EFER; LME while paging
    mov $0xc0000080,%ecx
    mov $0xd09,%eax
    xor %edx,%edx
    or $0x20000,%eax
    FAULT64 EXC_GP, 0, wrmsr
    mov $0xc01,%eax
    FAULT64 EXC_GP, 0, wrmsr
    mov %cr0,%rax
    and $0x7fffffff,%eax
    FAULT64 EXC_GP, 0, mov %rax,%cr0   # CR0.PG = 0 in 64-bit mode
    mov %cr4,%rax
    and $~0x20,%eax
    FAULT64 EXC_GP, 0, mov %rax,%cr4   # CR4.PAE = 0 in IA-32e mode
    CASE64 0x304                 # 9.11.7.1: a write of 0 does not stay; model max is AMD's
    SETMSR 0x8b, 0
    mov $1,%eax
    cpuid
    mov $0x8b,%ecx
    rdmsr
    cmp $0x1000065,%eax
    jne fail64
    CASE64 0x305                 # vol. 2, RDPMC: CPUID(0AH) shows no counter, whoever asks
    xor %ecx,%ecx
    FAULT64 EXC_GP, 0, rdpmc
    mov %cr4,%rax
    or $0x100,%eax
    mov %rax,%cr4
    xor %ecx,%ecx
    UFAULT64 EXC_GP, 0, rdpmc
    mov %cr4,%rax
    and $~0x100,%eax
    mov %rax,%cr4

    CASE64 0x400                 # compatibility mode: 32-bit code in ring 3 and its exceptions
    movq $99f,resume
    pushq $UDATA32
    pushq $STACK3
    pushq $2
    pushq $UCODE32
    pushq $98f
    iretq
.code32
98: mov $-1,%eax
    inc %eax
    jnz 1f
    int $0x80
1:  ud2
.code64
99: CHECK64 $0x80,rec_vector
    CHECK64 $UCODE32,rec_cs
    CASE64 0x401                 # CR8
    mov $5,%eax
    mov %rax,%cr8
    mov $16,%eax
    FAULT64 EXC_GP, 0, mov %rax,%cr8
    CASE64 0x402                 # call gate to 64-bit code from ring 3
    movq $99f,resume
    pushq $UDATA32
    pushq $STACK3
    pushq $2
    pushq $UCODE64
    pushq $98f
    iretq
98: lcall *far_gate
    int $0x80
99: CHECK64 $0x80,rec_vector
    CHECK64 $UCODE64,rec_cs
    CHECK64 $STACK3,rec_rsp
    CASE64 0x403                 # IRETQ within ring 0 to a null SS
    pushq $0
    pushq $STACK0-64
    pushq $2
    pushq $CODE64
    pushq $1f
    iretq
1:  mov %ss,%eax
    test %eax,%eax
    jnz fail64
    cmp $STACK0-64,%rsp
    jne fail64
    mov $DATA32,%eax
    mov %eax,%ss
    mov $STACK0,%rsp
    CASE64 0x404                 # hardware interrupt, and no nesting while IF = 0
    movq $1f,resume
    mov $0x55,%al
    mov $PORT_VEC,%edx
    out %al,%dx
    xor %eax,%eax
    dec %edx
    out %al,%dx                  # requested with IF = 0
    nop
    sti
    nop                          # 6.8.3: not before this one is done
2:  nop
    jmp fail64
1:  CHECK64 $0x55,rec_vector
    CHECK64 $2b,rec_rip
    CASE64 0x405                 # HLT wakes
    movq $1f,resume
    mov $PORT_VEC,%edx
    mov $0x56,%al
    out %al,%dx
    xor %eax,%eax
    dec %edx
    out %al,%dx
    sti
    hlt
2:  jmp fail64
1:  CHECK64 $0x56,rec_vector
    CHECK64 $2b,rec_rip
    CASE64 0x406                 # NMI; blocked until IRET (6.7.1)
    movq $1f,resume
    mov $PORT_REQ,%edx
    mov $1,%al
    out %al,%dx
    nop
    jmp fail64
1:  CHECK64 $2,rec_vector
    movq $2f,resume              # a second one waits...
    mov $PORT_REQ,%edx
    mov $1,%al
    out %al,%dx
    nop
    nop
    movq $0,rec_vector
    pushq $DATA32                # ...for this IRET
    pushq $STACK0
    pushq $2
    pushq $CODE64
    pushq $3f
    iretq
3:  nop
    jmp fail64
2:  CHECK64 $2,rec_vector
    CHECK64 $3b,rec_rip
    pushq $DATA32
    pushq $STACK0
    pushq $2
    pushq $CODE64
    pushq $3f
    iretq
3:
    CASE64 0x500                 # CMPXCHG16B alignment
    mov $PAGE,%ebx
    cmpxchg16b (%rbx)
    FAULT64 EXC_GP, 0, cmpxchg16b 8(%rbx)
    CASE64 0x600                 # many address spaces, their tables changed behind their backs: 4.10.4.1
    xor %r8d,%r8d
1:  call space_of                # rbx: of space r8
    lea 0x1007(%rbx),%rax
    mov %rax,(%rbx)
    lea 0x2007(%rbx),%rax
    mov %rax,0x1000(%rbx)
    movq $0xe7,0x2000(%rbx)
    movq $0x2000e7,0x2008(%rbx)
    lea 0x3007(%rbx),%rax
    mov %rax,0x2010(%rbx)
    call page_of
    mov %r8,(%rax)
    or $7,%rax
    mov %rax,0x3000(%rbx)
    inc %r8d
    cmp $SPACES,%r8d
    jb 1b
    movl $12345,seed
    mov $4000,%r12d
1:  call random
    mov %r9d,%r8d
    call space_of                # changes space rbx ...
    mov %rbx,%rsi
    call random
    mov %r9d,%r8d
    call random
    test $3,%r10d
    jz 2f
    call page_of                 # ... to map page r8, by one of three ways to store
    or $7,%rax
    lea 0x3000(%rsi),%rdi
    jmp 3f
2:  call space_of                # ... to use the table of space r8
    lea 0x3007(%rbx),%rax
    lea 0x2010(%rsi),%rdi
3:  test $0x30,%r10d
    jz 4f
    test $0x10,%r10d
    jz 5f
    mov %rax,(%rdi)
    jmp 6f
4:  lock andq $0,(%rdi)
    lock xadd %rax,(%rdi)
    jmp 6f
5:  mov $1,%ecx
    rep stosq
6:  call random                  # any space: what is there is what a walk in software finds
    mov %r9d,%r8d
    call space_of
    mov %rbx,%cr3
    mov 0x2010(%rbx),%rax
    and $~0xfff,%rax
    mov (%rax),%rdx
    and $~0xfff,%rdx
    mov (%rdx),%rcx
    cmp V,%rcx
    jne fail64
    testb $0x20,(%rax)           # accessed, also when the guest clears it
    jz fail64
    test $0x40,%r10d
    jz 7f
    lock andb $~0x20,(%rax)
    mov %rbx,%cr3
    cmp V,%rcx
    jne fail64
    testb $0x20,(%rax)
    jz fail64
7:  test $0x80,%r10d             # the same anew: still right
    jz 8f
    mov %rbx,%cr3
    cmp V,%rcx
    jne fail64
8:  dec %r12d
    jnz 1b
    mov $PML4,%eax
    mov %rax,%cr3
    xor %eax,%eax
    mov $PORT_END,%edx
    out %al,%dx
1:  hlt
    jmp 1b

.set SPACES, 12
space_of:                        # rbx: top table of space r8; then PDPT, PD, PT
    mov %r8d,%ebx
    shl $14,%ebx
    add $0x100000,%ebx
    ret
page_of:                         # rax: page r8
    mov %r8d,%eax
    shl $12,%eax
    add $0x180000,%eax
    ret
random:                          # r10: number, r9: below SPACES
    imul $1103515245,seed,%r10d
    add $12345,%r10d
    mov %r10d,seed
    shr $16,%r10d
    mov %r10d,%eax
    xor %edx,%edx
    mov $SPACES,%ecx
    div %ecx
    mov %edx,%r9d
    ret
seed: .long 0

sys_entry:                       # RCX is where to go back to, R11 the flags
    cmp $97b,%rcx
    jne fail64
    pushfq
    pop %rax
    test $0x600,%eax
    jnz fail64
    test $0x400,%r11d
    jz fail64
    mov %cs,%eax
    cmp $CODE64,%eax
    jne fail64
    mov $0x77,%eax
    sysretq
gate_entry:
    cmp $STACK0-32,%rsp
    jne fail64
    cmpq $STACK3,16(%rsp)
    jne fail64
    lretq

    .balign 8
far_gate: .long 0
    .word GATE64
    .balign 8
gdt:
    .quad 0
    DESC 0, 0xfffff, 0x9b, 0xc0  # 08 CODE32
    DESC 0, 0xfffff, 0x93, 0xc0  # 10 DATA32
    DESC 0, 0xfffff, 0xfb, 0xc0  # 18 UCODE32
    DESC 0, 0xfffff, 0xf3, 0xc0  # 20 UDATA32
    DESC 0, 0xfffff, 0x9b, 0xa0  # 28 CODE64
    DESC 0, 0xfffff, 0xfb, 0xa0  # 30 UCODE64
    .quad 0, 0
    DESC tss, 0x67, 0x89, 0      # 48
    .quad 0
at_GATE64:
    GATE CODE64, gate_entry, 0xec
    .quad 0
.set GATE64, at_GATE64 - gdt
gdt_end:
gdtr: .word gdt_end-gdt-1
    .quad gdt
idtr: .word 0xfff
    .quad idt
    .balign 8
tss: .long 0
    .quad STACK0, 0, 0, 0, IST1, 0, 0, 0, 0, 0, 0
    .zero 0x68-92
    .balign 16
idt: .zero 0x1000
