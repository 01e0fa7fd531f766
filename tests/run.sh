#!/usr/bin/env bash
#
# Runs every test there is and counts them: unit tests and the real binary against a real Redis, plain, under
# the address and undefined-behaviour sanitizers, and under the thread sanitizer.
#
# Promises: installs what tests need (deploy/deps.sh, and a browser); says how long each suite took; the last line is
# "N passed, N failed" over all suites; ends with 0 only if nothing failed and every suite ran something.
# Refuses: to skip what it cannot run. A browser or a compiler that is missing is a failure.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
started=$EPOCHSECONDS

readonly PYTHON=/usr/bin/python3 # Debian's, which has the packages; another one may come first in PATH
readonly ALL_SUITES=(format lint unit integration unit-address integration-address fuzz integration-thread fault)
readonly ASKED_SUITES=(container) # not among all: minutes, some 600 MB of cache, and a network for Debian 13
readonly QUICK_SUITES=(format lint unit integration)
readonly SHORT_FAULTS=(f1 f3 f4b f5 "f5b killed" f12 f14 f16 f17 f23)
readonly JOBS=4                     # a file of tests waits longer than it works; two cores carry four, and a fifth once nothing is built
readonly FUZZ_SECONDS=5             # each target; docs/testing.md has the way to hours
readonly FILE_SECONDS=400           # one file of integration tests, instrumented, on a busy machine
readonly CLANG_FORMAT_MAJOR=14      # releases differ in what they call well formatted; .clang-format is for this one
readonly BIG_FILES='test_(amplification|backlog|compression|connections|dashboard|delivery|many|nodes|recovery|redis_away|redis_moods|stress)' # go first, so that the shorter fill up the end

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
	printf '%s==>%s %d:%02d %s\n' "$bold" "$plain" $(((EPOCHSECONDS - started) / 60)) $(((EPOCHSECONDS - started) % 60)) "$*"
}

die() {
	printf '%stests: %s%s\n' "$red" "$*" "$plain" >&2
	exit 1
}

# --- what is needed ---------------------------------------------------------------------------

# In the background, while the first build runs. What wants a browser and finds none fails and says so.
install_browser() {
	command -v chromium >/dev/null && return
	say "installing chromium (large)"
	if ! apt_browser; then
		apt-get -qq -o DPkg::Lock::Timeout=300 update || true
		apt_browser || say "apt cannot install chromium; see $results/chromium.log"
	fi
}

apt_browser() {
	env DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300 \
		--no-install-recommends install chromium >"$results/chromium.log" 2>&1 </dev/null
}

# --- building ---------------------------------------------------------------------------------

folder_of() {
	case $1 in
	*-address) echo build-address ;;
	*-thread) echo build-thread ;;
	fuzz) echo build-fuzz ;;
	fault) echo build-fault ;;
	format | container) ;;
	*) echo build ;;
	esac
}

# The thread sanitizer's build is clang's, so that a warning of either compiler stops us (meson makes them errors). No
# suite runs its unit tests: what clang says of those is among the lints. Under the address sanitizer -O1 reports the same
# and compiles in half the time, and lines are all of debug information that a report needs (-g1). Nobody looks
# into build-fault, which is for the control runs: it has none.
build_folder() {
	case $1 in
	build) deploy/build.sh --cc gcc build -Dtests=enabled ;;
	build-fault) deploy/build.sh --cc gcc build-fault -Dtests=disabled -Dfault_controls=true -Ddebug=false ;;
	build-address)
		deploy/build.sh --cc gcc build-address -Dtests=enabled -Doptimization=1 -Ddebug=false -Dc_args=-g1 \
			-Db_sanitize=address,undefined -Db_lundef=false
		;;
	build-thread) deploy/build.sh --cc clang build-thread -Dtests=disabled -Decho=true -Db_sanitize=thread -Db_lundef=false ;;
	build-fuzz) tests/fuzz/run.sh --build ;;
	esac
}

# One after the other, in the background: tests of what is built already run meanwhile, and go first.
build_folders() {
	local folder began
	for folder in "$@"; do
		began=$EPOCHSECONDS
		# shellcheck disable=SC2016 # the other shell expands it
		if nice -n 5 "$BASH" -c 'build_folder "$1"' _ "$folder" >"$results/$folder.log" 2>&1; then
			: >"$scratch/built-$folder"
			say "$folder is built"
		else
			sed 's/^/  | /' "$results/$folder.log"
			: >"$scratch/broken-$folder"
			say "$folder: the build failed"
		fi
		took "$folder" "$began"
	done
	kill -USR1 "$(cat "$scratch/pool")" 2>/dev/null || true # to xargs this says: one more at a time
}

# Returns when the suite's build is there; 1 when it failed.
await_build() {
	local folder
	folder=$(folder_of "$1")
	[ -n "$folder" ] || return 0
	until [ -e "$scratch/built-$folder" ]; do
		[ ! -e "$scratch/broken-$folder" ] || return 1
		sleep 0.2
	done
}

# --- suites -----------------------------------------------------------------------------------

# How many passed, failed and were skipped; jobs are processes of their own.
note() {
	printf '%d %d %d\n' "$2" "$3" "${4:-0}" >"$scratch/count-$1"
}

# A job of this suite or build has ended.
took() {
	printf '%s %d %d\n' "$1" $(($2 - started)) $((EPOCHSECONDS - started)) >>"$scratch/seconds"
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

# Four checks, each of which counts as one test.
run_lint() {
	local failures=0 check
	for check in lint_shell lint_python lint_sources lint_tests; do
		"$check" >"$results/$check.log" 2>&1 && continue
		failures=$((failures + 1))
		printf '  failed in lint: %s\n' "$check" >>"$results/failed.txt"
		sed 's/^/  | /' "$results/$check.log"
	done
	note lint $((4 - failures)) "$failures"
}

lint_shell() {
	git ls-files -z '*.sh' | xargs -0 shellcheck
}

lint_python() {
	git ls-files -z '*.py' | xargs -0 "$PYTHON" -m pyflakes
	"$PYTHON" -m mypy --cache-dir /dev/null --config-file src/clients/python/pyproject.toml src/clients/python/tidegate
}

lint_sources() {
	"$PYTHON" tests/lint/sources.py
}

lint_tests() {
	"$PYTHON" tests/lint/clang.py build
}

# Each target for some seconds over its corpus, with its executions a second.
run_fuzz() {
	local last
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
	rm -f "$folder/meson-logs/testlog.json"
	CMOCKA_MESSAGE_OUTPUT=stdout ASAN_OPTIONS=detect_leaks=1 \
		UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 \
		meson test -C "$folder" --no-rebuild --num-processes 2 --print-errorlogs >"$results/$suite.log" 2>&1 ||
		cat "$results/$suite.log"
	count "$suite" unit "$folder/meson-logs/testlog.json"
}

count() {
	local numbers
	numbers=$("$PYTHON" tests/integration/harness/counts.py "$@" 2>>"$results/failed.txt") || numbers="0 1 0"
	# shellcheck disable=SC2086 # three numbers
	note "$1" $numbers
}

# One file of integration tests in one configuration, by itself. Ctrl-C and the deadline come as SIGINT, on which pytest
# ends what it started.
run_file() {
	local suite=$1 file=$2 folder out name sanitizer=none single_thread=0 began=$EPOCHSECONDS
	folder=$(folder_of "$suite")
	out=$results/$suite
	name=$(basename "$file" .py)
	case $suite in
	*-address) sanitizer=address single_thread=1 ;;
	*-thread) sanitizer=thread ;;
	esac
	mkdir -p "$out"
	if TIDEGATE_BIN=$folder/tidegate TIDEGATE_TEST_SANITIZER=$sanitizer TIDEGATE_TEST_SINGLE_THREAD=$single_thread TIDEGATE_TEST_FIGURES=$results/figures-$suite.txt \
		timeout -s INT -k 20 "$FILE_SECONDS" "$PYTHON" -B -m pytest -q -p no:cacheprovider --tb=short \
		--basetemp="$scratch/$suite-$name" --junitxml="$out/$name.xml" "$file" >"$out/$name.log" 2>&1; then
		printf '  %-20s %-22s %s (%d s)\n' "$suite" "$name" "$(tail -n 1 "$out/$name.log")" $((EPOCHSECONDS - began))
	else
		# The deadline ends pytest between two tests: its report has no failure then, and is none.
		grep -qE '<(failure|error)' "$out/$name.xml" 2>/dev/null || : >"$out/$name.xml"
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

# A job of the pool: a suite, or one file of it.
run_job() {
	local suite=$1 began
	await_build "$suite" || return 0
	began=$EPOCHSECONDS
	case $suite in
	integration*) run_file "$suite" "$2" ;;
	unit*) run_unit "$suite" ;;
	*) "run_$suite" ;;
	esac
	took "$suite" "$began"
	case $suite in integration*) ;; *) say "$suite" ;; esac
}

# The jobs of these suites, those of the first build first.
list_jobs() {
	local suite file
	for suite in "$@"; do
		case $suite in
		fault | container) ;; # by themselves, behind all others
		integration*)
			for file in tests/integration/test_*.py; do
				if runs_in "$suite" "$file"; then printf '%s %s\n' "$suite" "$file"; fi
			done >"$scratch/files"
			grep -E "$BIG_FILES" "$scratch/files" || true
			grep -vE "$BIG_FILES" "$scratch/files" || true
			;;
		*) printf '%s\n' "$suite" ;;
		esac
	done
}

# All these suites over a pool of jobs.
run_pool() {
	local suite
	list_jobs "$@" >"$scratch/jobs"
	export TIDEGATE_TEST_BROWSER=1
	(
		trap '' USR1 # until xargs takes it
		printf '%d\n' "$BASHPID" >"$scratch/pool"
		# shellcheck disable=SC2016 # the job's shell expands these
		exec xargs -r -a "$scratch/jobs" -P "$JOBS" -L 1 "$BASH" -uo pipefail -c 'run_job "$@"' _
	)
	for suite in "$@"; do
		case $suite in integration*) count "$suite" pytest "$results/$suite" ;; esac
	done
}

# A short set of faults; all of them in full size: tests/fault/run.sh. Its last line counts the figures.
run_fault() {
	local last
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
	tests/container/run.sh --junitxml="$results/container/container.xml" >"$results/container.log" 2>&1 ||
		tail -n 60 "$results/container.log" | sed 's/^/  | /'
	count container pytest "$results/container"
}

# --- the summary ------------------------------------------------------------------------------

# The seconds of all jobs of a suite, and from when to when they ran.
seconds_of() {
	awk -v name="$1" '
		$1 == name { sum += $3 - $2; if (!n++ || $2 < begin) begin = $2; if ($3 > end) end = $3 }
		END { if (n) printf "%5d s, %2d:%02d to %2d:%02d", sum, begin / 60, begin % 60, end / 60, end % 60; print "" }
	' "$scratch/seconds"
}

summary() {
	local suite folder passed failed skipped total_passed=0 total_failed=0
	say summary
	cat "$results"/figures-*.txt 2>/dev/null | sed 's/^/  /' || true
	cat "$results/failed.txt" 2>/dev/null || true
	for folder in "${folders[@]}"; do
		printf '  %-58s  ' "$folder"
		seconds_of "$folder"
	done
	for suite in "$@"; do
		passed=0 failed=0 skipped=0
		[ ! -e "$scratch/count-$suite" ] || read -r passed failed skipped <"$scratch/count-$suite"
		if [ $((passed + failed + skipped)) = 0 ]; then
			printf '  %s ran nothing\n' "$suite"
			failed=1
		fi
		printf '  %-20s %4d passed %4d failed %4d skipped  ' "$suite" "$passed" "$failed" "$skipped"
		seconds_of "$suite"
		total_passed=$((total_passed + passed))
		total_failed=$((total_failed + failed))
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

cleanup() {
	[ -z "$builder" ] || kill -TERM -- "-$builder" 2>/dev/null || true
	rm -rf "$scratch"
}

# The builds that these suites want, each once, in the order in which they are wanted.
list_folders() {
	local suite
	for suite in "$@"; do
		folder_of "$suite"
		[ "$suite" != fault ] || folder_of unit
	done | awk 'NF && !seen[$0]++'
}

# Hands all that jobs need on to their shells.
export_all() {
	export results scratch started PYTHON FILE_SECONDS FUZZ_SECONDS CLANG_FORMAT_MAJOR bold red plain
	export -f say took note count folder_of build_folder await_build run_job run_format run_lint lint_shell lint_python \
		lint_sources lint_tests run_fuzz run_unit run_file
}

main() {
	local suite
	parse "$@"
	results=$PWD/build-results
	rm -rf "$results"
	mkdir -p "$results"
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/tidegate-tests.XXXXXX")
	builder=
	trap cleanup EXIT
	deploy/deps.sh --test
	mapfile -t folders < <(list_folders "${suites[@]}")
	export_all
	case " ${suites[*]} " in *" integration"*) install_browser & ;; esac
	set -m # a process group of its own, so that cleanup() reaches the compilers too
	build_folders "${folders[@]}" &
	builder=$!
	set +m
	run_pool "${suites[@]}"
	wait "$builder"
	builder=
	# By themselves: the figures of the one are times, and the other fills the machine.
	for suite in fault container; do
		case " ${suites[*]} " in *" $suite "*) run_job "$suite" ;; esac
	done
	summary "${suites[@]}"
}

main "$@"
