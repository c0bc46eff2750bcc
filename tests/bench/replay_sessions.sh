#!/usr/bin/env bash
# Many sessions: 2,000 a lane on two real servers at once, then five times as many against the null driver, and how many
# statements a second the harness alone can do. Usage: tests/bench/replay_sessions.sh [SESSIONS] [SECONDS]
. "$(dirname "$0")/lib.sh"
sessions=${1:-2000}
seconds=${2:-20}
ulimit -n "$(ulimit -Hn)"

limits=("max_connections = $((sessions + 50))" "superuser_reserved_connections = 3")
new_server source "${LOGGED[@]}" "${limits[@]}"
start_server source
bench source -i -q -s 5 >/dev/null 2>&1
stop_server source
rm -f "$WORK"/source/log/*
for lane in baseline migrating; do
	copy_server source "$lane" "log_statement = none" "log_connections = off" "log_disconnections = off"
done
start_server source
bench source -n -S -M simple -c "$sessions" -j 2 -R 1000 -T "$seconds" >/dev/null 2>&1
stop_server source
"$REHEARSE" create-replay "$WORK"/source/log/*.csv -o "$WORK/many.replay" -q >/dev/null
start_server baseline
start_server migrating
machine
timed "$REHEARSE" run-pgreplay "$WORK/many.replay" --baseline "$(url_of baseline)" --migrating "$(url_of migrating)" \
	-o "$WORK/run" --replace
describe() {
	python3 - "$WORK/run/run.json" "$1" <<'PY'
import json, sys
run = json.load(open(sys.argv[1]))
for name, lane in run["lanes"].items():
    print(f"{sys.argv[2]}, {name}: {lane['sessions']} sessions ({run['replay_file']['max_open_sessions']} at once), "
          f"{lane['items_sent']} sent, {lane['items_error']} errors, {lane['items_skipped']} skipped, "
          f"{lane['statements_per_s']:.0f} statements/s, lag p99 {lane['lag_ms']['p99']:.3f} ms, CPU {lane['cpu_s']:.2f} s, "
          f"process peak {lane['max_rss_bytes'] / 1e6:.1f} MB")
PY
}
describe "real servers"
real_rss=$(json "$WORK/run/run.json" lanes baseline max_rss_bytes)
stop_server baseline
stop_server migrating
"$REHEARSE" run-pgreplay "$WORK/many.replay" --max-sessions 1 --baseline null: -o "$WORK/run" --replace >/dev/null 2>&1
base_rss=$(json "$WORK/run/run.json" lanes baseline max_rss_bytes)
echo "memory a session: $(((real_rss - base_rss) / (2 * sessions))) bytes (peak with $((2 * sessions)) sessions less peak with one, libpq's buffers included)"
"$REHEARSE" run-pgreplay "$WORK/many.replay" --amplify 5 --baseline null: -o "$WORK/run" --replace >/dev/null 2>&1
describe "null driver, five times"
"$REHEARSE" run-pgreplay "$WORK/many.replay" --speed max --amplify 9 --baseline null: -o "$WORK/run" --replace >/dev/null 2>&1
describe "null driver, the harness's ceiling"
