/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the reset vector to bare_main() in 32-bit protected mode, and one
 * interrupt handler per vector. Linked at 0xf0000, where the machine shows the
 * last 64 KiB of its firmware.
 */
#include "bare.h"

#define LAPIC_EOI       0xfee000b0
#define STACK           0x90000

        .section .reset, "ax"
        .code16
        cli
        jmp     start16

        .section .text
start16:
        lgdtl   %cs:gdt_pointer - start16
        movl    $1, %eax
        movl    %eax, %cr0
        ljmpl   $8, $start32

        .code32
start32:
        movw    $16, %ax
        movw    %ax, %ds
        movw    %ax, %es
        movw    %ax, %ss
        movl    $STACK, %esp
        call    bare_main

/* Intel SDM volume 3, 3.4.5: flat code and data segments */
        .align  8
gdt:
        .quad   0
        .quad   0x00cf9b000000ffff
        .quad   0x00cf93000000ffff
gdt_pointer:
        .word   . - gdt - 1
        .long   gdt

/* BARE_HANDLER_SIZE bytes per handler; number is that of the vector. */
        .global handlers
        .balign BARE_HANDLER_SIZE
handlers:
        .set    number, BARE_WAKE_VECTOR
        .rept   BARE_FIRST_VECTOR + BARE_VECTORS - BARE_WAKE_VECTOR
        .balign BARE_HANDLER_SIZE
        pushl   $number - BARE_FIRST_VECTOR
        jmp     count
        .set    number, number + 1
        .endr

/* The 16 vectors below BARE_FIRST_VECTOR count just below the counters. */
count:
        xchgl   %eax, (%esp)
        incl    BARE_COUNTERS(, %eax, 4)
        movl    $0, LAPIC_EOI
        popl    %eax
        iretl
