#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What udhcpc calls in the guest: takes the lease.
# shellcheck disable=SC2154 # udhcpc's variables
[ "$1" = bound ] || exit 0
ip addr add "$ip/$mask" dev "$interface"
ip route add default via "$router"
