/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest driver that checks the delivery of MSI-X interrupts.
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include <linux/vfio.h>
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "qemu/units.h"
#include "hw/pci/pci_regs.h"
#include "vfio-msix-model.h"

#define INDEX VFIO_PCI_MSIX_IRQ_INDEX

/* Vector v has the places v and v + VFIO_USER_MSIX_MAX */
#define PLACES (2 * VFIO_USER_MSIX_MAX)

/* A wait that only ends early; the test fails where it is used up */
#define WAIT_SECONDS 5

/* Enough to see what goes wrong, without drowning it */
#define MAX_REPORTS 4

static const char *const violation_names[] = {
    [VFIO_MSIX_LOST] = "lost",
    [VFIO_MSIX_WHILE_MASKED] = "delivered while masked",
    [VFIO_MSIX_SPURIOUS] = "spurious",
    [VFIO_MSIX_WRONG] = "wrong message",
};

/* The machine */

/* No CPU will run it, but the board insists on a firmware image */
static char *write_blank_firmware(void)
{
    g_autofree char *blank = g_malloc0(64 * KiB);
    char *path = NULL;
    int fd = g_file_open_tmp("vfio-msix-bios-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, blank, 64 * KiB), ==, 64 * KiB);
    close(fd);
    return path;
}

QTestState *vfio_msix_start_qemu(VFIOUserServer *server, const char *policy,
                                 const char *binary_var)
{
    g_autofree char *bios = write_blank_firmware();
    g_autofree char *prop = policy ?
        g_strdup_printf("\"addr\": \"%u.0\", \"x-msix-prealloc\": \"%s\"",
                        VFIO_MSIX_SLOT, policy) :
        g_strdup_printf("\"addr\": \"%u.0\"", VFIO_MSIX_SLOT);
    g_autofree char *device = vfio_user_server_device_arg(server, prop);
    g_autofree char *args = g_strdup_printf(
        "-nodefaults -machine pc,memory-backend=ram -m 32M -bios %s "
        "-object memory-backend-memfd,id=ram,size=32M,share=on "
        "-device '%s'", bios, device);
    QTestState *qts = qtest_init_ext(binary_var, args, NULL, true);

    unlink(bios);
    return qts;
}

void vfio_msix_settle(QTestState *qts, VFIOUserIrqs *irqs)
{
    int64_t end = g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC;

    while (!vfio_user_irqs_drained(irqs)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        qtest_readb(qts, 0);
    }
    /*
     * The main loop that read the last eventfd answers this after its handler;
     * the second round is for what such a handler raised.
     */
    qtest_readb(qts, 0);
    qtest_readb(qts, 0);
}

/* The device as the driver sees it */

static uint64_t entry_offset(unsigned v, unsigned reg)
{
    return VFIO_USER_SERVER_TABLE_OFFSET + v * PCI_MSIX_ENTRY_SIZE + reg;
}

static void write_entry(VFIOMsixModel *m, unsigned v, unsigned reg,
                        uint32_t value)
{
    qpci_io_writel(m->dev, m->bar, entry_offset(v, reg), value);
}

static void write_control(VFIOMsixModel *m)
{
    qpci_config_writew(m->dev, m->cap + PCI_MSIX_FLAGS,
                       (m->enabled ? PCI_MSIX_FLAGS_ENABLE : 0) |
                       (m->fmask ? PCI_MSIX_FLAGS_MASKALL : 0));
}

/* Place and value are new, the one to come and the one before differ in both */
static void write_message(VFIOMsixModel *m, unsigned v)
{
    VFIOMsixEntry *e = &m->entry[v];
    unsigned place = ++m->sequence % 2 * VFIO_USER_MSIX_MAX + v;

    e->address = VFIO_MSIX_MEMORY_BASE + place * sizeof(uint32_t);
    e->data = 0x80000000 | m->sequence << 11 | v;
    write_entry(m, v, PCI_MSIX_ENTRY_LOWER_ADDR, e->address);
    write_entry(m, v, PCI_MSIX_ENTRY_UPPER_ADDR, e->address >> 32);
    write_entry(m, v, PCI_MSIX_ENTRY_DATA, e->data);
}

static void set_up_device(VFIOMsixModel *m)
{
    qpci_config_writel(m->dev, PCI_BASE_ADDRESS_0, m->bar.addr);
    qpci_device_enable(m->dev);
    for (unsigned v = 0; v < m->n; v++) {
        m->entry[v].masked = true;
        write_message(m, v);
    }
}

/*
 * Runs before each raise: what has been delivered so far does not pay for it,
 * but is not forgotten either.
 */
static void before_raise(void *opaque, unsigned index, unsigned v)
{
    VFIOMsixModel *m = opaque;

    for (unsigned place = v; place < PLACES; place += VFIO_USER_MSIX_MAX) {
        uint32_t data = qatomic_xchg(&m->memory[place], 0);

        if (data && index == INDEX) {
            qatomic_set(&m->earlier[place], data);
        }
    }
}

VFIOMsixModel *vfio_msix_model_new(const VFIOMsixModelConfig *cfg)
{
    VFIOMsixModel *m = g_new0(VFIOMsixModel, 1);

    m->n = cfg->irqs.msix;
    m->entry = g_new0(VFIOMsixEntry, m->n);
    m->seen = g_new0(VFIOUserVector, m->n);
    m->server = vfio_user_server_new(&cfg->irqs);
    m->irqs = vfio_user_server_irqs(m->server);
    m->qts = vfio_msix_start_qemu(m->server, cfg->policy, cfg->binary_var);
    m->bus = qpci_new_pc(m->qts, NULL);
    m->dev = qpci_device_find(m->bus, QPCI_DEVFN(VFIO_MSIX_SLOT, 0));
    g_assert_nonnull(m->dev);
    m->cap = qpci_find_capability(m->dev, PCI_CAP_ID_MSIX, 0);
    g_assert_cmpuint(m->cap, !=, 0);
    g_assert_cmpuint(qpci_msix_table_size(m->dev), ==, m->n);
    m->bar = qpci_iomap(m->dev, VFIO_USER_SERVER_BAR, NULL);
    m->memory = vfio_user_server_map_guest(m->server, VFIO_MSIX_MEMORY_BASE,
                                           VFIO_MSIX_MEMORY_SIZE);
    g_assert_nonnull(m->memory);
    m->earlier = g_new0(uint32_t, PLACES);
    vfio_user_irqs_before_raise(m->irqs, before_raise, m);
    set_up_device(m);
    return m;
}

void vfio_msix_model_free(VFIOMsixModel *m)
{
    qtest_quit(m->qts);
    vfio_user_server_free(m->server);
    munmap(m->memory, VFIO_MSIX_MEMORY_SIZE);
    g_free(m->dev);
    qpci_free_pc(m->bus);
    g_free(m->earlier);
    g_free(m->seen);
    g_free(m->entry);
    g_free(m);
}

VFIOUserIrqStats vfio_msix_model_stats(VFIOMsixModel *m)
{
    VFIOUserIrqStats stats;

    vfio_user_irqs_stats(m->irqs, INDEX, &stats);
    return stats;
}

bool vfio_msix_model_unmasked(const VFIOMsixModel *m, unsigned v)
{
    return m->enabled && !m->fmask && !m->entry[v].masked;
}

unsigned vfio_msix_model_total(const VFIOMsixModel *m)
{
    unsigned total = 0;

    for (unsigned i = 0; i < VFIO_MSIX_VIOLATIONS; i++) {
        total += m->violations[i];
    }
    return total;
}

/* The check */

static void violation(VFIOMsixModel *m, unsigned v, VFIOMsixViolation kind)
{
    if (m->violations[kind]++ < MAX_REPORTS) {
        g_test_message("vector %u: %s", v, violation_names[kind]);
        vfio_user_irqs_dump(m->irqs, MIN(m->step_messages, 64));
    }
}

/* Take one delivery from @place in @from, where messages of vector @v go */
static bool take_delivery(VFIOMsixModel *m, uint32_t *from, unsigned v,
                          unsigned place)
{
    const VFIOMsixEntry *e = &m->entry[v];
    uint64_t address = VFIO_MSIX_MEMORY_BASE + place * sizeof(uint32_t);
    uint32_t data = qatomic_xchg(&from[place], 0);

    if (data && (address != e->address || le32_to_cpu(data) != e->data)) {
        violation(m, v, VFIO_MSIX_WRONG);
    }
    return data;
}

/* Whether vector @v was sent since the last time, and after its last raise */
static bool delivered(VFIOMsixModel *m, unsigned v, bool *after_raise)
{
    bool any = false;

    *after_raise = false;
    for (unsigned place = v; place < PLACES; place += VFIO_USER_MSIX_MAX) {
        any |= take_delivery(m, m->earlier, v, place);
        *after_raise |= take_delivery(m, m->memory, v, place);
    }
    return any || *after_raise;
}

/* A delivery to @v that is not owed: each excuse is good for one */
static void take_excuse(VFIOMsixModel *m, unsigned v)
{
    VFIOMsixEntry *e = &m->entry[v];

    if (e->may) {
        e->may = false;
    } else if (e->replay) {
        e->replay = false;
    } else {
        violation(m, v, VFIO_MSIX_SPURIOUS);
    }
}

/* Returns false if something is owed to entry @v and is not there yet */
static bool check_entry(VFIOMsixModel *m, unsigned v)
{
    VFIOMsixEntry *e = &m->entry[v];
    bool unmasked = vfio_msix_model_unmasked(m, v);
    bool after_raise;

    if (delivered(m, v, &after_raise)) {
        if (!unmasked) {
            violation(m, v, VFIO_MSIX_WHILE_MASKED);
        } else if (!e->must) {
            take_excuse(m, v);
        }
    }
    e->must &= !after_raise;
    return !e->must || !unmasked || e->starved;
}

static bool check_entries(VFIOMsixModel *m)
{
    bool complete = true;

    for (unsigned v = 0; v < m->n; v++) {
        complete &= check_entry(m, v);
    }
    return complete;
}

static void report_lost(VFIOMsixModel *m)
{
    for (unsigned v = 0; v < m->n; v++) {
        if (!check_entry(m, v)) {
            violation(m, v, VFIO_MSIX_LOST);
            m->entry[v].must = false;
        }
    }
}

/*
 * Note what the step raised, and what it excuses: @resized, the host's index
 * went down in it; @refused, a request failed, and some of it was done before,
 * or the index came up again for which the host had refused all.
 */
static void note_raised(VFIOMsixModel *m, bool resized, bool refused)
{
    for (unsigned v = 0; v < m->n; v++) {
        VFIOMsixEntry *e = &m->entry[v];

        if (m->seen[v].fired != e->fired) {
            e->fired = m->seen[v].fired;
            e->must |= m->enabled;
            e->may |= !m->enabled;
        }
        e->replay |= (resized && e->live) || m->seen[v].torn != e->torn;
        e->torn = m->seen[v].torn;
        e->live |= vfio_msix_model_unmasked(m, v);
        e->replay |= refused && e->live;
        e->starved &= !m->seen[v].armed;
    }
}

void vfio_msix_model_check(VFIOMsixModel *m)
{
    VFIOUserIrqStats stats;

    vfio_msix_settle(m->qts, m->irqs);
    stats = vfio_msix_model_stats(m);
    m->step_messages = stats.messages - m->messages;
    m->messages = stats.messages;
    vfio_user_irqs_snapshot(m->irqs, INDEX, m->seen);
    note_raised(m, stats.live_disables != m->live_disables,
                stats.refused != m->refused || m->down);
    m->down = m->enabled && !stats.allocated;
    m->live_disables = stats.live_disables;
    m->refused = stats.refused;
    if (!check_entries(m)) {
        /* late is not lost, but after another full round nothing will come */
        vfio_msix_settle(m->qts, m->irqs);
        report_lost(m);
    }
}

/*
 * The end of a step that unmasked those vectors that are now and are not in
 * @before. Only these may be without service, and only where the host refused
 * something since MSI-X was enabled: QEMU need not try for ever.
 */
static void check_unmasked(VFIOMsixModel *m, const bool *before)
{
    bool refused = vfio_msix_model_stats(m).refused != m->refused_at_enable;

    vfio_user_irqs_snapshot(m->irqs, INDEX, m->seen);
    for (unsigned v = 0; v < m->n; v++) {
        if (vfio_msix_model_unmasked(m, v) && !before[v]) {
            m->entry[v].starved = refused && !m->seen[v].armed;
        }
    }
    vfio_msix_model_check(m);
}

static bool *all_unmasked(const VFIOMsixModel *m)
{
    bool *unmasked = g_new(bool, m->n);

    for (unsigned v = 0; v < m->n; v++) {
        unmasked[v] = vfio_msix_model_unmasked(m, v);
    }
    return unmasked;
}

unsigned vfio_msix_model_starved(const VFIOMsixModel *m)
{
    unsigned n = 0;

    for (unsigned v = 0; v < m->n; v++) {
        n += m->entry[v].starved;
    }
    return n;
}

bool vfio_msix_model_quiet(VFIOMsixModel *m, unsigned v)
{
    bool after_raise;

    /* what is there now came after each raise that is counted here */
    vfio_user_irqs_snapshot(m->irqs, INDEX, m->seen);
    delivered(m, v, &after_raise);
    if (after_raise) {
        m->entry[v].fired = m->seen[v].fired;
        m->entry[v].must = false;
    }
    /* and this is what a raise was setting aside meanwhile: it is done now */
    vfio_user_irqs_snapshot(m->irqs, INDEX, m->seen);
    delivered(m, v, &after_raise);
    qtest_readb(m->qts, 0);
    qtest_readb(m->qts, 0);
    return !delivered(m, v, &after_raise);
}

/* Steps */

void vfio_msix_model_enable(VFIOMsixModel *m, bool fmask)
{
    g_autofree bool *before = all_unmasked(m);

    g_assert_false(m->enabled);
    m->refused_at_enable = vfio_msix_model_stats(m).refused;
    m->enabled = true;
    m->fmask = fmask;
    write_control(m);
    /* what is raised before the guest's write has ended may come or not */
    vfio_user_irqs_snapshot(m->irqs, INDEX, m->seen);
    for (unsigned v = 0; v < m->n; v++) {
        VFIOMsixEntry *e = &m->entry[v];

        e->may |= m->seen[v].fired != e->fired;
        e->fired = m->seen[v].fired;
    }
    check_unmasked(m, before);
}

void vfio_msix_model_disable(VFIOMsixModel *m)
{
    g_assert_true(m->enabled);
    m->enabled = false;
    write_control(m);
    for (unsigned v = 0; v < m->n; v++) {
        VFIOMsixEntry *e = &m->entry[v];

        /* nothing is owed any more, but what was pending may still come */
        e->may |= e->must;
        e->must = e->live = e->starved = false;
    }
    vfio_msix_model_check(m);
}

void vfio_msix_model_function_mask(VFIOMsixModel *m, bool fmask)
{
    g_autofree bool *before = all_unmasked(m);

    m->fmask = fmask;
    write_control(m);
    check_unmasked(m, before);
}

void vfio_msix_model_write_mask(VFIOMsixModel *m, unsigned v, bool mask)
{
    m->entry[v].masked = mask;
    write_entry(m, v, PCI_MSIX_ENTRY_VECTOR_CTRL,
                mask ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

void vfio_msix_model_mask(VFIOMsixModel *m, unsigned v)
{
    vfio_msix_model_write_mask(m, v, true);
    vfio_msix_model_check(m);
}

void vfio_msix_model_unmask(VFIOMsixModel *m, unsigned v)
{
    g_autofree bool *before = all_unmasked(m);

    vfio_msix_model_write_mask(m, v, false);
    check_unmasked(m, before);
}

void vfio_msix_model_rewrite(VFIOMsixModel *m, unsigned v)
{
    g_assert_true(m->entry[v].masked);
    write_message(m, v);
    vfio_msix_model_check(m);
}

void vfio_msix_model_reset(VFIOMsixModel *m)
{
    m->enabled = m->fmask = false;
    qtest_system_reset(m->qts);
    vfio_user_irqs_snapshot(m->irqs, INDEX, m->seen);
    for (unsigned v = 0; v < m->n; v++) {
        m->entry[v] = (VFIOMsixEntry) {
            .fired = m->seen[v].fired, .torn = m->seen[v].torn,
        };
    }
    m->live_disables = vfio_msix_model_stats(m).live_disables;
    set_up_device(m);
    vfio_msix_model_check(m);
}

void vfio_msix_model_fire(VFIOMsixModel *m, unsigned v)
{
    vfio_user_irqs_fire(m->irqs, INDEX, v);
    vfio_msix_model_check(m);
}

void vfio_msix_model_fire_live(VFIOMsixModel *m, unsigned stride)
{
    for (unsigned v = 0, i = 0; v < m->n; v++) {
        if (vfio_msix_model_unmasked(m, v) && i++ % stride == 0) {
            vfio_user_irqs_fire(m->irqs, INDEX, v);
        }
    }
    vfio_msix_model_check(m);
}
