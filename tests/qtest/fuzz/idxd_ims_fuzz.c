/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims fuzzing targets
 *
 * An input is a list of things that a guest can do, see
 * libqos/idxd-ims-fuzz.h.  tests/qtest/fuzz-idxd-ims-test.c replays inputs
 * without a fuzzer.
 */
#include "qemu/osdep.h"
#include "qapi/error.h"
#include "hw/pci/pci_device.h"
#include "hw/core/qdev.h"
#include "io/channel-buffer.h"
#include "migration/vmstate.h"
#include "migration/qemu-file.h"
#include "system/address-spaces.h"
#include "system/runstate.h"
#include "tests/qtest/libqtest.h"
#include "tests/qtest/libqos/idxd-ims-fuzz.h"
#include "tests/qtest/libqos/malloc-pc.h"
#include "tests/qtest/libqos/pci-pc.h"
#include "fuzz.h"

static QIdxd idxd;
static DeviceState *idxd_dev;

static void fuzz_run(void *opaque)
{
    flush_events(opaque);
}

/*
 * Of the device only, and with one update of the memory map: most of the time
 * would go into the machine's reset and into mapping the BARs one by one.
 */
static void fuzz_device_reset(void *opaque)
{
    PCIDevice *pdev = PCI_DEVICE(idxd_dev);

    memory_region_transaction_begin();
    pci_device_reset(pdev);
    pci_default_write_config(pdev, PCI_BASE_ADDRESS_0, idxd.regs.addr, 4);
    pci_default_write_config(pdev, PCI_BASE_ADDRESS_2, idxd.portals.addr, 4);
    pci_default_write_config(pdev, PCI_COMMAND,
                             PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
    memory_region_transaction_commit();
}

static void fuzz_clear(void *opaque, uint64_t addr, size_t size)
{
    address_space_set(&address_space_memory, addr, 0, size,
                      MEMTXATTRS_UNSPECIFIED);
}

/* Fails if there is no such handle */
static void fuzz_revoke(void *opaque, const char *which)
{
    Error *err = NULL;

    object_property_set_str(OBJECT(idxd_dev), "x-revoke-handles", which, &err);
    error_free(err);
}

/* The saved state, in a channel to load it from */
static QIOChannelBuffer *save_device(const VMStateDescription *vmsd)
{
    QIOChannelBuffer *out = qio_channel_buffer_new(0);
    QEMUFile *f = qemu_file_new_output(QIO_CHANNEL(out));
    QIOChannelBuffer *in;

    vmstate_save_state(f, vmsd, idxd_dev, NULL, &error_abort);
    qemu_fflush(f);
    in = qio_channel_buffer_new(out->usage);
    memcpy(in->data, out->data, out->usage);
    in->usage = out->usage;
    qemu_fclose(f);
    object_unref(OBJECT(out));
    return in;
}

static bool load_device(const VMStateDescription *vmsd, QIOChannelBuffer *in)
{
    QEMUFile *f = qemu_file_new_input(QIO_CHANNEL(in));
    Error *err = NULL;
    int ret;

    ret = vmstate_load_state(f, vmsd, idxd_dev, vmsd->version_id, &err);
    qemu_fclose(f);
    error_free(err);
    return !ret;
}

/*
 * Through the device's own state only.  An undamaged one must load; what
 * refuses a damaged one leaves a device that nobody would run.
 */
static bool fuzz_migrate(void *opaque, const uint8_t *damage, size_t len)
{
    const VMStateDescription *vmsd = DEVICE_GET_CLASS(idxd_dev)->vmsd;
    QIOChannelBuffer *state;
    bool good;

    vm_stop(RUN_STATE_PAUSED);
    state = save_device(vmsd);
    for (size_t i = 0; i + 3 <= len; i += 3) {
        state->data[lduw_le_p(damage + i) % state->usage] ^= damage[i + 2];
    }
    good = load_device(vmsd, state);
    object_unref(OBJECT(state));
    g_assert(good || len >= 3);
    vm_start();
    return good;
}

static void idxd_ims_pre_fuzz(QTestState *s)
{
    QPCIBus *bus = qpci_new_pc(s, NULL);
    QPCIAddress addr = { .devfn = QPCI_DEVFN(QIDXD_FUZZ_SLOT, 0) };
    QGuestAllocator alloc;

    pc_alloc_init(&alloc, s, 0);
    qpci_device_init(&idxd.pci, bus, &addr);
    qidxd_init(&idxd, &alloc);
    qidxd_fuzz_map_config(&idxd);
    idxd_dev = DEVICE(object_resolve_path_type("", "idxd-ims", NULL));
}

static void idxd_ims_fuzz(QTestState *s, const unsigned char *data,
                          size_t size)
{
    const QIdxdFuzzHost host = {
        .run = fuzz_run,
        .reset = fuzz_device_reset,
        .clear = fuzz_clear,
        .revoke = fuzz_revoke,
        .migrate = fuzz_migrate,
        .opaque = s,
    };

    qidxd_fuzz_run(&idxd, &host, data, size);
}

static GString *idxd_ims_cmdline(FuzzTarget *t)
{
    GString *cmdline = g_string_new(TARGET_NAME " " QIDXD_FUZZ_MACHINE);

    g_string_append_printf(cmdline, " -accel qtest -display none -device %s",
                           (const char *)t->opaque);
    return cmdline;
}

static void register_idxd_ims_targets(void)
{
    fuzz_add_target(&(FuzzTarget){
        .name = "idxd-ims",
        .description = "idxd-ims with IMS, without PASID",
        .get_init_cmdline = idxd_ims_cmdline,
        .pre_fuzz = idxd_ims_pre_fuzz,
        .fuzz = idxd_ims_fuzz,
        .opaque = (void *)QIDXD_FUZZ_PLAIN,
    });
    fuzz_add_target(&(FuzzTarget){
        .name = "idxd-ims-pasid",
        .description = "idxd-ims with PASID, ATS and PRI",
        .get_init_cmdline = idxd_ims_cmdline,
        .pre_fuzz = idxd_ims_pre_fuzz,
        .fuzz = idxd_ims_fuzz,
        .opaque = (void *)QIDXD_FUZZ_PASID,
    });
}

fuzz_target_init(register_idxd_ims_targets);
