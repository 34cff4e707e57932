/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The parts of test-vfio-irq-delivery, and what they have in common
 */

#ifndef TESTS_VFIO_IRQ_DELIVERY_TESTS_H
#define TESTS_VFIO_IRQ_DELIVERY_TESTS_H

#include "vfio-irq-fakes.h"

/* Shorter than any vector needs to settle */
#define QUICK_MS 10

/** irq_test_start() - all vectors are unmasked */
void irq_test_start(bool is_msix);

/** irq_test_start_settled() - and have their irqfd */
void irq_test_start_settled(bool is_msix);

/** irq_test_raise_all() - raise all, and check that what must come has come */
void irq_test_raise_all(void);

/** irq_test_check_listeners() - @name listens to vectors @first to @end - 1 */
void irq_test_check_listeners(unsigned int first, unsigned int end,
                              const char *name);

/** irq_test_finish() - nothing was lost, and nothing stays behind */
void irq_test_finish(void);

void irq_test_add_pba(void);
void irq_test_add_life(void);
void irq_test_add_walk(void);

#endif
