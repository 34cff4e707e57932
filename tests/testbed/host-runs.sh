# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154,SC2034 # sourced by host-init.sh
#
# What the nested host does for each scenario. run_scenario runs the one in $scenario with
# $policy on the device $bdf; results go to /tmp/result, how it ended to $status.

# A policy is a value of x-msix-prealloc, or "stock" for the release without the series.
policy_name() {
    case $policy in
        stock) echo "the release" ;;
        stock-stock) echo "the release, and nothing else" ;;
        none) echo "no QEMU, or one that a test starts" ;;
        *) echo "x-msix-prealloc=$policy" ;;
    esac
}

qemu_command() {
    case $policy in
        stock*) program=qemu-stock ;;
        *) program=qemu-system-x86_64 ;;
    esac
    echo "$program -L /usr/share/qemu -nodefaults -no-user-config -display none -nic none" \
        "-trace msix_write_config -trace vfio_msix_early_setup -D /tmp/qemu.log"
}

# Comes last: an IOMMU has to be there before.
assigned_device() {
    case $policy in
        stock*) property= ;;
        *) property=,x-msix-prealloc=$policy ;;
    esac
    echo "-device vfio-pci,host=$bdf,addr=5$property"
}

# A guest whose kernel misses a CPU: where the threads of QEMU are, and what the CPUs do. Once,
# and next to the console's lines, which go on.
look_into_stall() {
    [ ! -e /tmp/stall ] || return 0
    : > /tmp/stall
    for task in /proc/"$(pidof qemu-system-x86_64 qemu-stock)"/task/*; do
        echo "STALL $(cat "$task/comm"): $(cut -d ' ' -f 3 "$task/stat") in $(cat "$task/wchan")"
        sed 's/^/STALL     /' "$task/stack"
    done > /dev/ttyS1
    for command in "info registers -a" "info lapic 0" "info lapic 1" "info lapic 2" "info lapic 3" "info pic"; do
        echo "$command" > /tmp/monitor.in
        sleep 2
    done
}

# The guest's console, line by line: results, marks for the kernel's trace, and commands for
# QEMU's monitor are picked out.
relay() {
    while IFS= read -r line; do
        echo "$line" > /dev/ttyS1
        case $line in
            *"detected stalls"* | *"soft lockup"*) look_into_stall & ;;
            RESULT*) echo "$line" >> /tmp/result ;;
            PHASE*) echo "$line" > "$tracing/trace_marker" ;;
            MONITOR*) echo "${line#MONITOR }" > /tmp/monitor.in ;;
            STEP*) echo "$line" ;;
        esac
    done
}

# What the monitor says, without what its line editor echoes, and how many vectors KVM serves
keep_monitor() {
    tr -d '\r' < /tmp/monitor.out | while IFS= read -r line; do
        case $line in
            "(qemu)"*) ;;
            *) echo "$line"; echo "$line" > /dev/ttyS1 ;;
        esac
    done > /tmp/monitor.log
    echo "RESULT irqfd_vectors=$(grep -c 'vector [0-9]*: irqfd' /tmp/monitor.log)" >> /tmp/result
}

# run_guest MACHINE KERNEL_OPTIONS QEMU_OPTION...
run_guest() {
    machine=$1 append="$(cat /boot/guest.cmdline) SCENARIO=$scenario MOVES=$MOVES COPIES=$COPIES REVOKES=$REVOKES $2"
    shift 2
    mkfifo /tmp/console /tmp/monitor.in /tmp/monitor.out
    relay < /tmp/console &
    keep_monitor &
    # shellcheck disable=SC2046 # words
    $(qemu_command) -name debug-threads=on -machine "$machine" -cpu host -smp "$GUEST_CPUS" -m 256 "$@" \
        -kernel /boot/vmlinuz -initrd /boot/guest.cpio -no-reboot \
        -append "$append" -serial file:/tmp/console $(assigned_device) \
        -chardev pipe,id=monitor,path=/tmp/monitor -object monitor-hmp,id=hmp,chardev=monitor
    status=$?
    # A QEMU that did not start has opened none of these, and their readers wait for that.
    for pipe in /tmp/console /tmp/monitor.out; do
        : <> $pipe
    done
    wait
    rm /tmp/console /tmp/monitor.*
}

# run_client PROGRAM VECTORS QEMU_OPTION...
run_client() {
    program=$1 count=$2
    shift 2
    # shellcheck disable=SC2046 # words
    "$program" --vectors "$count" --tracing "$tracing" -- $(qemu_command) -m 128 "$@" \
        $(assigned_device) > /tmp/result
    status=$?
}

run_bare_client() {
    run_client "$1" "$2" -machine q35,accel=kvm -cpu host -bios /boot/bare.bin
}

# A QEMU that can be moved: its memory has file descriptors.
movable_command() {
    echo "$(qemu_command) -m 128 -object memory-backend-memfd,id=ram0,size=128M,share=on" \
        "-machine q35,accel=kvm,memory-backend=ram0,aux-ram-share=on" \
        "-cpu host -bios /boot/bare.bin $(assigned_device),id=device"
}

# From the release to the QEMU under test, from that to itself, or from release to release
run_cpr() {
    old=$(movable_command)
    [ "$policy" != stock ] || policy=auto
    # shellcheck disable=SC2046,SC2086 # words
    cpr --vectors "$1" --tracing $tracing -- $old -- $(movable_command) -D /tmp/qemu-new.log > /tmp/result
    status=$?
}

run_irqfd() {
    irqfd --vectors "$1" --device "$bdf" > /tmp/result
    status=$?
}

# The nested host is the one with the driver: no QEMU.
run_dsa() {
    result() { echo "RESULT $1" >> /tmp/result; }
    phase() { :; }
    look_at_vectors() { :; }
    # shellcheck source=tests/testbed/dsa.sh
    . /dsa.sh
    dsa_test
    status=0
}

run_pasid() {
    result() { echo "RESULT $1" >> /tmp/result; }
    phase() { :; }
    look_at_vectors() { look_at_pasids; }
    # shellcheck source=tests/testbed/dsa.sh
    . /dsa.sh
    # shellcheck source=tests/testbed/pasid.sh
    . /pasid.sh
    "$1"
    status=0
}

# What a reader of the tutorial types, and sees
run_tour() {
    # shellcheck source=tests/testbed/dsa.sh
    . /dsa.sh
    modprobe() {
        load_driver
        echo "$bdf" > $driver/bind
    }
    while IFS= read -r line <&3; do
        echo "TOUR # $line"
        # Not in a pipe: what a command sets is there for the next one.
        eval "$line" > /tmp/tour 2>&1 < /dev/null
        sed 's/^/TOUR /' /tmp/tour
    done 3< /tour
    status=0
}

# Any program that speaks TAP and starts the QEMU under test itself
run_qtest() {
    export QTEST_QEMU_BINARY=/bin/qemu-system-x86_64
    # Eventfds of several devices
    # shellcheck disable=SC3045 # busybox has it
    ulimit -n 65536
    [ ! -x /bin/qemu-stock ] || export QTEST_QEMU_STOCK_BINARY=/bin/qemu-stock
    # shellcheck disable=SC2086 # words, from the kernel command line
    { /bin/qtest --tap -k $QTEST_ARGS; echo "exit $?"; } 2>&1 < /dev/null | while IFS= read -r line; do
        case $line in
            "exit "*) echo "RESULT exit_status=${line#exit }" ;;
            "ok "* | "not ok "*) step "$line" > /dev/console; echo "TAP $line" ;;
            *) echo "TAP $line" ;;
        esac
    done > /tmp/result
    status=0
}

run_scenario() {
    case $scenario in
        nvme | affinity | dsaguest) run_guest q35,accel=kvm '' ;;
        hotplug) run_guest q35,accel=kvm '' ;;
        remap) run_guest q35,accel=kvm,kernel-irqchip=split intel_iommu=off \
            -device intel-iommu,intremap=on,caching-mode=on ;;
        table*) run_client table "${scenario#table}" -machine q35,accel=qtest ;;
        # One vector per work queue, and one for the device itself
        idxd*) run_client idxd $((${scenario#idxd} + 1)) -machine q35,accel=qtest ;;
        storm*) run_bare_client storm $((${scenario#storm} + 1)) ;;
        cpr*) run_cpr $((${scenario#cpr} + 1)) ;;
        mask*) run_bare_client mask "${scenario#mask}" ;;
        burst*) run_bare_client burst "${scenario#burst}" ;;
        irqfd*) run_irqfd "${scenario#irqfd}" ;;
        dsahost | dsauser) run_dsa ;;
        dsapasid) run_pasid pasid_test ;;
        dsasva) run_pasid sva_test ;;
        dsatour) run_tour ;;
        qtest) run_qtest ;;
        probe) run_probe ;;
        posted) run_posted ;;
        *) fail "unknown scenario $scenario" ;;
    esac
}
