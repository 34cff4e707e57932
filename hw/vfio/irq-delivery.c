/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO interrupt delivery: the guest side of an MSI or MSI-X index
 */

#include "qemu/osdep.h"
#include <linux/vfio.h>

#include "hw/pci/msix.h"
#include "hw/vfio/pci.h"
#include "qapi/error.h"
#include "qemu/error-report.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "system/accel-irq.h"
#include "system/kvm.h"
#include "system/runstate.h"
#include "trace.h"

/*
 * A guest that masks a vector more often than that keeps it in userspace.  To
 * bring up the vectors of a device takes a few of these periods at most, and
 * each of them costs one update of the routes.
 */
#define SETTLE_MS 50

/* A vector that has settled does not wait longer for others. */
#define COMMIT_WAIT_MS 1000

static const char *vfio_irq_delivery_name(VFIOIRQDelivery *d)
{
    return d->vectors->vbasedev->name;
}

static const char *vfio_irq_delivery_kind(VFIOIRQDelivery *d)
{
    return d->is_msix ? "MSI-X" : "MSI";
}

static int64_t vfio_irq_delivery_now(void)
{
    return qemu_clock_get_ms(QEMU_CLOCK_VIRTUAL);
}

static void vfio_irq_delivery_schedule(VFIOIRQDelivery *d)
{
    if (!timer_pending(d->settle_timer)) {
        timer_mod(d->settle_timer, vfio_irq_delivery_now() + SETTLE_MS);
    }
}

static bool vfio_irq_line_is_masked(VFIOIRQDelivery *d, unsigned int nr)
{
    return d->is_msix && msix_is_masked(d->pdev, nr);
}

/*
 * Pending bits
 *
 * An access to QEMU's PBA exits to QEMU, and so does every other access to the
 * same page, which may hold registers that the guest uses all the time.  It
 * covers the device's PBA only while it has something to show.
 */

static void vfio_irq_pba_show(VFIOIRQDelivery *d)
{
    d->pba.used_at = vfio_irq_delivery_now();
    if (!d->pba.is_shown) {
        d->pba.is_shown = true;
        memory_region_set_enabled(&d->pdev->msix_pba_mmio, true);
        trace_vfio_msix_pba_enable(vfio_irq_delivery_name(d));
    }
}

static void vfio_irq_pba_hide(VFIOIRQDelivery *d)
{
    if (d->pba.is_shown) {
        d->pba.is_shown = false;
        memory_region_set_enabled(&d->pdev->msix_pba_mmio, false);
        trace_vfio_msix_pba_disable(vfio_irq_delivery_name(d));
    }
}

static bool vfio_irq_pba_is_used(VFIOIRQDelivery *d)
{
    for (unsigned int nr = 0; nr < d->nr_lines; nr++) {
        if (!d->line[nr].is_mirrored && msix_is_pending(d->pdev, nr)) {
            return true;
        }
    }
    return false;
}

/* A vector that the host has no eventfd for is pending in the device */
static void vfio_irq_pba_mirror(VFIOIRQDelivery *d, unsigned int nr,
                                bool is_pending)
{
    VFIOIRQLine *line = &d->line[nr];

    if (is_pending && !msix_is_pending(d->pdev, nr)) {
        msix_set_pending(d->pdev, nr);
        line->is_mirrored = true;
    } else if (!is_pending && line->is_mirrored) {
        msix_clr_pending(d->pdev, nr);
        line->is_mirrored = false;
    }
}

/*
 * Listeners
 */

/*
 * The message may go to any address: when this returns, the guest may have
 * masked the vector with it, or disabled the index.
 */
static void vfio_irq_line_take(VFIOIRQDelivery *d, unsigned int nr)
{
    VFIOIRQLine *line = &d->line[nr];
    MSIMessage msg;

    if (!event_notifier_test_and_clear(&line->eventfd)) {
        return;
    }

    d->events[nr]++;
    if (vfio_irq_line_is_masked(d, nr)) {
        line->is_mirrored = false;
        vfio_irq_pba_show(d);
    }
    msg = d->is_msix ? msix_get_message(d->pdev, nr)
                     : msi_get_message(d->pdev, nr);
    trace_vfio_msi_interrupt(vfio_irq_delivery_name(d), nr, msg.address,
                             msg.data);
    if (d->is_msix) {
        msix_notify(d->pdev, nr);
    } else {
        msi_notify(d->pdev, nr);
    }
}

static void vfio_irq_userspace_handler(void *opaque)
{
    VFIOIRQLine *line = opaque;

    vfio_irq_line_take(line->delivery, line - line->delivery->line);
}

static int vfio_irq_userspace_attach(VFIOIRQDelivery *d, unsigned int nr)
{
    VFIOIRQLine *line = &d->line[nr];

    qemu_set_fd_handler(event_notifier_get_fd(&line->eventfd),
                        vfio_irq_userspace_handler, NULL, line);
    return 0;
}

static void vfio_irq_userspace_detach(VFIOIRQDelivery *d, unsigned int nr)
{
    qemu_set_fd_handler(event_notifier_get_fd(&d->line[nr].eventfd),
                        NULL, NULL, NULL);
}

static const VFIOIRQDeliveryOps vfio_irq_userspace_ops = {
    .name = "userspace",
    .attach = vfio_irq_userspace_attach,
    .detach = vfio_irq_userspace_detach,
};

/* The accelerator asks the PCI core, which looks for MSI-X first, then MSI */
static bool vfio_irq_delivery_has_messages(VFIOIRQDelivery *d)
{
    return d->is_msix ? msix_enabled(d->pdev)
                      : msi_enabled(d->pdev) && !msix_enabled(d->pdev);
}

/* KVM swallows the events of an irqfd without route: there always is one */
static int vfio_irq_irqfd_prepare(VFIOIRQDelivery *d, unsigned int nr)
{
    VFIOIRQLine *line = &d->line[nr];
    AccelRouteChange change;
    int ret;

    if (!accel_msi_via_irqfd_enabled()) {
        return -ENOSYS;
    }
    if (!vfio_irq_delivery_has_messages(d)) {
        return -EINVAL;
    }
    /* Without routes the message itself says which interrupt it is */
    if (line->virq >= 0 && !kvm_gsi_direct_mapping()) {
        return accel_irqchip_update_msi_route(line->virq,
                                              pci_get_msi_message(d->pdev, nr),
                                              d->pdev);
    }
    change = accel_irqchip_begin_route_changes();
    ret = accel_irqchip_add_msi_route(&change, nr, d->pdev);
    line->virq = MAX(ret, -1);
    return MIN(ret, 0);
}

static int vfio_irq_irqfd_attach(VFIOIRQDelivery *d, unsigned int nr)
{
    VFIOIRQLine *line = &d->line[nr];
    int ret = accel_irqchip_add_irqfd_notifier_gsi(&line->eventfd, NULL,
                                                   line->virq);

    trace_vfio_irq_delivery_attach(vfio_irq_delivery_name(d), nr, line->virq,
                                   ret);
    if (!ret) {
        line->stats.attaches++;
        /*
         * KVM has injected an event that it found, but reads the eventfd only
         * with the next one.  Nobody else shall find it again.
         */
        event_notifier_test_and_clear(&line->eventfd);
    }
    return ret;
}

static void vfio_irq_irqfd_detach(VFIOIRQDelivery *d, unsigned int nr)
{
    VFIOIRQLine *line = &d->line[nr];
    int ret = accel_irqchip_remove_irqfd_notifier_gsi(&line->eventfd,
                                                      line->virq);

    trace_vfio_irq_delivery_detach(vfio_irq_delivery_name(d), nr, line->virq,
                                   ret);
    line->stats.detaches++;
}

static const VFIOIRQDeliveryOps vfio_irq_irqfd_ops = {
    .name = "irqfd",
    .in_kernel = true,
    .prepare = vfio_irq_irqfd_prepare,
    .attach = vfio_irq_irqfd_attach,
    .detach = vfio_irq_irqfd_detach,
};

/* Nobody listens in between: no event is taken twice, or by the wrong one */
static int vfio_irq_line_listen(VFIOIRQDelivery *d, unsigned int nr,
                                const VFIOIRQDeliveryOps *ops)
{
    VFIOIRQLine *line = &d->line[nr];
    int ret = 0;

    if (line->listener == ops) {
        return 0;
    }
    if (line->listener) {
        line->listener->detach(d, nr);
        line->listener = NULL;
    }
    if (ops) {
        ret = ops->attach(d, nr);
        line->listener = ret ? NULL : ops;
    }
    return ret;
}

static void vfio_irq_line_to_userspace(VFIOIRQDelivery *d, unsigned int nr)
{
    d->line[nr].is_settling = false;
    vfio_irq_line_listen(d, nr, d->is_suspended ? NULL
                                                : &vfio_irq_userspace_ops);
}

/*
 * From userspace to irqfd
 */

static void vfio_irq_report_once(VFIOIRQDelivery *d, bool *reported,
                                 const char *what, unsigned int nr, int ret)
{
    if (!*reported) {
        *reported = true;
        warn_report(VFIO_MSG_PREFIX "%s for %s vector %u: %s; QEMU delivers "
                    "it, and others like it, itself",
                    vfio_irq_delivery_name(d), what, vfio_irq_delivery_kind(d),
                    nr, strerror(-ret));
    }
}

static void vfio_irq_line_no_route(VFIOIRQDelivery *d, unsigned int nr, int ret)
{
    trace_vfio_irq_delivery_no_route(vfio_irq_delivery_name(d), nr, ret);
    d->line[nr].is_unroutable = ret == -EINVAL;
    if (ret == -ENOSYS) {
        d->may_use_irqfd = false;
    } else if (ret != -EINVAL) {
        vfio_irq_report_once(d, &d->reported.no_route, "no KVM route", nr, ret);
    }
    vfio_irq_line_to_userspace(d, nr);
}

static void vfio_irq_line_to_irqfd(VFIOIRQDelivery *d, unsigned int nr)
{
    int ret = vfio_irq_line_listen(d, nr, &vfio_irq_irqfd_ops);

    d->line[nr].is_settling = false;
    if (ret) {
        vfio_irq_report_once(d, &d->reported.no_irqfd, "no KVM irqfd", nr, ret);
        vfio_irq_line_to_userspace(d, nr);
    }
}

static bool vfio_irq_line_is_due(const VFIOIRQLine *line, int64_t time)
{
    return line->is_settling && line->changed_at <= time;
}

/*
 * An update of the routes costs as much as there are routes.  While a guest
 * still brings up vectors, one after another, each update serves at least as
 * many as all updates before: that is log2 of the vectors, however slow it is.
 */
static bool vfio_irq_delivery_is_due(VFIOIRQDelivery *d, int64_t time)
{
    unsigned int due = 0, attached = 0;
    bool is_quiet = true;

    for (unsigned int nr = 0; nr < d->nr_lines; nr++) {
        const VFIOIRQLine *line = &d->line[nr];

        if (vfio_irq_line_is_due(line, time - COMMIT_WAIT_MS)) {
            return true;
        }
        due += vfio_irq_line_is_due(line, time);
        attached += line->listener == &vfio_irq_irqfd_ops;
        is_quiet &= !line->is_settling || vfio_irq_line_is_due(line, time);
    }
    return is_quiet || due >= attached;
}

/* All that have not changed since @time, with one update of the routes */
static void vfio_irq_delivery_settle(VFIOIRQDelivery *d, int64_t time)
{
    unsigned int count = 0;
    int ret;

    for (unsigned int nr = 0; nr < d->nr_lines; nr++) {
        if (vfio_irq_line_is_due(&d->line[nr], time)) {
            ret = vfio_irq_irqfd_ops.prepare(d, nr);
            if (ret) {
                vfio_irq_line_no_route(d, nr, ret);
            } else {
                count++;
            }
        }
    }
    if (!count) {
        return;
    }

    trace_vfio_irq_delivery_settle(vfio_irq_delivery_name(d), count);
    accel_irqchip_commit_routes();
    for (unsigned int nr = 0; nr < d->nr_lines; nr++) {
        if (vfio_irq_line_is_due(&d->line[nr], time)) {
            vfio_irq_line_to_irqfd(d, nr);
        }
    }
}

static void vfio_irq_delivery_tick(void *opaque)
{
    VFIOIRQDelivery *d = opaque;
    int64_t time = vfio_irq_delivery_now() - SETTLE_MS;
    bool is_waiting = false;

    if (vfio_irq_delivery_is_due(d, time)) {
        vfio_irq_delivery_settle(d, time);
    }

    for (unsigned int nr = 0; nr < d->nr_lines && !is_waiting; nr++) {
        is_waiting = d->line[nr].is_settling;
    }
    if (d->pba.is_shown && !vfio_irq_pba_is_used(d)) {
        if (d->pba.used_at <= time) {
            vfio_irq_pba_hide(d);
        } else {
            is_waiting = true;
        }
    }
    if (is_waiting) {
        vfio_irq_delivery_schedule(d);
    }
}

static void vfio_irq_line_start_settling(VFIOIRQDelivery *d, unsigned int nr)
{
    VFIOIRQLine *line = &d->line[nr];

    line->is_unroutable = false;
    line->is_settling = d->may_use_irqfd && !d->is_suspended &&
                        line->listener != &vfio_irq_irqfd_ops;
    line->changed_at = vfio_irq_delivery_now();
    if (line->is_settling || d->pba.is_shown) {
        vfio_irq_delivery_schedule(d);
    }
}

/*
 * Migration saves the local APICs and the PBA now, but no eventfd.  The device
 * has stopped before, and so has an irqfd delivered all that it has raised.
 */
static void vfio_irq_delivery_vm_change(void *opaque, bool running,
                                        RunState state)
{
    VFIOIRQDelivery *d = opaque;

    for (unsigned int nr = 0; !running && nr < d->nr_lines; nr++) {
        if (d->line[nr].listener == &vfio_irq_userspace_ops) {
            vfio_irq_line_take(d, nr);
        }
    }
}

static void vfio_irq_delivery_remapped(Notifier *notifier, void *data)
{
    VFIOIRQDelivery *d = container_of(notifier, VFIOIRQDelivery,
                                      remap_notifier);
    const unsigned int *failed = data;
    int ret;

    for (unsigned int nr = 0; nr < d->nr_lines; nr++) {
        VFIOIRQLine *line = &d->line[nr];

        if (line->is_unroutable && !vfio_irq_line_is_masked(d, nr)) {
            vfio_irq_line_start_settling(d, nr);
        } else if (*failed && line->listener == &vfio_irq_irqfd_ops) {
            /* Its route keeps a message that the guest has taken back */
            ret = vfio_irq_irqfd_ops.prepare(d, nr);
            if (ret) {
                vfio_irq_line_no_route(d, nr, ret);
            }
        }
    }
}

/*
 * Vectors
 */

static bool vfio_irq_line_open(VFIOIRQDelivery *d, unsigned int nr)
{
    VFIOIRQLine *line = &d->line[nr];
    Error *err = NULL;

    if (line->used) {
        return true;
    }
    if (!vfio_notifier_init(d->vdev, &line->eventfd, "interrupt", nr, &err)) {
        if (d->reported.no_eventfd) {
            error_free(err);
        } else {
            error_reportf_err(err, VFIO_MSG_PREFIX "%s vector %u: ",
                              vfio_irq_delivery_name(d),
                              vfio_irq_delivery_kind(d), nr);
            d->reported.no_eventfd = true;
        }
        return false;
    }

    line->used = true;
    if (d->is_msix) {
        msix_vector_use(d->pdev, nr);
    }
    vfio_irq_line_to_userspace(d, nr);
    return true;
}

static void vfio_irq_line_close(VFIOIRQDelivery *d, unsigned int nr)
{
    VFIOIRQLine *line = &d->line[nr];

    if (d->is_msix) {
        vfio_irq_pba_mirror(d, nr, false);
    }
    if (!line->used) {
        return;
    }
    vfio_irq_line_listen(d, nr, NULL);
    if (line->virq >= 0) {
        accel_irqchip_release_virq(line->virq);
    }
    if (d->is_msix) {
        msix_vector_unuse(d->pdev, nr);
    }
    vfio_notifier_cleanup(d->vdev, &line->eventfd, "interrupt", nr);
}

/*
 * Interface, see irq-delivery.h
 */

void vfio_irq_delivery_init(VFIOIRQDelivery *d, VFIOPCIDevice *vdev,
                            bool is_msix, unsigned int nr_lines,
                            bool may_use_irqfd)
{
    d->vdev = vdev;
    d->pdev = PCI_DEVICE(vdev);
    d->vectors = &vdev->irq_vectors;
    d->is_msix = is_msix;
    d->may_use_irqfd = may_use_irqfd;
    d->nr_lines = nr_lines;
    d->line = g_new0(VFIOIRQLine, nr_lines);
    d->events = g_new0(uint64_t, nr_lines);
    for (unsigned int nr = 0; nr < nr_lines; nr++) {
        d->line[nr].delivery = d;
        d->line[nr].virq = -1;
    }
    d->settle_timer = timer_new_ms(QEMU_CLOCK_VIRTUAL, vfio_irq_delivery_tick,
                                   d);
    d->remap_notifier.notify = vfio_irq_delivery_remapped;
    kvm_irqchip_add_remap_notifier(&d->remap_notifier);
    /* The default priority comes after all devices when the VM stops */
    d->vm_change =
        qemu_add_vm_change_state_handler(vfio_irq_delivery_vm_change, d);

    /* The bits come with the state of a migration */
    if (is_msix && vfio_irq_pba_is_used(d)) {
        vfio_irq_pba_show(d);
    }
}

void vfio_irq_delivery_fini(VFIOIRQDelivery *d)
{
    if (!d->nr_lines) {
        return;
    }
    kvm_irqchip_remove_remap_notifier(&d->remap_notifier);
    for (unsigned int nr = 0; nr < d->nr_lines; nr++) {
        vfio_irq_line_close(d, nr);
    }
    vfio_irq_pba_hide(d);
    g_clear_pointer(&d->vm_change, qemu_del_vm_change_state_handler);
    g_clear_pointer(&d->settle_timer, timer_free);
    g_clear_pointer(&d->line, g_free);
    g_clear_pointer(&d->events, g_free);
    d->nr_lines = 0;
}

void vfio_irq_delivery_unmask(VFIOIRQDelivery *d, unsigned int nr)
{
    if (!vfio_irq_line_open(d, nr)) {
        return;
    }
    if (d->is_msix) {
        /* What is pending in the device comes to the eventfd now */
        vfio_irq_pba_mirror(d, nr, false);
    }
    vfio_irq_line_start_settling(d, nr);
    vfio_irq_vectors_arm(d->vectors, nr,
                         event_notifier_get_fd(&d->line[nr].eventfd));
}

void vfio_irq_delivery_mask(VFIOIRQDelivery *d, unsigned int nr)
{
    if (d->line[nr].used) {
        vfio_irq_line_to_userspace(d, nr);
    }
}

void vfio_irq_delivery_attach(VFIOIRQDelivery *d)
{
    vfio_irq_delivery_settle(d, INT64_MAX);
}

void vfio_irq_delivery_update(VFIOIRQDelivery *d)
{
    int ret;

    for (unsigned int nr = 0; nr < d->nr_lines; nr++) {
        VFIOIRQLine *line = &d->line[nr];

        if (line->listener == &vfio_irq_irqfd_ops &&
            !kvm_gsi_direct_mapping()) {
            ret = vfio_irq_irqfd_ops.prepare(d, nr);
            if (ret) {
                vfio_irq_line_no_route(d, nr, ret);
            }
        } else if (line->used) {
            vfio_irq_line_to_userspace(d, nr);
            vfio_irq_line_start_settling(d, nr);
        }
    }
    accel_irqchip_commit_routes();
}

void vfio_irq_delivery_poll(VFIOIRQDelivery *d, unsigned int first,
                            unsigned int end)
{
    uint32_t device_pba = 0;

    for (unsigned int nr = first; nr < MIN(end, d->nr_lines); nr++) {
        if (nr == first || nr % 32 == 0) {
            device_pba = vfio_pci_msix_read_pba(d->vdev, nr / 32);
        }
        if (d->vectors->vector[nr].armed == -1) {
            vfio_irq_pba_mirror(d, nr, extract32(device_pba, nr % 32, 1));
        }
        if (d->line[nr].listener == &vfio_irq_userspace_ops &&
            vfio_irq_line_is_masked(d, nr)) {
            vfio_irq_line_take(d, nr);
        }
    }
}

void vfio_irq_delivery_adopt(VFIOIRQDelivery *d, unsigned int nr)
{
    vfio_irq_delivery_unmask(d, nr);
    if (vfio_irq_line_is_masked(d, nr)) {
        d->line[nr].is_settling = false;
    }
}

void vfio_irq_delivery_adopt_rest(VFIOIRQDelivery *d)
{
    for (unsigned int nr = 0; nr < d->nr_lines; nr++) {
        if (!vfio_irq_line_is_masked(d, nr)) {
            vfio_irq_delivery_unmask(d, nr);
        }
    }
}

void vfio_irq_delivery_suspend(VFIOIRQDelivery *d)
{
    d->is_suspended = true;
    for (unsigned int nr = 0; nr < d->nr_lines; nr++) {
        d->line[nr].is_settling = false;
        vfio_irq_line_listen(d, nr, NULL);
    }
}

void vfio_irq_delivery_resume(VFIOIRQDelivery *d)
{
    d->is_suspended = false;
    for (unsigned int nr = 0; nr < d->nr_lines; nr++) {
        if (d->line[nr].used) {
            vfio_irq_line_to_userspace(d, nr);
            if (!vfio_irq_line_is_masked(d, nr)) {
                vfio_irq_line_start_settling(d, nr);
            }
        }
    }
}
