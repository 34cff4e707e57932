// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bare guest, see bare.h. Freestanding, 32-bit, no data but constants and
 * what lies at fixed addresses.
 *
 * Local APIC: Intel SDM volume 3, chapter 11. MSI-X: PCI Local Bus
 * Specification 3.0, section 6.8.2.
 */
#include "bare.h"

#define LAPIC_SPURIOUS  0xfee000f0
#define LAPIC_LINT0     0xfee00350
#define IDT             0x10000

#define MSIX_FUNCTION_MASK      (1u << 14 << 16)    /* in the whole dword */

typedef struct Pointer {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed)) Pointer;

extern const uint8_t handlers[];
void bare_main(void);

static volatile BareMailbox *const mailbox = (void *)BARE_MAILBOX;

static void mem_write(uint32_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

static void port_write8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "d"(port));
}

static void port_write32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "d"(port));
}

static uint32_t port_read32(uint16_t port)
{
    uint32_t value;

    __asm__ volatile("inl %1, %0" : "=a"(value) : "d"(port));
    return value;
}

static uint64_t ticks(void)
{
    uint32_t low, high;

    __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
    return (uint64_t)high << 32 | low;
}

static void interrupts_start(void)
{
    Pointer idt = { 256 * 8 - 1, IDT };

    for (unsigned v = BARE_WAKE_VECTOR; v < BARE_FIRST_VECTOR + BARE_VECTORS;
         v++) {
        uint32_t handler = (uint32_t)handlers +
                           (v - BARE_WAKE_VECTOR) * BARE_HANDLER_SIZE;

        /* 32-bit interrupt gate, present */
        mem_write(IDT + 8 * v, 8 << 16 | (handler & 0xffff));
        mem_write(IDT + 8 * v + 4, (handler & 0xffff0000) | 0x8e00);
    }
    __asm__ volatile("lidt %0" : : "m"(idt));
    /* No interrupts but messages */
    port_write8(0x21, 0xff);
    port_write8(0xa1, 0xff);
    mem_write(LAPIC_LINT0, 1 << 16);
    mem_write(LAPIC_SPURIOUS, 0x1ff);
}

/* --- Commands --- */

static void entry_set_masked(unsigned v, uint32_t masked)
{
    mem_write(mailbox->table + 16 * v + 12, masked);
}

static void function_set_masked(unsigned unused, uint32_t masked)
{
    uint32_t control;

    (void)unused;
    port_write32(0xcf8, mailbox->control);
    control = port_read32(0xcfc) & ~MSIX_FUNCTION_MASK;
    port_write32(0xcfc, control | (masked ? MSIX_FUNCTION_MASK : 0));
}

static void cycle(void (*set_masked)(unsigned v, uint32_t masked),
                  unsigned vectors)
{
    volatile BareSample *samples = (void *)BARE_SAMPLES;

    for (unsigned i = 0; i < mailbox->cycles; i++) {
        uint64_t start = ticks(), middle;

        set_masked(i % vectors, 1);
        middle = ticks();
        set_masked(i % vectors, 0);
        samples[i].mask = middle - start;
        samples[i].unmask = ticks() - middle;
    }
}

static void unmask_all(void)
{
    for (unsigned v = 0; v < mailbox->vectors; v++) {
        entry_set_masked(v, 0);
    }
}

static void command_run(uint32_t command)
{
    uint64_t now;

    switch (command) {
    case BARE_CYCLE_ENTRIES:
        cycle(entry_set_masked, mailbox->vectors);
        break;
    case BARE_CYCLE_FUNCTION:
        cycle(function_set_masked, 1);
        break;
    case BARE_UNMASK:
        unmask_all();
        break;
    }
    now = ticks();
    mailbox->now[0] = now;
    mailbox->now[1] = now >> 32;
}

void bare_main(void)
{
    interrupts_start();
    mailbox->ready = BARE_READY;
    for (;;) {
        /* An interrupt after the look at the mailbox ends the hlt. */
        __asm__ volatile("cli" : : : "memory");
        if (mailbox->command) {
            __asm__ volatile("sti" : : : "memory");
            command_run(mailbox->command);
            mailbox->command = BARE_NONE;
        } else {
            __asm__ volatile("sti; hlt" : : : "memory");
        }
    }
}
