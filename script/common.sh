# shellcheck shell=bash
# What the scripts share. Sourced, after `set -euo pipefail`; leaves the caller in the root of the tree.

cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit
self=script/$(basename "$0")

say() { printf '==> %s\n' "$*" >&2; }

fail() {
    printf '%s: %s\n' "$self" "$*" >&2
    exit 1
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
