/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages that change while their entry is unmasked, and remapping entries
 * that change behind them.
 */

#include "qemu/osdep.h"
#include <linux/vfio.h>
#include "vfio-irq-kvm-scenario.h"
#include "vfio-irq-remap.h"

#define INDEX VFIO_PCI_MSIX_IRQ_INDEX

void vfio_irq_kvm_test_rewrite(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;
    VFIOIrqKvm k = { .long_hold = true };
    VFIOMsixModel *m = vfio_irq_kvm_model(sc, &k);

    vfio_msix_unmask_in_one(m);
    vfio_msix_rewrite_all_ways(m, false);
    vfio_msix_rewrite_all_ways(m, true);
    vfio_irq_kvm_report(sc, m);
    if (sc->stock) {
        g_assert_cmpuint(m->violations[VFIO_MSIX_WRONG], >, 0);
    } else {
        vfio_msix_assert_clean(m);
    }
    vfio_msix_model_free(m);
}

/* The same with a device that never stops */

typedef struct Arrivals {
    unsigned elsewhere;     /* with a torn message, or a much older one */
    unsigned stale;         /* with the old one, after the new one was there */
    unsigned missing;       /* not with the new one, though raised */
} Arrivals;

/* Late is not missing: KVM delivers some events from a thread of its own */
static bool arrives(VFIOMsixModel *m, unsigned v, unsigned place)
{
    int64_t end = g_get_monotonic_time() + m->patience_us;
    bool any;

    do {
        m->machine->flush(m);
        any = vfio_msix_model_collect(m, v, place);
    } while (!any && g_get_monotonic_time() < end);
    return any;
}

static void move_under_fire(VFIOMsixModel *m, unsigned v, Arrivals *arrivals)
{
    unsigned old = m->entry[v].place, new = (old + 1) % m->places;

    vfio_msix_model_write_live(m, v, &(VFIOMsixRewrite) {
        .place = new, .order = "lhd",
    });

    /* what is at the old place now was raised before the last write */
    m->machine->flush(m);
    vfio_msix_model_collect(m, v, old);
    vfio_msix_model_wait_raise(m, v);
    arrivals->missing += !arrives(m, v, new);
    arrivals->stale += !!vfio_msix_model_collect(m, v, old);
    for (unsigned place = 0; place < m->places; place++) {
        if (place != old && place != new) {
            arrivals->elsewhere += !!vfio_msix_model_collect(m, v, place);
        }
    }
}

void vfio_irq_kvm_test_rewrite_under_fire(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;
    VFIOIrqKvm k = { .long_hold = true };
    VFIOMsixModel *m = vfio_irq_kvm_model(sc, &k);
    unsigned moves = sc->stock ? 100 : g_test_slow() ? 5000 : 500;
    Arrivals arrivals = { 0 };
    VFIOMsixStorm *storm;

    vfio_msix_unmask_in_one(m);
    storm = vfio_msix_storm_new(m);
    /* one that does not arrive has taken all the time that there is */
    for (unsigned i = 0; i < moves && (sc->stock || !arrivals.missing); i++) {
        if (i % (8 * m->n) == 0) {
            m->machine->rest(m);
        }
        move_under_fire(m, i % m->n, &arrivals);
    }
    vfio_msix_storm_free(storm);
    vfio_msix_model_fire_live(m, 1);
    vfio_irq_kvm_report(sc, m);
    g_test_message("%s: %u moves under fire: %u elsewhere, %u stale, "
                   "%u missing", sc->name, moves, arrivals.elsewhere,
                   arrivals.stale, arrivals.missing);
    if (sc->stock) {
        g_assert_cmpuint(arrivals.stale, >, 0);
    } else {
        g_assert_cmpuint(arrivals.elsewhere, ==, 0);
        g_assert_cmpuint(arrivals.stale, ==, 0);
        g_assert_cmpuint(arrivals.missing, ==, 0);
        vfio_msix_assert_clean(m);
    }
    vfio_msix_model_free(m);
}

/* Interrupt remapping */

static void point_handle_to(VFIOMsixModel *m, unsigned v, unsigned place,
                            unsigned target)
{
    VFIOIrqKvm *k = m->opaque;
    unsigned cpu, number;

    vfio_irq_kvm_target(m, v, target, &cpu, &number);
    vfio_irq_remap_set(k->qts, vfio_irq_kvm_handle(m, v, place), cpu, number);
    vfio_irq_remap_invalidate(k->qts);
}

/* The entry moves and the message stays, as when Linux changes an affinity */
void vfio_irq_kvm_test_move_irte(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;
    VFIOIrqKvm k = { 0 };
    VFIOMsixModel *m = vfio_irq_kvm_model(sc, &k);

    vfio_msix_unmask_in_one(m);
    for (unsigned i = 0; i < 4 * m->n; i++) {
        unsigned v = i % m->n, place = m->entry[v].place;
        unsigned target = (place + 1 + i / m->n % (m->places - 1)) % m->places;

        vfio_msix_model_rest(m, v == 0);
        point_handle_to(m, v, place, target);
        vfio_user_irqs_fire(m->irqs, INDEX, v);
        g_assert_true(arrives(m, v, target));
        g_assert_cmpuint(vfio_msix_model_collect(m, v, place), ==, 0);
        point_handle_to(m, v, place, place);
        vfio_msix_model_fire(m, v);
    }
    vfio_irq_kvm_report(sc, m);
    vfio_msix_assert_clean(m);
    vfio_msix_model_free(m);
}

/* Vector @v gets a message whose entry does not exist, and is raised */
static unsigned raise_without_irte(VFIOMsixModel *m, unsigned v)
{
    VFIOIrqKvm *k = m->opaque;
    unsigned arrived = 0;

    vfio_msix_model_mask(m, v);
    vfio_msix_model_rewrite(m, v);
    vfio_irq_remap_clear(k->qts, vfio_irq_kvm_handle(m, v,
                                                     m->entry[v].place));
    vfio_irq_remap_invalidate(k->qts);
    vfio_msix_model_write_mask(m, v, false);
    vfio_irq_kvm_wait_settled(k, VFIO_MSIX_SLOT, m->n - 1);
    vfio_user_irqs_fire(m->irqs, INDEX, v);
    m->machine->flush(m);
    for (unsigned place = 0; place < m->places; place++) {
        arrived += vfio_msix_model_collect(m, v, place);
    }
    return arrived;
}

/* W7: the IOMMU refuses, so nothing may arrive with the message before */
void vfio_irq_kvm_test_late_irte(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;
    VFIOIrqKvm k = { 0 };
    VFIOMsixModel *m = vfio_irq_kvm_model(sc, &k);
    unsigned stale = 0;

    vfio_msix_unmask_in_one(m);
    for (unsigned v = 0; v < m->n; v++) {
        vfio_msix_model_rest(m, true);
        stale += raise_without_irte(m, v);
        point_handle_to(m, v, m->entry[v].place, m->entry[v].place);
        m->machine->rest(m);
        vfio_msix_model_fire(m, v);
    }
    vfio_irq_kvm_report(sc, m);
    g_test_message("%s: %u stale messages", sc->name, stale);
    vfio_msix_assert_clean(m);
    if (sc->stock) {
        g_assert_cmpuint(stale, >, 0);
    } else {
        g_assert_cmpuint(stale, ==, 0);
    }
    vfio_msix_model_free(m);
}
