# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # sourced by check: value, number, failed, hung, wqs
#
# What the project promises of each run, as TAP. A run is KERNEL/SCENARIO/POLICY; what is promised depends
# on what the kernel can do, and not on its name.

# A run with its kernel's release in the place of the name, if that was booted
label() {
    local release=${value[$1/release]-${1%%/*}}
    echo "${release%-amd64}/${1#*/}"
}

is_noresize() {
    reports_noresize "${value[$1/release]-${1%%/*}}"
}

# expect TITLE RUN VALUE-OR-KEY OPERATOR VALUE-OR-KEY: a missing result is a failure.
expect() {
    local title=$1 run left=${value[$2/$3]-$3} operator=$4 right=${value[$2/$5]-$5} ok=0
    run=$(label "$2")
    number=$((number + 1))
    case $operator in
        =) [[ $left == "$right" ]] && ok=1 ;;
        *) [[ $left =~ ^-?[0-9]+$ && $right =~ ^-?[0-9]+$ ]] && (("$left $operator $right")) && ok=1 ;;
    esac
    if ((ok)); then
        echo "ok $number - $run: $title"
    else
        failed=$((failed + 1))
        echo "not ok $number - $run: $title"
        echo "# wanted $3 $operator $5, found $left and $right"
    fi
}

skip() {
    number=$((number + 1))
    echo "ok $number - $1 # SKIP $2"
}

# Old flow on a NORESIZE host, and everything else.
resizes_expected() {
    [[ $1 == */@(off|stock) ]] && is_noresize "$1"
}

check_resizes() {
    local run=$1
    if is_noresize "$run"; then
        expect "the host reports NORESIZE" "$run" noresize = 1
    else
        expect "the host does not report NORESIZE" "$run" noresize = 0
    fi
    expect "kernel and device agree on how often MSI-X was enabled" "$run" device_enables = host_enables
    if resizes_expected "$run"; then
        expect "the old flow resizes" "$run" resizes ">" 0
    else
        expect "MSI-X is never resized" "$run" resizes_all = 0
    fi
}

check_nvme() {
    local run=$1
    check_resizes "$run"
    expect "at least 4 I/O queues" "$run" queues ">=" 4
    expect "interrupts on every queue" "$run" queues_served = queues
    expect "info pic shows that KVM serves every vector" "$run" irqfd_vectors = vectors
    expect "the guest reads what it wrote" "$run" data_ok = yes
    expect "the disk holds what the guest wrote" "$run" disk_ok = yes
}

check_table() {
    local run=$1 vectors=$2
    check_resizes "$run"
    expect "$vectors vectors unmasked" "$run" vectors = "$vectors"
    if resizes_expected "$run" && ((vectors <= 64)); then
        expect "the old flow loses interrupts" "$run" queues_hung ">" 0
    elif ! resizes_expected "$run"; then
        expect "no interrupt is lost" "$run" queues_hung = 0
        expect "every vector delivers" "$run" queues_served = queues
        expect "at most N + 2 SET_IRQS" "$run" set_irqs "<=" $((vectors + 2))
    fi
    [[ $run != */auto ]] || is_noresize "$run" ||
        expect "no more calls than in the old flow" "$run" set_irqs "<=" "${value[${run%auto}off/set_irqs]-missing}"
}

# The device counts what became of each interrupt. Its vectors are unmasked, and MSI-X is
# on in the guest, as long as there is work: what it drops is lost.
check_idxd() {
    local run=$1
    check_resizes "$run"
    expect "$((wqs + 1)) vectors unmasked" "$run" vectors = $((wqs + 1))
    expect "the device raised an interrupt per completion" "$run" device_raised = fired
    expect "none was refused" "$run" device_refused = 0
    if resizes_expected "$run"; then
        expect "the old flow drops interrupts" "$run" device_dropped ">" 0
        hung=$((hung + ${value[$run/queues_hung]:-0}))
    else
        expect "no interrupt is dropped" "$run" device_dropped = 0
        expect "no completion is without interrupt" "$run" queues_hung = 0
        expect "every work queue is served" "$run" queues_served = queues
        expect "at most N + 2 SET_IRQS" "$run" set_irqs "<=" $((wqs + 1 + 2))
    fi
}

# -- Delivery under KVM

check_storm() {
    local run=$1
    expect "the device raised an interrupt per copy" "$run" device_raised = fired
    expect "none was dropped" "$run" device_dropped = 0
    expect "nothing is delivered while masked" "$run" delivered_masked = 0
    if [[ $run == */stock ]]; then
        expect "the old flow sends messages that had been replaced" "$run" delivered_wrong ">" 0
    else
        expect "no interrupt is lost" "$run" lost = 0
        expect "every message is that of the table" "$run" delivered_wrong = 0
        expect "no SET_IRQS for masks and rewritten messages" "$run" storm_set_irqs "<=" vectors
        expect "none for masks at full speed" "$run" cycles_set_irqs = 0
    fi
}

# A guest that moves to another QEMU. What comes late is unmasked for the first time when the
# new QEMU has its file descriptors already: the release forgets that.
check_cpr() {
    local run=$1 kind
    expect "8 transfers" "$run" transfers = 8
    expect "the device drops no interrupt" "$run" device_dropped = 0
    expect "interrupts came while no QEMU listened" "$run" gap ">=" 72
    expect "interrupts went on while the new QEMU took over" "$run" takeover ">" 0
    expect "nothing is delivered while masked" "$run" delivered_masked = 0
    for kind in live quiet busy fresh masked pending masked_late unmasked_late; do
        expect "no interrupt is lost: $kind" "$run" "${kind}_lost" = 0
    done
    if [[ $run == */stock-stock ]]; then
        # Those first unmasked afterwards can be lost too: by a resize.
        expect "the release loses interrupts of vectors unmasked late" "$run" used_late_lost ">" 0
        return
    fi
    expect "no interrupt is lost: unused" "$run" unused_lost = 0
    expect "no interrupt is lost: used_late" "$run" used_late_lost = 0
    expect "no interrupt is lost: used_and_masked_late" "$run" used_and_masked_late_lost = 0
    expect "pending bits are shown" "$run" pending_seen = pending
    expect "all vectors are back to irqfd" "$run" irqfds = $((8 * ${value[$run/vectors]:-0}))
    expect "no SET_IRQS for masks after the transfer" "$run" masks_set_irqs = 0
}

check_mask() {
    local run=$1 kind
    for kind in fast spread slow; do
        if [[ $run == */stock ]]; then
            expect "$kind: two SET_IRQS per cycle in the old flow" "$run" "${kind}_set_irqs" = $((2 * ${value[$run/${kind}_cycles]:-0}))
        else
            expect "$kind: no SET_IRQS" "$run" "${kind}_set_irqs" = 0
            expect "$kind: no new routes for the same messages" "$run" "${kind}_routes" = 0
        fi
    done
    [[ $run != */auto ]] || expect "function mask: no SET_IRQS" "$run" function_set_irqs = 0
}

# Times are those of emulation: shown, not judged.
show_times() {
    local kernel=$1 release kind
    release=$(label "$kernel/mask64/auto")
    release=${release%%/*}
    for kind in fast spread function slow; do
        echo "# $release: mask and unmask, $kind: ${value[$kernel/mask64/auto/${kind}_cycle_us]-?} us," \
            "old flow ${value[$kernel/mask64/stock/${kind}_cycle_us]-?} us"
    done
    for kind in expedited normal; do
        echo "# $release: irqfd deassign and assign ${value[$kernel/irqfd64/none/irqfd_${kind}_us]-?} us," \
            "SET_IRQS there and back ${value[$kernel/irqfd64/none/rearm_${kind}_us]-?} us, RCU $kind"
    done
}

check_burst() {
    local run=$1 vectors=$2 kind
    for kind in entries function; do
        if [[ $run == */stock ]]; then
            expect "$kind: one KVM_SET_GSI_ROUTING per vector in the old flow" "$run" "${kind}_routes" ">=" "$vectors"
        else
            expect "$kind: at most 16 KVM_SET_GSI_ROUTING" "$run" "${kind}_routes" "<=" 16
            expect "$kind: at most N + 4 SET_IRQS" "$run" "${kind}_set_irqs" "<=" $((vectors + 4))
        fi
    done
}

# -- A guest that moves interrupts

check_moves() {
    local run=$1 moves=$2
    expect "at least $moves moves" "$run" moves ">=" "$moves"
    expect "every move takes effect" "$run" moves_effective = moves
    expect "no request is given up" "$run" nvme_timeouts = 0
    expect "no reader hangs" "$run" readers_hung = 0
    expect "every reader reads" "$run" readers_served = readers
    expect "all data is right" "$run" reads_wrong = 0
    expect "no interrupt comes to the wrong place" "$run" no_irq_handler = 0
    expect "every CPU gets interrupts" "$run" cpus_interrupted = cpus
    case $run in
        */affinity/stock) expect "a move re-arms the vector in the old flow" "$run" moves_set_irqs ">=" moves ;;
        */auto) expect "no SET_IRQS" "$run" moves_set_irqs = 0 ;;
    esac
    # Detached by a move after each rest, and attached in the next one
    [[ $run != */affinity/auto ]] ||
        expect "the interrupt goes through irqfds in between" "$run" moves_irqfds ">=" $((moves / 10))
    [[ $run != */hotplug/* ]] ||
        expect "interrupts of queues move" "$run" queue_moves ">" 0
}

# -- The host alone

# The tool on the host, against what QEMU and the hardware saw; it closes what it opens, and
# a device that it cannot open gets a sentence with the address in it.
check_probe() {
    local run=$1 name
    for name in syntax option missing unbound bound group permission busy cdev; do
        expect "vfio-irq-probe says what is wrong: $name" "$run" "refuses_$name" = yes
    done
    expect "vfio-irq-probe and QEMU see the same table" "$run" probe_vectors = table_size
    if is_noresize "$run"; then
        expect "vfio-irq-probe and QEMU see NORESIZE" "$run" "probe_noresize" = true
        expect "QEMU sees NORESIZE" "$run" noresize = 1
    else
        expect "vfio-irq-probe sees no NORESIZE" "$run" probe_noresize = false
        expect "QEMU sees no NORESIZE" "$run" noresize = 0
    fi
    expect "the whole table is granted" "$run" probe_granted = table_size
    expect "nothing is refused" "$run" probe_refusals = 0
    expect "the BAR can be mapped with the table in it" "$run" probe_mappable = true
    expect "the device saw MSI-X on as often as the kernel" "$run" device_enables = host_enables
    expect "no vector stays allocated" "$run" left_allocated = 0
    expect "irqfd is possible" "$run" probe_irqfd = yes
    expect "KVM has 4096 routes" "$run" probe_routes = 4096
    expect "posting is not possible" "$run" probe_posted = no
    expect "the IOMMU unit is named as the reason" "$run" probe_unit = 1
}

# Nothing is posted here: the check for it has to find that out by itself.
check_posted() {
    local run=$1
    expect "interrupts on 4 vectors or more" "$run" posted_vectors ">=" 4
    expect "each one is found not to be posted" "$run" posted_no = posted_vectors
    expect "none is taken for posted" "$run" posted_yes = 0
    expect "the check for posted interrupts fails" "$run" posted_status = 1
}

# -- The kernel's own driver of idxd-ims, in the host or in a guest

# One copy under way at a time
check_exact() {
    local run=$1 vector
    expect "$copies copies are made" "$run" exact_done = "$copies"
    for vector in 1 2; do
        expect "an interrupt per copy, refused ones included" "$run" "exact_irqs_$vector" = $((copies / 2 + 50))
        expect "the driver counts what the device sent" "$run" "exact_irqs_$vector" = "device_sent_$vector"
    done
    expect "the device drops no interrupt" "$run" device_dropped = 0
    expect "it refuses none" "$run" device_refused = 0
}

check_driver() {
    local run=$1 part
    expect "accel-config lists 8 work queues" "$run" listed_wqs = 8
    expect "the driver takes the device, and again after a reset" "$run" driver_found = 2
    check_exact "$run"
    expect "the device refuses copies that are too large" "$run" large_failed = 100
    expect "the driver logs a descriptor that is nonsense" "$run" driver_opcode_errors = 1
    expect "handles are revoked $revokes times" "$run" device_revokes ">=" "$revokes"
    expect "under copies that use them" "$run" driver_handle_errors ">" 0
    expect "copies go on" "$run" revoked_done ">" "$revokes"
    for part in exact revoked; do
        expect "no copy is wrong: $part" "$run" "${part}_wrong" = 0
        expect "none fails: $part" "$run" "${part}_failed" = 0
        expect "none hangs: $part" "$run" "${part}_hung" = 0
    done
    expect "the driver has no complaint" "$run" driver_errors = 0
    [[ $run == */dsaguest/* ]] || return 0
    expect "no SET_IRQS while copies are made" "$run" exact_set_irqs = 0
    expect "KVM serves the vectors of device and work queues" "$run" irqfd_vectors = 3
}

# With PASIDs: those of the driver's own work have to be where the device checks them.
check_system_pasid() {
    local run=$1
    expect "the driver takes the device" "$run" driver_found = 1
    expect "it turns PASIDs on" "$run" pasid_enabled = 1
    expect "MSIXPERM has a PASID" "$run" msixperm_pasid_enabled = 1
    expect "WQCFG has one" "$run" wqcfg_pasid_enabled = 1
    expect "they are the same" "$run" msixperm_pasid = wqcfg_pasid
    expect "and that of the kernel" "$run" wqcfg_pasid ">" 0
}

check_pasid() {
    check_system_pasid "$1"
    check_exact "$1"
}

# Processes that submit themselves; of a kind: NAME COPIES
check_copies() {
    expect "all copies of $2 are made" "$1" "$2_done" = "$3"
    expect "none is wrong" "$1" "$2_wrong" = 0
    expect "none fails" "$1" "$2_failed" = 0
}

check_sva() {
    local run=$1 few=$((copies / 10))
    check_system_pasid "$run"
    check_copies "$run" process0 "$copies"
    check_copies "$run" process1 "$copies"
    check_copies "$run" untouched "$few"
    expect "the device reports each page that is not there" "$run" untouched_faults = $((few * 3))
    check_copies "$run" blocked "$few"
    expect "with block on fault it reports none" "$run" blocked_faults = 0
    expect "it asks for each" "$run" device_page_requests = $((few * 3))
    expect "and gets it" "$run" device_pages_granted = device_page_requests
    check_copies "$run" shared "$copies"
}

# -- A test program

check_qtest() {
    local run=$1
    expect "the tests pass" "$run" failed = 0
    expect "they are run" "$run" passed ">" 0
    expect "they end well" "$run" exit_status = 0
}
