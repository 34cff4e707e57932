/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine under KVM whose guest counts the interrupts of assigned devices.
 *
 * Also a machine for the model of vfio-msix-model.h: the places of a vector are
 * APIC vectors of its own, on each CPU. A message that is stale, torn or sent
 * to the wrong CPU is seen where it arrives.
 */

#ifndef TESTS_VFIO_IRQ_KVM_H
#define TESTS_VFIO_IRQ_KVM_H

#include "libqos/vfio-msix-model.h"
#include "vfio-irq-guest.h"

#define VFIO_IRQ_STOCK_VAR "QTEST_QEMU_STOCK_BINARY"

/* Vectors of a device that can have more than one message each */
#define VFIO_IRQ_KVM_MOVABLE (VFIO_IRQ_GUEST_COUNT / 2)

/**
 * struct VFIOIrqKvm - the machine
 * @cpus: of the guest, 1 or 2
 * @iommu: with an IOMMU that can remap interrupts, and so knows x2APIC ids
 * @remap: with such an IOMMU, and messages that it remaps
 * @long_hold: QEMU waits for the rest of a message as long as it takes. A
 *     guest must then write all of it, data last
 * @options: more of QEMU's, or NULL
 * @log_errors: what QEMU says on stderr goes to the log, see
 *     vfio_irq_kvm_logged()
 * @binary_var: environment variable that names the binary, NULL for the usual
 *
 * What follows is set when it is started, and read only for its users.
 *
 * @qts: QEMU
 * @guest: the guest
 * @has_states: QEMU has the property x-irq-vectors
 */
typedef struct VFIOIrqKvm {
    unsigned cpus;
    bool iommu, remap;
    bool long_hold;
    bool log_errors;
    const char *options;
    const char *binary_var;

    QTestState *qts;
    VFIOIrqGuest *guest;
    bool has_states;
    void *memory;
    char *log;
    uint32_t seen[VFIO_IRQ_GUEST_CPUS][VFIO_IRQ_GUEST_LAST + 1];
} VFIOIrqKvm;

/**
 * vfio_irq_kvm_start() - start QEMU and the guest
 * @k: what to start
 * @servers: devices, for the slots from %VFIO_MSIX_SLOT up
 * @n: number of @servers
 * @policy: value of x-msix-prealloc, or NULL
 *
 * Return: number of CPUs that run guest code.
 */
unsigned vfio_irq_kvm_start(VFIOIrqKvm *k, VFIOUserServer **servers,
                            unsigned n, const char *policy);
void vfio_irq_kvm_stop(VFIOIrqKvm *k);

/** vfio_irq_kvm_accel() - whether QEMU uses KVM */
bool vfio_irq_kvm_accel(VFIOIrqKvm *k);

/** vfio_irq_kvm_take() - interrupts at a CPU's vector since the last call */
unsigned vfio_irq_kvm_take(VFIOIrqKvm *k, unsigned cpu, unsigned number);

/**
 * vfio_irq_kvm_wait_arrived() - let arrive what was raised
 * @k: the machine
 * @n: interrupts that are to be there, and were not taken before; 0 for none
 *
 * Returns when they are, or when it is certain that they do not come.
 */
void vfio_irq_kvm_wait_arrived(VFIOIrqKvm *k, unsigned n);

/** vfio_irq_kvm_commits() - KVM_SET_GSI_ROUTING calls so far */
unsigned vfio_irq_kvm_commits(VFIOIrqKvm *k);

/** vfio_irq_kvm_logged() - lines of QEMU's log with @text in them */
unsigned vfio_irq_kvm_logged(VFIOIrqKvm *k, const char *text);

/* What x-irq-vectors says about the vectors of a device */
typedef struct VFIOIrqKvmStates {
    unsigned n;             /* vectors in use */
    unsigned irqfd;         /* of these, the ones that KVM serves */
    unsigned settling;      /* the ones that will not stay as they are */
    unsigned pending;
    unsigned unmasked;
} VFIOIrqKvmStates;

/**
 * vfio_irq_kvm_states() - count the vectors of the device in slot @slot
 *
 * All numbers are 0 where QEMU has no such property.
 */
VFIOIrqKvmStates vfio_irq_kvm_states(VFIOIrqKvm *k, unsigned slot);

/**
 * vfio_irq_kvm_wait_settled() - wait until QEMU has handed over what it can
 * @k: the machine
 * @slot: the device's
 * @irqfd: number of vectors that KVM must serve then, at least
 *
 * Return: as vfio_irq_kvm_states(), at once where QEMU has no such property.
 */
VFIOIrqKvmStates vfio_irq_kvm_wait_settled(VFIOIrqKvm *k, unsigned slot,
                                           unsigned irqfd);

/* With a VFIOIrqKvm as VFIOMsixModelConfig.opaque, and as VFIOMsixModel's */
extern const VFIOMsixMachine vfio_irq_kvm_machine;

/** vfio_irq_kvm_target() - where the messages of a place arrive */
void vfio_irq_kvm_target(const VFIOMsixModel *m, unsigned v, unsigned place,
                         unsigned *cpu, unsigned *number);

/** vfio_irq_kvm_handle() - the remapping handle of a place */
unsigned vfio_irq_kvm_handle(const VFIOMsixModel *m, unsigned v,
                             unsigned place);

#endif
