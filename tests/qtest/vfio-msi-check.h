/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plain MSI of an assigned device: all sizes, and a host that is short.
 */

#ifndef TESTS_VFIO_MSI_CHECK_H
#define TESTS_VFIO_MSI_CHECK_H

/**
 * vfio_msi_check() - bring up 1, 2, ... 32 vectors and raise each of them
 * @policy: value of x-msix-prealloc
 *
 * MSI has no mask and cannot grow: one request, with all vectors, must do.
 */
void vfio_msi_check(const char *policy);

/**
 * vfio_msi_check_short() - the host grants fewer vectors than the guest enables
 * @policy: value of x-msix-prealloc
 *
 * MSI never grew, so the policy makes no difference: the granted ones work.
 */
void vfio_msi_check_short(const char *policy);

/* What a guest must not do, and can */
typedef enum VFIOMsiMix {
    VFIO_MSI_OVER_MSIX,     /* MSI-X off after MSI was enabled on top of it */
    VFIO_MSIX_OVER_MSI,     /* MSI off after MSI-X was enabled on top of it */
    VFIO_MSIX_WITHIN_MSI,   /* on top of MSI, and off again before it */
    VFIO_MSI_FEWER_VECTORS, /* while MSI is enabled */
    VFIO_MSI_MORE_VECTORS,
} VFIOMsiMix;

/** vfio_msi_check_mix() - a guest that mixes up MSI and MSI-X, in all ways */
void vfio_msi_check_mix(const char *policy);

/**
 * vfio_msi_try_mix() - the same, in one way
 * @mix: the way
 * @binary_var: environment variable that names a QEMU, which may die of it
 */
void vfio_msi_try_mix(VFIOMsiMix mix, const char *binary_var);

#endif
