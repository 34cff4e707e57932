/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random walk of guest, device and host through MSI-X bring-up.
 */

#include "qemu/osdep.h"
#include <linux/vfio.h>
#include "qemu/cutils.h"
#include "vfio-msix-walk.h"

typedef struct Walk {
    VFIOMsixModel *m;
    GRand *rand;
} Walk;

static unsigned pick(Walk *w, unsigned n)
{
    return g_rand_int_range(w->rand, 0, n);
}

static bool chance(Walk *w, unsigned percent)
{
    return pick(w, 100) < percent;
}

static void step_toggle_entry(Walk *w)
{
    unsigned v = pick(w, w->m->n);

    if (w->m->entry[v].masked) {
        vfio_msix_model_unmask(w->m, v);
    } else {
        vfio_msix_model_mask(w->m, v);
    }
}

static void step_fire(Walk *w)
{
    vfio_msix_model_fire(w->m, pick(w, w->m->n));
}

/* Masked vectors too; some are raised more than once */
static void step_fire_many(Walk *w)
{
    for (unsigned i = pick(w, w->m->n); i; i--) {
        vfio_user_irqs_fire(w->m->irqs, VFIO_PCI_MSIX_IRQ_INDEX,
                            pick(w, w->m->n));
    }
    vfio_msix_model_check(w->m);
}

static void step_toggle_function_mask(Walk *w)
{
    vfio_msix_model_function_mask(w->m, !w->m->fmask);
}

static void step_toggle_enable(Walk *w)
{
    if (w->m->enabled) {
        vfio_msix_model_disable(w->m);
    } else {
        vfio_msix_model_enable(w->m, chance(w, 50));
    }
}

static void step_rewrite(Walk *w)
{
    unsigned v = pick(w, w->m->n);

    if (w->m->entry[v].masked) {
        vfio_msix_model_rewrite(w->m, v);
    }
}

static void step_rewrite_live(Walk *w)
{
    unsigned v = pick(w, w->m->n);
    VFIOMsixEntry *e = &w->m->entry[v];
    VFIOMsixRewrite how = {
        .place = (e->place + 1 + pick(w, w->m->places - 1)) % w->m->places,
        .raise = chance(w, 50),
    };

    /* the usual order is always possible */
    do {
        how.order = vfio_msix_orders[pick(w, VFIO_MSIX_ORDERS)];
    } while (!vfio_msix_model_can_rewrite(w->m, v, &how));
    if (!e->masked) {
        vfio_msix_model_rewrite_live(w->m, v, &how);
        vfio_msix_model_fire(w->m, v);
    }
}

/* Afterwards all vectors that are in use are raised on the fast path */
static void step_rest(Walk *w)
{
    vfio_msix_model_rest(w->m, true);
    for (unsigned i = 0; i < 3; i++) {
        vfio_msix_model_fire_live(w->m, 1);
    }
    step_rewrite_live(w);
}

/* Back to many masked entries: else the walk would stay at the full table */
static void step_mask_many(Walk *w)
{
    for (unsigned v = 0; v < w->m->n; v++) {
        if (!w->m->entry[v].masked && chance(w, 80)) {
            vfio_msix_model_mask(w->m, v);
        }
    }
}

static void step_host(Walk *w)
{
    static const int errors[] = { ENOSPC, EINVAL, ENOMEM };
    VFIOUserIrqFaults f = {
        .fire_in_window = true,
        .alloc_errno = errors[pick(w, ARRAY_SIZE(errors))],
        .arm_errno = errors[pick(w, ARRAY_SIZE(errors))],
        .fail_errno = errors[pick(w, ARRAY_SIZE(errors))],
    };

    /*
     * A host does not take back what it has granted. This is also why a single
     * failure does not come on top of a shortage: it would refuse, in the
     * middle of a resize, the size that the index had before.
     */
    if (chance(w, 20)) {
        f.fail_nth = 1 + pick(w, 6);
    } else {
        if (chance(w, 50)) {
            f.alloc_limit = MAX(1 + pick(w, w->m->n),
                                vfio_msix_model_stats(w->m).allocated);
        }
        if (chance(w, 25)) {
            f.arm_limit = MAX(1 + pick(w, w->m->n),
                              vfio_msix_model_stats(w->m).armed);
        }
    }
    vfio_user_irqs_set_faults(w->m->irqs, &f);
}

static void step_read_pba(Walk *w)
{
    vfio_msix_model_check_pba(w->m);
}

static void step_reset(Walk *w)
{
    vfio_msix_model_reset(w->m);
}

typedef struct Step {
    unsigned weight;
    bool live;              /* only in a walk with such steps; these are last */
    void (*take)(Walk *w);
} Step;

static const Step steps[] = {
    { 450, false, step_toggle_entry },
    { 300, false, step_fire },
    { 60, false, step_fire_many },
    { 30, false, step_toggle_function_mask },
    { 20, false, step_toggle_enable },
    { 100, false, step_rewrite },
    { 8, false, step_mask_many },
    { 30, false, step_host },
    { 40, false, step_read_pba },
    { 2, false, step_reset },
    { 60, true, step_rewrite_live },
    { 6, true, step_rest },
};

static void take_step(Walk *w, unsigned total)
{
    unsigned r = pick(w, total);
    const Step *s = steps;

    while (r >= s->weight) {
        r -= s++->weight;
    }
    /* MSI-X is off for one step in two only, and not for long */
    if (!w->m->enabled && chance(w, 50)) {
        step_toggle_enable(w);
    } else {
        s->take(w);
    }
}

void vfio_msix_walk(VFIOMsixModel *m, const VFIOMsixWalk *walk)
{
    Walk w = { .m = m, .rand = g_rand_new_with_seed(walk->seed) };
    unsigned total = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(steps); i++) {
        total += steps[i].live && !walk->live ? 0 : steps[i].weight;
    }
    vfio_user_irqs_set_faults(m->irqs,
                              &(VFIOUserIrqFaults) { .fire_in_window = true });
    for (unsigned i = 0; i < walk->steps ||
                         vfio_msix_model_stats(m).fired < walk->fires; i++) {
        unsigned before = vfio_msix_model_total(m);

        take_step(&w, total);
        if (before == 0 && vfio_msix_model_total(m)) {
            g_test_message("first violation at step %u of seed %u", i,
                           walk->seed);
        }
    }
    g_rand_free(w.rand);
}

uint32_t vfio_msix_walk_seed(void)
{
    const char *given = g_getenv("QTEST_VFIO_SEED");
    unsigned seed = g_random_int();

    if (given && qemu_strtoui(given, NULL, 0, &seed)) {
        g_error("QTEST_VFIO_SEED must be a number below 2^32, not '%s'",
                given);
    }
    g_test_message("seed %u, repeat with QTEST_VFIO_SEED=%u", seed, seed);
    return seed;
}

uint64_t vfio_msix_walk_fires(uint64_t all, unsigned walks)
{
    const char *given = g_getenv("QTEST_VFIO_FIRES");

    if (given && (qemu_strtou64(given, NULL, 0, &all) || !all)) {
        g_error("QTEST_VFIO_FIRES must be a number above 0, not '%s'", given);
    }
    return DIV_ROUND_UP(all, walks);
}
