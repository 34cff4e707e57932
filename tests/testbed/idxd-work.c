// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See idxd-work.h.
 *
 * Section numbers are those of the Intel Data Streaming Accelerator
 * Architecture Specification, revision 3.0 (341204-006).
 */
#include <err.h>
#include "client.h"
#include "idxd-work.h"

#define DESTINATION     0x2200000u

/* 9.2: registers in BAR 0 */
#define REG_GENCAP      0x10
#define REG_WQCAP       0x20
#define REG_ENGCAP      0x38
#define REG_OFFSETS     0x60
#define REG_GENSTS      0x90
#define REG_CMD         0xa0
#define REG_CMDSTS      0xa8
#define REG_SWERROR     0xc0

/* Table 9-5: commands */
enum {
    ENABLE_DEVICE = 1,
    RESET_DEVICE = 5,
    ENABLE_WQ = 6,
    REQUEST_HANDLE = 13,
};

/* 8.1: record address valid, record requested, interrupt requested */
#define FLAGS           (1u << 2 | 1u << 3 | 1u << 4)

static uint16_t handles[MAX_VECTORS];

static uint32_t reg_read(unsigned offset)
{
    return mem_read(BAR_ADDRESS + offset);
}

static void reg_write(unsigned offset, uint32_t value)
{
    mem_write(BAR_ADDRESS + offset, value);
}

/* --- Set-up --- */

static bool command_ended(unsigned code)
{
    (void)code;
    return !(reg_read(REG_CMDSTS) >> 31);
}

/* Returns the result of the command */
static uint16_t command(unsigned code, unsigned operand)
{
    uint32_t status;

    reg_write(REG_CMD, code << 20 | operand);
    wait_until(command_ended, code, "idxd command");
    status = reg_read(REG_CMDSTS);
    if (status & 0xff) {
        errx(1, "idxd command %u, operand 0x%x: error 0x%x", code, operand,
             status & 0xff);
    }
    return status >> 8;
}

/* 9.2.24: dedicated, priority 1, copies and batches as large as we want */
static void wq_configure(unsigned wq, unsigned entries)
{
    unsigned stride = 32 << (reg_read(REG_WQCAP) >> 24 & 0xf);
    unsigned wqcfg = (reg_read(REG_OFFSETS) >> 16) * 0x100 + wq * stride;

    reg_write(wqcfg, entries);
    reg_write(wqcfg + 8, 1 | 1 << 4);
    reg_write(wqcfg + 12, 21 | 10 << 5);
}

/* 9.2.23: one group has all WQs and all engines */
static void group_configure(unsigned wqs)
{
    unsigned grpcfg = (reg_read(REG_OFFSETS) & 0xffff) * 0x100;
    unsigned engines = reg_read(REG_ENGCAP) & 0xff;

    for (unsigned i = 0; i < wqs; i += 32) {
        reg_write(grpcfg + i / 8,
                  wqs - i >= 32 ? ~0u : (1u << (wqs - i)) - 1);
    }
    reg_write(grpcfg + 32, engines >= 32 ? ~0u : (1u << engines) - 1);
}

static void idxd_start(unsigned wqs)
{
    uint32_t wqcap = reg_read(REG_WQCAP);

    if ((wqcap >> 16 & 0xff) != wqs) {
        errx(1, "the device has %u WQs, not %u", wqcap >> 16 & 0xff, wqs);
    }
    if (!(reg_read(REG_GENCAP) & 1 << 4)) {
        errx(1, "the device has no interrupt handles");
    }
    command(RESET_DEVICE, 0);
    for (unsigned wq = 0; wq < wqs; wq++) {
        wq_configure(wq, (wqcap & 0xffff) / wqs);
    }
    group_configure(wqs);
    command(ENABLE_DEVICE, 0);
    for (unsigned wq = 0; wq < wqs; wq++) {
        command(ENABLE_WQ, wq);
        handles[wq + 1] = command(REQUEST_HANDLE, wq + 1);
    }
}

void idxd_open(unsigned wqs)
{
    bar_map(0, BAR_ADDRESS);
    bar_map(2, IDXD_PORTALS);
    device_enable(wqs + 1);
    idxd_start(wqs);
}

/* --- Work --- */

/* 8.1: little-endian, as this machine is */
void idxd_descriptor_put(uint32_t address, unsigned q, unsigned operation,
                         uint32_t record, uint32_t source, uint32_t size)
{
    uint32_t descriptor[16] = {
        [1] = operation << 24 | FLAGS, [2] = record, [4] = source,
        [6] = operation == IDXD_MEMMOVE ? DESTINATION : 0, [8] = size,
        [9] = handles[q],
    };

    mem_write_bytes(address, descriptor, sizeof(descriptor));
}

/* 8.2: not complete is 0, and success (1) is that of the whole batch */
bool idxd_answered(unsigned q, uint32_t record)
{
    unsigned status = mem_read(record) & 0xff;

    if (status > 1) {
        errx(1, "WQ %u: work ended with status 0x%x, %u of it done", q - 1,
             status, mem_read(record + 4));
    }
    return status;
}

void idxd_check(void)
{
    if ((reg_read(REG_GENSTS) & 3) != 1 || reg_read(REG_SWERROR) & 1) {
        errx(1, "the device is in state %u, its last error is 0x%x",
             reg_read(REG_GENSTS) & 3, reg_read(REG_SWERROR) >> 8 & 0xff);
    }
}
