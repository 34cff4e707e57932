/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO irq-delivery: what the guest reads in the PBA
 */

#include "qemu/osdep.h"

#include "vfio-irq-delivery-tests.h"

static void test_pba(void)
{
    fake_reset(true);
    fake_enable(FAKE_VECTORS);
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        if (nr % 2) {
            fake_unmask(nr);
        }
    }
    fake_settle();

    /* What is pending in the device alone is read there, at no cost */
    fake_raise(0);
    fake_raise(38);
    g_assert_true(fake_shows_pending(0));
    g_assert_false(fake.pba_shown);

    /* Events that wait in QEMU need QEMU's PBA, with those of the device */
    fake_mask(33);
    g_assert_false(fake.pba_shown);
    fake_raise(33);
    fake_run_handlers();
    g_assert_true(fake.pba_shown);
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        g_assert_cmpint(fake_shows_pending(nr), ==,
                        nr == 0 || nr == 33 || nr == 38);
    }

    /* Not even the main loop has seen this one */
    fake_mask(35);
    fake_raise(35);
    g_assert_true(fake_shows_pending(35));

    fake_unmask(38);
    fake_run_handlers();
    g_assert_false(fake_shows_pending(38));
    g_assert_cmpuint(fake.vector[38].by_qemu, ==, 1);
    irq_test_finish();
}

/* It goes away some time after it was needed, but not in between */
static void test_pba_lazy(void)
{
    irq_test_start_settled(true);
    for (int i = 0; i < 100; i++) {
        fake_mask(9);
        fake_raise(9);
        fake_run_handlers();
        fake_advance(QUICK_MS);
        fake_unmask(9);
        fake_advance(QUICK_MS);
    }
    g_assert_cmpuint(fake.pba_changes, ==, 1);
    fake_settle();
    g_assert_cmpuint(fake.pba_changes, ==, 2);
    g_assert_false(fake.pba_shown);

    fake_mask(9);
    fake_raise(9);
    fake_run_handlers();
    fake_settle();
    g_assert_true(fake.pba_shown);
    irq_test_finish();
}

/* A mirrored bit is a copy: it must not lead to a message of its own */
static void test_pba_mirror(void)
{
    fake_reset(true);
    fake_enable(FAKE_VECTORS);
    fake_unmask(1);
    fake_mask(1);
    fake_raise(1);
    fake_run_handlers();
    fake_raise(2);
    g_assert_true(fake_shows_pending(2));
    fake.vector[2].device_pending = false;  /* a device may take it back */
    fake.vector[2].owed = false;
    g_assert_false(fake_shows_pending(2));

    fake_raise(3);
    g_assert_true(fake_shows_pending(3));
    fake_unmask(3);
    fake_run_handlers();
    g_assert_cmpuint(fake.vector[3].by_qemu, ==, 1);

    fake_raise(4);
    g_assert_true(fake_shows_pending(4));
    fake_disable();
    g_assert_false(fake.vector[4].pending);
    irq_test_finish();
}

/* The host had no eventfd for it: what is pending is in the device again */
static void test_pba_unarmed(void)
{
    fake_reset(true);
    fake_enable(FAKE_VECTORS);
    fake_unmask(0);
    fake_mask(0);
    fake_raise(0);
    fake_run_handlers();

    fake.fail_call = FAKE_ARM;
    fake_unmask(1);
    fake_mask(1);
    fake_raise(1);
    g_assert_true(fake_shows_pending(1));
    fake_unmask(1);
    fake_check();
    fake_mask(1);
    g_assert_true(fake_shows_pending(1));
    fake.fail_call = FAKE_CALLS;
    fake_unmask(1);
    fake_run_handlers();
    g_assert_cmpuint(fake.vector[1].by_qemu, ==, 1);
    g_assert_false(fake_shows_pending(1));

    /* An event that came before is QEMU's, whatever the device shows */
    fake_unmask(2);
    fake_mask(2);
    fake_raise(2);
    fake.vector[2].armed = fake_vdev->irq_vectors.vector[2].armed = -1;
    fake.vector[2].device_pending = true;
    g_assert_true(fake_shows_pending(2));
    fake.vector[2].device_pending = false;
    g_assert_true(fake_shows_pending(2));
    fake_unmask(2);
    g_assert_cmpuint(fake.vector[2].by_qemu, ==, 1);
    irq_test_finish();
}

/* Pending bits come with a migration, before there is any eventfd */
static void test_pba_migrated(void)
{
    fake_reset(true);
    fake.vector[35].pending = fake.vector[35].owed = true;
    fake.vector[35].raised = 1;
    fake_enable(FAKE_VECTORS);
    g_assert_true(fake.pba_shown);
    g_assert_true(fake_shows_pending(35));
    fake_unmask(35);
    g_assert_cmpuint(fake.vector[35].by_qemu, ==, 1);
    fake_settle();
    g_assert_false(fake.pba_shown);
    irq_test_finish();
}

void irq_test_add_pba(void)
{
    g_test_add_func("/vfio/irq-delivery/pba/shows", test_pba);
    g_test_add_func("/vfio/irq-delivery/pba/lazy", test_pba_lazy);
    g_test_add_func("/vfio/irq-delivery/pba/mirror", test_pba_mirror);
    g_test_add_func("/vfio/irq-delivery/pba/unarmed", test_pba_unarmed);
    g_test_add_func("/vfio/irq-delivery/pba/migrated", test_pba_migrated);
}
