/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fake KVM: routes and irqfds
 */

#include "qemu/osdep.h"
#include <poll.h>

#include "hw/pci/pci.h"
#include "system/accel-irq.h"
#include "vfio-irq-fakes.h"

typedef struct FakeRoute {
    bool used;
    MSIMessage msg;
    bool is_committed;
    MSIMessage committed;
} FakeRoute;

KVMState *kvm_state;
bool kvm_gsi_direct_mapping;
bool kvm_msi_via_irqfd_allowed;

static FakeRoute route[FAKE_VECTORS];
static bool routes_changed;
static int irqfd_virq[FAKE_MAX_FD]; /* of the irqfd with this eventfd, or -1 */
static NotifierList remap_notifiers =
    NOTIFIER_LIST_INITIALIZER(remap_notifiers);

void fake_kvm_init(void)
{
    memset(irqfd_virq, -1, sizeof(irqfd_virq));
    kvm_msi_via_irqfd_allowed = true;
}

void fake_no_irqchip(void)
{
    kvm_msi_via_irqfd_allowed = false;
}

bool fake_kvm_listens(int fd)
{
    return irqfd_virq[fd] >= 0;
}

bool fake_is_readable(int fd)
{
    struct pollfd pfd = { .fd = fd, .events = POLLIN };

    return poll(&pfd, 1, 0) == 1;
}

static void read_counter(int fd)
{
    uint64_t count;

    g_assert_cmpint(read(fd, &count, sizeof(count)), ==, sizeof(count));
}

static void inject(int virq)
{
    if (virq >= 0 && route[virq].is_committed) {
        fake_deliver(route[virq].committed, true);
    } else {
        fake.swallowed++;
    }
}

/* The event is taken by KVM before anyone else can see it */
void fake_kvm_wake(int fd)
{
    if (irqfd_virq[fd] >= 0) {
        read_counter(fd);
        inject(irqfd_virq[fd]);
    }
}

static bool translates(MSIMessage msg)
{
    return !fake.vector[fake_message_vector(msg)].untranslatable;
}

static void set_route(int virq, MSIMessage msg)
{
    if (route[virq].msg.address != msg.address ||
        route[virq].msg.data != msg.data) {
        routes_changed = true;
    }
    route[virq].msg = msg;
}

/* The real one aborts, too */
AccelRouteChange accel_irqchip_begin_route_changes(void)
{
    g_assert(kvm_msi_via_irqfd_allowed);
    return (AccelRouteChange) { };
}

int accel_irqchip_add_msi_route(AccelRouteChange *c, int vector, PCIDevice *dev)
{
    MSIMessage msg = pci_get_msi_message(dev, vector);
    int virq = 0;

    while (virq < FAKE_VECTORS && route[virq].used) {
        virq++;
    }
    if (fake_fails(FAKE_ADD_ROUTE) || fake.routes >= fake.route_limit ||
        virq == FAKE_VECTORS) {
        return -ENOSPC;
    }
    if (!translates(msg)) {
        return -EINVAL;
    }
    route[virq] = (FakeRoute) { .used = true };
    set_route(virq, msg);
    fake.routes++;
    c->changes++;
    return virq;
}

int accel_irqchip_update_msi_route(int virq, MSIMessage msg, PCIDevice *dev)
{
    g_assert_true(route[virq].used);
    if (fake_fails(FAKE_UPDATE_ROUTE)) {
        return -ENOMEM;
    }
    if (!translates(msg)) {
        return -EINVAL;
    }
    set_route(virq, msg);
    return 0;
}

void accel_irqchip_commit_routes(void)
{
    if (!routes_changed) {
        return;
    }
    routes_changed = false;
    fake.commits++;
    for (int virq = 0; virq < FAKE_VECTORS; virq++) {
        route[virq].is_committed = route[virq].used;
        route[virq].committed = route[virq].msg;
    }
}

void accel_irqchip_release_virq(int virq)
{
    g_assert_true(route[virq].used);
    for (int fd = 0; fd < FAKE_MAX_FD; fd++) {
        g_assert_cmpint(irqfd_virq[fd], !=, virq);
    }
    route[virq].used = false;
    routes_changed = true;
    fake.routes--;
}

/*
 * An event that is there already is injected, and stays in the eventfd, see
 * kvm_irqfd_assign() in Linux.
 */
int accel_irqchip_add_irqfd_notifier_gsi(EventNotifier *n, EventNotifier *rn,
                                         int virq)
{
    int fd = event_notifier_get_fd(n);

    g_assert_null(rn);
    g_assert_false(fake_loop_listens(fd));
    g_assert_cmpint(irqfd_virq[fd], ==, -1);
    if (fake_fails(FAKE_ASSIGN)) {
        return -EBUSY;
    }
    if (fake.raise_at_assign) {
        for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
            if (fake.vector[nr].armed == fd) {
                fake_raise(nr);
            }
        }
    }
    fake.assigns++;
    fake.irqfds++;
    irqfd_virq[fd] = virq;
    if (fake_is_readable(fd)) {
        inject(virq);
    }
    return 0;
}

int accel_irqchip_remove_irqfd_notifier_gsi(EventNotifier *n, int virq)
{
    int fd = event_notifier_get_fd(n);

    g_assert_cmpint(irqfd_virq[fd], ==, virq);
    irqfd_virq[fd] = -1;
    fake.deassigns++;
    fake.irqfds--;
    return 0;
}

void kvm_irqchip_add_remap_notifier(Notifier *n)
{
    notifier_list_add(&remap_notifiers, n);
}

void kvm_irqchip_remove_remap_notifier(Notifier *n)
{
    notifier_remove(n);
}

/* A route that cannot be translated any more stays as it is */
void fake_remap(void)
{
    unsigned int failed = 0;

    for (int virq = 0; virq < FAKE_VECTORS; virq++) {
        failed += route[virq].used && !translates(route[virq].msg);
    }
    notifier_list_notify(&remap_notifiers, &failed);
}
