/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO irq-delivery: another QEMU takes over, and messages to the device itself
 */

#include "qemu/osdep.h"

#include "vfio-irq-delivery-tests.h"

/* The VM stops: what waits in an eventfd would not be migrated */
static void test_vm_stop(void)
{
    irq_test_start(true);
    fake_mask(3);
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        fake_raise(nr);
    }
    fake_stop_vm();
    fake_check();
    g_assert_true(fake.vector[3].pending);
    g_assert_cmpuint(fake.vector[4].by_qemu, ==, 1);

    /* or it has begun to settle */
    fake_unmask(3);
    fake_settle();
    fake_mask(5);
    fake_raise(5);
    fake_raise(6);
    fake_stop_vm();
    g_assert_true(fake.vector[5].pending);
    irq_test_finish();
}

/* CPR */

static void test_suspend(void)
{
    irq_test_start_settled(true);
    fake_mask(1);
    fake_mask(4);
    fake_unmask(4);
    vfio_irq_delivery_suspend(fake_delivery());
    g_assert_cmpuint(fake.irqfds, ==, 0);
    irq_test_check_listeners(0, FAKE_VECTORS, "none");
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        fake_raise(nr);
    }
    fake_run_handlers();
    fake_settle();
    fake_mask(2);
    fake_unmask(2);
    fake_rewrite(3);
    fake_settle();
    irq_test_check_listeners(0, FAKE_VECTORS, "none");
    g_assert_cmpuint(fake.vector[5].by_qemu + fake.vector[5].by_kvm, ==, 0);

    vfio_irq_delivery_resume(fake_delivery());
    fake_run_handlers();
    fake_check();
    g_assert_true(fake_shows_pending(1));
    fake_settle();
    irq_test_check_listeners(2, FAKE_VECTORS, "irqfd");
    irq_test_raise_all();
    fake_unmask(1);
    irq_test_finish();
}

static void start_inheriting(void)
{
    fake_reset(true);
    fake.enabled = true;
    vfio_irq_delivery_init(fake_delivery(), fake_vdev, true, FAKE_VECTORS,
                           true);
}

/* An eventfd of the other QEMU; every other vector is masked */
static void inherit(unsigned int nr)
{
    EventNotifier e;

    g_assert_cmpint(event_notifier_init(&e, false), ==, 0);
    fake.cpr_fd[nr] = event_notifier_get_fd(&e);
    fake.vector[nr].masked = nr % 2;
}

/* The other QEMU is gone, and has left eventfds with events in them */
static void test_adopt(void)
{
    uint64_t one = 1;

    start_inheriting();
    for (unsigned int nr = 0; nr < 8; nr++) {
        inherit(nr);
        fake.vector[nr].armed = fake.cpr_fd[nr];
        fake.vector[nr].owed = true;
        fake.vector[nr].raised = 1;
        g_assert_cmpint(write(fake.cpr_fd[nr], &one, 8), ==, 8);
        vfio_irq_delivery_adopt(fake_delivery(), nr);
    }
    vfio_irq_delivery_attach(fake_delivery());
    g_assert_cmpuint(fake.arms, ==, 0);
    g_assert_cmpuint(fake.commits, ==, 1);
    fake_run_handlers();
    fake_check();
    for (unsigned int nr = 0; nr < 8; nr++) {
        g_assert_cmpstr(fake_listener(nr), ==, nr % 2 ? "userspace" : "irqfd");
        g_assert_cmpint(fake_shows_pending(nr), ==, nr % 2);
    }
    for (unsigned int nr = 0; nr < 8; nr++) {
        fake_unmask(nr);
    }
    fake_settle();
    irq_test_raise_all();
    irq_test_check_listeners(0, 8, "irqfd");
    irq_test_finish();
}

/*
 * The guest has switched MSI-X off and on again when it was too late to inherit
 * eventfds: none of them is the host's any more.
 */
static void test_adopt_stale(void)
{
    start_inheriting();
    for (unsigned int nr = 0; nr < 8; nr++) {
        inherit(nr);
        vfio_irq_delivery_adopt(fake_delivery(), nr);
    }
    for (unsigned int nr = 0; nr < 8; nr++) {
        fake.vector[nr].armed = fake_vdev->irq_vectors.vector[nr].armed = -1;
    }
    vfio_irq_delivery_adopt_rest(fake_delivery());
    vfio_irq_delivery_attach(fake_delivery());
    for (unsigned int nr = 0; nr < 8; nr++) {
        g_assert_cmpint(fake.vector[nr].armed >= 0, ==, nr % 2 == 0);
    }
    for (unsigned int nr = 0; nr < 8; nr++) {
        fake_unmask(nr);
    }
    fake_settle();
    irq_test_raise_all();
    irq_test_check_listeners(0, 8, "irqfd");
    irq_test_finish();
}

/* A message may go to the device itself */

static void mask_itself(unsigned int nr)
{
    fake_mask(nr);
}

static void mask_next(unsigned int nr)
{
    fake_mask((nr + 1) % FAKE_VECTORS);
}

static void unmask_next(unsigned int nr)
{
    fake_unmask((nr + 1) % FAKE_VECTORS);
}

static void disable(unsigned int nr)
{
    fake.on_send = NULL;
    fake_disable();
}

static void enable_anew(unsigned int nr)
{
    disable(nr);
    fake_enable(FAKE_VECTORS / 4);
}

/*
 * @when: 0, in the handler; 1, when it settles; 2, when it is unmasked; 3, when
 * the PBA is read; 4, when the VM stops
 */
static void check_reentry(bool is_msix, void (*on_send)(unsigned int nr),
                          unsigned int when)
{
    irq_test_start(is_msix);
    if (on_send == unmask_next) {
        fake_mask(21);
    }
    if (when == 2) {
        fake_function_mask(true);
    }
    for (unsigned int nr = 20; nr < FAKE_VECTORS; nr++) {
        fake_raise(nr);
    }
    fake.on_send = on_send;
    if (when == 1) {
        fake_settle();
    } else if (when == 2) {
        fake_run_handlers();
        fake_function_mask(false);
    } else if (when == 3) {
        vfio_irq_delivery_poll(fake_delivery(), 0, FAKE_VECTORS);
    } else if (when == 4) {
        fake_stop_vm();
    }
    fake_run_handlers();
    fake.on_send = NULL;
    fake_settle();
    irq_test_finish();
}

static void test_reentry(void)
{
    void (*const hooks[])(unsigned int) = {
        mask_itself, mask_next, unmask_next, disable, enable_anew,
    };

    for (unsigned int when = 0; when < 5; when++) {
        for (int i = 0; i < ARRAY_SIZE(hooks); i++) {
            check_reentry(true, hooks[i], when);
        }
    }
    for (unsigned int when = 0; when < 2; when++) {
        check_reentry(false, disable, when);
        check_reentry(false, enable_anew, when);
    }
}

/*
 * CPR attaches at once.  A vector that a message unmasks in the middle of it
 * has no route yet.
 */
static void test_reentry_attach(void)
{
    fake_reset(true);
    fake_enable(FAKE_VECTORS);
    fake_unmask(0);
    fake_raise(0);
    fake.on_send = unmask_next;
    vfio_irq_delivery_attach(fake_delivery());
    fake_run_handlers();
    fake.on_send = NULL;
    fake_check();
    fake_settle();
    irq_test_raise_all();
    irq_test_check_listeners(0, 1, "irqfd");
    irq_test_finish();
}

void irq_test_add_life(void)
{
    g_test_add_func("/vfio/irq-delivery/vm-stop", test_vm_stop);
    g_test_add_func("/vfio/irq-delivery/cpr/suspend", test_suspend);
    g_test_add_func("/vfio/irq-delivery/cpr/adopt", test_adopt);
    g_test_add_func("/vfio/irq-delivery/cpr/adopt-stale", test_adopt_stale);
    g_test_add_func("/vfio/irq-delivery/reentry/any", test_reentry);
    g_test_add_func("/vfio/irq-delivery/reentry/attach", test_reentry_attach);
}
