/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-user servers that are wrong, late or gone.
 *
 * None of them may take more from a VM than its device. Where a server can be
 * better the next time, the device works then.
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include <linux/vfio.h>
#include "hw/pci/pci_regs.h"
#include "qapi/error.h"
#include "qemu/bswap.h"
#include "qobject/qdict.h"
#include "qobject/qjson.h"
#include "vfio-msix-scenario.h"
#include "vfio-user-faults.h"

#define VECTORS 8

/* Where the server has its MSI-X capability */
#define MSIX_CAP 0x40
/* Where it has none */
#define OTHER_CAP 0x60

/* Of those that are late. Long enough for a busy host to answer at all */
#define TIMEOUT_MS 200

/* Devices that cannot be added */

static void edit_pin(uint8_t *config)
{
    /* there is no such interrupt in the server */
    config[PCI_INTERRUPT_PIN] = 1;
}

static void set_table(uint8_t *config, uint32_t value)
{
    stl_le_p(config + MSIX_CAP + PCI_MSIX_TABLE, value);
}

static void set_pba(uint8_t *config, uint32_t value)
{
    stl_le_p(config + MSIX_CAP + PCI_MSIX_PBA, value);
}

static void edit_overlap(uint8_t *config)
{
    set_pba(config, VFIO_USER_SERVER_TABLE_OFFSET | VFIO_USER_SERVER_BAR);
}

static void edit_table_no_bar(uint8_t *config)
{
    set_table(config, 2);
}

static void edit_table_beyond(uint8_t *config)
{
    set_table(config, VFIO_USER_SERVER_BAR_SIZE | VFIO_USER_SERVER_BAR);
}

/* 32 bits are not enough to add the table's size to that */
static void edit_table_wraps(uint8_t *config)
{
    set_table(config, 0xfffffff8 | VFIO_USER_SERVER_BAR);
}

static void edit_table_bir(uint8_t *config)
{
    set_table(config, 7);
}

static void edit_pba_no_bar(uint8_t *config)
{
    set_pba(config, 2);
}

static void edit_pba_beyond(uint8_t *config)
{
    set_pba(config, (VFIO_USER_SERVER_BAR_SIZE - 8) | VFIO_USER_SERVER_BAR);
    stw_le_p(config + MSIX_CAP + PCI_MSIX_FLAGS, 64);
}

static void edit_pba_bir(uint8_t *config)
{
    set_pba(config, 6);
}

/* The offset of its PBA is replaced by another one, in whatever BAR */
static void edit_pba_quirk(uint8_t *config)
{
    stw_le_p(config + PCI_VENDOR_ID, 0x1425);
    stw_le_p(config + PCI_DEVICE_ID, 0x5801);
    set_pba(config, 2);
}

static void edit_bridge(uint8_t *config)
{
    config[PCI_HEADER_TYPE] = PCI_HEADER_TYPE_BRIDGE;
}

/* It says that it has this size, and cannot be written */
static void edit_rom(uint8_t *config)
{
    stl_le_p(config + PCI_ROM_ADDRESS, 0x00ff0000);
}

static void edit_msi(uint8_t *config)
{
    config[MSIX_CAP + PCI_CAP_LIST_NEXT] = OTHER_CAP;
    config[OTHER_CAP] = PCI_CAP_ID_MSI;
    stw_le_p(config + OTHER_CAP + PCI_MSI_FLAGS, PCI_MSI_FLAGS_QMASK);
}

static void edit_loop(uint8_t *config)
{
    config[MSIX_CAP + PCI_CAP_LIST_NEXT] = OTHER_CAP;
    config[OTHER_CAP] = PCI_CAP_ID_VNDR;
    config[OTHER_CAP + PCI_CAP_LIST_NEXT] = OTHER_CAP;
}

static void edit_twice(uint8_t *config)
{
    memcpy(config + OTHER_CAP, config + MSIX_CAP, PCI_CAP_MSIX_SIZEOF);
    config[MSIX_CAP + PCI_CAP_LIST_NEXT] = OTHER_CAP;
}

/**
 * struct Fault - a device that QEMU has to refuse, or to take as it is
 * @name: of the test
 * @server: what is wrong with it
 * @error: what QEMU says when it refuses it, NULL if it does not
 * @harmless: a QEMU without the fixes need not die of it by a signal
 */
typedef struct Fault {
    const char *name;
    VFIOUserServerFaults server;
    const char *error;
    bool harmless;
} Fault;

/* MSI-X structures and INTx; then what else QEMU reads before it says yes */
static const Fault faults[] = {
    { "intx", { .edit_config = edit_pin }, "*interrupt*" },
    { "overlap", { .edit_config = edit_overlap }, "*overlap*" },
    { "table-no-bar", { .edit_config = edit_table_no_bar }, "*MSIX table*" },
    { "table-beyond", { .edit_config = edit_table_beyond }, "*MSIX table*" },
    { "table-wraps", { .edit_config = edit_table_wraps }, "*MSIX table*",
      .harmless = true },
    { "table-bir", { .edit_config = edit_table_bir }, "*BIR*" },
    { "pba-no-bar", { .edit_config = edit_pba_no_bar }, "*MSIX PBA*" },
    { "pba-beyond", { .edit_config = edit_pba_beyond }, "*MSIX PBA*" },
    { "pba-bir", { .edit_config = edit_pba_bir }, "*BIR*" },
    { "pba-quirk", { .edit_config = edit_pba_quirk }, "*MSIX PBA*" },
    { "bar-unread", { .no_read = PCI_BASE_ADDRESS_0 }, "*MSIX*" },
    { "bar-size", { .sizes[VFIO_USER_SERVER_BAR] = 0x18000 },
      "*power of 2*" },
    { "bridge", { .edit_config = edit_bridge, .sizes[2] = 0x1000 },
      "*header type*" },
    { "rom-size", { .edit_config = edit_rom } },
    { "msi", { .edit_config = edit_msi }, "*MSI vectors*" },
    /* without the fixes, QEMU does not come to an end with these two */
    { "caps-loop", { .edit_config = edit_loop }, "*no end*",
      .harmless = true },
    { "msix-twice", { .edit_config = edit_twice }, "*more than one MSI-X*",
      .harmless = true },
    { "config-16", { .sizes[VFIO_PCI_CONFIG_REGION_INDEX] = 16 },
      "*config space*", .harmless = true },
    { "config-255", { .sizes[VFIO_PCI_CONFIG_REGION_INDEX] = 255 },
      .harmless = true },
    { "config-4096", { .sizes[VFIO_PCI_CONFIG_REGION_INDEX] = 4096 },
      .harmless = true },
    { "config-huge", { .sizes[VFIO_PCI_CONFIG_REGION_INDEX] = 1ULL << 50 } },
};

/* What QEMU says about it, or NULL if the device is there now */
static char *plug(VFIOMsixModel *m, const char *policy, unsigned timeout_ms)
{
    g_autofree char *arg = vfio_msix_device_arg(m->server, VFIO_MSIX_SLOT,
                                                policy);
    QDict *args = qobject_to(QDict, qobject_from_json(arg, &error_abort));
    QDict *response, *error;
    char *desc = NULL;

    if (timeout_ms) {
        qdict_put_int(args, "x-msg-timeout", timeout_ms);
    }
    response = qtest_qmp(m->qts, "{'execute': 'device_add', 'arguments': %p}",
                         args);
    error = qdict_get_qdict(response, "error");
    if (error) {
        desc = g_strdup(qdict_get_str(error, "desc"));
    }
    qobject_unref(response);
    return desc;
}

static void plug_well(VFIOMsixModel *m, const char *policy,
                      const VFIOUserServerFaults *server, unsigned timeout_ms)
{
    g_autofree char *error = NULL;

    vfio_user_server_set_faults(m->server, server);
    error = plug(m, policy, timeout_ms);
    g_assert_cmpstr(error, ==, NULL);
}

static void plug_wrong(VFIOMsixModel *m, const char *policy, const Fault *f)
{
    g_autofree char *error = NULL;

    vfio_user_server_set_faults(m->server, &f->server);
    error = plug(m, policy, 0);
    g_assert_nonnull(error);
    g_test_message("%s: %s", f->name, error);
    g_assert_true(g_pattern_match_simple("*vfio-user:*", error));
    g_assert_true(g_pattern_match_simple(f->error, error));
}

/* The device may not be added, again and again, and then it is */
static void start_wrong(VFIOMsixModel *m, const VFIOMsixModelConfig *cfg)
{
    const Fault *f = m->opaque;

    m->qts = vfio_msix_start_qemu(NULL, NULL, cfg->binary_var);
    if (f->error) {
        for (unsigned i = 0; i < 3; i++) {
            plug_wrong(m, cfg->policy, f);
        }
        plug_well(m, cfg->policy, &(VFIOUserServerFaults) { 0 }, 0);
    } else {
        plug_well(m, cfg->policy, &f->server, 0);
    }
    m->opaque = vfio_user_server_map_guest(m->server, VFIO_MSIX_MEMORY_BASE,
                                           VFIO_MSIX_MEMORY_SIZE);
    g_assert_nonnull(m->opaque);
}

/* A device that need not wait for ever */
static void start_late(VFIOMsixModel *m, const VFIOMsixModelConfig *cfg)
{
    m->qts = vfio_msix_start_qemu(NULL, NULL, cfg->binary_var);
    plug_well(m, cfg->policy, &(VFIOUserServerFaults) { 0 }, TIMEOUT_MS);
    m->opaque = vfio_user_server_map_guest(m->server, VFIO_MSIX_MEMORY_BASE,
                                           VFIO_MSIX_MEMORY_SIZE);
    g_assert_nonnull(m->opaque);
}

static VFIOMsixModel *start(void (*fn)(VFIOMsixModel *m,
                                       const VFIOMsixModelConfig *cfg),
                            const Fault *f, const char *binary_var)
{
    VFIOMsixMachine *machine = g_memdup2(&vfio_msix_ram, sizeof(*machine));

    machine->start = fn;
    return vfio_msix_model_new(&(VFIOMsixModelConfig) {
        .irqs = { .msix = VECTORS, .split_upwards = binary_var },
        .policy = binary_var ? NULL : "auto",
        .binary_var = binary_var,
        .machine = machine,
        .opaque = (void *)f,
    });
}

static void stop(VFIOMsixModel *m)
{
    const VFIOMsixMachine *machine = m->machine;

    vfio_msix_model_free(m);
    g_free((void *)machine);
}

static void check_works(VFIOMsixModel *m)
{
    vfio_msix_bring_up(m, VFIO_MSIX_ASCENDING);
    vfio_msix_assert_clean(m);
    g_assert_cmpuint(vfio_msix_working(m), ==, m->n);
}

static void run_wrong(const Fault *f, const char *binary_var)
{
    VFIOMsixModel *m = start(start_wrong, f, binary_var);

    check_works(m);
    stop(m);
}

/* Devices that work, and then answer late */

static void read_late(VFIOMsixModel *m, VFIOUserServerFaults server)
{
    vfio_user_server_set_faults(m->server, &server);
    qpci_config_readw(m->dev, PCI_COMMAND);
    vfio_user_server_set_faults(m->server, &(VFIOUserServerFaults) { 0 });
}

/* The rest of each reply comes when nobody waits for it any more */
static void run_halves(const char *binary_var)
{
    VFIOMsixModel *m = start(start_late, NULL, binary_var);

    for (unsigned i = 0; i < 3; i++) {
        read_late(m, (VFIOUserServerFaults) {
            .halves = true, .pause_us = 2 * TIMEOUT_MS * 1000,
        });
        g_usleep(2 * TIMEOUT_MS * 1000);
        g_assert_cmphex(qpci_config_readw(m->dev, PCI_VENDOR_ID), ==,
                        VFIO_USER_SERVER_VENDOR_ID);
    }
    check_works(m);
    stop(m);
}

/* A whole reply that nobody waits for */
static void run_late(const char *binary_var)
{
    VFIOMsixModel *m = start(start_late, NULL, binary_var);

    for (unsigned i = 0; i < 3; i++) {
        read_late(m, (VFIOUserServerFaults) {
            .pause_us = 2 * TIMEOUT_MS * 1000,
        });
        g_usleep(2 * TIMEOUT_MS * 1000);
        g_assert_cmphex(qpci_config_readw(m->dev, PCI_VENDOR_ID), ==,
                        VFIO_USER_SERVER_VENDOR_ID);
    }
    check_works(m);
    stop(m);
}

/* Replies that come at the moment when QEMU stops waiting for them */
static void run_race(const char *binary_var)
{
    VFIOMsixModel *m = start(start_late, NULL, binary_var);
    unsigned rounds = g_test_slow() ? 200 : 5;

    vfio_msix_model_write_mask(m, 0, false);
    for (unsigned i = 0; i < rounds; i++) {
        vfio_msix_set_faults(m, (VFIOUserIrqFaults) {
            .reply_delay_us = TIMEOUT_MS * 1000 +
                              g_test_rand_int_range(-400, 50),
        });
        qpci_config_writew(m->dev, m->cap + PCI_MSIX_FLAGS,
                           PCI_MSIX_FLAGS_ENABLE);
        qpci_config_writew(m->dev, m->cap + PCI_MSIX_FLAGS, 0);
    }
    vfio_msix_set_faults(m, (VFIOUserIrqFaults) { 0 });
    g_usleep(TIMEOUT_MS * 1000);
    vfio_msix_model_reset(m);
    check_works(m);
    stop(m);
}

/* The server goes away within a reply, and comes back */
static void run_hang_up(const char *binary_var)
{
    VFIOMsixModel *m = start(start_late, NULL, binary_var);

    read_late(m, (VFIOUserServerFaults) { .halves = true, .hang_up = true });
    qpci_config_readw(m->dev, PCI_COMMAND);
    vfio_msix_unplug(m);
    vfio_msix_plug(m, "auto");
    check_works(m);
    stop(m);
}

/*
 * A QEMU without the fixes loses the connection after one that is late, and
 * dies in the race, but not for sure.
 */
static const struct {
    const char *name;
    void (*fn)(const char *binary_var);
    bool harmless;
} late[] = {
    { "halves", run_halves },
    { "late", run_late, true },
    { "race", run_race, true },
    { "hang-up", run_hang_up },
};

/* Registration */

static const char *stock;

static void test_wrong(const void *opaque)
{
    run_wrong(opaque, NULL);
}

static void test_late(const void *opaque)
{
    late[GPOINTER_TO_UINT(opaque)].fn(NULL);
}

/* What QEMU up to 11.1 does about them: it dies */
static bool dies(void)
{
    if (!g_getenv(stock)) {
        g_test_skip("there is no QEMU without the fixes");
        return false;
    }
    if (g_test_subprocess()) {
        return true;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*QEMU death from signal*");
    return false;
}

static void test_stock_wrong(const void *opaque)
{
    if (dies()) {
        run_wrong(opaque, stock);
    }
}

static void test_stock_late(const void *opaque)
{
    if (dies()) {
        late[GPOINTER_TO_UINT(opaque)].fn(stock);
    }
}

static void add(const char *where, const char *name, const void *opaque,
                void (*fn)(const void *opaque))
{
    g_autofree char *path = g_strdup_printf("vfio-msix-resize/%s/%s", where,
                                            name);

    qtest_add_data_func(path, opaque, fn);
}

void vfio_user_faults_add(const char *stock_var)
{
    stock = stock_var;
    for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
        add("fault", faults[i].name, &faults[i], test_wrong);
        if (!faults[i].harmless) {
            add("stock/fault", faults[i].name, &faults[i], test_stock_wrong);
        }
    }
    for (unsigned i = 0; i < ARRAY_SIZE(late); i++) {
        add("fault", late[i].name, GUINT_TO_POINTER(i), test_late);
        if (!late[i].harmless) {
            add("stock/fault", late[i].name, GUINT_TO_POINTER(i),
                test_stock_late);
        }
    }
}
