/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * QTest for the block accesses of x86 TCG: a CPU saves its FPU state across
 * the end of memory, where the second of two pages cannot be reached directly
 *
 * QTEST_QEMU_STOCK_BINARY names a QEMU without these checks, for the tests
 * below stock/: it dies, or writes where the guest cannot.
 */

#include "qemu/osdep.h"
#include <sys/mman.h>
#include "qemu/bswap.h"
#include "qemu/cutils.h"
#include "qemu/units.h"
#include "libqtest.h"

#define STOCK_VAR "QTEST_QEMU_STOCK_BINARY"

#define FIRMWARE_SIZE (64 * KiB)
#define RESET_OFFSET  0xfff0

/* In guest memory: a flag that starts the program, and what it uses */
#define FLAG      0x500
#define PROGRAM   0x600
#define STATE     0x2000        /* to load */
#define REFERENCE 0x3000        /* saved where nothing is special */

/* Of the legacy area that FXRSTOR and FXSAVE use: Intel SDM volume 1, 10.5.1 */
#define STATE_SIZE   512
#define STATE_LEGACY 32         /* ST and XMM registers from here on */
#define STATE_END    288        /* of XMM7, the last one without REX prefix */
#define FCW_DEFAULT   0x37f
#define MXCSR_DEFAULT 0x1f80

/* VGA registers: index and value of sequencer and graphics controller */
#define VGA_SEQUENCER   0x3c4
#define VGA_PLANE_MASK  2
#define VGA_MEMORY_MODE 4
#define VGA_SEQUENTIAL  4
#define VGA_GRAPHICS    0x3ce
#define VGA_BIT_MASK    8
#define VGA_WINDOW      0xa0000

#define FILLING 0x5a

/* Only used up where the test fails */
#define WAIT_SECONDS 10

/* F000:0000. Calls the program when the flag is set, then clears that */
static const uint8_t monitor_code[] = {
    0xfa,                               /*       cli */
    0x31, 0xc0,                         /*       xor   %ax,%ax */
    0x8e, 0xd8,                         /*       mov   %ax,%ds */
    0x8e, 0xd0,                         /*       mov   %ax,%ss */
    0xbc, 0x00, 0x70,                   /*       mov   $0x7000,%sp */
    0x0f, 0x20, 0xe0,                   /*       mov   %cr4,%eax */
    0x80, 0xcc, 0x02,                   /*       or    $2,%ah; OSFXSR */
    0x0f, 0x22, 0xe0,                   /*       mov   %eax,%cr4 */
    0x80, 0x3e, 0x00, 0x05, 0x00,       /* wait: cmpb  $0,0x500 */
    0x74, 0xf9,                         /*       je    wait */
    0x9a, 0x00, 0x06, 0x00, 0x00,       /*       lcall $0,$0x600 */
    0xc6, 0x06, 0x00, 0x05, 0x00,       /*       movb  $0,0x500 */
    0xeb, 0xed,                         /*       jmp   wait */
};

typedef struct Insn {
    const char *name;
    uint8_t code[4];            /* before the offset of its operand */
    unsigned len;
    unsigned size, align;       /* of what it writes */
} Insn;

static const Insn insns[] = {
    { "fnsave16", { 0xdd, 0x36 }, 2, 94, 1 },
    { "fnsave32", { 0x66, 0xdd, 0x36 }, 3, 108, 1 },
    { "fxsave", { 0x0f, 0xae, 0x06 }, 3, STATE_SIZE, 16 },
};

/* Where memory ends, and what is behind it */
typedef struct Place {
    const char *name;
    unsigned ram;
    unsigned end;
    bool vga;
} Place;

static const Place places[] = {
    /* below the window there is memory, too, which only SMM is to see */
    { "vga", 1 * MiB, VGA_WINDOW, true },
    { "end", 512 * KiB, 512 * KiB, false },
};

/* With @first bytes in front of the end of memory, 0 for all that there are */
typedef struct Test {
    const Insn *insn;
    const Place *place;
    unsigned first;
} Test;

typedef struct Machine {
    QTestState *qts;
    const Test *test;
    uint8_t *ram;               /* all of it, whatever the guest can see */
    uint8_t before[8];          /* a pattern in front of the block */
} Machine;

/* The machine */

static int write_temporary(char **path, const void *data, size_t size)
{
    int fd = g_file_open_tmp("x86-fsave-XXXXXX", path, NULL);

    g_assert_cmpint(fd, >=, 0);
    g_assert_cmpint(write(fd, data, size), ==, size);
    return fd;
}

static char *write_firmware(void)
{
    /* ljmp $0xf000,$0 */
    static const uint8_t reset[] = { 0xea, 0x00, 0x00, 0x00, 0xf0 };
    g_autofree uint8_t *image = g_malloc0(FIRMWARE_SIZE);
    char *path;

    memcpy(image, monitor_code, sizeof(monitor_code));
    memcpy(image + RESET_OFFSET, reset, sizeof(reset));
    close(write_temporary(&path, image, FIRMWARE_SIZE));
    return path;
}

/* The test sees the memory through a file */
static char *create_ram(Machine *m)
{
    unsigned size = m->test->place->ram;
    g_autofree uint8_t *blank = g_malloc0(size);
    char *path;
    int fd = write_temporary(&path, blank, size);

    m->ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    g_assert(m->ram != MAP_FAILED);
    close(fd);
    return path;
}

/* A register whose index goes to @port, and its value next to that */
static void vga_write(QTestState *qts, unsigned port, uint8_t index,
                      uint8_t value)
{
    qtest_outb(qts, port, index);
    qtest_outb(qts, port + 1, value);
}

/* All bits of the first plane: what is written can be read back */
static void vga_set_up(QTestState *qts)
{
    vga_write(qts, VGA_SEQUENCER, VGA_PLANE_MASK, 1);
    vga_write(qts, VGA_SEQUENCER, VGA_MEMORY_MODE, VGA_SEQUENTIAL);
    vga_write(qts, VGA_GRAPHICS, VGA_BIT_MASK, 0xff);
}

/* All registers differ, and each byte of them */
static void write_state(QTestState *qts)
{
    uint8_t state[STATE_SIZE] = { 0 };

    stw_le_p(state, FCW_DEFAULT);
    state[4] = 0xff;            /* all ST registers are in use */
    stl_le_p(state + 24, MXCSR_DEFAULT);
    for (unsigned i = STATE_LEGACY; i < STATE_END; i++) {
        state[i] = i * 7 + 1;
    }
    qtest_memwrite(qts, STATE, state, sizeof(state));
}

static void start(Machine *m, const Test *test, const char *binary_var)
{
    const Place *place = test->place;
    g_autofree char *bios = write_firmware();
    g_autofree char *ram = NULL;
    g_autofree char *args = NULL;

    m->test = test;
    ram = create_ram(m);
    args = g_strdup_printf(
        "-nodefaults -accel tcg -machine pc,memory-backend=ram -m %uB "
        "-object memory-backend-file,id=ram,size=%u,share=on,mem-path=%s "
        "-bios %s%s", place->ram, place->ram, ram, bios,
        place->vga ? " -device VGA,romfile=" : "");
    m->qts = qtest_init_ext(binary_var, args, NULL, true);
    unlink(bios);
    unlink(ram);
    if (place->vga) {
        vga_set_up(m->qts);
    }
    write_state(m->qts);
    memset(m->before, 0xa5, sizeof(m->before));
}

static void stop(Machine *m)
{
    qtest_quit(m->qts);
    munmap(m->ram, m->test->place->ram);
}

/* The program */

static uint8_t *put_load(uint8_t *p)
{
    static const uint8_t fxrstor[] = { 0x0f, 0xae, 0x0e };

    memcpy(p, fxrstor, sizeof(fxrstor));
    stw_le_p(p + sizeof(fxrstor), STATE);
    return p + sizeof(fxrstor) + 2;
}

static uint8_t *put_save(uint8_t *p, const Insn *insn, unsigned offset)
{
    memcpy(p, insn->code, insn->len);
    stw_le_p(p + insn->len, offset);
    return p + insn->len + 2;
}

/* To @address from ES, with a segment that has room for what follows */
static void write_program(Machine *m, unsigned address)
{
    const Insn *insn = m->test->insn;
    unsigned base = (address - 0x8000) & ~0xf;
    uint8_t program[40];
    uint8_t *p = put_load(program);

    p = put_save(p, insn, REFERENCE);
    p = put_load(p);            /* FNSAVE ends with a reset */
    *p++ = 0xb8;                /* mov $base/16,%ax */
    stw_le_p(p, base >> 4);
    p += 2;
    *p++ = 0x8e;                /* mov %ax,%es */
    *p++ = 0xc0;
    *p++ = 0x26;                /* ES: */
    p = put_save(p, insn, address - base);
    *p++ = 0xcb;                /* lret */
    g_assert_cmpuint(p - program, <=, sizeof(program));
    qtest_memwrite(m->qts, PROGRAM, program, p - program);
}

static void run_program(Machine *m)
{
    int64_t end = g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC;

    qtest_writeb(m->qts, FLAG, 1);
    while (qtest_readb(m->qts, FLAG)) {
        g_assert_cmpint(g_get_monotonic_time(), <, end);
    }
}

/* Save with @first bytes in front of the end of memory, the others behind */
static void save_across(Machine *m, unsigned first)
{
    const Insn *insn = m->test->insn;
    unsigned address = m->test->place->end - first;

    memcpy(m->ram + address - sizeof(m->before), m->before,
           sizeof(m->before));
    /* not all of FXSAVE's area is written */
    memset(m->ram + address, FILLING, first);
    memset(m->ram + REFERENCE, FILLING, insn->size);
    if (m->test->place->vga) {
        qtest_memset(m->qts, VGA_WINDOW, FILLING, insn->size);
    }
    write_program(m, address);
    run_program(m);
}

/* Memory below the window */
static bool hidden_is_written(Machine *m)
{
    return !buffer_is_zero(m->ram + VGA_WINDOW, m->test->insn->size);
}

static void check(Machine *m, unsigned first)
{
    const Insn *insn = m->test->insn;
    const Place *place = m->test->place;
    const uint8_t *wanted = m->ram + REFERENCE;
    const uint8_t *found = m->ram + place->end - first;

    g_assert_cmphex(lduw_le_p(wanted), ==, FCW_DEFAULT);
    g_assert_cmpmem(found, first, wanted, first);
    g_assert_cmpmem(found - sizeof(m->before), sizeof(m->before),
                    m->before, sizeof(m->before));
    if (place->vga) {
        g_assert_false(hidden_is_written(m));
        for (unsigned i = first; i < insn->size; i++) {
            g_assert_cmphex(qtest_readb(m->qts, VGA_WINDOW + i - first), ==,
                            wanted[i]);
        }
    }
}

static void test_across(const void *opaque)
{
    const Test *test = opaque;
    const Insn *insn = test->insn;
    Machine m;

    start(&m, test, NULL);
    for (unsigned first = insn->align; first <= insn->size;
         first += insn->align) {
        save_across(&m, first);
        check(&m, first);
    }
    stop(&m);
}

static bool have_stock(void)
{
    if (!g_getenv(STOCK_VAR)) {
        g_test_skip(STOCK_VAR " does not name a QEMU without the fix");
        return false;
    }
    return true;
}

static void test_stock_dies(const void *opaque)
{
    const Test *test = opaque;
    Machine m;

    if (!have_stock()) {
        return;
    }
    if (g_test_subprocess()) {
        start(&m, test, STOCK_VAR);
        save_across(&m, test->first);
        stop(&m);
        return;
    }
    g_test_trap_subprocess(NULL, 0, 0);
    g_test_trap_assert_failed();
    g_test_trap_assert_stderr("*QEMU death from signal 11*");
}

static void test_stock_hidden(const void *opaque)
{
    const Test *test = opaque;
    Machine m;

    if (!have_stock()) {
        return;
    }
    start(&m, test, STOCK_VAR);
    save_across(&m, test->first);
    g_assert_true(hidden_is_written(&m));
    stop(&m);
}

static void add(const char *prefix, const Test *test,
                void (*fn)(const void *test))
{
    g_autofree char *suffix = test->first ?
        g_strdup_printf("/%u", test->first) : g_strdup("");
    g_autofree char *path = g_strdup_printf("x86-fsave/%s%s/%s%s", prefix,
                                            test->place->name,
                                            test->insn->name, suffix);

    qtest_add_data_func(path, g_memdup2(test, sizeof(*test)), fn);
}

/*
 * QEMU without the fix writes through a null pointer behind the start of the
 * second page. And with one byte in the first page, where no part of FNSAVE
 * fits, all goes to what follows that page in the host. Behind all memory that
 * is nothing.
 */
static void add_all(const Insn *insn, const Place *place)
{
    Test test = { .insn = insn, .place = place };

    add("", &test, test_across);
    test.first = 16;
    add("stock/", &test, test_stock_dies);
    test.first = 1;
    if (insn->align == 1) {
        add("stock/", &test, place->vga ? test_stock_hidden : test_stock_dies);
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    if (!qtest_has_machine("pc") || !qtest_has_accel("tcg")) {
        g_test_message("no pc machine with TCG in this QEMU");
        return g_test_run();
    }
    for (unsigned i = 0; i < ARRAY_SIZE(places); i++) {
        for (unsigned j = 0; j < ARRAY_SIZE(insns); j++) {
            if (!places[i].vga || qtest_has_device("VGA")) {
                add_all(&insns[j], &places[i]);
            }
        }
    }
    return g_test_run();
}
