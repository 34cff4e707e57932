/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Emulated Intel Data Streaming Accelerator with an Interrupt Message Store:
 * the PCI function, its properties, reset and migration
 */

#include "qemu/osdep.h"
#include "qemu/main-loop.h"
#include "qemu/module.h"
#include "qapi/error.h"
#include "hw/intc/intc.h"
#include "hw/pci/msix.h"
#include "hw/pci/pci_ids.h"
#include "hw/core/qdev-properties.h"
#include "hw/core/resettable.h"
#include "idxd-ims.h"
#include "trace.h"

/* Identity and capability offsets of the hardware (appendix C) */
#define IDXD_DEVICE_ID          0x0b25
#define IDXD_CAP_PCIE           0x40
#define IDXD_CAP_PM             0x90
#define IDXD_CAP_AER            0x100
#define IDXD_CAP_VC             0x170
#define IDXD_CAP_ATS            0x220
#define IDXD_CAP_PASID          0x230
#define IDXD_CAP_PRI            0x240
#define IDXD_PASID_WIDTH        20
#define IDXD_PRI_CAPACITY       0x200

/* Virtual channels: all classes are in the first one after reset */
#define IDXD_NR_VCS             2
#define IDXD_VC_VERSION         1
#define IDXD_VC_SIZE            (0x10 + IDXD_NR_VCS * IDXD_VC_RES_SIZE)
#define IDXD_VC_RES_SIZE        0x0c
#define IDXD_VC_TC_MAP          0xff
#define IDXD_VC_TC_MAP_RW       0xfe

#define IDXD_READ_BUFFERS       96

bool idxd_bus_master(IDXDState *s)
{
    return pci_get_word(s->parent_obj.config + PCI_COMMAND) &
           PCI_COMMAND_MASTER;
}

bool idxd_pasid_enabled(IDXDState *s)
{
    return pcie_pasid_enabled(&s->parent_obj);
}

bool idxd_priv_enabled(IDXDState *s)
{
    PCIDevice *pdev = &s->parent_obj;

    return idxd_pasid_enabled(s) &&
           (pci_get_word(pdev->config + pdev->exp.pasid_cap +
                         PCI_PASID_CTRL) & PCI_PASID_CTRL_PRIV);
}

static uint8_t *idxd_vc_control(IDXDState *s, unsigned vc)
{
    return s->parent_obj.config + IDXD_CAP_VC + PCI_VC_RES_CTRL +
           vc * IDXD_VC_RES_SIZE;
}

/* 5.4: is the traffic class mapped to a virtual channel that is enabled? */
bool idxd_tc_enabled(IDXDState *s, unsigned tc)
{
    unsigned vc;

    for (vc = 0; vc < IDXD_NR_VCS; vc++) {
        uint32_t control = pci_get_long(idxd_vc_control(s, vc));

        if ((control & PCI_VC_RES_CTRL_ENABLE) && (control & BIT(tc))) {
            return true;
        }
    }
    return false;
}

/* What must not change while the device works (9.1.3, table 5-1) */
static uint64_t idxd_pci_controls(IDXDState *s)
{
    PCIDevice *pdev = &s->parent_obj;
    uint64_t v = idxd_bus_master(s);

    if (s->cfg.ats) {
        v = v << 16 | pci_get_word(pdev->config + IDXD_CAP_ATS + PCI_ATS_CTRL);
    }
    if (s->cfg.pasid) {
        v = v << 8 | pci_get_byte(pdev->config + IDXD_CAP_PASID +
                                  PCI_PASID_CTRL);
    }
    if (s->cfg.pri) {
        v = v << 1 | pcie_pri_enabled(pdev);
    }
    return v;
}

static void idxd_config_space_write(PCIDevice *pdev, uint32_t addr,
                                    uint32_t val, int len)
{
    IDXDState *s = IDXD_IMS(pdev);
    uint64_t before = idxd_pci_controls(s);
    uint64_t epoch = s->epoch;

    pci_default_write_config(pdev, addr, val, len);
    if (s->epoch != epoch) {
        /* A message that went out has unplugged the device, or reset it */
        return;
    }
    pcie_aer_write_config(pdev, addr, val, len);
    pcie_cap_flr_write_config(pdev, addr, val, len);
    if (s->epoch != epoch) {
        /* A function-level reset */
        return;
    }
    if (idxd_pci_controls(s) != before &&
        idxd_device_state(s) != IDXD_DISABLED &&
        idxd_device_state(s) != IDXD_HALTED) {
        idxd_halt(s);
    }
    idxd_irq_sync(s);
}

/* Config space that the PCI core does not reset */
static void idxd_reset_capabilities(IDXDState *s)
{
    PCIDevice *pdev = &s->parent_obj;

    pci_set_long(idxd_vc_control(s, 0),
                 PCI_VC_RES_CTRL_ENABLE | IDXD_VC_TC_MAP);
    pci_set_long(idxd_vc_control(s, 1), 0);
    if (s->cfg.ats) {
        pci_set_word(pdev->config + IDXD_CAP_ATS + PCI_ATS_CTRL, 0);
    }
    if (s->cfg.pasid) {
        pci_set_word(pdev->config + IDXD_CAP_PASID + PCI_PASID_CTRL, 0);
    }
    if (s->cfg.pri) {
        pci_set_word(pdev->config + IDXD_CAP_PRI + PCI_PRI_CTRL, 0);
        pci_set_word(pdev->config + IDXD_CAP_PRI + PCI_PRI_STATUS,
                     PCI_PRI_STATUS_PASID | PCI_PRI_STATUS_STOPPED);
        pci_set_long(pdev->config + IDXD_CAP_PRI + PCI_PRI_ALLOC_REQ, 0);
    }
}

static void idxd_reset_enter(Object *obj, ResetType type)
{
    IDXDState *s = IDXD_IMS(obj);

    idxd_work_reset(s);
    idxd_irq_reset(s, false);
    idxd_regs_reset(s, false);
    idxd_config_reset(s);
    idxd_reset_capabilities(s);
    memset(&s->cmd, 0, sizeof(s->cmd));
}

static void idxd_reset_hold(Object *obj, ResetType type)
{
    IDXDState *s = IDXD_IMS(obj);

    if (s->bh) {
        qemu_bh_cancel(s->bh);
    }
}

/*
 * DMA is not allowed while the VM is stopped; work goes on afterwards.  After a
 * migration in the middle of a rewrite of a message, the PCI core takes the
 * vector for unmasked, and the entry behind it is masked yet.
 */
static void idxd_vm_state_change(void *opaque, bool running, RunState state)
{
    IDXDState *s = opaque;

    if (running) {
        idxd_irq_sync(s);
        idxd_work_kick(s);
    } else {
        qemu_bh_cancel(s->bh);
    }
}

static bool idxd_check_range(const char *name, uint32_t val, uint32_t min,
                             uint32_t max, Error **errp)
{
    if (val < min || val > max) {
        error_setg(errp, "%s is %" PRIu32 ", but has to be between %" PRIu32
                   " and %" PRIu32, name, val, min, max);
        return false;
    }
    return true;
}

static bool idxd_check_properties(IDXDState *s, Error **errp)
{
    IDXDConfig *c = &s->cfg;

    if (!idxd_check_range("wqs", c->wqs, 1, IDXD_MAX_WQS, errp) ||
        !idxd_check_range("groups", c->groups, 1, IDXD_MAX_GROUPS, errp) ||
        !idxd_check_range("engines", c->engines, 1, IDXD_MAX_ENGINES, errp) ||
        !idxd_check_range("wq-entries", c->wq_entries, c->wqs, UINT16_MAX,
                          errp) ||
        !idxd_check_range("ims-entries", c->ims_entries, 0, IDXD_MAX_IMS,
                          errp) ||
        !idxd_check_range("max-transfer-shift", c->max_xfer_shift, 12, 31,
                          errp) ||
        !idxd_check_range("max-batch-shift", c->max_batch_shift, 1, 15,
                          errp)) {
        return false;
    }
    if (c->ims_entries % IDXD_IMS_UNIT) {
        error_setg(errp, "ims-entries is %" PRIu32 ", but has to be a "
                   "multiple of %d", c->ims_entries, IDXD_IMS_UNIT);
        return false;
    }
    if (c->pri && !(c->ats && c->pasid)) {
        error_setg(errp, "pri=on needs ats=on and pasid=on");
        return false;
    }
    return true;
}

static void idxd_alloc(IDXDState *s)
{
    s->nr_vectors = s->cfg.wqs + 1;
    s->nr_grpcfg = s->cfg.groups * IDXD_GRPCFG_DWORDS;
    s->nr_wqcfg = s->cfg.wqs * IDXD_WQCFG_DWORDS;
    /* 5.1 wants four per engine of a group */
    s->read_buffers = MAX(IDXD_READ_BUFFERS, 4 * s->cfg.engines);
    s->grpcfg = g_new0(uint32_t, s->nr_grpcfg);
    s->wqcfg = g_new0(uint32_t, s->nr_wqcfg);
    s->wqs = g_new0(IDXDWQ, s->cfg.wqs);
    s->groups = g_new0(IDXDGroup, s->cfg.groups);
    s->engines = g_new0(IDXDEngine, s->cfg.engines);
    s->storage = g_new0(IDXDSubmission, s->cfg.wq_entries);
}

static uint64_t idxd_reserved_read(void *opaque, hwaddr addr, unsigned size)
{
    return 0;
}

static void idxd_reserved_write(void *opaque, hwaddr addr, uint64_t val,
                                unsigned size)
{
}

/*
 * BAR0 between its tables. Without it an access fails, for which a vfio-user
 * client gets an error, and reads all ones.
 */
static const MemoryRegionOps idxd_reserved_ops = {
    .read = idxd_reserved_read,
    .write = idxd_reserved_write,
    .endianness = DEVICE_LITTLE_ENDIAN,
    .valid = {
        .min_access_size = 1,
        .max_access_size = 8,
    },
    .impl = {
        .min_access_size = 1,
        .max_access_size = 8,
    },
};

static void idxd_init_bars(IDXDState *s)
{
    const uint8_t type = PCI_BASE_ADDRESS_SPACE_MEMORY |
                         PCI_BASE_ADDRESS_MEM_TYPE_64 |
                         PCI_BASE_ADDRESS_MEM_PREFETCH;
    uint64_t ims_size = (uint64_t)s->cfg.ims_entries * PCI_IMS_ENTRY_SIZE;
    uint64_t portals = (uint64_t)s->cfg.wqs * IDXD_PORTALS_PER_WQ <<
                       IDXD_PORTAL_SHIFT;
    MemoryRegion *dummy = &s->dummy_portal;
    Object *obj = OBJECT(s);

    memory_region_init_io(&s->bar0, obj, &idxd_reserved_ops, s, "idxd-bar0",
                          pow2ceil(IDXD_BAR0_MIN_SIZE + ims_size));
    memory_region_init_io(&s->regs_mmio, obj, &idxd_regs_ops, s, "idxd-regs",
                          IDXD_BAR0_MSIX_TABLE);
    memory_region_init_io(dummy, obj, &idxd_dummy_portal_ops, s,
                          "idxd-dummy-portal", BIT(IDXD_PORTAL_SHIFT));
    memory_region_init_io(&s->portals, obj, &idxd_portal_ops, s,
                          "idxd-portals", pow2ceil(portals));
    memory_region_add_subregion(&s->bar0, 0, &s->regs_mmio);
    memory_region_add_subregion(&s->bar0, IDXD_BAR0_DUMMY_PORTAL, dummy);
    pci_register_bar(&s->parent_obj, 0, type, &s->bar0);
    pci_register_bar(&s->parent_obj, 2, type, &s->portals);
}

/* Appendix C: one channel besides the one that every function has */
static void idxd_init_vc(IDXDState *s)
{
    PCIDevice *pdev = &s->parent_obj;
    uint32_t vc0 = IDXD_CAP_VC + PCI_VC_RES_CTRL;

    pcie_add_capability(pdev, PCI_EXT_CAP_ID_VC, IDXD_VC_VERSION, IDXD_CAP_VC,
                        IDXD_VC_SIZE);
    /* Both in the low-priority group, with a fixed arbitration */
    pci_set_long(pdev->config + IDXD_CAP_VC + PCI_VC_PORT_CAP1, 0x11);
    pci_set_long(pdev->config + IDXD_CAP_VC + PCI_VC_PORT_CAP2, 1);
    pci_set_long(pdev->wmask + vc0, IDXD_VC_TC_MAP_RW);
    pci_set_long(pdev->wmask + vc0 + IDXD_VC_RES_SIZE,
                 PCI_VC_RES_CTRL_ENABLE | PCI_VC_RES_CTRL_ID |
                 IDXD_VC_TC_MAP_RW);
}

static bool idxd_init_capabilities(IDXDState *s, Error **errp)
{
    PCIDevice *pdev = &s->parent_obj;
    int ret;

    /* On a root bus, this makes an integrated endpoint */
    ret = pcie_endpoint_cap_init(pdev, IDXD_CAP_PCIE);
    if (ret < 0) {
        error_setg_errno(errp, -ret, "cannot add the PCI Express capability");
        return false;
    }
    pcie_cap_flr_init(pdev);
    if (pci_pm_init(pdev, IDXD_CAP_PM, errp) < 0) {
        return false;
    }
    if (pcie_aer_init(pdev, PCI_ERR_VER, IDXD_CAP_AER, PCI_ERR_SIZEOF,
                      errp) < 0) {
        return false;
    }
    idxd_init_vc(s);
    if (s->cfg.ats) {
        pcie_ats_init(pdev, IDXD_CAP_ATS, true);
    }
    if (s->cfg.pasid) {
        pcie_pasid_init(pdev, IDXD_CAP_PASID, IDXD_PASID_WIDTH, false, true);
    }
    if (s->cfg.pri) {
        pcie_pri_init(pdev, IDXD_CAP_PRI, IDXD_PRI_CAPACITY, true);
    }
    return true;
}

static void idxd_exit(PCIDevice *pdev)
{
    IDXDState *s = IDXD_IMS(pdev);

    /* Whoever is at work in this device finds out, and leaves */
    s->epoch++;
    g_clear_pointer(&s->vmstate, qemu_del_vm_change_state_handler);
    g_clear_pointer(&s->bh, qemu_bh_delete);
    idxd_page_exit(s);
    idxd_irq_exit(s);
    if (pdev->exp.aer_cap) {
        pcie_aer_exit(pdev);
    }
    if (pdev->exp.exp_cap) {
        pcie_cap_exit(pdev);
    }
}

static void idxd_realize(PCIDevice *pdev, Error **errp)
{
    IDXDState *s = IDXD_IMS(pdev);

    if (!idxd_check_properties(s, errp)) {
        return;
    }
    idxd_alloc(s);
    idxd_page_init(s);
    idxd_init_bars(s);
    if (!idxd_init_capabilities(s, errp) || !idxd_irq_init(s, errp)) {
        idxd_exit(pdev);
        return;
    }
    idxd_regs_init(s);
    s->bh = aio_bh_new_guarded(qemu_get_aio_context(), idxd_work_bh, s,
                               &DEVICE(s)->mem_reentrancy_guard);
    s->vmstate = qdev_add_vm_change_state_handler(
        DEVICE(s), idxd_vm_state_change, NULL, s);
}

static void idxd_finalize(Object *obj)
{
    IDXDState *s = IDXD_IMS(obj);

    idxd_irq_finalize(s);
    g_free(s->storage);
    g_free(s->engines);
    g_free(s->groups);
    g_free(s->wqs);
    g_free(s->wqcfg);
    g_free(s->grpcfg);
}

static const Property idxd_properties[] = {
    DEFINE_PROP_UINT32("wqs", IDXDState, cfg.wqs, 8),
    DEFINE_PROP_UINT32("groups", IDXDState, cfg.groups, 4),
    DEFINE_PROP_UINT32("engines", IDXDState, cfg.engines, 4),
    DEFINE_PROP_UINT32("wq-entries", IDXDState, cfg.wq_entries, 128),
    DEFINE_PROP_UINT32("ims-entries", IDXDState, cfg.ims_entries, 2048),
    DEFINE_PROP_UINT8("max-transfer-shift", IDXDState, cfg.max_xfer_shift, 31),
    DEFINE_PROP_UINT8("max-batch-shift", IDXDState, cfg.max_batch_shift, 10),
    DEFINE_PROP_BOOL("configurable", IDXDState, cfg.configurable, true),
    DEFINE_PROP_BOOL("pasid", IDXDState, cfg.pasid, true),
    DEFINE_PROP_BOOL("ats", IDXDState, cfg.ats, true),
    DEFINE_PROP_BOOL("pri", IDXDState, cfg.pri, false),
    DEFINE_PROP_BOOL("cmdcap", IDXDState, cfg.cmdcap, true),
    DEFINE_PROP_BOOL("event-log", IDXDState, cfg.evl, true),
    DEFINE_PROP_BOOL("msix-latch", IDXDState, cfg.msix_latch, false),
    DEFINE_PROP_BOOL("x-msixperm-latch", IDXDState, cfg.msixperm_latch, false),
    DEFINE_PROP_BOOL("x-mmio-dmwr", IDXDState, cfg.mmio_dmwr, false),
    DEFINE_PROP_UINT32("x-max-handles", IDXDState, cfg.max_handles,
                       UINT32_MAX),
};

static const struct {
    const char *name;
    const char *description;
} idxd_descriptions[] = {
    { "wqs", "number of work queues, 1 to 255; there is one MSI-X vector for "
      "each, and one more" },
    { "groups", "number of groups, 1 to 64" },
    { "engines", "number of engines, 1 to 63" },
    { "wq-entries", "descriptors that all work queues together can hold" },
    { "ims-entries", "entries of the Interrupt Message Store, a multiple of "
      "256 up to 16128; 0 for none" },
    { "max-transfer-shift", "log2 of the largest transfer in bytes, 12 to 31" },
    { "max-batch-shift", "log2 of the largest batch, 1 to 15" },
    { "configurable", "software configures work queues and groups; off: they "
      "have a fixed configuration" },
    { "pasid", "PASID capability" },
    { "ats", "Address Translation Service capability" },
    { "pri", "Page Request capability, and with it block on fault" },
    { "cmdcap", "command capabilities, and with them interrupt handles" },
    { "event-log", "event log" },
    { "msix-latch", "hold interrupts that are raised while MSI-X is disabled; "
      "off: they are lost" },
    { "x-msixperm-latch", "a change of MSIXPERM takes effect when the vector "
      "is unmasked" },
    { "x-mmio-dmwr", "take writes to portals of shared work queues as "
      "deferrable ones" },
    { "x-max-handles", "interrupt handles that can be live at a time" },
};

static void idxd_class_init(ObjectClass *klass, const void *data)
{
    DeviceClass *dc = DEVICE_CLASS(klass);
    PCIDeviceClass *pc = PCI_DEVICE_CLASS(klass);
    ResettableClass *rc = RESETTABLE_CLASS(klass);
    unsigned i;

    pc->realize = idxd_realize;
    pc->exit = idxd_exit;
    pc->config_write = idxd_config_space_write;
    pc->vendor_id = PCI_VENDOR_ID_INTEL;
    pc->device_id = IDXD_DEVICE_ID;
    pc->class_id = PCI_CLASS_SYSTEM_OTHER;
    pc->subsystem_vendor_id = PCI_VENDOR_ID_INTEL;
    rc->phases.enter = idxd_reset_enter;
    rc->phases.hold = idxd_reset_hold;
    dc->desc = "Intel Data Streaming Accelerator with IMS (emulated)";
    dc->vmsd = &vmstate_idxd_ims;
    set_bit(DEVICE_CATEGORY_MISC, dc->categories);
    device_class_set_props(dc, idxd_properties);
    for (i = 0; i < ARRAY_SIZE(idxd_descriptions); i++) {
        object_class_property_set_description(klass, idxd_descriptions[i].name,
                                              idxd_descriptions[i].description);
    }
    idxd_stats_class_init(klass);
}

static const TypeInfo idxd_info = {
    .name = TYPE_IDXD_IMS,
    .parent = TYPE_PCI_DEVICE,
    .instance_size = sizeof(IDXDState),
    .instance_finalize = idxd_finalize,
    .class_init = idxd_class_init,
    .interfaces = (const InterfaceInfo[]) {
        { INTERFACE_PCIE_DEVICE },
        { TYPE_INTERRUPT_STATS_PROVIDER },
        { }
    },
};

static void idxd_register_types(void)
{
    type_register_static(&idxd_info);
}

type_init(idxd_register_types)
