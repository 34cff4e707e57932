/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: the register accesses of the stock Linux driver, in its order
 *
 * Probe, device and WQ enable, a copy with interrupt, and all of it undone.
 * It runs on every machine of the qos graph that has a PCI bus.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "libqtest.h"
#include "qemu/module.h"
#include "libqos/idxd-ims.h"

#define WQ          1
#define VECTOR      (WQ + 1)
#define LEN         10000

/* The driver waits for the interrupt, then trusts the status as it is */
static uint32_t command_with_interrupt(QIdxd *d, unsigned code,
                                       uint32_t operand)
{
    uint32_t cause;

    g_assert_cmphex(qidxd_readl(d, DSA_GENSTS) & 3, !=, DSA_STATE_HALT);
    qidxd_writel(d, DSA_CMD, DSA_CMD_INT | code << 20 | operand);
    qidxd_wait_message(d, 0);
    cause = qidxd_readl(d, DSA_INTCAUSE);
    qidxd_writel(d, DSA_INTCAUSE, cause);
    g_assert_cmphex(cause, ==, DSA_CAUSE_CMD);
    /* Linux 6.1 reads until there is nothing */
    g_assert_cmphex(qidxd_readl(d, DSA_INTCAUSE), ==, 0);
    return qidxd_readl(d, DSA_CMDSTS);
}

static void driver_probe(QIdxd *d)
{
    g_assert_cmphex(qidxd_readl(d, DSA_VERSION), !=, 0);
    g_assert_cmphex(qidxd_readl(d, DSA_GENSTS) & 3, !=, DSA_STATE_HALT);
    qidxd_command(d, DSA_RESET_DEVICE, 0);
    g_assert_cmpuint(d->nr_vectors, ==, d->nr_wqs + 1);
    g_assert_cmpuint(d->max_xfer_shift, >=, 21);
    g_assert_cmpuint(d->max_batch_shift, >=, 5);
    g_assert_cmpuint(d->wqcfg_stride, >=, 64);
    qidxd_msix_on(d);
    for (unsigned i = 1; i < d->nr_vectors; i++) {
        qidxd_mask_vector(d, i, true);
    }
    qidxd_writel(d, DSA_GENCTRL, qidxd_readl(d, DSA_GENCTRL) |
                 DSA_GENCTRL_SWERR | DSA_GENCTRL_HALT);
}

/* Read all of it, change some of it, write all of it */
static void driver_write_wq(QIdxd *d)
{
    uint32_t shadow[16];

    for (unsigned i = 0; i < 16; i++) {
        shadow[i] = qidxd_readl(d, qidxd_wqcfg(d, WQ, i));
    }
    shadow[0] |= 16;
    shadow[2] |= 1 | 10 << 4;
    shadow[3] |= 21 | 5 << 5;
    for (unsigned i = 0; i < 16; i++) {
        qidxd_writel(d, qidxd_wqcfg(d, WQ, i), shadow[i]);
    }
}

static void driver_enable_device(QIdxd *d)
{
    uint64_t rdbufs = extract64(qidxd_readq(d, DSA_GRPCAP), 8, 8);

    driver_write_wq(d);
    for (unsigned i = 0; i < d->nr_groups; i++) {
        uint64_t grp = d->grpcfg + i * DSA_GRPCFG_STRIDE;

        for (unsigned q = 0; q < 4; q++) {
            qidxd_writeq(d, grp + q * 8, !i && !q ? 1u << WQ : 0);
        }
        qidxd_writeq(d, grp + DSA_GRPCFG_ENGINES, !i);
        qidxd_writeq(d, grp + DSA_GRPCFG_FLAGS, 1 | 1 << 3 | rdbufs << 20);
    }
    qidxd_writel(d, DSA_GENCFG, qidxd_readl(d, DSA_GENCFG) |
                 DSA_GENCFG_USER_INT);
    g_assert_cmphex(command_with_interrupt(d, DSA_ENABLE_DEVICE, 0), ==, 0);
}

/* Returns the interrupt handle */
static uint16_t driver_enable_wq(QIdxd *d)
{
    uint32_t status;

    driver_write_wq(d);
    g_assert_cmphex(command_with_interrupt(d, DSA_ENABLE_WQ, WQ), ==, 0);
    qidxd_mask_vector(d, VECTOR, false);
    status = command_with_interrupt(d, DSA_REQUEST_HANDLE, VECTOR);
    g_assert_cmphex(status & 0xff, ==, 0);
    return extract32(status, 8, 16);
}

static void driver_copy(QIdxd *d, QGuestAllocator *alloc, uint16_t handle)
{
    QTestState *qts = d->pci.bus->qts;
    uint64_t src = guest_alloc(alloc, LEN), dst = guest_alloc(alloc, LEN);
    uint64_t record = guest_alloc(alloc, 4096);
    g_autofree uint8_t *data = g_malloc(LEN);
    g_autofree uint8_t *got = g_malloc(LEN);
    QIdxdRecord rec;

    for (unsigned i = 0; i < LEN; i++) {
        data[i] = g_test_rand_int();
    }
    qtest_bufwrite(qts, src, data, LEN);
    qtest_memset(qts, record, 0, DSA_RECORD_SIZE);
    qidxd_submit(d, WQ, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
        .opcode = DSA_OP_MEMMOVE, .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI,
        .pasid = 1u << 31, .record = record, .src = src, .dst = dst,
        .size = LEN, .handle = handle,
    });
    qidxd_wait_message(d, VECTOR);
    qidxd_read_record(d, record, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    qtest_bufread(qts, dst, got, LEN);
    g_assert(!memcmp(data, got, LEN));
}

static void driver_disable(QIdxd *d, uint16_t handle)
{
    uint32_t operand = qidxd_wq_operand(WQ);

    g_assert_cmphex(command_with_interrupt(d, DSA_DRAIN_WQ, operand), ==, 0);
    qidxd_mask_vector(d, VECTOR, true);
    g_assert_cmphex(qidxd_command(d, DSA_RELEASE_HANDLE, handle), ==, 0);
    qidxd_writel(d, qidxd_perm(d, VECTOR), 0);
    g_assert_cmphex(command_with_interrupt(d, DSA_RESET_WQ, operand), ==, 0);
    g_assert_cmphex(command_with_interrupt(d, DSA_DISABLE_DEVICE, 0), ==, 0);
    g_assert_cmphex(command_with_interrupt(d, DSA_RESET_DEVICE, 0), ==, 0);
    qidxd_writel(d, DSA_GENCTRL, 0);
}

static void test_driver(void *obj, void *data, QGuestAllocator *alloc)
{
    QIdxd *d = obj;

    if (qpci_check_buggy_msi(&d->pci)) {
        return;
    }
    driver_probe(d);
    for (unsigned i = 0; i < 2; i++) {
        uint16_t handle;

        driver_enable_device(d);
        handle = driver_enable_wq(d);
        driver_copy(d, alloc, handle);
        driver_disable(d, handle);
        g_assert_cmphex(qidxd_readq(d, DSA_SWERROR), ==, 0);
    }
}

static void idxd_ims_register_tests(void)
{
    qos_add_test("linux-driver", "idxd-ims", test_driver, NULL);
}

libqos_init(idxd_ims_register_tests);
