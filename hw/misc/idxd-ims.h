/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Emulated Intel Data Streaming Accelerator with an Interrupt Message Store
 *
 * Internal interface between the parts of the device:
 *
 *   idxd-ims.c         PCI function, properties, reset
 *   idxd-ims-migration.c  what migrates, and what is accepted
 *   idxd-ims-regs.c    register image and access rules
 *   idxd-ims-config.c  group and WQ configuration, enable checks
 *   idxd-ims-cmd.c     administrative commands
 *   idxd-ims-irq.c     interrupt handles, MSI-X, IMS, PASID rule
 *   idxd-ims-error.c   SWERROR, event log, halt
 *   idxd-ims-portal.c  portals and the submission of descriptors
 *   idxd-ims-work.c    queues, engines, batches, completion
 *   idxd-ims-ops.c     table of operations, descriptor checks, slices
 *   idxd-ims-transfer.c  data operations
 *   idxd-ims-dma.c     memory accesses with and without PASID
 *   idxd-ims-stats.c   counters for QOM and "info irq"
 *
 * Everything runs under the Big QEMU Lock.  Section numbers are those of the
 * Intel Data Streaming Accelerator Architecture Specification, revision 3.0
 * (341204-006).
 */

#ifndef HW_MISC_IDXD_IMS_H
#define HW_MISC_IDXD_IMS_H

#include "qemu/bitmap.h"
#include "hw/pci/ims.h"
#include "hw/pci/pci_device.h"
#include "idxd-ims-regs.h"
#include "qom/object.h"
#include "system/runstate.h"

#define TYPE_IDXD_IMS "idxd-ims"
OBJECT_DECLARE_SIMPLE_TYPE(IDXDState, IDXD_IMS)

#define IDXD_MAX_WQS            255
#define IDXD_MAX_GROUPS         64
#define IDXD_MAX_ENGINES        63
#define IDXD_IMS_UNIT           256
#define IDXD_MAX_IMS            (63 * IDXD_IMS_UNIT)

/* Submissions that may be partly written at the same time, per WQ */
#define IDXD_PORTAL_SLOTS       8

/* Where the interrupt of a descriptor goes */
typedef struct IDXDIrqTarget {
    bool valid;
    bool ims;
    uint32_t entry;
} IDXDIrqTarget;

/* A descriptor with the trusted fields that it got when it was accepted */
typedef struct IDXDSubmission {
    uint8_t desc[IDXD_DESC_SIZE];
    uint64_t seq;
    uint32_t pasid;
    bool pasid_en;
    bool priv;
    bool ims_portal;
} IDXDSubmission;

/* How a descriptor ended */
typedef struct IDXDOutcome {
    uint8_t status;
    bool no_cr;                 /* the completion record is unusable */
    bool write;                 /* the access that failed was a write */
    uint8_t result;
    uint32_t completed;
    uint64_t fault_addr;
    uint64_t value;             /* operation-specific, or invalid flags */
} IDXDOutcome;

typedef enum IDXDTaskPhase {
    IDXD_TASK_NONE,
    IDXD_TASK_CHECK,            /* nothing done yet */
    IDXD_TASK_RUN,
    IDXD_TASK_COMPLETE,         /* outcome known, not reported yet */
    IDXD_NR_TASK_PHASES,
} IDXDTaskPhase;

/* What an engine knows of a page that it misses */
typedef enum IDXDPage {
    IDXD_PAGE_NONE,
    IDXD_PAGE_WANTED,           /* but other engines have requests enough */
    IDXD_PAGE_REQUESTED,        /* the engine waits for the response */
    IDXD_PAGE_REFUSED,
} IDXDPage;

/* A descriptor in an engine */
typedef struct IDXDTask {
    IDXDSubmission sub;
    uint8_t phase;
    uint32_t done;              /* bytes, or descriptors of a batch */
    uint64_t value;             /* running CRC */
    IDXDIrqTarget irq;
    IDXDOutcome outcome;
} IDXDTask;

typedef struct IDXDEngine {
    int32_t group;              /* -1: in no group */
    uint32_t wq;                /* source of @main */
    IDXDTask main;
    IDXDTask member;            /* the descriptor of the batch in @main */
    bool batch_failed;
    bool batch_logged;          /* an error of this batch was logged */
    bool batch_log_has_cr;      /* and with it a record of a member */
    uint8_t page;               /* IDXDPage */
    uint16_t prgi;              /* the request's Page Request Group Index */
    uint32_t page_pasid;        /* its PASID, or PCI_NO_PASID */
    uint64_t page_addr;
    uint8_t page_tries;         /* requests for that page in a row */
} IDXDEngine;

/* A submission that is being written in pieces */
typedef struct IDXDPortalSlot {
    uint64_t mask;              /* bytes present */
    uint32_t offset;            /* of the 64 bytes, in the WQ's four pages */
    uint8_t data[IDXD_DESC_SIZE];
} IDXDPortalSlot;

typedef struct IDXDWQ {
    uint32_t base;              /* first entry in the device's storage */
    uint32_t size;
    uint32_t head;
    uint32_t count;
    uint32_t credit;            /* descriptors left in this round (4.1) */
    uint32_t next_slot;         /* the one to evict */
    uint32_t retry;             /* per portal kind: last DMWr had a Retry */
    IDXDPortalSlot slots[IDXD_PORTAL_SLOTS];
} IDXDWQ;

typedef struct IDXDGroup {
    uint32_t wq;                /* whose turn it is (4.1) */
} IDXDGroup;

typedef struct IDXDConfig {
    uint32_t wqs;
    uint32_t groups;
    uint32_t engines;
    uint32_t wq_entries;
    uint32_t ims_entries;
    uint32_t max_handles;
    uint8_t max_xfer_shift;
    uint8_t max_batch_shift;
    bool configurable;
    bool pasid;
    bool ats;
    bool pri;
    bool cmdcap;
    bool evl;
    bool msix_latch;
    bool msixperm_latch;
    bool mmio_dmwr;
} IDXDConfig;

/* The administrative command in progress */
typedef struct IDXDCommand {
    uint32_t value;
    uint64_t seq;               /* work submitted before is waited for */
} IDXDCommand;

/*
 * Interrupt handles.  Entries are numbered through: first those of MSI-X,
 * then those of the IMS.  A handle is never equal to a table index, and a
 * value that was given back or revoked is not used again for a long time, so
 * that a stale handle is found out.
 */
typedef struct IDXDHandles {
    uint32_t nr_entries;
    uint16_t *of_entry;         /* 0: none */
    uint16_t *owner;            /* by handle: entry + 1, 0: free */
    uint32_t cursor;
    uint32_t live;
    bool requested;             /* since reset (INTCAUSE.31 rule, 3.7) */
} IDXDHandles;

struct IDXDState {
    PCIDevice parent_obj;

    IDXDConfig cfg;

    MemoryRegion bar0;
    MemoryRegion regs_mmio;
    MemoryRegion dummy_portal;
    MemoryRegion portals;

    /* Registers as software reads them */
    uint32_t regs[IDXD_NR_REGS];
    uint32_t own_regs[IDXD_NR_REGS];    /* before an incoming migration */
    uint32_t *msixperm;
    uint32_t *grpcfg;
    uint32_t *wqcfg;
    uint32_t nr_vectors;
    uint32_t nr_grpcfg;         /* dwords */
    uint32_t nr_wqcfg;          /* dwords */
    uint32_t read_buffers;

    /* The MSI-X entries as the device sees them, and the IMS */
    PCIIMS msix;
    PCIIMS ims;
    IDXDHandles handles;
    uint64_t *irq_counts;       /* for InterruptStatsProvider */

    IDXDCommand cmd;

    IDXDWQ *wqs;
    IDXDGroup *groups;
    IDXDEngine *engines;
    IDXDSubmission *storage;    /* wq_entries of them, shared by all WQs */
    uint64_t seq;               /* of the next submission */
    uint16_t prgi;              /* of the last page request */
    IOMMUPRINotifier page_notifier;
    QEMUBH *bh;
    VMChangeStateEntry *vmstate;
    /*
     * Changes whenever work may have been discarded.  An access to the bus
     * can lead back to this device (DMA into the configuration space window,
     * say); whoever holds a pointer to a task compares before going on.
     */
    uint64_t epoch;
};

/* A WQ's dword of WQCFG; @reg is an A_WQ_* offset */
static inline uint32_t *idxd_wqcfg(IDXDState *s, unsigned wq, unsigned reg)
{
    return &s->wqcfg[wq * IDXD_WQCFG_DWORDS + reg / 4];
}

#define IDXD_WQ_FIELD(s, wq, reg, field) \
    FIELD_EX32(*idxd_wqcfg(s, wq, A_##reg), reg, field)

#define IDXD_REG_FIELD(s, reg, field) \
    FIELD_EX32((s)->regs[R_##reg], reg, field)

static inline unsigned idxd_device_state(IDXDState *s)
{
    return IDXD_REG_FIELD(s, GENSTS, STATE);
}

static inline unsigned idxd_wq_state(IDXDState *s, unsigned wq)
{
    return IDXD_WQ_FIELD(s, wq, WQ_STATUS, STATE);
}

static inline bool idxd_wq_dedicated(IDXDState *s, unsigned wq)
{
    return IDXD_WQ_FIELD(s, wq, WQ_MODE, DEDICATED);
}

static inline bool idxd_has_cmd(IDXDState *s, unsigned code)
{
    uint32_t cap = s->cfg.cmdcap ? s->regs[R_CMDCAP] : IDXD_CMDCAP_DEFAULT;

    return code < IDXD_NR_CMDS && (cap & BIT(code));
}

static inline unsigned idxd_opcode(const IDXDSubmission *sub)
{
    return sub->desc[A_DESC_CONTROL + 3];
}

static inline uint32_t idxd_flags(const IDXDSubmission *sub)
{
    return ldl_le_p(sub->desc + A_DESC_CONTROL) & R_DESC_CONTROL_FLAGS_MASK;
}

/* idxd-ims.c */
bool idxd_bus_master(IDXDState *s);
bool idxd_pasid_enabled(IDXDState *s);
bool idxd_priv_enabled(IDXDState *s);
bool idxd_tc_enabled(IDXDState *s, unsigned tc);

/* idxd-ims-migration.c */
extern const VMStateDescription vmstate_idxd_ims;

/* idxd-ims-regs.c */
extern const MemoryRegionOps idxd_regs_ops;
void idxd_regs_init(IDXDState *s);
void idxd_regs_reset(IDXDState *s, bool software);
bool idxd_regs_check(IDXDState *s, const uint32_t *own, Error **errp);

/* idxd-ims-config.c */
void idxd_config_reset(IDXDState *s);
void idxd_config_reset_wq(IDXDState *s, unsigned wq);
uint32_t idxd_config_read(IDXDState *s, hwaddr addr);
void idxd_config_write(IDXDState *s, hwaddr addr, uint32_t val, uint32_t mask);
uint8_t idxd_config_check_device(IDXDState *s);
uint8_t idxd_config_check_wq(IDXDState *s, unsigned wq);
void idxd_config_apply(IDXDState *s);
bool idxd_config_sizes_fit(IDXDState *s);
void idxd_config_set_wq_state(IDXDState *s, unsigned wq, unsigned state);

/* idxd-ims-cmd.c */
void idxd_cmd_write(IDXDState *s, uint32_t val);
void idxd_cmd_poll(IDXDState *s);
bool idxd_cmd_active(IDXDState *s);
bool idxd_cmd_is_valid(IDXDState *s);

/* idxd-ims-irq.c */
bool idxd_irq_init(IDXDState *s, Error **errp);
void idxd_irq_exit(IDXDState *s);
void idxd_irq_finalize(IDXDState *s);
void idxd_irq_reset(IDXDState *s, bool software);
void idxd_irq_pre_save(IDXDState *s);
void idxd_irq_sync(IDXDState *s);
void idxd_irq_event(IDXDState *s, uint32_t cause);
bool idxd_irq_resolve(IDXDState *s, bool ims, uint16_t handle,
                      uint32_t *entry);
PCIIMSResult idxd_irq_complete(IDXDState *s, const IDXDIrqTarget *irq,
                               const IDXDSubmission *sub);
bool idxd_irq_permits(IDXDState *s, const IDXDIrqTarget *irq,
                      const IDXDSubmission *sub);
void idxd_irq_refuse(IDXDState *s, const IDXDIrqTarget *irq);
void idxd_irq_occupancy(IDXDState *s, unsigned wq);
void idxd_msixperm_write(IDXDState *s, unsigned vector, uint32_t val);
uint8_t idxd_handle_request(IDXDState *s, uint32_t operand, uint16_t *handle);
uint8_t idxd_handle_release(IDXDState *s, uint32_t operand);
bool idxd_handle_revoke(IDXDState *s, const char *which, Error **errp);
bool idxd_handles_rebuild(IDXDState *s);

/* idxd-ims-error.c */
typedef struct IDXDError {
    uint8_t code;
    bool swerror_only;
    bool wq_valid;
    unsigned wq;
    const IDXDSubmission *sub;  /* NULL: no descriptor */
    const IDXDOutcome *outcome;
    const uint8_t *cr;          /* completion record for the event log */
    bool cr_required;
    bool in_batch;
    bool batch_first;
    uint8_t batch_id;
    uint16_t batch_index;
} IDXDError;

bool idxd_evl_active(IDXDState *s);
bool idxd_error_blocked(IDXDState *s);
void idxd_error_report(IDXDState *s, const IDXDError *err);
void idxd_halt(IDXDState *s);

/* idxd-ims-portal.c */
extern const MemoryRegionOps idxd_portal_ops;
extern const MemoryRegionOps idxd_dummy_portal_ops;
bool idxd_ims_submit(IDXDState *s, unsigned wq, unsigned portal,
                     const uint8_t *desc, bool non_posted);

/* idxd-ims-work.c */
typedef bool (*IDXDMatch)(IDXDState *s, unsigned wq, const IDXDSubmission *sub,
                          const void *opaque);

void idxd_work_kick(IDXDState *s);
void idxd_work_bh(void *opaque);
void idxd_work_enqueue(IDXDState *s, unsigned wq, const IDXDSubmission *sub);
bool idxd_work_pending(IDXDState *s, IDXDMatch match, const void *opaque);
void idxd_work_discard(IDXDState *s, IDXDMatch match, const void *opaque);
void idxd_work_reset(IDXDState *s);
bool idxd_work_drained(IDXDState *s, const IDXDEngine *self);
void idxd_work_start_wq(IDXDState *s, unsigned wq);

/* What a task has to say after a step */
typedef enum IDXDStep {
    IDXD_STEP_MORE,             /* made progress, is not done */
    IDXD_STEP_DONE,             /* outcome is set */
    IDXD_STEP_WAIT,             /* for something else in the device */
    IDXD_STEP_GONE,             /* the epoch changed: touch nothing */
} IDXDStep;

/* idxd-ims-complete.c */
IDXDStep idxd_task_complete(IDXDState *s, IDXDEngine *e, IDXDTask *t);

/* idxd-ims-ops.c */
void idxd_ops_caps(uint32_t opcap[8]);
bool idxd_ops_known(const IDXDSubmission *sub);
bool idxd_ops_check(IDXDState *s, IDXDEngine *e, IDXDTask *t);
IDXDStep idxd_ops_step(IDXDState *s, IDXDEngine *e, IDXDTask *t,
                       uint32_t *budget);
void idxd_task_end(IDXDTask *t, uint8_t status);

/* idxd-ims-dma.c */
typedef enum IDXDDMAResult {
    IDXD_DMA_OK,
    IDXD_DMA_FAULT,             /* no translation, or no permission */
    IDXD_DMA_ERROR,             /* the bus did not accept the access */
    IDXD_DMA_GONE,              /* the epoch changed */
} IDXDDMAResult;

/* Who accesses memory */
typedef struct IDXDRequester {
    bool pasid_en;
    bool priv;
    bool ats;
    uint32_t pasid;
} IDXDRequester;

/* An access may not cross this boundary */
#define IDXD_DMA_PAGE           4096

static inline uint32_t idxd_page_left(uint64_t addr)
{
    return IDXD_DMA_PAGE - (addr & (IDXD_DMA_PAGE - 1));
}

IDXDRequester idxd_requester(IDXDState *s, unsigned wq,
                             const IDXDSubmission *sub);
IDXDDMAResult idxd_dma(IDXDState *s, const IDXDRequester *who, uint64_t addr,
                       void *buf, uint32_t len, bool write);
bool idxd_dma_writable(IDXDState *s, const IDXDRequester *who, uint64_t addr,
                       uint32_t len);

/* idxd-ims-page.c */
void idxd_page_init(IDXDState *s);
void idxd_page_exit(IDXDState *s);
bool idxd_page_request(IDXDState *s, IDXDEngine *e, const IDXDRequester *who,
                       uint64_t addr, bool write);
bool idxd_page_failed(IDXDState *s);
void idxd_page_forget(IDXDState *s, IDXDEngine *e);

/* idxd-ims-stats.c */
void idxd_stats_class_init(ObjectClass *klass);

#endif /* HW_MISC_IDXD_IMS_H */
