/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QTest for interrupts of assigned devices under KVM: irqfds, routes and the
 * local APICs take part, and a guest counts what arrives
 *
 * The device is the in-process vfio-user server of vfio-msix-resize-test. Where
 * the old flow has a defect the test also runs with the QEMU that
 * QTEST_QEMU_STOCK_BINARY names, and has to find it there.
 *
 * QTEST_VFIO_FIRES is the number of interrupts in all random walks together,
 * QTEST_VFIO_SEED repeats a walk.
 */

#include "qemu/osdep.h"
#include "qemu/host-utils.h"
#include "vfio-irq-kvm-scenario.h"
#include "vfio-msix-walk.h"

/* A real loss costs this, once per step; a late delivery much less */
#define PATIENCE_US (5 * G_USEC_PER_SEC)
/* Where losses are expected, and counted by the host as well */
#define STOCK_PATIENCE_US 20000

#define FIRES 100000
#define STOCK_FIRES 5000

/* Common to all scenarios */

VFIOMsixModel *vfio_irq_kvm_model(const VFIOIrqKvmScenario *sc, VFIOIrqKvm *k)
{
    k->cpus = sc->cpus;
    k->remap = sc->remap;
    /* elsewhere the messages of a vector differ in one part only */
    k->long_hold &= sc->cpus > 1 && !sc->remap && !sc->stock;
    return vfio_msix_model_new(&(VFIOMsixModelConfig) {
        .irqs = {
            .host = sc->host, .msix = sc->n, .split_upwards = sc->stock,
        },
        .binary_var = sc->stock ? VFIO_IRQ_STOCK_VAR : NULL,
        .machine = &vfio_irq_kvm_machine,
        .opaque = k,
        .patience_us = sc->stock ? STOCK_PATIENCE_US : PATIENCE_US,
    });
}

void vfio_irq_kvm_report(const VFIOIrqKvmScenario *sc, VFIOMsixModel *m)
{
    vfio_msix_report(m, sc->name);
    g_test_message("%s: lost %u, while masked %u, spurious %u, wrong message "
                   "%u, KVM_SET_GSI_ROUTING %u", sc->name,
                   m->violations[VFIO_MSIX_LOST],
                   m->violations[VFIO_MSIX_WHILE_MASKED],
                   m->violations[VFIO_MSIX_SPURIOUS],
                   m->violations[VFIO_MSIX_WRONG],
                   vfio_irq_kvm_commits(m->opaque));
}

bool vfio_irq_kvm_pba(VFIOMsixModel *m, unsigned v)
{
    uint32_t word = qpci_io_readl(m->dev, m->bar,
                                  VFIO_USER_SERVER_PBA_OFFSET + v / 32 * 4);

    return word >> v % 32 & 1;
}

/* Bring-up */

/* A host that cannot resize: the old flow takes all down for each vector */
static void test_grow(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;
    VFIOIrqKvm k = { 0 };
    VFIOMsixModel *m = vfio_irq_kvm_model(sc, &k);

    vfio_msix_set_faults(m, (VFIOUserIrqFaults) { .fire_in_window = true });
    vfio_msix_bring_up(m, VFIO_MSIX_ASCENDING);
    vfio_msix_model_rest(m, true);
    vfio_msix_model_fire_live(m, 1);
    vfio_irq_kvm_report(sc, m);
    if (sc->stock) {
        g_assert_cmpuint(m->violations[VFIO_MSIX_LOST], >, 0);
        g_assert_cmpuint(m->violations[VFIO_MSIX_LOST], ==,
                         vfio_msix_model_stats(m).lost);
    } else {
        vfio_msix_assert_clean(m);
        g_assert_cmpuint(vfio_msix_model_stats(m).lost, ==, 0);
    }
    vfio_msix_model_free(m);
}

/* Many vectors at once, by one write or by many: routes are for all of them */
static void bring_up_in_burst(const VFIOIrqKvmScenario *sc, bool one_write)
{
    VFIOIrqKvm k = { 0 };
    VFIOMsixModel *m = vfio_irq_kvm_model(sc, &k);
    unsigned commits = vfio_irq_kvm_commits(&k);

    /* counting needs the trace event: the board's own routes are seen */
    g_assert_cmpuint(commits, >, 0);
    vfio_msix_model_enable(m, one_write);
    for (unsigned v = 0; v < m->n; v++) {
        vfio_msix_model_write_mask(m, v, false);
    }
    vfio_msix_model_function_mask(m, false);
    vfio_msix_model_fire_live(m, 1);
    vfio_msix_model_rest(m, true);
    commits = vfio_irq_kvm_commits(&k) - commits;
    vfio_msix_model_fire_live(m, 1);
    vfio_irq_kvm_report(sc, m);
    g_test_message("%u KVM_SET_GSI_ROUTING for %u vectors, %s", commits, m->n,
                   one_write ? "function mask" : "one by one");
    if (sc->stock) {
        g_assert_cmpuint(commits, >=, m->n);
    } else {
        g_assert_cmpuint(commits, <=, 16);
        vfio_msix_assert_clean(m);
    }
    vfio_msix_model_free(m);
}

static void test_burst(const void *opaque)
{
    bring_up_in_burst(opaque, false);
    bring_up_in_burst(opaque, true);
}

/* Masking */

/* One cycle of a vector with an interrupt in each half of it */
static void cycle(VFIOMsixModel *m, unsigned v)
{
    vfio_msix_model_mask(m, v);
    vfio_msix_model_fire(m, v);
    vfio_msix_model_unmask(m, v);
    vfio_msix_model_fire(m, v);
}

static void test_mask(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;
    VFIOIrqKvm k = { 0 };
    VFIOMsixModel *m = vfio_irq_kvm_model(sc, &k);
    const unsigned cycles = 100;
    uint64_t requests;

    vfio_msix_unmask_in_one(m);
    requests = vfio_msix_model_stats(m).requests;
    for (unsigned i = 0; i < cycles; i++) {
        /* from both paths */
        vfio_msix_model_rest(m, i % 10 == 0);
        cycle(m, i % m->n);
    }
    requests = vfio_msix_model_stats(m).requests - requests;
    vfio_irq_kvm_report(sc, m);
    g_test_message("%" PRIu64 " SET_IRQS in %u mask and unmask cycles",
                   requests, cycles);
    vfio_msix_assert_clean(m);
    g_assert_cmpuint(requests, ==, sc->stock ? 2 * cycles : 0);
    vfio_msix_model_free(m);
}

static void test_under_fire(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;
    VFIOIrqKvm k = { 0 };
    VFIOMsixModel *m = vfio_irq_kvm_model(sc, &k);
    VFIOMsixStorm *storm;

    vfio_msix_set_faults(m, (VFIOUserIrqFaults) { .fire_in_window = true });
    vfio_msix_model_enable(m, false);
    storm = vfio_msix_storm_new(m);
    for (unsigned v = 0; v < m->n; v++) {
        vfio_msix_model_write_mask(m, v, false);
    }
    for (unsigned i = 0; i < 10; i++) {
        m->machine->rest(m);
        vfio_msix_mask_under_fire(m, g_test_slow() ? 2000 : 100);
    }
    vfio_msix_storm_free(storm);
    vfio_msix_model_check(m);
    vfio_msix_model_fire_live(m, 1);
    vfio_irq_kvm_report(sc, m);
    if (sc->stock) {
        g_assert_cmpuint(vfio_msix_model_stats(m).lost, >, 0);
    } else {
        g_assert_cmpuint(vfio_msix_model_stats(m).lost, ==, 0);
        vfio_msix_assert_clean(m);
    }
    vfio_msix_model_free(m);
}

/* What is raised under a mask is in the PBA, and comes after the unmask */

static unsigned raise_and_count_pending(VFIOMsixModel *m)
{
    unsigned n = 0;

    for (unsigned v = 0; v < m->n; v++) {
        g_assert_false(vfio_irq_kvm_pba(m, v));
        vfio_msix_model_fire(m, v);
        vfio_msix_model_fire(m, v);
        n += vfio_irq_kvm_pba(m, v);
    }
    return n;
}

static unsigned count_pending(VFIOMsixModel *m)
{
    unsigned n = 0;

    for (unsigned v = 0; v < m->n; v++) {
        n += vfio_irq_kvm_pba(m, v);
    }
    return n;
}

/* Returns the number of vectors that were shown as pending under masks */
static unsigned pend_all(VFIOMsixModel *m, bool function)
{
    unsigned shown;

    if (function) {
        vfio_msix_model_function_mask(m, true);
    }
    for (unsigned v = 0; v < m->n && !function; v++) {
        vfio_msix_model_mask(m, v);
    }
    shown = raise_and_count_pending(m);
    if (function) {
        vfio_msix_model_function_mask(m, false);
    }
    for (unsigned v = 0; v < m->n && !function; v++) {
        vfio_msix_model_unmask(m, v);
    }
    return shown;
}

static void test_pending(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;
    VFIOIrqKvm k = { 0 };
    VFIOMsixModel *m = vfio_irq_kvm_model(sc, &k);
    unsigned shown = 0, left = 0;

    vfio_msix_unmask_in_one(m);
    for (unsigned i = 0; i < 4; i++) {
        vfio_msix_model_rest(m, i / 2);
        shown += pend_all(m, i % 2);
        left += count_pending(m);
    }
    vfio_irq_kvm_report(sc, m);
    g_test_message("%u of %u pending vectors shown, %u still when delivered",
                   shown, 4 * m->n, left);
    vfio_msix_assert_clean(m);
    g_assert_cmpuint(left, ==, 0);
    if (sc->stock) {
        /* of a vfio-user device it shows the server's own, W11 */
        g_assert_cmpuint(shown, <, 4 * m->n);
    } else {
        g_assert_cmpuint(shown, ==, 4 * m->n);
    }
    vfio_msix_model_free(m);
}

/* Random walks */

static uint64_t fires;

static void test_walk(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;
    VFIOIrqKvm k = { .long_hold = true };
    VFIOMsixModel *m = vfio_irq_kvm_model(sc, &k);

    vfio_msix_walk(m, &(VFIOMsixWalk) {
        .seed = vfio_msix_walk_seed(),
        .fires = sc->stock ? STOCK_FIRES : fires,
        .live = true,
    });
    vfio_irq_kvm_report(sc, m);
    if (sc->stock) {
        g_assert_cmpuint(vfio_msix_model_total(m), >, 0);
    } else {
        vfio_msix_assert_clean(m);
    }
    vfio_msix_model_free(m);
}

/* Registration */

typedef enum Variant {
    ONE_CPU = 1,
    TWO_CPUS = 2,
    REMAP = 4,              /* with two CPUs */
    STOCK = 8,              /* with two CPUs: the old flow has the defect */
    WALK = 16,              /* named after its length */
} Variant;

static const struct {
    const char *name;
    void (*fn)(const void *scenario);
    VFIOUserHost host;
    unsigned n;
    unsigned variants;
} tests[] = {
    { "grow", test_grow, VFIO_USER_HOST_FIXED, 64,
      ONE_CPU | TWO_CPUS | REMAP | STOCK },
    { "grow-dynamic", test_grow, VFIO_USER_HOST_DYNAMIC, 64, TWO_CPUS },
    { "burst", test_burst, VFIO_USER_HOST_FIXED, 256,
      TWO_CPUS | REMAP | STOCK },
    { "mask", test_mask, VFIO_USER_HOST_DYNAMIC, 4,
      ONE_CPU | TWO_CPUS | REMAP | STOCK },
    { "under-fire", test_under_fire, VFIO_USER_HOST_FIXED, 16,
      ONE_CPU | TWO_CPUS | REMAP | STOCK },
    { "under-fire-dynamic", test_under_fire, VFIO_USER_HOST_DYNAMIC, 16,
      TWO_CPUS },
    { "pending", test_pending, VFIO_USER_HOST_DYNAMIC, 40,
      ONE_CPU | TWO_CPUS | STOCK },
    { "rewrite", vfio_irq_kvm_test_rewrite, VFIO_USER_HOST_DYNAMIC, 8,
      ONE_CPU | TWO_CPUS | REMAP | STOCK },
    { "rewrite-under-fire", vfio_irq_kvm_test_rewrite_under_fire,
      VFIO_USER_HOST_DYNAMIC, 8, TWO_CPUS | REMAP | STOCK },
    { "move-irte", vfio_irq_kvm_test_move_irte, VFIO_USER_HOST_DYNAMIC, 8,
      REMAP },
    { "late-irte", vfio_irq_kvm_test_late_irte, VFIO_USER_HOST_DYNAMIC, 8,
      REMAP | STOCK },
    { "many-routes", vfio_irq_kvm_test_many_routes, VFIO_USER_HOST_DYNAMIC,
      VFIO_USER_MSIX_MAX, TWO_CPUS },
    { "rejected", vfio_irq_kvm_test_rejected, VFIO_USER_HOST_DYNAMIC, 4,
      TWO_CPUS | STOCK },
    { "rejected-ivshmem", vfio_irq_kvm_test_ivshmem, VFIO_USER_HOST_DYNAMIC, 1,
      REMAP | STOCK },
    { "reset", vfio_irq_kvm_test_reset, VFIO_USER_HOST_FIXED, 16,
      TWO_CPUS | REMAP },
    { "unplug", vfio_irq_kvm_test_unplug, VFIO_USER_HOST_FIXED,
      VFIO_IRQ_GUEST_COUNT, TWO_CPUS },
    { "msi", vfio_irq_kvm_test_msi, VFIO_USER_HOST_FIXED, 0,
      ONE_CPU | TWO_CPUS },
    { "walk", test_walk, VFIO_USER_HOST_FIXED, 48,
      ONE_CPU | TWO_CPUS | REMAP | STOCK | WALK },
    { "walk-dynamic", test_walk, VFIO_USER_HOST_DYNAMIC, 48,
      TWO_CPUS | STOCK | WALK },
};

/* Why nothing can run with so many CPUs, NULL where it can */
static const char *why_not[VFIO_IRQ_GUEST_CPUS + 1];

typedef struct Test {
    VFIOIrqKvmScenario scenario;
    void (*fn)(const void *scenario);
} Test;

static void run(const void *opaque)
{
    const Test *t = opaque;

    if (why_not[t->scenario.cpus]) {
        g_test_skip(why_not[t->scenario.cpus]);
    } else if (t->scenario.stock && !g_getenv(VFIO_IRQ_STOCK_VAR)) {
        g_test_skip(VFIO_IRQ_STOCK_VAR " does not name a QEMU with the old "
                    "flow");
    } else {
        t->fn(&t->scenario);
    }
}

static void add(unsigned i, Variant variant, const char *name)
{
    Test t = {
        .scenario = {
            .name = g_strdup_printf("%s %s", tests[i].name, name),
            .host = tests[i].host,
            .n = tests[i].n,
            .cpus = variant == ONE_CPU ? 1 : 2,
            /* the only defect that needs remapping to show */
            .remap = variant == REMAP ||
                     tests[i].fn == vfio_irq_kvm_test_late_irte,
            .stock = variant == STOCK,
        },
        .fn = tests[i].fn,
    };
    uint64_t length = variant == STOCK ? STOCK_FIRES : fires;
    g_autofree char *suffix = tests[i].variants & WALK ?
        g_strdup_printf("/%" PRIu64 "-fires", length) : g_strdup("");
    g_autofree char *path = g_strdup_printf("vfio-irq-kvm/%s/%s%s",
                                            tests[i].name, name, suffix);

    qtest_add_data_func(path, g_memdup2(&t, sizeof(t)), run);
}

static void add_all(void)
{
    static const struct {
        Variant variant;
        const char *name;
    } variants[] = {
        { ONE_CPU, "1-cpu" }, { TWO_CPUS, "2-cpus" }, { REMAP, "remap" },
        { STOCK, "stock" },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        for (unsigned j = 0; j < ARRAY_SIZE(variants); j++) {
            if (tests[i].variants & variants[j].variant) {
                add(i, variants[j].variant, variants[j].name);
            }
        }
    }
}

/* Of which each has its share of the interrupts */
static unsigned count_walks(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        if (tests[i].variants & WALK) {
            n += ctpop32(tests[i].variants & (ONE_CPU | TWO_CPUS | REMAP));
        }
    }
    return n;
}

/* Try it: that there is a /dev/kvm does not say what it can do */
static const char *probe(unsigned cpus)
{
    VFIOUserServer *server = vfio_user_server_new(&(VFIOUserIrqsConfig) {
        .msix = 1,
    });
    VFIOIrqKvm k = { .cpus = cpus };
    unsigned alive = vfio_irq_kvm_start(&k, &server, 1, NULL);
    bool kvm = vfio_irq_kvm_accel(&k);

    vfio_irq_kvm_stop(&k);
    vfio_user_server_free(server);
    if (!kvm) {
        return "QEMU cannot use KVM here";
    }
    if (!alive) {
        return "this KVM does not run real-mode code";
    }
    return alive < cpus ? "this KVM does not start a second CPU" : NULL;
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    vfio_msix_raise_fd_limit();
    if (!qtest_has_device("vfio-user-pci")) {
        g_test_message("no vfio-user-pci in this QEMU");
        return g_test_run();
    }
    for (unsigned cpus = 1; cpus <= VFIO_IRQ_GUEST_CPUS; cpus++) {
        why_not[cpus] = access("/dev/kvm", R_OK | W_OK) ?
                        "no access to /dev/kvm" : probe(cpus);
    }
    fires = vfio_msix_walk_fires(FIRES, count_walks());
    add_all();
    return g_test_run();
}
