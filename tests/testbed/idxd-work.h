/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An assigned idxd-ims device: configured so that each work queue (WQ) is alone
 * with an interrupt handle of its own, and given work. WQ q - 1 interrupts on
 * vector q; vector 0 is for the device itself.
 *
 * Section numbers are those of the Intel Data Streaming Accelerator
 * Architecture Specification, revision 3.0 (341204-006).
 */
#ifndef TESTBED_IDXD_WORK_H
#define TESTBED_IDXD_WORK_H

#include <stdbool.h>
#include <stdint.h>

#define IDXD_PORTALS    0xe1000000u     /* BAR 2 */
/* 9.3: the unlimited portal for MSI-X; four pages for each WQ */
#define IDXD_PORTAL(q)  (IDXD_PORTALS + ((q) - 1) * 0x4000)

/* Guest RAM: what is copied, and a completion record per WQ and request */
#define IDXD_SOURCE             0x2000000u
#define IDXD_MAX_REQUESTS       1024
#define IDXD_RECORD(q, n)       (0x4000000u + 32 * ((q) * IDXD_MAX_REQUESTS + (n)))

/* 8.1: operations */
enum {
    IDXD_BATCH = 1,
    IDXD_MEMMOVE = 3,
};

/* From BARs to enabled work queues */
void idxd_open(unsigned wqs);
/* To memory, or to a portal: then the work begins */
void idxd_descriptor_put(uint32_t address, unsigned q, unsigned operation,
                         uint32_t record, uint32_t source, uint32_t size);
/* Is the work done? An error ends the program. */
bool idxd_answered(unsigned q, uint32_t record);
/* The device has found nothing wrong. */
void idxd_check(void);

#endif
