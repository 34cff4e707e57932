/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the scenarios of vfio-msix-resize-test and vfio-irq-kvm-test have in
 * common.
 */

#include "qemu/osdep.h"
#include <sys/resource.h>
#include <linux/vfio.h>
#include "qapi/error.h"
#include "qemu/atomic.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "vfio-msix-scenario.h"

VFIOMsixModel *vfio_msix_start(VFIOUserHost host, const char *policy,
                               unsigned n)
{
    return vfio_msix_model_new(&(VFIOMsixModelConfig) {
        .irqs = { .host = host, .msix = n }, .policy = policy,
    });
}

uint64_t vfio_msix_raise_fd_limit(void)
{
    struct rlimit limit;

    g_assert_cmpint(getrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    limit.rlim_cur = limit.rlim_max;
    g_assert_cmpint(setrlimit(RLIMIT_NOFILE, &limit), ==, 0);
    return limit.rlim_cur;
}

void vfio_msix_set_faults(VFIOMsixModel *m, VFIOUserIrqFaults faults)
{
    vfio_user_irqs_set_faults(m->irqs, &faults);
}

bool vfio_msix_is_off(const VFIOMsixScenario *sc)
{
    return g_str_equal(sc->policy, "off");
}

void vfio_msix_assert_clean(VFIOMsixModel *m)
{
    for (unsigned i = 0; i < VFIO_MSIX_VIOLATIONS; i++) {
        g_assert_cmpuint(m->violations[i], ==, 0);
    }
}

void vfio_msix_report(VFIOMsixModel *m, const char *what)
{
    VFIOUserIrqStats s = vfio_msix_model_stats(m);

    g_test_message("%s: fired %" PRIu64 ", delivered %" PRIu64
                   ", pended %" PRIu64 ", lost %" PRIu64 ", disables %" PRIu64
                   " (%" PRIu64 " live, off for %" PRIu64 " us), requests %"
                   PRIu64 " in %" PRIu64 " messages, fd slots %" PRIu64
                   ", refused %" PRIu64 ", violations %u", what, s.fired,
                   s.delivered, s.pended, s.lost, s.disables, s.live_disables,
                   s.gap_ns / 1000, s.requests, s.messages, s.fd_slots,
                   s.refused, vfio_msix_model_total(m));
}

unsigned vfio_msix_nth_vector(VFIOMsixOrder order, unsigned i, unsigned n)
{
    switch (order) {
    case VFIO_MSIX_DESCENDING:
        return n - 1 - i;
    case VFIO_MSIX_SPARSE:
        /* odd step, n is a power of two: visits each vector once */
        return i * 5 % n;
    default:
        return i;
    }
}

void vfio_msix_bring_up(VFIOMsixModel *m, VFIOMsixOrder order)
{
    vfio_msix_model_enable(m, false);
    for (unsigned i = 0; i < m->n; i++) {
        vfio_msix_model_unmask(m, vfio_msix_nth_vector(order, i, m->n));
        vfio_msix_model_fire_live(m, m->n > 64 ? m->n / 8 : 1);
    }
}

unsigned vfio_msix_working(VFIOMsixModel *m)
{
    unsigned n = 0;

    vfio_msix_model_fire_live(m, 1);
    for (unsigned v = 0; v < m->n; v++) {
        n += vfio_msix_model_unmasked(m, v) && m->seen[v].armed &&
             !m->entry[v].must;
    }
    return n;
}

void vfio_msix_unmask_in_one(VFIOMsixModel *m)
{
    for (unsigned v = 0; v < m->n; v++) {
        vfio_msix_model_write_mask(m, v, false);
    }
    vfio_msix_model_enable(m, false);
}

void vfio_msix_unplug(VFIOMsixModel *m)
{
    g_autofree char *id = g_strdup_printf("vfio%u", VFIO_MSIX_SLOT);

    qpci_unplug_acpi_device_test(m->qts, id, VFIO_MSIX_SLOT);
}

void vfio_msix_plug(VFIOMsixModel *m, const char *policy)
{
    g_autofree char *arg = vfio_msix_device_arg(m->server, VFIO_MSIX_SLOT,
                                                policy);
    QDict *args = qobject_to(QDict, qobject_from_json(arg, &error_abort));

    qdict_del(args, "driver");
    qtest_qmp_device_add_qdict(m->qts, "vfio-user-pci", args);
    qobject_unref(args);
    vfio_msix_model_start_over(m);
}

/* A device that never stops */

struct VFIOMsixStorm {
    VFIOMsixModel *m;
    GThread *thread;
    bool stop;
};

static void storm_round(VFIOMsixModel *m)
{
    while (qatomic_read(&m->flushing)) {
        g_thread_yield();
    }
    g_mutex_lock(&m->firing);
    for (unsigned v = 0; v < m->n; v++) {
        vfio_user_irqs_fire(m->irqs, VFIO_PCI_MSIX_IRQ_INDEX, v);
    }
    g_mutex_unlock(&m->firing);
}

static gpointer storm_thread(gpointer opaque)
{
    VFIOMsixStorm *storm = opaque;

    while (!qatomic_read(&storm->stop)) {
        storm_round(storm->m);
        g_usleep(20);
    }
    return NULL;
}

VFIOMsixStorm *vfio_msix_storm_new(VFIOMsixModel *m)
{
    VFIOMsixStorm *storm = g_new0(VFIOMsixStorm, 1);

    storm->m = m;
    storm->thread = g_thread_new("storm", storm_thread, storm);
    return storm;
}

void vfio_msix_storm_free(VFIOMsixStorm *storm)
{
    qatomic_set(&storm->stop, true);
    g_thread_join(storm->thread);
    g_free(storm);
}

void vfio_msix_mask_under_fire(VFIOMsixModel *m, unsigned rounds)
{
    /* the thread that fires may have got less time than this one */
    for (unsigned i = 0;
         i < rounds || vfio_msix_model_stats(m).fired < rounds; i++) {
        unsigned v = i * 5 % m->n;

        vfio_msix_model_write_mask(m, v, true);
        g_assert_true(vfio_msix_model_quiet(m, v));
        vfio_msix_model_write_mask(m, v, false);
    }
}
