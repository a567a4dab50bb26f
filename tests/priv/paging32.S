# Paging with 32-bit entries and PAE: SDM vol. 3, chapter 4. Error codes: 4.7. Accessed and dirty flags: 4.8.
.include "guest.inc"
.code16
    jmp start
.code32
    STUBS common32
    HANDLER32
user_flags: .long 2
.set PD, 0x20000
.set PT, 0x21000                # maps 400000h and up
.set PT0, 0x22000               # PAE
.set PDPT, 0x23000
.set V, 0x400000                # pages under test
.set PAGE, 0x30000              # physical page behind them

.macro RELOAD
    mov %cr3,%eax
    mov %eax,%cr3
.endm
# entry n of PT, then a fresh TLB
.macro PTE n, value
    movl $\value,PT+4*\n
    RELOAD
.endm
.macro PF err, insn:vararg
    FAULT EXC_PF, \err, \insn
    CHECK $V,rec_cr2
.endm
.macro UPF err, insn:vararg
    UFAULT EXC_PF, \err, \insn
    CHECK $V,rec_cr2
.endm
.macro UJUMP err
    USER
    jmp V+0
99: CHECK $EXC_PF,rec_vector
    CHECK $\err,rec_error
    CHECK $V,rec_eip
    CHECK $V,rec_cr2
.endm

start:
    ENTER32
    MAKE_IDT32
    mov $TSS,%eax
    ltr %ax
    CASE 0x100                   # 4 MiB page below, a table above; the guest itself is reachable from ring 3
    movl $0x000000e7,PD          # PS, D, A, U, W, P: with CR4.PSE
    movl $PT+7,PD+4
    movb $0xc3,PAGE              # ret
    mov $PD,%eax
    mov %eax,%cr3
    mov %cr4,%eax
    or $0x10,%eax
    mov %eax,%cr4
    mov %cr0,%eax
    or $0x80000000,%eax
    mov %eax,%cr0
    jmp 1f
1:
    CASE 0x101                   # not present
    PF 0, mov V,%eax
    PF 2, movl $1,V
    UPF 4, mov V,%eax
    UPF 6, movl $1,V
    UJUMP 4                      # a fetch looks like a read without NX and SMEP
    CASE 0x102                   # present, supervisor, read-only
    PTE 0, PAGE+1
    mov V,%eax
    movl $5,V                    # CR0.WP = 0: the supervisor may write
    CHECK $5,PAGE
    movb $0xc3,PAGE
    UPF 5, mov V,%eax
    UPF 7, movl $1,V
    CASE 0x103                   # accessed and dirty flags
    PTE 0, PAGE+3
    mov V,%eax
    mov PT,%eax
    CHECK $PAGE+0x23,%eax        # A
    movl $0xc3,V
    mov PT,%eax
    CHECK $PAGE+0x63,%eax        # A and D
    testl $0x20,PD+4
    jz fail32
    CASE 0x104                   # WP
    mov %cr0,%eax
    or $0x10000,%eax
    mov %eax,%cr0
    PTE 0, PAGE+5                # user, read-only
    PF 3, movl $1,V
    UPF 7, movl $1,V
    PTE 0, PAGE+7
    movl $0xc3,V
    CASE 0x105                   # the directory's rights count too
    movl $PT+3,PD+4              # supervisor
    RELOAD
    UPF 5, mov V,%eax
    movl $PT+5,PD+4              # read-only
    RELOAD
    UPF 7, movl $1,V
    movl $PT+7,PD+4
    RELOAD
    CASE 0x106                   # an access over two pages: the second one's fault, nothing written
    PTE 0, PAGE+7
    movl $0,PT+4
    RELOAD
    movl $0x11223344,PAGE+0xffc
    movl $99f,resume
98: movl $0xffffffff,V+0xffe
    jmp fail32
99: CHECK $EXC_PF,rec_vector
    CHECK $2,rec_error
    CHECK $V+0x1000,rec_cr2
    CHECK $98b,rec_eip
    CHECK $0x11223344,PAGE+0xffc
    movl $PAGE+0x1007,PT+4       # and both there: pages need not be neighbours
    RELOAD
    movl $0xaabbccdd,V+0xffe
    cmpw $0xccdd,PAGE+0xffe
    jne fail32
    cmpw $0xaabb,PAGE+0x1000
    jne fail32
    CASE 0x107                   # INVLPG
    PTE 0, PAGE+7
    movl $0x1234,V
    movl $PAGE+0x1007,PT         # not seen yet, maybe; after INVLPG it is
    invlpg V
    movl $0x5678,V
    CHECK $0x5678,PAGE+0x1000
    CHECK $0x1234,PAGE
    movb $0xc3,PAGE
    PTE 0, PAGE+7
    CASE 0x108                   # reserved bit 21 of a 4 MiB page
    movl $0x002000e7,PD+4
    RELOAD
    PF 9, mov V,%eax
    movl $0x000000e7,PD+4        # the same page as at 0
    RELOAD
    movl $0x77,0x31000
    CHECK $0x77,V+0x31000
    CASE 0x109                   # 4.10.4.1: INVLPG is for all of a large page
    movl $0x78,0x32000
    CHECK $0x78,V+0x32000
    movl $PAGE+7,PT+4*0x32
    movl $0x79,PAGE
    movl $PT+7,PD+4
    invlpg V+0x31000
    CHECK $0x79,V+0x32000
    RELOAD
    CASE 0x10a                   # global pages: INVLPG, CR4.PGE
    mov %cr4,%eax
    or $0x80,%eax
    mov %eax,%cr4
    movl $PAGE+0x107,PT+4*0x32
    movl $0x7a,PAGE+0x1000
    invlpg V+0x32000
    CHECK $0x79,V+0x32000
    movl $PAGE+0x1107,PT+4*0x32
    invlpg V+0x32000
    CHECK $0x7a,V+0x32000
    movl $PAGE+7,PT+4*0x32
    mov %cr4,%eax
    and $~0x80,%eax
    mov %eax,%cr4
    CHECK $0x79,V+0x32000
    movl $0,PT+4*0x32
    RELOAD
    CASE 0x200                   # PAE
    mov %cr0,%eax
    and $0x7fffffff,%eax
    mov %eax,%cr0
    movl $PD+1,PDPT
    movl $0,PDPT+4
    movl $0x2,PDPT+8             # not present: its bits do not matter
    movl $0,PDPT+12
    movl $0xe7,PD                # 2 MiB
    movl $0,PD+4
    movl $0x2000e7,PD+8
    movl $0,PD+12
    movl $PT+7,PD+16             # 400000h
    movl $0,PD+20
    movl $PAGE+7,PT
    movl $0,PT+4
    mov $PDPT,%eax
    mov %eax,%cr3
    mov %cr4,%eax
    or $0x20,%eax
    mov %eax,%cr4
    mov $0xc0000080,%ecx
    rdmsr
    or $0x800,%eax               # NXE
    wrmsr
    mov %cr0,%eax
    or $0x80000000,%eax
    mov %eax,%cr0
    jmp 1f
1:  movl $0xc3,V
    call V+0                     # executable
    CASE 0x201
    movl $0x80000000,PT+4        # XD
    RELOAD
    mov V,%eax
    movl $1f,resume
    push $0
    call V+0
1:  CHECK $EXC_PF,rec_vector
    CHECK $0x11,rec_error        # I/D and P
    CHECK $V,rec_cr2
    CHECK $V,rec_eip
    UJUMP 0x15
    CASE 0x202                   # reserved bits: 62:52
    movl $0x00100000,PT+4
    RELOAD
    PF 9, mov V,%eax
    movl $0,PT+4
    CASE 0x203                   # MOV to CR3 with a bad PDPTE: #GP(0), CR3 stays
    movl $PD+3,PDPT+8
    mov $PDPT,%eax
    FAULT EXC_GP, 0, mov %eax,%cr3
    movl $0,PDPT+8
    mov $PDPT,%eax
    mov %eax,%cr3
    CASE 0x204                   # SMEP
    movl $0xe3,PD                # the guest's own pages become supervisor pages
    RELOAD
    mov %cr4,%eax
    or $0x100000,%eax
    mov %eax,%cr4
    mov V,%eax
    movl $1f,resume
    push $0
    call V+0
1:  CHECK $EXC_PF,rec_vector
    CHECK $0x11,rec_error
    CHECK $V,rec_eip
    CASE 0x205                   # SMAP and AC
    mov %cr4,%eax
    or $0x200000,%eax
    mov %eax,%cr4
    PF 1, mov V,%eax
    PF 3, movl $0,V
    stac
    mov V,%eax
    clac
    PF 1, mov V,%eax
    jmp pass32

    TABLES32
