# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh # sourced by posted and host-init.sh
#
# A guest with scenario posted on an assigned nvme, and what the host's /proc/interrupts
# says before and after its work.
#
#   posted_guest DIR QEMU_COMMAND...
#
# leaves in DIR: before, after (of the host), guest (a line "VECTOR INTERRUPTS" for each
# vector that took some), console, qemu.log. Returns QEMU's exit status.

posted_guest() {
    posted_dir=$1
    shift
    rm -rf "$posted_dir"
    mkdir -p "$posted_dir"
    : >"$posted_dir/guest"
    mkfifo "$posted_dir/answers"
    # Open for both, so that neither side waits for the other to open it.
    exec 4<>"$posted_dir/answers"
    {
        "$@" -serial stdio <&4 2>"$posted_dir/qemu.log"
        echo $? >"$posted_dir/status"
    } | posted_relay
    exec 4>&-
    return "$(cat "$posted_dir/status")"
}

# The guest waits for an answer at the two points where the host is looked at.
posted_relay() {
    posted_return=$(printf '\r')
    while IFS= read -r line; do
        line=${line%"$posted_return"}
        echo "$line" >>"$posted_dir/console"
        case $line in
            "POSTED ready") cat /proc/interrupts >"$posted_dir/before"; echo go >&4 ;;
            "POSTED done") cat /proc/interrupts >"$posted_dir/after"; echo go >&4 ;;
            "POSTED vector "*) echo "${line#POSTED vector }" >>"$posted_dir/guest" ;;
        esac
    done
}
