# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # sourced by run: its options, and what it found
#
# Compiles the programs of nested host and inner guest, and packs them.
#   build_images    $out/host.cpio, which has all that its runs need

build_clients() {
    local flags=(-O2 -Wall -Wextra -static)
    gcc "${flags[@]}" -o "$out/table" "$here"/{table,client}.c
    gcc "${flags[@]}" -o "$out/idxd" "$here"/{idxd,idxd-work,client}.c
    gcc "${flags[@]}" -o "$out/cpr" "$here"/{cpr,transfer,idxd-work,bare-client,client}.c
    gcc "${flags[@]}" -o "$out/storm" "$here"/{storm,idxd-work,bare-client,client}.c
    gcc "${flags[@]}" -o "$out/mask" "$here"/{mask,bare-client,client}.c
    gcc "${flags[@]}" -o "$out/burst" "$here"/{burst,bare-client,client}.c
    gcc "${flags[@]}" -o "$out/irqfd" "$here/irqfd.c"
    gcc "${flags[@]}" -o "$out/affinity" "$here/affinity.c"
    gcc "${flags[@]}" -mmovdir64b -menqcmd -o "$out/sva" "$here/sva.c"
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
    local package library
    driver=()
    [[ ${runs[*]} == *dsa* ]] || return 0
    if [[ ${runs[*]} != *@(dsasva|dsatour)* ]]; then
        build_module
        driver+=(--file "$out/dmacopy.ko:/lib/modules/dmacopy.ko")
    fi
    # The commands for the guest of the page's console blocks
    sed -n '/^\.\. code-block:: console/,/^[^ .]/s/^  # //p' "$tutorial" >"$out/tour"
    package=$(fetch_package accel-config bookworm trixie)
    driver+=(--late-module idxd --file "$here/dsa.sh:/dsa.sh" --file "$here/pasid.sh:/pasid.sh"
        --file "$out/tour:/tour"
        --program "$package/usr/bin/accel-config=accel-config")
    for library in libaccel-config1 libjson-c5; do
        package=$(fetch_package "$library" bookworm trixie)
        library=$(find "$package" -name '*.so.?')
        driver+=(--file "$library:/lib/x86_64-linux-gnu/${library##*/}")
    done
}

build_images() {
    local client clients=() programs driver
    build_clients
    driver_files
    build_bare_guest
    optional_programs
    for client in table idxd storm cpr mask burst irqfd sva; do
        clients+=(--program "$out/$client=$client")
    done
    "$here/initramfs" --output "$out/guest.cpio" --busybox "$busybox" --kernel-dir "$kernel_dir" \
        --init "$here/guest-init.sh" --module nvme --program "$out/affinity=affinity" \
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
