#!/usr/bin/env bash
#
# Measures a gateway against the limit: the same load on a server that does nothing but send, in the same run.
#
# And against the gateway that was measured here before, by pairs, so that a loss is seen in the commit that makes it.
#
# Promises: a Redis and gateways of its own, on free ports, stopped at the end whatever happens; the gateway pinned
# to one CPU and everything else to another; each scenario's runs interleaved with those of the limit, so that
# a busy minute hits all of them; the medians in a table. Ends with 0 only if every run was clean: nothing
# lost, doubled or reordered.
# Refuses: to measure with fewer than two CPUs.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly PYTHON=/usr/bin/python3 # Debian's; standard library only
readonly ALL_SCENARIOS=(fanout64 fanout256 single channels moderate open9000 open18000 slow)

usage() {
	cat <<TEXT
Usage: tests/bench/run.sh [--quick] [--scenario NAME]... [--repeat N] [--before BINARY] [--tls] [--help]

  --quick          short runs, each once: shows that it works, not how fast it is
  --scenario NAME  only this one; may be repeated
  --repeat N       interleaved repetitions; default 3
  --before BINARY  an older gateway, measured in turn with this one: its row says what a change cost. Default: the
                   last other one that was measured here, which is kept in build-results; none: this one alone
  --strict         ends with 1 if this one is slower than the one before
  --all-on         the same gateway with history, tokens, actions and event streams on its routes, measured in turn: the
                   row all-on says what that costs those who use none of it; the row used, what it costs those whose
                   events come through the channels' logs and have positions. Both show tokens
  --tls            the same gateway with TLS, measured in turn: its row says what TLS costs (P-256, TLS 1.3)
  --help           this page

Scenarios:
  fanout64    64 events in flight, 1,000 clients of one channel
  fanout256   256 in flight
  single      one event at a time, 1,000 clients
  channels    5,000 channels, one client each, 64 in flight
  moderate    20 events/s to 1,000 clients: latency
  open9000    connections opened per second, and memory of each; nothing is published
  open18000   twice as many: cost per connection must not grow
  slow        1,000 clients, of whom 100 never read, beside a run without those; 8 KiB events, 50/s

Environment:
  TIDEGATE_BIN         the gateway's binary; default build/tidegate
  BENCH_BIN            the binary whose "bench" measures; default the same
  BENCH_SERVE_ARGS     further words for its serve, such as an option to be compared
  BENCH_RESULTS        where figures and gateways are kept; default build-results
  BENCH_SERVER_CPU     default 0
  BENCH_CLIENT_CPU     default 1; Redis, too

The lines that the table is made of stay in build-results/bench.jsonl. A gateway is slower where a delivery costs more
CPU, or fewer arrive in a second, by 3 % in the median of the pairs and in three quarters of them; --repeat 7 or more
tells that apart from neighbours.
TEXT
}

die() {
	printf 'bench: %s\n' "$*" >&2
	exit 1
}

repeat=3 seconds=5 warmup=1 scenarios=() before='' tls='' strict='' all_on=''
while [ $# -gt 0 ]; do
	case $1 in
	--quick) repeat=1 seconds=1 warmup=0.3 ;;
	--repeat) repeat=${2:-} && shift ;;
	--scenario) scenarios+=("${2:-}") && shift ;;
	--before) before=${2:-/} && shift ;;
	--all-on) all_on=1 ;;
	--strict) strict=--strict ;;
	--tls) tls=1 ;;
	--help) usage && exit 0 ;;
	*) printf 'bench: unknown option %s (try --help)\n' "$1" >&2 && exit 2 ;;
	esac
	shift
done
[[ $repeat =~ ^[1-9][0-9]*$ ]] || { echo "bench: --repeat takes a number" >&2; exit 2; }
[ -z "$before" ] || [ "$before" = none ] || { [ -f "$before" ] && [ -x "$before" ]; } || { echo "bench: --before takes a gateway's binary" >&2; exit 2; }
[ ${#scenarios[@]} -gt 0 ] || scenarios=("${ALL_SCENARIOS[@]}")
for scenario in "${scenarios[@]}"; do
	[[ " ${ALL_SCENARIOS[*]} " == *" $scenario "* ]] || { echo "bench: no scenario '$scenario'" >&2; exit 2; }
done

readonly bin=${TIDEGATE_BIN:-build/tidegate}
export -n TIDEGATE_BIN # ours; the gateway refuses variables of its prefix that it does not know
readonly bench_bin=${BENCH_BIN:-$bin}
readonly server_cpu=${BENCH_SERVER_CPU:-0} client_cpu=${BENCH_CLIENT_CPU:-1}
[ -x "$bin" ] || die "there is no $bin: build it, or name it in TIDEGATE_BIN"
"$bench_bin" bench --help >/dev/null || die "$bench_bin has no bench"
command -v redis-server >/dev/null || die "redis-server is missing (deploy/deps.sh installs it)"
if [ "$server_cpu" = "$client_cpu" ] || ! taskset -c "$server_cpu" true || ! taskset -c "$client_cpu" true; then
	die "two CPUs are needed, $server_cpu and $client_cpu (BENCH_SERVER_CPU, BENCH_CLIENT_CPU)"
fi
ulimit -n "$(ulimit -Hn)"

work=$(mktemp -d)
redis_pid='' gateway_pid=''
# shellcheck disable=SC2317 # the trap calls it
cleanup() {
	[ -z "$gateway_pid" ] || kill "$gateway_pid" 2>/dev/null || true
	[ -z "$redis_pid" ] || kill "$redis_pid" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

readonly kept=${BENCH_RESULTS:-build-results}
mkdir -p "$kept"
readonly results=$kept/bench.jsonl
: >"$results"

# The last two gateways that were measured here: so the same one, measured again, is compared with the same other.
choose_before() {
	local other
	[ "$before" != none ] || { before='' && return; }
	for other in "$kept/bench-last" "$kept/bench-older"; do
		[ -z "$before" ] || return 0
		if [ -x "$other" ] && ! cmp -s "$other" "$bin"; then before=$other; fi
	done
}

keep_for_next() {
	cmp -s "$kept/bench-last" "$bin" && return
	[ ! -x "$kept/bench-last" ] || mv "$kept/bench-last" "$kept/bench-older"
	cp "$bin" "$kept/bench-last.new" && mv "$kept/bench-last.new" "$kept/bench-last"
}

# Ports that are free now. Somebody may take one before we do; then the start fails, and says so.
free_ports() {
	"$PYTHON" - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])
PY
}

# wait_for_port PORT PID
wait_for_port() {
	for _ in $(seq 100); do
		(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
		kill -0 "$2" 2>/dev/null || return 1
		sleep 0.1
	done
	return 1
}

start_redis() {
	taskset -c "$client_cpu" redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --dir "$work" \
		--logfile "$work/redis.log" >/dev/null &
	redis_pid=$!
	wait_for_port "$redis_port" "$redis_pid" || die "Redis does not start: $(tail -n 3 "$work/redis.log")"
}

# A fresh one for every run: memory that the last one left behind would count for the next.
# start_gateway BINARY WORDS...
start_gateway() {
	local binary=$1
	shift
	read -r public_port admin_port < <(free_ports 2)
	# shellcheck disable=SC2086 # BENCH_SERVE_ARGS is several words
	taskset -c "$server_cpu" "$binary" serve --listen "127.0.0.1:$public_port" --admin "127.0.0.1:$admin_port" \
		--redis "redis://127.0.0.1:$redis_port" --workers 1 --log-level warn ${BENCH_SERVE_ARGS:-} "$@" \
		>"$work/gateway.log" 2>&1 &
	gateway_pid=$!
	wait_for_port "$public_port" "$gateway_pid" || die "the gateway does not start: $(tail -n 3 "$work/gateway.log")"
}

# Its thousands of connections are gone: there is nobody to say goodbye to.
stop_gateway() {
	kill "$gateway_pid"
	wait "$gateway_pid" || true
	gateway_pid=''
}

unclean=0
# record SCENARIO TARGET WORDS...: one run of the bench, its JSON line kept with its names.
record() {
	local scenario=$1 target=$2 line status=0
	shift 2
	line=$("$bench_bin" bench --json --client-cpu "$client_cpu" "$@" | tail -n 1) || status=1
	if [ "$status" != 0 ] || [ -z "$line" ]; then
		unclean=1
		printf 'bench: %s, %s: failed or not clean: %s\n' "$scenario" "$target" "${line:-no figures}" >&2
	fi
	[ -z "$line" ] || printf '{"scenario":"%s","run":"%s","figures":%s}\n' "$scenario" "$target" "$line" >>"$results"
	printf '.' >&2
}

# against_gateway BINARY SCENARIO TARGET WORDS...
against_gateway() {
	local binary=$1 scenario=$2 target=$3
	shift 3
	start_gateway "$binary"
	record "$scenario" "$target" --url "ws://127.0.0.1:$public_port" --redis "redis://127.0.0.1:$redis_port" \
		--server-pid "$gateway_pid" "$@"
	stop_gateway
}

make_certificate() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=bench \
		-keyout "$work/tls.key" -out "$work/tls.pem" 2>/dev/null || die "openssl makes no certificate"
}

# against_tls SCENARIO WORDS...
against_tls() {
	local scenario=$1
	shift
	start_gateway "$bin" --tls-certificate "$work/tls.pem" --tls-key "$work/tls.key"
	record "$scenario" tls --url "wss://127.0.0.1:$public_port" --redis "redis://127.0.0.1:$redis_port" \
		--server-pid "$gateway_pid" "$@"
	stop_gateway
}

# What routes may have, for the two kinds of channels that the scenarios use. Each client shows a token.
make_all_on() {
	cat >"$work/all-on.yaml" <<YAML
token_secret: only-for-a-benchmark-on-loopback-0123456789
routes:
  - &all {path: "/ws/execution/{id}", channel: "execution:{id}", access: token, history: on, actions: bench, sse: on}
  - {<<: *all, path: "/ws/items/{id}", channel: "items:{id}"}
YAML
	"$bin" token --config "$work/all-on.yaml" --user bench --channels 'execution:*,items:*' >"$work/token" ||
		die "there is no token to be had"
}

# against_all_on SCENARIO TARGET WORDS...
against_all_on() {
	local scenario=$1 target=$2
	shift 2
	start_gateway "$bin" --config "$work/all-on.yaml"
	record "$scenario" "$target" --url "ws://127.0.0.1:$public_port" --redis "redis://127.0.0.1:$redis_port" \
		--server-pid "$gateway_pid" --token "$work/token" "$@"
	stop_gateway
}

# The gateways by turns, so that neither always comes first.
against_gateways() {
	local scenario=$1
	shift
	if [ -n "$before" ] && [ $((repetition % 2)) = 0 ]; then against_gateway "$before" "$scenario" before "$@"; fi
	against_gateway "$bin" "$scenario" gateway "$@"
	if [ -n "$before" ] && [ $((repetition % 2)) = 1 ]; then against_gateway "$before" "$scenario" before "$@"; fi
	if [ -n "$all_on" ]; then against_all_on "$scenario" all-on "$@"; fi
	if [ -n "$all_on" ] && [[ $scenario != open* ]]; then against_all_on "$scenario" used --history "$@"; fi
	if [ -n "$tls" ]; then against_tls "$scenario" "$@"; fi
}

against_limit() {
	local scenario=$1 variant=$2
	shift 2
	record "$scenario" "limit-$variant" --limit "$variant" --limit-cpu "$server_cpu" "$@"
}

# load WORDS…: what all scenarios but the opening ones have in common.
load() {
	printf '%s\n' --warmup "$warmup" --duration "$seconds" "$@"
}

run_scenario() {
	local scenario=$1 words
	case $scenario in
	fanout64) mapfile -t words < <(load --window 64) ;;
	fanout256) mapfile -t words < <(load --window 256) ;;
	single) mapfile -t words < <(load --window 1) ;;
	channels)
		mapfile -t words < <(load --window 64 --connections 5000 --channels 5000 --path '/ws/items/{n}' \
			--channel 'items:{n}')
		;;
	moderate) mapfile -t words < <(load --rate 20) ;;
	open9000) words=(--open-only --connections 9000) ;;
	open18000) words=(--open-only --connections 18000 --sources 2) ;;
	slow) mapfile -t words < <(load --rate 50 --payload 8192 --duration $((seconds * 3))) ;;
	esac
	if [ "$scenario" = slow ]; then
		against_gateways slow --connections 1000 --slow 100 "${words[@]}"
		against_gateway "$bin" slow without-slow --connections 900 "${words[@]}"
		return
	fi
	against_gateways "$scenario" "${words[@]}"
	against_limit "$scenario" each "${words[@]}"
	[[ $scenario == open* ]] || against_limit "$scenario" coalesced "${words[@]}"
	if [ "$scenario" = single ] && [ -n "$has_uring" ]; then against_limit single uring "${words[@]}"; fi
}

has_uring=''
if "$bench_bin" bench --json --limit uring --connections 20 --warmup 0 --duration 0.1 >/dev/null 2>&1; then has_uring=1; fi
choose_before
[ -z "$before" ] || printf 'before: %s, %s\n' "$before" "$("$before" --version | head -n 1)" >&2
read -r redis_port < <(free_ports 1)
start_redis
if [ -n "$tls" ]; then make_certificate; fi
if [ -n "$all_on" ]; then make_all_on; fi
for repetition in $(seq "$repeat"); do
	printf 'run %s of %s ' "$repetition" "$repeat" >&2
	for scenario in "${scenarios[@]}"; do
		run_scenario "$scenario"
	done
	printf '\n' >&2
done
# shellcheck disable=SC2086 # a word or none
"$PYTHON" tests/bench/table.py $strict "$results" || unclean=1
if [ -n "$before" ] && [ "$unclean" != 0 ]; then exit 1; fi # it is to be compared with the same one again
keep_for_next
exit "$unclean"
