/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An intel-iommu with tables for an idxd-ims, for the tests behind one
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hw/pci/pci_regs.h"
#include "hw/i386/intel_iommu_internal.h"
#include "idxd-ims-vtd.h"

#define TOP_LEVEL   4
#define SPACE_SIZE  0x100000

/* Queues of the smallest size; invalidations with a PASID are wide ones */
#define NR_REQUESTS         128
#define NR_INVALIDATIONS    128
#define INVALIDATION_SIZE   32

/* Page-request Drain, in a wait descriptor (VT-d 6.5.2.9) */
#define WAIT_PD             (1ull << 7)

const uint32_t vtd_pasids[NR_SPACES] = { 0, PASID_A, PASID_B };

static uint64_t new_pages(IdxdVM *vm, size_t size)
{
    uint64_t addr = guest_alloc(&vm->alloc, size);

    qtest_memset(vm->qts, addr, 0, size);
    return addr;
}

uint64_t vtd_place(Vtd *m, unsigned space, uint64_t iova)
{
    return m->vm->ram + space * SPACE_SIZE + ((iova - RECORD) ^ PAGE);
}

static uint64_t writable_bits(Vtd *m)
{
    return m->scalable ? VTD_FS_P | VTD_FS_RW | VTD_FS_US
                       : VTD_SS_R | VTD_SS_W;
}

/* Where the entry for a page is; tables that are missing are made */
static uint64_t leaf_of(Vtd *m, unsigned space, uint64_t iova)
{
    QTestState *qts = m->vm->qts;
    uint64_t table = m->tables[space];
    unsigned level;

    for (level = TOP_LEVEL; level > 1; level--) {
        uint64_t slot = table + extract64(iova, 12 + 9 * (level - 1), 9) * 8;

        if (!qtest_readq(qts, slot)) {
            qtest_writeq(qts, slot, new_pages(m->vm, PAGE) | writable_bits(m));
        }
        table = qtest_readq(qts, slot) & ~(PAGE - 1ull);
    }
    return table + extract64(iova, 12, 9) * 8;
}

static void map_page(Vtd *m, unsigned space, uint64_t iova, uint64_t addr,
                     bool writable)
{
    uint64_t read_only = m->scalable ? VTD_FS_P | VTD_FS_US : VTD_SS_R;

    qtest_writeq(m->vm->qts, leaf_of(m, space, iova),
                 addr | (writable ? writable_bits(m) : read_only));
}

static void map_space(Vtd *m, unsigned space)
{
    static const uint64_t pages[] = {
        RECORD, SRC, SRC + PAGE, DST, DST + PAGE, LIST, EVENTS,
    };

    m->tables[space] = new_pages(m->vm, PAGE);
    for (unsigned i = 0; i < ARRAY_SIZE(pages); i++) {
        map_page(m, space, pages[i], vtd_place(m, space, pages[i]), true);
    }
    map_page(m, space, READ_ONLY, vtd_place(m, space, READ_ONLY), false);
    if (!m->scalable) {
        qtest_writeq(m->vm->qts, leaf_of(m, space, WRITE_ONLY),
                     vtd_place(m, space, WRITE_ONLY) | VTD_SS_W);
    }
}

/* libqos has the bus number in the same field */
static unsigned devfn(Vtd *m)
{
    return m->vm->dev.pci.devfn & 0xff;
}

static unsigned bus(Vtd *m)
{
    return m->vm->dev.pci.devfn >> 8;
}

/* The context entry of legacy mode: one table of the second level */
static void fill_context(Vtd *m, uint64_t context)
{
    uint64_t slot = context + devfn(m) * VTD_CTX_ENTRY_LEGACY_SIZE;

    qtest_writeq(m->vm->qts, slot, m->tables[NO_PASID] |
                 VTD_CONTEXT_TT_DEV_IOTLB | VTD_CONTEXT_ENTRY_P);
    qtest_writeq(m->vm->qts, slot + 8, 1 << 8 | (TOP_LEVEL - 2));
}

static uint64_t directory_entry(Vtd *m, uint32_t pasid)
{
    return m->directory + VTD_PASID_DIR_INDEX(pasid) * 8;
}

unsigned vtd_pasid_slot(uint32_t pasid)
{
    return VTD_PASID_TABLE_INDEX(pasid) * VTD_PASID_ENTRY_SIZE;
}

static uint64_t pasid_entry(Vtd *m, uint32_t pasid)
{
    QTestState *qts = m->vm->qts;
    uint64_t slot = directory_entry(m, pasid);

    if (!qtest_readq(qts, slot)) {
        qtest_writeq(qts, slot, new_pages(m->vm, PAGE) | VTD_PASID_ENTRY_P);
    }
    return (qtest_readq(qts, slot) & ~(PAGE - 1ull)) + vtd_pasid_slot(pasid);
}

static void fill_pasid(Vtd *m, uint32_t pasid, unsigned space)
{
    QTestState *qts = m->vm->qts;
    uint64_t entry = pasid_entry(m, pasid);

    qtest_writeq(qts, entry, VTD_SM_PASID_ENTRY_FST << 6 |
                 (TOP_LEVEL - 2) << 2 | VTD_PASID_ENTRY_P);
    qtest_writeq(qts, entry + 8, space + 1);
    qtest_writeq(qts, entry + 16, m->tables[space]);
}

/* That of scalable mode: a directory of PASIDs, 0 for requests without */
static void fill_context_scalable(Vtd *m, uint64_t context)
{
    uint64_t slot = context + devfn(m) * VTD_CTX_ENTRY_SCALABLE_SIZE;

    m->directory = new_pages(m->vm, 8 * (VTD_PASID_DIR_BITS_MASK + 1));
    for (unsigned space = 0; space < NR_SPACES; space++) {
        fill_pasid(m, vtd_pasids[space], space);
    }
    fill_pasid(m, PASID_LARGE, SPACE_A);
    /* PDTS for 20 bits of PASID; page requests, PASID, device TLB; present */
    qtest_writeq(m->vm->qts, slot, m->directory | 7 << 9 | m->svm << 4 |
                 1 << 3 | 1 << 2 | 1);
}

uint64_t vtd_read(Vtd *m, unsigned reg)
{
    return qtest_readq(m->vm->qts, Q35_HOST_BRIDGE_IOMMU_ADDR + reg);
}

static void iommu_write(Vtd *m, unsigned reg, uint64_t val, bool quad)
{
    uint64_t addr = Q35_HOST_BRIDGE_IOMMU_ADDR + reg;

    if (quad) {
        qtest_writeq(m->vm->qts, addr, val);
    } else {
        qtest_writel(m->vm->qts, addr, val);
    }
}

static void make_queues(Vtd *m)
{
    m->invalidations = new_pages(m->vm, NR_INVALIDATIONS * INVALIDATION_SIZE);
    m->requests = new_pages(m->vm, NR_REQUESTS * VTD_PQA_ENTRY_SIZE);
    iommu_write(m, DMAR_IQT_REG, 0, true);
    iommu_write(m, DMAR_IQA_REG, m->invalidations | VTD_IQA_DW_MASK, true);
    iommu_write(m, DMAR_PQA_REG, m->requests, true);
}

static void iommu_enable(Vtd *m)
{
    uint32_t queue = m->svm ? VTD_GCMD_QIE : 0;
    uint64_t root = new_pages(m->vm, PAGE);
    uint64_t context = new_pages(m->vm, PAGE);

    if (m->scalable) {
        fill_context_scalable(m, context);
    } else {
        fill_context(m, context);
    }
    qtest_writeq(m->vm->qts, root + bus(m) * 16, context | VTD_ROOT_ENTRY_P);
    iommu_write(m, DMAR_RTADDR_REG,
                root | (m->scalable ? VTD_RTADDR_SMT : 0), true);
    iommu_write(m, DMAR_GCMD_REG, VTD_GCMD_SRTP, false);
    if (m->svm) {
        make_queues(m);
        iommu_write(m, DMAR_GCMD_REG, queue, false);
    }
    iommu_write(m, DMAR_GCMD_REG, queue | VTD_GCMD_TE, false);
    g_assert_cmphex(qtest_readl(m->vm->qts, Q35_HOST_BRIDGE_IOMMU_ADDR +
                                DMAR_GSTS_REG) & VTD_GSTS_TES, !=, 0);
}

void vtd_enable_ats(IdxdVM *vm)
{
    unsigned cap = idxd_vm_ext_cap(vm, PCI_EXT_CAP_ID_ATS);

    g_assert_cmphex(cap, !=, 0);
    idxd_vm_ecam_writel(vm, cap + PCI_ATS_CAP,
                        (uint32_t)PCI_ATS_CTRL_ENABLE << 16);
    g_assert_cmphex(idxd_vm_ecam_readl(vm, cap + PCI_ATS_CAP) >> 16, ==,
                    PCI_ATS_CTRL_ENABLE);
}

void vtd_enable_pri(IdxdVM *vm, uint32_t requests)
{
    unsigned cap = idxd_vm_ext_cap(vm, PCI_EXT_CAP_ID_PRI);

    g_assert_cmphex(cap, !=, 0);
    idxd_vm_ecam_writel(vm, cap + PCI_PRI_ALLOC_REQ, requests);
    /* The status above it is cleared by ones */
    idxd_vm_ecam_writel(vm, cap + PCI_PRI_CTRL, PCI_PRI_CTRL_ENABLE);
    g_assert_cmphex(idxd_vm_ecam_readl(vm, cap + PCI_PRI_CTRL) & 0xffff, ==,
                    PCI_PRI_CTRL_ENABLE);
}

static bool has_iommu(void)
{
    if (qtest_has_device("intel-iommu")) {
        return true;
    }
    g_test_skip("this QEMU has no intel-iommu");
    return false;
}

static void fill_tables(Vtd *m)
{
    for (unsigned space = 0; space < (m->scalable ? NR_SPACES : 1); space++) {
        map_space(m, space);
    }
    /* Messages are written without PASID */
    map_page(m, NO_PASID, m->vm->dev.messages, m->vm->dev.messages, true);
    iommu_enable(m);
    qidxd_msix_on(&m->vm->dev);
}

bool vtd_start(Vtd *m, const char *iommu, const char *opts)
{
    if (!has_iommu()) {
        return false;
    }
    m->scalable = strcmp(iommu, VTD_LEGACY);
    m->svm = !strcmp(iommu, VTD_SVM);
    m->vm = idxd_vm_new_iommu(iommu, opts);
    fill_tables(m);
    return true;
}

bool vtd_start_port(Vtd *m, const char *opts)
{
    if (!has_iommu()) {
        return false;
    }
    m->scalable = true;
    m->svm = true;
    m->vm = idxd_vm_new_port(VTD_SVM, opts);
    fill_tables(m);
    return true;
}

/* The upper half of the descriptor is 0; it is processed when the tail moves */
static void invalidate(Vtd *m, uint64_t lo, uint64_t hi)
{
    uint64_t tail = vtd_read(m, DMAR_IQT_REG);

    qtest_writeq(m->vm->qts, m->invalidations + tail, lo);
    qtest_writeq(m->vm->qts, m->invalidations + tail + 8, hi);
    tail = (tail + INVALIDATION_SIZE) % (NR_INVALIDATIONS * INVALIDATION_SIZE);
    iommu_write(m, DMAR_IQT_REG, tail, true);
    g_assert_cmphex(vtd_read(m, DMAR_IQH_REG), ==, tail);
}

/* A wait descriptor with page-request drain, as Linux uses it */
static void drain(Vtd *m)
{
    uint64_t status = m->invalidations +
                      (NR_INVALIDATIONS - 1) * INVALIDATION_SIZE;

    qtest_writel(m->vm->qts, status, 0);
    invalidate(m, 0x5aull << VTD_INV_DESC_WAIT_DATA_SHIFT |
               WAIT_PD | VTD_INV_DESC_WAIT_SW | VTD_INV_DESC_WAIT, status);
    g_assert_cmphex(qtest_readl(m->vm->qts, status), ==, 0x5a);
}

void vtd_write(Vtd *m, unsigned reg, uint64_t val)
{
    iommu_write(m, reg, val, true);
}

void vtd_break_pasid(Vtd *m, unsigned space)
{
    uint64_t slot = directory_entry(m, vtd_pasids[space]);
    uint64_t entry = pasid_entry(m, vtd_pasids[space]);

    qtest_writeq(m->vm->qts, slot,
                 qtest_readq(m->vm->qts, slot) | VTD_PASID_DIR_FPD);
    /* FLPM 1: five levels */
    qtest_writeq(m->vm->qts, entry + 16,
                 qtest_readq(m->vm->qts, entry + 16) | 1 << 2);
}

void vtd_move_pasid_table(Vtd *m, uint32_t pasid, uint64_t addr)
{
    QTestState *qts = m->vm->qts;
    uint64_t table = pasid_entry(m, pasid) - vtd_pasid_slot(pasid);

    for (unsigned off = 0; off < PAGE; off += 8) {
        qtest_writeq(qts, addr + off, qtest_readq(qts, table + off));
    }
    qtest_writeq(qts, directory_entry(m, pasid), addr | VTD_PASID_ENTRY_P);
}

void vtd_map(Vtd *m, unsigned space, uint64_t iova, bool writable)
{
    map_page(m, space, iova, vtd_place(m, space, iova), writable);
}

void vtd_alias(Vtd *m, unsigned space, uint64_t iova, uint64_t other)
{
    map_page(m, space, iova, vtd_place(m, space, other), true);
}

void vtd_unmap(Vtd *m, unsigned space, uint64_t iova)
{
    qtest_writeq(m->vm->qts, leaf_of(m, space, iova), 0);
    invalidate(m, (uint64_t)vtd_pasids[space] << 32 | (space + 1) << 16 |
               VTD_INV_DESC_PIOTLB_ALL_IN_PASID | VTD_INV_DESC_PIOTLB, 0);
    drain(m);
}

bool vtd_has_request(Vtd *m)
{
    return vtd_read(m, DMAR_PQH_REG) != vtd_read(m, DMAR_PQT_REG);
}

void vtd_take_request(Vtd *m, VtdRequest *req)
{
    uint64_t head = vtd_read(m, DMAR_PQH_REG);
    uint64_t lo, hi;

    for (unsigned i = 0; i < 10000 && !vtd_has_request(m); i++) {
        g_usleep(1000);
    }
    g_assert(vtd_has_request(m));
    lo = qtest_readq(m->vm->qts, m->requests + head);
    hi = qtest_readq(m->vm->qts, m->requests + head + 8);
    g_assert_cmphex(lo & 0xff, ==, VTD_PRD_TYPE);
    g_assert_cmphex(lo & VTD_PRD_PP(1), !=, 0);
    *req = (VtdRequest) {
        .rid = extract64(lo, 16, 16),
        .pasid = extract64(lo, 32, 20),
        .group = extract64(hi, 3, 9),
        .read = hi & VTD_PRD_RDR(1),
        .write = hi & VTD_PRD_WRR(1),
        .last = hi & VTD_PRD_LPIG(1),
        .addr = VTD_PRD_ADDR(hi),
    };
    iommu_write(m, DMAR_PQH_REG, (head + VTD_PQA_ENTRY_SIZE) %
                (NR_REQUESTS * VTD_PQA_ENTRY_SIZE), true);
}

void vtd_respond(Vtd *m, const VtdRequest *req, unsigned code)
{
    invalidate(m, (uint64_t)req->pasid << 32 | (uint64_t)req->rid << 16 |
               code << 12 | 1 << 4 | VTD_INV_DESC_PGRESP, req->group << 3);
}

bool vtd_fault_recorded(Vtd *m)
{
    return qtest_readl(m->vm->qts, Q35_HOST_BRIDGE_IOMMU_ADDR +
                       DMAR_FSTS_REG) & VTD_FSTS_PPF;
}

void vtd_fill(Vtd *m, unsigned space, uint64_t iova, uint8_t val)
{
    qtest_memset(m->vm->qts, vtd_place(m, space, iova), val, PAGE);
}

void vtd_check(Vtd *m, unsigned space, uint64_t iova, uint8_t val)
{
    uint8_t page[PAGE];

    qtest_bufread(m->vm->qts, vtd_place(m, space, iova), page, PAGE);
    for (unsigned i = 0; i < PAGE; i++) {
        g_assert_cmphex(page[i], ==, val);
    }
}
