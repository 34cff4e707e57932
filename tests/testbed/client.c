// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See client.h. MSI-X: PCI Local Bus Specification 3.0, section 6.8.2.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "client.h"

#define DEVICE_SLOT     5               /* addr=5 in the QEMU command */
#define MESSAGE_WORD(v) (0x1000000u + 4 * (v))

Queue queues[MAX_VECTORS];

static const QueueOps *queue_ops;
static unsigned msix_cap;
static uint32_t table_address;
static const char *tracing;
/* The one that commands go to */
static QEMUProcess *qemu;

/* --- qtest protocol: one line out, one line back --- */

const char *qtest_command(const char *format, ...)
{
    static char line[4096];
    va_list args;

    va_start(args, format);
    vfprintf(qemu->out, format, args);
    va_end(args);
    fputc('\n', qemu->out);
    fflush(qemu->out);
    if (!fgets(line, sizeof(line), qemu->in)) {
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

void mem_write(uint32_t address, uint32_t value)
{
    qtest_command("writel 0x%x 0x%x", address, value);
}

uint32_t mem_read(uint32_t address)
{
    return value_of(qtest_command("readl 0x%x", address));
}

/* As many as fit in a line. The answer has bytes, as they lie in memory. */
void mem_read_words(uint32_t address, uint32_t words[], unsigned count)
{
    const char *hex = qtest_command("read 0x%x 0x%x", address, 4 * count);
    uint32_t value;

    hex += strlen(" 0x");
    for (unsigned i = 0; i < count; i++) {
        if (sscanf(hex + 8 * i, "%8x", &value) != 1) {
            errx(1, "qtest answered without data: %s", hex);
        }
        words[i] = __builtin_bswap32(value);
    }
}

void mem_write_bytes(uint32_t address, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    char hex[size * 2 + 1];

    for (size_t i = 0; i < size; i++) {
        sprintf(hex + 2 * i, "%02x", bytes[i]);
    }
    qtest_command("write 0x%x 0x%zx 0x%s", address, size, hex);
}

static uint32_t config_address(unsigned offset)
{
    return 0x80000000u | DEVICE_SLOT << 11 | (offset & ~3u);
}

static void config_select(unsigned offset)
{
    qtest_command("outl 0xcf8 0x%x", config_address(offset));
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

double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

void wait_until(bool (*condition)(unsigned), unsigned arg, const char *what)
{
    for (unsigned i = 0; !condition(arg); i++) {
        if (i == 20000) {
            errx(1, "%s %u: no answer", what, arg);
        }
        usleep(1000);
    }
}

/* --- PCI --- */

void bar_map(unsigned bar, uint32_t address)
{
    config_write(0x10 + 4 * bar, address);
    config_write(0x14 + 4 * bar, 0);
}

static unsigned msix_table_size(void)
{
    return (config_read(msix_cap) >> 16 & 0x7ff) + 1;
}

void device_enable(unsigned vectors)
{
    unsigned cap = config_read(0x34) & 0xff;
    uint32_t table;

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
    if (msix_table_size() < vectors) {
        errx(1, "the MSI-X table has %u entries only", msix_table_size());
    }
}

void msix_set_enabled(bool enabled)
{
    uint32_t control = config_read(msix_cap) & 0x3fffffff;

    config_write(msix_cap, control | (enabled ? 0x80000000u : 0));
}

void msix_set_function_masked(bool masked)
{
    uint32_t control = config_read(msix_cap) & 0x3fffffff;

    config_write(msix_cap, control | 0x80000000u | (masked ? 0x40000000u : 0));
}

void msix_set_masked(unsigned vector, bool masked)
{
    mem_write(table_address + vector * 16 + 12, masked);
}

void msix_set_message(unsigned vector, uint32_t address, uint32_t data)
{
    mem_write(table_address + vector * 16, address);
    mem_write(table_address + vector * 16 + 4, 0);
    mem_write(table_address + vector * 16 + 8, data);
}

void msix_program(unsigned vectors)
{
    for (unsigned v = 0; v < vectors; v++) {
        msix_set_message(v, MESSAGE_WORD(v), v + 1);
    }
}

/* The pending bits are in BAR 0 too. */
bool msix_is_pending(unsigned vector)
{
    uint32_t pba = config_read(msix_cap + 8) & ~7u;

    return mem_read(BAR_ADDRESS + pba + vector / 32 * 4) >> vector % 32 & 1;
}

uint32_t msix_table_address(void)
{
    return table_address;
}

uint32_t msix_control_select(void)
{
    return config_address(msix_cap);
}

/* --- Vectors under fire --- */

void vectors_reset(unsigned vectors)
{
    msix_set_enabled(false);
    for (unsigned v = 0; v < vectors; v++) {
        msix_set_masked(v, true);
    }
    qtest_command("memset 0x%x 0x%x 0", MESSAGE_WORD(0), 4 * vectors);
}

static void tracing_write(const char *file, const char *prefix,
                          const char *text)
{
    char path[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", tracing, file);
    f = fopen(path, "w");
    if (!f || fprintf(f, "%s%s\n", prefix, text) < 0 || fclose(f)) {
        err(1, "%s", path);
    }
}

/* A line in the kernel's trace, between the calls that it shows. */
void mark(const char *phase)
{
    tracing_write("trace_marker", "PHASE ", phase);
}

void calls_record(bool on)
{
    tracing_write("events/kprobes/enable", "", on ? "1" : "0");
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

/*
 * Take back words that were seen to have changed, neighbours in one command.
 * An interrupt that comes before that is not lost: answers are in memory
 * before their interrupt, and are looked at after this.
 */
static void interrupts_clear(unsigned vectors, const bool arrived[])
{
    unsigned end;

    for (unsigned v = 0; v < vectors; v = end + 1) {
        for (end = v; end < vectors && arrived[end]; end++) {
        }
        if (end > v) {
            qtest_command("memset 0x%x 0x%x 0", MESSAGE_WORD(v), 4 * (end - v));
        }
    }
}

/* Interrupts that came for requests under way; a spurious one is allowed. */
static void queues_serve(unsigned vectors)
{
    bool arrived[MAX_VECTORS];

    interrupts_collect(vectors, arrived);
    interrupts_clear(vectors, arrived);
    for (unsigned q = 1; q < vectors; q++) {
        if (arrived[q] && queues[q].head != queues[q].tail &&
            queue_ops->answered(q)) {
            queue_ops->take(q);
            queues[q].head++;
            queues[q].delivered++;
        }
    }
}

void queues_submit(unsigned first, unsigned end)
{
    for (unsigned q = first; q < end; q++) {
        if (queues[q].head == queues[q].tail) {
            queues[q].tail++;
            queue_ops->submit(q);
        }
    }
}

static unsigned min(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

void bring_up_under_fire(unsigned vectors)
{
    vectors_reset(vectors);
    msix_set_enabled(true);
    msix_set_masked(0, false);
    for (unsigned v = 1; v < vectors; v++) {
        msix_set_masked(v, false);
        queues_serve(v + 1);
        queues_submit(1, min(v + 1, queue_ops->fire_vectors));
    }
}

void settle(unsigned vectors)
{
    for (unsigned q = 1; q < vectors; q++) {
        if (queues[q].head != queues[q].tail) {
            wait_until(queue_ops->answered, q, "queue");
        }
    }
    for (unsigned i = 0; i < 20; i++) {
        queues_serve(vectors);
        usleep(10000);
    }
}

unsigned queues_hung(unsigned vectors)
{
    unsigned hung = 0;

    for (unsigned q = 1; q < vectors; q++) {
        hung += queues[q].head != queues[q].tail;
    }
    return hung;
}

void report(unsigned vectors, double bring_up_ms)
{
    unsigned fired = 0, delivered = 0, served = 0;

    for (unsigned q = 1; q < vectors; q++) {
        fired += queues[q].tail * queue_ops->interrupts;
        delivered += queues[q].delivered;
        served += queues[q].delivered > 0;
    }
    printf("RESULT vectors=%u\n", vectors);
    printf("RESULT bring_up_ms=%.0f\n", bring_up_ms);
    printf("RESULT fired=%u\n", fired);
    printf("RESULT irqs=%u\n", delivered);
    printf("RESULT queues=%u\n", vectors - 1);
    printf("RESULT queues_served=%u\n", served);
    printf("RESULT queues_hung=%u\n", queues_hung(vectors));
}

/* --- QEMU --- */

static void qemu_ended(int signal)
{
    static const char message[] = "QEMU ended by itself\n";

    (void)signal;
    (void)!write(STDERR_FILENO, message, sizeof(message) - 1);
    _exit(1);
}

static void on_qemu_end(void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler };

    sigaction(SIGCHLD, &action, NULL);
}

int socket_listen(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    unlink(path);
    if (server < 0 || bind(server, (void *)&address, sizeof(address)) ||
        listen(server, 1)) {
        err(1, "%s", path);
    }
    return server;
}

void qemu_launch(QEMUProcess *q, char **argv, int argc)
{
    static unsigned launched;
    char option[64];
    char *args[argc + 5];

    snprintf(option, sizeof(option), "unix:/tmp/client.qtest%u", launched++);
    q->server = socket_listen(option + strlen("unix:"));
    memcpy(args, argv, argc * sizeof(*argv));
    args[argc] = "-qtest";
    args[argc + 1] = option;
    args[argc + 2] = "-qtest-log";
    args[argc + 3] = "/dev/null";
    args[argc + 4] = NULL;

    on_qemu_end(qemu_ended);
    q->pid = fork();
    if (q->pid == 0) {
        execvp(args[0], args);
        err(127, "%s", args[0]);
    }
    if (q->pid < 0) {
        err(1, "starting QEMU");
    }
}

void qemu_use(QEMUProcess *q)
{
    int client = accept4(q->server, NULL, NULL, SOCK_CLOEXEC);

    if (client < 0) {
        err(1, "QEMU's qtest socket");
    }
    q->in = fdopen(client, "r");
    q->out = fdopen(fcntl(client, F_DUPFD_CLOEXEC, 0), "w");
    close(q->server);
    qemu = q;
}

void qemu_end(QEMUProcess *q)
{
    on_qemu_end(SIG_DFL);
    kill(q->pid, SIGTERM);
    waitpid(q->pid, NULL, 0);
    on_qemu_end(qemu_ended);
    if (q->in) {
        fclose(q->in);
        fclose(q->out);
    } else {
        close(q->server);
    }
}

unsigned client_parse(int argc, char **argv, const QueueOps *ops)
{
    unsigned vectors;

    if (argc < 7 || strcmp(argv[1], "--vectors") ||
        strcmp(argv[3], "--tracing") || strcmp(argv[5], "--")) {
        errx(2, "usage: %s --vectors N --tracing DIR -- QEMU ARGS...",
             argv[0]);
    }
    vectors = atoi(argv[2]);
    tracing = argv[4];
    queue_ops = ops;
    if (vectors < 2 || vectors > MAX_VECTORS) {
        errx(2, "--vectors must be 2 to %u", MAX_VECTORS);
    }
    alarm(300);
    return vectors;
}

unsigned client_start(int argc, char **argv, const QueueOps *ops)
{
    static QEMUProcess only;
    unsigned vectors = client_parse(argc, argv, ops);

    qemu_launch(&only, argv + 6, argc - 6);
    qemu_use(&only);
    return vectors;
}

void client_end(void)
{
    qemu_end(qemu);
}
