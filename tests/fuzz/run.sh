#!/usr/bin/env bash
#
# Fuzzes every parser with libFuzzer under the address and undefined-behaviour sanitizers, each over its corpus.
#
# What is found stays in build-fuzz, as does what the corpus grew to; the path of an input that broke something is
# printed. Worth keeping: copy it to tests/fuzz/corpus/NAME, so that every build replays it.
# Ends with 0 only if every target ran, none broke, and enough of the lines of the files that they are for (coverage.txt) was
# reached; the last line is "N targets held, N did not".

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly BUILD=build-fuzz
readonly JOBS=2
readonly TIMEOUT_SECONDS=30 # one input: a busy machine that lets a fuzzer wait is no finding
readonly COVERED_MIN=95 # per cent of the lines of every file that coverage.txt names
seconds=60

usage() {
	cat <<TEXT
Usage: tests/fuzz/run.sh [SECONDS [TARGET...]]
       tests/fuzz/run.sh --build

Fuzzes for so long each (default $seconds), all targets or these: $(names | tr '\n' ' ')
TEXT
}

names() {
	local file
	for file in tests/fuzz/fuzz_*.c; do
		file=${file##*/fuzz_}
		echo "${file%.c}"
	done
}

# One target, as a job of its own: a line of what it did.
fuzz() {
	local name=$1 log=$BUILD/log_$1.txt program=$BUILD/tests/fuzz/fuzz_$1
	mkdir -p "$BUILD/corpus_$name"
	if [ ! -x "$program" ]; then
		printf '  %-14s is not in tests/fuzz/meson.build\n' "$name"
	elif LLVM_PROFILE_FILE=$BUILD/coverage_$name.profraw "$program" -max_total_time="$seconds" -max_len=4096 -timeout="$TIMEOUT_SECONDS" -rss_limit_mb=1024 -print_final_stats=1 \
		-dict=tests/fuzz/json.dict -artifact_prefix="$BUILD/broken_${name}_" \
		"$BUILD/corpus_$name" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
		printf '  %-14s held   %9d executions, %7d a second\n' "$name" \
			"$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")" \
			"$(sed -n 's/^stat::average_exec_per_sec: *//p' "$log")"
	else
		printf '  %-14s BROKE  %s\n' "$name" "$(sed -n 's/.*Test unit written to /input: /p' "$log" | tail -n 1)"
		tail -n 40 "$log" | sed 's/^/  | /'
	fi
}

# The files that these targets are for, each with the share of its lines that was reached; false if one is below the bound.
# What only another target reaches counts as well, if that one ran.
coverage() {
	local name programs=() profiles=()
	for name in "$@"; do
		[ ! -e "$BUILD/coverage_$name.profraw" ] || profiles+=("$BUILD/coverage_$name.profraw")
		programs+=(-object "$BUILD/tests/fuzz/fuzz_$name")
	done
	llvm-profdata merge -sparse -o "$BUILD/coverage.profdata" "${profiles[@]}"
	llvm-cov export -summary-only -instr-profile="$BUILD/coverage.profdata" "${programs[@]}" |
		/usr/bin/python3 -B tests/fuzz/coverage.py "$COVERED_MIN" "$@"
}

build() {
	deploy/build.sh --cc clang "$BUILD" -Dtests=disabled -Dfuzzers=true -Doptimization=1 -Ddebug=false -Dc_args=-g1 -Db_sanitize=address,undefined \
		-Db_lundef=false
}

main() {
	local n_held n_wanted covered=0
	case ${1:-} in
	--help | -h)
		usage
		return
		;;
	--build)
		build
		return
		;;
	'') ;;
	*[!0-9]*)
		usage >&2
		return 2
		;;
	*)
		seconds=$1
		shift
		;;
	esac
	[ $# -gt 0 ] || mapfile -t targets < <(names)
	[ $# = 0 ] || targets=("$@")
	build
	export -f fuzz
	export BUILD TIMEOUT_SECONDS seconds
	# shellcheck disable=SC2016 # the job's shell expands it
	printf '%s\n' "${targets[@]}" | xargs -P "$JOBS" -I{} bash -c 'fuzz "$1"' _ {} | tee "$BUILD/summary.txt"
	coverage "${targets[@]}" || covered=1
	n_wanted=${#targets[@]}
	n_held=$(grep -c '^  [a-z_]* *held ' "$BUILD/summary.txt" || true)
	printf '%d targets held, %d did not\n' "$n_held" $((n_wanted - n_held))
	[ "$n_held" = "$n_wanted" ] && [ "$covered" = 0 ]
}

main "$@"
