/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vfio-irq-probe: what a host offers for the interrupts of a PCI device
 *
 * Answers before a guest is started what QEMU would meet: how many vectors the
 * host allocates, whether their number can change later, and on which ways
 * interrupts can reach a guest.  See docs/tools/vfio-irq-probe.rst.
 */

#include "qemu/osdep.h"
#include <getopt.h>
#include <linux/vfio.h>

#include "qapi/error.h"
#include "qemu/error-report.h"
#include "probe.h"

enum {
    STATUS_OK = 0,
    STATUS_NO_ANSWER = 1,
    STATUS_USAGE = 2,
};

typedef struct Options {
    ProbeInterface interface;
    bool json;
    char *bdf;
} Options;

static const char usage[] =
    "Usage: vfio-irq-probe [OPTION]... BDF\n"
    "Tells what this host offers for the interrupts of PCI device BDF (such as\n"
    "0000:03:00.0), which has to be bound to vfio-pci and not in use.\n"
    "\n"
    "  -i, --interface=group|cdev  open it through its IOMMU group, or through\n"
    "                              its character device and iommufd (default:\n"
    "                              the group where there is one)\n"
    "  -j, --json                  print one line of JSON\n"
    "  -h, --help\n"
    "\n"
    "Exit status: 0 with the answer, 1 if there is none, 2 for wrong usage.\n";

static int G_GNUC_PRINTF(1, 2) wrong_usage(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error_vreport(format, args);
    va_end(args);
    error_printf("Try 'vfio-irq-probe --help'.\n");
    return STATUS_USAGE;
}

static bool parse_interface(const char *text, ProbeInterface *interface)
{
    if (!strcmp(text, "group")) {
        *interface = PROBE_INTERFACE_GROUP;
    } else if (!strcmp(text, "cdev")) {
        *interface = PROBE_INTERFACE_CDEV;
    } else {
        return false;
    }
    return true;
}

static int parse_bdf(int argc, char **argv, Options *options)
{
    if (optind + 1 != argc) {
        return wrong_usage(optind == argc ? "which device?" :
                           "one device at a time");
    }
    options->bdf = probe_bdf_parse(argv[optind]);
    if (!options->bdf) {
        return wrong_usage("%s: this is no PCI address; one looks like "
                           "0000:03:00.0 or 03:00.0", argv[optind]);
    }
    return STATUS_OK;
}

static int parse_options(int argc, char **argv, Options *options)
{
    static const struct option known[] = {
        { "help", no_argument, NULL, 'h' },
        { "interface", required_argument, NULL, 'i' },
        { "json", no_argument, NULL, 'j' },
        { NULL }
    };
    int option;

    while ((option = getopt_long(argc, argv, "hi:j", known, NULL)) != -1) {
        switch (option) {
        case 'h':
            fputs(usage, stdout);
            exit(STATUS_OK);
        case 'i':
            if (!parse_interface(optarg, &options->interface)) {
                return wrong_usage("%s: an interface is group or cdev", optarg);
            }
            break;
        case 'j':
            options->json = true;
            break;
        default:
            return wrong_usage("wrong option");
        }
    }
    return parse_bdf(argc, argv, options);
}

static bool probe(ProbeReport *r, const Options *options, Error **errp)
{
    ProbeDevice *dev = &r->device;

    if (!probe_device_open(dev, options->bdf, options->interface, errp) ||
        !probe_index(dev, VFIO_PCI_MSIX_IRQ_INDEX, &r->msix, errp) ||
        !probe_index(dev, VFIO_PCI_MSI_IRQ_INDEX, &r->msi, errp)) {
        return false;
    }
    if (r->msix.vectors && !probe_msix_places(dev, &r->table, &r->pba, errp)) {
        return false;
    }
    probe_kvm(&r->kvm);
    vfio_irq_posted_probe("", &r->posted);
    return true;
}

int main(int argc, char **argv)
{
    ProbeReport report = { .device = { .fd = -1 } };
    Options options = { .interface = PROBE_INTERFACE_AUTO };
    Error *err = NULL;
    int status;

    error_init(argv[0]);
    status = parse_options(argc, argv, &options);
    if (status != STATUS_OK) {
        return status;
    }
    if (!probe(&report, &options, &err)) {
        error_report_err(err);
        return STATUS_NO_ANSWER;
    }
    (options.json ? probe_report_json : probe_report_text)(&report);
    probe_device_close(&report.device);
    return fflush(stdout) == 0 ? STATUS_OK : STATUS_NO_ANSWER;
}
