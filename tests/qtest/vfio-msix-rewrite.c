/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI-X messages that are rewritten while their entries are unmasked.
 */

#include "qemu/osdep.h"
#include "vfio-msix-scenario.h"

/*
 * All at once, or what differs; the guest need not write in the usual order.
 * Data between the halves of the address is not among them: the message counts
 * as complete then, and who would write that?
 */
static const char *const orders[] = {
    "lhd", "hld", "dlh", "dhl", "lh", "l", "d",
};

static bool fits(const char *order, VFIOMsixMessage old, VFIOMsixMessage new)
{
    return (strchr(order, 'd') || old.data == new.data) &&
           (strchr(order, 'l') || old.address == new.address);
}

/*
 * Rewrites the next vector in turn. Each is on the fast path before if @rested,
 * and on the one through QEMU if not.
 */
static void rewrite_next(VFIOMsixModel *m, unsigned i, bool rested,
                         VFIOMsixRewrite how)
{
    unsigned v = i % m->n;
    const VFIOMsixEntry *e = &m->entry[v];

    how.place = (e->place + how.place) % m->places;
    if (!fits(how.order, e->message,
              m->machine->message(m, v, how.place))) {
        return;
    }
    if (rested) {
        vfio_msix_model_rest(m, true);
    } else {
        vfio_msix_model_mask(m, v);
        vfio_msix_model_unmask(m, v);
    }
    vfio_msix_model_rewrite_live(m, v, &how);
    vfio_msix_model_fire(m, v);
    vfio_msix_model_fire(m, v);
}

void vfio_msix_rewrite_all_ways(VFIOMsixModel *m, bool rested)
{
    unsigned i = 0;

    for (unsigned order = 0; order < ARRAY_SIZE(orders); order++) {
        for (unsigned place = 1; place < m->places; place++) {
            for (unsigned raise = 0; raise < 2; raise++) {
                rewrite_next(m, i++, rested, (VFIOMsixRewrite) {
                    .place = place, .order = orders[order], .raise = raise,
                });
            }
        }
    }
}
