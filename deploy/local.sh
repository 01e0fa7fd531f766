#!/usr/bin/env bash
#
# The whole thing on one machine: a Redis, two gateways, a board in the browser with its worker, and one screen that says
# where to look and what to type.
#
# Promises: installs and builds what is missing; everything that it started ends with it, by Ctrl-C or otherwise. A gateway
# that was killed, as the board's page can, and a Redis that has ended come back after some seconds, the Redis with its data.
# Refuses: to touch a Redis that it did not start, unless it is told its address.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly START_SECONDS=15
readonly GATEWAYS=(1 2)
readonly KILLED=137     # the code of a process that SIGKILL ended
readonly AWAY_SECONDS=3       # so long a gateway stays away
readonly REDIS_AWAY_SECONDS=6 # and the Redis: clients are told after 3

pids=() names=()   # what was started, in order
given=() notes=()  # ports that were handed out, and what there is to say about them
ports=() admins=() # of the gateways
folder=            # logs, and the Redis' working folder

usage() {
	cat <<TEXT
Usage: deploy/local.sh [--redis URL]

Installs packages (as root), builds, starts a Redis, two gateways and the worker of a demonstration, and says where that is
and what to type to see an event that is published in Redis arrive on both gateways. Ctrl-C stops all that it started.

  --redis URL   use this Redis (redis://[user:password@]host[:port][/db]) and start none
  --help        this page

The gateways listen on 127.0.0.1:8081 and 8082, their admin ports are 9081 and 9082, and the Redis is on 6390: or on
the next free port, where one of these is taken.
TEXT
}

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
	bold=$'\e[1m' plain=$'\e[0m'
else
	bold='' plain=''
fi

die() {
	printf 'local: %s\n' "$*" >&2
	exit 1
}

# --- ports ------------------------------------------------------------------------------------

# Somebody answers there. No tool is needed for it: a minimal Debian has neither ss nor curl.
taken() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# The first free port from this one on, none that was given before.
free_port() {
	local port=$1
	while taken "$port" || [[ " ${given[*]} " == *" $port "* ]]; do
		port=$((port + 1))
	done
	[ "$port" = "$1" ] || notes+=("port $1 is taken, so it is $port")
	given+=("$port")
	found=$port
}

# GET /ready says 200 on this admin port.
ready() {
	(
		exec 3<>"/dev/tcp/127.0.0.1/$1"
		printf 'GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
		read -r -t 2 line <&3
		[[ $line == *' 200 '* ]]
	) 2>/dev/null
}

# --- processes --------------------------------------------------------------------------------

# A session of its own, so that Ctrl-C reaches this script alone and it ends the others in order; and should the script
# itself be killed, the kernel ends them.
start() {
	local name=$1
	shift
	setsid setpriv --pdeathsig TERM "$@" >"$folder/$name.log" 2>&1 </dev/null &
	pids+=("$!")
	names+=("$name")
}

# wait_for NAME COMMAND…: until the command succeeds, while the process that was started last lives.
wait_for() {
	local name=$1 until=$((SECONDS + START_SECONDS))
	shift
	until "$@"; do
		kill -0 "${pids[-1]}" 2>/dev/null || failed "$name ended"
		[ "$SECONDS" -lt "$until" ] || failed "$name is not ready after $START_SECONDS s"
		sleep 0.1
	done
}

failed() {
	tail -n 10 "$folder"/*.log >&2
	die "$1"
}

stop_all() {
	local i name
	trap '' INT TERM HUP
	for name in worker gateway-2 gateway-1 redis; do # each before what it stands on
		for i in "${!pids[@]}"; do
			[ "${names[$i]}" = "$name" ] || continue
			kill "${pids[$i]}" 2>/dev/null || true
			wait "${pids[$i]}" 2>/dev/null || true
		done
	done
	rm -rf "$folder"
}

redis_answers() {
	[ "$(redis-cli -p "$redis_port" ping 2>/dev/null)" = PONG ]
}

# With a log, so that it comes back with its data.
run_redis() {
	start redis redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly yes --dir "$folder"
	wait_for redis redis_answers
}

start_redis() {
	free_port 6390
	redis_port=$found
	redis=redis://127.0.0.1:$redis_port
	redis_cli="redis-cli -p $redis_port"
	run_redis
}

# run_gateway N: on the ports that it was given.
run_gateway() {
	# A gateway refuses variables of its prefix that it does not know, and these two are deploy/deps.sh's.
	start "gateway-$1" env -u TIDEGATE_CACHE -u TIDEGATE_DEPS_SOURCES build/tidegate serve --config deploy/demo/tidegate.yaml \
		--listen "127.0.0.1:${ports[$1 - 1]}" --admin "127.0.0.1:${admins[$1 - 1]}" --redis "$redis"
	printf '%s\n' "${ports[$1 - 1]} ${admins[$1 - 1]} ${pids[-1]}" >"$folder/gateway-$1.new"
	mv "$folder/gateway-$1.new" "$folder/gateways/$1" # the worker never reads half of it
}

start_gateway() {
	free_port $((8080 + $1))
	ports+=("$found")
	free_port $((9080 + $1))
	admins+=("$found")
	run_gateway "$1"
	wait_for "gateway-$1" ready "${admins[$1 - 1]}"
}

# Of the packages that --demo brings; with a Redis of somebody else's they may not be there.
start_worker() {
	if ! /usr/bin/python3 -c 'import redis' 2>/dev/null; then
		notes+=("without python3-redis no worker runs, and the board at /demo stays empty")
		return
	fi
	start worker env REDIS_URL="$redis" TIDEGATE_DEMO_GATEWAYS="$folder/gateways" PYTHONPATH=src/clients/python PYTHONDONTWRITEBYTECODE=1 \
		/usr/bin/python3 deploy/demo/worker.py
}

# --- the screen -------------------------------------------------------------------------------

screen() {
	cat <<TEXT

${bold}Two gateways and a Redis are running.${plain}  Ctrl-C stops what was started here.
$([ "${#notes[@]}" = 0 ] || printf '  %s\n' "${notes[@]}")
  ${bold}the board   http://127.0.0.1:${ports[0]}/demo   http://127.0.0.1:${ports[1]}/demo${plain}   open it twice

  gateway 1   ws://127.0.0.1:${ports[0]}/ws/cards     admin http://127.0.0.1:${admins[0]}/
  gateway 2   ws://127.0.0.1:${ports[1]}/ws/cards     admin http://127.0.0.1:${admins[1]}/
  Redis       $shown
  logs        $folder

${bold}1. Listen${plain}, on each gateway, in terminals of their own:
     build/tidegate tail --admin 127.0.0.1:${admins[0]} cards
     build/tidegate tail --admin 127.0.0.1:${admins[1]} cards
   or in a browser, http://127.0.0.1:${admins[0]}/try; in that page's console, too:
     new WebSocket("ws://127.0.0.1:${ports[0]}/ws/cards").onmessage = e => console.log(1, e.data)
     new WebSocket("ws://127.0.0.1:${ports[1]}/ws/cards").onmessage = e => console.log(2, e.data)

${bold}2. Publish${plain} once; it arrives on both:
     $redis_cli PUBLISH cards '{"type":"card_updated","data":{"id":"card-123"}}'
   or without a Redis client:
     build/tidegate publish --admin 127.0.0.1:${admins[0]} cards '{"type":"card_updated","data":{"id":"card-123"}}'

${bold}3. Look${plain} at them in a browser, http://127.0.0.1:${admins[0]}/, or:
     build/tidegate status --admin 127.0.0.1:${admins[0]}
     curl http://127.0.0.1:${admins[0]}/ready
     curl http://127.0.0.1:${admins[1]}/metrics

TEXT
}

# --- the end, of one or of all ----------------------------------------------------------------

# Says which process it was: the place in `pids`.
place_of() {
	local i
	for i in "${!pids[@]}"; do
		[ "${pids[$i]}" != "$1" ] || printf '%s' "$i"
	done
}

# Until one ends that should not have. The worker may be stopped: the board shows what that looks like.
watch() {
	local ended code place name seconds
	while :; do
		code=0
		{ wait -n -p ended "${pids[@]}" || code=$?; } 2> /dev/null # where bash says "Killed", we say more below
		place=$(place_of "$ended")
		name=${names[$place]}
		case $name:$code in
		gateway-*:"$KILLED" | worker:0 | worker:"$KILLED" | redis:*) ;;
		*) failed "$name has ended; stopping the others" ;;
		esac
		unset "pids[$place]" "names[$place]"
		pids=("${pids[@]}") names=("${names[@]}")
		if [ "$name" = worker ]; then
			printf 'local: the worker was stopped; the board stands still\n'
			continue
		fi
		seconds=$AWAY_SECONDS
		[ "$name" != redis ] || seconds=$REDIS_AWAY_SECONDS
		printf 'local: %s has ended, and comes back in %s s\n' "$name" "$seconds"
		sleep "$seconds" &
		wait $! # which, other than sleep itself, lets Ctrl-C through at once
		case $name in
		redis) run_redis ;;
		*) run_gateway "${name#gateway-}" ;; # not waited for: its Redis may be away, which has to be brought back here
		esac
	done
}

# --- the command ------------------------------------------------------------------------------

refuse() {
	printf 'local: %s\n' "$1" >&2
	exit 2
}

parse() {
	redis=''
	while [ $# -gt 0 ]; do
		case $1 in
		--redis)
			[ -n "${2:-}" ] || refuse "--redis wants a URL"
			redis=$2
			shift
			;;
		--help | -h)
			usage
			exit 0
			;;
		*) refuse "unknown option $1; deploy/local.sh --help lists them" ;;
		esac
		shift
	done
}

main() {
	local found redis_port redis_cli shown i
	parse "$@"
	if [ -n "$redis" ]; then
		deploy/deps.sh
		case $redis in
		unix:*) redis_cli="redis-cli -s ${redis#unix://}" ;;
		*) redis_cli="redis-cli -u $redis" ;;
		esac
		shown="${redis##*@} (yours: not started here, not stopped here)"
	else
		deploy/deps.sh --demo
	fi
	printf 'local: building\n' >&2
	deploy/build.sh build
	folder=$(mktemp -d "${TMPDIR:-/tmp}/tidegate-local.XXXXXX")
	trap stop_all EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	if [ -z "$redis" ]; then
		start_redis
		shown="127.0.0.1:$redis_port (of this demonstration alone)"
	fi
	mkdir "$folder/gateways"
	for i in "${GATEWAYS[@]}"; do
		start_gateway "$i"
	done
	start_worker
	screen
	watch
}

main "$@"
