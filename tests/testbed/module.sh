# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # sourced by run: its options, and what it found
#
# Builds our kernel module for the kernel that is booted. Debian's header packages are unpacked
# for that, not installed.
#   build_module    $out/dmacopy.ko

# The three packages in one tree: what one refers to in another, it looks for next to itself.
unpack_headers() {
    local release=$1 tree=$2 suite=$3 version tools name package packages=()
    version=${release%-amd64}
    tools=$version
    [[ $version != 6.1.* ]] || tools=6.1
    for name in "linux-headers-$release" "linux-headers-$version-common" "linux-kbuild-$tools"; do
        package=$(HINT="remove the kernel $release from $CACHE/pkg, to get a newer one with its headers" \
            fetch_package "${name//[+]/\\+}" "$suite")
        packages+=("$package")
    done
    rm -rf "$tree"
    mkdir -p "$tree"
    for package in "${packages[@]}"; do cp -a "$package/usr" "$tree"; done
    # It names the other package where that would be installed.
    echo "include $tree/usr/src/linux-headers-$version-common/Makefile" \
        >"$tree/usr/src/linux-headers-$release/Makefile"
}

build_module() {
    local release=${image##*/vmlinuz-} tree=$out/headers suite
    case $release in
        6.1.* | *+deb12*) suite=bookworm ;;
        *) suite=trixie ;;
    esac
    need_packages make
    [[ -d $tree/usr/src/linux-headers-$release ]] || unpack_headers "$release" "$tree" "$suite"
    mkdir -p "$out/dmacopy.d"
    cp "$here/dmacopy.c" "$out/dmacopy.d"
    echo 'obj-m := dmacopy.o' >"$out/dmacopy.d/Makefile"
    # Type information for BPF would take pahole, and nobody asks for it.
    run "building dmacopy for $release" "$out/dmacopy.log" \
        make -C "$tree/usr/src/linux-headers-$release" M="$out/dmacopy.d" CC=gcc \
        CONFIG_DEBUG_INFO_BTF_MODULES= modules ||
        die "the kernel module did not build"
    cp "$out/dmacopy.d/dmacopy.ko" "$out"
}
