/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the scenarios of vfio-msix-resize-test and vfio-irq-kvm-test have in
 * common.
 */

#ifndef TESTS_VFIO_MSIX_SCENARIO_H
#define TESTS_VFIO_MSIX_SCENARIO_H

#include "libqos/vfio-msix-model.h"

typedef enum VFIOMsixOrder {
    VFIO_MSIX_ASCENDING,
    VFIO_MSIX_DESCENDING,
    VFIO_MSIX_SPARSE,
} VFIOMsixOrder;

/**
 * struct VFIOMsixScenario - data of a test
 * @name: for messages
 * @host: what the host does about MSI-X
 * @policy: value of x-msix-prealloc
 * @n: size of the MSI-X table, a power of two
 * @order: in which the guest unmasks entries
 */
typedef struct VFIOMsixScenario {
    const char *name;
    VFIOUserHost host;
    const char *policy;
    unsigned n;
    VFIOMsixOrder order;
} VFIOMsixScenario;

/**
 * vfio_msix_raise_fd_limit() - allow as many descriptors as can be had
 *
 * Two eventfds for each of 2048 vectors are needed; QEMU inherits the limit.
 *
 * Return: number of descriptors.
 */
uint64_t vfio_msix_raise_fd_limit(void);

/** vfio_msix_start() - start QEMU with @policy on a @host with @n vectors */
VFIOMsixModel *vfio_msix_start(VFIOUserHost host, const char *policy,
                               unsigned n);

/** vfio_msix_is_off() - whether the old flow is asked for, which must lose */
bool vfio_msix_is_off(const VFIOMsixScenario *sc);

void vfio_msix_set_faults(VFIOMsixModel *m, VFIOUserIrqFaults faults);

/** vfio_msix_assert_clean() - no violation of any kind so far */
void vfio_msix_assert_clean(VFIOMsixModel *m);

/** vfio_msix_report() - print the numbers of the host */
void vfio_msix_report(VFIOMsixModel *m, const char *what);

/** vfio_msix_nth_vector() - the @i-th of @n vectors in @order */
unsigned vfio_msix_nth_vector(VFIOMsixOrder order, unsigned i, unsigned n);

/**
 * vfio_msix_bring_up() - enable MSI-X, then unmask one by one
 *
 * All live vectors are raised after each step, of very many some.
 */
void vfio_msix_bring_up(VFIOMsixModel *m, VFIOMsixOrder order);

/** vfio_msix_unmask_in_one() - enable MSI-X with all entries unmasked */
void vfio_msix_unmask_in_one(VFIOMsixModel *m);

/** vfio_msix_unplug() - take the device out of its slot, where ACPI can */
void vfio_msix_unplug(VFIOMsixModel *m);

/** vfio_msix_plug() - put it back, with that x-msix-prealloc or the default */
void vfio_msix_plug(VFIOMsixModel *m, const char *policy);

/** vfio_msix_working() - raise each unmasked vector, count those that arrive */
unsigned vfio_msix_working(VFIOMsixModel *m);

/* A thread that raises all vectors of a model, again and again */
typedef struct VFIOMsixStorm VFIOMsixStorm;

VFIOMsixStorm *vfio_msix_storm_new(VFIOMsixModel *m);
void vfio_msix_storm_free(VFIOMsixStorm *storm);

/**
 * vfio_msix_mask_under_fire() - mask and unmask during a storm
 *
 * Nothing may arrive on a vector while it is masked.
 */
void vfio_msix_mask_under_fire(VFIOMsixModel *m, unsigned rounds);

/**
 * vfio_msix_rewrite_all_ways() - rewrite messages of unmasked entries
 * @m: all entries are unmasked
 * @rested: each vector is on the fast path before, else on the one through QEMU
 *
 * In any order of the writes, of all parts or only of those that differ, with
 * the device raising the vector in between or not. See vfio-msix-rewrite.c.
 */
void vfio_msix_rewrite_all_ways(VFIOMsixModel *m, bool rested);

/**
 * vfio_msix_rewrite_in_parts() - change a half of the address, or the data
 * @m: all entries are unmasked; messages go to memory
 */
void vfio_msix_rewrite_in_parts(VFIOMsixModel *m);

/* What is pending, see vfio-msix-rewrite.c, too */
void vfio_msix_test_pba(const void *scenario);
void vfio_msix_check_old_pba(VFIOMsixModel *m);

/* Hosts that are short of vectors, see vfio-msix-refusal.c */
void vfio_msix_test_refusal(const void *scenario);
void vfio_msix_test_arm_refusal(const void *scenario);
void vfio_msix_test_fail_each(const void *scenario);
void vfio_msix_test_short_then_growth(const void *scenario);

#endif
