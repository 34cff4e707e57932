/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: work in flight meets stop, migration, reset, abort and unplug
 *
 * Section 3.15 of the specification: what is completed is completed wholly,
 * what is abandoned leaves no record and no interrupt.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hw/pci/pci_regs.h"
#include "idxd-ims-vm.h"

#define NR_JOBS     48
#define NR_DESCS    (2 * NR_JOBS)
#define RECORDS     0x1000
#define BULK        0x100000
#define BULK_SIZE   (24u << 20)
#define PASID       0x54321
#define VM_OPTS     "wqs=64,wq-entries=128"

static uint64_t record_of(IdxdVM *vm, unsigned desc)
{
    return vm->ram + RECORDS + desc * DSA_RECORD_SIZE;
}

/*
 * A job is a no-op with record and interrupt on a vector of its own, then a
 * fill that keeps the engine busy.  With one engine they run in this order,
 * so the work of the last job is far away when the first record is there.
 */
static void submit_jobs_with(IdxdVM *vm, const QIdxdWq *wq)
{
    QIdxd *d = &vm->dev;
    uint16_t handle[NR_JOBS];

    qidxd_msix_on(d);
    qidxd_configure(d, 1, wq);
    qidxd_writel(d, DSA_GENCFG, qidxd_readl(d, DSA_GENCFG) |
                 DSA_GENCFG_USER_INT);
    qidxd_enable(d, 1);
    qtest_memset(vm->qts, vm->ram + RECORDS, 0, NR_DESCS * DSA_RECORD_SIZE);
    for (unsigned i = 0; i < NR_JOBS; i++) {
        handle[i] = qidxd_request_handle(d, false, i + 1);
        if (wq->pasid_enable) {
            qidxd_writel(d, qidxd_perm(d, i + 1), DSA_ENTRY_PASID(wq->pasid));
        }
    }
    for (unsigned i = 0; i < NR_JOBS; i++) {
        qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
            .opcode = DSA_OP_NOP, .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI,
            .record = record_of(vm, 2 * i), .handle = handle[i],
        });
        qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
            .opcode = DSA_OP_FILL, .flags = DSA_FLAG_RECORD, .src = i,
            .record = record_of(vm, 2 * i + 1), .dst = vm->ram + BULK,
            .size = BULK_SIZE,
        });
    }
}

static void submit_jobs(IdxdVM *vm)
{
    submit_jobs_with(vm, &(QIdxdWq) { .size = NR_DESCS + 1 });
}

static void submit_jobs_pasid(IdxdVM *vm)
{
    idxd_vm_enable_pasid(vm, false);
    submit_jobs_with(vm, &(QIdxdWq) {
        .size = NR_DESCS + 1, .pasid_enable = true, .pasid = PASID,
    });
}

/* Takes what a descriptor has left behind; true if it has completed */
static bool collect_desc(IdxdVM *vm, unsigned desc)
{
    uint8_t status = qtest_readb(vm->qts, record_of(vm, desc));

    g_assert(status == DSA_ST_NONE || status == DSA_ST_SUCCESS);
    if (desc % 2 == 0) {
        g_assert_cmpint(qidxd_take_message(&vm->dev, desc / 2 + 1), ==, status);
    }
    qtest_writeb(vm->qts, record_of(vm, desc), 0);
    return status;
}

static unsigned collect_jobs(IdxdVM *vm, bool *done)
{
    unsigned nr = 0;

    for (unsigned i = 0; i < NR_DESCS; i++) {
        bool now = collect_desc(vm, i);

        g_assert(!now || !done[i]);     /* twice */
        done[i] |= now;
        nr += done[i];
    }
    return nr;
}

/* After this nothing of the device may change RAM */
static void check_quiet(IdxdVM *vm)
{
    bool done[NR_DESCS] = { };

    qtest_memset(vm->qts, vm->ram + BULK, 0xee, BULK_SIZE);
    for (unsigned turn = 0; turn < 200; turn++) {
        qtest_readl(vm->qts, vm->ram);
    }
    for (uint32_t off = 0; off < BULK_SIZE; off += 0x8000) {
        g_assert_cmphex(qtest_readb(vm->qts, vm->ram + BULK + off), ==, 0xee);
    }
    g_assert_cmpuint(collect_jobs(vm, done), ==, 0);
}

static void check_usable(IdxdVM *vm)
{
    QIdxd *d = &vm->dev;
    QIdxdDesc nop = {
        .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI, .record = vm->ram + RECORDS,
    };
    QIdxdRecord rec;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    nop.handle = qidxd_request_handle(d, false, 1);
    qidxd_run(d, 0, DSA_PORTAL_LIMITED, &nop, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    qidxd_wait_message(d, 1);
}

static void wait_first_job(IdxdVM *vm)
{
    QIdxdRecord rec;

    qidxd_wait_record(&vm->dev, vm->ram + RECORDS, &rec);
}

static void stop_vm(IdxdVM *vm)
{
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'stop' }");
}

static void continue_vm(IdxdVM *vm)
{
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'cont' }");
}

/* While the machine is stopped, so is the device */
static void test_stop(void)
{
    IdxdVM *vm = idxd_vm_new(VM_OPTS);
    bool done[NR_DESCS] = { };
    uint64_t late = record_of(vm, NR_DESCS);
    QIdxdRecord rec;

    submit_jobs(vm);
    wait_first_job(vm);
    stop_vm(vm);
    g_assert_cmpuint(collect_jobs(vm, done), <, NR_DESCS);
    /* A debugger may still write to the portal */
    qidxd_submit(&vm->dev, 0, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
        .flags = DSA_FLAG_RECORD, .record = late,
    });
    check_quiet(vm);
    qidxd_read_record(&vm->dev, late, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_NONE);
    continue_vm(vm);
    qidxd_wait_record(&vm->dev, late, &rec);
    qidxd_command_ok(&vm->dev, DSA_DRAIN_ALL, 0);
    g_assert_cmpuint(collect_jobs(vm, done), ==, NR_DESCS);
    idxd_vm_free(vm);
}

/*
 * What completed before is cleared in the memory that migrates: it would be
 * seen again if it was done again.  What did not must complete afterwards.
 */
static void check_migration(bool draining)
{
    IdxdVM *vm = idxd_vm_new(VM_OPTS);
    bool done[NR_DESCS] = { };
    unsigned before;

    submit_jobs(vm);
    if (draining) {
        qidxd_writel(&vm->dev, DSA_CMD, DSA_CMD_INT | DSA_DRAIN_ALL << 20);
    }
    wait_first_job(vm);
    stop_vm(vm);
    before = collect_jobs(vm, done);
    g_assert_cmpuint(before, >, 0);
    g_assert_cmpuint(before, <, NR_DESCS);
    vm = idxd_vm_move(vm);
    check_quiet(vm);
    continue_vm(vm);
    if (draining) {
        qidxd_wait_message(&vm->dev, 0);
        g_assert_cmphex(qidxd_readl(&vm->dev, DSA_CMDSTS), ==, 0);
        g_assert_cmphex(qidxd_readl(&vm->dev, DSA_INTCAUSE), ==, DSA_CAUSE_CMD);
    } else {
        qidxd_command_ok(&vm->dev, DSA_DRAIN_ALL, 0);
    }
    g_assert_cmpuint(collect_jobs(vm, done), ==, NR_DESCS);
    for (uint32_t off = 0; off < BULK_SIZE; off += 0x8000) {
        g_assert_cmphex(qtest_readb(vm->qts, vm->ram + BULK + off), ==,
                        NR_JOBS - 1);
    }
    idxd_vm_free(vm);
}

static void test_migrate_work(void)
{
    check_migration(false);
}

static void test_migrate_command(void)
{
    check_migration(true);
}

/* Registers, tables, handles and pending interrupts arrive as they were */
static void test_migrate_state(void)
{
    IdxdVM *vm = idxd_vm_new("ims-entries=4096");
    QIdxd *d = &vm->dev;
    uint64_t size = d->regs_size;
    g_autofree uint8_t *before = g_malloc(size);
    g_autofree uint8_t *after = g_malloc(size);
    QIdxdDesc nop = { .flags = DSA_FLAG_RCI };
    uint16_t msix, ims;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 3, NULL);
    qidxd_writel(d, DSA_GENCTRL, 5);
    qidxd_mask_vector(d, 2, true);
    msix = nop.handle = qidxd_request_handle(d, false, 2);
    qidxd_submit(d, 1, DSA_PORTAL_LIMITED, &nop);
    ims = nop.handle = qidxd_request_handle(d, true, 4000);
    qidxd_writel(d, qidxd_ims(d, 4000) + DSA_IMS_DATA, 0x77);
    qidxd_submit(d, 1, DSA_PORTAL_IMS_LIMITED, &nop);
    qidxd_submit(d, 2, DSA_PORTAL_LIMITED, &(QIdxdDesc) { .opcode = 0x3f });
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    stop_vm(vm);
    qpci_memread(&d->pci, d->regs, 0, before, size);
    vm = idxd_vm_move(vm);
    d = &vm->dev;
    qpci_memread(&d->pci, d->regs, 0, after, size);
    g_assert(!memcmp(before, after, size));
    continue_vm(vm);
    qidxd_mask_vector(d, 2, false);
    qidxd_wait_message(d, 2);
    g_assert(!idxd_vm_apic_irr(vm, 0x77));
    qidxd_writel(d, qidxd_ims(d, 4000) + DSA_IMS_CTRL, 0);
    g_assert(idxd_vm_apic_irr(vm, 0x77));
    g_assert_cmphex(qidxd_request_handle(d, false, 2), ==, msix);
    g_assert_cmphex(qidxd_request_handle(d, true, 4000), ==, ims);
    idxd_vm_free(vm);
}

/*
 * A message that is being rewritten, with its vector unmasked, at the moment of
 * the migration: the source has it masked in the device.  And an address that
 * is not aligned.
 */
static void check_migrate_rewrite(bool is_pending)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxdDesc nop = { .flags = DSA_FLAG_RCI };
    QIdxd *d = &vm->dev;
    uint64_t entry;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    nop.handle = qidxd_request_handle(d, false, 1);
    entry = qidxd_vector(d, 2);
    qidxd_mask_vector(d, 2, true);
    qidxd_writel(d, entry, qidxd_readl(d, entry) | 3);
    qidxd_mask_vector(d, 2, false);
    entry = qidxd_vector(d, 1) + PCI_MSIX_ENTRY_DATA;
    qidxd_writel(d, entry, 0);
    if (is_pending) {
        qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &nop);
        qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    } else {
        qidxd_writel(d, entry, qidxd_message_data(1));
    }
    stop_vm(vm);
    vm = idxd_vm_move(vm);
    d = &vm->dev;
    continue_vm(vm);
    if (is_pending) {
        /* Not with half of the message */
        g_assert_cmphex(qtest_readl(vm->qts, d->messages + 4), ==, 0);
        qidxd_writel(d, entry, qidxd_message_data(1));
        qtest_clock_step(vm->qts, 25 * 1000 * 1000);
    } else {
        qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &nop);
    }
    qidxd_wait_message(d, 1);
    idxd_vm_free(vm);
}

static void test_migrate_rewrite(void)
{
    check_migrate_rewrite(false);
    check_migrate_rewrite(true);
}

/* Abandoned or completed, each as a whole, and nothing comes later */
static void check_abort(unsigned code, uint32_t operand)
{
    IdxdVM *vm = idxd_vm_new(VM_OPTS ",pasid=on");
    bool done[NR_DESCS] = { };

    submit_jobs_pasid(vm);
    wait_first_job(vm);
    qidxd_command_ok(&vm->dev, code, operand);
    collect_jobs(vm, done);
    check_quiet(vm);
    check_usable(vm);
    idxd_vm_free(vm);
}

static void test_abort(void)
{
    check_abort(DSA_ABORT_ALL, 0);
    check_abort(DSA_ABORT_WQ, 1);
    check_abort(DSA_ABORT_PASID, PASID);
}

static void test_reset_commands(void)
{
    check_abort(DSA_RESET_WQ, 1);
    check_abort(DSA_RESET_DEVICE, 0);
}

/* Draining and disabling lose nothing */
static void check_drain(unsigned code, uint32_t operand)
{
    IdxdVM *vm = idxd_vm_new(VM_OPTS ",pasid=on");
    bool done[NR_DESCS] = { };

    submit_jobs_pasid(vm);
    qidxd_command_ok(&vm->dev, code, operand);
    g_assert_cmpuint(collect_jobs(vm, done), ==, NR_DESCS);
    check_quiet(vm);
    check_usable(vm);
    idxd_vm_free(vm);
}

static void test_drain(void)
{
    check_drain(DSA_DRAIN_WQ, 1);
    check_drain(DSA_DRAIN_PASID, PASID);
    check_drain(DSA_DISABLE_WQ, 1);
    check_drain(DSA_DISABLE_DEVICE, 0);
}

static void test_flr(void)
{
    IdxdVM *vm = idxd_vm_new(VM_OPTS);
    bool done[NR_DESCS] = { };

    submit_jobs(vm);
    wait_first_job(vm);
    idxd_vm_flr(vm);
    collect_jobs(vm, done);
    check_quiet(vm);
    idxd_vm_rediscover(vm);
    g_assert_cmphex(qidxd_readl(&vm->dev, DSA_GENSTS), ==, 0);
    check_usable(vm);
    idxd_vm_free(vm);
}

static void test_system_reset(void)
{
    IdxdVM *vm = idxd_vm_new(VM_OPTS);
    bool done[NR_DESCS] = { };

    submit_jobs(vm);
    wait_first_job(vm);
    qtest_system_reset(vm->qts);
    collect_jobs(vm, done);
    check_quiet(vm);
    idxd_vm_rediscover(vm);
    check_usable(vm);
    idxd_vm_free(vm);
}

/* Bus mastering goes away under the work: no more DMA, a halted device */
static void test_bus_master_off(void)
{
    IdxdVM *vm = idxd_vm_new(VM_OPTS);
    QIdxd *d = &vm->dev;
    bool done[NR_DESCS] = { };
    uint16_t cmd;

    submit_jobs(vm);
    wait_first_job(vm);
    cmd = qpci_config_readw(&d->pci, PCI_COMMAND);
    qpci_config_writew(&d->pci, PCI_COMMAND, cmd & ~PCI_COMMAND_MASTER);
    g_assert_cmphex(qidxd_readl(d, DSA_GENSTS) & 3, ==, DSA_STATE_HALT);
    collect_jobs(vm, done);
    check_quiet(vm);
    idxd_vm_free(vm);
}

/* Plugged, used and pulled out with work in flight, more than once */
static void check_unplug(IdxdVM *vm)
{
    bool done[NR_DESCS];

    for (unsigned round = 0; round < 3; round++) {
        submit_jobs(vm);
        wait_first_job(vm);
        idxd_vm_unplug(vm);
        memset(done, 0, sizeof(done));
        /* What was left was in flight */
        g_assert_cmpuint(collect_jobs(vm, done), <, NR_DESCS);
        check_quiet(vm);
        idxd_vm_plug(vm, 64, 128);
    }
    check_usable(vm);
    idxd_vm_free(vm);
}

static void test_unplug_acpi(void)
{
    if (!qtest_has_machine("pc")) {
        g_test_skip("this QEMU has no pc");
        return;
    }
    check_unplug(idxd_vm_new_pc(VM_OPTS));
}

static void test_unplug_port(void)
{
    if (!qtest_has_device("pcie-root-port")) {
        g_test_skip("this QEMU has no pcie-root-port");
        return;
    }
    check_unplug(idxd_vm_new_port(NULL, VM_OPTS));
}

void idxd_ims_add_life_tests(void)
{
    qtest_add_func("/idxd-ims/life/stop", test_stop);
    qtest_add_func("/idxd-ims/life/migrate-work", test_migrate_work);
    qtest_add_func("/idxd-ims/life/migrate-command", test_migrate_command);
    qtest_add_func("/idxd-ims/life/migrate-state", test_migrate_state);
    qtest_add_func("/idxd-ims/life/migrate-rewrite", test_migrate_rewrite);
    qtest_add_func("/idxd-ims/life/abort", test_abort);
    qtest_add_func("/idxd-ims/life/reset-commands", test_reset_commands);
    qtest_add_func("/idxd-ims/life/drain", test_drain);
    qtest_add_func("/idxd-ims/life/flr", test_flr);
    qtest_add_func("/idxd-ims/life/system-reset", test_system_reset);
    qtest_add_func("/idxd-ims/life/bus-master-off", test_bus_master_off);
    qtest_add_func("/idxd-ims/life/unplug-acpi", test_unplug_acpi);
    qtest_add_func("/idxd-ims/life/unplug-port", test_unplug_port);
}
