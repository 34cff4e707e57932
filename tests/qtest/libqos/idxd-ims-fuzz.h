/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Fuzzer inputs for idxd-ims: bytes that stand for what a guest can do
 *
 * The same bytes mean the same to the fuzzer, which has QEMU in its own
 * process, and to a test at the other end of a qtest socket.  So what the
 * fuzzer found is replayed without a fuzzer.
 */
#ifndef TESTS_LIBQOS_IDXD_IMS_FUZZ_H
#define TESTS_LIBQOS_IDXD_IMS_FUZZ_H

#include "idxd-ims.h"

/* The machine of all inputs */
#define QIDXD_FUZZ_MACHINE  "-machine q35 -m 16M -nodefaults"
#define QIDXD_FUZZ_SLOT     4
#define QIDXD_FUZZ_DEVICE   "idxd-ims,id=dsa,addr=4,x-mmio-dmwr=on"
#define QIDXD_FUZZ_PLAIN    QIDXD_FUZZ_DEVICE ",pasid=off,ats=off"
#define QIDXD_FUZZ_PASID    QIDXD_FUZZ_DEVICE ",pasid=on,ats=on,pri=on"

/*
 * Ends an action.  Each action starts with its number, takes the operands
 * that it finds before the end, and 0 for the others; so any bytes are an
 * input, and a change in one action leaves the others as they are.
 */
#define QIDXD_FUZZ_END  0xa5

/**
 * QIdxdFuzzHost - how to do what is no register access
 * @run: let QEMU's main loop run for a moment
 * @reset: reset the device, or the whole machine; the BARs have to be where
 *         they were, and decoding and bus mastering on
 * @clear: set guest memory to 0
 * @revoke: make the device revoke an interrupt handle, or "all"
 * @migrate: save the device's state, change it by @damage (triples of a
 *           little-endian offset and a byte to be xored there) and load it.
 *           Returns false if it was refused.  NULL: leave it out
 */
typedef struct QIdxdFuzzHost {
    void (*run)(void *opaque);
    void (*reset)(void *opaque);
    void (*clear)(void *opaque, uint64_t addr, size_t size);
    void (*revoke)(void *opaque, const char *which);
    bool (*migrate)(void *opaque, const uint8_t *damage, size_t len);
    void *opaque;
} QIdxdFuzzHost;

/** qidxd_fuzz_map: map the BARs again after a reset of the machine */
void qidxd_fuzz_map(QIdxd *d);
/** qidxd_fuzz_map_config: map the extended configuration space */
void qidxd_fuzz_map_config(QIdxd *d);

/**
 * qidxd_fuzz_run: run an input on a device, from reset to reset
 *
 * @d: set up by qidxd_init() once
 *
 * At the end, after a reset, the device has to work: its registers are those
 * of a reset, a WQ comes up, a nop completes with record and interrupt.  Fails
 * (aborts) if it does not.
 */
void qidxd_fuzz_run(QIdxd *d, const QIdxdFuzzHost *host, const uint8_t *data,
                    size_t size);

#endif
