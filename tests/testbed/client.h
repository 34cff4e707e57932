/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What table.c and idxd.c have in common: a QEMU driven by qtest commands, the
 * PCI device behind DEVICE_SLOT, and bringing its vectors up under fire.
 *
 * Each vector's message points at a word of guest RAM of its own, so a
 * delivered interrupt is a word that has changed. All functions end the program
 * with a message when something fails.
 */
#ifndef TESTBED_CLIENT_H
#define TESTBED_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define BAR_ADDRESS     0xe0000000u     /* of BAR 0, which has the MSI-X table */
#define MAX_VECTORS     256

/* Queue q, 1 or more, interrupts on vector q; 0 is for the device itself. */
typedef struct Queue {
    unsigned tail;              /* requests submitted so far */
    unsigned head;              /* answers taken so far */
    unsigned delivered;         /* interrupts that led to an answer */
} Queue;

typedef struct QueueOps {
    /* Queues that may work while vectors are brought up: those below this */
    unsigned fire_vectors;
    /* Interrupts that the device raises for one request */
    unsigned interrupts;
    void (*submit)(unsigned q);
    /* Is the answer to the oldest request in memory? */
    bool (*answered)(unsigned q);
    /* Take that answer: it is there */
    void (*take)(unsigned q);
} QueueOps;

/* A QEMU, and its qtest socket */
typedef struct QEMUProcess {
    pid_t pid;
    int server;
    FILE *in, *out;
} QEMUProcess;

extern Queue queues[MAX_VECTORS];

/*
 * From "--vectors N --tracing DIR -- QEMU ARGS...": N, with QEMU started. DIR is
 * that of the kernel's tracing.
 */
unsigned client_start(int argc, char **argv, const QueueOps *ops);
void client_end(void);

/* For clients with more than one QEMU: what client_start() does but for QEMU */
unsigned client_parse(int argc, char **argv, const QueueOps *ops);
/* From now on QEMU may not end by itself. */
void qemu_launch(QEMUProcess *q, char **argv, int argc);
/* Commands go there from now on. Waits for that QEMU to be up. */
void qemu_use(QEMUProcess *q);
void qemu_end(QEMUProcess *q);
int socket_listen(const char *path);

const char *qtest_command(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
void mem_write(uint32_t address, uint32_t value);
uint32_t mem_read(uint32_t address);
void mem_read_words(uint32_t address, uint32_t words[], unsigned count);
void mem_write_bytes(uint32_t address, const void *data, size_t size);

/* Wait until a condition holds that the device has to bring about. */
void wait_until(bool (*condition)(unsigned arg), unsigned arg,
                const char *what);

void bar_map(unsigned bar, uint32_t address);
/* After the BARs: find the MSI-X table, and let the device work. */
void device_enable(unsigned vectors);
void msix_set_enabled(bool enabled);
/* With MSI-X on */
void msix_set_function_masked(bool masked);
void msix_set_masked(unsigned vector, bool masked);
void msix_set_message(unsigned vector, uint32_t address, uint32_t data);
bool msix_is_pending(unsigned vector);
uint32_t msix_table_address(void);
/* For port 0xcf8: the dword whose upper half is the control word */
uint32_t msix_control_select(void);
/* Messages for all vectors */
void msix_program(unsigned vectors);

/* MSI-X off, all vectors masked, nothing delivered */
void vectors_reset(unsigned vectors);
/* A line in the kernel's trace, between the calls that it shows */
void mark(const char *phase);
/* Whether the kernel's tracing records calls: that takes time. */
void calls_record(bool on);
double now_ms(void);

/*
 * Unmask vectors one by one while each queue that is live has a request under
 * way all the time.
 */
void bring_up_under_fire(unsigned vectors);
void queues_submit(unsigned first, unsigned end);
/* All answers are in memory; then give interrupts under way time to arrive. */
void settle(unsigned vectors);
/* Queues with an answer in memory for which no interrupt came */
unsigned queues_hung(unsigned vectors);
void report(unsigned vectors, double bring_up_ms);

#endif
