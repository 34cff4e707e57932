/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-irq-probe: print what was found, for people or for programs
 */

#include "qemu/osdep.h"
#include "qobject/json-writer.h"
#include "probe.h"

/* KVM can only post what it delivers. */
static VFIOIRQPostedState posted_state(const ProbeReport *r)
{
    return r->kvm.irqfd ? r->posted.state : VFIO_IRQ_POSTED_NO;
}

/* -- Text */

static void G_GNUC_PRINTF(2, 3)
text_line(const char *name, const char *format, ...)
{
    va_list args;

    printf("%-16s", name);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

static void text_refusals(const GArray *refusals)
{
    for (guint i = 0; i < refusals->len; i++) {
        ProbeRefusal *r = &g_array_index(refusals, ProbeRefusal, i);

        if (r->ret > 0) {
            text_line("  refused", "%u, the host has %d", r->asked, r->ret);
        } else {
            text_line("  refused", "%u: %s (errno %d)", r->asked,
                      g_strerror(-r->ret), -r->ret);
        }
    }
}

static void text_index(const char *name, const ProbeIndex *index)
{
    if (!index->vectors) {
        text_line(name, "none");
        return;
    }
    text_line(name, "%u vectors", index->vectors);
    text_line("  NORESIZE", "%s", index->noresize ?
              "yes: no vector can be added while others are in use" :
              "no: vectors can be added at any time");
    text_line("  granted", "%u", index->granted);
    text_refusals(index->refusals);
}

static void text_places(const ProbePlace *table, const ProbePlace *pba)
{
    text_line("  table", "BAR %u, offset 0x%x; the BAR can%s", table->bar,
              table->offset, !table->can_mmap ? "not be mapped" :
              table->msix_mappable ? " be mapped, with the table" :
              " be mapped, without the table");
    text_line("  PBA", "BAR %u, offset 0x%x", pba->bar, pba->offset);
}

static void text_delivery(const ProbeReport *r)
{
    text_line("Delivery", "by userspace: yes");
    if (r->kvm.irqfd) {
        text_line("", "by irqfd: yes, %u routes for all devices together",
                  r->kvm.routes);
    } else {
        text_line("", "by irqfd: no, %s", r->kvm.obstacle);
    }
    text_line("", "posted: %s", vfio_irq_posted_name(posted_state(r)));
    for (guint i = 0; i < r->posted.conditions->len; i++) {
        VFIOIRQPostedCondition *c = g_ptr_array_index(r->posted.conditions, i);

        text_line("", "  %s: %s", vfio_irq_posted_name(c->state), c->text);
    }
}

void probe_report_text(const ProbeReport *r)
{
    text_line("Device", "%s", r->device.bdf);
    text_line("IOMMU group", "%u", r->device.group);
    text_line("Opened through", "%s", r->device.node);
    text_index("MSI-X", &r->msix);
    if (r->msix.vectors) {
        text_places(&r->table, &r->pba);
    }
    text_index("MSI", &r->msi);
    text_delivery(r);
}

/* -- JSON */

static void json_refusals(JSONWriter *w, const GArray *refusals)
{
    json_writer_start_array(w, "refusals");
    for (guint i = 0; i < refusals->len; i++) {
        ProbeRefusal *r = &g_array_index(refusals, ProbeRefusal, i);

        json_writer_start_object(w, NULL);
        json_writer_uint64(w, "asked", r->asked);
        if (r->ret > 0) {
            json_writer_int64(w, "offered", r->ret);
        } else {
            json_writer_int64(w, "errno", -r->ret);
        }
        json_writer_end_object(w);
    }
    json_writer_end_array(w);
}

static void json_index(JSONWriter *w, const char *name, const ProbeIndex *index)
{
    json_writer_start_object(w, name);
    json_writer_uint64(w, "vectors", index->vectors);
    json_writer_bool(w, "noresize", index->noresize);
    json_writer_uint64(w, "granted", index->granted);
    json_refusals(w, index->refusals);
    json_writer_end_object(w);
}

static void json_place(JSONWriter *w, const char *name, const ProbePlace *place)
{
    json_writer_start_object(w, name);
    json_writer_uint64(w, "bar", place->bar);
    json_writer_uint64(w, "offset", place->offset);
    json_writer_bool(w, "can-mmap", place->can_mmap);
    json_writer_bool(w, "msix-mappable", place->msix_mappable);
    json_writer_end_object(w);
}

static void json_posted(JSONWriter *w, const ProbeReport *r)
{
    json_writer_start_object(w, "posted");
    json_writer_str(w, "possible", vfio_irq_posted_name(posted_state(r)));
    json_writer_start_array(w, "conditions");
    for (guint i = 0; i < r->posted.conditions->len; i++) {
        VFIOIRQPostedCondition *c = g_ptr_array_index(r->posted.conditions, i);

        json_writer_start_object(w, NULL);
        json_writer_str(w, "met", vfio_irq_posted_name(c->state));
        json_writer_str(w, "text", c->text);
        json_writer_end_object(w);
    }
    json_writer_end_array(w);
    json_writer_end_object(w);
}

static void json_irqfd(JSONWriter *w, const ProbeKVM *kvm)
{
    json_writer_start_object(w, "irqfd");
    json_writer_str(w, "possible", kvm->irqfd ? "yes" : "no");
    if (kvm->irqfd) {
        json_writer_uint64(w, "routes", kvm->routes);
    } else {
        json_writer_str(w, "obstacle", kvm->obstacle);
    }
    json_writer_end_object(w);
}

void probe_report_json(const ProbeReport *r)
{
    g_autoptr(JSONWriter) w = json_writer_new(false);

    json_writer_start_object(w, NULL);
    json_writer_str(w, "device", r->device.bdf);
    json_writer_uint64(w, "iommu-group", r->device.group);
    json_writer_str(w, "opened-through", r->device.node);
    json_index(w, "msix", &r->msix);
    if (r->msix.vectors) {
        json_place(w, "table", &r->table);
        json_place(w, "pba", &r->pba);
    }
    json_index(w, "msi", &r->msi);
    json_irqfd(w, &r->kvm);
    json_posted(w, r);
    json_writer_end_object(w);
    puts(json_writer_get(w));
}
