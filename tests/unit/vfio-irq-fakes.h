/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What surrounds hw/vfio/irq-delivery.c, as fakes
 *
 *   device  raises interrupts: into the eventfd that it was armed with, else
 *           into its own pending bits
 *   KVM     a table of routes, of which those of the last commit count, and
 *           irqfds.  One without a route swallows events, as in Linux
 *   core    MSI-X table, masks and pending bits of hw/pci/msix.c
 *   loop    fd handlers, and QEMU's timers on a clock that stands still
 *
 * Each vector has an account of what the guest is owed, after the rules in
 * docs/devel/vfio-irq-vectors.rst.  A fake that is used in a way that the real
 * one does not allow fails the test.
 */

#ifndef TESTS_VFIO_IRQ_FAKES_H
#define TESTS_VFIO_IRQ_FAKES_H

#include "hw/vfio/pci.h"

/* More than one dword of the PBA, and not a multiple */
#define FAKE_VECTORS 40
#define FAKE_MAX_FD 1024

/**
 * struct FakeVector - one vector
 * @msg: its message, which tells the vector and how often it was rewritten
 * @masked: mask bit of the table entry
 * @held: the core holds the entry while its message is rewritten
 * @pending: QEMU's pending bit
 * @users: msix_vector_use() less msix_vector_unuse()
 * @untranslatable: the vIOMMU has no entry for the message
 * @armed: eventfd that the host signals, or -1
 * @device_pending: pending bit of the device
 * @owed: raised, and not delivered after that
 * @raised: how many deliveries there may be
 * @unserved: was not armed when it was unmasked
 * @by_qemu: messages sent by QEMU
 * @by_kvm: messages injected by KVM
 */
typedef struct FakeVector {
    MSIMessage msg;
    bool masked;
    bool held;
    bool pending;
    unsigned int users;
    bool untranslatable;

    int armed;
    bool device_pending;

    bool owed;
    unsigned int raised;
    bool unserved;
    unsigned int by_qemu;
    unsigned int by_kvm;
} FakeVector;

typedef enum FakeCall {
    FAKE_EVENTFD,
    FAKE_ADD_ROUTE,
    FAKE_UPDATE_ROUTE,
    FAKE_ASSIGN,
    FAKE_ARM,
    FAKE_CALLS,
} FakeCall;

/**
 * struct Fake - everything
 * @is_msix: the index in use is MSI-X, else MSI
 * @enabled: the guest has it enabled
 * @fmask: function mask
 * @route_limit: how many routes there can be
 * @fail_nth: fail the n-th of all calls that can fail, counted from now
 * @fail_call: fail each call of this kind
 * @raise_at_assign: raise the vector just before KVM polls its eventfd
 * @on_send: called for each message that QEMU sends, in the middle of it
 * @cpr_fd: eventfds that another QEMU has left, -1 for none
 */
typedef struct Fake {
    bool is_msix, enabled, fmask;
    unsigned int route_limit;
    unsigned int fail_nth;
    FakeCall fail_call;
    bool raise_at_assign;
    void (*on_send)(unsigned int nr);
    int cpr_fd[FAKE_VECTORS];

    FakeVector vector[FAKE_VECTORS];

    bool pba_shown;
    unsigned int pba_changes;

    /* how many there are */
    unsigned int routes, irqfds, eventfds;
    /* how many there have been: calls of the kernel, except SET_IRQS */
    unsigned int commits, assigns, deassigns;
    unsigned int arms, disarms;

    /* violations of the guarantee */
    unsigned int lost, swallowed, while_masked, spurious, wrong;
} Fake;

extern Fake fake;
extern VFIOPCIDevice *fake_vdev;

/** fake_init() - once, before all other functions */
void fake_init(void);

/** fake_reset() - all masked and disabled, nothing fails, nothing counted */
void fake_reset(bool is_msix);

/** fake_delivery() - the delivery of fake_vdev */
VFIOIRQDelivery *fake_delivery(void);

/* The guest */
void fake_enable(unsigned int n);
void fake_disable(void);
void fake_mask(unsigned int nr);
void fake_unmask(unsigned int nr);
void fake_function_mask(bool fmask);
/** fake_rewrite() - a new message, with the core's hold if it is not masked */
void fake_rewrite(unsigned int nr);
/** fake_guest_masked() - whether the device may not send @nr's message */
bool fake_guest_masked(unsigned int nr);
/** fake_read_pba() - what the guest reads in the PBA, wherever it is */
uint64_t fake_read_pba(void);
bool fake_shows_pending(unsigned int nr);

/* The device */
void fake_raise(unsigned int nr);

/** fake_remap() - the guest changed the vIOMMU's table, as @untranslatable */
void fake_remap(void);

/* QEMU's main loop */
/** fake_run_handlers() - call fd handlers until there is nothing to read */
void fake_run_handlers(void);
/** fake_advance() - let @ms pass, with timers, but no fd handlers */
void fake_advance(unsigned int ms);
/** fake_settle() - time for all that can have an irqfd to get it */
void fake_settle(void);

/** fake_stop_vm() - run the handlers of the VM's state, not the main loop */
void fake_stop_vm(void);

/** fake_listener() - who listens: "userspace", "irqfd", "none" */
const char *fake_listener(unsigned int nr);

/**
 * fake_check() - after fake_run_handlers(): what must be there is there
 *
 * What has been raised several times may come several times, until then.
 */
void fake_check(void);

/** fake_assert_clean() - no violation so far */
void fake_assert_clean(void);

/* Between the fakes */
MSIMessage fake_message(unsigned int nr, unsigned int generation);
unsigned int fake_message_vector(MSIMessage msg);
/** fake_deliver() - the guest gets @msg: settle the account of the vector */
void fake_deliver(MSIMessage msg, bool by_kvm);
/** fake_fails() - whether this call has to fail */
bool fake_fails(FakeCall call);
bool fake_is_readable(int fd);
bool fake_loop_listens(int fd);
void fake_kvm_init(void);
/* fake_no_irqchip: until the next fake_reset() the accelerator has none */
void fake_no_irqchip(void);
bool fake_kvm_listens(int fd);
/** fake_kvm_wake() - @fd was signalled */
void fake_kvm_wake(int fd);

#endif
