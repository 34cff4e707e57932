/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine with one idxd-ims device, for the tests of that device
 */
#include "qemu/osdep.h"
#include "qemu/bitops.h"
#include "qobject/qdict.h"
#include "qobject/qlist.h"
#include "hw/pci/pci_regs.h"
#include "libqos/malloc-pc.h"
#include "libqos/pci-pc.h"
#include "idxd-ims-vm.h"

#define DEVFN           QPCI_DEVFN(IDXD_VM_SLOT, 0)
#define DEVICE_PATH     "/machine/peripheral/dsa"

/* Where q35 has its ECAM window by default, and the register that says so */
#define ECAM_BASE       0xb0000000u
#define ECAM_ENABLE     1
#define MCH_PCIEXBAR    0x60

/* A root port, with a window for the BARs of what is behind it */
#define PORT_DEVFN      QPCI_DEVFN(5, 0)
#define PORT_BUS        1
#define PORT_WINDOW     0xe0000000u
#define PORT_LIMIT      0xefffffffu
/* Hot plug by the port itself: ACPI would have to be asked on each event */
#define PORT            "-global " \
                        "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off " \
                        "-device pcie-root-port,id=rp0,chassis=1,addr=5"
/* What is in it, if not the device under test */
#define IN_PORT         "wqs=8 -device idxd-ims,id=other,bus=rp0"

static void idxd_vm_enable_ecam(IdxdVM *vm)
{
    g_autofree QPCIDevice *mch = qpci_device_find(vm->bus, 0);

    qpci_config_writel(mch, MCH_PCIEXBAR, ECAM_BASE | ECAM_ENABLE);
}

static void idxd_vm_open_port(IdxdVM *vm)
{
    g_autofree QPCIDevice *port = qpci_device_find(vm->bus, PORT_DEVFN);

    qpci_config_writeb(port, PCI_SECONDARY_BUS, PORT_BUS);
    qpci_config_writeb(port, PCI_SUBORDINATE_BUS, PORT_BUS);
    qpci_config_writew(port, PCI_PREF_MEMORY_BASE, PORT_WINDOW >> 16);
    qpci_config_writew(port, PCI_PREF_MEMORY_LIMIT, PORT_LIMIT >> 16);
    qpci_config_writel(port, PCI_PREF_BASE_UPPER32, 0);
    qpci_config_writel(port, PCI_PREF_LIMIT_UPPER32, 0);
    qpci_config_writew(port, PCI_COMMAND,
                       PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

/* The slot control of the port, and its value with power on or off */
static unsigned slot_control(QPCIDevice *port, bool on, uint16_t *ctl)
{
    unsigned reg = qpci_find_capability(port, PCI_CAP_ID_EXP, 0) +
                   PCI_EXP_SLTCTL;

    *ctl = qpci_config_readw(port, reg);
    *ctl &= ~(PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PIC);
    *ctl |= on ? PCI_EXP_SLTCTL_PWR_IND_ON
               : PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PWR_IND_OFF;
    return reg;
}

/* Power and its indicator, as a driver of the slot switches them */
static void idxd_vm_port_power(IdxdVM *vm, bool on)
{
    g_autofree QPCIDevice *port = qpci_device_find(vm->bus, PORT_DEVFN);
    uint16_t ctl;
    unsigned reg = slot_control(port, on, &ctl);

    qpci_config_writew(port, reg, ctl);
}

uint64_t idxd_vm_port_off(IdxdVM *vm, uint32_t *data)
{
    g_autofree QPCIDevice *port = qpci_device_find(vm->bus, PORT_DEVFN);
    uint16_t ctl;
    unsigned reg = slot_control(port, false, &ctl);

    /* Its status is in the other half, where a 0 changes nothing */
    *data = ctl;
    return ECAM_BASE + (PORT_DEVFN << 12) + reg;
}

void idxd_vm_unplug(IdxdVM *vm)
{
    if (!vm->port) {
        qpci_unplug_acpi_device_test(vm->qts, "dsa", IDXD_VM_SLOT);
        return;
    }
    qtest_qmp_device_del_send(vm->qts, "dsa");
    idxd_vm_port_power(vm, false);
    qtest_qmp_eventwait(vm->qts, "DEVICE_DELETED");
}

void idxd_vm_plug(IdxdVM *vm, unsigned wqs, unsigned entries)
{
    if (vm->port) {
        qtest_qmp_device_add(vm->qts, "idxd-ims", "dsa",
                             "{ 'bus': 'rp0', 'wqs': %u, 'wq-entries': %u }",
                             wqs, entries);
        idxd_vm_port_power(vm, true);
    } else {
        qtest_qmp_device_add(vm->qts, "idxd-ims", "dsa",
                             "{ 'addr': %s, 'wqs': %u, 'wq-entries': %u }",
                             stringify(IDXD_VM_SLOT), wqs, entries);
    }
    idxd_vm_rediscover(vm);
}

void idxd_vm_rediscover(IdxdVM *vm)
{
    QPCIAddress addr = { .devfn = vm->port ? PORT_BUS << 8 : DEVFN };

    if (vm->ecam) {
        idxd_vm_enable_ecam(vm);
    }
    if (vm->port) {
        idxd_vm_open_port(vm);
    }
    qpci_device_init(&vm->dev.pci, vm->bus, &addr);
    qidxd_init(&vm->dev, &vm->alloc);
}

IdxdVM *idxd_vm_new_machine(const char *machine, const char *opts)
{
    IdxdVM *vm = g_new0(IdxdVM, 1);

    vm->ecam = g_str_has_prefix(machine, "q35");
    vm->port = strstr(machine, PORT) && strcmp(opts, IN_PORT);
    vm->args = g_strdup_printf("-machine %s -nodefaults -device "
                               "idxd-ims,id=dsa,%s%s%s", machine,
                               vm->port ? "bus=rp0"
                                        : "addr=" stringify(IDXD_VM_SLOT),
                               *opts ? "," : "", opts);
    vm->qts = qtest_init(vm->args);
    pc_alloc_init(&vm->alloc, vm->qts, ALLOC_NO_FLAGS);
    vm->bus = qpci_new_pc(vm->qts, &vm->alloc);
    vm->ram = guest_alloc(&vm->alloc, IDXD_VM_RAM);
    idxd_vm_rediscover(vm);
    return vm;
}

IdxdVM *idxd_vm_new(const char *opts)
{
    return idxd_vm_new_machine("q35", opts);
}

IdxdVM *idxd_vm_new_iommu(const char *iommu, const char *opts)
{
    g_autofree char *machine = g_strdup_printf("q35 -device %s", iommu);

    return idxd_vm_new_machine(machine, opts);
}

IdxdVM *idxd_vm_new_port(const char *iommu, const char *opts)
{
    g_autofree char *machine = g_strdup_printf("q35 %s%s %s",
                                               iommu ? "-device " : "",
                                               iommu ?: "", PORT);

    return idxd_vm_new_machine(machine, opts);
}

IdxdVM *idxd_vm_new_beside_port(void)
{
    return idxd_vm_new_machine("q35 " PORT, IN_PORT);
}

IdxdVM *idxd_vm_new_pc(const char *opts)
{
    return idxd_vm_new_machine("pc", opts);
}

void idxd_vm_free(IdxdVM *vm)
{
    qpci_free_pc(vm->bus);
    alloc_destroy(&vm->alloc);
    qtest_quit(vm->qts);
    g_free(vm->args);
    g_free(vm);
}

static char *query_status(QTestState *qts, const char *command)
{
    QDict *rsp = qtest_qmp(qts, "{ 'execute': %s }", command);
    QDict *ret = qdict_get_qdict(rsp, "return");
    char *status = g_strdup(qdict_get_try_str(ret, "status"));

    qobject_unref(rsp);
    return status;
}

/* Each query is a turn of QEMU's main loop, so their number is a bound */
static void wait_status(QTestState *qts, const char *command, const char *want)
{
    for (unsigned i = 0; i < 100000; i++) {
        g_autofree char *status = query_status(qts, command);

        if (!g_strcmp0(status, want)) {
            return;
        }
        g_assert_cmpstr(status, !=, "failed");
        g_usleep(1000);
    }
    g_error("%s does not become %s", command, want);
}

IdxdVM *idxd_vm_move(IdxdVM *vm)
{
    g_autofree char *file = g_strdup_printf("%s/idxd-ims-test-%d.mig",
                                            g_get_tmp_dir(), getpid());
    g_autofree char *uri = g_strdup_printf("file:%s", file);
    IdxdVM *to = g_new0(IdxdVM, 1);

    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'migrate',"
                             " 'arguments': { 'uri': %s } }", uri);
    wait_status(vm->qts, "query-migrate", "completed");
    to->args = g_strdup(vm->args);
    to->qts = qtest_initf("%s -incoming %s", vm->args, uri);
    wait_status(to->qts, "query-status", "paused");
    unlink(file);
    pc_alloc_init(&to->alloc, to->qts, ALLOC_NO_FLAGS);
    to->bus = qpci_new_pc(to->qts, &to->alloc);
    to->ecam = vm->ecam;
    to->ram = vm->ram;
    to->dev = vm->dev;
    to->dev.pci.bus = to->bus;
    idxd_vm_free(vm);
    return to;
}

uint64_t idxd_vm_ecam(IdxdVM *vm, unsigned off)
{
    return ECAM_BASE + ((uint64_t)vm->dev.pci.devfn << 12) + off;
}

uint32_t idxd_vm_ecam_readl(IdxdVM *vm, unsigned off)
{
    return qtest_readl(vm->qts, idxd_vm_ecam(vm, off));
}

void idxd_vm_ecam_writel(IdxdVM *vm, unsigned off, uint32_t val)
{
    qtest_writel(vm->qts, idxd_vm_ecam(vm, off), val);
}

unsigned idxd_vm_ext_cap(IdxdVM *vm, unsigned id)
{
    unsigned off = PCI_CFG_SPACE_SIZE;

    while (off) {
        uint32_t header = idxd_vm_ecam_readl(vm, off);

        if (header && PCI_EXT_CAP_ID(header) == id) {
            return off;
        }
        off = PCI_EXT_CAP_NEXT(header);
    }
    return 0;
}

void idxd_vm_enable_pasid(IdxdVM *vm, bool priv)
{
    unsigned cap = idxd_vm_ext_cap(vm, PCI_EXT_CAP_ID_PASID);
    uint16_t ctrl = PCI_PASID_CTRL_ENABLE | (priv ? PCI_PASID_CTRL_PRIV : 0);

    g_assert_cmphex(cap, !=, 0);
    qtest_writew(vm->qts, idxd_vm_ecam(vm, cap + PCI_PASID_CTRL), ctrl);
    g_assert_cmphex(idxd_vm_ecam_readl(vm, cap + PCI_PASID_CAP) >> 16, ==,
                    ctrl);
}

void idxd_vm_flr(IdxdVM *vm)
{
    QPCIDevice *pci = &vm->dev.pci;
    uint8_t cap = qpci_find_capability(pci, PCI_CAP_ID_EXP, 0);
    uint16_t ctl = qpci_config_readw(pci, cap + PCI_EXP_DEVCTL);

    qpci_config_writew(pci, cap + PCI_EXP_DEVCTL, ctl | PCI_EXP_DEVCTL_BCR_FLR);
}

/* The list has only those entries that were ever used or have a handle */
uint64_t idxd_vm_count(IdxdVM *vm, bool ims, unsigned index, const char *name)
{
    QDict *rsp = qtest_qmp(vm->qts, "{ 'execute': 'qom-get', 'arguments': "
                           "{ 'path': %s, 'property': %s } }", DEVICE_PATH,
                           ims ? "x-ims-counters" : "x-msix-counters");
    const QListEntry *item;
    uint64_t count = 0;

    g_assert(qdict_haskey(rsp, "return"));
    QLIST_FOREACH_ENTRY(qdict_get_qlist(rsp, "return"), item) {
        QDict *entry = qobject_to(QDict, qlist_entry_obj(item));

        if (qdict_get_int(entry, "entry") == index) {
            count = qdict_get_int(entry, name);
        }
    }
    qobject_unref(rsp);
    return count;
}

void idxd_vm_revoke(IdxdVM *vm)
{
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'qom-set', 'arguments': "
                             "{ 'path': %s, 'property': 'x-revoke-handles',"
                             "  'value': 'all' } }", DEVICE_PATH);
}

bool idxd_vm_apic_irr(IdxdVM *vm, unsigned vector)
{
    g_autofree char *text = qtest_hmp(vm->qts, "info lapic");
    g_autofree char *needle = g_strdup_printf(" %u ", vector);
    const char *irr = strstr(text, "IRR\t");
    g_autofree char *line = NULL;

    g_assert(irr);
    line = g_strndup(irr, strcspn(irr, "\r\n"));
    return strstr(line, needle);
}

QIdxdDesc idxd_vm_desc(IdxdVM *vm, uint8_t opcode)
{
    QIdxdDesc desc = {
        .opcode = opcode, .flags = DSA_FLAG_RECORD,
        .record = vm->ram + IDXD_VM_RECORD,
    };

    switch (opcode) {
    case DSA_OP_NOP:
    case DSA_OP_DRAIN:
        return desc;
    case DSA_OP_BATCH:
        desc.src = vm->ram + IDXD_VM_LIST;
        desc.size = 2;
        return desc;
    case DSA_OP_DUALCAST:
        desc.op[0] = vm->ram + IDXD_VM_DST + 0x10000;
        break;
    }
    desc.size = 256;
    if (opcode != DSA_OP_CACHE_FLUSH) {
        desc.src = vm->ram + IDXD_VM_SRC;
    }
    if (opcode != DSA_OP_CRC) {
        desc.dst = vm->ram + IDXD_VM_DST;
    }
    return desc;
}
