# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# The QEMU release as one commit of build/qemu-src; source it after common.sh.
#
#   tree_git ARGS...   git in that tree, whatever the user's configuration says
#   set_identity       the same author and dates for the same queue
#   need_base          make the commit, if it is not there or QEMU_SRC or QEMU_TARBALL names a release
#   base_version       print the release's version

SRC=$TOP/build/qemu-src
BASE=refs/series/base
# shellcheck source-path=SCRIPTDIR/../.. source=patches/base
. "$TOP/patches/base"

tree_git() {
    GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_SYSTEM=/dev/null git -C "$SRC" -c core.autocrlf=false "$@"
}

tree_id() {
    tree_git rev-parse --verify -q "$1^{tree}"
}

# Same name, mail and date for each commit, so that the same queue gives the same commits.
set_identity() {
    local name mail
    name=$(git -C "$TOP" config user.name) || name=vfio-irq-vectors
    mail=$(git -C "$TOP" config user.email) || mail=noreply@localhost
    export GIT_AUTHOR_NAME=$name GIT_AUTHOR_EMAIL=$mail GIT_COMMITTER_NAME=$name GIT_COMMITTER_EMAIL=$mail
    set_date 0
}

set_date() {
    export GIT_AUTHOR_DATE="$((1767225600 + 60 * $1)) +0000"
    export GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
}

base_version() {
    tree_git show "$BASE:VERSION"
}

not_pinned() {
    say "QEMU $1 is not the pinned release ($version): a patch may not apply to it"
}

# The pinned release, or else a later one that patches/base names
# shellcheck disable=SC2154 # pool, sha256 and later come from patches/base
cached_tarball() {
    local choice path sum file
    for choice in "$version $pool $sha256" "${later[@]}"; do
        read -r _ path sum <<<"$choice"
        file=$CACHE/${path##*/}
        [[ -f $file ]] || fetch_pool "$path" "$sum" "$file" || continue
        echo "$file"
        return
    done
    die "no QEMU $version source. Supply it in one of three ways: \
--qemu-src DIR (an unpacked release or git checkout of v$version); --qemu-tarball FILE (${pool##*/}, also as \
$CACHE/${pool##*/}); or an apt mirror that has $pool"
}

is_known_tarball() {
    local sum choice
    sum=$(sha256sum <"$1")
    for choice in "$version $pool $sha256" "${later[@]}"; do
        [[ ${sum%% *} != "${choice##* }" ]] || return 0
    done
    return 1
}

# Unpacks a tarball, or the commit that a git checkout is at, into DIR.
unpack_base() {
    local from=$1 dir=$2 sub
    mkdir -p "$dir"
    if [[ -f $from ]]; then
        is_known_tarball "$from" ||
            die "$from is none of the tarballs in patches/base (SHA-256 differs); unpack it and use --qemu-src to build it all the same"
        tar -xf "$from" -C "$dir" --no-same-owner --strip-components=1
        return
    fi
    git -c safe.directory='*' -C "$from" archive HEAD | tar -x -C "$dir"
    # A release carries these, a checkout has them once `meson subprojects download` was run.
    for sub in keycodemapdb berkeley-softfloat-3 libvfio-user; do
        [[ -e $from/subprojects/$sub ]] ||
            die "$from has no subprojects/$sub; run there: meson subprojects download keycodemapdb berkeley-softfloat-3 berkeley-testfloat-3 libvfio-user"
    done
    cp -R "$from"/subprojects/{keycodemapdb,berkeley-*-3,libvfio-user} "$dir/subprojects/"
}

# Prints the tree object for all files below DIR; those that git would ignore belong to a release too, but
# not what a configuration left there.
import_tree() {
    local dir=$1 skip=() build
    while read -r build; do
        skip+=(":(exclude)$(dirname "$build")")
    done < <(cd "$dir" && find . -name config-host.mak -printf '%P\n')
    export GIT_INDEX_FILE=$SRC/.git/base-index
    rm -f "$GIT_INDEX_FILE" "$GIT_INDEX_FILE.lock"
    tree_git --work-tree="$dir" add -A -f . ':(exclude).git' ':(exclude).pc' ':(exclude)python/qemu.egg-info' \
        "${skip[@]}"
    tree_git write-tree
    rm -f "$GIT_INDEX_FILE"
}

init_tree() {
    [[ ! -d $SRC/.git ]] || return 0
    mkdir -p "$SRC"
    tree_git init -q -b series
    # QEMU's configure wants these, the release tarball of Debian lacks them: build makes them empty.
    printf '%s\n' '/pc-bios/edk2-*.fd.bz2' >"$SRC/.git/info/exclude"
    tree_git config user.name "$GIT_AUTHOR_NAME"
    tree_git config user.email "$GIT_AUTHOR_EMAIL"
    tree_git config advice.detachedHead false
}

make_base() {
    local from=$1 dir=$TOP/build/base.part tree found
    if [[ -d $from && ! -e $from/.git ]]; then
        dir=$(cd "$from" && pwd)
    else
        rm -rf "$dir"
        # shellcheck disable=SC2064 # the path is known now
        trap "rm -rf '$dir'" EXIT
        say "unpacking $from"
        unpack_base "$from" "$dir"
    fi
    found=$(cat "$dir/VERSION" 2>/dev/null) || found=
    case $found in
    "$version") ;;
    "${version%.*}".*) not_pinned "$found" ;;
    *) die "$from is not QEMU $version (its VERSION file says: ${found:-nothing})" ;;
    esac
    say "importing QEMU $found into build/qemu-src"
    init_tree
    tree=$(import_tree "$dir")
    rm -rf "$TOP/build/base.part"
    set_date 0
    tree_git update-ref "$BASE" "$(tree_git commit-tree "$tree" -m "QEMU $found")"
}

# Somebody gave the base that is there, or it is one that patches/base names.
base_will_do() {
    [[ -d $SRC/.git ]] && tree_git rev-parse --verify -q "$BASE" >/dev/null &&
        [[ -e $SRC/.git/base-given || " $version ${later[*]%% *} " == *" $(base_version) "* ]]
}

need_base() {
    local from=${QEMU_SRC:-${QEMU_TARBALL:-}}
    [[ -z $from || -e $from ]] || die "$from: no such file or directory"
    [[ -z ${QEMU_SRC:-} || -d $QEMU_SRC ]] || die "$QEMU_SRC is not a directory"
    if [[ $from ]]; then
        make_base "$from"
        touch "$SRC/.git/base-given"
    elif ! base_will_do; then
        from=$(cached_tarball)
        make_base "$from"
        rm -f "$SRC/.git/base-given"
    fi
}
