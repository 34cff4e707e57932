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
 * Where messages go, and who sees them there, is the machine's business. The
 * usual one has no interrupt controller and runs no code: each message is a
 * write to a place in memory of its own.
 */

#ifndef LIBQOS_VFIO_MSIX_MODEL_H
#define LIBQOS_VFIO_MSIX_MODEL_H

#include "../libqtest.h"
#include "pci-pc.h"
#include "vfio-user-server.h"

typedef struct VFIOMsixModel VFIOMsixModel;
typedef struct VFIOMsixMachine VFIOMsixMachine;

/**
 * struct VFIOMsixModelConfig - the machine to start
 * @irqs: device and host; @irqs.msix must not be 0
 * @policy: value of x-msix-prealloc, NULL leaves the property out
 * @binary_var: environment variable that names the binary, NULL for the usual
 * @machine: what to start, NULL for %vfio_msix_ram
 * @opaque: for @machine
 * @patience_us: time after which what is owed counts as lost; 0 where all
 *     deliveries have come when QEMU is idle
 */
typedef struct VFIOMsixModelConfig {
    VFIOUserIrqsConfig irqs;
    const char *policy;
    const char *binary_var;
    const VFIOMsixMachine *machine;
    void *opaque;
    int64_t patience_us;
} VFIOMsixModelConfig;

typedef struct VFIOMsixMessage {
    uint64_t address;
    uint32_t data;
} VFIOMsixMessage;

/**
 * struct VFIOMsixMachine - a kind of machine that takes the device's messages
 * @start: set @m->qts up for @m->server, and where needed @m->opaque and
 *     @m->places. The device goes into slot %VFIO_MSIX_SLOT.
 * @stop: end what @start began
 * @message: the message of vector @v that goes to the @place-th of its places
 * @take: how often that place got a message since the last call, and the data
 *     of the last one. Serialised by the caller.
 * @flush: wait until what QEMU or the kernel has sent has been received
 * @served_by_kernel: a kernel serves the eventfds. One may stay readable
 *     although it has been served, as it does if it was before KVM got it, and
 *     there is no way to wait for what the kernel is about to do.
 * @reset: what has to be done after a reset of the machine, or NULL
 * @release: let QEMU's virtual time pass, or wait, until QEMU holds no message
 *     back any more that might be half written
 * @may_tear: whether QEMU may take half of a message for all of it if the
 *     host is slow between writes in this order, of which so many make a
 *     difference. NULL where no time passes but in @release
 * @rest: wait until QEMU has done what it puts off while the guest is busy
 *     with its table, NULL where there is nothing
 */
struct VFIOMsixMachine {
    void (*start)(VFIOMsixModel *m, const VFIOMsixModelConfig *cfg);
    void (*stop)(VFIOMsixModel *m);
    VFIOMsixMessage (*message)(VFIOMsixModel *m, unsigned v, unsigned place);
    unsigned (*take)(VFIOMsixModel *m, unsigned v, unsigned place,
                     uint32_t *data);
    void (*flush)(VFIOMsixModel *m);
    bool served_by_kernel;
    void (*reset)(VFIOMsixModel *m);
    void (*release)(VFIOMsixModel *m);
    bool (*may_tear)(const VFIOMsixModel *m, const char *order,
                     unsigned changes);
    void (*rest)(VFIOMsixModel *m);
};

/* Two places in memory for each vector; no CPU, no interrupt controller */
extern const VFIOMsixMachine vfio_msix_ram;

typedef enum VFIOMsixViolation {
    VFIO_MSIX_LOST,         /* owed to an unmasked vector, never delivered */
    VFIO_MSIX_WHILE_MASKED, /* delivered to a masked vector */
    VFIO_MSIX_SPURIOUS,     /* delivered without a raise or a resize */
    VFIO_MSIX_WRONG,        /* delivered with a message not the entry's */
    VFIO_MSIX_PBA,          /* its pending bit is not what the guest is owed */
    VFIO_MSIX_VIOLATIONS,
} VFIOMsixViolation;

/* One table entry, as the guest knows it, and what it is owed */
typedef struct VFIOMsixEntry {
    VFIOMsixMessage message;
    unsigned place;         /* where it goes */
    bool masked;
    bool must;              /* a delivery is owed */
    bool may;               /* raised when nothing was owed for it */
    bool replay;            /* the host's index went down, see above */
    bool live;              /* unmasked at some time since MSI-X enable */
    bool was_unmasked;      /* at the end of the last check */
    bool starved;           /* refused by the host, and not served since */
    bool vanished;          /* what is owed is in no PBA: the index was down */
    unsigned budget;        /* deliveries that raises still pay for */
    uint32_t fired, torn, lost; /* seen at the last check */
} VFIOMsixEntry;

/* Messages received at one place */
typedef struct VFIOMsixTaken {
    unsigned count;
    uint32_t data;
} VFIOMsixTaken;

/**
 * struct VFIOMsixModel - a guest; read only for its users
 * @qts: QEMU
 * @dev: the device, enabled as bus master
 * @bar: the BAR with table and PBA
 * @irqs: the host's and the device's side of the interrupts
 * @machine: where messages go
 * @opaque: the machine's
 * @places: number of places for the messages of one vector
 * @sequence: for the machine, to tell messages from each other
 * @n: size of the MSI-X table
 * @enabled: MSI-X enable bit
 * @fmask: MSI-X function mask bit
 * @entry: the MSI-X table
 * @violations: number of violations of each kind
 */
struct VFIOMsixModel {
    QTestState *qts;
    QPCIBus *bus;
    QPCIDevice *dev;
    QPCIBar bar;
    uint8_t cap;
    VFIOUserServer *server;
    VFIOUserIrqs *irqs;
    const VFIOMsixMachine *machine;
    void *opaque;
    unsigned places, moves;
    uint32_t sequence;
    int64_t patience_us;
    unsigned n;
    bool enabled, fmask;
    bool down;              /* enabled, but not on the host */
    VFIOMsixEntry *entry;
    VFIOUserVector *seen;
    GMutex firing;          /* held by a thread that raises, for each round */
    bool flushing;          /* asks that thread to stay out for a moment */
    GMutex taking;          /* of earlier, and of the machine's take() */
    VFIOMsixTaken *earlier; /* taken to make way for a raise */
    uint64_t live_disables, refused, refused_at_enable;
    uint64_t messages, step_messages;
    unsigned violations[VFIO_MSIX_VIOLATIONS];
};

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

/**
 * struct VFIOMsixRewrite - a message that changes while its entry is unmasked
 * @place: where the new one goes, other than before
 * @order: what is written: 'l' and 'h', halves of the address, and 'd', the
 *     data. What is left out must be the same in both messages.
 * @raise: the device raises the vector between the writes, once the first of
 *     them has made a difference
 * @message: the new one, NULL for what the machine chooses
 */
typedef struct VFIOMsixRewrite {
    unsigned place;
    const char *order;
    bool raise;
    const VFIOMsixMessage *message;
} VFIOMsixRewrite;

/* All parts of a message, or what differs; the usual order is the first */
#define VFIO_MSIX_ORDERS 9
extern const char *const vfio_msix_orders[VFIO_MSIX_ORDERS];

/**
 * vfio_msix_model_can_rewrite() - whether a rewrite has a certain result
 *
 * Return: false if a part would be left out that differs, or if it is up to
 * the host's load whether QEMU sees half of the message.
 */
bool vfio_msix_model_can_rewrite(VFIOMsixModel *m, unsigned v,
                                 const VFIOMsixRewrite *how);

/**
 * vfio_msix_model_rewrite_live() - give the entry @v a new message
 *
 * What is raised in between or afterwards must come with the new message: the
 * table has held no other complete one since.
 */
void vfio_msix_model_rewrite_live(VFIOMsixModel *m, unsigned v,
                                  const VFIOMsixRewrite *how);

/** vfio_msix_model_write_live() - the same, and check nothing */
void vfio_msix_model_write_live(VFIOMsixModel *m, unsigned v,
                                const VFIOMsixRewrite *how);

/**
 * vfio_msix_model_rest() - let some time pass
 * @m: the guest
 * @long_enough: until QEMU has nothing left to do about the table
 */
void vfio_msix_model_rest(VFIOMsixModel *m, bool long_enough);

/** vfio_msix_model_reset() - reset the machine and set the device up again */
void vfio_msix_model_reset(VFIOMsixModel *m);

/** vfio_msix_model_start_over() - set up @m->dev, which is as after a reset */
void vfio_msix_model_start_over(VFIOMsixModel *m);

void vfio_msix_model_fire(VFIOMsixModel *m, unsigned v);

/** vfio_msix_model_fire_live() - raise every @stride-th unmasked vector */
void vfio_msix_model_fire_live(VFIOMsixModel *m, unsigned stride);

/** vfio_msix_model_unmasked() - whether the device may send @v's message */
bool vfio_msix_model_unmasked(const VFIOMsixModel *m, unsigned v);

/** vfio_msix_model_write_entry() - write a register, and note nothing */
void vfio_msix_model_write_entry(VFIOMsixModel *m, unsigned v, unsigned reg,
                                 uint32_t value);

/** vfio_msix_model_write_mask() - write @v's mask bit, and check nothing */
void vfio_msix_model_write_mask(VFIOMsixModel *m, unsigned v, bool mask);

/**
 * vfio_msix_model_check() - wait until all that was raised has been handled,
 * then compare what was delivered with what must and what may have been.
 */
void vfio_msix_model_check(VFIOMsixModel *m);

/** vfio_msix_model_violation() - count and report one */
void vfio_msix_model_violation(VFIOMsixModel *m, unsigned v,
                               VFIOMsixViolation kind);

/** vfio_msix_model_pending() - the bit of @v that the guest reads in the PBA */
bool vfio_msix_model_pending(VFIOMsixModel *m, unsigned v);

/**
 * vfio_msix_model_check_pba() - after a check: read and compare the whole PBA
 *
 * What is owed to a masked vector is pending, whether it waits in QEMU or in
 * the device, and nothing else is.
 */
void vfio_msix_model_check_pba(VFIOMsixModel *m);

/** vfio_msix_model_forget() - what @v raised since a check is not owed */
void vfio_msix_model_forget(VFIOMsixModel *m, unsigned v);

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

/** vfio_msix_model_wait_raise() - wait until the device has raised @v again */
void vfio_msix_model_wait_raise(VFIOMsixModel *m, unsigned v);

/**
 * vfio_msix_model_collect() - how often @v was sent to one of its places
 *
 * For the same case. What is collected is not checked any more.
 */
unsigned vfio_msix_model_collect(VFIOMsixModel *m, unsigned v, unsigned place);

/** vfio_msix_model_stats() - the host's numbers for MSI-X */
VFIOUserIrqStats vfio_msix_model_stats(VFIOMsixModel *m);

/**
 * vfio_msix_start_qemu() - a pc machine with the device of @server in slot 4
 *
 * No firmware and no CPU runs in it. Guest memory is shared with the server.
 * Without a server there is no such device yet.
 */
QTestState *vfio_msix_start_qemu(VFIOUserServer *server, const char *policy,
                                 const char *binary_var);

/** vfio_msix_write_firmware() - a new file for -bios, return its name */
char *vfio_msix_write_firmware(const void *image);

/**
 * vfio_msix_device_arg() - the -device option's JSON for a PCI slot
 *
 * The device's id is "vfio" and the number of the slot.
 */
char *vfio_msix_device_arg(VFIOUserServer *server, unsigned slot,
                           const char *policy);

/* Guest memory that messages go to: two places for each vector */
#define VFIO_MSIX_MEMORY_BASE 0x1000000
#define VFIO_MSIX_MEMORY_SIZE (2 * VFIO_USER_MSIX_MAX * sizeof(uint32_t))
#define VFIO_MSIX_SLOT 4
#define VFIO_MSIX_FIRMWARE_SIZE 0x10000

/** vfio_msix_wait_drained() - wait until all that was raised has been read */
void vfio_msix_wait_drained(QTestState *qts, VFIOUserIrqs *irqs);

/** vfio_msix_flush_main_loop() - wait until QEMU is back from the handlers */
void vfio_msix_flush_main_loop(QTestState *qts);

/** vfio_msix_settle() - both of these */
void vfio_msix_settle(QTestState *qts, VFIOUserIrqs *irqs);

#endif
