/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An in-process vfio-user server: one PCI device, served to QEMU by a thread.
 *
 * The device has one BAR with an MSI-X table and pending bit array, an MSI
 * capability, and no INTx. What it does about interrupts is in
 * vfio-user-irqs.h; this file is the protocol of docs/interop/vfio-user.rst,
 * written from that text and not from QEMU's client.
 *
 * Guest memory reaches the server only where QEMU passes a descriptor for it:
 *     -object memory-backend-memfd,id=ram,share=on -machine memory-backend=ram
 *
 * All functions may be called from any thread while the server runs.
 */

#ifndef LIBQOS_VFIO_USER_SERVER_H
#define LIBQOS_VFIO_USER_SERVER_H

#include "vfio-user-irqs.h"

/* The BAR that holds both MSI-X structures, and where in it */
#define VFIO_USER_SERVER_BAR          0
#define VFIO_USER_SERVER_BAR_SIZE     0x10000
#define VFIO_USER_SERVER_REGIONS      9
#define VFIO_USER_SERVER_TABLE_OFFSET 0x0
#define VFIO_USER_SERVER_PBA_OFFSET   0x8000

/* From QEMU's range for devices that are not for sale */
#define VFIO_USER_SERVER_VENDOR_ID    0x1234
#define VFIO_USER_SERVER_DEVICE_ID    0x7fd0

typedef struct VFIOUserServer VFIOUserServer;

/**
 * struct VFIOUserServerFaults - a server that is not as it should be
 * @edit_config: changes configuration space, 4096 bytes of which the size that
 *     is reported counts, when a client has connected and after each reset
 * @sizes: of regions, where not 0 and not what they are
 * @no_read: offset in configuration space where no read may begin, if not 0
 * @pause_us: time for which a reply with data is held back
 * @halves: the first half of it is sent before that
 * @hang_up: and the rest is not
 */
typedef struct VFIOUserServerFaults {
    void (*edit_config)(uint8_t *config);
    uint64_t sizes[VFIO_USER_SERVER_REGIONS];
    unsigned no_read;
    unsigned pause_us;
    bool halves, hang_up;
} VFIOUserServerFaults;

/**
 * vfio_user_server_new() - create the device and listen for one client
 * @cfg: its interrupts, and the host's way with them
 *
 * Clients are served one after the other; what one leaves behind is dropped.
 */
VFIOUserServer *vfio_user_server_new(const VFIOUserIrqsConfig *cfg);

/** vfio_user_server_free() - stop serving; the client sees a closed socket */
void vfio_user_server_free(VFIOUserServer *s);

/**
 * vfio_user_server_device_arg() - the -device option's JSON for this server
 * @s: the server
 * @props: more members, like "\"x-msix-prealloc\": \"off\"", or NULL
 *
 * Return: a new string, without quotes around it.
 */
char *vfio_user_server_device_arg(VFIOUserServer *s, const char *props);

/** vfio_user_server_set_faults() - what is wrong from now on */
void vfio_user_server_set_faults(VFIOUserServer *s,
                                 const VFIOUserServerFaults *faults);

/** vfio_user_server_irqs() - the interrupts of the device; do not free */
VFIOUserIrqs *vfio_user_server_irqs(VFIOUserServer *s);

/**
 * vfio_user_server_map_guest() - map guest memory into this process
 * @s: the server
 * @gpa: guest physical address, a multiple of the host page size
 * @size: bytes; the range must lie in one mapping that the client announced
 *
 * Return: the memory, which stays mapped until munmap(), or NULL where the
 * client did not give a descriptor for it.
 */
void *vfio_user_server_map_guest(VFIOUserServer *s, uint64_t gpa, size_t size);

#endif
