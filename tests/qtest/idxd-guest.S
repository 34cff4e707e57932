/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that runs the programs which a test puts into its memory, see
 * idxd-guest.h.  idxd-guest-code.h holds its bytes, which come from:
 *
 *   gcc -c -o guest.o idxd-guest.S
 *   objcopy -O binary -j .text guest.o guest.bin
 *   xxd -i <guest.bin
 *
 * All CPUs begin here in real mode, the first one by the firmware's jump and
 * the others by a start-up IPI, and go on in long mode.
 */

#define BASE            0x8000
#define PAGE_TABLE      0x10000         /* comes from the test */
#define MAILBOX         0x20000         /* of the first CPU */
#define MAILBOX_SHIFT   12
#define STACK           0x800           /* of programs, in the mailbox */

#define GO              0x00
#define RAX             0x08
#define RCX             0x10
#define RDX             0x18
#define RBX             0x20
#define RSI             0x28
#define RDI             0x30
#define CS              0x38
#define SS              0x40
#define RIP             0x48
#define VECTOR          0x50
#define ERROR           0x58
#define CR2             0x60
#define RFLAGS          0x68
#define ALIVE           0x70

#define CODE64          0x08
#define DATA            0x10
#define USER_DATA       0x23
#define TSS             0x40

#define LAPIC_ID        0xfee00020
#define LAPIC_ICR       0xfee00300

#define MSR_EFER        0xc0000080
#define END_VECTOR      0x30
#define ADDRESS(label)  (BASE + label - start)

        .text
        .code16
start:
        cli
        movw    %cs, %ax
        movw    %ax, %ds
        lgdtl   gdt_pointer - start
        movl    $0x220, %eax            /* PAE, OSFXSR */
        movl    %eax, %cr4
        movl    $PAGE_TABLE, %eax
        movl    %eax, %cr3
        movl    $MSR_EFER, %ecx
        rdmsr
        orl     $0x100, %eax            /* LME */
        wrmsr
        movl    $0x80010001, %eax       /* PG, WP, PE */
        movl    %eax, %cr0
        ljmpl   $CODE64, $ADDRESS(start64)

        .code64
start64:
        movl    $DATA, %eax
        movl    %eax, %ss
        movl    $USER_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        lidt    ADDRESS(idt_pointer)
        movl    $LAPIC_ID, %eax
        movl    (%rax), %ebx
        shrl    $24, %ebx
        movl    %ebx, %r15d
        shll    $MAILBOX_SHIFT, %r15d
        addl    $MAILBOX, %r15d
        leaq    0x1000(%r15), %rsp

        /* the stack for exceptions in user mode */
        imull   $tss_end - tss, %ebx, %eax
        movq    %rsp, ADDRESS(tss) + 4(%rax)
        movl    %ebx, %eax
        shll    $4, %eax
        addl    $TSS, %eax
        ltr     %ax

        testl   %ebx, %ebx
        jnz     ready
        movl    $LAPIC_ICR, %eax
        movl    $0xc4500, (%rax)        /* INIT to all others */
        movl    $0xc4600 + (BASE >> 12), (%rax)
        movl    $0xc4600 + (BASE >> 12), (%rax)
ready:
        movq    $1, ALIVE(%r15)

next:
        pause
        cmpq    $0, GO(%r15)
        je      next
        pushq   SS(%r15)
        leaq    STACK(%r15), %rax
        pushq   %rax
        pushq   $2                      /* RFLAGS */
        pushq   CS(%r15)
        pushq   RIP(%r15)
        movq    RAX(%r15), %rax
        movq    RCX(%r15), %rcx
        movq    RDX(%r15), %rdx
        movq    RBX(%r15), %rbx
        movq    RSI(%r15), %rsi
        movq    RDI(%r15), %rdi
        iretq

/* What a program ends with: an exception, or INT END_VECTOR */
common:
        pushq   %rax
        movq    %rsp, %rax
        andq    $-0x1000, %rax
        movq    %rax, %r15
        popq    RAX(%r15)
        popq    VECTOR(%r15)
        popq    ERROR(%r15)
        popq    RIP(%r15)
        movq    8(%rsp), %rax
        movq    %rax, RFLAGS(%r15)
        movq    %cr2, %rax
        movq    %rax, CR2(%r15)
        movq    %rcx, RCX(%r15)
        movq    %rdx, RDX(%r15)
        movq    %rbx, RBX(%r15)
        movq    %rsi, RSI(%r15)
        movq    %rdi, RDI(%r15)
        movl    $DATA, %eax
        movl    %eax, %ss
        movl    $USER_DATA, %eax
        movl    %eax, %ds
        movl    %eax, %es
        leaq    0x1000(%r15), %rsp
        movq    $0, GO(%r15)
        jmp     next

/* 8, 10 to 14 and 17 push an error code themselves */
        .balign 16
handlers:
        .set    n, 0
        .rept   END_VECTOR + 1
        .balign 16
        .if     (n != 8) && ((n < 10) || (n > 14)) && (n != 17)
        pushq   $0
        .endif
        pushq   $n
        jmp     common
        .set    n, n + 1
        .endr

        .balign 8
gdt:
        .quad   0
        .quad   0x00af9b000000ffff      /* 0x08: code, 64-bit */
        .quad   0x00cf93000000ffff      /* 0x10: data */
        .quad   0x00cffb000000ffff      /* 0x18: user code, 32-bit */
        .quad   0x00cff3000000ffff      /* 0x20: user data */
        .quad   0x00affb000000ffff      /* 0x28: user code, 64-bit */
        .quad   0x00cff3100000ffff      /* 0x30: user data from 1 MiB on */
        .quad   0
        .set    n, 0
        .rept   2                       /* 0x40, 0x50: TSS, available */
        .word   tss_end - tss - 1
        .word   ADDRESS(tss) + n
        .quad   0x8900
        .long   0
        .set    n, n + tss_end - tss
        .endr
gdt_end:

gdt_pointer:
        .word   gdt_end - gdt - 1
        .long   ADDRESS(gdt)
idt_pointer:
        .word   idt_end - idt - 1
        .quad   ADDRESS(idt)

/* Interrupt gates; the programs may use the last one themselves */
        .balign 8
idt:
        .set    n, 0
        .rept   END_VECTOR + 1
        .word   ADDRESS(handlers) + 16 * n, CODE64
        .if     n == END_VECTOR
        .quad   0xee00
        .else
        .quad   0x8e00
        .endif
        .long   0
        .set    n, n + 1
        .endr
idt_end:

        .balign 8
tss:    .fill   0x68, 1, 0
tss_end:
        .fill   0x68, 1, 0
