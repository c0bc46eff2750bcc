#!/usr/bin/env bash
# As fast as the server answers, one lane: the same read-only statements sent by pgbench, by rehearse and by pgreplay, in
# turn, on the same server. Usage: tests/bench/replay_max.sh [TRANSACTIONS PER CLIENT] [ROUNDS]
. "$(dirname "$0")/lib.sh"
per_client=${1:-40000}
rounds=${2:-3}

new_server one "${LOGGED[@]}"
start_server one
bench one -i -q -s 10 >/dev/null 2>&1
as_server sh -c ": >'$WORK/one/log/'*.csv" 2>/dev/null || true
stop_server one
rm -f "$WORK"/one/log/*
start_server one
bench one -n -S -M simple -c 16 -j 1 -t "$per_client" >/dev/null 2>&1
stop_server one
"$REHEARSE" create-replay "$WORK"/one/log/*.csv -o "$WORK/max.replay" -q >/dev/null
cp "$WORK"/one/log/*.csv "$WORK/max.csv"
sed -i "s/^log_statement.*/log_statement = none/; s/^log_connections.*//; s/^log_disconnections.*//" "$WORK/one/postgresql.conf"
start_server one

statements=$((16 * per_client))
machine
echo "$statements statements, 16 sessions, $rounds rounds in turn"
for ((i = 0; i < rounds; i++)); do
	timed bench one -n -S -M simple -c 16 -j 1 -t "$per_client"
	pgbench_tps+=("$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$WORK/timed.out")")
	pgbench_cpu+=("$(python3 -c "print(($USER_S + $SYS_S) / $statements * 1e6)")")
	timed "$REHEARSE" run-pgreplay "$WORK/max.replay" --speed max --baseline "$(url_of one)" -o "$WORK/run" --replace
	rehearse_tps+=("$(json "$WORK/run/run.json" lanes baseline statements_per_s)")
	rehearse_cpu+=("$(python3 -c "print(($USER_S + $SYS_S) / $statements * 1e6)")")
	rehearse_lane_cpu+=("$(python3 -c "print($(json "$WORK/run/run.json" lanes baseline cpu_s) / $statements * 1e6)")")
	if command -v pgreplay >/dev/null; then
		timed timeout 300 pgreplay -c -s 10000 -j -h 127.0.0.1 -p "$(port_of one)" "$WORK/max.csv" &&
			pgreplay_tps+=("$(python3 -c "print($statements / $REAL)")") &&
			pgreplay_cpu+=("$(python3 -c "print(($USER_S + $SYS_S) / $statements * 1e6)")") || true
	fi
done
tps_p=$(median "${pgbench_tps[@]}") tps_r=$(median "${rehearse_tps[@]}")
cpu_p=$(median "${pgbench_cpu[@]}") cpu_r=$(median "${rehearse_cpu[@]}") cpu_l=$(median "${rehearse_lane_cpu[@]}")
printf '%-32s %12s %18s\n' "median of $rounds" "statements/s" "CPU us/statement"
printf '%-32s %12.0f %18.2f\n' pgbench "$tps_p" "$cpu_p" "rehearse (whole process)" "$tps_r" "$cpu_r" "rehearse (the lane alone)" "$tps_r" "$cpu_l"
[ -z "${pgreplay_tps:-}" ] || printf '%-32s %12.0f %18.2f\n' "pgreplay (reading the log too)" "$(median "${pgreplay_tps[@]}")" "$(median "${pgreplay_cpu[@]}")"
python3 -c "
print('statements/s, rehearse / pgbench: %.3f (wanted >= 0.95)' % ($tps_r / $tps_p))
print('CPU a statement, rehearse / pgbench: %.2f (wanted <= 1.3)' % ($cpu_r / $cpu_p))"
