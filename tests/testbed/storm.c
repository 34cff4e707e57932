// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Masks, unmasks, function masks and rewritten messages at random while an
 * assigned idxd-ims interrupts, under KVM.
 *
 * Starts the QEMU command that follows "--", whose guest is the bare guest. Each
 * work queue always has a copy under way, which raises the queue's vector
 * once. The next copy is given out when the interrupt of the last one came, so
 * that an interrupt that is lost is a queue that hangs.
 *
 * Each queue has three vectors of the CPU, and its message names one of them.
 * What is judged after each step:
 *   lost      a queue that is not masked, whose copy is done, and that got no
 *             interrupt within a time that is long for all that is involved
 *   masked    interrupts of a queue that was masked before they were raised
 *   wrong     interrupts with a message that had been replaced before
 * Interrupts that arrive while the table is written to are neither.
 *
 * Then the guest's CPU masks and unmasks all vectors at full speed, under the
 * same fire.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bare-client.h"
#include "client.h"
#include "idxd-work.h"

#define MESSAGES        3u              /* CPU vectors per queue */
#define MAX_WQS         (BARE_VECTORS / MESSAGES)
#define STEPS           1000
#define CYCLE_ROUNDS    20
#define COPY_SIZE       0x1000
/* Of a queue: much longer than copy, interrupt and delivery take */
#define LOST_MS         5000

typedef struct Storm {
    bool masked;
    unsigned message;           /* the one in the table, 0 to MESSAGES - 1 */
    uint32_t seen[MESSAGES];    /* interrupts by message */
    double due_ms;              /* when the copy under way is overdue */
} Storm;

static Storm storms[MAX_WQS + 1];
static unsigned wqs;
static bool function_masked;
static unsigned lost, masked, wrong;

static bool is_masked(unsigned q)
{
    return function_masked || storms[q].masked;
}

/* --- Work --- */

static uint32_t record(unsigned q)
{
    return IDXD_RECORD(q, queues[q].tail % IDXD_MAX_REQUESTS);
}

static void submit(unsigned q)
{
    queues[q].tail++;
    mem_write(record(q), 0);
    idxd_descriptor_put(IDXD_PORTAL(q), q, IDXD_MEMMOVE, record(q),
                        IDXD_SOURCE, COPY_SIZE);
    storms[q].due_ms = now_ms() + LOST_MS;
}

static bool under_way(unsigned q)
{
    return queues[q].head != queues[q].tail;
}

static const QueueOps no_queues;

/* --- Interrupts --- */

/* A CPU vector for each queue and message; those of a message lie together. */
static unsigned counter(unsigned q, unsigned message)
{
    return message * MAX_WQS + q - 1;
}

static void write_message(unsigned q)
{
    msix_set_message(q, BARE_LAPIC_MESSAGE,
                     BARE_FIRST_VECTOR + counter(q, storms[q].message));
}

/* What queue q got: takes its copy as done, and judges how it was told. */
static void interrupts_take(unsigned q, const uint32_t counts[], bool judge)
{
    Storm *s = &storms[q];

    for (unsigned m = 0; m < MESSAGES; m++) {
        unsigned arrived = counts[counter(q, m)] - s->seen[m];

        s->seen[m] += arrived;
        queues[q].delivered += arrived;
        if (arrived && judge) {
            masked += is_masked(q) ? arrived : 0;
            wrong += m != s->message ? arrived : 0;
        }
        if (arrived && under_way(q) && idxd_answered(q, record(q))) {
            queues[q].head++;
        }
    }
}

/* Unmasked queues get work; those that wait for too long are given up. */
static void queue_serve(unsigned q)
{
    if (is_masked(q)) {
        storms[q].due_ms = now_ms() + LOST_MS;
    } else if (!under_way(q)) {
        submit(q);
    } else if (now_ms() > storms[q].due_ms && idxd_answered(q, record(q))) {
        lost++;
        queues[q].head++;
    }
}

/* All queues but "written", if any, whose table entry has just changed */
static void serve(unsigned written, bool all_written)
{
    uint32_t counts[BARE_VECTORS];

    bare_fence();
    mem_read_words(BARE_COUNTERS, counts, BARE_VECTORS);
    for (unsigned q = 1; q <= wqs; q++) {
        interrupts_take(q, counts, !all_written && q != written);
    }
    for (unsigned q = 1; q <= wqs; q++) {
        queue_serve(q);
    }
}

/* --- Steps --- */

static void step_mask(unsigned q)
{
    storms[q].masked = !storms[q].masked;
    msix_set_masked(q, storms[q].masked);
    serve(q, false);
}

/* Masked or not: a message that is rewritten counts from then on. */
static void step_rewrite(unsigned q)
{
    storms[q].message = (storms[q].message + 1 + rand() % 2) % MESSAGES;
    write_message(q);
    serve(q, false);
}

static void step_function_mask(void)
{
    function_masked = !function_masked;
    msix_set_function_masked(function_masked);
    serve(0, true);
}

/* Long enough, now and then, for delivery to settle */
static void step_wait(void)
{
    usleep(rand() % 4 ? rand() % 5000 : 120000);
    serve(0, false);
}

static void step(void)
{
    unsigned q = 1 + rand() % wqs, dice = rand() % 16;

    if (dice < 7) {
        step_mask(q);
    } else if (dice < 12) {
        step_rewrite(q);
    } else if (dice < 14) {
        step_function_mask();
    } else {
        step_wait();
    }
}

static void unmask_all(void)
{
    for (unsigned q = 1; q <= wqs; q++) {
        storms[q].masked = false;
        msix_set_masked(q, false);
    }
    function_masked = false;
    msix_set_function_masked(false);
    serve(0, true);
}

/* Until each queue's copy was announced, or is given up */
static void finish(void)
{
    double end = now_ms() + 2 * LOST_MS;

    for (unsigned waiting = 1; waiting && now_ms() < end;) {
        uint32_t counts[BARE_VECTORS];

        waiting = 0;
        mem_read_words(BARE_COUNTERS, counts, BARE_VECTORS);
        for (unsigned q = 1; q <= wqs; q++) {
            interrupts_take(q, counts, true);
            waiting += under_way(q);
        }
        usleep(1000);
    }
    for (unsigned q = 1; q <= wqs; q++) {
        lost += under_way(q);
        queues[q].head = queues[q].tail;
    }
}

/* Vectors are masked and unmasked by the guest's CPU while copies end. */
static void cycle_under_fire(void)
{
    for (unsigned i = 0; i < CYCLE_ROUNDS; i++) {
        for (unsigned q = 1; q <= wqs; q++) {
            submit(q);
        }
        bare_run(BARE_CYCLE_ENTRIES, wqs + 1, 2 * (wqs + 1));
        finish();
    }
}

static void storm_report(void)
{
    unsigned fired = 0, delivered = 0;

    for (unsigned q = 1; q <= wqs; q++) {
        fired += queues[q].tail;
        delivered += queues[q].delivered;
    }
    printf("RESULT vectors=%u\n", wqs + 1);
    printf("RESULT fired=%u\n", fired);
    printf("RESULT irqs=%u\n", delivered);
    printf("RESULT lost=%u\n", lost);
    printf("RESULT delivered_masked=%u\n", masked);
    printf("RESULT delivered_wrong=%u\n", wrong);
}

int main(int argc, char **argv)
{
    wqs = client_start(argc, argv, &no_queues) - 1;
    if (wqs > MAX_WQS) {
        errx(2, "--vectors must be %u or less", MAX_WQS + 1);
    }
    idxd_open(wqs);
    bare_start();
    bare_msix_program(wqs + 1);
    for (unsigned q = 1; q <= wqs; q++) {
        write_message(q);
    }
    vectors_reset(wqs + 1);
    msix_set_enabled(true);
    msix_set_masked(0, false);

    mark("storm");
    unmask_all();
    for (unsigned i = 0; i < STEPS; i++) {
        step();
    }
    unmask_all();
    finish();
    mark("cycles");
    cycle_under_fire();
    mark("end");
    idxd_check();
    storm_report();
    client_end();
    return 0;
}
