/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO interrupt vectors: the host side of an MSI or MSI-X index
 */

#include "qemu/osdep.h"
#include <linux/vfio.h>

#include "qemu/error-report.h"
#include "qemu/host-utils.h"
#include "hw/vfio/irq-vectors.h"
#include "trace.h"

/* A guest can cause any number of refusals, but not of messages about them */
#define MAX_MESSAGES 16

static const char *vfio_irq_vectors_kind(VFIOIRQVectors *v)
{
    return v->index == VFIO_PCI_MSI_IRQ_INDEX ? "MSI" : "MSI-X";
}

/*
 * Requests to the host
 */

static int vfio_irq_vectors_request(VFIOIRQVectors *v, uint32_t data,
                                    unsigned int start, unsigned int count,
                                    const int32_t *fds)
{
    size_t size = fds ? count * sizeof(*fds) : 0;
    g_autofree struct vfio_irq_set *set = g_malloc0(sizeof(*set) + size);
    int ret;

    set->argsz = sizeof(*set) + size;
    set->flags = data | VFIO_IRQ_SET_ACTION_TRIGGER;
    set->index = v->index;
    set->start = start;
    set->count = count;
    if (fds) {
        memcpy(set->data, fds, size);
    }

    v->stats.requests++;
    ret = v->vbasedev->io_ops->set_irqs(v->vbasedev, set);
    trace_vfio_irq_vectors_request(v->vbasedev->name, vfio_irq_vectors_kind(v),
                                   start, count, ret);
    return ret;
}

/* Sends the wanted eventfds, or none with @arm false */
static int vfio_irq_vectors_set_eventfds(VFIOIRQVectors *v, unsigned int start,
                                         unsigned int count, bool arm)
{
    g_autofree int32_t *fds = g_new(int32_t, count);

    for (unsigned int i = 0; i < count; i++) {
        fds[i] = arm ? v->vector[start + i].wanted : -1;
    }
    return vfio_irq_vectors_request(v, VFIO_IRQ_SET_DATA_EVENTFD, start, count,
                                    fds);
}

/* The device may have raised the vector while the index was down: assume so */
static void vfio_irq_vectors_replay(VFIOIRQVectors *v, VFIOIRQVector *vector)
{
    const uint64_t one = 1;

    /* A write can only fail where so many events are pending already */
    if (write(vector->armed, &one, sizeof(one)) == sizeof(one)) {
        v->stats.replays++;
    }
    vector->was_live = false;
    vector->needs_replay = false;
}

/* What the host did with the eventfds of a request */
static void vfio_irq_vectors_set_armed(VFIOIRQVectors *v, unsigned int start,
                                       unsigned int count, bool armed)
{
    for (unsigned int i = start; i < start + count; i++) {
        VFIOIRQVector *vector = &v->vector[i];

        vector->armed = armed ? vector->wanted : -1;
        if (vector->armed >= 0 && vector->needs_replay) {
            vfio_irq_vectors_replay(v, vector);
        }
    }
}

/* The index is down.  Of the first @wanted vectors, all may have been armed */
static void vfio_irq_vectors_set_was_live(VFIOIRQVectors *v,
                                          unsigned int wanted)
{
    for (unsigned int i = 0; i < v->table_size && !v->incremental; i++) {
        VFIOIRQVector *vector = &v->vector[i];

        vector->was_live |= vector->armed != -1 ||
                            (i < wanted && vector->wanted >= 0);
        vector->needs_replay |= vector->was_live || vector->refused;
    }
}

static void vfio_irq_vectors_deactivate(VFIOIRQVectors *v)
{
    vfio_irq_vectors_set_was_live(v, 0);
    /* An index that is inactive already answers -EINVAL: no reason to care */
    vfio_irq_vectors_request(v, VFIO_IRQ_SET_DATA_NONE, 0, 0, NULL);
    vfio_irq_vectors_set_armed(v, 0, v->table_size, false);
    v->capacity = 0;
    v->capacity_is_guess = false;
}

/* Activates the index with @count host vectors; see set_irqs() for the value */
static int vfio_irq_vectors_allocate(VFIOIRQVectors *v, unsigned int count,
                                     bool arm)
{
    int ret = vfio_irq_vectors_set_eventfds(v, 0, count, arm);

    if (ret) {
        v->stats.refusals++;
        if (ret < 0) {
            /* vfio-user sends several messages, some may have succeeded */
            vfio_irq_vectors_deactivate(v);
            /* and the kernel arms in turn, until one vector fails */
            vfio_irq_vectors_set_was_live(v, arm ? count : 0);
        }
        return ret;
    }

    v->capacity = v->noresize ? count : v->table_size;
    vfio_irq_vectors_set_armed(v, 0, count, arm);
    return 0;
}

/* Anything else says that the host is gone (vfio-user), not that it is short */
static bool vfio_irq_vectors_is_shortage(int ret)
{
    return ret > 0 || ret == -ENOSPC || ret == -ENOMEM || ret == -EINVAL;
}

/*
 * Messages
 */

static const char *vfio_irq_vectors_last_message(VFIOIRQVectors *v)
{
    return ++v->reported.messages == MAX_MESSAGES ? " (last message)" : "";
}

static void vfio_irq_vectors_report_shortage(VFIOIRQVectors *v,
                                             unsigned int asked, int ret)
{
    const char *name = v->vbasedev->name;
    const char *kind = vfio_irq_vectors_kind(v);

    if (v->reported.messages == MAX_MESSAGES ||
        (v->reported.table_size == v->table_size &&
         v->reported.granted == v->capacity)) {
        return;
    }
    v->reported.table_size = v->table_size;
    v->reported.granted = v->capacity;
    if (!v->capacity) {
        error_report(VFIO_MSG_PREFIX "host refuses to enable %s with %u "
                     "vectors: %s%s", name, kind, asked,
                     ret < 0 ? strerror(-ret) : "none available",
                     vfio_irq_vectors_last_message(v));
    } else {
        warn_report(VFIO_MSG_PREFIX "host grants %u of %u %s vectors%s", name,
                    v->capacity, asked, kind,
                    vfio_irq_vectors_last_message(v));
    }
}

/* One message for all vectors of [@first, @end) that the host did not arm */
static void vfio_irq_vectors_report_refused(VFIOIRQVectors *v,
                                            unsigned int first,
                                            unsigned int end, int ret)
{
    unsigned int count = 0, lowest = 0, highest = 0;
    g_autofree char *which = NULL;

    for (unsigned int i = first; i < end; i++) {
        VFIOIRQVector *vector = &v->vector[i];
        bool refused = vector->wanted >= 0 && vector->armed == -1;

        if (refused && !vector->refused) {
            lowest = count++ ? lowest : i;
            highest = i;
            trace_vfio_irq_vectors_refused(v->vbasedev->name,
                                           vfio_irq_vectors_kind(v), i, ret);
        }
        vector->refused = refused;
    }

    if (!count || v->reported.messages == MAX_MESSAGES) {
        return;
    }
    which = count == 1 ? g_strdup_printf("vector %u", lowest)
                       : g_strdup_printf("vectors %u to %u (%u of them)",
                                         lowest, highest, count);
    error_report(VFIO_MSG_PREFIX "host does not arm %s %s: %s%s",
                 v->vbasedev->name, vfio_irq_vectors_kind(v), which,
                 strerror(ret < 0 ? -ret : ENOSPC),
                 vfio_irq_vectors_last_message(v));
}

/*
 * Arming inside of the allocation
 */

static bool vfio_irq_vector_changed(const VFIOIRQVector *vector)
{
    return vector->wanted != vector->armed;
}

static int vfio_irq_vectors_arm_one(VFIOIRQVectors *v, unsigned int nr)
{
    int ret = vfio_irq_vectors_set_eventfds(v, nr, 1, true);

    /* The host has dropped the old eventfd before it tried the new one */
    vfio_irq_vectors_set_armed(v, nr, 1, !ret);
    v->stats.refusals += !!ret;
    return ret;
}

static int vfio_irq_vectors_arm_run(VFIOIRQVectors *v, unsigned int start,
                                    unsigned int count)
{
    int ret, last_error = 0;

    if (count == 1) {
        return vfio_irq_vectors_arm_one(v, start);
    }

    ret = vfio_irq_vectors_set_eventfds(v, start, count, true);
    vfio_irq_vectors_set_armed(v, start, count, !ret);
    if (!ret || v->incremental || !vfio_irq_vectors_is_shortage(ret)) {
        return ret;
    }

    /*
     * One refused vector has disarmed some of the others, which were there long
     * enough to raise something: start from none.
     */
    v->stats.refusals++;
    vfio_irq_vectors_set_eventfds(v, start, count, false);
    for (unsigned int i = start; i < start + count; i++) {
        v->vector[i].needs_replay |= v->vector[i].wanted >= 0;
    }
    for (unsigned int i = start; i < start + count; i++) {
        if (vfio_irq_vector_changed(&v->vector[i])) {
            ret = vfio_irq_vectors_arm_one(v, i);
            last_error = ret ? ret : last_error;
            if (!vfio_irq_vectors_is_shortage(last_error) && last_error) {
                break;
            }
        }
    }
    return last_error;
}

/*
 * Finds the next run of changes in [*start, @end), or of changes to vectors
 * that were live.  With @bridge, vectors in between that neither have nor want
 * an eventfd do not end it.
 */
static unsigned int vfio_irq_vectors_next_run(VFIOIRQVectors *v,
                                              bool live_only, bool bridge,
                                              unsigned int *start,
                                              unsigned int end)
{
    unsigned int run_end = *start;

    for (unsigned int i = *start; i < end; i++) {
        VFIOIRQVector *vector = &v->vector[i];

        if (vfio_irq_vector_changed(vector) &&
            (vector->was_live || !live_only)) {
            *start = run_end > *start ? *start : i;
            run_end = i + 1;
        } else if (run_end > *start &&
                   (!bridge || vector->wanted != -1 || vector->armed != -1)) {
            break;
        }
    }
    return run_end > *start ? run_end - *start : 0;
}

static int vfio_irq_vectors_arm_runs(VFIOIRQVectors *v, bool live_only,
                                     bool bridge, unsigned int start,
                                     unsigned int end)
{
    unsigned int count;
    int ret, last_error = 0;

    end = MIN(end, v->capacity);
    while ((count = vfio_irq_vectors_next_run(v, live_only, bridge, &start,
                                              end))) {
        ret = vfio_irq_vectors_arm_run(v, start, count);
        last_error = ret ? ret : last_error;
        start += count;
    }
    return last_error;
}

/*
 * A run of its own for each gap: vfio-user needs a message for vectors without
 * eventfd as well, so that bridging would cost more there than it saves here.
 */
static void vfio_irq_vectors_arm_range(VFIOIRQVectors *v, unsigned int first,
                                       unsigned int end)
{
    int ret = vfio_irq_vectors_arm_runs(v, false, false, first, end);

    vfio_irq_vectors_report_refused(v, first, end, ret);
}

/* After the index was down: first come the vectors that worked before */
static void vfio_irq_vectors_arm_all(VFIOIRQVectors *v)
{
    int ret;

    if (!v->incremental) {
        vfio_irq_vectors_arm_runs(v, true, true, 0, v->table_size);
    }
    ret = vfio_irq_vectors_arm_runs(v, false, true, 0, v->table_size);
    vfio_irq_vectors_report_refused(v, 0, v->table_size, ret);
}

/*
 * Allocation
 */

/* How many vectors the index must have for all wanted ones */
static unsigned int vfio_irq_vectors_needed(VFIOIRQVectors *v)
{
    unsigned int n = v->table_size;

    while (n > 1 && v->vector[n - 1].wanted < 0) {
        n--;
    }
    return n;
}

/*
 * The host has refused @refused vectors with @ret.  Settle for what it offers,
 * else for half as many and so on, with a stop at @floor, which it has granted
 * before; then find the exact limit in between, since to come back for more
 * costs a resize.
 *
 * No vector is armed here: -ENOSPC and the like then speak of the allocation
 * and not of a single vector.
 */
static void vfio_irq_vectors_allocate_less(VFIOIRQVectors *v, int ret,
                                           unsigned int refused,
                                           unsigned int floor)
{
    unsigned int n = ret > 0 ? MIN(ret, refused - 1) : refused;
    unsigned int good, limit = n;

    while (n && (ret = vfio_irq_vectors_allocate(v, n, false))) {
        if (!vfio_irq_vectors_is_shortage(ret)) {
            return;
        }
        limit = ret > 0 ? MIN(ret, n - 1) : n - 1;
        n = ret > 0 ? limit : n > floor ? MAX(n / 2, floor) : n / 2;
    }

    good = n;
    while (good && v->noresize && good < limit) {
        n = DIV_ROUND_UP(good + limit, 2);
        vfio_irq_vectors_deactivate(v);
        if (!vfio_irq_vectors_allocate(v, n, false)) {
            good = n;
        } else {
            limit = n - 1;
        }
    }

    if (good < floor) {
        /* There are live vectors up to there: a last try */
        vfio_irq_vectors_deactivate(v);
        vfio_irq_vectors_allocate(v, floor, false);
    }
    for (n = good; n && !v->capacity; n /= 2) {
        vfio_irq_vectors_allocate(v, n, false);
    }
}

static void vfio_irq_vectors_activate(VFIOIRQVectors *v)
{
    /* A host that allocates on demand gets one idle vector, then the others */
    bool on_demand = !v->prealloc && !v->noresize;
    unsigned int count = on_demand ? 1 : vfio_irq_vectors_needed(v);
    bool may_try_less = !v->incremental && v->growths_left;
    int ret;

    if (v->prealloc && may_try_less) {
        count = v->table_size;
    }
    ret = vfio_irq_vectors_allocate(v, count, !on_demand);
    if (ret && may_try_less && vfio_irq_vectors_is_shortage(ret)) {
        vfio_irq_vectors_allocate_less(v, ret, count, 1);
    }
    trace_vfio_irq_vectors_activate(v->vbasedev->name,
                                    vfio_irq_vectors_kind(v), count,
                                    v->capacity);
    if (v->capacity < count) {
        vfio_irq_vectors_report_shortage(v, count, ret);
    }
    vfio_irq_vectors_arm_all(v);
}

static void vfio_irq_vectors_resize(VFIOIRQVectors *v, unsigned int need)
{
    unsigned int old = v->capacity;
    unsigned int count = need;
    int ret;

    if (!v->incremental) {
        count = MAX(MAX(2 * old, need), vfio_irq_vectors_needed(v));
    }
    count = MIN(count, v->table_size);
    v->stats.resizes++;
    vfio_irq_vectors_deactivate(v);
    ret = vfio_irq_vectors_allocate(v, count, v->incremental);
    if (ret && !v->incremental && vfio_irq_vectors_is_shortage(ret)) {
        vfio_irq_vectors_allocate_less(v, ret, count, old);
    }
    trace_vfio_irq_vectors_resize(v->vbasedev->name, vfio_irq_vectors_kind(v),
                                  old, count, v->capacity);
    if (v->capacity < need) {
        vfio_irq_vectors_report_shortage(v, need, ret);
    }
    vfio_irq_vectors_arm_all(v);
}

/*
 * An adopted index may be larger than we think; to ask for the vector in
 * question does no harm.  Only for a vector that is not allocated does the host
 * answer -EINVAL; other errors are about that vector alone.
 */
static void vfio_irq_vectors_probe(VFIOIRQVectors *v, unsigned int need)
{
    if (!v->capacity_is_guess || need <= v->capacity ||
        !vfio_irq_vector_changed(&v->vector[need - 1])) {
        return;
    }
    if (vfio_irq_vectors_arm_one(v, need - 1) == -EINVAL) {
        v->capacity_is_guess = false;
    } else {
        v->capacity = need;
    }
}

/* Each success doubles the capacity, so that many attempts suffice */
static unsigned int vfio_irq_vectors_max_growths(VFIOIRQVectors *v)
{
    return 32 - clz32(v->table_size);
}

/* Makes room for @need vectors, returns false if all is as it was */
static bool vfio_irq_vectors_grow(VFIOIRQVectors *v, unsigned int need)
{
    unsigned int old = v->capacity;

    if (old >= need) {
        return false;
    }
    if (!old) {
        /*
         * No vector is live: to ask each time costs a request.  The device had
         * no MSI-X to raise the wanted ones with.
         */
        vfio_irq_vectors_set_was_live(v, v->table_size);
        vfio_irq_vectors_activate(v);
        v->growths_left = v->capacity ? vfio_irq_vectors_max_growths(v)
                                      : v->growths_left / 2;
        return true;
    }
    if (!v->growths_left && !v->incremental) {
        return false;
    }

    vfio_irq_vectors_resize(v, need);
    if (!v->incremental) {
        /* In vain, and all live vectors were down for it: seldom again */
        v->growths_left = v->capacity > old ? v->growths_left - 1
                                            : v->growths_left / 2;
    }
    return true;
}

static void vfio_irq_vectors_flush(VFIOIRQVectors *v, unsigned int first,
                                   unsigned int end)
{
    unsigned int need = end;

    while (need > first && v->vector[need - 1].wanted < 0) {
        need--;
    }
    if (need > first) {
        vfio_irq_vectors_probe(v, need);
    }
    if (!vfio_irq_vectors_grow(v, need)) {
        vfio_irq_vectors_arm_range(v, first, end);
    }
}

static void vfio_irq_vectors_update(VFIOIRQVectors *v, unsigned int nr)
{
    if (!v->enabled) {
        return;
    }
    if (v->batch.depth && !v->incremental) {
        v->batch.first = MIN(v->batch.first, nr);
        v->batch.end = MAX(v->batch.end, nr + 1);
        return;
    }
    if (vfio_irq_vector_changed(&v->vector[nr])) {
        vfio_irq_vectors_flush(v, nr, nr + 1);
    }
}

/*
 * Interface, see irq-vectors.h
 */

void vfio_irq_vectors_init(VFIOIRQVectors *v, VFIODevice *vbasedev,
                           unsigned int index, unsigned int table_size,
                           bool noresize, OnOffAuto policy)
{
    v->vbasedev = vbasedev;
    v->index = index;
    v->table_size = table_size;
    v->noresize = noresize;
    v->prealloc = policy == ON_OFF_AUTO_ON ||
                  (policy == ON_OFF_AUTO_AUTO && noresize);
    v->incremental = policy == ON_OFF_AUTO_OFF;
    v->vector = g_new(VFIOIRQVector, table_size);
    for (unsigned int i = 0; i < table_size; i++) {
        v->vector[i] = (VFIOIRQVector) { .wanted = -1, .armed = -1 };
    }
}

void vfio_irq_vectors_fini(VFIOIRQVectors *v)
{
    v->enabled = false;
    g_clear_pointer(&v->vector, g_free);
    v->table_size = 0;
}

static uint64_t vfio_irq_vectors_read(int fd)
{
    uint64_t count;

    return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

/*
 * Nobody tells whether the host has an inherited eventfd: let it signal the
 * vector, and take this one event out again.  To arm it once more to be sure
 * would be free_irq() and request_irq() for the host, which can lose an edge.
 */
static bool vfio_irq_vectors_host_has(VFIOIRQVectors *v, unsigned int nr)
{
    int fd = v->vector[nr].wanted;
    uint64_t before = vfio_irq_vectors_read(fd), after, events;

    vfio_irq_vectors_request(v, VFIO_IRQ_SET_DATA_NONE, nr, 1, NULL);
    after = vfio_irq_vectors_read(fd);
    events = before + after - !!after;
    if (events && write(fd, &events, sizeof(events)) < 0) {
        warn_report(VFIO_MSG_PREFIX "%s vector %u: %s", v->vbasedev->name,
                    vfio_irq_vectors_kind(v), nr, strerror(errno));
    }
    return after > 0;
}

static void vfio_irq_vectors_set_enabled(VFIOIRQVectors *v)
{
    v->enabled = true;
    v->batch.first = UINT_MAX;
    v->batch.end = 0;
    v->growths_left = vfio_irq_vectors_max_growths(v);
}

unsigned int vfio_irq_vectors_enable(VFIOIRQVectors *v)
{
    vfio_irq_vectors_set_enabled(v);
    vfio_irq_vectors_activate(v);
    return v->capacity;
}

void vfio_irq_vectors_adopt(VFIOIRQVectors *v)
{
    vfio_irq_vectors_set_enabled(v);
    v->capacity = v->noresize ? 1 : v->table_size;
    v->capacity_is_guess = v->noresize;
    for (unsigned int i = 0; i < v->table_size; i++) {
        if (v->vector[i].wanted >= 0 && vfio_irq_vectors_host_has(v, i)) {
            v->vector[i].armed = v->vector[i].wanted;
            v->capacity = MAX(v->capacity, i + 1);
        } else {
            /* The host may have signalled an eventfd that we have not got */
            v->vector[i].needs_replay = !v->incremental;
        }
    }
    vfio_irq_vectors_arm_range(v, 0, v->capacity);
}

void vfio_irq_vectors_disable(VFIOIRQVectors *v)
{
    if (v->enabled) {
        vfio_irq_vectors_deactivate(v);
    }
    for (unsigned int i = 0; i < v->table_size; i++) {
        v->vector[i] = (VFIOIRQVector) { .wanted = -1, .armed = -1 };
    }
    v->enabled = false;
}

void vfio_irq_vectors_arm(VFIOIRQVectors *v, unsigned int nr, int fd)
{
    v->vector[nr].wanted = fd;
    vfio_irq_vectors_update(v, nr);
}

void vfio_irq_vectors_begin(VFIOIRQVectors *v)
{
    v->batch.depth++;
}

void vfio_irq_vectors_commit(VFIOIRQVectors *v)
{
    unsigned int first = v->batch.first, end = v->batch.end;

    if (--v->batch.depth || !v->enabled || !end) {
        return;
    }
    v->batch.first = UINT_MAX;
    v->batch.end = 0;
    vfio_irq_vectors_flush(v, first, end);
}
