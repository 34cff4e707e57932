/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine without CPU or interrupt controller, where messages go to memory.
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "qemu/timer.h"
#include "vfio-msix-model.h"

/* A wait that only ends early; the test fails where it is used up */
#define WAIT_SECONDS 5

/* More than QEMU waits for the rest of a message, in its virtual time */
#define RELEASE_NS (30 * SCALE_MS)

char *vfio_msix_write_firmware(const void *image)
{
    char *path = NULL;
    int fd = g_file_open_tmp("vfio-msix-bios-XXXXXX", &path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, image, VFIO_MSIX_FIRMWARE_SIZE), ==,
                    VFIO_MSIX_FIRMWARE_SIZE);
    close(fd);
    return path;
}

char *vfio_msix_device_arg(VFIOUserServer *server, unsigned slot,
                           const char *policy)
{
    g_autofree char *prop = policy ?
        g_strdup_printf(", \"x-msix-prealloc\": \"%s\"", policy) : NULL;
    g_autofree char *props = g_strdup_printf("\"id\": \"vfio%u\", "
                                             "\"addr\": \"%u.0\"%s",
                                             slot, slot, prop ?: "");

    return vfio_user_server_device_arg(server, props);
}

QTestState *vfio_msix_start_qemu(VFIOUserServer *server, const char *policy,
                                 const char *binary_var)
{
    /* no CPU will run it, but the board insists on a firmware image */
    g_autofree char *blank = g_malloc0(VFIO_MSIX_FIRMWARE_SIZE);
    g_autofree char *bios = vfio_msix_write_firmware(blank);
    g_autofree char *device = server ?
        vfio_msix_device_arg(server, VFIO_MSIX_SLOT, policy) : NULL;
    g_autofree char *args = g_strdup_printf(
        "-nodefaults -machine pc,memory-backend=ram -m 32M -bios %s "
        "-object memory-backend-memfd,id=ram,size=32M,share=on %s%s%s",
        bios, device ? "-device '" : "", device ?: "", device ? "'" : "");
    QTestState *qts = qtest_init_ext(binary_var, args, NULL, true);

    unlink(bios);
    return qts;
}

void vfio_msix_flush_main_loop(QTestState *qts)
{
    /*
     * The main loop that read the last eventfd answers this after its handler;
     * the second round is for what such a handler raised.
     */
    qtest_readb(qts, 0);
    qtest_readb(qts, 0);
}

void vfio_msix_wait_drained(QTestState *qts, VFIOUserIrqs *irqs)
{
    int64_t end = g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC;

    while (!vfio_user_irqs_drained(irqs)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        qtest_readb(qts, 0);
    }
}

void vfio_msix_settle(QTestState *qts, VFIOUserIrqs *irqs)
{
    vfio_msix_wait_drained(qts, irqs);
    vfio_msix_flush_main_loop(qts);
}

/* Where messages go; the state of this machine is the memory itself */

static void ram_start(VFIOMsixModel *m, const VFIOMsixModelConfig *cfg)
{
    m->qts = vfio_msix_start_qemu(m->server, cfg->policy, cfg->binary_var);
    m->opaque = vfio_user_server_map_guest(m->server, VFIO_MSIX_MEMORY_BASE,
                                           VFIO_MSIX_MEMORY_SIZE);
    g_assert_nonnull(m->opaque);
}

static void ram_stop(VFIOMsixModel *m)
{
    qtest_quit(m->qts);
    munmap(m->opaque, VFIO_MSIX_MEMORY_SIZE);
}

static VFIOMsixMessage ram_message(VFIOMsixModel *m, unsigned v,
                                   unsigned place)
{
    unsigned slot = place * VFIO_USER_MSIX_MAX + v;

    return (VFIOMsixMessage) {
        .address = VFIO_MSIX_MEMORY_BASE + slot * sizeof(uint32_t),
        .data = 0x80000000 | ++m->sequence << 11 | v,
    };
}

static unsigned ram_take(VFIOMsixModel *m, unsigned v, unsigned place,
                         uint32_t *data)
{
    uint32_t *memory = m->opaque;

    *data = le32_to_cpu(qatomic_xchg(&memory[place * VFIO_USER_MSIX_MAX + v],
                                     0));
    return !!*data;
}

static void ram_flush(VFIOMsixModel *m)
{
    vfio_msix_flush_main_loop(m->qts);
}

static void ram_release(VFIOMsixModel *m)
{
    qtest_clock_step(m->qts, RELEASE_NS);
}

const VFIOMsixMachine vfio_msix_ram = {
    .start = ram_start,
    .stop = ram_stop,
    .message = ram_message,
    .take = ram_take,
    .flush = ram_flush,
    .release = ram_release,
};
