// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel's two ways to move a vector between KVM and a program cost:
 *
 *   irqfd    KVM_IRQFD, deassign and assign; VFIO keeps its eventfd
 *   rearm    VFIO_DEVICE_SET_IRQS to another eventfd, and back to the first
 *
 * and a KVM_SET_GSI_ROUTING with all routes, which is what a changed message
 * costs. An assigned device that raises nothing, and a virtual machine without
 * CPUs. Deassign waits for an SRCU grace period, so all is measured with
 * rcu_expedited, as the test bed boots, and without, as is normal.
 *
 *   irqfd --vectors N --device BDF
 */
#include <err.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <linux/vfio.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define MAX_VECTORS     256
#define FIRST_GSI       24              /* above those of the I/O APIC */
#define PAIRS           255             /* of each measurement */

static unsigned vectors;
static int vm, device;
static int eventfds[MAX_VECTORS], others[MAX_VECTORS];

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

/* --- VFIO: Documentation/driver-api/vfio.rst --- */

static int group_of(const char *bdf)
{
    char path[PATH_MAX], target[PATH_MAX];
    ssize_t length;

    snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
    length = readlink(path, target, sizeof(target) - 1);
    if (length < 0) {
        err(1, "%s", path);
    }
    target[length] = 0;
    return atoi(strrchr(target, '/') + 1);
}

static void device_open(const char *bdf)
{
    int container = open("/dev/vfio/vfio", O_RDWR), group;
    char path[64];

    snprintf(path, sizeof(path), "/dev/vfio/%d", group_of(bdf));
    group = open(path, O_RDWR);
    if (container < 0 || group < 0 ||
        ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
        ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU)) {
        err(1, "%s", path);
    }
    device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
    if (device < 0) {
        err(1, "%s", bdf);
    }
}

static void vectors_arm(unsigned start, unsigned count, const int *fds)
{
    char buffer[sizeof(struct vfio_irq_set) + MAX_VECTORS * sizeof(int)];
    struct vfio_irq_set *set = (void *)buffer;

    *set = (struct vfio_irq_set) {
        .argsz = sizeof(*set) + count * sizeof(*fds),
        .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
        .index = VFIO_PCI_MSIX_IRQ_INDEX, .start = start, .count = count,
    };
    memcpy(set->data, fds, count * sizeof(*fds));
    if (ioctl(device, VFIO_DEVICE_SET_IRQS, set)) {
        err(1, "SET_IRQS, vector %u", start);
    }
}

/* --- KVM: Documentation/virt/kvm/api.rst --- */

static void vm_create(void)
{
    int kvm = open("/dev/kvm", O_RDWR);

    vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm < 0 || ioctl(vm, KVM_CREATE_IRQCHIP)) {
        err(1, "/dev/kvm");
    }
}

static void routes_set(void)
{
    struct kvm_irq_routing *routing =
        calloc(1, sizeof(*routing) + vectors * sizeof(routing->entries[0]));

    routing->nr = vectors;
    for (unsigned v = 0; v < vectors; v++) {
        routing->entries[v] = (struct kvm_irq_routing_entry) {
            .gsi = FIRST_GSI + v, .type = KVM_IRQ_ROUTING_MSI,
            .u.msi = { .address_lo = 0xfee00000, .data = 0x30 + v % 128 },
        };
    }
    if (ioctl(vm, KVM_SET_GSI_ROUTING, routing)) {
        err(1, "KVM_SET_GSI_ROUTING");
    }
    free(routing);
}

static void irqfd_set(unsigned v, bool on)
{
    struct kvm_irqfd irqfd = {
        .fd = eventfds[v], .gsi = FIRST_GSI + v,
        .flags = on ? 0 : KVM_IRQFD_FLAG_DEASSIGN,
    };

    if (ioctl(vm, KVM_IRQFD, &irqfd)) {
        err(1, "KVM_IRQFD, vector %u", v);
    }
}

/* --- Measurements --- */

static void rcu_set_expedited(bool on)
{
    FILE *f = fopen("/sys/kernel/rcu_expedited", "w");

    if (!f || fprintf(f, "%d\n", on) < 0 || fclose(f)) {
        err(1, "rcu_expedited");
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median: the machine may be busy. */
static double median(double us[])
{
    qsort(us, PAIRS, sizeof(*us), compare);
    return us[PAIRS / 2];
}

/* Two halves of a pair, for one vector after another */
static void measure(const char *name, const char *mode,
                    void (*first)(unsigned v), void (*second)(unsigned v))
{
    double first_us[PAIRS], second_us[PAIRS], both_us[PAIRS], start;

    for (unsigned i = 0; i < PAIRS; i++) {
        start = now_us();
        first(i % vectors);
        first_us[i] = now_us() - start;
        second(i % vectors);
        both_us[i] = now_us() - start;
        second_us[i] = both_us[i] - first_us[i];
    }
    printf("RESULT %s_%s_us=%.0f\n", name, mode, median(both_us));
    printf("RESULT %s_%s_halves_us=%.0f,%.0f\n", name, mode,
           median(first_us), median(second_us));
}

static void irqfd_off(unsigned v)
{
    irqfd_set(v, false);
}

static void irqfd_on(unsigned v)
{
    irqfd_set(v, true);
}

static void arm_other(unsigned v)
{
    vectors_arm(v, 1, &others[v]);
}

static void arm_first(unsigned v)
{
    vectors_arm(v, 1, &eventfds[v]);
}

static void routes_again(unsigned v)
{
    (void)v;
    routes_set();
}

static void measure_all(bool expedited)
{
    const char *mode = expedited ? "expedited" : "normal";

    rcu_set_expedited(expedited);
    measure("irqfd", mode, irqfd_off, irqfd_on);
    measure("rearm", mode, arm_other, arm_first);
    measure("route", mode, routes_again, routes_again);
}

int main(int argc, char **argv)
{
    if (argc != 5 || strcmp(argv[1], "--vectors") ||
        strcmp(argv[3], "--device")) {
        errx(2, "usage: %s --vectors N --device BDF", argv[0]);
    }
    vectors = atoi(argv[2]);
    if (!vectors || vectors > MAX_VECTORS) {
        errx(2, "--vectors must be 1 to %u", MAX_VECTORS);
    }
    vm_create();
    device_open(argv[4]);
    routes_set();
    for (unsigned v = 0; v < vectors; v++) {
        eventfds[v] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        others[v] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        irqfd_set(v, true);
    }
    vectors_arm(0, vectors, eventfds);
    printf("RESULT vectors=%u\n", vectors);
    measure_all(true);
    measure_all(false);
    rcu_set_expedited(true);
    return 0;
}
