/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO interrupts: what happens to each vector, for QOM and the monitor
 *
 *   x-irq-vectors  a list with an element for each vector that the guest has
 *                  unmasked since it enabled MSI or MSI-X
 *   info pic       the same, and what the host has granted
 *   info irq       events that QEMU has delivered itself
 *
 * Events that KVM delivers are not seen here, and not whether they were posted:
 * "postable" is a vector with an irqfd on a host that can.
 */

#include "qemu/osdep.h"
#include "hw/intc/intc.h"
#include "hw/pci/msi.h"
#include "hw/pci/msix.h"
#include "hw/vfio/irq-posted.h"
#include "hw/vfio/pci.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "irq-stats.h"

typedef struct VFIOIRQState {
    bool is_masked;
    bool is_pending;
    bool is_armed;
    bool is_postable;
    const char *path;
} VFIOIRQState;

/* None of it changes while KVM is in use, so it is looked at once */
static VFIOIRQPostedState vfio_irq_host_posts(void)
{
    static VFIOIRQPosted probed;

    if (!probed.conditions) {
        vfio_irq_posted_probe("", &probed);
    }
    return probed.state;
}

/* A vfio-user server signals the eventfd itself: the IOMMU has no part in it */
static VFIOIRQPostedState vfio_irq_device_posts(const VFIOIRQDelivery *d)
{
    return VFIO_PCI_DEVICE(d->pdev)->vbasedev.proxy ? VFIO_IRQ_POSTED_NO
                                                    : vfio_irq_host_posts();
}

static VFIOIRQState vfio_irq_state(VFIOIRQDelivery *d, uint32_t nr)
{
    const VFIOIRQLine *line = &d->line[nr];

    return (VFIOIRQState) {
        .is_masked = d->is_msix ? msix_is_masked(d->pdev, nr)
                                : msi_is_masked(d->pdev, nr),
        .is_pending = d->is_msix && msix_is_pending(d->pdev, nr),
        .is_armed = d->vectors->vector[nr].armed != -1,
        .is_postable = line->listener && line->listener->in_kernel &&
                       vfio_irq_device_posts(d) == VFIO_IRQ_POSTED_YES,
        .path = line->listener ? line->listener->name : "none",
    };
}

static bool vfio_irq_visit_line(Visitor *v, VFIOIRQDelivery *d, uint32_t nr,
                                Error **errp)
{
    VFIOIRQState state = vfio_irq_state(d, nr);
    VFIOIRQLine line = d->line[nr];
    g_autofree char *path = g_strdup(state.path);
    bool ok;

    if (!visit_start_struct(v, NULL, NULL, 0, errp)) {
        return false;
    }
    ok = visit_type_uint32(v, "vector", &nr, errp) &&
         visit_type_str(v, "path", &path, errp) &&
         visit_type_bool(v, "is-masked", &state.is_masked, errp) &&
         visit_type_bool(v, "is-pending", &state.is_pending, errp) &&
         visit_type_bool(v, "is-armed", &state.is_armed, errp) &&
         visit_type_bool(v, "is-postable", &state.is_postable, errp) &&
         visit_type_bool(v, "is-settling", &line.is_settling, errp) &&
         visit_type_bool(v, "is-unroutable", &line.is_unroutable, errp) &&
         visit_type_uint64(v, "userspace-events", &d->events[nr], errp) &&
         visit_type_uint64(v, "attaches", &line.stats.attaches, errp) &&
         visit_type_uint64(v, "detaches", &line.stats.detaches, errp) &&
         visit_check_struct(v, errp);
    visit_end_struct(v, NULL);
    return ok;
}

static void vfio_irq_get_vectors(Object *obj, Visitor *v, const char *name,
                                 void *opaque, Error **errp)
{
    VFIOIRQDelivery *d = &VFIO_PCI_DEVICE(obj)->irq_delivery;
    bool ok = true;

    if (!visit_start_list(v, name, NULL, 0, errp)) {
        return;
    }
    for (uint32_t nr = 0; ok && nr < d->nr_lines; nr++) {
        if (d->line[nr].used) {
            ok = vfio_irq_visit_line(v, d, nr, errp);
        }
    }
    if (ok) {
        visit_check_list(v, errp);
    }
    visit_end_list(v, NULL);
}

static bool vfio_irq_get_statistics(InterruptStatsProvider *obj,
                                    uint64_t **irq_counts,
                                    unsigned int *nb_irqs)
{
    VFIOIRQDelivery *d = &VFIO_PCI_DEVICE(obj)->irq_delivery;

    *irq_counts = d->events;
    *nb_irqs = d->nr_lines;
    return d->nr_lines > 0;
}

static void vfio_irq_print_line(GString *buf, VFIOIRQDelivery *d, uint32_t nr)
{
    VFIOIRQState state = vfio_irq_state(d, nr);
    const VFIOIRQLine *line = &d->line[nr];

    g_string_append_printf(buf, "  vector %" PRIu32 ": %s, userspace events %"
                           PRIu64 " attaches %" PRIu64 " detaches %" PRIu64
                           "%s%s%s%s%s%s\n", nr, state.path, d->events[nr],
                           line->stats.attaches, line->stats.detaches,
                           state.is_masked ? " [masked]" : "",
                           state.is_pending ? " [pending]" : "",
                           state.is_armed ? "" : " [not armed]",
                           state.is_postable ? " [postable]" : "",
                           line->is_settling ? " [settling]" : "",
                           line->is_unroutable ? " [no route]" : "");
}

static void vfio_irq_print_info(InterruptStatsProvider *obj, GString *buf)
{
    VFIOPCIDevice *vdev = VFIO_PCI_DEVICE(obj);
    VFIOIRQDelivery *d = &vdev->irq_delivery;
    const VFIOIRQVectors *v = &vdev->irq_vectors;

    g_string_append_printf(buf, "%s %s:", object_get_typename(OBJECT(obj)),
                           vdev->vbasedev.name);
    if (!d->nr_lines) {
        g_string_append(buf, " MSI and MSI-X are disabled\n");
        return;
    }
    g_string_append_printf(buf, " %s, %u of %u vectors %s, host can post: %s\n"
                           "  SET_IRQS %" PRIu64 " resizes %" PRIu64
                           " replays %" PRIu64 " refusals %" PRIu64 "\n",
                           d->is_msix ? "MSI-X" : "MSI", v->capacity,
                           v->table_size,
                           v->noresize ? "allocated" : "on demand",
                           vfio_irq_posted_name(vfio_irq_device_posts(d)),
                           v->stats.requests, v->stats.resizes,
                           v->stats.replays, v->stats.refusals);
    for (uint32_t nr = 0; nr < d->nr_lines; nr++) {
        if (d->line[nr].used) {
            vfio_irq_print_line(buf, d, nr);
        }
    }
}

void vfio_irq_stats_class_init(ObjectClass *klass)
{
    InterruptStatsProviderClass *ic = INTERRUPT_STATS_PROVIDER_CLASS(klass);

    ic->get_statistics = vfio_irq_get_statistics;
    ic->print_info = vfio_irq_print_info;
    object_class_property_add(klass, "x-irq-vectors", "list",
                              vfio_irq_get_vectors, NULL, NULL, NULL);
    object_class_property_set_description(klass, "x-irq-vectors",
                                          "how each MSI or MSI-X vector in use "
                                          "is delivered");
}
