/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest driver that rewrites messages of MSI-X entries that are unmasked.
 */

#include "qemu/osdep.h"
#include <linux/vfio.h>
#include "hw/pci/pci_regs.h"
#include "vfio-msix-model.h"

#define INDEX VFIO_PCI_MSIX_IRQ_INDEX

const char *const vfio_msix_orders[VFIO_MSIX_ORDERS] = {
    "lhd", "ldh", "hld", "hdl", "dlh", "dhl", "lh", "l", "d",
};

static unsigned message_register(char part)
{
    return part == 'l' ? PCI_MSIX_ENTRY_LOWER_ADDR :
           part == 'h' ? PCI_MSIX_ENTRY_UPPER_ADDR : PCI_MSIX_ENTRY_DATA;
}

static uint32_t message_dword(VFIOMsixMessage msg, char part)
{
    return part == 'd' ? msg.data : msg.address >> (part == 'h' ? 32 : 0);
}

static bool differs(VFIOMsixMessage a, VFIOMsixMessage b, char part)
{
    return message_dword(a, part) != message_dword(b, part);
}

static VFIOMsixMessage new_message(VFIOMsixModel *m, unsigned v,
                                   const VFIOMsixRewrite *how)
{
    return how->message ? *how->message : m->machine->message(m, v, how->place);
}

bool vfio_msix_model_can_rewrite(VFIOMsixModel *m, unsigned v,
                                 const VFIOMsixRewrite *how)
{
    VFIOMsixMessage old = m->entry[v].message, new = new_message(m, v, how);
    unsigned changes = 0;

    for (const char *part = "lhd"; *part; part++) {
        if (differs(old, new, *part)) {
            changes++;
            if (!strchr(how->order, *part)) {
                return false;
            }
        }
    }
    return !m->machine->may_tear ||
           !m->machine->may_tear(m, how->order, changes);
}

void vfio_msix_model_write_live(VFIOMsixModel *m, unsigned v,
                                const VFIOMsixRewrite *how)
{
    VFIOMsixEntry *e = &m->entry[v];
    VFIOMsixMessage old = e->message;
    bool changed = false;

    g_assert_true(vfio_msix_model_can_rewrite(m, v, how));
    e->place = how->place;
    e->message = new_message(m, v, how);
    for (const char *part = how->order; *part; part++) {
        vfio_msix_model_write_entry(m, v, message_register(*part),
                                    message_dword(e->message, *part));
        changed |= differs(old, e->message, *part);
        if (how->raise && changed && part[1]) {
            vfio_user_irqs_fire(m->irqs, INDEX, v);
        }
    }
}

void vfio_msix_model_rewrite_live(VFIOMsixModel *m, unsigned v,
                                  const VFIOMsixRewrite *how)
{
    vfio_msix_model_write_live(m, v, how);
    vfio_msix_model_rest(m, false);
}

void vfio_msix_model_rest(VFIOMsixModel *m, bool long_enough)
{
    m->machine->release(m);
    if (long_enough && m->machine->rest) {
        m->machine->rest(m);
    }
    vfio_msix_model_check(m);
}
