# Task switches: SDM vol. 3, chapter 7; virtual-8086 mode: chapter 20.
.include "guest.inc"
.code16
    jmp start
.code32
    STUBS common32
    HANDLER32
user_flags: .long 2

start:
    ENTER32
    MAKE_IDT32
    mov $TSS,%eax
    ltr %ax
    mov $0x13,%esi               # a mark in the registers of this task

    CASE 0x100                   # JMP to a TSS: busy bits move, no link, TS is set
    movl $task_jmp,tss2+0x20
    ljmp $TSS2,$0
    CHECK $0x13,%esi             # back by JMP
    testb $2,gdt+TSS+5
    jz fail32
    testb $2,gdt+TSS2+5
    jnz fail32
    mov %cr0,%eax
    test $8,%al
    jz fail32
    clts
    CASE 0x101                   # CALL: link, NT; IRET returns
    movl $task_call,tss2+0x20
    movl $2,tss2+0x24
    movw $0,tss2
    lcall $TSS2,$0
    CHECK $0x13,%esi
    cmpw $TSS,tss2
    jne fail32
    testb $2,gdt+TSS2+5
    jnz fail32
    pushf
    pop %eax
    test $0x4000,%eax
    jnz fail32
    CASE 0x102                   # a second CALL goes on behind the IRET
    lcall $TSS2,$0
    CHECK $2,calls
    CASE 0x103                   # busy: #GP(selector); not present: #NP; too small: #TS
    orb $2,gdt+TSS2+5
    FAULT EXC_GP, TSS2, lcall $TSS2,$0
    andb $~2,gdt+TSS2+5
    andb $0x7f,gdt+TSS2+5
    FAULT EXC_NP, TSS2, lcall $TSS2,$0
    orb $0x80,gdt+TSS2+5
    movw $0x66,gdt+TSS2
    FAULT EXC_TS, TSS2, lcall $TSS2,$0
    movw $0x67,gdt+TSS2
    CASE 0x104                   # task gate in the IDT, with an error code on the new task's stack
    movl $0,calls
    movl $task_fault,tss2+0x20
    movl $0x5000,tss2+0x38
    movl $2,tss2+0x24
    movl $TSS2<<16,idt+13*8
    movl $0x8500,idt+13*8+4
    mov $0xfff8,%eax
2:  mov %eax,%gs                 # #GP(fff8h) by a task; it returns behind
3:  CHECK $1,calls
    CHECK $0xfff8,got_error
    CHECK $2b,got_eip
    CASE 0x105                   # a bad segment register in the new task: #TS there
    movl $0xfff8,tss2+0x58
    movl $task_call,tss2+0x20
    movl $2,tss2+0x24
    movl $1f,resume
    lcall $TSS2,$0
    jmp fail32
1:  CHECK $EXC_TS,rec_vector
    CHECK $0xfff8,rec_error
    CHECK $task_call,rec_eip     # in the context of the new task
    str %ax
    cmp $TSS2,%ax
    jne fail32
    movl $0,tss2+0x58
    andb $~2,gdt+TSS+5           # back to the first task by hand
    andb $~2,gdt+TSS2+5
    mov $TSS,%eax
    ltr %ax
    mov $DATA32,%eax
    mov %eax,%ds
    mov %eax,%es
    clts
    pushl $2
    popf
    CASE 0x106                   # the T bit: #DB with BT at the new task's first instruction
    xor %eax,%eax
    mov %eax,%dr6
    movw $1,tss2+0x64
    movl $1f,resume
    lcall $TSS2,$0
    jmp fail32
1:  CHECK $EXC_DB,rec_vector
    CHECK $task_call,rec_eip
    mov %dr6,%eax
    test $0x8000,%eax
    jz fail32
    movw $0,tss2+0x64
    pushl $2
    popf
    andb $~2,gdt+TSS+5
    andb $~2,gdt+TSS2+5
    mov $TSS,%eax
    ltr %ax
    clts
    movw $CODE32,idt+13*8+2      # #GP by a gate again
    mov $stubs+13*16,%eax
    mov %ax,idt+13*8
    movl $0x8e00,idt+13*8+4

    CASE 0x200                   # virtual-8086 mode: IRET into it, out by an exception
    movl $1f,resume
    pushl $0x1111                # GS FS DS ES
    pushl $0x2222
    pushl $0x0800
    pushl $0x3333
    pushl $0x0500                # SS
    pushl $0x1000                # ESP
    pushl $0x20002               # VM, IOPL 0
    pushl $0x0800                # CS
    pushl $vm_code-0x8000
    iret
1:  CHECK $EXC_GP,rec_vector     # CLI with IOPL 0
    CHECK $0,rec_error
    CHECK $vm_cli-0x8000,rec_eip
    CHECK $0x0800,rec_cs
    testl $0x20000,rec_eflags
    jz fail32
    CHECK $0x0500,rec_ss
    CHECK $0x0ffe,rec_esp
    CHECK $0x1111,STACK0-4       # the rest of the frame (20.2.5)
    CHECK $0x2222,STACK0-8
    CHECK $0x0800,STACK0-12
    CHECK $0x3333,STACK0-16
    cmpl $0x4321,vm_var
    jne fail32
    cmpw $0x1234,0x5ffe
    jne fail32
    mov %gs,%eax                 # data segments are null in the handler
    test %eax,%eax
    jnz fail32
    CASE 0x201                   # INT n: #GP(0) with IOPL 0, by the IDT with IOPL 3
    movl $1f,resume
    pushl $0
    pushl $0
    pushl $0
    pushl $0
    pushl $0x0500
    pushl $0x1000
    pushl $0x20002
    pushl $0x0800
    pushl $vm_int-0x8000
    iret
1:  CHECK $EXC_GP,rec_vector
    movl $1f,resume
    pushl $0
    pushl $0
    pushl $0
    pushl $0
    pushl $0x0500
    pushl $0x1000
    pushl $0x23002
    pushl $0x0800
    pushl $vm_int-0x8000
    iret
1:  CHECK $0x80,rec_vector
    CHECK $vm_int+2-0x8000,rec_eip
    CASE 0x202                   # ports are checked by the bitmap whatever IOPL is: TSS without one
    movl $1f,resume
    pushl $0
    pushl $0
    pushl $0
    pushl $0
    pushl $0x0500
    pushl $0x1000
    pushl $0x23002
    pushl $0x0800
    pushl $vm_in-0x8000
    iret
1:  CHECK $EXC_GP,rec_vector
    CHECK $vm_in-0x8000,rec_eip
    CASE 0x203                   # segment limits are 64 KiB
    movl $1f,resume
    pushl $0
    pushl $0
    pushl $0
    pushl $0
    pushl $0x0500
    pushl $0x1000
    pushl $0x23002
    pushl $0x0800
    pushl $vm_limit-0x8000
    iret
1:  CHECK $EXC_GP,rec_vector
    CHECK $vm_limit-0x8000,rec_eip
    jmp pass32

task_jmp:
    mov $0x77,%esi
    str %ax
    cmp $TSS2,%ax
    jne fail32
    testb $2,gdt+TSS2+5
    jz fail32
    testb $2,gdt+TSS+5           # the old one is free
    jnz fail32
    pushf
    pop %eax
    test $0x4000,%eax
    jnz fail32
    ljmp $TSS,$0
task_call:
    incl calls
    pushf
    pop %eax
    test $0x4000,%eax            # NT
    jz fail32
    testb $2,gdt+TSS+5           # both are busy
    jz fail32
    mov $0x88,%esi
    iret
    incl calls
    iret
task_fault:
    incl calls
    pop got_error
    mov tss+0x20,%eax
    mov %eax,got_eip
    addl $2,tss+0x20             # past the MOV
    iret
.code16
vm_code:
    push $0x1234
    movw $0x4321,vm_var-0x8000
vm_cli:
    cli
vm_int:
    int $0x80
vm_in:
    in $0x10,%al
vm_limit:
    mov 0xffff,%ax
.code32
    .balign 4
calls: .long 0
got_error: .long 0
got_eip: .long 0
vm_var: .long 0

    .balign 8
gdt:
    COMMON_GDT
    DESC tss, 0x67, 0x89, 0
    .quad 0
at_TSS2:
    DESC tss2, 0x67, 0x89, 0
.set TSS2, at_TSS2 - gdt
gdt_end:
gdtr: .word gdt_end-gdt-1
    .long gdt
idtr: .word 0x7ff
    .long idt
    .balign 8
tss: .long 0, STACK0, DATA32
    .zero 0x66-12
    .word 0x68
    .balign 8
tss2: .long 0, STACK0, DATA32
    .zero 0x1c-12
    .long 0, task_jmp, 2         # CR3 EIP EFLAGS
    .long 0, 0, 0, 0, 0x5000, 0, 0, 0
    .long DATA32, CODE32, DATA32, DATA32, 0, 0
    .long 0, 0x680000
    .balign 8
idt: .zero 0x800
