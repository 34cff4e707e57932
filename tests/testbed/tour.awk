# SPDX-License-Identifier: GPL-2.0-or-later
#
# Is a page of the documentation true? Compares the console blocks of a page with what its commands printed.
#   awk -f tour.awk transcript page
# transcript     lines "TOUR # COMMAND" and "TOUR (qemu) COMMAND", each followed by "TOUR OUTPUT"
#
# The page has to have the same commands; it may leave out lines of their output. Times, numbers of
# interrupt lines and widths of columns differ from run to run.

function normal(line) {
    sub(/^ *\[ *[0-9.]+\] /, "[T] ", line)
    sub(/^ *[0-9]+: /, "N: ", line)
    gsub(/[ \t]+/, " ", line)
    sub(/^ /, "", line)
    sub(/ $/, "", line)
    return line
}

function is_command(line) {
    return line ~ /^(#|\(qemu\)) /
}

FNR == NR {
    sub(/\r$/, "")
    if (sub(/^TOUR /, "")) {
        if (is_command($0))
            command[++commands] = normal($0)
        else
            output[commands, ++lines[commands]] = normal($0)
    }
    next
}

/^\.\. code-block:: console/ { block = 1; next }
block && /^[^ ]/ { block = 0 }
!block || !NF { next }

{ line = normal($0) }

is_command(line) {
    at = 0
    if (command[++checked] != line)
        missing("not run: " line)
    next
}

{
    for (i = at + 1; i <= lines[checked]; i++)
        if (output[checked, i] == line) {
            at = i
            next
        }
    missing("not printed by \"" command[checked] "\": " line)
}

function missing(what) {
    print "# " what > "/dev/stderr"
    wrong++
}

END {
    print "tour_commands=" checked + 0
    print "tour_wrong=" wrong + (commands != checked)
}
