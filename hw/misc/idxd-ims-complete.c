/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: completions (341204-006, 3.6, 5.4, 5.8.1, 5.9)
 *
 * What an engine says when a descriptor is done: a record in memory, an entry
 * of the event log or SWERROR, an interrupt.  Which of them, the outcome and
 * the flags of the descriptor decide.
 */

#include "qemu/osdep.h"
#include "idxd-ims.h"
#include "trace.h"

/* Status codes that go elsewhere than to the completion record (5.8.1) */
static bool idxd_status_is_success(uint8_t status)
{
    return status == IDXD_ST_SUCCESS || status == IDXD_ST_FALSE_PREDICATE ||
           status == IDXD_ST_BATCH_FAILED;
}

static bool idxd_writes_cr(const IDXDTask *t)
{
    uint32_t flags = idxd_flags(&t->sub);

    if (t->outcome.no_cr || t->outcome.status == IDXD_ST_PRIV) {
        return false;
    }
    return (flags & IDXD_FLAG_CRAV) &&
           ((flags & IDXD_FLAG_RCR) ||
            !idxd_status_is_success(t->outcome.status));
}

static bool idxd_reports_error(const IDXDTask *t)
{
    if (t->outcome.no_cr || t->outcome.status == IDXD_ST_PRIV ||
        t->outcome.status == IDXD_ST_BAD_HANDLE ||
        t->outcome.status == IDXD_ST_TRANSLATION) {
        return true;
    }
    return !(idxd_flags(&t->sub) & IDXD_FLAG_CRAV) &&
           !idxd_status_is_success(t->outcome.status);
}

static void idxd_fill_cr(const IDXDTask *t, uint8_t *cr)
{
    const IDXDOutcome *out = &t->outcome;

    memset(cr, 0, IDXD_CR_SIZE);
    cr[IDXD_CR_STATUS] = out->status | (out->write ? IDXD_CR_STATUS_WRITE : 0);
    cr[IDXD_CR_RESULT] = out->result;
    stl_le_p(cr + IDXD_CR_COMPLETED, out->completed);
    stq_le_p(cr + IDXD_CR_FAULT_ADDR, out->fault_addr);
    stq_le_p(cr + IDXD_CR_VALUE, out->value);
}

static void idxd_task_report(IDXDState *s, IDXDEngine *e, const IDXDTask *t,
                             uint8_t code, const IDXDOutcome *outcome,
                             const uint8_t *cr)
{
    bool in_batch = t == &e->member;
    bool says_first = code == IDXD_ST_BAD_HANDLE || code == IDXD_ST_CR_FAULT;
    IDXDError err = {
        .code = code,
        .swerror_only = code == IDXD_ST_TRANSLATION,
        .wq_valid = true,
        .wq = e->wq,
        .sub = &t->sub,
        .outcome = outcome,
        .cr = cr,
        .cr_required = idxd_writes_cr(t),
        .in_batch = in_batch,
        .batch_first = in_batch && says_first && !e->batch_logged,
        /* An engine has one batch at a time */
        .batch_id = e - s->engines,
        .batch_index = in_batch ? e->main.done : 0,
    };

    e->batch_logged |= in_batch && says_first;
    idxd_error_report(s, &err);
}

static uint64_t idxd_cr_addr(const IDXDTask *t)
{
    return ldq_le_p(t->sub.desc + IDXD_DESC_CR_ADDR);
}

static IDXDDMAResult idxd_write_cr(IDXDState *s, IDXDEngine *e, IDXDTask *t,
                                   uint8_t *cr)
{
    IDXDRequester who = idxd_requester(s, e->wq, &t->sub);

    return idxd_dma(s, &who, idxd_cr_addr(t), cr, IDXD_CR_SIZE, true);
}

/*
 * 5.4: a descriptor that fails another check still sends its interrupt, one
 * whose interrupt or completion record cannot be had does not.
 */
static bool idxd_sends_interrupt(const IDXDTask *t)
{
    return t->irq.valid && (idxd_flags(&t->sub) & IDXD_FLAG_RCI) &&
           t->outcome.status != IDXD_ST_BAD_HANDLE && !t->outcome.no_cr;
}

/*
 * 5.9: a batch is told in the event log if a record of one of its members is
 * there, so that software copies that one first.  It gets the record of the
 * batch even if that is not required: if it cannot copy a member's, it makes a
 * failure of a success.
 *
 * By the same section a successful Drain is, always.  Linux cannot have that:
 * its driver sends a Drain when it has replaced an interrupt handle, and waits
 * for the interrupt, which it does not look for in the log.
 */
static bool idxd_is_logged(IDXDState *s, const IDXDEngine *e,
                           const IDXDTask *t)
{
    return t == &e->main && e->batch_log_has_cr && !idxd_reports_error(t) &&
           ((idxd_flags(&t->sub) & IDXD_FLAG_CRAV) ||
            idxd_sends_interrupt(t)) && idxd_evl_active(s);
}

/* Will the completion need an entry of the event log? */
static bool idxd_needs_log(IDXDState *s, IDXDEngine *e, const IDXDTask *t)
{
    IDXDRequester who = idxd_requester(s, e->wq, &t->sub);

    if (idxd_is_logged(s, e, t) ||
        (idxd_reports_error(t) && t->outcome.status != IDXD_ST_TRANSLATION)) {
        return true;
    }
    if (idxd_writes_cr(t) &&
        !idxd_dma_writable(s, &who, idxd_cr_addr(t), IDXD_CR_SIZE)) {
        return true;
    }
    return idxd_sends_interrupt(t) && !idxd_irq_permits(s, &t->irq, &t->sub);
}

/*
 * A completion record that cannot be written goes to the event log, and with
 * it all that software has to do about it.  Without the log it is lost, and
 * takes the place of the outcome.
 */
static uint8_t idxd_cr_fault(IDXDState *s, IDXDEngine *e, IDXDTask *t)
{
    if (!idxd_evl_active(s)) {
        t->outcome = (IDXDOutcome) {
            .status = IDXD_ST_CR_FAULT, .no_cr = true, .write = true,
            .fault_addr = idxd_cr_addr(t) };
        return 0;
    }
    e->batch_log_has_cr |= t == &e->member;
    return IDXD_ST_CR_FAULT;
}

/* The rest of a completion whose record is written, or had no need to be */
static void idxd_task_signal(IDXDState *s, IDXDEngine *e, IDXDTask *t,
                             const uint8_t *cr)
{
    uint64_t epoch = s->epoch;

    if (idxd_sends_interrupt(t) && !idxd_irq_permits(s, &t->irq, &t->sub)) {
        /* The entry changed hands since the descriptor was checked */
        idxd_irq_refuse(s, &t->irq);
        t->irq.valid = false;
        t->outcome.status = IDXD_ST_BAD_HANDLE;
    }
    if (idxd_reports_error(t)) {
        idxd_task_report(s, e, t, t->outcome.status, &t->outcome, cr);
        if (s->epoch != epoch) {
            return;
        }
    }
    if (idxd_sends_interrupt(t)) {
        idxd_irq_complete(s, &t->irq, &t->sub);
    }
}

/*
 * Data, then completion record, then error, then interrupt.  The log may be
 * full; then the task waits, before it has told anybody anything.  Each access
 * may lead back to the device, so the epoch is looked at in between.
 */
IDXDStep idxd_task_complete(IDXDState *s, IDXDEngine *e, IDXDTask *t)
{
    IDXDOutcome logged = { .write = true, .fault_addr = idxd_cr_addr(t) };
    uint8_t log = idxd_is_logged(s, e, t) ? IDXD_ST_BATCH_LOGGED : 0;
    uint8_t cr[IDXD_CR_SIZE];
    uint64_t epoch = s->epoch;
    IDXDDMAResult ret;

    if (idxd_error_blocked(s) && idxd_needs_log(s, e, t)) {
        return IDXD_STEP_WAIT;
    }
    idxd_fill_cr(t, cr);
    if (idxd_writes_cr(t) && !log) {
        ret = idxd_write_cr(s, e, t, cr);
        if (ret == IDXD_DMA_GONE) {
            return IDXD_STEP_GONE;
        }
        log = ret == IDXD_DMA_OK ? 0 : idxd_cr_fault(s, e, t);
    }
    trace_idxd_ims_complete(s->parent_obj.name, e->wq, t->sub.seq,
                            idxd_opcode(&t->sub), t->outcome.status);
    if (log) {
        idxd_task_report(s, e, t, log, &logged, cr);
    } else {
        idxd_task_signal(s, e, t, cr);
    }
    return s->epoch == epoch ? IDXD_STEP_DONE : IDXD_STEP_GONE;
}
