/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: errors that no completion record takes (341204-006, 5.7 to 5.9,
 * 9.2.15 to 9.2.17)
 */

#include "qemu/osdep.h"
#include "idxd-ims.h"
#include "trace.h"

/* The first 24 bytes of an event log entry, and all of SWERROR */
typedef struct IDXDErrorRecord {
    uint32_t dw[6];
} IDXDErrorRecord;

static bool idxd_error_is_fault(uint8_t code)
{
    return code == IDXD_ST_PAGE_FAULT || code == IDXD_ST_PAGE_RESPONSE ||
           code == IDXD_ST_BATCH_FAULT || code == IDXD_ST_CR_FAULT;
}

/* A completion that is in the event log instead of memory */
static bool idxd_error_is_completion(uint8_t code)
{
    return code == IDXD_ST_CR_FAULT || code == IDXD_ST_BATCH_LOGGED;
}

static void idxd_error_fill_desc(IDXDErrorRecord *r, const IDXDError *err,
                                 bool evl)
{
    const IDXDSubmission *sub = err->sub;
    uint32_t flags = idxd_flags(sub);

    r->dw[0] = FIELD_DP32(r->dw[0], SWERROR_0, DESC_VALID, 1);
    r->dw[0] = FIELD_DP32(r->dw[0], SWERROR_0, BATCH, err->in_batch);
    r->dw[0] = FIELD_DP32(r->dw[0], SWERROR_0, PRIV, sub->priv);
    r->dw[1] = FIELD_DP32(r->dw[1], SWERROR_1, OPERATION, idxd_opcode(sub));
    r->dw[1] = FIELD_DP32(r->dw[1], SWERROR_1, PASID, sub->pasid);
    r->dw[2] = FIELD_DP32(r->dw[2], SWERROR_2, BATCH_INDEX, err->batch_index);
    if (err->code == IDXD_ST_BAD_FLAGS) {
        r->dw[3] = err->outcome->value;
        return;
    }
    if (err->code != IDXD_ST_BAD_HANDLE &&
        !(evl && idxd_error_is_completion(err->code))) {
        return;
    }
    r->dw[0] = FIELD_DP32(r->dw[0], SWERROR_0, INFO_VALID, 1);
    r->dw[3] = FIELD_DP32(r->dw[3], SWERROR_3, HANDLE,
                          lduw_le_p(sub->desc + IDXD_DESC_HANDLE));
    if (evl) {
        r->dw[3] = FIELD_DP32(r->dw[3], SWERROR_3, INT_REQUIRED,
                              !!(flags & IDXD_FLAG_RCI));
        r->dw[3] = FIELD_DP32(r->dw[3], SWERROR_3, IMS_PORTAL,
                              sub->ims_portal);
        r->dw[3] = FIELD_DP32(r->dw[3], SWERROR_3, CR_REQUIRED,
                              err->cr_required);
        r->dw[3] = FIELD_DP32(r->dw[3], SWERROR_3, BATCH_FIRST,
                              err->batch_first);
    }
}

static IDXDErrorRecord idxd_error_record(const IDXDError *err, bool evl)
{
    IDXDErrorRecord r = {};

    r.dw[0] = FIELD_DP32(r.dw[0], SWERROR_0, ERROR, err->code);
    r.dw[0] = FIELD_DP32(r.dw[0], SWERROR_0, WQ_VALID, err->wq_valid);
    r.dw[0] = FIELD_DP32(r.dw[0], SWERROR_0, WQ, err->wq);
    if (err->sub) {
        idxd_error_fill_desc(&r, err, evl);
    }
    if (err->outcome && (idxd_error_is_fault(err->code) ||
                         idxd_error_is_completion(err->code))) {
        r.dw[0] = FIELD_DP32(r.dw[0], SWERROR_0, WRITE, err->outcome->write);
        r.dw[4] = err->outcome->fault_addr;
        r.dw[5] = err->outcome->fault_addr >> 32;
    }
    return r;
}

/* 9.2.15: the first error stays until software clears Valid */
static void idxd_swerror(IDXDState *s, const IDXDError *err)
{
    IDXDErrorRecord r;

    if (IDXD_REG_FIELD(s, SWERROR_0, VALID)) {
        s->regs[R_SWERROR_0] |= R_SWERROR_0_OVERFLOW_MASK;
        return;
    }
    r = idxd_error_record(err, false);
    r.dw[0] |= R_SWERROR_0_VALID_MASK |
               (s->regs[R_SWERROR_0] & R_SWERROR_0_OVERFLOW_MASK);
    memcpy(&s->regs[R_SWERROR_0], r.dw, sizeof(r.dw));
    if (IDXD_REG_FIELD(s, GENCTRL, SWERR_INT)) {
        idxd_irq_event(s, R_INTCAUSE_SWERR_MASK);
    }
}

/* In use from Enable Device on, if it was configured then */
bool idxd_evl_active(IDXDState *s)
{
    return IDXD_REG_FIELD(s, GENCFG, EVL) &&
           (idxd_device_state(s) == IDXD_ENABLED ||
            idxd_device_state(s) == IDXD_DRAINING);
}

static uint32_t idxd_evl_next(IDXDState *s)
{
    return (IDXD_REG_FIELD(s, EVLSTATUS_1, TAIL) + 1) %
           MAX(IDXD_REG_FIELD(s, EVLCFG_2, SIZE), 1);
}

/*
 * 5.9: the log does not overflow (GENCAP.32 = 0); who has something to log
 * waits until software has moved the head.
 */
bool idxd_error_blocked(IDXDState *s)
{
    return idxd_evl_active(s) &&
           idxd_evl_next(s) == IDXD_REG_FIELD(s, EVLSTATUS_0, HEAD);
}

static uint64_t idxd_evl_tail_addr(IDXDState *s)
{
    uint64_t base = (uint64_t)s->regs[R_EVLCFG_1] << 32 |
                    (s->regs[R_EVLCFG_0] & R_EVLCFG_0_BASE_MASK);

    return base + IDXD_REG_FIELD(s, EVLSTATUS_1, TAIL) * IDXD_EVL_ENTRY_SIZE;
}

static IDXDRequester idxd_evl_requester(IDXDState *s)
{
    return (IDXDRequester) {
        .pasid_en = IDXD_REG_FIELD(s, EVLCFG_0, PASID_EN),
        .priv = IDXD_REG_FIELD(s, EVLCFG_0, PRIV),
        .pasid = IDXD_REG_FIELD(s, EVLCFG_2, PASID_LO) |
                 IDXD_REG_FIELD(s, EVLCFG_3, PASID_HI) << 16,
        .ats = pcie_ats_enabled(&s->parent_obj),
    };
}

/* 5.9.1; the record is valid for completions, and with error 0x19 */
static void idxd_evl_append(IDXDState *s, const IDXDError *err)
{
    IDXDErrorRecord r = idxd_error_record(err, true);
    IDXDRequester who = idxd_evl_requester(s);
    uint8_t entry[IDXD_EVL_ENTRY_SIZE] = {};
    IDXDDMAResult ret;
    unsigned i;

    if (err->in_batch || (err->sub && idxd_opcode(err->sub) == IDXD_OP_BATCH)) {
        r.dw[0] = FIELD_DP32(r.dw[0], SWERROR_0, BATCH_ID, err->batch_id);
    }
    for (i = 0; i < ARRAY_SIZE(r.dw); i++) {
        stl_le_p(entry + 4 * i, r.dw[i]);
    }
    if (err->cr) {
        memcpy(entry + 32, err->cr, IDXD_CR_SIZE);
    }
    ret = idxd_dma(s, &who, idxd_evl_tail_addr(s), entry, sizeof(entry), true);
    if (ret == IDXD_DMA_GONE) {
        return;
    }
    if (ret != IDXD_DMA_OK) {
        idxd_swerror(s, &(IDXDError) { .code = IDXD_ERR_EVL });
        return;
    }
    s->regs[R_EVLSTATUS_1] = FIELD_DP32(s->regs[R_EVLSTATUS_1], EVLSTATUS_1,
                                        TAIL, idxd_evl_next(s));
    if (IDXD_REG_FIELD(s, GENCTRL, EVL_INT) &&
        !IDXD_REG_FIELD(s, EVLSTATUS_1, INT_PENDING)) {
        s->regs[R_EVLSTATUS_1] |= R_EVLSTATUS_1_INT_PENDING_MASK;
        idxd_irq_event(s, R_INTCAUSE_EVL_MASK);
    }
}

/*
 * The caller asks idxd_error_blocked() before, if it can wait.  One that
 * cannot (a register write) loses the event when the log is full, and 0x54
 * says so.
 */
void idxd_error_report(IDXDState *s, const IDXDError *err)
{
    trace_idxd_ims_error(s->parent_obj.name, err->code, err->wq_valid,
                         err->wq);
    if (err->swerror_only || !idxd_evl_active(s)) {
        idxd_swerror(s, err);
    } else if (idxd_error_blocked(s)) {
        idxd_swerror(s, &(IDXDError) { .code = IDXD_ERR_EVL });
    } else {
        idxd_evl_append(s, err);
    }
}

/*
 * 5.7: an unsupported change of the PCI configuration.  Everything stops at
 * once; Reset Device is enough to recover, so the reset type stays 0.  A
 * command that was in progress can no longer end as it should.
 */
void idxd_halt(IDXDState *s)
{
    unsigned wq;

    idxd_work_reset(s);
    for (wq = 0; wq < s->cfg.wqs; wq++) {
        idxd_config_set_wq_state(s, wq, IDXD_WQ_DISABLED);
    }
    s->regs[R_GENSTS] = FIELD_DP32(0, GENSTS, STATE, IDXD_HALTED);
    trace_idxd_ims_state(s->parent_obj.name, IDXD_HALTED);
    idxd_error_report(s, &(IDXDError) {
        .code = IDXD_ERR_PCI_CONFIG, .swerror_only = true });
    if (IDXD_REG_FIELD(s, GENCTRL, HALT_INT)) {
        idxd_irq_event(s, R_INTCAUSE_HALT_MASK);
    }
    idxd_cmd_poll(s);
}
