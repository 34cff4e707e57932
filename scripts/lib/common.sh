# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash
#
# What the scripts share; source it, do not run it.
#
#   say MSG...                      progress on stderr, with the time since the first script started
#   die MSG...                      one message on stderr, then exit 1
#   run LABEL LOG CMD...            run CMD quietly, its output to LOG; a progress line every 20 s;
#                                   after a failure the last lines (TAIL, 20) and where the log is
#   lock DIR                        keep other scripts out of DIR until this one ends
#   need_packages PKG...            install the Debian packages that are missing
#   fetch_package REGEX SUITE...    print the directory with the contents of a Debian package that
#                                   is unpacked, not installed; from the first suite that has it.
#                                   HINT tells the user how else to supply it
#   extract_deb FILE                the same for a .deb at hand
#   fetch_pool PATH SHA256 FILE     get one file of the Debian pool, checked
#   use_meson                       set up Meson >= 1.5 and the Python modules of QEMU's configure;
#                                   afterwards call "${MESON[@]}"
#
# Functions that print a result run in $(...): assign it to a variable on a line of its own, so that
# a failure ends the caller (set -e); `local x=$(...)` would hide it.

# What a hook or a caller has set is about another repository.
# shellcheck disable=SC2046 # words
! command -v git >/dev/null || unset $(git rev-parse --local-env-vars)

# A failure inside $(...) ends that subshell too.
shopt -s inherit_errexit

# shellcheck disable=SC2034 # for the scripts
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/vfio-irq-vectors
export VFIO_IRQ_START=${VFIO_IRQ_START:-$(date +%s)}
export LC_ALL=C.UTF-8

# -- Messages and progress

# 75 -> 1m15s
minutes() {
    printf '%dm%02ds' $(($1 / 60)) $(($1 % 60))
}

say() {
    printf '[%6s] %s\n' "$(minutes $(($(date +%s) - VFIO_IRQ_START)))" "$*" >&2
}

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# The comment block at the top of a script is its help.
usage() {
    sed -n '/^# SPDX/d; /^#!/d; /^#/!q; s/^# \{0,1\}//p' "$0"
    exit 0
}

# How far a log says its command is: the last [n/m] of ninja or meson, else the last line.
log_position() {
    local tail
    tail=$(tail -c 2000 "$1" 2>/dev/null | tr '\r' '\n') || return 0
    grep -oE '\[ *[0-9]+/[0-9]+\]' <<<"$tail" | tail -n 1 | grep . ||
        sed '/^[[:space:]]*$/d' <<<"$tail" | tail -n 1 | tr -s ' ' | cut -c 1-100
}

# Reports until stdin closes, that is until the command or this script is gone, however that came.
progress_ticker() {
    local label=$1 log=$2 start rc
    start=$(date +%s)
    while :; do
        rc=0
        read -r -t 20 || rc=$?
        ((rc > 128)) || return 0
        say "$label: $(log_position "$log"), for $(minutes $(($(date +%s) - start)))"
    done
}

run() {
    local label=$1 log=$2 fd rc=0 start
    shift 2
    mkdir -p "$(dirname "$log")"
    : >"$log"
    say "$label"
    start=$(date +%s)
    exec {fd}> >(progress_ticker "$label" "$log")
    (eval "exec $fd>&-"; "$@") >"$log" 2>&1 </dev/null || rc=$?
    exec {fd}>&-
    if ((rc)); then
        tail -n "${TAIL:-20}" "$log" | sed 's/^/    /' >&2
        say "$label: FAILED (exit $rc) after $(minutes $(($(date +%s) - start))); the whole log: $log"
    fi
    return "$rc"
}

# Held until this process and all its children end; a script called by the holder passes through.
lock() {
    local dir=$1 fd
    mkdir -p "$dir" || die "cannot create $dir"
    dir=$(cd "$dir" && pwd)
    [[ ":${VFIO_IRQ_LOCKS:-}:" != *":$dir:"* ]] || return 0
    exec {fd}>"$dir/.lock"
    if ! flock -n "$fd"; then
        say "waiting for another script that works in $dir"
        flock "$fd"
    fi
    export VFIO_IRQ_LOCKS=${VFIO_IRQ_LOCKS:-}:$dir
}

# QEMU ends with 0 also for the help of a device that it does not have.
has_device() {
    [[ $("$1" -device help 2>/dev/null) == *"name \"$2\""* ]]
}

# -- Packages of this machine

missing_packages() {
    local p
    for p; do
        [[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$p" 2>/dev/null) == [ih]i* ]] || echo "$p"
    done
}

install_packages() {
    local as_root=()
    ((EUID == 0)) || as_root=(sudo)
    # A fresh index is only fetched when the present one does not do; third-party sources that
    # fail to update are not our concern, the second install decides.
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y --no-install-recommends "$@" ||
        { "${as_root[@]}" apt-get update || true
          DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y --no-install-recommends "$@"; }
}

need_packages() {
    local missing
    if ! command -v dpkg-query >/dev/null; then
        say "no dpkg here: taking it that the counterparts of these packages are installed: $*"
        return
    fi
    mapfile -t missing < <(missing_packages "$@")
    ((${#missing[@]})) || return 0
    if ((EUID != 0)) && ! sudo -n true 2>/dev/null && ! { [[ -t 0 ]] && command -v sudo >/dev/null; }; then
        die "these packages are missing: ${missing[*]}. Install them (apt-get install ${missing[*]}), or run this as root or with sudo."
    fi
    ((EUID == 0)) || sudo -n true 2>/dev/null || sudo true
    TAIL=3 run "installing packages: ${missing[*]}" "$CACHE/log/packages" install_packages "${missing[@]}" ||
        die "these packages could not be installed: ${missing[*]}. Check the network and apt's sources, or install them by hand."
}

# -- Packages of other suites: unpacked into the cache through an apt state of our own, so that
#    neither the package lists nor the installed packages of the machine change.

# The URI that apt uses on this machine for Debian proper, or with "security" for its security archive.
mirror_uri() {
    local kind=${1:-main} uri release
    while IFS='|' read -r uri release; do
        [[ $uri =~ ^(https?|file|mirror\+file|tor\+https?): ]] || continue
        [[ $kind:$release =~ ^(main:(bookworm|trixie|forky|sid|oldstable|stable|testing|unstable)|security:.*-security)$ ]] ||
            continue
        if [[ $uri == mirror+file:* ]]; then
            uri=$(awk '!/^#/ && NF { print $1; exit }' "${uri#mirror+file:}")
        fi
        echo "${uri%/}"
        return
    done < <(# shellcheck disable=SC2016 # apt fills these in
        apt-get indextargets --format '$(SITE)|$(RELEASE)' 'Created-By: Packages' 'Component: main' 2>/dev/null)
    return 1
}

# apt_suite SUITE TOOL ARGS...: an apt tool that sees this suite only, and nothing as installed.
apt_suite() {
    local state=$CACHE/apt/$1 tool=$2
    shift 2
    "$tool" -q -o Dir::State="$state" -o Dir::State::status="$state/status" -o Dir::Cache="$state/cache" \
        -o Dir::Etc::sourcelist="$state/debian.sources" -o Dir::Etc::sourceparts=- \
        -o Dir::Etc::preferences=- -o Dir::Etc::preferencesparts=- -o APT::Sandbox::User=root \
        -o APT::Update::Error-Mode=any -o Acquire::Languages=none -o Acquire::Retries=2 -o Acquire::http::Timeout=30 "$@"
}

write_suite_sources() {
    local suite=$1 mirror=$2 security keyring signed=
    for keyring in /usr/share/keyrings/debian-archive-keyring.{gpg,pgp}; do
        [[ ! -e $keyring ]] || signed="Signed-By: $keyring"
    done
    printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\n%s\n' "$mirror" "$suite" "$signed"
    if [[ $suite =~ ^(bookworm|trixie)$ ]] && security=$(mirror_uri security); then
        printf '\nTypes: deb\nURIs: %s\nSuites: %s\nComponents: main\n%s\n' "$security" "$suite-security" "$signed"
    fi
}

# Gets the suite's package list; once per script run at most, and not if it is younger than a day.
update_suite() {
    local suite=$1 state=$CACHE/apt/$1 mirror
    [[ -z $(find "$state/updated" -mmin -1440 2>/dev/null) ]] || return 0
    mirror=$(mirror_uri) || { say "apt's configuration names no Debian mirror"; return 1; }
    mkdir -p "$state"/lists/partial "$state"/cache/archives/partial
    : >"$state/status"
    write_suite_sources "$suite" "$mirror" >"$state/debian.sources"
    TAIL=2 run "getting the package list of $suite" "$CACHE/log/apt-$suite" apt_suite "$suite" apt-get update || return 1
    touch "$state/updated"
}

# Newest package of SUITE whose name matches REGEX as a whole.
suite_package() {
    apt_suite "$1" apt-cache pkgnames 2>/dev/null | grep -xE -- "$2" | sort -V | tail -n 1
}

extract_deb() {
    local deb=$1 dir
    [[ -f $deb ]] || die "$deb: no such file"
    dir=$CACHE/pkg/$(basename "$deb" .deb)
    if [[ ! -d $dir ]]; then
        mkdir -p "$CACHE/pkg"
        rm -rf "$dir.part"
        dpkg-deb -x "$deb" "$dir.part" || die "$deb is not a Debian package"
        mv "$dir.part" "$dir"
    fi
    echo "$dir"
}

download_deb() {
    local suite=$1 name=$2 into=$3
    rm -rf "$into"
    mkdir -p "$into"
    (cd "$into" && TAIL=2 run "downloading $name from $suite" "$CACHE/log/download-$name" \
        apt_suite "$suite" apt-get download "$name")
}

fetch_package() {
    local regex=$1 link suite name dir part=$CACHE/pkg/.download
    shift
    link=$CACHE/pkg/.request-$(tr -c 'A-Za-z0-9.+\n-' '_' <<<"$regex")-$(IFS=+; echo "$*")
    if [[ ! -d $link ]]; then
        command -v apt-get >/dev/null || die "package $regex: this is no Debian system, there is nothing to fetch it with"
        lock "$CACHE/pkg"
        for suite; do
            update_suite "$suite" || continue
            name=$(suite_package "$suite" "$regex") || continue
            download_deb "$suite" "$name" "$part" || continue
            dir=$(extract_deb "$part"/*.deb)
            rm -rf "$part"
            ln -sfn "$(basename "$dir")" "$link"
            break
        done
    fi
    [[ -d $link ]] ||
        die "package $regex: none of the suites $* on this machine's Debian mirror supplies it. Check the network and \
apt's sources (logs: $CACHE/log/)${HINT:+, or $HINT}"
    readlink -f "$link"
}

fetch_pool() {
    local path=$1 sha256=$2 file=$3 mirror
    mirror=$(mirror_uri) || return 1
    mkdir -p "$(dirname "$file")"
    TAIL=2 run "downloading ${path##*/}" "$CACHE/log/download-${path##*/}" \
        /usr/lib/apt/apt-helper -o APT::Sandbox::User=root -o Acquire::Retries=2 -o Acquire::http::Timeout=30 \
        download-file "$mirror/$path" "$file.part" "SHA256:$sha256" &&
        mv "$file.part" "$file"
}

# -- Meson and the Python modules without which QEMU's configure stops: Debian 12 has Meson 1.0, and no
#    stable release has python3-qemu-qmp.

# use_module MODULE PACKAGE SUITE...: Debian's package on PYTHONPATH, unless the module is there
use_module() {
    local module=$1 dir
    shift
    ! /usr/bin/python3 -c "import $module" 2>/dev/null || return 0
    dir=$(HINT="install the Python module $module in another way" fetch_package "$@")
    PYTHONPATH=$dir/usr/lib/python3/dist-packages${PYTHONPATH:+:$PYTHONPATH}
}

# shellcheck disable=SC2034 # MESON is the result
use_meson() {
    local meson
    MESON=(meson)
    if [[ $(printf '%s\n' 1.5 "$(meson --version 2>/dev/null || echo 0)" | sort -V | head -n 1) != 1.5 ]]; then
        meson=$(HINT='install Meson 1.5 in another way' fetch_package meson bookworm-backports trixie)
        MESON=(/usr/bin/python3 "$meson/usr/bin/meson")
        PYTHONPATH=$meson/usr/lib/python3/dist-packages${PYTHONPATH:+:$PYTHONPATH}
    fi
    export PYTHONPATH=${PYTHONPATH:-}
    use_module pycotap python3-pycotap bookworm-backports trixie
    use_module qemu.qmp python3-qemu-qmp trixie-backports forky sid
}
