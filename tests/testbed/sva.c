// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A process that gives work to a DSA device itself, in its own address space: opens a work queue
 * of type "user", maps its portal and submits copies, as a program of the device's users would.
 *
 *   sva [--shared] [--untouched] [--block] QUEUE COPIES
 *
 *   --shared      the queue is shared: ENQCMD and not MOVDIR64B
 *   --untouched   the target has no memory when a copy starts
 *   --block       the device is told to wait for it (block on fault)
 *
 * Results, as key=value: copies done, wrong (the data is not what was copied) and failed (a status
 * that was not expected), page faults that the device reported, and submissions that it told to retry.
 * The program is linked so that its buffers have the same addresses in each process.
 */
#include <err.h>
#include <fcntl.h>
#include <immintrin.h>
#include <linux/idxd.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define SIZE (3 * PAGE)
#define PATIENCE 30             /* seconds without an answer */

static uint8_t from[SIZE] __attribute__((aligned(PAGE)));
static uint8_t to[SIZE] __attribute__((aligned(PAGE)));
static struct dsa_hw_desc descriptor __attribute__((aligned(64)));
static volatile struct dsa_completion_record record __attribute__((aligned(32)));

static bool shared, untouched, block;
static void *portal;
static unsigned int done, wrong, failed, faults, retries;

/* Other processes have other data. */
static void fill(unsigned int copy)
{
	uint64_t value = (uint64_t)getpid() << 40 | (uint64_t)copy << 16;

	for (unsigned int i = 0; i < SIZE; i += sizeof(value), value++)
		memcpy(from + i, &value, sizeof(value));
	if (!untouched)
		memset(to, 0xee, sizeof(to));
	else if (madvise(to, sizeof(to), MADV_DONTNEED))
		err(1, "madvise");
}

static void submit(void)
{
	static unsigned int slot;
	void *at = (char *)portal + slot++ % (PAGE / 64) * 64;

	record.status = DSA_COMP_NONE;
	_mm_sfence();
	if (!shared) {
		_movdir64b(at, &descriptor);
		return;
	}
	while (_enqcmd(at, &descriptor)) {
		retries++;
		sched_yield();
	}
}

static uint8_t wait_for_record(void)
{
	time_t start = time(NULL);

	while (record.status == DSA_COMP_NONE) {
		if (time(NULL) - start > PATIENCE)
			errx(1, "no completion record after %u s", PATIENCE);
		sched_yield();
	}
	return record.status;
}

/* Touch what the device missed, as it would for a program that does not use block on fault. */
static void go_on(void)
{
	uint32_t completed = record.bytes_completed;

	faults++;
	if (record.fault_addr < (uintptr_t)to || record.fault_addr >= (uintptr_t)to + SIZE)
		errx(1, "a fault at 0x%llx, which is not in the target", (unsigned long long)record.fault_addr);
	*(volatile uint8_t *)(uintptr_t)record.fault_addr = 0;
	descriptor.src_addr += completed;
	descriptor.dst_addr += completed;
	descriptor.xfer_size -= completed;
}

static void copy(unsigned int number)
{
	uint8_t status;

	fill(number);
	memset(&descriptor, 0, sizeof(descriptor));
	descriptor.opcode = DSA_OPCODE_MEMMOVE;
	descriptor.flags = IDXD_OP_FLAG_CRAV | IDXD_OP_FLAG_RCR | (block ? IDXD_OP_FLAG_BOF : 0);
	descriptor.completion_addr = (uintptr_t)&record;
	descriptor.src_addr = (uintptr_t)from;
	descriptor.dst_addr = (uintptr_t)to;
	descriptor.xfer_size = SIZE;
	for (submit();; submit()) {
		status = wait_for_record();
		if (status != (DSA_COMP_PAGE_FAULT_NOBOF | DSA_COMP_STATUS_WRITE))
			break;
		go_on();
	}
	if (status != DSA_COMP_SUCCESS) {
		warnx("copy %u ended with status 0x%x", number, status);
		failed++;
	} else if (memcmp(from, to, SIZE)) {
		wrong++;
	} else {
		done++;
	}
}

int main(int argc, char **argv)
{
	int fd;

	for (argv++, argc--; argc > 2; argv++, argc--) {
		if (!strcmp(*argv, "--shared"))
			shared = true;
		else if (!strcmp(*argv, "--untouched"))
			untouched = true;
		else if (!strcmp(*argv, "--block"))
			block = true;
		else
			errx(2, "%s: unknown option", *argv);
	}
	if (argc != 2)
		errx(2, "usage: sva [--shared] [--untouched] [--block] QUEUE COPIES");
	fd = open(argv[0], O_RDWR);
	if (fd < 0)
		err(1, "%s", argv[0]);
	portal = mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (portal == MAP_FAILED)
		err(1, "%s: mmap", argv[0]);
	for (unsigned int i = 0; i < (unsigned int)atoi(argv[1]); i++)
		copy(i);
	printf("done=%u\nwrong=%u\nfailed=%u\nfaults=%u\nretries=%u\n", done, wrong, failed, faults, retries);
	return 0;
}
