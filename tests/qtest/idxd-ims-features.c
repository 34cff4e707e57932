/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: what depends on the properties of the device, and features that
 * software has to ask for
 *
 * Sections 5.1, 5.2, 5.7, 9.1.3, 9.2.21 and 9.2.24 of the specification.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hw/pci/pci_regs.h"
#include "idxd-ims-vm.h"

#define DW2_MODE        (1u << 0)
#define DW2_BOF         (1u << 1)
#define DW2_NO_ATS      (1u << 2)

static bool has_cap(IdxdVM *vm, unsigned id)
{
    return idxd_vm_ext_cap(vm, id) != 0;
}

static void check_capabilities(const char *opts, bool ats, bool pasid, bool pri)
{
    IdxdVM *vm = idxd_vm_new(opts);
    uint64_t wqcap = qidxd_readq(&vm->dev, DSA_WQCAP);

    g_assert_cmpint(has_cap(vm, PCI_EXT_CAP_ID_ATS), ==, ats);
    g_assert_cmpint(has_cap(vm, PCI_EXT_CAP_ID_PASID), ==, pasid);
    g_assert_cmpint(has_cap(vm, PCI_EXT_CAP_ID_PRI), ==, pri);
    g_assert_cmpint(!!(wqcap & DSA_WQCAP_ATS), ==, ats);
    g_assert_cmpint(!!(wqcap & DSA_WQCAP_SHARED), ==, pasid);
    g_assert_cmpint(!!(qidxd_readq(&vm->dev, DSA_GENCAP) & DSA_GENCAP_BOF), ==,
                    pri);
    g_assert_cmphex(wqcap & DSA_WQCAP_PRS, ==, 0);
    idxd_vm_free(vm);
}

static void test_capabilities(void)
{
    check_capabilities("", true, true, false);
    check_capabilities("ats=off", false, true, false);
    check_capabilities("pasid=off", true, false, false);
    check_capabilities("ats=off,pasid=off", false, false, false);
    check_capabilities("pri=on", true, true, true);
}

/* What cannot be is refused, with an error that names the property */
static void test_bad_properties(void)
{
    static const struct { const char *opts, *name; } bad[] = {
        { "wqs=0", "wqs" }, { "wqs=256", "wqs" },
        { "groups=0", "groups" }, { "groups=65", "groups" },
        { "engines=0", "engines" }, { "engines=64", "engines" },
        { "wq-entries=7", "wq-entries" }, { "wq-entries=65536", "wq-entries" },
        { "ims-entries=100", "ims-entries" },
        { "ims-entries=16384", "ims-entries" },
        { "max-transfer-shift=11", "max-transfer-shift" },
        { "max-transfer-shift=32", "max-transfer-shift" },
        { "max-batch-shift=0", "max-batch-shift" },
        { "max-batch-shift=16", "max-batch-shift" },
        { "pri=on,ats=off", "pri" }, { "pri=on,pasid=off", "pri" },
    };
    g_autofree char *good = NULL;
    QTestState *qts;

    if (!qtest_has_machine("pc")) {
        g_test_skip("this QEMU has no pc, whose root bus takes devices");
        return;
    }
    qts = qtest_init("-machine pc -nodefaults");
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++) {
        g_autofree char *want = g_strdup_printf("Error: %s", bad[i].name);
        g_autofree char *said = qtest_hmp(qts, "device_add idxd-ims,%s",
                                          bad[i].opts);

        if (!g_str_has_prefix(said, want)) {
            g_error("%s: '%s'", bad[i].opts, said);
        }
    }
    good = qtest_hmp(qts, "device_add idxd-ims,wqs=255,wq-entries=255,"
                     "groups=64,engines=63,ims-entries=16128");
    g_assert_cmpstr(good, ==, "");
    qtest_quit(qts);
}

/* -- Errors that the default properties make impossible */

static uint32_t enable_wq_with(QIdxd *d, unsigned dword, uint32_t clear,
                               uint32_t set)
{
    uint64_t off = qidxd_wqcfg(d, 1, dword);
    uint32_t old = qidxd_readl(d, off), status;

    qidxd_writel(d, off, (old & ~clear) | set);
    g_assert_cmphex(qidxd_readl(d, off), ==, (old & ~clear) | set);
    status = qidxd_command(d, DSA_ENABLE_WQ, 1);
    qidxd_writel(d, off, old);
    return status;
}

static void test_unsupported(void)
{
    IdxdVM *vm = idxd_vm_new("pasid=off,ats=off,max-transfer-shift=20,"
                             "max-batch-shift=5,ims-entries=0");
    QIdxd *d = &vm->dev;

    qidxd_configure(d, 2, NULL);
    qidxd_command_ok(d, DSA_ENABLE_DEVICE, 0);
    g_assert_cmphex(enable_wq_with(d, 2, DW2_MODE, 0), ==, 0x24);
    g_assert_cmphex(enable_wq_with(d, 2, 0, DW2_NO_ATS), ==, 0x2c);
    g_assert_cmphex(enable_wq_with(d, 3, 0x1f, 21), ==, 0x28);
    g_assert_cmphex(enable_wq_with(d, 3, 0xf << 5, 6 << 5), ==, 0x27);
    /* The table of an occupancy interrupt that there is no use for */
    g_assert_cmphex(enable_wq_with(d, 4, 0, 1 << 16), ==, 0x2b);
    g_assert_cmphex(qidxd_command(d, DSA_REQUEST_HANDLE, DSA_HANDLE_IMS) & 0xff,
                    ==, 0x41);
    qidxd_command_ok(d, DSA_ENABLE_WQ, 1);
    idxd_vm_free(vm);
}

static void set_pri(IdxdVM *vm, bool enable, uint32_t requests)
{
    unsigned cap = idxd_vm_ext_cap(vm, PCI_EXT_CAP_ID_PRI);

    idxd_vm_ecam_writel(vm, cap + PCI_PRI_ALLOC_REQ, requests);
    /* The status above it is cleared by ones */
    idxd_vm_ecam_writel(vm, cap + PCI_PRI_CTRL, enable);
}

/* PRSREQALLOC, and block on fault with page requests enabled */
static void test_page_requests(void)
{
    IdxdVM *vm = idxd_vm_new("pri=on");
    QIdxd *d = &vm->dev;

    qidxd_configure(d, 2, NULL);
    set_pri(vm, true, 0);
    g_assert_cmphex(qidxd_command(d, DSA_ENABLE_DEVICE, 0), ==, 0x13);
    set_pri(vm, true, 0x201);
    g_assert_cmphex(qidxd_command(d, DSA_ENABLE_DEVICE, 0), ==, 0x13);
    set_pri(vm, true, 0x200);
    qidxd_command_ok(d, DSA_ENABLE_DEVICE, 0);
    g_assert_cmphex(enable_wq_with(d, 2, 0, DW2_BOF), ==, 0);
    qidxd_command_ok(d, DSA_RESET_DEVICE, 0);
    qidxd_configure(d, 2, NULL);
    set_pri(vm, false, 0x200);
    qidxd_command_ok(d, DSA_ENABLE_DEVICE, 0);
    g_assert_cmphex(enable_wq_with(d, 2, 0, DW2_BOF), ==, 0x25);
    idxd_vm_free(vm);
}

/* Section 9.1.3: not while the device works */
static void check_halt(void (*change)(IdxdVM *vm))
{
    IdxdVM *vm = idxd_vm_new("pri=on");
    QIdxd *d = &vm->dev;

    change(vm);
    g_assert_cmphex(qidxd_readl(d, DSA_GENSTS), ==, DSA_STATE_DISABLED);
    idxd_vm_flr(vm);
    idxd_vm_rediscover(vm);
    qidxd_bring_up(d, 1, NULL);
    change(vm);
    g_assert_cmphex(qidxd_readl(d, DSA_GENSTS) & 3, ==, DSA_STATE_HALT);
    g_assert_cmphex(DSA_SWERR_CODE(qidxd_readq(d, DSA_SWERROR)), ==, 0x51);
    qidxd_bring_up(d, 1, NULL);
    idxd_vm_free(vm);
}

static void change_ats(IdxdVM *vm)
{
    unsigned cap = idxd_vm_ext_cap(vm, PCI_EXT_CAP_ID_ATS);

    idxd_vm_ecam_writel(vm, cap + PCI_ATS_CAP,
                        (uint32_t)PCI_ATS_CTRL_ENABLE << 16);
}

static void change_pasid(IdxdVM *vm)
{
    idxd_vm_enable_pasid(vm, false);
}

static void change_pri(IdxdVM *vm)
{
    set_pri(vm, true, 1);
}

static void test_halt(void)
{
    check_halt(change_ats);
    check_halt(change_pasid);
    check_halt(change_pri);
}

/* -- Occupancy interrupt */

static uint32_t occupancy(QIdxd *d, unsigned wq)
{
    return qidxd_readl(d, qidxd_wqcfg(d, wq, 6)) & 0xffff;
}

static bool occupancy_generated(QIdxd *d, unsigned wq)
{
    return qidxd_readl(d, qidxd_wqcfg(d, wq, 6)) & 1u << 16;
}

static void clear_generated(QIdxd *d, unsigned wq)
{
    qidxd_writel(d, qidxd_wqcfg(d, wq, 6), 1u << 16);
}

/*
 * Once when the queue is at the limit, and not again before software has
 * cleared the Generated bit; above the limit not at all.
 */
static void check_occupancy(IdxdVM *vm, bool ims, unsigned entry)
{
    QIdxd *d = &vm->dev;
    uint64_t before = idxd_vm_count(vm, ims, entry, "raised");

    g_assert(occupancy_generated(d, 0));
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'stop' }");
    for (unsigned i = 0; i < 4; i++) {
        qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &(QIdxdDesc) { });
    }
    g_assert_cmpuint(occupancy(d, 0), ==, 4);
    clear_generated(d, 0);
    g_assert(!occupancy_generated(d, 0));
    g_assert_cmpuint(idxd_vm_count(vm, ims, entry, "raised"), ==, before);
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'cont' }");
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    g_assert_cmpuint(occupancy(d, 0), ==, 0);
    g_assert(occupancy_generated(d, 0));
    g_assert_cmpuint(idxd_vm_count(vm, ims, entry, "raised"), ==, before + 1);
}

static void test_occupancy(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    uint16_t handle;

    qidxd_msix_on(d);
    qidxd_command_ok(d, DSA_RESET_DEVICE, 0);
    /* Handles end with Reset Device, which is part of the set-up */
    qidxd_configure(d, 1, NULL);
    qidxd_writel(d, qidxd_wqcfg(d, 0, 4), 0x4000);
    qidxd_writel(d, qidxd_wqcfg(d, 0, 5), 1 << 16);
    qidxd_command_ok(d, DSA_ENABLE_DEVICE, 0);
    g_assert_cmphex(qidxd_command(d, DSA_ENABLE_WQ, 0), ==, 0x2b);
    for (unsigned i = 0; i < 3; i++) {
        bool ims = i == 2;
        unsigned entry = ims ? 700 : i * 3;

        qidxd_configure(d, 1, NULL);
        handle = qidxd_request_handle(d, ims, entry);
        qidxd_writel(d, qidxd_wqcfg(d, 0, 4), handle | ims << 16);
        qidxd_writel(d, qidxd_wqcfg(d, 0, 5), 1 | 1u << 16);
        /* With the interrupt enabled, the limit stays as it is */
        qidxd_writel(d, qidxd_wqcfg(d, 0, 5), 2 | 1u << 16);
        g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, 0, 5)), ==, 1 | 1u << 16);
        qidxd_enable(d, 1);
        check_occupancy(vm, ims, entry);
        /* Only on vector 0 there is a cause to look at */
        g_assert_cmphex(qidxd_readl(d, DSA_INTCAUSE), ==,
                        ims || entry ? 0 : 1 << 2);
        g_assert_cmpint(qidxd_take_message(d, ims ? 0 : entry), ==, !ims);
    }
    idxd_vm_free(vm);
}

/* -- Dummy portal, at the end of the first 64 KiB */

static void test_dummy_portal(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc nop = idxd_vm_desc(vm, DSA_OP_NOP);
    uint8_t buf[DSA_DESC_SIZE];
    QIdxdRecord rec;

    qidxd_bring_up(d, 1, NULL);
    qidxd_pack(&nop, buf);
    qpci_memwrite(&d->pci, d->regs, 0xf000, buf, sizeof(buf));
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    qidxd_read_record(d, nop.record, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_NONE);
    g_assert_cmphex(qidxd_readq(d, 0xf000), ==, 0);
    g_assert_cmphex(qidxd_readq(d, DSA_SWERROR), ==, 0);
    idxd_vm_free(vm);
}

void idxd_ims_add_feature_tests(void)
{
    qtest_add_func("/idxd-ims/features/capabilities", test_capabilities);
    qtest_add_func("/idxd-ims/features/bad-properties", test_bad_properties);
    qtest_add_func("/idxd-ims/features/unsupported", test_unsupported);
    qtest_add_func("/idxd-ims/features/page-requests", test_page_requests);
    qtest_add_func("/idxd-ims/features/halt", test_halt);
    qtest_add_func("/idxd-ims/features/occupancy", test_occupancy);
    qtest_add_func("/idxd-ims/features/dummy-portal", test_dummy_portal);
}
