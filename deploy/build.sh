#!/usr/bin/env bash
#
# Builds Tidegate into one folder, with the libraries that deploy/deps.sh has put ready.
#
# Promises: sets the folder up once, tells it anew when the libraries or the options have changed, and is over at
# once when nothing has. What the tools say is shown when they fail.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
	cat <<TEXT
Usage: deploy/build.sh [--cc COMPILER] [--release] FOLDER [meson options]

Builds into FOLDER of the clone; the program is FOLDER/tidegate. Run deploy/deps.sh before.

  --cc COMPILER   gcc or clang, say; the default is \$CC, or meson's choice
  --release       as it is shipped: -O2 like what is tested and measured, but without debug information and unit tests
TEXT
}

compiler=${CC:-}
release=()
while [ $# -gt 0 ]; do
	case $1 in
	--help | -h)
		usage
		exit 0
		;;
	--cc)
		compiler=${2:-}
		shift $(($# < 2 ? $# : 2))
		;;
	--release)
		# io_uring is detected again when it runs; a build without it would be a mistake.
		release=(-Dprefix=/usr -Doptimization=2 -Ddebug=false -Dstrip=true -Dtests=disabled -Dio_uring=enabled -Dcurl=enabled)
		shift
		;;
	*) break ;;
	esac
done
case ${1:-} in
'' | -*)
	printf 'build: wants a folder; deploy/build.sh --help\n' >&2
	exit 2
	;;
esac

folder=$1
shift
set -- "${release[@]}" "$@"
# A build under a sanitizer has its libraries under it too: a race or an overflow in them is as bad as one of ours. The
# fuzzers (clang, address) call none of them, and gcc's runtime does not go with clang's.
sanitize=()
case "$compiler $* " in
clang*' -Db_sanitize=address'*) ;;
*' -Db_sanitize=address'*) sanitize=(--sanitize address) ;;
*' -Db_sanitize=thread'*) sanitize=(--sanitize thread) ;;
esac
[ "${#sanitize[@]}" = 0 ] || deploy/deps.sh "${sanitize[@]}"
libraries=$(deploy/deps.sh --pkg-config-path "${sanitize[@]}")
mkdir -p "$folder"
log=$folder/tidegate-build.log

quietly() {
	if ! "$@" >"$log" 2>&1 </dev/null; then
		tail -n 40 "$log" | sed 's/^/  | /' >&2
		printf 'build: %s failed; the whole output is in %s\n' "$1 in $folder" "$log" >&2
		exit 1
	fi
}

# meson keeps its options, but not who set them: this line says what the folder was set up with.
wanted="$compiler $libraries $*"
if [ "$(cat "$folder/tidegate-setup" 2>/dev/null)" != "$wanted" ]; then
	again=()
	[ ! -e "$folder/build.ninja" ] || again=(--reconfigure)
	[ -z "$compiler" ] || export CC=$compiler
	quietly meson setup "$folder" "${again[@]}" -Dpkg_config_path="$libraries" "$@"
	printf '%s\n' "$wanted" >"$folder/tidegate-setup"
fi
quietly ninja -C "$folder"
