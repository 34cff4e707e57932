/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO: can this host post a device's interrupts to a guest?
 *
 * Sources of what is looked at: Intel VT-d specification, 10.4.2 (Capability
 * Register); AMD I/O Virtualization Technology specification, 3.4 (MMIO
 * offsets 0030h and 01A0h, Extended Feature Registers); in Linux
 * drivers/iommu/{irq_remapping.c,intel/irq_remapping.c,amd/init.c}, and
 * arch/x86/kvm/{vmx/vmx.c,svm/avic.c,x86.c} for the module parameters.
 */

#include "qemu/osdep.h"
#include "hw/vfio/irq-posted.h"

/* What sysfs files of one value and a kernel command line stay below */
#define VALUE_SIZE      64
#define CMDLINE_SIZE    8192

#define INTEL_CAP_PI    (1ULL << 59)    /* Posted Interrupts Support */
#define AMD_EFR_GA      (1ULL << 7)     /* GASup */
#define AMD_EFR_GAM     (1ULL << 21)    /* GAMSup, guest virtual APIC mode */
/* SNPAVICSup: what of the above works while SEV-SNP is on */
#define AMD_EFR2_SNPAVIC(efr2)  ((efr2) >> 5 & 7)
#define AMD_EFR2_SNPAVIC_GAM    1

typedef struct Probe {
    const char *sysroot;
    VFIOIRQPosted *result;
} Probe;

static void G_GNUC_PRINTF(3, 4)
probe_note(Probe *p, VFIOIRQPostedState state, const char *format, ...)
{
    VFIOIRQPostedCondition *condition = g_new0(VFIOIRQPostedCondition, 1);
    va_list args;

    va_start(args, format);
    condition->text = g_strdup_vprintf(format, args);
    va_end(args);
    condition->state = state;
    g_ptr_array_add(p->result->conditions, condition);
}

/*
 * Reads a file that holds less than @size bytes, without its line end.  A NUL
 * in it ends it, so what comes after must not be believed either: -EINVAL.
 */
static int probe_read(Probe *p, const char *path, char *buffer, size_t size)
{
    g_autofree char *full = g_strconcat(p->sysroot, path, NULL);
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    size_t length = 0;
    ssize_t got;

    if (fd < 0) {
        return -errno;
    }
    do {
        got = read(fd, buffer + length, size - length);
        length += MAX(got, 0);
    } while (length < size && (got > 0 || (got < 0 && errno == EINTR)));
    got = got < 0 ? -errno : 0;
    close(fd);
    if (got < 0) {
        return got;
    }
    if (length == size) {
        return -EFBIG;
    }
    buffer[length] = '\0';
    if (strlen(buffer) != length) {
        return -EINVAL;
    }
    g_strchomp(buffer);
    return 0;
}

static bool probe_exists(Probe *p, const char *path)
{
    g_autofree char *full = g_strconcat(p->sysroot, path, NULL);

    return g_file_test(full, G_FILE_TEST_EXISTS);
}

/* 1 to 16 hexadecimal digits; @end is the first character after them. */
static bool parse_hex(const char *text, uint64_t *value, const char **end)
{
    size_t digits = strspn(text, "0123456789abcdefABCDEF");

    if (digits < 1 || digits > 16) {
        return false;
    }
    *value = g_ascii_strtoull(text, NULL, 16);
    *end = text + digits;
    return true;
}

/* -- Kernel command line */

/* The last of several counts, as in the kernel. */
static void cmdline_intremap(char *values, bool *remap, bool *post)
{
    g_auto(GStrv) list = g_strsplit(values, ",", 0);

    for (char **value = list; *value; value++) {
        if (!strcmp(*value, "on")) {
            *remap = *post = true;
        } else if (!strcmp(*value, "off")) {
            *remap = *post = false;
        } else if (!strcmp(*value, "nopost")) {
            *post = false;
        }
    }
}

static void cmdline_check(Probe *p, char *cmdline)
{
    g_auto(GStrv) words = g_strsplit_set(cmdline, " \t\n", 0);
    bool remap = true, post = true, amd_vapic = true;

    for (char **word = words; *word; word++) {
        if (g_str_has_prefix(*word, "intremap=")) {
            cmdline_intremap(strchr(*word, '=') + 1, &remap, &post);
        } else if (!strcmp(*word, "nointremap")) {
            remap = false;
        } else if (g_str_has_prefix(*word, "amd_iommu_intr=")) {
            amd_vapic = g_str_has_prefix(strchr(*word, '=') + 1, "vapic");
        }
    }
    if (!remap) {
        probe_note(p, VFIO_IRQ_POSTED_NO, "the kernel was booted with "
                   "interrupt remapping off (intremap=off or nointremap)");
    } else if (!post) {
        probe_note(p, VFIO_IRQ_POSTED_NO, "the kernel was booted with posted "
                   "interrupts off (intremap=nopost)");
    }
    if (!amd_vapic) {
        probe_note(p, VFIO_IRQ_POSTED_NO, "the kernel was booted with "
                   "the IOMMU's virtual APIC off (amd_iommu_intr=legacy)");
    }
}

static void probe_cmdline(Probe *p)
{
    char cmdline[CMDLINE_SIZE];
    int ret = probe_read(p, "/proc/cmdline", cmdline, sizeof(cmdline));

    if (ret < 0) {
        probe_note(p, VFIO_IRQ_POSTED_UNKNOWN,
                   "the kernel command line cannot be read: %s",
                   g_strerror(-ret));
        return;
    }
    cmdline_check(p, cmdline);
}

/* -- KVM */

/* Kernels print a bool as Y or N, or as a number where it once was an int. */
static VFIOIRQPostedState param_state(const char *value)
{
    if (!strcmp(value, "Y") || !strcmp(value, "1")) {
        return VFIO_IRQ_POSTED_YES;
    }
    if (!strcmp(value, "N") || !strcmp(value, "0")) {
        return VFIO_IRQ_POSTED_NO;
    }
    return VFIO_IRQ_POSTED_UNKNOWN; /* such as "auto", not decided yet */
}

/* Returns -ENOENT if this kernel does not have the parameter. */
static int param_read(Probe *p, const char *module, const char *name,
                      char value[VALUE_SIZE])
{
    g_autofree char *path = g_strdup_printf("/sys/module/%s/parameters/%s",
                                            module, name);

    return probe_read(p, path, value, VALUE_SIZE);
}

static void param_check(Probe *p, const char *module, const char *name,
                        bool optional)
{
    char value[VALUE_SIZE];
    int ret = param_read(p, module, name, value);

    if (ret == -ENOENT && optional) {
        return;
    }
    if (ret < 0) {
        probe_note(p, VFIO_IRQ_POSTED_UNKNOWN,
                   "parameter %s of %s cannot be read: %s", name, module,
                   g_strerror(-ret));
        return;
    }
    probe_note(p, param_state(value), "parameter %s of %s is \"%s\"", name,
               module, value);
}

/*
 * Each of the modules speaks to the IOMMU of its vendor.  enable_apicv and avic
 * are off if the CPU cannot; the other parameter came with Linux 6.16.
 */
static void probe_kvm(Probe *p, const char *module, const char *apic)
{
    g_autofree char *dir = g_strconcat("/sys/module/", module, NULL);

    if (!probe_exists(p, dir)) {
        probe_note(p, VFIO_IRQ_POSTED_NO, "%s is not loaded", module);
        return;
    }
    param_check(p, module, apic, false);
    param_check(p, module, "enable_device_posted_irqs", true);
}

static bool snp_enabled(Probe *p)
{
    char value[VALUE_SIZE];

    return param_read(p, "kvm_amd", "sev_snp", value) == 0 &&
           param_state(value) == VFIO_IRQ_POSTED_YES;
}

/* -- IOMMU units */

static void unit_unreadable(Probe *p, const char *unit, int ret)
{
    probe_note(p, VFIO_IRQ_POSTED_UNKNOWN,
               "the capabilities of IOMMU unit %s cannot be read: %s", unit,
               g_strerror(-ret));
}

static bool intel_unit_posts(Probe *p, const char *unit)
{
    g_autofree char *path = g_strdup_printf("/sys/class/iommu/%s/"
                                            "intel-iommu/cap", unit);
    char text[VALUE_SIZE];
    const char *end;
    uint64_t cap;
    int ret = probe_read(p, path, text, sizeof(text));

    if (ret < 0) {
        unit_unreadable(p, unit, ret);
        return false;
    }
    if (!parse_hex(text, &cap, &end) || *end) {
        probe_note(p, VFIO_IRQ_POSTED_UNKNOWN, "IOMMU unit %s has no number "
                   "as capabilities", unit);
        return false;
    }
    if (!(cap & INTEL_CAP_PI)) {
        probe_note(p, VFIO_IRQ_POSTED_NO, "IOMMU unit %s cannot post (bit 59 "
                   "of its CAP register is clear)", unit);
        return false;
    }
    return true;
}

/*
 * One number before Linux 5.18, EFR2:EFR up to 6.6, EFR:EFR2 since 6.7, and
 * distributions move such changes to older releases: the release tells nothing.
 * The numbers do.  EFR has fields from end to end, and units with a guest
 * virtual APIC have some above bit 31; those of EFR2 are all low ones.
 */
static bool amd_parse_features(const char *text, uint64_t *efr, uint64_t *efr2)
{
    uint64_t first, second = 0;
    const char *end;

    if (!parse_hex(text, &first, &end)) {
        return false;
    }
    if (*end == ':' && !parse_hex(end + 1, &second, &end)) {
        return false;
    }
    if (*end || (first >> 32 && second >> 32)) {
        return false;
    }
    *efr = MAX(first, second);
    *efr2 = MIN(first, second);
    return true;
}

static const char *amd_obstacle(uint64_t efr, uint64_t efr2, bool snp)
{
    if (!(efr & AMD_EFR_GA)) {
        return "bit 7 of its Extended Feature Register, GASup, is clear";
    }
    if (!(efr & AMD_EFR_GAM)) {
        return "bit 21 of its Extended Feature Register, GAMSup, is clear";
    }
    if (snp && AMD_EFR2_SNPAVIC(efr2) != AMD_EFR2_SNPAVIC_GAM) {
        return "SEV-SNP is on, and bits 7:5 of its Extended Feature "
               "Register 2, SNPAVICSup, are not 1";
    }
    return NULL;
}

static bool amd_unit_posts(Probe *p, const char *unit)
{
    g_autofree char *path = g_strdup_printf("/sys/class/iommu/%s/"
                                            "amd-iommu/features", unit);
    char text[VALUE_SIZE];
    const char *obstacle;
    uint64_t efr, efr2;
    int ret = probe_read(p, path, text, sizeof(text));

    if (ret < 0) {
        unit_unreadable(p, unit, ret);
        return false;
    }
    if (!amd_parse_features(text, &efr, &efr2)) {
        probe_note(p, VFIO_IRQ_POSTED_UNKNOWN, "IOMMU unit %s has features "
                   "that are not a number, or two of which one is EFR", unit);
        return false;
    }
    obstacle = amd_obstacle(efr, efr2, snp_enabled(p));
    if (obstacle) {
        probe_note(p, VFIO_IRQ_POSTED_NO, "IOMMU unit %s cannot post (%s)",
                   unit, obstacle);
    }
    return !obstacle;
}

static const struct {
    const char *prefix;     /* of the unit's name in /sys/class/iommu */
    const char *module;
    const char *apic;       /* parameter of the module */
    bool (*posts)(Probe *p, const char *unit);
} vendors[] = {
    { "dmar", "kvm_intel", "enable_apicv", intel_unit_posts },
    { "ivhd", "kvm_amd", "avic", amd_unit_posts },
};

/* dmar2 comes before dmar10. */
static gint compare_units(gconstpointer a, gconstpointer b)
{
    const char *left = *(char *const *)a, *right = *(char *const *)b;

    if (strlen(left) != strlen(right)) {
        return strlen(left) < strlen(right) ? -1 : 1;
    }
    return strcmp(left, right);
}

/* Returns NULL, with the reason noted, if the directory cannot be read. */
static GPtrArray *list_units(Probe *p)
{
    g_autofree char *path = g_strconcat(p->sysroot, "/sys/class/iommu", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(GDir) dir = g_dir_open(path, 0, &error);
    GPtrArray *units;
    const char *name;

    if (!dir && !g_error_matches(error, G_FILE_ERROR, G_FILE_ERROR_NOENT)) {
        probe_note(p, VFIO_IRQ_POSTED_UNKNOWN,
                   "the list of IOMMU units cannot be read: %s",
                   error->message);
        return NULL;
    }
    units = g_ptr_array_new_with_free_func(g_free);
    while (dir && (name = g_dir_read_name(dir))) {
        g_ptr_array_add(units, g_strdup(name));
    }
    g_ptr_array_sort(units, compare_units);
    return units;
}

/* All have to: the kernel posts on no unit if one of them cannot. */
static guint probe_vendor(Probe *p, guint vendor, GPtrArray *units)
{
    guint found = 0, able = 0;

    for (guint i = 0; i < units->len; i++) {
        const char *unit = g_ptr_array_index(units, i);

        if (g_str_has_prefix(unit, vendors[vendor].prefix)) {
            found++;
            able += vendors[vendor].posts(p, unit);
        }
    }
    if (!found) {
        return 0;
    }
    if (able == found) {
        probe_note(p, VFIO_IRQ_POSTED_YES, "all IOMMU units can post (%u)",
                   found);
    }
    probe_kvm(p, vendors[vendor].module, vendors[vendor].apic);
    return found;
}

static void probe_units(Probe *p)
{
    g_autoptr(GPtrArray) units = list_units(p);
    guint found = 0;

    if (!units) {
        return;
    }
    for (guint i = 0; i < G_N_ELEMENTS(vendors); i++) {
        found += probe_vendor(p, i, units);
    }
    if (!units->len) {
        probe_note(p, VFIO_IRQ_POSTED_NO, "the host uses no IOMMU");
    } else if (!found) {
        probe_note(p, VFIO_IRQ_POSTED_UNKNOWN, "IOMMU unit %s is neither "
                   "Intel's nor AMD's", (char *)g_ptr_array_index(units, 0));
    }
}

/* -- The answer */

static VFIOIRQPostedState overall_state(GPtrArray *conditions)
{
    VFIOIRQPostedState state = VFIO_IRQ_POSTED_YES;

    for (guint i = 0; i < conditions->len; i++) {
        VFIOIRQPostedCondition *c = g_ptr_array_index(conditions, i);

        if (c->state == VFIO_IRQ_POSTED_NO) {
            return VFIO_IRQ_POSTED_NO;
        }
        if (c->state == VFIO_IRQ_POSTED_UNKNOWN) {
            state = VFIO_IRQ_POSTED_UNKNOWN;
        }
    }
    return state;
}

static void condition_free(gpointer opaque)
{
    VFIOIRQPostedCondition *condition = opaque;

    g_free(condition->text);
    g_free(condition);
}

bool vfio_irq_posted_probe(const char *sysroot, VFIOIRQPosted *result)
{
    Probe p = { .sysroot = sysroot, .result = result };

    result->conditions = g_ptr_array_new_with_free_func(condition_free);
    probe_units(&p);
    probe_cmdline(&p);
    result->state = overall_state(result->conditions);
    return result->state == VFIO_IRQ_POSTED_YES;
}

void vfio_irq_posted_clear(VFIOIRQPosted *result)
{
    g_clear_pointer(&result->conditions, g_ptr_array_unref);
    result->state = VFIO_IRQ_POSTED_UNKNOWN;
}

const char *vfio_irq_posted_name(VFIOIRQPostedState state)
{
    switch (state) {
    case VFIO_IRQ_POSTED_NO:
        return "no";
    case VFIO_IRQ_POSTED_YES:
        return "yes";
    default:
        return "unknown";
    }
}
