/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: commands, their error codes, and what they leave behind
 *
 * Sections 3.15, 5.1, 5.2, 5.8.3 and 9.2.12 of the specification.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hw/pci/pci_regs.h"
#include "idxd-ims-vm.h"

#define ALL_WQS     0x3
#define BANK(b)     ((b) << 16)

/* Codes 0 and those above the last one of CMDCAP are undefined: 0x01 */
static void test_unknown(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    for (unsigned code = 0; code < 32; code++) {
        if (!(qidxd_readq(d, DSA_CMDCAP) & (1u << code))) {
            g_assert_cmphex(qidxd_command(d, code, 0), ==, 0x01);
        }
    }
    idxd_vm_free(vm);
}

/* Without the handle commands, 13 and 14 are undefined as well */
static void test_no_cmdcap(void)
{
    IdxdVM *vm = idxd_vm_new("cmdcap=off");
    QIdxd *d = &vm->dev;

    g_assert_cmphex(qidxd_readq(d, DSA_GENCAP) & DSA_GENCAP_CMDCAP, ==, 0);
    g_assert_cmphex(qidxd_readq(d, DSA_CMDCAP), ==, 0);
    g_assert_cmphex(qidxd_command(d, DSA_REQUEST_HANDLE, 1), ==, 0x01);
    g_assert_cmphex(qidxd_command(d, DSA_RELEASE_HANDLE, 1), ==, 0x01);
    g_assert_cmphex(qidxd_command(d, DSA_DRAIN_ALL, 0), ==, 0);
    idxd_vm_free(vm);
}

/* Table 9-5: operand bits without a meaning must be 0 */
static void test_reserved_operand(void)
{
    static const struct { unsigned code; uint32_t operand; } bad[] = {
        { DSA_ENABLE_DEVICE, 1 }, { DSA_DISABLE_DEVICE, 1 << 19 },
        { DSA_DRAIN_ALL, 1 }, { DSA_ABORT_ALL, 1 << 8 },
        { DSA_RESET_DEVICE, 2 }, { DSA_ENABLE_WQ, 1 << 8 },
        { DSA_REQUEST_HANDLE, 1 << 17 | 1 },
        { DSA_RELEASE_HANDLE, 1 << 19 | 1 },
        { DSA_DRAIN_ALL | 1 << 5, 0 }, { DSA_DRAIN_ALL | 1 << 10, 0 },
    };
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        g_assert_cmphex(qidxd_command(d, bad[i].code, bad[i].operand), ==,
                        0x04);
    }
    idxd_vm_free(vm);
}

/*
 * The interrupt and its cause come only with bit 31, and the status is final
 * before the message is sent: Linux reads CMDSTS without looking at Active.
 */
static void test_completion_interrupt(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    qidxd_msix_on(d);
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    g_assert_cmphex(qidxd_readl(d, DSA_INTCAUSE), ==, 0);
    g_assert(!qidxd_take_message(d, 0));
    /* A message for each command, also while the cause is still set */
    for (unsigned i = 0; i < 3; i++) {
        qidxd_writel(d, DSA_CMD, DSA_CMD_INT | DSA_ENABLE_WQ << 20);
        qidxd_wait_message(d, 0);
        g_assert_cmphex(qidxd_readl(d, DSA_CMDSTS), ==, 0x20);
        g_assert_cmphex(qidxd_readl(d, DSA_INTCAUSE), ==, DSA_CAUSE_CMD);
    }
    g_assert_cmpuint(idxd_vm_count(vm, false, 0, "sent"), ==, 3);
    idxd_vm_free(vm);
}

/* Enable Device: one broken setting each, on top of two good WQs */
static void good_config(QIdxd *d)
{
    qidxd_command_ok(d, DSA_RESET_DEVICE, 0);
    qidxd_write_wq(d, 0, &(QIdxdWq) { });
    qidxd_write_wq(d, 1, &(QIdxdWq) { });
    qidxd_write_group(d, 0, ALL_WQS, 1);
}

static void break_size_sum(QIdxd *d)
{
    qidxd_writel(d, qidxd_wqcfg(d, 1, 0),
                 extract64(qidxd_readq(d, DSA_WQCAP), 0, 16));
}

static void break_no_engine(QIdxd *d)
{
    qidxd_write_group(d, 0, ALL_WQS, 0);
}

static void break_no_wq(QIdxd *d)
{
    qidxd_write_group(d, 1, 0, 2);
}

static void break_two_groups(QIdxd *d)
{
    qidxd_write_group(d, 1, 1, 2);
}

static void break_no_group(QIdxd *d)
{
    qidxd_write_group(d, 0, 1, 1);
}

static void break_no_size(QIdxd *d)
{
    qidxd_writel(d, qidxd_wqcfg(d, 1, 0), 0);
}

static void break_wq_bits(QIdxd *d)
{
    qidxd_write_group(d, 0, ALL_WQS | 1ull << d->nr_wqs, 1);
}

static void break_engine_twice(QIdxd *d)
{
    qidxd_write_group(d, 0, 1, 1);
    qidxd_write_group(d, 1, 2, 1);
}

static void break_engine_bits(QIdxd *d)
{
    qidxd_write_group(d, 0, ALL_WQS, 1 | 1ull << d->nr_engines);
}

static void break_read_buffers(QIdxd *d)
{
    /* Fewer than four for the one engine of the group */
    qidxd_writeq(d, d->grpcfg + DSA_GRPCFG_FLAGS, 3u << 20);
}

static void break_evl_size(QIdxd *d)
{
    qidxd_writeq(d, DSA_EVLCFG, 0x100000);
    qidxd_writeq(d, DSA_EVLCFG + 8, 63);
    qidxd_writel(d, DSA_GENCFG, qidxd_readl(d, DSA_GENCFG) | DSA_GENCFG_EVL);
}

static void break_evl_wrap(QIdxd *d)
{
    qidxd_writeq(d, DSA_EVLCFG, 0xfffffffffffff000);
    qidxd_writeq(d, DSA_EVLCFG + 8, 65);
    qidxd_writel(d, DSA_GENCFG, qidxd_readl(d, DSA_GENCFG) | DSA_GENCFG_EVL);
}

static void break_evl_pasid(QIdxd *d)
{
    qidxd_writeq(d, DSA_EVLCFG, 0x100001);
    qidxd_writeq(d, DSA_EVLCFG + 8, 64 | 5 << 16);
    qidxd_writel(d, DSA_GENCFG, qidxd_readl(d, DSA_GENCFG) | DSA_GENCFG_EVL);
}

static void break_bus_master(QIdxd *d)
{
    uint16_t cmd = qpci_config_readw(&d->pci, PCI_COMMAND);

    qpci_config_writew(&d->pci, PCI_COMMAND, cmd & ~PCI_COMMAND_MASTER);
}

static void test_enable_device_errors(void)
{
    static const struct {
        void (*break_it)(QIdxd *d);
        uint32_t error;
    } cases[] = {
        { break_size_sum, 0x14 }, { break_no_engine, 0x15 },
        { break_no_wq, 0x15 }, { break_two_groups, 0x16 },
        { break_no_group, 0x16 }, { break_no_size, 0x16 },
        { break_wq_bits, 0x16 }, { break_engine_twice, 0x17 },
        { break_engine_bits, 0x17 }, { break_read_buffers, 0x18 },
        { break_evl_size, 0x19 }, { break_evl_wrap, 0x19 },
        { break_evl_pasid, 0x1b }, { break_bus_master, 0x12 },
    };
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        uint32_t status;

        good_config(d);
        cases[i].break_it(d);
        status = qidxd_command(d, DSA_ENABLE_DEVICE, 0);
        if (status != cases[i].error) {
            g_error("Enable Device, case %u: 0x%x, expected 0x%x", i, status,
                    cases[i].error);
        }
        g_assert_cmphex(qidxd_readl(d, DSA_GENSTS), ==, 0);
    }
    qpci_device_enable(&d->pci);
    good_config(d);
    qidxd_command_ok(d, DSA_ENABLE_DEVICE, 0);
    g_assert_cmphex(qidxd_readl(d, DSA_GENSTS), ==, DSA_STATE_ENABLED);
    g_assert_cmphex(qidxd_command(d, DSA_ENABLE_DEVICE, 0), ==, 0x10);
    idxd_vm_free(vm);
}

static void test_evl_unsupported(void)
{
    IdxdVM *vm = idxd_vm_new("event-log=off");
    QIdxd *d = &vm->dev;

    g_assert_cmphex(extract64(qidxd_readq(d, DSA_GENCAP), 13, 2), ==, 0);
    good_config(d);
    qidxd_writel(d, DSA_GENCFG, qidxd_readl(d, DSA_GENCFG) | DSA_GENCFG_EVL);
    if (qidxd_readl(d, DSA_GENCFG) & DSA_GENCFG_EVL) {
        g_assert_cmphex(qidxd_command(d, DSA_ENABLE_DEVICE, 0), ==, 0x19);
    } else {
        qidxd_command_ok(d, DSA_ENABLE_DEVICE, 0);
    }
    idxd_vm_free(vm);
}

/* Enable WQ: the dword of WQCFG that is changed, and the error for it */
typedef struct WqCase {
    unsigned dword;
    uint32_t clear, set;
    uint32_t error;
} WqCase;

#define DW2_MODE        (1u << 0)
#define DW2_BOF         (1u << 1)
#define DW2_NO_ATS      (1u << 2)
#define DW2_NO_PRS      (1u << 3)
#define DW2_PRIORITY    (0xfu << 4)
#define DW2_PASID_EN    (1u << 28)
#define DW2_PRIV        (1u << 29)

static const WqCase wq_cases[] = {
    { 2, DW2_PRIORITY, 0, 0x23 },
    { 2, 0, DW2_BOF, 0x25 },
    { 2, 0, DW2_PASID_EN, 0x26 },
    { 3, 0xf << 5, 0, 0x27 },
    { 3, 0xf << 5, 11 << 5, 0x27 },
    { 2, 0, DW2_NO_PRS, 0x2e },
    { 8, 0, 1u << 31, 0x2d },
};

static uint32_t try_wq_case(QIdxd *d, const WqCase *c)
{
    uint64_t off = qidxd_wqcfg(d, 1, c->dword);
    uint32_t old = qidxd_readl(d, off), status;

    qidxd_writel(d, off, (old & ~c->clear) | c->set);
    status = qidxd_command(d, DSA_ENABLE_WQ, 1);
    qidxd_writel(d, off, old);
    return status;
}

static void test_enable_wq_errors(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    good_config(d);
    g_assert_cmphex(qidxd_command(d, DSA_ENABLE_WQ, 1), ==, 0x20);
    qidxd_command_ok(d, DSA_ENABLE_DEVICE, 0);
    g_assert_cmphex(qidxd_command(d, DSA_ENABLE_WQ, d->nr_wqs), ==, 0x02);
    g_assert_cmphex(qidxd_command(d, DSA_ENABLE_WQ, 0xff), ==, 0x02);
    g_assert_cmphex(qidxd_command(d, DSA_ENABLE_WQ, 2), ==, 0x22);
    for (unsigned i = 0; i < ARRAY_SIZE(wq_cases); i++) {
        uint32_t status = try_wq_case(d, &wq_cases[i]);

        if (status != wq_cases[i].error) {
            g_error("Enable WQ, case %u: 0x%x, expected 0x%x", i, status,
                    wq_cases[i].error);
        }
        g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, 1, 6)) >> 30, ==, 0);
    }
    /* Shared needs PASID (0x26), unless shared mode does not exist (0x24) */
    g_assert_cmphex(try_wq_case(d, &(WqCase) { 2, DW2_MODE, 0 }), ==,
                    qidxd_readq(d, DSA_WQCAP) & DSA_WQCAP_SHARED ? 0x26 : 0x24);
    if (!(qidxd_readq(d, DSA_WQCAP) & DSA_WQCAP_ATS)) {
        g_assert_cmphex(try_wq_case(d, &(WqCase) { 2, 0, DW2_NO_ATS }), ==,
                        0x2c);
    }
    if (d->max_xfer_shift < 31) {
        g_assert_cmphex(try_wq_case(d, &(WqCase) { 3, 0, 31 }), ==, 0x28);
    }
    qidxd_command_ok(d, DSA_ENABLE_WQ, 1);
    g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, 1, 6)) >> 30, ==, 1);
    g_assert_cmphex(qidxd_command(d, DSA_ENABLE_WQ, 1), ==, 0x21);
    idxd_vm_free(vm);
}

/* 0x2a, and that PASID and privilege are fine once PCI allows them */
static void test_enable_wq_pasid(void)
{
    const WqCase plain = { 2, 0, DW2_PASID_EN, 0 };
    const WqCase priv = { 2, 0, DW2_PASID_EN | DW2_PRIV, 0x2a };
    IdxdVM *vm = idxd_vm_new("pasid=on");
    QIdxd *d = &vm->dev;

    idxd_vm_enable_pasid(vm, false);
    good_config(d);
    qidxd_command_ok(d, DSA_ENABLE_DEVICE, 0);
    g_assert_cmphex(try_wq_case(d, &priv), ==, 0x2a);
    g_assert_cmphex(try_wq_case(d, &plain), ==, 0);
    qidxd_command_ok(d, DSA_RESET_DEVICE, 0);
    idxd_vm_enable_pasid(vm, true);
    good_config(d);
    qidxd_command_ok(d, DSA_ENABLE_DEVICE, 0);
    g_assert_cmphex(try_wq_case(d, &priv), ==, 0);
    idxd_vm_free(vm);
}

/* The commands on bitmaps: banks, disabled WQs, WQs that do not exist */
static void test_wq_commands(void)
{
    static const unsigned codes[] = {
        DSA_DISABLE_WQ, DSA_DRAIN_WQ, DSA_ABORT_WQ,
    };
    IdxdVM *vm = idxd_vm_new("wqs=40,wq-entries=640");
    QIdxd *d = &vm->dev;

    qidxd_bring_up(d, 40, NULL);
    g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, 37, 6)) >> 30, ==, 1);
    qidxd_command_ok(d, DSA_DISABLE_WQ, BANK(2) | 1 << 5);
    g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, 37, 6)) >> 30, ==, 0);
    g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, 5, 6)) >> 30, ==, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++) {
        g_assert_cmphex(qidxd_command(d, codes[i], BANK(2) | 1 << 5), ==, 0x32);
        g_assert_cmphex(qidxd_command(d, codes[i], BANK(2) | 3 << 5), ==, 0x32);
        g_assert_cmphex(qidxd_command(d, codes[i], BANK(2) | 1 << 8), ==, 0x02);
        g_assert_cmphex(qidxd_command(d, codes[i], BANK(15) | 1), ==, 0x02);
    }
    /* All or nothing: 38 was named above together with a disabled one */
    g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, 38, 6)) >> 30, ==, 1);
    qidxd_command_ok(d, DSA_RESET_WQ, BANK(2) | 3 << 5);
    qidxd_command_ok(d, DSA_DRAIN_PASID, 0);
    qidxd_command_ok(d, DSA_ABORT_PASID, 0xfffff);
    qidxd_command_ok(d, DSA_ABORT_ALL, 0);
    idxd_vm_free(vm);
}

/* Reset WQ: back to Disabled, everything initial but the size */
static void test_reset_wq(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    qidxd_bring_up(d, 2, NULL);
    qidxd_command_ok(d, DSA_RESET_WQ, 1 << 1);
    g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, 1, 0)), ==, 16);
    for (unsigned dw = 1; dw < 8; dw++) {
        g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, 1, dw)), ==, 0);
    }
    g_assert_cmphex(qidxd_readq(d, qidxd_wqcfg(d, 1, 8)), ==,
                    qidxd_readq(d, DSA_OPCAP));
    g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, 0, 6)) >> 30, ==, 1);
    idxd_vm_free(vm);
}

static void test_disable_device(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    g_assert_cmphex(qidxd_command(d, DSA_DISABLE_DEVICE, 0), ==, 0x31);
    qidxd_bring_up(d, 2, NULL);
    qidxd_command_ok(d, DSA_DISABLE_DEVICE, 0);
    g_assert_cmphex(qidxd_readl(d, DSA_GENSTS), ==, 0);
    for (unsigned wq = 0; wq < 2; wq++) {
        g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, wq, 6)) >> 30, ==, 0);
        g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, wq, 0)), ==, 16);
    }
    idxd_vm_free(vm);
}

/* Section 5.7: no bus mastering while enabled halts the device */
static void test_halt(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    qidxd_bring_up(d, 1, NULL);
    qidxd_writel(d, DSA_GENCTRL, DSA_GENCTRL_HALT);
    break_bus_master(d);
    g_assert_cmphex(qidxd_readl(d, DSA_GENSTS) & 3, ==, DSA_STATE_HALT);
    g_assert_cmphex(DSA_SWERR_CODE(qidxd_readq(d, DSA_SWERROR)), ==, 0x51);
    g_assert_cmphex(qidxd_readl(d, DSA_INTCAUSE), ==, DSA_CAUSE_HALT);
    g_assert_cmphex(qidxd_command(d, DSA_DRAIN_ALL, 0), ==, 0x05);
    g_assert_cmphex(qidxd_command(d, DSA_ENABLE_WQ, 0), ==, 0x05);
    qpci_device_enable(&d->pci);
    g_assert_cmphex(qidxd_readl(d, DSA_GENSTS) & 3, ==, DSA_STATE_HALT);
    if (extract32(qidxd_readl(d, DSA_GENSTS), 2, 2)) {
        idxd_vm_flr(vm);
        idxd_vm_rediscover(vm);
    }
    qidxd_bring_up(d, 1, NULL);
    g_assert_cmphex(qidxd_readl(d, DSA_GENSTS), ==, DSA_STATE_ENABLED);
    idxd_vm_free(vm);
}

/* A command during another is dropped and recorded, the first one goes on */
static void test_busy(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc fill = {
        .opcode = DSA_OP_FILL, .dst = vm->ram, .size = IDXD_VM_RAM,
    };
    uint64_t swerr;

    qidxd_bring_up(d, 1, NULL);
    for (unsigned i = 0; i < 8; i++) {
        qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &fill);
    }
    qidxd_writel(d, DSA_CMD, DSA_DRAIN_ALL << 20);
    g_assert_cmphex(qidxd_readl(d, DSA_CMDSTS) & DSA_CMDSTS_ACTIVE, !=, 0);
    qidxd_writel(d, DSA_CMD, DSA_DISABLE_DEVICE << 20);
    swerr = qidxd_readq(d, DSA_SWERROR);
    g_assert_cmphex(swerr & DSA_SWERR_VALID, ==, DSA_SWERR_VALID);
    g_assert_cmphex(DSA_SWERR_CODE(swerr), ==, 0x52);
    g_assert_cmphex(qidxd_wait_command(d), ==, 0);
    g_assert_cmphex(qidxd_readl(d, DSA_GENSTS), ==, DSA_STATE_ENABLED);
    idxd_vm_free(vm);
}

/* Handles: errors, stability, and that they are not simply the index */
static void test_handles(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    bool differs = false;

    g_assert_cmphex(qidxd_command(d, DSA_REQUEST_HANDLE, d->nr_vectors) & 0xff,
                    ==, 0x41);
    g_assert_cmphex(qidxd_command(d, DSA_REQUEST_HANDLE,
                                  DSA_HANDLE_IMS | d->nr_ims) & 0xff, ==, 0x41);
    for (unsigned i = 1; i < d->nr_vectors; i++) {
        uint16_t handle = qidxd_request_handle(d, false, i);

        differs |= handle != i;
        g_assert_cmphex(qidxd_request_handle(d, false, i), ==, handle);
        for (unsigned j = 1; j < i; j++) {
            g_assert_cmphex(qidxd_request_handle(d, false, j), !=, handle);
        }
    }
    g_assert(differs);
    g_assert_cmphex(qidxd_command(d, DSA_RELEASE_HANDLE, d->nr_vectors), ==,
                    0x41);
    g_assert_cmphex(qidxd_command(d, DSA_RELEASE_HANDLE,
                                  DSA_HANDLE_IMS | d->nr_ims), ==, 0x41);
    /* As Linux does it: the operand of the release is the handle */
    qidxd_command_ok(d, DSA_RELEASE_HANDLE, qidxd_request_handle(d, false, 3));
    qidxd_command_ok(d, DSA_RELEASE_HANDLE, qidxd_request_handle(d, false, 4));
    idxd_vm_free(vm);
}

/* No more handles than the device has, and one given back is one to have */
static void test_handle_limit(void)
{
    IdxdVM *vm = idxd_vm_new("x-max-handles=4");
    QIdxd *d = &vm->dev;
    uint16_t handle = 0;

    for (unsigned i = 1; i <= 4; i++) {
        handle = qidxd_request_handle(d, i % 2, i);
    }
    g_assert_cmphex(qidxd_command(d, DSA_REQUEST_HANDLE, 7) & 0xff, ==, 0x42);
    g_assert_cmphex(qidxd_request_handle(d, false, 4), ==, handle);
    qidxd_command_ok(d, DSA_RELEASE_HANDLE, handle);
    qidxd_request_handle(d, false, 7);
    idxd_vm_free(vm);
}

void idxd_ims_add_command_tests(void)
{
    qtest_add_func("/idxd-ims/cmd/unknown", test_unknown);
    qtest_add_func("/idxd-ims/cmd/no-cmdcap", test_no_cmdcap);
    qtest_add_func("/idxd-ims/cmd/reserved-operand", test_reserved_operand);
    qtest_add_func("/idxd-ims/cmd/interrupt", test_completion_interrupt);
    qtest_add_func("/idxd-ims/cmd/enable-device", test_enable_device_errors);
    qtest_add_func("/idxd-ims/cmd/no-event-log", test_evl_unsupported);
    qtest_add_func("/idxd-ims/cmd/enable-wq", test_enable_wq_errors);
    qtest_add_func("/idxd-ims/cmd/enable-wq-pasid", test_enable_wq_pasid);
    qtest_add_func("/idxd-ims/cmd/wq-bitmaps", test_wq_commands);
    qtest_add_func("/idxd-ims/cmd/reset-wq", test_reset_wq);
    qtest_add_func("/idxd-ims/cmd/disable-device", test_disable_device);
    qtest_add_func("/idxd-ims/cmd/halt", test_halt);
    qtest_add_func("/idxd-ims/cmd/busy", test_busy);
    qtest_add_func("/idxd-ims/cmd/handles", test_handles);
    qtest_add_func("/idxd-ims/cmd/handle-limit", test_handle_limit);
}
