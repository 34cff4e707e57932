/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * idxd-ims as the CPUs of a guest use it
 *
 * The other tests of the device have nobody but themselves to write to it, in
 * pieces of 8 bytes.  Here, CPUs of TCG do it with the instructions that are
 * made for it.
 */
#include "qemu/osdep.h"
#include "qemu/bswap.h"
#include "idxd-guest-test.h"

void fill_source(IdxdVM *vm, uint32_t first, uint8_t rest)
{
    qtest_memset(vm->qts, vm->ram + SOURCE, rest, DSA_DESC_SIZE);
    qtest_writel(vm->qts, vm->ram + SOURCE, first);
}

void put_source(IdxdVM *vm, const QIdxdDesc *desc)
{
    uint8_t raw[DSA_DESC_SIZE];

    qidxd_pack(desc, raw);
    qtest_memwrite(vm->qts, vm->ram + SOURCE, raw, sizeof(raw));
}

void set_pasid(IdxdVM *vm, unsigned cpu, uint64_t val)
{
    IdxdGuestRun run = {
        IDXD_GUEST_CODE("\x0f\x30"),        /* wrmsr */
        .rcx = MSR_IA32_PASID, .rax = (uint32_t)val, .rdx = val >> 32,
    };

    idxd_guest_start(vm, cpu, &run);
    idxd_guest_wait(vm, cpu, &run);
    g_assert_cmpuint(run.vector, ==, IDXD_GUEST_DONE);
}

void expect_fault(IdxdVM *vm, IdxdGuestRun *run, unsigned vector,
                  unsigned error)
{
    idxd_guest_run(vm, run);
    g_assert_cmpuint(run->vector, ==, vector);
    g_assert_cmphex(run->error, ==, error);
    g_assert_cmpuint(run->rip, ==, 0);
}

uint64_t portal_address(IdxdVM *vm, unsigned wq, QIdxdPortal kind)
{
    return vm->dev.portals.addr + qidxd_portal(&vm->dev, wq, kind);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    idxd_guest_add_insn_tests();
    idxd_guest_add_submit_tests();
    idxd_guest_add_race_tests();
    return g_test_run();
}
