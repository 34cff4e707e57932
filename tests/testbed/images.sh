# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # sourced by run: its options, and what it found
#
# Compiles the programs of nested host and inner guest, and packs them.
#   build_images    $out/host.cpio, which has all that its runs need

# What the runs start, each named after its scenario; all of them would take longer to compile than some runs do.
build_clients() {
    build_client table client
    build_client idxd idxd-work client
    build_client cpr transfer idxd-work bare-client client
    build_client storm idxd-work bare-client client
    build_client mask bare-client client
    build_client burst bare-client client
    build_client irqfd
    if [[ ${runs[*]} == *dsasva:* ]]; then
        compile sva -mmovdir64b -menqcmd
        clients+=(--program "$out/sva=sva")
    fi
    if [[ ${runs[*]} == *@(affinity|remap|hotplug):* ]]; then
        compile affinity
        guest_clients+=(--program "$out/affinity=affinity")
    fi
}

# build_client SCENARIO PART...: if there is a run of that scenario
build_client() {
    [[ " ${runs[*]}" == *" $1"+([0-9]):* ]] || return 0
    compile "$1" "${@:2}"
    clients+=(--program "$out/$1=$1")
}

# compile NAME PART-OR-OPTION...
compile() {
    local name=$1 part sources=("$here/$1.c")
    shift
    for part; do
        [[ $part == -* ]] && sources+=("$part") || sources+=("$here/$part.c")
    done
    gcc -O2 -Wall -Wextra -static -o "$out/$name" "${sources[@]}"
}

# A firmware of 64 KiB, with the reset vector in its last 16 bytes
build_bare_guest() {
    gcc -m32 -march=i686 -Os -Wall -Wextra -ffreestanding -fno-pic -fno-stack-protector \
        -fno-asynchronous-unwind-tables -nostdlib -static -no-pie \
        -Wl,--build-id=none,-z,noexecstack,-Ttext=0xf0000,--section-start=.reset=0xffff0,-e,bare_main \
        -o "$out/bare.elf" "$here"/bare-start.S "$here"/bare.c
    objcopy -O binary --gap-fill 0 --pad-to 0x100000 "$out/bare.elf" "$out/bare.bin"
}

# Only for runs that need it: large files take time to load.
optional_programs() {
    programs=()
    if [[ ${runs[*]} == *:stock* || ${runs[*]} == *qtest:* ]]; then
        [[ -x $stock ]] || die "$stock is missing: build it with scripts/build --stock, or name one with --stock"
        programs+=(--program "$stock=qemu-stock")
    fi
    [[ ${runs[*]} != *qtest:* ]] || programs+=(--program "$qtest=qtest")
    if [[ ${runs[*]} == *probe:* ]]; then
        [[ -x $probe ]] || die "$probe is missing: build it with scripts/build, or name one with --probe"
        programs+=(--program "$probe=vfio-irq-probe")
    fi
}

# For runs with the kernel's idxd driver: the driver, its client, and accel-config with the libraries
# of its package. They go into host and guest.
driver_files() {
    local packages package library
    driver=()
    with_driver || return 0
    if with_module; then
        build_module
        driver+=(--file "$out/dmacopy.ko:/lib/modules/dmacopy.ko")
    fi
    # The commands for the guest of the page's console blocks
    sed -n '/^\.\. code-block:: console/,/^[^ .]/s/^  # //p' "$tutorial" >"$out/tour"
    mapfile -t packages <<<"$accel_config"
    driver+=(--late-module idxd --file "$here/dsa.sh:/dsa.sh" --file "$here/pasid.sh:/pasid.sh"
        --file "$out/tour:/tour"
        --program "${packages[0]}/usr/bin/accel-config=accel-config")
    for package in "${packages[@]:1}"; do
        library=$(find "$package" -name '*.so.?')
        driver+=(--file "$library:/lib/x86_64-linux-gnu/${library##*/}")
    done
}

build_images() {
    local clients=() guest_clients=() programs driver
    build_clients
    driver_files
    build_bare_guest
    optional_programs
    "$here/initramfs" --output "$out/guest.cpio" --busybox "$busybox" --kernel-dir "$kernel_dir" \
        --init "$here/guest-init.sh" --module nvme "${guest_clients[@]}" \
        --file "$here/guest-nvme.sh:/scenarios/nvme" \
        --file "$here/guest-affinity.sh:/scenarios/affinity" \
        --file "$here/guest-affinity.sh:/scenarios/remap" \
        --file "$here/guest-affinity.sh:/scenarios/hotplug" \
        --file "$here/guest-posted.sh:/scenarios/posted" \
        --file "$here/guest-dsa.sh:/scenarios/dsaguest" "${driver[@]}"
    echo "$cmdline" >"$out/guest.cmdline"
    "$here/initramfs" --output "$out/host.cpio" --busybox "$busybox" --kernel-dir "$kernel_dir" \
        --init "$here/host-init.sh" --module kvm_amd --module kvm_intel \
        --module vfio_pci --module vfio_iommu_type1 \
        --program "$qemu=qemu-system-x86_64" "${clients[@]}" "${programs[@]}" "${driver[@]}" \
        --file "$here/host-probe.sh:/host-probe.sh" --file "$here/posted.sh:/posted.sh" \
        --file "$here/posted.awk:/posted.awk" --file "$here/host-runs.sh:/host-runs.sh" --file "$here/calls.awk:/calls.awk" \
        --file "$image:/boot/vmlinuz" --file "$out/guest.cpio:/boot/guest.cpio" \
        --file "$out/guest.cmdline:/boot/guest.cmdline" --file "$out/bare.bin:/boot/bare.bin" \
        --file /usr/share/seabios/bios-256k.bin:/usr/share/qemu/bios-256k.bin \
        --file /usr/share/qemu/kvmvapic.bin:/usr/share/qemu/kvmvapic.bin \
        --file /usr/share/qemu/linuxboot_dma.bin:/usr/share/qemu/linuxboot_dma.bin
}
