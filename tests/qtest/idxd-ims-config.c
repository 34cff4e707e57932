/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: when configuration registers take a write
 *
 * Tables 9-4 and 9-7 of the specification.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "idxd-ims-vm.h"

enum {
    DEV_OFF = 1,                /* device Disabled */
    WQ_OFF = 2,                 /* device Enabled, this WQ Disabled */
    WQ_ON = 4,                  /* both Enabled */
    ALWAYS = DEV_OFF | WQ_OFF | WQ_ON,
};

typedef struct Field {
    const char *name;
    unsigned dword;
    uint32_t bits;
    unsigned writable;
} Field;

static const Field wq_fields[] = {
    { "size",           0, 0x0000ffff, DEV_OFF },
    { "threshold",      1, 0x0000ffff, ALWAYS },
    { "mode",           2, 0x00000001, DEV_OFF | WQ_OFF },
    { "priority",       2, 0x000000f0, DEV_OFF | WQ_OFF },
    { "PASID",          2, 0x0fffff00, DEV_OFF | WQ_OFF },
    { "PASID enable",   2, 0x10000000, DEV_OFF | WQ_OFF },
    { "privileged",     2, 0x20000000, DEV_OFF | WQ_OFF },
    { "transfer shift", 3, 0x0000001f, DEV_OFF | WQ_OFF },
    { "batch shift",    3, 0x000001e0, DEV_OFF | WQ_OFF },
    { "state",          6, 0xc0000000, 0 },
    { "reserved 7",     7, 0xffffffff, 0 },
    { "op config",      8, 0x00000008, DEV_OFF | WQ_OFF },
};

static void check_wq_field(QIdxd *d, unsigned wq, const Field *f, bool writable)
{
    uint64_t off = qidxd_wqcfg(d, wq, f->dword);
    uint32_t old = qidxd_readl(d, off);
    uint32_t want = writable ? old ^ f->bits : old;

    qidxd_writel(d, off, old ^ f->bits);
    if (qidxd_readl(d, off) != want) {
        g_error("WQCFG %s: 0x%x after a write of 0x%x over 0x%x", f->name,
                qidxd_readl(d, off), old ^ f->bits, old);
    }
    qidxd_writel(d, off, old);
    g_assert_cmphex(qidxd_readl(d, off), ==, old);
}

static void check_wq_fields(QIdxd *d, unsigned wq, unsigned state)
{
    for (unsigned i = 0; i < ARRAY_SIZE(wq_fields); i++) {
        check_wq_field(d, wq, &wq_fields[i], wq_fields[i].writable & state);
    }
    /* A write at the wrong time is dropped, not an error */
    g_assert_cmphex(qidxd_readq(d, DSA_SWERROR), ==, 0);
}

static void test_wqcfg(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    check_wq_fields(d, 1, DEV_OFF);
    qidxd_bring_up(d, 2, NULL);
    check_wq_fields(d, 1, WQ_ON);
    qidxd_command_ok(d, DSA_DISABLE_WQ, 1 << 1);
    check_wq_fields(d, 1, WQ_OFF);
    check_wq_fields(d, 0, WQ_ON);
    idxd_vm_free(vm);
}

static void check_dropped(QIdxd *d, uint64_t off)
{
    uint64_t old = qidxd_readq(d, off);

    qidxd_writeq(d, off, ~old);
    qidxd_writel(d, off, ~old);
    qpci_io_writeb(&d->pci, d->regs, off, ~old);
    g_assert_cmphex(qidxd_readq(d, off), ==, old);
}

static void test_device_enabled(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;

    qidxd_bring_up(d, 1, NULL);
    check_dropped(d, DSA_GENCFG);
    check_dropped(d, DSA_EVLCFG);
    check_dropped(d, DSA_EVLCFG + 8);
    for (unsigned grp = 0; grp < d->nr_groups; grp++) {
        for (unsigned off = 0; off <= DSA_GRPCFG_FLAGS; off += 8) {
            check_dropped(d, d->grpcfg + grp * DSA_GRPCFG_STRIDE + off);
        }
    }
    /* MSIXPERM is writable at all times */
    qidxd_writel(d, qidxd_perm(d, 1), DSA_ENTRY_PASID(9));
    g_assert_cmphex(qidxd_readl(d, qidxd_perm(d, 1)), ==, DSA_ENTRY_PASID(9));
    idxd_vm_free(vm);
}

/*
 * What Linux does each time that it enables a WQ: it writes back all of
 * WQCFG as it has read it, state bits included, while other WQs run.
 */
static void test_linux_rewrite(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc nop = { .flags = DSA_FLAG_RECORD, .record = vm->ram };
    QIdxdRecord rec;

    qidxd_bring_up(d, 2, NULL);
    for (unsigned wq = 0; wq < 2; wq++) {
        for (unsigned dw = 0; dw < 16; dw++) {
            uint64_t off = qidxd_wqcfg(d, wq, dw);

            qidxd_writel(d, off, qidxd_readl(d, off));
        }
        g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, wq, 6)) >> 30, ==, 1);
        qidxd_run(d, wq, DSA_PORTAL_LIMITED, &nop, &rec);
        g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    }
    idxd_vm_free(vm);
}

static void write_in_pieces(QIdxd *d, uint64_t off, uint64_t val, unsigned size)
{
    for (unsigned i = 0; i < 8; i += size) {
        switch (size) {
        case 1:
            qpci_io_writeb(&d->pci, d->regs, off + i, val >> (i * 8));
            break;
        case 2:
            qpci_io_writew(&d->pci, d->regs, off + i, val >> (i * 8));
            break;
        case 4:
            qidxd_writel(d, off + i, val >> (i * 8));
            break;
        default:
            qidxd_writeq(d, off, val);
        }
    }
}

/* Each register that holds a value takes it in pieces of any size */
static void test_write_sizes(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    struct { uint64_t off, mask; } regs[] = {
        { d->grpcfg, 0xff }, { d->grpcfg + DSA_GRPCFG_ENGINES, 0xf },
        { d->grpcfg + DSA_GRPCFG_STRIDE + DSA_GRPCFG_FLAGS, 0x0ff0ff3f },
        { qidxd_wqcfg(d, 3, 0), 0x0000ffff0000ffff },
        { qidxd_wqcfg(d, 3, 2), 0x000001ff3ffffff1 },
        { DSA_EVLCFG, ~0xfffull }, { DSA_EVLCFG + 8, 0xfffffffff },
        { qidxd_ims(d, 7) + DSA_IMS_DATA, 0xfffff00dffffffff },
        { qidxd_perm(d, 5), 0xfffff00c },
        { DSA_GENCTRL, 7 }, { qidxd_vector(d, 2), 0xfffffffffffffffc },
    };

    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++) {
        for (unsigned size = 1; size <= 8; size *= 2) {
            uint64_t val = (0x9d2c5680a5f1e3c7 * (i + size)) & regs[i].mask;

            /* QEMU's own MSI-X table takes dwords and more */
            if (regs[i].off == qidxd_vector(d, 2) && size < 4) {
                continue;
            }
            write_in_pieces(d, regs[i].off, val, size);
            g_assert_cmphex(qidxd_readq(d, regs[i].off) & regs[i].mask, ==,
                            val);
        }
    }
    idxd_vm_free(vm);
}

/* Mode Support in WQCFG leaves the mode and the PASID to software */
static void check_fixed_mode(QIdxd *d, unsigned wq)
{
    bool mode = qidxd_readl(d, qidxd_wqcfg(d, wq, 6)) & 1u << 29;
    uint32_t writable = mode ? 0x3fffff01 : 0;
    uint64_t off = qidxd_wqcfg(d, wq, 2);
    uint32_t old = qidxd_readl(d, off);

    qidxd_writel(d, off, ~old);
    g_assert_cmphex(qidxd_readl(d, off), ==, old ^ writable);
    qidxd_writel(d, off, old);
}

/*
 * Configuration Support = 0: a fixed configuration that Linux accepts.  Its
 * probe wants each WQ dedicated and without PASID, and enables at once.
 */
static void test_fixed_config(void)
{
    IdxdVM *vm = idxd_vm_new("configurable=off");
    QIdxd *d = &vm->dev;
    QIdxdDesc nop = { .flags = DSA_FLAG_RECORD, .record = vm->ram };
    uint64_t seen = 0, total = 0;
    QIdxdRecord rec;

    g_assert_cmphex(qidxd_readq(d, DSA_GENCAP) & DSA_GENCAP_CONFIG, ==, 0);
    for (unsigned grp = 0; grp < d->nr_groups; grp++) {
        uint64_t off = d->grpcfg + grp * DSA_GRPCFG_STRIDE;
        uint64_t wqs = qidxd_readq(d, off);

        g_assert_cmphex(seen & wqs, ==, 0);
        g_assert(!wqs == !qidxd_readq(d, off + DSA_GRPCFG_ENGINES));
        seen |= wqs;
        check_dropped(d, off);
        check_dropped(d, off + DSA_GRPCFG_ENGINES);
    }
    g_assert_cmphex(seen, ==, MAKE_64BIT_MASK(0, d->nr_wqs));
    for (unsigned wq = 0; wq < d->nr_wqs; wq++) {
        uint32_t dw2 = qidxd_readl(d, qidxd_wqcfg(d, wq, 2));

        g_assert_cmphex(dw2 & (1 | 1u << 28), ==, 1);
        total += qidxd_readl(d, qidxd_wqcfg(d, wq, 0));
        check_wq_field(d, wq, &wq_fields[0], false);
        check_fixed_mode(d, wq);
    }
    g_assert_cmpuint(total, <=, extract64(qidxd_readq(d, DSA_WQCAP), 0, 16));
    qidxd_command_ok(d, DSA_ENABLE_DEVICE, 0);
    for (unsigned wq = 0; wq < d->nr_wqs; wq++) {
        qidxd_command_ok(d, DSA_ENABLE_WQ, wq);
        qidxd_run(d, wq, DSA_PORTAL_LIMITED, &nop, &rec);
        g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    }
    idxd_vm_free(vm);
}

void idxd_ims_add_config_tests(void)
{
    qtest_add_func("/idxd-ims/config/wqcfg", test_wqcfg);
    qtest_add_func("/idxd-ims/config/device-enabled", test_device_enabled);
    qtest_add_func("/idxd-ims/config/linux-rewrite", test_linux_rewrite);
    qtest_add_func("/idxd-ims/config/write-sizes", test_write_sizes);
    qtest_add_func("/idxd-ims/config/fixed", test_fixed_config);
}
