# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the nested host: how often the kernel was called between two marks, and how long it was
# busy with that. From the trace of the kprobes to lines RESULT key=value:
#   PHASE_set_irqs, PHASE_irqfds, PHASE_routes   calls; PHASE_..._us all of them together
# A mark is a line PHASE NAME; what follows PHASE end is not counted.

function seconds(    t) {
    match($0, /[0-9]+\.[0-9]+: /)
    t = substr($0, RSTART, RLENGTH - 2)
    return t + 0
}

/ PHASE / {
    phase = $NF
    sub(/\r$/, "", phase)              # of a guest's console
    if (phase != "end" && !(phase in known)) {
        known[phase] = 1
        order[++phases] = phase
    }
    next
}

phase == "" || phase == "end" { next }

# Calls of one kind do not nest, and one QEMU makes them one at a time.
/ (set_irqs|irqfd|route): / {
    match($0, / (set_irqs|irqfd|route): /)
    kind = substr($0, RSTART + 1, RLENGTH - 3)
    calls[phase, kind]++
    called[kind] = seconds()
    next
}

/ (set_irqs|irqfd|route)_ret: / {
    match($0, / (set_irqs|irqfd|route)_ret: /)
    kind = substr($0, RSTART + 1, RLENGTH - 7)
    busy[phase, kind] += seconds() - called[kind]
}

function print_kind(phase, kind, name) {
    printf "RESULT %s_%s=%d\n", phase, name, calls[phase, kind]
    printf "RESULT %s_%s_us=%.0f\n", phase, name, busy[phase, kind] * 1e6
}

END {
    for (i = 1; i <= phases; i++) {
        print_kind(order[i], "set_irqs", "set_irqs")
        print_kind(order[i], "irqfd", "irqfds")
        print_kind(order[i], "route", "routes")
    }
}
