/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: portals (341204-006, 3.3, 5.3 and 9.3)
 *
 * Hardware takes a descriptor in one 64-byte write: a posted one (MOVDIR64B)
 * for a dedicated WQ, a deferrable one (ENQCMD) for a shared WQ.  From a CPU
 * that has the instructions, one of TCG, it comes here in that way.
 *
 * Others only have stores of 8 bytes, so a submission is also put together
 * from smaller ones; it is complete when each of the 64 bytes was written.
 * What is never completed is, as on hardware, never submitted.  Two CPUs that
 * write to the same address at the same time make one submission of both.
 *
 * Such stores are posted writes, which the specification wants to be ignored
 * by shared WQs.  The property x-mmio-dmwr makes stores to shared WQs
 * deferrable ones, for tests; a read of the portal then says how the last one
 * ended: 0 for accepted, all ones for Retry.
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "idxd-ims.h"
#include "trace.h"

/* How many entries a submission through this portal may fill (9.2.24) */
static uint32_t idxd_portal_limit(IDXDState *s, unsigned wq, unsigned portal)
{
    uint32_t size = s->wqs[wq].size;

    if (portal & IDXD_PORTAL_LIMITED) {
        size = MIN(size, IDXD_WQ_FIELD(s, wq, WQ_THRESHOLD, THRESHOLD));
    }
    return size;
}

/* Shared WQs take the identity of the submitter from the write (8.1.1) */
static void idxd_submission_init(IDXDState *s, IDXDSubmission *sub,
                                 unsigned wq, unsigned portal,
                                 const uint8_t *desc)
{
    memcpy(sub->desc, desc, IDXD_DESC_SIZE);
    sub->ims_portal = portal & IDXD_PORTAL_IMS;
    sub->pasid_en = IDXD_WQ_FIELD(s, wq, WQ_MODE, PASID_EN);
    if (idxd_wq_dedicated(s, wq)) {
        sub->pasid = IDXD_WQ_FIELD(s, wq, WQ_MODE, PASID);
        sub->priv = IDXD_WQ_FIELD(s, wq, WQ_MODE, PRIV);
    } else {
        uint32_t trusted = ldl_le_p(desc + A_DESC_TRUSTED);

        sub->pasid = FIELD_EX32(trusted, DESC_TRUSTED, PASID);
        sub->priv = FIELD_EX32(trusted, DESC_TRUSTED, PRIV);
    }
    if (!sub->pasid_en) {
        sub->pasid = 0;
        sub->priv = false;
    }
}

/**
 * idxd_ims_submit: submit a descriptor to a work queue
 * @s: the device
 * @wq: index of the WQ
 * @portal: kind of the portal, bits 13:12 of the address
 * @desc: 64 bytes
 * @non_posted: the write is a deferrable one, whose sender learns the result
 *
 * Returns: true if the descriptor was accepted; false is a Retry response if
 * @non_posted, and goes unnoticed if not.
 */
bool idxd_ims_submit(IDXDState *s, unsigned wq, unsigned portal,
                     const uint8_t *desc, bool non_posted)
{
    IDXDSubmission sub = {};
    bool dedicated, accepted = false;

    if (wq >= s->cfg.wqs || portal >= IDXD_PORTALS_PER_WQ ||
        ((portal & IDXD_PORTAL_IMS) && !s->cfg.ims_entries)) {
        return false;
    }
    dedicated = idxd_wq_dedicated(s, wq);
    if (idxd_device_state(s) == IDXD_ENABLED &&
        idxd_wq_state(s, wq) == IDXD_WQ_ENABLED && dedicated != non_posted) {
        accepted = s->wqs[wq].count <
                   (dedicated ? s->wqs[wq].size
                              : idxd_portal_limit(s, wq, portal));
        if (!accepted && dedicated) {
            idxd_error_report(s, &(IDXDError) {
                .code = IDXD_ERR_WQ_FULL, .swerror_only = true,
                .wq_valid = true, .wq = wq });
        }
    }
    trace_idxd_ims_submit(s->parent_obj.name, wq, portal, non_posted,
                          accepted);
    if (accepted) {
        idxd_submission_init(s, &sub, wq, portal, desc);
        idxd_work_enqueue(s, wq, &sub);
    }
    return accepted;
}

static IDXDPortalSlot *idxd_portal_slot(IDXDWQ *wq, uint32_t offset)
{
    IDXDPortalSlot *slot;
    unsigned i;

    for (i = 0; i < IDXD_PORTAL_SLOTS; i++) {
        slot = &wq->slots[i];
        if (slot->mask && slot->offset == offset) {
            return slot;
        }
    }
    for (i = 0; i < IDXD_PORTAL_SLOTS; i++) {
        if (!wq->slots[i].mask) {
            break;
        }
    }
    if (i == IDXD_PORTAL_SLOTS) {
        /* Too many torn submissions: forget the oldest */
        i = wq->next_slot;
        wq->next_slot = (i + 1) % IDXD_PORTAL_SLOTS;
    }
    slot = &wq->slots[i];
    slot->mask = 0;
    slot->offset = offset;
    return slot;
}

static bool idxd_portal_deferrable(IDXDState *s, unsigned wq)
{
    return s->cfg.mmio_dmwr && !idxd_wq_dedicated(s, wq);
}

/* @n counts portals from the first WQ on */
static void idxd_portal_store(IDXDState *s, unsigned n, const uint8_t *desc)
{
    unsigned wq = n / IDXD_PORTALS_PER_WQ;
    unsigned portal = n % IDXD_PORTALS_PER_WQ;
    bool non_posted = idxd_portal_deferrable(s, wq);
    bool accepted = idxd_ims_submit(s, wq, portal, desc, non_posted);

    s->wqs[wq].retry = deposit32(s->wqs[wq].retry, portal, 1,
                                 non_posted && !accepted);
}

static MemTxResult idxd_portal_write64b(void *opaque, hwaddr addr,
                                        const uint8_t *data, MemTxAttrs attrs)
{
    IDXDState *s = opaque;
    unsigned n = addr >> IDXD_PORTAL_SHIFT;

    if (n / IDXD_PORTALS_PER_WQ < s->cfg.wqs) {
        idxd_portal_store(s, n, data);
    }
    return MEMTX_OK;
}

static MemTxResult idxd_portal_enqueue64b(void *opaque, hwaddr addr,
                                          const uint8_t *data,
                                          MemTxAttrs attrs)
{
    unsigned n = addr >> IDXD_PORTAL_SHIFT;

    return idxd_ims_submit(opaque, n / IDXD_PORTALS_PER_WQ,
                           n % IDXD_PORTALS_PER_WQ, data, true) ?
           MEMTX_OK : MEMTX_RETRY;
}

static void idxd_portal_write(void *opaque, hwaddr addr, uint64_t val,
                              unsigned size)
{
    IDXDState *s = opaque;
    unsigned n = addr >> IDXD_PORTAL_SHIFT;
    unsigned wq = n / IDXD_PORTALS_PER_WQ;
    unsigned at = addr % IDXD_DESC_SIZE;
    uint64_t bytes = MAKE_64BIT_MASK(at, size);
    IDXDPortalSlot *slot;

    if (wq >= s->cfg.wqs) {
        return;
    }
    slot = idxd_portal_slot(&s->wqs[wq], (addr % (IDXD_PORTALS_PER_WQ <<
                                          IDXD_PORTAL_SHIFT)) - at);
    if (slot->mask & bytes) {
        /* The same bytes again: the earlier submission was given up */
        slot->mask = 0;
    }
    slot->mask |= bytes;
    stn_le_p(slot->data + at, size, val);
    if (slot->mask == UINT64_MAX) {
        slot->mask = 0;
        idxd_portal_store(s, n, slot->data);
    }
}

static uint64_t idxd_portal_read(void *opaque, hwaddr addr, unsigned size)
{
    IDXDState *s = opaque;
    unsigned n = addr >> IDXD_PORTAL_SHIFT;
    unsigned wq = n / IDXD_PORTALS_PER_WQ;

    if (wq < s->cfg.wqs && idxd_portal_deferrable(s, wq) &&
        (s->wqs[wq].retry & BIT(n % IDXD_PORTALS_PER_WQ))) {
        return UINT64_MAX;
    }
    return 0;
}

const MemoryRegionOps idxd_portal_ops = {
    .read = idxd_portal_read,
    .write = idxd_portal_write,
    .write64b = idxd_portal_write64b,
    .enqueue64b = idxd_portal_enqueue64b,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8 },
    .impl = { .min_access_size = 1, .max_access_size = 8 },
};

static uint64_t idxd_dummy_portal_read(void *opaque, hwaddr addr,
                                       unsigned size)
{
    return 0;
}

static void idxd_dummy_portal_write(void *opaque, hwaddr addr, uint64_t val,
                                    unsigned size)
{
}

/* 9.2.21: like the portal of a WQ that is not enabled */
const MemoryRegionOps idxd_dummy_portal_ops = {
    .read = idxd_dummy_portal_read,
    .write = idxd_dummy_portal_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8 },
    .impl = { .min_access_size = 1, .max_access_size = 8 },
};
