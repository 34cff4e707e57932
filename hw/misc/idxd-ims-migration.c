/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: migration
 *
 * Everything that the device knows about its work is sent: queues, portals
 * that were half written, and each engine with its progress.  The VM is
 * stopped, so no engine is in the middle of an access; the destination goes
 * on where the source stood.
 *
 * A stream is input like any other.  What no sequence of accesses could have
 * produced is refused, above all what would lead out of a table.
 */

#include "qemu/osdep.h"
#include "qemu/error-report.h"
#include "qapi/error.h"
#include "hw/pci/msix.h"
#include "migration/vmstate.h"
#include "idxd-ims.h"

static bool idxd_task_is_valid(IDXDState *s, const IDXDTask *t)
{
    uint32_t entries = t->irq.ims ? s->cfg.ims_entries : s->nr_vectors;

    if (t->phase >= IDXD_NR_TASK_PHASES ||
        (t->irq.valid && t->irq.entry >= entries)) {
        return false;
    }
    if (t->phase == IDXD_TASK_RUN || t->phase == IDXD_TASK_COMPLETE) {
        /* One that runs has passed the checks, so its operation exists */
        return t->phase == IDXD_TASK_COMPLETE || idxd_ops_known(&t->sub);
    }
    return true;
}

static bool idxd_engine_is_valid(IDXDState *s, const IDXDEngine *e)
{
    if (e->wq >= s->cfg.wqs || !idxd_task_is_valid(s, &e->main) ||
        !idxd_task_is_valid(s, &e->member)) {
        return false;
    }
    /* One that works is part of a group, in a device that is enabled */
    if (e->main.phase != IDXD_TASK_NONE &&
        (e->group < 0 || (idxd_device_state(s) != IDXD_ENABLED &&
                          idxd_device_state(s) != IDXD_DRAINING))) {
        return false;
    }
    /* Only a batch that runs has a member, which is no batch or drain */
    if (e->member.phase == IDXD_TASK_NONE) {
        return true;
    }
    return e->main.phase == IDXD_TASK_RUN &&
           idxd_opcode(&e->main.sub) == IDXD_OP_BATCH &&
           (e->member.phase != IDXD_TASK_RUN ||
            (idxd_opcode(&e->member.sub) != IDXD_OP_BATCH &&
             idxd_opcode(&e->member.sub) != IDXD_OP_DRAIN));
}

static bool idxd_wq_is_valid(IDXDState *s, unsigned n)
{
    const IDXDWQ *q = &s->wqs[n];
    unsigned i;

    if (q->count > q->size || (q->count && q->head >= q->size) ||
        (q->count && idxd_wq_state(s, n) == IDXD_WQ_DISABLED) ||
        q->next_slot >= IDXD_PORTAL_SLOTS) {
        return false;
    }
    for (i = 0; i < IDXD_PORTAL_SLOTS; i++) {
        if (q->slots[i].mask == UINT64_MAX ||
            q->slots[i].offset % IDXD_DESC_SIZE ||
            q->slots[i].offset >= IDXD_PORTALS_PER_WQ << IDXD_PORTAL_SHIFT) {
            return false;
        }
    }
    return true;
}

static bool idxd_work_is_valid(IDXDState *s)
{
    unsigned i;

    for (i = 0; i < s->cfg.wqs; i++) {
        if (!idxd_wq_is_valid(s, i)) {
            return false;
        }
    }
    for (i = 0; i < s->cfg.engines; i++) {
        if (!idxd_engine_is_valid(s, &s->engines[i])) {
            return false;
        }
    }
    for (i = 0; i < s->cfg.groups; i++) {
        if (s->groups[i].wq >= s->cfg.wqs) {
            return false;
        }
    }
    return true;
}

/* WQs work only in an enabled device, whose configuration was checked */
static bool idxd_states_are_valid(IDXDState *s)
{
    unsigned state = idxd_device_state(s);
    unsigned i;

    for (i = 0; i < s->cfg.wqs; i++) {
        if (idxd_wq_state(s, i) > IDXD_WQ_BUSY ||
            (idxd_wq_state(s, i) != IDXD_WQ_DISABLED &&
             state != IDXD_ENABLED && state != IDXD_DRAINING)) {
            return false;
        }
    }
    if ((state == IDXD_ENABLED || state == IDXD_DRAINING) &&
        !idxd_config_sizes_fit(s)) {
        return false;
    }
    return !idxd_cmd_active(s) || idxd_cmd_is_valid(s);
}

static int idxd_pre_save(void *opaque)
{
    idxd_irq_pre_save(opaque);
    return 0;
}

static int idxd_pre_load(void *opaque)
{
    IDXDState *s = opaque;

    memcpy(s->own_regs, s->regs, sizeof(s->own_regs));
    idxd_page_exit(s);
    return 0;
}

static const char *idxd_load_check(IDXDState *s)
{
    unsigned v;

    if (!idxd_states_are_valid(s)) {
        return "device or WQ states that contradict each other";
    }
    if (idxd_device_state(s) == IDXD_ENABLED ||
        idxd_device_state(s) == IDXD_DRAINING) {
        idxd_config_apply(s);
    }
    if (!idxd_work_is_valid(s)) {
        return "an impossible state of the work";
    }
    if (!idxd_handles_rebuild(s)) {
        return "impossible interrupt handles";
    }
    for (v = 0; v < s->nr_vectors; v++) {
        if (s->msixperm[v] & ~PCI_IMS_CTRL_PERMISSION) {
            return "reserved bits in MSIXPERM";
        }
    }
    return NULL;
}

static int idxd_post_load(void *opaque, int version_id)
{
    IDXDState *s = opaque;
    Error *err = NULL;
    const char *problem;

    if (!idxd_regs_check(s, s->own_regs, &err)) {
        error_reportf_err(err, "idxd-ims: ");
        return -EINVAL;
    }
    problem = idxd_load_check(s);
    if (problem) {
        error_report("idxd-ims: the migration stream has %s", problem);
        return -EINVAL;
    }
    s->epoch++;
    idxd_work_kick(s);
    return 0;
}

static const VMStateDescription vmstate_idxd_submission = {
    .name = "idxd-ims/submission",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT8_ARRAY(desc, IDXDSubmission, IDXD_DESC_SIZE),
        VMSTATE_UINT64(seq, IDXDSubmission),
        VMSTATE_UINT32(pasid, IDXDSubmission),
        VMSTATE_BOOL(pasid_en, IDXDSubmission),
        VMSTATE_BOOL(priv, IDXDSubmission),
        VMSTATE_BOOL(ims_portal, IDXDSubmission),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_idxd_task = {
    .name = "idxd-ims/task",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_STRUCT(sub, IDXDTask, 1, vmstate_idxd_submission,
                       IDXDSubmission),
        VMSTATE_UINT8(phase, IDXDTask),
        VMSTATE_UINT32(done, IDXDTask),
        VMSTATE_UINT64(value, IDXDTask),
        VMSTATE_BOOL(irq.valid, IDXDTask),
        VMSTATE_BOOL(irq.ims, IDXDTask),
        VMSTATE_UINT32(irq.entry, IDXDTask),
        VMSTATE_UINT8(outcome.status, IDXDTask),
        VMSTATE_BOOL(outcome.no_cr, IDXDTask),
        VMSTATE_BOOL(outcome.write, IDXDTask),
        VMSTATE_UINT8(outcome.result, IDXDTask),
        VMSTATE_UINT32(outcome.completed, IDXDTask),
        VMSTATE_UINT64(outcome.fault_addr, IDXDTask),
        VMSTATE_UINT64(outcome.value, IDXDTask),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_idxd_engine = {
    .name = "idxd-ims/engine",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(wq, IDXDEngine),
        VMSTATE_STRUCT(main, IDXDEngine, 1, vmstate_idxd_task, IDXDTask),
        VMSTATE_STRUCT(member, IDXDEngine, 1, vmstate_idxd_task, IDXDTask),
        VMSTATE_BOOL(batch_failed, IDXDEngine),
        VMSTATE_BOOL(batch_logged, IDXDEngine),
        VMSTATE_BOOL(batch_log_has_cr, IDXDEngine),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_idxd_slot = {
    .name = "idxd-ims/portal-slot",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT64(mask, IDXDPortalSlot),
        VMSTATE_UINT32(offset, IDXDPortalSlot),
        VMSTATE_UINT8_ARRAY(data, IDXDPortalSlot, IDXD_DESC_SIZE),
        VMSTATE_END_OF_LIST()
    }
};

/* Base and size follow from the configuration */
static const VMStateDescription vmstate_idxd_wq = {
    .name = "idxd-ims/wq",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(head, IDXDWQ),
        VMSTATE_UINT32(count, IDXDWQ),
        VMSTATE_UINT32(credit, IDXDWQ),
        VMSTATE_UINT32(next_slot, IDXDWQ),
        VMSTATE_UINT32(retry, IDXDWQ),
        VMSTATE_STRUCT_ARRAY(slots, IDXDWQ, IDXD_PORTAL_SLOTS, 1,
                             vmstate_idxd_slot, IDXDPortalSlot),
        VMSTATE_END_OF_LIST()
    }
};

static const VMStateDescription vmstate_idxd_group = {
    .name = "idxd-ims/group",
    .version_id = 1,
    .minimum_version_id = 1,
    .fields = (const VMStateField[]) {
        VMSTATE_UINT32(wq, IDXDGroup),
        VMSTATE_END_OF_LIST()
    }
};

static bool idxd_has_ims(void *opaque, int version_id)
{
    IDXDState *s = opaque;

    return s->cfg.ims_entries;
}

const VMStateDescription vmstate_idxd_ims = {
    .name = "idxd-ims",
    .version_id = 1,
    .minimum_version_id = 1,
    .pre_save = idxd_pre_save,
    .pre_load = idxd_pre_load,
    .post_load = idxd_post_load,
    .fields = (const VMStateField[]) {
        VMSTATE_PCI_DEVICE(parent_obj, IDXDState),
        VMSTATE_MSIX(parent_obj, IDXDState),
        VMSTATE_UINT32_EQUAL(cfg.wqs, IDXDState),
        VMSTATE_UINT32_EQUAL(cfg.groups, IDXDState),
        VMSTATE_UINT32_EQUAL(cfg.engines, IDXDState),
        VMSTATE_UINT32_EQUAL(cfg.wq_entries, IDXDState),
        VMSTATE_UINT32_EQUAL(cfg.ims_entries, IDXDState),
        VMSTATE_UINT32_ARRAY(regs, IDXDState, IDXD_NR_REGS),
        VMSTATE_VARRAY_UINT32(msixperm, IDXDState, nr_vectors, 1,
                              vmstate_info_uint32, uint32_t),
        VMSTATE_VARRAY_UINT32(grpcfg, IDXDState, nr_grpcfg, 1,
                              vmstate_info_uint32, uint32_t),
        VMSTATE_VARRAY_UINT32(wqcfg, IDXDState, nr_wqcfg, 1,
                              vmstate_info_uint32, uint32_t),
        VMSTATE_PCI_IMS(msix, IDXDState),
        VMSTATE_STRUCT_TEST(ims, IDXDState, idxd_has_ims, 1, vmstate_pci_ims,
                            PCIIMS),
        VMSTATE_VARRAY_UINT32(handles.of_entry, IDXDState,
                              handles.nr_entries, 1, vmstate_info_uint16,
                              uint16_t),
        VMSTATE_UINT32(handles.cursor, IDXDState),
        VMSTATE_BOOL(handles.requested, IDXDState),
        VMSTATE_UINT32(cmd.value, IDXDState),
        VMSTATE_UINT64(cmd.seq, IDXDState),
        VMSTATE_STRUCT_VARRAY_POINTER_UINT32(wqs, IDXDState, cfg.wqs,
                                             vmstate_idxd_wq, IDXDWQ),
        VMSTATE_STRUCT_VARRAY_POINTER_UINT32(groups, IDXDState, cfg.groups,
                                             vmstate_idxd_group, IDXDGroup),
        VMSTATE_STRUCT_VARRAY_POINTER_UINT32(engines, IDXDState, cfg.engines,
                                             vmstate_idxd_engine, IDXDEngine),
        VMSTATE_STRUCT_VARRAY_POINTER_UINT32(storage, IDXDState,
                                             cfg.wq_entries,
                                             vmstate_idxd_submission,
                                             IDXDSubmission),
        VMSTATE_UINT64(seq, IDXDState),
        VMSTATE_UINT16(prgi, IDXDState),
        VMSTATE_END_OF_LIST()
    }
};
