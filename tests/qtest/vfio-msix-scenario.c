/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the scenarios of vfio-msix-resize-test have in common.
 */

#include "qemu/osdep.h"
#include "vfio-msix-scenario.h"

VFIOMsixModel *vfio_msix_start(VFIOUserHost host, const char *policy,
                               unsigned n)
{
    return vfio_msix_model_new(&(VFIOMsixModelConfig) {
        .irqs = { .host = host, .msix = n }, .policy = policy,
    });
}

void vfio_msix_set_faults(VFIOMsixModel *m, VFIOUserIrqFaults faults)
{
    vfio_user_irqs_set_faults(m->irqs, &faults);
}

bool vfio_msix_is_off(const VFIOMsixScenario *sc)
{
    return g_str_equal(sc->policy, "off");
}

void vfio_msix_assert_clean(VFIOMsixModel *m)
{
    for (unsigned i = 0; i < VFIO_MSIX_VIOLATIONS; i++) {
        g_assert_cmpuint(m->violations[i], ==, 0);
    }
}

void vfio_msix_report(VFIOMsixModel *m, const char *what)
{
    VFIOUserIrqStats s = vfio_msix_model_stats(m);

    g_test_message("%s: fired %" PRIu64 ", delivered %" PRIu64
                   ", pended %" PRIu64 ", lost %" PRIu64 ", disables %" PRIu64
                   " (%" PRIu64 " live, off for %" PRIu64 " us), requests %"
                   PRIu64 " in %" PRIu64 " messages, fd slots %" PRIu64
                   ", refused %" PRIu64 ", violations %u", what, s.fired,
                   s.delivered, s.pended, s.lost, s.disables, s.live_disables,
                   s.gap_ns / 1000, s.requests, s.messages, s.fd_slots,
                   s.refused, vfio_msix_model_total(m));
}

unsigned vfio_msix_nth_vector(VFIOMsixOrder order, unsigned i, unsigned n)
{
    switch (order) {
    case VFIO_MSIX_DESCENDING:
        return n - 1 - i;
    case VFIO_MSIX_SPARSE:
        /* odd step, n is a power of two: visits each vector once */
        return i * 5 % n;
    default:
        return i;
    }
}

void vfio_msix_bring_up(VFIOMsixModel *m, VFIOMsixOrder order)
{
    vfio_msix_model_enable(m, false);
    for (unsigned i = 0; i < m->n; i++) {
        vfio_msix_model_unmask(m, vfio_msix_nth_vector(order, i, m->n));
        vfio_msix_model_fire_live(m, m->n > 64 ? m->n / 8 : 1);
    }
}

unsigned vfio_msix_working(VFIOMsixModel *m)
{
    unsigned n = 0;

    vfio_msix_model_fire_live(m, 1);
    for (unsigned v = 0; v < m->n; v++) {
        n += vfio_msix_model_unmasked(m, v) && m->seen[v].armed &&
             !m->entry[v].must;
    }
    return n;
}

void vfio_msix_unmask_in_one(VFIOMsixModel *m)
{
    for (unsigned v = 0; v < m->n; v++) {
        vfio_msix_model_write_mask(m, v, false);
    }
    vfio_msix_model_enable(m, false);
}
