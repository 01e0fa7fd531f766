#!/usr/bin/env bash
#
# Says which build this is, for meson: `version.sh RELEASE` the release and the commit (0.1.0+712.g1a2b3c4; of the commit that
# is tagged v0.1.0: 0.1.0), `version.sh --date` the day of the commit. Without git, or where the clone is a folder of somebody
# else's repository, it fails, and meson takes the release alone and no day.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ "$(git rev-parse --show-toplevel)" = "$(pwd -P)" ]
if [ "${1:-}" = --date ]; then
	git log -1 --format=%cs
elif [ "$(git describe --tags --exact-match 2>/dev/null)" = "v$1" ]; then
	printf '%s\n' "$1"
else
	# The number of commits first, so that packages of two builds are in order.
	printf '%s+%s.g%s\n' "$1" "$(git rev-list --count HEAD)" "$(git rev-parse --short=7 HEAD)"
fi
