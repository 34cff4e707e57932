# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # sourced by host-runs.sh after dsa.sh, whose functions it uses
#
# In the nested host: an IOMMU with PASIDs and page requests, so that the idxd driver turns PASIDs on.
# Its own work then carries the PASID of the kernel (system PASID; scenario dsapasid), and queues of
# type "user" those of the processes that open them (SVA; scenario dsasva).

# register OFFSET WIDTH: of BAR0
register() {
    devmem $((bar0 + $1)) "$2"
}

# What the driver wrote for work queue 0, and for its vector: the entry of MSIXPERM, and dword 2 of WQCFG
look_at_pasids() {
    bar0=$(head -n 1 "/sys/bus/pci/devices/$bdf/resource" | cut -d ' ' -f 1)
    offsets=$(register 0x60 64)
    wqcfg=$(((offsets >> 16 & 0xffff) * 0x100)) msixperm=$(((offsets >> 32 & 0xffff) * 0x100))
    permission=$(register $((msixperm + 8)) 32) mode=$(register $((wqcfg + 8)) 32)
    result "msixperm_pasid_enabled=$((permission >> 3 & 1))"
    result "msixperm_pasid=$((permission >> 12 & 0xfffff))"
    result "wqcfg_pasid_enabled=$((mode >> 28 & 1))"
    result "wqcfg_pasid=$((mode >> 8 & 0xfffff))"
}

# add_user_queue GROUP WQ OPTION...: a queue for processes, with an engine to itself
add_user_queue() {
    add_engine "$1"
    add_queue "$1" "$2" user --type=user "$3" ${4+"$4"}
}

# report NAME: what sva said in that run
report() {
    while IFS= read -r line; do
        case $line in
            *=*) result "$1_$line" ;;
            *) echo "LOG $1: $line" ;;
        esac
    done < "/tmp/sva.$1"
}

# run_sva NAME WQ COPIES OPTION...
run_sva() {
    run=$1 wq=$2 number=$3
    shift 3
    sva "$@" "/dev/dsa/wq${dsa#dsa}.$wq" "$number" > "/tmp/sva.$run" 2>&1
}

# Processes with the same addresses and different data, at the same time; then one whose memory
# is not there yet, which it has to touch when the device says so
copy_in_processes() {
    queues=
    add_user_queue 0 0 --mode=dedicated
    add_user_queue 1 1 --mode=dedicated
    on
    run_sva process0 0 "$COPIES" &
    run_sva process1 1 "$COPIES" &
    wait
    report process0
    report process1
    run_sva untouched 0 $((COPIES / 10)) --untouched
    report untouched
    off
}

# The same, and the device asks for the memory itself. Then a queue that takes its PASID with each
# descriptor: from one process, as no other one may run meanwhile on a CPU without XSAVES.
copy_with_page_requests() {
    queues=
    add_user_queue 0 0 --mode=dedicated --block-on-fault=1
    add_user_queue 1 1 --mode=shared --threshold=8
    on
    run_sva blocked 0 $((COPIES / 10)) --untouched --block
    report blocked
    run_sva shared 1 "$COPIES" --shared
    report shared
    off
}

start_driver() {
    load_driver
    bind_driver
    result "pasid_enabled=$(cat "/sys/bus/dsa/devices/$dsa/pasid_enabled")"
}

stop_driver() {
    echo "$bdf" > $driver/unbind
    report_driver
    rmmod idxd || fail "idxd does not unload"
}

pasid_test() {
    start_driver
    step "$scenario: copies of the kernel"
    copy_exactly
    stop_driver
}

sva_test() {
    start_driver
    configure 0 0
    look_at_pasids
    off
    step "$scenario: copies of processes"
    copy_in_processes
    copy_with_page_requests
    stop_driver
}
