/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host's MSI and MSI-X indexes, and the device that raises on them.
 */

#include "qemu/osdep.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <linux/vfio.h>
#include "qemu/host-utils.h"
#include "qemu/timer.h"
#include "vfio-user-irqs.h"

#define LOG_SIZE 1024

typedef struct Vector {
    int fd;                 /* -1: not armed */
    bool allocated;
    bool pending;           /* in the device, waits for being armed */
    uint32_t fired, lost, torn;
} Vector;

typedef struct Index {
    unsigned size;
    VFIOUserHost host;
    bool has_pba;           /* an unarmed vector is masked, not stray */
    bool active;
    bool guest_enabled;
    uint64_t off_since;     /* live index disabled at, 0: is not */
    Vector *vec;
    VFIOUserIrqStats stats;
} Index;

/* What the split detection must know of the message before */
typedef struct Previous {
    bool valid;
    bool has_fds;
    bool enabling;          /* part of the request that enabled the index */
    uint32_t index, start, count;
} Previous;

typedef struct LogEntry {
    uint64_t ns;
    uint32_t flags, index, start, count;
    unsigned nfds;
    int ret;
} LogEntry;

struct VFIOUserIrqs {
    GMutex lock;
    Index index[VFIO_PCI_NUM_IRQS];
    VFIOUserIrqFaults faults;
    Previous prev;
    bool split_upwards;
    void (*before_raise)(void *opaque, unsigned index, unsigned vector);
    void *before_raise_opaque;
    LogEntry log[LOG_SIZE];
    uint64_t logged;
};

static void index_init(Index *idx, unsigned size, VFIOUserHost host)
{
    idx->size = size;
    idx->host = host;
    idx->vec = g_new0(Vector, size);
    for (unsigned i = 0; i < size; i++) {
        idx->vec[i].fd = -1;
    }
}

VFIOUserIrqs *vfio_user_irqs_new(const VFIOUserIrqsConfig *cfg)
{
    VFIOUserIrqs *irqs = g_new0(VFIOUserIrqs, 1);

    g_assert_cmpuint(cfg->msix, <=, VFIO_USER_MSIX_MAX);
    g_assert_cmpuint(cfg->msi, <=, VFIO_USER_MSI_MAX);
    g_mutex_init(&irqs->lock);
    irqs->split_upwards = cfg->split_upwards;
    index_init(&irqs->index[VFIO_PCI_MSIX_IRQ_INDEX], cfg->msix, cfg->host);
    index_init(&irqs->index[VFIO_PCI_MSI_IRQ_INDEX], cfg->msi,
               VFIO_USER_HOST_FIXED);
    irqs->index[VFIO_PCI_MSIX_IRQ_INDEX].has_pba = true;
    return irqs;
}

unsigned vfio_user_irqs_info(VFIOUserIrqs *irqs, unsigned index,
                             uint32_t *flags)
{
    const Index *idx = &irqs->index[index];

    *flags = VFIO_IRQ_INFO_EVENTFD;
    if (idx->size && idx->host != VFIO_USER_HOST_DYNAMIC) {
        *flags |= VFIO_IRQ_INFO_NORESIZE;
    }
    return idx->size;
}

/* The device and its eventfds */

static void vector_signal(Index *idx, Vector *v)
{
    uint64_t one = 1;

    /* EAGAIN is a counter at its limit: the reader has an interrupt to come */
    if (write(v->fd, &one, sizeof(one)) < 0) {
        g_assert_cmpint(errno, ==, EAGAIN);
    }
    idx->stats.delivered++;
}

static void vector_fire(VFIOUserIrqs *irqs, Index *idx, Vector *v)
{
    if (irqs->before_raise) {
        irqs->before_raise(irqs->before_raise_opaque, idx - irqs->index,
                           v - idx->vec);
    }
    v->fired++;
    idx->stats.fired++;
    if (!idx->guest_enabled) {
        idx->stats.dropped++;
    } else if (!idx->active) {
        v->lost++;
        idx->stats.lost++;
    } else if (v->fd >= 0) {
        vector_signal(idx, v);
    } else if (idx->has_pba) {
        v->pending = true;
        idx->stats.pended++;
    } else {
        /* plain MSI goes out with nobody to take it */
        v->lost++;
        idx->stats.lost++;
    }
}

static void vector_disarm(Index *idx, Vector *v)
{
    if (v->fd >= 0) {
        close(v->fd);
        v->fd = -1;
        idx->stats.armed--;
    }
}

static void vector_allocate(Index *idx, Vector *v)
{
    if (!v->allocated) {
        v->allocated = true;
        idx->stats.allocated++;
    }
}

/* The host's side of SET_IRQS; the order of checks is the kernel's */

/* Takes over *fd where it succeeds */
static int vector_arm(VFIOUserIrqs *irqs, Index *idx, unsigned nr, int *fd)
{
    const VFIOUserIrqFaults *f = &irqs->faults;
    Vector *v = &idx->vec[nr];

    vector_disarm(idx, v);
    if (!v->allocated) {
        if (idx->host != VFIO_USER_HOST_DYNAMIC) {
            return -EINVAL;
        }
        if (f->alloc_limit && idx->stats.allocated >= f->alloc_limit) {
            return -f->alloc_errno;
        }
        vector_allocate(idx, v);
    }
    if (f->arm_limit && idx->stats.armed >= f->arm_limit) {
        return -f->arm_errno;
    }
    v->fd = *fd;
    *fd = -1;
    idx->stats.armed++;
    if (v->pending) {
        v->pending = false;
        vector_signal(idx, v);
    }
    return 0;
}

/*
 * Entries that worked before the call and lie in its range, up to the failing
 * one, are disarmed with it.
 */
static int range_arm(VFIOUserIrqs *irqs, Index *idx, const VFIOUserIrqSet *set,
                     int injected)
{
    unsigned i;
    int ret = 0;

    for (i = 0; i < set->count && !ret; i++) {
        if (injected && i == set->count - 1) {
            ret = injected;
        } else if (set->nfds) {
            ret = vector_arm(irqs, idx, set->start + i, &set->fds[i]);
        } else {
            vector_disarm(idx, &idx->vec[set->start + i]);
        }
    }
    while (ret && i--) {
        vector_disarm(idx, &idx->vec[set->start + i]);
    }
    return ret;
}

static int index_allocate(VFIOUserIrqs *irqs, Index *idx, unsigned count)
{
    const VFIOUserIrqFaults *f = &irqs->faults;

    if (f->alloc_limit && count > f->alloc_limit) {
        return -f->alloc_errno;
    }
    for (unsigned i = 0; i < count; i++) {
        vector_allocate(idx, &idx->vec[i]);
    }
    return 0;
}

static void index_release(Index *idx)
{
    for (unsigned i = 0; i < idx->size; i++) {
        vector_disarm(idx, &idx->vec[i]);
        idx->vec[i].allocated = false;
    }
    idx->stats.allocated = 0;
    idx->active = false;
}

static void index_disable(VFIOUserIrqs *irqs, Index *idx)
{
    bool live = idx->guest_enabled && idx->stats.armed;
    g_autofree bool *armed = g_new(bool, idx->size);

    for (unsigned i = 0; i < idx->size; i++) {
        armed[i] = idx->vec[i].fd >= 0;
    }
    index_release(idx);
    idx->stats.disables++;
    if (!live) {
        return;
    }
    idx->stats.live_disables++;
    idx->off_since = get_clock();
    for (unsigned i = 0; i < idx->size; i++) {
        idx->vec[i].torn += armed[i];
        if (armed[i] && irqs->faults.fire_in_window) {
            vector_fire(irqs, idx, &idx->vec[i]);
        }
    }
}

static int index_enable(VFIOUserIrqs *irqs, Index *idx,
                        const VFIOUserIrqSet *set, int injected)
{
    int ret = index_allocate(irqs, idx, set->start + set->count);

    if (ret) {
        return ret;
    }
    idx->active = true;
    ret = range_arm(irqs, idx, set, injected);
    if (ret) {
        index_release(idx);
        return ret;
    }
    idx->stats.enables++;
    if (idx->off_since) {
        idx->stats.gap_ns += get_clock() - idx->off_since;
        idx->off_since = 0;
    }
    return 0;
}

/* A later part of an enabling request that came in pieces, lowest first */
static int index_extend(VFIOUserIrqs *irqs, Index *idx,
                        const VFIOUserIrqSet *set, int injected)
{
    int ret = index_allocate(irqs, idx, set->start + set->count) ?:
              range_arm(irqs, idx, set, injected);

    if (ret) {
        index_release(idx);
    }
    return ret;
}

static bool other_index_active(VFIOUserIrqs *irqs, unsigned index)
{
    for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
        if (i != index && irqs->index[i].active) {
            return true;
        }
    }
    return false;
}

/* Whether @set goes on with the request that the last message began */
static bool continues_request(VFIOUserIrqs *irqs, const VFIOUserIrqSet *set)
{
    const Previous *p = &irqs->prev;
    bool adjacent;

    if (!p->valid || p->index != set->index) {
        return false;
    }
    adjacent = irqs->split_upwards ? set->start == p->start + p->count
                                   : set->start + set->count == p->start;
    /* one run is cut only where messages are full */
    return adjacent && (p->has_fds != !!set->nfds || p->count >= 16 ||
                        (!irqs->split_upwards && set->count >= 16));
}

static int set_eventfds(VFIOUserIrqs *irqs, Index *idx,
                        const VFIOUserIrqSet *set)
{
    VFIOUserIrqFaults *f = &irqs->faults;
    bool continued = continues_request(irqs, set);
    bool extends = irqs->split_upwards && continued && irqs->prev.enabling;
    bool enabling = !idx->active || extends;
    int injected = f->fail_nth && !--f->fail_nth ? -f->fail_errno : 0;
    int ret;

    idx->stats.requests += !continued;
    idx->stats.fd_slots += set->count;
    if (!idx->active) {
        ret = other_index_active(irqs, set->index) ? -EINVAL :
              index_enable(irqs, idx, set, injected);
    } else if (extends) {
        ret = index_extend(irqs, idx, set, injected);
    } else if (idx->host == VFIO_USER_HOST_FIXED &&
               set->start + set->count > idx->stats.allocated) {
        ret = -EINVAL;
    } else {
        ret = range_arm(irqs, idx, set, injected);
    }
    irqs->prev = (Previous) {
        .valid = !ret, .has_fds = set->nfds, .enabling = enabling,
        .index = set->index, .start = set->start, .count = set->count,
    };
    return ret;
}

/* Loop the bound eventfds back: the only replay that the interface offers */
static int loopback(Index *idx, const VFIOUserIrqSet *set)
{
    bool all = set->flags & VFIO_IRQ_SET_DATA_NONE;

    if (!idx->active || (!all && set->nbools < set->count)) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < set->count; i++) {
        Vector *v = &idx->vec[set->start + i];

        if (v->fd >= 0 && (all || set->bools[i])) {
            vector_signal(idx, v);
        }
    }
    return 0;
}

static int set_checked(VFIOUserIrqs *irqs, const VFIOUserIrqSet *set)
{
    Index *idx = &irqs->index[set->index];

    if (set->flags & VFIO_IRQ_SET_DATA_EVENTFD) {
        return set_eventfds(irqs, idx, set);
    }
    idx->stats.requests++;
    irqs->prev.valid = false;
    if (set->count || !(set->flags & VFIO_IRQ_SET_DATA_NONE)) {
        return loopback(idx, set);
    }
    if (!idx->active) {
        return -EINVAL;
    }
    index_disable(irqs, idx);
    return 0;
}

static int set_validate(VFIOUserIrqs *irqs, const VFIOUserIrqSet *set)
{
    uint32_t data = set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK;
    uint32_t action = set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;
    unsigned size;

    if (set->index >= VFIO_PCI_NUM_IRQS || !is_power_of_2(data) ||
        !is_power_of_2(action) || set->flags != (data | action)) {
        return -EINVAL;
    }
    size = irqs->index[set->index].size;
    if (set->start >= size || set->count > size - set->start ||
        (set->nfds && set->nfds != set->count)) {
        return -EINVAL;
    }
    if (action != VFIO_IRQ_SET_ACTION_TRIGGER) {
        return -ENOTTY;
    }
    return 0;
}

int vfio_user_irqs_set(VFIOUserIrqs *irqs, const VFIOUserIrqSet *set)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&irqs->lock);
    int ret = set_validate(irqs, set) ?: set_checked(irqs, set);

    if (set->index < VFIO_PCI_NUM_IRQS) {
        irqs->index[set->index].stats.messages++;
        irqs->index[set->index].stats.refused += !!ret;
    }
    irqs->log[irqs->logged++ % LOG_SIZE] = (LogEntry) {
        .ns = get_clock(), .flags = set->flags, .index = set->index,
        .start = set->start, .count = set->count, .nfds = set->nfds,
        .ret = ret,
    };
    for (unsigned i = 0; i < set->nfds; i++) {
        if (set->fds[i] >= 0) {
            close(set->fds[i]);
        }
    }
    return ret;
}

void vfio_user_irqs_close(VFIOUserIrqs *irqs)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&irqs->lock);

    for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
        index_release(&irqs->index[i]);
        irqs->index[i].guest_enabled = false;
    }
    irqs->prev.valid = false;
}

void vfio_user_irqs_free(VFIOUserIrqs *irqs)
{
    vfio_user_irqs_close(irqs);
    for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
        g_free(irqs->index[i].vec);
    }
    g_mutex_clear(&irqs->lock);
    g_free(irqs);
}

/* What the device and the test see */

void vfio_user_irqs_guest_enabled(VFIOUserIrqs *irqs, unsigned index, bool on)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&irqs->lock);

    irqs->index[index].guest_enabled = on;
    irqs->index[index].off_since = 0;
}

void vfio_user_irqs_clear_pending(VFIOUserIrqs *irqs)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&irqs->lock);
    Index *idx = &irqs->index[VFIO_PCI_MSIX_IRQ_INDEX];

    for (unsigned i = 0; i < idx->size; i++) {
        idx->vec[i].pending = false;
    }
}

void vfio_user_irqs_fire(VFIOUserIrqs *irqs, unsigned index, unsigned vector)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&irqs->lock);
    Index *idx = &irqs->index[index];

    g_assert_cmpuint(vector, <, idx->size);
    vector_fire(irqs, idx, &idx->vec[vector]);
}

void vfio_user_irqs_before_raise(VFIOUserIrqs *irqs,
                                 void (*fn)(void *opaque, unsigned index,
                                            unsigned vector),
                                 void *opaque)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&irqs->lock);

    irqs->before_raise = fn;
    irqs->before_raise_opaque = opaque;
}

bool vfio_user_irqs_drained(VFIOUserIrqs *irqs)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&irqs->lock);
    struct pollfd pfd[VFIO_USER_MSIX_MAX + VFIO_USER_MSI_MAX];
    unsigned n = 0;

    for (unsigned i = 0; i < VFIO_PCI_NUM_IRQS; i++) {
        const Index *idx = &irqs->index[i];

        for (unsigned v = 0; idx->stats.armed && v < idx->size; v++) {
            if (idx->vec[v].fd >= 0) {
                pfd[n++] = (struct pollfd) { idx->vec[v].fd, POLLIN, 0 };
            }
        }
    }
    return poll(pfd, n, 0) == 0;
}

bool vfio_user_irqs_pending(VFIOUserIrqs *irqs, unsigned vector)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&irqs->lock);
    Index *idx = &irqs->index[VFIO_PCI_MSIX_IRQ_INDEX];

    return vector < idx->size && idx->vec[vector].pending;
}

void vfio_user_irqs_snapshot(VFIOUserIrqs *irqs, unsigned index,
                             VFIOUserVector *vectors)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&irqs->lock);
    const Index *idx = &irqs->index[index];

    for (unsigned i = 0; i < idx->size; i++) {
        vectors[i] = (VFIOUserVector) {
            .armed = idx->vec[i].fd >= 0,
            .fired = idx->vec[i].fired,
            .lost = idx->vec[i].lost,
            .torn = idx->vec[i].torn,
        };
    }
}

void vfio_user_irqs_stats(VFIOUserIrqs *irqs, unsigned index,
                          VFIOUserIrqStats *stats)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&irqs->lock);

    *stats = irqs->index[index].stats;
}

void vfio_user_irqs_set_faults(VFIOUserIrqs *irqs,
                               const VFIOUserIrqFaults *faults)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&irqs->lock);

    irqs->faults = *faults;
}

void vfio_user_irqs_get_faults(VFIOUserIrqs *irqs, VFIOUserIrqFaults *faults)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&irqs->lock);

    *faults = irqs->faults;
}

void vfio_user_irqs_dump(VFIOUserIrqs *irqs, unsigned n)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&irqs->lock);
    uint64_t have = MIN(irqs->logged, MIN(n, LOG_SIZE));

    for (uint64_t i = irqs->logged - have; i < irqs->logged; i++) {
        const LogEntry *e = &irqs->log[i % LOG_SIZE];

        g_test_message("SET_IRQS #%" PRIu64 " at %" PRIu64 " ns: index %u "
                       "flags 0x%x start %u count %u fds %u -> %s",
                       i, e->ns, e->index, e->flags, e->start, e->count,
                       e->nfds, e->ret ? strerror(-e->ret) : "ok");
    }
}
