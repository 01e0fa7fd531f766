#!/usr/bin/env bash
#
# Runs the channel log's simulator: tests/sim/run.sh [SEEDS [FIRST]] (default: a million from 1), then its controls.
#
# Promises: builds it with -O2 by itself, needs no dependency of the gateway; ends with 0 only if no seed broke an
# invariant, every control run found violations, and a million seeds took at most a minute.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly SEEDS=${1:-1000000}
readonly FIRST=${2:-1}
readonly CONTROL_SEEDS=100000
readonly SECONDS_A_MILLION=60
readonly CC=${CC:-cc}

build=$(mktemp -d "${TMPDIR:-/tmp}/tidegate-sim.XXXXXX")
trap 'rm -rf "$build"' EXIT

"$CC" -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Iinclude -Isrc tests/sim/*.c src/channel_log/*.c -o "$build/sim"

began=$SECONDS
"$build/sim" --seeds "$SEEDS" --first "$FIRST"
took=$((SECONDS - began))
if [ $((took * 1000000)) -gt $((SECONDS_A_MILLION * SEEDS + 5000000)) ]; then
	printf 'sim: %s seeds took %s s\n' "$SEEDS" "$took" >&2
	exit 1
fi
for control in --ignore-tags --no-tail-check --late-expiry --short-ttl --no-poll --stay; do
	printf '\n== control: %s\n' "$control"
	"$build/sim" --seeds "$CONTROL_SEEDS" --first "$FIRST" "$control" | tail -n 1
done
