/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How an interrupt of an assigned device reaches the guest, and what can happen to it on the way.
 *
 * One file per role.  tests/model/check chooses what takes part:
 *
 *   N=2            vectors (default 1)
 *   OLD            QEMU 11.1.1, else the series
 *   MASK           the guest masks and unmasks, else it unmasks each vector once
 *   FUNCTION_MASK  and uses the mask bit of the function
 *   REWRITE        and rewrites the message, masked or not
 *   GROWTH         the host has allocated one vector only
 *   REFUSE         and may refuse what it is asked for
 *   HANDOVER       CPR: a new QEMU takes over
 *   CPU_ONLY       irqfds inject at once, never through a work item
 *   USERSPACE      there is no irqfd
 *   COUNT=n        the device raises n interrupts at most, and deliveries are counted
 *   LIVENESS       for the LTL formula, instead of the check at rest
 *   CHECK_LOST CHECK_MASKED CHECK_MESSAGE    these properties only (default: all)
 */

#ifndef N
#define N 1
#endif

#if !defined(CHECK_LOST) && !defined(CHECK_MASKED) && !defined(CHECK_MESSAGE)
#define CHECK_LOST
#define CHECK_MASKED
#define CHECK_MESSAGE
#endif

#include "guarantee.pml"
#include "host.pml"
#include "msix.pml"
#ifdef OLD
#include "qemu-old.pml"
#else
#include "qemu.pml"
#endif
#include "environment.pml"

init
{
    byte v;

    atomic {
        for (v : 0 .. N - 1) {
            run device(v);
            run host_cpu(v);
            run irqfd_work(v);
            run fd_handler(v)
        }
        v = 0;
        run_timers();
        run guest();
        run environment()
    }
}
