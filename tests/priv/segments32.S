# Segment registers, far transfers and gates in 32-bit protected mode: SDM vol. 3, chapters 5 and 6; vol. 2, MOV, LDS, JMP, CALL,
# RET, INT, IRET, LAR, LSL, VERR.
.include "guest.inc"
.code16
    jmp start
.code32
    STUBS common32
    HANDLER32
user_flags: .long 2
counter: .long 0
start:
    ENTER32
    MAKE_IDT32
    mov $TSS,%eax
    ltr %ax

    CASE 0x100                      # MOV to segment registers (vol. 2, MOV, protected mode exceptions)
    xor %eax,%eax
    mov %eax,%ds                    # null is fine...
    mov $DATA32,%ecx
    movl %ss:resume,%ebx
    movl $1f,%ss:resume
2:  mov (%ebx),%eax                 # ...until it is used: #GP(0)
    jmp fail32
1:  CHECK $EXC_GP,rec_vector
    CHECK $0,rec_error
    CHECK $2b,rec_eip
    CASE 0x101
    xor %eax,%eax
    FAULT EXC_GP, 0, mov %eax,%ss   # null SS: #GP(0)
    CASE 0x102
    mov $0xfff8,%eax
    FAULT EXC_GP, 0xfff8, mov %eax,%ds      # outside the table: #GP(selector)
    mov $0xffff,%eax
    FAULT EXC_GP, 0xfffc, mov %eax,%es      # LDT, which is null
    CASE 0x103
    mov $XCODE,%eax
    FAULT EXC_GP, XCODE, mov %eax,%ds       # execute-only code
    mov $CODE32,%eax
    mov %eax,%fs                            # readable code is fine
    FAULT EXC_GP, CODE32, mov %eax,%ss      # but not as a stack
    mov $RDATA,%eax
    mov %eax,%gs                            # read-only data is fine
    FAULT EXC_GP, RDATA, mov %eax,%ss
    CASE 0x104
    mov $NPDATA,%eax
    FAULT EXC_NP, NPDATA, mov %eax,%ds      # not present
    FAULT EXC_SS, NPDATA, mov %eax,%ss
    CASE 0x105
    mov $DATA32+3,%eax
    FAULT EXC_GP, DATA32, mov %eax,%ds      # RPL 3 > DPL 0
    FAULT EXC_GP, DATA32, mov %eax,%ss      # RPL != CPL
    mov $UDATA32,%eax
    FAULT EXC_GP, UDATA32-3, mov %eax,%ss   # DPL != CPL
    mov %eax,%gs
    CASE 0x106
    mov $TSS,%eax
    FAULT EXC_GP, TSS, mov %eax,%ds         # a system descriptor
    FAULT EXC_UD, 0, .byte 0x8e,0xc8        # mov %eax,%cs
    CASE 0x107
    mov $RDATA,%eax
    mov %eax,%gs
    FAULT EXC_GP, 0, movl $1,%gs:counter    # read-only: #GP(0)
    mov $CODE32,%eax
    mov %eax,%gs
    FAULT EXC_GP, 0, movl $1,%gs:counter    # code is never written
    FAULT EXC_GP, 0, movl $1,%cs:counter
    CASE 0x108                              # limits: base counter, limit 7
    mov $SMALL,%eax
    mov %eax,%gs
    mov %gs:4,%eax
    FAULT EXC_GP, 0, mov %gs:5,%eax
    mov %gs:7,%al
    FAULT EXC_GP, 0, mov %gs:8,%al
    FAULT EXC_GP, 0, mov %gs:-1,%al
    CASE 0x109                              # expand-down, limit fffh: above it, up to 4 GiB (B=1)
    mov $DOWN,%eax
    mov %eax,%gs
    mov %gs:0x1000,%eax
    FAULT EXC_GP, 0, mov %gs:0xffe,%eax
    FAULT EXC_GP, 0, mov %gs:0xfff,%al
    CASE 0x10a                              # accessed bit is set by the load (3.4.5.1)
    testb $1,gdt+FRESH+5
    jnz fail32
    mov $FRESH,%eax
    mov %eax,%gs
    testb $1,gdt+FRESH+5
    jz fail32
    CASE 0x10b                              # LDS does not change the register when the selector faults
    mov $0x1234,%ebx
    FAULT EXC_NP, NPDATA, lds bad_far,%ebx
    CHECK $0x1234,%ebx

    CASE 0x200                              # LAR, LSL, VERR, VERW
    mov $DATA32,%eax
    lar %eax,%ebx
    jnz fail32
    CHECK $0x00c09300,%ebx
    lsl %eax,%ebx
    jnz fail32
    CHECK $0xffffffff,%ebx
    mov $SMALL,%eax
    lsl %eax,%ebx
    jnz fail32
    CHECK $7,%ebx
    mov $77,%ebx
    mov $0xfff8,%eax
    lar %eax,%ebx
    jz fail32
    CHECK $77,%ebx
    mov $GATE32,%eax                        # LSL: a call gate has none; LAR has
    lsl %eax,%ebx
    jz fail32
    lar %eax,%ebx
    jnz fail32
    CHECK $0xec00,%ebx
    mov $RDATA,%eax
    verr %ax
    jnz fail32
    verw %ax
    jz fail32
    mov $XCODE,%eax
    verr %ax
    jz fail32

    CASE 0x300                              # far JMP
    FAULT EXC_GP, 0, ljmp $0,$0
    FAULT EXC_GP, DATA32, ljmp $DATA32,$0
    FAULT EXC_GP, 0xfff8, ljmp $0xfff8,$0
    FAULT EXC_NP, NPCODE, ljmp $NPCODE,$0
    FAULT EXC_GP, UCODE32-3, ljmp $UCODE32-3,$0       # DPL 3, CPL 0
    FAULT EXC_GP, 0, ljmp $LCODE,$0x100000            # beyond the limit: #GP(0)
    ljmp $CODE32,$1f
1:  CASE 0x301                              # conforming code: CPL stays
    ljmp $CONFORM,$1f
1:  mov %cs,%eax
    CHECK $CONFORM,%eax
    ljmp $CODE32,$1f
1:
    CASE 0x302                              # call gate at the same level: 4-byte pushes
    lcall $GATE32,$0x12345678
    CHECK $0x5a5a,%ebx
    CHECK $STACK0,%esp
    FAULT EXC_NP, NPGATE, lcall $NPGATE,$0
    FAULT EXC_GP, 0, lcall $NULLGATE,$0                # target selector is null
    CASE 0x303                              # to 16-bit code by a 16-bit gate: 2-byte pushes
    lcall $GATE16,$0
    CHECK $0x1616,%ebx
    CHECK $STACK0,%esp

    CASE 0x400                              # from ring 3
    USER
    int $0x80
99: CHECK $0x80,rec_vector
    CHECK $UCODE32,rec_cs
    CHECK $UDATA32,rec_ss
    CHECK $STACK3,rec_esp
    UFAULT EXC_GP, 0x40*8+2, int $0x40      # gate DPL 0: #GP(vector*8+2)
    UFAULT EXC_GP, 0, hlt
    UFAULT EXC_GP, 0, cli
    UFAULT EXC_GP, 0, mov %cr0, %eax
    UFAULT EXC_GP, 0, lgdt gdtr
    UFAULT EXC_GP, 0, in $0x10,%al          # IOPL 0, bitmap: port 10h is denied...
    movl $1f,resume
    pushl $UDATA32
    pushl $STACK3
    pushl $2
    pushl $UCODE32
    pushl $2f
    iret
2:  in $0x12,%al                            # ...12h is allowed (vol. 1, 18.5.2)
    int $0x80
1:  CHECK $0x80,rec_vector
    UFAULT EXC_GP, 0, in $0x0f,%ax          # 0fh is allowed, 10h is not
    CASE 0x401
    UFAULT EXC_GP, CODE32, ljmp $CODE32,$0
    mov $DATA32,%ecx
    UFAULT EXC_GP, DATA32, mov %ecx,%ds
    CASE 0x402                              # call gate to ring 0 with two parameters (5.8.5)
    movl $1f,resume
    pushl $UDATA32
    pushl $STACK3
    pushl $2
    pushl $UCODE32
    pushl $2f
    iret
2:  pushl $0x11111111
    pushl $0x22222222
    lcall $GATEP,$0
    CHECK $STACK3,%esp                      # RET $8 released them on both stacks
    CHECK $0x33333333,%ebx
    int $0x80
1:  CHECK $0x80,rec_vector
    CHECK $UCODE32,rec_cs
    CASE 0x403                              # IRET to an outer level makes unfit segment registers null
    mov $DATA32,%eax
    mov %eax,%gs
    movl $1f,resume
    pushl $UDATA32
    pushl $STACK3
    pushl $2
    pushl $UCODE32
    pushl $2f
    iret
2:  mov %gs,%eax
    test %eax,%eax
    jnz fail32
    int $0x80
1:  CHECK $0x80,rec_vector
    CASE 0x404                              # INT3 and INTO from ring 3: traps, EIP behind
    movl $1f,resume
    pushl $UDATA32
    pushl $STACK3
    pushl $2
    pushl $UCODE32
    pushl $2f
    iret
2:  int3
3:  hlt
1:  CHECK $EXC_BP,rec_vector
    CHECK $3b,rec_eip

    CASE 0x500                              # IDT entries
    movb $0x0e,idt+0x40*8+5                 # not present
    FAULT EXC_NP, 0x40*8+2, int $0x40
    movb $0x82,idt+0x40*8+5                 # not a gate
    FAULT EXC_GP, 0x40*8+2, int $0x40
    movb $0x8e,idt+0x40*8+5
    movw $0,idt+0x40*8+2                    # null selector: #GP(0)
    FAULT EXC_GP, 0, int $0x40
    movw $DATA32,idt+0x40*8+2               # data
    FAULT EXC_GP, DATA32, int $0x40
    movw $NPCODE,idt+0x40*8+2
    FAULT EXC_NP, NPCODE, int $0x40
    movw $CODE32,idt+0x40*8+2
    lidt short_idtr                         # limit up to vector 3fh
    FAULT EXC_GP, 0x40*8+2, int $0x40
    lidt idtr
    CASE 0x501                              # a fault whose handler is not there: EXT is set; #UD is benign, so it stands (table 6-5)
    movb $0x0e,idt+6*8+5
    FAULT EXC_NP, 6*8+3, ud2
    movb $0x8e,idt+6*8+5
    CASE 0x502                              # #GP, then #NP delivering it: double fault, error code 0
    movb $0x0e,idt+13*8+5
    movl $1f,resume
    mov $0xfff8,%eax
    mov %eax,%ds
1:  CHECK $EXC_DF,rec_vector
    CHECK $0,rec_error
    movb $0x8e,idt+13*8+5
    CASE 0x503                              # ring 3 with a bad ring 0 stack: #TS(SS selector), twice: double fault by a task gate is
    movl $UDATA32-3,tss+8                   # not set up here; the gate of #TS is in ring 0 too, so it ends as #DF -> see triple.S
    movl $DATA32,tss+8

    CASE 0x600                              # traps and faults of instructions
    FAULT EXC_UD, 0, ud2
    xor %ecx,%ecx
    FAULT EXC_DE, 0, div %ecx
    mov $5,%eax
    FAULT EXC_BR, 0, bound %eax,bounds
    mov $3,%eax
    bound %eax,bounds
    mov %cr0,%eax
    or $8,%eax
    mov %eax,%cr0
    FAULT EXC_NM, 0, fnop
    clts
    fnop
    CASE 0x601
    mov $0x7fffffff,%eax
    movl $1f,resume
    inc %eax
    into
2:  jmp fail32
1:  CHECK $EXC_OF,rec_vector
    CHECK $2b,rec_eip
    CASE 0x602                              # alignment check: CR0.AM, EFLAGS.AC, ring 3
    mov %cr0,%eax
    or $0x40000,%eax
    mov %eax,%cr0
    movl $0x40002,user_flags
    UFAULT EXC_AC, 0, mov counter+1,%eax
    movl $2,user_flags
    mov counter+1,%eax
    CASE 0x603                              # LOCK where it may not be; over-long instruction
    FAULT EXC_UD, 0, .byte 0xf0, 0x90
    FAULT EXC_GP, 0, .byte 0x26,0x26,0x26,0x26,0x26,0x26,0x26,0x26,0x26,0x26,0x26,0x26,0x26,0x26,0x26,0x90
    jmp pass32

gate_target:
    CHECK $STACK0-8,%esp
    CHECK $CODE32,4(%esp)
    mov $0x5a5a,%ebx
    lret
gate_param_target:                          # ring 0: SS ESP param param CS EIP
    mov $DATA32,%eax
    mov %eax,%ds
    CHECK $STACK0-24,%esp
    CHECK $UDATA32,20(%esp)
    CHECK $STACK3-8,16(%esp)
    CHECK $0x11111111,12(%esp)
    CHECK $0x22222222,8(%esp)
    CHECK $UCODE32,4(%esp)
    mov $0x33333333,%ebx
    mov $UDATA32,%eax
    mov %eax,%ds
    lret $8
.code16
gate16_target:
    cmp $STACK0-4,%sp
    jne 1f
    mov $0x1616,%ebx
1:  lretw
.code32

    .balign 8
bounds: .long 0, 4
bad_far: .long 0x5678
    .word NPDATA
    .balign 8
gdt:
    COMMON_GDT
    DESC tss, tss_end-tss-1, 0x89, 0
    .quad 0
at_XCODE:
.set XCODE, at_XCODE - gdt
    DESC 0, 0xfffff, 0x98, 0xc0
at_RDATA:
.set RDATA, at_RDATA - gdt
    DESC 0, 0xfffff, 0x90, 0xc0
at_NPDATA:
.set NPDATA, at_NPDATA - gdt
    DESC 0, 0xfffff, 0x12, 0xc0
at_NPCODE:
.set NPCODE, at_NPCODE - gdt
    DESC 0, 0xfffff, 0x1a, 0xc0
at_SMALL:
.set SMALL, at_SMALL - gdt
    DESC counter, 7, 0x92, 0x40
at_DOWN:
.set DOWN, at_DOWN - gdt
    DESC 0, 0xfff, 0x96, 0x40
at_FRESH:
.set FRESH, at_FRESH - gdt
    DESC 0, 0xfffff, 0x92, 0xc0
at_LCODE:
.set LCODE, at_LCODE - gdt
    DESC 0, 0xffff, 0x9a, 0x40
at_CONFORM:
.set CONFORM, at_CONFORM - gdt
    DESC 0, 0xfffff, 0x9e, 0xc0
at_GATE32:
.set GATE32, at_GATE32 - gdt
    GATE CODE32, gate_target, 0xec
at_GATE16:
.set GATE16, at_GATE16 - gdt
    GATE CODE16, gate16_target, 0xe4
at_GATEP:
.set GATEP, at_GATEP - gdt
    GATE CODE32, gate_param_target, 0xec, 2
at_NPGATE:
.set NPGATE, at_NPGATE - gdt
    GATE CODE32, gate_target, 0x6c
at_NULLGATE:
.set NULLGATE, at_NULLGATE - gdt
    GATE 0, gate_target, 0xec
gdt_end:
gdtr: .word gdt_end-gdt-1
    .long gdt
idtr: .word 0x7ff
    .long idt
short_idtr: .word 0x1ff
    .long idt
    .balign 8
tss: .long 0, STACK0, DATA32
    .zero 0x66-12
    .word bitmap-tss
bitmap: .byte 0xff, 0x7f, 0x01
    .byte 0xff
tss_end:
    .balign 8
idt: .zero 0x800
