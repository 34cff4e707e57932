/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest driver for the device of vfio-user-server.h, which checks after each
 * step that MSI-X interrupts arrive as they must.
 *
 * While MSI-X is enabled and a vector unmasked (entry and function mask), each
 * interrupt that the device raises on it leads, after the raise, to at least
 * one delivery with the message of its table entry. What is raised while it
 * is masked is delivered after the unmask, and nothing while it is masked. One
 * delivery without a raise is allowed for each time that the host's index went
 * down under a vector, or refused a request that may have armed it, because
 * nobody can know what the device did then.
 *
 * A vector that the host has refused cannot be served. It may stay without
 * interrupts until it is unmasked the next time, provided that it was not
 * working before; what it raises is owed meanwhile.
 *
 * Deliveries are seen in guest memory: each entry's message is a write of a
 * value of its own to a place of its own. This needs no interrupt controller
 * and no guest code.
 */

#ifndef LIBQOS_VFIO_MSIX_MODEL_H
#define LIBQOS_VFIO_MSIX_MODEL_H

#include "../libqtest.h"
#include "pci-pc.h"
#include "vfio-user-server.h"

/**
 * struct VFIOMsixModelConfig - the machine to start
 * @irqs: device and host; @irqs.msix must not be 0
 * @policy: value of x-msix-prealloc, NULL leaves the property out
 * @binary_var: environment variable that names the binary, NULL for the usual
 */
typedef struct VFIOMsixModelConfig {
    VFIOUserIrqsConfig irqs;
    const char *policy;
    const char *binary_var;
} VFIOMsixModelConfig;

typedef enum VFIOMsixViolation {
    VFIO_MSIX_LOST,         /* owed to an unmasked vector, never delivered */
    VFIO_MSIX_WHILE_MASKED, /* delivered to a masked vector */
    VFIO_MSIX_SPURIOUS,     /* delivered without a raise or a resize */
    VFIO_MSIX_WRONG,        /* delivered with a message not the entry's */
    VFIO_MSIX_VIOLATIONS,
} VFIOMsixViolation;

/* One table entry, as the guest knows it, and what it is owed */
typedef struct VFIOMsixEntry {
    uint64_t address;
    uint32_t data;
    bool masked;
    bool must;              /* a delivery is owed */
    bool may;               /* raised when nothing was owed for it */
    bool replay;            /* the host's index went down, see above */
    bool live;              /* unmasked at some time since MSI-X enable */
    bool starved;           /* refused by the host, and not served since */
    uint32_t fired, torn;   /* seen at the last check */
} VFIOMsixEntry;

/**
 * struct VFIOMsixModel - a guest; read only for its users
 * @qts: QEMU
 * @dev: the device, enabled as bus master
 * @bar: the BAR with table and PBA
 * @irqs: the host's and the device's side of the interrupts
 * @n: size of the MSI-X table
 * @enabled: MSI-X enable bit
 * @fmask: MSI-X function mask bit
 * @entry: the MSI-X table
 * @violations: number of violations of each kind
 */
typedef struct VFIOMsixModel {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *dev;
    QPCIBar bar;
    uint8_t cap;
    VFIOUserServer *server;
    VFIOUserIrqs *irqs;
    unsigned n;
    bool enabled, fmask;
    bool down;              /* enabled, but not on the host */
    VFIOMsixEntry *entry;
    VFIOUserVector *seen;
    uint32_t *memory, *earlier;
    uint32_t sequence;
    uint64_t live_disables, refused, refused_at_enable;
    uint64_t messages, step_messages;
    unsigned violations[VFIO_MSIX_VIOLATIONS];
} VFIOMsixModel;

VFIOMsixModel *vfio_msix_model_new(const VFIOMsixModelConfig *cfg);
void vfio_msix_model_free(VFIOMsixModel *m);

/* Steps of the guest or the device. Each ends with vfio_msix_model_check(). */

/** vfio_msix_model_enable() - set MSI-X enable, with function mask @fmask */
void vfio_msix_model_enable(VFIOMsixModel *m, bool fmask);
void vfio_msix_model_disable(VFIOMsixModel *m);
void vfio_msix_model_function_mask(VFIOMsixModel *m, bool fmask);
void vfio_msix_model_mask(VFIOMsixModel *m, unsigned v);
void vfio_msix_model_unmask(VFIOMsixModel *m, unsigned v);

/** vfio_msix_model_rewrite() - give the masked entry @v a new message */
void vfio_msix_model_rewrite(VFIOMsixModel *m, unsigned v);

/** vfio_msix_model_reset() - reset the machine and set the device up again */
void vfio_msix_model_reset(VFIOMsixModel *m);

void vfio_msix_model_fire(VFIOMsixModel *m, unsigned v);

/** vfio_msix_model_fire_live() - raise every @stride-th unmasked vector */
void vfio_msix_model_fire_live(VFIOMsixModel *m, unsigned stride);

/** vfio_msix_model_unmasked() - whether the device may send @v's message */
bool vfio_msix_model_unmasked(const VFIOMsixModel *m, unsigned v);

/** vfio_msix_model_write_mask() - write @v's mask bit, and check nothing */
void vfio_msix_model_write_mask(VFIOMsixModel *m, unsigned v, bool mask);

/**
 * vfio_msix_model_check() - wait until all that was raised has been handled,
 * then compare what was delivered with what must and what may have been.
 */
void vfio_msix_model_check(VFIOMsixModel *m);

/** vfio_msix_model_total() - violations of all kinds */
unsigned vfio_msix_model_total(const VFIOMsixModel *m);

/** vfio_msix_model_starved() - unmasked vectors that the host refuses */
unsigned vfio_msix_model_starved(const VFIOMsixModel *m);

/**
 * vfio_msix_model_quiet() - whether nothing more arrives on @v
 *
 * For a device that raises all the time, where there is no moment to compare:
 * takes what came before, and looks again later.
 */
bool vfio_msix_model_quiet(VFIOMsixModel *m, unsigned v);

/** vfio_msix_model_stats() - the host's numbers for MSI-X */
VFIOUserIrqStats vfio_msix_model_stats(VFIOMsixModel *m);

/**
 * vfio_msix_start_qemu() - a pc machine with the device of @server in slot 4
 *
 * No firmware and no CPU runs in it. Guest memory is shared with the server.
 */
QTestState *vfio_msix_start_qemu(VFIOUserServer *server, const char *policy,
                                 const char *binary_var);

/* Guest memory that messages go to: two places for each vector */
#define VFIO_MSIX_MEMORY_BASE 0x1000000
#define VFIO_MSIX_MEMORY_SIZE (2 * VFIO_USER_MSIX_MAX * sizeof(uint32_t))
#define VFIO_MSIX_SLOT 4

/**
 * vfio_msix_settle() - wait until QEMU has consumed what was raised, and is
 * back from the handlers
 */
void vfio_msix_settle(QTestState *qts, VFIOUserIrqs *irqs);

#endif
