/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: completion interrupts, their order, masks, handles
 *
 * Sections 3.7, 3.9, 7.5.4, 9.2.22 and 9.2.28 of the specification.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hw/pci/pci_regs.h"
#include "idxd-ims-vm.h"

#define RECORD      0x0
#define RECORDS     0x8000
#define DST         0x200000
#define MARK        0xfeedc0de
#define IMS_VECTOR  0x51            /* of the CPU */

static QIdxdDesc nop_irq(IdxdVM *vm, uint16_t handle)
{
    return (QIdxdDesc) {
        .opcode = DSA_OP_NOP, .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI,
        .record = vm->ram + RECORD, .handle = handle,
    };
}

static uint8_t run_status(IdxdVM *vm, QIdxdPortal kind, const QIdxdDesc *desc)
{
    QIdxdRecord rec;

    qidxd_run(&vm->dev, 0, kind, desc, &rec);
    /* No interrupt of this descriptor may come after a drain, 3.15 */
    qidxd_command_ok(&vm->dev, DSA_DRAIN_ALL, 0);
    return rec.status;
}

static void set_ims(QIdxd *d, unsigned entry, unsigned cpu_vector,
                    uint32_t ctrl)
{
    qidxd_writeq(d, qidxd_ims(d, entry), 0xfee00000);
    qidxd_writel(d, qidxd_ims(d, entry) + DSA_IMS_DATA, cpu_vector);
    qidxd_writel(d, qidxd_ims(d, entry) + DSA_IMS_CTRL, ctrl);
}

/*
 * Who writes last wins: the destination covers the record, and the message
 * goes into the unused last dword of the record.  Any other order than data,
 * record, interrupt leaves something else there.
 */
static void test_order(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    uint64_t record = vm->ram + DST + 0x20000;
    QIdxdDesc desc = {
        .opcode = DSA_OP_FILL, .size = 0x40000, .src = UINT64_MAX,
        .dst = vm->ram + DST, .record = record,
        .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI,
    };

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    desc.handle = qidxd_request_handle(d, false, 1);
    qidxd_mask_vector(d, 1, true);
    qidxd_writel(d, qidxd_vector(d, 1), record + 28);
    qidxd_writel(d, qidxd_vector(d, 1) + PCI_MSIX_ENTRY_DATA, MARK);
    qidxd_mask_vector(d, 1, false);
    for (unsigned i = 0; i < 16; i++) {
        qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &desc);
        qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
        g_assert_cmphex(qtest_readl(vm->qts, record + 28), ==, MARK);
        g_assert_cmphex(qtest_readb(vm->qts, record), ==, DSA_ST_SUCCESS);
        g_assert_cmphex(qtest_readl(vm->qts, record + 32), ==, ~0u);
        g_assert_cmphex(qtest_readl(vm->qts, record - 4), ==, ~0u);
    }
    idxd_vm_free(vm);
}

/* An interrupt also for what has failed, as long as the handle is good */
static void test_interrupt_on_error(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc desc;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    desc = nop_irq(vm, qidxd_request_handle(d, false, 1));
    g_assert_cmphex(run_status(vm, DSA_PORTAL_LIMITED, &desc), ==,
                    DSA_ST_SUCCESS);
    g_assert(qidxd_take_message(d, 1));
    desc.opcode = 0x3f;
    g_assert_cmphex(run_status(vm, DSA_PORTAL_LIMITED, &desc), ==,
                    DSA_ST_OPCODE);
    g_assert(qidxd_take_message(d, 1));
    idxd_vm_free(vm);
}

/* Masked: pending once, whatever the number; unmasked: delivered once */
static void test_msix_mask(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc desc;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    desc = nop_irq(vm, qidxd_request_handle(d, false, 5));
    qidxd_mask_vector(d, 5, true);
    for (unsigned i = 0; i < 3; i++) {
        run_status(vm, DSA_PORTAL_LIMITED, &desc);
        g_assert(!qidxd_take_message(d, 5));
        g_assert(qidxd_vector_pending(d, 5));
    }
    g_assert(!qidxd_vector_pending(d, 4));
    g_assert_cmpuint(idxd_vm_count(vm, false, 5, "sent"), ==, 0);
    qidxd_mask_vector(d, 5, false);
    qidxd_wait_message(d, 5);
    g_assert(!qidxd_vector_pending(d, 5));
    qidxd_mask_vector(d, 5, true);
    qidxd_mask_vector(d, 5, false);
    g_assert(!qidxd_take_message(d, 5));
    g_assert_cmpuint(idxd_vm_count(vm, false, 5, "raised"), ==, 3);
    g_assert_cmpuint(idxd_vm_count(vm, false, 5, "sent"), ==, 1);
    idxd_vm_free(vm);
}

static void set_function_mask(QIdxd *d, bool mask)
{
    uint8_t cap = qpci_find_capability(&d->pci, PCI_CAP_ID_MSIX, 0);
    uint16_t flags = qpci_config_readw(&d->pci, cap + PCI_MSIX_FLAGS);

    flags &= ~PCI_MSIX_FLAGS_MASKALL;
    qpci_config_writew(&d->pci, cap + PCI_MSIX_FLAGS,
                       flags | (mask ? PCI_MSIX_FLAGS_MASKALL : 0));
}

static void test_function_mask(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc desc;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    set_function_mask(d, true);
    for (unsigned v = 1; v < d->nr_vectors; v++) {
        desc = nop_irq(vm, qidxd_request_handle(d, false, v));
        run_status(vm, DSA_PORTAL_LIMITED, &desc);
        g_assert(qidxd_vector_pending(d, v));
        g_assert(!qidxd_take_message(d, v));
    }
    set_function_mask(d, false);
    for (unsigned v = 1; v < d->nr_vectors; v++) {
        qidxd_wait_message(d, v);
        g_assert(!qidxd_vector_pending(d, v));
    }
    idxd_vm_free(vm);
}

static void check_msix_disabled(const char *opts, bool latch)
{
    IdxdVM *vm = idxd_vm_new(opts);
    QIdxd *d = &vm->dev;
    uint8_t cap = qpci_find_capability(&d->pci, PCI_CAP_ID_MSIX, 0);
    uint16_t flags;
    QIdxdDesc desc;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    desc = nop_irq(vm, qidxd_request_handle(d, false, 2));
    flags = qpci_config_readw(&d->pci, cap + PCI_MSIX_FLAGS);
    qpci_config_writew(&d->pci, cap + PCI_MSIX_FLAGS,
                       flags & ~PCI_MSIX_FLAGS_ENABLE);
    g_assert_cmphex(run_status(vm, DSA_PORTAL_LIMITED, &desc), ==,
                    DSA_ST_SUCCESS);
    g_assert(!qidxd_take_message(d, 2));
    g_assert_cmpuint(idxd_vm_count(vm, false, 2, "raised"), ==, 1);
    g_assert_cmpuint(idxd_vm_count(vm, false, 2, "sent"), ==, 0);
    g_assert_cmpuint(idxd_vm_count(vm, false, 2, "dropped"), ==, !latch);
    qpci_config_writew(&d->pci, cap + PCI_MSIX_FLAGS, flags);
    if (latch) {
        qidxd_wait_message(d, 2);
    }
    run_status(vm, DSA_PORTAL_LIMITED, &desc);
    g_assert(qidxd_take_message(d, 2));
    g_assert_cmpuint(idxd_vm_count(vm, false, 2, "sent"), ==, 1 + latch);
    idxd_vm_free(vm);
}

/* The loss that this device exists to show, and its opposite */
static void test_msix_disabled(void)
{
    check_msix_disabled("", false);
    check_msix_disabled("msix-latch=on", true);
}

/* Ignored: no message and no pending bit, but only for completions */
static void test_msix_ignore(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    g_autofree char *info = NULL;
    QIdxdDesc desc;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    desc = nop_irq(vm, qidxd_request_handle(d, false, 1));
    qidxd_writel(d, qidxd_perm(d, 0), DSA_ENTRY_IGNORE);
    qidxd_writel(d, qidxd_perm(d, 1), DSA_ENTRY_IGNORE);
    g_assert_cmphex(run_status(vm, DSA_PORTAL_LIMITED, &desc), ==,
                    DSA_ST_SUCCESS);
    qidxd_mask_vector(d, 1, true);
    run_status(vm, DSA_PORTAL_LIMITED, &desc);
    g_assert(!qidxd_vector_pending(d, 1));
    qidxd_mask_vector(d, 1, false);
    g_assert(!qidxd_take_message(d, 1));
    g_assert_cmpuint(idxd_vm_count(vm, false, 1, "sent"), ==, 0);
    qidxd_writel(d, DSA_CMD, DSA_CMD_INT | DSA_DRAIN_ALL << 20);
    qidxd_wait_message(d, 0);
    info = qtest_hmp(vm->qts, "info irq");
    g_assert(strstr(info, "idxd-ims"));
    idxd_vm_free(vm);
}

/* An IMS entry reaches the CPU; masked it waits; ignored it does nothing */
static void test_ims(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    uint64_t ctrl = qidxd_ims(d, 1000) + DSA_IMS_CTRL;
    QIdxdDesc desc;

    qidxd_bring_up(d, 1, NULL);
    desc = nop_irq(vm, qidxd_request_handle(d, true, 1000));
    set_ims(d, 1000, IMS_VECTOR, DSA_ENTRY_MASK | DSA_ENTRY_IGNORE);
    run_status(vm, DSA_PORTAL_IMS_LIMITED, &desc);
    g_assert_cmphex(qidxd_readl(d, ctrl), ==,
                    DSA_ENTRY_MASK | DSA_ENTRY_IGNORE);
    qidxd_writel(d, ctrl, DSA_ENTRY_MASK);
    run_status(vm, DSA_PORTAL_IMS_UNLIMITED, &desc);
    g_assert_cmphex(qidxd_readl(d, ctrl), ==,
                    DSA_ENTRY_MASK | DSA_ENTRY_PENDING);
    /* Pending is read-only: neither value of the bit changes it */
    qidxd_writel(d, ctrl, DSA_ENTRY_MASK);
    g_assert_cmphex(qidxd_readl(d, ctrl), ==,
                    DSA_ENTRY_MASK | DSA_ENTRY_PENDING);
    g_assert(!idxd_vm_apic_irr(vm, IMS_VECTOR));
    qidxd_writel(d, ctrl, 0);
    g_assert(idxd_vm_apic_irr(vm, IMS_VECTOR));
    g_assert_cmphex(qidxd_readl(d, ctrl), ==, 0);
    g_assert_cmpuint(idxd_vm_count(vm, true, 1000, "sent"), ==, 1);
    /* Unmasked: at once, with the message of now */
    qidxd_writel(d, qidxd_ims(d, 1000) + DSA_IMS_DATA, IMS_VECTOR + 1);
    g_assert(!idxd_vm_apic_irr(vm, IMS_VECTOR + 1));
    run_status(vm, DSA_PORTAL_IMS_LIMITED, &desc);
    g_assert(idxd_vm_apic_irr(vm, IMS_VECTOR + 1));
    g_assert_cmpuint(idxd_vm_count(vm, true, 1000, "sent"), ==, 2);
    idxd_vm_free(vm);
}

/* More entries than MSI-X could ever have: each its own handle and counter */
static void test_many_entries(void)
{
    IdxdVM *vm = idxd_vm_new("ims-entries=4096");
    QIdxd *d = &vm->dev;
    g_autofree uint8_t *seen = g_new0(uint8_t, 65536);

    g_assert_cmpuint(d->nr_ims, ==, 4096);
    qidxd_bring_up(d, 1, NULL);
    for (unsigned i = 0; i < d->nr_ims; i++) {
        uint16_t handle = qidxd_request_handle(d, true, i);

        g_assert(!seen[handle]);
        seen[handle] = 1;
    }
    for (unsigned i = 0; i < 32; i++) {
        unsigned entry = i < 16 ? 2048 + i * 127 : 4080 + (i - 16);
        QIdxdDesc desc = nop_irq(vm, qidxd_request_handle(d, true, entry));

        set_ims(d, entry, 0x60 + i, 0);
        g_assert_cmphex(run_status(vm, DSA_PORTAL_IMS_LIMITED, &desc), ==,
                        DSA_ST_SUCCESS);
        g_assert(idxd_vm_apic_irr(vm, 0x60 + i));
        g_assert(!idxd_vm_apic_irr(vm, 0x61 + i));
    }
    idxd_vm_free(vm);
}

/* 0x19 in the record, no interrupt, and the handle in SWERROR */
static void check_bad_handle(IdxdVM *vm, QIdxdPortal kind, uint16_t handle)
{
    QIdxd *d = &vm->dev;
    QIdxdDesc desc = nop_irq(vm, handle);
    uint64_t q0;

    qidxd_writeq(d, DSA_SWERROR, 3);
    g_assert_cmphex(run_status(vm, kind, &desc), ==, DSA_ST_HANDLE);
    q0 = qidxd_readq(d, DSA_SWERROR);
    g_assert_cmphex(q0 & DSA_SWERR_VALID, ==, DSA_SWERR_VALID);
    g_assert_cmphex(DSA_SWERR_CODE(q0), ==, DSA_ST_HANDLE);
    g_assert_cmphex(extract64(qidxd_readq(d, DSA_SWERROR + 8), 32, 16), ==,
                    handle);
    for (unsigned v = 0; v < d->nr_vectors; v++) {
        g_assert(!qidxd_take_message(d, v));
    }
}

static void test_bad_handles(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    uint16_t msix, ims;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    msix = qidxd_request_handle(d, false, 3);
    ims = qidxd_request_handle(d, true, 3);
    set_ims(d, 3, IMS_VECTOR, 0);
    g_assert_cmphex(msix, !=, ims);
    check_bad_handle(vm, DSA_PORTAL_LIMITED, ims);
    check_bad_handle(vm, DSA_PORTAL_IMS_LIMITED, msix);
    check_bad_handle(vm, DSA_PORTAL_UNLIMITED, 0xffff);
    g_assert_cmphex(qidxd_command(d, DSA_RELEASE_HANDLE, msix), ==, 0);
    check_bad_handle(vm, DSA_PORTAL_LIMITED, msix);
    g_assert(!idxd_vm_apic_irr(vm, IMS_VECTOR));
    idxd_vm_free(vm);
}

/* Without the command, the handle is the index */
static void test_index_as_handle(void)
{
    IdxdVM *vm = idxd_vm_new("cmdcap=off");
    QIdxd *d = &vm->dev;
    QIdxdDesc desc = nop_irq(vm, 2);

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    g_assert_cmphex(run_status(vm, DSA_PORTAL_LIMITED, &desc), ==,
                    DSA_ST_SUCCESS);
    g_assert(qidxd_take_message(d, 2));
    set_ims(d, 2, IMS_VECTOR, 0);
    g_assert_cmphex(run_status(vm, DSA_PORTAL_IMS_LIMITED, &desc), ==,
                    DSA_ST_SUCCESS);
    g_assert(!qidxd_take_message(d, 2));
    g_assert(idxd_vm_apic_irr(vm, IMS_VECTOR));
    check_bad_handle(vm, DSA_PORTAL_LIMITED, d->nr_vectors);
    check_bad_handle(vm, DSA_PORTAL_IMS_LIMITED, d->nr_ims);
    idxd_vm_free(vm);
}

/*
 * Handles are revoked under a driver that uses them; what follows is what
 * Linux does about it.
 */
static void test_revoke(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    uint16_t old, fresh;
    QIdxdDesc desc;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    old = qidxd_request_handle(d, false, 1);
    desc = nop_irq(vm, old);
    run_status(vm, DSA_PORTAL_LIMITED, &desc);
    g_assert(qidxd_take_message(d, 1));
    idxd_vm_revoke(vm);
    qidxd_wait_message(d, 0);
    g_assert_cmphex(qidxd_readl(d, DSA_INTCAUSE), ==, DSA_CAUSE_REVOKED);
    qidxd_writel(d, DSA_INTCAUSE, DSA_CAUSE_REVOKED);
    g_assert_cmphex(qidxd_readl(d, DSA_INTCAUSE), ==, 0);
    check_bad_handle(vm, DSA_PORTAL_LIMITED, old);
    fresh = qidxd_request_handle(d, false, 1);
    g_assert_cmphex(fresh, !=, old);
    /* The drain that tells the driver's interrupt thread to look again */
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
        .opcode = DSA_OP_DRAIN, .flags = DSA_FLAG_RCI, .handle = fresh,
        .pasid = 1u << 31,
    });
    qidxd_wait_message(d, 1);
    desc.handle = fresh;
    g_assert_cmphex(run_status(vm, DSA_PORTAL_LIMITED, &desc), ==,
                    DSA_ST_SUCCESS);
    g_assert(qidxd_take_message(d, 1));
    idxd_vm_free(vm);
}

/* Each descriptor that was accepted ends in one of the two ways, not both */
static void test_revoke_in_flight(void)
{
    const unsigned nr = 64;
    const QIdxdWq wq = { .size = nr };
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    unsigned done = 0;
    uint16_t handle;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, &wq);
    handle = qidxd_request_handle(d, false, 1);
    for (unsigned i = 0; i < nr; i++) {
        qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
            .opcode = DSA_OP_FILL, .size = 4 << 20, .dst = vm->ram + DST,
            .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI, .handle = handle,
            .record = vm->ram + RECORDS + i * DSA_RECORD_SIZE,
        });
    }
    idxd_vm_revoke(vm);
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    for (unsigned i = 0; i < nr; i++) {
        uint8_t status = qtest_readb(vm->qts, vm->ram + RECORDS +
                                     i * DSA_RECORD_SIZE);

        g_assert(status == DSA_ST_SUCCESS || status == DSA_ST_HANDLE);
        done += status == DSA_ST_SUCCESS;
    }
    g_assert_cmpuint(done, <, nr);
    g_assert_cmpuint(idxd_vm_count(vm, false, 1, "sent"), ==, done);
    idxd_vm_free(vm);
}

void idxd_ims_add_interrupt_tests(void)
{
    qtest_add_func("/idxd-ims/irq/order", test_order);
    qtest_add_func("/idxd-ims/irq/on-error", test_interrupt_on_error);
    qtest_add_func("/idxd-ims/irq/msix-mask", test_msix_mask);
    qtest_add_func("/idxd-ims/irq/function-mask", test_function_mask);
    qtest_add_func("/idxd-ims/irq/msix-disabled", test_msix_disabled);
    qtest_add_func("/idxd-ims/irq/msix-ignore", test_msix_ignore);
    qtest_add_func("/idxd-ims/irq/ims", test_ims);
    qtest_add_func("/idxd-ims/irq/many-entries", test_many_entries);
    qtest_add_func("/idxd-ims/irq/bad-handles", test_bad_handles);
    qtest_add_func("/idxd-ims/irq/index-as-handle", test_index_as_handle);
    qtest_add_func("/idxd-ims/irq/revoke", test_revoke);
    qtest_add_func("/idxd-ims/irq/revoke-in-flight", test_revoke_in_flight);
}
