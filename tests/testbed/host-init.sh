#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# /init of the nested host: binds one PCI device per run to vfio-pci, starts the
# QEMU under test on it, and sends what was seen out through serial ports:
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
    [ -c /dev/kvm ] || fail "no /dev/kvm: the outer CPU has neither SVM nor VMX"
    [ -e /sys/class/iommu/dmar0 ] || fail "no IOMMU: is the outer QEMU's intel-iommu there?"
}

# What reaches the kernel, seen by the kernel: QEMU's own word is not asked.
probe_set_irqs() {
    cat > $tracing/kprobe_events <<'EVENTS' || fail "no kprobe on vfio_pci_set_irqs_ioctl"
p:set_irqs vfio_pci_set_irqs_ioctl flags=%si:u32 index=%dx:u32 start=%cx:u32 count=%r8:u32
r:set_irqs_ret vfio_pci_set_irqs_ioctl ret=$retval:s32
EVENTS
    echo 8192 > $tracing/buffer_size_kb
    echo 1 > $tracing/events/kprobes/enable
}

bind() {
    echo vfio-pci > "/sys/bus/pci/devices/$1/driver_override"
    echo "$1" > /sys/bus/pci/drivers_probe
    [ -e "/sys/bus/pci/drivers/vfio-pci/$1" ] || fail "vfio-pci did not bind $1"
}

qemu_args() {
    echo "-L /usr/share/qemu -nodefaults -no-user-config -display none -nic none" \
        "-trace msix_write_config -trace vfio_msix_early_setup -D /tmp/qemu.log" \
        "-device vfio-pci,host=$1,addr=5,x-msix-prealloc=$2"
}

# The guest's console, line by line: results and the end of the bring-up are picked out.
relay() {
    while IFS= read -r line; do
        echo "$line" > /dev/ttyS1
        case $line in
            RESULT*) echo "$line" >> /tmp/result ;;
            PHASE*) echo "$line" > $tracing/trace_marker ;;
        esac
    done
}

run_nvme() {
    mkfifo /tmp/console
    relay < /tmp/console &
    # shellcheck disable=SC2046 # words
    qemu-system-x86_64 $(qemu_args "$1" "$2") \
        -machine q35,accel=kvm -cpu host -smp "$GUEST_CPUS" -m 256 \
        -kernel /boot/vmlinuz -initrd /boot/guest.cpio -no-reboot \
        -append "$(cat /boot/guest.cmdline)" -serial file:/tmp/console
    status=$?
    wait
    rm /tmp/console
}

# run_client PROGRAM VECTORS BDF POLICY
run_client() {
    # shellcheck disable=SC2046 # words
    "$1" --vectors "$2" --marker $tracing/trace_marker -- \
        qemu-system-x86_64 $(qemu_args "$3" "$4") -machine q35,accel=qtest -m 128 \
        > /tmp/result
    status=$?
}

send_evidence() {
    grep -hE 'set_irqs|PHASE' $tracing/trace
    cat /tmp/qemu.log /tmp/result
    echo "== end $status"
}

run_one() {
    bdf=$1 scenario=${2%%:*} policy=${2#*:}
    step "$scenario with x-msix-prealloc=$policy"
    bind "$bdf"
    echo > $tracing/trace
    rm -f /tmp/qemu.log /tmp/result
    echo "== run $2" > /dev/ttyS1
    echo "== run $2 $bdf $(uname -r)" > /dev/ttyS2
    case $scenario in
        nvme) run_nvme "$bdf" "$policy" ;;
        table*) run_client table "${scenario#table}" "$bdf" "$policy" ;;
        # One vector per work queue, and one for the device itself
        idxd*) run_client idxd $((${scenario#idxd} + 1)) "$bdf" "$policy" ;;
        *) fail "unknown scenario $scenario" ;;
    esac
    send_evidence > /dev/ttyS2
    [ "$status" = 0 ] || fail "run $2 ended with status $status"
}

load_modules
probe_set_irqs
slot=16
for run in $(echo "$RUNS" | tr , ' '); do
    run_one "$(printf 0000:00:%02x.0 $slot)" "$run"
    slot=$((slot + 1))
done
step "all runs done"
finish
