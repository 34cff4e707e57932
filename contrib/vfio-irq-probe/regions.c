/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-irq-probe: where MSI-X table and PBA are, and what can be mapped there
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "qapi/error.h"
#include "qemu/bswap.h"
#include "standard-headers/linux/pci_regs.h"
#include "probe.h"

/* Each capability takes 4 bytes or more of what follows the header. */
#define MAX_CAPABILITIES ((0x100 - PCI_STD_HEADER_SIZEOF) / 4)

/* Room for capabilities is only known after the first request. */
static struct vfio_region_info *get_region(ProbeDevice *dev, unsigned int nr,
                                           Error **errp)
{
    size_t size = sizeof(struct vfio_region_info);

    for (int tries = 0; tries < 2; tries++) {
        g_autofree struct vfio_region_info *info = g_malloc0(size);

        info->argsz = size;
        info->index = nr;
        if (ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, info) < 0) {
            error_setg_errno(errp, errno, "%s: the host tells nothing about "
                             "region %u", dev->bdf, nr);
            return NULL;
        }
        if (info->argsz <= size) {
            return g_steal_pointer(&info);
        }
        size = info->argsz;
    }
    error_setg(errp, "%s: the host cannot decide on the size of region %u",
               dev->bdf, nr);
    return NULL;
}

static bool has_capability(const struct vfio_region_info *info, unsigned int id)
{
    uint32_t at = info->flags & VFIO_REGION_INFO_FLAG_CAPS ?
                  info->cap_offset : 0;

    while (at >= sizeof(*info) &&
           at <= info->argsz - sizeof(struct vfio_info_cap_header)) {
        const struct vfio_info_cap_header *header = (const void *)info + at;

        if (header->id == id) {
            return true;
        }
        if (header->next <= at) {
            break;      /* the end, or a circle */
        }
        at = header->next;
    }
    return false;
}

static bool read_config(ProbeDevice *dev, uint64_t base, unsigned int at,
                        void *buffer, size_t size, Error **errp)
{
    if (pread(dev->fd, buffer, size, base + at) == size) {
        return true;
    }
    error_setg(errp, "%s: configuration space cannot be read at 0x%x",
               dev->bdf, at);
    return false;
}

static bool find_msix(ProbeDevice *dev, uint64_t base, uint8_t *at,
                      Error **errp)
{
    uint8_t header[2];

    if (!read_config(dev, base, PCI_CAPABILITY_LIST, at, 1, errp)) {
        return false;
    }
    for (int i = 0; *at >= PCI_STD_HEADER_SIZEOF && i < MAX_CAPABILITIES; i++) {
        if (!read_config(dev, base, *at, header, sizeof(header), errp)) {
            return false;
        }
        if (header[0] == PCI_CAP_ID_MSIX) {
            return true;
        }
        *at = header[1];
    }
    error_setg(errp, "%s: there is no MSI-X capability in configuration space",
               dev->bdf);
    return false;
}

/* @place comes as the register has it: BAR in the low bits of the offset. */
static bool look_at_place(ProbeDevice *dev, uint32_t where, ProbePlace *place,
                          Error **errp)
{
    g_autofree struct vfio_region_info *info = NULL;

    place->bar = where & PCI_MSIX_TABLE_BIR;
    place->offset = where & PCI_MSIX_TABLE_OFFSET;
    if (place->bar > VFIO_PCI_BAR5_REGION_INDEX) {
        error_setg(errp, "%s: the MSI-X capability names BAR %u, which does "
                   "not exist", dev->bdf, place->bar);
        return false;
    }
    info = get_region(dev, place->bar, errp);
    if (!info) {
        return false;
    }
    place->can_mmap = info->flags & VFIO_REGION_INFO_FLAG_MMAP;
    place->msix_mappable = has_capability(info,
                                          VFIO_REGION_INFO_CAP_MSIX_MAPPABLE);
    return true;
}

bool probe_msix_places(ProbeDevice *dev, ProbePlace *table, ProbePlace *pba,
                       Error **errp)
{
    g_autofree struct vfio_region_info *config = NULL;
    uint32_t where[2];
    uint8_t at;

    config = get_region(dev, VFIO_PCI_CONFIG_REGION_INDEX, errp);
    if (!config || !find_msix(dev, config->offset, &at, errp) ||
        !read_config(dev, config->offset, at + PCI_MSIX_TABLE, where,
                     sizeof(where), errp)) {
        return false;
    }
    return look_at_place(dev, le32_to_cpu(where[0]), table, errp) &&
           look_at_place(dev, le32_to_cpu(where[1]), pba, errp);
}
