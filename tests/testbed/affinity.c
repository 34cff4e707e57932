// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * In the inner guest: readers keep an nvme disk busy while an interrupt of its
 * driver is moved from CPU to CPU, or CPUs go off and come back.
 *
 *   affinity DISK READERS irq MOVES NUMBER
 *   affinity DISK READERS cpus ROUNDS NUMBER...
 *
 * Readers are processes with one direct read of a random block at a time; what
 * they read is compared with what was written before. The driver gives up on
 * an interrupt after its time limit and says so in the kernel's log, so that a
 * lost one is a long read and a line there, not a reader that stays for ever.
 *
 * irq: a move is effective when effective_affinity says so, which is when the
 * next interrupt has arrived at the old place and was used to rewrite the
 * message. NUMBER is that of the interrupt. Who moves it reads a block now and
 * then, rather than to sleep: timers are slow under emulation.
 *
 * cpus: interrupts of queues are managed, their affinity cannot be written to;
 * a CPU that goes off hands those it served to another one. All but CPU 0 go
 * off and come back in each round, and the interrupts that this moved are
 * counted. The first NUMBER is that of the admin queue, which is not managed:
 * it is moved as well. Admin commands are under way all the time.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/nvme_ioctl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_SIZE      4096
#define BLOCKS          256
#define MAX_READERS     16
#define MAX_IRQS        8
/* A move that took no effect in this time is not going to. */
#define MOVE_LIMIT_MS   5000
/* Moves follow each other at once, and now and then after a rest. */
#define MOVES_PER_REST  10
#define REST_MS         150
/* Above the driver's own time limit */
#define STOP_LIMIT_MS   30000

typedef struct Reader {
    pid_t pid;
    int fd;
    uint64_t *block, *wanted;
    unsigned reads;
    unsigned wrong;
    double longest_ms;
} Reader;

/* Shared with the readers */
typedef struct Shared {
    volatile bool stop;
    Reader readers[MAX_READERS];
    Reader mover;
    unsigned admin_commands;
} Shared;

typedef struct Moves {
    unsigned tried;
    unsigned effective;
    double longest_ms;
} Moves;

static Shared *shared;
static unsigned cpus;

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

/* --- Load --- */

static uint64_t *block_alloc(void)
{
    void *block;

    if (posix_memalign(&block, BLOCK_SIZE, BLOCK_SIZE)) {
        errx(1, "no memory");
    }
    return block;
}

static void block_fill(uint64_t *block, unsigned number)
{
    for (unsigned i = 0; i < BLOCK_SIZE / sizeof(*block); i++) {
        block[i] = ((uint64_t)number << 32 | i) * 0x9e3779b97f4a7c15u;
    }
}

static void disk_fill(const char *disk)
{
    int fd = open(disk, O_WRONLY | O_DIRECT);
    uint64_t *block = block_alloc();

    for (unsigned i = 0; i < BLOCKS; i++) {
        block_fill(block, i);
        if (pwrite(fd, block, BLOCK_SIZE, i * BLOCK_SIZE) != BLOCK_SIZE) {
            err(1, "%s: write", disk);
        }
    }
    close(fd);
}

static void reader_open(Reader *reader, const char *disk)
{
    reader->fd = open(disk, O_RDONLY | O_DIRECT);
    reader->block = block_alloc();
    reader->wanted = block_alloc();
}

static void read_one(Reader *reader)
{
    unsigned number = rand() % BLOCKS;
    double took = now_ms();

    memset(reader->block, 0, BLOCK_SIZE);
    block_fill(reader->wanted, number);
    if (pread(reader->fd, reader->block, BLOCK_SIZE, number * BLOCK_SIZE) !=
        BLOCK_SIZE || memcmp(reader->block, reader->wanted, BLOCK_SIZE)) {
        reader->wrong++;
    }
    took = now_ms() - took;
    reader->longest_ms = took > reader->longest_ms ? took : reader->longest_ms;
    reader->reads++;
}

static pid_t fork_child(void)
{
    pid_t pid = fork();

    if (pid < 0) {
        err(1, "fork");
    }
    return pid;
}

static void reader_start(const char *disk, unsigned n)
{
    Reader *reader = &shared->readers[n];
    cpu_set_t set;

    reader->pid = fork_child();
    if (reader->pid) {
        return;
    }
    /* Only a start: a CPU that goes off sends its readers elsewhere. */
    CPU_ZERO(&set);
    CPU_SET(n % cpus, &set);
    sched_setaffinity(0, sizeof(set), &set);
    srand(n);
    reader_open(reader, disk);
    while (!shared->stop) {
        read_one(reader);
    }
    _exit(0);
}

/* Identify controller: NVM Express Base Specification 1.4, section 5.15 */
static pid_t admin_start(const char *disk)
{
    void *answer = block_alloc();
    struct nvme_admin_cmd command = {
        .opcode = 0x06, .addr = (uintptr_t)answer, .data_len = BLOCK_SIZE,
        .cdw10 = 1,
    };
    pid_t pid = fork_child();
    int fd;

    if (pid) {
        return pid;
    }
    fd = open(disk, O_RDONLY);
    while (!shared->stop && !ioctl(fd, NVME_IOCTL_ADMIN_CMD, &command)) {
        shared->admin_commands++;
    }
    _exit(!shared->stop);
}

/* Wait for a child as long as the driver may take; true if it ended well. */
static bool child_ended(pid_t pid, double deadline)
{
    int status;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (now_ms() > deadline) {
            return false;
        }
        usleep(10000);
    }
    return status == 0;
}

/* --- Moves --- */

static bool file_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) > 0;

    if (fd >= 0) {
        close(fd);
    }
    return ok;
}

static unsigned effective_cpus(unsigned irq)
{
    char path[64];
    unsigned mask = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/irq/%u/effective_affinity", irq);
    f = fopen(path, "r");
    if (!f || fscanf(f, "%x", &mask) != 1) {
        err(1, "%s", path);
    }
    fclose(f);
    return mask;
}

static void irq_move(unsigned irq, unsigned cpu, Moves *moves)
{
    char path[64], mask[16];
    double start = now_ms(), took;

    snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity", irq);
    snprintf(mask, sizeof(mask), "%x", 1u << cpu);
    if (!file_write(path, mask)) {
        err(1, "%s", path);
    }
    moves->tried++;
    do {
        read_one(&shared->mover);
        took = now_ms() - start;
    } while (effective_cpus(irq) != 1u << cpu && took < MOVE_LIMIT_MS);
    moves->effective += effective_cpus(irq) == 1u << cpu;
    moves->longest_ms = took > moves->longest_ms ? took : moves->longest_ms;
}

/* Long enough for QEMU to give the interrupt to the kernel */
static void irq_rest(void)
{
    double end = now_ms() + REST_MS;

    while (now_ms() < end) {
        read_one(&shared->mover);
    }
}

static void move_irq(const unsigned irqs[], unsigned count, Moves *moves)
{
    for (unsigned i = 1; i <= count; i++) {
        irq_move(irqs[0], i % cpus, moves);
        if (i % MOVES_PER_REST == 0) {
            irq_rest();
        }
    }
}

/* Interrupts that are not where they were, when they were looked at last */
static unsigned irqs_moved(const unsigned irqs[], unsigned where[])
{
    unsigned moved = 0;

    for (unsigned i = 0; irqs[i]; i++) {
        unsigned now = effective_cpus(irqs[i]);

        moved += where[i] && where[i] != now;
        where[i] = now;
    }
    return moved;
}

static void cpu_set_online(unsigned cpu, bool online)
{
    char path[64];

    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/online", cpu);
    if (!file_write(path, online ? "1" : "0")) {
        err(1, "%s", path);
    }
}

static void move_cpus(const unsigned irqs[], unsigned rounds, Moves *moves)
{
    unsigned where[MAX_IRQS] = { 0 }, moved = 0;

    for (unsigned i = 0; i < rounds; i++) {
        for (unsigned cpu = 1; cpu < cpus; cpu++) {
            irqs_moved(irqs + 1, where);
            cpu_set_online(cpu, false);
            moved += irqs_moved(irqs + 1, where);
        }
        for (unsigned cpu = 1; cpu < cpus; cpu++) {
            cpu_set_online(cpu, true);
            irq_move(irqs[0], cpu, moves);
        }
    }
    printf("RESULT queue_moves=%u\n", moved);
}

/* --- Main --- */

static void report(unsigned readers, unsigned hung, const Moves *moves)
{
    unsigned reads = 0, wrong = 0, served = 0;
    double longest = 0;

    for (unsigned i = 0; i < readers; i++) {
        const Reader *reader = &shared->readers[i];

        reads += reader->reads;
        wrong += reader->wrong;
        served += reader->reads > 0;
        longest = reader->longest_ms > longest ? reader->longest_ms : longest;
    }
    printf("RESULT moves=%u\n", moves->tried);
    printf("RESULT moves_effective=%u\n", moves->effective);
    printf("RESULT longest_move_ms=%.0f\n", moves->longest_ms);
    printf("RESULT readers=%u\n", readers);
    printf("RESULT readers_served=%u\n", served);
    printf("RESULT readers_hung=%u\n", hung);
    printf("RESULT reads=%u\n", reads);
    printf("RESULT reads_wrong=%u\n", wrong);
    printf("RESULT longest_read_ms=%.0f\n", longest);
    printf("RESULT admin_commands=%u\n", shared->admin_commands);
}

int main(int argc, char **argv)
{
    unsigned readers = argc > 5 ? atoi(argv[2]) : 0, hung = 0;
    bool by_irq = argc > 5 && !strcmp(argv[3], "irq");
    unsigned irqs[MAX_IRQS + 1] = { 0 };
    Moves moves = { 0 };
    double start, deadline;
    pid_t admin;

    if (!readers || readers > MAX_READERS || argc > 5 + MAX_IRQS) {
        errx(2, "usage: %s DISK READERS irq|cpus COUNT NUMBER...", argv[0]);
    }
    for (int i = 5; i < argc; i++) {
        irqs[i - 5] = atoi(argv[i]);
    }
    cpus = sysconf(_SC_NPROCESSORS_ONLN);
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    disk_fill(argv[1]);
    for (unsigned i = 0; i < readers; i++) {
        reader_start(argv[1], i);
    }
    admin = admin_start(argv[1]);
    reader_open(&shared->mover, argv[1]);

    start = now_ms();
    (by_irq ? move_irq : move_cpus)(irqs, atoi(argv[4]), &moves);
    printf("RESULT moves_ms=%.0f\n", now_ms() - start);

    shared->stop = true;
    deadline = now_ms() + STOP_LIMIT_MS;
    for (unsigned i = 0; i < readers; i++) {
        hung += !child_ended(shared->readers[i].pid, deadline);
    }
    hung += !child_ended(admin, deadline);
    report(readers, hung, &moves);
    return 0;
}
