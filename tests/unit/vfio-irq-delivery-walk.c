/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO irq-delivery: random walk of guest, device and KVM
 */

#include "qemu/osdep.h"

#include "vfio-irq-delivery-tests.h"

typedef struct Walk {
    GRand *rand;
    bool is_suspended;
} Walk;

static unsigned int pick(Walk *w, unsigned int n)
{
    return g_rand_int_range(w->rand, 0, n);
}

static void step_toggle(Walk *w)
{
    unsigned int nr = pick(w, FAKE_VECTORS);

    if (fake.vector[nr].masked) {
        fake_unmask(nr);
    } else {
        fake_mask(nr);
    }
}

static void step_raise(Walk *w)
{
    for (unsigned int i = pick(w, 8); i; i--) {
        fake_raise(pick(w, FAKE_VECTORS));
    }
}

static void step_time(Walk *w)
{
    fake_advance(pick(w, 60));
}

static void step_function_mask(Walk *w)
{
    fake_function_mask(!fake.fmask);
}

static void step_rewrite(Walk *w)
{
    fake_rewrite(pick(w, FAKE_VECTORS));
}

static void step_remap(Walk *w)
{
    unsigned int nr = pick(w, FAKE_VECTORS);

    fake.vector[nr].untranslatable = !fake.vector[nr].untranslatable;
    fake_remap();
}

static void step_faults(Walk *w)
{
    fake.fail_nth = pick(w, 2) ? pick(w, 8) : 0;
    fake.fail_call = pick(w, 4) ? FAKE_CALLS : pick(w, FAKE_CALLS);
    fake.route_limit = pick(w, 2) ? FAKE_VECTORS : pick(w, FAKE_VECTORS);
    fake.raise_at_assign = !pick(w, 3);
}

static void step_enable(Walk *w)
{
    fake_disable();
    fake.fmask = pick(w, 2);
    fake_enable(FAKE_VECTORS);
}

static void step_suspend(Walk *w)
{
    w->is_suspended = !w->is_suspended;
    if (w->is_suspended) {
        vfio_irq_delivery_suspend(fake_delivery());
    } else {
        vfio_irq_delivery_resume(fake_delivery());
    }
}

/* A while without changes or faults: all settle that can */
static void step_rest(Walk *w)
{
    if (w->is_suspended) {
        step_suspend(w);
    }
    fake.fail_nth = 0;
    fake.fail_call = FAKE_CALLS;
    fake.route_limit = FAKE_VECTORS;
    fake.raise_at_assign = false;
    fake_function_mask(true);
    fake_function_mask(false);
    fake_run_handlers();
    fake_settle();
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        g_assert_true(fake_guest_masked(nr) || fake.vector[nr].untranslatable ||
                      g_str_equal(fake_listener(nr), "irqfd"));
    }
}

static const struct {
    unsigned int weight;
    void (*take)(Walk *w);
} steps[] = {
    { 300, step_toggle },
    { 400, step_raise },
    { 100, step_time },
    { 20, step_function_mask },
    { 60, step_rewrite },
    { 20, step_remap },
    { 20, step_faults },
    { 3, step_enable },
    { 6, step_suspend },
    { 10, step_rest },
};

static void walk_step(Walk *w)
{
    unsigned int total = 0, r, i;

    for (i = 0; i < ARRAY_SIZE(steps); i++) {
        total += steps[i].weight;
    }
    r = pick(w, total);
    for (i = 0; r >= steps[i].weight; i++) {
        r -= steps[i].weight;
    }
    steps[i].take(w);
}

/* The guest reads what it is owed, and nothing that was not raised */
static void walk_check_pba(void)
{
    uint64_t pba = fake_read_pba();

    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        const FakeVector *v = &fake.vector[nr];

        if (fake_guest_masked(nr)) {
            g_assert_true(extract64(pba, nr, 1) ? v->raised : !v->owed);
        }
    }
}

static void test_walk(void)
{
    uint32_t seed = g_test_rand_int();
    Walk w = { .rand = g_rand_new_with_seed(seed) };
    unsigned int n = g_test_slow() ? 5000000 : 200000;

    g_test_message("seed %u", seed);
    fake_reset(true);
    fake_enable(FAKE_VECTORS);
    for (unsigned int i = 0; i < n; i++) {
        walk_step(&w);
        if (!pick(&w, 3)) {
            continue;
        }
        fake_run_handlers();
        if (!w.is_suspended) {
            fake_check();
            walk_check_pba();
        }
        fake_assert_clean();
    }
    step_rest(&w);
    irq_test_raise_all();
    irq_test_finish();
    g_rand_free(w.rand);
}

void irq_test_add_walk(void)
{
    g_test_add_func("/vfio/irq-delivery/walk", test_walk);
}
