/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random walk of guest, device and host through MSI-X bring-up.
 */

#ifndef TESTS_VFIO_MSIX_WALK_H
#define TESTS_VFIO_MSIX_WALK_H

#include "libqos/vfio-msix-model.h"

/**
 * struct VFIOMsixWalk - how to walk
 * @seed: of the walk, which it determines completely
 * @steps: how many steps to take at least
 * @fires: how many interrupts to raise at least
 * @live: messages of unmasked entries are rewritten, too, and the walk rests
 *     now and then so that QEMU takes the fast path again
 */
typedef struct VFIOMsixWalk {
    uint32_t seed;
    unsigned steps;
    uint64_t fires;
    bool live;
} VFIOMsixWalk;

/**
 * vfio_msix_walk() - do random things to @m
 * @m: a fresh model; each step is checked, see vfio-msix-model.h
 * @walk: how
 *
 * The guest masks and unmasks entries and the function, rewrites messages,
 * turns MSI-X off and on, and resets the machine. The device raises one or
 * many vectors at any time, and those that were armed while the host has the
 * index off. The host refuses to allocate or to arm, or fails single requests,
 * for some time.
 */
void vfio_msix_walk(VFIOMsixModel *m, const VFIOMsixWalk *walk);

/**
 * vfio_msix_walk_seed() - the seed to use: QTEST_VFIO_SEED, or a random one
 *
 * It is printed, to repeat the walk.
 */
uint32_t vfio_msix_walk_seed(void);

/**
 * vfio_msix_walk_fires() - how many interrupts a walk is to raise
 * @all: usual number for all walks of a program, QTEST_VFIO_FIRES changes it
 * @walks: number of walks that share it
 */
uint64_t vfio_msix_walk_fires(uint64_t all, unsigned walks);

#endif
