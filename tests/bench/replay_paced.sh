#!/usr/bin/env bash
# A steady load on both lanes at once: how exactly each statement is sent at its time, by our own measure and by the
# servers' logs. Usage: tests/bench/replay_paced.sh [STATEMENTS PER SECOND] [SECONDS]
. "$(dirname "$0")/lib.sh"
rate=${1:-2000}
seconds=${2:-60}

new_server source "${LOGGED[@]}"
start_server source
bench source -i -q -s 10 >/dev/null 2>&1
stop_server source
rm -f "$WORK"/source/log/*
for lane in baseline migrating; do
	copy_server source "$lane"
done
start_server source
bench source -n -S -M prepared -c 32 -j 2 -R "$rate" -T "$seconds" >/dev/null 2>&1
stop_server source
"$REHEARSE" create-replay "$WORK"/source/log/*.csv -o "$WORK/paced.replay" -q >/dev/null
start_server baseline
start_server migrating
machine
echo "$rate statements/s for $seconds s on both lanes at once"
timed "$REHEARSE" run-pgreplay "$WORK/paced.replay" --baseline "$(url_of baseline)" --migrating "$(url_of migrating)" \
	-o "$WORK/run" --replace
stop_server baseline
stop_server migrating
python3 - "$WORK/run/run.json" "$REAL" "$USER_S" "$SYS_S" <<'PY'
import json, sys
run = json.load(open(sys.argv[1]))
real, user, system = map(float, sys.argv[2:])
for name, lane in run["lanes"].items():
    lag = lane["lag_ms"]
    print(f"{name}: {lane['items_sent']} sent, {lane['items_error']} errors, {lane['statements_per_s']:.0f} statements/s; "
          f"lag p50 {lag['p50']:.3f} p99 {lag['p99']:.3f} p99.9 {lag['p999']:.3f} max {lag['max']:.3f} ms "
          f"(wanted p99 <= 1, p99.9 <= 10); within 1 ms {lane['lag_within']['1ms']:.5f}; CPU {lane['cpu_s']:.2f} s")
print(f"harness, whole process: {user + system:.2f} s CPU in {real:.1f} s = {(user + system) / real * 100:.1f} % of one core "
      f"for both lanes (wanted <= 15 % a lane)")
PY
python3 "$(dirname "$0")/log_lag.py" "$WORK"/source/log/*.csv "$WORK"/baseline/log/*.csv "$WORK"/migrating/log/*.csv
