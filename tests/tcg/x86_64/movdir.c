/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MOVDIRI and MOVDIR64B, to memory
 *
 * The instructions are written as bytes, for compilers that do not know them.
 * ENQCMD is not there for a process under QEMU: it has no device to write to.
 */

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WRITES 200000

static sigjmp_buf env;
static volatile int caught;     /* volatile: the handler sets it */

static void movdiri32(uint32_t *dest, uint32_t val)
{
    /* movdiri %eax,(%rdi) */
    asm volatile(".byte 0x0f, 0x38, 0xf9, 0x07"
                 : : "D"(dest), "a"(val) : "memory");
}

static void movdiri64(uint64_t *dest, uint64_t val)
{
    /* movdiri %rax,(%rdi) */
    asm volatile(".byte 0x48, 0x0f, 0x38, 0xf9, 0x07"
                 : : "D"(dest), "a"(val) : "memory");
}

static void movdir64b(void *dest, const void *src)
{
    /* movdir64b (%rsi),%rdi */
    asm volatile(".byte 0x66, 0x0f, 0x38, 0xf8, 0x3e"
                 : : "D"(dest), "S"(src) : "memory");
}

static void enqcmd(void *dest, const void *src)
{
    /* enqcmd (%rsi),%rdi */
    asm volatile(".byte 0xf2, 0x0f, 0x38, 0xf8, 0x3e"
                 : : "D"(dest), "S"(src) : "memory", "cc");
}

static void handler(int sig)
{
    caught = sig;
    siglongjmp(env, 1);
}

static int signal_of(void (*insn)(void *, const void *), void *dest,
                     const void *src)
{
    caught = 0;
    if (!sigsetjmp(env, 1)) {
        insn(dest, src);
    }
    return caught;
}

static void test_movdiri(void)
{
    struct {
        uint64_t a, b;
    } mem = { -1, -1 };

    movdiri32((uint32_t *)&mem.a, 0x12345678);
    assert(mem.a == 0xffffffff12345678 && mem.b == -1);
    movdiri64(&mem.b, 0x123456789abcdef0);
    assert(mem.a == 0xffffffff12345678 && mem.b == 0x123456789abcdef0);
    movdiri64((void *)&mem.a + 4, 0);
    assert(mem.a == 0x12345678 && mem.b == 0x1234567800000000);
}

/* The source may be anywhere, in two pages of which one cannot be read too */
static void test_movdir64b(uint8_t *pages, size_t size)
{
    uint8_t line[3 * 64] __attribute__((aligned(64)));
    size_t i, n;

    for (n = size - 2 * 64; n <= size - 64; n++) {
        memset(line, 0xee, sizeof(line));
        for (i = 0; i < 64; i++) {
            pages[n + i] = n * 7 + i;
        }
        movdir64b(line + 64, pages + n);
        assert(memcmp(line + 64, pages + n, 64) == 0);
        for (i = 0; i < 64; i++) {
            assert(line[i] == 0xee && line[128 + i] == 0xee);
        }
    }
    for (; n < size + 64; n++) {
        memset(line, 0xee, sizeof(line));
        assert(signal_of(movdir64b, line, pages + n) == SIGSEGV);
        assert(line[0] == 0xee && line[63] == 0xee);
    }
    for (n = 1; n < 64; n++) {
        assert(signal_of(movdir64b, line + n, pages) == SIGSEGV);
        assert(line[n] == 0xee && line[n + 63] == 0xee);
    }
    assert(signal_of(movdir64b, pages + size, pages) == SIGSEGV);
    assert(signal_of(enqcmd, line, pages) == SIGILL);
}

static struct {
    uint64_t part[8];
} shared __attribute__((aligned(64)));
static bool started, stop;

/* What is read later cannot be older */
static void *reader(void *arg)
{
    bool *torn = arg;

    __atomic_store_n(&started, true, __ATOMIC_SEQ_CST);
    while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
        uint64_t first = __atomic_load_n(&shared.part[0], __ATOMIC_ACQUIRE);
        uint64_t last = __atomic_load_n(&shared.part[7], __ATOMIC_ACQUIRE);

        *torn |= last < first;
        last = __atomic_load_n(&shared.part[7], __ATOMIC_ACQUIRE);
        first = __atomic_load_n(&shared.part[0], __ATOMIC_ACQUIRE);
        *torn |= first < last;
    }
    return NULL;
}

static void test_unit(void)
{
    uint64_t line[8];
    bool torn = false;
    pthread_t thread;
    int i;

    assert(pthread_create(&thread, NULL, reader, &torn) == 0);
    while (!__atomic_load_n(&started, __ATOMIC_SEQ_CST)) {
        sched_yield();
    }
    for (uint64_t n = 1; n <= WRITES; n++) {
        for (i = 0; i < 8; i++) {
            line[i] = n;
        }
        movdir64b(&shared, line);
    }
    __atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
    assert(pthread_join(thread, NULL) == 0);
    assert(!torn && shared.part[0] == WRITES && shared.part[7] == WRITES);
}

int main(void)
{
    struct sigaction action = { .sa_handler = handler };
    size_t size = 64 * 1024;        /* a multiple of any page size */
    uint8_t *pages = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert(pages != MAP_FAILED);
    assert(mprotect(pages + size, size, PROT_NONE) == 0);
    assert(sigaction(SIGSEGV, &action, NULL) == 0);
    assert(sigaction(SIGBUS, &action, NULL) == 0);
    assert(sigaction(SIGILL, &action, NULL) == 0);
    test_movdiri();
    test_movdir64b(pages, size);
    test_unit();
    return EXIT_SUCCESS;
}
