# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=sh disable=SC2154,SC2034 # sourced by host-init.sh
#
# Scenarios probe and posted of the nested host: what vfio-irq-probe says of a device, and of
# those that it cannot open; and whether interrupts are posted, which here they cannot be.

# json_value PATH: of the line in /tmp/probe; PATH is a pattern up to the value
json_value() {
    sed -n "s/.*$1\"*\\([^\",}]*\\).*/\\1/p" /tmp/probe
}

# refuses NAME STATUS WORDS ARGUMENT...: it has to end like that, and say so
refuses() {
    name=$1 wanted=$2 words=$3
    shift 3
    said=$("$@" 2>&1)
    code=$?
    echo "$* ends with $code: $said"
    case $code:$said in
        "$wanted:"*"$words"*) echo "RESULT refuses_$name=yes" ;;
        *) echo "RESULT refuses_$name=no" ;;
    esac
}

probe_refusals() {
    group=$(basename "$(readlink "/sys/bus/pci/devices/$bdf/iommu_group")")
    second=${bdf%.0}.1
    refuses syntax 2 "zz:00.0: this is no PCI address" vfio-irq-probe zz:00.0
    refuses option 2 "wrong option" vfio-irq-probe --frob "$bdf"
    refuses missing 1 "0000:ff:1f.7: there is no such PCI device" vfio-irq-probe ff:1f.7
    refuses unbound 1 "0000:00:00.0: no driver is bound" vfio-irq-probe 00:00.0
    refuses bound 1 "$second: driver serial is bound" vfio-irq-probe "$second"
    refuses group 1 "$bdf: IOMMU group $group is not viable: $second is bound to serial" \
        vfio-irq-probe "$bdf"
    echo "$second" > /sys/bus/pci/drivers/serial/unbind
    mkdir -p /etc
    echo 'nobody:x:65534:65534::/:/bin/sh' > /etc/passwd
    chmod 755 /
    refuses permission 1 "$bdf: no permission to open /dev/vfio/$group" \
        start-stop-daemon -S -c nobody -x /bin/vfio-irq-probe -- "$bdf"
    exec 5<> "/dev/vfio/$group"
    refuses busy 1 "$bdf: /dev/vfio/$group is busy" vfio-irq-probe "$bdf"
    exec 5>&-
}

# Kernels without such devices do not have the interface, which is an answer too.
probe_cdev() {
    if [ ! -d "/sys/bus/pci/devices/$bdf/vfio-dev" ] || [ ! -d /dev/vfio/devices ]; then
        refuses cdev 1 "$bdf: there is no /dev/vfio/devices/vfio" vfio-irq-probe --interface=cdev "$bdf"
        echo "RESULT cdev=absent"
        return
    fi
    vfio-irq-probe --json --interface=cdev "$bdf" > /tmp/probe.cdev || status=1
    cat /tmp/probe.cdev
    sed 's|"opened-through": "[^"]*"||' /tmp/probe > /tmp/probe.1
    sed 's|"opened-through": "[^"]*"||' /tmp/probe.cdev > /tmp/probe.2
    cmp -s /tmp/probe.1 /tmp/probe.2 && echo "RESULT cdev=same" || echo "RESULT cdev=differs"
}

probe_answers() {
    vfio-irq-probe "$bdf"
    vfio-irq-probe --json "$bdf" > /tmp/probe
    status=$?
    cat /tmp/probe
    echo "RESULT probe_vectors=$(json_value '"msix": {"vectors": ')"
    echo "RESULT probe_noresize=$(json_value '"msix": {"vectors": [0-9]*, "noresize": ')"
    echo "RESULT probe_granted=$(json_value '"msix": {[^}]*"granted": ')"
    echo "RESULT probe_refusals=$(grep -c '"asked"' /tmp/probe)"
    echo "RESULT probe_table=$(json_value '"table": {"bar": ')"
    echo "RESULT probe_mappable=$(json_value '"table": {[^}]*"msix-mappable": ')"
    echo "RESULT probe_irqfd=$(json_value '"irqfd": {"possible": ')"
    echo "RESULT probe_routes=$(json_value '"routes": ')"
    echo "RESULT probe_posted=$(json_value '"posted": {"possible": ')"
    echo "RESULT probe_unit=$(grep -c 'unit dmar0 cannot post (bit 59' /tmp/probe)"
    # What is still allocated, with the device closed
    echo "RESULT left_allocated=$(find "/sys/bus/pci/devices/$bdf/msi_irqs" -type f 2>/dev/null | wc -l)"
}

# QEMU's trace of the same device tells the table size as QEMU has it.
probe_ask_qemu() {
    # shellcheck disable=SC2046 # words
    echo quit | $(qemu_command) -machine q35 -S -monitor stdio $(assigned_device) || status=1
}

run_probe() {
    policy=auto
    {
        probe_refusals
        probe_answers
        probe_cdev
    } > /tmp/result 2>&1
    probe_ask_qemu > /dev/null
}

run_posted() {
    policy=auto
    # shellcheck disable=SC2046 # words
    posted_guest /tmp/posted $(qemu_command) -machine q35,accel=kvm -cpu host \
        -smp "$GUEST_CPUS" -m 256 -kernel /boot/vmlinuz -initrd /boot/guest.cpio -no-reboot \
        -append "$(cat /boot/guest.cmdline) SCENARIO=posted" $(assigned_device)
    status=$?
    cat /tmp/posted/console > /dev/ttyS1
    awk -v bdf="$bdf" -f /posted.awk /tmp/posted/before /tmp/posted/after /tmp/posted/guest > /tmp/verdict
    echo "RESULT posted_status=$?" > /tmp/result
    {
        grep -h vfio-msix /tmp/posted/before /tmp/posted/after
        cat /tmp/posted/guest /tmp/verdict
        echo "RESULT posted_vectors=$(grep -cE '^(not )?ok ' /tmp/verdict)"
        echo "RESULT posted_yes=$(grep -c '^ok ' /tmp/verdict)"
        echo "RESULT posted_no=$(grep -c '^not ok .* is not posted: ' /tmp/verdict)"
    } >> /tmp/result
}
