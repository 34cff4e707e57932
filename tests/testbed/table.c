// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Drive the whole MSI-X table of an assigned nvme controller without a guest.
 *
 * Starts the QEMU command that follows "--" with a qtest socket, sets up one
 * I/O queue pair per vector, and unmasks vectors one by one, as a driver does
 * that requests them one after another.
 *
 * First bring-ups: nothing else happens, the time is taken.
 * Further ones, until something is lost: each queue that is live has one read
 * under way all the time (the disk answers slowly, so that answers come at any
 * moment). A queue whose answer is in memory, but whose interrupt never came,
 * is hung for a driver.
 * In the end each queue that is idle does one more read.
 *
 * NVMe registers and commands: NVM Express Base Specification 1.4, sections
 * 3.1, 5 and 6.
 */
#include <err.h>
#include "client.h"

/* QEMU's nvme aborts on an interrupt of a vector above 31 with MSI-X off. */
#define FIRE_VECTORS    32
/* One loses an interrupt or more, as a rule. Large tables are for the time. */
#define FIRE_ROUNDS(n)  (128 / (n))

/*
 * Guest RAM: a read buffer, completion queues, and two submission queues: all
 * I/O queues share one, for all its commands are the same read of block 0.
 */
#define READ_BUFFER             0x1800000u
#define SQ_ADDRESS(q)           ((q) ? 0x1901000u : 0x1900000u)
#define CQ_ADDRESS(q)           (0x2000000u + 0x1000 * (q))
#define QUEUE_ENTRIES           64      /* 64-byte commands: one page */

#define NVME_INTMS      0x0c
#define NVME_CC         0x14
#define NVME_CSTS       0x1c
#define NVME_AQA        0x24
#define NVME_ASQ        0x28
#define NVME_ACQ        0x30
#define NVME_DOORBELL   0x1000

enum {
    ADMIN_CREATE_SQ = 0x01,
    ADMIN_CREATE_CQ = 0x05,
    IO_READ = 0x02,
};

static bool nvme_ready(unsigned unused)
{
    (void)unused;
    return mem_read(BAR_ADDRESS + NVME_CSTS) & 1;
}

static void nvme_start(void)
{
    mem_write(BAR_ADDRESS + NVME_CC, 0);
    mem_write(BAR_ADDRESS + NVME_AQA,
              (QUEUE_ENTRIES - 1) << 16 | (QUEUE_ENTRIES - 1));
    mem_write(BAR_ADDRESS + NVME_ASQ, SQ_ADDRESS(0));
    mem_write(BAR_ADDRESS + NVME_ASQ + 4, 0);
    mem_write(BAR_ADDRESS + NVME_ACQ, CQ_ADDRESS(0));
    mem_write(BAR_ADDRESS + NVME_ACQ + 4, 0);
    /* While MSI-X is off, no pin interrupts: the set-up below polls. */
    mem_write(BAR_ADDRESS + NVME_INTMS, 0xffffffff);
    mem_write(BAR_ADDRESS + NVME_CC, 4 << 20 | 6 << 16 | 1);
    wait_until(nvme_ready, 0, "nvme controller");
}

static void nvme_put(unsigned q, unsigned index, unsigned opcode,
                     uint32_t buffer, uint32_t cdw10, uint32_t cdw11)
{
    uint32_t sqe[16] = {
        [0] = opcode, [1] = q ? 1 : 0 /* namespace */, [6] = buffer,
        [10] = cdw10, [11] = cdw11,
    };

    mem_write_bytes(SQ_ADDRESS(q) + index % QUEUE_ENTRIES * 64, sqe,
                    sizeof(sqe));
}

/* Hand the next command, already in place, to the controller. */
static void nvme_submit(unsigned q)
{
    mem_write(BAR_ADDRESS + NVME_DOORBELL + 8 * q,
              queues[q].tail % QUEUE_ENTRIES);
}

/* The phase bit is 1 in the first pass over the queue, 0 in the second, ... */
static bool nvme_answered(unsigned q)
{
    unsigned at = queues[q].head % QUEUE_ENTRIES;
    uint32_t dw3 = mem_read(CQ_ADDRESS(q) + at * 16 + 12);

    if ((dw3 >> 16 & 1) == (queues[q].head / QUEUE_ENTRIES & 1)) {
        return false;
    }
    if (dw3 >> 17) {
        errx(1, "nvme queue %u: a command failed with status 0x%x", q,
             dw3 >> 17);
    }
    return true;
}

static void nvme_take(unsigned q)
{
    mem_write(BAR_ADDRESS + NVME_DOORBELL + 8 * q + 4,
              (queues[q].head + 1) % QUEUE_ENTRIES);
}

static const QueueOps nvme_ops = {
    .fire_vectors = FIRE_VECTORS,
    .interrupts = 1,
    .submit = nvme_submit,
    .answered = nvme_answered,
    .take = nvme_take,
};

static void nvme_admin(unsigned opcode, uint32_t buffer, uint32_t cdw10,
                       uint32_t cdw11)
{
    nvme_put(0, queues[0].tail++, opcode, buffer, cdw10, cdw11);
    nvme_submit(0);
    wait_until(nvme_answered, 0, "nvme admin queue");
    nvme_take(0);
    queues[0].head++;
}

static void nvme_fill_reads(void)
{
    for (unsigned i = 0; i < QUEUE_ENTRIES; i++) {
        nvme_put(1, i, IO_READ, READ_BUFFER, 0, 0);
    }
}

/* Queue pair q interrupts on vector q. */
static void nvme_create_pair(unsigned q)
{
    uint32_t size = (QUEUE_ENTRIES - 1) << 16 | q;

    nvme_admin(ADMIN_CREATE_CQ, CQ_ADDRESS(q), size, q << 16 | 3);
    nvme_admin(ADMIN_CREATE_SQ, SQ_ADDRESS(q), size, q << 16 | 1);
}

static void queues_create(unsigned vectors)
{
    msix_program(vectors);
    vectors_reset(vectors);
    /* All masked, but only with MSI-X on may a queue be given its vector. */
    msix_set_enabled(true);
    nvme_start();
    nvme_fill_reads();
    for (unsigned q = 1; q < vectors; q++) {
        nvme_create_pair(q);
    }
}

static double bring_up_quiet(unsigned vectors)
{
    double start = now_ms();

    msix_set_enabled(true);
    for (unsigned v = 0; v < vectors; v++) {
        msix_set_masked(v, false);
    }
    return now_ms() - start;
}

/* The machine may be busy: short bring-ups are repeated, the best counts. */
static double bring_up_time(unsigned vectors)
{
    double best, again;

    vectors_reset(vectors);
    mark("begin");
    best = bring_up_quiet(vectors);
    mark("end");
    for (unsigned i = 0; i < 4 && best < 1000; i++) {
        vectors_reset(vectors);
        again = bring_up_quiet(vectors);
        best = again < best ? again : best;
    }
    return best;
}

int main(int argc, char **argv)
{
    unsigned vectors = client_start(argc, argv, &nvme_ops);
    double quiet_ms;

    bar_map(0, BAR_ADDRESS);
    device_enable(vectors);
    queues_create(vectors);
    quiet_ms = bring_up_time(vectors);
    for (unsigned i = 0; i < FIRE_ROUNDS(vectors); i++) {
        if (!queues_hung(vectors)) {
            bring_up_under_fire(vectors);
            settle(vectors);
        }
    }
    queues_submit(1, vectors);
    settle(vectors);
    report(vectors, quiet_ms);
    client_end();
    return 0;
}
