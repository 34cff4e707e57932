/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A guest that counts interrupts, for each vector of each of its CPUs.
 */

#include "qemu/osdep.h"
#include "qemu/atomic.h"
#include "qemu/bswap.h"
#include "libqos/vfio-msix-model.h"
#include "vfio-irq-guest.h"

/* Reset vector, and what is at F000:0000 */
#define RESET_OFFSET 0xfff0
#define STUBS_OFFSET 0x1000
#define STUB_SIZE    8

/* A page of memory for each CPU: counters, starts, and the stack at its end */
#define CPU_PAGE     0x1000
#define ALIVE_WORD   0x100

#define BARRIER      0x20
#define SPURIOUS     0xff
#define N_VECTORS    0x100

/* Only used up where the test fails, or where KVM cannot run the guest */
#define WAIT_SECONDS 10

/*
 * F000:0000, where the first CPU comes from the reset vector and the second
 * one from a start-up IPI for page 0xf0.
 *
 * DS and SS point to the CPU's own page from then on; nothing else is kept in
 * registers, so that interrupt handlers need not save any. x2APIC registers:
 * Intel SDM volume 3, "Local APIC register address map for x2APIC".
 */
static const uint8_t boot_code[] = {
    0xfa,                               /*       cli */
    0xfc,                               /*       cld */

    /* the timer's interrupt comes through the PIC: mask all of it */
    0xb0, 0xff,                         /*       mov    $0xff,%al */
    0xe6, 0x21,                         /*       out    %al,$0x21 */
    0xe6, 0xa1,                         /*       out    %al,$0xa1 */

    /* interrupt vector table: vector n goes to STUBS_OFFSET + 8 * n */
    0x31, 0xc0,                         /*       xor    %ax,%ax */
    0x8e, 0xc0,                         /*       mov    %ax,%es */
    0x31, 0xff,                         /*       xor    %di,%di */
    0xb8, 0x00, 0x10,                   /*       mov    $0x1000,%ax */
    0xab,                               /* ivt:  stos   %ax,%es:(%di) */
    0x8c, 0xcb,                         /*       mov    %cs,%bx */
    0x26, 0x89, 0x1d,                   /*       mov    %bx,%es:(%di) */
    0x83, 0xc7, 0x02,                   /*       add    $2,%di */
    0x83, 0xc0, 0x08,                   /*       add    $8,%ax */
    0x81, 0xff, 0x00, 0x04,             /*       cmp    $0x400,%di */
    0x72, 0xee,                         /*       jb     ivt */

    /* IA32_APIC_BASE: global enable and x2APIC mode */
    0x66, 0xb9, 0x1b, 0x00, 0x00, 0x00, /*       mov    $0x1b,%ecx */
    0x0f, 0x32,                         /*       rdmsr */
    0x80, 0xcc, 0x0c,                   /*       or     $0x0c,%ah */
    0x0f, 0x30,                         /*       wrmsr */

    /* spurious interrupt vector 0xff, APIC software-enabled */
    0x66, 0xb9, 0x0f, 0x08, 0x00, 0x00, /*       mov    $0x80f,%ecx */
    0x66, 0xb8, 0xff, 0x01, 0x00, 0x00, /*       mov    $0x1ff,%eax */
    0x66, 0x31, 0xd2,                   /*       xor    %edx,%edx */
    0x0f, 0x30,                         /*       wrmsr */

    /* the page of APIC id n is at segment 0x1000 + 0x100 * n */
    0x66, 0xb9, 0x02, 0x08, 0x00, 0x00, /*       mov    $0x802,%ecx */
    0x0f, 0x32,                         /*       rdmsr */
    0x89, 0xc3,                         /*       mov    %ax,%bx */
    0xc1, 0xe3, 0x08,                   /*       shl    $8,%bx */
    0x81, 0xc3, 0x00, 0x10,             /*       add    $0x1000,%bx */
    0x8e, 0xdb,                         /*       mov    %bx,%ds */
    0x8e, 0xd3,                         /*       mov    %bx,%ss */
    0xbc, 0x00, 0x10,                   /*       mov    $0x1000,%sp */

    /* the first CPU sends INIT and two start-up IPIs to all others */
    0x85, 0xc0,                         /*       test   %ax,%ax */
    0x75, 0x1b,                         /*       jne    run */
    0x66, 0xb9, 0x30, 0x08, 0x00, 0x00, /*       mov    $0x830,%ecx */
    0x66, 0xb8, 0x00, 0x45, 0x0c, 0x00, /*       mov    $0xc4500,%eax */
    0x66, 0x31, 0xd2,                   /*       xor    %edx,%edx */
    0x0f, 0x30,                         /*       wrmsr */
    0x66, 0xb8, 0xf0, 0x46, 0x0c, 0x00, /*       mov    $0xc46f0,%eax */
    0x0f, 0x30,                         /*       wrmsr */
    0x0f, 0x30,                         /*       wrmsr */

    0x66, 0xff, 0x06, 0x00, 0x04,       /* run:  incl   0x400 */
    0xfb,                               /* idle: sti */
    0xf4,                               /*       hlt */
    0xeb, 0xfc,                         /*       jmp    idle */
};

/* What all stubs jump to: EOI and back, directly behind the code above */
static const uint8_t eoi_code[] = {
    0x66, 0xb9, 0x0b, 0x08, 0x00, 0x00, /*       mov    $0x80b,%ecx */
    0x66, 0x31, 0xc0,                   /*       xor    %eax,%eax */
    0x66, 0x31, 0xd2,                   /*       xor    %edx,%edx */
    0x0f, 0x30,                         /*       wrmsr */
    0xcf,                               /*       iret */
};

struct VFIOIrqGuest {
    QTestState *qts;
    uint32_t *memory;
    unsigned cpus;
    uint32_t starts[VFIO_IRQ_GUEST_CPUS];   /* seen of each CPU */
};

/* incl 4 * @vector; jmp eoi */
static void write_stub(uint8_t *image, unsigned vector)
{
    uint16_t offset = STUBS_OFFSET + vector * STUB_SIZE;
    uint8_t *stub = image + offset;

    stub[0] = 0x66;
    stub[1] = 0xff;
    stub[2] = 0x06;
    stw_le_p(stub + 3, vector * sizeof(uint32_t));
    stub[5] = 0xe9;
    stw_le_p(stub + 6, sizeof(boot_code) - (offset + STUB_SIZE));
}

char *vfio_irq_guest_write_firmware(void)
{
    /* ljmp $0xf000,$0 */
    static const uint8_t reset[] = { 0xea, 0x00, 0x00, 0x00, 0xf0 };
    g_autofree uint8_t *image = g_malloc0(VFIO_MSIX_FIRMWARE_SIZE);

    memcpy(image, boot_code, sizeof(boot_code));
    memcpy(image + sizeof(boot_code), eoi_code, sizeof(eoi_code));
    for (unsigned v = 0; v < N_VECTORS; v++) {
        write_stub(image, v);
    }
    memcpy(image + RESET_OFFSET, reset, sizeof(reset));
    return vfio_msix_write_firmware(image);
}

VFIOIrqGuest *vfio_irq_guest_new(QTestState *qts, void *memory, unsigned cpus)
{
    VFIOIrqGuest *g = g_new0(VFIOIrqGuest, 1);

    g_assert_cmpuint(cpus, <=, VFIO_IRQ_GUEST_CPUS);
    g->qts = qts;
    g->memory = memory;
    g->cpus = cpus;
    return g;
}

void vfio_irq_guest_free(VFIOIrqGuest *g)
{
    g_free(g);
}

static uint32_t read_word(VFIOIrqGuest *g, unsigned cpu, unsigned word)
{
    return le32_to_cpu(qatomic_read(&g->memory[cpu * CPU_PAGE / 4 + word]));
}

uint32_t vfio_irq_guest_count(VFIOIrqGuest *g, unsigned cpu, unsigned vector)
{
    return read_word(g, cpu, vector);
}

/* Whether it does within the time that there is */
static bool wait_change(VFIOIrqGuest *g, unsigned cpu, unsigned word,
                        uint32_t from)
{
    int64_t end = g_get_monotonic_time() + WAIT_SECONDS * G_USEC_PER_SEC;

    while (read_word(g, cpu, word) == from) {
        if (g_get_monotonic_time() > end) {
            return false;
        }
        g_thread_yield();
    }
    return true;
}

unsigned vfio_irq_guest_wait_alive(VFIOIrqGuest *g)
{
    unsigned cpu = 0;

    while (cpu < g->cpus &&
           wait_change(g, cpu, ALIVE_WORD, g->starts[cpu])) {
        g->starts[cpu++]++;
    }
    return cpu;
}

uint64_t vfio_irq_guest_address(unsigned cpu)
{
    return 0xfee00000 | cpu << 12;
}

void vfio_irq_guest_barrier(VFIOIrqGuest *g)
{
    uint32_t before[VFIO_IRQ_GUEST_CPUS];

    for (unsigned cpu = 0; cpu < g->cpus; cpu++) {
        before[cpu] = read_word(g, cpu, BARRIER);
        qtest_writel(g->qts, vfio_irq_guest_address(cpu), BARRIER);
    }
    for (unsigned cpu = 0; cpu < g->cpus; cpu++) {
        g_assert_true(wait_change(g, cpu, BARRIER, before[cpu]));
    }
}

unsigned vfio_irq_guest_strays(VFIOIrqGuest *g)
{
    unsigned n = 0;

    for (unsigned cpu = 0; cpu < g->cpus; cpu++) {
        for (unsigned v = 0; v < VFIO_IRQ_GUEST_FIRST; v++) {
            n += v == BARRIER ? 0 : read_word(g, cpu, v);
        }
        n += read_word(g, cpu, SPURIOUS);
    }
    return n;
}
