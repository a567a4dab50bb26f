# System management mode: SDM vol. 3, chapter 30; the state save map is AMD's (APM vol. 2, table 10-1).
.include "guest.inc"
.code16
    jmp start
.code32
    STUBS common32
    HANDLER32
user_flags: .long 2
.set SMBASE, 0x30000
.set MAP, 0x8000                 # offsets of the map are from here
.set SMBASE2, 0x40000
start:
    ENTER32
    MAKE_IDT32
    mov $TSS,%eax
    ltr %ax
    FAULT EXC_UD, 0, rsm         # only in SMM
    mov $handler,%esi            # the handler goes to SMBASE + 8000h
    mov $SMBASE+0x8000,%edi
    mov $handler_end-handler,%ecx
    rep movsb
    mov $handler,%esi
    mov $SMBASE2+0x8000,%edi
    mov $handler_end-handler,%ecx
    rep movsb

    CASE 0x100                   # registers survive; the handler saw what table 30-4 says
    mov $0x11223344,%ebx
    mov $0x55667788,%ebp
    mov $2,%al
    mov $PORT_REQ,%edx
    out %al,%dx
    jmp 1f
1:  nop
    CHECK $0x11223344,%ebx
    CHECK $0x55667788,%ebp
    CHECK $1,0x50000             # count
    CHECK $0x8000,0x50004        # IP at entry
    mov 0x50008,%eax             # CR0: PE and PG clear
    test $0x80000001,%eax
    jnz fail32
    CHECK $2,0x5000c             # EFLAGS
    mov SMBASE+MAP+0x7fe0,%eax   # RBX in the map
    CHECK $0x11223344,%eax
    mov SMBASE+MAP+0x7f78,%eax   # RIP
    CHECK $1b,%eax
    mov SMBASE+MAP+0x7efc,%eax   # revision: SMBASE relocation
    test $0x20000,%eax
    jz fail32
    CHECK $SMBASE2,SMBASE+MAP+0x7f00    # the handler wrote it
    cmpw $CODE32,SMBASE+MAP+0x7e10
    jne fail32
    mov %cr0,%eax
    test $1,%al
    jz fail32
    CASE 0x101                   # the handler moved SMBASE
    mov $2,%al
    mov $PORT_REQ,%edx
    out %al,%dx
    jmp 1f
1:  nop
    CHECK $2,0x50000
    CHECK $SMBASE2,SMBASE2+MAP+0x7f00
    CASE 0x102                   # an NMI waits for RSM
    movl $1f,resume
    movl $1,0x50010              # the handler sends the NMI: it waits for RSM
    mov $2,%al
    mov $PORT_REQ,%edx
    out %al,%dx
    nop
    nop
    jmp fail32
1:  CHECK $EXC_NMI,rec_vector
    CHECK $3,0x50000
    jmp pass32

.code16
handler:                         # CS base is SMBASE, IP 8000h; segments are 4 GiB large
    pushfl
    call 1f
1:  pop %bx
    sub $5,%bx
    pop %ecx
    xor %ax,%ax
    mov %ax,%ds
    mov $0x50000,%edi
    movzwl %bx,%ebx
    mov %ebx,%ds:4(%edi)
    mov %cr0,%eax
    mov %eax,8(%edi)
    mov %ecx,12(%edi)
    incl (%edi)
    movl $SMBASE2,%cs:0xff00     # MAP + 7f00h: the new SMBASE
    cmpl $1,0x10(%edi)
    jne 2f
    mov $PORT_REQ,%dx
    mov $1,%al
    out %al,%dx
    nop
2:  rsm
handler_end:
.code32
    TABLES32
