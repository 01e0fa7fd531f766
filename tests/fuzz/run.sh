#!/bin/sh
# Fuzzes every parser for SECONDS each (default 60) with libFuzzer under the sanitizers: tests/fuzz/run.sh [SECONDS]
#
# What is found stays in the build folder, as does the grown corpus; a crash ends the run and prints its input's path.
# Worth keeping: copy it to tests/fuzz/corpus/, so that every build replays it.
set -eu
cd "$(dirname "$0")/../.."
seconds=${1:-60}
build=${TIDEGATE_FUZZ_BUILD:-build/fuzz}
mkdir -p "$build"

for name in json command message request_head; do
	clang -std=gnu11 -D_GNU_SOURCE -g -O1 -fno-strict-aliasing -fno-sanitize-recover=all \
		-fsanitize=fuzzer,address,undefined -Iinclude -Isrc \
		"tests/fuzz/fuzz_$name.c" src/core/*.c src/http/*.c src/protocol/*.c -lpthread -o "$build/fuzz_$name"
	mkdir -p "$build/corpus_$name"
	"$build/fuzz_$name" -max_total_time="$seconds" -max_len=4096 -timeout=5 -print_final_stats=1 \
		-dict=tests/fuzz/json.dict -artifact_prefix="$build/crash_${name}_" \
		"$build/corpus_$name" "tests/fuzz/corpus/$name"
done
