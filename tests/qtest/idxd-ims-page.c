/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: block on fault, page requests and what software answers
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hw/pci/pci_regs.h"
#include "idxd-ims-vtd.h"

/* WQ 0 works in space A, WQ 1 in space B */
#define NR_WQS  2

static unsigned space_of(unsigned wq)
{
    return SPACE_A + wq;
}

static uint64_t record_of(Vtd *m, unsigned wq)
{
    return vtd_place(m, space_of(wq), RECORD);
}

static void bring_up(Vtd *m, uint32_t requests)
{
    QIdxd *d = &m->vm->dev;
    QIdxdWq wqs[NR_WQS] = {
        { .pasid_enable = true, .pasid = PASID_A, .block = true },
        { .pasid_enable = true, .pasid = PASID_B, .block = true },
    };

    vtd_enable_ats(m->vm);
    idxd_vm_enable_pasid(m->vm, false);
    vtd_enable_pri(m->vm, requests);
    qidxd_configure(d, NR_WQS, wqs);
    /* One engine may have to wait while the other one works */
    qidxd_write_group(d, 0, 3, 3);
    qidxd_writel(d, DSA_GENCFG, qidxd_readl(d, DSA_GENCFG) |
                 DSA_GENCFG_USER_INT);
    for (unsigned wq = 0; wq < NR_WQS; wq++) {
        qidxd_writel(d, qidxd_perm(d, wq + 1), DSA_ENTRY_PASID(wqs[wq].pasid));
    }
    qidxd_enable(d, NR_WQS);
}

static bool start(Vtd *m, uint32_t requests)
{
    if (!vtd_start(m, VTD_SVM, "pri=on")) {
        return false;
    }
    bring_up(m, requests);
    return true;
}

/* A copy with its interrupt; the second page of the target is missing */
static void submit_copy(Vtd *m, unsigned wq)
{
    unsigned space = space_of(wq);
    QIdxd *d = &m->vm->dev;

    vtd_unmap(m, space, DST + PAGE);
    vtd_fill(m, space, SRC, 0x11 + wq);
    vtd_fill(m, space, SRC + PAGE, 0x22 + wq);
    vtd_fill(m, space, DST, 0xee);
    vtd_fill(m, space, DST + PAGE, 0xee);
    qtest_memset(m->vm->qts, record_of(m, wq), 0, DSA_RECORD_SIZE);
    qidxd_submit(d, wq, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
        .opcode = DSA_OP_MEMMOVE, .flags = DSA_FLAG_RECORD |
        DSA_FLAG_RCI | DSA_FLAG_BOF, .record = RECORD, .src = SRC, .dst = DST,
        .size = 2 * PAGE, .handle = qidxd_request_handle(d, false, wq + 1) });
}

static void check_waiting(Vtd *m, unsigned wq)
{
    QIdxdRecord rec;

    qidxd_read_record(&m->vm->dev, record_of(m, wq), &rec);
    g_assert_cmphex(rec.status, ==, 0);
    g_assert(!qidxd_take_message(&m->vm->dev, wq + 1));
}

/* The one that submit_copy() leads to */
static void take_request(Vtd *m, VtdRequest *req)
{
    vtd_take_request(m, req);
    g_assert_cmphex(req->addr, ==, DST + PAGE);
    g_assert(req->read != req->write);
    g_assert(req->last);
}

static void check_done(Vtd *m, unsigned wq)
{
    unsigned space = space_of(wq);
    QIdxdRecord rec;

    qidxd_wait_record(&m->vm->dev, record_of(m, wq), &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    vtd_check(m, space, DST, 0x11 + wq);
    vtd_check(m, space, DST + PAGE, 0x22 + wq);
    qidxd_wait_message(&m->vm->dev, wq + 1);
}

/* The page stays missing: with the status that says so, and its interrupt */
static void check_refused(Vtd *m, unsigned wq, uint8_t status)
{
    QIdxdRecord rec;

    qidxd_wait_record(&m->vm->dev, record_of(m, wq), &rec);
    g_assert_cmphex(rec.status, ==, status);
    g_assert_cmphex(rec.fault_addr & ~(PAGE - 1ull), ==, DST + PAGE);
    g_assert_cmphex(rec.bytes, ==, PAGE);
    vtd_check(m, space_of(wq), DST, 0x11 + wq);
    vtd_check(m, space_of(wq), DST + PAGE, 0xee);
    qidxd_wait_message(&m->vm->dev, wq + 1);
}

static void grant(Vtd *m, unsigned wq, const VtdRequest *req)
{
    vtd_map(m, space_of(wq), DST + PAGE, true);
    vtd_respond(m, req, VTD_RESPONSE_SUCCESS);
}

/* Once an engine has done this, the others saw what was answered before */
static void settle(Vtd *m)
{
    uint64_t record = vtd_place(m, SPACE_B, LIST);
    QIdxdRecord rec;

    qtest_memset(m->vm->qts, record, 0, DSA_RECORD_SIZE);
    qidxd_submit(&m->vm->dev, 1, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
        .opcode = DSA_OP_NOP, .flags = DSA_FLAG_RECORD, .record = LIST });
    qidxd_wait_record(&m->vm->dev, record, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
}

/* Both WQs wait, each for its own page, and nothing is taken for a fault */
static void test_grant(void)
{
    VtdRequest reqs[NR_WQS];
    Vtd m = { };

    if (!start(&m, 0x200)) {
        return;
    }
    for (unsigned wq = 0; wq < NR_WQS; wq++) {
        submit_copy(&m, wq);
        take_request(&m, &reqs[wq]);
        g_assert_cmphex(reqs[wq].pasid, ==, vtd_pasids[space_of(wq)]);
        g_assert_cmphex(reqs[wq].rid, ==, m.vm->dev.pci.devfn);
        g_assert(reqs[wq].write);
    }
    g_assert_cmphex(reqs[0].group, !=, reqs[1].group);
    check_waiting(&m, 0);
    grant(&m, 1, &reqs[1]);
    check_done(&m, 1);
    check_waiting(&m, 0);
    grant(&m, 0, &reqs[0]);
    check_done(&m, 0);
    g_assert(!vtd_has_request(&m));
    g_assert(!vtd_fault_recorded(&m));
    idxd_vm_free(m.vm);
}

/* Success without a page: the device asks again */
static void test_again(void)
{
    VtdRequest first, second;
    Vtd m = { };

    if (!start(&m, 0x200)) {
        return;
    }
    submit_copy(&m, 0);
    take_request(&m, &first);
    vtd_respond(&m, &first, VTD_RESPONSE_SUCCESS);
    take_request(&m, &second);
    check_waiting(&m, 0);
    /* The response to the first one was had */
    grant(&m, 0, &first);
    settle(&m);
    check_waiting(&m, 0);
    vtd_respond(&m, &second, VTD_RESPONSE_SUCCESS);
    check_done(&m, 0);
    idxd_vm_free(m.vm);
}

static void test_refuse(void)
{
    VtdRequest req;
    Vtd m = { };

    if (!start(&m, 0x200)) {
        return;
    }
    submit_copy(&m, 0);
    take_request(&m, &req);
    vtd_respond(&m, &req, VTD_RESPONSE_INVALID);
    check_refused(&m, 0, DSA_ST_RESPONSE | 0x80);
    /* That was for this page, this time */
    submit_copy(&m, 0);
    take_request(&m, &req);
    grant(&m, 0, &req);
    check_done(&m, 0);
    idxd_vm_free(m.vm);
}

/* Granted again and again, and never there: the device gives up in the end */
static void test_never_there(void)
{
    VtdRequest req;
    unsigned tries = 0;
    Vtd m = { };

    if (!start(&m, 0x200)) {
        return;
    }
    submit_copy(&m, 0);
    while (tries < 100) {
        take_request(&m, &req);
        vtd_respond(&m, &req, VTD_RESPONSE_SUCCESS);
        tries++;
    }
    check_refused(&m, 0, DSA_ST_RESPONSE | 0x80);
    g_assert(!vtd_has_request(&m));
    submit_copy(&m, 0);
    take_request(&m, &req);
    grant(&m, 0, &req);
    check_done(&m, 0);
    idxd_vm_free(m.vm);
}

/* Response Failure: for all, and until software clears the bit */
static void test_failure(void)
{
    VtdRequest reqs[NR_WQS];
    unsigned status;
    Vtd m = { };

    if (!start(&m, 0x200)) {
        return;
    }
    status = idxd_vm_ext_cap(m.vm, PCI_EXT_CAP_ID_PRI) + PCI_PRI_CTRL;
    for (unsigned wq = 0; wq < NR_WQS; wq++) {
        submit_copy(&m, wq);
        take_request(&m, &reqs[wq]);
    }
    vtd_respond(&m, &reqs[0], VTD_RESPONSE_FAILURE);
    check_refused(&m, 0, DSA_ST_TRANSLATION);
    check_refused(&m, 1, DSA_ST_TRANSLATION);
    g_assert_cmphex(idxd_vm_ecam_readl(m.vm, status) >> 16 & PCI_PRI_STATUS_RF,
                    !=, 0);
    g_assert_cmphex(DSA_SWERR_CODE(qidxd_readq(&m.vm->dev, DSA_SWERROR)), ==,
                    DSA_ST_TRANSLATION);
    submit_copy(&m, 0);
    check_refused(&m, 0, DSA_ST_TRANSLATION);
    g_assert(!vtd_has_request(&m));
    idxd_vm_ecam_writel(m.vm, status, PCI_PRI_STATUS_RF << 16 |
                        PCI_PRI_CTRL_ENABLE);
    submit_copy(&m, 0);
    take_request(&m, &reqs[0]);
    grant(&m, 0, &reqs[0]);
    check_done(&m, 0);
    idxd_vm_free(m.vm);
}

/* Software allows one request: the other engine waits for its turn */
static void test_allocation(void)
{
    VtdRequest req;
    unsigned wq;
    Vtd m = { };

    if (!start(&m, 1)) {
        return;
    }
    submit_copy(&m, 0);
    submit_copy(&m, 1);
    for (unsigned turn = 0; turn < NR_WQS; turn++) {
        take_request(&m, &req);
        wq = req.pasid == PASID_B;
        g_assert_cmpuint(wq, ==, turn);
        g_assert(!vtd_has_request(&m));
        check_waiting(&m, wq);
        grant(&m, wq, &req);
        check_done(&m, wq);
    }
    idxd_vm_free(m.vm);
}

/* Whoever waits can be aborted; what is answered then is nobody's */
static void test_abort(void)
{
    VtdRequest old, req;
    Vtd m = { };

    if (!start(&m, 0x200)) {
        return;
    }
    submit_copy(&m, 0);
    take_request(&m, &old);
    qidxd_command_ok(&m.vm->dev, DSA_ABORT_WQ, 1);
    submit_copy(&m, 0);
    take_request(&m, &req);
    g_assert_cmphex(req.group, !=, old.group);
    vtd_respond(&m, &old, VTD_RESPONSE_INVALID);
    settle(&m);
    check_waiting(&m, 0);
    grant(&m, 0, &req);
    check_done(&m, 0);
    idxd_vm_free(m.vm);
}

/* The same for a reset, and a device that has been set up again */
static void test_reset(void)
{
    VtdRequest req;
    Vtd m = { };

    if (!start(&m, 0x200)) {
        return;
    }
    submit_copy(&m, 0);
    take_request(&m, &req);
    idxd_vm_flr(m.vm);
    idxd_vm_rediscover(m.vm);
    qidxd_msix_on(&m.vm->dev);
    bring_up(&m, 0x200);
    grant(&m, 0, &req);
    settle(&m);
    check_waiting(&m, 0);
    vtd_check(&m, SPACE_A, DST + PAGE, 0xee);
    idxd_vm_free(m.vm);
}

/* And for a device that is gone: only the sanitizers see who is called then */
static void test_unplug(void)
{
    VtdRequest req;
    Vtd m = { };

    if (!vtd_start_port(&m, "pri=on")) {
        return;
    }
    bring_up(&m, 0x200);
    submit_copy(&m, 0);
    take_request(&m, &req);
    idxd_vm_unplug(m.vm);
    grant(&m, 0, &req);
    idxd_vm_free(m.vm);
}

/* The destination asks again, and does not wait for what the source asked */
static void test_migration(void)
{
    VtdRequest old, req;
    Vtd m = { };

    if (!start(&m, 0x200)) {
        return;
    }
    submit_copy(&m, 0);
    take_request(&m, &old);
    qtest_qmp_assert_success(m.vm->qts, "{ 'execute': 'stop' }");
    m.vm = idxd_vm_move(m.vm);
    qtest_qmp_assert_success(m.vm->qts, "{ 'execute': 'cont' }");
    take_request(&m, &req);
    g_assert_cmphex(req.group, !=, old.group);
    vtd_respond(&m, &old, VTD_RESPONSE_INVALID);
    settle(&m);
    check_waiting(&m, 0);
    grant(&m, 0, &req);
    check_done(&m, 0);
    idxd_vm_free(m.vm);
}

static QIdxdDesc compare(uint64_t src, uint64_t dst, uint32_t size,
                         uint64_t record)
{
    return (QIdxdDesc) {
        .opcode = DSA_OP_COMPARE, .src = src, .dst = dst, .size = size,
        .flags = DSA_FLAG_BOF | DSA_FLAG_RECORD, .record = record,
    };
}

/* Waits for its turn, and needs none when the page is there before */
static void test_appeared(void)
{
    QIdxdDesc desc = compare(SRC, DST, 2 * PAGE, RECORD);
    QIdxdRecord rec;
    VtdRequest req;
    Vtd m = { };

    if (!start(&m, 1)) {
        return;
    }
    submit_copy(&m, 0);
    take_request(&m, &req);
    vtd_unmap(&m, SPACE_B, DST + PAGE);
    vtd_fill(&m, SPACE_B, SRC, 0x33);
    vtd_fill(&m, SPACE_B, DST, 0x33);
    vtd_fill(&m, SPACE_B, SRC + PAGE, 0x33);
    vtd_fill(&m, SPACE_B, DST + PAGE, 0x44);
    qtest_memset(m.vm->qts, record_of(&m, 1), 0, DSA_RECORD_SIZE);
    qidxd_submit(&m.vm->dev, 1, DSA_PORTAL_LIMITED, &desc);
    qidxd_read_record(&m.vm->dev, record_of(&m, 1), &rec);
    g_assert_cmphex(rec.status, ==, 0);
    g_assert(!vtd_has_request(&m));
    vtd_map(&m, SPACE_B, DST + PAGE, true);
    grant(&m, 0, &req);
    check_done(&m, 0);
    qidxd_wait_record(&m.vm->dev, record_of(&m, 1), &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    g_assert_cmphex(rec.result, ==, 1);
    g_assert_cmphex(rec.bytes, ==, PAGE);
    idxd_vm_free(m.vm);
}

static void submit_batch(Vtd *m, const QIdxdDesc *list, unsigned nr)
{
    uint64_t at = vtd_place(m, SPACE_A, LIST);

    for (unsigned i = 0; i < nr; i++) {
        uint8_t desc[DSA_DESC_SIZE];

        qidxd_pack(&list[i], desc);
        qtest_bufwrite(m->vm->qts, at + i * sizeof(desc), desc, sizeof(desc));
    }
    qtest_memset(m->vm->qts, record_of(m, 0), 0, DSA_RECORD_SIZE);
    qidxd_submit(&m->vm->dev, 0, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
        .opcode = DSA_OP_BATCH, .flags = DSA_FLAG_RECORD, .record = RECORD,
        .src = LIST, .size = nr });
}

/* What was answered to one member of a batch is nothing to the next one */
static void test_batch_refuse(void)
{
    QIdxdDesc list[] = {
        compare(SRC, DST + PAGE, PAGE, EVENTS),
        compare(SRC, DST + PAGE, PAGE, EVENTS + DSA_RECORD_SIZE),
    };
    QIdxdRecord rec;
    VtdRequest req;
    Vtd m = { };

    if (!start(&m, 0x200)) {
        return;
    }
    vtd_unmap(&m, SPACE_A, DST + PAGE);
    vtd_fill(&m, SPACE_A, SRC, 0x33);
    vtd_fill(&m, SPACE_A, DST + PAGE, 0x44);
    submit_batch(&m, list, ARRAY_SIZE(list));
    take_request(&m, &req);
    /* Too late for the answer, in time for the device */
    vtd_map(&m, SPACE_A, DST + PAGE, true);
    vtd_respond(&m, &req, VTD_RESPONSE_INVALID);
    qidxd_wait_record(&m.vm->dev, record_of(&m, 0), &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    /* And the same with a page that both miss */
    vtd_unmap(&m, SPACE_A, DST + PAGE);
    submit_batch(&m, list, ARRAY_SIZE(list));
    for (unsigned i = 0; i < ARRAY_SIZE(list); i++) {
        take_request(&m, &req);
        vtd_respond(&m, &req, VTD_RESPONSE_INVALID);
    }
    qidxd_wait_record(&m.vm->dev, record_of(&m, 0), &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_BATCH_FAIL);
    g_assert(!vtd_has_request(&m));
    idxd_vm_free(m.vm);
}

/* In a batch, each member has the flag for itself */
static void test_batch(void)
{
    QIdxdDesc list[] = {
        { .opcode = DSA_OP_FILL, .flags = DSA_FLAG_BOF, .src = ~0ull,
          .dst = DST + PAGE, .size = PAGE },
        { .opcode = DSA_OP_FILL, .src = ~0ull, .dst = HOLE, .size = PAGE },
    };
    QIdxdRecord rec;
    VtdRequest req;
    Vtd m = { };

    if (!start(&m, 0x200)) {
        return;
    }
    vtd_unmap(&m, SPACE_A, DST + PAGE);
    vtd_fill(&m, SPACE_A, DST + PAGE, 0xee);
    submit_batch(&m, list, ARRAY_SIZE(list));
    take_request(&m, &req);
    grant(&m, 0, &req);
    qidxd_wait_record(&m.vm->dev, record_of(&m, 0), &rec);
    /* The second one faulted, and nobody was asked */
    g_assert_cmphex(rec.status, ==, DSA_ST_BATCH_FAIL);
    g_assert_cmphex(rec.bytes, ==, ARRAY_SIZE(list));
    vtd_check(&m, SPACE_A, DST + PAGE, 0xff);
    g_assert(!vtd_has_request(&m));
    idxd_vm_free(m.vm);
}

void idxd_ims_add_page_tests(void)
{
    qtest_add_func("/idxd-ims/page/grant", test_grant);
    qtest_add_func("/idxd-ims/page/again", test_again);
    qtest_add_func("/idxd-ims/page/never-there", test_never_there);
    qtest_add_func("/idxd-ims/page/refuse", test_refuse);
    qtest_add_func("/idxd-ims/page/failure", test_failure);
    qtest_add_func("/idxd-ims/page/allocation", test_allocation);
    qtest_add_func("/idxd-ims/page/abort", test_abort);
    qtest_add_func("/idxd-ims/page/reset", test_reset);
    qtest_add_func("/idxd-ims/page/unplug", test_unplug);
    qtest_add_func("/idxd-ims/page/migration", test_migration);
    qtest_add_func("/idxd-ims/page/appeared", test_appeared);
    qtest_add_func("/idxd-ims/page/batch", test_batch);
    qtest_add_func("/idxd-ims/page/batch-refuse", test_batch_refuse);
}
