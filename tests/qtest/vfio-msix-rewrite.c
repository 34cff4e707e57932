/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages that are rewritten, and what is pending meanwhile.
 */

#include "qemu/osdep.h"
#include "vfio-msix-scenario.h"

#define ROUNDS 20

/* In all ways, each of them for an unmasked and for a masked entry */
static void rewrite_all(VFIOMsixModel *m)
{
    vfio_msix_bring_up(m, VFIO_MSIX_ASCENDING);
    for (unsigned i = 0; i < ROUNDS * VFIO_MSIX_REWRITES; i++) {
        unsigned v = i % m->n;

        if (i % 3 == 0) {
            vfio_msix_model_mask(m, v);
        }
        vfio_msix_model_rewrite(m, v, i % VFIO_MSIX_REWRITES);
        vfio_msix_model_check_pba(m);
        vfio_msix_model_unmask(m, v);
        vfio_msix_model_fire(m, v);
    }
}

/* The guest has forgotten a part, and makes up for it much later */
static void rewrite_late(VFIOMsixModel *m)
{
    vfio_msix_model_rewrite(m, 0, VFIO_MSIX_ADDRESS_ONLY);
    vfio_msix_model_fire(m, 0);
    vfio_msix_model_rewrite(m, 0, VFIO_MSIX_DATA_ONLY);
    vfio_msix_model_fire(m, 0);
    vfio_msix_model_function_mask(m, true);
    vfio_msix_model_rewrite(m, 0, VFIO_MSIX_ADDRESS_FIRST);
    vfio_msix_model_check_pba(m);
    vfio_msix_model_function_mask(m, false);
    vfio_msix_model_fire_live(m, 1);
}

void vfio_msix_test_rewrite(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);

    rewrite_all(m);
    rewrite_late(m);
    vfio_msix_report(m, sc->name);
    vfio_msix_assert_clean(m);
    vfio_msix_model_free(m);
}

/* QEMU sends each part as it is: the test has to see that */
void vfio_msix_check_old_rewrite(VFIOMsixModel *m)
{
    rewrite_all(m);
    vfio_msix_report(m, "stock");
    g_assert_cmpuint(m->violations[VFIO_MSIX_TORN], >, 0);
    vfio_msix_model_free(m);
}

/* Vector 0 had an eventfd when it was masked, vector 1 never */
static void raise_masked(VFIOMsixModel *m)
{
    vfio_msix_model_enable(m, false);
    vfio_msix_model_unmask(m, 0);
    vfio_msix_model_mask(m, 0);
    vfio_msix_model_fire(m, 0);
    vfio_msix_model_fire(m, 1);
}

void vfio_msix_test_pba(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);

    raise_masked(m);
    g_assert_true(vfio_msix_model_pending(m, 0));
    g_assert_false(vfio_user_irqs_pending(m->irqs, 0));
    g_assert_true(vfio_msix_model_pending(m, 1));
    g_assert_true(vfio_user_irqs_pending(m->irqs, 1));
    g_assert_false(vfio_msix_model_pending(m, m->n - 1));

    vfio_msix_model_unmask(m, 0);
    g_assert_false(vfio_msix_model_pending(m, 0));
    g_assert_true(vfio_msix_model_pending(m, 1));
    vfio_msix_model_unmask(m, 1);
    g_assert_false(vfio_msix_model_pending(m, 1));

    /* the last dword, and all at once */
    vfio_msix_model_function_mask(m, true);
    vfio_msix_model_fire(m, m->n - 1);
    vfio_msix_model_fire(m, 0);
    vfio_msix_model_check_pba(m);
    g_assert_true(vfio_msix_model_pending(m, m->n - 1));
    vfio_msix_model_unmask(m, m->n - 1);
    vfio_msix_model_function_mask(m, false);
    vfio_msix_model_check_pba(m);
    vfio_msix_assert_clean(m);
    vfio_msix_model_free(m);
}

/* Only the server's pending bits are shown */
void vfio_msix_check_old_pba(VFIOMsixModel *m)
{
    raise_masked(m);
    g_assert_false(vfio_msix_model_pending(m, 0));
    g_assert_true(vfio_msix_model_pending(m, 1));
    vfio_msix_model_check_pba(m);
    g_assert_cmpuint(m->violations[VFIO_MSIX_PBA], ==, 1);
    vfio_msix_model_free(m);
}
