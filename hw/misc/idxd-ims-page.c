/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: page requests (341204-006, 3.13; PCIe 5.0, 10.4)
 *
 * A descriptor with Block on Fault whose operand has no translation makes its
 * engine ask software for the page, through the IOMMU, and wait.  With the
 * response the engine accesses the page again, and may ask again.
 *
 * An engine has one request under way, in a group of its own.  Requests do not
 * migrate: the destination accesses the page again, and asks for it if it is
 * still missing.  A response that nobody waits for any more is ignored.
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_bus.h"
#include "idxd-ims.h"
#include "trace.h"

/* A page that is granted so often, and is not there, never will be (5.8.1) */
#define IDXD_PAGE_TRIES         100

static uint8_t *idxd_pri_status(IDXDState *s)
{
    PCIDevice *pdev = &s->parent_obj;

    return pdev->config + pdev->exp.pri_cap + PCI_PRI_STATUS;
}

static uint32_t idxd_page_requests(IDXDState *s)
{
    uint32_t i, n = 0;

    for (i = 0; i < s->cfg.engines; i++) {
        n += s->engines[i].page == IDXD_PAGE_REQUESTED;
    }
    return n;
}

static IDXDEngine *idxd_page_find(IDXDState *s, uint16_t prgi)
{
    uint32_t i;

    for (i = 0; i < s->cfg.engines; i++) {
        IDXDEngine *e = &s->engines[i];

        if (e->page == IDXD_PAGE_REQUESTED && e->prgi == prgi) {
            return e;
        }
    }
    return NULL;
}

/* The IOMMU has one notifier for each PASID, for as long as it is needed. */
static void idxd_page_end(IDXDState *s, IDXDEngine *e, IDXDPage page)
{
    uint32_t i;

    e->page = page;
    for (i = 0; i < s->cfg.engines; i++) {
        const IDXDEngine *other = &s->engines[i];

        if (other->page == IDXD_PAGE_REQUESTED &&
            other->page_pasid == e->page_pasid) {
            return;
        }
    }
    pci_pri_unregister_notifier(&s->parent_obj, e->page_pasid);
}

/* The engine has the page, or does not want it any more */
void idxd_page_forget(IDXDState *s, IDXDEngine *e)
{
    if (e->page == IDXD_PAGE_REQUESTED) {
        idxd_page_end(s, e, IDXD_PAGE_NONE);
    }
    e->page = IDXD_PAGE_NONE;
    e->page_tries = 0;
}

/* After a Response Failure no request is answered (PCIe 5.0, 10.5.2.3) */
static void idxd_page_fail(IDXDState *s)
{
    uint32_t i;

    pci_word_test_and_set_mask(idxd_pri_status(s), PCI_PRI_STATUS_RF);
    for (i = 0; i < s->cfg.engines; i++) {
        if (s->engines[i].page == IDXD_PAGE_REQUESTED) {
            idxd_page_end(s, &s->engines[i], IDXD_PAGE_REFUSED);
        }
    }
}

static void idxd_page_response(IOMMUPRINotifier *notifier,
                               IOMMUPRIResponse *response)
{
    IDXDState *s = container_of(notifier, IDXDState, page_notifier);
    IDXDEngine *e = idxd_page_find(s, response->prgi);

    trace_idxd_ims_page_response(s->parent_obj.name, response->prgi,
                                 response->response_code, e != NULL);
    if (!e) {
        return;
    }
    switch (response->response_code) {
    case IOMMU_PRI_RESP_SUCCESS:
        idxd_page_end(s, e, IDXD_PAGE_NONE);
        break;
    case IOMMU_PRI_RESP_INVALID_REQUEST:
        idxd_page_end(s, e, IDXD_PAGE_REFUSED);
        break;
    default:
        idxd_page_fail(s);
        break;
    }
    idxd_work_kick(s);
}

void idxd_page_init(IDXDState *s)
{
    s->page_notifier.notify = idxd_page_response;
}

/* Nobody waits any more: the device goes, or its state is replaced */
void idxd_page_exit(IDXDState *s)
{
    uint32_t i;

    for (i = 0; i < s->cfg.engines; i++) {
        idxd_page_forget(s, &s->engines[i]);
    }
}

/* A group that no request is in: late responses are to those used before */
static uint16_t idxd_page_new_group(IDXDState *s)
{
    do {
        s->prgi = (s->prgi + 1) & PCI_PRI_PRGI_MASK;
    } while (idxd_page_find(s, s->prgi));
    return s->prgi;
}

/* A Response Failure, which software has not cleared yet */
bool idxd_page_failed(IDXDState *s)
{
    return s->cfg.pri &&
           (pci_get_word(idxd_pri_status(s)) & PCI_PRI_STATUS_RF);
}

static bool idxd_page_possible(IDXDState *s)
{
    return pcie_pri_get_req_alloc(&s->parent_obj) && !idxd_page_failed(s);
}

static bool idxd_page_send(IDXDState *s, IDXDEngine *e,
                           const IDXDRequester *who, uint64_t addr, bool write)
{
    PCIDevice *pdev = &s->parent_obj;

    e->page = IDXD_PAGE_REQUESTED;
    e->page_addr = addr;
    e->page_tries++;
    e->page_pasid = who->pasid_en ? who->pasid : PCI_NO_PASID;
    return pci_pri_register_notifier(pdev, e->page_pasid,
                                     &s->page_notifier) == 0 &&
           pci_pri_request_page(pdev, e->page_pasid, who->priv, false, addr,
                                true, e->prgi, !write, write) == 0;
}

/*
 * Ask for the page of @addr.  False: there is no hope for it.  The request goes
 * to memory; so the epoch may have changed, and the response may be there.
 */
bool idxd_page_request(IDXDState *s, IDXDEngine *e, const IDXDRequester *who,
                       uint64_t addr, bool write)
{
    uint64_t epoch = s->epoch;
    bool sent;

    addr &= ~(IDXD_DMA_PAGE - 1ull);
    if (e->page_addr != addr) {
        e->page_tries = 0;
    }
    if ((e->page == IDXD_PAGE_REFUSED && e->page_addr == addr) ||
        e->page_tries == IDXD_PAGE_TRIES || !idxd_page_possible(s)) {
        return false;
    }
    if (idxd_page_requests(s) >= pcie_pri_get_req_alloc(&s->parent_obj)) {
        e->page = IDXD_PAGE_WANTED;
        return true;
    }
    e->prgi = idxd_page_new_group(s);
    trace_idxd_ims_page_request(s->parent_obj.name, e->prgi,
                                who->pasid_en ? who->pasid : PCI_NO_PASID,
                                addr, write);
    sent = idxd_page_send(s, e, who, addr, write);
    if (!sent) {
        idxd_page_forget(s, e);
    }
    return sent || s->epoch != epoch;
}
