/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: configuration of groups and work queues, and the checks that
 * Enable Device and Enable WQ make (341204-006, 5.1, 5.2, 9.2.23, 9.2.24)
 */

#include "qemu/osdep.h"
#include "qemu/cutils.h"
#include "qemu/host-utils.h"
#include "idxd-ims.h"
#include "trace.h"

/* Limits of a preconfigured WQ; what Linux asks for by default is less */
#define IDXD_FIXED_PRIORITY     10

static uint32_t *idxd_grpcfg(IDXDState *s, unsigned group)
{
    return &s->grpcfg[group * IDXD_GRPCFG_DWORDS];
}

static uint64_t idxd_grp_engines(IDXDState *s, unsigned group)
{
    const uint32_t *cfg = idxd_grpcfg(s, group);

    return cfg[IDXD_GRP_ENGINES] | (uint64_t)cfg[IDXD_GRP_ENGINES + 1] << 32;
}

static bool idxd_grp_has_wq(IDXDState *s, unsigned group, unsigned wq)
{
    return extract32(idxd_grpcfg(s, group)[wq / 32], wq % 32, 1);
}

static bool idxd_grp_has_wqs(IDXDState *s, unsigned group)
{
    return !buffer_is_zero(idxd_grpcfg(s, group), IDXD_GRP_ENGINES * 4);
}

static uint32_t idxd_grp_flags(IDXDState *s, unsigned group)
{
    return idxd_grpcfg(s, group)[IDXD_GRP_FLAGS];
}

static uint32_t idxd_wq_size(IDXDState *s, unsigned wq)
{
    return IDXD_WQ_FIELD(s, wq, WQ_SIZE, SIZE);
}

/* 9.2.23: writable bits of a dword of GRPCFG while the device is Disabled */
static uint32_t idxd_grpcfg_rw(unsigned dword)
{
    if (dword < IDXD_GRP_FLAGS) {
        return UINT32_MAX;
    }
    if (dword == IDXD_GRP_FLAGS) {
        return R_GRPFLAGS_TC_A_MASK | R_GRPFLAGS_TC_B_MASK |
               R_GRPFLAGS_USE_LIMIT_MASK | R_GRPFLAGS_RESERVED_MASK |
               R_GRPFLAGS_ALLOWED_MASK;
    }
    return 0;
}

/* Table 9-7: rights to a field of WQCFG */
typedef struct IDXDWQRights {
    uint32_t dev_disabled;      /* while the device is Disabled */
    uint32_t wq_disabled;       /* while the WQ is Disabled */
    uint32_t always;
    uint32_t mode_support;      /* of these: with a fixed configuration too */
} IDXDWQRights;

#define WQ_IDENTITY (R_WQ_MODE_DEDICATED_MASK | R_WQ_MODE_PRIV_MASK | \
                     R_WQ_MODE_PASID_MASK | R_WQ_MODE_PASID_EN_MASK)

static const IDXDWQRights idxd_wq_rights[IDXD_WQ_OPCFG] = {
    [R_WQ_SIZE] = { .dev_disabled = R_WQ_SIZE_SIZE_MASK },
    [R_WQ_THRESHOLD] = {
        .always = R_WQ_THRESHOLD_THRESHOLD_MASK,
        .mode_support = R_WQ_THRESHOLD_THRESHOLD_MASK,
    },
    [R_WQ_MODE] = {
        .wq_disabled = WQ_IDENTITY | R_WQ_MODE_PRIORITY_MASK |
                       R_WQ_MODE_BLOCK_ON_FAULT_MASK |
                       R_WQ_MODE_ATS_DISABLE_MASK |
                       R_WQ_MODE_PRS_DISABLE_MASK,
        .mode_support = WQ_IDENTITY,
    },
    [R_WQ_LIMITS] = {
        .wq_disabled = R_WQ_LIMITS_MAX_XFER_MASK | R_WQ_LIMITS_MAX_BATCH_MASK,
    },
    [R_WQ_OCC_INT] = {
        .wq_disabled = R_WQ_OCC_INT_HANDLE_MASK | R_WQ_OCC_INT_IMS_MASK,
        .mode_support = UINT32_MAX,
    },
    [R_WQ_OCC_LIMIT] = {
        .always = R_WQ_OCC_LIMIT_LIMIT_MASK | R_WQ_OCC_LIMIT_ENABLE_MASK,
        .mode_support = UINT32_MAX,
    },
};

static uint32_t idxd_wqcfg_rw(IDXDState *s, unsigned wq, unsigned dword)
{
    IDXDWQRights r = { .wq_disabled = UINT32_MAX };
    uint32_t rw;

    if (dword < IDXD_WQ_OPCFG) {
        r = idxd_wq_rights[dword];
    }
    rw = r.always;
    if (idxd_device_state(s) == IDXD_DISABLED) {
        rw |= r.dev_disabled;
    }
    if (idxd_wq_state(s, wq) == IDXD_WQ_DISABLED) {
        rw |= r.wq_disabled;
    }
    if (dword == R_WQ_OCC_LIMIT && IDXD_WQ_FIELD(s, wq, WQ_OCC_LIMIT, ENABLE)) {
        rw &= ~R_WQ_OCC_LIMIT_LIMIT_MASK;
    }
    if (!s->cfg.configurable) {
        rw &= IDXD_WQ_FIELD(s, wq, WQ_STATUS, MODE_SUPPORT) ? r.mode_support
                                                            : 0;
    }
    return rw;
}

static void idxd_wqcfg_write(IDXDState *s, unsigned wq, unsigned dword,
                             uint32_t val, uint32_t mask)
{
    uint32_t *reg = &s->wqcfg[wq * IDXD_WQCFG_DWORDS + dword];
    uint32_t rw = idxd_wqcfg_rw(s, wq, dword) & mask;

    *reg = (*reg & ~rw) | (val & rw);
    if (dword == R_WQ_STATUS) {
        *reg &= ~(val & mask & R_WQ_STATUS_OCC_GENERATED_MASK);
    }
    if (dword == R_WQ_STATUS || dword == R_WQ_OCC_LIMIT) {
        idxd_irq_occupancy(s, wq);
    }
}

void idxd_config_write(IDXDState *s, hwaddr addr, uint32_t val, uint32_t mask)
{
    uint32_t dword;

    if (addr >= IDXD_BAR0_WQCFG) {
        dword = (addr - IDXD_BAR0_WQCFG) / 4;
        if (dword < s->nr_wqcfg) {
            idxd_wqcfg_write(s, dword / IDXD_WQCFG_DWORDS,
                             dword % IDXD_WQCFG_DWORDS, val, mask);
        }
        return;
    }
    dword = (addr - IDXD_BAR0_GRPCFG) / 4;
    if (dword < s->nr_grpcfg && s->cfg.configurable &&
        idxd_device_state(s) == IDXD_DISABLED) {
        mask &= idxd_grpcfg_rw(dword % IDXD_GRPCFG_DWORDS);
        s->grpcfg[dword] = (s->grpcfg[dword] & ~mask) | (val & mask);
    }
}

uint32_t idxd_config_read(IDXDState *s, hwaddr addr)
{
    uint32_t dword;

    if (addr < IDXD_BAR0_WQCFG) {
        dword = (addr - IDXD_BAR0_GRPCFG) / 4;
        return dword < s->nr_grpcfg ? s->grpcfg[dword] : 0;
    }
    dword = (addr - IDXD_BAR0_WQCFG) / 4;
    if (dword >= s->nr_wqcfg) {
        return 0;
    }
    if (dword % IDXD_WQCFG_DWORDS == R_WQ_STATUS) {
        return FIELD_DP32(s->wqcfg[dword], WQ_STATUS, OCCUPANCY,
                          s->wqs[dword / IDXD_WQCFG_DWORDS].count);
    }
    return s->wqcfg[dword];
}

void idxd_config_set_wq_state(IDXDState *s, unsigned wq, unsigned state)
{
    uint32_t *reg = idxd_wqcfg(s, wq, A_WQ_STATUS);

    if (FIELD_EX32(*reg, WQ_STATUS, STATE) != state) {
        trace_idxd_ims_wq_state(s->parent_obj.name, wq, state);
    }
    *reg = FIELD_DP32(*reg, WQ_STATUS, STATE, state);
}

/* GENCAP.31 = 0: the configuration that the device was built with */
static void idxd_config_fixed_wq(IDXDState *s, unsigned wq)
{
    uint32_t mode = 0, limits = 0;

    mode = FIELD_DP32(mode, WQ_MODE, DEDICATED, 1);
    mode = FIELD_DP32(mode, WQ_MODE, PRIORITY, IDXD_FIXED_PRIORITY);
    limits = FIELD_DP32(limits, WQ_LIMITS, MAX_XFER, s->cfg.max_xfer_shift);
    limits = FIELD_DP32(limits, WQ_LIMITS, MAX_BATCH, s->cfg.max_batch_shift);
    *idxd_wqcfg(s, wq, A_WQ_SIZE) = s->cfg.wq_entries / s->cfg.wqs;
    *idxd_wqcfg(s, wq, A_WQ_MODE) = mode;
    *idxd_wqcfg(s, wq, A_WQ_LIMITS) = limits;
    *idxd_wqcfg(s, wq, A_WQ_STATUS) = FIELD_DP32(0, WQ_STATUS, MODE_SUPPORT,
                                                 s->cfg.pasid);
}

/* 3.15, Reset WQ: all but the size */
void idxd_config_reset_wq(IDXDState *s, unsigned wq)
{
    uint32_t size = *idxd_wqcfg(s, wq, A_WQ_SIZE);
    uint32_t *cfg = &s->wqcfg[wq * IDXD_WQCFG_DWORDS];

    memset(cfg, 0, IDXD_WQCFG_DWORDS * sizeof(*cfg));
    memcpy(cfg + IDXD_WQ_OPCFG, &s->regs[R_OPCAP], 8 * sizeof(*cfg));
    cfg[R_WQ_SIZE] = size;
    if (!s->cfg.configurable) {
        idxd_config_fixed_wq(s, wq);
    }
}

void idxd_config_reset(IDXDState *s)
{
    unsigned i;

    memset(s->grpcfg, 0, s->nr_grpcfg * sizeof(*s->grpcfg));
    memset(s->wqcfg, 0, s->nr_wqcfg * sizeof(*s->wqcfg));
    for (i = 0; i < s->cfg.groups; i++) {
        idxd_grpcfg(s, i)[IDXD_GRP_FLAGS] = FIELD_DP32(0, GRPFLAGS, ALLOWED,
                                                       s->read_buffers);
    }
    for (i = 0; i < s->cfg.wqs; i++) {
        idxd_config_reset_wq(s, i);
        if (!s->cfg.configurable) {
            idxd_grpcfg(s, 0)[i / 32] |= BIT(i % 32);
        }
    }
    if (!s->cfg.configurable) {
        uint64_t engines = MAKE_64BIT_MASK(0, s->cfg.engines);

        idxd_grpcfg(s, 0)[IDXD_GRP_ENGINES] = engines;
        idxd_grpcfg(s, 0)[IDXD_GRP_ENGINES + 1] = engines >> 32;
    }
}

bool idxd_config_sizes_fit(IDXDState *s)
{
    uint32_t sum = 0;
    unsigned i;

    for (i = 0; i < s->cfg.wqs; i++) {
        sum += idxd_wq_size(s, i);
    }
    return sum <= s->cfg.wq_entries;
}

static bool idxd_group_incomplete(IDXDState *s)
{
    unsigned i;

    for (i = 0; i < s->cfg.groups; i++) {
        if (idxd_grp_has_wqs(s, i) != !!idxd_grp_engines(s, i)) {
            return true;
        }
    }
    return false;
}

static bool idxd_group_wqs_bad(IDXDState *s)
{
    unsigned groups, i, wq;

    for (wq = 0; wq < IDXD_GRP_ENGINES * 32; wq++) {
        groups = 0;
        for (i = 0; i < s->cfg.groups; i++) {
            groups += idxd_grp_has_wq(s, i, wq);
        }
        if (groups != (wq < s->cfg.wqs && idxd_wq_size(s, wq) ? 1 : 0)) {
            return true;
        }
    }
    return false;
}

static bool idxd_group_engines_bad(IDXDState *s)
{
    uint64_t seen = 0;
    unsigned i;

    for (i = 0; i < s->cfg.groups; i++) {
        uint64_t engines = idxd_grp_engines(s, i);

        if (engines & (seen | ~MAKE_64BIT_MASK(0, s->cfg.engines))) {
            return true;
        }
        seen |= engines;
    }
    return false;
}

/* 5.1, the rules about read buffers */
static bool idxd_read_buffers_bad(IDXDState *s)
{
    uint32_t limit = IDXD_REG_FIELD(s, GENCFG, READ_BUFFER_LIMIT);
    uint32_t total = s->read_buffers;
    uint32_t reserved = 0, limited = 0;
    unsigned i;

    for (i = 0; i < s->cfg.groups; i++) {
        uint32_t flags = idxd_grp_flags(s, i);
        unsigned engines = ctpop64(idxd_grp_engines(s, i));

        reserved += engines ? FIELD_EX32(flags, GRPFLAGS, RESERVED) : 0;
        limited += FIELD_EX32(flags, GRPFLAGS, USE_LIMIT) ? engines : 0;
    }
    if (limit > total || reserved > total || (limited && limit < 4 * limited)) {
        return true;
    }
    for (i = 0; i < s->cfg.groups; i++) {
        uint32_t own = FIELD_EX32(idxd_grp_flags(s, i), GRPFLAGS, RESERVED);
        uint32_t allowed = FIELD_EX32(idxd_grp_flags(s, i), GRPFLAGS, ALLOWED);
        unsigned engines = ctpop64(idxd_grp_engines(s, i));

        if (engines && (allowed < 4 * engines || allowed < own ||
                        allowed > own + total - reserved)) {
            return true;
        }
    }
    return false;
}

static bool idxd_evl_bad(IDXDState *s)
{
    uint64_t base = (uint64_t)s->regs[R_EVLCFG_1] << 32 |
                    (s->regs[R_EVLCFG_0] & R_EVLCFG_0_BASE_MASK);
    uint64_t bytes = IDXD_REG_FIELD(s, EVLCFG_2, SIZE) * IDXD_EVL_ENTRY_SIZE;

    if (!IDXD_REG_FIELD(s, GENCFG, EVL)) {
        return false;
    }
    return bytes < IDXD_EVL_MIN_ENTRIES * IDXD_EVL_ENTRY_SIZE ||
           base > UINT64_MAX - (bytes - 1);
}

static bool idxd_evl_pasid_bad(IDXDState *s)
{
    bool pasid = IDXD_REG_FIELD(s, EVLCFG_0, PASID_EN);
    bool priv = IDXD_REG_FIELD(s, EVLCFG_0, PRIV);

    return (pasid && !idxd_pasid_enabled(s)) ||
           (priv && (!pasid || !idxd_priv_enabled(s)));
}

static bool idxd_prs_alloc_bad(IDXDState *s)
{
    PCIDevice *pdev = &s->parent_obj;
    uint32_t max;

    if (!pcie_pri_enabled(pdev)) {
        return false;
    }
    max = pci_get_long(pdev->config + pdev->exp.pri_cap + PCI_PRI_MAX_REQ);
    return pcie_pri_get_req_alloc(pdev) == 0 ||
           pcie_pri_get_req_alloc(pdev) > max;
}

static bool idxd_not_bus_master(IDXDState *s)
{
    return !idxd_bus_master(s);
}

static bool idxd_wq_sizes_bad(IDXDState *s)
{
    return !idxd_config_sizes_fit(s);
}

static bool idxd_not_disabled(IDXDState *s)
{
    return idxd_device_state(s) != IDXD_DISABLED;
}

/* 5.1; the specification allows any order and reports the first failure */
static const struct {
    bool (*bad)(IDXDState *s);
    uint8_t error;
} idxd_device_checks[] = {
    { idxd_not_disabled, IDXD_CMD_ERR_DEV_STATE },
    { idxd_not_bus_master, IDXD_CMD_ERR_BME },
    { idxd_prs_alloc_bad, IDXD_CMD_ERR_PRS_ALLOC },
    { idxd_wq_sizes_bad, IDXD_CMD_ERR_WQ_SIZES },
    { idxd_group_incomplete, IDXD_CMD_ERR_GROUP },
    { idxd_group_wqs_bad, IDXD_CMD_ERR_GROUP_WQ },
    { idxd_group_engines_bad, IDXD_CMD_ERR_GROUP_ENGINE },
    { idxd_read_buffers_bad, IDXD_CMD_ERR_READ_BUFFERS },
    { idxd_evl_bad, IDXD_CMD_ERR_EVL },
    { idxd_evl_pasid_bad, IDXD_CMD_ERR_PASID },
};

uint8_t idxd_config_check_device(IDXDState *s)
{
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(idxd_device_checks); i++) {
        if (idxd_device_checks[i].bad(s)) {
            return idxd_device_checks[i].error;
        }
    }
    return IDXD_CMD_OK;
}

/*
 * 5.2.  The occupancy interrupt is looked at only if it is enabled: a driver
 * that does not use it leaves the handle at 0, which no Request Interrupt
 * Handle returns.
 */
static bool idxd_occupancy_int_bad(IDXDState *s, unsigned wq)
{
    bool ims = IDXD_WQ_FIELD(s, wq, WQ_OCC_INT, IMS);
    uint32_t entry;

    if (ims && !s->cfg.ims_entries) {
        return true;
    }
    return IDXD_WQ_FIELD(s, wq, WQ_OCC_LIMIT, ENABLE) &&
           !idxd_irq_resolve(s, ims, IDXD_WQ_FIELD(s, wq, WQ_OCC_INT, HANDLE),
                             &entry);
}

static bool idxd_wq_opcfg_bad(IDXDState *s, unsigned wq)
{
    const uint32_t *opcfg = &s->wqcfg[wq * IDXD_WQCFG_DWORDS + IDXD_WQ_OPCFG];
    unsigned i;

    for (i = 0; i < 8; i++) {
        if (opcfg[i] & ~s->regs[R_OPCAP + i]) {
            return true;
        }
    }
    return false;
}

uint8_t idxd_config_check_wq(IDXDState *s, unsigned wq)
{
    bool dedicated = idxd_wq_dedicated(s, wq);
    bool pasid = IDXD_WQ_FIELD(s, wq, WQ_MODE, PASID_EN);
    bool bof = IDXD_WQ_FIELD(s, wq, WQ_MODE, BLOCK_ON_FAULT);
    uint32_t batch = IDXD_WQ_FIELD(s, wq, WQ_LIMITS, MAX_BATCH);
    const struct {
        bool bad;
        uint8_t error;
    } checks[] = {
        { idxd_device_state(s) != IDXD_ENABLED, IDXD_CMD_ERR_WQ_DEV_STATE },
        { idxd_wq_state(s, wq) != IDXD_WQ_DISABLED, IDXD_CMD_ERR_WQ_STATE },
        { !idxd_wq_size(s, wq), IDXD_CMD_ERR_WQ_SIZE },
        { !IDXD_WQ_FIELD(s, wq, WQ_MODE, PRIORITY), IDXD_CMD_ERR_WQ_PRIORITY },
        { !dedicated && !s->cfg.pasid, IDXD_CMD_ERR_WQ_MODE },
        { bof && !pcie_pri_enabled(&s->parent_obj), IDXD_CMD_ERR_WQ_BOF },
        { !dedicated && !pasid, IDXD_CMD_ERR_WQ_PASID },
        { pasid && !idxd_pasid_enabled(s), IDXD_CMD_ERR_WQ_PASID },
        { !batch || batch > s->cfg.max_batch_shift, IDXD_CMD_ERR_WQ_BATCH },
        { IDXD_WQ_FIELD(s, wq, WQ_LIMITS, MAX_XFER) > s->cfg.max_xfer_shift,
          IDXD_CMD_ERR_WQ_XFER },
        { dedicated && pasid && !idxd_priv_enabled(s) &&
          IDXD_WQ_FIELD(s, wq, WQ_MODE, PRIV), IDXD_CMD_ERR_WQ_PRIV },
        { idxd_occupancy_int_bad(s, wq), IDXD_CMD_ERR_WQ_OCC_INT },
        { !s->cfg.ats && IDXD_WQ_FIELD(s, wq, WQ_MODE, ATS_DISABLE),
          IDXD_CMD_ERR_WQ_ATS },
        { idxd_wq_opcfg_bad(s, wq), IDXD_CMD_ERR_WQ_OPCFG },
        { IDXD_WQ_FIELD(s, wq, WQ_MODE, PRS_DISABLE), IDXD_CMD_ERR_WQ_PRS },
    };
    unsigned i;

    for (i = 0; i < ARRAY_SIZE(checks); i++) {
        if (checks[i].bad) {
            return checks[i].error;
        }
    }
    return IDXD_CMD_OK;
}

/*
 * Give each WQ its part of the storage and each engine its group.  Sizes and
 * groups do not change while the device is not Disabled.
 */
void idxd_config_apply(IDXDState *s)
{
    uint32_t base = 0;
    unsigned i, e;

    for (i = 0; i < s->cfg.wqs; i++) {
        s->wqs[i].base = base;
        s->wqs[i].size = idxd_wq_size(s, i);
        base += s->wqs[i].size;
    }
    for (e = 0; e < s->cfg.engines; e++) {
        s->engines[e].group = -1;
        for (i = 0; i < s->cfg.groups; i++) {
            if (extract64(idxd_grp_engines(s, i), e, 1)) {
                s->engines[e].group = i;
            }
        }
    }
}
