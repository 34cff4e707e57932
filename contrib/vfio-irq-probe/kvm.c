/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-irq-probe: can KVM deliver the device's interrupts by itself?
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <linux/kvm.h>

#include "probe.h"

#define KVM_VERSION 12      /* the only one since Linux 2.6.22 */

static char *check_capabilities(int kvm)
{
    if (ioctl(kvm, KVM_GET_API_VERSION, 0) != KVM_VERSION) {
        return g_strdup("/dev/kvm is not KVM, or a very old one");
    }
    if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IRQFD) <= 0) {
        return g_strdup("KVM has no irqfd");
    }
    if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IRQ_ROUTING) <= 0) {
        return g_strdup("KVM has no interrupt routing");
    }
    return NULL;
}

/*
 * x86 makes the whole irqchip by one call.  Elsewhere it takes a device that
 * depends on the machine, so that only the capability tells.
 */
static char *check_irqchip(int kvm)
{
    g_autofree char *obstacle = NULL;
    int vm;

    if (ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IRQCHIP) <= 0) {
        return g_strdup("KVM has no interrupt controller");
    }
    vm = ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm < 0) {
        return g_strdup_printf("KVM makes no guest: %s", g_strerror(errno));
    }
#if defined(HOST_X86_64) || defined(HOST_I386)
    if (ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0) {
        obstacle = g_strdup_printf("KVM makes no interrupt controller: %s",
                                   g_strerror(errno));
    }
#endif
    close(vm);
    return g_steal_pointer(&obstacle);
}

void probe_kvm(ProbeKVM *kvm)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        kvm->obstacle = g_strdup_printf("/dev/kvm cannot be opened: %s",
                                        g_strerror(errno));
        return;
    }
    kvm->obstacle = check_capabilities(fd);
    if (!kvm->obstacle) {
        kvm->routes = ioctl(fd, KVM_CHECK_EXTENSION, KVM_CAP_IRQ_ROUTING);
        kvm->obstacle = check_irqchip(fd);
    }
    kvm->irqfd = !kvm->obstacle;
    close(fd);
}
