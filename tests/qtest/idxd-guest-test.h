/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims as the CPUs of a guest use it: what the tests have in common
 */
#ifndef TESTS_IDXD_GUEST_TEST_H
#define TESTS_IDXD_GUEST_TEST_H

#include "idxd-guest.h"

/* From (%rsi) to what %rdi points to */
#define MOVDIR64B   "\x66\x0f\x38\xf8\x3e"
#define ENQCMD      "\xf2\x0f\x38\xf8\x3e"
#define ENQCMDS     "\xf3\x0f\x38\xf8\x3e"

/* ENQCMD has to be asked for */
#define ALL_FEATURES    "max,enqcmd=on"

#define MSR_IA32_PASID  0xd93
#define PASID_VALID     (1u << 31)

/* In the memory of the machine, away from what idxd-ims-vm.h has there */
#define SOURCE      0x400000
#define DEST        0x500000

/* fill_source: the first 4 bytes, and the other 60 with the same value */
void fill_source(IdxdVM *vm, uint32_t first, uint8_t rest);
/* put_source: a descriptor */
void put_source(IdxdVM *vm, const QIdxdDesc *desc);
/* set_pasid: the CPU's IA32_PASID */
void set_pasid(IdxdVM *vm, unsigned cpu, uint64_t val);
/* expect_fault: the first instruction raises this exception */
void expect_fault(IdxdVM *vm, IdxdGuestRun *run, unsigned vector,
                  unsigned error);
/* portal_address: as the CPU has it */
uint64_t portal_address(IdxdVM *vm, unsigned wq, QIdxdPortal kind);

void idxd_guest_add_insn_tests(void);
void idxd_guest_add_submit_tests(void);
void idxd_guest_add_race_tests(void);

#endif
