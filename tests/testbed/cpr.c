// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A virtual machine under KVM moves from one QEMU to another (cpr-transfer)
 * while an assigned idxd-ims interrupts.
 *
 * The QEMU command that follows the first "--" is the old one, that after the
 * second "--" the new one. The guest is the bare guest. Each work queue has one
 * request under way at most; it raises the queue's vector. It is answered when
 * the guest's CPU has counted an interrupt on that vector that came after the
 * request, so that an interrupt that is lost is a queue that hangs.
 *
 * Each queue has a role in a transfer, another one in the next. What is judged:
 *   lost      a queue that is not masked (any more), whose request is done, and
 *             that got no interrupt within a time that is long for all that is
 *             involved
 *   masked    interrupts of a queue that is masked, and was before the request
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bare-client.h"
#include "idxd-work.h"
#include "transfer.h"

#define MAX_WQS         64
#define TRANSFERS       8
#define TRANSFER_SECONDS 300
#define CYCLES          4
#define COPY_SIZE       0x1000
/* Of a queue: much longer than copy, interrupt and delivery take */
#define LOST_MS         5000
/* Longer than it takes for a delivery to settle */
#define SETTLE_US       300000

/*
 * Copies that go on while the new QEMU takes over; each of them interrupts.
 * Batches that end before the guest runs again judge: what it gets came after
 * the last copy.
 */
#define BATCH_SIZE      256
#define BATCH_COPY_SIZE 0x10000
#define BATCH_LIST(q)   (0x1a00000u + 64 * BATCH_SIZE * (q))
#define BATCH_RECORD    0x1900000u

typedef enum Role {
    /* Interrupts all the time */
    LIVE,
    /* Unmasked all the time, interrupts once when no QEMU listens */
    QUIET,
    /* The same, and goes on while the new QEMU takes over */
    BUSY,
    /* Masked and unmasked just before the transfer */
    FRESH,
    /* Masked before the transfer, interrupts when no QEMU listens */
    MASKED,
    /* Masked, and has interrupted, before the transfer */
    PENDING,
    /* As MASKED, but masked when the new QEMU has its file descriptors */
    MASKED_LATE,
    /* Unmasked when the new QEMU has its file descriptors */
    UNMASKED_LATE,
    /* Never unmasked, interrupts when no QEMU listens */
    UNUSED,
    /* Unmasked for the first time when the new QEMU has its file descriptors */
    USED_LATE,
    /* The same, and masked again */
    USED_AND_MASKED_LATE,
    ROLES,
} Role;

static const char *const role_names[ROLES] = {
    "live", "quiet", "busy", "fresh", "masked", "pending", "masked_late",
    "unmasked_late", "unused", "used_late", "used_and_masked_late",
};

typedef struct Line {
    Role role;
    bool masked;
    bool batch;                 /* the request since the gap is one */
    uint32_t seen;              /* interrupts */
    double due_ms;              /* when the request under way is overdue */
} Line;

/* Since the program was started */
typedef struct Score {
    unsigned fired;
    unsigned lost;
    unsigned masked;
    /* Requests done while the guest was stopped, with no QEMU listening */
    unsigned gap;
    /* Batches that went on when the new QEMU took over, but not for longer */
    unsigned takeover;
    /* Pending bits that the guest should see after the transfer, and sees */
    unsigned pending, pending_seen;
} Score;

static Line lines[MAX_WQS + 1];
static Score scores[ROLES];
static unsigned wqs;
static const QueueOps no_queues;

/* --- Work --- */

static uint32_t record(unsigned q)
{
    return IDXD_RECORD(q, queues[q].tail % IDXD_MAX_REQUESTS);
}

static bool under_way(unsigned q)
{
    return queues[q].head != queues[q].tail;
}

static bool done(unsigned q)
{
    return under_way(q) && idxd_answered(q, record(q));
}

static void submit(unsigned q, bool batch)
{
    queues[q].tail++;
    mem_write(record(q), 0);
    lines[q].due_ms = now_ms() + LOST_MS;
    lines[q].batch = batch;
    if (batch) {
        idxd_descriptor_put(IDXD_PORTAL(q), q, IDXD_BATCH, record(q),
                            BATCH_LIST(q), BATCH_SIZE >> rand() % 6);
    } else {
        idxd_descriptor_put(IDXD_PORTAL(q), q, IDXD_MEMMOVE, record(q),
                            IDXD_SOURCE, COPY_SIZE);
    }
    scores[lines[q].role].fired++;
}

static void batches_prepare(void)
{
    for (unsigned q = 1; q <= wqs; q++) {
        for (unsigned i = 0; i < BATCH_SIZE; i++) {
            idxd_descriptor_put(BATCH_LIST(q) + 64 * i, q, IDXD_MEMMOVE,
                                BATCH_RECORD, IDXD_SOURCE, BATCH_COPY_SIZE);
        }
    }
}

/* --- Interrupts --- */

static void counts_read(uint32_t counts[])
{
    mem_read_words(BARE_COUNTERS, counts, wqs + 1);
}

static void interrupts_take(unsigned q, const uint32_t counts[])
{
    Line *line = &lines[q];
    unsigned arrived = counts[q] - line->seen;

    line->seen = counts[q];
    if (arrived && line->masked) {
        scores[line->role].masked += arrived;
    } else if (arrived && done(q)) {
        queues[q].head++;
    }
}

static void overdue_drop(unsigned q)
{
    if (lines[q].masked || !under_way(q)) {
        lines[q].due_ms = now_ms() + LOST_MS;
    } else if (now_ms() > lines[q].due_ms && done(q)) {
        warnx("lost: WQ %u, %s", q - 1, role_names[lines[q].role]);
        scores[lines[q].role].lost++;
        queues[q].head++;
    }
}

/* Take what came; returns how many unmasked queues wait for their interrupt */
static unsigned collect(void)
{
    uint32_t counts[MAX_WQS + 1];
    unsigned waiting = 0;

    counts_read(counts);
    for (unsigned q = 1; q <= wqs; q++) {
        interrupts_take(q, counts);
        overdue_drop(q);
        waiting += under_way(q) && !lines[q].masked;
    }
    return waiting;
}

static void fire(Role role, bool batch)
{
    for (unsigned q = 1; q <= wqs; q++) {
        if (lines[q].role == role && !under_way(q)) {
            submit(q, batch);
        }
    }
}

static void serve(void)
{
    collect();
    fire(LIVE, false);
}

static void serve_for(double ms)
{
    double end = now_ms() + ms;

    while (now_ms() < end) {
        serve();
    }
}

/* Until no unmasked queue waits any more */
static void drain(void)
{
    while (collect()) {
        usleep(1000);
    }
}

/* What has been sent is counted; from then on it is masked. */
static void line_mask(unsigned q)
{
    uint32_t counts[MAX_WQS + 1];

    msix_set_masked(q, true);
    bare_fence();
    counts_read(counts);
    interrupts_take(q, counts);
    lines[q].masked = true;
}

static void line_unmask(unsigned q)
{
    lines[q].masked = false;
    lines[q].due_ms = now_ms() + LOST_MS;
    msix_set_masked(q, false);
}

static void for_role(Role role, void (*change)(unsigned q))
{
    for (unsigned q = 1; q <= wqs; q++) {
        if (lines[q].role == role) {
            change(q);
        }
    }
}

/* --- A transfer --- */

static bool starts_unused(Role role)
{
    return role >= UNUSED;
}

static void bring_up(unsigned shift)
{
    idxd_open(wqs);
    bare_start();
    bare_msix_program(wqs + 1);
    batches_prepare();
    vectors_reset(wqs + 1);
    msix_set_enabled(true);
    msix_set_masked(0, false);
    for (unsigned q = 1; q <= wqs; q++) {
        lines[q] = (Line) { .role = (q - 1 + shift) % ROLES, .masked = true };
        queues[q] = (Queue) { 0 };
        if (!starts_unused(lines[q].role)) {
            line_unmask(q);
        }
    }
    usleep(SETTLE_US);
}

static void before(void)
{
    for (unsigned i = 0; i < CYCLES; i++) {
        for (Role role = LIVE; role < UNUSED; role++) {
            fire(role, false);
        }
        drain();
    }
    for_role(UNMASKED_LATE, line_mask);
    for_role(MASKED, line_mask);
    for_role(PENDING, line_mask);
    fire(PENDING, false);
    serve_for(rand() % 200);
    for_role(FRESH, line_mask);
    for_role(FRESH, line_unmask);
    fire(FRESH, false);
}

/* The new QEMU has its file descriptors, the guest runs in the old one. */
static void late_changes(void)
{
    for_role(MASKED_LATE, line_mask);
    for_role(UNMASKED_LATE, line_unmask);
    for_role(USED_LATE, line_unmask);
    for_role(USED_AND_MASKED_LATE, line_unmask);
    for_role(USED_AND_MASKED_LATE, line_mask);
}

static void handover(void)
{
    late_changes();
    while (!transfer_sent()) {
        serve();
    }
}

/*
 * Guest RAM and the device are still there for the old QEMU, the guest is
 * stopped. Queues that wait for an interrupt since before keep doing so.
 */
static void gap(void)
{
    uint32_t counts[MAX_WQS + 1], after[MAX_WQS + 1];

    counts_read(counts);
    for (unsigned q = 1; q <= wqs; q++) {
        if (!under_way(q) && lines[q].role != BUSY) {
            submit(q, false);
            wait_until(done, q, "WQ");
            scores[lines[q].role].gap++;
        }
    }
    counts_read(after);
    if (memcmp(counts + 1, after + 1, wqs * sizeof(*counts))) {
        errx(1, "the guest was not stopped");
    }
    fire(BUSY, true);
}

static void takeover_count(void)
{
    for (unsigned q = 1; q <= wqs; q++) {
        scores[lines[q].role].takeover += lines[q].batch && done(q);
    }
}

static void pending_bits_check(void)
{
    for (unsigned q = 1; q <= wqs; q++) {
        if (lines[q].masked && !starts_unused(lines[q].role) && done(q)) {
            scores[lines[q].role].pending++;
            scores[lines[q].role].pending_seen += msix_is_pending(q);
        }
    }
}

static void after(void)
{
    bare_fence();
    serve_for(SETTLE_US / 1000);
    pending_bits_check();
    drain();
    for (unsigned q = 1; q <= wqs; q++) {
        if (lines[q].masked) {
            line_unmask(q);
        }
    }
    drain();
}

/* All vectors, one request each: while masked, then unmasked */
static void masks_check(void)
{
    for (unsigned q = 1; q <= wqs; q++) {
        line_mask(q);
        submit(q, false);
        wait_until(done, q, "WQ");
    }
    bare_fence();
    collect();
    for (unsigned q = 1; q <= wqs; q++) {
        line_unmask(q);
    }
    drain();
}

static void masks_check_all(const char *phase)
{
    mark(phase);
    masks_check();
    usleep(SETTLE_US);
    masks_check();
    mark("end");
}

static unsigned count_of(const char *text, const char *what)
{
    unsigned count = 0;

    while ((text = strstr(text, what))) {
        text += strlen(what);
        count++;
    }
    return count;
}

/* How the new QEMU says that it delivers, if it does */
static unsigned irqfds(Machine *m)
{
    return count_of(machine_tell(m, "qom-get",
                                 "\"path\": \"/machine/peripheral/device\", "
                                 "\"property\": \"x-irq-vectors\""),
                    "\"irqfd\"");
}

static void transfer(Machine *old, Machine *new, char **argv, int argc)
{
    before();
    mark("transfer");
    transfer_begin(old, new, argv, argc);
    handover();
    gap();
    transfer_end(old, new);
    takeover_count();
    machine_end(old);
    mark("end");
    after();
}

/* The guest stays where it is, and gets what comes before and after. */
static void failed_transfer(Machine *old, Machine *new, char **argv, int argc)
{
    before();
    transfer_begin(old, new, argv, argc);
    late_changes();
    for (Role role = LIVE; role < ROLES; role++) {
        fire(role, false);
    }
    transfer_break(old, new);
    after();
}

/* --- Report --- */

static void print_all(const char *name, size_t offset)
{
    unsigned sum = 0;

    for (Role role = 0; role < ROLES; role++) {
        unsigned value = *(unsigned *)((char *)&scores[role] + offset);

        printf("RESULT %s_%s=%u\n", role_names[role], name, value);
        sum += value;
    }
    printf("RESULT %s=%u\n", name, sum);
}

static void print_scores(void)
{
    print_all("fired", offsetof(Score, fired));
    print_all("gap", offsetof(Score, gap));
    print_all("takeover", offsetof(Score, takeover));
    print_all("lost", offsetof(Score, lost));
    print_all("delivered_masked", offsetof(Score, masked));
    print_all("pending", offsetof(Score, pending));
    print_all("pending_seen", offsetof(Score, pending_seen));
}

static int find_new(int argc, char **argv)
{
    for (int i = 6; i < argc; i++) {
        if (!strcmp(argv[i], "--")) {
            return i;
        }
    }
    errx(2, "usage: %s --vectors N --tracing DIR -- OLD QEMU... -- NEW QEMU...",
         argv[0]);
}

int main(int argc, char **argv)
{
    int new = find_new(argc, argv);
    Machine machines[2] = { 0 };
    unsigned at_irqfd = 0;

    wqs = client_parse(new, argv, &no_queues) - 1;
    if (wqs > MAX_WQS) {
        errx(2, "--vectors must be %u or less", MAX_WQS + 1);
    }
    /* One more, which fails */
    for (unsigned i = 0; i <= TRANSFERS; i++) {
        Machine *last = &machines[i < TRANSFERS];

        alarm(TRANSFER_SECONDS);
        machine_start(&machines[0], argv + 6, new - 6);
        bring_up(i);
        (i < TRANSFERS ? transfer : failed_transfer)
            (&machines[0], &machines[1], argv + new + 1, argc - new - 1);
        masks_check_all(i < TRANSFERS ? "masks" : "masks_old");
        idxd_check();
        usleep(SETTLE_US);
        at_irqfd += i < TRANSFERS ? irqfds(last) : 0;
        machine_end(last);
        memset(machines, 0, sizeof(machines));
    }
    printf("RESULT vectors=%u\n", wqs + 1);
    printf("RESULT transfers=%u\n", TRANSFERS);
    printf("RESULT irqfds=%u\n", at_irqfd);
    print_scores();
    return 0;
}
