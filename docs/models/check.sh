#!/usr/bin/env bash
# Proves docs/models/collection.pml with Spin, and that each half of the rule is needed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if ! command -v spin >/dev/null; then
    echo "SKIPPED: spin is not installed (Debian package spin)" >&2
    exit 3
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

errors() { # the number of errors that Spin finds with these definitions
    spin -a "$@" "$here/collection.pml" >/dev/null
    cc -O2 -w -o pan pan.c
    ./pan -a -m100000 | sed -n 's/.*errors: \([0-9]*\).*/\1/p'
}

whole=$(errors)
no_lease=$(errors -DNO_LEASE)
no_generation=$(errors -DNO_GENERATION)
printf '%-24s errors: %s\n' "the rule" "$whole" "without the lease" "$no_lease" "without the generation" "$no_generation"
[ "$whole" = 0 ] && [ "$no_lease" != 0 ] && [ "$no_generation" != 0 ]
