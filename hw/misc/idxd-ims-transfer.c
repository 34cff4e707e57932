/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: the data operations, a chunk at a time (341204-006, 8.3)
 *
 * A chunk does not cross a page of any operand.  It is done as a whole or, if
 * an access fails, not counted as done.
 */

#include "qemu/osdep.h"
#include "qemu/crc32c.h"
#include "qemu/host-utils.h"
#include "idxd-ims-ops.h"

/* The engine has asked for the page, and comes back when it is answered */
static bool idxd_waits(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                       uint64_t addr, bool write)
{
    x->waits = (idxd_flags(&t->sub) & IDXD_FLAG_BOF) &&
               idxd_page_request(s, x->e, &x->who, addr, write);
    return x->waits;
}

static uint8_t idxd_access_status(IDXDState *s, const IDXDTask *t,
                                  IDXDDMAResult ret, bool write)
{
    if (ret != IDXD_DMA_FAULT) {
        return write ? IDXD_ST_WRITE_ERROR : IDXD_ST_READ_ERROR;
    }
    if (!(idxd_flags(&t->sub) & IDXD_FLAG_BOF)) {
        return IDXD_ST_PAGE_FAULT;
    }
    return idxd_page_failed(s) ? IDXD_ST_TRANSLATION : IDXD_ST_PAGE_RESPONSE;
}

/*
 * Access the chunk of an operand.  What was handled before is reported with
 * the failure, and stays handled: a chunk does not cross a page.  With Block on
 * Fault, a chunk whose page is missing is done again when the page is there.
 */
static bool idxd_access(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                        uint64_t addr, void *buf, uint32_t len, bool write)
{
    IDXDDMAResult ret = idxd_dma(s, &x->who, addr, buf, len, write);

    if (ret == IDXD_DMA_OK) {
        return true;
    }
    if (ret == IDXD_DMA_GONE ||
        (ret == IDXD_DMA_FAULT && idxd_waits(s, t, x, addr, write))) {
        return false;
    }
    idxd_task_end(t, idxd_access_status(s, t, ret, write));
    /* Of errors, only page faults tell */
    t->outcome.write = write && (t->outcome.status == IDXD_ST_PAGE_FAULT ||
                                 t->outcome.status == IDXD_ST_PAGE_RESPONSE);
    t->outcome.fault_addr = addr;
    t->outcome.completed = t->done;
    return false;
}

static void idxd_limit(uint32_t *len, uint64_t addr)
{
    *len = MIN(*len, idxd_page_left(addr));
}

/*
 * 8.3.4: as if the source were copied to a temporary buffer first.  From the
 * end if the destination begins inside the source.
 */
static bool idxd_move_is_reversed(const IDXDTransfer *x)
{
    return x->dst != x->src && x->dst - x->src < x->size;
}

bool idxd_memmove(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                  uint32_t *len)
{
    uint64_t offset = t->done;

    if (idxd_move_is_reversed(x)) {
        uint64_t src_end = x->src + x->size - t->done;
        uint64_t dst_end = x->dst + x->size - t->done;

        /* The pages that the last byte of either operand is in */
        *len = MIN(*len, ((src_end - 1) & (IDXD_DMA_PAGE - 1)) + 1);
        *len = MIN(*len, ((dst_end - 1) & (IDXD_DMA_PAGE - 1)) + 1);
        offset = x->size - t->done - *len;
        t->outcome.result = 1;
    } else {
        idxd_limit(len, x->src + offset);
        idxd_limit(len, x->dst + offset);
    }
    return idxd_access(s, t, x, x->src + offset, x->buf, *len, false) &&
           idxd_access(s, t, x, x->dst + offset, x->buf, *len, true);
}

/* Result says the direction only if the move stopped half-way */
void idxd_memmove_finish(IDXDTask *t)
{
    t->outcome.result = 0;
}

/* Repeat the 8 bytes of the descriptor's pattern from byte @done on */
static void idxd_pattern(const IDXDTask *t, unsigned at, uint8_t *buf,
                         uint32_t len)
{
    uint32_t i;

    for (i = 0; i < len; i++) {
        buf[i] = t->sub.desc[at + (t->done + i) % 8];
    }
}

bool idxd_fill(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
               uint32_t *len)
{
    idxd_limit(len, x->dst + t->done);
    idxd_pattern(t, IDXD_DESC_SRC, x->buf, *len);
    return idxd_access(s, t, x, x->dst + t->done, x->buf, *len, true);
}

/* 8.3.6: Result 1 and the offset of the first difference */
static bool idxd_buffers_equal(IDXDTask *t, const IDXDTransfer *x,
                               uint32_t len)
{
    uint32_t i;

    for (i = 0; i < len && x->buf[i] == x->buf2[i]; i++) {
        /* look on */
    }
    if (i == len) {
        return true;
    }
    t->outcome.result = 1;
    t->outcome.completed = t->done + i;
    return false;
}

/* Table 8-17 */
void idxd_compare_finish(IDXDTask *t)
{
    bool expected = t->sub.desc[IDXD_DESC_OP] & 1;

    if ((idxd_flags(&t->sub) & IDXD_FLAG_CHECK_RESULT) &&
        t->outcome.result != expected) {
        idxd_task_end(t, IDXD_ST_FALSE_PREDICATE);
    }
}

static bool idxd_compare_chunk(IDXDTask *t, const IDXDTransfer *x,
                               uint32_t len)
{
    if (idxd_buffers_equal(t, x, len)) {
        return true;
    }
    idxd_task_end(t, IDXD_ST_SUCCESS);
    idxd_compare_finish(t);
    return false;
}

bool idxd_compare(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                  uint32_t *len)
{
    idxd_limit(len, x->src + t->done);
    idxd_limit(len, x->dst + t->done);
    return idxd_access(s, t, x, x->src + t->done, x->buf, *len, false) &&
           idxd_access(s, t, x, x->dst + t->done, x->buf2, *len, false) &&
           idxd_compare_chunk(t, x, *len);
}

bool idxd_compare_pattern(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                          uint32_t *len)
{
    idxd_limit(len, x->src + t->done);
    idxd_pattern(t, IDXD_DESC_DST, x->buf2, *len);
    return idxd_access(s, t, x, x->src + t->done, x->buf, *len, false) &&
           idxd_compare_chunk(t, x, *len);
}

/*
 * 8.3.10: if it stops, both destinations have the same number of bytes.  Their
 * offsets in the page are equal, so one limit serves both.
 */
bool idxd_dualcast(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                   uint32_t *len)
{
    uint64_t dst2 = idxd_field64(t, IDXD_DESC_OP);

    idxd_limit(len, x->src + t->done);
    idxd_limit(len, x->dst + t->done);
    return idxd_access(s, t, x, x->src + t->done, x->buf, *len, false) &&
           idxd_access(s, t, x, x->dst + t->done, x->buf, *len, true) &&
           idxd_access(s, t, x, dst2 + t->done, x->buf, *len, true);
}

/*
 * 8.3.12 and appendix A: CRC-32C.  The seed and the result are inverted, so
 * that the result of one descriptor is the seed of the next; "raw" leaves that
 * out and has the bits in the other order.  Nothing is appended to data whose
 * size is no multiple of 4: it could not be continued after a page fault.
 */
static uint32_t idxd_crc_convert(const IDXDTask *t, uint32_t crc)
{
    return idxd_flags(&t->sub) & IDXD_FLAG_CRC_RAW ? revbit32(crc) : ~crc;
}

static void idxd_crc_update(IDXDTask *t, uint8_t *buf, uint32_t len)
{
    uint32_t i;

    if (idxd_flags(&t->sub) & IDXD_FLAG_CRC_MSB) {
        for (i = 0; i < len; i++) {
            buf[i] = revbit8(buf[i]);
        }
    }
    /* QEMU's function inverts its result, but not what it starts from */
    t->value = ~crc32c(t->value, buf, len);
}

static bool idxd_crc_start(IDXDState *s, IDXDTask *t, IDXDTransfer *x)
{
    uint8_t seed[4];

    memcpy(seed, t->sub.desc + IDXD_DESC_OP, sizeof(seed));
    if ((idxd_flags(&t->sub) & IDXD_FLAG_CRC_SEED) &&
        !idxd_access(s, t, x, idxd_field64(t, IDXD_DESC_OP2), seed,
                     sizeof(seed), false)) {
        return false;
    }
    t->value = idxd_crc_convert(t, ldl_le_p(seed));
    return true;
}

void idxd_crc_finish(IDXDTask *t)
{
    t->outcome.value = idxd_crc_convert(t, t->value);
}

bool idxd_crc(IDXDState *s, IDXDTask *t, IDXDTransfer *x, uint32_t *len)
{
    if (!t->done && !idxd_crc_start(s, t, x)) {
        return false;
    }
    /* What a fault in this chunk leaves as the result */
    idxd_crc_finish(t);
    idxd_limit(len, x->src + t->done);
    if (!idxd_access(s, t, x, x->src + t->done, x->buf, *len, false)) {
        return false;
    }
    idxd_crc_update(t, x->buf, *len);
    return true;
}

bool idxd_copy_crc(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                   uint32_t *len)
{
    if (!t->done && !idxd_crc_start(s, t, x)) {
        return false;
    }
    idxd_crc_finish(t);
    idxd_limit(len, x->src + t->done);
    idxd_limit(len, x->dst + t->done);
    if (!idxd_access(s, t, x, x->src + t->done, x->buf, *len, false) ||
        !idxd_access(s, t, x, x->dst + t->done, x->buf, *len, true)) {
        return false;
    }
    idxd_crc_update(t, x->buf, *len);
    return true;
}

/* Memory is coherent here; what can fail is the translation */
bool idxd_cache_flush(IDXDState *s, IDXDTask *t, IDXDTransfer *x,
                      uint32_t *len)
{
    idxd_limit(len, x->dst + t->done);
    return idxd_access(s, t, x, x->dst + t->done, x->buf, 1, false);
}

/*
 * 3.9: a read of no bytes from where the last one was written, before the
 * completion record.  A page that can only be written will do, and what fails
 * counts as the write (table 5-6).  Cache Flush writes nothing.
 */
bool idxd_readback(IDXDState *s, IDXDTask *t, IDXDTransfer *x)
{
    bool write = idxd_opcode(&t->sub) != IDXD_OP_CACHE_FLUSH;

    return !(idxd_flags(&t->sub) & IDXD_FLAG_READBACK) ||
           idxd_access(s, t, x, x->dst + x->size - 1, x->buf, 0, write);
}
