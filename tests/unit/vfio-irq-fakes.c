/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What surrounds hw/vfio/irq-delivery.c, as fakes
 */

#include "qemu/osdep.h"
#include <poll.h>

#include "hw/pci/msix.h"
#include "qapi/error.h"
#include "qemu/main-loop.h"
#include "qemu/timer.h"
#include "qom/object.h"
#include "system/runstate.h"
#include "vfio-irq-fakes.h"

/* Longer than what a vector needs to settle, in parts that the timer sees */
#define SETTLE_STEP_MS 30
#define SETTLE_STEPS 8

typedef struct FakeHandler {
    IOHandler *fn;
    void *opaque;
} FakeHandler;

Fake fake;
VFIOPCIDevice *fake_vdev;

static FakeHandler handler[FAKE_MAX_FD];
static QEMUTimer *timer;
static struct {
    VMChangeStateHandler *fn;
    void *opaque;
} vm_change;
static int64_t now_ms;

/* The guest's memory: a message arrives */

MSIMessage fake_message(unsigned int nr, unsigned int generation)
{
    return (MSIMessage) { .address = 0xfee00000 + nr * 0x1000,
                          .data = generation };
}

unsigned int fake_message_vector(MSIMessage msg)
{
    unsigned int nr = (msg.address - 0xfee00000) / 0x1000;

    g_assert_cmpuint(nr, <, FAKE_VECTORS);
    return nr;
}

void fake_deliver(MSIMessage msg, bool by_kvm)
{
    unsigned int nr = fake_message_vector(msg);
    FakeVector *v = &fake.vector[nr];

    fake.while_masked += fake_guest_masked(nr);
    fake.wrong += msg.data != v->msg.data;
    fake.spurious += !v->raised;
    v->raised -= !!v->raised;
    v->owed = false;
    v->by_kvm += by_kvm;
    v->by_qemu += !by_kvm;
    if (!by_kvm && fake.on_send) {
        fake.on_send(nr);
    }
}

/* Calls */

bool fake_fails(FakeCall call)
{
    if (fake.fail_nth && --fake.fail_nth == 0) {
        return true;
    }
    return fake.fail_call == call;
}

/* The core */

static bool core_is_masked(unsigned int nr)
{
    return !fake.enabled || fake.fmask || fake.vector[nr].masked ||
           fake.vector[nr].held;
}

int msix_enabled(PCIDevice *dev)
{
    return fake.is_msix && fake.enabled;
}

bool msi_enabled(const PCIDevice *dev)
{
    return !fake.is_msix && fake.enabled;
}

bool msix_is_masked(PCIDevice *dev, unsigned int nr)
{
    return core_is_masked(nr);
}

int msix_is_pending(PCIDevice *dev, unsigned int nr)
{
    return fake.vector[nr].pending;
}

void msix_set_pending(PCIDevice *dev, unsigned int nr)
{
    fake.vector[nr].pending = true;
}

void msix_clr_pending(PCIDevice *dev, int nr)
{
    fake.vector[nr].pending = false;
}

void msix_vector_use(PCIDevice *dev, unsigned int nr)
{
    fake.vector[nr].users++;
}

void msix_vector_unuse(PCIDevice *dev, unsigned int nr)
{
    g_assert_cmpuint(fake.vector[nr].users, >, 0);
    if (!--fake.vector[nr].users) {
        fake.vector[nr].pending = false;
    }
}

void msix_notify(PCIDevice *dev, unsigned int nr)
{
    if (!fake.vector[nr].users) {
        return;
    }
    if (core_is_masked(nr)) {
        fake.vector[nr].pending = true;
        return;
    }
    fake_deliver(fake.vector[nr].msg, false);
}

void msi_notify(PCIDevice *dev, unsigned int nr)
{
    fake_deliver(fake.vector[nr].msg, false);
}

MSIMessage msix_get_message(PCIDevice *dev, unsigned int nr)
{
    return fake.vector[nr].msg;
}

MSIMessage msi_get_message(PCIDevice *dev, unsigned int nr)
{
    return fake.vector[nr].msg;
}

MSIMessage pci_get_msi_message(PCIDevice *dev, int nr)
{
    g_assert_true(fake.enabled);
    return fake.vector[nr].msg;
}

void memory_region_set_enabled(MemoryRegion *mr, bool enabled)
{
    g_assert_true(mr == &PCI_DEVICE(fake_vdev)->msix_pba_mmio);
    g_assert_cmpint(enabled, !=, fake.pba_shown);
    fake.pba_shown = enabled;
    fake.pba_changes++;
}

/* hw/vfio */

bool vfio_notifier_init(VFIOPCIDevice *vdev, EventNotifier *e,
                        const char *name, int nr, Error **errp)
{
    int fd = fake.cpr_fd[nr];

    if (fd >= 0) {
        fake.cpr_fd[nr] = -1;
        event_notifier_init_fd(e, fd);
    } else if (fake_fails(FAKE_EVENTFD)) {
        error_setg_errno(errp, EMFILE, "fake eventfd");
        return false;
    } else {
        g_assert_cmpint(event_notifier_init(e, false), ==, 0);
    }
    fd = event_notifier_get_fd(e);
    g_assert_cmpint(fd, <, FAKE_MAX_FD);
    g_assert_false(fake_kvm_listens(fd));
    fake.eventfds++;
    return true;
}

void vfio_notifier_cleanup(VFIOPCIDevice *vdev, EventNotifier *e,
                           const char *name, int nr)
{
    int fd = event_notifier_get_fd(e);

    g_assert_null(handler[fd].fn);
    g_assert_false(fake_kvm_listens(fd));
    g_assert_cmpint(fake.vector[nr].armed, ==, -1);
    event_notifier_cleanup(e);
    fake.eventfds--;
}

uint32_t vfio_pci_msix_read_pba(VFIOPCIDevice *vdev, unsigned int dword)
{
    uint32_t bits = 0;

    g_assert_cmpuint(dword, <, DIV_ROUND_UP(FAKE_VECTORS, 32));
    for (unsigned int i = 0; i < 32 && dword * 32 + i < FAKE_VECTORS; i++) {
        bits |= (uint32_t)fake.vector[dword * 32 + i].device_pending << i;
    }
    return bits;
}

void vfio_irq_vectors_arm(VFIOIRQVectors *v, unsigned int nr, int fd)
{
    FakeVector *vector = &fake.vector[nr];

    if (vector->armed == fd) {
        return;
    }
    g_assert_cmpint(fd, >=, 0);
    if (fake_fails(FAKE_ARM)) {
        vector->armed = v->vector[nr].armed = -1;
        return;
    }
    fake.arms++;
    vector->armed = v->vector[nr].armed = fd;
    if (vector->device_pending) {
        uint64_t one = 1;

        vector->device_pending = false;
        g_assert_cmpint(write(fd, &one, sizeof(one)), ==, sizeof(one));
        fake_kvm_wake(fd);
    }
}

/* The device */

void fake_raise(unsigned int nr)
{
    FakeVector *v = &fake.vector[nr];
    uint64_t one = 1;

    if (!fake.enabled) {
        return;
    }
    v->owed = true;
    v->raised++;
    if (v->armed < 0) {
        v->device_pending = true;
        return;
    }
    g_assert_cmpint(write(v->armed, &one, sizeof(one)), ==, sizeof(one));
    fake_kvm_wake(v->armed);
}

/* The main loop */

void qemu_set_fd_handler(int fd, IOHandler *fd_read, IOHandler *fd_write,
                         void *opaque)
{
    g_assert_null(fd_write);
    g_assert_cmpint(fd, <, FAKE_MAX_FD);
    g_assert_true(!fd_read || !fake_kvm_listens(fd));
    handler[fd] = (FakeHandler) { fd_read, opaque };
}

bool fake_loop_listens(int fd)
{
    return handler[fd].fn;
}

/* One turn of the loop: what was readable when it began */
static bool run_handlers_once(void)
{
    struct pollfd pfd[FAKE_VECTORS];
    unsigned int n = 0;

    for (int fd = 0; fd < FAKE_MAX_FD; fd++) {
        if (handler[fd].fn) {
            g_assert_cmpuint(n, <, FAKE_VECTORS);
            pfd[n++] = (struct pollfd) { .fd = fd, .events = POLLIN };
        }
    }
    if (poll(pfd, n, 0) <= 0) {
        return false;
    }
    for (unsigned int i = 0; i < n; i++) {
        FakeHandler *h = &handler[pfd[i].fd];

        if (pfd[i].revents && h->fn) {
            h->fn(h->opaque);
        }
    }
    return true;
}

void fake_run_handlers(void)
{
    bool again;

    do {
        again = run_handlers_once();
    } while (again);
}

/* Timers: at most one, and time passes when a test says so */

void timer_init_full(QEMUTimer *ts, QEMUTimerListGroup *group,
                     QEMUClockType type, int scale, int attributes,
                     QEMUTimerCB *cb, void *opaque)
{
    g_assert_cmpint(type, ==, QEMU_CLOCK_VIRTUAL);
    g_assert_null(timer);
    *ts = (QEMUTimer) { .scale = scale, .cb = cb, .opaque = opaque };
}

void timer_mod(QEMUTimer *ts, int64_t expire_time)
{
    ts->expire_time = expire_time * ts->scale;
    timer = ts;
}

void timer_del(QEMUTimer *ts)
{
    timer = NULL;
}

bool timer_pending(const QEMUTimer *ts)
{
    return timer == ts;
}

int64_t qemu_clock_get_ns(QEMUClockType type)
{
    return now_ms * SCALE_MS;
}

void fake_advance(unsigned int ms)
{
    QEMUTimer *ts = timer;

    now_ms += ms;
    if (ts && ts->expire_time <= now_ms * SCALE_MS) {
        timer = NULL;
        ts->cb(ts->opaque);
    }
}

void fake_settle(void)
{
    for (int i = 0; i < SETTLE_STEPS; i++) {
        fake_advance(SETTLE_STEP_MS);
    }
}

/* The state of the VM */

VMChangeStateEntry *qemu_add_vm_change_state_handler(
    VMChangeStateHandler *fn, void *opaque)
{
    g_assert_null(vm_change.fn);
    vm_change.fn = fn;
    vm_change.opaque = opaque;
    return (VMChangeStateEntry *)&vm_change;
}

void qemu_del_vm_change_state_handler(VMChangeStateEntry *e)
{
    g_assert_true(e == (VMChangeStateEntry *)&vm_change);
    vm_change.fn = NULL;
}

void fake_stop_vm(void)
{
    if (vm_change.fn) {
        vm_change.fn(vm_change.opaque, false, RUN_STATE_PAUSED);
    }
}

/* The guest */

VFIOIRQDelivery *fake_delivery(void)
{
    return &fake_vdev->irq_delivery;
}

bool fake_guest_masked(unsigned int nr)
{
    return core_is_masked(nr);
}

uint64_t fake_read_pba(void)
{
    uint64_t pba = 0;

    if (fake.pba_shown) {
        vfio_irq_delivery_poll(fake_delivery(), 0, FAKE_VECTORS);
    }
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        pba |= (uint64_t)(fake.pba_shown ? fake.vector[nr].pending
                                         : fake.vector[nr].device_pending)
               << nr;
    }
    return pba;
}

bool fake_shows_pending(unsigned int nr)
{
    return extract64(fake_read_pba(), nr, 1);
}

static void core_update(unsigned int nr, bool was_masked)
{
    FakeVector *v = &fake.vector[nr];
    bool is_masked = core_is_masked(nr);

    /* No notifiers: the message before has disabled MSI-X */
    if (is_masked == was_masked || nr >= fake_delivery()->nr_lines) {
        return;
    }
    if (is_masked) {
        vfio_irq_delivery_mask(fake_delivery(), nr);
        return;
    }
    vfio_irq_delivery_unmask(fake_delivery(), nr);
    v->unserved = v->armed < 0;
    if (v->pending) {
        v->pending = false;
        msix_notify(PCI_DEVICE(fake_vdev), nr);
    }
}

void fake_mask(unsigned int nr)
{
    bool was_masked = core_is_masked(nr);

    fake.vector[nr].masked = true;
    core_update(nr, was_masked);
}

void fake_unmask(unsigned int nr)
{
    bool was_masked = core_is_masked(nr);

    fake.vector[nr].masked = false;
    core_update(nr, was_masked);
}

void fake_function_mask(bool fmask)
{
    bool was_masked[FAKE_VECTORS];

    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        was_masked[nr] = core_is_masked(nr);
    }
    fake.fmask = fmask;
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        core_update(nr, was_masked[nr]);
    }
}

void fake_rewrite(unsigned int nr)
{
    FakeVector *v = &fake.vector[nr];
    bool was_masked = core_is_masked(nr);

    if (!fake.is_msix) {
        v->msg = fake_message(nr, v->msg.data + 1);
        vfio_irq_delivery_update(fake_delivery());
        return;
    }
    v->held = true;
    core_update(nr, was_masked);
    v->msg = fake_message(nr, v->msg.data + 1);
    v->held = false;
    core_update(nr, true);
}

void fake_enable(unsigned int n)
{
    fake.enabled = true;
    vfio_irq_delivery_init(fake_delivery(), fake_vdev, fake.is_msix, n, true);
    for (unsigned int nr = 0; nr < n; nr++) {
        if (!fake.is_msix) {
            vfio_irq_delivery_unmask(fake_delivery(), nr);
            fake.vector[nr].unserved = fake.vector[nr].armed < 0;
        } else {
            core_update(nr, true);
        }
    }
    if (!fake.is_msix) {
        vfio_irq_delivery_attach(fake_delivery());
    }
}

/* The host comes first: from then on nothing is raised that anyone is owed */
void fake_disable(void)
{
    bool was_masked[FAKE_VECTORS];
    unsigned int n = fake_delivery()->nr_lines;

    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        FakeVector *v = &fake.vector[nr];

        was_masked[nr] = core_is_masked(nr);
        fake.disarms += v->armed >= 0;
        v->armed = fake_vdev->irq_vectors.vector[nr].armed = -1;
        v->owed = v->device_pending = v->unserved = false;
        v->raised = 0;
    }
    fake.enabled = false;
    for (unsigned int nr = 0; nr < n && fake.is_msix; nr++) {
        core_update(nr, was_masked[nr]);
    }
    vfio_irq_delivery_fini(fake_delivery());
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        fake.vector[nr].pending = false;
        g_assert_cmpuint(fake.vector[nr].users, ==, 0);
    }
    g_assert_cmpuint(fake.routes, ==, 0);
    g_assert_cmpuint(fake.irqfds, ==, 0);
    g_assert_cmpuint(fake.eventfds, ==, 0);
    g_assert_false(fake.pba_shown);
}

/* Checks */

const char *fake_listener(unsigned int nr)
{
    const VFIOIRQLine *line = &fake_delivery()->line[nr];

    return line->listener ? line->listener->name : "none";
}

void fake_check(void)
{
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        FakeVector *v = &fake.vector[nr];

        if (v->owed && !fake_guest_masked(nr) && !v->unserved) {
            fake.lost++;
            v->owed = false;
        }
        v->raised = fake_guest_masked(nr) ? MIN(v->raised, 1) : v->owed;
    }
}

void fake_assert_clean(void)
{
    g_assert_cmpuint(fake.lost, ==, 0);
    g_assert_cmpuint(fake.swallowed, ==, 0);
    g_assert_cmpuint(fake.while_masked, ==, 0);
    g_assert_cmpuint(fake.spurious, ==, 0);
    g_assert_cmpuint(fake.wrong, ==, 0);
}

/* Only its size is needed, and that PCI_DEVICE() takes it */
static const TypeInfo fake_pci_device = {
    .name = TYPE_PCI_DEVICE,
    .parent = TYPE_OBJECT,
    .instance_size = sizeof(VFIOPCIDevice),
};

void fake_init(void)
{
    module_call_init(MODULE_INIT_QOM);
    type_register_static(&fake_pci_device);
    fake_vdev = (VFIOPCIDevice *)object_new(TYPE_PCI_DEVICE);
    fake_vdev->vbasedev.name = (char *)"fake";
    fake_vdev->irq_vectors.vbasedev = &fake_vdev->vbasedev;
    fake_vdev->irq_vectors.vector = g_new0(VFIOIRQVector, FAKE_VECTORS);
}

void fake_reset(bool is_msix)
{
    fake_kvm_init();
    g_assert_cmpuint(fake_delivery()->nr_lines, ==, 0);
    memset(fake_delivery(), 0, sizeof(*fake_delivery()));
    fake = (Fake) {
        .is_msix = is_msix, .route_limit = FAKE_VECTORS,
        .fail_call = FAKE_CALLS,
    };
    for (unsigned int nr = 0; nr < FAKE_VECTORS; nr++) {
        fake.vector[nr] = (FakeVector) {
            .msg = fake_message(nr, 1), .masked = is_msix, .armed = -1,
        };
        fake_vdev->irq_vectors.vector[nr].armed = -1;
        fake.cpr_fd[nr] = -1;
    }
}
