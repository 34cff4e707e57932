# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # sourced by guest-init.sh: cpus, disk
#
# Scenario posted, in the inner guest: every CPU reads through its own queue, and the
# interrupts that this took are counted per vector. Nothing is written: on a host that can
# post, the disk is a real one.

reads=${READS:-64}              # of 4 KiB, for each CPU

# Waits until the host has looked at its own counts.
report() {
    echo "POSTED $1"
    read -r _
}

read_on_all_cpus() {
    cpu=0
    while [ $cpu -lt "$cpus" ]; do
        taskset "$(printf %x $((1 << cpu)))" dd if="$disk" of=/dev/null iflag=direct \
            bs=4k count="$reads" 2>/tmp/dd || fail "reading on CPU $cpu: $(cat /tmp/dd)"
        cpu=$((cpu + 1))
    done
}

# Lines "VECTOR COUNT". Interrupt numbers are given out in the order of the table.
irq_counts() {
    pci=$(basename "$(readlink -f /sys/class/nvme/nvme0/device)")
    find "/sys/bus/pci/devices/$pci/msi_irqs/" -type f | sed 's|.*/||' | sort -n > /tmp/irqs
    awk -v cpus="$cpus" '
    NR == FNR { vector[$1 ":"] = FNR - 1; next }
    $1 in vector {
        n = 0
        for (i = 2; i <= cpus + 1; i++)
            n += $i
        print vector[$1], n
    }' /tmp/irqs /proc/interrupts
}

# The first round brings everything to where it stays.
read_on_all_cpus
sleep 2
report ready
irq_counts > /tmp/before
read_on_all_cpus
irq_counts > /tmp/after
awk 'NR == FNR { before[$1] = $2; next }
    $2 > before[$1] { print "POSTED vector", $1, $2 - before[$1] }' /tmp/before /tmp/after
report "done"
