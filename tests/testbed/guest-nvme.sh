# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154 # sourced by guest-init.sh: cpus, disk
#
# Scenario nvme, in the inner guest: every CPU writes and reads through its own queue; the
# data is compared and the interrupts are counted per queue.

blocks=64                       # 4 KiB blocks that each CPU writes and reads

# One request at a time and past the page cache: each is an interrupt on this CPU's queue.
copy_on_cpu() {
    from=$1 to=$2 flag=$3 first=$((cpu * blocks))
    taskset "$(printf %x $((1 << cpu)))" dd if="$from" of="$to" "$flag=direct" \
        conv=notrunc bs=4k count=$blocks skip=$first seek=$first 2>/tmp/dd ||
        fail "$from to $to on CPU $cpu: $(cat /tmp/dd)"
}

dd if=/dev/urandom of=/tmp/pattern bs=4k count=$((blocks * cpus)) 2>/dev/null
cpu=0
while [ $cpu -lt "$cpus" ]; do
    copy_on_cpu /tmp/pattern "$disk" oflag
    copy_on_cpu "$disk" /tmp/back iflag
    cpu=$((cpu + 1))
done
# The vectors have all been used, and come to rest.
sleep 1
echo "MONITOR info irq"
echo "MONITOR info pic"
sleep 1
data_ok=no
cmp -s /tmp/pattern /tmp/back && data_ok=yes
sum=$(sha256sum < /tmp/pattern)

# nvme0q0 is the admin queue. The line is: IRQ: one count per CPU, chip, ..., name.
awk -v cpus="$cpus" '
/ nvme0q[0-9]+$/ {
    n = 0
    for (i = 2; i <= cpus + 1; i++)
        n += $i
    list = list (list == "" ? "" : ",") substr($NF, 7) ":" n
    total += n
    queues += $NF != "nvme0q0"
    served += $NF != "nvme0q0" && n > 0
}
END {
    print "RESULT queues=" queues
    print "RESULT queues_served=" served
    print "RESULT vectors=" queues + 1
    print "RESULT irqs=" total
    print "RESULT queue_irqs=" list
}' /proc/interrupts
echo "RESULT bytes=$(stat -c %s /tmp/back)"
echo "RESULT data_ok=$data_ok"
echo "RESULT data_sha256=${sum%% *}"
