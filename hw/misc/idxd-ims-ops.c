/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: what descriptors are checked for, and how they run in slices
 * (341204-006, 5.4, 5.5 and chapter 8)
 */

#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "idxd-ims-ops.h"

/* Descriptor bytes @first to @last, as a mask with a bit per byte */
#define BYTES(first, last) MAKE_64BIT_MASK(first, (last) - (first) + 1)

/* Flags that a descriptor of any type may have (table 8-3) */
#define FLAGS_COMMON (IDXD_FLAG_FENCE | IDXD_FLAG_CRAV | IDXD_FLAG_RCR | \
                      IDXD_FLAG_RCI | IDXD_FLAG_TC_CR)
/* Those of operations that write to memory; readback needs GENCAP.8 */
#define FLAGS_WRITE (IDXD_FLAG_BOF | IDXD_FLAG_CACHE | IDXD_FLAG_STRICT | \
                     IDXD_FLAG_READBACK)
#define FLAGS_TC (IDXD_FLAG_TC1 | IDXD_FLAG_TC2 | IDXD_FLAG_TC3)
#define FLAGS_CRC (IDXD_FLAG_CRC_SEED | IDXD_FLAG_CRC_RAW | IDXD_FLAG_CRC_MSB)
#define FLAGS_RESULT (IDXD_FLAG_CRAV | IDXD_FLAG_RCR)

typedef struct IDXDOperation {
    uint32_t flags;             /* allowed, besides FLAGS_COMMON */
    uint32_t required;
    uint64_t reserved;          /* bytes that have to be 0 */
    bool sized;                 /* has a transfer size */
    uint8_t (*check)(IDXDState *s, const IDXDTask *t);
    /* One chunk; false: the outcome is set */
    bool (*chunk)(IDXDState *s, IDXDTask *t, IDXDTransfer *x, uint32_t *len);
    void (*finish)(IDXDTask *t);
} IDXDOperation;

void idxd_task_end(IDXDTask *t, uint8_t status)
{
    t->outcome.status = status;
}

static bool idxd_overlap(uint64_t a, uint64_t b, uint32_t size)
{
    return a - b < size || b - a < size;
}

static uint8_t idxd_check_batch(IDXDState *s, const IDXDTask *t)
{
    return idxd_field64(t, IDXD_DESC_SRC) % IDXD_DESC_SIZE ? IDXD_ST_LIST_ALIGN
                                                          : 0;
}

static uint8_t idxd_check_dualcast(IDXDState *s, const IDXDTask *t)
{
    uint64_t src = idxd_field64(t, IDXD_DESC_SRC);
    uint64_t dst = idxd_field64(t, IDXD_DESC_DST);
    uint64_t dst2 = idxd_field64(t, IDXD_DESC_OP);
    uint32_t size = idxd_size(t);

    if ((dst ^ dst2) & (IDXD_DMA_PAGE - 1)) {
        return IDXD_ST_DUALCAST;
    }
    return idxd_overlap(src, dst, size) || idxd_overlap(src, dst2, size) ||
           idxd_overlap(dst, dst2, size) ? IDXD_ST_OVERLAP : 0;
}

/* The seed is in the descriptor or in memory; the other field is reserved */
static uint8_t idxd_check_crc(IDXDState *s, const IDXDTask *t)
{
    uint64_t seed_addr = idxd_field64(t, IDXD_DESC_OP2);

    if (idxd_flags(&t->sub) & IDXD_FLAG_CRC_SEED) {
        if (ldl_le_p(t->sub.desc + IDXD_DESC_OP)) {
            return IDXD_ST_RESERVED;
        }
        return seed_addr % 4 ? IDXD_ST_ALIGN : 0;
    }
    return seed_addr ? IDXD_ST_RESERVED : 0;
}

static uint8_t idxd_check_copy_crc(IDXDState *s, const IDXDTask *t)
{
    if (idxd_overlap(idxd_field64(t, IDXD_DESC_SRC),
                     idxd_field64(t, IDXD_DESC_DST), idxd_size(t))) {
        return IDXD_ST_OVERLAP;
    }
    return idxd_check_crc(s, t);
}

/* Tables 5-3 and 5-5; op-specific flags from 8.3 */
static const IDXDOperation idxd_ops[IDXD_NR_OPS] = {
    [IDXD_OP_NOP] = {
        .flags = FLAGS_COMMON,
        .reserved = BYTES(16, 35) | BYTES(38, 63),
    },
    [IDXD_OP_BATCH] = {
        .flags = FLAGS_COMMON | IDXD_FLAG_TC1,
        .reserved = BYTES(24, 31) | BYTES(38, 63),
        .check = idxd_check_batch,
    },
    [IDXD_OP_DRAIN] = {
        .flags = FLAGS_COMMON | IDXD_FLAG_DRAIN_TC_A | IDXD_FLAG_DRAIN_TC_B,
        .reserved = BYTES(16, 35) | BYTES(38, 63),
    },
    [IDXD_OP_MEMMOVE] = {
        .flags = FLAGS_COMMON | FLAGS_WRITE | IDXD_FLAG_TC1 | IDXD_FLAG_TC2,
        .reserved = BYTES(38, 63),
        .sized = true,
        .chunk = idxd_memmove,
        .finish = idxd_memmove_finish,
    },
    [IDXD_OP_FILL] = {
        .flags = FLAGS_COMMON | FLAGS_WRITE | IDXD_FLAG_TC2,
        .reserved = BYTES(38, 63),
        .sized = true,
        .chunk = idxd_fill,
    },
    [IDXD_OP_COMPARE] = {
        .flags = FLAGS_COMMON | IDXD_FLAG_BOF | IDXD_FLAG_CHECK_RESULT |
                 IDXD_FLAG_TC1 | IDXD_FLAG_TC2,
        .required = FLAGS_RESULT,
        .reserved = BYTES(38, 39) | BYTES(41, 63),
        .sized = true,
        .chunk = idxd_compare,
        .finish = idxd_compare_finish,
    },
    [IDXD_OP_COMPARE_PATTERN] = {
        .flags = FLAGS_COMMON | IDXD_FLAG_BOF | IDXD_FLAG_CHECK_RESULT |
                 IDXD_FLAG_TC1,
        .required = FLAGS_RESULT,
        .reserved = BYTES(38, 39) | BYTES(41, 63),
        .sized = true,
        .chunk = idxd_compare_pattern,
        .finish = idxd_compare_finish,
    },
    [IDXD_OP_DUALCAST] = {
        .flags = FLAGS_COMMON | FLAGS_WRITE | IDXD_FLAG_TC1 | IDXD_FLAG_TC2 |
                 IDXD_FLAG_TC3,
        .reserved = BYTES(38, 39) | BYTES(48, 63),
        .sized = true,
        .check = idxd_check_dualcast,
        .chunk = idxd_dualcast,
    },
    [IDXD_OP_CRC] = {
        .flags = FLAGS_COMMON | FLAGS_CRC | IDXD_FLAG_BOF | IDXD_FLAG_TC1 |
                 IDXD_FLAG_TC3,
        .required = FLAGS_RESULT,
        .reserved = BYTES(24, 31) | BYTES(38, 39) | BYTES(44, 47) |
                    BYTES(56, 63),
        .sized = true,
        .check = idxd_check_crc,
        .chunk = idxd_crc,
        .finish = idxd_crc_finish,
    },
    [IDXD_OP_COPY_CRC] = {
        .flags = FLAGS_COMMON | FLAGS_CRC | FLAGS_WRITE | IDXD_FLAG_TC1 |
                 IDXD_FLAG_TC2 | IDXD_FLAG_TC3,
        .required = FLAGS_RESULT,
        .reserved = BYTES(38, 39) | BYTES(44, 47) | BYTES(56, 63),
        .sized = true,
        .check = idxd_check_copy_crc,
        .chunk = idxd_copy_crc,
        .finish = idxd_crc_finish,
    },
    [IDXD_OP_CACHE_FLUSH] = {
        .flags = FLAGS_COMMON | IDXD_FLAG_BOF | IDXD_FLAG_STRICT |
                 IDXD_FLAG_READBACK | IDXD_FLAG_TC2,
        .reserved = BYTES(16, 23) | BYTES(38, 63),
        .sized = true,
        .chunk = idxd_cache_flush,
    },
};

static bool idxd_op_exists(unsigned opcode)
{
    return opcode < IDXD_NR_OPS && idxd_ops[opcode].flags;
}

bool idxd_ops_known(const IDXDSubmission *sub)
{
    return idxd_op_exists(idxd_opcode(sub));
}

void idxd_ops_caps(uint32_t opcap[8])
{
    unsigned i;

    for (i = 0; i < IDXD_NR_OPS; i++) {
        if (idxd_op_exists(i)) {
            opcap[i / 32] |= BIT(i % 32);
        }
    }
}

/* 5.4: supported, enabled for this WQ, and allowed where it was found */
static bool idxd_opcode_valid(IDXDState *s, const IDXDEngine *e,
                              const IDXDTask *t)
{
    unsigned op = idxd_opcode(&t->sub);
    const uint32_t *opcfg = &s->wqcfg[e->wq * IDXD_WQCFG_DWORDS +
                                      IDXD_WQ_OPCFG];

    if (!idxd_op_exists(op) || !extract32(opcfg[op / 32], op % 32, 1)) {
        return false;
    }
    return t == &e->main || (op != IDXD_OP_BATCH && op != IDXD_OP_DRAIN);
}

/* 8.1.8: user-mode descriptors only if software allows it to all of them */
static bool idxd_may_interrupt(IDXDState *s, const IDXDTask *t)
{
    return IDXD_REG_FIELD(s, GENCFG, USER_INT) || !t->sub.pasid_en ||
           t->sub.priv;
}

/* Table 5-4: flags with a condition */
static uint32_t idxd_flags_unavailable(IDXDState *s, const IDXDEngine *e,
                                       const IDXDTask *t, uint32_t flags)
{
    uint32_t bad = 0;

    if (t == &e->main) {
        bad |= IDXD_FLAG_FENCE;
    }
    if (!IDXD_WQ_FIELD(s, e->wq, WQ_MODE, BLOCK_ON_FAULT)) {
        bad |= IDXD_FLAG_BOF;
    }
    if (!(flags & IDXD_FLAG_CRAV)) {
        bad |= IDXD_FLAG_RCR | IDXD_FLAG_TC_CR;
    }
    if (!idxd_may_interrupt(s, t)) {
        bad |= IDXD_FLAG_RCI;
    }
    if ((idxd_ops[idxd_opcode(&t->sub)].flags & IDXD_FLAG_CRC_SEED) &&
        !(flags & IDXD_FLAG_CRC_SEED)) {
        bad |= IDXD_FLAG_TC3;
    }
    return flags & bad;
}

/* Flags that are wrong: set and not allowed, or missing (table 5-5) */
static uint32_t idxd_bad_flags(IDXDState *s, const IDXDEngine *e,
                               const IDXDTask *t)
{
    const IDXDOperation *op = &idxd_ops[idxd_opcode(&t->sub)];
    uint32_t flags = idxd_flags(&t->sub);
    uint32_t bad = flags & ~op->flags;

    bad |= idxd_flags_unavailable(s, e, t, flags);
    bad |= op->required & ~flags;
    if (idxd_opcode(&t->sub) == IDXD_OP_DRAIN &&
        !(flags & (IDXD_FLAG_RCR | IDXD_FLAG_RCI))) {
        bad |= IDXD_FLAG_RCR | IDXD_FLAG_RCI;
    }
    return bad;
}

static bool idxd_reserved_set(const IDXDTask *t)
{
    uint64_t reserved = idxd_ops[idxd_opcode(&t->sub)].reserved;
    uint32_t flags = idxd_flags(&t->sub);
    unsigned i;

    if (!(flags & IDXD_FLAG_CRAV)) {
        reserved |= BYTES(IDXD_DESC_CR_ADDR, IDXD_DESC_CR_ADDR + 7);
    }
    if (!(flags & IDXD_FLAG_RCI)) {
        reserved |= BYTES(IDXD_DESC_HANDLE, IDXD_DESC_HANDLE + 1);
    }
    for (i = 0; i < IDXD_DESC_SIZE; i++) {
        if (extract64(reserved, i, 1) && t->sub.desc[i]) {
            return true;
        }
    }
    return false;
}

/* 4.2: the selector flags choose between the two classes of the group */
static bool idxd_tc_is_valid(IDXDState *s, const IDXDEngine *e,
                             uint32_t flags, uint32_t selector)
{
    uint32_t cfg = s->grpcfg[e->group * IDXD_GRPCFG_DWORDS + IDXD_GRP_FLAGS];

    return idxd_tc_enabled(s, flags & selector ?
                           FIELD_EX32(cfg, GRPFLAGS, TC_B) :
                           FIELD_EX32(cfg, GRPFLAGS, TC_A));
}

/* An operation has those addresses for which it allows a selector */
static bool idxd_tcs_are_valid(IDXDState *s, const IDXDEngine *e,
                               const IDXDTask *t)
{
    uint32_t flags = idxd_flags(&t->sub);
    uint32_t used = idxd_ops[idxd_opcode(&t->sub)].flags & FLAGS_TC;
    uint32_t selector;

    if (!(flags & IDXD_FLAG_CRC_SEED) &&
        (idxd_ops[idxd_opcode(&t->sub)].flags & IDXD_FLAG_CRC_SEED)) {
        used &= ~IDXD_FLAG_TC3;
    }
    for (selector = IDXD_FLAG_TC1; selector <= IDXD_FLAG_TC3; selector <<= 1) {
        if ((used & selector) && !idxd_tc_is_valid(s, e, flags, selector)) {
            return false;
        }
    }
    return true;
}

static uint8_t idxd_check_size(IDXDState *s, const IDXDEngine *e,
                               const IDXDTask *t)
{
    uint32_t size = idxd_size(t);

    if (idxd_opcode(&t->sub) == IDXD_OP_BATCH) {
        uint32_t max = BIT(IDXD_WQ_FIELD(s, e->wq, WQ_LIMITS, MAX_BATCH));

        return size > 1 && size <= max ? 0 : IDXD_ST_BAD_COUNT;
    }
    if (idxd_ops[idxd_opcode(&t->sub)].sized) {
        uint32_t max = BIT(IDXD_WQ_FIELD(s, e->wq, WQ_LIMITS, MAX_XFER));

        return size > 0 && size <= max ? 0 : IDXD_ST_BAD_SIZE;
    }
    return 0;
}

/*
 * 5.4 and table 5-2.  An entry that exists but belongs to another PASID counts
 * the refusal.
 */
static bool idxd_check_irq(IDXDState *s, IDXDTask *t)
{
    uint16_t handle = lduw_le_p(t->sub.desc + IDXD_DESC_HANDLE);
    IDXDIrqTarget irq = { .ims = t->sub.ims_portal };

    if (!idxd_irq_resolve(s, irq.ims, handle, &irq.entry)) {
        return false;
    }
    if (!idxd_irq_permits(s, &irq, &t->sub)) {
        idxd_irq_refuse(s, &irq);
        return false;
    }
    t->irq = irq;
    t->irq.valid = true;
    return true;
}

/*
 * The completion record has to be usable, or nothing else is looked at.  With
 * the event log, one that is not mapped is usable: the log takes it (3.13.3).
 */
static uint8_t idxd_check_cr(IDXDState *s, const IDXDEngine *e, IDXDTask *t)
{
    uint64_t addr = idxd_field64(t, IDXD_DESC_CR_ADDR);
    IDXDRequester who = idxd_requester(s, e->wq, &t->sub);

    if (!(idxd_flags(&t->sub) & IDXD_FLAG_CRAV)) {
        return 0;
    }
    if (addr % IDXD_CR_SIZE) {
        return IDXD_ST_CR_ALIGN;
    }
    if (!idxd_tc_is_valid(s, e, idxd_flags(&t->sub), IDXD_FLAG_TC_CR)) {
        return IDXD_ST_TRAFFIC_CLASS;
    }
    if (!idxd_evl_active(s) &&
        !idxd_dma_writable(s, &who, addr, IDXD_CR_SIZE)) {
        t->outcome.write = true;
        t->outcome.fault_addr = addr;
        return IDXD_ST_CR_FAULT;
    }
    return 0;
}

static uint8_t idxd_check(IDXDState *s, const IDXDEngine *e, IDXDTask *t)
{
    const IDXDOperation *op;
    uint8_t status = idxd_check_cr(s, e, t);
    uint32_t bad_flags;
    bool irq_ok = true;

    if (status) {
        t->outcome.no_cr = true;
        return status;
    }
    if (!idxd_opcode_valid(s, e, t)) {
        if ((idxd_flags(&t->sub) & IDXD_FLAG_RCI) &&
            idxd_may_interrupt(s, t)) {
            idxd_check_irq(s, t);
        }
        return IDXD_ST_BAD_OPCODE;
    }
    op = &idxd_ops[idxd_opcode(&t->sub)];
    bad_flags = idxd_bad_flags(s, e, t);
    if (idxd_flags(&t->sub) & ~bad_flags & IDXD_FLAG_RCI) {
        irq_ok = idxd_check_irq(s, t);
    }
    if (bad_flags) {
        t->outcome.value = bad_flags;
        return IDXD_ST_BAD_FLAGS;
    }
    if (!idxd_wq_dedicated(s, e->wq) && t->sub.priv && !idxd_priv_enabled(s)) {
        return IDXD_ST_PRIV;
    }
    if (!irq_ok) {
        return IDXD_ST_BAD_HANDLE;
    }
    if (idxd_reserved_set(t)) {
        return IDXD_ST_RESERVED;
    }
    if (!idxd_tcs_are_valid(s, e, t)) {
        return IDXD_ST_TRAFFIC_CLASS;
    }
    status = idxd_check_size(s, e, t);
    if (!status && op->check) {
        status = op->check(s, t);
    }
    return status;
}

/* False: the outcome is set; the descriptor is not executed */
bool idxd_ops_check(IDXDState *s, IDXDEngine *e, IDXDTask *t)
{
    uint8_t status = idxd_check(s, e, t);

    idxd_task_end(t, status);
    return !status;
}

/* A chunk was not done: for as long as a page is missing, or for good */
static IDXDStep idxd_transfer_stop(IDXDState *s, const IDXDTransfer *x)
{
    if (x->waits) {
        return IDXD_STEP_WAIT;
    }
    idxd_page_forget(s, x->e);
    return IDXD_STEP_DONE;
}

static IDXDStep idxd_transfer_end(IDXDState *s, IDXDTask *t,
                                  const IDXDOperation *op, IDXDTransfer *x)
{
    uint64_t epoch = s->epoch;

    if (!idxd_readback(s, t, x)) {
        return s->epoch == epoch ? idxd_transfer_stop(s, x) : IDXD_STEP_GONE;
    }
    idxd_page_forget(s, x->e);
    idxd_task_end(t, IDXD_ST_SUCCESS);
    if (op->finish) {
        op->finish(t);
    }
    return IDXD_STEP_DONE;
}

/* Chunks until the slice is used up */
static IDXDStep idxd_transfer(IDXDState *s, IDXDEngine *e, IDXDTask *t,
                              uint32_t *budget)
{
    const IDXDOperation *op = &idxd_ops[idxd_opcode(&t->sub)];
    uint64_t epoch = s->epoch;
    IDXDTransfer x = {
        .e = e,
        .who = idxd_requester(s, e->wq, &t->sub),
        .src = idxd_field64(t, IDXD_DESC_SRC),
        .dst = idxd_field64(t, IDXD_DESC_DST),
        .size = idxd_size(t),
    };

    while (t->done < x.size) {
        uint32_t len = MIN(x.size - t->done, IDXD_DMA_PAGE);
        bool ok;

        if (!*budget) {
            return IDXD_STEP_MORE;
        }
        ok = op->chunk(s, t, &x, &len);
        if (s->epoch != epoch) {
            return IDXD_STEP_GONE;
        }
        if (!ok) {
            return idxd_transfer_stop(s, &x);
        }
        idxd_page_forget(s, e);
        t->done += len;
        *budget -= MIN(*budget, len);
    }
    return idxd_transfer_end(s, t, op, &x);
}

IDXDStep idxd_ops_step(IDXDState *s, IDXDEngine *e, IDXDTask *t,
                       uint32_t *budget)
{
    if (idxd_opcode(&t->sub) == IDXD_OP_DRAIN && !idxd_work_drained(s, e)) {
        return IDXD_STEP_WAIT;
    }
    if (e->page == IDXD_PAGE_REQUESTED) {
        return IDXD_STEP_WAIT;
    }
    if (idxd_ops[idxd_opcode(&t->sub)].sized) {
        return idxd_transfer(s, e, t, budget);
    }
    idxd_task_end(t, IDXD_ST_SUCCESS);
    return IDXD_STEP_DONE;
}
