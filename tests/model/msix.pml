/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QEMU's MSI-X core (hw/pci/msix.c): the table that the guest sees
 */

typedef TableEntry {
    byte message;
    bool masked = true;
    bool pending
}
TableEntry table[N];
bool function_masked;

/* Taken by a vCPU for an access to the table and by the main loop for a handler */
bool bql;

#define is_masked(v) (table[v].masked || function_masked)

/* A kernel call, KVM_SIGNAL_MSI: the message is read from the table */
inline msix_notify(v)
{
    deliver(v, table[v].message)
}

inline msix_deliver_pending(v)
{
    d_step {
        if
        :: table[v].pending ->
            table[v].pending = false;
            msix_notify(v)
        :: else
        fi
    }
}
