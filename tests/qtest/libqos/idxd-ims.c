/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libqos driver for idxd-ims
 */
#include "qemu/osdep.h"
#include "../libqtest.h"
#include "qemu/bitops.h"
#include "qemu/bswap.h"
#include "qemu/module.h"
#include "hw/pci/pci_ids.h"
#include "hw/pci/pci_regs.h"
#include "idxd-ims.h"

/*
 * A wait counts reads, not time: each read is a round trip through QEMU's
 * main loop, in which the device gets its turn.
 */
#define MAX_POLLS   500000

#define PAGE        4096
#define VENDOR      PCI_VENDOR_ID_INTEL
#define DEVICE      0x0b25

uint32_t qidxd_readl(QIdxd *d, uint64_t off)
{
    return qpci_io_readl(&d->pci, d->regs, off);
}

uint64_t qidxd_readq(QIdxd *d, uint64_t off)
{
    return qpci_io_readq(&d->pci, d->regs, off);
}

void qidxd_writel(QIdxd *d, uint64_t off, uint32_t val)
{
    qpci_io_writel(&d->pci, d->regs, off, val);
}

void qidxd_writeq(QIdxd *d, uint64_t off, uint64_t val)
{
    qpci_io_writeq(&d->pci, d->regs, off, val);
}

static void qidxd_read_caps(QIdxd *d)
{
    uint64_t gencap = qidxd_readq(d, DSA_GENCAP);
    uint64_t wqcap = qidxd_readq(d, DSA_WQCAP);
    uint64_t offsets = qidxd_readq(d, DSA_OFFSETS);

    d->nr_ims = extract64(gencap, 25, 6) * 256;
    d->max_xfer_shift = extract64(gencap, 16, 5);
    d->max_batch_shift = extract64(gencap, 21, 4);
    d->nr_wqs = extract64(wqcap, 16, 8);
    d->wqcfg_stride = 32 << extract64(wqcap, 24, 4);
    d->nr_groups = extract64(qidxd_readq(d, DSA_GRPCAP), 0, 8);
    d->nr_engines = extract64(qidxd_readq(d, DSA_ENGCAP), 0, 8);
    d->grpcfg = extract64(offsets, 0, 16) * 0x100;
    d->wqcfg = extract64(offsets, 16, 16) * 0x100;
    d->msixperm = extract64(offsets, 32, 16) * 0x100;
    d->ims = extract64(offsets, 48, 16) * 0x100;
}

/*
 * qpci_msix_enable() cannot be used: it maps the BAR of the table once more,
 * which moves it away from under the registers.
 */
static void qidxd_find_msix(QIdxd *d)
{
    uint8_t cap = qpci_find_capability(&d->pci, PCI_CAP_ID_MSIX, 0);
    uint32_t table, pba;

    g_assert_cmphex(cap, !=, 0);
    table = qpci_config_readl(&d->pci, cap + PCI_MSIX_TABLE);
    pba = qpci_config_readl(&d->pci, cap + PCI_MSIX_PBA);
    g_assert_cmpuint(table & PCI_MSIX_FLAGS_BIRMASK, ==, 0);
    g_assert_cmpuint(pba & PCI_MSIX_FLAGS_BIRMASK, ==, 0);
    d->nr_vectors = qpci_msix_table_size(&d->pci);
    d->pci.msix_table_bar = d->pci.msix_pba_bar = d->regs;
    d->pci.msix_table_off = table & ~PCI_MSIX_FLAGS_BIRMASK;
    d->pci.msix_pba_off = pba & ~PCI_MSIX_FLAGS_BIRMASK;
}

void qidxd_init(QIdxd *d, QGuestAllocator *alloc)
{
    d->regs = qpci_iomap(&d->pci, 0, &d->regs_size);
    d->portals = qpci_iomap(&d->pci, 2, &d->portals_size);
    qpci_device_enable(&d->pci);
    qidxd_read_caps(d);
    qidxd_find_msix(d);
    d->messages = guest_alloc(alloc, PAGE);
    qtest_memset(d->pci.bus->qts, d->messages, 0, PAGE);
}

uint32_t qidxd_wait_command(QIdxd *d)
{
    uint32_t status;

    for (unsigned i = 0; i < MAX_POLLS; i++) {
        status = qidxd_readl(d, DSA_CMDSTS);
        if (!(status & DSA_CMDSTS_ACTIVE)) {
            return status;
        }
    }
    g_error("idxd-ims: a command stays active, status 0x%x", status);
}

uint32_t qidxd_command(QIdxd *d, unsigned code, uint32_t operand)
{
    qidxd_writel(d, DSA_CMD, code << 20 | operand);
    return qidxd_wait_command(d);
}

void qidxd_command_ok(QIdxd *d, unsigned code, uint32_t operand)
{
    g_assert_cmphex(qidxd_command(d, code, operand), ==, 0);
}

uint32_t qidxd_wq_operand(unsigned wq)
{
    return (wq / 16) << 16 | 1u << (wq % 16);
}

uint16_t qidxd_request_handle(QIdxd *d, bool ims, unsigned index)
{
    uint32_t status = qidxd_command(d, DSA_REQUEST_HANDLE,
                                    index | (ims ? DSA_HANDLE_IMS : 0));

    g_assert_cmphex(status & 0xff, ==, 0);
    return extract32(status, 8, 16);
}

uint64_t qidxd_wqcfg(QIdxd *d, unsigned wq, unsigned dword)
{
    return d->wqcfg + wq * d->wqcfg_stride + dword * 4;
}

uint64_t qidxd_perm(QIdxd *d, unsigned vector)
{
    return d->msixperm + vector * DSA_PERM_STRIDE;
}

uint64_t qidxd_ims(QIdxd *d, unsigned entry)
{
    return d->ims + entry * DSA_IMS_STRIDE;
}

void qidxd_write_wq(QIdxd *d, unsigned wq, const QIdxdWq *cfg)
{
    uint16_t size = cfg->size ?: 16;

    qidxd_writel(d, qidxd_wqcfg(d, wq, 0), size);
    qidxd_writel(d, qidxd_wqcfg(d, wq, 1), cfg->shared ? size : 0);
    qidxd_writel(d, qidxd_wqcfg(d, wq, 2),
                 (cfg->shared ? 0 : 1) | cfg->block << 1 | 10 << 4 |
                 cfg->pasid << 8 | (uint32_t)cfg->pasid_enable << 28 |
                 (uint32_t)cfg->priv << 29);
    qidxd_writel(d, qidxd_wqcfg(d, wq, 3),
                 MIN(d->max_xfer_shift, 26) | MIN(d->max_batch_shift, 10) << 5);
}

void qidxd_write_group(QIdxd *d, unsigned group, uint64_t wqs,
                       uint64_t engines)
{
    uint64_t off = d->grpcfg + group * DSA_GRPCFG_STRIDE;

    qidxd_writeq(d, off, wqs);
    qidxd_writeq(d, off + DSA_GRPCFG_ENGINES, engines);
}

void qidxd_configure(QIdxd *d, unsigned nr, const QIdxdWq *cfg)
{
    static const QIdxdWq plain;

    g_assert_cmpuint(nr, <=, 64);
    qidxd_command_ok(d, DSA_RESET_DEVICE, 0);
    for (unsigned i = 0; i < nr; i++) {
        qidxd_write_wq(d, i, cfg ? &cfg[i] : &plain);
    }
    /* One engine: the only case in which descriptors keep their order, 3.9 */
    qidxd_write_group(d, 0, MAKE_64BIT_MASK(0, nr), 1);
}

void qidxd_enable(QIdxd *d, unsigned nr)
{
    qidxd_command_ok(d, DSA_ENABLE_DEVICE, 0);
    for (unsigned i = 0; i < nr; i++) {
        qidxd_command_ok(d, DSA_ENABLE_WQ, i);
    }
}

void qidxd_bring_up(QIdxd *d, unsigned nr, const QIdxdWq *cfg)
{
    qidxd_configure(d, nr, cfg);
    qidxd_enable(d, nr);
}

uint64_t qidxd_vector(QIdxd *d, unsigned vector)
{
    return d->pci.msix_table_off + vector * PCI_MSIX_ENTRY_SIZE;
}

uint32_t qidxd_message_data(unsigned vector)
{
    return 0x5a000000 | vector;
}

void qidxd_mask_vector(QIdxd *d, unsigned vector, bool mask)
{
    qidxd_writel(d, qidxd_vector(d, vector) + PCI_MSIX_ENTRY_VECTOR_CTRL,
                 mask ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

bool qidxd_vector_pending(QIdxd *d, unsigned vector)
{
    return extract64(qidxd_readq(d, d->pci.msix_pba_off + vector / 64 * 8),
                     vector % 64, 1);
}

void qidxd_msix_on(QIdxd *d)
{
    uint8_t cap = qpci_find_capability(&d->pci, PCI_CAP_ID_MSIX, 0);
    uint16_t flags = qpci_config_readw(&d->pci, cap + PCI_MSIX_FLAGS);

    for (unsigned i = 0; i < d->nr_vectors; i++) {
        uint64_t entry = qidxd_vector(d, i);

        qidxd_writel(d, entry + PCI_MSIX_ENTRY_LOWER_ADDR, d->messages + i * 4);
        qidxd_writel(d, entry + PCI_MSIX_ENTRY_UPPER_ADDR, 0);
        qidxd_writel(d, entry + PCI_MSIX_ENTRY_DATA, qidxd_message_data(i));
        qidxd_mask_vector(d, i, false);
    }
    qpci_config_writew(&d->pci, cap + PCI_MSIX_FLAGS,
                       (flags & ~PCI_MSIX_FLAGS_MASKALL) |
                       PCI_MSIX_FLAGS_ENABLE);
    d->pci.msix_enabled = true;
}

bool qidxd_take_message(QIdxd *d, unsigned vector)
{
    uint64_t slot = d->messages + vector * 4;
    uint8_t raw[4];
    uint32_t data;

    qtest_memread(d->pci.bus->qts, slot, raw, sizeof(raw));
    data = ldl_le_p(raw);
    if (!data) {
        return false;
    }
    g_assert_cmphex(data, ==, qidxd_message_data(vector));
    qtest_memset(d->pci.bus->qts, slot, 0, sizeof(raw));
    return true;
}

void qidxd_wait_message(QIdxd *d, unsigned vector)
{
    for (unsigned i = 0; i < MAX_POLLS; i++) {
        if (qidxd_take_message(d, vector)) {
            return;
        }
    }
    g_error("idxd-ims: no message from vector %u", vector);
}

void qidxd_pack(const QIdxdDesc *desc, void *buf)
{
    stl_le_p(buf, desc->pasid);
    stl_le_p(buf + 4, desc->flags | (uint32_t)desc->opcode << 24);
    stq_le_p(buf + 8, desc->record);
    stq_le_p(buf + 16, desc->src);
    stq_le_p(buf + 24, desc->dst);
    stl_le_p(buf + 32, desc->size);
    stw_le_p(buf + 36, desc->handle);
    stw_le_p(buf + 38, desc->reserved);
    for (unsigned i = 0; i < 3; i++) {
        stq_le_p(buf + 40 + i * 8, desc->op[i]);
    }
}

uint64_t qidxd_portal(QIdxd *d, unsigned wq, QIdxdPortal kind)
{
    return wq * 0x4000ull + kind * 0x1000ull;
}

void qidxd_submit(QIdxd *d, unsigned wq, QIdxdPortal kind,
                  const QIdxdDesc *desc)
{
    uint8_t buf[DSA_DESC_SIZE];

    qidxd_pack(desc, buf);
    qpci_memwrite(&d->pci, d->portals, qidxd_portal(d, wq, kind), buf,
                  sizeof(buf));
}

void qidxd_read_record(QIdxd *d, uint64_t addr, QIdxdRecord *rec)
{
    uint8_t raw[DSA_RECORD_SIZE];

    qtest_bufread(d->pci.bus->qts, addr, raw, sizeof(raw));
    rec->status = raw[0];
    rec->result = raw[1];
    rec->fault_info = raw[2];
    rec->bytes = ldl_le_p(raw + 4);
    rec->fault_addr = ldq_le_p(raw + 8);
    rec->value = ldq_le_p(raw + 16);
}

void qidxd_wait_record(QIdxd *d, uint64_t addr, QIdxdRecord *rec)
{
    for (unsigned i = 0; i < MAX_POLLS; i++) {
        qidxd_read_record(d, addr, rec);
        if (rec->status) {
            return;
        }
    }
    g_error("idxd-ims: no completion record at 0x%" PRIx64, addr);
}

void qidxd_run(QIdxd *d, unsigned wq, QIdxdPortal kind, const QIdxdDesc *desc,
               QIdxdRecord *rec)
{
    qtest_memset(d->pci.bus->qts, desc->record, 0, DSA_RECORD_SIZE);
    qidxd_submit(d, wq, kind, desc);
    qidxd_wait_record(d, desc->record, rec);
}

static void *qidxd_get_driver(void *obj, const char *interface)
{
    QIdxd *d = obj;

    if (!g_strcmp0(interface, "pci-device")) {
        return &d->pci;
    }
    if (!g_strcmp0(interface, "idxd-ims")) {
        return d;
    }
    fprintf(stderr, "%s not present in idxd-ims\n", interface);
    g_assert_not_reached();
}

static void *qidxd_create(void *bus, QGuestAllocator *alloc, void *addr)
{
    QIdxd *d = g_new0(QIdxd, 1);

    qpci_device_init(&d->pci, bus, addr);
    qidxd_init(d, alloc);
    d->obj.get_driver = qidxd_get_driver;
    return &d->obj;
}

static void qidxd_register_nodes(void)
{
    QPCIAddress addr = {
        .devfn = QPCI_DEVFN(4, 0),
        .vendor_id = VENDOR,
        .device_id = DEVICE,
    };
    QOSGraphEdgeOptions opts = {
        .extra_device_opts = "addr=04.0",
    };

    add_qpci_address(&opts, &addr);
    qos_node_create_driver("idxd-ims", qidxd_create);
    qos_node_consumes("idxd-ims", "pci-bus", &opts);
    qos_node_produces("idxd-ims", "pci-device");
}

libqos_init(qidxd_register_nodes);
