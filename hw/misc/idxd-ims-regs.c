/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: the registers in BAR0 (341204-006, 9.2)
 *
 * All registers are kept as an image in dwords.  A write of any size becomes
 * one or two writes of a dword with a mask of the bytes written, so that each
 * access rule is stated once.
 */

#include "qemu/osdep.h"
#include "qemu/log.h"
#include "qapi/error.h"
#include "idxd-ims.h"
#include "trace.h"

typedef struct IDXDReg {
    uint32_t rw;                /* writable by software */
    uint32_t w1c;               /* cleared by writing 1 */
    bool disabled_only;         /* writable while the device is Disabled */
    bool evl;                   /* present with an event log only */
    bool keep;                  /* not cleared by Reset Device (table 9-3) */
} IDXDReg;

static const IDXDReg idxd_regs[IDXD_NR_REGS] = {
    [R_GENCFG] = {
        .rw = R_GENCFG_READ_BUFFER_LIMIT_MASK | R_GENCFG_USER_INT_MASK |
              R_GENCFG_EVL_MASK,
        .disabled_only = true,
    },
    [R_GENCTRL] = {
        .rw = R_GENCTRL_SWERR_INT_MASK | R_GENCTRL_HALT_INT_MASK |
              R_GENCTRL_EVL_INT_MASK,
    },
    [R_GENSTS] = { },
    [R_INTCAUSE] = {
        .w1c = R_INTCAUSE_SWERR_MASK | R_INTCAUSE_CMD_MASK |
               R_INTCAUSE_OCCUPANCY_MASK | R_INTCAUSE_PERFMON_MASK |
               R_INTCAUSE_HALT_MASK | R_INTCAUSE_EVL_MASK |
               R_INTCAUSE_REVOKED_MASK,
    },
    [R_CMDSTS] = { .keep = true },
    [R_SWERROR_0] = {
        .w1c = R_SWERROR_0_VALID_MASK | R_SWERROR_0_OVERFLOW_MASK,
        .keep = true,
    },
    [R_SWERROR_1] = { .keep = true },
    [R_SWERROR_2] = { .keep = true },
    [R_SWERROR_3] = { .keep = true },
    [R_SWERROR_4] = { .keep = true },
    [R_SWERROR_5] = { .keep = true },
    [R_EVLCFG_0] = {
        .rw = R_EVLCFG_0_PASID_EN_MASK | R_EVLCFG_0_PRIV_MASK |
              R_EVLCFG_0_BASE_MASK,
        .disabled_only = true, .evl = true,
    },
    [R_EVLCFG_1] = { .rw = UINT32_MAX, .disabled_only = true, .evl = true },
    [R_EVLCFG_2] = { .rw = UINT32_MAX, .disabled_only = true, .evl = true },
    [R_EVLCFG_3] = {
        .rw = R_EVLCFG_3_PASID_HI_MASK, .disabled_only = true, .evl = true,
    },
    [R_EVLSTATUS_0] = {
        .rw = R_EVLSTATUS_0_HEAD_MASK, .evl = true, .keep = true,
    },
    [R_EVLSTATUS_1] = {
        .w1c = R_EVLSTATUS_1_INT_PENDING_MASK, .evl = true, .keep = true,
    },
};

/* 9.2.8: without configuration support only the event log can be switched */
static uint32_t idxd_reg_rw(IDXDState *s, unsigned reg)
{
    uint32_t rw = idxd_regs[reg].rw;

    if (idxd_regs[reg].disabled_only &&
        idxd_device_state(s) != IDXD_DISABLED) {
        return 0;
    }
    if (idxd_regs[reg].evl && !s->cfg.evl) {
        return 0;
    }
    if (reg == R_GENCFG && !s->cfg.configurable) {
        rw &= R_GENCFG_EVL_MASK;
    }
    if (!s->cfg.evl && reg == R_GENCFG) {
        rw &= ~R_GENCFG_EVL_MASK;
    }
    if (!s->cfg.evl && reg == R_GENCTRL) {
        rw &= ~R_GENCTRL_EVL_INT_MASK;
    }
    return rw;
}

static void idxd_reg_write(IDXDState *s, unsigned reg, uint32_t val,
                           uint32_t mask)
{
    uint32_t rw = idxd_reg_rw(s, reg) & mask;

    if (reg == R_CMD) {
        /* A command is one write of 32 bits; there is nothing to merge */
        if (mask == UINT32_MAX) {
            idxd_cmd_write(s, val);
        }
        return;
    }
    s->regs[reg] &= ~(val & mask & idxd_regs[reg].w1c);
    s->regs[reg] = (s->regs[reg] & ~rw) | (val & rw);
    if (reg == R_EVLSTATUS_0) {
        /* There may be room again for an event that an engine waits with */
        idxd_work_kick(s);
    }
}

static void idxd_msixperm_access(IDXDState *s, hwaddr addr, uint32_t val,
                                 uint32_t mask)
{
    unsigned vector = addr / IDXD_MSIXPERM_STRIDE;

    if (vector < s->nr_vectors && !(addr % IDXD_MSIXPERM_STRIDE)) {
        mask &= PCI_IMS_CTRL_PERMISSION;
        idxd_msixperm_write(s, vector,
                            (s->msixperm[vector] & ~mask) | (val & mask));
    }
}

static void idxd_write_dword(IDXDState *s, hwaddr addr, uint32_t val,
                             uint32_t mask)
{
    if (addr < IDXD_NR_REGS * 4) {
        idxd_reg_write(s, addr / 4, val, mask);
    } else if (addr >= IDXD_BAR0_GRPCFG) {
        idxd_config_write(s, addr, val, mask);
    } else if (addr >= IDXD_BAR0_MSIXPERM) {
        idxd_msixperm_access(s, addr - IDXD_BAR0_MSIXPERM, val, mask);
    }
}

static uint32_t idxd_read_dword(IDXDState *s, hwaddr addr)
{
    hwaddr off = addr - IDXD_BAR0_MSIXPERM;

    if (addr < IDXD_NR_REGS * 4) {
        return s->regs[addr / 4];
    }
    if (addr >= IDXD_BAR0_GRPCFG) {
        return idxd_config_read(s, addr);
    }
    if (addr >= IDXD_BAR0_MSIXPERM && !(off % IDXD_MSIXPERM_STRIDE) &&
        off / IDXD_MSIXPERM_STRIDE < s->nr_vectors) {
        return s->msixperm[off / IDXD_MSIXPERM_STRIDE];
    }
    return 0;
}

static uint64_t idxd_regs_read(void *opaque, hwaddr addr, unsigned size)
{
    IDXDState *s = opaque;
    uint64_t val = idxd_read_dword(s, addr & ~3ull);

    if (size == 8) {
        val |= (uint64_t)idxd_read_dword(s, addr + 4) << 32;
    } else {
        val = extract64(val, (addr & 3) * 8, size * 8);
    }
    trace_idxd_ims_reg_read(s->parent_obj.name, addr, val, size);
    return val;
}

static void idxd_regs_write(void *opaque, hwaddr addr, uint64_t val,
                            unsigned size)
{
    IDXDState *s = opaque;
    unsigned shift = (addr & 3) * 8;

    trace_idxd_ims_reg_write(s->parent_obj.name, addr, val, size);
    if (size == 8) {
        idxd_write_dword(s, addr, val, UINT32_MAX);
        idxd_write_dword(s, addr + 4, val >> 32, UINT32_MAX);
    } else {
        idxd_write_dword(s, addr & ~3ull, val << shift,
                         MAKE_64BIT_MASK(shift, size * 8));
    }
}

const MemoryRegionOps idxd_regs_ops = {
    .read = idxd_regs_read,
    .write = idxd_regs_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = { .min_access_size = 1, .max_access_size = 8 },
    .impl = { .min_access_size = 1, .max_access_size = 8 },
};

static void idxd_regs_init_gencap(IDXDState *s)
{
    uint32_t cap = 0;

    cap = FIELD_DP32(cap, GENCAP_LO, BLOCK_ON_FAULT, s->cfg.pri);
    cap = FIELD_DP32(cap, GENCAP_LO, OVERLAP_COPY, 1);
    cap = FIELD_DP32(cap, GENCAP_LO, CACHE_CONTROL, 1);
    cap = FIELD_DP32(cap, GENCAP_LO, CMDCAP, s->cfg.cmdcap);
    cap = FIELD_DP32(cap, GENCAP_LO, DEST_READBACK, 1);
    cap = FIELD_DP32(cap, GENCAP_LO, EVL, s->cfg.evl);
    cap = FIELD_DP32(cap, GENCAP_LO, MAX_XFER, s->cfg.max_xfer_shift);
    cap = FIELD_DP32(cap, GENCAP_LO, MAX_BATCH, s->cfg.max_batch_shift);
    cap = FIELD_DP32(cap, GENCAP_LO, IMS_SIZE,
                     s->cfg.ims_entries / IDXD_IMS_UNIT);
    cap = FIELD_DP32(cap, GENCAP_LO, CONFIG, s->cfg.configurable);
    s->regs[R_GENCAP_LO] = cap;
}

static void idxd_regs_init_wqcap(IDXDState *s)
{
    uint32_t lo = 0, hi = 0;

    lo = FIELD_DP32(lo, WQCAP_LO, TOTAL_SIZE, s->cfg.wq_entries);
    lo = FIELD_DP32(lo, WQCAP_LO, WQS, s->cfg.wqs);
    lo = FIELD_DP32(lo, WQCAP_LO, WQCFG_SIZE, IDXD_WQCFG_SIZE);
    hi = FIELD_DP32(hi, WQCAP_HI, SHARED, s->cfg.pasid);
    hi = FIELD_DP32(hi, WQCAP_HI, DEDICATED, 1);
    hi = FIELD_DP32(hi, WQCAP_HI, ATS, s->cfg.ats);
    hi = FIELD_DP32(hi, WQCAP_HI, PRIORITY, 1);
    hi = FIELD_DP32(hi, WQCAP_HI, OCCUPANCY, 1);
    hi = FIELD_DP32(hi, WQCAP_HI, OCCUPANCY_INT, 1);
    hi = FIELD_DP32(hi, WQCAP_HI, OPCFG, 1);
    s->regs[R_WQCAP_LO] = lo;
    s->regs[R_WQCAP_HI] = hi;
}

static void idxd_regs_init_offsets(IDXDState *s)
{
    uint32_t lo = 0, hi = 0;

    lo = FIELD_DP32(lo, OFFSETS_0, GRPCFG,
                    IDXD_BAR0_GRPCFG / IDXD_OFFSETS_UNIT);
    lo = FIELD_DP32(lo, OFFSETS_0, WQCFG, IDXD_BAR0_WQCFG / IDXD_OFFSETS_UNIT);
    hi = FIELD_DP32(hi, OFFSETS_1, MSIXPERM,
                    IDXD_BAR0_MSIXPERM / IDXD_OFFSETS_UNIT);
    if (s->cfg.ims_entries) {
        hi = FIELD_DP32(hi, OFFSETS_1, IMS,
                        IDXD_BAR0_IMS / IDXD_OFFSETS_UNIT);
    }
    s->regs[R_OFFSETS_0] = lo;
    s->regs[R_OFFSETS_1] = hi;
}

/* Capabilities; what is not mentioned is not present and reads as 0 */
void idxd_regs_init(IDXDState *s)
{
    uint32_t grpcap = 0;

    memset(s->regs, 0, sizeof(s->regs));
    s->regs[R_VERSION] = IDXD_VERSION_1_0;
    idxd_regs_init_gencap(s);
    idxd_regs_init_wqcap(s);
    grpcap = FIELD_DP32(grpcap, GRPCAP, GROUPS, s->cfg.groups);
    grpcap = FIELD_DP32(grpcap, GRPCAP, READ_BUFFERS, s->read_buffers);
    grpcap = FIELD_DP32(grpcap, GRPCAP, READ_BUFFER_CTL, 1);
    grpcap = FIELD_DP32(grpcap, GRPCAP, GLOBAL_LIMIT, 1);
    s->regs[R_GRPCAP] = grpcap;
    s->regs[R_ENGCAP] = s->cfg.engines;
    idxd_ops_caps(&s->regs[R_OPCAP]);
    idxd_regs_init_offsets(s);
    if (s->cfg.cmdcap) {
        s->regs[R_CMDCAP] = IDXD_CMDCAP_DEFAULT | IDXD_CMDCAP_HANDLES;
    }
}

static bool idxd_reg_is_state(unsigned reg)
{
    return idxd_regs[reg].rw || idxd_regs[reg].w1c || idxd_regs[reg].keep ||
           reg == R_GENSTS;
}

/* Table 9-3: initial values.  @software: by the Reset Device command */
void idxd_regs_reset(IDXDState *s, bool software)
{
    unsigned reg;

    for (reg = R_GENCFG; reg < IDXD_NR_REGS; reg++) {
        if (idxd_reg_is_state(reg) && !(software && idxd_regs[reg].keep)) {
            s->regs[reg] = 0;
        }
    }
    s->regs[R_GENCFG] = FIELD_DP32(0, GENCFG, READ_BUFFER_LIMIT,
                                   s->read_buffers);
}

/* Bits that a register can have in a migration stream */
static uint32_t idxd_reg_valid_bits(unsigned reg)
{
    switch (reg) {
    case R_GENSTS:
        return R_GENSTS_STATE_MASK | R_GENSTS_RESET_TYPE_MASK;
    case R_CMDSTS:
        return R_CMDSTS_ERROR_MASK | R_CMDSTS_RESULT_MASK |
               R_CMDSTS_ACTIVE_MASK;
    case R_EVLSTATUS_1:
        return R_EVLSTATUS_1_TAIL_MASK | R_EVLSTATUS_1_INT_PENDING_MASK;
    case R_SWERROR_0 ... R_SWERROR_5:
        return UINT32_MAX;
    default:
        return idxd_regs[reg].rw | idxd_regs[reg].w1c;
    }
}

/*
 * After a migration: the registers have to be an image of this device, whose
 * own registers were @own
 */
bool idxd_regs_check(IDXDState *s, const uint32_t *own, Error **errp)
{
    unsigned reg;

    for (reg = 0; reg < IDXD_NR_REGS; reg++) {
        uint32_t bits = idxd_reg_is_state(reg) ?
                        idxd_reg_valid_bits(reg) : 0;

        if ((s->regs[reg] ^ own[reg]) & ~bits) {
            error_setg(errp, "register 0x%x has the value 0x%" PRIx32
                       ", which this device cannot have", reg * 4,
                       s->regs[reg]);
            return false;
        }
    }
    return true;
}
