/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI-X messages that are rewritten while their entries are unmasked, and what
 * is pending.
 */

#include "qemu/osdep.h"
#include "vfio-msix-scenario.h"

/*
 * Rewrites the next vector in turn. Each is on the fast path before if @rested,
 * and on the one through QEMU if not.
 */
static void rewrite_next(VFIOMsixModel *m, unsigned i, bool rested,
                         VFIOMsixRewrite how)
{
    unsigned v = i % m->n;

    how.place = (m->entry[v].place + how.place) % m->places;
    if (!vfio_msix_model_can_rewrite(m, v, &how)) {
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

    for (unsigned order = 0; order < VFIO_MSIX_ORDERS; order++) {
        for (unsigned place = 1; place < m->places; place++) {
            for (unsigned raise = 0; raise < 2; raise++) {
                rewrite_next(m, i++, rested, (VFIOMsixRewrite) {
                    .place = place, .order = vfio_msix_orders[order],
                    .raise = raise,
                });
            }
        }
    }
}

static void rewrite_part(VFIOMsixModel *m, unsigned v, const char *order,
                         VFIOMsixMessage msg)
{
    vfio_msix_model_rewrite_live(m, v, &(VFIOMsixRewrite) {
        .place = m->entry[v].place, .order = order, .raise = true,
        .message = &msg,
    });
    vfio_msix_model_check_pba(m);
}

/* To another address with the same data, then new data there */
static void rewrite_parts(VFIOMsixModel *m, unsigned v, const char *order)
{
    VFIOMsixEntry *e = &m->entry[v];
    unsigned place = !e->place;
    VFIOMsixMessage msg = m->machine->message(m, v, place);
    VFIOMsixMessage moved = { .address = msg.address, .data = e->message.data };

    vfio_msix_model_rewrite_live(m, v, &(VFIOMsixRewrite) {
        .place = place, .order = order, .raise = true, .message = &moved,
    });
    vfio_msix_model_fire(m, v);
    rewrite_part(m, v, "d", msg);
    vfio_msix_model_fire(m, v);
}

/* From where there is no memory, by the upper half of the address */
static void rewrite_upper_half(VFIOMsixModel *m, unsigned v, const char *order)
{
    VFIOMsixMessage msg = m->machine->message(m, v, m->entry[v].place);
    VFIOMsixMessage far = m->entry[v].message;

    far.address |= UINT64_C(1) << 32;
    vfio_msix_model_rewrite_live(m, v, &(VFIOMsixRewrite) {
        .place = m->entry[v].place, .order = "h", .message = &far,
    });
    rewrite_part(m, v, order, msg);
    vfio_msix_model_fire(m, v);
}

void vfio_msix_rewrite_in_parts(VFIOMsixModel *m)
{
    for (unsigned i = 0; i < VFIO_MSIX_ORDERS; i++) {
        unsigned v = i % m->n;

        rewrite_parts(m, v, i % 2 ? "l" : "lh");
        /* not without the upper half, which is what differs */
        if (strlen(vfio_msix_orders[i]) == 3) {
            rewrite_upper_half(m, v, vfio_msix_orders[i]);
        }
    }
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

/* QEMU 11.1 only shows the pending bits of the server */
void vfio_msix_check_old_pba(VFIOMsixModel *m)
{
    raise_masked(m);
    g_assert_false(vfio_msix_model_pending(m, 0));
    g_assert_true(vfio_msix_model_pending(m, 1));
    vfio_msix_model_check_pba(m);
    g_assert_cmpuint(m->violations[VFIO_MSIX_PBA], ==, 1);
}
