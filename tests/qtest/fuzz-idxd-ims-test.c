/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replays fuzzer inputs for idxd-ims
 *
 * The inputs are what tests/qtest/fuzz/idxd_ims_fuzz.c runs, in base64.  One
 * that works is here; more can be given as files with one input per line,
 * named after the fuzzing targets, in the directory that the environment
 * variable QTEST_IDXD_IMS_CORPUS names, and in "regressions" below it.
 */
#include "qemu/osdep.h"
#include "libqtest.h"
#include "qobject/qdict.h"
#include "libqos/idxd-ims-fuzz.h"
#include "libqos/malloc-pc.h"
#include "libqos/pci-pc.h"

typedef struct Target {
    const char *name;
    const char *device;
} Target;

static const Target targets[] = {
    { "idxd-ims", QIDXD_FUZZ_PLAIN },
    { "idxd-ims-pasid", QIDXD_FUZZ_PASID },
};

/* A memmove, with record and interrupt */
#define WORKING_INPUT \
    "BwEgpQMAAQClDkADEAAAERAAACAAEAAAAAAAAAAAAAAAAAAAAAAAAAClFQel"

typedef struct Machine {
    QTestState *qts;
    QPCIBus *bus;
    QGuestAllocator alloc;
    QIdxd idxd;
    QIdxdFuzzHost host;
} Machine;

/* Each command is a round of QEMU's main loop. */
static void replay_run(void *opaque)
{
    Machine *m = opaque;

    qtest_readb(m->qts, 0);
}

static void replay_reset(void *opaque)
{
    Machine *m = opaque;

    qtest_system_reset(m->qts);
    qidxd_fuzz_map(&m->idxd);
    qidxd_fuzz_map_config(&m->idxd);
}

static void replay_clear(void *opaque, uint64_t addr, size_t size)
{
    Machine *m = opaque;

    qtest_memset(m->qts, addr, 0, size);
}

/* Fails if there is no such handle */
static void replay_revoke(void *opaque, const char *which)
{
    Machine *m = opaque;
    QDict *rsp = qtest_qmp(m->qts,
        "{ 'execute': 'qom-set', 'arguments': { "
        "  'path': '/machine/peripheral/dsa',"
        "  'property': 'x-revoke-handles', 'value': %s } }", which);

    qobject_unref(rsp);
}

static void machine_start(Machine *m, const Target *target)
{
    QPCIAddress addr = { .devfn = QPCI_DEVFN(QIDXD_FUZZ_SLOT, 0) };

    m->qts = qtest_initf(QIDXD_FUZZ_MACHINE " -device %s", target->device);
    m->bus = qpci_new_pc(m->qts, NULL);
    pc_alloc_init(&m->alloc, m->qts, 0);
    qpci_device_init(&m->idxd.pci, m->bus, &addr);
    qidxd_init(&m->idxd, &m->alloc);
    m->host = (QIdxdFuzzHost) {
        .run = replay_run,
        .reset = replay_reset,
        .clear = replay_clear,
        .revoke = replay_revoke,
        .opaque = m,
    };
}

static void machine_end(Machine *m)
{
    alloc_destroy(&m->alloc);
    qpci_free_pc(m->bus);
    qtest_quit(m->qts);
}

static void replay(Machine *m, const char *input)
{
    size_t len;
    g_autofree uint8_t *data = g_base64_decode(input, &len);

    qidxd_fuzz_run(&m->idxd, &m->host, data, len);
}

static void test_memmove(const void *opaque)
{
    Machine m = {};

    machine_start(&m, opaque);
    replay(&m, WORKING_INPUT);
    machine_end(&m);
}

static char *input_file(const Target *target, const char *dir)
{
    return g_build_filename(g_getenv("QTEST_IDXD_IMS_CORPUS"), dir,
                            target->name, NULL);
}

static void replay_file(const Target *target, const char *dir)
{
    g_autofree char *file = input_file(target, dir);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    Machine m = {};

    if (!g_file_get_contents(file, &text, NULL, NULL)) {
        g_test_skip("no such file in the directory of QTEST_IDXD_IMS_CORPUS");
        return;
    }
    lines = g_strsplit(g_strchomp(text), "\n", -1);
    g_assert_nonnull(lines[0]);
    machine_start(&m, target);
    for (unsigned i = 0; lines[i]; i++) {
        if (lines[i][0] != '#') {
            g_test_message("%s:%u", file, i + 1);
            replay(&m, lines[i]);
        }
    }
    machine_end(&m);
}

static void test_corpus(const void *opaque)
{
    replay_file(opaque, ".");
}

/*
 * Migration is no part of a replay over the qtest protocol; such inputs are
 * for the fuzzer.
 */
static void test_regressions(const void *opaque)
{
    replay_file(opaque, "regressions");
}

static void add_test(const char *name, const Target *target,
                     void (*test)(const void *opaque))
{
    g_autofree char *path = g_strdup_printf("fuzz/idxd-ims/%s/%s", name,
                                            target->name);

    qtest_add_data_func(path, target, test);
}

/* A target need not have failed yet */
static void add_files(const Target *target)
{
    g_autofree char *regressions = input_file(target, "regressions");

    add_test("corpus", target, test_corpus);
    if (g_file_test(regressions, G_FILE_TEST_EXISTS)) {
        add_test("regressions", target, test_regressions);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(targets); i++) {
        add_test("memmove", &targets[i], test_memmove);
        if (g_getenv("QTEST_IDXD_IMS_CORPUS")) {
            add_files(&targets[i]);
        }
    }
    return g_test_run();
}
