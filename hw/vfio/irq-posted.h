/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO: can this host post a device's interrupts to a guest?
 *
 * A posted interrupt goes from the IOMMU into the virtual APIC of a running
 * vCPU, without an interrupt on the host.  KVM arranges it by itself for each
 * MSI route that a vector's eventfd has (an irqfd), where IOMMU, CPU and kernel
 * can.  No ioctl tells whether they can, or that they did: what the host shows
 * in sysfs and on its kernel command line is all there is.
 *
 * Needs nothing but GLib, and keeps no state: QEMU can use it, and a tool.
 */

#ifndef HW_VFIO_IRQ_POSTED_H
#define HW_VFIO_IRQ_POSTED_H

#include <glib.h>

typedef enum VFIOIRQPostedState {
    VFIO_IRQ_POSTED_UNKNOWN,
    VFIO_IRQ_POSTED_NO,
    VFIO_IRQ_POSTED_YES,
} VFIOIRQPostedState;

/**
 * struct VFIOIRQPostedCondition - one thing that posting takes
 * @state: met, not met, or not to be seen
 * @text: what was found and where, such as "IOMMU unit dmar1 cannot post (bit
 *        59 of its CAP register is clear)"; no full stop, no line end
 */
typedef struct VFIOIRQPostedCondition {
    VFIOIRQPostedState state;
    char *text;
} VFIOIRQPostedCondition;

/**
 * struct VFIOIRQPosted - the answer
 * @state: no if one condition is not met, else unknown if one could not be
 *         seen, else yes: nothing that the host shows is in the way.  Whether
 *         a vector is posted depends on its message too, and shows only in
 *         /proc/interrupts, whose row for the vector then stands still
 * @conditions: of VFIOIRQPostedCondition, in the order in which they were
 *              looked at; never empty
 */
typedef struct VFIOIRQPosted {
    VFIOIRQPostedState state;
    GPtrArray *conditions;
} VFIOIRQPosted;

/**
 * vfio_irq_posted_probe - look at everything that posting depends on
 * @sysroot: what to put before /sys and /proc, "" for this host
 * @result: filled in; to be given to vfio_irq_posted_clear()
 *
 * Never fails: what cannot be read is a condition whose state is unknown.
 *
 * Returns: true if @result->state is VFIO_IRQ_POSTED_YES
 */
bool vfio_irq_posted_probe(const char *sysroot, VFIOIRQPosted *result);

/**
 * vfio_irq_posted_clear - free what the probe has allocated
 * @result: after vfio_irq_posted_probe()
 */
void vfio_irq_posted_clear(VFIOIRQPosted *result);

/**
 * vfio_irq_posted_name - a state as a word
 * @state: what to name
 *
 * Returns: "yes", "no" or "unknown"
 */
const char *vfio_irq_posted_name(VFIOIRQPostedState state);

#endif
