// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel is asked to do when all vectors of a table are unmasked at
 * once.
 *
 * Starts the QEMU command that follows "--", whose guest is the bare guest
 * under KVM, and brings up an assigned device that raises nothing:
 *
 *   entries    entry by entry, by the guest's CPU
 *   function   all of them by one write to the function mask
 *
 * calls.awk counts calls to the kernel, from MSI-X off until the vectors have
 * settled.
 */
#include <stdio.h>
#include <unistd.h>
#include "bare-client.h"
#include "client.h"

/* Longer than any delay after which QEMU acts by itself */
#define SETTLE_US       2000000

static const QueueOps no_queues;

static void unmask_entries(unsigned vectors)
{
    msix_set_enabled(true);
    bare_run(BARE_UNMASK, vectors, 0);
}

static void unmask_function(unsigned vectors)
{
    msix_set_function_masked(true);
    for (unsigned v = 0; v < vectors; v++) {
        msix_set_masked(v, false);
    }
    msix_set_function_masked(false);
}

static void bring_up(const char *name, unsigned vectors,
                     void (*unmask)(unsigned vectors))
{
    double ms;

    vectors_reset(vectors);
    mark(name);
    ms = now_ms();
    unmask(vectors);
    ms = now_ms() - ms;
    usleep(SETTLE_US);
    mark("end");
    printf("RESULT %s_ms=%.0f\n", name, ms);
}

int main(int argc, char **argv)
{
    unsigned vectors = client_start(argc, argv, &no_queues);

    bar_map(0, BAR_ADDRESS);
    device_enable(vectors);
    bare_start();
    bare_msix_program(vectors);
    printf("RESULT vectors=%u\n", vectors);
    bring_up("entries", vectors, unmask_entries);
    bring_up("function", vectors, unmask_function);
    client_end();
    return 0;
}
