/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An intel-iommu with tables for an idxd-ims, for the tests behind one
 *
 * Each address space maps the same addresses to memory of its own, so that an
 * access in the wrong one is seen; neighbours in an address space are no
 * neighbours in memory.
 */
#ifndef TESTS_IDXD_IMS_VTD_H
#define TESTS_IDXD_IMS_VTD_H

#include "idxd-ims-vm.h"

#define VTD_LEGACY      "intel-iommu,device-iotlb=on"
#define VTD_SCALABLE    "intel-iommu,scalable-mode=on,fsts=on," \
                        "pasid-bits=8"
/* With page requests, and the queues for them and their responses */
#define VTD_SVM         VTD_SCALABLE ",device-iotlb=on,svm=on"

#define PAGE        0x1000

/* Addresses that the device uses; what is not listed is not mapped */
#define RECORD      0x40000000ull
#define SRC         0x40010000ull       /* two pages */
#define DST         0x40020000ull       /* two pages */
#define READ_ONLY   0x40030000ull
#define LIST        0x40040000ull
#define EVENTS      0x40050000ull
#define HOLE        0x40060000ull
#define WRITE_ONLY  0x40070000ull       /* not in scalable mode */

enum { NO_PASID, SPACE_A, SPACE_B, NR_SPACES };

/*
 * In different pages of the directory.  One has no entry; the last one has that
 * of space A, and more bits than the IOMMU supports.
 */
#define PASID_A         0x54
#define PASID_B         0x9a
#define PASID_ABSENT    0x55
#define PASID_LARGE     0x154
extern const uint32_t vtd_pasids[NR_SPACES];

/**
 * Vtd - the IOMMU of a machine
 * @vm: that machine; migration replaces it
 * @tables: root of the page tables of each address space
 * @directory: of PASIDs, in scalable mode
 * @invalidations, @requests: the two queues in memory, with page requests only
 */
typedef struct Vtd {
    IdxdVM *vm;
    bool scalable;
    bool svm;
    uint64_t tables[NR_SPACES];
    uint64_t directory;
    uint64_t invalidations;
    uint64_t requests;
} Vtd;

/**
 * VtdRequest - a page request that the IOMMU put into its queue
 * @addr: of the page
 */
typedef struct VtdRequest {
    uint16_t rid;
    uint32_t pasid;
    uint16_t group;
    bool read, write, last;
    uint64_t addr;
} VtdRequest;

/* Response codes (VT-d, page group response descriptor) */
#define VTD_RESPONSE_SUCCESS    0x0
#define VTD_RESPONSE_INVALID    0x1
#define VTD_RESPONSE_FAILURE    0xf

/*
 * vtd_start: a machine with one of the IOMMUs above, tables filled and
 * translation on, MSI-X on in the device. False: skipped, without that device
 */
bool vtd_start(Vtd *m, const char *iommu, const char *opts);
/* vtd_start_port: VTD_SVM, and the device in the slot of a root port */
bool vtd_start_port(Vtd *m, const char *opts);
/* vtd_place: where an address of the device is in memory */
uint64_t vtd_place(Vtd *m, unsigned space, uint64_t iova);
/* vtd_map, vtd_unmap: the page of @iova, at its place; with invalidation */
void vtd_map(Vtd *m, unsigned space, uint64_t iova, bool writable);
void vtd_unmap(Vtd *m, unsigned space, uint64_t iova);
/* vtd_alias: map the page of @iova to the place of another page */
void vtd_alias(Vtd *m, unsigned space, uint64_t iova, uint64_t other);
/*
 * vtd_break_pasid: give the entry an unsupported number of levels, and disable
 * fault processing in the directory
 */
void vtd_break_pasid(Vtd *m, unsigned space);
/* vtd_pasid_slot: where a PASID's entry is in its table */
unsigned vtd_pasid_slot(uint32_t pasid);
/* vtd_move_pasid_table: the table with this PASID's entry, to another page */
void vtd_move_pasid_table(Vtd *m, uint32_t pasid, uint64_t addr);
/* vtd_write: a register, 8 bytes at once; vtd_read */
void vtd_write(Vtd *m, unsigned reg, uint64_t val);
uint64_t vtd_read(Vtd *m, unsigned reg);
/* vtd_fill, vtd_check: a page of memory, byte by byte */
void vtd_fill(Vtd *m, unsigned space, uint64_t iova, uint8_t val);
void vtd_check(Vtd *m, unsigned space, uint64_t iova, uint8_t val);
/* vtd_enable_ats: as the IOMMU driver does; asserts that it sticks */
void vtd_enable_ats(IdxdVM *vm);
/* vtd_enable_pri: the same for page requests, and so many under way */
void vtd_enable_pri(IdxdVM *vm, uint32_t requests);
/* vtd_has_request: is there one in the queue? vtd_take_request waits for it */
bool vtd_has_request(Vtd *m);
void vtd_take_request(Vtd *m, VtdRequest *req);
void vtd_respond(Vtd *m, const VtdRequest *req, unsigned code);
/* vtd_fault_recorded: has the IOMMU recorded a DMA fault? */
bool vtd_fault_recorded(Vtd *m);

#endif
