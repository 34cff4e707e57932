/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MSI-X bring-up on hosts that are short of vectors: what they grant must
 * work, and what worked before must not suffer.
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "vfio-msix-scenario.h"

#define GRANTED 16

static unsigned old_flow_grants(const VFIOMsixScenario *sc, bool at_enable)
{
    return sc->host == VFIO_USER_HOST_DYNAMIC && !at_enable ? GRANTED : 0;
}

static void refuse(const VFIOMsixScenario *sc, VFIOMsixModel *m, int error,
                   bool at_enable)
{
    VFIOUserIrqFaults faults = {
        .fire_in_window = true, .alloc_limit = GRANTED, .alloc_errno = error,
    };
    g_autofree char *what = g_strdup_printf("%s, %s, %s", sc->name,
                                            strerror(error), at_enable ?
                                            "at enable" : "one by one");
    unsigned n;

    vfio_msix_set_faults(m, faults);
    if (at_enable) {
        vfio_msix_unmask_in_one(m);
    } else {
        vfio_msix_bring_up(m, VFIO_MSIX_ASCENDING);
    }
    n = vfio_msix_working(m);
    g_test_message("%s: %u of %u vectors work", what, n, m->n);
    vfio_msix_report(m, what);
    if (vfio_msix_is_off(sc)) {
        g_assert_cmpuint(n, ==, old_flow_grants(sc, at_enable));
    } else {
        g_assert_cmpuint(n, ==, GRANTED);
        g_assert_cmpuint(vfio_msix_model_starved(m), ==, m->n - GRANTED);
        vfio_msix_assert_clean(m);
    }
}

void vfio_msix_test_refusal(const void *opaque)
{
    static const int errors[] = { EINVAL, ENOSPC, ENOMEM };
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);

    for (unsigned i = 0; i < ARRAY_SIZE(errors) * 2; i++) {
        refuse(sc, m, errors[i / 2], i % 2);
        vfio_msix_set_faults(m, (VFIOUserIrqFaults) { 0 });
        vfio_msix_model_reset(m);
    }
    vfio_msix_model_free(m);
}

/* Enough vectors can be allocated, but not as many be armed */
void vfio_msix_test_arm_refusal(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;

    for (unsigned at_enable = 0; at_enable < 2; at_enable++) {
        VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);

        vfio_msix_set_faults(m, (VFIOUserIrqFaults) {
            .fire_in_window = true, .arm_limit = GRANTED, .arm_errno = ENOSPC,
        });
        if (at_enable) {
            vfio_msix_unmask_in_one(m);
        } else {
            vfio_msix_bring_up(m, VFIO_MSIX_ASCENDING);
        }
        g_assert_cmpuint(vfio_msix_working(m), ==, GRANTED);
        vfio_msix_report(m, sc->name);
        vfio_msix_assert_clean(m);

        /* one that gives its place up lets another one in */
        vfio_msix_model_disable(m);
        vfio_msix_set_faults(m, (VFIOUserIrqFaults) { .fire_in_window = true });
        vfio_msix_model_enable(m, false);
        g_assert_cmpuint(vfio_msix_working(m), ==, m->n);
        vfio_msix_assert_clean(m);
        vfio_msix_model_free(m);
    }
}

static void unmask_again(VFIOMsixModel *m)
{
    for (unsigned v = 0; v < m->n; v++) {
        if (m->entry[v].starved) {
            vfio_msix_model_mask(m, v);
            vfio_msix_model_unmask(m, v);
        }
    }
}

/* The @nth message fails; returns whether there was one */
static bool fail_message(VFIOMsixModel *m, unsigned nth, bool at_enable)
{
    VFIOUserIrqFaults f;

    vfio_msix_set_faults(m, (VFIOUserIrqFaults) {
        .fire_in_window = true, .fail_nth = nth, .fail_errno = EINVAL,
    });
    if (at_enable) {
        vfio_msix_unmask_in_one(m);
    } else {
        vfio_msix_bring_up(m, VFIO_MSIX_ASCENDING);
    }
    vfio_user_irqs_get_faults(m->irqs, &f);
    return !f.fail_nth;
}

void vfio_msix_test_fail_each(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);
    unsigned positions = 0;

    for (unsigned at_enable = 0; at_enable < 2; at_enable++) {
        for (unsigned nth = 1; fail_message(m, nth, at_enable); nth++) {
            positions++;
            if (!vfio_msix_is_off(sc)) {
                unmask_again(m);
                g_assert_cmpuint(vfio_msix_working(m), ==, m->n);
                vfio_msix_assert_clean(m);
            } else {
                vfio_msix_working(m);
            }
            vfio_msix_set_faults(m, (VFIOUserIrqFaults) { 0 });
            vfio_msix_model_reset(m);
        }
        vfio_msix_set_faults(m, (VFIOUserIrqFaults) { 0 });
        vfio_msix_model_reset(m);
    }
    vfio_msix_report(m, sc->name);
    g_test_message("%u positions failed", positions);
    g_assert_cmpuint(positions, >=, m->n);
    if (vfio_msix_is_off(sc)) {
        g_assert_cmpuint(m->violations[VFIO_MSIX_LOST], >, 0);
    }
    vfio_msix_model_free(m);
}

/* The host grants few vectors first and more later: here it has to resize */
void vfio_msix_test_short_then_growth(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);
    VFIOUserIrqStats s;

    vfio_msix_set_faults(m, (VFIOUserIrqFaults) {
        .fire_in_window = true, .alloc_limit = GRANTED, .alloc_errno = ENOSPC,
    });
    vfio_msix_model_enable(m, false);
    for (unsigned v = 0; v < m->n; v++) {
        if (v == GRANTED) {
            vfio_msix_set_faults(m, (VFIOUserIrqFaults) {
                .fire_in_window = true,
            });
        }
        vfio_msix_model_unmask(m, v);
        vfio_msix_model_fire_live(m, 1);
    }
    s = vfio_msix_model_stats(m);
    vfio_msix_report(m, sc->name);
    g_assert_cmpuint(vfio_msix_working(m), ==, m->n);
    if (vfio_msix_is_off(sc)) {
        g_assert_cmpuint(m->violations[VFIO_MSIX_LOST], >, 0);
    } else {
        /* lost on the device, and made up for by the replay */
        g_assert_cmpuint(s.lost, >, 0);
        g_assert_cmpuint(s.live_disables, <=, ctz32(m->n / GRANTED));
        vfio_msix_assert_clean(m);
    }
    vfio_msix_model_free(m);
}
