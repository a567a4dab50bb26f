# Real mode: the very first instructions.
.include "guest.inc"
.code16
    xor %ax,%ax
    mov %ax,%ds
    mov %ax,%ss
    mov $0x7000,%sp
    mov $text,%si
1:  lodsb
    test %al,%al
    jz 2f
    mov $PORT_TEXT,%dx
    out %al,%dx
    jmp 1b
2:  xor %al,%al
    mov $PORT_END,%dx
    out %al,%dx
3:  hlt
    jmp 3b
text: .asciz "hello from real mode"
