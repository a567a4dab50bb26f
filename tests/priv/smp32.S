# Two processors: start-up (SDM vol. 3, 8.4), locked operations (8.1), code and mappings that one changes under the other (8.1.3,
# 4.10.5), memory order (8.2).
.include "guest.inc"
.set PORT_SIPI, 0xf7
.set PORT_IPI, 0xf8
.set STACK1, 0x6800
.set PD, 0x20000
.set PT, 0x21000
.set F, 0x400000
.set PAGE1, 0x30000
.set PAGE2, 0x31000
.code16
    jmp start
.code32
    STUBS common32
    HANDLER32
user_flags: .long 2

.macro PAGING_ON
    mov $PD,%eax
    mov %eax,%cr3
    mov %cr4,%eax
    or $0x10,%eax
    mov %eax,%cr4
    mov %cr0,%eax
    or $0x80000000,%eax
    mov %eax,%cr0
.endm

start:
    ENTER32
    MAKE_IDT32
    mov $ipi,%eax                # vector 90h is the second processor's
    mov %ax,idt+0x90*8
    movl $0xe7,PD
    movl $PT+7,PD+4
    movl $PAGE1+7,PT
    movl $0x000001b8,PAGE1       # mov $1,%eax; ret
    movl $0xc300,PAGE1+4
    movl $0x000002b8,PAGE2
    movl $0xc300,PAGE2+4
    PAGING_ON
    mov $ap_start,%esi
    mov $0x1f000,%edi
    mov $ap_end-ap_start,%ecx
    rep movsb
    CASE 0x100
    mov $0x1f,%al
    mov $PORT_SIPI,%edx
    out %al,%dx
1:  pause
    cmpl $1,alive
    jne 1b

    CASE 0x200                   # both add, locked
    movl $1,phase
    mov $200000,%ecx
1:  lock incl sum
    lock xadd %ebx,sum2
    lock addb $1,sum3
    loop 1b
2:  pause
    cmpl $1,phase_done
    jne 2b
    CHECK $400000,sum
    movzbl sum3,%eax
    CHECK $(400000&0xff),%eax
    CASE 0x201                   # message passing: data before flag (8.2.3.2)
    movl $2,phase
    mov $100000,%ecx
1:  mov %ecx,message
    mov %ecx,flag
    loop 1b
    movl $-1,flag
2:  pause
    cmpl $2,phase_done
    jne 2b
    CHECK $0,broken
    CASE 0x202                   # an immediate changes under the other's loop
    movl $3,phase
    mov $3000,%ecx
1:  mov %ecx,PAGE1+1
    mov $50,%ebx
3:  dec %ebx
    jnz 3b
    loop 1b
    movl $0x12345678,PAGE1+1     # the last one must be seen
2:  pause
    cmpl $3,phase_done
    jne 2b
    CASE 0x203                   # the page under the other's loop moves: shootdown by an interrupt
    movl $4,phase
    mov $300,%ecx
    movl $1,PAGE1+1
1:  movl $PAGE2+7,PT
    call shoot
    movl $2,expect
    call settle
    movl $0,expect
    movl $PAGE1+7,PT
    call shoot
    movl $1,expect
    call settle
    movl $0,expect
    loop 1b
    movl $-1,expect
2:  pause
    cmpl $4,phase_done
    jne 2b
    CHECK $0,broken
    CASE 0x204                   # code changes under whoever runs it, stores going on; a serializing instruction sees all (8.1.3)
    sti
    movl $0,acks
    movl $0,message
    movl $PAGE1+7,PT
    mov %cr3,%eax
    mov %eax,%cr3
    movl $5,phase
    mov $1,%esi
1:  call F+0                     # whatever was stored last, or before
    cmp message,%esi
    jne 1b
    mov $0,%eax
    cpuid
    call F+0
    CHECK %esi,%eax
    mov %esi,acks
    inc %esi
    cmp $301,%esi
    jne 1b
2:  pause
    cmpl $5,phase_done
    jne 2b
    jmp pass32

shoot:                           # the second processor flushes; wait for it
    mov acks,%ebx
    mov $0x90,%al
    mov $PORT_IPI,%edx
    out %al,%dx
1:  pause
    cmp acks,%ebx
    je 1b
    ret
settle:                          # a few rounds of the other with the value expected
    mov rounds,%ebx
    add $20,%ebx
1:  pause
    cmp rounds,%ebx
    jg 1b
    ret
ipi:                             # invalidates, tells
    push %eax
    mov %cr3,%eax
    mov %eax,%cr3
    lock incl acks
    pop %eax
    iret

# The second processor
.code16
ap_start:
    cli
    xor %ax,%ax
    mov %ax,%ds
    lgdtl gdtr
    lidtl idtr
    mov %cr0,%eax
    or $1,%al
    mov %eax,%cr0
    ljmpl $CODE32,$ap
ap_end:
.code32
ap: mov $DATA32,%eax
    mov %eax,%ds
    mov %eax,%es
    mov %eax,%ss
    mov $STACK1,%esp
    PAGING_ON
    movl $1,alive
1:  pause
    cmpl $1,phase
    jne 1b
    mov $200000,%ecx
1:  lock incl sum
    lock xadd %ebx,sum2
    lock addb $1,sum3
    loop 1b
    movl $1,phase_done
1:  pause
    cmpl $2,phase
    jne 1b
2:  mov flag,%eax                # counts down: the message is as old as the flag or newer
    mov message,%ebx
    test %eax,%eax
    jz 2b
    cmp $-1,%eax
    je 3f
    cmp %eax,%ebx
    jbe 2b
    incl broken
    jmp 2b
3:  movl $2,phase_done
1:  pause
    cmpl $3,phase
    jne 1b
1:  call F+0
    cmp $0x12345678,%eax
    jne 1b
    movl $3,phase_done
1:  pause
    cmpl $4,phase
    jne 1b
    sti
1:  mov expect,%ecx              # 0: either
    call F+0
    incl rounds
    cmp $-1,%ecx
    je 3f
    test %ecx,%ecx
    jz 1b
    cmp expect,%ecx
    jne 1b
    cmp %ecx,%eax
    je 1b
    incl broken
    jmp 1b
3:  movl $4,phase_done
    cli
1:  pause
    cmpl $5,phase
    jne 1b
    mov $1,%esi
2:  mov $30,%ecx                 # some that must never be seen after the last
3:  movl $-1,PAGE1+1
    loop 3b
    mov %esi,PAGE1+1
    mov %esi,message
4:  pause
    cmp acks,%esi
    jne 4b
    inc %esi
    cmp $301,%esi
    jne 2b
    movl $5,phase_done
    hlt

    .balign 64
alive: .long 0
    .balign 64
phase: .long 0
phase_done: .long 0
    .balign 64
sum: .long 0
sum2: .long 0
sum3: .long 0
    .balign 64
message: .long 0
    .balign 64
flag: .long 0
broken: .long 0
    .balign 64
expect: .long 0
    .balign 64
rounds: .long 0
acks: .long 0
    .balign 8
gdt:
    COMMON_GDT
gdt_end:
gdtr: .word gdt_end-gdt-1
    .long gdt
idtr: .word 0x7ff
    .long idt
    .balign 8
idt: .zero 0x800
