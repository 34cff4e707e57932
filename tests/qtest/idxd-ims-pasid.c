/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: an interrupt only where the PASID of the entry allows it
 *
 * Section 5.4 and table 5-6 of the specification, status 0x19.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "idxd-ims-vm.h"

#define NR_WQS      16
#define NR_MSIX     (NR_WQS + 1)
#define NR_IMS      64
#define NR_ENTRIES  (NR_MSIX + NR_IMS)
#define CPU_VECTOR  0x80            /* where the messages of the IMS go */
#define RECORDS     0x8000
#define TRIES       100000
#define ROUND       32              /* tries between two looks at the result */

/* Entry 0 of MSI-X belongs to the device itself */
typedef struct Entry {
    bool ims;
    unsigned index;
    uint16_t handle;
    uint32_t pasid;                 /* ~0: not enabled */
    uint64_t granted;
    uint64_t refused;
} Entry;

#define NO_PASID    (~0u)

typedef struct PasidTest {
    IdxdVM *vm;
    QIdxd *d;
    uint32_t wq_pasid[NR_WQS];
    Entry entry[NR_ENTRIES];
} PasidTest;

static void set_entry(PasidTest *t, unsigned i, uint32_t pasid)
{
    uint32_t ctrl = pasid == NO_PASID ? 0 : DSA_ENTRY_PASID(pasid);
    Entry *e = &t->entry[i];

    e->pasid = pasid;
    if (e->ims) {
        qidxd_writel(t->d, qidxd_ims(t->d, e->index) + DSA_IMS_CTRL, ctrl);
    } else {
        qidxd_writel(t->d, qidxd_perm(t->d, e->index), ctrl);
    }
}

/* @pasids: of each WQ, %NO_PASID for PASID enable 0 */
static void pasid_start(PasidTest *t, const uint32_t *pasids)
{
    QIdxdWq wqs[NR_WQS] = { };

    t->vm = idxd_vm_new("wqs=16,pasid=on");
    t->d = &t->vm->dev;
    idxd_vm_enable_pasid(t->vm, false);
    qidxd_msix_on(t->d);
    for (unsigned i = 0; i < NR_WQS; i++) {
        t->wq_pasid[i] = pasids[i];
        wqs[i].size = 8;
        wqs[i].pasid_enable = pasids[i] != NO_PASID;
        wqs[i].pasid = wqs[i].pasid_enable ? pasids[i] : 0;
    }
    qidxd_configure(t->d, NR_WQS, wqs);
    /* Else a descriptor that is not privileged may not ask, table 5-4 */
    qidxd_writel(t->d, DSA_GENCFG,
                 qidxd_readl(t->d, DSA_GENCFG) | DSA_GENCFG_USER_INT);
    qidxd_enable(t->d, NR_WQS);
    for (unsigned i = 1; i < NR_ENTRIES; i++) {
        Entry *e = &t->entry[i];

        e->ims = i >= NR_MSIX;
        e->index = e->ims ? i - NR_MSIX : i;
        e->handle = qidxd_request_handle(t->d, e->ims, e->index);
        if (e->ims) {
            qidxd_writel(t->d, qidxd_ims(t->d, e->index) + DSA_IMS_DATA,
                         CPU_VECTOR);
        }
        set_entry(t, i, NO_PASID);
    }
}

static bool allowed(PasidTest *t, unsigned wq, const Entry *e, bool ims_portal)
{
    return e->ims == ims_portal && e->pasid == t->wq_pasid[wq];
}

static QIdxdPortal pick_portal(bool ims, bool limited)
{
    return (ims ? DSA_PORTAL_IMS_UNLIMITED : DSA_PORTAL_UNLIMITED) + limited;
}

static void submit_try(PasidTest *t, unsigned slot, unsigned wq, unsigned entry,
                       QIdxdPortal kind)
{
    qidxd_submit(t->d, wq, kind, &(QIdxdDesc) {
        .opcode = DSA_OP_NOP, .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI,
        .record = t->vm->ram + RECORDS + slot * DSA_RECORD_SIZE,
        /* Software cannot choose: a dedicated WQ has its own PASID, 8.1.1 */
        .pasid = slot % 2 ? t->entry[entry].pasid & 0xfffff : 0,
        .handle = t->entry[entry].handle,
    });
}

static void expect_try(PasidTest *t, uint8_t status, unsigned wq,
                       unsigned entry, bool ims_portal)
{
    Entry *e = &t->entry[entry];
    bool ok = allowed(t, wq, e, ims_portal);

    g_assert_cmphex(status, ==, ok ? DSA_ST_SUCCESS : DSA_ST_HANDLE);
    if (ok) {
        e->granted++;
    } else if (e->ims == ims_portal) {
        e->refused++;
    }
}

/* What the device has counted is what the rule says, entry by entry */
static void check_counts(PasidTest *t)
{
    for (unsigned i = 1; i < NR_ENTRIES; i++) {
        Entry *e = &t->entry[i];

        g_assert_cmpuint(idxd_vm_count(t->vm, e->ims, e->index, "sent"), ==,
                         e->granted);
        g_assert_cmpuint(idxd_vm_count(t->vm, e->ims, e->index, "refused"), ==,
                         e->refused);
    }
}

static void check_message(PasidTest *t, unsigned entry, bool expected)
{
    if (!t->entry[entry].ims) {
        g_assert_cmpint(qidxd_take_message(t->d, entry), ==, expected);
    }
}

static void check_swerror(PasidTest *t, unsigned wq, unsigned entry, bool ok)
{
    uint64_t q0 = qidxd_readq(t->d, DSA_SWERROR);
    uint64_t q1 = qidxd_readq(t->d, DSA_SWERROR + 8);

    g_assert_cmphex(q0 & DSA_SWERR_VALID, ==, !ok);
    if (!ok) {
        g_assert_cmphex(DSA_SWERR_CODE(q0), ==, DSA_ST_HANDLE);
        g_assert_cmpuint(DSA_SWERR_WQ_INDEX(q0), ==, wq);
        g_assert_cmphex(extract64(q1, 32, 16), ==, t->entry[entry].handle);
        if (t->wq_pasid[wq] != NO_PASID) {
            g_assert_cmphex(DSA_SWERR_PASID(q0), ==, t->wq_pasid[wq]);
        }
    }
    qidxd_writeq(t->d, DSA_SWERROR, 3);
}

static void check_cell(PasidTest *t, unsigned wq, unsigned entry,
                       QIdxdPortal kind)
{
    bool ims_portal = kind >= DSA_PORTAL_IMS_UNLIMITED;
    bool ok = allowed(t, wq, &t->entry[entry], ims_portal);
    uint64_t record = t->vm->ram + RECORDS;
    QIdxdRecord rec;

    qtest_memset(t->vm->qts, record, 0, DSA_RECORD_SIZE);
    submit_try(t, 0, wq, entry, kind);
    qidxd_wait_record(t->d, record, &rec);
    /* After a drain, an interrupt that has not come does not come */
    qidxd_command_ok(t->d, DSA_DRAIN_ALL, 0);
    expect_try(t, rec.status, wq, entry, ims_portal);
    check_message(t, entry, ok);
    check_swerror(t, wq, entry, ok);
}

/*
 * Entry with PASID or not, WQ with PASID or not, equal or not, entry of
 * MSI-X or IMS, and each of the four portals.
 */
static void test_matrix(void)
{
    static const uint32_t values[] = { NO_PASID, 0, 1, 0x12345, 0xfffff };
    uint32_t pasids[NR_WQS];
    PasidTest t = { };

    for (unsigned i = 0; i < NR_WQS; i++) {
        pasids[i] = values[i % ARRAY_SIZE(values)];
    }
    pasid_start(&t, pasids);
    for (unsigned wq = 0; wq < ARRAY_SIZE(values); wq++) {
        for (unsigned v = 0; v < ARRAY_SIZE(values); v++) {
            for (unsigned kind = 0; kind < 4; kind++) {
                set_entry(&t, 2, values[v]);
                check_cell(&t, wq, 2, kind);
                set_entry(&t, NR_MSIX + 9, values[v]);
                check_cell(&t, wq, NR_MSIX + 9, kind);
            }
        }
    }
    check_counts(&t);
    idxd_vm_free(t.vm);
}

/* One round: a few entries change owner, then a burst over all WQs */
static void random_round(PasidTest *t, const uint32_t *values, unsigned nr)
{
    uint8_t records[ROUND * DSA_RECORD_SIZE];
    unsigned entry[ROUND];
    bool ims_portal[ROUND];

    for (unsigned i = 0; i < 4; i++) {
        set_entry(t, g_test_rand_int_range(1, NR_ENTRIES),
                  values[g_test_rand_int_range(0, nr)]);
    }
    qtest_memset(t->vm->qts, t->vm->ram + RECORDS, 0, sizeof(records));
    for (unsigned i = 0; i < ROUND; i++) {
        entry[i] = g_test_rand_int_range(1, NR_ENTRIES);
        /* The portal of the other table in one of eight tries */
        ims_portal[i] = t->entry[entry[i]].ims ^ !(g_test_rand_int() & 7);
        submit_try(t, i, i % NR_WQS, entry[i],
                   pick_portal(ims_portal[i], g_test_rand_int() & 1));
    }
    qidxd_command_ok(t->d, DSA_DRAIN_ALL, 0);
    qtest_bufread(t->vm->qts, t->vm->ram + RECORDS, records, sizeof(records));
    for (unsigned i = 0; i < ROUND; i++) {
        expect_try(t, records[i * DSA_RECORD_SIZE], i % NR_WQS, entry[i],
                   ims_portal[i]);
    }
}

static void test_random(void)
{
    /* Few values, neighbours in one bit: matches and near misses */
    static const uint32_t values[] = { NO_PASID, 0, 1, 0x80000, 0x80001 };
    uint32_t pasids[NR_WQS];
    PasidTest t = { };
    uint64_t granted = 0, refused = 0;

    for (unsigned i = 0; i < NR_WQS; i++) {
        pasids[i] = values[g_test_rand_int_range(0, ARRAY_SIZE(values))];
    }
    pasid_start(&t, pasids);
    for (unsigned i = 0; i < TRIES / ROUND; i++) {
        random_round(&t, values, ARRAY_SIZE(values));
    }
    check_counts(&t);
    for (unsigned i = 1; i < NR_ENTRIES; i++) {
        granted += t.entry[i].granted;
        refused += t.entry[i].refused;
    }
    g_test_message("%u tries: %" PRIu64 " interrupts, %" PRIu64 " refused",
                   TRIES, granted, refused);
    g_assert_cmpuint(granted, >, TRIES / 20);
    g_assert_cmpuint(refused, >, TRIES / 20);
    idxd_vm_free(t.vm);
}

/* A batch gives its PASID to its members, whatever they say themselves */
static void test_batch_members(void)
{
    uint32_t pasids[NR_WQS];
    PasidTest t = { };
    uint8_t list[2 * DSA_DESC_SIZE];
    uint64_t ram, records;
    QIdxdRecord rec;

    for (unsigned i = 0; i < NR_WQS; i++) {
        pasids[i] = 7;
    }
    pasid_start(&t, pasids);
    ram = t.vm->ram;
    records = ram + RECORDS;
    set_entry(&t, 1, 7);
    set_entry(&t, 2, 8);
    for (unsigned i = 0; i < 2; i++) {
        qidxd_pack(&(QIdxdDesc) {
            .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI, .pasid = 8 - i,
            .record = records + i * DSA_RECORD_SIZE,
            .handle = t.entry[i + 1].handle,
        }, list + i * DSA_DESC_SIZE);
    }
    qtest_bufwrite(t.vm->qts, ram, list, sizeof(list));
    qidxd_run(t.d, 0, DSA_PORTAL_LIMITED, &(QIdxdDesc) {
        .opcode = DSA_OP_BATCH, .src = ram, .size = 2,
        .flags = DSA_FLAG_RECORD, .record = records + 2 * DSA_RECORD_SIZE,
    }, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_BATCH_FAIL);
    expect_try(&t, qtest_readb(t.vm->qts, records), 0, 1, false);
    expect_try(&t, qtest_readb(t.vm->qts, records + DSA_RECORD_SIZE), 0, 2,
               false);
    check_message(&t, 1, true);
    check_message(&t, 2, false);
    check_counts(&t);
    idxd_vm_free(t.vm);
}

/*
 * A shared WQ takes the PASID of the submission.  The property makes a plain
 * 64-byte write count as the deferrable one that only ENQCMD can do.
 */
static void test_shared(void)
{
    const QIdxdWq wq = { .shared = true, .pasid_enable = true, .pasid = 9 };
    IdxdVM *vm = idxd_vm_new("pasid=on,x-mmio-dmwr=on");
    QIdxd *d = &vm->dev;
    QIdxdDesc nop = {
        .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI, .record = vm->ram + RECORDS,
    };
    uint64_t portal = qidxd_portal(d, 0, DSA_PORTAL_LIMITED);
    QIdxdRecord rec;

    idxd_vm_enable_pasid(vm, false);
    qidxd_msix_on(d);
    qidxd_configure(d, 1, &wq);
    qidxd_writel(d, DSA_GENCFG,
                 qidxd_readl(d, DSA_GENCFG) | DSA_GENCFG_USER_INT);
    qidxd_enable(d, 1);
    nop.handle = qidxd_request_handle(d, false, 1);
    qidxd_writel(d, qidxd_perm(d, 1), DSA_ENTRY_PASID(7));
    for (nop.pasid = 6; nop.pasid <= 9; nop.pasid++) {
        bool ok = nop.pasid == 7;

        qidxd_run(d, 0, DSA_PORTAL_LIMITED, &nop, &rec);
        qidxd_command_ok(d, DSA_DRAIN_ALL, 0);
        g_assert_cmphex(rec.status, ==, ok ? DSA_ST_SUCCESS : DSA_ST_HANDLE);
        g_assert_cmpint(qidxd_take_message(d, 1), ==, ok);
        g_assert_cmphex(qpci_io_readq(&d->pci, d->portals, portal), ==, 0);
    }
    g_assert_cmpuint(idxd_vm_count(vm, false, 1, "refused"), ==, 3);
    /* A WQ that is not enabled answers Retry */
    qidxd_command_ok(d, DSA_DISABLE_WQ, 1);
    qidxd_submit(d, 0, DSA_PORTAL_LIMITED, &nop);
    g_assert_cmphex(qpci_io_readq(&d->pci, d->portals, portal), ==, UINT64_MAX);
    idxd_vm_free(vm);
}

/*
 * Table 5-4: without user interrupts, a descriptor that is not privileged may
 * not request one, in a WQ with PASID.
 */
static void test_user_interrupts(void)
{
    uint32_t pasids[NR_WQS];
    PasidTest t = { };
    QIdxdDesc desc;
    QIdxdRecord rec;

    for (unsigned i = 0; i < NR_WQS; i++) {
        pasids[i] = i % 2 ? 7 : NO_PASID;
    }
    pasid_start(&t, pasids);
    qidxd_command_ok(t.d, DSA_DISABLE_DEVICE, 0);
    qidxd_writel(t.d, DSA_GENCFG,
                 qidxd_readl(t.d, DSA_GENCFG) & ~DSA_GENCFG_USER_INT);
    qidxd_enable(t.d, NR_WQS);
    desc = (QIdxdDesc) {
        .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI, .handle = t.entry[1].handle,
        .record = t.vm->ram + RECORDS,
    };
    qidxd_run(t.d, 0, DSA_PORTAL_LIMITED, &desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    set_entry(&t, 1, 7);
    qidxd_run(t.d, 1, DSA_PORTAL_LIMITED, &desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_FLAGS);
    g_assert_cmphex(rec.value & DSA_FLAG_RCI, ==, DSA_FLAG_RCI);
    /* Nor with an operation that does not exist */
    g_assert(qidxd_take_message(t.d, 1));
    desc.opcode = 0x3f;
    qidxd_run(t.d, 1, DSA_PORTAL_LIMITED, &desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_OPCODE);
    qidxd_command_ok(t.d, DSA_DRAIN_ALL, 0);
    g_assert(!qidxd_take_message(t.d, 1));
    idxd_vm_free(t.vm);
}

void idxd_ims_add_pasid_tests(void)
{
    qtest_add_func("/idxd-ims/pasid/matrix", test_matrix);
    qtest_add_func("/idxd-ims/pasid/random", test_random);
    qtest_add_func("/idxd-ims/pasid/batch", test_batch_members);
    qtest_add_func("/idxd-ims/pasid/shared", test_shared);
    qtest_add_func("/idxd-ims/pasid/user-interrupts", test_user_interrupts);
}
