/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QTest for idxd-ims in one QEMU, used by the guest of another by vfio-user
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "hw/pci/pci_regs.h"
#include "libqtest.h"
#include "libqos/idxd-ims.h"
#include "libqos/malloc-pc.h"
#include "libqos/pci-pc.h"

#define DEVFN           QPCI_DEVFN(4, 0)
#define DEVICE_PATH     "/machine/peripheral/dsa"
#define ATS_CAP         0x220
#define ECAM_BASE       0xb0000000u
#define ECAM_ENABLE     1
#define MCH_PCIEXBAR    0x60
#define RAM_SIZE        (4u << 20)
#define RECORD          0x0
#define SRC             0x100000
#define DST             0x200000
#define LEN             0x12345

/**
 * Pair - the two machines
 * @server: has the device, and no CPU
 * @client: has the guest
 * @dev: the device as the guest sees it
 * @ram: guest RAM for the test, %RAM_SIZE bytes
 */
typedef struct Pair {
    QTestState *server, *client;
    QPCIBus *bus;
    QGuestAllocator alloc;
    QIdxd dev;
    uint64_t ram;
    char *socket;
} Pair;

/* The guest's part of finding the device, also after a reset of the machine */
static void pair_discover(Pair *p)
{
    QPCIAddress addr = { .devfn = DEVFN };

    qpci_device_init(&p->dev.pci, p->bus, &addr);
    qidxd_init(&p->dev, &p->alloc);
}

static Pair *pair_new(void)
{
    Pair *p = g_new0(Pair, 1);

    p->socket = g_strdup_printf("%s/idxd-ims-vfio-user-%d.sock",
                                g_get_tmp_dir(), getpid());
    unlink(p->socket);
    p->server = qtest_initf("-machine x-remote,vfio-user=on,auto-shutdown=off "
                            "-nodefaults -device idxd-ims,id=dsa "
                            "-object x-vfio-user-server,id=vfu,type=unix,"
                            "path=%s,device=dsa", p->socket);
    p->client = qtest_initf("-machine q35,memory-backend=ram -m 128M "
                            "-object memory-backend-memfd,id=ram,size=128M,"
                            "share=on -nodefaults "
                            "-device '{\"driver\": \"vfio-user-pci\", "
                            "\"addr\": \"4\", \"socket\": {\"type\": \"unix\", "
                            "\"path\": \"%s\"}}'", p->socket);
    pc_alloc_init(&p->alloc, p->client, ALLOC_NO_FLAGS);
    p->bus = qpci_new_pc(p->client, &p->alloc);
    p->ram = guest_alloc(&p->alloc, RAM_SIZE);
    pair_discover(p);
    return p;
}

static void pair_free(Pair *p)
{
    qpci_free_pc(p->bus);
    alloc_destroy(&p->alloc);
    qtest_quit(p->client);
    qtest_quit(p->server);
    unlink(p->socket);
    g_free(p->socket);
    g_free(p);
}

/* A counter that the device, which is the server's, keeps for a vector */
static uint64_t pair_count(Pair *p, unsigned vector, const char *name)
{
    QDict *rsp = qtest_qmp(p->server, "{ 'execute': 'qom-get', 'arguments': "
                           "{ 'path': %s, 'property': 'x-msix-counters' } }",
                           DEVICE_PATH);
    const QListEntry *item;
    uint64_t count = 0;

    g_assert(qdict_haskey(rsp, "return"));
    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), item) {
        QDict *entry = qobject_to(QDict, qlist_entry_obj(item));

        if (qdict_get_int(entry, "entry") == vector) {
            count = qdict_get_int(entry, name);
        }
    }
    qobject_unref(rsp);
    return count;
}

static QIdxdDesc move(Pair *p)
{
    return (QIdxdDesc) {
        .opcode = DSA_OP_MEMMOVE, .flags = DSA_FLAG_RECORD,
        .record = p->ram + RECORD, .src = p->ram + SRC, .dst = p->ram + DST,
        .size = LEN,
    };
}

static void run(Pair *p, const QIdxdDesc *desc)
{
    QIdxdRecord rec;

    qidxd_run(&p->dev, 0, DSA_PORTAL_LIMITED, desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_SUCCESS);
    qidxd_command_ok(&p->dev, DSA_DRAIN_ALL, 0);
}

static void check_move(Pair *p)
{
    g_autofree uint8_t *src = g_malloc(LEN);
    g_autofree uint8_t *dst = g_malloc(LEN);
    QIdxdDesc desc = move(p);

    for (unsigned i = 0; i < LEN; i++) {
        src[i] = g_test_rand_int();
    }
    qtest_memwrite(p->client, desc.src, src, LEN);
    qtest_memset(p->client, desc.dst, 0, LEN + 1);
    run(p, &desc);
    qtest_memread(p->client, desc.dst, dst, LEN);
    g_assert(!memcmp(src, dst, LEN));
    g_assert_cmphex(qtest_readb(p->client, desc.dst + LEN), ==, 0);
}

static void test_identity(void)
{
    Pair *p = pair_new();
    QIdxd *d = &p->dev;

    g_assert_cmphex(qpci_config_readl(&d->pci, PCI_VENDOR_ID), ==, 0x0b258086);
    g_assert_cmphex(qidxd_readl(d, DSA_VERSION), ==, 0x100);
    g_assert_cmpuint(d->nr_vectors, ==, 9);
    g_assert_cmpuint(d->nr_wqs, ==, 8);
    g_assert_cmphex(d->regs_size, ==, 0x20000);
    g_assert_cmphex(d->portals_size, ==, 0x20000);
    /* Between two tables, and behind the last */
    g_assert_cmphex(qidxd_readq(d, 0x8800), ==, 0);
    g_assert_cmphex(qidxd_readl(d, d->regs_size - 4), ==, 0);
    pair_free(p);
}

static void test_move(void)
{
    Pair *p = pair_new();

    qidxd_bring_up(&p->dev, 1, NULL);
    check_move(p);
    pair_free(p);
}

/* A descriptor that ends in an interrupt on @vector, and its handle */
static QIdxdDesc nop_irq(Pair *p, unsigned vector)
{
    return (QIdxdDesc) {
        .opcode = DSA_OP_NOP, .flags = DSA_FLAG_RECORD | DSA_FLAG_RCI,
        .record = p->ram + RECORD,
        .handle = qidxd_request_handle(&p->dev, false, vector),
    };
}

static void raise_vector(Pair *p, unsigned vector)
{
    QIdxdDesc desc = nop_irq(p, vector);

    run(p, &desc);
    qidxd_command_ok(&p->dev, DSA_RELEASE_HANDLE, desc.handle);
}

static void test_interrupts(void)
{
    Pair *p = pair_new();
    QIdxd *d = &p->dev;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    for (unsigned v = 1; v < d->nr_vectors; v++) {
        raise_vector(p, v);
        qidxd_wait_message(d, v);
        g_assert_cmpuint(pair_count(p, v, "raised"), ==, 1);
        g_assert_cmpuint(pair_count(p, v, "sent"), ==, 1);
        g_assert_cmpuint(pair_count(p, v, "dropped"), ==, 0);
    }
    pair_free(p);
}

/*
 * Pending once while masked, delivered once when unmasked: here by the client,
 * whose table it is
 */
static void test_mask(void)
{
    Pair *p = pair_new();
    QIdxd *d = &p->dev;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    qidxd_mask_vector(d, 5, true);
    for (unsigned i = 0; i < 3; i++) {
        raise_vector(p, 5);
        g_assert(!qidxd_take_message(d, 5));
    }
    g_assert(qidxd_vector_pending(d, 5));
    g_assert_cmpuint(pair_count(p, 5, "sent"), ==, 3);
    qidxd_mask_vector(d, 5, false);
    qidxd_wait_message(d, 5);
    g_assert(!qidxd_vector_pending(d, 5));
    raise_vector(p, 5);
    qidxd_wait_message(d, 5);
    g_assert(!qidxd_take_message(d, 5));
    pair_free(p);
}

static void write_msix_flags(QIdxd *d, uint16_t clear, uint16_t set)
{
    uint8_t cap = qpci_find_capability(&d->pci, PCI_CAP_ID_MSIX, 0);
    uint16_t flags = qpci_config_readw(&d->pci, cap + PCI_MSIX_FLAGS);

    qpci_config_writew(&d->pci, cap + PCI_MSIX_FLAGS, (flags & ~clear) | set);
}

/* This mask is in the configuration space, so the device knows of it */
static void test_function_mask(void)
{
    Pair *p = pair_new();
    QIdxd *d = &p->dev;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    write_msix_flags(d, 0, PCI_MSIX_FLAGS_MASKALL);
    for (unsigned v = 1; v < d->nr_vectors; v++) {
        raise_vector(p, v);
        g_assert(!qidxd_take_message(d, v));
        g_assert_cmpuint(pair_count(p, v, "pending"), ==, 1);
    }
    write_msix_flags(d, PCI_MSIX_FLAGS_MASKALL, 0);
    for (unsigned v = 1; v < d->nr_vectors; v++) {
        qidxd_wait_message(d, v);
        g_assert(!qidxd_vector_pending(d, v));
    }
    pair_free(p);
}

/* MSI-X enabled, but each vector still masked, and so unknown to the server */
static void msix_on_masked(QIdxd *d)
{
    qidxd_msix_on(d);
    write_msix_flags(d, PCI_MSIX_FLAGS_ENABLE, 0);
    for (unsigned v = 0; v < d->nr_vectors; v++) {
        qidxd_mask_vector(d, v, true);
    }
    write_msix_flags(d, 0, PCI_MSIX_FLAGS_ENABLE);
}

/*
 * The guest unmasks the vectors one after the other.  Nothing that a vector
 * raises is lost, neither from one that is in use when the next comes nor from
 * one that is not yet.
 */
static void test_bring_up(void)
{
    Pair *p = pair_new();
    QIdxd *d = &p->dev;

    msix_on_masked(d);
    qidxd_bring_up(d, 1, NULL);
    for (unsigned v = 1; v < d->nr_vectors; v++) {
        raise_vector(p, v);
        g_assert(!qidxd_take_message(d, v));
        qidxd_mask_vector(d, v, false);
        qidxd_wait_message(d, v);
        for (unsigned i = 1; i <= v; i++) {
            raise_vector(p, i);
            qidxd_wait_message(d, i);
        }
    }
    for (unsigned v = 1; v < d->nr_vectors; v++) {
        g_assert_cmpuint(pair_count(p, v, "sent"), ==,
                         1 + d->nr_vectors - v);
        g_assert_cmpuint(pair_count(p, v, "dropped"), ==, 0);
    }
    pair_free(p);
}

/* What is raised while the guest has MSI-X off is lost, and counted */
static void test_disabled(void)
{
    Pair *p = pair_new();
    QIdxd *d = &p->dev;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    write_msix_flags(d, PCI_MSIX_FLAGS_ENABLE, 0);
    raise_vector(p, 3);
    write_msix_flags(d, 0, PCI_MSIX_FLAGS_ENABLE);
    raise_vector(p, 4);
    qidxd_wait_message(d, 4);
    g_assert(!qidxd_take_message(d, 3));
    g_assert_cmpuint(pair_count(p, 3, "dropped"), ==, 1);
    raise_vector(p, 3);
    qidxd_wait_message(d, 3);
    pair_free(p);
}

/* An IMS message has no way to the client, and is not taken for a vector */
static void test_ims(void)
{
    Pair *p = pair_new();
    QIdxd *d = &p->dev;
    QIdxdDesc desc;

    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    qidxd_writeq(d, qidxd_ims(d, 7), 0xfee00000);
    qidxd_writel(d, qidxd_ims(d, 7) + DSA_IMS_DATA, 3);
    qidxd_writel(d, qidxd_ims(d, 7) + DSA_IMS_CTRL, 0);
    desc = nop_irq(p, 0);
    desc.handle = qidxd_request_handle(d, true, 7);
    qidxd_run(d, 0, DSA_PORTAL_IMS_LIMITED, &desc, &(QIdxdRecord) { });
    raise_vector(p, 4);
    qidxd_wait_message(d, 4);
    g_assert(!qidxd_take_message(d, 3));
    pair_free(p);
}

static void check_reset(void (*reset)(Pair *p))
{
    Pair *p = pair_new();
    QIdxd *d = &p->dev;

    for (unsigned i = 0; i < 2; i++) {
        msix_on_masked(d);
        qidxd_bring_up(d, 1, NULL);
        check_move(p);
        raise_vector(p, 3);
        qidxd_mask_vector(d, 2, false);
        raise_vector(p, 2);
        qidxd_wait_message(d, 2);
        reset(p);
        pair_discover(p);
        g_assert_cmphex(qidxd_readl(d, DSA_GENSTS), ==, DSA_STATE_DISABLED);
        for (unsigned dw = 0; dw < 8; dw++) {
            g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, 0, dw)), ==, 0);
        }
        /* MSI-X is off, on either side */
        qidxd_bring_up(d, 1, NULL);
        raise_vector(p, 5);
        g_assert_cmpuint(pair_count(p, 5, "dropped"), ==, i + 1);
    }
    /* What vector 3 raised before the reset is gone */
    qidxd_msix_on(d);
    qidxd_bring_up(d, 1, NULL);
    raise_vector(p, 4);
    qidxd_wait_message(d, 4);
    g_assert(!qidxd_take_message(d, 3));
    g_assert(!qidxd_take_message(d, 5));
    pair_free(p);
}

static void reset_system(Pair *p)
{
    qtest_system_reset(p->client);
}

static void test_system_reset(void)
{
    check_reset(reset_system);
}

static void flr(Pair *p)
{
    QPCIDevice *pci = &p->dev.pci;
    uint8_t cap = qpci_find_capability(pci, PCI_CAP_ID_EXP, 0);
    uint16_t ctl = qpci_config_readw(pci, cap + PCI_EXP_DEVCTL);

    write_msix_flags(&p->dev, PCI_MSIX_FLAGS_ENABLE, 0);
    qpci_config_writew(pci, cap + PCI_EXP_DEVCTL, ctl | PCI_EXP_DEVCTL_BCR_FLR);
}

static void test_flr(void)
{
    check_reset(flr);
}

/* The guest finds the device reset, but where it was, and MSI-X on */
static void test_flr_unseen(void)
{
    Pair *p = pair_new();
    QIdxd *d = &p->dev;
    uint8_t cap = qpci_find_capability(&d->pci, PCI_CAP_ID_EXP, 0);
    uint16_t ctl = qpci_config_readw(&d->pci, cap + PCI_EXP_DEVCTL);

    qidxd_msix_on(d);
    for (unsigned i = 0; i < 2; i++) {
        qidxd_bring_up(d, 1, NULL);
        check_move(p);
        raise_vector(p, 3);
        qidxd_wait_message(d, 3);
        qpci_config_writew(&d->pci, cap + PCI_EXP_DEVCTL,
                           ctl | PCI_EXP_DEVCTL_BCR_FLR);
        g_assert_cmphex(qidxd_readl(d, DSA_GENSTS), ==, DSA_STATE_DISABLED);
        g_assert_cmphex(qidxd_readl(d, qidxd_wqcfg(d, 0, 0)), ==, 0);
    }
    pair_free(p);
}

/* No such memory in the client */
static void test_bad_address(void)
{
    Pair *p = pair_new();
    QIdxdDesc desc = move(p);
    QIdxdRecord rec;

    qidxd_bring_up(&p->dev, 1, NULL);
    desc.src = 1ull << 40;
    qidxd_run(&p->dev, 0, DSA_PORTAL_LIMITED, &desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_HW_READ);
    desc = move(p);
    desc.dst = 1ull << 40;
    qidxd_run(&p->dev, 0, DSA_PORTAL_LIMITED, &desc, &rec);
    g_assert_cmphex(rec.status, ==, DSA_ST_HW_WRITE);
    check_move(p);
    pair_free(p);
}

/*
 * Nothing at the server's end translates, so ATS is without effect.  The
 * capability lies in the extended configuration space, which q35 has no window
 * to before its firmware opens one.
 */
static void test_ats(void)
{
    Pair *p = pair_new();
    g_autofree QPCIDevice *mch = qpci_device_find(p->bus, 0);
    uint64_t cap = ECAM_BASE + (DEVFN << 12) + ATS_CAP;

    qpci_config_writel(mch, MCH_PCIEXBAR, ECAM_BASE | ECAM_ENABLE);
    g_assert_cmphex(qtest_readw(p->client, cap), ==, PCI_EXT_CAP_ID_ATS);
    qtest_writew(p->client, cap + PCI_ATS_CTRL, PCI_ATS_CTRL_ENABLE);
    g_assert_cmphex(qtest_readw(p->client, cap + PCI_ATS_CTRL), ==,
                    PCI_ATS_CTRL_ENABLE);
    qidxd_bring_up(&p->dev, 1, NULL);
    check_move(p);
    pair_free(p);
}

/* Why the tests cannot run with this binary, or NULL */
static const char *missing(void)
{
    QTestState *qts;
    QDict *rsp;
    bool server;

    if (!qtest_has_device("vfio-user-pci")) {
        return "no device vfio-user-pci";
    }
    if (!qtest_has_machine("x-remote")) {
        return "no machine x-remote: configure with --enable-multiprocess";
    }
    qts = qtest_init("-machine none");
    rsp = qtest_qmp(qts, "{ 'execute': 'qom-list-properties', 'arguments': "
                    "{ 'typename': 'x-vfio-user-server' } }");
    server = qdict_haskey(rsp, "return");
    qobject_unref(rsp);
    qtest_quit(qts);
    return server ? NULL : "no object x-vfio-user-server: configure with "
                           "--enable-vfio-user-server";
}

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    { "identity", test_identity },
    { "move", test_move },
    { "bad-address", test_bad_address },
    { "interrupts", test_interrupts },
    { "mask", test_mask },
    { "function-mask", test_function_mask },
    { "bring-up", test_bring_up },
    { "disabled", test_disabled },
    { "ims", test_ims },
    { "system-reset", test_system_reset },
    { "flr", test_flr },
    { "flr-unseen", test_flr_unseen },
    { "ats", test_ats },
};

static void skip(const void *reason)
{
    g_test_skip(reason);
}

int main(int argc, char **argv)
{
    const char *reason;

    g_test_init(&argc, &argv, NULL);
    reason = missing();
    if (reason) {
        qtest_add_data_func("/idxd-ims/vfio-user", reason, skip);
        return g_test_run();
    }
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        g_autofree char *path = g_strdup_printf("/idxd-ims/vfio-user/%s",
                                                tests[i].name);

        qtest_add_func(path, tests[i].run);
    }
    return g_test_run();
}
