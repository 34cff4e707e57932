#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# /init of the nested host: binds one PCI device per run to vfio-pci, starts what the run
# needs on it (host-runs.sh), and sends what was seen out through serial ports:
#   ttyS0  this console     ttyS1  the inner guest's console     ttyS2  evidence
#
# RUNS (from the kernel command line) lists scenario:policy, separated by commas; the
# n-th run, counted from 0, owns the device at PCI address 00:(10h+n).0.

export PATH=/bin
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys
mount -t tracefs none /sys/kernel/tracing
mount -t tmpfs none /tmp

tracing=/sys/kernel/tracing

finish() { sync; poweroff -f; }
fail() { echo "FAILED host: $*"; finish; }
step() { echo "STEP $*"; }

# /modules has both KVM vendor modules; only one fits the CPU.
load_modules() {
    while read -r module; do
        options=
        # Intel DSA is on the list of what vfio-pci does not take unasked.
        [ "$module" != vfio_pci ] || options=disable_denylist=1
        # shellcheck disable=SC2086 # none or one
        insmod "/lib/modules/$module.ko" $options 2>/tmp/insmod && continue
        case $module in
            kvm_amd | kvm_intel) ;;
            *) fail "insmod $module: $(cat /tmp/insmod)" ;;
        esac
    done < /modules
    # One emulated CPU runs all: who waits for a vCPU to wake up keeps it from waking up.
    echo 0 > /sys/module/kvm/parameters/halt_poll_ns
    [ -c /dev/kvm ] || fail "no /dev/kvm: the outer CPU has neither SVM nor VMX"
    [ "$RUNS" = dsauser:none ] || [ -e /sys/class/iommu/dmar0 ] || fail "no IOMMU: is the outer QEMU's intel-iommu there?"
}

# What reaches the kernel, seen by the kernel: QEMU's own word is not asked.
probe_calls() {
    cat > $tracing/kprobe_events <<'EVENTS' || fail "no kprobes on VFIO and KVM"
p:set_irqs vfio_pci_set_irqs_ioctl flags=%si:u32 index=%dx:u32 start=%cx:u32 count=%r8:u32
r:set_irqs_ret vfio_pci_set_irqs_ioctl ret=$retval:s32
p:irqfd kvm_irqfd flags=+8(%si):u32
r:irqfd_ret kvm_irqfd ret=$retval:s32
p:route kvm_set_irq_routing
r:route_ret kvm_set_irq_routing ret=$retval:s32
EVENTS
    echo 8192 > $tracing/buffer_size_kb
    echo 1 > $tracing/events/kprobes/enable
}

bind() {
    echo vfio-pci > "/sys/bus/pci/devices/$1/driver_override"
    echo "$1" > /sys/bus/pci/drivers_probe
    [ -e "/sys/bus/pci/drivers/vfio-pci/$1" ] || fail "vfio-pci did not bind $1"
}

# shellcheck source=/dev/null
. /host-runs.sh
# shellcheck source=tests/testbed/host-probe.sh
. /host-probe.sh
# shellcheck source=tests/testbed/posted.sh
. /posted.sh

# Traces of some scenarios are too long for a serial line: sums do.
send_evidence() {
    case $scenario in
        nvme | table* | idxd* | probe) grep -hE ' set_irqs|PHASE' $tracing/trace ;;
        *) awk -f /calls.awk $tracing/trace ;;
    esac
    cat /tmp/qemu.log /tmp/result
    # shellcheck disable=SC2154 # set by run_scenario
    echo "== end $status"
}

run_one() {
    # shellcheck disable=SC2034 # for run_scenario
    bdf=$1 scenario=${2%%:*} policy=${2#*:}
    step "$scenario with $(policy_name)"
    case $scenario in
        dsahost | dsapasid | dsasva | dsatour | dsauser) ;;     # for the host's own driver
        *) [ ! -e "/sys/bus/pci/devices/$bdf" ] || bind "$bdf" ;;
    esac
    echo > $tracing/trace
    rm -f /tmp/qemu.log /tmp/result
    touch /tmp/qemu.log /tmp/result
    echo "== run $2" > /dev/ttyS1
    echo "== run $2 $bdf $(uname -r)" > /dev/ttyS2
    run_scenario
    send_evidence > /dev/ttyS2
    [ "$status" = 0 ] || fail "run $2 ended with status $status"
}

load_modules
probe_calls
slot=16
for run in $(echo "$RUNS" | tr , ' '); do
    run_one "$(printf 0000:00:%02x.0 $slot)" "$run"
    slot=$((slot + 1))
done
step "all runs done"
finish
