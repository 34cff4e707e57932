/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A machine with one idxd-ims device, for the tests of that device
 */
#ifndef TESTS_IDXD_IMS_VM_H
#define TESTS_IDXD_IMS_VM_H

#include "libqtest.h"
#include "libqos/idxd-ims.h"
#include "libqos/libqos-malloc.h"

/**
 * IdxdVM - a machine whose root bus has the device at slot 4
 * @args: what QEMU was started with
 * @dev: the device, BARs mapped, bus mastering on
 * @ram: guest RAM for the records and buffers of a test, %IDXD_VM_RAM bytes
 */
typedef struct IdxdVM {
    char *args;
    bool ecam;
    bool port;              /* the device is behind a root port */
    QTestState *qts;
    QPCIBus *bus;
    QGuestAllocator alloc;
    QIdxd dev;
    uint64_t ram;
} IdxdVM;

#define IDXD_VM_RAM     (32u << 20)

#define IDXD_VM_SLOT    4

/* idxd_vm_new: start q35; @opts is appended to "-device idxd-ims" */
IdxdVM *idxd_vm_new(const char *opts);
/* idxd_vm_new_iommu: the same with "-device @iommu" before it */
IdxdVM *idxd_vm_new_iommu(const char *iommu, const char *opts);
/* idxd_vm_new_machine: "-machine @machine", with more options behind it */
IdxdVM *idxd_vm_new_machine(const char *machine, const char *opts);
/* idxd_vm_new_pc: start the older machine, which has ACPI hot plug */
IdxdVM *idxd_vm_new_pc(const char *opts);
/* idxd_vm_new_port: the same with or without, the device in a root port */
IdxdVM *idxd_vm_new_port(const char *iommu, const char *opts);
/* idxd_vm_new_beside_port: and another device, "other", in a root port */
IdxdVM *idxd_vm_new_beside_port(void);
/* idxd_vm_unplug: with the guest's part: ACPI, or the power of the slot */
void idxd_vm_unplug(IdxdVM *vm);
/* idxd_vm_port_off: a write of @data there switches off the slot of the port */
uint64_t idxd_vm_port_off(IdxdVM *vm, uint32_t *data);
/* idxd_vm_plug: after that, a new device with so many WQs and entries */
void idxd_vm_plug(IdxdVM *vm, unsigned wqs, unsigned entries);
/* idxd_vm_move: migrate the stopped @vm; its device continues in a new one */
IdxdVM *idxd_vm_move(IdxdVM *vm);
void idxd_vm_free(IdxdVM *vm);
/* idxd_vm_rediscover: after a reset that took the BARs away */
void idxd_vm_rediscover(IdxdVM *vm);

/* Extended configuration space, through the ECAM window of the chipset */
uint64_t idxd_vm_ecam(IdxdVM *vm, unsigned off);
uint32_t idxd_vm_ecam_readl(IdxdVM *vm, unsigned off);
void idxd_vm_ecam_writel(IdxdVM *vm, unsigned off, uint32_t val);
/* idxd_vm_ext_cap: offset of an extended capability, 0 where there is none */
unsigned idxd_vm_ext_cap(IdxdVM *vm, unsigned id);
/* idxd_vm_enable_pasid: as the IOMMU driver does; asserts that it sticks */
void idxd_vm_enable_pasid(IdxdVM *vm, bool priv);
void idxd_vm_flr(IdxdVM *vm);

/*
 * idxd_vm_count: a counter that the device keeps per table entry, one of
 * "raised", "sent", "pending", "dropped", "refused"
 */
uint64_t idxd_vm_count(IdxdVM *vm, bool ims, unsigned index, const char *name);
/* idxd_vm_revoke: make the device take all interrupt handles back */
void idxd_vm_revoke(IdxdVM *vm);
/* idxd_vm_apic_irr: has the CPU's interrupt controller received @vector? */
bool idxd_vm_apic_irr(IdxdVM *vm, unsigned vector);

/* Where idxd_vm_desc() has its operands, from @ram on */
#define IDXD_VM_RECORD  0x0
#define IDXD_VM_LIST    0x4000
#define IDXD_VM_SRC     0x100000
#define IDXD_VM_DST     0x200000

/* idxd_vm_desc: a descriptor of this operation with nothing wrong */
QIdxdDesc idxd_vm_desc(IdxdVM *vm, uint8_t opcode);

/* Each file of tests adds its own */
void idxd_ims_add_config_tests(void);
void idxd_ims_add_command_tests(void);
void idxd_ims_add_operation_tests(void);
void idxd_ims_add_descriptor_tests(void);
void idxd_ims_add_feature_tests(void);
void idxd_ims_add_interrupt_tests(void);
void idxd_ims_add_event_log_tests(void);
void idxd_ims_add_pasid_tests(void);
void idxd_ims_add_iommu_tests(void);
void idxd_ims_add_page_tests(void);
void idxd_ims_add_qos_tests(void);
void idxd_ims_add_life_tests(void);
void idxd_ims_add_feedback_tests(void);

#endif
