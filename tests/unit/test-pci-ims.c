/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Unit test of the PCI Interrupt Message Store
 *
 * The store runs alone; what it sends ends in the stub of msi_send_message().
 */

#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/pci/ims.h"
#include "hw/pci/pci_device.h"

#define NR_ENTRIES      4096
#define CTRL(n)         ((n) * PCI_IMS_ENTRY_SIZE + A_PCI_IMS_CTRL)
#define DATA(n)         ((n) * PCI_IMS_ENTRY_SIZE + A_PCI_IMS_DATA)
#define ADDR(n)         ((n) * PCI_IMS_ENTRY_SIZE + A_PCI_IMS_ADDR_LO)
#define ADDR_HI(n)      ((n) * PCI_IMS_ENTRY_SIZE + A_PCI_IMS_ADDR_HI)

#define MASK            R_PCI_IMS_CTRL_MASK_MASK
#define PENDING         R_PCI_IMS_CTRL_PENDING_MASK
#define IGNORE          R_PCI_IMS_CTRL_IGNORE_MASK

static PCIDevice owner = { .name = "test" };
static MSIMessage last;
static unsigned nr_sent;
static bool may_send;

void msi_send_message(PCIDevice *dev, MSIMessage msg)
{
    g_assert_true(dev == &owner);
    last = msg;
    nr_sent++;
}

void memory_region_init_io(MemoryRegion *mr, Object *obj,
                           const MemoryRegionOps *ops, void *opaque,
                           const char *name, uint64_t size)
{
    g_assert_cmpuint(size % PCI_IMS_ENTRY_SIZE, ==, 0);
}

static bool enabled_cb(PCIIMS *ims)
{
    return may_send;
}

static PCIIMSConfig config(void)
{
    return (PCIIMSConfig) {
        .name = "ims",
        .nr_entries = NR_ENTRIES,
        .addr_mask = PCI_IMS_X86_ADDR_MASK,
        .addr_match = PCI_IMS_X86_ADDR_MATCH,
        .enabled = enabled_cb,
    };
}

static void setup(PCIIMS *ims, bool latch)
{
    PCIIMSConfig c = config();

    c.latch = latch;
    memset(ims, 0, sizeof(*ims));
    g_assert_true(pci_ims_init(ims, &owner, &c, &error_abort));
    nr_sent = 0;
    may_send = true;
}

static void check_sum(const PCIIMS *ims, uint32_t n, uint64_t at_once)
{
    const PCIIMSCounters *c = pci_ims_counters(ims, n);

    g_assert_cmpuint(c->raised, ==, at_once + c->pending + c->ignored +
                     c->dropped + c->refused);
}

static void test_init(void)
{
    static const uint32_t bad[] = { 0, PCI_IMS_MAX_ENTRIES + 1, UINT32_MAX };
    PCIIMSConfig c = config();
    PCIIMS ims = {};
    Error *err = NULL;
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        c.nr_entries = bad[i];
        g_assert_false(pci_ims_init(&ims, &owner, &c, &err));
        error_free_or_abort(&err);
        pci_ims_fini(&ims);
    }
    c = config();
    c.addr_match = 0x12345;
    g_assert_false(pci_ims_init(&ims, &owner, &c, &err));
    error_free_or_abort(&err);

    c = config();
    c.nr_entries = PCI_IMS_MAX_ENTRIES;
    g_assert_true(pci_ims_init(&ims, &owner, &c, &error_abort));
    g_assert_cmphex(pci_ims_read(&ims, CTRL(PCI_IMS_MAX_ENTRIES - 1), 4), ==,
                    MASK);
    pci_ims_fini(&ims);
    pci_ims_fini(&ims);
}

static void test_registers(void)
{
    PCIIMS ims;

    setup(&ims, false);
    g_assert_cmphex(pci_ims_read(&ims, ADDR(7), 8), ==, 0xfee00000);
    g_assert_cmphex(pci_ims_read(&ims, DATA(7), 8), ==, (uint64_t)MASK << 32);

    pci_ims_write(&ims, DATA(7), 0x11223344, 4);
    g_assert_cmphex(pci_ims_read(&ims, DATA(7) + 1, 1), ==, 0x33);
    pci_ims_write(&ims, DATA(7) + 2, 0xaabb, 2);
    g_assert_cmphex(pci_ims_read(&ims, DATA(7), 4), ==, 0xaabb3344);

    /* Pending cannot be written, reserved bits cannot be set */
    pci_ims_write(&ims, CTRL(7), UINT32_MAX, 4);
    g_assert_cmphex(pci_ims_read(&ims, CTRL(7), 4), ==,
                    MASK | PCI_IMS_CTRL_PERMISSION);
    g_assert_cmpuint(ims.nr_pending, ==, 0);

    /* Beyond the end */
    g_assert_cmphex(pci_ims_read(&ims, DATA(NR_ENTRIES), 4), ==, 0);
    pci_ims_write(&ims, DATA(NR_ENTRIES), 1, 4);
    g_assert_cmphex(pci_ims_read(&ims, UINT64_MAX - 7, 8), ==, 0);

    pci_ims_reset(&ims);
    g_assert_cmphex(pci_ims_read(&ims, DATA(7), 8), ==, (uint64_t)MASK << 32);
    pci_ims_fini(&ims);
}

static void test_window(void)
{
    static const uint64_t bad[] = {
        0, 0xfed00000, 0xfef00000, 0x1fee00000ull, 0xfee0000000000000ull,
    };
    PCIIMS ims;
    unsigned i;

    setup(&ims, false);
    pci_ims_write(&ims, ADDR(3), 0xfee01007, 4);
    g_assert_cmphex(pci_ims_read(&ims, ADDR(3), 8), ==, 0xfee01004);
    for (i = 0; i < ARRAY_SIZE(bad); i++) {
        pci_ims_write(&ims, ADDR(3), bad[i], 8);
        g_assert_cmphex(pci_ims_read(&ims, ADDR(3), 8), ==, 0xfee01004);
    }
    pci_ims_write(&ims, ADDR_HI(3), 1, 4);
    pci_ims_write(&ims, ADDR(3) + 3, 0xfd, 1);
    g_assert_cmphex(pci_ims_read(&ims, ADDR(3), 8), ==, 0xfee01004);
    pci_ims_write(&ims, ADDR(3), 0xfeefffff, 8);
    g_assert_cmphex(pci_ims_read(&ims, ADDR(3), 8), ==, 0xfeeffffc);
    pci_ims_fini(&ims);
}

static void test_mask(void)
{
    const uint32_t n = 3000;
    PCIIMS ims;

    setup(&ims, false);
    pci_ims_write(&ims, DATA(n), 0x55, 4);
    g_assert_cmpint(pci_ims_notify(&ims, n, false, 0), ==, PCI_IMS_PENDING);
    g_assert_cmpint(pci_ims_notify(&ims, n, false, 0), ==, PCI_IMS_PENDING);
    g_assert_cmphex(pci_ims_read(&ims, CTRL(n), 4), ==, MASK | PENDING);
    g_assert_cmpuint(nr_sent, ==, 0);

    /* Two held interrupts are one message */
    pci_ims_write(&ims, CTRL(n), 0, 4);
    g_assert_cmpuint(nr_sent, ==, 1);
    g_assert_cmphex(last.data, ==, 0x55);
    g_assert_cmphex(last.address, ==, 0xfee00000);
    g_assert_cmphex(pci_ims_read(&ims, CTRL(n), 4), ==, 0);

    g_assert_cmpint(pci_ims_notify(&ims, n, false, 0), ==, PCI_IMS_SENT);
    g_assert_cmpuint(nr_sent, ==, 2);
    g_assert_cmpuint(pci_ims_counters(&ims, n)->sent, ==, 2);
    check_sum(&ims, n, 1);
    g_assert_cmpint(pci_ims_notify(&ims, NR_ENTRIES, false, 0), ==,
                    PCI_IMS_REFUSED);
    pci_ims_fini(&ims);
}

static void test_ignore(void)
{
    PCIIMS ims;

    setup(&ims, false);
    pci_ims_write(&ims, CTRL(1), MASK | IGNORE, 4);
    g_assert_cmpint(pci_ims_notify(&ims, 1, false, 0), ==, PCI_IMS_IGNORED);
    g_assert_false(pci_ims_is_pending(&ims, 1));

    /* Neither events nor what is pending already are ignored */
    g_assert_cmpint(pci_ims_notify_event(&ims, 1), ==, PCI_IMS_PENDING);
    pci_ims_write(&ims, CTRL(1), IGNORE, 4);
    g_assert_cmpuint(nr_sent, ==, 1);
    g_assert_cmpint(pci_ims_notify_event(&ims, 1), ==, PCI_IMS_SENT);
    check_sum(&ims, 1, 1);
    pci_ims_fini(&ims);
}

/* Entry enable x requester enable x equal or not x masked or not */
static void test_pasid(void)
{
    unsigned i, refused = 0;
    PCIIMS ims;

    setup(&ims, false);
    for (i = 0; i < 16; i++) {
        bool entry_en = i & 1, req_en = i & 2, equal = i & 4, masked = i & 8;
        bool ok = entry_en == req_en && (!entry_en || equal);
        uint32_t ctrl = (0xabcdeu << R_PCI_IMS_CTRL_PASID_SHIFT) |
                        (entry_en ? R_PCI_IMS_CTRL_PASID_EN_MASK : 0) |
                        (masked ? MASK : 0);
        uint32_t pasid = equal ? 0xabcde : 0xabcdf;

        pci_ims_reset(&ims);
        nr_sent = 0;
        pci_ims_write(&ims, CTRL(2), ctrl, 4);
        g_assert_cmpint(pci_ims_permits(&ims, 2, req_en, pasid), ==, ok);
        g_assert_cmpint(pci_ims_notify(&ims, 2, req_en, pasid), ==,
                        !ok ? PCI_IMS_REFUSED :
                        masked ? PCI_IMS_PENDING : PCI_IMS_SENT);
        g_assert_cmpuint(nr_sent, ==, ok && !masked);
        g_assert_cmpint(pci_ims_is_pending(&ims, 2), ==, ok && masked);
        refused += !ok;
    }
    g_assert_cmpuint(pci_ims_counters(&ims, 2)->refused, ==, refused);
    pci_ims_fini(&ims);
}

static void test_disabled(void)
{
    PCIIMS ims;

    setup(&ims, false);
    pci_ims_set_mask(&ims, 0, false);
    may_send = false;
    g_assert_cmpint(pci_ims_notify(&ims, 0, false, 0), ==, PCI_IMS_DROPPED);
    may_send = true;
    pci_ims_kick(&ims);
    g_assert_cmpuint(nr_sent, ==, 0);
    g_assert_cmpuint(pci_ims_counters(&ims, 0)->dropped, ==, 1);
    pci_ims_fini(&ims);

    setup(&ims, true);
    pci_ims_set_mask(&ims, 0, false);
    may_send = false;
    g_assert_cmpint(pci_ims_notify(&ims, 0, false, 0), ==, PCI_IMS_PENDING);
    g_assert_cmpint(pci_ims_notify(&ims, 9, false, 0), ==, PCI_IMS_PENDING);
    pci_ims_kick(&ims);
    g_assert_cmpuint(nr_sent, ==, 0);
    may_send = true;
    pci_ims_kick(&ims);
    /* Entry 9 is masked and keeps waiting */
    g_assert_cmpuint(nr_sent, ==, 1);
    g_assert_cmpuint(ims.nr_pending, ==, 1);
    pci_ims_reset(&ims);
    g_assert_cmpuint(ims.nr_pending, ==, 0);
    pci_ims_fini(&ims);
}

/* What a migration stream may not bring */
static void test_load(void)
{
    static const struct {
        PCIIMSEntry entry;
        bool ok;
    } streams[] = {
        { { .addr = 0xfee00000, .ctrl = MASK | PENDING }, true },
        { { .addr = 0xfeeffffc, .data = 1, .ctrl = UINT32_MAX & ~0xff0 },
          true },
        { { .addr = 0xfee00001 }, false },
        { { .addr = 0xfed00000 }, false },
        { { .addr = 0x1fee00000ull }, false },
        { { .addr = 0xfee00000, .ctrl = BIT(4) }, false },
        { { .addr = 0xfee00000, .ctrl = BIT(11) }, false },
    };
    PCIIMS ims;
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(streams); i++) {
        setup(&ims, false);
        ims.entries[NR_ENTRIES - 1] = streams[i].entry;
        ims.nr_pending = 77;
        g_assert_cmpint(vmstate_pci_ims.post_load(&ims, 1), ==,
                        streams[i].ok ? 0 : -EINVAL);
        if (streams[i].ok) {
            g_assert_cmpuint(ims.nr_pending, ==, 1);
        }
        g_assert_cmpuint(nr_sent, ==, 0);
        pci_ims_fini(&ims);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pci-ims/init", test_init);
    g_test_add_func("/pci-ims/registers", test_registers);
    g_test_add_func("/pci-ims/window", test_window);
    g_test_add_func("/pci-ims/mask", test_mask);
    g_test_add_func("/pci-ims/ignore", test_ignore);
    g_test_add_func("/pci-ims/pasid", test_pasid);
    g_test_add_func("/pci-ims/disabled", test_disabled);
    g_test_add_func("/pci-ims/load", test_load);
    return g_test_run();
}
