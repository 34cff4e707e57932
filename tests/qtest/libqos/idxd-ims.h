/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * libqos driver for idxd-ims, an emulated Intel Data Streaming Accelerator
 *
 * Written from the Intel DSA Architecture Specification (341204-006US) and
 * from what the Linux driver does, not from the device model: the register
 * map is defined here a second time on purpose.  Sections named below are
 * those of the specification.
 */
#ifndef TESTS_LIBQOS_IDXD_IMS_H
#define TESTS_LIBQOS_IDXD_IMS_H

#include "qgraph.h"
#include "pci.h"
#include "libqos-malloc.h"

/* BAR0, section 9.2 */
#define DSA_VERSION         0x00
#define DSA_GENCAP          0x10
#define   DSA_GENCAP_BOF            (1ull << 0)
#define   DSA_GENCAP_OVERLAP        (1ull << 1)
#define   DSA_GENCAP_CACHE          (1ull << 2)
#define   DSA_GENCAP_CMDCAP         (1ull << 4)
#define   DSA_GENCAP_READBACK       (1ull << 8)
#define   DSA_GENCAP_DRAIN_READBACK (1ull << 9)
#define   DSA_GENCAP_FILL16         (1ull << 10)
#define   DSA_GENCAP_CRC64          (1ull << 11)
#define   DSA_GENCAP_BATCH_CONT     (1ull << 15)
#define   DSA_GENCAP_CONFIG         (1ull << 31)
#define   DSA_GENCAP_EVL_OVERFLOW   (1ull << 32)
#define   DSA_GENCAP_BATCH1         (1ull << 52)
#define DSA_WQCAP           0x20
#define   DSA_WQCAP_SHARED          (1ull << 48)
#define   DSA_WQCAP_DEDICATED       (1ull << 49)
#define   DSA_WQCAP_ATS             (1ull << 50)
#define   DSA_WQCAP_PRIORITY        (1ull << 51)
#define   DSA_WQCAP_OPCFG           (1ull << 54)
#define   DSA_WQCAP_PRS             (1ull << 55)
#define DSA_GRPCAP          0x30
#define DSA_ENGCAP          0x38
#define DSA_OPCAP           0x40
#define DSA_OFFSETS         0x60
#define DSA_GENCFG          0x80
#define   DSA_GENCFG_USER_INT       (1u << 12)
#define   DSA_GENCFG_EVL            (1u << 13)
#define DSA_GENCTRL         0x88
#define   DSA_GENCTRL_SWERR         (1u << 0)
#define   DSA_GENCTRL_HALT          (1u << 1)
#define   DSA_GENCTRL_EVL           (1u << 2)
#define DSA_GENSTS          0x90
#define   DSA_STATE_DISABLED        0
#define   DSA_STATE_ENABLED         1
#define   DSA_STATE_HALT            3
#define DSA_INTCAUSE        0x98
#define   DSA_CAUSE_SWERR           (1u << 0)
#define   DSA_CAUSE_CMD             (1u << 1)
#define   DSA_CAUSE_HALT            (1u << 4)
#define   DSA_CAUSE_EVL             (1u << 5)
#define   DSA_CAUSE_REVOKED         (1u << 31)
#define DSA_CMD             0xa0
#define   DSA_CMD_INT               (1u << 31)
#define DSA_CMDSTS          0xa8
#define   DSA_CMDSTS_ACTIVE         (1u << 31)
#define DSA_CMDCAP          0xb0
#define DSA_SWERROR         0xc0
#define   DSA_SWERR_VALID           (1ull << 0)
#define   DSA_SWERR_OVERFLOW        (1ull << 1)
#define   DSA_SWERR_DESC            (1ull << 2)
#define   DSA_SWERR_WQ              (1ull << 3)
#define   DSA_SWERR_BATCH           (1ull << 4)
#define   DSA_SWERR_CODE(q0)        extract64(q0, 8, 8)
#define   DSA_SWERR_WQ_INDEX(q0)    extract64(q0, 16, 8)
#define   DSA_SWERR_OP(q0)          extract64(q0, 32, 8)
#define   DSA_SWERR_PASID(q0)       extract64(q0, 40, 20)
#define DSA_EVLCFG          0xe0
#define DSA_EVLSTATUS       0xf0
#define   DSA_EVL_PENDING           (1ull << 62)

/* MSIXPERM and the control word of an IMS entry, sections 9.2.22, 9.2.28 */
#define DSA_PERM_STRIDE     8
#define DSA_IMS_STRIDE      16
#define DSA_IMS_ADDR        0
#define DSA_IMS_DATA        8
#define DSA_IMS_CTRL        12
#define DSA_ENTRY_MASK          (1u << 0)
#define DSA_ENTRY_PENDING       (1u << 1)
#define DSA_ENTRY_IGNORE        (1u << 2)
#define DSA_ENTRY_PASID_EN      (1u << 3)
#define DSA_ENTRY_PASID(p)      (((uint32_t)(p) << 12) | DSA_ENTRY_PASID_EN)

#define DSA_GRPCFG_STRIDE   64
#define DSA_GRPCFG_ENGINES  32
#define DSA_GRPCFG_FLAGS    40

/* Commands, table 9-5 */
enum {
    DSA_ENABLE_DEVICE = 1, DSA_DISABLE_DEVICE, DSA_DRAIN_ALL, DSA_ABORT_ALL,
    DSA_RESET_DEVICE, DSA_ENABLE_WQ, DSA_DISABLE_WQ, DSA_DRAIN_WQ,
    DSA_ABORT_WQ, DSA_RESET_WQ, DSA_DRAIN_PASID, DSA_ABORT_PASID,
    DSA_REQUEST_HANDLE, DSA_RELEASE_HANDLE,
};
#define DSA_HANDLE_IMS      (1u << 16)

/* Portals, section 9.3 */
typedef enum {
    DSA_PORTAL_UNLIMITED, DSA_PORTAL_LIMITED,
    DSA_PORTAL_IMS_UNLIMITED, DSA_PORTAL_IMS_LIMITED,
} QIdxdPortal;

/* Descriptors, sections 8.1 and 8.3 */
enum {
    DSA_OP_NOP, DSA_OP_BATCH, DSA_OP_DRAIN, DSA_OP_MEMMOVE, DSA_OP_FILL,
    DSA_OP_COMPARE, DSA_OP_COMPARE_PATTERN, DSA_OP_CREATE_DELTA,
    DSA_OP_APPLY_DELTA, DSA_OP_DUALCAST,
    DSA_OP_CRC = 0x10, DSA_OP_COPY_CRC = 0x11, DSA_OP_CACHE_FLUSH = 0x20,
};
#define DSA_FLAG_FENCE      (1u << 0)
#define DSA_FLAG_BOF        (1u << 1)
#define DSA_FLAG_CRAV       (1u << 2)
#define DSA_FLAG_RCR        (1u << 3)
#define DSA_FLAG_RCI        (1u << 4)
#define DSA_FLAG_CHECK      (1u << 7)
#define DSA_FLAG_CACHE1     (1u << 8)
#define DSA_FLAG_TC(n)      (1u << (8 + (n)))   /* of address 1, 2, 3 */
#define DSA_FLAG_TC_RECORD  (1u << 12)
#define DSA_FLAG_READBACK   (1u << 14)
#define DSA_FLAG_READ_SEED      (1u << 16)  /* CRC */
#define DSA_FLAG_NO_INVERT      (1u << 17)  /* CRC */
#define DSA_FLAG_NO_REFLECT     (1u << 18)  /* CRC */
#define DSA_FLAG_FILL16         (1u << 18)  /* fill */
#define DSA_FLAG_RECORD     (DSA_FLAG_CRAV | DSA_FLAG_RCR)

/* Operation status, table 5-6 */
enum {
    DSA_ST_NONE = 0x00, DSA_ST_SUCCESS = 0x01, DSA_ST_FALSE = 0x02,
    DSA_ST_FAULT = 0x03, DSA_ST_RESPONSE = 0x04,
    DSA_ST_BATCH_FAIL = 0x05, DSA_ST_BATCH_FAULT = 0x06,
    DSA_ST_OPCODE = 0x10, DSA_ST_FLAGS = 0x11, DSA_ST_RESERVED = 0x12,
    DSA_ST_SIZE = 0x13, DSA_ST_COUNT = 0x14, DSA_ST_OVERLAP = 0x16,
    DSA_ST_DUALCAST = 0x17, DSA_ST_LIST_ALIGN = 0x18, DSA_ST_HANDLE = 0x19,
    DSA_ST_CR_FAULT = 0x1a, DSA_ST_CR_ALIGN = 0x1b, DSA_ST_ALIGN = 0x1c,
    DSA_ST_TRAFFIC_CLASS = 0x1e,
    DSA_ST_HW_READ = 0x20, DSA_ST_HW_WRITE = 0x21, DSA_ST_TRANSLATION = 0x22,
    DSA_ST_BATCH_LOGGED = 0x27,
};
#define DSA_STATUS_CODE(s)  ((s) & 0x3f)

#define DSA_DESC_SIZE       64
#define DSA_RECORD_SIZE     32

/**
 * QIdxdDesc - a work descriptor in host byte order
 * @op: bytes 40..63, operation specific, as three little-endian words
 */
typedef struct QIdxdDesc {
    uint32_t pasid;
    uint32_t flags;
    uint8_t opcode;
    uint64_t record;
    uint64_t src;
    uint64_t dst;
    uint32_t size;
    uint16_t handle;
    uint16_t reserved;
    uint64_t op[3];
} QIdxdDesc;

typedef struct QIdxdRecord {
    uint8_t status;
    uint8_t result;
    uint8_t fault_info;
    uint32_t bytes;
    uint64_t fault_addr;
    uint64_t value;         /* CRC, or invalid flags */
} QIdxdRecord;

/** QIdxdWq - what WQCFG holds; zero means the value named */
typedef struct QIdxdWq {
    uint16_t size;          /* 0: 16 */
    bool shared;            /* false: dedicated */
    bool pasid_enable;
    bool priv;
    bool block;             /* block on fault */
    uint32_t pasid;
} QIdxdWq;

typedef struct QIdxd {
    QOSGraphObject obj;
    QPCIDevice pci;
    QPCIBar regs;           /* BAR0 */
    QPCIBar portals;        /* BAR2 */
    uint64_t regs_size;
    uint64_t portals_size;
    unsigned nr_wqs;
    unsigned nr_groups;
    unsigned nr_engines;
    unsigned nr_ims;
    unsigned nr_vectors;    /* MSI-X */
    unsigned wqcfg_stride;
    unsigned max_batch_shift;
    unsigned max_xfer_shift;
    uint32_t grpcfg;        /* offsets in BAR0 */
    uint32_t wqcfg;
    uint32_t msixperm;
    uint32_t ims;
    uint64_t messages;      /* guest RAM, one dword per MSI-X vector */
} QIdxd;

/** qidxd_init: map the BARs and read the capabilities of @d->pci */
void qidxd_init(QIdxd *d, QGuestAllocator *alloc);

uint32_t qidxd_readl(QIdxd *d, uint64_t off);
uint64_t qidxd_readq(QIdxd *d, uint64_t off);
void qidxd_writel(QIdxd *d, uint64_t off, uint32_t val);
void qidxd_writeq(QIdxd *d, uint64_t off, uint64_t val);

/**
 * qidxd_command: issue a command without interrupt and poll until it ends
 *
 * Returns the Command Status register.  Fails the test when Active does not
 * go away in a bounded number of reads.
 */
uint32_t qidxd_command(QIdxd *d, unsigned code, uint32_t operand);
/** qidxd_wait_command: the polling part of qidxd_command() */
uint32_t qidxd_wait_command(QIdxd *d);
/** qidxd_command_ok: the same, and the status must be 0 in all 32 bits */
void qidxd_command_ok(QIdxd *d, unsigned code, uint32_t operand);
/** qidxd_wq_operand: operand of the commands that take a bitmap, table 9-5 */
uint32_t qidxd_wq_operand(unsigned wq);
/** qidxd_request_handle: handle of a table entry; the command must succeed */
uint16_t qidxd_request_handle(QIdxd *d, bool ims, unsigned index);

uint64_t qidxd_wqcfg(QIdxd *d, unsigned wq, unsigned dword);
uint64_t qidxd_perm(QIdxd *d, unsigned vector);
uint64_t qidxd_ims(QIdxd *d, unsigned entry);
void qidxd_write_wq(QIdxd *d, unsigned wq, const QIdxdWq *cfg);
void qidxd_write_group(QIdxd *d, unsigned group, uint64_t wqs,
                       uint64_t engines);
/**
 * qidxd_configure: reset the device and configure @nr WQs in one group
 *
 * @cfg: one per WQ, or NULL for dedicated WQs without PASID
 */
void qidxd_configure(QIdxd *d, unsigned nr, const QIdxdWq *cfg);
/** qidxd_enable: the device and its first @nr WQs */
void qidxd_enable(QIdxd *d, unsigned nr);
/** qidxd_bring_up: both */
void qidxd_bring_up(QIdxd *d, unsigned nr, const QIdxdWq *cfg);

/** qidxd_msix_on: enable MSI-X, all vectors unmasked, messages to guest RAM */
void qidxd_msix_on(QIdxd *d);
uint64_t qidxd_vector(QIdxd *d, unsigned vector);
void qidxd_mask_vector(QIdxd *d, unsigned vector, bool mask);
bool qidxd_vector_pending(QIdxd *d, unsigned vector);
/** qidxd_message_data: what vector @vector writes to its slot */
uint32_t qidxd_message_data(unsigned vector);
/** qidxd_take_message: read and clear the slot of a vector */
bool qidxd_take_message(QIdxd *d, unsigned vector);
/** qidxd_wait_message: poll until the slot is written, then clear it */
void qidxd_wait_message(QIdxd *d, unsigned vector);

/** qidxd_pack: the 64 bytes of a descriptor as they are in memory */
void qidxd_pack(const QIdxdDesc *desc, void *buf);
uint64_t qidxd_portal(QIdxd *d, unsigned wq, QIdxdPortal kind);
void qidxd_submit(QIdxd *d, unsigned wq, QIdxdPortal kind,
                  const QIdxdDesc *desc);
void qidxd_read_record(QIdxd *d, uint64_t addr, QIdxdRecord *rec);
/** qidxd_wait_record: poll until the status is not 0, bounded */
void qidxd_wait_record(QIdxd *d, uint64_t addr, QIdxdRecord *rec);
/** qidxd_run: clear the record, submit, wait for the record */
void qidxd_run(QIdxd *d, unsigned wq, QIdxdPortal kind, const QIdxdDesc *desc,
               QIdxdRecord *rec);

#endif
