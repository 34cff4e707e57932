# SPDX-License-Identifier: GPL-2.0-or-later
#
# Are a device's interrupts posted? As TAP, one test point for each vector at work:
#   awk -v bdf=0000:03:00.0 [-v least=N] -f posted.awk BEFORE AFTER GUEST
# BEFORE, AFTER  the host's /proc/interrupts
# GUEST          lines "VECTOR INTERRUPTS": what the guest took in between; a vector that
#                took less than N (default 16) proves nothing and is left out
#
# A posted interrupt goes past the host: its row stands still. One that reached the host
# even once in between is counted there, so nothing but 0 will do.

function verdict(ok, text) {
    points++
    failed += !ok
    print (ok ? "ok" : "not ok") " " points " - vector " vector " " text
}

FILENAME == ARGV[1] { file = "before" }
FILENAME == ARGV[2] { file = "after" }
FILENAME == ARGV[3] {
    if (NF == 2 && $2 + 0 >= (least == "" ? 16 : least)) {
        taken[++vectors] = $2 + 0
        number[vectors] = $1
    }
    next
}

# One column for each CPU that is online
$1 ~ /^CPU[0-9]+$/ { cpus = NF; next }

# 58: 0 1044 IR-PCI-MSI 524289-edge vfio-msix[1](0000:00:10.0)
match($NF, /^vfio-msix\[[0-9]+\]\(/) && substr($NF, RLENGTH + 1) == bdf ")" {
    name = substr($NF, 11, RLENGTH - 12)
    for (i = 2; i <= cpus + 1; i++)
        count[file, name] += $i
    seen[file, name] = 1
}

END {
    for (i = 1; i <= vectors; i++) {
        vector = number[i]
        moved = count["after", vector] - count["before", vector]
        if (!seen["before", vector] || !seen["after", vector])
            verdict(0, "is not known to the host: no row vfio-msix[" vector "](" bdf ")")
        else if (moved < 0)
            verdict(0, "was set up anew on the host while the guest worked")
        else if (moved)
            verdict(0, "is not posted: " taken[i] " interrupts in the guest, " moved " on the host")
        else
            verdict(1, "is posted: " taken[i] " interrupts in the guest, none on the host")
    }
    if (!vectors) {
        print "not ok 1 - the guest took interrupts"
        points = failed = 1
    }
    print "1.." points
    exit failed > 0
}
