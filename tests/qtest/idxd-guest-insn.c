/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MOVDIRI, MOVDIR64B, ENQCMD and ENQCMDS: what they do by themselves
 *
 * Intel SDM volume 2, the instructions' own pages.
 */
#include "qemu/osdep.h"
#include "qemu/units.h"
#include "qemu/bswap.h"
#include "idxd-guest-test.h"

#define SIZE            64
#define RAM_SIZE        (128 * MiB)     /* QEMU's default */
#define PAGE            4096
#define NON_CANONICAL   0x8000000000000000ull

#define NO_FEATURES     "max,movdiri=off,movdir64b=off"

typedef struct Encoding {
    const char *name;
    const uint8_t *code;
    size_t size;
} Encoding;

#define ENCODING(name, bytes) \
    { name, (const uint8_t *)(bytes), sizeof(bytes) - 1 }

static const Encoding valid[] = {
    ENCODING("movdiri r32", "\x0f\x38\xf9\x07"),
    ENCODING("movdiri r64", "\x48\x0f\x38\xf9\x07"),
    ENCODING("movdir64b", MOVDIR64B),
    ENCODING("enqcmd", ENQCMD),
    ENCODING("enqcmd with 66", "\x66" ENQCMD),
    ENCODING("enqcmds", ENQCMDS),
    ENCODING("enqcmds with 66", "\x66" ENQCMDS),
};

static const Encoding invalid[] = {
    ENCODING("movdiri, lock", "\xf0\x0f\x38\xf9\x07"),
    ENCODING("movdiri, 66", "\x66\x0f\x38\xf9\x07"),
    ENCODING("movdiri, f2", "\xf2\x0f\x38\xf9\x07"),
    ENCODING("movdiri, f3", "\xf3\x0f\x38\xf9\x07"),
    ENCODING("movdiri to a register", "\x0f\x38\xf9\xc7"),
    ENCODING("movdir64b, lock", "\xf0" MOVDIR64B),
    ENCODING("movdir64b from a register", "\x66\x0f\x38\xf8\xfe"),
    ENCODING("movdir64b without 66", "\x0f\x38\xf8\x3e"),
    ENCODING("enqcmd, lock", "\xf0" ENQCMD),
    ENCODING("enqcmd from a register", "\xf2\x0f\x38\xf8\xfe"),
    ENCODING("enqcmds, lock", "\xf0" ENQCMDS),
    ENCODING("enqcmds from a register", "\xf3\x0f\x38\xf8\xfe"),
};

/* Addresses that are good for all of them */
static IdxdGuestRun insn(IdxdVM *vm, const Encoding *e)
{
    return (IdxdGuestRun) {
        .code = e->code, .code_size = e->size,
        .rsi = vm->ram + SOURCE, .rdi = vm->ram + DEST,
    };
}

static void test_encodings(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "");

    if (!vm) {
        return;
    }
    fill_source(vm, 0, 0);
    set_pasid(vm, 0, PASID_VALID);
    for (unsigned i = 0; i < ARRAY_SIZE(valid); i++) {
        IdxdGuestRun run = insn(vm, &valid[i]);

        g_test_message("%s", valid[i].name);
        idxd_guest_run(vm, &run);
        g_assert_cmpuint(run.vector, ==, IDXD_GUEST_DONE);
        g_assert_cmpuint(run.rip, ==, valid[i].size + 2);
    }
    for (unsigned i = 0; i < ARRAY_SIZE(invalid); i++) {
        IdxdGuestRun run = insn(vm, &invalid[i]);

        g_test_message("%s", invalid[i].name);
        expect_fault(vm, &run, IDXD_GUEST_UD, 0);
    }
    idxd_vm_free(vm);
}

static uint32_t cpuid_7_ecx(IdxdVM *vm)
{
    IdxdGuestRun run = { IDXD_GUEST_CODE("\x0f\xa2"), .rax = 7 };

    idxd_guest_run(vm, &run);
    g_assert_cmpuint(run.vector, ==, IDXD_GUEST_DONE);
    return run.rcx;
}

/* Bits 27 to 29 of CPUID leaf 7, and what is without them */
static void test_cpuid(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "");
    IdxdGuestRun rdmsr = {
        IDXD_GUEST_CODE("\x0f\x32"), .rcx = MSR_IA32_PASID,
    };

    if (!vm) {
        return;
    }
    g_assert_cmphex(cpuid_7_ecx(vm) & 0x38000000, ==, 0x38000000);
    idxd_vm_free(vm);

    vm = idxd_guest_new(1, NO_FEATURES, "");
    g_assert_cmphex(cpuid_7_ecx(vm) & 0x38000000, ==, 0);
    for (unsigned i = 0; i < ARRAY_SIZE(valid); i++) {
        IdxdGuestRun run = insn(vm, &valid[i]);

        g_test_message("%s", valid[i].name);
        expect_fault(vm, &run, IDXD_GUEST_UD, 0);
    }
    expect_fault(vm, &rdmsr, IDXD_GUEST_GP, 0);
    idxd_vm_free(vm);
}

static void test_movdiri(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "");
    IdxdGuestRun run;

    if (!vm) {
        return;
    }
    run = (IdxdGuestRun) {
        IDXD_GUEST_CODE("\x0f\x38\xf9\x07"          /* movdiri %eax,(%rdi) */
                        "\x48\x0f\x38\xf9\x47\x0b"), /* %rax,0xb(%rdi) */
        .rax = 0x1122334455667788, .rdi = vm->ram + DEST,
    };
    qtest_memset(vm->qts, vm->ram + DEST, 0xee, SIZE);
    idxd_guest_run(vm, &run);
    g_assert_cmpuint(run.vector, ==, IDXD_GUEST_DONE);
    g_assert_cmphex(qtest_readq(vm->qts, vm->ram + DEST), ==,
                    0xeeeeeeee55667788);
    g_assert_cmphex(qtest_readq(vm->qts, vm->ram + DEST + 0xb), ==, run.rax);
    g_assert_cmphex(qtest_readb(vm->qts, vm->ram + DEST + 0x13), ==, 0xee);

    run.mode = IDXD_GUEST_USER;
    run.rdi += IDXD_GUEST_READ_ONLY;
    expect_fault(vm, &run, IDXD_GUEST_PF, 7);
    g_assert_cmphex(run.cr2, ==, run.rdi);
    idxd_vm_free(vm);
}

/* @from and @to are where the 64 bytes are and get to, whatever leads there */
static void check_copy(IdxdVM *vm, IdxdGuestRun run, uint64_t from,
                       uint64_t to)
{
    uint8_t data[SIZE], got[3 * SIZE];

    for (unsigned i = 0; i < SIZE; i++) {
        data[i] = g_test_rand_int();
    }
    qtest_memset(vm->qts, to - SIZE, 0xee, sizeof(got));
    qtest_memwrite(vm->qts, from, data, SIZE);
    idxd_guest_run(vm, &run);
    g_assert_cmpuint(run.vector, ==, IDXD_GUEST_DONE);
    qtest_memread(vm->qts, to - SIZE, got, sizeof(got));
    g_assert_cmpint(memcmp(got + SIZE, data, SIZE), ==, 0);
    for (unsigned i = 0; i < SIZE; i++) {
        g_assert_cmphex(got[i], ==, 0xee);
        g_assert_cmphex(got[2 * SIZE + i], ==, 0xee);
    }
}

static void test_movdir64b(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "");
    uint64_t dest;

    if (!vm) {
        return;
    }
    dest = vm->ram + DEST;
    /* The source may have any alignment, and be in two pages */
    for (unsigned i = 0; i < 2 * SIZE; i++) {
        uint64_t src = vm->ram + SOURCE + PAGE - 2 * SIZE + i;

        check_copy(vm, (IdxdGuestRun) {
            IDXD_GUEST_CODE(MOVDIR64B), .rsi = src, .rdi = dest,
        }, src, dest);
    }
    /* From a page that can only be read */
    check_copy(vm, (IdxdGuestRun) {
        IDXD_GUEST_CODE(MOVDIR64B), .mode = IDXD_GUEST_USER,
        .rsi = IDXD_GUEST_READ_ONLY + vm->ram + SOURCE + 3, .rdi = dest,
    }, vm->ram + SOURCE + 3, dest);
    /* Addresses of 32 bits do not use the other ones */
    check_copy(vm, (IdxdGuestRun) {
        IDXD_GUEST_CODE("\x67" MOVDIR64B),
        .rsi = 0x5555555500000000 + vm->ram + SOURCE,
        .rdi = 0x5555555500000000 + dest,
    }, vm->ram + SOURCE, dest);
    /* movdir64b (%rsi),%r9 */
    check_copy(vm, (IdxdGuestRun) {
        IDXD_GUEST_CODE("\x49\x89\xf9"              /* mov %rdi,%r9 */
                        "\x66\x44\x0f\x38\xf8\x0e"),
        .rsi = vm->ram + SOURCE, .rdi = dest,
    }, vm->ram + SOURCE, dest);
    idxd_vm_free(vm);
}

/* The destination is in ES, and segment prefixes are for the source */
static void test_segments(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "");
    uint64_t src, dest;

    if (!vm) {
        return;
    }
    src = vm->ram + SOURCE;
    dest = vm->ram + DEST;
    check_copy(vm, (IdxdGuestRun) {
        IDXD_GUEST_CODE("\x8e\xc0" MOVDIR64B),      /* mov %eax,%es */
        .mode = IDXD_GUEST_USER32, .rax = IDXD_GUEST_SELECTOR,
        .rsi = src, .rdi = dest - IDXD_GUEST_SEGMENT,
    }, src, dest);
    check_copy(vm, (IdxdGuestRun) {
        IDXD_GUEST_CODE("\x8e\xc0" "\x26" MOVDIR64B),       /* es: */
        .mode = IDXD_GUEST_USER32, .rax = IDXD_GUEST_SELECTOR,
        .rsi = src - IDXD_GUEST_SEGMENT, .rdi = dest - IDXD_GUEST_SEGMENT,
    }, src, dest);
    check_copy(vm, (IdxdGuestRun) {
        IDXD_GUEST_CODE("\x8e\xe0" "\x64" MOVDIR64B),       /* %fs, fs: */
        .mode = IDXD_GUEST_USER32, .rax = IDXD_GUEST_SELECTOR,
        .rsi = src - IDXD_GUEST_SEGMENT, .rdi = dest,
    }, src, dest);
    /* movdir64b (%si),%di: to the first 64 KiB of the segment in ES */
    check_copy(vm, (IdxdGuestRun) {
        IDXD_GUEST_CODE("\x8e\xc0" "\x8e\xd8"       /* %es, %ds */
                        "\x67\x66\x0f\x38\xf8\x3c"),
        .mode = IDXD_GUEST_USER32, .rax = IDXD_GUEST_SELECTOR,
        .rsi = 0x12340000 + 0x4321, .rdi = 0x43210000 + 0x8040,
    }, IDXD_GUEST_SEGMENT + 0x4321, IDXD_GUEST_SEGMENT + 0x8040);
    idxd_vm_free(vm);
}

typedef struct Fault {
    const char *name;
    bool user;
    uint64_t src, dest;         /* added to the good ones */
    uint8_t vector, error;
    bool at_src;                /* CR2, if it is a page fault */
} Fault;

static const Fault faults[] = {
    { "unaligned by 1", false, 0, 1, IDXD_GUEST_GP, 0 },
    { "unaligned by 32", false, 0, 32, IDXD_GUEST_GP, 0 },
    { "non-canonical destination", false, 0, NON_CANONICAL, IDXD_GUEST_GP, 0 },
    { "non-canonical source", false, NON_CANONICAL, 0, IDXD_GUEST_GP, 0 },
    { "absent destination", false, 0, IDXD_GUEST_ABSENT, IDXD_GUEST_PF, 2 },
    { "absent source", false, IDXD_GUEST_ABSENT, 0, IDXD_GUEST_PF, 0,
      true },
    { "read-only destination", false, 0, IDXD_GUEST_READ_ONLY, IDXD_GUEST_PF,
      3 },
    { "user, absent destination", true, 0, IDXD_GUEST_ABSENT, IDXD_GUEST_PF,
      6 },
    { "user, absent source", true, IDXD_GUEST_ABSENT, 0, IDXD_GUEST_PF, 4,
      true },
    { "user, read-only destination", true, 0, IDXD_GUEST_READ_ONLY,
      IDXD_GUEST_PF, 7 },
    { "user, kernel's destination", true, 0, IDXD_GUEST_SUPERVISOR,
      IDXD_GUEST_PF, 7 },
    { "user, kernel's source", true, IDXD_GUEST_SUPERVISOR, 0, IDXD_GUEST_PF,
      5, true },
};

static void check_faults(IdxdVM *vm, const uint8_t *code, size_t size,
                         bool user)
{
    for (unsigned i = 0; i < ARRAY_SIZE(faults); i++) {
        const Fault *f = &faults[i];
        IdxdGuestRun run = {
            .mode = f->user ? IDXD_GUEST_USER : IDXD_GUEST_KERNEL,
            .code = code, .code_size = size,
            .rsi = vm->ram + SOURCE + f->src, .rdi = vm->ram + DEST + f->dest,
        };

        if (f->user && !user) {
            continue;
        }
        g_test_message("%s", f->name);
        qtest_memset(vm->qts, vm->ram + DEST, 0xee, SIZE);
        expect_fault(vm, &run, f->vector, f->error);
        if (f->vector == IDXD_GUEST_PF) {
            g_assert_cmphex(run.cr2, ==, f->at_src ? run.rsi : run.rdi);
        }
        g_assert_cmphex(qtest_readq(vm->qts, vm->ram + DEST), ==,
                        0xeeeeeeeeeeeeeeee);
    }
}

/* A source whose second page is the one that is not there */
static void check_crossing(IdxdVM *vm, const uint8_t *code, size_t size)
{
    for (unsigned first = 1; first < SIZE; first++) {
        IdxdGuestRun run = {
            .code = code, .code_size = size,
            .rsi = IDXD_GUEST_ABSENT - first, .rdi = vm->ram + DEST,
        };

        expect_fault(vm, &run, IDXD_GUEST_PF, 0);
        g_assert_cmphex(run.cr2, ==, IDXD_GUEST_ABSENT);
    }
}

static void test_faults(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "");

    if (!vm) {
        return;
    }
    fill_source(vm, 0, 0x11);
    set_pasid(vm, 0, PASID_VALID | 1);
    g_test_message("movdir64b");
    check_faults(vm, (const uint8_t *)MOVDIR64B, sizeof(MOVDIR64B) - 1, true);
    check_crossing(vm, (const uint8_t *)MOVDIR64B, sizeof(MOVDIR64B) - 1);
    g_test_message("enqcmd");
    check_faults(vm, (const uint8_t *)ENQCMD, sizeof(ENQCMD) - 1, true);
    check_crossing(vm, (const uint8_t *)ENQCMD, sizeof(ENQCMD) - 1);
    g_test_message("enqcmds");
    check_faults(vm, (const uint8_t *)ENQCMDS, sizeof(ENQCMDS) - 1, false);
    idxd_vm_free(vm);
}

/* A source that ends outside of memory, where reads give all ones or zeros */
static void test_end_of_memory(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "");
    uint8_t got[SIZE];

    if (!vm) {
        return;
    }
    for (unsigned first = 1; first < SIZE; first++) {
        IdxdGuestRun run = {
            IDXD_GUEST_CODE(MOVDIR64B),
            .rsi = RAM_SIZE - first, .rdi = vm->ram + DEST,
        };

        qtest_memset(vm->qts, RAM_SIZE - first, 0x5a, first);
        idxd_guest_run(vm, &run);
        g_assert_cmpuint(run.vector, ==, IDXD_GUEST_DONE);
        qtest_memread(vm->qts, vm->ram + DEST, got, SIZE);
        for (unsigned i = 0; i < SIZE; i++) {
            g_assert_cmpint(got[i] == 0x5a, ==, i < first);
        }
    }
    idxd_vm_free(vm);
}

/* A source that begins at the last addresses and ends at the first ones */
static void test_wrap(void)
{
    IdxdVM *vm = idxd_guest_new(1, ALL_FEATURES, "");
    uint8_t want[SIZE], got[SIZE];

    if (!vm) {
        return;
    }
    for (unsigned first = 1; first < SIZE; first++) {
        IdxdGuestRun run = {
            IDXD_GUEST_CODE(MOVDIR64B),
            .rsi = -(uint64_t)first, .rdi = vm->ram + DEST,
        };

        qtest_memread(vm->qts, (1ull << 32) - first, want, first);
        memset(want + first, first, SIZE - first);
        qtest_memwrite(vm->qts, 0, want + first, SIZE - first);
        idxd_guest_run(vm, &run);
        g_assert_cmpuint(run.vector, ==, IDXD_GUEST_DONE);
        qtest_memread(vm->qts, vm->ram + DEST, got, SIZE);
        g_assert_cmpint(memcmp(got, want, SIZE), ==, 0);
    }
    idxd_vm_free(vm);
}

void idxd_guest_add_insn_tests(void)
{
    qtest_add_func("/idxd-guest/insn/cpuid", test_cpuid);
    qtest_add_func("/idxd-guest/insn/encodings", test_encodings);
    qtest_add_func("/idxd-guest/insn/movdiri", test_movdiri);
    qtest_add_func("/idxd-guest/insn/movdir64b", test_movdir64b);
    qtest_add_func("/idxd-guest/insn/segments", test_segments);
    qtest_add_func("/idxd-guest/insn/faults", test_faults);
    qtest_add_func("/idxd-guest/insn/end-of-memory", test_end_of_memory);
    qtest_add_func("/idxd-guest/insn/wrap", test_wrap);
}
