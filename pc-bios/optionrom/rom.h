/*
 * What both loaders share: the head of an option ROM with a boot entry vector (Plug and Play BIOS Specification 1.0A, 3.2;
 * BIOS Boot Specification 1.01, chapter 5), and reading firmware configuration items by DMA. 16-bit code, GNU as.
 *
 * Firmware copies the ROM below 1 MiB, calls offset 3 once, and later calls `boot` with a far call when it is the turn
 * of this "boot device". Memory used while loading: stack below 0x7c00, SCRATCH.
 */
#define SCRATCH     0x7e00          /* transfer description, 16 bytes */
#define VALUE       0x7e10          /* item of 4 bytes read last */
#define PORT_DMA    0x514
#define DMA_ERROR   1
#define DMA_READ    2
#define DMA_SELECT  8

#define KERNEL_ADDR 0x07
#define KERNEL_SIZE 0x08
#define INITRD_ADDR 0x0a
#define INITRD_SIZE 0x0b
#define KERNEL_ENTRY 0x10
#define KERNEL_DATA 0x11
#define INITRD_DATA 0x12
#define CMDLINE_ADDR 0x13
#define CMDLINE_SIZE 0x14
#define CMDLINE_DATA 0x15
#define SETUP_ADDR  0x16
#define SETUP_SIZE  0x17
#define SETUP_DATA  0x18

.macro ROM_HEAD product
        .code16
        .text
        .globl  _start
_start:
        .byte   0x55, 0xaa
        .byte   0                   /* length in 512 bytes: sign.py */
        xorw    %ax, %ax            /* offset 3: nothing to set up */
        lret
        .org    0x18
        .word   0                   /* no PCI data */
        .word   pnp                 /* 0x1a */
        .balign 16
pnp:
        .ascii  "$PnP"
        .byte   1, 2                /* revision, length in 16 bytes */
        .word   0                   /* no further header */
        .byte   0
        .byte   0                   /* checksum: sign.py */
        .long   0                   /* device identifier */
        .word   maker, name
        .byte   0, 0, 0             /* class */
        .byte   0x14                /* device indicators: initial program load device, not needed to boot others */
        .word   0, 0                /* no boot connection or disconnect vector */
        .word   boot                /* boot entry vector */
        .word   0, 0
maker:  .asciz  "Kestrel"
name:   .asciz  "\product"
.endm

/*
 * read_item: item %ax, %ecx bytes, to linear address %edx. Changes %eax, %ebx. %ds is 0 in these.
 * load: for each (address item, size item, data item) of the table at %cs:%si, until 0: transfers the data if there is any.
 */
.macro ROM_LIBRARY
read_item:
        shll    $16, %eax
        orw     $(DMA_SELECT | DMA_READ), %ax
        bswapl  %eax
        movl    %eax, SCRATCH
        movl    %ecx, %eax
        bswapl  %eax
        movl    %eax, SCRATCH + 4
        movl    $0, SCRATCH + 8
        movl    %edx, %eax
        bswapl  %eax
        movl    %eax, SCRATCH + 12
        pushw   %dx
        movw    $PORT_DMA, %dx
        xorl    %eax, %eax
        outl    %eax, %dx
        addw    $4, %dx
        movl    $SCRATCH, %eax
        bswapl  %eax
        outl    %eax, %dx
        popw    %dx
1:      movl    SCRATCH, %eax
        bswapl  %eax
        testl   %eax, %eax
        jz      2f
        testl   $DMA_ERROR, %eax
        jz      1b
        jmp     failed
2:      ret

/* read_long: %eax = the 4 bytes of item %ax. Changes %ecx, %edx. */
read_long:
        movl    $4, %ecx
        movl    $VALUE, %edx
        call    read_item
        movl    VALUE, %eax
        ret

load:
        movzbw  %cs:1(%si), %ax
        call    read_long
        testl   %eax, %eax
        jz      1f
        pushl   %eax
        movzbw  %cs:(%si), %ax
        call    read_long
        movl    %eax, %edx
        popl    %ecx
        movzbw  %cs:2(%si), %ax
        call    read_item
1:      addw    $3, %si
        cmpb    $0, %cs:(%si)
        jne     load
        ret

/* The memory does not take it: says so, and lets the firmware try the next boot device. */
failed:
        movw    $message, %si
1:      movb    %cs:(%si), %al
        incw    %si
        testb   %al, %al
        jz      2f
        movb    $0x0e, %ah
        movw    $7, %bx
        int     $0x10
        jmp     1b
2:      int     $0x18
3:      hlt
        jmp     3b
message: .asciz "Kernel does not fit in memory\r\n"
.endm

.macro ROM_STACK
        cli
        cld
        xorw    %ax, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $0x7c00, %esp
.endm
