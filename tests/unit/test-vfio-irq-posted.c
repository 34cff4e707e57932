/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * VFIO irq-posted against copies of what hosts show
 *
 * "Captured" are register values that a machine printed.  Those of hardware
 * come with the place where they were published.  They are from boot messages
 * ("DMAR: dmar0: ... cap 8d2078c106f0466", "AMD-Vi: Extended features
 * (0x246577efa2254afa, 0x10)"), which print the same registers as the files in
 * sysfs; the files are made of them in the format of the kernel that is named.
 * All else is constructed.
 */

#include "qemu/osdep.h"
#include <glib/gstdio.h>

#include "hw/vfio/irq-posted.h"

typedef struct TestFile {
    const char *path;
    const char *content;
} TestFile;

typedef struct TestHost {
    const char *name;
    VFIOIRQPostedState state;
    const char *text;       /* part of a condition with that state */
    TestFile files[12];
} TestHost;

#define CMDLINE(options) \
    { "proc/cmdline", "BOOT_IMAGE=/boot/vmlinuz root=/dev/sda1 ro " options }
#define DMAR(n, cap) \
    { "sys/class/iommu/dmar" #n "/intel-iommu/cap", cap }
#define IVHD(n, features) \
    { "sys/class/iommu/ivhd" #n "/amd-iommu/features", features }
#define INTEL_PARAM(name, value) \
    { "sys/module/kvm_intel/parameters/" name, value }
#define AMD_PARAM(name, value) \
    { "sys/module/kvm_amd/parameters/" name, value }

/* Captured: Xeon (Skylake), https://github.com/utcs-scea/LAKE/issues/10 */
#define CAP_SKYLAKE     "8d2078c106f0466\n"
/*
 * Captured: Xeon (Sapphire Rapids),
 * https://github.com/intel/intel-device-plugins-for-kubernetes/issues/1836
 */
#define CAP_SAPPHIRE    "19ed008c40780c66\n"
/*
 * Captured: XPS 13 9310 (Tiger Lake), dmar0, and dmar1 and dmar2,
 * https://lore.kernel.org/r/87mtzxkus5.fsf@nanos.tec.linutronix.de
 */
#define CAP_TIGER_GPU   "1c0000c40660462\n"
#define CAP_TIGER       "d2008c40660462\n"

/*
 * Captured: Ryzen AI Max, Linux 6.14 ("Virtual APIC enabled"),
 * https://lore.kernel.org/r/ae644428-5bf2-4b30-81ba-0b259ed3449b@heusel.eu
 */
#define EFR_RYZEN_AI    "246577efa2254afa"
#define EFR2_RYZEN_AI   "10"
/*
 * Captured: EPYC, Linux 5.15, where there is no EFR2,
 * https://github.com/openvelinux/kernel/pull/50
 */
#define EFR_EPYC_5_15   "a5bf732fa2295afe"
/*
 * Captured: EPYC 7R13, with GASup and without GAMSup,
 * https://github.com/enarx/enarx/issues/2263
 */
#define EFR_7R13        "841f77e022094ace"
/*
 * Captured: Ryzen on a B550 board, with GAMSup and without GASup, Linux 6.14
 * (no word of a virtual APIC), https://lore.kernel.org/r/
 * CAAZ0mTdtOVSidMeC76X9oZyHCtJdgyiu44+UEKqP5tSUaD9ZsQ@mail.gmail.com
 */
#define EFR_B550        "58f77ef22294a5a"
/*
 * Captured: EPYC with SEV-SNP ("Force to disable Virtual APIC due to SNP"),
 * Linux 6.9, README of HyperBEAM OS, which also has parameter sev_snp
 */
#define EFR_SNP         "a5bf7320a2294aee"
#define EFR2_SNP        "1d"

#define YES     VFIO_IRQ_POSTED_YES
#define NO      VFIO_IRQ_POSTED_NO
#define UNKNOWN VFIO_IRQ_POSTED_UNKNOWN

static const TestHost hosts[] = {
    /* -- Intel */
    { "intel/skylake", YES, "all IOMMU units can post (2)", {
        DMAR(0, CAP_SKYLAKE), DMAR(1, CAP_SKYLAKE),
        INTEL_PARAM("enable_apicv", "Y\n"), CMDLINE("intel_iommu=on\n"),
    } },
    { "intel/sapphire-rapids", YES, "enable_device_posted_irqs", {
        DMAR(0, CAP_SAPPHIRE), INTEL_PARAM("enable_apicv", "Y\n"),
        INTEL_PARAM("enable_device_posted_irqs", "Y\n"), CMDLINE("\n"),
    } },
    { "intel/tiger-lake", NO, "unit dmar0 cannot post (bit 59", {
        DMAR(0, CAP_TIGER_GPU), DMAR(1, CAP_TIGER), DMAR(2, CAP_TIGER),
        INTEL_PARAM("enable_apicv", "Y\n"), CMDLINE("\n"),
    } },
    /* Constructed of captured units: the tenth of eleven cannot. */
    { "intel/one-unit-without", NO, "unit dmar9 cannot post", {
        DMAR(0, CAP_SKYLAKE), DMAR(1, CAP_SKYLAKE), DMAR(2, CAP_SKYLAKE),
        DMAR(8, CAP_SKYLAKE), DMAR(9, CAP_TIGER), DMAR(10, CAP_SKYLAKE),
        INTEL_PARAM("enable_apicv", "Y\n"), CMDLINE("\n"),
    } },
    { "intel/apicv-off", NO, "enable_apicv of kvm_intel is \"N\"", {
        DMAR(0, CAP_SKYLAKE), INTEL_PARAM("enable_apicv", "N\n"), CMDLINE("\n"),
    } },
    { "intel/device-posted-irqs-off", NO, "enable_device_posted_irqs", {
        DMAR(0, CAP_SKYLAKE), INTEL_PARAM("enable_apicv", "Y\n"),
        INTEL_PARAM("enable_device_posted_irqs", "N\n"), CMDLINE("\n"),
    } },
    { "intel/no-kvm", NO, "kvm_intel is not loaded", {
        DMAR(0, CAP_SKYLAKE), CMDLINE("\n"),
    } },
    /*
     * Captured from the file itself, with QEMU's intel-iommu; CPU and KVM are
     * AMD's
     */
    { "intel/qemu", NO, "unit dmar0 cannot post (bit 59", {
        DMAR(0, "80d2008c222f0686\n"), AMD_PARAM("avic", "N\n"), CMDLINE("\n"),
    } },
    { "intel/kvm-of-amd", NO, "kvm_intel is not loaded", {
        DMAR(0, CAP_SKYLAKE), AMD_PARAM("avic", "Y\n"), CMDLINE("\n"),
    } },
    { "intel/intremap-off", NO, "interrupt remapping off", {
        DMAR(0, CAP_SKYLAKE), INTEL_PARAM("enable_apicv", "Y\n"),
        CMDLINE("intremap=off\n"),
    } },
    { "intel/nointremap", NO, "interrupt remapping off", {
        DMAR(0, CAP_SKYLAKE), INTEL_PARAM("enable_apicv", "Y\n"),
        CMDLINE("nointremap\n"),
    } },
    { "intel/nopost", NO, "intremap=nopost", {
        DMAR(0, CAP_SKYLAKE), INTEL_PARAM("enable_apicv", "Y\n"),
        CMDLINE("intremap=nosid,nopost\n"),
    } },
    { "intel/last-option-counts", YES, "enable_apicv", {
        DMAR(0, CAP_SKYLAKE), INTEL_PARAM("enable_apicv", "Y\n"),
        CMDLINE("intremap=off intremap=on\n"),
    } },
    { "intel/other-option", YES, "enable_apicv", {
        DMAR(0, CAP_SKYLAKE), INTEL_PARAM("enable_apicv", "Y\n"),
        CMDLINE("no_intremap=off quiet=nopost\n"),
    } },

    /*
     * -- AMD: captured from the files themselves, with QEMU's amd-iommu and
     * Debian's kernels, which do not agree on the order
     */
    { "amd/qemu-linux-6.1", NO, "GAMSup", {
        IVHD(0, "0:29d7\n"), AMD_PARAM("avic", "N\n"), CMDLINE("\n"),
    } },
    { "amd/qemu-linux-6.12", NO, "GAMSup", {
        IVHD(0, "29d7:0\n"), AMD_PARAM("avic", "N\n"), CMDLINE("\n"),
    } },
    { "amd/qemu-linux-7.2", NO, "enable_device_posted_irqs", {
        IVHD(0, "29d7:0\n"), AMD_PARAM("avic", "N\n"),
        AMD_PARAM("enable_device_posted_irqs", "N\n"), CMDLINE("\n"),
    } },
    /* The same unit as three kernels print it */
    { "amd/efr-first", YES, "all IOMMU units can post (1)", {
        IVHD(0, EFR_RYZEN_AI ":" EFR2_RYZEN_AI "\n"),
        AMD_PARAM("avic", "Y\n"), CMDLINE("\n"),
    } },
    { "amd/efr-second", YES, "all IOMMU units can post (1)", {
        IVHD(0, EFR2_RYZEN_AI ":" EFR_RYZEN_AI "\n"),
        AMD_PARAM("avic", "1\n"), CMDLINE("amd_iommu_intr=vapic\n"),
    } },
    { "amd/efr-alone", YES, "all IOMMU units can post (2)", {
        IVHD(0, EFR_EPYC_5_15 "\n"), IVHD(1, EFR_EPYC_5_15 "\n"),
        AMD_PARAM("avic", "Y\n"), CMDLINE("\n"),
    } },
    { "amd/without-gam", NO, "GAMSup", {
        IVHD(0, EFR_7R13 "\n"), AMD_PARAM("avic", "Y\n"), CMDLINE("\n"),
    } },
    { "amd/without-ga", NO, "GASup", {
        IVHD(0, EFR_B550 ":0\n"), AMD_PARAM("avic", "Y\n"), CMDLINE("\n"),
    } },
    /* Constructed: bits 7 and 21 in EFR2 alone must not count, either way. */
    { "amd/efr2-is-not-efr-first", NO, "GAMSup", {
        IVHD(0, "200080:" EFR_7R13 "\n"), AMD_PARAM("avic", "Y\n"),
        CMDLINE("\n"),
    } },
    { "amd/efr2-is-not-efr-second", NO, "GAMSup", {
        IVHD(0, EFR_7R13 ":200080\n"), AMD_PARAM("avic", "Y\n"),
        CMDLINE("\n"),
    } },
    { "amd/one-unit-without", NO, "unit ivhd1 cannot post", {
        IVHD(0, EFR_RYZEN_AI ":10\n"), IVHD(1, EFR_7R13 ":10\n"),
        AMD_PARAM("avic", "Y\n"), CMDLINE("\n"),
    } },
    /* The guess cannot be made: both could be EFR. */
    { "amd/either-order", UNKNOWN, "of which one is EFR", {
        IVHD(0, EFR_7R13 ":" EFR_RYZEN_AI "\n"), AMD_PARAM("avic", "Y\n"),
        CMDLINE("\n"),
    } },
    { "amd/no-features", NO, "GASup", {
        IVHD(0, "0:0\n"), AMD_PARAM("avic", "Y\n"), CMDLINE("\n"),
    } },
    { "amd/avic-off", NO, "avic of kvm_amd is \"N\"", {
        IVHD(0, EFR_RYZEN_AI ":10\n"), AMD_PARAM("avic", "N\n"), CMDLINE("\n"),
    } },
    { "amd/avic-off-as-number", NO, "avic of kvm_amd is \"0\"", {
        IVHD(0, EFR_EPYC_5_15 "\n"), AMD_PARAM("avic", "0\n"), CMDLINE("\n"),
    } },
    { "amd/avic-undecided", UNKNOWN, "avic of kvm_amd is \"auto\"", {
        IVHD(0, EFR_RYZEN_AI ":10\n"), AMD_PARAM("avic", "auto\n"),
        CMDLINE("\n"),
    } },
    { "amd/no-kvm", NO, "kvm_amd is not loaded", {
        IVHD(0, EFR_RYZEN_AI ":10\n"), CMDLINE("\n"),
    } },
    { "amd/legacy", NO, "amd_iommu_intr=legacy", {
        IVHD(0, EFR_RYZEN_AI ":10\n"), AMD_PARAM("avic", "Y\n"),
        CMDLINE("amd_iommu_intr=legacy\n"),
    } },
    { "amd/snp", NO, "SEV-SNP is on", {
        IVHD(0, EFR_SNP ":" EFR2_SNP "\n"), AMD_PARAM("avic", "Y\n"),
        AMD_PARAM("sev_snp", "Y\n"), CMDLINE("\n"),
    } },
    /* Constructed: SNPAVICSup = 1 */
    { "amd/snp-with-avic", YES, "all IOMMU units can post", {
        IVHD(0, EFR_SNP ":3d\n"), AMD_PARAM("avic", "Y\n"),
        AMD_PARAM("sev_snp", "Y\n"), CMDLINE("\n"),
    } },
    { "amd/snp-off", YES, "all IOMMU units can post", {
        IVHD(0, EFR_SNP ":" EFR2_SNP "\n"), AMD_PARAM("avic", "Y\n"),
        AMD_PARAM("sev_snp", "N\n"), CMDLINE("\n"),
    } },

    /* -- Neither */
    { "none/no-directory", NO, "uses no IOMMU", {
        INTEL_PARAM("enable_apicv", "Y\n"), CMDLINE("\n"),
    } },
    { "none/empty-directory", NO, "uses no IOMMU", {
        { "sys/class/iommu/" }, CMDLINE("\n"),
    } },
    { "none/other-kind", UNKNOWN, "smmu3.0x0000000040000000 is neither", {
        { "sys/class/iommu/smmu3.0x0000000040000000/" }, CMDLINE("\n"),
    } },

    /* -- Damaged: never yes, never an end of the program */
    { "damaged/cap-empty", UNKNOWN, "dmar0 has no number", {
        DMAR(0, ""), INTEL_PARAM("enable_apicv", "Y\n"), CMDLINE("\n"),
    } },
    { "damaged/cap-garbage", UNKNOWN, "dmar0 has no number", {
        DMAR(0, "unknown\n"), INTEL_PARAM("enable_apicv", "Y\n"),
        CMDLINE("\n"),
    } },
    { "damaged/cap-negative", UNKNOWN, "dmar0 has no number", {
        DMAR(0, "-1\n"), INTEL_PARAM("enable_apicv", "Y\n"), CMDLINE("\n"),
    } },
    { "damaged/cap-too-many-digits", UNKNOWN, "dmar0 has no number", {
        DMAR(0, "8d2078c106f04668d\n"), INTEL_PARAM("enable_apicv", "Y\n"),
        CMDLINE("\n"),
    } },
    { "damaged/cap-two-words", UNKNOWN, "dmar0 has no number", {
        DMAR(0, "8d2078c106f0466 1\n"), INTEL_PARAM("enable_apicv", "Y\n"),
        CMDLINE("\n"),
    } },
    { "damaged/cap-overlong", UNKNOWN, "dmar0 cannot be read", {
        DMAR(0, "8d2078c106f0466 00000000000000000000000000000000"
             "00000000000000000000000000000000\n"),
        INTEL_PARAM("enable_apicv", "Y\n"), CMDLINE("\n"),
    } },
    /* Without a line end it is all there. */
    { "damaged/cap-no-newline", YES, "all IOMMU units can post", {
        DMAR(0, "8d2078c106f0466"), INTEL_PARAM("enable_apicv", "Y"),
        CMDLINE(""),
    } },
    { "damaged/cap-missing", UNKNOWN, "dmar1 cannot be read", {
        DMAR(0, CAP_SKYLAKE), { "sys/class/iommu/dmar1/intel-iommu/" },
        INTEL_PARAM("enable_apicv", "Y\n"), CMDLINE("\n"),
    } },
    /* The root may read everything, but nobody reads a directory. */
    { "damaged/cap-unreadable", UNKNOWN, "dmar0 cannot be read", {
        { "sys/class/iommu/dmar0/intel-iommu/cap/" },
        INTEL_PARAM("enable_apicv", "Y\n"), CMDLINE("\n"),
    } },
    { "damaged/units-unreadable", UNKNOWN, "list of IOMMU units", {
        { "sys/class/iommu", "no directory\n" },
        INTEL_PARAM("enable_apicv", "Y\n"), CMDLINE("\n"),
    } },
    { "damaged/features-no-second", UNKNOWN, "not a number", {
        IVHD(0, EFR_RYZEN_AI ":\n"), AMD_PARAM("avic", "Y\n"), CMDLINE("\n"),
    } },
    { "damaged/features-three", UNKNOWN, "not a number", {
        IVHD(0, EFR_RYZEN_AI ":10:0\n"), AMD_PARAM("avic", "Y\n"),
        CMDLINE("\n"),
    } },
    { "damaged/features-garbage", UNKNOWN, "not a number", {
        IVHD(0, "0x" EFR_RYZEN_AI "\n"), AMD_PARAM("avic", "Y\n"),
        CMDLINE("\n"),
    } },
    { "damaged/features-missing", UNKNOWN, "ivhd0 cannot be read", {
        { "sys/class/iommu/ivhd0/amd-iommu/" }, AMD_PARAM("avic", "Y\n"),
        CMDLINE("\n"),
    } },
    { "damaged/param-missing", UNKNOWN, "avic of kvm_amd cannot be read", {
        IVHD(0, EFR_RYZEN_AI ":10\n"), { "sys/module/kvm_amd/parameters/" },
        CMDLINE("\n"),
    } },
    { "damaged/param-empty", UNKNOWN, "avic of kvm_amd is \"\"", {
        IVHD(0, EFR_RYZEN_AI ":10\n"), AMD_PARAM("avic", ""), CMDLINE("\n"),
    } },
    { "damaged/param-unreadable", UNKNOWN, "avic of kvm_amd cannot be read", {
        IVHD(0, EFR_RYZEN_AI ":10\n"),
        { "sys/module/kvm_amd/parameters/avic/" }, CMDLINE("\n"),
    } },
    { "damaged/no-cmdline", UNKNOWN, "command line cannot be read", {
        DMAR(0, CAP_SKYLAKE), INTEL_PARAM("enable_apicv", "Y\n"),
    } },
    /* What is bad is said, even if something else is unknown. */
    { "damaged/no-before-unknown", NO, "enable_apicv of kvm_intel is \"N\"", {
        DMAR(0, ""), INTEL_PARAM("enable_apicv", "N\n"), CMDLINE("\n"),
    } },
};

static void write_bytes(const char *path, const void *bytes, size_t size)
{
    FILE *file;

    /* A new file is not written through to the disk, one cut to 0 may be. */
    g_remove(path);
    file = g_fopen(path, "wb");
    g_assert_nonnull(file);
    g_assert_cmpint(fwrite(bytes, 1, size, file), ==, size);
    g_assert_cmpint(fclose(file), ==, 0);
}

/* A path that ends in '/' is a directory. */
static void write_file(const char *root, const TestFile *file)
{
    g_autofree char *path = g_build_filename(root, file->path, NULL);
    g_autofree char *dir = g_path_get_dirname(path);

    if (g_str_has_suffix(file->path, "/")) {
        g_assert_cmpint(g_mkdir_with_parents(path, 0700), ==, 0);
        return;
    }
    g_assert_cmpint(g_mkdir_with_parents(dir, 0700), ==, 0);
    write_bytes(path, file->content, strlen(file->content));
}

static void remove_tree(const char *path)
{
    g_autoptr(GDir) dir = g_dir_open(path, 0, NULL);
    const char *name;

    while (dir && (name = g_dir_read_name(dir))) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        remove_tree(child);
    }
    g_remove(path);
}

static char *make_root(void)
{
    g_autoptr(GError) error = NULL;
    char *root = g_dir_make_tmp("vfio-irq-posted-XXXXXX", &error);

    g_assert_no_error(error);
    return root;
}

static bool has_condition(const VFIOIRQPosted *result, VFIOIRQPostedState state,
                          const char *text)
{
    for (guint i = 0; i < result->conditions->len; i++) {
        VFIOIRQPostedCondition *c = g_ptr_array_index(result->conditions, i);

        if (c->state == state && strstr(c->text, text)) {
            return true;
        }
    }
    return false;
}

static void print_conditions(const VFIOIRQPosted *result)
{
    for (guint i = 0; i < result->conditions->len; i++) {
        VFIOIRQPostedCondition *c = g_ptr_array_index(result->conditions, i);

        g_test_message("%s: %s", vfio_irq_posted_name(c->state), c->text);
    }
}

static void test_host(const void *opaque)
{
    const TestHost *host = opaque;
    g_autofree char *root = make_root();
    VFIOIRQPosted result;
    bool yes;

    for (const TestFile *file = host->files; file->path; file++) {
        write_file(root, file);
    }
    yes = vfio_irq_posted_probe(root, &result);
    remove_tree(root);
    print_conditions(&result);
    g_assert_cmpint(result.state, ==, host->state);
    g_assert_cmpint(yes, ==, host->state == VFIO_IRQ_POSTED_YES);
    g_assert_true(has_condition(&result, host->state, host->text));
    if (has_condition(&result, VFIO_IRQ_POSTED_NO, "IOMMU unit ")) {
        g_assert_false(has_condition(&result, VFIO_IRQ_POSTED_YES, "all IOMM"));
    }
    vfio_irq_posted_clear(&result);
    g_assert_null(result.conditions);
}

static void check_features(const char *root, const char *features)
{
    TestFile file = IVHD(0, features);
    VFIOIRQPosted result;
    bool well_formed =
        g_regex_match_simple("^[0-9a-f]{1,16}(:[0-9a-f]{1,16})?"
                             "[ \\t\\n\\f\\r]*$", features,
                             G_REGEX_CASELESS | G_REGEX_RAW |
                             G_REGEX_DOLLAR_ENDONLY, 0);

    write_file(root, &file);
    vfio_irq_posted_probe(root, &result);
    g_assert_cmpint(result.state == VFIO_IRQ_POSTED_UNKNOWN, ==, !well_formed);
    vfio_irq_posted_clear(&result);
}

/* Each byte of a good file in turn is another one; 0 cuts off what follows. */
static void test_mutations(void)
{
    char features[] = EFR_RYZEN_AI ":" EFR2_RYZEN_AI "\n";
    TestFile param = AMD_PARAM("avic", "Y\n"), cmdline = CMDLINE("\n");
    g_autofree char *root = make_root();

    write_file(root, &param);
    write_file(root, &cmdline);
    for (size_t at = 0; features[at]; at++) {
        char good = features[at];

        for (int byte = 0; byte < 256; byte++) {
            features[at] = byte;
            check_features(root, features);
        }
        features[at] = good;
    }
    remove_tree(root);
}

static void test_nul(void)
{
    static const char text[] = "8d2078c106f0466\0garbage\n";
    TestFile file = DMAR(0, ""), cmdline = CMDLINE("\n");
    TestFile param = INTEL_PARAM("enable_apicv", "Y\n");
    g_autofree char *root = make_root();
    g_autofree char *path = g_build_filename(root, file.path, NULL);
    VFIOIRQPosted result;

    write_file(root, &file);
    write_file(root, &param);
    write_file(root, &cmdline);
    write_bytes(path, text, sizeof(text) - 1);
    g_assert_false(vfio_irq_posted_probe(root, &result));
    g_assert_cmpint(result.state, ==, VFIO_IRQ_POSTED_UNKNOWN);
    vfio_irq_posted_clear(&result);
    remove_tree(root);
}

/* Whatever machine this is: there is an answer, and it gives its reasons. */
static void test_this_host(void)
{
    VFIOIRQPosted result;
    bool yes = vfio_irq_posted_probe("", &result);

    print_conditions(&result);
    g_assert_cmpint(yes, ==, result.state == VFIO_IRQ_POSTED_YES);
    g_assert_cmpint(result.conditions->len, >, 0);
    vfio_irq_posted_clear(&result);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(hosts); i++) {
        g_autofree char *path = g_strconcat("/vfio/irq-posted/", hosts[i].name,
                                            NULL);

        g_test_add_data_func(path, &hosts[i], test_host);
    }
    g_test_add_func("/vfio/irq-posted/damaged/mutations", test_mutations);
    g_test_add_func("/vfio/irq-posted/damaged/nul", test_nul);
    g_test_add_func("/vfio/irq-posted/this-host", test_this_host);
    return g_test_run();
}
