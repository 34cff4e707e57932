/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest driver that checks the delivery of MSI-X interrupts.
 */

#include "qemu/osdep.h"
#include <linux/vfio.h>
#include "hw/pci/pci_regs.h"
#include "vfio-msix-model.h"

#define INDEX VFIO_PCI_MSIX_IRQ_INDEX

/* Enough to see what goes wrong, without drowning it */
#define MAX_REPORTS 4

static const char *const violation_names[] = {
    [VFIO_MSIX_LOST] = "lost",
    [VFIO_MSIX_WHILE_MASKED] = "delivered while masked",
    [VFIO_MSIX_SPURIOUS] = "spurious",
    [VFIO_MSIX_WRONG] = "wrong message",
    [VFIO_MSIX_PBA] = "wrong pending bit",
};

/* The device as the driver sees it */

static uint64_t entry_offset(unsigned v, unsigned reg)
{
    return VFIO_USER_SERVER_TABLE_OFFSET + v * PCI_MSIX_ENTRY_SIZE + reg;
}

void vfio_msix_model_write_entry(VFIOMsixModel *m, unsigned v, unsigned reg,
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

/* The message for another place than the last one, and a value of its own */
static void choose_message(VFIOMsixModel *m, unsigned v)
{
    VFIOMsixEntry *e = &m->entry[v];

    if (m->places > 1) {
        e->place = (e->place + 1 + m->moves++ % (m->places - 1)) % m->places;
    }
    e->message = m->machine->message(m, v, e->place);
}

static void write_message(VFIOMsixModel *m, unsigned v)
{
    const VFIOMsixMessage *msg = &m->entry[v].message;

    vfio_msix_model_write_entry(m, v, PCI_MSIX_ENTRY_LOWER_ADDR, msg->address);
    vfio_msix_model_write_entry(m, v, PCI_MSIX_ENTRY_UPPER_ADDR,
                                msg->address >> 32);
    vfio_msix_model_write_entry(m, v, PCI_MSIX_ENTRY_DATA, msg->data);
}

static void set_up_device(VFIOMsixModel *m)
{
    qpci_config_writel(m->dev, PCI_BASE_ADDRESS_0, m->bar.addr);
    qpci_device_enable(m->dev);
    for (unsigned v = 0; v < m->n; v++) {
        m->entry[v].masked = true;
        choose_message(m, v);
        write_message(m, v);
    }
}

static VFIOMsixTaken *earlier(VFIOMsixModel *m, unsigned v, unsigned place)
{
    return &m->earlier[v * m->places + place];
}

/*
 * Runs before each raise: what has been delivered so far does not pay for it,
 * but is not forgotten either.
 */
static void before_raise(void *opaque, unsigned index, unsigned v)
{
    VFIOMsixModel *m = opaque;

    if (index != INDEX) {
        return;
    }
    g_mutex_lock(&m->taking);
    for (unsigned place = 0; place < m->places; place++) {
        VFIOMsixTaken *e = earlier(m, v, place);
        uint32_t data;
        unsigned n = m->machine->take(m, v, place, &data);

        e->count += n;
        e->data = n ? data : e->data;
    }
    g_mutex_unlock(&m->taking);
}

VFIOMsixModel *vfio_msix_model_new(const VFIOMsixModelConfig *cfg)
{
    VFIOMsixModel *m = g_new0(VFIOMsixModel, 1);

    m->n = cfg->irqs.msix;
    m->entry = g_new0(VFIOMsixEntry, m->n);
    m->seen = g_new0(VFIOUserVector, m->n);
    m->server = vfio_user_server_new(&cfg->irqs);
    m->irqs = vfio_user_server_irqs(m->server);
    m->machine = cfg->machine ?: &vfio_msix_ram;
    m->patience_us = cfg->patience_us;
    m->places = 2;
    m->opaque = cfg->opaque;
    m->machine->start(m, cfg);
    m->bus = qpci_new_pc(m->qts, NULL);
    m->dev = qpci_device_find(m->bus, QPCI_DEVFN(VFIO_MSIX_SLOT, 0));
    g_assert_nonnull(m->dev);
    m->cap = qpci_find_capability(m->dev, PCI_CAP_ID_MSIX, 0);
    g_assert_cmpuint(m->cap, !=, 0);
    g_assert_cmpuint(qpci_msix_table_size(m->dev), ==, m->n);
    m->bar = qpci_iomap(m->dev, VFIO_USER_SERVER_BAR, NULL);
    m->earlier = g_new0(VFIOMsixTaken, m->n * m->places);
    g_mutex_init(&m->taking);
    g_mutex_init(&m->firing);
    vfio_user_irqs_before_raise(m->irqs, before_raise, m);
    set_up_device(m);
    return m;
}

void vfio_msix_model_free(VFIOMsixModel *m)
{
    m->machine->stop(m);
    vfio_user_server_free(m->server);
    g_mutex_clear(&m->taking);
    g_mutex_clear(&m->firing);
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

void vfio_msix_model_violation(VFIOMsixModel *m, unsigned v,
                               VFIOMsixViolation kind)
{
    if (m->violations[kind]++ < MAX_REPORTS) {
        g_test_message("vector %u: %s", v, violation_names[kind]);
        vfio_user_irqs_dump(m->irqs, MIN(m->step_messages, 64));
    }
}

/* @taken was sent for vector @v to @place: was it the entry's message? */
static unsigned judge(VFIOMsixModel *m, unsigned v, unsigned place,
                      VFIOMsixTaken taken)
{
    const VFIOMsixEntry *e = &m->entry[v];

    if (taken.count && (place != e->place || taken.data != e->message.data)) {
        vfio_msix_model_violation(m, v, VFIO_MSIX_WRONG);
    }
    return taken.count;
}

/* What arrived at @place of vector @v: before its last raise, and after it */
static void take(VFIOMsixModel *m, unsigned v, unsigned place,
                 VFIOMsixTaken *before, VFIOMsixTaken *after)
{
    g_mutex_lock(&m->taking);
    *before = *earlier(m, v, place);
    earlier(m, v, place)->count = 0;
    after->count = m->machine->take(m, v, place, &after->data);
    g_mutex_unlock(&m->taking);
}

unsigned vfio_msix_model_collect(VFIOMsixModel *m, unsigned v, unsigned place)
{
    VFIOMsixTaken before, after;

    take(m, v, place, &before, &after);
    return before.count + after.count;
}

/* How often vector @v was sent since the last time, and if since its raise */
static unsigned delivered(VFIOMsixModel *m, unsigned v, bool *after_raise)
{
    unsigned total = 0;

    *after_raise = false;
    for (unsigned place = 0; place < m->places; place++) {
        VFIOMsixTaken before, after;

        take(m, v, place, &before, &after);
        total += judge(m, v, place, before) + judge(m, v, place, after);
        *after_raise |= after.count;
    }
    return total;
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
        vfio_msix_model_violation(m, v, VFIO_MSIX_SPURIOUS);
    }
}

/*
 * What the last step excused may have been on its way when this one masked the
 * vector: a kernel delivers some events from a thread of its own, and has done
 * it when the mask is complete.
 */
static bool may_arrive(const VFIOMsixModel *m, unsigned v)
{
    return vfio_msix_model_unmasked(m, v) ||
           (m->entry[v].was_unmasked && m->machine->served_by_kernel);
}

/* Returns false if something is owed to entry @v and is not there yet */
static bool check_entry(VFIOMsixModel *m, unsigned v)
{
    VFIOMsixEntry *e = &m->entry[v];
    bool unmasked = vfio_msix_model_unmasked(m, v);
    bool open = may_arrive(m, v);
    bool after_raise;
    unsigned n = delivered(m, v, &after_raise);

    if (n && !open) {
        vfio_msix_model_violation(m, v, VFIO_MSIX_WHILE_MASKED);
    }
    while (n-- && open) {
        if (e->budget) {
            e->budget--;
        } else {
            take_excuse(m, v);
        }
    }
    e->must &= !after_raise;
    e->vanished &= e->must;
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
            vfio_msix_model_violation(m, v, VFIO_MSIX_LOST);
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

        /* what the last step left over came as one with another */
        e->budget = e->must ? e->budget : 0;
        if (m->seen[v].fired != e->fired) {
            e->budget += m->enabled ? m->seen[v].fired - e->fired : 0;
            e->fired = m->seen[v].fired;
            e->must |= m->enabled;
            e->may |= !m->enabled;
        }
        e->replay |= (resized && e->live) || m->seen[v].torn != e->torn;
        e->torn = m->seen[v].torn;
        e->vanished |= m->seen[v].lost != e->lost;
        e->lost = m->seen[v].lost;
        e->live |= vfio_msix_model_unmasked(m, v);
        e->replay |= refused && e->live;
        e->starved &= !m->seen[v].armed;
    }
}

static void settle(VFIOMsixModel *m)
{
    if (!m->machine->served_by_kernel) {
        vfio_msix_wait_drained(m->qts, m->irqs);
    }
    m->machine->flush(m);
}

/* Late is not lost, but after another full round nothing will come */
static void wait_complete(VFIOMsixModel *m)
{
    int64_t end = g_get_monotonic_time() + m->patience_us;

    if (!check_entries(m)) {
        do {
            settle(m);
        } while (!check_entries(m) && g_get_monotonic_time() < end);
        report_lost(m);
    }
}

void vfio_msix_model_check(VFIOMsixModel *m)
{
    VFIOUserIrqStats stats;

    settle(m);
    stats = vfio_msix_model_stats(m);
    m->step_messages = stats.messages - m->messages;
    m->messages = stats.messages;
    vfio_user_irqs_snapshot(m->irqs, INDEX, m->seen);
    note_raised(m, stats.live_disables != m->live_disables,
                stats.refused != m->refused || m->down);
    m->down = m->enabled && !stats.allocated;
    m->live_disables = stats.live_disables;
    m->refused = stats.refused;
    wait_complete(m);
    for (unsigned v = 0; v < m->n; v++) {
        m->entry[v].was_unmasked = vfio_msix_model_unmasked(m, v);
    }
}

void vfio_msix_model_forget(VFIOMsixModel *m, unsigned v)
{
    vfio_user_irqs_snapshot(m->irqs, INDEX, m->seen);
    m->entry[v].fired = m->seen[v].fired;
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

void vfio_msix_model_wait_raise(VFIOMsixModel *m, unsigned v)
{
    uint32_t fired;

    vfio_user_irqs_snapshot(m->irqs, INDEX, m->seen);
    fired = m->seen[v].fired;
    while (m->seen[v].fired == fired) {
        g_thread_yield();
        vfio_user_irqs_snapshot(m->irqs, INDEX, m->seen);
    }
}

bool vfio_msix_model_quiet(VFIOMsixModel *m, unsigned v)
{
    bool after_raise;

    m->machine->flush(m);
    /* what is there now came after each raise that is counted here */
    vfio_user_irqs_snapshot(m->irqs, INDEX, m->seen);
    delivered(m, v, &after_raise);
    if (after_raise) {
        m->entry[v].budget += m->seen[v].fired - m->entry[v].fired;
        m->entry[v].fired = m->seen[v].fired;
        m->entry[v].must = false;
    }
    /* and this is what a raise was setting aside meanwhile: it is done now */
    vfio_user_irqs_snapshot(m->irqs, INDEX, m->seen);
    delivered(m, v, &after_raise);
    vfio_msix_model_wait_raise(m, v);
    m->machine->flush(m);
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
        e->budget = 0;
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
    vfio_msix_model_write_entry(m, v, PCI_MSIX_ENTRY_VECTOR_CTRL,
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
    choose_message(m, v);
    write_message(m, v);
    vfio_msix_model_check(m);
}

void vfio_msix_model_start_over(VFIOMsixModel *m)
{
    m->enabled = m->fmask = false;
    m->machine->flush(m);
    vfio_user_irqs_snapshot(m->irqs, INDEX, m->seen);
    for (unsigned v = 0; v < m->n; v++) {
        /* whatever was on its way before the reset has arrived by now */
        for (unsigned place = 0; place < m->places; place++) {
            vfio_msix_model_collect(m, v, place);
        }
        m->entry[v] = (VFIOMsixEntry) {
            .fired = m->seen[v].fired, .torn = m->seen[v].torn,
            .lost = m->seen[v].lost,
        };
    }
    m->live_disables = vfio_msix_model_stats(m).live_disables;
    set_up_device(m);
    vfio_msix_model_check(m);
}

void vfio_msix_model_reset(VFIOMsixModel *m)
{
    qtest_system_reset(m->qts);
    if (m->machine->reset) {
        m->machine->reset(m);
    }
    vfio_msix_model_start_over(m);
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
