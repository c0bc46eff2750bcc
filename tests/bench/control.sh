#!/usr/bin/env bash
# The control experiment: no migration at all, N times over, on the log of `pgbench -c 16`, simple and prepared in turn. Each
# must come out clear. Usage: tests/bench/control.sh [N] [SECONDS OF TRAFFIC]
. "$(dirname "$0")/lib.sh"
times=${1:-5}
seconds=${2:-6}

new_server source "${LOGGED[@]}"
start_server source
bench source -i -q -s 10 >/dev/null 2>&1
stop_server source
rm -f "$WORK"/source/log/*
for mode in simple prepared; do
	copy_server source "$mode"
	start_server "$mode"
	bench "$mode" -n -c 16 -j 2 -M "$mode" -T "$seconds" >/dev/null 2>&1
	stop_server "$mode"
	"$REHEARSE" create-replay "$WORK/$mode"/log/*.csv -o "$WORK/$mode.replay" -q >/dev/null
done
machine
declare -A outcomes=()
for ((i = 0; i < times; i++)); do
	mode=$([ $((i % 2)) = 0 ] && echo simple || echo prepared)
	rc=0
	"$REHEARSE" test-migration --replay "$WORK/$mode.replay" --source "$WORK/source" --clone-folder "$WORK" \
		-o "$WORK/run" --replace -q >"$WORK/out" 2>&1 || rc=$?
	word=$(json "$WORK/run/verdict.json" outcome)
	outcomes[$word]=$((${outcomes[$word]:-0} + 1))
	python3 - "$WORK/run" "$mode" "$rc" <<'PY'
import json, sys
run = json.load(open(sys.argv[1] + "/run.json"))
verdict = json.load(open(sys.argv[1] + "/verdict.json"))
lanes = run["lanes"].values()
balanced = all(l["items_sent"] + l["items_skipped"] == run["replay_file"]["items"] and
               l["items_ok"] + l["items_error"] == l["items_sent"] for l in lanes)
print(f"{sys.argv[2]:8} exit {sys.argv[3]} {verdict['outcome']:12} {run['replay_file']['items']} items, "
      f"errors {[l['items_error'] for l in lanes]}, skipped {[l['items_skipped'] for l in lanes]}, "
      f"counts {'balance' if balanced else 'DO NOT BALANCE'}, fidelity {verdict['fidelity']['grade']}")
PY
done
for word in "${!outcomes[@]}"; do
	echo "$word: ${outcomes[$word]} of $times"
done
