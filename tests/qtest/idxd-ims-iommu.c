/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: memory accesses behind an IOMMU
 *
 * Sections 3.13 and 9.1.3 of the specification.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hw/pci/pci_regs.h"
#include "hw/i386/intel_iommu_internal.h"
#include "idxd-ims-vtd.h"

/* Memory that real mode reaches, and nothing else uses */
#define LOW_TABLE   0x20000

/* The record is where the address space of the descriptor has it */
static void run(Vtd *m, unsigned wq, unsigned space, QIdxdDesc desc,
                QIdxdRecord *rec)
{
    uint64_t record = vtd_place(m, space, RECORD);

    desc.flags |= DSA_FLAG_RECORD;
    desc.record = RECORD;
    qtest_memset(m->vm->qts, record, 0, DSA_RECORD_SIZE);
    qidxd_submit(&m->vm->dev, wq, DSA_PORTAL_LIMITED, &desc);
    qidxd_wait_record(&m->vm->dev, record, rec);
}

/* A transfer that no page table stops, across pages, with its interrupt */
static void check_copy(Vtd *m, unsigned wq, unsigned space, uint32_t pasid)
{
    QIdxd *d = &m->vm->dev;
    QIdxdRecord rec;

    vtd_fill(m, space, SRC, 0x11 + space);
    vtd_fill(m, space, SRC + PAGE, 0x22 + space);
    vtd_fill(m, space, DST, 0xee);
    vtd_fill(m, space, DST + PAGE, 0xee);
    run(m, wq, space, (QIdxdDesc) {
        .opcode = DSA_OP_MEMMOVE, .flags = DSA_FLAG_RCI, .src = SRC,
        .dst = DST, .size = 2 * PAGE, .pasid = pasid,
        .handle = qidxd_request_handle(d, false, wq + 1) }, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    vtd_check(m, space, DST, 0x11 + space);
    vtd_check(m, space, DST + PAGE, 0x22 + space);
    qidxd_wait_message(d, wq + 1);
}

/* What is done before the page that faults stays done, and is reported */
static void check_read_fault(Vtd *m, unsigned space, unsigned wq, bool ats)
{
    QIdxdRecord rec;

    vtd_fill(m, space, DST, 0xee);
    vtd_fill(m, space, DST + PAGE, 0xee);
    vtd_fill(m, space, SRC + PAGE, 0x33);
    run(m, wq, space, (QIdxdDesc) {
        .opcode = DSA_OP_MEMMOVE, .src = SRC + PAGE, .dst = DST,
        .size = 2 * PAGE }, &rec);
    g_assert_cmphex(rec.status, ==, ats ? DSA_ST_FAULT : DSA_ST_HW_READ);
    g_assert_cmphex(rec.fault_addr & ~(PAGE - 1ull), ==, SRC + 2 * PAGE);
    g_assert_cmphex(rec.bytes, ==, PAGE);
    vtd_check(m, space, DST, 0x33);
    vtd_check(m, space, DST + PAGE, 0xee);
}

static void check_write_fault(Vtd *m, unsigned space, unsigned wq, bool ats)
{
    QIdxdDesc desc = {
        .opcode = DSA_OP_FILL, .src = 0, .dst = READ_ONLY, .size = PAGE,
    };
    QIdxdRecord rec;

    vtd_fill(m, space, READ_ONLY, 0x44);
    run(m, wq, space, desc, &rec);
    if (ats) {
        g_assert_cmphex(rec.status, ==, DSA_ST_FAULT | 0x80);
    } else {
        g_assert_cmphex(rec.status, ==, DSA_ST_HW_WRITE);
    }
    g_assert_cmphex(rec.fault_addr & ~(PAGE - 1ull), ==, READ_ONLY);
    g_assert_cmphex(rec.bytes, ==, 0);
    vtd_check(m, space, READ_ONLY, 0x44);
    /* It can be read */
    desc.opcode = DSA_OP_MEMMOVE;
    desc.src = READ_ONLY;
    desc.dst = DST;
    run(m, wq, space, desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    vtd_check(m, space, DST, 0x44);
    run(m, wq, space, (QIdxdDesc) {
        .opcode = DSA_OP_CACHE_FLUSH, .flags = DSA_FLAG_READBACK,
        .dst = READ_ONLY, .size = PAGE }, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
}

/* Destination readback reads nothing: a page that is write-only will do */
static void check_write_only(Vtd *m, unsigned wq)
{
    QIdxdRecord rec;

    vtd_fill(m, NO_PASID, WRITE_ONLY, 0);
    run(m, wq, NO_PASID, (QIdxdDesc) {
        .opcode = DSA_OP_FILL, .flags = DSA_FLAG_READBACK,
        .src = 0x3333333333333333ull, .dst = WRITE_ONLY, .size = PAGE }, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    vtd_check(m, NO_PASID, WRITE_ONLY, 0x33);
}

static void check_list_fault(Vtd *m, unsigned space, unsigned wq, bool ats)
{
    QIdxdRecord rec;

    run(m, wq, space, (QIdxdDesc) {
        .opcode = DSA_OP_BATCH, .src = HOLE, .size = 2 }, &rec);
    g_assert_cmphex(rec.status, ==, ats ? DSA_ST_BATCH_FAULT : DSA_ST_HW_READ);
    g_assert_cmphex(rec.fault_addr & ~(PAGE - 1ull), ==, HOLE);
}

/* A record that cannot be written: SWERROR, and neither work nor interrupt */
static void check_record_fault(Vtd *m, unsigned wq, uint32_t pasid,
                               uint64_t record)
{
    QIdxd *d = &m->vm->dev;
    QIdxdDesc desc = {
        .opcode = DSA_OP_FILL, .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI,
        .record = record, .src = ~0ull, .dst = DST, .size = PAGE,
        .handle = qidxd_request_handle(d, false, wq + 1),
    };
    uint64_t q0;

    for (unsigned space = 0; space < (m->scalable ? NR_SPACES : 1); space++) {
        vtd_fill(m, space, DST, 0x55);
        vtd_fill(m, space, RECORD, 0x55);
    }
    qidxd_submit(d, wq, DSA_PORTAL_LIMITED, &desc);
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    q0 = qidxd_readq(d, DSA_SWERROR);
    g_assert_cmphex(DSA_SWERR_CODE(q0), ==, DSA_ST_CR_FAULT);
    g_assert_cmphex(DSA_SWERR_PASID(q0), ==, pasid);
    g_assert_cmpuint(DSA_SWERR_WQ_INDEX(q0), ==, wq);
    g_assert_cmphex(q0 & DSA_SWERR_OVERFLOW, ==, 0);
    g_assert_cmphex(qidxd_readq(d, DSA_SWERROR + 16) & ~(PAGE - 1ull), ==,
                    record);
    g_assert(!qidxd_take_message(d, wq + 1));
    for (unsigned space = 0; space < (m->scalable ? NR_SPACES : 1); space++) {
        vtd_check(m, space, DST, 0x55);
        vtd_check(m, space, RECORD, 0x55);
    }
    qidxd_writeq(d, DSA_SWERROR, 3);
}

/* Requests without PASID, translated by the device's ATS or on the way */
static void check_legacy(bool ats)
{
    Vtd m = { };

    if (!vtd_start(&m, VTD_LEGACY, "")) {
        return;
    }
    if (ats) {
        vtd_enable_ats(m.vm);
    }
    qidxd_bring_up(&m.vm->dev, 2, NULL);
    check_copy(&m, 1, NO_PASID, 0);
    check_read_fault(&m, NO_PASID, 1, ats);
    check_write_fault(&m, NO_PASID, 1, ats);
    check_write_only(&m, 1);
    check_list_fault(&m, NO_PASID, 1, ats);
    check_record_fault(&m, 1, 0, HOLE);
    check_copy(&m, 1, NO_PASID, 0);
    idxd_vm_free(m.vm);
}

static void test_ats(void)
{
    check_legacy(true);
}

static void test_untranslated(void)
{
    check_legacy(false);
}

/* WQ n uses space n; two have PASIDs without one, the last one is shared */
#define ABSENT_WQ   NR_SPACES
#define LARGE_WQ    (NR_SPACES + 1)
#define SHARED_WQ   (NR_SPACES + 2)
#define NR_WQS      (NR_SPACES + 3)

static bool pasid_start(Vtd *m)
{
    QIdxd *d;
    QIdxdWq wqs[NR_WQS] = {
        [SPACE_A] = { .pasid_enable = true, .pasid = vtd_pasids[SPACE_A] },
        [SPACE_B] = { .pasid_enable = true, .pasid = vtd_pasids[SPACE_B] },
        [ABSENT_WQ] = { .pasid_enable = true, .pasid = PASID_ABSENT },
        [LARGE_WQ] = { .pasid_enable = true, .pasid = PASID_LARGE },
        [SHARED_WQ] = { .pasid_enable = true, .shared = true },
    };

    if (!vtd_start(m, VTD_SCALABLE, "x-mmio-dmwr=on")) {
        return false;
    }
    d = &m->vm->dev;
    vtd_enable_ats(m->vm);
    idxd_vm_enable_pasid(m->vm, false);
    qidxd_configure(d, NR_WQS, wqs);
    qidxd_writel(d, DSA_GENCFG, qidxd_readl(d, DSA_GENCFG) |
                 DSA_GENCFG_USER_INT);
    for (unsigned wq = 1; wq < SHARED_WQ; wq++) {
        qidxd_writel(d, qidxd_perm(d, wq + 1), DSA_ENTRY_PASID(wqs[wq].pasid));
    }
    return true;
}

/* Each address space is reached with its PASID, and only with that */
static void test_pasid(void)
{
    Vtd m = { };

    if (!pasid_start(&m)) {
        return;
    }
    qidxd_enable(&m.vm->dev, NR_WQS);
    for (unsigned space = 0; space < NR_SPACES; space++) {
        for (unsigned other = 0; other < NR_SPACES; other++) {
            vtd_fill(&m, other, DST, 0x77);
        }
        check_copy(&m, space, space, 0);
        for (unsigned other = 0; other < NR_SPACES; other++) {
            if (other != space) {
                vtd_check(&m, other, DST, 0x77);
            }
        }
        check_read_fault(&m, space, space, true);
        check_write_fault(&m, space, space, true);
        check_list_fault(&m, space, space, true);
        check_record_fault(&m, space, vtd_pasids[space], HOLE);
    }
    check_record_fault(&m, ABSENT_WQ, PASID_ABSENT, RECORD);
    check_record_fault(&m, LARGE_WQ, PASID_LARGE, RECORD);
    idxd_vm_free(m.vm);
}

/* A shared WQ: the PASID comes with each descriptor */
static void test_shared(void)
{
    Vtd m = { };
    QIdxd *d;

    if (!pasid_start(&m)) {
        return;
    }
    d = &m.vm->dev;
    qidxd_enable(d, NR_WQS);
    for (unsigned space = SPACE_A; space < NR_SPACES; space++) {
        qidxd_writel(d, qidxd_perm(d, SHARED_WQ + 1),
                     DSA_ENTRY_PASID(vtd_pasids[space]));
        check_copy(&m, SHARED_WQ, space, vtd_pasids[space]);
    }
    idxd_vm_free(m.vm);
}

/*
 * Without ATS a request with PASID has no way through QEMU.  It must not be
 * taken for one without PASID.
 */
static void test_pasid_without_ats(void)
{
    Vtd m = { };
    QIdxd *d;
    uint64_t mode;

    if (!pasid_start(&m)) {
        return;
    }
    d = &m.vm->dev;
    g_assert_cmphex(qidxd_readq(d, DSA_WQCAP) & DSA_WQCAP_ATS, !=, 0);
    for (unsigned wq = 0; wq <= SPACE_A; wq++) {
        mode = qidxd_wqcfg(d, wq, 2);
        qidxd_writel(d, mode, qidxd_readl(d, mode) | 1 << 2);
    }
    qidxd_enable(d, NR_WQS);
    check_record_fault(&m, SPACE_A, vtd_pasids[SPACE_A], RECORD);
    check_copy(&m, NO_PASID, NO_PASID, 0);
    check_read_fault(&m, NO_PASID, NO_PASID, false);
    check_copy(&m, SPACE_B, SPACE_B, 0);
    idxd_vm_free(m.vm);
}

/* The range of interrupts is no memory, for requests of all kinds */
static void check_interrupt_range(const char *iommu)
{
    Vtd m = { };

    if (!vtd_start(&m, iommu, "")) {
        return;
    }
    vtd_enable_ats(m.vm);
    qidxd_bring_up(&m.vm->dev, 2, NULL);
    check_record_fault(&m, 1, 0, 0xfee00000);
    idxd_vm_free(m.vm);
}

static void test_interrupt_range(void)
{
    check_interrupt_range(VTD_LEGACY);
    check_interrupt_range(VTD_SCALABLE);
}

/* With a PASID, its addresses are as good as others: mapped or not */
static void test_interrupt_range_pasid(void)
{
    QIdxdDesc desc = {
        .opcode = DSA_OP_FILL, .src = 0x7777777777777777ull, .dst = 0xfee00000,
        .size = PAGE,
    };
    Vtd m = { };
    QIdxdRecord rec;

    if (!pasid_start(&m)) {
        return;
    }
    qidxd_enable(&m.vm->dev, NR_WQS);
    vtd_alias(&m, SPACE_A, 0xfee00000, DST);
    vtd_fill(&m, SPACE_A, DST, 0);
    run(&m, SPACE_A, SPACE_A, desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    vtd_check(&m, SPACE_A, DST, 0x77);
    run(&m, SPACE_B, SPACE_B, desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_FAULT | 0x80);
    idxd_vm_free(m.vm);
}

/* An entry that cannot be used, and of which no fault is to be recorded */
static void test_fault_disabled(void)
{
    Vtd m = { };

    if (!pasid_start(&m)) {
        return;
    }
    vtd_break_pasid(&m, SPACE_A);
    qidxd_enable(&m.vm->dev, NR_WQS);
    check_record_fault(&m, SPACE_A, PASID_A, RECORD);
    check_copy(&m, SPACE_B, SPACE_B, 0);
    idxd_vm_free(m.vm);
}

/* Firmware that only writes two bytes in turn, to LOW_TABLE + @off */
static char *toggling_firmware(uint16_t off, uint8_t a, uint8_t b)
{
    const uint8_t code[] = {
        0xfa,                                       /* cli */
        0xb8, LOW_TABLE >> 4 & 0xff, LOW_TABLE >> 12, /* mov $segment, %ax */
        0x8e, 0xd8,                                 /* mov %ax, %ds */
        0xc6, 0x06, off & 0xff, off >> 8, a,        /* again: movb $a, off */
        0xc6, 0x06, off & 0xff, off >> 8, b,        /* movb $b, off */
        0xeb, 0xf4,                                 /* jmp again */
    };
    const uint8_t reset[] = { 0xea, 0x00, 0x00, 0x00, 0xf0 };
    g_autofree uint8_t *image = g_malloc0(0x10000);
    char *file = g_strdup_printf("%s/idxd-ims-test-%d.bin", g_get_tmp_dir(),
                                 getpid());

    memcpy(image, code, sizeof(code));
    memcpy(image + 0xfff0, reset, sizeof(reset));
    g_assert(g_file_set_contents(file, (char *)image, 0x10000, NULL));
    return file;
}

/*
 * Another CPU changes the number of levels in the PASID entry, between a valid
 * one and one that is not, while the entry is used.
 */
static void test_entry_changes(void)
{
    g_autofree char *file = toggling_firmware(vtd_pasid_slot(PASID_A) + 16,
                                              0, 1 << 2);
    g_autofree char *iommu = g_strdup_printf(VTD_SCALABLE ",device-iotlb=on "
                                             "-accel tcg -bios %s", file);
    QIdxdWq wqs[] = { { .pasid_enable = true, .pasid = PASID_A } };
    Vtd m = { };

    if (!qtest_has_accel("tcg")) {
        g_test_skip("this QEMU has no TCG");
    } else if (vtd_start(&m, iommu, "")) {
        vtd_enable_ats(m.vm);
        idxd_vm_enable_pasid(m.vm, false);
        vtd_move_pasid_table(&m, PASID_A, LOW_TABLE);
        qidxd_bring_up(&m.vm->dev, 1, wqs);
        for (unsigned i = 0; i < 2000; i++) {
            qidxd_submit(&m.vm->dev, 0, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
                .opcode = DSA_OP_FILL, .dst = HOLE, .size = PAGE });
            qidxd_command_ok(&m.vm->dev, DSA_DRAIN_ALL, 0);
        }
        idxd_vm_free(m.vm);
    }
    unlink(file);
}

/*
 * The IOMMU offers supervisor requests without first-stage tables, and permits
 * none: neither aborts, and other work goes on.
 */
static void check_privileged(const char *iommu)
{
    static const QIdxdWq wqs[] = {
        [1] = { .pasid_enable = true, .priv = true, .pasid = PASID_A },
    };
    Vtd m = { .vm = idxd_vm_new_iommu(iommu, "") };

    vtd_enable_ats(m.vm);
    idxd_vm_enable_pasid(m.vm, true);
    qidxd_bring_up(&m.vm->dev, ARRAY_SIZE(wqs), wqs);
    check_record_fault(&m, 1, PASID_A, RECORD);
    idxd_vm_free(m.vm);
}

static void test_privileged(void)
{
    if (!qtest_has_device("intel-iommu")) {
        g_test_skip("this QEMU has no intel-iommu");
        return;
    }
    check_privileged("intel-iommu,scalable-mode=on,pasid-bits=8,"
                     "device-iotlb=on");
    check_privileged(VTD_SCALABLE ",device-iotlb=on");
}

/* The IOMMU's registers of 4 bytes, two at once */
static void test_wide_writes(void)
{
    static const unsigned pairs[] = {
        DMAR_FECTL_REG, DMAR_FEADDR_REG, DMAR_IECTL_REG, DMAR_IEADDR_REG,
        DMAR_PECTL_REG, DMAR_PEADDR_REG, DMAR_GCMD_REG,
    };
    Vtd m = { };

    if (!vtd_start(&m, VTD_SVM, "pri=on")) {
        return;
    }
    for (unsigned i = 0; i < ARRAY_SIZE(pairs); i++) {
        vtd_write(&m, pairs[i], 0);
    }
    /* GCMD has switched translation off */
    g_assert_cmphex(vtd_read(&m, DMAR_GCMD_REG) >> 32 & VTD_GSTS_TES, ==, 0);
    idxd_vm_free(m.vm);
}

/* An IOMMU that does not answer devices: requests are as with ATS off */
static void test_ats_unanswered(void)
{
    QIdxdDesc desc;
    QIdxdRecord rec;
    IdxdVM *vm;

    if (!qtest_has_device("amd-iommu")) {
        g_test_skip("this QEMU has no amd-iommu");
        return;
    }
    vm = idxd_vm_new_iommu("amd-iommu", "");
    vtd_enable_ats(vm);
    qidxd_bring_up(&vm->dev, 1, NULL);
    desc = idxd_vm_desc(vm, DSA_OP_MEMMOVE);
    qtest_memset(vm->qts, desc.src, 0x5a, desc.size);
    qidxd_run(&vm->dev, 0, DSA_PORTAL_LIMITED, &desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    g_assert_cmphex(qtest_readb(vm->qts, desc.dst + desc.size - 1), ==, 0x5a);
    idxd_vm_free(vm);
}

void idxd_ims_add_iommu_tests(void)
{
    qtest_add_func("/idxd-ims/iommu/ats", test_ats);
    qtest_add_func("/idxd-ims/iommu/untranslated", test_untranslated);
    qtest_add_func("/idxd-ims/iommu/pasid", test_pasid);
    qtest_add_func("/idxd-ims/iommu/shared", test_shared);
    qtest_add_func("/idxd-ims/iommu/pasid-without-ats",
                   test_pasid_without_ats);
    qtest_add_func("/idxd-ims/iommu/interrupt-range", test_interrupt_range);
    qtest_add_func("/idxd-ims/iommu/interrupt-range-pasid",
                   test_interrupt_range_pasid);
    qtest_add_func("/idxd-ims/iommu/fault-disabled", test_fault_disabled);
    qtest_add_func("/idxd-ims/iommu/entry-changes", test_entry_changes);
    qtest_add_func("/idxd-ims/iommu/privileged", test_privileged);
    qtest_add_func("/idxd-ims/iommu/wide-writes", test_wide_writes);
    qtest_add_func("/idxd-ims/iommu/ats-unanswered", test_ats_unanswered);
}
