/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: administrative commands (341204-006, 3.15 and 9.2.12)
 *
 * A command has up to three parts: @start checks it and does what can be done
 * at once; while a descriptor that @waits_for names is in the device, the
 * command stays active; @finish does the rest.  A command that has nothing to
 * wait for is complete when the write to CMD returns.
 */

#include "qemu/osdep.h"
#include "idxd-ims.h"
#include "trace.h"

typedef struct IDXDCommandInfo {
    uint32_t operand;           /* bits that are not reserved */
    bool when_halted;
    uint8_t (*start)(IDXDState *s, uint32_t operand, uint16_t *result);
    IDXDMatch waits_for;
    void (*finish)(IDXDState *s, uint32_t operand);
} IDXDCommandInfo;

static void idxd_set_state(IDXDState *s, unsigned state)
{
    s->regs[R_GENSTS] = FIELD_DP32(0, GENSTS, STATE, state);
    trace_idxd_ims_state(s->parent_obj.name, state);
}

/* Commands 7 to 10: bits 19:16 select 16 WQs, bits 15:0 are a bitmap */
static bool idxd_operand_has_wq(uint32_t operand, unsigned wq)
{
    return extract32(operand, 16, 4) == wq / 16 &&
           extract32(operand, wq % 16, 1);
}

static bool idxd_operand_wqs_exist(IDXDState *s, uint32_t operand)
{
    unsigned wq;

    for (wq = s->cfg.wqs; wq < 256; wq++) {
        if (idxd_operand_has_wq(operand, wq)) {
            return false;
        }
    }
    return true;
}

static uint8_t idxd_operand_wqs_enabled(IDXDState *s, uint32_t operand)
{
    unsigned wq;

    if (!idxd_operand_wqs_exist(s, operand)) {
        return IDXD_CMD_ERR_WQ_INDEX;
    }
    for (wq = 0; wq < s->cfg.wqs; wq++) {
        if (idxd_operand_has_wq(operand, wq) &&
            idxd_wq_state(s, wq) != IDXD_WQ_ENABLED) {
            return IDXD_CMD_ERR_WQ_NOT_ENABLED;
        }
    }
    return IDXD_CMD_OK;
}

/* What was submitted before the command */
static bool idxd_match_earlier(IDXDState *s, unsigned wq,
                               const IDXDSubmission *sub, const void *opaque)
{
    return sub->seq < s->cmd.seq;
}

static bool idxd_match_wqs(IDXDState *s, unsigned wq,
                           const IDXDSubmission *sub, const void *opaque)
{
    return idxd_operand_has_wq(FIELD_EX32(s->cmd.value, CMD, OPERAND), wq) &&
           sub->seq < s->cmd.seq;
}

static bool idxd_match_pasid(IDXDState *s, unsigned wq,
                             const IDXDSubmission *sub, const void *opaque)
{
    return sub->pasid_en && sub->seq < s->cmd.seq &&
           sub->pasid == FIELD_EX32(s->cmd.value, CMD, OPERAND);
}

static void idxd_set_wqs(IDXDState *s, uint32_t operand, unsigned state)
{
    unsigned wq;

    for (wq = 0; wq < s->cfg.wqs; wq++) {
        if (idxd_operand_has_wq(operand, wq)) {
            idxd_config_set_wq_state(s, wq, state);
        }
    }
}

static uint8_t idxd_cmd_enable_device(IDXDState *s, uint32_t operand,
                                      uint16_t *result)
{
    uint8_t error = idxd_config_check_device(s);

    if (error) {
        return error;
    }
    idxd_config_apply(s);
    if (IDXD_REG_FIELD(s, GENCFG, EVL)) {
        s->regs[R_EVLSTATUS_0] = 0;
        s->regs[R_EVLSTATUS_1] = 0;
    }
    idxd_set_state(s, IDXD_ENABLED);
    return IDXD_CMD_OK;
}

static uint8_t idxd_cmd_disable_device(IDXDState *s, uint32_t operand,
                                       uint16_t *result)
{
    unsigned wq;

    if (idxd_device_state(s) != IDXD_ENABLED) {
        return IDXD_CMD_ERR_NOT_ENABLED;
    }
    for (wq = 0; wq < s->cfg.wqs; wq++) {
        if (idxd_wq_state(s, wq) == IDXD_WQ_ENABLED) {
            idxd_config_set_wq_state(s, wq, IDXD_WQ_BUSY);
        }
    }
    idxd_set_state(s, IDXD_DRAINING);
    return IDXD_CMD_OK;
}

static void idxd_cmd_disable_device_end(IDXDState *s, uint32_t operand)
{
    unsigned wq;

    for (wq = 0; wq < s->cfg.wqs; wq++) {
        idxd_config_set_wq_state(s, wq, IDXD_WQ_DISABLED);
    }
    idxd_set_state(s, IDXD_DISABLED);
}

static uint8_t idxd_cmd_ok(IDXDState *s, uint32_t operand, uint16_t *result)
{
    return IDXD_CMD_OK;
}

static uint8_t idxd_cmd_abort_all(IDXDState *s, uint32_t operand,
                                  uint16_t *result)
{
    idxd_work_discard(s, idxd_match_earlier, NULL);
    return IDXD_CMD_OK;
}

static uint8_t idxd_cmd_reset_device(IDXDState *s, uint32_t operand,
                                     uint16_t *result)
{
    uint32_t cmdsts = s->regs[R_CMDSTS];

    idxd_work_reset(s);
    idxd_irq_reset(s, true);
    idxd_regs_reset(s, true);
    idxd_config_reset(s);
    s->regs[R_CMDSTS] = cmdsts;
    trace_idxd_ims_state(s->parent_obj.name, IDXD_DISABLED);
    return IDXD_CMD_OK;
}

static uint8_t idxd_cmd_enable_wq(IDXDState *s, uint32_t operand,
                                  uint16_t *result)
{
    uint8_t error;

    if (operand >= s->cfg.wqs) {
        return IDXD_CMD_ERR_WQ_INDEX;
    }
    error = idxd_config_check_wq(s, operand);
    if (error) {
        return error;
    }
    idxd_config_set_wq_state(s, operand, IDXD_WQ_ENABLED);
    idxd_work_start_wq(s, operand);
    idxd_irq_occupancy(s, operand);
    return IDXD_CMD_OK;
}

static uint8_t idxd_cmd_disable_wq(IDXDState *s, uint32_t operand,
                                   uint16_t *result)
{
    uint8_t error = idxd_operand_wqs_enabled(s, operand);

    if (!error) {
        idxd_set_wqs(s, operand, IDXD_WQ_BUSY);
    }
    return error;
}

static void idxd_cmd_disable_wq_end(IDXDState *s, uint32_t operand)
{
    idxd_set_wqs(s, operand, IDXD_WQ_DISABLED);
}

static uint8_t idxd_cmd_drain_wq(IDXDState *s, uint32_t operand,
                                 uint16_t *result)
{
    return idxd_operand_wqs_enabled(s, operand);
}

static uint8_t idxd_cmd_abort_wq(IDXDState *s, uint32_t operand,
                                 uint16_t *result)
{
    uint8_t error = idxd_operand_wqs_enabled(s, operand);

    if (!error) {
        idxd_work_discard(s, idxd_match_wqs, NULL);
    }
    return error;
}

static uint8_t idxd_cmd_reset_wq(IDXDState *s, uint32_t operand,
                                 uint16_t *result)
{
    unsigned wq;

    if (!idxd_operand_wqs_exist(s, operand)) {
        return IDXD_CMD_ERR_WQ_INDEX;
    }
    idxd_work_discard(s, idxd_match_wqs, NULL);
    for (wq = 0; wq < s->cfg.wqs; wq++) {
        if (idxd_operand_has_wq(operand, wq)) {
            idxd_config_set_wq_state(s, wq, IDXD_WQ_DISABLED);
            idxd_config_reset_wq(s, wq);
        }
    }
    return IDXD_CMD_OK;
}

static uint8_t idxd_cmd_abort_pasid(IDXDState *s, uint32_t operand,
                                    uint16_t *result)
{
    idxd_work_discard(s, idxd_match_pasid, NULL);
    return IDXD_CMD_OK;
}

static uint8_t idxd_cmd_release_handle(IDXDState *s, uint32_t operand,
                                       uint16_t *result)
{
    return idxd_handle_release(s, operand);
}

#define OPERAND_WQS     0xfffff
#define OPERAND_PASID   0xfffff
#define OPERAND_HANDLE  (IDXD_CMD_HANDLE_IMS | IDXD_CMD_HANDLE_INDEX)

/* Table 9-5 */
static const IDXDCommandInfo idxd_commands[IDXD_NR_CMDS] = {
    [IDXD_CMD_ENABLE_DEVICE] = { .start = idxd_cmd_enable_device },
    [IDXD_CMD_DISABLE_DEVICE] = {
        .start = idxd_cmd_disable_device,
        .waits_for = idxd_match_earlier,
        .finish = idxd_cmd_disable_device_end,
    },
    [IDXD_CMD_DRAIN_ALL] = {
        .start = idxd_cmd_ok,
        .waits_for = idxd_match_earlier,
    },
    [IDXD_CMD_ABORT_ALL] = { .start = idxd_cmd_abort_all },
    [IDXD_CMD_RESET_DEVICE] = {
        .start = idxd_cmd_reset_device,
        .when_halted = true,
    },
    [IDXD_CMD_ENABLE_WQ] = { .operand = 0xff, .start = idxd_cmd_enable_wq },
    [IDXD_CMD_DISABLE_WQ] = {
        .operand = OPERAND_WQS,
        .start = idxd_cmd_disable_wq,
        .waits_for = idxd_match_wqs,
        .finish = idxd_cmd_disable_wq_end,
    },
    [IDXD_CMD_DRAIN_WQ] = {
        .operand = OPERAND_WQS,
        .start = idxd_cmd_drain_wq,
        .waits_for = idxd_match_wqs,
    },
    [IDXD_CMD_ABORT_WQ] = {
        .operand = OPERAND_WQS,
        .start = idxd_cmd_abort_wq,
    },
    [IDXD_CMD_RESET_WQ] = {
        .operand = OPERAND_WQS,
        .start = idxd_cmd_reset_wq,
    },
    [IDXD_CMD_DRAIN_PASID] = {
        .operand = OPERAND_PASID,
        .start = idxd_cmd_ok,
        .waits_for = idxd_match_pasid,
    },
    [IDXD_CMD_ABORT_PASID] = {
        .operand = OPERAND_PASID,
        .start = idxd_cmd_abort_pasid,
    },
    [IDXD_CMD_REQUEST_HANDLE] = {
        .operand = OPERAND_HANDLE,
        .start = idxd_handle_request,
    },
    [IDXD_CMD_RELEASE_HANDLE] = {
        .operand = OPERAND_HANDLE,
        .start = idxd_cmd_release_handle,
    },
};

bool idxd_cmd_active(IDXDState *s)
{
    return IDXD_REG_FIELD(s, CMDSTS, ACTIVE);
}

/* After a migration: can the command be one that waits? */
bool idxd_cmd_is_valid(IDXDState *s)
{
    unsigned code = FIELD_EX32(s->cmd.value, CMD, CODE);

    return idxd_has_cmd(s, code) && idxd_commands[code].waits_for;
}

/*
 * The status is final before the interrupt is sent.  The cause is left alone
 * if no interrupt was asked for: nobody expects it then.
 */
static void idxd_cmd_complete(IDXDState *s, uint8_t error, uint16_t result)
{
    uint32_t sts = FIELD_DP32(0, CMDSTS, ERROR, error);

    s->regs[R_CMDSTS] = FIELD_DP32(sts, CMDSTS, RESULT, error ? 0 : result);
    trace_idxd_ims_cmd_done(s->parent_obj.name, s->cmd.value,
                            s->regs[R_CMDSTS]);
    if (FIELD_EX32(s->cmd.value, CMD, INT)) {
        idxd_irq_event(s, R_INTCAUSE_CMD_MASK);
    }
}

static uint8_t idxd_cmd_check(IDXDState *s, uint32_t val)
{
    unsigned code = FIELD_EX32(val, CMD, CODE);

    if (!idxd_has_cmd(s, code)) {
        return IDXD_CMD_ERR_CODE;
    }
    if (FIELD_EX32(val, CMD, RESERVED) ||
        (FIELD_EX32(val, CMD, OPERAND) & ~idxd_commands[code].operand)) {
        return IDXD_CMD_ERR_RESERVED;
    }
    if (idxd_device_state(s) == IDXD_HALTED &&
        !idxd_commands[code].when_halted) {
        return IDXD_CMD_ERR_HALTED;
    }
    return IDXD_CMD_OK;
}

/* To be called when work was done or discarded */
void idxd_cmd_poll(IDXDState *s)
{
    const IDXDCommandInfo *info;

    if (!idxd_cmd_active(s)) {
        return;
    }
    info = &idxd_commands[FIELD_EX32(s->cmd.value, CMD, CODE)];
    if (idxd_device_state(s) == IDXD_HALTED) {
        idxd_cmd_complete(s, IDXD_CMD_ERR_HALTED, 0);
        return;
    }
    if (info->waits_for && idxd_work_pending(s, info->waits_for, NULL)) {
        return;
    }
    if (info->finish) {
        info->finish(s, FIELD_EX32(s->cmd.value, CMD, OPERAND));
    }
    idxd_cmd_complete(s, IDXD_CMD_OK, 0);
}

void idxd_cmd_write(IDXDState *s, uint32_t val)
{
    const IDXDCommandInfo *info;
    uint16_t result = 0;
    uint8_t error;

    if (idxd_cmd_active(s)) {
        idxd_error_report(s, &(IDXDError) { .code = IDXD_ERR_CMD_ACTIVE });
        return;
    }
    trace_idxd_ims_cmd(s->parent_obj.name, FIELD_EX32(val, CMD, CODE),
                       FIELD_EX32(val, CMD, OPERAND));
    s->cmd.value = val;
    s->cmd.seq = s->seq;
    error = idxd_cmd_check(s, val);
    if (error) {
        idxd_cmd_complete(s, error, 0);
        return;
    }
    info = &idxd_commands[FIELD_EX32(val, CMD, CODE)];
    s->regs[R_CMDSTS] = R_CMDSTS_ACTIVE_MASK;
    error = info->start(s, FIELD_EX32(val, CMD, OPERAND), &result);
    if (error || !info->waits_for) {
        idxd_cmd_complete(s, error, result);
    } else {
        idxd_cmd_poll(s);
    }
}
