# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # sourced by run, check and posted: their options
#
# What the test bed boots: kernels and a busybox, from this machine or its Debian mirror.
#   kernels                   those that all promises are checked on, as in --kernel
#   reports_noresize NAME     of one of them, or of a release: does its VFIO report NORESIZE for MSI-X?
#   find_kernel               print the directory of an unpacked linux-image package
#   kernel_image DIR          print the path of the kernel there
#   kernel_release IMAGE      print its version, which is what uname -r says
#   find_busybox              print the path of a static busybox
#   find_accel_config         print those of accel-config and its libraries
#   fetch_sources             all of it that the runs need

# shellcheck disable=SC2034 # for check
kernels=(6.1 6.12 newest)

# VFIO adds vectors to an index in use since Linux 6.5 (on x86). A name that is no number is that of a new one.
reports_noresize() {
    [[ $(printf '%s\n' 6.5 "$1" | sort -V | head -n 1) != 6.5 ]]
}

# The suite that answers is taken: whoever has the newest kernel comes first.
kernel_packages() {
    case $kernel in
        6.1) echo 'linux-image-6\.1\.0-[0-9]+-amd64 bookworm' ;;
        6.12) echo 'linux-image-6\.12\.[0-9]+\+deb1[23]-amd64 trixie bookworm bookworm-backports' ;;
        # x86 has no SVA from 6.12.69 to 6.18 (CVE-2025-71089).
        6.12.57) echo 'linux-image-6\.12\.57\+deb12-amd64 bookworm-backports' ;;
        newest) echo 'linux-image-[0-9.]+\+deb[0-9.]+-amd64 trixie-backports forky sid' ;;
        *) die "--kernel $kernel: this is not 6.1, 6.12 or newest; for another one add --kernel-dir or --kernel-deb" ;;
    esac
}

# What Debian has of one kernel in several packages, in one directory: hard links, which take no space.
# merge_packages NAME DIR...
merge_packages() {
    local merged=$CACHE/pkg/$1 dir
    shift
    [[ -d $merged ]] || lock "$CACHE/pkg"
    if [[ ! -d $merged ]]; then
        rm -rf "$merged.part"
        mkdir "$merged.part"
        for dir; do cp -al "$dir"/. "$merged.part"; done
        mv "$merged.part" "$merged"
    fi
    echo "$merged"
}

# Since 7.2 linux-image is empty, and depends on others: the kernel, its modules, and lists of them.
# whole_kernel DIR SUITE...
whole_kernel() {
    local image=$1 release part dir parts=()
    shift
    if [[ -d $image/boot ]]; then
        echo "$image"
        return
    fi
    release=${image##*/linux-image-}
    release=${release%%_*}
    for part in base binary modules; do
        dir=$(fetch_package "linux-$part-${release//[.+]/\\&}" "$@")
        parts+=("$dir")
    done
    merge_packages "linux-whole-${parts[0]##*/linux-base-}" "${parts[@]}"
}

# unpack_debs FILE,...: the same of packages at hand
unpack_debs() {
    local files file name='' dir parts=()
    IFS=, read -ra files <<<"$1"
    for file in "${files[@]}"; do
        dir=$(extract_deb "$file")
        parts+=("$dir")
        name+=+${dir##*/}
    done
    if ((${#parts[@]} == 1)); then
        echo "${parts[0]}"
    else
        merge_packages "linux-whole-$(sha256sum <<<"$name" | cut -c 1-16)" "${parts[@]}"
    fi
}

find_kernel() {
    local variable=${kernel^^} packages=() dir
    variable=TESTBED_DEB_${variable//./_}
    kernel_deb=${kernel_deb:-${!variable:-}}
    if [[ $kernel_dir ]]; then
        echo "$kernel_dir"
        return
    fi
    if [[ $kernel_deb ]]; then
        lock "$CACHE/pkg"
        unpack_debs "$kernel_deb"
        return
    fi
    read -ra packages < <(kernel_packages)
    ((${#packages[@]})) || exit 1
    local HINT="name the packages of kernel $kernel at hand with --kernel-deb or $variable"
    dir=$(fetch_package "${packages[@]}")
    whole_kernel "$dir" "${packages[@]:1}"
}

# In boot/, or since 7.2 next to the modules
kernel_image() {
    local image
    image=$(find "$1" -path '*/boot/vmlinuz-*' -o -path '*/lib/modules/*/vmlinuz' | sort -V | tail -n 1)
    [[ $image ]] || die "$1: there is no boot/vmlinuz-* and no lib/modules/*/vmlinuz in it"
    echo "$image"
}

kernel_release() {
    case $1 in
        */vmlinuz) basename "${1%/vmlinuz}" ;;
        *) echo "${1##*/vmlinuz-}" ;;
    esac
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

# For the kernel's idxd driver: the program, and the libraries of its package
find_accel_config() {
    local name
    for name in accel-config libaccel-config1 libjson-c5; do
        fetch_package "$name" bookworm trixie
    done
}

# -- All that the runs need: whatever is missing or cannot be had shows here, before anything is built or booted.

with_driver() {
    [[ ${runs[*]} == *dsa* ]]
}

with_module() {
    with_driver && [[ ${runs[*]} != *@(dsasva|dsatour)* ]]
}

fetch_sources() {
    need_packages binutils cpio gcc libc6-dev make qemu-system-data seabios xz-utils
    busybox=$(find_busybox)
    kernel_dir=$(find_kernel)
    image=$(kernel_image "$kernel_dir")
    release=$(kernel_release "$image")
    ! with_driver || accel_config=$(find_accel_config)
    ! with_module || headers=$(find_headers "$release")
}
