/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO interrupts: what happens to each vector, for QOM and the monitor
 */

#ifndef HW_VFIO_IRQ_STATS_H
#define HW_VFIO_IRQ_STATS_H

#include "qom/object.h"

/**
 * vfio_irq_stats_class_init() - add property and statistics to a device class
 * @klass: a kind of VFIOPCIDevice with the interface
 *         TYPE_INTERRUPT_STATS_PROVIDER
 */
void vfio_irq_stats_class_init(ObjectClass *klass);

#endif /* HW_VFIO_IRQ_STATS_H */
