/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: the event log, and completions that are there instead of in memory
 *
 * Sections 3.13.3, 5.9 and 7.3 of the specification.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "idxd-ims-vtd.h"

#define LOG         0x10000
#define ENTRY_SIZE  64

static void log_on(QIdxd *d, uint64_t base, unsigned entries)
{
    qidxd_configure(d, 1, NULL);
    qidxd_writeq(d, DSA_EVLCFG, base);
    qidxd_writeq(d, DSA_EVLCFG + 8, entries);
    qidxd_writel(d, DSA_GENCFG, qidxd_readl(d, DSA_GENCFG) | DSA_GENCFG_EVL);
    qidxd_writel(d, DSA_GENCTRL, DSA_GENCTRL_EVL | DSA_GENCTRL_SWERR);
    qidxd_enable(d, 1);
    g_assert_cmphex(qidxd_readq(d, DSA_EVLSTATUS), ==, 0);
}

static unsigned log_tail(QIdxd *d)
{
    return extract64(qidxd_readq(d, DSA_EVLSTATUS), 32, 16);
}

/* Table 5-9 for an invalid handle, and SWERROR is left alone */
static void test_handle(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc desc = {
        .opcode = DSA_OP_NOP, .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI,
        .record = vm->ram, .handle = 0xabcd,
    };
    uint64_t log = vm->ram + LOG, q0, info;
    QIdxdRecord rec;

    qidxd_msix_on(d);
    log_on(d, log, 64);
    qidxd_run(d, 0, DSA_PORTAL_IMS_LIMITED, &desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_HANDLE);
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    g_assert_cmpuint(log_tail(d), ==, 1);
    g_assert_cmphex(qidxd_readq(d, DSA_SWERROR), ==, 0);
    q0 = qtest_readq(vm->qts, log);
    info = qtest_readq(vm->qts, log + 8);
    g_assert_cmphex(DSA_SWERR_CODE(q0), ==, DSA_ST_HANDLE);
    g_assert_cmphex(q0 & (DSA_SWERR_DESC | DSA_SWERR_WQ), ==,
                    DSA_SWERR_DESC | DSA_SWERR_WQ);
    g_assert_cmphex(extract64(info, 32, 16), ==, 0xabcd);
    g_assert_cmphex(extract64(info, 48, 3), ==, 7);
    g_assert_cmphex(qtest_readb(vm->qts, log + 32), ==, DSA_ST_HANDLE);
    idxd_vm_free(vm);
}

/* One interrupt until software clears the pending bit; the log wraps */
static void test_interrupt(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc bad = { .opcode = 0x3f };
    const unsigned size = 64;

    qidxd_msix_on(d);
    log_on(d, vm->ram + LOG, size);
    for (unsigned i = 0; i < 3 * size; i++) {
        g_assert_cmpuint(log_tail(d), ==, i % size);
        qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &bad);
        qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
        g_assert_cmpint(qidxd_take_message(d, 0), ==, i % 4 == 0);
        g_assert_cmphex(qidxd_readq(d, DSA_EVLSTATUS) & DSA_EVL_PENDING, !=, 0);
        if (i % 4 == 3) {
            /* As Linux does it: two 32-bit writes */
            qidxd_writel(d, DSA_INTCAUSE, DSA_CAUSE_EVL);
            qidxd_writel(d, DSA_EVLSTATUS + 4, 1u << 30);
            qidxd_writel(d, DSA_EVLSTATUS, log_tail(d));
            g_assert_cmphex(qidxd_readq(d, DSA_EVLSTATUS) & DSA_EVL_PENDING,
                            ==, 0);
        }
    }
    g_assert_cmphex(qidxd_readq(d, DSA_SWERROR), ==, 0);
    idxd_vm_free(vm);
}

/* A full log blocks until software makes room, then nothing is missing */
static void test_full(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    QIdxdDesc bad = { .opcode = 0x3f };
    const unsigned size = 64;
    bool overflows = qidxd_readq(d, DSA_GENCAP) & DSA_GENCAP_EVL_OVERFLOW;

    log_on(d, vm->ram + LOG, size);
    for (unsigned i = 0; i < size - 1; i++) {
        qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &bad);
        qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    }
    g_assert_cmpuint(log_tail(d), ==, size - 1);
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &bad);
    qidxd_writel(d, DSA_CMD, DSA_DRAIN_ALL << 20);
    if (overflows) {
        qidxd_wait_command(d);
        g_assert_cmphex(DSA_SWERR_CODE(qidxd_readq(d, DSA_SWERROR)), ==, 0x54);
    } else {
        for (unsigned i = 0; i < 1000; i++) {
            g_assert_cmphex(qidxd_readl(d, DSA_CMDSTS) & DSA_CMDSTS_ACTIVE, !=,
                            0);
        }
        g_assert_cmpuint(log_tail(d), ==, size - 1);
        qidxd_writel(d, DSA_EVLSTATUS, 1);
        g_assert_cmphex(qidxd_wait_command(d), ==, 0);
        g_assert_cmpuint(log_tail(d), ==, 0);
        g_assert_cmphex(qidxd_readq(d, DSA_SWERROR), ==, 0);
    }
    idxd_vm_free(vm);
}

/* -- Records without a place in memory */

static const QIdxdWq wqs[] = {
    { }, { .pasid_enable = true, .pasid = PASID_A },
};

/* The log in one address space, with the PASID of that space */
static void log_on_at(Vtd *m, uint64_t base, unsigned space)
{
    QIdxd *d = &m->vm->dev;
    uint64_t pasid = vtd_pasids[space];

    qidxd_configure(d, ARRAY_SIZE(wqs), wqs);
    qidxd_writeq(d, DSA_EVLCFG, base | (space != NO_PASID));
    qidxd_writeq(d, DSA_EVLCFG + 8, 64 | (space != NO_PASID ? pasid << 16 : 0));
    qidxd_writel(d, DSA_GENCFG, qidxd_readl(d, DSA_GENCFG) | DSA_GENCFG_EVL |
                 DSA_GENCFG_USER_INT);
    qidxd_writel(d, qidxd_perm(d, 2), DSA_ENTRY_PASID(PASID_A));
    qidxd_enable(d, ARRAY_SIZE(wqs));
    vtd_fill(m, space, EVENTS, 0);
}

static bool start(Vtd *m)
{
    if (!vtd_start(m, VTD_SCALABLE, "")) {
        return false;
    }
    vtd_enable_ats(m->vm);
    idxd_vm_enable_pasid(m->vm, false);
    return true;
}

/* An entry of the log in the address space without PASID, table 5-9 */
typedef struct Event {
    uint64_t q0, q1, addr;
    QIdxdRecord rec;
} Event;

static Event read_event(Vtd *m, unsigned index)
{
    uint64_t at = vtd_place(m, NO_PASID, EVENTS) + index * ENTRY_SIZE;
    Event event = {
        .q0 = qtest_readq(m->vm->qts, at),
        .q1 = qtest_readq(m->vm->qts, at + 8),
        .addr = qtest_readq(m->vm->qts, at + 16),
    };

    qidxd_read_record(&m->vm->dev, at + 32, &event.rec);
    return event;
}

#define EVENT_BATCH_ID(e)   extract64((e).q0, 24, 8)
#define EVENT_INDEX(e)      extract64((e).q1, 0, 16)
#define EVENT_HANDLE(e)     extract64((e).q1, 32, 16)
#define EVENT_INT           (1ull << 48)
#define EVENT_RECORD        (1ull << 50)
#define EVENT_FIRST         (1ull << 51)

static void check_event(Event event, uint8_t code, uint64_t flags,
                        uint64_t record, uint8_t status)
{
    g_assert_cmphex(DSA_SWERR_CODE(event.q0), ==, code);
    g_assert_cmphex(event.q0 & (1 << 7), !=, 0);
    g_assert_cmphex(event.q1 & (EVENT_INT | EVENT_RECORD | EVENT_FIRST), ==,
                    flags);
    g_assert_cmphex(event.addr, ==, record);
    g_assert_cmphex(event.rec.status, ==, status);
}

static void submit_and_drain(Vtd *m, unsigned wq, const QIdxdDesc *desc)
{
    qidxd_submit(&m->vm->dev, wq, DSA_PORTAL_LIMITED, desc);
    qidxd_command_ok(&m->vm->dev, DSA_DRAIN_ALL, 0);
}

/*
 * The work is done, and the entry has all that software needs to tell it to
 * whoever waits for the record and the interrupt.
 */
static void check_record(unsigned space)
{
    Vtd m = { };
    unsigned wq = space;
    QIdxdDesc fill = {
        .opcode = DSA_OP_FILL, .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI,
        .record = HOLE + 0x40, .src = 0x6666666666666666ull, .dst = DST,
        .size = PAGE,
    };
    Event event;

    if (!start(&m)) {
        return;
    }
    log_on_at(&m, EVENTS, NO_PASID);
    vtd_fill(&m, space, DST, 0xee);
    fill.handle = qidxd_request_handle(&m.vm->dev, false, wq + 1);
    submit_and_drain(&m, wq, &fill);
    vtd_check(&m, space, DST, 0x66);
    g_assert_cmpuint(log_tail(&m.vm->dev), ==, 1);
    event = read_event(&m, 0);
    check_event(event, DSA_ST_CR_FAULT, EVENT_INT | EVENT_RECORD, HOLE + 0x40,
                DSA_ST_SUCCESS);
    g_assert_cmphex(DSA_SWERR_PASID(event.q0), ==, vtd_pasids[space]);
    g_assert_cmpuint(DSA_SWERR_WQ_INDEX(event.q0), ==, wq);
    g_assert_cmphex(EVENT_HANDLE(event), ==, fill.handle);
    /* What did not go well is in the record, too */
    fill.src = fill.dst = 0;
    fill.opcode = DSA_OP_MEMMOVE;
    fill.flags = DSA_FLAG_CRAV;
    fill.handle = 0;
    submit_and_drain(&m, wq, &fill);
    event = read_event(&m, 1);
    check_event(event, DSA_ST_CR_FAULT, EVENT_RECORD, HOLE + 0x40,
                DSA_ST_FAULT);
    /* Also that its handle was not valid: only this entry has the address */
    submit_and_drain(&m, wq, &(QIdxdDesc) {
        .opcode = DSA_OP_NOP, .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI,
        .record = HOLE + 0x40, .handle = 0xabcd,
    });
    event = read_event(&m, 2);
    check_event(event, DSA_ST_CR_FAULT, EVENT_INT | EVENT_RECORD, HOLE + 0x40,
                DSA_ST_HANDLE);
    g_assert_cmpuint(log_tail(&m.vm->dev), ==, 3);
    g_assert(!qidxd_take_message(&m.vm->dev, wq + 1));
    g_assert_cmphex(qidxd_readq(&m.vm->dev, DSA_SWERROR), ==, 0);
    idxd_vm_free(m.vm);
}

static void test_record(void)
{
    check_record(NO_PASID);
    check_record(SPACE_A);
}

static void write_member(Vtd *m, unsigned i, const QIdxdDesc *desc)
{
    uint8_t buf[DSA_DESC_SIZE];

    qidxd_pack(desc, buf);
    qtest_memwrite(m->vm->qts, vtd_place(m, NO_PASID, LIST) + i * sizeof(buf),
                   buf, sizeof(buf));
}

/*
 * A batch is told after its members, in the log if one of their records is
 * there.  Whether it was a success, the work says, not the place of a record.
 */
static void run_batch(Vtd *m, uint32_t flags, uint8_t last_opcode,
                      unsigned events, uint8_t status)
{
    QIdxdDesc batch = {
        .opcode = DSA_OP_BATCH, .flags = flags | DSA_FLAG_CRAV | DSA_FLAG_RCI,
        .record = RECORD, .src = LIST, .size = 4,
    };
    QIdxdDesc nop = { .flags = DSA_FLAG_RECORD };
    unsigned tail = log_tail(&m->vm->dev);
    Event first, second, last;

    for (unsigned i = 0; i < 3; i++) {
        nop.record = i == 1 ? RECORD + 0x80 : HOLE + i * 0x20;
        write_member(m, i, &nop);
    }
    write_member(m, 3, &(QIdxdDesc) { .opcode = last_opcode });
    vtd_fill(m, NO_PASID, RECORD, 0);
    batch.handle = qidxd_request_handle(&m->vm->dev, false, 1);
    submit_and_drain(m, 0, &batch);
    g_assert_cmpuint(log_tail(&m->vm->dev), ==, tail + events);
    first = read_event(m, tail);
    second = read_event(m, tail + 1);
    last = read_event(m, tail + events - 1);
    check_event(first, DSA_ST_CR_FAULT, EVENT_FIRST | EVENT_RECORD, HOLE,
                DSA_ST_SUCCESS);
    check_event(second, DSA_ST_CR_FAULT, EVENT_RECORD, HOLE + 0x40,
                DSA_ST_SUCCESS);
    g_assert_cmpuint(EVENT_INDEX(first), ==, 0);
    g_assert_cmpuint(EVENT_INDEX(second), ==, 2);
    check_event(last, DSA_ST_BATCH_LOGGED,
                EVENT_INT | (flags ? EVENT_RECORD : 0), RECORD, status);
    g_assert_cmpuint(last.rec.bytes, ==, 4);
    g_assert_cmphex(EVENT_HANDLE(last), ==, batch.handle);
    g_assert_cmphex(EVENT_BATCH_ID(first), ==, EVENT_BATCH_ID(last));
    g_assert_cmphex(EVENT_BATCH_ID(second), ==, EVENT_BATCH_ID(last));
    g_assert_cmphex(qtest_readb(m->vm->qts, vtd_place(m, NO_PASID, RECORD)),
                    ==, DSA_ST_NONE);
    g_assert_cmphex(qtest_readb(m->vm->qts, vtd_place(m, NO_PASID, RECORD) +
                                0x80), ==, DSA_ST_SUCCESS);
    g_assert(!qidxd_take_message(&m->vm->dev, 1));
}

static void test_batch(void)
{
    Vtd m = { };
    QIdxdRecord rec;
    uint64_t record;
    QIdxdDesc batch = {
        .opcode = DSA_OP_BATCH, .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI,
        .record = RECORD, .src = LIST, .size = 2,
    };

    if (!start(&m)) {
        return;
    }
    log_on_at(&m, EVENTS, NO_PASID);
    run_batch(&m, DSA_FLAG_RCR, DSA_OP_NOP, 3, DSA_ST_SUCCESS);
    run_batch(&m, 0, DSA_OP_NOP, 3, DSA_ST_SUCCESS);
    run_batch(&m, 0, 0x3f, 4, DSA_ST_BATCH_FAIL);
    /* Without a place for its record, an error of the batch is told as such */
    vtd_fill(&m, NO_PASID, LIST, 0);
    write_member(&m, 0, &(QIdxdDesc) {
        .flags = DSA_FLAG_RECORD, .record = HOLE });
    batch.handle = qidxd_request_handle(&m.vm->dev, false, 1);
    submit_and_drain(&m, 0, &(QIdxdDesc) {
        .opcode = DSA_OP_BATCH, .flags = DSA_FLAG_RCI, .handle = batch.handle,
        .src = LIST, .size = PAGE / DSA_DESC_SIZE + 1,
    });
    g_assert_cmpuint(log_tail(&m.vm->dev), ==, 12);
    g_assert_cmphex(DSA_SWERR_CODE(read_event(&m, 11).q0), ==,
                    DSA_ST_BATCH_FAULT);
    g_assert(qidxd_take_message(&m.vm->dev, 1));
    /* One that has nothing in the log is told as always, interrupt included */
    write_member(&m, 0, &(QIdxdDesc) { });
    write_member(&m, 1, &(QIdxdDesc) { });
    record = vtd_place(&m, NO_PASID, RECORD);
    submit_and_drain(&m, 0, &batch);
    qidxd_read_record(&m.vm->dev, record, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    g_assert(qidxd_take_message(&m.vm->dev, 1));
    g_assert_cmpuint(log_tail(&m.vm->dev), ==, 12);
    idxd_vm_free(m.vm);
}

/* The log has a PASID of its own, and may itself be out of reach */
static void test_place(void)
{
    Vtd m = { };
    QIdxdDesc nop = { .flags = DSA_FLAG_RECORD, .record = HOLE };
    uint64_t event;

    if (!start(&m)) {
        return;
    }
    for (unsigned space = 0; space < NR_SPACES; space++) {
        vtd_fill(&m, space, EVENTS, 0);
    }
    log_on_at(&m, EVENTS, SPACE_B);
    submit_and_drain(&m, 0, &nop);
    g_assert_cmpuint(log_tail(&m.vm->dev), ==, 1);
    g_assert_cmphex(qidxd_readq(&m.vm->dev, DSA_SWERROR), ==, 0);
    event = vtd_place(&m, SPACE_B, EVENTS);
    g_assert_cmphex(DSA_SWERR_CODE(qtest_readq(m.vm->qts, event)), ==,
                    DSA_ST_CR_FAULT);
    g_assert_cmphex(qtest_readq(m.vm->qts, event + 16), ==, HOLE);
    vtd_check(&m, NO_PASID, EVENTS, 0);
    vtd_check(&m, SPACE_A, EVENTS, 0);
    log_on_at(&m, HOLE, SPACE_B);
    submit_and_drain(&m, 0, &nop);
    g_assert_cmpuint(log_tail(&m.vm->dev), ==, 0);
    g_assert_cmphex(DSA_SWERR_CODE(qidxd_readq(&m.vm->dev, DSA_SWERROR)), ==,
                    0x54);
    idxd_vm_free(m.vm);
}

void idxd_ims_add_event_log_tests(void)
{
    qtest_add_func("/idxd-ims/evl/handle", test_handle);
    qtest_add_func("/idxd-ims/evl/interrupt", test_interrupt);
    qtest_add_func("/idxd-ims/evl/full", test_full);
    qtest_add_func("/idxd-ims/evl/record", test_record);
    qtest_add_func("/idxd-ims/evl/batch", test_batch);
    qtest_add_func("/idxd-ims/evl/place", test_place);
}
