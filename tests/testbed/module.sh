# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # sourced by run: its options, and what it found
#
# Builds our kernel module for the kernel that is booted. Debian's header packages are unpacked
# for that, not installed.
#   find_headers RELEASE   print the directory of what a module for that kernel is built with
#   build_module           $out/dmacopy.ko

# Where the packages that go with a kernel are
header_suites() {
    case $1 in
        6.1.*) echo bookworm ;;
        *+deb12*) echo bookworm bookworm-backports ;;
        *+deb13*) echo trixie trixie-backports ;;
        *) echo forky sid ;;
    esac
}

# The three packages in one tree: what one refers to in another, it looks for next to itself.
find_headers() {
    local release=$1 version=${1%-amd64} tools name package packages=() suites tree
    read -ra suites < <(header_suites "$release")
    tools=$version
    [[ $version != 6.1.* ]] || tools=6.1
    for name in "linux-headers-$release" "linux-headers-$version-common" "linux-kbuild-$tools"; do
        package=$(HINT="remove the kernel $release from $CACHE/pkg, to get a newer one with its headers" \
            fetch_package "${name//[.+]/\\&}" "${suites[@]}")
        packages+=("$package")
    done
    tree=$CACHE/headers/${packages[0]##*/}
    [[ -d $tree ]] || lock "$CACHE/headers"
    if [[ ! -d $tree ]]; then
        rm -rf "$tree.part"
        mkdir -p "$tree.part"
        for package in "${packages[@]}"; do cp -a "$package/usr" "$tree.part"; done
        # It names packages where they would be installed.
        sed -i "s|/usr/src/|$tree&|" "$tree.part/usr/src/linux-headers-$release/Makefile"
        wrap_tools "$tree.part"
        mv "$tree.part" "$tree"
    fi
    echo "$tree"
}

# Tools of a newer Debian than this machine's, with the libraries that they were linked with
wrap_tools() {
    local tree=$1 tool loader='' libraries=''
    while read -r tool; do
        # Wants a library that is not here, or a newer one.
        [[ $(ldd "$tool" 2>&1) == *'not found'* ]] || continue
        [[ $loader ]] || find_tool_libraries
        mkdir -p "$tree/elf"
        mv "$tool" "$tree/elf"
        # shellcheck disable=SC2016 # for that script
        printf '#!/bin/sh\nexec %s --library-path %s --argv0 "$0" %s "$@"\n' \
            "$loader" "$libraries" "${tree%.part}/elf/${tool##*/}" >"$tool"
        chmod +x "$tool"
    done < <(find "$tree"/usr/lib/linux-kbuild-*/{scripts,tools} -type f -perm /111 -size +8k)
}

find_tool_libraries() {
    local name dir suites=(trixie)
    [[ $release == *+deb13* ]] || suites=(forky sid)
    for name in libc6 libelf1t64 zlib1g libzstd1; do
        dir=$(fetch_package "$name" "${suites[@]}")
        libraries+=${libraries:+:}$dir/usr/lib/x86_64-linux-gnu
        [[ $name != libc6 ]] || loader=$dir/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2
    done
    [[ -x $loader ]] || die "$loader: no such program"
}

build_module() {
    mkdir -p "$out/dmacopy.d"
    cp "$here/dmacopy.c" "$out/dmacopy.d"
    echo 'obj-m := dmacopy.o' >"$out/dmacopy.d/Makefile"
    # Type information for BPF would take pahole, and nobody asks for it. GCC before 14 aligns functions by another option.
    run "building dmacopy for $release" "$out/dmacopy.log" \
        make -C "$headers/usr/src/linux-headers-$release" M="$out/dmacopy.d" CC=gcc \
        CONFIG_DEBUG_INFO_BTF_MODULES= CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT= modules ||
        die "the kernel module did not build"
    cp "$out/dmacopy.d/dmacopy.ko" "$out"
}
