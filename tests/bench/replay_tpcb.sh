#!/usr/bin/env bash
# The log of `pgbench -c 16` (TPC-B), at its original speed and as fast as the servers answer, on two lanes at once: to its end,
# with every item accounted for. Usage: tests/bench/replay_tpcb.sh [SECONDS OF TRAFFIC]
. "$(dirname "$0")/lib.sh"
seconds=${1:-4}

new_server source "${LOGGED[@]}"
start_server source
bench source -i -q -s 5 >/dev/null 2>&1
stop_server source
rm -f "$WORK"/source/log/*
copy_server source recorded
start_server recorded
bench recorded -n -c 16 -j 2 -M prepared -T "$seconds" >/dev/null 2>&1
stop_server recorded
"$REHEARSE" create-replay "$WORK"/recorded/log/*.csv -o "$WORK/tpcb.replay" -q >/dev/null
machine
for speed in 1 max; do
	for lane in baseline migrating; do
		copy_server source "$lane-$speed" "log_statement = none" "log_connections = off" "log_disconnections = off"
		start_server "$lane-$speed"
	done
	"$REHEARSE" run-pgreplay "$WORK/tpcb.replay" --speed "$speed" --baseline "$(url_of "baseline-$speed")" \
		--migrating "$(url_of "migrating-$speed")" -o "$WORK/run" --replace -q >/dev/null
	python3 - "$WORK/run/run.json" "$speed" <<'PY'
import json, sys
run = json.load(open(sys.argv[1]))
for name, lane in run["lanes"].items():
    balanced = (lane["items_sent"] + lane["items_skipped"] == run["replay_file"]["items"] and
                lane["items_ok"] + lane["items_error"] == lane["items_sent"])
    print(f"speed {sys.argv[2]}, {name}: {run['replay_file']['items']} items, {lane['items_sent']} sent, {lane['items_error']} errors, "
          f"{lane['items_skipped']} skipped, {lane['statements_per_s']:.0f} statements/s, counts {'balance' if balanced else 'DO NOT BALANCE'}")
PY
done
