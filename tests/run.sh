#!/usr/bin/env bash
#
# Runs every test there is and counts them: unit tests and the real binary against a real Redis, plain, under
# the address and undefined-behaviour sanitizers, and under the thread sanitizer.
#
# Promises: installs what tests need (deploy/deps.sh, and a browser); the last line is "N passed, N failed" over all
# suites; ends with 0 only if nothing failed and every suite ran something.
# Refuses: to skip what it cannot run. A browser or a compiler that is missing is a failure.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly PYTHON=/usr/bin/python3 # Debian's, which has the packages; another one may come first in PATH
readonly ALL_SUITES=(format lint fuzz unit unit-address integration integration-address integration-thread fault)
readonly ASKED_SUITES=(container) # not among all: minutes, some 600 MB of cache, and a network for Debian 13
readonly QUICK_SUITES=(format lint unit integration)
readonly SHORT_FAULTS=(f1 f3 f4b f12 f14)
readonly JOBS=2
readonly FUZZ_SECONDS=5             # each target; docs/testing.md has the way to hours
readonly FILE_SECONDS=400           # one file of integration tests, instrumented, on a busy machine
readonly CLANG_FORMAT_MAJOR=14      # releases differ in what they call well formatted; .clang-format is for this one
readonly BIG_FILES='test_many|test_delivery' # the longest go first, so that the shorter fill up the end

usage() {
	cat <<TEXT
Usage: tests/run.sh [--quick] [--suite NAME]...

Installs what is missing, builds, runs the tests and counts them.

  --quick        the plain build only, not the sanitizers'
  --suite NAME   only this one, may be repeated:
                 ${ALL_SUITES[*]}; and only if asked for: ${ASKED_SUITES[*]}
  --help         this page

Reports are kept in build-results. docs/testing.md tells the rest.
TEXT
}

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' red=$'\e[31m' plain=$'\e[0m'
else
	bold='' red='' plain=''
fi

say() {
	printf '%s==>%s %d:%02d %s\n' "$bold" "$plain" $((SECONDS / 60)) $((SECONDS % 60)) "$*"
}

die() {
	printf '%stests: %s%s\n' "$red" "$*" "$plain" >&2
	exit 1
}

# --- what is needed ---------------------------------------------------------------------------

install_browser() {
	command -v chromium >/dev/null && return
	[ "$(id -u)" = 0 ] || die "chromium is missing and only root may install it: sudo apt-get install chromium"
	say "installing chromium (large)"
	if ! apt_browser; then
		apt-get -qq -o DPkg::Lock::Timeout=300 update || true
		apt_browser || die "apt cannot install chromium; see $results/chromium.log"
	fi
}

apt_browser() {
	env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
		--no-install-recommends install chromium >"$results/chromium.log" 2>&1 </dev/null
}

# --- building ---------------------------------------------------------------------------------

# The thread sanitizer's build is clang's, so that a warning of either compiler stops us (meson makes them errors).
build_for() {
	case $1 in
	unit | integration) build_with gcc build -Dtests=enabled ;;
	fault)
		build_with gcc build -Dtests=enabled
		build_with gcc build-fault -Dtests=disabled -Dfault_controls=true
		;;
	unit-address | integration-address)
		build_with gcc build-address -Dtests=enabled -Db_sanitize=address,undefined -Db_lundef=false
		;;
	integration-thread) build_with clang build-thread -Dtests=enabled -Db_sanitize=thread -Db_lundef=false ;;
	esac
}

build_with() {
	local compiler=$1
	shift
	say "building $1 ($compiler)"
	deploy/build.sh --cc "$compiler" "$@"
}

folder_of() {
	case $1 in
	*-address) echo build-address ;;
	*-thread) echo build-thread ;;
	*) echo build ;;
	esac
}

# --- suites -----------------------------------------------------------------------------------

declare -A passed failed skipped

note() {
	passed[$1]=$2 failed[$1]=$3 skipped[$1]=${4:-0}
}

run_format() {
	local version bad
	version=$(clang-format --version 2>/dev/null | sed -n 's/.*version \([0-9]*\).*/\1/p')
	if [ "$version" != "$CLANG_FORMAT_MAJOR" ]; then
		say "format: clang-format $CLANG_FORMAT_MAJOR is not here (${version:-none}); not checked"
		note format 0 0 1
		return
	fi
	bad=$(git ls-files -z '*.c' '*.h' | xargs -0 clang-format --dry-run 2>&1 | sed -n 's/:[0-9].* warning: .*//p' | sort -u)
	if [ -z "$bad" ]; then
		note format 1 0
	else
		note format 0 1
		printf '  failed in format: %s\n' "$(tr '\n' ' ' <<<"$bad")" >>"$results/failed.txt"
	fi
}

# Three checks, each of which counts as one test.
run_lint() {
	local failures=0 check
	say lint
	for check in lint_shell lint_python lint_sources; do
		"$check" >"$results/$check.log" 2>&1 && continue
		failures=$((failures + 1))
		printf '  failed in lint: %s\n' "$check" >>"$results/failed.txt"
		sed 's/^/  | /' "$results/$check.log"
	done
	note lint $((3 - failures)) "$failures"
}

lint_shell() {
	git ls-files -z '*.sh' | xargs -0 shellcheck
}

lint_python() {
	git ls-files -z '*.py' | xargs -0 "$PYTHON" -m pyflakes
}

lint_sources() {
	"$PYTHON" tests/lint/sources.py
}

# Each target for some seconds over its corpus, with its executions a second.
run_fuzz() {
	local last
	say fuzz
	tests/fuzz/run.sh "$FUZZ_SECONDS" 2>&1 | tee "$results/fuzz.log" || true
	last=$(tail -n 1 "$results/fuzz.log")
	if [[ $last =~ ^([0-9]+)\ targets\ held,\ ([0-9]+)\ did\ not$ ]]; then
		note fuzz "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
	else
		note fuzz 0 1
	fi
}

run_unit() {
	local suite=$1 folder
	folder=$(folder_of "$suite")
	say "$suite"
	rm -f "$folder/meson-logs/testlog.json"
	CMOCKA_MESSAGE_OUTPUT=stdout ASAN_OPTIONS=detect_leaks=1 \
		UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
		meson test -C "$folder" --no-rebuild --num-processes "$JOBS" --print-errorlogs >"$results/$suite.log" 2>&1 ||
		cat "$results/$suite.log"
	count "$suite" unit "$folder/meson-logs/testlog.json"
}

count() {
	local numbers
	numbers=$("$PYTHON" tests/integration/harness/counts.py "$@" 2>>"$results/failed.txt") || numbers="0 1 0"
	# shellcheck disable=SC2086 # three numbers
	note "$1" $numbers
}

# One file of integration tests in one configuration, by itself: a job of the pool. Ctrl-C and the deadline come as
# SIGINT, on which pytest ends what it started.
run_file() {
	local suite=$1 file=$2 folder out name sanitizer=none began=$SECONDS
	folder=$(folder_of "$suite")
	out=$results/$suite
	name=$(basename "$file" .py)
	case $suite in
	*-address) sanitizer=address ;;
	*-thread) sanitizer=thread ;;
	esac
	mkdir -p "$out"
	if TIDEGATE_BIN=$folder/tidegate TIDEGATE_TEST_SANITIZER=$sanitizer TIDEGATE_TEST_FIGURES=$results/figures-$suite.txt \
		timeout -s INT -k 20 "$FILE_SECONDS" "$PYTHON" -B -m pytest -q -p no:cacheprovider --tb=short \
		--basetemp="$scratch/$suite-$name" --junitxml="$out/$name.xml" "$file" >"$out/$name.log" 2>&1; then
		printf '  %-20s %-22s %s (%d s)\n' "$suite" "$name" "$(tail -n 1 "$out/$name.log")" $((SECONDS - began))
	else
		[ -e "$out/$name.xml" ] || : >"$out/$name.xml"
		mkdir -p "$out/$name.left" # what the processes of failed tests said
		(cd "$scratch/$suite-$name" && find . \( -name '*.stderr' -o -name '*.stdout' \) -exec cp --parents {} "$out/$name.left" \;) || true
		printf '%s  %-20s %-22s failed%s\n' "$red" "$suite" "$name" "$plain"
		# The first failure tells the most: where a shared gateway died, all that follow only say so.
		sed -n '/^=.* \(FAILURES\|ERRORS\) =/,$p' "$out/$name.log" | head -n 60 | sed 's/^/  | /'
		tail -n 1 "$out/$name.log" | sed 's/^/  | /'
	fi
	rm -rf "${scratch:?}/$suite-$name"
}

# A file that looks at nothing instrumented says so as a whole, and runs on the plain build only.
runs_in() {
	[ "$1" = integration ] || ! grep -q '^pytestmark = pytest.mark.plain$' "$2"
}

# All files of all these suites over a pool of jobs.
run_integration() {
	local suite file list=$scratch/jobs
	say "$*"
	for suite in "$@"; do
		for file in tests/integration/test_*.py; do
			if runs_in "$suite" "$file"; then printf '%s %s\n' "$suite" "$file"; fi
		done
	done >"$list"
	{ grep -E "$BIG_FILES" "$list" || true; grep -vE "$BIG_FILES" "$list" || true; } >"$list.sorted"
	export -f run_file folder_of
	export results scratch PYTHON FILE_SECONDS red plain TIDEGATE_TEST_BROWSER=1
	# shellcheck disable=SC2016 # the job's shell expands these
	xargs -a "$list.sorted" -P "$JOBS" -L 1 bash -c 'run_file "$1" "$2"' _
	for suite in "$@"; do
		count "$suite" pytest "$results/$suite"
	done
}

# A short set of faults; all of them in full size: tests/fault/run.sh. Its last line counts the figures.
run_fault() {
	local last
	say fault
	TIDEGATE_BIN=$PWD/build/tidegate TIDEGATE_FAULT_BIN=$PWD/build-fault/tidegate \
		tests/fault/run.sh --short "${SHORT_FAULTS[@]}" >"$results/fault.log" 2>&1 ||
		sed -n '/^fault /,$p' "$results/fault.log" | sed 's/^/  | /'
	last=$(tail -n 1 "$results/fault.log")
	if [[ $last =~ ^([0-9]+)\ reached,\ ([0-9]+)\ not$ ]]; then
		note fault "${BASH_REMATCH[1]}" "${BASH_REMATCH[2]}"
	else
		tail -n 20 "$results/fault.log" | sed 's/^/  | /'
		note fault 0 1
	fi
}

# The image and the Debian package, built and run.
run_container() {
	mkdir -p "$results/container"
	say container
	tests/container/run.sh --junitxml="$results/container/container.xml" >"$results/container.log" 2>&1 ||
		tail -n 60 "$results/container.log" | sed 's/^/  | /'
	count container pytest "$results/container"
}

# --- the summary ------------------------------------------------------------------------------

summary() {
	local suite total_passed=0 total_failed=0
	say summary
	cat "$results"/figures-*.txt 2>/dev/null | sed 's/^/  /' || true
	cat "$results/failed.txt" 2>/dev/null || true
	for suite in "$@"; do
		if [ $((${passed[$suite]} + ${failed[$suite]} + ${skipped[$suite]})) = 0 ]; then
			printf '  %s ran nothing\n' "$suite"
			failed[$suite]=1
		fi
		printf '  %-20s %4d passed %4d failed %4d skipped\n' "$suite" "${passed[$suite]}" "${failed[$suite]}" \
			"${skipped[$suite]}"
		total_passed=$((total_passed + ${passed[$suite]}))
		total_failed=$((total_failed + ${failed[$suite]}))
	done
	printf '%d passed, %d failed\n' "$total_passed" "$total_failed"
	[ "$total_failed" = 0 ]
}

# --- the command ------------------------------------------------------------------------------

known_suite() {
	case " ${ALL_SUITES[*]} ${ASKED_SUITES[*]} " in *" $1 "*) ;; *) return 1 ;; esac
}

parse() {
	suites=()
	while [ $# -gt 0 ]; do
		case $1 in
		--quick) suites+=("${QUICK_SUITES[@]}") ;;
		--suite)
			known_suite "${2:-}" || refuse "--suite wants one of: ${ALL_SUITES[*]} ${ASKED_SUITES[*]}"
			suites+=("$2")
			shift
			;;
		--help | -h)
			usage
			exit 0
			;;
		*) refuse "unknown option $1; tests/run.sh --help lists them" ;;
		esac
		shift
	done
	[ "${#suites[@]}" -gt 0 ] || suites=("${ALL_SUITES[@]}")
}

refuse() {
	printf 'tests: %s\n' "$1" >&2
	exit 2
}

main() {
	local suite integration=()
	parse "$@"
	results=$PWD/build-results
	rm -rf "$results"
	mkdir -p "$results"
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/tidegate-tests.XXXXXX")
	trap 'rm -rf "$scratch"' EXIT
	deploy/deps.sh --test
	for suite in "${suites[@]}"; do
		case $suite in integration*) install_browser ;; esac
		if ! build_for "$suite"; then
			say "$suite: the build failed"
			note "$suite" 0 1
			continue
		fi
		case $suite in
		format) run_format ;;
		lint) run_lint ;;
		fuzz) run_fuzz ;;
		unit*) run_unit "$suite" ;;
		integration*) integration+=("$suite") ;;
		esac
	done
	[ "${#integration[@]}" = 0 ] || run_integration "${integration[@]}"
	# By itself: its figures are times.
	case " ${suites[*]} " in *" fault "*) [ -v 'passed[fault]' ] || run_fault ;; esac
	case " ${suites[*]} " in *" container "*) run_container ;; esac
	summary "${suites[@]}"
}

main "$@"
