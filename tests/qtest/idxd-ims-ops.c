/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: every operation against a computation on this side
 *
 * Section 8.3 and appendix A of the specification.
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qemu/bswap.h"
#include "idxd-ims-vm.h"

/* Where things are in the RAM of a test */
#define RECORD      0x0
#define LIST        0x4000
#define RECORDS     0x8000          /* of the members of a batch */
#define SRC         0x100000
#define DST         0x800000
#define DST2        0x1000000
#define GUARD       64              /* bytes around a destination */

static const uint32_t sizes[] = {
    1, 7, 8, 63, 64, 65, 4095, 4096, 4097, 65536, 65537, 200003, 2 << 20,
};

typedef struct OpsTest {
    IdxdVM *vm;
    QIdxd *d;
    uint8_t *src;               /* what guest RAM has at SRC */
    size_t len;
} OpsTest;

static void fill_random(uint8_t *buf, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        buf[i] = g_test_rand_int();
    }
}

static void ops_start(OpsTest *t, size_t len)
{
    t->vm = idxd_vm_new("");
    t->d = &t->vm->dev;
    t->len = len;
    t->src = g_malloc(len);
    fill_random(t->src, len);
    qtest_bufwrite(t->vm->qts, t->vm->ram + SRC, t->src, len);
    qidxd_bring_up(t->d, 1, NULL);
}

static void ops_end(OpsTest *t)
{
    g_free(t->src);
    idxd_vm_free(t->vm);
}

static void ops_run(OpsTest *t, QIdxdDesc desc, QIdxdRecord *rec)
{
    desc.flags |= DSA_FLAG_RECORD;
    desc.record = t->vm->ram + RECORD;
    qidxd_run(t->d, 0, DSA_PORTAL_LIMITED, &desc, rec);
}

static void ops_run_ok(OpsTest *t, QIdxdDesc desc)
{
    QIdxdRecord rec;

    ops_run(t, desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    g_assert_cmphex(rec.bytes, ==, 0);
}

/* Guest RAM at @off is @want, with an untouched guard on both sides */
static void check_ram(OpsTest *t, uint64_t off, const uint8_t *want, size_t len)
{
    g_autofree uint8_t *got = g_malloc(len + 2 * GUARD);

    qtest_bufread(t->vm->qts, t->vm->ram + off - GUARD, got, len + 2 * GUARD);
    for (unsigned i = 0; i < GUARD; i++) {
        g_assert_cmphex(got[i], ==, 0xa5);
        g_assert_cmphex(got[GUARD + len + i], ==, 0xa5);
    }
    g_assert(!memcmp(got + GUARD, want, len));
}

static void set_guarded(OpsTest *t, uint64_t off, size_t len)
{
    qtest_memset(t->vm->qts, t->vm->ram + off - GUARD, 0xa5, len + 2 * GUARD);
}

static void test_nop(void)
{
    OpsTest t;

    ops_start(&t, 64);
    ops_run_ok(&t, (QIdxdDesc) { .opcode = DSA_OP_NOP });
    ops_run_ok(&t, (QIdxdDesc) { .opcode = DSA_OP_DRAIN });
    ops_end(&t);
}

static void test_memmove(void)
{
    OpsTest t;

    ops_start(&t, (2 << 20) + 3);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        unsigned skew = i % 4;

        set_guarded(&t, DST + i, sizes[i]);
        ops_run_ok(&t, (QIdxdDesc) {
            .opcode = DSA_OP_MEMMOVE, .size = sizes[i],
            .src = t.vm->ram + SRC + skew, .dst = t.vm->ram + DST + i,
        });
        check_ram(&t, DST + i, t.src + skew, sizes[i]);
    }
    ops_end(&t);
}

/* As if through a temporary buffer, however large the overlap is */
static void test_memmove_overlap(void)
{
    static const int shifts[] = { 1, -1, 64, -64, 5000, -5000, 99999, -99999 };
    const size_t len = 300000;
    OpsTest t;

    ops_start(&t, len);
    for (unsigned i = 0; i < ARRAY_SIZE(shifts); i++) {
        uint64_t src = t.vm->ram + DST + 100000;
        g_autofree uint8_t *got = g_malloc(len);

        qtest_bufwrite(t.vm->qts, src, t.src, len);
        ops_run_ok(&t, (QIdxdDesc) {
            .opcode = DSA_OP_MEMMOVE, .size = len,
            .src = src, .dst = src + shifts[i],
        });
        qtest_bufread(t.vm->qts, src + shifts[i], got, len);
        g_assert(!memcmp(got, t.src, len));
    }
    ops_end(&t);
}

static void check_fill(OpsTest *t, uint32_t size, bool wide)
{
    const uint64_t lower = 0x1122334455667788, upper = 0x99aabbccddeeff00;
    g_autofree uint8_t *want = g_malloc(size + 16);
    uint8_t pattern[16];

    stq_le_p(pattern, lower);
    stq_le_p(pattern + 8, wide ? upper : lower);
    for (uint32_t i = 0; i < size; i++) {
        want[i] = pattern[i % 16];
    }
    set_guarded(t, DST + 3, size);
    ops_run_ok(t, (QIdxdDesc) {
        .opcode = DSA_OP_FILL, .size = size, .src = lower,
        .dst = t->vm->ram + DST + 3, .flags = wide ? DSA_FLAG_FILL16 : 0,
        .op = { wide ? upper : 0 },
    });
    check_ram(t, DST + 3, want, size);
}

static void test_fill(void)
{
    OpsTest t;
    bool wide;

    ops_start(&t, 64);
    wide = qidxd_readq(t.d, DSA_GENCAP) & DSA_GENCAP_FILL16;
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        check_fill(&t, sizes[i], false);
        if (wide) {
            check_fill(&t, sizes[i], true);
        }
    }
    ops_end(&t);
}

/* Table 8-17 for equal buffers and for a difference at @diff */
static void check_compare(OpsTest *t, QIdxdDesc desc, bool equal, uint32_t diff)
{
    for (unsigned expected = 0; expected < 4; expected++) {
        for (unsigned check = 0; check < 2; check++) {
            bool predicate = !check || (expected & 1) == !equal;
            QIdxdRecord rec;

            desc.flags = check ? DSA_FLAG_CHECK : 0;
            desc.op[0] = expected;
            ops_run(t, desc, &rec);
            g_assert_cmphex(rec.status, ==,
                            predicate ? DSA_ST_SUCCESS : DSA_ST_FALSE);
            g_assert_cmphex(rec.result, ==, !equal);
            if (!equal && desc.opcode == DSA_OP_COMPARE) {
                g_assert_cmpuint(rec.bytes, ==, diff);
            } else if (!equal) {
                g_assert_cmpuint(rec.bytes, <=, diff);
            }
        }
    }
}

static void test_compare(void)
{
    OpsTest t;

    ops_start(&t, 200003);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes) && sizes[i] <= t.len; i++) {
        uint32_t at[] = { 0, sizes[i] / 2, sizes[i] - 1 };
        QIdxdDesc desc = {
            .opcode = DSA_OP_COMPARE, .size = sizes[i],
            .src = t.vm->ram + SRC, .dst = t.vm->ram + DST + 1,
        };

        qtest_bufwrite(t.vm->qts, desc.dst, t.src, sizes[i]);
        check_compare(&t, desc, true, 0);
        for (unsigned j = 0; j < ARRAY_SIZE(at); j++) {
            qtest_writeb(t.vm->qts, desc.dst + at[j], ~t.src[at[j]]);
            check_compare(&t, desc, false, at[j]);
            qtest_writeb(t.vm->qts, desc.dst + at[j], t.src[at[j]]);
        }
    }
    ops_end(&t);
}

static void test_compare_pattern(void)
{
    const uint64_t pattern = 0x0102030405060708;
    OpsTest t;

    ops_start(&t, 64);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        g_autofree uint8_t *buf = g_malloc(sizes[i]);
        QIdxdDesc desc = {
            .opcode = DSA_OP_COMPARE_PATTERN, .size = sizes[i],
            .src = t.vm->ram + DST + 1, .dst = pattern,
        };

        for (uint32_t j = 0; j < sizes[i]; j++) {
            buf[j] = pattern >> (j % 8 * 8);
        }
        qtest_bufwrite(t.vm->qts, desc.src, buf, sizes[i]);
        check_compare(&t, desc, true, 0);
        qtest_writeb(t.vm->qts, desc.src + sizes[i] - 1, ~buf[sizes[i] - 1]);
        check_compare(&t, desc, false, sizes[i] - 1);
    }
    ops_end(&t);
}

/*
 * Appendix A bit by bit, not by table: the register holds x^31 in its top
 * bit.  Seed and value are inverted and bit-reversed unless that is bypassed.
 */
static uint32_t reference_crc(const uint8_t *data, size_t len, uint32_t seed,
                              uint32_t flags)
{
    bool raw = flags & DSA_FLAG_NO_INVERT;
    uint32_t crc = raw ? seed : ~revbit32(seed);

    for (size_t i = 0; i < len; i++) {
        uint8_t byte = flags & DSA_FLAG_NO_REFLECT ? data[i] : revbit8(data[i]);

        crc ^= (uint32_t)byte << 24;
        for (unsigned bit = 0; bit < 8; bit++) {
            crc = crc << 1 ^ (crc >> 31 ? 0x1edc6f41 : 0);
        }
    }
    return raw ? crc : revbit32(~crc);
}

static void check_crc(OpsTest *t, uint8_t opcode, uint32_t size, uint32_t flags)
{
    uint32_t seed = g_test_rand_int();
    uint32_t want = reference_crc(t->src, size, seed, flags);
    QIdxdDesc desc = {
        .opcode = opcode, .flags = flags, .size = size,
        .src = t->vm->ram + SRC, .op = { seed },
        .dst = opcode == DSA_OP_COPY_CRC ? t->vm->ram + DST + 1 : 0,
    };
    QIdxdRecord rec;

    if (flags & DSA_FLAG_READ_SEED) {
        desc.op[0] = 0;
        desc.op[1] = t->vm->ram + LIST + 4;
        qtest_writel(t->vm->qts, desc.op[1], seed);
    }
    set_guarded(t, DST + 1, size);
    ops_run(t, desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    g_assert_cmphex((uint32_t)rec.value, ==, want);
    if (desc.dst) {
        check_ram(t, DST + 1, t->src, size);
    }
}

static void test_crc(void)
{
    static const uint8_t check[] = "123456789";
    OpsTest t;

    /* The reference itself: the catalogued check value of CRC-32C */
    g_assert_cmphex(reference_crc(check, 9, 0, 0), ==, 0xe3069283);
    ops_start(&t, 2 << 20);
    for (uint32_t flags = 0; flags < 8; flags++) {
        static const uint32_t words[] = { 4, 8, 64, 4096, 65540, 200004 };

        for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
            check_crc(&t, DSA_OP_CRC, words[i], flags << 16);
            check_crc(&t, DSA_OP_COPY_CRC, words[i], flags << 16);
        }
    }
    check_crc(&t, DSA_OP_COPY_CRC, 2 << 20, 0);
    ops_end(&t);
}

/* A CRC in two parts: the value of the first is the seed of the second */
static void test_crc_chain(void)
{
    QIdxdRecord rec;
    OpsTest t;

    ops_start(&t, 8192);
    ops_run(&t, (QIdxdDesc) {
        .opcode = DSA_OP_CRC, .size = 4096, .src = t.vm->ram + SRC,
    }, &rec);
    ops_run(&t, (QIdxdDesc) {
        .opcode = DSA_OP_CRC, .size = 4096, .src = t.vm->ram + SRC + 4096,
        .op = { (uint32_t)rec.value },
    }, &rec);
    g_assert_cmphex((uint32_t)rec.value, ==, reference_crc(t.src, 8192, 0, 0));
    ops_end(&t);
}

static void test_dualcast(void)
{
    OpsTest t;

    ops_start(&t, 2 << 20);
    for (unsigned i = 0; i < ARRAY_SIZE(sizes); i++) {
        set_guarded(&t, DST + i * 8, sizes[i]);
        set_guarded(&t, DST2 + i * 8, sizes[i]);
        ops_run_ok(&t, (QIdxdDesc) {
            .opcode = DSA_OP_DUALCAST, .size = sizes[i],
            .src = t.vm->ram + SRC, .dst = t.vm->ram + DST + i * 8,
            .op = { t.vm->ram + DST2 + i * 8 },
        });
        check_ram(&t, DST + i * 8, t.src, sizes[i]);
        check_ram(&t, DST2 + i * 8, t.src, sizes[i]);
    }
    ops_end(&t);
}

static void test_cache_flush(void)
{
    OpsTest t;

    ops_start(&t, 4096);
    set_guarded(&t, SRC + 4096 + GUARD, 8);
    ops_run_ok(&t, (QIdxdDesc) {
        .opcode = DSA_OP_CACHE_FLUSH, .size = 4000, .dst = t.vm->ram + SRC + 1,
    });
    ops_end(&t);
}

/* The members of a batch, written to guest RAM */
static void write_list(OpsTest *t, const QIdxdDesc *members, unsigned nr)
{
    g_autofree uint8_t *list = g_malloc(nr * DSA_DESC_SIZE);

    for (unsigned i = 0; i < nr; i++) {
        QIdxdDesc desc = members[i];

        desc.flags |= DSA_FLAG_RECORD;
        desc.record = t->vm->ram + RECORDS + i * DSA_RECORD_SIZE;
        qidxd_pack(&desc, list + i * DSA_DESC_SIZE);
    }
    qtest_bufwrite(t->vm->qts, t->vm->ram + LIST, list, nr * DSA_DESC_SIZE);
    qtest_memset(t->vm->qts, t->vm->ram + RECORDS, 0, nr * DSA_RECORD_SIZE);
}

static uint8_t member_status(OpsTest *t, unsigned i)
{
    return qtest_readb(t->vm->qts, t->vm->ram + RECORDS + i * DSA_RECORD_SIZE);
}

static QIdxdDesc batch_of(OpsTest *t, unsigned nr)
{
    return (QIdxdDesc) {
        .opcode = DSA_OP_BATCH, .src = t->vm->ram + LIST, .size = nr,
    };
}

/* As many members as the WQ allows, each with its own effect */
static void test_batch(void)
{
    const unsigned nr = 256;
    g_autofree QIdxdDesc *members = g_new0(QIdxdDesc, nr);
    QIdxdRecord rec;
    OpsTest t;

    ops_start(&t, nr * 100);
    for (unsigned i = 0; i < nr; i++) {
        members[i] = (QIdxdDesc) {
            .opcode = DSA_OP_MEMMOVE, .size = 100,
            .src = t.vm->ram + SRC + i * 100, .dst = t.vm->ram + DST + i * 100,
        };
    }
    write_list(&t, members, nr);
    set_guarded(&t, DST, t.len);
    ops_run(&t, batch_of(&t, nr), &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    g_assert_cmpuint(rec.bytes, ==, nr);
    for (unsigned i = 0; i < nr; i++) {
        g_assert_cmphex(member_status(&t, i), ==, DSA_ST_SUCCESS);
    }
    check_ram(&t, DST, t.src, t.len);
    ops_end(&t);
}

/* A failure does not stop the batch, only a fence after it does */
static void test_batch_failure(void)
{
    QIdxdRecord rec;
    OpsTest t;

    ops_start(&t, 64);
    write_list(&t, (QIdxdDesc[]) {
        { .opcode = DSA_OP_NOP }, { .opcode = 0x3f }, { .opcode = DSA_OP_NOP },
    }, 3);
    ops_run(&t, batch_of(&t, 3), &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_BATCH_FAIL);
    g_assert_cmpuint(rec.bytes, ==, 3);
    g_assert_cmphex(member_status(&t, 0), ==, DSA_ST_SUCCESS);
    g_assert_cmphex(member_status(&t, 1), ==, DSA_ST_OPCODE);
    g_assert_cmphex(member_status(&t, 2), ==, DSA_ST_SUCCESS);

    write_list(&t, (QIdxdDesc[]) {
        { .opcode = DSA_OP_NOP }, { .opcode = 0x3f },
        { .opcode = DSA_OP_NOP, .flags = DSA_FLAG_FENCE },
        { .opcode = DSA_OP_NOP },
    }, 4);
    ops_run(&t, batch_of(&t, 4), &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_BATCH_FAIL);
    g_assert_cmpuint(rec.bytes, ==, 2);
    g_assert_cmphex(member_status(&t, 2), ==, DSA_ST_NONE);
    g_assert_cmphex(member_status(&t, 3), ==, DSA_ST_NONE);
    ops_end(&t);
}

/*
 * With a fence, a member may use what earlier ones have produced; a false
 * predicate is "not Success" and stops the batch at the fence.
 */
static void test_batch_fence(void)
{
    QIdxdRecord rec;
    OpsTest t;
    uint64_t ram;

    ops_start(&t, 4096);
    ram = t.vm->ram;
    set_guarded(&t, DST2, 4096);
    write_list(&t, (QIdxdDesc[]) {
        { .opcode = DSA_OP_MEMMOVE, .size = 4096,
          .src = ram + SRC, .dst = ram + DST },
        { .opcode = DSA_OP_COMPARE, .size = 4096, .src = ram + SRC,
          .dst = ram + DST, .flags = DSA_FLAG_FENCE | DSA_FLAG_CHECK },
        { .opcode = DSA_OP_MEMMOVE, .size = 4096, .src = ram + DST,
          .dst = ram + DST2, .flags = DSA_FLAG_FENCE },
    }, 3);
    ops_run(&t, batch_of(&t, 3), &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    check_ram(&t, DST2, t.src, 4096);

    set_guarded(&t, DST2, 4096);
    qtest_writeb(t.vm->qts, ram + LIST + DSA_DESC_SIZE + 40, 1);
    ops_run(&t, batch_of(&t, 3), &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_BATCH_FAIL);
    g_assert_cmpuint(rec.bytes, ==, 2);
    g_assert_cmphex(qtest_readb(t.vm->qts, ram + DST2), ==, 0xa5);
    ops_end(&t);
}

/* What OPCAP does not offer is answered, and so is what the WQ forbids */
static void test_opcodes(void)
{
    QIdxdRecord rec;
    uint64_t opcap;
    OpsTest t;

    ops_start(&t, 64);
    opcap = qidxd_readq(t.d, DSA_OPCAP);
    for (unsigned op = 0; op < 256; op++) {
        if (op < 64 && opcap & (1ull << op)) {
            continue;
        }
        ops_run(&t, (QIdxdDesc) { .opcode = op, .size = 8 }, &rec);
        g_assert_cmphex(rec.status, ==, DSA_ST_OPCODE);
    }
    qidxd_command_ok(t.d, DSA_DISABLE_WQ, 1);
    qidxd_writel(t.d, qidxd_wqcfg(t.d, 0, 8), 1u << DSA_OP_FILL);
    qidxd_command_ok(t.d, DSA_ENABLE_WQ, 0);
    ops_run(&t, (QIdxdDesc) { .opcode = DSA_OP_NOP }, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_OPCODE);
    check_fill(&t, 64, false);
    ops_end(&t);
}

void idxd_ims_add_operation_tests(void)
{
    qtest_add_func("/idxd-ims/ops/nop", test_nop);
    qtest_add_func("/idxd-ims/ops/memmove", test_memmove);
    qtest_add_func("/idxd-ims/ops/memmove-overlap", test_memmove_overlap);
    qtest_add_func("/idxd-ims/ops/fill", test_fill);
    qtest_add_func("/idxd-ims/ops/compare", test_compare);
    qtest_add_func("/idxd-ims/ops/compare-pattern", test_compare_pattern);
    qtest_add_func("/idxd-ims/ops/crc", test_crc);
    qtest_add_func("/idxd-ims/ops/crc-chain", test_crc_chain);
    qtest_add_func("/idxd-ims/ops/dualcast", test_dualcast);
    qtest_add_func("/idxd-ims/ops/cache-flush", test_cache_flush);
    qtest_add_func("/idxd-ims/ops/batch", test_batch);
    qtest_add_func("/idxd-ims/ops/batch-failure", test_batch_failure);
    qtest_add_func("/idxd-ims/ops/batch-fence", test_batch_fence);
    qtest_add_func("/idxd-ims/ops/opcodes", test_opcodes);
}
