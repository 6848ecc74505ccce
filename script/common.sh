# shellcheck shell=bash
# What the scripts share. Sourced, after `set -euo pipefail`; leaves the caller in the root of the tree.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
self=script/$(basename "$0")

say() { printf '==> %s\n' "$*" >&2; }

fail() {
    printf '%s: %s\n' "$self" "$*" >&2
    exit 1
}

# host_apt FILE: leaves there what this machine's apt says about its way to the network, for a Debian inside it.
host_apt() { apt-config dump | grep -E '^Acquire::(http|https|Retries|Check-)' >"$1" || true; }

# debian_root CODENAME APT: makes a bare root (mmdebstrap's minbase) once, and prints the path of its tarball.
debian_root() {
    local tarball=${XDG_CACHE_HOME:-/var/cache}/mela/$1.tar
    if [ ! -f "$tarball" ]; then
        say "Making a bare $1 root (about 15 seconds)"
        mkdir -p "$(dirname "$tarball")"
        mmdebstrap --quiet --variant=minbase --format=tar --aptopt="$2" "$1" "$tarball.part" ||
            fail "mmdebstrap could not make a $1 root; its output is above"
        mv "$tarball.part" "$tarball"
    fi
    echo "$tarball"
}

# dub_demo DIRECTORY [SUBMIT OPTION...]: dubs the demo's clip, leaves the three videos in DIRECTORY and checks them. Whoever
# calls says how the two programs are run: mela ARGUMENT..., worker ARGUMENT...
dub_demo() {
    local directory=$1 media=.deps/media/demo began=$SECONDS campaign language file
    shift
    campaign=$(mela submit --video "$media/master.mp4" --dub "hi=$media/hi.wav" --dub "ta=$media/ta.wav" \
        --dub "en=$media/en.wav" "$@")
    mela watch "$campaign"
    local took=$((SECONDS - began))
    mela get "$campaign" --output "$directory" >/dev/null
    mela trace "$campaign"
    for language in hi ta en; do
        file=$directory/$campaign-$language.mp4
        echo
        echo "$language: $PWD/$file"
        mela trace "$campaign" --json | script/demo-times "$language"
        worker check sync "$file" --models .deps/models --original "$media/master.mp4"
    done
    echo
    echo "Three dubs of 20 seconds in $took s."
}

# build DIRECTORY [MESON OPTION...]: configures once, then lets ninja find out what is left to do.
build() {
    local dir=$1 log=$1/build.log
    shift
    if [ ! -f "$dir/build.ninja" ]; then
        say "Configuring $dir"
        mkdir -p "$dir"
        meson setup "$dir" "$@" >"$log" 2>&1 || {
            tail -n 20 "$log" >&2
            fail "meson could not configure $dir; its output is above"
        }
    fi
    if ! ninja -C "$dir" -n | grep -q 'no work to do'; then
        say "Building $dir (a first build takes a minute or two)"
    fi
    ninja -C "$dir" >"$log" 2>&1 || {
        tail -n 60 "$log" >&2
        fail "the build in $dir failed; the end of the compiler's output is above"
    }
}
