# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # sourced by guest-init.sh: cpus, disk, MOVES, SCENARIO
#
# Scenarios affinity, remap and hotplug, in the inner guest: affinity.c reads from the disk
# while interrupts move between CPUs, and this counts what arrived where.
#
# affinity, remap: the controller has one vector, which is not managed and carries everything.
# hotplug: it has several; those of its queues are managed and move when CPUs go off.

irqs() {
    awk -v cpus="$cpus" '
    / nvme0q0/ || / nvme0q[0-9]+$/ {
        for (i = 2; i <= cpus + 1; i++) {
            total += $i
            on_cpu[i] += $i
        }
    }
    END {
        for (i = 2; i <= cpus + 1; i++)
            served += on_cpu[i] > 0
        print "RESULT irqs=" total
        print "RESULT cpus=" cpus
        print "RESULT cpus_interrupted=" served
    }' /proc/interrupts
}

# That of the admin queue comes first.
irq_numbers=$(sed -n 's/^ *\([0-9]*\):.* nvme0q0.*/\1/p' /proc/interrupts)
case $SCENARIO in
    hotplug)
        by=cpus count=$((MOVES / 200))
        irq_numbers="$irq_numbers $(sed -n 's/^ *\([0-9]*\):.* nvme0q[1-9][0-9]*$/\1/p' /proc/interrupts)" ;;
    *) by=irq count=$MOVES ;;
esac
if [ "$SCENARIO" = remap ] && ! dmesg | grep -q 'Enabled IRQ remapping'; then
    fail "interrupt remapping is off"
fi
echo "RESULT vectors=$(grep -c nvme0q /proc/interrupts)"
echo "PHASE moves"
# shellcheck disable=SC2086 # words
affinity "$disk" "$cpus" $by "$count" $irq_numbers || fail "affinity ended with status $?"
echo "PHASE end"
irqs
