# SPDX-License-Identifier: GPL-2.0-or-later
#
# From what was observed to figures: one block of key=value lines per run.
#   awk -v tap_file=FILE -f evidence.awk hardware.log monitor.log evidence.log
# hardware.log   outer QEMU's trace of config writes: what the device itself saw
# monitor.log    outer QEMU's monitor: what became of each interrupt, of the devices that count
# evidence.log   nested host, per run: SET_IRQS calls (kprobes), QEMU's trace of the
#                guest's MSI-X control writes, and the results of guest or client
#
# A resize is an enable of the index on the host that the guest did not ask for. Calls,
# times and resizes are those of the bring-up; the same with "_all" of the whole run.

# hardware.log: pci_cfg_write nvme 00:10.0 @0x42 <- 0xc040
$1 == "pci_cfg_write" && ($2 == "nvme" || $2 == "idxd-ims") {
    enabled = length($6) == 6 && $6 ~ /^0x[89a-f]/
    if (enabled && !device_enabled[$3, $4])
        device_enables[$3, $4]++
    device_enabled[$3, $4] = enabled
    next
}

# hardware.log: idxd_ims_page_request dev idxd-ims group 1 pasid 0x2 ...; the response code 0 is success
$1 == "idxd_ims_page_request" {
    page_requests++
    next
}
$1 == "idxd_ims_page_response" {
    pages_granted += $7 == 0
    next
}

# What the name has in all vectors together
function counted(name,    rest, sum) {
    rest = $0
    while (match(rest, "\"" name "\": [0-9]+")) {
        sum += substr(rest, RSTART + length(name) + 4, RLENGTH - length(name) - 4)
        rest = substr(rest, RSTART + RLENGTH)
    }
    return sum + 0
}

# Messages sent, by vector
function sent(    part, n, i, list) {
    n = split($0, part, "}")
    for (i = 1; i <= n; i++)
        if (match(part[i], /"entry": [0-9]+/)) {
            list = list "device_sent_" substr(part[i], RSTART + 9, RLENGTH - 9)
            match(part[i], /"sent": [0-9]+/)
            list = list "=" substr(part[i], RSTART + 8, RLENGTH - 8) "\n"
        }
    return list
}

# monitor.log: {"return": {}, "id": "revoke-device0"}
/"return": \{\}, "id": "revoke-device[0-9]+"/ {
    match($0, /device[0-9]+/)
    revokes[substr($0, RSTART + 6, RLENGTH - 6)]++
    next
}

# monitor.log: {"return": [{"entry": 1, "raised": 17, ...}, ...], "id": "device0"}
/"id": "device[0-9]+"/ {
    match($0, /"id": "device[0-9]+"/)
    id = substr($0, RSTART + 13, RLENGTH - 14)
    counters[id] = "device_raised=" counted("raised") "\n" \
        "device_sent=" counted("sent") "\n" \
        "device_dropped=" counted("dropped") "\n" \
        "device_refused=" counted("refused") "\n"
    by_vector[id] = sent()
    next
}

# evidence.log from here
$1 == "==" && $2 == "run" {
    split($3, run, ":")
    slot = substr($4, 6)
    release = $5
    device = runs++
    repeat = ++repeats[$3]
    result = ""
    active = guest_on = msix_call = 0
    guest_enables = host_enables = calls = refused = 0
    bring_up_calls = bring_up_enables = busy = first = last = 0
    bring_up = run[1] == "nvme"         # the clients mark their start, nvme only the end
    # The others come with sums, in the place of the trace of all calls.
    traced = run[1] ~ /^(nvme|table|idxd|probe)/
    next
}

/vfio_msix_early_setup/ {
    for (i = 1; i < NF; i++) {
        if ($i ~ /^@0x/)
            capability = $i
        if ($i == "entries")
            table_size = $(i + 1) + 0
        if ($i == "noresize")
            noresize = $(i + 1)
    }
    next
}

# QEMU's hw/pci layer: msix_write_config dev vfio-pci enabled 1 masked 0
$1 == "msix_write_config" {
    guest_enables += $5 && !guest_on
    guest_on = $5
    next
}

function seconds(    t) {
    match($0, /[0-9]+\.[0-9]+: /)
    t = substr($0, RSTART, RLENGTH - 2)
    return t + 0
}

function field(name) {
    match($0, name "=-?[0-9]+")
    return substr($0, RSTART + length(name) + 1, RLENGTH - length(name) - 1) + 0
}

/ PHASE begin/ { bring_up = 1; first = seconds() }
/ PHASE end/ { bring_up = 0 }

/ set_irqs: / {
    msix_call = field("index") == 2
    if (!msix_call)
        next
    called = seconds()
    disabling = field("count") == 0
    calls++
    bring_up_calls += bring_up
    next
}

/ set_irqs_ret: / {
    if (!msix_call)
        next
    msix_call = 0
    ret = field("ret")
    refused += ret != 0
    if (bring_up) {
        last = seconds()
        busy += last - called
        if (!first)
            first = called
    }
    if (disabling)
        active = 0
    else if (!active && ret == 0) {
        active = 1
        host_enables++
        bring_up_enables += bring_up
    }
    next
}

$1 == "RESULT" { result = result $2 "\n" }

# What a test program said
$1 == "TAP" {
    if ($2 == "ok" || $2 == "not")
        tap[/# SKIP/ ? "skipped" : $2 == "ok" ? "passed" : "failed"]++
    print substr($0, 5) > tap_file
}

# "@0x40", where the capability is, to "@0x42", where its control word is.
function control_word(    digits, i, value) {
    digits = "0123456789abcdef"
    for (i = 4; i <= length(capability); i++)
        if (index(digits, substr(capability, i, 1)))
            value = value * 16 + index(digits, substr(capability, i, 1)) - 1
    return sprintf("@0x%x", value + 2)
}

function print_calls() {
    print "guest_enables=" guest_enables
    print "host_enables=" host_enables
    print "device_enables=" device_enables[slot, control_word()] + 0
    # The guest enables only to bring up; a client does it once between its two marks.
    print "resizes=" bring_up_enables - (run[1] == "nvme" ? guest_enables : 1)
    print "resizes_all=" host_enables - guest_enables
    print "set_irqs=" bring_up_calls
    print "set_irqs_all=" calls
    print "set_irqs_refused=" refused
    printf "set_irqs_ms=%.1f\n", busy * 1000
    if (run[1] == "nvme")
        printf "bring_up_ms=%.0f\n", (last - first) * 1000
}

$1 == "==" && $2 == "end" {
    print "kernel=" kernel
    print "release=" release
    print "outer=" outer
    print "scenario=" run[1]
    print "policy=" run[2]
    print "repeat=" repeat
    print "noresize=" noresize
    print "table_size=" table_size
    if (traced)
        print_calls()
    if (run[1] == "qtest")
        printf "passed=%d\nfailed=%d\nskipped=%d\n", tap["passed"], tap["failed"], tap["skipped"]
    printf "%s%s", result, counters[device]
    if (run[1] ~ /^dsa/)
        printf "%sdevice_revokes=%d\n", by_vector[device], revokes[device]
    if (run[1] == "dsasva")
        printf "device_page_requests=%d\ndevice_pages_granted=%d\n", page_requests, pages_granted
    print ""
}
