#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# /init of the guest: uses each of the devices that it finds, and says on its second serial port, in lines
# key=value, what came of it. The kernel command line has URL, of the file to fetch.

export PATH=/bin
mount -t devtmpfs none /dev
mount -t proc none /proc
mount -t sysfs none /sys

say() { echo "$*" >/dev/ttyS1; }

# The interface with this MAC address, by its last digits
interface() {
    for dir in /sys/class/net/*; do
        [ "$(cat "$dir/address")" != "52:54:00:00:00:$1" ] || echo "${dir##*/}"
    done
}

disk() {
    for dir in /sys/block/vd*; do
        [ "$(cat "$dir/serial" 2>/dev/null)" != "$1" ] || echo "/dev/${dir##*/}"
    done
}

use_network() {
    eth=$(interface 01)
    [ "$eth" ] || return
    ip link set "$eth" up
    udhcpc -f -n -q -t 10 -T 3 -i "$eth" -s /udhcpc.sh >/dev/console 2>&1
    say "address=$(ip -4 addr show dev "$eth" | sed -n 's/.*inet \([^ ]*\).*/\1/p')"
    wget -q -T 60 -O /tmp/file "$URL" && say "fetched=$(sha256sum /tmp/file | cut -d' ' -f1)"
}

# What the kernel sends by itself on an interface that is up is enough: the peer counts it.
use_vhost() {
    for digits in 02 03; do
        eth=$(interface $digits)
        [ ! "$eth" ] || ip link set "$eth" up
    done
}

use_9p() {
    mkdir -p /mnt
    mount -t 9p -o trans=virtio,version=9p2000.L share /mnt && cp /mnt/file /mnt/copy && sync && say "9p=copied"
}

# The second half becomes a copy of the first.
use_disk() {
    disk=$(disk "$1")
    [ "$disk" ] || return
    dd if="$disk" of="$disk" bs=1M count=2 seek=2 conv=fsync 2>/dev/null && say "$1=copied"
}

while read -r module; do
    insmod "/lib/modules/$module.ko" || say "failed=$module"
done < /modules
use_vhost
use_network
use_9p
use_disk uring
use_disk native
say "done=yes"
# The host looks at the display, then ends QEMU.
while :; do sleep 60; done
