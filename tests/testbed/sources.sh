# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # sourced by run: its options
#
# What the test bed boots: a kernel and a busybox, from this machine or its Debian mirror.
#   find_kernel     print the directory of an unpacked linux-image package
#   find_busybox    print the path of a static busybox

kernel_packages() {
    case $kernel in
        6.1) echo 'linux-image-6\.1\.0-[0-9]+-amd64 bookworm' ;;
        # Its headers have build tools with them, which run on no Debian that is older.
        6.12) if [[ ${runs[*]} == *dsa* ]] && ! grep -qs trixie /etc/os-release; then
                echo 'linux-image-6\.12\.[0-9]+\+deb12-amd64 bookworm'
                return
            fi
            echo 'linux-image-6\.12\.[0-9]+(\+deb1[23])?-amd64 trixie bookworm-backports' ;;
        # x86 has no SVA from 6.12.69 to 6.18 (CVE-2025-71089).
        6.12.57) echo 'linux-image-6\.12\.57\+deb12-amd64 bookworm-backports' ;;
        *) die "--kernel $kernel: this is not 6.1 or 6.12; for another one add --kernel-dir or --kernel-deb" ;;
    esac
}

find_kernel() {
    local variable=TESTBED_DEB_${kernel//./_} packages=()
    kernel_deb=${kernel_deb:-${!variable:-}}
    if [[ $kernel_dir ]]; then
        echo "$kernel_dir"
    elif [[ $kernel_deb ]]; then
        lock "$CACHE/pkg"
        extract_deb "$kernel_deb"
    else
        read -ra packages < <(kernel_packages)
        ((${#packages[@]})) || exit 1
        HINT="name a linux-image-$kernel*.deb at hand with --kernel-deb or $variable" \
            fetch_package "${packages[@]}"
    fi
}

# One that is installed will do if it is static; else it is fetched, for on some machines
# installing it would replace the other one.
find_busybox() {
    local busybox
    busybox=$(command -v busybox) || true
    if [[ ! $busybox ]] || ldd "$busybox" >/dev/null 2>&1; then
        busybox=$(fetch_package busybox-static trixie bookworm)
        busybox=$(find "$busybox" -path '*/bin/busybox' -type f)
    fi
    echo "$busybox"
}
