// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See bare-client.h.
 */
#include <stddef.h>
#include <unistd.h>
#include "bare-client.h"
#include "client.h"

static double ticks_per_us;

static uint32_t field_address(size_t offset)
{
    return BARE_MAILBOX + offset;
}

#define FIELD(name) field_address(offsetof(BareMailbox, name))

static bool guest_ready(unsigned unused)
{
    (void)unused;
    return mem_read(FIELD(ready)) == BARE_READY;
}

static bool command_ended(unsigned unused)
{
    (void)unused;
    return mem_read(FIELD(command)) == BARE_NONE;
}

void bare_run(unsigned command, unsigned vectors, unsigned cycles)
{
    mem_write(FIELD(table), msix_table_address());
    mem_write(FIELD(control), msix_control_select());
    mem_write(FIELD(vectors), vectors);
    mem_write(FIELD(cycles), cycles);
    mem_write(FIELD(command), command);
    mem_write(BARE_LAPIC_MESSAGE, BARE_WAKE_VECTOR);
    wait_until(command_ended, command, "bare guest, command");
}

static uint32_t wakes;

static bool wake_counted(unsigned unused)
{
    (void)unused;
    return mem_read(BARE_COUNTERS + 4 * (BARE_WAKE_VECTOR - BARE_FIRST_VECTOR))
        != wakes;
}

void bare_fence(void)
{
    wakes = mem_read(BARE_COUNTERS +
                     4 * (BARE_WAKE_VECTOR - BARE_FIRST_VECTOR));
    mem_write(BARE_LAPIC_MESSAGE, BARE_WAKE_VECTOR);
    wait_until(wake_counted, 0, "bare guest, interrupt");
}

void bare_times(BareTime times[], unsigned cycles)
{
    uint32_t words[2];

    for (unsigned i = 0; i < cycles; i++) {
        mem_read_words(BARE_SAMPLES + i * sizeof(BareSample), words, 2);
        times[i].mask_us = words[0] / ticks_per_us;
        times[i].unmask_us = words[1] / ticks_per_us;
    }
}

static uint64_t guest_time(void)
{
    uint32_t words[2];

    bare_run(BARE_TIME, 0, 0);
    mem_read_words(FIELD(now), words, 2);
    return (uint64_t)words[1] << 32 | words[0];
}

void bare_start(void)
{
    double ms;
    uint64_t ticks;

    wait_until(guest_ready, 0, "bare guest");
    ticks = guest_time();
    ms = now_ms();
    usleep(500000);
    ticks = guest_time() - ticks;
    ticks_per_us = ticks / ((now_ms() - ms) * 1e3);
}

void bare_msix_program(unsigned vectors)
{
    for (unsigned v = 0; v < vectors; v++) {
        msix_set_message(v, BARE_LAPIC_MESSAGE,
                         BARE_FIRST_VECTOR + v % BARE_VECTORS);
    }
}
