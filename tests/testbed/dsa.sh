# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # sourced: bdf, COPIES, REVOKES, and how to report
#
# An idxd-ims in the hands of the kernel's own idxd driver: in the nested host (scenario dsahost),
# or in the inner guest (dsaguest). accel-config sets it up as an administrator would; dmacopy
# gives it work. Whoever sources this has step, fail, phase, "result KEY=VALUE", and look_at_vectors.
#
# Work queues 0 and 1 have one copy under way each, and never while handles are revoked. So each
# interrupt is handled before the next one is raised, and the driver has to count as many as the
# device sent. Queues 2 and 3 are kept full while handles are revoked; interrupts of theirs may merge.

driver=/sys/bus/pci/drivers/idxd
client=/sys/module/dmacopy/parameters
largest=65536                   # bytes that a work queue moves at a time

# Drivers are bound by hand: other runs have devices of the same kind.
load_driver() {
    echo 0 > /sys/bus/pci/drivers_autoprobe
    while read -r module; do
        insmod "/lib/modules/$module.ko" || fail "insmod $module: $(dmesg | tail -n 1)"
    done < /modules.late
    echo 1 > /sys/bus/pci/drivers_autoprobe
}

bind_driver() {
    echo "$bdf" > $driver/bind || fail "idxd did not take the device: $(dmesg | tail -n 1)"
    set -- "/sys/bus/pci/devices/$bdf"/dsa*
    dsa=${1##*/}
}

accel() {
    accel-config "$@" > /tmp/accel 2>&1 ||
        fail "accel-config $*: $(cat /tmp/accel) (status of the device: $(cat "/sys/bus/dsa/devices/$dsa/cmd_status"))"
}

# add_queue GROUP WQ DRIVER OPTION...: a work queue, for "on" to enable
add_queue() {
    group=$1 wq=$2 queue_driver=$3 name=$dsa/wq${dsa#dsa}.$2
    shift 3
    set -- "$name" --group-id="$group" --wq-size=16 --priority=10 --name="queue$wq" --max-transfer-size=$largest "$@"
    # Where a queue has a choice of drivers
    [ ! -e "/sys/bus/dsa/devices/$name/driver_name" ] || set -- "$@" --driver-name="$queue_driver"
    accel config-wq "$@"
    queues="$queues $name"
}

add_engine() {
    accel config-engine "$dsa/engine${dsa#dsa}.$1" --group-id="$1"
}

on() {
    accel enable-device "$dsa"
    # shellcheck disable=SC2086 # words
    accel enable-wq $queues
}

# configure GROUP WQ...: a group with an engine and these work queues, for the kernel's clients
configure() {
    group=$1 queues=
    shift
    add_engine "$group"
    for wq; do
        add_queue "$group" "$wq" dmaengine --mode=dedicated --type=kernel
    done
    on
}

off() {
    # shellcheck disable=SC2086 # words
    accel disable-wq $queues
    accel disable-device "$dsa"
}

# The lines of /proc/interrupts end in what the driver said, after PCI device and vector in one number.
interrupts_of() {
    awk -v vector="$1" -v cpus="$(grep -c ^processor /proc/cpuinfo)" '
/ idxd-/ {
    for (i = cpus + 2; i < NF; i++)
        if ($i ~ /-edge$/ && int($i) % 2048 == vector)
            for (j = 2; j <= cpus + 1; j++)
                n += $j
}
END { print n + 0 }' /proc/interrupts
}

start_copies() {
    insmod /lib/modules/dmacopy.ko "$@" || fail "insmod dmacopy: $(dmesg | tail -n 1)"
}

# finish_copies NAME: waits for all, and reports
finish_copies() {
    while [ "$(cat $client/running)" != 0 ]; do usleep 200000; done
    for key in channels "done" wrong failed hung; do
        result "$1_$key=$(cat $client/$key)"
    done
    rmmod dmacopy || fail "dmacopy does not unload, with $(cat $client/hung) copies that hang"
}

# One copy at a time in each queue
copy_exactly() {
    configure 0 0 1
    phase exact
    start_copies "copies=$((COPIES / 2))"
    finish_copies exact
    phase end
    look_at_vectors
    # The device refuses these, and tells so by interrupt.
    start_copies copies=50 size=$((largest * 2))
    finish_copies large
    submit_nonsense
    result "exact_irqs_1=$(interrupts_of 1)"
    result "exact_irqs_2=$(interrupts_of 2)"
    off
}

# A descriptor with an opcode that does not exist and without a completion record, written to the
# portal of queue 0 behind the driver's back: the device reports it by SWERROR or event log.
submit_nonsense() {
    portal=$(($(sed -n 3p "/sys/bus/pci/devices/$bdf/resource" | cut -d ' ' -f 1) + 0x1000))
    devmem $portal 64 0x3f00000000000000
    for i in 1 2 3 4 5 6 7; do
        devmem $((portal + i * 8)) 64 0
    done
    sleep 1
}

# Off and on again, with a reset in between
rebind() {
    echo "$bdf" > $driver/unbind
    [ ! -e "$driver/$bdf" ] || fail "idxd does not let go of the device"
    echo 1 > "/sys/bus/pci/devices/$bdf/reset" || fail "the device does not reset"
    bind_driver
}

# The device is told from outside to revoke handles, some times a second. The driver hears of each
# time by vector 0; so it is over when that one is quiet.
await_revokes() {
    before=$(interrupts_of 0) last=$before quiet=0 seconds=0
    while [ "$quiet" -lt 5 ] || [ "$last" = "$before" ]; do
        [ $seconds -lt $((REVOKES * 5 + 60)) ] || fail "no end of revoked handles"
        sleep 1
        seconds=$((seconds + 1)) quiet=$((quiet + 1))
        now=$(interrupts_of 0)
        [ "$now" = "$last" ] || quiet=0
        last=$now
    done
    result "revoked_misc_irqs=$((last - before))"
}

copy_while_revoked() {
    configure 1 2 3
    start_copies copies=4294967295 depth=8
    step "$scenario: handles are revoked"
    await_revokes
    step "$scenario: no handle is revoked any more"
    echo 1 > $client/stop
    finish_copies revoked
    result "revoked_irqs=$(($(interrupts_of 3) + $(interrupts_of 4)))"
    off
}

# log_errors CODE: both kernels have the error code in what they log: from the SWERROR register, or the event log.
log_errors() {
    dmesg | grep -cE "idxd.*(err\\[0\\]: 0x[0-9a-f]*$1[0-9a-f][0-9a-f]\$|Device error 0x$1 )"
}

report_driver() {
    result "driver_found=$(dmesg | grep -c 'idxd.*Intel(R) Accelerator Device')"
    result "driver_errors=$(dmesg | grep -v perfmon | grep -cE 'idxd.*([Ff]ail|[Tt]imeout)')"
    result "driver_handle_errors=$(log_errors 19)"
    result "driver_opcode_errors=$(log_errors 10)"
    dmesg | grep -iE 'idxd|dmacopy|hung' | sed 's/^/LOG /' | head -n 20
}

dsa_test() {
    load_driver
    bind_driver
    accel list -i
    result "listed_wqs=$(grep -c '"dev":"wq' /tmp/accel)"
    step "$scenario: copies, each with an interrupt"
    copy_exactly
    rebind
    [ "$REVOKES" = 0 ] || copy_while_revoked
    echo "$bdf" > $driver/unbind
    report_driver
    rmmod idxd || fail "idxd does not unload"
}
