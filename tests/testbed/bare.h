/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the bare guest (bare.c, bare-start.S) and its client (bare-client.c)
 * agree on. The guest is the machine's firmware: it counts interrupts in guest
 * RAM, and works on MSI-X table and control word as a driver does, from a CPU,
 * when the client asks for it.
 */
#ifndef TESTBED_BARE_H
#define TESTBED_BARE_H

/* In guest RAM: the mailbox, times, and a word per counted interrupt vector */
#define BARE_MAILBOX            0x20000
#define BARE_SAMPLES            0x200000
#define BARE_COUNTERS           0x1000000

/* Vectors of the CPU: exceptions are below; the last ones are left alone. */
#define BARE_WAKE_VECTOR        0x20
#define BARE_FIRST_VECTOR       0x30
#define BARE_VECTORS            192
#define BARE_HANDLER_SIZE       16

#ifndef __ASSEMBLER__
#include <stdint.h>

/* The guest is there when the mailbox has this in "ready". */
#define BARE_READY              0x59444152

enum {
    BARE_NONE,
    /* Only tells the time */
    BARE_TIME,
    /* "cycles" times: mask and unmask an entry, the next of "vectors" each time */
    BARE_CYCLE_ENTRIES,
    /* "cycles" times: set and clear the function mask */
    BARE_CYCLE_FUNCTION,
    /* "vectors" entries: unmask */
    BARE_UNMASK,
};

typedef struct BareMailbox {
    uint32_t ready;
    uint32_t command;           /* written last by the client, zeroed at the end */
    uint32_t table;             /* address of the MSI-X table */
    uint32_t control;           /* of the MSI-X capability, for port 0xcf8 */
    uint32_t vectors;
    uint32_t cycles;
    /* The time stamp counter at the end */
    uint32_t now[2];
} BareMailbox;

/* Of each cycle, by the time stamp counter */
typedef struct BareSample {
    uint32_t mask;
    uint32_t unmask;
} BareSample;
#endif

#endif
