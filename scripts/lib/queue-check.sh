# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2153 # sourced by series: CHECK
#
# scripts/series check, as TAP; source it after queue.sh and export.sh.

TESTS=0 FAILED=0
WORK=$TOP/build/check
EACH_DIR=$TOP/build/each

# One line of TAP for a command; what it said follows if it failed.
tap() {
    local what=$1 out rc
    shift
    TESTS=$((TESTS + 1))
    # Not `if out=$(...)`: a condition switches set -e off inside the command.
    set +e
    out=$(set -e; "$@" 2>&1)
    rc=$?
    set -e
    if ((!rc)); then
        echo "ok $TESTS - $what"
    else
        FAILED=$((FAILED + 1))
        echo "not ok $TESTS - $what"
        tail -n 30 <<<"$out" | sed 's/^/# /'
    fi
}

skip() {
    TESTS=$((TESTS + 1))
    echo "ok $TESTS - $1 # SKIP $2"
}

# -- The queue as a whole

check_owned() {
    local path bad=0
    while read -r path; do
        echo "$path is owned by more than one patch" && bad=1
    done < <(all_overlay | sort | uniq -d)
    while read -r path; do
        echo "$path is owned by no patch" && bad=1
    done < <(comm -23 <(overlay_files) <(all_overlay | sort -u))
    return "$bad"
}

overlay_files() {
    (cd "$TOP" && find "${OVERLAY_DIRS[@]}" -type f 2>/dev/null | sort) || true
}

check_round_trip() {
    local tip new=$WORK/queue path bad=0
    tip=$(TRAILER=1 make_commits)
    write_queue "$tip" "$new"
    while read -r path; do
        same_file "$new/$path" "$TOP/$path" || { echo "refresh would change $path" && bad=1; }
    done < <(files_below "$new")
    while read -r path; do
        [[ -e $new/patches/$path ]] || { echo "patches/$path is of no topic in patches/series" && bad=1; }
    done < <(cd "$TOP/patches" && find . -name '*.patch' -printf '%P\n')
    return "$bad"
}

# The mails of all topics, one after the other
check_export() {
    local topic mails
    tree_git worktree add -q -f --detach "$WORK/am" "$BASE"
    for topic in $(topics); do
        export_topic "$topic" "$WORK/mails/$topic"
        mapfile -t mails < <(find "$WORK/mails/$topic" -name '*.patch' ! -name '0000-*' | sort)
        tree_git -C "$WORK/am" am -q "${mails[@]}"
    done
    [[ $(tree_git -C "$WORK/am" rev-parse 'HEAD^{tree}') == "$(tree_id "$1")" ]]
}

check_style() {
    local out
    ! grep -qE '^Subject: .*(\] Subject:|\*\*\*)' "$1" || { echo "the subject is no title" && return 1; }
    out=$(cd "$WORK/am" && perl scripts/checkpatch.pl --no-signoff "$1") || { echo "$out" && return 1; }
    grep -q '^total: 0 errors, 0 warnings' <<<"$out" || { echo "$out" && return 1; }
}

# As the package's build does it: without fuzz, after Debian's own patches
# shellcheck disable=SC2154 # the names come from patches/base
check_debian() {
    local tree=$WORK/debian
    mkdir -p "$tree"
    tree_git archive --format=tar "$BASE" | tar -x -C "$tree"
    tar -xf "$1" -C "$tree"
    export_quilt "$WORK/quilt"
    cp -R "$WORK/quilt/vfio-irq-vectors" "$tree/debian/patches/"
    cat "$WORK/quilt/series" >>"$tree/debian/patches/series"
    (cd "$tree" && dpkg-source --before-build .)
}

check_queue() {
    local tip=$1 mail file what="dpkg-source applies the queue after Debian's patches"
    tap "each overlay file has one owner" check_owned
    tap "refresh after apply changes nothing" check_round_trip
    tap "export, then git am on QEMU $(base_version), gives the same tree" check_export "$tip"
    for mail in "$WORK"/mails/*/[0-9]*.patch; do
        [[ ! -e $mail || $mail == */0000-* ]] || tap "checkpatch: ${mail#"$WORK/mails/"}" check_style "$mail"
    done
    # shellcheck disable=SC2154
    file=$CACHE/${debian_pool##*/}
    if [[ $(base_version) != "$version" ]]; then
        skip "$what" "the base is QEMU $(base_version), the package is of $version"
    elif ! command -v dpkg-source >/dev/null; then
        skip "$what" "no dpkg-source: install dpkg-dev"
    elif [[ ! -f $file ]] && ! fetch_pool "$debian_pool" "$debian_sha256" "$file"; then
        skip "$what" "the mirror has no ${debian_pool##*/}"
    else
        tap "$what" check_debian "$file"
    fi
}

# -- Parts of the queue, built in a tree of its own, next to which ccache finds what the main build left

each_tree() {
    local src=$EACH_DIR/qemu-src
    if [[ -e $src/.git ]]; then
        tree_git -C "$src" checkout -q -f --detach "$1"
    else
        tree_git worktree prune
        tree_git worktree add -q -f --detach "$src" "$1"
    fi
}

# The unit tests of the queue that exist in that tree
unit_tests() {
    local test
    all_overlay | sed -n 's|^\(tests/unit/test-.*\)\.c$|\1|p' | while read -r test; do
        [[ ! -e $EACH_DIR/qemu-src/$test.c ]] || echo "$test"
    done
}

run_unit_tests() {
    local test
    for test in $(unit_tests); do
        "$EACH_DIR/qemu/$test" --tap -k
    done
}

check_builds() {
    say "building: $1"
    tap "builds: $1" "$TOP/scripts/build" --tree "$EACH_DIR"
    [[ -z $(unit_tests) ]] || tap "unit tests pass: $1" run_unit_tests
}

check_each() {
    local tip=$1 commit
    for commit in $(tree_git rev-list --reverse "$BASE..$tip"); do
        each_tree "$commit"
        check_builds "$(tree_git log -1 --format=%s "$commit")"
    done
}

check_topics() {
    local topic tip needs
    for topic in $(topics); do
        needs=$(topic_needs "$topic" | paste -sd ' ')
        # shellcheck disable=SC2086 # words
        tap "$topic applies to QEMU $(base_version)${needs:+ with $needs}" make_commits $needs "$topic"
        # shellcheck disable=SC2086
        tip=$(make_commits $needs "$topic" 2>/dev/null) || continue
        each_tree "$tip"
        check_builds "$topic"
    done
}

# -- Fixes: what happens without them. A line of patches/fixes/tests: PATCH[,PATCH...] PROGRAM TEST

dies_in_test() {
    local program=$1 test=$2 out rc=0
    "$TOP/scripts/build" --tree "$EACH_DIR"
    # Libqtest says how QEMU ended; what the test itself asserts is no crash.
    out=$(QTEST_QEMU_BINARY=$EACH_DIR/qemu-system-x86_64 timeout 120 "$EACH_DIR/qemu/$program" --tap -k -p "$test" 2>&1) || rc=$?
    echo "$out"
    ((rc)) && grep -q 'QEMU death from signal' <<<"$out"
}

check_crashes() {
    local without program test tip
    while read -r without program test; do
        tap "the queue applies without $without" commits_without "$without"
        tip=$(commits_without "$without" 2>/dev/null) || continue
        each_tree "$tip"
        tap "without $without QEMU dies in $test" dies_in_test "$program" "$test"
    done < <(sed '/^#/d; /^$/d' "$TOP/patches/fixes/tests")
}

commits_without() {
    WITHOUT=$1 make_commits
}

remove_check_work() {
    rm -rf "$WORK"
    tree_git worktree prune
}

cmd_check() {
    need_base
    remove_check_work
    mkdir -p "$WORK"
    trap remove_check_work EXIT
    tap "the queue applies to QEMU $(base_version) without fuzz" make_commits
    ((FAILED)) || "check_$CHECK" "$(make_commits)"
    echo "1..$TESTS"
    ((!FAILED))
}
