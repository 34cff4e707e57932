/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A host for VFIO irq-vectors
 *
 * It does what the kernel's vfio-pci does with SET_IRQS, before and after
 * dynamic MSI-X, and refuses what a test tells it to refuse.  Each time the
 * index goes down it notes which vectors were armed: for each of them an
 * interrupt may be gone, so an event must show up when it is armed again.
 */
#ifndef TESTS_FAKE_VFIO_HOST_H
#define TESTS_FAKE_VFIO_HOST_H

#include "hw/vfio/irq-vectors.h"

#define MAX_VECTORS 64

typedef struct FakeHost {
    /* what it is */
    bool noresize;
    unsigned int grant;     /* vectors that can be allocated */
    unsigned int arm_limit; /* vectors that can be armed at a time */
    int refusal;            /* -errno, or 0 for the positive short count */
    unsigned int fail_call; /* fail the n-th request from now, 0 for none */

    /* what it has */
    unsigned int allocated;
    int armed[MAX_VECTORS];

    /* what it saw */
    unsigned int requests;
    unsigned int downs_with_live;
    unsigned int gaps[MAX_VECTORS]; /* since the vector was last seen armed */
    bool refused;                   /* the index was down on the way up */
    unsigned int excuses[MAX_VECTORS];
} FakeHost;

extern FakeHost host;
extern int eventfds[2][MAX_VECTORS]; /* two for each vector */

/* Once, before everything else */
void open_eventfds(void);

/* A host that refuses nothing, and a module that talks to it */
void setup(VFIOIRQVectors *v, bool noresize, OnOffAuto policy);
void teardown(VFIOIRQVectors *v);

/* Clears the eventfd, and returns how many events it had */
uint64_t drain(int fd);
unsigned int fake_armed_count(void);

/*
 * Vectors that came back from a gap without an event: interrupts lost.  Any
 * other event is spurious, and more than the replay may cause.
 */
unsigned int count_lost(void);

/* Are vectors @first to @end - 1 armed, with the first of their eventfds? */
void check_armed(unsigned int first, unsigned int end, bool armed);

#endif
