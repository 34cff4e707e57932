/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The client's side of the bare guest, for clients whose QEMU has -accel kvm
 * and the bare guest as its firmware. Interrupts are counted by the guest's
 * CPU in the same words of guest RAM that client.c looks at.
 */
#ifndef TESTBED_BARE_CLIENT_H
#define TESTBED_BARE_CLIENT_H

#include "bare.h"

#define BARE_LAPIC_MESSAGE      0xfee00000u     /* to the CPU with APIC id 0 */

/* Of one mask and one unmask */
typedef struct BareTime {
    double mask_us;
    double unmask_us;
} BareTime;

/* After device_enable(): wait for the guest, and learn how fast its clock is. */
void bare_start(void);
/* Messages for all vectors, to the guest's CPU; large tables share vectors. */
void bare_msix_program(unsigned vectors);
void bare_run(unsigned command, unsigned vectors, unsigned cycles);
/*
 * Wait until the CPU has counted all interrupts that it had been sent: of those
 * that wait, it takes the one with the lowest vector last.
 */
void bare_fence(void);
/* After a command with cycles: what each took */
void bare_times(BareTime times[], unsigned cycles);

#endif
