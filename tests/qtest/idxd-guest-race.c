/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims: two CPUs that use one portal, or one line of memory, at a time
 *
 * Each test also runs with stores of 8 bytes in the place of the instruction,
 * and has to find with them what it must not find otherwise.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "idxd-guest-test.h"

#define ROUND       1000        /* submissions of a CPU */
#define RETRY_SIZE  4
#define PASID(cpu)  (0x1000u + (cpu))

/* From the memory of the machine on, for each CPU */
#define LISTS       0x100000
#define RECORDS     0x40000
#define RESULTS     0x80000
#define CPU_SPACE   0x100000

/* How long stores of 8 bytes may take to go wrong */
#define CONTROL_SECONDS 120
#define CONTROL_SPINS   20000
#define SPINS           50000000

/* Copies of 8 bytes, from (%rsi) to (%rdi) by %rax */
#define COPY(off)   "\x48\x8b\x46" off "\x48\x89\x47" off
#define COPIES      COPY("\x00") COPY("\x08") COPY("\x10") COPY("\x18") \
                    COPY("\x20") COPY("\x28") COPY("\x30") COPY("\x38")

/* %edx = %ebx; until the record is written, or %edx times */
#define WAIT_RECORD "\x48\x8b\x46\x08"      /*    mov    8(%rsi),%rax */ \
                    "\x89\xda"              /*    mov    %ebx,%edx    */ \
                    "\xf3\x90"              /* 1: pause               */ \
                    "\x80\x38\x00"          /*    cmpb   $0,(%rax)    */ \
                    "\x75\x04"              /*    jne    2f           */ \
                    "\xff\xca"              /*    dec    %edx         */ \
                    "\x75\xf5"              /*    jnz    1b           */ \
                    "\x48\x83\xc6\x40"      /* 2: add    $64,%rsi     */ \
                    "\xff\xc9"              /*    dec    %ecx         */

#define WAIT_SIZE   (sizeof(WAIT_RECORD) - 1)

static uint64_t space(IdxdVM *vm, unsigned cpu, uint64_t off, unsigned i,
                      unsigned size)
{
    return vm->ram + LISTS + cpu * CPU_SPACE + off + i * size;
}

static uint64_t result(unsigned cpu, unsigned i)
{
    return (uint64_t)(cpu + 1) << 56 | (i + 1);
}

/* A fill with a value, a place and a record of its own */
static void write_list(IdxdVM *vm, unsigned cpu, uint32_t flags,
                       uint16_t handle)
{
    g_autofree uint8_t *list = g_malloc(ROUND * DSA_DESC_SIZE);

    for (unsigned i = 0; i < ROUND; i++) {
        qidxd_pack(&(QIdxdDesc) {
            .opcode = DSA_OP_FILL, .flags = DSA_FLAG_RECORD | flags,
            .record = space(vm, cpu, RECORDS, i, DSA_RECORD_SIZE),
            .src = result(cpu, i), .handle = handle,
            .dst = space(vm, cpu, RESULTS, i, sizeof(uint64_t)),
            .size = sizeof(uint64_t),
        }, list + i * DSA_DESC_SIZE);
    }
    qtest_memwrite(vm->qts, space(vm, cpu, 0, 0, 0), list,
                   ROUND * DSA_DESC_SIZE);
}

static void clear_results(IdxdVM *vm)
{
    for (unsigned cpu = 0; cpu < IDXD_GUEST_CPUS; cpu++) {
        qtest_memset(vm->qts, space(vm, cpu, RECORDS, 0, 0), 0,
                     ROUND * DSA_RECORD_SIZE);
        qtest_memset(vm->qts, space(vm, cpu, RESULTS, 0, 0), 0,
                     ROUND * sizeof(uint64_t));
    }
}

/* Submissions that were not carried out, or not as they were sent */
static unsigned count_wrong(IdxdVM *vm)
{
    g_autofree uint8_t *records = g_malloc(ROUND * DSA_RECORD_SIZE);
    g_autofree uint64_t *results = g_new(uint64_t, ROUND);
    unsigned wrong = 0;

    for (unsigned cpu = 0; cpu < IDXD_GUEST_CPUS; cpu++) {
        qtest_memread(vm->qts, space(vm, cpu, RECORDS, 0, 0), records,
                      ROUND * DSA_RECORD_SIZE);
        qtest_memread(vm->qts, space(vm, cpu, RESULTS, 0, 0), results,
                      ROUND * sizeof(uint64_t));
        for (unsigned i = 0; i < ROUND; i++) {
            wrong += records[i * DSA_RECORD_SIZE] != DSA_ST_SUCCESS ||
                     le64_to_cpu(results[i]) != result(cpu, i);
        }
    }
    return wrong;
}

/* The same program on both, each with its own list */
static void run_both(IdxdVM *vm, const uint8_t *code, size_t size,
                     uint64_t portal, uint64_t spins, unsigned *rbx)
{
    IdxdGuestRun run[IDXD_GUEST_CPUS];

    for (unsigned cpu = 0; cpu < IDXD_GUEST_CPUS; cpu++) {
        run[cpu] = (IdxdGuestRun) {
            .code = code, .code_size = size, .rdi = portal, .rcx = ROUND,
            .rsi = space(vm, cpu, 0, 0, 0), .rbx = spins,
        };
        idxd_guest_start(vm, cpu, &run[cpu]);
    }
    for (unsigned cpu = 0; cpu < IDXD_GUEST_CPUS; cpu++) {
        idxd_guest_wait(vm, cpu, &run[cpu]);
        g_assert_cmpuint(run[cpu].vector, ==, IDXD_GUEST_DONE);
        rbx[cpu] = run[cpu].rbx;
    }
    qidxd_command_ok(&vm->dev, DSA_DRAIN_ALL, 0);
}

static bool in_time(int64_t start)
{
    return g_get_monotonic_time() - start < CONTROL_SECONDS * G_USEC_PER_SEC;
}

static void test_direct(void)
{
    static const uint8_t whole[] = MOVDIR64B WAIT_RECORD "\x75\xe2";
    static const uint8_t parts[] = COPIES WAIT_RECORD "\x75\xa7";
    int64_t start = g_get_monotonic_time();
    IdxdVM *vm = idxd_guest_new(IDXD_GUEST_CPUS, ALL_FEATURES, "pasid=on");
    unsigned rbx[IDXD_GUEST_CPUS];
    unsigned wrong = 0;
    uint64_t portal;

    QEMU_BUILD_BUG_ON(sizeof(MOVDIR64B) - 1 + WAIT_SIZE + 2 != 0x100 - 0xe2);
    QEMU_BUILD_BUG_ON(sizeof(COPIES) - 1 + WAIT_SIZE + 2 != 0x100 - 0xa7);
    if (!vm) {
        return;
    }
    qidxd_bring_up(&vm->dev, 1, NULL);
    portal = portal_address(vm, 0, DSA_PORTAL_LIMITED);
    for (unsigned cpu = 0; cpu < IDXD_GUEST_CPUS; cpu++) {
        write_list(vm, cpu, 0, 0);
    }
    for (unsigned i = 0; i < 3; i++) {
        clear_results(vm);
        run_both(vm, whole, sizeof(whole) - 1, portal, SPINS, rbx);
        g_assert_cmpuint(count_wrong(vm), ==, 0);
    }
    g_assert_cmphex(qidxd_readq(&vm->dev, DSA_SWERROR), ==, 0);

    while (!wrong && in_time(start)) {
        clear_results(vm);
        run_both(vm, parts, sizeof(parts) - 1, portal, CONTROL_SPINS, rbx);
        wrong = count_wrong(vm);
    }
    g_test_message("stores of 8 bytes: %u of %u went wrong", wrong,
                   ROUND * IDXD_GUEST_CPUS);
    g_assert_cmpuint(wrong, >, 0);
    idxd_vm_free(vm);
}

/* Both fill a queue that is too small, each in its own name */
static void test_enqueue(void)
{
    static const uint8_t code[] =
        "\xf2\x0f\x38\xf8\x3e"              /* 1: enqcmd (%rsi),%rdi  */
        "\x75\x04"                          /*    jnz    2f           */
        "\xff\xc3"                          /*    inc    %ebx         */
        "\xeb\xf5"                          /*    jmp    1b           */
        "\x48\x83\xc6\x40"                  /* 2: add    $64,%rsi     */
        "\xff\xc9"                          /*    dec    %ecx         */
        "\x75\xed";                         /*    jnz    1b           */
    IdxdVM *vm = idxd_guest_new(IDXD_GUEST_CPUS, ALL_FEATURES, "pasid=on");
    unsigned retries[IDXD_GUEST_CPUS];
    QIdxd *d;

    if (!vm) {
        return;
    }
    d = &vm->dev;
    idxd_vm_enable_pasid(vm, false);
    qidxd_msix_on(d);
    qidxd_configure(d, 1, &(QIdxdWq) {
        .size = RETRY_SIZE, .shared = true, .pasid_enable = true,
    });
    qidxd_writel(d, DSA_GENCFG,
                 qidxd_readl(d, DSA_GENCFG) | DSA_GENCFG_USER_INT);
    qidxd_enable(d, 1);
    for (unsigned cpu = 0; cpu < IDXD_GUEST_CPUS; cpu++) {
        qidxd_writel(d, qidxd_perm(d, cpu + 1), DSA_ENTRY_PASID(PASID(cpu)));
        set_pasid(vm, cpu, PASID_VALID | PASID(cpu));
        /* With another PASID, there would be no success */
        write_list(vm, cpu, DSA_FLAG_RCI,
                   qidxd_request_handle(d, false, cpu + 1));
    }
    for (unsigned i = 0; i < 3; i++) {
        clear_results(vm);
        run_both(vm, code, sizeof(code) - 1,
                 portal_address(vm, 0, DSA_PORTAL_UNLIMITED), 0, retries);
        g_assert_cmpuint(count_wrong(vm), ==, 0);
        g_test_message("%u and %u retries", retries[0], retries[1]);
    }
    idxd_vm_free(vm);
}

/* mov %rax,@off(@reg), and a line of them */
#define STORE(reg, off) "\x48\x89" reg off
#define STORES(reg) STORE(reg, "\x00") STORE(reg, "\x08") STORE(reg, "\x10") \
                    STORE(reg, "\x18") STORE(reg, "\x20") STORE(reg, "\x28") \
                    STORE(reg, "\x30") STORE(reg, "\x38")
#define TO_RSI      "\x46"
#define TO_RDI      "\x47"

/*
 * A CPU counts in all parts of a line, another compares the first with the
 * last: what it reads later cannot be older.  Returns how often it was.
 */
static unsigned run_line(IdxdVM *vm, const uint8_t *code, size_t size,
                         unsigned writes, unsigned reads)
{
    static const uint8_t reader[] =
        "\x48\x8b\x07"                      /* 1: mov    (%rdi),%rax     */
        "\x48\x8b\x57\x38"                  /*    mov    0x38(%rdi),%rdx */
        "\x48\x39\xc2"                      /*    cmp    %rax,%rdx       */
        "\x73\x02"                          /*    jae    2f              */
        "\xff\xc3"                          /*    inc    %ebx            */
        "\x48\x8b\x47\x38"                  /* 2: mov    0x38(%rdi),%rax */
        "\x48\x8b\x17"                      /*    mov    (%rdi),%rdx     */
        "\x48\x39\xc2"                      /*    cmp    %rax,%rdx       */
        "\x73\x02"                          /*    jae    3f              */
        "\xff\xc3"                          /*    inc    %ebx            */
        "\xff\xc9"                          /* 3: dec    %ecx            */
        "\x75\xe0";                         /*    jnz    1b              */
    IdxdGuestRun write = {
        .code = code, .code_size = size, .rcx = writes,
        .rsi = vm->ram + SOURCE, .rdi = vm->ram + DEST,
    };
    IdxdGuestRun read = {
        .code = reader, .code_size = sizeof(reader) - 1, .rcx = reads,
        .rdi = vm->ram + DEST,
    };

    qtest_memset(vm->qts, vm->ram + DEST, 0, 64);
    idxd_guest_start(vm, 1, &read);
    idxd_guest_start(vm, 0, &write);
    idxd_guest_wait(vm, 0, &write);
    idxd_guest_wait(vm, 1, &read);
    g_assert_cmpuint(write.vector, ==, IDXD_GUEST_DONE);
    g_assert_cmpuint(read.vector, ==, IDXD_GUEST_DONE);
    g_assert_cmpuint(qtest_readq(vm->qts, vm->ram + DEST + 56), ==, writes);
    return read.rbx;
}

static void test_memory(void)
{
    static const uint8_t whole[] =
        "\x48\xff\xc0" STORES(TO_RSI)       /* 1: inc    %rax            */
        MOVDIR64B
        "\xff\xc9"                          /*    dec    %ecx            */
        "\x75\xd4";                         /*    jnz    1b              */
    static const uint8_t parts[] =
        "\x48\xff\xc0" STORES(TO_RDI)
        "\xff\xc9" "\x75\xd9";
    int64_t start = g_get_monotonic_time();
    IdxdVM *vm = idxd_guest_new(IDXD_GUEST_CPUS, ALL_FEATURES, "");
    unsigned torn = 0;

    if (!vm) {
        return;
    }
    g_assert_cmpuint(run_line(vm, whole, sizeof(whole) - 1, 50000, 10000000),
                     ==, 0);
    while (!torn && in_time(start)) {
        torn = run_line(vm, parts, sizeof(parts) - 1, 10000000, 10000000);
    }
    g_test_message("stores of 8 bytes: torn %u times", torn);
    g_assert_cmpuint(torn, >, 0);
    idxd_vm_free(vm);
}

void idxd_guest_add_race_tests(void)
{
    qtest_add_func("/idxd-guest/race/direct", test_direct);
    qtest_add_func("/idxd-guest/race/enqueue", test_enqueue);
    qtest_add_func("/idxd-guest/race/memory", test_memory);
}
