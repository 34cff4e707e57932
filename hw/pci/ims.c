/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI Interrupt Message Store
 *
 * See include/hw/pci/ims.h for the interface, and the Intel Data Streaming
 * Accelerator Architecture Specification (341204-006) for the rules.
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/pci/ims.h"
#include "hw/pci/pci_device.h"
#include "trace.h"

#define CTRL_MASK       R_PCI_IMS_CTRL_MASK_MASK
#define CTRL_PENDING    R_PCI_IMS_CTRL_PENDING_MASK
#define CTRL_IGNORE     R_PCI_IMS_CTRL_IGNORE_MASK

/* Pending is the only defined bit that software cannot write */
#define CTRL_WRITABLE   (CTRL_MASK | PCI_IMS_CTRL_PERMISSION)

static bool pci_ims_in_window(const PCIIMS *ims, uint64_t addr)
{
    return (addr & ims->config.addr_mask) == ims->config.addr_match;
}

static bool pci_ims_enabled(PCIIMS *ims)
{
    return !ims->config.enabled || ims->config.enabled(ims);
}

static void pci_ims_assign_pending(PCIIMS *ims, uint32_t n, bool pending)
{
    PCIIMSEntry *e = &ims->entries[n];

    if (pending == !!(e->ctrl & CTRL_PENDING)) {
        return;
    }
    e->ctrl ^= CTRL_PENDING;
    ims->nr_pending += pending ? 1 : -1;
}

static void pci_ims_send(PCIIMS *ims, uint32_t n)
{
    PCIIMSEntry *e = &ims->entries[n];
    MSIMessage msg = { .address = e->addr, .data = e->data };

    trace_pci_ims_send(ims->owner->name, n, msg.address, msg.data);
    ims->counters[n].sent++;
    msi_send_message(ims->owner, msg);
}

/* Send a held message if nothing holds it any more */
static void pci_ims_flush(PCIIMS *ims, uint32_t n)
{
    uint32_t ctrl = ims->entries[n].ctrl;

    if (!(ctrl & CTRL_PENDING) || (ctrl & CTRL_MASK) || !pci_ims_enabled(ims)) {
        return;
    }
    /* Before sending: the message may come back to us as a register write */
    pci_ims_assign_pending(ims, n, false);
    pci_ims_send(ims, n);
}

static PCIIMSResult pci_ims_hold(PCIIMS *ims, uint32_t n)
{
    ims->counters[n].pending++;
    pci_ims_assign_pending(ims, n, true);
    return PCI_IMS_PENDING;
}

static PCIIMSResult pci_ims_raise(PCIIMS *ims, uint32_t n)
{
    if (!pci_ims_enabled(ims)) {
        if (ims->config.latch) {
            return pci_ims_hold(ims, n);
        }
        ims->counters[n].dropped++;
        return PCI_IMS_DROPPED;
    }
    if (ims->entries[n].ctrl & CTRL_MASK) {
        return pci_ims_hold(ims, n);
    }
    pci_ims_send(ims, n);
    return PCI_IMS_SENT;
}

bool pci_ims_permits(const PCIIMS *ims, uint32_t entry, bool pasid_en,
                     uint32_t pasid)
{
    uint32_t ctrl;

    if (entry >= ims->nr_entries) {
        return false;
    }
    ctrl = ims->entries[entry].ctrl;
    if (FIELD_EX32(ctrl, PCI_IMS_CTRL, PASID_EN) != pasid_en) {
        return false;
    }
    return !pasid_en || FIELD_EX32(ctrl, PCI_IMS_CTRL, PASID) == pasid;
}

void pci_ims_refuse(PCIIMS *ims, uint32_t entry)
{
    if (entry < ims->nr_entries) {
        ims->counters[entry].raised++;
        ims->counters[entry].refused++;
        trace_pci_ims_notify(ims->owner->name, entry, PCI_IMS_REFUSED);
    }
}

PCIIMSResult pci_ims_notify(PCIIMS *ims, uint32_t entry, bool pasid_en,
                            uint32_t pasid)
{
    PCIIMSResult result;

    if (!pci_ims_permits(ims, entry, pasid_en, pasid)) {
        pci_ims_refuse(ims, entry);
        return PCI_IMS_REFUSED;
    }
    ims->counters[entry].raised++;
    if (ims->entries[entry].ctrl & CTRL_IGNORE) {
        ims->counters[entry].ignored++;
        result = PCI_IMS_IGNORED;
    } else {
        result = pci_ims_raise(ims, entry);
    }
    trace_pci_ims_notify(ims->owner->name, entry, result);
    return result;
}

PCIIMSResult pci_ims_notify_event(PCIIMS *ims, uint32_t entry)
{
    PCIIMSResult result;

    if (entry >= ims->nr_entries) {
        return PCI_IMS_REFUSED;
    }
    ims->counters[entry].raised++;
    result = pci_ims_raise(ims, entry);
    trace_pci_ims_notify(ims->owner->name, entry, result);
    return result;
}

void pci_ims_kick(PCIIMS *ims)
{
    uint32_t n;

    for (n = 0; ims->nr_pending && n < ims->nr_entries; n++) {
        pci_ims_flush(ims, n);
    }
}

void pci_ims_set_message(PCIIMS *ims, uint32_t entry, MSIMessage msg)
{
    if (entry < ims->nr_entries) {
        /* QEMU's MSI-X table keeps the lower bits, which are to be 0 */
        ims->entries[entry].addr = msg.address & ~3ull;
        ims->entries[entry].data = msg.data;
    }
}

static void pci_ims_set_ctrl(PCIIMS *ims, uint32_t n, uint32_t val,
                             uint32_t mask)
{
    PCIIMSEntry *e = &ims->entries[n];

    mask &= CTRL_WRITABLE;
    e->ctrl = (e->ctrl & ~mask) | (val & mask);
    pci_ims_flush(ims, n);
}

void pci_ims_set_mask(PCIIMS *ims, uint32_t entry, bool masked)
{
    if (entry < ims->nr_entries) {
        pci_ims_set_ctrl(ims, entry, masked ? CTRL_MASK : 0, CTRL_MASK);
    }
}

void pci_ims_set_permission(PCIIMS *ims, uint32_t entry, uint32_t ctrl)
{
    if (entry < ims->nr_entries) {
        pci_ims_set_ctrl(ims, entry, ctrl, PCI_IMS_CTRL_PERMISSION);
    }
}

bool pci_ims_is_masked(const PCIIMS *ims, uint32_t entry)
{
    return entry >= ims->nr_entries || (ims->entries[entry].ctrl & CTRL_MASK);
}

bool pci_ims_is_pending(const PCIIMS *ims, uint32_t entry)
{
    return entry < ims->nr_entries &&
           (ims->entries[entry].ctrl & CTRL_PENDING);
}

void pci_ims_set_pending(PCIIMS *ims, uint32_t entry, bool pending)
{
    if (entry < ims->nr_entries) {
        pci_ims_assign_pending(ims, entry, pending);
    }
}

const PCIIMSCounters *pci_ims_counters(const PCIIMS *ims, uint32_t entry)
{
    return &ims->counters[entry];
}

/* One of the two quadwords of an entry, as software sees it */
static uint64_t pci_ims_quad(const PCIIMSEntry *e, bool upper)
{
    return upper ? e->data | (uint64_t)e->ctrl << 32 : e->addr;
}

uint64_t pci_ims_read(PCIIMS *ims, hwaddr addr, unsigned size)
{
    uint32_t n = addr / PCI_IMS_ENTRY_SIZE;

    if (n >= ims->nr_entries) {
        return 0;
    }
    return extract64(pci_ims_quad(&ims->entries[n], addr & 8),
                     (addr & 7) * 8, size * 8);
}

static void pci_ims_write_addr(PCIIMS *ims, uint32_t n, uint64_t addr)
{
    addr &= ~3ull;
    if (!pci_ims_in_window(ims, addr)) {
        trace_pci_ims_bad_address(ims->owner->name, n, addr);
        return;
    }
    ims->entries[n].addr = addr;
}

/*
 * A write is merged into the quadword that it belongs to, so that a 64-bit
 * address is checked as a whole when it is written as a whole.
 */
void pci_ims_write(PCIIMS *ims, hwaddr addr, uint64_t val, unsigned size)
{
    uint32_t n = addr / PCI_IMS_ENTRY_SIZE;
    unsigned shift = (addr & 7) * 8;
    bool upper = addr & 8;
    uint64_t quad;

    if (n >= ims->nr_entries) {
        return;
    }
    quad = deposit64(pci_ims_quad(&ims->entries[n], upper),
                     shift, size * 8, val);
    if (!upper) {
        pci_ims_write_addr(ims, n, quad);
        return;
    }
    ims->entries[n].data = quad;
    pci_ims_set_ctrl(ims, n, quad >> 32, UINT32_MAX);
}

static uint64_t pci_ims_mmio_read(void *opaque, hwaddr addr, unsigned size)
{
    return pci_ims_read(opaque, addr, size);
}

static void pci_ims_mmio_write(void *opaque, hwaddr addr, uint64_t val,
                               unsigned size)
{
    PCIIMS *ims = opaque;

    trace_pci_ims_write(ims->owner->name, addr, val, size);
    pci_ims_write(ims, addr, val, size);
}

static const MemoryRegionOps pci_ims_mmio_ops = {
    .read = pci_ims_mmio_read,
    .write = pci_ims_mmio_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
    },
};

void pci_ims_reset(PCIIMS *ims)
{
    uint32_t n;

    for (n = 0; n < ims->nr_entries; n++) {
        ims->entries[n] = (PCIIMSEntry) {
            .addr = ims->config.addr_match,
            .ctrl = CTRL_MASK,
        };
    }
    ims->nr_pending = 0;
}

bool pci_ims_init(PCIIMS *ims, PCIDevice *owner, const PCIIMSConfig *config,
                  Error **errp)
{
    if (!config->nr_entries || config->nr_entries > PCI_IMS_MAX_ENTRIES) {
        error_setg(errp, "an interrupt message store has 1 to %d entries, "
                   "not %" PRIu32, PCI_IMS_MAX_ENTRIES, config->nr_entries);
        return false;
    }
    if (config->addr_match & (~config->addr_mask | 3)) {
        error_setg(errp, "the address window of the interrupt message store "
                   "is empty");
        return false;
    }

    ims->owner = owner;
    ims->config = *config;
    ims->nr_entries = config->nr_entries;
    ims->entries = g_new0(PCIIMSEntry, ims->nr_entries);
    ims->counters = g_new0(PCIIMSCounters, ims->nr_entries);
    memory_region_init_io(&ims->mmio, OBJECT(owner), &pci_ims_mmio_ops, ims,
                          config->name,
                          (uint64_t)ims->nr_entries * PCI_IMS_ENTRY_SIZE);
    pci_ims_reset(ims);
    return true;
}

void pci_ims_fini(PCIIMS *ims)
{
    g_clear_pointer(&ims->entries, g_free);
    g_clear_pointer(&ims->counters, g_free);
    ims->nr_entries = 0;
    ims->nr_pending = 0;
}

/* An entry that no sequence of register writes can produce is refused */
static bool pci_ims_entry_is_valid(const PCIIMS *ims, const PCIIMSEntry *e)
{
    return !(e->addr & 3) && pci_ims_in_window(ims, e->addr) &&
           !(e->ctrl & ~(CTRL_WRITABLE | CTRL_PENDING));
}

static int pci_ims_post_load(void *opaque, int version_id)
{
    PCIIMS *ims = opaque;
    uint32_t n;

    ims->nr_pending = 0;
    for (n = 0; n < ims->nr_entries; n++) {
        const PCIIMSEntry *e = &ims->entries[n];

        if (!pci_ims_entry_is_valid(ims, e)) {
            error_report("%s: %s: invalid entry %" PRIu32 ": address 0x%"
                         PRIx64 " control 0x%" PRIx32, ims->owner->name,
                         ims->config.name, n, e->addr, e->ctrl);
            return -EINVAL;
        }
        ims->nr_pending += !!(e->ctrl & CTRL_PENDING);
    }
    return 0;
}

static const VMStateDescription vmstate_pci_ims_entry = {
    .name = "pci-ims-entry",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(addr, PCIIMSEntry),
        VMSTATE_UINT32(data, PCIIMSEntry),
        VMSTATE_UINT32(ctrl, PCIIMSEntry),
        VMSTATE_END_OF_LIST()
    }
};

const VMStateDescription vmstate_pci_ims = {
    .name = "pci-ims",
    .version_id = 1,
    .minimum_version_id = 1,
    .post_load = pci_ims_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32_EQUAL(nr_entries, PCIIMS),
        VMSTATE_STRUCT_VARRAY_POINTER_UINT32(entries, PCIIMS, nr_entries,
                                             vmstate_pci_ims_entry,
                                             PCIIMSEntry),
        VMSTATE_END_OF_LIST()
    }
};
