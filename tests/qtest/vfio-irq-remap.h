/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest driver for interrupt remapping of the intel-iommu device of q35.
 */

#ifndef TESTS_VFIO_IRQ_REMAP_H
#define TESTS_VFIO_IRQ_REMAP_H

#include "libqtest.h"

/* Handles are below this number */
#define VFIO_IRQ_REMAP_ENTRIES 4096

/**
 * vfio_irq_remap_enable() - turn remapping on, with an empty table
 *
 * Uses guest memory from 24 MiB.
 */
void vfio_irq_remap_enable(QTestState *qts);

/** vfio_irq_remap_set() - send what comes for @handle to @cpu as @number */
void vfio_irq_remap_set(QTestState *qts, unsigned handle, unsigned cpu,
                        unsigned number);

/** vfio_irq_remap_clear() - make the entry of @handle not present */
void vfio_irq_remap_clear(QTestState *qts, unsigned handle);

/** vfio_irq_remap_invalidate() - have all entries read anew */
void vfio_irq_remap_invalidate(QTestState *qts);

/** vfio_irq_remap_address() - of messages for @handle; their data is 0 */
uint64_t vfio_irq_remap_address(unsigned handle);

#endif
