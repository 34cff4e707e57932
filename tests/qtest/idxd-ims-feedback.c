/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: messages that lead back to the device
 *
 * A message is a write to any address.  Here it goes to the slot that the
 * device is in, and switches its power off: the device is gone before the code
 * that sent the message goes on.  Or it resets the device.  (Not in a write to
 * configuration space: the host bridge does not take a second one meanwhile.)
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hw/pci/pci_regs.h"
#include "idxd-ims-vm.h"

#define VECTOR      3

typedef struct Message {
    uint64_t addr;
    uint32_t data;
} Message;

static IdxdVM *start(void)
{
    IdxdVM *vm;

    if (!qtest_has_device("pcie-root-port")) {
        g_test_skip("this QEMU has no pcie-root-port");
        return NULL;
    }
    vm = idxd_vm_new_port(NULL, "");
    qidxd_msix_on(&vm->dev);
    return vm;
}

static Message power_off(IdxdVM *vm)
{
    Message msg;

    msg.addr = idxd_vm_port_off(vm, &msg.data);
    return msg;
}

/* Function-level reset, by the device control in the ECAM window */
static Message reset_function(IdxdVM *vm)
{
    uint8_t cap = qpci_find_capability(&vm->dev.pci, PCI_CAP_ID_EXP, 0);
    unsigned off = cap + PCI_EXP_DEVCTL;

    return (Message) {
        .addr = idxd_vm_ecam(vm, off),
        .data = idxd_vm_ecam_readl(vm, off) | PCI_EXP_DEVCTL_BCR_FLR,
    };
}

static void aim(QIdxd *d, unsigned vector, Message msg)
{
    uint64_t entry = qidxd_vector(d, vector);

    qidxd_mask_vector(d, vector, true);
    qidxd_writel(d, entry + PCI_MSIX_ENTRY_LOWER_ADDR, msg.addr);
    qidxd_writel(d, entry + PCI_MSIX_ENTRY_UPPER_ADDR, msg.addr >> 32);
    qidxd_writel(d, entry + PCI_MSIX_ENTRY_DATA, msg.data);
}

static void submit_interrupt(IdxdVM *vm)
{
    qidxd_submit(&vm->dev, 0, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
        .flags = DSA_FLAG_RCI,
        .handle = qidxd_request_handle(&vm->dev, false, VECTOR),
    });
    qidxd_command_ok(&vm->dev, DSA_DRAIN_ALL, 0);
}

static void check_usable(IdxdVM *vm)
{
    QIdxdDesc nop = {
        .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI, .record = vm->ram,
    };
    QIdxdRecord rec;

    qidxd_msix_on(&vm->dev);
    qidxd_bring_up(&vm->dev, 1, NULL);
    nop.handle = qidxd_request_handle(&vm->dev, false, VECTOR);
    qidxd_run(&vm->dev, 0, DSA_PORTAL_LIMITED, &nop, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    qidxd_wait_message(&vm->dev, VECTOR);
}

/* The device has left; another one works in its place */
static void check_gone(IdxdVM *vm)
{
    qtest_qmp_eventwait(vm->qts, "DEVICE_DELETED");
    idxd_vm_plug(vm, 8, 128);
    check_usable(vm);
    idxd_vm_free(vm);
}

/* A pending interrupt goes out when the guest unmasks its vector */
static void test_unmask(void)
{
    IdxdVM *vm = start();

    if (!vm) {
        return;
    }
    qidxd_bring_up(&vm->dev, 1, NULL);
    aim(&vm->dev, VECTOR, power_off(vm));
    submit_interrupt(vm);
    qidxd_mask_vector(&vm->dev, VECTOR, false);
    check_gone(vm);
}

/*
 * A message that is rewritten while its vector is unmasked: what is raised
 * meanwhile goes out with the last write, or after a while.
 */
static void check_rewrite(bool is_whole)
{
    IdxdVM *vm = start();
    uint64_t entry;
    QIdxd *d;
    Message off;

    if (!vm) {
        return;
    }
    d = &vm->dev;
    entry = qidxd_vector(d, VECTOR);
    off = power_off(vm);
    qidxd_bring_up(d, 1, NULL);
    qidxd_mask_vector(d, VECTOR, true);
    qidxd_writel(d, entry + PCI_MSIX_ENTRY_DATA,
                 is_whole ? off.data ^ 1 : off.data);
    qidxd_mask_vector(d, VECTOR, false);
    qidxd_writel(d, entry + PCI_MSIX_ENTRY_LOWER_ADDR, off.addr);
    submit_interrupt(vm);
    if (is_whole) {
        qidxd_writel(d, entry + PCI_MSIX_ENTRY_UPPER_ADDR, off.addr >> 32);
        qidxd_writel(d, entry + PCI_MSIX_ENTRY_DATA, off.data);
    } else {
        qtest_clock_step(vm->qts, 25 * 1000 * 1000);
    }
    check_gone(vm);
}

static void test_rewrite(void)
{
    check_rewrite(true);
}

static void test_rewrite_timeout(void)
{
    check_rewrite(false);
}

/* A completion that is followed by more work */
static void test_completion(void)
{
    IdxdVM *vm = start();
    QIdxdDesc desc;

    if (!vm) {
        return;
    }
    qidxd_bring_up(&vm->dev, 1, NULL);
    aim(&vm->dev, VECTOR, power_off(vm));
    qidxd_mask_vector(&vm->dev, VECTOR, false);
    desc = (QIdxdDesc) {
        .flags = DSA_FLAG_RCI,
        .handle = qidxd_request_handle(&vm->dev, false, VECTOR),
    };
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'stop' }");
    for (unsigned i = 0; i < 4; i++) {
        qidxd_submit(&vm->dev, 0, DSA_PORTAL_LIMITED, &desc);
    }
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'cont' }");
    check_gone(vm);
}

/*
 * The occupancy interrupt goes out when an engine takes a descriptor, which it
 * then must not work on.
 */
static void take_descriptor(IdxdVM *vm, Message (*message)(IdxdVM *vm))
{
    QIdxd *d = &vm->dev;
    uint16_t handle;

    qidxd_configure(d, 1, NULL);
    handle = qidxd_request_handle(d, false, VECTOR);
    qidxd_writel(d, qidxd_wqcfg(d, 0, 4), handle);
    qidxd_writel(d, qidxd_wqcfg(d, 0, 5), 1u << 16);
    qidxd_enable(d, 1);
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'stop' }");
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
        .opcode = DSA_OP_NOP, .flags = DSA_FLAG_RECORD, .record = vm->ram,
    });
    qidxd_writel(d, qidxd_wqcfg(d, 0, 6), 1u << 16);
    aim(d, VECTOR, message(vm));
    qidxd_mask_vector(d, VECTOR, false);
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'cont' }");
}

static void test_fetch(void)
{
    IdxdVM *vm = start();

    if (!vm) {
        return;
    }
    take_descriptor(vm, power_off);
    check_gone(vm);
}

static void test_fetch_reset(void)
{
    IdxdVM *vm = start();
    QIdxdRecord rec;

    if (!vm) {
        return;
    }
    take_descriptor(vm, reset_function);
    idxd_vm_rediscover(vm);
    g_assert_cmphex(qidxd_readl(&vm->dev, DSA_GENSTS), ==, 0);
    g_assert_cmphex(qidxd_readq(&vm->dev, DSA_SWERROR), ==, 0);
    qidxd_read_record(&vm->dev, vm->ram, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_NONE);
    check_usable(vm);
    idxd_vm_free(vm);
}

/*
 * A message that goes out as the VM goes on: it was being rewritten when the VM
 * moved, and was raised before the VM went on.  The device that it switches off
 * hears of that change of state, too, and would be the next one.
 */
static void test_vm_change(void)
{
    IdxdVM *vm;
    Message off;

    if (!qtest_has_device("pcie-root-port")) {
        g_test_skip("this QEMU has no pcie-root-port");
        return;
    }
    vm = idxd_vm_new_beside_port();
    off = power_off(vm);
    qidxd_msix_on(&vm->dev);
    qidxd_bring_up(&vm->dev, 1, NULL);
    aim(&vm->dev, 0, (Message) { .addr = off.addr, .data = off.data ^ 1 });
    qidxd_mask_vector(&vm->dev, 0, false);
    qidxd_writel(&vm->dev, qidxd_vector(&vm->dev, 0) + PCI_MSIX_ENTRY_DATA,
                 off.data);
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'stop' }");
    vm = idxd_vm_move(vm);
    qidxd_command(&vm->dev, DSA_ENABLE_WQ, DSA_CMD_INT);
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'cont' }");
    qtest_qmp_eventwait(vm->qts, "DEVICE_DELETED");
    check_usable(vm);
    idxd_vm_free(vm);
}

void idxd_ims_add_feedback_tests(void)
{
    qtest_add_func("/idxd-ims/feedback/unmask", test_unmask);
    qtest_add_func("/idxd-ims/feedback/rewrite", test_rewrite);
    qtest_add_func("/idxd-ims/feedback/rewrite-timeout", test_rewrite_timeout);
    qtest_add_func("/idxd-ims/feedback/completion", test_completion);
    qtest_add_func("/idxd-ims/feedback/fetch", test_fetch);
    qtest_add_func("/idxd-ims/feedback/fetch-reset", test_fetch_reset);
    qtest_add_func("/idxd-ims/feedback/vm-change", test_vm_change);
}
