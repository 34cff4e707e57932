/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: descriptors that are wrong, hostile or not descriptors at all
 *
 * Sections 5.3 to 5.5, 5.8.1, 8.1.3, 9.2.15 and 9.3 of the specification.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "idxd-ims-vm.h"

#define RECORD      IDXD_VM_RECORD
#define LIST        IDXD_VM_LIST
#define RECORDS     0x8000
#define SRC         IDXD_VM_SRC
#define DST         IDXD_VM_DST
#define UNMAPPED    0xd0000000u     /* no RAM and no device on this machine */

/* Waits for all work, which must leave the device able to do more */
static void check_alive(IdxdVM *vm, unsigned wq)
{
    QIdxdDesc nop = {
        .flags = DSA_FLAG_RECORD, .record = vm->ram + RECORD,
    };
    QIdxdRecord rec;

    qidxd_command_ok(&vm->dev, DSA_DRAIN_ALL, 0);
    qidxd_run(&vm->dev, wq, DSA_PORTAL_LIMITED, &nop, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
}

/* One wrong thing on top of a good descriptor of this operation */
typedef struct BadDesc {
    const char *what;
    uint8_t opcode;
    uint32_t flags;             /* added */
    uint8_t status;
    void (*spoil)(IdxdVM *vm, QIdxdDesc *desc);
} BadDesc;

static void spoil_nop_src(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->src = 1;
}

static void spoil_nop_size(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->size = 1;
}

static void spoil_38(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->reserved = 1;
}

static void spoil_40(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->op[0] |= 1ull << 63;
}

static void spoil_48(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->op[1] = 1;
}

static void spoil_56(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->op[2] = 1ull << 63;
}

static void spoil_handle(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->handle = 1;
}

static void spoil_size_0(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->size = 0;
}

static void spoil_size_max(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->size = (1u << 26) + 1;
}

static void spoil_overlap(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->dst = desc->src + 1;
}

static void spoil_dst2_overlap(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->op[0] = desc->dst;
}

static void spoil_dst2_offset(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->op[0] += 1;
}

static void spoil_list_align(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->src += 32;
}

static void spoil_count_0(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->size = 0;
}

static void spoil_count_max(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->size = 1025;
}

static void spoil_count_huge(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->size = ~0u;
}

static void spoil_seed_align(IdxdVM *vm, QIdxdDesc *desc)
{
    desc->op[0] = 0;
    desc->op[1] = vm->ram + LIST + 2;
}

static const BadDesc bad_descs[] = {
    { "fence",            DSA_OP_NOP, DSA_FLAG_FENCE, DSA_ST_FLAGS },
    { "block on fault",   DSA_OP_MEMMOVE, DSA_FLAG_BOF, DSA_ST_FLAGS },
    { "reserved flag 6",  DSA_OP_NOP, 1u << 6, DSA_ST_FLAGS },
    { "reserved flag 15", DSA_OP_MEMMOVE, 1u << 15, DSA_ST_FLAGS },
    { "check result",     DSA_OP_MEMMOVE, DSA_FLAG_CHECK, DSA_ST_FLAGS },
    { "cache on nop",     DSA_OP_NOP, DSA_FLAG_CACHE1, DSA_ST_FLAGS },
    { "cache on compare", DSA_OP_COMPARE, DSA_FLAG_CACHE1, DSA_ST_FLAGS },
    { "order on nop",     DSA_OP_NOP, 1u << 13, DSA_ST_FLAGS },
    { "op flag memmove",  DSA_OP_MEMMOVE, 1u << 16, DSA_ST_FLAGS },
    { "op flag fill",     DSA_OP_FILL, 1u << 16, DSA_ST_FLAGS },
    { "op flag crc",      DSA_OP_CRC, 1u << 20, DSA_ST_FLAGS },
    { "op flag batch",    DSA_OP_BATCH, 1u << 17, DSA_ST_FLAGS },
    { "nop source",       DSA_OP_NOP, 0, DSA_ST_RESERVED, spoil_nop_src },
    { "nop size",         DSA_OP_NOP, 0, DSA_ST_RESERVED, spoil_nop_size },
    { "nop 38",           DSA_OP_NOP, 0, DSA_ST_RESERVED, spoil_38 },
    { "nop 40",           DSA_OP_NOP, 0, DSA_ST_RESERVED, spoil_40 },
    { "nop handle",       DSA_OP_NOP, 0, DSA_ST_RESERVED, spoil_handle },
    { "drain size",       DSA_OP_DRAIN, 0, DSA_ST_RESERVED, spoil_nop_size },
    { "memmove 38",       DSA_OP_MEMMOVE, 0, DSA_ST_RESERVED, spoil_38 },
    { "memmove 40",       DSA_OP_MEMMOVE, 0, DSA_ST_RESERVED, spoil_40 },
    { "memmove 48",       DSA_OP_MEMMOVE, 0, DSA_ST_RESERVED, spoil_48 },
    { "memmove 56",       DSA_OP_MEMMOVE, 0, DSA_ST_RESERVED, spoil_56 },
    { "fill 48",          DSA_OP_FILL, 0, DSA_ST_RESERVED, spoil_48 },
    { "compare 41",       DSA_OP_COMPARE, 0, DSA_ST_RESERVED, spoil_40 },
    { "crc seed addr",    DSA_OP_CRC, 0, DSA_ST_RESERVED, spoil_48 },
    { "crc 56",           DSA_OP_CRC, 0, DSA_ST_RESERVED, spoil_56 },
    { "dualcast 48",      DSA_OP_DUALCAST, 0, DSA_ST_RESERVED, spoil_48 },
    { "flush source",     DSA_OP_CACHE_FLUSH, 0, DSA_ST_RESERVED,
      spoil_nop_src },
    { "batch 38",         DSA_OP_BATCH, 0, DSA_ST_RESERVED, spoil_38 },
    { "memmove size 0",   DSA_OP_MEMMOVE, 0, DSA_ST_SIZE, spoil_size_0 },
    { "fill size 0",      DSA_OP_FILL, 0, DSA_ST_SIZE, spoil_size_0 },
    { "crc size 0",       DSA_OP_CRC, 0, DSA_ST_SIZE, spoil_size_0 },
    { "flush size 0",     DSA_OP_CACHE_FLUSH, 0, DSA_ST_SIZE, spoil_size_0 },
    { "compare size",     DSA_OP_COMPARE, 0, DSA_ST_SIZE, spoil_size_max },
    { "memmove size",     DSA_OP_MEMMOVE, 0, DSA_ST_SIZE, spoil_size_max },
    { "batch of 0",       DSA_OP_BATCH, 0, DSA_ST_COUNT, spoil_count_0 },
    { "batch of 1025",    DSA_OP_BATCH, 0, DSA_ST_COUNT, spoil_count_max },
    { "batch of 2^32-1",  DSA_OP_BATCH, 0, DSA_ST_COUNT, spoil_count_huge },
    { "copy-crc overlap", DSA_OP_COPY_CRC, 0, DSA_ST_OVERLAP, spoil_overlap },
    { "dualcast overlap", DSA_OP_DUALCAST, 0, DSA_ST_OVERLAP,
      spoil_dst2_overlap },
    { "dualcast offset",  DSA_OP_DUALCAST, 0, DSA_ST_DUALCAST,
      spoil_dst2_offset },
    { "list alignment",   DSA_OP_BATCH, 0, DSA_ST_LIST_ALIGN,
      spoil_list_align },
    { "seed alignment",   DSA_OP_CRC, DSA_FLAG_READ_SEED, DSA_ST_ALIGN,
      spoil_seed_align },
};

static void test_bad_descriptors(void)
{
    IdxdVM *vm = idxd_vm_new("");

    qidxd_bring_up(&vm->dev, 1, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(bad_descs); i++) {
        const BadDesc *bad = &bad_descs[i];
        QIdxdDesc desc = idxd_vm_desc(vm, bad->opcode);
        QIdxdRecord rec;

        /* The descriptor is good before it is spoiled */
        qidxd_run(&vm->dev, 0, DSA_PORTAL_LIMITED, &desc, &rec);
        g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
        desc.flags |= bad->flags;
        if (bad->spoil) {
            bad->spoil(vm, &desc);
        }
        qidxd_run(&vm->dev, 0, DSA_PORTAL_LIMITED, &desc, &rec);
        if (rec.status != bad->status) {
            g_error("%s: status 0x%x, expected 0x%x", bad->what, rec.status,
                    bad->status);
        }
        if (bad->status == DSA_ST_FLAGS) {
            g_assert_cmphex(rec.value & bad->flags, ==, bad->flags);
        }
    }
    g_assert_cmphex(qidxd_readq(&vm->dev, DSA_SWERROR), ==, 0);
    idxd_vm_free(vm);
}

/* Submits something that has no record to fail into, returns SWERROR */
static uint64_t swerror_of(IdxdVM *vm, const QIdxdDesc *desc)
{
    QIdxd *d = &vm->dev;
    uint64_t q0;

    qidxd_submit(d, 1, DSA_PORTAL_LIMITED, desc);
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    q0 = qidxd_readq(d, DSA_SWERROR);
    g_assert_cmphex(q0 & (DSA_SWERR_VALID | DSA_SWERR_DESC | DSA_SWERR_WQ), ==,
                    DSA_SWERR_VALID | DSA_SWERR_DESC | DSA_SWERR_WQ);
    g_assert_cmphex(q0 & (DSA_SWERR_OVERFLOW | DSA_SWERR_BATCH), ==, 0);
    g_assert_cmpuint(DSA_SWERR_WQ_INDEX(q0), ==, 1);
    g_assert_cmphex(DSA_SWERR_OP(q0), ==, desc->opcode);
    qidxd_writeq(d, DSA_SWERROR, DSA_SWERR_VALID | DSA_SWERR_OVERFLOW);
    g_assert_cmphex(qidxd_readq(d, DSA_SWERROR) & 3, ==, 0);
    return q0;
}

static void test_swerror(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxdDesc desc = { .opcode = DSA_OP_MEMMOVE };

    qidxd_bring_up(&vm->dev, 2, NULL);
    g_assert_cmphex(DSA_SWERR_CODE(swerror_of(vm, &desc)), ==, DSA_ST_SIZE);
    desc.flags = 1u << 15;
    desc.size = 8;
    g_assert_cmphex(DSA_SWERR_CODE(swerror_of(vm, &desc)), ==, DSA_ST_FLAGS);
    /* Flags of section 5.4, error information of section 5.8 */
    g_assert_cmphex(qidxd_readq(&vm->dev, DSA_SWERROR + 8) >> 32, ==, 1u << 15);
    /* RCR means nothing without an address, and compare needs both */
    desc = idxd_vm_desc(vm, DSA_OP_NOP);
    desc.record = 0;
    desc.flags = DSA_FLAG_RCR;
    g_assert_cmphex(DSA_SWERR_CODE(swerror_of(vm, &desc)), ==, DSA_ST_FLAGS);
    desc = idxd_vm_desc(vm, DSA_OP_COMPARE);
    desc.record = 0;
    desc.flags = 0;
    g_assert_cmphex(DSA_SWERR_CODE(swerror_of(vm, &desc)), ==, DSA_ST_FLAGS);
    /* A drain that reports nothing to nobody */
    desc = (QIdxdDesc) { .opcode = DSA_OP_DRAIN };
    g_assert_cmphex(DSA_SWERR_CODE(swerror_of(vm, &desc)), ==, DSA_ST_FLAGS);
    /* A record that is not 32-byte aligned cannot take its own error */
    desc = idxd_vm_desc(vm, DSA_OP_NOP);
    desc.record += 16;
    g_assert_cmphex(DSA_SWERR_CODE(swerror_of(vm, &desc)), ==, DSA_ST_CR_ALIGN);
    g_assert_cmphex(qtest_readq(vm->qts, desc.record), ==, 0);
    check_alive(vm, 0);
    idxd_vm_free(vm);
}

/* The first error stays, later ones only set overflow; one interrupt */
static void test_swerror_overflow(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc first = { .opcode = 0x3f }, later = { .opcode = DSA_OP_FILL };
    uint64_t q0;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    qidxd_writel(d, DSA_GENCTRL, DSA_GENCTRL_SWERR);
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &first);
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &later);
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &later);
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    q0 = qidxd_readq(d, DSA_SWERROR);
    g_assert_cmphex(DSA_SWERR_CODE(q0), ==, DSA_ST_OPCODE);
    g_assert_cmphex(q0 & 3, ==, DSA_SWERR_VALID | DSA_SWERR_OVERFLOW);
    g_assert(qidxd_take_message(d, 0));
    g_assert_cmpuint(idxd_vm_count(vm, false, 0, "raised"), ==, 1);
    g_assert_cmphex(qidxd_readl(d, DSA_INTCAUSE), ==, DSA_CAUSE_SWERR);
    /* W1C of valid: the next error is recorded and interrupts again */
    qidxd_writeq(d, DSA_SWERROR, 3);
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &later);
    qidxd_wait_message(d, 0);
    g_assert_cmphex(DSA_SWERR_CODE(qidxd_readq(d, DSA_SWERROR)), ==,
                    DSA_ST_SIZE);
    idxd_vm_free(vm);
}

/* A failed member without a record names its place in the batch */
static void test_swerror_batch(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc batch = idxd_vm_desc(vm, DSA_OP_BATCH);
    uint8_t list[4 * DSA_DESC_SIZE] = { };
    QIdxdRecord rec;
    uint64_t q0;

    qidxd_bring_up(d, 1, NULL);
    qidxd_pack(&(QIdxdDesc) { .opcode = 0x3e }, list + 3 * DSA_DESC_SIZE);
    qtest_bufwrite(vm->qts, vm->ram + LIST, list, sizeof(list));
    batch.size = 4;
    qidxd_run(d, 0, DSA_PORTAL_LIMITED, &batch, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_BATCH_FAIL);
    q0 = qidxd_readq(d, DSA_SWERROR);
    g_assert_cmphex(DSA_SWERR_CODE(q0), ==, DSA_ST_OPCODE);
    g_assert_cmphex(q0 & DSA_SWERR_BATCH, !=, 0);
    g_assert_cmphex(DSA_SWERR_OP(q0), ==, 0x3e);
    g_assert_cmpuint(qidxd_readq(d, DSA_SWERROR + 8) & 0xffff, ==, 3);
    idxd_vm_free(vm);
}

/* RCR = 0 with an address: a record only for what is not a success */
static void test_record_on_error(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc desc = idxd_vm_desc(vm, DSA_OP_FILL);
    QIdxdRecord rec;

    qidxd_bring_up(d, 1, NULL);
    desc.flags = DSA_FLAG_CRAV;
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &desc);
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    qidxd_read_record(d, desc.record, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_NONE);
    desc.size = 0;
    qidxd_run(d, 0, DSA_PORTAL_LIMITED, &desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SIZE);
    idxd_vm_free(vm);
}

/* A submission is 64 bytes; nothing less is one, wherever it is written */
static void test_partial_submission(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc desc = idxd_vm_desc(vm, DSA_OP_NOP);
    uint64_t portal = qidxd_portal(d, 0, DSA_PORTAL_LIMITED);
    uint8_t buf[DSA_DESC_SIZE];
    QIdxdRecord rec;

    qidxd_bring_up(d, 1, NULL);
    qidxd_pack(&desc, buf);
    for (unsigned len = 8; len < DSA_DESC_SIZE; len += 8) {
        /* A slot of the page for each length, none becomes complete */
        qpci_memwrite(&d->pci, d->portals, portal + len * 8, buf, len);
    }
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    qidxd_read_record(d, desc.record, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_NONE);
    /* Bits 11:6 of the address select nothing */
    qpci_memwrite(&d->pci, d->portals, portal + 0xfc0, buf, sizeof(buf));
    qidxd_wait_record(d, desc.record, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    idxd_vm_free(vm);
}

/* A posted write to a disabled or shared WQ is dropped in silence */
static void test_refused_submission(void)
{
    QIdxdWq wqs[] = { { .shared = true, .pasid_enable = true }, { } };
    IdxdVM *vm = idxd_vm_new("pasid=on");
    QIdxd *d = &vm->dev;
    QIdxdDesc desc = idxd_vm_desc(vm, DSA_OP_NOP);
    QIdxdRecord rec;

    idxd_vm_enable_pasid(vm, false);
    if (!(qidxd_readq(d, DSA_WQCAP) & DSA_WQCAP_SHARED)) {
        wqs[0] = wqs[1];
    }
    qidxd_bring_up(d, 2, wqs);
    if (wqs[0].shared) {
        qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &desc);
    }
    qidxd_submit(d, 2, DSA_PORTAL_LIMITED, &desc);
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    qidxd_read_record(d, desc.record, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_NONE);
    g_assert_cmphex(qidxd_readq(d, DSA_SWERROR), ==, 0);
    check_alive(vm, 1);
    idxd_vm_free(vm);
}

/* Error 0x53: more than a dedicated WQ can hold, only the excess is lost */
static void test_queue_full(void)
{
    QIdxdWq wq = { .size = 4 };
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    unsigned done = 0;
    uint64_t q0;

    qidxd_bring_up(d, 1, &wq);
    for (unsigned i = 0; i < 64; i++) {
        QIdxdDesc fill = {
            .opcode = DSA_OP_FILL, .size = 16 << 20, .dst = vm->ram + DST,
            .flags = DSA_FLAG_RECORD,
            .record = vm->ram + RECORDS + i * DSA_RECORD_SIZE,
        };

        qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &fill);
    }
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    q0 = qidxd_readq(d, DSA_SWERROR);
    g_assert_cmphex(q0 & DSA_SWERR_VALID, ==, DSA_SWERR_VALID);
    g_assert_cmphex(DSA_SWERR_CODE(q0), ==, 0x53);
    g_assert_cmpuint(DSA_SWERR_WQ_INDEX(q0), ==, 0);
    for (unsigned i = 0; i < 64; i++) {
        done += qtest_readb(vm->qts, vm->ram + RECORDS + i * DSA_RECORD_SIZE)
                == DSA_ST_SUCCESS;
    }
    g_assert_cmpuint(done, >=, wq.size);
    g_assert_cmpuint(done, <, 64);
    check_alive(vm, 0);
    idxd_vm_free(vm);
}

/* Reads and writes where nothing answers end with a fault, not in silence */
static void test_unmapped(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc desc = idxd_vm_desc(vm, DSA_OP_MEMMOVE);
    QIdxdRecord rec;

    qidxd_bring_up(d, 1, NULL);
    desc.src = UNMAPPED;
    qidxd_run(d, 0, DSA_PORTAL_LIMITED, &desc, &rec);
    g_assert(rec.status == DSA_ST_FAULT || rec.status == DSA_ST_HW_READ);
    desc = idxd_vm_desc(vm, DSA_OP_FILL);
    desc.dst = UNMAPPED;
    qidxd_run(d, 0, DSA_PORTAL_LIMITED, &desc, &rec);
    g_assert(rec.status == (DSA_ST_FAULT | 0x80) ||
             DSA_STATUS_CODE(rec.status) == DSA_ST_HW_WRITE);
    desc = idxd_vm_desc(vm, DSA_OP_BATCH);
    desc.src = UNMAPPED;
    qidxd_run(d, 0, DSA_PORTAL_LIMITED, &desc, &rec);
    g_assert(rec.status == DSA_ST_BATCH_FAULT || rec.status == DSA_ST_HW_READ);
    /* Addresses that wrap around */
    desc = idxd_vm_desc(vm, DSA_OP_MEMMOVE);
    desc.src = UINT64_MAX - 10;
    qidxd_run(d, 0, DSA_PORTAL_LIMITED, &desc, &rec);
    g_assert_cmphex(rec.status, !=, DSA_ST_SUCCESS);
    /* A record that cannot be written */
    desc = idxd_vm_desc(vm, DSA_OP_NOP);
    desc.record = UNMAPPED;
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &desc);
    check_alive(vm, 0);
    idxd_vm_free(vm);
}

/* The device as the source and target of its own DMA */
static void test_own_bar(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    uint64_t targets[] = {
        d->regs.addr + DSA_CMD, d->regs.addr + d->wqcfg,
        d->regs.addr + d->ims, d->regs.addr + qidxd_vector(d, 1),
        d->portals.addr + qidxd_portal(d, 0, DSA_PORTAL_LIMITED),
        d->portals.addr + qidxd_portal(d, 0, DSA_PORTAL_IMS_UNLIMITED),
    };
    uint8_t nop[DSA_DESC_SIZE];

    qidxd_bring_up(d, 1, NULL);
    qidxd_pack(&(QIdxdDesc) { .opcode = DSA_OP_NOP }, nop);
    qtest_bufwrite(vm->qts, vm->ram + SRC, nop, sizeof(nop));
    for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
        QIdxdDesc desc = idxd_vm_desc(vm, DSA_OP_MEMMOVE);
        QIdxdRecord rec;

        desc.size = sizeof(nop);
        desc.dst = targets[i];
        qidxd_run(d, 0, DSA_PORTAL_LIMITED, &desc, &rec);
        desc.dst = vm->ram + DST;
        desc.src = targets[i];
        qidxd_run(d, 0, DSA_PORTAL_LIMITED, &desc, &rec);
        desc = idxd_vm_desc(vm, DSA_OP_NOP);
        desc.record = targets[i] & ~31ull;
        qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &desc);
        desc = idxd_vm_desc(vm, DSA_OP_BATCH);
        desc.src = targets[i] & ~63ull;
        qidxd_run(d, 0, DSA_PORTAL_LIMITED, &desc, &rec);
    }
    /* Whatever was written into the registers, a reset is the way out */
    qidxd_wait_command(d);
    qidxd_bring_up(d, 1, NULL);
    check_alive(vm, 0);
    idxd_vm_free(vm);
}

/*
 * Batches in batches are an invalid operation, so is the list that contains
 * the batch itself, and a batch may overwrite its own list.  All must end.
 */
static void test_self_reference(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc batch = idxd_vm_desc(vm, DSA_OP_BATCH), member = batch;
    uint8_t list[8 * DSA_DESC_SIZE];
    QIdxdRecord rec;

    qidxd_bring_up(d, 1, NULL);
    batch.size = 8;
    for (unsigned i = 0; i < 8; i++) {
        member.record = vm->ram + RECORDS + i * DSA_RECORD_SIZE;
        member.opcode = i % 2 ? DSA_OP_DRAIN : DSA_OP_BATCH;
        qidxd_pack(&member, list + i * DSA_DESC_SIZE);
    }
    qtest_bufwrite(vm->qts, batch.src, list, sizeof(list));
    qidxd_run(d, 0, DSA_PORTAL_LIMITED, &batch, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_BATCH_FAIL);
    g_assert_cmpuint(rec.bytes, ==, 8);
    for (unsigned i = 0; i < 8; i++) {
        qidxd_read_record(d, vm->ram + RECORDS + i * DSA_RECORD_SIZE, &rec);
        g_assert_cmphex(rec.status, ==, DSA_ST_OPCODE);
    }
    /* Members that copy the first one over all of the list */
    for (unsigned i = 0; i < 8; i++) {
        member = idxd_vm_desc(vm, DSA_OP_MEMMOVE);
        member.src = vm->ram + LIST;
        member.dst = vm->ram + LIST;
        member.size = DSA_DESC_SIZE * (i + 1);
        qidxd_pack(&member, list + i * DSA_DESC_SIZE);
    }
    qtest_bufwrite(vm->qts, batch.src, list, sizeof(list));
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &batch);
    check_alive(vm, 0);
    idxd_vm_free(vm);
}

void idxd_ims_add_descriptor_tests(void)
{
    qtest_add_func("/idxd-ims/desc/bad", test_bad_descriptors);
    qtest_add_func("/idxd-ims/desc/swerror", test_swerror);
    qtest_add_func("/idxd-ims/desc/swerror-overflow", test_swerror_overflow);
    qtest_add_func("/idxd-ims/desc/swerror-batch", test_swerror_batch);
    qtest_add_func("/idxd-ims/desc/record-on-error", test_record_on_error);
    qtest_add_func("/idxd-ims/desc/partial", test_partial_submission);
    qtest_add_func("/idxd-ims/desc/refused", test_refused_submission);
    qtest_add_func("/idxd-ims/desc/queue-full", test_queue_full);
    qtest_add_func("/idxd-ims/desc/unmapped", test_unmapped);
    qtest_add_func("/idxd-ims/desc/own-bar", test_own_bar);
    qtest_add_func("/idxd-ims/desc/self-reference", test_self_reference);
}
