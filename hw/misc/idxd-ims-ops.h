/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: between the table of operations and the data operations
 */

#ifndef HW_MISC_IDXD_IMS_OPS_H
#define HW_MISC_IDXD_IMS_OPS_H

#include "idxd-ims.h"

/*
 * A transfer with its operands; "left" in a chunk is the same for each.  It
 * @waits if a page was requested for the chunk.
 */
typedef struct IDXDTransfer {
    IDXDEngine *e;
    bool waits;
    IDXDRequester who;
    uint64_t src;
    uint64_t dst;
    uint32_t size;
    uint8_t buf[IDXD_DMA_PAGE];
    uint8_t buf2[IDXD_DMA_PAGE];
} IDXDTransfer;

static inline uint64_t idxd_field64(const IDXDTask *t, unsigned offset)
{
    return ldq_le_p(t->sub.desc + offset);
}

static inline uint32_t idxd_size(const IDXDTask *t)
{
    return ldl_le_p(t->sub.desc + IDXD_DESC_SIZE_FIELD);
}

/*
 * A chunk: @len is the most that is wanted on entry, and what was done on
 * return.  False: the outcome is set, the transfer waits, or the epoch changed.
 */
bool idxd_memmove(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                  uint32_t *len);
bool idxd_fill(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
               uint32_t *len);
bool idxd_compare(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                  uint32_t *len);
bool idxd_compare_pattern(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                          uint32_t *len);
bool idxd_dualcast(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                   uint32_t *len);
bool idxd_crc(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
              uint32_t *len);
bool idxd_copy_crc(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                   uint32_t *len);
bool idxd_cache_flush(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                      uint32_t *len);

/* After the last chunk */
void idxd_memmove_finish(IDXDTask *t);
void idxd_compare_finish(IDXDTask *t);
void idxd_crc_finish(IDXDTask *t);
bool idxd_readback(IDXDState *s, IDXDTask *t, IDXDTransfer *x);

#endif /* HW_MISC_IDXD_IMS_OPS_H */
