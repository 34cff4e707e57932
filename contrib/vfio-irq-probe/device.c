/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-irq-probe: open a PCI device through VFIO, or say why that is impossible
 */

#include "qemu/osdep.h"
#include <sys/ioctl.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "qapi/error.h"
#include "probe.h"

/* -- PCI address and sysfs */

static bool parse_part(const char **text, char end, unsigned int max,
                       unsigned int *value)
{
    size_t digits = strspn(*text, "0123456789abcdefABCDEF");

    if (digits < 1 || digits > 8 || (*text)[digits] != end) {
        return false;
    }
    *value = g_ascii_strtoull(*text, NULL, 16);
    *text += digits + (end != '\0');
    return *value <= max;
}

char *probe_bdf_parse(const char *text)
{
    unsigned int domain = 0, bus, device, function;
    const char *colon = strchr(text, ':');

    if (colon && strchr(colon + 1, ':') &&
        !parse_part(&text, ':', UINT32_MAX, &domain)) {
        return NULL;
    }
    if (!parse_part(&text, ':', 0xff, &bus) ||
        !parse_part(&text, '.', 0x1f, &device) ||
        !parse_part(&text, '\0', 7, &function)) {
        return NULL;
    }
    return g_strdup_printf("%04x:%02x:%02x.%x", domain, bus, device, function);
}

static char *sysfs_path(const char *bdf, const char *name)
{
    return g_build_filename("/sys/bus/pci/devices", bdf, name, NULL);
}

/* Last part of what a link of the device points to, NULL without link */
static char *sysfs_link(const char *bdf, const char *name)
{
    g_autofree char *path = sysfs_path(bdf, name);
    g_autofree char *target = g_file_read_link(path, NULL);

    return target ? g_path_get_basename(target) : NULL;
}

/* Name of the VFIO character device, NULL before Linux 6.1 and without it */
static char *find_cdev(const char *bdf)
{
    g_autofree char *path = sysfs_path(bdf, "vfio-dev");
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);

    return dir ? g_strdup(g_dir_read_name(dir)) : NULL;
}

/* Drivers that are made for a device of one kind have VFIO's device as well. */
static bool is_vfio_driver(const char *bdf, const char *driver)
{
    g_autofree char *cdev = find_cdev(bdf);

    return cdev || strstr(driver, "vfio");
}

static bool check_driver(const char *bdf, Error **errp)
{
    g_autofree char *path = sysfs_path(bdf, NULL);
    g_autofree char *driver = sysfs_link(bdf, "driver");

    if (!g_file_test(path, G_FILE_TEST_EXISTS)) {
        error_setg(errp, "%s: there is no such PCI device", bdf);
        return false;
    }
    if (!driver) {
        error_setg(errp, "%s: no driver is bound to the device, "
                   "it has to be vfio-pci", bdf);
        return false;
    }
    if (!is_vfio_driver(bdf, driver)) {
        error_setg(errp, "%s: driver %s is bound to the device, "
                   "it has to be vfio-pci", bdf, driver);
        return false;
    }
    return true;
}

static bool find_group(ProbeDevice *dev, Error **errp)
{
    g_autofree char *name = sysfs_link(dev->bdf, "iommu_group");

    if (!name) {
        error_setg(errp, "%s: the device is in no IOMMU group: the host has "
                   "no IOMMU, or does not use it", dev->bdf);
        return false;
    }
    dev->group = g_ascii_strtoull(name, NULL, 10);
    return true;
}

/* -- Opening */

static void open_failed(ProbeDevice *dev, const char *path, int err,
                        Error **errp)
{
    switch (err) {
    case EBUSY:
        error_setg(errp, "%s: %s is busy: another process has the device, or "
                   "one of IOMMU group %u", dev->bdf, path, dev->group);
        break;
    case EACCES:
    case EPERM:
        error_setg(errp, "%s: no permission to open %s", dev->bdf, path);
        break;
    case ENOENT:
        error_setg(errp, "%s: there is no %s: VFIO is not loaded, or the "
                   "kernel does not have this interface", dev->bdf, path);
        break;
    default:
        error_setg_errno(errp, err, "%s: cannot open %s", dev->bdf, path);
    }
}

static int open_node(ProbeDevice *dev, const char *path, Error **errp)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0) {
        open_failed(dev, path, errno, errp);
    }
    return fd;
}

/*
 * A group with a driver that uses the host's DMA mappings is not given out.
 * Which drivers do without is known to the kernel alone; these are common.
 */
static bool may_spoil_group(const char *bdf, const char *driver)
{
    return strcmp(driver, "pcieport") && strcmp(driver, "pci-stub") &&
           !is_vfio_driver(bdf, driver);
}

static char *list_spoilers(ProbeDevice *dev)
{
    g_autofree char *path = sysfs_path(dev->bdf, "iommu_group/devices");
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    GString *list = g_string_new(NULL);
    const char *bdf;

    while (dir && (bdf = g_dir_read_name(dir))) {
        g_autofree char *driver = sysfs_link(bdf, "driver");

        if (driver && may_spoil_group(bdf, driver)) {
            g_string_append_printf(list, "%s%s is bound to %s",
                                   list->len ? ", " : "", bdf, driver);
        }
    }
    return g_string_free(list, FALSE);
}

static bool check_viable(ProbeDevice *dev, Error **errp)
{
    struct vfio_group_status status = { .argsz = sizeof(status) };
    g_autofree char *spoilers = NULL;

    if (ioctl(dev->group_fd, VFIO_GROUP_GET_STATUS, &status) < 0) {
        error_setg_errno(errp, errno, "%s: cannot get the status of IOMMU "
                         "group %u", dev->bdf, dev->group);
        return false;
    }
    if (status.flags & VFIO_GROUP_FLAGS_VIABLE) {
        return true;
    }
    spoilers = list_spoilers(dev);
    error_setg(errp, "%s: IOMMU group %u is not viable: %s", dev->bdf,
               dev->group, *spoilers ? spoilers :
               "one of its devices is in use by the host");
    return false;
}

static bool set_container(ProbeDevice *dev, Error **errp)
{
    if (ioctl(dev->iommu_fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION) {
        error_setg(errp, "%s: the kernel's VFIO has another version", dev->bdf);
        return false;
    }
    if (ioctl(dev->group_fd, VFIO_GROUP_SET_CONTAINER, &dev->iommu_fd) < 0) {
        error_setg_errno(errp, errno, "%s: cannot add IOMMU group %u to a "
                         "container", dev->bdf, dev->group);
        return false;
    }
    if (ioctl(dev->iommu_fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0) {
        error_setg_errno(errp, errno, "%s: the kernel does not give out IOMMU "
                         "group %u%s", dev->bdf, dev->group, errno == EPERM ?
                         ", as a rule because the IOMMU does not remap "
                         "interrupts" : "");
        return false;
    }
    return true;
}

static bool open_group(ProbeDevice *dev, Error **errp)
{
    dev->node = g_strdup_printf("/dev/vfio/%u", dev->group);
    dev->group_fd = open_node(dev, dev->node, errp);
    if (dev->group_fd < 0 || !check_viable(dev, errp)) {
        return false;
    }
    dev->iommu_fd = open_node(dev, "/dev/vfio/vfio", errp);
    if (dev->iommu_fd < 0 || !set_container(dev, errp)) {
        return false;
    }
    dev->fd = ioctl(dev->group_fd, VFIO_GROUP_GET_DEVICE_FD, dev->bdf);
    if (dev->fd < 0) {
        error_setg_errno(errp, errno, "%s: IOMMU group %u does not give out "
                         "the device%s", dev->bdf, dev->group, errno == EACCES ?
                         ", as a rule because it wants a VF token" : "");
        return false;
    }
    return true;
}

/* Without an address space of its own, a device may get no interrupts. */
static bool attach_iommufd(ProbeDevice *dev, Error **errp)
{
    struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
    struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };

    if (ioctl(dev->iommu_fd, IOMMU_IOAS_ALLOC, &alloc) < 0) {
        error_setg_errno(errp, errno, "%s: iommufd makes no address space",
                         dev->bdf);
        return false;
    }
    attach.pt_id = alloc.out_ioas_id;
    if (ioctl(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach) < 0) {
        error_setg_errno(errp, errno, "%s: iommufd does not take the device%s",
                         dev->bdf, errno == EPERM ? ", as a rule because the "
                         "IOMMU does not remap interrupts" : "");
        return false;
    }
    return true;
}

static bool bind_failed(ProbeDevice *dev, int err, Error **errp)
{
    g_autofree char *spoilers = list_spoilers(dev);

    if (*spoilers) {
        error_setg(errp, "%s: IOMMU group %u is not viable: %s", dev->bdf,
                   dev->group, spoilers);
    } else if (err == EBUSY) {
        open_failed(dev, dev->node, err, errp);
    } else {
        error_setg_errno(errp, err, "%s: the device cannot be bound to an "
                         "iommufd", dev->bdf);
    }
    return false;
}

static bool open_cdev(ProbeDevice *dev, Error **errp)
{
    struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
    g_autofree char *name = find_cdev(dev->bdf);

    if (!name) {
        error_setg(errp, "%s: the kernel has no character device for it, "
                   "only a group", dev->bdf);
        return false;
    }
    dev->node = g_build_filename("/dev/vfio/devices", name, NULL);
    dev->fd = open_node(dev, dev->node, errp);
    if (dev->fd < 0) {
        return false;
    }
    dev->iommu_fd = open_node(dev, "/dev/iommu", errp);
    if (dev->iommu_fd < 0) {
        return false;
    }
    bind.iommufd = dev->iommu_fd;
    if (ioctl(dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &bind) < 0) {
        return bind_failed(dev, errno, errp);
    }
    return attach_iommufd(dev, errp);
}

static bool use_group(ProbeDevice *dev, ProbeInterface interface)
{
    g_autofree char *node = g_strdup_printf("/dev/vfio/%u", dev->group);
    g_autofree char *cdev = find_cdev(dev->bdf);

    if (interface != PROBE_INTERFACE_AUTO) {
        return interface == PROBE_INTERFACE_GROUP;
    }
    return !cdev || g_file_test(node, G_FILE_TEST_EXISTS);
}

bool probe_device_open(ProbeDevice *dev, const char *bdf,
                       ProbeInterface interface, Error **errp)
{
    bool opened;

    *dev = (ProbeDevice) {
        .bdf = g_strdup(bdf), .fd = -1, .group_fd = -1, .iommu_fd = -1,
    };
    opened = check_driver(bdf, errp) && find_group(dev, errp) &&
             (use_group(dev, interface) ? open_group(dev, errp) :
                                          open_cdev(dev, errp));
    if (!opened) {
        probe_device_close(dev);
    }
    return opened;
}

static void close_fd(int *fd)
{
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

void probe_device_close(ProbeDevice *dev)
{
    close_fd(&dev->fd);
    close_fd(&dev->group_fd);
    close_fd(&dev->iommu_fd);
    g_clear_pointer(&dev->node, g_free);
    g_clear_pointer(&dev->bdf, g_free);
}
