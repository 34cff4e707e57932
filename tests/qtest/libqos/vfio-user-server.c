/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An in-process vfio-user server: one PCI device, served to QEMU by a thread.
 */

#include "qemu/osdep.h"
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <linux/vfio.h>
#include "hw/pci/pci_ids.h"
#include "hw/pci/pci_regs.h"
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "qemu/host-utils.h"
#include "vfio-user-server.h"

enum {
    CMD_VERSION = 1,
    CMD_DMA_MAP = 2,
    CMD_DMA_UNMAP = 3,
    CMD_GET_INFO = 4,
    CMD_GET_REGION_INFO = 5,
    CMD_GET_IRQ_INFO = 7,
    CMD_SET_IRQS = 8,
    CMD_REGION_READ = 9,
    CMD_REGION_WRITE = 10,
    CMD_RESET = 13,
    CMD_COUNT,
};

#define FLAG_TYPE_MASK 0xf
#define FLAG_REPLY     0x1
#define FLAG_NO_REPLY  0x10
#define FLAG_ERROR     0x20

#define MAX_FDS   16
#define MAX_BODY  8192
#define MAX_DATA  4096
#define CONFIG_SIZE  256
#define CONFIG_MAX   4096
#define MSIX_CAP  0x40
#define MSI_CAP   0x50
/* MSI with a 64-bit address and no mask bits */
#define MSI_CAP_SIZE 14

typedef struct Header {
    uint16_t id, command;
    uint32_t size, flags, error;
} Header;

typedef struct DmaBody {
    uint32_t argsz, flags;
    uint64_t offset, iova, size;
} DmaBody;

typedef struct UnmapBody {
    uint32_t argsz, flags;
    uint64_t iova, size;
} UnmapBody;

typedef struct InfoBody {
    uint32_t argsz, flags, regions, irqs;
} InfoBody;

typedef struct RegionInfoBody {
    uint32_t argsz, flags, index, cap_offset;
    uint64_t size, offset;
} RegionInfoBody;

typedef struct IrqInfoBody {
    uint32_t argsz, flags, index, count;
} IrqInfoBody;

typedef struct IrqSetBody {
    uint32_t argsz, flags, index, start, count;
} IrqSetBody;

typedef struct RegionBody {
    uint64_t offset;
    uint32_t region, count;
    uint8_t data[];
} RegionBody;

/* One request; the handler turns body and size into the reply's */
typedef struct Message {
    Header hdr;
    size_t size;                    /* of the body */
    union {
        uint8_t body[MAX_BODY];
        DmaBody dma;
        UnmapBody unmap;
        InfoBody info;
        RegionInfoBody region_info;
        IrqInfoBody irq_info;
        IrqSetBody irq_set;
        RegionBody region;
    };
    int fds[MAX_FDS];
    unsigned nfds;                  /* still owned by the message */
} Message;

typedef struct DmaMap {
    uint64_t iova, size, offset;
    int fd;
} DmaMap;

struct VFIOUserServer {
    VFIOUserIrqsConfig cfg;
    VFIOUserIrqs *irqs;
    char *dir, *path;
    int listener;
    int stop[2];                    /* closing the write end stops the thread */
    GThread *thread;
    GMutex lock;                    /* of dma and faults */
    GArray *dma;
    VFIOUserServerFaults faults;
    uint8_t config[CONFIG_MAX];
    uint8_t wmask[CONFIG_MAX];
};

static VFIOUserServerFaults get_faults(VFIOUserServer *s)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&s->lock);

    return s->faults;
}

/* Configuration space */

static void config_add_msix(VFIOUserServer *s)
{
    uint8_t *cap = s->config + MSIX_CAP;

    cap[PCI_CAP_LIST_ID] = PCI_CAP_ID_MSIX;
    stw_le_p(cap + PCI_MSIX_FLAGS, s->cfg.msix - 1);
    stl_le_p(cap + PCI_MSIX_TABLE,
             VFIO_USER_SERVER_TABLE_OFFSET | VFIO_USER_SERVER_BAR);
    stl_le_p(cap + PCI_MSIX_PBA,
             VFIO_USER_SERVER_PBA_OFFSET | VFIO_USER_SERVER_BAR);
    stw_le_p(s->wmask + MSIX_CAP + PCI_MSIX_FLAGS,
             PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

static void config_add_msi(VFIOUserServer *s)
{
    uint8_t *cap = s->config + MSI_CAP;

    cap[PCI_CAP_LIST_ID] = PCI_CAP_ID_MSI;
    stw_le_p(cap + PCI_MSI_FLAGS,
             PCI_MSI_FLAGS_64BIT | ctz32(s->cfg.msi) << 1);
    memset(s->wmask + MSI_CAP + PCI_MSI_FLAGS, 0xff,
           MSI_CAP_SIZE - PCI_MSI_FLAGS);
    stw_le_p(s->wmask + MSI_CAP + PCI_MSI_FLAGS,
             PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
}

static void config_reset(VFIOUserServer *s)
{
    uint8_t *link = s->config + PCI_CAPABILITY_LIST;

    memset(s->config, 0, sizeof(s->config));
    stw_le_p(s->config + PCI_VENDOR_ID, VFIO_USER_SERVER_VENDOR_ID);
    stw_le_p(s->config + PCI_DEVICE_ID, VFIO_USER_SERVER_DEVICE_ID);
    stw_le_p(s->config + PCI_CLASS_DEVICE, PCI_CLASS_OTHERS << 8);
    stw_le_p(s->config + PCI_STATUS, PCI_STATUS_CAP_LIST);
    stw_le_p(s->wmask + PCI_COMMAND, 0xffff);
    stl_le_p(s->wmask + PCI_BASE_ADDRESS_0, -VFIO_USER_SERVER_BAR_SIZE);
    if (s->cfg.msix) {
        config_add_msix(s);
        *link = MSIX_CAP;
        link = s->config + MSIX_CAP + PCI_CAP_LIST_NEXT;
    }
    if (s->cfg.msi) {
        config_add_msi(s);
        *link = MSI_CAP;
    }
    if (get_faults(s).edit_config) {
        get_faults(s).edit_config(s->config);
    }
}

static void config_note_enables(VFIOUserServer *s)
{
    if (s->cfg.msix) {
        vfio_user_irqs_guest_enabled(s->irqs, VFIO_PCI_MSIX_IRQ_INDEX,
            lduw_le_p(s->config + MSIX_CAP + PCI_MSIX_FLAGS) &
            PCI_MSIX_FLAGS_ENABLE);
    }
    if (s->cfg.msi) {
        vfio_user_irqs_guest_enabled(s->irqs, VFIO_PCI_MSI_IRQ_INDEX,
            lduw_le_p(s->config + MSI_CAP + PCI_MSI_FLAGS) &
            PCI_MSI_FLAGS_ENABLE);
    }
}

static void config_write(VFIOUserServer *s, uint64_t offset, uint32_t count,
                         const uint8_t *data)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t mask = s->wmask[offset + i];

        s->config[offset + i] = (s->config[offset + i] & ~mask) |
                                (data[i] & mask);
    }
    config_note_enables(s);
}

/* Registers of the BAR: only the pending bits are the server's to show */
static uint8_t bar_readb(VFIOUserServer *s, uint64_t offset)
{
    uint8_t bits = 0;

    if (offset < VFIO_USER_SERVER_PBA_OFFSET ||
        offset >= VFIO_USER_SERVER_PBA_OFFSET + VFIO_USER_MSIX_MAX / 8) {
        return 0;
    }
    for (unsigned i = 0; i < 8; i++) {
        unsigned v = (offset - VFIO_USER_SERVER_PBA_OFFSET) * 8 + i;

        bits |= vfio_user_irqs_pending(s->irqs, v) << i;
    }
    return bits;
}

/* Requests: return 0 with body and size of the reply set, or -errno */

static int do_version(VFIOUserServer *s, Message *m)
{
    /* it may not be longer than the client's own */
    static const char caps[] = "{\"capabilities\":{\"max_msg_fds\":16}}";

    if (m->size < 4 + sizeof(caps) || lduw_le_p(m->body) != 0) {
        return -EINVAL;
    }
    stw_le_p(m->body + 2, 0);
    memcpy(m->body + 4, caps, sizeof(caps));
    m->size = 4 + sizeof(caps);
    return 0;
}

static int do_dma_map(VFIOUserServer *s, Message *m)
{
    DmaMap map = {
        .iova = m->dma.iova, .size = m->dma.size, .offset = m->dma.offset,
        .fd = m->nfds ? m->fds[0] : -1,
    };

    if (m->nfds > 1) {
        return -EINVAL;
    }
    m->nfds = 0;
    m->size = 0;
    g_mutex_lock(&s->lock);
    g_array_append_val(s->dma, map);
    g_mutex_unlock(&s->lock);
    return 0;
}

static void dma_remove(VFIOUserServer *s, guint i)
{
    DmaMap *map = &g_array_index(s->dma, DmaMap, i);

    if (map->fd >= 0) {
        close(map->fd);
    }
    g_array_remove_index_fast(s->dma, i);
}

static int do_dma_unmap(VFIOUserServer *s, Message *m)
{
    bool all = m->unmap.flags & VFIO_DMA_UNMAP_FLAG_ALL;

    g_mutex_lock(&s->lock);
    for (guint i = s->dma->len; i--; ) {
        const DmaMap *map = &g_array_index(s->dma, DmaMap, i);

        if (all || (map->iova == m->unmap.iova &&
                    map->size == m->unmap.size)) {
            dma_remove(s, i);
        }
    }
    g_mutex_unlock(&s->lock);
    return 0;
}

static int do_get_info(VFIOUserServer *s, Message *m)
{
    m->info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
    m->info.regions = VFIO_PCI_NUM_REGIONS;
    m->info.irqs = VFIO_PCI_NUM_IRQS;
    return 0;
}

static uint64_t region_size(VFIOUserServer *s, uint32_t index)
{
    uint64_t wrong = get_faults(s).sizes[index];

    if (wrong) {
        return wrong;
    }
    switch (index) {
    case VFIO_USER_SERVER_BAR:
        return VFIO_USER_SERVER_BAR_SIZE;
    case VFIO_PCI_CONFIG_REGION_INDEX:
        return CONFIG_SIZE;
    default:
        return 0;
    }
}

static int do_get_region_info(VFIOUserServer *s, Message *m)
{
    RegionInfoBody *b = &m->region_info;

    if (b->index >= VFIO_PCI_NUM_REGIONS) {
        return -EINVAL;
    }
    b->size = region_size(s, b->index);
    b->flags = b->size ? VFIO_REGION_INFO_FLAG_READ |
                         VFIO_REGION_INFO_FLAG_WRITE : 0;
    b->cap_offset = 0;
    b->offset = 0;
    b->argsz = sizeof(*b);
    m->size = sizeof(*b);
    return 0;
}

static int do_get_irq_info(VFIOUserServer *s, Message *m)
{
    if (m->irq_info.index >= VFIO_PCI_NUM_IRQS) {
        return -EINVAL;
    }
    m->irq_info.count = vfio_user_irqs_info(s->irqs, m->irq_info.index,
                                            &m->irq_info.flags);
    return 0;
}

static int do_set_irqs(VFIOUserServer *s, Message *m)
{
    VFIOUserIrqFaults faults;
    VFIOUserIrqSet set = {
        .flags = m->irq_set.flags, .index = m->irq_set.index,
        .start = m->irq_set.start, .count = m->irq_set.count,
        .fds = m->fds, .nfds = m->nfds,
        .bools = m->body + sizeof(IrqSetBody),
        .nbools = m->size - sizeof(IrqSetBody),
    };
    int ret = vfio_user_irqs_set(s->irqs, &set);

    vfio_user_irqs_get_faults(s->irqs, &faults);
    if (faults.reply_delay_us) {
        g_usleep(faults.reply_delay_us);
    }
    m->nfds = 0;
    m->size = 0;
    return ret;
}

static bool region_valid(VFIOUserServer *s, const RegionBody *b)
{
    uint64_t size = b->region < VFIO_PCI_NUM_REGIONS ?
                    region_size(s, b->region) : 0;

    if (b->region == VFIO_PCI_CONFIG_REGION_INDEX) {
        size = MIN(size, CONFIG_MAX);
    }
    return b->count <= MAX_DATA && b->offset <= size &&
           b->count <= size - b->offset;
}

static int do_region_read(VFIOUserServer *s, Message *m)
{
    RegionBody *b = &m->region;

    if (!region_valid(s, b)) {
        return -EINVAL;
    }
    if (b->region == VFIO_PCI_CONFIG_REGION_INDEX && b->offset &&
        b->offset == get_faults(s).no_read) {
        return -EIO;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        b->data[i] = b->region == VFIO_PCI_CONFIG_REGION_INDEX ?
                     s->config[b->offset + i] : bar_readb(s, b->offset + i);
    }
    m->size = sizeof(*b) + b->count;
    return 0;
}

static int do_region_write(VFIOUserServer *s, Message *m)
{
    RegionBody *b = &m->region;

    if (!region_valid(s, b) || b->count > m->size - sizeof(*b)) {
        return -EINVAL;
    }
    if (b->region == VFIO_PCI_CONFIG_REGION_INDEX) {
        config_write(s, b->offset, b->count, b->data);
    }
    m->size = sizeof(*b);
    return 0;
}

/* The host's interrupt set-up survives a reset, the device's state does not */
static int do_reset(VFIOUserServer *s, Message *m)
{
    config_reset(s);
    config_note_enables(s);
    vfio_user_irqs_clear_pending(s->irqs);
    m->size = 0;
    return 0;
}

typedef struct Command {
    int (*handle)(VFIOUserServer *s, Message *m);
    size_t min_size;
} Command;

static const Command commands[CMD_COUNT] = {
    [CMD_VERSION]         = { do_version, 4 },
    [CMD_DMA_MAP]         = { do_dma_map, sizeof(DmaBody) },
    [CMD_DMA_UNMAP]       = { do_dma_unmap, sizeof(UnmapBody) },
    [CMD_GET_INFO]        = { do_get_info, sizeof(InfoBody) },
    [CMD_GET_REGION_INFO] = { do_get_region_info, sizeof(RegionInfoBody) },
    [CMD_GET_IRQ_INFO]    = { do_get_irq_info, sizeof(IrqInfoBody) },
    [CMD_SET_IRQS]        = { do_set_irqs, sizeof(IrqSetBody) },
    [CMD_REGION_READ]     = { do_region_read, sizeof(RegionBody) },
    [CMD_REGION_WRITE]    = { do_region_write, sizeof(RegionBody) },
    [CMD_RESET]           = { do_reset, 0 },
};

static int handle(VFIOUserServer *s, Message *m)
{
    const Command *c = m->hdr.command < CMD_COUNT ? &commands[m->hdr.command]
                                                  : NULL;

    if (!c || !c->handle) {
        return -ENOSYS;
    }
    return m->size < c->min_size ? -EINVAL : c->handle(s, m);
}

/* Transport */

static void take_fds(struct msghdr *mh, Message *m)
{
    struct cmsghdr *c;

    m->nfds = 0;
    for (c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
            m->nfds = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            memcpy(m->fds, CMSG_DATA(c), m->nfds * sizeof(int));
        }
    }
}

/* Descriptors come with the first byte, hence with the header */
static bool recv_message(int fd, Message *m)
{
    char control[CMSG_SPACE(sizeof(m->fds))];
    struct iovec iov = { &m->hdr, sizeof(m->hdr) };
    struct msghdr mh = {
        .msg_iov = &iov, .msg_iovlen = 1,
        .msg_control = control, .msg_controllen = sizeof(control),
    };

    m->nfds = 0;
    if (recvmsg(fd, &mh, MSG_WAITALL | MSG_CMSG_CLOEXEC) != sizeof(m->hdr)) {
        return false;
    }
    take_fds(&mh, m);
    if (m->hdr.size < sizeof(m->hdr) ||
        m->hdr.size - sizeof(m->hdr) > MAX_BODY - MAX_DATA) {
        return false;
    }
    m->size = m->hdr.size - sizeof(m->hdr);
    return !m->size || recv(fd, m->body, m->size, MSG_WAITALL) == m->size;
}

static bool send_reply(VFIOUserServer *s, int fd, Message *m, int error)
{
    VFIOUserServerFaults faults = get_faults(s);
    size_t size = error ? 0 : m->size;
    size_t first = faults.halves ? size / 2 : size;
    struct iovec iov[] = { { &m->hdr, sizeof(m->hdr) }, { m->body, first } };
    struct msghdr mh = { .msg_iov = iov, .msg_iovlen = ARRAY_SIZE(iov) };

    if (m->hdr.flags & FLAG_NO_REPLY) {
        return true;
    }
    m->hdr.size = sizeof(m->hdr) + size;
    m->hdr.flags = FLAG_REPLY | (error ? FLAG_ERROR : 0);
    m->hdr.error = -error;
    if (size && !faults.halves) {
        g_usleep(faults.pause_us);
    }
    if (sendmsg(fd, &mh, MSG_NOSIGNAL) != sizeof(m->hdr) + first) {
        return false;
    }
    if (first == size) {
        return true;
    }
    g_usleep(faults.pause_us);
    size -= first;
    return !faults.hang_up &&
           send(fd, m->body + first, size, MSG_NOSIGNAL) == size;
}

static bool serve_one(VFIOUserServer *s, int fd)
{
    g_autofree Message *m = g_new(Message, 1);
    bool ok = recv_message(fd, m) && !(m->hdr.flags & FLAG_TYPE_MASK) &&
              send_reply(s, fd, m, handle(s, m));

    while (m->nfds) {
        close(m->fds[--m->nfds]);
    }
    return ok;
}

/* Wait for @fd; false where the server is to stop instead */
static bool wait_readable(VFIOUserServer *s, int fd)
{
    struct pollfd pfd[] = { { fd, POLLIN, 0 }, { s->stop[0], POLLIN, 0 } };

    while (poll(pfd, ARRAY_SIZE(pfd), -1) < 0) {
        g_assert_cmpint(errno, ==, EINTR);
    }
    return !pfd[1].revents;
}

static void forget_client(VFIOUserServer *s)
{
    vfio_user_irqs_close(s->irqs);
    g_mutex_lock(&s->lock);
    while (s->dma->len) {
        dma_remove(s, s->dma->len - 1);
    }
    g_mutex_unlock(&s->lock);
}

static gpointer server_thread(gpointer opaque)
{
    VFIOUserServer *s = opaque;

    while (wait_readable(s, s->listener)) {
        int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

        g_assert_cmpint(fd, >=, 0);
        config_reset(s);
        while (wait_readable(s, fd) && serve_one(s, fd)) {
            /* one message at a time, in order */
        }
        close(fd);
        forget_client(s);
    }
    return NULL;
}

static int listen_at(const char *path)
{
    struct sockaddr_un addr = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpuint(strlen(path), <, sizeof(addr.sun_path));
    pstrcpy(addr.sun_path, sizeof(addr.sun_path), path);
    g_assert_cmpint(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), ==, 0);
    g_assert_cmpint(listen(fd, 1), ==, 0);
    return fd;
}

VFIOUserServer *vfio_user_server_new(const VFIOUserIrqsConfig *cfg)
{
    VFIOUserServer *s = g_new0(VFIOUserServer, 1);

    s->cfg = *cfg;
    s->irqs = vfio_user_irqs_new(cfg);
    s->dma = g_array_new(false, false, sizeof(DmaMap));
    g_mutex_init(&s->lock);
    s->dir = g_dir_make_tmp("vfio-user-XXXXXX", NULL);
    g_assert_nonnull(s->dir);
    s->path = g_build_filename(s->dir, "socket", NULL);
    s->listener = listen_at(s->path);
    g_assert_cmpint(pipe2(s->stop, O_CLOEXEC), ==, 0);
    s->thread = g_thread_new("vfio-user-server", server_thread, s);
    return s;
}

void vfio_user_server_free(VFIOUserServer *s)
{
    close(s->stop[1]);
    g_thread_join(s->thread);
    close(s->stop[0]);
    close(s->listener);
    unlink(s->path);
    rmdir(s->dir);
    vfio_user_irqs_free(s->irqs);
    g_array_free(s->dma, true);
    g_mutex_clear(&s->lock);
    g_free(s->path);
    g_free(s->dir);
    g_free(s);
}

char *vfio_user_server_device_arg(VFIOUserServer *s, const char *props)
{
    return g_strdup_printf("{\"driver\": \"vfio-user-pci\", \"socket\": "
                           "{\"path\": \"%s\", \"type\": \"unix\"}%s%s}",
                           s->path, props ? ", " : "", props ?: "");
}

void vfio_user_server_set_faults(VFIOUserServer *s,
                                 const VFIOUserServerFaults *faults)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&s->lock);

    s->faults = *faults;
}

VFIOUserIrqs *vfio_user_server_irqs(VFIOUserServer *s)
{
    return s->irqs;
}

void *vfio_user_server_map_guest(VFIOUserServer *s, uint64_t gpa, size_t size)
{
    g_autoptr(GMutexLocker) locker G_GNUC_UNUSED =
        g_mutex_locker_new(&s->lock);
    void *p = MAP_FAILED;

    for (guint i = 0; i < s->dma->len && p == MAP_FAILED; i++) {
        const DmaMap *map = &g_array_index(s->dma, DmaMap, i);

        if (map->fd >= 0 && gpa >= map->iova && size <= map->size &&
            gpa - map->iova <= map->size - size) {
            p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, map->fd,
                     map->offset + (gpa - map->iova));
        }
    }
    return p == MAP_FAILED ? NULL : p;
}
