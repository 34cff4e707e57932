/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What KVM has no room for or refuses, and devices that go while it serves
 * them. MSI, too.
 */

#include "qemu/osdep.h"
#include <linux/vfio.h>
#include "hw/pci/pci_regs.h"
#include "qemu/host-utils.h"
#include "vfio-irq-kvm-scenario.h"

/* KVM_MAX_IRQ_ROUTES, and two devices with as many vectors as there can be */
#define MAX_ROUTES 4096
#define N_DEVICES  3
#define NO_ROUTE   "no KVM route"

/* More vectors than routes */

typedef struct Device {
    VFIOUserServer *server;
    VFIOUserIrqs *irqs;
    QPCIDevice *dev;
    QPCIBar bar;
    uint8_t cap;
} Device;

static void write_entry(Device *d, unsigned v, unsigned reg, uint32_t value)
{
    qpci_io_writel(d->dev, d->bar, VFIO_USER_SERVER_TABLE_OFFSET +
                   v * PCI_MSIX_ENTRY_SIZE + reg, value);
}

static void target(const VFIOIrqKvmScenario *sc, unsigned v, unsigned *cpu,
                   unsigned *number)
{
    *cpu = v % sc->cpus;
    *number = VFIO_IRQ_GUEST_FIRST + v / sc->cpus % VFIO_IRQ_GUEST_COUNT;
}

/* All vectors unmasked by one write */
static void device_up(const VFIOIrqKvmScenario *sc, Device *d, QPCIBus *bus,
                      unsigned slot)
{
    unsigned cpu, number;

    d->dev = qpci_device_find(bus, QPCI_DEVFN(slot, 0));
    g_assert_nonnull(d->dev);
    qpci_device_enable(d->dev);
    d->bar = qpci_iomap(d->dev, VFIO_USER_SERVER_BAR, NULL);
    d->cap = qpci_find_capability(d->dev, PCI_CAP_ID_MSIX, 0);
    qpci_config_writew(d->dev, d->cap + PCI_MSIX_FLAGS,
                       PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    for (unsigned v = 0; v < sc->n; v++) {
        target(sc, v, &cpu, &number);
        write_entry(d, v, PCI_MSIX_ENTRY_LOWER_ADDR,
                    vfio_irq_guest_address(cpu));
        write_entry(d, v, PCI_MSIX_ENTRY_DATA, number);
        write_entry(d, v, PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    }
    qpci_config_writew(d->dev, d->cap + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE);
}

/* Raise as many as can be told from each other, then see each of them */
static unsigned missing(const VFIOIrqKvmScenario *sc, VFIOIrqKvm *k, Device *d)
{
    const unsigned batch = sc->cpus * VFIO_IRQ_GUEST_COUNT;
    unsigned n = 0, cpu, number;

    for (unsigned first = 0; first < sc->n; first += batch) {
        unsigned end = MIN(first + batch, sc->n);

        for (unsigned v = first; v < end; v++) {
            vfio_user_irqs_fire(d->irqs, VFIO_PCI_MSIX_IRQ_INDEX, v);
        }
        vfio_irq_kvm_wait_arrived(k, end - first);
        for (unsigned v = first; v < end; v++) {
            target(sc, v, &cpu, &number);
            n += vfio_irq_kvm_take(k, cpu, number) != 1;
        }
    }
    return n;
}

static void device_free(Device *d)
{
    g_free(d->dev);
    vfio_user_server_free(d->server);
}

/* What does not find a route goes through QEMU, which says so once */
void vfio_irq_kvm_test_many_routes(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;
    VFIOIrqKvm k = { .cpus = sc->cpus, .log_errors = true };
    Device devices[N_DEVICES] = { 0 };
    VFIOUserServer *servers[N_DEVICES];
    unsigned irqfd = 0, n = 0;
    QPCIBus *bus;

    if (vfio_msix_raise_fd_limit() < 3 * N_DEVICES * sc->n) {
        g_test_skip("RLIMIT_NOFILE is too low for so many eventfds");
        return;
    }
    for (unsigned i = 0; i < N_DEVICES; i++) {
        servers[i] = vfio_user_server_new(&(VFIOUserIrqsConfig) {
            .host = sc->host, .msix = sc->n,
        });
        devices[i].server = servers[i];
        devices[i].irqs = vfio_user_server_irqs(servers[i]);
    }
    g_assert_cmpuint(vfio_irq_kvm_start(&k, servers, N_DEVICES, NULL), ==,
                     sc->cpus);
    bus = qpci_new_pc(k.qts, NULL);
    for (unsigned i = 0; i < N_DEVICES; i++) {
        VFIOIrqKvmStates states;

        device_up(sc, &devices[i], bus, VFIO_MSIX_SLOT + i);
        states = vfio_irq_kvm_wait_settled(&k, VFIO_MSIX_SLOT + i, 0);
        irqfd += states.irqfd;
        n += states.n;
    }
    g_test_message("%u of %u vectors by irqfd, %u warnings, "
                   "KVM_SET_GSI_ROUTING %u", irqfd, n,
                   vfio_irq_kvm_logged(&k, NO_ROUTE),
                   vfio_irq_kvm_commits(&k));
    for (unsigned i = 0; i < N_DEVICES; i++) {
        g_assert_cmpuint(missing(sc, &k, &devices[i]), ==, 0);
    }
    if (k.has_states) {
        g_assert_cmpuint(n, ==, N_DEVICES * sc->n);
        g_assert_cmpuint(irqfd, >, MAX_ROUTES / 2);
        g_assert_cmpuint(irqfd, <, MAX_ROUTES);
        g_assert_cmpuint(vfio_irq_kvm_logged(&k, NO_ROUTE), >, 0);
        g_assert_cmpuint(vfio_irq_kvm_logged(&k, NO_ROUTE), <=, N_DEVICES);
    }
    vfio_irq_kvm_stop(&k);
    for (unsigned i = 0; i < N_DEVICES; i++) {
        device_free(&devices[i]);
    }
    qpci_free_pc(bus);
}

/* X2: with x2APIC ids, KVM takes no address with a non-zero byte above 4 GiB */

static void write_high(VFIOMsixModel *m, unsigned v, uint32_t value)
{
    vfio_msix_model_write_entry(m, v, PCI_MSIX_ENTRY_UPPER_ADDR, value);
}

/* What @v raises goes nowhere, and is not owed; the others must not suffer */
static void fire_others(VFIOMsixModel *m, unsigned v)
{
    vfio_user_irqs_fire(m->irqs, VFIO_PCI_MSIX_IRQ_INDEX, v);
    m->machine->flush(m);
    vfio_msix_model_forget(m, v);
    for (unsigned other = 0; other < m->n; other++) {
        if (other != v) {
            vfio_msix_model_fire(m, other);
        }
    }
}

static void unmask_rejected(const VFIOIrqKvmScenario *sc)
{
    VFIOIrqKvm k = { .iommu = true };
    VFIOMsixModel *m = vfio_irq_kvm_model(sc, &k);
    VFIOIrqKvmStates states;

    vfio_msix_unmask_in_one(m);
    for (unsigned v = 0; v < m->n; v++) {
        /* while masked */
        vfio_msix_model_rest(m, true);
        vfio_msix_model_mask(m, v);
        write_high(m, v, 1);
        vfio_msix_model_write_entry(m, v, PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
        states = vfio_irq_kvm_wait_settled(&k, VFIO_MSIX_SLOT, m->n - 1);
        g_assert_cmpuint(states.irqfd, ==, k.has_states ? m->n - 1 : 0);
        fire_others(m, v);
        write_high(m, v, 0);
        vfio_msix_model_unmask(m, v);
        vfio_msix_model_fire(m, v);

        /* and while unmasked */
        vfio_msix_model_rest(m, true);
        write_high(m, v, 1);
        fire_others(m, v);
        vfio_irq_kvm_wait_settled(&k, VFIO_MSIX_SLOT, m->n - 1);
        write_high(m, v, 0);
        vfio_msix_model_fire(m, v);
    }
    vfio_msix_model_rest(m, true);
    vfio_msix_model_fire_live(m, 1);
    vfio_irq_kvm_report(sc, m);
    vfio_msix_assert_clean(m);
    vfio_msix_model_free(m);
}

void vfio_irq_kvm_test_rejected(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;

    if (!sc->stock || g_test_subprocess()) {
        unmask_rejected(sc);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*kvm_irqchip_commit_routes: Assertion*");
}

/* Devices that go */

void vfio_irq_kvm_test_reset(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;
    VFIOIrqKvm k = { 0 };
    VFIOMsixModel *m = vfio_irq_kvm_model(sc, &k);

    vfio_msix_set_faults(m, (VFIOUserIrqFaults) { .fire_in_window = true });
    for (unsigned i = 0; i < 6; i++) {
        VFIOMsixStorm *storm;

        vfio_msix_bring_up(m, VFIO_MSIX_SPARSE);
        vfio_msix_model_rest(m, i % 2);
        vfio_msix_model_mask(m, 1);
        vfio_msix_model_fire(m, 1);
        storm = vfio_msix_storm_new(m);
        qtest_system_reset(m->qts);
        vfio_msix_storm_free(storm);
        g_assert_cmpuint(vfio_msix_model_stats(m).armed, ==, 0);
        m->machine->reset(m);
        vfio_msix_model_start_over(m);
        g_assert_cmpuint(vfio_irq_kvm_states(&k, VFIO_MSIX_SLOT).n, ==, 0);
    }
    vfio_irq_kvm_report(sc, m);
    vfio_msix_assert_clean(m);
    vfio_msix_model_free(m);
}

/*
 * As often as it takes to run out of routes, if one of them was not given
 * back. The device fires until its eventfds are gone.
 */
void vfio_irq_kvm_test_unplug(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;
    VFIOIrqKvm k = { 0 };
    VFIOMsixModel *m = vfio_irq_kvm_model(sc, &k);

    for (unsigned i = 0; i * m->n <= MAX_ROUTES; i++) {
        VFIOMsixStorm *storm;

        vfio_msix_unmask_in_one(m);
        vfio_msix_model_rest(m, true);
        vfio_msix_model_fire_live(m, 1);
        storm = vfio_msix_storm_new(m);
        vfio_msix_unplug(m);
        vfio_msix_storm_free(storm);
        vfio_msix_plug(m, NULL);
    }
    vfio_irq_kvm_report(sc, m);
    vfio_msix_assert_clean(m);
    vfio_msix_model_free(m);
}

/* MSI: data holds the vector's number, the address is common to all */

typedef struct Msi {
    VFIOIrqKvm k;
    VFIOUserServer *server;
    VFIOUserIrqs *irqs;
    QPCIDevice *dev;
    uint8_t cap;
} Msi;

static void msi_message(Msi *m, unsigned cpu, unsigned first)
{
    qpci_config_writel(m->dev, m->cap + PCI_MSI_ADDRESS_LO,
                       vfio_irq_guest_address(cpu));
    qpci_config_writel(m->dev, m->cap + PCI_MSI_ADDRESS_HI, 0);
    qpci_config_writew(m->dev, m->cap + PCI_MSI_DATA_64, first);
}

/* Raise all; how many arrive at @cpu from @first on, and nowhere else? */
static unsigned msi_working(Msi *m, unsigned n, unsigned cpu, unsigned first,
                            bool enabled)
{
    unsigned working = 0, all = 0;

    for (unsigned v = 0; v < n; v++) {
        vfio_user_irqs_fire(m->irqs, VFIO_PCI_MSI_IRQ_INDEX, v);
    }
    vfio_irq_kvm_wait_arrived(&m->k, enabled ? n : 0);
    for (unsigned c = 0; c < m->k.cpus; c++) {
        for (unsigned number = VFIO_IRQ_GUEST_FIRST;
             number <= VFIO_IRQ_GUEST_LAST; number++) {
            unsigned taken = vfio_irq_kvm_take(&m->k, c, number);

            all += taken;
            working += taken && c == cpu && number >= first &&
                       number < first + n;
        }
    }
    g_assert_cmpuint(all, ==, working);
    return working;
}

static void msi_check(Msi *m, unsigned n)
{
    const unsigned size = ctz32(n) << ctz32(PCI_MSI_FLAGS_QSIZE);
    unsigned commits = vfio_irq_kvm_commits(&m->k), enabled, changed;

    msi_message(m, 0, 0x40);
    qpci_config_writew(m->dev, m->cap + PCI_MSI_FLAGS,
                       PCI_MSI_FLAGS_ENABLE | size);
    enabled = vfio_irq_kvm_commits(&m->k);
    g_assert_cmpuint(msi_working(m, n, 0, 0x40, true), ==, n);
    msi_message(m, m->k.cpus - 1, 0x80);
    changed = vfio_irq_kvm_commits(&m->k);
    g_assert_cmpuint(msi_working(m, n, m->k.cpus - 1, 0x80, true), ==, n);
    qpci_config_writew(m->dev, m->cap + PCI_MSI_FLAGS, 0);
    g_assert_cmpuint(msi_working(m, n, 0, 0x40, false), ==, 0);
    g_test_message("%u vectors: KVM_SET_GSI_ROUTING %u to enable, %u to change",
                   n, enabled - commits, changed - enabled);
    if (m->k.has_states) {
        g_assert_cmpuint(enabled - commits, <=, 1);
        g_assert_cmpuint(changed - enabled, <=, 2);
    }
}

void vfio_irq_kvm_test_msi(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;
    Msi m = {
        .k = { .cpus = sc->cpus },
        .server = vfio_user_server_new(&(VFIOUserIrqsConfig) {
            .msi = VFIO_USER_MSI_MAX, .msix = 1,
        }),
    };
    QPCIBus *bus;

    m.irqs = vfio_user_server_irqs(m.server);
    g_assert_cmpuint(vfio_irq_kvm_start(&m.k, &m.server, 1, NULL), ==,
                     sc->cpus);
    bus = qpci_new_pc(m.k.qts, NULL);
    m.dev = qpci_device_find(bus, QPCI_DEVFN(VFIO_MSIX_SLOT, 0));
    g_assert_nonnull(m.dev);
    qpci_device_enable(m.dev);
    m.cap = qpci_find_capability(m.dev, PCI_CAP_ID_MSI, 0);
    vfio_irq_kvm_states(&m.k, VFIO_MSIX_SLOT);
    for (unsigned n = 1; n <= VFIO_USER_MSI_MAX; n *= 2) {
        msi_check(&m, n);
    }
    vfio_irq_kvm_stop(&m.k);
    vfio_user_server_free(m.server);
    g_free(m.dev);
    qpci_free_pc(bus);
}
