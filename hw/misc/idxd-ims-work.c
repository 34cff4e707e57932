/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: work queues and engines (341204-006, 3.4, 3.8, 3.9, 3.12, 4.1)
 *
 * Accepted descriptors wait in the queue of their WQ until an engine of the
 * group takes them.  Engines run in a bottom half, never in the access that
 * submitted the work: each gets a slice of data per round, so that neither a
 * long transfer nor a long batch keeps the others, or the main loop, waiting.
 *
 * Nothing runs while the VM is stopped.  Between two steps, the whole state
 * of the work is in IDXDState; it migrates as it stands, and the destination
 * goes on with the next byte.
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "idxd-ims.h"
#include "trace.h"

/* Bytes that an engine handles in a round */
#define IDXD_SLICE              (64 * 1024)
/* What each step of a descriptor costs besides its data */
#define IDXD_STEP_COST          64

/* Something to do for the bottom half, if the VM runs */
void idxd_work_kick(IDXDState *s)
{
    if (s->bh && runstate_is_running()) {
        qemu_bh_schedule(s->bh);
    }
}

static IDXDSubmission *idxd_wq_entry(IDXDState *s, unsigned wq, uint32_t n)
{
    IDXDWQ *q = &s->wqs[wq];

    return &s->storage[q->base + (q->head + n) % q->size];
}

/* The caller has checked that there is room */
void idxd_work_enqueue(IDXDState *s, unsigned wq, const IDXDSubmission *sub)
{
    IDXDWQ *q = &s->wqs[wq];
    IDXDSubmission *entry = idxd_wq_entry(s, wq, q->count);

    *entry = *sub;
    entry->seq = s->seq++;
    q->count++;
    idxd_work_kick(s);
}

static void idxd_wq_pop(IDXDState *s, unsigned wq, IDXDSubmission *sub)
{
    IDXDWQ *q = &s->wqs[wq];

    *sub = *idxd_wq_entry(s, wq, 0);
    q->head = (q->head + 1) % q->size;
    q->count--;
}

static void idxd_engine_clear(IDXDState *s, IDXDEngine *e)
{
    idxd_page_forget(s, e);
    memset(&e->main, 0, sizeof(e->main));
    memset(&e->member, 0, sizeof(e->member));
    e->batch_failed = false;
    e->batch_logged = false;
    e->batch_log_has_cr = false;
}

static bool idxd_engine_busy(const IDXDEngine *e)
{
    return e->main.phase != IDXD_TASK_NONE;
}

bool idxd_work_pending(IDXDState *s, IDXDMatch match, const void *opaque)
{
    uint32_t wq, n;

    for (n = 0; n < s->cfg.engines; n++) {
        const IDXDEngine *e = &s->engines[n];

        if (idxd_engine_busy(e) && match(s, e->wq, &e->main.sub, opaque)) {
            return true;
        }
    }
    for (wq = 0; wq < s->cfg.wqs; wq++) {
        for (n = 0; n < s->wqs[wq].count; n++) {
            if (match(s, wq, idxd_wq_entry(s, wq, n), opaque)) {
                return true;
            }
        }
    }
    return false;
}

static void idxd_wq_discard(IDXDState *s, unsigned wq, IDXDMatch match,
                            const void *opaque)
{
    uint32_t n, kept = 0, count = s->wqs[wq].count;

    for (n = 0; n < count; n++) {
        IDXDSubmission *entry = idxd_wq_entry(s, wq, n);

        if (!match(s, wq, entry, opaque)) {
            *idxd_wq_entry(s, wq, kept++) = *entry;
        }
    }
    s->wqs[wq].count = kept;
    idxd_irq_occupancy(s, wq);
}

/* Abort: matching descriptors end here, without a trace in memory */
void idxd_work_discard(IDXDState *s, IDXDMatch match, const void *opaque)
{
    uint32_t n;

    s->epoch++;
    for (n = 0; n < s->cfg.engines; n++) {
        IDXDEngine *e = &s->engines[n];

        if (idxd_engine_busy(e) && match(s, e->wq, &e->main.sub, opaque)) {
            idxd_engine_clear(s, e);
        }
    }
    for (n = 0; n < s->cfg.wqs; n++) {
        idxd_wq_discard(s, n, match, opaque);
    }
    idxd_work_kick(s);
}

void idxd_work_reset(IDXDState *s)
{
    unsigned i;

    s->epoch++;
    for (i = 0; i < s->cfg.engines; i++) {
        idxd_engine_clear(s, &s->engines[i]);
    }
    for (i = 0; i < s->cfg.wqs; i++) {
        memset(&s->wqs[i].slots, 0, sizeof(s->wqs[i].slots));
        s->wqs[i].head = 0;
        s->wqs[i].count = 0;
        s->wqs[i].credit = 0;
        s->wqs[i].retry = 0;
    }
    for (i = 0; i < s->cfg.groups; i++) {
        s->groups[i].wq = 0;
    }
}

/*
 * 3.12: a Drain descriptor waits for those that came before it to the same
 * WQ, for a shared WQ only with the same PASID.  The queue is in order, so
 * all of them are done or in another engine.
 */
bool idxd_work_drained(IDXDState *s, const IDXDEngine *self)
{
    bool shared = !idxd_wq_dedicated(s, self->wq);
    unsigned i;

    for (i = 0; i < s->cfg.engines; i++) {
        const IDXDEngine *e = &s->engines[i];

        if (idxd_engine_busy(e) && e->wq == self->wq &&
            e->main.sub.seq < self->main.sub.seq &&
            !(shared && e->main.sub.pasid != self->main.sub.pasid)) {
            return false;
        }
    }
    return true;
}

static bool idxd_group_owns(IDXDState *s, unsigned group, unsigned wq)
{
    return extract32(s->grpcfg[group * IDXD_GRPCFG_DWORDS + wq / 32],
                     wq % 32, 1);
}

void idxd_work_start_wq(IDXDState *s, unsigned wq)
{
    s->wqs[wq].credit = IDXD_WQ_FIELD(s, wq, WQ_MODE, PRIORITY);
}

/* The next WQ that has a descriptor and may dispatch one, or -1 */
static int idxd_group_turn(IDXDState *s, unsigned group)
{
    IDXDGroup *g = &s->groups[group];
    unsigned i, wq;

    for (i = 0; i < s->cfg.wqs; i++) {
        wq = (g->wq + i) % s->cfg.wqs;
        if (s->wqs[wq].count && s->wqs[wq].credit &&
            idxd_group_owns(s, group, wq)) {
            s->wqs[wq].credit--;
            g->wq = (wq + 1) % s->cfg.wqs;
            return wq;
        }
    }
    return -1;
}

/*
 * 4.1: WQs take turns, with one descriptor each; a WQ has as many turns in a
 * round as its priority says.  The round is over when no WQ with work has any
 * left.
 */
static int idxd_group_pick(IDXDState *s, unsigned group)
{
    int wq = idxd_group_turn(s, group);
    unsigned i;

    if (wq >= 0) {
        return wq;
    }
    for (i = 0; i < s->cfg.wqs; i++) {
        if (idxd_group_owns(s, group, i)) {
            idxd_work_start_wq(s, i);
        }
    }
    return idxd_group_turn(s, group);
}

static bool idxd_engine_fetch(IDXDState *s, IDXDEngine *e)
{
    int wq;

    if (e->group < 0) {
        return false;
    }
    wq = idxd_group_pick(s, e->group);
    if (wq < 0) {
        return false;
    }
    idxd_engine_clear(s, e);
    e->wq = wq;
    e->main.phase = IDXD_TASK_CHECK;
    idxd_wq_pop(s, wq, &e->main.sub);
    idxd_irq_occupancy(s, wq);
    return true;
}

/* Check, run or complete; IDXD_STEP_DONE means that all is reported */
static IDXDStep idxd_task_step(IDXDState *s, IDXDEngine *e, IDXDTask *t,
                               uint32_t *budget)
{
    uint64_t epoch = s->epoch;
    IDXDStep step;
    bool ok;

    switch (t->phase) {
    case IDXD_TASK_CHECK:
        ok = idxd_ops_check(s, e, t);
        if (s->epoch != epoch) {
            return IDXD_STEP_GONE;
        }
        t->phase = ok ? IDXD_TASK_RUN : IDXD_TASK_COMPLETE;
        return IDXD_STEP_MORE;
    case IDXD_TASK_RUN:
        step = idxd_ops_step(s, e, t, budget);
        if (step != IDXD_STEP_DONE) {
            return step;
        }
        t->phase = IDXD_TASK_COMPLETE;
        return IDXD_STEP_MORE;
    default:
        return idxd_task_complete(s, e, t);
    }
}

static void idxd_batch_end(IDXDEngine *e, uint8_t status)
{
    idxd_task_end(&e->main, status);
    e->main.outcome.completed = e->main.done;
    e->main.phase = IDXD_TASK_COMPLETE;
}

/* Read the next descriptor of the batch; the identity is that of the batch */
static IDXDStep idxd_batch_fetch(IDXDState *s, IDXDEngine *e)
{
    IDXDRequester who = idxd_requester(s, e->wq, &e->main.sub);
    uint64_t addr = ldq_le_p(e->main.sub.desc + IDXD_DESC_SRC) +
                    (uint64_t)e->main.done * IDXD_DESC_SIZE;
    uint8_t desc[IDXD_DESC_SIZE];
    IDXDDMAResult ret;

    ret = idxd_dma(s, &who, addr, desc, sizeof(desc), false);
    if (ret == IDXD_DMA_GONE) {
        return IDXD_STEP_GONE;
    }
    if (ret != IDXD_DMA_OK) {
        idxd_batch_end(e, ret == IDXD_DMA_FAULT ? IDXD_ST_BATCH_FAULT
                                                : IDXD_ST_READ_ERROR);
        e->main.outcome.fault_addr = addr;
        return IDXD_STEP_MORE;
    }
    memset(&e->member, 0, sizeof(e->member));
    e->member.sub = e->main.sub;
    memcpy(e->member.sub.desc, desc, sizeof(desc));
    if (e->batch_failed && (idxd_flags(&e->member.sub) & IDXD_FLAG_FENCE)) {
        /* 3.9: this one and all that follow are abandoned */
        memset(&e->member, 0, sizeof(e->member));
        idxd_batch_end(e, IDXD_ST_BATCH_FAILED);
        return IDXD_STEP_MORE;
    }
    e->member.phase = IDXD_TASK_CHECK;
    return IDXD_STEP_MORE;
}

/* One thing of a batch: read a descriptor, work on it, or end the batch */
static IDXDStep idxd_batch_step(IDXDState *s, IDXDEngine *e, uint32_t *budget)
{
    uint32_t count = ldl_le_p(e->main.sub.desc + IDXD_DESC_SIZE_FIELD);
    IDXDStep step;

    if (e->member.phase != IDXD_TASK_NONE) {
        step = idxd_task_step(s, e, &e->member, budget);
        if (step != IDXD_STEP_DONE) {
            return step;
        }
        e->batch_failed |= e->member.outcome.status != IDXD_ST_SUCCESS;
        memset(&e->member, 0, sizeof(e->member));
        e->main.done++;
        return IDXD_STEP_MORE;
    }
    if (e->main.done >= count) {
        idxd_batch_end(e, e->batch_failed ? IDXD_ST_BATCH_FAILED
                                          : IDXD_ST_SUCCESS);
        return IDXD_STEP_MORE;
    }
    return idxd_batch_fetch(s, e);
}

static IDXDStep idxd_engine_step(IDXDState *s, IDXDEngine *e, uint32_t *budget)
{
    if (e->main.phase == IDXD_TASK_RUN &&
        idxd_opcode(&e->main.sub) == IDXD_OP_BATCH) {
        return idxd_batch_step(s, e, budget);
    }
    return idxd_task_step(s, e, &e->main, budget);
}

/* A slice of an engine's time; says if there may be more to do */
static IDXDStep idxd_engine_run(IDXDState *s, IDXDEngine *e)
{
    uint32_t budget = IDXD_SLICE;
    uint64_t epoch = s->epoch;
    bool progress = false;
    IDXDStep step;

    while (budget) {
        if (!idxd_engine_busy(e) && !idxd_engine_fetch(s, e)) {
            break;
        }
        if (s->epoch != epoch) {
            /* The occupancy interrupt of the fetch led back to the device */
            return IDXD_STEP_GONE;
        }
        budget -= MIN(budget, IDXD_STEP_COST);
        step = idxd_engine_step(s, e, &budget);
        if (step == IDXD_STEP_GONE) {
            return IDXD_STEP_GONE;
        }
        if (step == IDXD_STEP_WAIT) {
            break;
        }
        progress = true;
        if (step == IDXD_STEP_DONE) {
            idxd_engine_clear(s, e);
        }
    }
    return progress ? IDXD_STEP_MORE : IDXD_STEP_WAIT;
}

void idxd_work_bh(void *opaque)
{
    IDXDState *s = opaque;
    bool progress = false;
    IDXDStep step = IDXD_STEP_WAIT;
    unsigned i;

    /* An engine can unplug the device, through the hotplug registers */
    object_ref(OBJECT(s));
    for (i = 0; i < s->cfg.engines && step != IDXD_STEP_GONE; i++) {
        step = idxd_engine_run(s, &s->engines[i]);
        progress |= step == IDXD_STEP_MORE;
    }
    if (s->engines) {
        if (progress || step == IDXD_STEP_GONE) {
            idxd_work_kick(s);
        }
        idxd_cmd_poll(s);
    }
    object_unref(OBJECT(s));
}
