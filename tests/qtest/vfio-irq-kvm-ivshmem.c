/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A message that the vIOMMU cannot translate, in a vector of ivshmem: a user
 * of MSI-X whose vectors have a KVM route and irqfd from the moment of their
 * unmask, so that the MSI-X core hears of it.
 *
 * The other end of the device is this program, see docs/specs/ivshmem-spec.rst.
 */

#include "qemu/osdep.h"
#include <sys/eventfd.h>
#include <sys/socket.h>
#include "hw/misc/ivshmem.h"
#include "hw/pci/pci_regs.h"
#include "qemu/bswap.h"
#include "qemu/memfd.h"
#include "qapi/error.h"
#include "vfio-irq-kvm-scenario.h"
#include "vfio-irq-remap.h"

#define SLOT        (VFIO_MSIX_SLOT + 1)
#define CLIENT_ID   7
#define SHARED_SIZE 4096

/* Both end in the guest's counters: one is remapped, the other is not */
#define HANDLE        5
#define NUMBER        VFIO_IRQ_GUEST_FIRST
#define DIRECT_NUMBER (VFIO_IRQ_GUEST_FIRST + 1)

#define UNUSABLE "cannot be used"

/* Only used up where the test fails */
#define WAIT_SECONDS 10

typedef struct Ivshmem {
    VFIOIrqKvm k;
    VFIOUserServer *server;     /* the machine comes with one, not used here */
    int socket;                 /* the server's end */
    int eventfd;                /* of the device's only vector */
    QPCIBus *bus;
    QPCIDevice *dev;
    QPCIBar bar;
    uint64_t table;
    uint8_t cap;
} Ivshmem;

/* The server */

static void send_message(Ivshmem *d, int64_t number, int fd)
{
    uint64_t le = cpu_to_le64(number);
    struct iovec iov = { .iov_base = &le, .iov_len = sizeof(le) };
    union {
        struct cmsghdr align;
        char buf[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

    if (fd >= 0) {
        struct cmsghdr *cmsg;

        msg.msg_control = control.buf;
        msg.msg_controllen = sizeof(control.buf);
        cmsg = CMSG_FIRSTHDR(&msg);
        cmsg->cmsg_level = SOL_SOCKET;
        cmsg->cmsg_type = SCM_RIGHTS;
        cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
        memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
    }
    g_assert_cmpint(sendmsg(d->socket, &msg, 0), ==, sizeof(le));
}

/* All that it has to say can wait in the socket.  Returns QEMU's end. */
static int serve(Ivshmem *d)
{
    int fds[2];
    int shared = qemu_memfd_create("ivshmem", SHARED_SIZE, false, 0, 0,
                                   &error_abort);

    /* QEMU is to inherit one of them */
    g_assert_cmpint(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), ==, 0);
    d->socket = fds[0];
    d->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    g_assert_cmpint(d->eventfd, >=, 0);
    g_assert_cmpint(fcntl(d->socket, F_SETFD, FD_CLOEXEC), ==, 0);
    send_message(d, IVSHMEM_PROTOCOL_VERSION, -1);
    send_message(d, CLIENT_ID, -1);
    send_message(d, -1, shared);
    send_message(d, CLIENT_ID, d->eventfd);
    close(shared);
    return fds[1];
}

/* What another client does to interrupt this one */
static void ring(Ivshmem *d)
{
    g_assert_cmpint(eventfd_write(d->eventfd, 1), ==, 0);
}

/* The driver */

static void write_entry(Ivshmem *d, unsigned reg, uint32_t value)
{
    qpci_io_writel(d->dev, d->bar, d->table + reg, value);
}

static void write_message(Ivshmem *d, uint64_t address, uint32_t data)
{
    write_entry(d, PCI_MSIX_ENTRY_LOWER_ADDR, address);
    write_entry(d, PCI_MSIX_ENTRY_UPPER_ADDR, address >> 32);
    write_entry(d, PCI_MSIX_ENTRY_DATA, data);
}

static void mask(Ivshmem *d, bool masked)
{
    write_entry(d, PCI_MSIX_ENTRY_VECTOR_CTRL,
                masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0);
}

static void enable(Ivshmem *d, bool enabled)
{
    qpci_config_writew(d->dev, d->cap + PCI_MSIX_FLAGS,
                       enabled ? PCI_MSIX_FLAGS_ENABLE : 0);
}

/* Messages that are not remappable pass unchanged */
static void write_direct_message(Ivshmem *d)
{
    write_message(d, vfio_irq_guest_address(0), DIRECT_NUMBER);
}

static void write_remappable_message(Ivshmem *d)
{
    write_message(d, vfio_irq_remap_address(HANDLE), 0);
}

static void start(Ivshmem *d, const VFIOIrqKvmScenario *sc)
{
    int qemu_end = serve(d);
    g_autofree char *options = g_strdup_printf(
        "-chardev socket,id=ivshmem,fd=%d "
        "-device ivshmem-doorbell,chardev=ivshmem,vectors=1,addr=%u.0",
        qemu_end, SLOT);
    uint32_t table;

    d->k = (VFIOIrqKvm) {
        .cpus = sc->cpus, .remap = true, .options = options,
        .log_errors = !sc->stock,
        .binary_var = sc->stock ? VFIO_IRQ_STOCK_VAR : NULL,
    };
    d->server = vfio_user_server_new(&(VFIOUserIrqsConfig) { .msix = 1 });
    g_assert_cmpuint(vfio_irq_kvm_start(&d->k, &d->server, 1, NULL), ==,
                     sc->cpus);
    d->k.options = NULL;
    close(qemu_end);
    vfio_irq_remap_enable(d->k.qts);

    d->bus = qpci_new_pc(d->k.qts, NULL);
    d->dev = qpci_device_find(d->bus, QPCI_DEVFN(SLOT, 0));
    g_assert_nonnull(d->dev);
    qpci_device_enable(d->dev);
    d->cap = qpci_find_capability(d->dev, PCI_CAP_ID_MSIX, 0);
    table = qpci_config_readl(d->dev, d->cap + PCI_MSIX_TABLE);
    d->bar = qpci_iomap(d->dev, table & PCI_MSIX_TABLE_BIR, NULL);
    d->table = table & PCI_MSIX_TABLE_OFFSET;
}

static void stop(Ivshmem *d)
{
    vfio_irq_kvm_stop(&d->k);
    vfio_user_server_free(d->server);
    close(d->socket);
    close(d->eventfd);
    g_free(d->dev);
    qpci_free_pc(d->bus);
}

/* What the guest sees */

static void check_arrives(Ivshmem *d, unsigned number)
{
    vfio_irq_kvm_wait_arrived(&d->k, 1);
    g_assert_cmpuint(vfio_irq_kvm_take(&d->k, 0, number), ==, 1);
}

static void check_nothing(Ivshmem *d)
{
    vfio_irq_kvm_wait_arrived(&d->k, 0);
    g_assert_cmpuint(vfio_irq_kvm_take(&d->k, 0, NUMBER), ==, 0);
    g_assert_cmpuint(vfio_irq_kvm_take(&d->k, 0, DIRECT_NUMBER), ==, 0);
}

static void check_works(Ivshmem *d, unsigned number)
{
    ring(d);
    check_arrives(d, number);
}

/* Each time that the guest asks for it, and not more often */
static void check_logged(Ivshmem *d, unsigned n)
{
    int64_t end = g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC;

    while (vfio_irq_kvm_logged(&d->k, UNUSABLE) < n &&
           g_get_monotonic_time() < end) {
        qtest_readb(d->k.qts, 0);
    }
    g_assert_cmpuint(vfio_irq_kvm_logged(&d->k, UNUSABLE), ==, n);
}

/* The scenario */

static void unmask_unusable(Ivshmem *d)
{
    write_direct_message(d);
    enable(d, true);
    mask(d, false);
    check_works(d, DIRECT_NUMBER);
    mask(d, true);

    write_remappable_message(d);
    for (unsigned i = 1; i <= 3; i++) {
        mask(d, false);
        check_logged(d, i);
        ring(d);
        check_nothing(d);
        mask(d, true);
    }
}

/* What was raised meanwhile comes with the first message that can be used */
static void make_usable(Ivshmem *d)
{
    vfio_irq_remap_set(d->k.qts, HANDLE, 0, NUMBER);
    vfio_irq_remap_invalidate(d->k.qts);
    mask(d, false);
    check_arrives(d, NUMBER);
    check_works(d, NUMBER);
    mask(d, true);
    vfio_irq_remap_clear(d->k.qts, HANDLE);
    vfio_irq_remap_invalidate(d->k.qts);
}

/* And also with one that is written while the vector is not masked */
static void rewrite(Ivshmem *d)
{
    mask(d, false);
    check_logged(d, 4);
    ring(d);
    check_nothing(d);
    write_direct_message(d);
    check_arrives(d, DIRECT_NUMBER);
    check_works(d, DIRECT_NUMBER);
    write_remappable_message(d);
    check_logged(d, 5);
}

/* MSI-X is disabled and enabled with a vector that cannot be used */
static void disable(Ivshmem *d)
{
    enable(d, false);
    enable(d, true);
    mask(d, true);
    mask(d, false);
    enable(d, false);
    write_direct_message(d);
    enable(d, true);
    check_works(d, DIRECT_NUMBER);
}

static void use_unusable(const VFIOIrqKvmScenario *sc)
{
    Ivshmem d = { 0 };

    start(&d, sc);
    unmask_unusable(&d);
    make_usable(&d);
    rewrite(&d);
    disable(&d);
    g_assert_true(vfio_irq_kvm_accel(&d.k));
    stop(&d);
}

void vfio_irq_kvm_test_ivshmem(const void *opaque)
{
    const VFIOIrqKvmScenario *sc = opaque;

    if (!qtest_has_device("ivshmem-doorbell")) {
        g_test_skip("no ivshmem-doorbell in this QEMU");
        return;
    }
    if (!sc->stock || g_test_subprocess()) {
        use_unusable(sc);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*msix_fire_vector_notifier: Assertion*");
}
