/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: identity, register image at reset, access rules
 *
 * The tests of this and the sibling files are written from the Intel DSA
 * Architecture Specification (341204-006US); sections named are its own.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hw/pci/pci_regs.h"
#include "idxd-ims-vm.h"

typedef struct RegImage {
    const char *name;
    uint32_t off;
    uint64_t mask;
    uint64_t value;
    bool read_only;
} RegImage;

#define OPS_REQUIRED    (0x100000000ull | 0x3027f)

/*
 * Table 9-3 and sections 9.2.1 to 9.2.17 with the default properties.
 * GENCAP: block on fault follows the PRI capability, checked elsewhere.
 */
static const RegImage reset_image[] = {
    { "VERSION",    DSA_VERSION,        0xffffffff, 0x100, true },
    { "GENCAP",     DSA_GENCAP,         0xfffffffe, 0x915f2116, true },
    { "WQCAP",      DSA_WQCAP,          0xffffff, 0x080080, true },
    { "WQCAP mode", DSA_WQCAP,
      DSA_WQCAP_DEDICATED | DSA_WQCAP_PRIORITY | DSA_WQCAP_OPCFG,
      DSA_WQCAP_DEDICATED | DSA_WQCAP_PRIORITY | DSA_WQCAP_OPCFG, true },
    { "GRPCAP",     DSA_GRPCAP,         0xffff, 0x6004, true },
    { "ENGCAP",     DSA_ENGCAP,         0xff, 4, true },
    { "OPCAP",      DSA_OPCAP,          OPS_REQUIRED, OPS_REQUIRED, true },
    { "OPCAP 1",    DSA_OPCAP + 8,      UINT64_MAX, 0, true },
    { "OPCAP 2",    DSA_OPCAP + 16,     UINT64_MAX, 0, true },
    { "OPCAP 3",    DSA_OPCAP + 24,     UINT64_MAX, 0, true },
    { "OFFSETS",    DSA_OFFSETS,        0, 0, true },
    { "PERFMON",    DSA_OFFSETS + 8,    0xffff, 0, true },
    { "GENCFG",     DSA_GENCFG,         0xffffffff, 96 },
    { "GENCTRL",    DSA_GENCTRL,        0xffffffff, 0 },
    { "GENSTS",     DSA_GENSTS,         0xffffffff, 0, true },
    { "INTCAUSE",   DSA_INTCAUSE,       0xffffffff, 0, true },
    { "CMDSTS",     DSA_CMDSTS,         0xffffffff, 0, true },
    { "CMDCAP",     DSA_CMDCAP,         UINT64_MAX, 0x7ffe, true },
    { "SWERROR 0",  DSA_SWERROR,        UINT64_MAX, 0, true },
    { "SWERROR 1",  DSA_SWERROR + 8,    UINT64_MAX, 0, true },
    { "SWERROR 2",  DSA_SWERROR + 16,   UINT64_MAX, 0, true },
    { "SWERROR 3",  DSA_SWERROR + 24,   UINT64_MAX, 0, true },
    { "EVLCFG 0",   DSA_EVLCFG,         UINT64_MAX, 0 },
    { "EVLCFG 1",   DSA_EVLCFG + 8,     UINT64_MAX, 0 },
    { "EVLSTATUS",  DSA_EVLSTATUS,      UINT64_MAX, 0 },
};

static void test_identity(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QPCIDevice *pci = &vm->dev.pci;
    uint8_t exp = qpci_find_capability(pci, PCI_CAP_ID_EXP, 0);

    g_assert_cmphex(qpci_config_readl(pci, PCI_VENDOR_ID), ==, 0x0b258086);
    g_assert_cmphex(qpci_config_readl(pci, PCI_CLASS_REVISION), ==, 0x08800000);
    g_assert_cmphex(qpci_config_readb(pci, PCI_INTERRUPT_PIN), ==, 0);
    g_assert_cmphex(qpci_find_capability(pci, PCI_CAP_ID_MSI, 0), ==, 0);
    g_assert_cmphex(qpci_config_readl(pci, PCI_BASE_ADDRESS_0) & 0xf, ==, 0xc);
    g_assert_cmphex(qpci_config_readl(pci, PCI_BASE_ADDRESS_2) & 0xf, ==, 0xc);
    g_assert_cmphex(exp, !=, 0);
    g_assert_cmphex(qpci_config_readw(pci, exp + PCI_EXP_FLAGS) &
                    PCI_EXP_FLAGS_TYPE, ==, PCI_EXP_TYPE_RC_END << 4);
    g_assert_cmphex(qpci_config_readl(pci, exp + PCI_EXP_DEVCAP) &
                    PCI_EXP_DEVCAP_FLR, !=, 0);
    idxd_vm_free(vm);
}

/* One vector per WQ and vector 0: what Linux needs, no more and no fewer */
static void test_geometry(void)
{
    static const unsigned wqs[] = { 1, 8, 9, 64, 255 };

    for (unsigned i = 0; i < ARRAY_SIZE(wqs); i++) {
        g_autofree char *opts = g_strdup_printf("wqs=%u,wq-entries=1024",
                                                wqs[i]);
        IdxdVM *vm = idxd_vm_new(opts);
        QIdxd *d = &vm->dev;

        g_assert_cmpuint(d->nr_wqs, ==, wqs[i]);
        g_assert_cmpuint(d->nr_vectors, ==, wqs[i] + 1);
        g_assert_cmpuint(d->portals_size, ==, pow2ceil(wqs[i] * 0x4000));
        g_assert_cmpuint(d->regs_size, >=, 0x10000);
        g_assert_cmpuint(d->wqcfg_stride, >=, 64);
        idxd_vm_free(vm);
    }
}

typedef struct Range {
    uint64_t start, size;
} Range;

/* No two tables may share a byte, for each number of entries */
static void test_layout(void)
{
    static const char *const opts[] = {
        "", "wqs=255,wq-entries=1024", "ims-entries=16128",
        "wqs=255,wq-entries=1024,ims-entries=16128",
    };

    for (unsigned i = 0; i < ARRAY_SIZE(opts); i++) {
        IdxdVM *vm = idxd_vm_new(opts[i]);
        QIdxd *d = &vm->dev;
        Range r[] = {
            { 0, 0x198 },
            { d->grpcfg, d->nr_groups * DSA_GRPCFG_STRIDE },
            { d->wqcfg, d->nr_wqs * d->wqcfg_stride },
            { d->msixperm, d->nr_vectors * DSA_PERM_STRIDE },
            { d->ims, d->nr_ims * DSA_IMS_STRIDE },
            { qidxd_vector(d, 0), d->nr_vectors * PCI_MSIX_ENTRY_SIZE },
            { d->pci.msix_pba_off, DIV_ROUND_UP(d->nr_vectors, 64) * 8 },
        };

        for (unsigned a = 0; a < ARRAY_SIZE(r); a++) {
            g_assert_cmphex(r[a].start + r[a].size, <=, d->regs_size);
            for (unsigned b = 0; b < a; b++) {
                g_assert(r[a].start >= r[b].start + r[b].size ||
                         r[b].start >= r[a].start + r[a].size);
            }
        }
        idxd_vm_free(vm);
    }
}

static void check_image(QIdxd *d)
{
    for (unsigned i = 0; i < ARRAY_SIZE(reset_image); i++) {
        const RegImage *r = &reset_image[i];
        uint64_t val = qidxd_readq(d, r->off) & r->mask;

        if (val != r->value) {
            g_error("%s at 0x%x: 0x%" PRIx64 ", expected 0x%" PRIx64, r->name,
                    r->off, val, r->value);
        }
    }
}

static void check_table_image(QIdxd *d)
{
    for (unsigned i = 0; i < d->nr_groups; i++) {
        uint64_t grp = d->grpcfg + i * DSA_GRPCFG_STRIDE;

        for (unsigned q = 0; q <= DSA_GRPCFG_ENGINES; q += 8) {
            g_assert_cmphex(qidxd_readq(d, grp + q), ==, 0);
        }
        g_assert_cmphex(qidxd_readq(d, grp + DSA_GRPCFG_FLAGS), ==, 96u << 20);
    }
    for (unsigned wq = 0; wq < d->nr_wqs; wq++) {
        for (unsigned dw = 0; dw < 8; dw++) {
            g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, wq, dw)), ==, 0);
        }
        for (unsigned q = 0; q < 4; q++) {
            g_assert_cmphex(qidxd_readq(d, qidxd_wqcfg(d, wq, 8 + q * 2)), ==,
                            qidxd_readq(d, DSA_OPCAP + q * 8));
        }
    }
    for (unsigned i = 0; i < d->nr_vectors; i++) {
        g_assert_cmphex(qidxd_readq(d, qidxd_perm(d, i)), ==, 0);
    }
    for (unsigned i = 0; i < d->nr_ims; i += d->nr_ims / 64) {
        g_assert_cmphex(qidxd_readq(d, qidxd_ims(d, i)), ==, 0xfee00000);
        g_assert_cmphex(qidxd_readq(d, qidxd_ims(d, i) + 8), ==, 1ull << 32);
    }
}

static void test_reset_image(void)
{
    IdxdVM *vm = idxd_vm_new("");

    check_image(&vm->dev);
    check_table_image(&vm->dev);
    idxd_vm_free(vm);
}

/* Aligned accesses of 1, 2, 4 and 8 bytes see the same bytes */
static void test_read_sizes(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    for (unsigned i = 0; i < ARRAY_SIZE(reset_image); i++) {
        uint32_t off = reset_image[i].off;
        uint64_t whole = qidxd_readq(d, off);

        for (unsigned b = 0; b < 8; b++) {
            g_assert_cmphex(qpci_io_readb(&d->pci, d->regs, off + b), ==,
                            extract64(whole, b * 8, 8));
            g_assert_cmphex(qpci_io_readw(&d->pci, d->regs, off + (b & 6)), ==,
                            extract64(whole, (b & 6) * 8, 16));
            g_assert_cmphex(qidxd_readl(d, off + (b & 4)), ==,
                            extract64(whole, (b & 4) * 8, 32));
        }
    }
    idxd_vm_free(vm);
}

static void test_read_only(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    for (unsigned i = 0; i < ARRAY_SIZE(reset_image); i++) {
        const RegImage *r = &reset_image[i];
        uint64_t before = qidxd_readq(d, r->off);

        if (!r->read_only) {
            continue;
        }
        qidxd_writeq(d, r->off, UINT64_MAX);
        qidxd_writeq(d, r->off, 0);
        qidxd_writel(d, r->off, ~0u);
        qidxd_writel(d, r->off + 4, ~0u);
        qpci_io_writew(&d->pci, d->regs, r->off + 2, 0xffff);
        qpci_io_writeb(&d->pci, d->regs, r->off + 1, 0xff);
        g_assert_cmphex(qidxd_readq(d, r->off), ==, before);
    }
    idxd_vm_free(vm);
}

/* INTCAUSE: only a one clears, and only its own bit */
static void test_intcause_w1c(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    qidxd_writel(d, DSA_CMD, DSA_CMD_INT | DSA_DRAIN_ALL << 20);
    g_assert_cmphex(qidxd_wait_command(d), ==, 0);
    g_assert_cmphex(qidxd_readl(d, DSA_INTCAUSE), ==, DSA_CAUSE_CMD);
    qidxd_writel(d, DSA_INTCAUSE, 0);
    qidxd_writel(d, DSA_INTCAUSE, ~DSA_CAUSE_CMD);
    g_assert_cmphex(qidxd_readl(d, DSA_INTCAUSE), ==, DSA_CAUSE_CMD);
    qidxd_writel(d, DSA_INTCAUSE, DSA_CAUSE_CMD);
    g_assert_cmphex(qidxd_readl(d, DSA_INTCAUSE), ==, 0);
    idxd_vm_free(vm);
}

/* Control registers keep what is defined and nothing else */
static void test_defined_bits(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    qidxd_writel(d, DSA_GENCTRL, ~0u);
    g_assert_cmphex(qidxd_readl(d, DSA_GENCTRL), ==, 7);
    qidxd_writel(d, DSA_GENCFG, ~0u);
    g_assert_cmphex(qidxd_readl(d, DSA_GENCFG), ==, 0x30ff);
    qidxd_writeq(d, DSA_EVLCFG, UINT64_MAX);
    g_assert_cmphex(qidxd_readq(d, DSA_EVLCFG), ==, ~0xfffull | 3);
    qidxd_writeq(d, DSA_EVLCFG + 8, UINT64_MAX);
    g_assert_cmphex(qidxd_readq(d, DSA_EVLCFG + 8), ==, 0xfffffffff);
    for (unsigned i = 0; i < d->nr_vectors; i++) {
        qidxd_writeq(d, qidxd_perm(d, i), UINT64_MAX);
        g_assert_cmphex(qidxd_readq(d, qidxd_perm(d, i)), ==, 0xfffff00c);
    }
    idxd_vm_free(vm);
}

/* Section 9.2.17: software moves the head, the device the tail */
static void test_evlstatus_access(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    qidxd_writeq(d, DSA_EVLSTATUS, UINT64_MAX);
    g_assert_cmphex(qidxd_readq(d, DSA_EVLSTATUS), ==, 0xffff);
    qidxd_writel(d, DSA_EVLSTATUS, 0x12);
    g_assert_cmphex(qidxd_readq(d, DSA_EVLSTATUS), ==, 0x12);
    idxd_vm_free(vm);
}

/* Section 9.2.28: the address window, and what of the control word sticks */
static void test_ims_access(void)
{
    static const struct { uint64_t addr; bool taken; } windows[] = {
        { 0xfee01000, true }, { 0xfeefffff, true }, { 0xfee00000, true },
        { 0xfed01000, false }, { 0xfef00000, false }, { 0x00001000, false },
        { 0x1fee00000, false }, { 0xfee0000000000000, false },
    };
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    uint64_t entry = qidxd_ims(d, d->nr_ims - 1);

    for (unsigned i = 0; i < ARRAY_SIZE(windows); i++) {
        uint64_t old = qidxd_readq(d, entry);
        uint64_t want = windows[i].taken ? windows[i].addr : old;

        qidxd_writeq(d, entry, windows[i].addr);
        g_assert_cmphex(qidxd_readq(d, entry) & ~3ull, ==, want & ~3ull);
    }
    qidxd_writel(d, entry + DSA_IMS_DATA, 0x12345678);
    g_assert_cmphex(qidxd_readl(d, entry + DSA_IMS_DATA), ==, 0x12345678);
    /* Pending is the device's */
    qidxd_writel(d, entry + DSA_IMS_CTRL, ~0u);
    g_assert_cmphex(qidxd_readl(d, entry + DSA_IMS_CTRL), ==, 0xfffff00d);
    qidxd_writel(d, entry + DSA_IMS_CTRL, 0);
    g_assert_cmphex(qidxd_readl(d, entry + DSA_IMS_CTRL), ==, 0);
    g_assert_cmphex(qidxd_readq(d, qidxd_ims(d, d->nr_ims - 2) + 8), ==,
                    1ull << 32);
    idxd_vm_free(vm);
}

/* Section 9.3: reads of a portal give 0x00 or 0xff in all bytes */
static void test_portal_read(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    for (unsigned page = 0; page < d->nr_wqs * 4; page++) {
        uint64_t val = qpci_io_readq(&d->pci, d->portals, page * 0x1000 + 8);

        g_assert(val == 0 || val == UINT64_MAX);
    }
    idxd_vm_free(vm);
}

/* Software state in every register that takes any */
static void scribble(QIdxd *d)
{
    qidxd_bring_up(d, 4, NULL);
    qidxd_msix_on(d);
    qidxd_writel(d, DSA_GENCTRL, 7);
    qidxd_writel(d, qidxd_perm(d, 2), DSA_ENTRY_PASID(77));
    qidxd_writel(d, qidxd_ims(d, 5) + DSA_IMS_CTRL, DSA_ENTRY_PASID(78));
    qidxd_request_handle(d, false, 2);
    qidxd_request_handle(d, true, 5);
    qidxd_writel(d, DSA_CMD, DSA_CMD_INT | DSA_ENABLE_WQ << 20);
    g_assert_cmphex(qidxd_wait_command(d), ==, 0x21);
}

static void *read_bar(IdxdVM *vm)
{
    void *image = g_malloc(vm->dev.regs_size);

    qpci_memread(&vm->dev.pci, vm->dev.regs, 0, image, vm->dev.regs_size);
    return image;
}

static void check_full_reset(void (*reset)(IdxdVM *vm))
{
    IdxdVM *vm = idxd_vm_new("");
    g_autofree void *before = read_bar(vm);
    g_autofree void *dirty = NULL;
    g_autofree void *after = NULL;

    scribble(&vm->dev);
    dirty = read_bar(vm);
    g_assert(memcmp(before, dirty, vm->dev.regs_size));
    reset(vm);
    idxd_vm_rediscover(vm);
    after = read_bar(vm);
    g_assert(!memcmp(before, after, vm->dev.regs_size));
    idxd_vm_free(vm);
}

static void reset_system(IdxdVM *vm)
{
    qtest_system_reset(vm->qts);
}

static void test_system_reset(void)
{
    check_full_reset(reset_system);
}

static void test_flr(void)
{
    check_full_reset(idxd_vm_flr);
}

/* Table 9-3, software reset: some registers stay as they are */
static void test_reset_device(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    uint64_t swerr;

    scribble(d);
    /* Set SWERROR: an operation that does not exist, without record */
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &(QIdxdDesc) { .opcode = 0x3f });
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    swerr = qidxd_readq(d, DSA_SWERROR);
    g_assert_cmphex(DSA_SWERR_CODE(swerr), ==, DSA_ST_OPCODE);
    qidxd_command_ok(d, DSA_RESET_DEVICE, 0);
    g_assert_cmphex(qidxd_readq(d, DSA_SWERROR), ==, swerr);
    for (unsigned i = 0; i < d->nr_vectors; i++) {
        g_assert_cmphex(qidxd_readl(d, qidxd_vector(d, i)), ==,
                        d->messages + i * 4);
        g_assert_cmphex(qidxd_readl(d, qidxd_vector(d, i) +
                                    PCI_MSIX_ENTRY_VECTOR_CTRL), ==, 0);
    }
    g_assert_cmphex(qidxd_readl(d, DSA_GENCTRL), ==, 0);
    g_assert_cmphex(qidxd_readl(d, DSA_GENSTS), ==, 0);
    g_assert_cmphex(qidxd_readl(d, DSA_INTCAUSE), ==, 0);
    check_table_image(d);
    idxd_vm_free(vm);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    qtest_add_func("/idxd-ims/regs/identity", test_identity);
    qtest_add_func("/idxd-ims/regs/geometry", test_geometry);
    qtest_add_func("/idxd-ims/regs/layout", test_layout);
    qtest_add_func("/idxd-ims/regs/reset-image", test_reset_image);
    qtest_add_func("/idxd-ims/regs/read-sizes", test_read_sizes);
    qtest_add_func("/idxd-ims/regs/read-only", test_read_only);
    qtest_add_func("/idxd-ims/regs/intcause-w1c", test_intcause_w1c);
    qtest_add_func("/idxd-ims/regs/defined-bits", test_defined_bits);
    qtest_add_func("/idxd-ims/regs/evlstatus", test_evlstatus_access);
    qtest_add_func("/idxd-ims/regs/ims", test_ims_access);
    qtest_add_func("/idxd-ims/regs/portal-read", test_portal_read);
    qtest_add_func("/idxd-ims/regs/system-reset", test_system_reset);
    qtest_add_func("/idxd-ims/regs/flr", test_flr);
    qtest_add_func("/idxd-ims/regs/reset-device", test_reset_device);
    idxd_ims_add_config_tests();
    idxd_ims_add_command_tests();
    idxd_ims_add_operation_tests();
    idxd_ims_add_descriptor_tests();
    idxd_ims_add_feature_tests();
    idxd_ims_add_interrupt_tests();
    idxd_ims_add_event_log_tests();
    idxd_ims_add_pasid_tests();
    idxd_ims_add_iommu_tests();
    idxd_ims_add_page_tests();
    idxd_ims_add_qos_tests();
    idxd_ims_add_life_tests();
    idxd_ims_add_feedback_tests();
    return g_test_run();
}
