/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * PCI Interrupt Message Store
 *
 * An Interrupt Message Store (IMS) is a table of interrupt messages that a
 * device keeps in its own registers, beyond MSI-X and without the limit of
 * 2048 entries.  The entry format is the one of the Intel Scalable I/O
 * Virtualization specification as the Data Streaming Accelerator implements
 * it (Intel 341204-006, section 9.2.28).  Each entry has 16 bytes:
 *
 *   +0   message address, 64 bits; bits 1:0 are zero
 *   +8   message data, 32 bits
 *   +12  control: mask, pending (read-only), ignore, PASID enable, PASID
 *
 * The PASID of an entry says whose completions may use it; it is not sent
 * with the message.
 *
 * All functions are called with the Big QEMU Lock held.  None of them asserts
 * on a value that a guest or a migration stream can choose.
 */

#ifndef HW_PCI_IMS_H
#define HW_PCI_IMS_H

#include "hw/pci/msi.h"
#include "hw/core/registerfields.h"
#include "migration/vmstate.h"
#include "system/memory.h"

#define PCI_IMS_ENTRY_SIZE      16
#define PCI_IMS_MAX_ENTRIES     65536

/* Entry layout and control fields: 341204-006, 9.2.28 */
REG32(PCI_IMS_ADDR_LO, 0x0)
REG32(PCI_IMS_ADDR_HI, 0x4)
REG32(PCI_IMS_DATA, 0x8)
REG32(PCI_IMS_CTRL, 0xc)
    FIELD(PCI_IMS_CTRL, MASK, 0, 1)
    FIELD(PCI_IMS_CTRL, PENDING, 1, 1)
    FIELD(PCI_IMS_CTRL, IGNORE, 2, 1)
    FIELD(PCI_IMS_CTRL, PASID_EN, 3, 1)
    FIELD(PCI_IMS_CTRL, PASID, 12, 20)

/* The fields that say which completions an entry takes: ignore and PASID */
#define PCI_IMS_CTRL_PERMISSION \
    (R_PCI_IMS_CTRL_IGNORE_MASK | R_PCI_IMS_CTRL_PASID_EN_MASK | \
     R_PCI_IMS_CTRL_PASID_MASK)

typedef struct PCIIMS PCIIMS;

/**
 * PCIIMSResult: what became of an interrupt
 * @PCI_IMS_SENT: the message is on its way
 * @PCI_IMS_PENDING: held in the pending bit until the entry is unmasked
 * @PCI_IMS_IGNORED: the entry ignores completions; nothing is recorded
 * @PCI_IMS_DROPPED: the device may not send messages now; it is lost
 * @PCI_IMS_REFUSED: no such entry, or its PASID is not the one of the request
 */
typedef enum PCIIMSResult {
    PCI_IMS_SENT,
    PCI_IMS_PENDING,
    PCI_IMS_IGNORED,
    PCI_IMS_DROPPED,
    PCI_IMS_REFUSED,
} PCIIMSResult;

/**
 * PCIIMSCounters: what happened to one entry since the device was created
 * @raised: interrupts that the device wanted to send
 * @sent: messages sent, at once or after a time as pending
 * @pending: raised interrupts that were held (or merged into a held one)
 * @ignored: completions that the ignore bit swallowed
 * @dropped: interrupts lost because messages were disabled
 * @refused: interrupts refused because of the PASID
 *
 * At any time, raised is the sum of the interrupts sent at once and of the
 * pending, ignored, dropped and refused ones.  Neither reset nor migration
 * touches the counters: they say what this device model did.
 */
typedef struct PCIIMSCounters {
    uint64_t raised;
    uint64_t sent;
    uint64_t pending;
    uint64_t ignored;
    uint64_t dropped;
    uint64_t refused;
} PCIIMSCounters;

/**
 * PCIIMSConfig: properties of a store that do not change
 * @name: name of the memory region
 * @nr_entries: number of entries, 1 to %PCI_IMS_MAX_ENTRIES
 * @addr_mask: address bits that are fixed by the platform, 0 for none
 * @addr_match: value of these bits; also the reset value of an address
 * @latch: while messages are disabled, hold interrupts instead of losing them
 * @enabled: may the device send messages now?  %NULL means always
 *
 * A write that would move an address out of the window given by @addr_mask
 * and @addr_match is dropped.  On x86 the window is %PCI_IMS_X86_ADDR_MASK
 * and %PCI_IMS_X86_ADDR_MATCH: bits 63:20 have the value 0xfee.
 */
typedef struct PCIIMSConfig {
    const char *name;
    uint32_t nr_entries;
    uint64_t addr_mask;
    uint64_t addr_match;
    bool latch;
    bool (*enabled)(PCIIMS *ims);
} PCIIMSConfig;

#define PCI_IMS_X86_ADDR_MASK   0xfffffffffff00000ull
#define PCI_IMS_X86_ADDR_MATCH  0x00000000fee00000ull

typedef struct PCIIMSEntry {
    uint64_t addr;
    uint32_t data;
    uint32_t ctrl;
} PCIIMSEntry;

/**
 * PCIIMS: an Interrupt Message Store
 * @mmio: the table; the owner maps it into a BAR, or does not if software
 *        must not see it
 * @owner: the device that sends the messages
 * @config: as given to pci_ims_init()
 * @nr_pending: number of entries whose pending bit is set
 *
 * The other fields are private.
 */
struct PCIIMS {
    MemoryRegion mmio;
    PCIDevice *owner;
    PCIIMSConfig config;
    uint32_t nr_entries;
    uint32_t nr_pending;
    PCIIMSEntry *entries;
    PCIIMSCounters *counters;
};

extern const VMStateDescription vmstate_pci_ims;

#define VMSTATE_PCI_IMS(_field, _state) \
    VMSTATE_STRUCT(_field, _state, 1, vmstate_pci_ims, PCIIMS)

/**
 * pci_ims_init: set up a store in its reset state
 * @ims: the store, zeroed
 * @owner: the device
 * @config: copied; @config->name must stay valid
 * @errp: set if the number of entries or the address window is impossible
 *
 * Returns: true on success
 */
bool pci_ims_init(PCIIMS *ims, PCIDevice *owner, const PCIIMSConfig *config,
                  Error **errp);

/**
 * pci_ims_fini: free what pci_ims_init() allocated
 * @ims: the store; it may be one that was never set up
 */
void pci_ims_fini(PCIIMS *ims);

/**
 * pci_ims_reset: give each entry its reset value
 * @ims: the store
 *
 * Address at the bottom of the window, data 0, masked, nothing pending.  The
 * value is the same for each kind of reset (341204-006, table 9-3).
 */
void pci_ims_reset(PCIIMS *ims);

/**
 * pci_ims_permits: may a completion use an entry?
 * @ims: the store
 * @entry: index; an index out of range is not permitted
 * @pasid_en: does the requester use a PASID?
 * @pasid: its PASID, if so
 *
 * The rule of 341204-006, 5.4: PASID enable is equal on both sides and, where
 * it is set, so is the PASID.  A device asks before it starts the work;
 * pci_ims_notify() checks again.
 */
bool pci_ims_permits(const PCIIMS *ims, uint32_t entry, bool pasid_en,
                     uint32_t pasid);

/**
 * pci_ims_refuse: count a completion that pci_ims_permits() did not allow
 * @ims: the store
 * @entry: index; one out of range is not counted
 */
void pci_ims_refuse(PCIIMS *ims, uint32_t entry);

/**
 * pci_ims_notify: raise the interrupt of a completion
 * @ims: the store
 * @entry: index
 * @pasid_en: does the requester use a PASID?
 * @pasid: its PASID, if so
 *
 * Constant time.  The PASID is checked at this moment, so that no completion
 * reaches an entry that was given to someone else since the work began.
 *
 * Returns: what became of the interrupt
 */
PCIIMSResult pci_ims_notify(PCIIMS *ims, uint32_t entry, bool pasid_en,
                            uint32_t pasid);

/**
 * pci_ims_notify_event: raise an interrupt that is no completion
 * @ims: the store
 * @entry: index
 *
 * Errors, command completions and the like: the ignore and PASID fields do
 * not apply to them (341204-006, 3.7).
 *
 * Returns: what became of the interrupt
 */
PCIIMSResult pci_ims_notify_event(PCIIMS *ims, uint32_t entry);

/**
 * pci_ims_kick: send what is pending and unmasked
 * @ims: the store
 *
 * To be called after messages became enabled.
 */
void pci_ims_kick(PCIIMS *ims);

/**
 * pci_ims_set_message: write address and data of an entry
 * @ims: the store
 * @entry: index
 * @msg: the message; its address is not checked against the window
 *
 * For a store that software does not see, because the device fills it from
 * another table.
 */
void pci_ims_set_message(PCIIMS *ims, uint32_t entry, MSIMessage msg);

/**
 * pci_ims_set_mask: mask or unmask an entry
 * @ims: the store
 * @entry: index
 * @masked: new value of the mask bit; clearing it sends what is pending
 */
void pci_ims_set_mask(PCIIMS *ims, uint32_t entry, bool masked);

/**
 * pci_ims_set_permission: write the ignore and PASID fields of an entry
 * @ims: the store
 * @entry: index
 * @ctrl: control value; fields other than %PCI_IMS_CTRL_PERMISSION are unused
 */
void pci_ims_set_permission(PCIIMS *ims, uint32_t entry, uint32_t ctrl);

/**
 * pci_ims_is_masked: value of the mask bit
 * @ims: the store
 * @entry: index; true if it is out of range
 */
bool pci_ims_is_masked(const PCIIMS *ims, uint32_t entry);

/**
 * pci_ims_is_pending: value of the pending bit
 * @ims: the store
 * @entry: index; false if it is out of range
 */
bool pci_ims_is_pending(const PCIIMS *ims, uint32_t entry);

/**
 * pci_ims_set_pending: make an entry pending without raising an interrupt
 * @ims: the store
 * @entry: index
 * @pending: new value
 *
 * For a device that takes over a pending bit from another table.
 */
void pci_ims_set_pending(PCIIMS *ims, uint32_t entry, bool pending);

/**
 * pci_ims_counters: the counters of an entry
 * @ims: the store
 * @entry: index; it must be valid
 */
const PCIIMSCounters *pci_ims_counters(const PCIIMS *ims, uint32_t entry);

/**
 * pci_ims_read: read from the table
 * @ims: the store
 * @addr: offset in the table, aligned to @size; out of range reads as 0
 * @size: 1, 2, 4 or 8
 */
uint64_t pci_ims_read(PCIIMS *ims, hwaddr addr, unsigned size);

/**
 * pci_ims_write: write to the table
 * @ims: the store
 * @addr: offset in the table, aligned to @size; out of range is dropped
 * @val: value
 * @size: 1, 2, 4 or 8
 */
void pci_ims_write(PCIIMS *ims, hwaddr addr, uint64_t val, unsigned size);

#endif /* HW_PCI_IMS_H */
