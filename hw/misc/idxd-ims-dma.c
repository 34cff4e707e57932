/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: memory accesses
 *
 * With ATS on, the device asks the IOMMU for each page, with the PASID of the
 * requester if it has one, and a missing translation is a page fault that the
 * completion record describes.  With ATS off, requests are untranslated: the
 * IOMMU of the bus translates them on the way, and what it rejects is an error
 * on the bus (341204-006, 3.13.3 and table 5-6).
 *
 * QEMU has no untranslated request with PASID.  Where an IOMMU translates for
 * this device, such a request therefore fails instead of reaching the address
 * space of the requests without PASID.  Where none does, a PASID changes
 * nothing: the address is a physical one.
 *
 * An IOMMU need not answer devices that ask it.  That of x-remote does not: the
 * guest, which switches ATS on, and its IOMMU are at the other end of
 * vfio-user.  Requests are then as with ATS off.
 */

#include "qemu/osdep.h"
#include "hw/pci/pci_bus.h"
#include "idxd-ims.h"
#include "trace.h"

/* Does anything between the device and memory translate addresses? */
static bool idxd_dma_translated(IDXDState *s)
{
    return pci_device_iommu_address_space(&s->parent_obj) !=
           &address_space_memory;
}

IDXDRequester idxd_requester(IDXDState *s, unsigned wq,
                             const IDXDSubmission *sub)
{
    return (IDXDRequester) {
        .pasid_en = sub->pasid_en,
        .pasid = sub->pasid,
        .priv = sub->priv,
        .ats = pcie_ats_enabled(&s->parent_obj) &&
               !IDXD_WQ_FIELD(s, wq, WQ_MODE, ATS_DISABLE),
    };
}

static IDXDDMAResult idxd_dma_untranslated(const IDXDRequester *who)
{
    return who->pasid_en ? IDXD_DMA_ERROR : IDXD_DMA_OK;
}

static IDXDDMAResult idxd_dma_translate(IDXDState *s, const IDXDRequester *who,
                                        uint64_t *addr, bool write,
                                        AddressSpace **as)
{
    uint32_t pasid = who->pasid_en ? who->pasid : PCI_NO_PASID;
    IOMMUAccessFlags need = write ? IOMMU_WO : IOMMU_RO;
    uint32_t errors = 0;
    IOMMUTLBEntry iotlb;
    uint64_t epoch = s->epoch;
    ssize_t n;

    n = pci_ats_request_translation(&s->parent_obj, pasid, who->priv, false,
                                    *addr & ~(IDXD_DMA_PAGE - 1ull), 1, !write,
                                    &iotlb, 1, &errors);
    if (s->epoch != epoch) {
        return IDXD_DMA_GONE;
    }
    if (n == -ENODEV) {
        return idxd_dma_untranslated(who);
    }
    if (n < 1 || (iotlb.perm & need) != need) {
        return IDXD_DMA_FAULT;
    }
    *addr = (iotlb.translated_addr & ~iotlb.addr_mask) |
            (*addr & iotlb.addr_mask);
    *as = iotlb.target_as;
    return IDXD_DMA_OK;
}

/* The address space, and the address in it, that a request goes to */
static IDXDDMAResult idxd_dma_route(IDXDState *s, const IDXDRequester *who,
                                    uint64_t *addr, bool write,
                                    AddressSpace **as)
{
    *as = pci_get_address_space(&s->parent_obj);
    if (!idxd_bus_master(s)) {
        return IDXD_DMA_ERROR;
    }
    if (!idxd_dma_translated(s)) {
        return IDXD_DMA_OK;
    }
    if (who->ats) {
        return idxd_dma_translate(s, who, addr, write, as);
    }
    return idxd_dma_untranslated(who);
}

IDXDDMAResult idxd_dma(IDXDState *s, const IDXDRequester *who, uint64_t addr,
                       void *buf, uint32_t len, bool write)
{
    uint64_t epoch = s->epoch;
    uint64_t target = addr;
    AddressSpace *as;
    IDXDDMAResult ret;

    ret = idxd_dma_route(s, who, &target, write, &as);
    if (ret == IDXD_DMA_OK &&
        dma_memory_rw(as, target, buf, len,
                      write ? DMA_DIRECTION_FROM_DEVICE
                            : DMA_DIRECTION_TO_DEVICE,
                      MEMTXATTRS_UNSPECIFIED) != MEMTX_OK) {
        ret = IDXD_DMA_ERROR;
    }
    if (s->epoch != epoch) {
        return IDXD_DMA_GONE;
    }
    if (ret != IDXD_DMA_OK) {
        trace_idxd_ims_dma_error(s->parent_obj.name, addr, len, write, ret);
    }
    return ret;
}

bool idxd_dma_writable(IDXDState *s, const IDXDRequester *who, uint64_t addr,
                       uint32_t len)
{
    AddressSpace *as;

    return idxd_dma_route(s, who, &addr, true, &as) == IDXD_DMA_OK &&
           address_space_access_valid(as, addr, len, true,
                                      MEMTXATTRS_UNSPECIFIED);
}
