/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO interrupt delivery: the guest side of an MSI or MSI-X index
 *
 * Each vector has one eventfd, from its first unmask until the guest disables
 * the index.  The host signals it all that time, see irq-vectors.h.  What the
 * guest does to a vector only changes who listens:
 *
 *   userspace  an fd handler of QEMU's main loop.  It sets the pending bit of
 *              a masked vector, and sends the message of any other
 *   irqfd      KVM, which injects the message of a route, and lets the IOMMU
 *              post it to the vCPU where it can
 *
 * An event that comes while nobody listens stays in the eventfd, so that no
 * change of the listener loses one.
 *
 * A change of the irqfd is dear: KVM waits for an SRCU grace period when it is
 * removed, and replaces the routes of the whole VM for a new message.  So a
 * vector that the guest unmasks is served by userspace, and gets its irqfd
 * when it has stayed as it is for a while: all vectors that are due at that
 * time share one update of the routes, and a guest that masks and unmasks for
 * each interrupt costs no call at all.
 *
 * docs/devel/vfio-irq-vectors.rst has the guarantee and the limits.  All
 * functions are called with the BQL held.
 */

#ifndef HW_VFIO_IRQ_DELIVERY_H
#define HW_VFIO_IRQ_DELIVERY_H

#include "hw/pci/msi.h"
#include "hw/vfio/irq-vectors.h"
#include "qemu/event_notifier.h"
#include "qemu/notify.h"

typedef struct VFIOPCIDevice VFIOPCIDevice;
typedef struct VFIOIRQDelivery VFIOIRQDelivery;

/**
 * struct VFIOIRQDeliveryOps - a listener
 * @name: for users: "userspace" or "irqfd"
 * @in_kernel: QEMU sees no events, and the IOMMU may post them
 * @prepare: make @attach possible, before the routes of several vectors are
 *           committed at once.  Returns 0, or -errno and the vector stays with
 *           the listener that it has.  NULL: nothing to prepare
 * @attach: listen to a vector that nobody listens to, and take the events that
 *          have come before.  Returns 0 or -errno
 * @detach: listen no more.  When it returns, what has been taken is delivered,
 *          and what comes later stays in the eventfd
 */
typedef struct VFIOIRQDeliveryOps {
    const char *name;
    bool in_kernel;
    int (*prepare)(VFIOIRQDelivery *d, unsigned int nr);
    int (*attach)(VFIOIRQDelivery *d, unsigned int nr);
    void (*detach)(VFIOIRQDelivery *d, unsigned int nr);
} VFIOIRQDeliveryOps;

/**
 * struct VFIOIRQLine - one vector, from its eventfd to the guest
 * @delivery: where it belongs to
 * @eventfd: what the host signals, valid if @used
 * @used: was unmasked since the index was enabled
 * @listener: who listens, NULL for nobody
 * @virq: KVM's GSI of the route, -1 for none
 * @is_settling: gets its irqfd when it has not changed for a while
 * @is_unroutable: waits for a change of interrupt remapping
 * @is_mirrored: not armed, and its pending bit is a copy of the device's
 * @changed_at: when the guest unmasked it, QEMU_CLOCK_VIRTUAL in ms
 * @stats: changes of the irqfd since the index was enabled
 */
typedef struct VFIOIRQLine {
    VFIOIRQDelivery *delivery;
    EventNotifier eventfd;
    bool used;
    const VFIOIRQDeliveryOps *listener;
    int virq;
    bool is_settling;
    bool is_unroutable;
    bool is_mirrored;
    int64_t changed_at;
    struct {
        uint64_t attaches;
        uint64_t detaches;
    } stats;
} VFIOIRQLine;

/**
 * struct VFIOIRQDelivery - the guest side of the index in use
 * @vdev: the device
 * @pdev: the same
 * @vectors: the host side
 * @is_msix: MSI-X, else MSI.  The guest masks MSI vectors in the device
 * @may_use_irqfd: neither the accelerator nor the user forbids it
 * @is_suspended: nobody listens, see vfio_irq_delivery_suspend()
 * @nr_lines: number of vectors, 0 while the index is disabled
 * @line: array of @nr_lines
 * @events: array of @nr_lines, how many events userspace took from each line
 * @settle_timer: armed while a vector is settling or the PBA is in use
 * @vm_change: takes what waits in eventfds when the VM stops
 * @remap_notifier: tells of changes of interrupt remapping
 * @pba: whether QEMU's PBA covers that of the device, and when it last got a
 *       pending bit (QEMU_CLOCK_VIRTUAL, ms)
 * @reported: what has been reported since the device was realized: limits what
 *            a guest can cause
 */
struct VFIOIRQDelivery {
    VFIOPCIDevice *vdev;
    PCIDevice *pdev;
    VFIOIRQVectors *vectors;
    bool is_msix;
    bool may_use_irqfd;
    bool is_suspended;
    unsigned int nr_lines;
    VFIOIRQLine *line;
    uint64_t *events;
    QEMUTimer *settle_timer;
    VMChangeStateEntry *vm_change;
    Notifier remap_notifier;
    struct {
        bool is_shown;
        int64_t used_at;
    } pba;
    struct {
        bool no_eventfd;
        bool no_route;
        bool no_irqfd;
    } reported;
};

/**
 * vfio_irq_delivery_init() - prepare the vectors of an index
 * @d: a delivery that is not in use; what was reported before is remembered
 * @vdev: the device
 * @is_msix: MSI-X, else MSI
 * @nr_lines: number of vectors, at least 1
 * @may_use_irqfd: use KVM's irqfds where the accelerator has them
 */
void vfio_irq_delivery_init(VFIOIRQDelivery *d, VFIOPCIDevice *vdev,
                            bool is_msix, unsigned int nr_lines,
                            bool may_use_irqfd);

/**
 * vfio_irq_delivery_fini() - close all eventfds, and return the routes
 * @d: a delivery, may be unused.  The host side must be disabled
 */
void vfio_irq_delivery_fini(VFIOIRQDelivery *d);

/**
 * vfio_irq_delivery_unmask() - deliver a vector
 * @d: the delivery
 * @nr: vector, below nr_lines
 *
 * The host gets the eventfd of a vector that is new.  If there is none to be
 * had, it is reported, and the next unmask tries again.
 */
void vfio_irq_delivery_unmask(VFIOIRQDelivery *d, unsigned int nr);

/**
 * vfio_irq_delivery_mask() - keep a vector from the guest
 * @d: the delivery
 * @nr: vector, below nr_lines.  msix_is_masked() is true for it already
 *
 * When it returns, nothing is on its way to the guest any more.
 */
void vfio_irq_delivery_mask(VFIOIRQDelivery *d, unsigned int nr);

/**
 * vfio_irq_delivery_attach() - settle all vectors that wait for it now
 * @d: the delivery
 */
void vfio_irq_delivery_attach(VFIOIRQDelivery *d);

/**
 * vfio_irq_delivery_update() - take over changed messages of MSI vectors
 * @d: the delivery, MSI
 *
 * The guest writes its parts one by one while MSI is enabled, and knows that
 * the device may send it half written: it has to be in effect at once.
 */
void vfio_irq_delivery_update(VFIOIRQDelivery *d);

/**
 * vfio_irq_delivery_poll() - bring the pending bits up to date
 * @d: the delivery, MSI-X, may be unused
 * @first: vector
 * @end: vector after the last one, at most nr_lines
 */
void vfio_irq_delivery_poll(VFIOIRQDelivery *d, unsigned int first,
                            unsigned int end);

/**
 * vfio_irq_delivery_adopt() - use the eventfd that another QEMU has left (CPR)
 * @d: a delivery whose host side is not enabled yet
 * @nr: vector, below nr_lines.  May be masked
 */
void vfio_irq_delivery_adopt(VFIOIRQDelivery *d, unsigned int nr);

/**
 * vfio_irq_delivery_adopt_rest() - arm the unmasked vectors that are not
 * @d: a delivery whose host side is adopted
 *
 * The guest has unmasked them, or enabled the index anew, while it ran in the
 * other QEMU still, but after that had sent its eventfds (CPR).
 */
void vfio_irq_delivery_adopt_rest(VFIOIRQDelivery *d);

/**
 * vfio_irq_delivery_suspend() - listen no more, so that another QEMU can (CPR)
 * @d: the delivery, may be unused
 *
 * Events stay in the eventfds.  It holds for an index that is enabled later
 * too, until vfio_irq_delivery_resume().
 */
void vfio_irq_delivery_suspend(VFIOIRQDelivery *d);

/**
 * vfio_irq_delivery_resume() - undo vfio_irq_delivery_suspend()
 * @d: the delivery, may be unused
 */
void vfio_irq_delivery_resume(VFIOIRQDelivery *d);

#endif /* HW_VFIO_IRQ_DELIVERY_H */
