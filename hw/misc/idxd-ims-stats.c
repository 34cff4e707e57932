/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: what happened to interrupts, for QOM and "info irq"
 *
 *   x-msix-counters, x-ims-counters   a list with an element for each entry
 *                                     that was ever used or has a handle
 *   x-revoke-handles                  write "all" or a handle to revoke it
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "qapi/visitor.h"
#include "hw/intc/intc.h"
#include "idxd-ims.h"

static bool idxd_visit_entry(Visitor *v, PCIIMS *ims, uint32_t entry,
                             uint16_t handle, Error **errp)
{
    PCIIMSCounters c = *pci_ims_counters(ims, entry);
    bool masked = pci_ims_is_masked(ims, entry);
    bool is_pending = pci_ims_is_pending(ims, entry);
    bool ok;

    if (!visit_start_struct(v, NULL, NULL, 0, errp)) {
        return false;
    }
    ok = visit_type_uint32(v, "entry", &entry, errp) &&
         visit_type_uint16(v, "handle", &handle, errp) &&
         visit_type_bool(v, "is-masked", &masked, errp) &&
         visit_type_bool(v, "is-pending", &is_pending, errp) &&
         visit_type_uint64(v, "raised", &c.raised, errp) &&
         visit_type_uint64(v, "sent", &c.sent, errp) &&
         visit_type_uint64(v, "pending", &c.pending, errp) &&
         visit_type_uint64(v, "ignored", &c.ignored, errp) &&
         visit_type_uint64(v, "dropped", &c.dropped, errp) &&
         visit_type_uint64(v, "refused", &c.refused, errp) &&
         visit_check_struct(v, errp);
    visit_end_struct(v, NULL);
    return ok;
}

static void idxd_get_counters(IDXDState *s, Visitor *v, const char *name,
                              PCIIMS *ims, const uint16_t *handles,
                              Error **errp)
{
    bool ok = true;
    uint32_t n;

    if (!visit_start_list(v, name, NULL, 0, errp)) {
        return;
    }
    for (n = 0; ok && n < ims->nr_entries; n++) {
        if (pci_ims_counters(ims, n)->raised || handles[n]) {
            ok = idxd_visit_entry(v, ims, n, handles[n], errp);
        }
    }
    if (ok) {
        visit_check_list(v, errp);
    }
    visit_end_list(v, NULL);
}

static void idxd_get_msix_counters(Object *obj, Visitor *v, const char *name,
                                   void *opaque, Error **errp)
{
    IDXDState *s = IDXD_IMS(obj);

    idxd_get_counters(s, v, name, &s->msix, s->handles.of_entry, errp);
}

static void idxd_get_ims_counters(Object *obj, Visitor *v, const char *name,
                                  void *opaque, Error **errp)
{
    IDXDState *s = IDXD_IMS(obj);

    idxd_get_counters(s, v, name, &s->ims,
                      s->ims.nr_entries ? s->handles.of_entry + s->nr_vectors
                                        : NULL, errp);
}

static void idxd_set_revoke(Object *obj, const char *value, Error **errp)
{
    IDXDState *s = IDXD_IMS(obj);

    if (!DEVICE(obj)->realized) {
        error_setg(errp, "the device is not realized");
    } else if (!runstate_is_running()) {
        /* The interrupt would be lost, or sent by the wrong side */
        error_setg(errp, "the VM is not running");
    } else {
        idxd_handle_revoke(s, value, errp);
    }
}

/* One count for each vector, then one for each IMS entry: messages sent */
static bool idxd_get_statistics(InterruptStatsProvider *obj,
                                uint64_t **irq_counts, unsigned int *nb_irqs)
{
    IDXDState *s = IDXD_IMS(obj);
    uint32_t n, i = 0;

    if (!s->irq_counts || !s->msix.nr_entries) {
        return false;
    }
    for (n = 0; n < s->msix.nr_entries; n++) {
        s->irq_counts[i++] = pci_ims_counters(&s->msix, n)->sent;
    }
    for (n = 0; n < s->ims.nr_entries; n++) {
        s->irq_counts[i++] = pci_ims_counters(&s->ims, n)->sent;
    }
    *irq_counts = s->irq_counts;
    *nb_irqs = i;
    return true;
}

static void idxd_print_store(GString *buf, const char *label, PCIIMS *ims)
{
    uint32_t n;

    for (n = 0; n < ims->nr_entries; n++) {
        const PCIIMSCounters *c = pci_ims_counters(ims, n);

        if (!c->raised) {
            continue;
        }
        g_string_append_printf(buf, "  %s %" PRIu32 ": raised %" PRIu64
                               " sent %" PRIu64 " pending %" PRIu64
                               " ignored %" PRIu64 " dropped %" PRIu64
                               " refused %" PRIu64 "%s%s\n", label, n,
                               c->raised, c->sent, c->pending, c->ignored,
                               c->dropped, c->refused,
                               pci_ims_is_masked(ims, n) ? " [masked]" : "",
                               pci_ims_is_pending(ims, n) ? " [pending]" : "");
    }
}

static void idxd_print_info(InterruptStatsProvider *obj, GString *buf)
{
    IDXDState *s = IDXD_IMS(obj);

    g_string_append_printf(buf, "%s at %s:\n", TYPE_IDXD_IMS,
                           object_get_canonical_path_component(OBJECT(s)));
    idxd_print_store(buf, "msix", &s->msix);
    idxd_print_store(buf, "ims", &s->ims);
}

void idxd_stats_class_init(ObjectClass *klass)
{
    InterruptStatsProviderClass *ic = INTERRUPT_STATS_PROVIDER_CLASS(klass);

    ic->get_statistics = idxd_get_statistics;
    ic->print_info = idxd_print_info;
    object_class_property_add(klass, "x-msix-counters", "list",
                              idxd_get_msix_counters, NULL, NULL, NULL);
    object_class_property_set_description(klass, "x-msix-counters",
                                          "interrupts of each MSI-X vector");
    object_class_property_add(klass, "x-ims-counters", "list",
                              idxd_get_ims_counters, NULL, NULL, NULL);
    object_class_property_set_description(klass, "x-ims-counters",
                                          "interrupts of each IMS entry");
    object_class_property_add_str(klass, "x-revoke-handles", NULL,
                                  idxd_set_revoke);
    object_class_property_set_description(klass, "x-revoke-handles",
                                          "revoke 'all' or one interrupt "
                                          "handle");
}
