/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest under TCG whose CPUs run small programs next to an idxd-ims
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "idxd-guest.h"

/* What idxd-guest.S has as well */
#define BASE            0x8000
#define PAGE_TABLE      0x10000
#define MAILBOX         0x20000
#define MAILBOX_SIZE    0x1000

enum {
    GO = 0x00, RAX = 0x08, RCX = 0x10, RDX = 0x18, RBX = 0x20, RSI = 0x28,
    RDI = 0x30, CS = 0x38, SS = 0x40, RIP = 0x48, VECTOR = 0x50, ERROR = 0x58,
    CR2 = 0x60, RFLAGS = 0x68, ALIVE = 0x70, CODE = 0x100,
};

#define PAGE_PRESENT    0x01
#define PAGE_WRITE      0x02
#define PAGE_USER       0x04
#define PAGE_USED       0x60        /* accessed, dirty */
#define PAGE_LARGE      0x80

#define FIRMWARE_SIZE   (64 * KiB)
#define RESET_OFFSET    (FIRMWARE_SIZE - 16)

/* Only used up where a test fails */
#define WAIT_SECONDS    60

static const uint8_t guest_code[] = {
#include "idxd-guest-code.h"
};

static uint64_t mailbox(unsigned cpu, unsigned field)
{
    return MAILBOX + cpu * MAILBOX_SIZE + field;
}

static uint64_t get_field(IdxdVM *vm, unsigned cpu, unsigned field)
{
    return qtest_readq(vm->qts, mailbox(cpu, field));
}

static void set_field(IdxdVM *vm, unsigned cpu, unsigned field, uint64_t val)
{
    qtest_writeq(vm->qts, mailbox(cpu, field), val);
}

static void wait_field(IdxdVM *vm, unsigned cpu, unsigned field, uint64_t val)
{
    int64_t end = g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC;

    while (get_field(vm, cpu, field) != val) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
        g_usleep(100);
    }
}

static char *firmware;

static void remove_firmware(void)
{
    unlink(firmware);
}

/*
 * ljmp to the guest, which is not there until the machine is started.  One
 * file is for all machines, and for those to which they migrate.
 */
static void write_firmware(void)
{
    static const uint8_t reset[] = {
        0xea, 0x00, 0x00, BASE >> 4 & 0xff, BASE >> 12,
    };
    g_autofree uint8_t *image = g_malloc0(FIRMWARE_SIZE);
    int fd = g_file_open_tmp("idxd-guest-XXXXXX", &firmware, NULL);

    g_assert_cmpint(fd, >=, 0);
    atexit(remove_firmware);
    memcpy(image + RESET_OFFSET, reset, sizeof(reset));
    g_assert_cmpint(write(fd, image, FIRMWARE_SIZE), ==, FIRMWARE_SIZE);
    close(fd);
}

static void write_page_tables(QTestState *qts)
{
    const unsigned all = PAGE_PRESENT | PAGE_WRITE | PAGE_USER | PAGE_USED;
    const uint64_t pdpt = PAGE_TABLE + 0x1000;
    const uint64_t last_pdpt = PAGE_TABLE + 0x2000;

    qtest_writeq(qts, PAGE_TABLE, pdpt | all);
    for (unsigned i = 0; i < 4; i++) {
        qtest_writeq(qts, pdpt + 8 * i, i * GiB | all | PAGE_LARGE);
    }
    qtest_writeq(qts, pdpt + 8 * (IDXD_GUEST_ABSENT / GiB), 0);
    qtest_writeq(qts, pdpt + 8 * (IDXD_GUEST_READ_ONLY / GiB),
                 (all & ~PAGE_WRITE) | PAGE_LARGE);
    qtest_writeq(qts, pdpt + 8 * (IDXD_GUEST_SUPERVISOR / GiB),
                 (all & ~PAGE_USER) | PAGE_LARGE);
    /* The last GiB of all addresses is that of 32 bits, with the firmware */
    qtest_writeq(qts, PAGE_TABLE + 8 * 511, last_pdpt | all);
    qtest_writeq(qts, last_pdpt + 8 * 511, 3 * GiB | all | PAGE_LARGE);
}

IdxdVM *idxd_guest_new(unsigned cpus, const char *cpu, const char *opts)
{
    g_autofree char *machine = NULL;
    IdxdVM *vm;

    if (!qtest_has_accel("tcg")) {
        g_test_skip("no TCG in this QEMU");
        return NULL;
    }
    if (!firmware) {
        write_firmware();
    }
    machine = g_strdup_printf("q35 -accel tcg,thread=multi -S -smp %u -cpu %s "
                              "-bios %s", cpus, cpu, firmware);
    vm = idxd_vm_new_machine(machine, opts);
    qtest_memwrite(vm->qts, BASE, guest_code, sizeof(guest_code));
    write_page_tables(vm->qts);
    qtest_qmp_assert_success(vm->qts, "{ 'execute': 'cont' }");
    for (unsigned i = 0; i < cpus; i++) {
        wait_field(vm, i, ALIVE, 1);
    }
    return vm;
}

void idxd_guest_start(IdxdVM *vm, unsigned cpu, const IdxdGuestRun *run)
{
    static const uint8_t cs[] = {
        [IDXD_GUEST_KERNEL] = 0x08, [IDXD_GUEST_USER] = 0x2b,
        [IDXD_GUEST_USER32] = 0x1b,
    };
    static const uint8_t end[] = { 0xcd, IDXD_GUEST_DONE };     /* int */
    uint64_t at = mailbox(cpu, CODE);

    g_assert_cmpuint(run->code_size, <=, IDXD_GUEST_MAX_CODE);
    qtest_memwrite(vm->qts, at, run->code, run->code_size);
    qtest_memwrite(vm->qts, at + run->code_size, end, sizeof(end));
    set_field(vm, cpu, RAX, run->rax);
    set_field(vm, cpu, RCX, run->rcx);
    set_field(vm, cpu, RDX, run->rdx);
    set_field(vm, cpu, RBX, run->rbx);
    set_field(vm, cpu, RSI, run->rsi);
    set_field(vm, cpu, RDI, run->rdi);
    set_field(vm, cpu, CS, cs[run->mode]);
    set_field(vm, cpu, SS, run->mode == IDXD_GUEST_KERNEL ? 0x10 : 0x23);
    set_field(vm, cpu, RIP, at);
    set_field(vm, cpu, GO, 1);
}

void idxd_guest_wait(IdxdVM *vm, unsigned cpu, IdxdGuestRun *run)
{
    wait_field(vm, cpu, GO, 0);
    run->rax = get_field(vm, cpu, RAX);
    run->rcx = get_field(vm, cpu, RCX);
    run->rdx = get_field(vm, cpu, RDX);
    run->rbx = get_field(vm, cpu, RBX);
    run->rsi = get_field(vm, cpu, RSI);
    run->rdi = get_field(vm, cpu, RDI);
    run->rip = get_field(vm, cpu, RIP) - mailbox(cpu, CODE);
    run->vector = get_field(vm, cpu, VECTOR);
    run->error = get_field(vm, cpu, ERROR);
    run->cr2 = get_field(vm, cpu, CR2);
    run->rflags = get_field(vm, cpu, RFLAGS);
}

void idxd_guest_run(IdxdVM *vm, IdxdGuestRun *run)
{
    idxd_guest_start(vm, 0, run);
    idxd_guest_wait(vm, 0, run);
}
