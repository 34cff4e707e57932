/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the scenarios of vfio-irq-kvm-test have in common.
 */

#ifndef TESTS_VFIO_IRQ_KVM_SCENARIO_H
#define TESTS_VFIO_IRQ_KVM_SCENARIO_H

#include "vfio-irq-kvm.h"
#include "vfio-msix-scenario.h"

/**
 * struct VFIOIrqKvmScenario - data of a test
 * @name: for messages
 * @host: what the host does about MSI-X
 * @n: size of the MSI-X table
 * @cpus: of the guest
 * @remap: interrupts are remapped
 * @stock: with the QEMU of %VFIO_IRQ_STOCK_VAR, where the defect must be found
 */
typedef struct VFIOIrqKvmScenario {
    const char *name;
    VFIOUserHost host;
    unsigned n, cpus;
    bool remap, stock;
} VFIOIrqKvmScenario;

/** vfio_irq_kvm_model() - start QEMU for a test; @k is the machine's state */
VFIOMsixModel *vfio_irq_kvm_model(const VFIOIrqKvmScenario *sc, VFIOIrqKvm *k);

/** vfio_irq_kvm_report() - print the numbers of host, device and KVM */
void vfio_irq_kvm_report(const VFIOIrqKvmScenario *sc, VFIOMsixModel *m);

/** vfio_irq_kvm_pba() - the pending bit of @v as the guest reads it */
bool vfio_irq_kvm_pba(VFIOMsixModel *m, unsigned v);

/* Messages that change while their entry is unmasked: vfio-irq-kvm-rewrite.c */
void vfio_irq_kvm_test_rewrite(const void *scenario);
void vfio_irq_kvm_test_rewrite_under_fire(const void *scenario);
void vfio_irq_kvm_test_move_irte(const void *scenario);
void vfio_irq_kvm_test_late_irte(const void *scenario);

/* What KVM cannot do, and when it is to stop: vfio-irq-kvm-limits.c */
void vfio_irq_kvm_test_many_routes(const void *scenario);
void vfio_irq_kvm_test_rejected(const void *scenario);
void vfio_irq_kvm_test_reset(const void *scenario);
void vfio_irq_kvm_test_unplug(const void *scenario);
void vfio_irq_kvm_test_msi(const void *scenario);

/* A message that the vIOMMU refuses, for a device that is not VFIO's */
void vfio_irq_kvm_test_ivshmem(const void *scenario);

#endif
