/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: priorities of work queues, and traffic classes
 *
 * Chapter 4 and sections 5.4, 5.8.1 and 9.1.4 of the specification, and the
 * virtual channels of its appendix C.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "hw/pci/pci_regs.h"
#include "idxd-ims-vm.h"

/* -- Section 4.1 */

#define NR_WQS      3
#define PER_WQ      8
#define NR_DESCS    (NR_WQS * PER_WQ)
#define LISTS       0x4000
#define LOG         0x8000

/* What the arbiter of section 4.1 does with full queues */
static void expected_order(const unsigned *priority, uint8_t *order)
{
    unsigned left[NR_WQS], turns[NR_WQS], n = 0;

    for (unsigned wq = 0; wq < NR_WQS; wq++) {
        left[wq] = PER_WQ;
    }
    while (n < NR_DESCS) {
        bool any = true;

        memcpy(turns, priority, sizeof(turns));
        while (any) {
            any = false;
            for (unsigned wq = 0; wq < NR_WQS; wq++) {
                if (left[wq] && turns[wq]) {
                    left[wq]--;
                    turns[wq]--;
                    order[n++] = wq;
                    any = true;
                }
            }
        }
    }
}

/* A batch that puts the number of its WQ in front of the log */
static void write_list(IdxdVM *vm, unsigned wq)
{
    uint8_t list[2 * DSA_DESC_SIZE];

    qidxd_pack(&(QIdxdDesc) {
        .opcode = DSA_OP_MEMMOVE, .src = vm->ram + LOG,
        .dst = vm->ram + LOG + 1, .size = NR_DESCS }, list);
    qidxd_pack(&(QIdxdDesc) {
        .opcode = DSA_OP_FILL, .flags = 0, .src = wq, .dst = vm->ram + LOG,
        .size = 1 }, list + DSA_DESC_SIZE);
    qtest_bufwrite(vm->qts, vm->ram + LISTS + wq * sizeof(list), list,
                   sizeof(list));
}

static void set_priority(QIdxd *d, unsigned wq, unsigned priority)
{
    uint64_t mode = qidxd_wqcfg(d, wq, 2);

    qidxd_writel(d, mode, deposit32(qidxd_readl(d, mode), 4, 4, priority));
}

static void check_order(const unsigned *priority)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    uint8_t want[NR_DESCS], got[NR_DESCS];

    qidxd_configure(d, NR_WQS, NULL);
    for (unsigned wq = 0; wq < NR_WQS; wq++) {
        set_priority(d, wq, priority[wq]);
        write_list(vm, wq);
    }
    qidxd_enable(d, NR_WQS);
    /* All of it is there before the first descriptor is dispatched */
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'stop' }");
    for (unsigned i = 0; i < NR_DESCS; i++) {
        unsigned wq = i / PER_WQ;

        qidxd_submit(d, wq, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
            .opcode = DSA_OP_BATCH, .size = 2,
            .src = vm->ram + LISTS + wq * 2 * DSA_DESC_SIZE });
    }
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'cont' }");
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    g_assert_cmphex(qidxd_readq(d, DSA_SWERROR), ==, 0);
    expected_order(priority, want);
    qtest_bufread(vm->qts, vm->ram + LOG, got, sizeof(got));
    for (unsigned i = 0; i < NR_DESCS; i++) {
        g_assert_cmpuint(got[NR_DESCS - 1 - i], ==, want[i]);
    }
    idxd_vm_free(vm);
}

static void test_priority(void)
{
    check_order((unsigned[NR_WQS]) { 1, 2, 3 });
    check_order((unsigned[NR_WQS]) { 15, 1, 4 });
    check_order((unsigned[NR_WQS]) { 1, 1, 1 });
}

/* -- Traffic classes */

#define VC_CONTROL(cap, vc) ((cap) + PCI_VC_RES_CTRL + (vc) * 0x0c)
#define VC0_RESET           0x800000ffu
#define CLASS               3

/* The addresses of each operation, table 5-3; 3 of CRC: only with a seed */
static const struct {
    uint8_t opcode;
    uint32_t flags;
    unsigned addresses;         /* bit n: address n */
} classes[] = {
    { DSA_OP_NOP, 0, 0 },
    { DSA_OP_DRAIN, 0, 0 },
    { DSA_OP_BATCH, 0, 1 << 1 },
    { DSA_OP_MEMMOVE, 0, 1 << 1 | 1 << 2 },
    { DSA_OP_FILL, 0, 1 << 2 },
    { DSA_OP_COMPARE, 0, 1 << 1 | 1 << 2 },
    { DSA_OP_COMPARE_PATTERN, 0, 1 << 1 },
    { DSA_OP_DUALCAST, 0, 1 << 1 | 1 << 2 | 1 << 3 },
    { DSA_OP_CRC, 0, 1 << 1 },
    { DSA_OP_CRC, DSA_FLAG_READ_SEED, 1 << 1 | 1 << 3 },
    { DSA_OP_COPY_CRC, 0, 1 << 1 | 1 << 2 },
    { DSA_OP_COPY_CRC, DSA_FLAG_READ_SEED, 1 << 1 | 1 << 2 | 1 << 3 },
    { DSA_OP_CACHE_FLUSH, 0, 1 << 2 },
};

/* @a and @b: the two classes of the group */
static void class_start(IdxdVM *vm, unsigned a, unsigned b)
{
    QIdxd *d = &vm->dev;
    uint64_t flags = d->grpcfg + DSA_GRPCFG_FLAGS;

    qidxd_configure(d, 1, NULL);
    qidxd_writel(d, flags, deposit32(qidxd_readl(d, flags), 0, 6, a | b << 3));
    qidxd_enable(d, 1);
}

static uint8_t run_flags(IdxdVM *vm, unsigned i, uint32_t flags)
{
    QIdxdDesc desc = idxd_vm_desc(vm, classes[i].opcode);
    QIdxdRecord rec;

    desc.flags |= classes[i].flags | flags;
    if (classes[i].flags & DSA_FLAG_READ_SEED) {
        desc.op[1] = vm->ram + IDXD_VM_LIST;
    }
    qidxd_run(&vm->dev, 0, DSA_PORTAL_LIMITED, &desc, &rec);
    return rec.status;
}

/* @mapped: does a virtual channel have class B? */
static void check_classes(IdxdVM *vm, bool mapped)
{
    for (unsigned i = 0; i < ARRAY_SIZE(classes); i++) {
        g_assert_cmphex(run_flags(vm, i, 0), ==, DSA_ST_SUCCESS);
        for (unsigned n = 1; n <= 3; n++) {
            uint8_t want = !(classes[i].addresses & 1 << n) ? DSA_ST_FLAGS :
                           mapped ? DSA_ST_SUCCESS : DSA_ST_TRAFFIC_CLASS;
            uint8_t status = run_flags(vm, i, DSA_FLAG_TC(n));

            if (status != want) {
                g_error("operation 0x%x, class of address %u: status 0x%x, "
                        "expected 0x%x", classes[i].opcode, n, status, want);
            }
        }
    }
}

/* Selected by the absence of a flag, where there is an address at all */
static void check_class_a(IdxdVM *vm)
{
    for (unsigned i = 0; i < ARRAY_SIZE(classes); i++) {
        unsigned all = 0;

        for (unsigned n = 1; n <= 3; n++) {
            all |= classes[i].addresses & 1 << n ? DSA_FLAG_TC(n) : 0;
        }
        g_assert_cmphex(run_flags(vm, i, DSA_FLAG_TC_RECORD | all), ==,
                        DSA_ST_SUCCESS);
        g_assert_cmphex(run_flags(vm, i, DSA_FLAG_TC_RECORD), ==,
                        all ? DSA_ST_TRAFFIC_CLASS : DSA_ST_SUCCESS);
    }
}

static void test_traffic_class(void)
{
    IdxdVM *vm = idxd_vm_new("");
    unsigned vc = idxd_vm_ext_cap(vm, PCI_EXT_CAP_ID_VC);

    g_assert_cmphex(vc, ==, 0x170);
    g_assert_cmphex(idxd_vm_ecam_readl(vm, VC_CONTROL(vc, 0)), ==, VC0_RESET);
    g_assert_cmphex(idxd_vm_ecam_readl(vm, VC_CONTROL(vc, 1)), ==, 0);
    class_start(vm, 0, CLASS);
    check_classes(vm, true);
    /* Class 0 cannot be taken away */
    idxd_vm_ecam_writel(vm, VC_CONTROL(vc, 0), 0);
    g_assert_cmphex(idxd_vm_ecam_readl(vm, VC_CONTROL(vc, 0)), ==, 0x80000001);
    check_classes(vm, false);
    /* Mapped, but the channel is not enabled */
    idxd_vm_ecam_writel(vm, VC_CONTROL(vc, 1), 1u << 24 | 1 << CLASS);
    check_classes(vm, false);
    idxd_vm_ecam_writel(vm, VC_CONTROL(vc, 1), 0x81000000 | 1 << CLASS);
    check_classes(vm, true);
    idxd_vm_ecam_writel(vm, VC_CONTROL(vc, 1), 0);
    class_start(vm, CLASS, 0);
    check_class_a(vm);
    idxd_vm_flr(vm);
    g_assert_cmphex(idxd_vm_ecam_readl(vm, VC_CONTROL(vc, 0)), ==, VC0_RESET);
    g_assert_cmphex(idxd_vm_ecam_readl(vm, VC_CONTROL(vc, 1)), ==, 0);
    idxd_vm_free(vm);
}

/* The record's own class: no place for the error but SWERROR */
static void test_record_class(void)
{
    IdxdVM *vm = idxd_vm_new("");
    QIdxd *d = &vm->dev;
    unsigned vc = idxd_vm_ext_cap(vm, PCI_EXT_CAP_ID_VC);
    QIdxdDesc desc = idxd_vm_desc(vm, DSA_OP_FILL);
    QIdxdRecord rec;
    uint64_t q0;

    class_start(vm, 0, CLASS);
    qidxd_msix_on(d);
    desc.flags |= DSA_FLAG_TC_RECORD | DSA_FLAG_RCI;
    desc.handle = qidxd_request_handle(d, false, 1);
    qidxd_run(d, 0, DSA_PORTAL_LIMITED, &desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    qidxd_wait_message(d, 1);
    idxd_vm_ecam_writel(vm, VC_CONTROL(vc, 0), 0);
    qtest_memset(vm->qts, desc.record, 0, DSA_RECORD_SIZE);
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &desc);
    qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
    qidxd_read_record(d, desc.record, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_NONE);
    q0 = qidxd_readq(d, DSA_SWERROR);
    g_assert_cmphex(q0 & DSA_SWERR_VALID, !=, 0);
    g_assert_cmphex(DSA_SWERR_CODE(q0), ==, DSA_ST_TRAFFIC_CLASS);
    g_assert(!qidxd_take_message(d, 1));
    idxd_vm_free(vm);
}

void idxd_ims_add_qos_tests(void)
{
    qtest_add_func("/idxd-ims/qos/priority", test_priority);
    qtest_add_func("/idxd-ims/qos/traffic-class", test_traffic_class);
    qtest_add_func("/idxd-ims/qos/record-class", test_record_class);
}
