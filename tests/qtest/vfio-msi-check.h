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

/** vfio_msi_check_mix() - a guest that mixes up MSI and MSI-X */
void vfio_msi_check_mix(const char *policy);

#endif
