/*
 * Starts an ELF kernel with a PVH entry note given by -kernel (Xen public documentation: "x86/HVM direct boot ABI"; struct
 * hvm_start_info version 1 of xen/include/public/arch-x86/hvm/start_info.h). Parts are transferred, the memory map is asked from the
 * BIOS (INT 15h, E820h; ACPI 6.4, 15.1), then the kernel is entered in 32-bit protected mode with %ebx at the start info.
 */
#include "rom.h"

#define INFO        0x8000          /* hvm_start_info, 56 bytes */
#define MODULE      0x8040          /* hvm_modlist_entry of the initrd, 32 bytes */
#define MAP         0x8100          /* hvm_memmap_table_entry[], 24 bytes each */
#define MAP_MAX     128
#define SMAP        0x534d4150

        ROM_HEAD "PVH kernel"

boot:
        ROM_STACK
        movw    $parts, %si
        call    load

        movw    $INFO, %di
        movw    $(MAP - INFO) / 2, %cx
        xorw    %ax, %ax
        rep stosw
        movl    $0x336ec578, INFO   /* magic */
        movl    $1, INFO + 4        /* version */
        movw    $CMDLINE_SIZE, %ax
        call    read_long
        testl   %eax, %eax
        jz      1f
        movw    $CMDLINE_ADDR, %ax
        call    read_long
        movl    %eax, INFO + 24
1:      movw    $INITRD_SIZE, %ax
        call    read_long
        testl   %eax, %eax
        jz      2f
        movl    %eax, MODULE + 8
        movw    $INITRD_ADDR, %ax
        call    read_long
        movl    %eax, MODULE
        movl    $1, INFO + 12
        movl    $MODULE, INFO + 16
2:      call    memory_map
        call    find_rsdp
        movw    $KERNEL_ENTRY, %ax
        call    read_long
        movl    %eax, %ebp

        /* Flat segments: descriptor table in this ROM, whose linear address is in %cs. */
        cli
        movw    %cs, %ax
        movzwl  %ax, %eax
        shll    $4, %eax
        addl    $gdt, %eax
        movl    %eax, SCRATCH + 2
        movw    $(gdt_end - gdt - 1), SCRATCH
        lgdtl   SCRATCH
        movl    %cr0, %eax
        orb     $1, %al
        movl    %eax, %cr0
        movw    $0x10, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    $INFO, %ebx
        pushl   $2
        popfl
        /* A far jump whose target is in a register: through the stack. */
        pushl   $8
        pushl   %ebp
        lretl

/* INT 15h, E820h until the last; entries are 20 bytes, the table's 24. Nothing when the BIOS has no map. */
memory_map:
        xorl    %ebx, %ebx
        movw    $MAP, %di
        movw    $MAP_MAX, %bp
1:      movl    $0xe820, %eax
        movl    $20, %ecx
        movl    $SMAP, %edx
        int     $0x15
        jc      2f
        cmpl    $SMAP, %eax
        jne     2f
        movl    $0, 20(%di)
        addw    $24, %di
        incl    INFO + 48
        testl   %ebx, %ebx
        jz      2f
        decw    %bp
        jnz     1b
2:      movl    $MAP, INFO + 40
        ret

/* ACPI 6.4, 5.2.5.1: on a boundary of 16 bytes from 0xe0000 to 0xfffff. */
find_rsdp:
        movw    $0xe000, %ax
1:      movw    %ax, %es
        cmpl    $0x20445352, %es:0  /* "RSD " */
        jne     2f
        cmpl    $0x20525450, %es:4  /* "PTR " */
        je      3f
2:      incw    %ax
        jnz     1b
        jmp     4f
3:      movzwl  %ax, %eax
        shll    $4, %eax
        movl    %eax, INFO + 32
4:      xorw    %ax, %ax
        movw    %ax, %es
        ret

        ROM_LIBRARY

parts:
        .byte   CMDLINE_ADDR, CMDLINE_SIZE, CMDLINE_DATA
        .byte   KERNEL_ADDR, KERNEL_SIZE, KERNEL_DATA
        .byte   INITRD_ADDR, INITRD_SIZE, INITRD_DATA
        .byte   0

        .balign 8
gdt:    .quad   0
        .quad   0x00cf9b000000ffff  /* 0x08: code, 32 bits, 4 GiB */
        .quad   0x00cf93000000ffff  /* 0x10: data */
gdt_end:
