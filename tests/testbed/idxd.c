// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Drive an assigned idxd-ims device with all its work queues without a guest.
 *
 * Starts the QEMU command that follows "--" with a qtest socket, gives each
 * work queue (WQ) a vector of its own, and unmasks vectors one by one. From
 * then on the WQ always has a batch under way: copies, each of which raises
 * the vector when it is done, as does the batch as a whole. The device has
 * accepted this work, so completions keep coming whatever the host does.
 *
 * A queue's request is a batch, its answer the batch's completion record. No
 * WQ has work while its vector is masked, or while MSI-X is off in the guest:
 * whatever the device drops is lost.
 */
#include <err.h>
#include "client.h"
#include "idxd-work.h"

/*
 * Large enough for the device to be at work all the time, small enough for
 * batches to end all the time: only what is lost at its end hangs a WQ.
 */
#define BATCH_SIZE      32
#define COPY_SIZE       0x20000

/* Guest RAM; each batch has a record of its own, so that none needs clearing */
#define COPY_RECORD(q, i)       (0x1900000u + 32 * ((q) * BATCH_SIZE + (i)))
#define BATCH_LIST(q)           (0x1a00000u + 64 * BATCH_SIZE * (q))

static void batches_prepare(unsigned vectors)
{
    for (unsigned q = 1; q < vectors; q++) {
        for (unsigned i = 0; i < BATCH_SIZE; i++) {
            idxd_descriptor_put(BATCH_LIST(q) + 64 * i, q, IDXD_MEMMOVE,
                                COPY_RECORD(q, i), IDXD_SOURCE, COPY_SIZE);
        }
    }
}

static void batch_submit(unsigned q)
{
    unsigned n = queues[q].tail - 1;

    if (n >= IDXD_MAX_REQUESTS) {
        errx(1, "WQ %u: no completion record left", q - 1);
    }
    idxd_descriptor_put(IDXD_PORTAL(q), q, IDXD_BATCH, IDXD_RECORD(q, n),
                        BATCH_LIST(q), BATCH_SIZE);
}

static bool batch_answered(unsigned q)
{
    return idxd_answered(q, IDXD_RECORD(q, queues[q].head));
}

static void batch_take(unsigned q)
{
    (void)q;
}

static const QueueOps batch_ops = {
    .fire_vectors = MAX_VECTORS,
    .interrupts = BATCH_SIZE + 1,
    .submit = batch_submit,
    .answered = batch_answered,
    .take = batch_take,
};

int main(int argc, char **argv)
{
    unsigned vectors = client_start(argc, argv, &batch_ops);
    double fire_ms;

    idxd_open(vectors - 1);
    batches_prepare(vectors);
    msix_program(vectors);

    mark("begin");
    fire_ms = now_ms();
    bring_up_under_fire(vectors);
    fire_ms = now_ms() - fire_ms;
    mark("end");
    settle(vectors);
    queues_submit(1, vectors);
    settle(vectors);
    idxd_check();
    report(vectors, fire_ms);
    client_end();
    return 0;
}
