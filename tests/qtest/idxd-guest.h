/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest under TCG whose CPUs run small programs next to an idxd-ims
 *
 * A program is a few bytes of machine code, with values for some registers.
 * It ends with its last byte or with an exception, and what is in the
 * registers and in memory then is the result.  Programs of two CPUs run at
 * the same time.
 */
#ifndef TESTS_IDXD_GUEST_H
#define TESTS_IDXD_GUEST_H

#include "idxd-ims-vm.h"

#define IDXD_GUEST_CPUS     2

/* How a program runs; the 32-bit mode is the compatibility mode */
typedef enum {
    IDXD_GUEST_KERNEL,
    IDXD_GUEST_USER,
    IDXD_GUEST_USER32,
} IdxdGuestMode;

/* Selector of a data segment for user mode that begins at this address */
#define IDXD_GUEST_SELECTOR     0x33
#define IDXD_GUEST_SEGMENT      0x100000u

/* Windows onto the first GiB of memory, and one onto nothing */
#define IDXD_GUEST_ABSENT       0x100000000ull
#define IDXD_GUEST_READ_ONLY    0x140000000ull
#define IDXD_GUEST_SUPERVISOR   0x180000000ull

#define IDXD_GUEST_UD       6
#define IDXD_GUEST_GP       13
#define IDXD_GUEST_PF       14
#define IDXD_GUEST_DONE     0x30    /* no exception */

/* RFLAGS */
#define IDXD_GUEST_ZF       (1u << 6)
#define IDXD_GUEST_STATUS   0x8d5u  /* CF, PF, AF, ZF, SF, OF */

#define IDXD_GUEST_MAX_CODE 0x100

/**
 * IdxdGuestRun - a program, and what became of it
 * @rax: this and the other registers: before, then after it
 * @vector: of the exception that ended it, or %IDXD_GUEST_DONE
 * @rip: where it was then, from the first byte of the program
 */
typedef struct IdxdGuestRun {
    IdxdGuestMode mode;
    const uint8_t *code;
    size_t code_size;
    uint64_t rax, rcx, rdx, rbx, rsi, rdi;
    uint64_t rip;
    uint64_t vector, error, cr2, rflags;
} IdxdGuestRun;

#define IDXD_GUEST_CODE(bytes) \
    .code = (const uint8_t *)(bytes), .code_size = sizeof(bytes) - 1

/**
 * idxd_guest_new: start a machine with the guest and the device
 * @cpus: 1 to %IDXD_GUEST_CPUS
 * @cpu: model and features
 * @opts: as for idxd_vm_new()
 *
 * Returns: NULL if this QEMU has no TCG.
 */
IdxdVM *idxd_guest_new(unsigned cpus, const char *cpu, const char *opts);

void idxd_guest_start(IdxdVM *vm, unsigned cpu, const IdxdGuestRun *run);
/* idxd_guest_wait: for the end of the program, and put the result into @run */
void idxd_guest_wait(IdxdVM *vm, unsigned cpu, IdxdGuestRun *run);
/* idxd_guest_run: both, on the first CPU */
void idxd_guest_run(IdxdVM *vm, IdxdGuestRun *run);

#endif
