/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO interrupt vectors: the host side of an MSI or MSI-X index
 *
 * The guest enables and unmasks vectors whenever it likes.  The host may only
 * know one size for the whole index (VFIO_IRQ_INFO_NORESIZE): changing it means
 * to disable the index, and what the device raises until it is enabled again
 * is gone.  This module owns the index between these two: it decides how many
 * vectors the host allocates and when, remembers which eventfd the host has
 * for each of them, and sends each VFIO_DEVICE_SET_IRQS request of the index.
 *
 * It does not know who listens to an eventfd.  docs/devel/vfio-irq-vectors.rst
 * has the guarantee, the state diagram and the price for the host.
 *
 * All functions are called with the BQL held.
 */

#ifndef HW_VFIO_IRQ_VECTORS_H
#define HW_VFIO_IRQ_VECTORS_H

#include "hw/vfio/vfio-device.h"
#include "qapi/qapi-types-common.h"

/**
 * struct VFIOIRQVector - one vector of the index
 * @wanted: eventfd that the device shall signal, -1 for none
 * @armed: eventfd that the host has, -1 for none.  A vector without eventfd is
 *         masked in the device, which keeps a pending bit for it
 * @was_live: the index went down while the vector was armed, and it is not
 *            armed again yet: it is the first to be
 * @needs_replay: the same, or the host had refused to arm it before.  What the
 *                device raised in between is unknown, so its eventfd gets an
 *                event when it is armed
 * @refused: the host did not arm the vector and this has been reported
 */
typedef struct VFIOIRQVector {
    int wanted;
    int armed;
    bool was_live;
    bool needs_replay;
    bool refused;
} VFIOIRQVector;

/**
 * struct VFIOIRQVectors - an MSI or MSI-X index
 * @vbasedev: device, its io_ops->set_irqs() takes the requests
 * @index: VFIO_PCI_MSI_IRQ_INDEX or VFIO_PCI_MSIX_IRQ_INDEX
 * @table_size: number of vectors, 1 to 2048 (PCIe 6.0, 7.7.2.2: 11 bits)
 * @noresize: the host reports VFIO_IRQ_INFO_NORESIZE
 * @prealloc: ask the host for all @table_size vectors when the index is enabled
 * @incremental: resize for each new highest vector, without replay or recovery
 * @enabled: between vfio_irq_vectors_enable() and vfio_irq_vectors_disable()
 * @capacity: vectors 0..@capacity-1 can be armed without a resize, 0 when the
 *            index is inactive on the host
 * @capacity_is_guess: adopted index, the host may have more
 * @growths_left: attempts to resize that are left until the next enable
 * @vector: array of @table_size vectors
 * @batch: state of an open batch, see vfio_irq_vectors_begin()
 * @reported: what was reported last, and how often: limits what a guest can
 *            cause
 * @stats: what happened to the index since the device was realized
 */
typedef struct VFIOIRQVectors {
    VFIODevice *vbasedev;
    unsigned int index;
    unsigned int table_size;
    bool noresize;
    bool prealloc;
    bool incremental;
    bool enabled;
    unsigned int capacity;
    bool capacity_is_guess;
    unsigned int growths_left;
    VFIOIRQVector *vector;
    struct {
        unsigned int depth;
        unsigned int first;
        unsigned int end;
    } batch;
    struct {
        unsigned int table_size;
        unsigned int granted;
        unsigned int messages;
    } reported;
    struct {
        uint64_t requests;
        uint64_t resizes;
        uint64_t replays;
        uint64_t refusals;
    } stats;
} VFIOIRQVectors;

/**
 * vfio_irq_vectors_init() - prepare an index that is inactive on the host
 * @v: the index; its statistics are kept from an earlier use
 * @vbasedev: device
 * @index: VFIO_PCI_MSI_IRQ_INDEX or VFIO_PCI_MSIX_IRQ_INDEX
 * @table_size: number of vectors that the guest can use, at least 1
 * @noresize: the host reports VFIO_IRQ_INFO_NORESIZE for @index
 * @policy: allocate all vectors at once.  AUTO does so where the host cannot
 *          resize, ON everywhere, OFF never: it takes vectors one after the
 *          other and loses interrupts, for comparison only
 */
void vfio_irq_vectors_init(VFIOIRQVectors *v, VFIODevice *vbasedev,
                           unsigned int index, unsigned int table_size,
                           bool noresize, OnOffAuto policy);

/**
 * vfio_irq_vectors_fini() - free what vfio_irq_vectors_init() allocated
 * @v: a disabled index, or one that was never initialized
 */
void vfio_irq_vectors_fini(VFIOIRQVectors *v);

/**
 * vfio_irq_vectors_enable() - allocate host vectors and arm the wanted ones
 * @v: an initialized index; vfio_irq_vectors_arm() was called for each vector
 *     that the guest has unmasked already
 *
 * The device has MSI or MSI-X enabled afterwards even if no vector is wanted,
 * since some communicate that state to their firmware or physical function.
 *
 * Where the host refuses, fewer vectors are asked for, and what is missing is
 * reported with the name of the device.
 *
 * Returns: how many vectors can be used without a resize, 0 for none.  The
 * index then is enabled all the same, and each vfio_irq_vectors_arm() tries
 * again.
 */
unsigned int vfio_irq_vectors_enable(VFIOIRQVectors *v);

/**
 * vfio_irq_vectors_adopt() - take over an index that is active on the host
 * @v: an initialized index; vfio_irq_vectors_arm() was called for each vector
 *     whose eventfd was inherited
 *
 * For a QEMU that continues a VM of another one on the same host (CPR).  Nobody
 * else may read the eventfds meanwhile.  A vector for which the host has
 * another eventfd, or none, is armed where that needs no resize.  How many more
 * the host has is found out when they are used.  Each vector whose eventfd was
 * not inherited may have been raised already: it is replayed when first armed.
 */
void vfio_irq_vectors_adopt(VFIOIRQVectors *v);

/**
 * vfio_irq_vectors_disable() - free all host vectors
 * @v: the index, may be disabled or never initialized
 *
 * One request, however many vectors are armed.  All eventfds are forgotten.
 */
void vfio_irq_vectors_disable(VFIOIRQVectors *v);

/**
 * vfio_irq_vectors_arm() - let the device signal an eventfd
 * @v: the index
 * @nr: vector, below table_size
 * @fd: eventfd, stays open until it is replaced or the index is disabled
 *
 * Does nothing where the host has @fd already.  A failure is no concern of the
 * guest: it is reported with device and vector, interrupts stay pending in the
 * device, and the next call for the vector tries again.  Only a resize, which
 * takes down all other vectors, is tried a few times and then not again until
 * the next enable.
 */
void vfio_irq_vectors_arm(VFIOIRQVectors *v, unsigned int nr, int fd);

/**
 * vfio_irq_vectors_begin() - collect changes of several vectors
 * @v: the index, may be disabled
 *
 * Until the vfio_irq_vectors_commit() of the outermost batch nothing is sent.
 * Use it when one guest access changes many vectors (function mask).
 */
void vfio_irq_vectors_begin(VFIOIRQVectors *v);

/**
 * vfio_irq_vectors_commit() - send the changes since vfio_irq_vectors_begin()
 * @v: the index
 *
 * One request for each run of vectors that have changed.
 */
void vfio_irq_vectors_commit(VFIOIRQVectors *v);

#endif /* HW_VFIO_IRQ_VECTORS_H */
