// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What mask and unmask cost.
 *
 * Starts the QEMU command that follows "--", whose guest is the bare guest
 * under KVM, and lets it work on the MSI-X table of an assigned device that
 * raises nothing. Each measurement runs twice: for the time, and with the
 * kernel's calls recorded between two marks; calls.awk counts those.
 *
 *   fast      mask and unmask of one vector, at full speed
 *   spread    the same with many vectors in turn
 *   function  function mask set and cleared, with many vectors unmasked
 *   slow      one cycle at a time, with a pause that lets delivery settle
 *
 * Times are those that the guest's CPU sees.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "bare-client.h"
#include "client.h"

#define SPREAD_VECTORS  64u
#define MAX_CYCLES      512u

/* Longer than any delay after which QEMU acts by itself */
#define SETTLE_US       200000

static const QueueOps no_queues;

typedef struct Measurement {
    const char *name;
    unsigned command;
    unsigned vectors;
    unsigned cycles;
    bool slow;
} Measurement;

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Median and longest: the machine may be busy. */
static void print_times(const char *name, const char *what, double us[],
                        unsigned count)
{
    qsort(us, count, sizeof(*us), compare);
    printf("RESULT %s_%s_us=%.0f\n", name, what, us[count / 2]);
    printf("RESULT %s_%s_longest_us=%.0f\n", name, what, us[count - 1]);
}

static void print_all_times(const Measurement *m, const BareTime times[])
{
    double mask[MAX_CYCLES], unmask[MAX_CYCLES], both[MAX_CYCLES];

    for (unsigned i = 0; i < m->cycles; i++) {
        mask[i] = times[i].mask_us;
        unmask[i] = times[i].unmask_us;
        both[i] = mask[i] + unmask[i];
    }
    print_times(m->name, "mask", mask, m->cycles);
    print_times(m->name, "unmask", unmask, m->cycles);
    print_times(m->name, "cycle", both, m->cycles);
    printf("RESULT %s_cycles=%u\n", m->name, m->cycles);
}

static void run(const Measurement *m, BareTime times[])
{
    if (!m->slow) {
        bare_run(m->command, m->vectors, m->cycles);
        bare_times(times, m->cycles);
        return;
    }
    for (unsigned i = 0; i < m->cycles; i++) {
        bare_run(m->command, m->vectors, 1);
        bare_times(times + i, 1);
        usleep(SETTLE_US);
    }
}

static void measure(const Measurement *m)
{
    BareTime times[MAX_CYCLES];

    vectors_reset(SPREAD_VECTORS);
    msix_set_enabled(true);
    bare_run(BARE_UNMASK, m->vectors, 0);
    usleep(SETTLE_US);
    run(m, times);
    print_all_times(m, times);
    usleep(SETTLE_US);

    calls_record(true);
    mark(m->name);
    run(m, times);
    usleep(SETTLE_US);
    mark("end");
    calls_record(false);
}

int main(int argc, char **argv)
{
    static const Measurement measurements[] = {
        { "fast", BARE_CYCLE_ENTRIES, 1, MAX_CYCLES, false },
        { "spread", BARE_CYCLE_ENTRIES, SPREAD_VECTORS, MAX_CYCLES, false },
        { "function", BARE_CYCLE_FUNCTION, SPREAD_VECTORS, 16, false },
        { "slow", BARE_CYCLE_ENTRIES, 1, 16, true },
    };
    unsigned vectors = client_start(argc, argv, &no_queues);

    if (vectors < SPREAD_VECTORS) {
        errx(2, "--vectors must be %u or more", SPREAD_VECTORS);
    }
    bar_map(0, BAR_ADDRESS);
    device_enable(vectors);
    bare_start();
    bare_msix_program(vectors);
    calls_record(false);
    for (unsigned i = 0; i < sizeof(measurements) / sizeof(*measurements); i++) {
        measure(&measurements[i]);
    }
    calls_record(true);
    printf("RESULT vectors=%u\n", vectors);
    client_end();
    return 0;
}
