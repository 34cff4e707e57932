/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-irq-probe: how many vectors of a device the host grants
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <linux/vfio.h>

#include "qapi/error.h"
#include "probe.h"

/* Of low it is known that the host grants it, of high that it does not. */
unsigned int probe_search(unsigned int wanted, ProbeAllocate *allocate,
                          void *opaque, GArray *refusals)
{
    unsigned int low = 0, high = wanted + 1, ask = wanted;

    while (low + 1 < high) {
        ProbeRefusal refusal = { .asked = ask };

        refusal.ret = allocate(opaque, ask);
        if (!refusal.ret) {
            low = ask;
        } else {
            g_array_append_val(refusals, refusal);
            high = ask;
        }
        if (refusal.ret > 0 && refusal.ret < ask) {
            ask = refusal.ret;
            high = ask + 1;
        } else {
            ask = low + (high - low) / 2;
        }
    }
    return low;
}

typedef struct Allocator {
    ProbeDevice *dev;
    unsigned int nr;
    Error **errp;
    bool broken;
} Allocator;

/*
 * No vector gets an eventfd (-1): it is allocated, and stays masked in the
 * device.  For 0 vectors the request is the one that turns the index off.
 */
static int set_irqs(Allocator *a, unsigned int count)
{
    size_t size = sizeof(struct vfio_irq_set) + count * sizeof(int32_t);
    g_autofree struct vfio_irq_set *set = g_malloc0(size);
    int ret;

    set->argsz = size;
    set->index = a->nr;
    set->count = count;
    set->flags = VFIO_IRQ_SET_ACTION_TRIGGER |
                 (count ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
    memset(set->data, 0xff, count * sizeof(int32_t));
    ret = ioctl(a->dev->fd, VFIO_DEVICE_SET_IRQS, set);
    return ret < 0 ? -errno : ret;
}

static int allocate(void *opaque, unsigned int count)
{
    Allocator *a = opaque;
    int ret, off;

    if (a->broken) {
        return -EIO;
    }
    ret = set_irqs(a, count);
    if (ret) {
        return ret;     /* the index is off as before */
    }
    off = set_irqs(a, 0);
    if (off < 0) {
        a->broken = true;
        error_setg_errno(a->errp, -off, "%s: the host does not free %u vectors "
                         "again", a->dev->bdf, count);
    }
    return 0;
}

bool probe_index(ProbeDevice *dev, unsigned int nr, ProbeIndex *index,
                 Error **errp)
{
    struct vfio_irq_info info = { .argsz = sizeof(info), .index = nr };
    Allocator allocator = { .dev = dev, .nr = nr, .errp = errp };

    if (ioctl(dev->fd, VFIO_DEVICE_GET_IRQ_INFO, &info) < 0) {
        error_setg_errno(errp, errno, "%s: the host tells nothing about %s",
                         dev->bdf, nr == VFIO_PCI_MSIX_IRQ_INDEX ?
                         "MSI-X" : "MSI");
        return false;
    }
    index->vectors = info.count;
    index->noresize = info.flags & VFIO_IRQ_INFO_NORESIZE;
    index->refusals = g_array_new(FALSE, FALSE, sizeof(ProbeRefusal));
    index->granted = probe_search(info.count, allocate, &allocator,
                                  index->refusals);
    return !allocator.broken;
}
