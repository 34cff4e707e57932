// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * MOVDIR64B, of an emulated CPU, as a program sees it. Prints "ok", or what is wrong.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE 4096

static sigjmp_buf fault;

static void on_fault(int number)
{
    (void)number;
    siglongjmp(fault, 1);
}

static void movdir64b(void *to, const void *from)
{
    asm volatile("movdir64b (%1), %0" : : "r"(to), "r"(from) : "memory");
}

/* With a 32-bit address: what is above it does not count. */
static void movdir64b_32(uint64_t to, uint64_t from)
{
    asm volatile("movdir64b (%k1), %k0" : : "r"(to), "r"(from) : "memory");
}

static int faults(void *to, const void *from)
{
    if (sigsetjmp(fault, 1))
        return 1;
    movdir64b(to, from);
    return 0;
}

static void expect(int condition, const char *what)
{
    if (condition)
        return;
    puts(what);
    exit(1);
}

/* Two pages that can be used, and one that cannot */
static uint8_t *get_pages(void)
{
    uint8_t *pages = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);

    expect(pages != MAP_FAILED && !mprotect(pages + 2 * PAGE, PAGE, PROT_NONE), "memory");
    return pages;
}

int main(void)
{
    struct sigaction action = { .sa_handler = on_fault };
    uint8_t *to = get_pages(), *from = get_pages(), zero[64] = { 0 };
    int i;

    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    for (i = 0; i < 2 * PAGE; i++)
        from[i] = i * 7 + i / 256;

    expect(!faults(to + 128, from + 64), "faults");
    expect(!memcmp(to + 128, from + 64, 64), "data");
    expect(!memcmp(to + 64, zero, 64) && !memcmp(to + 192, zero, 64), "beyond its end");
    /* The source can be anywhere, and overlap. */
    expect(!faults(to + 256, from + PAGE - 13) && !memcmp(to + 256, from + PAGE - 13, 64), "source across pages");
    memcpy(to + 512, from, 128);
    movdir64b(to + 512, to + 513);
    expect(!memcmp(to + 512, from + 1, 64), "overlap");
    movdir64b_32((uintptr_t)(to + 1024) | 1ull << 32, (uintptr_t)from | 1ull << 40);
    expect(!memcmp(to + 1024, from, 64), "32-bit address");
    /* Nothing is written by what faults. */
    expect(faults(to + 1536 + 8, from), "misaligned destination");
    expect(faults(to + 2048, from + 2 * PAGE - 63), "source without access");
    expect(faults(to + 2 * PAGE, from), "destination without access");
    expect(!memcmp(to + 1536, zero, 64) && !memcmp(to + 1600, zero, 64) && !memcmp(to + 2048, zero, 64),
           "written in spite of a fault");
    puts("ok");
    return 0;
}
