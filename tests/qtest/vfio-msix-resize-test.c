/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QTest for MSI-X of assigned devices: no interrupt is lost when the guest
 * brings up vectors, whatever the host does about it
 *
 * The device is an in-process vfio-user server whose host part refuses,
 * allocates and forgets as Linux does. Each scenario runs with
 * x-msix-prealloc=auto, which must lose nothing, and with "off", where the
 * same check has to find the loss: else it would not prove anything.
 *
 * QTEST_QEMU_STOCK_BINARY names a QEMU without that property, for the tests
 * below stock/. QTEST_VFIO_SEED repeats a random walk, QTEST_VFIO_FIRES is the
 * number of interrupts to raise at least in those with "auto".
 */

#include "qemu/osdep.h"
#include <linux/vfio.h>
#include "vfio-msi-check.h"
#include "vfio-msix-scenario.h"
#include "vfio-msix-walk.h"
#include "vfio-user-faults.h"

#define STOCK_VAR "QTEST_QEMU_STOCK_BINARY"

/* Bring-up one by one */

static void check_old_flow(VFIOMsixModel *m, VFIOMsixOrder order)
{
    VFIOUserIrqStats s = vfio_msix_model_stats(m);

    if (order == VFIO_MSIX_DESCENDING) {
        /* the first vector is the highest: nothing is left to resize for */
        g_assert_cmpuint(s.live_disables, ==, 0);
        vfio_msix_assert_clean(m);
        return;
    }
    g_assert_cmpuint(s.lost, >, 0);
    g_assert_cmpuint(m->violations[VFIO_MSIX_LOST], ==, s.lost);
    if (order == VFIO_MSIX_ASCENDING) {
        /* each vector after the first takes all others down */
        g_assert_cmpuint(s.live_disables, ==, m->n - 1);
        g_assert_cmpuint(s.lost, ==, m->n * (m->n - 1) / 2);
        /* QEMU up to 11.1 resizes for the first vector, too */
        g_assert_cmpuint(s.requests, >=, 2 * m->n);
        g_assert_cmpuint(s.requests, <=, 2 * m->n + 1);
        g_assert_cmpuint(s.fd_slots, ==, 1 + m->n * (m->n + 1) / 2);
    }
}

static void check_no_resize(VFIOMsixModel *m)
{
    VFIOUserIrqStats s = vfio_msix_model_stats(m);

    vfio_msix_assert_clean(m);
    g_assert_cmpuint(s.lost, ==, 0);
    g_assert_cmpuint(s.live_disables, ==, 0);
    g_assert_cmpuint(s.delivered, ==, s.fired);
    g_assert_cmpuint(s.messages, <=, m->n + 2);
}

static void test_grow(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);

    vfio_msix_set_faults(m, (VFIOUserIrqFaults) { .fire_in_window = true });
    vfio_msix_bring_up(m, sc->order);
    vfio_msix_report(m, sc->name);
    if (vfio_msix_is_off(sc) && sc->host != VFIO_USER_HOST_DYNAMIC) {
        check_old_flow(m, sc->order);
    } else {
        check_no_resize(m);
    }
    vfio_msix_model_free(m);
}

/* Vectors of all hosts, when all are unmasked by one write */
static void test_unmask_all(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);
    VFIOUserIrqStats before, after;

    vfio_msix_set_faults(m, (VFIOUserIrqFaults) { .fire_in_window = true });
    vfio_msix_model_enable(m, true);
    for (unsigned v = 0; v < m->n; v++) {
        vfio_msix_model_write_mask(m, v, false);
        /* where something is pending already, one more is not missed */
        if (v % 2) {
            vfio_msix_model_fire(m, v);
        }
    }
    before = vfio_msix_model_stats(m);
    vfio_msix_model_function_mask(m, false);
    after = vfio_msix_model_stats(m);
    vfio_msix_model_fire_live(m, 1);
    vfio_msix_report(m, sc->name);
    if (vfio_msix_is_off(sc)) {
        g_assert_cmpuint(after.live_disables, ==, m->n - 1);
        g_assert_cmpuint(m->violations[VFIO_MSIX_LOST], >, 0);
    } else {
        vfio_msix_assert_clean(m);
        g_assert_cmpuint(after.requests - before.requests, ==, 1);
        g_assert_cmpuint(after.live_disables, ==, 0);
    }
    vfio_msix_model_function_mask(m, true);
    vfio_msix_model_fire(m, 0);
    vfio_msix_model_function_mask(m, false);
    vfio_msix_model_free(m);
}

/* Masking while the device never stops */

static void test_under_fire(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);
    VFIOMsixStorm *storm;

    vfio_msix_set_faults(m, (VFIOUserIrqFaults) { .fire_in_window = true });
    vfio_msix_model_enable(m, false);
    storm = vfio_msix_storm_new(m);
    for (unsigned v = 0; v < m->n; v++) {
        vfio_msix_model_write_mask(m, v, false);
    }
    vfio_msix_mask_under_fire(m, g_test_slow() ? 20000 : 1000);
    vfio_msix_storm_free(storm);
    vfio_msix_model_check(m);
    vfio_msix_model_fire_live(m, 1);
    vfio_msix_report(m, sc->name);
    if (vfio_msix_is_off(sc)) {
        g_assert_cmpuint(vfio_msix_model_stats(m).lost, >, 0);
    } else {
        g_assert_cmpuint(vfio_msix_model_stats(m).lost, ==, 0);
        vfio_msix_assert_clean(m);
    }
    vfio_msix_model_free(m);
}

/* Cycles */

static void test_cycles(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);
    const unsigned cycles = 10;

    vfio_msix_set_faults(m, (VFIOUserIrqFaults) { .fire_in_window = true });
    for (unsigned i = 0; i < cycles; i++) {
        vfio_msix_bring_up(m, i % 2 ? VFIO_MSIX_SPARSE : VFIO_MSIX_ASCENDING);
        vfio_msix_model_disable(m);
        vfio_msix_model_enable(m, i % 3 == 0);
        vfio_msix_model_function_mask(m, false);
        vfio_msix_model_fire_live(m, 1);
        vfio_msix_model_disable(m);
        for (unsigned v = 0; v < m->n; v++) {
            vfio_msix_model_mask(m, v);
        }
    }
    vfio_msix_report(m, sc->name);
    if (vfio_msix_is_off(sc)) {
        g_assert_cmpuint(m->violations[VFIO_MSIX_LOST], >, 0);
    } else {
        vfio_msix_assert_clean(m);
        g_assert_cmpuint(vfio_msix_model_stats(m).live_disables, ==, 0);
        g_assert_cmpuint(vfio_msix_model_stats(m).requests, <=,
                         cycles * (m->n + 6));
    }
    vfio_msix_model_free(m);
}

static void test_reset(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);

    vfio_msix_set_faults(m, (VFIOUserIrqFaults) { .fire_in_window = true });
    for (unsigned i = 0; i < 3; i++) {
        vfio_msix_bring_up(m, VFIO_MSIX_SPARSE);
        vfio_msix_model_mask(m, 1);
        vfio_msix_model_fire(m, 1);
        vfio_msix_model_reset(m);
        g_assert_cmpuint(vfio_msix_model_stats(m).armed, ==, 0);
        g_assert_cmpuint(vfio_msix_model_stats(m).allocated, ==, 0);
    }
    vfio_msix_report(m, sc->name);
    if (vfio_msix_is_off(sc)) {
        g_assert_cmpuint(m->violations[VFIO_MSIX_LOST], >, 0);
    } else {
        vfio_msix_assert_clean(m);
    }
    vfio_msix_model_free(m);
}

/* The memory regions of table and PBA go with the device */
static void test_unplug(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);

    for (unsigned i = 0; i < 3; i++) {
        vfio_msix_bring_up(m, VFIO_MSIX_ASCENDING);
        vfio_msix_unplug(m);
        g_assert_cmpuint(vfio_msix_model_stats(m).armed, ==, 0);
        vfio_msix_plug(m, sc->policy);
    }
    vfio_msix_report(m, sc->name);
    vfio_msix_assert_clean(m);
    vfio_msix_model_free(m);
}

/* Entry 3 alone is unmasked when MSI-X is enabled */
static void test_sparse_enable(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);

    vfio_msix_set_faults(m, (VFIOUserIrqFaults) { .fire_in_window = true });
    vfio_msix_model_write_mask(m, 3, false);
    vfio_msix_model_enable(m, false);
    vfio_msix_model_fire(m, 3);
    vfio_msix_model_fire(m, 5);
    vfio_msix_model_unmask(m, 1);
    vfio_msix_model_fire_live(m, 1);
    vfio_msix_report(m, sc->name);
    vfio_msix_assert_clean(m);
    g_assert_cmpuint(vfio_msix_model_stats(m).armed, ==, 2);
    vfio_msix_model_free(m);
}

/* A host with dynamic allocation: as needed, and no more calls than before */

static uint64_t dynamic_requests(const VFIOMsixScenario *sc, const char *policy)
{
    VFIOMsixModel *m = vfio_msix_start(VFIO_USER_HOST_DYNAMIC, policy, sc->n);
    uint64_t requests;

    vfio_msix_set_faults(m, (VFIOUserIrqFaults) { .fire_in_window = true });
    vfio_msix_model_enable(m, false);
    for (unsigned i = 0; i < m->n; i += 2) {
        VFIOUserIrqStats s;

        vfio_msix_model_unmask(m, vfio_msix_nth_vector(sc->order, i, m->n));
        vfio_msix_model_fire_live(m, 1);
        s = vfio_msix_model_stats(m);
        g_assert_cmpuint(s.armed, ==, i / 2 + 1);
        /* vector 0 came with enabling */
        g_assert_cmpuint(s.allocated, <=, s.armed + 1);
    }
    vfio_msix_model_disable(m);
    vfio_msix_model_enable(m, true);
    vfio_msix_model_function_mask(m, false);
    vfio_msix_model_fire_live(m, 1);
    vfio_msix_assert_clean(m);
    vfio_msix_report(m, policy);
    requests = vfio_msix_model_stats(m).requests;
    vfio_msix_model_free(m);
    return requests;
}

static void test_dynamic(const void *opaque)
{
    g_assert_cmpuint(dynamic_requests(opaque, "auto"), <=,
                     dynamic_requests(opaque, "off"));
}

static void test_slow_host(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);
    VFIOMsixStorm *storm;

    vfio_msix_set_faults(m, (VFIOUserIrqFaults) { .reply_delay_us = 2000 });
    vfio_msix_model_enable(m, false);
    storm = vfio_msix_storm_new(m);
    for (unsigned v = 0; v < m->n; v++) {
        vfio_msix_model_write_mask(m, v, false);
    }
    vfio_msix_storm_free(storm);
    vfio_msix_model_check(m);
    vfio_msix_report(m, sc->name);
    if (vfio_msix_is_off(sc)) {
        /* for as long as the host needs to answer */
        g_assert_cmpuint(vfio_msix_model_stats(m).lost, >, 0);
    } else {
        g_assert_cmpuint(vfio_msix_model_stats(m).lost, ==, 0);
        vfio_msix_assert_clean(m);
    }
    vfio_msix_model_free(m);
}

/* Those that are to be clean */
#define N_WALKS 3

static void test_walk(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);
    unsigned steps = vfio_msix_is_off(sc) ? 2000 :
                     g_test_slow() ? 200000 : 20000;

    vfio_msix_walk(m, &(VFIOMsixWalk) {
        .seed = vfio_msix_walk_seed(),
        .steps = steps,
        .fires = vfio_msix_is_off(sc) ? 0 : vfio_msix_walk_fires(1, N_WALKS),
        .live = true,
    });
    vfio_msix_report(m, sc->name);
    if (vfio_msix_is_off(sc)) {
        g_assert_cmpuint(m->violations[VFIO_MSIX_LOST], >, 0);
    } else {
        vfio_msix_assert_clean(m);
    }
    vfio_msix_model_free(m);
}

static void test_rewrite(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;
    VFIOMsixModel *m = vfio_msix_start(sc->host, sc->policy, sc->n);

    vfio_msix_unmask_in_one(m);
    vfio_msix_rewrite_all_ways(m, false);
    vfio_msix_rewrite_in_parts(m);
    vfio_msix_report(m, sc->name);
    vfio_msix_assert_clean(m);
    vfio_msix_model_free(m);
}

/* The flow of QEMU up to 11.1, if there is such a binary */

static bool have_stock(void)
{
    if (!g_getenv(STOCK_VAR)) {
        g_test_skip(STOCK_VAR " does not name a QEMU without x-msix-prealloc");
        return false;
    }
    return true;
}

static VFIOMsixModel *start_stock(unsigned n)
{
    if (!have_stock()) {
        return NULL;
    }
    return vfio_msix_model_new(&(VFIOMsixModelConfig) {
        .irqs = { .msix = n, .split_upwards = true },
        .binary_var = STOCK_VAR,
    });
}

static void test_stock_grow(void)
{
    VFIOMsixModel *m = start_stock(64);

    if (m) {
        vfio_msix_set_faults(m, (VFIOUserIrqFaults) { .fire_in_window = true });
        vfio_msix_bring_up(m, VFIO_MSIX_ASCENDING);
        vfio_msix_report(m, "stock");
        check_old_flow(m, VFIO_MSIX_ASCENDING);
        vfio_msix_model_free(m);
    }
}

/* Half of a message is sent if it is raised in between */
static void test_stock_rewrite(void)
{
    VFIOMsixModel *m = start_stock(8);

    if (m) {
        vfio_msix_unmask_in_one(m);
        vfio_msix_rewrite_all_ways(m, false);
        vfio_msix_report(m, "stock");
        g_assert_cmpuint(m->violations[VFIO_MSIX_WRONG], >, 0);
        vfio_msix_model_free(m);
    }
}

static void test_stock_pba(void)
{
    VFIOMsixModel *m = start_stock(8);

    if (m) {
        vfio_msix_check_old_pba(m);
        vfio_msix_model_free(m);
    }
}

static void unplug_stock(void)
{
    VFIOMsixModel *m = start_stock(8);

    vfio_msix_bring_up(m, VFIO_MSIX_ASCENDING);
    vfio_msix_unplug(m);
    vfio_msix_model_free(m);
}

static void msi_over_msix_stock(void)
{
    vfio_msi_try_mix(VFIO_MSI_OVER_MSIX, STOCK_VAR);
}

static void msix_over_msi_stock(void)
{
    vfio_msi_try_mix(VFIO_MSIX_OVER_MSI, STOCK_VAR);
}

static void fewer_vectors_stock(void)
{
    vfio_msi_try_mix(VFIO_MSI_FEWER_VECTORS, STOCK_VAR);
}

/* What a QEMU without the fixes dies of, and what it says then */
static const struct {
    const char *name;
    void (*fn)(void);
    const char *message;
} deaths[] = {
    { "unplug", unplug_stock, "*memory_region_del_subregion: Assertion*" },
    { "msi-over-msix", msi_over_msix_stock,
      "*msix_unset_vector_notifiers: Assertion*" },
    { "msix-over-msi", msix_over_msi_stock, "*QEMU death from signal 11*" },
    { "msi-fewer-vectors", fewer_vectors_stock,
      "*msi_prepare_message: Assertion*" },
};

static void test_stock_death(const void *opaque)
{
    unsigned i = GPOINTER_TO_UINT(opaque);

    if (!have_stock()) {
        return;
    }
    if (g_test_subprocess()) {
        deaths[i].fn();
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr(deaths[i].message);
}

/* Plain MSI */

static void test_msi(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;

    vfio_msi_check(sc->policy);
}

static void test_msi_short(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;

    vfio_msi_check_short(sc->policy);
}

static void test_msi_mix(const void *opaque)
{
    const VFIOMsixScenario *sc = opaque;

    vfio_msi_check_mix(sc->policy);
}

/* Registration */

static const char *const host_names[] = {
    [VFIO_USER_HOST_FIXED] = "fixed",
    [VFIO_USER_HOST_DYNAMIC] = "dynamic",
    [VFIO_USER_HOST_NO_CHECK] = "no-check",
};

/* Each test with the policies to run it with, for each host */
static const struct {
    const char *name;
    void (*fn)(const void *scenario);
    unsigned n;
    const char *policies[ARRAY_SIZE(host_names)];
    VFIOMsixOrder order;
} tests[] = {
    { "grow/4", test_grow, 4, { "auto off", "", "" } },
    { "grow/64", test_grow, 64, { "auto off", "auto on off", "auto off" } },
    { "grow/2048", test_grow, 2048, { "auto off", "", "" } },
    { "grow/64-sparse", test_grow, 64, { "auto off", "auto", "auto" },
      VFIO_MSIX_SPARSE },
    { "grow/64-descending", test_grow, 64, { "auto off", "auto", "auto" },
      VFIO_MSIX_DESCENDING },
    { "unmask-all", test_unmask_all, 64, { "auto off", "auto", "auto off" } },
    { "under-fire", test_under_fire, 16, { "auto off", "auto", "auto" } },
    { "slow-host", test_slow_host, 8, { "auto off", "auto", "auto" } },
    { "refusal", vfio_msix_test_refusal, 64,
      { "auto off", "auto off", "auto" } },
    { "arm-refusal", vfio_msix_test_arm_refusal, 64,
      { "auto", "auto", "auto" } },
    { "fail-each", vfio_msix_test_fail_each, 8,
      { "auto off", "auto", "auto" } },
    { "short-then-growth", vfio_msix_test_short_then_growth, 64,
      { "auto off", "", "auto off" } },
    { "cycles", test_cycles, 16, { "auto off", "auto", "auto" } },
    { "reset", test_reset, 16, { "auto off", "auto", "auto" } },
    { "unplug", test_unplug, 8, { "auto", "auto", "auto" } },
    { "sparse-enable", test_sparse_enable, 8,
      { "auto on off", "auto on off", "auto on off" } },
    { "dynamic", test_dynamic, 64, { "", "auto", "" } },
    { "rewrite", test_rewrite, 8, { "auto off", "auto", "auto" } },
    { "pba", vfio_msix_test_pba, 64, { "auto off", "auto", "auto" } },
    { "walk", test_walk, 48, { "auto off", "auto", "auto" } },
    { "msi", test_msi, 0, { "auto off", "", "" } },
    { "msi-short", test_msi_short, 0, { "auto off", "", "" } },
    { "msi-mix", test_msi_mix, 0, { "auto off", "", "" } },
};

static void add(unsigned i, VFIOUserHost host, const char *policy)
{
    VFIOMsixScenario sc = {
        .name = g_strdup_printf("%s %s %s", tests[i].name, host_names[host],
                                policy),
        .host = host,
        .policy = g_strdup(policy),
        .n = tests[i].n,
        .order = tests[i].order,
    };
    g_autofree char *path = g_strdup_printf("vfio-msix-resize/%s/%s/%s",
                                            tests[i].name, host_names[host],
                                            policy);

    qtest_add_data_func(path, g_memdup2(&sc, sizeof(sc)), tests[i].fn);
}

static void add_all(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        for (unsigned host = 0; host < ARRAY_SIZE(host_names); host++) {
            g_auto(GStrv) policies = g_strsplit(tests[i].policies[host], " ",
                                                0);

            for (char **policy = policies; *policy; policy++) {
                add(i, host, *policy);
            }
        }
    }
    qtest_add_func("vfio-msix-resize/stock/grow", test_stock_grow);
    qtest_add_func("vfio-msix-resize/stock/rewrite", test_stock_rewrite);
    qtest_add_func("vfio-msix-resize/stock/pba", test_stock_pba);
    for (unsigned i = 0; i < ARRAY_SIZE(deaths); i++) {
        g_autofree char *path = g_strdup_printf("vfio-msix-resize/stock/%s",
                                                deaths[i].name);

        qtest_add_data_func(path, GUINT_TO_POINTER(i), test_stock_death);
    }
    vfio_user_faults_add(STOCK_VAR);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vfio_msix_raise_fd_limit();
    if (!qtest_has_device("vfio-user-pci")) {
        g_test_message("no vfio-user-pci in this QEMU");
        return g_test_run();
    }
    add_all();
    return g_test_run();
}
