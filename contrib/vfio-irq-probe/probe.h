/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-irq-probe: what a host offers for the interrupts of a PCI device
 *
 * Functions that can fail return false and set an error that names the device.
 */

#ifndef VFIO_IRQ_PROBE_H
#define VFIO_IRQ_PROBE_H

#include "hw/vfio/irq-posted.h"

/**
 * struct ProbeDevice - a PCI device that is open
 * @bdf: its address, such as "0000:03:00.0"
 * @group: number of its IOMMU group
 * @node: what it was opened through: /dev/vfio/N for the group of a container,
 *        /dev/vfio/devices/vfioN with an iommufd
 * @fd: the device
 * @group_fd: its group, -1 with iommufd
 * @iommu_fd: container or iommufd
 */
typedef struct ProbeDevice {
    char *bdf;
    unsigned int group;
    char *node;
    int fd;
    int group_fd;
    int iommu_fd;
} ProbeDevice;

typedef enum ProbeInterface {
    PROBE_INTERFACE_AUTO,   /* the group where there is one, else the cdev */
    PROBE_INTERFACE_GROUP,
    PROBE_INTERFACE_CDEV,
} ProbeInterface;

/**
 * struct ProbeRefusal - a request for vectors that the host did not grant
 * @asked: number of vectors
 * @ret: how many the host has, above 0; or -errno
 */
typedef struct ProbeRefusal {
    unsigned int asked;
    int ret;
} ProbeRefusal;

/**
 * struct ProbeIndex - MSI-X or MSI of a device
 * @vectors: what the device has, 0 if it has no such index
 * @noresize: no vector can be added while the index is active
 * @granted: how many of them the host allocates, all at once
 * @refusals: of ProbeRefusal, in the order in which they came
 */
typedef struct ProbeIndex {
    unsigned int vectors;
    bool noresize;
    unsigned int granted;
    GArray *refusals;
} ProbeIndex;

/**
 * struct ProbePlace - where in the device's memory something is
 * @bar: number of the BAR
 * @offset: bytes from its start
 * @can_mmap: the BAR can be mapped, at least in part
 * @msix_mappable: it can be mapped although the MSI-X table is in it
 */
typedef struct ProbePlace {
    unsigned int bar;
    uint32_t offset;
    bool can_mmap;
    bool msix_mappable;
} ProbePlace;

/**
 * struct ProbeKVM - what KVM can do with an eventfd
 * @irqfd: it can turn an event into an interrupt of the guest by itself
 * @obstacle: why not, NULL if it can
 * @routes: how many messages a guest can have at a time
 */
typedef struct ProbeKVM {
    bool irqfd;
    char *obstacle;
    unsigned int routes;
} ProbeKVM;

typedef struct ProbeReport {
    ProbeDevice device;
    ProbeIndex msix;
    ProbePlace table;
    ProbePlace pba;
    ProbeIndex msi;
    ProbeKVM kvm;
    VFIOIRQPosted posted;
} ProbeReport;

/**
 * probe_bdf_parse - bring a PCI address into the form that sysfs has
 * @text: [domain:]bus:device.function, hexadecimal
 *
 * Returns: the address, or NULL if this is none
 */
char *probe_bdf_parse(const char *text);

/*
 * On failure the device is closed.  The address is one of probe_bdf_parse().
 */
bool probe_device_open(ProbeDevice *dev, const char *bdf,
                       ProbeInterface interface, Error **errp);
void probe_device_close(ProbeDevice *dev);

/**
 * probe_index - find out about an index, and how much of it the host grants
 * @dev: open device, with MSI-X and MSI off
 * @nr: VFIO_PCI_MSIX_IRQ_INDEX or VFIO_PCI_MSI_IRQ_INDEX
 * @index: filled in
 * @errp: set if the host does not answer; a refusal is an answer
 *
 * The index is off again afterwards.
 */
bool probe_index(ProbeDevice *dev, unsigned int nr, ProbeIndex *index,
                 Error **errp);

/* Allocate and free @count vectors: 0, -errno, or how many there are. */
typedef int ProbeAllocate(void *opaque, unsigned int count);

/**
 * probe_search - find the largest number of vectors that the host grants
 * @wanted: number to begin with
 * @allocate: tries one number
 * @opaque: passed to @allocate
 * @refusals: array of ProbeRefusal to which each refusal is added
 *
 * A host that says how many it has is taken by its word, otherwise the limit is
 * searched by bisection.
 *
 * Returns: the number, 0 if the host grants none
 */
unsigned int probe_search(unsigned int wanted, ProbeAllocate *allocate,
                          void *opaque, GArray *refusals);

/* Where MSI-X table and PBA are, of a device that has MSI-X. */
bool probe_msix_places(ProbeDevice *dev, ProbePlace *table, ProbePlace *pba,
                       Error **errp);

/* Never fails: a KVM that is not there is an obstacle. */
void probe_kvm(ProbeKVM *kvm);

void probe_report_text(const ProbeReport *report);
void probe_report_json(const ProbeReport *report);

#endif
