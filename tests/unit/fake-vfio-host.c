/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host for VFIO irq-vectors
 */

#include "qemu/osdep.h"
#include <linux/vfio.h>
#include <sys/eventfd.h>

#include "fake-vfio-host.h"

FakeHost host;
int eventfds[2][MAX_VECTORS];
static VFIOIRQVectors *current;

unsigned int fake_armed_count(void)
{
    unsigned int count = 0;

    for (int i = 0; i < MAX_VECTORS; i++) {
        count += host.armed[i] >= 0;
    }
    return count;
}

static void fake_down(void)
{
    if (fake_armed_count()) {
        host.downs_with_live++;
    }
    for (int i = 0; i < MAX_VECTORS; i++) {
        /* or would have been, and the guest has it unmasked all the same */
        host.gaps[i] += host.armed[i] >= 0 || current->vector[i].refused;
        host.armed[i] = -1;
    }
    host.allocated = 0;
}

/*
 * Arms entries until one fails, which disarms all that came before it.  They
 * may have raised something, and it is not known which ones they were.
 */
static int fake_arm(unsigned int start, unsigned int count, const int32_t *fds)
{
    for (unsigned int i = 0; i < count; i++) {
        int *armed = &host.armed[start + i];
        int ret = 0;

        *armed = -1;
        if (fds[i] < 0) {
            continue;
        }
        if (host.noresize ? start + i >= host.allocated
                          : fake_armed_count() >= host.grant) {
            ret = host.noresize ? -EINVAL : -ENOSPC;
        } else if (fake_armed_count() >= host.arm_limit) {
            ret = -ENOSPC;
        }
        if (ret) {
            for (unsigned int j = 0; j < i; j++) {
                host.gaps[start + j] += host.armed[start + j] >= 0;
                host.armed[start + j] = -1;
            }
            for (unsigned int j = i; j < count; j++) {
                host.excuses[start + j] += fds[j] >= 0;
            }
            return ret;
        }
        *armed = fds[i];
    }
    return 0;
}

static int fake_activate(unsigned int start, unsigned int count,
                         const int32_t *fds)
{
    int ret;

    if (start + count > host.grant) {
        return host.refusal ? host.refusal : host.grant ? host.grant : -ENOSPC;
    }
    host.allocated = start + count;
    ret = fake_arm(start, count, fds);
    if (ret) {
        fake_down();
    }
    return ret;
}

/*
 * For a moment these may have had an eventfd on an active index: each of them
 * needs an event.  Later, once the index is up, any wanted one may have one.
 */
static void fake_note_activation(struct vfio_irq_set *set, int ret)
{
    const int32_t *fds = (int32_t *)set->data;

    for (unsigned int i = 0; i < set->count && ret < 0; i++) {
        host.gaps[set->start + i] += fds[i] >= 0;
    }
    for (unsigned int i = 0; i < MAX_VECTORS && !ret && host.refused; i++) {
        host.excuses[i] += current->vector[i].wanted >= 0;
    }
    host.refused = ret != 0;
}

static int fake_set_eventfds(struct vfio_irq_set *set)
{
    const int32_t *fds = (int32_t *)set->data;

    g_assert_cmpuint(set->argsz, ==,
                     sizeof(*set) + set->count * sizeof(int32_t));
    g_assert_cmpuint(set->count, >, 0);
    if (host.fail_call && --host.fail_call == 0) {
        /* The old eventfds are gone before the new ones are tried */
        for (unsigned int i = 0; i < set->count; i++) {
            host.armed[set->start + i] = -1;
            host.excuses[set->start + i] += set->count > 1 && fds[i] >= 0;
        }
        return host.refusal ? host.refusal : -ENOMEM;
    }
    if (!host.allocated) {
        return fake_activate(set->start, set->count, fds);
    }
    if (host.noresize && set->start + set->count > host.allocated) {
        return -EINVAL;
    }
    return fake_arm(set->start, set->count, fds);
}

/* The host raises the vectors itself */
static int fake_loopback(unsigned int start, unsigned int count)
{
    const uint64_t one = 1;

    if (!host.allocated ||
        (host.noresize && start + count > host.allocated)) {
        return -EINVAL;
    }
    for (unsigned int i = start; i < start + count; i++) {
        if (host.armed[i] >= 0) {
            g_assert_cmpint(write(host.armed[i], &one, sizeof(one)), ==,
                            sizeof(one));
        }
    }
    return 0;
}

static int fake_disable(void)
{
    if (!host.allocated) {
        return -EINVAL;
    }
    fake_down();
    return 0;
}

static int fake_set_irqs(VFIODevice *vbasedev, struct vfio_irq_set *set)
{
    bool active = host.allocated;
    int ret;

    host.requests++;
    g_assert_cmpuint(set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK, ==,
                     VFIO_IRQ_SET_ACTION_TRIGGER);

    if (set->flags & VFIO_IRQ_SET_DATA_NONE) {
        return set->count ? fake_loopback(set->start, set->count)
                          : fake_disable();
    }

    ret = fake_set_eventfds(set);
    if (!active) {
        fake_note_activation(set, ret);
    }
    return ret;
}

static VFIODeviceIOOps fake_ops = { .set_irqs = fake_set_irqs };
static VFIODevice fake_device = { .name = (char *)"fake", .io_ops = &fake_ops };

static void fake_init(bool noresize)
{
    host = (FakeHost) {
        .noresize = noresize, .grant = MAX_VECTORS, .arm_limit = MAX_VECTORS,
        .refusal = -ENOSPC,
    };
    for (int i = 0; i < MAX_VECTORS; i++) {
        host.armed[i] = -1;
    }
}

uint64_t drain(int fd)
{
    uint64_t count = 0;

    return read(fd, &count, sizeof(count)) == sizeof(count) ? count : 0;
}

unsigned int count_lost(void)
{
    unsigned int lost = 0;

    for (int i = 0; i < MAX_VECTORS; i++) {
        uint64_t events = drain(eventfds[0][i]) + drain(eventfds[1][i]);

        g_assert_cmpuint(events, <=, host.gaps[i] + host.excuses[i]);
        if (host.armed[i] >= 0) {
            lost += host.gaps[i] && !events;
            host.gaps[i] = host.excuses[i] = 0;
        }
    }
    return lost;
}

void check_armed(unsigned int first, unsigned int end, bool armed)
{
    for (unsigned int i = first; i < end; i++) {
        g_assert_cmpint(host.armed[i], ==, armed ? eventfds[0][i] : -1);
    }
}

void setup(VFIOIRQVectors *v, bool noresize, OnOffAuto policy)
{
    fake_init(noresize);
    current = v;
    memset(v, 0, sizeof(*v));
    vfio_irq_vectors_init(v, &fake_device, VFIO_PCI_MSIX_IRQ_INDEX,
                          MAX_VECTORS, noresize, policy);
}

void teardown(VFIOIRQVectors *v)
{
    vfio_irq_vectors_disable(v);
    g_assert_cmpuint(host.allocated, ==, 0);
    vfio_irq_vectors_fini(v);
    for (int i = 0; i < MAX_VECTORS; i++) {
        drain(eventfds[0][i]);
        drain(eventfds[1][i]);
    }
}

void open_eventfds(void)
{
    for (int i = 0; i < MAX_VECTORS; i++) {
        eventfds[0][i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        eventfds[1][i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        g_assert_cmpint(eventfds[0][i], >=, 0);
        g_assert_cmpint(eventfds[1][i], >=, 0);
    }
}
