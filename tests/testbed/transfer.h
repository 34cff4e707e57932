/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A virtual machine moves from one QEMU to another by migration in mode
 * cpr-transfer: guest RAM, devices and eventfds stay as they are in the kernel,
 * their file descriptors move.
 *
 * The stream of the main channel goes through this program: it keeps all of
 * it before it hands on the first byte, so that there is a time in which the
 * old QEMU has let go of the device, and the new one has not taken it.
 *
 * QEMU, docs/devel/migration/CPR.rst
 */
#ifndef TESTBED_TRANSFER_H
#define TESTBED_TRANSFER_H

#include "client.h"

/* A QEMU that can be moved: with a monitor of its own */
typedef struct Machine {
    QEMUProcess qemu;
    unsigned number;
    FILE *monitor;
} Machine;

/* As from the command line; commands go there */
void machine_start(Machine *m, char **argv, int argc);
void machine_end(Machine *m);
/* Answer to a command without arguments, or with those that are given */
const char *machine_tell(Machine *m, const char *command,
                         const char *arguments);

/*
 * Start the new QEMU from its command line, and the migration. The guest still
 * runs in the old one.
 */
void transfer_begin(Machine *from, Machine *to, char **argv, int argc);
/* Has the old QEMU ended its part? The guest is stopped then. */
bool transfer_sent(void);
/*
 * Break the connection instead: the guest goes on in the old QEMU, the new one
 * ends.
 */
void transfer_break(Machine *from, Machine *to);
/* The new QEMU gets the stream, commands go there. The guest runs. */
void transfer_end(Machine *from, Machine *to);

#endif
