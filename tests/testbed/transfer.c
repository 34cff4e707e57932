// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * See transfer.h.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "transfer.h"

#define STREAM_PATH     "/tmp/transfer.stream"

/* The main channel from the old QEMU, and what has come through it */
static struct {
    int server;
    int from;
    char *data;
    size_t size;
    size_t allocated;
} stream;

/* --- Sockets that QEMU listens on --- */

static bool path_exists(const char *path)
{
    struct stat s;

    return stat(path, &s) == 0;
}

static int socket_connect(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    for (unsigned i = 0; i < 20000; i++) {
        if (connect(fd, (void *)&address, sizeof(address)) == 0) {
            return fd;
        }
        usleep(1000);
    }
    err(1, "%s", path);
}

static void path_of(char path[64], const Machine *m, const char *what)
{
    snprintf(path, 64, "/tmp/transfer%u.%s", m->number, what);
}

/* --- Monitor: one JSON object per line --- */

static const char *monitor_answer(Machine *m)
{
    static char line[65536];

    while (fgets(line, sizeof(line), m->monitor)) {
        if (!strncmp(line, "{\"return\"", 9) ||
            !strncmp(line, "{\"error\"", 8)) {
            return line;
        }
    }
    errx(1, "QEMU closed its monitor");
}

const char *machine_tell(Machine *m, const char *command, const char *arguments)
{
    fprintf(m->monitor, "{\"execute\": \"%s\", \"arguments\": {%s}}\n", command,
            arguments ? arguments : "");
    fflush(m->monitor);
    return monitor_answer(m);
}

static void machine_must(Machine *m, const char *command, const char *arguments)
{
    const char *answer = machine_tell(m, command, arguments);

    if (strncmp(answer, "{\"return\"", 9)) {
        errx(1, "%s: %s", command, answer);
    }
}

static void monitor_open(Machine *m)
{
    char path[64];

    path_of(path, m, "monitor");
    m->monitor = fdopen(socket_connect(path), "r+");
    machine_must(m, "qmp_capabilities", NULL);
}

/* --- Machines --- */

static void machine_launch(Machine *m, char **argv, int argc,
                           const char *main_channel, const char *cpr_channel)
{
    static unsigned launched;
    char monitor[128], path[64];
    char *args[argc + 6];

    m->number = launched++;
    path_of(path, m, "monitor");
    snprintf(monitor, sizeof(monitor), "unix:%s,server=on,wait=off", path);
    memcpy(args, argv, argc * sizeof(*argv));
    args[argc++] = "-qmp";
    args[argc++] = monitor;
    if (main_channel) {
        args[argc++] = "-incoming";
        args[argc++] = (char *)main_channel;
        args[argc++] = "-incoming";
        args[argc++] = (char *)cpr_channel;
    }
    qemu_launch(&m->qemu, args, argc);
}

void machine_start(Machine *m, char **argv, int argc)
{
    machine_launch(m, argv, argc, NULL, NULL);
    qemu_use(&m->qemu);
    monitor_open(m);
}

void machine_end(Machine *m)
{
    fclose(m->monitor);
    qemu_end(&m->qemu);
}

/* --- The transfer --- */

#define MAIN_PATH       "/tmp/transfer.main"
#define CPR_PATH        "/tmp/transfer.cpr"
#define UNIX_SOCKET     "\"addr\": {\"transport\": \"socket\", " \
                        "\"type\": \"unix\", \"path\": \"%s\"}"

static void receiver_start(Machine *to, char **argv, int argc)
{
    char cpr_channel[256];

    unlink(MAIN_PATH);
    unlink(CPR_PATH);
    snprintf(cpr_channel, sizeof(cpr_channel),
             "{\"channel-type\": \"cpr\", " UNIX_SOCKET "}", CPR_PATH);
    machine_launch(to, argv, argc, "unix:" MAIN_PATH, cpr_channel);
    for (unsigned i = 0; !path_exists(CPR_PATH); i++) {
        if (i == 20000) {
            errx(1, "the new QEMU does not listen on " CPR_PATH);
        }
        usleep(1000);
    }
}

/* The socket is there before it listens: the first tries may fail. */
static void sender_start(Machine *from)
{
    char arguments[512];
    const char *answer = "";

    snprintf(arguments, sizeof(arguments), "\"channels\": ["
             "{\"channel-type\": \"main\", " UNIX_SOCKET "}, "
             "{\"channel-type\": \"cpr\", " UNIX_SOCKET "}]",
             STREAM_PATH, CPR_PATH);
    machine_must(from, "migrate-set-parameters", "\"mode\": \"cpr-transfer\"");
    for (unsigned i = 0; i < 50; i++) {
        answer = machine_tell(from, "migrate", arguments);
        if (!strncmp(answer, "{\"return\"", 9)) {
            return;
        }
        usleep(100000);
    }
    errx(1, "migrate: %s", answer);
}

void transfer_begin(Machine *from, Machine *to, char **argv, int argc)
{
    stream.server = socket_listen(STREAM_PATH);
    stream.from = -1;
    stream.size = 0;
    receiver_start(to, argv, argc);
    sender_start(from);
}

static bool is_readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };

    return poll(&p, 1, 0) > 0;
}

/* Returns false at the end */
static bool stream_receive(void)
{
    ssize_t size;

    if (stream.allocated - stream.size < 65536) {
        stream.allocated += 1 << 20;
        stream.data = realloc(stream.data, stream.allocated);
        if (!stream.data) {
            err(1, "the stream of the migration");
        }
    }
    size = read(stream.from, stream.data + stream.size,
                stream.allocated - stream.size);
    if (size < 0) {
        err(1, "the stream of the migration");
    }
    stream.size += size;
    return size > 0;
}

bool transfer_sent(void)
{
    if (stream.from < 0) {
        if (is_readable(stream.server)) {
            stream.from = accept(stream.server, NULL, NULL);
        }
        return false;
    }
    while (is_readable(stream.from)) {
        if (!stream_receive()) {
            close(stream.from);
            close(stream.server);
            return true;
        }
    }
    return false;
}

static bool migration_has_status(Machine *m, const char *status)
{
    char text[64];

    snprintf(text, sizeof(text), "\"status\": \"%s\"", status);
    return strstr(machine_tell(m, "query-migrate", NULL), text);
}

static void wait_for_status(Machine *m, const char *status)
{
    for (unsigned i = 0; !migration_has_status(m, status); i++) {
        if (i == 20000) {
            errx(1, "the migration is not %s: %s", status,
                 machine_tell(m, "query-migrate", NULL));
        }
        usleep(1000);
    }
}

/* The new QEMU ends when it is told to, as it does not get anything. */
void transfer_break(Machine *from, Machine *to)
{
    while (stream.from < 0) {
        transfer_sent();
        usleep(100);
    }
    close(stream.from);
    close(stream.server);
    wait_for_status(from, "failed");
    qemu_end(&to->qemu);
}

static void stream_send(int fd)
{
    for (size_t sent = 0; sent < stream.size;) {
        ssize_t size = write(fd, stream.data + sent, stream.size - sent);

        if (size < 0) {
            err(1, "the new QEMU does not take the stream");
        }
        sent += size;
    }
    close(fd);
}

void transfer_end(Machine *from, Machine *to)
{
    wait_for_status(from, "completed");
    stream_send(socket_connect(MAIN_PATH));
    qemu_use(&to->qemu);
    monitor_open(to);
    wait_for_status(to, "completed");
}
