#!/usr/bin/env bash
# Logs into replay files, beside pgreplay: `pgbench -c 16` with log_statement=all is logged as csvlog, simple and prepared, and
# `rehearse create-replay`, `pgreplay -f -c`, and `gzip -dc` for the compressed log take turns on it, three rounds. Prints
# medians, rates, peak memory, sizes and the ratios that matter. With LARGE, peak memory on a log of that many megabytes too.
# Usage: tests/bench/create_replay.sh [MEGABYTES OF LOG] [MEGABYTES OF THE LARGE LOG]
. "$(dirname "$0")/lib.sh"
megabytes=${1:-500}
large=${2:-0}
rounds=3

# per_second BYTES SECONDS, ratio A B
per_second() { python3 -c 'import sys; print(f"{float(sys.argv[1]) / float(sys.argv[2]) / 1e6:.0f}")' "$@"; }
ratio() { python3 -c 'import sys; print(f"{float(sys.argv[1]) / float(sys.argv[2]):.3f}")' "$@"; }
size_of() { stat -c %s "$1"; }

# record MODE: leaves $WORK/MODE.csv of at least that size.
record() {
	local log
	new_server "$1" "${LOGGED[@]}" "synchronous_commit = off" "log_filename = 'log'" "log_timezone = UTC"
	start_server "$1" -o "-c log_statement=none"
	bench "$1" -i -q -s 20 >/dev/null 2>&1
	stop_server "$1"
	rm -f "$WORK/$1"/log/*
	start_server "$1"
	log=$WORK/$1/log/log.csv
	while [ "$(size_of "$log")" -lt $((megabytes * 1000000)) ]; do
		bench "$1" -n -c 16 -j 2 -M "$1" -T $((megabytes < 200 ? 2 : 10)) >/dev/null 2>&1
	done
	stop_server "$1"
	mv "$log" "$WORK/$1.csv"
	rm -rf "${WORK:?}/$1"
}

compare() {
	local mode=$1 log=$WORK/$1.csv round
	local ours=() theirs=() gz=() plain_gz=() cpu=() memory=0
	gzip -k1 "$log"
	for ((round = 0; round < rounds; round++)); do
		measured pgreplay -f -c -o "$WORK/$mode.pgreplay" "$log"
		theirs+=("$REAL")
		measured "$REHEARSE" create-replay "$log" -o "$WORK/$mode.replay" -q
		ours+=("$REAL")
		cpu+=("$CPU")
		memory=$(python3 -c "print(max($memory, $RSS))")
		measured gzip -dc "$log.gz"
		plain_gz+=("$REAL")
		measured "$REHEARSE" create-replay "$log.gz" -o "$WORK/$mode.gz.replay" -q
		gz+=("$REAL")
	done
	local bytes a b c d
	bytes=$(size_of "$log")
	a=$(median "${ours[@]}") b=$(median "${theirs[@]}") c=$(median "${gz[@]}") d=$(median "${plain_gz[@]}")
	echo "$mode: log of $((bytes / 1000000)) MB, $(wc -l <"$log") lines; medians of $rounds rounds in turn"
	echo "  create-replay      $a s ($(per_second "$bytes" "$a") MB/s; CPU $(median "${cpu[@]}") s); all: ${ours[*]}"
	echo "  pgreplay -f -c     $b s ($(per_second "$bytes" "$b") MB/s); all: ${theirs[*]}"
	echo "  ratio              $(ratio "$a" "$b") (wanted: at most 0.100)"
	echo "  create-replay, gz  $c s; gzip -dc $d s; ratio $(ratio "$c" "$d") (wanted: at most 1.200)"
	echo "  peak memory        $memory MB (wanted: at most 128)"
	echo "  replay file        $(size_of "$WORK/$mode.replay") bytes, pgreplay's $(size_of "$WORK/$mode.pgreplay");" \
		"ratio $(ratio "$(size_of "$WORK/$mode.replay")" "$(size_of "$WORK/$mode.pgreplay")") (wanted: at most 0.333)"
	rm -f "$WORK/$mode".*replay "$log.gz"
}

# The log once more for each further day, with session ids of their own, through a pipe.
many_days() {
	local day prefix copies i
	day=$(head -c 10 "$1")
	prefix=$(head -1 "$1" | grep -oE ',[0-9a-f]{8}\.[0-9a-f]+,' | head -1 | cut -c2-5)
	copies=$((large * 1000000 / $(size_of "$1")))
	for ((i = 0; i < copies; i++)); do
		sed -e "s/^$day/$(date -u -d "$day + $i days" +%F)/" \
			-e "s/,$prefix\([0-9a-f]\{4\}\.\)/,$(printf '%04x' $((16#$prefix + i)))\1/" "$1"
	done
}

machine
for mode in simple prepared; do
	record "$mode"
	compare "$mode"
done
if [ "$large" -gt 0 ]; then
	many_days "$WORK/simple.csv" |
		python3 -c '
import json, resource, subprocess, sys
out = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True).stdout
counts = json.loads(out)
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
size, records, seconds = counts["log_bytes"] / 1e6, counts["log_records"], counts["elapsed_s"]
print(f"large: {size:.0f} MB, {records} records in {seconds:.1f} s; peak memory {memory:.1f} MB (wanted: at most 128)")
' "$REHEARSE" create-replay - -o "$WORK/large.replay" -q --json
fi
