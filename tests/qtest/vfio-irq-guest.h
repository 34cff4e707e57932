/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that counts interrupts, for each vector of each of its CPUs.
 *
 * It runs in real mode only, which is all that some KVM hosts can do, and uses
 * the local APICs through the MSRs of x2APIC mode: their registers in memory
 * are out of real mode's reach. A CPU waits in HLT between interrupts.
 */

#ifndef TESTS_VFIO_IRQ_GUEST_H
#define TESTS_VFIO_IRQ_GUEST_H

#include "libqtest.h"

#define VFIO_IRQ_GUEST_CPUS 2

/* APIC vectors for devices; below them is what the guest itself needs */
#define VFIO_IRQ_GUEST_FIRST 0x30
#define VFIO_IRQ_GUEST_LAST  0xfe
#define VFIO_IRQ_GUEST_COUNT (VFIO_IRQ_GUEST_LAST - VFIO_IRQ_GUEST_FIRST + 1)

/* Guest memory that the guest uses, for vfio_irq_guest_new() */
#define VFIO_IRQ_GUEST_BASE 0x10000
#define VFIO_IRQ_GUEST_SIZE (VFIO_IRQ_GUEST_CPUS * 0x1000)

typedef struct VFIOIrqGuest VFIOIrqGuest;

/** vfio_irq_guest_write_firmware() - a new file for -bios, return its name */
char *vfio_irq_guest_write_firmware(void);

/**
 * vfio_irq_guest_new() - watch the guest that runs in @qts
 * @qts: QEMU, started with the firmware and a CPU that has x2APIC
 * @memory: the guest's memory at %VFIO_IRQ_GUEST_BASE
 * @cpus: 1 to %VFIO_IRQ_GUEST_CPUS, with APIC ids from 0
 */
VFIOIrqGuest *vfio_irq_guest_new(QTestState *qts, void *memory, unsigned cpus);
void vfio_irq_guest_free(VFIOIrqGuest *g);

/**
 * vfio_irq_guest_wait_alive() - wait until all CPUs take interrupts
 *
 * To be called once after start, and once after each reset.
 *
 * Return: number of CPUs that do; the wait gives up on others after seconds.
 */
unsigned vfio_irq_guest_wait_alive(VFIOIrqGuest *g);

/** vfio_irq_guest_count() - interrupts taken so far, modulo 2^32 */
uint32_t vfio_irq_guest_count(VFIOIrqGuest *g, unsigned cpu, unsigned vector);

/**
 * vfio_irq_guest_barrier() - wait until all CPUs have served their APIC
 *
 * Sends each an interrupt of lowest priority. Nothing may go on raising others
 * all the time.
 */
void vfio_irq_guest_barrier(VFIOIrqGuest *g);

/** vfio_irq_guest_strays() - interrupts and exceptions nobody asked for */
unsigned vfio_irq_guest_strays(VFIOIrqGuest *g);

/** vfio_irq_guest_address() - of messages to @cpu, physical destination */
uint64_t vfio_irq_guest_address(unsigned cpu);

#endif
