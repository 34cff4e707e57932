#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# /init of the inner guest: waits for the disk of the stock nvme driver, then sources the
# scenario that the kernel command line names in SCENARIO, for what is done with it.
# Speaks to the nested host in lines: PHASE name, RESULT key=value, FAILED reason,
# STEP text, MONITOR command.

export PATH=/bin
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys

disk=/dev/nvme0n1

finish() { sync; poweroff -f; }
fail() { echo "FAILED guest: $*"; finish; }

while read -r module; do
    # An interrupt that is lost shows as a request that the driver gives up on.
    options=
    [ "$module" != nvme_core ] || options=io_timeout=10
    # shellcheck disable=SC2086 # none or one
    insmod "/lib/modules/$module.ko" $options || fail "insmod $module"
done < /modules

tries=0
until [ -b $disk ] || [ "$SCENARIO" = dsaguest ]; do
    tries=$((tries + 1))
    [ $tries -le 600 ] || fail "no $disk after a minute: the nvme driver did not come up"
    usleep 100000
done
echo "PHASE end"                # of the bring-up

# shellcheck disable=SC2034 # for the scenario
cpus=$(grep -c ^processor /proc/cpuinfo)

# Complaints of driver and kernel that an interrupt did not come, or came to the wrong place
report_log() {
    echo "RESULT nvme_timeouts=$(dmesg | grep -c 'nvme.*timeout')"
    echo "RESULT no_irq_handler=$(dmesg | grep -c 'No irq handler')"
}

# shellcheck source=/dev/null
. "/scenarios/${SCENARIO:-nvme}"
report_log
finish
