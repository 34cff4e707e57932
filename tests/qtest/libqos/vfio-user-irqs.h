/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host's MSI and MSI-X indexes, and the device that raises on them.
 *
 * Answers VFIO_DEVICE_SET_IRQS the way Linux does (drivers/vfio/pci/
 * vfio_pci_intrs.c), for three kinds of hosts, and stands in for the hardware
 * behind it: a strict device, for which an interrupt that is raised while the
 * guest wants MSI-X on, but the host has it off, is gone for good.
 */

#ifndef LIBQOS_VFIO_USER_IRQS_H
#define LIBQOS_VFIO_USER_IRQS_H

#define VFIO_USER_MSIX_MAX 2048
#define VFIO_USER_MSI_MAX  32

/**
 * enum VFIOUserHost - how the host treats vectors beyond its allocation
 * @VFIO_USER_HOST_FIXED: MSI-X before dynamic allocation (Linux 6.1). NORESIZE
 *     is reported; a range that ends beyond the allocation is refused with
 *     -EINVAL before anything is touched.
 * @VFIO_USER_HOST_DYNAMIC: x86 since Linux 6.5. NORESIZE is not reported;
 *     vectors are allocated as they are armed.
 * @VFIO_USER_HOST_NO_CHECK: the same kernels where the interrupt controller
 *     cannot allocate dynamically (arm64 and others). NORESIZE is reported;
 *     nothing checks the range, so arming fails in the middle of the request.
 *
 * MSI is %VFIO_USER_HOST_FIXED everywhere.
 */
typedef enum VFIOUserHost {
    VFIO_USER_HOST_FIXED,
    VFIO_USER_HOST_DYNAMIC,
    VFIO_USER_HOST_NO_CHECK,
} VFIOUserHost;

/**
 * struct VFIOUserIrqsConfig - the device and host to present
 * @host: MSI-X behaviour
 * @msix: size of the MSI-X table, 0 (no capability) to 2048
 * @msi: MSI vectors, 0 (no capability) or a power of two up to 32
 * @split_upwards: the client is known to cut one request into messages from
 *     the lowest vector up, empty runs too (QEMU up to 11.1). A host kernel
 *     would have seen one request, so the messages that follow the enabling one
 *     without a gap enlarge its allocation.
 */
typedef struct VFIOUserIrqsConfig {
    VFIOUserHost host;
    unsigned msix;
    unsigned msi;
    bool split_upwards;
} VFIOUserIrqsConfig;

/**
 * struct VFIOUserIrqFaults - what goes wrong, until changed again
 * @fire_in_window: an index disabled although the guest has it enabled has
 *     each vector that was armed raised right after, while it is off
 * @alloc_limit: vectors the host can have allocated, 0 for no limit
 * @alloc_errno: positive errno of a request beyond @alloc_limit
 * @arm_limit: vectors the host can have armed, 0 for no limit
 * @arm_errno: positive errno of a request beyond @arm_limit
 * @fail_nth: the n-th message with or without eventfds, but not a disable,
 *     fails, counted from 1 and from now on; 0 for none. It fails at its last
 *     entry, where it does most harm.
 * @fail_errno: positive errno of that message
 * @reply_delay_us: time that the reply to each SET_IRQS is held back
 */
typedef struct VFIOUserIrqFaults {
    bool fire_in_window;
    unsigned alloc_limit;
    int alloc_errno;
    unsigned arm_limit;
    int arm_errno;
    unsigned fail_nth;
    int fail_errno;
    unsigned reply_delay_us;
} VFIOUserIrqFaults;

/**
 * struct VFIOUserIrqStats - what happened to an index since creation
 * @messages: SET_IRQS messages received
 * @requests: the same, with the messages of one split request counted as one
 * @fd_slots: vectors named by requests with eventfds, armed or not
 * @enables: times the index became active
 * @disables: times an active index was disabled
 * @live_disables: disables with at least one vector armed that the guest, at
 *     that moment, had enabled
 * @refused: requests answered with an error
 * @allocated: vectors allocated now
 * @armed: vectors armed now
 * @gap_ns: total time for which live indexes were off
 * @fired: interrupts raised; @delivered + @pended + @lost + @dropped
 * @delivered: raised and written to an eventfd
 * @pended: raised on an unarmed vector, kept in the device's pending array
 * @lost: raised while the guest had the index enabled and the host had not
 * @dropped: raised while the guest had it disabled too
 */
typedef struct VFIOUserIrqStats {
    uint64_t messages, requests, fd_slots;
    uint64_t enables, disables, live_disables, refused;
    unsigned allocated, armed;
    uint64_t gap_ns;
    uint64_t fired, delivered, pended, lost, dropped;
} VFIOUserIrqStats;

/**
 * struct VFIOUserIrqSet - one SET_IRQS request
 * @flags: VFIO_IRQ_SET_DATA_* and VFIO_IRQ_SET_ACTION_*
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @start: first vector
 * @count: number of vectors
 * @fds: their eventfds, owned by the callee from here on; meaningful if @nfds
 * @nfds: @count, or 0 for "no eventfd" on every vector
 * @bools: with DATA_BOOL, one byte for each of @nbools vectors
 * @nbools: bytes at @bools
 */
typedef struct VFIOUserIrqSet {
    uint32_t flags, index, start, count;
    int *fds;
    unsigned nfds;
    const uint8_t *bools;
    unsigned nbools;
} VFIOUserIrqSet;

typedef struct VFIOUserIrqs VFIOUserIrqs;

VFIOUserIrqs *vfio_user_irqs_new(const VFIOUserIrqsConfig *cfg);
void vfio_user_irqs_free(VFIOUserIrqs *irqs);

/**
 * vfio_user_irqs_info() - VFIO_DEVICE_GET_IRQ_INFO
 * @irqs: the indexes
 * @index: VFIO_PCI_*_IRQ_INDEX
 * @flags: set to VFIO_IRQ_INFO_*
 *
 * Return: number of vectors, 0 where the device has no such index.
 */
unsigned vfio_user_irqs_info(VFIOUserIrqs *irqs, unsigned index,
                             uint32_t *flags);

/**
 * vfio_user_irqs_set() - VFIO_DEVICE_SET_IRQS
 * @irqs: the indexes
 * @set: the request; its eventfds are consumed in any case
 *
 * Return: 0 or -errno.
 */
int vfio_user_irqs_set(VFIOUserIrqs *irqs, const VFIOUserIrqSet *set);

/** vfio_user_irqs_close() - the client is gone: drop everything it had */
void vfio_user_irqs_close(VFIOUserIrqs *irqs);

/** vfio_user_irqs_guest_enabled() - note the guest's own enable bit */
void vfio_user_irqs_guest_enabled(VFIOUserIrqs *irqs, unsigned index, bool on);

/** vfio_user_irqs_clear_pending() - device reset: nothing is pending */
void vfio_user_irqs_clear_pending(VFIOUserIrqs *irqs);

/** vfio_user_irqs_fire() - the device raises @vector of @index once */
void vfio_user_irqs_fire(VFIOUserIrqs *irqs, unsigned index, unsigned vector);

/**
 * vfio_user_irqs_before_raise() - call @fn before each raise, from any thread
 * @irqs: the indexes
 * @fn: may not call functions of this file
 * @opaque: for @fn
 */
void vfio_user_irqs_before_raise(VFIOUserIrqs *irqs,
                                 void (*fn)(void *opaque, unsigned index,
                                            unsigned vector),
                                 void *opaque);

/**
 * vfio_user_irqs_drained() - whether every armed eventfd has been consumed
 *
 * Exact, because the eventfd is shared with its consumer: when this says true
 * whoever listens has read all that was raised before.
 */
bool vfio_user_irqs_drained(VFIOUserIrqs *irqs);

/** vfio_user_irqs_pending() - the device's pending bit of an MSI-X vector */
bool vfio_user_irqs_pending(VFIOUserIrqs *irqs, unsigned vector);

/**
 * struct VFIOUserVector - what the host and the device know of one vector
 * @armed: the host has an eventfd for it
 * @fired: times that the device raised it
 * @lost: times that this was in vain
 * @torn: times that the index went down under it while the guest had it on
 */
typedef struct VFIOUserVector {
    bool armed;
    uint32_t fired, lost, torn;
} VFIOUserVector;

/**
 * vfio_user_irqs_snapshot() - the state of all vectors at one moment
 * @irqs: the indexes
 * @index: VFIO_PCI_MSI_IRQ_INDEX or VFIO_PCI_MSIX_IRQ_INDEX
 * @vectors: array for as many as the index has
 */
void vfio_user_irqs_snapshot(VFIOUserIrqs *irqs, unsigned index,
                             VFIOUserVector *vectors);

void vfio_user_irqs_stats(VFIOUserIrqs *irqs, unsigned index,
                          VFIOUserIrqStats *stats);
void vfio_user_irqs_set_faults(VFIOUserIrqs *irqs,
                               const VFIOUserIrqFaults *faults);
void vfio_user_irqs_get_faults(VFIOUserIrqs *irqs, VFIOUserIrqFaults *faults);

/** vfio_user_irqs_dump() - print the last @n SET_IRQS with their times */
void vfio_user_irqs_dump(VFIOUserIrqs *irqs, unsigned n);

#endif
