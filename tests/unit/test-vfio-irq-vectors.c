/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO irq-vectors against a fake host
 */

#include "qemu/osdep.h"
#include "fake-vfio-host.h"

static void arm(VFIOIRQVectors *v, unsigned int nr)
{
    vfio_irq_vectors_arm(v, nr, eventfds[0][nr]);
}

static void arm_range(VFIOIRQVectors *v, unsigned int first, unsigned int end)
{
    for (unsigned int i = first; i < end; i++) {
        arm(v, i);
    }
}

static void test_enable_masked(void)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    g_assert_cmpuint(vfio_irq_vectors_enable(&v), ==, MAX_VECTORS);
    g_assert_cmpuint(host.requests, ==, 1);
    g_assert_cmpuint(host.allocated, ==, MAX_VECTORS);
    check_armed(0, MAX_VECTORS, false);

    vfio_irq_vectors_disable(&v);
    g_assert_cmpuint(host.requests, ==, 2);
    vfio_irq_vectors_disable(&v);
    g_assert_cmpuint(host.requests, ==, 2);
    teardown(&v);
}

static void test_enable_sparse(void)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    arm(&v, 3);
    arm(&v, 40);
    g_assert_cmpuint(host.requests, ==, 0);
    vfio_irq_vectors_enable(&v);
    g_assert_cmpuint(host.requests, ==, 1);
    g_assert_cmpuint(fake_armed_count(), ==, 2);
    check_armed(3, 4, true);
    check_armed(40, 41, true);
    teardown(&v);
}

/* The table is allocated at once, so one request for each vector */
static void test_one_by_one(void)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    vfio_irq_vectors_enable(&v);
    arm_range(&v, 0, MAX_VECTORS);
    check_armed(0, MAX_VECTORS, true);
    g_assert_cmpuint(host.requests, ==, MAX_VECTORS + 1);
    g_assert_cmpuint(host.downs_with_live, ==, 0);
    g_assert_cmpuint(v.stats.resizes, ==, 0);
    teardown(&v);
}

/* Upstream's flow: the test must see that it loses */
static void test_one_by_one_off(void)
{
    VFIOIRQVectors v;
    unsigned int lost = 0;

    setup(&v, true, ON_OFF_AUTO_OFF);
    vfio_irq_vectors_enable(&v);
    for (int i = 0; i < MAX_VECTORS; i++) {
        arm(&v, i);
        lost += count_lost();
    }
    check_armed(0, MAX_VECTORS, true);
    g_assert_cmpuint(host.downs_with_live, ==, MAX_VECTORS - 1);
    g_assert_cmpuint(lost, ==, MAX_VECTORS * (MAX_VECTORS - 1) / 2);
    g_assert_cmpuint(host.requests, ==, 2 * MAX_VECTORS);
    teardown(&v);
}

/* A host that can do so allocates vectors as they are used */
static void test_on_demand(void)
{
    VFIOIRQVectors v;

    setup(&v, false, ON_OFF_AUTO_AUTO);
    vfio_irq_vectors_enable(&v);
    g_assert_cmpuint(host.allocated, ==, 1);
    arm(&v, 50);
    arm(&v, 2);
    g_assert_cmpuint(host.requests, ==, 3);
    g_assert_cmpuint(fake_armed_count(), ==, 2);
    teardown(&v);

    setup(&v, false, ON_OFF_AUTO_ON);
    vfio_irq_vectors_enable(&v);
    g_assert_cmpuint(host.allocated, ==, MAX_VECTORS);
    teardown(&v);
}

static void test_no_change(void)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    vfio_irq_vectors_enable(&v);
    arm(&v, 5);
    arm(&v, 5);
    vfio_irq_vectors_arm(&v, 5, eventfds[0][5]);
    g_assert_cmpuint(host.requests, ==, 2);
    vfio_irq_vectors_arm(&v, 5, eventfds[1][5]);
    g_assert_cmpuint(host.requests, ==, 3);
    g_assert_cmpint(host.armed[5], ==, eventfds[1][5]);
    teardown(&v);
}

static void test_batch(void)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    vfio_irq_vectors_enable(&v);

    vfio_irq_vectors_begin(&v);
    arm_range(&v, 0, 8);
    vfio_irq_vectors_begin(&v);
    arm_range(&v, 20, 22);
    vfio_irq_vectors_commit(&v);
    g_assert_cmpuint(host.requests, ==, 1);
    vfio_irq_vectors_commit(&v);
    g_assert_cmpuint(host.requests, ==, 3);
    g_assert_cmpuint(fake_armed_count(), ==, 10);

    vfio_irq_vectors_begin(&v); /* an armed vector (4) must not be touched */
    vfio_irq_vectors_arm(&v, 3, eventfds[1][3]);
    vfio_irq_vectors_arm(&v, 5, eventfds[1][5]);
    vfio_irq_vectors_commit(&v);
    g_assert_cmpuint(host.requests, ==, 5);

    vfio_irq_vectors_begin(&v);
    vfio_irq_vectors_commit(&v);
    g_assert_cmpuint(host.requests, ==, 5);
    teardown(&v);
}

/* What the host grants works, one by one and all at once; the rest is told */
static void check_grant(bool noresize, int refusal, unsigned int grant,
                        bool at_enable)
{
    VFIOIRQVectors v;

    setup(&v, noresize, ON_OFF_AUTO_AUTO);
    host.refusal = refusal;
    host.grant = grant;
    if (at_enable) {
        arm_range(&v, 0, MAX_VECTORS);
    }
    vfio_irq_vectors_enable(&v);
    if (!at_enable) {
        for (int i = 0; i < MAX_VECTORS; i++) {
            arm(&v, i);
            g_assert_cmpuint(count_lost(), ==, 0);
        }
    }
    check_armed(0, grant, true);
    check_armed(grant, MAX_VECTORS, false);
    g_assert_cmpuint(v.stats.resizes, <=, 7);
    teardown(&v);
}

static void test_grant(void)
{
    static const int refusals[] = { 0, -ENOSPC, -EINVAL, -ENOMEM };

    for (int i = 0; i < ARRAY_SIZE(refusals); i++) {
        for (unsigned int grant = 0; grant <= MAX_VECTORS; grant++) {
            check_grant(true, refusals[i], grant, false);
            check_grant(true, refusals[i], grant, true);
            check_grant(false, refusals[i], grant, false);
            check_grant(false, refusals[i], grant, true);
        }
    }
}

/* Upstream leaves no vector alive */
static void test_grant_off(void)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_OFF);
    host.grant = 16;
    vfio_irq_vectors_enable(&v);
    arm_range(&v, 0, MAX_VECTORS);
    g_assert_cmpuint(fake_armed_count(), ==, 0);
    teardown(&v);
}

/* Each message names the device, and a guest cannot cause more and more */
static void test_messages(void)
{
    VFIOIRQVectors v;

    if (!g_test_subprocess()) {
        g_test_trap_subprocess(NULL, 0, 0);
        g_test_trap_assert_passed();
        g_test_trap_assert_stderr("*fake: host grants 16 of 64 MSI-X vectors*"
                                  "*fake: host does not arm MSI-X vectors 16 "
                                  "to 20 (2 of them): No space left*"
                                  "*fake: host does not arm MSI-X vector 17:*"
                                  "*vector 31: *(last message)\n");
        g_test_trap_assert_stderr_unmatched("*grants*grants*");
        g_test_trap_assert_stderr_unmatched("*vector 32*");
        return;
    }

    setup(&v, true, ON_OFF_AUTO_AUTO);
    host.grant = 16;
    arm(&v, 16);
    arm(&v, 20);
    vfio_irq_vectors_enable(&v);
    arm_range(&v, 16, MAX_VECTORS);
    g_assert_cmpuint(fake_armed_count(), ==, 0);
    for (int i = 0; i < 3; i++) {
        vfio_irq_vectors_disable(&v);
        vfio_irq_vectors_enable(&v);
        arm_range(&v, 16, MAX_VECTORS);
    }
    teardown(&v);
}

/* A vector without a CPU vector is no reason to allocate less */
static void test_arm_limit(void)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    host.arm_limit = 10;
    arm_range(&v, 0, 20);
    g_assert_cmpuint(vfio_irq_vectors_enable(&v), ==, MAX_VECTORS);
    check_armed(0, 10, true);
    check_armed(10, 20, false);
    g_assert_cmpuint(count_lost(), ==, 0);

    host.arm_limit = MAX_VECTORS;
    arm(&v, 15);                /* the guest unmasks it again */
    check_armed(15, 16, true);
    g_assert_cmpuint(host.downs_with_live, <=, 1);
    teardown(&v);
}

/* The host has dropped the old eventfd before it refused the new one */
static void test_rearm_refused(void)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    vfio_irq_vectors_enable(&v);
    arm(&v, 3);
    host.fail_call = 1;
    vfio_irq_vectors_arm(&v, 3, eventfds[1][3]);
    check_armed(3, 4, false);
    arm(&v, 3);
    check_armed(3, 4, true);
    teardown(&v);
}

/* A server that is gone is not asked again and again */
static void test_host_gone(void)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    host.refusal = -EFAULT;
    host.grant = 0;
    g_assert_cmpuint(vfio_irq_vectors_enable(&v), ==, 0);
    g_assert_cmpuint(host.requests, ==, 2); /* and one to be sure it is off */
    arm(&v, 0);
    g_assert_cmpuint(host.requests, ==, 4);

    host.grant = MAX_VECTORS;
    arm(&v, 1);
    g_assert_cmpuint(v.capacity, ==, MAX_VECTORS);
    check_armed(0, 2, true);
    teardown(&v);
}

/* However long a host had nothing, it is asked again */
static void test_recovery(void)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    host.grant = 0;
    vfio_irq_vectors_enable(&v);
    arm_range(&v, 0, 10);
    host.requests = 0;
    arm(&v, 10);
    g_assert_cmpuint(host.requests, ==, 2);
    host.grant = MAX_VECTORS;
    arm(&v, 11);
    check_armed(0, 12, true);
    for (int i = 0; i < 12; i++) {
        /* the device could not raise it all the time: a replay */
        g_assert_cmpuint(drain(eventfds[0][i]), ==, 1);
    }
    memset(host.gaps, 0, sizeof(host.gaps));
    for (int i = 12; i < MAX_VECTORS; i++) {
        arm(&v, i);
        g_assert_cmpuint(count_lost(), ==, 0);
    }
    check_armed(0, MAX_VECTORS, true);
    teardown(&v);
}

/* A resize must not give the place of a live vector to one that has none */
static void test_resize_live_first(void)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    host.grant = 8;
    vfio_irq_vectors_enable(&v);
    host.arm_limit = 0;
    arm(&v, 0);
    host.arm_limit = 2;
    arm(&v, 5);
    arm(&v, 6);

    host.grant = MAX_VECTORS;
    arm(&v, 20);
    g_assert_cmpuint(v.stats.resizes, ==, 1);
    check_armed(0, 5, false);
    check_armed(5, 7, true);
    check_armed(7, MAX_VECTORS, false);
    g_assert_cmpuint(count_lost(), ==, 0);

    host.arm_limit = MAX_VECTORS;
    arm(&v, 0);
    arm(&v, 20);
    g_assert_cmpuint(fake_armed_count(), ==, 4);
    teardown(&v);
}

/* A refused vector is unmasked in the guest: it was down too */
static void test_resize_refused(void)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    host.grant = 8;
    vfio_irq_vectors_enable(&v);
    host.arm_limit = 0;
    arm(&v, 0);
    check_armed(0, 1, false);

    host.grant = host.arm_limit = MAX_VECTORS;
    arm(&v, 20);
    check_armed(0, 1, true);
    g_assert_cmpuint(v.stats.replays, ==, 1);
    g_assert_cmpuint(count_lost(), ==, 0);
    teardown(&v);
}

/* Short grant, then the host has more: few resizes, each with replay */
static void test_growth(void)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    host.refusal = 0;
    host.grant = 5;
    g_assert_cmpuint(vfio_irq_vectors_enable(&v), ==, 5);
    g_assert_cmpuint(host.requests, ==, 2); /* the answer was exact */
    host.grant = MAX_VECTORS;
    for (int i = 0; i < MAX_VECTORS; i++) {
        arm(&v, i);
        g_assert_cmpuint(count_lost(), ==, 0);
    }
    check_armed(0, MAX_VECTORS, true);
    g_assert_cmpuint(v.stats.resizes, ==, 4); /* 10, 20, 40, 64 */
    g_assert_cmpuint(v.stats.replays, ==, 5 + 10 + 20 + 40);
    teardown(&v);
}

/* Resizing for what the host refuses again and again has an end */
static void test_growth_bounded(void)
{
    VFIOIRQVectors v;
    unsigned int requests;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    host.grant = 4;
    vfio_irq_vectors_enable(&v);
    arm_range(&v, 0, MAX_VECTORS);
    requests = host.requests;
    for (int i = 4; i < MAX_VECTORS; i++) {
        vfio_irq_vectors_arm(&v, i, eventfds[1][i]);
        arm(&v, i);
    }
    g_assert_cmpuint(host.requests, ==, requests);
    g_assert_cmpuint(v.stats.resizes, <=, 3);
    check_armed(0, 4, true);
    teardown(&v);
}

static void test_adopt(void)
{
    VFIOIRQVectors v;

    /* the previous QEMU had allocated all: vector 20 can be armed right away */
    setup(&v, true, ON_OFF_AUTO_AUTO);
    host.allocated = MAX_VECTORS;
    host.armed[2] = eventfds[0][2];
    arm(&v, 2);
    vfio_irq_vectors_adopt(&v);
    g_assert_cmpuint(drain(eventfds[0][2]), ==, 0);
    host.requests = 0;
    arm(&v, 2);
    g_assert_cmpuint(host.requests, ==, 0);
    arm(&v, 20);
    g_assert_cmpuint(host.downs_with_live, ==, 0);
    check_armed(20, 21, true);
    check_armed(2, 3, true);
    teardown(&v);

    /* it had three: the index must be resized, with replay */
    setup(&v, true, ON_OFF_AUTO_AUTO);
    host.allocated = 3;
    host.armed[2] = eventfds[0][2];
    arm(&v, 2);
    vfio_irq_vectors_adopt(&v);
    arm(&v, 20);
    host.excuses[20] = 1;
    g_assert_cmpuint(host.downs_with_live, ==, 1);
    check_armed(20, 21, true);
    check_armed(2, 3, true);
    g_assert_cmpuint(count_lost(), ==, 0);
    teardown(&v);

    /* it used 20 and had got 16: the guess is too high */
    setup(&v, true, ON_OFF_AUTO_AUTO);
    host.allocated = 16;
    for (int i = 0; i < 16; i++) {
        host.armed[i] = eventfds[0][i];
    }
    arm_range(&v, 0, 20);
    vfio_irq_vectors_adopt(&v);
    arm(&v, 18);
    g_assert_cmpuint(host.downs_with_live, ==, 1);
    check_armed(0, 20, true);
    teardown(&v);
}

/* A shortage says nothing about the size of an index that was adopted */
static void check_adopt_shortage(unsigned int nr)
{
    VFIOIRQVectors v;

    setup(&v, true, ON_OFF_AUTO_AUTO);
    host.allocated = MAX_VECTORS;
    for (int i = 0; i < 8; i++) {
        if (i != nr) {
            host.armed[i] = eventfds[0][i];
            arm(&v, i);
        }
    }
    vfio_irq_vectors_adopt(&v);
    host.arm_limit = fake_armed_count();
    arm(&v, nr);
    check_armed(nr, nr + 1, false);
    arm(&v, 20);
    check_armed(20, 21, false);
    host.arm_limit = MAX_VECTORS;
    arm(&v, 20);
    arm(&v, nr);
    check_armed(nr, nr + 1, true);
    check_armed(20, 21, true);
    check_armed(0, 8, true);
    /* What they raised before is not known */
    host.excuses[nr] = host.excuses[20] = 1;
    g_assert_cmpuint(count_lost(), ==, 0);
    g_assert_cmpuint(host.downs_with_live, ==, 0);
    g_assert_cmpuint(v.stats.resizes, ==, 0);
    teardown(&v);
}

static void test_adopt_shortage(void)
{
    check_adopt_shortage(0);
    check_adopt_shortage(3);
    check_adopt_shortage(12);
}

/* Events that wait stay; what the host does not have it gets, with replay */
static void test_adopt_eventfds(void)
{
    const uint64_t events = 3;
    VFIOIRQVectors v;

    setup(&v, false, ON_OFF_AUTO_AUTO);
    host.allocated = MAX_VECTORS;
    host.armed[2] = eventfds[0][2];
    host.armed[3] = eventfds[1][3];
    g_assert_cmpint(write(eventfds[0][2], &events, sizeof(events)), >, 0);
    arm_range(&v, 2, 5);
    vfio_irq_vectors_adopt(&v);
    check_armed(2, 5, true);
    g_assert_cmpuint(drain(eventfds[0][2]), ==, events);
    g_assert_cmpuint(drain(eventfds[0][3]), ==, 1);
    g_assert_cmpuint(drain(eventfds[0][4]), ==, 1);

    /* The guest has unmasked it when it was too late to inherit its eventfd */
    arm(&v, 9);
    check_armed(9, 10, true);
    g_assert_cmpuint(drain(eventfds[0][9]), ==, 1);
    arm(&v, 9);
    g_assert_cmpuint(drain(eventfds[0][9]), ==, 0);
    teardown(&v);
}

/* Whichever request fails once, each vector is there after the next unmask */
static void check_failing_call(bool noresize, unsigned int nr, int refusal)
{
    VFIOIRQVectors v;

    setup(&v, noresize, ON_OFF_AUTO_AUTO);
    host.fail_call = nr;
    host.refusal = refusal;
    host.grant = 12;            /* so that one call is a resize */
    arm_range(&v, 0, 4);
    vfio_irq_vectors_enable(&v);
    host.grant = MAX_VECTORS;
    arm_range(&v, 4, 8);
    vfio_irq_vectors_begin(&v);
    arm_range(&v, 8, 30);
    vfio_irq_vectors_commit(&v);
    g_assert_cmpuint(count_lost(), ==, 0);

    host.fail_call = 0;
    for (int i = 0; i < 30; i++) {
        vfio_irq_vectors_arm(&v, i, eventfds[1][i]);
        arm(&v, i);
        g_assert_cmpuint(count_lost(), ==, 0);
    }
    check_armed(0, 30, true);
    teardown(&v);
}

static void test_failing_call(void)
{
    for (unsigned int nr = 1; nr < 60; nr++) {
        check_failing_call(true, nr, -ENOSPC);
        check_failing_call(true, nr, -EINVAL);
        check_failing_call(false, nr, -ENOSPC);
        check_failing_call(false, nr, -ENOMEM);
    }
}

/*
 * Random operations.  Whatever the host refuses on the way: no vector comes
 * back from a gap without an event, what is armed is what was wanted last, and
 * with a host that refuses nothing all wanted vectors are armed in the end.
 */
static void random_step(VFIOIRQVectors *v, GRand *rand)
{
    unsigned int nr = g_rand_int_range(rand, 0, MAX_VECTORS);
    int set = g_rand_int_range(rand, 0, 2);

    switch (g_rand_int_range(rand, 0, 100)) {
    case 0 ... 79:
        vfio_irq_vectors_arm(v, nr, eventfds[set][nr]);
        break;
    case 80 ... 84:
        vfio_irq_vectors_begin(v);
        for (; nr < MAX_VECTORS; nr += set + 1) {
            vfio_irq_vectors_arm(v, nr, eventfds[set][nr]);
        }
        vfio_irq_vectors_commit(v);
        break;
    case 85 ... 91:
        host.grant = g_rand_int_range(rand, 0, MAX_VECTORS + 1);
        host.arm_limit = g_rand_int_range(rand, 0, MAX_VECTORS + 1);
        host.refusal = g_rand_boolean(rand) ? 0 : -ENOSPC;
        break;
    case 92 ... 96:
        host.grant = host.arm_limit = MAX_VECTORS;
        host.fail_call = g_rand_int_range(rand, 0, 5);
        break;
    default:
        vfio_irq_vectors_disable(v);
        memset(host.gaps, 0, sizeof(host.gaps));
        host.refused = false;
        vfio_irq_vectors_enable(v);
        break;
    }
}

static void check_random(bool noresize, OnOffAuto policy, uint32_t seed)
{
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);
    VFIOIRQVectors v;

    setup(&v, noresize, policy);
    vfio_irq_vectors_enable(&v);
    for (int step = 0; step < 20000; step++) {
        random_step(&v, rand);
        g_assert_cmpuint(count_lost(), ==, 0);
        for (int i = 0; i < MAX_VECTORS; i++) {
            g_assert(host.armed[i] == -1 ||
                     host.armed[i] == v.vector[i].wanted);
        }
    }

    host.grant = host.arm_limit = MAX_VECTORS;
    host.fail_call = 0;
    vfio_irq_vectors_disable(&v);
    arm_range(&v, 0, MAX_VECTORS);
    g_assert_cmpuint(vfio_irq_vectors_enable(&v), ==, MAX_VECTORS);
    check_armed(0, MAX_VECTORS, true);
    teardown(&v);
}

static void test_random(void)
{
    uint32_t seed = g_test_rand_int();

    g_test_message("seed %u", seed);
    check_random(true, ON_OFF_AUTO_AUTO, seed);
    check_random(false, ON_OFF_AUTO_AUTO, seed);
    check_random(false, ON_OFF_AUTO_ON, seed);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    open_eventfds();
    g_test_add_func("/vfio/irq-vectors/enable/masked", test_enable_masked);
    g_test_add_func("/vfio/irq-vectors/enable/sparse", test_enable_sparse);
    g_test_add_func("/vfio/irq-vectors/one-by-one/auto", test_one_by_one);
    g_test_add_func("/vfio/irq-vectors/one-by-one/off", test_one_by_one_off);
    g_test_add_func("/vfio/irq-vectors/on-demand", test_on_demand);
    g_test_add_func("/vfio/irq-vectors/no-change", test_no_change);
    g_test_add_func("/vfio/irq-vectors/batch", test_batch);
    g_test_add_func("/vfio/irq-vectors/grant/auto", test_grant);
    g_test_add_func("/vfio/irq-vectors/grant/off", test_grant_off);
    g_test_add_func("/vfio/irq-vectors/messages", test_messages);
    g_test_add_func("/vfio/irq-vectors/arm-limit", test_arm_limit);
    g_test_add_func("/vfio/irq-vectors/rearm-refused", test_rearm_refused);
    g_test_add_func("/vfio/irq-vectors/host-gone", test_host_gone);
    g_test_add_func("/vfio/irq-vectors/recovery", test_recovery);
    g_test_add_func("/vfio/irq-vectors/growth/live-first",
                    test_resize_live_first);
    g_test_add_func("/vfio/irq-vectors/growth/refused", test_resize_refused);
    g_test_add_func("/vfio/irq-vectors/growth/replay", test_growth);
    g_test_add_func("/vfio/irq-vectors/growth/bounded", test_growth_bounded);
    g_test_add_func("/vfio/irq-vectors/adopt", test_adopt);
    g_test_add_func("/vfio/irq-vectors/adopt/eventfds", test_adopt_eventfds);
    g_test_add_func("/vfio/irq-vectors/adopt/shortage", test_adopt_shortage);
    g_test_add_func("/vfio/irq-vectors/failing-call", test_failing_call);
    g_test_add_func("/vfio/irq-vectors/random", test_random);

    return g_test_run();
}
