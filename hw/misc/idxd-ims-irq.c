/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: interrupts (341204-006, 3.7, 5.4, 7.5.4, 9.2.22, 9.2.28)
 *
 * Each entry of the MSI-X table is backed by an entry of an interrupt message
 * store that software does not see, as a hypervisor backs the MSI-X table of a
 * virtual device with entries of the physical IMS.  The PCI core owns the
 * table in the BAR; when it reports a vector as unmasked, the message and the
 * permissions are copied into the backing entry, and when it reports the
 * vector as masked, the backing entry is.  The pending bits live in the
 * backing store; the PBA is filled from there when it is read.
 *
 * Permissions.  MSIXPERM may be written at any time and governs the next
 * descriptor that is checked (9.2.22, 5.4), so a write goes through to the
 * backing entry whether or not the vector is masked.  With
 * x-msixperm-latch=on, it does not: the value then takes effect when the
 * vector is unmasked.  This is how a mediated device behaves that can
 * translate a PASID only at that moment, and it is what a hypervisor has to
 * cope with that allocates all vectors in advance.
 *
 * A completion is checked against the entry when its descriptor starts and
 * once more when the interrupt is sent; the second check is stricter than the
 * specification, and means that no interrupt crosses PASIDs even if an entry
 * changes hands while work is in flight.
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qapi/error.h"
#include "hw/pci/msix.h"
#include "idxd-ims.h"
#include "trace.h"

/* Above the index of any entry, so that no handle looks like an index */
#define IDXD_FIRST_HANDLE       0x4000
#define IDXD_NR_HANDLES         0x10000

QEMU_BUILD_BUG_ON(IDXD_FIRST_HANDLE < IDXD_MAX_IMS);

static PCIIMS *idxd_store(IDXDState *s, bool ims)
{
    return ims ? &s->ims : &s->msix;
}

/* A message is a memory write, and the MSI-X ones can be switched off */
static bool idxd_msix_can_send(PCIIMS *ims)
{
    return msix_enabled(ims->owner) && idxd_bus_master(IDXD_IMS(ims->owner));
}

static bool idxd_ims_can_send(PCIIMS *ims)
{
    return idxd_bus_master(IDXD_IMS(ims->owner));
}

static int idxd_msix_vector_use(PCIDevice *pdev, unsigned vector,
                                MSIMessage msg)
{
    IDXDState *s = IDXD_IMS(pdev);

    /* The pending bit of the PCI core is a copy; the original is ours */
    msix_clr_pending(pdev, vector);
    pci_ims_set_message(&s->msix, vector, msg);
    pci_ims_set_permission(&s->msix, vector, s->msixperm[vector]);
    pci_ims_set_mask(&s->msix, vector, false);
    return 0;
}

static void idxd_msix_vector_release(PCIDevice *pdev, unsigned vector)
{
    pci_ims_set_mask(&IDXD_IMS(pdev)->msix, vector, true);
}

static void idxd_msix_vector_poll(PCIDevice *pdev, unsigned start,
                                  unsigned end)
{
    IDXDState *s = IDXD_IMS(pdev);
    unsigned v;

    for (v = start; v < end; v++) {
        if (pci_ims_is_pending(&s->msix, v)) {
            msix_set_pending(pdev, v);
        } else {
            msix_clr_pending(pdev, v);
        }
    }
}

/*
 * Migration: the PCI core holds a vector whose message is being rewritten, if
 * it knows that the vector is pending.
 */
void idxd_irq_pre_save(IDXDState *s)
{
    idxd_msix_vector_poll(&s->parent_obj, 0, s->nr_vectors);
}

/*
 * After a write to the configuration space, since the PCI core does not report
 * vectors as masked when MSI-X is disabled; and when the VM runs.
 */
void idxd_irq_sync(IDXDState *s)
{
    PCIDevice *pdev = &s->parent_obj;
    unsigned v;

    for (v = 0; v < s->msix.nr_entries; v++) {
        if (msix_is_masked(pdev, v)) {
            pci_ims_set_mask(&s->msix, v, true);
        } else if (pci_ims_is_masked(&s->msix, v)) {
            idxd_msix_vector_use(pdev, v, msix_get_message(pdev, v));
        }
    }
    pci_ims_kick(&s->msix);
    pci_ims_kick(&s->ims);
}

/*
 * Software may change a message while the vector is unmasked only at its own
 * risk (PCIe 6.1.4.2); what it gets is the message at the time of sending.
 */
static void idxd_msix_refresh(IDXDState *s, uint32_t vector)
{
    if (!pci_ims_is_masked(&s->msix, vector)) {
        pci_ims_set_message(&s->msix, vector,
                            msix_get_message(&s->parent_obj, vector));
    }
}

/* Set bits of INTCAUSE and send vector 0, for each event anew (9.2.11) */
void idxd_irq_event(IDXDState *s, uint32_t cause)
{
    s->regs[R_INTCAUSE] |= cause;
    idxd_msix_refresh(s, 0);
    pci_ims_notify_event(&s->msix, 0);
}

bool idxd_irq_permits(IDXDState *s, const IDXDIrqTarget *irq,
                      const IDXDSubmission *sub)
{
    return pci_ims_permits(idxd_store(s, irq->ims), irq->entry, sub->pasid_en,
                           sub->pasid);
}

void idxd_irq_refuse(IDXDState *s, const IDXDIrqTarget *irq)
{
    pci_ims_refuse(idxd_store(s, irq->ims), irq->entry);
}

PCIIMSResult idxd_irq_complete(IDXDState *s, const IDXDIrqTarget *irq,
                               const IDXDSubmission *sub)
{
    if (!irq->ims && irq->entry < s->nr_vectors) {
        idxd_msix_refresh(s, irq->entry);
    }
    return pci_ims_notify(idxd_store(s, irq->ims), irq->entry, sub->pasid_en,
                          sub->pasid);
}

/*
 * 9.2.24, WQ Occupancy Interrupt: sent once when the occupancy is at or below
 * the limit, until software clears the Generated bit.
 */
void idxd_irq_occupancy(IDXDState *s, unsigned wq)
{
    uint32_t *status = idxd_wqcfg(s, wq, A_WQ_STATUS);
    bool ims = IDXD_WQ_FIELD(s, wq, WQ_OCC_INT, IMS);
    uint32_t entry;

    if (!IDXD_WQ_FIELD(s, wq, WQ_OCC_LIMIT, ENABLE) ||
        FIELD_EX32(*status, WQ_STATUS, OCC_GENERATED) ||
        idxd_wq_state(s, wq) != IDXD_WQ_ENABLED ||
        s->wqs[wq].count > IDXD_WQ_FIELD(s, wq, WQ_OCC_LIMIT, LIMIT) ||
        !idxd_irq_resolve(s, ims, IDXD_WQ_FIELD(s, wq, WQ_OCC_INT, HANDLE),
                          &entry)) {
        return;
    }
    *status = FIELD_DP32(*status, WQ_STATUS, OCC_GENERATED, 1);
    if (!ims && entry == 0) {
        idxd_irq_event(s, R_INTCAUSE_OCCUPANCY_MASK);
        return;
    }
    if (!ims) {
        idxd_msix_refresh(s, entry);
    }
    pci_ims_notify_event(idxd_store(s, ims), entry);
}

void idxd_msixperm_write(IDXDState *s, unsigned vector, uint32_t val)
{
    s->msixperm[vector] = val;
    if (!s->cfg.msixperm_latch) {
        pci_ims_set_permission(&s->msix, vector, val);
    }
}

/* Index of an entry in the tables of the handles; false: no such entry */
static bool idxd_handle_entry(IDXDState *s, bool ims, uint32_t index,
                              uint32_t *n)
{
    if (index >= (ims ? s->cfg.ims_entries : s->nr_vectors)) {
        return false;
    }
    *n = index + (ims ? s->nr_vectors : 0);
    return true;
}

/* The table entry behind a handle (table 5-2) */
bool idxd_irq_resolve(IDXDState *s, bool ims, uint16_t handle, uint32_t *entry)
{
    uint32_t n;

    if (!idxd_has_cmd(s, IDXD_CMD_REQUEST_HANDLE)) {
        *entry = handle;
        return idxd_handle_entry(s, ims, handle, &n);
    }
    if (!s->handles.owner[handle]) {
        return false;
    }
    n = s->handles.owner[handle] - 1;
    if (ims != (n >= s->nr_vectors)) {
        return false;
    }
    *entry = ims ? n - s->nr_vectors : n;
    return true;
}

static void idxd_handle_drop(IDXDHandles *h, uint32_t n)
{
    if (h->of_entry[n]) {
        h->owner[h->of_entry[n]] = 0;
        h->of_entry[n] = 0;
        h->live--;
    }
}

/* Next fit; there are always more values than entries */
static uint16_t idxd_handle_alloc(IDXDHandles *h, uint32_t n)
{
    while (h->owner[h->cursor]) {
        h->cursor++;
        if (h->cursor == IDXD_NR_HANDLES) {
            h->cursor = IDXD_FIRST_HANDLE;
        }
    }
    h->owner[h->cursor] = n + 1;
    h->of_entry[n] = h->cursor;
    h->live++;
    h->cursor++;
    if (h->cursor == IDXD_NR_HANDLES) {
        h->cursor = IDXD_FIRST_HANDLE;
    }
    return h->of_entry[n];
}

uint8_t idxd_handle_request(IDXDState *s, uint32_t operand, uint16_t *handle)
{
    IDXDHandles *h = &s->handles;
    uint32_t n;

    if (!idxd_handle_entry(s, operand & IDXD_CMD_HANDLE_IMS,
                           operand & IDXD_CMD_HANDLE_INDEX, &n)) {
        return IDXD_CMD_ERR_HANDLE_INDEX;
    }
    h->requested = true;
    if (!h->of_entry[n]) {
        if (h->live >= s->cfg.max_handles) {
            return IDXD_CMD_ERR_NO_HANDLE;
        }
        idxd_handle_alloc(h, n);
    }
    *handle = h->of_entry[n];
    return IDXD_CMD_OK;
}

/*
 * The operand is a table index (table 9-5).  Linux passes the handle; as no
 * handle has the value of an index, both can be served.
 */
uint8_t idxd_handle_release(IDXDState *s, uint32_t operand)
{
    bool ims = operand & IDXD_CMD_HANDLE_IMS;
    uint32_t value = operand & IDXD_CMD_HANDLE_INDEX;
    uint32_t n;

    if (value >= IDXD_FIRST_HANDLE && idxd_irq_resolve(s, ims, value, &n)) {
        value = n;
    }
    if (!idxd_handle_entry(s, ims, value, &n)) {
        return IDXD_CMD_ERR_HANDLE_INDEX;
    }
    idxd_handle_drop(&s->handles, n);
    return IDXD_CMD_OK;
}

/* All of it, not one by one: a refused stream may have left any mess */
static uint32_t idxd_handles_drop_all(IDXDState *s)
{
    IDXDHandles *h = &s->handles;
    uint32_t dropped = h->live;

    memset(h->owner, 0, IDXD_NR_HANDLES * sizeof(*h->owner));
    memset(h->of_entry, 0, h->nr_entries * sizeof(*h->of_entry));
    h->live = 0;
    return dropped;
}

/*
 * Revoke one handle, or "all": what a hypervisor does when the interrupt
 * resources behind them move (7.5.4).  Work in flight that was checked before
 * still sends its interrupt; what is checked later ends with 0x19.
 */
bool idxd_handle_revoke(IDXDState *s, const char *which, Error **errp)
{
    unsigned handle;

    if (!s->handles.requested) {
        error_setg(errp, "no interrupt handle was requested since reset");
        return false;
    }
    if (!strcmp(which, "all")) {
        if (!idxd_handles_drop_all(s)) {
            error_setg(errp, "there is no live interrupt handle");
            return false;
        }
    } else {
        if (qemu_strtoui(which, NULL, 0, &handle) < 0 ||
            handle >= IDXD_NR_HANDLES || !s->handles.owner[handle]) {
            error_setg(errp, "'%s' is neither 'all' nor a live interrupt "
                       "handle", which);
            return false;
        }
        idxd_handle_drop(&s->handles, s->handles.owner[handle] - 1);
    }
    trace_idxd_ims_revoke(s->parent_obj.name, which);
    idxd_irq_event(s, R_INTCAUSE_REVOKED_MASK);
    return true;
}

/* After migration: handles by entry were loaded, the other way is derived */
bool idxd_handles_rebuild(IDXDState *s)
{
    IDXDHandles *h = &s->handles;
    uint32_t n;

    if (h->cursor < IDXD_FIRST_HANDLE || h->cursor >= IDXD_NR_HANDLES) {
        h->cursor = IDXD_FIRST_HANDLE;
        return false;
    }
    memset(h->owner, 0, IDXD_NR_HANDLES * sizeof(*h->owner));
    h->live = 0;
    for (n = 0; n < h->nr_entries; n++) {
        uint16_t handle = h->of_entry[n];

        if (!handle) {
            continue;
        }
        if (handle < IDXD_FIRST_HANDLE || h->owner[handle]) {
            return false;
        }
        h->owner[handle] = n + 1;
        h->live++;
    }
    return true;
}

void idxd_irq_reset(IDXDState *s, bool software)
{
    unsigned v;

    memset(s->msixperm, 0, s->nr_vectors * sizeof(*s->msixperm));
    idxd_handles_drop_all(s);
    s->handles.requested = false;
    pci_ims_reset(&s->ims);
    if (!software) {
        pci_ims_reset(&s->msix);
        return;
    }
    /* The command keeps the MSI-X table, but not what goes with it */
    for (v = 0; v < s->nr_vectors; v++) {
        pci_ims_set_pending(&s->msix, v, false);
        pci_ims_set_permission(&s->msix, v, 0);
    }
}

static bool idxd_irq_init_ims(IDXDState *s, Error **errp)
{
    const PCIIMSConfig config = {
        .name = "idxd-ims",
        .nr_entries = s->cfg.ims_entries,
        .addr_mask = PCI_IMS_X86_ADDR_MASK,
        .addr_match = PCI_IMS_X86_ADDR_MATCH,
        .enabled = idxd_ims_can_send,
    };

    if (!s->cfg.ims_entries) {
        return true;
    }
    if (!pci_ims_init(&s->ims, &s->parent_obj, &config, errp)) {
        return false;
    }
    memory_region_add_subregion(&s->bar0, IDXD_BAR0_IMS, &s->ims.mmio);
    return true;
}

static bool idxd_irq_init_msix(IDXDState *s, Error **errp)
{
    const PCIIMSConfig config = {
        .name = "idxd-msix-backing",
        .nr_entries = s->nr_vectors,
        .latch = s->cfg.msix_latch,
        .enabled = idxd_msix_can_send,
    };
    PCIDevice *pdev = &s->parent_obj;
    unsigned v;

    if (!pci_ims_init(&s->msix, pdev, &config, errp) ||
        msix_init(pdev, s->nr_vectors, &s->bar0, 0, IDXD_BAR0_MSIX_TABLE,
                  &s->bar0, 0, IDXD_BAR0_MSIX_PBA, 0x80, errp) < 0) {
        return false;
    }
    for (v = 0; v < s->nr_vectors; v++) {
        msix_vector_use(pdev, v);
    }
    msix_set_vector_notifiers(pdev, idxd_msix_vector_use,
                              idxd_msix_vector_release, idxd_msix_vector_poll);
    return true;
}

bool idxd_irq_init(IDXDState *s, Error **errp)
{
    s->msixperm = g_new0(uint32_t, s->nr_vectors);
    s->irq_counts = g_new0(uint64_t, s->nr_vectors + s->cfg.ims_entries);
    s->handles.nr_entries = s->nr_vectors + s->cfg.ims_entries;
    s->handles.of_entry = g_new0(uint16_t, s->handles.nr_entries);
    s->handles.owner = g_new0(uint16_t, IDXD_NR_HANDLES);
    s->handles.cursor = IDXD_FIRST_HANDLE;
    return idxd_irq_init_ims(s, errp) && idxd_irq_init_msix(s, errp);
}

/* Also after an idxd_irq_init() that failed halfway */
void idxd_irq_exit(IDXDState *s)
{
    if (msix_present(&s->parent_obj)) {
        msix_unset_vector_notifiers(&s->parent_obj);
        msix_uninit(&s->parent_obj, &s->bar0, &s->bar0);
    }
    if (s->ims.nr_entries) {
        memory_region_del_subregion(&s->bar0, &s->ims.mmio);
    }
    pci_ims_fini(&s->ims);
    pci_ims_fini(&s->msix);
}

/* Apart from the above: an access to the device may still be under way then */
void idxd_irq_finalize(IDXDState *s)
{
    g_clear_pointer(&s->handles.of_entry, g_free);
    g_clear_pointer(&s->handles.owner, g_free);
    g_clear_pointer(&s->irq_counts, g_free);
    g_clear_pointer(&s->msixperm, g_free);
}
