// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Drive the whole MSI-X table of an assigned nvme controller without a guest.
 *
 * Starts the QEMU command that follows "--" with a qtest socket, sets up one
 * I/O queue pair per vector, and unmasks vectors one by one, as a driver does
 * that requests them one after another. Each vector's message points at a word
 * of guest RAM of its own, so a delivered interrupt is a word that has changed.
 *
 * First bring-ups: nothing else happens, the time is taken.
 * Further ones, until something is lost: each queue that is live has one read
 * under way all the time (the disk answers slowly, so that answers come at any
 * moment). A queue whose answer is in memory, but whose interrupt never came,
 * is hung for a driver.
 * In the end each queue that is idle does one more read.
 *
 * NVMe registers and commands: NVM Express Base Specification 1.4, sections
 * 3.1, 5 and 6. MSI-X: PCI Local Bus Specification 3.0, section 6.8.2.
 */
#include <err.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SOCKET_PATH     "/tmp/table.qtest"
#define DEVICE_SLOT     5               /* addr=5 in the QEMU command */
#define BAR_ADDRESS     0xe0000000u
#define MAX_VECTORS     256
/* QEMU's nvme aborts on an interrupt of a vector above 31 with MSI-X off. */
#define FIRE_VECTORS    32
/* One loses an interrupt or more, as a rule. Large tables are for the time. */
#define FIRE_ROUNDS(n)  (128 / (n))

/*
 * Guest RAM: one word per vector, a read buffer, completion queues, and two
 * submission queues: all I/O queues share one, for all its commands are the
 * same read of block 0.
 */
#define MESSAGE_WORD(v)         (0x1000000u + 4 * (v))
#define READ_BUFFER             0x1800000u
#define SQ_ADDRESS(q)           ((q) ? 0x1901000u : 0x1900000u)
#define CQ_ADDRESS(q)           (0x2000000u + 0x1000 * (q))
#define QUEUE_ENTRIES           64      /* 64-byte commands: one page */

#define NVME_INTMS      0x0c
#define NVME_CC         0x14
#define NVME_CSTS       0x1c
#define NVME_AQA        0x24
#define NVME_ASQ        0x28
#define NVME_ACQ        0x30
#define NVME_DOORBELL   0x1000

enum {
    ADMIN_CREATE_SQ = 0x01,
    ADMIN_CREATE_CQ = 0x05,
    IO_READ = 0x02,
};

typedef struct Queue {
    unsigned tail;              /* commands submitted so far */
    unsigned head;              /* completions taken so far */
    unsigned delivered;         /* interrupts that arrived for them */
} Queue;

static Queue queues[MAX_VECTORS];
static unsigned msix_cap;
static uint32_t table_address;
static const char *marker;
static FILE *qtest_in, *qtest_out;

/* --- qtest protocol: one line out, one line back --- */

static const char *qtest_command(const char *format, ...)
{
    static char line[4096];
    va_list args;

    va_start(args, format);
    vfprintf(qtest_out, format, args);
    va_end(args);
    fputc('\n', qtest_out);
    fflush(qtest_out);
    if (!fgets(line, sizeof(line), qtest_in)) {
        errx(1, "QEMU closed the qtest socket after: %s", format);
    }
    if (strncmp(line, "OK", 2)) {
        errx(1, "qtest command %s answered: %s", format, line);
    }
    return line + 2;
}

/* The number that a command answered with */
static uint32_t value_of(const char *answer)
{
    unsigned value;

    if (sscanf(answer, "%x", &value) != 1) {
        errx(1, "qtest answered without a value: %s", answer);
    }
    return value;
}

static void mem_write(uint32_t address, uint32_t value)
{
    qtest_command("writel 0x%x 0x%x", address, value);
}

static uint32_t mem_read(uint32_t address)
{
    return value_of(qtest_command("readl 0x%x", address));
}

static void config_select(unsigned offset)
{
    qtest_command("outl 0xcf8 0x%x",
                  0x80000000u | DEVICE_SLOT << 11 | (offset & ~3u));
}

static uint32_t config_read(unsigned offset)
{
    config_select(offset);
    return value_of(qtest_command("inl 0xcfc"));
}

static void config_write(unsigned offset, uint32_t value)
{
    config_select(offset);
    qtest_command("outl 0xcfc 0x%x", value);
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* --- PCI --- */

static void device_map(void)
{
    unsigned cap = config_read(0x34) & 0xff;
    uint32_t table;

    config_write(0x10, BAR_ADDRESS);
    config_write(0x14, 0);
    config_write(0x04, 0x6);            /* memory space, bus master */

    while (cap && (config_read(cap) & 0xff) != 0x11) {
        cap = config_read(cap) >> 8 & 0xff;
    }
    if (!cap) {
        errx(1, "the device has no MSI-X capability");
    }
    table = config_read(cap + 4);
    if (table & 7) {
        errx(1, "the MSI-X table is in BAR %u, not in BAR 0", table & 7);
    }
    msix_cap = cap;
    table_address = BAR_ADDRESS + table;
}

static unsigned msix_table_size(void)
{
    return (config_read(msix_cap) >> 16 & 0x7ff) + 1;
}

static void msix_set_enabled(bool enabled)
{
    uint32_t control = config_read(msix_cap) & 0x3fffffff;

    config_write(msix_cap, control | (enabled ? 0x80000000u : 0));
}

static void msix_set_masked(unsigned vector, bool masked)
{
    mem_write(table_address + vector * 16 + 12, masked);
}

static void msix_program(unsigned vectors)
{
    for (unsigned v = 0; v < vectors; v++) {
        mem_write(table_address + v * 16, MESSAGE_WORD(v));
        mem_write(table_address + v * 16 + 4, 0);
        mem_write(table_address + v * 16 + 8, v + 1);
    }
}

/* --- NVMe --- */

static void nvme_start(void)
{
    mem_write(BAR_ADDRESS + NVME_CC, 0);
    mem_write(BAR_ADDRESS + NVME_AQA,
              (QUEUE_ENTRIES - 1) << 16 | (QUEUE_ENTRIES - 1));
    mem_write(BAR_ADDRESS + NVME_ASQ, SQ_ADDRESS(0));
    mem_write(BAR_ADDRESS + NVME_ASQ + 4, 0);
    mem_write(BAR_ADDRESS + NVME_ACQ, CQ_ADDRESS(0));
    mem_write(BAR_ADDRESS + NVME_ACQ + 4, 0);
    /* While MSI-X is off, no pin interrupts: the set-up below polls. */
    mem_write(BAR_ADDRESS + NVME_INTMS, 0xffffffff);
    mem_write(BAR_ADDRESS + NVME_CC, 4 << 20 | 6 << 16 | 1);
    for (unsigned i = 0; !(mem_read(BAR_ADDRESS + NVME_CSTS) & 1); i++) {
        if (i == 1000) {
            errx(1, "the nvme controller does not become ready");
        }
        usleep(1000);
    }
}

static void nvme_put(unsigned q, unsigned index, unsigned opcode,
                     uint32_t buffer, uint32_t cdw10, uint32_t cdw11)
{
    uint32_t sqe[16] = {
        [0] = opcode, [1] = q ? 1 : 0 /* namespace */, [6] = buffer,
        [10] = cdw10, [11] = cdw11,
    };
    char hex[sizeof(sqe) * 2 + 1];

    for (unsigned i = 0; i < sizeof(sqe); i++) {
        sprintf(hex + 2 * i, "%02x", sqe[i / 4] >> i % 4 * 8 & 0xff);
    }
    qtest_command("write 0x%x 0x%zx 0x%s",
                  SQ_ADDRESS(q) + index % QUEUE_ENTRIES * 64, sizeof(sqe), hex);
}

/* Hand the next command, already in place, to the controller. */
static void nvme_submit(unsigned q)
{
    queues[q].tail++;
    mem_write(BAR_ADDRESS + NVME_DOORBELL + 8 * q,
              queues[q].tail % QUEUE_ENTRIES);
}

/* The phase bit is 1 in the first pass over the queue, 0 in the second, ... */
static bool completion_present(unsigned q, unsigned *status)
{
    unsigned at = queues[q].head % QUEUE_ENTRIES;
    uint32_t dw3 = mem_read(CQ_ADDRESS(q) + at * 16 + 12);

    *status = dw3 >> 17;
    return (dw3 >> 16 & 1) != (queues[q].head / QUEUE_ENTRIES & 1);
}

static bool completion_take(unsigned q)
{
    unsigned status;

    if (!completion_present(q, &status)) {
        return false;
    }
    if (status) {
        errx(1, "nvme queue %u: a command failed with status 0x%x", q, status);
    }
    queues[q].head++;
    mem_write(BAR_ADDRESS + NVME_DOORBELL + 8 * q + 4,
              queues[q].head % QUEUE_ENTRIES);
    return true;
}

static void completion_wait(unsigned q)
{
    unsigned status;

    for (unsigned i = 0; !completion_present(q, &status); i++) {
        if (i == 5000) {
            errx(1, "nvme queue %u: no answer", q);
        }
        usleep(1000);
    }
}

static void nvme_admin(unsigned opcode, uint32_t buffer, uint32_t cdw10,
                       uint32_t cdw11)
{
    nvme_put(0, queues[0].tail, opcode, buffer, cdw10, cdw11);
    nvme_submit(0);
    completion_wait(0);
    completion_take(0);
}

static void nvme_fill_reads(void)
{
    for (unsigned i = 0; i < QUEUE_ENTRIES; i++) {
        nvme_put(1, i, IO_READ, READ_BUFFER, 0, 0);
    }
}

/* Queue pair q interrupts on vector q. */
static void nvme_create_pair(unsigned q)
{
    uint32_t size = (QUEUE_ENTRIES - 1) << 16 | q;

    nvme_admin(ADMIN_CREATE_CQ, CQ_ADDRESS(q), size, q << 16 | 3);
    nvme_admin(ADMIN_CREATE_SQ, SQ_ADDRESS(q), size, q << 16 | 1);
}

/* --- The two bring-ups --- */

static void vectors_reset(unsigned vectors)
{
    msix_set_enabled(false);
    for (unsigned v = 0; v < vectors; v++) {
        msix_set_masked(v, true);
    }
    qtest_command("memset 0x%x 0x%x 0", MESSAGE_WORD(0), 4 * vectors);
}

/* A line in the kernel's trace, between the calls that it shows. */
static void mark(const char *phase)
{
    FILE *f = fopen(marker, "w");

    if (!f || fprintf(f, "PHASE %s\n", phase) < 0 || fclose(f)) {
        err(1, "%s", marker);
    }
}

static void queues_create(unsigned vectors)
{
    msix_program(vectors);
    vectors_reset(vectors);
    /* All masked, but only with MSI-X on may a queue be given its vector. */
    msix_set_enabled(true);
    nvme_start();
    nvme_fill_reads();
    for (unsigned q = 1; q < vectors; q++) {
        nvme_create_pair(q);
    }
}

static double bring_up_quiet(unsigned vectors)
{
    double start = now_ms();

    msix_set_enabled(true);
    for (unsigned v = 0; v < vectors; v++) {
        msix_set_masked(v, false);
    }
    return now_ms() - start;
}

/* The machine may be busy: short bring-ups are repeated, the best counts. */
static double bring_up_time(unsigned vectors)
{
    double best, again;

    vectors_reset(vectors);
    mark("begin");
    best = bring_up_quiet(vectors);
    mark("end");
    for (unsigned i = 0; i < 4 && best < 1000; i++) {
        vectors_reset(vectors);
        again = bring_up_quiet(vectors);
        best = again < best ? again : best;
    }
    return best;
}

/* Which vectors were delivered since the last look, in one command for all */
static void interrupts_collect(unsigned vectors, bool arrived[])
{
    const char *hex = qtest_command("read 0x%x 0x%x", MESSAGE_WORD(0),
                                    4 * vectors);

    hex += strlen(" 0x");
    for (unsigned v = 0; v < vectors; v++) {
        arrived[v] = strncmp(hex + 8 * v, "00000000", 8) != 0;
    }
}

/* Interrupts that came for reads under way; a spurious one is allowed. */
static void queues_serve(unsigned vectors)
{
    bool arrived[MAX_VECTORS];

    interrupts_collect(vectors, arrived);
    for (unsigned q = 1; q < vectors; q++) {
        if (!arrived[q]) {
            continue;
        }
        mem_write(MESSAGE_WORD(q), 0);
        queues[q].delivered += completion_take(q);
    }
}

static void queues_submit(unsigned first, unsigned end)
{
    for (unsigned q = first; q < end; q++) {
        if (queues[q].head == queues[q].tail) {
            nvme_submit(q);
        }
    }
}

static unsigned min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static void bring_up_under_fire(unsigned vectors)
{
    vectors_reset(vectors);
    msix_set_enabled(true);
    msix_set_masked(0, false);
    for (unsigned v = 1; v < vectors; v++) {
        msix_set_masked(v, false);
        queues_serve(v + 1);
        queues_submit(1, min(v + 1, FIRE_VECTORS));
    }
}

/* All answers are in memory; then give interrupts under way time to arrive. */
static void settle(unsigned vectors)
{
    for (unsigned q = 1; q < vectors; q++) {
        if (queues[q].head != queues[q].tail) {
            completion_wait(q);
        }
    }
    for (unsigned i = 0; i < 20; i++) {
        queues_serve(vectors);
        usleep(10000);
    }
}

static unsigned queues_hung(unsigned vectors)
{
    unsigned hung = 0;

    for (unsigned q = 1; q < vectors; q++) {
        hung += queues[q].head != queues[q].tail;
    }
    return hung;
}

static void report(unsigned vectors, double quiet_ms)
{
    unsigned fired = 0, delivered = 0, served = 0;

    for (unsigned q = 1; q < vectors; q++) {
        fired += queues[q].tail;
        delivered += queues[q].delivered;
        served += queues[q].delivered > 0;
    }
    printf("RESULT vectors=%u\n", vectors);
    printf("RESULT bring_up_ms=%.0f\n", quiet_ms);
    printf("RESULT fired=%u\n", fired);
    printf("RESULT irqs=%u\n", delivered);
    printf("RESULT queues=%u\n", vectors - 1);
    printf("RESULT queues_served=%u\n", served);
    printf("RESULT queues_hung=%u\n", queues_hung(vectors));
}

static void qemu_ended(int signal)
{
    static const char message[] = "table: QEMU ended by itself\n";

    (void)signal;
    (void)!write(STDERR_FILENO, message, sizeof(message) - 1);
    _exit(1);
}

static void on_qemu_end(void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler };

    sigaction(SIGCHLD, &action, NULL);
}

static pid_t qemu_start(char **argv, int argc)
{
    struct sockaddr_un address = {
        .sun_family = AF_UNIX, .sun_path = SOCKET_PATH
    };
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    char *args[argc + 5];
    int client;
    pid_t pid;

    unlink(SOCKET_PATH);
    if (server < 0 || bind(server, (void *)&address, sizeof(address)) ||
        listen(server, 1)) {
        err(1, "%s", SOCKET_PATH);
    }
    memcpy(args, argv, argc * sizeof(*argv));
    args[argc] = "-qtest";
    args[argc + 1] = "unix:" SOCKET_PATH;
    args[argc + 2] = "-qtest-log";
    args[argc + 3] = "/dev/null";
    args[argc + 4] = NULL;

    on_qemu_end(qemu_ended);
    pid = fork();
    if (pid == 0) {
        execvp(args[0], args);
        err(127, "%s", args[0]);
    }
    client = accept(server, NULL, NULL);
    if (pid < 0 || client < 0) {
        err(1, "starting QEMU");
    }
    qtest_in = fdopen(client, "r");
    qtest_out = fdopen(dup(client), "w");
    close(server);
    return pid;
}

int main(int argc, char **argv)
{
    unsigned vectors;
    double quiet_ms;
    pid_t pid;

    if (argc < 7 || strcmp(argv[1], "--vectors") ||
        strcmp(argv[3], "--marker") || strcmp(argv[5], "--")) {
        errx(2, "usage: table --vectors N --marker FILE -- QEMU ARGS...");
    }
    vectors = atoi(argv[2]);
    marker = argv[4];
    if (vectors < 2 || vectors > MAX_VECTORS) {
        errx(2, "--vectors must be 2 to %u", MAX_VECTORS);
    }
    alarm(300);
    pid = qemu_start(argv + 6, argc - 6);

    device_map();
    if (msix_table_size() < vectors) {
        errx(1, "the MSI-X table has %u entries only", msix_table_size());
    }
    queues_create(vectors);
    quiet_ms = bring_up_time(vectors);
    for (unsigned i = 0; i < FIRE_ROUNDS(vectors); i++) {
        if (!queues_hung(vectors)) {
            bring_up_under_fire(vectors);
            settle(vectors);
        }
    }
    queues_submit(1, vectors);
    settle(vectors);
    report(vectors, quiet_ms);

    on_qemu_end(SIG_DFL);
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
    return 0;
}
