# Code that changes: stores into code (SDM vol. 3, 8.1.3), code that comes to lie elsewhere, under loops that are hot.
.include "guest.inc"
.code16
    jmp start
.code32
    STUBS common32
    HANDLER32
user_flags: .long 2
.set PD, 0x20000
.set PT, 0x21000
.set F, 0x400000                 # a function, mapped to one of two pages
.set PAGE1, 0x30000
.set PAGE2, 0x31000
start:
    ENTER32
    MAKE_IDT32
    CASE 0x100                   # the very next instruction
    movb $0x11,1f+1
1:  mov $0,%al
    cmp $0x11,%al
    jne fail32
    CASE 0x101                   # itself, while it runs: REP STOS over its own bytes goes on to the end
    mov $2f,%edi
    mov $0x90,%al
    mov $4,%ecx
    rep stosb
2:  .byte 0x0f,0x0b,0x0f,0x0b    # UD2, twice, becomes NOPs
    CASE 0x102                   # an immediate in a loop, thousands of times
    xor %ebx,%ebx
    mov $20000,%ecx
1:  mov %ecx,3f+1
3:  mov $0,%eax
    add %eax,%ebx
    loop 1b
    CHECK $200010000,%ebx
    CASE 0x103                   # data beside code in one page
    mov $100000,%ecx
    xor %ebx,%ebx
1:  incl near_data
    add near_data,%ebx
    loop 1b
    CHECK $100000,near_data
    CASE 0x104                   # a function rewritten between calls
    mov $1000,%ecx
    xor %esi,%esi
1:  mov %ecx,PAGE1+1
    movb $0xb8,PAGE1             # mov $ecx,%eax; ret
    movb $0xc3,PAGE1+5
    mov $PAGE1,%eax
    call *%eax
    cmp %ecx,%eax
    jne fail32
    loop 1b

    CASE 0x200                   # the same address on two pages in turn, by INVLPG and by CR3
    movl $0xe7,PD
    movl $PT+7,PD+4
    movl $PAGE1+7,PT
    movl $0x000001b8,PAGE1       # mov $1,%eax; ret
    movl $0xc300,PAGE1+4
    movl $0x000002b8,PAGE2
    movl $0xc300,PAGE2+4
    mov $PD,%eax
    mov %eax,%cr3
    mov %cr4,%eax
    or $0x10,%eax
    mov %eax,%cr4
    mov %cr0,%eax
    or $0x80000000,%eax
    mov %eax,%cr0
    mov $2000,%ecx
1:  movl $PAGE1+7,PT
    invlpg F
    call F+0
    CHECK $1,%eax
    call F+0
    CHECK $1,%eax
    movl $PAGE2+7,PT
    invlpg F
    call F+0
    CHECK $2,%eax
    movl $PAGE1+7,PT
    mov %cr3,%eax
    mov %eax,%cr3
    call F+0
    CHECK $1,%eax
    dec %ecx
    jnz 1b
    CASE 0x201                   # written through one address, run at another
    mov $2000,%ecx
1:  movb %cl,PAGE1+1
    call F+0
    movzbl %cl,%edx
    cmp %edx,%eax
    jne fail32
    loop 1b
    CASE 0x202                   # an instruction over two pages, of which the second changes
    movl $PAGE2+0x1007,PT+4      # F+1000h: 32000h
    movl $PAGE1+0x3007,PT+8
    mov %cr3,%eax
    mov %eax,%cr3
    movb $0xb8,F+0xffd           # mov $imm32,%eax begins 3 bytes before the end
    movw $0x3344,F+0xffe
    movw $0x1122,0x32000
    movb $0xc3,0x32002
    movw $0x5566,0x33000
    movb $0xc3,0x33002
    mov $500,%ecx
1:  movl $0x32007,PT+4
    invlpg F+0x1000
    call F+0xffd
    CHECK $0x11223344,%eax
    movl $0x33007,PT+4
    invlpg F+0x1000
    call F+0xffd
    CHECK $0x55663344,%eax
    incw 0x33000
    call F+0xffd
    CHECK $0x55673344,%eax
    decw 0x33000
    dec %ecx
    jnz 1b
    CASE 0x203                   # the page goes away under the loop that calls it
    call F+0
    movl $0,PT
    invlpg F
    movl $1f,resume
    push $0
    call F+0
1:  CHECK $EXC_PF,rec_vector
    CHECK $F,rec_eip
    jmp pass32
    .balign 4
near_data: .long 0

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
