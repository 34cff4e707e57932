/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO irq-delivery between a fake device and a fake KVM
 *
 * vfio-irq-fakes.h keeps an account of what the guest is owed.  Here is what
 * guest, device and host do, what each of it may cost, and a random walk.
 */

#include "qemu/osdep.h"

#include "vfio-irq-delivery-tests.h"

void irq_test_finish(void)
{
    fake_run_handlers();
    fake_check();
    if (fake_delivery()->nr_lines) {
        fake_disable();
    }
    fake_assert_clean();
}

/* All vectors unmasked */
void irq_test_start(bool is_msix)
{
    fake_reset(is_msix);
    fake_enable(FAKE_VECTORS);
    for (unsigned int nr = 0; nr < FAKE_VECTORS && is_msix; nr++) {
        fake_unmask(nr);
    }
}

void irq_test_start_settled(bool is_msix)
{
    irq_test_start(is_msix);
    fake_settle();
    g_assert_cmpuint(fake.irqfds, ==, FAKE_VECTORS);
}

void irq_test_raise_all(void)
{
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        fake_raise(nr);
    }
    fake_run_handlers();
    fake_check();
}

void irq_test_check_listeners(unsigned int first, unsigned int end,
                              const char *name)
{
    for (unsigned int nr = first; nr < end; nr++) {
        g_assert_cmpstr(fake_listener(nr), ==, name);
    }
}

/* What it costs */

static unsigned int kernel_calls(void)
{
    return fake.commits + fake.assigns + fake.deassigns;
}

static void test_settle(void)
{
    irq_test_start(true);
    g_assert_cmpuint(kernel_calls(), ==, 0);
    irq_test_check_listeners(0, FAKE_VECTORS, "userspace");
    irq_test_raise_all();
    g_assert_cmpuint(fake.vector[7].by_qemu, ==, 1);

    fake_settle();
    g_assert_cmpuint(fake.commits, ==, 1);
    g_assert_cmpuint(fake.assigns, ==, FAKE_VECTORS);
    g_assert_cmpuint(fake.arms, ==, FAKE_VECTORS);
    irq_test_check_listeners(0, FAKE_VECTORS, "irqfd");
    irq_test_raise_all();
    g_assert_cmpuint(fake.vector[7].by_qemu, ==, 1);
    g_assert_cmpuint(fake.vector[7].by_kvm, ==, 1);
    irq_test_finish();
}

/* However slow the guest is: log2 of the vectors, and a few */
static void test_slow_start(void)
{
    fake_reset(true);
    fake_enable(FAKE_VECTORS);
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        fake_unmask(nr);
        fake_advance(3 * QUICK_MS);
        irq_test_raise_all();
    }
    fake_settle();
    irq_test_check_listeners(0, FAKE_VECTORS, "irqfd");
    g_assert_cmpuint(fake.commits, <=, 8);
    irq_test_finish();
}

/* A guest that masks for each interrupt stays in userspace, at no cost */
static void test_toggle(void)
{
    irq_test_start(true);
    for (int i = 0; i < 1000; i++) {
        fake_mask(3);
        fake_raise(3);
        fake_run_handlers();
        fake_advance(QUICK_MS);
        fake_unmask(3);
        fake_run_handlers();
        fake_advance(QUICK_MS);
        fake_check();
    }
    g_assert_cmpuint(fake.commits, ==, 1);
    g_assert_cmpuint(fake.assigns, ==, FAKE_VECTORS - 1);
    g_assert_cmpuint(fake.deassigns, ==, 0);
    g_assert_cmpuint(fake.arms, ==, FAKE_VECTORS);
    g_assert_cmpuint(fake.vector[3].by_qemu, ==, 1000);
    irq_test_check_listeners(3, 4, "userspace");
    irq_test_finish();
}

/* A settled vector pays for the first mask only; the route is still right */
static void test_mask_settled(void)
{
    irq_test_start_settled(true);
    for (int i = 0; i < 10; i++) {
        fake_mask(3);
        fake_unmask(3);
    }
    g_assert_cmpuint(fake.deassigns, ==, 1);
    fake_settle();
    g_assert_cmpuint(fake.assigns, ==, FAKE_VECTORS + 1);
    g_assert_cmpuint(fake.commits, ==, 1);
    irq_test_check_listeners(3, 4, "irqfd");

    fake_function_mask(true);
    fake_function_mask(false);
    fake_settle();
    g_assert_cmpuint(fake.commits, ==, 1);
    g_assert_cmpuint(fake.arms, ==, FAKE_VECTORS);
    irq_test_finish();
}

static void check_rewrite(bool masked)
{
    irq_test_start_settled(true);
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        if (masked) {
            fake_mask(nr);
        }
        fake_rewrite(nr);
        fake_raise(nr);
        if (masked) {
            fake_unmask(nr);
        }
    }
    fake_run_handlers();
    fake_check();
    fake_settle();
    irq_test_raise_all();
    g_assert_cmpuint(fake.commits, ==, 2);
    irq_test_check_listeners(0, FAKE_VECTORS, "irqfd");
    irq_test_finish();
}

static void test_rewrite(void)
{
    check_rewrite(true);
    check_rewrite(false);
}

/* Masks */

static void check_masked(bool settled, bool by_function)
{
    irq_test_start(true);
    if (settled) {
        fake_settle();
    }
    if (by_function) {
        fake_function_mask(true);
    } else {
        fake_mask(5);
    }
    fake_raise(5);
    fake_run_handlers();
    fake_settle();
    g_assert_cmpuint(fake.vector[5].by_qemu + fake.vector[5].by_kvm, ==, 0);
    g_assert_true(fake_shows_pending(5));
    g_assert_false(fake_shows_pending(6));
    if (by_function) {
        fake_function_mask(false);
    } else {
        fake_unmask(5);
    }
    g_assert_cmpuint(fake.vector[5].by_qemu, ==, 1);
    g_assert_false(fake_shows_pending(5));
    irq_test_finish();
}

static void test_masked(void)
{
    for (int i = 0; i < 4; i++) {
        check_masked(i & 1, i & 2);
    }
}

/* Raised, and not handled yet when the guest masks, unmasks, or it settles */
static void test_late_handler(void)
{
    irq_test_start(true);
    fake_raise(5);
    fake_mask(5);
    fake_run_handlers();
    g_assert_cmpuint(fake.vector[5].by_qemu, ==, 0);
    fake_raise(5);
    fake_unmask(5);
    g_assert_cmpuint(fake.vector[5].by_qemu, ==, 1);
    fake_run_handlers();
    fake_raise(6);
    fake_settle();
    fake_run_handlers();
    fake_check();
    g_assert_cmpuint(fake.vector[6].by_qemu + fake.vector[6].by_kvm, ==, 1);
    irq_test_check_listeners(6, 7, "irqfd");

    /* once only, and not again when it is back in userspace */
    fake_mask(6);
    fake_run_handlers();
    g_assert_false(fake_shows_pending(6));
    fake_unmask(6);
    irq_test_finish();
}

/* The device does not wait while the irqfd is made */
static void test_raise_at_assign(void)
{
    irq_test_start(true);
    fake.raise_at_assign = true;
    fake_settle();
    fake.raise_at_assign = false;
    fake_run_handlers();
    fake_check();
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        g_assert_cmpuint(fake.vector[nr].by_kvm, ==, 1);
        fake_mask(nr);
        fake_run_handlers();
        g_assert_false(fake.vector[nr].pending);
        fake_unmask(nr);
    }
    irq_test_finish();
}

/* Nothing to have */

/* Each vector works, whichever call fails and how often */
static void check_failing(bool is_msix, FakeCall call, unsigned int nth)
{
    fake_reset(is_msix);
    fake.fail_call = call;
    fake.fail_nth = nth;
    fake_enable(FAKE_VECTORS);
    for (unsigned int nr = 0; nr < FAKE_VECTORS && is_msix; nr++) {
        fake_unmask(nr);
        irq_test_raise_all();
    }
    fake_settle();
    irq_test_raise_all();
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        fake_rewrite(nr);
        irq_test_raise_all();
    }
    fake_settle();
    irq_test_raise_all();

    /* What failed is tried again, at the latest after the next unmask */
    fake.fail_call = FAKE_CALLS;
    fake.fail_nth = 0;
    for (unsigned int nr = 0; nr < FAKE_VECTORS && is_msix; nr++) {
        fake_mask(nr);
        fake_unmask(nr);
        g_assert_false(fake.vector[nr].unserved);
    }
    fake_settle();
    irq_test_raise_all();
    if (is_msix) {
        irq_test_check_listeners(0, FAKE_VECTORS, "irqfd");
    }
    irq_test_finish();
}

static void test_failing(void)
{
    for (FakeCall call = 0; call < FAKE_CALLS; call++) {
        check_failing(true, call, 0);
        check_failing(false, call, 0);
    }
    for (unsigned int nth = 1; nth < 4 * FAKE_VECTORS; nth++) {
        check_failing(true, FAKE_CALLS, nth);
        check_failing(false, FAKE_CALLS, nth);
    }
}

static void test_no_irqchip(void)
{
    fake_reset(true);
    fake_no_irqchip();
    fake_enable(FAKE_VECTORS);
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        fake_unmask(nr);
        fake_settle();
        irq_test_raise_all();
    }
    g_assert_cmpuint(kernel_calls(), ==, 0);
    irq_test_finish();
}

static void test_route_limit(void)
{
    fake_reset(true);
    fake.route_limit = 10;
    fake_enable(FAKE_VECTORS);
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        fake_unmask(nr);
    }
    fake_settle();
    g_assert_cmpuint(fake.commits, ==, 1);
    irq_test_check_listeners(0, 10, "irqfd");
    irq_test_check_listeners(10, FAKE_VECTORS, "userspace");
    irq_test_raise_all();
    fake.route_limit = FAKE_VECTORS;
    fake_mask(20);
    fake_unmask(20);
    fake_settle();
    irq_test_check_listeners(20, 21, "irqfd");
    irq_test_finish();
}

/* A guest that causes the same again and again does not fill a log */
static void test_messages(void)
{
    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_passed();
        g_test_trap_assert_stderr("*fake: *no KVM route for MSI-X vector 10: "
                                  "No space left on device*"
                                  "*fake: *no KVM irqfd for MSI-X vector 0: "
                                  "Device or resource busy*"
                                  "*fake: *MSI-X vector 0: *eventfd*");
        g_test_trap_assert_stderr_unmatched("*KVM route*KVM route*");
        g_test_trap_assert_stderr_unmatched("*KVM irqfd*KVM irqfd*");
        g_test_trap_assert_stderr_unmatched("*eventfd*eventfd*");
        return;
    }

    fake_reset(true);
    fake.vector[3].untranslatable = true;
    for (int i = 0; i < 12; i++) {
        fake.route_limit = i < 4 ? 9 : FAKE_VECTORS;
        fake.fail_call = i < 4 ? FAKE_CALLS : i < 8 ? FAKE_ASSIGN
                                                    : FAKE_EVENTFD;
        fake_enable(FAKE_VECTORS);
        for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
            fake_unmask(nr);
        }
        fake_settle();
        irq_test_raise_all();
        fake_disable();
        for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
            fake.vector[nr].masked = true;
        }
    }
    irq_test_finish();
}

/* Interrupt remapping: no entry yet, then one, then none again */
static void test_remap(void)
{
    fake_reset(true);
    fake.vector[2].untranslatable = fake.vector[4].untranslatable = true;
    fake_enable(FAKE_VECTORS);
    for (unsigned int nr = 0; nr < 8; nr++) {
        fake_unmask(nr);
    }
    fake_settle();
    irq_test_check_listeners(1, 2, "irqfd");
    irq_test_check_listeners(2, 3, "userspace");
    irq_test_raise_all();

    fake_mask(4);
    fake.vector[2].untranslatable = fake.vector[4].untranslatable = false;
    fake_remap();
    fake_settle();
    irq_test_check_listeners(2, 3, "irqfd");
    irq_test_check_listeners(4, 5, "userspace");
    irq_test_raise_all();

    fake.vector[1].untranslatable = true;
    fake_raise(1);
    fake_remap();
    irq_test_check_listeners(0, 1, "irqfd");
    irq_test_check_listeners(1, 2, "userspace");
    irq_test_raise_all();
    fake_settle();
    irq_test_check_listeners(1, 2, "userspace");
    fake.vector[1].untranslatable = false;
    fake_remap();
    fake_settle();
    irq_test_check_listeners(1, 2, "irqfd");
    irq_test_finish();
}

/* MSI */

static void test_msi(void)
{
    unsigned int commits;

    irq_test_start(false);
    g_assert_cmpuint(fake.commits, ==, 1);
    irq_test_check_listeners(0, FAKE_VECTORS, "irqfd");
    irq_test_raise_all();
    g_assert_cmpuint(fake.vector[7].by_kvm, ==, 1);

    commits = fake.commits;
    vfio_irq_delivery_update(fake_delivery());
    g_assert_cmpuint(fake.commits, ==, commits);
    fake_rewrite(7);
    g_assert_cmpuint(fake.commits, ==, commits + 1);
    irq_test_raise_all();

    fake.vector[7].untranslatable = true;
    fake_rewrite(7);
    irq_test_check_listeners(7, 8, "userspace");
    irq_test_raise_all();
    fake.vector[7].untranslatable = false;
    fake_rewrite(7);
    fake_settle();
    irq_test_check_listeners(7, 8, "irqfd");
    irq_test_raise_all();
    irq_test_finish();
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    fake_init();

    g_test_add_func("/vfio/irq-delivery/settle", test_settle);
    g_test_add_func("/vfio/irq-delivery/slow-start", test_slow_start);
    g_test_add_func("/vfio/irq-delivery/toggle", test_toggle);
    g_test_add_func("/vfio/irq-delivery/mask-settled", test_mask_settled);
    g_test_add_func("/vfio/irq-delivery/rewrite", test_rewrite);
    g_test_add_func("/vfio/irq-delivery/masked", test_masked);
    g_test_add_func("/vfio/irq-delivery/late-handler", test_late_handler);
    g_test_add_func("/vfio/irq-delivery/raise-at-assign", test_raise_at_assign);
    g_test_add_func("/vfio/irq-delivery/failing", test_failing);
    g_test_add_func("/vfio/irq-delivery/no-irqchip", test_no_irqchip);
    g_test_add_func("/vfio/irq-delivery/route-limit", test_route_limit);
    g_test_add_func("/vfio/irq-delivery/messages", test_messages);
    g_test_add_func("/vfio/irq-delivery/remap", test_remap);
    g_test_add_func("/vfio/irq-delivery/msi", test_msi);
    irq_test_add_pba();
    irq_test_add_life();
    irq_test_add_walk();

    return g_test_run();
}
