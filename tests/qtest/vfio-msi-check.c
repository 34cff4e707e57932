/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plain MSI of an assigned device: all sizes, and a host that is short.
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include <linux/vfio.h>
#include "hw/pci/pci_regs.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "qemu/host-utils.h"
#include "libqos/vfio-msix-model.h"
#include "vfio-msi-check.h"

#define INDEX VFIO_PCI_MSI_IRQ_INDEX

/* The low bits are the vector's number, see PCI 3.0, 6.8.1.6 */
#define DATA 0x4a00

/* Of a host that is short */
#define GRANTED 8

typedef struct Msi {
    VFIOUserServer *server;
    VFIOUserIrqs *irqs;
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *dev;
    uint8_t cap;
    uint32_t *memory;
} Msi;

static void msi_start(Msi *m, const char *policy, const char *binary_var)
{
    VFIOUserIrqsConfig cfg = {
        .msi = VFIO_USER_MSI_MAX, .msix = 1, .split_upwards = binary_var,
    };

    m->server = vfio_user_server_new(&cfg);
    m->irqs = vfio_user_server_irqs(m->server);
    m->qts = vfio_msix_start_qemu(m->server, policy, binary_var);
    m->bus = qpci_new_pc(m->qts, NULL);
    m->dev = qpci_device_find(m->bus, QPCI_DEVFN(VFIO_MSIX_SLOT, 0));
    g_assert_nonnull(m->dev);
    qpci_device_enable(m->dev);
    m->cap = qpci_find_capability(m->dev, PCI_CAP_ID_MSI, 0);
    g_assert_cmpuint(m->cap, !=, 0);
    m->memory = vfio_user_server_map_guest(m->server, VFIO_MSIX_MEMORY_BASE,
                                           VFIO_MSIX_MEMORY_SIZE);
    g_assert_nonnull(m->memory);
    qpci_config_writel(m->dev, m->cap + PCI_MSI_ADDRESS_LO,
                       VFIO_MSIX_MEMORY_BASE);
    qpci_config_writel(m->dev, m->cap + PCI_MSI_ADDRESS_HI, 0);
    qpci_config_writew(m->dev, m->cap + PCI_MSI_DATA_64, DATA);
}

static void msi_stop(Msi *m)
{
    qtest_quit(m->qts);
    vfio_user_server_free(m->server);
    munmap(m->memory, VFIO_MSIX_MEMORY_SIZE);
    g_free(m->dev);
    qpci_free_pc(m->bus);
}

static void msi_enable(Msi *m, unsigned vectors)
{
    uint16_t size = ctz32(vectors) << ctz32(PCI_MSI_FLAGS_QSIZE);

    qpci_config_writew(m->dev, m->cap + PCI_MSI_FLAGS,
                       vectors ? PCI_MSI_FLAGS_ENABLE | size : 0);
    /* where the host refused something, vectors may come without a raise */
    vfio_msix_settle(m->qts, m->irqs);
}

/* How many of @vectors arrive, each with its own number */
static unsigned msi_working(Msi *m, unsigned vectors)
{
    unsigned working = 0;

    for (unsigned v = 0; v < vectors; v++) {
        uint32_t data;

        qatomic_set(m->memory, 0);
        vfio_user_irqs_fire(m->irqs, INDEX, v);
        vfio_msix_settle(m->qts, m->irqs);
        data = le32_to_cpu(qatomic_read(m->memory));
        if (data) {
            g_assert_cmphex(data, ==, DATA | v);
            working++;
        }
    }
    return working;
}

void vfio_msi_check(const char *policy)
{
    VFIOUserIrqStats before, after;
    Msi m;

    msi_start(&m, policy, NULL);
    for (unsigned n = 1; n <= VFIO_USER_MSI_MAX; n *= 2) {
        vfio_user_irqs_stats(m.irqs, INDEX, &before);
        msi_enable(&m, n);
        vfio_user_irqs_stats(m.irqs, INDEX, &after);
        g_assert_cmpuint(after.allocated, ==, n);
        g_assert_cmpuint(after.requests - before.requests, ==, 1);
        g_assert_cmpuint(msi_working(&m, n), ==, n);
        msi_enable(&m, 0);
        vfio_user_irqs_stats(m.irqs, INDEX, &after);
        g_assert_cmpuint(after.allocated, ==, 0);
        g_assert_cmpuint(after.lost, ==, 0);
        g_assert_cmpuint(after.live_disables, ==, 0);
    }
    msi_stop(&m);
}

void vfio_msi_check_short(const char *policy)
{
    VFIOUserIrqFaults faults = {
        .alloc_limit = GRANTED, .alloc_errno = ENOSPC,
    };
    Msi m;

    msi_start(&m, policy, NULL);
    vfio_user_irqs_set_faults(m.irqs, &faults);
    msi_enable(&m, VFIO_USER_MSI_MAX);
    g_assert_cmpuint(msi_working(&m, VFIO_USER_MSI_MAX), ==,
                     GRANTED);
    msi_enable(&m, 0);

    /* the host has recovered, and so has the guest */
    vfio_user_irqs_set_faults(m.irqs, &(VFIOUserIrqFaults) { 0 });
    msi_enable(&m, VFIO_USER_MSI_MAX);
    g_assert_cmpuint(msi_working(&m, VFIO_USER_MSI_MAX), ==,
                     VFIO_USER_MSI_MAX);
    msi_stop(&m);
}

static void msix_enable(Msi *m, bool enable)
{
    uint8_t cap = qpci_find_capability(m->dev, PCI_CAP_ID_MSIX, 0);

    qpci_config_writew(m->dev, cap + PCI_MSIX_FLAGS,
                       enable ? PCI_MSIX_FLAGS_ENABLE : 0);
    vfio_msix_settle(m->qts, m->irqs);
}

/* Unmask the only entry, so that the MSI-X core tells of it */
static void msix_unmask(Msi *m)
{
    uint8_t cap = qpci_find_capability(m->dev, PCI_CAP_ID_MSIX, 0);
    uint32_t table = qpci_config_readl(m->dev, cap + PCI_MSIX_TABLE);
    QPCIBar bar = qpci_iomap(m->dev, table & PCI_MSIX_TABLE_BIR, NULL);
    uint32_t control = (table & PCI_MSIX_TABLE_OFFSET) +
                       PCI_MSIX_ENTRY_VECTOR_CTRL;

    qpci_io_writel(m->dev, bar, control, PCI_MSIX_ENTRY_CTRL_MASKBIT);
    qpci_io_writel(m->dev, bar, control, 0);
    vfio_msix_settle(m->qts, m->irqs);
}

/*
 * PCI forbids to enable both, and to change the number of MSI vectors while
 * MSI is enabled.  A guest can do so all the same; QEMU must live on, and MSI
 * must work once the guest uses it as it should.
 */

static void mix_msi_over_msix(Msi *m)
{
    msix_enable(m, true);
    msi_enable(m, 4);
    msix_enable(m, false);
    g_assert_cmpuint(msi_working(m, 4), ==, 4);
    msi_enable(m, 0);
}

static void mix_msix_over_msi(Msi *m)
{
    msi_enable(m, 4);
    msix_enable(m, true);
    msi_enable(m, 0);
    msix_unmask(m);
    msix_enable(m, false);
}

static void mix_msix_within_msi(Msi *m)
{
    msi_enable(m, 4);
    msix_enable(m, true);
    msix_enable(m, false);
    msi_enable(m, 0);
}

/* What the device raises has no number among those that are left */
static void mix_fewer_vectors(Msi *m)
{
    msi_enable(m, VFIO_USER_MSI_MAX);
    msi_enable(m, 2);
    vfio_user_irqs_fire(m->irqs, INDEX, 5);
    g_assert_cmpuint(msi_working(m, 2), ==, 2);
    msi_enable(m, 0);
}

static void mix_more_vectors(Msi *m)
{
    msi_enable(m, 2);
    msi_enable(m, 16);
    g_assert_cmpuint(msi_working(m, 16), ==, 16);
    msi_enable(m, 0);
}

static void (*const mixes[])(Msi *m) = {
    [VFIO_MSI_OVER_MSIX] = mix_msi_over_msix,
    [VFIO_MSIX_OVER_MSI] = mix_msix_over_msi,
    [VFIO_MSIX_WITHIN_MSI] = mix_msix_within_msi,
    [VFIO_MSI_FEWER_VECTORS] = mix_fewer_vectors,
    [VFIO_MSI_MORE_VECTORS] = mix_more_vectors,
};

void vfio_msi_check_mix(const char *policy)
{
    Msi m;

    msi_start(&m, policy, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(mixes); i++) {
        mixes[i](&m);
    }
    g_assert_cmpuint(msi_working(&m, VFIO_USER_MSI_MAX), ==, 0);
    msi_enable(&m, VFIO_USER_MSI_MAX);
    g_assert_cmpuint(msi_working(&m, VFIO_USER_MSI_MAX), ==,
                     VFIO_USER_MSI_MAX);
    msi_stop(&m);
}

void vfio_msi_try_mix(VFIOMsiMix mix, const char *binary_var)
{
    Msi m;

    msi_start(&m, NULL, binary_var);
    mixes[mix](&m);
    msi_stop(&m);
}
