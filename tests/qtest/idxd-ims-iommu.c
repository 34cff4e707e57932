/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: memory accesses behind an IOMMU
 *
 * Sections 3.13 and 9.1.3 of the specification.  Each address space maps the
 * same addresses to memory of its own, so that an access in the wrong one is
 * seen; neighbours in an address space are no neighbours in memory.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hw/pci/pci_regs.h"
#include "hw/i386/intel_iommu_internal.h"
#include "idxd-ims-vm.h"

#define LEGACY      "intel-iommu,device-iotlb=on"
#define SCALABLE    "intel-iommu,x-scalable-mode=on,x-flts=on,x-pasid-mode=on"

#define PAGE        0x1000
#define TOP_LEVEL   4

/* Addresses that the device uses; what is not listed is not mapped */
#define RECORD      0x40000000ull
#define SRC         0x40010000ull       /* two pages */
#define DST         0x40020000ull       /* two pages */
#define READ_ONLY   0x40030000ull
#define LIST        0x40040000ull
#define EVENTS      0x40050000ull
#define HOLE        0x40060000ull
#define SPACE_SIZE  0x100000

enum { NO_PASID, SPACE_A, SPACE_B, NR_SPACES };

/* In different pages of the directory; the last one has no entry */
static const uint32_t pasids[NR_SPACES] = { 0, 0x54, 0x12345 };
#define PASID_ABSENT    0x55

typedef struct Iommu {
    IdxdVM *vm;
    bool scalable;
    uint64_t tables[NR_SPACES];
} Iommu;

static uint64_t new_pages(IdxdVM *vm, size_t size)
{
    uint64_t addr = guest_alloc(&vm->alloc, size);

    qtest_memset(vm->qts, addr, 0, size);
    return addr;
}

/* Where an address of the device is in memory */
static uint64_t place(Iommu *m, unsigned space, uint64_t iova)
{
    return m->vm->ram + space * SPACE_SIZE + ((iova - RECORD) ^ PAGE);
}

static void map_page(Iommu *m, unsigned space, uint64_t iova, uint64_t addr,
                     bool writable)
{
    QTestState *qts = m->vm->qts;
    uint64_t dir = m->scalable ? VTD_FL_P | VTD_FL_RW | VTD_FL_US
                               : VTD_SL_R | VTD_SL_W;
    uint64_t leaf = m->scalable ? VTD_FL_P | VTD_FL_US : VTD_SL_R;
    uint64_t table = m->tables[space];
    unsigned level;

    for (level = TOP_LEVEL; level > 1; level--) {
        uint64_t slot = table + extract64(iova, 12 + 9 * (level - 1), 9) * 8;

        if (!qtest_readq(qts, slot)) {
            qtest_writeq(qts, slot, new_pages(m->vm, PAGE) | dir);
        }
        table = qtest_readq(qts, slot) & ~(PAGE - 1ull);
    }
    qtest_writeq(qts, table + extract64(iova, 12, 9) * 8,
                 addr | (writable ? dir : leaf));
}

static void map_space(Iommu *m, unsigned space)
{
    static const uint64_t pages[] = {
        RECORD, SRC, SRC + PAGE, DST, DST + PAGE, LIST, EVENTS,
    };

    m->tables[space] = new_pages(m->vm, PAGE);
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        map_page(m, space, pages[i], place(m, space, pages[i]), true);
    }
    map_page(m, space, READ_ONLY, place(m, space, READ_ONLY), false);
}

/* The context entry of legacy mode: one table of the second level */
static void fill_context(Iommu *m, uint64_t context)
{
    uint64_t slot = context + m->vm->dev.pci.devfn * VTD_CTX_ENTRY_LEGACY_SIZE;

    qtest_writeq(m->vm->qts, slot, m->tables[NO_PASID] |
                 VTD_CONTEXT_TT_DEV_IOTLB | VTD_CONTEXT_ENTRY_P);
    qtest_writeq(m->vm->qts, slot + 8, 1 << 8 | (TOP_LEVEL - 2));
}

static void fill_pasid(Iommu *m, uint64_t dir, unsigned space)
{
    uint32_t pasid = pasids[space];
    QTestState *qts = m->vm->qts;
    uint64_t slot = dir + VTD_PASID_DIR_INDEX(pasid) * 8;
    uint64_t entry;

    if (!qtest_readq(qts, slot)) {
        qtest_writeq(qts, slot, new_pages(m->vm, PAGE) | VTD_PASID_ENTRY_P);
    }
    entry = (qtest_readq(qts, slot) & ~(PAGE - 1ull)) +
            VTD_PASID_TABLE_INDEX(pasid) * VTD_PASID_ENTRY_SIZE;
    qtest_writeq(qts, entry, VTD_SM_PASID_ENTRY_FLT | (TOP_LEVEL - 2) << 2 |
                 VTD_PASID_ENTRY_P);
    qtest_writeq(qts, entry + 8, space + 1);
    qtest_writeq(qts, entry + 16, m->tables[space]);
}

/* That of scalable mode: a directory of PASIDs, 0 for requests without */
static void fill_context_scalable(Iommu *m, uint64_t context)
{
    uint64_t dir = new_pages(m->vm, 8 * (VTD_PASID_DIR_BITS_MASK + 1));
    uint64_t slot = context +
                    m->vm->dev.pci.devfn * VTD_CTX_ENTRY_SCALABLE_SIZE;

    for (unsigned space = 0; space < NR_SPACES; space++) {
        fill_pasid(m, dir, space);
    }
    /* PDTS for 20 bits of PASID; PASID and device TLB enabled; present */
    qtest_writeq(m->vm->qts, slot, dir | 7 << 9 | 1 << 3 | 1 << 2 | 1);
}

static void iommu_write(Iommu *m, unsigned reg, uint64_t val, bool quad)
{
    uint64_t addr = Q35_HOST_BRIDGE_IOMMU_ADDR + reg;

    if (quad) {
        qtest_writeq(m->vm->qts, addr, val);
    } else {
        qtest_writel(m->vm->qts, addr, val);
    }
}

static void iommu_enable(Iommu *m)
{
    uint64_t root = new_pages(m->vm, PAGE);
    uint64_t context = new_pages(m->vm, PAGE);

    if (m->scalable) {
        fill_context_scalable(m, context);
    } else {
        fill_context(m, context);
    }
    qtest_writeq(m->vm->qts, root, context | VTD_ROOT_ENTRY_P);
    iommu_write(m, DMAR_RTADDR_REG,
                root | (m->scalable ? VTD_RTADDR_SMT : 0), true);
    iommu_write(m, DMAR_GCMD_REG, VTD_GCMD_SRTP, false);
    iommu_write(m, DMAR_GCMD_REG, VTD_GCMD_TE, false);
    g_assert_cmphex(qtest_readl(m->vm->qts, Q35_HOST_BRIDGE_IOMMU_ADDR +
                                DMAR_GSTS_REG) & VTD_GSTS_TES, !=, 0);
}

static void enable_ats(IdxdVM *vm)
{
    unsigned cap = idxd_vm_ext_cap(vm, PCI_EXT_CAP_ID_ATS);

    g_assert_cmphex(cap, !=, 0);
    idxd_vm_ecam_writel(vm, cap + PCI_ATS_CAP,
                        (uint32_t)PCI_ATS_CTRL_ENABLE << 16);
    g_assert_cmphex(idxd_vm_ecam_readl(vm, cap + PCI_ATS_CAP) >> 16, ==,
                    PCI_ATS_CTRL_ENABLE);
}

static bool iommu_start(Iommu *m, const char *iommu, const char *opts)
{
    if (!qtest_has_device("intel-iommu")) {
        g_test_skip("this QEMU has no intel-iommu");
        return false;
    }
    m->scalable = !strcmp(iommu, SCALABLE);
    m->vm = idxd_vm_new_iommu(iommu, opts);
    for (unsigned space = 0; space < (m->scalable ? NR_SPACES : 1); space++) {
        map_space(m, space);
    }
    /* Messages are written without PASID */
    map_page(m, NO_PASID, m->vm->dev.messages, m->vm->dev.messages, true);
    iommu_enable(m);
    qidxd_msix_on(&m->vm->dev);
    return true;
}

static void fill_memory(Iommu *m, unsigned space, uint64_t iova, uint8_t val)
{
    qtest_memset(m->vm->qts, place(m, space, iova), val, PAGE);
}

static void check_memory(Iommu *m, unsigned space, uint64_t iova, uint8_t val)
{
    uint8_t page[PAGE];

    qtest_bufread(m->vm->qts, place(m, space, iova), page, PAGE);
    for (unsigned i = 0; i < PAGE; i++) {
        g_assert_cmphex(page[i], ==, val);
    }
}

/* The record is where the address space of the descriptor has it */
static void run(Iommu *m, unsigned wq, unsigned space, QIdxdDesc desc,
                QIdxdRecord *rec)
{
    uint64_t record = place(m, space, RECORD);

    desc.flags |= DSA_FLAG_RECORD;
    desc.record = RECORD;
    qtest_memset(m->vm->qts, record, 0, DSA_RECORD_SIZE);
    qidxd_submit(&m->vm->dev, wq, DSA_PORTAL_LIMITED, &desc);
    qidxd_wait_record(&m->vm->dev, record, rec);
}

/* A transfer that no page table stops, across pages, with its interrupt */
static void check_copy(Iommu *m, unsigned wq, unsigned space, uint32_t pasid)
{
    QIdxd *d = &m->vm->dev;
    QIdxdRecord rec;

    fill_memory(m, space, SRC, 0x11 + space);
    fill_memory(m, space, SRC + PAGE, 0x22 + space);
    fill_memory(m, space, DST, 0xee);
    fill_memory(m, space, DST + PAGE, 0xee);
    run(m, wq, space, (QIdxdDesc) {
        .opcode = DSA_OP_MEMMOVE, .flags = DSA_FLAG_RCI, .src = SRC,
        .dst = DST, .size = 2 * PAGE, .pasid = pasid,
        .handle = qidxd_request_handle(d, false, wq + 1) }, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    check_memory(m, space, DST, 0x11 + space);
    check_memory(m, space, DST + PAGE, 0x22 + space);
    qidxd_wait_message(d, wq + 1);
}

/* What is done before the page that faults stays done, and is reported */
static void check_read_fault(Iommu *m, unsigned space, unsigned wq, bool ats)
{
    QIdxdRecord rec;

    fill_memory(m, space, DST, 0xee);
    fill_memory(m, space, DST + PAGE, 0xee);
    fill_memory(m, space, SRC + PAGE, 0x33);
    run(m, wq, space, (QIdxdDesc) {
        .opcode = DSA_OP_MEMMOVE, .src = SRC + PAGE, .dst = DST,
        .size = 2 * PAGE }, &rec);
    g_assert_cmphex(rec.status, ==, ats ? DSA_ST_FAULT : DSA_ST_HW_READ);
    g_assert_cmphex(rec.fault_addr & ~(PAGE - 1ull), ==, SRC + 2 * PAGE);
    g_assert_cmphex(rec.bytes, ==, PAGE);
    check_memory(m, space, DST, 0x33);
    check_memory(m, space, DST + PAGE, 0xee);
}

static void check_write_fault(Iommu *m, unsigned space, unsigned wq, bool ats)
{
    QIdxdDesc desc = {
        .opcode = DSA_OP_FILL, .src = 0, .dst = READ_ONLY, .size = PAGE,
    };
    QIdxdRecord rec;

    fill_memory(m, space, READ_ONLY, 0x44);
    run(m, wq, space, desc, &rec);
    if (ats) {
        g_assert_cmphex(rec.status, ==, DSA_ST_FAULT | 0x80);
    } else {
        g_assert_cmphex(rec.status, ==, DSA_ST_HW_WRITE);
    }
    g_assert_cmphex(rec.fault_addr & ~(PAGE - 1ull), ==, READ_ONLY);
    g_assert_cmphex(rec.bytes, ==, 0);
    check_memory(m, space, READ_ONLY, 0x44);
    /* It can be read */
    desc.opcode = DSA_OP_MEMMOVE;
    desc.src = READ_ONLY;
    desc.dst = DST;
    run(m, wq, space, desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    check_memory(m, space, DST, 0x44);
}

static void check_list_fault(Iommu *m, unsigned space, unsigned wq, bool ats)
{
    QIdxdRecord rec;

    run(m, wq, space, (QIdxdDesc) {
        .opcode = DSA_OP_BATCH, .src = HOLE, .size = 2 }, &rec);
    g_assert_cmphex(rec.status, ==, ats ? DSA_ST_BATCH_FAULT : DSA_ST_HW_READ);
    g_assert_cmphex(rec.fault_addr & ~(PAGE - 1ull), ==, HOLE);
}

/* A record that cannot be written: SWERROR, and neither work nor interrupt */
static void check_record_fault(Iommu *m, unsigned wq, uint32_t pasid,
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
        fill_memory(m, space, DST, 0x55);
        fill_memory(m, space, RECORD, 0x55);
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
        check_memory(m, space, DST, 0x55);
        check_memory(m, space, RECORD, 0x55);
    }
    qidxd_writeq(d, DSA_SWERROR, 3);
}

/* Requests without PASID, translated by the device's ATS or on the way */
static void check_legacy(bool ats)
{
    Iommu m = { };

    if (!iommu_start(&m, LEGACY, "")) {
        return;
    }
    if (ats) {
        enable_ats(m.vm);
    }
    qidxd_bring_up(&m.vm->dev, 2, NULL);
    check_copy(&m, 1, NO_PASID, 0);
    check_read_fault(&m, NO_PASID, 1, ats);
    check_write_fault(&m, NO_PASID, 1, ats);
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

/* WQ n uses space n; the last one is shared */
#define SHARED_WQ   (NR_SPACES + 1)
#define NR_WQS      (NR_SPACES + 2)

static bool pasid_start(Iommu *m)
{
    QIdxd *d;
    QIdxdWq wqs[NR_WQS] = {
        [SPACE_A] = { .pasid_enable = true, .pasid = pasids[SPACE_A] },
        [SPACE_B] = { .pasid_enable = true, .pasid = pasids[SPACE_B] },
        [NR_SPACES] = { .pasid_enable = true, .pasid = PASID_ABSENT },
        [SHARED_WQ] = { .pasid_enable = true, .shared = true },
    };

    if (!iommu_start(m, SCALABLE, "x-mmio-dmwr=on")) {
        return false;
    }
    d = &m->vm->dev;
    enable_ats(m->vm);
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
    Iommu m = { };

    if (!pasid_start(&m)) {
        return;
    }
    qidxd_enable(&m.vm->dev, NR_WQS);
    for (unsigned space = 0; space < NR_SPACES; space++) {
        for (unsigned other = 0; other < NR_SPACES; other++) {
            fill_memory(&m, other, DST, 0x77);
        }
        check_copy(&m, space, space, 0);
        for (unsigned other = 0; other < NR_SPACES; other++) {
            if (other != space) {
                check_memory(&m, other, DST, 0x77);
            }
        }
        check_read_fault(&m, space, space, true);
        check_write_fault(&m, space, space, true);
        check_list_fault(&m, space, space, true);
        check_record_fault(&m, space, pasids[space], HOLE);
    }
    check_record_fault(&m, NR_SPACES, PASID_ABSENT, RECORD);
    idxd_vm_free(m.vm);
}

/* A shared WQ: the PASID comes with each descriptor */
static void test_shared(void)
{
    Iommu m = { };
    QIdxd *d;

    if (!pasid_start(&m)) {
        return;
    }
    d = &m.vm->dev;
    qidxd_enable(d, NR_WQS);
    for (unsigned space = SPACE_A; space < NR_SPACES; space++) {
        qidxd_writel(d, qidxd_perm(d, SHARED_WQ + 1),
                     DSA_ENTRY_PASID(pasids[space]));
        check_copy(&m, SHARED_WQ, space, pasids[space]);
    }
    idxd_vm_free(m.vm);
}

/*
 * Without ATS a request with PASID has no way through QEMU.  It must not be
 * taken for one without PASID.
 */
static void test_pasid_without_ats(void)
{
    Iommu m = { };
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
    check_record_fault(&m, SPACE_A, pasids[SPACE_A], RECORD);
    check_copy(&m, NO_PASID, NO_PASID, 0);
    check_read_fault(&m, NO_PASID, NO_PASID, false);
    check_copy(&m, SPACE_B, SPACE_B, 0);
    idxd_vm_free(m.vm);
}

static void log_start(Iommu *m, uint64_t base, unsigned space)
{
    QIdxd *d = &m->vm->dev;

    qidxd_configure(d, 1, NULL);
    qidxd_writeq(d, DSA_EVLCFG, base | 1);
    qidxd_writeq(d, DSA_EVLCFG + 8, 64 | (uint64_t)pasids[space] << 16);
    qidxd_writel(d, DSA_GENCFG, qidxd_readl(d, DSA_GENCFG) | DSA_GENCFG_EVL);
    qidxd_enable(d, 1);
    /* There is no place for this record */
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
        .flags = DSA_FLAG_RECORD, .record = HOLE });
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
}

/* The event log has a PASID of its own, and may itself be out of reach */
static void test_event_log(void)
{
    Iommu m = { };
    QIdxd *d;
    uint64_t event;

    if (!pasid_start(&m)) {
        return;
    }
    d = &m.vm->dev;
    for (unsigned space = 0; space < NR_SPACES; space++) {
        fill_memory(&m, space, EVENTS, 0);
    }
    log_start(&m, EVENTS, SPACE_B);
    g_assert_cmphex(qidxd_readq(d, DSA_EVLSTATUS) >> 32, ==, 1);
    g_assert_cmphex(qidxd_readq(d, DSA_SWERROR), ==, 0);
    event = place(&m, SPACE_B, EVENTS);
    g_assert_cmphex(DSA_SWERR_CODE(qtest_readq(m.vm->qts, event)), ==,
                    DSA_ST_CR_FAULT);
    g_assert_cmphex(qtest_readq(m.vm->qts, event + 16), ==, HOLE);
    check_memory(&m, NO_PASID, EVENTS, 0);
    check_memory(&m, SPACE_A, EVENTS, 0);
    log_start(&m, HOLE, SPACE_B);
    g_assert_cmphex(qidxd_readq(d, DSA_EVLSTATUS) >> 32, ==, 0);
    g_assert_cmphex(DSA_SWERR_CODE(qidxd_readq(d, DSA_SWERROR)), ==, 0x54);
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
    enable_ats(vm);
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
    qtest_add_func("/idxd-ims/iommu/ats-unanswered", test_ats_unanswered);
    qtest_add_func("/idxd-ims/iommu/event-log", test_event_log);
}
