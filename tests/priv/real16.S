# Real mode after protected mode: types of segments count with CR0.PE only (SDM vol. 3, 5.1), so CS, which still has the type of
# the code segment it was loaded with, can be written; and the bytes written are the ones that run.
.include "guest.inc"
.code16
    jmp start
.balign 8
gdt:
    COMMON_GDT
gdtr:
    .word gdtr - gdt - 1
    .long gdt
start:
    cli
    xor %ax,%ax
    mov %ax,%ds
    mov %ax,%ss
    mov $0x7000,%sp
    lgdt gdtr
    mov %cr0,%eax
    or $1,%al
    mov %eax,%cr0
    ljmp $CODE16,$1f
1:  mov $DATA16,%ax
    mov %ax,%es
    mov %cr0,%eax
    and $0xfe,%al
    mov %eax,%cr0
    ljmp $0,$2f
2:  xor %ax,%ax
    mov %ax,%es
    mov $3,%cx
3:  movl $0x12345678,%cs:value      # as GRUB does with the registers of its BIOS calls
    incl %cs:4f+2                   # the operand of the next instruction
4:  mov $100,%eax
    cmpl $0x12345678,value
    jne fail
    loop 3b
    cmp $103,%eax
    jne fail
    xor %al,%al
    jmp end
fail:
    mov $1,%al
end:
    mov $PORT_END,%dx
    out %al,%dx
5:  hlt
    jmp 5b
value: .long 0
