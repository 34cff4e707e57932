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
 * @steps: how many
 *
 * The guest masks and unmasks entries and the function, rewrites messages of
 * masked entries, turns MSI-X off and on, and resets the machine. The device
 * raises one or many vectors at any time, and those that were armed while the
 * host has the index off. The host refuses to allocate or to arm, or fails
 * single requests, for some time.
 *
 * A message is not rewritten while its entry is unmasked.
 */
void vfio_msix_walk(VFIOMsixModel *m, uint32_t seed, unsigned steps);

/**
 * vfio_msix_walk_seed() - the seed to use: QTEST_VFIO_SEED, or a random one
 *
 * It is printed, to repeat the walk.
 */
uint32_t vfio_msix_walk_seed(void);

#endif
