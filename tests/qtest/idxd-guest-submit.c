/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: submissions that a CPU makes in one piece
 *
 * Sections 3.3, 5.3 and 9.3 of the specification; Intel SDM volume 2, ENQCMD.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/bswap.h"
#include "idxd-guest-test.h"

#define ENTRIES     8
#define THRESHOLD   4
#define PASID       0x54321
#define SWERR_PRIV  (1ull << 6)
#define SWERR_CLEAR 3
#define DSA_ERR_WQ_FULL 0x53

/* Nothing is there on q35 */
#define HOLE        0xd0000000u

/* Work for seconds, unless it is aborted */
#define BUSY_BATCH  1024
#define BUSY_SIZE   (8u << 20)
#define BUSY_LIST   0x600000
#define BUSY_DEST   0x800000

static void run_insn(IdxdVM *vm, const char *code, size_t size, uint64_t dest,
                     IdxdGuestMode mode, IdxdGuestRun *run)
{
    *run = (IdxdGuestRun) {
        .mode = mode, .code = (const uint8_t *)code, .code_size = size,
        .rsi = vm->ram + SOURCE, .rdi = dest,
    };
    idxd_guest_run(vm, run);
    g_assert_cmpuint(run->vector, ==, IDXD_GUEST_DONE);
}

static void movdir64b(IdxdVM *vm, uint64_t dest)
{
    IdxdGuestRun run;

    run_insn(vm, MOVDIR64B, sizeof(MOVDIR64B) - 1, dest, IDXD_GUEST_KERNEL,
             &run);
}

/* With all status flags set before; returns whether the device has taken it */
static bool enqueue(IdxdVM *vm, bool super, uint64_t dest, IdxdGuestMode mode)
{
    static const char prepare[] = "\x68\xd7\x08\x00\x00\x9d"; /* push, popf */
    static const char insns[][sizeof(ENQCMD)] = { ENQCMD, ENQCMDS };
    char code[sizeof(prepare) + sizeof(ENQCMD) - 2];
    uint32_t status;
    IdxdGuestRun run;

    memcpy(code, prepare, sizeof(prepare) - 1);
    memcpy(code + sizeof(prepare) - 1, insns[super], sizeof(ENQCMD) - 1);
    run_insn(vm, code, sizeof(code), dest, mode, &run);
    status = run.rflags & IDXD_GUEST_STATUS;
    g_assert(status == 0 || status == IDXD_GUEST_ZF);
    return !status;
}

static bool enqcmd(IdxdVM *vm, uint64_t dest)
{
    return enqueue(vm, false, dest, IDXD_GUEST_KERNEL);
}

static void bring_up(IdxdVM *vm, const QIdxdWq *wqs, unsigned nr)
{
    QIdxd *d = &vm->dev;

    idxd_vm_enable_pasid(vm, true);
    qidxd_msix_on(d);
    qidxd_configure(d, nr, wqs);
    for (unsigned i = 0; i < nr; i++) {
        qidxd_writel(d, qidxd_wqcfg(d, i, 1), THRESHOLD);
    }
    qidxd_writel(d, DSA_GENCFG,
                 qidxd_readl(d, DSA_GENCFG) | DSA_GENCFG_USER_INT);
    qidxd_enable(d, nr);
}

static void shared_up(IdxdVM *vm)
{
    bring_up(vm, &(QIdxdWq) {
        .size = ENTRIES, .shared = true, .pasid_enable = true,
    }, 1);
}

static uint64_t record(IdxdVM *vm, unsigned n)
{
    return vm->ram + IDXD_VM_RECORD + n * DSA_RECORD_SIZE;
}

static void clear_record(IdxdVM *vm, unsigned n)
{
    qtest_memset(vm->qts, record(vm, n), 0, DSA_RECORD_SIZE);
}

static void expect_record(IdxdVM *vm, unsigned n, uint8_t status)
{
    QIdxdRecord rec;

    qidxd_wait_record(&vm->dev, record(vm, n), &rec);
    g_assert_cmphex(rec.status, ==, status);
}

/* Each of the 64 places in a page, and all kinds of portals */
static void test_direct(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "pasid=on");
    unsigned n = 0;

    if (!vm) {
        return;
    }
    bring_up(vm, &(QIdxdWq) { .size = ENTRIES }, 1);
    for (QIdxdPortal p = DSA_PORTAL_UNLIMITED; p <= DSA_PORTAL_IMS_LIMITED;
         p++) {
        for (unsigned off = 0; off < 0x1000; off += DSA_DESC_SIZE) {
            QIdxdDesc desc = idxd_vm_desc(vm, DSA_OP_FILL);

            desc.src = ++n;
            put_source(vm, &desc);
            clear_record(vm, 0);
            movdir64b(vm, portal_address(vm, 0, p) + off);
            expect_record(vm, 0, DSA_ST_SUCCESS);
            g_assert_cmpuint(qtest_readq(vm->qts, desc.dst), ==, n);
        }
    }
    g_assert_cmphex(qidxd_readq(&vm->dev, DSA_SWERROR), ==, 0);
    idxd_vm_free(vm);
}

/* What has no use for 64 bytes gets 8 at a time */
static void test_split(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "pasid=on");
    QIdxd *d;
    uint64_t value[8];

    if (!vm) {
        return;
    }
    d = &vm->dev;
    qidxd_configure(d, 1, &(QIdxdWq) { });
    for (unsigned i = 0; i < ARRAY_SIZE(value); i++) {
        value[i] = 0x1111111111111111 * (i + 1);
        qtest_writeq(vm->qts, vm->ram + SOURCE + 8 * i, value[i]);
    }
    /* Four entries of the MSI-X table, which share a page with registers */
    movdir64b(vm, d->regs.addr + d->pci.msix_table_off);
    for (unsigned i = 0; i < ARRAY_SIZE(value); i++) {
        g_assert_cmphex(qidxd_readq(d, d->pci.msix_table_off + 8 * i), ==,
                        value[i]);
    }
    /* The first group's WQs: 256 bits, of which 8 exist; then its engines */
    memset(value, 0, sizeof(value));
    value[0] = 0x5;
    value[4] = 0xa;
    qtest_memwrite(vm->qts, vm->ram + SOURCE, value, sizeof(value));
    movdir64b(vm, d->regs.addr + d->grpcfg);
    g_assert_cmphex(qidxd_readq(d, d->grpcfg), ==, 0x5);
    g_assert_cmphex(qidxd_readq(d, d->grpcfg + DSA_GRPCFG_ENGINES), ==, 0xa);
    idxd_vm_free(vm);
}

/* The only engine has something to do from now on, and the WQs are empty */
static void keep_busy(IdxdVM *vm, unsigned wq)
{
    g_autofree uint8_t *list = g_malloc(BUSY_BATCH * DSA_DESC_SIZE);
    QIdxdDesc batch = {
        .opcode = DSA_OP_BATCH, .flags = DSA_FLAG_RECORD,
        .record = record(vm, 100), .src = vm->ram + BUSY_LIST,
        .size = BUSY_BATCH,
    };
    QIdxdDesc fill = {
        .opcode = DSA_OP_FILL, .flags = DSA_FLAG_RECORD,
        .record = record(vm, 101), .dst = vm->ram + BUSY_DEST,
        .size = BUSY_SIZE,
    };

    for (unsigned i = 0; i < BUSY_BATCH; i++) {
        qidxd_pack(&fill, list + i * DSA_DESC_SIZE);
    }
    qtest_memwrite(vm->qts, batch.src, list, BUSY_BATCH * DSA_DESC_SIZE);
    clear_record(vm, 101);
    put_source(vm, &batch);
    movdir64b(vm, portal_address(vm, wq, DSA_PORTAL_LIMITED));
    expect_record(vm, 101, DSA_ST_SUCCESS);
}

/* One more than fit in is lost, and reported */
static void test_direct_full(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "pasid=on,engines=1");
    QIdxd *d;
    QIdxdDesc nop = { .flags = DSA_FLAG_RECORD };
    uint64_t error;

    if (!vm) {
        return;
    }
    d = &vm->dev;
    bring_up(vm, &(QIdxdWq) { .size = ENTRIES }, 1);
    keep_busy(vm, 0);
    for (unsigned i = 0; i <= ENTRIES; i++) {
        g_assert_cmphex(qidxd_readq(d, DSA_SWERROR), ==, 0);
        nop.record = record(vm, i);
        put_source(vm, &nop);
        movdir64b(vm, portal_address(vm, 0, DSA_PORTAL_LIMITED));
    }
    error = qidxd_readq(d, DSA_SWERROR);
    g_assert_cmphex(error & DSA_SWERR_VALID, !=, 0);
    g_assert_cmphex(DSA_SWERR_CODE(error), ==, DSA_ERR_WQ_FULL);
    g_assert_cmpuint(qtest_readb(vm->qts, record(vm, 100)), ==, DSA_ST_NONE);
    qidxd_command_ok(d, DSA_ABORT_ALL, 0);
    idxd_vm_free(vm);
}

/* The PASID is that of the CPU, and the interrupt needs it, section 5.4 */
static void test_enqueue(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "pasid=on");
    QIdxd *d;
    QIdxdDesc nop = { .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI };

    if (!vm) {
        return;
    }
    d = &vm->dev;
    shared_up(vm);
    nop.record = record(vm, 0);
    nop.handle = qidxd_request_handle(d, false, 1);
    put_source(vm, &nop);
    qidxd_writel(d, qidxd_perm(d, 1), DSA_ENTRY_PASID(PASID));
    for (unsigned i = 0; i < 8; i++) {
        bool match = i % 2;
        IdxdGuestMode mode = i & 4 ? IDXD_GUEST_USER : IDXD_GUEST_KERNEL;

        clear_record(vm, 0);
        set_pasid(vm, 0, PASID_VALID | (match ? PASID : PASID ^ 1 << i));
        g_assert_true(enqueue(vm, false,
                              portal_address(vm, 0, DSA_PORTAL_LIMITED) +
                              i * DSA_DESC_SIZE, mode));
        expect_record(vm, 0, match ? DSA_ST_SUCCESS : DSA_ST_HANDLE);
        qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
        g_assert_cmpint(qidxd_take_message(d, 1), ==, match);
    }
    idxd_vm_free(vm);
}

/* Who the device takes for the submitter, as it reports an error */
static void check_identity(IdxdVM *vm, bool super, uint32_t first,
                           uint32_t pasid, bool priv)
{
    QIdxdDesc bad = { .pasid = first, .opcode = 0xff };
    QIdxd *d = &vm->dev;
    uint64_t error;

    put_source(vm, &bad);
    g_assert_true(enqueue(vm, super,
                          portal_address(vm, 0, DSA_PORTAL_UNLIMITED),
                          IDXD_GUEST_KERNEL));
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    error = qidxd_readq(d, DSA_SWERROR);
    g_assert_cmphex(error & DSA_SWERR_VALID, !=, 0);
    g_assert_cmphex(DSA_SWERR_PASID(error), ==, pasid);
    g_assert_cmpint(!!(error & SWERR_PRIV), ==, priv);
    qidxd_writeq(d, DSA_SWERROR, SWERR_CLEAR);
}

static void test_identity(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "pasid=on");

    if (!vm) {
        return;
    }
    shared_up(vm);
    set_pasid(vm, 0, PASID_VALID | 0xfffff);
    check_identity(vm, false, 0, 0xfffff, false);
    set_pasid(vm, 0, PASID_VALID | PASID);
    check_identity(vm, false, 0, PASID, false);
    check_identity(vm, true, 0, 0, false);
    check_identity(vm, true, 0xabcde, 0xabcde, false);
    check_identity(vm, true, 1u << 31 | 0xfffff, 0xfffff, true);
    /* ENQCMDS does not look at the MSR */
    set_pasid(vm, 0, 0);
    check_identity(vm, true, 1u << 31 | 1, 1, true);
    idxd_vm_free(vm);
}

/* What faults before the device hears of it */
static void test_checks(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "pasid=on");
    IdxdGuestRun run;
    uint64_t portal;

    if (!vm) {
        return;
    }
    shared_up(vm);
    portal = portal_address(vm, 0, DSA_PORTAL_UNLIMITED);
    for (unsigned bit = 20; bit < 64; bit++) {
        run = (IdxdGuestRun) {
            IDXD_GUEST_CODE("\x0f\x30"), .rcx = MSR_IA32_PASID,
            .rax = (uint32_t)BIT_ULL(bit), .rdx = BIT_ULL(bit) >> 32,
        };
        if (bit != 31) {
            expect_fault(vm, &run, IDXD_GUEST_GP, 0);
        }
    }
    set_pasid(vm, 0, PASID);
    fill_source(vm, 0, 0);
    run = (IdxdGuestRun) {
        IDXD_GUEST_CODE(ENQCMD), .rsi = vm->ram + SOURCE, .rdi = portal,
    };
    expect_fault(vm, &run, IDXD_GUEST_GP, 0);
    set_pasid(vm, 0, PASID_VALID | PASID);
    g_assert_true(enqcmd(vm, portal));
    run.rdi = portal + 32;
    expect_fault(vm, &run, IDXD_GUEST_GP, 0);
    for (unsigned bit = 0; bit < 32; bit++) {
        fill_source(vm, BIT(bit), 0);
        run = (IdxdGuestRun) {
            IDXD_GUEST_CODE(ENQCMD), .rsi = vm->ram + SOURCE, .rdi = portal,
        };
        expect_fault(vm, &run, IDXD_GUEST_GP, 0);
        run = (IdxdGuestRun) {
            IDXD_GUEST_CODE(ENQCMDS), .rsi = vm->ram + SOURCE, .rdi = portal,
        };
        if (bit >= 20 && bit < 31) {
            expect_fault(vm, &run, IDXD_GUEST_GP, 0);
        } else {
            g_assert_true(enqueue(vm, true, portal, IDXD_GUEST_KERNEL));
            qidxd_command_ok(&vm->dev, DSA_DRAIN_ALL, 0);
        }
    }
    fill_source(vm, 0, 0);
    run.mode = IDXD_GUEST_USER;
    expect_fault(vm, &run, IDXD_GUEST_GP, 0);
    /* RDMSR has what WRMSR has left */
    run = (IdxdGuestRun) {
        IDXD_GUEST_CODE("\x0f\x32"), .rcx = MSR_IA32_PASID,
        .rax = UINT64_MAX, .rdx = UINT64_MAX,
    };
    idxd_guest_run(vm, &run);
    g_assert_cmphex(run.rax, ==, PASID_VALID | PASID);
    g_assert_cmphex(run.rdx, ==, 0);
    idxd_vm_free(vm);
}

/* The MSR migrates with the CPU */
static void test_migration(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "pasid=on");

    if (!vm) {
        return;
    }
    shared_up(vm);
    set_pasid(vm, 0, PASID_VALID | PASID);
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'stop' }");
    vm = idxd_vm_move(vm);
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'cont' }");
    check_identity(vm, false, 0, PASID, false);
    idxd_vm_free(vm);
}

/* Table of 9.3, and SDM: what is no enqueue register answers Retry as well */
static void test_retry(void)
{
    const QIdxdWq wqs[] = {
        { .size = ENTRIES, .shared = true, .pasid_enable = true },
        { .size = ENTRIES, .pasid_enable = true, .pasid = PASID },
    };
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "pasid=on");
    QIdxdDesc nop = { .flags = DSA_FLAG_RECORD };
    QIdxd *d;

    if (!vm) {
        return;
    }
    d = &vm->dev;
    bring_up(vm, wqs, 2);
    set_pasid(vm, 0, PASID_VALID | PASID);
    nop.record = record(vm, 0);
    put_source(vm, &nop);
    clear_record(vm, 0);
    g_assert_false(enqcmd(vm, portal_address(vm, 1, DSA_PORTAL_LIMITED)));
    g_assert_false(enqcmd(vm, portal_address(vm, 2, DSA_PORTAL_LIMITED)));
    g_assert_false(enqcmd(vm, d->regs.addr + d->grpcfg));
    g_assert_false(enqcmd(vm, d->regs.addr + d->pci.msix_table_off));
    g_assert_false(enqcmd(vm, HOLE));
    /* Nothing of it is in memory */
    qtest_memset(vm->qts, vm->ram + DEST, 0xee, DSA_DESC_SIZE);
    g_assert_false(enqcmd(vm, vm->ram + DEST));
    for (unsigned i = 0; i < DSA_DESC_SIZE; i += 8) {
        g_assert_cmphex(qtest_readq(vm->qts, vm->ram + DEST + i), ==,
                        0xeeeeeeeeeeeeeeee);
    }
    /* Posted writes do not reach a shared WQ */
    movdir64b(vm, portal_address(vm, 0, DSA_PORTAL_LIMITED));
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    g_assert_cmphex(qtest_readb(vm->qts, record(vm, 0)), ==, DSA_ST_NONE);

    g_assert_true(enqcmd(vm, portal_address(vm, 0, DSA_PORTAL_LIMITED)));
    expect_record(vm, 0, DSA_ST_SUCCESS);
    qidxd_command_ok(d, DSA_DISABLE_WQ, qidxd_wq_operand(0));
    g_assert_false(enqcmd(vm, portal_address(vm, 0, DSA_PORTAL_LIMITED)));
    idxd_vm_free(vm);
}

/* A limited portal takes less than the WQ has, section 9.2.24 */
static void test_enqueue_full(void)
{
    const QIdxdWq wqs[] = {
        { .size = ENTRIES, .shared = true, .pasid_enable = true },
        { .size = ENTRIES, .pasid_enable = true, .pasid = PASID },
    };
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "pasid=on,engines=1");
    QIdxdDesc nop = { .flags = DSA_FLAG_RECORD };

    if (!vm) {
        return;
    }
    bring_up(vm, wqs, 2);
    set_pasid(vm, 0, PASID_VALID | PASID);
    keep_busy(vm, 1);
    for (unsigned i = 0; i < 2 * ENTRIES; i++) {
        bool accepted;

        nop.record = record(vm, i);
        put_source(vm, &nop);
        accepted = enqcmd(vm, portal_address(vm, 0, DSA_PORTAL_LIMITED));
        g_assert_cmpint(accepted, ==, i < THRESHOLD);
        if (!accepted) {
            accepted = enqcmd(vm,
                              portal_address(vm, 0, DSA_PORTAL_UNLIMITED));
        }
        g_assert_cmpint(accepted, ==, i < ENTRIES);
    }
    g_assert_cmpuint(qtest_readb(vm->qts, record(vm, 100)), ==, DSA_ST_NONE);
    g_assert_cmphex(qidxd_readq(&vm->dev, DSA_SWERROR), ==, 0);
    qidxd_command_ok(&vm->dev, DSA_ABORT_ALL, 0);
    idxd_vm_free(vm);
}

void idxd_guest_add_submit_tests(void)
{
    qtest_add_func("/idxd-guest/submit/direct", test_direct);
    qtest_add_func("/idxd-guest/submit/direct-full", test_direct_full);
    qtest_add_func("/idxd-guest/submit/split", test_split);
    qtest_add_func("/idxd-guest/submit/enqueue", test_enqueue);
    qtest_add_func("/idxd-guest/submit/enqueue-full", test_enqueue_full);
    qtest_add_func("/idxd-guest/submit/identity", test_identity);
    qtest_add_func("/idxd-guest/submit/checks", test_checks);
    qtest_add_func("/idxd-guest/submit/migration", test_migration);
    qtest_add_func("/idxd-guest/submit/retry", test_retry);
}
