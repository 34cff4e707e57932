# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2034,SC2153 # sourced by guest-init.sh; for dsa.sh
#
# Scenario dsaguest, in the inner guest: its own idxd driver, on a device that vfio-pci hands in.

step() { echo "STEP $*"; }
result() { echo "RESULT $1"; }
phase() { echo "PHASE $1"; }
look_at_vectors() {
    sleep 1
    echo "MONITOR info pic"
    sleep 1
}
scenario=$SCENARIO bdf=0000:00:05.0
mkdir -p /tmp

# shellcheck source=tests/testbed/dsa.sh
. /dsa.sh
dsa_test
