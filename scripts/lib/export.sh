# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The queue for others; source it after queue.sh.
#
#   export_topic TOPIC DIR   mails for git am, on the base and what TOPIC needs
#   export_quilt DIR         patches and a `series` to append to those of Debian's package

cover_letter() {
    local needs
    needs=$(topic_needs "$1" | paste -sd ' ')
    [[ -f $TOP/patches/$1/cover-letter ]] || die "patches/$1 has no cover-letter"
    sed '1s/^Subject: //' "$TOP/patches/$1/cover-letter"
    printf '\nApplies to QEMU %s' "$(base_version)"
    [[ -z $needs ]] || printf ' with these series: %s' "${needs// /, }"
    echo .
}

export_topic() {
    local topic=$1 dir=$2 start tip letter
    letter=$(cover_letter "$topic")
    mkdir -p "$dir"
    rm -f "$dir"/[0-9][0-9][0-9][0-9]-*.patch
    # shellcheck disable=SC2046 # words
    start=$(make_commits "" $(topic_needs "$topic"))
    # shellcheck disable=SC2046
    tip=$(make_commits $(topic_needs "$topic") "$topic")
    tree_git update-ref refs/heads/series-export "$tip"
    tree_git -c branch.series-export.description="$letter" \
        format-patch -q --zero-commit --no-signature --cover-letter --cover-from-description=subject \
        -o "$dir" "$start..series-export"
    tree_git update-ref -d refs/heads/series-export
}

quilt_patch() {
    local commit=$1
    printf 'Subject: %s\n---\n\n' "$(tree_git log -1 --format=%B "$commit")"
    tree_git diff-tree -r -p --no-commit-id --no-renames --no-color --no-ext-diff -U3 "$commit"
}

export_quilt() {
    local dir=$1 tip patch commit
    ! grep -qsv '^vfio-irq-vectors/' "$dir/series" ||
        die "$dir/series names other patches: choose another folder, and append to that file by hand"
    mkdir -p "$dir"
    rm -rf "$dir/vfio-irq-vectors"
    : >"$dir/series"
    tip=$(make_commits)
    while read -r patch commit; do
        patch=vfio-irq-vectors/${patch/\//-}
        mkdir -p "$dir/${patch%/*}"
        quilt_patch "$commit" >"$dir/$patch"
        echo "$patch" >>"$dir/series"
    done < <(paste -d ' ' <(queue) <(tree_git rev-list --reverse "$BASE..$tip"))
}
