/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest driver that rewrites messages of MSI-X entries that are unmasked.
 */

#include "qemu/osdep.h"
#include <linux/vfio.h>
#include "hw/pci/pci_regs.h"
#include "vfio-msix-model.h"

#define INDEX VFIO_PCI_MSIX_IRQ_INDEX

/*
 * For so long, at least, QEMU holds a message back that seems to be incomplete:
 * 10 ms, of which its clock's resolution takes one. Where that time passes by
 * itself, a guest may have been too slow.
 */
#define HOLD_US 8000

static unsigned message_register(char part)
{
    return part == 'l' ? PCI_MSIX_ENTRY_LOWER_ADDR :
           part == 'h' ? PCI_MSIX_ENTRY_UPPER_ADDR : PCI_MSIX_ENTRY_DATA;
}

static uint32_t message_dword(VFIOMsixMessage msg, char part)
{
    return part == 'd' ? msg.data : msg.address >> (part == 'h' ? 32 : 0);
}

bool vfio_msix_model_write_live(VFIOMsixModel *m, unsigned v,
                                const VFIOMsixRewrite *how)
{
    VFIOMsixEntry *e = &m->entry[v];
    VFIOMsixMessage old = e->message;
    int64_t begin = g_get_monotonic_time();
    bool changed = false;

    e->place = how->place;
    e->message = m->machine->message(m, v, e->place);
    for (const char *part = how->order; *part; part++) {
        uint32_t value = message_dword(e->message, *part);

        vfio_msix_model_write_entry(m, v, message_register(*part), value);
        changed |= value != message_dword(old, *part);
        if (how->raise && changed && part[1]) {
            vfio_user_irqs_fire(m->irqs, INDEX, v);
        }
    }
    for (const char *part = "lhd"; *part; part++) {
        /* what is not written stays as it was: the caller had to choose so */
        g_assert_true(strchr(how->order, *part) ||
                      message_dword(e->message, *part) ==
                      message_dword(old, *part));
    }
    return m->machine->stands_still || g_get_monotonic_time() - begin < HOLD_US;
}

/* What it raised may have come with half of the message, or comes later */
static void excuse_slow_guest(VFIOMsixModel *m, unsigned v)
{
    m->slow_rewrites++;
    m->machine->flush(m);
    for (unsigned place = 0; place < m->places; place++) {
        vfio_msix_model_collect(m, v, place);
    }
    vfio_msix_model_forget(m, v);
    m->entry[v].may = true;
}

void vfio_msix_model_rewrite_live(VFIOMsixModel *m, unsigned v,
                                  const VFIOMsixRewrite *how)
{
    if (!vfio_msix_model_write_live(m, v, how)) {
        excuse_slow_guest(m, v);
    }
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
