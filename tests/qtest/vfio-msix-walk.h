/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random walk of guest, device and host through MSI-X bring-up.
 */

#ifndef TESTS_VFIO_MSIX_WALK_H
#define TESTS_VFIO_MSIX_WALK_H

#include "libqos/vfio-msix-model.h"

/**
 * vfio_msix_walk() - do random things to @m
 * @m: a fresh model; each step is checked, see vfio-msix-model.h
 * @seed: of the walk, which it determines completely
 * @fires: goes on until the device has raised as many interrupts
 *
 * The guest masks and unmasks entries and the function, rewrites messages in
 * several ways, masked or not, reads the PBA, turns MSI-X off and on, and
 * resets the machine. Time passes between its steps. The device
 * raises one or many vectors at any time, and those that were armed while the
 * host has the index off. The host refuses to allocate or to arm, or fails
 * single requests, for some time.
 */
void vfio_msix_walk(VFIOMsixModel *m, uint32_t seed, uint64_t fires);

/** vfio_msix_walk_fires() - how long: QTEST_VFIO_FIRES, or what CI has time for */
unsigned vfio_msix_walk_fires(void);

/**
 * vfio_msix_walk_seed() - the seed to use: QTEST_VFIO_SEED, or a random one
 *
 * It is printed, to repeat the walk.
 */
uint32_t vfio_msix_walk_seed(void);

#endif
