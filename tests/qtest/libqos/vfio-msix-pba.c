/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest reads in the pending bit array.
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "vfio-msix-model.h"

static uint32_t read_pba(VFIOMsixModel *m, unsigned dword)
{
    return qpci_io_readl(m->dev, m->bar, VFIO_USER_SERVER_PBA_OFFSET +
                         dword * sizeof(uint32_t));
}

bool vfio_msix_model_pending(VFIOMsixModel *m, unsigned v)
{
    return extract32(read_pba(m, v / 32), v % 32, 1);
}

/*
 * While MSI-X is off the bits are the device's own, as they are after a
 * delivery that may or may not come.
 */
static bool is_known(const VFIOMsixModel *m, const VFIOMsixEntry *e)
{
    return m->enabled && !e->may && !e->replay && !e->vanished;
}

void vfio_msix_model_check_pba(VFIOMsixModel *m)
{
    uint32_t pba = 0;

    for (unsigned v = 0; v < m->n; v++) {
        const VFIOMsixEntry *e = &m->entry[v];

        if (v % 32 == 0) {
            pba = read_pba(m, v / 32);
        }
        if (is_known(m, e) && extract32(pba, v % 32, 1) != e->must) {
            vfio_msix_model_violation(m, v, VFIO_MSIX_PBA);
        }
    }
}
