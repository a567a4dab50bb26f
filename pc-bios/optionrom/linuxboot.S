/*
 * Starts a Linux kernel given by -kernel, by the x86 boot protocol (Documentation/arch/x86/boot.rst: "The Real-Mode Kernel
 * Header", "Running the Kernel"). The emulator has filled in the header; parts are transferred to where they belong.
 */
#include "rom.h"

        ROM_HEAD "Linux kernel"

boot:
        ROM_STACK
        movw    $parts, %si
        call    load

        /* Segments at the real-mode code, stack below the command line, entry 0x200 bytes in. */
        movw    $CMDLINE_ADDR, %ax
        call    read_long
        movl    %eax, %ebp
        movw    $SETUP_ADDR, %ax
        call    read_long
        subl    %eax, %ebp
        subl    $16, %ebp
        shrl    $4, %eax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %fs
        movw    %ax, %gs
        movw    %ax, %ss
        movl    %ebp, %esp
        addw    $0x20, %ax
        pushw   %ax
        pushw   $0
        xorl    %eax, %eax
        xorl    %ebx, %ebx
        xorl    %ecx, %ecx
        xorl    %edx, %edx
        xorl    %esi, %esi
        xorl    %edi, %edi
        xorl    %ebp, %ebp
        lret

        ROM_LIBRARY

parts:
        .byte   SETUP_ADDR, SETUP_SIZE, SETUP_DATA
        .byte   CMDLINE_ADDR, CMDLINE_SIZE, CMDLINE_DATA
        .byte   KERNEL_ADDR, KERNEL_SIZE, KERNEL_DATA
        .byte   INITRD_ADDR, INITRD_SIZE, INITRD_DATA
        .byte   0
