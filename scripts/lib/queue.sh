# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The queue, patches/ and the overlay, as commits and back; source it after base.sh.
#
# patches/series lists the topics in the order in which they apply, `topic: what it needs of those before it`.
# Each has a folder with `cover-letter` and its patches, which apply in the order of their names. A patch file
# holds `Subject: title`, the message, a `---` line, an `overlay: path` line for each file that it adds whole,
# and hunks for files that QEMU has.
#
#   topics               the topics in order
#   topic_needs TOPIC    what it needs, and what that needs, in order
#   queue [TOPIC...]     their patches, as paths below patches/; without argument all, "" is no topic
#   patch_title, patch_message, patch_overlay, patch_hunks FILE
#   all_overlay          the overlay files that a patch owns
#   queue_hash           identifies all that makes the commits
#   make_commits [TOPIC...]   commits of these topics on the base (as for queue), without touching the work
#                        tree; prints the last one. TRAILER=1: each says its topic, for the way back;
#                        WITHOUT=fixes/0003,...: leaves these out
#   write_queue TIP DIR  the other way: patches/ and overlay files of the commits up to TIP, below DIR

# Where the overlay may hold files, at the paths that they have in QEMU.
OVERLAY_DIRS=(hw include contrib docs tests/functional tests/qtest tests/tcg tests/unit tools)

topics() {
    sed 's/#.*//; /^[[:space:]]*$/d; s/[[:space:]]*:.*//' "$TOP/patches/series" 2>/dev/null || true
}

direct_needs() {
    local needs
    needs=$(sed -n "s/#.*//; s/^$1[[:space:]]*:[[:space:]]*//p" "$TOP/patches/series")
    printf '%s\n' $needs
}

# The order is that of patches/series: a topic can only need what stands before it.
topic_needs() {
    local need before wanted=''
    before=$(topics | sed "/^$1\$/,\$d")
    for need in $(direct_needs "$1"); do
        grep -qxF -- "$need" <<<"$before" || die "patches/series: $1 needs $need, which does not stand before it"
        wanted+=$(echo "$need" && topic_needs "$need")$'\n'
    done
    grep -xF -- "$wanted" <<<"$before" | grep . || true
}

queue() {
    local topic args=("$@")
    (($#)) || mapfile -t args < <(topics)
    for topic in "${args[@]}"; do
        [[ ! $topic ]] || (shopt -s nullglob && cd "$TOP/patches" && printf '%s\n' "$topic"/[0-9]*.patch | sed '/^$/d')
    done
}

patch_title() {
    sed -n '1s/^Subject: //p' "$1"
}

patch_message() {
    sed -n '1s/^Subject: //; /^---$/q; p' "$1"
}

patch_overlay() {
    sed -n '/^diff --git /q; s/^overlay: //p' <(sed '1,/^---$/d' "$1")
}

patch_hunks() {
    sed '1,/^---$/d' "$1" | sed -n '/^diff --git /,$p'
}

all_overlay() {
    local p
    for p in $(queue); do
        patch_overlay "$TOP/patches/$p"
    done
}

queue_hash() {
    local p
    {
        tree_git rev-parse "$BASE"
        env | grep -E '^GIT_(AUTHOR|COMMITTER)_(NAME|EMAIL)=' | sort
        for p in $(queue); do
            echo "$p" && cat "$TOP/patches/$p"
        done
        all_overlay | while read -r p; do
            echo "$p $(overlay_mode "$p")" && cat "$TOP/$p"
        done
    } | sha256sum | cut -d ' ' -f 1
}

# -- To commits

overlay_mode() {
    [[ -x $TOP/$1 ]] && echo 100755 || echo 100644
}

add_overlay() {
    local path=$1 blob
    [[ -f $TOP/$path && ! -L $TOP/$path ]] || die "$2: overlay file $path does not exist"
    ! tree_git ls-files --error-unmatch "$path" &>/dev/null ||
        die "$2: $path is there already; a file has one owner, and files of QEMU are changed by hunks"
    blob=$(tree_git hash-object -w --no-filters "$TOP/$path")
    tree_git update-index --add --cacheinfo "$(overlay_mode "$path"),$blob,$path"
}

commit_message() {
    patch_message "$1" | git stripspace
    [[ -z ${TRAILER:-} ]] || printf '\nTopic: %s\n' "$2"
}

# Applies one patch to the temporary index and prints the commit.
commit_patch() {
    local patch=$1 parent=$2 file=$TOP/patches/$1 path tree
    if [[ -z $(patch_title "$file") ]] || ! grep -qx -e '---' "$file"; then
        die "$patch: no \`Subject: title\` in the first line, or no \`---\` line"
    fi
    # git apply knows offsets, but no fuzz: each line of context has to match.
    if [[ -n $(patch_hunks "$file") ]]; then
        patch_hunks "$file" | tree_git apply --cached --whitespace=nowarn - ||
            die "$patch does not apply to QEMU $(base_version) with what comes before it"
    fi
    while read -r path; do
        add_overlay "$path" "$patch"
    done < <(patch_overlay "$file")
    tree=$(tree_git write-tree)
    commit_message "$file" "${patch%%/*}" | tree_git commit-tree "$tree" -p "$parent" -F -
}

# A patch that no topic of patches/series has would be lost without a word.
check_folders() {
    local path
    while read -r path; do
        queue | grep -xF -- "$path" >/dev/null ||
            die "patches/$path is of no topic in patches/series, or its name does not begin with a number"
    done < <(cd "$TOP/patches" && find . -name '*.patch' -printf '%P\n')
}

make_commits() {
    local patch n=0 tip
    check_folders
    export GIT_INDEX_FILE=$SRC/.git/queue-index
    rm -f "$GIT_INDEX_FILE.lock"
    tip=$(tree_git rev-parse "$BASE")
    tree_git read-tree "$BASE"
    for patch in $(queue "$@"); do
        [[ ",${WITHOUT:-}," != *",${patch%%-*},"* ]] || continue
        n=$((n + 1))
        set_date "$n"
        tip=$(commit_patch "$patch" "$tip")
    done
    rm -f "$GIT_INDEX_FILE"
    echo "$tip"
}

# -- From commits

message_of() {
    tree_git log -1 --format=%B "$1" | tac | sed '0,/^Topic: /{/^Topic: /d}' | tac | git stripspace
}

topic_of() {
    tree_git log -1 --format='%(trailers:key=Topic,valueonly)' "$1" | sed '/^$/d' | tail -n 1
}

# Writes the hunks of COMMIT, its overlay lines and its message as a patch file; OWNER maps overlay paths.
write_patch() {
    local commit=$1 file=$2 name=${2##*/patches/} state path hunks=() added=()
    while IFS=$'\t' read -r state path; do
        case $state in
        A)
            [[ $path =~ ^($(IFS='|'; echo "${OVERLAY_DIRS[*]}"))/ ]] ||
                die "$name adds $path: new files belong below one of: ${OVERLAY_DIRS[*]}"
            OWNER[$path]=$name
            added+=("$path") ;;
        M | D)
            [[ -z ${OWNER[$path]:-} ]] ||
                die "$name changes $path, which ${OWNER[$path]} adds: squash that change into it (git rebase -i)"
            hunks+=("$path") ;;
        *) die "$name: $path changes in a way ($state) that a patch of the queue does not hold" ;;
        esac
    done < <(tree_git diff-tree -r --no-commit-id --name-status --no-renames "$commit")
    ! message_of "$commit" | grep -qxE -e '---|# Conflicts:' || die "$name: the message holds a --- line, or \`# Conflicts:\`"
    [[ -z $(tree_git diff-tree -r --no-commit-id --numstat "$commit" | grep '^-' || true) ]] ||
        die "$name changes a binary file, which a patch of the queue does not hold"
    [[ -z $(tree_git diff-tree -r --no-commit-id "$commit" | awk '$2 == "120000" || $2 == "160000"') ]] ||
        die "$name has a symbolic link or a submodule, which a patch of the queue does not hold"
    {
        printf 'Subject: %s\n' "$(message_of "$commit")"
        printf '\n---\n'
        ((!${#added[@]})) || printf 'overlay: %s\n' "${added[@]}"
        ((!${#hunks[@]})) || { echo && commit_hunks "$commit" "${hunks[@]}"; }
    } >"$file"
}

# Without the index lines: blob ids say nothing that the hunks do not, and change with their neighbours.
commit_hunks() {
    local commit=$1
    shift
    tree_git diff-tree -r -p --no-commit-id --no-renames --no-color --no-ext-diff -U3 "$commit" -- "$@" |
        sed '/^index [0-9a-f]*\.\.[0-9a-f]*\( [0-7]*\)\?$/d'
}

# A commit that does not say its topic belongs to that of the one before it.
write_queue() {
    local tip=$1 dir=$2 commit n title topic='' last='' left
    left=$(topics)
    declare -A OWNER=()
    mkdir -p "$dir/patches"
    tree_git merge-base --is-ancestor "$BASE" "$tip" || die "build/qemu-src is not based on QEMU $(base_version)"
    [[ -z $(tree_git rev-list --merges "$BASE..$tip") ]] || die "build/qemu-src holds a merge; the queue is linear"
    for commit in $(tree_git rev-list --reverse "$BASE..$tip"); do
        title=$(tree_git log -1 --format=%s "$commit")
        topic=$(topic_of "$commit")
        topic=${topic:-$last}
        [[ $topic ]] || die "\"$title\" is the first commit and has no line \`Topic: name\`"
        if [[ $topic != "$last" ]]; then
            grep -qxF -- "$topic" <<<"$left" ||
                die "\"$title\" is of topic $topic, which is not in patches/series, or comes earlier there: move the commit, or edit patches/series"
            left=$(sed "0,/^$topic\$/d" <<<"$left")
            mkdir "$dir/patches/$topic"
            n=0
        fi
        last=$topic
        n=$((n + 1))
        write_patch "$commit" "$dir/patches/$topic/$(printf '%04d-%.60s.patch' "$n" "$(tree_git log -1 --format=%f "$commit")")"
    done
    ((!${#OWNER[@]})) || tree_git archive --format=tar "$tip" "${!OWNER[@]}" | tar -x -C "$dir" --no-same-permissions
}
